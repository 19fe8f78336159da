/* Stores: the interface, and the store in memory: what is there and for how long, which bytes it
 * takes, who goes first, threads, failing allocations. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "store/store.h"
#include "support/clock.h"

/* -- asking ------------------------------------------------------------------------------------ */

typedef struct answer {
  sp__query_t query;
  int count, status;
  size_t n;
  char value[64];
} answer_t;

static void on_answered(sp__query_t *query, int status, const void *value, size_t n) {
  answer_t *answer = SP__OF(query, answer_t, query);
  answer->count++;
  answer->status = status;
  answer->n = n;
  memcpy(answer->value, value ? value : "", n < sizeof answer->value ? n : 0);
}

static answer_t ask(sp_store_t *store, sp__verb_t verb, const char *key, const char *value,
                    unsigned lifetime) {
  answer_t answer = {.query.answered = on_answered};
  sp__store_ask(store, verb, (sp__bytes_t){key, strlen(key)},
                (sp__bytes_t){value, value ? strlen(value) : 0}, lifetime, &answer.query);
  assert_int_equal(answer.count, 1);
  return answer;
}

static int put(sp_store_t *store, const char *key, const char *value) {
  return ask(store, SP__SET, key, value, 100).status;
}

static void assert_there(sp_store_t *store, sp__verb_t verb, const char *key, const char *value) {
  answer_t answer = ask(store, verb, key, NULL, 0);
  assert_int_equal(answer.status, value != NULL);
  assert_int_equal(answer.n, value ? strlen(value) : 0);
  if (value)
    assert_string_equal(answer.value, value);
}

static sp_store_t *memory_of(size_t bytes) {
  sp_store_t *store;
  sp_error_t why;
  if (sp_memory_store_new(&store, bytes, &why) < 0)
    fail_msg("%s", why.text);
  return store;
}

/* -- what is there ----------------------------------------------------------------------------- */

static void what_is_put_there_is_there(void **state) {
  (void)state;
  sp_store_t *store = memory_of(1 << 20);
  assert_there(store, SP__GET, "a", NULL);
  assert_int_equal(put(store, "a", "one"), 1);
  assert_there(store, SP__GET, "a", "one");
  assert_there(store, SP__GET, "a", "one");
  assert_there(store, SP__GET, "b", NULL);
  assert_int_equal(put(store, "a", "another"), 1);
  assert_there(store, SP__GET, "a", "another");
  assert_int_equal(put(store, "", ""), 1);
  assert_int_equal(ask(store, SP__GET, "", NULL, 0).status, 1);
  sp_store_release(store);
}

static void what_is_taken_is_gone(void **state) {
  (void)state;
  sp_store_t *store = memory_of(1 << 20);
  put(store, "a", "one");
  assert_there(store, SP__TAKE, "a", "one");
  assert_there(store, SP__TAKE, "a", NULL);
  assert_there(store, SP__GET, "a", NULL);
  sp_store_release(store);
}

static void add_leaves_what_is_there(void **state) {
  (void)state;
  sp_store_t *store = memory_of(1 << 20);
  assert_int_equal(ask(store, SP__ADD, "a", "one", 100).status, 1);
  assert_int_equal(ask(store, SP__ADD, "a", "two", 100).status, 0);
  assert_there(store, SP__GET, "a", "one");
  clock_shift(101);
  assert_int_equal(ask(store, SP__ADD, "a", "two", 100).status, 1);
  assert_there(store, SP__GET, "a", "two");
  clock_shift(0);
  sp_store_release(store);
}

static void what_is_removed_is_gone(void **state) {
  (void)state;
  sp_store_t *store = memory_of(1 << 20);
  put(store, "a", "one");
  assert_int_equal(ask(store, SP__REMOVE, "a", NULL, 0).status, 1);
  assert_int_equal(ask(store, SP__REMOVE, "a", NULL, 0).status, 0);
  assert_there(store, SP__GET, "a", NULL);
  sp_store_release(store);
}

