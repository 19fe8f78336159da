/*
 * The pair's four ports and its state word, in memory: every size of what is offered, lent, taken,
 * read and written; ends, truncation, alerts, hooks, facts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/memory.h"
#include "support/contexts.h"
#include "support/couple.h"
#include "support/pki.h"

static const sp_protocol_t versions[] = {SP_TLS1_2, SP_TLS1_3};
#define EACH_VERSION(v) for (const sp_protocol_t *v = versions; v < versions + 2; v++)
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const manner_t plainly = {0};

static unsigned state_of(const side_t *side) { return sp_pair_state(side->pair); }

static void assert_has(const side_t *side, unsigned bits) {
  if ((state_of(side) & bits) != bits)
    fail_msg("state is %#x, without %#x", state_of(side), bits & ~state_of(side));
}

static void assert_has_not(const side_t *side, unsigned bits) {
  if (state_of(side) & bits)
    fail_msg("state is %#x, with %#x", state_of(side), bits & state_of(side));
}

static void assert_all_arrived(const couple_t *couple) {
  assert_int_equal(couple->client.got, couple->server.wanted);
  assert_int_equal(couple->server.got, couple->client.wanted);
  assert_false(couple->client.wrong);
  assert_false(couple->server.wrong);
}

/* -- handshake --------------------------------------------------------------------------------- */

static void begin(couple_t *couple, sp_protocol_t version) {
  couple_make(couple, version);
  assert_has(&couple->client, SP_PAIR_HAS_ENCRYPTED | SP_PAIR_WANTS_ENCRYPTED);
  assert_int_equal(state_of(&couple->server), SP_PAIR_WANTS_ENCRYPTED);
}

/* Then a few bytes each way in the same manner, as far as the lent memory can hold a record. */
static void try_handshake(sp_protocol_t version, const manner_t *manner) {
  couple_t couple;
  begin(&couple, version);
  couple_run(&couple, manner);
  assert_has(&couple.client, SP_PAIR_SECURE | SP_PAIR_WANTS_ENCRYPTED);
  assert_has(&couple.server, SP_PAIR_SECURE | SP_PAIR_WANTS_ENCRYPTED);
  manner_t later = *manner;
  if (later.lend < 100)
    later.lend = 0;
  couple.client.wanted = 300;
  couple.server.wanted = 200;
  couple_run(&couple, &later);
  assert_all_arrived(&couple);
  couple_free(&couple);
}

static void handshake_in_every_size(void **unused) {
  (void)unused;
  static const size_t offers[] = {1, 2, 5, 7, 100, 1000, 0}, lends[] = {0, 1, 7, 100, 16384, 65536},
                      takes[] = {1, 13, 0};
  EACH_VERSION(version) {
    for (size_t i = 0; i < COUNT(offers); i++)
      for (size_t j = 0; j < COUNT(lends); j++)
        for (size_t k = 0; k < COUNT(takes); k++)
          try_handshake(*version,
                        &(manner_t){.offer = offers[i], .lend = lends[j], .take = takes[k]});
  }
}

/* -- lent memory and the bound ----------------------------------------------------------------- */

static void lent_memory_of_every_size_up_to_a_record(void **unused) {
  (void)unused;
  EACH_VERSION(version) {
    couple_t couple;
    couple_make(&couple, *version);
    couple_shake_hands(&couple);
    for (size_t lend = 1; lend < 300; lend++) {
      couple.client.wanted += 10;
      couple_run(&couple, &(manner_t){.lend = lend}); /* checks what the state word promises */
    }
    couple_run(&couple, &plainly);
    assert_all_arrived(&couple);
    couple_free(&couple);
  }
}

static size_t write_until_full(side_t *side) {
  uint8_t bytes[5000];
  size_t total = 0, took;
  do {
    for (size_t i = 0; i < sizeof bytes; i++)
      bytes[i] = side_byte(side->seed, side->sent + i);
    bool takes = state_of(side) & SP_PAIR_TAKES_CLEARTEXT;
    assert_int_equal(sp_pair_cleartext_in(side->pair, bytes, sizeof bytes, &took), 0);
    assert_int_equal(takes, took > 0);
    side->sent += took;
    total += took;
  } while (took);
  side->wanted = side->sent;
  return total;
}

static void no_more_than_the_bound_waits_for_the_transport(void **unused) {
  (void)unused;
  static const size_t lends[] = {0, 200, 16384, 65536, 1u << 20};
  EACH_VERSION(version)
  for (size_t i = 0; i < COUNT(lends); i++) {
    couple_t couple;
    couple_make(&couple, *version);
    couple_shake_hands(&couple);
    uint8_t *lent = lends[i] ? malloc(lends[i]) : NULL;
    if (lent)
      sp_pair_lend(couple.client.pair, lent, lends[i]);
    uint64_t before = sp_pair_bytes_out(couple.client.pair);
    size_t took = write_until_full(&couple.client);
    uint64_t waiting = sp_pair_bytes_out(couple.client.pair) - before;
    assert_true(waiting <= SP_PAIR_AHEAD && waiting >= took);
    if (lent) /* what was lent is used to the last byte that a record can use */
      assert_true(waiting <= lends[i]);
    if (lends[i] == 0 || lends[i] > SP_PAIR_AHEAD)
      assert_true(took > SP_PAIR_AHEAD - 1000);
    assert_int_equal(sp_pair_unlend(couple.client.pair), 0);
    if (lent)
      memset(lent, 0xee, lends[i]);
    free(lent); /* what waits has moved */
    (void)write_until_full(&couple.client);
    assert_true(sp_pair_bytes_out(couple.client.pair) - before <= SP_PAIR_AHEAD);
    couple_run(&couple, &(manner_t){.take = 777, .offer = 4321});
    assert_all_arrived(&couple);
    couple_free(&couple);
  }
}

