/* A pipe between a TLS stream and a plain one: a proxy. 64 MB each way, ends each way, faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "stream/stream.h"
#include "support/allocations.h"
#include "support/flow.h"

#define KB 1024u
#define MB (1024u * KB)
#define BOUND (64 * KB + 64 * KB + 2 * 16 * KB)

/* The far end of the plain side, in the test's hands. */
typedef struct backend {
  uv_tcp_t io;
  uv_write_t request;
  uv_shutdown_t shutdown;
  size_t to_send, sent, received;
  bool writing, ended, closed, shut_down, end_when_sent;
  int read_status;
  uint8_t part[64 * KB], room[64 * KB];
} backend_t;

typedef struct proxy {
  stage_t stage;
  duo_t duo;
  flow_t client, server;
  uv_tcp_t plain;
  backend_t backend;
  bool plain_closed;
  unsigned done;
  int status;
} proxy_t;

static void go_on(backend_t *backend);

static void on_shut_down(uv_shutdown_t *request, int status) {
  (void)status;
  ((backend_t *)request->data)->shut_down = true;
}

static void on_written(uv_write_t *request, int status) {
  backend_t *backend = request->data;
  backend->writing = false;
  if (status == 0)
    go_on(backend);
}

static void go_on(backend_t *backend) {
  size_t left = backend->to_send - backend->sent;
  size_t n = left < sizeof backend->part ? left : sizeof backend->part;
  if (backend->writing)
    return;
  if (!n) {
    backend->shutdown.data = backend;
    if (backend->end_when_sent)
      uv_shutdown(&backend->shutdown, (uv_stream_t *)&backend->io, on_shut_down);
    return;
  }
  flow_fill(backend->sent, backend->part, n);
  uv_buf_t buffer = uv_buf_init((char *)backend->part, (unsigned)n);
  backend->request.data = backend;
  backend->writing = true;
  backend->sent += n;
  assert_int_equal(uv_write(&backend->request, (uv_stream_t *)&backend->io, &buffer, 1, on_written),
                   0);
}

static void backend_send(backend_t *backend, size_t n) {
  backend->to_send += n;
  go_on(backend);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)suggested;
  backend_t *backend = handle->data;
  *buffer = uv_buf_init((char *)backend->room, sizeof backend->room);
}

static void on_read(uv_stream_t *io, ssize_t n, const uv_buf_t *buffer) {
  backend_t *backend = io->data;
  if (n < 0) {
    backend->ended = true;
    backend->read_status = (int)n;
    uv_read_stop(io);
    return;
  }
  flow_check(backend->received, buffer->base, (size_t)n);
  backend->received += (size_t)n;
}

static void backend_read(backend_t *backend) {
  assert_int_equal(uv_read_start((uv_stream_t *)&backend->io, on_alloc, on_read), 0);
}

static void on_backend_closed(uv_handle_t *handle) { ((backend_t *)handle->data)->closed = true; }

static void on_plain_closed(uv_handle_t *handle) {
  proxy_t *proxy = handle->data;
  proxy->plain_closed = true;
}

/* The pipe gives the plain stream back with the data pointer it had. */
static void on_done(uv_stream_t *plain, int status) {
  proxy_t *proxy = plain->data;
  assert_ptr_equal(plain, &proxy->plain);
  assert_int_equal(proxy->done++, 0);
  proxy->status = status;
  uv_close((uv_handle_t *)plain, on_plain_closed);
}

/* Two connected TCP sockets: only these can be reset. */
static void connect_plain(proxy_t *proxy) {
  struct sockaddr_storage at;
  socklen_t size = sizeof at;
  int listener = socket(AF_INET, SOCK_STREAM, 0), near = socket(AF_INET, SOCK_STREAM, 0), far;
  memset(&at, 0, sizeof at);
  at.ss_family = AF_INET;
  assert_int_equal(bind(listener, (struct sockaddr *)&at, size), 0);
  assert_int_equal(listen(listener, 1), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &size), 0);
  assert_int_equal(connect(near, (struct sockaddr *)&at, size), 0);
  assert_true((far = accept(listener, NULL, NULL)) >= 0);
  close(listener);
  uv_tcp_init(&proxy->stage.uv, &proxy->plain);
  uv_tcp_init(&proxy->stage.uv, &proxy->backend.io);
  assert_int_equal(uv_tcp_open(&proxy->plain, near), 0);
  assert_int_equal(uv_tcp_open(&proxy->backend.io, far), 0);
  proxy->plain.data = proxy;
  proxy->backend.io.data = &proxy->backend;
}

