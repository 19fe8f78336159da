/* Session tickets: whose keys seal them, which servers take them back, their form on the wire; and
 * how long and under which name sessions last. */
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <securepair/context.h>
#include <securepair/pair.h>

#include "context/context.h"
#include "pair/pair.h"
#include "support/contexts.h"
#include "support/couple.h"
#include "support/pki.h"

#define SIZE 48

static const sp_protocol_t versions[] = {SP_TLS1_2, SP_TLS1_3};
#define EACH_VERSION(v) for (const sp_protocol_t *v = versions; v < versions + 2; v++)

static const uint8_t ours[SIZE] = "name of the keys0123456789abcdefFEDCBA987654321";
static const uint8_t others[SIZE] = "some other keys  0123456789abcdeFEDCBA98765432";
#define KEYS(k) .ticket_keys = (k), .ticket_keys_size = SIZE

/* -- sessions ---------------------------------------------------------------------------------- */

static sp_context_t *server_of(const sp_options_t *more) {
  sp_options_t options = *more;
  options.key = pki_default()->server->key_pem;
  options.cert = pki_default()->server->cert_pem;
  return context_made(&options);
}

static sp_context_t *client_of(sp_protocol_t version) {
  const pki_set_t *s = pki_default();
  return context_made(SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem), .min_version = version,
                                 .max_version = version, .key = s->client->key_pem,
                                 .cert = s->client->cert_pem));
}

typedef struct session {
  uint8_t bytes[8192];
  size_t n;
} session_t;

/* Both ends secure, the tickets over; the session that comes of it takes the place of `session`. */
static void meet(couple_t *couple, sp_context_t *client, sp_context_t *server, session_t *session) {
  static const manner_t whole = {.read = 0};
  sp_error_t why = {.status = 0};
  *couple = (couple_t){.client.seed = 17, .server.seed = 89};
  if (sp_pair_make(&couple->client.pair, SP_CLIENT, &why,
                   SP_OPTIONS(.context = client, .server_name = "localhost",
                              .session = session->n ? session->bytes : NULL,
                              .session_size = session->n)) < 0 ||
      sp_pair_new(&couple->server.pair, server, SP_SERVER, NULL, false, &why) < 0)
    fail_msg("%s", why.text);
  couple_shake_hands(couple);
  couple_run(couple, &whole);
  session->n = sp_pair_session(couple->client.pair, session->bytes, sizeof session->bytes);
  assert_in_range(session->n, 1, sizeof session->bytes);
}

static bool resumes(sp_context_t *client, sp_context_t *server, session_t *session) {
  couple_t couple;
  meet(&couple, client, server, session);
  bool resumed = sp_pair_is_resumed(couple.client.pair);
  assert_int_equal(sp_pair_is_resumed(couple.server.pair), resumed);
  couple_free(&couple);
  return resumed;
}

/* Whether `second` takes up what `first` began. */
static bool hands_over(sp_context_t *first, sp_context_t *second, sp_protocol_t version) {
  session_t session = {.n = 0};
  sp_context_t *client = client_of(version);
  assert_false(resumes(client, first, &session));
  bool resumed = resumes(client, second, &session);
  sp_context_release(client);
  return resumed;
}

/* The same for servers made of options. */
static bool hand_over(const sp_options_t *one, const sp_options_t *other, sp_protocol_t version) {
  sp_context_t *first = server_of(one), *second = server_of(other);
  bool resumed = hands_over(first, second, version);
  sp_context_release(first);
  sp_context_release(second);
  return resumed;
}

/* -- the keys ---------------------------------------------------------------------------------- */

static void keys_given_are_the_keys(void **state) {
  (void)state;
  uint8_t room[SIZE];
  sp_context_t *context = context_made(SP_OPTIONS(KEYS(ours)));
  assert_int_equal(sp_context_ticket_keys(context, room), 0);
  assert_memory_equal(room, ours, SIZE);
  assert_int_equal(sp_context_set_ticket_keys(context, others, SIZE), 0);
  assert_int_equal(sp_context_ticket_keys(context, room), 0);
  assert_memory_equal(room, others, SIZE);
  sp_context_release(context);
}

