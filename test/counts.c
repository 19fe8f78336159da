/* Exact counts: allocations, system calls, records, events and bytes held. These do not drift with
 * the machine, so they may be asserted. The peer lives in a thread; only this one is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include <cmocka.h>

#include "stream/stream.h"
#include "support/allocations.h"
#include "support/peer.h"
#include "support/stage.h"
#include "support/syscalls.h"

#define KB 1024u
#define ROUNDS 100u /* of an echo, counted */
#define WARM_UP 10u /* of an echo, before */
#define BULK (1024u * KB)

typedef struct counts {
  size_t allocations[ALLOCATORS], calls[CALLS];
} counts_t;

static counts_t now(void) {
  counts_t counts;
  for (int i = 0; i < ALLOCATORS; i++)
    counts.allocations[i] = allocations_made((allocator_t)i);
  for (int i = 0; i < CALLS; i++)
    counts.calls[i] = syscalls_made((syscall_name_t)i);
  return counts;
}

static counts_t since(const counts_t *before) {
  counts_t counts = now();
  for (int i = 0; i < ALLOCATORS; i++)
    counts.allocations[i] -= before->allocations[i];
  for (int i = 0; i < CALLS; i++)
    counts.calls[i] -= before->calls[i];
  return counts;
}

static void print_head(void) {
  print_message("%-28s %6s %8s %6s |", "", "ours", "OpenSSL", "libuv");
  for (int i = 0; i < CALLS; i++)
    print_message(" %s", syscalls_text((syscall_name_t)i));
  print_message("\n");
}

static void print_row(const char *title, const counts_t *counts, double per) {
  print_message("%-28s %6.4g %8.5g %6.4g |", title, (double)counts->allocations[OURS] / per,
                (double)counts->allocations[OPENSSLS] / per,
                (double)counts->allocations[LIBUVS] / per);
  for (int i = 0; i < CALLS; i++)
    print_message(" %*.4g", (int)strlen(syscalls_text((syscall_name_t)i)),
                  (double)counts->calls[i] / per);
  print_message("\n");
}

/* -- a server or a client of ours, and its peer ------------------------------------------------ */

typedef struct scene {
  stage_t stage;
  peer_t peer;
  sp_server_t *server; /* also without use: it keeps what is made once per loop */
  sp_stream_t *streams[256];
  size_t count, closed, data_events, received;
  sp_stream_events_t events;
  bool is_piped; /* an echo */
} scene_t;

static void on_close(sp_stream_t *stream) {
  scene_t *scene = sp_stream_data(stream);
  scene->closed++;
}

static void on_secure(sp_stream_t *stream, int status) {
  sp_server_t *server = sp_stream_server(stream);
  scene_t *scene = server ? sp_server_data(server) : sp_stream_data(stream);
  assert_int_equal(status, 0);
  scene->streams[scene->count++] = stream;
  sp_stream_on(stream, &scene->events, scene);
  if (scene->is_piped)
    assert_int_equal(sp_stream_pipe(stream, stream), 0);
}

/* `role` is ours. */
static void open_scene(scene_t *scene, sp_role_t role, sp_protocol_t version,
                       void (*play)(peer_t *), void *data, int rounds) {
  sp_error_t why;
  scene->events.close = on_close;
  stage_open(&scene->stage);
  scene->peer = (peer_t){.role = role == SP_SERVER ? SP_CLIENT : SP_SERVER,
                         .version = version,
                         .play = play,
                         .data = data,
                         .rounds = rounds};
  assert_int_equal(sp_server_new(&scene->server, &scene->stage.uv, on_secure, &why,
                                 SP_OPTIONS(.context = stage_context(SP_SERVER, version))),
                   0);
  sp_server_set_data(scene->server, scene);
  if (role == SP_CLIENT)
    return;
  assert_int_equal(sp_server_listen(scene->server, "127.0.0.1", 0, &why), 0);
  scene->peer.port = sp_server_port(scene->server);
}

static void connect_to_peer(scene_t *scene) {
  sp_error_t why;
  sp_stream_t *stream;
  assert_int_equal(
      sp_connect(&stream, &scene->stage.uv, on_secure, &why,
                 SP_OPTIONS(.context = stage_context(SP_CLIENT, scene->peer.version),
                            .host = "127.0.0.1", .port = scene->peer.port, .session_cache = SP_NO)),
      0);
  sp_stream_on(stream, &scene->events, scene);
}

