/* Failing, ending and closing: how a stream gets from any state to its `close`. */
#include "base/error.h"
#include "base/memory.h"
#include "pair/pair.h"
#include "stream/stream.h"
#include "stream/worker.h"

/* -- failing ----------------------------------------------------------------------------------- */

void sp__stream_fail(sp_stream_t *stream, const sp_error_t *error) {
  if (stream->error || stream->closing)
    return; /* one is told, and none of a stream that was destroyed */
  stream->error = sp__alloc(sizeof *stream->error);
  if (stream->error)
    *stream->error = *error;
  else
    stream->error = (sp_error_t *)&sp__memory_error;
  stream->failed = true;
  sp__stream_leave_turns(stream);
  sp__stream_put_off(stream);
}

/* Whether a failing transport loses nothing: the peer ended, and all that was left to send is our
 * answer to that. */
static bool is_over_anyway(const sp_stream_t *stream) {
  return stream->in_ended && !stream->sent.first && sp__stream_is_all_passed(stream);
}

void sp__stream_fail_transport(sp_stream_t *stream, int status, const char *doing) {
  sp_error_t error;
  stream->broken = true;
  if (is_over_anyway(stream)) {
    stream->over = true;
    sp__stream_close(stream);
    return;
  }
  bool is_cut = status == UV_ECONNRESET || status == UV_EPIPE || status == UV_ECONNABORTED;
  sp__fail(&error, status, SP_TRANSPORT, "%s failed %s: %s%s", doing,
           stream->secure ? "on the secure connection" : "during the handshake",
           uv_strerror(status), is_cut ? ": the peer, or something in between, cut it off" : "");
  sp__stream_fail(stream, &error);
}

/* Whether the peer took all that was written, and did not wait for our end. */
static bool lost_only_our_end(const sp_stream_t *stream) {
  return stream->ending && stream->pair->ended && !stream->sent.first &&
         sp__stream_is_all_passed(stream);
}

/* Whether the peer may have said why it takes nothing any more: an alert that is there unread. */
static bool may_have_last_words(const sp_stream_t *stream, int status) {
  bool is_cut = status == UV_EPIPE || status == UV_ECONNRESET;
  return is_cut && stream->transport == &sp__transport_uv && !stream->in_ended && !stream->eof;
}

/* How the peer left is for reading to tell: its own end may be there unread. */
void sp__stream_fail_writing(sp_stream_t *stream, int status) {
  bool only_our_end = !stream->in_ended && lost_only_our_end(stream);
  if (!only_our_end && !may_have_last_words(stream, status)) {
    sp__stream_fail_transport(stream, status, "writing");
    return;
  }
  stream->broken = true;
  stream->unheard |= only_our_end;
  stream->mute = (int16_t)(only_our_end ? 0 : status);
  sp__stream_update_reading(stream);
  sp__stream_put_off(stream);
}

void sp__stream_tell_secure(sp_stream_t *stream, int status) {
  if (stream->told)
    return;
  stream->told = true;
  sp__stream_count_secure(stream, status);
  if (stream->on_secure)
    stream->on_secure(stream, status);
}

/* -- leaving: our FIN is sent, and the peer's awaited ------------------------------------------ */

/* A socket closed with bytes unread is reset, which may destroy what the peer has not read yet, an
 * alert for instance: what comes is dropped until the peer closes too, or time is up. */
static void linger(sp_stream_t *stream) {
  if (stream->lingering)
    return;
  stream->lingering = true;
  sp__deadline_set(stream->loop, &stream->deadline, SP__DELAY_LINGER, SP__LINGER);
  sp__stream_update_reading(stream);
}

void sp__stream_shut_down(sp_stream_t *stream) {
  if (stream->closing)
    return;
  sp__loop_enter(stream->loop);
  stream->fin_done = true;
  sp__stream_put_off(stream);
  sp__loop_leave(stream->loop);
}

static void shut_down(sp_stream_t *stream) {
  if (stream->fin)
    return;
  stream->fin = true;
  if (!stream->transport->shut_down(stream))
    sp__stream_shut_down(stream);
}

static void leave(sp_stream_t *stream) {
  bool is_heard = stream->in_ended || stream->eof;
  bool can_go = stream->broken || !stream->full; /* else our alert is still to go */
  bool is_over = can_go && is_heard && stream->transport->close_ends;
  if (can_go && !is_over)
    shut_down(stream);
  if (stream->closing)
    return;
  if (is_over || (stream->fin_done && is_heard))
    sp__stream_close(stream);
  else if (stream->failed || (stream->fin_done && !stream->half_open))
    linger(stream);
}

/* -- events that are due ----------------------------------------------------------------------- */

static void tell_failure(sp_stream_t *stream) {
  stream->failure_told = true;
  sp__stream_cancel_writes(stream, stream->error->status);
  bool was_secure = stream->told;
  sp__stream_tell_secure(stream, stream->error->status);
  sp__stream_tell_writes(stream);
  if (was_secure && !stream->closing && stream->events->error)
    stream->events->error(stream, stream->error);
  if (!stream->closing && (stream->broken || !stream->io))
    sp__stream_close(stream);
}

