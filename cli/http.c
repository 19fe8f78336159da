/* A connection that speaks HTTP: request after request, each answered before the next is read. */
#include "http.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = CLI_HTTP_HEAD + 8192, LINES = 32768, LINGER = 2000 };

/* A request and its answer; an idle connection has none. */
typedef struct exchange {
  cli_http_request_t request;
  http_parser parser;
  uint64_t began; /* milliseconds of the loop's clock */
  size_t used;    /* bytes of `room` */
  size_t at;      /* where what is not read yet begins */
  size_t content; /* bytes that the request's content took, all told */
  int status;     /* of the answer, 0: not begun */
  uint64_t sent;  /* bytes of the answer's content */
  size_t lines;   /* bytes of `head` */
  char head[LINES];
  char room[ROOM];
} exchange_t;

typedef enum step { READING, DROPPING, ANSWERING, DRAINING, ENDED } step_t;

struct cli_http {
  cli_connection_t *c; /* NULL: it is closed */
  uv_loop_t *loop;
  const cli_http_handler_t *handler;
  exchange_t *exchange; /* NULL: idle */
  void *own;            /* the handler's, which is `lost` with the client */
  void (*lost)(void *own);
  step_t step;
  bool last;    /* no request after this one */
  bool full;    /* the stream wants no more until its `drain` */
  bool ended;   /* the client sends no more */
  bool working; /* in go_on, further up */
  size_t holds;
  uint64_t finished; /* milliseconds of the loop's clock, when all was sent */
  sp_write_t write;
  cli_http_next_t next;
};

/* -- facts ------------------------------------------------------------------------------------- */

const cli_http_request_t *cli_http_request(const cli_http_t *http) {
  return &http->exchange->request;
}
const cli_connection_t *cli_http_connection(const cli_http_t *http) { return http->c; }
uv_loop_t *cli_http_loop(const cli_http_t *http) { return http->loop; }
void cli_http_set_own(cli_http_t *http, void *own, void (*lost)(void *own)) {
  http->own = own;
  http->lost = lost;
}
void *cli_http_own(const cli_http_t *http) { return http->own; }

int cli_http_status(const cli_http_t *http) { return http->exchange->status; }
bool cli_http_wants_content(const cli_http_t *http) { return !http->exchange->request.is_head; }

const char *cli_http_reason(int status) {
#define REASON(number, name, text)                                                                 \
  case number:                                                                                     \
    return #text;
  switch (status) {
    HTTP_STATUS_MAP(REASON)
  default:
    return "Unknown";
  }
#undef REASON
}

/* -- life -------------------------------------------------------------------------------------- */

void cli_http_hold(cli_http_t *http) { http->holds++; }

void cli_http_release(cli_http_t *http) {
  if (--http->holds)
    return;
  free(http->exchange);
  free(http);
}

static void end_stream(cli_http_t *http) {
  if (http->step == ENDED)
    return;
  http->step = ENDED;
  sp_stream_end(http->c->stream);
}

static void destroy_stream(cli_http_t *http) {
  http->step = ENDED;
  sp_stream_destroy(http->c->stream);
}

/* What a stranger wrote, so that it fits into a line of text. */
static json_t *text_of(const char *text) {
  char room[256];
  size_t n = 0;
  for (; *text && n < sizeof room - 4; text++) {
    unsigned char c = (unsigned char)*text;
    n += (size_t)snprintf(room + n, 4, c > 0x20 && c < 0x7f ? "%c" : "%%%02X", c);
  }
  return json_stringn(room, n);
}

static void tell(cli_http_t *http, const char *why) {
  const exchange_t *exchange = http->exchange;
  json_t *facts = json_object();
  json_object_set_new(facts, "method", text_of(exchange->request.method));
  json_object_set_new(facts, "target", text_of(exchange->request.target));
  json_object_set_new(facts, "status", json_integer(exchange->status));
  json_object_set_new(facts, "bytes", json_integer((json_int_t)exchange->sent));
  json_object_set_new(facts, "ms",
                      json_integer((json_int_t)(uv_now(http->loop) - exchange->began)));
  if (why)
    json_object_set_new(facts, "error", json_string(why));
  cli_connection_log(http->c, "request", facts);
}

