/* Keys that both sides know before, in TLS 1.2 and 1.3: who has the key is authorized, who does not
 * gets nowhere, and who shows neither key nor certificate is nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/async.h>
#include <openssl/ssl.h>

#include "support/contexts.h"
#include "support/couple.h"
#include "support/program.h"
#include "support/signing.h"

static const manner_t whole = {.read = 0};

#define KEY "0123456789abcdef0123456789abcdef" /* hexadecimal, for openssl */
static const uint8_t key_bytes[] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};

/* What the client says, and what came of it. */
static struct {
  const char *identity;
  uint8_t flip; /* of the client's key */
  bool none;
  char seen[300];
  size_t asked_client, asked_server;
  bool in_job;
  bool later_client, later_server; /* the answer comes later */
  sp_pair_t *waits;
} now;

static void reset(const char *identity) {
  memset(&now, 0, sizeof now);
  now.identity = identity;
}

static int on_client(sp_pair_t *pair, const char *hint, char *identity, size_t identity_size,
                     uint8_t *key, size_t size, void *data) {
  (void)pair, (void)hint, (void)data;
  now.asked_client++;
  now.in_job |= ASYNC_get_current_job() != NULL;
  if (now.later_client) {
    now.waits = pair;
    return SP_PENDING;
  }
  if (now.none || strlen(now.identity) >= identity_size || size < sizeof key_bytes)
    return 0;
  strcpy(identity, now.identity);
  memcpy(key, key_bytes, sizeof key_bytes);
  key[3] ^= now.flip;
  return sizeof key_bytes;
}

static int on_server(sp_pair_t *pair, const char *identity, uint8_t *key, size_t size, void *data) {
  (void)pair, (void)data;
  now.asked_server++;
  now.in_job |= ASYNC_get_current_job() != NULL;
  (void)snprintf(now.seen, sizeof now.seen, "%s", identity);
  if (now.later_server) {
    now.waits = pair;
    return SP_PENDING;
  }
  if (strncmp(identity, "bob", 3) != 0 || size < sizeof key_bytes)
    return 0;
  memcpy(key, key_bytes, sizeof key_bytes);
  return sizeof key_bytes;
}

static int on_sign(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n, void *data) {
  uint8_t signature[512];
  (void)data;
  size_t size =
      signing_sign(pki_default()->server->key, scheme, message, n, signature, sizeof signature);
  return size ? sp_pair_sign_with(pair, signature, size) : SP_ECRYPTO;
}

#define CIPHERS "PSK+AESGCM:ECDHE+AESGCM"
#define EACH_VERSION(v) for (sp_protocol_t v = SP_TLS1_2; v <= SP_TLS1_3; v++)

/* Trusts no certificate at all. */
static sp_context_t *client_of(sp_protocol_t version, const sp_options_t *more) {
  static const char *const nobody[] = {NULL};
  sp_options_t options = *more;
  if (!options.ca)
    options.ca = nobody;
  options.ciphers = CIPHERS;
  options.max_version = version;
  options.hooks.psk_client = on_client;
  return context_made(&options);
}

static sp_context_t *server_of(sp_protocol_t version, const sp_options_t *more) {
  sp_options_t options = *more;
  options.ciphers = CIPHERS;
  options.max_version = version;
  options.hooks.psk_server = on_server;
  return context_made(&options);
}

static void begin(couple_t *couple, sp_context_t *client, sp_context_t *server) {
  couple_make_with(couple, SP_OPTIONS(.context = client), SP_OPTIONS(.context = server));
  couple_run(couple, &whole);
}

static void check_secure(const couple_t *couple) {
  if (sp_pair_error(couple->client.pair)->status || sp_pair_error(couple->server.pair)->status)
    fail_msg("%s; %s", sp_pair_error(couple->client.pair)->text,
             sp_pair_error(couple->server.pair)->text);
  assert_true(sp_pair_state(couple->client.pair) & SP_PAIR_SECURE);
  assert_true(sp_pair_state(couple->server.pair) & SP_PAIR_SECURE);
}

