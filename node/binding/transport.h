/* TLS over a Duplex of JavaScript's. */
#ifndef SPN_TRANSPORT_H
#define SPN_TRANSPORT_H

#include <node_api.h>

#include "stream.h"

#define SPN_TRANSPORT_METHODS(X)                                                                   \
  X(transportReceived)                                                                             \
  X(transportEnded)                                                                                \
  X(transportFailed)                                                                               \
  X(transportRoom)                                                                                 \
  X(transportClosed)

#define SPN_TRANSPORT_PROTOTYPE(name) napi_value spn_##name(napi_env env, napi_callback_info info);
SPN_TRANSPORT_METHODS(SPN_TRANSPORT_PROTOTYPE)
#undef SPN_TRANSPORT_PROTOTYPE

/* binding.over(role, context, options) */
napi_value spn_stream_over(napi_env env, napi_callback_info info);

void spn_transport_free(struct spn_transport *transport); /* NULL is fine */

/* Passes on to either side what was told within calls of JavaScript's. */
void spn_transport_say(spn_stream_t *stream);

/* sp_stream_flush, within a call of JavaScript's. */
void spn_transport_flush(spn_stream_t *stream);

/* JavaScript is not going to close the Duplex any more. */
void spn_transport_abandon(spn_stream_t *stream);

#endif
