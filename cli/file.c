/* Files as SECURITY.md has them: whole or not at all, and nothing written over by accident. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
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

int cli_write_all(int fd, const char *bytes, size_t n) {
  while (n) {
    ssize_t wrote = write(fd, bytes, n);
    if (wrote < 0 && errno == EAGAIN) /* who shares it with us made it so */
      (void)poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
    else if (wrote < 0 && errno != EINTR)
      return -1;
    bytes += wrote > 0 ? wrote : 0;
    n -= wrote > 0 ? (size_t)wrote : 0;
  }
  return 0;
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

/* What is written until it takes its place: where the file system can do that it has no name, so
 * that nothing is left of it whatever happens. */
typedef struct draft {
  const char *path;
  char name[PATH_MAX]; /* "": none */
  int fd;
} draft_t;

static int open_unnamed(const char *path, mode_t mode) {
  char folder[PATH_MAX];
  (void)snprintf(folder, sizeof folder, "%s", path);
  int fd = open(dirname(folder), O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
  char link[40];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  if (fd < 0 || access(link, F_OK) == 0)
    return fd;
  close(fd);
  return -1; /* without /proc it could get no name later */
}

static int draft_open(draft_t *draft, const char *path, mode_t mode) {
  draft->path = path;
  int n = snprintf(draft->name, sizeof draft->name, "%s.%ld.tmp", path, (long)getpid());
  if (n < 0 || (size_t)n >= sizeof draft->name) {
    errno = ENAMETOOLONG;
    return -1;
  }
  draft->fd = open_unnamed(path, mode);
  if (draft->fd >= 0)
    *draft->name = '\0';
  else
    draft->fd = open(draft->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  return draft->fd < 0 ? -1 : 0;
}

static int draft_link(const draft_t *draft, const char *to) {
  char name[40];
  if (*draft->name)
    return link(draft->name, to);
  snprintf(name, sizeof name, "/proc/self/fd/%d", draft->fd);
  return linkat(AT_FDCWD, name, AT_FDCWD, to, AT_SYMLINK_FOLLOW);
}

/* A name that is taken, even since we looked, is an error. */
static int draft_add(draft_t *draft) {
  if (draft_link(draft, draft->path) == 0)
    return 0;
  if (!*draft->name || (errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK))
    return -1;
  if (renameat2(AT_FDCWD, draft->name, AT_FDCWD, draft->path, RENAME_NOREPLACE) < 0)
    return -1;
  *draft->name = '\0';
  return 0;
}

static int draft_replace(draft_t *draft) {
  if (!*draft->name) { /* rename wants one */
    char name[PATH_MAX];
    (void)snprintf(name, sizeof name, "%s.%ld.tmp", draft->path, (long)getpid());
    if (draft_link(draft, name) < 0)
      return -1;
    memcpy(draft->name, name, sizeof name);
  }
  if (rename(draft->name, draft->path) < 0)
    return -1;
  *draft->name = '\0';
  return 0;
}

/* Keeps errno. */
static void draft_close(draft_t *draft) {
  int number = errno;
  if (*draft->name)
    (void)unlink(draft->name);
  if (draft->fd >= 0)
    close(draft->fd);
  errno = number;
}

void cli_survive_limits(void) { (void)signal(SIGXFSZ, SIG_IGN); }

static int write_file(const char *path, const char *text, mode_t mode, bool force) {
  draft_t draft;
  cli_survive_limits();
  if (draft_open(&draft, path, mode) < 0)
    return failed("write", path);
  bool fine = cli_write_all(draft.fd, text, strlen(text)) == 0 && fchmod(draft.fd, mode) == 0 &&
              fsync(draft.fd) == 0 && (force ? draft_replace(&draft) : draft_add(&draft)) == 0;
  draft_close(&draft);
  if (!fine)
    return errno == EEXIST && !force ? exists(path) : failed("write", path);
  sync_folder(path);
  return CLI_OK;
}

int cli_write(const char *path, const char *text, mode_t mode, bool force) {
  if (!is_standard(path))
    return write_file(path, text, mode, force);
  if (cli_write_all(STDOUT_FILENO, text, strlen(text)) == 0)
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
