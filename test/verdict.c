/* What is thought of the other side's certificate, and what comes of it: a table of certificates by
 * three trust settings, in both roles, with TLS 1.2 and 1.3 (FAULTS K01-K08, K13). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include <securepair.h>

#include "support/cases.h"
#include "support/contexts.h"
#include "support/fixture.h"
#include "support/meeting.h"

#define ASSERT_HAS(text, part)                                                                     \
  do {                                                                                             \
    if (!strstr(text, part))                                                                       \
      fail_msg("\"%s\" does not say \"%s\"", text, part);                                          \
  } while (0)

/* -- who shows and who verifies ---------------------------------------------------------------- */

/* A context that shows what none of ours would: weak keys, chains in disorder. */
static sp_context_t *shows(const verdict_case_t *c, sp_protocol_t version) {
  const pki_set_t *s = pki_default();
  sp_context_t *context =
      context_made(SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem), .max_version = version));
  if (!c->leaf)
    return context;
  SSL_CTX *ctx = sp_context_ssl_ctx(context);
  SSL_CTX_set_security_level(ctx, 0);
  assert_int_equal(SSL_CTX_use_certificate(ctx, c->leaf->x509), 1);
  assert_int_equal(SSL_CTX_use_PrivateKey(ctx, c->leaf->key), 1);
  for (size_t i = 0; c->chain[i]; i++)
    assert_true(SSL_CTX_add1_chain_cert(ctx, c->chain[i]->x509));
  return context;
}

/* The options of who judges; a server shows the good certificate meanwhile. */
static sp_options_t judges(const verdict_case_t *c, case_trust_t trust, sp_role_t role) {
  static const char *crl[2];
  const pki_set_t *s = pki_default();
  crl[0] = c->crl;
  return (sp_options_t){.size = sizeof(sp_options_t),
                        .ca = verdict_ca(c, trust),
                        .crl = c->crl ? crl : NULL,
                        .key = role == SP_SERVER ? s->server->key_pem : NULL,
                        .cert = role == SP_SERVER ? s->server->cert_pem : NULL,
                        .request_cert = role == SP_SERVER ? SP_YES : SP_DEFAULT};
}

/* RFC 8446 6.2 has no alert for each reason; these are what OpenSSL's servers and clients send. */
static int alert_of(const char *reason, sp_protocol_t version) {
  static const struct {
    const char *reason;
    int alert;
  } alerts[] = {
      {"UNABLE_TO_VERIFY_LEAF_SIGNATURE", 48},
      {"UNABLE_TO_GET_ISSUER_CERT_LOCALLY", 48},
      {"DEPTH_ZERO_SELF_SIGNED_CERT", 48},
      {"SELF_SIGNED_CERT_IN_CHAIN", 48},
      {"PATH_LENGTH_EXCEEDED", 48},
      {"INVALID_CA", 48},
      {"UNABLE_TO_GET_CRL", 48},
      {"CERT_HAS_EXPIRED", 45},
      {"CRL_HAS_EXPIRED", 45},
      {"CERT_REVOKED", 44},
      {"INVALID_PURPOSE", 43},
      {"CRL_SIGNATURE_FAILURE", 51},
      {"PERMITTED_VIOLATION", 46},
      {"EXCLUDED_VIOLATION", 46},
      {"KEYUSAGE_NO_CERTSIGN", 46},
  };
  if (!strcmp(reason, "UNABLE_TO_GET_ISSUER_CERT")) /* none was shown */
    return version == SP_TLS1_3 ? 116 : 40;
  for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++)
    if (!strcmp(alerts[i].reason, reason))
      return alerts[i].alert;
  return 42; /* bad_certificate */
}

/* -- what must come of it ---------------------------------------------------------------------- */

typedef struct round {
  const verdict_case_t *c;
  case_trust_t trust;
  sp_protocol_t version;
  const char *reason; /* NULL: authorized */
} round_t;

static void check_talked(const meeting_t *m) {
  assert_string_equal(m->client.log, "secure data end close");
  assert_string_equal(m->server.log, "secure data end close");
  assert_string_equal(m->client.got, MEETING_SERVER_WORD);
  assert_string_equal(m->server.got, MEETING_CLIENT_WORD);
}

