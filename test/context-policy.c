/* Versions, ciphers, suites, groups, signature algorithms, ALPN, tickets: defaults, choices and
 * their refusals (FAULTS A17). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>

#include <securepair/context.h>

#include "context/context.h"
#include "support/contexts.h"
#include "support/duet.h"
#include "support/pki.h"

static void the_defaults_are_ours(void **state) {
  (void)state;
  sp_context_t *context = context_made(NULL);
  SSL_CTX *ctx = sp_context_ssl_ctx(context);
  assert_int_equal(SSL_CTX_get_min_proto_version(ctx), TLS1_2_VERSION);
  assert_int_equal(SSL_CTX_get_max_proto_version(ctx), TLS1_3_VERSION);
  assert_int_equal(SSL_CTX_get_security_level(ctx), 2);
  assert_int_equal(SSL_CTX_get_num_tickets(ctx), 1);
  assert_int_equal(SSL_CTX_get_max_early_data(ctx), 0);
  assert_int_equal(SSL_CTX_get_session_cache_mode(ctx) & ~SSL_SESS_CACHE_NO_AUTO_CLEAR,
                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  uint64_t options = SSL_CTX_get_options(ctx);
  assert_true(options & SSL_OP_NO_COMPRESSION && options & SSL_OP_NO_RENEGOTIATION);
  assert_true(options & SSL_OP_CIPHER_SERVER_PREFERENCE && options & SSL_OP_PRIORITIZE_CHACHA);
  assert_false(options & (SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_TICKET |
                          SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION | SSL_OP_LEGACY_SERVER_CONNECT));
  long mode = SSL_CTX_get_mode(ctx);
  assert_true(mode & SSL_MODE_ENABLE_PARTIAL_WRITE && mode & SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  assert_false(mode & (SSL_MODE_AUTO_RETRY | SSL_MODE_RELEASE_BUFFERS));
  sp_context_release(context);
}

static void default_ciphers_are_forward_secret_and_authenticated(void **state) {
  (void)state;
  sp_context_t *context = context_made(NULL);
  STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(sp_context_ssl_ctx(context));
  assert_true(sk_SSL_CIPHER_num(ciphers) >= 9);
  for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
    const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
    const char *name = SSL_CIPHER_get_name(cipher);
    assert_true(!strncmp(name, "TLS_", 4) || !strncmp(name, "ECDHE-", 6));
    assert_true(SSL_CIPHER_is_aead(cipher));
    assert_int_not_equal(SSL_CIPHER_get_auth_nid(cipher), NID_auth_null);
    if (strncmp(name, "TLS_", 4))
      assert_true(strstr(name, "GCM") || strstr(name, "CHACHA20"));
  }
  assert_string_equal(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, 0)),
                      "TLS_AES_128_GCM_SHA256");
  sp_context_release(context);
}

/* openssl.cnf is read when OpenSSL starts: its worst is tried in a child process. */
static const char hostile[] = "openssl_conf = all\n"
                              "[all]\nssl_conf = ssl\n[ssl]\nsystem_default = hostile\n"
                              "[hostile]\nMinProtocol = TLSv1\nMaxProtocol = TLSv1.2\n"
                              "CipherString = ALL:@SECLEVEL=0\n"
                              "Ciphersuites = TLS_AES_128_CCM_SHA256\n"
                              "Options = UnsafeLegacyRenegotiation,-ServerPreference,"
                              "-SessionTicket,Bugs\n"
                              "Groups = P-521\nSignatureAlgorithms = RSA+SHA512\n"
                              "ClientSignatureAlgorithms = RSA+SHA512\n"
                              "NumTickets = 9\nVerifyMode = Require\n";

static void openssl_cnf_decides_nothing(void **state) {
  (void)state;
  char command[512];
  snprintf(command, sizeof command, "OPENSSL_CONF='%s' SP_HOSTILE_CHECK=1 '%s' >/dev/null 2>&1",
           pki_file(hostile), program_invocation_name);
  assert_int_equal(system(command), 0);
}

