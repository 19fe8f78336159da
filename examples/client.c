/*
 * A TLS client for the command line: what you type goes to the server, what it says comes back.
 *
 *     client HOST PORT [CA-FILE] [--insecure]
 *     echo hello | client localhost 8000 server-cert.pem
 *
 * CA-FILE holds the certificates to trust (PEM); without it the system's roots are trusted. A
 * server that is not authorized is refused, with the reason; --insecure talks to it nevertheless.
 * What is known about the server goes to standard error. Ends with 0 if both sides said all they
 * had to say, and with 1 after any error, an end without close_notify (data may be missing) among
 * them.
 */
#include <securepair.h>
#include <signal.h>
#include <string.h>

static struct {
  const char *host, *port_text, *ca_file;
  bool insecure;
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tty_t tty;
    uv_pipe_t pipe;
  } input;
  bool input_is_file; /* not a terminal or pipe: libuv has no stream for it */
  bool input_is_open;
  char room[16384]; /* what was read last from standard input */
  int exit_status;
} client;

static void say_failure(const sp_error_t *error) {
  sp_error_print(stderr, error);
  client.exit_status = 1;
}

static void say_status(const char *what, int status) {
  fprintf(stderr, "%s: %s\n", what, uv_strerror(status));
  client.exit_status = 1;
}

/* -- standard input to the server ------------------------------------------------------------- */

static void close_input(void) {
  if (!client.input_is_open)
    return;
  client.input_is_open = false;
  if (!client.input_is_file)
    uv_close(&client.input.handle, NULL);
}

static void give_room(uv_handle_t *handle, size_t wish, uv_buf_t *buffer) {
  (void)handle;
  (void)wish;
  *buffer = uv_buf_init(client.room, sizeof client.room);
}

static void on_input(uv_stream_t *input, ssize_t n, const uv_buf_t *buffer) {
  sp_stream_t *stream = input->data;
  if (n < 0) {
    if (n != UV_EOF)
      say_status("standard input", (int)n);
    close_input();
    sp_stream_end(stream); /* half-open: the answer still comes */
    return;
  }
  if (n == 0)
    return;
  int status = sp_stream_send(stream, buffer->base, (size_t)n);
  if (status == 0)
    uv_read_stop(input); /* enough is pending: on_drain goes on */
  else if (status < 0)
    sp_stream_destroy(stream);
}

/* A file answers at once, so it is read right here, as long as the stream takes more. */
static void send_file(sp_stream_t *stream) {
  uv_buf_t buffer = uv_buf_init(client.room, sizeof client.room);
  for (;;) {
    uv_fs_t request;
    int n = uv_fs_read(sp_stream_loop(stream), &request, 0, &buffer, 1, -1, NULL);
    uv_fs_req_cleanup(&request);
    if (n < 0)
      say_status("standard input", n);
    if (n <= 0)
      break;
    int status = sp_stream_send(stream, client.room, (size_t)n);
    if (status == 0)
      return; /* on_drain goes on */
    if (status < 0) {
      sp_stream_destroy(stream);
      return;
    }
  }
  close_input();
  sp_stream_end(stream);
}

static int open_input(sp_stream_t *stream) {
  uv_loop_t *loop = sp_stream_loop(stream);
  uv_handle_type type = uv_guess_handle(0);
  int status = 0;
  client.input_is_file = type != UV_TTY && type != UV_NAMED_PIPE && type != UV_TCP;
  if (type == UV_TTY)
    status = uv_tty_init(loop, &client.input.tty, 0, 1);
  else if (!client.input_is_file)
    status = uv_pipe_init(loop, &client.input.pipe, 0);
  if (status < 0)
    return status;
  client.input_is_open = true;
  client.input.handle.data = stream;
  return client.input_is_file || type == UV_TTY ? 0 : uv_pipe_open(&client.input.pipe, 0);
}

static void go_on_sending(sp_stream_t *stream) {
  if (!client.input_is_open)
    return;
  if (client.input_is_file) {
    send_file(stream);
    return;
  }
  int status = uv_read_start(&client.input.stream, give_room, on_input);
  if (status < 0 && status != UV_EALREADY) {
    say_status("standard input", status);
    sp_stream_destroy(stream);
  }
}

/* -- the server to standard output ------------------------------------------------------------ */

static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  if (fwrite(bytes, 1, n, stdout) == n && fflush(stdout) == 0)
    return;
  perror("standard output");
  client.exit_status = 1;
  sp_stream_destroy(stream);
}

