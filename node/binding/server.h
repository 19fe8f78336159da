/* Servers as JavaScript has them. */
#ifndef SPN_SERVER_H
#define SPN_SERVER_H

#include <stdbool.h>

#include <node_api.h>

#include <securepair/server.h>

#include "environment.h"

/* Bits of binding.WANTS: what JavaScript wants to be told. */
#define SPN_WANTS(X)                                                                               \
  X(ACCEPT, 1)                                                                                     \
  X(FAILURES, 2)                                                                                   \
  X(DROP, 4)

enum {
#define SPN_WANT_ENUM(name, bit) SPN_WANT_##name = bit,
  SPN_WANTS(SPN_WANT_ENUM)
#undef SPN_WANT_ENUM
};

typedef struct spn_server {
  spn_object_t object;
  sp_server_t *server; /* NULL: closed */
  int wants;
  bool closing, unref;
} spn_server_t;

/* The server that a connection came from; NULL for others. */
spn_server_t *spn_server_of(const sp_stream_t *connection);

bool spn_server_define(spn_environment_t *environment, napi_value exports);

#endif
