/* Keys that are renewed before they were used too often: FAULTS R16, and sp_pair_update_key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "support/contexts.h"
#include "support/couple.h"
#include "support/pki.h"

static const manner_t plainly = {0};
static const manner_t byte_by_byte = {.write = 1};

#define CLIENT(...) SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem), __VA_ARGS__)
#define SERVER(...)                                                                                \
  SP_OPTIONS(.key = pki_default()->server->key_pem, .cert = pki_default()->server->cert_pem,       \
             __VA_ARGS__)

static void make(couple_t *couple, const sp_options_t *client, const sp_options_t *server) {
  couple_make_with(couple, client, server);
  couple_shake_hands(couple);
}

/* KeyUpdate messages that a side sent. */
static size_t updates[2];

static void count_updates(int sending, int version, int type, const void *bytes, size_t n, SSL *ssl,
                          void *data) {
  (void)version, (void)ssl;
  if (sending && type == SSL3_RT_HANDSHAKE && n && *(const uint8_t *)bytes == SSL3_MT_KEY_UPDATE)
    ++*(size_t *)data;
}

static void watch(couple_t *couple) {
  side_t *sides[] = {&couple->client, &couple->server};
  for (size_t i = 0; i < 2; i++) {
    updates[i] = 0;
    SSL_set_msg_callback(sp_pair_ssl(sides[i]->pair), count_updates);
    SSL_set_msg_callback_arg(sp_pair_ssl(sides[i]->pair), &updates[i]);
  }
}

static void R16_keys_of_tls_1_3_are_renewed(void **state) {
  (void)state;
  couple_t couple;
  make(&couple, CLIENT(.min_version = SP_TLS1_3, .key_records = 100),
       SERVER(.min_version = SP_TLS1_3));
  watch(&couple);
  couple.client.wanted = 550;
  couple_run(&couple, &byte_by_byte);
  assert_int_equal(couple.server.got, 550);
  assert_false(couple.server.wrong);
  assert_int_equal(updates[SP_CLIENT], 5);
  assert_int_equal(updates[SP_SERVER], 0);
  couple_free(&couple);
}

/* What we receive is not ours to renew: the peer is asked, each time a little before. Our own key
 * goes along. */
static void R16_a_peer_is_asked_to_renew_its_key(void **state) {
  (void)state;
  couple_t couple;
  make(&couple, CLIENT(.min_version = SP_TLS1_3),
       SERVER(.min_version = SP_TLS1_3, .key_records = 160));
  watch(&couple);
  couple.client.wanted = 450;
  couple_run(&couple, &byte_by_byte);
  assert_int_equal(couple.server.got, 450);
  assert_false(couple.server.wrong);
  assert_int_equal(updates[SP_CLIENT], 3); /* 140, 280, 420 */
  assert_int_equal(updates[SP_SERVER], 3);
  couple_free(&couple);
}

/* A clean end, which tells the peer that nothing is missing, and why. */
static void R16_a_connection_of_tls_1_2_ends(void **state) {
  (void)state;
  for (int sends = 0; sends < 2; sends++) {
    couple_t couple;
    make(&couple, CLIENT(.max_version = SP_TLS1_2, .key_records = 100),
         SERVER(.max_version = SP_TLS1_2));
    side_t *from = sends ? &couple.client : &couple.server;
    side_t *to = sends ? &couple.server : &couple.client;
    from->wanted = 550;
    couple_run(&couple, &byte_by_byte);
    assert_int_equal(to->got, 100);
    const sp_error_t *error = sp_pair_error(couple.client.pair);
    assert_int_equal(error->status, SP_EKEYUSED);
    assert_int_equal(error->who, SP_US);
    assert_non_null(strstr(error->text, sends ? "were sent under one AES key" : "came under one"));
    assert_int_equal(sp_pair_error(couple.server.pair)->status, 0);
    assert_true(sp_pair_state(couple.server.pair) & SP_PAIR_PEER_ENDED);
    couple_free(&couple);
  }
}

static void R16_chacha20_has_no_limit(void **state) {
  (void)state;
  couple_t couple;
  make(&couple, CLIENT(.suites = "TLS_CHACHA20_POLY1305_SHA256", .key_records = 10),
       SERVER(.key_records = 10));
  watch(&couple);
  couple.client.wanted = couple.server.wanted = 100;
  couple_run(&couple, &byte_by_byte);
  assert_int_equal(couple.server.got + couple.client.got, 200);
  assert_int_equal(updates[0] + updates[1], 0);
  couple_free(&couple);
  make(&couple, CLIENT(.ciphers = "ECDHE+CHACHA20", .max_version = SP_TLS1_2, .key_records = 10),
       SERVER(.key_records = 10));
  couple.client.wanted = couple.server.wanted = 100;
  couple_run(&couple, &byte_by_byte);
  assert_int_equal(couple.server.got + couple.client.got, 200);
  couple_free(&couple);
}

static void more_than_what_is_safe_is_refused(void **state) {
  (void)state;
  (void)REFUSED(SP_OPTIONS(.key_records = SP_KEY_RECORDS + 1), SP_EOPTION, "key_records",
                "23720000");
  sp_context_release(context_made(SP_OPTIONS(.key_records = SP_KEY_RECORDS)));
}

/* -- by the program's wish --------------------------------------------------------------------- */

static void update_key(void **state) {
  (void)state;
  couple_t couple;
  couple_make(&couple, SP_TLS1_3);
  assert_int_equal(sp_pair_update_key(couple.client.pair, false), SP_EOPTION);
  couple_shake_hands(&couple);
  watch(&couple);
  assert_int_equal(sp_pair_update_key(couple.client.pair, false), 0);
  couple.client.wanted = couple.server.wanted = 100000;
  couple_run(&couple, &plainly);
  assert_int_equal(updates[SP_CLIENT], 1);
  assert_int_equal(updates[SP_SERVER], 0);
  assert_int_equal(sp_pair_update_key(couple.server.pair, true), 0);
  couple.client.wanted = couple.server.wanted = 200000;
  couple_run(&couple, &plainly);
  assert_int_equal(updates[SP_CLIENT], 2);
  assert_int_equal(updates[SP_SERVER], 1);
  assert_int_equal(couple.server.got + couple.client.got, 400000);
  assert_false(couple.server.wrong || couple.client.wrong);
  assert_int_equal(sp_pair_end(couple.client.pair), 0);
  assert_int_equal(sp_pair_update_key(couple.client.pair, false), SP_EENDED);
  couple_free(&couple);
  couple_make(&couple, SP_TLS1_2);
  couple_shake_hands(&couple);
  assert_int_equal(sp_pair_update_key(couple.client.pair, false), SP_EOPTION);
  couple_free(&couple);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(R16_keys_of_tls_1_3_are_renewed),
      cmocka_unit_test(R16_a_peer_is_asked_to_renew_its_key),
      cmocka_unit_test(R16_a_connection_of_tls_1_2_ends),
      cmocka_unit_test(R16_chacha20_has_no_limit),
      cmocka_unit_test(more_than_what_is_safe_is_refused),
      cmocka_unit_test(update_key),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
