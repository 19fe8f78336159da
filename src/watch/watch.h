/* The inside of a watch. */
#ifndef SP_WATCH_WATCH_H
#define SP_WATCH_WATCH_H

#include <securepair/watch.h>

#include "watch/current.h"
#include "watch/look.h"

struct sp_watch {
  void *data;
  uv_loop_t *loop;
  sp_watch_cb on_change;
  sp_watch_close_cb on_close;
  sp__current_t *current; /* what servers follow: outlives the watch */
  sp__kept_t kept;
  sp__look_t look; /* the worker's while `is_looking` */
  uv_work_t work;
  uv_timer_t timer; /* until the next look */
  sp__folders_t folders;
  size_t open; /* handles not closed yet */
  uint64_t interval, grace;
  uint64_t changed_at; /* uv_now when a change was last seen */
  bool can_serve;      /* each of its contexts, since the options stay the same */
  bool is_looking;
  bool was_touched; /* the system told of something, or a look was not the last word */
  bool is_asked;    /* by sp_watch_check */
  bool is_closing;
  sp_error_t error;              /* as it was told; status 0: none */
  uint8_t told[SP__DIGEST_SIZE]; /* what the files held then */
};

#endif
