/* What a peer may send that is no data, and how much of it: FAULTS W17, W18, W19, W21, W22. Each
 * for a server and for a client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "support/couple.h"
#include "support/fixture.h"
#include "support/forge.h"
#include "support/pki.h"
#include "support/stopwatch.h"

static const manner_t plainly = {0};
static const sp_protocol_t versions[] = {SP_TLS1_2, SP_TLS1_3};

/* Everything in both versions and both roles. */
#define EACH(version, role)                                                                        \
  for (size_t v_ = 0; v_ < 4; v_++)                                                                \
    for (sp_protocol_t version = versions[v_ / 2], *once_ = &version; once_; once_ = NULL)         \
      for (sp_role_t role = (sp_role_t)(v_ % 2), *once2_ = &role; once2_; once2_ = NULL)

static side_t *side_of(couple_t *couple, sp_role_t role) {
  return role == SP_CLIENT ? &couple->client : &couple->server;
}

static sp_role_t other(sp_role_t role) { return role == SP_CLIENT ? SP_SERVER : SP_CLIENT; }

/* Forged records one by one, until the pair fails: how many it took. */
static size_t flood(couple_t *couple, sp_role_t victim, uint8_t type, const void *bytes, size_t n) {
  side_t *side = side_of(couple, victim);
  for (size_t i = 0; i < 1000; i++) {
    forge_record(couple, other(victim), type, bytes, n);
    (void)side_offer(side, side->in.bytes + side->in.taken, wire_left(&side->in));
    side->in.taken = side->in.size;
    if (sp_pair_state(side->pair) & SP_PAIR_FAILED)
      return i;
  }
  return 1000;
}

static void failed_with(couple_t *couple, sp_role_t victim, int alert, const char *words) {
  const sp_error_t *error = sp_pair_error(side_of(couple, victim)->pair);
  assert_int_equal(error->status, SP_EPROTOCOL);
  assert_int_equal(error->who, SP_PEER);
  if (error->alert != alert || !strstr(error->text, words))
    fail_msg("alert %d: %s", error->alert, error->text);
}

/* The peer is told by the alert. */
static void peer_hears(couple_t *couple, sp_role_t victim, int alert) {
  side_t *peer = side_of(couple, other(victim));
  side_collect(side_of(couple, victim), &plainly, &peer->in);
  (void)side_offer(peer, peer->in.bytes + peer->in.taken, wire_left(&peer->in));
  peer->in.taken = peer->in.size;
  assert_int_equal(sp_pair_error(peer->pair)->status, SP_EALERT);
  assert_int_equal(sp_pair_error(peer->pair)->alert, alert);
}

static void W17_empty_records(void **state) {
  (void)state;
  EACH(version, victim) {
    couple_t couple;
    forge_couple(&couple, version);
    assert_int_equal(flood(&couple, victim, SSL3_RT_APPLICATION_DATA, NULL, 0), 32);
    failed_with(&couple, victim, SSL_AD_UNEXPECTED_MESSAGE, "32 empty records");
    peer_hears(&couple, victim, SSL_AD_UNEXPECTED_MESSAGE);
    couple_free(&couple);
  }
}

/* 32 in a row, then a byte, for ever. */
static void W17_empty_records_between_data(void **state) {
  (void)state;
  EACH(version, victim) {
    couple_t couple;
    forge_couple(&couple, version);
    side_t *side = side_of(&couple, victim);
    for (size_t round = 0; round < 50; round++) {
      for (size_t i = 0; i < 32; i++)
        forge_record(&couple, other(victim), SSL3_RT_APPLICATION_DATA, NULL, 0);
      uint8_t byte = side_byte(victim == SP_CLIENT ? 89 : 17, round);
      forge_record(&couple, other(victim), SSL3_RT_APPLICATION_DATA, &byte, 1);
      assert_int_equal(side_offer(side, side->in.bytes + side->in.taken, wire_left(&side->in)), 0);
      side->in.taken = side->in.size;
    }
    assert_int_equal(side->got, 50);
    assert_false(side->wrong);
    couple_free(&couple);
  }
}

