/* Renegotiation with TLS 1.2: by wish of either side, with data going both ways, and no more often
 * than is allowed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "support/contexts.h"
#include "support/couple.h"
#include "support/fixture.h"
#include "support/forge.h"
#include "support/peer.h"
#include "support/pki.h"
#include "support/stopwatch.h"

static const manner_t plainly = {0};

#define CLIENT(...)                                                                                \
  SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem), .max_version = SP_TLS1_2, __VA_ARGS__)
#define SERVER(...)                                                                                \
  SP_OPTIONS(.key = pki_default()->server->key_pem, .cert = pki_default()->server->cert_pem,       \
             .max_version = SP_TLS1_2, __VA_ARGS__)
#define HOOKED(counter)                                                                            \
  .renegotiation = SP_YES, .hooks.renegotiated = count, .hooks_data = &(counter)

static void count(sp_pair_t *pair, void *counter) {
  size_t took;
  assert_int_equal(sp_pair_cleartext_in(pair, "x", 1, &took), SP_EREENTRY);
  assert_int_equal(sp_pair_renegotiate(pair), SP_EREENTRY);
  ++*(int *)counter;
}

/* Both may. */
static int clients, servers;

static void meet(couple_t *couple) {
  clients = servers = 0;
  couple_make_with(couple, CLIENT(HOOKED(clients)), SERVER(HOOKED(servers)));
  couple_shake_hands(couple);
}

static side_t *side_of(couple_t *couple, sp_role_t role) {
  return role == SP_CLIENT ? &couple->client : &couple->server;
}

static void check_fine(const couple_t *couple) {
  if (couple->client.got != couple->server.wanted || couple->server.got != couple->client.wanted)
    fail_msg("client: %s; server: %s", sp_pair_error(couple->client.pair)->text,
             sp_pair_error(couple->server.pair)->text);
  assert_false(couple->client.wrong || couple->server.wrong);
}

static void either_side_begins(void **state) {
  (void)state;
  for (int by = SP_CLIENT; by <= SP_SERVER; by++) {
    couple_t couple;
    uint8_t before[64], after[64];
    meet(&couple);
    size_t n = sp_pair_finished(couple.client.pair, false, before, sizeof before);
    assert_int_equal(sp_pair_renegotiate(side_of(&couple, (sp_role_t)by)->pair), 0);
    couple_run(&couple, &plainly);
    assert_int_equal(clients, 1);
    assert_int_equal(servers, 1);
    assert_int_equal(sp_pair_finished(couple.client.pair, false, after, sizeof after), n);
    assert_memory_not_equal(before, after, n); /* it took place */
    assert_true(sp_pair_is_authorized(couple.client.pair));
    assert_false(sp_pair_is_resumed(couple.client.pair));
    couple.client.wanted = couple.server.wanted = 100000;
    couple_run(&couple, &plainly);
    check_fine(&couple);
    couple_free(&couple);
  }
}

/* In any portions, at any time. */
static void data_goes_on_both_ways(void **state) {
  (void)state;
  dice_seed();
  for (uint64_t round = 0; round < 60; round++) {
    couple_t couple;
    sp_role_t by = (sp_role_t)dice(2);
    manner_t manner = {.lend = dice(2) ? 200 + dice(20000) : 0,
                       .take = 1 + dice(20000),
                       .offer = 1 + dice(20000),
                       .write = 1 + dice(20000),
                       .random = true};
    meet(&couple);
    couple.client.wanted = couple.server.wanted = 300000;
    for (uint32_t steps = dice(20); steps; steps--) {
      (void)side_step(&couple.client, &manner, &couple.server.in);
      (void)side_step(&couple.server, &manner, &couple.client.in);
    }
    assert_int_equal(sp_pair_renegotiate(side_of(&couple, by)->pair), 0);
    assert_int_equal(sp_pair_renegotiate(side_of(&couple, by)->pair), 0); /* under way */
    couple_run(&couple, &manner);
    check_fine(&couple);
    assert_int_equal(clients, 1);
    assert_int_equal(servers, 1);
    couple_free(&couple);
  }
}

