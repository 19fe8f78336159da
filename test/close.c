/* Ends and closes, C01-C09: every way a connection can come to an end, and what is told of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/bare.h"
#include "support/fixture.h"
#include "support/hole.h"

#define BIG ((size_t)10 << 20)

/* One of ours and a bare peer, either way round. */
typedef struct scene {
  fixture_t *f;
  actor_t *actor; /* NULL before a served one is secure */
  bare_t *bare;
  sp_role_t role; /* ours */
  sp_protocol_t version;
  bool half_open;
  int number; /* the test's */
} scene_t;

static scene_t *now;

static actor_react_t play; /* what ours does */

static void keep_actor(actor_t *actor, fixture_event_t event, int status) {
  now->actor = actor;
  if (play)
    play(actor, event, status);
}

static sp_options_t options_of(const scene_t *scene) {
  bool serves = scene->role == SP_SERVER;
  return (sp_options_t){.size = sizeof(sp_options_t),
                        .key = serves ? pki_default()->server->key_pem : NULL,
                        .cert = serves ? pki_default()->server->cert_pem : NULL,
                        .host = serves ? NULL : "127.0.0.1",
                        .port = serves ? 0 : scene->bare->port,
                        .reject_unauthorized = SP_NO,
                        .tickets = SP_NO,
                        .half_open = scene->half_open ? SP_YES : SP_NO};
}

static void scene_set(scene_t *scene, void (*on_secure)(bare_t *bare), actor_react_t react) {
  now = scene;
  play = react;
  scene->actor = NULL;
  scene->f = fixture_new();
  if (scene->role == SP_SERVER) {
    sp_options_t options = options_of(scene);
    scene->f->react = keep_actor;
    fixture_serve(scene->f, &options);
    scene->bare = bare_connect(scene->f, scene->version);
  } else {
    scene->bare = bare_listen(scene->f, scene->version);
    sp_options_t options = options_of(scene);
    scene->actor = fixture_connect(scene->f, &options);
    scene->actor->react = keep_actor;
  }
  scene->bare->data = scene;
  scene->bare->on_secure = on_secure;
}

static bool are_done(fixture_t *f) {
  return now->actor && !now->actor->stream && now->bare->closed &&
         (!f->server || !sp_server_connections(f->server));
}

static void scene_run(scene_t *scene) {
  scene->f->done = are_done;
  fixture_run(scene->f);
}

static void scene_end(scene_t *scene) {
  bare_free(scene->bare);
  fixture_free(scene->f);
}

/* Runs a test in both roles with both versions. */
static void four_times(void (*test)(scene_t *scene)) {
  for (int role = SP_CLIENT; role <= SP_SERVER; role++)
    for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++) {
      scene_t scene = {.role = (sp_role_t)role, .version = (sp_protocol_t)version};
      test(&scene);
    }
}

/* -- C01: FIN without close_notify ------------------------------------------------------------ */

static void send_and_cut(bare_t *bare) {
  scene_t *scene = bare->data;
  (void)bare_send_part(bare, "complete", 8, SIZE_MAX);
  if (scene->number >= 0)
    (void)bare_send_part(bare, "never read", 10, (size_t)scene->number);
  bare_fin(bare);
}

static void cut(scene_t *scene, int part) {
  scene->number = part;
  scene_set(scene, send_and_cut, NULL);
  scene_run(scene);
  assert_string_equal(scene->actor->log, "secure data end(SP_ETRUNCATED) close");
  assert_int_equal(scene->actor->received, 8);
  assert_true(scene->bare->notified && scene->bare->fin && !scene->bare->stray);
  scene_end(scene);
}

static void cut_at_boundary(scene_t *scene) { cut(scene, -1); }

static void cut_within_record(scene_t *scene) {
  static const int parts[] = {1, 4, 5, 6, 20};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    cut(scene, parts[i]);
}

static void c01_fin_at_a_record_boundary(void **state) {
  (void)state;
  four_times(cut_at_boundary);
}

static void c01_fin_inside_a_record(void **state) {
  (void)state;
  four_times(cut_within_record);
}

/* Half-open makes no difference to what is told, and leaves the choice to us. */
static void answer_a_cut(actor_t *actor, fixture_event_t event, int status) {
  if (event != ON_END)
    return;
  assert_int_equal(status, SP_ETRUNCATED);
  assert_int_equal(sp_stream_send(actor->stream, "still here", 10), 1);
  sp_stream_end(actor->stream);
}

