/* Reading certificates from PEM and DER, and everything a view tells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <securepair/certificate.h>

#include "certificate/certificate.h"
#include "support/pki.h"

#define UV_ENOENT_NUMBER (-2)
#define UV_ENOMEM_NUMBER (-12)

static sp_certificate_t *view_of(const pki_t *pki) {
  sp_certificate_t *view;
  sp_error_t why;
  assert_int_equal(sp_certificate_from_x509(&view, pki->x509, &why), 0);
  return view;
}

static sp_certificate_t *read_bytes(const void *bytes, size_t n) {
  sp_certificate_t *view;
  sp_error_t why = {.text = ""};
  if (sp_certificate_read(&view, bytes, n, &why) != 0)
    fail_msg("%s", why.text);
  assert_int_equal(ERR_peek_error(), 0);
  return view;
}

static sp_certificate_t *read_text(const char *text) { return read_bytes(text, strlen(text)); }

static size_t length_of(const sp_certificate_t *view) {
  size_t n = 0;
  for (; view; view = sp_certificate_next(view))
    n++;
  return n;
}

static void refused(const void *bytes, size_t n, const char *text) {
  sp_certificate_t *view = (sp_certificate_t *)&n;
  sp_error_t why = {.status = 0};
  assert_int_equal(sp_certificate_read(&view, bytes, n, &why), SP_ECERTIFICATE);
  assert_null(view);
  assert_int_equal(why.status, SP_ECERTIFICATE);
  if (!strstr(why.text, text))
    fail_msg("\"%s\" does not say \"%s\"", why.text, text);
  assert_int_equal(ERR_peek_error(), 0);
}

static void refused_text(const char *bytes, const char *text) {
  refused(bytes, strlen(bytes), text);
}

/* -- reading ----------------------------------------------------------------------------------- */

static char *replaced(const char *text, const char *what, const char *with) {
  size_t n = strlen(text), extra = strlen(with);
  char *result = calloc(1, n * (extra + 1) + 1), *out = result;
  assert_non_null(result);
  while (*text) {
    if (strncmp(text, what, strlen(what)) == 0) {
      out = stpcpy(out, with);
      text += strlen(what);
    } else {
      *out++ = *text++;
    }
  }
  return result;
}

static void same_certificate(const char *text, const pki_t *pki) {
  sp_certificate_t *view = read_text(text);
  assert_int_equal(X509_cmp(sp_certificate_x509(view), pki->x509), 0);
  assert_int_equal(length_of(view), 1);
  sp_certificate_release(view);
}

static void forms_of_pem(void **state) {
  (void)state;
  const pki_t *pki = pki_default()->server;
  const char *pem = pki->cert_pem;
  same_certificate(pem, pki);
  same_certificate(pki_join(PKI_LIST("\xef\xbb\xbf", pem)), pki);
  same_certificate(pki_join(PKI_LIST("subject=CN = x\n  i: y\n\n", pem, "\ntrailing -- text\n")),
                   pki);
  same_certificate(pki_join(PKI_LIST("\n\n  \t", pem)), pki);

  char *crlf = replaced(pem, "\n", "\r\n");
  same_certificate(crlf, pki);
  free(crlf);
  char *old_mac = replaced(pem, "\n", "\r");
  same_certificate(old_mac, pki);
  free(old_mac);
  char *indented = replaced(pem, "\n", "\n    ");
  same_certificate(indented, pki);
  free(indented);
  char *old_label = replaced(pem, "CERTIFICATE", "X509 CERTIFICATE");
  same_certificate(old_label, pki);
  free(old_label);

  char *cut = strdup(pem);
  cut[strlen(cut) - 1] = '\0'; /* no line break at the end */
  same_certificate(cut, pki);
  free(cut);
}

static void not_terminated(void **state) {
  (void)state;
  const char *pem = pki_default()->server->cert_pem;
  size_t n = strlen(pem);
  char *exact = malloc(n); /* ASan notices a byte that is read behind it */
  memcpy(exact, pem, n);
  sp_certificate_release(read_bytes(exact, n));
  free(exact);
}