static void close_scene(scene_t *scene) {
  STAGE_UNTIL(&scene->stage, scene->closed == scene->count);
  sp_server_close(scene->server, NULL);
  stage_run(&scene->stage);
  peer_join(&scene->peer);
  stage_close(&scene->stage);
}

/* -- a full handshake -------------------------------------------------------------------------- */

/* The third, so that nothing that is made once is in it: from accept, or connect, to the secure
 * callback. */
static counts_t count_handshake(sp_role_t role, sp_protocol_t version) {
  scene_t scene = {.events = {.data = NULL}};
  counts_t before, counts = {{0}, {0}};
  uv_sem_t gate;
  uv_sem_init(&gate, 0);
  open_scene(&scene, role, version, peer_read_end, NULL, 3);
  scene.peer.gate = &gate;
  peer_start(&scene.peer);
  for (size_t i = 0; i < 3; i++) {
    before = now();
    uv_sem_post(&gate);
    if (role == SP_CLIENT)
      connect_to_peer(&scene);
    STAGE_UNTIL(&scene.stage, scene.count == i + 1);
    counts = since(&before);
    sp_stream_end(scene.streams[i]);
    STAGE_UNTIL(&scene.stage, scene.closed == i + 1);
  }
  close_scene(&scene);
  uv_sem_destroy(&gate);
  return counts;
}

static void check_handshake(const char *title, sp_role_t role, sp_protocol_t version,
                            size_t our_allocations, size_t writes) {
  counts_t counts = count_handshake(role, version);
  print_row(title, &counts, 1);
  assert_int_equal(counts.allocations[OURS], our_allocations);
  assert_int_equal(counts.calls[CALL_WRITE], writes);
  assert_in_range(counts.calls[CALL_EPOLL_CTL], 1, 3);
  assert_in_range(counts.calls[CALL_READ], 2, 6); /* a flight may come in parts */
  if (role == SP_SERVER)
    assert_int_equal(counts.calls[CALL_ACCEPT], 1);
}

/* stream, pair, the uv handle and the last flight, which waits for what the callback writes */
static void test_handshake_of_server_1_3(void **state) {
  (void)state;
  check_handshake("handshake 1.3, server", SP_SERVER, SP_TLS1_3, 4, 2);
}

static void test_handshake_of_server_1_2(void **state) {
  (void)state;
  check_handshake("handshake 1.2, server", SP_SERVER, SP_TLS1_2, 4, 2);
}

/* and the connector with its attempt and addresses, the server's name and place, the first flight
 */
static void test_handshake_of_client_1_3(void **state) {
  (void)state;
  check_handshake("handshake 1.3, client", SP_CLIENT, SP_TLS1_3, 10, 2);
}

static void test_handshake_of_client_1_2(void **state) {
  (void)state;
  check_handshake("handshake 1.2, client", SP_CLIENT, SP_TLS1_2, 9, 2);
}

/* -- an echo of 1 KB --------------------------------------------------------------------------- */

/* What the peer's bare OpenSSL allocates for the same work: in 3.0 40 bytes for each part of a
 * record's header that it writes, four times an echo in TLS 1.3. */
static size_t bare;

static void play_echo(peer_t *peer) {
  char bytes[KB] = {0};
  for (unsigned i = 0; i < WARM_UP + ROUNDS; i++) {
    if (i == WARM_UP)
      bare = allocations_made(OPENSSLS);
    peer_write(peer, bytes, sizeof bytes);
    peer_read(peer, bytes, sizeof bytes);
  }
  bare = allocations_made(OPENSSLS) - bare;
}

static void echo_by_send(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  assert_int_equal(sp_stream_send(stream, bytes, n), 1);
}

static sp_write_t request;

static void echo_by_write(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  static uint8_t copy[KB];
  assert_in_range(n, 1, sizeof copy);
  memcpy(copy, bytes, n);
  assert_int_equal(sp_stream_write(&request, stream, copy, n, NULL), 1);
}

