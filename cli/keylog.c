#include "keylog.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

int cli_keylog_open(int *made, const char *path) {
  struct stat stat_of;
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
  if (fd < 0 || fstat(fd, &stat_of) < 0) {
    int number = errno;
    if (fd >= 0)
      close(fd);
    return cli_fail("--keylog %s: %s", path, strerror(number));
  }
  if (!S_ISREG(stat_of.st_mode) || stat_of.st_mode & 077 || stat_of.st_uid != geteuid()) {
    close(fd);
    return cli_fail(
        "--keylog %s: whoever reads it reads all connections, and others can, or it is theirs: "
        "chmod 600 it, or name another file",
        path);
  }
  *made = fd;
  return CLI_OK;
}

/* One call, so that lines of several servers do not mix. A full disk loses them. */
void cli_keylog_write(sp_pair_t *pair, const char *line, void *fd) {
  struct iovec parts[] = {{(void *)(uintptr_t)line, strlen(line)}, {(void *)(uintptr_t) "\n", 1}};
  (void)pair;
  if (writev(*(const int *)fd, parts, 2) < 0)
    return;
}
