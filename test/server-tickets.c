/*
 * Tickets that clients bring back to a server, by a client that checks nothing itself: flipped,
 * cut, of another key, expired, for another name, of 64 KiB (W25); and sessions that were made
 * without the certificate that is asked for now (W26). Each is a full handshake, never worse.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>

#include <securepair/pair.h>

#include "support/clock.h"
#include "support/contexts.h"
#include "support/pki.h"

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
#define EACH_VERSION(v) for (const int *v = versions; v < versions + 2; v++)

/* -- a client of OpenSSL ----------------------------------------------------------------------- */

static SSL_SESSION *newest;

static int on_session(SSL *ssl, SSL_SESSION *session) {
  (void)ssl;
  SSL_SESSION_free(newest);
  newest = session;
  return 1;
}

static SSL_CTX *client_of(int version) {
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(ctx, version);
  SSL_CTX_set_max_proto_version(ctx, version);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_set_timeout(ctx, 1000000);
  SSL_CTX_sess_set_new_cb(ctx, on_session);
  return ctx;
}

static void to_pair(BIO *from, sp_pair_t *pair) {
  uint8_t bytes[70000], room[10];
  size_t got;
  int n = BIO_read(from, bytes, sizeof bytes);
  if (n <= 0)
    return;
  assert_int_equal(sp_pair_encrypted_in(pair, bytes, (size_t)n), 0);
  if (sp_pair_state(pair) & SP_PAIR_SECURE)
    (void)sp_pair_cleartext_out(pair, room, sizeof room, &got);
  assert_int_equal(sp_pair_encrypted_release(pair), 0);
}

static void from_pair(sp_pair_t *pair, BIO *to) {
  const void *bytes;
  size_t n;
  while ((n = sp_pair_encrypted_out(pair, &bytes)) > 0) {
    assert_int_equal(BIO_write(to, bytes, (int)n), (int)n);
    sp_pair_encrypted_sent(pair, n);
  }
}

typedef struct visit {
  bool resumed, authorized;
} visit_t;

static const char *protocol; /* that the client offers; NULL: none */

static long asked_at; /* when the server asks for a certificate, in seconds from now; 0: never */

static void offer_protocol(SSL *ssl) {
  uint8_t list[16] = {protocol ? (uint8_t)strlen(protocol) : 0};
  if (!protocol)
    return;
  memcpy(list + 1, protocol, list[0]);
  assert_int_equal(SSL_set_alpn_protos(ssl, list, list[0] + 1u), 0);
}

static void check_protocol(SSL *ssl, const sp_pair_t *pair) {
  const unsigned char *chosen;
  unsigned n;
  SSL_get0_alpn_selected(ssl, &chosen, &n);
  assert_int_equal(n, protocol ? strlen(protocol) : 0);
  assert_memory_equal(chosen, protocol, n);
  assert_string_equal(sp_pair_protocol(pair, NULL), protocol ? protocol : "");
}

static void talk(SSL *ssl, BIO *in, BIO *out, sp_pair_t *pair) {
  for (int i = 0; i < 8; i++) {
    uint8_t room[10];
    (void)SSL_read(ssl, room, sizeof room);
    to_pair(out, pair);
    from_pair(pair, in);
  }
}

/* A whole handshake, which has to go well. `newest` has what comes of it. */
static visit_t visit_as(SSL_CTX *client, sp_context_t *server, SSL_SESSION *session,
                        const char *name) {
  sp_pair_t *pair;
  SSL *ssl = SSL_new(client);
  BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
  BIO_set_mem_eof_return(in, -1);
  SSL_set_bio(ssl, in, out);
  SSL_set_connect_state(ssl);
  SSL_set_tlsext_host_name(ssl, name);
  offer_protocol(ssl);
  if (session)
    assert_true(SSL_set_session(ssl, session));
  assert_int_equal(sp_pair_new(&pair, server, SP_SERVER, NULL, false, NULL), 0);
  talk(ssl, in, out, pair);
  assert_true(SSL_is_init_finished(ssl));
  assert_true(sp_pair_state(pair) & SP_PAIR_SECURE);
  visit_t visit = {SSL_session_reused(ssl), sp_pair_is_authorized(pair)};
  assert_int_equal(sp_pair_is_resumed(pair), visit.resumed);
  check_protocol(ssl, pair);
  if (asked_at) {
    clock_shift(asked_at);
    assert_int_equal(sp_pair_request_certificate(pair), 0);
    talk(ssl, in, out, pair);
  }
  SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* leaves the session good */
  SSL_free(ssl);
  sp_pair_release(pair);
  return visit;
}

