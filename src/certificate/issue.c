/* Certificates made: for a key by itself, or for a request by an authority. */
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/rand.h>

#include "base/error.h"
#include "base/memory.h"
#include "certificate/request.h"
#include "certificate/spec.h"

#define MINUTE 60
#define DAY 86400
#define LEAF_DAYS 90
#define AUTHORITY_DAYS 3653
#define SERIAL_SIZE 20
#define LAST_SECOND 253402300799 /* 9999-12-31, RFC 5280 4.1.2.5 */

/* What a certificate is made of. */
typedef struct making {
  sp_certificate_spec_t spec;
  const X509_NAME *subject;
  GENERAL_NAMES *names; /* NULL: none */
  EVP_PKEY *key;        /* that it is for */
  X509 *issuer;         /* NULL: itself */
  EVP_PKEY *signer;
} making_t;

static int failed(sp_error_t *why) {
  return sp__make_fail(why, SP_ECRYPTO, "the certificate cannot be made");
}

/* -- its parts --------------------------------------------------------------------------------- */

/* Random, so that nobody can foresee what will be signed; never negative, never zero. */
static bool make_serial(uint8_t serial[SERIAL_SIZE]) {
  if (RAND_bytes(serial, SERIAL_SIZE) != 1)
    return false;
  serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40);
  return true;
}

static bool set_serial(X509 *x509, const sp_certificate_spec_t *spec) {
  uint8_t random[SERIAL_SIZE];
  if (!spec->serial && !make_serial(random))
    return false;
  BIGNUM *number = spec->serial ? BN_bin2bn(spec->serial, (int)spec->serial_size, NULL)
                                : BN_bin2bn(random, SERIAL_SIZE, NULL);
  bool fine = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509));
  BN_free(number);
  return fine;
}

/* Nobody accepts a certificate that outlives its issuer. */
static int choose_dates(making_t *making, sp_error_t *why) {
  sp_certificate_spec_t *spec = &making->spec;
  int64_t days = spec->purpose == SP_FOR_AUTHORITY ? AUTHORITY_DAYS : LEAF_DAYS;
  int64_t end = making->issuer ? sp__time_of(X509_get0_notAfter(making->issuer)) : LAST_SECOND;
  int64_t now = (int64_t)time(NULL);
  if (!spec->valid_from)
    spec->valid_from = now - MINUTE;
  if (end < now)
    return sp__fail(why, SP_ECERTIFICATE, SP_US,
                    "the issuer's own certificate has expired: renew it first");
  if (!spec->valid_to) {
    spec->valid_to = spec->valid_from + days * DAY;
    if (spec->valid_to > end)
      spec->valid_to = end;
  }
  if (spec->valid_to > end)
    return sp__fail(why, SP_EOPTION, SP_US,
                    "valid_to lies beyond the end of the issuer's own certificate");
  if (spec->valid_from < 0 || spec->valid_to <= spec->valid_from)
    return sp__fail(why, SP_EOPTION, SP_US, "valid_to is not after valid_from");
  return 0;
}

