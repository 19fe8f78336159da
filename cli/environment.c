#include "environment.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 24, LONGEST = 1024 /* of a client's text */ };

typedef struct environment {
  char **all; /* ends with NULL */
  size_t count;
  bool failed;
} environment_t;

static void add_entry(environment_t *e, char *entry) {
  e->failed = e->failed || !entry;
  if (entry)
    e->all[e->count++] = entry;
}

/* A text that is empty is not known. */
static void add_bytes(environment_t *e, const char *name, const char *bytes, size_t n) {
  char *entry = NULL;
  size_t size;
  if (!n)
    return;
  FILE *to = open_memstream(&entry, &size);
  if (to) {
    fprintf(to, "%s=", name);
    cli_put_bytes(to, bytes, n < LONGEST ? n : LONGEST, false, "\\");
    if (fclose(to) != 0) { /* cut off: better none */
      free(entry);
      entry = NULL;
    }
  }
  add_entry(e, entry);
}

static void add(environment_t *e, const char *name, const char *text) {
  add_bytes(e, name, text, text ? strlen(text) : 0);
}

static void add_place(environment_t *e, const char *who,
                      int (*place)(const sp_stream_t *, char *, size_t, int *),
                      const sp_stream_t *stream) {
  char address[128], name[32], number[16];
  int port;
  if (place(stream, address, sizeof address, &port) < 0)
    return;
  snprintf(name, sizeof name, "%s_ADDR", who);
  add(e, name, address);
  snprintf(name, sizeof name, "%s_PORT", who);
  snprintf(number, sizeof number, "%d", port);
  add(e, name, number);
}

static void add_client(environment_t *e, const sp_pair_t *pair) {
  const char *why = sp_pair_authorization_error(pair);
  sp_certificate_t *certificate;
  char failed[128];
  if (sp_pair_peer_certificate(pair, &certificate) < 0) {
    add(e, "TLS_CLIENT_VERIFY", "NONE");
    return;
  }
  snprintf(failed, sizeof failed, "FAILED:%s", why ? why : "");
  add(e, "TLS_CLIENT_VERIFY", sp_pair_is_authorized(pair) ? "SUCCESS" : failed);
  add(e, "TLS_CLIENT_SUBJECT", sp_certificate_subject(certificate));
  add(e, "TLS_CLIENT_ISSUER", sp_certificate_issuer(certificate));
  add(e, "TLS_CLIENT_SERIAL", sp_certificate_serial(certificate));
  add(e, "TLS_CLIENT_SHA256", sp_certificate_fingerprint(certificate, SP_SHA256));
  sp_certificate_release(certificate);
}

static void add_connection(environment_t *e, const sp_stream_t *stream) {
  const sp_pair_t *pair = sp_stream_pair(stream);
  size_t n;
  const char *alpn = sp_pair_protocol(pair, &n);
  add_place(e, "REMOTE", sp_stream_remote, stream);
  add_place(e, "SERVER", sp_stream_local, stream);
  add(e, "TLS_PROTOCOL", sp_pair_version(pair));
  add(e, "TLS_CIPHER", sp_pair_cipher(pair));
  add(e, "TLS_RESUMED", sp_pair_is_resumed(pair) ? "yes" : "no");
  add(e, "TLS_SERVER_NAME", sp_pair_server_name(pair));
  add_bytes(e, "TLS_ALPN", alpn, n);
  add_client(e, pair);
}

/* What another server told of another connection. */
static bool is_stale(const char *entry) {
  return !strncmp(entry, "TLS_", 4) || !strncmp(entry, "REMOTE_", 7) ||
         !strncmp(entry, "SERVER_", 7);
}

char **cli_environment(const sp_stream_t *stream) {
  size_t count = 0;
  while (environ[count])
    count++;
  environment_t e = {.all = calloc(count + MOST, sizeof *e.all)};
  if (!e.all)
    return NULL;
  for (char **entry = environ; *entry; entry++)
    if (!is_stale(*entry))
      add_entry(&e, strdup(*entry));
  add_connection(&e, stream);
  if (!e.failed)
    return e.all;
  cli_environment_free(e.all);
  return NULL;
}

void cli_environment_free(char **environment) {
  for (size_t i = 0; environment && environment[i]; i++)
    free(environment[i]);
  free(environment);
}
