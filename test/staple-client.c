/* A client that asks for an OCSP response: what it is told of it, what it refuses when it requires
 * a good one (FAULTS K09), what hostile ones do, sessions that come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "certificate/ocsp.h"
#include "stream/stream.h"
#include "support/clock.h"
#include "support/contexts.h"
#include "support/couple.h"
#include "support/fixture.h"
#include "support/staple.h"

#define EACH(version) for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3; version++)
#define REFUSING_ALERT 113 /* bad_certificate_status_response */

static const manner_t whole = {.read = 0};

/* What the servers here send; no bytes: none. */
static staple_t sent;

static int on_staple(sp_pair_t *pair, void *data) {
  (void)data;
  return sent.n ? sp_pair_use_staple(pair, sent.der, sent.n) : 0;
}

static sp_context_t *serve(const pki_t *pki) {
  return context_made(
      SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem, .hooks.staple = on_staple));
}

/* Whoever is asked for what, and refuses or not. */
typedef struct manners {
  sp_protocol_t version;
  sp_choice_t request, require, must, reject;
  const void *session;
  size_t session_size;
} manners_t;

static void call(couple_t *couple, sp_context_t *server, const manners_t *m) {
  couple_make_with(couple,
                   SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem),
                              .server_name = "localhost", .max_version = m->version,
                              .request_staple = m->request, .require_staple = m->require,
                              .must_staple = m->must, .reject_unauthorized = m->reject,
                              .session = m->session, .session_size = m->session_size),
                   SP_OPTIONS(.context = server));
  couple_run(couple, &whole);
}
#define CALL_SERVER(couple, server, ...) call(couple, server, &(const manners_t){__VA_ARGS__})

static bool is_secure(const side_t *side) { return sp_pair_state(side->pair) & SP_PAIR_SECURE; }

/* -- K09 --------------------------------------------------------------------------------------- */

typedef struct row {
  const char *name;
  staple_t staple;
  sp_staple_status_t status;
  const char *verify; /* as sp_pair_authorization_error when required */
  const char *words;  /* in the sentence */
} row_t;

static void check_report(const row_t *row, sp_context_t *server, sp_protocol_t version) {
  couple_t couple;
  sp_error_t why;
  CALL_SERVER(&couple, server, .version = version, .request = SP_YES);
  assert_true(is_secure(&couple.client) && is_secure(&couple.server));
  sp_pair_t *client = couple.client.pair;
  assert_true(sp_pair_is_authorized(client));
  assert_null(sp_pair_verdict(client));
  if (sp_pair_staple_status(client, &why) != row->status)
    fail_msg("%s: %s", row->name, why.text);
  assert_int_equal(sp_pair_staple_status(client, NULL), row->status);
  if (row->status == SP_STAPLE_GOOD)
    assert_int_equal(why.status, 0);
  else if (why.status != SP_EUNAUTHORIZED || !strstr(why.text, row->words))
    fail_msg("%s: %s", row->name, why.text);
  assert_int_equal(sp_pair_staple_status(couple.server.pair, &why), SP_STAPLE_NONE);
  assert_int_equal(ERR_peek_error(), 0);
  couple_free(&couple);
}

static void check_required(const row_t *row, sp_context_t *server, sp_protocol_t version) {
  couple_t couple;
  CALL_SERVER(&couple, server, .version = version, .require = SP_YES);
  sp_pair_t *client = couple.client.pair;
  if (row->status == SP_STAPLE_GOOD) {
    assert_true(is_secure(&couple.client) && is_secure(&couple.server));
    assert_true(sp_pair_is_authorized(client));
    couple_free(&couple);
    return;
  }
  const sp_error_t *error = sp_pair_error(client), *theirs = sp_pair_error(couple.server.pair);
  assert_false(is_secure(&couple.client) || is_secure(&couple.server));
  if (error->status != SP_EUNAUTHORIZED || !strstr(error->text, row->words))
    fail_msg("%s: %s", row->name, error->text);
  assert_int_equal(error->who, SP_PEER);
  assert_int_equal(error->alert, REFUSING_ALERT);
  assert_string_equal(sp_pair_authorization_error(client), row->verify);
  assert_string_equal(sp_verify_name(error->verify), row->verify);
  assert_false(sp_pair_is_authorized(client));
  assert_int_equal(sp_pair_staple_status(client, NULL), row->status);
  assert_int_equal(theirs->status, SP_EALERT);
  assert_int_equal(theirs->alert, REFUSING_ALERT);
  assert_non_null(strstr(theirs->text, "OCSP response"));
  sp_certificate_t *peer;
  assert_int_equal(sp_pair_peer_certificate(client, &peer), 0);
  sp_certificate_release(peer);
  couple_free(&couple);
}

