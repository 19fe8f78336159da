#include "clock.h"

#include <stdatomic.h>
#include <time.h>

static atomic_long shift; /* threads of the library ask, too */

void clock_shift(long seconds) { atomic_store(&shift, seconds); }

/* In place of the C library's, for OpenSSL too. */
time_t time(time_t *room) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  time_t seconds = now.tv_sec + atomic_load(&shift);
  if (room)
    *room = seconds;
  return seconds;
}
