/*
 * sp_stream_adopt: connections that already talk become secure, over every kind of socket; W29:
 * what came in cleartext ahead of the handshake is refused and never delivered; W30: a client whose
 * server does not offer STARTTLS says nothing in the clear.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/couple.h"
#include "support/fixture.h"
#include "support/raw.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define BYTES(text) text, sizeof text - 1

/* -- connections ------------------------------------------------------------------------------- */

typedef enum kind { OVER_TCP, OVER_UNIX, OVER_SOCKETPAIR, KINDS } kind_t;

static void listen_and_connect(int family, const void *address, socklen_t size, int fds[2]) {
  struct sockaddr_storage bound;
  socklen_t bound_size = sizeof bound;
  int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  fds[0] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(listener, address, size), 0);
  assert_int_equal(listen(listener, 1), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&bound, &bound_size), 0);
  assert_int_equal(connect(fds[0], (const struct sockaddr *)&bound, bound_size), 0);
  fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  assert_true(fds[1] >= 0);
  close(listener);
}

static void connect_by(kind_t kind, int fds[2]) {
  struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_un local = {.sun_family = AF_UNIX};
  if (kind == OVER_SOCKETPAIR) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  } else if (kind == OVER_TCP) {
    listen_and_connect(AF_INET, &tcp, sizeof tcp, fds);
  } else {
    (void)snprintf(local.sun_path, sizeof local.sun_path, "%s", pki_path("starttls"));
    listen_and_connect(AF_UNIX, &local, sizeof local, fds);
    (void)unlink(local.sun_path);
  }
}

/* A handle in memory of the test's own, on a descriptor which it then owns. */
static uv_stream_t *handle_on(fixture_t *f, kind_t kind, int fd) {
  uv_stream_t *io = malloc(kind == OVER_TCP ? sizeof(uv_tcp_t) : sizeof(uv_pipe_t));
  assert_non_null(io);
  if (kind == OVER_TCP) {
    assert_int_equal(uv_tcp_init(&f->loop, (uv_tcp_t *)io), 0);
    assert_int_equal(uv_tcp_open((uv_tcp_t *)io, fd), 0);
  } else {
    assert_int_equal(uv_pipe_init(&f->loop, (uv_pipe_t *)io, 0), 0);
    assert_int_equal(uv_pipe_open((uv_pipe_t *)io, fd), 0);
  }
  io->data = f;
  return io;
}

/* -- adopting ---------------------------------------------------------------------------------- */

/* What a stream does; its handle's memory is freed in `close`, as it may be. */
typedef struct part {
  uv_stream_t *io;
  const char *says; /* when it is secure; then it ends if `ends` */
  bool ends;
  char heard[64];
  size_t heard_size;
} part_t;

static void play(actor_t *actor, fixture_event_t event, int status) {
  part_t *part = actor->data;
  if (event == ON_SECURE && status == 0 && part->says)
    assert_true(sp_stream_send(actor->stream, part->says, strlen(part->says)) > 0);
  if (event == ON_SECURE && status == 0 && part->ends)
    sp_stream_end(actor->stream);
  if (event == ON_DATA) {
    assert_true(part->heard_size + actor->n < sizeof part->heard);
    memcpy(part->heard + part->heard_size, actor->bytes, actor->n);
    part->heard_size += actor->n;
  }
  if (event == ON_CLOSE) {
    memset(part->io, 0xee,
           sizeof(uv_pipe_t) < sizeof(uv_tcp_t) ? sizeof(uv_pipe_t) : sizeof(uv_tcp_t));
    free(part->io);
    part->io = NULL;
  }
}

static actor_t *adopt(fixture_t *f, part_t *part, sp_role_t role, const void *already, size_t n) {
  sp_stream_t *stream = NULL;
  sp_error_t why;
  const sp_options_t *options =
      role == SP_SERVER ? SP_OPTIONS(.context = couple_server_context(SP_PROTOCOL_DEFAULT))
                        : SP_OPTIONS(.context = couple_client_context(SP_PROTOCOL_DEFAULT),
                                     .server_name = "localhost");
  int status;
  CALL(f, status = sp_stream_adopt(&stream, part->io, role, already, n, fixture_on_secure, &why,
                                   options));
  if (status < 0)
    fail_msg("adopt: %s", why.text);
  actor_t *actor = fixture_adopt(f, stream, role == SP_SERVER ? "server" : "client");
  actor->react = play;
  actor->data = part;
  assert_ptr_equal(sp_stream_transport(stream), part->io);
  return actor;
}