static void trusted_certificate(void **state) {
  (void)state;
  const pki_t *pki = pki_default()->server;
  X509 *x509 = X509_dup(pki->x509);
  X509_alias_set1(x509, (const unsigned char *)"alias", 5);
  BIO *bio = BIO_new(BIO_s_mem());
  assert_int_equal(PEM_write_bio_X509_AUX(bio, x509), 1);
  assert_int_equal(BIO_write(bio, "", 1), 1); /* a NUL, so that it is a text */
  char *text;
  long n = BIO_get_mem_data(bio, &text) - 1;
  assert_non_null(strstr(text, "TRUSTED CERTIFICATE"));
  sp_certificate_t *view = read_bytes(text, (size_t)n);
  assert_string_equal(sp_certificate_pem(view), pki->cert_pem);
  sp_certificate_release(view);
  BIO_free(bio);
  X509_free(x509);
}

static void der(void **state) {
  (void)state;
  const pki_t *pki = pki_default()->server;
  size_t n, m;
  unsigned char *bytes = pki_der(pki, &n);
  sp_certificate_t *view = read_bytes(bytes, n);
  assert_string_equal(sp_certificate_pem(view), pki->cert_pem);
  const uint8_t *same = sp_certificate_der(view, &m);
  assert_int_equal(m, n);
  assert_memory_equal(same, bytes, n);
  sp_certificate_release(view);
}

static void chains(void **state) {
  (void)state;
  const pki_set_t *set = pki_default();
  char *text = pki_join(PKI_LIST("leaf\n", set->server_behind->cert_pem, "middle\n",
                                 set->intermediate->cert_pem, set->root->cert_pem));
  sp_certificate_t *view = read_text(text);
  assert_int_equal(length_of(view), 3);
  assert_string_equal(sp_certificate_subject(view), "CN=localhost");
  const sp_certificate_t *next = sp_certificate_next(view);
  assert_string_equal(sp_certificate_subject(next), "CN=securepair test intermediate");
  next = sp_certificate_next(next);
  assert_string_equal(sp_certificate_subject(next), "CN=securepair test root");
  assert_null(sp_certificate_next(next));
  sp_certificate_release(view);
}

/* Blocks glued together or behind a byte-order mark belong to the chain like any other. */
static void glued_chains(void **state) {
  (void)state;
  const pki_set_t *set = pki_default();
  char *first = strdup(set->server_behind->cert_pem);
  first[strlen(first) - 1] = '\0';
  sp_certificate_t *view = read_text(pki_join(PKI_LIST(first, set->intermediate->cert_pem)));
  assert_int_equal(length_of(view), 2);
  sp_certificate_release(view);
  view = read_text(pki_join(PKI_LIST(first, "\n\xef\xbb\xbf", set->intermediate->cert_pem)));
  assert_int_equal(length_of(view), 2);
  sp_certificate_release(view);
  free(first);
}

static void other_blocks_between(void **state) {
  (void)state;
  const pki_set_t *set = pki_default();
  sp_certificate_t *view =
      read_text(pki_join(PKI_LIST(set->server->key_pem, set->server->cert_pem,
                                  pki_request(set->server, "x"), set->root->cert_pem)));
  assert_int_equal(length_of(view), 2);
  sp_certificate_release(view);
}

static void long_chain(void **state) {
  (void)state;
  enum { count = 2000 };
  const char *pem = pki_default()->server->cert_pem;
  size_t n = strlen(pem);
  char *text = malloc(n * count + 1);
  for (size_t i = 0; i < count; i++)
    memcpy(text + i * n, pem, n + 1);
  sp_certificate_t *view = read_text(text);
  assert_int_equal(length_of(view), count);
  sp_certificate_release(view);
  free(text);
}

