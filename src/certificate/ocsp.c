#include "certificate/ocsp.h"

#include <time.h>

#include <openssl/err.h>
#include <openssl/tls1.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "certificate/certificate.h"
#include "certificate/piece.h"
#include "certificate/view.h"

#define DAY 86400       /* seconds; so long a response without an end of its own is taken */
#define WEAK_BITS 112   /* keys and signatures of less security are refused, as in certificates */
#define DIGEST_BYTES 28 /* SHA-224 */

/* One question about one certificate, with room for the answer. */
typedef struct check {
  X509 *x509, *issuer;
  OCSP_BASICRESP *basic;
  OCSP_SINGLERESP *single; /* the answer that is for it */
  int verdict, reason;     /* V_OCSP_CERTSTATUS_..., OCSP_REVOKED_STATUS_... */
  int64_t revoked;
  sp__ocsp_t facts;
  sp_error_t *why;
} check_t;

#define SAY(...) sp__fail(check->why, SP_EUNAUTHORIZED, SP_PEER, __VA_ARGS__)
#define SUBJECT sp__piece_subject(check->x509).text
#define ISSUER sp__piece_issuer(check->x509).text

/* -- reading ----------------------------------------------------------------------------------- */

OCSP_BASICRESP *sp__ocsp_read(const void *der, size_t n, sp_error_t *why) {
  const unsigned char *at = der;
  OCSP_BASICRESP *basic = NULL;
  OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)n);
  int status = response ? OCSP_response_status(response) : 0;
  if (!response)
    sp__fail(why, SP_EUNAUTHORIZED, SP_PEER, "is no OCSP response");
  else if (at != (const unsigned char *)der + n)
    sp__fail(why, SP_EUNAUTHORIZED, SP_PEER, "has bytes behind its end");
  else if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
    sp__fail(why, SP_EUNAUTHORIZED, SP_PEER,
             "only tells of the responder's error \"%s\": it has to be asked again",
             OCSP_response_status_str(status));
  else if (!(basic = OCSP_response_get1_basic(response)))
    sp__fail(why, SP_EUNAUTHORIZED, SP_PEER, "is no OCSP response of the basic kind");
  OCSP_RESPONSE_free(response);
  return basic;
}

/* -- which answer ------------------------------------------------------------------------------ */

/* 1, 0; below 0: no memory. */
static int is_about(const check_t *check, OCSP_SINGLERESP *single) {
  ASN1_INTEGER *serial;
  ASN1_OBJECT *algorithm;
  const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(single);
  OCSP_id_get0_info(NULL, &algorithm, NULL, &serial, (OCSP_CERTID *)(uintptr_t)id);
  if (ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(check->x509)) != 0)
    return 0;
  const EVP_MD *digest = EVP_get_digestbyobj(algorithm);
  OCSP_CERTID *own = digest ? OCSP_cert_to_id(digest, check->x509, check->issuer) : NULL;
  if (!own)
    return digest ? -1 : 0;
  bool same = !OCSP_id_cmp(own, id);
  OCSP_CERTID_free(own);
  return same;
}

/* Of several answers the first counts, but one that says "revoked" before any. */
static bool find(check_t *check) {
  for (int i = 0; i < OCSP_resp_count(check->basic); i++) {
    OCSP_SINGLERESP *single = OCSP_resp_get0(check->basic, i);
    int about = is_about(check, single);
    if (about < 0)
      return false;
    bool revoked =
        OCSP_single_get0_status(single, NULL, NULL, NULL, NULL) == V_OCSP_CERTSTATUS_REVOKED;
    if (about && (revoked || !check->single))
      check->single = single;
    if (about && revoked)
      break;
  }
  return check->single != NULL;
}

static bool note(check_t *check) {
  ASN1_GENERALIZEDTIME *revoked = NULL, *from = NULL, *until = NULL;
  sp__ocsp_t *facts = &check->facts;
  check->verdict = OCSP_single_get0_status(check->single, &check->reason, &revoked, &from, &until);
  check->revoked = revoked ? sp__time_of(revoked) : 0;
  facts->is_about = true;
  facts->from = from ? sp__time_of(from) : 0;
  facts->until = until ? sp__time_of(until) : facts->from + DAY;
  return check->verdict >= 0 && facts->from && facts->until;
}

/* -- whose signature --------------------------------------------------------------------------- */

