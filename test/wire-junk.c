/*
 * W01-W08, W12, W23: what is not TLS, or not quite, sent to a server and to a client. Each time:
 * the status, a sentence that says it, the alert that goes out (or none), the end of the
 * connection; and the server serves the next one. The fixture counts events and descriptors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/couple.h"
#include "support/raw.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

typedef enum ending { STAY, FIN, RST } ending_t;

typedef struct junk {
  const char *name;
  const char *bytes;
  size_t n;
  ending_t ending;
  int status, alert; /* alert: that we send; -1: none */
  const char *words; /* in the sentence */
} junk_t;

#define BYTES(text) text, sizeof text - 1
#define FF8 "\xff\xff\xff\xff\xff\xff\xff\xff"
#define EMPTY8 /* records without content */                                                       \
  "\x16\3\1\0\0\x16\3\1\0\0\x16\3\1\0\0\x16\3\1\0\0\x16\3\1\0\0\x16\3\1\0\0\x16\3\1\0\0\x16\3\1\0" \
  "\0"
#define CCS "\x14\3\3\0\1\1"
#define RANDOM "0123456789abcdef0123456789abcdef"
/* A hello without extensions, of version 3.x, in a record of version 3.1. */
#define OLD_HELLO(x)                                                                               \
  "\x16\3\1\0\x2d\1\0\0\x29\3" x RANDOM "\0" /* no session */                                      \
  "\0\2\xc0\x2b\1\0"                         /* one suite, no compression */

/* One byte more than fits into a record with all that may be added to it. */
static const char too_long[5 + 16641] = "\x16\3\1\x41\x01";

static const junk_t to_server[] = {
    {"W01 GET", BYTES("GET / HTTP/1.0\r\n\r\n"), STAY, SP_EHTTP, -1, "plain HTTP"},
    {"W01 POST", BYTES("POST /x HTTP/1.1\r\nHost: x\r\n\r\n"), STAY, SP_EHTTP, -1, "plain HTTP"},
    {"W01 HEAD", BYTES("HEAD / HTTP/1.1\r\n\r\n"), STAY, SP_EHTTP, -1, "plain HTTP"},
    {"W01 PUT", BYTES("PUT / HTTP/1.1\r\n\r\n"), STAY, SP_EHTTP, -1, "plain HTTP"},
    {"W01 CONNECT", BYTES("CONNECT a:1 HTTP/1.1\r\n\r\n"), STAY, SP_EHTTP, -1, "CONNECT"},
    {"W02 0xff", BYTES(FF8 FF8 FF8 FF8 FF8 FF8 FF8 FF8), STAY, SP_ENOTTLS, -1,
     "begins \"\\xff\\xff\\xff"},
    {"SSH", BYTES("SSH-2.0-OpenSSH_9.2\r\n"), STAY, SP_ENOTTLS, -1, "SSH client"},
    {"W03 FIN at once", "", 0, FIN, SP_EEARLYCLOSE, -1, "before it sent anything"},
    {"W03 RST at once", "", 0, RST, UV_ECONNRESET, -1, "handshake"},
    {"W04 one byte, FIN", BYTES("\x16"), FIN, SP_EEARLYCLOSE, -1, "before the connection was"},
    {"W04 two bytes, FIN", BYTES("\x16\3"), FIN, SP_EEARLYCLOSE, -1, "before the connection was"},
    {"W04 three bytes, FIN", BYTES("\x16\3\1"), FIN, SP_EEARLYCLOSE, -1, "before"},
    {"W04 four bytes, FIN", BYTES("\x16\3\1\0"), FIN, SP_EEARLYCLOSE, -1, "before"},
    {"W04 one byte, RST", BYTES("\x16"), RST, UV_ECONNRESET, -1, "handshake"},
    {"W04 two bytes, RST", BYTES("\x16\3"), RST, UV_ECONNRESET, -1, "handshake"},
    {"W04 three bytes, RST", BYTES("\x16\3\1"), RST, UV_ECONNRESET, -1, "handshake"},
    {"W04 four bytes, RST", BYTES("\x16\3\1\0"), RST, UV_ECONNRESET, -1, "handshake"},
    {"W05 length 0xffff", BYTES("\x16\3\1\xff\xff" RANDOM), STAY, SP_EPROTOCOL, 22, "longer"},
    {"W06 length 2^14+257", too_long, sizeof too_long, STAY, SP_EPROTOCOL, 22, "longer"},
    {"W07 an empty record", BYTES("\x16\3\1\0\0"), FIN, SP_EEARLYCLOSE, -1, "before"},
    {"W07 forty of them", BYTES(EMPTY8 EMPTY8 EMPTY8 EMPTY8 EMPTY8), STAY, SP_EPROTOCOL, 10, ""},
    /* SSL 3.0 has no protocol_version, says RFC 6101 5.4.2: handshake_failure it is */
    {"W08 SSL 3.0", BYTES(OLD_HELLO("\0")), STAY, SP_EPROTOCOL, 40, "versions"},
    {"W08 TLS 1.0", BYTES(OLD_HELLO("\1")), STAY, SP_EPROTOCOL, 70, "versions"},
    {"W08 TLS 1.1", BYTES(OLD_HELLO("\2")), STAY, SP_EPROTOCOL, 70, "versions"},
    {"W08 SSL 2.0 hello of SSL 2.0",
     BYTES("\x80\x1f\1\0\2\0\6\0\0\0\x10\1\0\x80\2\0\x80"
           "0123456789abcdef"),
     STAY, SP_EPROTOCOL, 70, "versions"},
    {"W08 SSL 2.0 hello of TLS 1.0",
     BYTES("\x80\x1f\1\3\1\0\6\0\0\0\x10\0\0\x2f\0\0\x35"
           "0123456789abcdef"),
     STAY, SP_EPROTOCOL, 70, "versions"},
    {"W23 data first", BYTES("\x17\3\3\0\5hello"), STAY, SP_EPROTOCOL, 10, ""},
    {"W23 change of ciphers first", BYTES(CCS), STAY, SP_EPROTOCOL, 10, ""},
    {"W23 an unknown record type", BYTES("\x18\3\3\0\5hello"), STAY, SP_EPROTOCOL, 10, ""},
    {"a server hello", BYTES("\x16\3\3\0\4\2\0\0\0"), STAY, SP_EPROTOCOL, 10, ""},
    {"a hello that is none", BYTES("\x16\3\1\0\6\1\0\0\2xx"), STAY, SP_EPROTOCOL, 50, ""},
    {"a hello of 16 MB", BYTES("\x16\3\1\0\4\1\xff\xff\xff"), STAY, SP_EPROTOCOL, 47, ""},
    {"a fatal alert first", BYTES("\x15\3\1\0\2\2\x28"), STAY, SP_EPROTOCOL, 10, "belong here"},
    {"a warning first", BYTES("\x15\3\1\0\2\1\x5a"), STAY, SP_EPROTOCOL, 10, "belong here"},
    {"a close_notify first", BYTES("\x15\3\1\0\2\1\0"), STAY, SP_EPROTOCOL, 10, "belong here"},
};

