/*
 * The client of starttls-server: asks for STARTTLS, becomes secure, says one thing, leaves.
 *
 *     starttls-client HOST PORT CA-FILE [TEXT]
 *
 * What makes it safe, and every STARTTLS client needs:
 *   - it fails closed: a server (or somebody in between) that does not offer STARTTLS gets nothing;
 *   - in the clear nobody may talk out of turn: bytes after an answer were not asked for;
 *   - bytes after "220 go ahead" go to sp_stream_adopt, which refuses them;
 *   - what was said in the clear counts for nothing afterwards.
 */
#include <errno.h>
#include <netdb.h>
#include <securepair.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define LINE_SIZE 512
#define PATIENCE 10 /* seconds that a server in the clear may say nothing */

static struct {
  const char *host, *text;
  enum { GREETING, OFFER, GO_AHEAD, ECHOED, BYE, DONE } waiting_for;
  sp_context_t *context; /* whom we trust */
  uv_tcp_t tcp;
  uv_timer_t timer;    /* while in the clear; the library has time-outs of its own */
  sp_stream_t *stream; /* NULL while in the clear */
  char line[LINE_SIZE];
  size_t filled;
  int exit_status;
} client = {.exit_status = 1}; /* until all went well */

static void stop_timer(void) {
  if (!uv_is_closing((uv_handle_t *)&client.timer))
    uv_close((uv_handle_t *)&client.timer, NULL);
}

/* Ends the program in either state; the reason is printed by then. */
static void give_up(void) {
  stop_timer();
  if (client.stream)
    sp_stream_destroy(client.stream);
  else if (!uv_is_closing((uv_handle_t *)&client.tcp))
    uv_close((uv_handle_t *)&client.tcp, NULL);
}

static void complain(const char *sentence) {
  fprintf(stderr, "starttls-client: %s\n", sentence);
  give_up();
}

/* Quotes the start of a line without what a terminal might obey. */
static void complain_about(const char *line) {
  fprintf(stderr, "starttls-client: this is no answer I know: \"");
  for (int i = 0; i < 80 && line[i]; i++) {
    bool plain = line[i] >= ' ' && line[i] <= '~' && line[i] != '"' && line[i] != '\\';
    fprintf(stderr, plain ? "%c" : "\\x%02x", (unsigned char)line[i]);
  }
  fprintf(stderr, "\"\n");
  give_up();
}

static bool take_line(char *line) {
  char *end = memchr(client.line, '\n', client.filled);
  if (!end)
    return false;
  size_t n = (size_t)(end - client.line);
  memcpy(line, client.line, n);
  line[n > 0 && line[n - 1] == '\r' ? n - 1 : n] = '\0';
  client.filled -= n + 1;
  memmove(client.line, end + 1, client.filled);
  return true;
}

/* Whether a word is among those of an answer: "STARTTLS" in "250 STARTTLS ECHO". */
static bool has_word(const char *answer, const char *word) {
  size_t n = strlen(word);
  for (const char *at = answer; (at = strstr(at, word)); at += n)
    if (at > answer && at[-1] == ' ' && (at[n] == ' ' || at[n] == '\0'))
      return true;
  return false;
}

/* -- secure ----------------------------------------------------------------------------------- */

static void say_secure(const char *verb, const char *text) {
  char line[LINE_SIZE];
  int n = snprintf(line, sizeof line, "%s%s\r\n", verb, text);
  if (sp_stream_send(client.stream, line, (size_t)n) < 0)
    give_up();
}

static void understand_secure(const char *line) {
  if (client.waiting_for == ECHOED && strncmp(line, "250 ", 4) == 0) {
    printf("%s\n", line + 4);
    client.waiting_for = BYE;
    say_secure("QUIT", "");
  } else if (client.waiting_for == BYE && strncmp(line, "221 ", 4) == 0) {
    client.waiting_for = DONE;
    sp_stream_end(client.stream);
  } else {
    complain_about(line);
  }
}

static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  char line[LINE_SIZE];
  (void)stream;
  if (n > sizeof client.line - client.filled) {
    complain("the server's line has no end");
    return;
  }
  memcpy(client.line + client.filled, bytes, n);
  client.filled += n;
  while (client.waiting_for != DONE && take_line(line))
    understand_secure(line);
}

static void on_end(sp_stream_t *stream, int status) {
  (void)stream;
  if (client.waiting_for == DONE && status == 0)
    client.exit_status = 0;
  else
    complain(status < 0 ? sp_error_text(status) : "the server left too early");
}

static void on_error(sp_stream_t *stream, const sp_error_t *error) {
  (void)stream;
  sp_error_print(stderr, error);
}

static void on_secure(sp_stream_t *stream, int status) {
  if (status < 0) {
    sp_error_print(stderr, sp_stream_error(stream));
    return;
  }
  fprintf(stderr, "secure: %s\n", sp_pair_version(sp_stream_pair(stream)));
  client.waiting_for = ECHOED;
  say_secure("ECHO ", client.text);
}

/* -- in the clear ----------------------------------------------------------------------------- */