static side_t *peer_of(couple_t *couple, sp_role_t role) {
  return side_of(couple, role == SP_CLIENT ? SP_SERVER : SP_CLIENT);
}

/* It begins when a record that was half read is whole, and not inside of a write, which would have
 * to be repeated with as many bytes. */
static void a_write_after_it_may_be_shorter(void **state) {
  (void)state;
  for (int by = SP_CLIENT; by <= SP_SERVER; by++) {
    couple_t couple;
    meet(&couple);
    side_t *side = side_of(&couple, (sp_role_t)by), *peer = peer_of(&couple, (sp_role_t)by);
    peer->wanted = 1000;
    (void)side_step(peer, &plainly, &side->in);
    assert_int_equal(side_offer(side, side->in.bytes, 500), 0);
    assert_int_equal(sp_pair_renegotiate(side->pair), 0);
    assert_int_equal(sp_pair_state(side->pair) & SP_PAIR_HAS_ENCRYPTED, 0);
    assert_int_equal(side_offer(side, side->in.bytes + 500, wire_left(&side->in) - 500), 0);
    side->in.taken += wire_left(&side->in);
    assert_true(sp_pair_state(side->pair) & SP_PAIR_HAS_ENCRYPTED); /* without a write */
    side->wanted = 16384;
    (void)side_step(side, &plainly, &peer->in);
    couple_run(&couple, &plainly);
    assert_int_equal(clients, 1);
    assert_int_equal(servers, 1);
    side->wanted += 100;
    couple_run(&couple, &plainly);
    check_fine(&couple);
    couple_free(&couple);
  }
}

/* A side has read only a part of what came when it writes: `by` wished for a handshake by then. */
static void check_unread(sp_role_t reader, sp_role_t by) {
  couple_t couple;
  uint8_t room[1200];
  size_t got;
  meet(&couple);
  side_t *side = side_of(&couple, reader), *peer = peer_of(&couple, reader);
  peer->wanted = 1000;
  (void)side_step(peer, &plainly, &side->in);
  if (by != reader)
    assert_int_equal(sp_pair_renegotiate(peer->pair), 0);
  peer->wanted = 2000;
  (void)side_step(peer, &plainly, &side->in);
  assert_int_equal(
      sp_pair_encrypted_in(side->pair, side->in.bytes + side->in.taken, wire_left(&side->in)), 0);
  assert_int_equal(sp_pair_cleartext_out(side->pair, room, sizeof room, &got), 0);
  assert_int_equal(got, sizeof room);
  for (; side->got < got; side->got++)
    assert_int_equal(room[side->got], side_byte(peer->seed, side->got));
  if (by == reader)
    assert_int_equal(sp_pair_renegotiate(side->pair), 0);
  side->wanted = 300; /* side_step offers them, and checks what the state says */
  wire_t none = {0}, rest = side->in;
  side->in = none;
  (void)side_step(side, &plainly, &peer->in);
  assert_int_equal(side_offer(side, NULL, 0), 0); /* the rest of what it was given before */
  wire_free(&rest);
  couple_run(&couple, &plainly);
  check_fine(&couple);
  assert_int_equal(clients, 1);
  assert_int_equal(servers, 1);
  couple_free(&couple);
}

static void unread_data_is_no_obstacle(void **state) {
  (void)state;
  check_unread(SP_CLIENT, SP_CLIENT);
  check_unread(SP_SERVER, SP_SERVER);
  check_unread(SP_CLIENT, SP_SERVER); /* whose request lies between the data */
}

/* The server asks for the next one as soon as it may: the client hears that together with the end
 * of the first one. */
static void one_after_the_other(void **state) {
  (void)state;
  couple_t couple;
  meet(&couple);
  side_t *client = &couple.client, *server = &couple.server;
  assert_int_equal(sp_pair_renegotiate(client->pair), 0);
  for (int i = 0; !servers; i++) {
    assert_true(i < 5);
    (void)side_step(client, &plainly, &server->in);
    (void)side_offer(server, server->in.bytes + server->in.taken, wire_left(&server->in));
    server->in.taken = server->in.size;
    if (servers)
      assert_int_equal(sp_pair_renegotiate(server->pair), 0);
    side_collect(server, &plainly, &client->in);
  }
  couple_run(&couple, &plainly);
  check_fine(&couple);
  assert_int_equal(clients, 2);
  assert_int_equal(servers, 2);
  assert_true(sp_pair_is_authorized(client->pair));
  couple_free(&couple);
}

