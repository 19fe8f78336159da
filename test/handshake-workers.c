/*
 * Handshakes on worker threads: the engine works there and nothing of the program's is called
 * there; whatever is done to a stream while a worker has its pair is legal. Workers are held where
 * a test wants them, when OpenSSL tells a secret, so that nothing here depends on time.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/finale.h"
#include "context/context.h"
#include "server/server.h"
#include "stream/worker.h"
#include "support/contexts.h"
#include "support/leaks.h"
#include "support/link.h"
#include "support/meeting.h"
#include "support/peer.h"
#include "support/raw.h"
#include "support/signing.h"
#include "support/stage.h"

#define WORKERS .handshake_workers = SP_YES

static struct {
  pthread_t home;
  atomic_uint here, there; /* secrets of the engine on the loop's thread, and on others */
  atomic_bool hold;        /* the next one there waits for `go` */
  atomic_bool held;
  uv_sem_t go;
  unsigned pending; /* hooks that answer "not yet", by bit */
  unsigned asked;   /* hooks, by bit */
  unsigned lines, sessions, kept;
  sp_pair_t *waiting;
  uv_timer_t timer; /* resumes it */
} now;

/* The lines of a context that has the hook go on to that. */
static void (*plugged)(const SSL *ssl, const char *line);

static void begin(void) {
  plugged = NULL;
  memset(&now, 0, sizeof now);
  now.home = pthread_self();
  assert_int_equal(uv_sem_init(&now.go, 0), 0);
}

static void at_home(void) { assert_true(pthread_equal(pthread_self(), now.home)); }

static void on_secret(const SSL *ssl, const char *line) {
  if (plugged)
    plugged(ssl, line);
  if (pthread_equal(pthread_self(), now.home)) {
    now.here++;
    return;
  }
  now.there++;
  if (!atomic_exchange(&now.hold, false))
    return;
  now.held = true;
  uv_sem_wait(&now.go);
}

/* From now on the engine's secrets of this context are counted. */
static sp_context_t *watched(sp_context_t *context) {
  void (*before)(const SSL *, const char *) = SSL_CTX_get_keylog_callback(context->ssl_ctx);
  plugged = before ? before : plugged;
  SSL_CTX_set_keylog_callback(context->ssl_ctx, on_secret);
  return context;
}

/* -- hooks ------------------------------------------------------------------------------------- */

enum { HELLO = 1, NAME = 2, ALPN = 4, STAPLE = 8, SIGN = 16 };

static int answer(sp_pair_t *pair, unsigned hook) {
  at_home();
  now.asked |= hook;
  if (!(now.pending & hook))
    return 0;
  now.pending &= ~hook;
  now.waiting = pair;
  uv_timer_start(&now.timer, now.timer.timer_cb, 1, 0);
  return SP_PENDING;
}

static int on_hello(sp_pair_t *pair, const sp_client_hello_t *hello, void *data) {
  (void)hello, (void)data;
  return answer(pair, HELLO);
}

static int on_name(sp_pair_t *pair, const char *name, void *data) {
  (void)data;
  assert_string_equal(name, "localhost");
  return answer(pair, NAME);
}

static int on_alpn(sp_pair_t *pair, const uint8_t *protocols, size_t n, void *data) {
  (void)protocols, (void)n, (void)data;
  int status = answer(pair, ALPN);
  return status ? status : sp_pair_use_protocol(pair, "b", 1);
}

static int on_staple(sp_pair_t *pair, void *data) {
  (void)data;
  int status = answer(pair, STAPLE);
  return status ? status : sp_pair_use_staple(pair, "staple", 6);
}

static void on_keylog(sp_pair_t *pair, const char *line, void *data) {
  (void)pair, (void)data;
  at_home();
  assert_non_null(strchr(line, ' '));
  now.lines++;
}

static void on_session(sp_pair_t *pair, const void *bytes, size_t n, void *data) {
  (void)pair, (void)bytes, (void)data;
  at_home();
  assert_true(n > 0);
  now.sessions++;
}

