/* A stream is connected to a plain server and piped with it, in one call: a proxy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/flow.h"
#include "support/hole.h"

#define MB (1024u * 1024u)

static bool fails_next; /* the library's next allocation */

static void *allocate(size_t size) {
  bool fails = fails_next;
  fails_next = false;
  return fails ? NULL : malloc(size);
}

/* The plain server says back what it hears, and ends when it is ended. */
typedef struct backend {
  uv_tcp_t listener, io;
  uv_shutdown_t shutdown;
  unsigned accepted, closed;
  char room[1 << 16];
} backend_t;

typedef struct proxy {
  stage_t stage;
  duo_t duo;
  flow_t client, server;
  backend_t backend;
  int port; /* of the backend */
} proxy_t;

typedef struct piece {
  uv_write_t request;
  char bytes[];
} piece_t;

static void on_written(uv_write_t *request, int status) {
  (void)status;
  free(request);
}

static void on_closed(uv_handle_t *io) { ((backend_t *)io->data)->closed++; }

static void on_shut_down(uv_shutdown_t *request, int status) {
  (void)status;
  uv_close((uv_handle_t *)request->handle, on_closed);
}

static void on_alloc(uv_handle_t *io, size_t suggested, uv_buf_t *buffer) {
  backend_t *backend = io->data;
  (void)suggested;
  *buffer = uv_buf_init(backend->room, sizeof backend->room);
}

static void on_read(uv_stream_t *io, ssize_t n, const uv_buf_t *buffer) {
  backend_t *backend = io->data;
  if (n == UV_EOF)
    assert_int_equal(uv_shutdown(&backend->shutdown, io, on_shut_down), 0);
  else if (n < 0)
    uv_close((uv_handle_t *)io, on_closed);
  if (n <= 0)
    return;
  piece_t *piece = malloc(sizeof *piece + (size_t)n);
  assert_non_null(piece);
  memcpy(piece->bytes, buffer->base, (size_t)n);
  uv_buf_t all = uv_buf_init(piece->bytes, (unsigned)n);
  assert_int_equal(uv_write(&piece->request, io, &all, 1, on_written), 0);
}

static void on_connection(uv_stream_t *listener, int status) {
  backend_t *backend = listener->data;
  assert_int_equal(status, 0);
  assert_int_equal(uv_tcp_init(listener->loop, &backend->io), 0);
  assert_int_equal(uv_accept(listener, (uv_stream_t *)&backend->io), 0);
  backend->io.data = backend;
  backend->accepted++;
  assert_int_equal(uv_read_start((uv_stream_t *)&backend->io, on_alloc, on_read), 0);
}

static void listen_plainly(proxy_t *proxy) {
  backend_t *backend = &proxy->backend;
  struct sockaddr_in at;
  int size = sizeof at;
  assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &at), 0);
  assert_int_equal(uv_tcp_init(&proxy->stage.uv, &backend->listener), 0);
  assert_int_equal(uv_tcp_bind(&backend->listener, (struct sockaddr *)&at, 0), 0);
  backend->listener.data = backend;
  assert_int_equal(uv_listen((uv_stream_t *)&backend->listener, 8, on_connection), 0);
  assert_int_equal(uv_tcp_getsockname(&backend->listener, (struct sockaddr *)&at, &size), 0);
  proxy->port = ntohs(at.sin_port);
}

static void stop_listening(proxy_t *proxy) {
  uv_close((uv_handle_t *)&proxy->backend.listener, on_closed);
  STAGE_UNTIL(&proxy->stage, proxy->backend.closed == 1 + proxy->backend.accepted);
}

static proxy_t *proxy_open_with(const sp_options_t *options) {
  static proxy_t proxy;
  memset(&proxy, 0, sizeof proxy);
  stage_open(&proxy.stage);
  duo_meet(&proxy.duo, &proxy.stage, options, SP_OPTIONS(.half_open = SP_YES));
  flow_on(&proxy.client, &proxy.duo, proxy.duo.client, true);
  flow_on(&proxy.server, &proxy.duo, proxy.duo.accepted, false);
  listen_plainly(&proxy);
  return &proxy;
}

static proxy_t *proxy_open(void) { return proxy_open_with(NULL); }

static void proxy_close(proxy_t *proxy) {
  duo_part(&proxy->duo);
  assert_int_equal(proxy->client.closes, 1);
  assert_int_equal(proxy->server.closes, 1);
  stage_close(&proxy->stage);
}