/* What the child process runs: the same defaults, whatever the file says; and it does say it. */
static int check_under_hostile_conf(void) {
  SSL_CTX *bare = SSL_CTX_new(TLS_method());
  int in_force = SSL_CTX_get_max_proto_version(bare) == TLS1_2_VERSION;
  SSL_CTX_free(bare);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_defaults_are_ours),
      cmocka_unit_test(default_ciphers_are_forward_secret_and_authenticated),
  };
  return in_force ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}

/* -- what comes of it ------------------------------------------------------------------------- */

typedef struct outcome {
  int version;
  char cipher[64];
  int group;
} outcome_t;

static int meet(sp_options_t client_options, sp_options_t server_options, outcome_t *outcome) {
  const pki_set_t *s = pki_default();
  client_options.ca = SP_LIST(s->root->cert_pem);
  if (!server_options.cert) {
    server_options.key = s->server->key_pem;
    server_options.cert = s->server->cert_pem;
  }
  sp_context_t *client = context_made(&client_options), *server = context_made(&server_options);
  duet_t duet = duet_make(client, server);
  int done = duet_run(&duet);
  *outcome = (outcome_t){.version = SSL_version(duet.client)};
  if (done == 1) {
    snprintf(outcome->cipher, sizeof outcome->cipher, "%s", SSL_get_cipher_name(duet.client));
    outcome->group = (int)SSL_get_negotiated_group(duet.client);
  }
  duet_free(&duet);
  sp_context_release(client);
  sp_context_release(server);
  ERR_clear_error();
  return done;
}

#define OPTIONS(...) (*SP_OPTIONS(__VA_ARGS__))

static void versions_are_kept(void **state) {
  (void)state;
  outcome_t o;
  assert_int_equal(meet(OPTIONS(.key = NULL), OPTIONS(.key = NULL), &o), 1);
  assert_int_equal(o.version, TLS1_3_VERSION);
  assert_int_equal(meet(OPTIONS(.max_version = SP_TLS1_2), OPTIONS(.key = NULL), &o), 1);
  assert_int_equal(o.version, TLS1_2_VERSION);
  assert_int_equal(meet(OPTIONS(.key = NULL), OPTIONS(.max_version = SP_TLS1_2), &o), 1);
  assert_int_equal(o.version, TLS1_2_VERSION);
  assert_int_equal(meet(OPTIONS(.min_version = SP_TLS1_3), OPTIONS(.max_version = SP_TLS1_2), &o),
                   -1);
}