static void W18_warnings(void **state) {
  (void)state;
  static const uint8_t user_canceled[] = {SSL3_AL_WARNING, SSL_AD_USER_CANCELLED};
  EACH(version, victim) {
    couple_t couple;
    forge_couple(&couple, version);
    assert_int_equal(flood(&couple, victim, SSL3_RT_ALERT, user_canceled, 2), 4);
    failed_with(&couple, victim, SSL_AD_UNEXPECTED_MESSAGE, "5 warnings");
    peer_hears(&couple, victim, SSL_AD_UNEXPECTED_MESSAGE);
    couple_free(&couple);
  }
}

/* -- key updates ------------------------------------------------------------------------------- */

/* Whether the victim failed. */
static bool flood_with_one(couple_t *couple, sp_role_t victim, bool data) {
  side_t *peer = side_of(couple, other(victim));
  assert_int_equal(sp_pair_update_key(peer->pair, false), 0);
  peer->wanted += data;
  couple_run(couple, &plainly);
  return sp_pair_state(side_of(couple, victim)->pair) & SP_PAIR_FAILED;
}

/* Updates until the victim fails; with data in between. How many it took. */
static size_t flood_with_updates(couple_t *couple, sp_role_t victim, bool ask, size_t data) {
  side_t *peer = side_of(couple, other(victim));
  for (size_t i = 0; i < 200; i++) {
    assert_int_equal(sp_pair_update_key(peer->pair, ask), 0);
    peer->wanted += data;
    couple_run(couple, &plainly);
    if (sp_pair_state(side_of(couple, victim)->pair) & SP_PAIR_FAILED)
      return i;
  }
  return 200;
}

/* The clock stands, so all of them come in one second. */
static void W19_key_updates(void **state) {
  (void)state;
  stopwatch_set(5000);
  for (int i = 0; i < 8; i++) {
    couple_t couple;
    sp_role_t victim = (sp_role_t)(i % 2);
    couple_make(&couple, SP_TLS1_3);
    couple_shake_hands(&couple);
    assert_int_equal(flood_with_updates(&couple, victim, i & 2, i & 4 ? 100 : 0), 10);
    failed_with(&couple, victim, SSL_AD_UNEXPECTED_MESSAGE, "10 key updates in a second");
    const sp_error_t *heard = sp_pair_error(side_of(&couple, other(victim))->pair);
    assert_int_equal(heard->status, SP_EALERT);
    assert_int_equal(heard->alert, SSL_AD_UNEXPECTED_MESSAGE);
    couple_free(&couple);
  }
}

/* Slowly, they may not come without data for ever; with data they may. */
static void W19_key_updates_in_a_row(void **state) {
  (void)state;
  for (int i = 0; i < 4; i++) {
    couple_t couple;
    sp_role_t victim = (sp_role_t)(i % 2);
    couple_make(&couple, SP_TLS1_3);
    couple_shake_hands(&couple);
    side_t *peer = side_of(&couple, other(victim));
    size_t took = 0;
    uint64_t second = 100;
    if (victim == SP_CLIENT) { /* it has had a ticket */
      peer->wanted++;
      couple_run(&couple, &plainly);
    }
    for (; took < 100; took++) {
      if (took % 10 == 0)
        stopwatch_set(1000 * second++);
      if (flood_with_one(&couple, victim, i & 2))
        break;
    }
    assert_int_equal(took, i & 2 ? 100 : 32);
    if (!(i & 2))
      failed_with(&couple, victim, SSL_AD_UNEXPECTED_MESSAGE, "32 messages");
    couple_free(&couple);
  }
}