/* Required, but whoever is not authorized is only reported: no session that says otherwise. */
static void check_lenient(const row_t *row, sp_context_t *server, sp_protocol_t version) {
  couple_t couple;
  bool good = row->status == SP_STAPLE_GOOD;
  CALL_SERVER(&couple, server, .version = version, .require = SP_YES, .reject = SP_NO);
  sp_pair_t *client = couple.client.pair;
  assert_true(is_secure(&couple.client) && is_secure(&couple.server));
  assert_int_equal(sp_pair_is_authorized(client), good);
  if (!good)
    assert_string_equal(sp_pair_authorization_error(client), row->verify);
  assert_int_equal(sp_pair_session(client, NULL, 0) > 0, good);
  couple_free(&couple);
}

static void check_row(const row_t *row) {
  sp_context_t *server = serve(pki_default()->server);
  print_message("%s\n", row->name);
  sent = row->staple;
  EACH(version) {
    check_report(row, server, version);
    check_required(row, server, version);
    check_lenient(row, server, version);
  }
  sp_context_release(server);
}
#define ROW(...) check_row(&(const row_t){__VA_ARGS__})
#define NONE "OCSP_VERIFY_NEEDED"
#define FAILED "OCSP_VERIFY_FAILED"
#define FINE NULL, NULL

static void K09_good_ones(void **state) {
  (void)state;
  const pki_t *delegate = staple_delegate(pki_default()->root);
  ROW("good", STAPLE(0), SP_STAPLE_GOOD, FINE);
  ROW("by key, SHA-256", STAPLE(.by_key = true, .id_digest = "sha256"), SP_STAPLE_GOOD, FINE);
  ROW("delegate", STAPLE(.signer = delegate, .with_signer = true), SP_STAPLE_GOOD, FINE);
  ROW("nonce", STAPLE(.nonce = true), SP_STAPLE_GOOD, FINE);
  ROW("no end", STAPLE(.no_end = true), SP_STAPLE_GOOD, FINE);
  ROW("many answers", STAPLE(.others = 100), SP_STAPLE_GOOD, FINE);
  ROW("4 minutes late", STAPLE(.from = -3600, .to = -240), SP_STAPLE_GOOD, FINE);
  ROW("4 minutes early", STAPLE(.from = 240, .to = 3600), SP_STAPLE_GOOD, FINE);
}

static void K09_none_revoked_expired(void **state) {
  (void)state;
  const int revoked = V_OCSP_CERTSTATUS_REVOKED;
  ROW("none", {.n = 0}, SP_STAPLE_NONE, NONE, "no OCSP response");
  ROW("revoked", STAPLE(.verdict = revoked, .reason = OCSP_REVOKED_STATUS_KEYCOMPROMISE),
      SP_STAPLE_REVOKED, "CERT_REVOKED", "keyCompromise");
  ROW("revoked and expired", STAPLE(.verdict = revoked, .from = -9 * PKI_DAY, .to = -PKI_DAY),
      SP_STAPLE_REVOKED, "CERT_REVOKED", "revoked by");
  ROW("good, then revoked", STAPLE(.verdict = revoked, .before = pki_default()->server),
      SP_STAPLE_REVOKED, "CERT_REVOKED", "revoked by");
  ROW("unknown", STAPLE(.verdict = V_OCSP_CERTSTATUS_UNKNOWN), SP_STAPLE_UNKNOWN,
      "OCSP_CERT_UNKNOWN", "does not know");
  ROW("expired", STAPLE(.from = -9 * PKI_DAY, .to = -3 * PKI_DAY - 60), SP_STAPLE_STALE, FAILED,
      "expired 3 days ago");
  ROW("6 minutes late", STAPLE(.from = -3600, .to = -360), SP_STAPLE_STALE, FAILED,
      "expired 6 min");
  ROW("of the future", STAPLE(.from = 3600, .to = 7200), SP_STAPLE_STALE, FAILED, "clock");
  ROW("no end, of yesterday", STAPLE(.from = -PKI_DAY - 400, .no_end = true), SP_STAPLE_STALE,
      FAILED, "expired");
}

