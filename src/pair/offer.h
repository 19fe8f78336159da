/* A client's first message as it came, which OpenSSL shows only as far as it knows it. */
#ifndef SP_PAIR_OFFER_H
#define SP_PAIR_OFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sp__span {
  const uint8_t *bytes;
  size_t n;
} sp__span_t;

/* Borrowed from the message. */
typedef struct sp__offer {
  unsigned version;      /* legacy_version */
  sp__span_t suites;     /* two bytes each */
  sp__span_t extensions; /* all of them: type, length, content */
} sp__offer_t;

/* Reads a message with its header of four bytes, whose length is taken for granted. False: it is
 * malformed, or there is none (NULL). */
bool sp__offer_read(sp__offer_t *offer, const uint8_t *message);

/* The next extension of a block, which `rest` keeps track of. False: there are no more. */
bool sp__offer_next(sp__span_t *rest, unsigned *type, sp__span_t *content);

/* The content of the first extension of that type. False: it is not there. */
bool sp__offer_find(const sp__offer_t *offer, unsigned type, sp__span_t *content);

/* How many extensions there are, and their types in the order sent; `types` may be NULL. */
size_t sp__offer_types(const sp__offer_t *offer, uint16_t *types);

#endif
