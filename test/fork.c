/* A12: what a child that fork() made may do with the connections of its parent: nothing; two that
 * go on from the same state would encrypt twice with one nonce. Its own are fine. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <sys/wait.h>

#include "support/couple.h"
#include "support/fixture.h"

static const manner_t plainly = {0};

/* In a child: its exit status is the line. */
#define CHECK(expression)                                                                          \
  do {                                                                                             \
    if (!(expression)) {                                                                           \
      (void)dprintf(2, "child, line %d: %s\n", __LINE__, #expression);                             \
      _exit(1);                                                                                    \
    }                                                                                              \
  } while (0)

static void check_child(pid_t child) {
  int status;
  assert_true(child > 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static void exchange(couple_t *couple) {
  couple->client.wanted += 50000;
  couple->server.wanted += 50000;
  couple_run(couple, &plainly);
}

/* -- inherited --------------------------------------------------------------------------------- */

static void check_refused(sp_pair_t *pair, int (*call)(sp_pair_t *pair)) {
  const void *bytes;
  CHECK(sp_pair_encrypted_out(pair, &bytes) == 0);
  CHECK(!(sp_pair_state(pair) & SP_PAIR_HAS_ENCRYPTED));
  CHECK(call(pair) == SP_EFORKED);
  CHECK(sp_pair_error(pair)->status == SP_EFORKED);
  CHECK(sp_pair_error(pair)->who == SP_US);
  CHECK(strstr(sp_pair_error(pair)->text, "fork"));
  CHECK(sp_pair_encrypted_out(pair, &bytes) == 0);
  sp_pair_release(pair);
}

static int write_byte(sp_pair_t *pair) {
  size_t took;
  int status = sp_pair_cleartext_in(pair, "x", 1, &took);
  CHECK(took == 0);
  return status;
}

static int read_byte(sp_pair_t *pair) {
  char room[10];
  size_t got;
  int status = sp_pair_cleartext_out(pair, room, sizeof room, &got);
  CHECK(got == 0);
  return status;
}

static int update(sp_pair_t *pair) { return sp_pair_update_key(pair, false); }

static void a_child_cannot_use_what_it_inherited(void **state) {
  (void)state;
  static int (*const calls[])(sp_pair_t *) = {write_byte, read_byte, sp_pair_end, update};
  static const sp_protocol_t versions[] = {SP_TLS1_2, SP_TLS1_3};
  for (size_t i = 0; i < 2 * sizeof calls / sizeof *calls; i++) {
    couple_t couple;
    size_t took;
    couple_make(&couple, versions[i % 2]);
    couple_shake_hands(&couple);
    uint8_t byte = side_byte(couple.client.seed, 0); /* waits to be sent: by the parent */
    assert_int_equal(sp_pair_cleartext_in(couple.client.pair, &byte, 1, &took), 0);
    couple.client.sent = couple.client.wanted = 1;
    pid_t child = fork();
    if (!child) {
      check_refused(couple.client.pair, calls[i / 2]);
      _exit(0);
    }
    check_child(child);
    exchange(&couple); /* the parent goes on */
    assert_int_equal(couple.server.got, 50001);
    assert_false(couple.server.wrong);
    couple_free(&couple);
  }
}

static int drive(sp_pair_t *pair) {
  (void)sp_pair_encrypted_in(pair, NULL, 0);
  return sp_pair_error(pair)->status;
}

/* Nor in the middle of a handshake. */
static void nor_finish_a_handshake(void **state) {
  (void)state;
  couple_t couple;
  couple_make(&couple, SP_TLS1_3);
  pid_t child = fork();
  if (!child) {
    check_refused(couple.client.pair, drive);
    _exit(0);
  }
  check_child(child);
  couple_shake_hands(&couple);
  couple_free(&couple);
}

static void a_grandchild_neither(void **state) {
  (void)state;
  couple_t couple;
  couple_make(&couple, SP_TLS1_3);
  couple_shake_hands(&couple);
  pid_t child = fork();
  if (!child) {
    couple_t own;
    couple_make(&own, SP_TLS1_3);
    couple_shake_hands(&own);
    pid_t grandchild = fork();
    if (!grandchild) {
      check_refused(couple.client.pair, write_byte);
      check_refused(own.client.pair, write_byte);
      _exit(0);
    }
    int status;
    CHECK(waitpid(grandchild, &status, 0) == grandchild && WIFEXITED(status));
    exchange(&own);
    CHECK(own.client.got == 50000);
    _exit(WEXITSTATUS(status));
  }
  check_child(child);
  couple_free(&couple);
}

static void greet_back(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_DATA)
    (void)sp_stream_send(actor->stream, actor->bytes, actor->n);
}

static void hear(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_DATA && actor->received == 5)
    sp_stream_end(actor->stream);
}

static bool are_secure(fixture_t *f) {
  return f->actors[0]->counts[ON_SECURE] && fixture_served(f, 0);
}

/* What it writes goes nowhere, and the parent's stream does not notice. */
static void nor_write_to_a_stream(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  f->react = greet_back;
  fixture_serve(f, FIXTURE_SERVER(.alpn = NULL));
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
  client->react = hear;
  fixture_run_until(f, are_secure);
  pid_t child = fork();
  if (!child) {
    sp_stream_t *both[] = {client->stream, fixture_served(f, 0)->stream};
    for (size_t i = 0; i < 2; i++) {
      CHECK(sp_stream_try(both[i], "x", 1) == SP_EFORKED);
      CHECK(sp_stream_error(both[i])->status == SP_EFORKED);
      CHECK(sp_stream_send(both[i], "x", 1) == SP_EFORKED);
    }
    _exit(0);
  }
  check_child(child);
  assert_int_equal(sp_stream_send(client->stream, "hello", 5), 1);
  fixture_run(f);
  assert_int_equal(client->received, 5);
  assert_int_equal(fixture_served(f, 0)->received, 5);
  assert_string_equal(client->log, "secure data close");
  fixture_free(f);
}

/* Waits for the end of what a descriptor receives. */
static void hear_the_end(int fd) {
  struct pollfd wait = {.fd = fd, .events = POLLIN};
  char bytes[4096];
  ssize_t n;
  do {
    assert_int_equal(poll(&wait, 1, 5000), 1);
    n = recv(fd, bytes, sizeof bytes, 0);
  } while (n > 0);
  assert_int_equal(n, 0);
}

static bool is_closed(fixture_t *f) { return fixture_served(f, 0)->counts[ON_CLOSE]; }

/* In a child, which has all that the parent has until the pipe ends. */
static pid_t hold_until_end(int ends[2]) {
  char byte;
  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  if (child)
    return child;
  close(ends[1]);
  _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
}

/* The peer hears the end of a connection although a child still has its descriptor, however it was
 * closed: after both ends were said, or at once. */
static void its_descriptors_keep_no_peer_waiting(void **state) {
  (void)state;
  for (int at_once = 0; at_once < 2; at_once++) {
    fixture_t *f = fixture_new();
    int ends[2];
    uv_os_fd_t fd;
    fixture_serve(f, FIXTURE_SERVER(.alpn = NULL));
    actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
    fixture_run_until(f, are_secure);
    pid_t child = hold_until_end(ends);
    uv_handle_t *io = (uv_handle_t *)sp_stream_transport(client->stream);
    assert_int_equal(uv_fileno(io, &fd), 0);
    fd = dup(fd);
    if (at_once)
      sp_stream_destroy(fixture_served(f, 0)->stream);
    else
      sp_stream_end(client->stream);
    fixture_run_until(f, is_closed);
    hear_the_end(fd);
    close(fd);
    close(ends[0]);
    close(ends[1]);
    check_child(child);
    fixture_run(f);
    fixture_free(f);
  }
}

static void on_secure(sp_stream_t *stream, int status) { (void)stream, (void)status; }

/* Nor where the child was there before any connection of TLS, but a context was. The first test:
 * it notices only what no other one made the library notice. */
static void a_socket_of_before_the_first_pair(void **state) {
  (void)state;
  int ends[2], fds[2];
  uv_loop_t loop;
  uv_pipe_t io;
  sp_stream_t *stream;
  sp_options_t options = {.size = sizeof options,
                          .context = couple_server_context(SP_PROTOCOL_DEFAULT)};
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  pid_t child = hold_until_end(ends);
  assert_int_equal(uv_loop_init(&loop), 0);
  assert_int_equal(uv_pipe_init(&loop, &io, 0), 0);
  assert_int_equal(uv_pipe_open(&io, fds[0]), 0);
  assert_int_equal(
      sp_stream_adopt(&stream, (uv_stream_t *)&io, SP_SERVER, NULL, 0, on_secure, NULL, &options),
      0);
  sp_stream_destroy(stream);
  assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
  assert_int_equal(uv_loop_close(&loop), 0);
  hear_the_end(fds[1]);
  close(fds[1]);
  close(ends[0]);
  close(ends[1]);
  check_child(child);
}

/* -- its own ----------------------------------------------------------------------------------- */

/* With contexts that were there before. Their random numbers differ, or the nonces would not. */
static void a_child_makes_its_own(void **state) {
  (void)state;
  couple_t couple;
  int ends[2];
  uint8_t ours[64], theirs[64];
  couple_make(&couple, SP_TLS1_3);
  couple_shake_hands(&couple);
  couple_free(&couple);
  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  couple_make(&couple, SP_TLS1_3);
  couple_shake_hands(&couple);
  exchange(&couple);
  bool fine = couple.client.got == 50000 && couple.server.got == 50000 && !couple.client.wrong;
  size_t n = sp_pair_finished(couple.client.pair, false, ours, sizeof ours);
  couple_free(&couple);
  if (!child) {
    CHECK(fine && n && write(ends[1], ours, n) == (ssize_t)n);
    _exit(0);
  }
  check_child(child);
  assert_true(fine);
  assert_int_equal(read(ends[0], theirs, n), n);
  assert_memory_not_equal(ours, theirs, n);
  close(ends[0]);
  close(ends[1]);
}

static void greet(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && !status)
    (void)sp_stream_send(actor->stream, "hello", 5);
}

