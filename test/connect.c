/* Connecting: every address of a name, in time; what is refused; and the facts of a connection. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/flow.h"
#include "support/hole.h"
#include "support/pki.h"

/* -- a resolver in the test's hands: it comes before the C library's --------------------------- */

static const char *const *addresses; /* what "many.test" resolves to, in this order */
static uv_sem_t *held_back;          /* waited for before the answer */

static int real_getaddrinfo(const char *node, struct addrinfo **result) {
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
  const struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
  return real(node, NULL, &numeric, result);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
  struct addrinfo **last = result;
  (void)service;
  if (held_back)
    uv_sem_wait(held_back);
  if (strcmp(node, "many.test") != 0)
    return strchr(node, '.') && node[0] >= '0' && node[0] <= '9' ? real_getaddrinfo(node, result)
           : strchr(node, ':')                                   ? real_getaddrinfo(node, result)
                                                                 : EAI_NONAME;
  *result = NULL;
  for (size_t i = 0; addresses[i]; i++) {
    struct addrinfo *one = NULL;
    int status = real_getaddrinfo(addresses[i], &one);
    if (status != 0)
      return status;
    if (hints->ai_family != AF_UNSPEC && hints->ai_family != one->ai_family) {
      freeaddrinfo(one);
      continue;
    }
    *last = one;
    last = &one->ai_next;
  }
  return *result ? 0 : EAI_NONAME;
}

static char tried[16][64]; /* where to, in order */
static size_t tries;

int connect(int fd, const struct sockaddr *to, socklen_t size) {
  if (to->sa_family != AF_UNIX && tries < 16)
    getnameinfo(to, size, tried[tries++], sizeof tried[0], NULL, 0, NI_NUMERICHOST);
  return (int)syscall(SYS_connect, fd, to, size);
}

/* -- one attempt ------------------------------------------------------------------------------- */

typedef struct attempt {
  flow_t flow;
  unsigned told;
  int status;
  sp_error_t error;
} attempt_t;

static void on_secure(sp_stream_t *stream, int status) {
  attempt_t *attempt = ((flow_t *)sp_stream_data(stream))->data;
  assert_int_equal(attempt->told++, 0);
  attempt->status = status;
  attempt->error = *sp_stream_error(stream);
}

static void begin(stage_t *stage, attempt_t *attempt, int port, const sp_options_t *given) {
  sp_error_t why;
  sp_stream_t *stream;
  sp_options_t options = stage_options(given, SP_CLIENT, port);
  memset(attempt, 0, sizeof *attempt);
  attempt->flow.data = attempt;
  tries = 0;
  assert_int_equal(sp_connect(&stream, &stage->uv, on_secure, &why, &options), 0);
  flow_on(&attempt->flow, NULL, stream, true);
  assert_int_equal(attempt->told, 0);
}

static int outcome(stage_t *stage, attempt_t *attempt) {
  STAGE_UNTIL(stage, attempt->told);
  if (attempt->status == 0)
    sp_stream_end(attempt->flow.stream);
  STAGE_UNTIL(stage, attempt->flow.closes);
  assert_int_equal(attempt->flow.errors, 0); /* `error` is for what was secure */
  return attempt->status;
}

/* -- servers ----------------------------------------------------------------------------------- */

static void ignore(sp_stream_t *stream, int status) {
  if (status == 0)
    sp_stream_resume(stream); /* reads and drops */
}

static sp_server_t *serve(stage_t *stage, const char *host, int port) {
  sp_server_t *server;
  sp_error_t why;
  assert_int_equal(sp_server_new(&server, &stage->uv, ignore, &why,
                                 SP_OPTIONS(.context = stage_context(SP_SERVER, 0))),
                   0);
  int status = sp_server_listen(server, host, port, &why);
  if (status < 0)
    fail_msg("%s", why.text);
  return server;
}

static bool has_ipv6(void) {
  struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  int fd = socket(AF_INET6, SOCK_STREAM, 0);
  bool has = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
  if (fd >= 0)
    close(fd);
  return has;
}

/* -- every address ----------------------------------------------------------------------------- */

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define MANY(...) SP_OPTIONS(.host = "many.test", .server_name = "localhost", __VA_ARGS__)

