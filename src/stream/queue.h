/* Queues of write requests. */
#ifndef SP_STREAM_QUEUE_H
#define SP_STREAM_QUEUE_H

#include "stream/stream.h"

static inline void sp__queue_add(sp__queue_t *queue, sp_write_t *request) {
  request->next = NULL;
  if (queue->last)
    queue->last->next = request;
  else
    queue->first = request;
  queue->last = request;
}

static inline sp_write_t *sp__queue_take(sp__queue_t *queue) {
  sp_write_t *request = queue->first;
  if (request && !(queue->first = request->next))
    queue->last = NULL;
  return request;
}

#endif
