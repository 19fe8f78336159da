/* Every allocation of ours fails in turn while two streams talk over each other in memory: they end
 * with an error or as always, and nothing leaks or is called twice (FAULTS R10). */
#include "support/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/stage.h"

static long countdown = -1; /* to the allocation that fails; below 0: none does */
static long live;           /* blocks */

static bool fails(void) { return countdown >= 0 && countdown-- == 0; }

static void *allocate(size_t n) {
  void *memory = fails() ? NULL : malloc(n);
  live += memory != NULL;
  return memory;
}

static void *reallocate(void *memory, size_t n) {
  void *moved = fails() ? NULL : realloc(memory, n);
  live += !memory && moved;
  return moved;
}

static void release(void *memory) {
  live -= memory != NULL;
  free(memory);
}

/* Both send more than the wire holds; who heard the other one ends. */
static void talk(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && status == 0) {
    if (sp_stream_send(actor->stream, fixture_pattern(100000), 100000) < 0)
      sp_stream_destroy(actor->stream);
  } else if (event == ON_DATA && actor->received == 100000) {
    sp_stream_end(actor->stream);
  }
}

/* Returns whether the countdown was used up. */
static bool hold_talk(link_way_t way, long fail_at) {
  fixture_t *f = fixture_new();
  link_t link;
  link_open(&link, f, way, 0, NULL, NULL);
  link.client.actor->react = link.server.actor->react = talk;
  countdown = fail_at;
  link_run(&link);
  bool used_up = countdown < 0;
  countdown = -1;
  fixture_free(f);
  return used_up;
}

static void test_while_they_talk(void **state) {
  (void)state;
  for (int way = LINK_DIRECT; way <= LINK_NARROW; way++) {
    (void)hold_talk((link_way_t)way, -1);
    long before = live;
    long at = 0;
    while (hold_talk((link_way_t)way, at)) {
      assert_int_equal(live, before);
      at++;
    }
    print_message("%s: %ld allocations failed\n", link_names[way], at);
    assert_in_range(at, 5, 10000);
  }
}

static void on_close(sp_stream_t *stream) { *(bool *)sp_stream_data(stream) = true; }

static void test_when_made(void **state) {
  (void)state;
  static const sp_stream_events_t events = {.close = on_close};
  uv_loop_t loop;
  const sp_options_t *options = SP_OPTIONS(.context = stage_context(SP_SERVER, 0));
  assert_int_equal(uv_loop_init(&loop), 0);
  long before = live, at = 0;
  for (int status = UV_ENOMEM; status < 0; at++) {
    link_t link = {.way = LINK_WIRE};
    link_end_t end = {.link = &link};
    sp_stream_t *stream;
    sp_error_t why;
    bool closed = false;
    countdown = at;
    status = sp_stream_over(&stream, &loop, &link_transport, &end, SP_SERVER, "\x16", 1, NULL, &why,
                            options);
    countdown = -1;
    if (status == 0) {
      sp_stream_on(stream, &events, &closed);
      sp_stream_destroy(stream);
    } else {
      assert_int_equal(status, UV_ENOMEM);
    }
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(closed, status == 0);
    assert_int_equal(live, before);
  }
  assert_in_range(at, 3, 100);
  assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void) {
  assert_int_equal(sp_replace_allocator(allocate, reallocate, release), 0);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_while_they_talk),
      cmocka_unit_test(test_when_made),
  };
  return cmocka_run_group_tests_name("stream-over-memory", tests, NULL, NULL);
}
