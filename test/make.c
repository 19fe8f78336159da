/* Keys, requests, certificates and revocation lists that are made here, and what OpenSSL's strict
 * verification says of them (FAULTS.md K15). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <securepair/make.h>

#include "support/pki.h"

#define DAY 86400

/* -- what the cases need ----------------------------------------------------------------------- */

static sp_key_t *key_of(sp_key_kind_t kind) {
  sp_key_t *key;
  sp_error_t why = {.text = ""};
  if (sp_key_make(&key, kind, kind == SP_KEY_RSA ? 2048 : 0, &why) < 0)
    fail_msg("%s", why.text);
  return key;
}

static sp_certificate_t *root_of(const sp_key_t *key) {
  sp_certificate_t *root;
  sp_error_t why = {.text = ""};
  if (sp_certificate_make(&root, key, &why,
                          SP_CERTIFICATE(.subject = "CN=own root", .purpose = SP_FOR_AUTHORITY)))
    fail_msg("%s", why.text);
  return root;
}

static sp_request_t *request_of(const sp_key_t *key, const sp_certificate_spec_t *spec) {
  sp_request_t *request;
  sp_error_t why = {.text = ""};
  if (sp_request_make(&request, key, &why, spec) < 0)
    fail_msg("%s", why.text);
  return request;
}

/* What OpenSSL thinks of `leaf` with `middle` (may be NULL) under `root`. */
static int verify(const sp_certificate_t *leaf, const sp_certificate_t *middle,
                  const sp_certificate_t *root, unsigned long flags) {
  X509_STORE *store = X509_STORE_new();
  X509_STORE_CTX *ctx = X509_STORE_CTX_new();
  STACK_OF(X509) *chain = sk_X509_new_null();
  X509_STORE_add_cert(store, sp_certificate_x509(root));
  if (middle)
    sk_X509_push(chain, sp_certificate_x509(middle));
  assert_int_equal(X509_STORE_CTX_init(ctx, store, sp_certificate_x509(leaf), chain), 1);
  if (!sp_certificate_is_authority(leaf))
    X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER);
  X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE | flags);
  int result = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
  sk_X509_free(chain);
  X509_STORE_CTX_free(ctx);
  X509_STORE_free(store);
  ERR_clear_error();
  return result;
}

static void says(const sp_error_t *why, int status, const char *text) {
  assert_int_equal(why->status, status);
  if (!strstr(why->text, text))
    fail_msg("\"%s\" does not say \"%s\"", why->text, text);
  assert_int_equal(ERR_peek_error(), 0);
}

/* -- keys -------------------------------------------------------------------------------------- */

static void test_each_kind_of_key(void **state) {
  (void)state;
  static const struct {
    const char *type, *curve;
    sp_key_kind_t kind;
    int bits;
  } kinds[] = {{"EC", "prime256v1", SP_KEY_P256, 256},
               {"EC", "secp384r1", SP_KEY_P384, 384},
               {"EC", "secp521r1", SP_KEY_P521, 521},
               {"ED25519", NULL, SP_KEY_ED25519, 256},
               {"RSA", NULL, SP_KEY_RSA, 2048}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    sp_key_t *key = key_of(kinds[i].kind);
    assert_string_equal(sp_key_type(key), kinds[i].type);
    assert_int_equal(sp_key_bits(key), kinds[i].bits);
    if (kinds[i].curve)
      assert_string_equal(sp_key_curve(key), kinds[i].curve);
    else
      assert_null(sp_key_curve(key));
    sp_certificate_t *root = root_of(key);
    assert_true(sp_key_fits(key, root));
    assert_int_equal(verify(root, NULL, root, 0), X509_V_OK);
    sp_certificate_release(root);
    sp_key_release(key);
  }
}

static void test_keys_that_are_not_made(void **state) {
  (void)state;
  sp_key_t *key = (sp_key_t *)&state;
  sp_error_t why = {.status = 0};
  assert_int_equal(sp_key_make(&key, SP_KEY_RSA, 1024, &why), SP_EOPTION);
  assert_null(key);
  says(&why, SP_EOPTION, "1024 bits is not safe");
  assert_int_equal(sp_key_make(&key, SP_KEY_RSA, 16384, &why), SP_EOPTION);
  says(&why, SP_EOPTION, "slower");
  assert_int_equal(sp_key_make(&key, SP_KEY_P256, 256, &why), SP_EOPTION);
  says(&why, SP_EOPTION, "only RSA");
  assert_int_equal(sp_key_make(&key, (sp_key_kind_t)9, 0, &why), SP_EOPTION);
}

