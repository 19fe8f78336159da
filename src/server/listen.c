/* Where a server listens. */
#include <errno.h>
#include <fcntl.h>
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

static void free_listener(uv_handle_t *handle) { sp__free(handle); }

/* Each try has a listener of its own, so that a server may try another port. */
static sp__listener_t *listener_new(sp_server_t *server) {
  sp__listener_t *listener = sp__zalloc(sizeof *listener);
  if (listener)
    listener->handle.data = server;
  return listener;
}

/* Takes the listener over, or closes it. */
static int start(sp_server_t *server, sp__listener_t *listener, int status) {
  if (status == 0)
    status = uv_listen(&listener->stream, server->backlog, sp__server_on_connection);
  if (status < 0) {
    uv_close(&listener->handle, free_listener);
    return status;
  }
  server->listener = listener;
  server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC); /* -1 is fine: see accept.c */
  return 0;
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
    return status;
  memcpy(address, request.addrinfo->ai_addr, request.addrinfo->ai_addrlen);
  if (address->ss_family == AF_INET6)
    ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons((uint16_t)port);
  else
    ((struct sockaddr_in *)(void *)address)->sin_port = htons((uint16_t)port);
  uv_freeaddrinfo(request.addrinfo);
  return 0;
}

/* libuv of this age has no flag for it: the option is set on the socket before it is bound. */
static int set_reuse_port(uv_tcp_t *tcp) {
  uv_os_fd_t fd;
  int on = 1, status = uv_fileno((uv_handle_t *)tcp, &fd);
  if (status == 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0)
    status = -errno;
  return status;
}

static int bind_tcp(sp_server_t *server, uv_tcp_t *tcp, const struct sockaddr *address) {
  unsigned flags = server->ipv6_only && address->sa_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0;
  int status = server->reuse_port ? set_reuse_port(tcp) : 0;
  return status < 0 ? status : uv_tcp_bind(tcp, address, flags);
}

static int listen_tcp(sp_server_t *server, const struct sockaddr *address) {
  sp__listener_t *listener = listener_new(server);
  if (!listener)
    return UV_ENOMEM;
  int status = uv_tcp_init_ex(server->loop->uv, &listener->tcp, address->sa_family);
  if (status < 0) {
    sp__free(listener); /* libuv undid what it did */
    return status;
  }
  return start(server, listener, bind_tcp(server, &listener->tcp, address));
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
    return sp__fail(why, status, SP_TRANSPORT, "cannot listen on %s port %d: %s",
                    host ? host : "0.0.0.0", port, uv_strerror(status));
  return 0;
}

/* -- Unix sockets ------------------------------------------------------------------------------ */

int sp_server_listen_path(sp_server_t *server, const char *path, sp_error_t *why) {
  int status = check_fresh(server, why);
  if (status < 0)
    return status;
  if (!*path || strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
    return sp__fail(why, UV_ENAMETOOLONG, SP_US,
                    "path has %zu characters; a socket's name has 1 to %zu", strlen(path),
                    sizeof((struct sockaddr_un *)0)->sun_path - 1);
  sp__listener_t *listener = listener_new(server);
  if (!listener)
    return sp__fail_memory(why);
  (void)uv_pipe_init(server->loop->uv, &listener->pipe, 0);
  status = start(server, listener, uv_pipe_bind(&listener->pipe, path));
  if (status < 0)
    return sp__fail(why, status, SP_TRANSPORT, "cannot listen on %s: %s", path,
                    uv_strerror(status));
  return 0;
}

/* -- descriptors ------------------------------------------------------------------------------- */

static int open_fd(sp_server_t *server, int fd) {
  uv_handle_type type = uv_guess_handle(fd);
  if (type != UV_TCP && type != UV_NAMED_PIPE)
    return UV_ENOTSOCK;
  sp__listener_t *listener = listener_new(server);
  if (!listener)
    return UV_ENOMEM;
  int status;
  if (type == UV_TCP) {
    (void)uv_tcp_init(server->loop->uv, &listener->tcp);
    status = uv_tcp_open(&listener->tcp, fd);
  } else {
    (void)uv_pipe_init(server->loop->uv, &listener->pipe, 0);
    status = uv_pipe_open(&listener->pipe, fd);
  }
  return start(server, listener, status);
}

int sp_server_listen_fd(sp_server_t *server, int fd, sp_error_t *why) {
  int status = check_fresh(server, why);
  if (status == 0 && (status = open_fd(server, fd)) < 0)
    status = sp__fail(why, status, SP_TRANSPORT, "cannot listen on descriptor %d: %s", fd,
                      uv_strerror(status));
  return status;
}
