/* Several keys with their certificates in one context: which belongs to which, which one a
 * connection shows, who issued it, and what is named when it does not fit (FAULTS K10). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>

#include <securepair/context.h>
#include <securepair/pair.h>
#include <uv.h>

#include "context/context.h"
#include "support/contexts.h"
#include "support/couple.h"
#include "support/duet.h"
#include "support/pki.h"

#define OF(...)                                                                                    \
  .identities = (const sp_identity_t[]){__VA_ARGS__},                                              \
  .identity_count = sizeof((const sp_identity_t[]){__VA_ARGS__}) / sizeof(sp_identity_t)
#define BOTH(pki)                                                                                  \
  { .key = (pki)->key_pem, .cert = (pki)->cert_pem }
#define KEY(pki)                                                                                   \
  { .key = (pki)->key_pem }
#define CERT(pki)                                                                                  \
  { .cert = (pki)->cert_pem }

static const pki_t *rsa, *ec, *ed;

static int make(void **state) {
  (void)state;
  const pki_t *root = pki_default()->root;
  rsa = PKI_MAKE(root, .cn = "rsa", .key = "rsa", .dns = PKI_LIST("localhost"));
  ec = PKI_MAKE(root, .cn = "ec", .key = "ec", .dns = PKI_LIST("localhost"));
  ed = PKI_MAKE(root, .cn = "ed", .key = "ed25519", .dns = PKI_LIST("localhost"));
  return 0;
}

/* What a server made of `options` shows a client that verifies `sigalgs` only; NULL: the handshake
 * failed. */
static const pki_t *shown(const sp_options_t *options, const char *sigalgs, sp_protocol_t version) {
  static const pki_t **const all[] = {&rsa, &ec, &ed};
  sp_context_t *server = context_made(options);
  sp_context_t *client =
      context_made(SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem), .sigalgs = sigalgs,
                              .min_version = version, .max_version = version));
  const pki_t *found = NULL;
  duet_t duet = duet_make(client, server);
  if (duet_run(&duet) == 1)
    for (size_t i = 0; i < 3; i++)
      if (!X509_cmp(SSL_get0_peer_certificate(duet.client), (*all[i])->x509))
        found = *all[i];
  duet_free(&duet);
  sp_context_release(client);
  sp_context_release(server);
  ERR_clear_error();
  return found;
}

static void has_all_three(const sp_options_t *options) {
  static const sp_protocol_t versions[] = {SP_TLS1_2, SP_TLS1_3};
  for (int i = 0; i < 2; i++) {
    assert_ptr_equal(shown(options, "RSA-PSS+SHA256", versions[i]), rsa);
    assert_ptr_equal(shown(options, "ECDSA+SHA256", versions[i]), ec);
    assert_ptr_equal(shown(options, "ed25519", versions[i]), ed);
  }
}

static void the_client_decides_which_is_shown(void **state) {
  (void)state;
  has_all_three(SP_OPTIONS(OF(BOTH(rsa), BOTH(ec), BOTH(ed))));
  has_all_three(SP_OPTIONS(.key = rsa->key_pem, .cert = rsa->cert_pem, OF(BOTH(ec), BOTH(ed))));
  assert_null(shown(SP_OPTIONS(OF(BOTH(ec), BOTH(ed))), "RSA-PSS+SHA256", SP_TLS1_3));
}

static void identities_alone_are_a_certificate(void **state) {
  (void)state;
  sp_context_t *context = context_made(SP_OPTIONS(OF(BOTH(ec))));
  assert_true(sp_context_has_certificate(context));
  sp_certificate_t *own;
  assert_int_equal(sp_context_certificate(context, &own), 0);
  sp_certificate_release(own);
  sp_context_release(context);
}

