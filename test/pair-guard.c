/*
 * The guard around a pair's engine: calls from its own hooks are refused (A02), what others left in
 * OpenSSL's error queue is not its own (A03), and a failed pair stays failed (A04).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "support/contexts.h"
#include "support/couple.h"
#include "support/fixture.h"
#include "support/signing.h"

enum { HELLO, NAME, ALPN, SIGN, HOOKS };
static const manner_t whole = {.read = 0};

/* -- A02: entered from a hook ------------------------------------------------------------------ */

static struct {
  void (*act)(sp_pair_t *pair); /* what the hook under test does */
  int hook, asked;
} now;

/* Assertions would jump off a hook's stack: failures are counted instead. */
static int wrong;
static void want(bool right) { wrong += !right; }

static void act_in(int hook, sp_pair_t *pair) {
  if (hook != now.hook)
    return;
  now.asked++;
  now.act(pair);
}

static int on_hello(sp_pair_t *pair, const sp_client_hello_t *hello, void *data) {
  (void)hello, (void)data;
  act_in(HELLO, pair);
  return 0;
}

static int on_name(sp_pair_t *pair, const char *name, void *data) {
  (void)name, (void)data;
  act_in(NAME, pair);
  return 0;
}

static int on_alpn(sp_pair_t *pair, const uint8_t *list, size_t n, void *data) {
  (void)list, (void)n, (void)data;
  act_in(ALPN, pair);
  return sp_pair_use_protocol(pair, "x", 1);
}

static int on_sign(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n, void *data) {
  const pki_t *pki = data;
  uint8_t signature[512];
  act_in(SIGN, pair);
  size_t size = signing_sign(pki->key, scheme, message, n, signature, sizeof signature);
  return size ? sp_pair_sign_with(pair, signature, size) : SP_ECRYPTO;
}

static sp_context_t *server_context, *client_context;

static void make_contexts(sp_protocol_t version) {
  const pki_t *pki = pki_default()->server;
  server_context =
      context_made(SP_OPTIONS(.cert = pki->cert_pem,
                              .hooks = {.client_hello = on_hello,
                                        .server_name = on_name,
                                        .alpn = on_alpn,
                                        .sign = on_sign},
                              .hooks_data = (void *)(uintptr_t)pki, .max_version = version));
  client_context = context_made(SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem),
                                           .alpn = SP_LIST("x"), .max_version = version));
}

static void free_contexts(void) {
  sp_context_release(server_context);
  sp_context_release(client_context);
}

static void enter_again(sp_pair_t *pair) {
  uint8_t room[16];
  const void *bytes;
  size_t n = 77;
  want(sp_pair_encrypted_in(pair, "x", 1) == SP_EREENTRY);
  want(sp_pair_encrypted_end(pair) == SP_EREENTRY);
  want(sp_pair_cleartext_in(pair, "x", 1, &n) == SP_EREENTRY && n == 0);
  n = 77;
  want(sp_pair_cleartext_out(pair, room, sizeof room, &n) == SP_EREENTRY && n == 0);
  want(sp_pair_end(pair) == SP_EREENTRY);
  want(sp_pair_resume(pair, 0) == SP_EREENTRY);
  want(sp_pair_export_key(pair, room, sizeof room, "EXPORTER-x", NULL, 0) < 0);
  /* these only look */
  want(!(sp_pair_state(pair) & (SP_PAIR_SECURE | SP_PAIR_FAILED | SP_PAIR_WAITING)));
  want(sp_pair_error(pair)->status == 0);
  want(sp_pair_role(pair) == SP_SERVER && !sp_pair_is_authorized(pair));
  (void)sp_pair_encrypted_out(pair, &bytes);
  sp_pair_release_buffers(pair);
  want(sp_pair_bytes_in(pair) > 0 && !*sp_pair_version(pair));
}

/* A whole other connection within the hook of this one. */
static void another_connection(sp_pair_t *pair) {
  (void)pair;
  couple_t inner;
  now.hook = HOOKS; /* its hooks do nothing */
  couple_make_of(&inner, client_context, server_context);
  couple_run(&inner, &whole);
  want(sp_pair_state(inner.client.pair) & sp_pair_state(inner.server.pair) & SP_PAIR_SECURE);
  couple_free(&inner);
}

static void in_every_hook(void (*act)(sp_pair_t *pair)) {
  for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3;
       version = (sp_protocol_t)(version + 1))
    for (int hook = HELLO; hook < HOOKS; hook++) {
      couple_t couple;
      make_contexts(version);
      couple_make_of(&couple, client_context, server_context);
      now.act = act;
      now.hook = hook;
      now.asked = wrong = 0;
      couple_shake_hands(&couple);
      assert_int_equal(now.asked, 1);
      assert_int_equal(wrong, 0);
      couple_free(&couple);
      free_contexts();
    }
}

static void a02_reentry_is_refused(void **state) {
  (void)state;
  in_every_hook(enter_again);
}

