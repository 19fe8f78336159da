/*
 * A client's cache of sessions: what a session is kept for and given to, when it is dropped, its
 * limits (FAULTS W20, W25, W26), and that a plain sp_connect resumes by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "support/clock.h"
#include "support/contexts.h"
#include "support/couple.h"
#include "support/link.h"
#include "support/pki.h"
#include "support/sanitized.h"
#include "support/stage.h"

static const manner_t whole = {.read = 0};

#define EACH_VERSION(version)                                                                      \
  for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3;                                    \
       version = (sp_protocol_t)((int)version + 1))

static sp_session_cache_t *cache_of(size_t peers, size_t bytes) {
  sp_session_cache_t *cache;
  assert_int_equal(sp_session_cache_new(&cache, peers, bytes), 0);
  return cache;
}

/* A certificate for two names. */
static const pki_t *two_names(void) {
  static const pki_t *made;
  if (!made)
    made = PKI_MAKE(pki_default()->root, .dns = PKI_LIST("localhost", "other.test"));
  return made;
}

static sp_context_t *server_of(sp_protocol_t version) {
  return context_made(SP_OPTIONS(.key = two_names()->key_pem, .cert = two_names()->cert_pem,
                                 .alpn = SP_LIST("a", "b"), .min_version = version,
                                 .max_version = version));
}

static sp_context_t *client_of(const sp_options_t *more) {
  const char *const root[] = {pki_default()->root->cert_pem, NULL};
  sp_options_t options = *more;
  if (!options.ca)
    options.ca = root;
  return context_made(&options);
}

static sp_context_t *plain_client(void) { return client_of(SP_OPTIONS(.host = NULL)); }

typedef struct met {
  bool resumed, authorized;
  int status; /* the client's */
} met_t;

static met_t look(const couple_t *couple) {
  const sp_pair_t *client = couple->client.pair, *server = couple->server.pair;
  met_t met = {.resumed = sp_pair_is_resumed(client),
               .authorized = sp_pair_is_authorized(client),
               .status = sp_pair_error(client)->status};
  if (!met.status && !sp_pair_error(server)->status)
    assert_int_equal(met.resumed, sp_pair_is_resumed(server));
  return met;
}

/* A connection to "localhost:1" or elsewhere. */
static met_t meet(sp_session_cache_t *cache, sp_context_t *client, sp_context_t *server,
                  const sp_options_t *more) {
  couple_t couple;
  sp_options_t options = *more;
  options.context = client;
  options.sessions = options.session_cache == SP_NO ? NULL : cache;
  if (!options.host && !options.path) {
    options.host = "localhost";
    options.port = options.port ? options.port : 1;
  }
  couple_make_with(&couple, &options, SP_OPTIONS(.context = server));
  couple_run(&couple, &whole);
  met_t met = look(&couple);
  couple_free(&couple);
  return met;
}

#define NOTHING SP_OPTIONS(.port = 0)

static bool resumes(sp_session_cache_t *cache, sp_context_t *client, sp_context_t *server) {
  met_t met = meet(cache, client, server, NOTHING);
  assert_int_equal(met.status, 0);
  return met.resumed;
}

/* -- given to whom ----------------------------------------------------------------------------- */

static void second_connection_is_resumed(void **state) {
  (void)state;
  EACH_VERSION(version) {
    sp_session_cache_t *cache = cache_of(0, 0);
    sp_context_t *server = server_of(version), *client = plain_client();
    assert_false(resumes(cache, client, server));
    for (int i = 0; i < 5; i++) {
      sp_context_t *same = plain_client(); /* a policy is what it says */
      met_t met = meet(cache, same, server, NOTHING);
      assert_true(met.resumed && met.authorized);
      assert_int_equal(sp_session_cache_count(cache, NULL), 1);
      sp_context_release(same);
    }
    sp_session_cache_clear(cache);
    size_t bytes = 1;
    assert_int_equal(sp_session_cache_count(cache, &bytes), 0);
    assert_int_equal(bytes, 0);
    assert_false(resumes(cache, client, server));
    sp_context_release(client);
    sp_context_release(server);
    sp_session_cache_release(cache);
  }
}

