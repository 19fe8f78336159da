#include "base/process.h"

#include <pthread.h>

uint16_t sp__process;

static void in_child(void) { sp__process++; }

/* Without memory for it nobody notices a fork, as without this library. */
static void begin(void) { (void)pthread_atfork(NULL, NULL, in_child); }

void sp__process_watch(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, begin);
}
