/*
 * Sessions as bytes: resumed under the same name and policy and by nobody else, a full handshake
 * for whatever else comes (W25), the verdict recomputed (W26), and a server's hooks for the ids of
 * TLS 1.2.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "support/clock.h"
#include "support/contexts.h"
#include "support/couple.h"
#include "support/fixture.h"

static const manner_t whole = {.read = 0};

/* -- what is kept ------------------------------------------------------------------------------ */

typedef struct bytes {
  uint8_t *at;
  size_t n;
} bytes_t;

static void keep(bytes_t *to, const void *at, size_t n) {
  free(to->at);
  to->at = malloc(n ? n : 1);
  assert_non_null(to->at);
  if (n)
    memcpy(to->at, at, n);
  to->n = n;
}

/* The client's newest session, and the server's store with one place. */
static struct {
  bytes_t client, id, server;
  size_t told, stored, asked;
  int answer;         /* of session_get */
  bool keeps_nothing; /* the store's answer is none */
  bool was_secure, was_entered;
  sp_pair_t *release;
} now;

static void forget(void) {
  free(now.client.at);
  free(now.id.at);
  free(now.server.at);
  memset(&now, 0, sizeof now);
}

static void on_session(sp_pair_t *pair, const void *bytes, size_t n, void *data) {
  (void)data;
  size_t took;
  now.told++;
  now.was_secure = sp_pair_state(pair) & SP_PAIR_SECURE && sp_pair_is_authorized(pair);
  now.was_entered = sp_pair_cleartext_in(pair, "a", 1, &took) != SP_EREENTRY;
  keep(&now.client, bytes, n);
  if (now.release)
    sp_pair_release(pair);
}

static int on_session_get(sp_pair_t *pair, const void *id, size_t n, void *data) {
  (void)data;
  now.asked++;
  if (now.answer)
    return now.answer;
  if (!now.keeps_nothing && n == now.id.n && !memcmp(id, now.id.at, n))
    return sp_pair_use_session(pair, now.server.at, now.server.n);
  return 0;
}

static void on_session_new(sp_pair_t *pair, const void *id, size_t id_size, const void *bytes,
                           size_t n, void *data) {
  (void)pair, (void)data;
  now.stored++;
  keep(&now.id, id, id_size);
  keep(&now.server, bytes, n);
}

/* -- contexts of each kind --------------------------------------------------------------------- */

typedef enum kind { IDS_1_2, TICKETS_1_2, TICKETS_1_3, KINDS } kind_t;

#define EACH_KIND(kind) for (kind_t kind = IDS_1_2; kind < KINDS; kind++)

static sp_protocol_t version_of(kind_t kind) { return kind == TICKETS_1_3 ? SP_TLS1_3 : SP_TLS1_2; }

/* A certificate for two names. */
static const pki_t *two_names(void) {
  static const pki_t *made;
  if (!made)
    made = PKI_MAKE(pki_default()->root, .dns = PKI_LIST("localhost", "other.test"));
  return made;
}

static sp_context_t *server_of(kind_t kind, const sp_options_t *more) {
  sp_options_t options = *more;
  options.min_version = options.max_version = version_of(kind);
  if (!options.cert) {
    options.key = two_names()->key_pem;
    options.cert = two_names()->cert_pem;
  }
  options.tickets = kind == IDS_1_2 ? SP_NO : SP_DEFAULT;
  options.hooks.session_get = on_session_get;
  options.hooks.session_new = on_session_new;
  return context_made(&options);
}

static sp_context_t *client_of(const sp_options_t *more) {
  const char *const root[] = {pki_default()->root->cert_pem, NULL};
  sp_options_t options = *more;
  if (!options.ca)
    options.ca = root;
  options.hooks.session = on_session;
  return context_made(&options);
}

/* -- a connection ------------------------------------------------------------------------------ */

typedef struct met {
  bool resumed, authorized, server_authorized;
  int client_status, server_status;
  const char *why; /* the client's authorization error */
  size_t session;  /* bytes of the client's */
} met_t;