static void lending_twice_keeps_the_first(void **unused) {
  (void)unused;
  couple_t couple;
  uint8_t one[200], other[200];
  couple_make(&couple, SP_TLS1_3);
  couple_shake_hands(&couple);
  sp_pair_lend(couple.client.pair, one, sizeof one);
  sp_pair_lend(couple.client.pair, other, sizeof other);
  const void *bytes;
  size_t took;
  assert_int_equal(sp_pair_cleartext_in(couple.client.pair, "x", 1, &took), 0);
  assert_int_equal(sp_pair_encrypted_out(couple.client.pair, &bytes), 1 + 22);
  assert_ptr_equal(bytes, one);
  assert_int_equal(sp_pair_unlend(couple.client.pair), 0);
  assert_int_equal(sp_pair_unlend(couple.client.pair), 0); /* again: nothing to do */
  assert_int_equal(sp_pair_encrypted_out(couple.client.pair, &bytes), 1 + 22);
  assert_ptr_not_equal(bytes, one);
  couple_free(&couple);
}

/* -- data -------------------------------------------------------------------------------------- */

static void transfers_both_ways_in_random_sizes(void **unused) {
  (void)unused;
  static const manner_t manners[] = {
      {.random = true, .lend = 65536},
      {.random = true, .offer = 3000, .take = 500, .read = 700, .write = 900},
      {.random = true, .lend = 3000, .read = 20},
      {.offer = 16401, .lend = 65536, .read = 16384},
      {.random = true, .offer = 90000, .lend = 20000, .take = 60000},
  };
  dice_seed();
  EACH_VERSION(version)
  for (size_t i = 0; i < COUNT(manners); i++) {
    couple_t couple;
    couple_make(&couple, *version);
    couple.client.wanted = 300000 + dice(100000);
    couple.server.wanted = 300000 + dice(100000);
    couple_run(&couple, &manners[i]);
    assert_all_arrived(&couple);
    couple_free(&couple);
  }
}

static size_t records_of(side_t *from, wire_t *to, size_t count, size_t size) {
  size_t before = wire_left(to);
  for (size_t i = 0; i < count; i++) {
    from->wanted += size;
    side_step(from, &plainly, to);
  }
  return wire_left(to) - before;
}

/* Cleartext that nobody collects stays encrypted with the caller. */
static void cleartext_is_held_back_until_it_is_collected(void **unused) {
  (void)unused;
  EACH_VERSION(version) {
    couple_t couple;
    couple_make(&couple, *version);
    couple_shake_hands(&couple);
    side_t *server = &couple.server;
    size_t n = records_of(&couple.client, &server->in, 3, 1000);
    uint8_t *bytes = malloc(n), room[1500];
    memcpy(bytes, server->in.bytes + server->in.taken, n);
    assert_int_equal(sp_pair_encrypted_in(server->pair, bytes, n), 0);
    assert_has(server, SP_PAIR_HAS_CLEARTEXT);
    assert_has_not(server, SP_PAIR_WANTS_ENCRYPTED);
    assert_int_equal(sp_pair_encrypted_release(server->pair), n); /* nothing was taken */
    assert_has(server, SP_PAIR_WANTS_ENCRYPTED);

    size_t got;
    assert_int_equal(sp_pair_encrypted_in(server->pair, bytes, n), 0);
    assert_int_equal(sp_pair_cleartext_out(server->pair, room, sizeof room, &got), 0);
    assert_int_equal(got, sizeof room); /* one and a half records */
    size_t left = sp_pair_encrypted_release(server->pair);
    assert_int_equal(left, n / 3);
    assert_has(server, SP_PAIR_HAS_CLEARTEXT); /* the half that is decrypted */
    for (size_t i = 0; i < got; i++)
      assert_int_equal(room[i], side_byte(couple.client.seed, i));
    server->got = got;
    assert_int_equal(side_offer(server, bytes + n - left, left), 0);
    assert_int_equal(server->got, 3000);
    assert_false(server->wrong);
    free(bytes);
    couple_free(&couple);
  }
}

