/* Two SSLs of two contexts that talk to each other in memory, without pairs. */
#ifndef TEST_SUPPORT_DUET_H
#define TEST_SUPPORT_DUET_H

#include <openssl/ssl.h>

#include <securepair/context.h>

typedef struct duet {
  SSL *client, *server;
} duet_t;

/* Both ends with their context applied. A failure ends the test. */
duet_t duet_make(sp_context_t *client, sp_context_t *server);

/* One step of both ends' handshakes and, once done, a byte each way. 1: both are through; 0: go on;
 * -1: one failed. */
int duet_step(duet_t *duet);

/* Steps until done: 1 or -1. */
int duet_run(duet_t *duet);

void duet_free(duet_t *duet);

#endif
