/* How other protocols turn to TLS: what a client says and hears before it. No input or output here.
 */
#ifndef CLI_STARTTLS_H
#define CLI_STARTTLS_H

#include "cli.h"

#define CLI_TALK_ROOM 8192

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
  uint8_t bytes[CLI_TALK_ROOM]; /* heard, and not understood yet */
  size_t n;
  char reply[512];
  size_t reply_size;
  char error[200];
} cli_talk_t;

/* NULL: not known. */
const cli_protocol_t *cli_protocol_find(const char *name);
int cli_protocol_port(const cli_protocol_t *protocol);
const char *cli_protocol_names(void); /* "smtp, imap, ..." */

/* Begins: MORE or SEND. */
cli_step_t cli_talk_begin(cli_talk_t *talk, const cli_protocol_t *protocol, const char *host);

/* Takes what the server said. After SEND call it again without bytes. */
cli_step_t cli_talk_hear(cli_talk_t *talk, const void *bytes, size_t n);

#endif