static void cut_half_open(scene_t *scene) {
  scene->half_open = true;
  scene->number = -1;
  scene_set(scene, send_and_cut, answer_a_cut);
  scene_run(scene);
  assert_string_equal(scene->actor->log, "secure data end(SP_ETRUNCATED) close");
  assert_int_equal(scene->bare->received, 10);
  assert_true(scene->bare->notified && scene->bare->fin);
  scene_end(scene);
}

static void c01_half_open(void **state) {
  (void)state;
  four_times(cut_half_open);
}

/* -- C02: our end ----------------------------------------------------------------------------- */

static void write_and_end(actor_t *actor, fixture_event_t event, int status) {
  if (event != ON_SECURE)
    return;
  assert_int_equal(status, 0);
  assert_true(actor_write(actor, fixture_pattern(BIG), BIG - 10) >= 0);
  assert_true(sp_stream_send(actor->stream, fixture_pattern(BIG) + BIG - 10, 10) >= 0);
  CALL(actor->fixture, sp_stream_end(actor->stream));
  assert_int_equal(sp_stream_send(actor->stream, "x", 1), SP_EENDED);
}

static void end_after_data(scene_t *scene) {
  scene_set(scene, NULL, write_and_end);
  scene->bare->pattern = fixture_pattern(BIG);
  scene_run(scene);
  assert_string_equal(scene->actor->log, "secure write close");
  assert_int_equal(scene->bare->received, BIG);
  assert_true(scene->bare->notified && scene->bare->fin && !scene->bare->stray);
  scene_end(scene);
}

static void c02_close_notify_after_all_data_and_before_fin(void **state) {
  (void)state;
  four_times(end_after_data);
}

static void answer_late(bare_t *bare) {
  assert_true(bare->notified && bare->fin && !bare->stray);
  bare->then_notify = true;
  bare_send(bare, fixture_pattern(BIG), BIG);
}

static void read_after_end(scene_t *scene) {
  scene->half_open = true;
  scene_set(scene, NULL, write_and_end);
  scene->bare->on_end = answer_late;
  scene_run(scene);
  assert_string_equal(scene->actor->log, "secure write data end close");
  assert_int_equal(scene->actor->received, BIG);
  assert_int_equal(scene->bare->received, BIG);
  scene_end(scene);
}

static void c02_reading_goes_on_after_our_end_when_half_open(void **state) {
  (void)state;
  four_times(read_after_end);
}

static void write_at_end(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_END) {
    assert_int_equal(actor_write(actor, fixture_pattern(BIG), BIG), 0);
    sp_stream_end(actor->stream);
  }
}

/* -- C03: data after close_notify ------------------------------------------------------------- */

static void talk_after_the_end(bare_t *bare) {
  (void)bare_send_part(bare, "before", 6, SIZE_MAX);
  bare_notify(bare);
  SSL_set_shutdown(bare->ssl, 0);
  (void)bare_send_part(bare, "after it", 8, SIZE_MAX);
  bare_fin(bare);
}

static void data_after_end(scene_t *scene) {
  scene_set(scene, talk_after_the_end, NULL);
  scene_run(scene);
  assert_string_equal(scene->actor->log, "secure data end close");
  assert_int_equal(scene->actor->received, 6);
  scene_end(scene);
}

static void data_after_end_half_open(scene_t *scene) {
  scene->half_open = true;
  scene_set(scene, talk_after_the_end, write_at_end);
  scene_run(scene);
  assert_string_equal(scene->actor->log, "secure data end write close");
  assert_int_equal(scene->actor->received, 6);
  assert_int_equal(scene->bare->received, BIG);
  scene_end(scene);
}

static void c03_data_after_close_notify_is_ignored(void **state) {
  (void)state;
  four_times(data_after_end);
  four_times(data_after_end_half_open);
}

/* -- C04: half open, the peer ends first ------------------------------------------------------ */

static void notify_and_fin(bare_t *bare) {
  bare_notify(bare);
  bare_fin(bare);
}

static void fin_only(bare_t *bare) { bare_fin(bare); }

static void read_after_peers_end(scene_t *scene) {
  scene->half_open = true;
  scene_set(scene, notify_and_fin, write_at_end);
  scene->bare->pattern = fixture_pattern(BIG);
  scene_run(scene);
  assert_string_equal(scene->actor->log, "secure end write close");
  assert_int_equal(scene->bare->received, BIG);
  assert_true(scene->bare->notified && scene->bare->fin && !scene->bare->stray);
  scene_end(scene);
}

