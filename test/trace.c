/* The hook `trace`: what its lines say of a handshake, that both ends tell the same, that nobody's
 * bytes get a line out of its bounds, and that the hook may do what others may. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "pair/describe.h"
#include "support/contexts.h"
#include "support/couple.h"
#include "support/pki.h"
#include "support/signing.h"

static const manner_t whole = {.read = 0};

typedef struct log {
  char text[16384];
  size_t lines;
  bool in_job, releases;
} log_t;

static void on_trace(sp_pair_t *pair, const char *line, void *data) {
  log_t *log = data;
  assert_in_range(strlen(line), 3, SP__LINE - 1);
  log->lines++;
  log->in_job |= ASYNC_get_current_job() != NULL;
  assert_in_range(strlen(log->text) + strlen(line) + 2, 0, sizeof log->text);
  strcat(strcat(log->text, line), "\n");
  if (log->releases)
    sp_pair_release(pair);
}

static int on_sign(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n, void *data) {
  uint8_t signature[512];
  (void)data;
  size_t size =
      signing_sign(pki_default()->server->key, scheme, message, n, signature, sizeof signature);
  return size ? sp_pair_sign_with(pair, signature, size) : SP_ECRYPTO;
}

/* Options of either side, traced to a log. */
static sp_options_t client_of(log_t *log, sp_protocol_t version) {
  static const char *ca[2];
  static const char *const alpn[] = {"h2", "http/1.1", NULL};
  ca[0] = pki_default()->root->cert_pem;
  sp_options_t options = {
      .size = sizeof options, .ca = ca, .max_version = version, .alpn = alpn, .hooks_data = log};
  options.hooks.trace = on_trace;
  return options;
}

static sp_options_t server_of(log_t *log) {
  static const char *const alpn[] = {"http/1.1", NULL};
  sp_options_t options = {.size = sizeof options,
                          .key = pki_default()->server->key_pem,
                          .cert = pki_default()->server->cert_pem,
                          .alpn = alpn,
                          .hooks_data = log};
  options.hooks.trace = on_trace;
  return options;
}

static void says(const log_t *log, const char *words) {
  if (!strstr(log->text, words))
    fail_msg("no \"%s\" in:\n%s", words, log->text);
}

static void does_not_say(const log_t *log, const char *words) {
  if (strstr(log->text, words))
    fail_msg("\"%s\" is in:\n%s", words, log->text);
}

/* The lines of one direction. */
static void direction(const log_t *log, char sign, char *room) {
  char copy[sizeof log->text], *rest = NULL;
  strcpy(copy, log->text);
  *room = '\0';
  for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
    if (*line == sign)
      strcat(strcat(room, line + 1), "\n");
}

static void check_same(const log_t *one, const log_t *other) {
  static char sent[sizeof one->text], got[sizeof one->text];
  direction(one, '>', sent);
  direction(other, '<', got);
  assert_string_equal(sent, got);
}

static void hold(couple_t *couple, const sp_options_t *client, const sp_options_t *server) {
  couple_make_with(couple, client, server);
  couple_run(couple, &whole);
}

static void test_handshake_1_3(void **state) {
  (void)state;
  log_t client = {.lines = 0}, server = {.lines = 0};
  sp_options_t options = client_of(&client, SP_TLS1_3), theirs = server_of(&server);
  couple_t couple;
  options.groups = "X25519:P-256";
  hold(&couple, &options, &theirs);
  assert_true(sp_pair_state(couple.client.pair) & SP_PAIR_SECURE);
  says(&client, "> ClientHello, ");
  says(&client, " bytes: TLS 1.3,TLS 1.2; ");
  says(&client, " cipher suites; name localhost; ALPN h2,http/1.1; groups x25519,secp256r1");
  says(&client, " bytes: TLS 1.3 TLS_");
  says(&client, " x25519\n");
  says(&client, "< EncryptedExtensions, ");
  says(&client, " bytes: ALPN http/1.1\n");
  says(&client, " bytes: 1 certificate, of localhost\n");
  says(&client, " bytes: ecdsa_secp256r1_sha256\n");
  says(&client, "< Finished, ");
  says(&client, "> Finished, ");
  says(&client, "< NewSessionTicket, ");
  says(&client, " bytes: good for 7200 s\n");
  does_not_say(&client, "wants to resume");
  does_not_say(&client, "cut off");
  (void)sp_pair_end(couple.client.pair);
  couple_run(&couple, &whole);
  says(&client, "> alert warning close_notify (0)\n");
  says(&server, "< alert warning close_notify (0)\n");
  couple_free(&couple);
}

