/* The time that a pair waits for its store. */
#include "base/memory.h"
#include "pair/pair.h"
#include "stream/stream.h"

typedef struct limit {
  sp__deadline_t deadline;
  sp_stream_t *stream;
} limit_t;

/* Which ends the limit. */
static void on_time(sp__deadline_t *deadline) {
  (void)sp_pair_resume(SP__OF(deadline, limit_t, deadline)->stream->pair, 0);
}

void *sp__limit_set(void *owner, int milliseconds) {
  limit_t *limit = sp__alloc(sizeof *limit);
  if (!limit)
    return NULL;
  *limit = (limit_t){.stream = owner, .deadline.run = on_time};
  sp__list_init(&limit->deadline.node);
  sp__deadline_set(limit->stream->loop, &limit->deadline, SP__DELAY_STORE, (uint64_t)milliseconds);
  return limit;
}

void sp__limit_end(void *limit) {
  sp__deadline_clear(&((limit_t *)limit)->deadline);
  sp__free(limit);
}