static void both_have_the_key(void **state) {
  (void)state;
  EACH_VERSION(version) {
    couple_t couple;
    sp_certificate_t *none;
    sp_context_t *client = client_of(version, SP_OPTIONS(.host = NULL));
    sp_context_t *server = server_of(version, SP_OPTIONS(.host = NULL)); /* no certificate */
    reset("bob");
    begin(&couple, client, server);
    check_secure(&couple);
    assert_string_equal(now.seen, "bob");
    assert_true(sp_pair_is_authorized(couple.client.pair));
    assert_null(sp_pair_authorization_error(couple.client.pair));
    assert_int_equal(sp_pair_peer_certificate(couple.client.pair, &none), SP_ECERTIFICATE);
    assert_int_equal(now.asked_server, 1);
    couple_free(&couple);
    sp_context_release(client);
    sp_context_release(server);
  }
}

/* A server that wants a certificate is content with the key. */
static void in_place_of_a_clients_certificate(void **state) {
  (void)state;
  EACH_VERSION(version) {
    couple_t couple;
    sp_context_t *client = client_of(version, SP_OPTIONS(.host = NULL));
    sp_context_t *server =
        server_of(version, FIXTURE_SERVER(.ca = SP_LIST(pki_default()->root->cert_pem),
                                          .request_cert = SP_YES, .reject_unauthorized = SP_YES));
    reset("bob");
    begin(&couple, client, server);
    check_secure(&couple);
    assert_true(sp_pair_is_authorized(couple.server.pair));
    couple_free(&couple);
    sp_context_release(client);
    sp_context_release(server);
  }
}

static void a_wrong_key_or_name(void **state) {
  (void)state;
  EACH_VERSION(version)
  for (int unknown = 0; unknown < 2; unknown++) {
    couple_t couple;
    sp_context_t *client = client_of(version, SP_OPTIONS(.host = NULL));
    sp_context_t *server = server_of(version, SP_OPTIONS(.host = NULL));
    reset(unknown ? "mallory" : "bob");
    now.flip = !unknown;
    begin(&couple, client, server);
    assert_true(sp_pair_error(couple.server.pair)->status < 0);
    assert_true(sp_pair_error(couple.client.pair)->status < 0);
    assert_false(sp_pair_is_authorized(couple.client.pair));
    couple_free(&couple);
    sp_context_release(client);
    sp_context_release(server);
  }
}

/* Without a key in common the certificate decides, as ever. In TLS 1.2 a client that offers suites
 * with PSK has to have a key if the server chooses one of them. */
static void back_to_certificates(void **state) {
  (void)state;
  EACH_VERSION(version)
  for (int none = 0; none < (version == SP_TLS1_3 ? 2 : 1); none++)
    for (int trusted = 0; trusted < 2; trusted++) {
      couple_t couple;
      const char *const root[] = {trusted ? pki_default()->root->cert_pem : NULL, NULL};
      sp_context_t *client = client_of(version, SP_OPTIONS(.ca = root));
      sp_context_t *server = none ? server_of(version, FIXTURE_SERVER(.host = NULL))
                                  : sp_context_retain(couple_server_context(version));
      reset("mallory");
      now.none = none;
      begin(&couple, client, server);
      if (trusted)
        check_secure(&couple);
      assert_int_equal(sp_pair_is_authorized(couple.client.pair), trusted);
      assert_int_equal(sp_pair_error(couple.client.pair)->status, trusted ? 0 : SP_EUNAUTHORIZED);
      couple_free(&couple);
      sp_context_release(client);
      sp_context_release(server);
    }
}