/* The resolver does not know it. */
static void test_localhost(void **state) {
  (void)state;
  static const char *const hosts[] = {"127.0.0.1", "::1"};
  stage_t stage;
  attempt_t attempt;
  stage_open(&stage);
  for (int i = 0; i < (has_ipv6() ? 2 : 1); i++) {
    sp_server_t *server = serve(&stage, hosts[i], 0);
    begin(&stage, &attempt, sp_server_port(server), SP_OPTIONS(.host = "localhost"));
    assert_int_equal(outcome(&stage, &attempt), 0);
    begin(&stage, &attempt, sp_server_port(server), SP_OPTIONS(.host = "LocalHost"));
    assert_int_equal(outcome(&stage, &attempt), 0);
    sp_server_close(server, NULL);
    stage_run(&stage);
  }
  sp_server_t *server = serve(&stage, "LocalHost", 0); /* as when connecting */
  begin(&stage, &attempt, sp_server_port(server), SP_OPTIONS(.host = "localhost", .family = 4));
  assert_int_equal(outcome(&stage, &attempt), 0);
  begin(&stage, &attempt, sp_server_port(server), SP_OPTIONS(.host = "localhost", .family = 6));
  assert_true(outcome(&stage, &attempt) < 0);
  if (has_ipv6())
    assert_string_equal(tried[0], "::1");
  sp_server_close(server, NULL);
  stage_run(&stage);
  stage_close(&stage);
}

static void test_families_take_turns(void **state) {
  (void)state;
  stage_t stage;
  attempt_t attempt;
  if (!has_ipv6())
    skip();
  stage_open(&stage);
  struct sockaddr_in at;
  int fd = hole_bind("127.0.0.1", 0, &at);
  close(fd); /* a port where nobody listens */
  addresses = LIST("::1", "::1", "127.0.0.1", "127.0.0.2", "127.0.0.3");
  begin(&stage, &attempt, ntohs(at.sin_port), MANY(.port = 0));
  assert_int_equal(outcome(&stage, &attempt), UV_ECONNREFUSED);
  assert_int_equal(tries, 5);
  assert_string_equal(tried[0], "::1");
  assert_string_equal(tried[1], "127.0.0.1");
  assert_string_equal(tried[2], "::1");
  assert_string_equal(tried[3], "127.0.0.2");
  assert_string_equal(tried[4], "127.0.0.3");
  begin(&stage, &attempt, ntohs(at.sin_port), MANY(.family = 4));
  assert_int_equal(outcome(&stage, &attempt), UV_ECONNREFUSED);
  assert_int_equal(tries, 3);
  begin(&stage, &attempt, ntohs(at.sin_port), MANY(.family = 6));
  assert_int_equal(outcome(&stage, &attempt), UV_ECONNREFUSED);
  assert_int_equal(tries, 2);
  stage_close(&stage);
}

static void test_first_address_refuses(void **state) {
  (void)state;
  stage_t stage;
  attempt_t attempt;
  stage_open(&stage);
  sp_server_t *server = serve(&stage, "127.0.0.1", 0);
  addresses = LIST("127.0.0.2", "127.0.0.3", "127.0.0.1", "127.0.0.4");
  uint64_t start = uv_hrtime();
  begin(&stage, &attempt, sp_server_port(server), MANY(.port = 0));
  assert_int_equal(outcome(&stage, &attempt), 0);
  assert_int_equal(tries, 3); /* the one after is not needed */
  assert_in_range((uv_hrtime() - start) / 1000000, 0, 5000);
  sp_server_close(server, NULL);
  stage_run(&stage);
  stage_close(&stage);
}

/* RFC 8305 5: a quarter of a second later, not when the first gave up */
static void test_first_address_is_silent(void **state) {
  (void)state;
  stage_t stage;
  attempt_t attempt;
  hole_t hole;
  stage_open(&stage);
  sp_server_t *server = serve(&stage, "127.0.0.1", 0);
  hole_dig(&hole, "127.0.0.3", sp_server_port(server));
  addresses = LIST("127.0.0.3", "127.0.0.1");
  uint64_t start = uv_hrtime();
  begin(&stage, &attempt, sp_server_port(server), MANY(.port = 0));
  assert_int_equal(outcome(&stage, &attempt), 0);
  assert_int_equal(tries, 2);
  assert_in_range((uv_hrtime() - start) / 1000000, 240, 5000);
  hole_fill(&hole);
  sp_server_close(server, NULL);
  stage_run(&stage);
  stage_close(&stage);
}

/* -- no connection ----------------------------------------------------------------------------- */

