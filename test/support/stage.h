/* A loop with a watchdog for a test to play on, and a server and a client that meet on it. */
#ifndef TEST_SUPPORT_STAGE_H
#define TEST_SUPPORT_STAGE_H

#include <stdbool.h>

#include <securepair.h>
#include <uv.h>

typedef struct stage {
  uv_loop_t uv;
  uv_timer_t watchdog;
  int fds; /* open descriptors at the start: as many have to be open at the end */
} stage_t;

/* The watchdog fails the test after 30 s, or when sanitizers slow it down after 120. */
void stage_open(stage_t *stage);
void stage_turn(stage_t *stage); /* once around the loop, waiting for something to happen */
void stage_run(stage_t *stage);  /* until nothing is left to do */
/* Closes the loop, which has to be empty, and looks for descriptors left behind. */
void stage_close(stage_t *stage);

#define STAGE_UNTIL(stage, condition)                                                              \
  do                                                                                               \
    while (!(condition))                                                                           \
      stage_turn(stage);                                                                           \
  while (0)

int stage_count_fds(void);

/* Credentials of a server, or of a client that trusts it, of one TLS version or any (0). Made once
 * per process. Borrowed. */
sp_context_t *stage_context(sp_role_t role, sp_protocol_t only);

typedef struct duo {
  stage_t *stage;
  sp_server_t *server;
  sp_stream_t *client, *accepted;   /* NULL after `close` */
  int client_secure, server_secure; /* 1: not heard yet */
  bool server_closed;
} duo_t;

/* A server on a free port of 127.0.0.1 and a client, both secure. Options as far as they concern
 * streams and server; context, host and port are put in. */
void duo_meet(duo_t *duo, stage_t *stage, const sp_options_t *server, const sp_options_t *client);

/* For events that a test sets itself: its close has to call this. */
void duo_gone(duo_t *duo, const sp_stream_t *stream);

/* Destroys what is there and runs until all of it is gone. */
void duo_part(duo_t *duo);

/* Options of one kind with context, host and port of another. */
sp_options_t stage_options(const sp_options_t *options, sp_role_t role, int port);

#endif
