/*
 * A private key that is not here: its public half is a certificate's, its signatures come from a
 * hook (an HSM, another process). Built as an OpenSSL provider of our own.
 */
#ifndef SP_CONTEXT_SIGNER_H
#define SP_CONTEXT_SIGNER_H

#include <stdint.h>

#include <openssl/evp.h>

#include <securepair/error.h>

/* A key for SSL_CTX_use_PrivateKey whose signing asks the thread's current signer. RSA (PKCS#1 and
 * PSS), EC P-256/384/521, Ed25519. Released by the caller with EVP_PKEY_free. */
int sp__signer_key(EVP_PKEY **key, EVP_PKEY *public_half, sp_error_t *why);

/*
 * Who answers on this thread, set by the pair around each call of the SSL engine. `ask` returns 0
 * with the signature (at most *size bytes, *size set), SP_PENDING, or an error. After SP_PENDING
 * the signer pauses the ASYNC job that it runs in (SSL_MODE_ASYNC; outside of a job it fails) and
 * asks again with the same message when the job goes on.
 */
typedef int (*sp__sign_cb)(void *owner, uint16_t scheme, const uint8_t *message, size_t n,
                           uint8_t *signature, size_t *size);
void sp__signer_enter(sp__sign_cb ask, void *owner);
void sp__signer_leave(void);

#endif
