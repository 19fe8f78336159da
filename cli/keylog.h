/* The secrets of connections, in a file that others cannot read: for looking into one's own
 * traffic. */
#ifndef CLI_KEYLOG_H
#define CLI_KEYLOG_H

#include "cli.h"

typedef struct cli_keylog {
  int fd;    /* -1: there is none */
  int error; /* errno of a line that could not be written; 0: none */
} cli_keylog_t;

/* Opens the file to add to it; it must be, or becomes, the owner's only. Answers an exit status. */
int cli_keylog_open(cli_keylog_t *keylog, const char *path);
void cli_keylog_close(cli_keylog_t *keylog);

/* The hook `keylog`; its data is the key log. */
void cli_keylog_write(sp_pair_t *pair, const char *line, void *keylog);

#endif
