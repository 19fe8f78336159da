/*
 * From the program through the pair to the transport. Writes queue up during a callback and leave
 * together at its end: small ones are joined to records, records to one system call; only what the
 * transport did not take is copied.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "pair/pair.h"
#include "stream/count.h"
#include "stream/queue.h"
#include "stream/stream.h"
#include "stream/worker.h"

#define FEW (2u * SP__RECORD) /* more than this fills a slab by itself */
#define SMALL 8192u           /* writes below this are joined with their neighbours */

/* -- chunks: copies of what was sent ----------------------------------------------------------- */

/* Only its address counts: it tells a chunk from a user's request. */
static void chunk_mark(sp_write_t *request, int status) { (void)request, (void)status; }

static bool is_chunk(const sp_write_t *request) { return request->callback == chunk_mark; }

static sp__chunk_t *chunk_get(sp__loop_t *loop) {
  sp__chunk_t *chunk = loop->chunks;
  if (chunk) {
    loop->chunks = chunk->spare;
    loop->chunk_count--;
  } else if (!(chunk = sp__alloc(sizeof *chunk))) {
    return NULL;
  }
  chunk->request = (sp_write_t){.callback = chunk_mark, .bytes = chunk->bytes};
  chunk->used = 0;
  return chunk;
}

static void chunk_put(sp__loop_t *loop, sp__chunk_t *chunk) {
  if (loop->chunk_count == SP__CHUNKS_KEPT) {
    sp__wipe(chunk->bytes, chunk->used);
    sp__free(chunk);
    return;
  }
  chunk->spare = loop->chunks;
  loop->chunks = chunk;
  loop->chunk_count++;
}

static sp__chunk_t *open_chunk(const sp_stream_t *stream) {
  sp_write_t *last = stream->queue.last;
  return last && is_chunk(last) ? (sp__chunk_t *)last : NULL;
}

/* Takes as many chunks as n bytes need, all or none, so that a copy is never cut in half. */
static int reserve(sp_stream_t *stream, size_t n, sp__queue_t *reserved) {
  const sp__chunk_t *open = open_chunk(stream);
  size_t room = open ? SP__RECORD - open->used : 0;
  for (; n > room; room += SP__RECORD) {
    sp__chunk_t *chunk = chunk_get(stream->loop);
    if (!chunk) {
      sp_write_t *request;
      while ((request = sp__queue_take(reserved)))
        chunk_put(stream->loop, (sp__chunk_t *)request);
      return -ENOMEM;
    }
    sp__queue_add(reserved, &chunk->request);
  }
  return 0;
}

static int queue_copy(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  sp__queue_t reserved = {NULL, NULL};
  int status = reserve(stream, n, &reserved);
  if (status < 0)
    return status;
  stream->queued += n;
  while (n) {
    sp__chunk_t *chunk = open_chunk(stream);
    if (!chunk || chunk->used == SP__RECORD) {
      sp__queue_add(&stream->queue, sp__queue_take(&reserved));
      chunk = open_chunk(stream);
    }
    size_t room = SP__RECORD - chunk->used, part = n < room ? n : room;
    memcpy(chunk->bytes + chunk->used, bytes, part);
    chunk->used += part;
    chunk->request.size += part;
    bytes += part;
    n -= part;
  }
  return 0;
}

/* -- encrypting -------------------------------------------------------------------------------- */

static void count_written(sp_stream_t *stream, size_t n) {
  stream->bytes_written += n;
  SP__COUNT(stream, cleartext_out, n);
  if (n)
    stream->clear_end = sp_pair_bytes_out(stream->pair);
}

bool sp__stream_is_all_passed(const sp_stream_t *stream) {
  return !stream->queued &&
         sp_pair_bytes_out(stream->pair) - stream->pair->ahead >= stream->clear_end;
}

