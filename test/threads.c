/* A13 two loops in two threads share the contexts: a server in each, and clients that cross over,
 * with tickets from either; contexts by name; and contexts that are exchanged meanwhile. Nothing
 * else is shared. To be run under ThreadSanitizer too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/contexts.h"
#include "support/pki.h"
#include "support/stage.h"

#define THREADS 2
#define ROUNDS 40   /* of clients, in each thread */
#define ABREAST 5   /* clients at a time */
#define BYTES 20000 /* of each client's echo */

/* cmocka's assertions jump, which they may not in a thread of ours. */
static void insist(bool condition, const char *what) {
  if (condition)
    return;
  fprintf(stderr, "threads: %s\n", what);
  abort();
}

typedef struct worker {
  uv_thread_t thread;
  uv_loop_t loop;
  uv_timer_t watchdog;
  sp_server_t *server;
  sp_context_t *server_context, *client_context;
  sp_context_t *named, *spare; /* for other.example; takes turns with server_context */
  uint8_t session[8192];       /* the last one of this thread's clients */
  size_t session_size;
  sp_choice_t by_workers;
  unsigned resumed;
  uv_barrier_t *ready, *done;
  _Atomic int port;
  struct worker *other;
  unsigned live, over, rounds;
} worker_t;

typedef struct client {
  worker_t *worker;
  size_t received;
} client_t;

static void on_watchdog(uv_timer_t *timer) {
  (void)timer;
  insist(false, "the watchdog barked: the test hangs");
}

static void on_served(sp_stream_t *stream, int status) {
  insist(status == 0, "a server's handshake failed");
  insist(sp_stream_pipe(stream, stream) == 0, "pipe");
}

static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  client_t *client = sp_stream_data(stream);
  (void)bytes;
  client->received += n;
  if (client->received == BYTES)
    sp_stream_end(stream);
}

static void start_clients(worker_t *worker);

static void on_close(sp_stream_t *stream) {
  client_t *client = sp_stream_data(stream);
  worker_t *worker = client->worker;
  insist(client->received == BYTES, "not everything came back");
  free(client);
  worker->over++;
  if (!--worker->live)
    start_clients(worker);
}

static void on_session(sp_stream_t *stream, const void *bytes, size_t n) {
  worker_t *worker = ((client_t *)sp_stream_data(stream))->worker;
  if (n > sizeof worker->session ||
      strcmp(sp_pair_server_name(sp_stream_pair(stream)), "localhost"))
    return;
  memcpy(worker->session, bytes, n);
  worker->session_size = n;
}

static void on_secure(sp_stream_t *stream, int status) {
  static const uint8_t bytes[BYTES];
  insist(status == 0, sp_stream_error(stream)->text);
  worker_t *worker = ((client_t *)sp_stream_data(stream))->worker;
  worker->resumed += sp_pair_is_resumed(sp_stream_pair(stream));
  insist(sp_stream_send(stream, bytes, sizeof bytes) >= 0, "send");
}

/* Each round, and by both threads: tickets of the one are worth as much with the other. */
static void exchange_context(worker_t *worker) {
  sp_context_t *next = worker->rounds % 2 ? worker->server_context : worker->spare;
  insist(sp_server_set_context(worker->server, next) == 0, "set_context");
  insist(sp_server_add_context(worker->server, "other.example",
                               worker->rounds % 3 ? worker->named : NULL) == 0,
         "remove a name");
  insist(sp_server_add_context(worker->server, "other.example", worker->named) == 0, "add a name");
}

static void start_clients(worker_t *worker) {
  static const sp_stream_events_t events = {
      .data = on_data, .session = on_session, .close = on_close};
  if (!worker->rounds--) {
    uv_stop(&worker->loop);
    return;
  }
  exchange_context(worker);
  for (int i = 0; i < ABREAST; i++) {
    client_t *client = calloc(1, sizeof *client);
    sp_stream_t *stream;
    sp_error_t why;
    client->worker = worker;
    int port = i % 2 ? worker->port : worker->other->port;
    insist(sp_connect(&stream, &worker->loop, on_secure, &why,
                      SP_OPTIONS(.context = worker->client_context, .host = "127.0.0.1",
                                 .port = port, .handshake_workers = worker->by_workers,
                                 .server_name = i ? "localhost" : "other.example",
                                 .session = i ? worker->session : NULL,
                                 .session_size = i ? worker->session_size : 0)) == 0,
           why.text);
    sp_stream_on(stream, &events, client);
    worker->live++;
  }
}

static void open_server(worker_t *worker) {
  sp_error_t why;
  insist(sp_server_new(&worker->server, &worker->loop, on_served, &why,
                       SP_OPTIONS(.context = worker->server_context,
                                  .handshake_workers = worker->by_workers)) == 0,
         why.text);
  insist(sp_server_add_context(worker->server, "other.example", worker->named) == 0, "add a name");
  insist(sp_server_listen(worker->server, "127.0.0.1", 0, &why) == 0, why.text);
  worker->port = sp_server_port(worker->server);
}

/* The loop goes on serving the other thread's clients until both are through. */
static void on_both_done(uv_async_t *async) { uv_close((uv_handle_t *)async, NULL); }

static void wait_for_both(void *data) {
  worker_t **worker_and_async = data;
  uv_barrier_wait(worker_and_async[0]->done);
  uv_async_send((uv_async_t *)(void *)worker_and_async[1]);
}