/* Without a pipe yet. */
static proxy_t *proxy_meet(const sp_options_t *server, bool with_data) {
  static proxy_t proxy;
  memset(&proxy, 0, sizeof proxy);
  stage_open(&proxy.stage);
  duo_meet(&proxy.duo, &proxy.stage, server, SP_OPTIONS(.half_open = SP_YES));
  flow_on(&proxy.client, &proxy.duo, proxy.duo.client, true);
  flow_on(&proxy.server, &proxy.duo, proxy.duo.accepted, with_data);
  connect_plain(&proxy);
  return &proxy;
}

static int pipe_plain(proxy_t *proxy, int ways) {
  return sp_stream_pipe_plain(proxy->server.stream, (uv_stream_t *)&proxy->plain, ways, on_done);
}

static proxy_t *proxy_open(int ways) {
  proxy_t *proxy = proxy_meet(NULL, false);
  assert_int_equal(pipe_plain(proxy, ways), 0);
  return proxy;
}

static void proxy_close(proxy_t *proxy) {
  if (!proxy->backend.closed && !uv_is_closing((uv_handle_t *)&proxy->backend.io))
    uv_close((uv_handle_t *)&proxy->backend.io, on_backend_closed);
  duo_part(&proxy->duo);
  STAGE_UNTIL(&proxy->stage, proxy->plain_closed && proxy->backend.closed);
  assert_int_equal(proxy->done, 1);
  assert_int_equal(proxy->client.closes, 1);
  assert_int_equal(proxy->server.closes, 1);
  stage_close(&proxy->stage);
}

static void test_both_ways(void **state) {
  (void)state;
  const size_t size = 64 * MB;
  proxy_t *proxy = proxy_open(SP_PIPE_BOTH);
  size_t held = allocations_held(OURS);
  allocations_reset_peak();
  backend_read(&proxy->backend);
  flow_send(&proxy->client, size);
  backend_send(&proxy->backend, size);
  STAGE_UNTIL(&proxy->stage, proxy->backend.received == size && proxy->client.received == size);
  assert_in_range(allocations_peak(OURS) - held, 0, 3 * BOUND);
  assert_int_equal(proxy->done, 0);
  /* FIN to close_notify and close_notify to FIN: all ends well */
  proxy->client.end_when_sent = proxy->backend.end_when_sent = true;
  flow_send(&proxy->client, 0);
  backend_send(&proxy->backend, 0);
  STAGE_UNTIL(&proxy->stage,
              proxy->done && proxy->backend.ended && proxy->client.closes && proxy->server.closes);
  assert_int_equal(proxy->status, 0);
  assert_int_equal(proxy->backend.read_status, UV_EOF);
  assert_int_equal(proxy->client.end_status, 0);
  assert_int_equal(proxy->client.ends, 1);
  assert_int_equal(proxy->client.errors + proxy->server.errors, 0);
  proxy_close(proxy);
}

/* The client ends, and 8 MB still come the other way. */
static void test_client_half_closes(void **state) {
  (void)state;
  proxy_t *proxy = proxy_open(SP_PIPE_BOTH);
  backend_read(&proxy->backend);
  proxy->client.end_when_sent = true;
  flow_send(&proxy->client, 100);
  STAGE_UNTIL(&proxy->stage, proxy->backend.ended);
  assert_int_equal(proxy->backend.read_status, UV_EOF);
  assert_int_equal(proxy->backend.received, 100);
  proxy->backend.end_when_sent = true;
  backend_send(&proxy->backend, 8 * MB);
  STAGE_UNTIL(&proxy->stage, proxy->client.closes && proxy->server.closes);
  assert_int_equal(proxy->client.received, 8 * MB);
  assert_int_equal(proxy->client.end_status, 0);
  assert_int_equal(proxy->status, 0);
  proxy_close(proxy);
}

