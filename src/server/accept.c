/* Taking connections: so many a turn, and never more than there is room for. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/memory.h"
#include "pair/pair.h"
#include "server/server.h"

/* -- what a stream asks of its server ---------------------------------------------------------- */

static void on_gone(sp_stream_t *stream) {
  sp_server_t *server = stream->server;
  sp__list_remove(&stream->sibling);
  server->connections--;
  sp__server_finish(server);
}

static unsigned hello_budget(const sp_stream_t *stream) {
  return stream->server->handshakes_per_turn;
}

static const sp__maker_t maker = {on_gone, hello_budget};

static sp_context_t *find_context(void *owner, const char *name) {
  const sp_stream_t *stream = owner;
  return sp__names_find(&stream->server->names, name);
}

/* -- a new client ------------------------------------------------------------------------------ */

static void free_io(uv_handle_t *io) { sp__free(io); }

static void drop(sp_server_t *server, int status) {
  if (server->on_drop)
    server->on_drop(server, status);
}

static uv_stream_t *io_new(sp_server_t *server) {
  bool is_pipe = server->listener->handle.type == UV_NAMED_PIPE;
  uv_stream_t *io = sp__alloc(is_pipe ? sizeof(uv_pipe_t) : sizeof(uv_tcp_t));
  if (!io)
    return NULL;
  if (is_pipe)
    (void)uv_pipe_init(server->loop->uv, (uv_pipe_t *)io, 0);
  else
    (void)uv_tcp_init(server->loop->uv, (uv_tcp_t *)io);
  return io;
}

static int greet(sp_server_t *server, uv_stream_t *io) {
  sp_pair_t *pair;
  int status = sp_pair_new(&pair, server->context, SP_SERVER, NULL, false, NULL);
  if (status < 0)
    return status;
  sp_stream_t *stream = sp__stream_new(server->loop, server->on_secure, &server->settings);
  if (!stream) {
    sp_pair_release(pair);
    return UV_ENOMEM;
  }
  stream->server = server;
  stream->maker = &maker;
  if (server->names.count)
    pair->lookup = find_context;
  sp__list_append(&server->streams, &stream->sibling);
  server->connections++;
  sp__stream_bind(stream, io, true, pair, &server->settings);
  return 0;
}

static void take(sp_server_t *server) {
  uv_stream_t *io = io_new(server);
  if (!io) {
    server->accept_waiting = true; /* the client stays where it is until there is memory */
    sp__loop_at_turn_end(server->loop, &server->work, true);
    drop(server, UV_ENOMEM);
    return;
  }
  int status = uv_accept(&server->listener->stream, io);
  if (status == 0 && server->max_connections && server->connections >= server->max_connections)
    status = UV_ECONNREFUSED;
  if (status == 0)
    status = greet(server, io);
  if (status == 0)
    return;
  uv_close((uv_handle_t *)io, free_io);
  drop(server, status);
}

/* -- no more descriptors ----------------------------------------------------------------------- */

/*
 * libuv keeps a spare descriptor to take a client just to close it, so that a listener that is
 * always readable does not spin; once that trick has failed, it spins inside libuv for as long as
 * accept fails. Our own spare one, given up, lets the next accept succeed.
 */
static void give_up_spare(sp_server_t *server) {
  if (server->spare_fd < 0)
    return;
  (void)close(server->spare_fd);
  server->spare_fd = -1;
  server->accepted = server->accepts_per_turn; /* the next client waits in the listener */
  sp__loop_at_turn_end(server->loop, &server->work, true);
}

static void take_spare(sp_server_t *server) {
  if (server->listener && server->spare_fd < 0)
    server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_failed_accept(sp_server_t *server, int status) {
  if (status == UV_EMFILE || status == UV_ENFILE)
    give_up_spare(server);
  drop(server, status);
}

/* -- the listener ------------------------------------------------------------------------------ */

void sp__server_on_work(sp__work_t *work) {
  sp_server_t *server = SP__OF(work, sp_server_t, work);
  server->accepted = 0;
  take_spare(server);
  if (server->accept_waiting && server->listener) {
    server->accept_waiting = false;
    server->accepted = 1;
    sp__loop_at_turn_end(server->loop, &server->work, false);
    take(server);
  }
  sp__server_finish(server);
}

/* A client that is not taken here stays in the listener, and libuv stops polling until it is. */
void sp__server_on_connection(uv_stream_t *listener, int status) {
  sp_server_t *server = listener->data;
  sp__loop_t *loop = server->loop;
  sp__loop_retain(loop);
  sp__loop_enter(loop);
  if (status < 0) {
    on_failed_accept(server, status);
  } else if (server->accepted >= server->accepts_per_turn) {
    server->accept_waiting = true;
    sp__loop_at_turn_end(loop, &server->work, true);
  } else {
    server->accepted++;
    sp__loop_at_turn_end(loop, &server->work, false);
    take(server);
  }
  sp__loop_leave(loop);
  sp__loop_release(loop);
}
