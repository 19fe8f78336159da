/* Whether files changed, and what is in them. */
#ifndef SP_WATCH_FILES_H
#define SP_WATCH_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <securepair/error.h>

#define SP__DIGEST_SIZE 32

/* By which a file is known to be the same as before, without reading it. Without padding: compared
 * as bytes. */
typedef struct sp__file_state {
  int64_t error; /* of stat; 0: none */
  uint64_t device, inode, size;
  int64_t changed[4]; /* content, entry: seconds and nanoseconds each */
} sp__file_state_t;

void sp__files_look(const char *const *paths, size_t count, sp__file_state_t *states);

/* Whether one changed so lately that it may have changed again without showing it: clocks of file
 * systems tick slowly. */
bool sp__files_are_fresh(const sp__file_state_t *states, size_t count);

/* SHA-256 of all they hold. They have to be regular files of at most 16 MiB each. Errors name the
 * path. */
int sp__files_digest(const char *const *paths, size_t count, uint8_t digest[static SP__DIGEST_SIZE],
                     sp_error_t *why);

#endif
