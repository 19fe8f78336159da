/* The hooks of connections: questions to JavaScript. */
#ifndef SPN_HOOKS_H
#define SPN_HOOKS_H

#include <securepair/context.h>

/* The library's hooks for bits of SPN_HOOK_...; their data is the environment. */
sp_hooks_t spn_hooks(int bits);

#endif
