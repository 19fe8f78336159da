#include "support/hole.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <sys/socket.h>

#include <uv.h>

#include <cmocka.h>

#define WAITING 8 /* more than a queue of none has */

int hole_bind(const char *host, int port, struct sockaddr_in *at) {
  socklen_t size = sizeof *at;
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(uv_ip4_addr(host, port, at), 0);
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
  assert_int_equal(bind(fd, (struct sockaddr *)at, size), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)at, &size), 0);
  return fd;
}

void hole_dig(hole_t *hole, const char *host, int port) {
  struct sockaddr_in at;
  hole->fds[0] = hole_bind(host, port, &at);
  hole->port = ntohs(at.sin_port);
  assert_int_equal(listen(hole->fds[0], 0), 0);
  for (int i = 1; i <= WAITING; i++) {
    hole->fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)!connect(hole->fds[i], (struct sockaddr *)&at, sizeof at);
  }
}

void hole_fill(const hole_t *hole) {
  for (int i = 0; i <= WAITING; i++)
    close(hole->fds[i]);
}