/* The server said "go ahead": whatever came after that line is handed over, to be refused. */
static void become_secure(void) {
  static const sp_stream_events_t events = {.data = on_data, .end = on_end, .error = on_error};
  sp_error_t why;
  size_t already = client.filled;
  client.filled = 0;
  stop_timer();
  uv_read_stop((uv_stream_t *)&client.tcp);
  if (sp_stream_adopt(&client.stream, (uv_stream_t *)&client.tcp, SP_CLIENT, client.line, already,
                      on_secure, &why,
                      SP_OPTIONS(.context = client.context, .server_name = client.host,
                                 .half_open = SP_YES)) < 0) {
    sp_error_print(stderr, &why);
    give_up();
    return;
  }
  sp_stream_on(client.stream, &events, NULL);
}

static void say_plain(const char *line) {
  uv_buf_t buffer = uv_buf_init((char *)line, (unsigned)strlen(line));
  int status = uv_try_write((uv_stream_t *)&client.tcp, &buffer, 1);
  if (status != (int)buffer.len)
    complain(status < 0 ? uv_strerror(status) : "the server does not read");
}

static void understand_plain(const char *line) {
  if (client.waiting_for != GO_AHEAD && client.filled > 0) {
    complain("the server answers what was not asked: somebody may be injecting");
  } else if (client.waiting_for == GREETING && strncmp(line, "220 ", 4) == 0) {
    client.waiting_for = OFFER;
    say_plain("CAPA\r\n");
  } else if (client.waiting_for == OFFER && !has_word(line, "STARTTLS")) {
    complain("the server does not offer STARTTLS, so nothing is said to it");
  } else if (client.waiting_for == OFFER) {
    client.waiting_for = GO_AHEAD;
    say_plain("STARTTLS\r\n");
  } else if (client.waiting_for == GO_AHEAD && strncmp(line, "220 ", 4) == 0) {
    become_secure();
  } else {
    complain_about(line);
  }
}

static void on_timer(uv_timer_t *timer) {
  char sentence[64];
  (void)timer;
  snprintf(sentence, sizeof sentence, "the server said nothing for %d seconds", PATIENCE);
  complain(sentence);
}

static void give_room(uv_handle_t *handle, size_t wish, uv_buf_t *buffer) {
  (void)handle;
  (void)wish;
  *buffer =
      uv_buf_init(client.line + client.filled, (unsigned)(sizeof client.line - client.filled));
}

/* At most one line: the server has no reason to say more, and understand_plain sees to it. */
static void on_read(uv_stream_t *tcp, ssize_t n, const uv_buf_t *buffer) {
  char line[LINE_SIZE];
  (void)tcp;
  (void)buffer;
  if (n == UV_EOF) {
    complain("the server left before the connection was secure");
    return;
  }
  if (n < 0) {
    complain(n == UV_ENOBUFS ? "the server's line has no end" : uv_strerror((int)n));
    return;
  }
  client.filled += (size_t)n;
  uv_timer_again(&client.timer);
  if (take_line(line))
    understand_plain(line);
}

/* -- start ------------------------------------------------------------------------------------ */

/* A connected socket by the system's own calls: libuv and the library take any. Below 0: none. */
static int connect_to(const char *host, const char *port) {
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  struct addrinfo *all;
  int fd = -1, status = getaddrinfo(host, port, &hints, &all);
  const char *why = gai_strerror(status);
  if (status == 0) {
    for (struct addrinfo *one = all; one && fd < 0; one = one->ai_next) {
      fd = socket(one->ai_family, one->ai_socktype, one->ai_protocol);
      if (fd < 0 || connect(fd, one->ai_addr, one->ai_addrlen) == 0)
        continue;
      why = strerror(errno);
      close(fd);
      fd = -1;
    }
    freeaddrinfo(all);
  }
  if (fd < 0)
    fprintf(stderr, "cannot connect to %s port %s: %s\n", host, port, why);
  return fd;
}

/* Hears the server in the clear, and not for ever. */
static int listen_to(int fd) {
  uv_loop_t *loop = uv_default_loop();
  int status = uv_tcp_init(loop, &client.tcp);
  if (status == 0)
    status = uv_tcp_open(&client.tcp, fd);
  if (status == 0)
    status = uv_read_start((uv_stream_t *)&client.tcp, give_room, on_read);
  if (status == 0)
    status = uv_timer_init(loop, &client.timer);
  if (status == 0)
    status = uv_timer_start(&client.timer, on_timer, PATIENCE * 1000, PATIENCE * 1000);
  return status;
}

int main(int argc, char **argv) {
  sp_error_t why;
  int port, fd;
  char rest;
  if (argc < 4 || argc > 5 || sscanf(argv[2], "%5d%c", &port, &rest) != 1 || port < 1 ||
      port > 65535)
    return fprintf(stderr, "usage: starttls-client HOST PORT CA-FILE [TEXT]\n"), 2;
  client.host = argv[1];
  client.text = argc == 5 ? argv[4] : "hello";
  if (strlen(client.text) > LINE_SIZE - 16 || strpbrk(client.text, "\r\n"))
    return fprintf(stderr, "starttls-client: TEXT must be one line of at most 496 bytes\n"), 2;
  signal(SIGPIPE, SIG_IGN);
  if (sp_context_new(&client.context, &why, SP_OPTIONS(.ca_files = SP_LIST(argv[3]))) < 0)
    return sp_error_print(stderr, &why), 1;
  if ((fd = connect_to(argv[1], argv[2])) >= 0) {
    int status = listen_to(fd);
    if (status < 0)
      return fprintf(stderr, "%s: %s\n", argv[1], uv_strerror(status)), 1;
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    uv_loop_close(uv_default_loop());
  }
  sp_context_release(client.context);
  return client.exit_status;
}
