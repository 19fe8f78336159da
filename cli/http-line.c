/* securepair serve --http-line: whatever is asked for, a line on the connection it came by. */
#include <stdlib.h>
#include <string.h>

#include "http.h"

static void print_text(FILE *to, const char *name, const char *text) {
  fprintf(to, " %s=\"", name);
  cli_put_bytes(to, text, strlen(text), false, "\"\\");
  fputc('"', to);
}

static void print_client(FILE *to, const sp_stream_t *stream) {
  const sp_pair_t *pair = sp_stream_pair(stream);
  sp_certificate_t *certificate;
  if (sp_pair_peer_certificate(pair, &certificate) < 0)
    return;
  print_text(to, "client", sp_certificate_subject(certificate));
  sp_certificate_release(certificate);
  const char *why = sp_stream_authorization_error(stream);
  print_text(to, "verdict", why ? why : "authorized");
}

static void print_line(FILE *to, const sp_stream_t *stream) {
  const sp_pair_t *pair = sp_stream_pair(stream);
  fprintf(to, "%s %s %s", sp_pair_version(pair), sp_pair_cipher(pair), sp_pair_group(pair));
  if (*sp_pair_server_name(pair))
    print_text(to, "name", sp_pair_server_name(pair));
  if (*sp_pair_protocol(pair, NULL))
    print_text(to, "alpn", sp_pair_protocol(pair, NULL));
  fprintf(to, " resumed=%s", sp_pair_is_resumed(pair) ? "yes" : "no");
  print_client(to, stream);
  fputc('\n', to);
}

static void answer(cli_http_t *http) {
  char *line = NULL;
  size_t n = 0;
  FILE *to = open_memstream(&line, &n);
  if (to) {
    print_line(to, cli_http_connection(http)->stream);
    if (fclose(to) != 0)
      n = 0;
  }
  cli_http_begin(http, line && n ? 200 : 503);
  cli_http_header(http, "Cache-Control: no-store");
  cli_http_whole(http, "text/plain; charset=utf-8", line ? line : "", n);
  free(line);
}

static void refuse(cli_http_t *http, int status, const char *why) {
  char line[256];
  int n = snprintf(line, sizeof line, "%d %s: %s\n", status, cli_http_reason(status), why);
  cli_http_begin(http, status);
  cli_http_whole(http, "text/plain; charset=utf-8", line, n < 0 ? 0 : (size_t)n);
}

static const cli_http_handler_t handler = {.answer = answer, .refuse = refuse};

static void open_line(cli_connection_t *c) { cli_http_open(c, &handler); }

const cli_service_t cli_http_line = {.name = "http-line",
                                     .alpn = cli_http_protocols,
                                     .idle = CLI_HTTP_IDLE,
                                     .open = open_line,
                                     .drain = cli_http_drain};