/* W26 from the client's side, and places. */
static void nobody_else_gets_it(void **state) {
  (void)state;
  const pki_t *own = PKI_MAKE(pki_default()->root, .dns = PKI_LIST("client.test"));
  const sp_options_t *const places[] = {
      SP_OPTIONS(.port = 2),
      SP_OPTIONS(.host = "127.0.0.1", .port = 1),
      SP_OPTIONS(.path = "localhost:1"),
      SP_OPTIONS(.server_name = "other.test"),
      SP_OPTIONS(.check_name = SP_NO),
  };
  const sp_options_t *const policies[] = {
      SP_OPTIONS(.alpn = SP_LIST("a")),
      SP_OPTIONS(.reject_unauthorized = SP_NO),
      SP_OPTIONS(.ciphers = "ECDHE+AESGCM"),
      SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem, own->cert_pem)),
      SP_OPTIONS(.insecure_common_name = SP_YES),
      SP_OPTIONS(.key = own->key_pem, .cert = own->cert_pem),
  };
  EACH_VERSION(version) {
    sp_session_cache_t *cache = cache_of(0, 0);
    sp_context_t *server = server_of(version), *client = plain_client();
    assert_false(resumes(cache, client, server));
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
      met_t met = meet(cache, client, server, places[i]);
      assert_int_equal(met.status, 0);
      assert_false(met.resumed);
      assert_true(meet(cache, client, server, places[i]).resumed); /* but it has its own */
    }
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
      sp_context_t *other = client_of(policies[i]);
      assert_false(resumes(cache, other, server));
      assert_true(resumes(cache, other, server));
      sp_context_release(other);
    }
    assert_true(resumes(cache, client, server));
    sp_context_release(client);
    sp_context_release(server);
    sp_session_cache_release(cache);
  }
}

static uint8_t given[16384];
static size_t given_size;

static void on_session(sp_pair_t *pair, const void *bytes, size_t n, void *data) {
  (void)pair, (void)data;
  assert_in_range(n, 1, sizeof given);
  memcpy(given, bytes, n);
  given_size = n;
}

/* W25: bytes that were made for another host, port or path. */
static void bytes_are_bound_to_the_place(void **state) {
  (void)state;
  const sp_options_t *const others[] = {SP_OPTIONS(.host = "localhost", .port = 2),
                                        SP_OPTIONS(.host = "127.0.0.1", .port = 1),
                                        SP_OPTIONS(.path = "localhost:1")};
  EACH_VERSION(version) {
    sp_context_t *server = server_of(version),
                 *client = client_of(SP_OPTIONS(.hooks.session = on_session));
    sp_options_t options = *SP_OPTIONS(.session_cache = SP_NO);
    for (size_t i = 0; i <= 3; i++) {
      met_t met = meet(NULL, client, server, &options);
      assert_int_equal(met.resumed, 0);
      options = i < 3 ? *others[i] : *SP_OPTIONS(.port = 1);
      options.session_cache = SP_NO;
      options.session = given;
      options.session_size = given_size;
      assert_int_equal(meet(NULL, client, server, &options).resumed, i == 3);
      options = *SP_OPTIONS(.session_cache = SP_NO);
    }
    sp_context_release(client);
    sp_context_release(server);
  }
}

static void given_session_comes_first(void **state) {
  (void)state;
  sp_session_cache_t *cache = cache_of(0, 0);
  sp_context_t *server = server_of(SP_TLS1_2),
               *client = client_of(SP_OPTIONS(.hooks.session = on_session));
  assert_false(resumes(cache, client, server));
  met_t met = meet(cache, client, server, SP_OPTIONS(.session = "garbage", .session_size = 7));
  assert_false(met.resumed); /* nor is the cache asked */
  assert_true(resumes(cache, client, server));
  met = meet(cache, client, server, SP_OPTIONS(.session = given, .session_size = given_size));
  assert_true(met.resumed);
  met = meet(cache, client, server, SP_OPTIONS(.session_cache = SP_NO));
  assert_false(met.resumed);
  sp_context_release(client);
  sp_context_release(server);
  sp_session_cache_release(cache);
}

