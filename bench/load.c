/*
 * The load of the benchmarks: a client that costs as little as may be and does one thing.
 *
 *     load handshake PORT COUNT      full handshakes, one after the other
 *     load resume PORT COUNT         the same, all resumed by the ticket of one before them
 *     load echo PORT BYTES CHUNK     BYTES in records of CHUNK bytes each, sent and read back
 *     load ask PORT COUNT SIZE       COUNT echoes of SIZE bytes, each sent when the former is back
 *     load send PORT BYTES CHUNK     the same to a server that answers nothing (sink)
 *     load receive PORT BYTES        from a server that sends all the time (source)
 *     load idle PORT COUNT           COUNT connections that echo 1 KB each, say "ready" and then
 *                                    are held until the input ends
 *     load storm PORT COUNT TIMES    COUNT handshakes at once, ten times a second, so many TIMES;
 *                                    where the former are not done yet, a burst is left out
 *     load facts PORT                what the server agrees to, as JSON: version, suite, group, how
 *                                    many tickets, and whether one of them is good
 *
 * With tls1.2 as the last word in that version, else in TLS 1.3. The server is on 127.0.0.1 and
 * echoes where nothing else is said. Its certificate is not looked at; but what all figures have in
 * common has to be agreed: AES-128-GCM and X25519. A connection ends when both sides have said so,
 * and then all that was sent has been taken. Prints what was done.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define WINDOW (256u << 10) /* bytes on their way, so that the server never waits for us */
#define BATCH (WINDOW / 4)  /* that are made before the socket is given them */
#define GREETING 1024u      /* bytes of a connection that is idle then */

static SSL_CTX *ctx;
static int port, version = TLS1_3_VERSION;

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)fputs("load: ", stderr);
  (void)vfprintf(stderr, format, arguments);
  (void)fputc('\n', stderr);
  va_end(arguments);
  ERR_print_errors_fp(stderr);
  exit(1);
}

/* The same congestion control at both ends: some machines pace even the loopback by default. */
static int connected_socket(void) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  if (fd < 0)
    fail("socket: %s", strerror(errno));
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
    fail("connect to port %d: %s", port, strerror(errno));
  return fd;
}

/* Of the key exchange; NULL: there was none. */
static const char *group_of(SSL *ssl) {
  EVP_PKEY *key = NULL;
  const char *name = SSL_get_peer_tmp_key(ssl, &key) ? OBJ_nid2sn(EVP_PKEY_get_id(key)) : NULL;
  EVP_PKEY_free(key);
  return name;
}

static void check_agreed(SSL *ssl) {
  const char *group = group_of(ssl);
  if (SSL_version(ssl) != version || !strstr(SSL_get_cipher_name(ssl), "AES") ||
      !strstr(SSL_get_cipher_name(ssl), "128") || (group && strcmp(group, "X25519") != 0))
    fail("not as agreed: %s, %s, %s", SSL_get_version(ssl), SSL_get_cipher_name(ssl),
         group ? group : "no key exchange");
}

static SSL *secure_connection(SSL_SESSION *session) {
  SSL *ssl = SSL_new(ctx);
  if (!ssl || !SSL_set_fd(ssl, connected_socket()) || (session && !SSL_set_session(ssl, session)) ||
      SSL_connect(ssl) != 1)
    fail("handshake failed");
  check_agreed(ssl);
  return ssl;
}

/* What the socket is to take: many small records in one system call, or the client is the slower
 * half and the server sees them one by one. */
static struct {
  unsigned char bytes[WINDOW * 2];
  size_t start, end;
} outgoing;

/* Whether the socket took something. */
static int has_sent(int fd) {
  size_t n = outgoing.end - outgoing.start;
  ssize_t sent = n ? send(fd, outgoing.bytes + outgoing.start, n, MSG_NOSIGNAL) : 0;
  if (sent < 0 && errno != EAGAIN)
    fail("send: %s", strerror(errno));
  if (sent > 0)
    outgoing.start += (size_t)sent;
  return sent > 0;
}

static void free_connection(SSL *ssl) {
  int fd = SSL_get_fd(ssl);
  SSL_free(ssl);
  (void)close(fd);
}

