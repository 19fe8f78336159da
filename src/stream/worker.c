/*
 * Handshakes on libuv's worker threads. A worker has the pair of a stream for one step: the bytes
 * that came are copied for it, what it has to send lies in the pair, and hooks and events are the
 * loop's. What happens to the stream meanwhile is done when the pair is back.
 */
#include "stream/worker.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/finale.h"
#include "base/memory.h"
#include "pair/pair.h"
#include "stream/count.h"

struct sp__worker {
  uv_work_t request;
  sp__apart_t apart;
  sp_stream_t *stream;
  int failure;   /* of the transport meanwhile */
  bool too_late; /* nothing was done: the process ends */
  size_t n;
  uint8_t bytes[];
};

static sp__worker_t *worker_of(const sp_stream_t *stream) {
  return SP__OF(stream->pair->apart, sp__worker_t, apart);
}

bool sp__stream_is_away(const sp_stream_t *stream) {
  return stream->by_worker && stream->pair && sp__pair_is_away(stream->pair);
}

/* -- how many at once -------------------------------------------------------------------------- */

static unsigned limit;
static uv_once_t once = UV_ONCE_INIT;

/* Where there are processors to spare, as many as there are threads (libuv makes four unless this
 * variable says otherwise) and as many again that are ready when one is done; else no more than can
 * run, or the loop itself would have to wait among them. */
static void find_limit(void) {
  const char *text = getenv("UV_THREADPOOL_SIZE");
  int number = text ? atoi(text) : 4;
  unsigned threads = number < 1 ? 1 : (unsigned)number;
  unsigned processors = uv_available_parallelism();
  limit = processors > threads ? 2 * threads : processors;
}

unsigned sp__workers_limit(void) {
  uv_once(&once, find_limit);
  return limit;
}

static bool are_busy(const sp__loop_t *loop) { return loop->away >= sp__workers_limit(); }

/* First come first served. Who has begun and who is new take turns: neither do many that begin keep
 * others from their end, nor many that go on in small steps keep others from their beginning. */
static void queue(sp_stream_t *stream) {
  if (!sp__list_is_empty(&stream->waiting))
    return;
  sp__list_append(&stream->loop->ashore[sp_pair_bytes_in(stream->pair) > 0], &stream->waiting);
  SP__COUNT(stream, waiting, 1);
}

static sp_stream_t *next_in_queue(sp__loop_t *loop) {
  sp__list_t *list = &loop->ashore[loop->new_last];
  if (sp__list_is_empty(list))
    list = &loop->ashore[!loop->new_last];
  if (sp__list_is_empty(list))
    return NULL;
  loop->new_last = list == &loop->ashore[0];
  return SP__OF(list->next, sp_stream_t, waiting);
}

static void serve_queue(sp__loop_t *loop) {
  sp_stream_t *stream;
  while (!are_busy(loop) && (stream = next_in_queue(loop))) {
    sp__stream_leave_turns(stream);
    sp__stream_go_on(stream);
    sp__stream_put_off(stream);
  }
}

/* -- there ------------------------------------------------------------------------------------- */

static void work(uv_work_t *request) {
  sp__worker_t *worker = request->data;
  worker->too_late = !sp__finale_begin();
  if (worker->too_late)
    return;
  (void)sp__pair_drive(worker->stream->pair); /* an error is sticky */
  sp__finale_end();
}

static void on_worked(uv_work_t *request, int status);

static void depart(sp__worker_t *worker) {
  sp__loop_t *loop = worker->stream->loop;
  sp__finale_watch();
  loop->away++;
  sp__pair_depart(worker->stream->pair, &worker->apart);
  (void)uv_queue_work(loop->uv, &worker->request, work, on_worked); /* fails for bad arguments */
}

static sp__worker_t *worker_new(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  sp__worker_t *worker = sp__alloc(sizeof *worker + n);
  if (!worker)
    return NULL;
  memset(worker, 0, sizeof *worker);
  worker->request.data = worker;
  worker->stream = stream;
  worker->n = n;
  if (n)
    memcpy(worker->bytes, bytes, n);
  return worker;
}