static void test_handshake_1_2(void **state) {
  (void)state;
  log_t client = {.lines = 0}, server = {.lines = 0};
  sp_options_t options = client_of(&client, SP_TLS1_2), theirs = server_of(&server);
  couple_t couple;
  hold(&couple, &options, &theirs);
  says(&client, " bytes: TLS 1.2 TLS_ECDHE_ECDSA_WITH_");
  says(&client, "; ALPN http/1.1\n");
  says(&client, "< Certificate, ");
  says(&client, "< ServerKeyExchange, ");
  says(&client, " bytes: x25519\n");
  says(&client, "< ServerHelloDone, 4 bytes\n");
  says(&client, "> ClientKeyExchange, ");
  says(&client, "> ChangeCipherSpec\n");
  says(&client, "< ChangeCipherSpec\n");
  couple_free(&couple);
}

/* Whatever one end sends the other one sees alike, word by word. */
static void test_both_ends_tell_the_same(void **state) {
  (void)state;
  log_t client = {.lines = 0}, server = {.lines = 0};
  sp_options_t options = client_of(&client, SP_TLS1_2), theirs = server_of(&server);
  couple_t couple;
  hold(&couple, &options, &theirs);
  check_same(&client, &server);
  check_same(&server, &client);
  couple_free(&couple);
}

static void test_another_hello_and_resuming(void **state) {
  (void)state;
  log_t client = {.lines = 0}, server = {.lines = 0};
  sp_options_t options = client_of(&client, SP_TLS1_3), theirs = server_of(&server);
  couple_t couple;
  uint8_t session[8192];
  options.groups = "X25519:P-256";
  theirs.groups = "P-256";
  hold(&couple, &options, &theirs);
  says(&client, " secp256r1; asks for another ClientHello\n");
  sp_context_t *context = sp_context_retain(sp_pair_context(couple.server.pair));
  size_t n = sp_pair_session(couple.client.pair, session, sizeof session);
  assert_in_range(n, 1, sizeof session);
  couple_free(&couple);
  memset(&client, 0, sizeof client);
  options.session = session;
  options.session_size = n;
  hold(&couple, &options, &(sp_options_t){.size = sizeof theirs, .context = context});
  assert_true(sp_pair_is_resumed(couple.client.pair));
  says(&client, "; wants to resume\n");
  says(&client, "; resumes\n");
  does_not_say(&client, "Certificate");
  sp_context_release(context);
  couple_free(&couple);
}

static void test_alert(void **state) {
  (void)state;
  log_t client = {.lines = 0}, server = {.lines = 0};
  sp_options_t options = client_of(&client, SP_TLS1_3), theirs = server_of(&server);
  const char *const stranger[] = {pki_default()->stranger_root->cert_pem, NULL};
  couple_t couple;
  options.ca = stranger;
  hold(&couple, &options, &theirs);
  says(&client, "> alert fatal unknown_ca (48)\n");
  says(&server, "< alert fatal unknown_ca (48)\n");
  couple_free(&couple);
}

/* A hook that signs has OpenSSL work on a small stack: not the trace. */
static void test_not_on_a_small_stack(void **state) {
  (void)state;
  log_t client = {.lines = 0}, server = {.lines = 0}, plain = {.lines = 0};
  for (int signs = 0; signs <= 1; signs++) {
    log_t *log = signs ? &server : &plain;
    sp_options_t options = client_of(&client, SP_TLS1_2), theirs = server_of(log);
    couple_t couple;
    if (signs) {
      theirs.key = NULL;
      theirs.hooks.sign = on_sign;
    }
    hold(&couple, &options, &theirs);
    assert_true(sp_pair_state(couple.server.pair) & SP_PAIR_SECURE);
    couple_free(&couple);
  }
  assert_false(server.in_job);
  assert_int_equal(server.lines, plain.lines);
}