static void keys_find_their_certificates(void **state) {
  (void)state;
  has_all_three(SP_OPTIONS(OF({.key = rsa->key_pem, .cert = ec->cert_pem},
                              {.key = ec->key_pem, .cert = ed->cert_pem},
                              {.key = ed->key_pem, .cert = rsa->cert_pem})));
  has_all_three(SP_OPTIONS(OF(KEY(ed), KEY(rsa), KEY(ec), CERT(rsa), CERT(ec), CERT(ed))));
  has_all_three(
      SP_OPTIONS(.key = ed->key_pem, .cert = rsa->cert_pem, OF(CERT(ed), KEY(rsa), BOTH(ec))));
  has_all_three(SP_OPTIONS(.cert = rsa->cert_pem, OF(BOTH(ed), KEY(rsa), BOTH(ec))));
  /* of the keys in one text the one that is needed */
  const char *keys = pki_join(PKI_LIST(rsa->key_pem, ec->key_pem, ed->key_pem));
  has_all_three(
      SP_OPTIONS(OF({.key = keys, .cert = ec->cert_pem}, {.key = keys, .cert = rsa->cert_pem},
                    {.key = keys, .cert = ed->cert_pem})));
}

static void one_key_may_have_two_certificates(void **state) {
  (void)state;
  const pki_t *anew = PKI_MAKE(pki_default()->root, .cn = "again", .use_key = ec->key);
  sp_context_t *context = context_made(SP_OPTIONS(OF(KEY(ec), CERT(ec), CERT(anew))));
  assert_int_equal(X509_cmp(SSL_CTX_get0_certificate(context->ssl_ctx), anew->x509), 0);
  sp_context_release(context);
}

static void a_later_one_takes_the_place_of_its_type(void **state) {
  (void)state;
  const pki_t *other = PKI_MAKE(pki_default()->root, .cn = "other", .key = "rsa#2");
  assert_ptr_equal(shown(SP_OPTIONS(OF(BOTH(other), BOTH(rsa))), NULL, SP_TLS1_3), rsa);
  assert_null(shown(SP_OPTIONS(OF(BOTH(rsa), BOTH(other))), NULL, SP_TLS1_3)); /* not one of ours */
}

static void files_and_pkcs12_are_identities_too(void **state) {
  (void)state;
  size_t n;
  unsigned char *pfx = pki_pkcs12(ed, NULL, "secret", &n);
  const char *key = pki_file(rsa->key_pem), *cert = pki_file(rsa->cert_pem);
  const char *file = pki_file_bytes(pfx, n);
  has_all_three(SP_OPTIONS(OF({.key_file = key, .cert_file = cert}, BOTH(ec),
                              {.pfx = pfx, .pfx_size = n, .passphrase = "secret"})));
  has_all_three(SP_OPTIONS(.passphrase = "secret", OF({.key_file = key, .cert = rsa->cert_pem},
                                                      BOTH(ec), {.pfx_file = file})));
}

static int ask(char *room, size_t size, const char *name, void *data) {
  assert_true(size >= 6);
  assert_non_null(strstr(name, "identities[0].key"));
  memcpy(room, "common", 6);
  ++*(int *)data;
  return 6;
}

static void each_has_a_passphrase_of_its_own(void **state) {
  (void)state;
  int asked = 0;
  const char *common = pki_encrypted_key(ec, "common"), *own = pki_encrypted_key(rsa, "own");
  has_all_three(SP_OPTIONS(.passphrase = "common",
                           OF({.key = common, .cert = ec->cert_pem}, BOTH(ed),
                              {.key = own, .cert = rsa->cert_pem, .passphrase = "own"})));
  sp_context_t *context =
      context_made(SP_OPTIONS(.on_passphrase = ask, .passphrase_data = &asked,
                              OF({.key = common, .cert = ec->cert_pem},
                                 {.key = own, .cert = rsa->cert_pem, .passphrase = "own"})));
  assert_int_equal(asked, 1);
  sp_context_release(context);
  REFUSED(SP_OPTIONS(OF(BOTH(ed), {.key = own, .cert = rsa->cert_pem})), SP_EPASSPHRASE,
          "identities[1].key");
  REFUSED(SP_OPTIONS(OF({.key = own, .cert = rsa->cert_pem, .passphrase = "x"})), SP_EPASSPHRASE,
          "identities[0].key", "wrong");
}

/* -- what is refused --------------------------------------------------------------------------- */

