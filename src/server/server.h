/* The inside of a server. */
#ifndef SP_SERVER_SERVER_H
#define SP_SERVER_SERVER_H

#include <stdbool.h>

#include <uv.h>

#include <securepair/server.h>

#include "server/names.h"
#include "stream/stream.h"

typedef union sp__listener {
  uv_handle_t handle;
  uv_stream_t stream;
  uv_tcp_t tcp;
  uv_pipe_t pipe;
} sp__listener_t;

struct sp_server {
  void *data;
  sp__loop_t *loop;
  sp_secure_cb on_secure;
  sp_server_cb on_close;
  sp_drop_cb on_drop;
  sp_context_t *context; /* the default */
  sp__names_t names;     /* the others */
  sp__settings_t settings;
  sp__list_t streams;
  size_t connections, max_connections;
  sp__work_t work;
  sp__listener_t *listener; /* NULL while it does not listen */
  int backlog, spare_fd;    /* spare_fd: given up to get rid of a client when there are no more */
  unsigned accepts_per_turn, handshakes_per_turn, accepted;
  bool ipv6_only, reuse_port;
  bool accept_waiting; /* a client waits in the listener for a later turn */
  bool closing, listener_closed, told;
};

/* accept.c */
void sp__server_on_connection(uv_stream_t *listener, int status);
void sp__server_on_work(sp__work_t *work);

/* server.c: goes away when it was closed and the last connection is gone */
void sp__server_finish(sp_server_t *server);

#endif
