/*
 * Two pairs talk over a wire on which bits flip, bytes vanish, come twice or come from nowhere.
 * What comes out is a beginning of what went in, whatever happens, and an error is one of those
 * that a peer can cause. SP_TEST_SEED repeats a run, SP_TEST_ROUNDS makes a longer one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/couple.h"

#define ROUNDS 1500
#define STEPS 60 /* of a round, at most */

static void insert_junk(wire_t *wire) {
  uint8_t junk[64];
  size_t n = 1 + dice(sizeof junk);
  for (size_t i = 0; i < n; i++)
    junk[i] = (uint8_t)dice(256);
  wire_add(wire, junk, n);
}

static void repeat(wire_t *wire, size_t from) {
  size_t n = wire_left(wire) - from;
  uint8_t *copy = malloc(n);
  memcpy(copy, wire->bytes + wire->taken + from, n);
  wire_add(wire, copy, n);
  free(copy);
}

static void cut_out(wire_t *wire, size_t from) {
  uint8_t *bytes = wire->bytes + wire->taken;
  size_t n = dice((uint32_t)(wire_left(wire) - from));
  memmove(bytes + from, bytes + from + n, wire_left(wire) - from - n);
  wire->size -= n;
}

static void spoil(wire_t *wire) {
  if (!wire_left(wire))
    return;
  size_t at = dice((uint32_t)wire_left(wire));
  switch (dice(5)) {
  case 0:
    wire->bytes[wire->taken + at] ^= (uint8_t)(1u << dice(8));
    break;
  case 1:
    wire->size -= at;
    break;
  case 2:
    insert_junk(wire);
    break;
  case 3:
    repeat(wire, at);
    break;
  default:
    cut_out(wire, at);
  }
}

static void meddle(couple_t *couple) {
  if (!dice(8))
    spoil(&couple->server.in);
  if (!dice(8))
    spoil(&couple->client.in);
  if (!dice(40))
    (void)sp_pair_end(couple->client.pair);
  if (!dice(40))
    (void)sp_pair_end(couple->server.pair);
  if (!dice(60))
    (void)sp_pair_encrypted_end(couple->server.pair);
  if (!dice(60))
    sp_pair_release_buffers(couple->server.pair);
}

static void check(const side_t *side) {
  static const int possible[] = {0,          SP_EPROTOCOL, SP_EALERT,       SP_EEARLYCLOSE,
                                 SP_ENOTTLS, SP_EHTTP,     SP_EUNAUTHORIZED};
  const sp_error_t *error = sp_pair_error(side->pair);
  assert_false(side->wrong);
  for (size_t i = 0; i < sizeof possible / sizeof *possible; i++)
    if (error->status == possible[i])
      return;
  fail_msg("%s: %s", sp_error_name(error->status), error->text);
}

static bool try_round(void) {
  static const size_t lends[] = {0, 0, 100, 700, 70000};
  couple_t couple;
  couple_make(&couple, dice(2) ? SP_TLS1_2 : SP_TLS1_3);
  couple.client.wanted = dice(2000);
  couple.server.wanted = dice(2000);
  manner_t manner = {.random = true, .lend = lends[dice(5)], .offer = 1 + dice(3000)};
  for (int step = 0, idle = 0; step < STEPS && idle < 3; step++) {
    bool moved = side_step(&couple.client, &manner, &couple.server.in);
    moved |= side_step(&couple.server, &manner, &couple.client.in);
    meddle(&couple);
    idle = moved ? 0 : idle + 1;
  }
  check(&couple.client);
  check(&couple.server);
  bool secure = sp_pair_state(couple.server.pair) & SP_PAIR_SECURE;
  couple_free(&couple);
  return secure;
}

static void a_bad_wire_does_no_harm(void **state) {
  (void)state;
  const char *given = getenv("SP_TEST_ROUNDS");
  unsigned long rounds = given ? strtoul(given, NULL, 10) : ROUNDS, secure = 0;
  dice_seed();
  for (unsigned long i = 0; i < rounds; i++)
    secure += try_round();
  if (rounds >= ROUNDS)
    assert_in_range(secure, 1, rounds - 1); /* it was neither too bad nor too good */
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_bad_wire_does_no_harm)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
