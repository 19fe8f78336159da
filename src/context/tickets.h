/* The keys that seal session tickets. */
#ifndef SP_CONTEXT_TICKETS_H
#define SP_CONTEXT_TICKETS_H

#include <stdint.h>

#include <openssl/ssl.h>

#include <securepair/context.h>

#include "context/ring.h"

typedef struct sp__tickets sp__tickets_t;

/* Makes the context's keys and plugs them into its SSL_CTX; how long sessions last. */
int sp__tickets_load(sp_context_t *context, const sp_options_t *options, sp_error_t *why);

void sp__tickets_release(sp__tickets_t *tickets); /* NULL is fine */

/* From now on `to`, which no connection uses yet, has the same keys as `from`: a change of one's is
 * the other's. */
void sp__context_share_tickets(sp_context_t *to, const sp_context_t *from);

/* The keys themselves. */
sp__ring_t *sp__tickets_ring(sp__tickets_t *tickets);

#endif
