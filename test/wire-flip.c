/*
 * W24: one bit of one byte of an encrypted record is wrong: the record is not delivered, what came
 * before it is, and the peer is told. Every byte of the record, both directions, both versions, in
 * the middle of the data and in the last messages of the handshake.
 * W06: a record of TLS 1.3 that unpacks to more than is allowed.
 * W28: early data that nobody asked for is passed over, and the handshake goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>

#include "support/couple.h"
#include "support/liar.h"

static const sp_protocol_t versions[] = {SP_TLS1_2, SP_TLS1_3};
#define EACH_VERSION(v) for (const sp_protocol_t *v = versions; v < versions + 2; v++)
#define RECORD 60 /* bytes of cleartext in the records under test */

static const manner_t plainly = {0};

/* -- W24: data --------------------------------------------------------------------------------- */

static size_t add_record(side_t *from, side_t *to) {
  size_t before = wire_left(&to->in);
  from->wanted += RECORD;
  (void)side_step(from, &plainly, &to->in);
  return wire_left(&to->in) - before;
}

/* In the header it may also be the type, the version or the length that is wrong. */
static bool is_expected(const sp_error_t *error, size_t byte) {
  if (byte >= 5)
    return error->status == SP_EPROTOCOL && error->alert == SSL_AD_BAD_RECORD_MAC;
  return error->status == SP_EPROTOCOL || error->status == SP_ENOTTLS;
}

/* A length that has grown may swallow the records that follow or wait for more, until the end. */
static bool waits_for_more(const side_t *bad, size_t byte) {
  return (byte == 3 || byte == 4) && !(sp_pair_state(bad->pair) & SP_PAIR_FAILED) &&
         sp_pair_encrypted_end(bad->pair) == 0 && sp_pair_state(bad->pair) & SP_PAIR_TRUNCATED;
}

static void check_flipped(couple_t *couple, side_t *bad, side_t *good, sp_protocol_t version,
                          size_t byte, unsigned bit) {
  uint8_t room[100];
  size_t got;
  assert_false(bad->wrong);
  if (bad->got != RECORD) /* the one before it, not a byte of it or of the one after it */
    fail_msg("byte %zu bit %u: %zu bytes came out", byte, bit, (size_t)bad->got);
  if (waits_for_more(bad, byte))
    return;
  const sp_error_t *error = sp_pair_error(bad->pair);
  if (!is_expected(error, byte))
    fail_msg("version %#x byte %zu bit %u: %s: %s (alert %d)", version, byte, bit,
             sp_error_name(error->status), error->text, error->alert);
  assert_int_equal(sp_pair_cleartext_out(bad->pair, room, sizeof room, &got), error->status);
  assert_int_equal(got, 0);
  if (error->alert < 0)
    return;
  couple_run(couple, &plainly);
  assert_int_equal(sp_pair_error(good->pair)->status, SP_EALERT);
  assert_int_equal(sp_pair_error(good->pair)->alert, error->alert);
}

static void keep(couple_t *couple, sp_protocol_t version) {
  couple_make(couple, version);
  couple_shake_hands(couple);
}

/* Answers how many bytes the record has. */
static size_t try_flip(sp_protocol_t version, bool to_server, size_t byte, unsigned bit) {
  couple_t couple;
  keep(&couple, version);
  side_t *bad = to_server ? &couple.server : &couple.client;
  side_t *good = to_server ? &couple.client : &couple.server;
  size_t first = add_record(good, bad), second = add_record(good, bad);
  (void)add_record(good, bad);
  bad->in.bytes[bad->in.taken + first + byte] ^= (uint8_t)(1u << bit);
  couple_run(&couple, &plainly);
  check_flipped(&couple, bad, good, version, byte, bit);
  couple_free(&couple);
  return second;
}

