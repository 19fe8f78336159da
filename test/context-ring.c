/* The keys of session tickets over time: who seals, who still opens, rotation by the clock and by
 * hand, rings for a fleet, rings shared by contexts. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <securepair/context.h>

#include "base/memory.h"
#include "base/secret.h"
#include "context/context.h"
#include "support/clock.h"
#include "support/contexts.h"
#include "support/couple.h"
#include "support/pki.h"

#define SIZE 48
#define HOUR 3600L

static const sp_protocol_t versions[] = {SP_TLS1_2, SP_TLS1_3};
#define EACH_VERSION(v) for (const sp_protocol_t *v = versions; v < versions + 2; v++)

static const uint8_t three[3 * SIZE] = "the first keys   0123456789abcdefFEDCBA98765432"
                                       "\0the second keys  123456789abcdefgFEDCBA98765432"
                                       "\0the third keys   23456789abcdefghFEDCBA98765432";

static sp_context_t *server_of(const sp_options_t *more) {
  sp_options_t options = *more;
  options.key = pki_default()->server->key_pem;
  options.cert = pki_default()->server->cert_pem;
  return context_made(&options);
}

typedef struct visit {
  bool resumed;
  char sealed_by[16]; /* the first bytes of the ticket that the client has now */
} visit_t;

typedef struct client {
  sp_context_t *context;
  uint8_t session[8192];
  size_t n;
} client_t;

static client_t client_of(sp_protocol_t version) {
  return (client_t){.context =
                        context_made(SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem),
                                                .session_timeout = 604800, .min_version = version,
                                                .max_version = version))};
}

static visit_t visit(client_t *client, sp_context_t *server) {
  static const manner_t whole = {.read = 0};
  couple_t couple;
  couple_make_with(&couple,
                   SP_OPTIONS(.context = client->context,
                              .session = client->n ? client->session : NULL,
                              .session_size = client->n),
                   SP_OPTIONS(.context = server));
  couple_shake_hands(&couple);
  couple_run(&couple, &whole);
  const void *ticket;
  visit_t visit = {.resumed = sp_pair_is_resumed(couple.client.pair)};
  assert_int_equal(sp_pair_is_resumed(couple.server.pair), visit.resumed);
  assert_true(sp_pair_ticket(couple.client.pair, &ticket) > sizeof visit.sealed_by);
  memcpy(visit.sealed_by, ticket, sizeof visit.sealed_by);
  client->n = sp_pair_session(couple.client.pair, client->session, sizeof client->session);
  assert_in_range(client->n, 1, sizeof client->session);
  couple_free(&couple);
  return visit;
}

static size_t count_of(const sp_context_t *context) {
  return sp_context_ticket_ring(context, NULL, 0) / SIZE;
}

static void assert_newest(const sp_context_t *context, const void *keys) {
  uint8_t room[SIZE];
  assert_int_equal(sp_context_ticket_keys(context, room), 0);
  assert_memory_equal(room, keys, SIZE);
}

/* -- by the clock ------------------------------------------------------------------------------ */

static void keys_rotate_after_twelve_hours(void **state) {
  (void)state;
  uint8_t first[SIZE], then[SIZE];
  sp_context_t *context = context_made(NULL);
  sp_context_ticket_keys(context, first);
  clock_shift(12 * HOUR - 60);
  assert_newest(context, first);
  clock_shift(12 * HOUR + 1);
  sp_context_ticket_keys(context, then);
  for (int i = 0; i < SIZE; i += 16) /* each of the three */
    assert_memory_not_equal(first + i, then + i, 16);
  assert_int_equal(count_of(context), 2);
  clock_shift(36 * HOUR - 60);
  assert_int_equal(count_of(context), 3);
  clock_shift(36 * HOUR + 2); /* 24 h after the second took over */
  assert_int_equal(count_of(context), 2);
  clock_shift(400 * HOUR); /* a server that slept has no old keys */
  assert_int_equal(count_of(context), 1);
  clock_shift(0);
  sp_context_release(context);
}

static void an_older_key_resumes_and_renews(void **state) {
  (void)state;
  EACH_VERSION(v) {
    sp_context_t *server = server_of(SP_OPTIONS(.session_timeout = 604800));
    client_t client = client_of(*v);
    visit_t first = visit(&client, server), again = visit(&client, server);
    assert_true(again.resumed);
    assert_memory_equal(again.sealed_by, first.sealed_by, 16);
    clock_shift(13 * HOUR);
    visit_t later = visit(&client, server);
    assert_true(later.resumed);
    assert_memory_not_equal(later.sealed_by, first.sealed_by, 16);
    clock_shift(37 * HOUR); /* the first key is gone, the second opens */
    assert_true(visit(&client, server).resumed);
    clock_shift(0);
    sp_context_release(client.context);
    sp_context_release(server);
  }
}