static void test_connect_timeout(void **state) {
  (void)state;
  stage_t stage;
  attempt_t attempt;
  hole_t hole;
  stage_open(&stage);
  hole_dig(&hole, "127.0.0.3", 0);
  uint64_t start = uv_hrtime();
  begin(&stage, &attempt, hole.port,
        SP_OPTIONS(.host = "127.0.0.3", .connect_timeout = 120, .server_name = "localhost"));
  assert_int_equal(outcome(&stage, &attempt), UV_ETIMEDOUT);
  assert_in_range((uv_hrtime() - start) / 1000000, 100, 5000);
  assert_int_equal(attempt.error.who, SP_TRANSPORT);
  assert_non_null(strstr(attempt.error.text, "no connection in time: 127.0.0.3 port "));
  hole_fill(&hole);
  stage_close(&stage);
}

/* The handshake has a time of its own, from connected on. */
static void test_handshake_timeout(void **state) {
  (void)state;
  stage_t stage;
  attempt_t attempt;
  struct sockaddr_in at;
  stage_open(&stage);
  int mute = hole_bind("127.0.0.1", 0, &at);
  listen(mute, 5);
  begin(&stage, &attempt, ntohs(at.sin_port), SP_OPTIONS(.handshake_timeout = 100));
  assert_int_equal(outcome(&stage, &attempt), UV_ETIMEDOUT);
  assert_non_null(strstr(attempt.error.text, "handshake"));
  close(mute);
  stage_close(&stage);
}

static void test_refused(void **state) {
  (void)state;
  stage_t stage;
  attempt_t attempt;
  struct sockaddr_in at;
  char port[16];
  stage_open(&stage);
  int fd = hole_bind("127.0.0.1", 0, &at); /* bound, not listening */
  begin(&stage, &attempt, ntohs(at.sin_port), NULL);
  assert_int_equal(outcome(&stage, &attempt), UV_ECONNREFUSED);
  snprintf(port, sizeof port, "%d", ntohs(at.sin_port));
  assert_non_null(strstr(attempt.error.text, "127.0.0.1"));
  assert_non_null(strstr(attempt.error.text, port));
  assert_non_null(strstr(attempt.error.text, "refused"));
  assert_int_equal(attempt.error.who, SP_TRANSPORT);
  close(fd);
  stage_close(&stage);
}

static void test_name_not_found(void **state) {
  (void)state;
  stage_t stage;
  attempt_t attempt;
  stage_open(&stage);
  begin(&stage, &attempt, 443, SP_OPTIONS(.host = "nobody.invalid"));
  assert_int_equal(outcome(&stage, &attempt), UV_EAI_NONAME);
  assert_non_null(strstr(attempt.error.text, "nobody.invalid"));
  stage_close(&stage);
}

static void test_paths(void **state) {
  (void)state;
  stage_t stage;
  attempt_t attempt;
  sp_server_t *server;
  sp_error_t why;
  const char *path = pki_path("connect.sock");
  const sp_options_t *options = SP_OPTIONS(.path = path, .server_name = "localhost");
  stage_open(&stage);
  begin(&stage, &attempt, 0, options);
  assert_int_equal(outcome(&stage, &attempt), UV_ENOENT);
  assert_non_null(strstr(attempt.error.text, path));
  assert_int_equal(sp_server_new(&server, &stage.uv, ignore, &why,
                                 SP_OPTIONS(.context = stage_context(SP_SERVER, 0))),
                   0);
  assert_int_equal(sp_server_listen_path(server, path, &why), 0);
  begin(&stage, &attempt, 0, options);
  assert_int_equal(outcome(&stage, &attempt), 0);
  sp_server_close(server, NULL);
  stage_run(&stage);
  stage_close(&stage);
}

/* -- C05 destroyed on the way ------------------------------------------------------------------ */

static void test_destroy_at_once(void **state) {
  (void)state;
  stage_t stage;
  attempt_t attempt;
  stage_open(&stage);
  begin(&stage, &attempt, 443, NULL);
  sp_stream_destroy(attempt.flow.stream);
  sp_stream_destroy(attempt.flow.stream);
  assert_int_equal(attempt.told, 0);
  assert_int_equal(outcome(&stage, &attempt), UV_ECANCELED);
  stage_close(&stage);
}

