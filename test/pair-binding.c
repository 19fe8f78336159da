/*
 * Channel bindings: both sides have the same, OpenSSL computes the same for itself, resumed
 * sessions have theirs, and what is not defined or not safe is refused with the reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "support/contexts.h"
#include "support/couple.h"
#include "support/program.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define EACH_VERSION(version)                                                                      \
  for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3; version++)

typedef struct binding {
  uint8_t bytes[SP_BINDING_SIZE];
  int n;
  sp_error_t why;
} binding_t;

static binding_t binding_of(const side_t *side, sp_binding_t type) {
  binding_t binding = {.n = 0};
  binding.n =
      sp_pair_channel_binding(side->pair, type, binding.bytes, sizeof binding.bytes, &binding.why);
  return binding;
}

/* Both sides have it, and the same. */
static binding_t common(const couple_t *couple, sp_binding_t type) {
  binding_t client = binding_of(&couple->client, type), server = binding_of(&couple->server, type);
  if (client.n < 0 || server.n < 0)
    fail_msg("client: %s; server: %s", client.why.text, server.why.text);
  assert_int_equal(client.n, server.n);
  assert_memory_equal(client.bytes, server.bytes, (size_t)client.n);
  return client;
}

static void expect_refused(const side_t *side, sp_binding_t type, int status, const char *words) {
  binding_t binding = binding_of(side, type);
  assert_int_equal(binding.n, status);
  assert_int_equal(binding.why.status, status);
  if (!strstr(binding.why.text, words))
    fail_msg("\"%s\" does not say \"%s\"", binding.why.text, words);
}

static void expect_digest(const binding_t *binding, const pki_t *of, const EVP_MD *hash) {
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned n;
  assert_true(X509_digest(of->x509, hash, digest, &n));
  assert_int_equal(binding->n, n);
  assert_memory_equal(binding->bytes, digest, n);
}

/* -- each type --------------------------------------------------------------------------------- */

static void exporter(void **state) {
  (void)state;
  EACH_VERSION(version) {
    couple_t couple, other;
    uint8_t own[32];
    couple_make(&couple, version);
    couple_shake_hands(&couple);
    binding_t binding = common(&couple, SP_TLS_EXPORTER);
    assert_int_equal(binding.n, 32);
    /* RFC 9266 2: the context is a string of length 0, which for TLS 1.2 is not the same as none */
    assert_true(SSL_export_keying_material(sp_pair_ssl(couple.server.pair), own, sizeof own,
                                           "EXPORTER-Channel-Binding", 24, own, 0, 1));
    assert_memory_equal(binding.bytes, own, sizeof own);
    couple_make(&other, version);
    couple_shake_hands(&other);
    binding_t others = common(&other, SP_TLS_EXPORTER);
    assert_memory_not_equal(binding.bytes, others.bytes, 32);
    couple_free(&other);
    couple_free(&couple);
  }
}

static void unique(void **state) {
  (void)state;
  couple_t couple;
  uint8_t first[64];
  couple_make(&couple, SP_TLS1_2);
  couple_shake_hands(&couple);
  binding_t binding = common(&couple, SP_TLS_UNIQUE);
  assert_int_equal(binding.n, 12);
  assert_int_equal(sp_pair_finished(couple.client.pair, false, first, sizeof first), 12);
  assert_memory_equal(binding.bytes, first, 12);
  couple_free(&couple);
  couple_make(&couple, SP_TLS1_3);
  couple_shake_hands(&couple);
  expect_refused(&couple.client, SP_TLS_UNIQUE, SP_EVERSION, "not defined for TLS 1.3");
  expect_refused(&couple.server, SP_TLS_UNIQUE, SP_EVERSION, "take tls-exporter");
  couple_free(&couple);
}

static sp_context_t *server_with(const pki_t *pki, const sp_options_t *more) {
  sp_options_t options = *more;
  options.key = pki->key_pem;
  options.cert = pki->cert_pem;
  return context_made(&options);
}

/* A server with this certificate, and a client that takes any. */
static void meet(couple_t *couple, const pki_t *pki, sp_protocol_t version) {
  sp_context_t *server = server_with(pki, SP_OPTIONS(.max_version = version));
  sp_context_t *client =
      context_made(SP_OPTIONS(.ca = SP_EMPTY_LIST, .reject_unauthorized = SP_NO));
  couple_make_of(couple, client, server);
  couple_shake_hands(couple);
  sp_context_release(client);
  sp_context_release(server);
}