static void begin_request(exchange_t *exchange, uint64_t now) {
  memset(&exchange->request, 0, sizeof exchange->request);
  exchange->request.method = exchange->request.target = ""; /* until it is read */
  exchange->began = now;
  exchange->at = exchange->content = exchange->sent = 0;
  exchange->status = 0;
}

static bool is_answering(const cli_http_t *http) {
  return http->step == ANSWERING || http->step == DRAINING;
}

/* -- answers ----------------------------------------------------------------------------------- */

void cli_http_begin(cli_http_t *http, int status) {
  char date[CLI_HTTP_DATE];
  http->exchange->status = status;
  http->exchange->lines = 0;
  cli_http_header(http, "HTTP/1.1 %d %s", status, cli_http_reason(status));
  cli_http_header(http, "Date: %s", cli_http_date(date, time(NULL)));
}

/* The buffer holds the longest path, with each byte written as three, beside all else. */
void cli_http_header(cli_http_t *http, const char *format, ...) {
  exchange_t *exchange = http->exchange;
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(exchange->head + exchange->lines, LINES - exchange->lines, format, arguments);
  va_end(arguments);
  if (n < 0 || (size_t)n + 5 > LINES - exchange->lines)
    return; /* a line that is too long is left out */
  exchange->lines += (size_t)n;
  exchange->head[exchange->lines++] = '\r';
  exchange->head[exchange->lines++] = '\n';
}

/* What is not taken must not be missing in the middle. */
static void send_copy(cli_http_t *http, const void *bytes, size_t n) {
  int taken = sp_stream_send(http->c->stream, bytes, n);
  if (taken < 0)
    destroy_stream(http);
  else if (!taken)
    http->full = true;
}

void cli_http_length(cli_http_t *http, int64_t length) {
  exchange_t *exchange = http->exchange;
  if (!exchange->request.keeps)
    http->last = true;
  if (length >= 0)
    cli_http_header(http, "Content-Length: %lld", (long long)length);
  if (http->last)
    cli_http_header(http, "Connection: close");
  else if (!exchange->request.minor)
    cli_http_header(http, "Connection: keep-alive");
  exchange->head[exchange->lines++] = '\r';
  exchange->head[exchange->lines++] = '\n';
  send_copy(http, exchange->head, exchange->lines);
}

void cli_http_send(cli_http_t *http, const void *bytes, size_t n) {
  if (http->step != ANSWERING)
    return;
  http->exchange->sent += n;
  send_copy(http, bytes, n);
}

static void on_written(sp_write_t *write, int status) {
  cli_http_t *http = write->data;
  if (status == 0 && http->step == ANSWERING)
    http->next(http);
}

void cli_http_write(cli_http_t *http, const void *bytes, size_t n, cli_http_next_t next) {
  if (http->step != ANSWERING)
    return;
  http->exchange->sent += n;
  http->next = next;
  http->write.data = http;
  if (sp_stream_write(&http->write, http->c->stream, bytes, n, on_written) < 0)
    destroy_stream(http);
}

static void go_on(cli_http_t *http);

/* What came behind the request becomes the beginning. */
static void next_request(cli_http_t *http) {
  exchange_t *exchange = http->exchange;
  size_t left = exchange->used - exchange->at;
  if (http->last) {
    end_stream(http);
    return;
  }
  http->step = READING;
  if (left) {
    memmove(exchange->room, exchange->room + exchange->at, left);
    exchange->used = left;
    begin_request(exchange, uv_now(http->loop));
  } else {
    free(exchange);
    http->exchange = NULL;
  }
  sp_stream_resume(http->c->stream);
}

/* As long as the client takes nothing, nothing more is answered: what it asks for stays with it. */
void cli_http_done(cli_http_t *http) {
  if (http->step != ANSWERING)
    return;
  tell(http, NULL);
  http->step = DRAINING;
  if (!http->full || http->last)
    next_request(http);
  if (!http->working)
    go_on(http);
}

void cli_http_break(cli_http_t *http, const char *why) {
  if (http->step != ANSWERING)
    return;
  tell(http, why);
  destroy_stream(http);
}