static void what_is_no_certificate(void **state) {
  (void)state;
  const pki_t *pki = pki_default()->server, *root = pki_default()->root;
  refused("", 0, "it is empty");
  refused(NULL, 0, "it is empty");
  refused_text(" \r\n\t\n", "it is empty");
  refused_text("\xef\xbb\xbf", "no certificate in it");
  refused_text("server-cert.pem", "no certificate in it");
  refused_text(pki->key_pem, "a private key, not a certificate: give it as key");
  refused_text(pki_encrypted_key(pki, "secret"), "a private key");
  refused_text(pki_request(pki, "x"), "certificate request: an authority has to sign it");
  refused_text(pki_crl(root, NULL, 0, 0), "revocation list");
  refused_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "public key");
  refused_text("-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n", "PKCS#7");
  refused_text("-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n",
               "no certificate in it, but \"DH PARAMETERS\"");
  refused("\xff\xfe-\0-\0-\0-\0-\0", 12, "UTF-16");
}

static void der_that_is_no_certificate(void **state) {
  (void)state;
  const pki_t *pki = pki_default()->server;
  size_t n;
  unsigned char *pfx = pki_pkcs12(pki, NULL, "secret", &n);
  refused(pfx, n, "PKCS#12");
  unsigned char *key = NULL;
  int size = i2d_PrivateKey(pki->key, &key);
  refused(key, (size_t)size, "a private key");
  OPENSSL_free(key);
  unsigned char *bytes = pki_der(pki, &n);
  refused(bytes, n - 1, "damaged");
  refused(bytes, 1, "damaged");
  unsigned char *longer = malloc(n + 2);
  memcpy(longer, bytes, n);
  memcpy(longer + n, "\n\n", 2);
  refused(longer, n + 2, "2 bytes follow");
  free(longer);
}

static void damaged_pem(void **state) {
  (void)state;
  const char *pem = pki_default()->server->cert_pem;
  size_t n = strlen(pem);
  char *text = strdup(pem);
  text[60] = '%';
  refused_text(text, "not base64");
  text[60] = '\0';
  refused(text, n, "NUL byte at offset 60");
  free(text);

  text = strdup(pem);
  text[n - 40] = '\0';
  refused_text(text, "the END line of \"CERTIFICATE\" is missing");
  free(text);

  text = replaced(pem, "END CERTIFICATE", "END CERTIFICATES");
  refused_text(text, "END line");
  free(text);
  text = replaced(pem, "\n", "\\n");
  refused_text(text, "two characters \\n");
  free(text);

  refused_text("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "damaged");
  refused_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "damaged");
  refused_text("-----BEGIN CERTIFICATE", "BEGIN line");
  refused_text("-----BEGIN CERTIFICATE-----", "END line");
  refused_text("-----BEGIN CERTIFICATE-----\n-----END ", "END line");
  refused_text("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE----", "END line");
  refused_text("-----BEGIN \x1b[2J-----\nAAAA\n-----END \x1b[2J-----\n", "\\x1b[2J");
  /* a good one before does not help */
  refused_text(pki_join(PKI_LIST(pem, "-----BEGIN CERTIFICATE-----\n")), "END line");
}

/* Every prefix: an error or nothing, never a read behind the end. */
static void every_cut(void **state) {
  (void)state;
  const char *pem = pki_default()->server->cert_pem;
  size_t n = strlen(pem), m;
  unsigned char *bytes = pki_der(pki_default()->server, &m);
  sp_certificate_t *view;
  for (size_t i = 0; i + 1 < n; i++) {
    char *cut = malloc(i ? i : 1); /* exactly, for ASan */
    memcpy(cut, pem, i);
    assert_int_equal(sp_certificate_read(&view, cut, i, NULL), SP_ECERTIFICATE);
    free(cut);
  }
  for (size_t i = 0; i < m; i++) {
    char *cut = malloc(i ? i : 1);
    memcpy(cut, bytes, i);
    assert_int_equal(sp_certificate_read(&view, cut, i, NULL), SP_ECERTIFICATE);
    free(cut);
  }
  assert_int_equal(ERR_peek_error(), 0);
}

/* Every byte of the DER form changed: whatever comes out can be read without harm. */
static void every_damage(void **state) {
  (void)state;
  size_t n;
  unsigned char *bytes = pki_der(pki_default()->server, &n);
  for (size_t i = 0; i < n; i++) {
    unsigned char old = bytes[i];
    bytes[i] ^= (unsigned char)(1u << i % 8);
    sp_certificate_t *view;
    if (sp_certificate_read(&view, bytes, n, NULL) == 0) {
      assert_non_null(sp_certificate_subject(view));
      assert_non_null(sp_certificate_key_type(view));
      sp_certificate_names_host(view, "localhost", SP_NAME_COMMON, NULL);
      sp_certificate_release(view);
    }
    bytes[i] = old;
  }
  assert_int_equal(ERR_peek_error(), 0);
}