static void K09_hostile_ones(void **state) {
  (void)state;
  static unsigned char junk[16000] = {0x30, 0x82, 0x3e, 0x7c};
  const pki_set_t *s = pki_default();
  const pki_t *namesake = PKI_MAKE(NULL, .cn = "securepair test root", .ca = true);
  const pki_t *plain = PKI_MAKE(s->root, .cn = "no responder");
  const pki_t *old =
      PKI_MAKE(s->root, .cn = "late", .eku = "OCSPSigning", .from = -9 * PKI_DAY, .to = -PKI_DAY);
  const pki_t *foreign = staple_delegate(s->stranger_root),
              *below = staple_delegate(s->intermediate);
  staple_t cut = STAPLE(0);
  cut.n--;
  ROW("junk", {junk, sizeof junk}, SP_STAPLE_INVALID, FAILED, "is no OCSP response");
  ROW("one byte", {junk, 1}, SP_STAPLE_INVALID, FAILED, "is no OCSP response");
  ROW("cut", cut, SP_STAPLE_INVALID, FAILED, "is no OCSP response");
  ROW("only an error", STAPLE(.failure = OCSP_RESPONSE_STATUS_INTERNALERROR), SP_STAPLE_INVALID,
      FAILED, "internalerror");
  ROW("another serial", STAPLE(.about = s->client), SP_STAPLE_INVALID, FAILED, "another");
  ROW("another issuer", STAPLE(.issuer = s->stranger_root), SP_STAPLE_INVALID, FAILED, "another");
  ROW("a namesake's", STAPLE(.signer = namesake), SP_STAPLE_INVALID, FAILED, "forged");
  ROW("a namesake's, by key", STAPLE(.signer = namesake, .with_signer = true, .by_key = true),
      SP_STAPLE_INVALID, FAILED, "did not appoint");
  ROW("the server's own", STAPLE(.signer = s->server, .with_signer = true), SP_STAPLE_INVALID,
      FAILED, "lacks the usage");
  ROW("delegate without the usage", STAPLE(.signer = plain, .with_signer = true), SP_STAPLE_INVALID,
      FAILED, "lacks the usage OCSPSigning");
  ROW("expired delegate", STAPLE(.signer = old, .with_signer = true), SP_STAPLE_INVALID, FAILED,
      "has expired");
  ROW("delegate of another", STAPLE(.signer = foreign, .with_signer = true), SP_STAPLE_INVALID,
      FAILED, "did not appoint");
  ROW("delegate of one below", STAPLE(.signer = below, .with_signer = true), SP_STAPLE_INVALID,
      FAILED, "did not appoint");
  ROW("delegate that stayed away", STAPLE(.signer = staple_delegate(s->root)), SP_STAPLE_INVALID,
      FAILED, "somebody unknown");
  ROW("SHA-1", STAPLE(.digest = "sha1"), SP_STAPLE_INVALID, FAILED, "too weak");
  ROW("critical extension", STAPLE(.critical = true), SP_STAPLE_INVALID, FAILED, "critical");
}

/* As large as there is room for in TLS 1.3; OpenSSL takes no more than 16 KiB in TLS 1.2. */
static void K09_large_ones(void **state) {
  (void)state;
  static unsigned char junk[65527];
  const staple_t all[] = {{junk, sizeof junk}, STAPLE(.others = 400)};
  sp_context_t *server = serve(pki_default()->server);
  for (size_t i = 0; i < 2; i++)
    EACH(version) {
      couple_t couple;
      sent = all[i];
      CALL_SERVER(&couple, server, .version = version, .request = SP_YES);
      assert_int_equal(is_secure(&couple.client), version == SP_TLS1_3);
      if (version == SP_TLS1_3)
        assert_int_equal(sp_pair_staple_status(couple.client.pair, NULL),
                         i ? SP_STAPLE_GOOD : SP_STAPLE_INVALID);
      else
        assert_int_equal(sp_pair_error(couple.client.pair)->status, SP_EPROTOCOL);
      couple_free(&couple);
    }
  sp_context_release(server);
}

static staple_t basic_of(const staple_t *staple) {
  staple_t own = {.der = NULL};
  OCSP_BASICRESP *basic = sp__ocsp_read(staple->der, staple->n, NULL);
  own.n = basic ? (size_t)i2d_OCSP_BASICRESP(basic, &own.der) : 0;
  OCSP_BASICRESP_free(basic);
  return own;
}

