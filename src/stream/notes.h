/* The events `session` and `keylog`. */
#ifndef SP_STREAM_NOTES_H
#define SP_STREAM_NOTES_H

#include "stream/stream.h"

/* By the pair, in its engine. */
void sp__notes_session(void *stream, const void *bytes, size_t n);
void sp__notes_keylog(void *stream, const char *line);

void sp__notes_tell(sp_stream_t *stream);   /* out of the engine: what is due */
void sp__notes_secure(sp_stream_t *stream); /* after the secure callback */
void sp__notes_drop(sp_stream_t *stream);

#endif
