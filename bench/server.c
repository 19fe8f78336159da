/*
 * The server of `./run bench latency`: it echoes. Prints its port; ends when its input ends.
 *
 *     server KEY CERT [workers] [handshakes=N] [accepts=N]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <securepair.h>

static void on_secure(sp_stream_t *stream, int status) {
  if (status == 0)
    (void)sp_stream_pipe(stream, stream);
}

static void on_input(uv_poll_t *poll, int status, int events) {
  char room[64];
  (void)status, (void)events;
  if (read(STDIN_FILENO, room, sizeof room) <= 0)
    uv_stop(poll->loop);
}

static int number_after(const char *word, const char *name) {
  size_t n = strlen(name);
  return strncmp(word, name, n) ? 0 : atoi(word + n);
}

int main(int argc, char **argv) {
  uv_loop_t *loop = uv_default_loop();
  uv_poll_t input;
  sp_server_t *server;
  sp_error_t why;
  sp_options_t options = *SP_OPTIONS(.key_file = argv[1], .cert_file = argv[2], .groups = "X25519");
  for (int i = 3; i < argc; i++) {
    if (!strcmp(argv[i], "workers"))
      options.handshake_workers = SP_YES;
    options.handshakes_per_turn += number_after(argv[i], "handshakes=");
    options.accepts_per_turn += number_after(argv[i], "accepts=");
  }
  if (sp_server_new(&server, loop, on_secure, &why, &options) < 0 ||
      sp_server_listen(server, "127.0.0.1", 0, &why) < 0)
    return (void)sp_error_print(stderr, &why), 1;
  (void)printf("%d\n", sp_server_port(server));
  (void)fflush(stdout);
  (void)uv_poll_init(loop, &input, STDIN_FILENO);
  (void)uv_poll_start(&input, UV_READABLE, on_input);
  return uv_run(loop, UV_RUN_DEFAULT) < 0;
}
