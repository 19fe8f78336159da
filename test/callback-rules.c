/*
 * The rules of callbacks: never from within the call that asked for it; once if and only if that
 * call answered >= 0; on the way to `close` what is pending is called back, then `close`, then
 * nothing. The fixture checks all three of each stream, whatever a test is about.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/fixture.h"

static bool are_secure(fixture_t *f) {
  return f->actors[0]->counts[ON_SECURE] && fixture_served(f, 0);
}

static fixture_t *meet(actor_t **client, const sp_options_t *server) {
  fixture_t *f = fixture_new();
  fixture_serve(f, server);
  *client = fixture_connect(f, FIXTURE_CLIENT(f));
  fixture_run_until(f, are_secure);
  return f;
}

/* -- outside of any callback, with nothing of the library running ------------------------------ */

static void destroy(actor_t *a) { sp_stream_destroy(a->stream); }
static void end(actor_t *a) { sp_stream_end(a->stream); }
static void write_much(actor_t *a) { (void)actor_write(a, fixture_pattern(200000), 200000); }
static void write_nothing(actor_t *a) { (void)actor_write(a, NULL, 0); }

static void echo(actor_t *a) { assert_int_equal(sp_stream_pipe(a->stream, a->stream), 0); }

static void pause_resume(actor_t *a) {
  sp_stream_pause(a->stream);
  sp_stream_resume(a->stream);
}

static void listen_again(actor_t *a) {
  const sp_stream_events_t none = {0};
  sp_stream_on(a->stream, &none, a);
}

static void destroy_all(actor_t *a) { sp_server_destroy_all(a->fixture->server); }
static void close_server(actor_t *a) { fixture_close_server(a->fixture); }

static void time_out(actor_t *a) { sp_stream_set_timeout(a->stream, 1); }

static void nothing_at_once(void **state) {
  (void)state;
  static void (*const calls[])(actor_t *) = {destroy,       end,         write_much,
                                             write_nothing, echo,        pause_resume,
                                             time_out,      destroy_all, close_server};
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    for (int server = 0; server < 2; server++) {
      actor_t *client;
      fixture_t *f = meet(&client, FIXTURE_SERVER());
      actor_t *actor = server ? fixture_served(f, 0) : client;
      const char *outer = "the call";
      size_t before = strlen(client->log) + strlen(fixture_served(f, 0)->log);
      f->calling = outer;
      calls[i](actor); /* the fixture's own calls reset it, the logs show the rest */
      f->calling = NULL;
      assert_int_equal(strlen(client->log) + strlen(fixture_served(f, 0)->log), before);
      sp_stream_end(client->stream);
      fixture_run(f);
      assert_int_equal(client->writes, client->writes_done);
      fixture_free(f);
    }
}

/* Without events nobody is told, and everything goes away all the same. */
static void no_events(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER());
  sp_stream_t *stream;
  sp_error_t why;
  assert_int_equal(sp_connect(&stream, &f->loop, NULL, &why, FIXTURE_CLIENT(f)), 0);
  listen_again(&(actor_t){.stream = stream});
  sp_stream_end(stream);
  sp_stream_resume(stream);
  while (!fixture_served(f, 0) || fixture_served(f, 0)->stream)
    uv_run(&f->loop, UV_RUN_ONCE);
  fixture_run(f);
  assert_string_equal(fixture_served(f, 0)->log, "secure end close");
  fixture_free(f);
}

/* -- once, if and only if ---------------------------------------------------------------------- */

static void never(sp_write_t *request, int status) {
  (void)request;
  fail_msg("a write that was not taken is called back with %d", status);
}

static void refused_writes(void **state) {
  (void)state;
  actor_t *client;
  fixture_t *f = meet(&client, FIXTURE_SERVER(.write_limit = 100000));
  actor_t *server = fixture_served(f, 0);
  sp_write_t request;
  assert_int_equal(
      sp_stream_write(&request, server->stream, fixture_pattern(100001), 100001, never),
      SP_EOVERFLOW);
  assert_int_equal(sp_stream_send(server->stream, fixture_pattern(100001), 100001), SP_EOVERFLOW);
  assert_int_equal(sp_stream_pending(server->stream), 0);
  assert_int_equal(actor_write(server, fixture_pattern(60000), 60000), 1);
  assert_int_equal(actor_write(server, fixture_pattern(40000), 40000), 0);
  assert_int_equal(sp_stream_write(&request, server->stream, "x", 1, never), SP_EOVERFLOW);
  assert_int_equal(sp_stream_pending(server->stream), 100000);
  sp_stream_end(server->stream);
  assert_int_equal(sp_stream_write(&request, server->stream, "x", 1, never), SP_EENDED);
  fixture_run(f);
  assert_int_equal(client->received, 100000);
  assert_int_equal(server->writes_done, 2);
  fixture_free(f);
}