void cli_http_whole(cli_http_t *http, const char *type, const void *bytes, size_t n) {
  cli_http_header(http, "Content-Type: %s", type);
  cli_http_header(http, "X-Content-Type-Options: nosniff");
  cli_http_length(http, (int64_t)n);
  if (cli_http_wants_content(http))
    cli_http_send(http, bytes, n);
  cli_http_done(http);
}

void cli_http_refuse(cli_http_t *http, int status, const char *why) {
  http->handler->refuse(http, status, why);
}

/* Whatever follows cannot be told apart from it any more. */
static void give_up(cli_http_t *http, int status, const char *why) {
  http->step = ANSWERING;
  http->last = true;
  cli_http_refuse(http, status, why);
}

/* -- requests ---------------------------------------------------------------------------------- */

/* The head is not all there: that may take too much, or too long. */
static bool await_head(cli_http_t *http) {
  exchange_t *exchange = http->exchange;
  size_t first = exchange->used < CLI_HTTP_TARGET ? exchange->used : CLI_HTTP_TARGET;
  bool in_target = !memchr(exchange->room, '\n', first);
  if (in_target && exchange->used > CLI_HTTP_TARGET)
    give_up(http, 414, "The target of the request is too long.");
  else if (exchange->used > CLI_HTTP_HEAD)
    give_up(http, 431, "The head of the request is too long.");
  else if (http->ended)
    end_stream(http);
  else
    return false;
  return true;
}

/* Empty lines ahead of a request are passed over (RFC 9112 2.2). */
static void skip_empty_lines(exchange_t *exchange) {
  size_t n = 0;
  while (exchange->used - n >= 2 && exchange->room[n] == '\r' && exchange->room[n + 1] == '\n')
    n += 2;
  exchange->used -= n;
  memmove(exchange->room, exchange->room + n, exchange->used);
}

static bool read_head(cli_http_t *http) {
  exchange_t *exchange = http->exchange;
  const char *why;
  skip_empty_lines(exchange);
  size_t n = cli_http_head_size(exchange->room, exchange->used);
  if (!n || n > CLI_HTTP_HEAD)
    return await_head(http);
  exchange->at = n;
  int status =
      cli_http_request_read(&exchange->request, &exchange->parser, exchange->room, n, &why);
  if (!status && strlen(exchange->request.target) > CLI_HTTP_TARGET)
    status = 414, why = "The target of the request is too long.";
  if (status)
    give_up(http, status, why);
  else
    http->step = exchange->request.has_content ? DROPPING : ANSWERING;
  if (http->step == ANSWERING && !status)
    http->handler->answer(http);
  return true;
}

static bool drop_content(cli_http_t *http) {
  exchange_t *exchange = http->exchange;
  size_t n = exchange->used - exchange->at;
  ssize_t dropped = n ? cli_http_content_drop(&exchange->request, &exchange->parser,
                                              exchange->room + exchange->at, n)
                      : 0;
  if (dropped < 0) {
    give_up(http, 400, "The content of the request is malformed.");
    return true;
  }
  exchange->content += (size_t)dropped;
  if (exchange->request.is_complete) {
    exchange->at += (size_t)dropped;
    http->step = ANSWERING;
    http->handler->answer(http);
    return true;
  }
  exchange->used = exchange->at; /* the head stays */
  /* a chunk may be of a byte, which takes six */
  if (exchange->request.dropped > CLI_HTTP_CONTENT || exchange->content > 8 * CLI_HTTP_CONTENT)
    give_up(http, 413, "The content of the request is too long.");
  else if (http->ended)
    end_stream(http);
  return http->step != DROPPING;
}

static bool take_step(cli_http_t *http) {
  switch (http->step) {
  case READING:
    if (!http->exchange && http->ended)
      end_stream(http);
    return http->exchange && read_head(http);
  case DROPPING:
    return drop_content(http);
  default:
    return false;
  }
}

static void go_on(cli_http_t *http) {
  http->working = true;
  while (take_step(http)) {
  }
  http->working = false;
  if (is_answering(http) && http->exchange->used == ROOM)
    sp_stream_pause(http->c->stream);
}

/* -- events ------------------------------------------------------------------------------------ */

static cli_http_t *of(sp_stream_t *stream) {
  return ((cli_connection_t *)sp_stream_data(stream))->own;
}

