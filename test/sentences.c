/*
 * What a person reads who is called at night: for each failure of a handshake the sentence on the
 * side that noticed and on the side that got the alert. It names what is wrong and what to do,
 * fits, and has neither OpenSSL's source names nor its codes.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "support/couple.h"
#include "support/pki.h"
#include "support/program.h"
#include "support/raw.h"

static const manner_t whole = {.read = 0};

/* -- what any sentence has to be --------------------------------------------------------------- */

/* Eight hexadecimal digits in a row are a code of OpenSSL's. */
static bool has_code(const char *text) {
  int digits = 0;
  for (; *text; text++) {
    digits = isxdigit((unsigned char)*text) ? digits + 1 : 0;
    if (digits == 8)
      return true;
  }
  return false;
}

static void check_sentence(const sp_error_t *error) {
  static const char *const names[] = {"error:", "SSL routines", "ssl/",  ".c:",   "SSL_R_",
                                      "ssl3_",  "tls_",         "ossl_", "(null)"};
  const char *text = error->text;
  assert_in_range(strlen(text), 15, sizeof error->text - 1);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strstr(text, names[i]))
      fail_msg("\"%s\" stands in: %s", names[i], text);
  if (has_code(text))
    fail_msg("a code stands in: %s", text);
  for (const char *c = text; *c; c++)
    assert_false(iscntrl((unsigned char)*c));
  if (error->status <= -5000 && !strcmp(text, sp_error_text(error->status)))
    fail_msg("only the general text: %s", text);
}

static void check(const sp_error_t *error, int status, const char *words) {
  if (error->status != status || !strstr(error->text, words))
    fail_msg("expected %s with \"%s\", not %s: %s", sp_error_name(status), words,
             sp_error_name(error->status), error->text);
  check_sentence(error);
}

static void test_every_status_has_a_text(void **state) {
  (void)state;
  static const int all[] = {
#define STATUS(name, number, text) SP_E##name,
      SP_ERROR_MAP(STATUS)
#undef STATUS
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    const char *text = sp_error_text(all[i]);
    assert_in_range(strlen(text), 15, 200);
    assert_false(has_code(text));
    assert_int_equal(strncmp(sp_error_name(all[i]), "SP_E", 4), 0);
    for (size_t k = 0; k < i; k++)
      assert_string_not_equal(text, sp_error_text(all[k]));
  }
}

/* -- both sides of what cannot be agreed on ---------------------------------------------------- */

#define ROOT SP_LIST(pki_default()->root->cert_pem)
#define CLIENT(...) SP_OPTIONS(.ca = ROOT, __VA_ARGS__)
#define SERVER(...)                                                                                \
  SP_OPTIONS(.key = pki_default()->server->key_pem, .cert = pki_default()->server->cert_pem,       \
             __VA_ARGS__)

/* One side fails by itself; the other by the alert, if `alert_words` are given. */
static void meet(const sp_options_t *client, const sp_options_t *server, sp_role_t noticed,
                 int status, const char *words, const char *alert_words) {
  couple_t couple;
  couple_make_with(&couple, client, server);
  couple_run(&couple, &whole);
  const side_t *first = noticed == SP_CLIENT ? &couple.client : &couple.server;
  const side_t *second = noticed == SP_CLIENT ? &couple.server : &couple.client;
  check(sp_pair_error(first->pair), status, words);
  check(sp_pair_error(second->pair), SP_EALERT, alert_words);
  assert_true(sp_pair_error(second->pair)->alert >= 0);
  couple_free(&couple);
}

static void test_versions(void **state) {
  (void)state;
  meet(CLIENT(.max_version = SP_TLS1_2), SERVER(.min_version = SP_TLS1_3), SP_SERVER, SP_EPROTOCOL,
       "min_version", "min_version");
  meet(CLIENT(.min_version = SP_TLS1_3), SERVER(.max_version = SP_TLS1_2), SP_SERVER, SP_EPROTOCOL,
       "min_version", "min_version");
}

