/* Preloaded to the servers of the benchmarks: their sockets use cubic, as the load maker's do. Node
 * has no call for it, and a machine that paces by default (bbr) paces even the loopback. */
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static void use_cubic(int fd) { (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5); }

int listen(int fd, int backlog) {
  int (*next)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "listen");
  use_cubic(fd); /* inherited by what is accepted */
  return next(fd, backlog);
}

/* A proxy's, to what stands behind it. */
int connect(int fd, const struct sockaddr *address, socklen_t size) {
  int (*next)(int, const struct sockaddr *, socklen_t) =
      (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect");
  use_cubic(fd);
  return next(fd, address, size);
}
