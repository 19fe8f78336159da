#include "stopwatch.h"

#include "base/clock.h"

static uint64_t now;

void stopwatch_set(uint64_t milliseconds) { now = milliseconds; }

/* In place of the library's. */
uint64_t sp__clock(void) { return now; }