static void a02_another_connection_in_a_hook(void **state) {
  (void)state;
  in_every_hook(another_connection);
}

/* Released in its own hook: it lives until the hook's caller is done, and leaves nothing behind. */
static void a02_released_in_a_hook(void **state) {
  (void)state;
  for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3;
       version = (sp_protocol_t)(version + 1))
    for (int hook = HELLO; hook < HOOKS; hook++) {
      sp_pair_t *client, *server;
      const void *bytes;
      make_contexts(version);
      assert_int_equal(sp_pair_new(&client, client_context, SP_CLIENT, "localhost", true, NULL), 0);
      assert_int_equal(sp_pair_new(&server, server_context, SP_SERVER, NULL, false, NULL), 0);
      now.act = sp_pair_release;
      now.hook = hook;
      now.asked = 0;
      size_t n = sp_pair_encrypted_out(client, &bytes);
      (void)sp_pair_encrypted_in(server, bytes, n);
      assert_int_equal(now.asked, 1);
      sp_pair_release(client);
      free_contexts();
    }
}

/* -- A03: what others left behind -------------------------------------------------------------- */

static void plant(void) {
  ERR_raise(ERR_LIB_SSL, SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED);
  ERR_raise(ERR_LIB_X509, 999);
}

static void plant_in_hook(sp_pair_t *pair) {
  (void)pair;
  plant();
}

/* One whole connection, a few bytes at a time, with strangers' errors before every step. */
static void a03_stale_errors(void **state) {
  (void)state;
  for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3;
       version = (sp_protocol_t)(version + 1)) {
    const manner_t manner = {.offer = 7, .read = 100, .write = 300};
    couple_t couple;
    bool moved = true;
    couple_make(&couple, version);
    couple.client.wanted = couple.server.wanted = 20000;
    while (moved) {
      plant();
      moved = side_step(&couple.client, &manner, &couple.server.in);
      plant();
      moved = side_step(&couple.server, &manner, &couple.client.in) || moved;
    }
    assert_int_equal(couple.client.got, 20000);
    assert_int_equal(couple.server.got, 20000);
    assert_false(couple.client.wrong || couple.server.wrong);
    plant();
    assert_int_equal(sp_pair_end(couple.client.pair), 0);
    assert_int_equal(ERR_peek_error(), 0);
    couple_free(&couple);
  }
  in_every_hook(plant_in_hook);
}

/* A real failure is told as what it is, whatever lay in the queue. */
static void a03_not_misattributed(void **state) {
  (void)state;
  couple_t couple;
  couple_make(&couple, SP_TLS1_3);
  plant();
  assert_true(sp_pair_encrypted_in(couple.server.pair, "GET / HTTP/1.1\r\n\r\n", 18) < 0);
  const sp_error_t *error = sp_pair_error(couple.server.pair);
  assert_int_equal(error->status, SP_EHTTP);
  assert_int_equal(ERR_GET_REASON(error->reason), SSL_R_HTTP_REQUEST);
  assert_int_equal(ERR_peek_error(), 0);
  couple_free(&couple);
}

/* A fails in the midst of B's life: B never hears of it. */
static void a03_errors_of_another_connection(void **state) {
  (void)state;
  couple_t good;
  couple_make(&good, SP_TLS1_3);
  couple_shake_hands(&good);
  for (int i = 0; i < 20; i++) {
    couple_t bad;
    couple_make(&bad, i % 2 ? SP_TLS1_2 : SP_TLS1_3);
    if (i % 4 < 2)
      couple_shake_hands(&bad);
    assert_true(side_offer(&bad.server, "\x17\x03\x03\0\x14junkjunkjunkjunkjunk", 25) < 0);
    good.client.wanted += 100;
    good.server.wanted += 100;
    couple_run(&good, &whole);
    assert_int_equal(sp_pair_error(good.client.pair)->status, 0);
    assert_int_equal(sp_pair_error(good.server.pair)->status, 0);
    assert_true(sp_pair_error(bad.server.pair)->status < 0);
    couple_free(&bad);
  }
  assert_int_equal(good.server.got, 2000);
  couple_free(&good);
}

static void plant_at(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  plant();
  if (event == ON_SECURE && !actor->is_server)
    assert_int_equal(actor_write(actor, "hello", 5), 1);
  if (event == ON_DATA && actor->is_server)
    assert_int_equal(actor_write(actor, "hello", 5), 1);
  if (event == ON_DATA && !actor->is_server)
    sp_stream_end(actor->stream);
}

static void a03_in_the_callbacks_of_streams(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  f->react = plant_at;
  fixture_serve(f, FIXTURE_SERVER());
  for (int i = 0; i < 10; i++) {
    plant();
    fixture_connect(f, FIXTURE_CLIENT(f))->react = plant_at;
  }
  fixture_run(f);
  for (size_t i = 0; i < f->count; i++)
    assert_string_equal(f->actors[i]->log, f->actors[i]->is_server ? "secure data write end close"
                                                                   : "secure write data close");
  fixture_free(f);
  ERR_clear_error();
}

