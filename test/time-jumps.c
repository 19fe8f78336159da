/* R14: the time of day jumps, to 1970 and past 2038: certificates go by it, time-outs do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support/clock.h"
#include "support/contexts.h"
#include "support/couple.h"
#include "support/fixture.h"
#include "support/pki.h"

static const manner_t plainly = {0};

#define AT_1970 3600L
#define AT_2038 2147483648L /* 2^31: the second after the last one of 32 bits */
#define YEAR (365 * PKI_DAY)

static void go_to(long second) {
  clock_shift(0);
  clock_shift(second - (long)time(NULL));
}

/* A server's certificate that is good from `from` to `to`, by an authority that always is. */
static void meet(couple_t *couple, long from, long to) {
  long now = (long)time(NULL);
  const pki_t *root = PKI_MAKE(NULL, .cn = "root", .ca = true, .from = 1 - now, .to = 50 * YEAR);
  const pki_t *leaf =
      PKI_MAKE(root, .dns = PKI_LIST("localhost"), .from = from - now, .to = to - now);
  couple_make_with(couple, SP_OPTIONS(.ca = SP_LIST(root->cert_pem)),
                   SP_OPTIONS(.key = leaf->key_pem, .cert = leaf->cert_pem));
}

static void check(long from, long to, long now, const char *reason) {
  couple_t couple;
  clock_shift(0);
  meet(&couple, from, to);
  go_to(now);
  couple_run(&couple, &plainly);
  const char *found = sp_pair_authorization_error(couple.client.pair);
  if (reason)
    assert_string_equal(found, reason);
  else
    assert_null(found);
  assert_int_equal(sp_pair_is_authorized(couple.client.pair), !reason);
  clock_shift(0);
  couple_free(&couple);
}

static void R14_certificates_go_by_the_time_of_day(void **state) {
  (void)state;
  long now = (long)time(NULL);
  check(now - PKI_DAY, now + PKI_DAY, now, NULL);
  check(now - PKI_DAY, now + PKI_DAY, AT_1970, "CERT_NOT_YET_VALID");
  check(now - PKI_DAY, now + PKI_DAY, now + 2 * PKI_DAY, "CERT_HAS_EXPIRED");
  check(AT_2038 - PKI_DAY, AT_2038 + PKI_DAY, AT_2038, NULL);
  check(AT_2038 - PKI_DAY, AT_2038 + PKI_DAY, AT_2038 + 2 * PKI_DAY, "CERT_HAS_EXPIRED");
  check(now - PKI_DAY, now + PKI_DAY, AT_2038, "CERT_HAS_EXPIRED");
  check(AT_2038 - PKI_DAY, AT_2038 + PKI_DAY, now, "CERT_NOT_YET_VALID");
}

/* What was secure goes on. */
static void R14_a_connection_survives_jumps(void **state) {
  (void)state;
  static const long jumps[] = {AT_1970, AT_2038, AT_2038 + 50 * YEAR, AT_1970};
  couple_t couple;
  couple_make(&couple, SP_TLS1_3);
  couple_shake_hands(&couple);
  for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) {
    go_to(jumps[i]);
    assert_int_equal(sp_pair_update_key(couple.client.pair, true), 0);
    couple.client.wanted += 20000;
    couple.server.wanted += 20000;
    couple_run(&couple, &plainly);
    assert_int_equal(couple.client.got, couple.server.wanted);
    assert_int_equal(couple.server.got, couple.client.wanted);
  }
  clock_shift(0);
  couple_free(&couple);
}

/* -- time-outs --------------------------------------------------------------------------------- */

static void jump_then_talk(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && !status) {
    go_to(AT_2038);
    assert_int_equal(sp_stream_send(actor->stream, "x", 1), 1);
  }
  if (event == ON_DATA) {
    go_to(AT_1970);
    sp_stream_end(actor->stream);
  }
}

static void echo(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_DATA)
    assert_int_equal(sp_stream_send(actor->stream, actor->bytes, actor->n), 1);
}

/* All of them are a minute, which the time of day passes twice. */
static void R14_no_time_out_is_early(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  f->react = echo;
  fixture_serve(f, FIXTURE_SERVER(.idle_timeout = 60000, .handshake_timeout = 60000));
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f, .idle_timeout = 60000));
  client->react = jump_then_talk;
  fixture_run(f);
  clock_shift(0);
  assert_string_equal(client->log, "secure data close");
  assert_string_equal(fixture_served(f, 0)->log, "secure data end close");
  fixture_free(f);
}

static void leave(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && !status)
    go_to(AT_1970);
  if (event == ON_TIMEOUT)
    sp_stream_end(actor->stream);
}

/* And none is late when it goes back. */
static void R14_no_time_out_is_late(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER(.alpn = NULL));
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f, .idle_timeout = 30));
  client->react = leave;
  fixture_run(f);
  clock_shift(0);
  assert_string_equal(client->log, "secure timeout close");
  fixture_free(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(R14_certificates_go_by_the_time_of_day),
      cmocka_unit_test(R14_a_connection_survives_jumps),
      cmocka_unit_test(R14_no_time_out_is_early),
      cmocka_unit_test(R14_no_time_out_is_late),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
