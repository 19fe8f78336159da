#include "notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int cli_notify_open(void) {
  const char *path = getenv("NOTIFY_SOCKET");
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t n = path ? strlen(path) : 0;
  if (!n || n >= sizeof address.sun_path || !strchr("/@", *path))
    return -1;
  memcpy(address.sun_path, path, n);
  if (*path == '@') /* the abstract name space */
    *address.sun_path = '\0';
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
  if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, size) < 0) {
    close(fd);
    fd = -1;
  }
  (void)unsetenv("NOTIFY_SOCKET"); /* not for --exec's commands */
  return fd;
}

void cli_notify(int fd, const char *state) {
  if (fd >= 0)
    (void)send(fd, state, strlen(state), MSG_NOSIGNAL);
}
