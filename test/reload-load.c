/*
 * A16, A13: 10,000 reloads (1,000 without SP_TEST_FULL=1) while clients of OpenSSL, in threads of
 * their own, and of ours handshake with two servers on two threads, which follow one watch: no
 * handshake fails, each client sees one pair of key and certificate whole, nothing is left of what
 * was in force before. To be run under ThreadSanitizer, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/crypto.h>
#include <openssl/ssl.h>

#include "support/contexts.h"
#include "support/peer.h"
#include "support/scene.h"

#define SITES 2
#define PEERS 1   /* threads with clients of OpenSSL */
#define ABREAST 1 /* of our clients */
#define HALF 10   /* each so many reloads are asked for with the key replaced alone */

/* cmocka's assertions jump, which they may not in a thread of ours. */
static void insist(bool condition, const char *what) {
  if (condition)
    return;
  fprintf(stderr, "reload-load: %s\n", what);
  abort();
}

/* -- what is held, by whatever thread ---------------------------------------------------------- */

static atomic_long ours, openssls;

static void *count(void *memory, atomic_long *held) {
  *held += memory != NULL;
  return memory;
}

static void *our_alloc(size_t n) { return count(malloc(n), &ours); }
static void *our_realloc(void *memory, size_t n) {
  void *moved = realloc(memory, n);
  ours += moved && !memory;
  return moved;
}
static void our_free(void *memory) {
  ours -= memory != NULL;
  free(memory);
}

static void *openssl_alloc(size_t n, const char *file, int line) {
  (void)file, (void)line;
  return n ? count(malloc(n), &openssls) : NULL;
}
static void *openssl_realloc(void *memory, size_t n, const char *file, int line) {
  (void)file, (void)line;
  void *moved = realloc(memory, n);
  openssls += moved && !memory;
  return moved;
}
static void openssl_free(void *memory, const char *file, int line) {
  (void)file, (void)line;
  openssls -= memory != NULL;
  free(memory);
}

/* -- servers ----------------------------------------------------------------------------------- */

typedef struct site {
  uv_thread_t thread;
  uv_loop_t loop;
  uv_async_t stop;
  uv_sem_t ready;
  sp_watch_t *watch; /* of another thread's loop */
  sp_server_t *server;
  int port;
  unsigned served;
} site_t;

static site_t sites[SITES];

static void on_served(sp_stream_t *stream, int status) {
  site_t *site = sp_server_data(sp_stream_server(stream));
  insist(status == 0, sp_stream_error(stream)->text);
  site->served++;
  sp_stream_send(stream, "x", 1);
  sp_stream_end(stream);
}

static void on_stop(uv_async_t *async) {
  site_t *site = async->data;
  sp_server_close(site->server, NULL);
  sp_server_destroy_all(site->server);
  uv_close((uv_handle_t *)async, NULL);
}

static void site_run(void *data) {
  site_t *site = data;
  sp_error_t why;
  uv_loop_init(&site->loop);
  uv_async_init(&site->loop, &site->stop, on_stop);
  site->stop.data = site;
  insist(sp_server_new(&site->server, &site->loop, on_served, &why,
                       SP_OPTIONS(.context = sp_watch_context(site->watch))) == 0,
         why.text);
  sp_server_set_data(site->server, site);
  insist(sp_server_follow(site->server, NULL, site->watch) == 0, "follow");
  insist(sp_server_follow(site->server, "named.example", site->watch) == 0, "follow");
  insist(sp_server_listen(site->server, "127.0.0.1", 0, &why) == 0, why.text);
  site->port = sp_server_port(site->server);
  uv_sem_post(&site->ready);
  uv_run(&site->loop, UV_RUN_DEFAULT);
  insist(uv_loop_close(&site->loop) == 0, "something was left on the loop");
}

