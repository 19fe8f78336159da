/* Tables of events, each kept once in a loop however many streams have it. */
#ifndef SP_STREAM_EVENTS_H
#define SP_STREAM_EVENTS_H

#include <stdbool.h>

#include <securepair/stream.h>

#include "stream/loop.h"

/* One without any events, for a new stream: what setting them takes is there from the start, so
 * that a stream's first events cannot fail for want of memory. NULL: no memory. */
const sp_stream_events_t *sp__events_new(sp__loop_t *loop);

/* Puts others in the place of *events, NULL for none. False: no memory, and nothing changed; never
 * when *events are only this stream's. */
bool sp__events_set(sp__loop_t *loop, const sp_stream_events_t **events,
                    const sp_stream_events_t *others);

void sp__events_release(sp__loop_t *loop, const sp_stream_events_t *events); /* NULL is fine */
void sp__events_free_spare(sp__loop_t *loop);

#endif
