/*
 * A client's first message that comes twice, after a HelloRetryRequest (RFC 8446 4.1.2): what it
 * asks for the second time is what the hooks were asked about the first time, or there is no
 * connection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include <securepair/pair.h>

#include "support/contexts.h"
#include "support/pki.h"

/* -- a client of OpenSSL that has to try twice ------------------------------------------------- */

typedef struct talk {
  SSL *ssl;
  BIO *in, *out;
  sp_pair_t *pair;
} talk_t;

static void to_pair(talk_t *talk) {
  uint8_t bytes[20000];
  int n = BIO_read(talk->out, bytes, sizeof bytes);
  if (n <= 0)
    return;
  (void)sp_pair_encrypted_in(talk->pair, bytes, (size_t)n);
  (void)sp_pair_encrypted_release(talk->pair);
}

static void from_pair(talk_t *talk) {
  const void *bytes;
  size_t n;
  while ((n = sp_pair_encrypted_out(talk->pair, &bytes)) > 0) {
    assert_int_equal(BIO_write(talk->in, bytes, (int)n), (int)n);
    sp_pair_encrypted_sent(talk->pair, n);
  }
}

static SSL_CTX *client_context(void) {
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
  assert_true(SSL_CTX_set1_groups_list(ctx, "P-384:X25519")); /* a share of the first one only */
  return ctx;
}

static void set_protocol(SSL *ssl, const char *protocol) {
  uint8_t list[16] = {(uint8_t)strlen(protocol)};
  memcpy(list + 1, protocol, list[0]);
  assert_int_equal(SSL_set_alpn_protos(ssl, list, list[0] + 1u), 0);
}

static void begin(talk_t *talk, sp_context_t *server, const char *name) {
  SSL_CTX *ctx = client_context();
  talk->ssl = SSL_new(ctx);
  SSL_CTX_free(ctx);
  talk->in = BIO_new(BIO_s_mem());
  talk->out = BIO_new(BIO_s_mem());
  BIO_set_mem_eof_return(talk->in, -1);
  BIO_set_mem_eof_return(talk->out, -1);
  SSL_set_bio(talk->ssl, talk->in, talk->out);
  SSL_set_connect_state(talk->ssl);
  set_protocol(talk->ssl, "one");
  if (name)
    SSL_set_tlsext_host_name(talk->ssl, name);
  assert_int_equal(sp_pair_new(&talk->pair, server, SP_SERVER, NULL, false, NULL), 0);
}

static void step(talk_t *talk) {
  (void)SSL_do_handshake(talk->ssl);
  to_pair(talk);
  from_pair(talk);
}

static void end(talk_t *talk) {
  SSL_free(talk->ssl);
  sp_pair_release(talk->pair);
}

/* -- the server -------------------------------------------------------------------------------- */

static int times_asked;

static int on_name(sp_pair_t *pair, const char *name, void *data) {
  (void)pair, (void)name, (void)data;
  times_asked++;
  return 0;
}

static sp_context_t *server_context(void) {
  const pki_t *pki = pki_default()->server;
  return context_made(SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem, .groups = "X25519",
                                 .alpn = SP_LIST("one", "two"), .hooks.server_name = on_name));
}

/* How it ends when the second message asks for another name than the first one. */
static const sp_error_t *retry(talk_t *talk, const char *first, const char *second) {
  sp_context_t *server = server_context();
  times_asked = 0;
  begin(talk, server, first);
  sp_context_release(server);
  step(talk);
  assert_false(sp_pair_state(talk->pair) & SP_PAIR_FAILED);
  assert_int_equal(SSL_set_tlsext_host_name(talk->ssl, second), 1);
  for (int i = 0; i < 4; i++)
    step(talk);
  assert_int_equal(times_asked, first != NULL);
  return sp_pair_error(talk->pair);
}

static void the_same_name_again(void **state) {
  (void)state;
  static const char *const names[] = {"a.example", NULL};
  for (int i = 0; i < 2; i++) {
    talk_t talk;
    const sp_error_t *error = retry(&talk, names[i], names[i]);
    assert_int_equal(error->status, 0);
    assert_true(sp_pair_state(talk.pair) & SP_PAIR_SECURE);
    assert_true(SSL_is_init_finished(talk.ssl));
    assert_string_equal(sp_pair_server_name(talk.pair), names[i] ? names[i] : "");
    end(&talk);
  }
}

/* The hooks chose certificate, trust and policy for the first name: nobody gets to another one with
 * those. */
static void another_name_is_refused(void **state) {
  (void)state;
  static const char *const names[][2] = {
      {"a.example", "b.example"}, {"a.example", NULL}, {NULL, "b.example"}};
  for (int i = 0; i < 3; i++) {
    talk_t talk;
    const sp_error_t *error = retry(&talk, names[i][0], names[i][1]);
    assert_int_equal(error->status, SP_EPROTOCOL);
    assert_int_equal(error->who, SP_PEER);
    assert_int_equal(error->alert, SSL_AD_ILLEGAL_PARAMETER);
    assert_non_null(strstr(error->text, "server name"));
    assert_false(SSL_is_init_finished(talk.ssl));
    end(&talk);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_same_name_again),
      cmocka_unit_test(another_name_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
