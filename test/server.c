/* A server: where it listens, whom it takes and when, and what it does when it cannot. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/allocations.h"
#include "support/flow.h"
#include "support/peer.h"
#include "support/pki.h"
#include "support/syscalls.h"

/* -- a server that counts ---------------------------------------------------------------------- */

typedef struct scene {
  stage_t stage;
  sp_server_t *server;
  size_t secure, failed, drops, closes, closed_streams;
  int failure, drop;
  uint64_t first_failure, last_failure; /* uv_now */
} scene_t;

static void on_stream_close(sp_stream_t *stream) {
  ((scene_t *)sp_stream_data(stream))->closed_streams++;
}

static void on_secure(sp_stream_t *stream, int status) {
  static const sp_stream_events_t events = {.close = on_stream_close};
  scene_t *scene = sp_server_data(sp_stream_server(stream));
  sp_stream_on(stream, &events, scene);
  if (status == 0) {
    scene->secure++;
    assert_int_equal(sp_stream_pipe(stream, stream), 0);
    return;
  }
  scene->failure = status;
  scene->last_failure = uv_now(&scene->stage.uv);
  if (!scene->failed++)
    scene->first_failure = scene->last_failure;
}

static void on_drop(sp_server_t *server, int status) {
  scene_t *scene = sp_server_data(server);
  scene->drops++;
  scene->drop = status;
}

static void on_server_close(sp_server_t *server) {
  scene_t *scene = sp_server_data(server);
  assert_int_equal(scene->closes++, 0);
  assert_int_equal(sp_server_connections(server), 0);
}

static sp_server_t *make_server(scene_t *scene, const sp_options_t *given) {
  sp_error_t why;
  sp_server_t *server;
  sp_options_t options = stage_options(given, SP_SERVER, 0);
  assert_int_equal(sp_server_new(&server, &scene->stage.uv, on_secure, &why, &options), 0);
  sp_server_set_data(server, scene);
  sp_server_on_drop(server, on_drop);
  return server;
}

static scene_t *scene_open(const sp_options_t *options) {
  static scene_t scene;
  memset(&scene, 0, sizeof scene);
  stage_open(&scene.stage);
  scene.server = make_server(&scene, options);
  return &scene;
}

static int scene_listen(scene_t *scene) {
  sp_error_t why;
  assert_int_equal(sp_server_listen(scene->server, "127.0.0.1", 0, &why), 0);
  return sp_server_port(scene->server);
}

static void scene_close(scene_t *scene) {
  assert_int_equal(sp_server_close(scene->server, on_server_close), 0);
  sp_server_destroy_all(scene->server);
  STAGE_UNTIL(&scene->stage, scene->closes);
  assert_int_equal(scene->closed_streams, scene->secure + scene->failed);
  stage_close(&scene->stage);
}

/* -- a good client: must be served, with an echo ----------------------------------------------- */

typedef struct client {
  bool over;
  int status;
  flow_t flow;
} client_t;

static void on_client_secure(sp_stream_t *stream, int status) {
  client_t *client = ((flow_t *)sp_stream_data(stream))->data;
  client->over = true;
  client->status = status;
}

static void connect_client(scene_t *scene, client_t *client, const sp_options_t *given, int port) {
  sp_error_t why;
  sp_stream_t *stream;
  sp_options_t options = stage_options(given, SP_CLIENT, port);
  *client = (client_t){.flow = {.data = NULL}};
  client->flow.data = client;
  assert_int_equal(sp_connect(&stream, &scene->stage.uv, on_client_secure, &why, &options), 0);
  flow_on(&client->flow, NULL, stream, true);
}

static int try_client(scene_t *scene, const sp_options_t *options, int port) {
  client_t client;
  connect_client(scene, &client, options, port);
  STAGE_UNTIL(&scene->stage, client.over);
  if (client.status == 0) {
    flow_send(&client.flow, 1000);
    STAGE_UNTIL(&scene->stage, client.flow.received == 1000);
    sp_stream_end(client.flow.stream);
  }
  STAGE_UNTIL(&scene->stage, client.flow.closes);
  return client.status;
}

