/*
 * A server's sessions in a store: resumed over a thousand connections of either version, taken or
 * got, by this server or another one; a full handshake and never worse with a store that is slow,
 * silent, down or lies (W25), and for sessions of another policy (W26).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "base/memory.h"
#include "support/clock.h"
#include "support/contexts.h"
#include "support/couple.h"
#include "support/pki.h"

static const manner_t whole = {.read = 0};
static const sp_protocol_t versions[] = {SP_TLS1_2, SP_TLS1_3};
#define EACH_VERSION(v) for (const sp_protocol_t *v = versions; v < versions + 2; v++)

static const uint8_t keys[48] = "name of the keys0123456789abcdefFEDCBA987654321";
#define KEYS .ticket_keys = keys, .ticket_keys_size = sizeof keys

/* -- a store of the test's --------------------------------------------------------------------- */

typedef enum mood {
  HONEST,
  LATE,    /* answers when it is told to */
  SILENT,  /* never */
  FAILING, /* with an error */
  LYING,   /* with `lie` */
} mood_t;

#define PLACES 8

typedef struct odd {
  sp_store_t *store;
  mood_t mood;
  struct {
    uint8_t key[64], *value;
    size_t key_size, value_size;
  } places[PLACES];
  const void *lie;
  size_t lie_size;
  int gets, takes, sets, removes;
  unsigned lifetime;
  uint64_t asked; /* the last question */
  int place;      /* of what it asked for; below 0: none */
} odd_t;

static int place_of(const odd_t *odd, const void *key, size_t n) {
  for (int i = 0; i < PLACES; i++)
    if (odd->places[i].value && odd->places[i].key_size == n && !memcmp(odd->places[i].key, key, n))
      return i;
  return -1;
}

static void answer(odd_t *odd) {
  if (odd->place < 0)
    sp_store_answer(odd->store, odd->asked, 0, NULL, 0);
  else
    sp_store_answer(odd->store, odd->asked, 1, odd->places[odd->place].value,
                    odd->places[odd->place].value_size);
}

static void find(odd_t *odd, uint64_t question, const void *key, size_t n) {
  odd->asked = question;
  odd->place = place_of(odd, key, n);
  if (odd->mood == HONEST)
    answer(odd);
  else if (odd->mood == FAILING)
    sp_store_answer(odd->store, question, SP_EEARLYCLOSE, NULL, 0);
  else if (odd->mood == LYING)
    sp_store_answer(odd->store, question, 1, odd->lie, odd->lie_size);
}

static void odd_get(void *data, uint64_t question, const void *key, size_t n) {
  odd_t *odd = data;
  odd->gets++;
  find(odd, question, key, n);
}

/* What is taken stays here, for a test to give it again. */
static void odd_take(void *data, uint64_t question, const void *key, size_t n) {
  odd_t *odd = data;
  odd->takes++;
  find(odd, question, key, n);
}

static void odd_set(void *data, uint64_t question, const void *key, size_t n, const void *value,
                    size_t value_size, unsigned lifetime) {
  odd_t *odd = data;
  assert_int_equal(question, 0);
  assert_in_range(n, 1, sizeof odd->places[0].key);
  int i = odd->sets++ % PLACES;
  free(odd->places[i].value);
  odd->places[i].value = malloc(value_size);
  memcpy(odd->places[i].value, value, value_size);
  memcpy(odd->places[i].key, key, n);
  odd->places[i].key_size = n;
  odd->places[i].value_size = value_size;
  odd->lifetime = lifetime;
}

static void odd_remove(void *data, uint64_t question, const void *key, size_t n) {
  odd_t *odd = data;
  int i = place_of(odd, key, n);
  assert_int_equal(question, 0);
  odd->removes++;
  if (i < 0)
    return;
  free(odd->places[i].value);
  odd->places[i].value = NULL;
}

static odd_t *odd_new(mood_t mood) {
  static const sp_store_methods_t methods = {.size = sizeof methods,
                                             .get = odd_get,
                                             .take = odd_take,
                                             .set = odd_set,
                                             .add = odd_set,
                                             .remove = odd_remove};
  odd_t *odd = calloc(1, sizeof *odd);
  odd->mood = mood;
  assert_int_equal(sp_store_new(&odd->store, &methods, odd), 0);
  return odd;
}

static void odd_free(odd_t *odd) {
  sp_store_release(odd->store);
  for (int i = 0; i < PLACES; i++)
    free(odd->places[i].value);
  free(odd);
}

