/* A flow of bytes of a known pattern through a stream: sent with back-pressure respected, checked
 * byte by byte where it arrives. */
#ifndef TEST_SUPPORT_FLOW_H
#define TEST_SUPPORT_FLOW_H

#include "stage.h"

/* The pattern's bytes from an offset on. */
void flow_fill(size_t offset, void *bytes, size_t n);
void flow_check(size_t offset, const void *bytes, size_t n);

typedef struct flow {
  sp_stream_t *stream; /* NULL after `close` */
  duo_t *duo;          /* that it belongs to, or NULL */
  size_t to_send, sent, received;
  bool end_when_sent;
  unsigned data_events, drains, ends, timeouts, errors, closes;
  int end_status, error_status;
  uintptr_t stack_low, stack_high; /* where `data` was called */
  void *data;
} flow_t;

/* Sets the stream's events; with_data: takes what comes. */
void flow_on(flow_t *flow, duo_t *duo, sp_stream_t *stream, bool with_data);
void flow_send(flow_t *flow, size_t n); /* so many bytes more */

#endif
