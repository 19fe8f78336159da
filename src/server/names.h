/* A table of contexts by server name. */
#ifndef SP_SERVER_NAMES_H
#define SP_SERVER_NAMES_H

#include "watch/current.h"

typedef struct sp__name_entry {
  char *name; /* lower case, no trailing dot; "*." first for a wildcard */
  sp__source_t source;
} sp__name_entry_t;

typedef struct sp__names {
  sp__name_entry_t *entries; /* sorted by name */
  size_t count;
} sp__names_t;

/* Sets, replaces or (NULL) removes a name. Returns 0, SP_EOPTION, UV_ENOMEM; on an error the table
 * is as it was. */
int sp__names_set(sp__names_t *names, const char *name, sp_context_t *context);

/* Sets or replaces a name whose context is the one in force. */
int sp__names_follow(sp__names_t *names, const char *name, sp__current_t *current);

/* The context for a lower-case name: exact, then wildcard. Borrowed; NULL: none. */
sp_context_t *sp__names_find(sp__names_t *names, const char *name);

void sp__names_free(sp__names_t *names);

#endif
