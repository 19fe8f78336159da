/* A stream's life, its settings, and the order in which things happen to it. */
#include "stream/stream.h"

#include <errno.h>

#include "base/error.h"
#include "base/memory.h"
#include "pair/pair.h"
#include "stream/events.h"
#include "stream/notes.h"

#define CONNECT_TIMEOUT 30000
#define HANDSHAKE_TIMEOUT 30000
#define HIGH_WATER 65536u
#define WRITE_LIMIT (64u << 20)

static int time_of(int option, int usual) {
  if (option < 0)
    return 0;
  return option ? option : usual;
}

void sp__settings_of(sp__settings_t *settings, const sp_options_t *options) {
  *settings = (sp__settings_t){
      .connect_timeout = time_of(options->connect_timeout, CONNECT_TIMEOUT),
      .handshake_timeout = time_of(options->handshake_timeout, HANDSHAKE_TIMEOUT),
      .idle_timeout = options->idle_timeout > 0 ? options->idle_timeout : 0,
      .high_water = options->high_water ? options->high_water : HIGH_WATER,
      .write_limit = options->write_limit ? options->write_limit : WRITE_LIMIT,
      .keep_alive = options->keep_alive,
      .half_open = options->half_open == SP_YES,
      .no_delay = options->no_delay != SP_NO,
      .by_worker = options->handshake_workers == SP_YES,
  };
}

/* -- what is to be done, in order -------------------------------------------------------------- */

/* One step of a stream's life: at the end of the callback in which something changed, or at the
 * loop's next turn. Nothing here runs inside a call of the user's. */
static void on_work(sp__work_t *work) {
  sp_stream_t *stream = SP__OF(work, sp_stream_t, work);
  if (!stream->closing && stream->pair && stream->io) {
    sp__stream_read_on(stream);
    sp__stream_flush(stream);
    sp__notes_tell(stream);
    if (stream->mute)
      sp__stream_hear_last_words(stream);
  }
  sp__stream_count_pending(stream);
  sp__stream_finish(stream);
}

void sp__stream_put_off(sp_stream_t *stream) { sp__loop_put_off(stream->loop, &stream->work); }

/* -- life -------------------------------------------------------------------------------------- */

static void on_deadline(sp__deadline_t *deadline);

sp_stream_t *sp__stream_new(sp__loop_t *loop, sp_secure_cb on_secure,
                            const sp__settings_t *settings) {
  sp_stream_t *stream = sp__zalloc(sizeof *stream);
  if (!stream)
    return NULL;
  if (!(stream->events = sp__events_new(loop))) {
    sp__free(stream);
    return NULL;
  }
  sp__loop_retain(loop);
  stream->loop = loop;
  stream->on_secure = on_secure;
  stream->high_water = settings->high_water;
  stream->write_limit = settings->write_limit;
  stream->connect_timeout = settings->connect_timeout;
  stream->idle_timeout = settings->idle_timeout;
  stream->half_open = settings->half_open;
  stream->by_worker = settings->by_worker;
  stream->work.run = on_work;
  stream->deadline.run = on_deadline;
  sp__list_init(&stream->work.node);
  sp__list_init(&stream->deadline.node);
  sp__list_init(&stream->sibling);
  sp__list_init(&stream->warm);
  sp__list_init(&stream->waiting);
  sp__list_init(&stream->pipe_from);
  sp__list_init(&stream->pipe_sibling);
  return stream;
}

void sp__stream_free(sp_stream_t *stream) {
  sp__list_remove(&stream->work.node);
  sp__deadline_clear(&stream->deadline);
  sp__list_remove(&stream->sibling);
  sp__list_remove(&stream->warm);
  sp__stream_leave_turns(stream);
  sp_pair_release(stream->pair);
  if (stream->own_io)
    sp__free(stream->io);
  sp__free(stream->rest);
  sp__notes_drop(stream);
  if (stream->error != &sp__memory_error)
    sp__free(stream->error);
  sp__events_release(stream->loop, stream->events);
  sp__loop_release(stream->loop);
  sp__free(stream);
}

static void on_answered(void *owner) {
  sp_stream_t *stream = owner;
  stream->answered = true;
  sp__stream_put_off(stream);
}

static const sp__owner_calls_t calls = {
    .wake = on_answered,
    .session = sp__notes_session,
    .keylog = sp__notes_keylog,
    .set_limit = sp__limit_set,
    .end_limit = sp__limit_end,
};

void sp__stream_bind(sp_stream_t *stream, uv_stream_t *io, bool own_io, sp_pair_t *pair,
                     const sp__settings_t *settings) {
  stream->transport = &sp__transport_uv;
  stream->io = io;
  stream->own_io = own_io;
  stream->pair = pair;
  io->data = stream;
  if (stream->unref)
    uv_unref((uv_handle_t *)io);
  pair->owner = stream;
  pair->calls = &calls;
  stream->last_active = uv_now(stream->loop->uv);
  sp__stream_count_begin(stream);
  if (settings->no_delay)
    (void)sp_stream_set_no_delay(stream, true); /* fails only on what is no TCP or already gone */
  if (settings->keep_alive > 0)
    (void)sp_stream_set_keep_alive(stream, settings->keep_alive);
  if (settings->handshake_timeout)
    sp__deadline_set(stream->loop, &stream->deadline, SP__DELAY_HANDSHAKE,
                     (uint64_t)settings->handshake_timeout);
  sp__stream_put_off(stream);
}

/* -- time -------------------------------------------------------------------------------------- */

