/* Credentials in every form they may be given in, put to use in real handshakes; and what both
 * sides then know of the connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <securepair.h>

#include "support/contexts.h"
#include "support/meeting.h"
#include "support/pki.h"

#define ROOT SP_LIST(pki_default()->root->cert_pem)

/* The server of `options` is taken by a client that checks everything. */
static meeting_t serves(const sp_options_t *options) {
  meeting_t m = meeting_hold(options, SP_OPTIONS(.ca = ROOT, .server_name = "localhost"));
  if (m.client.status)
    fail_msg("%s", m.client.error.text);
  assert_string_equal(m.client.log, "secure data end close");
  assert_string_equal(m.server.log, "secure data end close");
  assert_string_equal(m.client.got, MEETING_SERVER_WORD);
  assert_string_equal(m.server.got, MEETING_CLIENT_WORD);
  assert_true(m.client.authorized);
  assert_string_equal(m.client.reason, "");
  return m;
}

static const pki_t *here(const pki_t *issuer, const char *key) {
  return PKI_MAKE(issuer, .cn = "localhost", .dns = PKI_LIST("localhost"), .key = key);
}

/* -- forms ------------------------------------------------------------------------------------- */

static void texts_and_files(void **state) {
  (void)state;
  const pki_t *leaf = here(pki_default()->root, "ec");
  const char *key = pki_file(leaf->key_pem), *cert = pki_file(leaf->cert_pem);
  serves(SP_OPTIONS(.key = leaf->key_pem, .cert = leaf->cert_pem));
  serves(SP_OPTIONS(.key_file = key, .cert_file = cert));
  serves(SP_OPTIONS(.key = leaf->key_pem, .cert_file = cert));
  const char *both = pki_join(PKI_LIST(leaf->key_pem, leaf->cert_pem));
  serves(SP_OPTIONS(.key_file = pki_file(both), .cert_file = pki_file(both)));
}

/* The client knows the root only: the intermediates have to come along, in any order. */
static void a_chain_in_cert_is_sent(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const pki_t *lower = PKI_MAKE(s->intermediate, .cn = "lower", .ca = true);
  const pki_t *leaf = here(lower, "ec");
  const char *chain =
      pki_join(PKI_LIST(leaf->cert_pem, lower->cert_pem, s->intermediate->cert_pem));
  meeting_t m = serves(SP_OPTIONS(.key = leaf->key_pem, .cert = chain));
  assert_int_equal(m.client.peer_chain, 3);
  m = serves(SP_OPTIONS(.key = leaf->key_pem, .cert_file = pki_file(chain)));
  assert_int_equal(m.client.peer_chain, 3);
}

static void pkcs12_with_its_chain(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  size_t n;
  unsigned char *pfx = pki_pkcs12(s->server_behind, PKI_THESE(s->intermediate), "open sesame", &n);
  meeting_t m = serves(SP_OPTIONS(.pfx = pfx, .pfx_size = n, .passphrase = "open sesame"));
  assert_int_equal(m.client.peer_chain, 2);
  m = serves(SP_OPTIONS(.pfx_file = pki_file_bytes(pfx, n), .passphrase = "open sesame"));
  assert_int_equal(m.client.peer_chain, 2);
  pfx = pki_pkcs12(s->server, NULL, "", &n);
  serves(SP_OPTIONS(.pfx = pfx, .pfx_size = n, .passphrase = ""));
  serves(SP_OPTIONS(.pfx = pfx, .pfx_size = n));
}

static int asked;

static int on_passphrase(char *room, size_t size, const char *name, void *data) {
  size_t n = strlen(data);
  assert_true(n <= size);
  assert_true(*name);
  memcpy(room, data, n);
  asked++;
  return (int)n;
}

static void encrypted_keys(void **state) {
  (void)state;
  static char secret[] = "open sesame";
  static const char *const keys[] = {"ec", "rsa", "ed25519"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    const pki_t *leaf = here(pki_default()->root, keys[i]);
    const char *key = pki_encrypted_key(leaf, secret);
    serves(SP_OPTIONS(.key = key, .cert = leaf->cert_pem, .passphrase = secret));
    asked = 0;
    serves(SP_OPTIONS(.key_file = pki_file(key), .cert = leaf->cert_pem,
                      .on_passphrase = on_passphrase, .passphrase_data = secret));
    assert_int_equal(asked, 1);
  }
  size_t n;
  unsigned char *pfx = pki_pkcs12(pki_default()->server, NULL, secret, &n);
  asked = 0;
  serves(SP_OPTIONS(.pfx = pfx, .pfx_size = n, .on_passphrase = on_passphrase,
                    .passphrase_data = secret));
  assert_int_equal(asked, 1);
}

/* The same for who calls: a client's certificate from PKCS#12, its chain sent along. */
static void a_client_with_pkcs12(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const pki_t *client = PKI_MAKE(s->intermediate, .cn = "caller", .eku = "clientAuth");
  size_t n;
  unsigned char *pfx = pki_pkcs12(client, PKI_THESE(s->intermediate), "x", &n);
  meeting_t m =
      meeting_hold(SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem, .ca = ROOT,
                              .request_cert = SP_YES, .reject_unauthorized = SP_YES),
                   SP_OPTIONS(.ca = ROOT, .server_name = "localhost", .pfx = pfx, .pfx_size = n,
                              .passphrase = "x"));
  assert_string_equal(m.server.log, "secure data end close");
  assert_true(m.server.authorized);
  assert_string_equal(m.server.peer, "CN=caller");
  assert_int_equal(m.server.peer_chain, 2);
}