static void each_context_has_keys_of_its_own(void **state) {
  (void)state;
  uint8_t one[SIZE], other[SIZE];
  sp_context_t *contexts[] = {context_made(NULL), context_made(NULL)};
  assert_int_equal(sp_context_ticket_keys(contexts[0], one), 0);
  assert_int_equal(sp_context_ticket_keys(contexts[1], other), 0);
  for (int i = 0; i < SIZE; i += 16) /* each of the three */
    assert_memory_not_equal(one + i, other + i, 16);
  sp_context_release(contexts[0]);
  sp_context_release(contexts[1]);
  EACH_VERSION(v)
  assert_false(hand_over(SP_OPTIONS(.host = NULL), SP_OPTIONS(.host = NULL), *v));
}

static void servers_with_the_same_keys_share_tickets(void **state) {
  (void)state;
  EACH_VERSION(v) {
    assert_true(hand_over(SP_OPTIONS(KEYS(ours)), SP_OPTIONS(KEYS(ours)), *v));
    assert_false(hand_over(SP_OPTIONS(KEYS(ours)), SP_OPTIONS(KEYS(others)), *v));
  }
}

static void a_ticket_ends_with_its_keys(void **state) {
  (void)state;
  EACH_VERSION(v) {
    session_t session = {.n = 0};
    uint8_t before[SIZE];
    couple_t couple;
    sp_context_t *server = server_of(SP_OPTIONS(.host = NULL)), *client = client_of(*v);
    assert_int_equal(sp_context_ticket_keys(server, before), 0);
    meet(&couple, client, server, &session);
    assert_true(resumes(client, server, &session));
    session_t early = session;
    assert_int_equal(sp_context_set_ticket_keys(server, ours, SIZE), 0);
    couple.client.wanted = couple.server.wanted = 100; /* a live connection goes on */
    couple_run(&couple, &(const manner_t){.read = 0});
    assert_int_equal(couple.client.got, 100);
    assert_int_equal(couple.server.got, 100);
    couple_free(&couple);
    assert_false(resumes(client, server, &session));
    assert_true(resumes(client, server, &session));
    assert_int_equal(sp_context_set_ticket_keys(server, before, SIZE), 0);
    assert_true(resumes(client, server, &early));
    sp_context_release(client);
    sp_context_release(server);
  }
}

static void what_are_no_keys_is_refused(void **state) {
  (void)state;
  uint8_t room[SIZE];
  sp_context_t *context = context_made(SP_OPTIONS(KEYS(ours)));
  assert_int_equal(sp_context_set_ticket_keys(context, others, 47), SP_EOPTION);
  assert_int_equal(sp_context_set_ticket_keys(context, others, 0), SP_EOPTION);
  assert_int_equal(sp_context_set_ticket_keys(context, NULL, SIZE), SP_EOPTION);
  assert_int_equal(sp_context_ticket_keys(context, room), 0);
  assert_memory_equal(room, ours, SIZE);
  sp_context_release(context);
  REFUSED(SP_OPTIONS(.ticket_keys = ours, .ticket_keys_size = 47), SP_EOPTION, "ticket_keys", "48");
  REFUSED(SP_OPTIONS(.ticket_keys = ours), SP_EOPTION, "ticket_keys");
  REFUSED(SP_OPTIONS(.ticket_keys_size = SIZE), SP_EOPTION, "ticket_keys");
}

/* Name, IV, what is encrypted, HMAC-SHA256 of all that (RFC 5077 4), made here anew from the 48
 * bytes as Node lays them out. */
