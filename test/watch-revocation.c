/* Revocation that is renewed while a server runs: OCSP responses and revocation lists whose files
 * change. Who connects later is served the new ones; what cannot be used changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "support/clock.h"
#include "support/site.h"
#include "support/staple.h"

#define HOUR 3600L

/* -- a server that follows the files ----------------------------------------------------------- */

/* With the files "key" and "cert" of A, and what else the options name. */
static void site_open(site_t *site, const sp_options_t *more) {
  const char *root[] = {pki_default()->root->cert_pem, NULL};
  sp_options_t options = *more;
  options.key_file = path("key");
  options.cert_file = path("cert");
  options.ca = root;
  options.watch_interval = EVENTS;
  options.watch_grace = 60;
  scene_watch(&site->scene, &options);
  site_serve(site);
  assert_int_equal(sp_server_follow(site->server, NULL, site->scene.watch), 0);
}

/* -- a client ---------------------------------------------------------------------------------- */

typedef struct client {
  visitor_t visitor; /* first */
  sp_staple_status_t staple;
  size_t staple_size;
  uint8_t staple_bytes[8192];
} client_t;

static void see(visitor_t *visitor, const sp_pair_t *pair) {
  client_t *client = (client_t *)visitor;
  const void *der = sp_pair_staple(pair, &client->staple_size);
  client->staple = sp_pair_staple_status(pair, NULL);
  assert_in_range(client->staple_size, 0, sizeof client->staple_bytes);
  if (der)
    memcpy(client->staple_bytes, der, client->staple_size);
}

static void client_open(client_t *client, site_t *site, const pki_t *pki) {
  visitor_open(&client->visitor, site, see,
               SP_OPTIONS(.request_staple = SP_YES, .key = pki ? pki->key_pem : NULL,
                          .cert = pki ? pki->cert_pem : NULL));
}

/* A client from beginning to end, with a session if there is one, and with a certificate or none.
 */
static client_t visit(site_t *site, const pki_t *pki) {
  client_t client;
  client_open(&client, site, pki);
  if (client.visitor.status == 0 && site->status == 0)
    visitor_talk(&client.visitor);
  visitor_end(&client.visitor);
  return client;
}

static void begin(site_t *site) {
  *site = (site_t){.port = 0};
  scene_open(&site->scene);
  put(a, in_place);
}

/* -- OCSP responses ---------------------------------------------------------------------------- */

#define ABOUT_A(...) STAPLE(.about = a, __VA_ARGS__)

static void put_staple(staple_t staple) { write_to("staple", (const char *)staple.der, staple.n); }

static void follow_staple(site_t *site, staple_t staple) {
  put_staple(staple);
  site_open(site, SP_OPTIONS(.staple_files = SP_LIST(path("staple")), .tickets = SP_NO));
}

static void expect_staple(site_t *site, staple_t staple) {
  client_t client = visit(site, NULL);
  assert_int_equal(client.visitor.status, 0);
  assert_int_equal(client.staple, SP_STAPLE_GOOD);
  assert_int_equal(client.staple_size, staple.n);
  assert_memory_equal(client.staple_bytes, staple.der, staple.n);
}

static void expect_no_staple(site_t *site) {
  client_t client = visit(site, NULL);
  assert_int_equal(client.visitor.status, 0);
  assert_int_equal(client.staple, SP_STAPLE_NONE);
}

static void a_new_response_is_sent(void **state) {
  site_t site;
  client_t live;
  (void)state;
  begin(&site);
  staple_t first = ABOUT_A(.to = HOUR), second = ABOUT_A(.to = 2 * HOUR);
  follow_staple(&site, first);
  expect_staple(&site, first);
  client_open(&live, &site, NULL);
  put_staple(second);
  expect_change(&site.scene, "A");
  expect_staple(&site, second);
  visitor_talk(&live.visitor); /* it goes on */
  visitor_end(&live.visitor);
  site_close(&site);
}

/* What was good stays in force: a torn file, a refusal, one about somebody else, one that is older
 * than its own end. */
