/* Trusted certificates that many contexts share, and chains that end before the root. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>

#include <securepair/context.h>

#include "context/context.h"
#include "support/contexts.h"
#include "support/couple.h"
#include "support/duet.h"
#include "support/pki.h"

static sp_trust_t *trust_made(const char *const *pems, size_t count) {
  sp_trust_t *trust;
  sp_error_t why = {.status = 0};
  if (sp_trust_new(&trust, pems, count, &why) < 0)
    fail_msg("%s: %s", sp_error_name(why.status), why.text);
  assert_int_equal(ERR_peek_error(), 0);
  return trust;
}

static sp_trust_t *trust_in(const pki_t *one) {
  return trust_made((const char *const[]){one->cert_pem}, 1);
}

static sp_context_t *server_of(const pki_t *pki) {
  return context_made(SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem));
}

/* How a client judges a server that shows `pki` alone. */
static long judged(sp_context_t *client, const pki_t *pki) {
  sp_context_t *server = server_of(pki);
  duet_t duet = duet_make(client, server);
  int done = duet_run(&duet);
  long result = SSL_get_verify_result(duet.client);
  assert_int_equal(done, result == X509_V_OK ? 1 : -1);
  duet_free(&duet);
  sp_context_release(server);
  ERR_clear_error();
  return result;
}

static long verdict(const sp_options_t *options, const pki_t *pki) {
  sp_context_t *client = context_made(options);
  long result = judged(client, pki);
  sp_context_release(client);
  return result;
}

