/* A folder of certificates by server name, which is followed: new files, changed ones, removed
 * ones. */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include "serve.h"

typedef struct cli_names cli_names_t;

/*
 * NAME.pem has the certificate for NAME with its chain, and its key, which may also be in NAME.key;
 * "_.a.example.pem" is for *.a.example. Other files are passed over. A file that cannot be used is
 * told in the log, and served once it can. Answers an exit status, which fails only for the folder.
 */
int cli_names_open(cli_names_t **names, cli_serve_t *serve, const char *folder);

/* Looks at once, and tells of each fault again. */
void cli_names_check(cli_names_t *names);

/* Frees it later, in the loop. NULL is fine. */
void cli_names_close(cli_names_t *names);

#endif
