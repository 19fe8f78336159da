/* Counters of servers and streams: what is counted, when, by whom it can be read, and as text. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/raw.h"

static sp_server_counters_t counters_of(const sp_server_t *server) {
  sp_server_counters_t counters = {.size = sizeof counters};
  assert_int_equal(sp_server_counters(server, &counters), 0);
  assert_int_equal(counters.size, sizeof counters);
  return counters;
}

static sp_stream_counters_t stream_counters_of(const sp_stream_t *stream) {
  sp_stream_counters_t counters = {.size = sizeof counters};
  assert_int_equal(sp_stream_counters(stream, &counters), 0);
  return counters;
}

static uint64_t failures(const sp_server_counters_t *counters) {
  uint64_t sum = 0;
  for (int i = 0; i < SP_FAILURES_ROOM; i++)
    sum += counters->handshakes_failed[i];
  return sum;
}

static uint64_t times(const sp_server_counters_t *counters) {
  uint64_t sum = 0;
  for (int i = 0; i < SP_HANDSHAKE_TIMES; i++)
    sum += counters->handshake_times[i];
  return sum;
}

/* -- an echo, watched while it lives ----------------------------------------------------------- */

#define ECHOED 100000u

typedef struct watch {
  bool seen;
  uint8_t session[8192];
  size_t session_size;
} watch_t;

static void echo(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_DATA)
    assert_true(sp_stream_send(actor->stream, actor->bytes, actor->n) >= 0);
}

static void check_live(const actor_t *client, uint64_t resumed) {
  sp_server_counters_t server = counters_of(client->fixture->server);
  sp_stream_counters_t stream = stream_counters_of(client->stream);
  assert_int_equal(server.accepted, 1 + resumed);
  assert_int_equal(server.connections, 1);
  assert_int_equal(server.handshaking, 0);
  assert_int_equal(server.handshakes_full, 1);
  assert_int_equal(server.handshakes_resumed, resumed);
  assert_int_equal(failures(&server), 0);
  assert_int_equal(times(&server), 1 + resumed);
  assert_true(server.handshake_time > 0);
  assert_int_equal(server.cleartext_in, (1 + resumed) * ECHOED);
  assert_int_equal(server.cleartext_out, (1 + resumed) * ECHOED);
  assert_true(server.encrypted_in > (1 + resumed) * ECHOED);
  assert_int_equal(stream.cleartext_out, ECHOED);
  assert_int_equal(stream.cleartext_in, ECHOED);
  assert_int_equal(stream.pending_cleartext + stream.pending_encrypted + stream.held, 0);
  assert_int_equal(stream.encrypted_in, sp_pair_bytes_in(sp_stream_pair(client->stream)));
  assert_int_equal(stream.encrypted_out, sp_pair_bytes_out(sp_stream_pair(client->stream)));
  if (!resumed) { /* all that one sent the other got */
    assert_int_equal(server.encrypted_in, stream.encrypted_out);
    assert_int_equal(server.encrypted_out, stream.encrypted_in);
  }
  assert_true(stream.handshake_time > 0);
  assert_true(stream.is_secure);
  assert_int_equal(stream.is_resumed, resumed);
}

static void play_echo(actor_t *client, fixture_event_t event, int status) {
  watch_t *watch = client->data;
  if (event == ON_SECURE) {
    assert_int_equal(status, 0);
    assert_true(sp_stream_send(client->stream, fixture_pattern(ECHOED), ECHOED) >= 0);
  }
  if (event != ON_DATA || client->received < ECHOED)
    return;
  const sp_pair_t *pair = sp_stream_pair(client->stream);
  check_live(client, sp_pair_is_resumed(pair));
  watch->session_size = sp_pair_session(pair, watch->session, sizeof watch->session);
  assert_in_range(watch->session_size, 1, sizeof watch->session);
  watch->seen = true;
  sp_stream_end(client->stream);
}

static bool all_gone(fixture_t *f) {
  for (size_t i = 0; i < f->count; i++)
    if (f->actors[i]->stream)
      return false;
  return sp_server_connections(f->server) == 0;
}

