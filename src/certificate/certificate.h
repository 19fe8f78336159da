/* The inside of the certificate layer that other layers use. */
#ifndef SP_CERTIFICATE_CERTIFICATE_H
#define SP_CERTIFICATE_CERTIFICATE_H

#include <stdbool.h>

#include <openssl/x509.h>

#include <securepair/certificate.h>

/* A view of x509 followed by the certificates of `chain` (borrowed, may be NULL, may repeat the
 * first). */
int sp__certificate_view(sp_certificate_t **certificate, X509 *x509, STACK_OF(X509) * chain,
                         sp_error_t *why);

/* The same decision as sp_certificate_names_host on a bare X509; X509_V_OK or
 * X509_V_ERR_HOSTNAME_MISMATCH / X509_V_ERR_IP_ADDRESS_MISMATCH / X509_V_ERR_OUT_OF_MEM. */
long sp__x509_names_host(X509 *x509, const char *host, unsigned flags, sp_error_t *why);

/* Whether `host` is a host name that may be asked for by SNI (RFC 6066 3): letters, digits, hyphens
 * and underscores in labels of 1 to 63, at most 253, not an address; a trailing dot is allowed. */
bool sp__is_host_name(const char *host);

/* Whether `host` is an address in canonical form: "192.0.2.1", "2001:db8::1". */
bool sp__is_address(const char *host);

/* A sentence for a failed verification of `x509` (may be NULL): what, since when, and what to do.
 * Fills why with status SP_EUNAUTHORIZED, SP_PEER and `verify`. `host` may be NULL. */
void sp__verify_explain(sp_error_t *why, long verify, X509 *x509, const char *host);

#endif