static met_t look(const couple_t *couple) {
  const sp_pair_t *client = couple->client.pair, *server = couple->server.pair;
  met_t met = {.resumed = sp_pair_is_resumed(client),
               .authorized = sp_pair_is_authorized(client),
               .server_authorized = sp_pair_is_authorized(server),
               .client_status = sp_pair_error(client)->status,
               .server_status = sp_pair_error(server)->status,
               .why = sp_pair_authorization_error(client),
               .session = sp_pair_session(client, NULL, 0)};
  if (!met.client_status && !met.server_status)
    assert_int_equal(met.resumed, sp_pair_is_resumed(server));
  return met;
}

/* From its first byte to its end, with a session that may be NULL. */
static met_t connect_as(sp_context_t *client, sp_context_t *server, const sp_options_t *more,
                        const bytes_t *session) {
  couple_t couple;
  sp_options_t options = *more;
  options.context = client;
  options.session = session ? session->at : NULL;
  options.session_size = session ? session->n : 0;
  couple_make_with(&couple, &options, SP_OPTIONS(.context = server));
  couple_run(&couple, &whole);
  met_t met = look(&couple);
  couple_free(&couple);
  return met;
}

static met_t connect_with(sp_context_t *client, sp_context_t *server, const bytes_t *session) {
  return connect_as(client, server, SP_OPTIONS(.host = NULL), session);
}

static void assert_secure(met_t met, bool resumed) {
  assert_int_equal(met.client_status, 0);
  assert_int_equal(met.server_status, 0);
  assert_int_equal(met.resumed, resumed);
}

static bytes_t kept(void) {
  bytes_t copy = {NULL, 0};
  keep(&copy, now.client.at, now.client.n);
  return copy;
}

/* All that is kept, to be put back before another connection replaced it. */
typedef struct snapshot {
  bytes_t client, id, server;
} snapshot_t;

static void put_back(const snapshot_t *snapshot) {
  keep(&now.client, snapshot->client.at, snapshot->client.n);
  keep(&now.id, snapshot->id.at, snapshot->id.n);
  keep(&now.server, snapshot->server.at, snapshot->server.n);
}

static snapshot_t snap(void) {
  snapshot_t snapshot = {.client = kept()};
  keep(&snapshot.id, now.id.at, now.id.n);
  keep(&snapshot.server, now.server.at, now.server.n);
  return snapshot;
}

static void drop(snapshot_t *snapshot) {
  free(snapshot->client.at);
  free(snapshot->id.at);
  free(snapshot->server.at);
}

/* -- resumed ----------------------------------------------------------------------------------- */

#define ROUNDS 50

static void fifty_connections(void **state) {
  (void)state;
  EACH_KIND(kind) {
    sp_context_t *client = client_of(SP_OPTIONS(.host = NULL));
    sp_context_t *server = server_of(kind, SP_OPTIONS(.host = NULL));
    assert_secure(connect_with(client, server, NULL), false);
    for (int i = 1; i < ROUNDS; i++) {
      bytes_t session = kept();
      met_t met = connect_with(client, server, &session);
      free(session.at);
      assert_secure(met, true);
      assert_true(met.authorized);
      assert_true(now.was_secure);
      assert_false(now.was_entered);
      assert_true(met.session > 100);
    }
    /* TLS 1.3 gives a new one each time, for one use each */
    assert_int_equal(now.told, kind == TICKETS_1_3 ? ROUNDS : 1);
    assert_int_equal(now.stored, kind == IDS_1_2 ? 1 : 0);
    /* a client that also speaks TLS 1.3 sends a made-up id the first time (RFC 8446 4.1.2) */
    size_t asked = kind == IDS_1_2 ? ROUNDS : kind == TICKETS_1_2;
    assert_int_equal(now.asked, asked);
    sp_context_release(client);
    sp_context_release(server);
    forget();
  }
}