/* FAULTS W25: sealed by a key that is over. */
static void W25_after_the_window_a_full_handshake(void **state) {
  (void)state;
  EACH_VERSION(v) {
    sp_context_t *server = server_of(
        SP_OPTIONS(.session_timeout = 604800, .ticket_rotation = 100, .ticket_window = 50));
    client_t client = client_of(*v);
    assert_false(visit(&client, server).resumed);
    clock_shift(140);
    assert_true(visit(&client, server).resumed);
    clock_shift(140 + 160);
    assert_false(visit(&client, server).resumed);
    assert_true(visit(&client, server).resumed);
    clock_shift(0);
    sp_context_release(client.context);
    sp_context_release(server);
  }
}

/* A clock that goes back must not leave a key for longer than it would have been (R14). */
static void R14_a_clock_that_is_set_back(void **state) {
  (void)state;
  uint8_t first[SIZE], then[SIZE];
  clock_shift(1000 * HOUR);
  sp_context_t *context = context_made(NULL);
  sp_context_ticket_keys(context, first);
  clock_shift(0);
  assert_newest(context, first);
  clock_shift(12 * HOUR + 1);
  sp_context_ticket_keys(context, then);
  assert_memory_not_equal(first, then, SIZE);
  clock_shift(-100 * HOUR);
  assert_newest(context, then);
  assert_int_equal(count_of(context), 2);
  clock_shift(0);
  sp_context_release(context);
}

static void rotation_can_be_off(void **state) {
  (void)state;
  uint8_t first[SIZE];
  sp_context_t *context = context_made(SP_OPTIONS(.ticket_rotation = -1));
  sp_context_ticket_keys(context, first);
  clock_shift(10000 * HOUR);
  assert_newest(context, first);
  assert_int_equal(sp_context_rotate_ticket_keys(context), 0);
  assert_int_equal(count_of(context), 2);
  clock_shift(10000 * HOUR + 24 * HOUR + 1);
  assert_int_equal(count_of(context), 1);
  clock_shift(0);
  sp_context_release(context);
}

static void a_window_can_be_off(void **state) {
  (void)state;
  sp_context_t *context = context_made(SP_OPTIONS(.ticket_window = -1));
  assert_int_equal(sp_context_rotate_ticket_keys(context), 0);
  assert_int_equal(count_of(context), 1);
  sp_context_release(context);
}

static void what_cannot_be_is_refused(void **state) {
  (void)state;
  REFUSED(SP_OPTIONS(.ticket_rotation = -2), SP_EOPTION, "ticket_rotation", "-2");
  REFUSED(SP_OPTIONS(.ticket_window = -7), SP_EOPTION, "ticket_window", "-7");
  REFUSED(SP_OPTIONS(.ticket_rotation = 60, .ticket_window = 86400), SP_EOPTION, "ticket_window",
          "15");
  REFUSED(SP_OPTIONS(.ticket_window = 16 * 12 * 3600), SP_EOPTION, "ticket_window", "43200");
  sp_context_release(context_made(
      SP_OPTIONS(.ticket_window = 16 * 12 * 3600, .ticket_keys = three, .ticket_keys_size = SIZE)));
  sp_context_release(
      context_made(SP_OPTIONS(.ticket_rotation = INT32_MAX, .ticket_window = INT32_MAX)));
}

/* -- by hand ----------------------------------------------------------------------------------- */

static void given_keys_stay(void **state) {
  (void)state;
  sp_context_t *context = context_made(SP_OPTIONS(.ticket_keys = three, .ticket_keys_size = SIZE));
  clock_shift(1000 * HOUR);
  assert_newest(context, three);
  assert_int_equal(count_of(context), 1);
  assert_int_equal(sp_context_set_ticket_ring(context, three, sizeof three), 0);
  clock_shift(2000 * HOUR);
  assert_int_equal(count_of(context), 3);
  assert_int_equal(sp_context_rotate_ticket_keys(context), 0); /* then their time runs, too */
  assert_int_equal(count_of(context), 4);
  clock_shift(2024 * HOUR + 1);
  assert_int_equal(count_of(context), 1);
  assert_int_equal(sp_context_set_ticket_keys(context, three + SIZE, SIZE), 0);
  assert_newest(context, three + SIZE);
  clock_shift(0);
  sp_context_release(context);
}