/* Without waiting for the server's end. */
static void close_connection(SSL *ssl) {
  (void)SSL_shutdown(ssl);
  free_connection(ssl);
}

static void wait_for(int fd, short events) {
  struct pollfd item = {.fd = fd, .events = events};
  if (poll(&item, 1, 10000) == 0)
    fail("the server does not answer");
}

/* Says the end and drops what comes until the server's. */
static void end_connection(SSL *ssl) {
  static char room[1 << 14];
  int result, error, fd = SSL_get_fd(ssl);
  (void)SSL_shutdown(ssl);
  while (outgoing.end > outgoing.start) /* where writes are gathered */
    if (!has_sent(fd))
      wait_for(fd, POLLOUT);
  while ((result = SSL_read(ssl, room, sizeof room)) > 0 ||
         (error = SSL_get_error(ssl, result)) == SSL_ERROR_WANT_READ)
    if (result <= 0)
      wait_for(fd, POLLIN);
  if (error != SSL_ERROR_ZERO_RETURN)
    fail("the server ended without saying so");
  free_connection(ssl);
}

/* -- handshake --------------------------------------------------------------------------------- */

static void run_handshakes(long count) {
  for (long i = 0; i < count; i++)
    end_connection(secure_connection(NULL));
  (void)printf("%ld handshakes\n", count);
}

/* -- resume ------------------------------------------------------------------------------------ */

static SSL_SESSION *ticket; /* the last one */
static int tickets;

static int take_ticket(SSL *ssl, SSL_SESSION *session) {
  (void)ssl;
  SSL_SESSION_free(ticket);
  ticket = session;
  tickets++;
  return 1; /* it is ours now */
}