static void many_records_come_out_at_once(void **unused) {
  (void)unused;
  EACH_VERSION(version) {
    couple_t couple;
    couple_make(&couple, *version);
    couple_shake_hands(&couple);
    side_t *server = &couple.server;
    size_t n = records_of(&couple.client, &server->in, 20, 100), got;
    uint8_t room[4000];
    assert_int_equal(sp_pair_encrypted_in(server->pair, server->in.bytes + server->in.taken, n), 0);
    assert_int_equal(sp_pair_cleartext_out(server->pair, room, sizeof room, &got), 0);
    assert_int_equal(got, 2000);
    assert_has_not(server, SP_PAIR_HAS_CLEARTEXT);
    assert_int_equal(sp_pair_encrypted_release(server->pair), 0);
    couple_free(&couple);
  }
}

static void buffers_may_go_at_any_time(void **unused) {
  (void)unused;
  EACH_VERSION(version) {
    couple_t couple;
    couple_make(&couple, *version);
    sp_pair_release_buffers(couple.client.pair); /* in the handshake: nothing */
    couple_shake_hands(&couple);
    for (int i = 0; i < 200; i++) {
      sp_pair_release_buffers(couple.client.pair);
      sp_pair_release_buffers(couple.server.pair);
      couple.client.wanted += 50;
      couple.server.wanted += 50;
      side_step(&couple.client, &(manner_t){.offer = 11}, &couple.server.in);
      side_step(&couple.server, &(manner_t){.offer = 13}, &couple.client.in);
    }
    couple_run(&couple, &plainly);
    assert_all_arrived(&couple);
    couple_free(&couple);
  }
}

/* -- ends -------------------------------------------------------------------------------------- */

static void end_and_answer(side_t *first, side_t *second, const manner_t *manner) {
  size_t took;
  assert_int_equal(sp_pair_end(first->pair), 0);
  assert_int_equal(sp_pair_end(first->pair), 0);
  assert_has(first, SP_PAIR_ENDED | SP_PAIR_HAS_ENCRYPTED | SP_PAIR_WANTS_ENCRYPTED);
  assert_has_not(first, SP_PAIR_TAKES_CLEARTEXT);
  assert_int_equal(sp_pair_cleartext_in(first->pair, "x", 1, &took), SP_EENDED);
  assert_int_equal(took, 0);
  side_step(first, manner, &second->in);
  while (side_step(second, manner, &first->in))
    ;
  assert_has(second, SP_PAIR_PEER_ENDED | SP_PAIR_TAKES_CLEARTEXT);
  assert_has_not(second, SP_PAIR_WANTS_ENCRYPTED | SP_PAIR_ENDED | SP_PAIR_HAS_CLEARTEXT);
  second->wanted += 20000; /* our direction is open still */
  while (side_step(second, manner, &first->in))
    ;
  while (side_step(first, manner, &second->in))
    ;
  assert_int_equal(first->got, second->wanted);
  assert_int_equal(sp_pair_encrypted_end(second->pair), 0);
  assert_has_not(second, SP_PAIR_TRUNCATED);
  assert_int_equal(sp_pair_end(second->pair), 0);
  while (side_step(second, manner, &first->in))
    ;
  while (side_step(first, manner, &second->in))
    ;
  assert_has(first, SP_PAIR_PEER_ENDED | SP_PAIR_ENDED);
  assert_int_equal(sp_pair_encrypted_end(first->pair), 0);
  assert_has_not(first, SP_PAIR_TRUNCATED | SP_PAIR_FAILED);
  assert_false(first->wrong || second->wrong);
}

static void either_may_end_first(void **unused) {
  (void)unused;
  static const manner_t manners[] = {{0}, {.offer = 1}, {.take = 3, .lend = 100}};
  EACH_VERSION(version)
  for (size_t i = 0; i < COUNT(manners) * 2; i++) {
    couple_t couple;
    couple_make(&couple, *version);
    couple_shake_hands(&couple);
    if (i % 2)
      end_and_answer(&couple.client, &couple.server, &manners[i / 2]);
    else
      end_and_answer(&couple.server, &couple.client, &manners[i / 2]);
    couple_free(&couple);
  }
}

/* The close_notify must come out whole, however little room there is when it is made. */
static void an_end_without_room_waits_for_room(void **unused) {
  (void)unused;
  EACH_VERSION(version)
  for (size_t lend = 1; lend < 64; lend++) {
    couple_t couple;
    uint8_t *lent = malloc(lend);
    couple_make(&couple, *version);
    couple_shake_hands(&couple);
    sp_pair_lend(couple.client.pair, lent, lend);
    assert_int_equal(sp_pair_end(couple.client.pair), 0);
    size_t took;
    assert_int_equal(sp_pair_cleartext_in(couple.client.pair, "x", 1, &took), SP_EENDED);
    side_collect(&couple.client, &plainly, &couple.server.in);
    assert_has(&couple.client, SP_PAIR_ENDED);
    assert_int_equal(sp_pair_unlend(couple.client.pair), 0);
    free(lent);
    couple_run(&couple, &plainly);
    assert_has(&couple.server, SP_PAIR_PEER_ENDED);
    couple_free(&couple);
  }
}

static void an_end_at_the_bound_waits_for_room(void **unused) {
  (void)unused;
  EACH_VERSION(version) {
    couple_t couple;
    couple_make(&couple, *version);
    couple_shake_hands(&couple);
    write_until_full(&couple.client);
    assert_int_equal(sp_pair_end(couple.client.pair), 0);
    couple_run(&couple, &(manner_t){.take = 1000});
    assert_all_arrived(&couple);
    assert_has(&couple.client, SP_PAIR_ENDED);
    assert_has(&couple.server, SP_PAIR_PEER_ENDED);
    couple_free(&couple);
  }
}

