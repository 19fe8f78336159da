#include "context/ring.h"

#include <errno.h>
#include <string.h>

#include <openssl/rand.h>

#include <securepair/error.h>

#include "base/secret.h"

#define FOR_EVER ((time_t)-1)

/* -- one key ----------------------------------------------------------------------------------- */

static int make_random(sp__ticket_keys_t **made) {
  sp__ticket_keys_t *keys = sp__secret_alloc(sizeof *keys);
  if (!keys)
    return -ENOMEM;
  if (RAND_priv_bytes((uint8_t *)keys, sizeof *keys) != 1) {
    sp__secret_free(keys);
    return SP_ECRYPTO;
  }
  *made = keys;
  return 0;
}

static void drop_all(sp__ticket_keys_t **keys, size_t count) {
  while (count)
    sp__secret_free(keys[--count]);
}

static int copy_all(sp__ticket_keys_t **copies, const void *given, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!(copies[i] = sp__secret_alloc(sizeof **copies))) {
      drop_all(copies, i);
      return -ENOMEM;
    }
    memcpy(copies[i], (const uint8_t *)given + i * sizeof **copies, sizeof **copies);
  }
  return 0;
}

/* -- over time, locked ------------------------------------------------------------------------- */

/* `retired`: since when the one before does not seal. */
static void put_first(sp__ring_t *ring, sp__ticket_keys_t *keys, time_t retired, time_t now) {
  if (ring->count == SP__RING_MOST)
    sp__secret_free(ring->keys[--ring->count]);
  ring->since[0] = retired;
  for (unsigned i = 0; i < ring->count; i++) /* those that were given stay no longer */
    if (ring->since[i] == FOR_EVER)
      ring->since[i] = retired;
  memmove(ring->keys + 1, ring->keys, ring->count * sizeof *ring->keys);
  memmove(ring->since + 1, ring->since, ring->count * sizeof *ring->since);
  ring->keys[0] = keys;
  ring->since[0] = now;
  ring->count++;
}

/* After a clock that was set back nothing lasts longer than it would from now on. */
static void correct(sp__ring_t *ring, time_t now) {
  for (unsigned i = 0; i < ring->count; i++)
    if (ring->since[i] > now)
      ring->since[i] = now;
}

static bool is_over(const sp__ring_t *ring, time_t now) {
  time_t retired = ring->since[ring->count - 1];
  return ring->count > 1 && retired != FOR_EVER && now - retired >= ring->window;
}

/* Nobody sealed since the rotation was due: that is when the old key ended. Without a new one the
 * old one goes on, and the next use tries again. */
static void look_at_clock(sp__ring_t *ring) {
  time_t now = time(NULL);
  sp__ticket_keys_t *fresh;
  correct(ring, now);
  bool due = !ring->by_hand && ring->rotation > 0 && now - ring->since[0] >= ring->rotation;
  if (due && make_random(&fresh) == 0)
    put_first(ring, fresh, ring->since[0] + ring->rotation, now);
  while (is_over(ring, now))
    sp__secret_free(ring->keys[--ring->count]);
}

static void enter(sp__ring_t *ring) {
  pthread_mutex_lock(&ring->lock);
  look_at_clock(ring);
}

static void leave(sp__ring_t *ring) { pthread_mutex_unlock(&ring->lock); }

/* -- the calls --------------------------------------------------------------------------------- */

void sp__ring_newest(sp__ring_t *ring, sp__ticket_keys_t *keys) {
  enter(ring);
  *keys = *ring->keys[0];
  leave(ring);
}

int sp__ring_find(sp__ring_t *ring, const uint8_t name[16], sp__ticket_keys_t *keys) {
  int found = -1;
  enter(ring);
  for (unsigned i = 0; i < ring->count && found < 0; i++)
    if (!memcmp(ring->keys[i]->name, name, sizeof ring->keys[i]->name)) {
      *keys = *ring->keys[i];
      found = i > 0;
    }
  leave(ring);
  return found;
}

int sp__ring_rotate(sp__ring_t *ring) {
  sp__ticket_keys_t *fresh;
  int status = make_random(&fresh);
  if (status < 0)
    return status;
  enter(ring);
  time_t now = time(NULL);
  put_first(ring, fresh, now, now);
  look_at_clock(ring); /* without a window the one before is over */
  leave(ring);
  return 0;
}

int sp__ring_set(sp__ring_t *ring, const void *keys, size_t count) {
  sp__ticket_keys_t *before[SP__RING_MOST], *copies[SP__RING_MOST];
  int status = copy_all(copies, keys, count);
  if (status < 0)
    return status;
  pthread_mutex_lock(&ring->lock);
  unsigned dropped = ring->count;
  memcpy(before, ring->keys, sizeof before);
  memcpy(ring->keys, copies, count * sizeof *copies);
  ring->count = (unsigned)count;
  ring->by_hand = true;
  ring->since[0] = time(NULL);
  for (size_t i = 1; i < count; i++)
    ring->since[i] = FOR_EVER;
  leave(ring);
  drop_all(before, dropped);
  return 0;
}

size_t sp__ring_get(sp__ring_t *ring, void *room, size_t size) {
  enter(ring);
  size_t whole = ring->count * sizeof **ring->keys;
  for (unsigned i = 0; whole <= size && i < ring->count; i++)
    memcpy((uint8_t *)room + i * sizeof **ring->keys, ring->keys[i], sizeof **ring->keys);
  leave(ring);
  return whole;
}

int sp__ring_init(sp__ring_t *ring, const void *keys, size_t count, long rotation, long window) {
  *ring = (sp__ring_t){.rotation = rotation, .window = window, .since = {time(NULL)}};
  if (pthread_mutex_init(&ring->lock, NULL))
    return -ENOMEM;
  int status = keys ? sp__ring_set(ring, keys, count) : make_random(&ring->keys[0]);
  if (status < 0)
    pthread_mutex_destroy(&ring->lock);
  else if (!keys)
    ring->count = 1;
  return status;
}

void sp__ring_destroy(sp__ring_t *ring) {
  if (!ring->count)
    return;
  drop_all(ring->keys, ring->count);
  pthread_mutex_destroy(&ring->lock);
}
