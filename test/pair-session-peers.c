/* Sessions with a peer that is not ours: resumed by openssl s_client at our server, and by our
 * client at openssl s_server, in each of the three kinds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/pki.h"
#include "support/program.h"

#define NEED_OPENSSL()                                                                             \
  do {                                                                                             \
    if (!child_exists("openssl")) {                                                                \
      print_message("openssl is not here\n");                                                      \
      skip();                                                                                      \
    }                                                                                              \
  } while (0)

/* -- openssl s_client -------------------------------------------------------------------------- */

/* A server's store of sessions. */
static struct {
  uint8_t id[32], bytes[16384];
  size_t id_size, n, hits;
} store;

static void on_session_new(sp_pair_t *pair, const void *id, size_t id_size, const void *bytes,
                           size_t n, void *data) {
  (void)pair, (void)data;
  if (id_size > sizeof store.id || n > sizeof store.bytes)
    return;
  memcpy(store.id, id, id_size);
  memcpy(store.bytes, bytes, n);
  store.id_size = id_size;
  store.n = n;
}

static int on_session_get(sp_pair_t *pair, const void *id, size_t n, void *data) {
  (void)data;
  if (n != store.id_size || memcmp(id, store.id, n) != 0)
    return 0;
  store.hits++;
  return sp_pair_use_session(pair, store.bytes, store.n);
}

static program_t *serve(void) {
  program_t *p = program_new();
  memset(&store, 0, sizeof store);
  program_serve(
      p, FIXTURE_SERVER(.hooks.session_new = on_session_new, .hooks.session_get = on_session_get));
  return p;
}

static const char *root_file(void) {
  static const char *file;
  return file ? file : (file = pki_file(pki_default()->root->cert_pem));
}

static void start_client(program_t *p, const char *const *more) {
  char address[32];
  const char *args[24] = {"openssl", "s_client",  "-connect",    address,
                          "-CAfile", root_file(), "-servername", "localhost"};
  (void)snprintf(address, sizeof address, "127.0.0.1:%d", p->f->port);
  for (size_t n = 8; *more; more++)
    args[n++] = *more;
  p->child = child_start(&p->f->loop, args);
  assert_non_null(p->child);
}

/* Five connections after the first one, by the id that our hook kept. */
static void s_client_reconnects_by_id(void **state) {
  (void)state;
  NEED_OPENSSL();
  program_t *p = serve();
  start_client(p, CHILD_ARGS("-tls1_2", "-no_ticket", "-reconnect"));
  talker_t *last = program_served(p, 5);
  child_tell(p->child, "ping\n", 5);
  assert_true(child_wait_for(p->child, "ping\n"));
  child_tell_end(p->child);
  assert_int_equal(child_wait(p->child), 0);
  talker_wait_close(last);
  size_t resumed = 0;
  for (size_t i = 0; i < p->count; i++)
    resumed += p->talks[i].side.resumed;
  assert_int_equal(resumed, 5);
  assert_int_equal(store.hits, 5);
  program_free(p);
}

static void run_client(program_t *p, size_t i, const char *const *args, bool resumed) {
  start_client(p, args);
  child_tell(p->child, "ping\n", 5);
  assert_true(child_wait_for(p->child, "ping\n")); /* the ticket came before it */
  child_tell_end(p->child);
  assert_int_equal(child_wait(p->child), 0);
  assert_int_equal(child_said(p->child, "Reused, "), resumed);
  child_free(p->child);
  p->child = NULL;
  talker_t *talker = program_served(p, i);
  talker_wait_close(talker);
  assert_int_equal(talker->side.resumed, resumed);
}

static void s_client_brings_a_session_from_a_file(void **state) {
  (void)state;
  NEED_OPENSSL();
  static const char *const kinds[][2] = {
      {"-tls1_2", "-no_ticket"}, {"-tls1_2", "-no_ign_eof"}, {"-tls1_3", "-no_ign_eof"}};
  for (size_t i = 0; i < 3; i++) {
    char name[32];
    (void)snprintf(name, sizeof name, "kept-%zu", i);
    const char *file = pki_path(name), *mode = kinds[i][1];
    program_t *p = serve();
    run_client(p, 0, CHILD_ARGS(kinds[i][0], mode, "-sess_out", file), false);
    run_client(p, 1, CHILD_ARGS(kinds[i][0], mode, "-sess_in", file), true);
    run_client(p, 2, CHILD_ARGS(kinds[i][0], mode, "-sess_in", file), true);
    program_free(p);
  }
}

