/* A server's contexts by name: which certificate whoever asks for which name is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <securepair.h>

#include "support/contexts.h"
#include "support/pki.h"
#include "support/program.h"

static sp_context_t *named(const char *cn) {
  const pki_t *pki = PKI_MAKE(pki_default()->root, .cn = cn);
  return context_made(SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem));
}

/* The server takes a reference of its own. */
static int add(program_t *p, const char *name, const char *cn) {
  sp_context_t *context = cn ? named(cn) : NULL;
  int status = sp_server_add_context(p->f->server, name, context);
  sp_context_release(context);
  return status;
}

static void set_default(program_t *p, const char *cn) {
  sp_context_t *context = named(cn);
  assert_int_equal(sp_server_set_context(p->f->server, context), 0);
  sp_context_release(context);
}

static program_t *serve(void) {
  program_t *p = program_new();
  sp_context_t *context = named("default");
  program_serve(p, SP_OPTIONS(.context = context));
  sp_context_release(context);
  return p;
}

/* A client that is secure, whatever the names in the certificate. */
static talker_t *connect_with(program_t *p, const char *name, sp_protocol_t version) {
  const char *root[] = {pki_default()->root->cert_pem, NULL};
  talker_t *client = program_connect(p, SP_OPTIONS(.port = p->f->port, .ca = root,
                                                   .server_name = name, .check_name = SP_NO,
                                                   .session_cache = SP_NO, .max_version = version));
  while (!client->actor->counts[ON_SECURE])
    uv_run(&p->f->loop, UV_RUN_ONCE);
  assert_int_equal(client->side.status, 0);
  assert_true(client->side.authorized);
  return client;
}

static bool all_gone(fixture_t *f) { return sp_server_connections(f->server) == 0; }

/* The common name that a client gets to see which asks for `name` (an address: for none). */
static const char *shown(program_t *p, const char *name) {
  static char peers[2][128];
  for (int i = 0; i < 2; i++) {
    talker_t *client = connect_with(p, name, i ? SP_TLS1_2 : SP_TLS1_3);
    memcpy(peers[i], client->side.peer, sizeof peers[i]);
    sp_stream_destroy(client->actor->stream);
    talker_wait_close(client);
    fixture_run_until(p->f, all_gone);
    for (size_t k = 0; k < p->count; k++)
      free(p->talks[k].got);
    p->count = 0; /* room for the next ones */
    memset(p->talks, 0, sizeof p->talks);
  }
  assert_string_equal(peers[0], peers[1]);
  assert_memory_equal(peers[0], "CN=", 3);
  return peers[0] + 3;
}

static void names_choose_the_certificate(void **state) {
  (void)state;
  program_t *p = serve();
  assert_int_equal(add(p, "mail.host.example", "exact"), 0);
  assert_int_equal(add(p, "*.host.example", "wild"), 0);
  assert_int_equal(add(p, "*.example", "top"), 0);
  assert_int_equal(add(p, "single", "single"), 0);
  assert_string_equal(shown(p, "mail.host.example"), "exact");
  assert_string_equal(shown(p, "other.host.example"), "wild");
  assert_string_equal(shown(p, "host.example"), "top");
  assert_string_equal(shown(p, "single"), "single");
  /* case */
  assert_string_equal(shown(p, "MAIL.Host.EXAMPLE"), "exact");
  assert_string_equal(shown(p, "OTHER.host.example"), "wild");
  /* a wildcard is for one more label */
  assert_string_equal(shown(p, "a.mail.host.example"), "default");
  assert_string_equal(shown(p, "a.other.host.example"), "default");
  /* nobody's, or none */
  assert_string_equal(shown(p, "example"), "default");
  assert_string_equal(shown(p, "elsewhere.invalid"), "default");
  assert_string_equal(shown(p, "xsingle"), "default");
  assert_string_equal(shown(p, "singl"), "default");
  assert_string_equal(shown(p, "127.0.0.1"), "default");
  program_free(p);
}

