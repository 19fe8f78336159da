#include "stream/loop.h"

#include <string.h>

#include "base/memory.h"
#include "stream/events.h"
#include "stream/stream.h"

#define SWEEP_EVERY 25 /* milliseconds: twice this long quiet, and the record buffers go */

/* Loops are looked up here only when a server or a connection of one's own is made. */
static sp__loop_t *loops;
static uv_mutex_t mutex;
static uv_once_t once = UV_ONCE_INIT;

static void make_mutex(void) { (void)uv_mutex_init(&mutex); }

static void on_turn_end(uv_check_t *check);
static void on_idle(uv_idle_t *idle);
static void on_deadline(uv_timer_t *timer);
static void on_sweep(uv_timer_t *timer);

static void init(sp__loop_t *loop, uv_loop_t *uv) {
  loop->uv = uv;
  sp__list_init(&loop->work);
  sp__list_init(&loop->turns);
  sp__list_init(&loop->waiting);
  for (int i = 0; i < 2; i++)
    sp__list_init(&loop->ashore[i]);
  sp__list_init(&loop->warm);
  for (int i = 0; i < SP__DELAYS; i++)
    sp__list_init(&loop->deadlines[i]);
  /* none of these can fail, says libuv's documentation */
  (void)uv_check_init(uv, &loop->check);
  (void)uv_idle_init(uv, &loop->idle);
  (void)uv_timer_init(uv, &loop->timer);
  (void)uv_timer_init(uv, &loop->sweep);
  loop->check.data = loop->idle.data = loop->timer.data = loop->sweep.data = loop;
  /* what waits in deadlines is kept alive by its transport; the check only accompanies the idle */
  uv_unref((uv_handle_t *)&loop->timer);
  uv_unref((uv_handle_t *)&loop->sweep);
  uv_unref((uv_handle_t *)&loop->check);
}

static sp__loop_t *find_or_make(uv_loop_t *uv) {
  sp__loop_t *loop = loops;
  while (loop && loop->uv != uv)
    loop = loop->next;
  if (loop || !(loop = sp__alloc(sizeof *loop)))
    return loop;
  memset(loop, 0, offsetof(sp__loop_t, in)); /* not the slabs: they are only touched when used */
  init(loop, uv);
  loop->next = loops;
  return loops = loop;
}

sp__loop_t *sp__loop_use(uv_loop_t *uv) {
  uv_once(&once, make_mutex);
  uv_mutex_lock(&mutex);
  sp__loop_t *loop = find_or_make(uv);
  if (loop)
    loop->users++;
  uv_mutex_unlock(&mutex);
  return loop;
}

void sp__loop_retain(sp__loop_t *loop) { loop->users++; }

static void free_loop(sp__loop_t *loop) {
  while (loop->chunks) {
    sp__chunk_t *chunk = loop->chunks;
    loop->chunks = chunk->spare;
    sp__wipe(chunk->bytes, sizeof chunk->bytes);
    sp__free(chunk);
  }
  sp__events_free_spare(loop);
  sp__wipe(loop->clear, sizeof loop->clear);
  sp__wipe(loop->gather, sizeof loop->gather);
  sp__free(loop);
}

static void on_handle_closed(uv_handle_t *handle) {
  sp__loop_t *loop = handle->data;
  if (!--loop->closing)
    free_loop(loop);
}

static void unregister(sp__loop_t *loop) {
  uv_mutex_lock(&mutex);
  sp__loop_t **link = &loops;
  while (*link != loop)
    link = &(*link)->next;
  *link = loop->next;
  uv_mutex_unlock(&mutex);
}

void sp__loop_release(sp__loop_t *loop) {
  if (--loop->users)
    return;
  unregister(loop);
  uv_handle_t *handles[] = {(uv_handle_t *)&loop->check, (uv_handle_t *)&loop->idle,
                            (uv_handle_t *)&loop->timer, (uv_handle_t *)&loop->sweep};
  loop->closing = 4;
  for (int i = 0; i < 4; i++)
    uv_close(handles[i], on_handle_closed);
}

/* -- work -------------------------------------------------------------------------------------- */

static bool is_closing(const sp__loop_t *loop) { return loop->closing > 0; }

static void run_all(sp__list_t *list) {
  sp__list_t now;
  sp__list_move(&now, list);
  while (!sp__list_is_empty(&now)) {
    sp__work_t *work = SP__OF(now.next, sp__work_t, node);
    sp__list_remove(&work->node);
    work->run(work);
  }
}

/* One pass over what is there now: what is put off meanwhile waits for the next turn, so that a
 * program that always has more to write does not keep everybody else waiting. */
static void run_work(sp__loop_t *loop) {
  loop->depth++;
  loop->users++;
  run_all(&loop->work);
  loop->depth--;
  if (!sp__list_is_empty(&loop->work))
    sp__loop_notice_turn(loop, true);
  sp__loop_release(loop);
}

