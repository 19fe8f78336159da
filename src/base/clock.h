/* Time that only goes forward, whatever happens to the time of day. */
#ifndef SP_BASE_CLOCK_H
#define SP_BASE_CLOCK_H

#include <stdint.h>

uint64_t sp__clock(void); /* milliseconds */

#endif