/* A session of such a connection is as good as it; also at a server that wants certificates. */
static void resumed(void **state) {
  (void)state;
  EACH_VERSION(version) {
    couple_t couple;
    uint8_t session[16384];
    sp_context_t *client = client_of(version, SP_OPTIONS(.host = NULL));
    sp_context_t *server =
        server_of(version, FIXTURE_SERVER(.ca = SP_LIST(pki_default()->root->cert_pem),
                                          .request_cert = SP_YES, .reject_unauthorized = SP_YES));
    reset("bob");
    begin(&couple, client, server);
    check_secure(&couple);
    size_t n = sp_pair_session(couple.client.pair, session, sizeof session);
    assert_in_range(n, 1, sizeof session);
    couple_free(&couple);
    now.none = true;
    couple_make_with(&couple, SP_OPTIONS(.context = client, .session = session, .session_size = n),
                     SP_OPTIONS(.context = server));
    couple_run(&couple, &whole);
    check_secure(&couple);
    assert_true(sp_pair_is_resumed(couple.client.pair));
    assert_true(sp_pair_is_authorized(couple.client.pair));
    assert_true(sp_pair_is_authorized(couple.server.pair));
    couple_free(&couple);
    sp_context_release(client);
    sp_context_release(server);
  }
}

/* Another server has the same ticket keys and the same policy, but knows no keys: there only a
 * certificate counts. */
static void a_ticket_where_keys_count_nothing(void **state) {
  (void)state;
  static const uint8_t ticket_keys[48] = {1};
  EACH_VERSION(version) {
    couple_t couple;
    uint8_t session[16384];
    sp_context_t *client =
        client_of(version, SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem)));
    sp_options_t options =
        *FIXTURE_SERVER(.ca = SP_LIST(pki_default()->root->cert_pem), .ticket_keys = ticket_keys,
                        .ticket_keys_size = sizeof ticket_keys, .request_cert = SP_YES,
                        .reject_unauthorized = SP_YES);
    sp_context_t *server = server_of(version, &options);
    options.max_version = version;
    sp_context_t *other = context_made(&options);
    reset("bob");
    begin(&couple, client, server);
    check_secure(&couple);
    size_t n = sp_pair_session(couple.client.pair, session, sizeof session);
    assert_in_range(n, 1, sizeof session);
    couple_free(&couple);
    couple_make_with(&couple, SP_OPTIONS(.context = client, .session = session, .session_size = n),
                     SP_OPTIONS(.context = other));
    couple_run(&couple, &whole);
    assert_false(sp_pair_is_authorized(couple.server.pair));
    assert_false(sp_pair_state(couple.server.pair) & SP_PAIR_SECURE);
    couple_free(&couple);
    sp_context_release(client);
    sp_context_release(server);
    sp_context_release(other);
  }
}

/* TLS 1.3: a client that knows a name, but not its key, and brings a ticket that was made without
 * any proof of who it is: the ticket is not the key. */
static void a_ticket_is_not_the_key(void **state) {
  (void)state;
  couple_t couple;
  uint8_t session[16384];
  const char *const root[] = {pki_default()->root->cert_pem, NULL};
  sp_options_t options = {.size = sizeof options, .ca = root};
  options.hooks.psk_client = on_client;
  options.min_version = SP_TLS1_3;
  options.suites = "TLS_AES_256_GCM_SHA384"; /* fits the ticket and not the key */
  sp_context_t *client = context_made(&options);
  sp_context_t *server =
      server_of(SP_TLS1_3, FIXTURE_SERVER(.ca = SP_LIST(root[0]), .request_cert = SP_YES));
  reset("bob");
  now.none = true;
  begin(&couple, client, server);
  check_secure(&couple);
  assert_false(sp_pair_is_authorized(couple.server.pair));
  size_t n = sp_pair_session(couple.client.pair, session, sizeof session);
  couple_free(&couple);
  reset("bob");
  couple_make_with(&couple, SP_OPTIONS(.context = client, .session = session, .session_size = n),
                   SP_OPTIONS(.context = server));
  couple_run(&couple, &whole);
  check_secure(&couple);
  assert_true(sp_pair_is_resumed(couple.server.pair));
  assert_int_equal(now.asked_client, 1);
  assert_false(sp_pair_is_authorized(couple.server.pair));
  couple_free(&couple);
  sp_context_release(client);
  sp_context_release(server);
}