/* OpenSSL reads some that are not quite DER; what it read is the same then. */
static bool means_the_same(const staple_t *one, const staple_t *original) {
  staple_t own = basic_of(one);
  bool same = own.n && own.n == original->n && !memcmp(own.der, original->der, own.n);
  OPENSSL_free(own.der);
  return same;
}

/* No bit and no end of it is beyond what is checked. */
static void K09_no_bit_can_be_changed(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  staple_t staple = STAPLE(.nonce = true), original = basic_of(&staple);
  for (size_t bit = 0; bit < staple.n * 8; bit++) {
    staple.der[bit / 8] ^= (unsigned char)(1 << bit % 8);
    sp_staple_status_t status =
        sp__ocsp_check(staple.der, staple.n, s->server->x509, s->root->x509, NULL, NULL);
    assert_int_not_equal(status, SP_STAPLE_REVOKED);
    if (status == SP_STAPLE_GOOD && !means_the_same(&staple, &original))
      fail_msg("bit %zu", bit);
    staple.der[bit / 8] ^= (unsigned char)(1 << bit % 8);
  }
  OPENSSL_free(original.der);
  for (size_t n = 0; n < staple.n; n++)
    assert_int_equal(sp__ocsp_check(staple.der, n, s->server->x509, s->root->x509, NULL, NULL),
                     SP_STAPLE_INVALID);
  assert_int_equal(ERR_peek_error(), 0);
}

/* -- must-staple ------------------------------------------------------------------------------- */

