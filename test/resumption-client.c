/*
 * Resumption counted, on both sides, over a thousand connections in each of a client's ways: by the
 * cache of its own accord, by the event `session`, by bytes that are exported. Against our own
 * server; see resumption-client-peers for others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/pki.h"
#include "support/sanitized.h"
#include "support/stage.h"

#define ROUNDS (SANITIZED ? 200 : 1000)

typedef enum way { BY_CACHE, BY_EVENT, BY_EXPORT } way_t;

static const char *const way_names[] = {"cache", "event", "export"};

#define EACH_VERSION(version)                                                                      \
  for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3;                                    \
       version = (sp_protocol_t)((int)version + 1))

/* -- our server -------------------------------------------------------------------------------- */

typedef struct scene {
  stage_t stage;
  sp_server_t *server;
  sp_stream_t *stream;
  way_t way;
  unsigned resumed, served, served_resumed;
  uint8_t session[16384];
  size_t session_size;
} scene_t;

static void on_served(sp_stream_t *stream, int status) {
  scene_t *scene = sp_server_data(sp_stream_server(stream));
  assert_int_equal(status, 0);
  scene->served++;
  scene->served_resumed += sp_pair_is_resumed(sp_stream_pair(stream));
  assert_int_equal(sp_stream_send(stream, "x", 1), 1);
  sp_stream_end(stream);
}

static void on_secure(sp_stream_t *stream, int status) {
  scene_t *scene = sp_stream_data(stream);
  assert_int_equal(status, 0);
  assert_true(sp_stream_is_authorized(stream));
  scene->resumed += sp_pair_is_resumed(sp_stream_pair(stream));
}

static void keep(scene_t *scene, const void *bytes, size_t n) {
  assert_in_range(n, 1, sizeof scene->session);
  memcpy(scene->session, bytes, n);
  scene->session_size = n;
}

static void on_session(sp_stream_t *stream, const void *bytes, size_t n) {
  scene_t *scene = sp_stream_data(stream);
  if (scene->way == BY_EVENT)
    keep(scene, bytes, n);
}

static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  (void)stream, (void)bytes, (void)n;
}

/* The ticket, of TLS 1.3, too, has come. */
static void on_end(sp_stream_t *stream, int status) {
  scene_t *scene = sp_stream_data(stream);
  uint8_t bytes[16384];
  assert_int_equal(status, 0);
  if (scene->way != BY_EXPORT)
    return;
  size_t n = sp_pair_session(sp_stream_pair(stream), bytes, sizeof bytes);
  keep(scene, bytes, n);
}

static void on_close(sp_stream_t *stream) { ((scene_t *)sp_stream_data(stream))->stream = NULL; }

static const sp_stream_events_t events = {
    .data = on_data, .end = on_end, .session = on_session, .close = on_close};

static void connect_once(scene_t *scene) {
  sp_error_t why;
  bool caches = scene->way == BY_CACHE;
  assert_int_equal(sp_connect(&scene->stream, &scene->stage.uv, on_secure, &why,
                              SP_OPTIONS(.context = stage_context(SP_CLIENT, SP_PROTOCOL_DEFAULT),
                                         .host = "127.0.0.1", .port = sp_server_port(scene->server),
                                         .session_cache = caches ? SP_DEFAULT : SP_NO,
                                         .session = scene->session_size ? scene->session : NULL,
                                         .session_size = scene->session_size)),
                   0);
  sp_stream_on(scene->stream, &events, scene);
  STAGE_UNTIL(&scene->stage, !scene->stream);
}

static void count_ours(way_t way, sp_protocol_t version) {
  static scene_t scene;
  sp_error_t why;
  memset(&scene, 0, sizeof scene);
  scene.way = way;
  stage_open(&scene.stage);
  assert_int_equal(sp_server_new(&scene.server, &scene.stage.uv, on_served, &why,
                                 SP_OPTIONS(.context = stage_context(SP_SERVER, version))),
                   0);
  sp_server_set_data(scene.server, &scene);
  assert_int_equal(sp_server_listen(scene.server, "127.0.0.1", 0, &why), 0);
  for (int i = 0; i < ROUNDS; i++)
    connect_once(&scene);
  STAGE_UNTIL(&scene.stage, scene.served == ROUNDS);
  print_message("%s, TLS 1.%c: %u of %d resumed, the server says %u\n", way_names[way],
                version == SP_TLS1_2 ? '2' : '3', scene.resumed, ROUNDS, scene.served_resumed);
  assert_int_equal(scene.resumed, ROUNDS - 1);
  assert_int_equal(scene.served_resumed, ROUNDS - 1);
  assert_int_equal(sp_session_cache_count(NULL, NULL), way == BY_CACHE);
  sp_session_cache_clear(NULL);
  sp_server_close(scene.server, NULL);
  stage_run(&scene.stage);
  stage_close(&scene.stage);
}

static void our_server_by_cache(void **state) {
  (void)state;
  EACH_VERSION(version)
  count_ours(BY_CACHE, version);
}

static void our_server_by_event(void **state) {
  (void)state;
  EACH_VERSION(version)
  count_ours(BY_EVENT, version);
}

static void our_server_by_export(void **state) {
  (void)state;
  EACH_VERSION(version)
  count_ours(BY_EXPORT, version);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(our_server_by_cache),
      cmocka_unit_test(our_server_by_event),
      cmocka_unit_test(our_server_by_export),
  };
  return cmocka_run_group_tests_name("resumption-client", tests, NULL, NULL);
}
