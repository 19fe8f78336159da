/*
 * Peers that speak TCP only and say what a test wants them to, on a fixture's loop: clients of the
 * fixture's server, or what its clients find where they connect to. They end with FIN or with a
 * reset, and close when the other side does.
 */
#ifndef TEST_SUPPORT_RAW_H
#define TEST_SUPPORT_RAW_H

#include "support/fixture.h"

typedef struct raws raws_t;
typedef struct raw raw_t;

struct raw {
  raws_t *raws;
  raw_t *next;
  uv_tcp_t tcp;
  uv_connect_t connect;
  uv_shutdown_t shutdown;
  void (*on_open)(raw_t *raw);
  void (*on_bytes)(raw_t *raw); /* `got` has grown; may be NULL */
  void *data;                   /* yours */
  uint8_t got[8192];            /* what came, from the beginning, as far as there is room */
  size_t got_size;
  int over; /* how the other side ended: 0 not yet, UV_EOF, UV_ECONNRESET */
  bool closed;
};

/* All of a fixture's. */
struct raws {
  fixture_t *fixture;
  raw_t *first;
  size_t count, open;
  uv_tcp_t listener;
  int port; /* of the listener */
  void (*on_open)(raw_t *raw);
  void *data;
};

/* Takes over fixture->data and ->done: fixture_run then waits for raw peers, too. */
void raws_begin(raws_t *raws, fixture_t *fixture);

/* A client of the fixture's server; on_open is called when it is connected. */
raw_t *raw_connect(raws_t *raws, void (*on_open)(raw_t *raw), void *data);

/* A listener at raws->port; on_open is called for each that comes, with raw->data = data. */
void raw_listen(raws_t *raws, void (*on_open)(raw_t *raw), void *data);

/* What on_open and on_bytes may do. Small amounts: they go at once. A peer that is gone does not
 * matter. */
void raw_send(raw_t *raw, const void *bytes, size_t n);
void raw_fin(raw_t *raw);
void raw_reset(raw_t *raw); /* RST in place of FIN */

/* Runs the fixture to its end, and frees both. */
void raws_run(raws_t *raws);
void raws_free(raws_t *raws); /* before fixture_free */

#endif
