#include "server/names.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "certificate/certificate.h"

/* Where `name` is, or would be. */
static size_t position(const sp__names_t *names, const char *name, size_t n, int *found) {
  size_t low = 0, high = names->count;
  *found = 0;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const char *entry = names->entries[middle].name;
    int order = strncmp(entry, name, n);
    if (order == 0)
      order = entry[n] != '\0';
    if (order == 0) {
      *found = 1;
      return middle;
    }
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* A host name, or "*." and a host name. */
static int normal(char room[256], const char *name) {
  size_t n = strlen(name);
  if (!n || n > 254)
    return SP_EOPTION;
  for (size_t i = 0; i <= n; i++)
    room[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
  const char *host = strncmp(room, "*.", 2) ? room : room + 2;
  if (!sp__is_host_name(host) || sp__is_address(host))
    return SP_EOPTION;
  if (room[n - 1] == '.')
    room[n - 1] = '\0';
  return 0;
}

static void remove_at(sp__names_t *names, size_t at) {
  sp__free(names->entries[at].name);
  sp__source_set(&names->entries[at].source, NULL);
  names->count--;
  memmove(names->entries + at, names->entries + at + 1,
          (names->count - at) * sizeof *names->entries);
}

static int insert_at(sp__names_t *names, size_t at, const char *name) {
  char *copy = sp__copy_text(name);
  sp__name_entry_t *entries =
      copy ? sp__realloc(names->entries, (names->count + 1) * sizeof *entries) : NULL;
  if (!entries) {
    sp__free(copy);
    return -ENOMEM;
  }
  names->entries = entries;
  memmove(entries + at + 1, entries + at, (names->count - at) * sizeof *entries);
  entries[at] = (sp__name_entry_t){.name = copy};
  names->count++;
  return 0;
}

int sp__names_set(sp__names_t *names, const char *name, sp_context_t *context) {
  char room[256];
  int found, status = normal(room, name);
  if (status < 0)
    return status;
  size_t at = position(names, room, strlen(room), &found);
  if (!context) {
    if (found)
      remove_at(names, at);
    return 0;
  }
  status = found ? 0 : insert_at(names, at, room);
  if (!status)
    sp__source_set(&names->entries[at].source, context);
  return status;
}

int sp__names_follow(sp__names_t *names, const char *name, sp__current_t *current) {
  char room[256];
  int found, status = normal(room, name);
  if (status < 0)
    return status;
  size_t at = position(names, room, strlen(room), &found);
  status = found ? 0 : insert_at(names, at, room);
  if (!status)
    sp__source_follow(&names->entries[at].source, current);
  return status;
}

sp_context_t *sp__names_find(sp__names_t *names, const char *name) {
  int found;
  size_t at = position(names, name, strlen(name), &found);
  if (found)
    return sp__source_context(&names->entries[at].source);
  const char *dot = strchr(name, '.');
  char room[256];
  if (!dot || strlen(dot) + 2 > sizeof room)
    return NULL;
  room[0] = '*';
  memcpy(room + 1, dot, strlen(dot) + 1);
  at = position(names, room, strlen(room), &found);
  return found ? sp__source_context(&names->entries[at].source) : NULL;
}

void sp__names_free(sp__names_t *names) {
  while (names->count)
    remove_at(names, names->count - 1);
  sp__free(names->entries);
  names->entries = NULL;
}
