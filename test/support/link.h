/*
 * Two streams over each other in one process: a client and a server of sp_stream_over with a wire
 * in memory between them, or of sp_stream_adopt with a pair of sockets, to compare with. Each end
 * is an actor of a fixture.
 */
#ifndef TEST_SUPPORT_LINK_H
#define TEST_SUPPORT_LINK_H

#include "support/fixture.h"

typedef enum link_way {
  LINK_SOCKETS, /* sockets, by libuv */
  LINK_DIRECT,  /* what is sent is received within `send` */
  LINK_WIRE,    /* a wire of 64 KiB, all of it moves once a turn */
  LINK_NARROW,  /* a wire of 500 bytes */
  LINK_BYTES,   /* a wire of 500 bytes that move one by one, several a turn */
  LINK_WAYS
} link_way_t;

extern const char *const link_names[LINK_WAYS];

typedef struct link_end {
  struct link *link;
  struct link_end *other;
  actor_t *actor; /* actor->stream is NULL after `close` */
  uint8_t *wire;  /* to the other end */
  size_t capacity, used, most;
  bool reads, full, ended, end_told, asked_to_close, closed;
  unsigned sends, reads_on, reads_off, ends, closes;
  unsigned slow;                         /* turns that closing takes; 0: at once */
  void (*in_send)(struct link_end *end); /* NULL: nothing */
} link_end_t;

typedef struct link {
  fixture_t *f;
  link_way_t way;
  uv_idle_t mover;
  union {
    uv_pipe_t pipes[2];
  };
  link_end_t client, server;
} link_t;

/* Options as far as they do not concern credentials; may be NULL. */
void link_open(link_t *link, fixture_t *f, link_way_t way, sp_protocol_t version,
               const sp_options_t *client, const sp_options_t *server);
void link_run(link_t *link); /* until both ends closed */

/* For an end whose other one is something else: the transport and its data. */
extern const sp_transport_t link_transport;

#endif
