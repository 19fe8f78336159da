/* HOST[:PORT] or unix:PATH */
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include "cli.h"

typedef struct cli_target {
  char host[256];   /* empty with a path */
  const char *path; /* of a Unix socket, part of the text; NULL: none */
  int port;
} cli_target_t;

/* Answers an exit status. */
int cli_target_parse(cli_target_t *target, const char *text, int usual_port);

/* The same for who listens: PORT alone is on 127.0.0.1, as is NULL, and :PORT on all addresses
 * (host ""); port 0 is any that is free. */
int cli_target_to_listen(cli_target_t *target, const char *text, int usual_port);

/* Whether an address without brackets may have been meant as address and port: "::1:8000". Both are
 * told. */
bool cli_target_hides_port(char host[64], const char **port, const char *text);

/* "192.0.2.1:443", "[::1]:443" */
#define CLI_PLACE 160
const char *cli_place(char room[CLI_PLACE], const char *address, int port);

#endif
