#include "judge.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/tls1.h>
#include <openssl/x509v3.h>

#define DAY 86400
/* Browsers' own code refuses more of an authority that everybody trusts; those authorities give
 * less and less: 200 days since March 2026, 100 a year later, 47 in 2029. */
#define BROWSERS_MOST 398
#define SOON 14 /* days before the end, or a third of the time that it was valid for */
#define RSA_LEAST 2048
#define RSA_MOST 8192
#define SERIAL_MOST 20 /* bytes, RFC 5280 4.1.2.2 */

static const char new_key[] =
    "Make a new one, \"securepair key --out FILE\", and certificates for it.";
static const char anew[] = "Have it issued anew.";

/* -- keys -------------------------------------------------------------------------------------- */

static void judge_rsa(json_t *problems, EVP_PKEY *key) {
  int bits = EVP_PKEY_get_bits(key);
  BIGNUM *e = NULL;
  if (bits < RSA_LEAST)
    cli_problem(problems, "weak-key", new_key,
                "An RSA key of %d bits is refused by every client of today.", bits);
  if (bits > RSA_MOST)
    cli_problem(problems, "large-key", "Take RSA with 3072 bits, or better an EC key.",
                "An RSA key of %d bits takes clients so long that many refuse it.", bits);
  if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) &&
      (BN_is_one(e) || BN_is_zero(e) || !BN_is_odd(e)))
    cli_problem(problems, "weak-key", new_key,
                "This RSA key has a public exponent that protects nothing: whatever is signed with "
                "it, anybody could have signed.");
  BN_free(e);
}

static void judge_ec(json_t *problems, EVP_PKEY *key) {
  char curve[80] = "a curve without a name";
  size_t n;
  int explicit_curve = 0, bits = EVP_PKEY_get_bits(key);
  (void)EVP_PKEY_get_group_name(key, curve, sizeof curve, &n);
  (void)EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                               &explicit_curve);
  ERR_clear_error();
  bool usual =
      !strcmp(curve, "prime256v1") || !strcmp(curve, "secp384r1") || !strcmp(curve, "secp521r1");
  if (explicit_curve)
    cli_problem(problems, "explicit-curve", new_key,
                "The curve of this EC key is spelled out in place of its name, which may hide "
                "anything: clients refuse it.");
  else if (bits < 256)
    cli_problem(problems, "weak-key", new_key, "An EC key of %d bits is too short.", bits);
  else if (!usual)
    cli_problem(problems, "unusual-curve", "Take P-256.", "Browsers do not know the curve %s.",
                curve);
}

void cli_judge_key(json_t *problems, EVP_PKEY *key) {
  if (!key)
    cli_problem(problems, "unreadable-key", new_key,
                "Its public key is of a kind that is not known here, or damaged.");
  else if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
    judge_rsa(problems, key);
  else if (EVP_PKEY_is_a(key, "EC"))
    judge_ec(problems, key);
  else if (EVP_PKEY_is_a(key, "DSA"))
    cli_problem(problems, "weak-key", new_key, "DSA keys are not used by TLS any more.");
}

/* -- certificates ------------------------------------------------------------------------------ */

int64_t cli_seconds_of(const ASN1_TIME *when) {
  struct tm tm;
  return when && ASN1_TIME_to_tm(when, &tm) ? (int64_t)timegm(&tm) : 0;
}

void cli_judge_dates(json_t *problems, const sp_certificate_t *certificate) {
  int64_t from = sp_certificate_valid_from(certificate), to = sp_certificate_valid_to(certificate);
  int64_t now = (int64_t)time(NULL), left = to - now;
  char span[40], date[40];
  if (to < from)
    cli_problem(problems, "dates", anew, "It ends before it begins: it was never valid.");
  else if (left < 0)
    cli_problem(problems, "expired", "Renew it.", "It expired %s (%s).", cli_span(span, to),
                cli_date(date, to));
  else if (from > now)
    cli_problem(problems, "not-yet-valid", "Wait, or see whether this machine's clock is right.",
                "It is not valid yet, only %s (%s).", cli_span(span, from), cli_date(date, from));
  else if (left < SOON * DAY && left < (to - from) / 3)
    cli_problem(problems, "expires-soon", "Renew it soon.", "It expires %s (%s).",
                cli_span(span, to), cli_date(date, to));
}

