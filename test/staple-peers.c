/* OCSP responses with OpenSSL's and GnuTLS's programs: made by `openssl ocsp`, sent to and by both.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <securepair.h>

#include "support/contexts.h"
#include "support/program.h"
#include "support/staple.h"

static const char *shown_with_root(const pki_t *pki) {
  return pki_join(PKI_LIST(pki->cert_pem, pki_default()->root->cert_pem));
}

/* -- openssl ocsp ------------------------------------------------------------------------------ */

static void run(const char *const *args) {
  fixture_t *f = fixture_new();
  child_t *child = child_start(&f->loop, args);
  int status = child_wait(child);
  if (status)
    fail_msg("%s %s: %s", args[0], args[1], child_err(child));
  child_free(child);
  fixture_free(f);
}

/* As its authority keeps the certificate in its index: V(alid) or R(evoked). */
static const char *make_index(const pki_t *pki, bool revoked) {
  char line[256];
  BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(pki->x509), NULL);
  char *serial = BN_bn2hex(number);
  (void)snprintf(line, sizeof line, "%s\t%s\t%s\t%s\tunknown\t/CN=localhost\n", revoked ? "R" : "V",
                 "400101000000Z", revoked ? "240101000000Z" : "", serial);
  OPENSSL_free(serial);
  BN_free(number);
  return pki_file(line);
}

static const char *make_response(const pki_t *pki, bool revoked) {
  const pki_t *delegate = staple_delegate(pki_default()->root);
  const char *request = pki_file(""), *response = pki_file("");
  run(CHILD_ARGS("openssl", "ocsp", "-issuer", program_root(), "-cert", pki_file(pki->cert_pem),
                 "-reqout", request));
  run(CHILD_ARGS("openssl", "ocsp", "-index", make_index(pki, revoked), "-CA", program_root(),
                 "-rsigner", pki_file(delegate->cert_pem), "-rkey", pki_file(delegate->key_pem),
                 "-reqin", request, "-respout", response, "-ndays", "1"));
  return response;
}

static void responses_of_openssl_ocsp(void **state) {
  (void)state;
  PROGRAM_NEEDED("openssl");
  const pki_t *pki = pki_default()->server;
  const char *good = make_response(pki, false), *revoked = make_response(pki, true);
  sp_context_release(context_made(SP_OPTIONS(.key = pki->key_pem, .cert = shown_with_root(pki),
                                             .staple_files = SP_LIST(good))));
  REFUSED(SP_OPTIONS(.key = pki->key_pem, .cert = shown_with_root(pki),
                     .staple_files = SP_LIST(revoked)),
          SP_ESTAPLE, revoked, "revoked", "2024-01-01");
}

/* -- openssl s_client, s_server ---------------------------------------------------------------- */

static void s_client_reads_ours(void **state) {
  (void)state;
  PROGRAM_NEEDED("openssl");
  const pki_t *pki = pki_default()->server;
  const char *file = make_response(pki, false);
  EACH_PROGRAM_VERSION(v) {
    program_t *p = program_new();
    char address[32];
    program_serve(p, SP_OPTIONS(.key = pki->key_pem, .cert = shown_with_root(pki),
                                .staple_files = SP_LIST(file)));
    (void)snprintf(address, sizeof address, "127.0.0.1:%d", p->f->port);
    p->child = child_start(&p->f->loop, CHILD_ARGS("openssl", "s_client", "-connect", address,
                                                   "-status", program_versions[v].flag));
    assert_true(child_wait_for(p->child, "OCSP Response Status: successful"));
    assert_true(child_wait_for(p->child, "Cert Status: good"));
    child_tell_end(p->child);
    (void)child_wait(p->child);
    talker_wait_close(program_served(p, 0));
    program_free(p);
  }
}

static talker_t *call(program_t *p, sp_protocol_t version, sp_choice_t require) {
  const char *root[] = {pki_default()->root->cert_pem, NULL};
  int port = program_port(p);
  if (!port)
    fail_msg("%s", child_err(p->child));
  return program_connect(p, SP_OPTIONS(.host = "127.0.0.1", .port = port, .ca = root,
                                       .server_name = "localhost", .max_version = version,
                                       .request_staple = SP_YES, .require_staple = require));
}

static void wait_secure(talker_t *talker) {
  while (!talker->actor->counts[ON_SECURE])
    uv_run(&talker->actor->fixture->loop, UV_RUN_ONCE);
}

/* What our client makes of a server's response, when it may and when it must be good. */
static void judge(program_t *p, size_t v, sp_choice_t require, sp_staple_status_t status) {
  bool fine = require != SP_YES || status == SP_STAPLE_GOOD;
  talker_t *talker = call(p, program_versions[v].version, require);
  wait_secure(talker);
  assert_int_equal(talker->actor->statuses[ON_SECURE], fine ? 0 : SP_EUNAUTHORIZED);
  if (fine) {
    const sp_pair_t *pair = sp_stream_pair(talker->actor->stream);
    assert_int_equal(sp_pair_staple_status(pair, NULL), status);
    assert_true(talker->side.authorized);
    sp_stream_end(talker->actor->stream);
  }
  talker_wait_close(talker);
  program_free(p);
}