/* A session in the server's store: TLS 1.2 again and again, TLS 1.3 once each. */
static void s_client_brings_a_name_of_a_session(void **state) {
  (void)state;
  NEED_OPENSSL();
  static const char *const kinds[] = {"-tls1_2", "-tls1_3"};
  for (size_t i = 0; i < 2; i++) {
    char name[32];
    (void)snprintf(name, sizeof name, "named-%zu", i);
    const char *kind = kinds[i], *file = pki_path(name);
    sp_store_t *memory;
    assert_int_equal(sp_memory_store_new(&memory, 1 << 20, NULL), 0);
    program_t *p = program_new();
    program_serve(p, FIXTURE_SERVER(.store = memory));
    run_client(p, 0, CHILD_ARGS(kind, "-sess_out", file), false);
    run_client(p, 1, CHILD_ARGS(kind, "-sess_in", file), true);
    run_client(p, 2, CHILD_ARGS(kind, "-sess_in", file), i == 0); /* it was taken */
    program_free(p);
    sp_store_release(memory);
  }
}

/* -- openssl s_server -------------------------------------------------------------------------- */

#define ROUNDS 50

static struct {
  uint8_t bytes[16384];
  size_t n, told;
} kept;

static void on_session(sp_pair_t *pair, const void *bytes, size_t n, void *data) {
  (void)pair, (void)data;
  assert_true(n <= sizeof kept.bytes);
  memcpy(kept.bytes, bytes, n);
  kept.n = n;
  kept.told++;
}

static void end_after_data(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && !status) {
    *(bool *)actor->data = sp_pair_is_resumed(sp_stream_pair(actor->stream));
    sp_stream_send(actor->stream, "Q: olleh\n", 9);
  }
  if (event == ON_DATA)
    sp_stream_end(actor->stream);
}

/* s_server -rev sends each line back. */
static void our_client_resumes(const char *version, const char *tickets) {
  const pki_t *pki = pki_default()->server;
  program_t *p = program_new();
  sp_error_t why;
  sp_context_t *context;
  memset(&kept, 0, sizeof kept);
  p->child = child_start(&p->f->loop, CHILD_ARGS("openssl", "s_server", "-accept", "127.0.0.1:0",
                                                 "-cert", pki_file(pki->cert_pem), "-key",
                                                 pki_file(pki->key_pem), "-rev", version, tickets));
  int port = program_port(p), resumptions = 0;
  assert_true(port > 0);
  assert_int_equal(sp_context_new(&context, &why,
                                  SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem),
                                             .hooks.session = on_session)),
                   0);
  for (int i = 0; i < ROUNDS; i++) {
    bool resumed = false;
    actor_t *actor = fixture_connect(
        p->f, SP_OPTIONS(.host = "127.0.0.1", .port = port, .server_name = "localhost",
                         .context = context, .session = kept.bytes, .session_size = kept.n));
    actor->react = end_after_data;
    actor->data = &resumed;
    while (actor->stream)
      uv_run(&p->f->loop, UV_RUN_ONCE);
    assert_int_equal(actor->statuses[ON_SECURE], 0);
    assert_int_equal(actor->received, 9);
    resumptions += resumed;
  }
  assert_int_equal(resumptions, ROUNDS - 1);
  assert_true(kept.told >= 1);
  sp_context_release(context);
  program_free(p);
}

static void our_client_resumes_at_s_server(void **state) {
  (void)state;
  NEED_OPENSSL();
  our_client_resumes("-tls1_2", "-no_ticket");
  our_client_resumes("-tls1_2", "-serverpref");
  our_client_resumes("-tls1_3", "-serverpref");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(s_client_reconnects_by_id),
      cmocka_unit_test(s_client_brings_a_session_from_a_file),
      cmocka_unit_test(s_client_brings_a_name_of_a_session),
      cmocka_unit_test(our_client_resumes_at_s_server),
  };
  return cmocka_run_group_tests_name("pair-session-peers", tests, NULL, NULL);
}