/* A copy in a block of 64 KiB. */
static uint8_t *newest(const odd_t *odd, size_t *n) {
  int i = (odd->sets - 1) % PLACES;
  uint8_t *copy = calloc(1, 65536);
  *n = odd->places[i].value_size;
  assert_in_range(*n, 100, 60000);
  return memcpy(copy, odd->places[i].value, *n);
}

/* -- servers and clients ----------------------------------------------------------------------- */

static sp_context_t *server_of(sp_store_t *store, const sp_options_t *more) {
  sp_options_t options = *more;
  options.key = pki_default()->server->key_pem;
  options.cert = pki_default()->server->cert_pem;
  options.store = store;
  return context_made(&options);
}

static sp_store_t *memory_store(void) {
  sp_store_t *store;
  assert_int_equal(sp_memory_store_new(&store, 1 << 20, NULL), 0);
  return store;
}

typedef struct client {
  sp_context_t *context;
  uint8_t session[16384];
  size_t n;
} client_t;

static client_t client_with(const sp_options_t *more, sp_protocol_t version) {
  const char *const root[] = {pki_default()->root->cert_pem, NULL};
  sp_options_t options = *more;
  options.ca = root;
  options.min_version = options.max_version = version;
  return (client_t){.context = context_made(&options)};
}

static client_t client_of(sp_protocol_t version) {
  return client_with(SP_OPTIONS(.host = NULL), version);
}

static void keep_session(client_t *client, const couple_t *couple) {
  client->n = sp_pair_session(couple->client.pair, client->session, sizeof client->session);
  assert_in_range(client->n, 1, sizeof client->session);
}

static void begin(couple_t *couple, const client_t *client, sp_context_t *server) {
  couple_make_with(couple,
                   SP_OPTIONS(.context = client->context,
                              .session = client->n ? client->session : NULL,
                              .session_size = client->n),
                   SP_OPTIONS(.context = server));
}

/* A whole connection, without errors: whether it was resumed, on both sides. */
static bool visit(client_t *client, sp_context_t *server) {
  couple_t couple;
  begin(&couple, client, server);
  couple_shake_hands(&couple);
  couple_run(&couple, &whole);
  bool resumed = sp_pair_is_resumed(couple.client.pair);
  assert_int_equal(sp_pair_is_resumed(couple.server.pair), resumed);
  assert_true(sp_pair_is_authorized(couple.client.pair));
  assert_string_equal(sp_pair_server_name(couple.server.pair), "localhost");
  keep_session(client, &couple);
  couple_free(&couple);
  return resumed;
}

/* -- resumed ----------------------------------------------------------------------------------- */

#define THOUSAND 1000

static void count_resumed(sp_context_t *server, sp_protocol_t version) {
  int resumed = 0;
  client_t client = client_of(version);
  for (int i = 0; i < THOUSAND; i++)
    resumed += visit(&client, server);
  assert_int_equal(resumed, THOUSAND - 1);
  sp_context_release(client.context);
}

/* TLS 1.2: one session, got each time; TLS 1.3: a new one each time, taken. */
static void a_thousand_connections(void **state) {
  (void)state;
  EACH_VERSION(v) {
    size_t count;
    sp_store_t *store = memory_store();
    sp_context_t *server = server_of(store, SP_OPTIONS(.host = NULL));
    count_resumed(server, *v);
    sp_memory_store_usage(store, &count, NULL);
    assert_int_equal(count, 1);
    sp_context_release(server);
    sp_store_release(store);
  }
}

static void a_thousand_with_tickets(void **state) {
  (void)state;
  EACH_VERSION(v) {
    sp_context_t *server = server_of(NULL, SP_OPTIONS(.host = NULL));
    count_resumed(server, *v);
    sp_context_release(server);
  }
}

static void asked_as_is_due(void **state) {
  (void)state;
  EACH_VERSION(v) {
    odd_t *odd = odd_new(HONEST);
    sp_context_t *server = server_of(odd->store, SP_OPTIONS(.session_timeout = 300));
    client_t client = client_of(*v);
    assert_false(visit(&client, server));
    assert_int_equal(odd->gets + odd->takes, 0);
    assert_int_equal(odd->sets, 1);
    assert_int_equal(odd->lifetime, 300);
    for (int i = 0; i < 5; i++)
      assert_true(visit(&client, server));
    bool is_1_3 = *v == SP_TLS1_3;
    assert_int_equal(odd->gets, is_1_3 ? 0 : 5);
    assert_int_equal(odd->takes, is_1_3 ? 5 : 0);
    assert_int_equal(odd->sets, is_1_3 ? 6 : 1);
    sp_context_release(client.context);
    sp_context_release(server);
    odd_free(odd);
  }
}

