/*
 * A peer with OpenSSL on a socket of the fixture's loop and nothing of ours, which sees what is
 * really sent, and sends what a well-behaved peer would not.
 */
#ifndef TEST_SUPPORT_BARE_H
#define TEST_SUPPORT_BARE_H

#include <openssl/ssl.h>

#include "support/fixture.h"

typedef struct bare bare_t;
struct bare {
  fixture_t *fixture;
  SSL *ssl;
  int fd, listener; /* -1: none */
  int port;         /* of the listener */
  uv_poll_t poll;
  void (*on_secure)(bare_t *bare); /* may be NULL */
  void (*on_end)(bare_t *bare);    /* the other side ended, either way; may be NULL */
  void *data;                      /* yours */
  const uint8_t *pattern;          /* what should come; NULL: anything */
  size_t received;
  size_t to_send; /* bytes of the pattern still to be sent; see bare_send */
  const uint8_t *sending;
  bool then_notify; /* once they are sent: close_notify and FIN */
  bool secure;
  bool notified; /* a close_notify came */
  bool fin;      /* and then a FIN, with nothing in between */
  bool stray;    /* bytes came after the close_notify */
  int error;     /* errno of the transport; ENODATA: FIN without close_notify; EPROTO: TLS */
  bool closed, told;
};

/* A client of the fixture's server; a listener for one client at bare->port. Of one version. */
bare_t *bare_connect(fixture_t *f, sp_protocol_t version);
bare_t *bare_listen(fixture_t *f, sp_protocol_t version);

void bare_send(bare_t *bare, const void *bytes, size_t n); /* as fast as they are taken */
void bare_notify(bare_t *bare);                            /* close_notify */
void bare_fin(bare_t *bare);                               /* only FIN */
void bare_reset(bare_t *bare);                             /* RST */
void bare_close(bare_t *bare); /* done by itself when the other side's FIN or RST came */

/* Encrypts n bytes (0: a close_notify), but sends only the first `part` bytes of the record, all
 * when there are fewer. How long the record is. */
size_t bare_send_part(bare_t *bare, const void *bytes, size_t n, size_t part);

void bare_free(bare_t *bare); /* after fixture_run */

#endif
