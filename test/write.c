/* Writing: the three answers, drain, corking, borrowed memory, and a transport that takes bytes in
 * every awkward way there is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "support/flow.h"
#include "support/syscalls.h"

#define KB 1024u
#define MB (1024u * KB)

typedef struct scene {
  stage_t stage;
  duo_t duo;
  flow_t writer, reader; /* server and client */
} scene_t;

static scene_t *scene_open(const sp_options_t *server, bool reads) {
  static scene_t scene;
  memset(&scene, 0, sizeof scene);
  stage_open(&scene.stage);
  duo_meet(&scene.duo, &scene.stage, server, NULL);
  flow_on(&scene.writer, &scene.duo, scene.duo.accepted, true);
  flow_on(&scene.reader, &scene.duo, scene.duo.client, reads);
  return &scene;
}

static void scene_close(scene_t *scene) {
  duo_part(&scene->duo);
  assert_int_equal(scene->writer.closes, 1);
  assert_int_equal(scene->reader.closes, 1);
  stage_close(&scene->stage);
}

/* -- answers ----------------------------------------------------------------------------------- */

static void test_three_answers(void **state) {
  (void)state;
  static uint8_t bytes[8 * KB];
  scene_t *scene = scene_open(SP_OPTIONS(.high_water = 4 * KB, .write_limit = 6 * KB), true);
  sp_stream_t *stream = scene->writer.stream;
  flow_fill(0, bytes, sizeof bytes);
  assert_int_equal(sp_stream_send(stream, bytes, 0), 1); /* nothing is a fine amount */
  assert_int_equal(sp_stream_send(stream, bytes, 4 * KB - 1), 1);
  assert_int_equal(sp_stream_pending(stream), 4 * KB - 1);
  assert_int_equal(sp_stream_send(stream, bytes + 4 * KB - 1, 1), 0);
  assert_int_equal(sp_stream_send(stream, bytes + 4 * KB, 2 * KB), 0);
  assert_int_equal(sp_stream_send(stream, bytes, 1), SP_EOVERFLOW);
  assert_int_equal(scene->writer.drains, 0); /* not from inside the call */
  STAGE_UNTIL(&scene->stage, scene->reader.received == 6 * KB);
  assert_int_equal(scene->writer.drains, 1); /* one, after however many 0 */
  assert_int_equal(sp_stream_pending(stream), 0);
  assert_int_equal(sp_stream_send(stream, bytes + 6 * KB, 2 * KB), 1);
  STAGE_UNTIL(&scene->stage, scene->reader.received == 8 * KB);
  assert_int_equal(scene->writer.drains, 1); /* none after a 1 */
  sp_stream_end(stream);
  assert_int_equal(sp_stream_send(stream, bytes, 1), SP_EENDED);
  sp_write_t request;
  assert_int_equal(sp_stream_write(&request, stream, bytes, 1, NULL), SP_EENDED);
  STAGE_UNTIL(&scene->stage, scene->writer.closes && scene->reader.closes);
  assert_int_equal(scene->reader.received, 8 * KB);
  assert_int_equal(scene->reader.end_status, 0);
  scene_close(scene);
}

static void test_write_after_destroy(void **state) {
  (void)state;
  scene_t *scene = scene_open(NULL, true);
  sp_write_t request;
  sp_stream_destroy(scene->writer.stream);
  assert_int_equal(sp_stream_send(scene->writer.stream, "x", 1), UV_ECANCELED);
  assert_int_equal(sp_stream_write(&request, scene->writer.stream, "x", 1, NULL), UV_ECANCELED);
  scene_close(scene);
}

/* -- corking ----------------------------------------------------------------------------------- */

typedef struct tick {
  scene_t *scene;
  size_t calls;
  bool fired;
} tick_t;

static void on_tick(uv_timer_t *timer) {
  tick_t *tick = timer->data;
  uint8_t byte;
  for (size_t i = 0; i < 500; i++) {
    flow_fill(i, &byte, 1);
    assert_int_equal(sp_stream_send(tick->scene->writer.stream, &byte, 1), 1);
  }
  tick->fired = true;
  tick->calls = syscalls_made(CALL_WRITE);
  uv_close((uv_handle_t *)timer, NULL);
}

/* In a callback that is not the library's: a timer of the program. */
static void test_cork_outside_of_callbacks(void **state) {
  (void)state;
  scene_t *scene = scene_open(NULL, true);
  tick_t tick = {.scene = scene};
  uv_timer_t timer;
  uv_timer_init(&scene->stage.uv, &timer);
  timer.data = &tick;
  uv_timer_start(&timer, on_tick, 0, 0);
  STAGE_UNTIL(&scene->stage, scene->reader.received == 500);
  assert_int_equal(syscalls_made(CALL_WRITE) - tick.calls, 1);
  assert_int_equal(scene->reader.data_events, 1);
  scene_close(scene);
}