/* The name of a session is no longer than a session id, in a ticket of TLS 1.3 too. */
static void the_client_gets_a_name_only(void **state) {
  (void)state;
  couple_t couple;
  const void *ticket;
  sp_store_t *store = memory_store();
  sp_context_t *server = server_of(store, SP_OPTIONS(.host = NULL));
  client_t client = client_of(SP_TLS1_3);
  begin(&couple, &client, server);
  couple_shake_hands(&couple);
  couple_run(&couple, &whole);
  assert_int_equal(sp_pair_ticket(couple.client.pair, &ticket), 32);
  couple_free(&couple);
  sp_context_release(client.context);
  sp_context_release(server);
  sp_store_release(store);
}

/* A ticket of TLS 1.3 is good once: whoever shows it again gets a full handshake. */
static void taken_is_taken(void **state) {
  (void)state;
  sp_store_t *store = memory_store();
  sp_context_t *server = server_of(store, SP_OPTIONS(.host = NULL));
  client_t client = client_of(SP_TLS1_3);
  visit(&client, server);
  client_t again = client;
  assert_true(visit(&client, server));
  assert_false(visit(&again, server));
  sp_context_release(client.context);
  sp_context_release(server);
  sp_store_release(store);
}

/* OpenSSL asks for the session with either of the client's first messages. */
static void after_a_retry_of_the_hello(void **state) {
  (void)state;
  sp_store_t *store = memory_store();
  sp_context_t *server = server_of(store, SP_OPTIONS(.groups = "P-384"));
  client_t client = client_with(SP_OPTIONS(.groups = "X25519:P-384"), SP_TLS1_3);
  assert_false(visit(&client, server));
  for (int i = 0; i < 3; i++)
    assert_true(visit(&client, server));
  sp_context_release(client.context);
  sp_context_release(server);
  sp_store_release(store);
}

static void servers_share_a_store_and_keys(void **state) {
  (void)state;
  EACH_VERSION(v) {
    sp_store_t *store = memory_store();
    sp_context_t *one = server_of(store, SP_OPTIONS(KEYS));
    sp_context_t *other = server_of(store, SP_OPTIONS(KEYS));
    sp_context_t *stranger = server_of(store, SP_OPTIONS(.host = NULL));
    client_t client = client_of(*v);
    visit(&client, one);
    assert_true(visit(&client, other));
    assert_true(visit(&client, one));
    assert_false(visit(&client, stranger)); /* it has the store, but not the keys */
    sp_context_release(one);
    sp_context_release(other);
    sp_context_release(stranger);
    sp_context_release(client.context);
    sp_store_release(store);
  }
}

static void without_tickets_of_1_3(void **state) {
  (void)state;
  sp_store_t *store = memory_store();
  sp_context_t *server = server_of(store, SP_OPTIONS(.tickets = SP_NO));
  client_t client = client_of(SP_TLS1_2);
  assert_false(visit(&client, server));
  assert_true(visit(&client, server));
  client_t modern = client_of(SP_TLS1_3);
  couple_t couple;
  begin(&couple, &modern, server);
  couple_shake_hands(&couple);
  couple_run(&couple, &whole);
  assert_int_equal(sp_pair_session(couple.client.pair, NULL, 0), 0);
  couple_free(&couple);
  sp_context_release(client.context);
  sp_context_release(modern.context);
  sp_context_release(server);
  sp_store_release(store);
}

static sp_context_t *chosen;

static int choose(sp_pair_t *pair, const char *name, void *data) {
  (void)name, (void)data;
  return sp_pair_use_context(pair, chosen);
}