static void files(void **state) {
  (void)state;
  const pki_t *pki = pki_default()->server;
  sp_certificate_t *view;
  sp_error_t why;
  assert_int_equal(sp_certificate_read_file(&view, pki_file(pki->cert_pem), &why), 0);
  assert_string_equal(sp_certificate_pem(view), pki->cert_pem);
  sp_certificate_release(view);

  const char *missing = pki_path("missing.pem");
  assert_int_equal(sp_certificate_read_file(&view, missing, &why), UV_ENOENT_NUMBER);
  assert_null(view);
  assert_non_null(strstr(why.text, "missing.pem"));

  assert_int_equal(sp_certificate_read_file(&view, pki_file(pki->key_pem), &why), SP_ECERTIFICATE);
  assert_null(view);
  assert_non_null(strstr(why.text, ".pem: this is a private key"));
}

/* -- what a view tells ------------------------------------------------------------------------- */

static const pki_t *rich(void) {
  static const pki_t *pki;
  if (!pki)
    pki = PKI_MAKE(
        pki_default()->root,
        .subject = PKI_LIST("C=DE", "O=Example, Inc.", "OU=one", "OU=two", "CN=a.example"),
        .raw_san = "DNS:a.example,DNS:*.b.example,IP:192.0.2.1,IP:2001:db8::1,"
                   "email:x@a.example,URI:https://a.example/,RID:1.2.3",
        .from = -PKI_DAY, .to = 30 * PKI_DAY, .key_usage = "critical,digitalSignature,keyAgreement",
        .eku = "serverAuth,1.2.3.4");
  return pki;
}

static void subject_and_issuer(void **state) {
  (void)state;
  sp_certificate_t *view = view_of(rich());
  assert_string_equal(sp_certificate_subject(view),
                      "CN=a.example,OU=two,OU=one,O=Example\\, Inc.,C=DE");
  assert_string_equal(sp_certificate_issuer(view), "CN=securepair test root");
  static const char *const expected[][2] = {
      {"C", "DE"}, {"O", "Example, Inc."}, {"OU", "one"}, {"OU", "two"}, {"CN", "a.example"}};
  size_t n;
  const sp_attribute_t *attributes = sp_certificate_attributes(view, SP_SUBJECT, &n);
  assert_int_equal(n, 5);
  for (size_t i = 0; i < n; i++) {
    assert_string_equal(attributes[i].type, expected[i][0]);
    assert_string_equal(attributes[i].value, expected[i][1]);
  }
  attributes = sp_certificate_attributes(view, SP_ISSUER, &n);
  assert_int_equal(n, 1);
  assert_string_equal(attributes[0].value, "securepair test root");
  assert_string_equal(sp_certificate_attribute(view, SP_SUBJECT, "OU"), "one");
  assert_string_equal(sp_certificate_attribute(view, SP_ISSUER, "CN"), "securepair test root");
  assert_null(sp_certificate_attribute(view, SP_ISSUER, "OU"));
  sp_certificate_release(view);
}

static void strange_subjects(void **state) {
  (void)state;
  size_t n;
  sp_certificate_t *view = view_of(PKI_MAKE(NULL, .subject = PKI_LIST(NULL)));
  assert_string_equal(sp_certificate_subject(view), "");
  sp_certificate_attributes(view, SP_SUBJECT, &n);
  assert_int_equal(n, 0);
  sp_certificate_release(view);

  view = view_of(
      PKI_MAKE(NULL, .subject = PKI_LIST("O=a\x1b[2J\nb", "CN=M\xc3\xbcller", "1.2.3.4=x")));
  assert_non_null(strstr(sp_certificate_subject(view), "CN=M\xc3\xbcller"));
  assert_non_null(strstr(sp_certificate_subject(view), "O=a\\x1b[2J\\x0ab"));
  assert_non_null(strstr(sp_certificate_subject(view), "1.2.3.4="));
  const sp_attribute_t *attributes = sp_certificate_attributes(view, SP_SUBJECT, &n);
  assert_int_equal(n, 3);
  assert_string_equal(attributes[0].value, "a\\x1b[2J\\x0ab");
  assert_string_equal(attributes[1].value, "M\xc3\xbcller");
  assert_string_equal(attributes[2].type, "1.2.3.4");
  assert_string_equal(attributes[2].value, "x");
  sp_certificate_release(view);
}

