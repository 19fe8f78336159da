/* C09: what the kernel may answer, put in its mouth: the mapped status, one error, a sentence. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "support/fixture.h"
#include "support/syscalls.h"

static int bad_connect, bad_read, bad_send; /* errno to fail with; 0: not at all */
static int bad_fd = -1;                     /* reading and sending fail only here */
static int full_first;                      /* so often there is no room first */

/* It stands in front of libc's, for libuv too. */
int connect(int fd, const struct sockaddr *address, socklen_t size) {
  if (!bad_connect)
    return (int)syscall(SYS_connect, fd, address, size);
  errno = bad_connect;
  return -1;
}

static int fault(syscall_name_t name, int fd) {
  if (fd != bad_fd)
    return 0;
  if (name == CALL_WRITE && bad_send)
    return full_first-- > 0 ? -EAGAIN : -bad_send;
  return name == CALL_READ ? -bad_read : 0;
}

static const int numbers[] = {ETIMEDOUT,   EHOSTUNREACH, ECONNREFUSED, ENETDOWN,
                              ENETUNREACH, ECONNRESET,   EACCES};
#define EACH_NUMBER(i) (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)

static void heal(void) {
  bad_connect = bad_read = bad_send = full_first = 0;
  bad_fd = -1;
}

static void expect(const actor_t *client, const char *format, int number) {
  char log[128];
  const char *name = uv_err_name(-number);
  (void)snprintf(log, sizeof log, format, name, name);
  assert_string_equal(client->log, log);
  assert_int_equal(client->error.status, -number);
  assert_int_equal(client->error.who, SP_TRANSPORT);
  assert_int_equal(client->error.alert, -1);
  if (!strstr(client->error.text, uv_strerror(-number)))
    fail_msg("no sentence for %s: %s", name, client->error.text);
}

static void c09_connecting(void **state) {
  (void)state;
  for
    EACH_NUMBER(i) {
      fixture_t *f = fixture_new();
      bad_connect = numbers[i];
      actor_t *client = fixture_connect(f, SP_OPTIONS(.host = "127.0.0.1", .port = 9));
      assert_true(actor_write(client, "x", 1) >= 0);
      fixture_run(f);
      heal();
      expect(client, "secure(%s) write(%s) close", numbers[i]);
      fixture_free(f);
    }
}

static int fd_of(const actor_t *actor) {
  uv_os_fd_t fd;
  assert_int_equal(uv_fileno((uv_handle_t *)sp_stream_transport(actor->stream), &fd), 0);
  return fd;
}

static bool has_transport(fixture_t *f) {
  return sp_stream_transport(f->actors[0]->stream) != NULL;
}

static void c09_reading_in_the_handshake(void **state) {
  (void)state;
  for
    EACH_NUMBER(i) {
      fixture_t *f = fixture_new();
      fixture_serve(f, FIXTURE_SERVER());
      actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
      fixture_run_until(f, has_transport);
      bad_fd = fd_of(client);
      bad_read = numbers[i];
      fixture_run(f);
      heal();
      expect(client, "secure(%s) close", numbers[i]);
      assert_int_equal(fixture_served(f, 0)->counts[ON_CLOSE], 1);
      fixture_free(f);
    }
}

/* Once both are secure the client's socket goes bad, and something is to be read or written. */
static int what;
enum { READ, WRITE, WRITE_LATER };

static bool are_secure(fixture_t *f) {
  return f->actors[0]->counts[ON_SECURE] && fixture_served(f, 0);
}

static actor_t *go_bad(fixture_t *f, int number) {
  fixture_serve(f, FIXTURE_SERVER(.tickets = SP_NO));
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
  fixture_run_until(f, are_secure);
  bad_fd = fd_of(client);
  full_first = what == WRITE_LATER;
  if (what == READ) {
    bad_read = number;
    sp_stream_send(fixture_served(f, 0)->stream, "x", 1);
  } else {
    bad_send = number;
    assert_true(actor_write(client, fixture_pattern(100000), 100000) >= 0);
    assert_true(actor_write(client, "x", 1) >= 0);
  }
  fixture_run(f);
  heal();
  return client;
}