static void refused_connects(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  char name[200];
  memset(name, 'a', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  const sp_options_t *const all[] = {
      SP_OPTIONS(.host = "localhost"),
      SP_OPTIONS(.host = "localhost", .port = 70000),
      SP_OPTIONS(.host = "a..b", .port = 1),
      SP_OPTIONS(.path = name, .server_name = "localhost"),
      SP_OPTIONS(.path = "/nowhere"),
      SP_OPTIONS(.host = "localhost", .port = 1, .family = 5),
      SP_OPTIONS(.host = "localhost", .port = 1, .ca = SP_LIST("junk")),
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    sp_stream_t *stream = NULL;
    sp_error_t why = {.status = 0};
    int status = sp_connect(&stream, &f->loop, fixture_on_secure, &why, all[i]);
    assert_true(status < 0);
    assert_int_equal(why.status, status);
    assert_true(why.text[0] != '\0');
  }
  uv_run(&f->loop, UV_RUN_DEFAULT);
  fixture_free(f);
}

static void never_done(uv_stream_t *plain, int status) {
  (void)plain;
  fail_msg("a pipe that was not made is over with %d", status);
}

static void refused_pipes(void **state) {
  (void)state;
  actor_t *client;
  fixture_t *f = meet(&client, FIXTURE_SERVER());
  int fds[2];
  uv_pipe_t plain;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  uv_pipe_init(&f->loop, &plain, 0);
  assert_int_equal(uv_pipe_open(&plain, fds[0]), 0);
  uv_stream_t *stream = (uv_stream_t *)&plain;
  plain.data = f;
  assert_int_equal(sp_stream_pipe_plain(client->stream, stream, 0, never_done), SP_EOPTION);
  assert_int_equal(sp_stream_pipe_plain(client->stream, stream, 4, never_done), SP_EOPTION);
  assert_int_equal(sp_stream_pipe(client->stream, client->stream), 0);
  assert_int_equal(sp_stream_pipe(client->stream, client->stream), SP_EOPTION);
  assert_int_equal(sp_stream_pipe_plain(client->stream, stream, SP_PIPE_BOTH, never_done),
                   SP_EOPTION);
  sp_stream_unpipe(client->stream);
  sp_stream_destroy(client->stream);
  assert_true(sp_stream_pipe_plain(client->stream, stream, SP_PIPE_BOTH, never_done) < 0);
  assert_true(sp_stream_pipe(client->stream, client->stream) < 0);
  assert_ptr_equal(plain.data, f);
  fixture_run(f);
  uv_close((uv_handle_t *)&plain, NULL);
  uv_run(&f->loop, UV_RUN_DEFAULT);
  close(fds[1]);
  fixture_free(f);
}

static void empty_and_silent_writes(void **state) {
  (void)state;
  static sp_write_t silent;
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER());
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
  assert_int_equal(actor_write(client, NULL, 0), 1); /* waits for secure as any other */
  assert_int_equal(sp_stream_write(&silent, client->stream, "abc", 3, NULL), 1);
  assert_int_equal(actor_write(client, NULL, 0), 1);
  assert_int_equal(sp_stream_send(client->stream, NULL, 0), 1);
  sp_stream_end(client->stream);
  fixture_run(f);
  assert_string_equal(client->log, "secure write close");
  assert_int_equal(client->writes_done, 2);
  assert_int_equal(fixture_served(f, 0)->received, 3);
  fixture_free(f);
}

/* -- in order ---------------------------------------------------------------------------------- */

#define ORDERED 500u
static unsigned next;

typedef struct numbered {
  sp_write_t request;
  unsigned number;
  int expected;
} numbered_t;

static void on_numbered(sp_write_t *request, int status) {
  const numbered_t *numbered = request->data;
  assert_int_equal(numbered->number, next++);
  if (numbered->expected <= 0)
    assert_int_equal(status, numbered->expected);
}

static numbered_t *write_numbered(sp_stream_t *stream, int expected) {
  numbered_t *all = calloc(ORDERED, sizeof *all);
  assert_non_null(all);
  next = 0;
  for (unsigned i = 0; i < ORDERED; i++) {
    all[i] = (numbered_t){.request.data = &all[i], .number = i, .expected = expected};
    size_t n = i * 37 % 20000;
    assert_true(sp_stream_write(&all[i].request, stream, fixture_pattern(n), n, on_numbered) >= 0);
    if (i % 3 == 0)
      assert_true(sp_stream_send(stream, "between", 7) >= 0);
  }
  return all;
}

static void in_the_order_of_the_writes(void **state) {
  (void)state;
  actor_t *client;
  fixture_t *f = meet(&client, FIXTURE_SERVER());
  numbered_t *all = write_numbered(client->stream, 0);
  sp_stream_end(client->stream);
  fixture_run(f);
  assert_int_equal(next, ORDERED);
  free(all);
  fixture_free(f);
}