static void what_is_no_good_stays_out(void **state) {
  site_t site;
  (void)state;
  begin(&site);
  staple_t good = ABOUT_A(.to = HOUR);
  const struct {
    staple_t staple;
    const char *words;
  } bad[] = {
      {{good.der, good.n / 2}, "is no OCSP response"},
      {ABOUT_A(.verdict = V_OCSP_CERTSTATUS_REVOKED, .to = HOUR), "was revoked"},
      {STAPLE(.about = b, .to = HOUR), "is about another certificate"},
      {ABOUT_A(.from = -2 * HOUR, .to = -HOUR), "does not replace the one in force"},
      {ABOUT_A(.failure = OCSP_RESPONSE_STATUS_TRYLATER), "trylater"},
      {{good.der, 0}, "staple"},
  };
  follow_staple(&site, good);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    put_staple(bad[i].staple);
    expect_fault(&site.scene, SP_ESTAPLE, bad[i].words);
    expect_staple(&site, good);
  }
  put_staple(good); /* as it was: nothing changes, but the fault is gone */
  STAGE_UNTIL(&site.scene.stage, !sp_watch_error(site.scene.watch)->status);
  staple_t better = ABOUT_A(.to = 3 * HOUR);
  put_staple(better);
  expect_change(&site.scene, "A");
  expect_staple(&site, better);
  site_close(&site);
}

/* Nobody renewed it: none is sent from its end on, until there is a new one. */
static void one_that_ended_is_replaced(void **state) {
  site_t site;
  (void)state;
  begin(&site);
  staple_t first = ABOUT_A(.to = HOUR);
  follow_staple(&site, first);
  expect_staple(&site, first);
  clock_shift(HOUR + 1);
  expect_no_staple(&site);
  staple_t old = ABOUT_A(.from = -2 * HOUR, .to = -2), fresh = ABOUT_A(.from = -60, .to = HOUR);
  put_staple(old); /* now no better one is in force */
  expect_change(&site.scene, "A");
  expect_no_staple(&site);
  put_staple(fresh);
  expect_change(&site.scene, "A");
  expect_staple(&site, fresh);
  clock_shift(0);
  site_close(&site);
}

/* A certificate that is renewed together with its response. */
static void with_a_new_certificate(void **state) {
  site_t site;
  (void)state;
  begin(&site);
  staple_t first = ABOUT_A(.to = HOUR), other = STAPLE(.about = b, .to = HOUR);
  follow_staple(&site, first);
  put(b, by_rename); /* its response is not there yet */
  expect_fault(&site.scene, SP_ESTAPLE, "is about another certificate");
  expect_staple(&site, first);
  put_staple(other);
  expect_change(&site.scene, "B");
  expect_staple(&site, other);
  site_close(&site);
}

/* -- revocation lists -------------------------------------------------------------------------- */

static void follow_list(site_t *site, const char *list) {
  in_place("crl", list);
  site_open(site, SP_OPTIONS(.crl_files = SP_LIST(path("crl")), .request_cert = SP_YES,
                             .reject_unauthorized = SP_YES));
}

static const char *list_of(const pki_t *const *revoked, long to) {
  return pki_crl(pki_default()->root, revoked, -60, to);
}

/* With TLS 1.3 it is secure before the server looked at its certificate. */
static void expect_refused(site_t *site, const pki_t *pki, const char *reason) {
  (void)visit(site, pki);
  assert_int_equal(site->status, SP_EUNAUTHORIZED);
  assert_string_equal(sp_verify_name(site->verify), reason);
}

static void expect_served(site_t *site, const pki_t *pki, bool resumed) {
  client_t client = visit(site, pki);
  assert_int_equal(client.visitor.status, 0);
  assert_int_equal(site->status, 0);
  assert_int_equal(site->resumed, resumed);
}

static void a_new_list_counts(void **state) {
  site_t site;
  client_t live;
  const pki_t *client = pki_default()->client;
  (void)state;
  begin(&site);
  follow_list(&site, list_of(NULL, HOUR));
  expect_served(&site, client, false);
  assert_true(site.session_size > 0);
  expect_served(&site, client, true);
  client_open(&live, &site, client);
  by_rename("crl", list_of(PKI_THESE(client), HOUR));
  expect_change(&site.scene, "A");
  expect_refused(&site, client, "CERT_REVOKED"); /* its session is no way around */
  visitor_talk(&live.visitor);                   /* who is there stays */
  visitor_end(&live.visitor);
  by_rename("crl", list_of(NULL, 2 * HOUR));
  expect_change(&site.scene, "A");
  site.session_size = 0;
  expect_served(&site, client, false);
  site_close(&site);
}

