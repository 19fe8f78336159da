/* A pipe between TLS streams. */
#include "base/error.h"
#include "stream/stream.h"

static int start(sp_stream_t *from, sp_stream_t *to, bool open) {
  if (from->loop != to->loop || from->pipe_to || from->relay)
    return SP_EOPTION;
  if (from->closing || to->closing)
    return UV_ECANCELED;
  if (from->error || to->error)
    return from->error ? from->error->status : to->error->status;
  if (to->ending)
    return SP_EENDED;
  if (from->in_ended && !open) { /* nothing else is to come */
    sp__pipe_end(from, to, sp__stream_how_ended(from));
    return 0;
  }
  from->pipe_to = to;
  from->pipe_open = open;
  sp__list_append(&to->pipe_from, &from->pipe_sibling);
  sp__stream_put_off(from);
  return 0;
}

int sp_stream_pipe(sp_stream_t *from, sp_stream_t *to) { return start(from, to, false); }
int sp_stream_pipe_open(sp_stream_t *from, sp_stream_t *to) { return start(from, to, true); }

void sp_stream_unpipe(sp_stream_t *from) {
  if (!from->pipe_to)
    return;
  from->pipe_to = NULL;
  from->clogged = false;
  sp__list_remove(&from->pipe_sibling);
  if (!from->closing)
    sp__stream_put_off(from);
}

void sp__pipe_end(const sp_stream_t *from, sp_stream_t *to, int status) {
  to->cut = to != from && status < 0; /* a truncation is passed on as one */
  sp_stream_end(to);
}

/* The target is gone, or takes nothing any more: its sources stop. */
static void stop(sp_stream_t *from) {
  sp_stream_unpipe(from);
  sp_stream_pause(from);
}

void sp__pipe_pass(sp_stream_t *from, const uint8_t *bytes, size_t n) {
  int answer = sp__stream_push(from->pipe_to, bytes, n);
  if (answer < 0)
    stop(from);
  else
    from->clogged = answer == 0;
}

void sp__pipe_drained(sp_stream_t *to) {
  for (sp__list_t *node = to->pipe_from.next; node != &to->pipe_from; node = node->next) {
    sp_stream_t *from = SP__OF(node, sp_stream_t, pipe_sibling);
    if (from->clogged) {
      from->clogged = false;
      sp__stream_put_off(from);
    }
  }
}

void sp__pipe_gone(sp_stream_t *stream) {
  sp_stream_unpipe(stream);
  while (!sp__list_is_empty(&stream->pipe_from))
    stop(SP__OF(stream->pipe_from.next, sp_stream_t, pipe_sibling));
}
