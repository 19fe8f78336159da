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

#include "support/contexts.h"
#include "support/site.h"

static const char *name_of(char room[static 64], const sp_pair_t *pair) {
  sp_certificate_t *certificate;
  assert_int_equal(sp_pair_peer_certificate(pair, &certificate), 0);
  (void)snprintf(room, 64, "%s", sp_certificate_subject(certificate) + strlen("CN="));
  sp_certificate_release(certificate);
  return room;
}

/* -- a server and its clients ----------------------------------------------------------------- */

static void site_open(site_t *site) {
  *site = (site_t){.port = 0};
  scene_begin(&site->scene);
  site_serve(site);
}

typedef struct client {
  visitor_t visitor; /* first */
  char shown[64];
} client_t;

static void see(visitor_t *visitor, const sp_pair_t *pair) {
  (void)name_of(((client_t *)visitor)->shown, pair);
}

static void client_open(client_t *client, site_t *site, const char *name, sp_protocol_t version) {
  visitor_open(&client->visitor, site, see,
               SP_OPTIONS(.server_name = name, .max_version = version));
  assert_int_equal(client->visitor.status, 0);
  assert_int_equal(site->status, 0);
}

/* Whose certificate a new client is shown. */
static const char *shown(site_t *site, const char *name) {
  static client_t client;
  site->session_size = 0;
  client_open(&client, site, name, SP_TLS1_3);
  visitor_end(&client.visitor);
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
    site.session_size = 0;
    client_open(&old, &site, "any.example", (sp_protocol_t)version);
    assert_string_equal(old.shown, "A");
    put(b, by_rename);
    expect_change(&site.scene, "B");
    visitor_talk(&old.visitor);
    site.session_size = 0;
    client_open(&new, &site, "any.example", (sp_protocol_t)version);
    assert_string_equal(new.shown, "B");
    visitor_talk(&old.visitor);
    visitor_end(&old.visitor);
    visitor_end(&new.visitor);
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
    site.session_size = 0;
    client_open(&client, &site, "any.example", (sp_protocol_t)version);
    visitor_talk(&client.visitor); /* the ticket is there before the answer */
    visitor_end(&client.visitor);
    assert_false(client.visitor.is_resumed);
    for (int i = 0; i < 3; i++) {
      put(i % 2 ? a : b, by_rename);
      expect_change(&site.scene, i % 2 ? "A" : "B");
      client_open(&client, &site, "any.example", (sp_protocol_t)version);
      assert_true(client.visitor.is_resumed);
      visitor_talk(&client.visitor);
      visitor_end(&client.visitor);
    }
    assert_int_equal(site.resumptions, 3);
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
  child_t *child = site_s_client(site, CHILD_ARGS(version, flag, file));
  assert_true(child_wait_for(child, "Verify return code"));
  return child;
}

/* Has a line turned back by our server. */
static void s_client_talk(child_t *child, const char *line) {
  child_tell(child, line, strlen(line));
  assert_true(child_wait_for(child, line));
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
    site_s_client_end(fresh);
    site_s_client_end(live);
    assert_int_equal(site.resumptions, 0);
    child_t *again = s_client(&site, versions[i], "-sess_in", file);
    assert_true(child_said(again, "Reused, "));
    site_s_client_end(again);
    assert_int_equal(site.resumptions, 1);
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