static void on_session_new(sp_pair_t *pair, const void *id, size_t id_size, const void *bytes,
                           size_t n, void *data) {
  (void)pair, (void)id, (void)bytes, (void)data;
  at_home();
  assert_true(n > 0 && id_size > 0);
  now.kept++;
}

static void on_timer(uv_timer_t *timer) {
  (void)timer;
  sp_pair_t *pair = now.waiting;
  now.waiting = NULL;
  if (now.asked & ALPN)
    (void)sp_pair_use_protocol(pair, "b", 1);
  assert_int_equal(sp_pair_resume(pair, 0), 0);
}

static sp_context_t *server_with_hooks(sp_protocol_t version) {
  const pki_t *pki = pki_default()->server;
  const sp_hooks_t hooks = {.client_hello = on_hello,
                            .server_name = on_name,
                            .alpn = on_alpn,
                            .staple = on_staple,
                            .keylog = on_keylog,
                            .session_new = on_session_new};
  return watched(
      context_made(SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem, .tickets = SP_NO,
                              .min_version = version, .max_version = version, .hooks = hooks)));
}

static sp_context_t *client_with_hooks(void) {
  const sp_hooks_t hooks = {.keylog = on_keylog, .session = on_session};
  return watched(context_made(SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem),
                                         .alpn = SP_LIST("a", "b"), .hooks = hooks)));
}

/* -- a client and a server --------------------------------------------------------------------- */

static void greet_and_end(actor_t *actor, fixture_event_t event, int status) {
  at_home();
  if (event != ON_SECURE || status < 0)
    return;
  assert_true(sp_stream_send(actor->stream, "hello", 5) >= 0);
  sp_stream_end(actor->stream);
}

/* Both greet and end. */
static void meet(sp_context_t *server, sp_context_t *client, sp_choice_t workers) {
  fixture_t *f = fixture_new();
  fixture_serve(f, SP_OPTIONS(.context = server, .handshake_workers = workers));
  uv_timer_init(&f->loop, &now.timer);
  now.timer.timer_cb = on_timer;
  f->react = greet_and_end;
  actor_t *actor =
      fixture_connect(f, SP_OPTIONS(.context = client, .host = "127.0.0.1", .port = f->port,
                                    .server_name = "localhost", .handshake_workers = workers,
                                    .request_staple = SP_YES, .half_open = SP_YES));
  actor->react = greet_and_end;
  fixture_run(f);
  assert_string_equal(actor->log, "secure data end close");
  assert_int_equal(actor->received, 5);
  uv_close((uv_handle_t *)&now.timer, NULL);
  fixture_free(f);
}

static void check_hooks(sp_protocol_t version, sp_choice_t workers, unsigned pending) {
  begin();
  now.pending = pending;
  sp_context_t *server = server_with_hooks(version), *client = client_with_hooks();
  meet(server, client, workers);
  assert_int_equal(now.asked, HELLO | NAME | ALPN | STAPLE);
  assert_int_equal(now.pending, 0);
  assert_int_equal(now.lines, version == SP_TLS1_3 ? 10 : 2);
  assert_int_equal(now.sessions, version == SP_TLS1_2);
  assert_int_equal(now.kept, version == SP_TLS1_2);
  assert_int_equal(workers == SP_YES ? now.there : now.here, now.lines);
  assert_int_equal(workers == SP_YES ? now.here : now.there, 0);
  sp_context_release(server);
  sp_context_release(client);
}

static void test_hooks_stay_on_the_loop(void **state) {
  (void)state;
  for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3; version++) {
    check_hooks(version, SP_NO, 0);
    check_hooks(version, SP_YES, 0);
    for (unsigned hook = HELLO; hook <= STAPLE; hook *= 2)
      check_hooks(version, SP_YES, hook);
    check_hooks(version, SP_YES, HELLO | NAME | ALPN | STAPLE);
  }
}