/* A root is not believed for its signature. */
static void judge_signature(json_t *problems, const sp_certificate_t *certificate) {
  const char *signature = sp_certificate_signature(certificate);
  bool weak = strcasestr(signature, "md5") || strcasestr(signature, "sha1") ||
              strcasestr(signature, "md4") || strcasestr(signature, "md2");
  bool root =
      sp_certificate_is_self_signed(certificate) && sp_certificate_is_authority(certificate);
  if (weak && !root)
    cli_problem(problems, "weak-signature", "Have it signed anew, with SHA-256.",
                "It is signed with %s, which can be forged: clients refuse it.", signature);
}

static bool has(const char *const *list, size_t count, const char *what) {
  for (size_t i = 0; list && i < count; i++)
    if (!strcmp(list[i], what))
      return true;
  return false;
}

static void judge_form(json_t *problems, X509 *x509) {
  const ASN1_INTEGER *serial = X509_get0_serialNumber(x509);
  if (ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER || ASN1_STRING_length(serial) > SERIAL_MOST)
    cli_problem(problems, "serial", anew,
                "Its serial number is negative or too long: some clients refuse it.");
  if (X509_get_extension_flags(x509) & EXFLAG_CRITICAL)
    cli_problem(problems, "critical-extension", anew,
                "It has an extension that clients have to understand, and do not.");
  if (X509_get_extension_flags(x509) & EXFLAG_INVALID)
    cli_problem(problems, "bad-extension", anew,
                "One of its extensions is damaged, or contradicts another.");
  if (!X509_get_version(x509))
    cli_problem(problems, "version", anew,
                "It is of version 1, which cannot say what it is for: clients refuse it.");
}

static void judge_authority(json_t *problems, const sp_certificate_t *certificate,
                            const GENERAL_NAMES *names) {
  size_t count;
  const char *const *usages = sp_certificate_usages(certificate, &count);
  bool names_hosts = false;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
    int type = sk_GENERAL_NAME_value(names, i)->type;
    names_hosts = names_hosts || type == GEN_DNS || type == GEN_IPADD;
  }
  if (usages && !has(usages, count, "keyCertSign"))
    cli_problem(problems, "key-usage", anew,
                "It is an authority whose key may not sign certificates (its key usage lacks "
                "keyCertSign): clients refuse what it signs.");
  if (names_hosts)
    cli_problem(problems, "authority-as-server",
                "Take another certificate for the server: \"securepair certificate\" makes one.",
                "It is an authority and names hosts: as a server's certificate Firefox refuses it, "
                "and who has the server's key can sign for others.");
}

static void judge_purpose(json_t *problems, const sp_certificate_t *certificate) {
  size_t count;
  const char *const *usages = sp_certificate_usages(certificate, &count);
  if (usages && has(usages, count, "keyCertSign"))
    cli_problem(problems, "key-usage", anew,
                "Its key may sign certificates (keyCertSign), but it is no authority: strict "
                "clients refuse it.");
  else if (usages && !has(usages, count, "digitalSignature"))
    cli_problem(problems, "key-usage", anew,
                "Its key may not be used to sign (its key usage lacks digitalSignature): TLS 1.3 "
                "does not work with it.");
}

static void judge_server(json_t *problems, const sp_certificate_t *certificate,
                         const GENERAL_NAMES *names) {
  X509 *x509 = sp_certificate_x509(certificate);
  const char *type = sp_certificate_key_type(certificate);
  const char *curve = sp_certificate_key_curve(certificate);
  int64_t days =
      (sp_certificate_valid_to(certificate) - sp_certificate_valid_from(certificate)) / DAY;
  if (sk_GENERAL_NAME_num(names) <= 0)
    cli_problem(problems, "no-names", "Have it issued with the names of its hosts.",
                "It names no host as a subject alternative name: browsers and Node refuse it, "
                "whatever its subject says.");
  cli_judge_names(problems, names, X509_get_subject_name(x509));
  if (days > BROWSERS_MOST && !sp_certificate_is_self_signed(certificate))
    cli_problem(problems, "long-lived", "Have it issued for a shorter time.",
                "It is valid for %" PRId64 " days: of a public authority browsers refuse more than "
                "%d.",
                days, BROWSERS_MOST);
  if (curve && !strcmp(curve, "secp521r1"))
    cli_problem(problems, "unusual-curve", "Take an EC key on P-256 or P-384.",
                "Chromium and its kin do not take keys on P-521.");
  if (!strcmp(type, "ED25519") || !strcmp(type, "ED448"))
    cli_problem(problems, "unusual-key", "Take an EC key on P-256 if browsers are to come.",
                "Browsers do not take %s keys yet; OpenSSL, GnuTLS and Node do.", type);
}