/* All of 64 KiB is ahead of the transport, and the peer asks for new keys. */
static void W19_an_update_is_requested_while_the_queue_is_full(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    couple_t couple;
    sp_role_t victim = (sp_role_t)i;
    couple_make(&couple, SP_TLS1_3);
    couple_shake_hands(&couple);
    side_t *side = side_of(&couple, victim), *peer = side_of(&couple, other(victim));
    static uint8_t bytes[200000];
    for (size_t k = 0; k < sizeof bytes; k++)
      bytes[k] = side_byte(side->seed, k);
    size_t took;
    assert_int_equal(sp_pair_cleartext_in(side->pair, bytes, sizeof bytes, &took), 0);
    assert_int_equal(took, 65536);
    side->sent = side->wanted = took;
    for (int k = 0; k < 5; k++) {
      const void *out;
      assert_int_equal(sp_pair_update_key(peer->pair, true), 0);
      side_collect(peer, &plainly, &side->in);
      assert_int_equal(side_offer(side, side->in.bytes + side->in.taken, wire_left(&side->in)), 0);
      side->in.taken = side->in.size;
      assert_int_equal(sp_pair_cleartext_in(side->pair, bytes, sizeof bytes, &took), 0);
      assert_int_equal(took, 0);
      assert_in_range(sp_pair_encrypted_out(side->pair, &out), 1, SP_PAIR_AHEAD);
    }
    side->wanted += 500000;
    peer->wanted = 500000;
    couple_run(&couple, &plainly);
    assert_int_equal(peer->got, side->wanted);
    assert_int_equal(side->got, peer->wanted);
    assert_false(peer->wrong || side->wrong);
    couple_free(&couple);
  }
}

/* Little room, bytes in random portions, updates by both sides at any time. */
static void W19_updates_in_little_room(void **state) {
  (void)state;
  dice_seed();
  for (uint64_t round = 0; round < 30; round++) {
    couple_t couple;
    stopwatch_set(1000 * round);
    manner_t manner = {
        .lend = 128 + dice(3000), .take = 1 + dice(2000), .offer = 1 + dice(5000), .random = true};
    couple_make(&couple, SP_TLS1_3);
    couple_shake_hands(&couple);
    couple.client.wanted = couple.server.wanted = 60000;
    for (int i = 0; i < 8; i++) {
      side_t *side = dice(2) ? &couple.client : &couple.server;
      assert_int_equal(sp_pair_update_key(side->pair, i == 3), 0);
      for (uint32_t steps = dice(4); steps; steps--) {
        (void)side_step(&couple.client, &manner, &couple.server.in);
        (void)side_step(&couple.server, &manner, &couple.client.in);
      }
    }
    couple_run(&couple, &manner);
    if (couple.client.got != 60000 || couple.server.got != 60000)
      fail_msg("client: %s; server: %s", sp_pair_error(couple.client.pair)->text,
               sp_pair_error(couple.server.pair)->text);
    assert_false(couple.client.wrong || couple.server.wrong);
    couple_free(&couple);
  }
}

/* -- tickets ----------------------------------------------------------------------------------- */

static void too_many_tickets(void **state) {
  (void)state;
  couple_t couple;
  couple_make(&couple, SP_TLS1_3);
  couple_shake_hands(&couple); /* with one ticket */
  SSL *ssl = sp_pair_ssl(couple.server.pair);
  size_t i = 1;
  for (; i < 100 && !(sp_pair_state(couple.client.pair) & SP_PAIR_FAILED); i++) {
    assert_int_equal(SSL_new_session_ticket(ssl), 1);
    assert_int_equal(SSL_do_handshake(ssl), 1);
    couple_run(&couple, &plainly);
  }
  assert_int_equal(i, 33);
  failed_with(&couple, SP_CLIENT, SSL_AD_UNEXPECTED_MESSAGE, "32 messages");
  couple_free(&couple);
}

/* -- requests to renegotiate ------------------------------------------------------------------- */

/* Each is refused by a warning that costs its sender a connection if it is OpenSSL; the forger does
 * not mind, and is cut off. */
