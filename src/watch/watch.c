#include "watch/watch.h"

#include <string.h>

#include "base/error.h"
#include "base/finale.h"
#include "base/memory.h"
#include "context/build.h"
#include "context/context.h"

/* Milliseconds */
#define QUIET 50 /* from a change until it is looked at; and so long it has to stay as it is */
#define INTERVAL 1000
#define GRACE 2000
#define AGAIN 250 /* between looks at files that are waited for */

#define TRIES 20 /* to make the first context while the files are changing */

static void look(sp_watch_t *watch);

static void on_time(uv_timer_t *timer) { look(timer->data); }

/* No later than what is set already. */
static void look_in(sp_watch_t *watch, uint64_t delay) {
  if (uv_is_active((uv_handle_t *)&watch->timer) && uv_timer_get_due_in(&watch->timer) <= delay)
    return;
  (void)uv_timer_start(&watch->timer, on_time, delay, 0);
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status) {
  sp_watch_t *watch = event->data;
  (void)name, (void)events, (void)status;
  watch->was_touched = true;
  if (!watch->is_looking)
    look_in(watch, QUIET);
}

static void follow_folders(sp_watch_t *watch) {
  if (watch->look.found_folders) /* something changed */
    watch->changed_at = uv_now(watch->loop);
  if (watch->look.found_folders &&
      sp__folders_follow(&watch->folders, watch->look.folders, on_event))
    watch->was_touched = true;
  watch->look.found_folders = false;
}

/* -- what a look brought ----------------------------------------------------------------------- */

static void tell(sp_watch_t *watch, int status) {
  if (watch->on_change)
    watch->on_change(watch, status);
}

static void put_in_force(sp_watch_t *watch) {
  sp__look_t *found = &watch->look;
  sp_context_t *context = found->context;
  found->context = NULL;
  sp__context_share_tickets(context, sp__current_context(watch->current));
  sp__current_set(watch->current, context);
  sp_context_release(context);
  memcpy(found->in_force, found->digest, sizeof found->in_force);
  found->expires = found->context_expires;
  found->staple_until = found->context_staple_until;
  watch->error = sp__no_error;
  tell(watch, 0);
}

static bool was_told(const sp_watch_t *watch) {
  const sp_error_t *now = &watch->look.error;
  return watch->error.status == now->status && !strcmp(watch->error.text, now->text) &&
         !memcmp(watch->told, watch->look.digest, sizeof watch->told);
}

/* Files that are in the middle of a change get time; the fault is looked at until it is gone, since
 * what it is about need not show in the files. */
static void find_fault(sp_watch_t *watch, bool asked) {
  watch->was_touched = true;
  if (!asked && uv_now(watch->loop) - watch->changed_at < watch->grace) {
    look_in(watch, AGAIN < watch->grace ? AGAIN : watch->grace);
    return;
  }
  look_in(watch, watch->interval ? watch->interval : INTERVAL);
  if (!asked && was_told(watch))
    return;
  watch->error = watch->look.error;
  memcpy(watch->told, watch->look.digest, sizeof watch->told);
  tell(watch, watch->error.status);
}

static void take_answer(sp_watch_t *watch, bool asked) {
  switch (watch->look.seen) {
  case SP__SEEN_NOTHING:
    return;
  case SP__SEEN_CHANGE:
    watch->was_touched = true;
    watch->is_asked = watch->is_asked || asked; /* it was not answered yet */
    look_in(watch, QUIET);
    return;
  case SP__SEEN_SAME:
    watch->error = sp__no_error;
    return;
  case SP__SEEN_CONTEXT:
    put_in_force(watch);
    return;
  case SP__SEEN_FAULT:
    find_fault(watch, asked);
  }
}

/* -- looking ----------------------------------------------------------------------------------- */

static void close_handles(sp_watch_t *watch);

static void on_worker(uv_work_t *work) {
  sp_watch_t *watch = work->data;
  if (!sp__finale_begin()) { /* the process ends */
    watch->look.seen = SP__SEEN_NOTHING;
    return;
  }
  sp__look_run(&watch->look);
  sp__finale_end();
}

static void on_looked(uv_work_t *work, int status) {
  sp_watch_t *watch = work->data;
  bool asked = watch->look.is_urgent;
  bool touched = false; /* while it looked, which it need not have seen any more */
  watch->is_looking = false;
  if (watch->is_closing) {
    close_handles(watch);
    return;
  }
  if (status == 0) {
    follow_folders(watch);
    touched = watch->was_touched;
    watch->was_touched = touched || watch->look.is_fresh;
    take_answer(watch, asked);
  }
  if (watch->is_closing || watch->is_looking)
    return;
  if (watch->is_asked && watch->look.seen != SP__SEEN_CHANGE)
    look_in(watch, 0);
  else if (touched)
    look_in(watch, QUIET);
  else if (watch->interval)
    look_in(watch, watch->interval);
}

static void look(sp_watch_t *watch) {
  sp__look_t *next = &watch->look;
  next->is_urgent = watch->is_asked;
  next->has_to_read = watch->was_touched;
  watch->is_asked = watch->was_touched = false;
  watch->is_looking = true;
  (void)uv_timer_stop(&watch->timer);
  sp__finale_watch();
  (void)uv_queue_work(watch->loop, &watch->work, on_worker, on_looked); /* cannot fail */
}

int sp_watch_check(sp_watch_t *watch) {
  if (watch->is_closing)
    return UV_ECANCELED;
  watch->is_asked = true;
  if (!watch->is_looking)
    look(watch);
  return 0;
}

