/*
 * A16: contexts released while their connections live, and 10,000 swaps under load: no handshake
 * fails, no key meets another one's certificate, nothing is left of what was swapped out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/contexts.h"
#include "support/fixture.h"

#define SWAPS 10000u
#define CLIENTS 100u /* in all */
#define AT_ONCE 8u   /* at a time */
#define PAIRS 6u     /* of key and certificate */
#define NAMES 3u     /* "0.mail.example" ... */
#define SWAPS_A_TURN 40u

/* The released context's connections go on, and new ones are made. */
static void talk(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE) {
    assert_int_equal(status, 0);
    sp_stream_send(actor->stream, "hello", 5);
  }
}

static bool have_talked(fixture_t *f) {
  return f->actors[0]->received == 5 && f->served == 1 && fixture_served(f, 0)->received == 5;
}

static void end_both(fixture_t *f) {
  for (size_t i = 0; i < f->count; i++)
    if (f->actors[i]->stream)
      sp_stream_end(f->actors[i]->stream);
}

static void released_while_in_use(void **state) {
  (void)state;
  for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++) {
    fixture_t *f = fixture_new();
    sp_context_t *server = context_made(FIXTURE_SERVER(.max_version = (sp_protocol_t)version));
    sp_context_t *second = context_made(FIXTURE_SERVER());
    sp_context_t *client = context_made(SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem)));
    f->react = talk;
    fixture_serve(f, SP_OPTIONS(.context = server));
    sp_context_release(server);
    actor_t *actor =
        fixture_connect(f, SP_OPTIONS(.host = "127.0.0.1", .port = f->port, .context = client));
    sp_context_release(client);
    actor->react = talk;
    fixture_run_until(f, have_talked);
    assert_int_equal(sp_server_set_context(f->server, second),
                     0); /* the last hold but the pairs' */
    sp_context_release(second);
    sp_stream_send(actor->stream, "again", 5);
    sp_stream_send(fixture_served(f, 0)->stream, "again", 5);
    while (actor->received < 10 || fixture_served(f, 0)->received < 10)
      uv_run(&f->loop, UV_RUN_ONCE);
    end_both(f);
    fixture_run(f);
    fixture_free(f);
  }
}

/* -- under load -------------------------------------------------------------------------------- */

static struct {
  fixture_t *f;
  sp_context_t *contexts[PAIRS], *client;
  const pki_t *pairs[PAIRS];
  uv_idle_t idle;
  unsigned swaps, clients, alive, seen[PAIRS];
  uint32_t random;
} now;

static uint32_t dice(uint32_t sides) {
  now.random = now.random * 1664525u + 1013904223u;
  return (now.random >> 16) % sides;
}

/* Every kind of key, so that a mixed-up pair could not even sign. */
static sp_context_t *make_context(unsigned i) {
  return context_made(SP_OPTIONS(.key = now.pairs[i]->key_pem, .cert = now.pairs[i]->cert_pem));
}

static void make_pairs(void) {
  static const char *const keys[PAIRS] = {"ec", "rsa", "ed25519", "ec384", "rsa#2", "ec"};
  for (unsigned i = 0; i < PAIRS; i++) {
    char name[16];
    (void)snprintf(name, sizeof name, "number %u", i);
    now.pairs[i] =
        PKI_MAKE(pki_default()->root, .cn = name, .key = keys[i],
                 .dns = PKI_LIST("localhost", "*.mail.example"), .ips = PKI_LIST("127.0.0.1"));
    now.contexts[i] = make_context(i);
  }
}

/* Which certificate the client got. */
static unsigned which_pair(const sp_stream_t *stream) {
  sp_certificate_t *certificate;
  assert_int_equal(sp_pair_peer_certificate(sp_stream_pair(stream), &certificate), 0);
  unsigned number = PAIRS;
  assert_int_equal(sscanf(sp_certificate_subject(certificate), "CN=number %u", &number), 1);
  assert_in_range(number, 0, PAIRS - 1);
  sp_certificate_release(certificate);
  return number;
}

static void come_and_go(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE) {
    if (status)
      fail_msg("after %u swaps: %s", now.swaps, actor->error.text);
    now.seen[which_pair(actor->stream)]++;
    assert_true(sp_stream_is_authorized(actor->stream));
    sp_stream_end(actor->stream);
  }
  if (event == ON_CLOSE)
    now.alive--;
}

static void come(void) {
  static const char *const names[] = {"localhost", "0.mail.example", "1.mail.example",
                                      "2.mail.example", "3.mail.example"};
  actor_t *client =
      fixture_connect(now.f, SP_OPTIONS(.host = "127.0.0.1", .port = now.f->port,
                                        .context = now.client, .server_name = names[dice(5)]));
  client->react = come_and_go;
  now.clients++;
  now.alive++;
}

static void swap(void) {
  unsigned i = dice(PAIRS);
  char name[32];
  if (dice(20) == 0) { /* another context of the same pair: the old one may go at any time */
    sp_context_release(now.contexts[i]);
    now.contexts[i] = make_context(i);
  }
  (void)snprintf(name, sizeof name, "%u.mail.example", dice(NAMES));
  switch (dice(4)) {
  case 0:
    assert_int_equal(sp_server_add_context(now.f->server, name, NULL), 0);
    break;
  case 1:
    assert_int_equal(sp_server_add_context(now.f->server, name, now.contexts[i]), 0);
    break;
  default:
    assert_int_equal(sp_server_set_context(now.f->server, now.contexts[i]), 0);
  }
  now.swaps++;
}

static void on_turn(uv_idle_t *idle) {
  for (unsigned i = 0; i < SWAPS_A_TURN && now.swaps < SWAPS; i++)
    swap();
  while (now.clients < CLIENTS && now.alive < AT_ONCE)
    come();
  if (now.clients == CLIENTS && now.swaps == SWAPS)
    uv_idle_stop(idle);
}

static bool are_done(fixture_t *f) {
  return now.swaps == SWAPS && now.clients == CLIENTS && !now.alive &&
         !sp_server_connections(f->server);
}

static void ten_thousand_swaps(void **state) {
  (void)state;
  memset(&now, 0, sizeof now);
  now.random = 1;
  make_pairs();
  now.client = context_made(SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem)));
  now.f = fixture_new();
  fixture_serve(now.f, SP_OPTIONS(.context = now.contexts[0]));
  uv_idle_init(&now.f->loop, &now.idle);
  uv_idle_start(&now.idle, on_turn);
  now.f->done = are_done;
  fixture_run(now.f);
  uv_close((uv_handle_t *)&now.idle, NULL);
  unsigned kinds = 0;
  for (unsigned i = 0; i < PAIRS; i++)
    kinds += now.seen[i] > 0;
  assert_true(kinds >= 4); /* it was swapped under them indeed */
  assert_int_equal(now.f->served, CLIENTS);
  fixture_free(now.f);
  for (unsigned i = 0; i < PAIRS; i++)
    sp_context_release(now.contexts[i]);
  sp_context_release(now.client);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(released_while_in_use),
      cmocka_unit_test(ten_thousand_swaps),
  };
  return cmocka_run_group_tests_name("context-swap", tests, NULL, NULL);
}
