/*
 * A first flight larger than all that may wait for the transport (SP_PAIR_AHEAD), over a socket
 * whose buffer is small: the handshake waits for room and goes on by itself.
 */
#include "support/fixture.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#define NAMES 3200 /* of some 25 bytes each in the certificate: below OpenSSL's limit of 100 KB */

static const pki_t *large_certificate(void) {
  static const pki_t *made;
  static char texts[NAMES][32];
  static const char *list[NAMES + 2];
  if (made)
    return made;
  for (int i = 0; i < NAMES; i++) {
    snprintf(texts[i], sizeof texts[i], "host-%05d.many.example", i);
    list[i] = texts[i];
  }
  list[NAMES] = "localhost";
  made = PKI_MAKE(pki_default()->root, .cn = "large", .dns = list);
  return made;
}

/* Sockets that are accepted take the size of their buffer from the listener. */
static int narrow_listener(int *port) {
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof any;
  int size = 4096, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &length), 0);
  *port = ntohs(any.sin_port);
  return fd;
}

static void on_server_secure(sp_stream_t *stream, int status) {
  assert_int_equal(status, 0);
  assert_int_equal(sp_stream_pipe(stream, stream), 0);
}

static void say_and_end(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE) {
    assert_int_equal(status, 0);
    assert_true(sp_stream_is_authorized(actor->stream));
    assert_int_equal(sp_stream_send(actor->stream, "hello", 5), 1);
  } else if (event == ON_DATA) {
    assert_memory_equal(actor->bytes, "hello", 5);
    sp_stream_end(actor->stream);
  }
}

static void exchange(sp_protocol_t version) {
  fixture_t *f = fixture_new();
  sp_server_t *server;
  sp_error_t why;
  int port, fd = narrow_listener(&port);
  const pki_t *large = large_certificate();
  assert_int_equal(sp_server_new(&server, &f->loop, on_server_secure, &why,
                                 SP_OPTIONS(.key = large->key_pem, .cert = large->cert_pem,
                                            .max_version = version)),
                   0);
  assert_int_equal(sp_server_listen_fd(server, fd, &why), 0);
  f->port = port;
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f, .server_name = "localhost"));
  client->react = say_and_end;
  while (client->stream)
    uv_run(&f->loop, UV_RUN_ONCE);
  assert_int_equal(sp_server_close(server, NULL), 0);
  fixture_run(f);
  assert_string_equal(client->log, "secure data close");
  fixture_free(f);
}

static void test_large_flight_1_3(void **state) {
  (void)state;
  assert_true(strlen(large_certificate()->cert_pem) * 3 / 4 > SP_PAIR_AHEAD);
  exchange(SP_TLS1_3);
}

static void test_large_flight_1_2(void **state) {
  (void)state;
  exchange(SP_TLS1_2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_large_flight_1_3),
      cmocka_unit_test(test_large_flight_1_2),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
