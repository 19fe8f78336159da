/*
 * A handshake whose bytes come one by one, end after each of them, or are reset after each of them:
 * W09, W10, W11, both roles, TLS 1.2 and 1.3.
 *
 * In memory every cut of every flight is tried. Over sockets too, but under a sanitizer only each
 * seventh (from a random start), which keeps the time below 20 s. The peer over sockets is a pair
 * behind a plain TCP handle, whose output is cut after so many bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/allocations.h"
#include "support/couple.h"
#include "support/liar.h"
#include "support/sanitized.h"

#define STRIDE (SANITIZED ? 7 : 1)

#define BATCH 100 /* connections at a time */

static const sp_protocol_t versions[] = {SP_TLS1_2, SP_TLS1_3};
static const sp_role_t roles[] = {SP_CLIENT, SP_SERVER};
#define EACH(what, one) for (const typeof(*(what)) *one = (what); one < (what) + 2; one++)

static const char *role_name(sp_role_t role) { return role == SP_CLIENT ? "client" : "server"; }

/* -- in memory --------------------------------------------------------------------------------- */

/* Moves what is on the way to `to`, as long as `limit` lasts. */
static size_t pass(side_t *to, size_t *limit) {
  size_t n = wire_left(&to->in) < *limit ? wire_left(&to->in) : *limit;
  if (n)
    (void)side_offer(to, to->in.bytes + to->in.taken, n);
  to->in.taken += n;
  *limit -= n;
  return n;
}

/* The victim gets only so many bytes of what the other side sends. Answers whether that is all. */
static bool shake_hands_cut(couple_t *couple, side_t *victim, size_t limit) {
  side_t *other = victim == &couple->client ? &couple->server : &couple->client;
  size_t endless = SIZE_MAX, moved;
  do {
    side_collect(victim, &(manner_t){0}, &other->in);
    moved = pass(other, &endless);
    side_collect(other, &(manner_t){0}, &victim->in);
    moved += pass(victim, &limit);
  } while (moved);
  return !wire_left(&victim->in);
}

static void assert_cut(const side_t *victim, sp_protocol_t version, size_t cut, bool whole) {
  unsigned state = sp_pair_state(victim->pair);
  const sp_error_t *error = sp_pair_error(victim->pair);
  sp_role_t role = sp_pair_role(victim->pair);
  /* the client of TLS 1.3 is secure before the tickets come */
  bool may = whole || (role == SP_CLIENT && version == SP_TLS1_3);
  bool is = state & SP_PAIR_SECURE;
  if ((whole && !is) || (is && !may))
    fail_msg("%s cut at %zu: state %#x, %s", role_name(role), cut, state, error->text);
  if (is) {
    assert_true(state & SP_PAIR_TRUNCATED);
    assert_int_equal(error->status, 0);
    return;
  }
  assert_true(state & SP_PAIR_FAILED);
  assert_int_equal(error->status, SP_EEARLYCLOSE);
  assert_int_equal(error->who, SP_PEER);
  assert_int_equal(error->alert, -1);
  assert_string_not_equal(error->text, "");
}

static bool try_cut_in_memory(sp_protocol_t version, sp_role_t role, size_t cut) {
  couple_t couple;
  couple_make(&couple, version);
  side_t *victim = role == SP_CLIENT ? &couple.client : &couple.server;
  bool whole = shake_hands_cut(&couple, victim, cut);
  uint64_t out = sp_pair_bytes_out(victim->pair);
  (void)sp_pair_encrypted_end(victim->pair);
  assert_cut(victim, version, cut, whole);
  assert_int_equal(sp_pair_bytes_out(victim->pair), out); /* nothing more is said */
  couple_free(&couple);
  return whole;
}

static void cut_at_every_byte_in_memory(void **state) {
  (void)state;
  EACH(versions, version) EACH(roles, role) {
    size_t cut = 0;
    while (!try_cut_in_memory(*version, *role, cut))
      cut++;
    assert_true(cut > 200); /* it was a whole handshake */
  }
}

/* -- W09 in memory ----------------------------------------------------------------------------- */

typedef struct cost {
  size_t count[ALLOCATORS];
} cost_t;

static cost_t cost_now(void) {
  cost_t now;
  for (int i = 0; i < ALLOCATORS; i++)
    now.count[i] = allocations_made((allocator_t)i);
  return now;
}

