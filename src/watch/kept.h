/* A copy of the context part of the options, with everything that they point to. */
#ifndef SP_WATCH_KEPT_H
#define SP_WATCH_KEPT_H

#include <securepair/context.h>

typedef struct sp__kept {
  sp_options_t options; /* with absolute paths */
  const char **files;   /* all that are named there; they lie in the options */
  size_t file_count, file_room;
  struct sp__kept_part *parts;     /* what the options point to */
  struct sp__kept_answer *answers; /* passphrases, by the name of their input */
  sp_passphrase_cb ask;            /* the program's own, as long as it may be called */
  void *ask_data;
} sp__kept_t;

/* After an error it has to be dropped, too. */
int sp__kept_take(sp__kept_t *kept, const sp_options_t *options, sp_error_t *why);

/* From now on passphrases that were not asked for yet are not known. */
void sp__kept_settle(sp__kept_t *kept);

void sp__kept_drop(sp__kept_t *kept);

#endif
