/* The inside of a server. */
#ifndef SP_SERVER_SERVER_H
#define SP_SERVER_SERVER_H

#include <stdbool.h>

#include <uv.h>

#include <securepair/server.h>

#include "server/names.h"
#include "stream/stream.h"

/*
 * A listening socket. It is only watched by libuv, and accept is our own call: a libuv listener
 * calls accept for as long as it fails for lack of something, and when descriptors run out it may
 * also close clients without a word.
 */
typedef struct sp__listener {
  struct sp_server *server;
  uv_poll_t poll;
  uv_timer_t pause; /* until accept is tried again */
  int fd;
  unsigned closing; /* handles still to close */
  bool is_pipe;
  char *path; /* to be removed on close; NULL: none */
} sp__listener_t;

struct sp_server {
  void *data;
  sp__loop_t *loop;
  sp_secure_cb on_secure;
  sp_server_cb on_close;
  sp_drop_cb on_drop;
  sp_accept_cb on_accept;
  sp__source_t context; /* the default */
  sp__names_t names;    /* the others */
  sp_hooks_t hooks;     /* beside a ready context */
  void *hooks_data;
  sp__settings_t settings;
  sp__maker_t maker; /* of its streams, with its counters */
  sp__list_t streams;
  size_t connections, max_connections;
  sp__work_t work;
  sp__listener_t *listener; /* NULL while it does not listen */
  int backlog;
  unsigned accepts_per_turn, handshakes_per_turn;
  bool ipv6_only, reuse_port, strict_sni;
  bool closing, listener_closed, told;
};

/* listen.c */
void sp__listener_close(sp__listener_t *listener);

/* accept.c */
void sp__server_set_maker(sp__maker_t *maker);
void sp__server_on_readable(uv_poll_t *poll, int status, int events);

/* server.c: goes away when it was closed and the last connection is gone */
void sp__server_finish(sp_server_t *server);

#endif