static void check_served(scene_t *scene, int port) {
  assert_int_equal(try_client(scene, NULL, port), 0);
}

/* -- where it listens -------------------------------------------------------------------------- */

static void check_address(const sp_server_t *server, const char *text, int port) {
  char room[108];
  int got = -1;
  assert_int_equal(sp_server_address(server, room, sizeof room, &got), 0);
  assert_string_equal(room, text);
  if (port >= 0)
    assert_int_equal(got, port);
  assert_int_equal(sp_server_port(server), got);
}

static void check_listen(const char *host, const char *address, const char *client_host) {
  sp_error_t why;
  scene_t *scene = scene_open(NULL);
  assert_int_equal(sp_server_port(scene->server), 0);
  int status = sp_server_listen(scene->server, host, 0, &why);
  if (status < 0)
    fail_msg("%s", why.text);
  int port = sp_server_port(scene->server);
  assert_in_range(port, 1, 65535);
  check_address(scene->server, address, port);
  assert_int_equal(try_client(scene, SP_OPTIONS(.host = client_host), port), 0);
  scene_close(scene);
}

static bool has_ipv6(void) {
  struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  int fd = socket(AF_INET6, SOCK_STREAM, 0);
  bool has = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
  if (fd >= 0)
    close(fd);
  return has;
}

static void test_listen_on_any_ipv4(void **state) {
  (void)state;
  check_listen(NULL, "0.0.0.0", "127.0.0.1");
  check_listen("0.0.0.0", "0.0.0.0", "localhost");
  check_listen("127.0.0.1", "127.0.0.1", "127.0.0.1");
}

static void test_listen_on_ipv6(void **state) {
  (void)state;
  if (!has_ipv6())
    skip();
  check_listen("::1", "::1", "::1");
  check_listen("::", "::", "::1");
  check_listen("::", "::", "127.0.0.1"); /* takes IPv4 too */
}

static void test_listen_on_a_name(void **state) {
  (void)state;
  sp_error_t why;
  scene_t *scene = scene_open(NULL);
  assert_int_equal(sp_server_listen(scene->server, "localhost", 0, &why), 0);
  assert_int_equal(
      try_client(scene, SP_OPTIONS(.host = "localhost"), sp_server_port(scene->server)), 0);
  scene_close(scene);
}

static void test_ipv6_only(void **state) {
  (void)state;
  sp_error_t why;
  if (!has_ipv6())
    skip();
  scene_t *scene = scene_open(SP_OPTIONS(.ipv6_only = SP_YES));
  assert_int_equal(sp_server_listen(scene->server, "::", 0, &why), 0);
  int port = sp_server_port(scene->server);
  assert_int_equal(try_client(scene, SP_OPTIONS(.host = "::1"), port), 0);
  assert_int_equal(try_client(scene, SP_OPTIONS(.host = "127.0.0.1"), port), UV_ECONNREFUSED);
  scene_close(scene);
}

static void test_listen_on_a_path(void **state) {
  (void)state;
  sp_error_t why;
  struct stat facts;
  const char *path = pki_path("server.sock");
  scene_t *scene = scene_open(NULL);
  assert_int_equal(sp_server_listen_path(scene->server, path, &why), 0);
  check_address(scene->server, path, 0);
  const sp_options_t *options = SP_OPTIONS(.path = path, .server_name = "localhost");
  assert_int_equal(try_client(scene, options, 0), 0);
  /* a second one there is refused, and does not take the first one's away */
  sp_server_t *second = make_server(scene, NULL);
  assert_int_equal(sp_server_listen_path(second, path, &why), UV_EADDRINUSE);
  assert_int_equal(why.who, SP_US);
  assert_non_null(strstr(why.text, path));
  assert_int_equal(sp_server_close(second, NULL), 0);
  stage_turn(&scene->stage);
  assert_int_equal(stat(path, &facts), 0);
  assert_int_equal(try_client(scene, options, 0), 0);
  assert_int_equal(sp_server_listen_path(scene->server, path, &why), SP_EOPTION);
  scene_close(scene);
  assert_int_equal(stat(path, &facts), -1);
  assert_int_equal(errno, ENOENT);
}

