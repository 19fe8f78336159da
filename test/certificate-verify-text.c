/* The sentences for OpenSSL's verification results, and their names. */
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

#include "certificate/certificate.h"
#include "support/pki.h"

static const char *explain(long verify, X509 *x509, const char *host) {
  static sp_error_t why;
  memset(&why, 'x', sizeof why);
  sp__verify_explain(&why, verify, x509, host);
  assert_int_equal(why.status, SP_EUNAUTHORIZED);
  assert_int_equal(why.who, SP_PEER);
  assert_int_equal(why.verify, verify);
  assert_int_equal(why.alert, -1);
  assert_int_equal(why.reason, 0);
  assert_non_null(memchr(why.text, 0, sizeof why.text));
  assert_int_equal(ERR_peek_error(), 0);
  return why.text;
}

static void says(long verify, X509 *x509, const char *text) {
  const char *sentence = explain(verify, x509, NULL);
  if (!strstr(sentence, text))
    fail_msg("\"%s\" does not say \"%s\"", sentence, text);
}

static void names(void **state) {
  (void)state;
  assert_null(sp_verify_name(X509_V_OK));
  assert_string_equal(sp_verify_name(10), "CERT_HAS_EXPIRED");
  assert_string_equal(sp_verify_name(18), "DEPTH_ZERO_SELF_SIGNED_CERT");
  assert_string_equal(sp_verify_name(19), "SELF_SIGNED_CERT_IN_CHAIN");
  assert_string_equal(sp_verify_name(20), "UNABLE_TO_GET_ISSUER_CERT_LOCALLY");
  assert_string_equal(sp_verify_name(21), "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
  assert_string_equal(sp_verify_name(3), "UNABLE_TO_GET_CRL");
  assert_string_equal(sp_verify_name(X509_V_ERR_HOSTNAME_MISMATCH), "ERR_TLS_CERT_ALTNAME_INVALID");
  assert_string_equal(sp_verify_name(X509_V_ERR_IP_ADDRESS_MISMATCH),
                      "ERR_TLS_CERT_ALTNAME_INVALID");
  assert_string_equal(sp_verify_name(X509_V_ERR_UNSPECIFIED), "UNSPECIFIED");
  assert_string_equal(sp_verify_name(99999), "UNSPECIFIED");
  assert_string_equal(sp_verify_name(-1), "UNSPECIFIED");
}

static X509 *dated(long from, long to) {
  return PKI_MAKE(pki_default()->root, .cn = "x", .dns = PKI_LIST("mail.example"), .from = from,
                  .to = to)
      ->x509;
}

static const char *day(long from_now) {
  static char text[20];
  time_t then = time(NULL) + from_now;
  struct tm tm;
  strftime(text, sizeof text, "%Y-%m-%d", gmtime_r(&then, &tm));
  return text;
}

static void expired(void **state) {
  (void)state;
  static const struct {
    long ago;
    const char *text;
  } rows[] = {{3 * PKI_DAY + 60, "3 days ago"},    {PKI_DAY + 60, "1 day ago"},
              {23 * 3600L, "23 hours ago"},        {3600 + 60, "1 hour ago"},
              {30 * 60 + 30, "30 minutes ago"},    {90, "1 minute ago"},
              {800 * PKI_DAY + 60, "800 days ago"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    X509 *x509 = dated(-1000 * PKI_DAY, -rows[i].ago);
    struct tm tm;
    char expected[200], date[20];
    assert_true(ASN1_TIME_to_tm(X509_get0_notAfter(x509), &tm));
    strftime(date, sizeof date, "%Y-%m-%d", &tm);
    snprintf(expected, sizeof expected, "certificate for mail.example expired %s (%s)",
             rows[i].text, date);
    says(X509_V_ERR_CERT_HAS_EXPIRED, x509, expected);
  }
}

/* A verdict that was made for another time than now is not put into contradictory words. */
static void not_expired_by_this_clock(void **state) {
  (void)state;
  const char *text = explain(X509_V_ERR_CERT_HAS_EXPIRED, dated(-60, 400 * PKI_DAY), NULL);
  assert_null(strstr(text, "ago"));
  assert_non_null(strstr(text, day(400 * PKI_DAY)));
  text = explain(X509_V_ERR_CERT_NOT_YET_VALID, dated(-3600, PKI_DAY), NULL);
  assert_null(strstr(text, ", in "));
}

static void not_yet_valid(void **state) {
  (void)state;
  X509 *x509 = dated(2 * PKI_DAY + 60, 5 * PKI_DAY);
  const char *text = explain(X509_V_ERR_CERT_NOT_YET_VALID, x509, NULL);
  assert_non_null(strstr(text, "certificate for mail.example is not valid before "));
  assert_non_null(strstr(text, day(2 * PKI_DAY + 60)));
  assert_non_null(strstr(text, " UTC, in 2 days: is the clock of this machine right?"));
}

static void trust(void **state) {
  (void)state;
  const pki_set_t *set = pki_default();
  X509 *leaf = set->server->x509;
  says(X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, leaf, "certificate for localhost is self-signed");
  says(X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, leaf, "give it as a trusted certificate (ca)");
  says(X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, set->root->x509,
       "the root securepair test root, which is not trusted");
  says(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, leaf,
       "was issued by securepair test root, which is unknown");
  says(X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, set->server_behind->x509,
       "was issued by securepair test intermediate, which is unknown: give its certificate as a "
       "trusted one (ca)");
  says(X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, leaf, "missing intermediate");
  says(X509_V_ERR_CERT_SIGNATURE_FAILURE, leaf, "was not signed by the securepair test root");
  says(X509_V_ERR_INVALID_CA, leaf, "it may not sign others");
  says(X509_V_ERR_PATH_LENGTH_EXCEEDED, set->root->x509, "than securepair test root allows");
  says(X509_V_ERR_CERT_CHAIN_TOO_LONG, leaf, "too long");
  says(X509_V_ERR_PERMITTED_VIOLATION, leaf, "name constraints");
}

static void revocation(void **state) {
  (void)state;
  X509 *leaf = pki_default()->server->x509;
  says(X509_V_ERR_CERT_REVOKED, leaf,
       "certificate for localhost was revoked by securepair test root");
  says(X509_V_ERR_UNABLE_TO_GET_CRL, leaf,
       "add the revocation list of securepair test root to crl");
  says(X509_V_ERR_CRL_HAS_EXPIRED, leaf,
       "the revocation list of securepair test root is out of date");
  says(X509_V_ERR_CRL_NOT_YET_VALID, leaf, "clock");
  says(X509_V_ERR_CRL_SIGNATURE_FAILURE, leaf, "not properly signed");
}

static X509 *with_usage(const char *key_usage, const char *eku) {
  return PKI_MAKE(NULL, .cn = "a.example", .key_usage = key_usage, .eku = eku)->x509;
}

static void purpose(void **state) {
  (void)state;
  says(X509_V_ERR_INVALID_PURPOSE, with_usage(NULL, "clientAuth"), "may only be used for a client");
  says(X509_V_ERR_INVALID_PURPOSE, with_usage(NULL, "serverAuth"), "may only be used for a server");
  says(X509_V_ERR_INVALID_PURPOSE, with_usage(NULL, "codeSigning"), "something else than TLS");
  says(X509_V_ERR_INVALID_PURPOSE, with_usage("keyAgreement", "serverAuth,clientAuth"),
       "key usages");
  says(X509_V_ERR_INVALID_PURPOSE, with_usage("keyAgreement", ""), "key usages");
}

static void weakness(void **state) {
  (void)state;
  X509 *weak = PKI_MAKE(NULL, .cn = "a.example", .key = "rsa1024", .digest = "sha1")->x509;
  says(X509_V_ERR_EE_KEY_TOO_SMALL, weak,
       "certificate for a.example has a key that is too weak (RSA, 1024 bits)");
  says(X509_V_ERR_CA_KEY_TOO_SMALL, weak, "EC P-256 or RSA 2048");
  says(X509_V_ERR_CA_MD_TOO_WEAK, weak, "is signed with sha1WithRSAEncryption, which is too weak");
}

static void identity(void **state) {
  (void)state;
  X509 *leaf = PKI_MAKE(NULL, .cn = "x", .dns = PKI_LIST("a.example", "*.b.example"))->x509;
  assert_string_equal(explain(X509_V_ERR_HOSTNAME_MISMATCH, leaf, "mail.example"),
                      "the certificate is for a.example, *.b.example, not for mail.example");
  assert_string_equal(explain(X509_V_ERR_IP_ADDRESS_MISMATCH, leaf, "192.0.2.1"),
                      "the certificate is for a.example, *.b.example, not for 192.0.2.1");
  /* it does name the host, or there is none: still a sentence */
  assert_non_null(strstr(explain(X509_V_ERR_HOSTNAME_MISMATCH, leaf, "a.example"), "not accepted"));
  assert_non_null(strstr(explain(X509_V_ERR_HOSTNAME_MISMATCH, leaf, NULL), "not accepted"));
}

static void whose(void **state) {
  (void)state;
  const struct {
    pki_spec_t spec;
    const char *text;
  } rows[] = {
      {{.cn = "client"}, "certificate for client was"},
      {{.subject = (const char *const[]){"O=Example", NULL}}, "certificate for Example was"},
      {{.ips = (const char *const[]){"192.0.2.1", NULL}}, "certificate for 192.0.2.1 was"},
      {{.ips = (const char *const[]){"2001:db8::1", NULL}}, "certificate for 2001:db8::1 was"},
      {{.cn = NULL}, "certificate for an unnamed party was"},
      {{.cn = "a\x1b[2Jb"}, "certificate for a\\x1b[2Jb was"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    says(X509_V_ERR_CERT_REVOKED, pki_make(pki_default()->root, &rows[i].spec)->x509, rows[i].text);
}

static void no_certificate(void **state) {
  (void)state;
  for (long verify = 0; verify < 100; verify++)
    says(verify, NULL, "the peer sent no certificate");
}

/* Every code, with names as long as they get: a bounded sentence that ends with a NUL. */
static void every_code(void **state) {
  (void)state;
  char long_name[65], host[400];
  memset(long_name, 'n', 64);
  memset(host, 'h', sizeof host - 1);
  long_name[64] = host[sizeof host - 1] = '\0';
  char *cn;
  assert_true(asprintf(&cn, "CN=%s", long_name) > 0);
  const pki_t *issuer = PKI_MAKE(NULL, .subject = PKI_LIST(cn), .ca = true);
  X509 *x509 = PKI_MAKE(issuer, .subject = PKI_LIST(cn), .dns = PKI_LIST(host, host, host))->x509;
  for (long verify = -1; verify < 120; verify++) {
    assert_true(strlen(explain(verify, x509, host)) > 20);
    assert_true(strlen(explain(verify, x509, NULL)) > 20);
    sp__verify_explain(NULL, verify, x509, host);
  }
  free(cn);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names),          cmocka_unit_test(expired),
      cmocka_unit_test(not_yet_valid),  cmocka_unit_test(not_expired_by_this_clock),
      cmocka_unit_test(trust),          cmocka_unit_test(revocation),
      cmocka_unit_test(purpose),        cmocka_unit_test(weakness),
      cmocka_unit_test(identity),       cmocka_unit_test(whose),
      cmocka_unit_test(no_certificate), cmocka_unit_test(every_code),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