/* The first n queued bytes are encrypted. */
static void consume(sp_stream_t *stream, size_t n) {
  stream->queued -= n;
  count_written(stream, n);
  while (stream->queue.first) {
    sp_write_t *request = stream->queue.first;
    size_t part = n < request->size ? n : request->size;
    if (part) /* an empty write may have no bytes at all */
      request->bytes += part;
    request->size -= part;
    n -= part;
    if (request->size)
      return;
    sp__queue_take(&stream->queue);
    if (is_chunk(request)) {
      chunk_put(stream->loop, (sp__chunk_t *)request);
      continue;
    }
    request->size = (size_t)sp_pair_bytes_out(stream->pair); /* from here on: where it ends */
    sp__queue_add(&stream->sent, request);
  }
}

/* What to encrypt next: one large request as it is, or small ones joined. */
static const uint8_t *next_bytes(const sp_stream_t *stream, size_t *n) {
  const sp_write_t *request = stream->queue.first;
  if (request->size >= SMALL || !request->next) {
    *n = request->size;
    return request->bytes;
  }
  size_t used = 0;
  for (; request && used < SP__RECORD; request = request->next) {
    size_t room = SP__RECORD - used, part = request->size < room ? request->size : room;
    if (part)
      memcpy(stream->loop->gather + used, request->bytes, part);
    used += part;
  }
  *n = used;
  return stream->loop->gather;
}

/* Below 0: the pair failed. */
static int encrypt(sp_stream_t *stream) {
  while (stream->queue.first && stream->pair->secure) { /* even an empty write waits for it */
    size_t n, took = 0;
    const uint8_t *bytes = next_bytes(stream, &n);
    int status = sp_pair_cleartext_in(stream->pair, bytes, n, &took);
    consume(stream, took);
    if (status < 0)
      return status;
    if (took < n)
      return 0;
  }
  if (stream->ending && stream->secure && !stream->cut)
    return sp_pair_end(stream->pair);
  return 0;
}

/* -- the transport ----------------------------------------------------------------------------- */

/* Requests whose bytes all left are done. The difference is right also when a size_t wrapped. */
static void settle_sent(sp_stream_t *stream) {
  size_t left = (size_t)sp_pair_bytes_out(stream->pair) - stream->pair->ahead;
  while (stream->sent.first && left - stream->sent.first->size <= SIZE_MAX / 2) {
    sp_write_t *request = sp__queue_take(&stream->sent);
    request->status = 0;
    sp__queue_add(&stream->done, request);
  }
}

/* The transport took n encrypted bytes. */
static void passed(sp_stream_t *stream, size_t n) {
  SP__COUNT(stream, encrypted_out, n);
  sp_pair_encrypted_sent(stream->pair, n);
}

void sp__stream_has_room(sp_stream_t *stream, size_t n, int status) {
  sp__loop_t *loop = stream->loop;
  stream->full = false;
  sp__loop_enter(loop);
  if (status < 0) {
    sp__stream_fail_writing(stream, status);
  } else {
    passed(stream, n);
    settle_sent(stream);
    stream->answered = !stream->secure; /* the handshake may have waited for room */
    sp__stream_touch(stream);
  }
  sp__stream_put_off(stream);
  sp__loop_leave(loop);
}

/* The transport is full: what is left goes when it can, from the pair's own memory. */
static void await_room(sp_stream_t *stream) {
  const void *bytes;
  size_t n = sp_pair_encrypted_out(stream->pair, &bytes);
  if (!n)
    return;
  int status = stream->transport->await_room(stream, bytes, n);
  if (status < 0)
    sp__stream_fail_writing(stream, status);
  else
    stream->full = true;
}

/* Gives the transport what the pair has. Returns 1 when it took all, 0 when it is full. */
static int give(sp_stream_t *stream) {
  const void *bytes;
  size_t n;
  while ((n = sp_pair_encrypted_out(stream->pair, &bytes))) {
    int wrote = stream->transport->send(stream, bytes, n);
    if (wrote == UV_EAGAIN || stream->closing)
      return 0;
    if (wrote < 0)
      return wrote;
    passed(stream, (size_t)wrote);
    if ((size_t)wrote < n)
      return 0;
  }
  return 1;
}