/* -- A04: after a fatal error ------------------------------------------------------------------ */

#define SECRET "the plaintext that must not be seen"

static void expect_dead(sp_pair_t *pair) {
  uint8_t room[256];
  size_t n = 77;
  int status = sp_pair_error(pair)->status;
  assert_true(status < 0);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(sp_pair_cleartext_in(pair, SECRET, sizeof SECRET, &n), status);
    assert_int_equal(n, 0);
    assert_int_equal(sp_pair_cleartext_out(pair, room, sizeof room, &n), status);
    assert_int_equal(n, 0);
    assert_int_equal(sp_pair_encrypted_in(pair, "\x16\x03\x01", 3), status);
    assert_int_equal(sp_pair_encrypted_release(pair), 0);
    assert_int_equal(sp_pair_end(pair), status);
    assert_int_equal(sp_pair_encrypted_end(pair), status);
    assert_int_equal(sp_pair_resume(pair, 0), status);
    sp_pair_release_buffers(pair);
    assert_int_equal(sp_pair_error(pair)->status, status);
    assert_true(sp_pair_state(pair) & SP_PAIR_FAILED);
    assert_false(sp_pair_state(pair) &
                 (SP_PAIR_TAKES_CLEARTEXT | SP_PAIR_HAS_CLEARTEXT | SP_PAIR_WANTS_ENCRYPTED));
  }
}

/* What is still to be sent is an alert at most, and nothing of what was written afterwards. */
static void expect_alert_at_most(sp_pair_t *pair) {
  const void *bytes;
  size_t n, sum = 0;
  while ((n = sp_pair_encrypted_out(pair, &bytes))) {
    assert_null(memmem(bytes, n, SECRET, 10));
    sum += n;
    sp_pair_encrypted_sent(pair, n);
  }
  assert_in_range(sum, 0, 64);
}

static void a04_after_a_failed_handshake(void **state) {
  (void)state;
  for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3;
       version = (sp_protocol_t)(version + 1)) {
    couple_t couple;
    sp_context_t *stranger =
        context_made(SP_OPTIONS(.ca = SP_LIST(pki_default()->stranger_root->cert_pem),
                                .min_version = version, .max_version = version));
    couple_make_of(&couple, stranger, couple_server_context(version));
    couple_run(&couple, &whole);
    assert_int_equal(sp_pair_error(couple.client.pair)->status, SP_EUNAUTHORIZED);
    assert_int_equal(sp_pair_error(couple.server.pair)->status, SP_EALERT);
    expect_dead(couple.client.pair);
    expect_dead(couple.server.pair);
    expect_alert_at_most(couple.client.pair);
    expect_alert_at_most(couple.server.pair);
    couple_free(&couple);
    sp_context_release(stranger);
  }
}

static void a04_junk_ahead_of_the_handshake(void **state) {
  (void)state;
  couple_t couple;
  couple_make(&couple, SP_TLS1_3);
  assert_true(sp_pair_encrypted_in(couple.server.pair, "junk, not TLS", 13) < 0);
  (void)sp_pair_encrypted_release(couple.server.pair);
  expect_dead(couple.server.pair);
  expect_alert_at_most(couple.server.pair);
  couple_free(&couple);
}

/* A damaged record, then good ones: those are not read any more. */
static void a04_after_a_bad_record(void **state) {
  (void)state;
  for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3;
       version = (sp_protocol_t)(version + 1)) {
    couple_t couple;
    wire_t wire = {0};
    size_t took;
    couple_make(&couple, version);
    couple_shake_hands(&couple);
    assert_int_equal(sp_pair_cleartext_in(couple.client.pair, "first", 5, &took), 0);
    side_collect(&couple.client, &whole, &wire);
    size_t first = wire.size;
    assert_int_equal(sp_pair_cleartext_in(couple.client.pair, "second", 6, &took), 0);
    side_collect(&couple.client, &whole, &wire);
    wire.bytes[first - 1] ^= 1;
    uint64_t before = couple.server.got;
    assert_int_equal(side_offer(&couple.server, wire.bytes, wire.size), SP_EPROTOCOL);
    assert_int_equal(couple.server.got, before);
    expect_dead(couple.server.pair);
    expect_alert_at_most(couple.server.pair);
    wire_free(&wire);
    couple_free(&couple);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a02_reentry_is_refused),
      cmocka_unit_test(a02_another_connection_in_a_hook),
      cmocka_unit_test(a02_released_in_a_hook),
      cmocka_unit_test(a03_stale_errors),
      cmocka_unit_test(a03_not_misattributed),
      cmocka_unit_test(a03_errors_of_another_connection),
      cmocka_unit_test(a03_in_the_callbacks_of_streams),
      cmocka_unit_test(a04_after_a_failed_handshake),
      cmocka_unit_test(a04_junk_ahead_of_the_handshake),
      cmocka_unit_test(a04_after_a_bad_record),
  };
  return cmocka_run_group_tests_name("pair-guard", tests, NULL, NULL);
}
