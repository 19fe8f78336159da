#include "describe.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <openssl/x509v3.h>

#define DAY 86400
#define BROWSERS_MOST 398 /* days; CA/Browser Forum, until 2026-03: browsers refuse longer ones */
#define SOON 14           /* days before the end when it is worth a word */

static void set(json_t *object, const char *name, const char *text) {
  if (text)
    json_object_set_new(object, name, json_string(text));
}

__attribute__((format(printf, 2, 3))) static void problem(json_t *object, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  json_array_append_new(json_object_get(object, "problems"), json_vsprintf(format, arguments));
  va_end(arguments);
}

static void set_time(json_t *object, const char *name, int64_t when) {
  char room[40];
  time_t seconds = (time_t)when;
  struct tm tm;
  if (gmtime_r(&seconds, &tm) && strftime(room, sizeof room, "%Y-%m-%dT%H:%M:%SZ", &tm))
    set(object, name, room);
}

static void set_key(json_t *object, const char *type, int bits, const char *curve) {
  json_t *key = json_object();
  set(key, "type", type);
  set(key, "curve", curve);
  json_object_set_new(key, "bits", json_integer(bits));
  json_object_set_new(object, "key", key);
  bool rsa = !strncmp(type, "RSA", 3);
  if (rsa && bits < 2048)
    problem(object, "An RSA key of %d bits is refused by every client of today: make a new one.",
            bits);
  else if (!strcmp(type, "EC") && bits < 256)
    problem(object, "An EC key of %d bits is too short: make a P-256 key.", bits);
  else if (!strcmp(type, "DSA"))
    problem(object, "DSA keys are not used by TLS any more: make an EC key.");
}

static void set_names(json_t *object, const sp_name_t *names, size_t count) {
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++)
    json_array_append_new(list, json_string(names[i].value));
  json_object_set_new(object, "names", list);
}

/* -- certificates ------------------------------------------------------------------------------ */

static void judge_dates(json_t *object, int64_t from, int64_t to) {
  int64_t now = (int64_t)time(NULL);
  char room[40];
  json_object_set_new(object, "days_left", json_integer((to - now) / DAY));
  if (to < now)
    problem(object, "It expired %s: renew it.", cli_span(room, to));
  else if (from > now)
    problem(object, "It is not valid yet, only %s: is this machine's clock right?",
            cli_span(room, from));
  else if (to - now < SOON * DAY)
    problem(object, "It expires %s: renew it soon.", cli_span(room, to));
}

static void judge_signature(json_t *object, const sp_certificate_t *certificate) {
  const char *signature = sp_certificate_signature(certificate);
  bool weak = strcasestr(signature, "md5") || strcasestr(signature, "sha1");
  if (weak && !sp_certificate_is_self_signed(certificate))
    problem(object, "It is signed with %s, which clients refuse: have it signed anew.", signature);
}

static bool has(const char *const *list, size_t count, const char *what) {
  for (size_t i = 0; list && i < count; i++)
    if (!strcmp(list[i], what))
      return true;
  return false;
}

static void judge_leaf(json_t *object, const sp_certificate_t *certificate) {
  size_t names, count;
  (void)sp_certificate_names(certificate, &names);
  const char *const *usages = sp_certificate_extended_usages(certificate, &count);
  bool server = !usages || has(usages, count, "serverAuth");
  int64_t days =
      (sp_certificate_valid_to(certificate) - sp_certificate_valid_from(certificate)) / DAY;
  if (server && !names)
    problem(object, "It names no host as a subject alternative name: browsers and Node refuse it, "
                    "whatever its subject says.");
  if (server && days > BROWSERS_MOST && !sp_certificate_is_self_signed(certificate))
    problem(object,
            "It is valid for %" PRId64 " days; browsers refuse more than %d from public "
            "authorities.",
            days, BROWSERS_MOST);
}

static const char *purpose_of(const sp_certificate_t *certificate) {
  size_t count;
  const char *const *usages = sp_certificate_extended_usages(certificate, &count);
  bool server = has(usages, count, "serverAuth"), client = has(usages, count, "clientAuth");
  if (sp_certificate_is_authority(certificate))
    return "authority";
  if (!usages)
    return "any";
  return server && client ? "server and client" : server ? "server" : client ? "client" : "other";
}

