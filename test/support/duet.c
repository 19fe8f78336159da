#include "duet.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>

#include "context/context.h"

static void insist(int condition, const char *what) {
  if (condition)
    return;
  fprintf(stderr, "duet: %s failed\n", what);
  ERR_print_errors_fp(stderr);
  abort();
}

duet_t duet_make(sp_context_t *client, sp_context_t *server) {
  duet_t duet = {SSL_new(sp_context_ssl_ctx(client)), SSL_new(sp_context_ssl_ctx(server))};
  BIO *one = NULL, *other = NULL;
  insist(duet.client && duet.server && BIO_new_bio_pair(&one, 0, &other, 0), "SSL_new");
  SSL_set_bio(duet.client, one, one);
  SSL_set_bio(duet.server, other, other);
  SSL_set_connect_state(duet.client);
  SSL_set_accept_state(duet.server);
  insist(!sp__context_apply(client, duet.client, SP_CLIENT, false), "apply to the client");
  insist(!sp__context_apply(server, duet.server, SP_SERVER, false), "apply to the server");
  return duet;
}

/* 1: done; 0: waits; -1: failed. */
static int turn(SSL *ssl) {
  ERR_clear_error();
  int result = SSL_do_handshake(ssl);
  if (result == 1)
    return 1;
  int error = SSL_get_error(ssl, result);
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ||
                 error == SSL_ERROR_WANT_ASYNC
             ? 0
             : -1;
}

/* Without SSL_MODE_AUTO_RETRY a ticket on the way makes SSL_read come back empty-handed. */
static int carry(SSL *from, SSL *to) {
  char byte;
  if (SSL_write(from, "x", 1) != 1)
    return 0;
  for (int i = 0; i < 8; i++)
    if (SSL_read(to, &byte, 1) == 1)
      return 1;
  return 0;
}

/* A TLS 1.3 client is through before the server has looked at its certificate: only a byte from
 * there says that all is well. It also carries the tickets over. */
static int greet(duet_t *duet) {
  return carry(duet->server, duet->client) && carry(duet->client, duet->server) ? 1 : -1;
}

int duet_step(duet_t *duet) {
  int client = turn(duet->client), server = turn(duet->server);
  if (client < 0 || server < 0)
    return -1;
  return client && server ? greet(duet) : 0;
}

int duet_run(duet_t *duet) {
  for (int i = 0; i < 100; i++) {
    int result = duet_step(duet);
    if (result)
      return result;
  }
  return -1;
}

void duet_free(duet_t *duet) {
  SSL_free(duet->client);
  SSL_free(duet->server);
  *duet = (duet_t){NULL, NULL};
}