static void names_are_given_in_any_form(void **state) {
  (void)state;
  program_t *p = serve();
  assert_int_equal(add(p, "MAIL.example.", "one"), 0);
  assert_string_equal(shown(p, "mail.example"), "one");
  assert_int_equal(add(p, "mail.EXAMPLE", "two"), 0); /* the same name: it takes over */
  assert_string_equal(shown(p, "mail.example"), "two");
  assert_int_equal(add(p, "*.Host.Example.", "wild"), 0);
  assert_string_equal(shown(p, "a.host.example"), "wild");
  assert_int_equal(add(p, "*.host.example", NULL), 0);
  assert_string_equal(shown(p, "a.host.example"), "default");
  program_free(p);
}

static void a_removed_name_falls_back(void **state) {
  (void)state;
  program_t *p = serve();
  assert_int_equal(add(p, "mail.host.example", "exact"), 0);
  assert_int_equal(add(p, "*.host.example", "wild"), 0);
  assert_string_equal(shown(p, "mail.host.example"), "exact");
  assert_int_equal(add(p, "Mail.Host.Example.", NULL), 0);
  assert_string_equal(shown(p, "mail.host.example"), "wild");
  assert_int_equal(add(p, "*.host.example", NULL), 0);
  assert_string_equal(shown(p, "mail.host.example"), "default");
  assert_int_equal(add(p, "mail.host.example", NULL), 0); /* not there: nothing to do */
  program_free(p);
}

static void many_names(void **state) {
  (void)state;
  program_t *p = serve();
  char name[64];
  sp_context_t *common = named("common");
  for (int i = 0; i < 2000; i++) {
    (void)snprintf(name, sizeof name, "h%d.host.example", i * 7919 % 2000);
    assert_int_equal(sp_server_add_context(p->f->server, name, common), 0);
  }
  assert_int_equal(add(p, "h1000.host.example", "own"), 0);
  assert_string_equal(shown(p, "h1000.host.example"), "own");
  assert_string_equal(shown(p, "h1999.host.example"), "common");
  assert_string_equal(shown(p, "h100.host.example"), "common");
  assert_string_equal(shown(p, "h2000.host.example"), "default");
  for (int i = 0; i < 2000; i += 2) {
    (void)snprintf(name, sizeof name, "h%d.host.example", i);
    assert_int_equal(add(p, name, NULL), 0);
  }
  assert_string_equal(shown(p, "h1000.host.example"), "default");
  assert_string_equal(shown(p, "h1001.host.example"), "common");
  sp_context_release(common);
  program_free(p);
}

static void names_that_are_none_are_refused(void **state) {
  (void)state;
  static const char *const names[] = {"",
                                      ".",
                                      "..",
                                      "*",
                                      "*.",
                                      "**.example",
                                      "a*.example",
                                      "a.*.example",
                                      "*.*.example",
                                      "a..example",
                                      ".example",
                                      "mail.example..",
                                      "mail example",
                                      "mail\n.example",
                                      "mail/example",
                                      "m\xc3\xa4il.example",
                                      "127.0.0.1",
                                      "::1",
                                      "*.127.0.0.1",
                                      "1.2.3",
                                      "0x7f"};
  program_t *p = serve();
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (add(p, names[i], "x") != SP_EOPTION)
      fail_msg("\"%s\" is taken", names[i]);
  assert_int_equal(add(p, NULL, "x"), SP_EOPTION);
  char label[300];
  memset(label, 'a', sizeof label);
  label[64] = '\0';
  assert_int_equal(add(p, label, "x"), SP_EOPTION); /* one byte too long (RFC 1035 2.3.4) */
  label[63] = '\0';
  assert_int_equal(add(p, label, "long"), 0);
  assert_string_equal(shown(p, label), "long");
  memset(label, 'a', sizeof label);
  for (size_t i = 63; i < sizeof label; i += 64)
    label[i] = '.';
  label[255] = '\0';
  assert_int_equal(add(p, label, "x"), SP_EOPTION);
  label[253] = '\0';
  assert_int_equal(add(p, label, "longest"), 0);
  assert_string_equal(shown(p, label), "longest");
  program_free(p);
}

static void a_context_needs_a_certificate(void **state) {
  (void)state;
  program_t *p = serve();
  sp_context_t *bare = context_made(SP_OPTIONS(.ca = SP_EMPTY_LIST));
  assert_int_equal(sp_server_add_context(p->f->server, "mail.example", bare), SP_EOPTION);
  assert_int_equal(sp_server_set_context(p->f->server, bare), SP_EOPTION);
  assert_int_equal(sp_server_set_context(p->f->server, NULL), SP_EOPTION);
  sp_context_release(bare);
  assert_string_equal(shown(p, "mail.example"), "default");
  program_free(p);
}