static void written_and_read(const sp_key_t *key, const char *passphrase, const char *label) {
  char *pem;
  sp_key_t *again;
  sp_error_t why = {.text = ""};
  assert_int_equal(sp_key_pem(key, passphrase, &pem, &why), 0);
  assert_non_null(strstr(pem, label));
  if (sp_key_read(&again, pem, strlen(pem), passphrase, &why) < 0)
    fail_msg("%s", why.text);
  assert_string_equal(sp_key_fingerprint(again), sp_key_fingerprint(key));
  sp_key_release(again);
  if (passphrase) {
    assert_int_equal(sp_key_read(&again, pem, strlen(pem), NULL, &why), SP_EPASSPHRASE);
    says(&why, SP_EPASSPHRASE, "is encrypted: give its passphrase");
    assert_int_equal(sp_key_read(&again, pem, strlen(pem), "wrong", &why), SP_EPASSPHRASE);
    says(&why, SP_EPASSPHRASE, "the passphrase is wrong");
    assert_int_equal(sp_key_read(&again, pem, strlen(pem), "", &why), SP_EPASSPHRASE);
    says(&why, SP_EPASSPHRASE, "it is empty");
  }
  sp_pem_release(pem);
}

static void test_keys_are_written_and_read(void **state) {
  (void)state;
  sp_key_t *key = key_of(SP_KEY_P256), *edwards = key_of(SP_KEY_ED25519);
  written_and_read(key, NULL, "-----BEGIN PRIVATE KEY-----");
  written_and_read(key, "correct horse", "-----BEGIN ENCRYPTED PRIVATE KEY-----");
  written_and_read(edwards, NULL, "-----BEGIN PRIVATE KEY-----");
  char *pem = NULL;
  sp_error_t why = {.status = 0};
  assert_int_equal(sp_key_pem(key, "", &pem, &why), SP_EPASSPHRASE);
  assert_null(pem);
  says(&why, SP_EPASSPHRASE, "is empty");
  sp_key_release(key);
  sp_key_release(edwards);
}

static void not_read(const void *bytes, size_t n, int status, const char *text) {
  sp_key_t *key = (sp_key_t *)&n;
  sp_error_t why = {.status = 0};
  assert_int_equal(sp_key_read(&key, bytes, n, NULL, &why), status);
  assert_null(key);
  says(&why, status, text);
}

static void test_what_is_no_key(void **state) {
  (void)state;
  const pki_t *server = pki_default()->server;
  char cut[512];
  not_read("", 0, SP_EKEY, "there is no private key");
  not_read("junk", 4, SP_EKEY, "there is no private key");
  not_read(server->cert_pem, strlen(server->cert_pem), SP_EKEY, "this is a certificate");
  snprintf(cut, sizeof cut, "%.100s", server->key_pem);
  not_read(cut, strlen(cut), SP_EKEY, "damaged");
  static const char ssh[] = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n";
  not_read(ssh, sizeof ssh - 1, SP_EKEY, "ssh-keygen");
  sp_key_t *key;
  sp_error_t why = {.status = 0};
  assert_int_equal(sp_key_read_file(&key, "/nowhere/key.pem", NULL, &why), -2);
  says(&why, -2, "/nowhere/key.pem");
  assert_int_equal(sp_key_read_file(&key, pki_file(server->key_pem), NULL, &why), 0);
  sp_key_release(key);
}

/* -- requests ---------------------------------------------------------------------------------- */