static void site_start(site_t *site, sp_watch_t *watch) {
  *site = (site_t){.watch = watch};
  uv_sem_init(&site->ready, 0);
  insist(uv_thread_create(&site->thread, site_run, site) == 0, "thread");
  uv_sem_wait(&site->ready);
}

static void site_end(site_t *site) {
  uv_async_send(&site->stop);
  uv_thread_join(&site->thread);
  uv_sem_destroy(&site->ready);
}

/* -- clients of OpenSSL ------------------------------------------------------------------------ */

static atomic_bool is_over; /* whoever is through begins no more */
static atomic_uint seen[2]; /* A, B */

static void see(const char *name) {
  insist(!strcmp(name, "A") || !strcmp(name, "B"), "neither A nor B");
  seen[*name - 'A']++;
}

static void shake_hands(SSL_CTX *ctx, int port, const char *name, int version) {
  char room[64], byte;
  int fd = peer_dial(port);
  SSL *ssl = SSL_new(ctx);
  insist(ssl && SSL_set_fd(ssl, fd) && SSL_set_max_proto_version(ssl, version), "SSL");
  insist(!name || SSL_set_tlsext_host_name(ssl, name), "name");
  insist(SSL_connect(ssl) == 1, "a handshake of OpenSSL's failed");
  insist(SSL_get_verify_result(ssl) == X509_V_OK, "not trusted");
  X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(ssl)), NID_commonName,
                            room, sizeof room);
  see(room);
  insist(SSL_read(ssl, &byte, 1) == 1, "the server's word");
  (void)SSL_shutdown(ssl);
  SSL_free(ssl);
  close(fd);
}

static void run_peer(void *data) {
  SSL_CTX *ctx = data;
  for (int i = 0; !is_over; i++)
    shake_hands(ctx, sites[i % SITES].port, i % 3 ? "named.example" : NULL,
                i % 4 < 2 ? TLS1_3_VERSION : TLS1_2_VERSION);
}

static SSL_CTX *peer_context(void) {
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  insist(ctx && X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), pki_default()->root->x509),
         "SSL_CTX");
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
  return ctx;
}

/* -- clients of ours --------------------------------------------------------------------------- */

static sp_context_t *client_context;
static unsigned live, begun;

static void connect_one(uv_loop_t *loop);

static void on_close(sp_stream_t *stream) {
  uv_loop_t *loop = sp_stream_data(stream);
  live--;
  if (!is_over)
    connect_one(loop);
}

static void on_secure(sp_stream_t *stream, int status) {
  sp_certificate_t *certificate;
  insist(status == 0, sp_stream_error(stream)->text);
  insist(sp_pair_peer_certificate(sp_stream_pair(stream), &certificate) == 0, "certificate");
  see(sp_certificate_subject(certificate) + strlen("CN="));
  sp_certificate_release(certificate);
  sp_stream_end(stream);
}

static void connect_one(uv_loop_t *loop) {
  static const sp_stream_events_t events = {.close = on_close};
  sp_stream_t *stream;
  sp_error_t why;
  insist(sp_connect(&stream, loop, on_secure, &why,
                    SP_OPTIONS(.host = "127.0.0.1", .port = sites[begun++ % SITES].port,
                               .context = client_context, .check_name = SP_NO,
                               .session_cache = SP_NO)) == 0,
         why.text);
  sp_stream_on(stream, &events, loop);
  live++;
}

/* -- reloads ----------------------------------------------------------------------------------- */

typedef struct driver {
  scene_t scene;
  unsigned reloads, goal, mismatches;
  bool waits_for_fault;
} driver_t;

static void reload(driver_t *d) {
  const pki_t *next = d->reloads % 2 ? a : b;
  by_rename("key", next->key_pem);
  d->waits_for_fault = d->reloads % HALF == 0;
  if (!d->waits_for_fault)
    by_rename("cert", next->cert_pem);
  assert_int_equal(sp_watch_check(d->scene.watch), 0);
}