static void run(void *data) {
  worker_t *worker = data;
  uv_async_t async;
  uv_thread_t waiter;
  void *pair[2] = {worker, &async};
  uv_loop_init(&worker->loop);
  uv_timer_init(&worker->loop, &worker->watchdog);
  uv_timer_start(&worker->watchdog, on_watchdog, 100000, 0);
  uv_unref((uv_handle_t *)&worker->watchdog);
  open_server(worker);
  uv_barrier_wait(worker->ready);
  start_clients(worker);
  uv_run(&worker->loop, UV_RUN_DEFAULT);
  uv_async_init(&worker->loop, &async, on_both_done);
  uv_thread_create(&waiter, wait_for_both, pair);
  while (!uv_is_closing((uv_handle_t *)&async))
    uv_run(&worker->loop, UV_RUN_ONCE);
  uv_thread_join(&waiter);
  sp_server_close(worker->server, NULL);
  sp_server_destroy_all(worker->server);
  uv_close((uv_handle_t *)&worker->watchdog, NULL);
  uv_run(&worker->loop, UV_RUN_DEFAULT);
  insist(uv_loop_close(&worker->loop) == 0, "something was left on the loop");
  sp_context_release(worker->server_context); /* the thread's own references */
  sp_context_release(worker->client_context);
  sp_context_release(worker->named);
  sp_context_release(worker->spare);
}

static sp_context_t *server_of(const pki_t *pki) {
  static const uint8_t keys[48] = {1};
  return context_made(SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem, .ticket_keys = keys,
                                 .ticket_keys_size = sizeof keys));
}

static void share_contexts(sp_choice_t by_workers) {
  worker_t workers[THREADS];
  uv_barrier_t ready, done;
  const pki_set_t *pki = pki_default();
  const pki_t *other = PKI_MAKE(pki->root, .cn = "other", .dns = PKI_LIST("other.example"));
  sp_context_t *server = server_of(pki->server), *spare = server_of(pki->server);
  sp_context_t *named = server_of(other);
  sp_context_t *client = context_made(SP_OPTIONS(.ca = SP_LIST(pki->root->cert_pem)));
  int fds = stage_count_fds();
  uv_barrier_init(&ready, THREADS);
  uv_barrier_init(&done, THREADS);
  for (int i = 0; i < THREADS; i++)
    workers[i] = (worker_t){.ready = &ready,
                            .done = &done,
                            .rounds = ROUNDS,
                            .server_context = sp_context_retain(server),
                            .client_context = sp_context_retain(client),
                            .named = sp_context_retain(named),
                            .spare = sp_context_retain(spare),
                            .by_workers = by_workers,
                            .other = &workers[(i + 1) % THREADS]};
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(uv_thread_create(&workers[i].thread, run, &workers[i]), 0);
  sp_context_release(server); /* while they work */
  sp_context_release(client);
  sp_context_release(named);
  sp_context_release(spare);
  for (int i = 0; i < THREADS; i++)
    uv_thread_join(&workers[i].thread);
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(workers[i].over, ROUNDS * ABREAST);
    assert_in_range(workers[i].resumed, ROUNDS, ROUNDS * ABREAST);
  }
  uv_barrier_destroy(&ready);
  uv_barrier_destroy(&done);
  assert_in_range(stage_count_fds(), fds, fds + 2); /* libuv's own pipe for signals stays */
}

static void test_two_loops_share_contexts(void **state) {
  (void)state;
  share_contexts(SP_NO);
}

/* The same, each handshake on one of libuv's threads, which both loops share. */
static void test_two_loops_share_workers(void **state) {
  (void)state;
  share_contexts(SP_YES);
}

/* Loops come and go in many threads at once: the register of loops is the only thing they share. */
static void on_gone(sp_stream_t *stream, int status) { (void)stream, (void)status; }

static void come_and_go(void *data) {
  (void)data;
  for (int i = 0; i < 50; i++) {
    uv_loop_t loop;
    sp_server_t *server;
    sp_stream_t *stream;
    sp_error_t why;
    uv_loop_init(&loop);
    insist(sp_server_new(&server, &loop, on_gone, &why,
                         SP_OPTIONS(.context = stage_context(SP_SERVER, 0))) == 0,
           why.text);
    insist(sp_server_listen(server, "127.0.0.1", 0, &why) == 0, why.text);
    insist(sp_connect(&stream, &loop, on_gone, &why,
                      SP_OPTIONS(.context = stage_context(SP_CLIENT, 0), .host = "127.0.0.1",
                                 .port = sp_server_port(server))) == 0,
           why.text);
    uv_run(&loop, UV_RUN_ONCE);
    sp_stream_destroy(stream);
    sp_server_close(server, NULL);
    sp_server_destroy_all(server);
    uv_run(&loop, UV_RUN_DEFAULT);
    insist(uv_loop_close(&loop) == 0, "something was left on the loop");
  }
}

static void test_loops_come_and_go(void **state) {
  (void)state;
  uv_thread_t threads[4];
  (void)stage_context(SP_SERVER, 0); /* made here, not in all threads at once */
  (void)stage_context(SP_CLIENT, 0);
  for (int i = 0; i < 4; i++)
    assert_int_equal(uv_thread_create(&threads[i], come_and_go, NULL), 0);
  for (int i = 0; i < 4; i++)
    uv_thread_join(&threads[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_two_loops_share_contexts),
      cmocka_unit_test(test_two_loops_share_workers),
      cmocka_unit_test(test_loops_come_and_go),
  };
  return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
