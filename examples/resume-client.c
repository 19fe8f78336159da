/*
 * A TLS client that connects twice and says whether the second connection was resumed.
 *
 *     resume-client HOST PORT [CA-FILE]
 *     resume-client example.org 443
 *
 * CA-FILE holds the certificates to trust (PEM); without it the system's roots are trusted. Nothing
 * is done for resuming: sp_connect keeps sessions by itself. All there is to do is to stay until
 * the session has come, which in TLS 1.3 is after the handshake, with the first bytes of the
 * server's. Ends with 0 if the second connection was resumed, with 3 if not, and with 1 after an
 * error.
 */
#include <securepair.h>

#define PATIENCE 2000 /* milliseconds to wait for a session */

static struct {
  const char *host, *ca_file;
  int port, connections, exit_status;
} client;

static int connect_once(void);

static void on_secure(sp_stream_t *stream, int status) {
  sp_pair_t *pair = sp_stream_pair(stream);
  if (status < 0) {
    sp_error_print(stderr, sp_stream_error(stream));
    client.exit_status = 1;
    return;
  }
  bool resumed = sp_pair_is_resumed(pair);
  printf("connection %d: %s, %s\n", client.connections, sp_pair_version(pair),
         resumed ? "resumed" : "full handshake");
  if (client.connections < 2)
    return;
  client.exit_status = resumed ? 0 : 3;
  sp_stream_end(stream);
}

/* It is kept: this connection has done what it was for. */
static void on_session(sp_stream_t *stream, const void *bytes, size_t n) {
  (void)bytes;
  printf("connection %d: a session of %zu bytes came\n", client.connections, n);
  sp_stream_end(stream);
}

/* Without a listener nothing is read, and the ticket of TLS 1.3 stays unread, too. */
static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  (void)stream, (void)bytes, (void)n;
}

static void on_timeout(sp_stream_t *stream) {
  printf("connection %d: no session came\n", client.connections);
  sp_stream_end(stream);
}

static void on_error(sp_stream_t *stream, const sp_error_t *error) {
  (void)stream;
  sp_error_print(stderr, error);
  client.exit_status = 1;
}

static void on_close(sp_stream_t *stream) {
  (void)stream;
  if (client.exit_status == 0 && client.connections < 2)
    client.exit_status = connect_once();
}

static int connect_once(void) {
  static const sp_stream_events_t events = {
      .data = on_data,
      .session = on_session,
      .timeout = on_timeout,
      .error = on_error,
      .close = on_close,
  };
  sp_stream_t *stream;
  sp_error_t why;
  client.connections++;
  if (sp_connect(&stream, uv_default_loop(), on_secure, &why,
                 SP_OPTIONS(.host = client.host, .port = client.port,
                            .ca_files = client.ca_file ? SP_LIST(client.ca_file) : NULL,
                            .idle_timeout = PATIENCE)) < 0)
    return sp_error_print(stderr, &why), 1;
  sp_stream_on(stream, &events, NULL);
  return 0;
}

int main(int argc, char **argv) {
  char rest;
  if (argc < 3 || argc > 4 || sscanf(argv[2], "%5d%c", &client.port, &rest) != 1)
    return fprintf(stderr, "usage: resume-client HOST PORT [CA-FILE]\n"), 2;
  client.host = argv[1];
  client.ca_file = argc > 3 ? argv[3] : NULL;
  client.exit_status = connect_once();
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  uv_loop_close(uv_default_loop());
  return client.exit_status;
}
