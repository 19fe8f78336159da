/* Contexts and trusted certificates as JavaScript has them. */
#ifndef SPN_CONTEXT_H
#define SPN_CONTEXT_H

#include <stdbool.h>

#include <node_api.h>

#include <securepair/context.h>

#include "environment.h"

/* Bits of binding.HOOKS: the questions that JavaScript wants to be asked. */
#define SPN_HOOKS(X)                                                                               \
  X(SERVER_NAME, 1)                                                                                \
  X(ALPN, 2)                                                                                       \
  X(SESSION_GET, 4)                                                                                \
  X(SESSION_NEW, 8)                                                                                \
  X(KEYLOG, 16)                                                                                    \
  X(OCSP, 32)                                                                                      \
  X(PSK, 64)

enum {
#define SPN_HOOK_ENUM(name, bit) SPN_HOOK_##name = bit,
  SPN_HOOKS(SPN_HOOK_ENUM)
#undef SPN_HOOK_ENUM
};

/* The context behind an argument, borrowed; NULL with a TypeError pending. */
sp_context_t *spn_context_of(spn_environment_t *environment, napi_value value);

/* Define the classes on the module's exports. */
bool spn_trust_define(spn_environment_t *environment, napi_value exports);
bool spn_context_define(spn_environment_t *environment, napi_value exports);

#endif