/* What comes to a side that wished for a handshake with 500 bytes unread. */
typedef enum meanwhile { TRANSPORT_ENDS, WE_END, WE_DISABLE, MEANWHILES } meanwhile_t;

static void let_happen(meanwhile_t what, side_t *side) {
  if (what == TRANSPORT_ENDS)
    assert_int_equal(sp_pair_encrypted_end(side->pair), 0);
  if (what == WE_END)
    assert_int_equal(sp_pair_end(side->pair), 0);
  if (what == WE_DISABLE)
    sp_pair_disable_renegotiation(side->pair);
}

static void check_that_none_begins(sp_role_t by, meanwhile_t what) {
  static const int answers[] = {SP_EENDED, SP_EENDED, SP_EOPTION};
  couple_t couple;
  uint8_t room[1000];
  size_t got;
  meet(&couple);
  side_t *side = side_of(&couple, by), *peer = peer_of(&couple, by);
  peer->wanted = sizeof room;
  (void)side_step(peer, &plainly, &side->in);
  assert_int_equal(sp_pair_encrypted_in(side->pair, side->in.bytes, wire_left(&side->in)), 0);
  side->in.taken = side->in.size;
  assert_int_equal(sp_pair_cleartext_out(side->pair, room, 500, &got), 0);
  assert_int_equal(sp_pair_renegotiate(side->pair), 0);
  let_happen(what, side);
  assert_int_equal(sp_pair_cleartext_out(side->pair, room + 500, 500, &got), 0);
  assert_int_equal(got, 500);
  (void)sp_pair_cleartext_out(side->pair, room, sizeof room, &got);
  assert_int_equal(sp_pair_encrypted_release(side->pair), 0);
  assert_int_equal(sp_pair_renegotiate(side->pair), answers[what]);
  assert_int_equal(sp_pair_error(side->pair)->status, 0);
  if (what != WE_END)
    side->wanted = 300; /* it still may write */
  couple_run(&couple, &plainly);
  assert_int_equal(peer->got, side->wanted);
  assert_int_equal(clients + servers, 0);
  couple_free(&couple);
}

static void it_does_not_begin_in_vain(void **state) {
  (void)state;
  for (meanwhile_t what = TRANSPORT_ENDS; what < MEANWHILES; what++) {
    check_that_none_begins(SP_CLIENT, what);
    check_that_none_begins(SP_SERVER, what);
  }
}

/* Whose peer ended may write, and nothing else. */
static void nobody_is_asked_after_the_end(void **state) {
  (void)state;
  for (int by = SP_CLIENT; by <= SP_SERVER; by++) {
    couple_t couple;
    meet(&couple);
    side_t *side = side_of(&couple, (sp_role_t)by), *peer = peer_of(&couple, (sp_role_t)by);
    assert_int_equal(sp_pair_end(peer->pair), 0);
    couple_run(&couple, &plainly);
    assert_int_equal(sp_pair_renegotiate(side->pair), SP_EENDED);
    side->wanted = 300;
    couple_run(&couple, &plainly);
    check_fine(&couple);
    couple_free(&couple);
  }
}

/* Where the bytes of a transport's read end is mostly in the middle of a record. */
static void it_begins_amid_much_data(void **state) {
  (void)state;
  for (int by = SP_CLIENT; by <= SP_SERVER; by++) {
    couple_t couple;
    meet(&couple);
    side_t *side = side_of(&couple, (sp_role_t)by), *peer = peer_of(&couple, (sp_role_t)by);
    peer->wanted = 40000;
    (void)side_step(peer, &plainly, &side->in);
    assert_int_equal(side_offer(side, side->in.bytes, 100), 0);
    assert_int_equal(sp_pair_renegotiate(side->pair), 0);
    assert_int_equal(sp_pair_state(side->pair) & SP_PAIR_HAS_ENCRYPTED, 0);
    assert_int_equal(side_offer(side, side->in.bytes + 100, 35000), 0);
    side->in.taken = 35100;
    assert_true(sp_pair_state(side->pair) & SP_PAIR_HAS_ENCRYPTED);
    couple_run(&couple, &plainly);
    check_fine(&couple);
    assert_int_equal(clients, 1);
    assert_int_equal(servers, 1);
    couple_free(&couple);
  }
}

