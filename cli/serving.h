/* The inside of `securepair serve`: what its files share. */
#ifndef CLI_SERVING_H
#define CLI_SERVING_H

#include "serve.h"
#include "target.h"

typedef struct cli_serve_options {
  const char *listen;
  const char **keys, **certs;
  const char *passphrase_file, *client_ca, *min, *max, *ciphers;
  const char **alpn;
  int client_optional, max_connections, handshake_timeout, idle_timeout, grace, workers;
  int json, quiet;
} cli_serve_options_t;

/* A connection as the server keeps it. */
typedef struct cli_kept cli_kept_t;

struct cli_serve {
  cli_serve_options_t options;
  uv_loop_t loop;
  sp_server_t *server;
  sp_certificate_t *made; /* on the spot; NULL: one was given */
  const cli_service_t *service;
  void *state; /* the service's */
  cli_log_t *log;
  cli_kept_t *connections;     /* those that the service has */
  uint64_t dropped, drop_told; /* clients since that was last told, and when */
  uv_signal_t signals[5];
  uv_timer_t grace;
  bool is_draining;
};

/* -- serve-tls.c: certificates and policy ------------------------------------------------------ */

/* Makes the server. Answers an exit status. */
int cli_serve_make(cli_serve_t *serve);

/* Of the certificate that was made on the spot. */
void cli_serve_tell_made(const cli_serve_t *serve);

/* -- serve-connection.c ------------------------------------------------------------------------ */

void cli_serve_on_secure(sp_stream_t *stream, int status);
void cli_serve_on_drop(sp_server_t *server, int status);

/* Asks the service to come to an end with each of its connections. */
void cli_serve_drain(cli_serve_t *serve);

/* -- serve-signals.c --------------------------------------------------------------------------- */

void cli_serve_follow_signals(cli_serve_t *serve);
void cli_serve_forget_signals(cli_serve_t *serve);

#endif
