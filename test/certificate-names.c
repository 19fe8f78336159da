/* Whether a certificate names a host: FAULTS.md K03, K04, K05. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>

#include <securepair/certificate.h>

#include "certificate/certificate.h"
#include "support/pki.h"

#define ARRAY(array) (sizeof(array) / sizeof *(array))

/* One certificate of these names, all of one type. */
static X509 *with_names(const char *cn, int type, const char *const *names) {
  pki_spec_t spec = {.cn = cn};
  static EVP_PKEY *key; /* the key does not matter here: one for all is faster */
  if (!key)
    key = pki_default()->server->key;
  spec.use_key = key;
  *(type == GEN_DNS     ? &spec.dns
    : type == GEN_IPADD ? &spec.ips
    : type == GEN_EMAIL ? &spec.emails
                        : &spec.uris) = names;
  return pki_make(NULL, &spec)->x509;
}

static bool matches(X509 *x509, const char *host, unsigned flags) {
  sp_error_t why = {.status = 0};
  long verify = sp__x509_names_host(x509, host, flags, &why);
  if (verify == X509_V_OK) {
    assert_int_equal(why.status, 0);
    return true;
  }
  assert_int_equal(why.status, SP_EUNAUTHORIZED);
  assert_int_equal(why.who, SP_PEER);
  assert_int_equal(why.verify, verify);
  assert_int_equal(verify, sp__is_address(host) ? X509_V_ERR_IP_ADDRESS_MISMATCH
                                                : X509_V_ERR_HOSTNAME_MISMATCH);
  assert_true(strlen(why.text) > 20);
  assert_int_equal(ERR_peek_error(), 0);
  return false;
}

typedef struct row {
  const char *pattern, *host;
  bool matches;
} row_t;

static void check_rows(const row_t *rows, size_t n, int type) {
  for (size_t i = 0; i < n; i++) {
    X509 *x509 = with_names("cn.example", type, PKI_LIST(rows[i].pattern));
    if (matches(x509, rows[i].host, 0) != rows[i].matches)
      fail_msg("\"%s\" for \"%s\": expected %s", rows[i].pattern, rows[i].host,
               rows[i].matches ? "a match" : "none");
  }
}

static void plain_names(void **state) {
  (void)state;
  static const row_t rows[] = {
      {"a.example", "a.example", true},
      {"a.example", "A.Example", true},
      {"A.EXAMPLE", "a.example", true},
      {"a.example", "a.example.", true},
      {"a.example.", "a.example", true},
      {"a.example.", "a.example.", true},
      {"localhost", "localhost", true},
      {"_dmarc.a.example", "_dmarc.a.example", true},
      {"xn--bcher-kva.example", "xn--bcher-kva.example", true},
      {"xn--bcher-kva.example", "XN--BCHER-KVA.example", true},
      {"7.example", "7.example", true},
      {"0x7f.example", "0x7f.example", true},
      {"a.example", "b.example", false},
      {"a.example", "a.exampl", false},
      {"a.example", "a.example.com", false},
      {"a.example", "b.a.example", false},
      {"b.a.example", "a.example", false},
      {"example", "a.example", false},
  };
  check_rows(rows, ARRAY(rows), GEN_DNS);
}

/* Neither in a certificate nor asked for. */
static void what_is_no_name(void **state) {
  (void)state;
  static const row_t rows[] = {
      {"a.example", "", false},
      {"a.example", ".", false},
      {"a.example", "a.example..", false},
      {"a.example", ".a.example", false},
      {"a..example", "a..example", false},
      {"a.example..", "a.example", false},
      {".a.example", "a.example", false},
      {".a.example", "b.a.example", false},
      {"a.example", "a.example ", false},
      {"a.example", " a.example", false},
      {"a.example ", "a.example", false},
      {"a.example", "a.example:443", false},
      {"a.example", "a.example/", false},
      {"a.example", "user@a.example", false},
      {"a.example", "https://a.example", false},
      {"a.example", "a.example\n", false},
      {"a b.example", "a b.example", false},
      {"", "a.example", false},
      {".", "a.example", false},
  };
  check_rows(rows, ARRAY(rows), GEN_DNS);
}

