/* A request's head: read by http_parser, after and before a look at what it lets pass. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "http.h"

size_t cli_http_head_size(const char *bytes, size_t n) {
  const char *at = bytes, *end = bytes + n;
  while ((at = memchr(at, '\n', (size_t)(end - at)))) {
    at++;
    if (at < end && *at == '\n')
      return (size_t)(at + 1 - bytes);
    if (end - at >= 2 && at[0] == '\r' && at[1] == '\n')
      return (size_t)(at + 2 - bytes);
  }
  return 0;
}

const char *cli_http_field(const cli_http_request_t *request, const char *name, bool *several) {
  const char *value = NULL;
  size_t found = 0;
  for (size_t i = 0; i < request->count; i++)
    if (!strcasecmp(request->fields[i].name, name)) {
      value = request->fields[i].value;
      found++;
    }
  if (several)
    *several = found > 1;
  return found == 1 ? value : NULL;
}

/* -- before the parser ------------------------------------------------------------------------- */

/* Whatever readers take in different ways (RFC 9112 2.2, 5.2, 11.2). NULL: nothing. */
static const char *check_bytes(const char *head, size_t n) {
  for (size_t i = 0; i < n; i++) {
    char c = head[i], next = i + 1 < n ? head[i + 1] : '\0';
    if (c == '\n' && (i == 0 || head[i - 1] != '\r'))
      return "A line ends without CR (openssl s_client adds it with -crlf).";
    if (c == '\r' && next != '\n')
      return "There is a CR that ends no line.";
    if (c == '\n' && (next == ' ' || next == '\t'))
      return "A header line goes on in the next line.";
    if (iscntrl((unsigned char)c) && !strchr("\r\n\t", c))
      return "There is a control character in the head.";
    if (c == '\0')
      return "There is a NUL in the head.";
  }
  return NULL;
}

/* The first two words, for the log, even if nothing else can be read. */
static void read_words(cli_http_request_t *request, char *head, size_t n) {
  char *end = memchr(head, '\n', n), *space = end ? memchr(head, ' ', (size_t)(end - head)) : NULL;
  request->method = request->target = "";
  if (!space)
    return;
  if (end[-1] == '\r')
    end--;
  request->method = head;
  request->target = space + 1;
  char *second = memchr(space + 1, ' ', (size_t)(end - space - 1));
  *space = '\0';
  *(second ? second : end) = '\0';
}

/* -- the parser -------------------------------------------------------------------------------- */

static int on_name(http_parser *parser, const char *at, size_t n) {
  cli_http_request_t *request = parser->data;
  static const char others[] = "!#$%&'*+-.^_`|~";
  if (request->has_content)
    return 0; /* of a trailer, which is dropped */
  for (size_t i = 0; i < n; i++)
    if (!isalnum((unsigned char)at[i]) && !strchr(others, at[i]))
      return 1;
  if (request->count == CLI_HTTP_FIELDS)
    return 2;
  request->fields[request->count++] = (cli_http_field_t){at, at + n};
  return 0;
}

static int on_value(http_parser *parser, const char *at, size_t n) {
  cli_http_request_t *request = parser->data;
  if (n && !request->has_content && request->count)
    request->fields[request->count - 1].value = at; /* else it stays at the colon: empty */
  return 0;
}

static int on_head(http_parser *parser) {
  cli_http_request_t *request = parser->data;
  request->is_chunked = parser->flags & F_CHUNKED;
  request->length = parser->flags & F_CONTENTLENGTH ? parser->content_length : 0;
  /* Where chunks end is what proxies and servers disagree on: nothing follows them here. */
  request->keeps = http_should_keep_alive(parser) && !request->is_chunked;
  request->has_content = request->is_chunked || request->length;
  return 0;
}

static int on_content(http_parser *parser, const char *at, size_t n) {
  (void)at;
  ((cli_http_request_t *)parser->data)->dropped += n;
  return 0;
}

static int on_complete(http_parser *parser) {
  ((cli_http_request_t *)parser->data)->is_complete = true;
  http_parser_pause(parser, 1); /* what follows is another request */
  return 0;
}

static const http_parser_settings settings = {.on_header_field = on_name,
                                              .on_header_value = on_value,
                                              .on_headers_complete = on_head,
                                              .on_body = on_content,
                                              .on_message_complete = on_complete};

/* -- after the parser -------------------------------------------------------------------------- */

/* Names and values become texts of their own: the colons and line ends are not needed any more. */
static void end_fields(cli_http_request_t *request, char *head, size_t n) {
  for (size_t i = 0; i < request->count; i++) {
    char *name = head + (request->fields[i].name - head);
    char *value = head + (request->fields[i].value - head);
    char *end = memchr(value, '\r', (size_t)(head + n - value));
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
      end--;
    *end = '\0';
    name[strcspn(name, ":")] = '\0';
  }
}