static void check_echo(sp_protocol_t version) {
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER(.max_version = version));
  f->react = echo;
  static watch_t watch;
  for (int resumed = 0; resumed <= 1; resumed++) {
    watch.seen = false;
    actor_t *client =
        fixture_connect(f, FIXTURE_CLIENT(f, .session = resumed ? watch.session : NULL,
                                          .session_size = resumed ? watch.session_size : 0));
    client->react = play_echo;
    client->data = &watch;
    fixture_run_until(f, all_gone);
    assert_true(watch.seen);
    assert_int_equal(sp_server_connections(f->server), 0);
  }
  sp_server_counters_t counters = counters_of(f->server);
  assert_int_equal(counters.connections, 0);
  assert_int_equal(counters.pending, 0);
  fixture_run(f);
  fixture_free(f);
}

static void test_an_echo_while_it_lives(void **state) {
  (void)state;
  check_echo(SP_TLS1_3);
  check_echo(SP_TLS1_2);
}

/* -- bytes that wait --------------------------------------------------------------------------- */

#define MUCH (8u << 20)

static void send_much(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && status == 0) {
    assert_int_equal(sp_stream_send(actor->stream, fixture_pattern(MUCH), MUCH), 0);
    sp_stream_end(actor->stream);
  }
}

static void do_not_read(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_SECURE)
    sp_stream_pause(actor->stream);
}

static bool is_stuck(fixture_t *f) {
  const actor_t *served = fixture_served(f, 0);
  if (!served || !served->stream || !f->actors[0]->counts[ON_SECURE])
    return false;
  sp_server_counters_t counters = counters_of(f->server);
  sp_stream_counters_t stream = stream_counters_of(served->stream);
  size_t pending = sp_stream_pending(served->stream);
  assert_int_equal(stream.pending_cleartext + stream.pending_encrypted, pending);
  return stream.pending_encrypted && counters.pending == pending;
}

static void check_pending(bool destroy) {
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER());
  f->react = send_much;
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
  client->react = do_not_read;
  fixture_run_until(f, is_stuck);
  assert_true(counters_of(f->server).pending > 1u << 20);
  if (destroy)
    sp_stream_destroy(client->stream);
  else
    sp_stream_resume(client->stream);
  fixture_run_until(f, all_gone);
  sp_server_counters_t counters = counters_of(f->server);
  assert_int_equal(counters.pending, 0);
  if (!destroy)
    assert_int_equal(counters.cleartext_out, MUCH);
  fixture_run(f);
  fixture_free(f);
}

static void test_bytes_that_wait(void **state) {
  (void)state;
  check_pending(false);
  check_pending(true);
}

/* -- failures, each in its class --------------------------------------------------------------- */

static void check_failure(fixture_t *f, sp_failure_t failure) {
  sp_server_counters_t counters = counters_of(f->server);
  if (!counters.handshakes_failed[failure])
    fail_msg("expected %s", sp_failure_name(failure));
  assert_int_equal(failures(&counters), 1);
  assert_int_equal(counters.accepted, 1);
  assert_int_equal(counters.handshakes_full + counters.handshakes_resumed, 0);
  assert_int_equal(counters.handshaking + counters.waiting, 0);
  assert_int_equal(times(&counters), 0);
}

typedef struct bad {
  const char *bytes;
  sp_failure_t failure;
  bool resets;
} bad_t;

static void say_bad(raw_t *raw) {
  const bad_t *bad = raw->data;
  raw_send(raw, bad->bytes, strlen(bad->bytes));
  if (bad->resets)
    raw_reset(raw);
  else
    raw_fin(raw);
}

static bool raws_gone(fixture_t *f) {
  sp_server_counters_t counters = counters_of(f->server);
  return counters.accepted && !counters.connections;
}

