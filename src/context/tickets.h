/* The keys that seal session tickets. */
#ifndef SP_CONTEXT_TICKETS_H
#define SP_CONTEXT_TICKETS_H

#include <stdint.h>

#include <openssl/ssl.h>

#include <securepair/context.h>

#define SP__TICKET_KEYS_SIZE 48

typedef struct sp__tickets sp__tickets_t;

/* Makes the context's keys and plugs them into its SSL_CTX; how long sessions last. */
int sp__tickets_load(sp_context_t *context, const sp_options_t *options, sp_error_t *why);

void sp__tickets_free(sp__tickets_t *tickets); /* NULL is fine */

#endif