static int on_psk(sp_pair_t *pair, const char *hint, char *identity, size_t identity_size,
                  uint8_t *key, size_t size, void *data) {
  (void)pair, (void)hint, (void)identity, (void)identity_size, (void)key, (void)size, (void)data;
  return 0;
}

/* What a resumed connection would not have was asked for. */
static void not_by_default_with_staple_list_or_psk(void **state) {
  (void)state;
  sp_session_cache_t *cache = cache_of(0, 0);
  sp_context_t *server = server_of(SP_TLS1_3), *client = plain_client();
  sp_context_t *other = client_of(SP_OPTIONS(.hooks.psk_client = on_psk));
  sp_context_t *lists =
      client_of(SP_OPTIONS(.crl = SP_LIST(pki_crl(pki_default()->root, NULL, 0, 0))));
  for (int i = 0; i < 2; i++) {
    assert_false(meet(cache, client, server, SP_OPTIONS(.request_staple = SP_YES)).resumed);
    assert_false(meet(cache, other, server, NOTHING).resumed);
    assert_false(meet(cache, lists, server, NOTHING).resumed);
  }
  assert_int_equal(sp_session_cache_count(cache, NULL), 0);
  const sp_options_t *yes = SP_OPTIONS(.request_staple = SP_YES, .session_cache = SP_YES);
  assert_false(meet(cache, client, server, yes).resumed);
  assert_true(meet(cache, client, server, yes).resumed);
  sp_context_release(client);
  sp_context_release(other);
  sp_context_release(lists);
  sp_context_release(server);
  sp_session_cache_release(cache);
}

static void refused_options(void **state) {
  (void)state;
  sp_session_cache_t *cache = cache_of(0, 0);
  sp_context_t *client = plain_client();
  const sp_options_t *const wrong[] = {
      SP_OPTIONS(.context = client, .server_name = "x", .session_cache = (sp_choice_t)3),
      SP_OPTIONS(.context = client, .server_name = "x", .session_cache = SP_NO, .sessions = cache),
      SP_OPTIONS(.context = client, .check_name = SP_NO, .session_cache = SP_YES),
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    sp_pair_t *pair;
    sp_error_t why;
    assert_int_equal(sp_pair_make(&pair, SP_CLIENT, &why, wrong[i]), SP_EOPTION);
    assert_non_null(strstr(why.text, "session"));
  }
  sp_context_release(client);
  sp_session_cache_release(cache);
}

/* -- when it is dropped ------------------------------------------------------------------------ */

static void unauthorized_peers_are_not_kept(void **state) {
  (void)state;
  EACH_VERSION(version) {
    sp_session_cache_t *cache = cache_of(0, 0);
    sp_context_t *server = server_of(version);
    sp_context_t *client = client_of(SP_OPTIONS(.reject_unauthorized = SP_NO, .ca = SP_EMPTY_LIST));
    sp_context_t *strict = client_of(SP_OPTIONS(.ca = SP_EMPTY_LIST));
    for (int i = 0; i < 2; i++) {
      met_t met = meet(cache, client, server, NOTHING);
      assert_true(!met.status && !met.authorized && !met.resumed);
      assert_int_equal(meet(cache, strict, server, NOTHING).status, SP_EUNAUTHORIZED);
      met = meet(cache, client, server, SP_OPTIONS(.server_name = "no.test"));
      assert_true(!met.status && !met.authorized && !met.resumed);
    }
    assert_int_equal(sp_session_cache_count(cache, NULL), 0);
    sp_context_release(client);
    sp_context_release(strict);
    sp_context_release(server);
    sp_session_cache_release(cache);
  }
}