static void test_paths_that_are_none(void **state) {
  (void)state;
  sp_error_t why;
  char path[200];
  scene_t *scene = scene_open(NULL);
  memset(path, 'x', sizeof path);
  path[sizeof path - 1] = '\0';
  assert_int_equal(sp_server_listen_path(scene->server, path, &why), UV_ENAMETOOLONG);
  assert_int_equal(sp_server_listen_path(scene->server, "", &why), UV_ENAMETOOLONG);
  assert_true(sp_server_listen_path(scene->server, "/no/such/folder/socket", &why) < 0);
  assert_non_null(strstr(why.text, "/no/such/folder/socket"));
  scene_listen(scene); /* and still may listen elsewhere */
  scene_close(scene);
}

static int bound_socket(int *port) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t size = sizeof at;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
  *port = ntohs(at.sin_port);
  return fd;
}

static void test_listen_on_a_descriptor(void **state) {
  (void)state;
  sp_error_t why;
  int port;
  scene_t *scene = scene_open(NULL);
  int fd = bound_socket(&port);
  assert_int_equal(sp_server_fd(scene->server), -1);
  assert_int_equal(sp_server_listen_fd(scene->server, fd, &why), 0);
  assert_int_equal(sp_server_fd(scene->server), fd);
  check_address(scene->server, "127.0.0.1", port);
  check_served(scene, port);
  scene_close(scene); /* closes the descriptor too: the stage counts */
}

static void test_descriptors_that_are_none(void **state) {
  (void)state;
  sp_error_t why;
  scene_t *scene = scene_open(NULL);
  assert_true(sp_server_listen_fd(scene->server, -1, &why) < 0);
  assert_true(sp_server_listen_fd(scene->server, 9999, &why) < 0);
  int file = open("/dev/null", O_RDONLY);
  assert_true(sp_server_listen_fd(scene->server, file, &why) < 0);
  close(file);
  scene_listen(scene);
  scene_close(scene);
}

static void test_reuse_port(void **state) {
  (void)state;
  sp_error_t why;
  const sp_options_t *options = SP_OPTIONS(.reuse_port = SP_YES);
  scene_t *scene = scene_open(options);
  int port = scene_listen(scene);
  sp_server_t *second = make_server(scene, options), *third = make_server(scene, NULL);
  assert_int_equal(sp_server_listen(second, "127.0.0.1", port, &why), 0);
  assert_int_equal(sp_server_listen(third, "127.0.0.1", port, &why), UV_EADDRINUSE);
  assert_int_equal(sp_server_port(second), port);
  for (int i = 0; i < 8; i++)
    check_served(scene, port);
  assert_int_equal(scene->secure, 8);
  sp_server_close(second, NULL);
  sp_server_close(third, NULL);
  scene_close(scene);
}

static void test_port_in_use_then_another(void **state) {
  (void)state;
  sp_error_t why;
  scene_t *scene = scene_open(NULL);
  int port = scene_listen(scene);
  sp_server_t *second = make_server(scene, NULL);
  assert_int_equal(sp_server_listen(second, "127.0.0.1", port, &why), UV_EADDRINUSE);
  assert_int_equal(why.status, UV_EADDRINUSE);
  assert_non_null(strstr(why.text, "127.0.0.1"));
  assert_int_equal(sp_server_port(second), 0);
  assert_int_equal(sp_server_listen(second, "127.0.0.1", 0, &why), 0);
  check_served(scene, sp_server_port(second));
  sp_server_close(second, NULL);
  scene_close(scene);
}

