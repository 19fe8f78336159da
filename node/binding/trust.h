/* Trusted certificates as JavaScript has them. */
#ifndef SPN_TRUST_H
#define SPN_TRUST_H

#include <stdbool.h>

#include <node_api.h>

#include <securepair/context.h>

#include "environment.h"

/* The certificates behind an argument, borrowed; NULL with a TypeError pending. */
sp_trust_t *spn_trust_of(spn_environment_t *environment, napi_value value);

bool spn_trust_define(spn_environment_t *environment, napi_value exports);

#endif
