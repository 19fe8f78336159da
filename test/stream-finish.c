/* `finish`: after the end, when all of it is with the transport; sp_stream_flush: before that. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/fixture.h"
#include "support/flow.h"
#include "support/stage.h"
#include "support/syscalls.h"

#define MB (1024u * 1024u)

typedef struct scene {
  stage_t stage;
  duo_t duo;
  flow_t server;
  unsigned finishes, errors, closes;
  size_t pending; /* when it finished */
  bool destroys;  /* in `finish` */
} scene_t;

static void on_finish(sp_stream_t *stream) {
  scene_t *scene = sp_stream_data(stream);
  scene->finishes++;
  scene->pending = sp_stream_pending(stream);
  if (scene->destroys)
    sp_stream_destroy(stream);
}

static void on_error(sp_stream_t *stream, const sp_error_t *error) {
  scene_t *scene = sp_stream_data(stream);
  (void)error;
  scene->errors++;
}

static void on_close(sp_stream_t *stream) {
  scene_t *scene = sp_stream_data(stream);
  scene->closes++;
  duo_gone(&scene->duo, stream);
}

static void open_scene(scene_t *scene) {
  static const sp_stream_events_t events = {
      .finish = on_finish, .error = on_error, .close = on_close};
  *scene = (scene_t){0};
  stage_open(&scene->stage);
  duo_meet(&scene->duo, &scene->stage, SP_OPTIONS(.half_open = SP_YES),
           SP_OPTIONS(.half_open = SP_YES));
  sp_stream_on(scene->duo.client, &events, scene);
  flow_on(&scene->server, &scene->duo, scene->duo.accepted, true);
}

static void close_scene(scene_t *scene) {
  duo_part(&scene->duo);
  stage_close(&scene->stage);
}

static void test_once_and_not_within_the_call(void **state) {
  (void)state;
  scene_t scene;
  open_scene(&scene);
  sp_stream_end(scene.duo.client);
  sp_stream_end(scene.duo.client);
  assert_int_equal(scene.finishes, 0);
  STAGE_UNTIL(&scene.stage, scene.server.ends);
  assert_int_equal(scene.finishes, 1);
  assert_int_equal(scene.server.end_status, 0);
  close_scene(&scene);
  assert_int_equal(scene.finishes, 1);
}

/* The peer does not read: it is not finished before the transport took the last byte. */
static void test_waits_for_the_transport(void **state) {
  (void)state;
  static uint8_t bytes[16 * MB];
  scene_t scene;
  flow_fill(0, bytes, sizeof bytes);
  open_scene(&scene);
  sp_stream_pause(scene.duo.accepted);
  assert_int_equal(sp_stream_send(scene.duo.client, bytes, sizeof bytes), 0);
  sp_stream_end(scene.duo.client);
  for (int i = 0; i < 5; i++)
    uv_run(&scene.stage.uv, UV_RUN_NOWAIT);
  assert_int_equal(scene.finishes, 0);
  sp_stream_resume(scene.duo.accepted);
  STAGE_UNTIL(&scene.stage, scene.server.ends);
  assert_int_equal(scene.server.received, sizeof bytes);
  assert_int_equal(scene.finishes, 1);
  assert_int_equal(scene.pending, 0);
  close_scene(&scene);
}

static void test_not_after_destroy(void **state) {
  (void)state;
  scene_t scene;
  open_scene(&scene);
  sp_stream_end(scene.duo.client);
  sp_stream_destroy(scene.duo.client);
  STAGE_UNTIL(&scene.stage, scene.closes);
  assert_int_equal(scene.finishes, 0);
  close_scene(&scene);
}

static void test_destroy_within(void **state) {
  (void)state;
  scene_t scene;
  open_scene(&scene);
  scene.destroys = true;
  sp_stream_end(scene.duo.client);
  STAGE_UNTIL(&scene.stage, scene.closes);
  STAGE_UNTIL(&scene.stage, scene.server.ends);
  assert_int_equal(scene.server.end_status, 0); /* the close_notify was out */
  close_scene(&scene);
}

static void test_an_end_that_a_pipe_passed_on(void **state) {
  (void)state;
  scene_t scene;
  open_scene(&scene);
  assert_int_equal(sp_stream_pipe(scene.duo.client, scene.duo.client), 0);
  sp_stream_end(scene.duo.accepted);
  STAGE_UNTIL(&scene.stage, scene.server.ends);
  assert_int_equal(scene.finishes, 1);
  close_scene(&scene);
}

static int refuse_writes(syscall_name_t name, int fd) {
  (void)fd;
  return name == CALL_WRITE ? -EPIPE : 0;
}

/* The peer ended and is gone: that our close_notify finds nobody takes nothing from our end. */
static void test_peer_gone_after_its_end(void **state) {
  (void)state;
  scene_t scene;
  open_scene(&scene);
  sp_stream_resume(scene.duo.client);
  sp_stream_end(scene.duo.accepted);
  STAGE_UNTIL(&scene.stage, sp_pair_state(sp_stream_pair(scene.duo.client)) & SP_PAIR_PEER_ENDED);
  syscalls_set_fault(refuse_writes);
  sp_stream_end(scene.duo.client);
  STAGE_UNTIL(&scene.stage, scene.closes);
  syscalls_set_fault(NULL);
  assert_int_equal(scene.finishes, 1);
  close_scene(&scene);
}

/* Nor does it while the peer's end is still on its way, which tells how the peer left. */
static void test_peer_gone_before_its_end_is_read(void **state) {
  (void)state;
  scene_t scene;
  open_scene(&scene);
  sp_stream_resume(scene.duo.client);
  syscalls_set_fault(refuse_writes);
  sp_stream_end(scene.duo.client);
  STAGE_UNTIL(&scene.stage, scene.finishes);
  syscalls_set_fault(NULL);
  assert_int_equal(scene.closes, 0);
  sp_stream_end(scene.duo.accepted);
  STAGE_UNTIL(&scene.stage, scene.closes);
  assert_int_equal(scene.finishes, 1);
  assert_int_equal(scene.errors, 0);
  close_scene(&scene);
}

/* -- flush ------------------------------------------------------------------------------------- */

static void test_flush_before_destroy(void **state) {
  (void)state;
  scene_t scene;
  uint8_t bytes[1000];
  flow_fill(0, bytes, sizeof bytes);
  open_scene(&scene);
  assert_int_equal(sp_stream_send(scene.duo.client, bytes, 500), 1);
  assert_int_equal(sp_stream_send(scene.duo.client, bytes + 500, 500), 1);
  size_t calls = syscalls_made(CALL_WRITE);
  sp_stream_flush(scene.duo.client);
  assert_int_equal(syscalls_made(CALL_WRITE) - calls, 1);
  assert_int_equal(sp_stream_pending(scene.duo.client), 0);
  sp_stream_flush(scene.duo.client); /* nothing is left */
  assert_int_equal(syscalls_made(CALL_WRITE) - calls, 1);
  sp_stream_destroy(scene.duo.client);
  sp_stream_flush(scene.duo.client);
  STAGE_UNTIL(&scene.stage, scene.server.received == sizeof bytes);
  close_scene(&scene);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_once_and_not_within_the_call),
      cmocka_unit_test(test_waits_for_the_transport),
      cmocka_unit_test(test_not_after_destroy),
      cmocka_unit_test(test_destroy_within),
      cmocka_unit_test(test_an_end_that_a_pipe_passed_on),
      cmocka_unit_test(test_peer_gone_after_its_end),
      cmocka_unit_test(test_peer_gone_before_its_end_is_read),
      cmocka_unit_test(test_flush_before_destroy),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