static void test_a_request_says_what_it_was_made_of(void **state) {
  (void)state;
  sp_key_t *key = key_of(SP_KEY_P256);
  sp_request_t *made = request_of(
      key, SP_CERTIFICATE(.subject = "CN=a.example,O=One\\, Two,C=DE",
                          .names = SP_NAMES("a.example", "*.a.example", "192.0.2.1", "2001:db8::1",
                                            "me@a.example", "https://a.example/x")));
  sp_request_t *request;
  sp_error_t why = {.text = ""};
  const char *pem = sp_request_pem(made);
  assert_int_equal(sp_request_read(&request, pem, strlen(pem), &why), 0);
  assert_string_equal(sp_request_subject(request), "CN=a.example,O=One\\, Two,C=DE");
  size_t count;
  const sp_name_t *names = sp_request_names(request, &count);
  static const sp_name_type_t types[] = {SP_NAME_DNS, SP_NAME_DNS,   SP_NAME_IP,
                                         SP_NAME_IP,  SP_NAME_EMAIL, SP_NAME_URI};
  assert_int_equal(count, 6);
  for (size_t i = 0; i < count; i++)
    assert_int_equal(names[i].type, types[i]);
  assert_string_equal(names[3].value, "2001:db8::1");
  assert_string_equal(sp_request_key_type(request), "EC");
  assert_int_equal(sp_request_key_bits(request), 256);
  assert_string_equal(sp_request_key_fingerprint(request), sp_key_fingerprint(key));
  sp_request_release(request);
  sp_request_release(made);
  sp_key_release(key);
}

static void test_what_is_no_request(void **state) {
  (void)state;
  const pki_t *server = pki_default()->server;
  sp_request_t *request;
  sp_error_t why = {.status = 0};
  assert_int_equal(sp_request_read(&request, "x", 1, &why), SP_ECERTIFICATE);
  says(&why, SP_ECERTIFICATE, "there is no request in it");
  assert_int_equal(sp_request_read(&request, server->key_pem, strlen(server->key_pem), &why),
                   SP_ECERTIFICATE);
  says(&why, SP_ECERTIFICATE, "keep it secret");
  assert_int_equal(sp_request_read(&request, server->cert_pem, strlen(server->cert_pem), &why),
                   SP_ECERTIFICATE);
  says(&why, SP_ECERTIFICATE, "signed already");
}

/* A request whose signature was changed: nobody has shown to have the key. */
static void test_a_request_has_to_be_signed_with_its_key(void **state) {
  (void)state;
  char *pem = pki_request(pki_default()->server, "a.example");
  BIO *bio = BIO_new_mem_buf(pem, -1);
  X509_REQ *x509_req = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
  EVP_PKEY *other = pki_default()->stranger->key;
  X509_REQ_sign(x509_req, other, EVP_sha256());
  uint8_t *der = NULL;
  int n = i2d_X509_REQ(x509_req, &der);
  sp_request_t *request;
  sp_error_t why = {.status = 0};
  assert_int_equal(sp_request_read(&request, der, (size_t)n, &why), SP_ECERTIFICATE);
  says(&why, SP_ECERTIFICATE, "is not signed with its own key");
  OPENSSL_free(der);
  X509_REQ_free(x509_req);
  BIO_free(bio);
}

/* -- certificates ------------------------------------------------------------------------------ */

static void test_a_self_signed_certificate(void **state) {
  (void)state;
  sp_key_t *key = key_of(SP_KEY_P256);
  sp_certificate_t *certificate;
  sp_error_t why = {.text = ""};
  assert_int_equal(sp_certificate_make(&certificate, key, &why,
                                       SP_CERTIFICATE(.names = SP_NAMES("localhost", "127.0.0.1"))),
                   0);
  size_t count;
  int64_t now = (int64_t)time(NULL), from = sp_certificate_valid_from(certificate);
  assert_string_equal(sp_certificate_subject(certificate), "CN=localhost");
  assert_in_range(from, now - 90, now);
  assert_int_equal(sp_certificate_valid_to(certificate) - from, 90 * DAY);
  assert_false(sp_certificate_is_authority(certificate));
  assert_true(sp_certificate_is_self_signed(certificate));
  assert_string_equal(sp_certificate_usages(certificate, &count)[0], "digitalSignature");
  assert_int_equal(count, 1);
  assert_string_equal(sp_certificate_extended_usages(certificate, &count)[0], "serverAuth");
  assert_int_equal(count, 1);
  assert_true(sp_certificate_names_host(certificate, "127.0.0.1", 0, NULL));
  assert_int_equal(strlen(sp_certificate_serial(certificate)), 40);
  sp_certificate_release(certificate);
  sp_key_release(key);
}