static const junk_t to_client[] = {
    {"W01 HTTP", BYTES("HTTP/1.0 400 Bad Request\r\n\r\n"), STAY, SP_EHTTP, -1, "plain HTTP"},
    {"W01 HTTP, cut", BYTES("HTTP/"), FIN, SP_EHTTP, -1, "plain HTTP"},
    {"W02 0xff", BYTES(FF8 FF8 FF8 FF8 FF8 FF8 FF8 FF8), STAY, SP_ENOTTLS, -1,
     "begins \"\\xff\\xff\\xff"},
    {"SMTP", BYTES("220 mail.example ESMTP\r\n"), STAY, SP_ENOTTLS, -1, "STARTTLS"},
    {"IMAP", BYTES("* OK IMAP4 ready\r\n"), STAY, SP_ENOTTLS, -1, "STARTTLS"},
    {"POP3", BYTES("+OK ready\r\n"), STAY, SP_ENOTTLS, -1, "STARTTLS"},
    {"SSH", BYTES("SSH-2.0-OpenSSH_9.2\r\n"), STAY, SP_ENOTTLS, -1, "SSH server"},
    {"W03 FIN at once", "", 0, FIN, SP_EEARLYCLOSE, -1, "before it sent anything"},
    {"W03 RST at once", "", 0, RST, UV_ECONNRESET, -1, "handshake"},
    {"W04 one byte, FIN", BYTES("\x16"), FIN, SP_EEARLYCLOSE, -1, "during the handshake"},
    {"W04 four bytes, FIN", BYTES("\x16\3\3\0"), FIN, SP_EEARLYCLOSE, -1, "during the handshake"},
    {"W04 one byte, RST", BYTES("\x16"), RST, UV_ECONNRESET, -1, "handshake"},
    {"W04 four bytes, RST", BYTES("\x16\3\3\0"), RST, UV_ECONNRESET, -1, "handshake"},
    {"W05 length 0xffff", BYTES("\x16\3\3\xff\xff" RANDOM), STAY, SP_EPROTOCOL, 22, "longer"},
    {"W06 length 2^14+257", too_long, sizeof too_long, STAY, SP_EPROTOCOL, 22, "longer"},
    {"W07 an empty record", BYTES("\x16\3\3\0\0"), FIN, SP_EEARLYCLOSE, -1, "during"},
    {"W07 forty of them", BYTES(EMPTY8 EMPTY8 EMPTY8 EMPTY8 EMPTY8), STAY, SP_EPROTOCOL, 10, ""},
    {"W08 TLS 1.0", BYTES("\x16\3\1\0\x2a\2\0\0\x26\3\1" RANDOM "\0\xc0\x13\0"), STAY, SP_EPROTOCOL,
     70, "versions"},
    {"W08 TLS 1.1", BYTES("\x16\3\2\0\x2a\2\0\0\x26\3\2" RANDOM "\0\xc0\x13\0"), STAY, SP_EPROTOCOL,
     70, "versions"},
    {"W08 an alert", BYTES("\x15\3\1\0\2\2\x46"), STAY, SP_EALERT, -1, "protocol versions"},
    {"W23 data first", BYTES("\x17\3\3\0\5hello"), STAY, SP_EPROTOCOL, 10, ""},
    {"W23 an unknown record type", BYTES("\x18\3\3\0\5hello"), STAY, SP_EPROTOCOL, 10, ""},
    {"a client hello", BYTES("\x16\3\3\0\4\1\0\0\0"), STAY, SP_EPROTOCOL, 10, ""},
    {"a hello that is none", BYTES("\x16\3\3\0\6\2\0\0\2\3\3"), STAY, SP_EPROTOCOL, 50, ""},
    {"a hello of 16 MB", BYTES("\x16\3\3\0\4\2\xff\xff\xff"), STAY, SP_EPROTOCOL, 47, ""},
    {"a fatal alert", BYTES("\x15\3\3\0\2\2\x28"), STAY, SP_EALERT, -1, "handshake_failure (40)"},
    {"a close_notify", BYTES("\x15\3\3\0\2\1\0"), STAY, SP_EEARLYCLOSE, -1, ""},
};