static void a_flipped_bit_in_each_byte_of_a_record(void **state) {
  (void)state;
  dice_seed();
  EACH_VERSION(version)
  for (int to_server = 0; to_server < 2; to_server++) {
    size_t all = 1;
    for (size_t byte = 0; byte < all; byte++)
      all = try_flip(*version, to_server, byte, dice(8));
    assert_true(all > RECORD + 16);
    for (unsigned bit = 0; bit < 8; bit++) /* the header in full */
      for (size_t byte = 0; byte < 5; byte++)
        (void)try_flip(*version, to_server, byte, bit);
  }
}

/* -- W24: the encrypted part of the handshake -------------------------------------------------- */

/* Where the first record of the given type begins; SIZE_MAX: there is none. */
static size_t find_record(const uint8_t *bytes, size_t n, uint8_t type) {
  for (size_t at = 0; at + 5 <= n; at += 5u + (size_t)(bytes[at + 3] << 8 | bytes[at + 4]))
    if (bytes[at] == type)
      return at;
  return SIZE_MAX;
}

/* Where the encrypted records of the bytes that wait for a side begin. */
static size_t find_encrypted(const side_t *side, sp_protocol_t version) {
  const uint8_t *bytes = side->in.bytes + side->in.taken;
  size_t n = wire_left(&side->in);
  if (version == SP_TLS1_3)
    return find_record(bytes, n, SSL3_RT_APPLICATION_DATA);
  size_t ccs = find_record(bytes, n, SSL3_RT_CHANGE_CIPHER_SPEC);
  return ccs == SIZE_MAX ? ccs : ccs + 6;
}

/* Steps until encrypted bytes wait for `side`. */
static size_t shake_hands_up_to(couple_t *couple, const side_t *side, sp_protocol_t version) {
  size_t at;
  do {
    (void)side_step(&couple->client, &plainly, &couple->server.in);
    if (side == &couple->server && (at = find_encrypted(side, version)) != SIZE_MAX)
      return at;
    (void)side_step(&couple->server, &plainly, &couple->client.in);
    at = side == &couple->client ? find_encrypted(side, version) : SIZE_MAX;
  } while (at == SIZE_MAX);
  return at;
}

static size_t try_flip_in_handshake(sp_protocol_t version, bool to_server, size_t byte) {
  couple_t couple;
  couple_make(&couple, version);
  side_t *bad = to_server ? &couple.server : &couple.client;
  size_t at = shake_hands_up_to(&couple, bad, version), n = wire_left(&bad->in) - at;
  if (byte >= n) { /* signatures differ in length */
    couple_free(&couple);
    return n;
  }
  bad->in.bytes[bad->in.taken + at + byte] ^= (uint8_t)(1u << dice(8));
  couple_run(&couple, &plainly);
  if (sp_pair_state(bad->pair) & SP_PAIR_SECURE)
    fail_msg("version %#x byte %zu: secure", version, byte);
  if (!(sp_pair_state(bad->pair) & SP_PAIR_FAILED)) /* a length that has grown */
    assert_int_equal(sp_pair_encrypted_end(bad->pair), SP_EEARLYCLOSE);
  int status = sp_pair_error(bad->pair)->status;
  if (status != SP_EPROTOCOL && status != SP_EEARLYCLOSE && status != SP_ENOTTLS)
    fail_msg("version %#x byte %zu: %s: %s", version, byte, sp_error_name(status),
             sp_pair_error(bad->pair)->text);
  couple_free(&couple);
  return n;
}

static void a_flipped_bit_in_each_encrypted_byte_of_a_handshake(void **state) {
  (void)state;
  EACH_VERSION(version)
  for (int to_server = 0; to_server < 2; to_server++) {
    size_t all = 1;
    for (size_t byte = 0; byte < all; byte++)
      all = try_flip_in_handshake(*version, to_server, byte);
    assert_true(all > 20);
  }
}

