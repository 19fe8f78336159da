/* `securepair serve`: what the server gives to a service, and what a service is. */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include <jansson.h>

#include "cli.h"

typedef struct cli_serve cli_serve_t;

/* A client whose handshake is done. `stream` lives until its event `close`. */
typedef struct cli_connection {
  sp_stream_t *stream;
  cli_serve_t *serve;
  void *own; /* the service's, for this connection */
} cli_connection_t;

/* What is done with a connection: the echo, files of a folder, a command, a line of HTTP. */
typedef struct cli_service {
  const char *name;                   /* in the log */
  void (*open)(cli_connection_t *c);  /* it is secure: sp_stream_on(c->stream, &events, c) */
  void (*drain)(cli_connection_t *c); /* the server stops: end when what was begun is done */
} cli_service_t;

/* What the command line said for the service: cli_www_t for --www, and so on. */
void *cli_serve_state(const cli_serve_t *serve);

/* A service calls it last in its event `close`; `c` is gone then. */
void cli_connection_closed(cli_connection_t *c);

/* A line in the log on what happened on this connection, "request" for instance. `facts` (an object
 * of JSON, may be NULL) is taken over. Hostile texts are escaped there. */
void cli_connection_log(cli_connection_t *c, const char *event, json_t *facts);

#endif