/* Reads only a part of what came after a handshake was begun. */
static void read_a_part(side_t *side, const side_t *from) {
  uint8_t room[500];
  size_t got;
  assert_int_equal(sp_pair_encrypted_in(side->pair, side->in.bytes, wire_left(&side->in)), 0);
  side->in.taken = side->in.size;
  assert_int_equal(sp_pair_cleartext_out(side->pair, room, sizeof room, &got), 0);
  assert_int_equal(got, sizeof room);
  for (; side->got < got; side->got++)
    assert_int_equal(room[side->got], side_byte(from->seed, side->got));
}

/* A client that has begun reads a part of what the server said before it knew, and ends; or sends
 * what it could not before. */
static void unread_data_waits_within_it(void **state) {
  (void)state;
  for (int ends = 0; ends < 2; ends++) {
    couple_t couple;
    uint8_t little[128];
    meet(&couple);
    side_t *side = &couple.client, *peer = &couple.server;
    if (!ends)
      sp_pair_lend(side->pair, little, sizeof little); /* too little for its first message */
    assert_int_equal(sp_pair_renegotiate(side->pair), 0);
    assert_int_equal(sp_pair_unlend(side->pair), 0);
    peer->wanted = 1000;
    (void)side_step(peer, &plainly, &side->in);
    read_a_part(side, peer);
    if (ends)
      assert_int_equal(sp_pair_end(side->pair), 0);
    side_collect(side, &plainly, &peer->in);
    assert_int_equal(sp_pair_error(side->pair)->status, 0);
    assert_int_equal(side_offer(side, NULL, 0), 0);
    couple_run(&couple, &plainly);
    check_fine(&couple);
    assert_int_equal(clients, 1);
    assert_int_equal(servers, 1);
    assert_int_equal(!!(sp_pair_state(side->pair) & SP_PAIR_ENDED), ends);
    couple_free(&couple);
  }
}

/* The handshake waits for room while nothing comes in. */
static void a_full_queue_is_no_obstacle(void **state) {
  (void)state;
  for (int by = SP_CLIENT; by <= SP_SERVER; by++) {
    couple_t couple;
    meet(&couple);
    static uint8_t bytes[200000];
    side_t *side = side_of(&couple, (sp_role_t)by);
    for (size_t i = 0; i < sizeof bytes; i++)
      bytes[i] = side_byte(side->seed, i);
    size_t took;
    assert_int_equal(sp_pair_cleartext_in(side->pair, bytes, sizeof bytes, &took), 0);
    side->sent = took;
    side->wanted = 200000;
    assert_int_equal(sp_pair_renegotiate(side->pair), 0);
    couple_run(&couple, &plainly);
    check_fine(&couple);
    assert_int_equal(clients, 1);
    assert_int_equal(servers, 1);
    couple_free(&couple);
  }
}

static void the_end_comes_after_it(void **state) {
  (void)state;
  for (int by = SP_CLIENT; by <= SP_SERVER; by++) {
    couple_t couple;
    meet(&couple);
    side_t *side = side_of(&couple, (sp_role_t)by);
    assert_int_equal(sp_pair_renegotiate(side->pair), 0);
    assert_int_equal(sp_pair_end(side->pair), 0);
    couple_run(&couple, &plainly);
    side_t *peer = peer_of(&couple, (sp_role_t)by);
    assert_true(sp_pair_state(peer->pair) & SP_PAIR_PEER_ENDED);
    assert_true(sp_pair_state(side->pair) & SP_PAIR_ENDED);
    assert_int_equal(sp_pair_renegotiate(side->pair), SP_EENDED);
    couple_free(&couple);
  }
}