static void test_an_authority_signs(void **state) {
  (void)state;
  sp_key_t *root_key = key_of(SP_KEY_P384), *middle_key = key_of(SP_KEY_P256);
  sp_key_t *key = key_of(SP_KEY_RSA);
  sp_certificate_t *root = root_of(root_key), *middle, *leaf;
  sp_error_t why = {.text = ""};
  sp_request_t *asked =
      request_of(middle_key, SP_CERTIFICATE(.subject = "CN=middle", .purpose = SP_FOR_AUTHORITY));
  assert_int_equal(
      sp_certificate_sign(&middle, asked, root, root_key, &why,
                          SP_CERTIFICATE(.purpose = SP_FOR_AUTHORITY, .path_length_plus_1 = 1,
                                         .permitted = SP_NAMES("example", "10.0.0.0/8"))),
      0);
  sp_request_t *request = request_of(key, SP_CERTIFICATE(.names = SP_NAMES("a.example")));
  assert_int_equal(sp_certificate_sign(&leaf, request, middle, middle_key, &why, NULL), 0);
  assert_int_equal(verify(leaf, middle, root, 0), X509_V_OK);
  assert_string_equal(sp_certificate_issuer(leaf), "CN=middle");
  assert_true(sp_key_fits(key, leaf));
  assert_false(sp_key_fits(middle_key, leaf));
  sp_certificate_t *outside;
  assert_int_equal(sp_certificate_sign(&outside, request, middle, middle_key, &why,
                                       SP_CERTIFICATE(.names = SP_NAMES("a.other"))),
                   0);
  assert_int_equal(verify(outside, middle, root, 0), X509_V_ERR_PERMITTED_VIOLATION);
  sp_certificate_t *none;
  assert_int_equal(sp_certificate_sign(&none, asked, middle, middle_key, &why,
                                       SP_CERTIFICATE(.purpose = SP_FOR_AUTHORITY)),
                   SP_ECERTIFICATE);
  says(&why, SP_ECERTIFICATE, "path length is 0");
  assert_int_equal(sp_certificate_sign(&none, asked, leaf, key, &why, NULL), SP_ECERTIFICATE);
  says(&why, SP_ECERTIFICATE, "may not sign certificates");
  assert_int_equal(sp_certificate_sign(&none, asked, root, key, &why, NULL), SP_EMISMATCH);
  sp_certificate_release(outside);
  sp_certificate_release(leaf);
  sp_certificate_release(middle);
  sp_certificate_release(root);
  sp_request_release(request);
  sp_request_release(asked);
  sp_key_release(key);
  sp_key_release(middle_key);
  sp_key_release(root_key);
}

/* What a request asks for beyond its names is not copied (K15). */
static void test_injected_extensions_are_passed_over(void **state) {
  (void)state;
  sp_key_t *root_key = key_of(SP_KEY_P256), *key = key_of(SP_KEY_P256);
  sp_certificate_t *root = root_of(root_key), *leaf;
  sp_request_t *request =
      request_of(key, SP_CERTIFICATE(.subject = "CN=a.example", .names = SP_NAMES("a.example"),
                                     .purpose = SP_FOR_AUTHORITY));
  sp_error_t why = {.text = ""};
  assert_int_equal(sp_certificate_sign(&leaf, request, root, root_key, &why, NULL), 0);
  size_t count;
  assert_false(sp_certificate_is_authority(leaf));
  (void)sp_certificate_usages(leaf, &count);
  assert_int_equal(count, 1);
  assert_string_equal(sp_certificate_extended_usages(leaf, &count)[0], "serverAuth");
  sp_certificate_release(leaf);
  sp_request_release(request);
  sp_certificate_release(root);
  sp_key_release(key);
  sp_key_release(root_key);
}

