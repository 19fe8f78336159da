/* Tables of events: equal ones are kept once, the first of a stream cannot fail, and a later one
 * that fails leaves the stream with those it had. */
#include "support/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "stream/stream.h"
#include "support/stage.h"

#define COUNT 12 /* more than a loop keeps tables to spare */

static bool failing;
static long live;

static void *allocate(size_t n) {
  void *memory = failing ? NULL : malloc(n);
  live += memory != NULL;
  return memory;
}

static void *reallocate(void *memory, size_t n) {
  void *moved = failing ? NULL : realloc(memory, n);
  live += !memory && moved;
  return moved;
}

static void release(void *memory) {
  live -= memory != NULL;
  free(memory);
}

static unsigned closed;

static void on_close(sp_stream_t *stream) {
  (void)stream;
  closed++;
}

static void on_nothing(sp_stream_t *stream) { (void)stream; }

/* A table of its own for each number below 8. */
static sp_stream_events_t table(unsigned number) {
  return (sp_stream_events_t){.close = on_close,
                              .drain = number & 1 ? on_nothing : NULL,
                              .timeout = number & 2 ? on_nothing : NULL,
                              .finish = number & 4 ? on_nothing : NULL};
}

typedef struct scene {
  stage_t stage;
  link_t link;
  link_end_t end;
  sp_stream_t *streams[COUNT];
} scene_t;

static void open_scene(scene_t *scene) {
  sp_error_t why;
  *scene = (scene_t){.link = {.way = LINK_WIRE}};
  scene->end.link = &scene->link;
  closed = 0;
  stage_open(&scene->stage);
  for (int i = 0; i < COUNT; i++)
    assert_int_equal(
        sp_stream_over(&scene->streams[i], &scene->stage.uv, &link_transport, &scene->end,
                       SP_SERVER, NULL, 0, NULL, &why,
                       SP_OPTIONS(.context = stage_context(SP_SERVER, SP_PROTOCOL_DEFAULT))),
        0);
}

static void close_scene(scene_t *scene) {
  for (int i = 0; i < COUNT; i++)
    sp_stream_destroy(scene->streams[i]);
  stage_run(&scene->stage);
  assert_int_equal(closed, COUNT);
  stage_close(&scene->stage);
}

static void set(sp_stream_t *stream, unsigned number) {
  sp_stream_events_t events = table(number); /* copied */
  sp_stream_on(stream, &events, NULL);
}

static void equal_tables_are_one(void **state) {
  (void)state;
  scene_t scene;
  open_scene(&scene);
  for (int i = 0; i < COUNT; i++)
    set(scene.streams[i], (unsigned)i % 2);
  for (int i = 2; i < COUNT; i++)
    assert_ptr_equal(scene.streams[i]->events, scene.streams[i % 2]->events);
  assert_ptr_not_equal(scene.streams[0]->events, scene.streams[1]->events);
  sp_stream_on(scene.streams[2], NULL, NULL); /* of the others nothing changes */
  assert_null(scene.streams[2]->events->close);
  assert_ptr_equal(scene.streams[0]->events->close, on_close);
  set(scene.streams[2], 0);
  assert_ptr_equal(scene.streams[2]->events, scene.streams[0]->events);
  close_scene(&scene);
}

static void first_table_takes_no_memory(void **state) {
  (void)state;
  scene_t scene;
  open_scene(&scene);
  failing = true;
  for (int i = 0; i < COUNT; i++)
    set(scene.streams[i], (unsigned)i % 8);
  failing = false;
  for (int i = 0; i < COUNT; i++)
    assert_int_equal(sp_stream_error(scene.streams[i])->status, 0);
  close_scene(&scene);
}

static void later_table_without_memory(void **state) {
  (void)state;
  scene_t scene;
  open_scene(&scene);
  for (int i = 0; i < COUNT; i++)
    set(scene.streams[i], 0);
  failing = true;
  int failed = 0;
  for (unsigned i = 0; i < COUNT; i++) {
    sp_stream_events_t events = table(0);
    events.room = (uint8_t * (*)(sp_stream_t *, size_t *))(uintptr_t)(i + 1); /* never called */
    sp_stream_on(scene.streams[i], &events, NULL);
    if (!sp_stream_error(scene.streams[i])->status)
      continue;
    failed++;
    assert_int_equal(sp_stream_error(scene.streams[i])->status, UV_ENOMEM);
    assert_null(scene.streams[i]->events->room);
  }
  failing = false;
  assert_in_range(failed, 1, COUNT - 8);
  close_scene(&scene);
}

static void nothing_is_left(void **state) {
  (void)state;
  scene_t scene;
  long before = live;
  open_scene(&scene);
  for (int i = 0; i < COUNT; i++)
    set(scene.streams[i], (unsigned)i % 8);
  close_scene(&scene);
  assert_int_equal(live, before);
}

int main(void) {
  assert_int_equal(sp_replace_allocator(allocate, reallocate, release), 0);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equal_tables_are_one),
      cmocka_unit_test(first_table_takes_no_memory),
      cmocka_unit_test(later_table_without_memory),
      cmocka_unit_test(nothing_is_left),
  };
  return cmocka_run_group_tests_name("stream-events", tests, NULL, NULL);
}
