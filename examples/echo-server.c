/*
 * A TLS server that welcomes every client and then says back whatever it hears.
 *
 *     echo-server [PORT]     (8000 unless told otherwise; 0: any free port)
 *
 * Run it in a folder that holds server-key.pem and server-cert.pem, and talk to it with
 *
 *     openssl s_client -connect 127.0.0.1:8000
 */
#include <securepair.h>

static void on_secure(sp_stream_t *s, int status) { /* always called, authorized or not */
  if (status < 0)
    sp_error_print(stderr, sp_stream_error(s)); /* this client failed; the others do not notice */
  else if (sp_stream_send(s, "welcome!\n", 9) < 0 || sp_stream_pipe(s, s) < 0)
    sp_stream_destroy(s);
}

int main(int argc, char **argv) {
  sp_server_t *server;
  sp_error_t why;
  int port = 8000;
  char rest;
  if (argc > 2 || (argc == 2 && sscanf(argv[1], "%5d%c", &port, &rest) != 1))
    return fprintf(stderr, "usage: echo-server [PORT]\n"), 2;
  if (sp_server_new(&server, uv_default_loop(), on_secure, &why,
                    SP_OPTIONS(.key_file = "server-key.pem", .cert_file = "server-cert.pem")) < 0 ||
      sp_server_listen(server, NULL, port, &why) < 0)
    return sp_error_print(stderr, &why), 1;
  printf("listening on port %d\n", sp_server_port(server));
  fflush(stdout);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