static void alternative_names(void **state) {
  (void)state;
  static const sp_name_t expected[] = {{SP_NAME_DNS, "a.example"},
                                       {SP_NAME_DNS, "*.b.example"},
                                       {SP_NAME_IP, "192.0.2.1"},
                                       {SP_NAME_IP, "2001:db8::1"},
                                       {SP_NAME_EMAIL, "x@a.example"},
                                       {SP_NAME_URI, "https://a.example/"},
                                       {SP_NAME_OTHER, "Registered ID:1.2.3"}};
  sp_certificate_t *view = view_of(rich());
  size_t n;
  const sp_name_t *names = sp_certificate_names(view, &n);
  assert_int_equal(n, sizeof expected / sizeof *expected);
  for (size_t i = 0; i < n; i++) {
    assert_int_equal(names[i].type, expected[i].type);
    assert_string_equal(names[i].value, expected[i].value);
  }
  sp_certificate_release(view);

  view = view_of(PKI_MAKE(NULL, .cn = "no names"));
  sp_certificate_names(view, &n);
  assert_int_equal(n, 0);
  sp_certificate_release(view);
}

static void hostile_alternative_names(void **state) {
  (void)state;
  const pki_name_t hostile[] = {
      {GEN_DNS, "a\0b", 3}, {GEN_DNS, "", 0}, {GEN_URI, "\xff\x9b\n", 3}, {GEN_IPADD, "\1\2\3", 3}};
  sp_certificate_t *view = view_of(PKI_MAKE(NULL, .names = hostile, .name_count = 4));
  size_t n;
  const sp_name_t *names = sp_certificate_names(view, &n);
  assert_int_equal(n, 4);
  assert_string_equal(names[0].value, "a\\x00b");
  assert_string_equal(names[1].value, "");
  assert_string_equal(names[2].value, "\\xff\\x9b\\x0a");
  assert_int_equal(names[3].type, SP_NAME_OTHER);
  sp_certificate_release(view);
}

static void validity(void **state) {
  (void)state;
  sp_certificate_t *view = view_of(rich());
  int64_t now = time(NULL);
  assert_int_equal(sp_certificate_valid_to(view) - sp_certificate_valid_from(view), 31 * PKI_DAY);
  assert_in_range(now - PKI_DAY - sp_certificate_valid_from(view), 0, 120);
  sp_certificate_release(view);

  X509 *x509 = X509_dup(rich()->x509);
  assert_true(ASN1_TIME_set_string_X509(X509_getm_notBefore(x509), "19500101000000Z"));
  assert_true(ASN1_TIME_set_string_X509(X509_getm_notAfter(x509), "99991231235959Z"));
  assert_int_equal(sp_certificate_from_x509(&view, x509, NULL), 0);
  assert_int_equal(sp_certificate_valid_from(view), -631152000);
  assert_int_equal(sp_certificate_valid_to(view), 253402300799);
  sp_certificate_release(view);
  X509_free(x509);
}

static void serials(void **state) {
  (void)state;
  static const struct {
    const char *decimal, *text;
  } rows[] = {{"1", "01"},
              {"255", "FF"},
              {"4096", "1000"},
              {"-171", "-AB"},
              {"0", "0"},
              {"1461501637330902918203684832716283019655932542975",
               "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    X509 *x509 = X509_dup(rich()->x509);
    BIGNUM *number = NULL;
    assert_true(BN_dec2bn(&number, rows[i].decimal));
    assert_non_null(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)));
    sp_certificate_t *view;
    assert_int_equal(sp_certificate_from_x509(&view, x509, NULL), 0);
    assert_string_equal(sp_certificate_serial(view), rows[i].text);
    sp_certificate_release(view);
    BN_free(number);
    X509_free(x509);
  }
}

