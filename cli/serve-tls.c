/* Certificates and policy of `securepair serve`. */
#include <string.h>
#include <unistd.h>

#include "serving.h"

enum { NAMES = 6, MOST_IDENTITIES = 16 };

typedef struct identities {
  sp_identity_t all[MOST_IDENTITIES];
  size_t count;
} identities_t;

/* -- on the spot ------------------------------------------------------------------------------- */

/* A host's name need not be one that a certificate can have. */
static int certify(sp_certificate_t **certificate, const sp_key_t *key, sp_error_t *why) {
  char host[256] = "";
  if (gethostname(host, sizeof host - 1) == 0 && *host && strcmp(host, "localhost") != 0 &&
      sp_certificate_make(
          certificate, key, why,
          SP_CERTIFICATE(.names = SP_NAMES("localhost", host, "127.0.0.1", "::1"))) == 0)
    return 0;
  return sp_certificate_make(certificate, key, why,
                             SP_CERTIFICATE(.names = SP_NAMES("localhost", "127.0.0.1", "::1")));
}

static int make_server(cli_serve_t *serve, const sp_options_t *options) {
  sp_error_t why;
  if (sp_server_new(&serve->server, &serve->loop, cli_serve_on_secure, &why, options) < 0)
    return cli_fail_with(&why);
  sp_server_set_data(serve->server, serve);
  sp_server_on_drop(serve->server, cli_serve_on_drop);
  return CLI_OK;
}

static int make_on_the_spot(cli_serve_t *serve, sp_options_t *options) {
  sp_key_t *key = NULL;
  char *pem = NULL;
  sp_error_t why;
  int status = sp_key_make(&key, SP_KEY_P256, 0, &why);
  if (!status)
    status = certify(&serve->made, key, &why);
  if (!status)
    status = sp_key_pem(key, NULL, &pem, &why);
  sp_key_release(key);
  if (status < 0)
    return cli_fail_with(&why);
  options->key = pem;
  options->cert = sp_certificate_pem(serve->made);
  status = make_server(serve, options);
  sp_pem_release(pem);
  return status;
}

void cli_serve_tell_made(const cli_serve_t *serve) {
  const sp_certificate_t *certificate = serve->made;
  size_t count;
  const sp_name_t *names = sp_certificate_names(certificate, &count);
  const char *fingerprint = sp_certificate_fingerprint(certificate, SP_SHA256);
  json_t *facts = json_object(), *list = json_array();
  for (size_t i = 0; i < count; i++)
    json_array_append_new(list, json_string(names[i].value));
  json_object_set_new(facts, "message",
                      json_sprintf("a certificate made on the spot, SHA-256 %s", fingerprint));
  json_object_set_new(facts, "names", list);
  json_object_set_new(facts, "sha256", json_string(fingerprint));
  json_object_set_new(facts, "pem", json_string(sp_certificate_pem(certificate)));
  cli_log_put(serve->log, "certificate", facts);
}

/* -- given ------------------------------------------------------------------------------------- */

/* One key for each certificate, in order; a certificate without one has it in its own file. */
static int gather(identities_t *identities, const cli_serve_options_t *o) {
  size_t keys = 0, certs = 0;
  while (o->keys && o->keys[keys])
    keys++;
  while (o->certs && o->certs[certs])
    certs++;
  if (keys && keys != certs)
    return cli_fail("--key and --cert: there are %zu keys and %zu certificates", keys, certs);
  if (certs > MOST_IDENTITIES)
    return cli_fail("--cert: %zu certificates are too many, %d are possible", certs,
                    MOST_IDENTITIES);
  for (size_t i = 0; i < certs; i++)
    identities->all[i] =
        (sp_identity_t){.cert_file = o->certs[i], .key_file = keys ? o->keys[i] : o->certs[i]};
  identities->count = certs;
  return CLI_OK;
}

static int version_of(sp_protocol_t *version, const char *option, const char *text) {
  *version = SP_PROTOCOL_DEFAULT;
  if (!text)
    return CLI_OK;
  *version = !strcmp(text, "1.2") ? SP_TLS1_2 : !strcmp(text, "1.3") ? SP_TLS1_3 : *version;
  return *version ? CLI_OK
                  : cli_fail("%s %s: 1.2 and 1.3 are spoken here, older ones are not safe", option,
                             text);
}

int cli_serve_make(cli_serve_t *serve) {
  const cli_serve_options_t *o = &serve->options;
  const char *const ca[] = {o->client_ca, NULL};
  char passphrase[CLI_PASSPHRASE_SIZE] = "";
  identities_t identities = {.count = 0};
  sp_protocol_t min, max;
  if (gather(&identities, o) || version_of(&min, "--tls-min", o->min) ||
      version_of(&max, "--tls-max", o->max) ||
      (o->passphrase_file && cli_passphrase_file(passphrase, o->passphrase_file)))
    return CLI_FAILED;
  sp_options_t options =
      *SP_OPTIONS(.identities = identities.all, .identity_count = identities.count,
                  .passphrase = *passphrase ? passphrase : NULL, .min_version = min,
                  .max_version = max, .ciphers = o->ciphers, .alpn = o->alpn, .half_open = SP_YES,
                  .max_connections = (size_t)o->max_connections,
                  .handshake_timeout = o->handshake_timeout * 1000,
                  .idle_timeout = o->idle_timeout * 1000,
                  .handshake_workers = o->workers ? SP_YES : SP_NO);
  if (o->client_ca) {
    options.ca_files = ca;
    options.request_cert = SP_YES;
    options.reject_unauthorized = o->client_optional ? SP_NO : SP_YES;
  }
  int status = identities.count ? make_server(serve, &options) : make_on_the_spot(serve, &options);
  explicit_bzero(passphrase, sizeof passphrase);
  return status;
}
