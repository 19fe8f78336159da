/* The steps in which sp_context_new makes a context; each checks its part of the options. */
#ifndef SP_CONTEXT_BUILD_H
#define SP_CONTEXT_BUILD_H

#include "context/context.h"

#define SP__CREDENTIALS_LIMIT ((size_t)1 << 20) /* bytes of a key, a certificate or a PKCS#12 */
#define SP__IDENTITIES_LIMIT 64           /* OpenSSL holds one for each of some nine types of key */
#define SP__TRUST_LIMIT ((size_t)1 << 24) /* ... of an entry of ca or crl */
/* ... of an OCSP response: more OpenSSL's clients do not take in TLS 1.2 */
#define SP__STAPLE_LIMIT ((size_t)16380)

/* As sp__fail for what OpenSSL refused: takes over its first error as the reason, empties its
 * queue, and turns a lack of memory into UV_ENOMEM. */
int sp__fail_crypto(sp_error_t *why, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Values outside of their enumeration, options that contradict each other. */
int sp__options_check(const sp_options_t *options, sp_error_t *why);

/* Versions, ciphers, suites, groups, signature algorithms, ALPN, tickets. */
int sp__policy_load(sp_context_t *context, const sp_options_t *options, sp_error_t *why);

/* ca, crl, system roots. */
int sp__trust_load(sp_context_t *context, const sp_options_t *options, sp_error_t *why);

/* From when until when each issuer of the revocation lists of the store has a valid one. */
void sp__lists_note(sp_context_t *context, X509_STORE *store);

/* Keys, certificates with chains, PKCS#12; after the two above, whose limits apply to them. */
int sp__credentials_load(sp_context_t *context, const sp_options_t *options, sp_error_t *why);

/* Parameters for DHE. */
int sp__dhparam_load(sp_context_t *context, const sp_options_t *options, sp_error_t *why);

/* Remembers the issuer of the leaf if it is in the chain that was given. */
void sp__issuer_note(sp_context_t *context, X509 *leaf, STACK_OF(X509) * chain);

/* The issuer of the leaf that was noted last, or else of one that a trusted certificate issued.
 * Released by the caller. NULL: not known. */
X509 *sp__issuer_find(const sp_context_t *context, X509 *leaf);

/* OCSP responses: read before the certificates are; looked through for each of those; afterwards
 * all must have been for one of them. */
int sp__staples_load(sp_context_t *context, const sp_options_t *options, sp_error_t *why);
int sp__staples_match(sp_context_t *context, X509 *leaf, sp_error_t *why);
int sp__staples_check(const sp_context_t *context, sp_error_t *why);

/* OpenSSL's callbacks for sessions, key logs and OCSP, as far as the hooks want them. */
void sp__plug(const sp_context_t *context);

/* What policy.c set on the SSL_CTX, set on an SSL that came from another one. */
int sp__policy_apply(const sp_context_t *context, SSL *ssl);

#endif
