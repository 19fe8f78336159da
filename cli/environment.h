/* What a command of `serve --exec` is told of its connection. */
#ifndef CLI_ENVIRONMENT_H
#define CLI_ENVIRONMENT_H

#include "cli.h"

/*
 * Our own environment, with REMOTE_ADDR, REMOTE_PORT, SERVER_ADDR, SERVER_PORT, TLS_PROTOCOL,
 * TLS_CIPHER, TLS_RESUMED (yes or no) and, where they are known, TLS_SERVER_NAME, TLS_ALPN,
 * TLS_CLIENT_VERIFY (NONE, SUCCESS or FAILED:reason), TLS_CLIENT_SUBJECT, TLS_CLIENT_ISSUER,
 * TLS_CLIENT_SERIAL and TLS_CLIENT_SHA256 of this connection; those that were there go. What comes
 * from the client is printable: other bytes are \xHH. NULL: no memory.
 */
char **cli_environment(const sp_stream_t *stream);
void cli_environment_free(char **environment); /* NULL is fine */

#endif