static counts_t count_echo(sp_protocol_t version,
                           void (*on_data)(sp_stream_t *, const uint8_t *, size_t)) {
  scene_t scene = {.events = {.data = on_data}, .is_piped = !on_data};
  open_scene(&scene, SP_SERVER, version, play_echo, NULL, 1);
  peer_start(&scene.peer);
  STAGE_UNTIL(&scene.stage, scene.count);
  STAGE_UNTIL(&scene.stage, sp_stream_bytes_read(scene.streams[0]) >= WARM_UP * KB);
  counts_t before = now();
  STAGE_UNTIL(&scene.stage, sp_stream_bytes_read(scene.streams[0]) >= (WARM_UP + ROUNDS) * KB);
  counts_t counts = since(&before);
  close_scene(&scene);
  return counts;
}

static void check_echo(const char *title, sp_protocol_t version,
                       void (*on_data)(sp_stream_t *, const uint8_t *, size_t)) {
  counts_t counts = count_echo(version, on_data);
  print_row(title, &counts, ROUNDS);
  assert_int_equal(counts.allocations[OURS], 0);
  assert_int_equal(counts.allocations[OPENSSLS], bare);
  assert_in_range(counts.allocations[OPENSSLS], 0, 4 * ROUNDS);
  assert_int_equal(counts.allocations[LIBUVS], 0);
  assert_int_equal(counts.calls[CALL_WRITE], ROUNDS);
  assert_int_equal(counts.calls[CALL_READ], ROUNDS);
  assert_int_equal(counts.calls[CALL_EPOLL_CTL], 0);
}

static void test_echo_by_pipe(void **state) {
  (void)state;
  check_echo("1 KB echo 1.3, pipe", SP_TLS1_3, NULL);
  check_echo("1 KB echo 1.2, pipe", SP_TLS1_2, NULL);
}

static void test_echo_by_send(void **state) {
  (void)state;
  check_echo("1 KB echo 1.3, send", SP_TLS1_3, echo_by_send);
  check_echo("1 KB echo 1.2, send", SP_TLS1_2, echo_by_send);
}

static void test_echo_by_write(void **state) {
  (void)state;
  check_echo("1 KB echo 1.3, write", SP_TLS1_3, echo_by_write);
  check_echo("1 KB echo 1.2, write", SP_TLS1_2, echo_by_write);
}

/* -- 1 MB -------------------------------------------------------------------------------------- */

static void play_bulk(peer_t *peer) {
  static char bytes[BULK];
  peer_write(peer, bytes, sizeof bytes);
  peer_read(peer, bytes, sizeof bytes);
  peer_write(peer, bytes, 1);
}

static void on_bulk(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  scene_t *scene = sp_stream_data(stream);
  (void)bytes;
  scene->data_events++;
  scene->received += n;
}

static void check_bulk(sp_protocol_t version, const char *receiving, const char *sending) {
  static const char bytes[BULK];
  scene_t scene = {.events = {.data = on_bulk}};
  open_scene(&scene, SP_SERVER, version, play_bulk, NULL, 1);
  peer_start(&scene.peer);
  STAGE_UNTIL(&scene.stage, scene.count);
  sp_stream_t *stream = scene.streams[0];
  counts_t before = now();
  scene.data_events = 0;
  STAGE_UNTIL(&scene.stage, scene.received >= BULK);
  counts_t counts = since(&before);
  print_row(receiving, &counts, 1);
  /* not one event or call a record; of allocations OpenSSL's one a record */
  assert_in_range(scene.data_events, 1, counts.calls[CALL_READ]);
  assert_int_equal(counts.allocations[OURS], 0);
  assert_in_range(counts.allocations[OPENSSLS], 0, BULK / 16384 + 2);
  assert_int_equal(counts.allocations[LIBUVS], 0);
  before = now();
  request = (sp_write_t){.data = NULL};
  assert_int_equal(sp_stream_write(&request, stream, bytes, BULK, NULL), 0);
  STAGE_UNTIL(&scene.stage, scene.received > BULK);
  counts = since(&before);
  print_row(sending, &counts, 1);
  /* a slab at a time: 64 KiB a call, and when the socket was full a block and a request */
  assert_in_range(counts.calls[CALL_WRITE], BULK / 65536, 3 * BULK / 65536);
  assert_in_range(counts.allocations[OURS], 0, counts.calls[CALL_WRITE]);
  assert_in_range(counts.allocations[OPENSSLS], 0, 3 * BULK / 16384 + 12);
  close_scene(&scene);
}

static void test_bulk(void **state) {
  (void)state;
  check_bulk(SP_TLS1_3, "1 MB received 1.3", "1 MB sent 1.3");
  check_bulk(SP_TLS1_2, "1 MB received 1.2", "1 MB sent 1.2");
}