/* The backend ends, and 8 MB still go there. */
static void test_backend_half_closes(void **state) {
  (void)state;
  proxy_t *proxy = proxy_open(SP_PIPE_BOTH);
  backend_read(&proxy->backend);
  proxy->backend.end_when_sent = true;
  backend_send(&proxy->backend, 100);
  STAGE_UNTIL(&proxy->stage, proxy->client.ends);
  assert_int_equal(proxy->client.received, 100);
  assert_int_equal(proxy->client.end_status, 0);
  proxy->client.end_when_sent = true;
  flow_send(&proxy->client, 8 * MB);
  STAGE_UNTIL(&proxy->stage, proxy->backend.ended && proxy->done);
  assert_int_equal(proxy->backend.received, 8 * MB);
  assert_int_equal(proxy->backend.read_status, UV_EOF);
  assert_int_equal(proxy->status, 0);
  proxy_close(proxy);
}

/* It sees that there was no close_notify, or a reset; being half-open it does not close by itself
 * when it can still write. */
static bool is_cut_off(const flow_t *client) {
  if (client->ends)
    assert_int_equal(client->end_status, SP_ETRUNCATED);
  return client->ends || client->errors;
}

/* C01 a reset of the plain side must not look like a clean end on the TLS side */
static void test_backend_resets(void **state) {
  (void)state;
  proxy_t *proxy = proxy_open(SP_PIPE_BOTH);
  backend_read(&proxy->backend);
  backend_send(&proxy->backend, 100);
  STAGE_UNTIL(&proxy->stage, proxy->client.received == 100);
  uv_tcp_close_reset(&proxy->backend.io, on_backend_closed);
  STAGE_UNTIL(&proxy->stage, proxy->server.closes && is_cut_off(&proxy->client));
  assert_int_equal(proxy->status, UV_ECONNRESET);
  proxy_close(proxy);
}

/* The same while the backend is written to. */
static void test_backend_resets_under_load(void **state) {
  (void)state;
  proxy_t *proxy = proxy_open(SP_PIPE_BOTH);
  flow_send(&proxy->client, 4 * MB); /* nobody reads at the backend */
  backend_send(&proxy->backend, 100);
  STAGE_UNTIL(&proxy->stage, proxy->client.received == 100);
  uv_tcp_close_reset(&proxy->backend.io, on_backend_closed);
  STAGE_UNTIL(&proxy->stage, proxy->server.closes && is_cut_off(&proxy->client));
  assert_in_range(-proxy->status, 1, 4095);
  proxy_close(proxy);
}

/* A truncation on the TLS side ends the pipe with its status, and the plain side is ours again. */
static void test_client_is_cut_off(void **state) {
  (void)state;
  proxy_t *proxy = proxy_open(SP_PIPE_BOTH);
  backend_read(&proxy->backend);
  flow_send(&proxy->client, 100);
  STAGE_UNTIL(&proxy->stage, proxy->backend.received == 100);
  sp_stream_destroy(proxy->client.stream);
  STAGE_UNTIL(&proxy->stage, proxy->server.closes && proxy->done);
  assert_true(proxy->status < 0);
  proxy_close(proxy);
}

static void test_server_stream_is_destroyed(void **state) {
  (void)state;
  proxy_t *proxy = proxy_open(SP_PIPE_BOTH);
  backend_read(&proxy->backend);
  backend_send(&proxy->backend, 4 * MB);
  sp_stream_destroy(proxy->server.stream);
  STAGE_UNTIL(&proxy->stage, proxy->server.closes && is_cut_off(&proxy->client));
  assert_int_equal(proxy->status, UV_ECANCELED);
  proxy_close(proxy);
}

static void on_time(uv_timer_t *timer) { *(bool *)timer->data = true; }

static void for_a_while(stage_t *stage) {
  uv_timer_t timer;
  bool over = false;
  uv_timer_init(&stage->uv, &timer);
  timer.data = &over;
  uv_timer_start(&timer, on_time, 150, 0);
  STAGE_UNTIL(stage, over);
  uv_close((uv_handle_t *)&timer, NULL);
  uv_run(&stage->uv, UV_RUN_NOWAIT);
}

