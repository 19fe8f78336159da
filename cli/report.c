#include "report.h"

#include <openssl/ssl.h>

#include "describe.h"
#include "judge.h"
#include "problem.h"
#include "remedy.h"

static void set(json_t *object, const char *name, const char *text) {
  if (text && *text)
    json_object_set_new(object, name, json_string(text));
}

/* -- the certificates -------------------------------------------------------------------------- */

static json_t *certificate_of(const sp_certificate_t *certificate) {
  cli_item_t item = {.kind = CLI_CERTIFICATE,
                     .certificate = (sp_certificate_t *)(uintptr_t)certificate};
  json_t *object = cli_describe(&item);
  set(object, "pem", sp_certificate_pem(certificate));
  return object;
}

static void add_chain(json_t *object, const sp_pair_t *pair) {
  sp_certificate_t *certificate;
  int status = sp_pair_peer_certificate(pair, &certificate);
  if (status == UV_ENOMEM)
    cli_json_lost();
  if (status < 0)
    return;
  json_t *chain = json_array();
  for (const sp_certificate_t *one = certificate; one; one = sp_certificate_next(one))
    json_array_append_new(chain, certificate_of(one));
  json_object_set_new(object, "chain", chain);
  if (cli_demands_staple(certificate))
    json_object_set_new(object, "must_staple", json_true());
  sp_certificate_release(certificate);
}

/* -- the verdict ------------------------------------------------------------------------------- */

static void add_verdict(json_t *object, const sp_pair_t *pair) {
  const sp_error_t *verdict = sp_pair_verdict(pair);
  char room[160], words[CLI_ERROR_TEXT];
  json_object_set_new(object, "authorized", json_boolean(sp_pair_is_authorized(pair)));
  if (!verdict)
    return;
  set(object, "authorization_error", sp_pair_authorization_error(pair));
  set(object, "verdict", cli_error_text(words, verdict));
  set(object, "remedy", cli_remedy(room, verdict, 0, false));
}

static void add_staple(json_t *object, const sp_pair_t *pair) {
  static const char *const words[] = {"none", "good", "revoked", "unknown", "stale", "invalid"};
  sp_error_t why = {.text = ""};
  char room[CLI_ERROR_TEXT];
  sp_staple_status_t status = sp_pair_staple_status(pair, &why);
  set(object, "staple", words[status]);
  if (status != SP_STAPLE_GOOD && status != SP_STAPLE_NONE)
    set(object, "staple_says", cli_error_text(room, &why));
}

static void add_facts(json_t *object, const sp_pair_t *pair) {
  size_t n;
  set(object, "protocol", sp_pair_version(pair));
  set(object, "suite", sp_pair_cipher(pair));
  json_object_set_new(object, "bits", json_integer(sp_pair_cipher_bits(pair)));
  set(object, "group", sp_pair_group(pair));
  const char *alpn = sp_pair_protocol(pair, &n);
  if (n)
    json_object_set_new(object, "alpn", json_stringn(alpn, n));
  json_object_set_new(object, "resumed", json_boolean(sp_pair_is_resumed(pair)));
  add_staple(object, pair);
}

void cli_report_session(json_t *report, sp_stream_t *stream) {
  const SSL_SESSION *session = SSL_get_session(sp_pair_ssl(sp_stream_pair(stream)));
  if (!session)
    return;
  unsigned long hint = SSL_SESSION_get_ticket_lifetime_hint(session);
  long seconds = hint ? (long)hint : SSL_SESSION_get_timeout(session);
  json_object_set_new(report, "session_seconds", json_integer(seconds));
}

/* -- what went wrong --------------------------------------------------------------------------- */

/* For programs: the library's classes, and what is one to it but not to who looks for the cause. */
static const char *class_of(const cli_connect_t *connect, const sp_error_t *error) {
  sp_failure_t failure = sp_failure_of(error);
  if (connect->options.starttls && error->status == SP_EPROTOCOL && !error->reason)
    return "no_starttls"; /* not TLS broke the rules, but what came before it */
  if (failure != SP_FAILURE_TRANSPORT)
    return sp_failure_name(failure);
  switch (error->status) {
  case UV_ECONNREFUSED:
    return "refused";
  case UV_EHOSTUNREACH:
  case UV_ENETUNREACH:
  case UV_EADDRNOTAVAIL:
    return "unreachable";
  case UV_ENOENT:
  case UV_EACCES:
    return "no_socket";
  default:
    return error->status <= UV_EAI_ADDRFAMILY && error->status >= UV_EAI_PROTOCOL
               ? "no_such_host"
               : sp_failure_name(failure);
  }
}

static const char *remedy_of(char room[160], const cli_connect_t *connect,
                             const sp_error_t *error) {
  const char *number;
  char host[64];
  if (error->who != SP_TRANSPORT || !cli_target_hides_port(host, &number, connect->named))
    return cli_remedy(room, error, connect->target.path ? 0 : connect->target.port,
                      connect->options.starttls != NULL);
  snprintf(room, 160, "If %s is the port, write [%s]:%s.", number, host, number);
  return room;
}

void cli_report_fail(json_t *report, const cli_connect_t *connect, const sp_error_t *error) {
  static const char *const parties[] = {"this side", "the peer", "the transport"};
  json_t *fault = json_object();
  char room[160], words[CLI_ERROR_TEXT];
  set(fault, "name", sp_error_name(error->status));
  set(fault, "class", class_of(connect, error));
  set(fault, "text", cli_error_text(words, error));
  set(fault, "who", parties[error->who]);
  if (error->alert >= 0)
    set(fault, "alert", sp_alert_name(error->alert));
  set(fault, "remedy", remedy_of(room, connect, error));
  json_object_set_new(report, "error", fault);
}

/* -- all --------------------------------------------------------------------------------------- */

json_t *cli_report(const cli_connect_t *connect, sp_stream_t *stream) {
  json_t *object = json_object();
  char address[128];
  int port = 0;
  set(object, "target", connect->named);
  json_object_set_new(object, "secure", json_boolean(stream && sp_stream_is_secure(stream)));
  if (!stream)
    return object;
  const sp_pair_t *pair = sp_stream_pair(stream);
  if (sp_stream_remote(stream, address, sizeof address, &port) == 0)
    set(object, "address", address);
  if (port)
    json_object_set_new(object, "port", json_integer(port));
  if (sp_stream_is_secure(stream))
    add_facts(object, pair);
  if (sp_stream_is_secure(stream) || sp_pair_verdict(pair))
    add_verdict(object, pair);
  add_chain(object, pair);
  return object;
}
