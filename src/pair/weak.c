/* Keys that OpenSSL's security level lets pass, and that nobody has in good faith. */
#include <openssl/core_names.h>

#include "pair/pair.h"

/* A curve spelled out number by number, which may look like a good one (CVE-2020-0601). */
static bool is_spelled_out(const EVP_PKEY *key) {
  int explicit_parameters = 0;
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
         EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                                &explicit_parameters) &&
         explicit_parameters;
}

/* RSA with the exponent 1 signs by doing nothing. */
static bool signs_nothing(const EVP_PKEY *key) {
  BIGNUM *e = NULL;
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA && EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA_PSS)
    return false;
  bool is_one = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) && BN_is_one(e);
  BN_free(e);
  return is_one;
}

long sp__x509_weakness(X509 *x509, bool is_leaf) {
  const EVP_PKEY *key = X509_get0_pubkey(x509);
  if (!key)
    return X509_V_OK; /* OpenSSL has said so */
  if (is_spelled_out(key))
    return X509_V_ERR_EC_KEY_EXPLICIT_PARAMS;
  if (!signs_nothing(key))
    return X509_V_OK;
  return is_leaf ? X509_V_ERR_EE_KEY_TOO_SMALL : X509_V_ERR_CA_KEY_TOO_SMALL;
}
