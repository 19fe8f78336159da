/*
 * libevent's server of the benchmarks: bufferevent_openssl as fast as it lets itself be made, with
 * the settings of the others. Prints its port; ends when its input ends.
 *
 *     libevent KEY CERT [echo|sink|source] [tls1.2] [writes=N]
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#define MOST (256u << 10) /* bytes to be written at which no more are read */
#define LEAST (64u << 10) /* and at which it goes on */
#define ONCE (64u << 10)  /* bytes read or written before others have their turn */
#define WRITE_MAX (64u << 10)

static SSL_CTX *ctx;
static size_t write_size = 16u << 10; /* of a source */
static void (*on_data)(struct bufferevent *, void *);
static void (*on_room)(struct bufferevent *, void *);

__attribute__((noreturn)) static void fail(const char *what) {
  (void)fprintf(stderr, "libevent: %s\n", what);
  ERR_print_errors_fp(stderr);
  exit(1);
}

/* -- what the server does ---------------------------------------------------------------------- */

static void echo_data(struct bufferevent *client, void *data) {
  (void)data;
  (void)bufferevent_write_buffer(client, bufferevent_get_input(client));
  if (evbuffer_get_length(bufferevent_get_output(client)) > MOST)
    (void)bufferevent_disable(client, EV_READ);
}

static void echo_room(struct bufferevent *client, void *data) {
  (void)data;
  if (!(bufferevent_get_enabled(client) & EV_READ))
    (void)bufferevent_enable(client, EV_READ);
}

static void drop_data(struct bufferevent *client, void *data) {
  struct evbuffer *input = bufferevent_get_input(client);
  (void)data;
  (void)evbuffer_drain(input, evbuffer_get_length(input));
}

static void nothing(struct bufferevent *client, void *data) { (void)client, (void)data; }

static void fill(struct bufferevent *client, void *data) {
  static const char bytes[WRITE_MAX];
  struct evbuffer *output = bufferevent_get_output(client);
  (void)data;
  while (evbuffer_get_length(output) < MOST)
    if (evbuffer_add_reference(output, bytes, write_size, NULL, NULL) < 0)
      fail("no memory");
}

static void choose(const char *what) {
  bool source = !strcmp(what, "source"), sink = !strcmp(what, "sink");
  on_data = source || sink ? drop_data : echo_data;
  on_room = source ? fill : sink ? nothing : echo_room;
}

/* -- connections ------------------------------------------------------------------------------- */

static void on_event(struct bufferevent *client, short what, void *data) {
  if (what & BEV_EVENT_CONNECTED && on_room == fill)
    fill(client, data);
  if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
    return;
  if (what & BEV_EVENT_EOF)
    (void)SSL_shutdown(bufferevent_openssl_get_ssl(client));
  bufferevent_free(client);
}

static void on_accepted(struct evconnlistener *listener, evutil_socket_t fd,
                        struct sockaddr *address, int size, void *data) {
  int on = 1;
  SSL *ssl = SSL_new(ctx);
  (void)address, (void)size, (void)data;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct bufferevent *client =
      ssl ? bufferevent_openssl_socket_new(evconnlistener_get_base(listener), fd, ssl,
                                           BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE)
          : NULL;
  if (!client)
    fail("no memory for a connection");
  bufferevent_setcb(client, on_data, on_room, on_event, NULL);
  bufferevent_setwatermark(client, EV_WRITE, on_room == nothing ? 0 : LEAST, 0);
  (void)bufferevent_set_max_single_read(client, ONCE);
  (void)bufferevent_set_max_single_write(client, ONCE);
  (void)bufferevent_enable(client, EV_READ | EV_WRITE);
}

static void set_up_tls(const char *key, const char *cert, bool old) {
  int version = old ? TLS1_2_VERSION : TLS1_3_VERSION;
  ctx = SSL_CTX_new(TLS_server_method());
  if (!ctx || SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
      !SSL_CTX_set1_groups_list(ctx, "X25519") ||
      !SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") ||
      !SSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256") ||
      !SSL_CTX_set_min_proto_version(ctx, version) || !SSL_CTX_set_max_proto_version(ctx, version))
    fail("OpenSSL cannot be set up");
  (void)SSL_CTX_set_num_tickets(ctx, 1);
  (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  (void)SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"bench", 5);
  (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
}

/* -- the process ------------------------------------------------------------------------------- */

static void on_input(evutil_socket_t fd, short what, void *base) {
  char room[64];
  (void)what;
  if (read(fd, room, sizeof room) <= 0)
    (void)event_base_loopbreak(base);
}

static int listener_port(struct evconnlistener *listener) {
  struct sockaddr_in address;
  socklen_t size = sizeof address;
  if (getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &size) < 0)
    fail("getsockname");
  return ntohs(address.sin_port);
}

int main(int argc, char **argv) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const char *what = "echo";
  bool old = false;
  if (argc < 3)
    fail("usage: libevent KEY CERT [echo|sink|source] [tls1.2] [writes=N]");
  for (int i = 3; i < argc; i++) {
    if (!strcmp(argv[i], "tls1.2"))
      old = true;
    else if (!strncmp(argv[i], "writes=", 7))
      write_size = (size_t)atoi(argv[i] + 7);
    else
      what = argv[i];
  }
  if (write_size < 1 || write_size > WRITE_MAX)
    fail("writes= wants 1 to 65536 bytes");
  (void)signal(SIGPIPE, SIG_IGN);
  choose(what);
  set_up_tls(argv[1], argv[2], old);
  struct event_base *base = event_base_new();
  struct evconnlistener *listener =
      base ? evconnlistener_new_bind(base, on_accepted, NULL, LEV_OPT_CLOSE_ON_FREE, 4096,
                                     (struct sockaddr *)&address, sizeof address)
           : NULL;
  struct event *input =
      base ? event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, base) : NULL;
  if (!listener || !input || event_add(input, NULL) < 0)
    fail("cannot listen");
  (void)printf("%d\n", listener_port(listener));
  (void)fflush(stdout);
  return event_base_dispatch(base) < 0;
}
