/*
 * Clients that ask for a name: strict_sni, which sends away who asks for none that is known, and
 * what each name's context decides for itself: client certificates and whom it trusts for them,
 * protocols, versions, ciphers, hooks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/contexts.h"
#include "support/couple.h"
#include "support/hello.h"
#include "support/program.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static sp_context_t *context_of(const char *cn, const sp_options_t *more) {
  const pki_t *pki = PKI_MAKE(pki_default()->root, .cn = cn);
  sp_options_t options = *more;
  options.key = pki->key_pem;
  options.cert = pki->cert_pem;
  return context_made(&options);
}

static void add(program_t *p, const char *name, const sp_options_t *more) {
  sp_context_t *context = context_of(name, more);
  assert_int_equal(sp_server_add_context(p->f->server, name, context), 0);
  sp_context_release(context);
}

/* The server's default context has the common name "default". */
static program_t *serve(const sp_options_t *server, const sp_options_t *of_default) {
  program_t *p = program_new();
  sp_options_t options = *server;
  options.context = context_of("default", of_default);
  program_serve(p, &options);
  sp_context_release(options.context);
  return p;
}

static bool all_gone(fixture_t *f) { return sp_server_connections(f->server) == 0; }

typedef struct visit {
  meeting_side_t client, server;
} visit_t;

/* Both sides are done with their handshake, as far as they can know. */
static bool has_answer(const program_t *p) {
  const talker_t *client = &p->talks[0];
  return p->count == 2 && client->actor->counts[ON_SECURE] &&
         (p->talks[1].side.status || client->side.status || client->got_size == 2 ||
          !client->actor->stream);
}

/* Connects, says "hi" and hears it again, or not. */
static visit_t visit(program_t *p, const sp_options_t *more) {
  const char *root[] = {pki_default()->root->cert_pem, NULL};
  sp_options_t options = *more;
  options.size = sizeof options;
  options.port = p->f->port;
  options.ca = root;
  options.check_name = SP_NO;
  options.session_cache = SP_NO; /* who resumes is shown no certificate */
  talker_t *client = program_connect(p, &options);
  sp_stream_send(client->actor->stream, "hi", 2);
  while (!has_answer(p))
    uv_run(&p->f->loop, UV_RUN_ONCE);
  sp_stream_destroy(client->actor->stream);
  talker_wait_close(client);
  fixture_run_until(p->f, all_gone);
  visit_t seen = {client->side, p->talks[1].side};
  for (size_t i = 0; i < p->count; i++)
    free(p->talks[i].got);
  memset(p->talks, 0, sizeof p->talks);
  p->count = 0;
  return seen;
}

#define VISIT(p, ...) visit(p, &(const sp_options_t){__VA_ARGS__})
#define EACH_VERSION(version)                                                                      \
  for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3; version++)

static void expect_welcome(const visit_t *seen, const char *cn) {
  if (seen->client.status || seen->server.status)
    fail_msg("client: %s; server: %s", seen->client.error.text, seen->server.error.text);
  assert_string_equal(seen->client.peer + 3, cn);
}

static void expect_refusal(const visit_t *seen, const char *words) {
  assert_int_equal(seen->server.status, SP_ENAME);
  assert_int_equal(seen->server.error.who, SP_PEER);
  assert_int_equal(seen->server.error.alert, 112);
  if (!strstr(seen->server.error.text, words))
    fail_msg("\"%s\" does not say \"%s\"", seen->server.error.text, words);
  assert_int_equal(seen->client.status, SP_EALERT);
  assert_int_equal(seen->client.error.alert, 112);
}

/* -- strict_sni -------------------------------------------------------------------------------- */

