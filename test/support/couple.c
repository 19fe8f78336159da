#include "couple.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/random.h>

#include "contexts.h"
#include "pki.h"

/* -- random numbers --------------------------------------------------------------------------- */

static uint64_t dice_state = 88172645463325252u;

void dice_seed(void) {
  const char *given = getenv("SP_TEST_SEED");
  uint32_t seed = 0;
  if (given)
    seed = (uint32_t)strtoul(given, NULL, 0);
  else if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
    seed = 1;
  printf("SP_TEST_SEED=%u\n", seed);
  fflush(stdout);
  dice_state = 88172645463325252u ^ ((uint64_t)seed << 17);
}

uint32_t dice(uint32_t sides) {
  dice_state ^= dice_state << 13;
  dice_state ^= dice_state >> 7;
  dice_state ^= dice_state << 17;
  return (uint32_t)(dice_state >> 32) % sides;
}

static size_t so_many(size_t limit, size_t n, bool random) {
  size_t most = limit && limit < n ? limit : n;
  return random && most > 1 ? 1 + dice((uint32_t)most) : most;
}

/* -- the wire ---------------------------------------------------------------------------------- */

void wire_add(wire_t *wire, const void *bytes, size_t n) {
  if (wire->taken == wire->size)
    wire->taken = wire->size = 0;
  if (wire->size + n > wire->room) {
    wire->room = (wire->size + n) * 2;
    wire->bytes = realloc(wire->bytes, wire->room);
    assert_non_null(wire->bytes);
  }
  if (n)
    memcpy(wire->bytes + wire->size, bytes, n);
  wire->size += n;
}

void wire_free(wire_t *wire) {
  free(wire->bytes);
  *wire = (wire_t){0};
}

/* -- contexts ---------------------------------------------------------------------------------- */

static int version_index(sp_protocol_t version) {
  return version == SP_TLS1_2 ? 1 : version == SP_TLS1_3 ? 2 : 0;
}

sp_context_t *couple_client_context(sp_protocol_t version) {
  static sp_context_t *made[3];
  int i = version_index(version);
  if (!made[i])
    made[i] = context_made(SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem),
                                      .min_version = version, .max_version = version));
  return made[i];
}

sp_context_t *couple_server_context(sp_protocol_t version) {
  static sp_context_t *made[3];
  int i = version_index(version);
  const pki_t *pki = pki_default()->server;
  if (!made[i])
    made[i] = context_made(SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem,
                                      .min_version = version, .max_version = version));
  return made[i];
}

/* -- a couple ---------------------------------------------------------------------------------- */

void couple_make_of(couple_t *couple, sp_context_t *client, sp_context_t *server) {
  sp_error_t why = {.status = 0};
  *couple = (couple_t){.client.seed = 17, .server.seed = 89};
  if (sp_pair_new(&couple->client.pair, client, SP_CLIENT, "localhost", true, &why) < 0 ||
      sp_pair_new(&couple->server.pair, server, SP_SERVER, NULL, false, &why) < 0)
    fail_msg("sp_pair_new: %s", why.text);
}

void couple_make(couple_t *couple, sp_protocol_t version) {
  couple_make_of(couple, couple_client_context(version), couple_server_context(version));
}

void couple_make_with(couple_t *couple, const sp_options_t *client, const sp_options_t *server) {
  sp_error_t why = {.status = 0};
  sp_options_t named = *client;
  if (!named.server_name)
    named.server_name = "localhost";
  *couple = (couple_t){.client.seed = 17, .server.seed = 89};
  if (sp_pair_make(&couple->server.pair, SP_SERVER, &why, server) < 0 ||
      sp_pair_make(&couple->client.pair, SP_CLIENT, &why, &named) < 0)
    fail_msg("sp_pair_make: %s", why.text);
}

static void side_free(side_t *side) {
  sp_pair_release(side->pair);
  wire_free(&side->in);
}

void couple_free(couple_t *couple) {
  side_free(&couple->client);
  side_free(&couple->server);
}

uint8_t side_byte(uint8_t seed, uint64_t position) {
  return (uint8_t)(seed + ((position * 2654435761u) >> 11));
}

/* -- steps ------------------------------------------------------------------------------------- */

void side_collect(side_t *side, const manner_t *manner, wire_t *to) {
  const void *bytes;
  size_t n;
  while ((n = sp_pair_encrypted_out(side->pair, &bytes))) {
    assert_true(sp_pair_state(side->pair) & SP_PAIR_HAS_ENCRYPTED);
    n = so_many(manner->take, n, manner->random);
    wire_add(to, bytes, n);
    sp_pair_encrypted_sent(side->pair, n);
  }
  assert_false(sp_pair_state(side->pair) & SP_PAIR_HAS_ENCRYPTED);
}

