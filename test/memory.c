/* Bounded memory, in bytes: whoever does not read holds the writer back, everywhere and at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "support/allocations.h"
#include "support/flow.h"

#define KB 1024u
#define MB (1024u * KB)
#define HIGH_WATER (64 * KB)
/* high water, what may be ahead of the transport, and two records */
#define BOUND (HIGH_WATER + 64 * KB + 2 * 16 * KB)

static bool is_full_size(void) {
  const char *full = getenv("SP_TEST_FULL");
  return full && *full == '1';
}

/* Turns until the streams' figures do not change any more while a time passes: nothing is asserted
 * that would be wrong if it were too short. */
static void on_time(uv_timer_t *timer) { *(bool *)timer->data = true; }

static void settle(stage_t *stage, const sp_stream_t *stream) {
  uv_timer_t timer;
  uint64_t before;
  bool over;
  uv_timer_init(&stage->uv, &timer);
  timer.data = &over;
  do {
    over = false;
    before = sp_stream_bytes_written(stream);
    uv_timer_start(&timer, on_time, 60, 0);
    STAGE_UNTIL(stage, over);
  } while (before != sp_stream_bytes_written(stream));
  uv_close((uv_handle_t *)&timer, NULL);
  uv_run(&stage->uv, UV_RUN_NOWAIT);
}

static size_t grown(size_t since) {
  size_t peak = allocations_peak(OURS);
  return peak > since ? peak - since : 0;
}

/* R06 peer never reads, 1 GB to write, back-pressure respected; then it reads after all */
static void test_peer_that_never_reads(void **state) {
  (void)state;
  stage_t stage;
  duo_t duo;
  flow_t writer = {.sent = 0}, reader = {.sent = 0};
  stage_open(&stage);
  duo_meet(&duo, &stage, NULL, NULL);
  flow_on(&writer, &duo, duo.accepted, true);
  flow_on(&reader, &duo, duo.client, false);
  stage_turn(&stage);
  size_t held = allocations_held(OURS), libuvs = allocations_held(LIBUVS);
  allocations_reset_peak();
  flow_send(&writer, 1024u * MB);
  settle(&stage, duo.accepted);
  assert_in_range(writer.sent, 1, 64 * MB); /* what the kernel takes, no more */
  assert_in_range(sp_stream_pending(duo.accepted), 1, BOUND);
  assert_int_equal(reader.received, 0);
  print_message("1 GB to a peer that does not read: %zu KB taken, %zu pending, memory +%zu\n",
                writer.sent / KB, sp_stream_pending(duo.accepted), grown(held));
  assert_in_range(grown(held), 0, BOUND);
  assert_in_range(allocations_peak(LIBUVS) - libuvs, 0, KB);
  writer.to_send = writer.sent + 16 * MB;
  flow_on(&reader, &duo, duo.client, true);
  STAGE_UNTIL(&stage, reader.received == writer.to_send);
  assert_in_range(grown(held), 0, 2 * BOUND);
  duo_part(&duo);
  stage_close(&stage);
}

/* R06 the same with 0 ignored: an error at the limit, and what was taken arrives */
static void test_answer_ignored(void **state) {
  (void)state;
  static uint8_t part[16 * KB];
  stage_t stage;
  duo_t duo;
  flow_t writer = {.sent = 0}, reader = {.sent = 0};
  size_t sent = 0;
  int answer;
  bool was_told = false;
  stage_open(&stage);
  duo_meet(&duo, &stage, SP_OPTIONS(.write_limit = MB), NULL);
  flow_on(&writer, &duo, duo.accepted, true);
  flow_on(&reader, &duo, duo.client, false);
  for (int turns = 0;; sent += sizeof part) {
    flow_fill(sent, part, sizeof part);
    if ((answer = sp_stream_send(duo.accepted, part, sizeof part)) < 0) {
      assert_int_equal(answer, SP_EOVERFLOW);
      assert_in_range(sp_stream_pending(duo.accepted), MB - sizeof part, MB + SP_PAIR_AHEAD);
      if (++turns == 500) /* the kernel has taken what it takes */
        break;
      uv_run(&stage.uv, UV_RUN_NOWAIT);
      sent -= sizeof part;
    }
    was_told |= answer == 0;
  }
  assert_true(was_told);
  assert_int_equal(writer.errors, 0);
  flow_on(&reader, &duo, duo.client, true);
  STAGE_UNTIL(&stage, reader.received >= sent && !sp_stream_pending(duo.accepted));
  assert_int_equal(reader.received, sent);
  assert_in_range(writer.drains, 1, sent);
  assert_int_equal(sp_stream_send(duo.accepted, part, 1), 1);
  duo_part(&duo);
  stage_close(&stage);
}

