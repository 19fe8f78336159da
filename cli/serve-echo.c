/* The seed's server: "welcome!", and then all comes back. */
#include "serve.h"

static void on_close(sp_stream_t *stream) { cli_connection_closed(sp_stream_data(stream)); }

static const sp_stream_events_t events = {.timeout = cli_connection_timeout, .close = on_close};

static void open_echo(cli_connection_t *c) {
  sp_stream_on(c->stream, &events, c);
  (void)sp_stream_send(c->stream, "welcome!\n", 9);
  (void)sp_stream_pipe(c->stream, c->stream);
}

static void drain_echo(cli_connection_t *c) { sp_stream_end(c->stream); }

const cli_service_t cli_echo = {.name = "echo", .open = open_echo, .drain = drain_echo};