static int read_all(side_t *side, const manner_t *manner) {
  int status = 0;
  uint8_t other = side->seed == 17 ? 89 : 17;
  for (;;) {
    size_t got = 0, size = so_many(manner->read, 40000, manner->random);
    uint8_t *room = malloc(size);
    assert_non_null(room);
    status = sp_pair_cleartext_out(side->pair, room, size, &got);
    for (size_t i = 0; i < got; i++)
      side->wrong |= room[i] != side_byte(other, side->got + i);
    side->got += got;
    free(room);
    if (status < 0 || !(sp_pair_state(side->pair) & SP_PAIR_HAS_CLEARTEXT))
      return status;
  }
}

/* What a handshake that waits for room or for a hook did not take counts to *left. */
static int offer(side_t *side, const void *bytes, size_t n, const manner_t *manner, size_t *left) {
  uint8_t *copy = malloc(n ? n : 1);
  assert_non_null(copy);
  if (n)
    memcpy(copy, bytes, n);
  int status = sp_pair_encrypted_in(side->pair, copy, n);
  if (status == 0)
    status = read_all(side, manner);
  unsigned state = sp_pair_state(side->pair); /* what it takes no cleartext for is a handshake */
  bool may_wait = state & SP_PAIR_WAITING || (!(state & SP_PAIR_TAKES_CLEARTEXT) && manner->lend &&
                                              state & SP_PAIR_HAS_ENCRYPTED);
  *left = sp_pair_encrypted_release(side->pair);
  if (!may_wait)
    assert_int_equal(*left, 0);
  free(copy);
  return status;
}

int side_offer(side_t *side, const void *bytes, size_t n) {
  size_t left;
  return offer(side, bytes, n, &(manner_t){0}, &left);
}

static bool take_in(side_t *side, const manner_t *manner) {
  size_t n = so_many(manner->offer, wire_left(&side->in), manner->random);
  if (!n || !(sp_pair_state(side->pair) & SP_PAIR_WANTS_ENCRYPTED))
    return false;
  size_t left;
  (void)offer(side, side->in.bytes + side->in.taken, n, manner, &left);
  side->in.taken += n - left;
  return true;
}

static bool write_some(side_t *side, const manner_t *manner) {
  uint8_t bytes[40000];
  uint64_t rest = side->wanted - side->sent;
  if (!rest)
    return false;
  size_t n =
      so_many(manner->write, rest < sizeof bytes ? (size_t)rest : sizeof bytes, manner->random);
  for (size_t i = 0; i < n; i++)
    bytes[i] = side_byte(side->seed, side->sent + i);
  bool takes = sp_pair_state(side->pair) & SP_PAIR_TAKES_CLEARTEXT;
  size_t took = 0;
  int status = sp_pair_cleartext_in(side->pair, bytes, n, &took);
  side->sent += took;
  if (status == 0 && takes != (took > 0))
    fail_msg("the state says %d to more cleartext, and %zu of %zu bytes were taken", takes, took,
             n);
  return took > 0;
}

bool side_step(side_t *side, const manner_t *manner, wire_t *to) {
  size_t before = wire_left(to), lend = manner->lend;
  uint8_t *lent = lend ? malloc(lend) : NULL;
  if (lent)
    sp_pair_lend(side->pair, lent, lend);
  bool moved = take_in(side, manner);
  moved |= write_some(side, manner);
  bool has = sp_pair_state(side->pair) & SP_PAIR_HAS_ENCRYPTED;
  if (lent && manner->random && dice(2)) {
    sp_pair_unlend(side->pair); /* what was not taken moves */
    free(lent);
    lent = NULL;
  }
  side_collect(side, manner, to);
  if (lent)
    assert_int_equal(sp_pair_unlend(side->pair), 0);
  free(lent);
  return moved || has || wire_left(to) != before;
}

void couple_run(couple_t *couple, const manner_t *manner) {
  bool moved;
  do {
    moved = side_step(&couple->client, manner, &couple->server.in);
    moved |= side_step(&couple->server, manner, &couple->client.in);
  } while (moved);
}

void couple_shake_hands(couple_t *couple) {
  couple_run(couple, &(manner_t){0});
  if (!(sp_pair_state(couple->client.pair) & SP_PAIR_SECURE) ||
      !(sp_pair_state(couple->server.pair) & SP_PAIR_SECURE))
    fail_msg("not secure: client: %s; server: %s", sp_pair_error(couple->client.pair)->text,
             sp_pair_error(couple->server.pair)->text);
}