static void pump(sp_stream_t *stream) {
  int status, gave = 1;
  do {
    size_t before = stream->queued + stream->pair->ahead;
    status = stream->failed ? 0 : encrypt(stream);
    gave = give(stream);
    if (stream->queued == before && gave == 1)
      break; /* nothing was ahead, nothing moved: done, or not secure yet */
  } while (gave == 1 && status == 0 && stream->queue.first);
  if (gave < 0) {
    sp__stream_fail_writing(stream, gave);
    return;
  }
  if (status < 0)
    sp__stream_fail(stream, sp_pair_error(stream->pair));
}

/* Whether the transport may be given something: a hook may have destroyed the stream. */
static bool can_give(const sp_stream_t *stream) {
  return !stream->full && !stream->broken && !stream->closing;
}

void sp__stream_lend(sp_stream_t *stream) {
  stream->loop->lent = true;
  sp_pair_lend(stream->pair, stream->loop->out, sizeof stream->loop->out);
  if (stream->held)
    sp__pair_gather(stream->pair);
  stream->held = false;
}

static void take_back(sp_stream_t *stream) {
  stream->loop->lent = false;
  if (sp_pair_unlend(stream->pair) < 0)
    sp__stream_fail(stream, sp_pair_error(stream->pair));
}

void sp__stream_hold_lent(sp_stream_t *stream) {
  stream->held = true;
  take_back(stream);
}

void sp__stream_send_held(sp_stream_t *stream) {
  if (!stream->held || !can_give(stream))
    return;
  bool lent = stream->loop->lent;
  stream->held = false;
  stream->loop->lent = true; /* as ever while a transport is given something */
  (void)give(stream);        /* whether it can or not: this was the last */
  stream->loop->lent = lent;
}

/* For n bytes of cleartext: with many, which fill the slab, nothing leaves together. */
static void lend_for(sp_stream_t *stream, size_t n) {
  if (n > FEW)
    sp__stream_send_held(stream);
  sp__stream_lend(stream);
}

void sp__stream_flush_lent(sp_stream_t *stream) {
  if (can_give(stream))
    pump(stream);
  take_back(stream);
  if (can_give(stream))
    await_room(stream);
  settle_sent(stream);
}

void sp__stream_flush(sp_stream_t *stream) {
  if (sp__stream_is_away(stream))
    return;
  bool has_work = stream->queue.first || stream->sent.first || stream->pair->ahead ||
                  (stream->ending && stream->secure && !stream->pair->ended);
  if (stream->closing || stream->full || stream->fin || !stream->io || !has_work)
    return;
  if (stream->secure && stream->queue.first)
    sp__stream_touch(stream);
  lend_for(stream, stream->queued);
  sp__stream_flush_lent(stream);
}

/* -- the program's side ------------------------------------------------------------------------ */

/* The last flight of the handshake, while it is held, is nothing that the program wrote. */
size_t sp_stream_pending(const sp_stream_t *stream) {
  bool here = stream->pair && !sp__stream_is_away(stream) && !stream->held;
  return stream->queued + (here ? stream->pair->ahead : 0);
}

static int may_write(const sp_stream_t *stream, size_t n) {
  if (stream->error)
    return stream->error->status;
  if (stream->closing)
    return UV_ECANCELED;
  if (stream->ending)
    return SP_EENDED;
  return n > stream->write_limit || stream->queued > stream->write_limit - n ? SP_EOVERFLOW : 0;
}

static int answer(sp_stream_t *stream) {
  if (sp_stream_pending(stream) < stream->high_water)
    return 1;
  stream->need_drain = true;
  return 0;
}