static void an_end_before_the_handshake_does_nothing(void **unused) {
  (void)unused;
  couple_t couple;
  couple_make(&couple, SP_TLS1_3);
  assert_int_equal(sp_pair_end(couple.client.pair), 0);
  assert_int_equal(sp_pair_end(couple.server.pair), 0);
  couple_shake_hands(&couple);
  assert_has_not(&couple.client, SP_PAIR_ENDED);
  couple_free(&couple);
}

/* C03: nothing that follows a close_notify is delivered. */
static void nothing_is_read_after_the_peers_end(void **unused) {
  (void)unused;
  EACH_VERSION(version) {
    couple_t couple, twin;
    couple_make(&couple, *version);
    couple_make(&twin, *version);
    couple_shake_hands(&couple);
    couple_shake_hands(&twin);
    (void)sp_pair_end(couple.client.pair);
    side_collect(&couple.client, &plainly, &couple.server.in);
    records_of(&twin.client, &couple.server.in, 2, 100); /* of another connection, and junk */
    wire_add(&couple.server.in, "junk that is no record", 22);
    couple_run(&couple, &plainly);
    assert_int_equal(couple.server.got, 0);
    assert_has(&couple.server, SP_PAIR_PEER_ENDED);
    assert_has_not(&couple.server, SP_PAIR_FAILED | SP_PAIR_HAS_CLEARTEXT);
    couple_free(&couple);
    couple_free(&twin);
  }
}

/* C01: at the border of a record, and after each byte of the next one. */
static void a_missing_close_notify_is_seen(void **unused) {
  (void)unused;
  EACH_VERSION(version) {
    size_t all = 1;
    for (size_t cut = 0; cut < all; cut++) {
      couple_t couple;
      couple_make(&couple, *version);
      couple_shake_hands(&couple);
      side_t *server = &couple.server;
      records_of(&couple.client, &server->in, 1, 100);
      all = records_of(&couple.client, &server->in, 1, 50);
      server->in.size -= all - cut;
      couple_run(&couple, &plainly);
      assert_int_equal(server->got, 100);
      assert_has_not(server, SP_PAIR_TRUNCATED);
      assert_int_equal(sp_pair_encrypted_end(server->pair), 0);
      assert_has(server, SP_PAIR_TRUNCATED | SP_PAIR_TAKES_CLEARTEXT);
      assert_has_not(server, SP_PAIR_WANTS_ENCRYPTED | SP_PAIR_FAILED | SP_PAIR_PEER_ENDED);
      uint8_t room[100];
      size_t got, took;
      assert_int_equal(sp_pair_cleartext_out(server->pair, room, sizeof room, &got), SP_ETRUNCATED);
      assert_int_equal(got, 0);
      assert_int_equal(sp_pair_cleartext_in(server->pair, "still", 5, &took), 0);
      assert_int_equal(took, 5);
      assert_int_equal(sp_pair_end(server->pair), 0);
      couple_free(&couple);
    }
  }
}

static void bytes_before_a_truncation_are_read_first(void **unused) {
  (void)unused;
  EACH_VERSION(version) {
    couple_t couple;
    couple_make(&couple, *version);
    couple_shake_hands(&couple);
    side_t *server = &couple.server;
    size_t n = records_of(&couple.client, &server->in, 2, 100), got;
    uint8_t room[150];
    assert_int_equal(sp_pair_encrypted_in(server->pair, server->in.bytes + server->in.taken, n), 0);
    assert_int_equal(sp_pair_encrypted_end(server->pair), 0);
    assert_has_not(server, SP_PAIR_TRUNCATED);
    assert_int_equal(sp_pair_cleartext_out(server->pair, room, sizeof room, &got), 0);
    assert_int_equal(got, 150);
    assert_has(server, SP_PAIR_HAS_CLEARTEXT);
    assert_has_not(server, SP_PAIR_TRUNCATED);
    assert_int_equal(sp_pair_cleartext_out(server->pair, room, sizeof room, &got), 0);
    assert_int_equal(got, 50);
    assert_has(server, SP_PAIR_TRUNCATED);
    assert_int_equal(sp_pair_cleartext_out(server->pair, room, sizeof room, &got), SP_ETRUNCATED);
    couple_free(&couple);
  }
}

