/* Encrypted out: memory lent by the caller, and blocks for what the transport did not take. */
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/process.h"
#include "pair/pair.h"

#define BLOCK_SIZE 4096

size_t sp__pair_room(const sp_pair_t *pair) {
  size_t room = pair->ahead < SP_PAIR_AHEAD ? SP_PAIR_AHEAD - pair->ahead : 0;
  size_t lent = pair->lent_size - pair->lent_end;
  return pair->lent && lent < room ? lent : room;
}

static sp__block_t *block_add(sp_pair_t *pair, size_t size) {
  sp__block_t *block = sp__alloc(sizeof *block + size);
  if (!block)
    return NULL;
  *block = (sp__block_t){.size = size};
  if (pair->last)
    pair->last->next = block;
  else
    pair->blocks = block;
  return pair->last = block;
}

/* The first block may be on its way in a write request, but growing at its end does no harm. */
static int block_append(sp_pair_t *pair, const void *bytes, size_t n) {
  sp__block_t *block = pair->last;
  if (!block || block->size - block->end < n)
    block = block_add(pair, n > BLOCK_SIZE ? n : BLOCK_SIZE);
  if (!block)
    return -ENOMEM;
  memcpy(block->bytes + block->end, bytes, n);
  block->end += n;
  return 0;
}

size_t sp__pair_put(sp_pair_t *pair, const void *bytes, size_t n) {
  size_t room = sp__pair_room(pair);
  if (n > room)
    n = room;
  if (!n)
    return 0;
  if (pair->lent) {
    memcpy(pair->lent + pair->lent_end, bytes, n);
    pair->lent_end += n;
  } else if (block_append(pair, bytes, n) < 0) {
    return 0;
  }
  pair->ahead += n;
  return n;
}

void sp_pair_lend(sp_pair_t *pair, void *memory, size_t size) {
  if (pair->lent)
    return;
  pair->lent = memory;
  pair->lent_size = size;
  pair->lent_start = pair->lent_end = 0;
}

int sp_pair_unlend(sp_pair_t *pair) {
  size_t left = pair->lent_end - pair->lent_start;
  int status = 0;
  if (left) {
    sp__block_t *block = block_add(pair, left);
    if (block) {
      memcpy(block->bytes, pair->lent + pair->lent_start, left);
      block->end = left;
    } else {
      pair->ahead -= left;
      pair->bytes_out -= left; /* they never will */
      status = sp__pair_fail(pair, -ENOMEM, SP_US, "out of memory");
    }
  }
  pair->lent = NULL;
  pair->lent_size = pair->lent_start = pair->lent_end = 0;
  return status;
}

size_t sp_pair_encrypted_out(const sp_pair_t *pair, const void **bytes) {
  *bytes = NULL;
  if (pair->process != sp__process)
    return 0; /* who made the pair sends it */
  if (pair->blocks) {
    *bytes = pair->blocks->bytes + pair->blocks->start;
    return pair->blocks->end - pair->blocks->start;
  }
  *bytes = pair->lent ? pair->lent + pair->lent_start : NULL;
  return pair->lent_end - pair->lent_start;
}

static void block_drop(sp_pair_t *pair) {
  sp__block_t *block = pair->blocks;
  pair->blocks = block->next;
  if (!pair->blocks)
    pair->last = NULL;
  sp__free(block);
}

void sp__pair_drop_blocks(sp_pair_t *pair) {
  while (pair->blocks)
    block_drop(pair);
}

void sp__pair_gather(sp_pair_t *pair) {
  while (pair->blocks && !pair->lent_start) {
    const sp__block_t *block = pair->blocks;
    size_t n = block->end - block->start;
    if (n > pair->lent_size - pair->lent_end)
      return;
    memcpy(pair->lent + pair->lent_end, block->bytes + block->start, n);
    pair->lent_end += n;
    block_drop(pair);
  }
}

void sp_pair_encrypted_sent(sp_pair_t *pair, size_t n) {
  pair->ahead -= n;
  pair->read_blocked = false;
  if (pair->blocks) {
    pair->blocks->start += n;
    if (pair->blocks->start == pair->blocks->end)
      block_drop(pair);
  } else if ((pair->lent_start += n) == pair->lent_end) {
    pair->lent_start = pair->lent_end = 0;
  }
  if (!pair->blocked || pair->busy)
    return;
  if (!pair->secure)
    (void)sp__pair_drive(pair);
  else if (pair->ending && !pair->ended)
    (void)sp_pair_end(pair);
  else if (SSL_in_init(pair->ssl) && sp__pair_enter(pair) == 0)
    (void)sp__pair_leave(pair, sp__pair_push(pair));
}
