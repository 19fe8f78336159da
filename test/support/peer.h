/* A peer in a thread of its own: OpenSSL on a blocking socket, nothing of ours. */
#ifndef TEST_SUPPORT_PEER_H
#define TEST_SUPPORT_PEER_H

#include <openssl/ssl.h>
#include <securepair/context.h>
#include <uv.h>

typedef struct peer peer_t;
struct peer {
  SSL *ssl;
  int fd, port;
  sp_role_t role;
  sp_protocol_t version;
  void (*play)(peer_t *peer); /* what it does once it is secure */
  void *data;
  int rounds;     /* connections one after the other */
  uv_sem_t *gate; /* waited for before each of them; may be NULL */
  uv_thread_t thread;
};

/* A client goes to `port`; a server listens on a free one and puts it into `port`. */
void peer_start(peer_t *peer);
void peer_join(peer_t *peer);

/* In `play`: all of it, or the process ends. */
void peer_write(peer_t *peer, const void *bytes, size_t n);
void peer_read(peer_t *peer, void *room, size_t n);
void peer_read_end(peer_t *peer); /* reads and drops until the other side ends */

int peer_dial(int port); /* a connected blocking socket on 127.0.0.1 */

#endif
