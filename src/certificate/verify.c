/* What OpenSSL's verification results mean, in words. */
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "certificate/piece.h"
#include "certificate/view.h"

/* -- names ------------------------------------------------------------------------------------- */

#define NAME(name)                                                                                 \
  { X509_V_ERR_##name, #name }
static const struct {
  long verify;
  const char *name;
} verify_names[] = {
    {X509_V_OK, NULL},
    {X509_V_ERR_HOSTNAME_MISMATCH, "ERR_TLS_CERT_ALTNAME_INVALID"},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, "ERR_TLS_CERT_ALTNAME_INVALID"},
    NAME(UNABLE_TO_GET_ISSUER_CERT),
    NAME(UNABLE_TO_GET_CRL),
    NAME(UNABLE_TO_DECRYPT_CERT_SIGNATURE),
    NAME(UNABLE_TO_DECRYPT_CRL_SIGNATURE),
    NAME(UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY),
    NAME(CERT_SIGNATURE_FAILURE),
    NAME(CRL_SIGNATURE_FAILURE),
    NAME(CERT_NOT_YET_VALID),
    NAME(CERT_HAS_EXPIRED),
    NAME(CRL_NOT_YET_VALID),
    NAME(CRL_HAS_EXPIRED),
    NAME(ERROR_IN_CERT_NOT_BEFORE_FIELD),
    NAME(ERROR_IN_CERT_NOT_AFTER_FIELD),
    NAME(ERROR_IN_CRL_LAST_UPDATE_FIELD),
    NAME(ERROR_IN_CRL_NEXT_UPDATE_FIELD),
    NAME(OUT_OF_MEM),
    NAME(DEPTH_ZERO_SELF_SIGNED_CERT),
    NAME(SELF_SIGNED_CERT_IN_CHAIN),
    NAME(UNABLE_TO_GET_ISSUER_CERT_LOCALLY),
    NAME(UNABLE_TO_VERIFY_LEAF_SIGNATURE),
    NAME(CERT_CHAIN_TOO_LONG),
    NAME(CERT_REVOKED),
    NAME(NO_ISSUER_PUBLIC_KEY),
    NAME(PATH_LENGTH_EXCEEDED),
    NAME(INVALID_PURPOSE),
    NAME(CERT_UNTRUSTED),
    NAME(CERT_REJECTED),
    NAME(SUBJECT_ISSUER_MISMATCH),
    NAME(AKID_SKID_MISMATCH),
    NAME(AKID_ISSUER_SERIAL_MISMATCH),
    NAME(KEYUSAGE_NO_CERTSIGN),
    NAME(UNABLE_TO_GET_CRL_ISSUER),
    NAME(UNHANDLED_CRITICAL_EXTENSION),
    NAME(KEYUSAGE_NO_CRL_SIGN),
    NAME(UNHANDLED_CRITICAL_CRL_EXTENSION),
    NAME(INVALID_NON_CA),
    NAME(PROXY_PATH_LENGTH_EXCEEDED),
    NAME(KEYUSAGE_NO_DIGITAL_SIGNATURE),
    NAME(PROXY_CERTIFICATES_NOT_ALLOWED),
    NAME(INVALID_EXTENSION),
    NAME(INVALID_POLICY_EXTENSION),
    NAME(NO_EXPLICIT_POLICY),
    NAME(DIFFERENT_CRL_SCOPE),
    NAME(UNSUPPORTED_EXTENSION_FEATURE),
    NAME(UNNESTED_RESOURCE),
    NAME(PERMITTED_VIOLATION),
    NAME(EXCLUDED_VIOLATION),
    NAME(SUBTREE_MINMAX),
    NAME(APPLICATION_VERIFICATION),
    NAME(UNSUPPORTED_CONSTRAINT_TYPE),
    NAME(UNSUPPORTED_CONSTRAINT_SYNTAX),
    NAME(UNSUPPORTED_NAME_SYNTAX),
    NAME(CRL_PATH_VALIDATION_ERROR),
    NAME(PATH_LOOP),
    NAME(EMAIL_MISMATCH),
    NAME(DANE_NO_MATCH),
    NAME(EE_KEY_TOO_SMALL),
    NAME(CA_KEY_TOO_SMALL),
    NAME(CA_MD_TOO_WEAK),
    NAME(INVALID_CALL),
    NAME(STORE_LOOKUP),
    NAME(NO_VALID_SCTS),
    NAME(PROXY_SUBJECT_NAME_VIOLATION),
    NAME(OCSP_VERIFY_NEEDED),
    NAME(OCSP_VERIFY_FAILED),
    NAME(OCSP_CERT_UNKNOWN),
    NAME(UNSUPPORTED_SIGNATURE_ALGORITHM),
    NAME(SIGNATURE_ALGORITHM_MISMATCH),
    NAME(SIGNATURE_ALGORITHM_INCONSISTENCY),
    NAME(INVALID_CA),
    NAME(EC_KEY_EXPLICIT_PARAMS),
};
#undef NAME

