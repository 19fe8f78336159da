/* An echo server whose certificate is renewed while it runs: reload-server KEY CERT [PORT]
 * It sees by itself that the files were replaced; SIGHUP has it look at once. */
#include <stdio.h>
#include <stdlib.h>

#include <securepair.h>

static void on_secure(sp_stream_t *stream, int status) {
  if (status == 0)
    sp_stream_pipe(stream, stream);
}

static void on_change(sp_watch_t *watch, int status) {
  if (status < 0)
    sp_error_print(stderr, sp_watch_error(watch)); /* and the old certificate stays */
  else
    fprintf(stderr, "a new certificate is in force\n");
}

static void on_hangup(uv_signal_t *handle, int number) {
  (void)number;
  sp_watch_check(handle->data);
}

int main(int argc, char **argv) {
  uv_loop_t *loop = uv_default_loop();
  uv_signal_t hangup;
  sp_watch_t *watch;
  sp_server_t *server;
  sp_error_t why;
  int port = argc > 3 ? atoi(argv[3]) : 8000;
  if (argc < 3) {
    fprintf(stderr, "usage: %s KEY CERT [PORT]\n", argv[0]);
    return 2;
  }
  if (sp_watch_new(&watch, loop, on_change, &why,
                   SP_OPTIONS(.key_file = argv[1], .cert_file = argv[2])) < 0 ||
      sp_server_new(&server, loop, on_secure, &why,
                    SP_OPTIONS(.context = sp_watch_context(watch))) < 0 ||
      sp_server_listen(server, NULL, port, &why) < 0) {
    sp_error_print(stderr, &why);
    return 1;
  }
  sp_server_follow(server, NULL, watch);
  uv_signal_init(loop, &hangup);
  hangup.data = watch;
  uv_signal_start(&hangup, on_hangup, SIGHUP);
  printf("listening on port %d\n", sp_server_port(server));
  fflush(stdout);
  return uv_run(loop, UV_RUN_DEFAULT);
}