/* -- life -------------------------------------------------------------------------------------- */

static void watch_free(sp_watch_t *watch) {
  sp__look_free(&watch->look);
  sp__kept_drop(&watch->kept);
  sp__folders_free(&watch->folders);
  sp__current_release(watch->current);
  sp__free(watch);
}

static int set_times(sp_watch_t *watch, const sp_options_t *o, sp_error_t *why) {
  if (o->watch_interval < -1)
    return sp__fail(why, SP_EOPTION, SP_US,
                    "watch_interval: %d: give milliseconds, or -1 to look only when told",
                    o->watch_interval);
  if (o->watch_grace < -1)
    return sp__fail(why, SP_EOPTION, SP_US,
                    "watch_grace: %d: give milliseconds, or -1 to tell faults at once",
                    o->watch_grace);
  int interval = o->watch_interval ? o->watch_interval : INTERVAL;
  int grace = o->watch_grace ? o->watch_grace : GRACE;
  watch->interval = interval > 0 ? (uint64_t)interval : 0;
  watch->grace = grace > 0 ? (uint64_t)grace : 0;
  return 0;
}

/* The options without files: everything that can be wrong with them is told before a file is read.
 */
static int read_options(sp_watch_t *watch, const sp_options_t *given, sp_error_t *why) {
  sp_options_t options;
  int status = sp__options_copy(&options, given, why);
  if (status < 0 || (status = sp__options_check(&options, why)) < 0 ||
      (status = set_times(watch, &options, why)) < 0)
    return status;
  if (options.context)
    return sp__fail(why, SP_EOPTION, SP_US,
                    "context: is ready, and made of no files: leave it out and name them");
  return sp__kept_take(&watch->kept, &options, why);
}

static int make_first(sp_watch_t *watch, sp_error_t *why) {
  sp__look_t *first = &watch->look;
  if (sp__look_init(first, &watch->kept) < 0)
    return sp__fail_memory(why);
  first->is_urgent = true;
  for (int i = 0; i < TRIES; i++) {
    sp__look_run(first);
    if (first->seen != SP__SEEN_CHANGE)
      break;
  }
  sp__kept_settle(&watch->kept);
  if (first->seen == SP__SEEN_FAULT) {
    if (why)
      *why = first->error;
    return first->error.status;
  }
  if (first->seen == SP__SEEN_CHANGE)
    return sp__fail(why, UV_EBUSY, SP_US, "%s: the files are changing all the time",
                    watch->kept.files[0]);
  memcpy(first->in_force, first->digest, sizeof first->in_force);
  first->expires = first->context_expires;
  first->staple_until = first->context_staple_until;
  first->has_context = true;
  watch->can_serve = sp__context_can_serve(first->context);
  watch->current = sp__current_new(first->context);
  sp_context_release(first->context);
  first->context = NULL;
  return watch->current ? 0 : sp__fail_memory(why);
}

static int start(sp_watch_t *watch, sp_error_t *why) {
  int status =
      sp__folders_open(&watch->folders, watch->loop, watch->look.kept->file_count * 2, watch);
  if (status < 0)
    return sp__fail_memory(why);
  (void)uv_timer_init(watch->loop, &watch->timer);
  uv_unref((uv_handle_t *)&watch->timer);
  watch->timer.data = watch->work.data = watch;
  watch->open = watch->folders.count + 1;
  follow_folders(watch);
  look_in(watch, QUIET); /* what happened before the folders were followed */
  return 0;
}

int sp_watch_new(sp_watch_t **made, uv_loop_t *loop, sp_watch_cb on_change, sp_error_t *why,
                 const sp_options_t *options) {
  *made = NULL;
  sp_watch_t *watch = sp__zalloc(sizeof *watch);
  if (!watch)
    return sp__fail_memory(why);
  watch->loop = loop;
  watch->on_change = on_change;
  watch->error = sp__no_error;
  int status = read_options(watch, options, why);
  if (!status)
    status = make_first(watch, why);
  if (!status)
    status = start(watch, why);
  if (status < 0)
    watch_free(watch);
  else
    *made = watch;
  return status;
}

static void on_handle_closed(uv_handle_t *handle) {
  sp_watch_t *watch = handle->data;
  if (--watch->open)
    return;
  if (watch->on_close)
    watch->on_close(watch);
  watch_free(watch);
}

static void close_handles(sp_watch_t *watch) {
  sp__folders_close(&watch->folders, on_handle_closed);
  uv_close((uv_handle_t *)&watch->timer, on_handle_closed);
}

int sp_watch_close(sp_watch_t *watch, sp_watch_close_cb on_close) {
  if (watch->is_closing)
    return UV_EALREADY;
  watch->is_closing = true;
  watch->on_close = on_close;
  if (watch->is_looking)
    (void)uv_cancel((uv_req_t *)&watch->work); /* on_looked comes in any case */
  else
    close_handles(watch);
  return 0;
}

/* -- facts ------------------------------------------------------------------------------------- */

sp_context_t *sp_watch_context(const sp_watch_t *watch) {
  return sp__current_context(watch->current);
}

const sp_error_t *sp_watch_error(const sp_watch_t *watch) { return &watch->error; }
void sp_watch_set_data(sp_watch_t *watch, void *data) { watch->data = data; }
void *sp_watch_data(const sp_watch_t *watch) { return watch->data; }
uv_loop_t *sp_watch_loop(const sp_watch_t *watch) { return watch->loop; }
