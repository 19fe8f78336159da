/* Addresses of either end as text, and that of this machine. */
#include "stream/address.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "stream/stream.h"

static int write_ip(const struct sockaddr *address, char *room, size_t size, int *port) {
  if (address->sa_family == AF_INET6) {
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)address;
    *port = ntohs(six->sin6_port);
    return uv_ip6_name(six, room, size);
  }
  if (address->sa_family != AF_INET)
    return UV_EAFNOSUPPORT;
  const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)address;
  *port = ntohs(four->sin_port);
  return uv_ip4_name(four, room, size);
}

int sp__address_text(const struct sockaddr *address, char *room, size_t size, int *port) {
  int unused;
  return write_ip(address, room, size, port ? port : &unused);
}

static int pipe_name(const uv_pipe_t *pipe, char *room, size_t size, bool remote) {
  size_t n = size - 1;
  int status = remote ? uv_pipe_getpeername(pipe, room, &n) : uv_pipe_getsockname(pipe, room, &n);
  if (status < 0)
    return status;
  room[n < size ? n : size - 1] = '\0';
  return 0;
}

int sp__address_of(const uv_stream_t *io, bool remote, char *room, size_t size, int *port) {
  struct sockaddr_storage address;
  int length = sizeof address, unused, status;
  if (!port)
    port = &unused;
  *port = 0;
  if (!io || !size)
    return UV_EINVAL;
  if (io->type == UV_NAMED_PIPE)
    return pipe_name((const uv_pipe_t *)io, room, size, remote);
  if (io->type != UV_TCP)
    return UV_ENOTSUP;
  const uv_tcp_t *tcp = (const uv_tcp_t *)io;
  struct sockaddr *name = (struct sockaddr *)&address;
  status = remote ? uv_tcp_getpeername(tcp, name, &length) : uv_tcp_getsockname(tcp, name, &length);
  return status < 0 ? status : sp__address_text(name, room, size, port);
}

int sp__address_of_fd(int fd, char *room, size_t size, int *port) {
  struct sockaddr_storage address = {0};
  socklen_t length = sizeof address;
  int unused;
  if (!port)
    port = &unused;
  *port = 0;
  if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
    return -errno;
  if (address.ss_family != AF_UNIX)
    return sp__address_text((struct sockaddr *)&address, room, size, port);
  const char *path = ((const struct sockaddr_un *)(const void *)&address)->sun_path;
  size_t n = strlen(path);
  if (n >= size)
    return UV_ENOBUFS;
  memcpy(room, path, n + 1);
  return 0;
}

bool sp__address_of_localhost(const char *host, int family, int port,
                              struct sockaddr_storage *address) {
  if (strcasecmp(host, "localhost") != 0)
    return false;
  if (family == AF_INET6)
    return uv_ip6_addr("::1", port, (struct sockaddr_in6 *)(void *)address) == 0;
  return uv_ip4_addr("127.0.0.1", port, (struct sockaddr_in *)(void *)address) == 0;
}

int sp_stream_local(const sp_stream_t *stream, char *room, size_t size, int *port) {
  return sp__address_of(stream->io, false, room, size, port);
}

int sp_stream_remote(const sp_stream_t *stream, char *room, size_t size, int *port) {
  return sp__address_of(stream->io, true, room, size, port);
}
