/* Counting for a server: its thread writes, any thread reads. */
#ifndef SP_STREAM_COUNT_H
#define SP_STREAM_COUNT_H

#include <stdint.h>

#include "stream/stream.h"

/* One thread writes, so that no locked instruction is needed: nobody comes in between. */
static inline void sp__count(uint64_t *counter, int64_t n) {
  uint64_t now = __atomic_load_n(counter, __ATOMIC_RELAXED);
  __atomic_store_n(counter, now + (uint64_t)n, __ATOMIC_RELAXED);
}

/* For a stream that a server made. */
#define SP__COUNT(stream, field, n)                                                                \
  do                                                                                               \
    if ((stream)->maker)                                                                           \
      sp__count(&(stream)->maker->counts.field, (int64_t)(n));                                     \
  while (0)

#endif
