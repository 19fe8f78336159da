/* What `securepair connect` was asked for, and how far it got. */
#ifndef CLI_CONNECT_H
#define CLI_CONNECT_H

#include <jansson.h>

#include "keylog.h"
#include "pump.h"
#include "target.h"

enum { NOT_AUTHORIZED = 3, TRUNCATED = 4, PROTOCOL = 5, TIMED_OUT = 6, UNREACHABLE = 7 };

typedef struct cli_connect_options {
  const char **ca, **crl, **alpn;
  const char *cert, *key, *passphrase_file, *server_name, *starttls, *max, *min;
  const char *ciphers, *suites, *groups, *keylog, *save_chain;
  int insecure, json, quiet, resume, staple, timeout, linger, ipv4, ipv6, crlf, trace, force;
} cli_connect_options_t;

typedef struct cli_connect {
  cli_connect_options_t options;
  sp_options_t tls;
  cli_target_t target;
  const char *named; /* the target as it was given */
  char *key;         /* ours, in PEM; to sp_pem_release */
  cli_keylog_t keylog;
  uv_loop_t loop;
  cli_pump_t *pump;
  void *dialled;            /* what cli_dial keeps for the stream */
  json_t *reports, *report; /* of all connections, and of the present one */
  char *session;            /* of the connection before, for --resume */
  size_t session_size;
  int left; /* connections still to make after this one */
  int status;
  bool ended;       /* we ended, as nothing more was to come */
  bool chain_saved; /* or tried to */
} cli_connect_t;

/* Connects, reports, passes data on, all of it. `options`, `tls`, `target` and `named` are set.
 * Answers the exit status. */
int cli_connect_run(cli_connect_t *connect);

#endif
