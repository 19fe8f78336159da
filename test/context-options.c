/* Options as they come in, the defaults that come out, and a context's life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>

#include <securepair/context.h>

#include "context/context.h"
#include "support/contexts.h"
#include "support/duet.h"
#include "support/pki.h"

static void no_options_are_all_defaults(void **state) {
  (void)state;
  sp_context_t *context = context_made(NULL);
  assert_false(sp_context_has_certificate(context));
  assert_true(context->system_roots && context->reject_client);
  assert_false(context->request_cert || context->reject_server || context->common_name);
  sp_certificate_t *certificate;
  assert_int_equal(sp_context_certificate(context, &certificate), SP_ECERTIFICATE);
  assert_null(certificate);
  sp_context_release(context);
  sp_context_release(NULL);
}

static void an_unset_size_is_refused(void **state) {
  (void)state;
  const sp_options_t options = {.key = "x"};
  REFUSED(&options, SP_EOPTION, "size", "SP_OPTIONS");
  const sp_options_t huge = {.size = (size_t)-1};
  REFUSED(&huge, SP_EOPTION, "size");
}

/* Compiled against an older header: what lies behind its end is not read. */
static void an_older_caller_s_options_end_early(void **state) {
  (void)state;
  size_t size = offsetof(sp_options_t, ca);
  sp_options_t copy = {.size = size, .passphrase = "x"};
  void *old = malloc(size);
  memcpy(old, &copy, size);
  assert_int_equal(sp__options_copy(&copy, old, NULL), 0);
  assert_string_equal(copy.passphrase, "x");
  assert_null(copy.ca);
  assert_int_equal(copy.size, sizeof copy);
  sp_context_release(context_made(old));
  free(old);
}

static void a_newer_caller_may_not_use_what_we_do_not_know(void **state) {
  (void)state;
  struct {
    sp_options_t known;
    int unknown;
  } newer = {.known.size = sizeof newer};
  sp_context_release(context_made(&newer.known));
  newer.unknown = 1;
  REFUSED(&newer.known, SP_EOPTION, "version");
}

static void only_the_literal_no_turns_rejection_off(void **state) {
  (void)state;
  const struct {
    sp_choice_t request, reject;
    bool client, server;
  } all[] = {
      {SP_DEFAULT, SP_DEFAULT, true, false}, {SP_DEFAULT, SP_YES, true, false},
      {SP_DEFAULT, SP_NO, false, false},     {SP_YES, SP_DEFAULT, true, false},
      {SP_YES, SP_YES, true, true},          {SP_YES, SP_NO, false, false},
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    sp_context_t *context = context_made(
        SP_OPTIONS(.request_cert = all[i].request, .reject_unauthorized = all[i].reject));
    assert_int_equal(context->reject_client, all[i].client);
    assert_int_equal(context->reject_server, all[i].server);
    assert_int_equal(context->request_cert, all[i].request == SP_YES);
    sp_context_release(context);
  }
}

static void a_choice_that_is_none_is_named(void **state) {
  (void)state;
  sp_choice_t wild = (sp_choice_t)7;
  REFUSED(SP_OPTIONS(.reject_unauthorized = wild), SP_EOPTION, "reject_unauthorized", "7");
  REFUSED(SP_OPTIONS(.request_cert = wild), SP_EOPTION, "request_cert");
  REFUSED(SP_OPTIONS(.tickets = wild), SP_EOPTION, "tickets");
  REFUSED(SP_OPTIONS(.prefer_server_ciphers = wild), SP_EOPTION, "prefer_server_ciphers");
  REFUSED(SP_OPTIONS(.insecure_common_name = wild), SP_EOPTION, "insecure_common_name");
}

static void contradictions_name_both(void **state) {
  (void)state;
  REFUSED(SP_OPTIONS(.key = "a", .key_file = "b"), SP_EOPTION, "key", "key_file");
  REFUSED(SP_OPTIONS(.cert = "a", .cert_file = "b"), SP_EOPTION, "cert", "cert_file");
  REFUSED(SP_OPTIONS(.pfx = "a", .pfx_size = 1, .pfx_file = "b"), SP_EOPTION, "pfx", "pfx_file");
  REFUSED(SP_OPTIONS(.pfx_file = "a", .key = "b"), SP_EOPTION, "pfx", "key");
  REFUSED(SP_OPTIONS(.pfx_file = "a", .cert_file = "b"), SP_EOPTION, "pfx", "cert");
}

static void a_ready_context_goes_before_all_else(void **state) {
  (void)state;
  sp_context_t *context = context_made(NULL), *same, *made;
  assert_int_equal(sp__context_of(&same, SP_OPTIONS(.context = context, .key = "junk"), NULL), 0);
  assert_ptr_equal(same, context);
  assert_int_equal(atomic_load(&context->references), 2);
  sp_context_release(same);
  assert_int_equal(sp__context_of(&made, NULL, NULL), 0);
  assert_ptr_not_equal(made, context);
  sp_context_release(made);
  sp_error_t why;
  assert_int_equal(sp__context_of(&made, SP_OPTIONS(.key = "junk"), &why), SP_ECERTIFICATE);
  assert_null(made);
  sp_context_release(context);
}