static void test_the_engine_works_elsewhere(void **state) {
  (void)state;
  begin();
  const pki_set_t *pki = pki_default();
  sp_context_t *server =
      watched(context_made(SP_OPTIONS(.key = pki->server->key_pem, .cert = pki->server->cert_pem,
                                      .max_version = SP_TLS1_2)));
  meet(server, stage_context(SP_CLIENT, 0), SP_YES);
  assert_int_equal(now.here, 0);
  assert_int_equal(now.there, 1);
  sp_context_release(server);
}

static int on_sign(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n, void *data) {
  uint8_t signature[512];
  (void)data;
  (void)answer(pair, SIGN);
  size_t size =
      signing_sign(pki_default()->server->key, scheme, message, n, signature, sizeof signature);
  return sp_pair_sign_with(pair, signature, size);
}

/* A hook may choose a context with such a key only when the worker has stopped already. */
static int choose(sp_pair_t *pair, const char *name, void *data) {
  (void)name;
  return sp_pair_use_context(pair, data);
}

static void test_a_key_behind_a_hook_stays(void **state) {
  (void)state;
  const pki_t *pki = pki_default()->server;
  sp_context_t *signs =
      watched(context_made(SP_OPTIONS(.cert = pki->cert_pem, .hooks.sign = on_sign)));
  sp_context_t *chooses =
      context_made(SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem,
                              .hooks.server_name = choose, .hooks_data = signs));
  begin();
  meet(signs, stage_context(SP_CLIENT, 0), SP_YES);
  assert_int_equal(now.there, 0);
  assert_true(now.here > 0);
  assert_int_equal(now.asked, SIGN);
  begin();
  meet(chooses, stage_context(SP_CLIENT, 0), SP_YES);
  assert_int_equal(now.asked, SIGN);
  sp_context_release(chooses);
  sp_context_release(signs);
}

static void test_the_reason_of_a_failure(void **state) {
  (void)state;
  const pki_set_t *pki = pki_default();
  meeting_t m =
      meeting_hold(SP_OPTIONS(.key = pki->server->key_pem, .cert = pki->server->cert_pem, WORKERS),
                   SP_OPTIONS(.ca = SP_EMPTY_LIST, .server_name = "localhost", WORKERS));
  assert_int_equal(m.client.status, SP_EUNAUTHORIZED);
  assert_non_null(strstr(m.client.error.text, "certificate"));
  assert_int_equal(m.server.status, SP_EALERT);
  assert_int_equal(m.server.error.alert, SSL_AD_UNKNOWN_CA);
  m = meeting_hold(SP_OPTIONS(.key = pki->server->key_pem, .cert = pki->server->cert_pem, WORKERS,
                              .max_version = SP_TLS1_2),
                   SP_OPTIONS(.ca = SP_LIST(pki->root->cert_pem), WORKERS, .min_version = SP_TLS1_3,
                              .server_name = "localhost"));
  assert_int_equal(m.server.status, SP_EPROTOCOL);
  assert_non_null(strstr(m.server.error.text, "protocol versions"));
  assert_int_equal(m.client.status, SP_EALERT);
}

/* Names of a server's table are looked up on the loop. */
static void test_contexts_by_name(void **state) {
  (void)state;
  begin();
  const pki_set_t *pki = pki_default();
  const pki_t *other = PKI_MAKE(pki->root, .cn = "other", .dns = PKI_LIST("other.example"));
  sp_context_t *context = context_made(SP_OPTIONS(.key = other->key_pem, .cert = other->cert_pem));
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER(WORKERS));
  assert_int_equal(sp_server_add_context(f->server, "*.example", context), 0);
  f->react = greet_and_end;
  actor_t *one = fixture_connect(f, FIXTURE_CLIENT(f, .server_name = "localhost", WORKERS));
  actor_t *two = fixture_connect(f, FIXTURE_CLIENT(f, .server_name = "other.example", WORKERS));
  one->react = two->react = greet_and_end;
  fixture_run(f);
  assert_int_equal(one->statuses[ON_SECURE], 0);
  assert_int_equal(two->statuses[ON_SECURE], 0);
  fixture_free(f);
  sp_context_release(context);
}