static void renegotiation_storm(sp_role_t victim, const uint8_t *message, size_t n) {
  couple_t couple;
  forge_couple(&couple, SP_TLS1_2);
  side_t *side = side_of(&couple, victim);
  stopwatch_set(7000);
  assert_int_equal(flood(&couple, victim, SSL3_RT_HANDSHAKE, message, n), 10);
  const void *bytes;
  assert_int_equal(sp_pair_encrypted_out(side->pair, &bytes), 11 * (5 + 26)); /* the warnings */
  failed_with(&couple, victim, -1, "10 renegotiations in a second");
  couple_free(&couple);
}

static void W21_renegotiation_storm(void **state) {
  (void)state;
  static const uint8_t hello[4 + 60] = {SSL3_MT_CLIENT_HELLO, 0, 0, 60, 3, 3};
  renegotiation_storm(SP_SERVER, hello, sizeof hello);
}

static void W22_hello_request_storm(void **state) {
  (void)state;
  static const uint8_t request[4] = {SSL3_MT_HELLO_REQUEST};
  renegotiation_storm(SP_CLIENT, request, sizeof request);
}

/* One of them is refused, and nothing else happens. */
static void W22_one_hello_request_is_refused(void **state) {
  (void)state;
  static const uint8_t request[4] = {SSL3_MT_HELLO_REQUEST};
  couple_t couple;
  forge_couple(&couple, SP_TLS1_2);
  forge_record(&couple, SP_SERVER, SSL3_RT_HANDSHAKE, request, sizeof request);
  assert_int_equal(side_offer(&couple.client, couple.client.in.bytes, wire_left(&couple.client.in)),
                   0);
  couple.client.in.taken = couple.client.in.size;
  couple.client.wanted = 1000;
  (void)side_step(&couple.client, &(manner_t){0}, &couple.server.in);
  assert_int_equal(couple.client.sent, 1000);
  couple_free(&couple);
}

/* -- a message that never gets whole ----------------------------------------------------------- */

/* Half of a key update, or of a ticket; then the peer ends, with a close_notify or without. */
static void half_a_message(couple_t *couple, sp_role_t victim, bool politely) {
  static const uint8_t update[4] = {SSL3_MT_KEY_UPDATE, 0, 0, 1};
  static const uint8_t ticket[40] = {SSL3_MT_NEWSESSION_TICKET, 0, 0, 200};
  static const uint8_t goodbye[2] = {SSL3_AL_WARNING, SSL_AD_CLOSE_NOTIFY};
  side_t *side = side_of(couple, victim);
  forge_couple(couple, SP_TLS1_3);
  if (victim == SP_CLIENT)
    forge_record(couple, SP_SERVER, SSL3_RT_HANDSHAKE, ticket, sizeof ticket);
  else
    forge_record(couple, SP_CLIENT, SSL3_RT_HANDSHAKE, update, sizeof update);
  if (politely)
    forge_record(couple, other(victim), SSL3_RT_ALERT, goodbye, sizeof goodbye);
  assert_int_equal(side_offer(side, side->in.bytes, wire_left(&side->in)), 0);
  side->in.taken = side->in.size;
  assert_int_equal(sp_pair_encrypted_end(side->pair), 0);
  assert_true(sp_pair_state(side->pair) & (politely ? SP_PAIR_PEER_ENDED : SP_PAIR_TRUNCATED));
}

/* Our end may come before or after the peer's. */
static void C05_half_a_message_does_not_keep_us_from_ending(void **state) {
  (void)state;
  for (sp_role_t victim = SP_CLIENT; victim <= SP_SERVER; victim++)
    for (int politely = 0; politely < 2; politely++) {
      couple_t couple;
      half_a_message(&couple, victim, politely);
      side_t *side = side_of(&couple, victim);
      assert_false(sp_pair_state(side->pair) & SP_PAIR_ENDED);
      assert_int_equal(sp_pair_end(side->pair), 0);
      assert_true(sp_pair_state(side->pair) & SP_PAIR_ENDED);
      assert_int_equal(sp_pair_error(side->pair)->status, 0);
      couple_free(&couple);
    }
}

