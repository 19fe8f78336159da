/* The OCSP responses that a server's context sends: read and checked whole when it is made, sent to
 * who asks, each with its certificate, and not when out of date. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/ssl.h>
#include <uv.h>

#include "support/clock.h"
#include "support/contexts.h"
#include "support/couple.h"
#include "support/staple.h"

#define EACH(version) for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3; version++)

/* The chain that is shown ends with who issued it. */
static const char *shown(const pki_t *pki, const pki_t *issuer) {
  return pki_join(PKI_LIST(pki->cert_pem, issuer->cert_pem));
}

#define SERVER(...)                                                                                \
  SP_OPTIONS(.key = pki_default()->server->key_pem,                                                \
             .cert = shown(pki_default()->server, pki_default()->root), __VA_ARGS__)

/* What a client gets that asks for a response, with TLS `version` and `sigalgs` (NULL: any). */
static void gets(sp_context_t *server, sp_protocol_t version, const char *sigalgs,
                 const staple_t *expected) {
  couple_t couple;
  couple_make_with(&couple,
                   SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem), .max_version = version,
                              .sigalgs = sigalgs, .request_staple = SP_YES),
                   SP_OPTIONS(.context = server));
  couple_shake_hands(&couple);
  size_t n;
  const void *der = sp_pair_staple(couple.client.pair, &n);
  assert_int_equal(n, expected ? expected->n : 0);
  if (expected)
    assert_memory_equal(der, expected->der, n);
  const unsigned char *copy = NULL; /* none stays with a connection */
  assert_true(SSL_get_tlsext_status_ocsp_resp(sp_pair_ssl(couple.server.pair), &copy) <= 0);
  couple_free(&couple);
}

static void sent_to_who_asks(const sp_options_t *options, const staple_t *expected) {
  sp_context_t *server = context_made(options);
  EACH(version) gets(server, version, NULL, expected);
  sp_context_release(server);
}

static void der_pem_and_bytes(void **state) {
  (void)state;
  staple_t staple = STAPLE(.nonce = true);
  sent_to_who_asks(SERVER(.staple_files = SP_LIST(staple_file(staple))), &staple);
  sent_to_who_asks(SERVER(.staple_files = SP_LIST(staple_pem_file(staple))), &staple);
  sent_to_who_asks(SERVER(.staple = staple.der, .staple_size = staple.n), &staple);
  sent_to_who_asks(SERVER(.staple_files = SP_EMPTY_LIST), NULL);
}

static void nobody_who_does_not_ask_gets_it(void **state) {
  (void)state;
  staple_t staple = STAPLE(0);
  sp_context_t *server = context_made(SERVER(.staple = staple.der, .staple_size = staple.n));
  couple_t couple;
  couple_make_of(&couple, couple_client_context(SP_PROTOCOL_DEFAULT), server);
  couple_shake_hands(&couple);
  size_t n = 1;
  assert_null(sp_pair_staple(couple.client.pair, &n));
  assert_int_equal(n, 0);
  couple_free(&couple);
  sp_context_release(server);
}

/* The issuer is in the chain, or among the trusted; the signer is the issuer or its delegate. */
static void ways_to_be_signed(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const pki_t *delegate = staple_delegate(s->root);
  const staple_t all[] = {
      STAPLE(.by_key = true),
      STAPLE(.id_digest = "sha256"),
      STAPLE(.signer = delegate, .with_signer = true),
      STAPLE(.signer = delegate, .with_signer = true, .by_key = true),
      STAPLE(.others = 100),
      STAPLE(.no_end = true),
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    sent_to_who_asks(SERVER(.staple = all[i].der, .staple_size = all[i].n), &all[i]);
  const sp_options_t *by_ca =
      SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem,
                 .ca = SP_LIST(s->root->cert_pem), .staple = all[0].der, .staple_size = all[0].n);
  sent_to_who_asks(by_ca, &all[0]);
}

static void each_certificate_has_its_own(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const pki_t *rsa = PKI_MAKE(s->root, .cn = "x", .dns = PKI_LIST("localhost"), .key = "rsa");
  staple_t of_ec = STAPLE(0), of_rsa = STAPLE(.about = rsa);
  const sp_identity_t more[] = {{.key = rsa->key_pem, .cert = shown(rsa, s->root)}};
  sp_context_t *both =
      context_made(SERVER(.identities = more, .identity_count = 1,
                          .staple_files = SP_LIST(staple_file(of_rsa), staple_file(of_ec))));
  sp_context_t *one = context_made(SERVER(.identities = more, .identity_count = 1,
                                          .staple = of_rsa.der, .staple_size = of_rsa.n));
  EACH(version) {
    gets(both, version, "ECDSA+SHA256", &of_ec);
    gets(both, version, "RSA-PSS+SHA256", &of_rsa);
    gets(one, version, "ECDSA+SHA256", NULL);
    gets(one, version, "RSA-PSS+SHA256", &of_rsa);
  }
  sp_context_release(both);
  sp_context_release(one);
}

