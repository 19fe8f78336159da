/* The inside of a private key. */
#ifndef SP_CERTIFICATE_KEY_H
#define SP_CERTIFICATE_KEY_H

#include <stdatomic.h>

#include <openssl/evp.h>

#include <securepair/make.h>

#define SP__FINGERPRINT_SIZE (3 * 32) /* SHA-256 as "AB:CD:..." with its NUL */

struct sp_key {
  atomic_uint references;
  EVP_PKEY *evp;
  const char *type; /* OpenSSL's */
  char curve[40];   /* "": none */
  char fingerprint[SP__FINGERPRINT_SIZE];
};

/* A key made of OpenSSL's, which becomes its own, also on failure. */
int sp__key_wrap(sp_key_t **key, EVP_PKEY *evp, sp_error_t *why);

/* Writes the digest of a public key. False: no memory. */
bool sp__key_hash(char room[SP__FINGERPRINT_SIZE], EVP_PKEY *evp);

/* The digest that a key signs with; NULL for those that bring their own (Ed25519). */
const EVP_MD *sp__key_digest(const EVP_PKEY *evp);

/* What OpenSSL refused, with its reason; its queue is then empty. UV_ENOMEM for lack of memory. */
int sp__make_fail(sp_error_t *why, int status, const char *what);

/* The PEM text in a memory BIO, NUL-terminated; the BIO is freed (its memory wiped). */
int sp__pem_take(char **pem, BIO *bio, sp_error_t *why);

#endif
