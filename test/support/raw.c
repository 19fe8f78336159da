#include "support/raw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool are_done(fixture_t *f) {
  const raws_t *raws = f->data;
  for (size_t i = 0; i < f->count; i++)
    if (f->actors[i]->stream)
      return false;
  return !raws->open && (!f->server || !sp_server_connections(f->server));
}

void raws_begin(raws_t *raws, fixture_t *fixture) {
  *raws = (raws_t){.fixture = fixture};
  fixture->data = raws;
  fixture->done = are_done;
}

static raw_t *raw_new(raws_t *raws, void (*on_open)(raw_t *raw), void *data) {
  raw_t *raw = calloc(1, sizeof *raw);
  assert_non_null(raw);
  raw->raws = raws;
  raw->on_open = on_open;
  raw->data = data;
  raw->next = raws->first;
  raws->first = raw;
  raws->count++;
  raws->open++;
  assert_int_equal(uv_tcp_init(&raws->fixture->loop, &raw->tcp), 0);
  raw->tcp.data = raw->connect.data = raw;
  return raw;
}

static void on_closed(uv_handle_t *handle) {
  raw_t *raw = handle->data;
  raw->closed = true;
  raw->raws->open--;
}

static void over(raw_t *raw, int how) {
  if (!raw->over)
    raw->over = how;
  if (!uv_is_closing((uv_handle_t *)&raw->tcp))
    uv_close((uv_handle_t *)&raw->tcp, on_closed);
}

static void give_room(uv_handle_t *handle, size_t wish, uv_buf_t *buffer) {
  raw_t *raw = handle->data;
  static char elsewhere[65536];
  (void)wish;
  if (raw->got_size < sizeof raw->got)
    *buffer =
        uv_buf_init((char *)raw->got + raw->got_size, (unsigned)(sizeof raw->got - raw->got_size));
  else
    *buffer = uv_buf_init(elsewhere, sizeof elsewhere);
}

static void on_read(uv_stream_t *tcp, ssize_t n, const uv_buf_t *buffer) {
  raw_t *raw = tcp->data;
  if (n < 0) {
    over(raw, (int)n);
    return;
  }
  if (buffer->base == (char *)raw->got + raw->got_size)
    raw->got_size += (size_t)n;
  if (n && raw->on_bytes)
    raw->on_bytes(raw);
}

static void open_up(raw_t *raw) {
  (void)uv_tcp_nodelay(&raw->tcp, 1);
  assert_int_equal(uv_read_start((uv_stream_t *)&raw->tcp, give_room, on_read), 0);
  if (raw->on_open)
    raw->on_open(raw);
}

static void on_connected(uv_connect_t *request, int status) {
  assert_int_equal(status, 0);
  open_up(request->data);
}

raw_t *raw_connect(raws_t *raws, void (*on_open)(raw_t *raw), void *data) {
  struct sockaddr_in address;
  raw_t *raw = raw_new(raws, on_open, data);
  assert_int_equal(uv_ip4_addr("127.0.0.1", raws->fixture->port, &address), 0);
  assert_int_equal(
      uv_tcp_connect(&raw->connect, &raw->tcp, (const struct sockaddr *)&address, on_connected), 0);
  return raw;
}

static void on_connection(uv_stream_t *listener, int status) {
  raws_t *raws = listener->data;
  assert_int_equal(status, 0);
  raw_t *raw = raw_new(raws, raws->on_open, raws->data);
  assert_int_equal(uv_accept(listener, (uv_stream_t *)&raw->tcp), 0);
  open_up(raw);
}

void raw_listen(raws_t *raws, void (*on_open)(raw_t *raw), void *data) {
  struct sockaddr_in address;
  int size = sizeof address;
  raws->on_open = on_open;
  raws->data = data;
  raws->listener.data = raws;
  assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &address), 0);
  assert_int_equal(uv_tcp_init(&raws->fixture->loop, &raws->listener), 0);
  assert_int_equal(uv_tcp_bind(&raws->listener, (const struct sockaddr *)&address, 0), 0);
  assert_int_equal(uv_listen((uv_stream_t *)&raws->listener, 511, on_connection), 0);
  assert_int_equal(uv_tcp_getsockname(&raws->listener, (struct sockaddr *)&address, &size), 0);
  raws->port = ntohs(address.sin_port);
}

void raw_send(raw_t *raw, const void *bytes, size_t n) {
  if (!n || uv_is_closing((uv_handle_t *)&raw->tcp))
    return;
  uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)n);
  int wrote = uv_try_write((uv_stream_t *)&raw->tcp, &buffer, 1);
  if (wrote >= 0)
    assert_int_equal(wrote, n);
  else
    assert_true(wrote == UV_EPIPE || wrote == UV_ECONNRESET);
}

static void on_shut_down(uv_shutdown_t *request, int status) { (void)request, (void)status; }

void raw_fin(raw_t *raw) {
  if (!uv_is_closing((uv_handle_t *)&raw->tcp))
    (void)uv_shutdown(&raw->shutdown, (uv_stream_t *)&raw->tcp, on_shut_down);
}

void raw_reset(raw_t *raw) {
  if (!uv_is_closing((uv_handle_t *)&raw->tcp))
    assert_int_equal(uv_tcp_close_reset(&raw->tcp, on_closed), 0);
}

static void close_listener(raws_t *raws) {
  if (raws->port && !uv_is_closing((uv_handle_t *)&raws->listener))
    uv_close((uv_handle_t *)&raws->listener, NULL);
}

void raws_run(raws_t *raws) {
  fixture_run_until(raws->fixture, are_done);
  close_listener(raws);
  fixture_run(raws->fixture);
}

void raws_free(raws_t *raws) {
  while (raws->first) {
    raw_t *raw = raws->first;
    assert_true(raw->closed);
    raws->first = raw->next;
    free(raw);
  }
}