static void assert_linear(const cost_t *before, const cost_t *after, const cost_t *base_before,
                          const cost_t *base_after, const char *what) {
  for (int i = 0; i < ALLOCATORS; i++) {
    size_t whole = base_after->count[i] - base_before->count[i];
    size_t bytewise = after->count[i] - before->count[i];
    if (bytewise > 3 * whole + 10)
      fail_msg("%s: %zu allocations of allocator %d byte by byte, %zu as a whole", what, bytewise,
               i, whole);
  }
}

static void shake_hands_by(sp_protocol_t version, size_t offer) {
  couple_t couple;
  couple_make(&couple, version);
  couple_run(&couple, &(manner_t){.offer = offer});
  assert_true(sp_pair_state(couple.client.pair) & sp_pair_state(couple.server.pair) &
              SP_PAIR_SECURE);
  couple_free(&couple);
}

static void byte_by_byte_in_memory(void **state) {
  (void)state;
  EACH(versions, version) {
    shake_hands_by(*version, 0); /* what is made once only */
    cost_t start = cost_now();
    shake_hands_by(*version, 0);
    cost_t whole = cost_now();
    shake_hands_by(*version, 1);
    cost_t bytewise = cost_now();
    assert_linear(&whole, &bytewise, &start, &whole, "in memory");
  }
}

/* -- cuts over sockets ------------------------------------------------------------------------- */

typedef struct trial {
  sp_protocol_t version;
  sp_role_t victim;
  manner_of_end_t end;
  size_t from, step, count;
} trial_t;

/* Those that are not secure must say why; answers how many were. */
static size_t judge(const fixture_t *f, const trial_t *trial) {
  size_t secure = 0;
  int expected = trial->end == BY_FIN ? SP_EEARLYCLOSE : UV_ECONNRESET;
  for (size_t i = 0; i < f->count; i++) {
    const actor_t *actor = f->actors[i];
    int status = actor->statuses[ON_SECURE];
    secure += status == 0;
    if (status && status != expected)
      fail_msg("%s of version %#x: %s: %s", actor->name, trial->version, actor->log,
               actor->error.text);
    if (status && strchr(actor->log, ' ') != strstr(actor->log, " close"))
      fail_msg("%s: %s", actor->name, actor->log);
    const char *after =
        trial->end == BY_FIN ? "secure end(SP_ETRUNCATED) close" : "secure error(ECONNRESET) close";
    if (status == 0 && strcmp(actor->log, after))
      fail_msg("%s: %s", actor->name, actor->log);
  }
  return secure;
}

/* One server and its liars, or a listening liar each and its client. */
static size_t cut_a_server(fixture_t *f, const trial_t *trial, liar_t *liars) {
  raws_t raws;
  fixture_serve(f, SP_OPTIONS(.context = couple_server_context(trial->version)));
  raws_begin(&raws, f);
  for (size_t i = 0; i < trial->count; i++)
    (void)raw_connect(&raws, liar_opens, &liars[i]);
  raws_run(&raws);
  assert_int_equal(f->served, trial->count);
  size_t secure = judge(f, trial);
  raws_free(&raws);
  return secure;
}

static void next_liar_opens(raw_t *raw) {
  liar_t *liars = raw->raws->data;
  raw->data = &liars[raw->raws->count - 1];
  liar_opens(raw);
}

static size_t cut_a_client(fixture_t *f, const trial_t *trial, liar_t *liars) {
  raws_t raws;
  raws_begin(&raws, f);
  raw_listen(&raws, next_liar_opens, liars);
  for (size_t i = 0; i < trial->count; i++)
    (void)fixture_connect(f, SP_OPTIONS(.context = couple_client_context(trial->version),
                                        .server_name = "localhost", .host = "127.0.0.1",
                                        .port = raws.port));
  raws_run(&raws);
  assert_int_equal(raws.count, trial->count);
  size_t secure = judge(f, trial);
  raws_free(&raws);
  return secure;
}

/* Answers how many were not cut. */
static size_t try_batch(const trial_t *trial) {
  liar_t *liars = calloc(trial->count, sizeof *liars);
  fixture_t *f = fixture_new();
  assert_non_null(liars);
  for (size_t i = 0; i < trial->count; i++) {
    liars[i].limit = trial->from + i * trial->step;
    liars[i].end = trial->end;
    liars[i].context = trial->victim == SP_SERVER ? couple_client_context(trial->version)
                                                  : couple_server_context(trial->version);
  }
  size_t complete = 0, secure = trial->victim == SP_SERVER ? cut_a_server(f, trial, liars)
                                                           : cut_a_client(f, trial, liars);
  fixture_free(f);
  for (size_t i = 0; i < trial->count; i++) {
    complete += liars[i].complete;
    sp_pair_release(liars[i].pair);
  }
  free(liars);
  /* a client of TLS 1.3 does not wait for tickets; a client of TLS 1.2 that was cut after its last
   * byte does not know that it was */
  size_t more = trial->victim == SP_SERVER    ? trial->version == SP_TLS1_2
                : trial->version == SP_TLS1_3 ? trial->count
                                              : 0;
  assert_in_range(secure, complete, complete + more);
  return complete;
}