static void test_misuse(void **state) {
  (void)state;
  sp_error_t why;
  char room[108];
  scene_t *scene = scene_open(NULL);
  assert_int_equal(sp_server_listen(scene->server, NULL, -1, &why), SP_EOPTION);
  assert_int_equal(sp_server_listen(scene->server, NULL, 65536, &why), SP_EOPTION);
  assert_non_null(strstr(why.text, "65536"));
  assert_int_equal(sp_server_listen(scene->server, "192.0.2.1", 0, NULL), UV_EADDRNOTAVAIL);
  assert_true(sp_server_address(scene->server, room, sizeof room, NULL) < 0);
  scene_listen(scene);
  assert_int_equal(sp_server_listen(scene->server, NULL, 0, &why), SP_EOPTION);
  assert_true(sp_server_address(scene->server, room, 3, NULL) < 0);
  scene_close(scene);
}

/* -- closing: C08 ------------------------------------------------------------------------------ */

static void test_close_without_listening(void **state) {
  (void)state;
  sp_error_t why;
  scene_t *scene = scene_open(NULL);
  assert_int_equal(sp_server_close(scene->server, on_server_close), 0);
  assert_int_equal(sp_server_close(scene->server, on_server_close), UV_EALREADY);
  assert_int_equal(sp_server_listen(scene->server, NULL, 0, &why), SP_EOPTION);
  assert_int_equal(scene->closes, 0); /* not from inside the call */
  STAGE_UNTIL(&scene->stage, scene->closes);
  stage_close(&scene->stage);
}

static void test_close_with_connections(void **state) {
  (void)state;
  client_t secure;
  scene_t *scene = scene_open(NULL);
  int port = scene_listen(scene);
  connect_client(scene, &secure, NULL, port);
  STAGE_UNTIL(&scene->stage, secure.over && scene->secure);
  int mute = peer_dial(port); /* never begins its handshake */
  STAGE_UNTIL(&scene->stage, sp_server_connections(scene->server) == 2);
  assert_int_equal(sp_server_close(scene->server, on_server_close), 0);
  /* no newcomers, but those that are there live on */
  assert_int_equal(try_client(scene, NULL, port), UV_ECONNREFUSED);
  flow_send(&secure.flow, 5000);
  STAGE_UNTIL(&scene->stage, secure.flow.received == 5000);
  sp_stream_end(secure.flow.stream);
  STAGE_UNTIL(&scene->stage, sp_server_connections(scene->server) == 1 && secure.flow.closes);
  assert_int_equal(scene->closes, 0);
  close(mute);
  STAGE_UNTIL(&scene->stage, scene->closes);
  assert_int_equal(scene->failure, SP_EEARLYCLOSE);
  stage_close(&scene->stage);
}

static void test_destroy_all(void **state) {
  (void)state;
  client_t clients[10];
  int mute[10];
  scene_t *scene = scene_open(NULL);
  int port = scene_listen(scene);
  for (int i = 0; i < 10; i++) {
    connect_client(scene, &clients[i], NULL, port);
    mute[i] = peer_dial(port);
  }
  STAGE_UNTIL(&scene->stage, scene->secure == 10 && sp_server_connections(scene->server) == 20);
  sp_server_destroy_all(scene->server);
  STAGE_UNTIL(&scene->stage, !sp_server_connections(scene->server));
  assert_int_equal(scene->failed, 10);
  assert_int_equal(scene->failure, UV_ECANCELED);
  for (int i = 0; i < 10; i++) {
    STAGE_UNTIL(&scene->stage, clients[i].flow.closes);
    close(mute[i]);
  }
  check_served(scene, port);
  scene_close(scene);
}

/* -- R05 maximum ------------------------------------------------------------------------------- */