/* A torn list does not become "nobody is revoked". */
static void a_torn_list_changes_nothing(void **state) {
  site_t site;
  const pki_t *client = pki_default()->client;
  (void)state;
  begin(&site);
  const char *list = list_of(PKI_THESE(client), HOUR);
  follow_list(&site, list);
  expect_refused(&site, client, "CERT_REVOKED");
  write_to("crl", list, strlen(list) / 2);
  expect_fault(&site.scene, SP_ECRL, "crl");
  expect_refused(&site, client, "CERT_REVOKED");
  write_to("crl", "", 0);
  expect_fault(&site.scene, SP_ECRL, "crl");
  expect_refused(&site, client, "CERT_REVOKED");
  site_close(&site);
}

/* A list that nobody renewed refuses everybody, until there is a new one. */
static void a_list_that_ended_is_replaced(void **state) {
  site_t site;
  const pki_t *client = pki_default()->client;
  (void)state;
  begin(&site);
  follow_list(&site, list_of(NULL, HOUR));
  expect_served(&site, client, false);
  clock_shift(HOUR + 1);
  site.session_size = 0;
  expect_refused(&site, client, "CRL_HAS_EXPIRED");
  by_rename("crl", list_of(NULL, HOUR));
  expect_change(&site.scene, "A");
  expect_served(&site, client, false);
  clock_shift(0);
  site_close(&site);
}

/* A session is no way around that, from a ticket or from a store, nor by a certificate that expired
 * meanwhile; without a certificate it has nothing to do with lists. */
static void an_ended_list_ends_sessions(void **state) {
  const pki_t *client = pki_default()->client;
  (void)state;
  for (int i = 0; i < 6; i++) {
    site_t site;
    bool is_shown = i < 4;
    begin(&site);
    in_place("crl", list_of(NULL, HOUR));
    sp_store_t *store = NULL;
    assert_int_equal(i % 2 ? sp_memory_store_new(&store, 1 << 20, NULL) : 0, 0);
    site_open(&site, SP_OPTIONS(.crl_files = SP_LIST(path("crl")), .request_cert = SP_YES,
                                .reject_unauthorized = is_shown ? SP_YES : SP_NO, .store = store,
                                .max_version = i & 2 ? SP_TLS1_2 : SP_TLS1_3));
    expect_served(&site, is_shown ? client : NULL, false);
    expect_served(&site, is_shown ? client : NULL, true);
    clock_shift(HOUR + 1);
    if (is_shown)
      expect_refused(&site, client, "CRL_HAS_EXPIRED");
    else
      expect_served(&site, NULL, true);
    clock_shift(0);
    site_close(&site);
    sp_store_release(store);
  }
}

/* One that ended, and that nobody looks at. */
static const char *indirect_of(const pki_t *issuer) {
  static char text[4096];
  BIO *from = BIO_new_mem_buf(pki_crl(issuer, NULL, -2 * HOUR, -60), -1),
      *to = BIO_new(BIO_s_mem());
  X509_CRL *crl = PEM_read_bio_X509_CRL(from, NULL, NULL, NULL);
  X509_EXTENSION *point =
      X509V3_EXT_nconf_nid(NULL, NULL, NID_issuing_distribution_point, "critical,indirectCRL:TRUE");
  assert_true(crl && point && X509_CRL_add_ext(crl, point, -1));
  assert_true(X509_CRL_sign(crl, issuer->key, EVP_sha256()) > 0);
  assert_true(PEM_write_bio_X509_CRL(to, crl));
  int n = BIO_read(to, text, sizeof text - 1);
  assert_true(n > 0);
  text[n] = '\0';
  X509_EXTENSION_free(point);
  X509_CRL_free(crl);
  BIO_free(from);
  BIO_free(to);
  return text;
}

/* A bundle that keeps the lists of before, or has indirect ones, which nobody looks at: what counts
 * is the newest that is current. */
static void only_lists_that_count_end_sessions(void **state) {
  const pki_t *client = pki_default()->client, *root = pki_default()->root;
  (void)state;
  for (int i = 0; i < 4; i++) {
    site_t site;
    char lists[10000];
    const char *old = i < 2 ? pki_crl(root, NULL, -2 * HOUR, -60) : indirect_of(root);
    const char *current = list_of(NULL, HOUR);
    begin(&site);
    (void)snprintf(lists, sizeof lists, "%s%s", i % 2 ? old : current, i % 2 ? current : old);
    follow_list(&site, lists);
    expect_served(&site, client, false);
    expect_served(&site, client, true);
    clock_shift(HOUR + 1);
    expect_refused(&site, client, "CRL_HAS_EXPIRED");
    clock_shift(0);
    site_close(&site);
  }
}

