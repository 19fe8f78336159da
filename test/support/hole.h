/* A port that gives no answer: whoever connects waits for ever, since the queue of those who are
 * accepted next is full. */
#ifndef TEST_SUPPORT_HOLE_H
#define TEST_SUPPORT_HOLE_H

#include <netinet/in.h>

typedef struct hole {
  int fds[9];
  int port;
} hole_t;

/* A socket that is bound to an address and port (0: any free one) of IPv4. */
int hole_bind(const char *host, int port, struct sockaddr_in *at);

void hole_dig(hole_t *hole, const char *host, int port);
void hole_fill(const hole_t *hole); /* it is over */

#endif
