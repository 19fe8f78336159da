/* Connecting in the clear, and turning to TLS as another protocol does it. */
#ifndef CLI_DIAL_H
#define CLI_DIAL_H

#include "starttls.h"
#include "target.h"

/* The stream, on which TLS has begun, or NULL and why not. Called once. `memory` goes to
 * cli_dial_release in the stream's `close`. */
typedef void (*cli_dialled_t)(void *data, sp_stream_t *stream, const sp_error_t *why, void *memory);

/* `tls` and `target` and what they point to have to live until then. Returns 0; UV_ENOMEM, and then
 * `dialled` is not called. */
int cli_dial(uv_loop_t *loop, const cli_protocol_t *protocol, const cli_target_t *target,
             const sp_options_t *tls, sp_secure_cb on_secure, cli_dialled_t dialled, void *data);

void cli_dial_release(void *memory); /* NULL is fine */

#endif
