/* Files as SECURITY.md has them: whole or not at all, and nothing written over by accident. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

static bool is_standard(const char *path) { return !path || !strcmp(path, "-"); }

static int failed(const char *what, const char *path) {
  return cli_fail("cannot %s %s: %s", what, path, strerror(errno));
}

/* -- writing ----------------------------------------------------------------------------------- */

static int exists(const char *path) {
  return cli_fail("%s exists already: choose another name, or --force to write over it", path);
}

int cli_can_write(const char *path, bool force) {
  char folder[PATH_MAX];
  struct stat stat_of;
  if (is_standard(path))
    return CLI_OK;
  if (!force && !lstat(path, &stat_of))
    return exists(path);
  if ((size_t)snprintf(folder, sizeof folder, "%s", path) >= sizeof folder)
    return cli_fail("%.60s...: is too long for a path", path);
  return access(dirname(folder), W_OK) ? failed("write", path) : CLI_OK;
}

static int write_all(int fd, const char *text, size_t n) {
  while (n) {
    ssize_t wrote = write(fd, text, n);
    if (wrote < 0 && errno == EINTR)
      continue;
    if (wrote < 0)
      return -1;
    text += wrote;
    n -= (size_t)wrote;
  }
  return 0;
}

/* Without force by link, which fails where the name is taken, even since we looked. */
static int put_in_place(const char *temporary, const char *path, bool force) {
  if (force)
    return rename(temporary, path);
  if (link(temporary, path) == 0)
    return unlink(temporary);
  if (errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK)
    return -1;
  return renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE);
}

static void sync_folder(const char *path) {
  char folder[PATH_MAX];
  (void)snprintf(folder, sizeof folder, "%s", path);
  int fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) {
    (void)fsync(fd); /* not all file systems know it */
    close(fd);
  }
}

static int write_file(const char *path, const char *text, mode_t mode, bool force) {
  char temporary[PATH_MAX];
  int size = snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid());
  if (size < 0 || (size_t)size >= sizeof temporary)
    return cli_fail("%.60s...: is too long for a path", path);
  int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  if (fd < 0)
    return failed("write", path);
  bool fine = write_all(fd, text, strlen(text)) == 0 && fchmod(fd, mode) == 0 && fsync(fd) == 0;
  int number = errno;
  fine = close(fd) == 0 && fine;
  if (fine && put_in_place(temporary, path, force) == 0) {
    sync_folder(path);
    return CLI_OK;
  }
  number = fine ? errno : number;
  (void)unlink(temporary);
  errno = number;
  return number == EEXIST ? exists(path) : failed("write", path);
}

int cli_write(const char *path, const char *text, mode_t mode, bool force) {
  if (!is_standard(path))
    return write_file(path, text, mode, force);
  if (write_all(STDOUT_FILENO, text, strlen(text)) == 0)
    return CLI_OK;
  return failed("write to", "standard output");
}

/* -- reading ----------------------------------------------------------------------------------- */

void cli_drop(char *bytes, size_t n) {
  if (!bytes)
    return;
  explicit_bzero(bytes, n);
  free(bytes);
}

/* Never by realloc, which could leave a secret behind. */
static int grow(char **bytes, size_t n, size_t *room) {
  char *larger = malloc(*room * 2);
  if (!larger)
    return -1;
  memcpy(larger, *bytes, n);
  cli_drop(*bytes, n);
  *bytes = larger;
  *room *= 2;
  return 0;
}

static int read_all(int fd, char **bytes, size_t *n, size_t limit) {
  size_t room = 8192;
  if (!(*bytes = malloc(room)))
    return -1;
  for (*n = 0;;) {
    if (*n + 1 == room && grow(bytes, *n, &room) < 0)
      return -1;
    ssize_t got = read(fd, *bytes + *n, room - *n - 1);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0) {
      (*bytes)[*n] = '\0';
      return (int)got;
    }
    *n += (size_t)got;
    if (*n > limit) {
      errno = EFBIG;
      return -1;
    }
  }
}

int cli_read(char **bytes, size_t *n, const char *path, size_t limit) {
  bool standard = is_standard(path);
  int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
  *bytes = NULL;
  *n = 0;
  if (fd < 0)
    return failed("open", path);
  int status = read_all(fd, bytes, n, limit), number = errno;
  if (!standard)
    close(fd);
  if (!status)
    return CLI_OK;
  cli_drop(*bytes, *n);
  *bytes = NULL;
  errno = number;
  return failed("read", standard ? "standard input" : path);
}