/* -- many writes, one call --------------------------------------------------------------------- */

typedef struct burst {
  size_t count, size;    /* of the writes that answer one byte */
  size_t records, bytes; /* that came */
  size_t calls;          /* that it took */
  bool by_write;
} burst_t;

static burst_t burst;

static void count_records(int sending, int version, int type, const void *bytes, size_t n, SSL *ssl,
                          void *data) {
  (void)version, (void)ssl, (void)data, (void)n;
  if (!sending && type == SSL3_RT_HEADER && ((const uint8_t *)bytes)[0] == SSL3_RT_APPLICATION_DATA)
    burst.records++;
}

static void play_burst(peer_t *peer) {
  static char room[256 * KB];
  peer_write(peer, "?", 1);
  SSL_set_msg_callback(peer->ssl, count_records);
  peer_read(peer, room, burst.count * burst.size);
}

/* The write goes out when the callback returns: who counts has to come later still. */
static void on_question(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  static const char text[64 * KB];
  static sp_write_t requests[1000];
  (void)bytes;
  assert_int_equal(n, 1);
  for (size_t i = 0; i < burst.count; i++)
    if (burst.by_write)
      assert_true(sp_stream_write(&requests[i], stream, text, burst.size, NULL) >= 0);
    else
      assert_true(sp_stream_send(stream, text, burst.size) >= 0);
  sp_stream_end(stream);
  burst.calls = syscalls_made(CALL_WRITE);
}

static void check_burst(const burst_t *wanted) {
  for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++) {
    scene_t scene = {.events = {.data = on_question}};
    burst = *wanted;
    burst.records = 0;
    open_scene(&scene, SP_SERVER, (sp_protocol_t)version, play_burst, NULL, 1);
    peer_start(&scene.peer);
    STAGE_UNTIL(&scene.stage, scene.closed == 1);
    size_t calls = syscalls_made(CALL_WRITE) - burst.calls;
    close_scene(&scene);
    print_message("%zu x %zu bytes in one callback, TLS 1.%c: %zu write, %zu records\n",
                  burst.count, burst.size, version == SP_TLS1_2 ? '2' : '3', calls, burst.records);
    assert_in_range(calls, wanted->calls, wanted->calls + (wanted->records > 1));
    /* in TLS 1.3 the ticket looks like data too */
    assert_int_equal(burst.records, wanted->records + (version == SP_TLS1_3));
  }
}

static void test_small_sends_leave_together(void **state) {
  (void)state;
  check_burst(&(burst_t){.count = 100, .size = 100, .calls = 1, .records = 1});
  check_burst(&(burst_t){.count = 1000, .size = 16, .calls = 1, .records = 1});
  check_burst(&(burst_t){.count = 100, .size = 100, .calls = 1, .records = 1, .by_write = true});
}

/* Four records of 16 KiB are larger than a slab by what TLS adds to them; where
 * the question came with the end of the handshake, that goes before them, for itself. */
static void test_send_of_64_kib(void **state) {
  (void)state;
  check_burst(&(burst_t){.count = 1, .size = 64 * KB, .calls = 1, .records = 4});
  check_burst(&(burst_t){.count = 1, .size = 64 * KB, .calls = 1, .records = 4, .by_write = true});
  check_burst(&(burst_t){.count = 4, .size = 16 * KB, .calls = 1, .records = 4});
}

/* -- many records, one event ------------------------------------------------------------------- */

static void play_records(peer_t *peer) {
  char bytes[100] = {0};
  peer_read(peer, bytes, 1); /* not together with the handshake's end */
  for (int i = 0; i < 200; i++)
    peer_write(peer, bytes, sizeof bytes);
  peer_read_end(peer);
}

static int unread(const sp_stream_t *stream) {
  uv_os_fd_t fd;
  int n = 0;
  assert_int_equal(uv_fileno((uv_handle_t *)sp_stream_transport(stream), &fd), 0);
  assert_int_equal(ioctl(fd, FIONREAD, &n), 0);
  return n;
}

