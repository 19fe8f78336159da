/*
 * Our server of the benchmarks.
 *
 *     SERVER KEY CERT [echo|sink|source] [tls1.2] [writes=N] [workers] [handshakes=N] [accepts=N]
 *
 * All servers here have this command line; what concerns only ours, the last three, others pass
 * over. Listens on 127.0.0.1 on a free port, prints the port, and ends when its input ends. What a
 * client sends it says back (echo), reads and drops (sink), or it sends by itself as fast as the
 * client takes it, in writes of 16 KiB or N bytes until the client ends (source). Speaks TLS 1.3
 * and nothing else, or TLS 1.2; X25519 (P-256 only since TLS 1.2 wants the curve of a certificate
 * listed), one ticket, no cache of sessions, the certificate as it is in the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <securepair.h>

#define WRITE_MAX 65536

static size_t write_size = 16384;
static enum { ECHOES, DROPS, POURS } mode;

static void drop(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  (void)stream, (void)bytes, (void)n;
}

/* As much as is taken; the rest at the next drain. */
static void pour(sp_stream_t *stream) {
  static const char bytes[WRITE_MAX];
  while (sp_stream_send(stream, bytes, write_size) == 1)
    ;
}

static void on_secure(sp_stream_t *stream, int status) {
  static const sp_stream_events_t events = {.data = drop, .drain = pour};
  if (status < 0)
    return;
  if (mode == ECHOES)
    (void)sp_stream_pipe(stream, stream);
  else
    sp_stream_on(stream, &events, NULL);
  if (mode == POURS)
    pour(stream);
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

static void take_word(sp_options_t *options, const char *word) {
  if (!strcmp(word, "sink"))
    mode = DROPS;
  if (!strcmp(word, "source"))
    mode = POURS;
  if (!strcmp(word, "tls1.2"))
    options->min_version = options->max_version = SP_TLS1_2;
  if (!strcmp(word, "workers"))
    options->handshake_workers = SP_YES;
  if (number_after(word, "writes=") > 0 && number_after(word, "writes=") <= WRITE_MAX)
    write_size = (size_t)number_after(word, "writes=");
  options->handshakes_per_turn += number_after(word, "handshakes=");
  options->accepts_per_turn += number_after(word, "accepts=");
}

int main(int argc, char **argv) {
  uv_loop_t *loop = uv_default_loop();
  uv_poll_t input;
  sp_server_t *server;
  sp_error_t why;
  sp_options_t options =
      *SP_OPTIONS(.key_file = argv[1], .cert_file = argv[2], .groups = "X25519:P-256",
                  .min_version = SP_TLS1_3, .max_version = SP_TLS1_3);
  for (int i = 3; i < argc; i++)
    take_word(&options, argv[i]);
  if (sp_server_new(&server, loop, on_secure, &why, &options) < 0 ||
      sp_server_listen(server, "127.0.0.1", 0, &why) < 0)
    return (void)sp_error_print(stderr, &why), 1;
  (void)printf("%d\n", sp_server_port(server));
  (void)fflush(stdout);
  (void)uv_poll_init(loop, &input, STDIN_FILENO);
  (void)uv_poll_start(&input, UV_READABLE, on_input);
  return uv_run(loop, UV_RUN_DEFAULT) < 0;
}
