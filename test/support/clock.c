#include "clock.h"

#include <time.h>

static long shift;

void clock_shift(long seconds) { shift = seconds; }

/* In place of the C library's, for OpenSSL too. */
time_t time(time_t *room) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  time_t seconds = now.tv_sec + shift;
  if (room)
    *room = seconds;
  return seconds;
}