static void test_other_transports(void **state) {
  (void)state;
  begin();
  for (int way = LINK_SOCKETS; way < LINK_WAYS; way++) {
    fixture_t *f = fixture_new();
    link_t link;
    link_open(&link, f, (link_way_t)way, 0, SP_OPTIONS(WORKERS), SP_OPTIONS(WORKERS));
    link.client.actor->react = link.server.actor->react = greet_and_end;
    link_run(&link);
    assert_int_equal(link.client.actor->statuses[ON_SECURE], 0);
    assert_int_equal(link.server.actor->statuses[ON_SECURE], 0);
    fixture_free(f);
  }
}

/* -- while a worker has the pair --------------------------------------------------------------- */

typedef struct held {
  fixture_t *f;
  sp_context_t *context;
  actor_t *client, *server; /* server: made for the stream that is held */
  sp_stream_t *stream;      /* the one that is held */
} held_t;

static bool is_held(fixture_t *f) {
  (void)f;
  return now.held;
}

/* A server's stream, or a client's, whose worker waits inside of the engine. */
static held_t hold_one(sp_role_t role, const sp_options_t *options) {
  const pki_set_t *pki = pki_default();
  held_t held = {.f = fixture_new()};
  sp_options_t server = *options, client = *SP_OPTIONS(.context = stage_context(SP_CLIENT, 0));
  begin();
  held.context = watched(
      role == SP_SERVER
          ? context_made(SP_OPTIONS(.key = pki->server->key_pem, .cert = pki->server->cert_pem))
          : context_made(SP_OPTIONS(.ca = SP_LIST(pki->root->cert_pem))));
  if (role == SP_CLIENT) {
    client = *options;
    server = *SP_OPTIONS(.context = stage_context(SP_SERVER, 0));
  }
  (role == SP_SERVER ? &server : &client)->context = held.context;
  (role == SP_SERVER ? &server : &client)->handshake_workers = SP_YES;
  fixture_serve(held.f, &server);
  client.host = "127.0.0.1";
  client.port = held.f->port;
  now.hold = true;
  held.client = fixture_connect(held.f, &client);
  fixture_run_until(held.f, is_held);
  held.stream = held.client->stream;
  if (role == SP_SERVER)
    held.stream = SP__OF(held.f->server->streams.next, sp_stream_t, sibling);
  assert_true(sp__stream_is_away(held.stream));
  return held;
}

static void let_go(held_t *held) {
  uv_sem_post(&now.go);
  fixture_run(held->f);
  fixture_free(held->f);
  sp_context_release(held->context);
  uv_sem_destroy(&now.go);
}

static void some_turns(fixture_t *f) {
  for (int i = 0; i < 20; i++)
    uv_run(&f->loop, UV_RUN_NOWAIT);
}

