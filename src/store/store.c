/* Questions and answers. A question has a number, not an address: an answer that comes too late
 * finds nobody, and touches nothing. */
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/memory.h"

#define ROWS 64

struct sp_store {
  atomic_uint references;
  sp_store_methods_t methods;
  void *data;
  pthread_mutex_t lock; /* of what follows */
  uint64_t last;        /* question */
  sp__list_t open[ROWS];
};

/* -- life -------------------------------------------------------------------------------------- */

static bool is_complete(const sp_store_methods_t *m) {
  return m->size >= sizeof *m && m->get && m->take && m->set && m->add && m->remove;
}

int sp_store_new(sp_store_t **made, const sp_store_methods_t *methods, void *data) {
  *made = NULL;
  if (!is_complete(methods))
    return SP_EOPTION;
  sp_store_t *store = sp__zalloc(sizeof *store);
  if (!store || pthread_mutex_init(&store->lock, NULL)) {
    sp__free(store);
    return -ENOMEM;
  }
  atomic_init(&store->references, 1);
  store->methods = *methods;
  store->data = data;
  for (size_t i = 0; i < ROWS; i++)
    sp__list_init(&store->open[i]);
  *made = store;
  return 0;
}

sp_store_t *sp_store_retain(sp_store_t *store) {
  atomic_fetch_add_explicit(&store->references, 1, memory_order_relaxed);
  return store;
}

void sp_store_release(sp_store_t *store) {
  if (!store || atomic_fetch_sub_explicit(&store->references, 1, memory_order_acq_rel) != 1)
    return;
  if (store->methods.release)
    store->methods.release(store->data);
  pthread_mutex_destroy(&store->lock);
  sp__free(store);
}

void *sp__store_data(const sp_store_t *store, void (*release)(void *data)) {
  return store->methods.release == release ? store->data : NULL;
}

/* -- open questions ---------------------------------------------------------------------------- */

static uint64_t begin(sp_store_t *store, sp__query_t *query) {
  pthread_mutex_lock(&store->lock);
  query->question = ++store->last;
  sp__list_append(&store->open[query->question % ROWS], &query->node);
  pthread_mutex_unlock(&store->lock);
  return query->question;
}

/* NULL: nobody waits for it. */
static sp__query_t *end(sp_store_t *store, uint64_t question) {
  sp__query_t *found = NULL;
  pthread_mutex_lock(&store->lock);
  sp__list_t *row = &store->open[question % ROWS], *node = row->next;
  while (node != row && SP__OF(node, sp__query_t, node)->question != question)
    node = node->next;
  if (node != row) {
    found = SP__OF(node, sp__query_t, node);
    sp__list_remove(node);
    found->question = 0;
  }
  pthread_mutex_unlock(&store->lock);
  return found;
}

void sp__store_ask(sp_store_t *store, sp__verb_t verb, sp__bytes_t key, sp__bytes_t value,
                   unsigned lifetime, sp__query_t *query) {
  const sp_store_methods_t *m = &store->methods;
  uint64_t question = query ? begin(store, query) : 0;
  switch (verb) {
  case SP__GET:
    m->get(store->data, question, key.at, key.n);
    break;
  case SP__TAKE:
    m->take(store->data, question, key.at, key.n);
    break;
  case SP__SET:
    m->set(store->data, question, key.at, key.n, value.at, value.n, lifetime);
    break;
  case SP__ADD:
    m->add(store->data, question, key.at, key.n, value.at, value.n, lifetime);
    break;
  case SP__REMOVE:
    m->remove(store->data, question, key.at, key.n);
    break;
  }
}

void sp__store_forget(sp_store_t *store, sp__query_t *query) {
  if (query->question)
    (void)end(store, query->question);
}

void sp_store_answer(sp_store_t *store, uint64_t question, int status, const void *value,
                     size_t n) {
  sp__query_t *query = question ? end(store, question) : NULL;
  if (query)
    query->answered(query, status, value, value ? n : 0);
}