static void read_after_cut(scene_t *scene) {
  scene->half_open = true;
  scene_set(scene, fin_only, write_at_end);
  scene_run(scene);
  assert_string_equal(scene->actor->log, "secure end(SP_ETRUNCATED) write close");
  assert_int_equal(scene->bare->received, BIG);
  scene_end(scene);
}

/* Without half_open the end is answered by an end; what is written in the callback still goes. */
static void end_is_answered(scene_t *scene) {
  scene_set(scene, notify_and_fin, NULL);
  scene_run(scene);
  assert_string_equal(scene->actor->log, "secure end close");
  assert_true(scene->bare->notified && scene->bare->fin && !scene->bare->stray);
  scene_end(scene);
}

/* Nor does it close by itself while half open: the peer waits until we end. */
static void on_later(uv_timer_t *timer) {
  scene_t *scene = timer->data;
  assert_false(scene->bare->closed || scene->bare->notified);
  assert_string_equal(scene->actor->log, "secure end");
  sp_stream_end(scene->actor->stream);
  uv_close((uv_handle_t *)timer, NULL);
}

static void stays_open(scene_t *scene) {
  uv_timer_t timer;
  scene->half_open = true;
  scene_set(scene, notify_and_fin, NULL);
  uv_timer_init(&scene->f->loop, &timer);
  timer.data = scene;
  scene->f->done = NULL;
  while (!scene->actor || !scene->actor->counts[ON_END])
    uv_run(&scene->f->loop, UV_RUN_ONCE);
  uv_timer_start(&timer, on_later, 30, 0);
  scene_run(scene);
  assert_string_equal(scene->actor->log, "secure end close");
  scene_end(scene);
}

static void c04_peer_ends_then_reads_10_mb(void **state) {
  (void)state;
  four_times(read_after_peers_end);
  four_times(read_after_cut);
}

static void c04_an_end_is_answered(void **state) {
  (void)state;
  four_times(end_is_answered);
  four_times(stays_open);
}

/* -- C05: at once, and too early -------------------------------------------------------------- */

typedef enum early { EARLY_DESTROY, EARLY_END } early_t;

static void end_when_secure(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_SECURE)
    CALL(actor->fixture, sp_stream_end(actor->stream));
}

static void destroy_when_secure(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_SECURE)
    CALL(actor->fixture, sp_stream_destroy(actor->stream));
}

static void both_at_once(actor_react_t react, sp_protocol_t version) {
  fixture_t *f = fixture_new();
  f->react = react;
  fixture_serve(f, FIXTURE_SERVER(.max_version = version));
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
  client->react = react;
  fixture_run(f);
  assert_false(actor_saw(client, "error"));
  assert_int_equal(client->statuses[ON_SECURE], 0);
  fixture_free(f);
}

static void c05_both_close_at_once(void **state) {
  (void)state;
  for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++) {
    both_at_once(end_when_secure, (sp_protocol_t)version);
    both_at_once(destroy_when_secure, (sp_protocol_t)version);
  }
}

/* So many turns of the loop: each flight is one or two of them. */
static void turn(fixture_t *f, const actor_t *client, int turns) {
  for (int i = 0; i < turns; i++)
    uv_run(&f->loop, client->counts[ON_SECURE] ? UV_RUN_NOWAIT : UV_RUN_ONCE);
}

static void client_leaves(const char *host, int turns, early_t how, sp_protocol_t version) {
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER(.max_version = version));
  actor_t *client = fixture_connect(
      f, SP_OPTIONS(.host = host, .port = f->port, .ca = SP_LIST(pki_default()->root->cert_pem)));
  turn(f, client, turns);
  bool was_secure = client->counts[ON_SECURE];
  if (how == EARLY_DESTROY)
    CALL(f, sp_stream_destroy(client->stream));
  else
    CALL(f, sp_stream_end(client->stream));
  fixture_run(f);
  if (how == EARLY_END) /* waits for secure, then ends */
    assert_int_equal(client->statuses[ON_SECURE], 0);
  else if (!was_secure)
    assert_string_equal(client->log, "secure(ECANCELED) close");
  fixture_free(f);
}

