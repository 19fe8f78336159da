#include "base/process.h"

#include <pthread.h>

uint16_t sp__process;
atomic_bool sp__process_has_children;

/* Before, so that other threads of the parent know it when the child is there. */
static void before(void) { sp__process_has_children = true; }

static void in_child(void) {
  sp__process++;
  sp__process_has_children = false;
}

/* Without memory for it nobody notices a fork, as without this library. */
static void begin(void) { (void)pthread_atfork(before, NULL, in_child); }

void sp__process_watch(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, begin);
}