static void in_order_when_destroyed(void **state) {
  (void)state;
  actor_t *client;
  fixture_t *f = meet(&client, FIXTURE_SERVER());
  numbered_t *all = write_numbered(client->stream, UV_ECANCELED);
  CALL(f, sp_stream_destroy(client->stream));
  fixture_run(f);
  assert_int_equal(next, ORDERED);
  free(all);
  fixture_free(f);
}

/* The peer never reads: the first writes are with the transport, and say so, the others are not. */
static void done_as_far_as_they_went(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  f->no_data = true;
  fixture_serve(f, FIXTURE_SERVER());
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
  fixture_run_until(f, are_secure);
  for (int i = 0; i < 1000; i++)
    assert_true(actor_write(client, fixture_pattern(10000), 10000) >= 0);
  for (int i = 0; i < 100; i++)
    uv_run(&f->loop, UV_RUN_NOWAIT);
  assert_in_range(client->writes_done, 1, 999);
  assert_int_equal(client->statuses[ON_WRITE], 0);
  size_t left = sp_stream_pending(client->stream);
  assert_true(client->writes_done * 10000 <= 10000000 - left + 65536 + 10000);
  sp_stream_destroy(client->stream);
  sp_stream_destroy(fixture_served(f, 0)->stream);
  fixture_run(f);
  assert_string_equal(client->log, "secure write write(ECANCELED) close");
  fixture_free(f);
}

/* -- on the way to close ----------------------------------------------------------------------- */

static void junk(fixture_t *f) {
  static char bytes[] = "this is no record";
  uv_buf_t buffer = uv_buf_init(bytes, sizeof bytes);
  uv_stream_t *io = sp_stream_transport(fixture_served(f, 0)->stream);
  assert_int_equal(uv_try_write(io, &buffer, 1), sizeof bytes);
}

static void write_at_data(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_SECURE)
    for (int i = 0; i < 100; i++)
      assert_true(actor_write(actor, fixture_pattern(100000), 100000) >= 0);
}

/* The stream's error, then `error`, then `close`; a write after it answers with the error. */
static void with_the_streams_error(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  f->no_data = true;
  fixture_serve(f, FIXTURE_SERVER(.tickets = SP_NO));
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
  client->react = write_at_data;
  fixture_run_until(f, are_secure);
  junk(f);
  while (!client->counts[ON_ERROR])
    uv_run(&f->loop, UV_RUN_ONCE);
  assert_int_equal(actor_write(client, "x", 1), client->error.status);
  assert_int_equal(sp_stream_send(client->stream, "x", 1), client->error.status);
  sp_stream_destroy(fixture_served(f, 0)->stream);
  fixture_run(f);
  if (!strstr(client->log, "write(SP_EPROTOCOL) error(SP_EPROTOCOL) close"))
    fail_msg("%s: %s", client->log, client->error.text);
  fixture_free(f);
}

/* `drain`, when it was promised and not otherwise. */
static void drain_when_promised(void **state) {
  (void)state;
  actor_t *client;
  fixture_t *f = meet(&client, FIXTURE_SERVER());
  assert_int_equal(sp_stream_send(client->stream, fixture_pattern(1000), 1000), 1);
  for (int i = 0; i < 20; i++)
    uv_run(&f->loop, UV_RUN_NOWAIT);
  assert_int_equal(client->counts[ON_DRAIN], 0);
  for (int i = 0; i < 3; i++)
    assert_int_equal(sp_stream_send(client->stream, fixture_pattern(100000), 100000), 0);
  while (!client->counts[ON_DRAIN])
    uv_run(&f->loop, UV_RUN_ONCE);
  assert_int_equal(sp_stream_pending(client->stream), 0);
  for (int i = 0; i < 20; i++)
    uv_run(&f->loop, UV_RUN_NOWAIT);
  assert_int_equal(client->counts[ON_DRAIN], 1);
  sp_stream_end(client->stream);
  fixture_run(f);
  fixture_free(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_at_once),
      cmocka_unit_test(no_events),
      cmocka_unit_test(refused_writes),
      cmocka_unit_test(refused_connects),
      cmocka_unit_test(refused_pipes),
      cmocka_unit_test(empty_and_silent_writes),
      cmocka_unit_test(in_the_order_of_the_writes),
      cmocka_unit_test(in_order_when_destroyed),
      cmocka_unit_test(done_as_far_as_they_went),
      cmocka_unit_test(with_the_streams_error),
      cmocka_unit_test(drain_when_promised),
  };
  return cmocka_run_group_tests_name("callback-rules", tests, NULL, NULL);
}
