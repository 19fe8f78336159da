#include "report.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include <openssl/x509_vfy.h>

/* -- the object -------------------------------------------------------------------------------- */

static void set(json_t *object, const char *name, const char *text) {
  if (text && *text)
    json_object_set_new(object, name, json_string(text));
}

/* What to do about the commonest verdicts; the sentence before it says what is wrong. */
static const char *remedy_of(long verify) {
  switch (verify) {
  case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    return "If it is your server, trust its certificate: --ca FILE. Else somebody may stand "
           "between.";
  case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    return "If you know its authority, trust that: --ca FILE.";
  case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    return "The server should send its issuer's certificate along (the \"full chain\"); or --ca "
           "FILE.";
  case X509_V_ERR_HOSTNAME_MISMATCH:
  case X509_V_ERR_IP_ADDRESS_MISMATCH:
    return "Connect by a name that the certificate has, or say which one you expect: "
           "--server-name.";
  case X509_V_ERR_CERT_HAS_EXPIRED:
    return "The server's operator has to renew it; check this machine's clock, too.";
  case X509_V_ERR_CERT_NOT_YET_VALID:
    return "Check this machine's clock.";
  default:
    return NULL;
  }
}

static json_t *certificate_of(const sp_certificate_t *certificate) {
  json_t *object = json_object(), *names = json_array();
  size_t count;
  const sp_name_t *all = sp_certificate_names(certificate, &count);
  set(object, "subject", sp_certificate_subject(certificate));
  set(object, "issuer", sp_certificate_issuer(certificate));
  for (size_t i = 0; i < count; i++)
    json_array_append_new(names, json_string(all[i].value));
  json_object_set_new(object, "names", names);
  json_object_set_new(object, "valid_from", json_integer(sp_certificate_valid_from(certificate)));
  json_object_set_new(object, "valid_to", json_integer(sp_certificate_valid_to(certificate)));
  set(object, "key", sp_certificate_key_type(certificate));
  json_object_set_new(object, "bits", json_integer(sp_certificate_key_bits(certificate)));
  set(object, "sha256", sp_certificate_fingerprint(certificate, SP_SHA256));
  set(object, "pem", sp_certificate_pem(certificate));
  return object;
}

static void add_chain(json_t *object, const sp_pair_t *pair) {
  sp_certificate_t *certificate;
  if (sp_pair_peer_certificate(pair, &certificate) < 0)
    return;
  json_t *chain = json_array();
  for (const sp_certificate_t *one = certificate; one; one = sp_certificate_next(one))
    json_array_append_new(chain, certificate_of(one));
  json_object_set_new(object, "chain", chain);
  sp_certificate_release(certificate);
}

static void add_verdict(json_t *object, const sp_pair_t *pair) {
  const sp_error_t *verdict = sp_pair_verdict(pair);
  json_object_set_new(object, "authorized", json_boolean(sp_pair_is_authorized(pair)));
  if (!verdict)
    return;
  set(object, "authorization_error", sp_pair_authorization_error(pair));
  set(object, "verdict", verdict->text);
  set(object, "remedy", remedy_of(verdict->verify));
}

static void add_staple(json_t *object, const sp_pair_t *pair) {
  static const char *const words[] = {"none", "good", "revoked", "unknown", "stale", "invalid"};
  sp_error_t why = {.text = ""};
  sp_staple_status_t status = sp_pair_staple_status(pair, &why);
  set(object, "staple", words[status]);
  if (status != SP_STAPLE_GOOD && status != SP_STAPLE_NONE)
    set(object, "staple_says", why.text);
}

static void add_session(json_t *object, const sp_pair_t *pair) {
  size_t n;
  set(object, "protocol", sp_pair_version(pair));
  set(object, "suite", sp_pair_cipher(pair));
  set(object, "group", sp_pair_group(pair));
  const char *alpn = sp_pair_protocol(pair, &n);
  if (n)
    json_object_set_new(object, "alpn", json_stringn(alpn, n));
  json_object_set_new(object, "resumed", json_boolean(sp_pair_is_resumed(pair)));
  add_staple(object, pair);
}

static void add_error(json_t *object, const sp_error_t *error) {
  json_t *fault = json_object();
  set(fault, "name", sp_error_name(error->status));
  set(fault, "text", error->text);
  set(fault, "who",
      error->who == SP_US     ? "this side"
      : error->who == SP_PEER ? "the peer"
                              : "the transport");
  if (error->alert >= 0)
    set(fault, "alert", sp_alert_name(error->alert));
  json_object_set_new(object, "error", fault);
}

