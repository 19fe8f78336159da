/* The two halves of the sandbox. */
#ifndef CLI_SANDBOX_PARTS_H
#define CLI_SANDBOX_PARTS_H

#include "sandbox.h"

void cli_landlock(const cli_folders_t *folders, bool *files, bool *network);
bool cli_seccomp(void);

#endif