/* A single write above the limit, and one that just fits; borrowed memory costs nothing. */
static void test_limit_of_one_write(void **state) {
  (void)state;
  stage_t stage;
  duo_t duo;
  sp_write_t request;
  uint8_t *bytes = calloc(1, MB + 1);
  stage_open(&stage);
  duo_meet(&duo, &stage, SP_OPTIONS(.write_limit = MB), NULL);
  assert_int_equal(sp_stream_write(&request, duo.accepted, bytes, MB + 1, NULL), SP_EOVERFLOW);
  assert_int_equal(sp_stream_send(duo.accepted, bytes, MB + 1), SP_EOVERFLOW);
  assert_int_equal(sp_stream_send(duo.accepted, bytes, SIZE_MAX), SP_EOVERFLOW);
  size_t held = allocations_held(OURS);
  allocations_reset_peak();
  assert_int_equal(sp_stream_write(&request, duo.accepted, bytes, MB, NULL), 0);
  settle(&stage, duo.accepted);
  assert_in_range(grown(held), 0, SP_PAIR_AHEAD + 2 * KB);
  duo_part(&duo);
  stage_close(&stage);
  free(bytes);
}

/* R07 we do not read while the peer floods: it is held back by TCP, we hold nothing */
static void test_paused_reader(void **state) {
  (void)state;
  stage_t stage;
  duo_t duo;
  flow_t sender = {.sent = 0}, reader = {.sent = 0};
  stage_open(&stage);
  duo_meet(&duo, &stage, NULL, NULL);
  flow_on(&sender, &duo, duo.client, true);
  flow_on(&reader, &duo, duo.accepted, true);
  sp_stream_pause(duo.accepted);
  assert_true(sp_stream_is_paused(duo.accepted));
  size_t held = allocations_held(OURS);
  allocations_reset_peak();
  flow_send(&sender, 64 * MB);
  settle(&stage, duo.client);
  assert_int_equal(reader.received, 0);
  assert_in_range(sender.sent, 1, 63 * MB);
  assert_in_range(sp_stream_pending(duo.client), 1, BOUND);
  assert_in_range(grown(held), 0, BOUND); /* all of it the sender's */
  sp_stream_resume(duo.accepted);
  STAGE_UNTIL(&stage, reader.received >= 8 * MB);
  sp_stream_pause(duo.accepted); /* and again, in the middle */
  size_t received = reader.received;
  settle(&stage, duo.client);
  assert_in_range(reader.received - received, 0, 0);
  assert_in_range(grown(held), 0, BOUND + 80 * KB); /* and a slab that was read already */
  sp_stream_resume(duo.accepted);
  STAGE_UNTIL(&stage, reader.received == 64 * MB);
  duo_part(&duo);
  stage_close(&stage);
}

