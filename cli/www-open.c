/* Opens what is in the folder, and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "www.h"

/* O_NONBLOCK: a FIFO without a writer does not hold us up before we see that it is one. */
enum { READ = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK };

/* Where the kernel is older than 5.6: part by part, and no links at all. */
static int open_by_parts(int folder, const char *path, int flags) {
  char part[NAME_MAX + 1];
  int at = folder, next;
  for (;; path += strspn(path, "/")) {
    size_t n = strcspn(path, "/");
    bool last = !path[n + strspn(path + n, "/")];
    if (n > NAME_MAX) {
      errno = ENAMETOOLONG;
      next = -1;
    } else {
      memcpy(part, path, n);
      part[n] = '\0';
      next = openat(at, part, O_NOFOLLOW | (last ? flags : O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
    if (at != folder)
      (void)close(at);
    if (next < 0 || last)
      return next;
    at = next;
    path += n;
  }
}

int cli_www_open_beneath(int folder, const char *path, int flags) {
  struct open_how how = {.flags = (uint64_t)(unsigned)flags,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
  long fd = -1;
  for (int tries = 0; tries < 8; tries++) { /* EAGAIN: something was renamed at that moment */
    fd = syscall(SYS_openat2, folder, path, &how, sizeof how);
    if (fd >= 0 || errno != EAGAIN)
      break;
  }
  return fd < 0 && (errno == ENOSYS || errno == EPERM) ? open_by_parts(folder, path, flags)
                                                       : (int)fd;
}

static int status_of(int error) {
  switch (error) {
  case ENOENT:
  case ENOTDIR:
  case ELOOP: /* also a link where there must be none */
  case EXDEV: /* it leads out of the folder */
  case ENAMETOOLONG:
  case ENXIO: /* a socket */
  case ENODEV:
  case EINVAL:
    return 404;
  case EACCES:
  case EPERM:
    return 403;
  case EMFILE:
  case ENFILE:
  case ENOMEM:
  case EAGAIN:
    return 503;
  default:
    return 500;
  }
}

/* A text has no control characters but those that texts have. A letter may be cut at the end. */
static bool looks_like_text(int fd) {
  unsigned char bytes[512];
  ssize_t n = pread(fd, bytes, sizeof bytes, 0);
  for (ssize_t i = 0; i < n; i++)
    if (!bytes[i] || (bytes[i] < 0x20 && !strchr("\t\n\r\f\033", bytes[i])))
      return false;
  return n >= 0;
}

/* The folder's own page, which may be a link too. False: there is none. */
static bool open_index(cli_www_file_t *file, int root, const char *path, int *status) {
  char whole[CLI_WWW_PATH + 16];
  (void)snprintf(whole, sizeof whole, "%sindex.html", path);
  int fd = cli_www_open_beneath(root, whole, READ);
  *status = fd < 0 ? status_of(errno) : 200;
  if (fd < 0)
    return *status != 404;
  struct stat facts;
  if (fstat(fd, &facts) < 0 || !S_ISREG(facts.st_mode)) {
    (void)close(fd);
    return false;
  }
  file->fd = fd;
  file->facts = facts;
  file->is_index = true;
  return true;
}

/* A folder has its own page, or gets one. */
static int open_folder(cli_www_file_t *file, int root, const char *path) {
  int fd = file->fd, status;
  file->fd = -1;
  if (!open_index(file, root, path, &status))
    return cli_www_list(&file->list, &file->list_size, root, fd, path);
  (void)close(fd);
  return status;
}

static int open_path(cli_www_file_t *file, int root, const char *path, bool look_inside) {
  size_t n = strlen(path);
  bool slash = n == 0 || path[n - 1] == '/';
  file->fd = cli_www_open_beneath(root, n ? path : ".", READ);
  if (file->fd < 0 || fstat(file->fd, &file->facts) < 0)
    return status_of(errno);
  if (S_ISDIR(file->facts.st_mode))
    return slash ? open_folder(file, root, path) : 301;
  if (!S_ISREG(file->facts.st_mode) || slash)
    return 404;
  file->is_text = look_inside && looks_like_text(file->fd);
  return 200;
}

void cli_www_open(cli_www_file_t *file, int folder, const char *path, bool look_inside) {
  *file = (cli_www_file_t){.fd = -1};
  file->status = open_path(file, folder, path, look_inside);
  if (file->status == 200)
    return;
  int status = file->status;
  cli_www_close(file);
  file->status = status;
}

void cli_www_close(cli_www_file_t *file) {
  if (file->fd >= 0)
    (void)close(file->fd);
  cli_www_list_free(file->list);
  *file = (cli_www_file_t){.fd = -1};
}