/* The authority of an URI: a name or an address, and a port. */
static bool is_authority(const char *text, size_t n) {
  static const char others[] = "-._~!$&'()*+,;=:[]%";
  for (size_t i = 0; i < n; i++)
    if (!isalnum((unsigned char)text[i]) && !strchr(others, text[i]))
      return false;
  return true;
}

/* Exactly one Host, which may be empty (RFC 9112 3.2); HTTP/1.0 did not have it yet. */
static const char *check_host(const cli_http_request_t *request) {
  bool several;
  const char *host = cli_http_field(request, "Host", &several);
  if (several)
    return "There is more than one Host.";
  if (!host)
    return request->minor ? "There is no Host." : NULL;
  return is_authority(host, strlen(host)) ? NULL : "The Host is none.";
}

/* A proxy's form has the host before the path: only the path counts here. */
static const char *check_target(cli_http_request_t *request) {
  const char *target = request->target;
  size_t scheme = !strncasecmp(target, "https://", 8)  ? 8
                  : !strncasecmp(target, "http://", 7) ? 7
                                                       : 0;
  if (scheme) {
    size_t n = strcspn(target + scheme, "/?#");
    if (!n || !is_authority(target + scheme, n))
      return "The target names no host.";
    request->target = target[scheme + n] == '/' ? target + scheme + n : "/";
  }
  if (strchr(target, '#'))
    return "There is a fragment in the target.";
  if (*request->target == '/' || !strcmp(request->method, "CONNECT"))
    return NULL;
  return !strcmp(request->target, "*") && !strcmp(request->method, "OPTIONS")
             ? NULL
             : "The target is no path.";
}

/* http_parser has refused several lengths, and a length beside Transfer-Encoding. */
static int check_content(const cli_http_request_t *request, const char **why) {
  bool several;
  const char *coding = cli_http_field(request, "Transfer-Encoding", &several);
  *why = "Only \"chunked\" is a transfer encoding here.";
  if (several || (coding && strcasecmp(coding, "chunked") != 0))
    return 501;
  *why = "There is a Transfer-Encoding in HTTP/1.0.";
  if (coding && !request->minor)
    return 400;
  *why = "The content of the request is too long.";
  return request->length > CLI_HTTP_CONTENT ? 413 : 0;
}

/* Nothing here wants what the client would send. */
static int check_expectation(const cli_http_request_t *request, const char **why) {
  bool several;
  bool expects = cli_http_field(request, "Expect", &several) || several;
  *why = "Expectations are not met here.";
  return expects && request->minor ? 417 : 0;
}

static int check(cli_http_request_t *request, const char **why) {
  *why = "Only HTTP/1.1 and HTTP/1.0 are spoken here.";
  if (request->major != 1 || request->minor > 1)
    return 505;
  if ((*why = check_host(request)) || (*why = check_target(request)))
    return 400;
  *why = "There is no tunnel here.";
  if (!strcmp(request->method, "CONNECT"))
    return 405;
  int status = check_content(request, why);
  return status ? status : check_expectation(request, why);
}

/* -- all of it --------------------------------------------------------------------------------- */

static bool is_word(const char *text) {
  size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_");
  return n && !text[n];
}

static int refusal_of(const cli_http_request_t *request, const http_parser *parser,
                      const char **why) {
  switch (HTTP_PARSER_ERRNO(parser)) {
  case HPE_INVALID_METHOD:
    *why = "This method is not known.";
    return is_word(request->method) && *request->target ? 501 : 400;
  case HPE_HEADER_OVERFLOW:
    *why = "The head is too long.";
    return 431;
  case HPE_CB_header_field:
    *why = request->count == CLI_HTTP_FIELDS ? "There are too many header lines."
                                             : "The name of a header line is none.";
    return request->count == CLI_HTTP_FIELDS ? 431 : 400;
  default:
    *why = http_errno_description(HTTP_PARSER_ERRNO(parser));
    return 400;
  }
}

int cli_http_request_read(cli_http_request_t *request, http_parser *parser, char *head, size_t n,
                          const char **why) {
  memset(request, 0, sizeof *request);
  http_parser_init(parser, HTTP_REQUEST);
  parser->data = request;
  *why = check_bytes(head, n);
  if (!*why)
    (void)http_parser_execute(parser, &settings, head, n);
  enum http_errno error = HTTP_PARSER_ERRNO(parser);
  request->major = parser->http_major;
  request->minor = parser->http_minor;
  read_words(request, head, n);
  if (*why)
    return 400;
  if (error != HPE_OK && error != HPE_PAUSED)
    return refusal_of(request, parser, why);
  request->is_head = !strcmp(request->method, "HEAD");
  end_fields(request, head, n);
  return check(request, why);
}

ssize_t cli_http_content_drop(cli_http_request_t *request, http_parser *parser, const char *bytes,
                              size_t n) {
  size_t dropped = http_parser_execute(parser, &settings, bytes, n);
  enum http_errno error = HTTP_PARSER_ERRNO(parser);
  return error == HPE_OK || (error == HPE_PAUSED && request->is_complete) ? (ssize_t)dropped : -1;
}
