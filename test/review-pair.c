/* Pairs in situations that are rare, and easily forgotten. */
#include "support/couple.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "pair/pair.h"
#include "support/contexts.h"
#include "support/pki.h"
#include "support/stopwatch.h"

static const manner_t plainly = {0};

/* -- the context that is left behind ----------------------------------------------------------- */

static sp_context_t *find(void *owner, const char *name) {
  assert_string_equal(name, "localhost");
  return owner;
}

/* As after the swap of a server's default context: a pair that waits for its first message holds
 * the old one alone, and the table of names takes it away. */
static void the_context_in_force_may_be_the_last_reference(void **state) {
  (void)state;
  const pki_t *pki = pki_default()->server;
  sp_context_t *first = context_made(SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem));
  sp_context_t *named = context_made(SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem));
  couple_t couple;
  couple_make_of(&couple, couple_client_context(SP_TLS1_3), first);
  sp_context_release(first);
  couple.server.pair->lookup = find;
  couple.server.pair->owner = named;
  couple_shake_hands(&couple);
  assert_ptr_equal(sp_pair_context(couple.server.pair), named);
  couple_free(&couple);
  sp_context_release(named);
}

/* -- key updates without room to answer them --------------------------------------------------- */

#define UPDATES 20 /* more than the room that is left over holds answers */
#define WORD "hello"

static void fill(side_t *side) {
  static const uint8_t zeros[SP_PAIR_AHEAD];
  size_t took;
  do {
    assert_int_equal(sp_pair_cleartext_in(side->pair, zeros, sizeof zeros, &took), 0);
    side->sent += took;
  } while (took);
}

static void ask_for_updates(couple_t *couple) {
  for (int i = 0; i < UPDATES; i++) {
    size_t took;
    assert_int_equal(sp_pair_update_key(couple->client.pair, true), 0);
    assert_int_equal(sp_pair_cleartext_in(couple->client.pair, WORD, sizeof WORD - 1, &took), 0);
    assert_int_equal(took, sizeof WORD - 1);
  }
  side_collect(&couple->client, &plainly, &couple->server.in);
}

/* More than ten updates in one are not accepted. */
static void pass_a_second(void) {
  static uint64_t second = 100;
  stopwatch_set(1000 * second++);
}

/* Reads as a program does: as long as the state says that there may be something. */
static size_t read_as_told(sp_pair_t *pair) {
  char room[4 * (sizeof WORD - 1)];
  size_t all = 0, got;
  for (int calls = 0; sp_pair_state(pair) & SP_PAIR_HAS_CLEARTEXT; calls++) {
    assert_true(calls < 2 * UPDATES); /* never in vain for ever */
    pass_a_second();
    assert_int_equal(sp_pair_cleartext_out(pair, room, sizeof room, &got), 0);
    all += got;
  }
  return all;
}

static size_t offer_all(side_t *side) {
  wire_t *wire = &side->in;
  assert_int_equal(sp_pair_encrypted_in(side->pair, wire->bytes + wire->taken, wire_left(wire)), 0);
  size_t got = read_as_told(side->pair);
  wire->taken = wire->size - sp_pair_encrypted_release(side->pair);
  return got;
}

/* In pieces, between which time passes: the answers are updates, too. */
static size_t take_all(couple_t *couple, int *end) {
  uint8_t room[16384];
  size_t all = 0, got;
  wire_t *wire = &couple->client.in;
  sp_pair_t *client = couple->client.pair;
  side_collect(&couple->server, &plainly, wire);
  while (wire_left(wire)) {
    size_t n = wire_left(wire) < 100 ? wire_left(wire) : 100;
    pass_a_second();
    assert_int_equal(sp_pair_encrypted_in(client, wire->bytes + wire->taken, n), 0);
    do {
      assert_int_equal(sp_pair_cleartext_out(client, room, sizeof room, &got), 0);
      all += got;
    } while (got);
    wire->taken += n - sp_pair_encrypted_release(client);
  }
  *end = sp_pair_state(client) & SP_PAIR_PEER_ENDED;
  return all;
}