int sp_stream_send(sp_stream_t *stream, const void *bytes, size_t n) {
  int status = may_write(stream, n);
  if (status < 0)
    return status;
  if (n && (status = queue_copy(stream, bytes, n)) < 0)
    return status;
  sp__stream_put_off(stream);
  return answer(stream);
}

int sp_stream_write(sp_write_t *request, sp_stream_t *stream, const void *bytes, size_t n,
                    sp_write_cb callback) {
  int status = may_write(stream, n);
  if (status < 0)
    return status;
  request->stream = stream;
  request->callback = callback;
  request->bytes = bytes;
  request->size = n;
  request->status = 0;
  sp__queue_add(&stream->queue, request);
  stream->queued += n;
  sp__stream_put_off(stream);
  return answer(stream);
}

void sp_stream_flush(sp_stream_t *stream) {
  if (!stream->secure || stream->pair->busy || stream->loop->lent)
    return;
  sp__stream_flush(stream);
  sp__stream_put_off(stream); /* what was passed on may be told */
}

static bool can_go_at_once(const sp_stream_t *stream) {
  return stream->secure && !stream->queue.first && !stream->full && !stream->failed &&
         !stream->broken && (!stream->pair->ahead || stream->held) && !stream->pair->busy &&
         !stream->loop->lent;
}

/* Encrypts straight from the caller's memory as long as the transport takes it. */
static size_t push_at_once(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  size_t done = 0, took;
  int gave = 1;
  sp__stream_touch(stream);
  lend_for(stream, n);
  do {
    if (sp_pair_cleartext_in(stream->pair, bytes + done, n - done, &took) < 0)
      sp__stream_fail(stream, sp_pair_error(stream->pair));
    done += took;
    count_written(stream, took);
    gave = give(stream);
  } while (gave == 1 && took && done < n);
  if (gave < 0)
    sp__stream_fail_writing(stream, gave);
  sp__stream_flush_lent(stream);
  return done;
}

ssize_t sp_stream_try(sp_stream_t *stream, const void *bytes, size_t n) {
  int status = may_write(stream, 0);
  if (status < 0 || !n)
    return status;
  size_t done = can_go_at_once(stream) ? push_at_once(stream, bytes, n) : 0;
  if (done == n)
    return (ssize_t)done;
  stream->need_drain = true;
  sp__stream_put_off(stream);
  return done || (status = may_write(stream, 0)) == 0 ? (ssize_t)done : status;
}

int sp__stream_push(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  int status = may_write(stream, 0); /* a pipe is bounded by high_water, not by write_limit */
  if (status < 0)
    return status;
  size_t done = can_go_at_once(stream) ? push_at_once(stream, bytes, n) : 0;
  if ((status = may_write(stream, 0)) < 0)
    return status;
  if (done < n && (status = queue_copy(stream, bytes + done, n - done)) < 0) {
    sp__stream_fail(stream, &sp__memory_error); /* a hole in what was piped must not go unseen */
    return status;
  }
  sp__stream_put_off(stream);
  return sp_stream_pending(stream) < stream->high_water;
}

/* -- callbacks --------------------------------------------------------------------------------- */

static void cancel(sp_stream_t *stream, sp__queue_t *queue, int status) {
  sp_write_t *request;
  while ((request = sp__queue_take(queue))) {
    if (is_chunk(request)) {
      chunk_put(stream->loop, (sp__chunk_t *)request);
      continue;
    }
    request->status = status;
    sp__queue_add(&stream->done, request);
  }
}

void sp__stream_cancel_writes(sp_stream_t *stream, int status) {
  cancel(stream, &stream->sent, status);
  cancel(stream, &stream->queue, status);
  stream->queued = 0;
}

void sp__stream_tell_writes(sp_stream_t *stream) {
  sp_write_t *request;
  while ((request = sp__queue_take(&stream->done)))
    if (request->callback)
      request->callback(request, request->status);
}
