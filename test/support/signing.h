/* What a private-key hook answers, for tests. */
#ifndef TEST_SUPPORT_SIGNING_H
#define TEST_SUPPORT_SIGNING_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

/* Signs under a TLS scheme (RFC 8446 4.2.3) with a key that fits it. Asserts nothing, because a
 * hook runs on a small stack of its own: 0 when it cannot be done. */
size_t signing_sign(EVP_PKEY *key, uint16_t scheme, const uint8_t *message, size_t n,
                    uint8_t *signature, size_t size);

#endif