/* R06, R07: a backend that does not read holds the client back */
static void test_slow_backend(void **state) {
  (void)state;
  proxy_t *proxy = proxy_open(SP_PIPE_OUT);
  size_t held = allocations_held(OURS), libuvs = allocations_held(LIBUVS);
  allocations_reset_peak();
  flow_send(&proxy->client, 48 * MB);
  for_a_while(&proxy->stage);
  assert_in_range(proxy->client.sent, 1, 47 * MB);
  assert_in_range(sp_stream_pending(proxy->client.stream), 1, BOUND);
  assert_in_range(allocations_peak(OURS) - held, 0, 2 * BOUND);
  assert_in_range(allocations_peak(LIBUVS) - libuvs, 0, KB);
  backend_read(&proxy->backend);
  STAGE_UNTIL(&proxy->stage, proxy->backend.received == 48 * MB);
  assert_in_range(allocations_peak(OURS) - held, 0, 2 * BOUND);
  proxy_close(proxy);
}

/* ... and a client that does not read the backend */
static void test_slow_client(void **state) {
  (void)state;
  proxy_t *proxy = proxy_open(SP_PIPE_IN);
  sp_stream_pause(proxy->client.stream);
  size_t held = allocations_held(OURS);
  allocations_reset_peak();
  backend_send(&proxy->backend, 48 * MB);
  for_a_while(&proxy->stage);
  assert_in_range(proxy->backend.sent, 1, 47 * MB);
  assert_true(proxy->backend.writing);
  assert_in_range(sp_stream_pending(proxy->server.stream), 1, BOUND);
  assert_in_range(allocations_peak(OURS) - held, 0, BOUND);
  sp_stream_resume(proxy->client.stream);
  STAGE_UNTIL(&proxy->stage, proxy->client.received == 48 * MB);
  assert_in_range(allocations_peak(OURS) - held, 0, BOUND + 80 * KB);
  proxy_close(proxy);
}

/* -- an end that was told before the pipe was there ------------------------------------------- */

static proxy_t *ended_before(bool clean) {
  proxy_t *proxy = proxy_meet(SP_OPTIONS(.half_open = SP_YES), true);
  flow_send(&proxy->server, 100);
  STAGE_UNTIL(&proxy->stage, proxy->client.received == 100); /* nothing unread: no reset */
  if (clean)
    sp_stream_end(proxy->client.stream);
  else
    sp_stream_destroy(proxy->client.stream);
  STAGE_UNTIL(&proxy->stage, proxy->server.ends);
  proxy->backend.sent = proxy->backend.to_send = 100; /* goes on where the server was */
  backend_read(&proxy->backend);
  return proxy;
}

static void test_end_before(void **state) {
  (void)state;
  proxy_t *proxy = ended_before(true);
  assert_int_equal(pipe_plain(proxy, SP_PIPE_BOTH), 0);
  STAGE_UNTIL(&proxy->stage, proxy->backend.ended);
  assert_int_equal(proxy->backend.read_status, UV_EOF);
  assert_int_equal(proxy->done, 0);
  proxy->backend.end_when_sent = true; /* the other way goes on */
  backend_send(&proxy->backend, MB);
  STAGE_UNTIL(&proxy->stage, proxy->client.closes && proxy->server.closes);
  assert_int_equal(proxy->client.received, 100 + MB);
  assert_int_equal(proxy->status, 0);
  proxy_close(proxy);
}

static void test_end_before_one_way(void **state) {
  (void)state;
  proxy_t *proxy = ended_before(true);
  assert_int_equal(pipe_plain(proxy, SP_PIPE_OUT), 0);
  assert_int_equal(proxy->done, 0); /* never within the call */
  STAGE_UNTIL(&proxy->stage, proxy->backend.ended && proxy->done);
  assert_int_equal(proxy->status, 0);
  proxy_close(proxy);
}

static void test_cut_before(void **state) {
  (void)state;
  proxy_t *proxy = ended_before(false);
  assert_int_equal(pipe_plain(proxy, SP_PIPE_OUT), SP_ETRUNCATED);
  assert_ptr_equal(proxy->plain.data, proxy); /* as it was */
  on_done((uv_stream_t *)&proxy->plain, 0);
  proxy_close(proxy);
}

static void on_own_written(uv_write_t *request, int status) {
  assert_int_equal(status, 0);
  *(bool *)request->data = true;
}

