/*
 * A server that echoes, with what is in force of a scene's watch, and its visitors: clients of
 * ours, one after the other, who bring the session that the one before was given, and openssl
 * s_client.
 */
#ifndef TEST_SUPPORT_SITE_H
#define TEST_SUPPORT_SITE_H

#include "support/child.h"
#include "support/scene.h"

typedef struct site {
  scene_t scene;
  sp_server_t *server;
  int port;
  int status;           /* of the last client, as the server saw it; 1: not yet */
  long verify;          /* ... and what was thought of its certificate */
  bool resumed;         /* ... and whether it came back with a session */
  unsigned resumptions; /* in all */
  uint8_t session[16384];
  size_t session_size; /* 0: the next one comes without */
  bool is_closed;
} site_t;

/* The scene has a watch, which the server does not follow yet. */
void site_serve(site_t *site);
void site_close(site_t *site); /* and the scene */

typedef struct visitor visitor_t;
struct visitor {
  site_t *site;
  sp_stream_t *stream;                                    /* NULL after `close` */
  void (*saw)(visitor_t *visitor, const sp_pair_t *pair); /* when it is secure; may be NULL */
  int status;                                             /* 1: not secure yet */
  bool is_resumed;
  size_t received;
};

/* Until both sides are secure, or failed. The options say what is special. */
void visitor_open(visitor_t *visitor, site_t *site,
                  void (*saw)(visitor_t *visitor, const sp_pair_t *pair),
                  const sp_options_t *options);
void visitor_talk(visitor_t *visitor); /* and hears it back: its session is there, too */
void visitor_end(visitor_t *visitor);

child_t *site_s_client(site_t *site, const char *const *args); /* at most 11 more arguments */
void site_s_client_end(child_t *child);                        /* it says nothing more */

#endif
