/* From the transport through the pair to the `data` event. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "pair/pair.h"
#include "stream/count.h"
#include "stream/notes.h"
#include "stream/stream.h"
#include "stream/worker.h"

#define REST_MAX (2u * SP__SLAB) /* then the transport has to wait */

/* Whether somebody takes cleartext. */
bool sp__stream_is_flowing(const sp_stream_t *stream) {
  if (!stream->secure || stream->paused || stream->clogged || stream->closing || stream->failed ||
      stream->lingering)
    return false;
  if (stream->ending && !stream->half_open)
    return true; /* what comes after our end is dropped, but the peer's end is awaited */
  return stream->flowing || stream->pipe_to || stream->events->data || sp__relay_takes_data(stream);
}

static bool wants_transport(const sp_stream_t *stream) {
  if (!stream->io || stream->closing || stream->eof)
    return false;
  if (stream->lingering)
    return true;
  if (stream->failed)
    return false;
  if (!stream->secure)
    return stream->rest_size < REST_MAX;
  return !stream->rest_size && !stream->in_ended && sp__stream_is_flowing(stream);
}

/* -- cleartext --------------------------------------------------------------------------------- */

static bool drops_cleartext(const sp_stream_t *stream) {
  return stream->ending && !stream->half_open;
}

static void deliver(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  if (drops_cleartext(stream) || stream->closing)
    return;
  stream->bytes_read += n;
  SP__COUNT(stream, cleartext_in, n);
  if (stream->pipe_to)
    sp__pipe_pass(stream, bytes, n);
  else if (sp__relay_takes_data(stream))
    sp__relay_pass(stream, bytes, n);
  else if (stream->events->data)
    stream->events->data(stream, bytes, n);
}

/* Where the next cleartext goes: the program's room, if it has some for its `data`. */
static uint8_t *find_room(sp_stream_t *stream, size_t *size) {
  *size = SP__CLEAR;
  if (!stream->events->room || !stream->events->data || stream->pipe_to ||
      drops_cleartext(stream) || sp__relay_takes_data(stream))
    return stream->loop->clear;
  uint8_t *room = stream->events->room(stream, size);
  if (room && *size)
    return room;
  *size = SP__CLEAR;
  return stream->loop->clear;
}

static void read_clear(sp_stream_t *stream) {
  sp_pair_t *pair = stream->pair;
  while (sp__stream_is_flowing(stream) && !stream->in_ended) {
    size_t got, size;
    uint8_t *room = find_room(stream, &size);
    if (!sp__stream_is_flowing(stream))
      return; /* paused or destroyed when asked */
    int status = sp_pair_cleartext_out(pair, room, size, &got);
    if (got)
      deliver(stream, room, got);
    sp__notes_tell(stream);
    if (stream->closing)
      return;
    if (status < 0 && status != SP_ETRUNCATED) {
      sp__stream_fail(stream, sp_pair_error(pair));
      return;
    }
    unsigned state = sp_pair_state(pair);
    if (state & (SP_PAIR_PEER_ENDED | SP_PAIR_TRUNCATED) && sp__stream_is_flowing(stream))
      sp__stream_ended(stream, state & SP_PAIR_PEER_ENDED ? 0 : SP_ETRUNCATED);
    else if (!(state & SP_PAIR_HAS_CLEARTEXT))
      return;
  }
}

/* -- handshake --------------------------------------------------------------------------------- */

static void tell_staple(sp_stream_t *stream) {
  size_t n;
  if (!stream->events->ocsp || !sp__pair_wants_staple(stream->pair))
    return;
  const uint8_t *der = sp_pair_staple(stream->pair, &n);
  stream->events->ocsp(stream, der, n);
}

static void become_secure(sp_stream_t *stream) {
  tell_staple(stream);
  if (stream->closing)
    return;
  stream->secure = true;
  sp__deadline_clear(&stream->deadline);
  sp__stream_tell_secure(stream, 0);
  sp__notes_secure(stream);
  if (!stream->closing)
    sp_stream_set_timeout(stream, stream->idle_timeout);
}

/* A step of the handshake is done, and the engine left. */
static void conclude(sp_stream_t *stream, int status) {
  sp__notes_tell(stream);
  if (stream->closing)
    return;                                     /* destroyed in a hook or event */
  unsigned state = sp_pair_state(stream->pair); /* sending may have driven it further */
  SP__COUNT(stream, hook_waits, (state & SP_PAIR_WAITING) != 0);
  if (status < 0 || state & SP_PAIR_FAILED)
    sp__stream_fail(stream, sp_pair_error(stream->pair));
  else if (state & SP_PAIR_SECURE)
    become_secure(stream);
}

