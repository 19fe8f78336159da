/* Whom a client's sessions are for, beyond the name that it checks: the place that it connects to,
 * and the cache where they are kept. */
#ifndef SP_PAIR_TARGET_H
#define SP_PAIR_TARGET_H

#include <openssl/evp.h>

#include "pair/pair.h"

typedef struct sp__target sp__target_t;

/* From the options host and port or path, and session_cache. */
int sp__target_set(sp_pair_t *pair, const sp_options_t *options, sp_error_t *why);
void sp__target_free(sp_pair_t *pair);

/* The place, as far as it is known, into a hash. */
bool sp__target_hash(const sp_pair_t *pair, EVP_MD_CTX *hash);

void sp__target_resume(sp_pair_t *pair); /* by a session that is kept, if there is one */
void sp__target_secure(sp_pair_t *pair); /* the handshake is done: a full one, or resumed */
bool sp__target_keeps(const sp_pair_t *pair);
void sp__target_keep(sp_pair_t *pair, const SSL_SESSION *session, const void *bytes, size_t n);
void sp__target_failed(sp_pair_t *pair); /* nothing is kept of it */

#endif
