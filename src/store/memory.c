/*
 * A store in memory. It is cut into shards, each with a lock, a hash table and a list in the order
 * of use, so that threads seldom wait for each other; each shard has its part of the bytes.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/error.h"
#include "base/memory.h"
#include "store/store.h"

#define LEAST_BYTES ((size_t)65536)
#define SHARDS 16u
#define SHARD_LEAST ((size_t)1 << 18) /* bytes; a smaller store has fewer shards */
#define FIRST_BUCKETS 16u
#define SWEPT 2 /* old entries that are looked at when a new one comes */

typedef struct entry {
  sp__list_t use;      /* the one used longest ago comes first */
  struct entry *chain; /* in its bucket */
  uint64_t hash;
  time_t until;
  size_t key_size, value_size;
  uint8_t bytes[]; /* key, value */
} entry_t;

typedef struct shard {
  pthread_mutex_t lock;
  entry_t **buckets;
  size_t bucket_count; /* a power of two */
  size_t count, bytes;
  sp__list_t use;
} shard_t;

typedef struct memory {
  sp_store_t *store; /* that it is the inside of */
  uint64_t seed;
  size_t shard_bytes; /* that each may hold */
  unsigned shard_count;
  shard_t shards[SHARDS];
} memory_t;

/* -- entries ----------------------------------------------------------------------------------- */

/* FNV-1a from a secret start, stirred at the end: the library's keys are hashes already. */
static uint64_t hash_of(const memory_t *memory, sp__bytes_t key) {
  uint64_t hash = memory->seed;
  for (size_t i = 0; i < key.n; i++)
    hash = (hash ^ ((const uint8_t *)key.at)[i]) * 0x100000001b3u;
  hash ^= hash >> 32;
  hash *= 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 29;
}

/* With its share of the buckets and what an allocator adds. */
static size_t cost_of(size_t key_size, size_t value_size) {
  return sizeof(entry_t) + key_size + value_size + 2 * sizeof(entry_t *) + 16;
}

static size_t cost(const entry_t *entry) { return cost_of(entry->key_size, entry->value_size); }

static void entry_free(entry_t *entry) {
  sp__wipe(entry->bytes, entry->key_size + entry->value_size);
  sp__free(entry);
}

static shard_t *shard_of(memory_t *memory, uint64_t hash) {
  return &memory->shards[(hash >> 48) % memory->shard_count];
}

/* -- a shard, locked --------------------------------------------------------------------------- */

static entry_t **place_of(shard_t *shard, uint64_t hash, sp__bytes_t key) {
  entry_t **at = &shard->buckets[hash & (shard->bucket_count - 1)];
  while (*at && ((*at)->hash != hash || (*at)->key_size != key.n ||
                 memcmp((*at)->bytes, key.at, key.n) != 0))
    at = &(*at)->chain;
  return at;
}

static entry_t *take_out(shard_t *shard, entry_t **at) {
  entry_t *entry = *at;
  *at = entry->chain;
  sp__list_remove(&entry->use);
  shard->count--;
  shard->bytes -= cost(entry);
  return entry;
}

static void drop(shard_t *shard, entry_t *entry) {
  sp__bytes_t key = {entry->bytes, entry->key_size};
  entry_t **at = place_of(shard, entry->hash, key);
  if (*at)
    entry_free(take_out(shard, at));
}

/* One that is past its lifetime is not there. */
static entry_t **find(shard_t *shard, uint64_t hash, sp__bytes_t key) {
  entry_t **at = place_of(shard, hash, key);
  if (*at && (*at)->until <= time(NULL))
    entry_free(take_out(shard, at));
  else if (*at)
    return at;
  return NULL;
}

/* Without memory the chains just get longer. */
static void grow(shard_t *shard) {
  size_t count = shard->bucket_count * 2;
  entry_t **buckets = sp__zalloc(count * sizeof *buckets);
  if (!buckets)
    return;
  for (sp__list_t *node = shard->use.next; node != &shard->use; node = node->next) {
    entry_t *entry = SP__OF(node, entry_t, use), **at = &buckets[entry->hash & (count - 1)];
    entry->chain = *at;
    *at = entry;
  }
  sp__free(shard->buckets);
  shard->buckets = buckets;
  shard->bucket_count = count;
}

