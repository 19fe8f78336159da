/* sp_stream_pipe_open: the end of the source is told, and the target stays open. */
#include "support/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static actor_t *source, *target; /* the server's streams: what comes to one goes to the other */

static void pipe_to_second(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_SECURE && !source) {
    source = actor;
  } else if (event == ON_SECURE) {
    target = actor;
    assert_int_equal(sp_stream_pipe_open(source->stream, target->stream), 0);
    assert_int_equal(sp_stream_pipe(source->stream, target->stream), SP_EOPTION);
  } else if (event == ON_END && actor == source) {
    assert_true(sp_stream_send(target->stream, "!", 1) >= 0); /* it is still open */
    sp_stream_end(target->stream);
  }
}

static bool both_are_secure(fixture_t *f) {
  return target && f->actors[f->count - 1]->counts[ON_SECURE] && fixture_served(f, 1);
}

static actor_t *watcher;

static bool watcher_heard(fixture_t *f) {
  (void)f;
  return watcher->received >= 5;
}

static void through_a_pipe(bool clean) {
  fixture_t *f = fixture_new();
  source = target = NULL;
  fixture_serve(f, FIXTURE_SERVER());
  f->react = pipe_to_second;
  f->no_data = true;
  actor_t *sender = fixture_connect(f, FIXTURE_CLIENT(f));
  while (!fixture_served(f, 0))
    uv_run(&f->loop, UV_RUN_ONCE);
  watcher = fixture_connect(f, FIXTURE_CLIENT(f));
  fixture_run_until(f, both_are_secure);
  assert_int_equal(sp_stream_send(sender->stream, "hello", 5), 1);
  fixture_run_until(f, watcher_heard);
  if (clean)
    sp_stream_end(sender->stream);
  else
    sp_stream_destroy(sender->stream); /* a FIN without close_notify */
  fixture_run(f);
  assert_string_equal(watcher->log, "secure data end close");
  assert_int_equal(watcher->received, 6);
  assert_int_equal(source->statuses[ON_END], clean ? 0 : SP_ETRUNCATED);
  fixture_free(f);
}

static void test_clean_end(void **state) {
  (void)state;
  through_a_pipe(true);
}

static void test_truncation(void **state) {
  (void)state;
  through_a_pipe(false);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_clean_end),
      cmocka_unit_test(test_truncation),
  };
  return cmocka_run_group_tests_name("pipe-open", tests, NULL, NULL);
}