static void test_dates(void **state) {
  (void)state;
  sp_key_t *root_key = key_of(SP_KEY_P256), *key = key_of(SP_KEY_P256);
  int64_t now = (int64_t)time(NULL);
  sp_certificate_t *root, *leaf;
  sp_error_t why = {.text = ""};
  assert_int_equal(
      sp_certificate_make(&root, root_key, &why,
                          SP_CERTIFICATE(.subject = "CN=short", .purpose = SP_FOR_AUTHORITY,
                                         .valid_to = now + DAY)),
      0);
  sp_request_t *request = request_of(key, SP_CERTIFICATE(.names = SP_NAMES("a.example")));
  assert_int_equal(sp_certificate_sign(&leaf, request, root, root_key, &why, NULL), 0);
  assert_int_equal(sp_certificate_valid_to(leaf), now + DAY); /* never beyond the issuer's end */
  sp_certificate_release(leaf);
  assert_int_equal(sp_certificate_sign(&leaf, request, root, root_key, &why,
                                       SP_CERTIFICATE(.valid_to = now + 2 * DAY)),
                   SP_EOPTION);
  says(&why, SP_EOPTION, "beyond the end of the issuer");
  assert_int_equal(sp_certificate_make(&leaf, key, &why,
                                       SP_CERTIFICATE(.names = SP_NAMES("a.example"),
                                                      .valid_from = now, .valid_to = now)),
                   SP_EOPTION);
  says(&why, SP_EOPTION, "not after valid_from");
  sp_certificate_release(root);
  assert_int_equal(
      sp_certificate_make(&root, root_key, &why,
                          SP_CERTIFICATE(.subject = "CN=over", .purpose = SP_FOR_AUTHORITY,
                                         .valid_from = now - 2 * DAY, .valid_to = now - DAY)),
      0);
  assert_int_equal(sp_certificate_sign(&leaf, request, root, root_key, &why, NULL),
                   SP_ECERTIFICATE);
  says(&why, SP_ECERTIFICATE, "has expired: renew it");
  sp_certificate_release(root);
  sp_request_release(request);
  sp_key_release(key);
  sp_key_release(root_key);
}

/* -- bad specs --------------------------------------------------------------------------------- */

static void refused(const sp_key_t *key, const sp_certificate_spec_t *spec, const char *text) {
  sp_certificate_t *certificate = (sp_certificate_t *)&text;
  sp_error_t why = {.status = 0};
  assert_int_equal(sp_certificate_make(&certificate, key, &why, spec), SP_EOPTION);
  assert_null(certificate);
  says(&why, SP_EOPTION, text);
}

static void test_names_that_are_none(void **state) {
  (void)state;
  static const char *const bad[] = {"a b",        "*",          "*.com",     "a.*.com",
                                    "",           "-a.example", "1.2.3.256", "a..b",
                                    "a.example.", "@a.example", "://x",      "a\tb"};
  sp_key_t *key = key_of(SP_KEY_P256);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    refused(key, SP_CERTIFICATE(.subject = "CN=x", .names = SP_NAMES("ok.example", bad[i])),
            "names[1]: ");
  refused(key, SP_CERTIFICATE(.names = SP_NAMES("b\xc3\xbc.example")), "xn--");
  sp_key_release(key);
}

static void test_specs_that_cannot_be(void **state) {
  (void)state;
  sp_key_t *key = key_of(SP_KEY_P256);
  refused(key, NULL, "whom is the certificate for");
  refused(key, SP_CERTIFICATE(.subject = "CN=a.example"), "names is empty");
  refused(key, SP_CERTIFICATE(.subject = "a.example", .names = SP_NAMES("a.example")),
          "cannot be read");
  refused(key, SP_CERTIFICATE(.subject = "CN=", .names = SP_NAMES("a.example")), "cannot be read");
  refused(key, SP_CERTIFICATE(.subject = "XX=a", .names = SP_NAMES("a.example")),
          "\"XX\" is no attribute");
  refused(key, SP_CERTIFICATE(.subject = "C=DEU", .names = SP_NAMES("a.example")), "two letters");
  refused(key, SP_CERTIFICATE(.purpose = SP_FOR_AUTHORITY, .subject = ""), "whom is");
  refused(key, SP_CERTIFICATE(.names = SP_NAMES("a.example"), .permitted = SP_NAMES("b")),
          "are for authorities");
  refused(key, SP_CERTIFICATE(.names = SP_NAMES("a.example"), .crl_url = "b.example"),
          "crl_url: \"b.example\" is no URL");
  refused(key,
          SP_CERTIFICATE(.names = SP_NAMES("a.example"), .serial = (const uint8_t *)"\0",
                         .serial_size = 1),
          "serial: ");
  refused(key, &(sp_certificate_spec_t){.subject = "CN=x"}, "SP_CERTIFICATE");
  sp_key_release(key);
}

