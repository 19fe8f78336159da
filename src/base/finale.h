/* The end of the process while threads of libuv's pool work for us. */
#ifndef SP_BASE_FINALE_H
#define SP_BASE_FINALE_H

#include <stdbool.h>

/* Before the first worker sets out: exit() then waits for those who are at work, and lets nobody
 * begin any more, before OpenSSL frees what they need. */
void sp__finale_watch(void);

/* By a worker: false when it is too late. Each true is followed by an end. */
bool sp__finale_begin(void);
void sp__finale_end(void);

#endif