static bool resumes(SSL_CTX *client, sp_context_t *server, SSL_SESSION *session) {
  return visit_as(client, server, session, "localhost").resumed;
}

static sp_context_t *server_of(const sp_options_t *more) {
  sp_options_t options = *more;
  options.key = pki_default()->server->key_pem;
  options.cert = pki_default()->server->cert_pem;
  return context_made(&options);
}

/* The session that a first visit leaves. */
static SSL_SESSION *first(SSL_CTX *client, sp_context_t *server) {
  assert_false(resumes(client, server, NULL));
  assert_non_null(newest);
  assert_true(SSL_SESSION_up_ref(newest));
  return newest;
}

/* -- another ticket in a session --------------------------------------------------------------- */

/* The contents of a DER element at *at, which moves behind it. */
static size_t contents(const uint8_t **at, const uint8_t **from) {
  const uint8_t *p = *at + 1;
  size_t n = *p++;
  if (n & 0x80) {
    int count = n & 0x7f;
    for (n = 0; count--;)
      n = n << 8 | *p++;
  }
  *from = p;
  *at = p + n;
  return n;
}

static uint8_t *put_head(uint8_t *to, uint8_t tag, size_t n) {
  memcpy(to, (uint8_t[]){tag, 0x83, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}, 5);
  return to + 5;
}

#define TICKET_TAG 0xaa /* [10], see OpenSSL's SSL_SESSION_ASN1 */

/* A copy whose ticket is n bytes. */
static SSL_SESSION *with_ticket(SSL_SESSION *session, const void *ticket, size_t n) {
  static uint8_t der[80000], copy[160000];
  uint8_t *end = der, *to = copy + 5;
  assert_in_range(i2d_SSL_SESSION(session, NULL), 1, sizeof der);
  int size = i2d_SSL_SESSION(session, &end);
  const uint8_t *at = der, *element;
  (void)contents(&at, &element);
  assert_ptr_equal(at, der + size);
  while (element < at) {
    const uint8_t *start = element, *inside;
    (void)contents(&element, &inside);
    if (*start == TICKET_TAG) {
      to = put_head(put_head(to, TICKET_TAG, n + 5), 0x04, n);
      memcpy(to, ticket, n);
      to += n;
    } else {
      memcpy(to, start, (size_t)(element - start));
      to += element - start;
    }
  }
  (void)put_head(copy, 0x30, (size_t)(to - copy) - 5);
  const uint8_t *from = copy;
  SSL_SESSION *made = d2i_SSL_SESSION(NULL, &from, to - copy);
  assert_non_null(made);
  return made;
}

static void brings(SSL_CTX *client, sp_context_t *server, SSL_SESSION *session, const void *ticket,
                   size_t n, bool resumed) {
  SSL_SESSION *changed = with_ticket(session, ticket, n);
  assert_int_equal(resumes(client, server, changed), resumed);
  SSL_SESSION_free(changed);
}