static void part(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_DATA)
    sp_stream_end(actor->stream);
}

/* Each with a loop and a server of its own. */
static void servers_that_fork_before_the_first_connection(void **state) {
  (void)state;
  sp_context_t *client = couple_client_context(SP_PROTOCOL_DEFAULT);
  sp_context_t *server = couple_server_context(SP_PROTOCOL_DEFAULT);
  pid_t children[3];
  for (size_t i = 0; i < 3; i++) {
    children[i] = fork();
    if (children[i])
      continue;
    fixture_t *f = fixture_new();
    f->react = greet;
    fixture_serve(f, SP_OPTIONS(.context = server));
    actor_t *actor = fixture_connect(f, SP_OPTIONS(.context = client, .server_name = "localhost",
                                                   .host = "127.0.0.1", .port = f->port));
    actor->react = part;
    fixture_run(f);
    CHECK(actor->received == 5);
    CHECK(!strcmp(actor->log, "secure data close"));
    fixture_free(f);
    _exit(0);
  }
  for (size_t i = 0; i < 3; i++)
    check_child(children[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_socket_of_before_the_first_pair),
      cmocka_unit_test(a_child_cannot_use_what_it_inherited),
      cmocka_unit_test(nor_finish_a_handshake),
      cmocka_unit_test(a_grandchild_neither),
      cmocka_unit_test(nor_write_to_a_stream),
      cmocka_unit_test(its_descriptors_keep_no_peer_waiting),
      cmocka_unit_test(a_child_makes_its_own),
      cmocka_unit_test(servers_that_fork_before_the_first_connection),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
