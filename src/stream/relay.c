/* A pipe between a TLS stream and a plain one: what a proxy is made of. */
#include "base/error.h"
#include "base/memory.h"
#include "stream/stream.h"

typedef struct sp__relay {
  sp_stream_t *stream; /* NULL once the pipe is over */
  sp__loop_t *loop;
  uv_stream_t *plain;
  void *plain_data; /* the user's, put back at the end */
  sp_pipe_cb done;
  sp__flight_t *flight; /* bytes that the plain stream did not take at once */
  unsigned requests;    /* libuv still has: the memory waits for them */
  bool out, in;         /* directions that still run */
  bool half_open;       /* the stream's own choice, put back at the end */
  bool reading;
  bool shutting; /* plain, as the stream's peer ended */
  bool ours;     /* nobody else writes to plain, now or later */
} sp__relay_t;

static void free_if_over(sp__relay_t *relay) {
  if (relay->stream || relay->requests)
    return;
  sp__loop_release(relay->loop);
  sp__free(relay);
}

static void stop_reading(sp__relay_t *relay) {
  if (relay->reading && !uv_is_closing((uv_handle_t *)relay->plain))
    (void)uv_read_stop(relay->plain);
  relay->reading = false;
}

static void finish(sp__relay_t *relay, int status) {
  sp_stream_t *stream = relay->stream;
  if (!stream)
    return;
  stop_reading(relay);
  sp__flight_cancel(relay->flight);
  relay->flight = NULL;
  relay->stream = NULL;
  relay->plain->data = relay->plain_data;
  stream->relay = NULL;
  stream->clogged = false;
  stream->half_open = relay->half_open;
  if (!stream->closing)
    sp__stream_put_off(stream);
  if (relay->done)
    relay->done(relay->plain, status);
  free_if_over(relay);
}

/* A fault on one side must not look like a clean end on the other. */
static void break_off(sp__relay_t *relay, int status) {
  sp_stream_t *stream = relay->stream;
  if (!stream)
    return;
  finish(relay, status);
  sp_stream_destroy(stream);
}

static void finish_if_both_ended(sp__relay_t *relay) {
  if (!relay->out && !relay->in)
    finish(relay, 0);
}

/* -- stream to plain --------------------------------------------------------------------------- */

bool sp__relay_takes_data(const sp_stream_t *stream) { return stream->relay && stream->relay->out; }

static void on_landed(void *owner, int status) {
  sp__relay_t *relay = owner;
  sp__loop_t *loop = relay->loop;
  relay->flight = NULL;
  sp__loop_enter(loop);
  if (status < 0) {
    break_off(relay, status);
  } else {
    relay->stream->clogged = false;
    sp__stream_put_off(relay->stream);
  }
  sp__loop_leave(loop);
}

void sp__relay_pass(sp_stream_t *from, const uint8_t *bytes, size_t n) {
  sp__relay_t *relay = from->relay;
  int wrote = sp__transport_send(relay->plain, bytes, n, false);
  if (wrote == UV_EAGAIN)
    wrote = 0;
  int status = wrote < 0 ? wrote : 0;
  if (status == 0 && (size_t)wrote < n) {
    status = sp__flight_start(&relay->flight, relay->plain, bytes + wrote, n - (size_t)wrote, true,
                              on_landed, relay);
    from->clogged = status == 0;
  }
  if (status < 0)
    break_off(relay, status);
}

static void on_shut_down(uv_shutdown_t *request, int status) {
  (void)status; /* a side that is gone already is ended enough */
  sp__relay_t *relay = request->data;
  sp__loop_t *loop = relay->loop;
  sp__free(request);
  sp__loop_enter(loop);
  if (relay->stream) {
    relay->out = false;
    finish_if_both_ended(relay);
  }
  relay->requests--; /* not before: to finish frees a relay without requests */
  free_if_over(relay);
  sp__loop_leave(loop);
}

static int start_shutting(sp__relay_t *relay) {
  uv_shutdown_t *request = sp__alloc(sizeof *request);
  if (!request)
    return UV_ENOMEM;
  request->data = relay;
  int status = uv_shutdown(request, relay->plain, on_shut_down);
  relay->shutting = status == 0;
  if (status < 0)
    sp__free(request);
  else
    relay->requests++;
  return status;
}

/* At once, if that is possible: libuv's way is a request and an epoll_ctl more, but it remembers,
 * so that a program that writes later gets an error and no SIGPIPE. */
static bool shut_down_ours(const sp__relay_t *relay) {
  return relay->ours && sp__transport_shut(relay->plain);
}

