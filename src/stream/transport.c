/* A libuv stream as the transport: sockets, and whatever else was adopted. */
#include "stream/transport.h"

#include <sys/socket.h>

#include "base/memory.h"
#include "base/process.h"
#include "pair/pair.h"
#include "stream/stream.h"

/* -- sending ----------------------------------------------------------------------------------- */

/* When the peer ended, our end and the FIN that follows at once are one packet. Not otherwise: with
 * bytes of the peer's unread a socket is reset, and what it held back is lost. */
static int do_send(sp_stream_t *stream, const void *bytes, size_t n) {
  bool is_last = stream->in_ended && stream->ending && stream->pair->ended;
  return sp__transport_send(stream->io, bytes, n, is_last);
}

static void on_landed(void *owner, int status) {
  sp_stream_t *stream = owner;
  stream->flight = NULL;
  sp__stream_has_room(stream, stream->flight_size, status);
}

static int await_room(sp_stream_t *stream, const void *bytes, size_t n) {
  stream->flight_size = n;
  return sp__flight_start(&stream->flight, stream->io, bytes, n, false, on_landed, stream);
}

/* -- reading ----------------------------------------------------------------------------------- */

/* A reset that comes together with bytes is reported as an end by libuv. One that answers what was
 * written since the peer's end (a session ticket, say) is no news to a reader: Linux calls it
 * EPIPE. */
static int how_it_ended(const uv_stream_t *io) {
  uv_os_fd_t fd;
  int number = 0;
  socklen_t size = sizeof number;
  if (uv_fileno((const uv_handle_t *)io, &fd) < 0 ||
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) < 0 || !number || number == EPIPE)
    return UV_EOF;
  return uv_translate_sys_error(number);
}

static void on_alloc(uv_handle_t *io, size_t suggested, uv_buf_t *buffer) {
  (void)suggested;
  sp_stream_t *stream = io->data;
  *buffer = uv_buf_init((char *)stream->loop->in, SP__SLAB);
}

static void on_read(uv_stream_t *io, ssize_t n, const uv_buf_t *buffer) {
  if (n)
    sp__stream_input(io->data, (const uint8_t *)buffer->base, n == UV_EOF ? how_it_ended(io) : n);
}

static int do_read(sp_stream_t *stream, bool on) {
  return on ? uv_read_start(stream->io, on_alloc, on_read) : uv_read_stop(stream->io);
}

/* -- ending ------------------------------------------------------------------------------------ */

static void on_shutdown(uv_shutdown_t *request, int status) {
  (void)status; /* a peer that is gone already is shut down enough */
  sp_stream_t *stream = request->data;
  sp__free(request);
  sp__stream_shut_down(stream);
}

/* What cannot be shut down is just closed. */
static bool shut_down(sp_stream_t *stream) {
  uv_shutdown_t *request = sp__transport_shut(stream->io) ? NULL : sp__alloc(sizeof *request);
  if (!request)
    return false;
  request->data = stream;
  if (uv_shutdown(request, stream->io, on_shutdown) == 0)
    return true;
  sp__free(request);
  return false;
}

static void on_closed(uv_handle_t *io) { sp__stream_closed(io->data); }

static void do_close(sp_stream_t *stream) {
  sp__flight_cancel(stream->flight);
  stream->flight = NULL;
  if (stream->pair->process == sp__process) /* else it is the parent's, which goes on */
    sp__transport_part(stream->io);
  uv_close((uv_handle_t *)stream->io, on_closed);
}

const sp__transport_t sp__transport_uv = {do_send, await_room, do_read, shut_down, do_close, true};