static void assert_dead(side_t *side, int status) {
  uint8_t room[10];
  size_t n = 99;
  uint64_t in = sp_pair_bytes_in(side->pair), out = sp_pair_bytes_out(side->pair);
  assert_has(side, SP_PAIR_FAILED);
  assert_has_not(side, SP_PAIR_WANTS_ENCRYPTED | SP_PAIR_TAKES_CLEARTEXT | SP_PAIR_HAS_CLEARTEXT);
  if (sp_pair_error(side->pair)->status != status)
    fail_msg("not %s: %s", sp_error_name(status), sp_pair_error(side->pair)->text);
  assert_int_equal(sp_pair_encrypted_in(side->pair, "more", 4), status);
  assert_int_equal(sp_pair_encrypted_release(side->pair), 0);
  assert_int_equal(sp_pair_encrypted_end(side->pair), status);
  assert_int_equal(sp_pair_cleartext_in(side->pair, "more", 4, &n), status);
  assert_int_equal(n, 0);
  n = 99;
  assert_int_equal(sp_pair_cleartext_out(side->pair, room, sizeof room, &n), status);
  assert_int_equal(n, 0);
  assert_int_equal(sp_pair_end(side->pair), status);
  assert_int_equal(sp_pair_resume(side->pair, 0), status);
  assert_int_equal(sp_pair_bytes_in(side->pair), in);
  assert_int_equal(sp_pair_bytes_out(side->pair), out); /* A04: no byte after the alert */
}

static void an_end_within_the_handshake_is_an_error(void **unused) {
  (void)unused;
  couple_t couple;
  couple_make(&couple, SP_TLS1_3);
  assert_int_equal(sp_pair_encrypted_end(couple.server.pair), SP_EEARLYCLOSE);
  assert_dead(&couple.server, SP_EEARLYCLOSE);
  assert_int_equal(sp_pair_encrypted_end(couple.client.pair), SP_EEARLYCLOSE);
  assert_dead(&couple.client, SP_EEARLYCLOSE);
  assert_int_equal(sp_pair_error(couple.client.pair)->who, SP_PEER);
  couple_free(&couple);
}

/* -- errors ------------------------------------------------------------------------------------ */

/* A record is damaged on its way: the pair is dead, and its alert tells the peer. */
static void an_alert_comes_out_after_an_error(void **unused) {
  (void)unused;
  static const size_t lends[] = {0, 100, 65536};
  EACH_VERSION(version)
  for (size_t i = 0; i < COUNT(lends) * 2; i++) {
    couple_t couple;
    couple_make(&couple, *version);
    couple_shake_hands(&couple);
    side_t *bad = i % 2 ? &couple.client : &couple.server;
    side_t *good = i % 2 ? &couple.server : &couple.client;
    records_of(good, &bad->in, 1, 100);
    bad->in.bytes[bad->in.size - 1] ^= 1;
    side_step(bad, &(manner_t){.lend = lends[i / 2]}, &good->in);
    assert_int_equal(bad->got, 0);
    assert_dead(bad, SP_EPROTOCOL);
    assert_int_equal(sp_pair_error(bad->pair)->alert, SSL_AD_BAD_RECORD_MAC);
    couple_run(&couple, &plainly);
    assert_dead(good, SP_EALERT);
    assert_int_equal(sp_pair_error(good->pair)->alert, SSL_AD_BAD_RECORD_MAC);
    assert_int_equal(sp_pair_error(good->pair)->who, SP_PEER);
    assert_non_null(strstr(sp_pair_error(good->pair)->text, "bad_record_mac"));
    couple_free(&couple);
  }
}

static void bytes_before_an_error_are_delivered(void **unused) {
  (void)unused;
  EACH_VERSION(version) {
    couple_t couple;
    couple_make(&couple, *version);
    couple_shake_hands(&couple);
    side_t *server = &couple.server;
    records_of(&couple.client, &server->in, 2, 100);
    server->in.bytes[server->in.size - 1] ^= 1;
    size_t got, n = wire_left(&server->in);
    uint8_t room[1000];
    assert_int_equal(sp_pair_encrypted_in(server->pair, server->in.bytes + server->in.taken, n), 0);
    assert_int_equal(sp_pair_cleartext_out(server->pair, room, sizeof room, &got), SP_EPROTOCOL);
    assert_int_equal(got, 100);
    assert_dead(server, SP_EPROTOCOL);
    couple_free(&couple);
  }
}

/* A03: what others left in OpenSSL's queue is neither blamed on us nor does it disturb. */
static void errors_of_others_do_not_matter(void **unused) {
  (void)unused;
  couple_t couple;
  ERR_raise(ERR_LIB_SSL, SSL_R_UNEXPECTED_MESSAGE);
  couple_make(&couple, SP_TLS1_3);
  couple.client.wanted = couple.server.wanted = 5000;
  bool moved;
  do {
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    moved = side_step(&couple.client, &(manner_t){.offer = 300}, &couple.server.in);
    ERR_raise(ERR_LIB_SSL, SSL_R_HTTP_REQUEST);
    moved |= side_step(&couple.server, &(manner_t){.offer = 300}, &couple.client.in);
  } while (moved);
  assert_all_arrived(&couple);
  ERR_raise(ERR_LIB_SSL, SSL_R_HTTP_REQUEST);
  (void)sp_pair_end(couple.client.pair);
  assert_int_equal(ERR_peek_error(), 0);
  couple_run(&couple, &plainly);
  assert_has(&couple.server, SP_PAIR_PEER_ENDED);
  couple_free(&couple);
  ERR_clear_error();
}

/* -- keying material --------------------------------------------------------------------------- */