static void shut_down_plain(sp__relay_t *relay) {
  if (relay->shutting || (!shut_down_ours(relay) && start_shutting(relay) == 0))
    return;
  relay->out = false;
  finish_if_both_ended(relay);
}

void sp__relay_ended(sp_stream_t *from, int status) {
  sp__relay_t *relay = from->relay;
  if (!relay)
    return;
  if (status < 0)
    break_off(relay, status);
  else if (relay->out)
    shut_down_plain(relay);
}

void sp__relay_gone(sp_stream_t *stream, int status) {
  if (stream->relay)
    finish(stream->relay, status);
}

/* -- plain to stream --------------------------------------------------------------------------- */

static void on_plain_alloc(uv_handle_t *plain, size_t suggested, uv_buf_t *buffer) {
  (void)suggested;
  sp__relay_t *relay = plain->data;
  *buffer = uv_buf_init((char *)relay->loop->in, SP__SLAB);
}

static void take_plain(sp__relay_t *relay, ssize_t n) {
  if (n == UV_EOF) {
    stop_reading(relay);
    relay->in = false;
    sp_stream_end(relay->stream);
    finish_if_both_ended(relay);
    return;
  }
  if (n < 0) {
    break_off(relay, (int)n);
    return;
  }
  int answer = sp__stream_push(relay->stream, relay->loop->in, (size_t)n);
  if (answer < 0)
    finish(relay, answer);
  else if (answer == 0)
    stop_reading(relay); /* until the stream is drained */
}

static void on_plain_read(uv_stream_t *plain, ssize_t n, const uv_buf_t *buffer) {
  (void)buffer;
  sp__relay_t *relay = plain->data;
  sp__loop_t *loop = relay->loop;
  if (!n)
    return;
  sp__loop_enter(loop);
  take_plain(relay, n);
  sp__loop_leave(loop);
}

static int start_reading(sp__relay_t *relay) {
  int status = uv_read_start(relay->plain, on_plain_alloc, on_plain_read);
  relay->reading = status == 0;
  return status;
}

void sp__relay_drained(sp_stream_t *to) {
  sp__relay_t *relay = to->relay;
  if (!relay || !relay->in || relay->reading)
    return;
  int status = start_reading(relay);
  if (status < 0)
    break_off(relay, status);
}

/* -- both -------------------------------------------------------------------------------------- */

static sp__relay_t *relay_new(sp_stream_t *stream, uv_stream_t *plain, int ways, sp_pipe_cb done) {
  sp__relay_t *relay = sp__zalloc(sizeof *relay);
  if (!relay)
    return NULL;
  *relay = (sp__relay_t){.stream = stream,
                         .loop = stream->loop,
                         .plain = plain,
                         .plain_data = plain->data,
                         .done = done,
                         .half_open = stream->half_open,
                         .out = ways & SP_PIPE_OUT,
                         .in = ways & SP_PIPE_IN};
  plain->data = relay;
  sp__loop_retain(stream->loop);
  return relay;
}

static int start(sp__relay_t *relay) {
  int status = relay->in ? start_reading(relay) : 0;
  if (status == 0 && relay->out && relay->stream->in_ended)
    status = start_shutting(relay);
  return status;
}

/* It was not started: the plain stream is as it was. */
static void undo(sp__relay_t *relay) {
  stop_reading(relay);
  relay->plain->data = relay->plain_data;
  relay->stream = NULL;
  free_if_over(relay);
}

int sp__relay_make(sp_stream_t *stream, uv_stream_t *plain, int ways, sp_pipe_cb done, bool ours) {
  if (plain->loop != stream->loop->uv || stream->pipe_to || stream->relay ||
      !(ways & SP_PIPE_BOTH) || ways & ~SP_PIPE_BOTH)
    return SP_EOPTION;
  if (stream->error)
    return stream->error->status;
  if (stream->closing)
    return UV_ECANCELED;
  if (ways & SP_PIPE_OUT && stream->in_ended && sp__stream_how_ended(stream) < 0)
    return SP_ETRUNCATED; /* which must not look like a clean end */
  sp__relay_t *relay = relay_new(stream, plain, ways, done);
  if (!relay)
    return UV_ENOMEM;
  relay->ours = ours;
  int status = start(relay);
  if (status < 0) {
    undo(relay);
    return status;
  }
  stream->relay = relay;
  if (ways == SP_PIPE_BOTH)
    stream->half_open = true; /* either direction ends on its own */
  sp__stream_put_off(stream);
  return 0;
}

int sp_stream_pipe_plain(sp_stream_t *stream, uv_stream_t *plain, int ways, sp_pipe_cb done) {
  return sp__relay_make(stream, plain, ways, done, false);
}
