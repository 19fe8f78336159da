/* The key log: the lines that both ends write are the same, and they are those of the connection;
 * nobody gets one without asking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/async.h>
#include <openssl/ssl.h>

#include "support/contexts.h"
#include "support/couple.h"
#include "support/pki.h"
#include "support/signing.h"

static const manner_t whole = {.read = 0};

typedef struct log {
  char text[4096];
  size_t lines;
  bool in_job;
} log_t;

static void on_keylog(sp_pair_t *pair, const char *line, void *data) {
  log_t *log = data;
  const void *out;
  (void)sp_pair_encrypted_out(pair, &out); /* asking is fine */
  log->lines++;
  log->in_job |= ASYNC_get_current_job() != NULL;
  strcat(strcat(log->text, line), "\n");
}

static int on_sign(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n, void *data) {
  uint8_t signature[512];
  (void)data;
  size_t size =
      signing_sign(pki_default()->server->key, scheme, message, n, signature, sizeof signature);
  return size ? sp_pair_sign_with(pair, signature, size) : SP_ECRYPTO;
}

static sp_context_t *client_of(log_t *log, sp_protocol_t version) {
  return context_made(SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem),
                                 .max_version = version, .hooks.keylog = on_keylog,
                                 .hooks_data = log));
}

/* With `signs` the private key is behind a hook, so that OpenSSL works in a job. */
static sp_context_t *server_of(log_t *log, bool signs) {
  const pki_t *pki = pki_default()->server;
  sp_options_t options = {.size = sizeof options, .cert = pki->cert_pem, .hooks_data = log};
  options.hooks.keylog = on_keylog;
  if (signs)
    options.hooks.sign = on_sign;
  else
    options.key = pki->key_pem;
  return context_made(&options);
}

static void has_line(const log_t *log, const char *label) {
  char with_space[64];
  (void)snprintf(with_space, sizeof with_space, "%s ", label);
  if (!strstr(log->text, with_space))
    fail_msg("%s is not in the log:\n%s", label, log->text);
}

/* What a reader of the log has to find: the secret under our client's random. */
static void has_master_key(const log_t *log, SSL *ssl) {
  unsigned char random[32], key[48];
  char line[256] = "CLIENT_RANDOM ", *at = line + strlen(line);
  assert_int_equal(SSL_get_client_random(ssl, random, sizeof random), sizeof random);
  assert_int_equal(SSL_SESSION_get_master_key(SSL_get_session(ssl), key, sizeof key), sizeof key);
  for (size_t i = 0; i < sizeof random; i++)
    at += sprintf(at, "%02x", random[i]);
  *at++ = ' ';
  for (size_t i = 0; i < sizeof key; i++)
    at += sprintf(at, "%02x", key[i]);
  assert_non_null(strstr(log->text, line));
}

static void both_ends_say_the_same(void **state) {
  (void)state;
  static const char *const labels[] = {"SERVER_HANDSHAKE_TRAFFIC_SECRET",
                                       "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "EXPORTER_SECRET",
                                       "SERVER_TRAFFIC_SECRET_0", "CLIENT_TRAFFIC_SECRET_0"};
  for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3; version++)
    for (int signs = 0; signs < 2; signs++) {
      log_t ours = {.lines = 0}, theirs = {.lines = 0};
      sp_context_t *client = client_of(&ours, version), *server = server_of(&theirs, signs);
      couple_t couple;
      couple_make_of(&couple, client, server);
      couple_shake_hands(&couple);
      assert_true(ours.lines > 0);
      assert_int_equal(ours.lines, theirs.lines);
      assert_false(ours.in_job || theirs.in_job);
      if (version == SP_TLS1_2)
        has_master_key(&ours, sp_pair_ssl(couple.client.pair));
      for (size_t i = 0; version == SP_TLS1_3 && i < sizeof labels / sizeof *labels; i++) {
        has_line(&ours, labels[i]);
        has_line(&theirs, labels[i]);
      }
      if (version == SP_TLS1_2)
        assert_string_equal(ours.text, theirs.text);
      couple_run(&couple, &whole);
      couple_free(&couple);
      sp_context_release(client);
      sp_context_release(server);
    }
}

/* A context that was made without the hook makes no lines, and cannot be asked to. */
static void only_by_request(void **state) {
  (void)state;
  couple_t couple;
  log_t log = {.lines = 0};
  sp_error_t why;
  sp_pair_t *pair = NULL;
  sp_context_t *context = couple_client_context(SP_TLS1_3);
  assert_int_equal(
      sp_pair_make(&pair, SP_CLIENT, &why,
                   SP_OPTIONS(.context = context, .hooks.keylog = on_keylog, .hooks_data = &log)),
      SP_EOPTION);
  assert_non_null(strstr(why.text, "keylog"));
  couple_make(&couple, SP_TLS1_3);
  assert_null(SSL_CTX_get_keylog_callback(sp_context_ssl_ctx(context)));
  assert_int_equal(sp_pair_set_hooks(couple.client.pair, &(sp_hooks_t){.keylog = on_keylog}, &log),
                   SP_EOPTION);
  couple_shake_hands(&couple);
  couple_free(&couple);
}

/* Hooks of one connection get its lines, and no others. */
static void of_one_connection(void **state) {
  (void)state;
  log_t all = {.lines = 0}, one = {.lines = 0};
  couple_t couple;
  sp_context_t *client = client_of(&all, SP_TLS1_3);
  couple_make_with(&couple,
                   SP_OPTIONS(.context = client, .hooks.keylog = on_keylog, .hooks_data = &one),
                   SP_OPTIONS(.context = couple_server_context(SP_TLS1_3)));
  couple_shake_hands(&couple);
  assert_int_equal(one.lines, 5);
  assert_int_equal(all.lines, 0);
  couple_free(&couple);
  sp_context_release(client);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_ends_say_the_same),
      cmocka_unit_test(only_by_request),
      cmocka_unit_test(of_one_connection),
  };
  return cmocka_run_group_tests_name("pair-keylog", tests, NULL, NULL);
}
