/* A cache of sessions, as bytes, by a key that says everything that a session is bound to. */
#ifndef SP_PAIR_CACHE_H
#define SP_PAIR_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <securepair/session_cache.h>

#define SP__CACHE_KEY 32u

/* One session. */
typedef struct sp__kept {
  struct sp__kept *next; /* older */
  time_t checked;        /* when the peer's certificate was, in full */
  time_t until;
  bool once; /* may be used once */
  size_t n;
  uint8_t bytes[];
} sp__kept_t;

sp_session_cache_t *sp__cache_own(void); /* the process's */

/* Keeps a copy of n bytes as the newest of its peer. Without memory, or when they are more than the
 * cache may hold, it does not. */
void sp__cache_put(sp_session_cache_t *cache, const uint8_t *key, const sp__kept_t *facts,
                   const void *bytes, size_t n);

/* The newest of a peer, or a copy of it, for the caller to free; NULL: none, or no memory. */
sp__kept_t *sp__cache_take(sp_session_cache_t *cache, const uint8_t *key);
void sp__kept_free(sp__kept_t *kept);

/* Drops all of a peer. */
void sp__cache_drop(sp_session_cache_t *cache, const uint8_t *key);

#endif
