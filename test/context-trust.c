/* ca, crl, the system's roots: what is trusted, what is refused, which junk is named (FAULTS K08,
 * K10). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <securepair/context.h>
#include <uv.h>

#include "context/context.h"
#include "support/contexts.h"
#include "support/duet.h"
#include "support/pki.h"

#define MADE(options) sp_context_release(context_made(options))

/* How a client made of `options` judges a server that shows `pki` and perhaps `issuer` too. */
static long verdict(const sp_options_t *options, const pki_t *pki, const pki_t *issuer) {
  char *chain = pki_join(PKI_LIST(pki->cert_pem, issuer ? issuer->cert_pem : ""));
  sp_context_t *server = context_made(SP_OPTIONS(.key = pki->key_pem, .cert = chain));
  sp_context_t *client = context_made(options);
  duet_t duet = duet_make(client, server);
  int done = duet_run(&duet);
  long result = SSL_get_verify_result(duet.client);
  assert_int_equal(done, result == X509_V_OK ? 1 : -1);
  duet_free(&duet);
  sp_context_release(client);
  sp_context_release(server);
  ERR_clear_error();
  return result;
}

static void trusts_whom_it_is_told_to(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const sp_options_t *ours = SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem));
  assert_int_equal(verdict(ours, s->server, NULL), X509_V_OK);
  assert_int_equal(verdict(ours, s->server_behind, s->intermediate), X509_V_OK);
  assert_int_equal(verdict(ours, s->server_behind, NULL),
                   X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
  assert_int_equal(verdict(ours, s->stranger, NULL), X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
  assert_int_equal(verdict(SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem, s->stranger_root->cert_pem)),
                           s->stranger, NULL),
                   X509_V_OK);
}

static void files_and_texts_add_up(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const sp_options_t *both = SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem),
                                        .ca_files = SP_LIST(pki_file(s->stranger_root->cert_pem)));
  assert_int_equal(verdict(both, s->server, NULL), X509_V_OK);
  assert_int_equal(verdict(both, s->stranger, NULL), X509_V_OK);
  char *bundle = pki_join(PKI_LIST("# ours\n", s->root->cert_pem, "\n# theirs\n",
                                   s->stranger_root->cert_pem, s->root->cert_pem));
  const sp_options_t *one = SP_OPTIONS(.ca_files = SP_LIST(pki_file(bundle)));
  assert_int_equal(verdict(one, s->stranger, NULL), X509_V_OK);
}

static void der_and_trusted_certificates_are_taken(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  size_t n;
  unsigned char *der = pki_der(s->root, &n);
  assert_int_equal(
      verdict(SP_OPTIONS(.ca_files = SP_LIST(pki_file_bytes(der, n))), s->server, NULL), X509_V_OK);
  BIO *bio = BIO_new(BIO_s_mem());
  char *data;
  PEM_write_bio_X509_AUX(bio, s->root->x509);
  long size = BIO_get_mem_data(bio, &data);
  const char *file = pki_file_bytes(data, (size_t)size);
  BIO_free(bio);
  assert_int_equal(verdict(SP_OPTIONS(.ca_files = SP_LIST(file)), s->server, NULL), X509_V_OK);
}

