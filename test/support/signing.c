#include "support/signing.h"

#include <openssl/rsa.h>

#define ED25519 0x0807

size_t signing_sign(EVP_PKEY *key, uint16_t scheme, const uint8_t *message, size_t n,
                    uint8_t *signature, size_t size) {
  const EVP_MD *digests[16] = {[4] = EVP_sha256(), [5] = EVP_sha384(), [6] = EVP_sha512()};
  int pss = scheme >> 8 == 8 && scheme != ED25519;
  const EVP_MD *digest = scheme == ED25519 ? NULL : digests[pss ? scheme & 15 : scheme >> 8 & 15];
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  EVP_PKEY_CTX *parameters;
  int done = ctx && EVP_DigestSignInit(ctx, &parameters, digest, NULL, key) == 1;
  if (done && pss)
    done = EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1;
  done = done && EVP_DigestSign(ctx, signature, &size, message, n) == 1;
  EVP_MD_CTX_free(ctx);
  return done ? size : 0;
}
