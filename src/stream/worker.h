/* A stream's handshake on a worker thread, step by step. */
#ifndef SP_STREAM_WORKER_H
#define SP_STREAM_WORKER_H

#include "stream/stream.h"

typedef struct sp__worker sp__worker_t;

/* Where a step of the handshake is done. */
typedef enum sp__passage {
  SP__STAYS, /* here: by the caller */
  SP__LEFT,  /* there: sp__stream_step_done follows */
  SP__QUEUES /* there, later: the caller keeps the bytes, sp__stream_go_on follows */
} sp__passage_t;

sp__passage_t sp__worker_take(sp_stream_t *stream, const uint8_t *bytes, size_t n);

/* Whether its handshake is one for workers, and not one of those that count for a turn's budget. */
bool sp__worker_suits(const sp_stream_t *stream);

/* For a stream that closes: its pair comes back soon. */
void sp__worker_cancel(sp_stream_t *stream);

/* The transport failed: true when that is told after what the worker is at. */
bool sp__worker_keeps(sp_stream_t *stream, int failure);

/* Whether the pair is with a worker: then only its facts may be asked. */
bool sp__stream_is_away(const sp_stream_t *stream);

unsigned sp__workers_limit(void); /* of a loop, at once */

#endif
