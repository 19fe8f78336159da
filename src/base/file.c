#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/secret.h"

void sp__file_release(char *bytes) { sp__secret_free(bytes); }

static int grow(char **bytes, size_t n, size_t *room) {
  size_t larger = *room * 2;
  char *copy = sp__secret_alloc(larger);
  if (!copy)
    return -ENOMEM;
  memcpy(copy, *bytes, n);
  sp__file_release(*bytes);
  *bytes = copy;
  *room = larger;
  return 0;
}

static int read_all(int fd, char **bytes, size_t *n, size_t limit) {
  size_t room = 8192;
  *n = 0;
  if (!(*bytes = sp__secret_alloc(room)))
    return -ENOMEM;
  for (;;) {
    if (*n + 1 == room && grow(bytes, *n, &room) < 0)
      return -ENOMEM;
    ssize_t got = read(fd, *bytes + *n, room - *n - 1);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return -errno;
    if (!got)
      break;
    *n += (size_t)got;
    if (*n > limit)
      return -EFBIG;
  }
  (*bytes)[*n] = '\0';
  return 0;
}

int sp__file_read(char **bytes, size_t *n, const char *path, size_t limit, sp_error_t *why) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return sp__fail_system(why, errno, "cannot open %s", path);
  int status = read_all(fd, bytes, n, limit);
  close(fd);
  if (!status)
    return 0;
  sp__file_release(*bytes);
  *bytes = NULL;
  if (status == -EFBIG)
    return sp__fail(why, status, SP_US, "%s is larger than %zu bytes: is it the right file?", path,
                    limit);
  return sp__fail_system(why, status, "cannot read %s", path);
}