/* With tickets and with a store, whose tickets are names. */
static void change(int version, sp_store_t *store) {
  static uint8_t ticket[65000];
  const unsigned char *good;
  size_t n;
  SSL_CTX *client = client_of(version);
  sp_context_t *server = server_of(SP_OPTIONS(.store = store));
  SSL_SESSION *session = first(client, server);
  SSL_SESSION_get0_ticket(session, &good, &n);
  assert_in_range(n, 32, 4096);
  memcpy(ticket, good, n);
  for (size_t i = 0; i < n; i++) {
    ticket[i] ^= (uint8_t)(1 << i % 8);
    brings(client, server, session, ticket, n, false);
    ticket[i] ^= (uint8_t)(1 << i % 8);
  }
  for (size_t i = 1; i < n; i += i < 64 ? 1 : 13)
    brings(client, server, session, ticket, i, false);
  brings(client, server, session, ticket, n + 1, false);
  brings(client, server, session, ticket, sizeof ticket, false);
  brings(client, server, session, ticket, n, true); /* as it was */
  SSL_SESSION_free(session);
  SSL_CTX_free(client);
  sp_context_release(server);
}

static void W25_a_ticket_that_was_changed(void **state) {
  (void)state;
  EACH_VERSION(v)
  change(*v, NULL);
}

static void W25_a_name_that_was_changed(void **state) {
  (void)state;
  sp_store_t *store;
  assert_int_equal(sp_memory_store_new(&store, 1 << 20, NULL), 0);
  change(TLS1_3_VERSION, store);
  sp_store_release(store);
}

static void W25_of_another_key_or_too_late(void **state) {
  (void)state;
  EACH_VERSION(v) {
    SSL_CTX *client = client_of(*v);
    sp_context_t *server = server_of(SP_OPTIONS(.session_timeout = 300));
    sp_context_t *other = server_of(SP_OPTIONS(.host = NULL));
    SSL_SESSION *session = first(client, server);
    assert_false(resumes(client, other, session));
    clock_shift(290);
    assert_true(resumes(client, server, session));
    clock_shift(302);
    assert_false(resumes(client, server, session));
    clock_shift(0);
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    sp_context_release(server);
    sp_context_release(other);
  }
}

/* RFC 8446 4.6.1: however often it is resumed, a week after the full handshake there is another
 * one; by tickets and by a store. */
static void resumptions_end_after_a_week(void **state) {
  const int day = 24 * 3600;
  (void)state;
  for (int i = 0; i < 4; i++) {
    sp_store_t *store = NULL;
    assert_int_equal(i % 2 ? sp_memory_store_new(&store, 1 << 20, NULL) : 0, 0);
    SSL_CTX *client = client_of(versions[i / 2]);
    sp_context_t *server =
        server_of(SP_OPTIONS(.session_timeout = 7 * day, .ticket_rotation = -1, .store = store));
    SSL_SESSION_free(first(client, server));
    for (int days = 1; days < 7; days++) {
      clock_shift(days * day);
      assert_true(resumes(client, server, newest));
    }
    clock_shift(7 * day + 1);
    assert_false(resumes(client, server, newest));
    assert_true(resumes(client, server, newest)); /* of that one */
    clock_shift(0);
    SSL_CTX_free(client);
    sp_context_release(server);
    sp_store_release(store);
  }
}

/* -- when the full handshake was --------------------------------------------------------------- */

#define DAY (24 * 3600L)
#define WEEKLY .session_timeout = 7 * DAY, .ticket_rotation = -1

/* It comes back day by day, until the week from `day` on is over. */
static void comes_back_until(SSL_CTX *client, sp_context_t *server, long day) {
  for (long i = 1; i < 7; i++) {
    clock_shift((day + i) * DAY);
    assert_true(resumes(client, server, newest));
  }
  clock_shift((day + 7) * DAY + 1);
  assert_false(resumes(client, server, newest));
  clock_shift(0);
}

/* A ticket that is sent days later, after the client was asked for a certificate, does not put it
 * off. */
static void the_week_begins_with_the_handshake(void **state) {
  (void)state;
  const char *root = pki_default()->root->cert_pem;
  SSL_CTX *client = client_of(TLS1_3_VERSION);
  SSL_CTX_set_post_handshake_auth(client, 1);
  sp_context_t *server =
      server_of(SP_OPTIONS(WEEKLY, .post_handshake_auth = SP_YES, .ca = SP_LIST(root)));
  asked_at = 3 * DAY;
  assert_false(resumes(client, server, NULL));
  asked_at = 0;
  assert_non_null(newest);
  clock_shift(6 * DAY);
  assert_true(resumes(client, server, newest));
  clock_shift(7 * DAY + 1);
  assert_false(resumes(client, server, newest));
  clock_shift(0);
  SSL_CTX_free(client);
  sp_context_release(server);
}

