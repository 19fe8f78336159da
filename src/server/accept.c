/* Taking connections: so many a turn, and never more than there is room for. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "pair/pair.h"
#include "server/server.h"
#include "stream/count.h"

#define PAUSE 100 /* milliseconds until accept is tried again that failed for lack of something */

/* -- what a stream asks of its server ---------------------------------------------------------- */

static void on_gone(sp_stream_t *stream) {
  sp_server_t *server = stream->server;
  sp__list_remove(&stream->sibling);
  server->connections--;
  sp__count(&server->maker.counts.connections, -1);
  sp__server_finish(server);
}

static unsigned hello_budget(const sp_stream_t *stream) {
  return stream->server->handshakes_per_turn;
}

void sp__server_set_maker(sp__maker_t *maker) {
  maker->gone = on_gone;
  maker->hello_budget = hello_budget;
}

static sp_context_t *find_context(void *owner, const char *name) {
  const sp_stream_t *stream = owner;
  return sp__names_find(&stream->server->names, name);
}

/* -- a new client ------------------------------------------------------------------------------ */

static void free_io(uv_handle_t *io) { sp__free(io); }

static uint64_t *drop_counter(sp_server_counters_t *counts, int status) {
  switch (status) {
  case UV_ECONNREFUSED:
    return &counts->dropped_limit;
  case UV_EMFILE:
  case UV_ENFILE:
  case UV_ENOBUFS:
  case UV_ENOMEM:
    return &counts->dropped_resources;
  default:
    return &counts->dropped_other;
  }
}

static void drop(sp_server_t *server, int status) {
  sp__count(drop_counter(&server->maker.counts, status), 1);
  if (server->on_drop)
    server->on_drop(server, status);
}

static uv_stream_t *io_new(sp_server_t *server) {
  bool is_pipe = server->listener->is_pipe;
  uv_stream_t *io = sp__alloc(is_pipe ? sizeof(uv_pipe_t) : sizeof(uv_tcp_t));
  if (!io)
    return NULL;
  if (is_pipe)
    (void)uv_pipe_init(server->loop->uv, (uv_pipe_t *)io, 0);
  else
    (void)uv_tcp_init(server->loop->uv, (uv_tcp_t *)io);
  return io;
}

static int open_io(uv_stream_t *io, int fd) {
  return io->type == UV_NAMED_PIPE ? uv_pipe_open((uv_pipe_t *)io, fd)
                                   : uv_tcp_open((uv_tcp_t *)io, fd);
}

static int make_pair(sp_pair_t **pair, sp_server_t *server) {
  int status =
      sp_pair_new(pair, sp__source_context(&server->context), SP_SERVER, NULL, false, NULL);
  if (status < 0 || !sp__hooks_any(&server->hooks))
    return status;
  status = sp_pair_set_hooks(*pair, &server->hooks, server->hooks_data);
  if (status < 0)
    sp_pair_release(*pair);
  return status;
}

static void count_new(sp_server_counters_t *counts) {
  sp__count(&counts->accepted, 1);
  sp__count(&counts->connections, 1);
  sp__count(&counts->handshaking, 1);
}

static int greet(sp_server_t *server, uv_stream_t *io) {
  sp_pair_t *pair;
  int status = make_pair(&pair, server);
  if (status < 0)
    return status;
  sp_stream_t *stream = sp__stream_new(server->loop, server->on_secure, &server->settings);
  if (!stream) {
    sp_pair_release(pair);
    return UV_ENOMEM;
  }
  stream->server = server;
  stream->maker = &server->maker;
  if (server->names.count)
    pair->lookup = find_context;
  pair->strict_sni = server->strict_sni;
  sp__list_append(&server->streams, &stream->sibling);
  server->connections++;
  count_new(&server->maker.counts);
  sp__stream_bind(stream, io, true, pair, &server->settings);
  return 0;
}

/* 0: the client is the server's; 1: the program took it; below 0: it is not wanted. */
static int admit(sp_server_t *server, int fd) {
  if (server->max_connections && server->connections >= server->max_connections)
    return UV_ECONNREFUSED;
  int status = server->on_accept ? server->on_accept(server, fd) : 0;
  return status == 0 && server->closing ? UV_ECANCELED : status;
}

/* Takes the client over, or closes it. */
static int take(sp_server_t *server, int fd) {
  int admitted = admit(server, fd);
  if (admitted < 0)
    (void)close(fd);
  if (admitted != 0)
    return admitted;
  uv_stream_t *io = io_new(server);
  int status = io ? open_io(io, fd) : UV_ENOMEM;
  if (status < 0)
    (void)close(fd);
  else
    status = greet(server, io);
  if (status < 0 && io)
    uv_close((uv_handle_t *)io, free_io);
  return status;
}

/* -- the listener ------------------------------------------------------------------------------ */

/* What accept(2) says of one client, not of the listener. */
static bool is_clients_fault(int number) {
  static const int numbers[] = {EINTR,       ECONNABORTED, EPROTO,       ENETDOWN,
                                ENOPROTOOPT, EHOSTDOWN,    ENONET,       EHOSTUNREACH,
                                EOPNOTSUPP,  ENETUNREACH,  ECONNREFUSED, ETIMEDOUT};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    if (number == numbers[i])
      return true;
  return false;
}

static void on_pause_over(uv_timer_t *timer) {
  sp__listener_t *listener = SP__OF(timer, sp__listener_t, pause);
  (void)uv_poll_start(&listener->poll, UV_READABLE, sp__server_on_readable);
}

/* Out of descriptors or memory: the clients stay where they are, and the loop does not spin. */
static void pause_accepting(sp__listener_t *listener) {
  (void)uv_poll_stop(&listener->poll);
  (void)uv_timer_start(&listener->pause, on_pause_over, PAUSE, 0);
}

/* Whether to go on. */
static bool accept_one(sp_server_t *server) {
  int fd = accept4(server->listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) {
    int status = take(server, fd);
    if (status < 0)
      drop(server, status);
    else
      sp__count(&server->maker.counts.handed_over, status == 1);
    return true;
  }
  if (errno == EAGAIN || is_clients_fault(errno))
    return errno != EAGAIN;
  int status = -errno;
  pause_accepting(server->listener);
  drop(server, status);
  return false;
}

/* So many a turn; who is left makes the listener readable in the next one. */
void sp__server_on_readable(uv_poll_t *poll, int status, int events) {
  sp_server_t *server = SP__OF(poll, sp__listener_t, poll)->server;
  sp__loop_t *loop = server->loop;
  (void)events;
  sp__loop_enter(loop);
  if (status < 0) /* libuv stopped to watch; what it is about is accept's to tell */
    pause_accepting(server->listener);
  for (unsigned i = 0; i < server->accepts_per_turn && server->listener; i++)
    if (!accept_one(server))
      break;
  sp__loop_leave(loop);
}