/* A bit of what is not encrypted: whatever it does, both ends never agree on something else. */
static void a_flipped_bit_in_each_clear_byte_of_a_hello(void **state) {
  (void)state;
  EACH_VERSION(version) {
    size_t all = 1;
    for (size_t byte = 0; byte < all; byte++) {
      couple_t couple;
      couple_make(&couple, *version);
      side_collect(&couple.client, &plainly, &couple.server.in);
      all = couple.server.in.size;
      couple.server.in.bytes[byte] ^= (uint8_t)(1u << dice(8));
      couple_run(&couple, &plainly);
      unsigned one = sp_pair_state(couple.client.pair), other = sp_pair_state(couple.server.pair);
      /* the version of the first record counts for nothing, RFC 8446 5.1 */
      if ((one | other) & SP_PAIR_SECURE && byte != 2)
        fail_msg("version %#x byte %zu: secure", *version, byte);
      couple_free(&couple);
    }
  }
}

/* -- W24: records that come twice, not at all, or in another order ----------------------------- */

typedef enum mishap { TWICE, MISSING, SWAPPED, LATER_VERSION, MISHAPS } mishap_t;

/* Three records wait for `bad`; the second one meets with the mishap. */
static void apply(mishap_t mishap, side_t *bad, size_t size) {
  uint8_t *second = bad->in.bytes + bad->in.taken + size, copy[200];
  assert_int_equal(wire_left(&bad->in), 3 * size);
  memcpy(copy, second, size);
  if (mishap == TWICE)
    memcpy(second + size, copy, size);
  else if (mishap == MISSING)
    memcpy(second, second + size, size);
  else if (mishap == LATER_VERSION)
    second[2] = 4;
  if (mishap != SWAPPED)
    return;
  memcpy(second, second + size, size);
  memcpy(second + size, copy, size);
}

static void records_out_of_order(void **state) {
  (void)state;
  EACH_VERSION(version)
  for (int i = 0; i < 2 * MISHAPS; i++) {
    couple_t couple;
    keep(&couple, *version);
    side_t *bad = i % 2 ? &couple.server : &couple.client;
    side_t *good = i % 2 ? &couple.client : &couple.server;
    size_t size = add_record(good, bad);
    (void)add_record(good, bad);
    (void)add_record(good, bad);
    apply((mishap_t)(i / 2), bad, size);
    couple_run(&couple, &plainly);
    assert_int_equal(sp_pair_error(bad->pair)->status, SP_EPROTOCOL);
    assert_int_equal(bad->got, (i / 2 == TWICE ? 2 : 1) * RECORD); /* what came before it */
    assert_false(bad->wrong);
    couple_free(&couple);
  }
}

/* -- W24: over sockets ------------------------------------------------------------------------- */

static void say_three_things(liar_t *liar) {
  const size_t *flip = liar->data;
  (void)liar_says(liar, "one", 3, 0);
  (void)liar_says(liar, "two", 3, *flip);
  (void)liar_says(liar, "three", 5, 0);
}

static void hear_the_first_only(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_DATA && (actor->n != 3 || memcmp(actor->bytes, "one", 3)))
    fail_msg("%.*s came out", (int)actor->n, (const char *)actor->bytes);
}

static const actor_t *meet_liar(fixture_t *f, raws_t *raws, sp_protocol_t version, bool is_server,
                                liar_t *liar) {
  raws_begin(raws, f);
  f->react = hear_the_first_only;
  if (is_server) {
    fixture_serve(f, SP_OPTIONS(.context = couple_server_context(version)));
    (void)raw_connect(raws, liar_opens, liar);
    raws_run(raws);
    return fixture_served(f, 0);
  }
  raw_listen(raws, liar_opens, liar);
  actor_t *client = fixture_connect(f, SP_OPTIONS(.context = couple_client_context(version),
                                                  .server_name = "localhost", .host = "127.0.0.1",
                                                  .port = raws->port));
  client->react = hear_the_first_only;
  raws_run(raws);
  return client;
}

