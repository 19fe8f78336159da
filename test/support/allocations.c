#include "allocations.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <securepair/error.h>
#include <uv.h>

typedef struct ledger {
  atomic_size_t made[ALLOCATORS], held[ALLOCATORS], peak[ALLOCATORS];
} ledger_t;

/* A thread's ledger outlives it: others may free what it allocated. */
#define THREADS 256
static ledger_t ledgers[THREADS];
static atomic_size_t threads;
static _Thread_local ledger_t *mine;

typedef struct head {
  ledger_t *ledger;
  size_t size;
} head_t;

static ledger_t *ledger(void) {
  if (!mine)
    mine = &ledgers[atomic_fetch_add(&threads, 1) % THREADS];
  return mine;
}

static void *enter(head_t *head, size_t size, allocator_t of) {
  if (!head)
    return NULL;
  head->ledger = ledger();
  head->size = size;
  head->ledger->made[of]++;
  size_t held = atomic_fetch_add(&head->ledger->held[of], size) + size;
  if (held > head->ledger->peak[of])
    head->ledger->peak[of] = held;
  return head + 1;
}

static void *allocate(size_t size, allocator_t of) {
  return enter(malloc(sizeof(head_t) + size), size, of);
}

static void *reallocate(void *memory, size_t size, allocator_t of) {
  head_t *head = memory ? (head_t *)memory - 1 : NULL;
  ledger_t *before = head ? head->ledger : NULL;
  size_t old = head ? head->size : 0;
  head_t *moved = realloc(head, sizeof *moved + size);
  if (!moved)
    return NULL;
  if (before)
    before->held[of] -= old;
  return enter(moved, size, of);
}

static void release(void *memory, allocator_t of) {
  if (!memory)
    return;
  head_t *head = (head_t *)memory - 1;
  head->ledger->held[of] -= head->size;
  free(head);
}

static void *our_alloc(size_t size) { return allocate(size, OURS); }
static void *our_realloc(void *memory, size_t size) { return reallocate(memory, size, OURS); }
static void our_free(void *memory) { release(memory, OURS); }

static void *uv_alloc(size_t size) { return allocate(size, LIBUVS); }
static void *uv_realloc(void *memory, size_t size) { return reallocate(memory, size, LIBUVS); }
static void uv_release(void *memory) { release(memory, LIBUVS); }
static void *uv_zalloc(size_t count, size_t size) {
  void *memory = size && count > SIZE_MAX / size ? NULL : allocate(count * size, LIBUVS);
  return memory ? memset(memory, 0, count * size) : NULL;
}

static void *ssl_alloc(size_t size, const char *file, int line) {
  (void)file, (void)line;
  return size ? allocate(size, OPENSSLS) : NULL;
}
static void ssl_free(void *memory, const char *file, int line) {
  (void)file, (void)line;
  release(memory, OPENSSLS);
}
static void *ssl_realloc(void *memory, size_t size, const char *file, int line) {
  if (!size) {
    ssl_free(memory, file, line);
    return NULL;
  }
  return reallocate(memory, size, OPENSSLS);
}

void allocations_watch(void) {
  if (sp_replace_allocator(our_alloc, our_realloc, our_free) ||
      uv_replace_allocator(uv_alloc, uv_realloc, uv_zalloc, uv_release) ||
      !CRYPTO_set_mem_functions(ssl_alloc, ssl_realloc, ssl_free)) {
    fprintf(stderr, "the allocators cannot be replaced any more\n");
    abort();
  }
}

size_t allocations_made(allocator_t of) { return ledger()->made[of]; }
size_t allocations_held(allocator_t of) { return ledger()->held[of]; }
size_t allocations_peak(allocator_t of) { return ledger()->peak[of]; }

void allocations_reset_peak(void) {
  for (int of = 0; of < ALLOCATORS; of++)
    ledger()->peak[of] = ledger()->held[of];
}
