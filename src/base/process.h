/* Which process this is, without a system call. */
#ifndef SP_BASE_PROCESS_H
#define SP_BASE_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Another number in a child that fork() made. */
extern uint16_t sp__process;

/* fork() was called, by whomever: to close a descriptor need not end what is at its other side, as
 * a child may have it, too. */
extern atomic_bool sp__process_has_children;

void sp__process_watch(void); /* before these are of use */

#endif