static void check_verdict(const round_t *r, const meeting_side_t *judge) {
  assert_string_equal(judge->reason, r->reason ? r->reason : "");
  assert_int_equal(judge->authorized, !r->reason);
  if (!r->reason) {
    assert_int_equal(judge->verdict.status, 0);
    return;
  }
  assert_int_equal(judge->verdict.status, SP_EUNAUTHORIZED);
  assert_int_equal(judge->verdict.who, SP_PEER);
  assert_string_equal(sp_verify_name(judge->verdict.verify), r->reason);
  assert_true(*judge->verdict.text);
  if (r->trust == TRUST_OWN && r->c->words)
    ASSERT_HAS(judge->verdict.text, r->c->words);
}

/* The judge refused inside the handshake; the other heard why. */
static void check_refused(const round_t *r, const meeting_side_t *judge,
                          const meeting_side_t *other, bool other_was_secure) {
  int alert = alert_of(r->reason, r->version);
  assert_int_equal(judge->status, SP_EUNAUTHORIZED);
  assert_string_equal(judge->log, "secure(SP_EUNAUTHORIZED) close");
  assert_string_equal(judge->error.text, judge->verdict.text);
  assert_int_equal(judge->error.verify, judge->verdict.verify);
  assert_int_equal(judge->error.who, SP_PEER);
  assert_int_equal(judge->error.alert, alert);
  assert_string_equal(other->log, other_was_secure ? "secure error(SP_EALERT) close"
                                                   : "secure(SP_EALERT) close");
  assert_int_equal(other->error.status, SP_EALERT);
  assert_int_equal(other->error.who, SP_PEER);
  assert_int_equal(other->error.alert, alert);
  ASSERT_HAS(other->error.text, sp_alert_name(alert));
}

static void check(const round_t *r, const meeting_t *m, sp_role_t judge, bool rejects) {
  const meeting_side_t *judging = judge == SP_CLIENT ? &m->client : &m->server;
  const meeting_side_t *judged = judge == SP_CLIENT ? &m->server : &m->client;
  check_verdict(r, judging);
  if (r->reason && rejects) {
    /* K13: a client is through with TLS 1.3 before the server has looked at its certificate */
    check_refused(r, judging, judged, judge == SP_SERVER && r->version == SP_TLS1_3);
    return;
  }
  check_talked(m);
  assert_int_equal(judging->peer_chain > 0, r->c->leaf != NULL);
}

/* -- the table --------------------------------------------------------------------------------- */

static void client_judges(const round_t *r, sp_context_t *shown) {
  sp_options_t options = judges(r->c, r->trust, SP_CLIENT);
  sp_options_t connect = {.size = sizeof connect,
                          .server_name = r->c->host ? r->c->host : "localhost"};
  for (int rejects = 0; rejects < 2; rejects++) {
    options.reject_unauthorized = rejects ? SP_DEFAULT : SP_NO;
    connect.context = context_made(&options);
    meeting_t m = meeting_hold(SP_OPTIONS(.context = shown), &connect);
    check(r, &m, SP_CLIENT, rejects);
    assert_string_equal(m.server.reason, ""); /* it did not ask */
    assert_false(m.server.authorized);
    sp_context_release(connect.context);
  }
}

static void server_judges(const round_t *r, sp_context_t *shown) {
  sp_options_t options = judges(r->c, r->trust, SP_SERVER);
  const sp_options_t *connect = SP_OPTIONS(.context = shown, .server_name = "localhost");
  for (int rejects = 0; rejects < 2; rejects++) {
    options.reject_unauthorized = rejects ? SP_YES : SP_DEFAULT;
    meeting_t m = meeting_hold(&options, connect);
    check(r, &m, SP_SERVER, rejects);
    assert_string_equal(m.client.reason, "");
    assert_int_equal(m.client.authorized, m.client.status == 0);
  }
}

