/* Connections of `securepair serve`: handed to the service, counted, told of. */
#include <stdlib.h>
#include <string.h>

#include "serving.h"

struct cli_kept {
  cli_connection_t open; /* what the service sees; first */
  cli_kept_t *next, **link;
  uint64_t began;         /* milliseconds of the loop's clock */
  char client[CLI_PLACE]; /* address and port, which are not known any more in `close` */
};

/* -- facts ------------------------------------------------------------------------------------- */

static void set(json_t *facts, const char *name, const char *text) {
  if (text && *text)
    json_object_set_new(facts, name, cli_log_text(text, strlen(text)));
}

static void name_client(char room[CLI_PLACE], const sp_stream_t *stream) {
  char address[128];
  int port;
  if (sp_stream_remote(stream, address, sizeof address, &port) < 0)
    snprintf(room, CLI_PLACE, "unknown"); /* gone already */
  else
    (void)cli_place(room, address, port);
}

static json_t *facts_of(const char *client) {
  json_t *facts = json_object();
  set(facts, "client", client);
  return facts;
}

static void add_error(json_t *facts, const sp_error_t *error) {
  char room[CLI_ERROR_TEXT];
  set(facts, "error", cli_error_text(room, error));
  set(facts, "class", sp_failure_name(sp_failure_of(error)));
}

/* Who the client is, if it was asked. */
static void add_verdict(json_t *facts, const sp_pair_t *pair) {
  const char *why = sp_pair_authorization_error(pair);
  sp_certificate_t *certificate;
  if (sp_pair_is_authorized(pair))
    set(facts, "verdict", "authorized");
  else if (why)
    set(facts, "verdict", why);
  if (sp_pair_peer_certificate(pair, &certificate) < 0)
    return;
  set(facts, "client_subject", sp_certificate_subject(certificate));
  sp_certificate_release(certificate);
}

static void add_session(json_t *facts, const sp_pair_t *pair) {
  size_t n;
  const char *alpn = sp_pair_protocol(pair, &n);
  set(facts, "protocol", sp_pair_version(pair));
  set(facts, "cipher", sp_pair_cipher(pair));
  set(facts, "group", sp_pair_group(pair));
  set(facts, "server_name", sp_pair_server_name(pair));
  if (n)
    json_object_set_new(facts, "alpn", cli_log_text(alpn, n));
  json_object_set_new(facts, "resumed", json_boolean(sp_pair_is_resumed(pair)));
  add_verdict(facts, pair);
}

static void tell(const cli_serve_t *serve, const char *event, json_t *facts) {
  if (serve->options.quiet)
    json_decref(facts);
  else
    cli_log_put(serve->log, event, facts);
}

/* -- a connection ------------------------------------------------------------------------------ */

static void tell_secure(const cli_serve_t *serve, const cli_kept_t *kept) {
  const sp_stream_t *stream = kept->open.stream;
  json_t *facts = facts_of(kept->client);
  sp_stream_counters_t counters = {.size = sizeof counters};
  add_session(facts, sp_stream_pair(stream));
  (void)sp_stream_counters(stream, &counters);
  json_object_set_new(facts, "handshake_seconds", json_real((double)counters.handshake_time / 1e6));
  tell(serve, "secure", facts);
}

static void tell_failed(const cli_serve_t *serve, const sp_stream_t *stream) {
  char client[CLI_PLACE];
  int status = sp_stream_error(stream)->status;
  if (!sp_pair_bytes_in(sp_stream_pair(stream)) &&
      (status == SP_EEARLYCLOSE || status == UV_ECONNRESET))
    return; /* a port that is tried, and no word said: the counters have it */
  name_client(client, stream);
  json_t *facts = facts_of(client);
  add_error(facts, sp_stream_error(stream));
  set(facts, "server_name", sp_pair_server_name(sp_stream_pair(stream)));
  add_verdict(facts, sp_stream_pair(stream));
  tell(serve, "failed", facts);
}