static void exported_keys_agree(void **unused) {
  (void)unused;
  EACH_VERSION(version) {
    couple_t couple;
    uint8_t one[48], other[48], third[48];
    const char *label = "EXPORTER-test";
    couple_make(&couple, *version);
    assert_int_equal(sp_pair_export_key(couple.client.pair, one, 48, label, NULL, 0), SP_EOPTION);
    couple_shake_hands(&couple);
    assert_int_equal(sp_pair_export_key(couple.client.pair, one, 48, label, "ctx", 3), 0);
    assert_int_equal(sp_pair_export_key(couple.server.pair, other, 48, label, "ctx", 3), 0);
    assert_memory_equal(one, other, 48);
    assert_int_equal(sp_pair_export_key(couple.server.pair, other, 48, label, "ctX", 3), 0);
    assert_memory_not_equal(one, other, 48);
    assert_int_equal(sp_pair_export_key(couple.server.pair, other, 48, "EXPORTER-x", "ctx", 3), 0);
    assert_memory_not_equal(one, other, 48);
    assert_int_equal(sp_pair_export_key(couple.client.pair, one, 48, label, NULL, 0), 0);
    assert_int_equal(sp_pair_export_key(couple.server.pair, other, 48, label, NULL, 0), 0);
    assert_int_equal(sp_pair_export_key(couple.server.pair, third, 48, label, "", 0), 0);
    assert_memory_equal(one, other, 48);
    if (*version == SP_TLS1_2) /* RFC 5705 4: no context is not an empty one */
      assert_memory_not_equal(one, third, 48);
    else
      assert_memory_equal(one, third, 48);
    couple_free(&couple);
  }
}

/* -- hooks ------------------------------------------------------------------------------------- */

/* Entering the pair from its own hook, and releasing it there. */
typedef struct meddler {
  bool release, pend;
  int calls;
} meddler_t;

static int meddle(sp_pair_t *pair, void *data) {
  meddler_t *meddler = data;
  uint8_t room[10];
  size_t n = 7;
  meddler->calls++;
  assert_int_equal(sp_pair_encrypted_in(pair, "x", 1), SP_EREENTRY);
  assert_int_equal(sp_pair_encrypted_end(pair), SP_EREENTRY);
  assert_int_equal(sp_pair_cleartext_in(pair, "x", 1, &n), SP_EREENTRY);
  assert_int_equal(n, 0);
  assert_int_equal(sp_pair_cleartext_out(pair, room, sizeof room, &n), SP_EREENTRY);
  assert_int_equal(sp_pair_end(pair), SP_EREENTRY);
  assert_int_equal(sp_pair_resume(pair, 0), SP_EREENTRY);
  sp_pair_release_buffers(pair);
  (void)sp_pair_state(pair);
  if (meddler->release)
    sp_pair_release(pair);
  return meddler->pend ? SP_PENDING : 0;
}

static int on_hello(sp_pair_t *pair, const sp_client_hello_t *hello, void *data) {
  assert_int_equal(hello->server_name_size, 9);
  assert_memory_equal(hello->server_name, "localhost", 9);
  return meddle(pair, data);
}

static int on_name(sp_pair_t *pair, const char *name, void *data) {
  assert_string_equal(name, "localhost");
  return meddle(pair, data);
}

static int on_alpn(sp_pair_t *pair, const uint8_t *protocols, size_t n, void *data) {
  assert_int_equal(n, 3);
  assert_memory_equal(protocols, "\2h2", 3);
  int answer = meddle(pair, data);
  assert_int_equal(sp_pair_use_protocol(pair, "h2", 2), 0);
  return answer;
}

static int on_sign(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n, void *data) {
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  uint8_t signature[256];
  size_t size = sizeof signature;
  assert_int_equal(scheme, 0x0403);
  int answer = meddle(pair, data);
  assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pki_default()->server->key),
                   1);
  assert_int_equal(EVP_DigestSign(ctx, signature, &size, message, n), 1);
  EVP_MD_CTX_free(ctx);
  assert_int_equal(sp_pair_sign_with(pair, signature, size), 0);
  return answer;
}

static const sp_hooks_t hooks[] = {
    {.client_hello = on_hello}, {.server_name = on_name}, {.alpn = on_alpn}, {.sign = on_sign}};

static sp_context_t *alpn_client(sp_protocol_t version) {
  return context_made(SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem),
                                 .alpn = SP_LIST("h2"), .min_version = version,
                                 .max_version = version));
}

static sp_context_t *hooked_server(sp_protocol_t version, const sp_hooks_t *hook, void *data) {
  const pki_t *pki = pki_default()->server;
  return context_made(SP_OPTIONS(.key = hook->sign ? NULL : pki->key_pem, .cert = pki->cert_pem,
                                 .hooks = *hook, .hooks_data = data, .min_version = version,
                                 .max_version = version));
}

static void with_hook(sp_protocol_t version, const sp_hooks_t *hook, meddler_t *meddler,
                      void (*body)(couple_t *, meddler_t *)) {
  sp_context_t *client = alpn_client(version), *server = hooked_server(version, hook, meddler);
  couple_t couple;
  couple_make_of(&couple, client, server);
  sp_context_release(client);
  sp_context_release(server);
  body(&couple, meddler);
  couple_free(&couple);
}

