/* Making private keys, requests, certificates and revocation lists; sp_make(3) is its page. */
#ifndef SECUREPAIR_MAKE_H
#define SECUREPAIR_MAKE_H

#include <stdbool.h>
#include <stdint.h>

#include <securepair/certificate.h>
#include <securepair/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evp_pkey_st; /* OpenSSL's EVP_PKEY */

/* A PEM text that a call made: wiped, then freed. NULL is fine. */
SP_EXTERN void sp_pem_release(char *pem);

/* -- private keys ------------------------------------------------------------------------------ */

/* Immutable, refcounted, may be shared by threads. */
typedef struct sp_key sp_key_t;

typedef enum sp_key_kind {
  SP_KEY_P256 = 0, /* ECDSA; what most servers should take */
  SP_KEY_P384 = 1,
  SP_KEY_P521 = 2,
  SP_KEY_ED25519 = 3,
  SP_KEY_RSA = 4
} sp_key_kind_t;

/* A new key. `bits` is for RSA: 2048 to 8192; 0: 3072. RSA takes up to some seconds. *key is
 * released by the caller. Any thread. Errors: SP_EOPTION (bits), SP_ECRYPTO, UV_ENOMEM. */
SP_EXTERN int sp_key_make(sp_key_t **key, sp_key_kind_t kind, int bits, sp_error_t *why);

/*
 * Reads a private key from PEM (the first key in it; other blocks may stand before it) or DER.
 * `passphrase` may be NULL; nobody is ever asked at a terminal. Any thread.
 * Errors, each naming what was found in place of a key: SP_EKEY, SP_EPASSPHRASE, UV_ENOMEM; for a
 * file also libuv's.
 */
SP_EXTERN int sp_key_read(sp_key_t **key, const void *bytes, size_t n, const char *passphrase,
                          sp_error_t *why);
SP_EXTERN int sp_key_read_file(sp_key_t **key, const char *path, const char *passphrase,
                               sp_error_t *why);

SP_EXTERN sp_key_t *sp_key_retain(sp_key_t *key);
SP_EXTERN void sp_key_release(sp_key_t *key); /* NULL is fine */

/* "EC", "RSA", "ED25519"; its size in bits; the curve's name ("prime256v1") or NULL. */
SP_EXTERN const char *sp_key_type(const sp_key_t *key);
SP_EXTERN int sp_key_bits(const sp_key_t *key);
SP_EXTERN const char *sp_key_curve(const sp_key_t *key);

/* SHA-256 of the public half (SubjectPublicKeyInfo) as "AB:CD:...": the same for a key, its
 * requests and its certificates. */
SP_EXTERN const char *sp_key_fingerprint(const sp_key_t *key);

/* Whether the certificate is for this key. */
SP_EXTERN bool sp_key_fits(const sp_key_t *key, const sp_certificate_t *certificate);

/* PKCS#8 in PEM; with a passphrase encrypted (PBES2: AES-256-CBC, PBKDF2 with HMAC-SHA256, 600 000
 * rounds). *pem goes to sp_pem_release. Errors: SP_EPASSPHRASE (empty, or above 1024 bytes),
 * SP_ECRYPTO, UV_ENOMEM. */
SP_EXTERN int sp_key_pem(const sp_key_t *key, const char *passphrase, char **pem, sp_error_t *why);

/* OpenSSL's object. Borrowed. */
SP_EXTERN struct evp_pkey_st *sp_key_evp(const sp_key_t *key);

/* -- what is to stand in a certificate or request ---------------------------------------------- */

typedef enum sp_purpose {
  SP_FOR_SERVER = 0,
  SP_FOR_CLIENT = 1,
  SP_FOR_BOTH = 2,
  SP_FOR_AUTHORITY = 3 /* a certificate that signs others */
} sp_purpose_t;

/* A field left 0 takes the default. Made with SP_CERTIFICATE(.names = SP_NAMES("a.example")). */
typedef struct sp_certificate_spec {
  size_t size; /* set by SP_CERTIFICATE */
  /* "CN=a.example,O=Example,C=DE" (RFC 4514: a comma in a value is written \,), UTF-8. Default: the
   * first name as CN if it has at most 64 characters, else empty; of a request: the request's */
  const char *subject;
  /* DNS names ("*.a.example" too), addresses, e-mail addresses, URIs; told apart by their form.
   * Needed but for an authority; a client may have just a subject. Of a request: the request's */
  const char *const *names;
  sp_purpose_t purpose;
  /* seconds since 1970. Default: from a minute ago; for 90 days, an authority for ten years, but
   * never beyond the issuer's own end */
  int64_t valid_from, valid_to;
  /* an authority: how many authorities may stand below it, +1; 0: any number */
  int path_length_plus_1;
  /* an authority: the only DNS names and addresses ("10.0.0.0/8") that certificates below it may
   * have; and those they may not (RFC 5280 4.2.1.10) */
  const char *const *permitted, *const *excluded;
  const char *crl_url, *ocsp_url; /* where the issuer publishes revocations */
  bool must_staple;               /* RFC 7633 */
  /* 1 to 20 bytes, the first below 0x80 and not 0; default: 159 random bits (RFC 5280 4.1.2.2) */
  const uint8_t *serial;
  size_t serial_size;
} sp_certificate_spec_t;