static void test_ciphers(void **state) {
  (void)state;
  meet(CLIENT(.suites = "TLS_AES_128_GCM_SHA256", .min_version = SP_TLS1_3),
       SERVER(.suites = "TLS_AES_256_GCM_SHA384"), SP_SERVER, SP_EPROTOCOL, "compare ciphers",
       "compare versions, cipher suites");
  meet(CLIENT(.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256", .max_version = SP_TLS1_2),
       SERVER(.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384"), SP_SERVER, SP_EPROTOCOL,
       "compare ciphers", "compare versions, cipher suites");
}

static void test_groups(void **state) {
  (void)state;
  meet(CLIENT(.groups = "X25519", .min_version = SP_TLS1_3), SERVER(.groups = "P-384"), SP_SERVER,
       SP_EPROTOCOL, "compare groups", "and groups");
}

static void test_signature_algorithms(void **state) {
  (void)state;
  meet(CLIENT(.sigalgs = "RSA-PSS+SHA256", .min_version = SP_TLS1_3), SERVER(), SP_SERVER,
       SP_EPROTOCOL, "in common", "nothing in common");
}

static void test_protocols(void **state) {
  (void)state;
  meet(CLIENT(.alpn = SP_LIST("h2")), SERVER(.alpn = SP_LIST("http/1.1")), SP_SERVER, SP_EPROTOCOL,
       "compare alpn", "compare alpn");
}

/* -- certificates ------------------------------------------------------------------------------ */

static void test_unknown_authority(void **state) {
  (void)state;
  meet(SP_OPTIONS(.ca = SP_LIST(pki_default()->stranger_root->cert_pem)), SERVER(), SP_CLIENT,
       SP_EUNAUTHORIZED, "localhost", "does not trust the issuer of our certificate");
}

static void test_expired(void **state) {
  (void)state;
  const pki_t *old = PKI_MAKE(pki_default()->root, .cn = "localhost", .dns = PKI_LIST("localhost"),
                              .from = -9 * PKI_DAY, .to = -3 * PKI_DAY);
  meet(CLIENT(), SP_OPTIONS(.key = old->key_pem, .cert = old->cert_pem), SP_CLIENT,
       SP_EUNAUTHORIZED, "expired 3 days ago", "renew it");
}

static void test_another_name(void **state) {
  (void)state;
  meet(CLIENT(.server_name = "other.example"), SERVER(), SP_CLIENT, SP_EUNAUTHORIZED,
       "other.example", "did not accept our certificate");
}

#define ASKING(...)                                                                                \
  SERVER(.request_cert = SP_YES, .reject_unauthorized = SP_YES, .ca = ROOT, __VA_ARGS__)

static void test_no_client_certificate(void **state) {
  (void)state;
  meet(CLIENT(.min_version = SP_TLS1_3), ASKING(), SP_SERVER, SP_EUNAUTHORIZED, "certificate",
       "give cert and key");
  meet(CLIENT(.max_version = SP_TLS1_2), ASKING(), SP_SERVER, SP_EUNAUTHORIZED, "certificate",
       "client certificate");
}

static void test_client_certificate_of_a_stranger(void **state) {
  (void)state;
  const pki_t *stranger = pki_default()->stranger;
  meet(CLIENT(.key = stranger->key_pem, .cert = stranger->cert_pem), ASKING(), SP_SERVER,
       SP_EUNAUTHORIZED, "issued by", "does not trust the issuer of our certificate");
}

/* -- hooks ------------------------------------------------------------------------------------- */

static int refuse_name(sp_pair_t *pair, const char *name, void *data) {
  (void)name, (void)data;
  sp_pair_refuse(pair, SSL_AD_UNRECOGNIZED_NAME);
  return SP_EREFUSED;
}

static int refuse(sp_pair_t *pair, const sp_client_hello_t *hello, void *data) {
  (void)pair, (void)hello, (void)data;
  return SP_EREFUSED;
}

static void test_refused_by_hooks(void **state) {
  (void)state;
  meet(CLIENT(), SERVER(.hooks.server_name = refuse_name), SP_SERVER, SP_EREFUSED,
       "a hook of this program", "does not know the server name");
  meet(CLIENT(), SERVER(.hooks.client_hello = refuse), SP_SERVER, SP_EREFUSED,
       "a hook of this program", "nothing in common");
}

/* -- records ----------------------------------------------------------------------------------- */

/* A secure pair gets what no peer should send; its peer gets the alert. */
static void get(const char *bytes, size_t n, const char *words, const char *alert_words) {
  couple_t couple;
  couple_make(&couple, SP_TLS1_3);
  couple_shake_hands(&couple);
  (void)side_offer(&couple.client, bytes, n);
  check(sp_pair_error(couple.client.pair), SP_EPROTOCOL, words);
  side_collect(&couple.client, &whole, &couple.server.in);
  couple_run(&couple, &whole);
  check(sp_pair_error(couple.server.pair), SP_EALERT, alert_words);
  couple_free(&couple);
}

static void test_records(void **state) {
  (void)state;
  static const char forged[5 + 40] = "\x17\3\3\0\x28";
  get(forged, sizeof forged, "look at what lies between", "look at what lies between");
  static const char longer[5 + 40] = "\x17\3\3\xff\xff";
  get(longer, sizeof longer, "longer than TLS allows", "could not make sense of what we sent");
}

/* Every alert that a peer may send has advice. */
static void test_alerts(void **state) {
  (void)state;
  static const char *const words[256] = {
      [10] = "make sense", [20] = "lies between", [22] = "make sense",    [40] = "compare",
      [42] = "its log",    [43] = "its log",      [44] = "get a new",     [45] = "renew it",
      [46] = "its log",    [47] = "make sense",   [48] = "intermediate",  [49] = "access",
      [50] = "make sense", [51] = "lies between", [70] = "min_version",   [71] = "stronger",
      [80] = "its log",    [90] = "gave up",      [109] = "make sense",   [110] = "make sense",
      [112] = "name",      [115] = "PSK",         [116] = "cert and key", [120] = "compare alpn",
  };
  for (int alert = 0; alert < 256; alert++) {
    sp_pair_t *pair;
    sp_error_t why;
    if (!words[alert])
      continue;
    assert_int_equal(
        sp_pair_new(&pair, couple_client_context(SP_TLS1_2), SP_CLIENT, "localhost", true, &why),
        0);
    const char bytes[] = {0x15, 3, 3, 0, 2, 2, (char)alert};
    assert_int_equal(sp_pair_encrypted_in(pair, bytes, sizeof bytes), SP_EALERT);
    check(sp_pair_error(pair), SP_EALERT, words[alert]);
    assert_int_equal(sp_pair_error(pair)->alert, alert);
    sp_pair_release(pair);
  }
}

/* -- what is not TLS --------------------------------------------------------------------------- */

static void hear(sp_role_t role, const char *bytes, size_t n, int status, const char *words) {
  sp_pair_t *pair;
  sp_error_t why;
  sp_context_t *context = role == SP_CLIENT ? couple_client_context(SP_PROTOCOL_DEFAULT)
                                            : couple_server_context(SP_PROTOCOL_DEFAULT);
  assert_int_equal(
      sp_pair_new(&pair, context, role, role == SP_CLIENT ? "localhost" : NULL, true, &why), 0);
  (void)sp_pair_encrypted_in(pair, bytes, n);
  (void)sp_pair_encrypted_release(pair);
  (void)sp_pair_encrypted_end(pair);
  check(sp_pair_error(pair), status, words);
  sp_pair_release(pair);
}

#define TEXT(text) text, sizeof text - 1

static void test_what_is_not_tls(void **state) {
  (void)state;
  hear(SP_SERVER, TEXT("GET / HTTP/1.1\r\n\r\n"), SP_EHTTP, "use https://");
  hear(SP_SERVER, TEXT("CONNECT a:1 HTTP/1.1\r\n\r\n"), SP_EHTTP, "no proxy");
  hear(SP_SERVER, TEXT("SSH-2.0-OpenSSH_9.2\r\n"), SP_ENOTTLS, "wrong port");
  hear(SP_SERVER, TEXT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), SP_ENOTTLS, "begins");
  hear(SP_SERVER, TEXT("\x16\3\1\0\6\1\0\0\2xx"), SP_EPROTOCOL, "malformed");
  hear(SP_SERVER, TEXT("\x16\3\1\xff\xff and so on"), SP_EPROTOCOL, "longer than TLS allows");
  hear(SP_SERVER, TEXT("\x17\3\3\0\5hello"), SP_EPROTOCOL, "something in between");
  hear(SP_CLIENT, TEXT("HTTP/1.1 400 Bad Request\r\n"), SP_EHTTP, "its TLS port");
  hear(SP_CLIENT, TEXT("220 mail.example ESMTP\r\n"), SP_ENOTTLS, "STARTTLS");
  hear(SP_CLIENT, TEXT("* OK IMAP4 ready\r\n"), SP_ENOTTLS, "STARTTLS");
  hear(SP_CLIENT, TEXT("SSH-2.0-OpenSSH_9.2\r\n"), SP_ENOTTLS, "wrong port");
}

static void test_ended_too_early(void **state) {
  (void)state;
  hear(SP_CLIENT, "", 0, SP_EEARLYCLOSE, "does it speak TLS");
  hear(SP_SERVER, "", 0, SP_EEARLYCLOSE, "health check");
  hear(SP_CLIENT, TEXT("\x16\3\3"), SP_EEARLYCLOSE, "client certificate");
  hear(SP_SERVER, TEXT("\x16\3\1"), SP_EEARLYCLOSE, "trust our certificate");
}

/* -- the transport ----------------------------------------------------------------------------- */

static void stay(raw_t *raw) { (void)raw; }

static void check_stream(void (*on_open)(raw_t *), int status, const char *words) {
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER(.handshake_timeout = 20));
  raws_t raws;
  raws_begin(&raws, f);
  (void)raw_connect(&raws, on_open, NULL);
  raws_run(&raws);
  const actor_t *served = fixture_served(f, 0);
  assert_non_null(served);
  check(&served->error, status, words);
  raws_free(&raws);
  fixture_free(f);
}