/* A peer that ends in place of an answer does not keep us from ending. */
static void nobody_answers(void **state) {
  (void)state;
  for (int cut = 0; cut < 2; cut++) {
    couple_t couple;
    size_t took;
    meet(&couple);
    side_t *side = &couple.client, *peer = &couple.server;
    assert_int_equal(sp_pair_renegotiate(side->pair), 0);
    if (cut)
      assert_int_equal(sp_pair_encrypted_end(side->pair), 0);
    else
      assert_int_equal(sp_pair_end(peer->pair), 0);
    side_collect(peer, &plainly, &side->in);
    assert_int_equal(side_offer(side, side->in.bytes, wire_left(&side->in)),
                     cut ? SP_ETRUNCATED : 0);
    assert_int_equal(sp_pair_end(side->pair), 0);
    assert_true(sp_pair_state(side->pair) & SP_PAIR_ENDED);
    assert_int_equal(sp_pair_cleartext_in(side->pair, "x", 1, &took), SP_EENDED);
    couple_free(&couple);
  }
}

/* -- how often --------------------------------------------------------------------------------- */

static void renegotiate(couple_t *couple, sp_role_t by) {
  assert_int_equal(sp_pair_renegotiate(side_of(couple, by)->pair), 0);
  couple_run(couple, &plainly);
}

static void check_attack(couple_t *couple, sp_role_t by) {
  const sp_error_t *error = sp_pair_error(peer_of(couple, by)->pair);
  assert_int_equal(error->status, SP_ERENEGOTIATION);
  assert_int_equal(error->who, SP_PEER);
  assert_string_equal(error->text, "TLS session renegotiation attack detected");
}

/* As Node does it: three in ten minutes. Who is asked for it too often defends itself, too. */
static void the_fourth_one_is_an_attack(void **state) {
  (void)state;
  for (int by = SP_CLIENT; by <= SP_SERVER; by++) {
    couple_t couple;
    stopwatch_set(1000000);
    meet(&couple);
    for (int i = 0; i < 3; i++)
      renegotiate(&couple, (sp_role_t)by);
    assert_int_equal(clients, 3);
    assert_int_equal(servers, 3);
    stopwatch_set(1000000 + 599999);
    renegotiate(&couple, (sp_role_t)by);
    check_attack(&couple, (sp_role_t)by);
    assert_int_equal(clients, 3);
    assert_int_equal(servers, 3);
    couple_free(&couple);
  }
}

/* A server that asks again and again, while its client waits for an answer. */
static void W22_requests_within_a_handshake(void **state) {
  (void)state;
  static const uint8_t request[4] = {SSL3_MT_HELLO_REQUEST};
  couple_t couple;
  const pki_set_t *pki = pki_default();
  couple_make_with(&couple,
                   SP_OPTIONS(.ca = SP_LIST(pki->root->cert_pem), FORGE_SUITES(SP_TLS1_2),
                              .renegotiation = SP_YES, .hooks.keylog = forge_note_key),
                   SP_OPTIONS(.key = pki->server->key_pem, .cert = pki->server->cert_pem,
                              FORGE_SUITES(SP_TLS1_2), .renegotiation = SP_YES));
  couple_shake_hands(&couple);
  forge_anew(&couple);
  side_t *client = &couple.client;
  int asked = 0;
  for (; asked < 100 && !(sp_pair_state(client->pair) & SP_PAIR_FAILED); asked++) {
    forge_record(&couple, SP_SERVER, SSL3_RT_HANDSHAKE, request, sizeof request);
    (void)side_offer(client, client->in.bytes + client->in.taken, wire_left(&client->in));
    client->in.taken = client->in.size;
  }
  assert_int_equal(asked, 33);
  assert_int_equal(sp_pair_error(client->pair)->status, SP_EPROTOCOL);
  couple_free(&couple);
}

static void more_are_fine_after_a_while(void **state) {
  (void)state;
  couple_t couple;
  couple_make_with(
      &couple, CLIENT(.renegotiation = SP_YES),
      SERVER(.renegotiation = SP_YES, .renegotiation_limit = 1, .renegotiation_window = 5));
  couple_shake_hands(&couple);
  for (uint64_t i = 1; i < 20; i++) {
    stopwatch_set(5000 * i);
    renegotiate(&couple, SP_CLIENT);
    assert_int_equal(sp_pair_error(couple.server.pair)->status, 0);
  }
  stopwatch_set(5000 * 20 - 1);
  renegotiate(&couple, SP_CLIENT);
  check_attack(&couple, SP_CLIENT);
  couple_free(&couple);
}