/* Both contexts have to have one; then the chosen one's is used. */
static void the_store_of_a_chosen_context(void **state) {
  (void)state;
  EACH_VERSION(v)
  for (int stores = 0; stores < 4; stores++) {
    size_t count;
    sp_store_t *store = memory_store(), *other = memory_store();
    client_t client = client_of(*v);
    sp_context_t *server =
        server_of(stores & 1 ? other : NULL, SP_OPTIONS(.hooks.server_name = choose));
    chosen = server_of(stores & 2 ? store : NULL, SP_OPTIONS(.host = NULL));
    for (int i = 0; i < 4; i++)
      assert_int_equal(visit(&client, server), i > 0);
    sp_memory_store_usage(store, &count, NULL);
    assert_int_equal(count, stores == 3);
    sp_memory_store_usage(other, &count, NULL);
    assert_int_equal(count, 0);
    sp_store_release(other);
    sp_context_release(chosen);
    sp_context_release(server);
    sp_context_release(client.context);
    sp_store_release(store);
  }
}

/* -- not resumed ------------------------------------------------------------------------------- */

static void a_session_ends(void **state) {
  (void)state;
  EACH_VERSION(v) {
    odd_t *odd = odd_new(HONEST); /* which knows no time */
    sp_context_t *server = server_of(odd->store, SP_OPTIONS(.session_timeout = 300));
    client_t client = client_with(SP_OPTIONS(.session_timeout = 86400), *v);
    visit(&client, server);
    clock_shift(290);
    assert_true(visit(&client, server));
    clock_shift(1000);
    assert_false(visit(&client, server));
    clock_shift(0);
    sp_context_release(client.context);
    sp_context_release(server);
    odd_free(odd);
  }
}

/* The policy decides about the place, so that another one does not even find it. */
static void W26_under_another_policy(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const sp_options_t *others[] = {
      SP_OPTIONS(KEYS, .request_cert = SP_YES, .ca = SP_LIST(s->root->cert_pem)),
      SP_OPTIONS(KEYS, .session_id_context = "b", .session_id_context_size = 1),
      SP_OPTIONS(KEYS, .request_cert = SP_YES, .reject_unauthorized = SP_YES,
                 .ca = SP_LIST(s->root->cert_pem)),
  };
  EACH_VERSION(v) {
    sp_store_t *store = memory_store();
    sp_context_t *usual = server_of(store, SP_OPTIONS(KEYS));
    client_t client =
        client_with(SP_OPTIONS(.key = s->client->key_pem, .cert = s->client->cert_pem), *v);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
      sp_context_t *other = server_of(store, others[i]);
      visit(&client, usual);
      client_t copy = client;
      assert_false(visit(&copy, other));
      assert_true(visit(&copy, other));   /* its own */
      assert_true(visit(&client, usual)); /* and the first one is there still */
      sp_context_release(other);
    }
    sp_context_release(usual);
    sp_context_release(client.context);
    sp_store_release(store);
  }
}

/* A verdict that was one is one again, and one that was none does not become one. */
static void W26_the_verdict_is_made_anew(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  EACH_VERSION(v)
  for (int known = 0; known < 2; known++) {
    sp_store_t *store = memory_store();
    sp_context_t *server =
        server_of(store, SP_OPTIONS(.request_cert = SP_YES,
                                    .ca = SP_LIST((known ? s->root : s->stranger_root)->cert_pem)));
    client_t client =
        client_with(SP_OPTIONS(.key = s->client->key_pem, .cert = s->client->cert_pem), *v);
    for (int i = 0; i < 3; i++) {
      couple_t couple;
      begin(&couple, &client, server);
      couple_shake_hands(&couple);
      couple_run(&couple, &whole);
      assert_int_equal(sp_pair_is_resumed(couple.server.pair), i > 0 && known);
      assert_int_equal(sp_pair_is_authorized(couple.server.pair), known);
      size_t n = sp_pair_session(couple.client.pair, client.session, sizeof client.session);
      client.n = n;
      couple_free(&couple);
    }
    sp_context_release(client.context);
    sp_context_release(server);
    sp_store_release(store);
  }
}

/* -- a store that is not as it should be ------------------------------------------------------- */

/* Offers bytes in place of the session that the client names. */
static void lie(odd_t *odd, const client_t *client, sp_context_t *server, const void *bytes,
                size_t n) {
  client_t copy = *client;
  odd->lie = bytes;
  odd->lie_size = n;
  assert_false(visit(&copy, server));
}