static void unknown_names_are_refused(void **state) {
  (void)state;
  program_t *p = serve(SP_OPTIONS(.strict_sni = SP_YES), SP_OPTIONS(.alpn = SP_LIST("h2")));
  EACH_VERSION(version) {
    visit_t seen = VISIT(p, .server_name = "localhost", .max_version = version);
    expect_refusal(&seen, "no server of the name localhost"); /* the table is empty */
  }
  add(p, "mail.host.example", SP_OPTIONS(.tickets = SP_NO));
  add(p, "*.host.example", SP_OPTIONS(.tickets = SP_NO));
  EACH_VERSION(version) {
    visit_t seen = VISIT(p, .server_name = "mail.host.example", .max_version = version);
    expect_welcome(&seen, "mail.host.example");
    seen = VISIT(p, .server_name = "MAIL.Host.example.", .max_version = version);
    expect_welcome(&seen, "mail.host.example");
    seen = VISIT(p, .server_name = "Other.HOST.example", .max_version = version);
    expect_welcome(&seen, "*.host.example");
    seen = VISIT(p, .server_name = "host.example", .max_version = version);
    expect_refusal(&seen, "no server of the name host.example");
    seen = VISIT(p, .server_name = "a.b.host.example", .max_version = version);
    expect_refusal(&seen, "no server of the name a.b.host.example");
    seen = VISIT(p, .server_name = "127.0.0.1", .max_version = version); /* asks for none */
    expect_refusal(&seen, "names no server");
  }
  program_free(p);
}

static void by_default_nobody_is_refused(void **state) {
  (void)state;
  program_t *p = serve(SP_OPTIONS(.strict_sni = SP_NO), SP_OPTIONS(.tickets = SP_NO));
  add(p, "mail.host.example", SP_OPTIONS(.tickets = SP_NO));
  visit_t seen = VISIT(p, .server_name = "localhost");
  expect_welcome(&seen, "default");
  seen = VISIT(p, .server_name = "127.0.0.1");
  expect_welcome(&seen, "default");
  program_free(p);
}

/* What hooks do with a name, or without one. */
enum { NOTHING, CHOOSE, CHOOSE_LATER, WAIT };

static struct {
  int how;
  sp_context_t *choice; /* NULL: the one that is there */
  uv_timer_t timer;
  sp_pair_t *pair;
} hook;

static void choose(sp_pair_t *pair) {
  sp_context_t *context = hook.choice ? hook.choice : sp_pair_context(pair);
  assert_int_equal(sp_pair_use_context(pair, context), 0);
}

static void on_time(uv_timer_t *timer) {
  (void)timer;
  if (hook.how == CHOOSE_LATER)
    choose(hook.pair);
  assert_int_equal(sp_pair_resume(hook.pair, 0), 0);
}

static int react(sp_pair_t *pair) {
  if (hook.how == CHOOSE)
    choose(pair);
  if (hook.how == NOTHING || hook.how == CHOOSE)
    return 0;
  hook.pair = pair;
  uv_timer_start(&hook.timer, on_time, 1, 0);
  return SP_PENDING;
}

static int on_name(sp_pair_t *pair, const char *name, void *data) {
  (void)name, (void)data;
  return react(pair);
}

static int on_hello(sp_pair_t *pair, const sp_client_hello_t *hello, void *data) {
  (void)hello, (void)data;
  return react(pair);
}

static void hooks_may_know_the_name(void **state) {
  (void)state;
  for (int by_hello = 0; by_hello < 2; by_hello++) {
    sp_hooks_t hooks = {.server_name = by_hello ? NULL : on_name,
                        .client_hello = by_hello ? on_hello : NULL};
    program_t *p = serve(SP_OPTIONS(.strict_sni = SP_YES), SP_OPTIONS(.hooks = hooks));
    add(p, "mail.host.example", SP_OPTIONS(.tickets = SP_NO));
    uv_timer_init(&p->f->loop, &hook.timer);
    EACH_VERSION(version) for (int how = NOTHING; how <= WAIT; how++) {
      bool chosen = how == CHOOSE || how == CHOOSE_LATER;
      hook.how = how;
      visit_t seen = VISIT(p, .server_name = "localhost", .max_version = version);
      if (chosen)
        expect_welcome(&seen, "default");
      else
        expect_refusal(&seen, "no server of the name localhost");
      seen = VISIT(p, .server_name = "mail.host.example", .max_version = version);
      expect_welcome(&seen, "mail.host.example");
      seen = VISIT(p, .server_name = "127.0.0.1", .max_version = version);
      if (chosen && by_hello)
        expect_welcome(&seen, "default");
      else
        expect_refusal(&seen, "names no server");
    }
    uv_close((uv_handle_t *)&hook.timer, NULL);
    program_free(p);
  }
}