static void set_idle_deadline(sp_stream_t *stream, uint64_t delay) {
  sp__deadline_set(stream->loop, &stream->deadline, SP__DELAY_IDLE, delay);
}

/* Traffic only notes the time; a deadline that comes too early is set anew. */
static void on_idle_time(sp_stream_t *stream) {
  uint64_t due = stream->last_active + (uint64_t)stream->idle_timeout;
  uint64_t now = uv_now(stream->loop->uv);
  if (due > now) {
    set_idle_deadline(stream, due - now);
    return;
  }
  stream->idle_told = true;
  if (stream->events->timeout)
    stream->events->timeout(stream);
}

static void on_deadline(sp__deadline_t *deadline) {
  sp_stream_t *stream = SP__OF(deadline, sp_stream_t, deadline);
  if (stream->closing)
    return;
  if (stream->lingering) {
    sp__stream_close(stream);
  } else if (!stream->secure) {
    sp_error_t error;
    sp__fail(&error, UV_ETIMEDOUT, SP_TRANSPORT,
             "the handshake was not done in time: the peer does not answer, or does not speak TLS");
    sp__stream_fail(stream, &error);
  } else if (stream->idle_timeout) {
    on_idle_time(stream);
  }
}

void sp_stream_set_timeout(sp_stream_t *stream, int milliseconds) {
  stream->idle_timeout = milliseconds > 0 ? milliseconds : 0;
  stream->last_active = uv_now(stream->loop->uv);
  stream->idle_told = false;
  if (!stream->secure || stream->closing || stream->lingering)
    return;
  sp__deadline_clear(&stream->deadline);
  if (stream->idle_timeout)
    set_idle_deadline(stream, (uint64_t)stream->idle_timeout);
}

void sp__stream_touch(sp_stream_t *stream) {
  stream->last_active = uv_now(stream->loop->uv);
  stream->touched = true;
  if (sp__list_is_empty(&stream->warm)) {
    sp__list_append(&stream->loop->warm, &stream->warm);
    sp__loop_watch_warm(stream->loop);
  }
  if (stream->idle_told && stream->idle_timeout && !stream->closing && !stream->lingering) {
    stream->idle_told = false;
    set_idle_deadline(stream, (uint64_t)stream->idle_timeout);
  }
}

/* Takes the record buffers of streams that were quiet since the last sweep. */
void sp__stream_cool(sp__loop_t *loop) {
  sp__list_t *node = loop->warm.next;
  while (node != &loop->warm) {
    sp_stream_t *stream = SP__OF(node, sp_stream_t, warm);
    node = node->next;
    if (stream->touched) {
      stream->touched = false;
      continue;
    }
    sp__list_remove(&stream->warm);
    if (stream->pair)
      sp_pair_release_buffers(stream->pair);
  }
}

/* -- settings and facts ------------------------------------------------------------------------ */

void sp_stream_on(sp_stream_t *stream, const sp_stream_events_t *events, void *data) {
  stream->data = data;
  if (!sp__events_set(stream->loop, &stream->events, events))
    sp__stream_fail(stream, &sp__memory_error);
  if (stream->pair)
    stream->pair->tells_session = stream->events->session != NULL;
  sp__stream_put_off(stream); /* a listener for data may set it flowing */
}

void sp_stream_set_data(sp_stream_t *stream, void *data) { stream->data = data; }
void *sp_stream_data(const sp_stream_t *stream) { return stream->data; }

int sp_stream_set_no_delay(sp_stream_t *stream, bool on) {
  if (!stream->io || stream->io->type != UV_TCP)
    return UV_ENOTSUP;
  return uv_tcp_nodelay((uv_tcp_t *)stream->io, on);
}

int sp_stream_set_keep_alive(sp_stream_t *stream, int seconds) {
  if (!stream->io || stream->io->type != UV_TCP)
    return UV_ENOTSUP;
  return uv_tcp_keepalive((uv_tcp_t *)stream->io, seconds > 0, seconds > 0 ? (unsigned)seconds : 0);
}

void sp_stream_ref(sp_stream_t *stream) {
  stream->unref = false;
  if (stream->io)
    uv_ref((uv_handle_t *)stream->io);
}

void sp_stream_unref(sp_stream_t *stream) {
  stream->unref = true;
  if (stream->io)
    uv_unref((uv_handle_t *)stream->io);
}

const sp_error_t *sp_stream_error(const sp_stream_t *stream) {
  return stream->error ? stream->error : &sp__no_error;
}

bool sp_stream_is_authorized(const sp_stream_t *stream) {
  return stream->pair && sp_pair_is_authorized(stream->pair);
}

const char *sp_stream_authorization_error(const sp_stream_t *stream) {
  return stream->pair ? sp_pair_authorization_error(stream->pair) : NULL;
}

bool sp_stream_is_secure(const sp_stream_t *stream) { return stream->secure; }
uint64_t sp_stream_bytes_read(const sp_stream_t *stream) { return stream->bytes_read; }
uint64_t sp_stream_bytes_written(const sp_stream_t *stream) { return stream->bytes_written; }
sp_pair_t *sp_stream_pair(const sp_stream_t *stream) { return stream->pair; }
uv_stream_t *sp_stream_transport(const sp_stream_t *stream) {
  return stream->transport == &sp__transport_uv ? stream->io : NULL;
}
uv_loop_t *sp_stream_loop(const sp_stream_t *stream) { return stream->loop->uv; }
sp_stream_t *sp_stream_of(const sp_pair_t *pair) { return pair->owner; }
