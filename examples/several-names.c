/*
 * A TLS server for several names, each with a certificate of its own, that looks at who knocks.
 *
 *     several-names [--refuse JA4] PORT KEY CERT [NAME KEY CERT]...      (port 0: any free one)
 *     several-names 8000 key.pem cert.pem mail.example mail-key.pem mail-cert.pem
 *     openssl s_client -quiet -connect 127.0.0.1:PORT -servername mail.example -alpn h2,http/1.1
 *
 * A NAME may be "*.example". The first KEY and CERT are for clients that ask for another name, or
 * for none. What a client says first, before anything is decided, goes to standard output: the name
 * that it asks for, and the fingerprint of its kind, which --refuse knows again.
 */
#include <securepair.h>
#include <string.h>

/* Called with a client's first message. It might as well choose a context (sp_pair_use_context), or
 * answer SP_PENDING and ask somebody else first. */
static int on_client_hello(sp_pair_t *pair, const sp_client_hello_t *hello, void *refused) {
  char fingerprint[SP_FINGERPRINT_SIZE];
  int status = sp_pair_fingerprint(pair, fingerprint, sizeof fingerprint);
  if (status < 0)
    return status;
  printf("%s asks for %.*s\n", fingerprint, (int)hello->server_name_size,
         hello->server_name ? hello->server_name : "");
  fflush(stdout);
  if (!refused || strcmp(fingerprint, refused) != 0)
    return 0;
  sp_pair_refuse(pair, 49); /* access_denied */
  return SP_EREFUSED;
}

/* The first protocol of ours that the client offers, too, was agreed on (option alpn); a client
 * that offers only others was refused, one that offers none was not. */
static void on_secure(sp_stream_t *stream, int status) {
  char answer[400];
  if (status < 0) {
    sp_error_print(stderr, sp_stream_error(stream));
    return;
  }
  const sp_pair_t *pair = sp_stream_pair(stream);
  const char *protocol = sp_pair_protocol(pair, NULL);
  snprintf(answer, sizeof answer, "you asked for %s and speak %s\n", sp_pair_server_name(pair),
           *protocol ? protocol : "whatever you like");
  if (sp_stream_send(stream, answer, strlen(answer)) < 0)
    sp_stream_destroy(stream);
  else
    sp_stream_end(stream);
}

/* Also while the server runs: that is how a certificate is exchanged. */
static int add_name(sp_server_t *server, char **name_key_cert, sp_error_t *why) {
  sp_context_t *context;
  int status =
      sp_context_new(&context, why,
                     SP_OPTIONS(.key_file = name_key_cert[1], .cert_file = name_key_cert[2],
                                .alpn = SP_LIST("h2", "http/1.1")));
  if (status < 0)
    return status;
  status = sp_server_add_context(server, name_key_cert[0], context);
  sp_context_release(context); /* the server has its own reference */
  if (status < 0)
    *why = (sp_error_t){.status = status, .text = "a name is a host name, or *. and a host name"};
  return status;
}

static int run(int port, int count, char **files, void *refused) {
  sp_server_t *server;
  sp_error_t why;
  int status = sp_server_new(
      &server, uv_default_loop(), on_secure, &why,
      SP_OPTIONS(.key_file = files[0], .cert_file = files[1], .alpn = SP_LIST("h2", "http/1.1"),
                 .hooks.client_hello = on_client_hello, .hooks_data = refused));
  for (int i = 2; !status && i + 2 < count; i += 3)
    status = add_name(server, files + i, &why);
  if (status < 0 || sp_server_listen(server, NULL, port, &why) < 0)
    return sp_error_print(stderr, &why), 1;
  printf("listening on port %d\n", sp_server_port(server));
  fflush(stdout);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

int main(int argc, char **argv) {
  void *refused = NULL;
  int port;
  char rest;
  if (argc > 2 && strcmp(argv[1], "--refuse") == 0) {
    refused = argv[2];
    argc -= 2;
    argv += 2;
  }
  if (argc < 4 || (argc - 4) % 3 || sscanf(argv[1], "%5d%c", &port, &rest) != 1)
    return fprintf(stderr,
                   "usage: several-names [--refuse JA4] PORT KEY CERT [NAME KEY CERT]...\n"),
           2;
  return run(port, argc - 2, argv + 2, refused);
}
