/* Servers that follow a watch: who is shown which certificate, what becomes of live connections and
 * of sessions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/child.h"
#include "support/contexts.h"
#include "support/scene.h"

static const char *name_of(char room[static 64], const sp_pair_t *pair) {
  sp_certificate_t *certificate;
  assert_int_equal(sp_pair_peer_certificate(pair, &certificate), 0);
  (void)snprintf(room, 64, "%s", sp_certificate_subject(certificate) + strlen("CN="));
  sp_certificate_release(certificate);
  return room;
}

/* -- a server that echoes ---------------------------------------------------------------------- */

typedef struct site {
  scene_t scene;
  sp_server_t *server;
  int port;
  unsigned resumed; /* clients of the server */
  bool is_closed;
} site_t;

static void on_served(sp_stream_t *stream, int status) {
  site_t *site = sp_server_data(sp_stream_server(stream));
  assert_int_equal(status, 0);
  site->resumed += sp_pair_is_resumed(sp_stream_pair(stream));
  sp_stream_pipe(stream, stream);
}

static void on_server_closed(sp_server_t *server) {
  site_t *site = sp_server_data(server);
  site->is_closed = true;
}

/* With the context that is in force, which it does not follow yet. */
static void site_open(site_t *site) {
  sp_error_t why;
  *site = (site_t){.port = 0};
  scene_begin(&site->scene);
  assert_int_equal(sp_server_new(&site->server, &site->scene.stage.uv, on_served, &why,
                                 SP_OPTIONS(.context = sp_watch_context(site->scene.watch))),
                   0);
  sp_server_set_data(site->server, site);
  assert_int_equal(sp_server_listen(site->server, "127.0.0.1", 0, &why), 0);
  site->port = sp_server_port(site->server);
}

static void site_close(site_t *site) {
  sp_server_close(site->server, on_server_closed);
  sp_server_destroy_all(site->server);
  STAGE_UNTIL(&site->scene.stage, site->is_closed);
  scene_end(&site->scene);
}

/* -- a client ---------------------------------------------------------------------------------- */

typedef struct client {
  sp_stream_t *stream; /* NULL after `close` */
  int status;          /* 1: not secure yet */
  bool is_resumed;
  size_t received;
  char shown[64];
} client_t;

static client_t *beginning; /* whose `secure` comes next */

static void on_secure(sp_stream_t *stream, int status) {
  client_t *client = beginning;
  client->status = status;
  if (status < 0)
    return;
  client->is_resumed = sp_pair_is_resumed(sp_stream_pair(stream));
  name_of(client->shown, sp_stream_pair(stream));
}

static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  client_t *client = sp_stream_data(stream);
  (void)bytes;
  client->received += n;
}

static void on_close(sp_stream_t *stream) {
  client_t *client = sp_stream_data(stream);
  client->stream = NULL;
}

static uint8_t session[16384];
static size_t session_size;

static void on_session(sp_stream_t *stream, const void *bytes, size_t n) {
  (void)stream;
  assert_in_range(n, 1, sizeof session);
  memcpy(session, bytes, n);
  session_size = n;
}

/* A client that is secure; with what is in `session`. */
static void client_open(client_t *client, site_t *site, const char *name, sp_protocol_t version) {
  static const sp_stream_events_t events = {
      .data = on_data, .close = on_close, .session = on_session};
  sp_error_t why;
  *client = (client_t){.status = 1};
  beginning = client;
  assert_int_equal(
      sp_connect(&client->stream, &site->scene.stage.uv, on_secure, &why,
                 SP_OPTIONS(.host = "127.0.0.1", .port = site->port, .server_name = name,
                            .check_name = SP_NO, .max_version = version, .session_cache = SP_NO,
                            .session = session, .session_size = session_size,
                            .ca = SP_LIST(pki_default()->root->cert_pem))),
      0);
  sp_stream_on(client->stream, &events, client);
  STAGE_UNTIL(&site->scene.stage, client->status <= 0);
  assert_int_equal(client->status, 0);
}

