/*
 * TLS in, plain out: gives a server that knows no TLS a secure door.
 *
 *     proxy LISTEN-PORT HOST PORT KEY CERT     (listen port 0: any free one)
 *     proxy 8443 127.0.0.1 8080 server-key.pem server-cert.pem
 */
#include <netdb.h>
#include <securepair.h>
#include <stdlib.h>

static struct addrinfo *backend; /* the addresses of HOST; the first one is used */

struct link { /* to the backend; plain.data is the client's stream, whose data is plain */
  uv_tcp_t plain;
  uv_connect_t request;
};

static void on_closed(uv_handle_t *plain) { free(plain); }

static void on_done(uv_stream_t *plain, int status) {
  sp_stream_t *client = plain->data; /* NULL: gone */
  if (client)
    sp_stream_set_data(client, NULL);
  if (client && status < 0)
    sp_stream_destroy(client);
  uv_close((uv_handle_t *)plain, on_closed);
}

static void on_connected(uv_connect_t *request, int status) {
  uv_stream_t *plain = request->handle;
  if (status < 0)
    fprintf(stderr, "backend: %s\n", uv_strerror(status));
  else if (!plain->data)
    status = UV_ECANCELED;
  else
    status = sp_stream_pipe_plain(plain->data, plain, SP_PIPE_BOTH, on_done);
  if (status < 0)
    on_done(plain, status);
}

static void on_client_closed(sp_stream_t *client) {
  uv_stream_t *plain = sp_stream_data(client);
  if (plain)
    plain->data = NULL;
}

static void on_secure(sp_stream_t *client, int status) {
  if (status < 0) {
    sp_error_print(stderr, sp_stream_error(client));
    return;
  }
  struct link *link = malloc(sizeof *link);
  if (!link) {
    sp_stream_destroy(client);
    return;
  }
  uv_tcp_init(sp_stream_loop(client), &link->plain);
  link->plain.data = client;
  sp_stream_on(client, &(sp_stream_events_t){.close = on_client_closed}, &link->plain);
  status = uv_tcp_connect(&link->request, &link->plain, backend->ai_addr, on_connected);
  if (status < 0)
    on_done((uv_stream_t *)&link->plain, status);
}

static bool read_port(const char *text, int *port) {
  char rest;
  return sscanf(text, "%5d%c", port, &rest) == 1 && *port >= 0 && *port <= 65535;
}

int main(int argc, char **argv) {
  sp_server_t *server;
  sp_error_t why;
  int port, backend_port;
  if (argc != 6 || !read_port(argv[1], &port) || !read_port(argv[3], &backend_port))
    return fprintf(stderr, "usage: proxy LISTEN-PORT HOST PORT KEY CERT\n"), 2;
  int status =
      getaddrinfo(argv[2], argv[3], &(struct addrinfo){.ai_socktype = SOCK_STREAM}, &backend);
  if (status != 0)
    return fprintf(stderr, "%s port %s: %s\n", argv[2], argv[3], gai_strerror(status)), 1;
  if (sp_server_new(&server, uv_default_loop(), on_secure, &why,
                    SP_OPTIONS(.key_file = argv[4], .cert_file = argv[5])) < 0 ||
      sp_server_listen(server, NULL, port, &why) < 0)
    return sp_error_print(stderr, &why), 1;
  printf("listening on port %d\n", sp_server_port(server));
  fflush(stdout);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
