/*
 * A TLS server that tells how it is doing: every client gets its counters as Prometheus reads them.
 *
 *     metrics-server PORT KEY CERT     (port 0: any free one)
 *     curl --cacert server-cert.pem https://localhost:PORT/metrics
 *
 * Clients that fail are counted, too, by the reason why.
 */
#include <securepair.h>
#include <stdlib.h>
#include <string.h>

static void send_counters(sp_stream_t *stream) {
  static const char head[] = "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\r\n";
  sp_server_counters_t counters = {.size = sizeof counters};
  char *text = NULL;
  size_t n = 0;
  FILE *memory = open_memstream(&text, &n);
  bool fine = memory && sp_server_counters(sp_stream_server(stream), &counters) == 0 &&
              sp_counters_print(memory, &counters, NULL, 1) == 0;
  if (memory && fclose(memory) != 0)
    fine = false;
  if (fine && sp_stream_send(stream, head, strlen(head)) >= 0 &&
      sp_stream_send(stream, text, n) >= 0)
    sp_stream_end(stream);
  else
    sp_stream_destroy(stream);
  free(text);
}

/* Whatever is asked for, once it asked: the first bytes do. */
static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  (void)bytes, (void)n;
  sp_stream_on(stream, NULL, NULL);
  send_counters(stream);
}

static void on_secure(sp_stream_t *stream, int status) {
  if (status < 0)
    sp_error_print(stderr, sp_stream_error(stream));
  else
    sp_stream_on(stream, &(sp_stream_events_t){.data = on_data}, NULL);
}

int main(int argc, char **argv) {
  sp_server_t *server;
  sp_error_t why;
  int port;
  char rest;
  if (argc != 4 || sscanf(argv[1], "%5d%c", &port, &rest) != 1)
    return fprintf(stderr, "usage: metrics-server PORT KEY CERT\n"), 2;
  if (sp_server_new(&server, uv_default_loop(), on_secure, &why,
                    SP_OPTIONS(.key_file = argv[2], .cert_file = argv[3])) < 0 ||
      sp_server_listen(server, NULL, port, &why) < 0)
    return sp_error_print(stderr, &why), 1;
  printf("listening on port %d\n", sp_server_port(server));
  fflush(stdout);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