static void test_destroy_while_resolving(void **state) {
  (void)state;
  stage_t stage;
  attempt_t attempt;
  uv_sem_t gate;
  uv_sem_init(&gate, 0);
  held_back = &gate;
  stage_open(&stage);
  begin(&stage, &attempt, 443, SP_OPTIONS(.host = "nobody.invalid"));
  uv_run(&stage.uv, UV_RUN_NOWAIT);
  sp_stream_destroy(attempt.flow.stream);
  assert_int_equal(outcome(&stage, &attempt), UV_ECANCELED); /* before the resolver is done */
  uv_sem_post(&gate);
  stage_close(&stage);
  held_back = NULL;
  uv_sem_destroy(&gate);
}

static void test_timeout_while_resolving(void **state) {
  (void)state;
  stage_t stage;
  attempt_t attempt;
  uv_sem_t gate;
  uv_sem_init(&gate, 0);
  held_back = &gate;
  stage_open(&stage);
  begin(&stage, &attempt, 443, SP_OPTIONS(.host = "nobody.invalid", .connect_timeout = 60));
  assert_int_equal(outcome(&stage, &attempt), UV_ETIMEDOUT);
  assert_non_null(strstr(attempt.error.text, "address of nobody.invalid"));
  uv_sem_post(&gate);
  stage_close(&stage);
  held_back = NULL;
  uv_sem_destroy(&gate);
}

static void test_destroy_while_connecting(void **state) {
  (void)state;
  stage_t stage;
  attempt_t attempt;
  hole_t hole;
  stage_open(&stage);
  hole_dig(&hole, "127.0.0.3", 0);
  addresses = LIST("127.0.0.3", "127.0.0.3", "127.0.0.3");
  begin(&stage, &attempt, hole.port, MANY(.port = 0));
  STAGE_UNTIL(&stage, tries == 2); /* two at once by now */
  sp_stream_destroy(attempt.flow.stream);
  assert_int_equal(outcome(&stage, &attempt), UV_ECANCELED);
  hole_fill(&hole);
  stage_close(&stage);
}

/* Sent and ended before there is a connection: it all goes when there is one. */
static void test_write_and_end_early(void **state) {
  (void)state;
  stage_t stage;
  attempt_t attempt;
  stage_open(&stage);
  sp_server_t *server = serve(&stage, "127.0.0.1", 0);
  begin(&stage, &attempt, sp_server_port(server), NULL);
  flow_send(&attempt.flow, 1000);
  sp_stream_end(attempt.flow.stream);
  STAGE_UNTIL(&stage, attempt.told);
  uint64_t wrote = 0;
  while (!attempt.flow.closes) {
    wrote = sp_stream_bytes_written(attempt.flow.stream);
    stage_turn(&stage);
  }
  assert_int_equal(attempt.status, 0);
  assert_int_equal(wrote, 1000);
  sp_server_destroy_all(server);
  sp_server_close(server, NULL);
  stage_run(&stage);
  stage_close(&stage);
}

/* -- settings and facts ------------------------------------------------------------------------ */

static int option_of(const sp_stream_t *stream, int level, int option) {
  uv_os_fd_t fd;
  int value = -1;
  socklen_t size = sizeof value;
  assert_int_equal(uv_fileno((uv_handle_t *)sp_stream_transport(stream), &fd), 0);
  assert_int_equal(getsockopt(fd, level, option, &value, &size), 0);
  return value;
}

static void test_socket_options(void **state) {
  (void)state;
  stage_t stage;
  duo_t duo;
  stage_open(&stage);
  duo_meet(&duo, &stage, SP_OPTIONS(.keep_alive = 77), SP_OPTIONS(.no_delay = SP_NO));
  assert_int_equal(option_of(duo.accepted, IPPROTO_TCP, TCP_NODELAY), 1); /* the default */
  assert_int_equal(option_of(duo.client, IPPROTO_TCP, TCP_NODELAY), 0);
  assert_int_equal(option_of(duo.accepted, SOL_SOCKET, SO_KEEPALIVE), 1);
  assert_int_equal(option_of(duo.accepted, IPPROTO_TCP, TCP_KEEPIDLE), 77);
  assert_int_equal(option_of(duo.client, SOL_SOCKET, SO_KEEPALIVE), 0);
  assert_int_equal(sp_stream_set_no_delay(duo.client, true), 0);
  assert_int_equal(option_of(duo.client, IPPROTO_TCP, TCP_NODELAY), 1);
  assert_int_equal(sp_stream_set_keep_alive(duo.client, 33), 0);
  assert_int_equal(option_of(duo.client, IPPROTO_TCP, TCP_KEEPIDLE), 33);
  assert_int_equal(sp_stream_set_keep_alive(duo.client, 0), 0);
  assert_int_equal(option_of(duo.client, SOL_SOCKET, SO_KEEPALIVE), 0);
  duo_part(&duo);
  stage_close(&stage);
}

