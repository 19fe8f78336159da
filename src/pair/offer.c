/* The parts of a client's first message (RFC 8446 4.1.2). */
#include "pair/offer.h"

#define HEADER 4
#define RANDOM 32

/* Takes n bytes off the front. */
static bool take(sp__span_t *from, size_t n, sp__span_t *taken) {
  if (n > from->n)
    return false;
  *taken = (sp__span_t){from->bytes, n};
  from->bytes += n;
  from->n -= n;
  return true;
}

static bool take_number(sp__span_t *from, size_t size, size_t *number) {
  sp__span_t bytes;
  *number = 0;
  if (!take(from, size, &bytes))
    return false;
  for (size_t i = 0; i < size; i++)
    *number = *number << 8 | bytes.bytes[i];
  return true;
}

/* A vector whose length stands before it, in `size` bytes. */
static bool take_vector(sp__span_t *from, size_t size, sp__span_t *vector) {
  size_t n;
  return take_number(from, size, &n) && take(from, n, vector);
}

/* Every extension has to end within the block. */
static bool check_extensions(sp__span_t block) {
  sp__span_t content;
  unsigned type;
  while (block.n)
    if (!sp__offer_next(&block, &type, &content))
      return false;
  return true;
}

bool sp__offer_read(sp__offer_t *offer, const uint8_t *message) {
  if (!message)
    return false;
  sp__span_t skipped, rest = {message + 1, HEADER - 1};
  size_t n, version;
  (void)take_number(&rest, HEADER - 1, &n);
  rest = (sp__span_t){message + HEADER, n};
  *offer = (sp__offer_t){0};
  if (!take_number(&rest, 2, &version) || !take(&rest, RANDOM, &skipped) ||
      !take_vector(&rest, 1, &skipped) || !take_vector(&rest, 2, &offer->suites) ||
      !take_vector(&rest, 1, &skipped) || offer->suites.n % 2)
    return false;
  offer->version = (unsigned)version;
  if (!rest.n)
    return true;
  return take_vector(&rest, 2, &offer->extensions) && !rest.n &&
         check_extensions(offer->extensions);
}

bool sp__offer_next(sp__span_t *rest, unsigned *type, sp__span_t *content) {
  size_t number;
  if (!take_number(rest, 2, &number) || !take_vector(rest, 2, content))
    return false;
  *type = (unsigned)number;
  return true;
}

bool sp__offer_find(const sp__offer_t *offer, unsigned type, sp__span_t *content) {
  sp__span_t rest = offer->extensions;
  unsigned found;
  while (sp__offer_next(&rest, &found, content))
    if (found == type)
      return true;
  return false;
}

size_t sp__offer_types(const sp__offer_t *offer, uint16_t *types) {
  sp__span_t content, rest = offer->extensions;
  unsigned type;
  size_t count = 0;
  for (; sp__offer_next(&rest, &type, &content); count++)
    if (types)
      types[count] = (uint16_t)type;
  return count;
}