/* The client's certificate ended meanwhile: it may have a new one, and is not refused for the old
 * one. */
static void a_certificate_that_ended_ends_sessions(void **state) {
  site_t site;
  const pki_t *old =
      PKI_MAKE(pki_default()->root, .cn = "old", .eku = "clientAuth", .from = -60, .to = HOUR / 2);
  (void)state;
  begin(&site);
  follow_list(&site, list_of(NULL, HOUR));
  expect_served(&site, old, false);
  expect_served(&site, old, true);
  clock_shift(HOUR / 2 + 1);
  expect_served(&site, pki_default()->client, false);
  clock_shift(0);
  site_close(&site);
}

/* -- openssl s_client -------------------------------------------------------------------------- */

static void s_client_expect(child_t *child, const char *words) {
  if (!child_wait_for(child, words))
    fail_msg("\"%s\" is not in what s_client says: %s", words, child_err(child));
  site_s_client_end(child);
}

static void s_client(site_t *site, const char *const *more, const char *words) {
  s_client_expect(site_s_client(site, more), words);
}

/* Its ticket stands before what our server turns back. */
static void s_client_takes_session(site_t *site, const char *const *more) {
  child_t *child = site_s_client(site, more);
  child_tell(child, "and back\n", 9);
  s_client_expect(child, "and back");
}

static void s_client_sees_the_new_ones(void **state) {
  const pki_t *client = pki_default()->client;
  (void)state;
  if (!child_exists("openssl"))
    skip();
  const char *key = pki_file(client->key_pem), *cert = pki_file(client->cert_pem);
  for (int i = 0; i < 2; i++) {
    const char *version = i ? "-tls1_3" : "-tls1_2";
    const char *const *asks = CHILD_ARGS(version, "-status", "-key", key, "-cert", cert);
    site_t site;
    begin(&site);
    put_staple(ABOUT_A(.from = -60, .to = HOUR));
    in_place("crl", list_of(NULL, HOUR));
    site_open(&site,
              SP_OPTIONS(.staple_files = SP_LIST(path("staple")), .crl_files = SP_LIST(path("crl")),
                         .request_cert = SP_YES, .reject_unauthorized = SP_YES));
    s_client(&site, asks, "Cert Status: good");
    put_staple(ABOUT_A(.from = -60, .to = 2 * HOUR, .nonce = true));
    expect_change(&site.scene, "A");
    s_client(&site, asks, "Nonce");
    by_rename("crl", list_of(PKI_THESE(client), HOUR));
    expect_change(&site.scene, "A");
    s_client(&site, asks, "alert number 44");
    site_close(&site);
  }
}

static void s_client_resumes_no_longer(void **state) {
  const pki_t *client = pki_default()->client;
  (void)state;
  if (!child_exists("openssl"))
    skip();
  const char *key = pki_file(client->key_pem), *cert = pki_file(client->cert_pem);
  for (int i = 0; i < 2; i++) {
    const char *version = i ? "-tls1_3" : "-tls1_2";
    site_t site;
    char file[300];
    begin(&site);
    (void)snprintf(file, sizeof file, "%s", path("session"));
    follow_list(&site, list_of(NULL, HOUR));
    s_client_takes_session(&site,
                           CHILD_ARGS(version, "-key", key, "-cert", cert, "-sess_out", file));
    const char *const *again = CHILD_ARGS(version, "-key", key, "-cert", cert, "-sess_in", file);
    s_client(&site, again, "Reused, ");
    clock_shift(HOUR + 1);
    s_client(&site, again, "alert number 45");
    clock_shift(0);
    site_close(&site);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_new_response_is_sent),
      cmocka_unit_test(what_is_no_good_stays_out),
      cmocka_unit_test(one_that_ended_is_replaced),
      cmocka_unit_test(with_a_new_certificate),
      cmocka_unit_test(a_new_list_counts),
      cmocka_unit_test(a_torn_list_changes_nothing),
      cmocka_unit_test(a_list_that_ended_is_replaced),
      cmocka_unit_test(an_ended_list_ends_sessions),
      cmocka_unit_test(only_lists_that_count_end_sessions),
      cmocka_unit_test(a_certificate_that_ended_ends_sessions),
      cmocka_unit_test(s_client_sees_the_new_ones),
      cmocka_unit_test(s_client_resumes_no_longer),
  };
  return cmocka_run_group_tests_name("watch-revocation", tests, NULL, NULL);
}
