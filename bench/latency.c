/*
 * How long a server's established connections wait: one connection that sends a small record at
 * fixed times, whether the former came back or not, and takes the time of each from when it was
 * due.
 *
 *     latency PORT RATE SECONDS
 *
 * The server echoes; on 127.0.0.1; TLS 1.3, AES-128-GCM and X25519, as in all rows. Prints the
 * 50th, 99th and 99.9th percentile and the longest in microseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define RECORD 32u /* bytes */

__attribute__((noreturn)) static void fail(const char *what) {
  (void)fprintf(stderr, "latency: %s: %s\n", what, strerror(errno));
  ERR_print_errors_fp(stderr);
  exit(1);
}

static uint64_t now(void) {
  struct timespec time;
  (void)clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static SSL *connect_to(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  bool is_alike = ctx && SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") &&
                  SSL_CTX_set1_groups_list(ctx, "X25519") &&
                  SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
  SSL *ssl = is_alike ? SSL_new(ctx) : NULL;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
    fail("connect");
  if (!ssl || !SSL_set_fd(ssl, fd) || SSL_connect(ssl) != 1 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
    fail("handshake");
  return ssl;
}

static void send_record(SSL *ssl) {
  static const unsigned char record[RECORD];
  size_t n;
  if (SSL_write_ex(ssl, record, sizeof record, &n) != 1)
    fail("the connection does not take a record");
}

/* Bytes that came, 0 for none. */
static size_t receive(SSL *ssl) {
  unsigned char room[16384];
  size_t n = 0;
  int result = SSL_read_ex(ssl, room, sizeof room, &n);
  if (result != 1 && SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ)
    fail("the server went away");
  return n;
}

static void wait_for(SSL *ssl, uint64_t until) {
  uint64_t time = now(), left = until > time ? until - time : 0;
  struct timespec patience = {.tv_sec = (time_t)(left / 1000000000u),
                              .tv_nsec = (long)(left % 1000000000u)};
  struct pollfd item = {.fd = SSL_get_fd(ssl), .events = POLLIN};
  (void)ppoll(&item, 1, &patience, NULL);
}

static int compare(const void *a, const void *b) {
  uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
  return one < other ? -1 : one > other;
}

static double percentile(const uint64_t *sorted, size_t count, double part) {
  return (double)sorted[(size_t)(part * (double)(count - 1))] / 1000;
}

/* times[i]: that record i took. */
static void run(SSL *ssl, uint64_t *times, size_t count, uint64_t interval) {
  uint64_t start = now() + interval;
  size_t sent = 0, received = 0; /* bytes */
  while (received < count * RECORD) {
    uint64_t due = start + sent / RECORD * interval;
    size_t n;
    if (sent < count * RECORD && now() >= due) {
      send_record(ssl);
      sent += RECORD;
      continue;
    }
    while ((n = receive(ssl)))
      for (size_t end = received + n; received < end; received++)
        if (received % RECORD == RECORD - 1)
          times[received / RECORD] = now() - (start + received / RECORD * interval);
    wait_for(ssl, sent < count * RECORD ? due : now() + 1000000000u);
  }
}

int main(int argc, char **argv) {
  double rate = argc == 4 ? atof(argv[2]) : 0, seconds = argc == 4 ? atof(argv[3]) : 0;
  size_t count = (size_t)(rate * seconds);
  uint64_t *times = calloc(count + 1, sizeof *times);
  if (!count || !times) {
    (void)fprintf(stderr, "usage: latency PORT RATE SECONDS\n");
    return 2;
  }
  (void)signal(SIGPIPE, SIG_IGN);
  SSL *ssl = connect_to(atoi(argv[1]));
  run(ssl, times, count, (uint64_t)(1e9 / rate));
  qsort(times, count, sizeof *times, compare);
  (void)printf("%.0f %.0f %.0f %.0f\n", percentile(times, count, 0.5),
               percentile(times, count, 0.99), percentile(times, count, 0.999),
               percentile(times, count, 1));
  return 0;
}
