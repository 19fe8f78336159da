/* A certificate as one reads it, and the decision whether it names a host. */
#ifndef SECUREPAIR_CERTIFICATE_H
#define SECUREPAIR_CERTIFICATE_H

#include <stdbool.h>
#include <stdint.h>

#include <securepair/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct x509_st; /* OpenSSL's X509 */

/*
 * A certificate and, where it came with a chain, the link to its issuer. Immutable, refcounted,
 * may be shared by threads. Every pointer an accessor returns lives as long as the certificate
 * does. Texts are UTF-8, and control characters and NUL in them are escaped as \xHH.
 */
typedef struct sp_certificate sp_certificate_t;

/* Reads a certificate, and the chain after it, from PEM (one or more CERTIFICATE blocks) or DER.
 * Errors: SP_ECERTIFICATE, UV_ENOMEM. The result is released by the caller. Any thread. */
SP_EXTERN int sp_certificate_read(sp_certificate_t **certificate, const void *bytes, size_t n,
                                  sp_error_t *why);

/* The same from a file. Errors: also libuv's for the file (UV_ENOENT, UV_EACCES, ...). */
SP_EXTERN int sp_certificate_read_file(sp_certificate_t **certificate, const char *path,
                                       sp_error_t *why);

/* The same from an OpenSSL object, of which the view takes a reference of its own. */
SP_EXTERN int sp_certificate_from_x509(sp_certificate_t **certificate, struct x509_st *x509,
                                       sp_error_t *why);

SP_EXTERN sp_certificate_t *sp_certificate_retain(sp_certificate_t *certificate);
SP_EXTERN void sp_certificate_release(sp_certificate_t *certificate); /* NULL is fine */

/* Subject and issuer on one line, most significant part last: "CN=a.example,O=Example,C=DE"
 * (RFC 4514). Empty when the name is empty. */
SP_EXTERN const char *sp_certificate_subject(const sp_certificate_t *certificate);
SP_EXTERN const char *sp_certificate_issuer(const sp_certificate_t *certificate);

/* Whose name. */
typedef enum sp_name_side { SP_SUBJECT = 0, SP_ISSUER = 1 } sp_name_side_t;

typedef struct sp_attribute {
  const char *type;  /* "CN"; dotted numbers for an unknown one */
  const char *value; /* as UTF-8 */
} sp_attribute_t;

/* The attributes of a name in the order of the certificate; *count is how many. */
SP_EXTERN const sp_attribute_t *sp_certificate_attributes(const sp_certificate_t *certificate,
                                                          sp_name_side_t side, size_t *count);

/* The value of the first attribute of a type ("CN", "O"); NULL when there is none. */
SP_EXTERN const char *sp_certificate_attribute(const sp_certificate_t *certificate,
                                               sp_name_side_t side, const char *type);

/* What an OCSP response that came along with a certificate (a staple, RFC 6066 8) says of it. */
typedef enum sp_staple_status {
  SP_STAPLE_NONE = 0, /* none came */
  SP_STAPLE_GOOD,     /* not revoked, says its issuer, and says it of now */
  SP_STAPLE_REVOKED,
  SP_STAPLE_UNKNOWN, /* the responder does not know the certificate */
  SP_STAPLE_STALE,   /* it is out of date, or of the future */
  SP_STAPLE_INVALID  /* no response, about another certificate, or not properly signed */
} sp_staple_status_t;

/* The subject alternative names (RFC 5280 4.2.1.6), in order. */
typedef enum sp_name_type {
  SP_NAME_DNS = 0,
  SP_NAME_IP = 1, /* in canonical text: "192.0.2.1", "2001:db8::1" */
  SP_NAME_EMAIL = 2,
  SP_NAME_URI = 3,
  SP_NAME_OTHER = 4 /* directory names, otherName and so on: the value is a description */
} sp_name_type_t;

typedef struct sp_name {
  sp_name_type_t type;
  const char *value;
} sp_name_t;

SP_EXTERN const sp_name_t *sp_certificate_names(const sp_certificate_t *certificate, size_t *count);

/* Validity in seconds since 1970-01-01 00:00 UTC, both ends included (RFC 5280 4.1.2.5). */
SP_EXTERN int64_t sp_certificate_valid_from(const sp_certificate_t *certificate);
SP_EXTERN int64_t sp_certificate_valid_to(const sp_certificate_t *certificate);

/* The serial number in upper-case hexadecimal without separators; "-" first if negative. */
SP_EXTERN const char *sp_certificate_serial(const sp_certificate_t *certificate);

/* The digest of the DER form as "AB:CD:...". */
typedef enum sp_digest { SP_SHA1 = 0, SP_SHA256 = 1, SP_SHA512 = 2 } sp_digest_t;
SP_EXTERN const char *sp_certificate_fingerprint(const sp_certificate_t *certificate,
                                                 sp_digest_t digest);

/* "RSA", "EC", "ED25519", ...; its size in bits; the curve's name ("prime256v1") or NULL. */
SP_EXTERN const char *sp_certificate_key_type(const sp_certificate_t *certificate);
SP_EXTERN int sp_certificate_key_bits(const sp_certificate_t *certificate);
SP_EXTERN const char *sp_certificate_key_curve(const sp_certificate_t *certificate);

/* How the certificate was signed: "ecdsa-with-SHA256". */
SP_EXTERN const char *sp_certificate_signature(const sp_certificate_t *certificate);

/* Key usages as "digitalSignature", "keyCertSign", ... (RFC 5280 4.2.1.3) and extended ones as
 * OpenSSL's short names or dotted numbers ("serverAuth"); NULL when the extension is absent. */
SP_EXTERN const char *const *sp_certificate_usages(const sp_certificate_t *certificate,
                                                   size_t *count);
SP_EXTERN const char *const *sp_certificate_extended_usages(const sp_certificate_t *certificate,
                                                            size_t *count);

/* Whether basicConstraints makes it a certificate authority. */
SP_EXTERN bool sp_certificate_is_authority(const sp_certificate_t *certificate);

/* Whether it is signed with its own key. */
SP_EXTERN bool sp_certificate_is_self_signed(const sp_certificate_t *certificate);

SP_EXTERN const char *sp_certificate_pem(const sp_certificate_t *certificate);
SP_EXTERN const uint8_t *sp_certificate_der(const sp_certificate_t *certificate, size_t *n);

/* The next certificate of the chain it came with, NULL at the end. Borrowed. */
SP_EXTERN const sp_certificate_t *sp_certificate_next(const sp_certificate_t *certificate);

/* OpenSSL's object. Borrowed. */
SP_EXTERN struct x509_st *sp_certificate_x509(const sp_certificate_t *certificate);

/*
 * Whether the certificate names a host (RFC 9525; SECURITY.md says the same in a table): a DNS
 * name only by a DNS name of the subject alternative names; a wildcard is the whole left-most
 * label with at least two more; an address only in canonical form and only by an IP name; a
 * trailing dot and the case of ASCII letters do not matter. SP_NAME_COMMON also looks at the
 * subject's common name when there is no DNS, IP, e-mail or URI name at all.
 * `why` (may be NULL) is written on a refusal: status SP_EUNAUTHORIZED, verify
 * X509_V_ERR_HOSTNAME_MISMATCH or X509_V_ERR_IP_ADDRESS_MISMATCH, and the names it does have.
 */
#define SP_NAME_COMMON 1u
SP_EXTERN bool sp_certificate_names_host(const sp_certificate_t *certificate, const char *host,
                                         unsigned flags, sp_error_t *why);

#ifdef __cplusplus
}
#endif
#endif
