/* Keys that live elsewhere: the provider in real handshakes, answered at once and later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>

#include <securepair/context.h>

#include "context/context.h"
#include "context/signer.h"
#include "support/duet.h"
#include "support/pki.h"

/* The key behind the hook, and how it was asked. */
typedef struct vault {
  EVP_PKEY *key;
  int pending; /* how often to answer "not yet" first */
  int fail;    /* status to answer with */
  int asked;
  uint16_t scheme;
} vault_t;

/* Signs as RFC 8446 4.2.3 says, from the number alone: a wrong number would not verify. */
static int sign(void *owner, uint16_t scheme, const uint8_t *message, size_t n, uint8_t *signature,
                size_t *size) {
  vault_t *vault = owner;
  vault->asked++;
  vault->scheme = scheme;
  if (vault->pending-- > 0)
    return SP_PENDING;
  if (vault->fail)
    return vault->fail;
  const EVP_MD *digests[16] = {[4] = EVP_sha256(), [5] = EVP_sha384(), [6] = EVP_sha512()};
  int pss = scheme >> 8 == 8 && scheme != 0x0807;
  const EVP_MD *digest = scheme == 0x0807 ? NULL : digests[pss ? scheme & 15 : scheme >> 8 & 15];
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  EVP_PKEY_CTX *key;
  /* no assertion here: this runs on the stack of an ASYNC job */
  int done = EVP_DigestSignInit(ctx, &key, digest, NULL, vault->key) == 1;
  if (done && pss)
    done = EVP_PKEY_CTX_set_rsa_padding(key, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(key, RSA_PSS_SALTLEN_DIGEST) == 1;
  done = done && EVP_DigestSign(ctx, signature, size, message, n);
  EVP_MD_CTX_free(ctx);
  return done ? 0 : SP_ECRYPTO;
}

static int unused_hook(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n,
                       void *data) {
  (void)pair, (void)scheme, (void)message, (void)n, (void)data;
  return SP_EREFUSED;
}

static sp_context_t *make(const sp_options_t *options) {
  sp_context_t *context;
  sp_error_t why;
  if (sp_context_new(&context, &why, options) < 0)
    fail_msg("%s", why.text);
  return context;
}

typedef struct handshake {
  const char *key;
  sp_protocol_t version;
  const char *sigalgs;
  uint16_t scheme; /* expected */
  int pending, fail;
  int expected; /* of duet_run; 0: 1 */
} handshake_t;

/* The server's key is behind the hook. */
static void shake(const handshake_t *h) {
  const pki_t *root = pki_default()->root;
  const pki_t *pki = PKI_MAKE(root, .cn = "localhost", .dns = PKI_LIST("localhost"), .key = h->key);
  vault_t vault = {.key = pki->key, .pending = h->pending, .fail = h->fail};
  sp_context_t *server = make(SP_OPTIONS(.cert = pki->cert_pem, .hooks.sign = unused_hook));
  sp_context_t *client = make(SP_OPTIONS(.ca = SP_LIST(root->cert_pem), .max_version = h->version,
                                         .min_version = h->version, .sigalgs = h->sigalgs,
                                         .groups = "X25519:P-256:P-384:P-521"));
  assert_true(server->is_signed_by_hook);
  assert_true(sp_context_has_certificate(server));
  duet_t duet = duet_make(client, server);
  SSL_set_mode(duet.server, SSL_MODE_ASYNC);
  sp__signer_enter(sign, &vault);
  int result = duet_run(&duet);
  sp__signer_leave();
  if (result != (h->expected ? h->expected : 1)) {
    ERR_print_errors_fp(stderr);
    fail_msg("%s 0x%x %s: %d", h->key, h->version, h->sigalgs ? h->sigalgs : "", result);
  }
  assert_int_equal(vault.scheme, h->scheme);
  duet_free(&duet);
  sp_context_release(client);
  sp_context_release(server);
  assert_int_equal(ERR_peek_error() == 0 || result < 0, 1);
  ERR_clear_error();
}

static void every_kind_of_key(void **state) {
  (void)state;
  static const handshake_t all[] = {
      {"rsa", SP_TLS1_3, NULL, 0x0804, 0, 0, 0},
      {"rsa", SP_TLS1_3, "rsa_pss_rsae_sha384", 0x0805, 0, 0, 0},
      {"rsa", SP_TLS1_3, "rsa_pss_rsae_sha512", 0x0806, 0, 0, 0},
      {"rsa", SP_TLS1_2, NULL, 0x0804, 0, 0, 0},
      {"rsa", SP_TLS1_2, "RSA+SHA256", 0x0401, 0, 0, 0},
      {"rsa", SP_TLS1_2, "RSA+SHA384", 0x0501, 0, 0, 0},
      {"rsa", SP_TLS1_2, "RSA+SHA512", 0x0601, 0, 0, 0},
      {"ec", SP_TLS1_3, NULL, 0x0403, 0, 0, 0},
      {"ec", SP_TLS1_2, NULL, 0x0403, 0, 0, 0},
      {"ec", SP_TLS1_2, "ECDSA+SHA384", 0x0503, 0, 0, 0},
      {"ec384", SP_TLS1_3, NULL, 0x0503, 0, 0, 0},
      {"ec384", SP_TLS1_2, "ECDSA+SHA384", 0x0503, 0, 0, 0},
      {"ec521", SP_TLS1_3, NULL, 0x0603, 0, 0, 0},
      {"ed25519", SP_TLS1_3, NULL, 0x0807, 0, 0, 0},
      {"ed25519", SP_TLS1_2, NULL, 0x0807, 0, 0, 0},
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    shake(&all[i]);
}

static void waits_for_an_answer(void **state) {
  (void)state;
  static const char *const keys[] = {"rsa", "ec", "ed25519"};
  static const uint16_t schemes[] = {0x0804, 0x0403, 0x0807};
  for (size_t i = 0; i < 3; i++) {
    shake(&(handshake_t){keys[i], SP_TLS1_3, NULL, schemes[i], 3, 0, 0});
    shake(&(handshake_t){keys[i], SP_TLS1_2, NULL, schemes[i], 3, 0, 0});
  }
}

static void a_refusal_ends_the_handshake(void **state) {
  (void)state;
  shake(&(handshake_t){"ec", SP_TLS1_3, NULL, 0x0403, 0, SP_EREFUSED, -1});
  shake(&(handshake_t){"ec", SP_TLS1_2, NULL, 0x0403, 2, SP_EREFUSED, -1});
}

static void a_client_signs_too(void **state) {
  (void)state;
  const pki_set_t *pki = pki_default();
  for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++) {
    vault_t vault = {.key = pki->client->key, .pending = 1};
    sp_context_t *client =
        make(SP_OPTIONS(.cert = pki->client->cert_pem, .ca = SP_LIST(pki->root->cert_pem),
                        .hooks.sign = unused_hook, .max_version = (sp_protocol_t)version));
    sp_context_t *server =
        make(SP_OPTIONS(.key = pki->server->key_pem, .cert = pki->server->cert_pem,
                        .ca = SP_LIST(pki->root->cert_pem), .request_cert = SP_YES,
                        .reject_unauthorized = SP_YES));
    duet_t duet = duet_make(client, server);
    SSL_set_mode(duet.client, SSL_MODE_ASYNC);
    sp__signer_enter(sign, &vault);
    assert_int_equal(duet_run(&duet), 1);
    sp__signer_leave();
    assert_int_equal(vault.asked, 2);
    assert_non_null(SSL_get0_peer_certificate(duet.server));
    duet_free(&duet);
    sp_context_release(client);
    sp_context_release(server);
  }
}

static EVP_PKEY *stand_in(const pki_t *pki) {
  EVP_PKEY *key;
  sp_error_t why;
  if (sp__signer_key(&key, X509_get0_pubkey(pki->x509), &why) < 0)
    fail_msg("%s", why.text);
  return key;
}

static int try_to_sign(EVP_PKEY *key, uint8_t *room, size_t size) {
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  int done = EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
             EVP_DigestSign(ctx, room, &size, (const uint8_t *)"x", 1) == 1;
  EVP_MD_CTX_free(ctx);
  ERR_clear_error();
  return done;
}

static void signs_only_within_a_signer(void **state) {
  (void)state;
  const pki_t *pki = pki_default()->server;
  EVP_PKEY *key = stand_in(pki);
  uint8_t room[256];
  vault_t vault = {.key = pki->key}, later = {.key = pki->key, .pending = 1};
  assert_false(try_to_sign(key, room, sizeof room)); /* nobody there */
  sp__signer_enter(sign, &vault);
  assert_true(try_to_sign(key, room, sizeof room));
  sp__signer_enter(sign, &later);
  assert_false(try_to_sign(key, room, sizeof room)); /* pending, but no job to pause */
  sp__signer_leave();
  assert_true(try_to_sign(key, room, sizeof room)); /* the outer one again */
  sp__signer_leave();
  assert_false(try_to_sign(key, room, sizeof room));
  assert_int_equal(vault.asked, 2);
  EVP_PKEY_free(key);
}

static void is_the_certificate_s_key_and_gives_no_private_half(void **state) {
  (void)state;
  static const char *const kinds[] = {"rsa", "ec", "ec384", "ed25519"};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    const pki_t *pki = PKI_MAKE(NULL, .cn = "x", .key = kinds[i]);
    const pki_t *other = PKI_MAKE(NULL, .cn = "x", .key = i ? "ec" : "rsa#2");
    EVP_PKEY *key = stand_in(pki), *theirs = stand_in(other);
    assert_int_equal(EVP_PKEY_eq(key, pki->key), 1);
    assert_int_equal(EVP_PKEY_eq(pki->key, key), 1);
    assert_int_equal(X509_check_private_key(pki->x509, key), 1);
    assert_int_not_equal(EVP_PKEY_eq(key, theirs), 1);
    assert_int_not_equal(X509_check_private_key(other->x509, key), 1);
    assert_int_equal(EVP_PKEY_get_bits(key), EVP_PKEY_get_bits(pki->key));
    OSSL_PARAM *params = NULL;
    assert_int_not_equal(EVP_PKEY_todata(key, EVP_PKEY_KEYPAIR, &params), 1);
    EVP_PKEY_free(key);
    EVP_PKEY_free(theirs);
    ERR_clear_error();
  }
}

