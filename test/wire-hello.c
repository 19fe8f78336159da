/*
 * W13, W14, W15, W23, W27: first messages at the limits and beyond them, and messages where they do
 * not belong. To a server over TCP, which afterwards serves a good client, and between two pairs,
 * where something is put between the messages of either side.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/contexts.h"
#include "support/hello.h"
#include "support/raw.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* -- hellos to a server ------------------------------------------------------------------------ */

/* Which names the hooks were told; "" for a hello without one. */
static char told[300];
static int times_told;

static int on_name(sp_pair_t *pair, const char *name, void *data) {
  (void)pair, (void)data;
  (void)snprintf(told, sizeof told, "%s", name);
  times_told++;
  return 0;
}

typedef struct attempt {
  const char *name;
  wire_t wire;
  int status, alert; /* status 0: it is answered */
  bool answered;
  sp_error_t error;
} attempt_t;

static void say(raw_t *raw) {
  attempt_t *attempt = raw->data;
  int size = 1 << 20;
  assert_int_equal(uv_send_buffer_size((uv_handle_t *)&raw->tcp, &size), 0);
  raw_send(raw, attempt->wire.bytes, attempt->wire.size);
  raw_fin(raw);
}

static void end_when_secure(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && status == 0)
    sp_stream_end(actor->stream);
}

static bool is_over(fixture_t *f) {
  const actor_t *served = fixture_served(f, 0);
  return served && !served->stream;
}

/* The server still answers. */
static void check_good_client(fixture_t *f) {
  actor_t *good = fixture_connect(f, FIXTURE_CLIENT(f));
  good->react = end_when_secure;
  while (good->stream)
    uv_run(&f->loop, UV_RUN_ONCE);
  assert_memory_equal(good->log, "secure ", 7);
}

/* Sends the hello; what came of it. With `hooked` the server has a hook for the name. */
static void attempt(attempt_t *a, hello_t *hello, size_t record, bool hooked) {
  fixture_t *f = fixture_new();
  raws_t raws = {0};
  raws_begin(&raws, f);
  sp_options_t options = *FIXTURE_SERVER(.tickets = SP_NO);
  if (hooked)
    options.hooks.server_name = on_name;
  *told = '\0';
  times_told = 0;
  fixture_serve(f, &options);
  hello_records(hello, record, &a->wire);
  raw_t *raw = raw_connect(&raws, say, a);
  fixture_run_until(f, is_over);
  const actor_t *served = fixture_served(f, 0);
  a->error = served->error;
  check_good_client(f);
  raws_run(&raws);
  a->answered = raw->got_size > 7 && raw->got[0] == 22 && raw->got[5] == 2;
  raws_free(&raws);
  fixture_free(f);
  wire_free(&a->wire);
}

static void expect_answer(const char *name, hello_t *hello, size_t record, bool hooked) {
  attempt_t a = {.name = name};
  attempt(&a, hello, record, hooked);
  if (!a.answered || a.error.status != SP_EEARLYCLOSE) /* it left after its first message */
    fail_msg("%s: no answer: %s, alert %d", name, a.error.text, a.error.alert);
  hello_free(hello);
}

static void expect_alert(const char *name, hello_t *hello, size_t record, bool hooked, int alert) {
  attempt_t a = {.name = name};
  attempt(&a, hello, record, hooked);
  if (a.answered || a.error.status != SP_EPROTOCOL || a.error.alert != alert)
    fail_msg("%s: %s: %s, alert %d, not %d", name, sp_error_name(a.error.status), a.error.text,
             a.error.alert, alert);
  assert_int_equal(a.error.who, SP_PEER);
  hello_free(hello);
}

/* -- W13: how long it may be ------------------------------------------------------------------- */

#define LONGEST 131396

/* All that a first message can hold: every part is as long as its length can say. */
static hello_t *longest_hello(void) {
  hello_t *hello = hello_new();
  static uint8_t filling[65536];
  hello->session_size = 32;
  hello->compressions_size = 255;
  hello_complete(hello, SP_TLS1_2);
  while (hello->suites_size < 65534)
    hello_suite(hello, 0xc02b);
  hello_extension(hello, 21, filling, 65535 - hello->extensions_size - 4);
  return hello;
}

static void W13_the_longest_hello_is_answered(void **state) {
  (void)state;
  uint8_t *message;
  hello_t *hello = longest_hello();
  assert_int_equal(hello_message(hello, &message), LONGEST + 4);
  free(message);
  expect_answer("in full records", hello, 16384, false);
  expect_answer("in full records, with a hook", longest_hello(), 16384, true);
  expect_answer("in records of 1,000 bytes", longest_hello(), 1000, false);
}

