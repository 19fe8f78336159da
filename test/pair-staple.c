/* OCSP responses along with the certificate: asked for, answered now, later or not at all. What is
 * in them is the program's business: here any bytes will do, but for openssl, which reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/async.h>
#include <openssl/ocsp.h>

#include "support/contexts.h"
#include "support/couple.h"
#include "support/program.h"
#include "support/signing.h"

static const manner_t whole = {.read = 0};
static const char response[] = "not really a response";

static struct {
  size_t asked;
  int answer;
  bool silent, in_job;
  const void *der;
  size_t n;
} now;

static int on_staple(sp_pair_t *pair, void *data) {
  (void)data;
  now.asked++;
  now.in_job |= ASYNC_get_current_job() != NULL;
  if (now.answer || now.silent)
    return now.answer;
  return sp_pair_use_staple(pair, now.der, now.n);
}

static int on_sign(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n, void *data) {
  uint8_t signature[512];
  (void)data;
  size_t size =
      signing_sign(pki_default()->server->key, scheme, message, n, signature, sizeof signature);
  return size ? sp_pair_sign_with(pair, signature, size) : SP_ECRYPTO;
}

static void reset(void) {
  memset(&now, 0, sizeof now);
  now.der = response;
  now.n = sizeof response;
}

/* With `signs` the private key is behind a hook, so that OpenSSL works in a job. */
static sp_context_t *server_of(sp_protocol_t version, bool signs) {
  const pki_t *pki = pki_default()->server;
  sp_options_t options = {.size = sizeof options, .cert = pki->cert_pem, .max_version = version};
  options.hooks.staple = on_staple;
  if (signs)
    options.hooks.sign = on_sign;
  else
    options.key = pki->key_pem;
  return context_made(&options);
}

#define EACH(version, signs)                                                                       \
  for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3; version++)                         \
    for (int signs = 0; signs < 2; signs++)

static void begin(couple_t *couple, sp_context_t *server, sp_choice_t wanted) {
  couple_make_with(
      couple,
      SP_OPTIONS(.context = couple_client_context(SP_PROTOCOL_DEFAULT), .request_staple = wanted),
      SP_OPTIONS(.context = server));
  couple_run(couple, &whole);
}

static void check(const couple_t *couple, bool stapled) {
  size_t n = 1;
  const void *der = sp_pair_staple(couple->client.pair, &n);
  assert_true(sp_pair_state(couple->client.pair) & SP_PAIR_SECURE);
  assert_true(sp_pair_state(couple->server.pair) & SP_PAIR_SECURE);
  assert_int_equal(n, stapled ? now.n : 0);
  if (stapled)
    assert_memory_equal(der, now.der, n);
  else
    assert_null(der);
  assert_null(sp_pair_staple(couple->server.pair, &n));
}

static void answered_at_once(void **state) {
  (void)state;
  EACH(version, signs) {
    couple_t couple;
    sp_context_t *server = server_of(version, signs);
    reset();
    begin(&couple, server, SP_YES);
    check(&couple, true);
    assert_int_equal(now.asked, 1);
    assert_false(now.in_job);
    couple_free(&couple);
    sp_context_release(server);
  }
}

static void not_wanted_or_not_there(void **state) {
  (void)state;
  EACH(version, signs) {
    couple_t couple;
    sp_context_t *server = server_of(version, signs);
    reset();
    begin(&couple, server, SP_DEFAULT);
    check(&couple, false);
    assert_int_equal(now.asked, 0);
    couple_free(&couple);
    now.silent = true;
    begin(&couple, server, SP_YES);
    check(&couple, false);
    assert_int_equal(now.asked, 1);
    couple_free(&couple);
    begin(&couple, couple_server_context(version), SP_YES); /* without a hook */
    check(&couple, false);
    couple_free(&couple);
    sp_context_release(server);
  }
}

static void answered_later(void **state) {
  (void)state;
  enum { ANSWERS, HAS_NONE, REFUSES, RELEASED, WAYS };
  EACH(version, signs)
  for (int way = ANSWERS; way < WAYS; way++) {
    couple_t couple;
    sp_context_t *server = server_of(version, signs);
    reset();
    now.answer = SP_PENDING;
    begin(&couple, server, SP_YES);
    sp_pair_t *pair = couple.server.pair;
    assert_true(sp_pair_state(pair) & SP_PAIR_WAITING);
    assert_int_equal(sp_pair_use_protocol(pair, "a", 1), SP_EOPTION);
    if (way == ANSWERS)
      assert_int_equal(sp_pair_use_staple(pair, response, sizeof response), 0);
    if (way == REFUSES)
      assert_int_equal(sp_pair_resume(pair, SP_EREFUSED), SP_EREFUSED);
    else if (way != RELEASED)
      assert_int_equal(sp_pair_resume(pair, 0), 0);
    couple_run(&couple, &whole);
    assert_int_equal(now.asked, 1);
    if (way == ANSWERS || way == HAS_NONE) {
      check(&couple, way == ANSWERS);
      assert_int_equal(sp_pair_use_staple(pair, response, sizeof response), SP_EOPTION);
    }
    if (way == REFUSES)
      assert_int_equal(sp_pair_error(couple.client.pair)->status, SP_EALERT);
    couple_free(&couple);
    sp_context_release(server);
  }
}