/* What it is for, if it says so. */
static bool is_for_servers(const sp_certificate_t *certificate) {
  size_t count;
  const char *const *usages = sp_certificate_extended_usages(certificate, &count);
  return !usages || has(usages, count, "serverAuth") || has(usages, count, "anyExtendedKeyUsage");
}

static void judge_usage(json_t *problems, const sp_certificate_t *certificate) {
  size_t count;
  const char *const *usages = sp_certificate_extended_usages(certificate, &count);
  size_t hosts;
  const sp_name_t *names = sp_certificate_names(certificate, &hosts);
  bool client = has(usages, count, "clientAuth");
  for (size_t i = 0; i < hosts; i++)
    if (names[i].type == SP_NAME_DNS || names[i].type == SP_NAME_IP) {
      cli_problem(problems, "purpose", "For a server have it issued with the usage serverAuth.",
                  "It names hosts, but is %s (its extended key usage lacks serverAuth): clients "
                  "refuse it as a server's.",
                  client ? "for clients only" : "for something else than TLS servers");
      return;
    }
}

/* One that cannot be read demands who knows what. */
bool cli_demands_staple(const sp_certificate_t *certificate) {
  int found = -1;
  TLS_FEATURE *features =
      X509_get_ext_d2i(sp_certificate_x509(certificate), NID_tlsfeature, &found, NULL);
  bool demands = !features && found != -1;
  for (int i = 0; i < sk_ASN1_INTEGER_num(features) && !demands; i++)
    demands = ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == TLSEXT_TYPE_status_request;
  TLS_FEATURE_free(features);
  return demands;
}

/* Nobody can be asked for the response, so no server can send it. */
static void judge_staple(json_t *problems, const sp_certificate_t *certificate) {
  STACK_OF(OPENSSL_STRING) *places = X509_get1_ocsp(sp_certificate_x509(certificate));
  if (cli_demands_staple(certificate) && sk_OPENSSL_STRING_num(places) <= 0)
    cli_problem(problems, "must-staple", "Have it issued without must-staple.",
                "It may only be used together with an OCSP response (must-staple), but names "
                "nobody who makes one: clients that insist refuse it.");
  X509_email_free(places);
}

void cli_judge_certificate(json_t *problems, const sp_certificate_t *certificate) {
  X509 *x509 = sp_certificate_x509(certificate);
  GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
  cli_judge_dates(problems, certificate);
  cli_judge_key(problems, X509_get0_pubkey(x509));
  judge_signature(problems, certificate);
  judge_form(problems, x509);
  if (sp_certificate_is_authority(certificate)) {
    judge_authority(problems, certificate, names);
  } else {
    judge_purpose(problems, certificate);
    judge_staple(problems, certificate);
    if (is_for_servers(certificate))
      judge_server(problems, certificate, names);
    else
      judge_usage(problems, certificate);
  }
  GENERAL_NAMES_free(names);
  ERR_clear_error();
}

/* -- requests and lists ------------------------------------------------------------------------ */

void cli_judge_request(json_t *problems, X509_REQ *request) {
  STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
  GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
  cli_judge_key(problems, X509_REQ_get0_pubkey(request));
  if (!names)
    cli_problem(problems, "no-names", "Say whom it is for: \"securepair request --name HOST\".",
                "It asks for no names: a server's certificate made of it would be refused.");
  cli_judge_names(problems, names, X509_REQ_get_subject_name(request));
  GENERAL_NAMES_free(names);
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  ERR_clear_error();
}

void cli_judge_list(json_t *problems, X509_CRL *list) {
  int64_t now = (int64_t)time(NULL), from = cli_seconds_of(X509_CRL_get0_lastUpdate(list));
  int64_t to = cli_seconds_of(X509_CRL_get0_nextUpdate(list));
  char span[40];
  if (to && to < now)
    cli_problem(problems, "expired", "Make or fetch a new one: \"securepair authority crl\".",
                "It ended %s: clients that check it refuse every certificate of this issuer.",
                cli_span(span, to));
  if (from > now)
    cli_problem(problems, "not-yet-valid", "See whether this machine's clock is right.",
                "It is not valid yet, only %s.", cli_span(span, from));
  if (X509_CRL_get_ext_by_NID(list, NID_delta_crl, -1) >= 0)
    cli_problem(problems, "delta-list", "Give them the complete list.",
                "It has only what changed since another list (a delta): most clients do not take "
                "it.");
}