static void W13_a_longer_one_is_refused(void **state) {
  (void)state;
  static const size_t sizes[] = {LONGEST + 1, LONGEST + 2, 1 << 18, 0xffffff};
  for (size_t i = 0; i < COUNT(sizes); i++) {
    const uint8_t begin[] = {
        22, 3, 1, 0, 4, 1, (uint8_t)(sizes[i] >> 16), (uint8_t)(sizes[i] >> 8), (uint8_t)sizes[i]};
    sp_pair_t *pair;
    assert_int_equal(sp_pair_new(&pair, couple_server_context(SP_PROTOCOL_DEFAULT), SP_SERVER, NULL,
                                 false, NULL),
                     0);
    assert_int_equal(sp_pair_encrypted_in(pair, begin, sizeof begin), SP_EPROTOCOL);
    assert_int_equal(sp_pair_error(pair)->alert, 47); /* illegal_parameter, before any of it came */
    (void)sp_pair_encrypted_release(pair);
    sp_pair_release(pair);
  }
}

/* The same for a client: nothing is kept of a server's first message that says to be too long. */
static void W13_a_servers_is_shorter(void **state) {
  (void)state;
  static const uint8_t begin[] = {22, 3, 3, 0, 4, 2, 2, 0, 0};
  couple_t couple;
  couple_make(&couple, SP_PROTOCOL_DEFAULT);
  assert_int_equal(side_offer(&couple.client, begin, sizeof begin), SP_EPROTOCOL);
  assert_int_equal(sp_pair_error(couple.client.pair)->alert, 47);
  couple_free(&couple);
}

/* -- W14: names -------------------------------------------------------------------------------- */

static hello_t *hello_for(const void *name, size_t n) {
  hello_t *hello = hello_new();
  hello_complete(hello, SP_TLS1_3);
  hello_name(hello, name, n);
  return hello;
}

static hello_t *hello_with(unsigned type, const char *content, size_t n) {
  hello_t *hello = hello_new();
  hello_complete(hello, SP_TLS1_3);
  hello_extension(hello, type, content, n);
  return hello;
}

/* Names that are none count as none, or are refused; the hook is never told a part of one. */
static void W14_odd_names(void **state) {
  (void)state;
  static const struct {
    const char *name;
    size_t n;
    int alert; /* 0: it is answered as if there were no name */
  } names[] = {
      {"a\0b.example", 11, 112},
      {"\0", 1, 112},
      {"localhost\0", 10, 112},
      {"..", 2, 0},
      {".example", 8, 0},
      {"a..example", 10, 0},
      {"127.0.0.1", 9, 0},
      {"::1", 3, 0},
      {"a b", 3, 0},
      {"\xff\xfe", 2, 0},
      {"a/b.example", 11, 0},
      {"1.2.3", 5, 0},
      {"[::1]", 5, 0},
      {"*.example", 9, 0},
  };
  for (size_t i = 0; i < COUNT(names); i++)
    for (int hooked = 0; hooked < 2; hooked++) {
      hello_t *hello = hello_for(names[i].name, names[i].n);
      if (names[i].alert)
        expect_alert(names[i].name, hello, 16384, hooked, names[i].alert);
      else
        expect_answer(names[i].name, hello, 16384, hooked);
      assert_int_equal(times_told, 0);
    }
}

static void W14_long_names(void **state) {
  (void)state;
  static char name[16384];
  memset(name, 'a', sizeof name);
  for (size_t i = 63; i < sizeof name; i += 64)
    name[i] = '.';
  static const size_t too_long[] = {256, 257, 1000, 16384};
  for (size_t i = 0; i < COUNT(too_long); i++)
    for (int hooked = 0; hooked < 2; hooked++)
      expect_alert("a long name", hello_for(name, too_long[i]), 16384, hooked, 112);
  expect_answer("254 bytes", hello_for(name, 254), 16384, true); /* one more than a name may have */
  assert_int_equal(times_told, 0);
  expect_answer("253 bytes", hello_for(name, 253), 16384, true);
  assert_int_equal(times_told, 1);
  assert_int_equal(strlen(told), 253);
  assert_memory_equal(told, name, 253);
}

#define CONTENT(text) text, sizeof text - 1