/* -- the peer ---------------------------------------------------------------------------------- */

static void say(raw_t *raw) {
  const junk_t *junk = raw->data;
  raw_send(raw, junk->bytes, junk->n);
  if (junk->ending == FIN)
    raw_fin(raw);
  else if (junk->ending == RST)
    raw_reset(raw);
}

/* A server first reads the hello, so that its reset does not come before that. */
static void say_when_asked(raw_t *raw) {
  raw->on_bytes = NULL;
  say(raw);
}

static void await_hello(raw_t *raw) { raw->on_bytes = say_when_asked; }

/* -- what has to come of it -------------------------------------------------------------------- */

/* The whole table is gone through; each row that is wrong says so. */
static int wrong;

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vprint_error(format, arguments);
  va_end(arguments);
  wrong++;
}

/* The last thing that came, if it is an alert in the clear; -1: none. */
static int last_alert(const raw_t *raw) {
  const uint8_t *end = raw->got + raw->got_size - 7;
  bool any = raw->got_size >= 7 && end[0] == 0x15 && end[1] == 3 && !end[3] && end[4] == 2;
  return any && end[5] == 2 ? end[6] : -1;
}

static void check_wire(const junk_t *junk, const raw_t *raw, const actor_t *actor) {
  int alert = last_alert(raw);
  if (raw->over != UV_EOF) /* we closed, and without a reset */
    complain("%s: ended by %s\n", junk->name, uv_err_name(raw->over));
  if (alert != junk->alert)
    complain("%s: alert %d on the wire, not %d\n", junk->name, alert, junk->alert);
  if (actor->is_server && raw->got_size != (alert < 0 ? 0 : 7))
    complain("%s: %zu bytes on the wire\n", junk->name, raw->got_size);
  if (junk->alert >= 0 && actor->error.alert != junk->alert)
    complain("%s: alert %d in the error\n", junk->name, actor->error.alert);
}

static void check_junk(const junk_t *junk, const raw_t *raw, const actor_t *actor) {
  int status = actor->statuses[ON_SECURE];
  char log[100];
  if (status != junk->status || !strstr(actor->error.text, junk->words))
    complain("%s: %s: \"%s\", not %s, \"%s\"\n", junk->name, sp_error_name(status),
             actor->error.text, sp_error_name(junk->status), junk->words);
  (void)snprintf(log, sizeof log, "secure(%s) close", sp_error_name(status));
  if (strcmp(actor->log, log))
    complain("%s: %s\n", junk->name, actor->log);
  if (actor->error.who != (status > -4096 ? SP_TRANSPORT : SP_PEER))
    complain("%s: the blame is on %d\n", junk->name, (int)actor->error.who);
  if (junk->ending != RST)
    check_wire(junk, raw, actor);
}

static void end_when_secure(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && status == 0)
    sp_stream_end(actor->stream);
}