static void c05_client_leaves_in_every_turn(void **state) {
  (void)state;
  for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++)
    for (int turns = 0; turns < 12; turns++) {
      client_leaves("127.0.0.1", turns, EARLY_DESTROY, (sp_protocol_t)version);
      client_leaves("127.0.0.1", turns, EARLY_END, (sp_protocol_t)version);
    }
  for (int turns = 0; turns < 3; turns++)
    client_leaves("localhost", turns, EARLY_DESTROY, SP_TLS1_3);
}

static void server_leaves(int turns, sp_protocol_t version) {
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER(.max_version = version));
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
  turn(f, client, turns);
  fixture_close_server(f);
  CALL(f, sp_server_destroy_all(f->server));
  fixture_run(f);
  assert_null(client->stream);
  fixture_free(f);
}

static void c05_server_leaves_in_every_turn(void **state) {
  (void)state;
  for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++)
    for (int turns = 0; turns < 12; turns++)
      server_leaves(turns, (sp_protocol_t)version);
}

static void c05_destroyed_while_connecting(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  hole_t hole;
  hole_dig(&hole, "127.0.0.1", 0);
  actor_t *client = fixture_connect(f, SP_OPTIONS(.host = "127.0.0.1", .port = hole.port));
  for (int i = 0; i < 3; i++)
    uv_run(&f->loop, UV_RUN_NOWAIT);
  assert_string_equal(client->log, "");
  sp_stream_destroy(client->stream);
  fixture_run(f);
  assert_string_equal(client->log, "secure(ECANCELED) close");
  assert_int_equal(client->error.status, UV_ECANCELED); /* with a sentence of its own */
  assert_non_null(strstr(client->error.text, "destroyed by this program"));
  hole_fill(&hole);
  fixture_free(f);
}

static void c05_no_answer_while_connecting(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  hole_t hole;
  hole_dig(&hole, "127.0.0.1", 0);
  actor_t *client =
      fixture_connect(f, SP_OPTIONS(.host = "127.0.0.1", .port = hole.port, .connect_timeout = 50));
  fixture_run(f);
  assert_string_equal(client->log, "secure(ETIMEDOUT) close");
  assert_int_equal(client->error.who, SP_TRANSPORT);
  assert_non_null(strstr(client->error.text, "no connection in time"));
  hole_fill(&hole);
  fixture_free(f);
}

/* -- C06: twice, and too late ----------------------------------------------------------------- */

static void do_everything(sp_stream_t *stream) {
  static sp_write_t never;
  fixture_t *f = ((actor_t *)sp_stream_data(stream))->fixture;
  int status[5] = {0};
  CALL(f, sp_stream_destroy(stream));
  CALL(f, sp_stream_destroy(stream));
  CALL(f, sp_stream_end(stream));
  CALL(f, sp_stream_end(stream));
  CALL(f, sp_stream_pause(stream));
  CALL(f, sp_stream_resume(stream));
  CALL(f, sp_stream_unpipe(stream));
  CALL(f, sp_stream_set_timeout(stream, 1));
  CALL(f, status[0] = sp_stream_send(stream, "x", 1));
  CALL(f, status[1] = sp_stream_write(&never, stream, "x", 1, NULL));
  CALL(f, status[2] = sp_stream_pipe(stream, stream));
  CALL(f, status[3] = sp_stream_set_no_delay(stream, false));
  CALL(f, status[4] = sp_stream_set_keep_alive(stream, 1));
  for (int i = 0; i < 3; i++)
    assert_true(status[i] < 0);
  sp_stream_ref(stream);
  sp_stream_unref(stream);
  sp_stream_ref(stream);
}

static void everything_at(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == (fixture_event_t)(intptr_t)actor->fixture->data)
    do_everything(actor->stream);
}

static void c06_every_call_after_destroy(void **state) {
  (void)state;
  static const fixture_event_t at[] = {ON_SECURE, ON_CLOSE};
  for (int role = SP_CLIENT; role <= SP_SERVER; role++)
    for (size_t i = 0; i < 2; i++) {
      fixture_t *f = fixture_new();
      f->data = (void *)(intptr_t)at[i];
      if (role == SP_SERVER)
        f->react = everything_at;
      fixture_serve(f, FIXTURE_SERVER());
      actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
      client->react = role == SP_CLIENT ? everything_at : end_when_secure;
      if (role == SP_CLIENT)
        f->react = end_when_secure;
      fixture_run(f);
      fixture_free(f);
    }
}

