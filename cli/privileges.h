/* Becoming somebody with fewer rights, for good. */
#ifndef CLI_PRIVILEGES_H
#define CLI_PRIVILEGES_H

#include "cli.h"

/* The process is `user` (a name or a number) with that user's groups from now on, and cannot go
 * back. Before there are threads. Answers an exit status. */
int cli_become(const char *user);

#endif
