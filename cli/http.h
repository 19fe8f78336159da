/*
 * HTTP/1.1 as a server speaks it (RFC 9110, 9112), for the services --www and --http-line.
 *
 * A request is read whole, its head into one buffer of the connection, its content to nowhere; then
 * the handler answers it, at once or later. Requests that come meanwhile wait in the buffer, and
 * when it is full, with the client. What is no HTTP, or means one thing to one reader and another
 * thing to the next, is refused here, and the connection ends.
 */
#ifndef CLI_HTTP_H
#define CLI_HTTP_H

#include <time.h>

#include <http_parser.h>

#include "serve.h"

enum {
  CLI_HTTP_TARGET = 8192,    /* bytes of a request's target, at most: else 414 */
  CLI_HTTP_HEAD = 24576,     /* of a request's head: else 431 */
  CLI_HTTP_FIELDS = 100,     /* header lines of it: else 431 */
  CLI_HTTP_CONTENT = 65536,  /* of a request's content, which is dropped: else 413 */
  CLI_HTTP_PATIENCE = 30000, /* milliseconds until a request is there: else 408 */
  CLI_HTTP_IDLE = 60         /* seconds without traffic, unless --idle-timeout says it */
};

/* -- http-request.c: a request ----------------------------------------------------------------- */

typedef struct cli_http_field {
  const char *name, *value;
} cli_http_field_t;

typedef struct cli_http_request {
  const char *method; /* "GET"; "" when it cannot be read */
  const char *target; /* the path and the query, or "*"; "" when it cannot be read */
  int major, minor;   /* HTTP/1.1 */
  bool is_head;       /* the answer comes without its content */
  bool keeps;         /* the connection, when this one is answered */
  bool is_chunked;
  uint64_t length;  /* of the content, unless it is chunked */
  uint64_t dropped; /* of the content, so far */
  cli_http_field_t fields[CLI_HTTP_FIELDS];
  size_t count;
  bool is_complete, has_content; /* for the parser */
} cli_http_request_t;

/* How many of n bytes are a head with the empty line at its end; 0: it is not all there. */
size_t cli_http_head_size(const char *bytes, size_t n);

/* Reads the n bytes of a head, in which the request points from then on; the parser then is where
 * the content begins. Answers 0, or the status of a refusal with the reason as a sentence. */
int cli_http_request_read(cli_http_request_t *request, http_parser *parser, char *head, size_t n,
                          const char **why);

/* Drops content, and answers how many of n bytes (n > 0) were of it, until request->is_complete;
 * -1: it is malformed. */
ssize_t cli_http_content_drop(cli_http_request_t *request, http_parser *parser, const char *bytes,
                              size_t n);

/* The value of the header line of a name. NULL: there is none, or there are several, of which
 * *several (may be NULL) tells. */
const char *cli_http_field(const cli_http_request_t *request, const char *name, bool *several);

/* -- http-date.c ------------------------------------------------------------------------------- */

#define CLI_HTTP_DATE 30 /* bytes for "Sun, 06 Nov 1994 08:49:37 GMT" */
const char *cli_http_date(char room[CLI_HTTP_DATE], time_t when);

/* Reads a date in any of the three forms (RFC 9110 5.6.7); -1: it is none. */
time_t cli_http_date_read(const char *text);

/* -- http-range.c ------------------------------------------------------------------------------ */

enum { CLI_HTTP_RANGES = 16 };

typedef struct cli_http_range {
  int64_t from, size;
} cli_http_range_t;

/* Reads a Range header line for a content of `size` bytes: how many ranges of it were asked for.
 * 0: it asks for nothing of this content, 416. -1: to be ignored: another unit, malformed, more
 * than CLI_HTTP_RANGES, or ranges that overlap, which would make much of little. */
int cli_http_ranges(cli_http_range_t ranges[CLI_HTTP_RANGES], const char *text, int64_t size);

/* -- http-condition.c -------------------------------------------------------------------------- */

/* What tells one state of a content from another. */
typedef struct cli_http_validators {
  char etag[64]; /* "\"...\"", weak as "W/\"...\"" */
  time_t modified;
} cli_http_validators_t;

/* Whether the content is to be sent: 200, or 304, 412 (RFC 9110 13.2.2). */
int cli_http_condition(const cli_http_request_t *request, const cli_http_validators_t *now);

/* Whether a Range counts: there is no If-Range, or it names just this state. */
bool cli_http_range_counts(const cli_http_request_t *request, const cli_http_validators_t *now);

/* -- http.c: a connection ---------------------------------------------------------------------- */

typedef struct cli_http cli_http_t;

typedef struct cli_http_handler {
  /* A request without content, or with one that was dropped: to be answered, now or later. */
  void (*answer)(cli_http_t *http);
  /* The content of a refusal: "404 Not Found", and a sentence. It answers with cli_http_whole. */
  void (*refuse)(cli_http_t *http, int status, const char *why);
} cli_http_handler_t;

/* The `open` and `drain` of a service. */
extern const char *const cli_http_protocols[]; /* for ALPN */
void cli_http_open(cli_connection_t *c, const cli_http_handler_t *handler);
void cli_http_drain(cli_connection_t *c);

const cli_http_request_t *cli_http_request(const cli_http_t *http);
const cli_connection_t *cli_http_connection(const cli_http_t *http); /* NULL: it is gone */
uv_loop_t *cli_http_loop(const cli_http_t *http);

/* A pointer of the handler's, for the request. `lost` is called with it if the client goes before
 * it has its answer, and frees it; NULL takes the pointer away. */
void cli_http_set_own(cli_http_t *http, void *own, void (*lost)(void *own));
void *cli_http_own(const cli_http_t *http);

/* Keeps its memory while a thread is at work, even if the client goes. */
void cli_http_hold(cli_http_t *http);
void cli_http_release(cli_http_t *http);

/* An answer: its status, header lines ("Name: value") as needed, and how long its content will be;
 * Date, Content-Length and Connection are added. -1: a status that has no content, and no length.
 */
void cli_http_begin(cli_http_t *http, int status);
void cli_http_header(cli_http_t *http, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cli_http_length(cli_http_t *http, int64_t length);

int cli_http_status(const cli_http_t *http);

/* Whether content is to be sent at all: not for HEAD. */
bool cli_http_wants_content(const cli_http_t *http);

/* Content. The first copies; the second leaves the bytes where they are until `next` is called,
 * which it is unless the client goes before. */
typedef void (*cli_http_next_t)(cli_http_t *http);
void cli_http_send(cli_http_t *http, const void *bytes, size_t n);
void cli_http_write(cli_http_t *http, const void *bytes, size_t n, cli_http_next_t next);

/* The answer is complete: on to the next request. */
void cli_http_done(cli_http_t *http);

/* The answer cannot be completed, for a reason that goes into the log. The connection is cut off,
 * so that the client sees that something is missing. */
void cli_http_break(cli_http_t *http, const char *why);

/* All of an answer after cli_http_begin and the header lines. */
void cli_http_whole(cli_http_t *http, const char *type, const void *bytes, size_t n);

/* A refusal, made by the handler's `refuse`. */
void cli_http_refuse(cli_http_t *http, int status, const char *why);

/* "Not Found" */
const char *cli_http_reason(int status);

#endif
