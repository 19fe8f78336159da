/*
 * The floor of the benchmarks: OpenSSL and epoll and nothing else, as good as so few lines can be.
 * It keeps what a socket did not take and then reads no more, looks for the next event only when a
 * client has nothing left, gives back the record buffers of who is quiet, sends one ticket, and
 * builds no chain of certificates by itself.
 *
 *     bare KEY CERT [echo|sink|source] [tls1.2] [writes=N]
 *
 * The command line is that of all servers here: server.c says what it means.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define RECORD 16384
#define TURN 16 /* records of one client until others are looked for */
#define WRITE_MAX 65536

typedef struct client {
  SSL *ssl;
  char *rest; /* read and not sent yet: OpenSSL wants to be given the same again */
  int size, fd;
  unsigned events; /* that are waited for */
} client_t;

static enum { ECHOES, DROPS, POURS } mode;
static int poller, write_size = RECORD;

static void watch(client_t *client, unsigned events) {
  struct epoll_event event = {.events = events, .data.ptr = client};
  int how = client->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (client->events != events && epoll_ctl(poller, how, client->fd, &event) < 0)
    abort();
  client->events = events;
}

static void take_client(SSL_CTX *ctx, int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  client_t *client = fd < 0 ? NULL : calloc(1, sizeof *client);
  if (!client)
    return;
  client->fd = fd;
  client->ssl = SSL_new(ctx);
  if (!client->ssl || !SSL_set_fd(client->ssl, fd))
    abort();
  SSL_set_accept_state(client->ssl);
  watch(client, EPOLLIN);
}

static void drop(client_t *client) {
  ERR_clear_error();
  SSL_free(client->ssl);
  (void)close(client->fd);
  free(client->rest);
  free(client);
}

static int echo(client_t *client, const char *bytes, int n) {
  int sent = SSL_write(client->ssl, bytes, n);
  if (sent <= 0 && (client->rest = malloc((size_t)n)) != NULL)
    memcpy(client->rest, bytes, (size_t)(client->size = n));
  return sent;
}

static int send_rest(client_t *client) {
  int sent = SSL_write(client->ssl, client->rest, client->size);
  if (sent > 0) {
    free(client->rest);
    client->rest = NULL;
  }
  return sent;
}

/* What OpenSSL said last; above 0: the client has nothing more at the moment. */
static int serve(client_t *client, unsigned events) {
  static char bytes[WRITE_MAX];
  int n = client->rest ? send_rest(client) : 1, is_new = !SSL_is_init_finished(client->ssl);
  if (is_new)
    n = SSL_do_handshake(client->ssl);
  if (is_new && n > 0 && mode == POURS)
    watch(client, EPOLLIN | EPOLLOUT);
  for (int i = is_new; n > 0 && (!i || SSL_has_pending(client->ssl)); i = 1) {
    n = mode == POURS && !(events & EPOLLIN) ? 1 : SSL_read(client->ssl, bytes, RECORD);
    if (n > 0 && mode == ECHOES)
      n = echo(client, bytes, n);
  }
  for (int i = 0; i < TURN && n > 0 && mode == POURS; i++)
    n = SSL_write(client->ssl, bytes, write_size);
  return n;
}

static void on_event(client_t *client, unsigned events) {
  int error = SSL_get_error(client->ssl, serve(client, events));
  if (error == SSL_ERROR_ZERO_RETURN)
    (void)SSL_shutdown(client->ssl);
  if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
    drop(client);
    return;
  }
  if (mode != POURS)
    watch(client, error == SSL_ERROR_WANT_WRITE ? EPOLLOUT : EPOLLIN);
  if (SSL_is_init_finished(client->ssl))
    (void)SSL_free_buffers(client->ssl); /* unless something is in them */
}

static int is(int argc, char **argv, const char *word) {
  for (int i = 3; i < argc; i++)
    if (!strcmp(argv[i], word))
      return 1;
  return 0;
}

static SSL_CTX *context(int argc, char **argv) {
  SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
  int version = is(argc, argv, "tls1.2") ? TLS1_2_VERSION : TLS1_3_VERSION;
  if (argc < 3 || !ctx || !SSL_CTX_use_PrivateKey_file(ctx, argv[1], SSL_FILETYPE_PEM) ||
      !SSL_CTX_use_certificate_chain_file(ctx, argv[2]) ||
      !SSL_CTX_set1_groups_list(ctx, "X25519:P-256") || !SSL_CTX_set_num_tickets(ctx, 1) ||
      !SSL_CTX_set_min_proto_version(ctx, version) || !SSL_CTX_set_max_proto_version(ctx, version))
    ERR_print_errors_fp(stderr), exit(1);
  (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  (void)SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_read_ahead(ctx, 1); /* many records in one system call */
  SSL_CTX_set_default_read_buffer_len(ctx, 1 << 16);
  for (int i = 3; i < argc; i++)
    if (sscanf(argv[i], "writes=%5d", &write_size) == 1 &&
        (write_size < 1 || write_size > WRITE_MAX))
      exit(2);
  mode = is(argc, argv, "sink") ? DROPS : is(argc, argv, "source") ? POURS : ECHOES;
  return ctx;
}

/* On a free port of the loopback; who is accepted inherits the options. */
static int start_listening(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
      bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 511) < 0 ||
      getsockname(fd, (struct sockaddr *)&address, &size) < 0)
    perror("bare: listening"), exit(1);
  (void)printf("%d\n", ntohs(address.sin_port));
  (void)fflush(stdout);
  return fd;
}

int main(int argc, char **argv) {
  SSL_CTX *ctx = context(argc, argv);
  client_t input = {.fd = STDIN_FILENO}, listener = {.fd = start_listening()};
  struct epoll_event events[64];
  char room[64];
  (void)signal(SIGPIPE, SIG_IGN);
  poller = epoll_create1(EPOLL_CLOEXEC);
  watch(&input, EPOLLIN);
  watch(&listener, EPOLLIN);
  for (;;) {
    int n = epoll_wait(poller, events, 64, -1);
    for (int i = 0; i < n; i++)
      if (events[i].data.ptr == &listener)
        take_client(ctx, listener.fd);
      else if (events[i].data.ptr != &input)
        on_event(events[i].data.ptr, events[i].events);
      else if (read(STDIN_FILENO, room, sizeof room) <= 0)
        return SSL_CTX_free(ctx), 0;
  }
}