static sp_context_t *server_context(sp_choice_t request, sp_choice_t reject) {
  const pki_set_t *pki = pki_default();
  return context_made(SP_OPTIONS(.key = pki->server->key_pem, .cert = pki->server->cert_pem,
                                 .ca = SP_LIST(pki->root->cert_pem), .request_cert = request,
                                 .reject_unauthorized = reject));
}

static void the_server_asks_for_certificates_only_on_request(void **state) {
  (void)state;
  const pki_set_t *pki = pki_default();
  const struct {
    sp_choice_t request, reject;
    int expected;
  } all[] = {{SP_NO, SP_NO, 1},
             {SP_NO, SP_YES, 1},
             {SP_YES, SP_NO, 1},
             {SP_YES, SP_YES, -1},
             {SP_YES, SP_DEFAULT, 1}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    sp_context_t *server = server_context(all[i].request, all[i].reject);
    sp_context_t *client = context_made(SP_OPTIONS(.ca = SP_LIST(pki->root->cert_pem)));
    duet_t duet = duet_make(client, server);
    assert_int_equal(duet_run(&duet), all[i].expected);
    STACK_OF(X509_NAME) *names = SSL_get_client_CA_list(duet.client);
    if (all[i].expected == 1)
      assert_int_equal(names ? sk_X509_NAME_num(names) : 0, all[i].request == SP_YES);
    duet_free(&duet);
    sp_context_release(client);
    sp_context_release(server);
    ERR_clear_error();
  }
}

static void connections_outlive_their_context(void **state) {
  (void)state;
  const pki_set_t *pki = pki_default();
  sp_context_t *server = server_context(SP_DEFAULT, SP_DEFAULT);
  sp_context_t *client = context_made(SP_OPTIONS(.ca = SP_LIST(pki->root->cert_pem)));
  duet_t duet = duet_make(client, server);
  assert_int_equal(duet_step(&duet), 0);
  sp_context_release(client);
  sp_context_release(server);
  assert_int_equal(duet_run(&duet), 1);
  assert_int_equal(SSL_get_verify_result(duet.client), X509_V_OK);
  duet_free(&duet);
}

/* The handler table that the pair layer plugs in. */
typedef struct owner {
  const sp__handler_t *handler;
  int hellos, alpns, verifies;
} owner_t;

static int count_hello(SSL *ssl, int *alert) {
  (void)alert;
  ((owner_t *)SSL_get_app_data(ssl))->hellos++;
  return SSL_CLIENT_HELLO_SUCCESS;
}

static int choose_first(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                        const unsigned char *in, unsigned in_size) {
  assert_true(in_size > 1);
  ((owner_t *)SSL_get_app_data(ssl))->alpns++;
  *out_size = in[0];
  *out = in + 1;
  return SSL_TLSEXT_ERR_OK;
}

static int count_verify(SSL *ssl, X509_STORE_CTX *store) {
  ((owner_t *)SSL_get_app_data(ssl))->verifies++;
  return X509_verify_cert(store);
}

static void openssl_s_calls_reach_the_owner(void **state) {
  (void)state;
  static const sp__handler_t handler = {
      .client_hello = count_hello, .alpn = choose_first, .verify = count_verify};
  const pki_set_t *pki = pki_default();
  sp_context_t *server = server_context(SP_DEFAULT, SP_DEFAULT);
  sp_context_t *client = context_made(
      SP_OPTIONS(.ca = SP_LIST(pki->root->cert_pem), .alpn = SP_LIST("h2", "http/1.1")));
  duet_t duet = duet_make(client, server);
  owner_t ours = {.handler = &handler}, theirs = {.handler = &handler};
  SSL_set_app_data(duet.client, &ours);
  SSL_set_app_data(duet.server, &theirs);
  assert_int_equal(duet_run(&duet), 1);
  assert_int_equal(theirs.hellos, 1);
  assert_int_equal(theirs.alpns, 1);
  assert_int_equal(ours.verifies, 1);
  assert_int_equal(theirs.verifies, 0);
  const unsigned char *protocol;
  unsigned n;
  SSL_get0_alpn_selected(duet.client, &protocol, &n);
  assert_int_equal(n, 2);
  assert_memory_equal(protocol, "h2", 2);
  duet_free(&duet);
  sp_context_release(client);
  sp_context_release(server);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_options_are_all_defaults),
      cmocka_unit_test(an_unset_size_is_refused),
      cmocka_unit_test(an_older_caller_s_options_end_early),
      cmocka_unit_test(a_newer_caller_may_not_use_what_we_do_not_know),
      cmocka_unit_test(only_the_literal_no_turns_rejection_off),
      cmocka_unit_test(a_choice_that_is_none_is_named),
      cmocka_unit_test(contradictions_name_both),
      cmocka_unit_test(a_ready_context_goes_before_all_else),
      cmocka_unit_test(the_server_asks_for_certificates_only_on_request),
      cmocka_unit_test(connections_outlive_their_context),
      cmocka_unit_test(openssl_s_calls_reach_the_owner),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