static void rings_are_set_and_told(void **state) {
  (void)state;
  uint8_t room[16 * SIZE], many[17 * SIZE];
  sp_context_t *context = context_made(NULL);
  assert_int_equal(sp_context_ticket_ring(context, room, sizeof room), SIZE);
  assert_newest(context, room);
  assert_int_equal(sp_context_set_ticket_ring(context, three, sizeof three), 0);
  memset(room, 1, sizeof room);
  assert_int_equal(sp_context_ticket_ring(context, room, sizeof three - 1), sizeof three);
  assert_int_equal(room[0], 1); /* it does not fit */
  assert_int_equal(sp_context_ticket_ring(context, room, sizeof three), sizeof three);
  assert_memory_equal(room, three, sizeof three);
  assert_int_equal(room[sizeof three], 1);
  memset(many, 3, sizeof many);
  static const size_t wrong[] = {0, 1, 47, 49, 95, 17 * SIZE};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_int_equal(sp_context_set_ticket_ring(context, many, wrong[i]), SP_EOPTION);
  assert_int_equal(sp_context_set_ticket_ring(context, NULL, SIZE), SP_EOPTION);
  assert_newest(context, three);
  assert_int_equal(sp_context_set_ticket_ring(context, many, 16 * SIZE), 0);
  assert_int_equal(count_of(context), 16);
  sp_context_release(context);
}

static void the_oldest_of_many_go(void **state) {
  (void)state;
  uint8_t before[16 * SIZE], after[16 * SIZE];
  sp_context_t *context = context_made(NULL);
  for (int i = 0; i < 20; i++)
    assert_int_equal(sp_context_rotate_ticket_keys(context), 0);
  assert_int_equal(sp_context_ticket_ring(context, before, sizeof before), sizeof before);
  assert_int_equal(sp_context_rotate_ticket_keys(context), 0);
  assert_int_equal(sp_context_ticket_ring(context, after, sizeof after), sizeof after);
  assert_memory_equal(after + SIZE, before, 15 * SIZE);
  sp_context_release(context);
}

/* A fleet changes its keys without a full handshake: the new one opens everywhere before it seals
 * anywhere. */
static void a_fleet_changes_its_keys(void **state) {
  (void)state;
  uint8_t steps[2][2 * SIZE];
  memcpy(steps[0], three, SIZE); /* old, and new behind it */
  memcpy(steps[0] + SIZE, three + SIZE, SIZE);
  memcpy(steps[1], three + SIZE, SIZE); /* new, and old behind it */
  memcpy(steps[1] + SIZE, three, SIZE);
  EACH_VERSION(v) {
    sp_context_t *fleet[2];
    client_t client = client_of(*v);
    for (int i = 0; i < 2; i++)
      fleet[i] = server_of(SP_OPTIONS(.ticket_keys = three, .ticket_keys_size = SIZE));
    visit(&client, fleet[0]);
    for (int step = 0; step < 2; step++)
      for (int i = 0; i < 2; i++) {
        assert_int_equal(sp_context_set_ticket_ring(fleet[i], steps[step], 2 * SIZE), 0);
        assert_true(visit(&client, fleet[0]).resumed);
        assert_true(visit(&client, fleet[1]).resumed);
      }
    assert_memory_equal(visit(&client, fleet[0]).sealed_by, three + SIZE, 16);
    sp_context_release(fleet[0]);
    sp_context_release(fleet[1]);
    sp_context_release(client.context);
  }
}

/* -- shared ------------------------------------------------------------------------------------ */

static void a_ring_is_shared(void **state) {
  (void)state;
  EACH_VERSION(v) {
    client_t client = client_of(*v);
    sp_context_t *before = server_of(SP_OPTIONS(.host = NULL));
    sp_context_t *after = server_of(SP_OPTIONS(.host = NULL));
    visit(&client, before);
    sp__context_share_tickets(after, before);
    assert_true(visit(&client, after).resumed);
    assert_int_equal(sp_context_rotate_ticket_keys(before), 0);
    assert_int_equal(count_of(after), 2);
    sp_context_release(before);
    assert_true(visit(&client, after).resumed);
    sp__context_share_tickets(after, after);
    assert_true(visit(&client, after).resumed);
    sp_context_release(after);
    sp_context_release(client.context);
  }
}

/* -- threads ----------------------------------------------------------------------------------- */

static sp_context_t *contended;
static atomic_int failed;