static void cut_over_sockets(sp_role_t victim, manner_of_end_t end) {
  EACH(versions, version) {
    trial_t trial = {*version, victim, end, dice(STRIDE), STRIDE, BATCH};
    size_t complete = 0;
    for (; !complete; trial.from += BATCH * STRIDE) {
      complete = try_batch(&trial);
      assert_true(trial.from < 4000);
    }
    assert_true(trial.from > 200);
  }
}

static void a_server_s_client_ends_at_every_byte(void **state) {
  (void)state;
  cut_over_sockets(SP_SERVER, BY_FIN);
}

static void a_server_s_client_resets_at_every_byte(void **state) {
  (void)state;
  cut_over_sockets(SP_SERVER, BY_RESET);
}

static void a_client_s_server_ends_at_every_byte(void **state) {
  (void)state;
  cut_over_sockets(SP_CLIENT, BY_FIN);
}

static void a_client_s_server_resets_at_every_byte(void **state) {
  (void)state;
  cut_over_sockets(SP_CLIENT, BY_RESET);
}

/* -- W09 over sockets -------------------------------------------------------------------------- */

static void end_when_secure(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && status == 0)
    sp_stream_end(actor->stream);
}

static const actor_t *meet_liar(fixture_t *f, raws_t *raws, sp_protocol_t version, sp_role_t victim,
                                liar_t *liar) {
  raws_begin(raws, f);
  f->react = end_when_secure;
  if (victim == SP_SERVER) {
    fixture_serve(f, SP_OPTIONS(.context = couple_server_context(version)));
    (void)raw_connect(raws, liar_opens, liar);
    raws_run(raws);
    return fixture_served(f, 0);
  }
  raw_listen(raws, liar_opens, liar);
  actor_t *client = fixture_connect(f, SP_OPTIONS(.context = couple_client_context(version),
                                                  .server_name = "localhost", .host = "127.0.0.1",
                                                  .port = raws->port));
  client->react = end_when_secure;
  raws_run(raws);
  return client;
}

/* The whole connection, in segments of `burst` bytes or one byte in each turn of the loop. */
static cost_t meet_slowly(sp_protocol_t version, sp_role_t victim, size_t burst, bool trickle) {
  raws_t raws;
  fixture_t *f = fixture_new();
  liar_t liar = {.limit = SIZE_MAX, .end = NEVER, .burst = burst, .trickle = trickle};
  liar.context =
      victim == SP_SERVER ? couple_client_context(version) : couple_server_context(version);
  const actor_t *actor = meet_liar(f, &raws, version, victim, &liar);
  cost_t cost = cost_now();
  if (strcmp(actor->log, "secure close") && strcmp(actor->log, "secure end close"))
    fail_msg("%s: %s", actor->name, actor->log);
  assert_true(liar.sent > 200);
  assert_int_equal(raws.first->over, UV_EOF);
  raws_free(&raws);
  fixture_free(f);
  sp_pair_release(liar.pair);
  return cost;
}

static void byte_by_byte_over_sockets(void **state) {
  (void)state;
  EACH(versions, version) EACH(roles, role) {
    (void)meet_slowly(*version, *role, 0, false);
    cost_t start = cost_now();
    cost_t whole = meet_slowly(*version, *role, 0, false), whole_done = cost_now();
    cost_t segments = meet_slowly(*version, *role, 1, false), segments_done = cost_now();
    cost_t turns = meet_slowly(*version, *role, 0, true);
    assert_linear(&whole_done, &segments, &start, &whole, "a byte a segment");
    assert_linear(&segments_done, &turns, &start, &whole, "a byte a turn");
  }
}

int main(void) {
  allocations_watch();
  dice_seed();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cut_at_every_byte_in_memory),
      cmocka_unit_test(byte_by_byte_in_memory),
      cmocka_unit_test(byte_by_byte_over_sockets),
      cmocka_unit_test(a_server_s_client_ends_at_every_byte),
      cmocka_unit_test(a_server_s_client_resets_at_every_byte),
      cmocka_unit_test(a_client_s_server_ends_at_every_byte),
      cmocka_unit_test(a_client_s_server_resets_at_every_byte),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
