/* Standard input to a stream, and the stream to standard output. */
#ifndef CLI_PUMP_H
#define CLI_PUMP_H

#include "cli.h"

typedef struct cli_pump cli_pump_t;

/* Input has come to its end; `sent`: and there was some. */
typedef void (*cli_pump_end_t)(sp_stream_t *stream, bool sent);

/* There was no memory for a piece of it, which is lost; the stream lives. */
typedef void (*cli_pump_loss_t)(sp_stream_t *stream);

/* Begins to read standard input and send it, with `crlf` each newline as CR LF; NULL: no memory.
 * The stream's `drain` goes to cli_pump_drained. */
cli_pump_t *cli_pump_start(uv_loop_t *loop, sp_stream_t *stream, bool crlf, cli_pump_end_t on_end,
                           cli_pump_loss_t on_loss);
void cli_pump_drained(cli_pump_t *pump);

/* The stream is gone: reads no more. Frees the pump once its handle is closed. NULL is fine. */
void cli_pump_stop(cli_pump_t *pump);

/* Writes all to standard output, waiting as long as it takes. Answers an exit status. */
int cli_put(const void *bytes, size_t n);

#endif
