/* What is known of a connection besides its verdict: in the words of RFCs, and of Node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "support/contexts.h"
#include "support/couple.h"
#include "support/pki.h"

static const manner_t whole = {.read = 0};

static void each_finished_is_the_others_peers(void **state) {
  (void)state;
  for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++) {
    couple_t couple;
    uint8_t ours[64], theirs[64], part[4];
    couple_make(&couple, (sp_protocol_t)version);
    assert_int_equal(sp_pair_finished(couple.server.pair, false, ours, sizeof ours), 0);
    couple_shake_hands(&couple);
    sp_pair_t *client = couple.client.pair, *server = couple.server.pair;
    size_t n = sp_pair_finished(client, false, ours, sizeof ours);
    assert_in_range(n, 12, sizeof ours);
    assert_int_equal(sp_pair_finished(server, true, theirs, sizeof theirs), n);
    assert_memory_equal(ours, theirs, n);
    assert_int_equal(sp_pair_finished(client, true, part, sizeof part), n);
    assert_int_equal(sp_pair_finished(server, false, theirs, sizeof theirs), n);
    assert_memory_equal(part, theirs, sizeof part);
    couple_free(&couple);
  }
}

static void names_of_the_cipher(void **state) {
  (void)state;
  couple_t couple;
  couple_make(&couple, SP_TLS1_2);
  assert_string_equal(sp_pair_cipher_standard_name(couple.client.pair), "");
  couple_shake_hands(&couple);
  assert_string_equal(sp_pair_cipher(couple.client.pair), "ECDHE-ECDSA-AES256-GCM-SHA384");
  assert_string_equal(sp_pair_cipher_standard_name(couple.client.pair),
                      "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
  couple_free(&couple);
}

/* A client of one group and a few signature algorithms, and a server; both secure. */
static void meet(couple_t *couple, sp_protocol_t version, const char *groups, const char *key,
                 const char *sigalgs, const char *ciphers) {
  const pki_t *root = pki_default()->root;
  const pki_t *pki = PKI_MAKE(root, .dns = PKI_LIST("localhost"), .key = key);
  sp_context_t *client =
      context_made(SP_OPTIONS(.ca = SP_LIST(root->cert_pem), .groups = groups, .sigalgs = sigalgs,
                              .ciphers = ciphers, .min_version = version, .max_version = version));
  sp_context_t *server = context_made(
      SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem, .ciphers = ciphers, .groups = groups));
  couple_make_of(couple, client, server);
  sp_context_release(client);
  sp_context_release(server);
  couple_shake_hands(couple);
}

static void check_key(sp_protocol_t version, const char *groups, const char *ciphers,
                      const char *type, const char *name, int bits) {
  couple_t couple;
  const char *got_type, *got_name;
  int got_bits;
  meet(&couple, version, groups, "rsa", NULL, ciphers);
  assert_true(sp_pair_ephemeral_key(couple.client.pair, &got_type, &got_name, &got_bits));
  assert_string_equal(got_type, type);
  if (name)
    assert_string_equal(got_name, name);
  else
    assert_null(got_name);
  assert_int_equal(got_bits, bits);
  assert_false(sp_pair_ephemeral_key(couple.server.pair, &got_type, &got_name, &got_bits));
  couple_free(&couple);
}

static void the_key_of_the_exchange(void **state) {
  (void)state;
  for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++) {
    check_key((sp_protocol_t)version, "X25519", NULL, "ECDH", "X25519", 253);
    check_key((sp_protocol_t)version, "P-256", NULL, "ECDH", "prime256v1", 256);
    check_key((sp_protocol_t)version, "P-384", NULL, "ECDH", "secp384r1", 384);
  }
  couple_t couple;
  const char *type, *name;
  int bits;
  couple_make(&couple, SP_TLS1_2);
  assert_false(sp_pair_ephemeral_key(couple.client.pair, &type, &name, &bits)); /* not yet */
  couple_free(&couple);
}