static void on_change(sp_watch_t *watch, int status) {
  driver_t *d = sp_watch_data(watch);
  const pki_t *next = d->reloads % 2 ? a : b;
  if (status < 0) {
    assert_int_equal(status, SP_EMISMATCH);
    assert_true(d->waits_for_fault);
    d->waits_for_fault = false;
    d->mismatches++;
    by_rename("cert", next->cert_pem);
    assert_int_equal(sp_watch_check(watch), 0);
    return;
  }
  assert_false(d->waits_for_fault);
  assert_string_equal(in_force(&d->scene), d->reloads % 2 ? "A" : "B");
  if (++d->reloads < d->goal)
    reload(d);
}

/* Until the goal, with clients all the while; then everybody leaves. */
static void run_until(driver_t *d, unsigned goal) {
  uv_thread_t threads[PEERS];
  SSL_CTX *ctx = peer_context();
  d->goal = goal;
  is_over = false;
  for (int i = 0; i < PEERS; i++)
    insist(uv_thread_create(&threads[i], run_peer, ctx) == 0, "thread");
  for (int i = 0; i < ABREAST; i++)
    connect_one(&d->scene.stage.uv);
  reload(d);
  STAGE_UNTIL(&d->scene.stage, d->reloads == goal);
  is_over = true;
  STAGE_UNTIL(&d->scene.stage, !live);
  for (int i = 0; i < PEERS; i++)
    uv_thread_join(&threads[i]);
  SSL_CTX_free(ctx);
  STAGE_UNTIL(&d->scene.stage, !d->scene.watch->is_looking && !d->scene.watch->is_asked);
}

typedef struct held {
  long ours, openssls;
  int fds;
} held_t;

/* With both servers gone, too: nothing is in between. */
static held_t run_part(driver_t *d, unsigned goal) {
  for (int i = 0; i < SITES; i++)
    site_start(&sites[i], d->scene.watch);
  run_until(d, goal);
  for (int i = 0; i < SITES; i++) {
    insist(sites[i].served > 0, "a server without clients");
    site_end(&sites[i]);
  }
  uv_run(&d->scene.stage.uv, UV_RUN_NOWAIT);
  return (held_t){ours, openssls, stage_count_fds()};
}

static void A16_reloads_under_load(void **state) {
  driver_t d = {.reloads = 0};
  const char *full = getenv("SP_TEST_FULL");
  unsigned all = full && *full == '1' ? 10000 : 1000;
  (void)state;
  scene_open(&d.scene);
  uv_timer_start(&d.scene.stage.watchdog, d.scene.stage.watchdog.timer_cb, 330000, 0);
  put(a, in_place);
  client_context = context_made(SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem)));
  scene_watch(&d.scene, FILES());
  sp_watch_set_data(d.scene.watch, &d);
  d.scene.watch->on_change = on_change;
  held_t before = run_part(&d, all / 10), after = run_part(&d, all);
  print_message("%u reloads, %u with half a pair, %u handshakes with A, %u with B; memory blocks "
                "%ld -> %ld, of OpenSSL %ld -> %ld\n",
                d.reloads, d.mismatches, seen[0], seen[1], before.ours, after.ours, before.openssls,
                after.openssls);
  assert_int_equal(d.reloads, all);
  assert_int_equal(d.mismatches, all / HALF);
  assert_true(seen[0] && seen[1]);
  assert_int_equal(after.ours, before.ours);
  assert_in_range(after.openssls, 0, before.openssls + 32); /* what its threads keep */
  assert_int_equal(after.fds, before.fds);
  sp_watch_set_data(d.scene.watch, &d.scene);
  scene_end(&d.scene);
  sp_context_release(client_context);
}

int main(void) {
  CRYPTO_set_mem_functions(openssl_alloc, openssl_realloc, openssl_free);
  sp_replace_allocator(our_alloc, our_realloc, our_free);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(A16_reloads_under_load),
  };
  return cmocka_run_group_tests_name("reload-load", tests, NULL, NULL);
}