static void W25_garbage_costs_a_full_handshake(void **state) {
  (void)state;
  EACH_VERSION(v) {
    odd_t *odd = odd_new(HONEST);
    sp_context_t *server = server_of(odd->store, SP_OPTIONS(.host = NULL));
    client_t client = client_of(*v), other = client_of(*v);
    size_t n, n_others;
    visit(&other, server);
    uint8_t *others = newest(odd, &n_others);
    visit(&client, server);
    uint8_t *good = newest(odd, &n);
    odd->mood = LYING;
    lie(odd, &client, server, others, n_others); /* another session, well sealed */
    for (size_t i = 0; i < n; i += i < 48 ? 1 : 7) {
      good[i] ^= (uint8_t)(1 << i % 8);
      lie(odd, &client, server, good, n);
      good[i] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t i = 0; i < n; i += i < 64 ? 1 : 29)
      lie(odd, &client, server, good, i);
    lie(odd, &client, server, NULL, 0);
    lie(odd, &client, server, good, n + 1);
    lie(odd, &client, server, good, 65536);
    odd->lie = good;
    odd->lie_size = n;
    assert_true(visit(&client, server)); /* as it was */
    free(good);
    free(others);
    sp_context_release(client.context);
    sp_context_release(other.context);
    sp_context_release(server);
    odd_free(odd);
  }
}

/* Nothing of a session is in clear in the store. */
static void what_is_stored_is_sealed(void **state) {
  (void)state;
  EACH_VERSION(v) {
    odd_t *odd = odd_new(HONEST);
    sp_context_t *server = server_of(odd->store, SP_OPTIONS(.host = NULL));
    client_t client = client_of(*v);
    couple_t couple;
    begin(&couple, &client, server);
    couple_shake_hands(&couple);
    couple_run(&couple, &whole);
    SSL_SESSION *session = SSL_get1_session(sp_pair_ssl(couple.client.pair));
    uint8_t secret[64];
    unsigned id_size;
    size_t n, n_secret = SSL_SESSION_get_master_key(session, secret, sizeof secret);
    uint8_t *value = newest(odd, &n);
    const uint8_t *id = SSL_SESSION_get_id(session, &id_size);
    assert_in_range(n_secret, 32, 64);
    assert_null(memmem(value, n, secret, n_secret));
    assert_null(memmem(value, n, "localhost", 9));
    free(value);
    assert_null(memmem(odd->places[0].key, 64, id, id_size)); /* nor its name */
    SSL_SESSION_free(session);
    couple_free(&couple);
    sp_context_release(client.context);
    sp_context_release(server);
    odd_free(odd);
  }
}

static void a_store_that_fails(void **state) {
  (void)state;
  EACH_VERSION(v) {
    odd_t *odd = odd_new(FAILING);
    sp_context_t *server = server_of(odd->store, SP_OPTIONS(.host = NULL));
    client_t client = client_of(*v);
    for (int i = 0; i < 3; i++)
      assert_false(visit(&client, server));
    sp_context_release(client.context);
    sp_context_release(server);
    odd_free(odd);
  }
}

/* To where the server waits for its store. */
static void begin_to_wait(couple_t *couple, const client_t *client, sp_context_t *server) {
  begin(couple, client, server);
  couple_run(couple, &whole);
  assert_true(sp_pair_state(couple->server.pair) & SP_PAIR_WAITING);
}

static void a_store_that_takes_its_time(void **state) {
  (void)state;
  EACH_VERSION(v) {
    odd_t *odd = odd_new(LATE);
    sp_context_t *server = server_of(odd->store, SP_OPTIONS(.host = NULL));
    client_t client = client_of(*v);
    visit(&client, server);
    for (int i = 0; i < 3; i++) {
      couple_t couple;
      begin_to_wait(&couple, &client, server);
      answer(odd);
      answer(odd); /* twice does no harm */
      couple_shake_hands(&couple);
      couple_run(&couple, &whole);
      assert_true(sp_pair_is_resumed(couple.server.pair));
      answer(odd);
      keep_session(&client, &couple);
      couple_free(&couple);
    }
    sp_context_release(client.context);
    sp_context_release(server);
    odd_free(odd);
  }
}

/* A program with pairs of its own decides itself how long it waits. */
static void a_store_that_is_silent(void **state) {
  (void)state;
  EACH_VERSION(v) {
    odd_t *odd = odd_new(SILENT);
    sp_context_t *server = server_of(odd->store, SP_OPTIONS(.host = NULL));
    client_t client = client_of(*v);
    couple_t couple;
    visit(&client, server);
    begin_to_wait(&couple, &client, server);
    assert_int_equal(sp_pair_resume(couple.server.pair, 0), 0);
    answer(odd); /* too late */
    couple_shake_hands(&couple);
    couple_run(&couple, &whole);
    assert_false(sp_pair_is_resumed(couple.server.pair));
    couple_free(&couple);
    begin_to_wait(&couple, &client, server); /* or ends the connection */
    assert_true(sp_pair_resume(couple.server.pair, SP_EREFUSED) < 0);
    answer(odd);
    couple_free(&couple);
    sp_context_release(client.context);
    sp_context_release(server);
    odd_free(odd);
  }
}

