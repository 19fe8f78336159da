#include "keylog.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

int cli_keylog_open(cli_keylog_t *keylog, const char *path) {
  struct stat stat_of;
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
  if (fd < 0 || fstat(fd, &stat_of) < 0) {
    int number = errno;
    if (fd >= 0)
      close(fd);
    return cli_fail("--keylog: cannot write %s: %s", path, strerror(number));
  }
  if (!S_ISREG(stat_of.st_mode) || stat_of.st_mode & 077 || stat_of.st_uid != geteuid()) {
    close(fd);
    return cli_fail(
        "--keylog %s: whoever reads it reads all connections, and others can, or it is theirs: "
        "chmod 600 it, or name another file",
        path);
  }
  keylog->fd = fd;
  return CLI_OK;
}

void cli_keylog_close(cli_keylog_t *keylog) {
  if (keylog->fd >= 0)
    close(keylog->fd);
  keylog->fd = -1;
}

/* One call, so that lines of several programs do not mix. A full disk loses them. */
void cli_keylog_write(sp_pair_t *pair, const char *line, void *keylog) {
  struct iovec parts[] = {{(void *)(uintptr_t)line, strlen(line)}, {(void *)(uintptr_t) "\n", 1}};
  cli_keylog_t *log = keylog;
  (void)pair;
  if (writev(log->fd, parts, 2) < 0)
    log->error = errno;
}