static void write_too_late(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event != ON_SECURE)
    return;
  sp_stream_end(actor->stream);
  sp_stream_end(actor->stream);
  assert_int_equal(actor_write(actor, "x", 1), SP_EENDED);
  assert_int_equal(sp_stream_send(actor->stream, "x", 1), SP_EENDED);
  assert_int_equal(sp_stream_send(actor->stream, NULL, 0), SP_EENDED);
  sp_stream_destroy(actor->stream);
  assert_true(actor_write(actor, "x", 1) < 0);
}

static void c06_write_after_end(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER());
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
  client->react = write_too_late;
  fixture_run(f);
  assert_string_equal(client->log, "secure close");
  fixture_free(f);
}

/* -- C07: pending writes ---------------------------------------------------------------------- */

#define WRITES 4000u /* 16 MB: more than the socket buffers of both ends */

static void write_many(actor_t *actor) {
  for (unsigned i = 0; i < WRITES; i++)
    assert_true(actor_write(actor, fixture_pattern(4096), 4096) >= 0);
}

/* The peer does not read, so that some are encrypted, some in flight, most still queued. */
static void write_many_when_secure(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_SECURE)
    write_many(actor);
}

static bool is_stuck(fixture_t *f) {
  const actor_t *client = f->actors[0];
  return client->counts[ON_WRITE] > 0 && fixture_served(f, 0);
}

static void c07_destroy_calls_every_write_back(void **state) {
  (void)state;
  for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++) {
    fixture_t *f = fixture_new();
    f->no_data = true;
    fixture_serve(f, FIXTURE_SERVER(.max_version = (sp_protocol_t)version));
    actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
    client->react = write_many_when_secure;
    fixture_run_until(f, is_stuck);
    CALL(f, sp_stream_destroy(client->stream));
    sp_stream_destroy(fixture_served(f, 0)->stream);
    fixture_run(f);
    assert_string_equal(client->log, "secure write write(ECANCELED) close");
    assert_int_equal(client->writes_done, WRITES);
    fixture_free(f);
  }
}

static void c07_before_secure(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER());
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
  write_many(client);
  uv_run(&f->loop, UV_RUN_ONCE);
  CALL(f, sp_stream_destroy(client->stream));
  fixture_run(f);
  assert_string_equal(client->log, "secure(ECANCELED) write(ECANCELED) close");
  assert_int_equal(client->writes_done, WRITES);
  fixture_free(f);
}

static void c07_refused_connection(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER());
  int port = f->port;
  fixture_close_server(f);
  uv_run(&f->loop, UV_RUN_DEFAULT);
  actor_t *client = fixture_connect(f, SP_OPTIONS(.host = "127.0.0.1", .port = port));
  write_many(client);
  fixture_run(f);
  assert_string_equal(client->log, "secure(ECONNREFUSED) write(ECONNREFUSED) close");
  assert_int_equal(client->error.who, SP_TRANSPORT);
  assert_non_null(strstr(client->error.text, "127.0.0.1"));
  fixture_free(f);
}

/* -- C08: the server closes ------------------------------------------------------------------- */

static bool has_three(fixture_t *f) {
  return fixture_served(f, 1) && sp_server_connections(f->server) == 3;
}

static int dial(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
    return fd;
  close(fd);
  return -errno;
}

static bool one_left(fixture_t *f) { return sp_server_connections(f->server) == 1; }
static bool server_is_gone(fixture_t *f) { return !f->server; }

/* Two live connections and one that never says a word. */
static void close_with_three(bool destroy_all) {
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER());
  actor_t *clients[2];
  for (int i = 0; i < 2; i++)
    clients[i] = fixture_connect(f, FIXTURE_CLIENT(f));
  int mute = dial(f->port);
  assert_true(mute >= 0);
  fixture_run_until(f, has_three);
  fixture_close_server(f);
  int again;
  CALL(f, again = sp_server_close(f->server, NULL));
  assert_int_equal(again, UV_EALREADY);
  assert_int_equal(dial(f->port), -ECONNREFUSED);
  for (int i = 0; i < 10; i++)
    uv_run(&f->loop, UV_RUN_NOWAIT);
  assert_int_equal(sp_server_connections(f->server), 3);
  assert_int_equal(f->server_closed, 0);
  if (destroy_all) {
    CALL(f, sp_server_destroy_all(f->server));
  } else {
    sp_stream_end(clients[0]->stream);
    sp_stream_end(fixture_peer(clients[1])->stream);
    fixture_run_until(f, one_left);
    assert_int_equal(f->server_closed, 0);
    assert_int_equal(shutdown(mute, SHUT_WR), 0);
  }
  fixture_run_until(f, server_is_gone);
  assert_int_equal(f->server_closed, 1);
  close(mute);
  fixture_run(f);
  assert_int_equal(f->served, 3); /* the mute one was told about, too */
  fixture_free(f);
}