/* The first line is the last, of a pair that the program keeps no longer. */
static void test_release_in_the_hook(void **state) {
  (void)state;
  log_t client = {.releases = true}, server = {.releases = true};
  sp_options_t options = client_of(&client, SP_TLS1_3), theirs = server_of(&server);
  sp_pair_t *pair = NULL;
  sp_error_t why;
  options.server_name = "localhost";
  assert_int_equal(sp_pair_make(&pair, SP_CLIENT, &why, &options), -ECANCELED);
  assert_int_equal(client.lines, 1);

  client.releases = false;
  assert_int_equal(sp_pair_make(&pair, SP_CLIENT, &why, &options), 0);
  sp_pair_t *other = NULL;
  assert_int_equal(sp_pair_make(&other, SP_SERVER, &why, &theirs), 0);
  const void *hello;
  size_t n = sp_pair_encrypted_out(pair, &hello);
  (void)sp_pair_encrypted_in(other, hello, n);
  assert_int_equal(server.lines, 1);
  sp_pair_release(pair);
}

static int wait(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n, void *data) {
  (void)pair, (void)scheme, (void)message, (void)n, (void)data;
  return SP_PENDING;
}

/* Nothing is told of a pair that was released while its key's hook was waited for. */
static void test_released_while_it_waits(void **state) {
  (void)state;
  log_t client = {.lines = 0}, server = {.lines = 0};
  sp_options_t options = client_of(&client, SP_TLS1_3), theirs = server_of(&server);
  couple_t couple;
  theirs.key = NULL;
  theirs.hooks.sign = wait;
  hold(&couple, &options, &theirs);
  size_t lines = server.lines;
  assert_true(lines > 0);
  couple_free(&couple);
  assert_int_equal(server.lines, lines);
}

static void test_printer(void **state) {
  (void)state;
  char *text;
  size_t n;
  FILE *file = open_memstream(&text, &n);
  sp_options_t options = client_of(NULL, SP_TLS1_3);
  sp_pair_t *pair;
  sp_error_t why;
  options.server_name = "localhost";
  options.hooks.trace = sp_trace_print;
  options.hooks_data = file;
  assert_int_equal(sp_pair_make(&pair, SP_CLIENT, &why, &options), 0);
  sp_pair_release(pair);
  assert_int_equal(fclose(file), 0);
  assert_int_equal(strncmp(text, "> ClientHello, ", 15), 0);
  assert_int_equal(text[n - 1], '\n');
  free(text);
}

/* -- hostile bytes ----------------------------------------------------------------------------- */

#define KEPT 64

static struct {
  uint8_t *bytes;
  size_t n;
  int type;
} kept[KEPT];
static size_t kept_count;

static void keep(int sent, int version, int type, const void *bytes, size_t n, SSL *ssl,
                 void *data) {
  (void)sent, (void)version, (void)ssl, (void)data;
  if (type > 255 || kept_count == KEPT)
    return;
  kept[kept_count].bytes = malloc(n);
  memcpy(kept[kept_count].bytes, bytes, n);
  kept[kept_count].n = n;
  kept[kept_count++].type = type;
}

static void keep_messages(sp_protocol_t version) {
  log_t log = {.lines = 0};
  sp_options_t options = client_of(&log, version), theirs = server_of(&log);
  couple_t couple;
  options.hooks.trace = theirs.hooks.trace = NULL;
  couple_make_with(&couple, &options, &theirs);
  SSL_set_msg_callback(sp_pair_ssl(couple.client.pair), keep);
  wire_t *hello = &couple.server.in;
  side_collect(&couple.client, &whole, hello);
  if (wire_left(hello) > 5) /* that was there before */
    keep(1, 0, SSL3_RT_HANDSHAKE, hello->bytes + hello->taken + 5, wire_left(hello) - 5, NULL,
         NULL);
  couple_run(&couple, &whole);
  couple_free(&couple);
}

