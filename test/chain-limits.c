/*
 * W16, K07: certificates and chains that are only meant to keep the other side busy. They are
 * refused or handled, by a client and by a server, and what is kept of them has a bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>

#include "support/contexts.h"
#include "support/couple.h"
#include "support/pki.h"

#define EACH_VERSION(version)                                                                      \
  for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3; version++)

/* A context that shows the certificate with a chain of others, whatever they are. */
static sp_context_t *shows(const pki_t *leaf, const pki_t *const *chain, size_t n,
                           sp_protocol_t version) {
  sp_context_t *context = context_made(
      SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem), .max_version = version));
  SSL_CTX *ctx = sp_context_ssl_ctx(context);
  SSL_CTX_set_security_level(ctx, 0);
  assert_int_equal(SSL_CTX_use_certificate(ctx, leaf->x509), 1);
  assert_int_equal(SSL_CTX_use_PrivateKey(ctx, leaf->key), 1);
  for (size_t i = 0; i < n; i++)
    assert_true(SSL_CTX_add1_chain_cert(ctx, chain[i]->x509));
  return context;
}

static sp_context_t *judge(sp_role_t role) {
  const pki_set_t *s = pki_default();
  if (role == SP_CLIENT)
    return sp_context_retain(couple_client_context(SP_PROTOCOL_DEFAULT));
  return context_made(SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem), .request_cert = SP_YES,
                                 .reject_unauthorized = SP_YES, .key = s->server->key_pem,
                                 .cert = s->server->cert_pem));
}

/* How the handshake ends for who judges: 0, or the error. */
static sp_error_t meet(const pki_t *leaf, const pki_t *const *chain, size_t n, sp_role_t role,
                       sp_protocol_t version) {
  couple_t couple;
  sp_context_t *shown = shows(leaf, chain, n, version), *judging = judge(role);
  if (role == SP_CLIENT)
    couple_make_of(&couple, judging, shown);
  else
    couple_make_of(&couple, shown, judging);
  couple_run(&couple, &(const manner_t){.read = 0});
  sp_pair_t *pair = role == SP_CLIENT ? couple.client.pair : couple.server.pair;
  sp_error_t error = *sp_pair_error(pair);
  if (!error.status) {
    assert_true(sp_pair_state(pair) & SP_PAIR_SECURE);
    assert_true(sp_pair_is_authorized(pair));
  }
  couple_free(&couple);
  sp_context_release(shown);
  sp_context_release(judging);
  return error;
}

static void expect(const sp_error_t *error, int status, int alert) {
  if (error->status != status || (status && error->alert != alert))
    fail_msg("%s: %s, alert %d", sp_error_name(error->status), error->text, error->alert);
}

/* -- size -------------------------------------------------------------------------------------- */

#define NAMES 10000

/* A leaf of ours with n names, the first of them "localhost". */
static const pki_t *with_names(size_t n) {
  static char texts[NAMES][24];
  static const char *list[NAMES + 1];
  for (size_t i = 0; i < n; i++) {
    (void)snprintf(texts[i], sizeof texts[i], "host-%05zu.example", i);
    list[i] = i ? texts[i] : "localhost";
  }
  list[n] = NULL;
  return PKI_MAKE(pki_default()->root, .cn = "many", .dns = list);
}

static void W16_ten_thousand_names(void **state) {
  (void)state;
  const pki_t *too_many = with_names(NAMES), *many = with_names(2500);
  EACH_VERSION(version) for (int role = SP_CLIENT; role <= SP_SERVER; role++) {
    sp_error_t error = meet(too_many, NULL, 0, (sp_role_t)role, version);
    expect(&error, SP_EPROTOCOL, 47); /* longer than 100 KiB: not even read */
    error = meet(many, NULL, 0, (sp_role_t)role, version);
    expect(&error, 0, 0);
  }
}

static void W16_a_chain_of_100_KB(void **state) {
  (void)state;
  const pki_t *leaf = PKI_MAKE(pki_default()->root, .dns = PKI_LIST("localhost"));
  const pki_t *filling[] = {with_names(2000), with_names(2100)}; /* some 42 KB each */
  const pki_t *chain[] = {filling[0], filling[1], filling[0]};
  EACH_VERSION(version) for (int role = SP_CLIENT; role <= SP_SERVER; role++) {
    sp_error_t error = meet(leaf, chain, 2, (sp_role_t)role, version);
    expect(&error, 0, 0); /* what does not belong there is passed over */
    error = meet(leaf, chain, 3, (sp_role_t)role, version);
    expect(&error, SP_EPROTOCOL, 47);
  }
}