static void judge_all(sp_role_t judge, sp_protocol_t version) {
  int shown_as = judge == SP_CLIENT ? CASE_AS_SERVER : CASE_AS_CLIENT;
  for (const verdict_case_t *c = verdict_cases(); c->name; c++) {
    if (c->roles && !(c->roles & shown_as))
      continue;
    sp_context_t *shown = shows(c, version);
    for (case_trust_t trust = 0; trust < TRUSTS; trust++) {
      round_t r = {c, trust, version, c->reason[trust]};
      if (judge == SP_SERVER && c->no_name_for_client && trust == TRUST_OWN)
        r.reason = NULL;
      print_message("%s, trusting %s\n", c->name, verdict_trusts[trust]);
      if (judge == SP_CLIENT)
        client_judges(&r, shown);
      else
        server_judges(&r, shown);
    }
    sp_context_release(shown);
  }
}

static void client_judges_with_tls_1_2(void **state) {
  (void)state;
  judge_all(SP_CLIENT, SP_TLS1_2);
}

static void client_judges_with_tls_1_3(void **state) {
  (void)state;
  judge_all(SP_CLIENT, SP_TLS1_3);
}

static void server_judges_with_tls_1_2(void **state) {
  (void)state;
  judge_all(SP_SERVER, SP_TLS1_2);
}

static void server_judges_with_tls_1_3(void **state) {
  (void)state;
  judge_all(SP_SERVER, SP_TLS1_3);
}

/* -- a server's four ways to ask (K13) --------------------------------------------------------- */

typedef struct way {
  sp_choice_t request, reject;
  const pki_t *shown; /* by the client; NULL: nothing */
  const char *reason; /* that the server has; NULL: none */
  bool authorized, refused;
} way_t;

static void check_way(const way_t *way, sp_protocol_t version) {
  const pki_set_t *s = pki_default();
  sp_context_t *client = context_made(
      SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem), .key = way->shown ? way->shown->key_pem : NULL,
                 .cert = way->shown ? way->shown->cert_pem : NULL, .max_version = version));
  meeting_t m =
      meeting_hold(SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem,
                              .ca = SP_LIST(s->root->cert_pem), .request_cert = way->request,
                              .reject_unauthorized = way->reject),
                   SP_OPTIONS(.context = client, .server_name = "localhost"));
  sp_context_release(client);
  assert_string_equal(m.server.reason, way->reason ? way->reason : "");
  assert_int_equal(m.server.authorized, way->authorized);
  assert_int_equal(m.server.peer_chain, way->shown && way->request == SP_YES);
  if (!way->refused) {
    check_talked(&m);
    return;
  }
  assert_int_equal(m.server.status, SP_EUNAUTHORIZED);
  assert_string_equal(m.client.log, version == SP_TLS1_3 ? "secure error(SP_EALERT) close"
                                                         : "secure(SP_EALERT) close");
}

static void four_ways_to_ask_for_a_certificate(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const char *none = "UNABLE_TO_GET_ISSUER_CERT", *alone = "UNABLE_TO_VERIFY_LEAF_SIGNATURE";
  const way_t ways[] = {
      {SP_NO, SP_NO, NULL, NULL, false, false},
      {SP_NO, SP_YES, NULL, NULL, false, false}, /* nothing to refuse: it did not ask */
      {SP_NO, SP_NO, s->client, NULL, false, false},
      {SP_NO, SP_YES, s->stranger, NULL, false, false},
      {SP_DEFAULT, SP_DEFAULT, s->client, NULL, false, false},
      {SP_YES, SP_NO, NULL, none, false, false},
      {SP_YES, SP_DEFAULT, NULL, none, false, false},
      {SP_YES, SP_DEFAULT, s->client, NULL, true, false},
      {SP_YES, SP_NO, s->stranger, alone, false, false},
      {SP_YES, SP_YES, NULL, none, false, true},
      {SP_YES, SP_YES, s->client, NULL, true, false},
      {SP_YES, SP_YES, s->stranger, alone, false, true},
  };
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    check_way(&ways[i], SP_TLS1_2);
    check_way(&ways[i], SP_TLS1_3);
  }
}

/* K13: the handshake of TLS 1.3 is over for a client when the server gets to see its certificate,
 * or the lack of it: it is secure, and learns of the refusal when it reads. */