/* Nothing is known yet, and nothing harms. */
static void ask_pair(sp_pair_t *pair) {
  sp_certificate_t *certificate;
  const void *bytes;
  const char *type, *name;
  char room[300];
  size_t n;
  int bits;
  assert_int_equal(sp_pair_state(pair), SP_PAIR_WAITING);
  assert_int_equal(sp_pair_error(pair)->status, 0);
  assert_string_equal(sp_pair_cipher(pair), "");
  assert_string_equal(sp_pair_cipher_standard_name(pair), "");
  assert_int_equal(sp_pair_cipher_bits(pair), 0);
  assert_string_equal(sp_pair_version(pair), "");
  assert_string_equal(sp_pair_group(pair), "");
  assert_string_equal(sp_pair_server_name(pair), "");
  assert_string_equal(sp_pair_protocol(pair, &n), "");
  assert_false(sp_pair_is_resumed(pair));
  assert_false(sp_pair_is_authorized(pair));
  assert_null(sp_pair_authorization_error(pair));
  assert_null(sp_pair_verdict(pair));
  assert_int_equal(sp_pair_peer_certificate(pair, &certificate), SP_ECERTIFICATE);
  assert_int_equal(sp_pair_session(pair, room, sizeof room), 0);
  assert_int_equal(sp_pair_ticket(pair, &bytes), 0);
  assert_null(sp_pair_staple(pair, &n));
  assert_int_equal(sp_pair_finished(pair, true, room, sizeof room), 0);
  assert_int_equal(sp_pair_shared_sigalgs(pair, 0, room, sizeof room), 0);
  assert_false(sp_pair_ephemeral_key(pair, &type, &name, &bits));
  assert_int_equal(sp_pair_set_max_fragment(pair, 1024), SP_EOPTION);
  assert_int_equal(sp_pair_export_key(pair, room, 8, "EXPORTER", NULL, 0), SP_EOPTION);
  assert_int_equal(sp_pair_update_key(pair, false), SP_EOPTION);
  assert_int_equal(sp_pair_renegotiate(pair), SP_EOPTION);
  assert_int_equal(sp_pair_request_certificate(pair), SP_EOPTION);
  assert_int_equal(sp_pair_channel_binding(pair, SP_TLS_UNIQUE, room, sizeof room, NULL),
                   SP_EOPTION);
  sp_pair_disable_renegotiation(pair);
  assert_int_equal(sp_pair_staple_status(pair, NULL), SP_STAPLE_NONE);
  assert_int_equal(sp_pair_fingerprint(pair, room, sizeof room), SP_EOPTION);
  assert_int_equal(sp_pair_resume(pair, 0), SP_EOPTION);
  assert_int_equal(sp_pair_use_protocol(pair, "a", 1), SP_EOPTION);
  assert_int_equal(sp_pair_set_hooks(pair, &(sp_hooks_t){.alpn = on_alpn}, NULL), SP_EOPTION);
  assert_true(sp_pair_context(pair) != NULL);
  sp_pair_release_buffers(pair);
}

static void ask_stream(sp_stream_t *stream) {
  char room[300];
  int port;
  assert_int_equal(sp_stream_local(stream, room, sizeof room, &port), 0);
  assert_false(sp_stream_is_secure(stream));
  assert_int_equal(sp_stream_bytes_read(stream) + sp_stream_bytes_written(stream), 0);
  assert_int_equal(sp_stream_try(stream, "x", 1), 0);
  sp_stream_flush(stream);
  sp_stream_pause(stream);
  sp_stream_resume(stream);
  sp_stream_set_timeout(stream, 1000);
}

static void test_facts_meanwhile(void **state) {
  (void)state;
  for (int role = SP_CLIENT; role <= SP_SERVER; role++) {
    held_t held = hold_one((sp_role_t)role, SP_OPTIONS(.port = 0));
    ask_pair(sp_stream_pair(held.stream));
    ask_stream(held.stream);
    some_turns(held.f);
    held.client->react = held.f->react = greet_and_end;
    let_go(&held);
  }
}

/* What is written and ended before the pair is back leaves in order. */
static void test_writes_and_end_meanwhile(void **state) {
  (void)state;
  for (int role = SP_CLIENT; role <= SP_SERVER; role++) {
    held_t held = hold_one((sp_role_t)role, SP_OPTIONS(.port = 0));
    assert_int_equal(sp_stream_send(held.stream, "one", 3), 1);
    assert_int_equal(sp_stream_send(held.stream, "two", 3), 1);
    assert_int_equal(sp_stream_pending(held.stream), 6);
    sp_stream_end(held.stream);
    assert_int_equal(sp_stream_send(held.stream, "three", 5), SP_EENDED);
    some_turns(held.f);
    fixture_t *f = held.f;
    const actor_t *client = held.client;
    uv_sem_post(&now.go);
    fixture_run(f);
    assert_string_equal(client->log, role == SP_CLIENT ? "secure close" : "secure data end close");
    const actor_t *receiver = role == SP_CLIENT ? fixture_served(f, 0) : client;
    assert_int_equal(receiver->received, 6);
    fixture_free(f);
    sp_context_release(held.context);
  }
}