static void C05_half_a_message_loses_no_write_unseen(void **state) {
  (void)state;
  for (sp_role_t victim = SP_CLIENT; victim <= SP_SERVER; victim++)
    for (int politely = 0; politely < 2; politely++) {
      couple_t couple;
      size_t took;
      half_a_message(&couple, victim, politely);
      sp_pair_t *pair = side_of(&couple, victim)->pair;
      assert_int_equal(sp_pair_cleartext_in(pair, "", 0, &took), 0);
      assert_int_equal(sp_pair_cleartext_in(pair, "x", 1, &took), SP_EEARLYCLOSE);
      assert_int_equal(sp_pair_error(pair)->who, SP_PEER);
      assert_true(sp_pair_state(pair) & SP_PAIR_FAILED);
      couple_free(&couple);
    }
}

/* -- streams ----------------------------------------------------------------------------------- */

#define MUCH (8u << 20)

static void send_much(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && !status)
    assert_int_equal(sp_stream_send(actor->stream, fixture_pattern(MUCH), MUCH), 0);
}

static void hold_back(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_SECURE)
    sp_stream_pause(actor->stream);
  if (event == ON_DATA)
    assert_memory_equal(actor->bytes, fixture_pattern(MUCH) + actor->received - actor->n, actor->n);
  if (event == ON_DATA && actor->received == MUCH)
    sp_stream_end(actor->stream);
}

/* Bytes of a server's stream that the transport does not take. */
static uint64_t stuck(const fixture_t *f) {
  sp_stream_counters_t counters = {.size = sizeof counters};
  const actor_t *server = fixture_served(f, 0);
  if (!server || !f->actors[0]->counts[ON_SECURE])
    return 0;
  assert_int_equal(sp_stream_counters(server->stream, &counters), 0);
  return counters.pending_encrypted;
}

static bool is_stuck(fixture_t *f) { return stuck(f) > 0; }
static bool has_heard(fixture_t *f) { return fixture_served(f, 0)->received >= *(size_t *)f->data; }

/* A client that does not read asks for new keys, again and again: its data is read all the same,
 * the answers wait within bounds, and nothing of what it did not read is lost. */
static void W19_updates_are_requested_of_a_stream_that_is_stuck(void **state) {
  (void)state;
  size_t said = 0;
  fixture_t *f = fixture_new();
  f->data = &said;
  f->react = send_much;
  stopwatch_set(9000);
  fixture_serve(f, FIXTURE_SERVER(.min_version = SP_TLS1_3));
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
  client->react = hold_back;
  fixture_run_until(f, is_stuck);
  while (said < 8) {
    assert_int_equal(sp_pair_update_key(sp_stream_pair(client->stream), true), 0);
    assert_int_equal(sp_stream_send(client->stream, "x", 1), 1);
    said++;
    fixture_run_until(f, has_heard);
    assert_in_range(stuck(f), 1, SP_PAIR_AHEAD);
  }
  sp_stream_resume(client->stream);
  fixture_run(f);
  assert_int_equal(client->received, MUCH);
  assert_string_equal(client->log, "secure data close");
  assert_string_equal(fixture_served(f, 0)->log, "secure data drain end close");
  fixture_free(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(W17_empty_records),
      cmocka_unit_test(W17_empty_records_between_data),
      cmocka_unit_test(W18_warnings),
      cmocka_unit_test(W19_key_updates),
      cmocka_unit_test(W19_key_updates_in_a_row),
      cmocka_unit_test(W19_an_update_is_requested_while_the_queue_is_full),
      cmocka_unit_test(W19_updates_in_little_room),
      cmocka_unit_test(too_many_tickets),
      cmocka_unit_test(W21_renegotiation_storm),
      cmocka_unit_test(W22_hello_request_storm),
      cmocka_unit_test(W22_one_hello_request_is_refused),
      cmocka_unit_test(C05_half_a_message_does_not_keep_us_from_ending),
      cmocka_unit_test(C05_half_a_message_loses_no_write_unseen),
      cmocka_unit_test(W19_updates_are_requested_of_a_stream_that_is_stuck),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