static void reading_waits_for_room_and_goes_on(void **state) {
  (void)state;
  couple_t couple;
  int end;
  couple_make(&couple, SP_TLS1_3);
  couple_shake_hands(&couple);
  fill(&couple.server);
  ask_for_updates(&couple);
  size_t got = offer_all(&couple.server);
  assert_true(got < UPDATES * (sizeof WORD - 1));
  assert_true(wire_left(&couple.server.in));
  assert_int_equal(take_all(&couple, &end), couple.server.sent);
  got += offer_all(&couple.server);
  assert_int_equal(got, UPDATES * (sizeof WORD - 1));
  assert_int_equal(wire_left(&couple.server.in), 0);
  fill(&couple.server); /* under the new keys */
  (void)take_all(&couple, &end);
  couple_free(&couple);
}

static void an_end_waits_for_room_too(void **state) {
  (void)state;
  couple_t couple;
  int end;
  couple_make(&couple, SP_TLS1_3);
  couple_shake_hands(&couple);
  fill(&couple.server);
  ask_for_updates(&couple);
  (void)offer_all(&couple.server);
  assert_int_equal(sp_pair_end(couple.server.pair), 0);
  assert_false(sp_pair_state(couple.server.pair) & SP_PAIR_ENDED);
  assert_int_equal(take_all(&couple, &end), couple.server.sent);
  assert_true(sp_pair_state(couple.server.pair) & SP_PAIR_ENDED);
  assert_true(end);
  couple_free(&couple);
}

/* -- a signature that never comes -------------------------------------------------------------- */

static int sign_later(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n,
                      void *data) {
  (void)pair, (void)scheme, (void)message, (void)n, (void)data;
  return SP_PENDING;
}

/* The leak checker of the sanitizer looks for the job's stack. */
static void a_pair_may_fail_while_it_waits_for_a_signature(void **state) {
  (void)state;
  sp_context_t *server = context_made(
      SP_OPTIONS(.cert = pki_default()->server->cert_pem, .hooks = {.sign = sign_later}));
  couple_t couple;
  couple_make_of(&couple, couple_client_context(SP_TLS1_3), server);
  sp_context_release(server);
  couple_run(&couple, &plainly);
  assert_true(sp_pair_state(couple.server.pair) & SP_PAIR_WAITING);
  assert_int_equal(sp_pair_encrypted_end(couple.server.pair), SP_EEARLYCLOSE);
  couple_free(&couple);
}

/* -- errors ------------------------------------------------------------------------------------ */

static void a_number_that_is_no_status_has_no_name(void **state) {
  (void)state;
  assert_string_equal(sp_error_name(INT_MIN), "UNKNOWN");
  assert_string_equal(sp_error_text(INT_MIN), "unknown error");
}

static int refuse_a_name(sp_pair_t *pair, const char *name, void *data) {
  (void)pair, (void)name, (void)data;
  return SP_EREFUSED;
}

/* Two names in one extension (RFC 6066 3 allows one of a kind): nobody's hook is to blame. */
static void a_malformed_hello_is_the_clients_fault(void **state) {
  (void)state;
  const pki_t *pki = pki_default()->server;
  sp_context_t *server = context_made(SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem,
                                                 .hooks = {.server_name = refuse_a_name}));
  couple_t couple;
  couple_make_of(&couple, couple_client_context(SP_TLS1_3), server);
  sp_context_release(server);
  wire_t *wire = &couple.server.in;
  side_collect(&couple.client, &plainly, wire);
  uint8_t *name = memmem(wire->bytes, wire->size, "localhost", 9);
  assert_non_null(name);
  name[-1] = 4; /* "loca", and five bytes of another name */
  assert_int_equal(sp_pair_encrypted_in(couple.server.pair, wire->bytes, wire->size), SP_EPROTOCOL);
  assert_int_equal(sp_pair_error(couple.server.pair)->who, SP_PEER);
  assert_non_null(strstr(sp_pair_error(couple.server.pair)->text, "malformed"));
  couple_free(&couple);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_context_in_force_may_be_the_last_reference),
      cmocka_unit_test(reading_waits_for_room_and_goes_on),
      cmocka_unit_test(an_end_waits_for_room_too),
      cmocka_unit_test(a_pair_may_fail_while_it_waits_for_a_signature),
      cmocka_unit_test(a_number_that_is_no_status_has_no_name),
      cmocka_unit_test(a_malformed_hello_is_the_clients_fault),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
