/*
 * Pages of our own. Small secrets share them, in slots that lie side by side; a large one has pages
 * to itself. What is known about the pages is kept outside of them, by the allocator.
 */
#include "base/secret.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/list.h"
#include "base/memory.h"

#define SLOT ((size_t)64)
#define SLOTS 256

typedef struct pages {
  sp__list_t node; /* among those that are shared */
  uint8_t *bytes;
  size_t size;
  unsigned used; /* slots */
  bool taken[SLOTS];
} pages_t;

/* In front of each secret. */
typedef struct head {
  pages_t *pages;
  size_t size; /* with this head, rounded up */
} head_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the list and all on it */
static sp__list_t shared = {&shared, &shared};

/* -- pages ------------------------------------------------------------------------------------- */

/* A limit on locked memory is no reason to do without; it is not changed for the host. */
static pages_t *pages_new(size_t size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  pages_t *pages = sp__zalloc(sizeof *pages);
  if (!pages)
    return NULL;
  sp__list_init(&pages->node);
  pages->size = (size + page - 1) / page * page;
  pages->bytes =
      mmap(NULL, pages->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages->bytes == MAP_FAILED) {
    sp__free(pages);
    return NULL;
  }
  (void)madvise(pages->bytes, pages->size, MADV_DONTDUMP);
  (void)mlock(pages->bytes, pages->size);
  return pages;
}

static void pages_free(pages_t *pages) {
  (void)munmap(pages->bytes, pages->size);
  sp__free(pages);
}

/* -- small secrets ----------------------------------------------------------------------------- */

/* The first of `count` free slots in a row; SLOTS: there are none. */
static size_t find_slots(const pages_t *pages, size_t count) {
  size_t run = 0;
  for (size_t i = 0; i < SLOTS; i++) {
    run = pages->taken[i] ? 0 : run + 1;
    if (run == count)
      return i + 1 - count;
  }
  return SLOTS;
}

static head_t *take_slots(pages_t *pages, size_t first, size_t count) {
  memset(pages->taken + first, true, count);
  pages->used += (unsigned)count;
  return (head_t *)(void *)(pages->bytes + first * SLOT);
}

/* In pages that are there, or in new ones. Locked. */
static head_t *place(size_t count, pages_t **pages) {
  for (sp__list_t *node = shared.next; node != &shared; node = node->next) {
    *pages = SP__OF(node, pages_t, node);
    size_t first = find_slots(*pages, count);
    if (first < SLOTS)
      return take_slots(*pages, first, count);
  }
  if (!(*pages = pages_new(SLOT * SLOTS)))
    return NULL;
  sp__list_append(&shared, &(*pages)->node);
  return take_slots(*pages, 0, count);
}

static void leave_slots(pages_t *pages, const head_t *head, size_t count) {
  size_t first = (size_t)((const uint8_t *)head - pages->bytes) / SLOT;
  memset(pages->taken + first, false, count);
  pages->used -= (unsigned)count;
}

/* -- the calls --------------------------------------------------------------------------------- */

static bool is_large(size_t size) { return size > SLOT * SLOTS / 2; }

static head_t *make(size_t size) {
  pages_t *pages = NULL;
  head_t *head = NULL;
  if (is_large(size)) {
    pages = pages_new(size);
    head = pages ? (head_t *)(void *)pages->bytes : NULL;
  } else {
    pthread_mutex_lock(&lock);
    head = place(size / SLOT, &pages);
    pthread_mutex_unlock(&lock);
  }
  if (head)
    *head = (head_t){pages, size};
  return head;
}

void *sp__secret_alloc(size_t n) {
  size_t size = (n + sizeof(head_t) + SLOT - 1) / SLOT * SLOT;
  head_t *head = size > n ? make(size) : NULL;
  return head ? head + 1 : NULL;
}

void sp__secret_free(void *secret) {
  if (!secret)
    return;
  head_t *head = (head_t *)secret - 1;
  pages_t *pages = head->pages;
  size_t size = head->size;
  sp__wipe(head, size);
  if (!is_large(size)) {
    pthread_mutex_lock(&lock);
    leave_slots(pages, head, size / SLOT);
    bool empty = !pages->used;
    if (empty)
      sp__list_remove(&pages->node);
    pthread_mutex_unlock(&lock);
    if (!empty)
      return;
  }
  pages_free(pages);
}
