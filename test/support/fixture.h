/*
 * A loop with a watchdog, a server and clients on it, and a record of what happened to each stream
 * in which order: "secure data end close". A status other than 0 stands in brackets:
 * "secure(SP_EALERT) close". The same word several times in a row is written once.
 *
 *     fixture_t *f = fixture_new();
 *     fixture_serve(f, FIXTURE_SERVER(.half_open = SP_YES));
 *     actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
 *     client->react = what_to_do;
 *     fixture_run(f);
 *     assert_string_equal(client->log, "secure end close");
 *     fixture_free(f);
 *
 * Always checked: `secure` comes first and once, `close` last and once, `error` at most once, each
 * accepted write is called back once and before `close`, nothing is called within a CALL, no
 * handle and no descriptor is left.
 */
#ifndef TEST_SUPPORT_FIXTURE_H
#define TEST_SUPPORT_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include <securepair.h>

#include "support/pki.h"

#define FIXTURE_ACTORS 256 /* clients and served streams of one fixture */
#define FIXTURE_LOG 1024

/* Options of a server and of a client that trusts it; more may follow, these may not be repeated.
 */
#define FIXTURE_SERVER(...)                                                                        \
  SP_OPTIONS(.key = pki_default()->server->key_pem, .cert = pki_default()->server->cert_pem,       \
             __VA_ARGS__)
#define FIXTURE_CLIENT(f, ...)                                                                     \
  SP_OPTIONS(.host = "127.0.0.1", .port = (f)->port, .ca = SP_LIST(pki_default()->root->cert_pem), \
             __VA_ARGS__)

typedef enum fixture_event {
  ON_SECURE,
  ON_DATA,
  ON_END,
  ON_DRAIN,
  ON_TIMEOUT,
  ON_ERROR,
  ON_WRITE, /* the callback of actor_write */
  ON_CLOSE,
  FIXTURE_EVENTS
} fixture_event_t;

typedef struct fixture fixture_t;
typedef struct actor actor_t;

/* After an event was recorded: do something. For ON_DATA status is 0 and the bytes are
 * actor->bytes; for ON_CLOSE actor->stream is still there, for the last time. */
typedef void (*actor_react_t)(actor_t *actor, fixture_event_t event, int status);

/* One stream. It lives until fixture_free, longer than its stream. */
struct actor {
  fixture_t *fixture;
  sp_stream_t *stream; /* NULL after `close` */
  actor_react_t react;
  void *data; /* yours */
  const char *name;
  bool no_data; /* set before `secure`: listens to everything but `data` */
  bool is_server;
  const uint8_t *bytes; /* during ON_DATA */
  size_t n;
  size_t received; /* bytes in all */
  unsigned counts[FIXTURE_EVENTS];
  int statuses[FIXTURE_EVENTS]; /* the last of each */
  unsigned writes, writes_done; /* accepted by actor_write; called back */
  sp_error_t error;             /* as it was when `secure` failed or at `error` */
  char log[FIXTURE_LOG];
  fixture_event_t last;
};

struct fixture {
  uv_loop_t loop;
  uv_timer_t watchdog;
  sp_server_t *server; /* NULL: none, or gone */
  int port;
  bool server_closing;
  unsigned server_closed; /* times that on_close was called */
  actor_react_t react;    /* of the streams that the server makes */
  bool no_data;           /* of those, too */
  actor_t *actors[FIXTURE_ACTORS];
  size_t count;
  size_t served; /* of those, made by the server */
  const char *calling;
  bool (*done)(fixture_t *f); /* when to close the server; NULL: when all streams are gone */
  void *data;                 /* yours */
  int fds;                    /* open at the beginning */
};

/* Around a call of the library in which no callback may be called. */
#define CALL(f, expression) ((f)->calling = #expression, (expression), (f)->calling = NULL)

fixture_t *fixture_new(void); /* with a watchdog of 10 s (60 s under a sanitizer) */

/* A server at 127.0.0.1, any port. A failure ends the test; so in all calls. */
void fixture_serve(fixture_t *f, const sp_options_t *options);
actor_t *fixture_connect(fixture_t *f, const sp_options_t *options);

/* Takes over a stream made otherwise: give fixture_on_secure as its callback and adopt the stream
 * at once. */
void fixture_on_secure(sp_stream_t *stream, int status);
actor_t *fixture_adopt(fixture_t *f, sp_stream_t *stream, const char *name);

/* The i-th stream that the server made, from 0 in the order of `secure`; NULL: not yet. */
actor_t *fixture_served(const fixture_t *f, size_t i);

/* The served stream at the other end of a client's, by their ports: clients need not become secure
 * in the order in which they were made. NULL: not there (yet). */
actor_t *fixture_peer(const actor_t *client);

/* Runs until done, then closes the server and runs until nothing is left. */
void fixture_run(fixture_t *f);
void fixture_run_until(fixture_t *f, bool (*reached)(fixture_t *f)); /* without closing */
void fixture_close_server(fixture_t *f);

/* Also checks what is always checked. */
void fixture_free(fixture_t *f);

/* sp_stream_write with a request that is freed by its callback; the bytes must stay. Also checks
 * that the callback is not called at once. */
int actor_write(actor_t *actor, const void *bytes, size_t n);

/* Whether the log holds the word as a whole, whatever its status. */
bool actor_saw(const actor_t *actor, const char *word);

int fixture_count_fds(void);

/* n bytes of a pattern, at most 16 MiB, constant: byte i is i * 31 >> 3. */
const uint8_t *fixture_pattern(size_t n);

#endif