/* The seed: the server's own certificate as the client's ca. */
static void a_self_signed_leaf_can_be_trusted(void **state) {
  (void)state;
  const pki_t *leaf = PKI_MAKE(NULL, .cn = "localhost", .dns = PKI_LIST("localhost"));
  assert_int_equal(verdict(SP_OPTIONS(.ca = SP_LIST(leaf->cert_pem)), leaf, NULL), X509_V_OK);
  assert_int_equal(verdict(SP_OPTIONS(.ca = SP_EMPTY_LIST), leaf, NULL),
                   X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
}

static void an_intermediate_alone_is_no_anchor(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  assert_int_equal(
      verdict(SP_OPTIONS(.ca = SP_LIST(s->intermediate->cert_pem)), s->server_behind, NULL),
      X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT);
}

static void an_empty_list_trusts_nobody(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  assert_int_equal(verdict(SP_OPTIONS(.ca = SP_EMPTY_LIST), s->server, NULL),
                   X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
  assert_int_equal(verdict(SP_OPTIONS(.ca_files = SP_EMPTY_LIST), s->server, NULL),
                   X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
  sp_context_t *context = context_made(SP_OPTIONS(.ca = SP_EMPTY_LIST));
  assert_false(context->system_roots);
  sp_context_release(context);
}

static void junk_in_ca_is_named(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const char *good = s->root->cert_pem, *key = s->root->key_pem;
  REFUSED(SP_OPTIONS(.ca = SP_LIST("junk")), SP_ECA, "ca[0]", "no certificate");
  REFUSED(SP_OPTIONS(.ca = SP_LIST(good, "")), SP_ECA, "ca[1]", "nothing at all");
  REFUSED(SP_OPTIONS(.ca = SP_LIST(good, good, key)), SP_ECA, "ca[2], line 1", "PRIVATE KEY");
  REFUSED(SP_OPTIONS(.ca = SP_LIST(pki_join(PKI_LIST(good, key)))), SP_ECA, "ca[0]", "PRIVATE KEY");
  REFUSED(SP_OPTIONS(.ca = SP_LIST(pki_crl(s->root, NULL, 0, 0))), SP_ECA, "ca[0]", "X509 CRL");
  REFUSED(SP_OPTIONS(.ca = SP_LIST(pki_request(s->server, "x"))), SP_ECA, "CERTIFICATE REQUEST");
  REFUSED(SP_OPTIONS(.ca = SP_LIST("-----BEGIN CERTIFICATE-----\nMIIB\n"
                                   "-----END CERTIFICATE-----\n")),
          SP_ECA, "ca[0], line 1", "damaged");
  const char *cut = pki_file("\n-----BEGIN CERTIFICATE-----\nMIIB\n");
  REFUSED(SP_OPTIONS(.ca_files = SP_LIST(cut)), SP_ECA, cut, "line 2", "END");
  const char *none = pki_path("none"), *der = pki_file("0123456789");
  REFUSED(SP_OPTIONS(.ca_files = SP_LIST(none)), UV_ENOENT, none);
  REFUSED(SP_OPTIONS(.ca_files = SP_LIST(der)), SP_ECA, der, "DER");
  REFUSED(SP_OPTIONS(.ca_files = SP_LIST(pki_file_bytes("a\0b", 3))), SP_ECA, "NUL");
}

static void junk_in_crl_is_named(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  REFUSED(SP_OPTIONS(.crl = SP_LIST("junk")), SP_ECRL, "crl[0]");
  REFUSED(SP_OPTIONS(.crl = SP_LIST(pki_crl(s->root, NULL, 0, 0), s->root->cert_pem)), SP_ECRL,
          "crl[1]", "CERTIFICATE");
  REFUSED(SP_OPTIONS(.crl = SP_LIST("-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n")),
          SP_ECRL, "crl[0]", "damaged");
  const char *none = pki_path("none");
  REFUSED(SP_OPTIONS(.crl_files = SP_LIST(none)), UV_ENOENT, none);
}

static long with_crl(const char *crl) {
  const pki_set_t *s = pki_default();
  return verdict(SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem), .crl = SP_LIST(crl)), s->server,
                 NULL);
}

static void revocation_is_looked_up(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  assert_int_equal(with_crl(pki_crl(s->root, NULL, 0, 0)), X509_V_OK);
  assert_int_equal(with_crl(pki_crl(s->root, PKI_THESE(s->client), 0, 0)), X509_V_OK);
  assert_int_equal(with_crl(pki_crl(s->root, PKI_THESE(s->server), 0, 0)), X509_V_ERR_CERT_REVOKED);
  const sp_options_t *file =
      SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem),
                 .crl_files = SP_LIST(pki_file(pki_crl(s->root, PKI_THESE(s->server), 0, 0))));
  assert_int_equal(verdict(file, s->server, NULL), X509_V_ERR_CERT_REVOKED);
}

static void a_list_that_is_missing_or_stale_refuses(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  assert_int_equal(with_crl(pki_crl(s->stranger_root, NULL, 0, 0)), X509_V_ERR_UNABLE_TO_GET_CRL);
  assert_int_equal(with_crl(pki_crl(s->root, NULL, -2 * PKI_DAY, -PKI_DAY)),
                   X509_V_ERR_CRL_HAS_EXPIRED);
  assert_int_equal(with_crl(pki_crl(s->root, NULL, PKI_DAY, 2 * PKI_DAY)),
                   X509_V_ERR_CRL_NOT_YET_VALID);
  const sp_options_t *none = SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem), .crl = SP_EMPTY_LIST);
  assert_int_equal(verdict(none, s->server, NULL), X509_V_ERR_UNABLE_TO_GET_CRL);
  /* every certificate of the chain is looked up */
  const sp_options_t *leaf_only =
      SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem), .crl = SP_LIST(pki_crl(s->root, NULL, 0, 0)));
  assert_int_equal(verdict(leaf_only, s->server_behind, s->intermediate),
                   X509_V_ERR_UNABLE_TO_GET_CRL);
  const sp_options_t *middle =
      SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem),
                 .crl = SP_LIST(pki_crl(s->root, PKI_THESE(s->intermediate), 0, 0),
                                pki_crl(s->intermediate, NULL, 0, 0)));
  assert_int_equal(verdict(middle, s->server_behind, s->intermediate), X509_V_ERR_CERT_REVOKED);
}

static void dates_and_purpose_count(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const sp_options_t *ours = SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem));
  const pki_t *old = PKI_MAKE(s->root, .cn = "x", .from = -2 * PKI_DAY, .to = -PKI_DAY);
  const pki_t *early = PKI_MAKE(s->root, .cn = "x", .from = PKI_DAY, .to = 2 * PKI_DAY);
  assert_int_equal(verdict(ours, old, NULL), X509_V_ERR_CERT_HAS_EXPIRED);
  assert_int_equal(verdict(ours, early, NULL), X509_V_ERR_CERT_NOT_YET_VALID);
  assert_int_equal(verdict(ours, s->client, NULL), X509_V_ERR_INVALID_PURPOSE);
}