/* As texts of certificates are written, by those that take them apart. */
static void lists_in_a_name(void **state) {
  (void)state;
  static const row_t rows[] = {
      {"cn.example, DNS:a.example", "a.example", false},
      {"a.example, DNS:b.example", "a.example", false},
      {"a.example, DNS:b.example", "b.example", false},
      {"a.example,DNS:b.example", "b.example", false},
      {"a.example\nDNS:b.example", "b.example", false},
      {"DNS:a.example", "a.example", false},
      {"*", "a.example, DNS:b.example", false},
  };
  check_rows(rows, ARRAY(rows), GEN_DNS);
}

/* Unicode: full-width, ideographic dots, a letter that lower-cases into ASCII elsewhere */
static void unicode_in_names(void **state) {
  (void)state;
  static const row_t rows[] = {
      {"\xef\xbd\x81.example", "a.example", false},
      {"a.example", "\xef\xbd\x81.example", false},
      {"a.example",
       "a\xe3\x80\x82"
       "example",
       false},
      {"a.example",
       "a\xef\xbc\x8e"
       "example",
       false},
      {"a.example",
       "a\xef\xbd\xa1"
       "example",
       false},
      {"a\xe3\x80\x82"
       "example",
       "a.example", false},
      {"k.example", "\xe2\x84\xaa.example", false},
      {"\xe2\x84\xaa.example", "k.example", false},
      {"b\xc3\xbc"
       "cher.example",
       "b\xc3\xbc"
       "cher.example",
       false},
      {"xn--bcher-kva.example",
       "b\xc3\xbc"
       "cher.example",
       false},
      {"i.example", "\xc4\xb1.example", false},
  };
  check_rows(rows, ARRAY(rows), GEN_DNS);
}

static void wildcards(void **state) {
  (void)state;
  static const row_t rows[] = {
      {"*.b.example", "a.b.example", true},
      {"*.B.Example", "a.b.EXAMPLE", true},
      {"*.b.example.", "a.b.example", true},
      {"*.b.example", "a.b.example.", true},
      {"*.b.example", "xn--bcher-kva.b.example", true},
      {"*.xn--bcher-kva.example", "a.xn--bcher-kva.example", true},
      {"*.b.example", "_a.b.example", true},
      {"*.b.c.example", "a.b.c.example", true},
      {"*.b.example", "b.example", false},
      {"*.b.example", ".b.example", false},
      {"*.b.example", "x.y.b.example", false},
      {"*.b.example", "ab.example", false},
      {"*.b.example", "a.c.example", false},
      {"*.b.example", "*.b.example", false},
      {"*.b.example", "a.b.example.com", false},
      {"*.example", "a.example", false},
      {"*.example.", "a.example", false},
      {"*.com", "example.com", false},
      {"*", "example", false},
      {"*", "a.example", false},
      {"*", "localhost", false},
      {"*.", "example", false},
      {"*.localhost", "a.localhost", false},
      {"*..example", "a..example", false},
      {"*.b..example", "a.b..example", false},
      {"*.*.example", "a.b.example", false},
      {"*.*.b.example", "a.a.b.example", false},
      {"**.b.example", "a.b.example", false},
      {"a.*.example", "a.b.example", false},
      {"a.*.b.example", "a.x.b.example", false},
      {"a.b.*", "a.b.example", false},
      {"f*.b.example", "foo.b.example", false},
      {"*o.b.example", "foo.b.example", false},
      {"f*o.b.example", "foo.b.example", false},
      {"xn--*.b.example", "xn--a.b.example", false},
      {"xn--bcher-*.b.example", "xn--bcher-kva.b.example", false},
      {"*b.example", "ab.example", false},
      {"*.b.example", "1.b.example.", true},
      {"*.2.3.4", "1.2.3.4", false},
      {"*.0.0.1", "127.0.0.1", false},
      {"*.b.example, DNS:a.b.example", "a.b.example", false},
      {"?.b.example", "a.b.example", false},
  };
  check_rows(rows, ARRAY(rows), GEN_DNS);
}

/* An address by a DNS name never matches, nor does what some resolver takes for an address. */
static void addresses_in_dns_names(void **state) {
  (void)state;
  static const char *const hosts[] = {
      "127.0.0.1",    "127.1",        "0x7f.0.0.1", "0177.0.0.1",  "2130706433", "0x7f000001",
      "127.0.0.1.",   "127.0.1",      "1.2.3.4.5",  "256.1.1.1",   "::1",        "[::1]",
      "fe80::1%eth0", "a.example.1",  "a.0x1",      "a.0x",        "a.0X7F",     "127.0.0.01",
      "1.2.3.4:443",  "017700000001", "1.2.3",      "2001:db8::1",
  };
  for (size_t i = 0; i < ARRAY(hosts); i++) {
    X509 *x509 = with_names(hosts[i], GEN_DNS, PKI_LIST(hosts[i], "*.0.0.1", "*"));
    assert_false(matches(x509, hosts[i], 0));
    assert_false(matches(x509, hosts[i], SP_NAME_COMMON));
    assert_false(sp__is_host_name(hosts[i]));
  }
}