/* The call gives the same as the hook, and nothing before there is something. */
static void asked_for(void **state) {
  (void)state;
  EACH_KIND(kind) {
    couple_t couple;
    uint8_t room[16384];
    sp_context_t *client = client_of(SP_OPTIONS(.host = NULL));
    sp_context_t *server = server_of(kind, SP_OPTIONS(.host = NULL));
    couple_make_with(&couple, SP_OPTIONS(.context = client), SP_OPTIONS(.context = server));
    assert_int_equal(sp_pair_session(couple.client.pair, room, sizeof room), 0);
    couple_run(&couple, &whole);
    size_t n = sp_pair_session(couple.client.pair, NULL, 0);
    assert_int_equal(n, now.client.n);
    memset(room, 1, sizeof room);
    assert_int_equal(sp_pair_session(couple.client.pair, room, n - 1), n);
    assert_int_equal(room[0], 1); /* it does not fit */
    assert_int_equal(sp_pair_session(couple.client.pair, room, n), n);
    assert_int_equal(room[n], 1);
    assert_memory_equal(room, now.client.at, n);
    couple_free(&couple);
    sp_context_release(client);
    sp_context_release(server);
    forget();
  }
}

/* A policy is what it says, not the context that says it. */
static void by_another_context_of_the_same_policy(void **state) {
  (void)state;
  EACH_KIND(kind) {
    sp_context_t *server = server_of(kind, SP_OPTIONS(.host = NULL));
    for (int i = 0; i < 2; i++) {
      sp_context_t *client =
          client_of(SP_OPTIONS(.alpn = SP_LIST("a"), .session_id_context = i ? "y" : "x",
                               .session_id_context_size = 1));
      assert_secure(connect_with(client, server, i ? &now.client : NULL), i);
      sp_context_release(client);
    }
    sp_context_release(server);
    forget();
  }
}

static void released_in_the_hook(void **state) {
  (void)state;
  EACH_KIND(kind) {
    couple_t couple;
    sp_context_t *client = client_of(SP_OPTIONS(.host = NULL));
    sp_context_t *server = server_of(kind, SP_OPTIONS(.host = NULL));
    couple_make_with(&couple, SP_OPTIONS(.context = client), SP_OPTIONS(.context = server));
    now.release = couple.client.pair;
    while (!now.told) {
      size_t n = wire_left(&couple.client.in);
      if (n) {
        couple.client.in.taken += n;
        size_t got;
        uint8_t room[100];
        int status = sp_pair_encrypted_in(couple.client.pair,
                                          couple.client.in.bytes + couple.client.in.taken - n, n);
        while (!status && !now.told && sp_pair_state(couple.client.pair) & SP_PAIR_HAS_CLEARTEXT)
          status = sp_pair_cleartext_out(couple.client.pair, room, sizeof room, &got);
        if (!now.told)
          (void)sp_pair_encrypted_release(couple.client.pair);
      }
      if (!now.told)
        side_collect(&couple.client, &whole, &couple.server.in);
      side_step(&couple.server, &whole, &couple.client.in);
    }
    couple.client.pair = NULL;
    couple_free(&couple);
    sp_context_release(client);
    sp_context_release(server);
    forget();
  }
}

/* -- not resumed ------------------------------------------------------------------------------- */

static void under_another_name(void **state) {
  (void)state;
  EACH_KIND(kind) {
    sp_context_t *client = client_of(SP_OPTIONS(.host = NULL));
    sp_context_t *server = server_of(kind, SP_OPTIONS(.host = NULL));
    assert_secure(connect_with(client, server, NULL), false);
    snapshot_t first = snap();
    const sp_options_t *others[] = {SP_OPTIONS(.server_name = "other.test"),
                                    SP_OPTIONS(.check_name = SP_NO)};
    for (size_t i = 0; i < 2; i++) {
      put_back(&first);
      assert_secure(connect_as(client, server, others[i], &first.client), false);
    }
    put_back(&first);
    assert_secure(connect_with(client, server, &first.client), true);
    drop(&first);
    sp_context_release(client);
    sp_context_release(server);
    forget();
  }
}

