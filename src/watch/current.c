#include "watch/current.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/memory.h"

struct sp__current {
  atomic_uint references;
  atomic_uint version; /* changes with the context: readers take the lock only then */
  pthread_mutex_t lock;
  sp_context_t *context;
};

sp__current_t *sp__current_new(sp_context_t *context) {
  sp__current_t *current = sp__zalloc(sizeof *current);
  if (!current || pthread_mutex_init(&current->lock, NULL)) {
    sp__free(current);
    return NULL;
  }
  atomic_init(&current->references, 1);
  atomic_init(&current->version, 1);
  current->context = sp_context_retain(context);
  return current;
}

sp__current_t *sp__current_retain(sp__current_t *current) {
  atomic_fetch_add_explicit(&current->references, 1, memory_order_relaxed);
  return current;
}

void sp__current_release(sp__current_t *current) {
  if (!current || atomic_fetch_sub_explicit(&current->references, 1, memory_order_acq_rel) != 1)
    return;
  sp_context_release(current->context);
  pthread_mutex_destroy(&current->lock);
  sp__free(current);
}

void sp__current_set(sp__current_t *current, sp_context_t *context) {
  sp_context_retain(context);
  pthread_mutex_lock(&current->lock);
  sp_context_t *before = current->context;
  current->context = context;
  atomic_fetch_add_explicit(&current->version, 1, memory_order_release);
  pthread_mutex_unlock(&current->lock);
  sp_context_release(before);
}

sp_context_t *sp__current_context(const sp__current_t *current) { return current->context; }

/* -- those who follow -------------------------------------------------------------------------- */

void sp__source_set(sp__source_t *source, sp_context_t *context) {
  sp__source_t before = *source;
  *source = (sp__source_t){.context = context ? sp_context_retain(context) : NULL};
  sp_context_release(before.context);
  sp__current_release(before.current);
}

static void take(sp__source_t *source) {
  sp__current_t *current = source->current;
  sp_context_t *before = source->context;
  pthread_mutex_lock(&current->lock);
  source->context = sp_context_retain(current->context);
  source->version = atomic_load_explicit(&current->version, memory_order_relaxed);
  pthread_mutex_unlock(&current->lock);
  sp_context_release(before);
}

void sp__source_follow(sp__source_t *source, sp__current_t *current) {
  sp__current_retain(current); /* it may be the one that is let go of */
  sp__source_set(source, NULL);
  source->current = current;
  take(source);
}

sp_context_t *sp__source_context(sp__source_t *source) {
  if (source->current &&
      atomic_load_explicit(&source->current->version, memory_order_acquire) != source->version)
    take(source);
  return source->context;
}