static void suites_and_ciphers_are_kept(void **state) {
  (void)state;
  outcome_t o;
  assert_int_equal(
      meet(OPTIONS(.suites = "TLS_CHACHA20_POLY1305_SHA256"), OPTIONS(.key = NULL), &o), 1);
  assert_string_equal(o.cipher, "TLS_CHACHA20_POLY1305_SHA256");
  assert_int_equal(meet(OPTIONS(.max_version = SP_TLS1_2),
                        OPTIONS(.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384"), &o),
                   1);
  assert_string_equal(o.cipher, "ECDHE-ECDSA-AES256-GCM-SHA384");
  assert_int_equal(meet(OPTIONS(.suites = "TLS_AES_128_GCM_SHA256", .min_version = SP_TLS1_3),
                        OPTIONS(.suites = "TLS_AES_256_GCM_SHA384"), &o),
                   -1);
}

static void the_server_prefers_but_chacha_goes_first_for_who_wants_it(void **state) {
  (void)state;
  outcome_t o;
  sp_options_t likes_256 = OPTIONS(.suites = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256");
  sp_options_t likes_chacha =
      OPTIONS(.suites = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256");
  assert_int_equal(meet(likes_256, OPTIONS(.key = NULL), &o), 1);
  assert_string_equal(o.cipher, "TLS_AES_128_GCM_SHA256");
  assert_int_equal(meet(likes_256, OPTIONS(.prefer_server_ciphers = SP_NO), &o), 1);
  assert_string_equal(o.cipher, "TLS_AES_256_GCM_SHA384");
  assert_int_equal(meet(likes_chacha, OPTIONS(.key = NULL), &o), 1);
  assert_string_equal(o.cipher, "TLS_CHACHA20_POLY1305_SHA256");
}

static void groups_and_sigalgs_are_kept(void **state) {
  (void)state;
  outcome_t o;
  assert_int_equal(meet(OPTIONS(.groups = "P-384"), OPTIONS(.key = NULL), &o), 1);
  assert_int_equal(o.group, NID_secp384r1);
  assert_int_equal(meet(OPTIONS(.groups = "X25519"), OPTIONS(.groups = "P-256"), &o), -1);
  assert_int_equal(meet(OPTIONS(.sigalgs = "RSA-PSS+SHA256"), OPTIONS(.key = NULL), &o), -1);
  assert_int_equal(meet(OPTIONS(.sigalgs = "ECDSA+SHA256"), OPTIONS(.key = NULL), &o), 1);
}

static void one_ticket_or_none(void **state) {
  (void)state;
  sp_context_t *none = context_made(SP_OPTIONS(.tickets = SP_NO));
  assert_int_equal(SSL_CTX_get_num_tickets(none->ssl_ctx), 0);
  assert_true(SSL_CTX_get_options(none->ssl_ctx) & SSL_OP_NO_TICKET);
  sp_context_release(none);
}

/* -- refusals --------------------------------------------------------------------------------- */

static void versions_that_cannot_be_are_named(void **state) {
  (void)state;
  REFUSED(SP_OPTIONS(.min_version = SP_TLS1_3, .max_version = SP_TLS1_2), SP_EVERSION,
          "min_version", "max_version");
  REFUSED(SP_OPTIONS(.min_version = (sp_protocol_t)0x0301), SP_EVERSION, "min_version", "0x0301");
  REFUSED(SP_OPTIONS(.max_version = (sp_protocol_t)0x0305), SP_EVERSION, "max_version", "0x0305");
  REFUSED(SP_OPTIONS(.max_version = (sp_protocol_t)1), SP_EVERSION, "max_version");
}

static void unknown_names_are_named(void **state) {
  (void)state;
  REFUSED(SP_OPTIONS(.ciphers = "NOPE"), SP_ECIPHERS, "ciphers", "\"NOPE\"");
  REFUSED(SP_OPTIONS(.ciphers = "ECDHE+AESGCM:ECHDE+CHACHA20"), SP_ECIPHERS, "ECHDE+CHACHA20");
  REFUSED(SP_OPTIONS(.ciphers = "TLS_AES_128_GCM_SHA256"), SP_ECIPHERS, "suites");
  REFUSED(SP_OPTIONS(.suites = "NOPE"), SP_ECIPHERS, "suites", "NOPE");
  REFUSED(SP_OPTIONS(.suites = "TLS_AES_128_GCM_SHA256:TLS_AES_128_GCM_SHA1"), SP_ECIPHERS,
          "\"TLS_AES_128_GCM_SHA1\"");
  REFUSED(SP_OPTIONS(.suites = "ECDHE-RSA-AES128-GCM-SHA256"), SP_ECIPHERS, "suites");
  REFUSED(SP_OPTIONS(.groups = "X25519:NOPE"), SP_ECIPHERS, "groups", "NOPE");
  REFUSED(SP_OPTIONS(.sigalgs = "ECDSA+SHA256:NOPE+SHA1"), SP_ECIPHERS, "sigalgs", "NOPE");
}

static void empty_lists_are_named(void **state) {
  (void)state;
  REFUSED(SP_OPTIONS(.ciphers = ""), SP_ECIPHERS, "ciphers", "empty");
  REFUSED(SP_OPTIONS(.ciphers = " : "), SP_ECIPHERS, "ciphers", "empty");
  REFUSED(SP_OPTIONS(.suites = ""), SP_ECIPHERS, "suites", "empty");
  REFUSED(SP_OPTIONS(.groups = ""), SP_ECIPHERS, "groups");
  REFUSED(SP_OPTIONS(.sigalgs = ""), SP_ECIPHERS, "sigalgs");
}

static void lists_that_leave_nothing_are_named(void **state) {
  (void)state;
  REFUSED(SP_OPTIONS(.ciphers = "aNULL"), SP_ECIPHERS, "aNULL", "security level");
  REFUSED(SP_OPTIONS(.ciphers = "ECDHE+AESGCM:!ALL"), SP_ECIPHERS, "ciphers");
  REFUSED(SP_OPTIONS(.suites = "TLS_AES_128_GCM_SHA256", .max_version = SP_TLS1_2), SP_ECIPHERS,
          "suites", "max_version");
  REFUSED(SP_OPTIONS(.ciphers = "ECDHE+AESGCM", .min_version = SP_TLS1_3), SP_ECIPHERS, "ciphers",
          "min_version");
}

static void long_and_strange_names_do_no_harm(void **state) {
  (void)state;
  char *name = malloc(100001);
  memset(name, 'A', 100000);
  name[100000] = '\0';
  REFUSED(SP_OPTIONS(.ciphers = name), SP_ECIPHERS, "ciphers", "AAAA");
  REFUSED(SP_OPTIONS(.suites = name), SP_ECIPHERS, "suites");
  REFUSED(SP_OPTIONS(.groups = name), SP_ECIPHERS, "groups");
  REFUSED(SP_OPTIONS(.sigalgs = name), SP_ECIPHERS, "sigalgs");
  REFUSED(SP_OPTIONS(.ciphers = "\x1b[31m"), SP_ECIPHERS, "\\x1b[31m");
  free(name);
}

static void explicit_ciphers_may_be_anything_that_is_there(void **state) {
  (void)state;
  static const char *const fine[] = {"DEFAULT",
                                     "HIGH:!aNULL:!MD5:!RC4:!EXPORT",
                                     "ECDHE-RSA-AES128-GCM-SHA256,ECDHE-ECDSA-AES128-GCM-SHA256",
                                     "ECDHE+AESGCM:-SHA384:@STRENGTH",
                                     "ALL:@SECLEVEL=1",
                                     "AES128-SHA"};
  for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
    sp_context_release(context_made(SP_OPTIONS(.ciphers = fine[i])));
  outcome_t o;
  const pki_t *rsa =
      PKI_MAKE(pki_default()->root, .cn = "localhost", .key = "rsa", .dns = PKI_LIST("localhost"));
  assert_int_equal(meet(OPTIONS(.ciphers = "DHE-RSA-AES128-GCM-SHA256", .max_version = SP_TLS1_2),
                        OPTIONS(.ciphers = "DHE-RSA-AES128-GCM-SHA256", .key = rsa->key_pem,
                                .cert = rsa->cert_pem, .dhparam = "auto"),
                        &o),
                   1);
  assert_string_equal(o.cipher, "DHE-RSA-AES128-GCM-SHA256");
}

/* -- ALPN ------------------------------------------------------------------------------------- */

static void alpn_is_kept_in_wire_form(void **state) {
  (void)state;
  sp_context_t *context = context_made(SP_OPTIONS(.alpn = SP_LIST("h2", "http/1.1")));
  assert_int_equal(context->alpn_size, 12);
  assert_memory_equal(context->alpn, "\x02h2\x08http/1.1", 12);
  sp_context_release(context);
  context = context_made(SP_OPTIONS(.alpn = SP_EMPTY_LIST));
  assert_null(context->alpn);
  sp_context_release(context);
}

static void alpn_has_its_limits(void **state) {
  (void)state;
  char most[256], more[257];
  memset(most, 'x', 255), memset(more, 'x', 256);
  most[255] = more[256] = '\0';
  sp_context_release(context_made(SP_OPTIONS(.alpn = SP_LIST(most))));
  REFUSED(SP_OPTIONS(.alpn = SP_LIST("h2", more)), SP_EOPTION, "alpn[1]", "256");
  REFUSED(SP_OPTIONS(.alpn = SP_LIST("")), SP_EOPTION, "alpn[0]");
  const char *many[300];
  for (int i = 0; i < 299; i++)
    many[i] = most;
  many[299] = NULL;
  REFUSED(SP_OPTIONS(.alpn = many), SP_EOPTION, "alpn", "65535");
}

/* -- a server that changes its context at the client's hello ---------------------------------- */

typedef struct swap {
  const sp__handler_t *handler;
  sp_context_t *to;
} swap_t;

static int change(SSL *ssl, int *alert) {
  swap_t *swap = SSL_get_app_data(ssl);
  (void)alert;
  return SSL_set_SSL_CTX(ssl, swap->to->ssl_ctx) &&
                 !sp__context_apply(swap->to, ssl, SP_SERVER, true)
             ? SSL_CLIENT_HELLO_SUCCESS
             : SSL_CLIENT_HELLO_ERROR;
}

static int swapped(sp_options_t to_options, sp_options_t client_options, duet_t *duet) {
  static const sp__handler_t handler = {.client_hello = change};
  const pki_set_t *s = pki_default();
  to_options.key = s->server->key_pem;
  to_options.cert = s->server->cert_pem;
  to_options.ca = to_options.ca ? to_options.ca : SP_EMPTY_LIST;
  client_options.ca = SP_LIST(s->root->cert_pem);
  sp_context_t *from = context_made(NULL), *to = context_made(&to_options);
  sp_context_t *client = context_made(&client_options);
  swap_t swap = {.handler = &handler, .to = to};
  *duet = duet_make(client, from);
  SSL_set_app_data(duet->server, &swap);
  int done = duet_run(duet);
  sp_context_release(from);
  sp_context_release(to);
  sp_context_release(client);
  ERR_clear_error();
  return done;
}

static void a_swapped_context_brings_its_whole_policy(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  duet_t duet;
  assert_int_equal(swapped(OPTIONS(.max_version = SP_TLS1_2), OPTIONS(.key = NULL), &duet), 1);
  assert_int_equal(SSL_version(duet.client), TLS1_2_VERSION);
  duet_free(&duet);
  assert_int_equal(
      swapped(OPTIONS(.suites = "TLS_AES_256_GCM_SHA384"), OPTIONS(.key = NULL), &duet), 1);
  assert_string_equal(SSL_get_cipher_name(duet.client), "TLS_AES_256_GCM_SHA384");
  duet_free(&duet);
  assert_int_equal(swapped(OPTIONS(.groups = "P-384"), OPTIONS(.key = NULL), &duet), 1);
  assert_int_equal(SSL_get_negotiated_group(duet.client), NID_secp384r1);
  duet_free(&duet);
  assert_int_equal(swapped(OPTIONS(.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384"),
                           OPTIONS(.max_version = SP_TLS1_2), &duet),
                   1);
  assert_string_equal(SSL_get_cipher_name(duet.client), "ECDHE-ECDSA-AES256-GCM-SHA384");
  duet_free(&duet);
  assert_int_equal(
      swapped(OPTIONS(.min_version = SP_TLS1_3), OPTIONS(.max_version = SP_TLS1_2), &duet), -1);
  duet_free(&duet);
  sp_options_t asks = OPTIONS(.ca = SP_LIST(s->root->cert_pem), .request_cert = SP_YES,
                              .reject_unauthorized = SP_YES);
  assert_int_equal(swapped(asks, OPTIONS(.key = NULL), &duet), -1);
  duet_free(&duet);
  sp_options_t shows = OPTIONS(.key = s->client->key_pem, .cert = s->client->cert_pem);
  assert_int_equal(swapped(asks, shows, &duet), 1);
  duet_free(&duet);
}

int main(void) {
  if (getenv("SP_HOSTILE_CHECK"))
    return check_under_hostile_conf();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_defaults_are_ours),
      cmocka_unit_test(default_ciphers_are_forward_secret_and_authenticated),
      cmocka_unit_test(openssl_cnf_decides_nothing),
      cmocka_unit_test(versions_are_kept),
      cmocka_unit_test(suites_and_ciphers_are_kept),
      cmocka_unit_test(the_server_prefers_but_chacha_goes_first_for_who_wants_it),
      cmocka_unit_test(groups_and_sigalgs_are_kept),
      cmocka_unit_test(one_ticket_or_none),
      cmocka_unit_test(versions_that_cannot_be_are_named),
      cmocka_unit_test(unknown_names_are_named),
      cmocka_unit_test(empty_lists_are_named),
      cmocka_unit_test(lists_that_leave_nothing_are_named),
      cmocka_unit_test(long_and_strange_names_do_no_harm),
      cmocka_unit_test(explicit_ciphers_may_be_anything_that_is_there),
      cmocka_unit_test(alpn_is_kept_in_wire_form),
      cmocka_unit_test(alpn_has_its_limits),
      cmocka_unit_test(a_swapped_context_brings_its_whole_policy),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
