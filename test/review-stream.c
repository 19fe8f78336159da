/* Streams in situations that are rare, and easily forgotten. */
#include "support/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "stream/stream.h"
#include "support/contexts.h"
#include "support/raw.h"
#include "support/signing.h"

/* -- the turns of a loop ----------------------------------------------------------------------- */

static struct {
  sp__loop_t *loop;
  sp__work_t first, second, third, fourth;
  uv_timer_t other; /* what else there is to wait for */
} turns;

static void note(sp__work_t *work) {
  (void)work;
  uv_close((uv_handle_t *)&turns.other, NULL);
}

static void on_other(uv_timer_t *timer) { uv_timer_stop(timer); }

static void do_nothing(sp__work_t *work) { (void)work; }
static void put_off_third(sp__work_t *work) {
  (void)work;
  sp__loop_put_off(turns.loop, &turns.third);
}

static void put_off_more(sp__work_t *work) {
  (void)work;
  sp__loop_put_off(turns.loop, &turns.second);
  sp__loop_at_turn_end(turns.loop, &turns.fourth, true);
}

/* There is work left over from one turn and a turn's end to be noticed: doing the one must not
 * make the loop wait for I/O before the other. */
static void the_end_of_a_turn_does_not_wait_for_io(void **state) {
  (void)state;
  uv_loop_t uv;
  assert_int_equal(uv_loop_init(&uv), 0);
  turns.loop = sp__loop_use(&uv);
  assert_non_null(turns.loop);
  turns.first.run = put_off_more;
  turns.second.run = put_off_third;
  turns.third.run = do_nothing;
  turns.fourth.run = note;
  sp__list_init(&turns.first.node);
  sp__list_init(&turns.second.node);
  sp__list_init(&turns.third.node);
  sp__list_init(&turns.fourth.node);
  uv_timer_init(&uv, &turns.other);
  uv_timer_start(&turns.other, on_other, 1000, 0);
  sp__loop_at_turn_end(turns.loop, &turns.first, true);
  uint64_t since = uv_now(&uv);
  uv_run(&uv, UV_RUN_DEFAULT);
  assert_true(uv_now(&uv) - since < 1000);
  sp__loop_release(turns.loop);
  uv_run(&uv, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&uv), 0);
}

/* -- deadlines --------------------------------------------------------------------------------- */

static bool client_has_transport(fixture_t *f) {
  return sp_stream_transport(f->actors[0]->stream) != NULL;
}

static void the_time_to_connect_does_not_limit_the_handshake(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER());
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f, .handshake_timeout = -1));
  assert_false(sp__list_is_empty(&client->stream->deadline.node));
  fixture_run_until(f, client_has_transport);
  assert_true(sp__list_is_empty(&client->stream->deadline.node));
  sp_stream_destroy(client->stream);
  fixture_run(f);
  fixture_free(f);
}

/* -- a transport that ends while a hook is waited for ------------------------------------------ */

static struct {
  sp_pair_t *server, *asked;
  uint8_t message[256];
  size_t n;
  uint16_t scheme;
} meeting;

static int sign_later(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n,
                      void *data) {
  (void)data;
  meeting.asked = pair;
  meeting.scheme = scheme;
  meeting.n = n;
  memcpy(meeting.message, message, n < sizeof meeting.message ? n : 0);
  return SP_PENDING;
}

static void answer_and_end(raw_t *raw) {
  const void *bytes;
  size_t n;
  if (sp_pair_bytes_in(meeting.server))
    return;
  assert_int_equal(sp_pair_encrypted_in(meeting.server, raw->got, raw->got_size), 0);
  assert_int_equal(sp_pair_encrypted_release(meeting.server), 0);
  while ((n = sp_pair_encrypted_out(meeting.server, &bytes))) {
    raw_send(raw, bytes, n);
    sp_pair_encrypted_sent(meeting.server, n);
  }
  raw_fin(raw);
}

static void on_open(raw_t *raw) { raw->on_bytes = answer_and_end; }

static bool transport_ended(fixture_t *f) { return meeting.asked && f->actors[0]->stream->eof; }

/* All that the server had to say was its first flight, and then it went away without a word. */
static void an_end_during_a_hook_is_told_after_it(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  fixture_t *f = fixture_new();
  raws_t raws;
  raws_begin(&raws, f);
  raw_listen(&raws, on_open, NULL);
  sp_context_t *context =
      context_made(SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem,
                              .min_version = SP_TLS1_3, .request_cert = SP_YES));
  assert_int_equal(sp_pair_new(&meeting.server, context, SP_SERVER, NULL, false, NULL), 0);
  sp_context_release(context);
  actor_t *client =
      fixture_connect(f, SP_OPTIONS(.host = "localhost", .family = 4, .port = raws.port,
                                    .ca = SP_LIST(s->root->cert_pem), .cert = s->client->cert_pem,
                                    .hooks = {.sign = sign_later}));
  fixture_run_until(f, transport_ended);
  uint8_t signature[256];
  size_t n = signing_sign(s->client->key, meeting.scheme, meeting.message, meeting.n, signature,
                          sizeof signature);
  assert_true(n > 0);
  assert_int_equal(sp_pair_sign_with(meeting.asked, signature, n), 0);
  assert_int_equal(sp_pair_resume(meeting.asked, 0), 0);
  raws_run(&raws);
  assert_string_equal(client->log, "secure end(SP_ETRUNCATED) close");
  sp_pair_release(meeting.server);
  raws_free(&raws);
  fixture_free(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_end_of_a_turn_does_not_wait_for_io),
      cmocka_unit_test(the_time_to_connect_does_not_limit_the_handshake),
      cmocka_unit_test(an_end_during_a_hook_is_told_after_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
