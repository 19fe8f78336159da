#include "peer.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "pki.h"

static void insist(int condition, const char *what) {
  if (condition)
    return;
  perror(what);
  ERR_print_errors_fp(stderr);
  abort();
}

int peer_dial(int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  insist(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
  return fd;
}

static int listen_anywhere(int *port) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t size = sizeof at;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  insist(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 64) == 0 &&
             getsockname(fd, (struct sockaddr *)&at, &size) == 0,
         "listen");
  *port = ntohs(at.sin_port);
  return fd;
}

static SSL_CTX *credentials(const peer_t *peer) {
  const pki_set_t *pki = pki_default();
  SSL_CTX *ctx = SSL_CTX_new(peer->role == SP_SERVER ? TLS_server_method() : TLS_client_method());
  insist(ctx && SSL_CTX_set_min_proto_version(ctx, peer->version) &&
             SSL_CTX_set_max_proto_version(ctx, peer->version),
         "SSL_CTX");
  if (peer->role == SP_SERVER)
    insist(SSL_CTX_use_certificate(ctx, pki->server->x509) &&
               SSL_CTX_use_PrivateKey(ctx, pki->server->key),
           "credentials");
  return ctx;
}

static void play(peer_t *peer, SSL_CTX *ctx) {
  int on = 1;
  (void)setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  peer->ssl = SSL_new(ctx);
  insist(peer->ssl && SSL_set_fd(peer->ssl, peer->fd), "SSL_new");
  insist((peer->role == SP_SERVER ? SSL_accept : SSL_connect)(peer->ssl) == 1, "handshake");
  if (peer->play)
    peer->play(peer);
  (void)SSL_shutdown(peer->ssl);
  SSL_free(peer->ssl);
  close(peer->fd);
}

static void run(void *data) {
  peer_t *peer = data;
  SSL_CTX *ctx = credentials(peer);
  int listener = peer->role == SP_SERVER ? peer->fd : -1;
  for (int i = 0; i < peer->rounds; i++) {
    if (peer->gate)
      uv_sem_wait(peer->gate);
    peer->fd = listener >= 0 ? accept(listener, NULL, NULL) : peer_dial(peer->port);
    insist(peer->fd >= 0, "accept");
    play(peer, ctx);
  }
  if (listener >= 0)
    close(listener);
  SSL_CTX_free(ctx);
}

void peer_start(peer_t *peer) {
  if (!peer->rounds)
    peer->rounds = 1;
  (void)pki_default(); /* made here, not in two threads at once */
  if (peer->role == SP_SERVER)
    peer->fd = listen_anywhere(&peer->port);
  insist(uv_thread_create(&peer->thread, run, peer) == 0, "thread");
}

void peer_join(peer_t *peer) { uv_thread_join(&peer->thread); }

void peer_write(peer_t *peer, const void *bytes, size_t n) {
  size_t wrote;
  insist(SSL_write_ex(peer->ssl, bytes, n, &wrote) == 1 && wrote == n, "SSL_write");
}

void peer_read(peer_t *peer, void *room, size_t n) {
  for (size_t have = 0, got; have < n; have += got)
    insist(SSL_read_ex(peer->ssl, (char *)room + have, n - have, &got) == 1, "SSL_read");
}

void peer_read_end(peer_t *peer) {
  char room[16384];
  while (SSL_read(peer->ssl, room, sizeof room) > 0)
    ;
}