static void gone_while_the_store_is_asked(void **state) {
  (void)state;
  EACH_VERSION(v) {
    odd_t *odd = odd_new(LATE);
    sp_context_t *server = server_of(odd->store, SP_OPTIONS(.host = NULL));
    client_t client = client_of(*v);
    couple_t couple;
    visit(&client, server);
    begin_to_wait(&couple, &client, server);
    couple_free(&couple);
    answer(odd);
    begin_to_wait(&couple, &client, server); /* the peer went */
    assert_int_equal(sp_pair_encrypted_end(couple.server.pair), SP_EEARLYCLOSE);
    answer(odd);
    couple_free(&couple);
    sp_context_release(client.context);
    sp_context_release(server);
    odd_free(odd);
  }
}

/* -- with hooks -------------------------------------------------------------------------------- */

static uint8_t kept[8192], kept_id[32];
static size_t kept_size;
static int asked;

static int on_get(sp_pair_t *pair, const void *id, size_t n, void *data) {
  (void)data;
  asked++;
  bool known = n == sizeof kept_id && !memcmp(id, kept_id, n);
  return known ? sp_pair_use_session(pair, kept, kept_size) : 0;
}

static void on_new(sp_pair_t *pair, const void *id, size_t id_size, const void *bytes, size_t n,
                   void *data) {
  (void)pair, (void)data;
  assert_int_equal(id_size, sizeof kept_id);
  assert_in_range(n, 1, sizeof kept);
  memcpy(kept_id, id, id_size);
  memcpy(kept, bytes, kept_size = n);
}

/* In TLS 1.3, too, when the server keeps the sessions. */
static void hooks_keep_sessions(void **state) {
  (void)state;
  EACH_VERSION(v) {
    client_t client = client_of(*v);
    sp_context_t *server =
        server_of(NULL, SP_OPTIONS(.openssl_options = SSL_OP_NO_TICKET,
                                   .hooks = {.session_get = on_get, .session_new = on_new}));
    asked = 0;
    for (int i = 0; i < 5; i++)
      assert_int_equal(visit(&client, server), i > 0);
    assert_int_equal(asked, 4);
    sp_context_release(client.context);
    sp_context_release(server);
  }
}

/* The hook that answers is asked in place of the store. */
static void hooks_beside_a_store(void **state) {
  (void)state;
  EACH_VERSION(v) {
    odd_t *odd = odd_new(HONEST);
    client_t client = client_of(*v);
    sp_context_t *server =
        server_of(odd->store, SP_OPTIONS(.hooks = {.session_get = on_get, .session_new = on_new}));
    for (int i = 0; i < 3; i++)
      assert_int_equal(visit(&client, server), i > 0);
    assert_int_equal(odd->gets + odd->takes, 0);
    assert_int_equal(odd->sets, *v == SP_TLS1_3 ? 3 : 1);
    sp_context_release(client.context);
    sp_context_release(server);
    odd_free(odd);
  }
}

/* -- connections that fail --------------------------------------------------------------------- */

static void offer_junk(couple_t *couple) {
  static const uint8_t junk[5 + 64] = {23, 3, 3, 0, 64};
  assert_int_equal(side_offer(&couple->server, junk, sizeof junk), SP_EPROTOCOL);
}

/* RFC 5246 7.2: the session of a connection that failed is not resumed any more, whoever asks. */
static void a_failed_connection_s_session_goes(void **state) {
  (void)state;
  EACH_VERSION(v)
  for (int first = 0; first < 2; first++) {
    couple_t couple;
    odd_t *odd = odd_new(HONEST);
    sp_context_t *server = server_of(odd->store, SP_OPTIONS(.host = NULL));
    client_t client = client_of(*v);
    if (!first)
      visit(&client, server);
    begin(&couple, &client, server);
    couple_shake_hands(&couple);
    couple_run(&couple, &whole);
    assert_int_equal(sp_pair_is_resumed(couple.server.pair), !first);
    keep_session(&client, &couple);
    offer_junk(&couple);
    couple_free(&couple);
    bool is_1_3 = *v == SP_TLS1_3; /* whose session is gone as it is */
    assert_int_equal(odd->removes, !is_1_3);
    assert_int_equal(visit(&client, server), is_1_3);
    sp_context_release(client.context);
    sp_context_release(server);
    odd_free(odd);
  }
}