/* With nextUpdate the last word; on disk or in memory, the clock decides at each handshake. */
static void one_that_is_out_of_date_is_taken_but_not_sent(void **state) {
  (void)state;
  staple_t fresh = STAPLE(0), old = STAPLE(.from = -7200, .to = -3600);
  staple_t coming = STAPLE(.from = 3600, .to = 7200);
  sent_to_who_asks(SERVER(.staple = old.der, .staple_size = old.n), NULL);
  sent_to_who_asks(SERVER(.staple = coming.der, .staple_size = coming.n), NULL);
  sp_context_t *server = context_made(SERVER(.staple = fresh.der, .staple_size = fresh.n));
  int64_t until = sp_context_staple_until(server), now = (int64_t)time(NULL);
  assert_in_range(until, now + 3500, now + 3600);
  gets(server, SP_TLS1_3, NULL, &fresh);
  clock_shift(3590);
  gets(server, SP_TLS1_3, NULL, &fresh);
  clock_shift(3601);
  gets(server, SP_TLS1_3, NULL, NULL);
  clock_shift(0);
  gets(server, SP_TLS1_3, NULL, &fresh);
  sp_context_release(server);
}

static void until_when_they_are_sent(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const pki_t *rsa = PKI_MAKE(s->root, .cn = "x", .key = "rsa");
  staple_t of_ec = STAPLE(0), of_rsa = STAPLE(.about = rsa, .from = -7200, .to = -3600);
  const sp_identity_t more[] = {{.key = rsa->key_pem, .cert = shown(rsa, s->root)}};
  sp_context_t *server = context_made(SERVER(.identities = more, .identity_count = 1,
                                             .staple_files = SP_LIST(staple_file(of_rsa)),
                                             .staple = of_ec.der, .staple_size = of_ec.n));
  assert_in_range(sp_context_staple_until(server), 1, (int64_t)time(NULL) - 3590);
  sp_context_release(server);
  server = context_made(SERVER(.staple_files = NULL));
  assert_int_equal(sp_context_staple_until(server), 0);
  sp_context_release(server);
}

static sp_context_t *of_file(const char *file) {
  return context_made(SERVER(.staple_files = SP_LIST(file)));
}

/* A hook goes before; a file is what is left when it gives nothing. */
static bool gives;
static staple_t given;

static int on_staple(sp_pair_t *pair, void *data) {
  (void)data;
  return gives ? sp_pair_use_staple(pair, given.der, given.n) : 0;
}

static void the_hook_comes_first(void **state) {
  (void)state;
  staple_t ready = STAPLE(0);
  given = STAPLE(.no_end = true);
  sp_context_t *server =
      context_made(SERVER(.staple = ready.der, .staple_size = ready.n, .hooks.staple = on_staple));
  EACH(version) for (int i = 0; i < 2; i++) {
    gives = i;
    gets(server, version, NULL, gives ? &given : &ready);
  }
  sp_context_release(server);
}

/* The context that is chosen by name sends its own. */
static sp_context_t *chosen;

static int on_name(sp_pair_t *pair, const char *name, void *data) {
  (void)name, (void)data;
  return sp_pair_use_context(pair, chosen);
}

static void the_chosen_context_sends_its_own(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const pki_t *other = PKI_MAKE(s->root, .cn = "x", .dns = PKI_LIST("localhost"));
  staple_t first = STAPLE(0), second = STAPLE(.about = other);
  chosen = context_made(SP_OPTIONS(.key = other->key_pem, .cert = shown(other, s->root),
                                   .staple = second.der, .staple_size = second.n));
  sp_context_t *server = context_made(
      SERVER(.staple = first.der, .staple_size = first.n, .hooks.server_name = on_name));
  EACH(version) gets(server, version, NULL, &second);
  sp_context_release(chosen);
  chosen = of_file(staple_file(first));
  EACH(version) gets(server, version, NULL, &first);
  sp_context_release(chosen);
  sp_context_release(server);
}

/* -- refused when the context is made ---------------------------------------------------------- */

static void refused(const staple_spec_t *spec, const char *words) {
  const char *file = staple_file(staple_make(spec));
  REFUSED(SERVER(.staple_files = SP_LIST(file)), SP_ESTAPLE, "staple_files", file, words);
}
#define REFUSED_STAPLE(words, ...) refused(&(const staple_spec_t){__VA_ARGS__}, words)