/* SSL_CERT_FILE names the roots that this whole process has (set in main). */
static void without_ca_the_system_s_roots_are_trusted(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  assert_int_equal(verdict(NULL, s->stranger, NULL), X509_V_OK);
  assert_int_equal(verdict(NULL, s->server, NULL), X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
  assert_ptr_equal(sp__system_roots(), sp__system_roots());
}

static void a_crl_goes_with_the_system_s_roots_but_not_into_them(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const char *crl = pki_crl(s->stranger_root, PKI_THESE(s->stranger), 0, 0);
  const sp_options_t *options = SP_OPTIONS(.crl = SP_LIST(crl));
  assert_int_equal(verdict(options, s->stranger, NULL), X509_V_ERR_CERT_REVOKED);
  assert_int_equal(verdict(NULL, s->stranger, NULL), X509_V_OK);
}

static X509_STORE *store_of(const sp_context_t *context, sp_role_t role) {
  SSL *ssl = SSL_new(context->ssl_ctx);
  X509_STORE *store = NULL;
  assert_int_equal(sp__context_apply(context, ssl, role, false), 0);
  SSL_get0_verify_cert_store(ssl, &store);
  SSL_free(ssl);
  return store;
}

static void the_system_s_roots_are_used_only_where_needed(void **state) {
  (void)state;
  sp_context_t *plain = context_made(NULL);
  sp_context_t *asks = context_made(SP_OPTIONS(.request_cert = SP_YES));
  sp_context_t *own = context_made(SP_OPTIONS(.ca = SP_EMPTY_LIST, .request_cert = SP_YES));
  assert_ptr_equal(store_of(plain, SP_CLIENT), sp__system_roots());
  assert_null(store_of(plain, SP_SERVER));
  assert_ptr_equal(store_of(asks, SP_SERVER), sp__system_roots());
  assert_null(store_of(own, SP_CLIENT));
  assert_null(store_of(own, SP_SERVER));
  sp_context_release(plain);
  sp_context_release(asks);
  sp_context_release(own);
}

/* The name that a server's sessions bear. */
static void session_name(const sp_options_t *policy, unsigned char name[static 32]) {
  const pki_set_t *s = pki_default();
  sp_options_t options = *policy;
  options.key = s->server->key_pem;
  options.cert = s->server->cert_pem;
  sp_context_t *server = context_made(&options);
  sp_context_t *client = context_made(SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem)));
  duet_t duet = duet_make(client, server);
  SSL_set_verify(duet.server, SSL_VERIFY_NONE, NULL);
  assert_int_equal(duet_run(&duet), 1);
  unsigned n;
  const unsigned char *found = SSL_SESSION_get0_id_context(SSL_get_session(duet.server), &n);
  assert_int_equal(n, 32);
  memcpy(name, found, 32);
  duet_free(&duet);
  sp_context_release(client);
  sp_context_release(server);
}

/* A session may come back only where the same things decide about it. */
static void sessions_are_named_after_the_policy(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const sp_options_t *all[] = {
      SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem)),
      SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem), .request_cert = SP_YES),
      SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem), .request_cert = SP_YES,
                 .reject_unauthorized = SP_YES),
      SP_OPTIONS(.ca = SP_LIST(s->stranger_root->cert_pem)),
      SP_OPTIONS(.ca = SP_EMPTY_LIST),
      SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem), .min_version = SP_TLS1_3),
      SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem), .crl = SP_EMPTY_LIST),
      SP_OPTIONS(.tickets = SP_YES),
  };
  enum { COUNT = sizeof all / sizeof *all };
  unsigned char names[COUNT][32], again[32];
  for (size_t i = 0; i < COUNT; i++) {
    session_name(all[i], names[i]);
    session_name(all[i], again);
    assert_memory_equal(names[i], again, 32);
    for (size_t k = 0; k < i; k++)
      assert_memory_not_equal(names[i], names[k], 32);
  }
}

int main(void) {
  setenv("SSL_CERT_FILE", pki_file(pki_default()->stranger_root->cert_pem), 1);
  setenv("SSL_CERT_DIR", pki_path("no-such-folder"), 1);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(trusts_whom_it_is_told_to),
      cmocka_unit_test(files_and_texts_add_up),
      cmocka_unit_test(der_and_trusted_certificates_are_taken),
      cmocka_unit_test(a_self_signed_leaf_can_be_trusted),
      cmocka_unit_test(an_intermediate_alone_is_no_anchor),
      cmocka_unit_test(an_empty_list_trusts_nobody),
      cmocka_unit_test(junk_in_ca_is_named),
      cmocka_unit_test(junk_in_crl_is_named),
      cmocka_unit_test(revocation_is_looked_up),
      cmocka_unit_test(a_list_that_is_missing_or_stale_refuses),
      cmocka_unit_test(dates_and_purpose_count),
      cmocka_unit_test(without_ca_the_system_s_roots_are_trusted),
      cmocka_unit_test(a_crl_goes_with_the_system_s_roots_but_not_into_them),
      cmocka_unit_test(the_system_s_roots_are_used_only_where_needed),
      cmocka_unit_test(sessions_are_named_after_the_policy),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