static void test_addresses(void **state) {
  (void)state;
  stage_t stage;
  duo_t duo;
  char local[108], remote[108];
  int port, other;
  stage_open(&stage);
  duo_meet(&duo, &stage, NULL, NULL);
  assert_int_equal(sp_stream_local(duo.client, local, sizeof local, &port), 0);
  assert_int_equal(sp_stream_remote(duo.accepted, remote, sizeof remote, &other), 0);
  assert_string_equal(local, "127.0.0.1");
  assert_string_equal(remote, local);
  assert_int_equal(port, other);
  assert_int_equal(sp_stream_remote(duo.client, remote, sizeof remote, &other), 0);
  assert_string_equal(remote, "127.0.0.1");
  assert_int_equal(other, sp_server_port(duo.server));
  assert_int_equal(sp_stream_local(duo.client, local, sizeof local, NULL), 0);
  assert_true(sp_stream_local(duo.client, local, 3, &port) < 0);
  assert_ptr_equal(sp_stream_loop(duo.client), &stage.uv);
  assert_ptr_equal(sp_stream_of(sp_stream_pair(duo.client)), duo.client);
  assert_ptr_equal(sp_stream_server(duo.accepted), duo.server);
  assert_null(sp_stream_server(duo.client));
  assert_true(sp_stream_is_secure(duo.client));
  assert_int_equal(sp_stream_error(duo.client)->status, 0);
  duo_part(&duo);
  stage_close(&stage);
}

static void test_counters(void **state) {
  (void)state;
  stage_t stage;
  duo_t duo;
  flow_t client = {.sent = 0}, server = {.sent = 0};
  stage_open(&stage);
  duo_meet(&duo, &stage, NULL, NULL);
  flow_on(&client, &duo, duo.client, true);
  flow_on(&server, &duo, duo.accepted, true);
  assert_int_equal(sp_stream_bytes_read(duo.client) + sp_stream_bytes_written(duo.client), 0);
  flow_send(&client, 123457);
  flow_send(&server, 1);
  STAGE_UNTIL(&stage, server.received == 123457 && client.received == 1);
  assert_int_equal(sp_stream_bytes_written(duo.client), 123457);
  assert_int_equal(sp_stream_bytes_read(duo.accepted), 123457);
  assert_int_equal(sp_stream_bytes_written(duo.accepted), 1);
  assert_int_equal(sp_stream_bytes_read(duo.client), 1);
  duo_part(&duo);
  stage_close(&stage);
}

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

/* Told once each time that it went quiet; traffic of either direction counts. */
static void test_idle_timeout(void **state) {
  (void)state;
  stage_t stage;
  duo_t duo;
  flow_t client = {.sent = 0}, server = {.sent = 0};
  stage_open(&stage);
  duo_meet(&duo, &stage, SP_OPTIONS(.idle_timeout = 80), NULL);
  flow_on(&client, &duo, duo.client, true);
  flow_on(&server, &duo, duo.accepted, true);
  uv_update_time(&stage.uv);
  uint64_t start = uv_now(&stage.uv);
  STAGE_UNTIL(&stage, server.timeouts);
  assert_in_range(uv_now(&stage.uv) - start, 40, 5000);
  for_a_while(&stage, 120); /* nothing happened since: not told again */
  assert_int_equal(server.timeouts, 1);
  flow_send(&client, 10); /* the stream is open, and traffic arms it anew */
  start = uv_now(&stage.uv);
  STAGE_UNTIL(&stage, server.timeouts == 2);
  assert_in_range(uv_now(&stage.uv) - start, 79, 5000);
  flow_send(&server, 10);
  STAGE_UNTIL(&stage, server.timeouts == 3);
  sp_stream_set_timeout(duo.accepted, 0);
  flow_send(&client, 10);
  for_a_while(&stage, 160);
  assert_int_equal(server.timeouts, 3);
  sp_stream_set_timeout(duo.accepted, 20);
  STAGE_UNTIL(&stage, server.timeouts == 4);
  assert_int_equal(client.timeouts, 0);
  assert_int_equal(server.received, 20);
  duo_part(&duo);
  stage_close(&stage);
}