static void a_value_has_its_lifetime(void **state) {
  (void)state;
  size_t count;
  sp_store_t *store = memory_of(1 << 16); /* one shard */
  ask(store, SP__SET, "short", "one", 10);
  ask(store, SP__SET, "long", "two", 1000);
  ask(store, SP__SET, "never", "three", 0);
  assert_there(store, SP__GET, "never", NULL);
  clock_shift(8);
  assert_there(store, SP__GET, "short", "one");
  clock_shift(11);
  assert_there(store, SP__GET, "short", NULL);
  assert_there(store, SP__GET, "long", "two");
  clock_shift(2000);
  put(store, "new", "four"); /* what is over goes when something comes */
  sp_memory_store_usage(store, &count, NULL);
  assert_int_equal(count, 1);
  clock_shift(0);
  sp_store_release(store);
}

/* -- bytes ------------------------------------------------------------------------------------- */

static void it_holds_what_it_may(void **state) {
  (void)state;
  static char value[201];
  memset(value, 'v', 200);
  static const size_t sizes[] = {1 << 16, 1 << 20, 8 << 20};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    size_t count, bytes, most = 0;
    sp_store_t *store = memory_of(sizes[s]);
    for (int i = 0; i < 40000; i++) {
      char key[33];
      snprintf(key, sizeof key, "%032d", i);
      assert_int_equal(put(store, key, value), 1);
      sp_memory_store_usage(store, &count, &bytes);
      assert_in_range(bytes, 232, sizes[s]);
      assert_true(count * 232 < bytes);
      most = bytes > most ? bytes : most;
    }
    assert_true(most > sizes[s] * 9 / 10); /* the shards fill evenly */
    sp_store_release(store);
  }
}

static void what_was_not_used_for_longest_goes(void **state) {
  (void)state;
  char value[1001] = {0}, key[8];
  memset(value, 'v', 1000);
  sp_store_t *store = memory_of(1 << 16);
  for (int i = 0; i < 200; i++) {
    snprintf(key, sizeof key, "%d", i);
    put(store, key, value);
    if (i >= 5)
      assert_int_equal(ask(store, SP__GET, "5", NULL, 0).status, 1);
  }
  assert_int_equal(ask(store, SP__GET, "4", NULL, 0).status, 0);
  assert_int_equal(ask(store, SP__GET, "6", NULL, 0).status, 0);
  assert_int_equal(ask(store, SP__GET, "199", NULL, 0).status, 1);
  assert_int_equal(ask(store, SP__GET, "180", NULL, 0).status, 1);
  sp_store_release(store);
}

static void what_is_too_large_is_refused(void **state) {
  (void)state;
  sp_error_t why;
  sp_store_t *store = memory_of(1 << 16);
  char *large = malloc(70000);
  memset(large, 'l', 69999);
  large[69999] = 0;
  put(store, "small", "one");
  assert_int_equal(put(store, "large", large), SP_EOVERFLOW);
  assert_int_equal(put(store, large, "one"), SP_EOVERFLOW);
  assert_there(store, SP__GET, "small", "one");
  sp_store_release(store);
  free(large);
  assert_int_equal(sp_memory_store_new(&store, 65535, &why), SP_EOPTION);
  assert_non_null(strstr(why.text, "65535"));
  assert_null(store);
}

/* -- memory ------------------------------------------------------------------------------------ */

static const char marker[] = "a value that nobody may find";
static size_t left_behind;

/* The size in front of the block tells the allocator how far to look. */
static void *allocate(size_t n) {
  size_t *block = malloc(n + 16);
  if (block)
    *block = n;
  return block ? (char *)block + 16 : NULL; // cppcheck-suppress memleak
}

static void *reallocate(void *memory, size_t n) {
  (void)memory, (void)n;
  return NULL;
}

static void look_and_release(void *memory) {
  if (!memory)
    return;
  size_t *block = (size_t *)(void *)((char *)memory - 16);
  if (memmem(memory, *block, marker, sizeof marker - 1))
    left_behind++;
  free(block);
}

