/*
 * A TLS server that sends along with its certificate the proof that it is not revoked: an OCSP
 * response from a file, which something else renews ("openssl ocsp" by the hour, for instance).
 *
 *     staple-server PORT KEY CERT RESPONSE     (port 0: any free one)
 *     openssl s_client -status -connect 127.0.0.1:PORT
 *
 * CERT holds the certificate and the one of its issuer, who must have signed the response. SIGHUP
 * reads all files anew; if one of them is broken, what was in force stays.
 */
#include <securepair.h>
#include <signal.h>
#include <time.h>

static char **files; /* key, certificate, response */

static void say_until(const sp_context_t *context) {
  char text[32];
  time_t until = (time_t)sp_context_staple_until(context);
  strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", gmtime(&until));
  if (until > time(NULL))
    printf("the response is sent until %s UTC\n", text);
  else
    printf("the response was good until %s UTC and is not sent: renew it\n", text);
}

static sp_context_t *read_files(void) {
  sp_context_t *context;
  sp_error_t why;
  if (sp_context_new(&context, &why,
                     SP_OPTIONS(.key_file = files[0], .cert_file = files[1],
                                .staple_files = SP_LIST(files[2]))) < 0) {
    sp_error_print(stderr, &why);
    return NULL;
  }
  say_until(context);
  return context;
}

static void on_signal(uv_signal_t *signal, int number) {
  sp_context_t *context = read_files();
  (void)number;
  if (context)
    sp_server_set_context(signal->data, context); /* live connections keep the one they have */
  else
    puts("what was in force stays");
  fflush(stdout);
  sp_context_release(context);
}

static void on_secure(sp_stream_t *stream, int status) {
  if (status < 0)
    sp_error_print(stderr, sp_stream_error(stream));
  else if (sp_stream_pipe(stream, stream) < 0)
    sp_stream_destroy(stream);
}

int main(int argc, char **argv) {
  static uv_signal_t hangup;
  sp_server_t *server;
  sp_error_t why;
  int port;
  char rest;
  if (argc != 5 || sscanf(argv[1], "%5d%c", &port, &rest) != 1)
    return fprintf(stderr, "usage: staple-server PORT KEY CERT RESPONSE\n"), 2;
  files = argv + 2;
  sp_context_t *context = read_files();
  if (!context)
    return 1;
  int status =
      sp_server_new(&server, uv_default_loop(), on_secure, &why, SP_OPTIONS(.context = context));
  sp_context_release(context);
  if (status < 0 || sp_server_listen(server, NULL, port, &why) < 0)
    return sp_error_print(stderr, &why), 1;
  hangup.data = server;
  uv_signal_init(uv_default_loop(), &hangup);
  uv_signal_start(&hangup, on_signal, SIGHUP);
  printf("listening on port %d\n", sp_server_port(server));
  fflush(stdout);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
