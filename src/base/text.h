/* Texts that came from elsewhere, made safe to show. */
#ifndef SP_BASE_TEXT_H
#define SP_BASE_TEXT_H

#include <stddef.h>

/* Copies n bytes to `room`, NUL-terminated, with control characters and invalid UTF-8 written as
 * \xHH; cut at a character's border when it does not fit. Returns the length. */
size_t sp__escape(char *room, size_t size, const void *bytes, size_t n);

#endif
