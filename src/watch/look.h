/* One look at the files, from which may come a new context. Not bound to a thread. */
#ifndef SP_WATCH_LOOK_H
#define SP_WATCH_LOOK_H

#include "watch/files.h"
#include "watch/folders.h"
#include "watch/kept.h"

typedef enum sp__seen {
  SP__SEEN_NOTHING, /* the files are as they were at the last look */
  SP__SEEN_CHANGE,  /* they are changing: look again when they are quiet */
  SP__SEEN_SAME,    /* what they hold is in force */
  SP__SEEN_CONTEXT, /* they gave a new context */
  SP__SEEN_FAULT    /* they cannot be used */
} sp__seen_t;

typedef struct sp__look {
  const sp__kept_t *kept;
  /* what is asked */
  bool has_to_read; /* even if nothing changed */
  bool is_urgent;   /* even if they are changing */
  bool has_context; /* what is below is known */
  uint8_t in_force[SP__DIGEST_SIZE];
  /* seconds since 1970, of what is in force: its certificate, its OCSP responses (0: none) */
  int64_t expires, staple_until;
  /* what is answered; the last look's states are this look's question */
  sp__seen_t seen;
  sp__file_state_t *states;
  bool is_fresh;         /* as sp__files_are_fresh */
  sp__folder_t *folders; /* looked for when something changed: found_folders */
  bool found_folders;
  uint8_t digest[SP__DIGEST_SIZE];
  sp_context_t *context;
  int64_t context_expires, context_staple_until;
  sp_error_t error;
  sp__file_state_t *room; /* as large as states */
} sp__look_t;

/* UV_ENOMEM; the look can be freed all the same. */
int sp__look_init(sp__look_t *look, const sp__kept_t *kept);
void sp__look_free(sp__look_t *look);

/* Blocks on the files. */
void sp__look_run(sp__look_t *look);

#endif
