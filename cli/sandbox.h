/* A process that gives up what a server needs no more: best effort, by Landlock and seccomp. */
#ifndef CLI_SANDBOX_H
#define CLI_SANDBOX_H

#include "cli.h"

/* Folders that may be read on, with all below them. */
typedef struct cli_folders {
  char **paths;
  size_t count;
} cli_folders_t;

/* A folder; or those that a file lies in: where its path says, and where symbolic links lead. Those
 * that do not exist are passed over. */
void cli_folders_add(cli_folders_t *folders, const char *folder);
void cli_folders_add_file(cli_folders_t *folders, const char *file);
void cli_folders_free(cli_folders_t *folders);

/* What was taken away: a system may not know all of it. */
typedef struct cli_sandbox {
  bool no_new_privileges; /* no set-user-ID program gives rights, here or in what we start */
  bool files;             /* Landlock: nothing but the folders can be opened, and that to read */
  bool network;           /* Landlock: no TCP connections out, no further ports */
  bool calls;             /* seccomp: only the system calls of a server; no programs are started */
} cli_sandbox_t;

/* No program gains rights any more, and the memory is not dumped. */
void cli_sandbox_begin(cli_sandbox_t *sandbox);

/* The rest, which is too much for a server that starts programs. Before there are threads: they
 * would be spared. */
void cli_sandbox_close(cli_sandbox_t *sandbox, const cli_folders_t *folders);

#endif