static int on_key(sp_pair_t *pair, const char *identity, uint8_t *key, size_t size, void *data) {
  (void)pair, (void)data;
  if (strcmp(identity, "known") != 0 || size < 32)
    return 0;
  memset(key, 7, 32);
  return 32;
}

static bool offers_key;

static int on_use_key(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *n,
                      SSL_SESSION **session) {
  static const unsigned char suite[] = {0x13, 0x01},
                             key[32] = {7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
                                        7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};
  (void)md;
  *session = NULL;
  if (!offers_key)
    return 1;
  *session = SSL_SESSION_new();
  *id = (const unsigned char *)"known";
  *n = 5;
  return SSL_SESSION_set1_master_key(*session, key, sizeof key) &&
         SSL_SESSION_set_cipher(*session, SSL_CIPHER_find(ssl, suite)) &&
         SSL_SESSION_set_protocol_version(*session, TLS1_3_VERSION);
}

/* -- other labels, in tickets that were made under the same keys ------------------------------- */

static const uint8_t shared[48] = "name of the keys0123456789abcdefFEDCBA987654321";
#define SHARED .ticket_keys = shared, .ticket_keys_size = sizeof shared
enum { NAME = 16, IV = 16, MAC = 32 };

static size_t cipher(bool seals, const uint8_t *iv, const uint8_t *from, size_t n, uint8_t *to) {
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  int some, last;
  assert_true(EVP_CipherInit_ex(ctx, EVP_aes_128_cbc(), NULL, shared + 32, iv, seals));
  assert_true(EVP_CipherUpdate(ctx, to, &some, from, (int)n));
  assert_true(EVP_CipherFinal_ex(ctx, to + some, &last));
  EVP_CIPHER_CTX_free(ctx);
  return (size_t)some + (size_t)last;
}

/* The session with a ticket whose label is another one; n 0: with none, as Node's. */
static SSL_SESSION *with_label(SSL_SESSION *session, const void *label, size_t n) {
  static uint8_t der[8192], made[8192];
  const uint8_t *ticket, *at = der;
  size_t size;
  SSL_SESSION_get0_ticket(session, &ticket, &size);
  assert_in_range(size, NAME + IV + MAC + 1, sizeof der);
  size = cipher(false, ticket + NAME, ticket + NAME + IV, size - NAME - IV - MAC, der);
  SSL_SESSION *inside = d2i_SSL_SESSION(NULL, &at, (long)size);
  assert_non_null(inside);
  assert_true(SSL_SESSION_set1_ticket_appdata(inside, label, n));
  uint8_t *end = der;
  size = (size_t)i2d_SSL_SESSION(inside, &end);
  SSL_SESSION_free(inside);
  memcpy(made, ticket, NAME + IV);
  size = NAME + IV + cipher(true, made + NAME, der, size, made + NAME + IV);
  assert_non_null(HMAC(EVP_sha256(), shared + 16, 16, made, size, made + size, NULL));
  return with_ticket(session, made, size + MAC);
}

enum { LABEL = 32 }; /* bytes at most */

/* What the server put there. */
static size_t label_of(SSL_SESSION *session, uint8_t room[LABEL]) {
  static uint8_t der[8192];
  const uint8_t *ticket, *at = der;
  size_t size;
  void *label;
  SSL_SESSION_get0_ticket(session, &ticket, &size);
  size = cipher(false, ticket + NAME, ticket + NAME + IV, size - NAME - IV - MAC, der);
  SSL_SESSION *inside = d2i_SSL_SESSION(NULL, &at, (long)size);
  assert_true(SSL_SESSION_get0_ticket_appdata(inside, &label, &size));
  assert_in_range(size, 9, LABEL);
  memcpy(room, label, size);
  SSL_SESSION_free(inside);
  return size;
}