/* The server has other keys for its tickets: a full handshake, whose session is kept. */
static void refused_by_the_server(void **state) {
  (void)state;
  EACH_VERSION(version) {
    sp_session_cache_t *cache = cache_of(0, 0);
    sp_context_t *client = plain_client(), *first = server_of(version),
                 *second = server_of(version);
    assert_false(resumes(cache, client, first));
    assert_true(resumes(cache, client, first));
    assert_false(resumes(cache, client, second));
    assert_int_equal(sp_session_cache_count(cache, NULL), 1);
    assert_true(resumes(cache, client, second));
    assert_false(resumes(cache, client, first));
    sp_context_release(client);
    sp_context_release(first);
    sp_context_release(second);
    sp_session_cache_release(cache);
  }
}

static void begin(couple_t *couple, sp_session_cache_t *cache, sp_context_t *client,
                  sp_context_t *server) {
  couple_make_with(couple,
                   SP_OPTIONS(.context = client, .host = "localhost", .port = 1, .sessions = cache),
                   SP_OPTIONS(.context = server));
}

/* A record that is none, after the handshake. */
static void failed_connection_drops_it(void **state) {
  (void)state;
  EACH_VERSION(version) {
    sp_session_cache_t *cache = cache_of(0, 0);
    sp_context_t *client = plain_client(), *server = server_of(version);
    couple_t couple;
    begin(&couple, cache, client, server);
    couple_run(&couple, &whole);
    assert_int_equal(sp_session_cache_count(cache, NULL), 1);
    static const uint8_t junk[] = {23, 3, 3, 0, 17, 1, 2, 3, 4, 5, 6,
                                   7,  8, 9, 0, 1,  2, 3, 4, 5, 6, 7};
    assert_true(side_offer(&couple.client, junk, sizeof junk) < 0);
    assert_int_equal(sp_session_cache_count(cache, NULL), 0);
    couple_free(&couple);
    assert_false(resumes(cache, client, server));
    sp_context_release(client);
    sp_context_release(server);
    sp_session_cache_release(cache);
  }
}

/* C10: a connection that was cut off leaves its session usable. */
static void C10_truncated_connection_keeps_it(void **state) {
  (void)state;
  EACH_VERSION(version) {
    sp_session_cache_t *cache = cache_of(0, 0);
    sp_context_t *client = plain_client(), *server = server_of(version);
    couple_t couple;
    begin(&couple, cache, client, server);
    couple_run(&couple, &whole);
    assert_int_equal(sp_pair_encrypted_end(couple.client.pair), 0);
    assert_true(sp_pair_state(couple.client.pair) & SP_PAIR_TRUNCATED);
    couple_free(&couple);
    assert_true(resumes(cache, client, server));
    sp_context_release(client);
    sp_context_release(server);
    sp_session_cache_release(cache);
  }
}

typedef enum spoil { NOT_SENT, SILENCE, JUNK, EARLY_END } spoil_t;

/* A connection that is to be resumed: what became of the sessions when it was not. */
static size_t left_after(spoil_t spoil, sp_protocol_t version) {
  sp_session_cache_t *cache = cache_of(0, 0);
  sp_context_t *client = plain_client(), *server = server_of(version);
  couple_t couple;
  assert_false(resumes(cache, client, server));
  begin(&couple, cache, client, server);
  if (spoil != NOT_SENT)
    side_collect(&couple.client, &whole, &couple.server.in);
  if (spoil == JUNK)
    assert_true(side_offer(&couple.client, "HTTP/1.1 400 Bad Request\r\n", 26) < 0);
  else if (spoil == EARLY_END)
    assert_int_equal(sp_pair_encrypted_end(couple.client.pair), SP_EEARLYCLOSE);
  couple_free(&couple);
  size_t left = sp_session_cache_count(cache, NULL);
  sp_context_release(client);
  sp_context_release(server);
  sp_session_cache_release(cache);
  return left;
}

static void spoilt_resumption_drops_it(void **state) {
  (void)state;
  /* a ticket of TLS 1.3 is spent in any case */
  EACH_VERSION(version) {
    assert_int_equal(left_after(NOT_SENT, version), version == SP_TLS1_2);
    assert_int_equal(left_after(SILENCE, version), 0);
    assert_int_equal(left_after(JUNK, version), 0);
    assert_int_equal(left_after(EARLY_END, version), 0);
  }
}