static void contexts_share_what_was_read_once(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  sp_trust_t *trust = trust_in(s->root);
  sp_context_t *one = context_made(SP_OPTIONS(.trust = trust));
  sp_context_t *other = context_made(SP_OPTIONS(.trust = trust));
  assert_ptr_equal(SSL_CTX_get_cert_store(one->ssl_ctx), SSL_CTX_get_cert_store(other->ssl_ctx));
  assert_false(one->system_roots);
  sp_trust_release(trust);
  assert_int_equal(judged(one, s->server), X509_V_OK);
  assert_int_equal(judged(one, s->stranger), X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
  sp_context_release(one);
  assert_int_equal(judged(other, s->server), X509_V_OK);
  sp_context_release(other);
}

static void texts_may_hold_many(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const char *both = pki_join(PKI_LIST(s->root->cert_pem, s->stranger_root->cert_pem));
  const char *const bundle[] = {both}, *const apart[] = {s->root->cert_pem,
                                                         s->stranger_root->cert_pem};
  sp_trust_t *trusts[] = {trust_made(bundle, 1), trust_made(apart, 2)};
  for (int i = 0; i < 2; i++) {
    assert_int_equal(verdict(SP_OPTIONS(.trust = trusts[i]), s->server), X509_V_OK);
    assert_int_equal(verdict(SP_OPTIONS(.trust = trusts[i]), s->stranger), X509_V_OK);
    sp_trust_release(trusts[i]);
  }
}

static void an_empty_one_trusts_nobody(void **state) {
  (void)state;
  sp_trust_t *trust = trust_made(NULL, 0);
  assert_int_equal(verdict(SP_OPTIONS(.trust = trust), pki_default()->server),
                   X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
  sp_trust_release(sp_trust_retain(trust));
  sp_trust_release(trust);
  sp_trust_release(NULL);
}

static void refused(const char *const *pems, size_t count, const char *word, const char *what) {
  sp_trust_t *trust = (sp_trust_t *)&count;
  sp_error_t why = {.status = 0};
  assert_int_equal(sp_trust_new(&trust, pems, count, &why), SP_ECA);
  assert_null(trust);
  assert_int_equal(why.status, SP_ECA);
  assert_non_null(strstr(why.text, word));
  assert_non_null(strstr(why.text, what));
  assert_int_equal(ERR_peek_error(), 0);
  assert_int_equal(sp_trust_new(&trust, pems, count, NULL), SP_ECA);
}

static void junk_is_named(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const char *good = s->root->cert_pem;
  refused((const char *const[]){good, "junk"}, 2, "ca[1]", "no certificate");
  refused((const char *const[]){""}, 1, "ca[0]", "nothing at all");
  refused((const char *const[]){good, NULL}, 2, "ca[1]", "NULL");
  refused((const char *const[]){s->root->key_pem}, 1, "ca[0], line 1", "PRIVATE KEY");
  refused((const char *const[]){"-----BEGIN CERTIFICATE-----\nMIIB\n"
                                "-----END CERTIFICATE-----\n"},
          1, "ca[0], line 1", "damaged");
}

static void it_stands_in_place_of_ca(void **state) {
  (void)state;
  sp_trust_t *trust = trust_in(pki_default()->root);
  REFUSED(SP_OPTIONS(.trust = trust, .ca = SP_EMPTY_LIST), SP_EOPTION, "trust", "ca");
  REFUSED(SP_OPTIONS(.trust = trust, .ca_files = SP_LIST("x")), SP_EOPTION, "trust", "ca");
  sp_trust_release(trust);
}

static void a_revocation_list_stays_with_its_context(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  sp_trust_t *trust = trust_in(s->root);
  const char *crl = pki_crl(s->root, PKI_THESE(s->server), 0, 0);
  assert_int_equal(verdict(SP_OPTIONS(.trust = trust, .crl = SP_LIST(crl)), s->server),
                   X509_V_ERR_CERT_REVOKED);
  assert_int_equal(verdict(SP_OPTIONS(.trust = trust), s->server), X509_V_OK);
  sp_trust_release(trust);
}

static void a_server_tells_whom_it_trusts(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const char *const both[] = {s->root->cert_pem, s->stranger_root->cert_pem};
  sp_trust_t *trust = trust_made(both, 2);
  sp_context_t *asks = context_made(SP_OPTIONS(.trust = trust, .request_cert = SP_YES));
  sp_context_t *silent = context_made(SP_OPTIONS(.trust = trust));
  assert_int_equal(sk_X509_NAME_num(SSL_CTX_get_client_CA_list(asks->ssl_ctx)), 2);
  assert_int_equal(sk_X509_NAME_num(SSL_CTX_get_client_CA_list(silent->ssl_ctx)), 0);
  sp_context_release(asks);
  sp_context_release(silent);
  sp_trust_release(trust);
}

static void a_chain_is_completed_from_it(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  sp_trust_t *trust = trust_in(s->intermediate);
  sp_context_t *server =
      context_made(SP_OPTIONS(.key = s->server_behind->key_pem, .cert = s->server_behind->cert_pem,
                              .trust = trust));
  STACK_OF(X509) *chain = NULL;
  SSL_CTX_get0_chain_certs(server->ssl_ctx, &chain);
  assert_int_equal(sk_X509_num(chain), 1);
  sp_context_release(server);
  sp_trust_release(trust);
}

/* A session may come back only where the same ones decide about it. */
static void policies_differ_by_what_is_trusted(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  sp_trust_t *trust = trust_in(s->root), *other = trust_in(s->stranger_root);
  sp_context_t *contexts[] = {context_made(SP_OPTIONS(.trust = trust)),
                              context_made(SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem))),
                              context_made(SP_OPTIONS(.trust = other)),
                              context_made(SP_OPTIONS(.trust = trust, .partial_chain = SP_YES))};
  assert_memory_equal(contexts[0]->policy, contexts[1]->policy, 32);
  assert_memory_not_equal(contexts[0]->policy, contexts[2]->policy, 32);
  assert_memory_not_equal(contexts[0]->policy, contexts[3]->policy, 32);
  for (int i = 0; i < 4; i++)
    sp_context_release(contexts[i]);
  sp_trust_release(trust);
  sp_trust_release(other);
}

/* -- partial chains ---------------------------------------------------------------------------- */

