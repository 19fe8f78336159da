/* Preloaded to the servers of the benchmarks: their sockets use cubic, as the load maker's do. Node
 * has no call for it, and a machine that paces by default (bbr) paces even the loopback. */
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

int listen(int fd, int backlog) {
  int (*next)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "listen");
  (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5); /* inherited by what is accepted */
  return next(fd, backlog);
}