static void under_another_policy(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  char *crl = pki_crl(s->root, NULL, 0, 0);
  const sp_options_t *others[] = {
      SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem, s->stranger_root->cert_pem)),
      SP_OPTIONS(.alpn = SP_LIST("a")),
      SP_OPTIONS(.reject_unauthorized = SP_NO),
      SP_OPTIONS(.insecure_common_name = SP_YES),
      SP_OPTIONS(.crl = SP_LIST(crl)),
      SP_OPTIONS(.key = s->client->key_pem, .cert = s->client->cert_pem),
      SP_OPTIONS(.ciphers = "ECDHE+AESGCM"),
      SP_OPTIONS(.suites = "TLS_AES_256_GCM_SHA384"),
  };
  EACH_KIND(kind) {
    sp_context_t *usual = client_of(SP_OPTIONS(.host = NULL));
    sp_context_t *server = server_of(kind, SP_OPTIONS(.host = NULL));
    assert_secure(connect_with(usual, server, NULL), false);
    snapshot_t first = snap();
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
      sp_context_t *client = client_of(others[i]);
      put_back(&first);
      assert_secure(connect_with(client, server, &first.client), false);
      sp_context_release(client);
    }
    put_back(&first);
    assert_secure(connect_with(usual, server, &first.client), true);
    drop(&first);
    sp_context_release(usual);
    sp_context_release(server);
    forget();
  }
}

typedef struct ends {
  sp_context_t *client, *server;
} ends_t;

/* Given to a client as its session. */
static void offer(ends_t ends, const void *at, size_t n) {
  bytes_t offered = {NULL, 0};
  snapshot_t first = snap();
  keep(&offered, at, n);
  assert_secure(connect_with(ends.client, ends.server, &offered), false);
  put_back(&first);
  drop(&first);
  free(offered.at);
}

/* Found by a server in its store. */
static void store(ends_t ends, const void *at, size_t n) {
  snapshot_t first = snap();
  keep(&now.server, at, n);
  assert_secure(connect_with(ends.client, ends.server, &first.client), false);
  put_back(&first);
  drop(&first);
}

static void change(ends_t ends, const bytes_t *good, void (*give)(ends_t, const void *, size_t)) {
  bytes_t bytes = {NULL, 0};
  uint8_t *longer = calloc(1, 65536);
  assert_non_null(longer);
  keep(&bytes, good->at, good->n);
  for (size_t i = 0; i < bytes.n; i += i < 64 ? 1 : 13) {
    bytes.at[i] ^= (uint8_t)(1 << i % 8);
    give(ends, bytes.at, bytes.n);
    bytes.at[i] ^= (uint8_t)(1 << i % 8);
  }
  for (size_t n = 0; n < bytes.n; n += n < 64 ? 1 : 37)
    give(ends, bytes.at, n);
  give(ends, longer, 65536);
  memcpy(longer, bytes.at, bytes.n);
  give(ends, longer, bytes.n + 1);
  give(ends, longer, 65536);
  free(longer);
  free(bytes.at);
}

static void changed_bytes(void **state) {
  (void)state;
  EACH_KIND(kind) {
    ends_t ends = {client_of(SP_OPTIONS(.host = NULL)), server_of(kind, SP_OPTIONS(.host = NULL))};
    assert_secure(connect_with(ends.client, ends.server, NULL), false);
    snapshot_t first = snap();
    change(ends, &first.client, offer);
    if (kind == IDS_1_2)
      change(ends, &first.server, store);
    put_back(&first);
    assert_secure(connect_with(ends.client, ends.server, &first.client), true);
    drop(&first);
    sp_context_release(ends.client);
    sp_context_release(ends.server);
    forget();
  }
}

/* What Node's own tls hands out: OpenSSL's form, bound to nothing. */
static void bytes_of_openssl(void **state) {
  (void)state;
  EACH_KIND(kind) {
    couple_t couple;
    sp_context_t *client = client_of(SP_OPTIONS(.host = NULL));
    sp_context_t *server = server_of(kind, SP_OPTIONS(.host = NULL));
    couple_make_with(&couple, SP_OPTIONS(.context = client), SP_OPTIONS(.context = server));
    couple_run(&couple, &whole);
    unsigned char *der = NULL;
    int n = i2d_SSL_SESSION(SSL_get0_session(sp_pair_ssl(couple.client.pair)), &der);
    couple_free(&couple);
    assert_true(n > 0);
    offer((ends_t){client, server}, der, (size_t)n);
    if (kind == IDS_1_2)
      store((ends_t){client, server}, der, (size_t)n);
    OPENSSL_free(der);
    sp_context_release(client);
    sp_context_release(server);
    forget();
  }
}