static void W14_malformed_lists_of_names(void **state) {
  (void)state;
  static const struct {
    const char *content;
    size_t n;
    bool is_ignored; /* by OpenSSL, when there is no hook */
  } lists[] = {
      {CONTENT(""), false},                             /* nothing */
      {CONTENT("\0\0"), false},                         /* no name */
      {CONTENT("\0\3\0\0\0"), true},                    /* an empty one */
      {CONTENT("\0\x10\0\0\5a.com\0\0\5b.com"), false}, /* two */
      {CONTENT("\0\x9\0\0\5a.com"), false},             /* cut off */
      {CONTENT("\0\x8\0\0\5a.comx"), false},            /* something after it */
      {CONTENT("\0\x8\7\0\5a.com"), false},             /* of another type */
  };
  for (size_t i = 0; i < COUNT(lists); i++)
    for (int hooked = 0; hooked < 2; hooked++) {
      hello_t *hello = hello_with(0, lists[i].content, lists[i].n);
      if (lists[i].is_ignored && !hooked)
        expect_answer("a malformed list", hello, 16384, false);
      else
        expect_alert("a malformed list", hello, 16384, hooked, 50);
      assert_int_equal(times_told, 0);
    }
}

static void W14_a_good_name_is_told(void **state) {
  (void)state;
  expect_answer("mixed case", hello_for("A.Host.EXAMPLE", 14), 16384, true);
  assert_string_equal(told, "a.host.example");
  expect_answer("a dot at the end", hello_for("host.example.", 13), 16384, true);
  assert_string_equal(told, "host.example");
}

/* -- W15: extensions --------------------------------------------------------------------------- */

static void W15_many_extensions(void **state) {
  (void)state;
  for (int hooked = 0; hooked < 2; hooked++) {
    hello_t *hello = hello_new();
    hello_complete(hello, SP_TLS1_3);
    for (unsigned i = 0; i < 4096; i++)
      hello_extension(hello, 0x8000 + i, "\1\2", 2);
    expect_answer("4,096 extensions", hello, 16384, hooked);
    hello = hello_new();
    hello_complete(hello, SP_TLS1_3);
    for (unsigned i = 0; i < 16300; i++) /* nearly as many as there can be */
      hello_extension(hello, 0x8000 + i, "", 0);
    expect_answer("16,300 extensions", hello, 16384, hooked);
  }
}

static void W15_grease(void **state) {
  (void)state;
  hello_t *hello = hello_new();
  static const uint16_t groups[] = {0x4a4a, 0x001d}, versions[] = {0x7a7a, 0x0304};
  static const uint16_t sigalgs[] = {0xfafa, 0x0403, 0x0804};
  uint8_t shares[2 + 5 + 4 + 32] = {0, 41, 0x4a, 0x4a, 0, 1, 0, 0, 0x1d, 0, 32, 9};
  hello_suite(hello, 0x0a0a);
  hello_suite(hello, 0x1301);
  hello_extension(hello, 0xdada, "", 0);
  hello_list(hello, 43, 1, versions, 2);
  hello_list(hello, 10, 2, groups, 2);
  hello_list(hello, 13, 2, sigalgs, 3);
  hello_extension(hello, 51, shares, sizeof shares);
  hello_extension(hello, 16, "\0\x6\2\x0a\x0a\2h2", 8);
  hello_extension(hello, 0xeaea, "\0", 1);
  expect_answer("GREASE", hello, 16384, true);
}

/* RFC 8446 4.2: no type twice. Of types that nobody knows nobody cares. */
static void W15_duplicates(void **state) {
  (void)state;
  static const struct {
    unsigned type;
    const char *content;
    size_t n;
  } known[] = {{43, CONTENT("\2\3\4")},   {10, CONTENT("\0\2\0\x1d")},
               {13, CONTENT("\0\2\4\3")}, {0, CONTENT("\0\x8\0\0\5a.com")},
               {16, CONTENT("\0\3\2h2")}, {5, CONTENT("\1\0\0\0\0")},
               {23, CONTENT("")},         {35, CONTENT("")}};
  for (size_t i = 0; i < COUNT(known); i++)
    for (int hooked = 0; hooked < 2; hooked++) {
      hello_t *hello = hello_new();
      hello_complete(hello, SP_TLS1_3);
      if (known[i].type != 43 && known[i].type != 10 && known[i].type != 13)
        hello_extension(hello, known[i].type, known[i].content, known[i].n);
      hello_extension(hello, known[i].type, known[i].content, known[i].n);
      expect_alert("twice the same", hello, 16384, hooked, 47);
      assert_int_equal(times_told, 0);
    }
  hello_t *hello = hello_new();
  hello_complete(hello, SP_TLS1_3);
  hello_extension(hello, 0x7777, "a", 1);
  hello_extension(hello, 0x7777, "b", 1);
  expect_answer("twice an unknown one", hello, 16384, true);
}

