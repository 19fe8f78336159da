/* The time of day, as everything in this process sees it, moved without waiting. */
#ifndef TEST_SUPPORT_CLOCK_H
#define TEST_SUPPORT_CLOCK_H

/* Seconds from the real time on; 0: back to it. */
void clock_shift(long seconds);

#endif
