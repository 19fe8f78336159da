/* Where a server listens. */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "server/server.h"
#include "stream/address.h"

static int check_fresh(const sp_server_t *server, sp_error_t *why) {
  if (server->listener || server->closing)
    return sp__fail(why, SP_EOPTION, SP_US, "the server %s",
                    server->closing ? "was closed" : "listens already");
  return 0;
}

static void on_closed(uv_handle_t *handle) {
  sp__listener_t *listener = handle->data;
  sp_server_t *server = listener->server;
  sp__loop_t *loop = server->loop;
  if (--listener->closing)
    return;
  sp__free(listener->path);
  sp__free(listener);
  server->listener_closed = true;
  sp__loop_enter(loop);
  sp__server_finish(server);
  sp__loop_leave(loop);
}

/* From here on nobody can connect; the memory goes when libuv is done with it. */
void sp__listener_close(sp__listener_t *listener) {
  listener->closing = 2;
  uv_close((uv_handle_t *)&listener->poll, on_closed);
  uv_close((uv_handle_t *)&listener->pause, on_closed);
  if (listener->path)
    (void)unlink(listener->path);
  (void)close(listener->fd); /* not before libuv let go of it: another thread may get its number */
}

/* Linux gives what is accepted the listener's TCP_NODELAY: a system call less for each. */
static bool passes_no_delay_on(int fd) {
#ifdef __linux__
  int on = 0;
  socklen_t size = sizeof on;
  return getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &size) == 0 && on;
#else
  (void)fd;
  return false;
#endif
}

static int watch(sp_server_t *server, sp__listener_t *listener) {
  int status = uv_poll_init(server->loop->uv, &listener->poll, listener->fd);
  if (status < 0)
    return status;
  (void)uv_timer_init(server->loop->uv, &listener->pause);
  listener->poll.data = listener->pause.data = listener;
  (void)uv_poll_start(&listener->poll, UV_READABLE, sp__server_on_readable);
  return 0;
}

/* Listens on a bound socket, which on an error stays the caller's. `path` is copied. */
static int start(sp_server_t *server, int fd, const char *path, bool is_pipe) {
  sp__listener_t *listener = sp__zalloc(sizeof *listener);
  int status = UV_ENOMEM;
  if (!listener)
    return status;
  listener->server = server;
  listener->fd = fd;
  listener->is_pipe = is_pipe;
  if (!path || (listener->path = sp__copy_text(path)))
    status = listen(fd, server->backlog) < 0 ? -errno : watch(server, listener);
  if (status < 0) {
    sp__free(listener->path);
    sp__free(listener);
    return status;
  }
  server->listener = listener;
  if (passes_no_delay_on(fd))
    server->settings.no_delay = false; /* to be set anew */
  return 0;
}

static int socket_new(int *fd, int family) {
  *fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return *fd < 0 ? -errno : 0;
}

/* -- TCP --------------------------------------------------------------------------------------- */

static int resolve(struct sockaddr_storage *address, const char *host, int port, uv_loop_t *uv) {
  if (!host)
    return uv_ip4_addr("0.0.0.0", port, (struct sockaddr_in *)(void *)address);
  if (uv_ip4_addr(host, port, (struct sockaddr_in *)(void *)address) == 0 ||
      uv_ip6_addr(host, port, (struct sockaddr_in6 *)(void *)address) == 0)
    return 0;
  uv_getaddrinfo_t request;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
  int status = uv_getaddrinfo(uv, &request, NULL, host, NULL, &hints);
  if (status < 0)
    return sp__address_of_localhost(host, AF_INET, port, address) ? 0 : status;
  memcpy(address, request.addrinfo->ai_addr, request.addrinfo->ai_addrlen);
  if (address->ss_family == AF_INET6)
    ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons((uint16_t)port);
  else
    ((struct sockaddr_in *)(void *)address)->sin_port = htons((uint16_t)port);
  uv_freeaddrinfo(request.addrinfo);
  return 0;
}

static int set(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) < 0 ? -errno : 0;
}

static int set_up(const sp_server_t *server, int fd, int family) {
  int status = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (status == 0 && server->reuse_port)
    status = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (status == 0 && family == AF_INET6)
    status = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, server->ipv6_only);
  if (status == 0 && server->settings.no_delay)
    status = set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  return status;
}

static int listen_tcp(sp_server_t *server, const struct sockaddr *address) {
  socklen_t size =
      address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  int fd, status = socket_new(&fd, address->sa_family);
  if (status < 0)
    return status;
  status = set_up(server, fd, address->sa_family);
  if (status == 0 && bind(fd, address, size) < 0)
    status = -errno;
  if (status == 0)
    status = start(server, fd, NULL, false);
  if (status < 0)
    (void)close(fd);
  return status;
}

int sp_server_listen(sp_server_t *server, const char *host, int port, sp_error_t *why) {
  struct sockaddr_storage address;
  int status = check_fresh(server, why);
  if (status < 0)
    return status;
  if (port < 0 || port > 65535)
    return sp__fail(why, SP_EOPTION, SP_US, "port is %d, not a number from 0 to 65535", port);
  status = resolve(&address, host, port, server->loop->uv);
  if (status == 0)
    status = listen_tcp(server, (struct sockaddr *)&address);
  if (status < 0)
    return sp__fail(why, status, SP_US, "cannot listen on %s port %d: %s", host ? host : "0.0.0.0",
                    port, uv_strerror(status));
  return 0;
}

/* -- Unix sockets ------------------------------------------------------------------------------ */

static int listen_path(sp_server_t *server, const struct sockaddr_un *address) {
  int fd, status = socket_new(&fd, AF_UNIX);
  if (status < 0)
    return status;
  bool is_bound = bind(fd, (const struct sockaddr *)address, sizeof *address) == 0;
  status = is_bound ? start(server, fd, address->sun_path, true) : -errno;
  if (status < 0 && is_bound)
    (void)unlink(address->sun_path);
  if (status < 0)
    (void)close(fd);
  return status;
}

int sp_server_listen_path(sp_server_t *server, const char *path, sp_error_t *why) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int status = check_fresh(server, why);
  if (status < 0)
    return status;
  if (!*path || strlen(path) >= sizeof address.sun_path)
    return sp__fail(why, UV_ENAMETOOLONG, SP_US,
                    "path has %zu characters; a socket's name has 1 to %zu", strlen(path),
                    sizeof address.sun_path - 1);
  memcpy(address.sun_path, path, strlen(path) + 1);
  status = listen_path(server, &address);
  if (status < 0)
    return sp__fail(why, status, SP_US, "cannot listen on %s: %s", path, uv_strerror(status));
  return 0;
}

/* -- descriptors ------------------------------------------------------------------------------- */

static int listen_fd(sp_server_t *server, int fd) {
  struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
  socklen_t size = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
    return -errno;
  bool is_pipe = address.ss_family == AF_UNIX;
  if (!is_pipe && address.ss_family != AF_INET && address.ss_family != AF_INET6)
    return UV_EAFNOSUPPORT;
  return start(server, fd, NULL, is_pipe);
}

int sp_server_listen_fd(sp_server_t *server, int fd, sp_error_t *why) {
  int status = check_fresh(server, why);
  if (status == 0 && (status = listen_fd(server, fd)) < 0)
    status =
        sp__fail(why, status, SP_US, "cannot listen on descriptor %d: %s", fd, uv_strerror(status));
  return status;
}