/* -- length ------------------------------------------------------------------------------------ */

#define LINKS 101

/* As many certificates as fit: of a real chain, whose end nobody can build any more; and of
 * strangers, which do not matter. */
static void W16_a_chain_of_101_certificates(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const pki_t *links[LINKS], *upwards[LINKS], *strangers[LINKS];
  char name[16];
  for (int i = 0; i < LINKS; i++) {
    (void)snprintf(name, sizeof name, "link %d", i);
    links[i] = PKI_MAKE(i ? links[i - 1] : s->root, .cn = name, .ca = true);
    upwards[LINKS - 1 - i] = links[i];
    strangers[i] = s->stranger_root;
  }
  const pki_t *leaf = PKI_MAKE(links[LINKS - 1], .dns = PKI_LIST("localhost"));
  const pki_t *tenth = PKI_MAKE(links[9], .dns = PKI_LIST("localhost"));
  const pki_t *plain = PKI_MAKE(s->root, .dns = PKI_LIST("localhost"));
  EACH_VERSION(version) for (int role = SP_CLIENT; role <= SP_SERVER; role++) {
    sp_error_t error = meet(leaf, upwards, LINKS, (sp_role_t)role, version);
    assert_int_equal(error.status, SP_EUNAUTHORIZED);
    assert_string_equal(sp_verify_name(error.verify), "UNABLE_TO_GET_ISSUER_CERT_LOCALLY");
    error = meet(tenth, upwards, LINKS, (sp_role_t)role, version); /* needs ten of them */
    expect(&error, 0, 0);
    error = meet(plain, strangers, LINKS, (sp_role_t)role, version);
    expect(&error, 0, 0);
  }
}

/* -- keys -------------------------------------------------------------------------------------- */

/* A public key of RSA of a given modulus. */
static EVP_PKEY *rsa_of(const BIGNUM *n, unsigned long e) {
  EVP_PKEY *key = NULL;
  BIGNUM *exponent = BN_new();
  OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
  assert_true(exponent && builder && BN_set_word(exponent, e));
  assert_true(OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n));
  assert_true(OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent));
  OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
  assert_true(params && ctx && EVP_PKEY_fromdata_init(ctx) > 0);
  assert_true(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) > 0);
  EVP_PKEY_CTX_free(ctx);
  OSSL_PARAM_free(params);
  OSSL_PARAM_BLD_free(builder);
  BN_free(exponent);
  return key;
}

/* An authority whose certificate by our root has this public key. */
static X509 *authority_with(EVP_PKEY *key) {
  const pki_set_t *s = pki_default();
  const pki_t *model = PKI_MAKE(s->root, .cn = "odd key", .ca = true, .key = "rsa");
  X509 *x509 = X509_dup(model->x509);
  assert_non_null(x509);
  assert_true(X509_set_pubkey(x509, key));
  assert_true(X509_sign(x509, s->root->key, EVP_sha256()) > 0);
  return x509;
}

/* CVE-free, but long: the work of checking one signature under a key of 16,384 bits, and none under
 * a longer one. The leaf is signed with nonsense of the right length. */
static void K07_rsa_of_16384_bits(void **state) {
  (void)state;
  static uint8_t nonsense[2049 + 8];
  static const int sizes[] = {16384, 16392};
  const pki_t *signer = PKI_MAKE(NULL, .cn = "odd key", .ca = true, .key = "rsa");
  for (int i = 0; i < 2; i++) {
    BIGNUM *n = BN_new();
    assert_true(n && BN_rand(n, sizes[i], BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD));
    EVP_PKEY *key = rsa_of(n, 65537);
    pki_t big = {.x509 = authority_with(key), .key = signer->key};
    pki_t leaf = *PKI_MAKE(&big, .dns = PKI_LIST("localhost"), .key = "ec");
    const ASN1_BIT_STRING *signature;
    X509_get0_signature(&signature, NULL, leaf.x509);
    memset(nonsense, 0x5a, sizeof nonsense);
    assert_true(ASN1_STRING_set((ASN1_STRING *)(uintptr_t)signature, nonsense, sizes[i] / 8));
    const pki_t *chain[] = {&big};
    EACH_VERSION(version) for (int role = SP_CLIENT; role <= SP_SERVER; role++) {
      sp_error_t error = meet(&leaf, chain, 1, (sp_role_t)role, version);
      assert_int_equal(error.status, SP_EUNAUTHORIZED);
      assert_string_equal(sp_verify_name(error.verify), "CERT_SIGNATURE_FAILURE");
    }
    X509_free(big.x509);
    EVP_PKEY_free(key);
    BN_free(n);
  }
}