static void values_are_wiped(void **state) {
  (void)state;
  sp_replace_allocator(allocate, reallocate, look_and_release);
  sp_store_t *store = memory_of(1 << 16);
  put(store, "got", marker);
  ask(store, SP__GET, "got", NULL, 0);
  put(store, "taken", marker);
  ask(store, SP__TAKE, "taken", NULL, 0);
  put(store, "removed", marker);
  ask(store, SP__REMOVE, "removed", NULL, 0);
  put(store, "replaced", marker);
  put(store, "replaced", marker);
  ask(store, SP__ADD, "replaced", marker, 100);
  ask(store, SP__SET, "over", marker, 0);
  ask(store, SP__GET, "over", NULL, 0);
  for (int i = 0; i < 1000; i++) { /* pushed out */
    char key[8];
    snprintf(key, sizeof key, "%d", i);
    put(store, key, marker);
  }
  sp_store_release(store);
  sp_replace_allocator(NULL, NULL, NULL);
  assert_int_equal(left_behind, 0);
}

static atomic_long allocations_left;

static void *ration(size_t n) {
  return atomic_fetch_sub(&allocations_left, 1) > 0 ? malloc(n) : NULL;
}

/* R10: at each allocation, and from it on. */
static void R10_without_memory(void **state) {
  (void)state;
  sp_replace_allocator(ration, reallocate, free);
  for (long n = 0; n < 60; n++) {
    sp_store_t *store;
    atomic_store(&allocations_left, n);
    int status = sp_memory_store_new(&store, 1 << 16, NULL);
    if (status < 0) {
      assert_int_equal(status, -ENOMEM);
      assert_null(store);
      continue;
    }
    for (int i = 0; i < 40; i++) { /* its table grows, or does not */
      char key[8];
      snprintf(key, sizeof key, "%d", i);
      int there = put(store, key, "one");
      assert_true(there == 1 || there == -ENOMEM);
      int found = ask(store, SP__GET, key, NULL, 0).status;
      assert_true(there == 1 ? found == 1 || found == -ENOMEM : found == 0);
    }
    atomic_store(&allocations_left, 1000);
    assert_int_equal(put(store, "now", "one"), 1);
    assert_there(store, SP__TAKE, "now", "one");
    sp_store_release(store);
  }
  sp_replace_allocator(NULL, NULL, NULL);
}

/* -- threads ----------------------------------------------------------------------------------- */

static sp_store_t *contended;
static atomic_int taken, failed;

/* No cmocka in here. */
static int ask_quietly(sp__verb_t verb, int key, const char *value) {
  answer_t answer = {.query.answered = on_answered};
  char text[16];
  int n = snprintf(text, sizeof text, "%d", key);
  sp__store_ask(contended, verb, (sp__bytes_t){text, (size_t)n},
                (sp__bytes_t){value, value ? strlen(value) : 0}, 100, &answer.query);
  if (answer.count != 1 || answer.status < 0)
    atomic_fetch_add(&failed, 1);
  return answer.status;
}

static void *work(void *data) {
  for (int i = 0; i < 2000; i++) {
    ask_quietly(SP__SET, 100000 + i % 50, "shared");
    ask_quietly(SP__GET, 100000 + (i + 7) % 50, NULL);
    if (ask_quietly(SP__TAKE, i, NULL) == 1)
      atomic_fetch_add(&taken, 1);
    if (i % 5 == 0)
      ask_quietly(SP__REMOVE, 100000 + i % 50, NULL);
    sp_memory_store_usage(contended, NULL, NULL);
  }
  return data;
}

/* Of all that ask for a value that is taken, one gets it. */
static void threads_share_it(void **state) {
  (void)state;
  pthread_t threads[4];
  contended = memory_of(8 << 20);
  for (int i = 0; i < 2000; i++)
    ask_quietly(SP__SET, i, "single");
  for (int i = 0; i < 4; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, work, NULL), 0);
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(atomic_load(&taken), 2000);
  assert_int_equal(atomic_load(&failed), 0);
  sp_store_release(contended);
}

/* -- the interface ----------------------------------------------------------------------------- */

static struct {
  uint64_t questions[8];
  int count, released;
  char key[16];
} seen;

static void note(void *data, uint64_t question, const void *key, size_t n) {
  assert_ptr_equal(data, &seen);
  seen.questions[seen.count++] = question;
  memcpy(seen.key, key, n);
  seen.key[n] = 0;
}

static void note_value(void *data, uint64_t question, const void *key, size_t n, const void *value,
                       size_t value_size, unsigned lifetime) {
  assert_int_equal(value_size, 5);
  assert_memory_equal(value, "value", 5);
  assert_int_equal(lifetime, 77);
  note(data, question, key, n);
}

