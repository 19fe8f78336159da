/* A client's certificate that is asked for after the handshake, TLS 1.3 (RFC 8446 4.6.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "support/couple.h"
#include "support/fixture.h"
#include "support/pki.h"

static const manner_t plainly = {0};

#define CLIENT(...)                                                                                \
  SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem), .post_handshake_auth = SP_YES,          \
             __VA_ARGS__)
#define WITH(pki) .key = pki_default()->pki->key_pem, .cert = pki_default()->pki->cert_pem
#define SERVER(...) SP_OPTIONS(WITH(server), TRUST, .hooks.client_certificate = count, __VA_ARGS__)
#define TRUST .ca = SP_LIST(pki_default()->root->cert_pem)

static int answers;

static void count(sp_pair_t *pair, void *data) {
  (void)data;
  answers++;
  assert_int_equal(sp_pair_request_certificate(pair), SP_EREENTRY);
}

static sp_pair_t *meet(couple_t *couple, const sp_options_t *client, const sp_options_t *server) {
  answers = 0;
  couple_make_with(couple, client, server);
  couple_shake_hands(couple);
  return couple->server.pair;
}

/* The verdict is there with the answer, not with the question. */
static void a_client_is_asked_and_answers(void **state) {
  (void)state;
  for (int asked = 0; asked < 2; asked++) { /* with the handshake, too */
    couple_t couple;
    sp_pair_t *server =
        meet(&couple, CLIENT(WITH(client)), SERVER(.request_cert = asked ? SP_YES : SP_NO));
    assert_int_equal(sp_pair_is_authorized(server), asked);
    couple.client.wanted = couple.server.wanted = 100000;
    (void)side_step(&couple.server, &plainly, &couple.client.in);
    assert_int_equal(sp_pair_request_certificate(server), 0);
    assert_int_equal(sp_pair_request_certificate(server), SP_EOPTION); /* one at a time */
    assert_int_equal(sp_pair_is_authorized(server), asked);
    couple_run(&couple, &plainly);
    assert_int_equal(answers, 1);
    assert_true(sp_pair_is_authorized(server));
    assert_null(sp_pair_verdict(server));
    sp_certificate_t *certificate;
    assert_int_equal(sp_pair_peer_certificate(server, &certificate), 0);
    sp_certificate_release(certificate);
    assert_int_equal(sp_pair_request_certificate(server), 0); /* once more */
    couple.client.wanted = couple.server.wanted = 200000;
    couple_run(&couple, &plainly);
    assert_int_equal(answers, 2);
    assert_int_equal(couple.client.got + couple.server.got, 400000);
    assert_false(couple.client.wrong || couple.server.wrong);
    couple_free(&couple);
  }
}

static void in_any_portions(void **state) {
  (void)state;
  dice_seed();
  for (int round = 0; round < 40; round++) {
    couple_t couple;
    manner_t manner = {.lend = dice(2) ? 200 + dice(5000) : 0,
                       .take = 1 + dice(3000),
                       .offer = 1 + dice(3000),
                       .random = true};
    sp_pair_t *server = meet(&couple, CLIENT(WITH(client)), SERVER(.alpn = NULL));
    couple.client.wanted = couple.server.wanted = 100000;
    for (uint32_t steps = dice(10); steps; steps--) {
      (void)side_step(&couple.client, &manner, &couple.server.in);
      (void)side_step(&couple.server, &manner, &couple.client.in);
      /* the verdict never comes before the proof */
      assert_int_equal(sp_pair_is_authorized(server), answers);
    }
    assert_int_equal(sp_pair_request_certificate(server), 0);
    couple_run(&couple, &manner);
    assert_int_equal(answers, 1);
    assert_true(sp_pair_is_authorized(server));
    assert_int_equal(couple.client.got + couple.server.got, 200000);
    assert_false(couple.client.wrong || couple.server.wrong);
    couple_free(&couple);
  }
}

static void bad_answers_without_rejection(void **state) {
  (void)state;
  static const char *const reasons[] = {"UNABLE_TO_GET_ISSUER_CERT",
                                        "UNABLE_TO_VERIFY_LEAF_SIGNATURE"};
  for (int strange = 0; strange < 2; strange++) {
    couple_t couple;
    sp_pair_t *server = meet(&couple, strange ? CLIENT(WITH(stranger)) : CLIENT(.cert = NULL),
                             SERVER(.alpn = NULL));
    assert_int_equal(sp_pair_request_certificate(server), 0);
    couple_run(&couple, &plainly);
    assert_int_equal(answers, 1);
    assert_false(sp_pair_is_authorized(server));
    assert_string_equal(sp_pair_authorization_error(server), reasons[strange]);
    assert_non_null(sp_pair_verdict(server));
    assert_int_equal(sp_pair_error(server)->status, 0);
    couple_free(&couple);
  }
}

