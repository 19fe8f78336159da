/* Certificates and policy of `securepair serve`. */
#include <string.h>

#include "serving.h"

/* -- what the command line says ---------------------------------------------------------------- */

static size_t length_of(const char *const *list) {
  size_t n = 0;
  while (list && list[n])
    n++;
  return n;
}

/* One key for each certificate, in order; a certificate without one has it in its own file. */
static int gather_identities(cli_serve_t *serve) {
  const cli_serve_options_t *o = &serve->options;
  size_t keys = length_of(o->keys), certs = length_of(o->certs);
  if (keys && keys != certs)
    return cli_fail("--key and --cert: there are %zu keys and %zu certificates", keys, certs);
  if (certs > CLI_MOST_IDENTITIES)
    return cli_fail("--cert: %zu certificates are too many, %d are possible", certs,
                    CLI_MOST_IDENTITIES);
  for (size_t i = 0; i < certs; i++) {
    const char *key = keys ? o->keys[i] : o->certs[i];
    serve->identities[i] = (sp_identity_t){.cert_file = o->certs[i], .key_file = key};
  }
  serve->identity_count = certs;
  return CLI_OK;
}

static int on_passphrase(char *room, size_t size, const char *name, void *data) {
  char typed[CLI_PASSPHRASE_SIZE];
  (void)data;
  if (!cli_ask_passphrase(typed, name))
    return -1;
  size_t n = strlen(typed);
  memcpy(room, typed, n < size ? n : size);
  explicit_bzero(typed, sizeof typed);
  return (int)(n < size ? n : size);
}

/* All but the certificates: what those of a name have, too. */
static int set_policy(cli_serve_t *serve) {
  const cli_serve_options_t *o = &serve->options;
  sp_protocol_t min, max;
  if (cli_version_of(&min, "--tls-min", o->min) || cli_version_of(&max, "--tls-max", o->max) ||
      (o->passphrase_file && cli_passphrase_file(serve->passphrase, o->passphrase_file)))
    return CLI_FAILED;
  serve->tls = *SP_OPTIONS(.min_version = min, .max_version = max, .ciphers = o->ciphers,
                           .alpn = o->alpn, .strict_sni = o->strict_sni ? SP_YES : SP_NO,
                           .half_open = SP_YES, .max_connections = (size_t)o->max_connections,
                           .handshake_timeout = o->handshake_timeout * 1000,
                           .idle_timeout = o->idle_timeout * 1000,
                           .handshake_workers = o->workers ? SP_YES : SP_NO);
  serve->tls.passphrase = o->passphrase_file ? serve->passphrase : NULL;
  serve->tls.on_passphrase = o->passphrase_file ? NULL : on_passphrase;
  if (serve->keylog.fd >= 0) {
    serve->tls.keylog = SP_YES;
    serve->tls.hooks.keylog = cli_keylog_write;
    serve->tls.hooks_data = &serve->keylog;
  }
  serve->client_ca[0] = o->client_ca;
  if (o->client_ca) {
    serve->tls.ca_files = serve->client_ca;
    serve->tls.request_cert = SP_YES;
    serve->tls.reject_unauthorized = o->client_optional ? SP_NO : SP_YES;
  }
  return CLI_OK;
}

/* Once they are read, and so are keys. */
static void warn_of_open_keys(const cli_serve_t *serve) {
  for (size_t i = 0; i < serve->identity_count; i++) {
    const char *key = serve->identities[i].key_file;
    if (cli_others_can_read(key))
      cli_log_say(serve->log, "warning", "%s: others can read this private key: chmod 600 it", key);
  }
}

/* -- the server -------------------------------------------------------------------------------- */

static int start(cli_serve_t *serve, sp_context_t *context) {
  sp_options_t options = serve->tls;
  sp_error_t why;
  options.context = context;
  int status = sp_server_new(&serve->server, &serve->loop, cli_serve_on_secure, &why, &options);
  if (!status)
    sp_server_set_data(serve->server, serve);
  if (!status && serve->watch)
    status = sp_server_follow(serve->server, NULL, serve->watch);
  if (status < 0)
    return serve->server ? cli_fail("%s", sp_error_text(status)) : cli_fail_with(&why);
  sp_server_on_drop(serve->server, cli_serve_on_drop);
  return CLI_OK;
}

/* Files are followed, whatever they are of. */
static int start_with(cli_serve_t *serve, const sp_options_t *options) {
  sp_context_t *context = NULL;
  sp_error_t why;
  bool has_files = options->identity_count || options->ca_files;
  int status = has_files
                   ? sp_watch_new(&serve->watch, &serve->loop, cli_serve_on_reload, &why, options)
                   : sp_context_new(&context, &why, options);
  if (status < 0)
    return cli_fail_with(&why);
  if (serve->watch)
    sp_watch_set_data(serve->watch, serve);
  status = start(serve, has_files ? sp_watch_context(serve->watch) : context);
  sp_context_release(context);
  return status;
}

int cli_serve_make(cli_serve_t *serve) {
  char *key_pem = NULL;
  if (gather_identities(serve) || set_policy(serve))
    return CLI_FAILED;
  sp_options_t options = serve->tls;
  options.identities = serve->identities;
  options.identity_count = serve->identity_count;
  if (!serve->identity_count) {
    if (cli_serve_make_certificate(serve, &key_pem))
      return CLI_FAILED;
    options.key = key_pem;
    options.cert = sp_certificate_pem(serve->made);
  }
  int status = start_with(serve, &options);
  sp_pem_release(key_pem);
  if (!status)
    warn_of_open_keys(serve);
  serve->tls.on_passphrase = NULL;  /* later nobody sits there */
  if (!serve->options.sni_folder) { /* whose keys may come later */
    serve->tls.passphrase = NULL;
    explicit_bzero(serve->passphrase, sizeof serve->passphrase);
  }
  return status;
}
