/* The inside of a store: asking it. */
#ifndef SP_STORE_STORE_H
#define SP_STORE_STORE_H

#include <securepair/store.h>

#include "base/list.h"

typedef enum sp__verb { SP__GET, SP__TAKE, SP__SET, SP__ADD, SP__REMOVE } sp__verb_t;

/* A question that waits for its answer; the asker's memory. */
typedef struct sp__query {
  sp__list_t node;
  uint64_t question; /* 0: it does not wait */
  /* called once, also from within sp__store_ask; not after sp__store_forget */
  void (*answered)(struct sp__query *query, int status, const void *value, size_t n);
} sp__query_t;

/* Bytes that are borrowed. */
typedef struct sp__bytes {
  const void *at;
  size_t n;
} sp__bytes_t;

/* `query` may be NULL: then nobody waits. `value` and `lifetime` (seconds) are for set and add. */
void sp__store_ask(sp_store_t *store, sp__verb_t verb, sp__bytes_t key, sp__bytes_t value,
                   unsigned lifetime, sp__query_t *query);

/* On the thread that asked. Also of a query that was answered. */
void sp__store_forget(sp_store_t *store, sp__query_t *query);

/* The data given to sp_store_new, if the store has this method; else NULL. */
void *sp__store_data(const sp_store_t *store, void (*release)(void *data));

#endif