static bool resumes_with(SSL_CTX *client, sp_context_t *server, SSL_SESSION *session,
                         const void *label, size_t n) {
  SSL_SESSION *other = with_label(session, label, n);
  bool resumed = resumes(client, server, other);
  SSL_SESSION_free(other);
  return resumed;
}

static bool resumes_of(SSL_CTX *client, sp_context_t *server, SSL_SESSION *session, uint64_t made) {
  uint8_t label[LABEL];
  size_t n = label_of(session, label);
  for (size_t i = 0; i < 8; i++)
    label[n - 8 + i] = (uint8_t)(made >> 8 * i);
  return resumes_with(client, server, session, label, n);
}

/* Which would be as young for ever: the clock was set back. */
static void made_in_the_future(void **state) {
  (void)state;
  EACH_VERSION(v) {
    SSL_CTX *client = client_of(*v);
    sp_context_t *server = server_of(SP_OPTIONS(WEEKLY, SHARED));
    SSL_SESSION *session = first(client, server);
    uint64_t now = (uint64_t)time(NULL);
    assert_true(resumes_of(client, server, session, now));
    assert_true(resumes_of(client, server, session, now + 60)); /* by another server's clock */
    assert_false(resumes_of(client, server, session, now + 2 * DAY));
    assert_false(resumes_of(client, server, session, now - 7 * DAY));
    assert_false(resumes_of(client, server, session, 0));
    for (uint64_t edge = INT64_MAX; edge <= (uint64_t)INT64_MAX + 2; edge++)
      assert_false(resumes_of(client, server, session, edge));
    assert_false(resumes_of(client, server, session, UINT64_MAX));
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    sp_context_release(server);
  }
}

/* Nor do tickets of a session that a key known before made come back for ever: each one lives for
 * minutes, but says when the key was shown. */
static void a_week_after_a_key(void **state) {
  (void)state;
  uint8_t label[LABEL], later[LABEL];
  SSL_CTX *client = client_of(TLS1_3_VERSION);
  SSL_CTX_set_psk_use_session_callback(client, on_use_key);
  SSL_CTX_set_ciphersuites(client, "TLS_AES_128_GCM_SHA256");
  sp_context_t *server = server_of(SP_OPTIONS(WEEKLY, SHARED, .hooks.psk_server = on_key));
  offers_key = true;
  assert_true(resumes(client, server, NULL)); /* by the key */
  offers_key = false;
  size_t n = label_of(newest, label);
  clock_shift(200);
  assert_true(resumes(client, server, newest));
  assert_int_equal(label_of(newest, later), n);
  assert_memory_equal(label, later, n);
  assert_true(SSL_SESSION_up_ref(newest));
  SSL_SESSION *session = newest;
  uint64_t now = (uint64_t)time(NULL);
  assert_true(resumes_of(client, server, session, now - 6 * DAY));
  assert_false(resumes_of(client, server, session, now - 7 * DAY));
  assert_false(resumes_of(client, server, session, now + DAY));
  clock_shift(0);
  SSL_SESSION_free(session);
  SSL_CTX_free(client);
  sp_context_release(server);
}

/* Of before the time was in it; longer ones; and one of Node's, whose week begins when it is first
 * shown here. */
static void labels_of_other_servers(void **state) {
  (void)state;
  EACH_VERSION(v) {
    SSL_CTX *client = client_of(*v);
    sp_context_t *server = server_of(SP_OPTIONS(WEEKLY, SHARED));
    SSL_SESSION *session = first(client, server);
    uint8_t label[LABEL] = {0};
    assert_int_equal(label_of(session, label), 25);
    assert_true(resumes_with(client, server, session, label, 25));
    assert_false(resumes_with(client, server, session, label, 17));
    assert_false(resumes_with(client, server, session, label, 26));
    assert_true(resumes_with(client, server, session, "", 0));
    if (*v == TLS1_3_VERSION)
      comes_back_until(client, server, 0);
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    sp_context_release(server);
  }
}