static void addresses(void **state) {
  (void)state;
  static const row_t rows[] = {
      {"127.0.0.1", "127.0.0.1", true},
      {"::1", "::1", true},
      {"2001:db8::a", "2001:db8::a", true},
      {"2001:db8::a", "2001:DB8::A", true},
      {"::ffff:127.0.0.1", "::ffff:127.0.0.1", true},
      {"0.0.0.0", "0.0.0.0", true},
      {"::", "::", true},
      {"127.0.0.1", "127.0.0.2", false},
      {"127.0.0.1", "127.0.0.1.", false},
      {"127.0.0.1", "127.1", false},
      {"127.0.0.1", "127.0.1", false},
      {"127.0.0.1", "0x7f.0.0.1", false},
      {"127.0.0.1", "0177.0.0.1", false},
      {"127.0.0.1", "127.000.000.001", false},
      {"127.0.0.1", "2130706433", false},
      {"127.0.0.1", "0x7f000001", false},
      {"127.0.0.1", " 127.0.0.1", false},
      {"127.0.0.1", "127.0.0.1 ", false},
      {"127.0.0.1", "127.0.0.1\t", false},
      {"127.0.0.1", "::ffff:127.0.0.1", false},
      {"::ffff:127.0.0.1", "127.0.0.1", false},
      {"::127.0.0.1", "127.0.0.1", false},
      {"127.0.0.1",
       "\xef\xbc\x91"
       "27.0.0.1",
       false},
      {"127.0.0.1",
       "127\xe3\x80\x82"
       "0.0.1",
       false},
      {"::1", "[::1]", false},
      {"::1", "::1%lo", false},
      {"fe80::1", "fe80::1%eth0", false},
      {"::1", "0:0:0:0:0:0:0:1", false},
      {"::1", "0::1", false},
      {"::1", "::01", false},
      {"2001:db8::a", "2001:db8:0:0:0:0:0:a", false},
      {"2001:db8::a", "2001:0db8::a", false},
      {"2001:db8::a", "2001:db8::b", false},
      {"::ffff:127.0.0.1", "::ffff:7f00:1", false},
      {"::1", "", false},
      {"::1", ":", false},
  };
  check_rows(rows, ARRAY(rows), GEN_IPADD);
}

/* Raw octets of a wrong length, or the text of an address where octets belong. */
static void malformed_addresses(void **state) {
  (void)state;
  static const pki_name_t names[] = {
      {GEN_IPADD, "127.0.0.1", 9},
      {GEN_IPADD, "\x7f\0\0\1\xff\xff\xff\xff", 8},
      {GEN_IPADD, "\x7f\0\0", 3},
      {GEN_IPADD, "", 0},
      {GEN_IPADD, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16},
  };
  X509 *x509 = PKI_MAKE(NULL, .names = names, .name_count = ARRAY(names))->x509;
  assert_false(matches(x509, "127.0.0.1", 0));
  assert_false(matches(x509, "127.0.0.1", SP_NAME_COMMON));
  assert_true(matches(x509, "::ffff:127.0.0.1", 0));
}

static void nul_in_a_name(void **state) {
  (void)state;
  static const char bad[] = "good.example\0.evil.example";
  static const char wild[] = "*.good.example\0.evil.example";
  static const pki_name_t names[] = {
      {GEN_DNS, bad, sizeof bad - 1},
      {GEN_DNS, wild, sizeof wild - 1},
      {GEN_DNS, "good.example\0", 13},
      {GEN_DNS, "\0good.example", 13},
  };
  X509 *x509 = PKI_MAKE(NULL, .names = names, .name_count = ARRAY(names))->x509;
  assert_false(matches(x509, "good.example", 0));
  assert_false(matches(x509, "a.good.example", 0));
  assert_false(matches(x509, "evil.example", 0));

  sp_error_t why;
  sp__x509_names_host(x509, "good.example", 0, &why);
  assert_non_null(strstr(why.text, "good.example\\x00.evil.example"));
}