/* A client's session is none of a server's, and the other way round. */
static void in_the_other_role(void **state) {
  (void)state;
  sp_context_t *client = client_of(SP_OPTIONS(.host = NULL));
  sp_context_t *server = server_of(IDS_1_2, SP_OPTIONS(.host = NULL));
  assert_secure(connect_with(client, server, NULL), false);
  bytes_t mine = kept();
  offer((ends_t){client, server}, now.server.at, now.server.n);
  store((ends_t){client, server}, mine.at, mine.n);
  free(mine.at);
  sp_context_release(client);
  sp_context_release(server);
  forget();
}

static void too_old(void **state) {
  (void)state;
  EACH_KIND(kind) {
    sp_context_t *client = client_of(SP_OPTIONS(.host = NULL));
    sp_context_t *server = server_of(kind, SP_OPTIONS(.host = NULL));
    assert_secure(connect_with(client, server, NULL), false);
    snapshot_t first = snap();
    static const long shifts[] = {7150, 7300, -100};
    for (size_t i = 0; i < 3; i++) {
      clock_shift(shifts[i]);
      put_back(&first);
      assert_secure(connect_with(client, server, &first.client), i == 0);
    }
    clock_shift(0);
    drop(&first);
    sp_context_release(client);
    sp_context_release(server);
    forget();
  }
}

/* -- the verdict ------------------------------------------------------------------------------- */

/* Within the session's time the server's certificate runs out: a new one would be seen only in a
 * full handshake, so there is one. */
static void the_servers_certificate_runs_out(void **state) {
  (void)state;
  const pki_t *brief =
      PKI_MAKE(pki_default()->root, .dns = PKI_LIST("localhost"), .from = -60, .to = 3600);
  EACH_KIND(kind)
  for (int strict = 0; strict < 2; strict++) {
    sp_context_t *client =
        client_of(SP_OPTIONS(.reject_unauthorized = strict ? SP_DEFAULT : SP_NO));
    sp_context_t *server =
        server_of(kind, SP_OPTIONS(.key = brief->key_pem, .cert = brief->cert_pem));
    assert_secure(connect_with(client, server, NULL), false);
    bytes_t session = kept();
    clock_shift(3700);
    met_t met = connect_with(client, server, &session);
    clock_shift(0);
    free(session.at);
    assert_false(met.resumed);
    assert_false(met.authorized);
    assert_string_equal(met.why, "CERT_HAS_EXPIRED");
    assert_int_equal(met.client_status, strict ? SP_EUNAUTHORIZED : 0);
    sp_context_release(client);
    sp_context_release(server);
    forget();
  }
}

/* The client brings a session that was made when its certificate was good. */
static void the_clients_certificate_runs_out(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const pki_t *brief =
      PKI_MAKE(s->root, .cn = "brief", .eku = "clientAuth", .from = -60, .to = 3600);
  EACH_KIND(kind)
  for (int strict = 0; strict < 2; strict++) {
    sp_context_t *client = client_of(SP_OPTIONS(.key = brief->key_pem, .cert = brief->cert_pem));
    sp_context_t *server =
        server_of(kind, SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem), .request_cert = SP_YES,
                                   .reject_unauthorized = strict ? SP_YES : SP_NO));
    met_t met = connect_with(client, server, NULL);
    assert_secure(met, false);
    assert_true(met.server_authorized);
    met = connect_with(client, server, &now.client);
    assert_secure(met, true);
    assert_true(met.server_authorized);
    clock_shift(3700);
    met = connect_with(client, server, &now.client);
    clock_shift(0);
    assert_false(met.server_authorized);
    assert_int_equal(met.server_status, strict ? SP_EUNAUTHORIZED : 0);
    sp_context_release(client);
    sp_context_release(server);
    forget();
  }
}