const char *sp_verify_name(long verify) {
  for (size_t i = 0; i < sizeof verify_names / sizeof *verify_names; i++)
    if (verify_names[i].verify == verify)
      return verify_names[i].name;
  return "UNSPECIFIED";
}

/* -- sentences --------------------------------------------------------------------------------- */

#define SAY(...) sp__fail(why, SP_EUNAUTHORIZED, SP_PEER, __VA_ARGS__)

static void explain_expired(sp_error_t *why, X509 *x509, const char *subject) {
  int64_t to = sp__time_of(X509_get0_notAfter(x509)), ago = (int64_t)time(NULL) - to;
  sp__piece_t day = sp__piece_date(to, "%Y-%m-%d");
  if (ago <= 0)
    SAY("certificate for %s expired (%s): it has to be renewed", subject, day.text);
  else
    SAY("certificate for %s expired %s ago (%s): it has to be renewed", subject,
        sp__piece_span(ago).text, day.text);
}

static void explain_early(sp_error_t *why, X509 *x509, const char *subject) {
  int64_t from = sp__time_of(X509_get0_notBefore(x509)), in = from - (int64_t)time(NULL);
  SAY("certificate for %s is not valid before %s%s%s: is the clock of this machine right?", subject,
      sp__piece_date(from, "%Y-%m-%d %H:%M UTC").text, in > 0 ? ", in " : "",
      in > 0 ? sp__piece_span(in).text : "");
}

/* What its extended key usages confine a certificate to; NULL: nothing of interest here. */
static const char *confined_to(X509 *x509) {
  if (!(X509_get_extension_flags(x509) & EXFLAG_XKUSAGE))
    return NULL;
  switch (X509_get_extended_key_usage(x509) & (XKU_SSL_SERVER | XKU_SSL_CLIENT)) {
  case XKU_SSL_CLIENT:
    return "a client";
  case XKU_SSL_SERVER:
    return "a server";
  case 0:
    return "something else than TLS";
  default:
    return NULL;
  }
}

static void explain_purpose(sp_error_t *why, X509 *x509, const char *subject) {
  const char *only = confined_to(x509);
  if (only)
    SAY("certificate for %s may only be used for %s: another one is needed, with the extended "
        "key usage of this side",
        subject, only);
  else
    SAY("certificate for %s may not be used for this purpose: its key usages do not allow it",
        subject);
}

static void explain_weak_key(sp_error_t *why, X509 *x509, const char *subject) {
  EVP_PKEY *key = X509_get0_pubkey(x509);
  const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;
  SAY("certificate for %s has a key that is too weak (%s, %d bits): make it anew with EC P-256 or "
      "RSA 2048",
      subject, type ? type : "unknown", key ? EVP_PKEY_get_bits(key) : 0);
}

static void explain_weak_digest(sp_error_t *why, X509 *x509, const char *subject) {
  SAY("certificate for %s is signed with %s, which is too weak: have it signed anew with SHA-256",
      subject, OBJ_nid2ln(X509_get_signature_nid(x509)));
}

