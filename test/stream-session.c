/* The events `session` and `keylog` of a stream: when they come, and that everything is legal in
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/pki.h"
#include "support/stage.h"

typedef struct scene scene_t;

typedef struct end {
  scene_t *scene;
  sp_stream_t *stream;
  sp_stream_events_t events; /* set when made, or when it is secure */
  bool late;
  char log[256], lines[4096];
  unsigned sessions, lines_count;
  void (*on_secure)(struct end *end);
  void (*on_session)(struct end *end);
  void (*on_keylog)(struct end *end);
} end_t;

struct scene {
  stage_t stage;
  sp_server_t *server;
  end_t client, accepted;
  uint8_t session[16384];
  size_t session_size;
  unsigned hook_told;
  bool resumed;
};

static void note(end_t *end, const char *word) {
  size_t n = strlen(end->log);
  const char *last = strrchr(end->log, ' ');
  if (!strcmp(last ? last + 1 : end->log, word))
    return;
  (void)snprintf(end->log + n, sizeof end->log - n, "%s%s", n ? " " : "", word);
}

static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  (void)bytes, (void)n;
  note(sp_stream_data(stream), "data");
}

static void on_session(sp_stream_t *stream, const void *bytes, size_t n) {
  end_t *end = sp_stream_data(stream);
  scene_t *scene = end->scene;
  assert_true(sp_stream_is_secure(stream));
  note(end, "session");
  end->sessions++;
  assert_in_range(n, 1, sizeof scene->session);
  memcpy(scene->session, bytes, n);
  scene->session_size = n;
  if (end->on_session)
    end->on_session(end);
}

static void on_keylog(sp_stream_t *stream, const char *line) {
  end_t *end = sp_stream_data(stream);
  note(end, "keylog");
  end->lines_count++;
  (void)snprintf(end->lines + strlen(end->lines), sizeof end->lines - strlen(end->lines), "%s\n",
                 line);
  if (end->on_keylog)
    end->on_keylog(end);
}

static void on_close(sp_stream_t *stream) {
  end_t *end = sp_stream_data(stream);
  note(end, "close");
  end->stream = NULL;
}

static const sp_stream_events_t only_close = {.close = on_close};

static void on_secure(sp_stream_t *stream, int status) {
  sp_server_t *server = sp_stream_server(stream);
  end_t *end = server ? &((scene_t *)sp_server_data(server))->accepted : sp_stream_data(stream);
  end->stream = stream;
  note(end, status ? "failed" : "secure");
  if (server || end->late)
    sp_stream_on(stream, &end->events, end);
  if (!server && !status)
    end->scene->resumed = sp_pair_is_resumed(sp_stream_pair(stream));
  if (end->on_secure && !status)
    end->on_secure(end);
}

static void hook_session(sp_pair_t *pair, const void *bytes, size_t n, void *data) {
  (void)pair, (void)bytes, (void)n;
  ((scene_t *)data)->hook_told++;
}

static sp_context_t *context(sp_role_t role, sp_protocol_t only, sp_choice_t keylog) {
  const pki_set_t *pki = pki_default();
  sp_options_t options = *SP_OPTIONS(.min_version = only, .max_version = only, .keylog = keylog);
  const char *const ca[] = {pki->root->cert_pem, NULL};
  sp_context_t *made;
  sp_error_t why;
  if (role == SP_SERVER) {
    options.key = pki->server->key_pem;
    options.cert = pki->server->cert_pem;
  } else {
    options.ca = ca;
  }
  assert_int_equal(sp_context_new(&made, &why, &options), 0);
  return made;
}

static void open_scene(scene_t *scene, sp_protocol_t version, sp_choice_t keylog) {
  sp_error_t why;
  memset(scene, 0, sizeof *scene);
  scene->client.scene = scene->accepted.scene = scene;
  scene->client.events = (sp_stream_events_t){
      .data = on_data, .session = on_session, .keylog = on_keylog, .close = on_close};
  scene->accepted.events =
      (sp_stream_events_t){.data = on_data, .keylog = on_keylog, .close = on_close};
  stage_open(&scene->stage);
  sp_context_t *made = context(SP_SERVER, version, keylog);
  assert_int_equal(
      sp_server_new(&scene->server, &scene->stage.uv, on_secure, &why, SP_OPTIONS(.context = made)),
      0);
  sp_context_release(made);
  sp_server_set_data(scene->server, scene);
  assert_int_equal(sp_server_listen(scene->server, "127.0.0.1", 0, &why), 0);
}