/* The hash is that of the certificate's signature, which its issuer's key makes. */
static void end_point(void **state) {
  (void)state;
  static const struct {
    const char *key, *digest, *hash;
  } cases[] = {
      {"ec", "sha256", "SHA256"},    {"ec384", "sha384", "SHA384"},   {"rsa", "sha512", "SHA512"},
      {"ec", "sha224", "SHA224"},    {"rsa-pss", "sha384", "SHA384"}, {"ec", "sha1", "SHA256"},
      {"rsa", "sha1", "SHA256"},     {"rsa", "md5", "SHA256"},        {"ed25519", NULL, NULL},
      {"ec384", "sha512", "SHA512"}, {"rsa", "sha256", "SHA256"},
  };
  EACH_VERSION(version) for (size_t i = 0; i < COUNT(cases); i++) {
    /* self-signed: else a weak signature were refused */
    const pki_t *pki = PKI_MAKE(NULL, .cn = "localhost", .dns = PKI_LIST("localhost"),
                                .key = cases[i].key, .digest = cases[i].digest);
    couple_t couple;
    meet(&couple, pki, version);
    if (cases[i].hash) {
      binding_t binding = common(&couple, SP_TLS_SERVER_END_POINT);
      expect_digest(&binding, pki, EVP_get_digestbyname(cases[i].hash));
    } else {
      expect_refused(&couple.client, SP_TLS_SERVER_END_POINT, SP_ECERTIFICATE, "ED25519");
      expect_refused(&couple.server, SP_TLS_SERVER_END_POINT, SP_ECERTIFICATE, "tls-exporter");
    }
    couple_free(&couple);
  }
}

/* It stays the server's when the client shows a certificate, too. */
static void end_point_beside_a_clients_certificate(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  EACH_VERSION(version) {
    couple_t couple;
    couple_make_with(&couple,
                     SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem), .key = s->client->key_pem,
                                .cert = s->client->cert_pem),
                     SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem), .key = s->server->key_pem,
                                .cert = s->server->cert_pem, .request_cert = SP_YES,
                                .max_version = version));
    couple_shake_hands(&couple);
    assert_true(sp_pair_is_authorized(couple.server.pair));
    binding_t binding = common(&couple, SP_TLS_SERVER_END_POINT);
    expect_digest(&binding, s->server, EVP_sha256());
    couple_free(&couple);
  }
}

/* Of several certificates it is the one that was shown. */
static void end_point_of_the_one_that_was_shown(void **state) {
  (void)state;
  const pki_t *ec = PKI_MAKE(pki_default()->root, .dns = PKI_LIST("localhost"), .key = "ec");
  const pki_t *rsa = PKI_MAKE(pki_default()->root, .dns = PKI_LIST("localhost"), .key = "rsa");
  const sp_identity_t second = {.key = rsa->key_pem, .cert = rsa->cert_pem};
  EACH_VERSION(version) for (int i = 0; i < 2; i++) {
    couple_t couple;
    couple_make_with(&couple,
                     SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem),
                                .sigalgs = i ? "RSA-PSS+SHA256" : "ECDSA+SHA256"),
                     SP_OPTIONS(.key = ec->key_pem, .cert = ec->cert_pem, .identities = &second,
                                .identity_count = 1, .max_version = version));
    couple_run(&couple, &(const manner_t){.read = 0});
    if (!(sp_pair_state(couple.client.pair) & SP_PAIR_SECURE)) /* the root signs otherwise */
      fail_msg("%s", sp_pair_error(couple.client.pair)->text);
    binding_t binding = common(&couple, SP_TLS_SERVER_END_POINT);
    expect_digest(&binding, i ? rsa : ec, EVP_sha256());
    couple_free(&couple);
  }
}

/* -- resumed sessions -------------------------------------------------------------------------- */

static struct {
  uint8_t bytes[16384];
  size_t n;
} session;

static void resume(couple_t *couple, sp_context_t *client, sp_context_t *server) {
  couple_make_with(couple,
                   SP_OPTIONS(.context = client, .session = session.n ? session.bytes : NULL,
                              .session_size = session.n),
                   SP_OPTIONS(.context = server));
  couple->server.wanted = 1; /* so that the tickets of TLS 1.3 come, too */
  couple_shake_hands(couple);
  couple_run(couple, &(const manner_t){.read = 0});
  session.n = sp_pair_session(couple->client.pair, session.bytes, sizeof session.bytes);
  assert_in_range(session.n, 1, sizeof session.bytes);
}

