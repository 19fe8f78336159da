/* How much cleartext is in a record that is sent: the options record_size and max_fragment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "support/contexts.h"
#include "support/couple.h"
#include "support/pki.h"
#include "support/stopwatch.h"

static const manner_t plainly = {0};

#define CLIENT(...) SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem), __VA_ARGS__)
#define SERVER(...)                                                                                \
  SP_OPTIONS(.key = pki_default()->server->key_pem, .cert = pki_default()->server->cert_pem,       \
             .tickets = SP_NO, __VA_ARGS__)

/* Cleartext of the records of data that came. */
static size_t sizes[1000], count;

static void note(int sending, int version, int type, const void *bytes, size_t n, SSL *ssl,
                 void *data) {
  const uint8_t *header = bytes;
  size_t overhead = SSL_version(ssl) == TLS1_3_VERSION ? 17 : 24;
  (void)version, (void)data, (void)n;
  if (!sending && type == SSL3_RT_HEADER && header[0] == SSL3_RT_APPLICATION_DATA && count < 1000)
    sizes[count++] = (size_t)(header[3] << 8 | header[4]) - overhead;
}

static void meet(couple_t *couple, const sp_options_t *client, const sp_options_t *server) {
  couple_make_with(couple, client, server);
  couple_shake_hands(couple);
  SSL_set_msg_callback(sp_pair_ssl(couple->client.pair), note);
  SSL_set_msg_callback(sp_pair_ssl(couple->server.pair), note);
  count = 0;
}

static void pass_on(couple_t *couple, side_t *side, size_t n) {
  count = 0;
  side->wanted += n;
  couple_run(couple, &plainly);
}

static size_t largest(void) {
  size_t found = 0;
  for (size_t i = 0; i < count; i++)
    found = sizes[i] > found ? sizes[i] : found;
  return found;
}

static void full_ones_by_default(void **state) {
  (void)state;
  couple_t couple;
  meet(&couple, CLIENT(.key = NULL), SERVER(.ca = NULL));
  pass_on(&couple, &couple.client, 32768);
  assert_int_equal(count, 2);
  assert_int_equal(largest(), 16384);
  couple_free(&couple);
}

static void a_fixed_size(void **state) {
  (void)state;
  for (int old = 0; old < 2; old++) {
    couple_t couple;
    meet(&couple, CLIENT(.record_size = 1000, .max_version = old ? SP_TLS1_2 : SP_TLS1_3),
         SERVER(.record_size = 16384));
    pass_on(&couple, &couple.client, 10500);
    assert_int_equal(count, 11);
    assert_int_equal(largest(), 1000);
    pass_on(&couple, &couple.server, 40000);
    assert_int_equal(largest(), 16384);
    couple_free(&couple);
  }
}

static void small_at_first_then_large(void **state) {
  (void)state;
  couple_t couple;
  stopwatch_set(50000);
  meet(&couple, CLIENT(.key = NULL), SERVER(.record_size = SP_RECORD_DYNAMIC));
  pass_on(&couple, &couple.server, 400000);
  assert_true(count > 100);
  for (size_t i = 0; i < 96; i++) /* 128 KiB */
    assert_in_range(sizes[i], 1, 1369);
  assert_int_equal(largest(), 16384);
  stopwatch_set(50999);
  pass_on(&couple, &couple.server, 20000);
  assert_int_equal(largest(), 16384); /* still warm */
  stopwatch_set(51999);
  pass_on(&couple, &couple.server, 20000);
  assert_int_equal(largest(), 1369); /* not any more */
  assert_int_equal(count, 15);
  assert_false(couple.client.wrong);
  couple_free(&couple);
}

/* RFC 6066 4, both ways. */
static void a_client_asks_for_small_ones(void **state) {
  (void)state;
  static const int choices[] = {512, 1024, 2048, 4096};
  for (int i = 0; i < 8; i++) {
    couple_t couple;
    int n = choices[i / 2];
    meet(&couple, CLIENT(.max_fragment = n, .max_version = i % 2 ? SP_TLS1_2 : SP_TLS1_3),
         SERVER(.record_size = i < 4 ? SP_RECORD_DYNAMIC : 0));
    pass_on(&couple, &couple.server, 20000);
    assert_int_equal(couple.client.got, 20000);
    assert_int_equal(largest(), n < 1369 || i >= 4 ? n : 1369);
    pass_on(&couple, &couple.client, 20000);
    assert_int_equal(couple.server.got, 20000);
    assert_int_equal(largest(), n);
    assert_false(couple.client.wrong || couple.server.wrong);
    couple_free(&couple);
  }
}

static void sizes_that_cannot_be(void **state) {
  (void)state;
  (void)REFUSED(SP_OPTIONS(.record_size = 511), SP_EOPTION, "record_size: 511", "512");
  (void)REFUSED(SP_OPTIONS(.record_size = 16385), SP_EOPTION, "record_size: 16385", "16384");
  (void)REFUSED(SP_OPTIONS(.record_size = -2), SP_EOPTION, "record_size: -2");
  (void)REFUSED(SP_OPTIONS(.max_fragment = 513), SP_EOPTION, "max_fragment: 513", "4096");
  (void)REFUSED(SP_OPTIONS(.max_fragment = 16384), SP_EOPTION, "max_fragment: 16384");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(full_ones_by_default),      cmocka_unit_test(a_fixed_size),
      cmocka_unit_test(small_at_first_then_large), cmocka_unit_test(a_client_asks_for_small_ones),
      cmocka_unit_test(sizes_that_cannot_be),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