static void join(scene_t *scene, sp_choice_t keylog, const void *session, size_t n) {
  sp_error_t why;
  sp_context_t *made = context(SP_CLIENT, SP_PROTOCOL_DEFAULT, keylog);
  assert_int_equal(
      sp_connect(&scene->client.stream, &scene->stage.uv, on_secure, &why,
                 SP_OPTIONS(.context = made, .host = "127.0.0.1",
                            .port = sp_server_port(scene->server), .session = session,
                            .session_size = n, .hooks.session = hook_session, .hooks_data = scene)),
      0);
  sp_context_release(made);
  sp_stream_on(scene->client.stream, scene->client.late ? &only_close : &scene->client.events,
               &scene->client);
}

static void close_scene(scene_t *scene) {
  if (scene->client.stream)
    sp_stream_destroy(scene->client.stream);
  sp_server_destroy_all(scene->server);
  sp_server_close(scene->server, NULL);
  stage_run(&scene->stage);
  stage_close(&scene->stage);
}

static void send_one(end_t *end) { assert_int_equal(sp_stream_send(end->stream, "x", 1), 1); }

#define EACH_VERSION(version)                                                                      \
  for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3;                                    \
       version = (sp_protocol_t)((int)version + 1))

/* -- session ----------------------------------------------------------------------------------- */

static void comes_after_secure_and_resumes(void **state) {
  (void)state;
  EACH_VERSION(version) {
    scene_t scene;
    open_scene(&scene, version, SP_DEFAULT);
    scene.accepted.on_secure = send_one;
    join(&scene, SP_DEFAULT, NULL, 0);
    STAGE_UNTIL(&scene.stage, strstr(scene.client.log, "data"));
    /* in TLS 1.3 the ticket comes with the data, whose order is not told */
    assert_int_equal(strncmp(scene.client.log, "secure ", 7), 0);
    assert_int_equal(scene.client.sessions, 1);
    assert_int_equal(scene.hook_told, 1); /* both are told */
    assert_false(scene.resumed);
    uint8_t copy[sizeof scene.session];
    size_t n = scene.session_size;
    memcpy(copy, scene.session, n);
    sp_stream_destroy(scene.client.stream);
    STAGE_UNTIL(&scene.stage, !scene.client.stream && !scene.accepted.stream);
    join(&scene, SP_DEFAULT, copy, n);
    STAGE_UNTIL(&scene.stage, scene.accepted.stream);
    STAGE_UNTIL(&scene.stage, scene.resumed);
    close_scene(&scene);
  }
}

static void listener_of_the_secure_callback_hears_it(void **state) {
  (void)state;
  EACH_VERSION(version) {
    scene_t scene;
    open_scene(&scene, version, SP_DEFAULT);
    scene.client.late = true;
    join(&scene, SP_DEFAULT, NULL, 0);
    STAGE_UNTIL(&scene.stage, scene.client.sessions);
    assert_string_equal(scene.client.log, "secure session");
    close_scene(&scene);
  }
}

/* The ticket of TLS 1.3 is in what nobody reads. */
static void ticket_waits_for_a_reader(void **state) {
  (void)state;
  scene_t scene;
  open_scene(&scene, SP_TLS1_3, SP_DEFAULT);
  scene.accepted.on_secure = send_one;
  scene.client.events.data = NULL;
  join(&scene, SP_DEFAULT, NULL, 0);
  STAGE_UNTIL(&scene.stage, scene.client.log[0] && scene.accepted.stream);
  for (int i = 0; i < 20; i++)
    uv_run(&scene.stage.uv, UV_RUN_NOWAIT);
  assert_string_equal(scene.client.log, "secure");
  sp_stream_resume(scene.client.stream);
  STAGE_UNTIL(&scene.stage, scene.client.sessions);
  close_scene(&scene);
}

/* Our end was not sent yet, or the peer's is awaited: what comes is dropped, the ticket is not. */
static void end_it(end_t *end) { sp_stream_end(end->stream); }

static void ticket_before_the_peers_end(void **state) {
  (void)state;
  scene_t scene;
  open_scene(&scene, SP_TLS1_3, SP_DEFAULT);
  scene.accepted.on_secure = end_it;
  join(&scene, SP_DEFAULT, NULL, 0);
  STAGE_UNTIL(&scene.stage, !scene.client.stream);
  assert_string_equal(scene.client.log, "secure session close");
  close_scene(&scene);
}

static void destroy(end_t *end) { sp_stream_destroy(end->stream); }

static void write_and_end(end_t *end) {
  assert_int_equal(sp_stream_send(end->stream, "y", 1), 1);
  assert_int_equal(sp_stream_try(end->stream, "z", 1) >= 0, 1);
  sp_stream_flush(end->stream);
  sp_stream_pause(end->stream);
  sp_stream_resume(end->stream);
  sp_stream_end(end->stream);
}

static void take_no_more(end_t *end) { sp_stream_on(end->stream, &only_close, end); }

