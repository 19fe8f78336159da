/* Every allocation of the library goes through here, so that a test can count it or make it fail.
 */
#ifndef SP_BASE_MEMORY_H
#define SP_BASE_MEMORY_H

#include <stddef.h>

void *sp__alloc(size_t size);  /* NULL on failure, as the others */
void *sp__zalloc(size_t size); /* zeroed */
void *sp__realloc(void *memory, size_t size);
void sp__free(void *memory); /* NULL is fine */
char *sp__copy_text(const char *text);
char *sp__copy_bytes(const void *bytes, size_t n); /* with a NUL after them */

/* Overwrites secrets in a way that the compiler does not leave out. */
void sp__wipe(void *memory, size_t n);

#endif