static void fingerprints(void **state) {
  (void)state;
  static const char *const digests[] = {"SHA1", "SHA256", "SHA512"};
  sp_certificate_t *view = view_of(rich());
  for (int i = 0; i < 3; i++) {
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned n;
    char expected[200] = "";
    assert_true(X509_digest(rich()->x509, EVP_get_digestbyname(digests[i]), raw, &n));
    for (unsigned at = 0; at < n; at++)
      sprintf(expected + strlen(expected), "%s%02X", at ? ":" : "", raw[at]);
    assert_string_equal(sp_certificate_fingerprint(view, (sp_digest_t)i), expected);
  }
  assert_null(sp_certificate_fingerprint(view, (sp_digest_t)3));
  sp_certificate_release(view);
}

static void keys_and_signatures(void **state) {
  (void)state;
  static const struct {
    const char *key, *type, *curve, *signature;
    int bits;
  } rows[] = {
      {"ec", "EC", "prime256v1", "ecdsa-with-SHA256", 256},
      {"ec384", "EC", "secp384r1", "ecdsa-with-SHA256", 384},
      {"rsa", "RSA", NULL, "sha256WithRSAEncryption", 2048},
      {"rsa1024", "RSA", NULL, "sha256WithRSAEncryption", 1024},
      {"rsa-pss", "RSA-PSS", NULL, "rsassaPss", 2048},
      {"ed25519", "ED25519", NULL, "ED25519", 256},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    sp_certificate_t *view = view_of(PKI_MAKE(NULL, .cn = "x", .key = rows[i].key));
    assert_string_equal(sp_certificate_key_type(view), rows[i].type);
    assert_int_equal(sp_certificate_key_bits(view), rows[i].bits);
    assert_string_equal(sp_certificate_signature(view), rows[i].signature);
    if (rows[i].curve)
      assert_string_equal(sp_certificate_key_curve(view), rows[i].curve);
    else
      assert_null(sp_certificate_key_curve(view));
    assert_true(sp_certificate_is_self_signed(view));
    sp_certificate_release(view);
  }
}

static void usages(void **state) {
  (void)state;
  sp_certificate_t *view = view_of(rich());
  size_t n;
  const char *const *list = sp_certificate_usages(view, &n);
  assert_int_equal(n, 2);
  assert_string_equal(list[0], "digitalSignature");
  assert_string_equal(list[1], "keyAgreement");
  list = sp_certificate_extended_usages(view, &n);
  assert_int_equal(n, 2);
  assert_string_equal(list[0], "serverAuth");
  assert_string_equal(list[1], "1.2.3.4");
  sp_certificate_release(view);

  view = view_of(PKI_MAKE(NULL, .cn = "x", .key_usage = "", .eku = ""));
  assert_null(sp_certificate_usages(view, &n));
  assert_int_equal(n, 0);
  assert_null(sp_certificate_extended_usages(view, &n));
  assert_int_equal(n, 0);
  sp_certificate_release(view);

  view = view_of(
      PKI_MAKE(NULL, .cn = "x", .key_usage = "keyAgreement,decipherOnly,cRLSign,keyCertSign"));
  list = sp_certificate_usages(view, &n);
  assert_int_equal(n, 4);
  assert_string_equal(list[3], "decipherOnly");
  sp_certificate_release(view);
}

static void roles(void **state) {
  (void)state;
  const pki_set_t *set = pki_default();
  sp_certificate_t *root = view_of(set->root), *middle = view_of(set->intermediate);
  sp_certificate_t *leaf = view_of(set->server);
  assert_true(sp_certificate_is_authority(root));
  assert_true(sp_certificate_is_authority(middle));
  assert_false(sp_certificate_is_authority(leaf));
  assert_true(sp_certificate_is_self_signed(root));
  assert_false(sp_certificate_is_self_signed(middle));
  assert_false(sp_certificate_is_self_signed(leaf));
  sp_certificate_release(root);
  sp_certificate_release(middle);
  sp_certificate_release(leaf);

  /* the same name on both sides, but signed by another key */
  const pki_t *twin = PKI_MAKE(NULL, .cn = "twin", .ca = true);
  sp_certificate_t *view = view_of(PKI_MAKE(twin, .cn = "twin"));
  assert_false(sp_certificate_is_self_signed(view));
  sp_certificate_release(view);
}