static void everything_is_legal_in_session(void **state) {
  (void)state;
  void (*const acts[])(end_t *) = {destroy, write_and_end, take_no_more};
  for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
    EACH_VERSION(version) {
      scene_t scene;
      open_scene(&scene, version, SP_DEFAULT);
      scene.accepted.on_secure = send_one;
      scene.client.on_session = acts[i];
      join(&scene, SP_DEFAULT, NULL, 0);
      STAGE_UNTIL(&scene.stage, scene.client.sessions);
      STAGE_UNTIL(&scene.stage, !scene.client.stream || acts[i] == take_no_more);
      assert_int_equal(scene.client.sessions, 1);
      close_scene(&scene);
    }
}

/* -- keylog ------------------------------------------------------------------------------------ */

static bool has_label(const end_t *end, const char *label) {
  return strstr(end->lines, label) != NULL;
}

static void check_lines(const scene_t *scene, sp_protocol_t version) {
  static const char *const labels[] = {
      "CLIENT_HANDSHAKE_TRAFFIC_SECRET ", "SERVER_HANDSHAKE_TRAFFIC_SECRET ",
      "CLIENT_TRAFFIC_SECRET_0 ", "SERVER_TRAFFIC_SECRET_0 ", "EXPORTER_SECRET "};
  if (version == SP_TLS1_2) {
    assert_true(has_label(&scene->client, "CLIENT_RANDOM "));
    assert_string_equal(scene->client.lines, scene->accepted.lines);
    return;
  }
  for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
    const char *client = strstr(scene->client.lines, labels[i]);
    const char *server = strstr(scene->accepted.lines, labels[i]);
    assert_non_null(client);
    assert_non_null(server);
    assert_memory_equal(client, server, strcspn(client, "\n"));
  }
}

/* The client listens from the start; the server's stream is there when it is secure. */
static void lines_of_both_sides(void **state) {
  (void)state;
  EACH_VERSION(version) {
    scene_t scene;
    open_scene(&scene, version, SP_YES);
    join(&scene, SP_YES, NULL, 0);
    STAGE_UNTIL(&scene.stage, scene.accepted.stream && scene.client.sessions);
    assert_string_equal(scene.client.log, "keylog secure session");
    assert_string_equal(scene.accepted.log, "secure keylog");
    check_lines(&scene, version);
    close_scene(&scene);
  }
}

static void no_lines_unless_asked_for(void **state) {
  (void)state;
  EACH_VERSION(version) {
    scene_t scene;
    open_scene(&scene, version, SP_DEFAULT);
    join(&scene, SP_NO, NULL, 0);
    STAGE_UNTIL(&scene.stage, scene.accepted.stream && scene.client.sessions);
    assert_int_equal(scene.client.lines_count + scene.accepted.lines_count, 0);
    close_scene(&scene);
  }
}

static void destroyed_in_keylog(void **state) {
  (void)state;
  EACH_VERSION(version) {
    scene_t scene;
    open_scene(&scene, version, SP_YES);
    scene.client.on_keylog = destroy;
    join(&scene, SP_YES, NULL, 0);
    STAGE_UNTIL(&scene.stage, !scene.client.stream);
    assert_string_equal(scene.client.log, "keylog failed close");
    assert_int_equal(scene.client.lines_count, 1);
    close_scene(&scene);
  }
}

/* Lines that nobody took are gone with the secure callback. */
static void lines_without_a_listener(void **state) {
  (void)state;
  scene_t scene;
  open_scene(&scene, SP_TLS1_3, SP_YES);
  scene.accepted.events.keylog = NULL;
  join(&scene, SP_YES, NULL, 0);
  STAGE_UNTIL(&scene.stage, scene.accepted.stream && scene.client.sessions);
  scene.accepted.events.keylog = on_keylog;
  sp_stream_on(scene.accepted.stream, &scene.accepted.events, &scene.accepted);
  for (int i = 0; i < 5; i++)
    uv_run(&scene.stage.uv, UV_RUN_NOWAIT);
  assert_int_equal(scene.accepted.lines_count, 0);
  close_scene(&scene);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(comes_after_secure_and_resumes),
      cmocka_unit_test(listener_of_the_secure_callback_hears_it),
      cmocka_unit_test(ticket_waits_for_a_reader),
      cmocka_unit_test(ticket_before_the_peers_end),
      cmocka_unit_test(everything_is_legal_in_session),
      cmocka_unit_test(lines_of_both_sides),
      cmocka_unit_test(no_lines_unless_asked_for),
      cmocka_unit_test(destroyed_in_keylog),
      cmocka_unit_test(lines_without_a_listener),
  };
  return cmocka_run_group_tests_name("stream-session", tests, NULL, NULL);
}