/* Who comes by http:// is told of https://, as far as one packet goes. */
static void answer_http(const sp_stream_t *stream) {
  static const char text[] = "This port speaks TLS: write https:// in place of http://.\n";
  char room[256];
  int n = snprintf(room, sizeof room,
                   "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
                   "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                   sizeof text - 1, text);
  uv_buf_t bytes = uv_buf_init(room, (unsigned)n);
  uv_stream_t *transport = sp_stream_transport(stream);
  if (transport)
    (void)uv_try_write(transport, &bytes, 1);
}

static void hand_over(cli_serve_t *serve, sp_stream_t *stream) {
  cli_kept_t *kept = calloc(1, sizeof *kept);
  if (!kept) {
    sp_stream_destroy(stream);
    return;
  }
  kept->open = (cli_connection_t){.stream = stream, .serve = serve};
  kept->began = uv_now(&serve->loop);
  kept->link = &serve->connections;
  kept->next = serve->connections;
  serve->connections = kept;
  if (kept->next)
    kept->next->link = &kept->next;
  name_client(kept->client, stream);
  tell_secure(serve, kept);
  serve->service->open(&kept->open);
  if (serve->is_draining)
    serve->service->drain(&kept->open);
}

void cli_serve_on_secure(sp_stream_t *stream, int status) {
  cli_serve_t *serve = sp_server_data(sp_stream_server(stream));
  if (status == SP_EHTTP)
    answer_http(stream);
  if (status < 0)
    tell_failed(serve, stream);
  else
    hand_over(serve, stream);
}

static void tell_drops(cli_serve_t *serve) {
  json_t *facts = json_object();
  json_object_set_new(facts, "clients", json_integer((json_int_t)serve->dropped));
  set(facts, "error",
      serve->drop_status == UV_ECONNREFUSED
          ? "there are as many connections as --max-connections allows"
          : uv_strerror(serve->drop_status));
  serve->dropped = 0;
  tell(serve, "dropped", facts);
}

void cli_serve_tell_drops(cli_serve_t *serve) {
  if (serve->dropped)
    tell_drops(serve);
}

static void on_drops(uv_timer_t *timer) {
  cli_serve_t *serve = timer->data;
  if (!serve->dropped)
    (void)uv_timer_stop(timer);
  cli_serve_tell_drops(serve);
}

/* The first at once; a storm once a second, to its end. */
void cli_serve_on_drop(sp_server_t *server, int status) {
  cli_serve_t *serve = sp_server_data(server);
  serve->dropped++;
  serve->drop_status = status;
  if (uv_is_active((uv_handle_t *)&serve->drops))
    return;
  tell_drops(serve);
  (void)uv_timer_start(&serve->drops, on_drops, 1000, 1000);
}

void cli_connection_timeout(sp_stream_t *stream) {
  cli_connection_t *c = sp_stream_data(stream);
  cli_connection_log(c, "idle", NULL);
  sp_stream_destroy(stream);
}

void cli_connection_log(cli_connection_t *c, const char *event, json_t *facts) {
  json_t *all = facts_of(((cli_kept_t *)c)->client);
  (void)json_object_update(all, facts);
  json_decref(facts);
  tell(c->serve, event, all);
}

void cli_connection_closed(cli_connection_t *c) {
  cli_kept_t *kept = (cli_kept_t *)c;
  const sp_stream_t *stream = c->stream;
  double seconds = (double)(uv_now(&c->serve->loop) - kept->began) / 1e3;
  json_t *facts = json_object();
  json_object_set_new(facts, "bytes_in", json_integer((json_int_t)sp_stream_bytes_read(stream)));
  json_object_set_new(facts, "bytes_out",
                      json_integer((json_int_t)sp_stream_bytes_written(stream)));
  json_object_set_new(facts, "seconds", json_real(seconds));
  if (sp_pair_state(sp_stream_pair(stream)) & SP_PAIR_TRUNCATED)
    json_object_set_new(facts, "truncated", json_true());
  if (sp_stream_error(stream)->status < 0)
    add_error(facts, sp_stream_error(stream));
  cli_connection_log(c, "closed", facts);
  *kept->link = kept->next;
  if (kept->next)
    kept->next->link = kept->link;
  free(kept);
}

/* The service may close them meanwhile: each is asked once, and the list only shrinks later, in
 * the event `close`. */
void cli_serve_drain(cli_serve_t *serve) {
  for (cli_kept_t *kept = serve->connections, *next; kept; kept = next) {
    next = kept->next;
    serve->service->drain(&kept->open);
  }
}