/* The chain cannot be followed to someone who is trusted. */
static bool explain_chain(sp_error_t *why, long verify, const char *subject, const char *issuer) {
  switch (verify) {
  case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    return SAY("certificate for %s is self-signed and not among the trusted ones: if it is the "
               "right one, give it as a trusted certificate (ca)",
               subject);
  case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    return SAY("the chain ends with the root %s, which is not trusted: if it is the right one, "
               "give its certificate as a trusted one (ca)",
               subject);
  case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    return SAY("certificate for %s was issued by %s, which is unknown: give its certificate as "
               "a trusted one (ca), or the peer has to send the missing intermediate",
               subject, issuer);
  case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    return SAY("certificate for %s was not signed by the %s that is known here: forged, or from "
               "another authority of the same name",
               subject, issuer);
  case X509_V_ERR_INVALID_CA:
  case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
    return SAY("certificate of %s stands in the chain as an authority, but it is none: it may "
               "not sign others",
               subject);
  case X509_V_ERR_PATH_LENGTH_EXCEEDED:
    return SAY("the chain has more intermediates than %s allows: have the certificate issued "
               "closer to the root",
               subject);
  case X509_V_ERR_CERT_CHAIN_TOO_LONG:
    return SAY("the chain of the certificate for %s is too long: leave out what it does not need",
               subject);
  case X509_V_ERR_PERMITTED_VIOLATION:
  case X509_V_ERR_EXCLUDED_VIOLATION:
    return SAY("certificate for %s has a name that its authority may not vouch for (name "
               "constraints)",
               subject);
  default:
    return false;
  }
}

static bool explain_revocation(sp_error_t *why, long verify, const char *subject,
                               const char *issuer) {
  switch (verify) {
  case X509_V_ERR_CERT_REVOKED:
    return SAY("certificate for %s was revoked by %s: it must not be used any more", subject,
               issuer);
  case X509_V_ERR_UNABLE_TO_GET_CRL:
  case X509_V_ERR_DIFFERENT_CRL_SCOPE:
    return SAY("whether the certificate for %s was revoked cannot be told: add the revocation "
               "list of %s to crl",
               subject, issuer);
  case X509_V_ERR_CRL_HAS_EXPIRED:
    return SAY("the revocation list of %s is out of date: get a newer one and give it as crl",
               issuer);
  case X509_V_ERR_CRL_NOT_YET_VALID:
    return SAY("the revocation list of %s is not valid yet: is the clock of this machine right?",
               issuer);
  case X509_V_ERR_CRL_SIGNATURE_FAILURE:
  case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
  case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
    return SAY("the revocation list of %s is not properly signed by it: get the right one and "
               "give it as crl",
               issuer);
  default:
    return false;
  }
}

static bool explain_certificate(sp_error_t *why, long verify, X509 *x509, const char *host,
                                const char *subject) {
  switch (verify) {
  case X509_V_ERR_CERT_HAS_EXPIRED:
    return explain_expired(why, x509, subject), true;
  case X509_V_ERR_CERT_NOT_YET_VALID:
    return explain_early(why, x509, subject), true;
  case X509_V_ERR_INVALID_PURPOSE:
    return explain_purpose(why, x509, subject), true;
  case X509_V_ERR_EE_KEY_TOO_SMALL:
  case X509_V_ERR_CA_KEY_TOO_SMALL:
    return explain_weak_key(why, x509, subject), true;
  case X509_V_ERR_CA_MD_TOO_WEAK:
    return explain_weak_digest(why, x509, subject), true;
  case X509_V_ERR_EC_KEY_EXPLICIT_PARAMS:
    return SAY("certificate for %s spells out its curve: make it anew with a named one (P-256)",
               subject);
  case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
    return SAY("certificate for %s has a critical extension that is unknown here", subject);
  case X509_V_ERR_HOSTNAME_MISMATCH:
  case X509_V_ERR_IP_ADDRESS_MISMATCH:
    return host && sp__x509_names_host(x509, host, 0, why) != X509_V_OK;
  default:
    return false;
  }
}

static void explain(sp_error_t *why, long verify, X509 *x509, const char *host) {
  sp__piece_t subject = sp__piece_subject(x509), issuer = sp__piece_issuer(x509);
  if (explain_certificate(why, verify, x509, host, subject.text) ||
      explain_chain(why, verify, subject.text, issuer.text) ||
      explain_revocation(why, verify, subject.text, issuer.text))
    return;
  SAY("certificate for %s was not accepted: %s", subject.text,
      X509_verify_cert_error_string(verify));
}

void sp__verify_explain(sp_error_t *why, long verify, X509 *x509, const char *host) {
  if (!why)
    return;
  ERR_set_mark();
  if (x509)
    explain(why, verify, x509, host);
  else
    SAY("the peer sent no certificate: it needs one, and its key");
  ERR_pop_to_mark();
  /* also where a helper ran out of memory: the verdict stands */
  why->status = SP_EUNAUTHORIZED;
  why->who = SP_PEER;
  why->verify = verify;
}