/* Names that our client would not ask for, at a pair of one's own. */
static void a_pair_of_ones_own(void **state) {
  (void)state;
  static const struct {
    const char *name, *words;
    size_t n;
  } names[] = {
      {"localhost", "no server of the name localhost is", 9},
      {"LOCALHOST.", "no server of the name localhost is", 10},
      {"a\0b", "the server name that the client asks for (SNI) is none", 3},
      {"10.0.0.1", "is none", 8},
      {"a b", "is none", 3},
      {"..", "is none", 2},
      {"\xc3\xa4.example", "is none", 10},
      {NULL, "the client names no server", 0},
  };
  for (size_t i = 0; i < COUNT(names); i++) {
    sp_pair_t *pair;
    wire_t wire = {0};
    hello_t *hello = hello_new();
    hello_complete(hello, SP_TLS1_3);
    if (names[i].name)
      hello_name(hello, names[i].name, names[i].n);
    hello_records(hello, 16384, &wire);
    hello_free(hello);
    assert_int_equal(sp_pair_make(&pair, SP_SERVER, NULL,
                                  SP_OPTIONS(.context = couple_server_context(SP_PROTOCOL_DEFAULT),
                                             .strict_sni = SP_YES)),
                     0);
    assert_int_equal(sp_pair_encrypted_in(pair, wire.bytes, wire.size), SP_ENAME);
    (void)sp_pair_encrypted_release(pair);
    const void *alert;
    assert_int_equal(sp_pair_encrypted_out(pair, &alert), 7);
    assert_memory_equal(alert, "\x15\3\3\0\2\2\x70", 7);
    assert_non_null(strstr(sp_pair_error(pair)->text, names[i].words));
    assert_int_equal(sp_pair_error(pair)->alert, 112);
    sp_pair_release(pair);
    wire_free(&wire);
  }
}

/* A client has no use for it. */
static void a_client_is_not_strict(void **state) {
  (void)state;
  couple_t couple;
  couple_make_with(
      &couple,
      SP_OPTIONS(.context = couple_client_context(SP_PROTOCOL_DEFAULT), .strict_sni = SP_YES),
      SP_OPTIONS(.context = couple_server_context(SP_PROTOCOL_DEFAULT)));
  couple_shake_hands(&couple);
  couple_free(&couple);
}

/* -- strict_sni and programs of others --------------------------------------------------------- */

static void expect_from(program_t *p, const char *const *args, int status, const char *words) {
  p->child = child_start(&p->f->loop, args);
  assert_non_null(p->child);
  talker_t *talker = program_served(p, 0);
  assert_int_equal(talker->side.status, status);
  child_tell_end(p->child);
  (void)child_wait(p->child);
  if (!child_said(p->child, words))
    fail_msg("%s does not say \"%s\": %s%s", args[0], words, child_out(p->child, NULL),
             child_err(p->child));
  child_free(p->child);
  p->child = NULL;
  talker_wait_close(talker);
  free(talker->got);
  memset(p->talks, 0, sizeof p->talks);
  p->count = 0;
}