/* The header's type, the first byte, one in the middle, the last of the tag. */
static void a_flipped_bit_over_sockets(void **state) {
  (void)state;
  static const size_t flips[] = {1, 6, 9, 3 + 1 + 16 + 5};
  EACH_VERSION(version)
  for (size_t i = 0; i < 8; i++) {
    fixture_t *f = fixture_new();
    raws_t raws;
    size_t flip = flips[i / 2];
    liar_t liar = {.limit = SIZE_MAX, .end = NEVER, .when_secure = say_three_things, .data = &flip};
    liar.context = i % 2 ? couple_client_context(*version) : couple_server_context(*version);
    const actor_t *actor = meet_liar(f, &raws, *version, i % 2, &liar);
    if (strcmp(actor->log, "secure data error(SP_EPROTOCOL) close"))
      fail_msg("version %#x flip %zu: %s", *version, flip, actor->log);
    assert_int_equal(actor->received, 3);
    assert_int_equal(raws.first->over, UV_EOF);
    const sp_error_t *told = sp_pair_error(liar.pair);
    assert_int_equal(told->status, SP_EALERT);
    assert_int_equal(told->alert, actor->error.alert);
    if (flip > 5)
      assert_int_equal(told->alert, SSL_AD_BAD_RECORD_MAC);
    raws_free(&raws);
    fixture_free(f);
    sp_pair_release(liar.pair);
  }
}

/* -- W06: forged records of TLS 1.3 ------------------------------------------------------------ */

static uint8_t secret[32];

/* "CLIENT_TRAFFIC_SECRET_0 <random> <secret>" */
static void on_key(const SSL *ssl, const char *line) {
  (void)ssl;
  if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24))
    return;
  const char *hex = strrchr(line, ' ') + 1;
  assert_int_equal(strlen(hex), 64);
  for (size_t i = 0; i < 32; i++)
    assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &secret[i]), 1);
}

/* HKDF-Expand-Label of RFC 8446 7.1 without context. */
static void expand(uint8_t *out, size_t n, const char *label) {
  uint8_t info[40];
  size_t size = strlen(label);
  info[0] = 0;
  info[1] = (uint8_t)n;
  info[2] = (uint8_t)(6 + size);
  memcpy(info + 3, "tls13 ", 6);
  memcpy(info + 9, label, size);
  info[9 + size] = 0;
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
  assert_true(EVP_PKEY_derive_init(ctx) == 1 &&
              EVP_PKEY_CTX_set_hkdf_mode(ctx, EVP_KDF_HKDF_MODE_EXPAND_ONLY) == 1 &&
              EVP_PKEY_CTX_set_hkdf_md(ctx, EVP_sha256()) == 1 &&
              EVP_PKEY_CTX_set1_hkdf_key(ctx, secret, sizeof secret) == 1 &&
              EVP_PKEY_CTX_add1_hkdf_info(ctx, info, (int)(10 + size)) == 1 &&
              EVP_PKEY_derive(ctx, out, &n) == 1);
  EVP_PKEY_CTX_free(ctx);
}

/* The client's record number `sequence`: n bytes of inner plaintext, content type included. */
static void forge(wire_t *to, unsigned char sequence, const uint8_t *inner, size_t n) {
  uint8_t key[16] = {0}, iv[12] = {0}, *out = malloc(n + 16);
  size_t size = n + 16;
  uint8_t header[] = {0x17, 3, 3, (uint8_t)(size >> 8), (uint8_t)size};
  int done;
  expand(key, sizeof key, "key");
  expand(iv, sizeof iv, "iv");
  iv[11] ^= sequence;
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  assert_true(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, iv) == 1 &&
              EVP_EncryptUpdate(ctx, NULL, &done, header, sizeof header) == 1 &&
              EVP_EncryptUpdate(ctx, out, &done, inner, (int)n) == 1 &&
              EVP_EncryptFinal_ex(ctx, out + done, &done) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, out + n) == 1);
  EVP_CIPHER_CTX_free(ctx);
  wire_add(to, header, sizeof header);
  wire_add(to, out, size);
  free(out);
}