/* Whoever can read can sign with it: the signature is the padded hash itself. */
static void K07_rsa_with_exponent_1(void **state) {
  (void)state;
  const pki_t *model = PKI_MAKE(NULL, .cn = "model", .key = "rsa#3");
  BIGNUM *n = NULL;
  assert_true(EVP_PKEY_get_bn_param(model->key, OSSL_PKEY_PARAM_RSA_N, &n));
  EVP_PKEY *key = rsa_of(n, 1);
  const pki_t *signer = PKI_MAKE(NULL, .cn = "odd key", .ca = true, .key = "rsa");
  pki_t odd = {.x509 = authority_with(key), .key = signer->key};
  pki_t leaf = *PKI_MAKE(&odd, .dns = PKI_LIST("localhost"), .key = "ec");
  uint8_t hash[32], padded[256] = {0, 1}, *tbs = NULL;
  static const uint8_t info[] = "\x30\x31\x30\x0d\6\x09\x60\x86\x48\1\x65\3\4\2\1\5\0\4\x20";
  int size = i2d_re_X509_tbs(leaf.x509, &tbs);
  assert_true(size > 0 && SHA256(tbs, (size_t)size, hash));
  memset(padded + 2, 0xff, sizeof padded - 2 - 1 - 19 - 32);
  memcpy(padded + sizeof padded - 32 - 19, info, 19);
  memcpy(padded + sizeof padded - 32, hash, 32);
  const ASN1_BIT_STRING *signature;
  X509_get0_signature(&signature, NULL, leaf.x509);
  assert_true(ASN1_STRING_set((ASN1_STRING *)(uintptr_t)signature, padded, sizeof padded));
  const pki_t *chain[] = {&odd};
  EACH_VERSION(version) for (int role = SP_CLIENT; role <= SP_SERVER; role++) {
    sp_error_t error = meet(&leaf, chain, 1, (sp_role_t)role, version);
    assert_int_equal(error.status, SP_EUNAUTHORIZED);
    assert_string_equal(sp_verify_name(error.verify), "CA_KEY_TOO_SMALL");
  }
  OPENSSL_free(tbs);
  X509_free(odd.x509);
  EVP_PKEY_free(key);
  BN_free(n);
}

/* P-256 spelled out number by number (CVE-2020-0601, CVE-2022-0778). */
static void K07_a_curve_spelled_out(void **state) {
  (void)state;
  EVP_PKEY *key = EVP_EC_gen("P-256");
  assert_true(key && EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING,
                                                    OSSL_PKEY_EC_ENCODING_EXPLICIT));
  const pki_t *odd = PKI_MAKE(pki_default()->root, .cn = "odd key", .ca = true, .use_key = key);
  const pki_t *leaf = PKI_MAKE(odd, .dns = PKI_LIST("localhost"), .key = "ec");
  const pki_t *chain[] = {odd};
  EACH_VERSION(version) for (int role = SP_CLIENT; role <= SP_SERVER; role++) {
    sp_error_t error = meet(leaf, chain, 1, (sp_role_t)role, version);
    assert_int_equal(error.status, SP_EUNAUTHORIZED);
    assert_int_equal(error.verify, X509_V_ERR_EC_KEY_EXPLICIT_PARAMS);
    assert_non_null(strstr(error.text, "odd key spells out its curve"));
  }
  EVP_PKEY_free(key);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(W16_ten_thousand_names),          cmocka_unit_test(W16_a_chain_of_100_KB),
      cmocka_unit_test(W16_a_chain_of_101_certificates), cmocka_unit_test(K07_rsa_of_16384_bits),
      cmocka_unit_test(K07_rsa_with_exponent_1),         cmocka_unit_test(K07_a_curve_spelled_out),
  };
  return cmocka_run_group_tests_name("chain-limits", tests, NULL, NULL);
}
