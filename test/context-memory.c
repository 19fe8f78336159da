/* Every allocation of a context's making fails in turn, ours and OpenSSL's: an error or a context,
 * never a crash, a leak or a wrong verdict (FAULTS R10). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include <securepair/context.h>
#include <uv.h>

#include "certificate/ocsp.h"
#include "context/context.h"
#include "support/couple.h"
#include "support/pki.h"
#include "support/sanitized.h"
#include "support/staple.h"

/* Counts down to the allocation that fails; below 0: none does. */
static long countdown = -1;
static int forever;
static long live; /* blocks of ours */

static int fails(void) {
  if (countdown < 0)
    return 0;
  if (countdown > 0) {
    countdown--;
    return 0;
  }
  if (!forever)
    countdown = -1;
  return 1;
}

static void *allocate(size_t n) {
  if (fails())
    return NULL;
  live++;
  return malloc(n);
}

static void *reallocate(void *memory, size_t n) { return fails() ? NULL : realloc(memory, n); }

static void release(void *memory) {
  live--;
  free(memory);
}

static void *openssl_allocate(size_t n, const char *file, int line) {
  (void)file, (void)line;
  return fails() || !n ? NULL : malloc(n);
}

static void *openssl_reallocate(void *memory, size_t n, const char *file, int line) {
  (void)file, (void)line;
  return fails() ? NULL : realloc(memory, n);
}

static void openssl_release(void *memory, const char *file, int line) {
  (void)file, (void)line;
  free(memory);
}

static int unused_hook(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n,
                       void *data) {
  (void)pair, (void)scheme, (void)message, (void)n, (void)data;
  return SP_EREFUSED;
}

static void check(const sp_error_t *why, long at) {
  if (why->status == UV_ENOMEM || why->reason)
    return;
  if (why->status <= SP_EKEY && why->status >= SP_ESTAPLE)
    return; /* OpenSSL does not always say that it was the memory */
  fail_msg("allocation %ld: %s: %s", at, sp_error_name(why->status), why->text);
}

/* Early allocations one by one, later ones in growing steps, others each time: OpenSSL makes
 * thousands. SP_TEST_FULL=1: all. */
static long step_at(long at) {
  long part = at / (SANITIZED ? 12 : 64);
  return getenv("SP_TEST_FULL") ? 1 : 1 + dice((uint32_t)(2 * part + 1));
}

static void sweep(const sp_options_t *options) {
  for (forever = 0; forever < 2; forever++) {
    long at = 0, ran_through = 0;
    for (; ran_through < 1 && at < 200000; at += step_at(at)) {
      sp_context_t *context = NULL;
      sp_error_t why = {.status = 0};
      long before = live;
      countdown = at;
      int status = sp_context_new(&context, &why, options);
      ran_through = countdown >= 0 && !(forever && countdown == 0);
      countdown = -1;
      if (status < 0) {
        assert_null(context);
        check(&why, at);
      } else {
        /* never with less than was asked for */
        assert_int_equal(sp_context_has_certificate(context),
                         options->cert || options->pfx || options->identities);
        assert_true(context->groups && context->sigalgs && context->suites);
      }
      sp_context_release(context);
      assert_int_equal(live, before);
      assert_int_equal(ERR_peek_error(), 0);
    }
    assert_true(ran_through);
  }
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  size_t n;
  unsigned char *pfx = pki_pkcs12(s->server, NULL, "secret", &n);
  const char *chain = pki_join(PKI_LIST(s->server_behind->cert_pem, s->intermediate->cert_pem));
  const pki_t *rsa = PKI_MAKE(s->root, .cn = "rsa", .key = "rsa");
  const sp_identity_t several[] = {{.key = rsa->key_pem},
                                   {.cert = rsa->cert_pem},
                                   {.key = s->server_behind->key_pem, .cert = chain}};
  sp_trust_t *trust;
  assert_int_equal(sp_trust_new(&trust, (const char *const[]){s->root->cert_pem}, 1, NULL), 0);
  const sp_options_t *all[] = {
      SP_OPTIONS(.key = s->server_behind->key_pem, .cert = chain, .request_cert = SP_YES,
                 .ca = SP_LIST(s->root->cert_pem), .alpn = SP_LIST("h2", "http/1.1"),
                 .crl = SP_LIST(pki_crl(s->root, NULL, 0, 0))),
      SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem,
                 .ca = SP_LIST(s->root->cert_pem),
                 .staple_files = SP_LIST(staple_pem_file(STAPLE(0)))),
      SP_OPTIONS(.pfx = pfx, .pfx_size = n, .passphrase = "secret"),
      SP_OPTIONS(.cert = s->server->cert_pem, .hooks.sign = unused_hook, .ciphers = "ECDHE+AESGCM"),
      SP_OPTIONS(.identities = several, .identity_count = 3, .trust = trust, .dhparam = "auto"),
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    sweep(all[i]);
  sp_trust_release(trust);
}

static void every_allocation_of_a_trust_may_fail(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const char *const pems[] = {s->root->cert_pem, s->stranger_root->cert_pem};
  for (long at = 0, done = 0; !done; at++) {
    sp_trust_t *trust = NULL;
    sp_error_t why = {.status = 0};
    long before = live;
    countdown = at;
    int status = sp_trust_new(&trust, pems, 2, &why);
    done = countdown >= 0;
    countdown = -1;
    assert_true(status == 0 ? trust != NULL : !trust);
    if (status < 0)
      check(&why, at);
    sp_trust_release(trust);
    assert_int_equal(live, before);
    assert_int_equal(ERR_peek_error(), 0);
  }
}

/* Want of memory never makes an OCSP response better than it is. */
static void every_allocation_of_a_response_s_check_may_fail(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const int revoked = V_OCSP_CERTSTATUS_REVOKED;
  const pki_t *delegate = staple_delegate(s->root);
  const struct {
    staple_t staple;
    sp_staple_status_t status;
  } all[] = {
      {STAPLE(.signer = delegate, .with_signer = true), SP_STAPLE_GOOD},
      {STAPLE(.verdict = revoked), SP_STAPLE_REVOKED},
      {STAPLE(.verdict = revoked, .before = s->server), SP_STAPLE_REVOKED},
      {STAPLE(.from = -PKI_DAY, .to = -7200), SP_STAPLE_STALE},
      {STAPLE(.signer = s->server, .with_signer = true), SP_STAPLE_INVALID},
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    for (forever = 0; forever < 2; forever++)
      for (long at = 0, done = 0; !done; at++) {
        sp_error_t why;
        countdown = at;
        sp_staple_status_t status = sp__ocsp_check(all[i].staple.der, all[i].staple.n,
                                                   s->server->x509, s->root->x509, NULL, &why);
        done = countdown > 0;
        countdown = -1;
        if (status != all[i].status && status != SP_STAPLE_INVALID)
          fail_msg("response %zu, allocation %ld: %d", i, at, (int)status);
        assert_int_equal(ERR_peek_error(), 0);
      }
}

int main(void) {
  dice_seed();
  CRYPTO_set_mem_functions(openssl_allocate, openssl_reallocate, openssl_release);
  sp_replace_allocator(allocate, reallocate, release);
  pki_default();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(every_allocation_of_a_trust_may_fail),
      cmocka_unit_test(every_allocation_of_a_response_s_check_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