/* K15: slashes, equals signs, UTF-8, escapes, and a name of more than 64 characters. */
static void test_subjects(void **state) {
  (void)state;
  static const char *const subjects[] = {"CN=a/b=c\\+d", "CN=J\xc3\xb6rg,O=\\ blank\\ ",
                                         "O=with \\\"quotes\\\" and \\\\,C=DE"};
  sp_key_t *key = key_of(SP_KEY_P256);
  sp_certificate_t *certificate;
  sp_error_t why = {.text = ""};
  for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
    assert_int_equal(
        sp_certificate_make(&certificate, key, &why,
                            SP_CERTIFICATE(.subject = subjects[i], .names = SP_NAMES("a.example"))),
        0);
    if (i)
      assert_string_equal(sp_certificate_subject(certificate), subjects[i]);
    sp_certificate_release(certificate);
  }
  char name[100];
  memset(name, 'a', sizeof name);
  memcpy(name + 40, ".", 1);
  strcpy(name + 80, ".example");
  assert_int_equal(
      sp_certificate_make(&certificate, key, &why, SP_CERTIFICATE(.names = SP_NAMES(name))), 0);
  assert_string_equal(sp_certificate_subject(certificate), "");
  X509 *x509 = sp_certificate_x509(certificate);
  int at = X509_get_ext_by_NID(x509, NID_subject_alt_name, -1);
  assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(x509, at)), 1); /* RFC 5280 4.2.1.6 */
  sp_certificate_release(certificate);
  char subject[120];
  snprintf(subject, sizeof subject, "CN=%s", name);
  refused(key, SP_CERTIFICATE(.subject = subject, .names = SP_NAMES("a.example")), "too long");
  sp_key_release(key);
}

static void test_serials_do_not_repeat(void **state) {
  (void)state;
  enum { COUNT = 50 };
  sp_key_t *key = key_of(SP_KEY_P256);
  sp_certificate_t *all[COUNT];
  sp_error_t why = {.text = ""};
  for (size_t i = 0; i < COUNT; i++) {
    assert_int_equal(
        sp_certificate_make(&all[i], key, &why, SP_CERTIFICATE(.names = SP_NAMES("a.example"))), 0);
    for (size_t k = 0; k < i; k++)
      assert_string_not_equal(sp_certificate_serial(all[i]), sp_certificate_serial(all[k]));
  }
  for (size_t i = 0; i < COUNT; i++)
    sp_certificate_release(all[i]);
  assert_int_equal(
      sp_certificate_make(&all[0], key, &why,
                          SP_CERTIFICATE(.names = SP_NAMES("a.example"),
                                         .serial = (const uint8_t *)"\x01\x02", .serial_size = 2)),
      0);
  assert_string_equal(sp_certificate_serial(all[0]), "0102");
  sp_certificate_release(all[0]);
  sp_key_release(key);
}

static void test_extensions_that_are_asked_for(void **state) {
  (void)state;
  sp_key_t *key = key_of(SP_KEY_P256);
  sp_certificate_t *certificate;
  sp_error_t why = {.text = ""};
  assert_int_equal(
      sp_certificate_make(&certificate, key, &why,
                          SP_CERTIFICATE(.names = SP_NAMES("a.example"), .purpose = SP_FOR_BOTH,
                                         .crl_url = "http://a.example/crl",
                                         .ocsp_url = "http://a.example/ocsp", .must_staple = true)),
      0);
  static const int nids[] = {NID_crl_distribution_points, NID_info_access, NID_tlsfeature,
                             NID_subject_key_identifier};
  for (size_t i = 0; i < sizeof nids / sizeof *nids; i++)
    assert_true(X509_get_ext_by_NID(sp_certificate_x509(certificate), nids[i], -1) >= 0);
  size_t count, n;
  const uint8_t *der = sp_certificate_der(certificate, &n);
  assert_non_null(memmem(der, n, "http://a.example/crl", 20));
  assert_non_null(memmem(der, n, "http://a.example/ocsp", 21));
  (void)sp_certificate_extended_usages(certificate, &count);
  assert_int_equal(count, 2);
  sp_certificate_release(certificate);
  sp_key_release(key);
}