static void resumed(void **state) {
  (void)state;
  EACH_VERSION(version) {
    sp_context_t *client = couple_client_context(version), *server = couple_server_context(version);
    couple_t first, second;
    session.n = 0;
    resume(&first, client, server);
    resume(&second, client, server);
    assert_true(sp_pair_is_resumed(second.client.pair));
    binding_t before = common(&first, SP_TLS_EXPORTER), after = common(&second, SP_TLS_EXPORTER);
    assert_memory_not_equal(before.bytes, after.bytes, 32);
    binding_t certificate = common(&second, SP_TLS_SERVER_END_POINT);
    expect_digest(&certificate, pki_default()->server, EVP_sha256());
    if (version == SP_TLS1_2) {
      uint8_t finished[64];
      binding_t unique_one = common(&second, SP_TLS_UNIQUE); /* the server was first */
      assert_int_equal(sp_pair_finished(second.server.pair, false, finished, sizeof finished), 12);
      assert_memory_equal(unique_one.bytes, finished, 12);
    }
    couple_free(&first);
    couple_free(&second);
  }
}

/* Which one was shown in the first connection nobody has written down. */
static void resumed_where_there_are_several_certificates(void **state) {
  (void)state;
  const pki_t *ec = PKI_MAKE(pki_default()->root, .dns = PKI_LIST("localhost"), .key = "ec");
  const pki_t *rsa = PKI_MAKE(pki_default()->root, .dns = PKI_LIST("localhost"), .key = "rsa");
  const sp_identity_t second_one = {.key = rsa->key_pem, .cert = rsa->cert_pem};
  EACH_VERSION(version) {
    sp_context_t *server = server_with(
        ec, SP_OPTIONS(.identities = &second_one, .identity_count = 1, .max_version = version));
    couple_t first, second;
    session.n = 0;
    resume(&first, couple_client_context(version), server);
    resume(&second, couple_client_context(version), server);
    assert_true(sp_pair_is_resumed(second.server.pair));
    binding_t shown = common(&first, SP_TLS_SERVER_END_POINT);
    expect_digest(&shown, ec, EVP_sha256());
    binding_t known = binding_of(&second.client, SP_TLS_SERVER_END_POINT);
    expect_digest(&known, ec, EVP_sha256());
    expect_refused(&second.server, SP_TLS_SERVER_END_POINT, SP_ECERTIFICATE, "several");
    (void)common(&second, SP_TLS_EXPORTER);
    couple_free(&first);
    couple_free(&second);
    sp_context_release(server);
  }
}

/* -- what is refused --------------------------------------------------------------------------- */

/* Sessions that do not know which connection they belong to (RFC 7627, RFC 9266 3). */
static void without_the_extended_master_secret(void **state) {
  (void)state;
  couple_t couple;
  couple_make_with(&couple,
                   SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem),
                              .max_version = SP_TLS1_2,
                              .openssl_options = SSL_OP_NO_EXTENDED_MASTER_SECRET),
                   SP_OPTIONS(.context = couple_server_context(SP_TLS1_2)));
  couple_shake_hands(&couple);
  expect_refused(&couple.client, SP_TLS_EXPORTER, SP_EVERSION, "extended master secret");
  expect_refused(&couple.server, SP_TLS_EXPORTER, SP_EVERSION, "extended master secret");
  expect_refused(&couple.client, SP_TLS_UNIQUE, SP_EVERSION, "extended master secret");
  expect_refused(&couple.server, SP_TLS_UNIQUE, SP_EVERSION, "extended master secret");
  (void)common(&couple, SP_TLS_SERVER_END_POINT);
  couple_free(&couple);
}

static int psk_server(sp_pair_t *pair, const char *identity, uint8_t *key, size_t size,
                      void *data) {
  (void)pair, (void)identity, (void)size, (void)data;
  memset(key, 7, 32);
  return 32;
}

static int psk_client(sp_pair_t *pair, const char *hint, char *identity, size_t identity_size,
                      uint8_t *key, size_t size, void *data) {
  (void)pair, (void)hint, (void)size, (void)data;
  (void)snprintf(identity, identity_size, "me");
  memset(key, 7, 32);
  return 32;
}

static void without_a_certificate(void **state) {
  (void)state;
  EACH_VERSION(version) {
    const char *ciphers = version == SP_TLS1_2 ? "ECDHE-PSK-CHACHA20-POLY1305" : NULL;
    const pki_t *pki = pki_default()->server;
    couple_t couple;
    couple_make_with(&couple,
                     SP_OPTIONS(.hooks.psk_client = psk_client, .ciphers = ciphers,
                                .min_version = version, .max_version = version),
                     SP_OPTIONS(.hooks.psk_server = psk_server, .ciphers = ciphers,
                                .key = pki->key_pem, .cert = pki->cert_pem, .min_version = version,
                                .max_version = version));
    couple_shake_hands(&couple);
    expect_refused(&couple.client, SP_TLS_SERVER_END_POINT, SP_ECERTIFICATE, "no certificate");
    expect_refused(&couple.server, SP_TLS_SERVER_END_POINT, SP_ECERTIFICATE, "no certificate");
    (void)common(&couple, SP_TLS_EXPORTER);
    couple_free(&couple);
  }
}