static int check_key(const EVP_PKEY *key, sp_error_t *why) {
  int bits = EVP_PKEY_get_bits(key);
  if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
    return bits >= 2048 ? 0
                        : sp__fail(why, SP_EKEY, SP_US,
                                   "an RSA key of %d bits is not safe any more: make one of 2048 "
                                   "bits at least, or an EC key",
                                   bits);
  if (EVP_PKEY_is_a(key, "EC") ? bits >= 256
                               : EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448"))
    return 0;
  return sp__fail(why, SP_EKEY, SP_US, "a key of type %s with %d bits is of no use for TLS today",
                  EVP_PKEY_get0_type_name(key), bits);
}

/* -- the whole --------------------------------------------------------------------------------- */

static int compose(X509 *x509, const making_t *making, sp_error_t *why) {
  const sp_certificate_spec_t *spec = &making->spec;
  const X509_NAME *by = making->issuer ? X509_get_subject_name(making->issuer) : making->subject;
  ERR_clear_error();
  if (!X509_set_version(x509, X509_VERSION_3) || !set_serial(x509, spec) ||
      !X509_set_subject_name(x509, making->subject) || !X509_set_issuer_name(x509, by) ||
      !ASN1_TIME_set(X509_getm_notBefore(x509), (time_t)spec->valid_from) ||
      !ASN1_TIME_set(X509_getm_notAfter(x509), (time_t)spec->valid_to) ||
      !X509_set_pubkey(x509, making->key))
    return failed(why);
  int status =
      sp__spec_extend(x509, making->issuer ? making->issuer : x509, spec, making->names, why);
  if (!status && X509_sign(x509, making->signer, sp__key_digest(making->signer)) <= 0)
    status = sp__make_fail(why, SP_ECRYPTO, "the certificate cannot be signed");
  return status;
}

static int make(sp_certificate_t **certificate, making_t *making, sp_error_t *why) {
  int status = check_key(making->key, why);
  if (!status)
    status = choose_dates(making, why);
  if (!status && making->spec.purpose == SP_FOR_SERVER && !making->names)
    status = sp__fail(why, SP_EOPTION, SP_US,
                      "names is empty: a server's certificate has to say which names it is for");
  if (status < 0)
    return status;
  X509 *x509 = X509_new();
  status = x509 ? compose(x509, making, why) : sp__fail_memory(why);
  if (!status)
    status = sp_certificate_from_x509(certificate, x509, why);
  X509_free(x509);
  return status;
}

int sp_certificate_make(sp_certificate_t **certificate, const sp_key_t *key, sp_error_t *why,
                        const sp_certificate_spec_t *given) {
  making_t making = {.key = key->evp, .signer = key->evp};
  X509_NAME *subject = NULL;
  *certificate = NULL;
  int status = sp__spec_copy(&making.spec, given, why);
  if (!status)
    status = sp__spec_names(&making.names, &making.spec, why);
  if (!status)
    status = sp__spec_subject(&subject, &making.spec, why);
  if (!status && making.spec.purpose == SP_FOR_AUTHORITY && !X509_NAME_entry_count(subject))
    status = sp__fail(why, SP_EOPTION, SP_US, "subject: an authority needs one, \"CN=...\"");
  making.subject = subject;
  if (!status)
    status = make(certificate, &making, why);
  GENERAL_NAMES_free(making.names);
  X509_NAME_free(subject);
  return status;
}

/* -- by an authority --------------------------------------------------------------------------- */

static int check_issuer(const sp_certificate_t *issuer, const sp_key_t *key, sp_error_t *why) {
  X509 *x509 = sp_certificate_x509(issuer);
  if (!sp_key_fits(key, issuer))
    return sp__fail(why, SP_EMISMATCH, SP_US,
                    "the issuer's key and certificate (%s) do not belong "
                    "together",
                    sp_certificate_subject(issuer));
  if (sp_certificate_is_authority(issuer) && X509_get_key_usage(x509) & KU_KEY_CERT_SIGN)
    return 0;
  return sp__fail(why, SP_ECERTIFICATE, SP_US,
                  "%s may not sign certificates: it was not made for an authority",
                  sp_certificate_subject(issuer));
}

/* RFC 5280 4.2.1.9: a path length of 0 allows no authority below. */
static int check_path(making_t *making, sp_error_t *why) {
  long most = X509_get_pathlen(making->issuer);
  if (making->spec.purpose != SP_FOR_AUTHORITY || most < 0)
    return 0;
  if (most == 0)
    return sp__fail(why, SP_ECERTIFICATE, SP_US,
                    "the issuer may not sign for other authorities: its path length is 0 "
                    "(give the root a larger one when it is made)");
  if (!making->spec.path_length_plus_1 || making->spec.path_length_plus_1 > most)
    making->spec.path_length_plus_1 = (int)most;
  return 0;
}

/* The spec's, or else the request's own. */
static int choose_names(making_t *making, const sp_request_t *request, X509_NAME **subject,
                        sp_error_t *why) {
  const sp_certificate_spec_t *spec = &making->spec;
  X509_NAME *asked = X509_REQ_get_subject_name(request->x509_req);
  int status = sp__spec_names(&making->names, spec, why);
  if (!status && !making->names && request->names &&
      !(making->names = ASN1_item_dup(ASN1_ITEM_rptr(GENERAL_NAMES), request->names)))
    status = sp__fail_memory(why);
  if (status < 0)
    return status;
  if (spec->subject || (spec->names && !X509_NAME_entry_count(asked)))
    return sp__spec_subject(subject, spec, why);
  *subject = X509_NAME_dup(asked);
  return *subject ? 0 : sp__fail_memory(why);
}

int sp_certificate_sign(sp_certificate_t **certificate, const sp_request_t *request,
                        const sp_certificate_t *issuer, const sp_key_t *issuer_key, sp_error_t *why,
                        const sp_certificate_spec_t *given) {
  making_t making = {.key = X509_REQ_get0_pubkey(request->x509_req),
                     .issuer = sp_certificate_x509(issuer),
                     .signer = issuer_key->evp};
  X509_NAME *subject = NULL;
  *certificate = NULL;
  int status = sp__spec_copy(&making.spec, given, why);
  if (!status)
    status = check_issuer(issuer, issuer_key, why);
  if (!status)
    status = check_path(&making, why);
  if (!status)
    status = choose_names(&making, request, &subject, why);
  making.subject = subject;
  if (!status)
    status = make(certificate, &making, why);
  GENERAL_NAMES_free(making.names);
  X509_NAME_free(subject);
  return status;
}
