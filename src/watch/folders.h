/* The folders of files, as the system tells of changes in them. */
#ifndef SP_WATCH_FOLDERS_H
#define SP_WATCH_FOLDERS_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

/* Two for each file: where its path lies, and where a symbolic link leads. */
typedef struct sp__folder {
  char *path; /* NULL: there is none, or it is the same as another one */
  uint64_t device, inode;
} sp__folder_t;

/* Finds the 2 * file_count folders of the files: paths are allocated, for want of memory left out.
 * Blocks. */
void sp__folders_find(sp__folder_t *found, const char *const *files, size_t file_count);
void sp__folders_forget(sp__folder_t *found, size_t count);

typedef struct sp__folders {
  uv_fs_event_t *events; /* `count` of them, initialized */
  sp__folder_t *now;
  size_t count;
} sp__folders_t;

/* `data` is that of every handle. UV_ENOMEM and others; then nothing is left to close. */
int sp__folders_open(sp__folders_t *folders, uv_loop_t *loop, size_t count, void *data);

/* Follows what was found, and takes the paths over. Whether a folder is followed that was not
 * before: what happened in it meanwhile was not told. Those that cannot be followed are not. */
bool sp__folders_follow(sp__folders_t *folders, sp__folder_t *found, uv_fs_event_cb on_event);

/* Ends with a call of on_closed for each handle, `count` in all. */
void sp__folders_close(sp__folders_t *folders, uv_close_cb on_closed);
void sp__folders_free(sp__folders_t *folders);

#endif
