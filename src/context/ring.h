/* The keys that seal session tickets, over time: the newest seals, older ones still open. */
#ifndef SP_CONTEXT_RING_H
#define SP_CONTEXT_RING_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define SP__TICKET_KEYS_SIZE 48
#define SP__RING_MOST 16u              /* keys */
#define SP__RING_ROTATION (12 * 3600L) /* seconds, SECURITY.md */

/* As Node lays them out; in memory for secrets, or wiped after use. */
typedef struct sp__ticket_keys {
  uint8_t name[16], mac[16], cipher[16];
} sp__ticket_keys_t;

_Static_assert(sizeof(sp__ticket_keys_t) == SP__TICKET_KEYS_SIZE, "Node's layout");

typedef struct sp__ring {
  pthread_mutex_t lock;
  sp__ticket_keys_t *keys[SP__RING_MOST]; /* newest first */
  /* of the newest: since when it seals; of the others: since when they do not, below 0: they were
   * given so, and stay */
  time_t since[SP__RING_MOST];
  unsigned count;
  bool by_hand;  /* given keys do not rotate by themselves */
  long rotation; /* seconds; below 0: only by hand */
  long window;   /* seconds that one that sealed still opens; below 0: not at all */
} sp__ring_t;

/* With one random key, or with those given, newest first. Returns 0, UV_ENOMEM, SP_ECRYPTO. */
int sp__ring_init(sp__ring_t *ring, const void *keys, size_t count, long rotation, long window);
void sp__ring_destroy(sp__ring_t *ring); /* one that is all zeros is fine */

/* All of these look at the clock first: rotate when it is due, drop what is too old. Any thread. */

/* The one that seals. */
void sp__ring_newest(sp__ring_t *ring, sp__ticket_keys_t *keys);

/* The one of that name: 0 for the newest, 1 for an older one, below 0: it is not there. */
int sp__ring_find(sp__ring_t *ring, const uint8_t name[16], sp__ticket_keys_t *keys);

/* A new random key seals from now on. Returns 0, UV_ENOMEM, SP_ECRYPTO. */
int sp__ring_rotate(sp__ring_t *ring);

/* These in place of all that are there. Returns 0 or UV_ENOMEM. */
int sp__ring_set(sp__ring_t *ring, const void *keys, size_t count);

/* How many bytes all of them are; written, newest first, if they fit. */
size_t sp__ring_get(sp__ring_t *ring, void *room, size_t size);

#endif
