/* What a certificate or request is to say, turned into OpenSSL's structures. */
#ifndef SP_CERTIFICATE_SPEC_H
#define SP_CERTIFICATE_SPEC_H

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <securepair/make.h>

/* The spec as this version knows it; fields that the caller's does not have are 0. SP_EOPTION: no
 * size, or values that cannot be. */
int sp__spec_copy(sp_certificate_spec_t *copy, const sp_certificate_spec_t *spec, sp_error_t *why);

/* The names as one extension has them; *names NULL when there are none. Freed by the caller. */
int sp__spec_names(GENERAL_NAMES **names, const sp_certificate_spec_t *spec, sp_error_t *why);

/* The subject, or the first name in its place. *name is freed by the caller. */
int sp__spec_subject(X509_NAME **name, const sp_certificate_spec_t *spec, sp_error_t *why);

/* One DNS name, address, e-mail address or URI; `field` is for errors. NULL: why says it. A DNS
 * name may begin with "*." unless it is a constraint. */
GENERAL_NAME *sp__spec_name(const char *text, const char *field, bool constraint, sp_error_t *why);

/* Adds what the spec asks for. `subject` has the names of a certificate that is authority's or
 * not; `issuer` may be the certificate itself. */
int sp__spec_extend(X509 *x509, X509 *issuer, const sp_certificate_spec_t *spec,
                    GENERAL_NAMES *names, sp_error_t *why);

/* The same for a request. */
int sp__spec_extend_request(X509_REQ *request, const sp_certificate_spec_t *spec,
                            GENERAL_NAMES *names, sp_error_t *why);

#endif
