#include "pair/cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/list.h"
#include "base/memory.h"

#define OF_A_PEER 2 /* sessions of one that are kept */

typedef struct entry {
  sp__list_t node; /* the one used last is the last */
  sp__kept_t *kept;
  uint8_t key[SP__CACHE_KEY];
} entry_t;

struct sp_session_cache {
  atomic_uint references;
  pthread_mutex_t lock;
  sp__list_t entries;
  size_t count, bytes; /* of entries; of sessions */
  size_t most, most_bytes;
};

/* Never freed; at the end of the process it is emptied. */
static sp_session_cache_t own = {.references = 1,
                                 .lock = PTHREAD_MUTEX_INITIALIZER,
                                 .entries = {&own.entries, &own.entries},
                                 .most = SP_SESSION_CACHE_PEERS,
                                 .most_bytes = SP_SESSION_CACHE_BYTES};

__attribute__((destructor)) static void empty_own(void) { sp_session_cache_clear(&own); }

sp_session_cache_t *sp__cache_own(void) { return &own; }

static sp_session_cache_t *lock(sp_session_cache_t *cache) {
  if (!cache)
    cache = &own;
  pthread_mutex_lock(&cache->lock);
  return cache;
}

static void unlock(sp_session_cache_t *cache) { pthread_mutex_unlock(&cache->lock); }

/* -- entries ----------------------------------------------------------------------------------- */

void sp__kept_free(sp__kept_t *kept) {
  if (!kept)
    return;
  sp__wipe(kept->bytes, kept->n);
  sp__free(kept);
}

static size_t size_of(const sp__kept_t *kept) { return sizeof *kept + kept->n; }

static sp__kept_t *take_out(sp_session_cache_t *cache, sp__kept_t **link) {
  sp__kept_t *kept = *link;
  *link = kept->next;
  kept->next = NULL;
  cache->bytes -= size_of(kept);
  return kept;
}

static void drop(sp_session_cache_t *cache, entry_t *entry) {
  while (entry->kept)
    sp__kept_free(take_out(cache, &entry->kept));
  sp__list_remove(&entry->node);
  cache->count--;
  sp__free(entry);
}

static entry_t *first(const sp_session_cache_t *cache) {
  return SP__OF(cache->entries.next, entry_t, node);
}

static void keep_limits(sp_session_cache_t *cache) {
  while (cache->count > cache->most || cache->bytes > cache->most_bytes)
    drop(cache, first(cache));
}

static void drop_expired_of(sp_session_cache_t *cache, entry_t *entry, time_t now) {
  for (sp__kept_t **link = &entry->kept; *link;)
    if ((*link)->until <= now)
      sp__kept_free(take_out(cache, link));
    else
      link = &(*link)->next;
  if (!entry->kept)
    drop(cache, entry);
}

/* No secret stays longer than it is good for, as long as the cache is used. */
static void drop_expired(sp_session_cache_t *cache) {
  time_t now = time(NULL);
  for (sp__list_t *node = cache->entries.next, *next; node != &cache->entries; node = next) {
    next = node->next;
    drop_expired_of(cache, SP__OF(node, entry_t, node), now);
  }
}

static entry_t *find(sp_session_cache_t *cache, const uint8_t *key) {
  drop_expired(cache);
  for (sp__list_t *node = cache->entries.previous; node != &cache->entries; node = node->previous) {
    entry_t *entry = SP__OF(node, entry_t, node);
    if (memcmp(entry->key, key, SP__CACHE_KEY) != 0)
      continue;
    sp__list_remove(node);
    sp__list_append(&cache->entries, node);
    return entry;
  }
  return NULL;
}

static entry_t *make(sp_session_cache_t *cache, const uint8_t *key) {
  entry_t *entry = sp__zalloc(sizeof *entry);
  if (!entry)
    return NULL;
  memcpy(entry->key, key, SP__CACHE_KEY);
  sp__list_append(&cache->entries, &entry->node);
  cache->count++;
  return entry;
}

