/* A server with a store on a loop: an answer that comes, that comes too late, that never comes, and
 * streams that are gone before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/fixture.h"

static const sp_protocol_t versions[] = {SP_TLS1_2, SP_TLS1_3};
#define EACH_VERSION(v) for (const sp_protocol_t *v = versions; v < versions + 2; v++)

/* -- a store on the loop ----------------------------------------------------------------------- */

/* One value. An answer is given by the loop's idle handle, or never. */
static struct {
  sp_store_t *store;
  uv_idle_t idle;
  bool answers;
  uint8_t value[8192];
  size_t n;
  uint64_t question;
  int asked;
} place;

static void answer(uv_idle_t *idle) {
  uv_idle_stop(idle);
  sp_store_answer(place.store, place.question, 1, place.value, place.n);
}

static void find(void *data, uint64_t question, const void *key, size_t n) {
  (void)data, (void)key, (void)n;
  place.asked++;
  place.question = question;
  if (place.answers)
    uv_idle_start(&place.idle, answer);
}

static void put(void *data, uint64_t question, const void *key, size_t n, const void *value,
                size_t value_size, unsigned lifetime) {
  (void)data, (void)question, (void)key, (void)n, (void)lifetime;
  assert_in_range(value_size, 1, sizeof place.value);
  memcpy(place.value, value, place.n = value_size);
}

static void begin(fixture_t *f, bool answers) {
  static const sp_store_methods_t methods = {
      .size = sizeof methods, .get = find, .take = find, .set = put, .add = put, .remove = find};
  memset(&place, 0, sizeof place);
  place.answers = answers;
  uv_idle_init(&f->loop, &place.idle);
  uv_unref((uv_handle_t *)&place.idle);
  assert_int_equal(sp_store_new(&place.store, &methods, NULL), 0);
}

/* -- clients ----------------------------------------------------------------------------------- */

static struct {
  uint8_t bytes[16384];
  size_t n;
} session;

static void on_session(sp_pair_t *pair, const void *bytes, size_t n, void *data) {
  (void)pair, (void)data;
  assert_in_range(n, 1, sizeof session.bytes);
  memcpy(session.bytes, bytes, session.n = n);
}

/* The server ends, so that the client reads what comes behind the handshake. */
static void end_when_secure(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && !status)
    sp_stream_end(actor->stream);
}

static actor_t *visit(fixture_t *f, sp_protocol_t version) {
  return fixture_connect(f, FIXTURE_CLIENT(f, .min_version = version, .max_version = version,
                                           .session_cache = SP_NO,
                                           .session = session.n ? session.bytes : NULL,
                                           .session_size = session.n, .hooks.session = on_session));
}

static bool resumed;

static void note(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && !status)
    resumed = sp_pair_is_resumed(sp_stream_pair(actor->stream));
}

static bool all_gone(fixture_t *f) {
  for (size_t i = 0; i < f->count; i++)
    if (f->actors[i]->stream)
      return false;
  return true;
}

/* A whole connection, which has to go well. */
static bool goes_well(fixture_t *f, sp_protocol_t version) {
  actor_t *client = visit(f, version);
  client->react = note;
  fixture_run_until(f, all_gone);
  assert_int_equal(client->statuses[ON_SECURE], 0);
  assert_false(actor_saw(client, "error"));
  return resumed;
}

static void finish(fixture_t *f) {
  uv_close((uv_handle_t *)&place.idle, NULL);
  fixture_run(f);
  fixture_free(f);
  sp_store_release(place.store);
  session.n = 0;
}

static fixture_t *serve(bool answers, int timeout) {
  fixture_t *f = fixture_new();
  begin(f, answers);
  f->react = end_when_secure;
  fixture_serve(f, FIXTURE_SERVER(.store = place.store, .store_timeout = timeout));
  return f;
}

static void an_answer_that_comes(void **state) {
  (void)state;
  EACH_VERSION(v) {
    fixture_t *f = serve(true, 0);
    assert_false(goes_well(f, *v));
    for (int i = 0; i < 3; i++)
      assert_true(goes_well(f, *v));
    assert_int_equal(place.asked, 3);
    finish(f);
  }
}

static void no_answer_costs_a_full_handshake(void **state) {
  (void)state;
  EACH_VERSION(v) {
    fixture_t *f = serve(false, 20);
    for (int i = 0; i < 3; i++)
      assert_false(goes_well(f, *v));
    assert_int_equal(place.asked, 2);
    sp_store_answer(place.store, place.question, 1, place.value, place.n); /* too late */
    finish(f);
  }
}

static bool is_asked(fixture_t *f) {
  (void)f;
  return place.asked > 0;
}

/* The client goes while the server waits for its store. */
static void gone_before_the_answer(void **state) {
  (void)state;
  EACH_VERSION(v)
  for (int timeout = -1; timeout < 1; timeout++) {
    fixture_t *f = serve(false, timeout);
    assert_false(goes_well(f, *v));
    actor_t *client = visit(f, *v);
    fixture_run_until(f, is_asked);
    sp_stream_destroy(client->stream);
    fixture_run_until(f, all_gone);
    sp_server_destroy_all(f->server);
    sp_store_answer(place.store, place.question, 1, place.value, place.n);
    finish(f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_answer_that_comes),
      cmocka_unit_test(no_answer_costs_a_full_handshake),
      cmocka_unit_test(gone_before_the_answer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
