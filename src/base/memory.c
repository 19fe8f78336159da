#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#include <securepair/error.h>

static struct {
  void *(*allocate)(size_t);
  void *(*reallocate)(void *, size_t);
  void (*release)(void *);
} allocator = {malloc, realloc, free};

int sp_replace_allocator(void *(*allocate)(size_t), void *(*reallocate)(void *, size_t),
                         void (*release)(void *)) {
  if (!allocate != !reallocate || !allocate != !release)
    return SP_EOPTION;
  allocator.allocate = allocate ? allocate : malloc;
  allocator.reallocate = reallocate ? reallocate : realloc;
  allocator.release = release ? release : free;
  return 0;
}

void *sp__alloc(size_t size) { return allocator.allocate(size); }

void *sp__zalloc(size_t size) {
  void *memory = sp__alloc(size);
  if (memory)
    memset(memory, 0, size);
  return memory;
}

void *sp__realloc(void *memory, size_t size) { return allocator.reallocate(memory, size); }

void sp__free(void *memory) {
  if (memory)
    allocator.release(memory);
}

char *sp__copy_bytes(const void *bytes, size_t n) {
  char *copy = sp__alloc(n + 1);
  if (!copy)
    return NULL;
  if (n)
    memcpy(copy, bytes, n);
  copy[n] = '\0';
  return copy;
}

char *sp__copy_text(const char *text) { return sp__copy_bytes(text, strlen(text)); }

void sp__wipe(void *memory, size_t n) {
  if (memory)
    explicit_bzero(memory, n);
}