static void add(sp_session_cache_t *cache, entry_t *entry, sp__kept_t *kept) {
  sp__kept_t **link = &kept->next;
  kept->next = entry->kept;
  entry->kept = kept;
  cache->bytes += size_of(kept);
  for (int i = 1; i < OF_A_PEER && *link; i++)
    link = &(*link)->next;
  while (*link)
    sp__kept_free(take_out(cache, link));
}

/* -- for connections --------------------------------------------------------------------------- */

static sp__kept_t *copy_of(const sp__kept_t *facts, const void *bytes, size_t n) {
  sp__kept_t *kept = sp__alloc(sizeof *kept + n);
  if (!kept)
    return NULL;
  *kept = *facts;
  kept->next = NULL;
  kept->n = n;
  memcpy(kept->bytes, bytes, n);
  return kept;
}

void sp__cache_put(sp_session_cache_t *cache, const uint8_t *key, const sp__kept_t *facts,
                   const void *bytes, size_t n) {
  sp__kept_t *kept = copy_of(facts, bytes, n);
  if (!kept)
    return;
  cache = lock(cache);
  entry_t *entry = find(cache, key);
  if (size_of(kept) <= cache->most_bytes && (entry || (entry = make(cache, key))))
    add(cache, entry, kept);
  else
    sp__kept_free(kept);
  keep_limits(cache);
  unlock(cache);
}

sp__kept_t *sp__cache_take(sp_session_cache_t *cache, const uint8_t *key) {
  sp__kept_t *kept = NULL;
  cache = lock(cache);
  entry_t *entry = find(cache, key);
  if (entry && !entry->kept->once)
    kept = copy_of(entry->kept, entry->kept->bytes, entry->kept->n);
  else if (entry)
    kept = take_out(cache, &entry->kept);
  if (entry && !entry->kept)
    drop(cache, entry);
  unlock(cache);
  return kept;
}

void sp__cache_drop(sp_session_cache_t *cache, const uint8_t *key) {
  cache = lock(cache);
  entry_t *entry = find(cache, key);
  if (entry)
    drop(cache, entry);
  unlock(cache);
}

/* -- for programs ------------------------------------------------------------------------------ */

static void set_limit(sp_session_cache_t *cache, size_t peers, size_t bytes) {
  cache->most = peers ? peers : SP_SESSION_CACHE_PEERS;
  cache->most_bytes = bytes ? bytes : SP_SESSION_CACHE_BYTES;
}

int sp_session_cache_new(sp_session_cache_t **made, size_t peers, size_t bytes) {
  sp_session_cache_t *cache = sp__zalloc(sizeof *cache);
  if (!cache || pthread_mutex_init(&cache->lock, NULL)) {
    sp__free(cache);
    return -ENOMEM;
  }
  atomic_init(&cache->references, 1);
  sp__list_init(&cache->entries);
  set_limit(cache, peers, bytes);
  *made = cache;
  return 0;
}

sp_session_cache_t *sp_session_cache_retain(sp_session_cache_t *cache) {
  if (cache)
    atomic_fetch_add_explicit(&cache->references, 1, memory_order_relaxed);
  return cache;
}

void sp_session_cache_release(sp_session_cache_t *cache) {
  if (!cache || atomic_fetch_sub_explicit(&cache->references, 1, memory_order_acq_rel) != 1)
    return;
  sp_session_cache_clear(cache);
  pthread_mutex_destroy(&cache->lock);
  sp__free(cache);
}

void sp_session_cache_set_limit(sp_session_cache_t *cache, size_t peers, size_t bytes) {
  cache = lock(cache);
  set_limit(cache, peers, bytes);
  keep_limits(cache);
  unlock(cache);
}

void sp_session_cache_clear(sp_session_cache_t *cache) {
  cache = lock(cache);
  while (!sp__list_is_empty(&cache->entries))
    drop(cache, first(cache));
  unlock(cache);
}

size_t sp_session_cache_count(sp_session_cache_t *cache, size_t *bytes) {
  size_t count = 0;
  cache = lock(cache);
  for (sp__list_t *node = cache->entries.next; node != &cache->entries; node = node->next)
    for (const sp__kept_t *kept = SP__OF(node, entry_t, node)->kept; kept; kept = kept->next)
      count++;
  if (bytes)
    *bytes = cache->bytes;
  unlock(cache);
  return count;
}