static void shake_hands_and_tell_the_key(couple_t *couple) {
  sp_context_t *client = couple_client_context(SP_TLS1_3);
  SSL_CTX_set_keylog_callback(sp_context_ssl_ctx(client), on_key);
  keep(couple, SP_TLS1_3);
  SSL_CTX_set_keylog_callback(sp_context_ssl_ctx(client), NULL);
  assert_string_equal(sp_pair_cipher(couple->client.pair), "TLS_AES_128_GCM_SHA256");
}

typedef struct forged {
  const char *name;
  size_t n;     /* of zeros before the content type */
  uint8_t type; /* content type; 0: the record is nothing but padding */
  int status, alert;
  size_t delivered;
} forged_t;

static void records_that_unpack_to_too_much_or_nothing(void **state) {
  (void)state;
  static const forged_t cases[] = {
      {"2^14 bytes", 16384, 23, 0, -1, 16384},
      {"nothing, of data", 0, 23, 0, -1, 0},
      {"W06 2^14+1 bytes", 16385, 23, SP_EPROTOCOL, SSL_AD_RECORD_OVERFLOW, 0},
      {"W06 2^14+200 bytes", 16384 + 200, 23, SP_EPROTOCOL, SSL_AD_RECORD_OVERFLOW, 0},
      {"padding only", 100, 0, SP_EPROTOCOL, SSL_AD_UNEXPECTED_MESSAGE, 0},
      {"an alert without content", 0, 21, SP_EPROTOCOL, SSL_AD_UNEXPECTED_MESSAGE, 0},
      {"an unknown type", 10, 99, SP_EPROTOCOL, SSL_AD_UNEXPECTED_MESSAGE, 0},
      {"a change of ciphers, encrypted", 1, 20, SP_EPROTOCOL, SSL_AD_UNEXPECTED_MESSAGE, 0},
  };
  static uint8_t inner[17000];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const forged_t *forged = &cases[i];
    couple_t couple;
    uint8_t room[20000];
    size_t got;
    shake_hands_and_tell_the_key(&couple);
    wire_t record = {0};
    memset(inner, 0, sizeof inner);
    inner[forged->n] = forged->type;
    forge(&record, 0, inner, forged->n + 1);
    sp_pair_t *server = couple.server.pair;
    assert_int_equal(sp_pair_encrypted_in(server, record.bytes, record.size), 0);
    int status = sp_pair_cleartext_out(server, room, sizeof room, &got);
    (void)sp_pair_encrypted_release(server);
    if (status != forged->status || got != forged->delivered ||
        (status && sp_pair_error(server)->alert != forged->alert))
      fail_msg("%s: %s, alert %d, %zu bytes: %s", forged->name, sp_error_name(status),
               sp_pair_error(server)->alert, got, sp_pair_error(server)->text);
    wire_free(&record);
    couple_free(&couple);
  }
}

/* -- W28: early data --------------------------------------------------------------------------- */

/* An OpenSSL client in memory against a pair. */
typedef struct stranger {
  SSL *ssl;
  BIO *in, *out;
} stranger_t;

static SSL_CTX *stranger_ctx(void) {
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  assert_non_null(ctx);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
  return ctx;
}

static stranger_t stranger_make(SSL_CTX *ctx) {
  stranger_t stranger = {SSL_new(ctx), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())};
  assert_non_null(stranger.ssl);
  SSL_set_bio(stranger.ssl, stranger.in, stranger.out);
  SSL_set_connect_state(stranger.ssl);
  return stranger;
}