/* What was refused at first stays refused. */
static void a_stranger_stays_one(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  EACH_KIND(kind) {
    sp_context_t *client = client_of(SP_OPTIONS(.reject_unauthorized = SP_NO));
    sp_context_t *server =
        server_of(kind, SP_OPTIONS(.key = s->stranger->key_pem, .cert = s->stranger->cert_pem));
    for (int i = 0; i < 3; i++) {
      bytes_t session = kept();
      met_t met = connect_with(client, server, &session);
      free(session.at);
      assert_secure(met, i > 0);
      assert_false(met.authorized);
      assert_string_equal(met.why, "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    }
    sp_context_release(client);
    sp_context_release(server);
    forget();
  }
}

/* W26: a client that showed nothing at first has shown nothing when it comes back. */
static void a_client_without_certificate_stays_without(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  EACH_KIND(kind) {
    sp_context_t *client = client_of(SP_OPTIONS(.host = NULL));
    sp_context_t *server =
        server_of(kind, SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem), .request_cert = SP_YES));
    for (int i = 0; i < 3; i++) {
      bytes_t session = kept();
      met_t met = connect_with(client, server, &session);
      free(session.at);
      assert_secure(met, i > 0);
      assert_false(met.server_authorized);
    }
    sp_context_release(client);
    sp_context_release(server);
    forget();
  }
}

/* -- ends -------------------------------------------------------------------------------------- */

/* C10: a connection that was cut off leaves its session; one that failed does not. */
static void cut_off_or_failed(void **state) {
  (void)state;
  EACH_KIND(kind)
  for (int failed = 0; failed < 2; failed++) {
    couple_t couple;
    static const uint8_t junk[] = {23, 3, 3, 0, 1, 0};
    sp_context_t *client = client_of(SP_OPTIONS(.host = NULL));
    sp_context_t *server = server_of(kind, SP_OPTIONS(.host = NULL));
    couple_make_with(&couple, SP_OPTIONS(.context = client), SP_OPTIONS(.context = server));
    couple_run(&couple, &whole);
    sp_pair_t *pair = couple.client.pair;
    if (failed)
      assert_true(side_offer(&couple.client, junk, sizeof junk) < 0);
    else
      assert_int_equal(sp_pair_encrypted_end(pair), 0);
    assert_true(sp_pair_state(pair) & (failed ? SP_PAIR_FAILED : SP_PAIR_TRUNCATED));
    assert_int_equal(sp_pair_session(pair, NULL, 0), failed ? 0 : now.client.n);
    couple_free(&couple);
    assert_secure(connect_with(client, server, &now.client), true);
    sp_context_release(client);
    sp_context_release(server);
    forget();
  }
}

/* -- a server's hooks -------------------------------------------------------------------------- */

static void a_server_that_kept_nothing(void **state) {
  (void)state;
  sp_context_t *client = client_of(SP_OPTIONS(.host = NULL));
  sp_context_t *server = server_of(IDS_1_2, SP_OPTIONS(.host = NULL));
  assert_secure(connect_with(client, server, NULL), false);
  now.keeps_nothing = true;
  assert_secure(connect_with(client, server, &now.client), false);
  assert_int_equal(now.asked, 2);
  assert_int_equal(now.stored, 2);
  sp_context_release(client);
  sp_context_release(server);
  forget();
}

/* It answers with the session of somebody else: that is none. */
static void a_server_that_mixes_them_up(void **state) {
  (void)state;
  sp_context_t *client = client_of(SP_OPTIONS(.host = NULL));
  sp_context_t *server = server_of(IDS_1_2, SP_OPTIONS(.host = NULL));
  assert_secure(connect_with(client, server, NULL), false);
  bytes_t session = kept(), id = {NULL, 0};
  keep(&id, now.id.at, now.id.n);
  assert_secure(connect_with(client, server, NULL), false);
  keep(&now.id, id.at, id.n);
  assert_secure(connect_with(client, server, &session), false);
  free(session.at), free(id.at);
  sp_context_release(client);
  sp_context_release(server);
  forget();
}