static void test_maximum(void **state) {
  (void)state;
  client_t held[2];
  scene_t *scene = scene_open(SP_OPTIONS(.max_connections = 2));
  int port = scene_listen(scene);
  assert_int_equal(sp_server_max_connections(scene->server), 2);
  for (int i = 0; i < 2; i++)
    connect_client(scene, &held[i], NULL, port);
  STAGE_UNTIL(&scene->stage, scene->secure == 2 && held[0].over && held[1].over);
  for (int i = 0; i < 2; i++) { /* tickets have to be taken in, too */
    flow_send(&held[i].flow, 1000);
    STAGE_UNTIL(&scene->stage, held[i].flow.received == 1000);
  }
  size_t openssls = allocations_made(OPENSSLS), dropped = 0;
  for (int round = 0; round < 40; round++) {
    int storm[50];
    for (int i = 0; i < 50; i++)
      storm[i] = peer_dial(port);
    dropped += 50;
    while (scene->drops < dropped) {
      stage_turn(&scene->stage);
      assert_int_equal(sp_server_connections(scene->server), 2);
    }
    for (int i = 0; i < 50; i++)
      close(storm[i]);
  }
  assert_int_equal(scene->drops, dropped);
  assert_int_equal(scene->drop, UV_ECONNREFUSED);
  assert_int_equal(allocations_made(OPENSSLS), openssls); /* nothing of TLS was made */
  flow_send(&held[0].flow, 1000);
  STAGE_UNTIL(&scene->stage, held[0].flow.received == 2000);
  sp_server_set_max_connections(scene->server, 3);
  check_served(scene, port);
  sp_stream_destroy(held[0].flow.stream);
  sp_stream_destroy(held[1].flow.stream);
  STAGE_UNTIL(&scene->stage, !sp_server_connections(scene->server));
  scene_close(scene);
}

/* The count is exact after cycles of all kinds. */
static void test_count_after_cycles(void **state) {
  (void)state;
  scene_t *scene = scene_open(SP_OPTIONS(.max_connections = 5));
  int port = scene_listen(scene);
  for (int i = 0; i < 300; i++) {
    int fds[8];
    for (int k = 0; k < 8; k++) {
      fds[k] = peer_dial(port);
      if (k % 3 == 0)
        assert_int_equal(write(fds[k], "GET / HTTP/1.0\r\n\r\n", 18), 18);
    }
    while (sp_server_connections(scene->server) + scene->drops + scene->closed_streams <
           (size_t)(i + 1) * 8) {
      stage_turn(&scene->stage);
      assert_in_range(sp_server_connections(scene->server), 0, 5);
    }
    for (int k = 0; k < 8; k++)
      close(fds[k]);
    STAGE_UNTIL(&scene->stage, !sp_server_connections(scene->server));
  }
  check_served(scene, port);
  STAGE_UNTIL(&scene->stage, !sp_server_connections(scene->server));
  scene_close(scene);
}

/* -- R01 slow clients -------------------------------------------------------------------------- */

#define SLOW 1000
#define SLOW_END 4000 /* milliseconds, in which also a busy machine serves one good client */
#define TOGETHER 200  /* that dial before the server is given time to accept */

typedef struct slow {
  int fds[SLOW];
  uint8_t at;
} slow_t;

static void on_slow(uv_timer_t *timer) {
  static const uint8_t hello[] = {22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3};
  slow_t *slow = timer->data;
  uint8_t byte = slow->at < sizeof hello ? hello[slow->at] : 0;
  for (int i = 0; i < SLOW; i++)
    (void)!send(slow->fds[i], &byte, 1, MSG_NOSIGNAL);
  slow->at++;
}

/* An alert perhaps, then the end. */
static bool is_ended(int fd) {
  char room[100];
  ssize_t n;
  while ((n = recv(fd, room, sizeof room, MSG_DONTWAIT)) > 0)
    ;
  return n == 0 || errno == ECONNRESET;
}