#define SP_CERTIFICATE(...)                                                                        \
  (&(const sp_certificate_spec_t){.size = sizeof(sp_certificate_spec_t), __VA_ARGS__})
#define SP_NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* -- requests (RFC 2986) ----------------------------------------------------------------------- */

/* Immutable, refcounted, may be shared by threads; texts live as long as it does, and are escaped
 * as a certificate's. */
typedef struct sp_request sp_request_t;

/* Asks for a certificate for `key`: subject, names, purpose, must_staple of the spec. Errors:
 * SP_EOPTION naming the field, SP_ECRYPTO, UV_ENOMEM. Any thread, as all below. */
SP_EXTERN int sp_request_make(sp_request_t **request, const sp_key_t *key, sp_error_t *why,
                              const sp_certificate_spec_t *spec);

/* Reads one from PEM or DER, and checks that it is signed with its own key. Errors:
 * SP_ECERTIFICATE, UV_ENOMEM; for a file also libuv's. */
SP_EXTERN int sp_request_read(sp_request_t **request, const void *bytes, size_t n, sp_error_t *why);
SP_EXTERN int sp_request_read_file(sp_request_t **request, const char *path, sp_error_t *why);

SP_EXTERN sp_request_t *sp_request_retain(sp_request_t *request);
SP_EXTERN void sp_request_release(sp_request_t *request); /* NULL is fine */

/* What it asks for: as sp_certificate_subject and sp_certificate_names; the key's type, size and
 * fingerprint as sp_key_...; itself in PEM. */
SP_EXTERN const char *sp_request_subject(const sp_request_t *request);
SP_EXTERN const sp_name_t *sp_request_names(const sp_request_t *request, size_t *count);
SP_EXTERN const char *sp_request_key_type(const sp_request_t *request);
SP_EXTERN int sp_request_key_bits(const sp_request_t *request);
SP_EXTERN const char *sp_request_key_fingerprint(const sp_request_t *request);
SP_EXTERN const char *sp_request_pem(const sp_request_t *request);

/* -- certificates ------------------------------------------------------------------------------ */

/*
 * A certificate that `key` signs for itself. With SP_FOR_AUTHORITY: a root. Errors: SP_EOPTION
 * naming the field (a name of no known form, a subject that cannot be read, an end before the
 * beginning), SP_EKEY (RSA below 2048 bits), SP_ECRYPTO, UV_ENOMEM.
 */
SP_EXTERN int sp_certificate_make(sp_certificate_t **certificate, const sp_key_t *key,
                                  sp_error_t *why, const sp_certificate_spec_t *spec);

/*
 * A certificate for a request's key, signed by `issuer` with its key. Of the request are taken the
 * key and, where the spec does not say otherwise, subject and names: what else it asks for (being
 * an authority, other usages) is passed over, for that is the authority's to decide. Errors: as
 * above; SP_EMISMATCH (issuer and its key), SP_ECERTIFICATE (the issuer may not sign, or its own
 * time is over).
 */
SP_EXTERN int sp_certificate_sign(sp_certificate_t **certificate, const sp_request_t *request,
                                  const sp_certificate_t *issuer, const sp_key_t *issuer_key,
                                  sp_error_t *why, const sp_certificate_spec_t *spec);

/* -- revocation lists (RFC 5280 5) ------------------------------------------------------------- */

typedef struct sp_revoked {
  const char *serial; /* as sp_certificate_serial writes it */
  int64_t when;       /* seconds since 1970 */
  int reason;         /* RFC 5280 5.3.1: 1 key compromise, 4 superseded, ...; 0: none is given */
} sp_revoked_t;

/* A list of `count` certificates of the issuer's that are valid no more, as PEM: *pem goes to
 * sp_pem_release. `number` has to grow with each list; it says that the next one comes in
 * `days`. Errors: SP_EOPTION, SP_EMISMATCH, SP_ECERTIFICATE (may not sign lists), SP_ECRYPTO,
 * UV_ENOMEM. */
SP_EXTERN int sp_crl_make(char **pem, const sp_certificate_t *issuer, const sp_key_t *issuer_key,
                          const sp_revoked_t *revoked, size_t count, uint64_t number, int days,
                          sp_error_t *why);

#ifdef __cplusplus
}
#endif
#endif