static entry_t *oldest(const shard_t *shard) {
  return sp__list_is_empty(&shard->use) ? NULL : SP__OF(shard->use.next, entry_t, use);
}

/* What is over goes, and then what was not used for longest. */
static void make_room(shard_t *shard, size_t limit, size_t needed) {
  time_t now = time(NULL);
  for (int i = 0; i < SWEPT && oldest(shard) && oldest(shard)->until <= now; i++)
    drop(shard, oldest(shard));
  while (shard->bytes + needed > limit && oldest(shard))
    drop(shard, oldest(shard));
}

static void put_in(shard_t *shard, entry_t *entry, size_t limit) {
  make_room(shard, limit, cost(entry));
  if (shard->count >= shard->bucket_count)
    grow(shard);
  entry_t **at = &shard->buckets[entry->hash & (shard->bucket_count - 1)];
  entry->chain = *at;
  *at = entry;
  sp__list_append(&shard->use, &entry->use);
  shard->count++;
  shard->bytes += cost(entry);
}

/* -- what a store does ------------------------------------------------------------------------- */

static entry_t *entry_new(const memory_t *memory, sp__bytes_t key, sp__bytes_t value,
                          unsigned lifetime) {
  entry_t *entry = sp__alloc(sizeof *entry + key.n + value.n);
  if (!entry)
    return NULL;
  *entry = (entry_t){.hash = hash_of(memory, key),
                     .until = time(NULL) + (time_t)lifetime,
                     .key_size = key.n,
                     .value_size = value.n};
  memcpy(entry->bytes, key.at, key.n);
  if (value.n)
    memcpy(entry->bytes + key.n, value.at, value.n);
  return entry;
}

/* `replace`: takes the place of one that is there. */
static int put(memory_t *memory, sp__bytes_t key, sp__bytes_t value, unsigned lifetime,
               bool replace) {
  size_t most = memory->shard_bytes;
  if (key.n > most || value.n > most || cost_of(key.n, value.n) > most)
    return SP_EOVERFLOW;
  entry_t *entry = entry_new(memory, key, value, lifetime);
  if (!entry)
    return -ENOMEM;
  shard_t *shard = shard_of(memory, entry->hash);
  pthread_mutex_lock(&shard->lock);
  entry_t **there = find(shard, entry->hash, key);
  bool fresh = replace || !there;
  if (there && replace)
    entry_free(take_out(shard, there));
  if (fresh)
    put_in(shard, entry, most);
  pthread_mutex_unlock(&shard->lock);
  if (!fresh)
    entry_free(entry);
  return fresh;
}

static entry_t *pull(memory_t *memory, sp__bytes_t key) {
  uint64_t hash = hash_of(memory, key);
  shard_t *shard = shard_of(memory, hash);
  pthread_mutex_lock(&shard->lock);
  entry_t **there = find(shard, hash, key), *entry = there ? take_out(shard, there) : NULL;
  pthread_mutex_unlock(&shard->lock);
  return entry;
}

/* 1 with a copy, which is the caller's. */
static int copy(memory_t *memory, sp__bytes_t key, char **value, size_t *n) {
  uint64_t hash = hash_of(memory, key);
  shard_t *shard = shard_of(memory, hash);
  *value = NULL;
  pthread_mutex_lock(&shard->lock);
  entry_t **there = find(shard, hash, key), *entry = there ? *there : NULL;
  if (entry) {
    *n = entry->value_size;
    *value = sp__copy_bytes(entry->bytes + entry->key_size, *n);
    sp__list_remove(&entry->use);
    sp__list_append(&shard->use, &entry->use);
  }
  pthread_mutex_unlock(&shard->lock);
  return !entry ? 0 : *value ? 1 : -ENOMEM;
}

static void do_get(void *data, uint64_t question, const void *key, size_t n) {
  memory_t *memory = data;
  char *value;
  size_t size = 0;
  int status = copy(memory, (sp__bytes_t){key, n}, &value, &size);
  sp_store_answer(memory->store, question, status, value, size);
  sp__wipe(value, size);
  sp__free(value);
}

static void do_take(void *data, uint64_t question, const void *key, size_t n) {
  memory_t *memory = data;
  entry_t *entry = pull(memory, (sp__bytes_t){key, n});
  if (!entry) {
    sp_store_answer(memory->store, question, 0, NULL, 0);
    return;
  }
  sp_store_answer(memory->store, question, 1, entry->bytes + entry->key_size, entry->value_size);
  entry_free(entry);
}