/* With the alert that says why. */
static void bad_answers_with_rejection(void **state) {
  (void)state;
  static const int alerts[] = {SSL_AD_CERTIFICATE_REQUIRED, SSL_AD_UNKNOWN_CA};
  for (int strange = 0; strange < 2; strange++) {
    couple_t couple;
    sp_pair_t *server = meet(&couple, strange ? CLIENT(WITH(stranger)) : CLIENT(.cert = NULL),
                             SERVER(.reject_unauthorized = SP_YES));
    assert_int_equal(sp_pair_request_certificate(server), 0);
    couple_run(&couple, &plainly);
    assert_int_equal(answers, 0);
    assert_int_equal(sp_pair_error(server)->status, SP_EUNAUTHORIZED);
    const sp_error_t *heard = sp_pair_error(couple.client.pair);
    assert_int_equal(heard->status, SP_EALERT);
    assert_int_equal(heard->alert, alerts[strange]);
    couple_free(&couple);
  }
}

static void who_cannot_be_asked(void **state) {
  (void)state;
  couple_t couple;
  couple_make_with(&couple, CLIENT(WITH(client)), SERVER(.alpn = NULL));
  assert_int_equal(sp_pair_request_certificate(couple.server.pair),
                   SP_EOPTION); /* not secure yet */
  couple_shake_hands(&couple);
  assert_int_equal(sp_pair_request_certificate(couple.client.pair), SP_EOPTION);
  assert_int_equal(sp_pair_end(couple.server.pair), 0);
  assert_int_equal(sp_pair_request_certificate(couple.server.pair), SP_EENDED);
  couple_free(&couple);
  /* did not offer it; TLS 1.2 */
  for (int old = 0; old < 2; old++) {
    sp_pair_t *server = meet(&couple,
                             SP_OPTIONS(TRUST, .max_version = old ? SP_TLS1_2 : SP_TLS1_3,
                                        .post_handshake_auth = old ? SP_YES : SP_NO),
                             SERVER(.alpn = NULL));
    assert_int_equal(sp_pair_request_certificate(server), SP_EOPTION);
    couple.client.wanted = couple.server.wanted = 1000;
    couple_run(&couple, &plainly);
    assert_int_equal(couple.client.got + couple.server.got, 2000); /* nothing happened */
    couple_free(&couple);
  }
}

/* A server that asks without end makes us sign without end. */
static void a_client_does_not_answer_for_ever(void **state) {
  (void)state;
  couple_t couple;
  sp_pair_t *server = meet(&couple, CLIENT(WITH(client)), SERVER(.tickets = SP_NO));
  int i = 0;
  for (; i < 100 && sp_pair_request_certificate(server) == 0; i++)
    couple_run(&couple, &plainly);
  assert_int_equal(answers, 33); /* the last one it still answered */
  assert_int_equal(sp_pair_error(couple.client.pair)->status, SP_EPROTOCOL);
  assert_non_null(strstr(sp_pair_error(couple.client.pair)->text, "32 messages"));
  couple_free(&couple);
}

/* -- streams ----------------------------------------------------------------------------------- */

static void on_answer(sp_pair_t *pair, void *data) {
  (void)data;
  sp_stream_t *stream = sp_stream_of(pair);
  answers++;
  assert_true(sp_stream_is_authorized(stream));
  assert_int_equal(sp_stream_send(stream, "welcome", 7), 1);
}

static void server_reacts(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_DATA)
    assert_int_equal(sp_pair_request_certificate(sp_stream_pair(actor->stream)), 0);
}

static void client_reacts(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && !status)
    assert_int_equal(sp_stream_send(actor->stream, "secret?", 7), 1);
  if (event == ON_DATA)
    sp_stream_end(actor->stream);
}

static void of_a_stream(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  answers = 0;
  f->react = server_reacts;
  fixture_serve(f, FIXTURE_SERVER(TRUST, .hooks.client_certificate = on_answer));
  actor_t *client =
      fixture_connect(f, FIXTURE_CLIENT(f, WITH(client), .post_handshake_auth = SP_YES));
  client->react = client_reacts;
  fixture_run(f);
  assert_int_equal(answers, 1);
  assert_int_equal(client->received, 7);
  assert_string_equal(client->log, "secure data close");
  fixture_free(f);
}

static void server_refuses(sp_pair_t *pair, void *data) {
  (void)data;
  sp_stream_destroy(sp_stream_of(pair));
}

static void the_hook_may_destroy_the_stream(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  f->react = server_reacts;
  fixture_serve(f, FIXTURE_SERVER(TRUST, .hooks.client_certificate = server_refuses));
  actor_t *client =
      fixture_connect(f, FIXTURE_CLIENT(f, WITH(client), .post_handshake_auth = SP_YES));
  client->react = client_reacts;
  fixture_run(f);
  assert_string_equal(fixture_served(f, 0)->log, "secure data close");
  fixture_free(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_client_is_asked_and_answers),
      cmocka_unit_test(in_any_portions),
      cmocka_unit_test(bad_answers_without_rejection),
      cmocka_unit_test(bad_answers_with_rejection),
      cmocka_unit_test(who_cannot_be_asked),
      cmocka_unit_test(a_client_does_not_answer_for_ever),
      cmocka_unit_test(of_a_stream),
      cmocka_unit_test(the_hook_may_destroy_the_stream),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
