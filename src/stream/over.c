/*
 * A transport of the program's own. What the program tells while the library is at work (its slabs
 * are in use, or an engine is) is held and done later; what the library has to tell, but for
 * `send`, waits likewise, so that nothing is called from within a call of the program's.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "pair/pair.h"
#include "stream/adopt.h"
#include "stream/stream.h"
#include "stream/transport.h"
#include "stream/worker.h"

typedef struct sp__carrier {
  uv_timer_t
      alive; /* first: it is stream->io. Never rings; keeps the loop alive as a socket does */
  sp_stream_t *stream;
  sp_transport_t calls;
  void *data;
  sp__work_t work;
  uint8_t *held; /* received bytes */
  size_t held_size, held_room;
  int failure;
  bool reads; /* what the program was told last */
  bool room, ended, end_told, asked_to_close, closed;
} sp__carrier_t;

static sp__carrier_t *carrier_of(const sp_stream_t *stream) {
  return (sp__carrier_t *)(void *)stream->io;
}

/* -- what the library wants -------------------------------------------------------------------- */

static int do_send(sp_stream_t *stream, const void *bytes, size_t n) {
  sp__carrier_t *carrier = carrier_of(stream);
  if (carrier->closed)
    return UV_ECONNRESET;
  int took = carrier->calls.send(stream, bytes, n, carrier->data);
  return took > 0 && (size_t)took > n ? UV_EINVAL : took;
}

static int await_room(sp_stream_t *stream, const void *bytes, size_t n) {
  (void)stream, (void)bytes, (void)n; /* they are offered again */
  return 0;
}

static void put_off(sp_stream_t *stream) {
  sp__loop_put_off(stream->loop, &carrier_of(stream)->work);
}

static int do_read(sp_stream_t *stream, bool on) {
  (void)on; /* what counts is what is wanted when the work is done */
  put_off(stream);
  return 0;
}

static bool shut_down(sp_stream_t *stream) {
  sp__carrier_t *carrier = carrier_of(stream);
  if (!carrier->closed)
    carrier->calls.end(stream, carrier->data);
  return false;
}

const sp__transport_t sp__transport_own = {do_send, await_room, do_read, shut_down, put_off, false};

/* -- what the program told --------------------------------------------------------------------- */

static void tell_held(sp__carrier_t *carrier) {
  uint8_t *held = carrier->held;
  size_t n = carrier->held_size;
  carrier->held = NULL;
  carrier->held_size = carrier->held_room = 0;
  if (n)
    sp__stream_input(carrier->stream, held, (ssize_t)n);
  sp__free(held);
}

static void tell_input(sp__carrier_t *carrier) {
  sp_stream_t *stream = carrier->stream;
  tell_held(carrier);
  if (carrier->ended && !carrier->end_told && !stream->closing) {
    carrier->end_told = true;
    sp__stream_input(stream, NULL, UV_EOF);
  }
  if (carrier->failure && !stream->closing) {
    int failure = carrier->failure;
    carrier->failure = 0;
    sp__stream_input(stream, NULL, failure);
  }
}

static void tell_room(sp__carrier_t *carrier) {
  bool room = carrier->room;
  carrier->room = false;
  if (room && carrier->stream->full)
    sp__stream_has_room(carrier->stream, 0, 0);
}

static void tell_reading(sp__carrier_t *carrier) {
  bool reads = carrier->stream->reading;
  if (carrier->closed || carrier->reads == reads)
    return;
  carrier->reads = reads;
  carrier->calls.read(carrier->stream, reads, carrier->data);
}

static void on_closed(uv_handle_t *alive) {
  sp_stream_t *stream = alive->data;
  sp__carrier_t *carrier = carrier_of(stream);
  sp__list_remove(&carrier->work.node);
  sp__free(carrier->held);
  sp__stream_closed(stream); /* and frees the carrier */
}

static void let_go(sp__carrier_t *carrier) {
  if (!carrier->asked_to_close && !carrier->closed) {
    carrier->asked_to_close = true;
    carrier->calls.close(carrier->stream, carrier->data);
  }
  if (carrier->closed && !uv_is_closing((uv_handle_t *)&carrier->alive))
    uv_close((uv_handle_t *)&carrier->alive, on_closed);
}

static void on_work(sp__work_t *work) {
  sp__carrier_t *carrier = SP__OF(work, sp__carrier_t, work);
  const sp_stream_t *stream = carrier->stream;
  if (!stream->closing)
    tell_input(carrier);
  if (!stream->closing)
    tell_room(carrier);
  if (!stream->closing)
    tell_reading(carrier);
  if (stream->closing)
    let_go(carrier);
}

/* -- the program's side ------------------------------------------------------------------------ */