static void openssl_hears_it(void **state) {
  (void)state;
  if (!child_exists("openssl"))
    skip();
  program_t *p = serve(SP_OPTIONS(.strict_sni = SP_YES), SP_OPTIONS(.tickets = SP_NO));
  add(p, "mail.host.example", SP_OPTIONS(.tickets = SP_NO));
  char address[32];
  (void)snprintf(address, sizeof address, "127.0.0.1:%d", p->f->port);
  for (int i = 0; i < 2; i++) {
    const char *version = i ? "-tls1_3" : "-tls1_2";
    expect_from(p, CHILD_ARGS("openssl", "s_client", "-connect", address, version, "-noservername"),
                SP_ENAME, "alert number 112");
    expect_from(p,
                CHILD_ARGS("openssl", "s_client", "-connect", address, version, "-servername",
                           "other.example"),
                SP_ENAME, "alert number 112");
    expect_from(p,
                CHILD_ARGS("openssl", "s_client", "-connect", address, version, "-servername",
                           "MAIL.host.example."),
                0, "CN = mail.host.example");
    expect_from(p,
                CHILD_ARGS("openssl", "s_client", "-connect", address, version, "-tlsextdebug",
                           "-servername", "mail.host.example"),
                0, "TLS server extension \"server name\" (id=0), len=0"); /* RFC 6066 3 */
  }
  program_free(p);
}

static void gnutls_hears_it(void **state) {
  (void)state;
  if (!child_exists("gnutls-cli"))
    skip();
  program_t *p = serve(SP_OPTIONS(.strict_sni = SP_YES), SP_OPTIONS(.tickets = SP_NO));
  add(p, "mail.host.example", SP_OPTIONS(.tickets = SP_NO));
  char port[16];
  (void)snprintf(port, sizeof port, "%d", p->f->port);
  for (int i = 0; i < 2; i++) {
    const char *version = i ? "NORMAL:-VERS-ALL:+VERS-TLS1.3" : "NORMAL:-VERS-ALL:+VERS-TLS1.2";
    expect_from(p,
                CHILD_ARGS("gnutls-cli", "--insecure", "--disable-sni", "--priority", version, "-p",
                           port, "127.0.0.1"),
                SP_ENAME, "[112]");
    expect_from(p,
                CHILD_ARGS("gnutls-cli", "--insecure", "--sni-hostname=other.example", "--priority",
                           version, "-p", port, "127.0.0.1"),
                SP_ENAME, "[112]");
    expect_from(p,
                CHILD_ARGS("gnutls-cli", "--insecure", "--sni-hostname=mail.host.example",
                           "--priority", version, "-p", port, "127.0.0.1"),
                0, "CN=mail.host.example");
  }
  program_free(p);
}

/* -- each name decides for itself -------------------------------------------------------------- */