static void halves_are_refused(void **state) {
  (void)state;
  REFUSED(SP_OPTIONS(OF(KEY(ec))), SP_ECERTIFICATE, "identities[0].key was given without cert");
  REFUSED(SP_OPTIONS(OF(CERT(ec))), SP_EKEY, "identities[0].cert was given without key");
  REFUSED(SP_OPTIONS(OF(BOTH(ec), CERT(rsa))), SP_EKEY, "identities[1].cert was given without key");
  REFUSED(SP_OPTIONS(OF(BOTH(ec), KEY(rsa))), SP_ECERTIFICATE,
          "identities[1].key was given without cert");
  REFUSED(SP_OPTIONS(.cert = ec->cert_pem, OF(BOTH(rsa))), SP_EKEY, "cert was given without key");
  REFUSED(SP_OPTIONS(.key = ec->key_pem, OF(BOTH(rsa))), SP_ECERTIFICATE,
          "key was given without cert");
}

static void what_does_not_match_is_named(void **state) {
  (void)state;
  REFUSED(SP_OPTIONS(OF(BOTH(ec), {.key = ed->key_pem, .cert = rsa->cert_pem})), SP_EMISMATCH,
          "identities[1].key", "identities[1].cert");
  REFUSED(SP_OPTIONS(OF({.key = rsa->key_pem, .cert = ec->cert_pem},
                        {.key = ed->key_pem, .cert = rsa->cert_pem})),
          SP_EMISMATCH, "identities[1].key and identities[0].cert");
}

static void junk_is_named(void **state) {
  (void)state;
  REFUSED(SP_OPTIONS(OF(BOTH(ec), {.key = "junk", .cert = rsa->cert_pem})), SP_EKEY,
          "identities[1].key");
  REFUSED(SP_OPTIONS(OF(BOTH(ec), {.key = rsa->key_pem, .cert = "junk"})), SP_ECERTIFICATE,
          "identities[1].cert");
  REFUSED(SP_OPTIONS(OF({.pfx = "junk", .pfx_size = 4})), SP_EKEY, "identities[0].pfx");
  const char *none = pki_path("none");
  REFUSED(SP_OPTIONS(OF({.key_file = none, .cert = ec->cert_pem})), UV_ENOENT, none);
  REFUSED(SP_OPTIONS(OF({.key = ec->key_pem, .cert_file = pki_file("x")})), SP_ECERTIFICATE,
          "identities[0].cert_file");
}

static void contradictions_are_named(void **state) {
  (void)state;
  REFUSED(SP_OPTIONS(OF(BOTH(ec), {.cert = NULL})), SP_EOPTION, "identities[1]", "nothing");
  REFUSED(SP_OPTIONS(OF({.key = "x", .key_file = "y"})), SP_EOPTION, "identities[0].key",
          "identities[0].key_file");
  REFUSED(SP_OPTIONS(OF({.cert = "x", .cert_file = "y"})), SP_EOPTION, "identities[0].cert_file");
  REFUSED(SP_OPTIONS(OF({.pfx = "x", .pfx_size = 1, .key = "y"})), SP_EOPTION, "identities[0].pfx",
          "identities[0].key");
  REFUSED(SP_OPTIONS(OF({.pfx_file = "x", .cert = "y"})), SP_EOPTION, "identities[0].pfx",
          "identities[0].cert");
  REFUSED(SP_OPTIONS(.identity_count = 1), SP_EOPTION, "identities");
  REFUSED(SP_OPTIONS(.identities = &(const sp_identity_t)BOTH(ec), .identity_count = SIZE_MAX),
          SP_EOPTION, "identities");
}

/* -- a hook that signs ------------------------------------------------------------------------- */

static int never(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n, void *data) {
  (void)pair, (void)scheme, (void)message, (void)n, (void)data;
  return SP_EREFUSED;
}

static void a_hook_signs_where_no_key_is(void **state) {
  (void)state;
  sp_context_t *some = context_made(SP_OPTIONS(.hooks.sign = never, OF(BOTH(rsa), CERT(ec))));
  sp_context_t *none = context_made(SP_OPTIONS(.hooks.sign = never, OF(BOTH(rsa))));
  assert_true(some->is_signed_by_hook);
  assert_false(none->is_signed_by_hook);
  sp_context_release(some);
  sp_context_release(none);
  REFUSED(SP_OPTIONS(.hooks.sign = never), SP_ECERTIFICATE, "hooks.sign");
}