static void a_ticket_has_node_s_form(void **state) {
  (void)state;
  EACH_VERSION(v) {
    couple_t couple;
    session_t session = {.n = 0};
    sp_context_t *server = server_of(SP_OPTIONS(KEYS(ours))), *client = client_of(*v);
    meet(&couple, client, server, &session);
    const void *bytes;
    size_t n = sp_pair_ticket(couple.client.pair, &bytes);
    const uint8_t *ticket = bytes;
    assert_in_range(n, 16 + 16 + 16 + 32, 8192);
    assert_memory_equal(ticket, ours, 16);
    uint8_t mac[32], plain[8192];
    assert_non_null(HMAC(EVP_sha256(), ours + 16, 16, ticket, n - 32, mac, NULL));
    assert_memory_equal(ticket + n - 32, mac, 32);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int size, rest;
    assert_true(EVP_DecryptInit_ex(ctx, EVP_aes_128_cbc(), NULL, ours + 32, ticket + 16));
    assert_true(EVP_DecryptUpdate(ctx, plain, &size, ticket + 32, (int)(n - 64)));
    assert_true(EVP_DecryptFinal_ex(ctx, plain + size, &rest));
    EVP_CIPHER_CTX_free(ctx);
    const unsigned char *at = plain;
    SSL_SESSION *opened = d2i_SSL_SESSION(NULL, &at, size + rest);
    assert_non_null(opened);
    SSL_SESSION_free(opened);
    couple_free(&couple);
    sp_context_release(client);
    sp_context_release(server);
  }
}

/* -- with names -------------------------------------------------------------------------------- */

static sp_context_t *chosen;

static int choose(sp_pair_t *pair, const char *name, void *data) {
  (void)name, (void)data;
  int first = sp_pair_use_context(pair, chosen), again = sp_pair_use_context(pair, chosen);
  return first < 0 || again < 0 ? -1 : 0;
}

/* The keys are those of the server, not of the context that belongs to a name: as OpenSSL has it.
 */
static void a_chosen_context_leaves_the_keys(void **state) {
  (void)state;
  EACH_VERSION(v) {
    session_t session = {.n = 0};
    sp_context_t *client = client_of(*v);
    for (int i = 0; i < 2; i++) {
      couple_t couple;
      sp_context_t *server = server_of(SP_OPTIONS(KEYS(ours), .hooks.server_name = choose));
      chosen = server_of(SP_OPTIONS(.host = NULL));
      meet(&couple, client, server, &session);
      sp_context_release(chosen);
      sp_context_release(server);
      assert_int_equal(sp_pair_is_resumed(couple.client.pair), i);
      assert_ptr_equal(sp_pair_context(couple.server.pair), chosen);
      couple_free(&couple);
    }
    sp_context_release(client);
  }
}

#define NAMED(text) .session_id_context = (text), .session_id_context_size = sizeof(text) - 1

static void sessions_stay_under_their_name(void **state) {
  (void)state;
  EACH_VERSION(v) {
    assert_true(
        hand_over(SP_OPTIONS(KEYS(ours), NAMED("a")), SP_OPTIONS(KEYS(ours), NAMED("a")), *v));
    assert_false(
        hand_over(SP_OPTIONS(KEYS(ours), NAMED("a")), SP_OPTIONS(KEYS(ours), NAMED("b")), *v));
    assert_false(hand_over(SP_OPTIONS(KEYS(ours), NAMED("a")), SP_OPTIONS(KEYS(ours)), *v));
  }
  REFUSED(SP_OPTIONS(.session_id_context = "a"), SP_EOPTION, "session_id_context", "0 bytes");
  REFUSED(SP_OPTIONS(NAMED("123456789012345678901234567890123")), SP_EOPTION, "session_id_context",
          "33 bytes");
  REFUSED(SP_OPTIONS(.session_id_context_size = 1), SP_EOPTION, "session_id_context");
  sp_context_release(context_made(SP_OPTIONS(NAMED("12345678901234567890123456789012"))));
}

/* Without any name OpenSSL would not resume a session of a client that showed a certificate; with
 * another policy, or under another's verdict, it must not. */
static void a_client_s_verdict_stays_under_its_policy(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
#define ASKS(authority) .request_cert = SP_YES, .ca = SP_LIST((authority)->cert_pem)
  EACH_VERSION(v) {
    assert_true(hand_over(SP_OPTIONS(KEYS(ours), ASKS(s->root)),
                          SP_OPTIONS(KEYS(ours), ASKS(s->root)), *v));
    assert_true(hand_over(SP_OPTIONS(KEYS(ours), ASKS(s->root), NAMED("a")),
                          SP_OPTIONS(KEYS(ours), ASKS(s->root), NAMED("a")), *v));
    assert_false(hand_over(SP_OPTIONS(KEYS(ours), ASKS(s->root), NAMED("a")),
                           SP_OPTIONS(KEYS(ours), ASKS(s->stranger_root), NAMED("a")), *v));
    assert_false(hand_over(SP_OPTIONS(KEYS(ours), NAMED("a")),
                           SP_OPTIONS(KEYS(ours), ASKS(s->root), NAMED("a")), *v));
  }
}