static void other_kinds_of_names(void **state) {
  (void)state;
  X509 *uri = with_names("a.example", GEN_URI,
                         PKI_LIST("a.example", "https://a.example/", "DNS:a.example"));
  X509 *email = with_names("a.example", GEN_EMAIL, PKI_LIST("a.example", "x@a.example"));
  X509 *other =
      PKI_MAKE(NULL, .cn = "a.example", .raw_san = "otherName:1.2.3;UTF8:a.example")->x509;
  assert_false(matches(uri, "a.example", 0));
  assert_false(matches(email, "a.example", 0));
  assert_false(matches(other, "a.example", 0));
  /* URI and e-mail names keep the common name from counting, others do not */
  assert_false(matches(uri, "a.example", SP_NAME_COMMON));
  assert_false(matches(email, "a.example", SP_NAME_COMMON));
  assert_true(matches(other, "a.example", SP_NAME_COMMON));
}

static void any_of_many(void **state) {
  (void)state;
  X509 *x509 = with_names(NULL, GEN_DNS, PKI_LIST("a.example", "*.b.example", "c.example"));
  assert_true(matches(x509, "a.example", 0));
  assert_true(matches(x509, "x.b.example", 0));
  assert_true(matches(x509, "c.example", 0));
  assert_false(matches(x509, "b.example", 0));
}

static void common_name(void **state) {
  (void)state;
  X509 *bare = PKI_MAKE(NULL, .cn = "a.example")->x509;
  assert_false(matches(bare, "a.example", 0));
  assert_true(matches(bare, "A.example.", SP_NAME_COMMON));
  assert_false(matches(bare, "b.example", SP_NAME_COMMON));

  X509 *wild = PKI_MAKE(NULL, .cn = "*.b.example")->x509;
  assert_true(matches(wild, "a.b.example", SP_NAME_COMMON));
  assert_false(matches(wild, "b.example", SP_NAME_COMMON));

  X509 *dns = with_names("a.example", GEN_DNS, PKI_LIST("b.example"));
  assert_false(matches(dns, "a.example", SP_NAME_COMMON));
  X509 *ip = with_names("a.example", GEN_IPADD, PKI_LIST("127.0.0.1"));
  assert_false(matches(ip, "a.example", SP_NAME_COMMON));
  X509 *address = PKI_MAKE(NULL, .cn = "127.0.0.1")->x509;
  assert_false(matches(address, "127.0.0.1", SP_NAME_COMMON));
  X509 *none = PKI_MAKE(NULL, .subject = PKI_LIST("O=a.example"))->x509;
  assert_false(matches(none, "a.example", SP_NAME_COMMON));
}

static void hostile_common_names(void **state) {
  (void)state;
  X509 *two = PKI_MAKE(NULL, .subject = PKI_LIST("CN=a.example", "CN=b.example"))->x509;
  assert_false(matches(two, "a.example", SP_NAME_COMMON));
  assert_false(matches(two, "b.example", SP_NAME_COMMON));

  X509 *multi = PKI_MAKE(NULL, .subject = PKI_LIST("O=x", "CN=a.example", "+OU=y"))->x509;
  assert_false(matches(multi, "a.example", SP_NAME_COMMON));
  X509 *pair = PKI_MAKE(NULL, .subject = PKI_LIST("CN=a.example", "+CN=b.example"))->x509;
  assert_false(matches(pair, "a.example", SP_NAME_COMMON));
  assert_false(matches(pair, "b.example", SP_NAME_COMMON));

  X509 *inside =
      PKI_MAKE(NULL, .subject = PKI_LIST("O=x/CN=a.example", "CN=b, CN=a.example"))->x509;
  assert_false(matches(inside, "a.example", SP_NAME_COMMON));
}

/* A common name whose ASN.1 type or bytes are not what they seem. (Invalid UTF-8 and odd BMP
 * strings are refused by OpenSSL when it reads the name.) */
static X509 *with_common_name(int type, const void *bytes, int n) {
  X509 *x509 = X509_dup(PKI_MAKE(NULL, .subject = PKI_LIST("O=x"))->x509);
  X509_NAME *name = X509_NAME_new();
  assert_true(X509_NAME_add_entry_by_NID(name, NID_commonName, type, bytes, n, -1, 0));
  assert_true(X509_set_subject_name(x509, name));
  X509_NAME_free(name);
  return x509;
}