/* R08 self pipe: the seed's echo; the pattern is checked at the client after both ways */
static void test_echo_pipe(void **state) {
  (void)state;
  stage_t stage;
  duo_t duo;
  flow_t client = {.sent = 0}, server = {.sent = 0};
  size_t size = is_full_size() ? 1024u * MB : 192 * MB;
  stage_open(&stage);
  duo_meet(&duo, &stage, NULL, SP_OPTIONS(.half_open = SP_YES));
  flow_on(&client, &duo, duo.client, true);
  flow_on(&server, &duo, duo.accepted, false);
  assert_int_equal(sp_stream_pipe(duo.accepted, duo.accepted), 0);
  size_t held = allocations_held(OURS);
  allocations_reset_peak();
  flow_send(&client, 8 * MB);
  STAGE_UNTIL(&stage, client.received == 8 * MB);
  size_t early = grown(held);
  flow_send(&client, size - 8 * MB);
  STAGE_UNTIL(&stage, client.received == size);
  print_message("echo pipe, %zu MB each way: memory +%zu after 8 MB, +%zu at the end, stack %zu\n",
                size / MB, early, grown(held), client.stack_high - client.stack_low);
  assert_in_range(grown(held), 0, 2 * BOUND); /* two writers */
  assert_in_range(client.stack_high - client.stack_low, 0, 8 * KB);
  assert_int_equal(sp_stream_bytes_read(duo.accepted), size);
  assert_int_equal(sp_stream_bytes_written(duo.accepted), size);
  client.end_when_sent = true;
  flow_send(&client, 0);
  STAGE_UNTIL(&stage, client.closes && server.closes);
  assert_int_equal(client.end_status, 0);
  assert_int_equal(client.ends, 1);
  duo_part(&duo);
  stage_close(&stage);
}

/* R08 a -> b -> a, with an echo behind b: each byte passes the server twice */
static void test_pipe_cycle(void **state) {
  (void)state;
  stage_t stage;
  duo_t duo[2];
  flow_t near = {.sent = 0}, far = {.sent = 0}, a = {.sent = 0}, b = {.sent = 0};
  stage_open(&stage);
  duo_meet(&duo[0], &stage, NULL, NULL);
  duo_meet(&duo[1], &stage, NULL, NULL);
  flow_on(&near, &duo[0], duo[0].client, true);
  flow_on(&far, &duo[1], duo[1].client, false);
  flow_on(&a, &duo[0], duo[0].accepted, false);
  flow_on(&b, &duo[1], duo[1].accepted, false);
  assert_int_equal(sp_stream_pipe(a.stream, b.stream), 0);
  assert_int_equal(sp_stream_pipe(b.stream, a.stream), 0);
  assert_int_equal(sp_stream_pipe(a.stream, b.stream), SP_EOPTION); /* already */
  assert_int_equal(sp_stream_pipe(far.stream, far.stream), 0);
  size_t held = allocations_held(OURS);
  allocations_reset_peak();
  flow_send(&near, 48 * MB);
  STAGE_UNTIL(&stage, near.received == 48 * MB);
  assert_in_range(grown(held), 0, 4 * BOUND); /* four writers */
  near.end_when_sent = true;                  /* the end goes round too */
  flow_send(&near, 0);
  STAGE_UNTIL(&stage, near.closes && far.closes && a.closes && b.closes);
  assert_int_equal(near.errors + far.errors + a.errors + b.errors, 0);
  duo_part(&duo[0]);
  duo_part(&duo[1]);
  stage_close(&stage);
}

/* A cycle of pipes in which something circles for ever does not recurse and can be cut. */
static void test_pipe_cycle_without_end(void **state) {
  (void)state;
  stage_t stage;
  duo_t duo;
  flow_t a = {.sent = 0}, b = {.sent = 0};
  stage_open(&stage);
  duo_meet(&duo, &stage, NULL, NULL);
  flow_on(&a, &duo, duo.accepted, false);
  flow_on(&b, &duo, duo.client, false);
  assert_int_equal(sp_stream_send(a.stream, "round and round", 15), 1);
  assert_int_equal(sp_stream_pipe(a.stream, a.stream), 0);
  assert_int_equal(sp_stream_pipe(b.stream, b.stream), 0);
  STAGE_UNTIL(&stage, sp_stream_bytes_read(b.stream) >= 15 * 200);
  sp_stream_destroy(a.stream);
  STAGE_UNTIL(&stage, a.closes && b.closes);
  duo_part(&duo);
  stage_close(&stage);
}

int main(void) {
  allocations_watch();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_peer_that_never_reads),
      cmocka_unit_test(test_answer_ignored),
      cmocka_unit_test(test_limit_of_one_write),
      cmocka_unit_test(test_paused_reader),
      cmocka_unit_test(test_echo_pipe),
      cmocka_unit_test(test_pipe_cycle),
      cmocka_unit_test(test_pipe_cycle_without_end),
  };
  return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
