#include "flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PERIOD 65521u /* a prime: no block size divides it */
#define PART 16384u

static uint8_t pattern[PERIOD + PART];

static void make_pattern(void) {
  uint32_t x = 2463534242u;
  if (pattern[0])
    return;
  for (size_t i = 0; i < PERIOD; i++) {
    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    pattern[i] = (uint8_t)x;
  }
  pattern[0] |= 1;
  memcpy(pattern + PERIOD, pattern, PART);
}

void flow_fill(size_t offset, void *bytes, size_t n) {
  uint8_t *to = bytes;
  make_pattern();
  for (size_t part; n; n -= part, to += part, offset += part) {
    part = n < PART ? n : PART;
    memcpy(to, pattern + offset % PERIOD, part);
  }
}

void flow_check(size_t offset, const void *bytes, size_t n) {
  const uint8_t *at = bytes;
  make_pattern();
  for (size_t part; n; n -= part, at += part, offset += part) {
    part = n < PART ? n : PART;
    if (memcmp(at, pattern + offset % PERIOD, part) != 0)
      fail_msg("wrong bytes at %zu to %zu", offset, offset + part);
  }
}

static void go_on(flow_t *flow) {
  make_pattern();
  while (flow->sent < flow->to_send) {
    size_t left = flow->to_send - flow->sent, n = left < PART ? left : PART;
    int answer = sp_stream_send(flow->stream, pattern + flow->sent % PERIOD, n);
    assert_in_range(answer, 0, 1);
    flow->sent += n;
    if (!answer)
      return;
  }
  if (flow->end_when_sent)
    sp_stream_end(flow->stream);
}

static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  flow_t *flow = sp_stream_data(stream);
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  if (!flow->data_events++ || here < flow->stack_low)
    flow->stack_low = here;
  if (here > flow->stack_high)
    flow->stack_high = here;
  flow_check(flow->received, bytes, n);
  flow->received += n;
}

static void on_drain(sp_stream_t *stream) {
  flow_t *flow = sp_stream_data(stream);
  flow->drains++;
  assert_int_equal(sp_stream_pending(stream), 0);
  go_on(flow);
}

static void on_end(sp_stream_t *stream, int status) {
  flow_t *flow = sp_stream_data(stream);
  flow->ends++;
  flow->end_status = status;
}

static void on_timeout(sp_stream_t *stream) {
  flow_t *flow = sp_stream_data(stream);
  flow->timeouts++;
}

static void on_error(sp_stream_t *stream, const sp_error_t *error) {
  flow_t *flow = sp_stream_data(stream);
  assert_int_equal(flow->errors++, 0);
  assert_int_equal(flow->closes, 0);
  flow->error_status = error->status;
}

static void on_close(sp_stream_t *stream) {
  flow_t *flow = sp_stream_data(stream);
  assert_int_equal(flow->closes++, 0);
  flow->stream = NULL;
  if (flow->duo)
    duo_gone(flow->duo, stream);
}

void flow_on(flow_t *flow, duo_t *duo, sp_stream_t *stream, bool with_data) {
  const sp_stream_events_t events = {.data = with_data ? on_data : NULL,
                                     .end = on_end,
                                     .drain = on_drain,
                                     .timeout = on_timeout,
                                     .error = on_error,
                                     .close = on_close};
  flow->stream = stream;
  flow->duo = duo;
  sp_stream_on(stream, &events, flow);
}

void flow_send(flow_t *flow, size_t n) {
  flow->to_send += n;
  go_on(flow);
}