bool sp__worker_suits(const sp_stream_t *stream) {
  return stream->by_worker && sp__pair_may_leave(stream->pair);
}

static bool may_go(const sp_stream_t *stream) {
  unsigned not_now = SP_PAIR_SECURE | SP_PAIR_FAILED | SP_PAIR_WAITING;
  return sp__worker_suits(stream) && !stream->full && !stream->broken &&
         !(sp_pair_state(stream->pair) & not_now);
}

sp__passage_t sp__worker_take(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  if (!may_go(stream) || (n && !sp__pair_has_first_record(stream->pair, bytes, n)))
    return SP__STAYS; /* who sends it byte by byte is no work for a thread */
  if (are_busy(stream->loop)) {
    queue(stream);
    return SP__QUEUES;
  }
  sp__worker_t *worker = worker_new(stream, bytes, n);
  if (!worker)
    return SP__STAYS;
  sp__stream_leave_turns(stream);
  stream->pair->in = worker->bytes;
  stream->pair->in_left = n;
  depart(worker);
  return SP__LEFT;
}

/* -- and back ---------------------------------------------------------------------------------- */

static void dismiss(sp__worker_t *worker) {
  sp__pair_stay(worker->stream->pair);
  sp__free(worker);
}

/* Nobody is interested any more. */
static void drop(sp__worker_t *worker) {
  sp_stream_t *stream = worker->stream;
  (void)sp_pair_encrypted_release(stream->pair);
  dismiss(worker);
  if (stream->io_closed)
    sp__stream_closed(stream);
}

/* What came before the transport failed comes first. */
static void fail_now(sp_stream_t *stream, int failure) {
  sp__stream_read_on(stream);
  if (!stream->closing)
    sp__stream_input(stream, NULL, failure);
}

bool sp__worker_keeps(sp_stream_t *stream, int failure) {
  if (!sp__stream_is_away(stream))
    return false;
  worker_of(stream)->failure = failure;
  return true;
}

/* What the engine had to say goes out before anybody is told, as ever. */
static void come_back(sp__worker_t *worker) {
  sp_stream_t *stream = worker->stream;
  stream->broken |= worker->failure != 0;
  sp__stream_lend(stream);
  bool again = sp__pair_return(stream->pair);
  sp__stream_flush_lent(stream);
  if (again && !stream->closing && !stream->failed && !stream->full && !stream->broken) {
    depart(worker);
    return;
  }
  int failure = worker->failure;
  sp__stream_step_done(stream, worker->bytes, worker->n);
  dismiss(worker);
  if (failure && !stream->closing)
    fail_now(stream, failure);
  sp__stream_put_off(stream);
}

/* exit() was called, on another thread than the loop's. A handshake that waited for more would keep
 * the loop busy, or whoever waits for the loop waiting. */
static void give_up(sp__worker_t *worker) {
  sp_stream_t *stream = worker->stream;
  sp_error_t error;
  drop(worker);
  sp__fail(&error, UV_ECANCELED, SP_US, "this program is ending: it makes no connections any more");
  stream->broken = true; /* no alert can be made any more */
  sp__stream_fail(stream, &error);
}

static void on_worked(uv_work_t *request, int status) {
  sp__worker_t *worker = request->data;
  const sp_stream_t *stream = worker->stream;
  sp__loop_t *loop = stream->loop;
  (void)status; /* cancelled: then the stream is closing */
  loop->away--;
  sp__loop_retain(loop);
  sp__loop_enter(loop);
  if (stream->closing || stream->failed)
    drop(worker);
  else if (worker->too_late)
    give_up(worker);
  else
    come_back(worker);
  serve_queue(loop);
  sp__loop_leave(loop);
  sp__loop_release(loop);
}

void sp__worker_cancel(sp_stream_t *stream) {
  if (sp__stream_is_away(stream)) /* fails when it is at work: then we wait until it is done */
    (void)uv_cancel((uv_req_t *)&worker_of(stream)->request);
}