static void expired_ones_go(void **state) {
  (void)state;
  EACH_VERSION(version) {
    sp_session_cache_t *cache = cache_of(0, 0);
    sp_context_t *client = plain_client(), *server = server_of(version);
    assert_false(resumes(cache, client, server));
    clock_shift(7300); /* the default is 7200 s */
    assert_false(resumes(cache, client, server));
    assert_int_equal(sp_session_cache_count(cache, NULL), 1);
    assert_true(resumes(cache, client, server));
    clock_shift(0); /* made in the future */
    assert_false(resumes(cache, client, server));
    sp_context_release(client);
    sp_context_release(server);
    sp_session_cache_release(cache);
  }
}

/* In TLS 1.3 each connection renews its ticket; the certificate is checked once a week all the
 * same. */
static void full_handshake_once_a_week(void **state) {
  (void)state;
  sp_session_cache_t *cache = cache_of(0, 0);
  sp_context_t *client = plain_client(), *server = server_of(SP_TLS1_3);
  const long hour = 3600, week = 7 * 24 * hour;
  assert_false(resumes(cache, client, server));
  long at = hour;
  for (; at < week; at += hour) {
    clock_shift(at);
    assert_true(resumes(cache, client, server));
  }
  clock_shift(at + 1);
  assert_false(resumes(cache, client, server));
  clock_shift(0);
  sp_context_release(client);
  sp_context_release(server);
  sp_session_cache_release(cache);
}

/* -- limits ------------------------------------------------------------------------------------ */

static void meet_at(sp_session_cache_t *cache, sp_context_t *client, sp_context_t *server, int port,
                    bool resumed) {
  assert_int_equal(meet(cache, client, server, SP_OPTIONS(.port = port)).resumed, resumed);
}

static void those_used_last_stay(void **state) {
  (void)state;
  sp_session_cache_t *cache = cache_of(3, 0);
  sp_context_t *client = plain_client(), *server = server_of(SP_TLS1_2);
  for (int port = 1; port <= 3; port++)
    meet_at(cache, client, server, port, false);
  meet_at(cache, client, server, 1, true);
  meet_at(cache, client, server, 4, false); /* in place of 2 */
  assert_int_equal(sp_session_cache_count(cache, NULL), 3);
  meet_at(cache, client, server, 1, true);
  meet_at(cache, client, server, 3, true);
  meet_at(cache, client, server, 2, false);
  sp_context_release(client);
  sp_context_release(server);
  sp_session_cache_release(cache);
}

static void bytes_are_limited(void **state) {
  (void)state;
  sp_session_cache_t *cache = cache_of(0, 0);
  sp_context_t *client = plain_client(), *server = server_of(SP_TLS1_2);
  size_t one, all;
  meet_at(cache, client, server, 1, false);
  (void)sp_session_cache_count(cache, &one);
  assert_in_range(one, 500, 5000);
  for (int port = 2; port <= 20; port++)
    meet_at(cache, client, server, port, false);
  assert_int_equal(sp_session_cache_count(cache, &all), 20);
  assert_int_equal(all, 20 * one);
  sp_session_cache_set_limit(cache, 0, 5 * one);
  assert_int_equal(sp_session_cache_count(cache, &all), 5);
  meet_at(cache, client, server, 20, true);
  meet_at(cache, client, server, 15, false);
  sp_session_cache_set_limit(cache, 0, one - 1);
  meet_at(cache, client, server, 1, false); /* too large to be kept */
  assert_int_equal(sp_session_cache_count(cache, &all), 0);
  assert_int_equal(all, 0);
  sp_context_release(client);
  sp_context_release(server);
  sp_session_cache_release(cache);
}

#define FLOOD (SANITIZED ? 20000 : 100000)

/* One more ticket, with or without a byte of data after it, all the way to the client. */
static bool pour(couple_t *couple, bool data) {
  SSL *ssl = sp_pair_ssl(couple->server.pair);
  assert_int_equal(SSL_new_session_ticket(ssl), 1);
  assert_int_equal(SSL_do_handshake(ssl), 1);
  couple->server.wanted += data;
  couple_run(couple, &whole);
  return !sp_pair_error(couple->client.pair)->status;
}