/* Ours count for the peer only. */
static void our_own_are_not_counted(void **state) {
  (void)state;
  couple_t couple;
  couple_make_with(&couple, CLIENT(.renegotiation = SP_YES, .renegotiation_limit = 9),
                   SERVER(.renegotiation = SP_YES));
  couple_shake_hands(&couple);
  for (int i = 0; i < 9; i++)
    renegotiate(&couple, SP_SERVER);
  assert_int_equal(sp_pair_error(couple.server.pair)->status, 0);
  for (int i = 0; i < 3; i++)
    renegotiate(&couple, SP_CLIENT);
  assert_int_equal(sp_pair_error(couple.server.pair)->status, 0);
  couple_free(&couple);
}

/* -- refusals ---------------------------------------------------------------------------------- */

static void who_refuses_says_so(void **state) {
  (void)state;
  for (int by = SP_CLIENT; by <= SP_SERVER; by++)
    for (int later = 0; later < 2; later++) {
      couple_t couple;
      sp_choice_t other = later ? SP_YES : SP_NO;
      couple_make_with(&couple, CLIENT(.renegotiation = by == SP_CLIENT ? SP_YES : other),
                       SERVER(.renegotiation = by == SP_SERVER ? SP_YES : other));
      couple_shake_hands(&couple);
      side_t *side = side_of(&couple, (sp_role_t)by);
      side_t *peer = side_of(&couple, by == SP_CLIENT ? SP_SERVER : SP_CLIENT);
      if (later)
        sp_pair_disable_renegotiation(peer->pair);
      assert_int_equal(sp_pair_renegotiate(peer->pair), SP_EOPTION);
      renegotiate(&couple, (sp_role_t)by);
      const sp_error_t *error = sp_pair_error(side->pair);
      assert_int_equal(error->status, SP_ERENEGOTIATION);
      assert_string_equal(error->text, "the peer refuses to renegotiate");
      couple_free(&couple);
    }
}

static void it_is_not_for_all(void **state) {
  (void)state;
  couple_t couple;
  couple_make_with(
      &couple, SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem), .renegotiation = SP_YES),
      SP_OPTIONS(.key = pki_default()->server->key_pem, .cert = pki_default()->server->cert_pem,
                 .renegotiation = SP_YES));
  assert_int_equal(sp_pair_renegotiate(couple.client.pair), SP_EOPTION);
  couple_shake_hands(&couple); /* TLS 1.3 */
  assert_int_equal(sp_pair_renegotiate(couple.client.pair), SP_EOPTION);
  assert_int_equal(sp_pair_renegotiate(couple.server.pair), SP_EOPTION);
  couple_free(&couple);
  (void)REFUSED(SP_OPTIONS(.renegotiation_limit = -1), SP_EOPTION, "renegotiation_limit");
  (void)REFUSED(SP_OPTIONS(.renegotiation = (sp_choice_t)7), SP_EOPTION, "renegotiation: 7");
}

/* -- who is it --------------------------------------------------------------------------------- */

static void show(sp_pair_t *pair, const pki_t *pki) {
  SSL *ssl = sp_pair_ssl(pair);
  assert_int_equal(SSL_use_certificate(ssl, pki->x509), 1);
  assert_int_equal(SSL_use_PrivateKey(ssl, pki->key), 1);
}

/* As in the triple handshake; even where nobody is refused. */
static void another_server_is_refused(void **state) {
  (void)state;
  for (int lax = 0; lax < 2; lax++) {
    couple_t couple;
    couple_make_with(&couple,
                     CLIENT(.renegotiation = SP_YES, .reject_unauthorized = lax ? SP_NO : SP_YES),
                     SERVER(.renegotiation = SP_YES));
    couple_shake_hands(&couple);
    show(couple.server.pair, PKI_MAKE(pki_default()->root, .dns = PKI_LIST("localhost")));
    couple.server.wanted = 10;
    renegotiate(&couple, SP_CLIENT);
    const sp_error_t *error = sp_pair_error(couple.client.pair);
    assert_int_equal(error->status, SP_EUNAUTHORIZED);
    assert_non_null(strstr(error->text, "another certificate"));
    assert_false(sp_pair_is_authorized(couple.client.pair));
    assert_int_equal(sp_pair_error(couple.server.pair)->status, SP_EALERT);
    couple_free(&couple);
  }
}

