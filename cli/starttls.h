/* How other protocols turn to TLS: what a client says and hears before it. No input or output here.
 */
#ifndef CLI_STARTTLS_H
#define CLI_STARTTLS_H

#include "cli.h"

#define CLI_TALK_ROOM 8192
#define CLI_TALK_MOST 65536 /* bytes that a server may say before TLS */

typedef struct cli_protocol cli_protocol_t;

typedef enum cli_step {
  CLI_STEP_MORE,  /* the server has not said all yet */
  CLI_STEP_SEND,  /* `reply` is to be sent */
  CLI_STEP_READY, /* TLS begins; bytes[0..n) came after the server's word */
  CLI_STEP_FAILED /* `error` says why */
} cli_step_t;

typedef struct cli_talk {
  const cli_protocol_t *protocol;
  const char *host;
  size_t step;
  bool sending;          /* between SEND and cli_talk_sent: what comes meanwhile is only kept */
  bool goes_on, offered; /* the answer being heard has more lines; it offered TLS */
  size_t heard;          /* bytes, in all */
  uint8_t bytes[CLI_TALK_ROOM]; /* heard, and not understood yet */
  size_t n;
  char reply[512];
  size_t reply_size;
  char error[240]; /* what the server said in it is in printable ASCII, the rest as \xHH */
} cli_talk_t;

/* NULL: not known. */
const cli_protocol_t *cli_protocol_find(const char *name);
int cli_protocol_port(const cli_protocol_t *protocol);
const char *cli_protocol_names(void);  /* "smtp, imap, ..." */
const char *cli_protocol_at(int port); /* the name of the one that has this port; NULL: none has */

/* Begins: MORE, SEND or FAILED. `host` is borrowed until the end. */
cli_step_t cli_talk_begin(cli_talk_t *talk, const cli_protocol_t *protocol, const char *host);

/* Takes what the server said, at any time. */
cli_step_t cli_talk_hear(cli_talk_t *talk, const void *bytes, size_t n);

/* `reply` has left. */
cli_step_t cli_talk_sent(cli_talk_t *talk);

#endif
