/* The context in force, and those who follow it: one writer, readers in any thread. */
#ifndef SP_WATCH_CURRENT_H
#define SP_WATCH_CURRENT_H

#include <securepair/context.h>

typedef struct sp__current sp__current_t;

/* Holds a reference to the context; NULL: no memory. */
sp__current_t *sp__current_new(sp_context_t *context);
sp__current_t *sp__current_retain(sp__current_t *current);
void sp__current_release(sp__current_t *current); /* NULL is fine */

/* The context is retained, the one before released. */
void sp__current_set(sp__current_t *current, sp_context_t *context);

/* Borrowed; for the writer. */
sp_context_t *sp__current_context(const sp__current_t *current);

/* Where a thread has a context from: a fixed one, or the one in force somewhere. */
typedef struct sp__source {
  sp_context_t *context;
  sp__current_t *current; /* NULL: a fixed one */
  unsigned version;       /* of the current one that `context` is */
} sp__source_t;

/* Both let go of what the source had; zeros are a source that has nothing. */
void sp__source_set(sp__source_t *source, sp_context_t *context); /* retained; may be NULL */
void sp__source_follow(sp__source_t *source, sp__current_t *current);

/* Borrowed until it is asked for again. */
sp_context_t *sp__source_context(sp__source_t *source);

#endif