/* With the private key behind a hook OpenSSL works in a job; hooks do not. */
static void beside_a_signer(void **state) {
  (void)state;
  EACH_VERSION(version) {
    couple_t couple;
    sp_context_t *client = client_of(version, SP_OPTIONS(.host = NULL));
    sp_context_t *server = server_of(
        version, SP_OPTIONS(.cert = pki_default()->server->cert_pem, .hooks.sign = on_sign));
    reset("bob");
    begin(&couple, client, server);
    check_secure(&couple);
    assert_false(now.in_job);
    couple_free(&couple);
    sp_context_release(client);
    sp_context_release(server);
  }
}

static int on_release(sp_pair_t *pair, const char *hint, char *identity, size_t identity_size,
                      uint8_t *key, size_t size, void *data) {
  (void)hint, (void)identity, (void)identity_size, (void)key, (void)size, (void)data;
  sp_pair_release(pair);
  return 0;
}

/* The hook is called while the pair is made. */
static void released_by_the_hook(void **state) {
  (void)state;
  sp_pair_t *pair = NULL;
  sp_error_t why;
  assert_int_equal(
      sp_pair_make(&pair, SP_CLIENT, &why,
                   SP_OPTIONS(.server_name = "localhost", .hooks.psk_client = on_release)),
      UV_ECANCELED);
  assert_null(pair);
}

static void long_identities(void **state) {
  (void)state;
  EACH_VERSION(version)
  for (size_t n = 100; n <= 300; n += 50) {
    couple_t couple;
    char identity[301] = "";
    memset(identity, 'b', n);
    memcpy(identity, "bob", 3);
    sp_context_t *client = client_of(version, SP_OPTIONS(.host = NULL));
    sp_context_t *server = server_of(version, SP_OPTIONS(.host = NULL));
    reset(identity);
    begin(&couple, client, server);
    bool secure = sp_pair_state(couple.server.pair) & SP_PAIR_SECURE;
    if (n <= 100)
      assert_true(secure);
    if (secure)
      assert_string_equal(now.seen, identity);
    couple_free(&couple);
    sp_context_release(client);
    sp_context_release(server);
  }
}

/* -- answers that come later ------------------------------------------------------------------- */

typedef enum later { GIVEN, WRONG, NONE_GIVEN, REFUSED_LATER, NEVER } later_t;

static int give(sp_pair_t *pair, later_t how) {
  const char *identity = sp_pair_role(pair) == SP_CLIENT ? now.identity : NULL;
  uint8_t key[sizeof key_bytes];
  memcpy(key, key_bytes, sizeof key);
  if (how == WRONG) /* in another way than the other side's */
    key[0] ^= (uint8_t)(1 + sp_pair_role(pair));
  if (how <= WRONG)
    assert_int_equal(sp_pair_use_key(pair, identity, key, sizeof key), 0);
  return sp_pair_resume(pair, how == REFUSED_LATER ? SP_EREFUSED : 0);
}

/* Until nothing waits, or one waits for ever. */
static void run_later(couple_t *couple, later_t how) {
  for (couple_run(couple, &whole); now.waits && how != NEVER; couple_run(couple, &whole)) {
    sp_pair_t *pair = now.waits;
    assert_true(sp_pair_state(pair) & SP_PAIR_WAITING);
    now.waits = NULL;
    (void)give(pair, how);
  }
}

static void begin_later(couple_t *couple, sp_protocol_t version) {
  sp_context_t *client = client_of(version, SP_OPTIONS(.host = NULL));
  sp_context_t *server = server_of(version, SP_OPTIONS(.key = pki_default()->server->key_pem,
                                                       .cert = pki_default()->server->cert_pem));
  couple_make_with(couple, SP_OPTIONS(.context = client), SP_OPTIONS(.context = server));
  sp_context_release(client);
  sp_context_release(server);
}