/* Not in any callback at all. */
static void test_cork_before_the_loop_runs(void **state) {
  (void)state;
  scene_t *scene = scene_open(NULL, true);
  uint8_t byte;
  size_t calls = syscalls_made(CALL_WRITE);
  for (size_t i = 0; i < 500; i++) {
    flow_fill(i, &byte, 1);
    assert_int_equal(sp_stream_send(scene->writer.stream, &byte, 1), 1);
  }
  assert_int_equal(syscalls_made(CALL_WRITE), calls);
  STAGE_UNTIL(&scene->stage, scene->reader.received == 500);
  assert_int_equal(syscalls_made(CALL_WRITE) - calls, 1);
  scene_close(scene);
}

/* A question on one stream is answered on two, turn by turn: still one call each. */
typedef struct fork {
  scene_t *scene;
  flow_t writer, reader; /* the second pair's */
  size_t calls;
} fork_t;

static void answer_on_both(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  flow_t *flow = sp_stream_data(stream);
  fork_t *both = flow->data;
  uint8_t part[10];
  (void)bytes, (void)n;
  for (size_t i = 0; i < 1000; i += sizeof part) {
    flow_fill(i, part, sizeof part);
    assert_int_equal(sp_stream_send(both->scene->writer.stream, part, sizeof part), 1);
    assert_int_equal(sp_stream_send(both->writer.stream, part, sizeof part), 1);
  }
  both->calls = syscalls_made(CALL_WRITE);
}

static void test_two_streams_interleaved(void **state) {
  (void)state;
  scene_t *scene = scene_open(NULL, true);
  fork_t both = {.scene = scene};
  duo_t duo;
  duo_meet(&duo, &scene->stage, NULL, NULL);
  flow_on(&both.writer, &duo, duo.accepted, true);
  flow_on(&both.reader, &duo, duo.client, true);
  const sp_stream_events_t events = {.data = answer_on_both};
  scene->writer.data = &both;
  sp_stream_on(scene->writer.stream, &events, &scene->writer);
  assert_int_equal(sp_stream_send(scene->reader.stream, "?", 1), 1);
  STAGE_UNTIL(&scene->stage, scene->reader.received == 1000 && both.reader.received == 1000);
  assert_int_equal(syscalls_made(CALL_WRITE) - both.calls, 2);
  flow_on(&scene->writer, &scene->duo, scene->writer.stream, true);
  duo_part(&duo);
  scene_close(scene);
}

/* -- borrowed memory --------------------------------------------------------------------------- */

typedef struct borrowed {
  sp_write_t request;
  flow_t *reader;
  uint8_t *bytes;
  size_t size;
  unsigned called;
  int status;
} borrowed_t;

/* Freed here: the sanitizer tells who touches it later. */
static void on_returned(sp_write_t *request, int status) {
  borrowed_t *borrowed = request->data;
  assert_int_equal(borrowed->called++, 0);
  borrowed->status = status;
  memset(borrowed->bytes, 0xee, borrowed->size);
  free(borrowed->bytes);
  borrowed->bytes = NULL;
}

static void borrow(borrowed_t *borrowed, sp_stream_t *stream, size_t offset, size_t size) {
  *borrowed = (borrowed_t){.size = size, .bytes = malloc(size + 1)};
  borrowed->request.data = borrowed;
  flow_fill(offset, borrowed->bytes, size);
  assert_in_range(sp_stream_write(&borrowed->request, stream, borrowed->bytes, size, on_returned),
                  0, 1);
  assert_int_equal(borrowed->called, 0);
}

/* Sizes on both sides of everything that is a limit inside, mixed with copies. */
static void test_borrowed_memory(void **state) {
  (void)state;
  static const size_t sizes[] = {0,     1,     100,   8191,  8192,  8193,        16383,  16384, 1,
                                 16385, 65535, 65536, 65537, 70000, 1000 * 1000, 4 * MB, 0,     7};
  enum { COUNT = sizeof sizes / sizeof *sizes };
  borrowed_t borrowed[COUNT];
  scene_t *scene = scene_open(NULL, true);
  uint8_t copy[3];
  size_t sent = 0;
  for (int i = 0; i < COUNT; i++) {
    borrow(&borrowed[i], scene->writer.stream, sent, sizes[i]);
    sent += sizes[i];
    flow_fill(sent, copy, sizeof copy);
    assert_in_range(sp_stream_send(scene->writer.stream, copy, sizeof copy), 0, 1);
    sent += sizeof copy;
  }
  STAGE_UNTIL(&scene->stage,
              scene->reader.received == sent && !sp_stream_pending(scene->writer.stream));
  stage_turn(&scene->stage);
  for (int i = 0; i < COUNT; i++) {
    assert_int_equal(borrowed[i].called, 1);
    assert_int_equal(borrowed[i].status, 0);
  }
  assert_int_equal(sp_stream_bytes_written(scene->writer.stream), sent);
  scene_close(scene);
}