static void tell_drained(sp_stream_t *stream) {
  if (sp_stream_pending(stream))
    return;
  sp__pipe_drained(stream);
  sp__relay_drained(stream);
  if (!stream->need_drain || !stream->secure || stream->ending || stream->closing)
    return;
  stream->need_drain = false;
  if (stream->events->drain)
    stream->events->drain(stream);
}

static bool is_all_sent(const sp_stream_t *stream) {
  if (stream->unheard)
    return true;
  if (sp__stream_is_away(stream))
    return false;
  bool said = stream->cut ? stream->secure && !stream->queue.first : stream->pair->ended;
  return said && !stream->pair->ahead && !stream->full;
}

static bool is_finished(const sp_stream_t *stream) { return stream->ending && is_all_sent(stream); }

/* Once: the FIN follows at once, or the peer did not wait for our end. */
static void tell_finished(sp_stream_t *stream) {
  bool finished = stream->over ? stream->ending : is_finished(stream);
  if (!stream->fin && finished && stream->events->finish)
    stream->events->finish(stream);
}

static void finalize(sp_stream_t *stream);

void sp__stream_finish(sp_stream_t *stream) {
  if (!stream->closing && stream->failed && !stream->failure_told)
    tell_failure(stream);
  if (!stream->closing)
    sp__stream_tell_writes(stream);
  if (!stream->closing && !stream->failed)
    tell_drained(stream);
  if (!stream->closing && !stream->failed)
    tell_finished(stream);
  if (!stream->closing && (stream->failed || is_finished(stream)))
    leave(stream);
  if (stream->closing && !stream->io)
    finalize(stream);
}

int sp__stream_how_ended(const sp_stream_t *stream) {
  return sp_pair_state(stream->pair) & SP_PAIR_PEER_ENDED ? 0 : SP_ETRUNCATED;
}

void sp__stream_ended(sp_stream_t *stream, int status) {
  stream->in_ended = true;
  if (stream->events->end)
    stream->events->end(stream, status);
  if (stream->closing)
    return;
  sp_stream_t *to = stream->pipe_open ? NULL : stream->pipe_to;
  sp_stream_unpipe(stream);
  if (to)
    sp__pipe_end(stream, to, status);
  sp__relay_ended(stream, status);
  if (!stream->half_open && !stream->closing)
    sp_stream_end(stream);
}

/* -- the user's side --------------------------------------------------------------------------- */

void sp_stream_end(sp_stream_t *stream) {
  stream->ending = true;
  sp__stream_put_off(stream);
}

void sp_stream_destroy(sp_stream_t *stream) { sp__stream_close(stream); }

/* -- closing ----------------------------------------------------------------------------------- */

static int closing_status(const sp_stream_t *stream) {
  return stream->failed ? stream->error->status : UV_ECANCELED;
}

/* The last events; then the stream is gone. */
static void finalize(sp_stream_t *stream) {
  int status = closing_status(stream);
  sp__stream_tell_secure(stream, status);
  sp__stream_tell_writes(stream);
  if (stream->over)
    tell_finished(stream);
  sp__relay_gone(stream, status);
  if (stream->events->close)
    stream->events->close(stream);
  sp__stream_count_gone(stream);
  if (stream->maker)
    stream->maker->gone(stream);
  sp__stream_free(stream);
}

void sp__stream_closed(sp_stream_t *stream) {
  sp__loop_t *loop = stream->loop;
  stream->io_closed = true;
  if (sp__stream_is_away(stream))
    return; /* until it is back */
  sp__loop_enter(loop);
  finalize(stream);
  sp__loop_leave(loop);
}

/* `secure` is still to be told, and what it tells has a sentence. */
static void explain_cancel(sp_stream_t *stream) {
  if (stream->told || stream->error)
    return;
  stream->error = sp__alloc(sizeof *stream->error);
  if (!stream->error)
    stream->error = (sp_error_t *)&sp__memory_error;
  else
    sp__fail(stream->error, UV_ECANCELED, SP_US,
             "the stream was destroyed by this program before it was secure");
}

void sp__stream_close(sp_stream_t *stream) {
  if (stream->closing)
    return;
  sp__stream_send_held(stream);
  stream->closing = true;
  explain_cancel(stream);
  stream->reading = false;
  sp__stream_leave_turns(stream);
  sp__list_remove(&stream->warm);
  sp__deadline_clear(&stream->deadline);
  sp__pipe_gone(stream);
  sp__connector_cancel(stream);
  sp__worker_cancel(stream);
  sp__stream_cancel_writes(stream, closing_status(stream));
  if (stream->io)
    stream->transport->close(stream);
  else
    sp__stream_put_off(stream);
}
