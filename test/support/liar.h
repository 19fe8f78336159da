/*
 * A peer over TCP that speaks TLS properly, by a pair, but does not deliver it properly: in pieces,
 * only so much of it, or with a byte that is wrong. A raw peer whose data it is and whose on_open
 * is liar_opens; client or server as the raw peer is.
 */
#ifndef TEST_SUPPORT_LIAR_H
#define TEST_SUPPORT_LIAR_H

#include "support/raw.h"

typedef enum manner_of_end { BY_FIN, BY_RESET, NEVER } manner_of_end_t;

typedef struct liar liar_t;
struct liar {
  /* set before it opens */
  sp_context_t *context;
  size_t limit;                      /* so many bytes it sends, then it ends */
  manner_of_end_t end;               /* also when it is secure and has said all, unless NEVER */
  size_t burst;                      /* bytes in a segment; 0: no limit */
  bool trickle;                      /* one byte in each turn of the loop */
  void (*when_secure)(liar_t *liar); /* may be NULL */
  void *data;                        /* yours */

  sp_pair_t *pair; /* the caller releases it when all is over */
  raw_t *raw;
  bool ended, complete, told; /* complete: it is secure and said all that it had to say */
  uint8_t pending[8192];      /* still to be sent */
  size_t pending_size, sent;
  uv_idle_t turn;
};

void liar_opens(raw_t *raw);

/* Sends cleartext as a record of its own. With `flip`, a bit of the byte at flip - 1 of the record
 * is wrong. Answers the size of the record. */
size_t liar_says(liar_t *liar, const void *bytes, size_t n, size_t flip);

#endif
