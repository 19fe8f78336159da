/* Memory for secrets: not in a core dump, kept from the swap where the system permits, wiped when
 * it is released. */
#ifndef SP_BASE_SECRET_H
#define SP_BASE_SECRET_H

#include <stddef.h>

/* n bytes, zeroed; NULL on failure. To hold bytes only: a leak checker finds no pointers in it. A
 * forked child shares what is in it, as it shares the keys of a server. Any thread. */
void *sp__secret_alloc(size_t n);

/* NULL is fine. */
void sp__secret_free(void *secret);

#endif