json_t *cli_report(sp_stream_t *stream, int status, const char *target) {
  const sp_pair_t *pair = sp_stream_pair(stream);
  json_t *object = json_object();
  char address[128];
  int port = 0;
  set(object, "target", target);
  if (sp_stream_remote(stream, address, sizeof address, &port) == 0)
    json_object_set_new(object, "address", json_sprintf("%s port %d", address, port));
  json_object_set_new(object, "secure", json_boolean(status == 0));
  if (status < 0)
    add_error(object, sp_stream_error(stream));
  else
    add_session(object, pair);
  if (status == 0 || sp_pair_verdict(pair))
    add_verdict(object, pair);
  add_chain(object, pair);
  return object;
}

/* -- for people -------------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *name) {
  return json_string_value(json_object_get(object, name));
}

/* Names and texts are the peer's: no control character reaches the terminal. */
static void put_safely(const char *text) {
  for (; text && *text; text++) {
    if (iscntrl((unsigned char)*text))
      fprintf(stderr, "\\x%02X", (unsigned char)*text);
    else
      fputc(*text, stderr);
  }
}

static void label(const char *word) {
  fprintf(stderr, "  %s%-10s%s", cli_tone(stderr, CLI_DIM), word, cli_plain(stderr));
}

static void line(const char *word, const char *text) {
  if (!text)
    return;
  label(word);
  put_safely(text);
  fputc('\n', stderr);
}

static void tell_suite(const json_t *report) {
  const char *group = text_of(report, "group");
  if (!text_of(report, "protocol"))
    return;
  label("protocol");
  fprintf(stderr, "%s, %s%s%s%s\n", text_of(report, "protocol"), text_of(report, "suite"),
          group ? ", " : "", group ? group : "",
          json_is_true(json_object_get(report, "resumed")) ? ", resumed" : "");
}

static void tell_certificate(const json_t *certificate, size_t i) {
  char span[40];
  const json_t *names = json_object_get(certificate, "names"), *name;
  const char *subject = text_of(certificate, "subject");
  const char *issuer = text_of(certificate, "issuer");
  size_t k;
  label(i ? "" : "chain");
  fprintf(stderr, "%zu ", i);
  put_safely(subject ? subject : "(no subject)");
  if (issuer && (!subject || strcmp(issuer, subject) != 0)) {
    fputs(", signed by ", stderr);
    put_safely(issuer);
  }
  fprintf(stderr, ", ends %s\n",
          cli_span(span, json_integer_value(json_object_get(certificate, "valid_to"))));
  if (i || !json_array_size(names))
    return;
  label("names");
  json_array_foreach(names, k, name) {
    if (k)
      fputs(", ", stderr);
    put_safely(json_string_value(name));
  }
  fputc('\n', stderr);
}

static void tell_verdict(const json_t *report) {
  const json_t *authorized = json_object_get(report, "authorized");
  if (!authorized)
    return;
  bool good = json_is_true(authorized);
  label("verdict");
  fprintf(stderr, "%s%s%s", cli_tone(stderr, good ? CLI_GOOD : CLI_BAD),
          good ? "authorized" : "NOT authorized", cli_plain(stderr));
  const char *name = text_of(report, "authorization_error");
  fprintf(stderr, "%s%s%s\n", name ? " (" : "", name ? name : "", name ? ")" : "");
  line("", text_of(report, "verdict"));
  line("", text_of(report, "remedy"));
}

void cli_report_tell(const json_t *report) {
  const json_t *error = json_object_get(report, "error"), *certificate;
  const char *address = text_of(report, "address");
  size_t i;
  fprintf(stderr, "%s", cli_tone(stderr, CLI_BOLD));
  put_safely(text_of(report, "target"));
  fprintf(stderr, "%s%s%s\n", cli_plain(stderr), address ? ": " : "", address ? address : "");
  tell_suite(report);
  json_array_foreach(json_object_get(report, "chain"), i, certificate) {
    tell_certificate(certificate, i);
  }
  tell_verdict(report);
  line("ALPN", text_of(report, "alpn"));
  line("staple", text_of(report, "staple"));
  line("", text_of(report, "staple_says"));
  if (error && !json_object_get(report, "verdict"))
    line("failed", text_of(error, "text"));
}
