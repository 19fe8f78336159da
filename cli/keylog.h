/* The secrets of connections, in a file that others cannot read: for looking into one's own
 * traffic. */
#ifndef CLI_KEYLOG_H
#define CLI_KEYLOG_H

#include "cli.h"

/* Opens the file to add to it; it must be, or becomes, the owner's only. Answers an exit status. */
int cli_keylog_open(int *fd, const char *path);

/* The hook `keylog`; its data is where the descriptor is. */
void cli_keylog_write(sp_pair_t *pair, const char *line, void *fd);

#endif