/* The stream is gone when the worker is done with it, and not before. */
static void test_destroy_meanwhile(void **state) {
  (void)state;
  for (int role = SP_CLIENT; role <= SP_SERVER; role++)
    for (int all = 0; all < (role == SP_SERVER ? 2 : 1); all++) {
      held_t held = hold_one((sp_role_t)role, SP_OPTIONS(.port = 0));
      actor_t *client = held.client;
      assert_int_equal(sp_stream_send(held.stream, "never sent", 10), 1);
      CALL(held.f, all ? sp_server_destroy_all(held.f->server) : sp_stream_destroy(held.stream));
      some_turns(held.f);
      if (role == SP_CLIENT)
        assert_string_equal(client->log, "");
      else
        assert_int_equal(sp_server_connections(held.f->server), 1);
      fixture_t *f = held.f;
      uv_sem_post(&now.go);
      fixture_run(f);
      if (role == SP_CLIENT)
        assert_string_equal(client->log, "secure(ECANCELED) close");
      else
        assert_true(client->statuses[ON_SECURE] < 0);
      fixture_free(f);
      sp_context_release(held.context);
    }
}

/* From now on, so that a slow machine gets that far. */
static void let_time_out(sp_stream_t *stream) {
  sp__deadline_set(stream->loop, &stream->deadline, SP__DELAY_HANDSHAKE, 50);
}

/* Time is up: that is told at once, and what the worker brings is dropped. */
static void test_time_out_meanwhile(void **state) {
  (void)state;
  held_t held = hold_one(SP_CLIENT, SP_OPTIONS(.port = 0));
  actor_t *client = held.client;
  let_time_out(held.stream);
  while (!client->counts[ON_SECURE])
    uv_run(&held.f->loop, UV_RUN_ONCE);
  assert_int_equal(client->statuses[ON_SECURE], UV_ETIMEDOUT);
  ask_pair(sp_stream_pair(held.stream));
  let_go(&held);
}

/* The peer goes away, in either way; a reset is told when the pair is back. */
static void check_peer_goes(bool resets) {
  held_t held = hold_one(SP_SERVER, SP_OPTIONS(.port = 0));
  uv_os_fd_t fd;
  const struct linger at_once = {.l_onoff = 1};
  uv_handle_t *io = (uv_handle_t *)sp_stream_transport(held.client->stream);
  assert_int_equal(uv_fileno(io, &fd), 0);
  if (resets)
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
  sp_stream_destroy(held.client->stream);
  some_turns(held.f);
  assert_null(fixture_served(held.f, 0));
  fixture_t *f = held.f;
  uv_sem_post(&now.go);
  fixture_run(f);
  const actor_t *server = fixture_served(f, 0);
  assert_non_null(server);
  if (resets)
    assert_int_equal(server->statuses[ON_SECURE], UV_ECONNRESET);
  else
    assert_true(server->statuses[ON_SECURE] < 0);
  fixture_free(f);
  sp_context_release(held.context);
}

static void test_peer_goes_meanwhile(void **state) {
  (void)state;
  check_peer_goes(false);
  check_peer_goes(true);
}

/* -- the end of the process -------------------------------------------------------------------- */

static void release_worker(void) { uv_sem_post(&now.go); }

/* In a child: the program ends while a worker is in the midst of a handshake, and goes on with it
 * from now on. */
static void leave_meanwhile(sp_role_t role) {
  leaks_ignore();
  (void)alarm(60);
  (void)signal(SIGSEGV, SIG_DFL); /* cmocka's would go on with the next test */
  (void)hold_one(role, SP_OPTIONS(.port = 0));
  if (atexit(release_worker) != 0)
    _exit(2);
  exit(0);
}

static void test_exit_meanwhile(void **state) {
  (void)state;
  for (int i = 0; i < 10; i++) {
    int status;
    pid_t child = fork();
    if (!child)
      leave_meanwhile(i % 2 ? SP_CLIENT : SP_SERVER);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
  }
}

/* A child has none of its parent's threads, and does not wait for what they were at. */
static void test_exit_of_a_child_meanwhile(void **state) {
  (void)state;
  int status;
  held_t held = hold_one(SP_SERVER, SP_OPTIONS(.port = 0));
  pid_t child = fork();
  if (!child)
    leave_meanwhile(SP_SERVER);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  held.client->react = held.f->react = greet_and_end;
  let_go(&held);
}