static void do_set(void *data, uint64_t question, const void *key, size_t n, const void *value,
                   size_t value_size, unsigned lifetime) {
  memory_t *memory = data;
  int status = put(memory, (sp__bytes_t){key, n}, (sp__bytes_t){value, value_size}, lifetime, true);
  sp_store_answer(memory->store, question, status, NULL, 0);
}

static void do_add(void *data, uint64_t question, const void *key, size_t n, const void *value,
                   size_t value_size, unsigned lifetime) {
  memory_t *memory = data;
  int status =
      put(memory, (sp__bytes_t){key, n}, (sp__bytes_t){value, value_size}, lifetime, false);
  sp_store_answer(memory->store, question, status, NULL, 0);
}

static void do_remove(void *data, uint64_t question, const void *key, size_t n) {
  memory_t *memory = data;
  entry_t *entry = pull(memory, (sp__bytes_t){key, n});
  if (entry)
    entry_free(entry);
  sp_store_answer(memory->store, question, entry != NULL, NULL, 0);
}

/* -- life -------------------------------------------------------------------------------------- */

static void shard_destroy(shard_t *shard) {
  while (oldest(shard))
    drop(shard, oldest(shard));
  sp__free(shard->buckets);
  pthread_mutex_destroy(&shard->lock);
}

static bool shard_init(shard_t *shard) {
  sp__list_init(&shard->use);
  shard->bucket_count = FIRST_BUCKETS;
  shard->buckets = sp__zalloc(FIRST_BUCKETS * sizeof *shard->buckets);
  if (shard->buckets && pthread_mutex_init(&shard->lock, NULL) == 0)
    return true;
  sp__free(shard->buckets);
  return false;
}

static void do_release(void *data) {
  memory_t *memory = data;
  for (unsigned i = 0; i < memory->shard_count; i++)
    shard_destroy(&memory->shards[i]);
  sp__free(memory);
}

static memory_t *memory_new(size_t max_bytes) {
  memory_t *memory = sp__zalloc(sizeof *memory);
  if (!memory)
    return NULL;
  unsigned shards = SHARDS;
  while (shards > 1 && max_bytes / shards < SHARD_LEAST)
    shards /= 2;
  memory->shard_bytes = max_bytes / shards;
  if (getrandom(&memory->seed, sizeof memory->seed, 0) != sizeof memory->seed)
    memory->seed = 0xcbf29ce484222325u ^ (uintptr_t)memory;
  while (memory->shard_count < shards && shard_init(&memory->shards[memory->shard_count]))
    memory->shard_count++;
  if (memory->shard_count == shards)
    return memory;
  do_release(memory);
  return NULL;
}

int sp_memory_store_new(sp_store_t **store, size_t max_bytes, sp_error_t *why) {
  static const sp_store_methods_t methods = {.size = sizeof methods,
                                             .get = do_get,
                                             .take = do_take,
                                             .set = do_set,
                                             .add = do_add,
                                             .remove = do_remove,
                                             .release = do_release};
  *store = NULL;
  if (max_bytes < LEAST_BYTES)
    return sp__fail(why, SP_EOPTION, SP_US, "max_bytes: %zu are too few for sessions: at least %zu",
                    max_bytes, LEAST_BYTES);
  memory_t *memory = memory_new(max_bytes);
  if (!memory)
    return sp__fail_memory(why);
  int status = sp_store_new(store, &methods, memory);
  if (status < 0) {
    do_release(memory);
    return sp__fail_memory(why);
  }
  memory->store = *store;
  return 0;
}

void sp_memory_store_usage(sp_store_t *store, size_t *count, size_t *bytes) {
  memory_t *memory = sp__store_data(store, do_release);
  size_t all = 0, taken = 0;
  for (unsigned i = 0; memory && i < memory->shard_count; i++) {
    pthread_mutex_lock(&memory->shards[i].lock);
    all += memory->shards[i].count;
    taken += memory->shards[i].bytes;
    pthread_mutex_unlock(&memory->shards[i].lock);
  }
  if (count)
    *count = all;
  if (bytes)
    *bytes = taken;
}