static void ours_reads_s_server(void **state) {
  (void)state;
  PROGRAM_NEEDED("openssl");
  const pki_t *pki = pki_default()->server;
  const char *cert = pki_file(pki->cert_pem), *key = pki_file(pki->key_pem);
  const char *files[] = {make_response(pki, false), make_response(pki, true), NULL};
  const sp_staple_status_t statuses[] = {SP_STAPLE_GOOD, SP_STAPLE_REVOKED, SP_STAPLE_NONE};
  for (size_t i = 0; i < 3; i++)
    for (sp_choice_t require = SP_DEFAULT; require <= SP_YES; require++)
      EACH_PROGRAM_VERSION(v) {
        program_t *p = program_new();
        p->child = child_start(&p->f->loop,
                               CHILD_ARGS("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert",
                                          cert, "-key", key, "-rev", program_versions[v].flag,
                                          files[i] ? "-status_file" : NULL, files[i]));
        judge(p, v, require, statuses[i]);
      }
}

/* -- gnutls-cli, gnutls-serv ------------------------------------------------------------------- */

static int on_staple(sp_pair_t *pair, void *data) {
  const staple_t *staple = data;
  return staple->n ? sp_pair_use_staple(pair, staple->der, staple->n) : 0;
}

static void check_cli(size_t v, const pki_t *pki, staple_t *staple, const char *words, bool fine) {
  program_t *p = program_new();
  char port[16];
  program_serve(p, SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem, .hooks.staple = on_staple,
                              .hooks_data = staple));
  (void)snprintf(port, sizeof port, "%d", p->f->port);
  p->child =
      child_start(&p->f->loop, CHILD_ARGS("gnutls-cli", "-p", port, "--x509cafile", program_root(),
                                          "--sni-hostname=localhost", "--verify-hostname=localhost",
                                          "--priority", program_versions[v].priority, "127.0.0.1"));
  if (!child_wait_for(p->child, words))
    fail_msg("gnutls-cli: %s %s", child_out(p->child, NULL), child_err(p->child));
  child_tell_end(p->child);
  assert_int_equal(child_wait(p->child) == 0, fine);
  talker_wait_close(program_served(p, 0));
  program_free(p);
}

/* It asks by itself, and refuses what is revoked, or missing where the certificate demands it. */
static void gnutls_cli_reads_ours(void **state) {
  (void)state;
  PROGRAM_NEEDED("gnutls-cli");
  const pki_set_t *s = pki_default();
  const pki_t *strict = PKI_MAKE(s->root, .cn = "strict", .dns = PKI_LIST("localhost"),
                                 .extra = PKI_LIST("tlsfeature=status_request"));
  staple_t good = STAPLE(0), revoked = STAPLE(.verdict = V_OCSP_CERTSTATUS_REVOKED);
  staple_t none = {.n = 0}, strictly = STAPLE(.about = strict);
  EACH_PROGRAM_VERSION(v) {
    check_cli(v, s->server, &good, "OCSP status request", true);
    check_cli(v, strict, &strictly, "OCSP status request", true);
    check_cli(v, s->server, &revoked, "The certificate chain is revoked", false);
    check_cli(v, strict, &none, "the OCSP status is missing", false);
  }
}

static void ours_reads_gnutls_serv(void **state) {
  (void)state;
  PROGRAM_NEEDED("gnutls-serv");
  const pki_t *pki = pki_default()->server;
  const char *cert = pki_file(shown_with_root(pki)), *key = pki_file(pki->key_pem);
  const char *file = staple_file(STAPLE(0));
  char option[4200];
  (void)snprintf(option, sizeof option, "--ocsp-response=%s", file);
  for (sp_choice_t require = SP_DEFAULT; require <= SP_YES; require++)
    for (int given = 0; given < 2; given++)
      EACH_PROGRAM_VERSION(v) {
        program_t *p = program_new();
        p->child = child_start(&p->f->loop,
                               CHILD_ARGS("gnutls-serv", "-p", "0", "--echo", "--x509certfile",
                                          cert, "--x509keyfile", key, "--priority",
                                          program_versions[v].priority, given ? option : NULL));
        judge(p, v, require, given ? SP_STAPLE_GOOD : SP_STAPLE_NONE);
      }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(responses_of_openssl_ocsp), cmocka_unit_test(s_client_reads_ours),
      cmocka_unit_test(ours_reads_s_server),       cmocka_unit_test(gnutls_cli_reads_ours),
      cmocka_unit_test(ours_reads_gnutls_serv),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