static void check_later(const couple_t *couple, later_t how) {
  const sp_error_t *client = sp_pair_error(couple->client.pair);
  const sp_error_t *server = sp_pair_error(couple->server.pair);
  if (how == GIVEN) {
    check_secure(couple);
    assert_string_equal(now.seen, "bob");
    assert_true(sp_pair_is_authorized(couple->client.pair));
    return;
  }
  if (how == REFUSED_LATER) /* and not "no key", which would go on with certificates */
    assert_int_equal(now.later_client ? client->status : server->status, SP_EREFUSED);
  assert_false(sp_pair_state(couple->client.pair) & SP_PAIR_SECURE);
  assert_false(sp_pair_state(couple->server.pair) & SP_PAIR_SECURE);
}

/* One of the two waits, or both; what is left behind when they are released LSan tells. */
static void the_key_comes_later(void **state) {
  (void)state;
  EACH_VERSION(version)
  for (int who = 1; who < 4; who++)
    for (later_t how = GIVEN; how <= NEVER; how++) {
      couple_t couple;
      reset("bob");
      now.later_client = who & 1;
      now.later_server = who & 2;
      begin_later(&couple, version);
      run_later(&couple, how);
      check_later(&couple, how);
      assert_false(now.in_job); /* the program's own stack */
      assert_int_equal(sp_pair_use_key(couple.server.pair, NULL, "key", 3),
                       how == NEVER && now.waits == couple.server.pair ? 0 : SP_EOPTION);
      couple_free(&couple);
    }
}

static void what_is_no_key(void **state) {
  (void)state;
  static uint8_t large[1000];
  static char name[300];
  memset(name, 'b', sizeof name - 1);
  couple_t couple;
  reset("bob");
  now.later_client = true;
  begin_later(&couple, SP_TLS1_3);
  sp_pair_t *pair = couple.client.pair;
  assert_ptr_equal(now.waits, pair);
  assert_int_equal(sp_pair_use_key(pair, "bob", NULL, 0), SP_EOPTION);
  assert_int_equal(sp_pair_use_key(pair, "bob", large, sizeof large), SP_EOPTION);
  assert_int_equal(sp_pair_use_key(pair, name, large, 32), SP_EOPTION);
  assert_int_equal(sp_pair_use_key(pair, name + 300 - 256, large, 256), 0);
  assert_int_equal(sp_pair_use_key(pair, "bob", key_bytes, sizeof key_bytes), 0); /* it counts */
  assert_int_equal(sp_pair_resume(pair, 0), 0);
  couple_run(&couple, &whole);
  check_secure(&couple);
  assert_string_equal(now.seen, "bob");
  couple_free(&couple);
}

/* Under streams, whose loop goes on meanwhile. */
static void on_due(uv_timer_t *timer) {
  sp_pair_t *pair = now.waits;
  (void)timer;
  if (!pair)
    return;
  now.waits = NULL;
  assert_int_equal(give(pair, GIVEN), 0);
}

static void talk(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && !status)
    sp_stream_send(actor->stream, "hello", 5);
  if (event == ON_DATA && !actor->is_server)
    sp_stream_end(actor->stream);
}

static void the_key_comes_later_to_streams(void **state) {
  (void)state;
  EACH_VERSION(version)
  for (int workers = 0; workers < 2; workers++) {
    fixture_t *f = fixture_new();
    uv_timer_t timer;
    sp_choice_t apart = workers ? SP_YES : SP_NO;
    sp_context_t *client = client_of(version, SP_OPTIONS(.host = NULL));
    sp_context_t *server = server_of(version, SP_OPTIONS(.host = NULL));
    uv_timer_init(&f->loop, &timer);
    uv_timer_start(&timer, on_due, 1, 1);
    uv_unref((uv_handle_t *)&timer);
    reset("bob");
    now.later_client = now.later_server = true;
    f->react = talk;
    fixture_serve(f, SP_OPTIONS(.context = server, .handshake_workers = apart));
    actor_t *actor = fixture_connect(f, SP_OPTIONS(.host = "127.0.0.1", .port = f->port,
                                                   .context = client, .handshake_workers = apart));
    actor->react = talk;
    fixture_run(f);
    assert_string_equal(actor->log, "secure data close");
    assert_string_equal(now.seen, "bob");
    uv_close((uv_handle_t *)&timer, NULL);
    fixture_free(f);
    sp_context_release(client);
    sp_context_release(server);
  }
}