/* In a block of exactly its size, so that a sanitizer sees the first byte too many. */
static void describe(const SSL *ssl, int type, const uint8_t *bytes, size_t n) {
  char *line = malloc(SP__LINE);
  uint8_t *exact = malloc(n ? n : 1);
  assert_non_null(exact);
  memcpy(exact, bytes, n);
  sp__message_t message = {.ssl = ssl, .type = type, .bytes = exact, .n = n};
  assert_true(sp__describe(line, &message));
  size_t length = strnlen(line, SP__LINE);
  assert_in_range(length, 3, SP__LINE - 1);
  for (size_t i = 0; i < length; i++)
    if ((uint8_t)line[i] < 0x20 || line[i] == 0x7f)
      fail_msg("a control character in: %s", line);
  ERR_clear_error();
  free(exact);
  free(line);
}

static void spoil(const SSL *ssl, size_t i) {
  uint8_t *copy = malloc(kept[i].n ? kept[i].n : 1);
  for (int round = 0; round < 400; round++) {
    memcpy(copy, kept[i].bytes, kept[i].n);
    for (uint32_t flips = 1 + dice(4); flips; flips--)
      copy[dice((uint32_t)kept[i].n)] = (uint8_t)dice(256);
    describe(ssl, kept[i].type, copy, 1 + dice((uint32_t)kept[i].n));
  }
  free(copy);
}

static void test_hostile_bytes(void **state) {
  (void)state;
  dice_seed();
  for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++) {
    keep_messages((sp_protocol_t)version);
    couple_t couple;
    couple_make(&couple, (sp_protocol_t)version);
    couple_shake_hands(&couple);
    const SSL *ssl = sp_pair_ssl(couple.client.pair);
    assert_in_range(kept_count, 6, KEPT);
    for (size_t i = 0; i < kept_count; i++) {
      for (size_t n = 0; n <= kept[i].n; n++)
        describe(ssl, kept[i].type, kept[i].bytes, n);
      spoil(ssl, i);
      free(kept[i].bytes);
    }
    kept_count = 0;
    couple_free(&couple);
  }
}

/* A name with control characters, a long one, and more protocols than a line tells. */
static void test_hostile_texts(void **state) {
  (void)state;
  uint8_t hello[2000] = {1, 0, 0, 0, 3, 3};
  size_t at = 4 + 2 + 32;
  const uint8_t head[] = {0, 0, 2, 0x13, 1, 1, 0};
  memcpy(hello + at, head, sizeof head);
  at += sizeof head;
  uint8_t *extensions = hello + at;
  at += 2;
  const uint8_t name[] = {0,      0,   0,   14,  0,   12,   0,   0, 9,
                          '\033', '[', '3', '1', 'm', '\n', 'x', 0, 'y'};
  memcpy(hello + at, name, sizeof name);
  at += sizeof name;
  const uint8_t alpn[] = {0, 16, 0, 42, 0, 40};
  memcpy(hello + at, alpn, sizeof alpn);
  at += sizeof alpn;
  for (int i = 0; i < 20; i++, at += 2)
    memcpy(hello + at, "\1a", 2);
  size_t n = (size_t)(hello + at - extensions) - 2;
  extensions[0] = (uint8_t)(n >> 8);
  extensions[1] = (uint8_t)n;
  char line[SP__LINE];
  assert_true(
      sp__describe(line, &(sp__message_t){.type = SSL3_RT_HANDSHAKE, .bytes = hello, .n = at}));
  assert_non_null(strstr(line, "; name \\x1b[31m\\x0ax\\x00y; "));
  assert_non_null(strstr(line, "; ALPN a,a,a,a,a,a,a,a,..."));
  assert_null(strstr(line, "cut off"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_handshake_1_3),
      cmocka_unit_test(test_handshake_1_2),
      cmocka_unit_test(test_both_ends_tell_the_same),
      cmocka_unit_test(test_another_hello_and_resuming),
      cmocka_unit_test(test_alert),
      cmocka_unit_test(test_not_on_a_small_stack),
      cmocka_unit_test(test_release_in_the_hook),
      cmocka_unit_test(test_released_while_it_waits),
      cmocka_unit_test(test_printer),
      cmocka_unit_test(test_hostile_bytes),
      cmocka_unit_test(test_hostile_texts),
  };
  return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