/* Both ends of all of them. */
static bool can_have_descriptors(rlim_t n) {
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_max < n)
    return false;
  if (limit.rlim_cur < n)
    limit.rlim_cur = n;
  return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static void dial_slowly(slow_t *slow, scene_t *scene, int port) {
  for (int i = 0; i < SLOW; i++) {
    slow->fds[i] = peer_dial(port);
    if (i % TOGETHER == TOGETHER - 1)
      STAGE_UNTIL(&scene->stage, sp_server_connections(scene->server) > (size_t)i);
  }
}

static void check_slow_clients(sp_choice_t workers) {
  static slow_t slow;
  uv_timer_t timer;
  slow.at = 0;
  scene_t *scene =
      scene_open(SP_OPTIONS(.handshake_timeout = SLOW_END, .handshake_workers = workers));
  int port = scene_listen(scene);
  uv_update_time(&scene->stage.uv);
  uint64_t start = uv_now(&scene->stage.uv);
  dial_slowly(&slow, scene, port);
  uv_timer_init(&scene->stage.uv, &timer);
  timer.data = &slow;
  uv_timer_start(&timer, on_slow, 0, 100);
  STAGE_UNTIL(&scene->stage, slow.at >= 3);
  check_served(scene, port); /* meanwhile */
  STAGE_UNTIL(&scene->stage, scene->failed == SLOW);
  uv_close((uv_handle_t *)&timer, NULL);
  assert_int_equal(scene->failure, UV_ETIMEDOUT);
  /* from accept: bytes that came meanwhile, up to the end, did not put it off */
  assert_in_range(scene->first_failure - start, SLOW_END - 1, 20000);
  for (int i = 0; i < SLOW; i++) {
    STAGE_UNTIL(&scene->stage, is_ended(slow.fds[i]));
    close(slow.fds[i]);
  }
  STAGE_UNTIL(&scene->stage, !sp_server_connections(scene->server));
  scene_close(scene);
}

static void test_R01_slow_clients(void **state) {
  (void)state;
  if (!can_have_descriptors(2 * SLOW + 100)) {
    skip();
    return;
  }
  check_slow_clients(SP_NO);
  check_slow_clients(SP_YES);
}

/* -- R15 budgets ------------------------------------------------------------------------------- */

#define CROWD 200

/* What a client says first. */
static size_t make_hello(uint8_t *room, size_t size) {
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  SSL *ssl = SSL_new(ctx);
  BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl, in, out);
  assert_int_equal(SSL_connect(ssl), -1);
  int n = BIO_read(out, room, (int)size);
  assert_true(n > 0);
  SSL_free(ssl);
  SSL_CTX_free(ctx);
  return (size_t)n;
}

static size_t count_answered(const int *fds) {
  size_t count = 0;
  for (int i = 0; i < CROWD; i++) {
    int n = 0;
    (void)ioctl(fds[i], FIONREAD, &n);
    count += n > 0;
  }
  return count;
}

/* All of them, as far as they sent it: a piece that is no whole record waits for nobody's turn. */
static void take_first_pieces(scene_t *scene, uint64_t bytes) {
  sp_server_counters_t counts = {.size = sizeof counts};
  while (counts.encrypted_in < bytes) {
    stage_turn(&scene->stage);
    assert_int_equal(sp_server_counters(scene->server, &counts), 0);
    assert_int_equal(counts.waiting, 0);
  }
}