static void pass_through(const char *host) {
  proxy_t *proxy = proxy_open();
  assert_int_equal(sp_stream_pipe_to(proxy->server.stream, host, proxy->port), 0);
  proxy->client.end_when_sent = true;
  flow_send(&proxy->client, 2 * MB);
  STAGE_UNTIL(&proxy->stage, proxy->client.closes && proxy->server.closes);
  assert_int_equal(proxy->client.received, 2 * MB);
  assert_int_equal(proxy->client.end_status, 0);
  assert_int_equal(proxy->client.errors + proxy->server.errors, 0);
  assert_int_equal(proxy->backend.accepted, 1);
  stop_listening(proxy);
  proxy_close(proxy);
}

static void test_address(void **state) {
  (void)state;
  pass_through("127.0.0.1");
}

/* Which may have two addresses, and nobody listens at the first. */
static void test_name(void **state) {
  (void)state;
  pass_through("localhost");
}

/* The stream fails and says where; its peer sees no clean end. */
static void check_failure(proxy_t *proxy, const char *host, int status, const char *text) {
  assert_int_equal(sp_stream_pipe_to(proxy->server.stream, host, proxy->port), 0);
  STAGE_UNTIL(&proxy->stage, proxy->server.errors);
  assert_int_equal(proxy->server.error_status, status);
  assert_non_null(strstr(sp_stream_error(proxy->duo.accepted)->text, text));
  STAGE_UNTIL(&proxy->stage, proxy->client.ends || proxy->client.errors);
  if (proxy->client.ends)
    assert_int_equal(proxy->client.end_status, SP_ETRUNCATED);
  proxy_close(proxy);
}

static void test_refused(void **state) {
  (void)state;
  proxy_t *proxy = proxy_open();
  stop_listening(proxy);
  check_failure(proxy, "127.0.0.1", UV_ECONNREFUSED, "cannot connect to 127.0.0.1 port ");
}

/* RFC 6761 6.4: it never has an address. */
static void test_unknown_name(void **state) {
  (void)state;
  proxy_t *proxy = proxy_open();
  stop_listening(proxy);
  assert_int_equal(sp_stream_pipe_to(proxy->server.stream, "there.invalid", proxy->port), 0);
  STAGE_UNTIL(&proxy->stage, proxy->server.errors);
  assert_non_null(strstr(sp_stream_error(proxy->duo.accepted)->text, "there.invalid"));
  proxy_close(proxy);
}

/* The stream's own time for connecting, which is 30 s if it does not say another one. */
static void test_no_answer(void **state) {
  (void)state;
  hole_t hole;
  hole_dig(&hole, "127.0.0.1", 0);
  proxy_t *proxy = proxy_open_with(SP_OPTIONS(.connect_timeout = 60));
  stop_listening(proxy);
  proxy->port = hole.port;
  check_failure(proxy, "127.0.0.1", UV_ETIMEDOUT, "no connection in time: 127.0.0.1 port ");
  hole_fill(&hole);
}

/* Before it is connected, by a number and while a name is looked up. */
static void test_destroyed_meanwhile(void **state) {
  (void)state;
  const char *hosts[] = {"127.0.0.1", "localhost"};
  for (size_t i = 0; i < 2; i++) {
    proxy_t *proxy = proxy_open();
    assert_int_equal(sp_stream_pipe_to(proxy->server.stream, hosts[i], proxy->port), 0);
    sp_stream_destroy(proxy->server.stream);
    STAGE_UNTIL(&proxy->stage, proxy->server.closes);
    assert_int_equal(proxy->server.errors, 0);
    stop_listening(proxy);
    proxy_close(proxy);
  }
}

/* A pipe that was made meanwhile stays, but the program hears that it cannot have both. */
static void test_piped_meanwhile(void **state) {
  (void)state;
  proxy_t *proxy = proxy_open();
  sp_stream_t *server = proxy->server.stream;
  assert_int_equal(sp_stream_pipe_to(server, "127.0.0.1", proxy->port), 0);
  assert_int_equal(sp_stream_pipe(server, server), 0);
  STAGE_UNTIL(&proxy->stage, proxy->server.errors);
  assert_int_equal(proxy->server.error_status, SP_EOPTION);
  while (!proxy->backend.accepted) /* by the kernel it is already */
    stage_turn(&proxy->stage);
  stop_listening(proxy);
  proxy_close(proxy);
}