/* -- swapping (A16) ---------------------------------------------------------------------------- */

static void talk(talker_t *client, const char *words) {
  size_t before = client->got_size, n = strlen(words);
  assert_int_equal(sp_stream_send(client->actor->stream, words, n), 1);
  while (client->got_size < before + n)
    uv_run(&client->actor->fixture->loop, UV_RUN_ONCE);
  assert_memory_equal(client->got + before, words, n);
}

static void live_connections_keep_their_context(void **state) {
  (void)state;
  program_t *p = serve();
  assert_int_equal(add(p, "mail.example", "exact"), 0);
  talker_t *by_default = connect_with(p, "localhost", SP_TLS1_3);
  talker_t *by_name = connect_with(p, "mail.example", SP_TLS1_2);
  talk(by_default, "before");
  talk(by_name, "before");
  set_default(p, "default 2"); /* nobody but the connections holds the first ones any more */
  assert_int_equal(add(p, "mail.example", "exact 2"), 0);
  talk(by_default, "after");
  talk(by_name, "after");
  talker_t *again = connect_with(p, "localhost", SP_TLS1_2);
  talker_t *again_by_name = connect_with(p, "mail.example", SP_TLS1_3);
  assert_string_equal(by_default->side.peer, "CN=default");
  assert_string_equal(by_name->side.peer, "CN=exact");
  assert_string_equal(again->side.peer, "CN=default 2");
  assert_string_equal(again_by_name->side.peer, "CN=exact 2");
  assert_int_equal(add(p, "mail.example", NULL), 0);
  talk(by_name, "still");
  talk(again_by_name, "still");
  for (size_t i = 0; i < p->count; i++)
    sp_stream_end(p->talks[i].actor->stream);
  program_free(p);
}

/* A handshake that has begun ends with one pair of key and certificate, whatever is swapped. */
static void swapping_amid_handshakes(void **state) {
  (void)state;
  enum { ROUNDS = 8, AT_ONCE = 4 };
  program_t *p = serve();
  sp_context_t *contexts[] = {named("default"), named("two")};
  for (int round = 0; round < ROUNDS; round++) {
    const char *root[] = {pki_default()->root->cert_pem, NULL};
    talker_t *clients[AT_ONCE];
    size_t first = p->count;
    for (int i = 0; i < AT_ONCE; i++)
      clients[i] =
          program_connect(p, SP_OPTIONS(.port = p->f->port, .ca = root,
                                        .server_name = "mail.example", .check_name = SP_NO));
    for (int turn = 0, secure = 0; secure < AT_ONCE; turn++) {
      assert_int_equal(sp_server_set_context(p->f->server, contexts[turn % 2]), 0);
      assert_int_equal(
          sp_server_add_context(p->f->server, "mail.example", turn % 3 ? contexts[turn % 2] : NULL),
          0);
      uv_run(&p->f->loop, UV_RUN_ONCE);
      secure = 0;
      for (int i = 0; i < AT_ONCE; i++)
        secure += clients[i]->actor->counts[ON_SECURE] == 1;
    }
    for (int i = 0; i < AT_ONCE; i++) {
      assert_int_equal(clients[i]->side.status, 0);
      assert_true(clients[i]->side.authorized);
      talk(clients[i], "hello");
      sp_stream_destroy(clients[i]->actor->stream);
    }
    fixture_run_until(p->f, all_gone);
    for (int i = 0; i < AT_ONCE; i++)
      talker_wait_close(clients[i]);
    for (size_t i = first; i < p->count; i++)
      free(p->talks[i].got);
    p->count = first;
    memset(p->talks + first, 0, sizeof p->talks - first * sizeof *p->talks);
  }
  sp_context_release(contexts[0]);
  sp_context_release(contexts[1]);
  program_free(p);
}

