#include "watch/folders.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"

static char *folder_of(const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash)
    return sp__copy_text(".");
  return sp__copy_bytes(path, slash > path ? (size_t)(slash - path) : 1);
}

static bool is_among(const sp__folder_t *found, size_t count, const char *path) {
  for (size_t i = 0; i < count; i++)
    if (found[i].path && !strcmp(found[i].path, path))
      return true;
  return false;
}

static void find(sp__folder_t *found, size_t index, const char *file) {
  struct stat state;
  found[index] = (sp__folder_t){.path = folder_of(file)};
  if (!found[index].path)
    return;
  if (is_among(found, index, found[index].path) || stat(found[index].path, &state) < 0) {
    sp__free(found[index].path);
    found[index].path = NULL;
    return;
  }
  found[index].device = state.st_dev;
  found[index].inode = state.st_ino;
}

void sp__folders_find(sp__folder_t *found, const char *const *files, size_t file_count) {
  char target[PATH_MAX];
  for (size_t i = 0; i < file_count; i++) {
    find(found, 2 * i, files[i]);
    found[2 * i + 1] = (sp__folder_t){.path = NULL};
    if (realpath(files[i], target))
      find(found, 2 * i + 1, target);
  }
}

void sp__folders_forget(sp__folder_t *found, size_t count) {
  for (size_t i = 0; found && i < count; i++) {
    sp__free(found[i].path);
    found[i].path = NULL;
  }
}

static int init(sp__folders_t *folders, uv_loop_t *loop, void *data) {
  for (size_t i = 0; i < folders->count; i++) {
    (void)uv_fs_event_init(loop, &folders->events[i]); /* cannot fail */
    uv_unref((uv_handle_t *)&folders->events[i]);
    folders->events[i].data = data;
  }
  return 0;
}

int sp__folders_open(sp__folders_t *folders, uv_loop_t *loop, size_t count, void *data) {
  *folders = (sp__folders_t){.count = count};
  folders->events = sp__zalloc(count * sizeof *folders->events);
  folders->now = sp__zalloc(count * sizeof *folders->now);
  if (folders->events && folders->now)
    return init(folders, loop, data);
  sp__folders_free(folders);
  return UV_ENOMEM;
}

static bool is_same(const sp__folder_t *one, const sp__folder_t *other) {
  if (!one->path || !other->path)
    return one->path == other->path;
  return !strcmp(one->path, other->path) && one->device == other->device &&
         one->inode == other->inode;
}

bool sp__folders_follow(sp__folders_t *folders, sp__folder_t *found, uv_fs_event_cb on_event) {
  bool any = false;
  for (size_t i = 0; i < folders->count; i++) {
    sp__folder_t *now = &folders->now[i];
    if (is_same(now, &found[i])) {
      sp__free(found[i].path);
    } else {
      (void)uv_fs_event_stop(&folders->events[i]);
      sp__free(now->path);
      *now = found[i];
      if (now->path && uv_fs_event_start(&folders->events[i], on_event, now->path, 0) == 0)
        any = true;
    }
    found[i].path = NULL;
  }
  return any;
}

void sp__folders_close(sp__folders_t *folders, uv_close_cb on_closed) {
  for (size_t i = 0; i < folders->count; i++)
    uv_close((uv_handle_t *)&folders->events[i], on_closed);
}

void sp__folders_free(sp__folders_t *folders) {
  sp__folders_forget(folders->now, folders->count);
  sp__free(folders->now);
  sp__free(folders->events);
  *folders = (sp__folders_t){.count = 0};
}
