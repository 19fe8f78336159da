#include "stream/flight.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/process.h"

/*
 * Two ways: a socket is watched for room by a descriptor of the flight's own (libuv allows only one
 * watcher for each), anything else is written to by libuv.
 */
struct sp__flight {
  uv_poll_t poll;
  uv_write_t write;
  uv_stream_t *io;
  const char *bytes;
  size_t left;
  sp__landed_cb landed; /* NULL once it landed or was cancelled */
  void *owner;
  int fd; /* -1: libuv writes */
  char copy[];
};

static bool is_socket(const uv_stream_t *io) {
  return io->type == UV_TCP || io->type == UV_NAMED_PIPE;
}

static ssize_t send_quietly(int fd, const void *bytes, size_t n, int flags) {
  ssize_t sent;
  do
    sent = send(fd, bytes, n, MSG_NOSIGNAL | flags);
  while (sent < 0 && errno == EINTR);
  return sent;
}

static int try_libuv(uv_stream_t *io, const void *bytes, size_t n) {
  uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)n);
  return uv_try_write(io, &buffer, 1);
}

int sp__transport_send(uv_stream_t *io, const void *bytes, size_t n, bool more) {
  uv_os_fd_t fd;
  if (!is_socket(io) || uv_fileno((uv_handle_t *)io, &fd) < 0)
    return try_libuv(io, bytes, n);
  if (uv_stream_get_write_queue_size(io)) /* what the program wrote before it was adopted */
    return UV_EAGAIN;
  ssize_t sent = send_quietly(fd, bytes, n, more ? MSG_MORE : 0);
  if (sent >= 0)
    return (int)sent;
  if (errno == ENOTSOCK) /* a named pipe that is a real one */
    return try_libuv(io, bytes, n);
  return errno == EWOULDBLOCK || errno == ENOBUFS ? UV_EAGAIN : -errno;
}

int sp__transport_receive(uv_stream_t *io, void *room, size_t n) {
  uv_os_fd_t fd;
  ssize_t got;
  if (!is_socket(io) || uv_fileno((uv_handle_t *)io, &fd) < 0)
    return UV_EAGAIN;
  do
    got = recv(fd, room, n, MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  return got < 0 ? -errno : (int)got;
}

bool sp__transport_shut(uv_stream_t *io) {
  uv_os_fd_t fd;
  return is_socket(io) && uv_fileno((uv_handle_t *)io, &fd) == 0 &&
         !uv_stream_get_write_queue_size(io) &&
         (shutdown(fd, SHUT_WR) == 0 || errno != ENOTSOCK); /* gone already: shut down enough */
}

void sp__transport_part(const uv_stream_t *io) {
  uv_os_fd_t fd;
  if (sp__process_has_children && is_socket(io) && uv_fileno((const uv_handle_t *)io, &fd) == 0)
    (void)shutdown(fd, SHUT_RDWR); /* fails on what is none, or gone already: closing is enough */
}

static void land(sp__flight_t *flight, int status) {
  sp__landed_cb landed = flight->landed;
  flight->landed = NULL;
  if (landed)
    landed(flight->owner, status);
}

/* -- by libuv ---------------------------------------------------------------------------------- */

static void on_written(uv_write_t *request, int status) {
  sp__flight_t *flight = request->data;
  land(flight, status);
  sp__free(flight);
}

static int start_write(sp__flight_t *flight) {
  uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)flight->bytes, (unsigned)flight->left);
  flight->write.data = flight;
  return uv_write(&flight->write, flight->io, &buffer, 1, on_written);
}

/* -- by a watcher ------------------------------------------------------------------------------ */

static void on_poll_closed(uv_handle_t *handle) {
  sp__flight_t *flight = handle->data;
  (void)close(flight->fd);
  sp__free(flight);
}

static void on_room(uv_poll_t *poll, int status, int events) {
  sp__flight_t *flight = poll->data;
  (void)events, (void)status; /* an error shows, with its number, when sending */
  int sent = sp__transport_send(flight->io, flight->bytes, flight->left, false);
  if (sent == UV_EAGAIN)
    return;
  if (sent >= 0) {
    flight->bytes += sent;
    flight->left -= (size_t)sent;
    if (flight->left)
      return;
  }
  uv_close((uv_handle_t *)poll, on_poll_closed);
  land(flight, sent < 0 ? sent : 0);
}

static int start_poll(sp__flight_t *flight, uv_os_fd_t fd) {
  flight->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (flight->fd < 0)
    return -errno;
  int status = uv_poll_init(flight->io->loop, &flight->poll, flight->fd);
  if (status < 0) {
    (void)close(flight->fd);
    flight->fd = -1;
    return status;
  }
  flight->poll.data = flight;
  (void)uv_poll_start(&flight->poll, UV_WRITABLE, on_room);
  return 0;
}

/* Without a descriptor to spare libuv writes, as it does for what is no socket. */
static int start(sp__flight_t *flight) {
  uv_os_fd_t fd;
  flight->fd = -1;
  if (is_socket(flight->io) && uv_fileno((uv_handle_t *)flight->io, &fd) == 0 &&
      start_poll(flight, fd) == 0)
    return 0;
  return start_write(flight);
}

int sp__flight_start(sp__flight_t **made, uv_stream_t *io, const void *bytes, size_t n, bool copy,
                     sp__landed_cb landed, void *owner) {
  sp__flight_t *flight = sp__alloc(sizeof *flight + (copy ? n : 0));
  if (!flight)
    return UV_ENOMEM;
  flight->io = io;
  flight->bytes = copy ? memcpy(flight->copy, bytes, n) : bytes;
  flight->left = n;
  flight->landed = landed;
  flight->owner = owner;
  int status = start(flight);
  if (status < 0)
    sp__free(flight);
  else
    *made = flight;
  return status;
}

void sp__flight_cancel(sp__flight_t *flight) {
  if (!flight)
    return;
  flight->landed = NULL;
  if (flight->fd >= 0 && !uv_is_closing((uv_handle_t *)&flight->poll))
    uv_close((uv_handle_t *)&flight->poll, on_poll_closed);
}