static void encoded_common_names(void **state) {
  (void)state;
  X509 *bmp = with_common_name(V_ASN1_BMPSTRING, "\0a\0.\0e\0x", 8);
  assert_true(matches(bmp, "a.ex", SP_NAME_COMMON));
  X509_free(bmp);
  X509 *nul = with_common_name(V_ASN1_UTF8STRING, "a.example\0.evil", 15);
  assert_false(matches(nul, "a.example", SP_NAME_COMMON));
  X509_free(nul);
}

/* An extension that cannot be read, or stands there twice, is not the absence of one. */
static void broken_extension(void **state) {
  (void)state;
  X509 *broken = X509_dup(PKI_MAKE(NULL, .cn = "a.example")->x509);
  ASN1_OCTET_STRING *junk = ASN1_OCTET_STRING_new();
  assert_true(ASN1_OCTET_STRING_set(junk, (const unsigned char *)"\x30\x05junk", 6));
  X509_EXTENSION *extension = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, junk);
  assert_true(X509_add_ext(broken, extension, -1));
  assert_false(matches(broken, "a.example", 0));
  assert_false(matches(broken, "a.example", SP_NAME_COMMON));
  X509_free(broken);
  X509_EXTENSION_free(extension);
  ASN1_OCTET_STRING_free(junk);

  X509 *twice = X509_dup(with_names("a.example", GEN_DNS, PKI_LIST("b.example")));
  assert_true(X509_add_ext(
      twice, X509_get_ext(twice, X509_get_ext_by_NID(twice, NID_subject_alt_name, -1)), -1));
  assert_false(matches(twice, "a.example", SP_NAME_COMMON));
  assert_false(matches(twice, "b.example", 0));
  X509_free(twice);
}

static void host_forms(void **state) {
  (void)state;
  char label[65], name[300];
  memset(label, 'a', 64);
  label[64] = '\0';
  assert_false(sp__is_host_name(label));
  label[63] = '\0';
  assert_true(sp__is_host_name(label));
  /* four labels of 63 make 255; 253 is the most */
  snprintf(name, sizeof name, "%s.%s.%s.%s", label, label, label, label);
  assert_false(sp__is_host_name(name));
  name[253] = '\0';
  assert_true(sp__is_host_name(name));
  strcat(name, ".");
  assert_true(sp__is_host_name(name));
  strcpy(name + 253, "a");
  assert_false(sp__is_host_name(name));

  assert_true(sp__is_host_name("localhost"));
  assert_true(sp__is_host_name("a.example."));
  assert_true(sp__is_host_name("3com.example"));
  assert_true(sp__is_host_name("a.3com"));
  assert_true(sp__is_host_name("a-b_c.example"));
  assert_false(sp__is_host_name(""));
  assert_false(sp__is_host_name("."));
  assert_false(sp__is_host_name("a..b"));
  assert_false(sp__is_host_name("*.b.example"));
  assert_false(sp__is_host_name("a.example/x"));
  assert_false(sp__is_host_name("b\xc3\xbc"
                                "cher.example"));
  assert_false(sp__is_host_name("1.2.3.4"));

  assert_true(sp__is_address("192.0.2.1"));
  assert_true(sp__is_address("2001:DB8::1"));
  assert_false(sp__is_address("192.0.2.01"));
  assert_false(sp__is_address("192.0.2"));
  assert_false(sp__is_address("[::1]"));
  assert_false(sp__is_address("::1%1"));
  assert_false(sp__is_address("localhost"));
  assert_false(sp__is_address(""));
}

static void refusal_text(X509 *x509, const char *host, const char *expected) {
  sp_error_t why;
  assert_int_not_equal(sp__x509_names_host(x509, host, 0, &why), X509_V_OK);
  assert_string_equal(why.text, expected);
}

static void what_the_refusal_says(void **state) {
  (void)state;
  X509 *two = with_names("cn.example", GEN_DNS, PKI_LIST("a.example", "*.b.example"));
  refusal_text(two, "mail.example",
               "the certificate is for a.example, *.b.example, not for mail.example");
  refusal_text(two, "192.0.2.1",
               "the certificate is for a.example, *.b.example, not for 192.0.2.1");
  refusal_text(two, "127.1",
               "\"127.1\" is neither a host name nor an address in its usual form, so "
               "no certificate can be for it");
  refusal_text(
      PKI_MAKE(NULL, .cn = "a.example")->x509, "a.example",
      "the certificate is not for a.example: it has no subject alternative name for a host "
      "(the common name a.example does not count)");
  refusal_text(with_names("x", GEN_IPADD, PKI_LIST("192.0.2.1", "2001:db8::1")), "a.example",
               "the certificate is for 192.0.2.1, 2001:db8::1, not for a.example");
  refusal_text(
      PKI_MAKE(NULL, .subject = PKI_LIST("O=x"))->x509, "a.example",
      "the certificate is not for a.example: it has no subject alternative name for a host");
}

