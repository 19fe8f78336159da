/* What is counted of a stream. */
#include "stream/count.h"

#include <string.h>

#include "pair/pair.h"

/* -- for its server ---------------------------------------------------------------------------- */

/* The last 32 bits do for handshakes of up to 71 minutes. */
static uint32_t microseconds(void) { return (uint32_t)(uv_hrtime() / 1000); }

void sp__stream_count_begin(sp_stream_t *stream) { stream->handshake = microseconds(); }

static unsigned log2_of(uint32_t n) { return n ? 31u - (unsigned)__builtin_clz(n) : 0; }

static void count_handshake(sp_stream_t *stream) {
  unsigned i = log2_of(stream->handshake);
  if (i >= SP_HANDSHAKE_TIMES)
    i = SP_HANDSHAKE_TIMES - 1;
  SP__COUNT(stream, handshake_times[i], 1);
  SP__COUNT(stream, handshake_time, stream->handshake);
  if (sp_pair_is_resumed(stream->pair))
    SP__COUNT(stream, handshakes_resumed, 1);
  else
    SP__COUNT(stream, handshakes_full, 1);
}

void sp__stream_count_secure(sp_stream_t *stream, int status) {
  SP__COUNT(stream, handshaking, -1);
  if (status < 0) {
    SP__COUNT(stream, handshakes_failed[sp_failure_of(stream->error)], 1);
    return;
  }
  stream->handshake = microseconds() - stream->handshake;
  count_handshake(stream);
}

/* By the difference to what was counted before. */
static void count_pending(sp_stream_t *stream, size_t pending) {
  uint32_t now = pending < UINT32_MAX ? (uint32_t)pending : UINT32_MAX;
  if (now == stream->counted)
    return;
  SP__COUNT(stream, pending, (int64_t)now - stream->counted);
  stream->counted = now;
}

void sp__stream_count_pending(sp_stream_t *stream) {
  count_pending(stream, stream->closing ? 0 : sp_stream_pending(stream));
}

void sp__stream_count_gone(sp_stream_t *stream) { count_pending(stream, 0); }

/* -- its own ----------------------------------------------------------------------------------- */

static void count_pair(sp_stream_counters_t *counters, const sp_pair_t *pair) {
  size_t ahead = sp__pair_is_away(pair) ? 0 : pair->ahead;
  counters->encrypted_in = sp_pair_bytes_in(pair);
  counters->encrypted_out = sp_pair_bytes_out(pair) - ahead;
  counters->pending_encrypted = ahead;
  counters->is_resumed = sp_pair_is_resumed(pair);
}

int sp_stream_counters(const sp_stream_t *stream, sp_stream_counters_t *counters) {
  sp_stream_counters_t all = {
      .size = counters->size < sizeof all ? counters->size : sizeof all,
      .cleartext_in = stream->bytes_read,
      .cleartext_out = stream->bytes_written,
      .pending_cleartext = stream->queued,
      .held = stream->rest_size,
      .handshake_time = stream->secure ? stream->handshake : 0,
      .is_secure = stream->secure,
  };
  if (counters->size < sizeof counters->size)
    return SP_EOPTION;
  if (stream->pair)
    count_pair(&all, stream->pair);
  memcpy(counters, &all, all.size);
  return 0;
}