static void get_ticket(void) {
  (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ctx, take_ticket);
  end_connection(secure_connection(NULL));
  if (!ticket)
    fail("the server gave no ticket");
  (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* that one is good for all */
}

static void run_resumed(long count) {
  get_ticket();
  for (long i = 0; i < count; i++) {
    SSL *ssl = secure_connection(ticket);
    if (!SSL_session_reused(ssl))
      fail("handshake %ld was not resumed", i + 1);
    end_connection(ssl);
  }
  (void)printf("%ld handshakes\n", count);
}

/* -- facts ------------------------------------------------------------------------------------- */

static void tell_facts(void) {
  get_ticket();
  SSL *ssl = secure_connection(ticket);
  int is_resumed = SSL_session_reused(ssl);
  end_connection(ssl);
  ssl = secure_connection(NULL);
  (void)printf("{\"protocol\": \"%s\", \"suite\": \"%s\", \"group\": \"%s\", \"tickets\": %d, "
               "\"resumes\": %s}\n",
               SSL_get_version(ssl), SSL_get_cipher_name(ssl), group_of(ssl), tickets,
               is_resumed ? "true" : "false");
  end_connection(ssl);
}

/* -- echo -------------------------------------------------------------------------------------- */

/* Whether SSL_read_ex or SSL_write_ex moved something; if not, it is to be tried again. */
static int has_moved(SSL *ssl, int result) {
  int error = SSL_get_error(ssl, result);
  if (result != 1 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
    fail("the connection failed in the middle");
  return result == 1;
}

static int gather(BIO *bio, const char *bytes, int n) {
  BIO_clear_retry_flags(bio);
  if (outgoing.start == outgoing.end)
    outgoing.start = outgoing.end = 0;
  if ((size_t)n > sizeof outgoing.bytes - outgoing.end) {
    BIO_set_retry_write(bio);
    return -1;
  }
  memcpy(outgoing.bytes + outgoing.end, bytes, (size_t)n);
  outgoing.end += (size_t)n;
  return n;
}

static long control(BIO *bio, int command, long number, void *pointer) {
  (void)bio, (void)number, (void)pointer;
  return command == BIO_CTRL_FLUSH;
}

static void gather_writes(SSL *ssl) {
  BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "outgoing");
  BIO *bio;
  if (!method || !BIO_meth_set_write(method, gather) || !BIO_meth_set_ctrl(method, control) ||
      !(bio = BIO_new(method)))
    fail("OpenSSL cannot be set up");
  BIO_set_init(bio, 1);
  SSL_set0_wbio(ssl, bio);
}

/* A connection that does not block, with writes gathered. */
static SSL *open_bulk(void) {
  SSL *ssl = secure_connection(NULL);
  if (fcntl(SSL_get_fd(ssl), F_SETFL, O_NONBLOCK) < 0)
    fail("fcntl: %s", strerror(errno));
  gather_writes(ssl);
  return ssl;
}

/* Goes on for as long as the server has everything to do; answers how much was sent. */
static uint64_t send_some(SSL *ssl, uint64_t left, size_t chunk) {
  static unsigned char bytes[1 << 16];
  uint64_t sent = 0;
  size_t n;
  if (chunk > sizeof bytes)
    fail("chunks have at most %zu bytes", sizeof bytes);
  while (sent < left && outgoing.end - outgoing.start < BATCH &&
         has_moved(ssl, SSL_write_ex(ssl, bytes, chunk, &n)))
    sent += n;
  return sent;
}

static uint64_t receive_some(SSL *ssl) {
  static unsigned char room[1 << 16];
  uint64_t received = 0;
  size_t n;
  while (received < WINDOW && has_moved(ssl, SSL_read_ex(ssl, room, sizeof room, &n)))
    received += n;
  return received;
}

static void tell_bytes(uint64_t count) { (void)printf("%llu bytes\n", (unsigned long long)count); }

static void run_echo(uint64_t total, size_t chunk) {
  SSL *ssl = open_bulk();
  int fd = SSL_get_fd(ssl);
  uint64_t sent = 0, received = 0;
  while (received < total) {
    if (sent - received < WINDOW)
      sent += send_some(ssl, sent < total ? total - sent : 0, chunk);
    int moved = has_sent(fd);
    uint64_t n = receive_some(ssl);
    received += n;
    if (!moved && !n)
      wait_for(fd, (short)(POLLIN | (outgoing.end > outgoing.start ? POLLOUT : 0)));
  }
  end_connection(ssl);
  tell_bytes(received);
}

static void run_send(uint64_t total, size_t chunk) {
  SSL *ssl = open_bulk();
  int fd = SSL_get_fd(ssl);
  uint64_t sent = 0;
  while (sent < total) {
    sent += send_some(ssl, total - sent, chunk);
    if (!has_sent(fd))
      wait_for(fd, POLLOUT);
  }
  end_connection(ssl);
  tell_bytes(sent);
}

static void run_receive(uint64_t total) {
  SSL *ssl = open_bulk();
  uint64_t received = 0;
  while (received < total) {
    uint64_t n = receive_some(ssl);
    received += n;
    if (!n)
      wait_for(SSL_get_fd(ssl), POLLIN);
  }
  close_connection(ssl); /* a source does not stop to send */
  tell_bytes(received);
}

/* -- ask --------------------------------------------------------------------------------------- */

static void ask(SSL *ssl, size_t size) {
  static unsigned char bytes[1 << 16];
  size_t n, got = 0;
  if (size > sizeof bytes || SSL_write_ex(ssl, bytes, size, &n) != 1 || n != size)
    fail("cannot write");
  while (got < size) {
    if (SSL_read_ex(ssl, bytes, size - got, &n) != 1)
      fail("the echo did not come");
    got += n;
  }
}

static void run_ask(long count, size_t size) {
  SSL *ssl = secure_connection(NULL);
  for (long i = 0; i < count; i++)
    ask(ssl, size);
  end_connection(ssl);
  (void)printf("%ld echoes\n", count);
}

/* -- idle -------------------------------------------------------------------------------------- */

static void run_idle(long count) {
  for (long i = 0; i < count; i++)
    ask(secure_connection(NULL), GREETING);
  (void)printf("ready\n");
  (void)fflush(stdout);
  while (getchar() != EOF)
    ;
}

/* -- storm ------------------------------------------------------------------------------------- */

#define BURST_EVERY 100 /* milliseconds */

static struct {
  SSL **all; /* NULL: free */
  long size, live, done, bursts;
} storm;

static long long milliseconds(void) {
  struct timespec time;
  (void)clock_gettime(CLOCK_MONOTONIC, &time);
  return (long long)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void start_one(int epoll, long i) {
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)i};
  int fd = connected_socket(); /* on the loopback at once */
  SSL *ssl = SSL_new(ctx);
  if (!ssl || !SSL_set_fd(ssl, fd) || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
      epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
    fail("no more connections");
  storm.all[i] = ssl;
  storm.live++;
  (void)SSL_connect(ssl);
}

static void go_on(long i) {
  SSL *ssl = storm.all[i];
  int result = SSL_connect(ssl);
  if (result != 1 && SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ)
    return;
  if (result != 1)
    fail("a handshake failed");
  close_connection(ssl);
  storm.all[i] = NULL;
  storm.live--;
  storm.done++;
}

static void run_storm(long count, long times) {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event events[64];
  long long due = milliseconds();
  storm.size = count;
  storm.all = calloc((size_t)count, sizeof(SSL *));
  for (long i = 0; i < times || storm.live;) {
    long long left = due - milliseconds();
    if (i < times && left <= 0) {
      due += BURST_EVERY;
      i++;
      storm.bursts += !storm.live;
      for (long k = 0; k < count && storm.live == k; k++)
        start_one(epoll, k);
      continue;
    }
    int n = epoll_wait(epoll, events, 64, i < times ? (int)left : 10000);
    if (n == 0 && i >= times)
      fail("the server does not answer");
    for (int k = 0; k < n; k++)
      go_on((long)events[k].data.u64);
  }
  (void)printf("%ld handshakes in %ld bursts\n", storm.done, storm.bursts);
}

static void set_up(bool is_bulk) {
  ctx = SSL_CTX_new(TLS_client_method());
  if (!ctx || !SSL_CTX_set1_groups_list(ctx, "X25519:P-256") ||
      !SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") ||
      !SSL_CTX_set_cipher_list(ctx, "ECDHE+AES128+AESGCM") ||
      !SSL_CTX_set_min_proto_version(ctx, version) || !SSL_CTX_set_max_proto_version(ctx, version))
    fail("OpenSSL cannot be set up");
  (void)SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF); /* not all proxies say so */
  (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
  (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  if (!is_bulk)
    return;
  SSL_CTX_set_read_ahead(ctx, 1); /* many records in one system call here, too */
  SSL_CTX_set_default_read_buffer_len(ctx, 1 << 16);
  (void)SSL_CTX_clear_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
}

int main(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[argc - 1], "tls1.2")) {
    version = TLS1_2_VERSION;
    argc--;
  }
  const char *what = argc > 2 ? argv[1] : "";
  uint64_t count = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
  uint64_t more = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
  (void)signal(SIGPIPE, SIG_IGN);
  port = argc > 2 ? atoi(argv[2]) : 0;
  set_up(!strcmp(what, "echo") || !strcmp(what, "send") || !strcmp(what, "receive"));
  if (!strcmp(what, "facts"))
    tell_facts();
  else if (!strcmp(what, "handshake") && count)
    run_handshakes((long)count);
  else if (!strcmp(what, "resume") && count)
    run_resumed((long)count);
  else if (!strcmp(what, "idle") && count)
    run_idle((long)count);
  else if (!strcmp(what, "receive") && count)
    run_receive(count);
  else if (!strcmp(what, "echo") && count && more)
    run_echo(count, more);
  else if (!strcmp(what, "ask") && count && more)
    run_ask((long)count, more);
  else if (!strcmp(what, "send") && count && more)
    run_send(count, more);
  else if (!strcmp(what, "storm") && count && more)
    run_storm((long)count, (long)more);
  else
    fail("usage: load handshake|resume|idle PORT COUNT | echo|send PORT BYTES CHUNK | receive PORT "
         "BYTES | ask PORT COUNT SIZE | storm PORT COUNT TIMES | facts PORT, and tls1.2 at the end "
         "if need be");
  return 0;
}