/* Many names, long names, names that would move the cursor: bounded and harmless. */
static void what_the_refusal_says_of_much(void **state) {
  (void)state;
  static const char *const many[] = {"one.example",   "two.example",    "three.example",
                                     "four.example",  "five.example",   "six.example",
                                     "seven.example", "eight.example",  "nine.example",
                                     "ten.example",   "eleven.example", NULL};
  sp_error_t why;
  sp__x509_names_host(with_names(NULL, GEN_DNS, many), "a.example", 0, &why);
  assert_non_null(strstr(why.text, "one.example, two.example, "));
  assert_non_null(strstr(why.text, " more, not for a.example"));

  char host[1000], long_name[1000];
  memset(host, 'h', sizeof host - 1);
  memset(long_name, 'n', sizeof long_name - 1);
  host[sizeof host - 1] = long_name[sizeof long_name - 1] = '\0';
  sp__x509_names_host(with_names(NULL, GEN_DNS, PKI_LIST(long_name)), host, 0, &why);
  assert_non_null(strstr(why.text, "hhh..."));
  sp__x509_names_host(with_names(NULL, GEN_DNS, PKI_LIST(long_name)), "a.example", 0, &why);
  assert_non_null(strstr(why.text, "nnn..., not for a.example"));

  sp__x509_names_host(with_names(NULL, GEN_DNS, PKI_LIST("\x1b[2J\r\n.example")), "a.example", 0,
                      &why);
  assert_non_null(strstr(why.text, "\\x1b[2J\\x0d\\x0a.example"));
  assert_null(strchr(why.text, '\x1b'));
}

static void by_the_public_call(void **state) {
  (void)state;
  sp_certificate_t *certificate;
  assert_int_equal(sp_certificate_from_x509(&certificate, pki_default()->server->x509, NULL), 0);
  assert_true(sp_certificate_names_host(certificate, "localhost", 0, NULL));
  assert_true(sp_certificate_names_host(certificate, "127.0.0.1", 0, NULL));
  assert_true(sp_certificate_names_host(certificate, "::1", 0, NULL));
  assert_false(sp_certificate_names_host(certificate, "example", 0, NULL));
  assert_false(sp_certificate_names_host(certificate, NULL, 0, NULL));
  sp_error_t why;
  assert_false(sp_certificate_names_host(certificate, "192.0.2.1", SP_NAME_COMMON, &why));
  assert_int_equal(why.verify, X509_V_ERR_IP_ADDRESS_MISMATCH);
  assert_string_equal(sp_verify_name(why.verify), "ERR_TLS_CERT_ALTNAME_INVALID");
  sp_certificate_release(certificate);
}

/* An error that was in OpenSSL's queue before is neither lost nor taken for ours. */
static void queue_is_left_alone(void **state) {
  (void)state;
  ERR_raise(ERR_LIB_USER, 7);
  unsigned long before = ERR_peek_last_error();
  X509 *x509 = with_names(NULL, GEN_DNS, PKI_LIST("a.example"));
  assert_int_equal(sp__x509_names_host(x509, "b.example", 0, NULL), X509_V_ERR_HOSTNAME_MISMATCH);
  assert_int_equal(ERR_peek_last_error(), before);
  ERR_clear_error();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain_names),
      cmocka_unit_test(what_is_no_name),
      cmocka_unit_test(lists_in_a_name),
      cmocka_unit_test(unicode_in_names),
      cmocka_unit_test(wildcards),
      cmocka_unit_test(addresses_in_dns_names),
      cmocka_unit_test(addresses),
      cmocka_unit_test(malformed_addresses),
      cmocka_unit_test(nul_in_a_name),
      cmocka_unit_test(other_kinds_of_names),
      cmocka_unit_test(any_of_many),
      cmocka_unit_test(common_name),
      cmocka_unit_test(hostile_common_names),
      cmocka_unit_test(encoded_common_names),
      cmocka_unit_test(broken_extension),
      cmocka_unit_test(host_forms),
      cmocka_unit_test(what_the_refusal_says),
      cmocka_unit_test(what_the_refusal_says_of_much),
      cmocka_unit_test(by_the_public_call),
      cmocka_unit_test(queue_is_left_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
