/*
 * The load of the benchmarks: a client that costs as little as may be and does one thing.
 *
 *     load handshake PORT COUNT      full handshakes, one after the other
 *     load echo PORT BYTES CHUNK     BYTES in records of CHUNK bytes each, sent and read back
 *     load idle PORT COUNT           COUNT connections that echo 1 KB each, say "ready" and then
 *                                    are held until the input ends
 *     load storm PORT COUNT TIMES    COUNT handshakes at once, ten times a second, so many TIMES;
 *                                    where the former are not done yet, a burst is left out
 *
 * The server echoes; on 127.0.0.1. The certificate is not looked at. Prints what was done.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
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
#define GREETING 1024

static SSL_CTX *ctx;
static int port;

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

static SSL *secure_connection(void) {
  SSL *ssl = SSL_new(ctx);
  if (!ssl || !SSL_set_fd(ssl, connected_socket()) || SSL_connect(ssl) != 1)
    fail("handshake failed");
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

static void close_connection(SSL *ssl) {
  int fd = SSL_get_fd(ssl);
  (void)SSL_shutdown(ssl);
  (void)has_sent(fd); /* where writes are gathered */
  SSL_free(ssl);
  (void)close(fd);
}

/* -- handshake --------------------------------------------------------------------------------- */

static void run_handshakes(long count) {
  for (long i = 0; i < count; i++)
    close_connection(secure_connection());
  (void)printf("%ld handshakes\n", count);
}

/* -- echo -------------------------------------------------------------------------------------- */

static void wait_for(int fd, short events) {
  struct pollfd item = {.fd = fd, .events = events};
  if (poll(&item, 1, 10000) == 0)
    fail("the server does not answer");
}

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

static void run_echo(uint64_t total, size_t chunk) {
  static unsigned char out[1 << 16], in[1 << 16];
  SSL *ssl = secure_connection();
  int fd = SSL_get_fd(ssl);
  if (chunk > sizeof out || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
    fail("chunks have at most %zu bytes", sizeof out);
  gather_writes(ssl);
  uint64_t sent = 0, received = 0;
  while (received < total) {
    size_t n;
    while (sent < total && sent - received < WINDOW && outgoing.end - outgoing.start < BATCH &&
           has_moved(ssl, SSL_write_ex(ssl, out, chunk, &n)))
      sent += n;
    int moved = has_sent(fd);
    while (has_moved(ssl, SSL_read_ex(ssl, in, sizeof in, &n)))
      received += n, moved = 1;
    if (!moved)
      wait_for(fd, (short)(POLLIN | (outgoing.end > outgoing.start ? POLLOUT : 0)));
  }
  close_connection(ssl);
  (void)printf("%llu bytes\n", (unsigned long long)received);
}

/* -- idle -------------------------------------------------------------------------------------- */

static void greet(SSL *ssl) {
  static unsigned char bytes[GREETING];
  size_t n, got = 0;
  if (SSL_write_ex(ssl, bytes, sizeof bytes, &n) != 1)
    fail("cannot write");
  while (got < sizeof bytes) {
    if (SSL_read_ex(ssl, bytes, sizeof bytes - got, &n) != 1)
      fail("the echo did not come");
    got += n;
  }
}

static void run_idle(long count) {
  for (long i = 0; i < count; i++)
    greet(secure_connection());
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

int main(int argc, char **argv) {
  if (argc < 4)
    fail("usage: load handshake PORT COUNT | echo PORT BYTES CHUNK | idle PORT COUNT | "
         "storm PORT COUNT TIMES");
  (void)signal(SIGPIPE, SIG_IGN);
  port = atoi(argv[2]);
  ctx = SSL_CTX_new(TLS_client_method());
  if (!ctx || !SSL_CTX_set1_groups_list(ctx, "X25519") ||
      !SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256"))
    fail("OpenSSL cannot be set up");
  (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
  (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  if (!strcmp(argv[1], "echo")) {
    SSL_CTX_set_read_ahead(ctx, 1); /* many records in one system call here, too */
    SSL_CTX_set_default_read_buffer_len(ctx, 1 << 16);
    (void)SSL_CTX_clear_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
  }
  if (!strcmp(argv[1], "handshake"))
    run_handshakes(atol(argv[3]));
  else if (!strcmp(argv[1], "idle"))
    run_idle(atol(argv[3]));
  else if (!strcmp(argv[1], "echo") && argc == 5)
    run_echo(strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
  else if (!strcmp(argv[1], "storm") && argc == 5)
    run_storm(atol(argv[3]), atol(argv[4]));
  else
    fail("unknown load %s", argv[1]);
  return 0;
}