static void a_partial_chain_ends_at_what_is_trusted(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const char *middle = s->intermediate->cert_pem, *leaf = s->server_behind->cert_pem;
  assert_int_equal(verdict(SP_OPTIONS(.ca = SP_LIST(middle)), s->server_behind),
                   X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT);
  assert_int_equal(
      verdict(SP_OPTIONS(.ca = SP_LIST(middle), .partial_chain = SP_YES), s->server_behind),
      X509_V_OK);
  assert_int_equal(
      verdict(SP_OPTIONS(.ca = SP_LIST(leaf), .partial_chain = SP_YES), s->server_behind),
      X509_V_OK);
  assert_int_equal(verdict(SP_OPTIONS(.ca = SP_LIST(middle), .partial_chain = SP_YES), s->stranger),
                   X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
  sp_trust_t *trust = trust_in(s->intermediate);
  assert_int_equal(verdict(SP_OPTIONS(.trust = trust, .partial_chain = SP_YES), s->server_behind),
                   X509_V_OK);
  assert_int_equal(verdict(SP_OPTIONS(.trust = trust), s->server_behind),
                   X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT);
  sp_trust_release(trust);
  REFUSED(SP_OPTIONS(.partial_chain = (sp_choice_t)7), SP_EOPTION, "partial_chain");
}

static sp_context_t *chosen;

static int choose(sp_pair_t *pair, const char *name, void *data) {
  (void)name, (void)data;
  return sp_pair_use_context(pair, chosen);
}

static sp_context_t *asking(sp_choice_t partial_chain) {
  const pki_set_t *s = pki_default();
  return context_made(SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem,
                                 .ca = SP_LIST(s->intermediate->cert_pem), .request_cert = SP_YES,
                                 .partial_chain = partial_chain, .hooks.server_name = choose));
}

/* The context that a hook chooses decides, not the one that the connection began with. */
static void the_chosen_context_decides(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const pki_t *pki = PKI_MAKE(s->intermediate, .cn = "client");
  sp_context_t *contexts[] = {asking(SP_NO), asking(SP_YES)};
  sp_context_t *client = context_made(
      SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem, .ca = SP_LIST(s->root->cert_pem)));
  for (int i = 0; i < 2; i++) {
    chosen = contexts[i];
    couple_t couple;
    couple_make_of(&couple, client, contexts[!i]);
    couple_shake_hands(&couple);
    assert_int_equal(sp_pair_is_authorized(couple.server.pair), i);
    couple_free(&couple);
  }
  sp_context_release(client);
  sp_context_release(contexts[0]);
  sp_context_release(contexts[1]);
}

/* -- threads ----------------------------------------------------------------------------------- */

#define THREADS 4

typedef struct shared {
  sp_trust_t *trust;
  sp_context_t *server;
  pthread_barrier_t start;
  atomic_int failed;
} shared_t;

/* No cmocka in here: its assertions belong to the main thread. */
static void *make_and_verify(void *data) {
  shared_t *shared = data;
  sp_trust_t *trust = sp_trust_retain(shared->trust);
  pthread_barrier_wait(&shared->start);
  for (int i = 0; i < 10; i++) {
    sp_context_t *client = NULL;
    if (sp_context_new(&client, NULL, SP_OPTIONS(.trust = trust, .request_cert = SP_YES)) < 0) {
      atomic_fetch_add(&shared->failed, 1);
      continue;
    }
    duet_t duet = duet_make(client, shared->server);
    sp_context_release(client);
    if (duet_run(&duet) != 1 || SSL_get_verify_result(duet.client) != X509_V_OK)
      atomic_fetch_add(&shared->failed, 1);
    duet_free(&duet);
  }
  sp_trust_release(trust);
  return NULL;
}

static void threads_share_it(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  const char *const both[] = {pki_default()->stranger_root->cert_pem,
                              pki_default()->root->cert_pem};
  shared_t shared = {.trust = trust_made(both, 2), .server = server_of(pki_default()->server)};
  pthread_barrier_init(&shared.start, NULL, THREADS);
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, make_and_verify, &shared), 0);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&shared.start);
  assert_int_equal(atomic_load(&shared.failed), 0);
  sp_context_release(shared.server);
  sp_trust_release(shared.trust);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(contexts_share_what_was_read_once),
      cmocka_unit_test(texts_may_hold_many),
      cmocka_unit_test(an_empty_one_trusts_nobody),
      cmocka_unit_test(junk_is_named),
      cmocka_unit_test(it_stands_in_place_of_ca),
      cmocka_unit_test(a_revocation_list_stays_with_its_context),
      cmocka_unit_test(a_server_tells_whom_it_trusts),
      cmocka_unit_test(a_chain_is_completed_from_it),
      cmocka_unit_test(policies_differ_by_what_is_trusted),
      cmocka_unit_test(a_partial_chain_ends_at_what_is_trusted),
      cmocka_unit_test(the_chosen_context_decides),
      cmocka_unit_test(threads_share_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