static void K09_must_staple(void **state) {
  (void)state;
  const pki_t *strict = PKI_MAKE(pki_default()->root, .cn = "strict", .dns = PKI_LIST("localhost"),
                                 .extra = PKI_LIST("tlsfeature=status_request"));
  sp_context_t *servers[] = {serve(pki_default()->server), serve(strict)};
  staple_t good = STAPLE(.about = strict), old = STAPLE(.about = strict, .from = -9000, .to = -900);
  const struct {
    staple_t staple;
    sp_choice_t must;
    bool strict, fine;
  } rows[] = {
      {{.n = 0}, SP_YES, false, true}, /* the certificate asks for nothing */
      {{.n = 0}, SP_DEFAULT, true, true}, {{.n = 0}, SP_YES, true, false},
      {old, SP_YES, true, false},         {good, SP_YES, true, true},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    EACH(version) {
      couple_t couple;
      sp_error_t why;
      sent = rows[i].staple;
      CALL_SERVER(&couple, servers[rows[i].strict], .version = version, .must = rows[i].must,
                  .request = SP_DEFAULT);
      assert_int_equal(is_secure(&couple.client), rows[i].fine);
      sp_staple_status_t status = sp_pair_staple_status(couple.client.pair, &why);
      if (rows[i].strict && !sent.n)
        assert_non_null(strstr(why.text, "must-staple"));
      else if (!sent.n)
        assert_null(strstr(why.text, "must-staple"));
      if (!rows[i].fine)
        assert_string_equal(sp_pair_error(couple.client.pair)->text, why.text);
      assert_int_equal(status == SP_STAPLE_GOOD, sent.der == good.der);
      couple_free(&couple);
    }
  sp_context_release(servers[0]);
  sp_context_release(servers[1]);
}

/* -- who is asked ------------------------------------------------------------------------------ */

/* What speaks against the certificate goes before what is said along with it. */
static void a_stranger_is_refused_as_such(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  sp_context_t *server = serve(s->stranger);
  sent = (staple_t){.n = 0};
  EACH(version) for (sp_choice_t reject = SP_YES; reject <= SP_NO; reject++) {
    couple_t couple;
    CALL_SERVER(&couple, server, .version = version, .require = SP_YES, .reject = reject);
    assert_int_equal(is_secure(&couple.client), reject == SP_NO);
    assert_string_equal(sp_pair_authorization_error(couple.client.pair),
                        "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    couple_free(&couple);
  }
  sp_context_release(server);
}

/* Its issuer is the one it was verified with: one that is trusted itself, or nobody. */
static void issuers(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const pki_t *self = PKI_MAKE(NULL, .cn = "localhost", .dns = PKI_LIST("localhost"));
  const struct {
    const pki_t *pki;
    const char *chain, *ca;
    sp_choice_t partial;
    staple_t staple;
    sp_staple_status_t status;
  } rows[] = {
      {s->server_behind, pki_join(PKI_LIST(s->server_behind->cert_pem, s->intermediate->cert_pem)),
       s->root->cert_pem, SP_NO, STAPLE(.about = s->server_behind, .issuer = s->intermediate),
       SP_STAPLE_GOOD},
      {self, self->cert_pem, self->cert_pem, SP_NO, STAPLE(.about = self, .issuer = self),
       SP_STAPLE_GOOD},
      {s->server, s->server->cert_pem, s->server->cert_pem, SP_YES, STAPLE(0), SP_STAPLE_INVALID},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    EACH(version) {
      couple_t couple;
      sent = rows[i].staple;
      couple_make_with(&couple,
                       SP_OPTIONS(.ca = SP_LIST(rows[i].ca), .partial_chain = rows[i].partial,
                                  .server_name = "localhost", .max_version = version,
                                  .request_staple = SP_YES),
                       SP_OPTIONS(.key = rows[i].pki->key_pem, .cert = rows[i].chain,
                                  .hooks.staple = on_staple));
      couple_shake_hands(&couple);
      assert_int_equal(sp_pair_staple_status(couple.client.pair, NULL), rows[i].status);
      couple_free(&couple);
    }
}

static void options_that_contradict_each_other(void **state) {
  (void)state;
  sp_pair_t *pair = NULL;
  sp_error_t why;
  sp_context_t *context = couple_client_context(SP_PROTOCOL_DEFAULT);
  assert_int_equal(sp_pair_make(&pair, SP_CLIENT, &why,
                                SP_OPTIONS(.context = context, .request_staple = SP_NO,
                                           .require_staple = SP_YES)),
                   SP_EOPTION);
  assert_non_null(strstr(why.text, "require_staple"));
  assert_int_equal(sp_pair_make(&pair, SP_CLIENT, &why,
                                SP_OPTIONS(.context = context, .must_staple = (sp_choice_t)7)),
                   SP_EOPTION);
  assert_non_null(strstr(why.text, "must_staple"));
}

/* It is checked anew each time it is asked for. */
static void the_status_is_of_now(void **state) {
  (void)state;
  couple_t couple;
  sp_context_t *server = serve(pki_default()->server);
  sent = STAPLE(0);
  CALL_SERVER(&couple, server, .require = SP_YES);
  assert_int_equal(sp_pair_staple_status(couple.client.pair, NULL), SP_STAPLE_GOOD);
  clock_shift(2 * 3600);
  assert_int_equal(sp_pair_staple_status(couple.client.pair, NULL), SP_STAPLE_STALE);
  assert_true(sp_pair_is_authorized(couple.client.pair));
  clock_shift(0);
  couple_free(&couple);
  sp_context_release(server);
}

/* -- sessions ---------------------------------------------------------------------------------- */

typedef struct kept {
  uint8_t bytes[8192];
  size_t n;
} kept_t;

static void keep_session(kept_t *kept, sp_context_t *server, const manners_t *m) {
  couple_t couple;
  call(&couple, server, m);
  assert_true(is_secure(&couple.client));
  kept->n = sp_pair_session(couple.client.pair, kept->bytes, sizeof kept->bytes);
  assert_in_range(kept->n, 1, sizeof kept->bytes);
  couple_free(&couple);
}

/* Where a good one is required only sessions count that began with one; those need none again. */
static void sessions_keep_the_requirement(void **state) {
  (void)state;
  sp_context_t *server = serve(pki_default()->server);
  EACH(version) for (int first = 0; first < 2; first++) for (int then = 0; then < 2; then++) {
    kept_t kept;
    couple_t couple;
    sent = STAPLE(0);
    keep_session(&kept, server,
                 &(const manners_t){
                     .version = version, .request = SP_YES, .require = first ? SP_YES : SP_NO});
    if (first && then)
      sent = (staple_t){.n = 0};
    CALL_SERVER(&couple, server, .version = version, .request = SP_YES,
                .require = then ? SP_YES : SP_NO, .session = kept.bytes, .session_size = kept.n);
    assert_true(is_secure(&couple.client));
    assert_true(sp_pair_is_authorized(couple.client.pair));
    assert_int_equal(sp_pair_is_resumed(couple.client.pair), first == then);
    assert_int_equal(sp_pair_staple_status(couple.client.pair, NULL),
                     first == then ? SP_STAPLE_NONE : SP_STAPLE_GOOD);
    couple_free(&couple);
  }
  sp_context_release(server);
}

/* A key that both sides know is nobody's certificate. */
static int on_psk_client(sp_pair_t *pair, const char *hint, char *identity, size_t identity_size,
                         uint8_t *key, size_t size, void *data) {
  (void)pair, (void)hint, (void)identity_size, (void)size, (void)data;
  strcpy(identity, "bob");
  memset(key, 7, 32);
  return 32;
}

static int on_psk_server(sp_pair_t *pair, const char *identity, uint8_t *key, size_t size,
                         void *data) {
  (void)pair, (void)identity, (void)size, (void)data;
  memset(key, 7, 32);
  return 32;
}

static void a_known_key_needs_none(void **state) {
  (void)state;
  EACH(version) {
    couple_t couple;
    const char *ciphers = "PSK-AES128-GCM-SHA256";
    couple_make_with(&couple,
                     SP_OPTIONS(.server_name = "localhost", .max_version = version,
                                .ciphers = ciphers, .require_staple = SP_YES, .must_staple = SP_YES,
                                .hooks.psk_client = on_psk_client),
                     SP_OPTIONS(.ciphers = ciphers, .hooks.psk_server = on_psk_server));
    couple_shake_hands(&couple);
    assert_true(sp_pair_is_authorized(couple.client.pair));
    assert_int_equal(sp_pair_staple_status(couple.client.pair, NULL), SP_STAPLE_NONE);
    couple_free(&couple);
  }
}

/* -- the stream's event ------------------------------------------------------------------------ */

static struct {
  unsigned told;
  bool with_bytes, destroys;
} event;

static void on_ocsp(sp_stream_t *stream, const uint8_t *der, size_t n) {
  event.told++;
  event.with_bytes = der != NULL;
  assert_false(stream->told); /* `secure` comes after it */
  assert_int_equal(n, der ? sent.n : 0);
  if (der)
    assert_memory_equal(der, sent.der, n);
  if (event.destroys)
    sp_stream_destroy(stream);
}

static void end_it(actor_t *actor, fixture_event_t what, int status) {
  if (what == ON_SECURE && !status)
    sp_stream_end(actor->stream);
}

static sp_choice_t workers;

static void meet(sp_choice_t request, const char *log) {
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER(.hooks.staple = on_staple, .handshake_workers = workers));
  actor_t *client = fixture_connect(
      f, FIXTURE_CLIENT(f, .request_staple = request, .handshake_workers = workers));
  sp_stream_events_t events = *client->stream->events;
  events.ocsp = on_ocsp;
  sp_stream_on(client->stream, &events, sp_stream_data(client->stream));
  client->react = end_it;
  event.told = 0;
  fixture_run(f);
  assert_string_equal(client->log, log);
  fixture_free(f);
}

static void check_event(void) {
  sent = STAPLE(0);
  meet(SP_YES, "secure close");
  assert_true(event.told == 1 && event.with_bytes);
  sent.n = 0;
  meet(SP_YES, "secure close");
  assert_true(event.told == 1 && !event.with_bytes);
  meet(SP_DEFAULT, "secure close");
  assert_int_equal(event.told, 0);
  event.destroys = true;
  meet(SP_YES, "secure(ECANCELED) close");
  assert_int_equal(event.told, 1);
  event.destroys = false;
}

static void the_event_comes_right_before_secure(void **state) {
  (void)state;
  for (workers = SP_NO; workers >= SP_YES; workers--)
    check_event();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(K09_good_ones),
      cmocka_unit_test(K09_none_revoked_expired),
      cmocka_unit_test(K09_hostile_ones),
      cmocka_unit_test(K09_large_ones),
      cmocka_unit_test(K09_no_bit_can_be_changed),
      cmocka_unit_test(K09_must_staple),
      cmocka_unit_test(a_stranger_is_refused_as_such),
      cmocka_unit_test(issuers),
      cmocka_unit_test(options_that_contradict_each_other),
      cmocka_unit_test(the_status_is_of_now),
      cmocka_unit_test(sessions_keep_the_requirement),
      cmocka_unit_test(a_known_key_needs_none),
      cmocka_unit_test(the_event_comes_right_before_secure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