static void both_ends_over_every_kind_of_socket(void **state) {
  (void)state;
  for (kind_t kind = 0; kind < KINDS; kind++) {
    fixture_t *f = fixture_new();
    int fds[2];
    connect_by(kind, fds);
    part_t one = {.io = handle_on(f, kind, fds[0]), .says = "hello"};
    part_t other = {.io = handle_on(f, kind, fds[1]), .says = "welcome", .ends = true};
    actor_t *client = adopt(f, &one, SP_CLIENT, NULL, 0);
    actor_t *server = adopt(f, &other, SP_SERVER, NULL, 0);
    fixture_run(f);
    assert_string_equal(client->log, "secure data end close");
    assert_non_null(strstr(server->log, "close"));
    assert_string_equal(one.heard, "welcome");
    assert_null(one.io);
    assert_null(other.io);
    fixture_free(f);
  }
}

/* -- bytes already read ------------------------------------------------------------------------ */

/* The client end is adopted and its hello lies in the kernel; answers the bare other end. */
static actor_t *client_that_waits(fixture_t *f, part_t *part, int *fd) {
  int fds[2];
  char byte;
  connect_by(OVER_SOCKETPAIR, fds);
  part->io = handle_on(f, OVER_SOCKETPAIR, fds[0]);
  actor_t *client = adopt(f, part, SP_CLIENT, NULL, 0);
  while (recv(fds[1], &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
    uv_run(&f->loop, UV_RUN_NOWAIT);
  *fd = fds[1];
  return client;
}

/* n bytes of the hello were read ahead, the rest was not. Answers the hello's size. */
static size_t try_read_ahead(size_t n) {
  fixture_t *f = fixture_new();
  part_t one = {.says = "hello"}, other = {.says = "welcome", .ends = true};
  int fd;
  char hello[2000];
  actor_t *client = client_that_waits(f, &one, &fd);
  ssize_t size = recv(fd, hello, sizeof hello, MSG_PEEK | MSG_DONTWAIT);
  assert_true(size > 100);
  if (n > (size_t)size)
    n = (size_t)size;
  if (n)
    assert_int_equal(recv(fd, hello, n, 0), n);
  other.io = handle_on(f, OVER_SOCKETPAIR, fd);
  char *already = malloc(n + 1); /* gone right after the call */
  memcpy(already, hello, n);
  actor_t *server = adopt(f, &other, SP_SERVER, already, n);
  memset(already, 0, n);
  free(already);
  fixture_run(f);
  if (strcmp(client->log, "secure data end close") || strcmp(one.heard, "welcome"))
    fail_msg("%zu bytes ahead: client: %s; server: %s", n, client->log, server->log);
  fixture_free(f);
  return (size_t)size;
}

static void a_hello_that_was_read_is_taken(void **state) {
  (void)state;
  size_t size = 1;
  for (size_t n = 0; n <= size; n++) /* first byte, first five, all: every one */
    size = try_read_ahead(n);
}

/* -- W29: injection ---------------------------------------------------------------------------- */

typedef struct injection {
  const char *bytes;
  size_t n;
} injection_t;

static void try_injection(sp_role_t role, kind_t kind, const injection_t *injected) {
  fixture_t *f = fixture_new();
  int fds[2];
  char room[100];
  part_t part = {.says = "secret"};
  connect_by(kind, fds);
  part.io = handle_on(f, kind, fds[0]);
  actor_t *actor = adopt(f, &part, role, injected->bytes, injected->n);
  fixture_run(f);
  if (strcmp(actor->log, "secure(SP_EINJECTED) close"))
    fail_msg("%zu bytes (%02x ...): %s", injected->n, (unsigned char)*injected->bytes, actor->log);
  assert_int_equal(part.heard_size, 0);
  assert_int_equal(actor->error.who, SP_PEER);
  assert_non_null(strstr(actor->error.text, "cleartext"));
  assert_int_equal(recv(fds[1], room, sizeof room, MSG_DONTWAIT), 0); /* FIN, and not a byte */
  close(fds[1]);
  fixture_free(f);
}

static void cleartext_read_ahead_is_refused(void **state) {
  (void)state;
  static const injection_t to_server[] = {
      {BYTES("EHLO evil\r\n")},
      {BYTES("\r\n")},
      {BYTES("X")},
      {BYTES("\0")},
      {BYTES("\r\n\x16\3\1\0\5\1")}, /* in front of a hello */
      {BYTES("\x16\2")},             /* no version of TLS */
      {BYTES("\x16\3\1\0\5\2")},     /* a server's hello */
      {BYTES("\x15\3\1\0\2\1\0")},   /* an alert */
      {BYTES("\x17\3\3\0\5hello")},  /* data */
      {BYTES("\x80\x1f\1\3\1\0\6")}, /* a hello in the form of SSL 2.0 */
  };
  static const injection_t to_client[] = {
      {BYTES("250 evil\r\n")},   {BYTES("\n")}, {BYTES("\0")}, {BYTES("\x16")},
      {BYTES("\x16\3\3\0\5\2")}, /* even the server's hello: nothing was asked yet */
  };
  for (kind_t kind = 0; kind < KINDS; kind++) {
    for (size_t i = 0; i < COUNT(to_server); i++)
      try_injection(SP_SERVER, kind, &to_server[i]);
    for (size_t i = 0; i < COUNT(to_client); i++)
      try_injection(SP_CLIENT, kind, &to_client[i]);
  }
}

/* The same bytes still in the kernel: nobody read them, so the handshake has to choke on them. */
static void try_behind(sp_role_t role, const char *bytes, size_t n) {
  fixture_t *f = fixture_new();
  int fds[2];
  part_t part = {.says = "secret"};
  connect_by(OVER_TCP, fds);
  part.io = handle_on(f, OVER_TCP, fds[0]);
  assert_int_equal(send(fds[1], bytes, n, MSG_NOSIGNAL), n);
  assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
  actor_t *actor = adopt(f, &part, role, NULL, 0);
  fixture_run(f);
  int status = actor->statuses[ON_SECURE];
  if (status != SP_ENOTTLS && status != SP_EPROTOCOL && status != SP_EEARLYCLOSE)
    fail_msg("%s: %s", actor->log, actor->error.text);
  assert_int_equal(part.heard_size, 0);
  close(fds[1]);
  fixture_free(f);
}

static void cleartext_in_the_kernel_fails_the_handshake(void **state) {
  (void)state;
  try_behind(SP_SERVER, BYTES("EHLO evil\r\n"));
  try_behind(SP_SERVER, BYTES("X"));
  try_behind(SP_CLIENT, BYTES("250 evil\r\n"));
  try_behind(SP_CLIENT, BYTES("\n"));
}

/* A true hello, with cleartext behind it: read ahead together, or left in the kernel. */
static void try_after_hello(bool ahead) {
  fixture_t *f = fixture_new();
  part_t one = {.says = "hello"}, other = {.says = "welcome"};
  int fd;
  char hello[2000];
  actor_t *client = client_that_waits(f, &one, &fd);
  ssize_t size = recv(fd, hello, sizeof hello - 20, MSG_DONTWAIT);
  assert_true(size > 100);
  memcpy(hello + size, "EHLO evil\r\n", 11);
  size += 11;
  int fds[2];
  connect_by(OVER_TCP, fds);
  if (!ahead)
    assert_int_equal(send(fds[1], hello, (size_t)size, MSG_NOSIGNAL), size);
  assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
  other.io = handle_on(f, OVER_TCP, fds[0]);
  actor_t *server = adopt(f, &other, SP_SERVER, hello, ahead ? (size_t)size : 0);
  close(fd);
  fixture_run(f);
  int status = server->statuses[ON_SECURE];
  if (status != SP_ENOTTLS && status != SP_EPROTOCOL)
    fail_msg("%s: %s", server->log, server->error.text);
  assert_int_equal(other.heard_size, 0);
  assert_non_null(strstr(client->log, "close"));
  close(fds[1]);
  fixture_free(f);
}

static void cleartext_behind_a_hello_fails_the_handshake(void **state) {
  (void)state;
  try_after_hello(true);
  try_after_hello(false);
}

/* -- adopted in a read callback, as a program does --------------------------------------------- */

typedef struct talk {
  fixture_t *fixture;
  part_t part;
  actor_t *actor;
  char line[100];
} talk_t;

static void give_line(uv_handle_t *handle, size_t wish, uv_buf_t *buffer) {
  talk_t *talk = handle->data;
  (void)wish;
  *buffer = uv_buf_init(talk->line, sizeof talk->line);
}

static void on_line(uv_stream_t *io, ssize_t n, const uv_buf_t *buffer) {
  talk_t *talk = io->data;
  uv_buf_t answer = uv_buf_init((char[]){"220\n"}, 4);
  assert_true(n >= 9 && !memcmp(buffer->base, "STARTTLS\n", 9));
  assert_int_equal(uv_try_write(io, &answer, 1), 4);
  talk->actor = adopt(talk->fixture, &talk->part, SP_SERVER, talk->line + 9, (size_t)n - 9);
}

/* Says STARTTLS, and `more` in the same segment. */
static void try_starttls(const char *more, const char *log) {
  fixture_t *f = fixture_new();
  talk_t talk = {.fixture = f, .part = {.says = "welcome", .ends = true}};
  part_t one = {.says = "hello"};
  int fds[2];
  char line[100], room[100];
  connect_by(OVER_TCP, fds);
  talk.part.io = handle_on(f, OVER_TCP, fds[1]);
  talk.part.io->data = &talk;
  assert_int_equal(uv_read_start(talk.part.io, give_line, on_line), 0);
  int n = snprintf(line, sizeof line, "STARTTLS\n%s", more);
  assert_int_equal(send(fds[0], line, (size_t)n, MSG_NOSIGNAL), n);
  while (!talk.actor)
    uv_run(&f->loop, UV_RUN_ONCE);
  assert_int_equal(recv(fds[0], room, 4, 0), 4);
  if (*more) {
    (void)shutdown(fds[0], SHUT_RDWR);
    close(fds[0]);
  } else {
    one.io = handle_on(f, OVER_TCP, fds[0]);
    (void)adopt(f, &one, SP_CLIENT, NULL, 0);
  }
  fixture_run(f);
  if (strncmp(talk.actor->log, log, strlen(log)))
    fail_msg("%s, not %s", talk.actor->log, log);
  if (*more)
    assert_int_equal(talk.part.heard_size, 0);
  else
    assert_string_equal(one.heard, "welcome");
  fixture_free(f);
}

static void adopted_in_its_read_callback(void **state) {
  (void)state;
  try_starttls("", "secure ");
  try_starttls("EHLO evil\n", "secure(SP_EINJECTED) close"); /* W29: in the same segment */
  try_starttls("\n", "secure(SP_EINJECTED) close");
}

/* -- what the program had still to write goes first -------------------------------------------- */

typedef struct backlog {
  uv_write_t request;
  int status; /* 1: not called back */
} backlog_t;

static void on_written(uv_write_t *request, int status) {
  ((backlog_t *)request->data)->status = status;
}

static void pending_writes_go_before_the_handshake(void **state) {
  (void)state;
  enum { SIZE = 1 << 20 };
  fixture_t *f = fixture_new();
  part_t one = {.says = "hello", .ends = true}, other = {.says = "welcome"};
  backlog_t backlog = {.status = 1};
  backlog.request.data = &backlog;
  int fds[2];
  connect_by(OVER_SOCKETPAIR, fds);
  other.io = handle_on(f, OVER_SOCKETPAIR, fds[1]);
  uv_buf_t plain = uv_buf_init((char *)(uintptr_t)fixture_pattern(SIZE), SIZE);
  assert_int_equal(uv_write(&backlog.request, other.io, &plain, 1, on_written), 0);
  assert_true(other.io->write_queue_size > 0);
  (void)adopt(f, &other, SP_SERVER, NULL, 0);
  uint8_t *room = malloc(SIZE);
  for (size_t got = 0; got < SIZE;) {
    ssize_t n = recv(fds[0], room + got, SIZE - got, MSG_DONTWAIT);
    got += n > 0 ? (size_t)n : 0;
    uv_run(&f->loop, UV_RUN_NOWAIT);
  }
  assert_memory_equal(room, fixture_pattern(SIZE), SIZE);
  free(room);
  one.io = handle_on(f, OVER_SOCKETPAIR, fds[0]);
  actor_t *client = adopt(f, &one, SP_CLIENT, NULL, 0);
  fixture_run(f);
  assert_int_equal(backlog.status, 0);
  assert_string_equal(other.heard, "hello");
  assert_int_equal(client->statuses[ON_SECURE], 0);
  fixture_free(f);
}

/* -- adopt that fails -------------------------------------------------------------------------- */

static void on_plain(uv_stream_t *io, ssize_t n, const uv_buf_t *buffer) {
  talk_t *talk = io->data;
  assert_int_equal(n, 5);
  assert_memory_equal(buffer->base, "still", 5);
  talk->part.heard_size += 5;
}

static void on_freed(uv_handle_t *handle) { free(handle); }

static void after_an_error_the_handle_is_as_it_was(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  talk_t talk = {.fixture = f};
  int fds[2];
  sp_error_t why;
  sp_stream_t *const untouched = (sp_stream_t *)&talk;
  sp_stream_t *stream = untouched;
  const char *ca = pki_default()->root->cert_pem;
  connect_by(OVER_TCP, fds);
  uv_stream_t *io = handle_on(f, OVER_TCP, fds[0]);
  io->data = &talk;
  assert_int_equal(uv_read_start(io, give_line, on_plain), 0);
  const struct {
    const sp_options_t *options;
    int status;
    const char *words;
  } cases[] = {
      {SP_OPTIONS(.ca = SP_LIST("junk"), .server_name = "localhost"), SP_ECA, "ca"},
      {SP_OPTIONS(.ca = SP_LIST(ca)), SP_EOPTION, "server_name"},
      {SP_OPTIONS(.ca = SP_LIST(ca), .server_name = "a b"), SP_EOPTION, "server name"},
      {SP_OPTIONS(.ca = SP_LIST(ca), .server_name = "x", .ciphers = "none"), SP_ECIPHERS,
       "ciphers"},
      {&(const sp_options_t){.server_name = "localhost"}, SP_EOPTION, "SP_OPTIONS"},
      {NULL, SP_EOPTION, "server_name"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    int status =
        sp_stream_adopt(&stream, io, SP_CLIENT, "x", 1, fixture_on_secure, &why, cases[i].options);
    if (status != cases[i].status || !strstr(why.text, cases[i].words))
      fail_msg("case %zu: %s: %s", i, sp_error_name(status), why.text);
    assert_ptr_equal(stream, untouched);
    assert_ptr_equal(io->data, &talk);
    assert_true(uv_is_active((uv_handle_t *)io));
    assert_int_equal(send(fds[1], "still", 5, MSG_NOSIGNAL), 5);
    while (talk.part.heard_size < 5 * (i + 1))
      uv_run(&f->loop, UV_RUN_ONCE);
  }
  uv_close((uv_handle_t *)io, on_freed);
  close(fds[1]);
  fixture_run(f);
  fixture_free(f);
}

/* A server without a certificate is adopted, but its handshake fails and says why. */
static void a_server_without_a_certificate_fails(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  part_t one = {.says = "hello"}, other = {.says = "welcome"};
  int fd;
  sp_error_t why;
  sp_stream_t *stream;
  actor_t *client = client_that_waits(f, &one, &fd);
  other.io = handle_on(f, OVER_SOCKETPAIR, fd);
  int status = sp_stream_adopt(&stream, other.io, SP_SERVER, NULL, 0, fixture_on_secure, &why,
                               SP_OPTIONS(.ca = SP_EMPTY_LIST));
  assert_int_equal(status, 0);
  actor_t *server = fixture_adopt(f, stream, "server");
  server->react = play;
  server->data = &other;
  fixture_run(f);
  assert_true(server->statuses[ON_SECURE] < 0);
  assert_int_equal(client->statuses[ON_SECURE], SP_EALERT);
  fixture_free(f);
}

/* Destroyed right after it was adopted, and ended before it is secure. */
static void adopted_and_gone(void **state) {
  (void)state;
  for (kind_t kind = 0; kind < KINDS; kind++)
    for (int already = 0; already < 2; already++) {
      fixture_t *f = fixture_new();
      int fds[2];
      part_t part = {.says = "hello"};
      connect_by(kind, fds);
      part.io = handle_on(f, kind, fds[0]);
      actor_t *actor = adopt(f, &part, SP_SERVER, "\x16", (size_t)already);
      CALL(f, sp_stream_destroy(actor->stream));
      fixture_run(f);
      assert_string_equal(actor->log, "secure(ECANCELED) close");
      close(fds[1]);
      fixture_free(f);
    }
}

/* -- W30 --------------------------------------------------------------------------------------- */

static void on_exited(uv_process_t *process, int64_t status, int signal) {
  *(int64_t *)process->data = signal ? -signal : status;
  uv_close((uv_handle_t *)process, NULL);
}

static void greet(raw_t *raw) { raw_send(raw, "220 ready\r\n", 11); }

/* What a man in the middle makes of "250 STARTTLS ECHO QUIT", and then of everything. */
static void answer_without_starttls(raw_t *raw) {
  if (raw->got_size && raw->got[raw->got_size - 1] == '\n')
    raw_send(raw, "250 XXXXXXXX ECHO QUIT\r\n", 24);
}

static void greet_and_listen(raw_t *raw) {
  raw->on_bytes = answer_without_starttls;
  greet(raw);
}

static void a_client_that_is_offered_no_starttls_says_nothing(void **state) {
  (void)state;
  const char *folder = getenv("SP_EXAMPLES");
  char program[4096], port[16];
  (void)snprintf(program, sizeof program, "%s/starttls-client", folder ? folder : ".");
  if (!folder || access(program, X_OK) < 0) {
    print_message("SP_EXAMPLES does not hold starttls-client\n");
    skip();
  }
  raws_t raws;
  fixture_t *f = fixture_new();
  raws_begin(&raws, f);
  raw_listen(&raws, greet_and_listen, NULL);
  (void)snprintf(port, sizeof port, "%d", raws.port);
  char *ca = (char *)(uintptr_t)pki_file(pki_default()->root->cert_pem);
  char *arguments[] = {program, (char[]){"localhost"}, port, ca, (char[]){"secret"}, NULL};
  int64_t status = INT64_MIN;
  uv_process_t process = {.data = &status};
  const uv_process_options_t options = {.file = program, .args = arguments, .exit_cb = on_exited};
  assert_int_equal(uv_spawn(&f->loop, &process, &options), 0);
  process.data = &status;
  while (status == INT64_MIN)
    uv_run(&f->loop, UV_RUN_ONCE);
  raws_run(&raws);
  assert_int_equal(status, 1);
  assert_int_equal(raws.count, 1);
  assert_non_null(raws.first);
  raws.first->got[raws.first->got_size] = '\0';
  const char *said = (const char *)raws.first->got;
  if (strstr(said, "secret") || strstr(said, "ECHO") || strncmp(said, "CAPA\r\n", 6))
    fail_msg("it said in the clear: %s", said);
  raws_free(&raws);
  fixture_free(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_ends_over_every_kind_of_socket),
      cmocka_unit_test(a_hello_that_was_read_is_taken),
      cmocka_unit_test(cleartext_read_ahead_is_refused),
      cmocka_unit_test(cleartext_in_the_kernel_fails_the_handshake),
      cmocka_unit_test(cleartext_behind_a_hello_fails_the_handshake),
      cmocka_unit_test(adopted_in_its_read_callback),
      cmocka_unit_test(pending_writes_go_before_the_handshake),
      cmocka_unit_test(after_an_error_the_handle_is_as_it_was),
      cmocka_unit_test(a_server_without_a_certificate_fails),
      cmocka_unit_test(adopted_and_gone),
      cmocka_unit_test(a_client_that_is_offered_no_starttls_says_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
