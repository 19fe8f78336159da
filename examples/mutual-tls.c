/*
 * A TLS server that asks its clients for a certificate and greets by name those it can authorize.
 *
 *     mutual-tls PORT KEY CERT CA [--reject]     (port 0: any free one)
 *     openssl s_client -quiet -connect 127.0.0.1:PORT -key client-key.pem -cert client-cert.pem
 *
 * CA is the file of the authority whose clients are authorized. The others are told why they are
 * not; with --reject they are refused inside the handshake and only this server's standard error
 * knows more than the alert says.
 */
#include <securepair.h>
#include <string.h>

/* The common name of the client's certificate, for a greeting. */
static void copy_name(sp_stream_t *stream, char *room, size_t size) {
  sp_certificate_t *certificate;
  snprintf(room, size, "whoever you are");
  if (sp_pair_peer_certificate(sp_stream_pair(stream), &certificate) < 0)
    return;
  const char *name = sp_certificate_attribute(certificate, SP_SUBJECT, "CN");
  if (name)
    snprintf(room, size, "%s", name);
  sp_certificate_release(certificate);
}

static void on_secure(sp_stream_t *stream, int status) {
  char name[256], answer[600];
  if (status < 0) {
    sp_error_print(stderr, sp_stream_error(stream));
    return;
  }
  if (sp_stream_is_authorized(stream)) {
    copy_name(stream, name, sizeof name);
    snprintf(answer, sizeof answer, "hello, %s!\n", name);
  } else {
    snprintf(answer, sizeof answer, "not authorized: %s (%s)\n",
             sp_stream_authorization_error(stream), sp_pair_verdict(sp_stream_pair(stream))->text);
  }
  if (sp_stream_send(stream, answer, strlen(answer)) < 0)
    sp_stream_destroy(stream);
  else
    sp_stream_end(stream);
}

int main(int argc, char **argv) {
  sp_server_t *server;
  sp_error_t why;
  bool reject = argc == 6 && strcmp(argv[5], "--reject") == 0;
  int port;
  char rest;
  if ((argc != 5 && !reject) || sscanf(argv[1], "%5d%c", &port, &rest) != 1)
    return fprintf(stderr, "usage: mutual-tls PORT KEY CERT CA [--reject]\n"), 2;
  if (sp_server_new(&server, uv_default_loop(), on_secure, &why,
                    SP_OPTIONS(.key_file = argv[2], .cert_file = argv[3],
                               .ca_files = SP_LIST(argv[4]), .request_cert = SP_YES,
                               .reject_unauthorized = reject ? SP_YES : SP_NO)) < 0 ||
      sp_server_listen(server, NULL, port, &why) < 0)
    return sp_error_print(stderr, &why), 1;
  printf("listening on port %d\n", sp_server_port(server));
  fflush(stdout);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
