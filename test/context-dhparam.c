/* Diffie-Hellman over finite fields for TLS 1.2, and OpenSSL's own flags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <securepair/context.h>

#include "context/context.h"
#include "support/contexts.h"
#include "support/duet.h"
#include "support/pki.h"

#define CIPHERS "DHE-RSA-AES128-GCM-SHA256"

static const pki_t *rsa(void) {
  static const pki_t *made;
  if (!made)
    made = PKI_MAKE(pki_default()->root, .cn = "rsa", .key = "rsa", .dns = PKI_LIST("localhost"));
  return made;
}

/* Parameters of a prime, as PEM. */
static char *pem_of(BIGNUM *prime) {
  OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
  BIGNUM *two = BN_new();
  BN_set_word(two, 2);
  OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_FFC_P, prime);
  OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_FFC_G, two);
  OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
  EVP_PKEY *made = NULL;
  assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
  assert_int_equal(EVP_PKEY_fromdata(ctx, &made, EVP_PKEY_KEY_PARAMETERS, params), 1);
  BIO *bio = BIO_new(BIO_s_mem());
  assert_int_equal(PEM_write_bio_Parameters(bio, made), 1);
  char *data, *copy;
  long n = BIO_get_mem_data(bio, &data);
  copy = calloc(1, (size_t)n + 1);
  memcpy(copy, data, (size_t)n);
  BIO_free(bio);
  EVP_PKEY_free(made);
  EVP_PKEY_CTX_free(ctx);
  OSSL_PARAM_free(params);
  OSSL_PARAM_BLD_free(build);
  BN_free(two);
  BN_free(prime);
  return copy;
}

static sp_context_t *server_of(const sp_options_t *more) {
  sp_options_t options = *more;
  options.key = rsa()->key_pem;
  options.cert = rsa()->cert_pem;
  return context_made(&options);
}

/* Bits of the server's key in a handshake with DHE; 0: there was none. The client takes TLS 1.2
 * only, with one suite. */
static int bits(const sp_options_t *options) {
  sp_context_t *server = server_of(options);
  sp_context_t *client = context_made(SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem),
                                                 .ciphers = CIPHERS, .max_version = SP_TLS1_2));
  duet_t duet = duet_make(client, server);
  int found = 0;
  EVP_PKEY *key = NULL;
  if (duet_run(&duet) == 1 && SSL_get_peer_tmp_key(duet.client, &key) &&
      EVP_PKEY_get_base_id(key) == EVP_PKEY_DH)
    found = EVP_PKEY_get_bits(key);
  EVP_PKEY_free(key);
  duet_free(&duet);
  sp_context_release(client);
  sp_context_release(server);
  ERR_clear_error();
  return found;
}

static void without_parameters_no_server_chooses_dhe(void **state) {
  (void)state;
  assert_int_equal(bits(SP_OPTIONS(.ciphers = CIPHERS)), 0);
}

static void automatic_parameters_fit_the_certificate(void **state) {
  (void)state;
  assert_int_equal(bits(SP_OPTIONS(.ciphers = CIPHERS, .dhparam = "auto")), 2048);
  assert_int_equal(bits(SP_OPTIONS(.dhparam = "auto")), 0); /* the default has no such suite */
}

static void parameters_given_are_used(void **state) {
  (void)state;
  char *small = pem_of(BN_get_rfc3526_prime_2048(NULL));
  char *large = pem_of(BN_get_rfc3526_prime_3072(NULL));
  const char *text = pki_join(PKI_LIST("# made by us\n", large, rsa()->cert_pem));
  assert_int_equal(bits(SP_OPTIONS(.ciphers = CIPHERS, .dhparam = small)), 2048);
  assert_int_equal(bits(SP_OPTIONS(.ciphers = CIPHERS, .dhparam = text)), 3072);
  free(small), free(large);
}

