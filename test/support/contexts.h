/* Contexts that must come out, and contexts that must be refused. */
#ifndef TEST_SUPPORT_CONTEXTS_H
#define TEST_SUPPORT_CONTEXTS_H

#include <securepair/context.h>

/* Fails the test with the error's text when it is refused. OpenSSL's queue must be clean after. */
sp_context_t *context_made(const sp_options_t *options);

/* Must be refused with `status` and a text that holds every one of `words` (ends with NULL).
 * Also: no context comes out, OpenSSL's queue is clean, the blame is ours. Returns the error. */
sp_error_t context_refused(const sp_options_t *options, int status, const char *const *words);

/* As the above where the words matter only. */
#define REFUSED(options, status, ...)                                                              \
  context_refused(options, status, (const char *const[]){__VA_ARGS__, NULL})

#endif