/* What is done at the end of the process when nobody may work any more, but OpenSSL is still there.
 */
static void (*afterwards)(void);

static void at_last(void) {
  if (afterwards)
    afterwards();
}

static int dial_and_greet(int port);
static int last_port;

static bool is_over(fixture_t *f) { return fixture_served(f, 0) != NULL; }

static void run_server(void *f) {
  fixture_run_until(f, is_over);
  fixture_run(f);
}

/* Whose handshake nobody computes is told so: the connection ends. */
static void greet_too_late(void) {
  struct pollfd wait = {.fd = dial_and_greet(last_port), .events = POLLIN};
  char byte;
  bool ended = poll(&wait, 1, 5000) == 1 && recv(wait.fd, &byte, 1, 0) <= 0;
  _exit(ended ? 0 : 3);
}

/* In a child: a loop on another thread turns on while the program ends. */
static void serve_at_the_end(void) {
  uv_thread_t thread;
  leaks_ignore();
  (void)alarm(60);
  (void)signal(SIGSEGV, SIG_DFL);
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER(WORKERS));
  sp__finale_watch();
  last_port = f->port;
  afterwards = greet_too_late;
  if (uv_thread_create(&thread, run_server, f) != 0)
    _exit(2);
  exit(4); /* unless greet_too_late says better */
}

static void test_handshake_after_the_end(void **state) {
  (void)state;
  int status;
  pid_t child = fork();
  if (!child)
    serve_at_the_end();
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

/* -- how many at once -------------------------------------------------------------------------- */

static void on_wait(uv_work_t *request) { uv_sem_wait(request->data); }
static void on_waited(uv_work_t *request, int status) { (void)request, (void)status; }

/* A client whose first message is on its way; not one of ours, which would look up its host on one
 * of the threads. */
static int dial_and_greet(int port) {
  sp_pair_t *pair;
  const void *bytes;
  assert_int_equal(sp_pair_new(&pair, stage_context(SP_CLIENT, 0), SP_CLIENT, NULL, false, NULL),
                   0);
  size_t n = sp_pair_encrypted_out(pair, &bytes);
  int fd = peer_dial(port);
  assert_int_equal(send(fd, bytes, n, 0), n);
  sp_pair_release(pair);
  return fd;
}

/* While all threads do something else, a pair waits for one; destroyed, it does not wait on. */
static void test_destroy_in_the_queue(void **state) {
  (void)state;
  begin();
  enum { THREADS = 4 }; /* libuv's */
  uv_work_t work[THREADS];
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER(WORKERS));
  for (int i = 0; i < THREADS; i++) {
    work[i].data = &now.go;
    assert_int_equal(uv_queue_work(&f->loop, &work[i], on_wait, on_waited), 0);
  }
  int fd = dial_and_greet(f->port);
  while (sp__list_is_empty(&f->server->streams) ||
         !sp__stream_is_away(SP__OF(f->server->streams.next, sp_stream_t, sibling)))
    uv_run(&f->loop, UV_RUN_ONCE);
  sp_server_destroy_all(f->server);
  while (sp_server_connections(f->server))
    uv_run(&f->loop, UV_RUN_ONCE);
  assert_int_equal(fixture_served(f, 0)->statuses[ON_SECURE], UV_ECANCELED);
  for (int i = 0; i < THREADS; i++)
    uv_sem_post(&now.go);
  fixture_run(f);
  close(fd);
  fixture_free(f);
}

#define CROWD 100