/* With the first message in two pieces, of which the first has `cut` bytes. */
static void check_budgets(size_t cut) {
  uint8_t hello[2000];
  int fds[CROWD];
  client_t client;
  sp_server_counters_t counts = {.size = sizeof counts};
  scene_t *scene = scene_open(SP_OPTIONS(.accepts_per_turn = 8, .handshakes_per_turn = 4));
  int port = scene_listen(scene);
  size_t n = make_hello(hello, sizeof hello), answered = 0;
  connect_client(scene, &client, NULL, port);
  STAGE_UNTIL(&scene->stage, client.over && scene->secure);
  assert_int_equal(sp_server_counters(scene->server, &counts), 0);
  for (int i = 0; i < CROWD; i++) {
    fds[i] = peer_dial(port);
    assert_int_equal(send(fds[i], hello, cut, 0), cut);
  }
  take_first_pieces(scene, counts.encrypted_in + CROWD * cut);
  for (int i = 0; i < CROWD; i++)
    assert_int_equal(send(fds[i], hello + cut, n - cut, 0), n - cut);
  for (size_t echoes = 0; answered < CROWD;) {
    size_t connections = sp_server_connections(scene->server);
    if (client.flow.received == client.flow.sent) {
      if (echoes++ == 1) /* the first one came back long before the crowd was served */
        assert_in_range(answered, 0, CROWD / 4);
      flow_send(&client.flow, 100);
    }
    stage_turn(&scene->stage);
    size_t now = count_answered(fds);
    assert_in_range(sp_server_connections(scene->server) - connections, 0, 9);
    assert_in_range(now - answered, 0, 8); /* at a turn's end and in the next one's middle */
    answered = now;
    if (answered == CROWD)
      assert_true(echoes > 3); /* it was served all the time */
  }
  for (int i = 0; i < CROWD; i++)
    close(fds[i]);
  sp_stream_end(client.flow.stream);
  STAGE_UNTIL(&scene->stage, client.flow.closes && !sp_server_connections(scene->server));
  check_served(scene, port);
  scene_close(scene);
}

static void test_budgets(void **state) {
  (void)state;
  check_budgets(0);
}

/* Nobody gets around them by a byte that is sent ahead; nor takes turns with it. */
static void test_budgets_with_pieces(void **state) {
  (void)state;
  check_budgets(1);
  check_budgets(20);
}

/* -- R03 no more descriptors ------------------------------------------------------------------- */

static void on_time(uv_timer_t *timer) { *(bool *)timer->data = true; }

static void for_a_while(stage_t *stage, uint64_t milliseconds) {
  uv_timer_t timer;
  bool over = false;
  uv_timer_init(&stage->uv, &timer);
  timer.data = &over;
  uv_timer_start(&timer, on_time, milliseconds, 0);
  STAGE_UNTIL(stage, over);
  uv_close((uv_handle_t *)&timer, NULL);
  uv_run(&stage->uv, UV_RUN_NOWAIT);
}

#define CALLERS 20

static void check_descriptors(unsigned spare) {
  struct rlimit before, less;
  int fds[CALLERS];
  scene_t *scene = scene_open(NULL);
  int port = scene_listen(scene);
  check_served(scene, port);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  for (int i = 0; i < CALLERS; i++)
    fds[i] = peer_dial(port);
  int next = open("/dev/null", O_RDONLY);
  close(next);
  less = before;
  less.rlim_cur = (rlim_t)next + spare; /* so many more can be opened */
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
  size_t accepts = syscalls_made(CALL_ACCEPT), waits = syscalls_made(CALL_EPOLL_WAIT);
  for_a_while(&scene->stage, 110);
  accepts = syscalls_made(CALL_ACCEPT) - accepts;
  waits = syscalls_made(CALL_EPOLL_WAIT) - waits;
  size_t drops = scene->drops;
  int drop = scene->drop;
  print_message("%u spare descriptors, %d clients: %zu accepts, %zu turns, %zu drops\n", spare,
                CALLERS, accepts, waits, drops);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_in_range(accepts, 1, 3 * CALLERS);
  assert_in_range(waits, 1, 6 * CALLERS);
  assert_in_range(drops, 1, 2 * CALLERS);
  assert_int_equal(drop, UV_EMFILE);
  for (int i = 0; i < CALLERS; i++)
    close(fds[i]);
  check_served(scene, port);
  STAGE_UNTIL(&scene->stage, !sp_server_connections(scene->server));
  scene_close(scene);
}

static void test_no_more_descriptors(void **state) {
  (void)state;
  for (unsigned spare = 0; spare <= 10; spare++)
    check_descriptors(spare);
}

/* -- R04 accept fails otherwise ---------------------------------------------------------------- */