/* ---------------------------------------------------------------------------------------------- */

/* RFC 6066 3: a session that was made for another name is not resumed. */
static void W25_for_another_name(void **state) {
  (void)state;
  sp_store_t *store;
  assert_int_equal(sp_memory_store_new(&store, 1 << 20, NULL), 0);
  EACH_VERSION(v)
  for (int kept = 0; kept < 2; kept++) {
    SSL_CTX *client = client_of(*v);
    sp_context_t *server = server_of(SP_OPTIONS(.store = kept ? store : NULL));
    SSL_SESSION *session = first(client, server);
    assert_false(visit_as(client, server, session, "other.test").resumed);
    assert_false(visit_as(client, server, session, "localhost.test").resumed);
    assert_true(visit_as(client, server, session, "LOCALHOST").resumed);
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    sp_context_release(server);
  }
  sp_store_release(store);
}

/* Resumed or not, both sides have the protocol of this connection, and not that of the session's.
 */
static void W25_for_another_protocol(void **state) {
  (void)state;
  static const char *const protocols[] = {"two", "one", NULL, "two"};
  sp_store_t *store;
  assert_int_equal(sp_memory_store_new(&store, 1 << 20, NULL), 0);
  EACH_VERSION(v)
  for (int kept = 0; kept < 2; kept++) {
    SSL_CTX *client = client_of(*v);
    sp_context_t *server =
        server_of(SP_OPTIONS(.alpn = SP_LIST("one", "two"), .store = kept ? store : NULL));
    protocol = "one";
    SSL_SESSION *session = first(client, server);
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
      protocol = protocols[i];
      (void)resumes(client, server, session);
    }
    protocol = NULL;
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    sp_context_release(server);
  }
  sp_store_release(store);
}

/* FAULTS W26: a session of a client that showed none is no way around a server that asks. */
static void W26_made_without_a_certificate(void **state) {
  (void)state;
  static const uint8_t keys[48] = "name of the keys0123456789abcdefFEDCBA987654321";
#define KEYS .ticket_keys = keys, .ticket_keys_size = sizeof keys
  const char *root = pki_default()->root->cert_pem;
  EACH_VERSION(v) {
    SSL_CTX *client = client_of(*v);
    sp_context_t *server = server_of(SP_OPTIONS(KEYS));
    sp_context_t *asks = server_of(SP_OPTIONS(KEYS, .request_cert = SP_YES, .ca = SP_LIST(root)));
    SSL_SESSION *session = first(client, server), *own = first(client, asks);
    visit_t visit = visit_as(client, asks, session, "localhost");
    assert_false(visit.resumed);
    assert_false(visit.authorized);
    assert_false(visit_as(client, asks, own, "localhost").authorized); /* resumed or not */
    SSL_SESSION_free(session);
    SSL_SESSION_free(own);
    SSL_CTX_free(client);
    sp_context_release(server);
    sp_context_release(asks);
  }
}

static int forget(void **state) {
  (void)state;
  SSL_SESSION_free(newest);
  newest = NULL;
  asked_at = 0;
  clock_shift(0);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(W25_a_ticket_that_was_changed, forget),
      cmocka_unit_test_teardown(W25_a_name_that_was_changed, forget),
      cmocka_unit_test_teardown(W25_of_another_key_or_too_late, forget),
      cmocka_unit_test_teardown(resumptions_end_after_a_week, forget),
      cmocka_unit_test_teardown(the_week_begins_with_the_handshake, forget),
      cmocka_unit_test_teardown(a_week_after_a_key, forget),
      cmocka_unit_test_teardown(made_in_the_future, forget),
      cmocka_unit_test_teardown(labels_of_other_servers, forget),
      cmocka_unit_test_teardown(W25_for_another_name, forget),
      cmocka_unit_test_teardown(W25_for_another_protocol, forget),
      cmocka_unit_test_teardown(W26_made_without_a_certificate, forget),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
