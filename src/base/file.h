/* Reading a whole file. */
#ifndef SP_BASE_FILE_H
#define SP_BASE_FILE_H

#include <stddef.h>

#include <securepair/error.h>

/* Reads a regular file or pipe of at most `limit` bytes into fresh memory for secrets (it may hold
 * a key) with a NUL after it. The caller releases it with sp__file_release. Errors name the path.
 */
int sp__file_read(char **bytes, size_t *n, const char *path, size_t limit, sp_error_t *why);
void sp__file_release(char *bytes); /* wipes it; NULL is fine */

#endif