/* A server whose clients all know a key needs no certificate. */
static void a_server_without_certificates(void **state) {
  (void)state;
  sp_context_t *keys = server_of(SP_PROTOCOL_DEFAULT, SP_OPTIONS(.host = NULL));
  sp_context_t *nothing = context_made(SP_OPTIONS(.host = NULL));
  EACH_VERSION(version) {
    fixture_t *f = fixture_new();
    sp_context_t *client = client_of(version, SP_OPTIONS(.host = NULL));
    reset("bob");
    f->react = talk;
    fixture_serve(f, SP_OPTIONS(.ciphers = CIPHERS, .hooks.psk_server = on_server));
    actor_t *actor =
        fixture_connect(f, SP_OPTIONS(.host = "127.0.0.1", .port = f->port, .context = client));
    actor->react = talk;
    assert_int_equal(sp_server_set_context(f->server, nothing), SP_EOPTION);
    assert_int_equal(sp_server_add_context(f->server, "a.example", nothing), SP_EOPTION);
    assert_int_equal(sp_server_add_context(f->server, "a.example", keys), 0);
    assert_int_equal(sp_server_set_context(f->server, keys), 0);
    fixture_run(f);
    assert_string_equal(actor->log, "secure data close");
    assert_string_equal(now.seen, "bob");
    fixture_free(f);
    sp_context_release(client);
  }
  sp_context_release(keys);
  sp_context_release(nothing);
}

/* -- with openssl ------------------------------------------------------------------------------ */

static const struct {
  const char *flag, *cipher;
  sp_protocol_t number;
} versions[] = {{"-tls1_2", "PSK-AES128-GCM-SHA256", SP_TLS1_2},
                {"-tls1_3", "PSK-AES128-GCM-SHA256", SP_TLS1_3}};

static void s_client_has_the_key(void **state) {
  (void)state;
  if (!child_exists("openssl"))
    skip();
  for (size_t i = 0; i < 2; i++) {
    program_t *p = program_new();
    char address[32];
    sp_context_t *server = server_of(versions[i].number, SP_OPTIONS(.host = NULL));
    program_serve(p, SP_OPTIONS(.context = server));
    reset("bob");
    (void)snprintf(address, sizeof address, "127.0.0.1:%d", p->f->port);
    p->child = child_start(&p->f->loop, CHILD_ARGS("openssl", "s_client", "-connect", address,
                                                   versions[i].flag, "-psk_identity", "bob", "-psk",
                                                   KEY, "-cipher", versions[i].cipher));
    child_tell(p->child, "ping\n", 5);
    assert_true(child_wait_for(p->child, "ping\n"));
    child_tell_end(p->child);
    assert_int_equal(child_wait(p->child), 0);
    talker_wait_close(program_served(p, 0));
    assert_string_equal(now.seen, "bob");
    program_free(p);
    sp_context_release(server);
  }
}

static void end_after_data(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && !status) {
    *(bool *)actor->data = sp_pair_is_authorized(sp_stream_pair(actor->stream));
    sp_stream_send(actor->stream, "olleh\n", 6);
  }
  if (event == ON_DATA)
    sp_stream_end(actor->stream);
}

/* Bob has the key of the program's; it says something, and that is the end. */
static void talk_to_server(program_t *p, sp_protocol_t version) {
  bool authorized = false;
  int port = program_port(p);
  if (port <= 0)
    fail_msg("%s", child_err(p->child));
  sp_context_t *client = client_of(version, SP_OPTIONS(.host = NULL));
  reset("bob");
  actor_t *actor =
      fixture_connect(p->f, SP_OPTIONS(.host = "127.0.0.1", .port = port, .context = client));
  actor->data = &authorized;
  actor->react = end_after_data;
  while (actor->stream)
    uv_run(&p->f->loop, UV_RUN_ONCE);
  assert_int_equal(actor->statuses[ON_SECURE], 0);
  assert_int_equal(actor->received, 6);
  assert_true(authorized);
  program_free(p);
  sp_context_release(client);
}

