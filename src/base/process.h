/* Which process this is, without a system call. */
#ifndef SP_BASE_PROCESS_H
#define SP_BASE_PROCESS_H

#include <stdint.h>

/* Another number in a child that fork() made. */
extern uint16_t sp__process;

void sp__process_watch(void); /* before the number is of use */

#endif
