#include "support/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "support/stage.h"

const char *const link_names[LINK_WAYS] = {"sockets", "direct", "wire", "narrow", "bytes"};

static const size_t capacities[LINK_WAYS] = {0, SIZE_MAX, 65536, 500, 500};

/* -- the transport ----------------------------------------------------------------------------- */

static int on_send(sp_stream_t *stream, const void *bytes, size_t n, void *data) {
  link_end_t *end = data;
  assert_false(end->asked_to_close || end->ended);
  assert_true(n > 0);
  end->sends++;
  if (end->in_send)
    end->in_send(end);
  if (end->link->way == LINK_DIRECT) {
    if (end->other->actor->stream && !end->other->closed)
      sp_transport_received(end->other->actor->stream, bytes, n);
    return (int)n;
  }
  size_t room = end->capacity - end->used;
  end->full = n > room;
  if (!room)
    return UV_EAGAIN;
  n = n < room ? n : room;
  memcpy(end->wire + end->used, bytes, n);
  end->used += n;
  end->most = end->used > end->most ? end->used : end->most;
  (void)stream;
  return (int)n;
}

static void on_read(sp_stream_t *stream, bool on, void *data) {
  link_end_t *end = data;
  (void)stream;
  assert_true(on != end->reads); /* only news is told */
  assert_false(end->asked_to_close);
  end->reads = on;
  *(on ? &end->reads_on : &end->reads_off) += 1;
}

static void on_end(sp_stream_t *stream, void *data) {
  link_end_t *end = data;
  (void)stream;
  assert_false(end->asked_to_close);
  end->ended = true;
  end->ends++;
}

static void on_close(sp_stream_t *stream, void *data) {
  link_end_t *end = data;
  end->asked_to_close = end->ended = true;
  end->closes++;
  if (end->slow)
    return;
  end->closed = true;
  sp_transport_closed(stream);
}

const sp_transport_t link_transport = {
    .send = on_send, .read = on_read, .end = on_end, .close = on_close};

/* -- the wire ---------------------------------------------------------------------------------- */

static void tell_room(link_end_t *end) {
  if (!end->full || !end->actor->stream)
    return;
  end->full = false;
  sp_transport_room(end->actor->stream);
}

/* A wire's bytes, in pieces, as long as they are wanted. */
static void move(link_end_t *from, size_t piece, unsigned times) {
  link_end_t *to = from->other;
  while (times-- && from->used && to->reads && to->actor->stream && !to->asked_to_close) {
    size_t n = piece < from->used ? piece : from->used;
    uint8_t *bytes = malloc(n); /* of exactly this size: a sanitizer watches it */
    memcpy(bytes, from->wire, n);
    from->used -= n;
    memmove(from->wire, from->wire + n, from->used);
    sp_transport_received(to->actor->stream, bytes, n);
    free(bytes);
    tell_room(from);
  }
  if (to->asked_to_close) {
    from->used = 0;
    tell_room(from);
  }
  if (from->ended && !from->used && !to->end_told && to->actor->stream && !to->asked_to_close) {
    to->end_told = true;
    sp_transport_ended(to->actor->stream);
  }
}

static void close_slowly(link_end_t *end) {
  if (!end->asked_to_close || end->closed || --end->slow)
    return;
  assert_non_null(end->actor->stream); /* it waits for this */
  end->closed = true;
  sp_transport_closed(end->actor->stream);
}

static void on_turn(uv_idle_t *mover) {
  link_t *link = mover->data;
  size_t piece = link->way == LINK_BYTES ? 1 : SIZE_MAX;
  unsigned times = link->way == LINK_BYTES ? 100 : 1;
  move(&link->client, piece, times);
  move(&link->server, piece, times);
  close_slowly(&link->client);
  close_slowly(&link->server);
}

/* -- opening ----------------------------------------------------------------------------------- */

static void make_end(link_end_t *end, const sp_options_t *given, sp_role_t role,
                     sp_protocol_t version) {
  link_t *link = end->link;
  fixture_t *f = link->f;
  sp_options_t options = given ? *given : *SP_OPTIONS(.port = 0);
  sp_stream_t *stream;
  sp_error_t why;
  int status;
  if (!options.context)
    options.context = stage_context(role, version);
  if (role == SP_CLIENT && !options.server_name)
    options.server_name = "localhost";
  if (link->way == LINK_SOCKETS)
    CALL(f, status = sp_stream_adopt(&stream, (uv_stream_t *)&link->pipes[role], role, NULL, 0,
                                     fixture_on_secure, &why, &options));
  else
    CALL(f, status = sp_stream_over(&stream, &f->loop, &link_transport, end, role, NULL, 0,
                                    fixture_on_secure, &why, &options));
  if (status < 0)
    fail_msg("%s", why.text);
  end->actor = fixture_adopt(f, stream, role == SP_CLIENT ? "client" : "server");
  end->actor->data = end;
}

static void open_sockets(link_t *link) {
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(uv_pipe_init(&link->f->loop, &link->pipes[i], 0), 0);
    assert_int_equal(uv_pipe_open(&link->pipes[i], fds[i]), 0);
  }
}

static void open_wire(link_end_t *end) {
  end->capacity = capacities[end->link->way];
  if (end->link->way != LINK_DIRECT)
    end->wire = malloc(end->capacity);
}

void link_open(link_t *link, fixture_t *f, link_way_t way, sp_protocol_t version,
               const sp_options_t *client, const sp_options_t *server) {
  *link = (link_t){.f = f, .way = way};
  link->client.link = link->server.link = link;
  link->client.other = &link->server;
  link->server.other = &link->client;
  if (way == LINK_SOCKETS) {
    open_sockets(link);
  } else {
    open_wire(&link->client);
    open_wire(&link->server);
    assert_int_equal(uv_idle_init(&f->loop, &link->mover), 0);
    link->mover.data = link;
    uv_idle_start(&link->mover, on_turn);
  }
  make_end(&link->client, client, SP_CLIENT, version);
  make_end(&link->server, server, SP_SERVER, version);
}

static bool is_over(fixture_t *f) {
  const link_t *link = f->data;
  return !link->client.actor->stream && !link->server.actor->stream;
}

void link_run(link_t *link) {
  link->f->data = link;
  fixture_run_until(link->f, is_over);
  if (link->way == LINK_SOCKETS)
    return;
  uv_close((uv_handle_t *)&link->mover, NULL);
  uv_run(&link->f->loop, UV_RUN_DEFAULT);
  assert_int_equal(link->client.closes, 1);
  assert_int_equal(link->server.closes, 1);
  free(link->client.wire);
  free(link->server.wire);
}
