/* A client's cache of sessions against openssl s_server and gnutls-serv: resumption counted, and a
 * server that refuses it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "support/pki.h"
#include "support/program.h"

#define ROUNDS 50

#define NEED(name)                                                                                 \
  do {                                                                                             \
    if (!child_exists(name)) {                                                                     \
      print_message(name " is not here\n");                                                        \
      skip();                                                                                      \
    }                                                                                              \
  } while (0)

static void end_after_data(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && !status) {
    *(bool *)actor->data = sp_pair_is_resumed(sp_stream_pair(actor->stream));
    assert_int_equal(sp_stream_send(actor->stream, "olleh\n", 6), 1);
  }
  if (event == ON_DATA)
    sp_stream_end(actor->stream);
}

/* Both echo in one way or another. */
static bool connect_to(program_t *p, int port) {
  bool resumed = false;
  actor_t *actor = fixture_connect(p->f, SP_OPTIONS(.host = "127.0.0.1", .port = port,
                                                    .server_name = "localhost",
                                                    .ca = SP_LIST(pki_default()->root->cert_pem)));
  actor->react = end_after_data;
  actor->data = &resumed;
  while (actor->stream)
    uv_run(&p->f->loop, UV_RUN_ONCE);
  assert_int_equal(actor->statuses[ON_SECURE], 0);
  return resumed;
}

static int start(program_t *p, const char *const *args) {
  p->child = child_start(&p->f->loop, args);
  assert_non_null(p->child);
  int port = program_port(p);
  assert_true(port > 0);
  return port;
}

static void count_at(const char *const *args, const char *name) {
  program_t *p = program_new();
  int port = start(p, args), resumed = 0;
  for (int i = 0; i < ROUNDS; i++)
    resumed += connect_to(p, port);
  print_message("%s: %d of %d resumed\n", name, resumed, ROUNDS);
  assert_int_equal(resumed, ROUNDS - 1);
  sp_session_cache_clear(NULL);
  program_free(p);
}

static const char *cert(void) { return pki_file(pki_default()->server->cert_pem); }
static const char *key(void) { return pki_file(pki_default()->server->key_pem); }

static void s_server(void **state) {
  (void)state;
  NEED("openssl");
  static const char *const kinds[][2] = {
      {"-tls1_2", "-no_ticket"}, {"-tls1_2", "-serverpref"}, {"-tls1_3", "-serverpref"}};
  for (size_t i = 0; i < 3; i++)
    count_at(CHILD_ARGS("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", cert(), "-key",
                        key(), "-rev", kinds[i][0], kinds[i][1]),
             kinds[i][0]);
}

static void gnutls_serv(void **state) {
  (void)state;
  NEED("gnutls-serv");
  static const char *const priorities[] = {"NORMAL:-VERS-ALL:+VERS-TLS1.2",
                                           "NORMAL:-VERS-ALL:+VERS-TLS1.3"};
  for (size_t i = 0; i < 2; i++)
    count_at(CHILD_ARGS("gnutls-serv", "-p", "0", "--x509certfile", cert(), "--x509keyfile", key(),
                        "--priority", priorities[i], "--echo"),
             priorities[i]);
}

/* A server that started anew has other keys: it refuses, the handshake is a full one, and the
 * cache goes on. */
static void s_server_that_refuses(void **state) {
  (void)state;
  NEED("openssl");
  static const char *const versions[] = {"-tls1_2", "-tls1_3"};
  for (size_t i = 0; i < 2; i++) {
    char address[32];
    program_t *p = program_new();
    int port = start(p, CHILD_ARGS("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", cert(),
                                   "-key", key(), "-rev", versions[i]));
    assert_false(connect_to(p, port));
    assert_true(connect_to(p, port));
    program_free(p);
    (void)snprintf(address, sizeof address, "127.0.0.1:%d", port);
    p = program_new();
    assert_int_equal(start(p, CHILD_ARGS("openssl", "s_server", "-accept", address, "-cert", cert(),
                                         "-key", key(), "-rev", versions[i])),
                     port);
    assert_false(connect_to(p, port));
    for (int round = 0; round < 5; round++)
      assert_true(connect_to(p, port));
    program_free(p);
    sp_session_cache_clear(NULL);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(s_server),
      cmocka_unit_test(gnutls_serv),
      cmocka_unit_test(s_server_that_refuses),
  };
  return cmocka_run_group_tests_name("resumption-client-peers", tests, NULL, NULL);
}