/* R15: of a crowd that comes at once, no more are with workers than may be, and each gets there. */
static void test_R15_a_crowd(void **state) {
  (void)state;
  begin();
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER(WORKERS, .accepts_per_turn = CROWD, .handshake_timeout = -1));
  const sp__loop_t *loop = f->server->loop;
  actor_t *clients[CROWD];
  f->react = greet_and_end;
  for (int i = 0; i < CROWD; i++) {
    clients[i] =
        fixture_connect(f, SP_OPTIONS(.context = stage_context(SP_CLIENT, 0), .host = "127.0.0.1",
                                      .port = f->port, .handshake_timeout = -1));
    clients[i]->react = greet_and_end;
  }
  unsigned most = 0, waited = 0;
  for (int live = CROWD; live;) {
    uv_run(&f->loop, UV_RUN_ONCE);
    most = loop->away > most ? loop->away : most;
    waited += !sp__list_is_empty(&loop->ashore[0]) || !sp__list_is_empty(&loop->ashore[1]);
    live = 0;
    for (int i = 0; i < CROWD; i++)
      live += clients[i]->stream != NULL;
  }
  assert_in_range(most, 1, sp__workers_limit());
  assert_true(waited > 0);
  for (int i = 0; i < CROWD; i++)
    assert_int_equal(clients[i]->statuses[ON_SECURE], 0);
  fixture_run(f);
  fixture_free(f);
}

/* One that waits in the queue is destroyed, another one's time is up. */
static void test_leaving_the_queue(void **state) {
  (void)state;
  unsigned limit = sp__workers_limit();
  held_t held = hold_one(SP_CLIENT, SP_OPTIONS(.port = 0));
  const sp__loop_t *loop = held.f->server->loop;
  actor_t *more[3];
  ((sp__loop_t *)(uintptr_t)loop)->away += limit; /* as if */
  for (int i = 0; i < 3; i++)
    more[i] =
        fixture_connect(held.f, SP_OPTIONS(.context = stage_context(SP_CLIENT, 0),
                                           .host = "127.0.0.1", .port = held.f->port, WORKERS));
  while (sp__list_is_empty(&more[0]->stream->waiting) ||
         sp__list_is_empty(&more[1]->stream->waiting) ||
         sp__list_is_empty(&more[2]->stream->waiting))
    uv_run(&held.f->loop, UV_RUN_ONCE);
  sp_stream_destroy(more[0]->stream);
  let_time_out(more[1]->stream);
  while (!more[1]->counts[ON_CLOSE] || !more[0]->counts[ON_CLOSE])
    uv_run(&held.f->loop, UV_RUN_ONCE);
  assert_string_equal(more[0]->log, "secure(ECANCELED) close");
  assert_string_equal(more[1]->log, "secure(ETIMEDOUT) close");
  assert_string_equal(more[2]->log, "");
  ((sp__loop_t *)(uintptr_t)loop)->away -= limit;
  more[2]->react = held.client->react = greet_and_end;
  uv_sem_post(&now.go);
  fixture_run(held.f);
  assert_int_equal(more[2]->statuses[ON_SECURE], 0);
  fixture_free(held.f);
  sp_context_release(held.context);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hooks_stay_on_the_loop),
      cmocka_unit_test(test_the_engine_works_elsewhere),
      cmocka_unit_test(test_a_key_behind_a_hook_stays),
      cmocka_unit_test(test_the_reason_of_a_failure),
      cmocka_unit_test(test_contexts_by_name),
      cmocka_unit_test(test_other_transports),
      cmocka_unit_test(test_facts_meanwhile),
      cmocka_unit_test(test_writes_and_end_meanwhile),
      cmocka_unit_test(test_destroy_meanwhile),
      cmocka_unit_test(test_time_out_meanwhile),
      cmocka_unit_test(test_peer_goes_meanwhile),
      cmocka_unit_test(test_exit_meanwhile),
      cmocka_unit_test(test_exit_of_a_child_meanwhile),
      cmocka_unit_test(test_handshake_after_the_end),
      cmocka_unit_test(test_destroy_in_the_queue),
      cmocka_unit_test(test_R15_a_crowd),
      cmocka_unit_test(test_leaving_the_queue),
  };
  (void)stage_context(SP_CLIENT, 0); /* at_last runs before OpenSSL's own handler, ... */
  if (atexit(at_last) != 0)          /* ... and after that of what these tests test */
    return 1;
  return cmocka_run_group_tests_name("handshake-workers", tests, NULL, NULL);
}
