/* C01 through a pipe between TLS streams: what is cut on one side must not look whole on the other.
 */
#include "support/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static sp_stream_t *first; /* of the server's streams: what comes there goes to the second */

static void pipe_to_second(actor_t *actor, fixture_event_t event, int status) {
  if (event != ON_SECURE)
    return;
  assert_int_equal(status, 0);
  if (first) {
    assert_int_equal(sp_stream_pipe(first, actor->stream), 0);
    first = NULL;
  } else {
    first = actor->stream;
  }
}

static bool second_is_secure(fixture_t *f) {
  return fixture_served(f, 1) && f->actors[f->count - 1]->counts[ON_SECURE];
}

static actor_t *watcher;

static void send_and_leave(actor_t *sender, bool clean) {
  assert_int_equal(sp_stream_send(sender->stream, "hello", 5), 1);
  if (clean)
    sp_stream_end(sender->stream);
}

static bool watcher_heard(fixture_t *f) {
  (void)f;
  return watcher->received == 5;
}

/* Two clients; the first one's words go through the server to the second one. */
static void through_a_pipe(bool clean, const char *expected) {
  fixture_t *f = fixture_new();
  first = NULL;
  fixture_serve(f, FIXTURE_SERVER());
  f->react = pipe_to_second;
  f->no_data = true;
  actor_t *sender = fixture_connect(f, FIXTURE_CLIENT(f));
  while (!fixture_served(f, 0))
    uv_run(&f->loop, UV_RUN_ONCE);
  watcher = fixture_connect(f, FIXTURE_CLIENT(f));
  fixture_run_until(f, second_is_secure);
  send_and_leave(sender, clean);
  fixture_run_until(f, watcher_heard);
  if (!clean)
    sp_stream_destroy(sender->stream); /* a FIN without close_notify */
  fixture_run(f);
  assert_string_equal(watcher->log, expected);
  fixture_free(f);
}

static void test_truncation_is_passed_on(void **state) {
  (void)state;
  through_a_pipe(false, "secure data end(SP_ETRUNCATED) close");
}

static void test_clean_end_is_passed_on(void **state) {
  (void)state;
  through_a_pipe(true, "secure data end close");
}

/* -- from a stream whose end was told before -------------------------------------------------- */

static bool first_ended(fixture_t *f) { return fixture_served(f, 0)->counts[ON_END]; }

static bool watcher_ended(fixture_t *f) {
  (void)f;
  return watcher->counts[ON_END];
}

static void pipe_after_the_end(bool clean, const char *expected) {
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER(.half_open = SP_YES));
  actor_t *sender = fixture_connect(f, FIXTURE_CLIENT(f));
  while (!fixture_served(f, 0))
    uv_run(&f->loop, UV_RUN_ONCE);
  watcher = fixture_connect(f, FIXTURE_CLIENT(f));
  fixture_run_until(f, second_is_secure);
  if (clean)
    sp_stream_end(sender->stream);
  else
    sp_stream_destroy(sender->stream);
  fixture_run_until(f, first_ended);
  sp_stream_t *from = fixture_served(f, 0)->stream;
  assert_int_equal(sp_stream_pipe(from, fixture_served(f, 1)->stream), 0);
  fixture_run_until(f, watcher_ended);
  sp_stream_destroy(from);
  fixture_run(f);
  assert_string_equal(watcher->log, expected);
  fixture_free(f);
}

static void test_truncation_told_before(void **state) {
  (void)state;
  pipe_after_the_end(false, "secure end(SP_ETRUNCATED) close");
}

static void test_clean_end_told_before(void **state) {
  (void)state;
  pipe_after_the_end(true, "secure end close");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_truncation_is_passed_on),
      cmocka_unit_test(test_clean_end_is_passed_on),
      cmocka_unit_test(test_truncation_told_before),
      cmocka_unit_test(test_clean_end_told_before),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
