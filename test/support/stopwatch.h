/* The library's monotonic clock, in the hand of a test. */
#ifndef TEST_SUPPORT_STOPWATCH_H
#define TEST_SUPPORT_STOPWATCH_H

#include <stdint.h>

/* From the first call on it stands where it is put. */
void stopwatch_set(uint64_t milliseconds);

#endif
