/* sp_server_on_accept: a descriptor goes on, becomes the program's, or is refused. */
#include "support/fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
  int answer;
  unsigned asked, dropped;
  int fd, status;
  bool close_server;
} seen;

static int on_accept(sp_server_t *server, int fd) {
  fixture_t *f = sp_server_data(server);
  int flags = fcntl(fd, F_GETFL);
  assert_true(flags >= 0 && flags & O_NONBLOCK);
  assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  seen.asked++;
  seen.fd = fd;
  if (seen.close_server)
    fixture_close_server(f);
  return seen.answer;
}

static void on_drop(sp_server_t *server, int status) {
  (void)server;
  seen.dropped++;
  seen.status = status;
}

static fixture_t *serve(int answer) {
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER());
  memset(&seen, 0, sizeof seen);
  seen.answer = answer;
  sp_server_on_accept(f->server, on_accept);
  sp_server_on_drop(f->server, on_drop);
  return f;
}

static void end_when_secure(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_SECURE)
    sp_stream_end(actor->stream);
}

static void test_goes_on(void **state) {
  (void)state;
  fixture_t *f = serve(0);
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
  client->react = end_when_secure;
  fixture_run(f);
  assert_int_equal(seen.asked, 1);
  assert_int_equal(seen.dropped, 0);
  assert_int_equal(client->statuses[ON_SECURE], 0);
  fixture_free(f);
}

static bool was_asked(fixture_t *f) {
  (void)f;
  return seen.asked > 0;
}

/* The server knows nothing of it any more; its maximum does not count it. */
static void test_becomes_the_programs(void **state) {
  (void)state;
  static const char hello[] = "not TLS at all";
  fixture_t *f = serve(1);
  sp_server_set_max_connections(f->server, 1);
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
  fixture_run_until(f, was_asked);
  assert_int_equal(sp_server_connections(f->server), 0);
  assert_int_equal(send(seen.fd, hello, sizeof hello, MSG_NOSIGNAL), sizeof hello);
  close(seen.fd);
  fixture_run(f);
  assert_int_equal(seen.dropped, 0);
  assert_int_equal(f->served, 0);
  assert_true(client->statuses[ON_SECURE] < 0);
  fixture_free(f);
}

static void test_is_refused(void **state) {
  (void)state;
  fixture_t *f = serve(UV_EACCES);
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
  fixture_run(f);
  assert_int_equal(seen.dropped, 1);
  assert_int_equal(seen.status, UV_EACCES);
  assert_true(client->statuses[ON_SECURE] < 0);
  fixture_free(f);
}

static void test_is_not_asked_above_the_maximum(void **state) {
  (void)state;
  fixture_t *f = serve(0);
  sp_server_set_max_connections(f->server, 1);
  actor_t *first = fixture_connect(f, FIXTURE_CLIENT(f));
  fixture_run_until(f, was_asked);
  actor_t *second = fixture_connect(f, FIXTURE_CLIENT(f));
  first->react = second->react = end_when_secure; /* the second may come after the first went */
  fixture_run(f);
  assert_int_equal(first->statuses[ON_SECURE], 0);
  assert_true(second->statuses[ON_SECURE] < 0 || seen.asked == 2);
  assert_int_equal(seen.asked + seen.dropped, 2);
  fixture_free(f);
}

static void test_server_closed_when_asked(void **state) {
  (void)state;
  for (int answer = 0; answer <= 1; answer++) {
    fixture_t *f = serve(answer);
    seen.close_server = true;
    actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
    fixture_run_until(f, was_asked);
    if (answer == 1)
      close(seen.fd);
    fixture_run(f);
    assert_int_equal(seen.dropped, answer == 0);
    assert_int_equal(f->served, 0);
    assert_true(client->statuses[ON_SECURE] < 0);
    fixture_free(f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_goes_on),
      cmocka_unit_test(test_becomes_the_programs),
      cmocka_unit_test(test_is_refused),
      cmocka_unit_test(test_is_not_asked_above_the_maximum),
      cmocka_unit_test(test_server_closed_when_asked),
  };
  return cmocka_run_group_tests_name("server-accept", tests, NULL, NULL);
}