static void refused(void **state) {
  (void)state;
  EACH(version, signs) {
    couple_t couple;
    sp_context_t *server = server_of(version, signs);
    reset();
    now.answer = SP_EREFUSED;
    begin(&couple, server, SP_YES);
    assert_int_equal(sp_pair_error(couple.server.pair)->status, SP_EREFUSED);
    assert_int_equal(sp_pair_error(couple.client.pair)->status, SP_EALERT);
    couple_free(&couple);
    sp_context_release(server);
  }
}

/* No certificate is shown, so there is nothing to say about one. */
static void not_asked_when_resumed(void **state) {
  (void)state;
  EACH(version, signs) {
    couple_t couple;
    uint8_t session[16384];
    sp_context_t *server = server_of(version, signs);
    reset();
    begin(&couple, server, SP_YES);
    size_t n = sp_pair_session(couple.client.pair, session, sizeof session);
    assert_in_range(n, 1, sizeof session);
    couple_free(&couple);
    couple_make_with(&couple,
                     SP_OPTIONS(.context = couple_client_context(SP_PROTOCOL_DEFAULT),
                                .request_staple = SP_YES, .session = session, .session_size = n),
                     SP_OPTIONS(.context = server));
    couple_shake_hands(&couple);
    assert_true(sp_pair_is_resumed(couple.client.pair));
    assert_int_equal(now.asked, 1);
    couple_free(&couple);
    sp_context_release(server);
  }
}

/* -- with openssl ------------------------------------------------------------------------------ */

/* A response of the root's that says "good" of the server's certificate. */
static int make_response(unsigned char **der) {
  const pki_set_t *s = pki_default();
  OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
  OCSP_CERTID *id = OCSP_cert_to_id(NULL, s->server->x509, s->root->x509);
  ASN1_TIME *from = X509_gmtime_adj(NULL, -60), *to = X509_gmtime_adj(NULL, 3600);
  assert_non_null(OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL, from, to));
  assert_int_equal(OCSP_basic_sign(basic, s->root->x509, s->root->key, EVP_sha256(), NULL, 0), 1);
  OCSP_RESPONSE *made = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
  *der = NULL;
  int n = i2d_OCSP_RESPONSE(made, der);
  assert_true(n > 0);
  OCSP_RESPONSE_free(made);
  OCSP_BASICRESP_free(basic);
  OCSP_CERTID_free(id);
  ASN1_TIME_free(from);
  ASN1_TIME_free(to);
  return n;
}

static void s_client_reads_ours(void **state) {
  (void)state;
  if (!child_exists("openssl"))
    skip();
  static const char *const flags[] = {"-tls1_2", "-tls1_3"};
  unsigned char *der;
  reset();
  now.n = (size_t)make_response(&der);
  now.der = der;
  for (size_t i = 0; i < 2; i++) {
    program_t *p = program_new();
    char address[32];
    program_serve(p, FIXTURE_SERVER(.hooks.staple = on_staple));
    (void)snprintf(address, sizeof address, "127.0.0.1:%d", p->f->port);
    p->child = child_start(
        &p->f->loop, CHILD_ARGS("openssl", "s_client", "-connect", address, "-status", flags[i]));
    assert_true(child_wait_for(p->child, "OCSP Response Status: successful"));
    assert_true(child_wait_for(p->child, "Cert Status: good"));
    child_tell_end(p->child);
    (void)child_wait(p->child);
    talker_wait_close(program_served(p, 0));
    program_free(p);
  }
  OPENSSL_free(der);
}

typedef struct got {
  uint8_t bytes[8192];
  size_t n;
} got_t;

static void take_staple(actor_t *actor, fixture_event_t event, int status) {
  if (event != ON_SECURE || status)
    return;
  got_t *got = actor->data;
  const void *der = sp_pair_staple(sp_stream_pair(actor->stream), &got->n);
  assert_in_range(got->n, 1, sizeof got->bytes);
  memcpy(got->bytes, der, got->n);
  sp_stream_end(actor->stream);
}

static void ours_reads_s_server(void **state) {
  (void)state;
  if (!child_exists("openssl"))
    skip();
  static const char *const flags[] = {"-tls1_2", "-tls1_3"};
  const pki_t *pki = pki_default()->server;
  unsigned char *der;
  int n = make_response(&der);
  for (size_t i = 0; i < 2; i++) {
    got_t got = {.n = 0};
    program_t *p = program_new();
    p->child = child_start(
        &p->f->loop, CHILD_ARGS("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert",
                                pki_file(pki->cert_pem), "-key", pki_file(pki->key_pem),
                                "-status_file", pki_file_bytes(der, (size_t)n), "-rev", flags[i]));
    int port = program_port(p);
    assert_true(port > 0);
    actor_t *actor = fixture_connect(
        p->f, SP_OPTIONS(.host = "127.0.0.1", .port = port, .server_name = "localhost",
                         .ca = SP_LIST(pki_default()->root->cert_pem), .request_staple = SP_YES));
    actor->data = &got;
    actor->react = take_staple;
    while (actor->stream)
      uv_run(&p->f->loop, UV_RUN_ONCE);
    assert_int_equal(got.n, n);
    assert_memory_equal(got.bytes, der, got.n);
    program_free(p);
  }
  OPENSSL_free(der);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(answered_at_once),       cmocka_unit_test(not_wanted_or_not_there),
      cmocka_unit_test(answered_later),         cmocka_unit_test(refused),
      cmocka_unit_test(not_asked_when_resumed), cmocka_unit_test(s_client_reads_ours),
      cmocka_unit_test(ours_reads_s_server),
  };
  return cmocka_run_group_tests_name("pair-staple", tests, NULL, NULL);
}
