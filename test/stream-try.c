/* sp_stream_try: what the transport takes now goes at once; what does not is told by `drain`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/allocations.h"
#include "support/fixture.h"
#include "support/flow.h"
#include "support/stage.h"
#include "support/syscalls.h"

#define MB (1024u * 1024u)

typedef struct scene {
  stage_t stage;
  duo_t duo;
  flow_t client, server;
} scene_t;

static void open_scene(scene_t *scene) {
  *scene = (scene_t){0};
  stage_open(&scene->stage);
  duo_meet(&scene->duo, &scene->stage, SP_OPTIONS(.half_open = SP_YES),
           SP_OPTIONS(.half_open = SP_YES));
  flow_on(&scene->client, &scene->duo, scene->duo.client, true);
  flow_on(&scene->server, &scene->duo, scene->duo.accepted, true);
}

static void close_scene(scene_t *scene) {
  duo_part(&scene->duo);
  stage_close(&scene->stage);
}

/* One system call for a record, nothing is allocated, and nothing has to be waited for. */
static void test_goes_at_once(void **state) {
  (void)state;
  scene_t scene;
  uint8_t bytes[1000];
  flow_fill(0, bytes, sizeof bytes);
  open_scene(&scene);
  stage_turn(&scene.stage);
  size_t calls = syscalls_made(CALL_WRITE), blocks = allocations_made(OURS);
  assert_int_equal(sp_stream_try(scene.duo.client, bytes, sizeof bytes), sizeof bytes);
  assert_int_equal(syscalls_made(CALL_WRITE) - calls, 1);
  assert_int_equal(allocations_made(OURS), blocks);
  assert_int_equal(sp_stream_pending(scene.duo.client), 0);
  assert_int_equal(sp_stream_bytes_written(scene.duo.client), sizeof bytes);
  STAGE_UNTIL(&scene.stage, scene.server.received == sizeof bytes);
  assert_int_equal(scene.client.drains, 0);
  close_scene(&scene);
}

static void test_waits_behind_queued_writes(void **state) {
  (void)state;
  scene_t scene;
  uint8_t bytes[2000];
  flow_fill(0, bytes, sizeof bytes);
  open_scene(&scene);
  assert_int_equal(sp_stream_send(scene.duo.client, bytes, 1000), 1);
  assert_int_equal(sp_stream_try(scene.duo.client, bytes + 1000, 1000), 0);
  STAGE_UNTIL(&scene.stage, scene.client.drains);
  assert_int_equal(sp_stream_try(scene.duo.client, bytes + 1000, 1000), 1000);
  STAGE_UNTIL(&scene.stage, scene.server.received == 2000);
  close_scene(&scene);
}

/* Until it takes no more, and from each `drain` on; what is held meanwhile is bounded. */
static void test_full_and_drained(void **state) {
  (void)state;
  static uint8_t bytes[8 * MB];
  scene_t scene;
  size_t sent = 0;
  unsigned zeros = 0;
  flow_fill(0, bytes, sizeof bytes);
  open_scene(&scene);
  sp_stream_pause(scene.duo.accepted);
  while (sent < sizeof bytes) {
    unsigned before = scene.client.drains;
    ssize_t took = sp_stream_try(scene.duo.client, bytes + sent, sizeof bytes - sent);
    assert_true(took >= 0);
    sent += (size_t)took;
    assert_in_range(sp_stream_pending(scene.duo.client), 0, SP_PAIR_AHEAD);
    if (sent == sizeof bytes)
      break;
    assert_int_equal(sp_stream_try(scene.duo.client, bytes + sent, 1), 0);
    zeros++;
    sp_stream_resume(scene.duo.accepted);
    STAGE_UNTIL(&scene.stage, scene.client.drains > before);
  }
  assert_true(zeros > 0);
  STAGE_UNTIL(&scene.stage, scene.server.received == sizeof bytes);
  close_scene(&scene);
}

static void test_order_with_writes(void **state) {
  (void)state;
  static uint8_t bytes[2 * MB];
  scene_t scene;
  sp_write_t rest = {.data = NULL};
  flow_fill(0, bytes, sizeof bytes);
  open_scene(&scene);
  ssize_t took = sp_stream_try(scene.duo.client, bytes, sizeof bytes);
  assert_in_range(took, 1, sizeof bytes);
  size_t n = (size_t)took;
  assert_true(sp_stream_write(&rest, scene.duo.client, bytes + n, sizeof bytes - n, NULL) >= 0);
  STAGE_UNTIL(&scene.stage, scene.server.received == sizeof bytes);
  close_scene(&scene);
}

static void test_after_the_end(void **state) {
  (void)state;
  scene_t scene;
  open_scene(&scene);
  assert_int_equal(sp_stream_try(scene.duo.client, NULL, 0), 0);
  sp_stream_end(scene.duo.client);
  assert_int_equal(sp_stream_try(scene.duo.client, "x", 1), SP_EENDED);
  sp_stream_destroy(scene.duo.accepted);
  assert_int_equal(sp_stream_try(scene.duo.accepted, "x", 1), UV_ECANCELED);
  close_scene(&scene);
}

/* Before the handshake it answers 0, and `drain` comes after `secure`. */
static void try_once(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_DRAIN)
    assert_int_equal(sp_stream_try(actor->stream, "hello", 5), 5);
}

static void end_on_data(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_DATA)
    sp_stream_end(actor->stream);
}

static void test_before_secure(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER());
  f->react = end_on_data;
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
  client->react = try_once;
  ssize_t took;
  CALL(f, took = sp_stream_try(client->stream, "hello", 5));
  assert_int_equal(took, 0);
  fixture_run(f);
  assert_string_equal(client->log, "secure drain end close");
  assert_int_equal(fixture_served(f, 0)->received, 5);
  fixture_free(f);
}

int main(void) {
  allocations_watch();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_goes_at_once),     cmocka_unit_test(test_waits_behind_queued_writes),
      cmocka_unit_test(test_full_and_drained), cmocka_unit_test(test_order_with_writes),
      cmocka_unit_test(test_after_the_end),    cmocka_unit_test(test_before_secure),
  };
  return cmocka_run_group_tests_name("stream-try", tests, NULL, NULL);
}