static int in_hook;

static int on_hello(sp_pair_t *pair, const sp_client_hello_t *hello, void *data) {
  (void)hello, (void)data;
  uint8_t room[SP_BINDING_SIZE];
  in_hook = sp_pair_channel_binding(pair, SP_TLS_EXPORTER, room, sizeof room, NULL);
  return 0;
}

static void at_other_times(void **state) {
  (void)state;
  const pki_t *pki = pki_default()->server;
  couple_t couple;
  uint8_t room[SP_BINDING_SIZE];
  couple_make_with(
      &couple, SP_OPTIONS(.context = couple_client_context(SP_TLS1_2)),
      SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem, .hooks.client_hello = on_hello));
  for (int type = SP_TLS_EXPORTER; type <= SP_TLS_UNIQUE; type++)
    expect_refused(&couple.client, (sp_binding_t)type, SP_EOPTION, "secure");
  couple_shake_hands(&couple);
  assert_int_equal(in_hook, SP_EREENTRY);
  assert_int_equal(
      sp_pair_channel_binding(couple.client.pair, SP_TLS_UNIQUE, room, SP_BINDING_SIZE - 1, NULL),
      SP_EOPTION);
  expect_refused(&couple.client, (sp_binding_t)9, SP_EOPTION, "no type");
  couple_free(&couple);
}

/* -- computed by others ------------------------------------------------------------------------ */

static void hex(char *text, const uint8_t *bytes, size_t n) {
  for (size_t i = 0; i < n; i++)
    (void)snprintf(text + 2 * i, 3, "%02X", bytes[i]);
}

static char known[65];

static void take_binding(talker_t *talker) {
  binding_t binding = {.n = 0};
  sp_pair_t *pair = sp_stream_pair(talker->actor->stream);
  binding.n = sp_pair_channel_binding(pair, SP_TLS_EXPORTER, binding.bytes, sizeof binding.bytes,
                                      &binding.why);
  assert_int_equal(binding.n, 32);
  hex(known, binding.bytes, 32);
}

/* openssl s_client; by TLS 1.3 only, because it exports without a context */
static void s_client_exports_the_same(void **state) {
  (void)state;
  if (!child_exists("openssl"))
    skip();
  char address[32];
  program_t *p = program_new();
  program_serve(p, SP_OPTIONS(.context = couple_server_context(SP_TLS1_3)));
  (void)snprintf(address, sizeof address, "127.0.0.1:%d", p->f->port);
  p->child =
      child_start(&p->f->loop,
                  CHILD_ARGS("openssl", "s_client", "-connect", address, "-tls1_3", "-keymatexport",
                             "EXPORTER-Channel-Binding", "-keymatexportlen", "32"));
  assert_non_null(p->child);
  take_binding(program_served(p, 0));
  assert_true(child_wait_for(p->child, "Keying material: "));
  assert_true(child_wait_for(p->child, known));
  program_free(p);
}

static void s_server_exports_the_same(void **state) {
  (void)state;
  if (!child_exists("openssl"))
    skip();
  const pki_t *pki = pki_default()->server;
  const char *root[] = {pki_default()->root->cert_pem, NULL};
  program_t *p = program_new();
  p->child =
      child_start(&p->f->loop, CHILD_ARGS("openssl", "s_server", "-accept", "127.0.0.1:0",
                                          "-tls1_3", "-key", pki_file(pki->key_pem), "-cert",
                                          pki_file(pki->cert_pem), "-keymatexport",
                                          "EXPORTER-Channel-Binding", "-keymatexportlen", "32"));
  assert_non_null(p->child);
  talker_t *talker = program_connect(
      p, SP_OPTIONS(.port = program_port(p), .ca = root, .server_name = "localhost"));
  while (!talker->actor->counts[ON_SECURE])
    uv_run(&p->f->loop, UV_RUN_ONCE);
  take_binding(talker);
  assert_true(child_wait_for(p->child, known));
  sp_stream_end(talker->actor->stream);
  talker_wait_close(talker);
  program_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(exporter),
      cmocka_unit_test(unique),
      cmocka_unit_test(end_point),
      cmocka_unit_test(end_point_beside_a_clients_certificate),
      cmocka_unit_test(end_point_of_the_one_that_was_shown),
      cmocka_unit_test(resumed),
      cmocka_unit_test(resumed_where_there_are_several_certificates),
      cmocka_unit_test(without_the_extended_master_secret),
      cmocka_unit_test(without_a_certificate),
      cmocka_unit_test(at_other_times),
      cmocka_unit_test(s_client_exports_the_same),
      cmocka_unit_test(s_server_exports_the_same),
  };
  return cmocka_run_group_tests_name("pair-binding", tests, NULL, NULL);
}
