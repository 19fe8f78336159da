/* Keys and certificates as the options bring them, before they are known to belong together. */
#ifndef SP_CONTEXT_CREDENTIALS_H
#define SP_CONTEXT_CREDENTIALS_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <securepair/context.h>

/* What one identity brought; any part may be missing. */
typedef struct sp__credentials {
  X509 *leaf;
  STACK_OF(X509) * chain;
  EVP_PKEY *key;
  char cert_name[128], key_name[128]; /* of the inputs, for errors */
  /* where it comes from */
  sp_options_t options; /* its key, cert, pfx and passphrase in their places */
  char prefix[40];      /* "identities[1].", or "" for the options themselves */
} sp__credentials_t;

/* All of one context. */
typedef struct sp__credentials_set {
  sp__credentials_t *all;
  size_t count;
} sp__credentials_set_t;

static inline bool sp__has_key(const sp_options_t *o) { return o->key || o->key_file; }
static inline bool sp__has_cert(const sp_options_t *o) { return o->cert || o->cert_file; }
static inline bool sp__has_pfx(const sp_options_t *o) { return o->pfx || o->pfx_file; }

/* Certificate and chain, or all of a PKCS#12. */
int sp__credentials_read_cert(sp__credentials_t *credentials, sp_error_t *why);
int sp__credentials_read_pfx(sp__credentials_t *credentials, sp_error_t *why);

/* The key; of several in one text the one that belongs to its own certificate, else to another one
 * of the set, else the first. */
int sp__credentials_read_key(sp__credentials_set_t *set, sp__credentials_t *credentials,
                             sp_error_t *why);

/* Whether they belong together. Both may be NULL. */
bool sp__credentials_fit(X509 *leaf, EVP_PKEY *key);

#endif
