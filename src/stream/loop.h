/* The owner object of a loop: slabs, work put off to the end of a callback, deadlines. */
#ifndef SP_STREAM_LOOP_H
#define SP_STREAM_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include <securepair/pair.h>

#include "base/list.h"

#define SP__SLAB 65536
/* A read of one slab may complete a record that was begun before: one `data` event holds both. */
#define SP__CLEAR (SP__SLAB + 16384)
#define SP__RECORD 16384
#define SP__CHUNKS_KEPT 32

/* Something to do when the callback that is running returns, or at the next turn of the loop. */
typedef struct sp__work {
  sp__list_t node;
  void (*run)(struct sp__work *work);
} sp__work_t;

/* Something to do when time has passed. */
typedef struct sp__deadline {
  sp__list_t node;
  uint64_t at; /* uv_now(), milliseconds */
  void (*run)(struct sp__deadline *deadline);
} sp__deadline_t;

/* Deadlines of one kind mostly lie equally far ahead, so that a sorted list each costs little. */
typedef enum sp__delay {
  SP__DELAY_HANDSHAKE,
  SP__DELAY_IDLE,
  SP__DELAY_LINGER,
  SP__DELAY_STORE,
  SP__DELAYS
} sp__delay_t;

typedef struct sp__loop {
  struct sp__loop *next; /* in the register of loops */
  uv_loop_t *uv;
  unsigned users;   /* streams, servers and so on; the last one closes the object */
  unsigned depth;   /* of library callbacks that run now: writes are corked */
  unsigned closing; /* handles still to close */
  unsigned hellos;  /* handshakes begun in this turn */
  bool new_last;    /* who waited for a worker thread and had one last */
  unsigned away;    /* pairs that are with worker threads */
  bool lent;        /* `out` is with a pair */
  sp__list_t work;
  sp__list_t turns;     /* work for the end of this turn */
  sp__list_t waiting;   /* streams whose handshake has to wait for a later turn */
  sp__list_t ashore[2]; /* streams that wait for a worker thread: new ones, and those that began */
  sp__list_t warm;      /* streams that may hold record buffers */
  sp__list_t deadlines[SP__DELAYS];
  uv_check_t check;
  uv_idle_t idle;
  uv_timer_t timer, sweep;
  struct sp__chunk *chunks; /* spare ones */
  unsigned chunk_count;
  struct sp__table *tables, *spare_tables; /* of events */
  unsigned spare_count;
  uint8_t in[SP__SLAB];       /* what a socket gave */
  uint8_t out[SP_PAIR_AHEAD]; /* what a socket is to take */
  uint8_t clear[SP__CLEAR];   /* decrypted */
  uint8_t gather[SP__RECORD]; /* small writes, joined */
} sp__loop_t;

/* The object of a loop, made when there is none, with one more user. NULL: no memory. */
sp__loop_t *sp__loop_use(uv_loop_t *uv);
void sp__loop_retain(sp__loop_t *loop);
void sp__loop_release(sp__loop_t *loop);

/* Around every callback that libuv makes into the library: at the end of the outermost, the work
 * put off meanwhile is done. */
void sp__loop_enter(sp__loop_t *loop);
void sp__loop_leave(sp__loop_t *loop);

/* Puts work off; once is enough. */
void sp__loop_put_off(sp__loop_t *loop, sp__work_t *work);

/* The same for the end of this turn of the loop; `soon`: without waiting for I/O first. */
void sp__loop_at_turn_end(sp__loop_t *loop, sp__work_t *work, bool soon);

/* Has the turn's end noticed, to reset what is counted by turn; `soon`: without waiting for I/O. */
void sp__loop_notice_turn(sp__loop_t *loop, bool soon);

void sp__deadline_set(sp__loop_t *loop, sp__deadline_t *deadline, sp__delay_t kind, uint64_t delay);
void sp__deadline_clear(sp__deadline_t *deadline);

/* Begins to look for streams on the warm list that went quiet. */
void sp__loop_watch_warm(sp__loop_t *loop);

#endif