/* -- revocation lists -------------------------------------------------------------------------- */

static int verify_with_list(const sp_certificate_t *leaf, const sp_certificate_t *root,
                            const char *pem) {
  BIO *bio = BIO_new_mem_buf(pem, -1);
  X509_CRL *crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
  X509_STORE *store = X509_STORE_new();
  X509_STORE_CTX *ctx = X509_STORE_CTX_new();
  X509_STORE_add_cert(store, sp_certificate_x509(root));
  X509_STORE_add_crl(store, crl);
  X509_STORE_CTX_init(ctx, store, sp_certificate_x509(leaf), NULL);
  X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_X509_STRICT);
  int result = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
  X509_STORE_CTX_free(ctx);
  X509_STORE_free(store);
  X509_CRL_free(crl);
  BIO_free(bio);
  ERR_clear_error();
  return result;
}

static void test_a_revocation_list(void **state) {
  (void)state;
  sp_key_t *root_key = key_of(SP_KEY_P256), *key = key_of(SP_KEY_P256);
  sp_certificate_t *root = root_of(root_key), *leaf;
  sp_request_t *request = request_of(key, SP_CERTIFICATE(.names = SP_NAMES("a.example")));
  sp_error_t why = {.text = ""};
  char *pem;
  assert_int_equal(sp_certificate_sign(&leaf, request, root, root_key, &why, NULL), 0);
  assert_int_equal(sp_crl_make(&pem, root, root_key, NULL, 0, 1, 7, &why), 0);
  assert_int_equal(verify_with_list(leaf, root, pem), X509_V_OK);
  sp_pem_release(pem);
  const sp_revoked_t revoked[] = {{.serial = "0123", .when = 1, .reason = 0},
                                  {sp_certificate_serial(leaf), (int64_t)time(NULL) - 60, 1}};
  assert_int_equal(sp_crl_make(&pem, root, root_key, revoked, 2, 2, 7, &why), 0);
  assert_int_equal(verify_with_list(leaf, root, pem), X509_V_ERR_CERT_REVOKED);
  sp_pem_release(pem);
  const sp_revoked_t bad = {.serial = "xyz", .when = 1};
  assert_int_equal(sp_crl_make(&pem, root, root_key, &bad, 1, 2, 7, &why), SP_EOPTION);
  says(&why, SP_EOPTION, "\"xyz\"");
  assert_int_equal(sp_crl_make(&pem, root, root_key, NULL, 0, 2, 0, &why), SP_EOPTION);
  assert_int_equal(sp_crl_make(&pem, root, key, NULL, 0, 2, 7, &why), SP_EMISMATCH);
  assert_int_equal(sp_crl_make(&pem, leaf, key, NULL, 0, 2, 7, &why), SP_ECERTIFICATE);
  assert_null(pem);
  sp_certificate_release(leaf);
  sp_certificate_release(root);
  sp_request_release(request);
  sp_key_release(key);
  sp_key_release(root_key);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each_kind_of_key),
      cmocka_unit_test(test_keys_that_are_not_made),
      cmocka_unit_test(test_keys_are_written_and_read),
      cmocka_unit_test(test_what_is_no_key),
      cmocka_unit_test(test_a_request_says_what_it_was_made_of),
      cmocka_unit_test(test_what_is_no_request),
      cmocka_unit_test(test_a_request_has_to_be_signed_with_its_key),
      cmocka_unit_test(test_a_self_signed_certificate),
      cmocka_unit_test(test_an_authority_signs),
      cmocka_unit_test(test_injected_extensions_are_passed_over),
      cmocka_unit_test(test_dates),
      cmocka_unit_test(test_names_that_are_none),
      cmocka_unit_test(test_specs_that_cannot_be),
      cmocka_unit_test(test_subjects),
      cmocka_unit_test(test_serials_do_not_repeat),
      cmocka_unit_test(test_extensions_that_are_asked_for),
      cmocka_unit_test(test_a_revocation_list),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