static void what_is_no_good_is_named(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const pki_t *namesake = PKI_MAKE(NULL, .cn = "securepair test root", .ca = true);
  const pki_t *plain = PKI_MAKE(s->root, .cn = "no responder");
  const pki_t *old =
      PKI_MAKE(s->root, .cn = "late", .eku = "OCSPSigning", .from = -9 * PKI_DAY, .to = -PKI_DAY);
  const pki_t *foreign = staple_delegate(s->stranger_root);
  const pki_t *weak = PKI_MAKE(s->root, .cn = "weak", .eku = "OCSPSigning", .key = "rsa1024");
  REFUSED_STAPLE("revoked by securepair test root", .verdict = V_OCSP_CERTSTATUS_REVOKED);
  REFUSED_STAPLE("keyCompromise", .verdict = V_OCSP_CERTSTATUS_REVOKED,
                 .reason = OCSP_REVOKED_STATUS_KEYCOMPROMISE);
  REFUSED_STAPLE("does not know", .verdict = V_OCSP_CERTSTATUS_UNKNOWN);
  REFUSED_STAPLE("another certificate", .about = s->client);
  REFUSED_STAPLE("another certificate", .issuer = s->stranger_root);
  REFUSED_STAPLE("not properly signed by securepair test root", .signer = namesake);
  REFUSED_STAPLE("signed by somebody unknown", .signer = s->stranger_root);
  REFUSED_STAPLE("signed by somebody unknown", .signer = staple_delegate(s->root));
  REFUSED_STAPLE("did not appoint", .signer = s->stranger_root, .with_signer = true);
  REFUSED_STAPLE("did not appoint", .signer = foreign, .with_signer = true);
  REFUSED_STAPLE("lacks the usage OCSPSigning", .signer = plain, .with_signer = true);
  REFUSED_STAPLE("has expired", .signer = old, .with_signer = true);
  REFUSED_STAPLE("too weak", .signer = weak, .with_signer = true);
  REFUSED_STAPLE("too weak", .digest = "sha1");
  REFUSED_STAPLE("critical extension", .critical = true);
  REFUSED_STAPLE("\"trylater\"", .failure = OCSP_RESPONSE_STATUS_TRYLATER);
}

static void junk_is_named(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  staple_t good = STAPLE(0);
  static char large[16381] = "0";
  const char *none = pki_path("no-such-file");
  REFUSED(SERVER(.staple_files = SP_LIST(none)), UV_ENOENT, none);
  REFUSED(SERVER(.staple_files = SP_LIST(pki_file("junk"))), SP_ESTAPLE, "neither");
  REFUSED(SERVER(.staple_files = SP_LIST(pki_file(""))), SP_ESTAPLE, "neither");
  REFUSED(SERVER(.staple_files = SP_LIST(pki_file(s->root->cert_pem))), SP_ESTAPLE, "line 1",
          "CERTIFICATE");
  REFUSED(SERVER(.staple_files = SP_LIST(pki_file("-----BEGIN OCSP RESPONSE-----\nM!\n"
                                                  "-----END OCSP RESPONSE-----\n"))),
          SP_ESTAPLE, "line 1", "damaged");
  REFUSED(SERVER(.staple_files = SP_LIST(pki_file_bytes(large, sizeof large))), SP_ESTAPLE,
          "larger");
  REFUSED(SERVER(.staple = good.der, .staple_size = good.n - 1), SP_ESTAPLE, "staple: is no OCSP");
  REFUSED(SERVER(.staple = good.der, .staple_size = 0), SP_ESTAPLE, "staple");
  unsigned char *more = OPENSSL_malloc(good.n + 1);
  memcpy(more, good.der, good.n);
  more[good.n] = 0;
  REFUSED(SERVER(.staple = more, .staple_size = good.n + 1), SP_ESTAPLE, "behind its end");
  OPENSSL_free(more);
}

static void who_issued_it_has_to_be_known(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  staple_t good = STAPLE(0);
  REFUSED(SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem, .staple = good.der,
                     .staple_size = good.n),
          SP_ESTAPLE, "issuer", "append");
  REFUSED(SP_OPTIONS(.staple = good.der, .staple_size = good.n), SP_ESTAPLE, "no certificate");
}

/* Every bit of it counts. */
static void a_changed_bit_is_seen(void **state) {
  (void)state;
  staple_t good = STAPLE(0);
  for (size_t bit = 0; bit < good.n * 8; bit += 13) {
    sp_context_t *context = NULL;
    sp_error_t why;
    good.der[bit / 8] ^= (unsigned char)(1 << bit % 8);
    int status = sp_context_new(&context, &why, SERVER(.staple = good.der, .staple_size = good.n));
    if (status != SP_ESTAPLE)
      fail_msg("bit %zu: %s", bit, sp_error_name(status));
    good.der[bit / 8] ^= (unsigned char)(1 << bit % 8);
  }
}

int main(void) {
  setenv("SSL_CERT_FILE", pki_path("no-such-file"), 1);
  setenv("SSL_CERT_DIR", pki_path("no-such-folder"), 1);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(der_pem_and_bytes),
      cmocka_unit_test(nobody_who_does_not_ask_gets_it),
      cmocka_unit_test(ways_to_be_signed),
      cmocka_unit_test(each_certificate_has_its_own),
      cmocka_unit_test(one_that_is_out_of_date_is_taken_but_not_sent),
      cmocka_unit_test(until_when_they_are_sent),
      cmocka_unit_test(the_hook_comes_first),
      cmocka_unit_test(the_chosen_context_sends_its_own),
      cmocka_unit_test(what_is_no_good_is_named),
      cmocka_unit_test(junk_is_named),
      cmocka_unit_test(who_issued_it_has_to_be_known),
      cmocka_unit_test(a_changed_bit_is_seen),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