/* W20: tickets without end. Two are kept, whatever comes; with no data in between the connection is
 * cut off. */
static void W20_flood_of_tickets(void **state) {
  (void)state;
  sp_session_cache_t *cache = cache_of(0, 0);
  sp_context_t *client = plain_client(), *server = server_of(SP_TLS1_3);
  couple_t couple;
  size_t most = 0;
  begin(&couple, cache, client, server);
  couple_run(&couple, &whole);
  int poured = 0;
  for (; poured < FLOOD && pour(&couple, true); poured++) {
    size_t bytes;
    assert_in_range(sp_session_cache_count(cache, &bytes), 1, 2);
    most = bytes > most ? bytes : most;
  }
  print_message("%d tickets: at most %zu bytes\n", poured, most);
  assert_int_equal(poured, FLOOD);
  assert_in_range(most, 1, 10000);
  couple_free(&couple);
  sp_session_cache_clear(cache);
  begin(&couple, cache, client, server);
  couple_run(&couple, &whole);
  poured = 0;
  while (poured < FLOOD && pour(&couple, false))
    poured++;
  assert_in_range(poured, 2, 100);
  assert_int_equal(sp_session_cache_count(cache, NULL), 0);
  couple_free(&couple);
  sp_context_release(client);
  sp_context_release(server);
  sp_session_cache_release(cache);
}

/* Two tickets are two resumptions at the same time; the third is a full handshake. */
static void ticket_of_1_3_is_used_once(void **state) {
  (void)state;
  sp_session_cache_t *cache = cache_of(0, 0);
  sp_context_t *client = plain_client(), *server = server_of(SP_TLS1_3);
  couple_t couples[4];
  begin(&couples[0], cache, client, server);
  couple_run(&couples[0], &whole);
  assert_true(pour(&couples[0], true));
  assert_int_equal(sp_session_cache_count(cache, NULL), 2);
  for (int i = 1; i < 4; i++)
    begin(&couples[i], cache, client, server);
  assert_int_equal(sp_session_cache_count(cache, NULL), 0);
  for (int i = 1; i < 4; i++) {
    couple_run(&couples[i], &whole);
    assert_int_equal(look(&couples[i]).resumed, i < 3);
  }
  for (int i = 0; i < 4; i++)
    couple_free(&couples[i]);
  sp_context_release(client);
  sp_context_release(server);
  sp_session_cache_release(cache);
}

/* -- by itself --------------------------------------------------------------------------------- */

typedef struct scene {
  stage_t stage;
  sp_server_t *server;
  unsigned served_resumed;
  bool resumed, closed;
} scene_t;

static void on_served(sp_stream_t *stream, int status) {
  scene_t *scene = sp_server_data(sp_stream_server(stream));
  assert_int_equal(status, 0);
  scene->served_resumed += sp_pair_is_resumed(sp_stream_pair(stream));
  assert_int_equal(sp_stream_send(stream, "x", 1), 1);
  sp_stream_end(stream);
}

static void on_secure(sp_stream_t *stream, int status) {
  scene_t *scene = sp_stream_data(stream);
  assert_int_equal(status, 0);
  scene->resumed = sp_pair_is_resumed(sp_stream_pair(stream));
}

static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  (void)stream, (void)bytes, (void)n;
}

static void on_close(sp_stream_t *stream) { ((scene_t *)sp_stream_data(stream))->closed = true; }

static const sp_stream_events_t events = {.data = on_data, .close = on_close};

static bool connect_once(scene_t *scene, const sp_options_t *more) {
  const char *const root[] = {pki_default()->root->cert_pem, NULL};
  sp_options_t options = *more;
  sp_stream_t *stream;
  sp_error_t why;
  options.ca = root;
  options.port = sp_server_port(scene->server);
  scene->closed = false;
  assert_int_equal(sp_connect(&stream, &scene->stage.uv, on_secure, &why, &options), 0);
  sp_stream_on(stream, &events, scene);
  STAGE_UNTIL(&scene->stage, scene->closed);
  return scene->resumed;
}