/* Carries everything to and fro until nothing moves; the stranger reads all it gets. */
static void exchange(stranger_t *stranger, side_t *server) {
  char bytes[4000], room[100];
  int n;
  size_t moved;
  do {
    moved = 0;
    (void)SSL_do_handshake(stranger->ssl);
    while ((n = BIO_read(stranger->out, bytes, sizeof bytes)) > 0) {
      (void)side_offer(server, bytes, (size_t)n);
      moved += (size_t)n;
    }
    wire_t wire = {0};
    side_collect(server, &plainly, &wire);
    if (wire.size)
      assert_int_equal(BIO_write(stranger->in, wire.bytes, (int)wire.size), wire.size);
    moved += wire.size;
    wire_free(&wire);
    if (SSL_is_init_finished(stranger->ssl))
      (void)SSL_read(stranger->ssl, room, sizeof room);
  } while (moved);
}

static side_t server_side(void) {
  side_t side = {.seed = 89};
  assert_int_equal(
      sp_pair_new(&side.pair, couple_server_context(SP_TLS1_3), SP_SERVER, NULL, false, NULL), 0);
  return side;
}

static SSL_SESSION *get_session(SSL_CTX *ctx) {
  stranger_t stranger = stranger_make(ctx);
  side_t server = server_side();
  exchange(&stranger, &server);
  SSL_SESSION *session = SSL_get1_session(stranger.ssl);
  assert_true(SSL_SESSION_is_resumable(session));
  assert_int_equal(SSL_SESSION_get_max_early_data(session), 0); /* it is not offered */
  SSL_set_shutdown(stranger.ssl, SSL_SENT_SHUTDOWN);            /* or SSL_free spoils the session */
  SSL_free(stranger.ssl);
  sp_pair_release(server.pair);
  return session;
}

static void early_data_is_passed_over(void **state) {
  (void)state;
  static const size_t sizes[] = {1, 100, 5000, 16000};
  SSL_CTX *ctx = stranger_ctx();
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    SSL_SESSION *session = get_session(ctx);
    char early[16000] = "early";
    size_t wrote;
    assert_int_equal(SSL_SESSION_set_max_early_data(session, 16384), 1); /* it takes it anyway */
    stranger_t stranger = stranger_make(ctx);
    side_t server = server_side();
    assert_int_equal(SSL_set_session(stranger.ssl, session), 1);
    if (SSL_write_early_data(stranger.ssl, early, sizes[i], &wrote) != 1)
      fail_msg("no early data was sent: %s", SSL_state_string_long(stranger.ssl));
    exchange(&stranger, &server);
    if (!SSL_is_init_finished(stranger.ssl) || !(sp_pair_state(server.pair) & SP_PAIR_SECURE))
      fail_msg("after %zu early bytes: %s; %s", sizes[i], SSL_state_string_long(stranger.ssl),
               sp_pair_error(server.pair)->text);
    assert_int_equal(SSL_get_early_data_status(stranger.ssl), SSL_EARLY_DATA_REJECTED);
    assert_true(sp_pair_state(server.pair) & SP_PAIR_SECURE);
    assert_true(sp_pair_is_resumed(server.pair));
    assert_int_equal(server.got, 0);
    uint8_t late[] = {side_byte(17, 0), side_byte(17, 1), side_byte(17, 2)};
    assert_int_equal(SSL_write(stranger.ssl, late, 3), 3);
    exchange(&stranger, &server);
    assert_int_equal(server.got, 3);
    assert_false(server.wrong);
    SSL_free(stranger.ssl);
    SSL_SESSION_free(session);
    sp_pair_release(server.pair);
  }
  SSL_CTX_free(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_flipped_bit_in_each_byte_of_a_record),
      cmocka_unit_test(a_flipped_bit_in_each_encrypted_byte_of_a_handshake),
      cmocka_unit_test(a_flipped_bit_in_each_clear_byte_of_a_hello),
      cmocka_unit_test(records_out_of_order),
      cmocka_unit_test(a_flipped_bit_over_sockets),
      cmocka_unit_test(records_that_unpack_to_too_much_or_nothing),
      cmocka_unit_test(early_data_is_passed_over),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