static void client_certificates_by_name(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const pki_t *of_stranger = PKI_MAKE(s->stranger_root, .cn = "other client", .eku = "clientAuth");
  const char *ours[] = {s->root->cert_pem, NULL}, *theirs[] = {s->stranger_root->cert_pem, NULL};
  program_t *p = serve(SP_OPTIONS(.no_delay = SP_YES), SP_OPTIONS(.tickets = SP_NO));
  add(p, "open.example", SP_OPTIONS(.tickets = SP_NO));
  add(p, "asks.example", SP_OPTIONS(.request_cert = SP_YES, .ca = ours));
  add(p, "requires.example",
      SP_OPTIONS(.request_cert = SP_YES, .reject_unauthorized = SP_YES, .ca = ours));
  add(p, "elsewhere.example",
      SP_OPTIONS(.request_cert = SP_YES, .reject_unauthorized = SP_YES, .ca = theirs));
  enum { NO_ONE, OURS, THEIRS };
  static const struct {
    const char *name;
    int who, status;
    bool authorized;
    const char *reason, *peer;
  } cases[] = {
      {"open.example", NO_ONE, 0, false, "", ""},
      {"open.example", OURS, 0, false, "", ""},
      {"asks.example", NO_ONE, 0, false, "UNABLE_TO_GET_ISSUER_CERT", ""},
      {"asks.example", OURS, 0, true, "", "CN=client"},
      {"asks.example", THEIRS, 0, false, "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "CN=other client"},
      {"requires.example", NO_ONE, SP_EUNAUTHORIZED, false, "UNABLE_TO_GET_ISSUER_CERT", ""},
      {"requires.example", OURS, 0, true, "", "CN=client"},
      {"requires.example", THEIRS, SP_EUNAUTHORIZED, false, "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
       "CN=other client"},
      {"elsewhere.example", NO_ONE, SP_EUNAUTHORIZED, false, "UNABLE_TO_GET_ISSUER_CERT", ""},
      {"elsewhere.example", OURS, SP_EUNAUTHORIZED, false, "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
       "CN=client"},
      {"elsewhere.example", THEIRS, 0, true, "", "CN=other client"},
  };
  EACH_VERSION(version) for (size_t i = 0; i < COUNT(cases); i++) {
    const pki_t *who = cases[i].who == OURS ? s->client : of_stranger;
    bool any = cases[i].who != NO_ONE;
    visit_t seen = VISIT(p, .server_name = cases[i].name, .max_version = version,
                         .key = any ? who->key_pem : NULL, .cert = any ? who->cert_pem : NULL);
    if (seen.server.status != cases[i].status || seen.server.authorized != cases[i].authorized ||
        strcmp(seen.server.reason, cases[i].reason) || strcmp(seen.server.peer, cases[i].peer))
      fail_msg("%s, client %d: %s, \"%s\", \"%s\"", cases[i].name, cases[i].who,
               sp_error_name(seen.server.status), seen.server.reason, seen.server.peer);
    if (!cases[i].status)
      expect_welcome(&seen, cases[i].name);
  }
  program_free(p);
}

static void s_client_shows_certificates_by_name(void **state) {
  (void)state;
  if (!child_exists("openssl"))
    skip();
  const pki_set_t *s = pki_default();
  const char *ours[] = {s->root->cert_pem, NULL};
  program_t *p = serve(SP_OPTIONS(.strict_sni = SP_YES), SP_OPTIONS(.tickets = SP_NO));
  add(p, "open.example", SP_OPTIONS(.tickets = SP_NO));
  add(p, "requires.example",
      SP_OPTIONS(.request_cert = SP_YES, .reject_unauthorized = SP_YES, .ca = ours));
  char address[32];
  (void)snprintf(address, sizeof address, "127.0.0.1:%d", p->f->port);
  const char *key = pki_file(s->client->key_pem), *cert = pki_file(s->client->cert_pem);
  for (int i = 0; i < 2; i++) {
    const char *version = i ? "-tls1_3" : "-tls1_2";
    expect_from(p,
                CHILD_ARGS("openssl", "s_client", "-connect", address, version, "-servername",
                           "open.example", "-cert", cert, "-key", key),
                0, "No client certificate CA names sent");
    expect_from(p,
                CHILD_ARGS("openssl", "s_client", "-connect", address, version, "-servername",
                           "requires.example", "-cert", cert, "-key", key),
                0, "securepair test root");
    expect_from(p,
                CHILD_ARGS("openssl", "s_client", "-connect", address, version, "-servername",
                           "requires.example"),
                SP_EUNAUTHORIZED, "alert");
  }
  program_free(p);
}

static void policy_by_name(void **state) {
  (void)state;
  program_t *p = serve(SP_OPTIONS(.no_delay = SP_YES), SP_OPTIONS(.alpn = SP_LIST("h2")));
  add(p, "mail.example", SP_OPTIONS(.alpn = SP_LIST("imap", "pop3")));
  add(p, "web.example", SP_OPTIONS(.alpn = SP_LIST("http/1.1")));
  add(p, "plain.example", SP_OPTIONS(.tickets = SP_NO));
  add(p, "strong.example",
      SP_OPTIONS(.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384", .suites = "TLS_AES_256_GCM_SHA384",
                 .groups = "P-384"));
  add(p, "new.example", SP_OPTIONS(.min_version = SP_TLS1_3));
  EACH_VERSION(version) {
    visit_t seen = VISIT(p, .server_name = "mail.example", .alpn = SP_LIST("h2", "pop3", "imap"),
                         .max_version = version);
    expect_welcome(&seen, "mail.example");
    assert_string_equal(seen.client.protocol, "imap");
    seen = VISIT(p, .server_name = "other.example", .alpn = SP_LIST("imap", "h2"),
                 .max_version = version);
    assert_string_equal(seen.server.protocol, "h2");
    seen = VISIT(p, .server_name = "web.example", .alpn = SP_LIST("h2"), .max_version = version);
    assert_int_equal(seen.server.status, SP_EPROTOCOL);
    assert_int_equal(seen.client.error.alert, 120);
    seen = VISIT(p, .server_name = "plain.example", .alpn = SP_LIST("h2"), .max_version = version);
    expect_welcome(&seen, "plain.example");
    assert_string_equal(seen.client.protocol, "");
    seen = VISIT(p, .server_name = "strong.example", .max_version = version);
    expect_welcome(&seen, "strong.example");
    assert_non_null(strstr(seen.client.cipher, "AES_256") ?: strstr(seen.client.cipher, "AES256"));
    assert_string_equal(seen.client.group, "secp384r1");
    seen = VISIT(p, .server_name = "strong.example", .max_version = version, .groups = "X25519");
    assert_int_equal(seen.server.status, SP_EPROTOCOL);
    seen = VISIT(p, .server_name = "new.example", .max_version = version);
    assert_int_equal(seen.server.status, version == SP_TLS1_3 ? 0 : SP_EPROTOCOL);
  }
  program_free(p);
}

/* -- hooks of a name --------------------------------------------------------------------------- */

static int asked[2];

static int on_alpn_a(sp_pair_t *pair, const uint8_t *protocols, size_t n, void *data) {
  (void)protocols, (void)n;
  asked[0]++;
  return sp_pair_use_protocol(pair, data, strlen(data));
}

static int on_alpn_b(sp_pair_t *pair, const uint8_t *protocols, size_t n, void *data) {
  (void)protocols, (void)n;
  asked[1]++;
  return sp_pair_use_protocol(pair, data, strlen(data));
}

/* Those of the name's context, unless the handshake began with others. */
static void hooks_by_name(void **state) {
  (void)state;
  for (int has_own = 0; has_own < 2; has_own++) {
    sp_options_t of_default = {.tickets = SP_NO, .hooks_data = "a"};
    if (has_own)
      of_default.hooks.alpn = on_alpn_a;
    of_default.size = sizeof of_default;
    program_t *p = serve(SP_OPTIONS(.no_delay = SP_YES), &of_default);
    add(p, "hook.example", SP_OPTIONS(.hooks.alpn = on_alpn_b, .hooks_data = "b"));
    EACH_VERSION(version) {
      memset(asked, 0, sizeof asked);
      visit_t seen = VISIT(p, .server_name = "hook.example", .alpn = SP_LIST("a", "b"),
                           .max_version = version);
      expect_welcome(&seen, "hook.example");
      assert_string_equal(seen.client.protocol, has_own ? "a" : "b");
      assert_int_equal(asked[0], has_own);
      assert_int_equal(asked[1], !has_own);
    }
    program_free(p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(unknown_names_are_refused),
      cmocka_unit_test(by_default_nobody_is_refused),
      cmocka_unit_test(hooks_may_know_the_name),
      cmocka_unit_test(a_pair_of_ones_own),
      cmocka_unit_test(a_client_is_not_strict),
      cmocka_unit_test(openssl_hears_it),
      cmocka_unit_test(gnutls_hears_it),
      cmocka_unit_test(client_certificates_by_name),
      cmocka_unit_test(s_client_shows_certificates_by_name),
      cmocka_unit_test(policy_by_name),
      cmocka_unit_test(hooks_by_name),
  };
  return cmocka_run_group_tests_name("server-names", tests, NULL, NULL);
}
