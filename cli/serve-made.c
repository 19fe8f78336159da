/* A certificate made on the spot: in memory only, told by its fingerprint. */
#include <string.h>
#include <unistd.h>

#include "serving.h"

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

int cli_serve_make_certificate(cli_serve_t *serve, char **key_pem) {
  sp_key_t *key = NULL;
  sp_error_t why;
  int status = sp_key_make(&key, SP_KEY_P256, 0, &why);
  if (!status)
    status = certify(&serve->made, key, &why);
  if (!status)
    status = sp_key_pem(key, NULL, key_pem, &why);
  sp_key_release(key);
  return status < 0 ? cli_fail_with(&why) : CLI_OK;
}

void cli_serve_tell_made(const cli_serve_t *serve) {
  size_t count;
  const sp_name_t *names = sp_certificate_names(serve->made, &count);
  const char *fingerprint = sp_certificate_fingerprint(serve->made, SP_SHA256);
  json_t *facts = json_object(), *list = json_array();
  for (size_t i = 0; i < count; i++)
    json_array_append_new(list, json_string(names[i].value));
  json_object_set_new(
      facts, "message",
      json_sprintf("a certificate was made on the spot, for this run only: SHA-256 %s",
                   fingerprint));
  json_object_set_new(facts, "names", list);
  json_object_set_new(facts, "sha256", json_string(fingerprint));
  cli_log_put(serve->log, "certificate", facts);
}
