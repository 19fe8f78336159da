/* A server's sessions in a store. */
#ifndef SP_PAIR_LOOKUP_H
#define SP_PAIR_LOOKUP_H

#include "pair/pair.h"

/* The store that a connection's sessions are kept in: its context's, if the one that it began with
 * has one, too. NULL: none. */
sp_store_t *sp__pair_store(const sp_pair_t *pair);

/* After another context was put in: without a store the sessions go into tickets. */
void sp__pair_keep_store(sp_pair_t *pair);

/* Looks for the session of an id: 0 when it is there, in pair->session, or is not to be had;
 * SP_PENDING: sp_pair_resume will be called. `once`: it is taken out. */
int sp__pair_look_up(sp_pair_t *pair, const uint8_t *id, size_t n, bool once);

/* Does not wait any longer. */
void sp__pair_end_lookup(sp_pair_t *pair);

/* Puts a new session there. */
void sp__pair_shelve(sp_pair_t *pair, void *session);

/* The connection failed: its session of TLS 1.2 must not come back (RFC 5246 7.2). */
void sp__pair_unshelve(sp_pair_t *pair);

#endif
