/*
 * TLS in, plain out: gives a server that knows no TLS a secure door.
 *
 *     proxy LISTEN-PORT HOST PORT KEY CERT     (listen port 0: any free one)
 *     proxy 8443 127.0.0.1 8080 server-key.pem server-cert.pem
 */
#include <securepair.h>

static const char *backend;
static int backend_port;

static void on_error(sp_stream_t *client, const sp_error_t *error) {
  (void)client; /* the library closes it; the others do not notice */
  sp_error_print(stderr, error);
}

static void on_secure(sp_stream_t *client, int status) {
  if (status < 0) {
    sp_error_print(stderr, sp_stream_error(client));
    return;
  }
  sp_stream_on(client, &(sp_stream_events_t){.error = on_error}, NULL);
  if (sp_stream_pipe_to(client, backend, backend_port) < 0)
    sp_stream_destroy(client);
}

static bool read_port(const char *text, int *port) {
  char rest;
  return sscanf(text, "%5d%c", port, &rest) == 1 && *port >= 0 && *port <= 65535;
}

int main(int argc, char **argv) {
  sp_server_t *server;
  sp_error_t why;
  int port;
  if (argc != 6 || !read_port(argv[1], &port) || !read_port(argv[3], &backend_port))
    return fprintf(stderr, "usage: proxy LISTEN-PORT HOST PORT KEY CERT\n"), 2;
  backend = argv[2];
  if (sp_server_new(&server, uv_default_loop(), on_secure, &why,
                    SP_OPTIONS(.key_file = argv[4], .cert_file = argv[5])) < 0 ||
      sp_server_listen(server, NULL, port, &why) < 0)
    return sp_error_print(stderr, &why), 1;
  printf("listening on port %d\n", sp_server_port(server));
  fflush(stdout);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