static void client_talk(client_t *client, site_t *site) {
  size_t before = client->received;
  sp_stream_send(client->stream, "again", 5);
  STAGE_UNTIL(&site->scene.stage, client->received == before + 5);
}

static void client_end(client_t *client, site_t *site) {
  sp_stream_end(client->stream);
  STAGE_UNTIL(&site->scene.stage, !client->stream);
}

/* Whose certificate a new client is shown. */
static const char *shown(site_t *site, const char *name) {
  static client_t client;
  session_size = 0;
  client_open(&client, site, name, SP_TLS1_3);
  client_end(&client, site);
  return client.shown;
}

/* -- the tests --------------------------------------------------------------------------------- */

static void new_connections_see_the_new_certificate(void **state) {
  (void)state;
  for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++) {
    site_t site;
    client_t old, new;
    site_open(&site);
    assert_int_equal(sp_server_follow(site.server, NULL, site.scene.watch), 0);
    session_size = 0;
    client_open(&old, &site, "any.example", (sp_protocol_t)version);
    assert_string_equal(old.shown, "A");
    put(b, by_rename);
    expect_change(&site.scene, "B");
    client_talk(&old, &site);
    session_size = 0;
    client_open(&new, &site, "any.example", (sp_protocol_t)version);
    assert_string_equal(new.shown, "B");
    client_talk(&old, &site);
    client_end(&old, &site);
    client_end(&new, &site);
    site_close(&site);
  }
}

static void a_ticket_from_before_resumes(void **state) {
  (void)state;
  for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++) {
    site_t site;
    client_t client;
    site_open(&site);
    assert_int_equal(sp_server_follow(site.server, NULL, site.scene.watch), 0);
    session_size = 0;
    client_open(&client, &site, "any.example", (sp_protocol_t)version);
    client_talk(&client, &site); /* the ticket is there before the answer */
    client_end(&client, &site);
    assert_false(client.is_resumed);
    for (int i = 0; i < 3; i++) {
      put(i % 2 ? a : b, by_rename);
      expect_change(&site.scene, i % 2 ? "A" : "B");
      client_open(&client, &site, "any.example", (sp_protocol_t)version);
      assert_true(client.is_resumed);
      client_talk(&client, &site);
      client_end(&client, &site);
    }
    assert_int_equal(site.resumed, 3);
    site_close(&site);
  }
}

/* By name and by default, each for itself, until another context is set. */
static void each_name_follows_for_itself(void **state) {
  site_t site;
  (void)state;
  site_open(&site);
  sp_watch_t *watch = site.scene.watch;
  assert_int_equal(sp_server_follow(site.server, "mail.example", watch), 0);
  assert_int_equal(sp_server_follow(site.server, "*.web.example", watch), 0);
  assert_int_equal(sp_server_follow(site.server, "mail example", watch), SP_EOPTION);
  put(b, by_rename);
  expect_change(&site.scene, "B");
  assert_string_equal(shown(&site, "mail.example"), "B");
  assert_string_equal(shown(&site, "a.web.example"), "B");
  assert_string_equal(shown(&site, "else.example"), "A"); /* the one it was made with */
  assert_int_equal(sp_server_follow(site.server, NULL, watch), 0);
  assert_int_equal(sp_server_follow(site.server, NULL, watch), 0); /* again does no harm */
  assert_string_equal(shown(&site, "else.example"), "B");
  sp_context_t *fixed = sp_context_retain(sp_watch_context(watch));
  assert_int_equal(sp_server_add_context(site.server, "mail.example", fixed), 0);
  put(a, by_rename);
  expect_change(&site.scene, "A");
  assert_string_equal(shown(&site, "mail.example"), "B");
  assert_string_equal(shown(&site, "a.web.example"), "A");
  assert_int_equal(sp_server_set_context(site.server, fixed), 0);
  assert_string_equal(shown(&site, "else.example"), "B");
  assert_int_equal(sp_server_add_context(site.server, "*.web.example", NULL), 0);
  assert_string_equal(shown(&site, "a.web.example"), "B");
  sp_context_release(fixed);
  site_close(&site);
}