static bool is_weak_digest(int signature) {
  int digest = NID_undef;
  if (!OBJ_find_sigid_algs(signature, &digest, NULL) || digest == NID_undef)
    return false; /* one that goes with its key, as Ed25519 */
  const EVP_MD *md = EVP_get_digestbynid(digest);
  return !md || EVP_MD_get_size(md) < DIGEST_BYTES;
}

static bool is_of_now(const X509 *x509) {
  int64_t now = (int64_t)time(NULL);
  return sp__time_of(X509_get0_notBefore(x509)) <= now + SP__OCSP_SKEW &&
         sp__time_of(X509_get0_notAfter(x509)) >= now - SP__OCSP_SKEW;
}

static bool is_strong(X509 *x509) {
  int bits = 0;
  return X509_get_signature_info(x509, NULL, NULL, &bits, NULL) && bits >= WEAK_BITS &&
         EVP_PKEY_get_security_bits(X509_get0_pubkey(x509)) >= WEAK_BITS;
}

/* Why a signer other than the issuer may not sign for it; NULL: it may. */
static const char *check_delegate(X509 *delegate, X509 *issuer) {
  EVP_PKEY *key = X509_get0_pubkey(issuer);
  if (X509_check_issued(issuer, delegate) != X509_V_OK || X509_verify(delegate, key) != 1)
    return "which the issuer did not appoint";
  uint32_t flags = X509_get_extension_flags(delegate);
  if (!(flags & EXFLAG_XKUSAGE) || !(X509_get_extended_key_usage(delegate) & XKU_OCSP_SIGN))
    return "whose certificate lacks the usage OCSPSigning";
  if (flags & (EXFLAG_CRITICAL | EXFLAG_INVALID))
    return "whose certificate has extensions that are malformed or unknown here";
  if (!X509_get0_pubkey(delegate) || !is_strong(delegate))
    return "whose certificate has a key or a signature that is too weak";
  return is_of_now(delegate) ? NULL : "whose certificate has expired or is not valid yet";
}

/* OpenSSL is only to try this one key. */
static bool is_signed_by(const check_t *check, X509 *signer, STACK_OF(X509) * room) {
  sk_X509_zero(room);
  return sk_X509_push(room, signer) &&
         OCSP_basic_verify(check->basic, room, NULL, OCSP_TRUSTOTHER | OCSP_NOINTERN) == 1;
}

static bool check_signer(const check_t *check, STACK_OF(X509) * room) {
  X509 *signer = NULL;
  if (!sk_X509_push(room, check->issuer) || !OCSP_resp_get0_signer(check->basic, &signer, room))
    return SAY("the OCSP response for %s is signed by somebody unknown here, not by %s", SUBJECT,
               ISSUER),
           false;
  const char *objection = signer == check->issuer ? NULL : check_delegate(signer, check->issuer);
  if (objection)
    return SAY("the OCSP response for %s is signed by %s, %s", SUBJECT,
               sp__piece_subject(signer).text, objection),
           false;
  if (!is_signed_by(check, signer, room))
    return SAY("the OCSP response for %s is not properly signed by %s: forged or damaged", SUBJECT,
               sp__piece_subject(signer).text),
           false;
  return true;
}

static bool check_signature(const check_t *check) {
  const ASN1_OBJECT *algorithm;
  X509_ALGOR_get0(&algorithm, NULL, NULL, OCSP_resp_get0_tbs_sigalg(check->basic));
  if (is_weak_digest(OBJ_obj2nid(algorithm)))
    return SAY("the OCSP response for %s is signed with %s, which is too weak", SUBJECT,
               OBJ_nid2ln(OBJ_obj2nid(algorithm))),
           false;
  STACK_OF(X509) *room = sk_X509_new_null();
  bool fine = room && check_signer(check, room);
  if (!room)
    sp__fail_memory(check->why);
  sk_X509_free(room);
  return fine;
}

/* -- what it says ------------------------------------------------------------------------------ */

static bool has_critical_extension(const check_t *check) {
  return OCSP_BASICRESP_get_ext_by_critical(check->basic, 1, -1) >= 0 ||
         OCSP_SINGLERESP_get_ext_by_critical(check->single, 1, -1) >= 0;
}

static bool is_valid(check_t *check) {
  if (!check->issuer)
    return SAY("the OCSP response for %s cannot be checked: the certificate of %s is not known",
               SUBJECT, ISSUER),
           false;
  if (!find(check))
    return SAY("the OCSP response is about another certificate than the one for %s", SUBJECT),
           false;
  if (!note(check))
    return SAY("the OCSP response for %s has a malformed date", SUBJECT), false;
  if (has_critical_extension(check))
    return SAY("the OCSP response for %s has a critical extension that is unknown here", SUBJECT),
           false;
  return check_signature(check);
}