static void entered_from_hook(couple_t *couple, meddler_t *meddler) {
  couple_run(couple, &plainly);
  assert_int_equal(meddler->calls, 1);
  assert_has(&couple->client, SP_PAIR_SECURE);
  assert_has(&couple->server, SP_PAIR_SECURE);
}

static void waited_for(couple_t *couple, meddler_t *meddler) {
  couple_run(couple, &plainly);
  assert_int_equal(meddler->calls, 1);
  assert_has(&couple->server, SP_PAIR_WAITING);
  assert_has_not(&couple->server, SP_PAIR_WANTS_ENCRYPTED | SP_PAIR_SECURE);
  assert_int_equal(sp_pair_resume(couple->server.pair, 0), 0);
  assert_int_equal(sp_pair_resume(couple->server.pair, 0), SP_EOPTION);
  couple_shake_hands(couple);
  assert_int_equal(meddler->calls, 1);
}

static void refused_later(couple_t *couple, meddler_t *meddler) {
  (void)meddler;
  couple_run(couple, &plainly);
  assert_int_equal(sp_pair_resume(couple->server.pair, SP_EREFUSED), SP_EREFUSED);
  couple_run(couple, &plainly);
  assert_dead(&couple->server, SP_EREFUSED);
  assert_dead(&couple->client, SP_EALERT); /* it is told */
}

static void released_in_hook(couple_t *couple, meddler_t *meddler) {
  wire_t hello = {0};
  side_collect(&couple->client, &plainly, &hello);
  (void)sp_pair_encrypted_in(couple->server.pair, hello.bytes, hello.size);
  assert_int_equal(meddler->calls, 1);
  couple->server.pair = NULL; /* it is gone */
  wire_free(&hello);
}

/* What the pair did to end itself must be harmless for the caller: nothing is read of it after. */
static void released_while_waited_for(couple_t *couple, meddler_t *meddler) {
  couple_run(couple, &plainly);
  assert_int_equal(meddler->calls, 1);
  assert_has(&couple->server, SP_PAIR_WAITING);
}

static void with_each_hook(meddler_t meddler, void (*body)(couple_t *, meddler_t *)) {
  EACH_VERSION(version)
  for (size_t i = 0; i < COUNT(hooks); i++) {
    meddler_t copy = meddler;
    with_hook(*version, &hooks[i], &copy, body);
  }
}

static void a_hook_may_not_enter_its_pair(void **unused) {
  (void)unused;
  with_each_hook((meddler_t){.calls = 0}, entered_from_hook);
}

static void a_hook_may_be_waited_for(void **unused) {
  (void)unused;
  with_each_hook((meddler_t){.pend = true}, waited_for);
}

static void a_hook_may_refuse_later(void **unused) {
  (void)unused;
  with_each_hook((meddler_t){.pend = true}, refused_later);
}

static void a_hook_may_release_its_pair(void **unused) {
  (void)unused;
  with_each_hook((meddler_t){.release = true}, released_in_hook);
  with_each_hook((meddler_t){.release = true, .pend = true}, released_in_hook);
}

static void a_pair_may_go_while_it_waits(void **unused) {
  (void)unused;
  with_each_hook((meddler_t){.pend = true}, released_while_waited_for);
}

/* A pair that waits takes no more bytes; those offered meanwhile come back. */
static void a_waiting_pair_gives_bytes_back(void **unused) {
  (void)unused;
  meddler_t meddler = {.pend = true};
  sp_context_t *server = hooked_server(SP_TLS1_3, &hooks[0], &meddler);
  couple_t couple;
  couple_make_of(&couple, couple_client_context(SP_TLS1_3), server);
  sp_context_release(server);
  couple_run(&couple, &plainly);
  assert_has(&couple.server, SP_PAIR_WAITING);
  assert_int_equal(sp_pair_encrypted_in(couple.server.pair, "more", 4), 0);
  assert_int_equal(sp_pair_encrypted_release(couple.server.pair), 4);
  assert_int_equal(sp_pair_resume(couple.server.pair, 0), 0);
  couple_shake_hands(&couple);
  couple_free(&couple);
}

/* -- facts ------------------------------------------------------------------------------------- */

