/*
 * A small line protocol that begins in the clear and becomes secure by STARTTLS, server side.
 *
 *     starttls-server [PORT]     (8025 unless told otherwise; 0: any free port)
 *
 * Reads server-key.pem and server-cert.pem in the folder where it runs. The protocol:
 *
 *     server: 220 ready
 *     CAPA          250 STARTTLS ECHO QUIT       what there is to say, here and now
 *     STARTTLS      220 go ahead                 and the handshake follows
 *     ECHO text     250 text                     only when secure
 *     QUIT          221 bye
 *
 * The point of the example is what becomes of bytes read together with the line "STARTTLS": they
 * go to sp_stream_adopt and nowhere else. The start of a TLS handshake is fine there; anything else
 * was injected by somebody in between, and the library refuses it.
 */
#include <securepair.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 512

struct client {
  uv_tcp_t tcp;
  uv_write_t request; /* one answer in the clear at a time */
  char answer[64];
  sp_stream_t *stream; /* NULL while in the clear */
  bool upgrading, leaving;
  char line[LINE_SIZE]; /* what was read and not understood yet */
  size_t filled;
};

static sp_context_t *context;

static void on_tcp_closed(uv_handle_t *handle) { free(handle->data); }

static void drop(struct client *client) {
  if (!uv_is_closing((uv_handle_t *)&client->tcp))
    uv_close((uv_handle_t *)&client->tcp, on_tcp_closed);
}

/* Takes the first line out of what was read, without its end: false if it is not complete. */
static bool take_line(struct client *client, char *line) {
  char *end = memchr(client->line, '\n', client->filled);
  if (!end)
    return false;
  size_t n = (size_t)(end - client->line);
  memcpy(line, client->line, n);
  line[n > 0 && line[n - 1] == '\r' ? n - 1 : n] = '\0';
  client->filled -= n + 1;
  memmove(client->line, end + 1, client->filled);
  return true;
}

/* -- secure ----------------------------------------------------------------------------------- */

static void answer_secure(struct client *client, const char *line) {
  char answer[LINE_SIZE + 8];
  bool leaving = strcmp(line, "QUIT") == 0;
  if (strncmp(line, "ECHO ", 5) == 0)
    snprintf(answer, sizeof answer, "250 %s\r\n", line + 5);
  else if (strcmp(line, "CAPA") == 0)
    snprintf(answer, sizeof answer, "250 ECHO QUIT\r\n");
  else
    snprintf(answer, sizeof answer, leaving ? "221 bye\r\n" : "500 what?\r\n");
  if (sp_stream_send(client->stream, answer, strlen(answer)) < 0)
    sp_stream_destroy(client->stream);
  if (leaving)
    sp_stream_end(client->stream);
  client->leaving = leaving;
}

static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  struct client *client = sp_stream_data(stream);
  char line[LINE_SIZE];
  while (n > 0 && !client->leaving) {
    size_t room = sizeof client->line - client->filled, part = n < room ? n : room;
    memcpy(client->line + client->filled, bytes, part);
    client->filled += part;
    bytes += part;
    n -= part;
    while (!client->leaving && take_line(client, line))
      answer_secure(client, line);
    if (client->filled == sizeof client->line) { /* a line that has no end */
      sp_stream_destroy(stream);
      return;
    }
  }
}

static void on_error(sp_stream_t *stream, const sp_error_t *error) {
  (void)stream;
  sp_error_print(stderr, error);
}

static void on_close(sp_stream_t *stream) {
  free(sp_stream_data(stream)); /* the handle in it as well: the library closed it */
}

static void on_secure(sp_stream_t *stream, int status) {
  if (status < 0)
    sp_error_print(stderr, sp_stream_error(stream));
}

/* -- in the clear ----------------------------------------------------------------------------- */

static void on_read(uv_stream_t *tcp, ssize_t n, const uv_buf_t *buffer);

static void give_room(uv_handle_t *handle, size_t wish, uv_buf_t *buffer) {
  struct client *client = handle->data;
  (void)wish;
  *buffer =
      uv_buf_init(client->line + client->filled, (unsigned)(sizeof client->line - client->filled));
}

/* "go ahead" is out. Nothing was read since "STARTTLS" and what came with it is in the buffer:
 * the library gets it, this side forgets it. */