static void weak_or_damaged_parameters_are_named(void **state) {
  (void)state;
  char *weak = pem_of(BN_get_rfc2409_prime_1024(NULL));
  BIGNUM *even = BN_get_rfc3526_prime_2048(NULL);
  BN_clear_bit(even, 0);
  char *damaged = pem_of(even), *cut = pem_of(BN_get_rfc3526_prime_2048(NULL));
  REFUSED(SP_OPTIONS(.dhparam = weak), SP_EOPTION, "dhparam", "1024 bits");
  REFUSED(SP_OPTIONS(.dhparam = damaged), SP_EOPTION, "dhparam, line 1", "damaged");
  REFUSED(SP_OPTIONS(.dhparam = "-----BEGIN DH PARAMETERS-----\nMIIB\n"
                                "-----END DH PARAMETERS-----\n"),
          SP_EOPTION, "dhparam, line 1", "damaged");
  cut[strlen(cut) - 30] = '\0';
  REFUSED(SP_OPTIONS(.dhparam = cut), SP_EOPTION, "dhparam", "END");
  REFUSED(SP_OPTIONS(.dhparam = "automatic"), SP_EOPTION, "dhparam", "auto");
  REFUSED(SP_OPTIONS(.dhparam = ""), SP_EOPTION, "dhparam");
  REFUSED(SP_OPTIONS(.dhparam = rsa()->key_pem), SP_EOPTION, "dhparam", "DH PARAMETERS");
  free(weak), free(damaged), free(cut);
}

/* -- OpenSSL's flags --------------------------------------------------------------------------- */

static void flags_are_added(void **state) {
  (void)state;
  sp_context_t *plain = context_made(NULL);
  sp_context_t *more =
      context_made(SP_OPTIONS(.openssl_options = SSL_OP_NO_TICKET | SSL_OP_CLEANSE_PLAINTEXT));
  assert_true(SSL_CTX_get_options(more->ssl_ctx) ==
              (SSL_CTX_get_options(plain->ssl_ctx) | SSL_OP_NO_TICKET | SSL_OP_CLEANSE_PLAINTEXT));
  sp_context_release(plain);
  sp_context_release(more);
}

static int version_with(uint64_t flags) {
  sp_context_t *server = server_of(SP_OPTIONS(.openssl_options = flags));
  sp_context_t *client = context_made(SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem)));
  duet_t duet = duet_make(client, server);
  assert_int_equal(duet_run(&duet), 1);
  int version = SSL_version(duet.client);
  duet_free(&duet);
  sp_context_release(client);
  sp_context_release(server);
  return version;
}

static void flags_may_take_versions_away_but_not_all(void **state) {
  (void)state;
  assert_int_equal(version_with(0), TLS1_3_VERSION);
  assert_int_equal(version_with(SSL_OP_NO_TLSv1_3), TLS1_2_VERSION);
  assert_int_equal(version_with(SSL_OP_NO_TLSv1_2), TLS1_3_VERSION);
  REFUSED(SP_OPTIONS(.openssl_options = SSL_OP_NO_TLSv1_3 | SSL_OP_NO_TLSv1_2), SP_EVERSION,
          "openssl_options");
  REFUSED(SP_OPTIONS(.openssl_options = SSL_OP_NO_TLSv1_3, .min_version = SP_TLS1_3), SP_EVERSION,
          "openssl_options");
  REFUSED(SP_OPTIONS(.openssl_options = SSL_OP_NO_TLSv1_2, .max_version = SP_TLS1_2), SP_EVERSION,
          "openssl_options");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_parameters_no_server_chooses_dhe),
      cmocka_unit_test(automatic_parameters_fit_the_certificate),
      cmocka_unit_test(parameters_given_are_used),
      cmocka_unit_test(weak_or_damaged_parameters_are_named),
      cmocka_unit_test(flags_are_added),
      cmocka_unit_test(flags_may_take_versions_away_but_not_all),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
