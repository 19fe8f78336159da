/* Making errors. */
#ifndef SP_BASE_ERROR_H
#define SP_BASE_ERROR_H

#include <stddef.h>

#include <securepair/error.h>

/* Fills `why` (may be NULL) and returns `status`: `return sp__fail(why, SP_EKEY, SP_US, "...")`.
 * Control characters that come in through the arguments are escaped; a text that is too long is
 * cut at a character's border. */
int sp__fail(sp_error_t *why, int status, sp_party_t who, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for lack of memory: returns UV_ENOMEM's number. */
int sp__fail_memory(sp_error_t *why);

/* The same for errno or libuv's negative number, of what this side has to itself, a file or a
 * socket that cannot be made: "cannot read x: no such file or directory". SP_US. */
int sp__fail_system(sp_error_t *why, int number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What `error` functions answer when there is none. */
extern const sp_error_t sp__no_error;

/* What they answer when there was no memory for the error itself. */
extern const sp_error_t sp__memory_error;

#endif