static void become_secure(struct client *client) {
  static const sp_stream_events_t events = {.data = on_data, .error = on_error, .close = on_close};
  sp_error_t why;
  size_t already = client->filled;
  client->filled = 0;
  if (sp_stream_adopt(&client->stream, (uv_stream_t *)&client->tcp, SP_SERVER, client->line,
                      already, on_secure, &why, SP_OPTIONS(.context = context)) < 0) {
    sp_error_print(stderr, &why);
    drop(client);
    return;
  }
  sp_stream_on(client->stream, &events, client);
}

static void go_on(struct client *client);

static void on_written(uv_write_t *request, int status) {
  struct client *client = request->handle->data;
  if (status < 0 || client->leaving)
    drop(client);
  else if (client->upgrading)
    become_secure(client);
  else
    go_on(client);
}

static void answer_plain(struct client *client, const char *answer) {
  int n = snprintf(client->answer, sizeof client->answer, "%s\r\n", answer);
  uv_buf_t buffer = uv_buf_init(client->answer, (unsigned)n);
  if (uv_write(&client->request, (uv_stream_t *)&client->tcp, &buffer, 1, on_written) < 0)
    drop(client);
}

static void understand(struct client *client, const char *line) {
  client->upgrading = strcmp(line, "STARTTLS") == 0;
  client->leaving = strcmp(line, "QUIT") == 0;
  if (client->upgrading)
    answer_plain(client, "220 go ahead");
  else if (client->leaving)
    answer_plain(client, "221 bye");
  else if (strcmp(line, "CAPA") == 0)
    answer_plain(client, "250 STARTTLS ECHO QUIT");
  else
    answer_plain(client, "530 say STARTTLS first");
}

/* One line, one answer; nothing more is read before the answer is out. */
static void go_on(struct client *client) {
  char line[LINE_SIZE];
  if (take_line(client, line))
    understand(client, line);
  else if (client->filled == sizeof client->line ||
           uv_read_start((uv_stream_t *)&client->tcp, give_room, on_read) < 0)
    drop(client);
}

static void on_read(uv_stream_t *tcp, ssize_t n, const uv_buf_t *buffer) {
  struct client *client = tcp->data;
  (void)buffer;
  if (n < 0) {
    drop(client);
    return;
  }
  client->filled += (size_t)n;
  uv_read_stop(tcp);
  go_on(client);
}

static void on_connection(uv_stream_t *listener, int status) {
  struct client *client = status < 0 ? NULL : calloc(1, sizeof *client);
  if (!client || uv_tcp_init(listener->loop, &client->tcp) < 0) {
    free(client);
    return;
  }
  client->tcp.data = client;
  if (uv_accept(listener, (uv_stream_t *)&client->tcp) < 0)
    drop(client);
  else
    answer_plain(client, "220 ready");
}

/* -- start ------------------------------------------------------------------------------------ */

static int listen_on(uv_tcp_t *listener, int *port) {
  struct sockaddr_in address;
  int size = sizeof address, status;
  if ((status = uv_ip4_addr("0.0.0.0", *port, &address)) < 0 ||
      (status = uv_tcp_init(uv_default_loop(), listener)) < 0 ||
      (status = uv_tcp_bind(listener, (const struct sockaddr *)&address, 0)) < 0 ||
      (status = uv_listen((uv_stream_t *)listener, 128, on_connection)) < 0 ||
      (status = uv_tcp_getsockname(listener, (struct sockaddr *)&address, &size)) < 0)
    return status;
  *port = ntohs(address.sin_port);
  return 0;
}

int main(int argc, char **argv) {
  uv_tcp_t listener;
  sp_error_t why;
  int port = 8025, status;
  char rest;
  if (argc > 2 ||
      (argc == 2 && (sscanf(argv[1], "%5d%c", &port, &rest) != 1 || port < 0 || port > 65535)))
    return fprintf(stderr, "usage: starttls-server [PORT]\n"), 2;
  signal(SIGPIPE, SIG_IGN);
  if (sp_context_new(&context, &why,
                     SP_OPTIONS(.key_file = "server-key.pem", .cert_file = "server-cert.pem")) < 0)
    return sp_error_print(stderr, &why), 1;
  if ((status = listen_on(&listener, &port)) < 0)
    return fprintf(stderr, "port %d: %s\n", port, uv_strerror(status)), 1;
  printf("listening on port %d\n", port);
  fflush(stdout);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