static void s_server_has_the_key(void **state) {
  (void)state;
  if (!child_exists("openssl"))
    skip();
  for (size_t i = 0; i < 2; i++) {
    program_t *p = program_new();
    p->child = child_start(&p->f->loop, CHILD_ARGS("openssl", "s_server", "-accept", "127.0.0.1:0",
                                                   "-nocert", "-psk_identity", "bob", "-psk", KEY,
                                                   "-rev", versions[i].flag));
    talk_to_server(p, versions[i].number);
  }
}

/* -- with GnuTLS ------------------------------------------------------------------------------- */

static const char *const priorities[] = {
    "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+PSK:+DHE-PSK:+ECDHE-PSK",
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK:+PSK"};

/* With an answer that comes later, as from a database. */
static void gnutls_cli_has_the_key(void **state) {
  (void)state;
  if (!child_exists("gnutls-cli"))
    skip();
  for (size_t i = 0; i < 4; i++) {
    program_t *p = program_new();
    char port[16];
    uv_timer_t timer;
    sp_context_t *server = server_of(versions[i % 2].number, SP_OPTIONS(.host = NULL));
    uv_timer_init(&p->f->loop, &timer);
    uv_timer_start(&timer, on_due, 1, 1);
    uv_unref((uv_handle_t *)&timer);
    program_serve(p, SP_OPTIONS(.context = server));
    reset("bob");
    now.later_server = i >= 2;
    (void)snprintf(port, sizeof port, "%d", p->f->port);
    p->child = child_start(&p->f->loop, CHILD_ARGS("gnutls-cli", "--port", port, "--pskusername",
                                                   "bob", "--pskkey", KEY, "--priority",
                                                   priorities[i % 2], "127.0.0.1"));
    child_tell(p->child, "ping\n", 5);
    if (!child_wait_for(p->child, "ping\n"))
      fail_msg("%s", child_err(p->child));
    child_tell_end(p->child);
    (void)child_wait(p->child);
    talker_wait_close(program_served(p, 0));
    assert_string_equal(now.seen, "bob");
    uv_close((uv_handle_t *)&timer, NULL);
    program_free(p);
    sp_context_release(server);
  }
}

static void gnutls_serv_has_the_key(void **state) {
  (void)state;
  if (!child_exists("gnutls-serv"))
    skip();
  const char *passwords = pki_file("bob:" KEY "\n");
  for (size_t i = 0; i < 2; i++) {
    program_t *p = program_new();
    p->child =
        child_start(&p->f->loop, CHILD_ARGS("gnutls-serv", "--echo", "--port", "0", "--pskpasswd",
                                            passwords, "--priority", priorities[i]));
    talk_to_server(p, versions[i].number);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_have_the_key),
      cmocka_unit_test(in_place_of_a_clients_certificate),
      cmocka_unit_test(a_wrong_key_or_name),
      cmocka_unit_test(back_to_certificates),
      cmocka_unit_test(resumed),
      cmocka_unit_test(a_ticket_where_keys_count_nothing),
      cmocka_unit_test(a_ticket_is_not_the_key),
      cmocka_unit_test(beside_a_signer),
      cmocka_unit_test(released_by_the_hook),
      cmocka_unit_test(long_identities),
      cmocka_unit_test(s_client_has_the_key),
      cmocka_unit_test(s_server_has_the_key),
      cmocka_unit_test(the_key_comes_later),
      cmocka_unit_test(what_is_no_key),
      cmocka_unit_test(the_key_comes_later_to_streams),
      cmocka_unit_test(a_server_without_certificates),
      cmocka_unit_test(gnutls_cli_has_the_key),
      cmocka_unit_test(gnutls_serv_has_the_key),
  };
  return cmocka_run_group_tests_name("pair-psk", tests, NULL, NULL);
}
