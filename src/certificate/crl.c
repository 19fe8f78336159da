/* Revocation lists (RFC 5280 5). */
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "certificate/key.h"

#define DAY 86400
#define REASON_MOST 10
#define REASON_UNUSED 7

static int failed(sp_error_t *why) {
  return sp__make_fail(why, SP_ECRYPTO, "the revocation list cannot be made");
}

static int check_issuer(const sp_certificate_t *issuer, const sp_key_t *key, sp_error_t *why) {
  if (!sp_key_fits(key, issuer))
    return sp__fail(why, SP_EMISMATCH, SP_US,
                    "the issuer's key and certificate (%s) do not belong "
                    "together",
                    sp_certificate_subject(issuer));
  if (X509_get_key_usage(sp_certificate_x509(issuer)) & KU_CRL_SIGN)
    return 0;
  return sp__fail(why, SP_ECERTIFICATE, SP_US, "%s may not sign revocation lists",
                  sp_certificate_subject(issuer));
}

/* -- entries ----------------------------------------------------------------------------------- */

static bool add_reason(X509_REVOKED *entry, int reason) {
  ASN1_ENUMERATED *number = ASN1_ENUMERATED_new();
  bool fine = number && ASN1_ENUMERATED_set(number, reason) &&
              X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, number, 0, X509V3_ADD_APPEND) == 1;
  ASN1_ENUMERATED_free(number);
  return fine;
}

static bool fill_entry(X509_REVOKED *entry, const sp_revoked_t *revoked) {
  BIGNUM *number = NULL;
  bool read = BN_hex2bn(&number, revoked->serial) == (int)strlen(revoked->serial);
  ASN1_INTEGER *serial = read ? BN_to_ASN1_INTEGER(number, NULL) : NULL;
  ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)revoked->when);
  bool fine = serial && when && X509_REVOKED_set_serialNumber(entry, serial) &&
              X509_REVOKED_set_revocationDate(entry, when) &&
              (!revoked->reason || add_reason(entry, revoked->reason));
  BN_free(number);
  ASN1_INTEGER_free(serial);
  ASN1_TIME_free(when);
  return fine;
}

static bool is_serial(const char *serial) {
  size_t n = serial ? strspn(serial, "0123456789abcdefABCDEF") : 0;
  return n && n <= 40 && !serial[n];
}

static int add_entry(X509_CRL *crl, const sp_revoked_t *revoked, sp_error_t *why) {
  if (!is_serial(revoked->serial))
    return sp__fail(why, SP_EOPTION, SP_US, "serial \"%s\" is none: 1 to 40 hexadecimal digits are",
                    revoked->serial ? revoked->serial : "");
  if (revoked->reason < 0 || revoked->reason > REASON_MOST || revoked->reason == REASON_UNUSED)
    return sp__fail(why, SP_EOPTION, SP_US, "reason %d is none (RFC 5280 5.3.1)", revoked->reason);
  X509_REVOKED *entry = X509_REVOKED_new();
  if (!entry)
    return sp__fail_memory(why);
  if (fill_entry(entry, revoked) && X509_CRL_add0_revoked(crl, entry))
    return 0;
  X509_REVOKED_free(entry);
  return failed(why);
}

/* -- the list ---------------------------------------------------------------------------------- */

static bool add_number(X509_CRL *crl, uint64_t number) {
  ASN1_INTEGER *integer = ASN1_INTEGER_new();
  bool fine = integer && ASN1_INTEGER_set_uint64(integer, number) &&
              X509_CRL_add1_ext_i2d(crl, NID_crl_number, integer, 0, X509V3_ADD_APPEND) == 1;
  ASN1_INTEGER_free(integer);
  return fine;
}

static bool add_key_identifier(X509_CRL *crl, X509 *issuer) {
  X509V3_CTX ctx;
  X509V3_set_ctx(&ctx, issuer, NULL, NULL, crl, 0);
  X509V3_set_ctx_nodb(&ctx);
  X509_EXTENSION *extension =
      X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
  bool fine = extension && X509_CRL_add_ext(crl, extension, -1);
  X509_EXTENSION_free(extension);
  return fine;
}

static bool set_head(X509_CRL *crl, X509 *issuer, uint64_t number, int days) {
  time_t now = time(NULL);
  ASN1_TIME *from = ASN1_TIME_set(NULL, now), *to = ASN1_TIME_set(NULL, now + (time_t)days * DAY);
  bool fine = from && to && X509_CRL_set_version(crl, X509_CRL_VERSION_2) &&
              X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)) &&
              X509_CRL_set1_lastUpdate(crl, from) && X509_CRL_set1_nextUpdate(crl, to) &&
              add_key_identifier(crl, issuer) && add_number(crl, number);
  ASN1_TIME_free(from);
  ASN1_TIME_free(to);
  return fine;
}

static int write_pem(char **pem, X509_CRL *crl, sp_error_t *why) {
  BIO *bio = BIO_new(BIO_s_mem());
  if (bio && PEM_write_bio_X509_CRL(bio, crl))
    return sp__pem_take(pem, bio, why);
  BIO_free(bio);
  return sp__fail_memory(why);
}

int sp_crl_make(char **pem, const sp_certificate_t *issuer, const sp_key_t *key,
                const sp_revoked_t *revoked, size_t count, uint64_t number, int days,
                sp_error_t *why) {
  *pem = NULL;
  if (days < 1 || days > 3650)
    return sp__fail(why, SP_EOPTION, SP_US, "days is %d: 1 to 3650 are possible", days);
  int status = check_issuer(issuer, key, why);
  if (status < 0)
    return status;
  ERR_clear_error();
  X509_CRL *crl = X509_CRL_new();
  if (!crl || !set_head(crl, sp_certificate_x509(issuer), number, days))
    status = failed(why);
  for (size_t i = 0; !status && i < count; i++)
    status = add_entry(crl, revoked + i, why);
  if (!status &&
      (!X509_CRL_sort(crl) || X509_CRL_sign(crl, key->evp, sp__key_digest(key->evp)) <= 0))
    status = failed(why);
  if (!status)
    status = write_pem(pem, crl, why);
  X509_CRL_free(crl);
  return status;
}