/* -- the issuer -------------------------------------------------------------------------------- */

/* NULL: not known. */
static void issued_by(const sp_options_t *options, const pki_t *expected) {
  sp_context_t *context = context_made(options);
  sp_certificate_t *issuer = (sp_certificate_t *)&options;
  int status = sp_context_issuer(context, &issuer);
  assert_int_equal(ERR_peek_error(), 0);
  if (!expected) {
    assert_int_equal(status, SP_ECERTIFICATE);
    assert_null(issuer);
  } else {
    size_t n, size;
    unsigned char *der = pki_der(expected, &n);
    assert_int_equal(status, 0);
    const void *bytes = sp_certificate_der(issuer, &size);
    assert_int_equal(size, n);
    assert_memory_equal(bytes, der, n);
  }
  sp_certificate_release(issuer);
  sp_context_release(context);
}

static void the_issuer_is_found(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const char *with_root = pki_join(PKI_LIST(ec->cert_pem, s->root->cert_pem));
  const char *behind = pki_join(PKI_LIST(s->server_behind->cert_pem, s->intermediate->cert_pem));
  sp_trust_t *trust;
  assert_int_equal(sp_trust_new(&trust, (const char *const[]){s->root->cert_pem}, 1, NULL), 0);
  issued_by(SP_OPTIONS(.key = ec->key_pem, .cert = with_root, .ca = SP_EMPTY_LIST), s->root);
  issued_by(SP_OPTIONS(.key = ec->key_pem, .cert = ec->cert_pem, .ca = SP_LIST(s->root->cert_pem)),
            s->root);
  issued_by(SP_OPTIONS(.key = ec->key_pem, .cert = ec->cert_pem, .trust = trust), s->root);
  issued_by(SP_OPTIONS(.key = s->server_behind->key_pem, .cert = behind), s->intermediate);
  issued_by(SP_OPTIONS(.key = s->stranger->key_pem, .cert = s->stranger->cert_pem),
            s->stranger_root); /* one of the system's, see main */
  sp_trust_release(trust);
}

static void of_several_the_last_one_counts(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const char *behind = pki_join(PKI_LIST(s->server_behind->cert_pem, s->intermediate->cert_pem));
  issued_by(SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem),
                       OF({.key = s->server_behind->key_pem, .cert = behind}, BOTH(rsa))),
            s->root);
  issued_by(SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem),
                       OF(BOTH(rsa), {.key = s->server_behind->key_pem, .cert = behind})),
            s->intermediate);
}

static void the_issuer_may_not_be_known(void **state) {
  (void)state;
  const pki_t *alone = PKI_MAKE(NULL, .cn = "alone");
  issued_by(NULL, NULL);
  issued_by(SP_OPTIONS(.key = ec->key_pem, .cert = ec->cert_pem), NULL);
  issued_by(SP_OPTIONS(.key = alone->key_pem, .cert = alone->cert_pem), NULL);
}

int main(void) {
  setenv("SSL_CERT_FILE", pki_file(pki_default()->stranger_root->cert_pem), 1);
  setenv("SSL_CERT_DIR", pki_path("no-such-folder"), 1);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_client_decides_which_is_shown),
      cmocka_unit_test(identities_alone_are_a_certificate),
      cmocka_unit_test(keys_find_their_certificates),
      cmocka_unit_test(one_key_may_have_two_certificates),
      cmocka_unit_test(a_later_one_takes_the_place_of_its_type),
      cmocka_unit_test(files_and_pkcs12_are_identities_too),
      cmocka_unit_test(each_has_a_passphrase_of_its_own),
      cmocka_unit_test(halves_are_refused),
      cmocka_unit_test(what_does_not_match_is_named),
      cmocka_unit_test(junk_is_named),
      cmocka_unit_test(contradictions_are_named),
      cmocka_unit_test(a_hook_signs_where_no_key_is),
      cmocka_unit_test(the_issuer_is_found),
      cmocka_unit_test(of_several_the_last_one_counts),
      cmocka_unit_test(the_issuer_may_not_be_known),
  };
  return cmocka_run_group_tests(tests, make, NULL);
}