static void test_time_out(void **state) {
  (void)state;
  check_stream(stay, UV_ETIMEDOUT, "does not answer");
}

static void test_reset(void **state) {
  (void)state;
  check_stream(raw_reset, UV_ECONNRESET, "cut it off");
}

/* -- openssl on the other side ----------------------------------------------------------------- */

/* Runs s_client with more arguments against a server of these options. */
static void visit(const sp_options_t *server, const char *const *more, int status,
                  const char *words) {
  if (!child_exists("openssl"))
    skip();
  fixture_t *f = fixture_new();
  char address[32];
  fixture_serve(f, server);
  (void)snprintf(address, sizeof address, "127.0.0.1:%d", f->port);
  const char *args[16] = {"openssl",
                          "s_client",
                          "-connect",
                          address,
                          "-brief",
                          "-CAfile",
                          pki_file(pki_default()->root->cert_pem)};
  for (size_t n = 7; *more; more++)
    args[n++] = *more;
  child_t *child = child_start(&f->loop, args);
  assert_non_null(child);
  child_tell_end(child);
  (void)child_wait(child);
  child_free(child);
  fixture_run(f);
  const actor_t *served = fixture_served(f, 0);
  assert_non_null(served);
  check(&served->error, status, words);
  fixture_free(f);
}