/* What the program itself wrote to the plain side, and libuv still has, comes before the end. */
static void test_end_after_own_bytes(void **state) {
  (void)state;
  static uint8_t own[16 * MB];
  proxy_t *proxy = proxy_meet(SP_OPTIONS(.half_open = SP_YES), true);
  uv_stream_t *plain = (uv_stream_t *)&proxy->plain;
  uv_buf_t buffer = uv_buf_init((char *)own, sizeof own);
  bool written = false;
  uv_write_t request = {.data = &written};
  flow_fill(0, own, sizeof own);
  assert_int_equal(uv_write(&request, plain, &buffer, 1, on_own_written), 0);
  assert_in_range(uv_stream_get_write_queue_size(plain), 1, sizeof own);
  assert_int_equal(pipe_plain(proxy, SP_PIPE_OUT), 0);
  sp_stream_end(proxy->client.stream);
  for_a_while(&proxy->stage);
  assert_int_equal(proxy->done, 0);
  assert_false(written);
  backend_read(&proxy->backend);
  STAGE_UNTIL(&proxy->stage, proxy->backend.ended && proxy->done);
  assert_true(written);
  assert_int_equal(proxy->backend.received, sizeof own);
  assert_int_equal(proxy->backend.read_status, UV_EOF);
  assert_int_equal(proxy->status, 0);
  proxy_close(proxy);
}

/* In the `end` event itself the end counts once. */
static void pipe_at_the_end(sp_stream_t *stream, int status) {
  flow_t *flow = sp_stream_data(stream);
  assert_int_equal(status, 0);
  flow->ends++;
  assert_int_equal(pipe_plain(flow->data, SP_PIPE_OUT), 0);
}

static void test_end_meanwhile(void **state) {
  (void)state;
  proxy_t *proxy = proxy_meet(SP_OPTIONS(.half_open = SP_YES), true);
  sp_stream_events_t events = *proxy->server.stream->events;
  events.end = pipe_at_the_end;
  proxy->server.data = proxy;
  sp_stream_on(proxy->server.stream, &events, &proxy->server);
  backend_read(&proxy->backend);
  sp_stream_end(proxy->client.stream);
  STAGE_UNTIL(&proxy->stage, proxy->backend.ended && proxy->done);
  assert_int_equal(proxy->server.ends, 1);
  assert_int_equal(proxy->status, 0);
  proxy_close(proxy);
}

/* Refused: a second pipe, no way or an unknown one. */
static void test_misuse(void **state) {
  (void)state;
  proxy_t *proxy = proxy_open(SP_PIPE_BOTH);
  uv_stream_t *plain = (uv_stream_t *)&proxy->plain;
  sp_stream_t *server = proxy->server.stream, *client = proxy->client.stream;
  assert_int_equal(sp_stream_pipe_plain(server, plain, SP_PIPE_BOTH, NULL), SP_EOPTION);
  assert_int_equal(sp_stream_pipe(server, client), SP_EOPTION);
  assert_int_equal(sp_stream_pipe_plain(client, plain, 0, NULL), SP_EOPTION);
  assert_int_equal(sp_stream_pipe_plain(client, plain, 4, NULL), SP_EOPTION);
  sp_stream_destroy(client);
  assert_int_equal(sp_stream_pipe_plain(client, plain, SP_PIPE_BOTH, NULL), UV_ECANCELED);
  STAGE_UNTIL(&proxy->stage, proxy->server.closes);
  proxy_close(proxy);
}

int main(void) {
  allocations_watch();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_both_ways),
      cmocka_unit_test(test_client_half_closes),
      cmocka_unit_test(test_backend_half_closes),
      cmocka_unit_test(test_backend_resets),
      cmocka_unit_test(test_backend_resets_under_load),
      cmocka_unit_test(test_client_is_cut_off),
      cmocka_unit_test(test_server_stream_is_destroyed),
      cmocka_unit_test(test_slow_backend),
      cmocka_unit_test(test_slow_client),
      cmocka_unit_test(test_end_before),
      cmocka_unit_test(test_end_before_one_way),
      cmocka_unit_test(test_cut_before),
      cmocka_unit_test(test_end_after_own_bytes),
      cmocka_unit_test(test_end_meanwhile),
      cmocka_unit_test(test_misuse),
  };
  return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