static void test_what_is_no_tls(void **state) {
  (void)state;
  static const bad_t all[] = {
      {"GET / HTTP/1.0\r\n\r\n", SP_FAILURE_HTTP, false},
      {"SSH-2.0-OpenSSH_9.2\r\n", SP_FAILURE_NOTTLS, false},
      {"", SP_FAILURE_CLOSED, false},
      {"\x16\3\1", SP_FAILURE_CLOSED, false},
      {"", SP_FAILURE_TRANSPORT, true},
      {"\x16\3\1\xff\xff garbage", SP_FAILURE_MALFORMED, false},
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    fixture_t *f = fixture_new();
    fixture_serve(f, FIXTURE_SERVER());
    raws_t raws;
    raws_begin(&raws, f);
    (void)raw_connect(&raws, say_bad, (void *)&all[i]);
    fixture_run_until(f, raws_gone);
    check_failure(f, all[i].failure);
    raws_run(&raws);
    raws_free(&raws);
    fixture_free(f);
  }
}

static void nothing(raw_t *raw) { (void)raw; }

static void test_time_out(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER(.handshake_timeout = 20));
  raws_t raws;
  raws_begin(&raws, f);
  (void)raw_connect(&raws, nothing, NULL);
  fixture_run_until(f, raws_gone);
  check_failure(f, SP_FAILURE_TIMEOUT);
  raws_run(&raws);
  raws_free(&raws);
  fixture_free(f);
}

static int refuse(sp_pair_t *pair, const sp_client_hello_t *hello, void *data) {
  (void)hello;
  if (data)
    sp_pair_refuse(pair, 112); /* unrecognized_name */
  return SP_EREFUSED;
}

static int destroy(sp_pair_t *pair, const sp_client_hello_t *hello, void *data) {
  (void)hello, (void)data;
  sp_stream_destroy(sp_stream_of(pair));
  return 0;
}

static void check_meeting(const sp_options_t *server, const sp_options_t *client,
                          sp_failure_t failure) {
  fixture_t *f = fixture_new();
  fixture_serve(f, server);
  sp_options_t options = *client;
  options.port = f->port;
  (void)fixture_connect(f, &options);
  fixture_run_until(f, all_gone);
  check_failure(f, failure);
  fixture_run(f);
  fixture_free(f);
}

#define CLIENT(...)                                                                                \
  SP_OPTIONS(.host = "127.0.0.1", .ca = SP_LIST(pki_default()->root->cert_pem), __VA_ARGS__)

static void test_what_cannot_be_agreed_on(void **state) {
  (void)state;
  check_meeting(FIXTURE_SERVER(.min_version = SP_TLS1_3), CLIENT(.max_version = SP_TLS1_2),
                SP_FAILURE_VERSION);
  check_meeting(FIXTURE_SERVER(.suites = "TLS_AES_128_GCM_SHA256"),
                CLIENT(.suites = "TLS_AES_256_GCM_SHA384", .min_version = SP_TLS1_3),
                SP_FAILURE_CIPHER);
  check_meeting(FIXTURE_SERVER(.groups = "X25519"), CLIENT(.groups = "P-256"), SP_FAILURE_CIPHER);
  check_meeting(FIXTURE_SERVER(.alpn = SP_LIST("h2")), CLIENT(.alpn = SP_LIST("http/1.1")),
                SP_FAILURE_ALPN);
}

static void test_certificates(void **state) {
  (void)state;
  const pki_set_t *pki = pki_default();
#define ASKING                                                                                     \
  FIXTURE_SERVER(.request_cert = SP_YES, .reject_unauthorized = SP_YES,                            \
                 .ca = SP_LIST(pki->root->cert_pem))
  check_meeting(ASKING, CLIENT(.max_version = SP_TLS1_2), SP_FAILURE_NOCERTIFICATE);
  check_meeting(ASKING, CLIENT(.min_version = SP_TLS1_3), SP_FAILURE_NOCERTIFICATE);
  check_meeting(ASKING, CLIENT(.key = pki->stranger->key_pem, .cert = pki->stranger->cert_pem),
                SP_FAILURE_CERTIFICATE);
  check_meeting(FIXTURE_SERVER(),
                SP_OPTIONS(.host = "127.0.0.1", .ca = SP_LIST(pki->stranger_root->cert_pem)),
                SP_FAILURE_ALERTCERTIFICATE);
}