/* Whether the last flight may leave together with what is written once it is secure, or answered to
 * what came with the peer's. */
static bool may_hold(const sp_stream_t *stream) {
  unsigned state = sp_pair_state(stream->pair);
  return stream->transport == &sp__transport_uv && state & SP_PAIR_SECURE &&
         !(state & (SP_PAIR_FAILED | SP_PAIR_WAITING)) && !stream->full && !stream->broken &&
         !stream->closing;
}

/* Drives the handshake; what it has to say goes out in one write before anybody is told, but for
 * the last flight. */
static void handshake(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  sp__stream_lend(stream);
  int status = sp_pair_encrypted_in(stream->pair, bytes, n);
  if (status == 0 && may_hold(stream))
    sp__stream_hold_lent(stream);
  else
    sp__stream_flush_lent(stream);
  conclude(stream, status);
}

/* -- what cannot be used yet ------------------------------------------------------------------- */

static int keep_rest(sp_stream_t *stream, const uint8_t *bytes, size_t n, bool first) {
  uint8_t *rest = sp__realloc(stream->rest, stream->rest_size + n);
  if (!rest)
    return -ENOMEM;
  if (first)
    memmove(rest + n, rest, stream->rest_size);
  memcpy(first ? rest : rest + stream->rest_size, bytes, n);
  stream->rest = rest;
  stream->rest_size += n;
  return 0;
}

static void hold(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  if (keep_rest(stream, bytes, n, false) < 0)
    sp__stream_fail(stream, &sp__memory_error);
  else
    sp__stream_update_reading(stream);
}

/* What came before anything that is held. */
static void hold_first(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  if (n && keep_rest(stream, bytes, n, true) < 0)
    sp__stream_fail(stream, &sp__memory_error);
  else
    sp__stream_update_reading(stream);
}

/* The pair has n bytes; what it does not take is held. */
static void finish_pass(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  if (stream->secure && !stream->closing && !stream->failed)
    read_clear(stream);
  size_t left = sp_pair_encrypted_release(stream->pair);
  if (left && !stream->closing && !stream->failed)
    hold_first(stream, bytes + n - left, left);
}

/* One pass of bytes through the pair. */
static void pass(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  sp__passage_t passage = stream->secure ? SP__STAYS : sp__worker_take(stream, bytes, n);
  if (passage == SP__QUEUES)
    hold_first(stream, bytes, n);
  if (passage != SP__STAYS)
    return;
  if (stream->secure)
    (void)sp_pair_encrypted_in(stream->pair, bytes, n); /* an error shows when reading */
  else
    handshake(stream, bytes, n);
  finish_pass(stream, bytes, n);
}

void sp__stream_step_done(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  conclude(stream, 0);
  finish_pass(stream, bytes, n);
}

/* A first flight costs much, when the client's is there as a whole. */
static bool makes_first_flight(const sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  return !stream->secure && stream->maker && !sp__worker_suits(stream) &&
         !sp__pair_has_first_record(stream->pair, NULL, 0) &&
         sp__pair_has_first_record(stream->pair, bytes, n);
}

/* It has to wait when this turn of the loop had its share. */
static bool must_wait(const sp_stream_t *stream) {
  return stream->loop->hellos >= stream->maker->hello_budget(stream) ||
         !sp__list_is_empty(&stream->loop->waiting);
}

static void count_hello(sp_stream_t *stream) {
  if (!stream->loop->hellos++)
    sp__loop_notice_turn(stream->loop, false);
}

static void feed(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  bool counts = makes_first_flight(stream, bytes, n);
  sp__stream_touch(stream);
  if (stream->lingering || stream->failed)
    return;
  if (stream->rest_size || sp_pair_state(stream->pair) & SP_PAIR_WAITING) {
    hold(stream, bytes, n);
  } else if (counts && must_wait(stream)) {
    hold(stream, bytes, n);
    sp__list_append(&stream->loop->waiting, &stream->waiting);
    SP__COUNT(stream, waiting, 1);
    sp__loop_notice_turn(stream->loop, true);
  } else {
    if (counts)
      count_hello(stream);
    pass(stream, bytes, n);
  }
}