/* The context chosen by name brings its own policy along. */
static void a_name_brings_its_policy(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  program_t *p = serve();
  sp_context_t *strict = context_made(
      SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem,
                 .ca = SP_LIST(s->root->cert_pem), .request_cert = SP_YES,
                 .reject_unauthorized = SP_YES, .alpn = SP_LIST("h2"), .min_version = SP_TLS1_3));
  assert_int_equal(sp_server_add_context(p->f->server, "localhost", strict), 0);
  sp_context_release(strict);
  const char *root[] = {s->root->cert_pem, NULL};
  talker_t *with =
      program_connect(p, SP_OPTIONS(.port = p->f->port, .ca = root, .server_name = "localhost",
                                    .alpn = SP_LIST("http/1.1", "h2"), .key = s->client->key_pem,
                                    .cert = s->client->cert_pem));
  while (!with->actor->counts[ON_SECURE])
    uv_run(&p->f->loop, UV_RUN_ONCE);
  talk(with, "hello");
  assert_string_equal(with->side.protocol, "h2");
  assert_string_equal(with->side.version, "TLSv1.3");
  talker_t *without =
      program_connect(p, SP_OPTIONS(.port = p->f->port, .ca = root, .server_name = "localhost"));
  talker_wait_close(without);
  assert_string_equal(without->side.log, "secure error(SP_EALERT) close");
  talker_t *old =
      program_connect(p, SP_OPTIONS(.port = p->f->port, .ca = root, .server_name = "localhost",
                                    .max_version = SP_TLS1_2));
  talker_wait_close(old);
  assert_string_equal(old->side.log, "secure(SP_EALERT) close");
  assert_string_equal(sp_alert_name(old->side.error.alert), "protocol_version");
  talker_t *other = connect_with(p, "elsewhere.example", SP_TLS1_2);
  assert_string_equal(other->side.peer, "CN=default");
  sp_stream_end(other->actor->stream);
  sp_stream_end(with->actor->stream);
  program_free(p);
}

/* -- asked for by openssl ---------------------------------------------------------------------- */

static void check_s_client(program_t *p, const char *option, const char *name, const char *cn) {
  char address[32], words[64];
  (void)snprintf(address, sizeof address, "127.0.0.1:%d", p->f->port);
  (void)snprintf(words, sizeof words, "subject=CN = %s\n", cn);
  p->child = child_start(&p->f->loop,
                         CHILD_ARGS("openssl", "s_client", "-connect", address, option, name));
  assert_non_null(p->child);
  child_tell_end(p->child);
  assert_int_equal(child_wait(p->child), 0);
  if (!child_said(p->child, words))
    fail_msg("%s: not %s:\n%s", name ? name : "no name", cn, child_out(p->child, NULL));
  child_free(p->child);
  p->child = NULL;
  fixture_run_until(p->f, all_gone);
}

/* It sends what our client would not. */
static void s_client_asks_for_names(void **state) {
  (void)state;
  if (!child_exists("openssl")) {
    print_message("openssl is not here\n");
    skip();
  }
  program_t *p = serve();
  assert_int_equal(add(p, "mail.host.example", "exact"), 0);
  assert_int_equal(add(p, "*.host.example", "wild"), 0);
  check_s_client(p, "-noservername", NULL, "default");
  check_s_client(p, "-servername", "mail.host.example", "exact");
  check_s_client(p, "-servername", "MAIL.HOST.example.", "exact");
  check_s_client(p, "-servername", "b.host.example.", "wild");
  check_s_client(p, "-servername", "b.c.host.example", "default");
  check_s_client(p, "-servername", "*.host.example", "default");
  check_s_client(p, "-servername", ".host.example", "default");
  check_s_client(p, "-servername", "mail.host.example..", "default");
  check_s_client(p, "-servername", "mail.host.example\n", "default");
  check_s_client(p, "-servername", "127.0.0.1", "default");
  program_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_choose_the_certificate),
      cmocka_unit_test(names_are_given_in_any_form),
      cmocka_unit_test(a_removed_name_falls_back),
      cmocka_unit_test(many_names),
      cmocka_unit_test(names_that_are_none_are_refused),
      cmocka_unit_test(a_context_needs_a_certificate),
      cmocka_unit_test(live_connections_keep_their_context),
      cmocka_unit_test(swapping_amid_handshakes),
      cmocka_unit_test(a_name_brings_its_policy),
      cmocka_unit_test(s_client_asks_for_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
