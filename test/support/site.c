#include "support/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* -- the server -------------------------------------------------------------------------------- */

static void on_served(sp_stream_t *stream, int status) {
  site_t *site = sp_server_data(sp_stream_server(stream));
  site->status = status;
  site->verify = sp_stream_error(stream)->verify;
  if (status < 0)
    return;
  site->resumed = sp_pair_is_resumed(sp_stream_pair(stream));
  site->resumptions += site->resumed;
  sp_stream_pipe(stream, stream);
}

static void on_server_closed(sp_server_t *server) {
  site_t *site = sp_server_data(server);
  site->is_closed = true;
}

void site_serve(site_t *site) {
  sp_error_t why;
  assert_int_equal(sp_server_new(&site->server, &site->scene.stage.uv, on_served, &why,
                                 SP_OPTIONS(.context = sp_watch_context(site->scene.watch))),
                   0);
  sp_server_set_data(site->server, site);
  assert_int_equal(sp_server_listen(site->server, "127.0.0.1", 0, &why), 0);
  site->port = sp_server_port(site->server);
}

void site_close(site_t *site) {
  sp_server_close(site->server, on_server_closed);
  sp_server_destroy_all(site->server);
  STAGE_UNTIL(&site->scene.stage, site->is_closed);
  scene_end(&site->scene);
}

/* -- a client of ours -------------------------------------------------------------------------- */

static visitor_t *beginning; /* whose `secure` comes next */

static void on_secure(sp_stream_t *stream, int status) {
  visitor_t *visitor = beginning;
  visitor->status = status;
  if (status < 0)
    return;
  visitor->is_resumed = sp_pair_is_resumed(sp_stream_pair(stream));
  if (visitor->saw)
    visitor->saw(visitor, sp_stream_pair(stream));
}

static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  visitor_t *visitor = sp_stream_data(stream);
  (void)bytes;
  visitor->received += n;
}

static void on_close(sp_stream_t *stream) {
  visitor_t *visitor = sp_stream_data(stream);
  visitor->stream = NULL;
}

static void on_session(sp_stream_t *stream, const void *bytes, size_t n) {
  const visitor_t *visitor = sp_stream_data(stream);
  site_t *site = visitor->site;
  assert_in_range(n, 1, sizeof site->session);
  memcpy(site->session, bytes, n);
  site->session_size = n;
}

void visitor_open(visitor_t *visitor, site_t *site,
                  void (*saw)(visitor_t *visitor, const sp_pair_t *pair),
                  const sp_options_t *options) {
  static const sp_stream_events_t events = {
      .data = on_data, .close = on_close, .session = on_session};
  const char *root[] = {pki_default()->root->cert_pem, NULL};
  sp_error_t why;
  sp_options_t all = *options;
  all.host = "127.0.0.1";
  all.port = site->port;
  all.check_name = all.session_cache = SP_NO;
  all.session = site->session;
  all.session_size = site->session_size;
  all.ca = root;
  *visitor = (visitor_t){.site = site, .saw = saw, .status = 1};
  site->status = 1;
  beginning = visitor;
  assert_int_equal(sp_connect(&visitor->stream, &site->scene.stage.uv, on_secure, &why, &all), 0);
  sp_stream_on(visitor->stream, &events, visitor);
  STAGE_UNTIL(&site->scene.stage, visitor->status <= 0 && site->status <= 0);
}

void visitor_talk(visitor_t *visitor) {
  size_t before = visitor->received;
  sp_stream_send(visitor->stream, "again", 5);
  STAGE_UNTIL(&visitor->site->scene.stage, visitor->received == before + 5);
}

void visitor_end(visitor_t *visitor) {
  if (visitor->stream)
    sp_stream_end(visitor->stream);
  STAGE_UNTIL(&visitor->site->scene.stage, !visitor->stream);
}

/* -- openssl s_client -------------------------------------------------------------------------- */

child_t *site_s_client(site_t *site, const char *const *more) {
  char address[32];
  const char *args[17] = {"openssl", "s_client", "-connect", address, "-no_ign_eof"};
  (void)snprintf(address, sizeof address, "127.0.0.1:%d", site->port);
  for (size_t i = 0; more[i]; i++)
    args[5 + i] = more[i];
  child_t *child = child_start(&site->scene.stage.uv, args);
  assert_non_null(child);
  return child;
}

void site_s_client_end(child_t *child) {
  child_tell_end(child);
  (void)child_wait(child);
  child_free(child);
}