static bool is_at_work(const sp_stream_t *stream) {
  bool busy = !sp__stream_is_away(stream) && stream->pair->busy;
  return stream->loop->depth || stream->loop->lent || busy;
}

/* NULL: nothing it says matters any more. */
static sp__carrier_t *listening(const sp_stream_t *stream) {
  sp__carrier_t *carrier = carrier_of(stream);
  return stream->transport != &sp__transport_own || carrier->closed ? NULL : carrier;
}

static void act(sp__carrier_t *carrier) {
  sp__loop_t *loop = carrier->stream->loop;
  if (is_at_work(carrier->stream)) {
    sp__loop_put_off(loop, &carrier->work);
    return;
  }
  sp__loop_enter(loop);
  on_work(&carrier->work);
  sp__loop_leave(loop);
}

static int hold(sp__carrier_t *carrier, const void *bytes, size_t n) {
  size_t needed = carrier->held_size + n;
  if (needed > carrier->held_room) {
    size_t room = needed > 2 * carrier->held_room ? needed : 2 * carrier->held_room;
    uint8_t *held = sp__realloc(carrier->held, room);
    if (!held)
      return UV_ENOMEM;
    carrier->held = held;
    carrier->held_room = room;
  }
  memcpy(carrier->held + carrier->held_size, bytes, n);
  carrier->held_size = needed;
  return 0;
}

void sp_transport_received(sp_stream_t *stream, const void *bytes, size_t n) {
  sp__carrier_t *carrier = listening(stream);
  if (!carrier || !n || carrier->ended || carrier->failure || stream->closing)
    return;
  if (!carrier->held_size && !is_at_work(stream)) {
    sp__stream_input(stream, bytes, (ssize_t)n);
    return;
  }
  if (hold(carrier, bytes, n) < 0)
    carrier->failure = UV_ENOMEM;
  act(carrier);
}

void sp_transport_ended(sp_stream_t *stream) {
  sp__carrier_t *carrier = listening(stream);
  if (!carrier || carrier->ended)
    return;
  carrier->ended = true;
  act(carrier);
}

void sp_transport_failed(sp_stream_t *stream, int status) {
  sp__carrier_t *carrier = listening(stream);
  if (!carrier || carrier->failure)
    return;
  carrier->failure = status < 0 ? status : UV_EIO;
  act(carrier);
}

void sp_transport_room(sp_stream_t *stream) {
  sp__carrier_t *carrier = listening(stream);
  if (!carrier)
    return;
  carrier->room = true;
  act(carrier);
}

void sp_transport_closed(sp_stream_t *stream) {
  sp__carrier_t *carrier = listening(stream);
  if (!carrier)
    return;
  carrier->closed = true;
  if (!carrier->failure)
    carrier->failure = UV_ECONNRESET; /* nobody asked for it; else it does not matter */
  act(carrier);
}

/* -- making one -------------------------------------------------------------------------------- */

static bool is_complete(const sp_transport_t *transport) {
  return transport->send && transport->read && transport->end && transport->close;
}

static sp__carrier_t *carrier_new(const sp_transport_t *transport, void *data) {
  sp__carrier_t *carrier = sp__zalloc(sizeof *carrier);
  if (!carrier)
    return NULL;
  carrier->calls = *transport;
  carrier->data = data;
  carrier->work.run = on_work;
  sp__list_init(&carrier->work.node);
  return carrier;
}

static void on_alive(uv_timer_t *timer) { (void)timer; }

/* From here on libuv knows the handle, and only closing gets rid of it. */
static void carrier_start(sp__carrier_t *carrier, sp_stream_t *stream) {
  carrier->stream = stream;
  (void)uv_timer_init(stream->loop->uv, &carrier->alive);
  (void)uv_timer_start(&carrier->alive, on_alive, UINT64_MAX, 0);
  carrier->alive.data = stream;
}

int sp_stream_over(sp_stream_t **stream, uv_loop_t *loop, const sp_transport_t *transport,
                   void *data, sp_role_t role, const void *already, size_t n,
                   sp_secure_cb on_secure, sp_error_t *why, const sp_options_t *options) {
  if (!is_complete(transport))
    return sp__fail(why, SP_EOPTION, SP_US, "a transport needs send, read, end and close");
  sp__carrier_t *carrier = carrier_new(transport, data);
  if (!carrier)
    return sp__fail_memory(why);
  sp__adoption_t adoption = {.loop = loop,
                             .transport = &sp__transport_own,
                             .io = (uv_stream_t *)(void *)&carrier->alive,
                             .own_io = true,
                             .role = role,
                             .already = already,
                             .n = n,
                             .on_secure = on_secure};
  int status = sp__adopt(stream, &adoption, why, options);
  if (status < 0)
    sp__free(carrier);
  else
    carrier_start(carrier, *stream);
  return status;
}