static uint8_t *on_room(sp_stream_t *stream, size_t *size) {
  cli_http_t *http = of(stream);
  if (http->step == ENDED)
    return NULL;
  if (!http->exchange && (http->exchange = malloc(sizeof *http->exchange))) {
    exchange_t *exchange = http->exchange;
    exchange->used = 0;
    begin_request(exchange, 0);
  }
  if (!http->exchange)
    return NULL;
  *size = ROOM - http->exchange->used;
  return (uint8_t *)http->exchange->room + http->exchange->used;
}

/* The client may not have read yet that this is the end, so what still comes is taken from it, for
 * a while: an answer would be lost with a connection that is reset. */
static void drop_late(cli_http_t *http) {
  if (http->finished && uv_now(http->loop) - http->finished > LINGER)
    sp_stream_destroy(http->c->stream);
}

static void on_finish(sp_stream_t *stream) {
  cli_http_t *http = of(stream);
  http->finished = uv_now(http->loop);
  sp_stream_set_timeout(stream, LINGER);
}

static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  cli_http_t *http = of(stream);
  exchange_t *exchange = http->exchange;
  if (http->step == ENDED) {
    drop_late(http);
    return;
  }
  if (!exchange || bytes != (uint8_t *)exchange->room + exchange->used) {
    destroy_stream(http); /* there is no memory */
    return;
  }
  if (!exchange->used)
    exchange->began = uv_now(http->loop);
  exchange->used += n;
  if (!is_answering(http) && uv_now(http->loop) - exchange->began > CLI_HTTP_PATIENCE)
    give_up(http, 408, "The request took too long.");
  else
    go_on(http);
}

static void on_end(sp_stream_t *stream, int status) {
  cli_http_t *http = of(stream);
  (void)status; /* what was asked for is answered; half a request is not */
  http->ended = true;
  if (http->step != ENDED)
    go_on(http);
}

static void on_drain(sp_stream_t *stream) {
  cli_http_t *http = of(stream);
  http->full = false;
  if (http->step != DRAINING)
    return;
  next_request(http);
  go_on(http);
}

static void on_timeout(sp_stream_t *stream) {
  cli_http_t *http = of(stream);
  if (http->step == ANSWERING && !sp_stream_pending(stream))
    return; /* it is we who are slow */
  if (http->step == ENDED)
    sp_stream_destroy(stream);
  else if (is_answering(http))
    cli_connection_timeout(stream);
  else if (http->exchange && http->exchange->used)
    give_up(http, 408, "The request took too long.");
  else
    end_stream(http);
}

static void on_close(sp_stream_t *stream) {
  cli_connection_t *c = sp_stream_data(stream);
  cli_http_t *http = c->own;
  if (!http) { /* there was no memory for it */
    cli_connection_closed(c);
    return;
  }
  if (http->step == ANSWERING)
    tell(http, "the client is gone");
  if (http->own)
    http->lost(http->own);
  http->own = NULL;
  http->step = ENDED;
  http->c = NULL;
  cli_http_release(http);
  cli_connection_closed(c);
}

static const sp_stream_events_t events = {.room = on_room,
                                          .data = on_data,
                                          .end = on_end,
                                          .drain = on_drain,
                                          .finish = on_finish,
                                          .timeout = on_timeout,
                                          .close = on_close};

const char *const cli_http_protocols[] = {"http/1.1", "http/1.0", NULL};

/* -- the service ------------------------------------------------------------------------------- */

void cli_http_open(cli_connection_t *c, const cli_http_handler_t *handler) {
  static const sp_stream_events_t closing = {.close = on_close};
  cli_http_t *http = c->own = calloc(1, sizeof *http);
  if (!http) {
    sp_stream_on(c->stream, &closing, c);
    sp_stream_destroy(c->stream);
    return;
  }
  http->c = c;
  http->loop = sp_stream_loop(c->stream);
  http->handler = handler;
  http->holds = 1;
  sp_stream_on(c->stream, &events, c);
}

void cli_http_drain(cli_connection_t *c) {
  cli_http_t *http = c->own;
  if (!http)
    return;
  http->last = true;
  if (http->step == READING && (!http->exchange || !http->exchange->used))
    end_stream(http);
}
