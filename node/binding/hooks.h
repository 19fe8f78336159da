/* The hooks of connections: questions to JavaScript. */
#ifndef SPN_HOOKS_H
#define SPN_HOOKS_H

#include <securepair/context.h>

#include "stream.h"

/* The library's hooks for bits of SPN_HOOK_...; their data is the environment. */
sp_hooks_t spn_hooks(int bits);

/* Sessions that came while a slab was lent: tells of them, or forgets them. */
void spn_sessions_say(spn_stream_t *stream);
void spn_sessions_free(spn_stream_t *stream);

#endif
