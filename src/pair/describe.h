/* What a message of the handshake says, in plain words, for people who look at a connection. */
#ifndef SP_PAIR_DESCRIBE_H
#define SP_PAIR_DESCRIBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#define SP__LINE 512 /* bytes of a line with its NUL */

typedef struct sp__message {
  const SSL *ssl;
  int type; /* SSL3_RT_HANDSHAKE, SSL3_RT_ALERT, SSL3_RT_CHANGE_CIPHER_SPEC */
  bool sent;
  const uint8_t *bytes; /* the peer may have sent anything */
  size_t n;
} sp__message_t;

/* Writes one line: no control characters, no secrets. False: there is
 * nothing to tell of such a message. */
bool sp__describe(char line[SP__LINE], const sp__message_t *message);

#endif