static void c08_close_waits_for_the_last_connection(void **state) {
  (void)state;
  close_with_three(false);
}

static void c08_destroy_all(void **state) {
  (void)state;
  close_with_three(true);
}

static void c08_close_in_the_secure_callback(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER());
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
  client->react = end_when_secure;
  fixture_run_until(f, one_left);
  fixture_close_server(f);
  fixture_run_until(f, server_is_gone);
  fixture_run(f);
  assert_int_equal(fixture_served(f, 0)->statuses[ON_SECURE], 0);
  fixture_free(f);
}

static void c08_never_listened(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  sp_error_t why;
  assert_int_equal(sp_server_new(&f->server, &f->loop, fixture_on_secure, &why, FIXTURE_SERVER()),
                   0);
  sp_server_set_data(f->server, f);
  fixture_close_server(f);
  fixture_run_until(f, server_is_gone);
  assert_int_equal(f->server_closed, 1);
  fixture_free(f);
}

/* -- C09: the transport fails (more of it in close-errno.c) ------------------------------------ */

static void reset_it(bare_t *bare) { bare_reset(bare); }

static void reset_when_secure(scene_t *scene) {
  scene_set(scene, reset_it, NULL);
  scene_run(scene);
  if (scene->role == SP_SERVER && scene->version == SP_TLS1_3)
    assert_non_null(strstr(scene->actor->log, "ECONNRESET")); /* maybe before it was secure */
  else
    assert_string_equal(scene->actor->log, "secure error(ECONNRESET) close");
  assert_int_equal(scene->actor->error.who, SP_TRANSPORT);
  assert_non_null(strstr(scene->actor->error.text, "connection reset"));
  scene_end(scene);
}

static void reset_after_fin(scene_t *scene) {
  scene->half_open = true;
  scene_set(scene, NULL, write_and_end);
  scene->bare->on_end = reset_it;
  scene_run(scene);
  assert_string_equal(scene->actor->log, "secure write error(ECONNRESET) close");
  scene_end(scene);
}

/* Both sides have ended, as far as we know nothing is lost. */
static void reset_after_both_ended(scene_t *scene) {
  scene_set(scene, NULL, write_and_end);
  scene->bare->on_end = reset_it;
  scene_run(scene);
  assert_string_equal(scene->actor->log, "secure write close");
  scene_end(scene);
}

static void c09_reset(void **state) {
  (void)state;
  four_times(reset_when_secure);
  four_times(reset_after_fin);
  four_times(reset_after_both_ended);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(c01_fin_at_a_record_boundary),
      cmocka_unit_test(c01_fin_inside_a_record),
      cmocka_unit_test(c01_half_open),
      cmocka_unit_test(c02_close_notify_after_all_data_and_before_fin),
      cmocka_unit_test(c02_reading_goes_on_after_our_end_when_half_open),
      cmocka_unit_test(c03_data_after_close_notify_is_ignored),
      cmocka_unit_test(c04_peer_ends_then_reads_10_mb),
      cmocka_unit_test(c04_an_end_is_answered),
      cmocka_unit_test(c05_both_close_at_once),
      cmocka_unit_test(c05_client_leaves_in_every_turn),
      cmocka_unit_test(c05_server_leaves_in_every_turn),
      cmocka_unit_test(c05_destroyed_while_connecting),
      cmocka_unit_test(c05_no_answer_while_connecting),
      cmocka_unit_test(c06_every_call_after_destroy),
      cmocka_unit_test(c06_write_after_end),
      cmocka_unit_test(c07_destroy_calls_every_write_back),
      cmocka_unit_test(c07_before_secure),
      cmocka_unit_test(c07_refused_connection),
      cmocka_unit_test(c08_close_waits_for_the_last_connection),
      cmocka_unit_test(c08_destroy_all),
      cmocka_unit_test(c08_close_in_the_secure_callback),
      cmocka_unit_test(c08_never_listened),
      cmocka_unit_test(c09_reset),
  };
  return cmocka_run_group_tests_name("close", tests, NULL, NULL);
}