static int accept_error;
static size_t accept_failures;

static int fail_accept(syscall_name_t name, int fd) {
  (void)fd;
  if (name != CALL_ACCEPT || !accept_failures)
    return 0;
  accept_failures--;
  return -accept_error;
}

static void check_accept_fails(int error, size_t times, bool is_dropped) {
  scene_t *scene = scene_open(NULL);
  int port = scene_listen(scene);
  accept_error = error;
  accept_failures = times;
  syscalls_set_fault(fail_accept);
  check_served(scene, port);
  syscalls_set_fault(NULL);
  assert_int_equal(accept_failures, 0);
  if (is_dropped) {
    assert_in_range(scene->drops, 1, times);
    assert_int_equal(scene->drop, -error);
  } else {
    assert_int_equal(scene->drops, 0);
  }
  scene_close(scene);
}

static void test_accept_fails_sometimes(void **state) {
  (void)state;
  check_accept_fails(ECONNABORTED, 3, false);
  check_accept_fails(ENFILE, 1, true);
  check_accept_fails(ENOBUFS, 1, true);
  check_accept_fails(ENOMEM, 1, true);
  check_accept_fails(EINTR, 3, false);
  check_accept_fails(EMFILE, 1, true);
  check_accept_fails(EPERM, 1, true); /* a firewall's word */
}

/* For as long as accept fails there is other work to do. */
static void check_accept_fails_on(int error) {
  scene_t *scene = scene_open(NULL);
  client_t client;
  int port = scene_listen(scene);
  connect_client(scene, &client, NULL, port);
  STAGE_UNTIL(&scene->stage, client.over && scene->secure);
  accept_error = error;
  accept_failures = 100000;
  syscalls_set_fault(fail_accept);
  int caller = peer_dial(port);
  for_a_while(&scene->stage, 50);
  flow_send(&client.flow, 1000);
  STAGE_UNTIL(&scene->stage, client.flow.received == 1000);
  for_a_while(&scene->stage, 100);
  size_t failures = 100000 - accept_failures;
  accept_failures = 0;
  syscalls_set_fault(NULL);
  print_message("accept fails with %s: %zu times in all\n", uv_err_name(-error), failures);
  assert_in_range(failures, 1, 100);
  close(caller);
  check_served(scene, port);
  sp_stream_end(client.flow.stream);
  STAGE_UNTIL(&scene->stage, client.flow.closes);
  scene_close(scene);
}

static void test_accept_fails_on_and_on(void **state) {
  (void)state;
  check_accept_fails_on(EMFILE);
  check_accept_fails_on(ENFILE);
  check_accept_fails_on(ENOBUFS);
  check_accept_fails_on(ENOMEM);
}

int main(void) {
  allocations_watch();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_listen_on_any_ipv4),
      cmocka_unit_test(test_listen_on_ipv6),
      cmocka_unit_test(test_listen_on_a_name),
      cmocka_unit_test(test_ipv6_only),
      cmocka_unit_test(test_listen_on_a_path),
      cmocka_unit_test(test_paths_that_are_none),
      cmocka_unit_test(test_listen_on_a_descriptor),
      cmocka_unit_test(test_descriptors_that_are_none),
      cmocka_unit_test(test_reuse_port),
      cmocka_unit_test(test_port_in_use_then_another),
      cmocka_unit_test(test_misuse),
      cmocka_unit_test(test_close_without_listening),
      cmocka_unit_test(test_close_with_connections),
      cmocka_unit_test(test_destroy_all),
      cmocka_unit_test(test_maximum),
      cmocka_unit_test(test_count_after_cycles),
      cmocka_unit_test(test_R01_slow_clients),
      cmocka_unit_test(test_budgets),
      cmocka_unit_test(test_budgets_with_pieces),
      cmocka_unit_test(test_no_more_descriptors),
      cmocka_unit_test(test_accept_fails_sometimes),
      cmocka_unit_test(test_accept_fails_on_and_on),
  };
  return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
