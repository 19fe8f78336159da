/*
 * TLS in, plain out: gives a server that knows no TLS a secure door.
 *
 *     proxy LISTEN-PORT HOST PORT KEY CERT     (listen port 0: any free one)
 *     proxy 8443 127.0.0.1 8080 server-key.pem server-cert.pem
 */
#include <netdb.h>
#include <securepair.h>
#include <signal.h>
#include <stdlib.h>

static struct addrinfo *backend; /* the addresses of HOST; the first one is used */

struct link {
  uv_tcp_t plain; /* the connection to the backend */
  uv_connect_t request;
  sp_stream_t *stream; /* the client; NULL once it closed */
};

static void on_stream_closed(sp_stream_t *stream) {
  struct link *link = sp_stream_data(stream);
  if (link)
    link->stream = NULL;
}

static void on_plain_closed(uv_handle_t *plain) {
  struct link *link = plain->data;
  if (link->stream)
    sp_stream_set_data(link->stream, NULL);
  free(link);
}

static void on_done(uv_stream_t *plain, int status) {
  struct link *link = plain->data;
  if (status < 0 && link->stream)
    sp_stream_destroy(link->stream);
  uv_close((uv_handle_t *)plain, on_plain_closed);
}

static void on_connected(uv_connect_t *request, int status) {
  struct link *link = request->handle->data;
  if (status < 0)
    fprintf(stderr, "backend: %s\n", uv_strerror(status));
  else if (!link->stream)
    status = UV_ECANCELED;
  else
    status = sp_stream_pipe_plain(link->stream, request->handle, SP_PIPE_BOTH, on_done);
  if (status < 0)
    on_done(request->handle, status);
}

static void on_secure(sp_stream_t *stream, int status) {
  static const sp_stream_events_t events = {.close = on_stream_closed};
  struct link *link = status < 0 ? NULL : calloc(1, sizeof *link);
  if (status < 0)
    sp_error_print(stderr, sp_stream_error(stream));
  if (!link || uv_tcp_init(sp_stream_loop(stream), &link->plain) < 0) {
    free(link);
    sp_stream_destroy(stream);
    return;
  }
  link->stream = stream;
  link->plain.data = link;
  sp_stream_on(stream, &events, link);
  status = uv_tcp_connect(&link->request, &link->plain, backend->ai_addr, on_connected);
  if (status < 0)
    on_done((uv_stream_t *)&link->plain, status);
}

int main(int argc, char **argv) {
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  sp_server_t *server;
  sp_error_t why;
  int port, status;
  char rest;
  if (argc != 6 || sscanf(argv[1], "%5d%c", &port, &rest) != 1)
    return fprintf(stderr, "usage: proxy LISTEN-PORT HOST PORT KEY CERT\n"), 2;
  if ((status = getaddrinfo(argv[2], argv[3], &hints, &backend)) != 0)
    return fprintf(stderr, "%s port %s: %s\n", argv[2], argv[3], gai_strerror(status)), 1;
  signal(SIGPIPE, SIG_IGN);
  const sp_options_t *options =
      SP_OPTIONS(.key_file = argv[4], .cert_file = argv[5], .half_open = SP_YES);
  if (sp_server_new(&server, uv_default_loop(), on_secure, &why, options) < 0 ||
      sp_server_listen(server, NULL, port, &why) < 0)
    return sp_error_print(stderr, &why), 1;
  printf("listening on port %d\n", sp_server_port(server));
  fflush(stdout);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