/* Answered later, or refused, or released while it waits. */
static void a_server_that_looks_it_up(void **state) {
  (void)state;
  enum { ANSWERS, MISSES, REFUSES, RELEASED, WAYS };
  for (int way = ANSWERS; way < WAYS; way++) {
    couple_t couple;
    sp_context_t *client = client_of(SP_OPTIONS(.host = NULL));
    sp_context_t *server = server_of(IDS_1_2, SP_OPTIONS(.host = NULL));
    assert_secure(connect_with(client, server, NULL), false);
    bytes_t session = kept();
    now.answer = SP_PENDING;
    couple_make_with(
        &couple, SP_OPTIONS(.context = client, .session = session.at, .session_size = session.n),
        SP_OPTIONS(.context = server));
    couple_run(&couple, &whole);
    sp_pair_t *pair = couple.server.pair;
    assert_true(sp_pair_state(pair) & SP_PAIR_WAITING);
    if (way == ANSWERS) {
      assert_int_equal(sp_pair_use_session(pair, NULL, 0), 0);
      assert_int_equal(sp_pair_use_session(pair, now.server.at, now.server.n), 0);
    }
    if (way != RELEASED) {
      assert_int_equal(sp_pair_resume(pair, way == REFUSES ? SP_EREFUSED : 0),
                       way == REFUSES ? SP_EREFUSED : 0);
      couple_run(&couple, &whole);
      assert_int_equal(sp_pair_use_session(pair, now.server.at, now.server.n), SP_EOPTION);
      assert_int_equal(sp_pair_is_resumed(pair), way == ANSWERS);
      assert_int_equal(sp_pair_error(pair)->status, way == REFUSES ? SP_EREFUSED : 0);
    }
    couple_free(&couple);
    free(session.at);
    sp_context_release(client);
    sp_context_release(server);
    forget();
  }
}

/* In TLS 1.3 a session id means nothing, and beside a ticket neither. */
static void not_asked_without_need(void **state) {
  (void)state;
  sp_context_t *client = client_of(SP_OPTIONS(.host = NULL));
  for (kind_t kind = TICKETS_1_2; kind < KINDS; kind++) {
    sp_context_t *server = server_of(kind, SP_OPTIONS(.host = NULL));
    assert_secure(connect_with(client, server, NULL), false);
    assert_int_equal(now.asked, kind == TICKETS_1_2); /* a made-up id, no ticket */
    assert_secure(connect_with(client, server, &now.client), true);
    assert_int_equal(now.asked, kind == TICKETS_1_2);
    assert_int_equal(now.stored, 0);
    sp_context_release(server);
    forget();
  }
  sp_context_release(client);
}

/* -- hooks of one connection ------------------------------------------------------------------- */

static void beside_a_ready_context(void **state) {
  (void)state;
  couple_t couple;
  sp_pair_t *pair = NULL;
  sp_error_t why;
  couple_make_with(
      &couple, SP_OPTIONS(.context = couple_client_context(SP_TLS1_3), .hooks.session = on_session),
      SP_OPTIONS(.context = couple_server_context(SP_TLS1_3)));
  couple_run(&couple, &whole);
  assert_int_equal(now.told, 1);
  assert_int_equal(
      sp_pair_set_hooks(couple.server.pair, &(sp_hooks_t){.session_new = on_session_new}, NULL),
      SP_EOPTION);
  couple_free(&couple);
  assert_int_equal(sp_pair_make(&pair, SP_SERVER, &why,
                                SP_OPTIONS(.context = couple_server_context(SP_TLS1_3),
                                           .hooks.session_new = on_session_new)),
                   SP_EOPTION);
  assert_null(pair);
  assert_non_null(strstr(why.text, "session_new"));
  forget();
}

/* -- under a stream ---------------------------------------------------------------------------- */

static void end_after_data(actor_t *actor, fixture_event_t event, int status) {
  if (actor->is_server && event == ON_SECURE && !status)
    sp_stream_send(actor->stream, "hello", 5);
  if (!actor->is_server && event == ON_DATA) {
    *(bool *)actor->data = sp_pair_is_resumed(sp_stream_pair(actor->stream));
    sp_stream_end(actor->stream);
  }
}

