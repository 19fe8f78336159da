/* Which files can be opened, and what can be connected to: landlock(7). */
#include "sandbox-parts.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>

/* As later kernels have it: older ones, and this machine's headers, know the beginning. */
typedef struct ruleset {
  uint64_t files, network;
} ruleset_t;

enum { NETWORK_BIND = 1, NETWORK_CONNECT = 2 };

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

/* All that there is to a version of the interface: 13 kinds of access in the first, then renaming
 * across folders, truncating, and device calls. */
static uint64_t all_access(long version) {
  unsigned count = version < 2 ? 13 : version < 3 ? 14 : version < 5 ? 15 : 16;
  return ((uint64_t)1 << count) - 1;
}

static bool allow(int ruleset, const char *folder) {
  int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return false;
  struct landlock_path_beneath_attr rule = {.allowed_access = READING, .parent_fd = fd};
  long status = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  close(fd);
  return status == 0;
}

/* A folder that could not be allowed is told by the first reload that fails. */
void cli_landlock(const cli_folders_t *folders, bool *files, bool *network) {
  long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1)
    return;
  bool has_network = version >= 4;
  ruleset_t rules = {.files = all_access(version),
                     .network = has_network ? NETWORK_BIND | NETWORK_CONNECT : 0};
  int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules,
                             has_network ? sizeof rules : sizeof rules.files, 0);
  if (ruleset < 0)
    return;
  for (size_t i = 0; i < folders->count; i++)
    (void)allow(ruleset, folders->paths[i]);
  *files = syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
  *network = *files && has_network;
  close(ruleset);
}