/* Whoever saw a session's id, which is no secret, does not end it for whom it belongs to; nor does
 * an end, whether it was announced or not. */
static void other_ends_leave_it(void **state) {
  (void)state;
  couple_t couple;
  odd_t *odd = odd_new(HONEST);
  sp_context_t *server = server_of(odd->store, SP_OPTIONS(.host = NULL));
  client_t client = client_of(SP_TLS1_2);
  visit(&client, server);
  for (int how = 0; how < 3; how++) {
    begin(&couple, &client, server);
    if (how) {
      couple_shake_hands(&couple);
    } else { /* the server waits for the proof that the client has the session */
      (void)side_step(&couple.client, &whole, &couple.server.in);
      (void)side_step(&couple.server, &whole, &couple.client.in);
      offer_junk(&couple);
    }
    if (how == 1)
      assert_int_equal(sp_pair_end(couple.server.pair), 0);
    if (how == 2)
      assert_int_equal(sp_pair_encrypted_end(couple.server.pair), 0);
    couple_free(&couple);
    assert_int_equal(odd->removes, 0);
    assert_true(visit(&client, server));
  }
  sp_context_release(client.context);
  sp_context_release(server);
  odd_free(odd);
}

/* -- memory ------------------------------------------------------------------------------------ */

static long allocations_left;

static void *ration(size_t n) { return allocations_left-- > 0 ? malloc(n) : NULL; }

static void *ration_again(void *memory, size_t n) {
  return allocations_left-- > 0 ? realloc(memory, n) : NULL;
}

/* R10: with an allocation that fails, the client is served or the connection ends cleanly. */
static void R10_without_memory(void **state) {
  (void)state;
  EACH_VERSION(v) {
    sp_store_t *store = memory_store();
    sp_context_t *server = server_of(store, SP_OPTIONS(.host = NULL));
    client_t client = client_of(*v);
    visit(&client, server);
    int resumed = 0, full = 0;
    for (long n = 0; n < 40; n++) {
      couple_t couple;
      client_t copy = client;
      begin(&couple, &copy, server);
      sp_replace_allocator(ration, ration_again, free);
      allocations_left = n;
      couple_run(&couple, &whole);
      sp_replace_allocator(NULL, NULL, NULL);
      bool secure = sp_pair_state(couple.server.pair) & SP_PAIR_SECURE;
      if (secure && sp_pair_is_resumed(couple.server.pair))
        resumed++;
      else if (secure)
        full++;
      couple_free(&couple);
      visit(&client, server);
    }
    assert_true(resumed > 10);
    assert_true(full + resumed > 20);
    sp_context_release(client.context);
    sp_context_release(server);
    sp_store_release(store);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_thousand_connections),
      cmocka_unit_test(a_thousand_with_tickets),
      cmocka_unit_test(asked_as_is_due),
      cmocka_unit_test(the_client_gets_a_name_only),
      cmocka_unit_test(taken_is_taken),
      cmocka_unit_test(after_a_retry_of_the_hello),
      cmocka_unit_test(servers_share_a_store_and_keys),
      cmocka_unit_test(without_tickets_of_1_3),
      cmocka_unit_test(the_store_of_a_chosen_context),
      cmocka_unit_test(a_session_ends),
      cmocka_unit_test(W26_under_another_policy),
      cmocka_unit_test(W26_the_verdict_is_made_anew),
      cmocka_unit_test(W25_garbage_costs_a_full_handshake),
      cmocka_unit_test(what_is_stored_is_sealed),
      cmocka_unit_test(a_store_that_fails),
      cmocka_unit_test(a_store_that_takes_its_time),
      cmocka_unit_test(a_store_that_is_silent),
      cmocka_unit_test(gone_while_the_store_is_asked),
      cmocka_unit_test(hooks_keep_sessions),
      cmocka_unit_test(hooks_beside_a_store),
      cmocka_unit_test(a_failed_connection_s_session_goes),
      cmocka_unit_test(other_ends_leave_it),
      cmocka_unit_test(R10_without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