/* What servers renegotiate for: now it shows who it is. Then it is to stay who it is. */
static void a_client_shows_its_certificate_later(void **state) {
  (void)state;
  couple_t couple;
  const pki_set_t *pki = pki_default();
  couple_make_with(
      &couple, CLIENT(.renegotiation = SP_YES),
      SERVER(.renegotiation = SP_YES, .request_cert = SP_YES, .ca = SP_LIST(pki->root->cert_pem)));
  couple_shake_hands(&couple);
  assert_false(sp_pair_is_authorized(couple.server.pair));
  assert_non_null(sp_pair_verdict(couple.server.pair));
  show(couple.client.pair, pki->client);
  renegotiate(&couple, SP_SERVER);
  assert_true(sp_pair_is_authorized(couple.server.pair));
  assert_null(sp_pair_verdict(couple.server.pair));
  assert_null(sp_pair_authorization_error(couple.server.pair));
  show(couple.client.pair, pki->stranger);
  renegotiate(&couple, SP_SERVER);
  assert_false(sp_pair_is_authorized(couple.server.pair));
  assert_int_equal(sp_pair_error(couple.server.pair)->status, SP_EUNAUTHORIZED);
  couple_free(&couple);
}

/* What comes right behind its Finished, under the new keys, is not the first client's any more. */
static void nothing_is_heard_of_another_client(void **state) {
  (void)state;
  couple_t couple;
  const pki_set_t *pki = pki_default();
  uint8_t room[100];
  size_t got;
  couple_make_with(&couple,
                   SP_OPTIONS(.ca = SP_LIST(pki->root->cert_pem), FORGE_SUITES(SP_TLS1_2),
                              .renegotiation = SP_YES, .key = pki->client->key_pem,
                              .cert = pki->client->cert_pem, .hooks.keylog = forge_note_key),
                   SP_OPTIONS(.key = pki->server->key_pem, .cert = pki->server->cert_pem,
                              FORGE_SUITES(SP_TLS1_2), .renegotiation = SP_YES,
                              .request_cert = SP_YES, .ca = SP_LIST(pki->root->cert_pem)));
  couple_shake_hands(&couple);
  side_t *client = &couple.client, *server = &couple.server;
  assert_true(sp_pair_is_authorized(server->pair));
  SSL_certs_clear(sp_pair_ssl(client->pair)); /* it shows none now */
  assert_int_equal(sp_pair_renegotiate(client->pair), 0);
  (void)side_step(client, &plainly, &server->in);
  (void)side_step(server, &plainly, &client->in);
  (void)side_step(client, &plainly, &server->in);
  forge_anew(&couple);
  forge_record(&couple, SP_CLIENT, SSL3_RT_APPLICATION_DATA, "GET /", 5);
  assert_int_equal(sp_pair_encrypted_in(server->pair, server->in.bytes, wire_left(&server->in)), 0);
  assert_int_equal(sp_pair_cleartext_out(server->pair, room, sizeof room, &got), SP_EUNAUTHORIZED);
  assert_int_equal(got, 0);
  (void)sp_pair_encrypted_release(server->pair);
  couple_free(&couple);
}

static void release(sp_pair_t *pair, void *side) {
  ((side_t *)side)->pair = NULL;
  sp_pair_release(pair);
}