static void *turn(void *data) {
  uint8_t room[16 * SIZE];
  for (int i = 0; i < 200; i++) {
    if ((i + (int)(uintptr_t)data) % 4 == 0)
      sp_context_set_ticket_ring(contended, three, sizeof three);
    else if (sp_context_rotate_ticket_keys(contended) < 0)
      atomic_fetch_add(&failed, 1);
    size_t n = sp_context_ticket_ring(contended, room, sizeof room);
    if (!n || n > sizeof room || n % SIZE || sp_context_ticket_keys(contended, room) < 0)
      atomic_fetch_add(&failed, 1);
  }
  return NULL;
}

static void threads_turn_one_ring(void **state) {
  (void)state;
  pthread_t threads[3];
  contended = server_of(SP_OPTIONS(.host = NULL));
  client_t client = client_of(SP_TLS1_3);
  for (uintptr_t i = 0; i < 3; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, turn, (void *)i), 0);
  for (int i = 0; i < 20; i++)
    (void)visit(&client, contended); /* resumed or not */
  for (int i = 0; i < 3; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(atomic_load(&failed), 0);
  sp_context_release(contended);
  sp_context_release(client.context);
}

/* -- memory ------------------------------------------------------------------------------------ */

/* What was dropped is not in the pages of secrets any more: those stay as long as a neighbour. */
static void keys_that_are_over_are_wiped(void **state) {
  (void)state;
  uint8_t *neighbour = sp__secret_alloc(1);
  sp_context_t *context = context_made(NULL);
  assert_int_equal(sp_context_set_ticket_ring(context, three, sizeof three), 0);
  const sp__ring_t *ring = sp__tickets_ring(context->tickets);
  const uint8_t *places[3];
  for (int i = 0; i < 3; i++) {
    places[i] = (const uint8_t *)ring->keys[i];
    assert_memory_equal(places[i], three + i * SIZE, SIZE);
  }
  assert_int_equal(sp_context_rotate_ticket_keys(context), 0);
  clock_shift(24 * HOUR + 1);
  assert_int_equal(count_of(context), 1);
  static const uint8_t zeros[SIZE];
  for (int i = 0; i < 3; i++)
    assert_memory_equal(places[i], zeros, SIZE);
  clock_shift(0);
  sp_context_release(context);
  sp__secret_free(neighbour);
}

static void *refuse(size_t n) {
  (void)n;
  return NULL;
}

static void *refuse_again(void *memory, size_t n) {
  (void)memory, (void)n;
  return NULL;
}

/* Keys that cannot be made leave those that are there. */
static void R10_without_memory_the_ring_stays(void **state) {
  (void)state;
  uint8_t before[3 * SIZE], after[3 * SIZE];
  void *full[600];
  size_t n = 0;
  sp_context_t *context = context_made(NULL);
  assert_int_equal(sp_context_ticket_ring(context, before, sizeof before), SIZE);
  sp_replace_allocator(refuse, refuse_again, free);
  while (n < 600 && (full[n] = sp__secret_alloc(SIZE))) /* all pages are taken */
    n++;
  int rotated = sp_context_rotate_ticket_keys(context);
  int set = sp_context_set_ticket_ring(context, three, sizeof three);
  clock_shift(13 * HOUR);
  size_t whole = sp_context_ticket_ring(context, after, sizeof after);
  sp_replace_allocator(NULL, NULL, NULL);
  clock_shift(0);
  while (n)
    sp__secret_free(full[--n]);
  assert_int_equal(rotated, -ENOMEM);
  assert_int_equal(set, -ENOMEM);
  assert_int_equal(whole, SIZE);
  assert_memory_equal(after, before, SIZE);
  sp_context_release(context);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keys_rotate_after_twelve_hours),
      cmocka_unit_test(an_older_key_resumes_and_renews),
      cmocka_unit_test(W25_after_the_window_a_full_handshake),
      cmocka_unit_test(R14_a_clock_that_is_set_back),
      cmocka_unit_test(rotation_can_be_off),
      cmocka_unit_test(a_window_can_be_off),
      cmocka_unit_test(what_cannot_be_is_refused),
      cmocka_unit_test(given_keys_stay),
      cmocka_unit_test(rings_are_set_and_told),
      cmocka_unit_test(the_oldest_of_many_go),
      cmocka_unit_test(a_fleet_changes_its_keys),
      cmocka_unit_test(a_ring_is_shared),
      cmocka_unit_test(threads_turn_one_ring),
      cmocka_unit_test(keys_that_are_over_are_wiped),
      cmocka_unit_test(R10_without_memory_the_ring_stays),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