static void streams_resume(void **state) {
  (void)state;
  EACH_KIND(kind) {
    sp_context_t *client = client_of(SP_OPTIONS(.host = NULL));
    sp_context_t *server = server_of(kind, SP_OPTIONS(.host = NULL));
    fixture_t *f = fixture_new();
    f->react = end_after_data;
    fixture_serve(f, SP_OPTIONS(.context = server));
    bool resumed[2] = {true, false};
    actor_t *actor = NULL;
    for (int i = 0; i < 2; i++) {
      bytes_t session = kept();
      actor = fixture_connect(f, SP_OPTIONS(.host = "127.0.0.1", .port = f->port, .context = client,
                                            .server_name = "localhost", .session = session.at,
                                            .session_size = session.n));
      free(session.at); /* nothing is kept of it */
      actor->react = end_after_data;
      actor->data = &resumed[i];
      while (actor->stream)
        uv_run(&f->loop, UV_RUN_ONCE);
      assert_string_equal(actor->log, "secure data close");
    }
    fixture_run(f);
    assert_false(resumed[0]);
    assert_true(resumed[1]);
    fixture_free(f);
    sp_context_release(client);
    sp_context_release(server);
    forget();
  }
}

/* A session is for one client: who has another certificate to show is somebody else, whichever of
 * several the server got to see. */
static void several_certificates(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const char *root[] = {s->root->cert_pem, NULL};
  const pki_t *ec = PKI_MAKE(s->root, .cn = "ec", .eku = "clientAuth");
  const pki_t *rsa[] = {PKI_MAKE(s->root, .cn = "rsa", .key = "rsa", .eku = "clientAuth"),
                        PKI_MAKE(s->root, .cn = "rsa", .key = "rsa#2", .eku = "clientAuth")};
  sp_context_t *clients[4];
  for (int i = 0; i < 4; i++) { /* either one of RSA, before the other one or after it */
    const sp_identity_t one = {.key = rsa[i / 2]->key_pem, .cert = rsa[i / 2]->cert_pem};
    const sp_identity_t other = {.key = ec->key_pem, .cert = ec->cert_pem};
    const sp_identity_t both[] = {i % 2 ? one : other, i % 2 ? other : one};
    clients[i] = client_of(SP_OPTIONS(.identities = both, .identity_count = 2));
  }
  EACH_KIND(kind)
  for (int i = 0; i < 2; i++) {
    forget();
    sp_context_t *server = server_of(kind, SP_OPTIONS(.ca = root, .request_cert = SP_YES));
    assert_secure(connect_with(clients[i], server, NULL), false);
    snapshot_t first = snap();
    assert_secure(connect_with(clients[2 + i], server, &first.client), false);
    put_back(&first);
    met_t met = connect_with(clients[i], server, &first.client);
    assert_secure(met, true);
    assert_true(met.server_authorized);
    drop(&first);
    sp_context_release(server);
  }
  for (int i = 0; i < 4; i++)
    sp_context_release(clients[i]);
  forget();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fifty_connections),
      cmocka_unit_test(asked_for),
      cmocka_unit_test(by_another_context_of_the_same_policy),
      cmocka_unit_test(released_in_the_hook),
      cmocka_unit_test(under_another_name),
      cmocka_unit_test(under_another_policy),
      cmocka_unit_test(changed_bytes),
      cmocka_unit_test(bytes_of_openssl),
      cmocka_unit_test(in_the_other_role),
      cmocka_unit_test(too_old),
      cmocka_unit_test(the_servers_certificate_runs_out),
      cmocka_unit_test(the_clients_certificate_runs_out),
      cmocka_unit_test(a_stranger_stays_one),
      cmocka_unit_test(a_client_without_certificate_stays_without),
      cmocka_unit_test(cut_off_or_failed),
      cmocka_unit_test(a_server_that_kept_nothing),
      cmocka_unit_test(a_server_that_mixes_them_up),
      cmocka_unit_test(a_server_that_looks_it_up),
      cmocka_unit_test(not_asked_without_need),
      cmocka_unit_test(beside_a_ready_context),
      cmocka_unit_test(streams_resume),
      cmocka_unit_test(several_certificates),
  };
  return cmocka_run_group_tests_name("pair-session", tests, NULL, NULL);
}