/* The server still answers. */
static void check_good_client(const char *after, fixture_t *f) {
  actor_t *good = fixture_connect(f, FIXTURE_CLIENT(f));
  good->react = end_when_secure;
  fixture_run_until(f, f->done);
  if (strcmp(good->log, "secure close") && strcmp(good->log, "secure end close"))
    complain("%s: then a good client: %s\n", after, good->log);
}

static void junk_to_a_server(void **state) {
  (void)state;
  wrong = 0;
  for (size_t i = 0; i < COUNT(to_server); i++) {
    const junk_t *junk = &to_server[i];
    raws_t raws;
    fixture_t *f = fixture_new();
    fixture_serve(f, FIXTURE_SERVER(.handshake_timeout = 5000));
    raws_begin(&raws, f);
    const raw_t *raw = raw_connect(&raws, say, (void *)(uintptr_t)junk);
    fixture_run_until(f, f->done);
    if (f->served == 1)
      check_junk(junk, raw, fixture_served(f, 0));
    else
      complain("%s: not heard of\n", junk->name);
    check_good_client(junk->name, f);
    raws_run(&raws);
    raws_free(&raws);
    fixture_free(f);
  }
  assert_int_equal(wrong, 0);
}

static void junk_to_a_client(void **state) {
  (void)state;
  wrong = 0;
  for (size_t i = 0; i < COUNT(to_client); i++) {
    const junk_t *junk = &to_client[i];
    raws_t raws;
    fixture_t *f = fixture_new();
    raws_begin(&raws, f);
    raw_listen(&raws, await_hello, (void *)(uintptr_t)junk);
    f->port = raws.port;
    actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f, .handshake_timeout = 5000));
    raws_run(&raws);
    assert_non_null(raws.first);
    check_junk(junk, raws.first, client);
    raws_free(&raws);
    fixture_free(f);
  }
  assert_int_equal(wrong, 0);
}

/* -- W12: hellos in pieces --------------------------------------------------------------------- */

typedef struct pieces {
  size_t size;         /* of the content of each record */
  const char *between; /* put between two records */
  size_t between_size;
} pieces_t;

static void cut_to_pieces(const wire_t *hello, const pieces_t *how, wire_t *to) {
  assert_int_equal(hello->bytes[0], 0x16);
  for (size_t at = 5; at < hello->size; at += how->size) {
    size_t n = hello->size - at < how->size ? hello->size - at : how->size;
    uint8_t header[] = {0x16, 3, 1, (uint8_t)(n >> 8), (uint8_t)n};
    wire_add(to, header, sizeof header);
    wire_add(to, hello->bytes + at, n);
    if (at + n < hello->size)
      wire_add(to, how->between, how->between_size);
  }
}

/* A pair in memory is the client of a pair whose hello goes in pieces. Answers the server's status.
 */
static int shake_hands_in_pieces(sp_protocol_t version, const pieces_t *how) {
  couple_t couple;
  wire_t hello = {0};
  couple_make(&couple, version);
  side_collect(&couple.client, &(manner_t){0}, &hello);
  cut_to_pieces(&hello, how, &couple.server.in);
  wire_free(&hello);
  couple_run(&couple, &(manner_t){0});
  int status = sp_pair_error(couple.server.pair)->status;
  unsigned both = sp_pair_state(couple.server.pair) & sp_pair_state(couple.client.pair);
  if (status == 0)
    assert_true(both & SP_PAIR_SECURE);
  else
    assert_true(both & SP_PAIR_FAILED); /* the client got the alert */
  couple_free(&couple);
  return status;
}

static void a_hello_in_pieces(void **state) {
  (void)state;
  static const sp_protocol_t versions[] = {SP_TLS1_2, SP_TLS1_3};
  static const pieces_t sizes[] = {{.size = 1},
                                   {.size = 2},
                                   {.size = 3},
                                   {.size = 7},
                                   {.size = 100}},
                        spoilt[] = {
                            {100, BYTES("\x15\3\1\0\2\1\x5a")}, /* a warning, user_canceled */
                            {1, BYTES("\x15\3\1\0\2\1\x5a")},
                            {100, BYTES(CCS)},
                            {100, BYTES("\x17\3\3\0\5hello")},
                        };
  for (int v = 0; v < 2; v++) {
    for (size_t i = 0; i < COUNT(sizes); i++)
      assert_int_equal(shake_hands_in_pieces(versions[v], &sizes[i]), 0);
    for (size_t i = 0; i < COUNT(spoilt); i++) {
      int status = shake_hands_in_pieces(versions[v], &spoilt[i]);
      if (status != SP_EPROTOCOL)
        fail_msg("W12 %zu in version %d: %s", i, v, sp_error_name(status));
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(junk_to_a_server),
      cmocka_unit_test(junk_to_a_client),
      cmocka_unit_test(a_hello_in_pieces),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