static void test_many_records_are_one_event(void **state) {
  (void)state;
  scene_t scene = {.events = {.data = NULL}};
  open_scene(&scene, SP_SERVER, SP_TLS1_3, play_records, NULL, 1);
  peer_start(&scene.peer);
  STAGE_UNTIL(&scene.stage, scene.count);
  assert_int_equal(sp_stream_send(scene.streams[0], "!", 1), 1);
  /* nobody reads yet: all of it has to be in the socket */
  while (unread(scene.streams[0]) < 200 * (100 + 22))
    uv_run(&scene.stage.uv, UV_RUN_NOWAIT);
  scene.events.data = on_bulk;
  size_t reads = syscalls_made(CALL_READ);
  sp_stream_on(scene.streams[0], &scene.events, &scene);
  STAGE_UNTIL(&scene.stage, scene.received == 20000);
  assert_int_equal(scene.data_events, 1);
  assert_int_equal(syscalls_made(CALL_READ) - reads, 1);
  sp_stream_end(scene.streams[0]);
  close_scene(&scene);
}

/* -- an idle connection ------------------------------------------------------------------------ */

#define IDLE 50

/* Keeps its connections until it is told to go. */
static void idle(void *data) {
  peer_t *peer = data;
  uv_sem_t *go = peer->data;
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  SSL *ssl[IDLE];
  char bytes[KB] = {0};
  SSL_CTX_set_max_proto_version(ctx, peer->version);
  for (int i = 0; i < IDLE; i++) {
    size_t got;
    ssl[i] = SSL_new(ctx);
    SSL_set_fd(ssl[i], peer_dial(peer->port));
    if (SSL_connect(ssl[i]) != 1 || SSL_write(ssl[i], bytes, KB) != KB ||
        SSL_read_ex(ssl[i], bytes, KB, &got) != 1)
      abort();
  }
  uv_sem_wait(go);
  for (int i = 0; i < IDLE; i++) {
    SSL_shutdown(ssl[i]);
    close(SSL_get_fd(ssl[i]));
    SSL_free(ssl[i]);
  }
  SSL_CTX_free(ctx);
}

static bool is_echoed(const scene_t *scene) {
  for (size_t i = 0; i < scene->count; i++)
    if (sp_stream_bytes_written(scene->streams[i]) < KB)
      return false;
  return scene->count == IDLE;
}

static void check_idle(sp_protocol_t version) {
  uv_sem_t go;
  scene_t scene = {.is_piped = true};
  uv_sem_init(&go, 0);
  open_scene(&scene, SP_SERVER, version, NULL, &go, 1);
  size_t ours = allocations_held(OURS), openssls = allocations_held(OPENSSLS);
  assert_int_equal(uv_thread_create(&scene.peer.thread, idle, &scene.peer), 0);
  STAGE_UNTIL(&scene.stage, is_echoed(&scene));
  /* quiet for a while, and the record buffers (2 x 16 KB) go by themselves */
  STAGE_UNTIL(&scene.stage, sp__list_is_empty(&scene.streams[0]->loop->warm));
  ours = (allocations_held(OURS) - ours) / IDLE - sizeof(uv_tcp_t);
  openssls = (allocations_held(OPENSSLS) - openssls) / IDLE;
  print_message("idle connection 1.%c: %zu bytes ours, %zu the uv handle, %zu OpenSSL's\n",
                version == SP_TLS1_2 ? '2' : '3', ours, sizeof(uv_tcp_t), openssls);
  assert_in_range(ours, 1, 750);
  assert_in_range(openssls, 1, 20 * KB);
  uv_sem_post(&go);
  close_scene(&scene);
  uv_sem_destroy(&go);
}

static void test_idle_connection(void **state) {
  (void)state;
  check_idle(SP_TLS1_3);
  check_idle(SP_TLS1_2);
}

int main(void) {
  allocations_watch();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_handshake_of_server_1_3),
      cmocka_unit_test(test_handshake_of_server_1_2),
      cmocka_unit_test(test_handshake_of_client_1_3),
      cmocka_unit_test(test_handshake_of_client_1_2),
      cmocka_unit_test(test_echo_by_pipe),
      cmocka_unit_test(test_echo_by_send),
      cmocka_unit_test(test_echo_by_write),
      cmocka_unit_test(test_bulk),
      cmocka_unit_test(test_small_sends_leave_together),
      cmocka_unit_test(test_send_of_64_kib),
      cmocka_unit_test(test_many_records_are_one_event),
      cmocka_unit_test(test_idle_connection),
  };
  print_head();
  return cmocka_run_group_tests_name("counts", tests, NULL, NULL);
}