static void W15_extensions_that_do_not_end(void **state) {
  (void)state;
  static const uint8_t ends[][4] = {{0x77, 0x77, 0, 1}, {0x77, 0x77, 0xff, 0xff}};
  for (size_t i = 0; i < COUNT(ends); i++) {
    hello_t *hello = hello_new();
    hello_complete(hello, SP_TLS1_3);
    memcpy(hello->extensions + hello->extensions_size, ends[i], 4);
    hello->extensions_size += 4;
    expect_alert("longer than its block", hello, 16384, true, 50);
    hello = hello_new();
    hello_complete(hello, SP_TLS1_3);
    memcpy(hello->extensions + hello->extensions_size, ends[i], 3);
    hello->extensions_size += 3;
    expect_alert("half a header", hello, 16384, true, 50);
  }
}

/* -- W27: heartbeats --------------------------------------------------------------------------- */

static void W27_the_extension_is_ignored(void **state) {
  (void)state;
  for (int hooked = 0; hooked < 2; hooked++) {
    expect_answer("peer may send", hello_with(15, "\1", 1), 16384, hooked);
    expect_answer("peer may not send", hello_with(15, "\2", 1), 16384, hooked);
    expect_answer("nonsense", hello_with(15, "\7\7\7", 3), 16384, hooked);
  }
}

/* -- between the messages ---------------------------------------------------------------------- */

#define EACH_VERSION(version)                                                                      \
  for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3; version++)

static const manner_t whole = {.read = 0};

static side_t *other_side(couple_t *couple, const side_t *side) {
  return side == &couple->client ? &couple->server : &couple->client;
}

/* Lets the victim's next flight of the other side begin with n copies of a record. */
static void put_in_front(side_t *victim, const char *record, size_t size, size_t n) {
  wire_t wire = {0};
  for (size_t i = 0; i < n; i++)
    wire_add(&wire, record, size);
  wire_add(&wire, victim->in.bytes + victim->in.taken, wire_left(&victim->in));
  wire_free(&victim->in);
  victim->in = wire;
}

/* Steps until the server answered the client's first message: then its answer is on the wire. */
static void to_server_hello(couple_t *couple) {
  (void)side_step(&couple->client, &whole, &couple->server.in);
  (void)side_step(&couple->server, &whole, &couple->client.in);
  assert_true(wire_left(&couple->client.in) > 0);
}

/* The client takes only the first record, the server's hello. */
static void take_server_hello(couple_t *couple) {
  const uint8_t *record = couple->client.in.bytes + couple->client.in.taken;
  size_t n = 5 + (size_t)(record[3] << 8 | record[4]);
  assert_true(n < wire_left(&couple->client.in));
  assert_int_equal(side_offer(&couple->client, record, n), 0);
  couple->client.in.taken += n;
}

#define CCS "\x14\3\3\0\1\1"
#define DATA "\x17\3\3\0\5hello"
#define BEAT "\x18\3\3\0\x7\1\0\4abcd"

/* What happens to a pair of one role when records come at a point of the handshake: 0, or the
 * error with its alert. */
static void meddle(sp_protocol_t version, sp_role_t role, bool after_hello, const char *record,
                   size_t size, size_t n, int status, int alert) {
  couple_t couple;
  couple_make(&couple, version);
  side_t *victim = role == SP_CLIENT ? &couple.client : &couple.server;
  if (after_hello)
    to_server_hello(&couple);
  else
    (void)side_step(&couple.client, &whole, &couple.server.in);
  if (after_hello && role == SP_CLIENT)
    take_server_hello(&couple);
  put_in_front(victim, record, size, n);
  couple_run(&couple, &whole);
  const sp_error_t *error = sp_pair_error(victim->pair);
  if (error->status != status || (status && error->alert != alert))
    fail_msg("%s, TLS 1.%d, %s, record %d x %zu: %s (%s), alert %d", role ? "server" : "client",
             version & 1 ? 2 : 3, after_hello ? "after the hello" : "before it", record[0], n,
             sp_error_name(error->status), error->text, error->alert);
  const side_t *other = other_side(&couple, victim);
  if (!status)
    assert_true(sp_pair_state(other->pair) & SP_PAIR_SECURE);
  else
    assert_int_equal(sp_pair_error(other->pair)->status, SP_EALERT);
  assert_int_equal(victim->got, 0);
  couple_free(&couple);
}