static void open_scene(scene_t *scene, sp_protocol_t version) {
  sp_error_t why;
  memset(scene, 0, sizeof *scene);
  stage_open(&scene->stage);
  assert_int_equal(sp_server_new(&scene->server, &scene->stage.uv, on_served, &why,
                                 SP_OPTIONS(.context = stage_context(SP_SERVER, version))),
                   0);
  sp_server_set_data(scene->server, scene);
  assert_int_equal(sp_server_listen(scene->server, "127.0.0.1", 0, &why), 0);
}

static void close_scene(scene_t *scene) {
  sp_server_close(scene->server, NULL);
  stage_run(&scene->stage);
  stage_close(&scene->stage);
}

/* Nothing but host, port and ca: no context, no cache. Between the two no client is alive. */
static void plain_connect_resumes_by_itself(void **state) {
  (void)state;
  EACH_VERSION(version) {
    scene_t scene;
    open_scene(&scene, version);
    assert_false(connect_once(&scene, SP_OPTIONS(.host = "127.0.0.1")));
    assert_true(connect_once(&scene, SP_OPTIONS(.host = "127.0.0.1")));
    assert_false(connect_once(&scene, SP_OPTIONS(.host = "127.0.0.1", .session_cache = SP_NO)));
    assert_false(connect_once(&scene, SP_OPTIONS(.server_name = "localhost", .family = 4)));
    assert_true(connect_once(&scene, SP_OPTIONS(.server_name = "localhost", .family = 4)));
    assert_int_equal(scene.served_resumed, 2);
    assert_int_equal(sp_session_cache_count(NULL, NULL), 2);
    close_scene(&scene); /* the loop's own object, too, is gone */
    assert_int_equal(sp_session_cache_count(NULL, NULL), 2);
    sp_session_cache_clear(NULL);
    assert_int_equal(sp_session_cache_count(NULL, NULL), 0);
  }
}

static void a_cache_of_ones_own(void **state) {
  (void)state;
  scene_t scene;
  open_scene(&scene, SP_TLS1_3);
  sp_session_cache_t *cache = cache_of(0, 0);
  const sp_options_t *options = SP_OPTIONS(.host = "127.0.0.1", .sessions = cache);
  assert_false(connect_once(&scene, options));
  assert_true(connect_once(&scene, options));
  assert_int_equal(sp_session_cache_count(NULL, NULL), 0);
  assert_int_equal(sp_session_cache_count(cache, NULL), 1);
  sp_session_cache_release(sp_session_cache_retain(cache));
  sp_session_cache_release(cache);
  sp_session_cache_release(NULL);
  close_scene(&scene);
}

/* Without a connection: the address does not answer. The session of TLS 1.2 stays. */
static void connection_that_never_was(void **state) {
  (void)state;
  scene_t scene;
  open_scene(&scene, SP_TLS1_2);
  int port = sp_server_port(scene.server);
  assert_false(connect_once(&scene, SP_OPTIONS(.host = "127.0.0.1")));
  assert_int_equal(sp_session_cache_count(NULL, NULL), 1);
  const char *const root[] = {pki_default()->root->cert_pem, NULL};
  sp_stream_t *stream;
  sp_error_t why;
  scene.closed = false;
  assert_int_equal(sp_connect(&stream, &scene.stage.uv, NULL, &why,
                              SP_OPTIONS(.host = "127.0.0.1", .port = port, .ca = root)),
                   0);
  sp_stream_on(stream, &events, &scene);
  sp_stream_destroy(stream);
  STAGE_UNTIL(&scene.stage, scene.closed);
  assert_int_equal(sp_session_cache_count(NULL, NULL), 1);
  assert_true(connect_once(&scene, SP_OPTIONS(.host = "127.0.0.1")));
  close_scene(&scene);
  sp_session_cache_clear(NULL);
}

