/* Bytes that are kept elsewhere, sealed by the keys that seal session tickets. */
#ifndef SP_CONTEXT_SEAL_H
#define SP_CONTEXT_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "context/ring.h"

#define SP__SEAL_EXTRA ((size_t)(1 + 16 + 12 + 16)) /* form, name of the keys, nonce, tag */
#define SP__PLACE_SIZE 32u

/* To n + SP__SEAL_EXTRA bytes at `out`. They open under the same place only. */
bool sp__seal(sp__ring_t *ring, const uint8_t place[SP__PLACE_SIZE], const uint8_t *in, size_t n,
              uint8_t *out);

/* To n - SP__SEAL_EXTRA bytes at `out`. False for whatever was not sealed so. */
bool sp__unseal(sp__ring_t *ring, const uint8_t place[SP__PLACE_SIZE], const uint8_t *in, size_t n,
                uint8_t *out);

#endif