/* The host program's own OpenSSL must not notice us. */
static void leaves_the_default_library_context_alone(void **state) {
  (void)state;
  EVP_PKEY_free(stand_in(pki_default()->server));
  assert_int_equal(OSSL_PROVIDER_available(NULL, "securepair"), 0);
  assert_int_equal(OSSL_PROVIDER_available(NULL, "default"), 1);
  EVP_SIGNATURE *rsa = EVP_SIGNATURE_fetch(NULL, "RSA", "provider=securepair");
  assert_null(rsa);
  ERR_clear_error();
}

static void refuses_other_keys_and_contradictions(void **state) {
  (void)state;
  const pki_t *pki = PKI_MAKE(NULL, .cn = "x", .key = "ed448");
  sp_context_t *context;
  sp_error_t why;
  assert_int_equal(
      sp_context_new(&context, &why, SP_OPTIONS(.cert = pki->cert_pem, .hooks.sign = unused_hook)),
      SP_EKEY);
  assert_non_null(strstr(why.text, "ED448"));
  assert_int_equal(sp_context_new(&context, &why, SP_OPTIONS(.hooks.sign = unused_hook)),
                   SP_ECERTIFICATE);
  pki = pki_default()->server;
  assert_int_equal(sp_context_new(&context, &why,
                                  SP_OPTIONS(.cert = pki->cert_pem, .key = pki->key_pem,
                                             .hooks.sign = unused_hook)),
                   SP_EOPTION);
  assert_non_null(strstr(why.text, "hooks.sign"));
  assert_null(context);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_kind_of_key),
      cmocka_unit_test(waits_for_an_answer),
      cmocka_unit_test(a_refusal_ends_the_handshake),
      cmocka_unit_test(a_client_signs_too),
      cmocka_unit_test(signs_only_within_a_signer),
      cmocka_unit_test(is_the_certificate_s_key_and_gives_no_private_half),
      cmocka_unit_test(leaves_the_default_library_context_alone),
      cmocka_unit_test(refuses_other_keys_and_contradictions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