static void the_last_context_stays_when_the_watch_is_closed(void **state) {
  site_t site;
  (void)state;
  site_open(&site);
  assert_int_equal(sp_server_follow(site.server, NULL, site.scene.watch), 0);
  put(b, by_rename);
  expect_change(&site.scene, "B");
  assert_int_equal(sp_watch_close(site.scene.watch, scene_on_closed), 0);
  STAGE_UNTIL(&site.scene.stage, site.scene.is_closed);
  site.scene.watch = NULL;
  put(a, by_rename);
  assert_string_equal(shown(&site, "any.example"), "B");
  site_close(&site);
}

static void a_server_needs_a_certificate(void **state) {
  site_t site;
  sp_watch_t *watch;
  sp_error_t why;
  (void)state;
  site_open(&site);
  assert_int_equal(sp_watch_new(&watch, &site.scene.stage.uv, NULL, &why,
                                SP_OPTIONS(.ca_files = SP_LIST(path("cert")))),
                   0);
  assert_int_equal(sp_server_follow(site.server, NULL, watch), SP_EOPTION);
  assert_int_equal(sp_server_follow(site.server, "mail.example", watch), SP_EOPTION);
  assert_int_equal(sp_watch_close(watch, NULL), 0);
  assert_string_equal(shown(&site, "mail.example"), "A");
  site_close(&site);
}

/* -- openssl s_client -------------------------------------------------------------------------- */

static child_t *s_client(site_t *site, const char *version, const char *flag, const char *file) {
  char address[32];
  (void)snprintf(address, sizeof address, "127.0.0.1:%d", site->port);
  child_t *child =
      child_start(&site->scene.stage.uv, CHILD_ARGS("openssl", "s_client", "-connect", address,
                                                    version, "-no_ign_eof", flag, file));
  assert_non_null(child);
  assert_true(child_wait_for(child, "Verify return code"));
  return child;
}

/* Has a line turned back by our server. */
static void s_client_talk(child_t *child, const char *line) {
  child_tell(child, line, strlen(line));
  assert_true(child_wait_for(child, line));
}

static void s_client_end(child_t *child) {
  child_tell_end(child);
  (void)child_wait(child);
  child_free(child);
}

static void s_client_before_and_after(void **state) {
  static const char *const versions[] = {"-tls1_2", "-tls1_3"};
  (void)state;
  if (!child_exists("openssl"))
    skip();
  for (int i = 0; i < 2; i++) {
    site_t site;
    char file[300];
    site_open(&site);
    (void)snprintf(file, sizeof file, "%s", path("session"));
    assert_int_equal(sp_server_follow(site.server, NULL, site.scene.watch), 0);
    child_t *live = s_client(&site, versions[i], "-sess_out", file);
    assert_true(child_said(live, "CN = A") || child_said(live, "CN=A"));
    s_client_talk(live, "before\n");
    put(b, by_rename);
    expect_change(&site.scene, "B");
    s_client_talk(live, "after\n");
    child_t *fresh = s_client(&site, versions[i], "-servername", "any.example");
    assert_true(child_said(fresh, "CN = B") || child_said(fresh, "CN=B"));
    s_client_end(fresh);
    s_client_end(live);
    assert_int_equal(site.resumed, 0);
    child_t *again = s_client(&site, versions[i], "-sess_in", file);
    assert_true(child_said(again, "Reused, "));
    s_client_end(again);
    assert_int_equal(site.resumed, 1);
    site_close(&site);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(new_connections_see_the_new_certificate),
      cmocka_unit_test(a_ticket_from_before_resumes),
      cmocka_unit_test(each_name_follows_for_itself),
      cmocka_unit_test(the_last_context_stays_when_the_watch_is_closed),
      cmocka_unit_test(a_server_needs_a_certificate),
      cmocka_unit_test(s_client_before_and_after),
  };
  return cmocka_run_group_tests_name("watch-server", tests, NULL, NULL);
}
