/* OCSP responses that a context sends with its certificates. Made whole, then never changed. */
#ifndef SP_CONTEXT_STAPLES_H
#define SP_CONTEXT_STAPLES_H

#include <stddef.h>

#include <openssl/x509.h>

typedef struct sp__staples sp__staples_t;

/* The response for a certificate of the context, if it is one of now: *n bytes, as long as the
 * staples live. NULL: there is none. `staples` may be NULL. Any thread. */
const void *sp__staples_find(const sp__staples_t *staples, const X509 *leaf, size_t *n);

void sp__staples_free(sp__staples_t *staples); /* NULL is fine */

#endif