static void on_end(sp_stream_t *stream, int status) {
  if (status < 0) {
    fprintf(stderr, "%s: %s\n", sp_error_name(status), sp_error_text(status));
    client.exit_status = 1;
  }
  close_input();
  sp_stream_end(stream);
}

static void on_error(sp_stream_t *stream, const sp_error_t *error) {
  (void)stream;
  say_failure(error);
}

static void on_close(sp_stream_t *stream) {
  (void)stream;
  close_input();
}

/* -- the verdict ------------------------------------------------------------------------------ */

static void describe(sp_pair_t *pair) {
  sp_certificate_t *certificate;
  fprintf(stderr, "protocol: %s\ncipher: %s\n", sp_pair_version(pair), sp_pair_cipher(pair));
  if (sp_pair_peer_certificate(pair, &certificate) < 0)
    return;
  fprintf(stderr, "certificate: %s\n", sp_certificate_subject(certificate));
  sp_certificate_release(certificate);
}

/* Whether nobody who is trusted vouches for the certificate, which another CA-FILE can change. */
static bool is_about_issuer(const char *reason) {
  return strstr(reason, "SELF_SIGNED_CERT") || strstr(reason, "GET_ISSUER_CERT") ||
         strstr(reason, "VERIFY_LEAF_SIGNATURE");
}

static void refuse(const sp_error_t *error) {
  const char *reason = sp_verify_name(error->verify);
  say_failure(error);
  if (error->status != SP_EUNAUTHORIZED || !reason)
    return;
  if (is_about_issuer(reason))
    fprintf(stderr,
            "If you know this server, give the certificate of its authority (or its own, if it "
            "signed itself):\n  client %s %s CA-FILE\n--insecure talks to it without knowing who "
            "it is.\n",
            client.host, client.port_text);
  else if (strcmp(reason, "ERR_TLS_CERT_ALTNAME_INVALID") == 0)
    fprintf(stderr, "Connect by a name that the certificate is for.\n");
}

static void on_secure(sp_stream_t *stream, int status) {
  if (status < 0) {
    refuse(sp_stream_error(stream));
    return;
  }
  if (sp_stream_is_authorized(stream))
    fprintf(stderr, "verdict: authorized\n");
  else
    fprintf(stderr, "verdict: NOT authorized (%s: %s), going on because of --insecure\n",
            sp_stream_authorization_error(stream), sp_pair_verdict(sp_stream_pair(stream))->text);
  describe(sp_stream_pair(stream));
  status = open_input(stream);
  if (status < 0) {
    say_status("standard input", status);
    close_input();
    sp_stream_destroy(stream);
    return;
  }
  go_on_sending(stream);
}

/* -- start ------------------------------------------------------------------------------------ */

static bool read_arguments(int argc, char **argv, int *port) {
  const char *words[3] = {NULL, NULL, NULL};
  int n = 0;
  char rest;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--insecure") == 0)
      client.insecure = true;
    else if (argv[i][0] == '-' || n == 3)
      return false;
    else
      words[n++] = argv[i];
  }
  client.host = words[0];
  client.port_text = words[1];
  client.ca_file = words[2];
  return n >= 2 && sscanf(words[1], "%5d%c", port, &rest) == 1;
}

int main(int argc, char **argv) {
  static const sp_stream_events_t events = {
      .data = on_data,
      .end = on_end,
      .drain = go_on_sending,
      .error = on_error,
      .close = on_close,
  };
  sp_stream_t *stream;
  sp_error_t why;
  int port;
  if (!read_arguments(argc, argv, &port))
    return fprintf(stderr, "usage: client HOST PORT [CA-FILE] [--insecure]\n"), 2;
  signal(SIGPIPE, SIG_IGN); /* a closed standard output is an error like others */
  if (sp_connect(&stream, uv_default_loop(), on_secure, &why,
                 SP_OPTIONS(.host = client.host, .port = port,
                            .ca_files = client.ca_file ? SP_LIST(client.ca_file) : NULL,
                            .reject_unauthorized = client.insecure ? SP_NO : SP_YES,
                            .half_open = SP_YES)) < 0)
    return sp_error_print(stderr, &why), 1;
  sp_stream_on(stream, &events, NULL);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  uv_loop_close(uv_default_loop());
  return client.exit_status;
}
