/* One context, many threads: connections made, run and freed, references taken and dropped, the
 * system's roots and the signer's provider made at the same time (FAULTS A13, A16). Run it under
 * TSan. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <securepair/context.h>

#include "context/context.h"
#include "context/signer.h"
#include "support/contexts.h"
#include "support/duet.h"
#include "support/pki.h"

#define THREADS 4
#define ROUNDS 25

typedef struct shared {
  sp_context_t *client, *server;
  EVP_PKEY *half;
  pthread_barrier_t start;
  atomic_int done, failed;
} shared_t;

static void in_threads(void *(*work)(void *), shared_t *shared) {
  pthread_t threads[THREADS];
  pthread_barrier_init(&shared->start, NULL, THREADS);
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, work, shared), 0);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&shared->start);
  assert_int_equal(atomic_load(&shared->failed), 0);
}

static shared_t shared_contexts(void) {
  const pki_set_t *s = pki_default();
  shared_t shared = {.half = X509_get0_pubkey(s->server->x509)};
  shared.server =
      context_made(SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem,
                              .ca = SP_LIST(s->root->cert_pem), .request_cert = SP_YES));
  shared.client = context_made(SP_OPTIONS(.key = s->client->key_pem, .cert = s->client->cert_pem,
                                          .ca = SP_LIST(s->root->cert_pem), .alpn = SP_LIST("h2")));
  return shared;
}

/* No cmocka in here: its assertions belong to the main thread. */
static void *shake_hands(void *data) {
  shared_t *shared = data;
  pthread_barrier_wait(&shared->start);
  for (int i = 0; i < ROUNDS; i++) {
    sp_context_t *client = sp_context_retain(shared->client);
    sp_context_t *server = sp_context_retain(shared->server);
    duet_t duet = duet_make(client, server);
    sp_context_release(client);
    if (duet_run(&duet) != 1 || SSL_get_verify_result(duet.server) != X509_V_OK)
      atomic_fetch_add(&shared->failed, 1);
    sp_certificate_t *own;
    if (sp_context_certificate(server, &own) < 0)
      atomic_fetch_add(&shared->failed, 1);
    else
      sp_certificate_release(own);
    duet_free(&duet);
    sp_context_release(server);
  }
  return NULL;
}

static void connections_share_a_context(void **state) {
  (void)state;
  shared_t shared = shared_contexts();
  in_threads(shake_hands, &shared);
  assert_int_equal(atomic_load(&shared.client->references), 1);
  assert_int_equal(atomic_load(&shared.server->references), 1);
  sp_context_release(shared.client);
  sp_context_release(shared.server);
}

/* Each thread owns a reference; whoever is last frees. */
static void *drop_reference(void *data) {
  shared_t *shared = data;
  pthread_barrier_wait(&shared->start);
  for (int i = 0; i < 1000; i++)
    sp_context_release(sp_context_retain(shared->client));
  duet_t duet = duet_make(shared->client, shared->server);
  sp_context_release(shared->client);
  sp_context_release(shared->server);
  if (duet_run(&duet) != 1)
    atomic_fetch_add(&shared->failed, 1);
  duet_free(&duet);
  return NULL;
}

static void the_last_reference_frees(void **state) {
  (void)state;
  shared_t shared = shared_contexts();
  for (int i = 1; i < THREADS; i++) {
    sp_context_retain(shared.client);
    sp_context_retain(shared.server);
  }
  in_threads(drop_reference, &shared);
}

static void *make_contexts(void *data) {
  shared_t *shared = data;
  const pki_set_t *s = pki_default();
  pthread_barrier_wait(&shared->start);
  X509_STORE *roots = sp__system_roots();
  EVP_PKEY *stand_in = NULL;
  sp_context_t *context = NULL;
  if (!roots || roots != sp__system_roots() || sp__signer_key(&stand_in, shared->half, NULL) < 0 ||
      sp_context_new(&context, NULL,
                     SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem)) < 0)
    atomic_fetch_add(&shared->failed, 1);
  EVP_PKEY_free(stand_in);
  sp_context_release(context);
  return NULL;
}

static void what_is_made_once_is_made_once(void **state) {
  (void)state;
  shared_t shared = {.half = X509_get0_pubkey(pki_default()->server->x509)};
  in_threads(make_contexts, &shared);
}

int main(void) {
  setenv("SSL_CERT_FILE", pki_file(pki_default()->root->cert_pem), 1);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_made_once_is_made_once),
      cmocka_unit_test(connections_share_a_context),
      cmocka_unit_test(the_last_reference_frees),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