static void test_what_the_program_refuses(void **state) {
  (void)state;
  check_meeting(FIXTURE_SERVER(.hooks.client_hello = refuse), CLIENT(), SP_FAILURE_REFUSED);
  check_meeting(FIXTURE_SERVER(.hooks.client_hello = refuse, .hooks_data = state), CLIENT(),
                SP_FAILURE_NAME);
  check_meeting(FIXTURE_SERVER(.hooks.client_hello = destroy), CLIENT(), SP_FAILURE_CANCELED);
}

/* Every status has a class, and the classes their own words. */
static void test_classes(void **state) {
  (void)state;
  assert_true(SP_FAILURES <= SP_FAILURES_ROOM);
  assert_string_equal(sp_failure_name(SP_FAILURE_NONE), "none");
  assert_string_equal(sp_failure_name(SP_FAILURES), "unknown");
  for (int i = 1; i < SP_FAILURES; i++)
    for (int k = 0; k < i; k++)
      assert_string_not_equal(sp_failure_name((sp_failure_t)i), sp_failure_name((sp_failure_t)k));
  assert_int_equal(sp_failure_of(&(sp_error_t){.status = 0}), SP_FAILURE_NONE);
  for (int status = -5100; status < 0; status++) {
    sp_failure_t failure = sp_failure_of(&(sp_error_t){.status = status, .alert = -1});
    assert_in_range(failure, 1, SP_FAILURES - 1);
  }
  static const struct {
    int alert;
    sp_failure_t failure;
  } alerts[] = {
      {40, SP_FAILURE_ALERTAGREEMENT},
      {42, SP_FAILURE_ALERTCERTIFICATE},
      {48, SP_FAILURE_ALERTCERTIFICATE},
      {70, SP_FAILURE_ALERTAGREEMENT},
      {80, SP_FAILURE_ALERT},
      {116, SP_FAILURE_ALERTCERTIFICATE},
      {120, SP_FAILURE_ALERTAGREEMENT},
      {255, SP_FAILURE_ALERT},
  };
  for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++)
    assert_int_equal(sp_failure_of(&(sp_error_t){.status = SP_EALERT, .alert = alerts[i].alert}),
                     alerts[i].failure);
}

/* -- what is not taken ------------------------------------------------------------------------- */

static int on_accept(sp_server_t *server, int fd) {
  (void)server, (void)fd;
  return UV_EACCES;
}

static void end_when_secure(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_SECURE)
    sp_stream_end(actor->stream);
}

static bool first_is_secure(fixture_t *f) { return f->actors[0]->counts[ON_SECURE] != 0; }
static bool is_dropped(fixture_t *f) { return counters_of(f->server).dropped_limit == 1; }

static void test_what_is_not_taken(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER(.max_connections = 1));
  actor_t *first = fixture_connect(f, FIXTURE_CLIENT(f));
  fixture_run_until(f, first_is_secure);
  (void)fixture_connect(f, FIXTURE_CLIENT(f));
  fixture_run_until(f, is_dropped);
  sp_stream_end(first->stream);
  fixture_run_until(f, all_gone);
  sp_server_on_accept(f->server, on_accept);
  fixture_connect(f, FIXTURE_CLIENT(f))->react = end_when_secure;
  fixture_run_until(f, all_gone);
  sp_server_counters_t counters = counters_of(f->server);
  assert_int_equal(counters.accepted, 1);
  assert_int_equal(counters.dropped_limit, 1);
  assert_int_equal(counters.dropped_other, 1);
  assert_int_equal(counters.dropped_resources, 0);
  assert_int_equal(counters.handed_over, 0);
  fixture_run(f);
  fixture_free(f);
}

/* -- hooks that are waited for ----------------------------------------------------------------- */

static sp_pair_t *asked;

static int wait_once(sp_pair_t *pair, const sp_client_hello_t *hello, void *data) {
  (void)hello, (void)data;
  asked = pair;
  return SP_PENDING;
}

