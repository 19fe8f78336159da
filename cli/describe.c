#include "describe.h"

#include <string.h>
#include <time.h>

#include <openssl/x509v3.h>

#include "judge.h"

#define DAY 86400

static void set(json_t *object, const char *name, const char *text) {
  if (text)
    json_object_set_new(object, name, cli_json_text(text));
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
}

static void set_names(json_t *object, const sp_name_t *names, size_t count) {
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++)
    json_array_append_new(list, cli_json_text(names[i].value));
  json_object_set_new(object, "names", list);
}

/* -- certificates ------------------------------------------------------------------------------ */

static bool has(const char *const *list, size_t count, const char *what) {
  for (size_t i = 0; list && i < count; i++)
    if (!strcmp(list[i], what))
      return true;
  return false;
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
  if (cli_demands_staple(certificate)) {
    json_object_set_new(object, "must_staple", json_true());
    set(object, "note", "may only be used together with an OCSP response (must-staple)");
  }
  set_key(object, sp_certificate_key_type(certificate), sp_certificate_key_bits(certificate),
          sp_certificate_key_curve(certificate));
  set(object, "signature", sp_certificate_signature(certificate));
  set(object, "serial", sp_certificate_serial(certificate));
  set(object, "sha256", sp_certificate_fingerprint(certificate, SP_SHA256));
  json_object_set_new(object, "days_left", json_integer((to - (int64_t)time(NULL)) / DAY));
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
  int64_t to = cli_seconds_of(X509_CRL_get0_nextUpdate(list));
  set(object, "kind", "revocation list");
  set_list_issuer(object, list);
  int count = sk_X509_REVOKED_num(X509_CRL_get_REVOKED(list));
  json_object_set_new(object, "revoked", json_integer(count > 0 ? count : 0));
  set_time(object, "valid_from", cli_seconds_of(X509_CRL_get0_lastUpdate(list)));
  if (to)
    set_time(object, "valid_to", to);
}

static void describe_unknown(json_t *object, const char *label) {
  set(object, "kind", "something else");
  set(object, "label", label);
  if (strstr(label, "PARAMETERS"))
    set(object, "note", "a key has its own parameters: nobody needs these beside it");
  else if (strstr(label, "PUBLIC KEY"))
    set(object, "note", "a public key alone: a server takes a certificate and its private key");
  else if (!strcmp(label, "PKCS7") || !strcmp(label, "CMS"))
    set(object, "note", "a bundle: \"openssl pkcs7 -print_certs -in FILE\" unpacks it");
}

static void describe(json_t *object, const cli_item_t *item) {
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
    describe_unknown(object, item->label ? item->label : "");
    break;
  }
}

static json_t *judge(const cli_item_t *item) {
  json_t *problems = json_array();
  switch (item->kind) {
  case CLI_KEY:
    cli_judge_key(problems, sp_key_evp(item->key));
    break;
  case CLI_REQUEST:
    cli_judge_request(problems, item->x509_req);
    break;
  case CLI_CERTIFICATE:
    cli_judge_certificate(problems, item->certificate);
    break;
  case CLI_LIST:
    cli_judge_list(problems, item->list);
    break;
  case CLI_UNKNOWN:
    break;
  }
  return problems;
}

json_t *cli_describe(const cli_item_t *item) {
  json_t *object = json_object();
  set(object, "file", item->file);
  if (item->line)
    json_object_set_new(object, "line", json_integer((json_int_t)item->line));
  describe(object, item);
  if (item->kind == CLI_KEY)
    json_object_set_new(object, "encrypted", json_boolean(item->encrypted));
  json_object_set_new(object, "problems", judge(item));
  return object;
}