/* What a child inherited it may drop: the parent's plain connection goes on. It forked itself, too,
 * so that it parts with what is its own. */
static void drop_inherited(proxy_t *proxy) {
  pid_t grandchild;
  (void)alarm(20);
  if (uv_loop_fork(&proxy->stage.uv) != 0 || (grandchild = fork()) < 0)
    _exit(2);
  if (!grandchild)
    _exit(0);
  if (waitpid(grandchild, NULL, 0) != grandchild)
    _exit(3);
  sp_stream_destroy(proxy->server.stream);
  while (!proxy->server.closes)
    (void)uv_run(&proxy->stage.uv, UV_RUN_ONCE);
  _exit(0);
}

static void test_dropped_by_a_child(void **state) {
  (void)state;
  int status;
  proxy_t *proxy = proxy_open();
  assert_int_equal(sp_stream_pipe_to(proxy->server.stream, "127.0.0.1", proxy->port), 0);
  flow_send(&proxy->client, 1000);
  STAGE_UNTIL(&proxy->stage, proxy->client.received == 1000);
  pid_t child = fork();
  if (!child)
    drop_inherited(proxy);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  proxy->client.end_when_sent = true;
  flow_send(&proxy->client, 1000);
  STAGE_UNTIL(&proxy->stage, proxy->client.closes && proxy->server.closes);
  assert_int_equal(proxy->client.received, 2000);
  assert_int_equal(proxy->client.errors + proxy->server.errors, 0);
  stop_listening(proxy);
  proxy_close(proxy);
}

/* Where the pipe cannot begin although the connection is there. */
static void test_no_memory(void **state) {
  (void)state;
  char text[100];
  proxy_t *proxy = proxy_open();
  (void)snprintf(text, sizeof text, "cannot pipe the stream to 127.0.0.1 port %d: ", proxy->port);
  flow_send(&proxy->server, 1); /* and the client has its tickets */
  STAGE_UNTIL(&proxy->stage, proxy->client.received == 1);
  assert_int_equal(sp_stream_pipe_to(proxy->server.stream, "127.0.0.1", proxy->port), 0);
  fails_next = true;
  STAGE_UNTIL(&proxy->stage, proxy->server.errors);
  assert_false(fails_next);
  assert_int_equal(proxy->server.error_status, UV_ENOMEM);
  assert_non_null(strstr(sp_stream_error(proxy->duo.accepted)->text, text));
  while (!proxy->backend.accepted) /* by the kernel it is already */
    stage_turn(&proxy->stage);
  stop_listening(proxy);
  proxy_close(proxy);
}

static void test_misuse(void **state) {
  (void)state;
  proxy_t *proxy = proxy_open();
  sp_stream_t *server = proxy->server.stream, *client = proxy->client.stream;
  assert_int_equal(sp_stream_pipe_to(server, NULL, proxy->port), SP_EOPTION);
  assert_int_equal(sp_stream_pipe_to(server, "127.0.0.1", 0), SP_EOPTION);
  assert_int_equal(sp_stream_pipe_to(server, "127.0.0.1", 65536), SP_EOPTION);
  assert_int_equal(sp_stream_pipe_to(server, "127.0.0.1", proxy->port), 0);
  assert_int_equal(sp_stream_pipe_to(server, "127.0.0.1", proxy->port), SP_EOPTION);
  sp_stream_destroy(client);
  assert_int_equal(sp_stream_pipe_to(client, "127.0.0.1", proxy->port), UV_ECANCELED);
  STAGE_UNTIL(&proxy->stage, proxy->server.closes);
  stop_listening(proxy);
  proxy_close(proxy);
}

int main(void) {
  if (sp_replace_allocator(allocate, realloc, free) != 0)
    return 1;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_address),         cmocka_unit_test(test_name),
      cmocka_unit_test(test_refused),         cmocka_unit_test(test_unknown_name),
      cmocka_unit_test(test_no_answer),       cmocka_unit_test(test_destroyed_meanwhile),
      cmocka_unit_test(test_piped_meanwhile), cmocka_unit_test(test_dropped_by_a_child),
      cmocka_unit_test(test_no_memory),       cmocka_unit_test(test_misuse),
  };
  return cmocka_run_group_tests_name("pipe-to", tests, NULL, NULL);
}