void sp__loop_enter(sp__loop_t *loop) { loop->depth++; }

void sp__loop_leave(sp__loop_t *loop) {
  if (--loop->depth == 0 && !is_closing(loop) && !sp__list_is_empty(&loop->work))
    run_work(loop);
}

void sp__loop_notice_turn(sp__loop_t *loop, bool soon) {
  uv_check_start(&loop->check, on_turn_end);
  if (soon)
    uv_idle_start(&loop->idle, on_idle);
}

void sp__loop_put_off(sp__loop_t *loop, sp__work_t *work) {
  if (!sp__list_is_empty(&work->node))
    return;
  sp__list_append(&loop->work, &work->node);
  if (!loop->depth)
    sp__loop_notice_turn(loop, true);
}

void sp__loop_at_turn_end(sp__loop_t *loop, sp__work_t *work, bool soon) {
  if (sp__list_is_empty(&work->node))
    sp__list_append(&loop->turns, &work->node);
  sp__loop_notice_turn(loop, soon);
}

/* An idle handle keeps the loop from sleeping; what comes first, it or the check, does the work. */
static void on_idle(uv_idle_t *idle) {
  sp__loop_t *loop = idle->data;
  if (sp__list_is_empty(&loop->work))
    return;
  if (sp__list_is_empty(&loop->turns) && sp__list_is_empty(&loop->waiting))
    uv_idle_stop(idle); /* else the check has work, too, and must not wait for I/O */
  run_work(loop);
}

static void on_turn_end(uv_check_t *check) {
  sp__loop_t *loop = check->data;
  uv_check_stop(check);
  uv_idle_stop(&loop->idle);
  loop->hellos = 0;
  loop->users++;
  sp__loop_enter(loop);
  run_all(&loop->turns);
  sp__stream_serve_waiting(loop);
  sp__loop_leave(loop);
  if (!sp__list_is_empty(&loop->work) || !sp__list_is_empty(&loop->waiting))
    sp__loop_notice_turn(loop, true);
  sp__loop_release(loop);
}

/* -- deadlines --------------------------------------------------------------------------------- */

static void set_timer(sp__loop_t *loop) {
  uint64_t first = UINT64_MAX;
  for (int i = 0; i < SP__DELAYS; i++)
    if (!sp__list_is_empty(&loop->deadlines[i])) {
      uint64_t at = SP__OF(loop->deadlines[i].next, sp__deadline_t, node)->at;
      first = at < first ? at : first;
    }
  if (first == UINT64_MAX)
    return;
  uint64_t now = uv_now(loop->uv);
  if (uv_is_active((uv_handle_t *)&loop->timer) && uv_timer_get_due_in(&loop->timer) + now <= first)
    return; /* it rings early enough, and then looks again */
  uv_timer_start(&loop->timer, on_deadline, first > now ? first - now : 0, 0);
}

void sp__deadline_set(sp__loop_t *loop, sp__deadline_t *deadline, sp__delay_t kind,
                      uint64_t delay) {
  sp__deadline_clear(deadline);
  sp__list_t *list = &loop->deadlines[kind], *after = list->previous;
  deadline->at = uv_now(loop->uv) + delay;
  while (after != list && SP__OF(after, sp__deadline_t, node)->at > deadline->at)
    after = after->previous;
  sp__list_append(after->next, &deadline->node); /* before the next one */
  set_timer(loop);
}

void sp__deadline_clear(sp__deadline_t *deadline) { sp__list_remove(&deadline->node); }

static void run_due(sp__loop_t *loop, sp__list_t *list) {
  while (!sp__list_is_empty(list)) {
    sp__deadline_t *deadline = SP__OF(list->next, sp__deadline_t, node);
    if (deadline->at > uv_now(loop->uv))
      return;
    sp__deadline_clear(deadline);
    deadline->run(deadline);
  }
}

static void on_deadline(uv_timer_t *timer) {
  sp__loop_t *loop = timer->data;
  loop->users++;
  sp__loop_enter(loop);
  for (int i = 0; i < SP__DELAYS; i++)
    run_due(loop, &loop->deadlines[i]);
  set_timer(loop);
  sp__loop_leave(loop);
  sp__loop_release(loop);
}

/* -- record buffers ---------------------------------------------------------------------------- */

void sp__loop_watch_warm(sp__loop_t *loop) {
  if (!uv_is_active((uv_handle_t *)&loop->sweep))
    uv_timer_start(&loop->sweep, on_sweep, SWEEP_EVERY, SWEEP_EVERY);
}

static void on_sweep(uv_timer_t *timer) {
  sp__loop_t *loop = timer->data;
  sp__stream_cool(loop);
  if (sp__list_is_empty(&loop->warm))
    uv_timer_stop(timer);
}
