/* The inside of `securepair serve`: what its files share. */
#ifndef CLI_SERVING_H
#define CLI_SERVING_H

#include "keylog.h"
#include "names.h"
#include "serve.h"
#include "target.h"

typedef struct cli_serve_options {
  const char *listen;
  const char **keys, **certs;
  const char *passphrase_file, *client_ca, *sni_folder, *min, *max, *ciphers, *exec, *keylog, *user,
      *www;
  const char *const *alpn;
  const char **readable;
  int client_optional, strict_sni, no_sandbox, max_connections, handshake_timeout, idle_timeout,
      grace, workers;
  int json, quiet, http_line;
} cli_serve_options_t;

enum { CLI_MOST_IDENTITIES = 16 };

/* A connection as the server keeps it. */
typedef struct cli_kept cli_kept_t;

struct cli_serve {
  cli_serve_options_t options;
  uv_loop_t loop;
  sp_server_t *server;
  sp_options_t tls; /* all but certificates */
  sp_identity_t identities[CLI_MOST_IDENTITIES];
  size_t identity_count;
  const char *client_ca[2];
  char passphrase[CLI_PASSPHRASE_SIZE];
  sp_certificate_t *made; /* on the spot; NULL: one was given */
  sp_watch_t *watch;      /* NULL: there are no files to follow */
  cli_names_t *names;     /* NULL: no --sni-folder */
  const cli_service_t *service;
  void *state; /* the service's */
  cli_log_t *log;
  cli_kept_t *connections; /* those that the service has */
  uint64_t dropped;        /* clients since that was last told */
  int drop_status;         /* why the last of them was */
  uv_timer_t drops;        /* until a second after the last */
  uv_signal_t signals[4];
  uv_timer_t grace;
  cli_keylog_t keylog;
  int notify; /* a descriptor; -1: none */
  bool has_signals, is_draining;
};

/* -- serve-options.c --------------------------------------------------------------------------- */

/* As cli_parse, and what is not possible is refused. */
int cli_serve_parse(cli_serve_options_t *options, cli_arguments_t *arguments, int argc,
                    const char **argv);

/* -- serve-tls.c: certificates and policy ------------------------------------------------------ */

/* Makes the server. Answers an exit status. */
int cli_serve_make(cli_serve_t *serve);

/* -- serve-made.c ------------------------------------------------------------------------------ */

/* serve->made; its key goes to sp_pem_release. Answers an exit status. */
int cli_serve_make_certificate(cli_serve_t *serve, char **key_pem);
void cli_serve_tell_made(const cli_serve_t *serve);

/* -- serve-reload.c ---------------------------------------------------------------------------- */

void cli_serve_on_reload(sp_watch_t *watch, int status);

/* On SIGHUP. */
void cli_serve_reload(cli_serve_t *serve);

/* "what: subject, valid until ..." */
void cli_serve_tell_certificate(const cli_serve_t *serve, const char *event, const char *what,
                                const sp_watch_t *watch);

/* Of a certificate that has expired, or will soon, or is not valid yet; `what` says which. The
 * second: of those of the command line. */
void cli_serve_warn_of_dates(const cli_serve_t *serve, const char *what,
                             const sp_certificate_t *certificate);
void cli_serve_warn_of_all_dates(const cli_serve_t *serve);

/* -- serve-connection.c ------------------------------------------------------------------------ */

void cli_serve_on_secure(sp_stream_t *stream, int status);
void cli_serve_on_drop(sp_server_t *server, int status);

/* Those that were not told of yet. */
void cli_serve_tell_drops(cli_serve_t *serve);

/* Asks the service to come to an end with each of its connections. */
void cli_serve_drain(cli_serve_t *serve);

/* -- serve-confine.c --------------------------------------------------------------------------- */

/* Gives up rights, before there are threads. Answers an exit status. */
int cli_serve_confine(const cli_serve_t *serve);

/* -- serve-signals.c --------------------------------------------------------------------------- */

/* From when the loop runs soon: until then they do what they do to any command, at once. */
void cli_serve_follow_signals(cli_serve_t *serve);
void cli_serve_forget_signals(cli_serve_t *serve);

/* -- serve.c ----------------------------------------------------------------------------------- */

/* The server is gone, or never was: closes all the rest. */
void cli_serve_close(cli_serve_t *serve);

#endif