static void test_ref_and_unref(void **state) {
  (void)state;
  stage_t stage;
  duo_t duo;
  flow_t client = {.sent = 0}, server = {.sent = 0};
  stage_open(&stage);
  duo_meet(&duo, &stage, NULL, NULL);
  flow_on(&client, &duo, duo.client, true);
  flow_on(&server, &duo, duo.accepted, true);
  flow_send(&client, 10);
  STAGE_UNTIL(&stage, server.received == 10);
  sp_stream_unref(duo.client);
  sp_stream_unref(duo.accepted);
  sp_server_unref(duo.server);
  stage_run(&stage); /* returns: nothing holds the loop */
  assert_false(uv_loop_alive(&stage.uv));
  sp_stream_ref(duo.client);
  assert_true(uv_loop_alive(&stage.uv));
  flow_send(&client, 10);
  STAGE_UNTIL(&stage, server.received == 20);
  sp_stream_unref(duo.client);
  sp_server_ref(duo.server);
  assert_true(uv_loop_alive(&stage.uv));
  sp_stream_ref(duo.client);
  sp_stream_ref(duo.accepted);
  duo_part(&duo);
  stage_close(&stage);
}

/* -- A17 options that make no sense ------------------------------------------------------------ */

static void check_option(stage_t *stage, int status, const char *word,
                         const sp_options_t *options) {
  sp_stream_t *stream = NULL;
  sp_error_t why = {.status = 0};
  int got = sp_connect(&stream, &stage->uv, on_secure, &why, options);
  if (got != status)
    fail_msg("%s: %s, not %s", word, sp_error_name(got), sp_error_name(status));
  assert_int_equal(why.status, status);
  if (!strstr(why.text, word))
    fail_msg("\"%s\" is not in \"%s\"", word, why.text);
  assert_int_equal(sp_connect(&stream, &stage->uv, on_secure, NULL, options), status);
}

static void test_options(void **state) {
  (void)state;
  stage_t stage;
  char path[200];
  sp_context_t *context = stage_context(SP_CLIENT, 0);
  memset(path, 'x', sizeof path);
  path[sizeof path - 1] = '\0';
  stage_open(&stage);
#define BAD(status, word, ...)                                                                     \
  check_option(&stage, status, word, SP_OPTIONS(.context = context, __VA_ARGS__))
  BAD(SP_EOPTION, "port", .host = "localhost");
  BAD(SP_EOPTION, "-1", .port = -1);
  BAD(SP_EOPTION, "65536", .port = 65536);
  BAD(SP_EOPTION, "family", .port = 443, .family = 5);
  BAD(SP_EOPTION, "path", .host = "localhost", .path = "/tmp/x");
  BAD(SP_EOPTION, "server_name", .path = "/tmp/x");
  BAD(UV_ENAMETOOLONG, "path", .path = path, .server_name = "localhost");
  BAD(SP_EOPTION, "not a name", .port = 443, .server_name = "not a name");
  BAD(SP_EOPTION, "\"\"", .port = 443, .server_name = "");
  BAD(SP_EOPTION, "\"\"", .port = 443, .host = "");
  check_option(&stage, SP_EVERSION, "version",
               SP_OPTIONS(.port = 443, .min_version = SP_TLS1_3, .max_version = SP_TLS1_2));
  stage_close(&stage);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_localhost),
      cmocka_unit_test(test_families_take_turns),
      cmocka_unit_test(test_first_address_refuses),
      cmocka_unit_test(test_first_address_is_silent),
      cmocka_unit_test(test_connect_timeout),
      cmocka_unit_test(test_handshake_timeout),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_name_not_found),
      cmocka_unit_test(test_paths),
      cmocka_unit_test(test_destroy_at_once),
      cmocka_unit_test(test_destroy_while_resolving),
      cmocka_unit_test(test_timeout_while_resolving),
      cmocka_unit_test(test_destroy_while_connecting),
      cmocka_unit_test(test_write_and_end_early),
      cmocka_unit_test(test_socket_options),
      cmocka_unit_test(test_addresses),
      cmocka_unit_test(test_counters),
      cmocka_unit_test(test_idle_timeout),
      cmocka_unit_test(test_ref_and_unref),
      cmocka_unit_test(test_options),
  };
  return cmocka_run_group_tests_name("connect", tests, NULL, NULL);
}