/* -- life -------------------------------------------------------------------------------------- */

static void view_of_a_chain(void **state) {
  (void)state;
  const pki_set_t *set = pki_default();
  STACK_OF(X509) *chain = sk_X509_new_null();
  sk_X509_push(chain, set->server_behind->x509);
  sk_X509_push(chain, set->intermediate->x509);
  sp_certificate_t *view;
  /* with the first repeated, as SSL_get_peer_cert_chain has it on a client */
  assert_int_equal(sp__certificate_view(&view, set->server_behind->x509, chain, NULL), 0);
  assert_int_equal(length_of(view), 2);
  assert_ptr_equal(sp_certificate_x509(view), set->server_behind->x509);
  sp_certificate_release(view);
  /* and without, as on a server */
  assert_ptr_equal(sk_X509_shift(chain), set->server_behind->x509);
  assert_int_equal(sp__certificate_view(&view, set->server_behind->x509, chain, NULL), 0);
  assert_int_equal(length_of(view), 2);

  /* a part of the chain outlives the rest */
  sp_certificate_t *issuer = sp_certificate_retain((sp_certificate_t *)sp_certificate_next(view));
  sp_certificate_release(view);
  assert_string_equal(sp_certificate_subject(issuer), "CN=securepair test intermediate");
  sp_certificate_release(issuer);
  sp_certificate_release(NULL);
  sk_X509_free(chain);
}

static size_t left;
static void *scarce_alloc(size_t n) { return left && left-- ? malloc(n) : NULL; }
static void *scarce_realloc(void *p, size_t n) { return left && left-- ? realloc(p, n) : NULL; }

/* Memory that ends at each allocation in turn: an error, nothing leaked, then success. */
static void out_of_memory(void **state) {
  (void)state;
  char *text = pki_join(PKI_LIST(rich()->cert_pem, pki_default()->root->cert_pem));
  assert_int_equal(sp_replace_allocator(scarce_alloc, scarce_realloc, free), 0);
  int status = UV_ENOMEM_NUMBER;
  for (size_t limit = 0; status == UV_ENOMEM_NUMBER && limit < 1000; limit++) {
    sp_certificate_t *view;
    sp_error_t why;
    left = limit;
    status = sp_certificate_read(&view, text, strlen(text), &why);
    assert_int_equal(ERR_peek_error(), 0);
    if (status == 0)
      sp_certificate_release(view);
    else
      assert_null(view);
  }
  assert_int_equal(status, 0);
  assert_int_equal(sp_replace_allocator(NULL, NULL, NULL), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(forms_of_pem),
      cmocka_unit_test(not_terminated),
      cmocka_unit_test(trusted_certificate),
      cmocka_unit_test(der),
      cmocka_unit_test(chains),
      cmocka_unit_test(glued_chains),
      cmocka_unit_test(other_blocks_between),
      cmocka_unit_test(long_chain),
      cmocka_unit_test(what_is_no_certificate),
      cmocka_unit_test(der_that_is_no_certificate),
      cmocka_unit_test(damaged_pem),
      cmocka_unit_test(every_cut),
      cmocka_unit_test(every_damage),
      cmocka_unit_test(files),
      cmocka_unit_test(subject_and_issuer),
      cmocka_unit_test(strange_subjects),
      cmocka_unit_test(alternative_names),
      cmocka_unit_test(hostile_alternative_names),
      cmocka_unit_test(validity),
      cmocka_unit_test(serials),
      cmocka_unit_test(fingerprints),
      cmocka_unit_test(keys_and_signatures),
      cmocka_unit_test(usages),
      cmocka_unit_test(roles),
      cmocka_unit_test(view_of_a_chain),
      cmocka_unit_test(out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