static bool is_in_time(const check_t *check) {
  int64_t now = (int64_t)time(NULL), from = check->facts.from, until = check->facts.until;
  if (now < from - SP__OCSP_SKEW)
    return SAY("the OCSP response for %s is not valid before %s: is the clock of this machine "
               "right?",
               SUBJECT, sp__piece_date(from, "%Y-%m-%d %H:%M UTC").text),
           false;
  if (now > until + SP__OCSP_SKEW)
    return SAY("the OCSP response for %s expired %s ago (%s): a newer one is needed", SUBJECT,
               sp__piece_span(now - until).text, sp__piece_date(until, "%Y-%m-%d").text),
           false;
  return true;
}

static void explain_revoked(const check_t *check) {
  SAY("certificate for %s was revoked by %s (%s%s%s), says its OCSP response: it must not be used "
      "any more",
      SUBJECT, ISSUER, sp__piece_date(check->revoked, "%Y-%m-%d").text,
      check->reason >= 0 ? ", " : "", check->reason >= 0 ? OCSP_crl_reason_str(check->reason) : "");
}

/* "Revoked" does not expire. */
static sp_staple_status_t judge(check_t *check) {
  if (!is_valid(check))
    return SP_STAPLE_INVALID;
  if (check->verdict == V_OCSP_CERTSTATUS_REVOKED)
    return explain_revoked(check), SP_STAPLE_REVOKED;
  if (!is_in_time(check))
    return SP_STAPLE_STALE;
  if (check->verdict == V_OCSP_CERTSTATUS_GOOD)
    return SP_STAPLE_GOOD;
  SAY("the OCSP responder of %s does not know the certificate for %s: was it really issued there?",
      ISSUER, SUBJECT);
  return SP_STAPLE_UNKNOWN;
}

static void blame(sp_error_t *why, sp_staple_status_t status) {
  static const long verifies[] = {
      [SP_STAPLE_NONE] = X509_V_ERR_OCSP_VERIFY_NEEDED,
      [SP_STAPLE_GOOD] = X509_V_OK,
      [SP_STAPLE_REVOKED] = X509_V_ERR_CERT_REVOKED,
      [SP_STAPLE_UNKNOWN] = X509_V_ERR_OCSP_CERT_UNKNOWN,
      [SP_STAPLE_STALE] = X509_V_ERR_OCSP_VERIFY_FAILED,
      [SP_STAPLE_INVALID] = X509_V_ERR_OCSP_VERIFY_FAILED,
  };
  if (why)
    why->verify = verifies[status];
}

sp_staple_status_t sp__ocsp_check(const void *der, size_t n, X509 *x509, X509 *issuer,
                                  sp__ocsp_t *facts, sp_error_t *why) {
  check_t check = {.x509 = x509, .issuer = issuer, .why = why};
  sp_error_t unread = {.status = 0};
  sp_staple_status_t status = SP_STAPLE_INVALID;
  ERR_set_mark();
  if ((check.basic = sp__ocsp_read(der, n, &unread)))
    status = judge(&check);
  else
    sp__fail(why, SP_EUNAUTHORIZED, SP_PEER, "what came as OCSP response for %s %s",
             sp__piece_subject(x509).text, unread.text);
  OCSP_BASICRESP_free(check.basic);
  ERR_pop_to_mark();
  blame(why, status);
  if (facts)
    *facts = check.facts;
  return status;
}

/* -- none -------------------------------------------------------------------------------------- */

bool sp__x509_must_staple(const X509 *x509) {
  int found = -1;
  TLS_FEATURE *features = X509_get_ext_d2i(x509, NID_tlsfeature, &found, NULL);
  bool must = !features && found != -1; /* it is there, but cannot be read */
  for (int i = 0; i < sk_ASN1_INTEGER_num(features) && !must; i++)
    must = ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == TLSEXT_TYPE_status_request;
  TLS_FEATURE_free(features);
  return must;
}

void sp__ocsp_explain_none(X509 *x509, sp_error_t *why) {
  ERR_set_mark();
  sp__fail(why, SP_EUNAUTHORIZED, SP_PEER,
           "no OCSP response (staple) came for the certificate of %s%s",
           sp__piece_subject(x509).text,
           sp__x509_must_staple(x509) ? ", which may not be used without one (must-staple)" : "");
  ERR_pop_to_mark();
  blame(why, SP_STAPLE_NONE);
}