/* RFC 8446 5: one between the hellos is dropped; many of them are a flood. */
static void W23_changes_of_ciphers_in_tls_1_3(void **state) {
  (void)state;
  for (int role = SP_CLIENT; role <= SP_SERVER; role++) {
    meddle(SP_TLS1_3, (sp_role_t)role, true, CONTENT(CCS), 1, 0, 0);
    meddle(SP_TLS1_3, (sp_role_t)role, true, CONTENT(CCS), 20, 0, 0);
    meddle(SP_TLS1_3, (sp_role_t)role, true, CONTENT(CCS), 100000, SP_EPROTOCOL, 10);
    meddle(SP_TLS1_3, (sp_role_t)role, true, CONTENT("\x14\3\3\0\1\2"), 1, SP_EPROTOCOL, 47);
    meddle(SP_TLS1_3, (sp_role_t)role, true, CONTENT("\x14\3\3\0\2\1\1"), 1, SP_EPROTOCOL, 47);
  }
}

/* CVE-2014-0224: keys may not change before there are any. */
static void W23_changes_of_ciphers_too_early(void **state) {
  (void)state;
  for (int role = SP_CLIENT; role <= SP_SERVER; role++)
    meddle(SP_TLS1_2, (sp_role_t)role, true, CONTENT(CCS), 1, SP_EPROTOCOL, 10);
  EACH_VERSION(version)
  meddle(version, SP_SERVER, false, CONTENT(CCS), 1, SP_EPROTOCOL, 10);
}

static void W23_data_before_finished(void **state) {
  (void)state;
  for (int role = SP_CLIENT; role <= SP_SERVER; role++) {
    meddle(SP_TLS1_2, (sp_role_t)role, true, CONTENT(DATA), 1, SP_EPROTOCOL, 10);
    /* all that comes then is encrypted, and this is not */
    meddle(SP_TLS1_3, (sp_role_t)role, true, CONTENT(DATA), 1, SP_EPROTOCOL, 20);
  }
  EACH_VERSION(version)
  meddle(version, SP_SERVER, false, CONTENT(DATA), 1, SP_EPROTOCOL, 10);
}

static void W27_records_in_the_handshake(void **state) {
  (void)state;
  EACH_VERSION(version) {
    for (int role = SP_CLIENT; role <= SP_SERVER; role++)
      meddle(version, (sp_role_t)role, true, CONTENT(BEAT), 1, SP_EPROTOCOL, 10);
    meddle(version, SP_SERVER, false, CONTENT(BEAT), 1, SP_EPROTOCOL, 10);
  }
}

/* Later, in the clear: nothing is answered but an alert, and nothing is delivered. */
static void W23_W27_after_the_handshake(void **state) {
  (void)state;
  static const struct {
    const char *record;
    size_t n;
  } records[] = {{CONTENT(CCS)}, {CONTENT(BEAT)}, {CONTENT(DATA)}};
  EACH_VERSION(version)
  for (int role = SP_CLIENT; role <= SP_SERVER; role++)
    for (size_t i = 0; i < COUNT(records); i++) {
      couple_t couple;
      couple_make(&couple, version);
      couple_shake_hands(&couple);
      couple_run(&couple, &whole);
      side_t *victim = role == SP_CLIENT ? &couple.client : &couple.server;
      wire_t answer = {0};
      assert_int_equal(side_offer(victim, records[i].record, records[i].n), SP_EPROTOCOL);
      side_collect(victim, &whole, &answer);
      assert_in_range(answer.size, 7, 64); /* the alert, encrypted */
      assert_int_equal(victim->got, 0);
      wire_free(&answer);
      couple_free(&couple);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(W13_the_longest_hello_is_answered),
      cmocka_unit_test(W13_a_longer_one_is_refused),
      cmocka_unit_test(W13_a_servers_is_shorter),
      cmocka_unit_test(W14_odd_names),
      cmocka_unit_test(W14_long_names),
      cmocka_unit_test(W14_malformed_lists_of_names),
      cmocka_unit_test(W14_a_good_name_is_told),
      cmocka_unit_test(W15_many_extensions),
      cmocka_unit_test(W15_grease),
      cmocka_unit_test(W15_duplicates),
      cmocka_unit_test(W15_extensions_that_do_not_end),
      cmocka_unit_test(W27_the_extension_is_ignored),
      cmocka_unit_test(W23_changes_of_ciphers_in_tls_1_3),
      cmocka_unit_test(W23_changes_of_ciphers_too_early),
      cmocka_unit_test(W23_data_before_finished),
      cmocka_unit_test(W27_records_in_the_handshake),
      cmocka_unit_test(W23_W27_after_the_handshake),
  };
  return cmocka_run_group_tests_name("wire-hello", tests, NULL, NULL);
}