static void a_client_learns_late_that_a_certificate_is_required(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  meeting_t m =
      meeting_hold(SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem,
                              .ca = SP_LIST(s->root->cert_pem), .request_cert = SP_YES,
                              .reject_unauthorized = SP_YES, .min_version = SP_TLS1_3),
                   SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem), .server_name = "localhost"));
  assert_int_equal(m.client.status, 0);
  assert_true(m.client.authorized);
  assert_int_equal(m.client.error.status, SP_EALERT);
  assert_string_equal(sp_alert_name(m.client.error.alert), "certificate_required");
  ASSERT_HAS(m.client.error.text, "certificate_required (116)");
  ASSERT_HAS(m.client.error.text, "it requires a client certificate: give cert and key");
  ASSERT_HAS(m.server.error.text, "sent no certificate");
}

/* Signs with whatever: nobody has the key that belongs to the certificate (K13). */
static int sign_badly(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n,
                      void *data) {
  (void)scheme;
  (void)data;
  return sp_pair_sign_with(pair, message, n < 64 ? n : 64);
}

static void a_certificate_without_its_key_is_none(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const sp_hooks_t hooks = {.sign = sign_badly};
  const char *root[] = {s->root->cert_pem, NULL};
  for (int i = 0; i < 2; i++) {
    sp_protocol_t version = i ? SP_TLS1_3 : SP_TLS1_2;
    meeting_t m =
        meeting_hold(SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem, .ca = root,
                                .request_cert = SP_YES, .max_version = version),
                     SP_OPTIONS(.ca = root, .server_name = "localhost", .cert = s->client->cert_pem,
                                .hooks = hooks));
    assert_string_equal(m.server.log, "secure(SP_EPROTOCOL) close");
    assert_false(m.server.authorized);
    assert_string_equal(sp_alert_name(m.server.error.alert), "decrypt_error");
    assert_string_equal(m.client.log,
                        i ? "secure error(SP_EALERT) close" : "secure(SP_EALERT) close");
    m = meeting_hold(
        SP_OPTIONS(.cert = s->server->cert_pem, .hooks = hooks, .max_version = version),
        SP_OPTIONS(.ca = root, .server_name = "localhost", .reject_unauthorized = SP_NO));
    assert_string_equal(m.client.log, "secure(SP_EPROTOCOL) close");
    assert_false(m.client.authorized);
    assert_string_equal(sp_alert_name(m.client.error.alert), "decrypt_error");
    assert_string_equal(m.server.log, "secure(SP_EALERT) close");
  }
}

/* -- the bounds of validity (K02) -------------------------------------------------------------- */

/* What a client thinks of the server's certificate when its clock shows `when`. */
static const char *reason_at(const pki_t *leaf, time_t when) {
  static meeting_t m;
  sp_context_t *client = context_made(
      SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem), .reject_unauthorized = SP_NO));
  X509_VERIFY_PARAM *param =
      X509_STORE_get0_param(SSL_CTX_get_cert_store(sp_context_ssl_ctx(client)));
  X509_VERIFY_PARAM_set_time(param, when);
  m = meeting_hold(SP_OPTIONS(.key = leaf->key_pem, .cert = leaf->cert_pem),
                   SP_OPTIONS(.context = client, .server_name = "localhost"));
  sp_context_release(client);
  return m.client.reason;
}

static void both_ends_of_the_validity_belong_to_it(void **state) {
  (void)state;
  const pki_t *leaf = PKI_MAKE(pki_default()->root, .cn = "x", .dns = PKI_LIST("localhost"),
                               .from = 60, .to = PKI_DAY);
  sp_certificate_t *view;
  assert_int_equal(sp_certificate_from_x509(&view, leaf->x509, NULL), 0);
  time_t from = sp_certificate_valid_from(view), to = sp_certificate_valid_to(view);
  sp_certificate_release(view);
  assert_string_equal(reason_at(leaf, from - 1), "CERT_NOT_YET_VALID");
  assert_string_equal(reason_at(leaf, from), "");
  assert_string_equal(reason_at(leaf, from + 1), "");
  assert_string_equal(reason_at(leaf, to - 1), "");
  assert_string_equal(reason_at(leaf, to), ""); /* RFC 5280 4.1.2.5; OpenSSL alone says expired */
  assert_string_equal(reason_at(leaf, to + 1), "CERT_HAS_EXPIRED");
}