static void the_hook_may_release_the_pair(void **state) {
  (void)state;
  couple_t couple;
  couple_make_with(
      &couple, CLIENT(.renegotiation = SP_YES),
      SERVER(.renegotiation = SP_YES, .hooks.renegotiated = release, .hooks_data = &couple.server));
  couple_shake_hands(&couple);
  side_t *client = &couple.client, *server = &couple.server;
  assert_int_equal(sp_pair_renegotiate(client->pair), 0);
  for (int i = 0; server->pair; i++) {
    sp_pair_t *pair = server->pair;
    uint8_t room[10];
    size_t got;
    side_collect(client, &plainly, &server->in);
    (void)sp_pair_encrypted_in(pair, server->in.bytes + server->in.taken, wire_left(&server->in));
    server->in.taken = server->in.size;
    assert_int_equal(sp_pair_cleartext_out(pair, room, sizeof room, &got), 0);
    if (!server->pair)
      break;
    (void)sp_pair_encrypted_release(pair);
    side_collect(server, &plainly, &client->in);
    (void)side_offer(client, client->in.bytes + client->in.taken, wire_left(&client->in));
    client->in.taken = client->in.size;
    assert_true(i < 10);
  }
  couple_free(&couple);
}

/* -- streams ----------------------------------------------------------------------------------- */

/* Begins one, and ends the transport before the answer is there. */
static void begin_and_leave(peer_t *peer) {
  BIO *nothing = BIO_new(BIO_s_mem());
  BIO_set_mem_eof_return(nothing, -1);
  BIO_up_ref(SSL_get_wbio(peer->ssl));
  SSL_set_bio(peer->ssl, nothing, SSL_get_wbio(peer->ssl));
  (void)(SSL_renegotiate(peer->ssl) == 1 && SSL_do_handshake(peer->ssl));
  (void)shutdown(peer->fd, SHUT_WR);
  char room[4096];
  while (read(peer->fd, room, sizeof room) > 0)
    ;
}

static bool has_left(fixture_t *f) { return f->count && !f->actors[0]->stream; }

static void say_goodbye(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_END)
    assert_true(actor_write(actor, "goodbye", 7) >= 0);
}

/* The connection goes, and what was still to be said is not lost unseen. */
static void a_client_begins_and_leaves(void **state) {
  (void)state;
  for (int says = 0; says < 2; says++) {
    fixture_t *f = fixture_new();
    f->done = has_left;
    f->react = says ? say_goodbye : NULL;
    fixture_serve(f, FIXTURE_SERVER(.renegotiation = SP_YES, .half_open = says ? SP_YES : SP_NO));
    peer_t peer = {.role = SP_CLIENT,
                   .version = SP_TLS1_2,
                   .port = f->port,
                   .rounds = 1,
                   .play = begin_and_leave};
    peer_start(&peer);
    fixture_run(f);
    peer_join(&peer);
    const actor_t *served = fixture_served(f, 0);
    assert_string_equal(served->log, says ? "secure end(SP_ETRUNCATED) write(SP_EEARLYCLOSE) "
                                            "error(SP_EEARLYCLOSE) close"
                                          : "secure end(SP_ETRUNCATED) close");
    fixture_free(f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(either_side_begins),
      cmocka_unit_test(data_goes_on_both_ways),
      cmocka_unit_test(a_write_after_it_may_be_shorter),
      cmocka_unit_test(unread_data_is_no_obstacle),
      cmocka_unit_test(one_after_the_other),
      cmocka_unit_test(it_does_not_begin_in_vain),
      cmocka_unit_test(nobody_is_asked_after_the_end),
      cmocka_unit_test(it_begins_amid_much_data),
      cmocka_unit_test(unread_data_waits_within_it),
      cmocka_unit_test(a_full_queue_is_no_obstacle),
      cmocka_unit_test(the_end_comes_after_it),
      cmocka_unit_test(nobody_answers),
      cmocka_unit_test(the_fourth_one_is_an_attack),
      cmocka_unit_test(W22_requests_within_a_handshake),
      cmocka_unit_test(more_are_fine_after_a_while),
      cmocka_unit_test(our_own_are_not_counted),
      cmocka_unit_test(who_refuses_says_so),
      cmocka_unit_test(it_is_not_for_all),
      cmocka_unit_test(another_server_is_refused),
      cmocka_unit_test(a_client_shows_its_certificate_later),
      cmocka_unit_test(nothing_is_heard_of_another_client),
      cmocka_unit_test(the_hook_may_release_the_pair),
      cmocka_unit_test(a_client_begins_and_leaves),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