/* C07 each pending one is called once, with an error, on destroy */
static void test_borrowed_memory_is_returned_on_destroy(void **state) {
  (void)state;
  borrowed_t borrowed[20];
  scene_t *scene = scene_open(NULL, false);
  for (int i = 0; i < 20; i++)
    borrow(&borrowed[i], scene->writer.stream, (size_t)i * MB, MB);
  for (int i = 0; i < 20; i++)
    uv_run(&scene->stage.uv, UV_RUN_NOWAIT);
  sp_stream_destroy(scene->writer.stream);
  STAGE_UNTIL(&scene->stage, scene->writer.closes);
  bool canceled = false;
  for (int i = 0; i < 20; i++) {
    assert_int_equal(borrowed[i].called, 1);
    assert_true(borrowed[i].status == 0 || borrowed[i].status == UV_ECANCELED);
    assert_true(!canceled || borrowed[i].status == UV_ECANCELED); /* in order */
    canceled |= borrowed[i].status == UV_ECANCELED;
  }
  assert_true(canceled);
  scene_close(scene);
}

/* -- R12 awkward transports -------------------------------------------------------------------- */

static uint32_t random_state;

static uint32_t next_random(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 17;
  return random_state ^= random_state << 5;
}

static bool is_socket(int fd) {
  int type;
  socklen_t size = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

static ssize_t short_writes(int fd, size_t n) {
  if (!is_socket(fd))
    return (ssize_t)n;
  size_t most = next_random() % 3 ? 1 + next_random() % 5000 : n;
  return (ssize_t)(most < n ? most : n);
}

static ssize_t storm(int fd, size_t n) {
  if (is_socket(fd) && next_random() % 4)
    return -EAGAIN;
  return (ssize_t)n;
}

static ssize_t interrupted(int fd, size_t n) {
  static bool now;
  if (is_socket(fd) && (now = !now))
    return -EINTR;
  return (ssize_t)n;
}

static ssize_t everything(int fd, size_t n) {
  if (!is_socket(fd))
    return (ssize_t)n;
  switch (next_random() % 4) {
  case 0:
    return -EAGAIN;
  case 1:
    return -EINTR;
  case 2:
    return 1;
  default:
    return short_writes(fd, n);
  }
}

static ssize_t byte_by_byte(int fd, size_t n) { return is_socket(fd) ? 1 : (ssize_t)n; }

/* Both directions at once, the pattern checked at both ends; also the handshake goes through. */
static void carry(syscalls_ration_t ration, size_t size) {
  random_state = 88172645u;
  syscalls_set_ration(ration);
  scene_t *scene = scene_open(NULL, true);
  flow_send(&scene->writer, size);
  flow_send(&scene->reader, size);
  STAGE_UNTIL(&scene->stage, scene->writer.received == size && scene->reader.received == size);
  sp_stream_end(scene->writer.stream);
  STAGE_UNTIL(&scene->stage, scene->writer.closes && scene->reader.closes);
  syscalls_set_ration(NULL);
  assert_int_equal(scene->reader.end_status, 0);
  assert_int_equal(scene->writer.errors + scene->reader.errors, 0);
  scene_close(scene);
}

static void test_short_writes(void **state) {
  (void)state;
  carry(short_writes, 64 * MB);
}

static void test_storm_of_eagain(void **state) {
  (void)state;
  carry(storm, 64 * MB);
}

static void test_interrupted_writes(void **state) {
  (void)state;
  carry(interrupted, 64 * MB);
}

static void test_everything_at_once(void **state) {
  (void)state;
  carry(everything, 8 * MB);
}

static void test_byte_by_byte(void **state) {
  (void)state;
  carry(byte_by_byte, 40 * KB);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_three_answers),
      cmocka_unit_test(test_write_after_destroy),
      cmocka_unit_test(test_cork_outside_of_callbacks),
      cmocka_unit_test(test_cork_before_the_loop_runs),
      cmocka_unit_test(test_two_streams_interleaved),
      cmocka_unit_test(test_borrowed_memory),
      cmocka_unit_test(test_borrowed_memory_is_returned_on_destroy),
      cmocka_unit_test(test_short_writes),
      cmocka_unit_test(test_storm_of_eagain),
      cmocka_unit_test(test_interrupted_writes),
      cmocka_unit_test(test_everything_at_once),
      cmocka_unit_test(test_byte_by_byte),
  };
  return cmocka_run_group_tests_name("write", tests, NULL, NULL);
}