/* -- facts ------------------------------------------------------------------------------------- */

typedef struct facts {
  sp_protocol_t version;
  const char *ciphers, *suites, *groups;
  /* what both sides must say */
  const char *says_version, *says_cipher, *says_group;
  const char *key;
} facts_t;

static void check_facts(const facts_t *facts) {
  const pki_t *leaf = here(pki_default()->root, facts->key);
  print_message("%s %s %s\n", facts->says_version, facts->says_cipher, facts->says_group);
  meeting_t m = meeting_hold(
      SP_OPTIONS(.key = leaf->key_pem, .cert = leaf->cert_pem, .alpn = SP_LIST("b", "c")),
      SP_OPTIONS(.ca = ROOT, .server_name = "LocalHost", .alpn = SP_LIST("a", "c", "b"),
                 .max_version = facts->version, .ciphers = facts->ciphers, .suites = facts->suites,
                 .groups = facts->groups));
  assert_int_equal(m.client.status, 0);
  const meeting_side_t *sides[] = {&m.client, &m.server};
  for (size_t i = 0; i < 2; i++) {
    assert_string_equal(sides[i]->version, facts->says_version);
    assert_string_equal(sides[i]->cipher, facts->says_cipher);
    assert_string_equal(sides[i]->group, facts->says_group);
    assert_string_equal(sides[i]->protocol, "b"); /* the server's preference */
    assert_int_equal(strcasecmp(sides[i]->server_name, "localhost"), 0);
    assert_false(sides[i]->resumed);
  }
  assert_string_equal(m.client.peer, "CN=localhost");
  assert_string_equal(m.server.peer, "");
}

static void both_sides_know_the_same(void **state) {
  (void)state;
  static const facts_t all[] = {
      {SP_TLS1_3, NULL, "TLS_AES_128_GCM_SHA256", "X25519", "TLSv1.3", "TLS_AES_128_GCM_SHA256",
       "x25519", "ec"},
      {SP_TLS1_3, NULL, "TLS_AES_256_GCM_SHA384", "P-256", "TLSv1.3", "TLS_AES_256_GCM_SHA384",
       "secp256r1", "rsa"},
      {SP_TLS1_3, NULL, "TLS_CHACHA20_POLY1305_SHA256", "P-384", "TLSv1.3",
       "TLS_CHACHA20_POLY1305_SHA256", "secp384r1", "ed25519"},
      {SP_TLS1_2, "ECDHE-ECDSA-AES128-GCM-SHA256", NULL, "X25519:P-256", "TLSv1.2",
       "ECDHE-ECDSA-AES128-GCM-SHA256", "x25519", "ec"},
      {SP_TLS1_2, "ECDHE-RSA-AES256-GCM-SHA384", NULL, "P-256", "TLSv1.2",
       "ECDHE-RSA-AES256-GCM-SHA384", "secp256r1", "rsa"},
      {SP_TLS1_2, "ECDHE-ECDSA-CHACHA20-POLY1305", NULL, "P-384", "TLSv1.2",
       "ECDHE-ECDSA-CHACHA20-POLY1305", "secp384r1", "ed25519"},
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    check_facts(&all[i]);
}

/* RFC 6066 3: an address is no server name. */
static void an_address_is_checked_and_not_sent(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  meeting_t m = meeting_hold(SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem),
                             SP_OPTIONS(.ca = ROOT)); /* the host is 127.0.0.1 */
  assert_int_equal(m.client.status, 0);
  assert_true(m.client.authorized);
  assert_string_equal(m.server.server_name, "");
  assert_string_equal(m.server.protocol, "");
}

static void no_common_protocol_or_none_asked_for(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  sp_context_t *server = context_made(
      SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem, .alpn = SP_LIST("h2")));
  meeting_t m = meeting_hold(SP_OPTIONS(.context = server), SP_OPTIONS(.ca = ROOT));
  assert_int_equal(m.client.status, 0); /* it did not ask */
  assert_string_equal(m.client.protocol, "");
  m = meeting_hold(SP_OPTIONS(.context = server),
                   SP_OPTIONS(.ca = ROOT, .alpn = SP_LIST("h", "h22")));
  assert_string_equal(m.client.log, "secure(SP_EALERT) close");
  assert_string_equal(sp_alert_name(m.client.error.alert), "no_application_protocol");
  assert_string_equal(m.server.log, "secure(SP_EPROTOCOL) close");
  assert_int_equal(m.server.error.alert, 120);
  sp_context_release(server);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(texts_and_files),
      cmocka_unit_test(a_chain_in_cert_is_sent),
      cmocka_unit_test(pkcs12_with_its_chain),
      cmocka_unit_test(encrypted_keys),
      cmocka_unit_test(a_client_with_pkcs12),
      cmocka_unit_test(both_sides_know_the_same),
      cmocka_unit_test(an_address_is_checked_and_not_sent),
      cmocka_unit_test(no_common_protocol_or_none_asked_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
