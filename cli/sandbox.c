#include "sandbox.h"

#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "sandbox-parts.h"

static void add(cli_folders_t *folders, char *path) {
  char **more = path ? realloc(folders->paths, (folders->count + 1) * sizeof *more) : NULL;
  if (!more) {
    free(path);
    return;
  }
  folders->paths = more;
  more[folders->count++] = path;
}

void cli_folders_add(cli_folders_t *folders, const char *folder) {
  if (folder)
    add(folders, realpath(folder, NULL));
}

static void add_folder_of(cli_folders_t *folders, const char *file) {
  char room[PATH_MAX];
  if ((size_t)snprintf(room, sizeof room, "%s", file) < sizeof room)
    cli_folders_add(folders, dirname(room));
}

void cli_folders_add_file(cli_folders_t *folders, const char *file) {
  char *real = file ? realpath(file, NULL) : NULL;
  if (file)
    add_folder_of(folders, file);
  if (real)
    add_folder_of(folders, real);
  free(real);
}

void cli_folders_free(cli_folders_t *folders) {
  for (size_t i = 0; i < folders->count; i++)
    free(folders->paths[i]);
  free(folders->paths);
}

/* A build with sanitizers, which have to look into the process, does without. */
#ifdef CLI_NO_SANDBOX
enum { HAS_SANDBOX = 0 };
#else
enum { HAS_SANDBOX = 1 };
#endif

void cli_sandbox_begin(cli_sandbox_t *sandbox) {
  if (HAS_SANDBOX)
    (void)prctl(PR_SET_DUMPABLE, 0); /* keys are in our memory */
  sandbox->no_new_privileges = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

void cli_sandbox_close(cli_sandbox_t *sandbox, const cli_folders_t *folders) {
  if (!HAS_SANDBOX)
    return;
  cli_landlock(folders, &sandbox->files, &sandbox->network);
  sandbox->calls = cli_seccomp();
}
