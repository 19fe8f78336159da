/* `securepair serve`: what the server gives to a service, and what a service is. */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include "log.h"

typedef struct cli_serve cli_serve_t;

/* A client whose handshake is done. `stream` lives until its event `close`. */
typedef struct cli_connection {
  sp_stream_t *stream;
  cli_serve_t *serve;
  void *own; /* the service's, for this connection */
} cli_connection_t;

/* What is done with a connection: the echo, files of a folder, a command, a line of HTTP. Streams
 * are half-open: after the client's `end` the service has to end its own side. */
typedef struct cli_service {
  const char *name;                   /* in the log */
  const char *const *alpn;            /* what it speaks, unless --alpn says it; NULL: anything */
  int idle;                           /* seconds, unless --idle-timeout says it; 0: no limit */
  void (*open)(cli_connection_t *c);  /* it is secure: sp_stream_on(c->stream, &events, c) */
  void (*drain)(cli_connection_t *c); /* the server stops: end when what was begun is done */
} cli_service_t;

extern const cli_service_t cli_echo, cli_exec, cli_www, cli_http_line;

/* --www FOLDER: opens the folder, and the system's list of types, before privileges are dropped.
 * Answers an exit status. To be released in either case. */
int cli_www_prepare(void **state, const char *folder);
void cli_www_release(void *state);

/* What the command line said for the service: cli_www_t for --www, and so on. */
void *cli_serve_state(const cli_serve_t *serve);

/* For the event `timeout` (--idle-timeout) of a service that knows nothing better. The stream's
 * data is the connection. */
void cli_connection_timeout(sp_stream_t *stream);

/* A service calls it last in its event `close`; `c` is gone then. What the stream failed of, and
 * how much went through it, is in the log without the service's help. */
void cli_connection_closed(cli_connection_t *c);

/* A line in the log on what happened on this connection, "request" for instance. `facts` (an object
 * of JSON, may be NULL) is taken over. Control characters in its texts are escaped, and long ones
 * cut; bytes that may be no UTF-8 go in by cli_log_text. */
void cli_connection_log(cli_connection_t *c, const char *event, json_t *facts);

#endif