static void test_s_client(void **state) {
  (void)state;
  visit(FIXTURE_SERVER(.min_version = SP_TLS1_3), CHILD_ARGS("-tls1_2"), SP_EPROTOCOL,
        "min_version");
  visit(FIXTURE_SERVER(.suites = "TLS_AES_256_GCM_SHA384", .min_version = SP_TLS1_3),
        CHILD_ARGS("-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"), SP_EPROTOCOL,
        "compare ciphers");
  visit(FIXTURE_SERVER(.alpn = SP_LIST("h2")), CHILD_ARGS("-alpn", "http/1.1"), SP_EPROTOCOL,
        "compare alpn");
  visit(FIXTURE_SERVER(.request_cert = SP_YES, .reject_unauthorized = SP_YES, .ca = ROOT),
        CHILD_ARGS("-tls1_2"), SP_EUNAUTHORIZED, "certificate");
  const pki_t *stranger = pki_default()->stranger;
  visit(SP_OPTIONS(.key = stranger->key_pem, .cert = stranger->cert_pem),
        CHILD_ARGS("-verify_return_error"), SP_EALERT, "does not trust the issuer");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_status_has_a_text),
      cmocka_unit_test(test_versions),
      cmocka_unit_test(test_ciphers),
      cmocka_unit_test(test_groups),
      cmocka_unit_test(test_signature_algorithms),
      cmocka_unit_test(test_protocols),
      cmocka_unit_test(test_unknown_authority),
      cmocka_unit_test(test_expired),
      cmocka_unit_test(test_another_name),
      cmocka_unit_test(test_no_client_certificate),
      cmocka_unit_test(test_client_certificate_of_a_stranger),
      cmocka_unit_test(test_refused_by_hooks),
      cmocka_unit_test(test_records),
      cmocka_unit_test(test_alerts),
      cmocka_unit_test(test_what_is_not_tls),
      cmocka_unit_test(test_ended_too_early),
      cmocka_unit_test(test_time_out),
      cmocka_unit_test(test_reset),
      cmocka_unit_test(test_s_client),
  };
  return cmocka_run_group_tests_name("sentences", tests, NULL, NULL);
}