/* Only what is there now. */
void sp__stream_hear_last_words(sp_stream_t *stream) {
  uint8_t *room = stream->loop->in;
  int n, status = stream->mute;
  stream->mute = 0;
  while (wants_transport(stream) && (n = sp__transport_receive(stream->io, room, SP__SLAB)) > 0) {
    SP__COUNT(stream, encrypted_in, n);
    feed(stream, room, (size_t)n);
  }
  if (!stream->closing && !stream->failed)
    sp__stream_fail_transport(stream, status, "writing");
}

static void pass_rest(sp_stream_t *stream) {
  uint8_t *rest = stream->rest;
  size_t n = stream->rest_size;
  stream->rest = NULL;
  stream->rest_size = 0;
  pass(stream, rest, n);
  sp__free(rest);
}

void sp__stream_leave_turns(sp_stream_t *stream) {
  if (sp__list_is_empty(&stream->waiting))
    return;
  sp__list_remove(&stream->waiting);
  SP__COUNT(stream, waiting, -1);
}

void sp__stream_go_on(sp_stream_t *stream) {
  if (stream->rest_size)
    pass_rest(stream);
  else
    pass(stream, (const uint8_t *)"", 0);
}

void sp__stream_serve_waiting(sp__loop_t *loop) {
  while (!sp__list_is_empty(&loop->waiting)) {
    sp_stream_t *stream = SP__OF(loop->waiting.next, sp_stream_t, waiting);
    if (loop->hellos >= stream->maker->hello_budget(stream))
      return;
    sp__stream_leave_turns(stream);
    count_hello(stream);
    pass_rest(stream);
    sp__stream_put_off(stream);
  }
}

/* The transport ended, and all that came before was used. */
static void end_input(sp_stream_t *stream) {
  if (stream->closing || stream->failed || stream->pair->transport_ended ||
      sp_pair_state(stream->pair) & SP_PAIR_WAITING)
    return;
  if (sp_pair_encrypted_end(stream->pair) < 0)
    sp__stream_fail(stream, sp_pair_error(stream->pair));
  else
    read_clear(stream);
}

void sp__stream_read_on(sp_stream_t *stream) {
  unsigned state = sp_pair_state(stream->pair);
  bool waits = state & SP_PAIR_WAITING || !sp__list_is_empty(&stream->waiting);
  bool may_read = stream->secure ? sp__stream_is_flowing(stream) : !waits && !stream->failed;
  if (may_read && stream->rest_size)
    pass_rest(stream);
  else if (may_read && stream->answered)
    pass(stream, NULL, 0);
  else if (state & (SP_PAIR_HAS_CLEARTEXT | SP_PAIR_PEER_ENDED | SP_PAIR_TRUNCATED))
    read_clear(stream);
  stream->answered = false;
  if (stream->eof && !stream->rest_size)
    end_input(stream);
  sp__stream_update_reading(stream);
}

/* -- the transport ----------------------------------------------------------------------------- */

static void on_end_of_transport(sp_stream_t *stream) {
  stream->eof = true;
  if (stream->lingering) {
    sp__stream_close(stream);
    return;
  }
  sp__stream_read_on(stream);
}

void sp__stream_input(sp_stream_t *stream, const uint8_t *bytes, ssize_t n) {
  sp__loop_t *loop = stream->loop;
  sp__loop_enter(loop);
  if (n > 0)
    SP__COUNT(stream, encrypted_in, n);
  if (n > 0)
    feed(stream, bytes, (size_t)n);
  else if (n == UV_EOF)
    on_end_of_transport(stream);
  else if (stream->lingering)
    sp__stream_close(stream);
  else if (!sp__worker_keeps(stream, (int)n))
    sp__stream_fail_transport(stream, (int)n, "reading");
  sp__stream_update_reading(stream);
  sp__stream_put_off(stream);
  sp__loop_leave(loop);
}

void sp__stream_update_reading(sp_stream_t *stream) {
  bool wants = wants_transport(stream);
  if (wants == stream->reading || !stream->io)
    return;
  stream->reading = wants;
  int status = stream->transport->read(stream, wants);
  if (wants && status < 0) {
    stream->reading = false;
    sp__stream_fail_transport(stream, status, "reading");
  }
}

void sp_stream_pause(sp_stream_t *stream) {
  stream->paused = true;
  if (!stream->closing)
    sp__stream_update_reading(stream);
}

void sp_stream_resume(sp_stream_t *stream) {
  stream->paused = false;
  stream->flowing = true;
  sp__stream_put_off(stream);
}

bool sp_stream_is_paused(const sp_stream_t *stream) { return stream->paused; }