/* A stream over something else takes part when it says where that leads to. */
static void note_resumed(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE) {
    assert_int_equal(status, 0);
    *(bool *)actor->data = sp_pair_is_resumed(sp_stream_pair(actor->stream));
  } else if (event == ON_DATA) {
    sp_stream_end(actor->stream);
  }
}

static void greet(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && !status)
    assert_int_equal(sp_stream_send(actor->stream, "x", 1), 1);
}

static bool adopt_once(link_way_t way, sp_protocol_t version, const char *host) {
  fixture_t *f = fixture_new();
  link_t link;
  bool resumed = false;
  link_open(&link, f, way, version, SP_OPTIONS(.host = host, .port = 1), NULL);
  link.client.actor->react = note_resumed;
  link.client.actor->data = &resumed;
  link.server.actor->react = greet;
  link_run(&link);
  fixture_free(f);
  return resumed;
}

static void adopted_streams_with_a_host(void **state) {
  (void)state;
  EACH_VERSION(version)
  for (int way = LINK_SOCKETS; way <= LINK_DIRECT; way++) {
    assert_false(adopt_once((link_way_t)way, version, NULL));
    assert_int_equal(sp_session_cache_count(NULL, NULL), 0);
    assert_false(adopt_once((link_way_t)way, version, "localhost"));
    assert_true(adopt_once((link_way_t)way, version, "localhost"));
    assert_false(adopt_once((link_way_t)way, version, NULL));
    sp_session_cache_clear(NULL);
  }
}

/* -- threads ----------------------------------------------------------------------------------- */

typedef struct crowd {
  sp_session_cache_t *cache;
  sp_context_t *client, *server;
} crowd_t;

static void mingle(void *data) {
  crowd_t *crowd = data;
  for (int i = 0; i < 50; i++) {
    (void)meet(crowd->cache, crowd->client, crowd->server, SP_OPTIONS(.port = 1 + i % 5));
    (void)sp_session_cache_count(crowd->cache, NULL);
    if (i % 20 == 19)
      sp_session_cache_clear(crowd->cache);
  }
}

static void shared_by_threads(void **state) {
  (void)state;
  crowd_t crowd = {
      .cache = cache_of(4, 0), .client = plain_client(), .server = server_of(SP_PROTOCOL_DEFAULT)};
  uv_thread_t threads[4];
  for (int i = 0; i < 4; i++)
    assert_int_equal(uv_thread_create(&threads[i], mingle, &crowd), 0);
  for (int i = 0; i < 4; i++)
    uv_thread_join(&threads[i]);
  assert_in_range(sp_session_cache_count(crowd.cache, NULL), 0, 8);
  sp_context_release(crowd.client);
  sp_context_release(crowd.server);
  sp_session_cache_release(crowd.cache);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(second_connection_is_resumed),
      cmocka_unit_test(nobody_else_gets_it),
      cmocka_unit_test(bytes_are_bound_to_the_place),
      cmocka_unit_test(given_session_comes_first),
      cmocka_unit_test(not_by_default_with_staple_list_or_psk),
      cmocka_unit_test(refused_options),
      cmocka_unit_test(unauthorized_peers_are_not_kept),
      cmocka_unit_test(refused_by_the_server),
      cmocka_unit_test(failed_connection_drops_it),
      cmocka_unit_test(C10_truncated_connection_keeps_it),
      cmocka_unit_test(spoilt_resumption_drops_it),
      cmocka_unit_test(expired_ones_go),
      cmocka_unit_test(full_handshake_once_a_week),
      cmocka_unit_test(those_used_last_stay),
      cmocka_unit_test(bytes_are_limited),
      cmocka_unit_test(W20_flood_of_tickets),
      cmocka_unit_test(ticket_of_1_3_is_used_once),
      cmocka_unit_test(plain_connect_resumes_by_itself),
      cmocka_unit_test(a_cache_of_ones_own),
      cmocka_unit_test(connection_that_never_was),
      cmocka_unit_test(adopted_streams_with_a_host),
      cmocka_unit_test(shared_by_threads),
  };
  return cmocka_run_group_tests_name("session-cache", tests, NULL, NULL);
}