/* A time in a certificate as somebody wrote it; RFC 5280 4.1.2.5 allows no fractions. */
static pki_t *with_end(const char *end) {
  const pki_t *root = pki_default()->root;
  pki_t *leaf = PKI_MAKE(root, .cn = "x", .dns = PKI_LIST("localhost"));
  ASN1_TIME *time = ASN1_STRING_type_new(V_ASN1_GENERALIZEDTIME);
  assert_non_null(time);
  assert_true(ASN1_STRING_set(time, end, -1));
  assert_true(X509_set1_notAfter(leaf->x509, time));
  ASN1_STRING_free(time);
  assert_true(X509_sign(leaf->x509, root->key, EVP_sha256()) > 0);
  return leaf;
}

static void times_of_odd_form_are_refused(void **state) {
  (void)state;
  static const char *const ends[] = {"20990101000000.5Z", "209901010000Z", "20990101000000",
                                     "20991301000000Z", "20990101000000+0100"};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    verdict_case_t c = {.name = ends[i], .leaf = with_end(ends[i]), .chain = PKI_THESE(NULL)};
    sp_context_t *shown = shows(&c, SP_TLS1_3);
    round_t r = {&c, TRUST_OWN, SP_TLS1_3, "ERROR_IN_CERT_NOT_AFTER_FIELD"};
    print_message("%s\n", ends[i]);
    client_judges(&r, shown);
    sp_context_release(shown);
  }
}

/* -- the system's roots ------------------------------------------------------------------------ */

/* In a process of its own, because the system's roots are loaded once: with whom it trusts. */
static const char *reason_with_roots(const char *file) {
  static const char *const reasons[] = {"", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"};
  (void)fflush(NULL);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    const pki_set_t *s = pki_default();
    setenv("SSL_CERT_FILE", file, 1);
    setenv("SSL_CERT_DIR", "/nonexistent", 1);
    meeting_t m = meeting_hold(SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem),
                               SP_OPTIONS(.server_name = "localhost"));
    bool fine = m.client.status == 0;
    if (m.client.status != (fine ? 0 : SP_EUNAUTHORIZED) || m.client.authorized != fine)
      _exit(9);
    _exit(strcmp(m.client.reason, reasons[!fine]) ? 8 : !fine);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_in_range(WEXITSTATUS(status), 0, 1);
  return reasons[WEXITSTATUS(status)];
}

static void without_ca_the_systems_roots_count(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  assert_string_equal(reason_with_roots(pki_file(s->root->cert_pem)), "");
  assert_string_equal(reason_with_roots(pki_file(s->stranger_root->cert_pem)),
                      "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
  assert_string_equal(reason_with_roots(pki_path("no-such-file")),
                      "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
  /* and here, with those of this machine */
  meeting_t m = meeting_hold(SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem),
                             SP_OPTIONS(.server_name = "localhost"));
  assert_int_equal(m.client.status, SP_EUNAUTHORIZED);
  assert_string_equal(m.client.reason, "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
  ASSERT_HAS(m.client.error.text, "securepair test root, which is unknown");
  assert_string_equal(m.server.log, "secure(SP_EALERT) close");
}

/* A list alone does not take the system's roots away, nor is one context's list another's. */
static void a_crl_goes_with_the_systems_roots(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  sp_context_t *client =
      context_made(SP_OPTIONS(.crl = SP_LIST(pki_crl(s->root, PKI_THESE(s->server), 0, 0)),
                              .reject_unauthorized = SP_NO));
  meeting_t m = meeting_hold(SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem),
                             SP_OPTIONS(.context = client, .server_name = "localhost"));
  sp_context_release(client);
  assert_string_equal(m.client.reason, "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(client_judges_with_tls_1_2),
      cmocka_unit_test(client_judges_with_tls_1_3),
      cmocka_unit_test(server_judges_with_tls_1_2),
      cmocka_unit_test(server_judges_with_tls_1_3),
      cmocka_unit_test(four_ways_to_ask_for_a_certificate),
      cmocka_unit_test(a_client_learns_late_that_a_certificate_is_required),
      cmocka_unit_test(a_certificate_without_its_key_is_none),
      cmocka_unit_test(both_ends_of_the_validity_belong_to_it),
      cmocka_unit_test(times_of_odd_form_are_refused),
      cmocka_unit_test(without_ca_the_systems_roots_count),
      cmocka_unit_test(a_crl_goes_with_the_systems_roots),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