/* -- time -------------------------------------------------------------------------------------- */

static void lasts(const sp_options_t *options, long seconds) {
  EACH_VERSION(v) {
    couple_t couple;
    session_t session = {.n = 0};
    sp_context_t *server = server_of(options), *client = client_of(*v);
    meet(&couple, client, server, &session);
    const SSL_SESSION *given = SSL_get_session(couple.client.pair->ssl);
    assert_int_equal(SSL_SESSION_get_ticket_lifetime_hint(given), seconds);
    assert_int_equal(SSL_SESSION_get_timeout(SSL_get_session(couple.server.pair->ssl)), seconds);
    couple_free(&couple);
    sp_context_release(client);
    sp_context_release(server);
  }
}

static void sessions_last_as_long_as_is_said(void **state) {
  (void)state;
  lasts(SP_OPTIONS(.host = NULL), 7200);
  lasts(SP_OPTIONS(.session_timeout = 300), 300);
  lasts(SP_OPTIONS(.session_timeout = 604800), 604800);
  lasts(SP_OPTIONS(.session_timeout = INT32_MAX), 604800);
  REFUSED(SP_OPTIONS(.session_timeout = -1), SP_EOPTION, "session_timeout");
}

/* -- threads ----------------------------------------------------------------------------------- */

typedef struct shared {
  sp_context_t *server;
  atomic_bool done;
} shared_t;

static void *exchange(void *data) {
  shared_t *shared = data;
  uint8_t room[SIZE];
  for (int i = 0; !atomic_load(&shared->done); i++) {
    sp_context_set_ticket_keys(shared->server, i % 2 ? ours : others, SIZE);
    sp_context_ticket_keys(shared->server, room);
    if (memcmp(room, ours, SIZE) != 0 && memcmp(room, others, SIZE) != 0)
      abort(); /* halves of both; no cmocka in here */
  }
  return NULL;
}

static void another_thread_exchanges_the_keys(void **state) {
  (void)state;
  pthread_t thread;
  shared_t shared = {.server = server_of(SP_OPTIONS(KEYS(ours)))};
  sp_context_t *client = client_of(SP_TLS1_3);
  session_t session = {.n = 0};
  assert_int_equal(pthread_create(&thread, NULL, exchange, &shared), 0);
  for (int i = 0; i < 20; i++)
    (void)resumes(client, shared.server, &session); /* or not */
  atomic_store(&shared.done, true);
  pthread_join(thread, NULL);
  sp_context_release(client);
  sp_context_release(shared.server);
}

/* -- memory ------------------------------------------------------------------------------------ */

static size_t left_behind;

static void release(void *memory) {
  if (memory && memmem(memory, malloc_usable_size(memory), ours + 16, 16))
    left_behind++;
  free(memory);
}

static void keys_are_wiped(void **state) {
  (void)state;
  sp_replace_allocator(malloc, realloc, release);
  sp_context_release(context_made(SP_OPTIONS(KEYS(ours))));
  sp_replace_allocator(malloc, realloc, free);
  assert_int_equal(left_behind, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keys_given_are_the_keys),
      cmocka_unit_test(each_context_has_keys_of_its_own),
      cmocka_unit_test(servers_with_the_same_keys_share_tickets),
      cmocka_unit_test(a_ticket_ends_with_its_keys),
      cmocka_unit_test(what_are_no_keys_is_refused),
      cmocka_unit_test(a_ticket_has_node_s_form),
      cmocka_unit_test(a_chosen_context_leaves_the_keys),
      cmocka_unit_test(sessions_stay_under_their_name),
      cmocka_unit_test(a_client_s_verdict_stays_under_its_policy),
      cmocka_unit_test(sessions_last_as_long_as_is_said),
      cmocka_unit_test(another_thread_exchanges_the_keys),
      cmocka_unit_test(keys_are_wiped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