static void facts(void **unused) {
  (void)unused;
  EACH_VERSION(version) {
    sp_context_t *client = alpn_client(*version);
    meddler_t meddler = {0};
    sp_context_t *server = hooked_server(*version, &hooks[2], &meddler);
    couple_t couple;
    couple_make_of(&couple, client, server);
    sp_pair_t *pairs[] = {couple.client.pair, couple.server.pair};
    for (int i = 0; i < 2; i++) {
      assert_string_equal(sp_pair_version(pairs[i]), "");
      assert_string_equal(sp_pair_cipher(pairs[i]), "");
      assert_int_equal(sp_pair_cipher_bits(pairs[i]), 0);
      assert_string_equal(sp_pair_group(pairs[i]), "");
      assert_string_equal(sp_pair_protocol(pairs[i], NULL), "");
      assert_false(sp_pair_is_resumed(pairs[i]));
      assert_false(sp_pair_is_authorized(pairs[i]));
      assert_int_equal(sp_pair_error(pairs[i])->status, 0);
      assert_non_null(sp_pair_ssl(pairs[i]));
      assert_null(sp_pair_data(pairs[i]));
      sp_pair_set_data(pairs[i], &couple);
      assert_ptr_equal(sp_pair_data(pairs[i]), &couple);
    }
    assert_int_equal(sp_pair_role(pairs[0]), SP_CLIENT);
    assert_int_equal(sp_pair_role(pairs[1]), SP_SERVER);
    assert_ptr_equal(sp_pair_context(pairs[0]), client);
    assert_ptr_equal(sp_pair_context(pairs[1]), server);
    couple.client.wanted = 1000;
    couple_shake_hands(&couple);
    for (int i = 0; i < 2; i++) {
      size_t n;
      assert_string_equal(sp_pair_version(pairs[i]), *version == SP_TLS1_3 ? "TLSv1.3" : "TLSv1.2");
      assert_string_equal(sp_pair_cipher(pairs[i]), *version == SP_TLS1_3
                                                        ? "TLS_AES_128_GCM_SHA256"
                                                        : "ECDHE-ECDSA-AES256-GCM-SHA384");
      assert_int_equal(sp_pair_cipher_bits(pairs[i]), *version == SP_TLS1_3 ? 128 : 256);
      assert_string_equal(sp_pair_group(pairs[i]), "x25519");
      assert_string_equal(sp_pair_protocol(pairs[i], &n), "h2");
      assert_int_equal(n, 2);
      assert_string_equal(sp_pair_server_name(pairs[i]), "localhost");
    }
    assert_true(sp_pair_is_authorized(pairs[0]));
    assert_null(sp_pair_authorization_error(pairs[0]));
    assert_null(sp_pair_verdict(pairs[0]));
    assert_false(sp_pair_is_authorized(pairs[1])); /* nobody was asked */
    assert_null(sp_pair_authorization_error(pairs[1]));
    assert_int_equal(sp_pair_bytes_in(pairs[0]), sp_pair_bytes_out(pairs[1]));
    assert_int_equal(sp_pair_bytes_in(pairs[1]), sp_pair_bytes_out(pairs[0]));
    sp_certificate_t *certificate = NULL;
    assert_int_equal(sp_pair_peer_certificate(pairs[0], &certificate), 0);
    sp_certificate_release(certificate);
    assert_int_equal(sp_pair_peer_certificate(pairs[1], &certificate), SP_ECERTIFICATE);
    couple_free(&couple);
    sp_context_release(client);
    sp_context_release(server);
  }
}

static void what_is_no_host_name_is_refused(void **unused) {
  (void)unused;
  static const char *const names[] = {"", " ", "a b", "exa\nmple", "a..b", "*.example"};
  for (size_t i = 0; i < COUNT(names); i++) {
    sp_pair_t *pair = NULL;
    sp_error_t why;
    int status =
        sp_pair_new(&pair, couple_client_context(SP_TLS1_3), SP_CLIENT, names[i], true, &why);
    if (status != SP_EOPTION)
      fail_msg("\"%s\": %s", names[i], sp_error_name(status));
    assert_null(pair);
    assert_non_null(strstr(why.text, "server name"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(handshake_in_every_size),
      cmocka_unit_test(lent_memory_of_every_size_up_to_a_record),
      cmocka_unit_test(no_more_than_the_bound_waits_for_the_transport),
      cmocka_unit_test(lending_twice_keeps_the_first),
      cmocka_unit_test(transfers_both_ways_in_random_sizes),
      cmocka_unit_test(cleartext_is_held_back_until_it_is_collected),
      cmocka_unit_test(many_records_come_out_at_once),
      cmocka_unit_test(buffers_may_go_at_any_time),
      cmocka_unit_test(either_may_end_first),
      cmocka_unit_test(an_end_without_room_waits_for_room),
      cmocka_unit_test(an_end_at_the_bound_waits_for_room),
      cmocka_unit_test(an_end_before_the_handshake_does_nothing),
      cmocka_unit_test(nothing_is_read_after_the_peers_end),
      cmocka_unit_test(a_missing_close_notify_is_seen),
      cmocka_unit_test(bytes_before_a_truncation_are_read_first),
      cmocka_unit_test(an_end_within_the_handshake_is_an_error),
      cmocka_unit_test(an_alert_comes_out_after_an_error),
      cmocka_unit_test(bytes_before_an_error_are_delivered),
      cmocka_unit_test(errors_of_others_do_not_matter),
      cmocka_unit_test(exported_keys_agree),
      cmocka_unit_test(a_hook_may_not_enter_its_pair),
      cmocka_unit_test(a_hook_may_be_waited_for),
      cmocka_unit_test(a_hook_may_refuse_later),
      cmocka_unit_test(a_hook_may_release_its_pair),
      cmocka_unit_test(a_pair_may_go_while_it_waits),
      cmocka_unit_test(a_waiting_pair_gives_bytes_back),
      cmocka_unit_test(facts),
      cmocka_unit_test(what_is_no_host_name_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