static void note_release(void *data) {
  assert_ptr_equal(data, &seen);
  seen.released++;
}

static const sp_store_methods_t methods = {.size = sizeof methods,
                                           .get = note,
                                           .take = note,
                                           .set = note_value,
                                           .add = note_value,
                                           .remove = note,
                                           .release = note_release};

static void answers_find_their_questions(void **state) {
  (void)state;
  sp_store_t *store;
  answer_t answers[5] = {0};
  memset(&seen, 0, sizeof seen);
  assert_int_equal(sp_store_new(&store, &methods, &seen), 0);
  for (int i = 0; i < 5; i++) {
    answers[i].query.answered = on_answered;
    sp__store_ask(store, (sp__verb_t)i, (sp__bytes_t){"key", 3}, (sp__bytes_t){"value", 5}, 77,
                  &answers[i].query);
    assert_string_equal(seen.key, "key");
    assert_int_equal(answers[i].count, 0);
  }
  for (int i = 4; i >= 0; i--) /* in any order */
    sp_store_answer(store, seen.questions[i], i, "found", 5);
  for (int i = 0; i < 5; i++) {
    assert_int_equal(answers[i].count, 1);
    assert_int_equal(answers[i].status, i);
    assert_string_equal(answers[i].value, "found");
  }
  sp_store_answer(store, seen.questions[0], 1, "again", 5); /* nobody waits any more */
  sp_store_answer(store, 12345, 1, "wrong", 5);
  sp_store_answer(store, 0, 1, "nobody", 6);
  assert_int_equal(answers[0].count, 1);
  sp_store_retain(store);
  sp_store_release(store);
  assert_int_equal(seen.released, 0);
  sp_store_release(store);
  assert_int_equal(seen.released, 1);
  sp_store_release(NULL);
}

static void a_late_answer_is_passed_over(void **state) {
  (void)state;
  sp_store_t *store;
  memset(&seen, 0, sizeof seen);
  assert_int_equal(sp_store_new(&store, &methods, &seen), 0);
  answer_t *gone = calloc(1, sizeof *gone);
  gone->query.answered = on_answered;
  sp__store_ask(store, SP__GET, (sp__bytes_t){"key", 3}, (sp__bytes_t){NULL, 0}, 0, &gone->query);
  sp__store_forget(store, &gone->query);
  assert_int_equal(gone->count, 0);
  sp__store_forget(store, &gone->query);
  free(gone);
  sp_store_answer(store, seen.questions[0], 1, "late", 4);
  sp__store_ask(store, SP__SET, (sp__bytes_t){"key", 3}, (sp__bytes_t){"value", 5}, 77, NULL);
  assert_int_equal(seen.questions[1], 0); /* nobody waits */
  sp_memory_store_usage(store, NULL, NULL);
  sp_store_release(store);
}

static void what_is_incomplete_is_refused(void **state) {
  (void)state;
  sp_store_t *store;
  sp_store_methods_t some = methods;
  some.take = NULL;
  assert_int_equal(sp_store_new(&store, &some, NULL), SP_EOPTION);
  assert_null(store);
  some = methods;
  some.size = 0;
  assert_int_equal(sp_store_new(&store, &some, NULL), SP_EOPTION);
  some = methods;
  some.release = NULL;
  assert_int_equal(sp_store_new(&store, &some, NULL), 0);
  sp_store_release(store);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_put_there_is_there),
      cmocka_unit_test(what_is_taken_is_gone),
      cmocka_unit_test(add_leaves_what_is_there),
      cmocka_unit_test(what_is_removed_is_gone),
      cmocka_unit_test(a_value_has_its_lifetime),
      cmocka_unit_test(it_holds_what_it_may),
      cmocka_unit_test(what_was_not_used_for_longest_goes),
      cmocka_unit_test(what_is_too_large_is_refused),
      cmocka_unit_test(values_are_wiped),
      cmocka_unit_test(R10_without_memory),
      cmocka_unit_test(threads_share_it),
      cmocka_unit_test(answers_find_their_questions),
      cmocka_unit_test(a_late_answer_is_passed_over),
      cmocka_unit_test(what_is_incomplete_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