static void run_bad(int how, const char *log) {
  what = how;
  for
    EACH_NUMBER(i) {
      fixture_t *f = fixture_new();
      const actor_t *client = go_bad(f, numbers[i]);
      expect(client, log, numbers[i]);
      assert_int_equal(fixture_served(f, 0)->counts[ON_CLOSE], 1);
      fixture_free(f);
    }
}

static void c09_reading(void **state) {
  (void)state;
  run_bad(READ, "secure error(%s) close");
}

static void c09_writing(void **state) {
  (void)state;
  run_bad(WRITE, "secure write(%s) error(%s) close");
}

/* What was on its way when the transport failed did not arrive. */
static void c09_writing_after_waiting_for_room(void **state) {
  (void)state;
  run_bad(WRITE_LATER, "secure write(%s) error(%s) close");
}

/* -- last words -------------------------------------------------------------------------------- */

static bool has_bytes(fixture_t *f) {
  int n = 0;
  (void)f;
  return ioctl(bad_fd, FIONREAD, &n) == 0 && n > 0;
}

static bool is_gone(fixture_t *f) { return !f->actors[0]->stream; }

/* A server that sends `n` bytes and an alert, and then takes nothing any more, which the client
 * notices when it writes, before it reads again. */
static void check_last_words(int number, bool by_room, size_t n) {
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER(.tickets = SP_NO));
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
  fixture_run_until(f, are_secure);
  actor_t *server = fixture_served(f, 0);
  bad_fd = fd_of(client);
  bad_send = number;
  full_first = by_room;
  static const uint8_t unknown[] = {SSL3_RT_APPLICATION_DATA,
                                    3,
                                    3,
                                    0,
                                    17,
                                    1,
                                    2,
                                    3,
                                    4,
                                    5,
                                    6,
                                    7,
                                    8,
                                    9,
                                    10,
                                    11,
                                    12,
                                    13,
                                    14,
                                    15,
                                    16,
                                    17};
  if (n)
    assert_true(sp_stream_send(server->stream, fixture_pattern(n), n) >= 0);
  sp_stream_flush(server->stream);
  /* what cannot be decrypted has it send the alert bad_record_mac */
  assert_int_equal(syscall(SYS_sendto, bad_fd, unknown, sizeof unknown, 0, NULL, 0),
                   sizeof unknown);
  sp_stream_pause(client->stream);
  while (!server->counts[ON_ERROR] || !has_bytes(f))
    uv_run(&f->loop, UV_RUN_ONCE);
  sp_stream_resume(client->stream);
  assert_true(actor_write(client, "x", 1) >= 0);
  fixture_run_until(f, is_gone);
  assert_int_equal(client->received, n);
  assert_int_equal(client->error.status, SP_EALERT);
  assert_int_equal(client->error.alert, SSL_AD_BAD_RECORD_MAC);
  heal();
  fixture_run(f);
  fixture_free(f);
}

/* The alert that explains it is told, not that the pipe is broken. */
static void the_alert_before_a_broken_pipe(void **state) {
  (void)state;
  check_last_words(EPIPE, false, 0);
  check_last_words(ECONNRESET, false, 0);
  check_last_words(EPIPE, true, 0);
  check_last_words(EPIPE, false, 200000);
}

/* Without listeners for it an error is no trouble. */
static void ignore(sp_stream_t *stream, int status) { (void)stream, (void)status; }

static void c09_nobody_listens(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  sp_stream_t *stream;
  sp_error_t why;
  bad_connect = ENETDOWN;
  for (int i = 0; i < 2; i++)
    assert_int_equal(sp_connect(&stream, &f->loop, i ? ignore : NULL, &why,
                                SP_OPTIONS(.host = "127.0.0.1", .port = 9)),
                     0);
  uv_run(&f->loop, UV_RUN_DEFAULT);
  heal();
  fixture_free(f);
}

int main(void) {
  syscalls_set_fault(fault);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(c09_connecting),
      cmocka_unit_test(c09_reading_in_the_handshake),
      cmocka_unit_test(c09_reading),
      cmocka_unit_test(c09_writing),
      cmocka_unit_test(c09_writing_after_waiting_for_room),
      cmocka_unit_test(c09_nobody_listens),
      cmocka_unit_test(the_alert_before_a_broken_pipe),
  };
  return cmocka_run_group_tests_name("close-errno", tests, NULL, NULL);
}
