/* Where cleartext goes: memory that JavaScript owns. */
#ifndef SPN_SLAB_H
#define SPN_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <node_api.h>
#include <uv.h>

typedef struct spn_environment spn_environment_t;

/* JavaScript was told of it up to `used`. */
typedef struct spn_slab {
  napi_ref buffer;
  uint8_t *bytes;
  size_t size, used;
  void *keeper; /* a block above the slabs; NULL: none */
  uv_timer_t quiet;
  unsigned renewed; /* how often since the timer looked */
} spn_slab_t;

void spn_slab_init(spn_slab_t *slab, spn_environment_t *environment);

/* Once the environment is going, when no slab is made any more: frees the keeper and closes the
 * timer. `closed` gets a handle with the environment as its data. The buffer stays the
 * environment's to let go. */
void spn_slab_close(spn_slab_t *slab, uv_close_cb closed);

/* Room for cleartext; NULL: none. */
uint8_t *spn_slab_room(spn_environment_t *environment, size_t *size);

/* The slab as a value and where in it the bytes are, which JavaScript is told of now. False when
 * the bytes are not in the slab. */
bool spn_slab_take(spn_environment_t *environment, const uint8_t *bytes, size_t n,
                   napi_value *buffer, size_t *offset);

#endif