static void describe_certificate(json_t *object, const sp_certificate_t *certificate) {
  size_t count;
  const sp_name_t *names = sp_certificate_names(certificate, &count);
  int64_t from = sp_certificate_valid_from(certificate), to = sp_certificate_valid_to(certificate);
  set(object, "kind", "certificate");
  set_names(object, names, count);
  set(object, "subject", sp_certificate_subject(certificate));
  set(object, "issuer", sp_certificate_issuer(certificate));
  json_object_set_new(object, "self_signed",
                      json_boolean(sp_certificate_is_self_signed(certificate)));
  set_time(object, "valid_from", from);
  set_time(object, "valid_to", to);
  set(object, "purpose", purpose_of(certificate));
  set_key(object, sp_certificate_key_type(certificate), sp_certificate_key_bits(certificate),
          sp_certificate_key_curve(certificate));
  set(object, "signature", sp_certificate_signature(certificate));
  set(object, "serial", sp_certificate_serial(certificate));
  set(object, "sha256", sp_certificate_fingerprint(certificate, SP_SHA256));
  judge_dates(object, from, to);
  judge_signature(object, certificate);
  if (!sp_certificate_is_authority(certificate))
    judge_leaf(object, certificate);
}

/* -- the others -------------------------------------------------------------------------------- */

static void describe_key(json_t *object, const sp_key_t *key) {
  set(object, "kind", "private key");
  set_key(object, sp_key_type(key), sp_key_bits(key), sp_key_curve(key));
  set(object, "public_sha256", sp_key_fingerprint(key));
}

static void describe_request(json_t *object, const sp_request_t *request) {
  size_t count;
  const sp_name_t *names = sp_request_names(request, &count);
  set(object, "kind", "request");
  set_names(object, names, count);
  set(object, "subject", sp_request_subject(request));
  set_key(object, sp_request_key_type(request), sp_request_key_bits(request), NULL);
  set(object, "public_sha256", sp_request_key_fingerprint(request));
  if (!count)
    problem(object, "It asks for no names: a server's certificate made of it would be refused.");
}

static int64_t seconds_of(const ASN1_TIME *when) {
  struct tm tm;
  return when && ASN1_TIME_to_tm(when, &tm) ? (int64_t)timegm(&tm) : 0;
}

/* The issuer on one line, read by way of a certificate that never was. */
static void set_list_issuer(json_t *object, const X509_CRL *list) {
  BIO *bio = BIO_new(BIO_s_mem());
  char *bytes = NULL;
  if (!bio)
    return;
  (void)X509_NAME_print_ex(bio, X509_CRL_get_issuer(list), 0,
                           XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
  long n = BIO_get_mem_data(bio, &bytes);
  if (n > 0)
    json_object_set_new(object, "issuer", json_stringn(bytes, (size_t)n));
  BIO_free(bio);
}

static void describe_list(json_t *object, X509_CRL *list) {
  int64_t from = seconds_of(X509_CRL_get0_lastUpdate(list));
  int64_t to = seconds_of(X509_CRL_get0_nextUpdate(list));
  char room[40];
  set(object, "kind", "revocation list");
  set_list_issuer(object, list);
  int count = sk_X509_REVOKED_num(X509_CRL_get_REVOKED(list));
  json_object_set_new(object, "revoked", json_integer(count > 0 ? count : 0));
  set_time(object, "valid_from", from);
  if (to)
    set_time(object, "valid_to", to);
  if (to && to < (int64_t)time(NULL))
    problem(object,
            "It ended %s: clients that check it refuse every certificate of this issuer "
            "until there is a new one.",
            cli_span(room, to));
}

json_t *cli_describe(const cli_item_t *item) {
  json_t *object = json_object(), *problems = json_array();
  set(object, "file", item->file);
  json_object_set(object, "problems", problems);
  switch (item->kind) {
  case CLI_KEY:
    describe_key(object, item->key);
    break;
  case CLI_REQUEST:
    describe_request(object, item->request);
    break;
  case CLI_CERTIFICATE:
    describe_certificate(object, item->certificate);
    break;
  case CLI_LIST:
    describe_list(object, item->list);
    break;
  case CLI_UNKNOWN:
    set(object, "kind", "something else");
    set(object, "label", item->label);
    break;
  }
  json_object_del(object, "problems"); /* to the end */
  json_object_set_new(object, "problems", problems);
  return object;
}