static bool is_asked(fixture_t *f) {
  sp_server_counters_t counters = counters_of(f->server);
  return asked && counters.hook_waits == 1 && counters.handshaking == 1;
}

static void test_hooks_that_are_waited_for(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  asked = NULL;
  fixture_serve(f, FIXTURE_SERVER(.hooks.client_hello = wait_once));
  fixture_connect(f, FIXTURE_CLIENT(f))->react = end_when_secure;
  fixture_run_until(f, is_asked);
  assert_int_equal(sp_pair_resume(asked, 0), 0);
  fixture_run_until(f, all_gone);
  sp_server_counters_t counters = counters_of(f->server);
  assert_int_equal(counters.hook_waits, 1);
  assert_int_equal(counters.handshakes_full, 1);
  fixture_run(f);
  fixture_free(f);
}

/* More clients at once than a turn has handshakes for: those that wait are counted, and in the end
 * none is left. */
static uint64_t most_waiting;

static bool all_secure(fixture_t *f) {
  sp_server_counters_t counters = counters_of(f->server);
  if (counters.waiting > most_waiting)
    most_waiting = counters.waiting;
  return counters.handshakes_full == 12 && all_gone(f);
}

static void note_waiting(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  sp_server_counters_t counters = counters_of(actor->fixture->server);
  if (counters.waiting > most_waiting)
    most_waiting = counters.waiting;
  if (event == ON_SECURE)
    sp_stream_end(actor->stream);
}

static void test_handshakes_that_wait_for_their_turn(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  most_waiting = 0;
  fixture_serve(f, FIXTURE_SERVER(.handshakes_per_turn = 1, .accepts_per_turn = 100));
  for (int i = 0; i < 12; i++)
    fixture_connect(f, FIXTURE_CLIENT(f))->react = note_waiting;
  fixture_run_until(f, all_secure);
  assert_true(most_waiting > 0);
  assert_int_equal(counters_of(f->server).waiting, 0);
  fixture_run(f);
  fixture_free(f);
}

/* -- read by another thread -------------------------------------------------------------------- */

typedef struct reader {
  const sp_server_t *server;
  int stop; /* atomic */
  bool wrong;
} reader_t;

static void read_on(void *data) {
  reader_t *reader = data;
  uint64_t before = 0;
  while (!__atomic_load_n(&reader->stop, __ATOMIC_ACQUIRE)) {
    sp_server_counters_t counters = {.size = sizeof counters};
    if (sp_server_counters(reader->server, &counters) < 0 || counters.encrypted_in < before ||
        counters.handshaking > 20 || counters.connections > 20)
      reader->wrong = true;
    before = counters.encrypted_in;
  }
}

static void test_read_by_another_thread(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER());
  f->react = echo;
  reader_t reader = {.server = f->server};
  uv_thread_t thread;
  assert_int_equal(uv_thread_create(&thread, read_on, &reader), 0);
  for (int i = 0; i < 20; i++)
    fixture_connect(f, FIXTURE_CLIENT(f))->react = end_when_secure;
  fixture_run_until(f, all_gone);
  __atomic_store_n(&reader.stop, 1, __ATOMIC_RELEASE);
  uv_thread_join(&thread);
  assert_false(reader.wrong);
  fixture_run(f);
  fixture_free(f);
}

/* -- sizes and text ---------------------------------------------------------------------------- */

/* A program that was compiled when there were fewer. */
static void test_sizes(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER());
  fixture_connect(f, FIXTURE_CLIENT(f))->react = end_when_secure;
  fixture_run_until(f, all_gone);
  sp_server_counters_t counters = {.size = offsetof(sp_server_counters_t, handed_over),
                                   .handed_over = 7};
  assert_int_equal(sp_server_counters(f->server, &counters), 0);
  assert_int_equal(counters.accepted, 1);
  assert_int_equal(counters.handed_over, 7);
  counters.size = 0;
  assert_int_equal(sp_server_counters(f->server, &counters), SP_EOPTION);
  counters.size = sizeof counters + 8; /* or more */
  assert_int_equal(sp_server_counters(f->server, &counters), 0);
  assert_int_equal(counters.size, sizeof counters);
  fixture_run(f);
  fixture_free(f);
}