static void signature_algorithms_in_common(void **state) {
  (void)state;
  static const char *const expected[] = {"ECDSA+SHA256", "Ed25519+UNDEF", "RSA-PSS+SHA384",
                                         "RSA+SHA512", ""};
  for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++) {
    couple_t couple;
    char name[32] = "";
    meet(&couple, (sp_protocol_t)version, NULL, "ec",
         "ed25519:ecdsa_secp256r1_sha256:rsa_pss_rsae_sha384:rsa_pkcs1_sha512", NULL);
    size_t known = version == SP_TLS1_2 ? 4 : 3; /* PKCS#1 is not for TLS 1.3 */
    for (size_t i = 0; i < known; i++) {
      size_t n = sp_pair_shared_sigalgs(couple.server.pair, i, name, sizeof name);
      assert_string_equal(name, expected[i]);
      assert_int_equal(n, strlen(name));
    }
    assert_int_equal(sp_pair_shared_sigalgs(couple.server.pair, 99, name, sizeof name), 0);
    assert_int_equal(sp_pair_shared_sigalgs(couple.server.pair, 0, name, 4), 12);
    assert_string_equal(name, "ECD");
    assert_int_equal(sp_pair_shared_sigalgs(couple.client.pair, 0, name, sizeof name), 0);
    couple_free(&couple);
  }
}

static void the_ticket_of_a_client(void **state) {
  (void)state;
  for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++) {
    couple_t couple;
    const void *ticket;
    couple_make(&couple, (sp_protocol_t)version);
    assert_int_equal(sp_pair_ticket(couple.client.pair, &ticket), 0);
    couple_shake_hands(&couple);
    couple_run(&couple, &whole);
    assert_true(sp_pair_ticket(couple.client.pair, &ticket) > 32);
    assert_non_null(ticket);
    couple_free(&couple);
  }
}

/* Header bytes 3 and 4 of each record are its size. */
static size_t largest_record(const uint8_t *bytes, size_t n) {
  size_t largest = 0;
  for (size_t at = 0, size; at + 5 <= n; at += 5 + size) {
    size = (size_t)(bytes[at + 3] << 8 | bytes[at + 4]);
    if (size > largest)
      largest = size;
  }
  return largest;
}

static void smaller_records(void **state) {
  (void)state;
  static const size_t sizes[] = {512, 1000, 16384};
  for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++)
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
      couple_t couple;
      static uint8_t bytes[40000];
      const void *out;
      size_t took;
      couple_make(&couple, (sp_protocol_t)version);
      assert_int_equal(sp_pair_set_max_fragment(couple.client.pair, 511), SP_EOPTION);
      assert_int_equal(sp_pair_set_max_fragment(couple.client.pair, 16385), SP_EOPTION);
      couple_shake_hands(&couple);
      couple_run(&couple, &whole);
      assert_int_equal(sp_pair_set_max_fragment(couple.client.pair, sizes[i]), 0);
      assert_int_equal(sp_pair_cleartext_in(couple.client.pair, bytes, sizeof bytes, &took), 0);
      assert_int_equal(took, sizeof bytes);
      size_t largest = 0, n;
      while ((n = sp_pair_encrypted_out(couple.client.pair, &out))) {
        size_t one = largest_record(out, n);
        largest = one > largest ? one : largest;
        sp_pair_encrypted_sent(couple.client.pair, n);
      }
      assert_in_range(largest, sizes[i] + 1, sizes[i] + 64);
      couple_free(&couple);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_finished_is_the_others_peers),
      cmocka_unit_test(names_of_the_cipher),
      cmocka_unit_test(the_key_of_the_exchange),
      cmocka_unit_test(signature_algorithms_in_common),
      cmocka_unit_test(the_ticket_of_a_client),
      cmocka_unit_test(smaller_records),
  };
  return cmocka_run_group_tests_name("pair-facts", tests, NULL, NULL);
}
