/* OCSP responses (RFC 6960), and what one says of a certificate. */
#ifndef SP_CERTIFICATE_OCSP_H
#define SP_CERTIFICATE_OCSP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ocsp.h>

#include <securepair/certificate.h>

/* By so many seconds two clocks may differ. */
#define SP__OCSP_SKEW 300

/* What is known of a response. */
typedef struct sp__ocsp {
  bool is_about;       /* one of its answers is for the certificate */
  int64_t from, until; /* from when to when, in seconds since 1970; 0: not known */
} sp__ocsp_t;

/*
 * What a response of n bytes in DER says of x509, which `issuer` issued (NULL: it is not known).
 * It has to be signed by the issuer or by a delegate of it (RFC 6960 4.2.2.2), and to be of now.
 * Unless that is SP_STAPLE_GOOD, `why` (may be NULL) has the sentence, with SP_EUNAUTHORIZED,
 * SP_PEER and the verification result that fits. `facts` may be NULL.
 */
sp_staple_status_t sp__ocsp_check(const void *der, size_t n, X509 *x509, X509 *issuer,
                                  sp__ocsp_t *facts, sp_error_t *why);

/* No response is there, though one was asked for. */
void sp__ocsp_explain_none(X509 *x509, sp_error_t *why);

/* The response in DER, freed by the caller. NULL: it is none, or one that only tells of an error;
 * `why` says so, beginning with a verb. */
OCSP_BASICRESP *sp__ocsp_read(const void *der, size_t n, sp_error_t *why);

/* Whether the certificate says that it is shown with a staple only (RFC 7633: TLS feature 5). */
bool sp__x509_must_staple(const X509 *x509);

#endif