static char *print(const sp_server_counters_t *counters, const char *const *names, size_t count) {
  char *text;
  size_t n;
  FILE *to = open_memstream(&text, &n);
  assert_non_null(to);
  assert_int_equal(sp_counters_print(to, counters, names, count), 0);
  assert_int_equal(fclose(to), 0);
  return text;
}

static void assert_says(const char *text, const char *line) {
  if (!strstr(text, line))
    fail_msg("no \"%s\" in:\n%s", line, text);
}

static unsigned occurrences(const char *text, const char *word) {
  unsigned count = 0;
  for (; (text = strstr(text, word)); text++)
    count++;
  return count;
}

static void test_text(void **state) {
  (void)state;
  sp_server_counters_t counters[2] = {{.size = sizeof *counters,
                                       .accepted = 5,
                                       .connections = UINT64_MAX,
                                       .handshakes_failed[SP_FAILURE_HTTP] = 3,
                                       .handshake_times = {[9] = 2, [SP_HANDSHAKE_TIMES - 1] = 1},
                                       .handshake_time = 2500000},
                                      {.size = sizeof *counters}};
  char *text = print(counters, NULL, 1);
  assert_says(text, "# HELP securepair_accepted_total Clients accepted.\n"
                    "# TYPE securepair_accepted_total counter\n"
                    "securepair_accepted_total 5\n");
  assert_says(text, "\nsecurepair_connections 18446744073709551615\n");
  assert_says(text, "\nsecurepair_handshakes_failed_total{reason=\"plain_http\"} 3\n");
  assert_says(text, "\nsecurepair_handshake_seconds_bucket{le=\"0.000512\"} 0\n");
  assert_says(text, "\nsecurepair_handshake_seconds_bucket{le=\"0.001024\"} 2\n");
  assert_says(text, "\nsecurepair_handshake_seconds_bucket{le=\"134.217728\"} 2\n");
  assert_says(text, "\nsecurepair_handshake_seconds_bucket{le=\"+Inf\"} 3\n");
  assert_says(text, "\nsecurepair_handshake_seconds_sum 2.500000\n");
  assert_says(text, "\nsecurepair_handshake_seconds_count 3\n");
  free(text);
  text = print(counters, (const char *const[]){"mail", "a\"b\\c\nd"}, 2);
  assert_says(text, "\nsecurepair_accepted_total{server=\"mail\"} 5\n"
                    "securepair_accepted_total{server=\"a\\\"b\\\\c\\nd\"} 0\n");
  assert_says(text, "{reason=\"plain_http\",server=\"mail\"} 3\n");
  assert_int_equal(occurrences(text, "# TYPE securepair_dropped_total "), 1);
  free(text);
}

static void test_text_that_cannot_be_written(void **state) {
  (void)state;
  sp_server_counters_t counters = {.size = sizeof counters};
  FILE *full = fopen("/dev/full", "w");
  assert_non_null(full);
  (void)setvbuf(full, NULL, _IONBF, 0);
  assert_int_equal(sp_counters_print(full, &counters, NULL, 1), UV_EIO);
  (void)fclose(full);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_an_echo_while_it_lives),
      cmocka_unit_test(test_bytes_that_wait),
      cmocka_unit_test(test_what_is_no_tls),
      cmocka_unit_test(test_time_out),
      cmocka_unit_test(test_what_cannot_be_agreed_on),
      cmocka_unit_test(test_certificates),
      cmocka_unit_test(test_what_the_program_refuses),
      cmocka_unit_test(test_classes),
      cmocka_unit_test(test_what_is_not_taken),
      cmocka_unit_test(test_hooks_that_are_waited_for),
      cmocka_unit_test(test_handshakes_that_wait_for_their_turn),
      cmocka_unit_test(test_read_by_another_thread),
      cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_text),
      cmocka_unit_test(test_text_that_cannot_be_written),
  };
  return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
