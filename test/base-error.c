/* Status numbers, their names, and making errors. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "base/error.h"
#include "base/memory.h"

static void names_and_texts(void **state) {
  (void)state;
  assert_string_equal(sp_error_name(0), "OK");
  assert_string_equal(sp_error_name(SP_ETRUNCATED), "SP_ETRUNCATED");
  assert_string_equal(sp_error_name(SP_ECRYPTO), "SP_ECRYPTO");
  assert_string_equal(sp_error_name(1), "UNKNOWN");
  assert_string_equal(sp_error_name(-99999), "UNKNOWN");
  assert_string_equal(sp_error_text(0), "no error");
  assert_string_equal(sp_error_text(-99999), "unknown error");
  assert_string_equal(sp_error_text(1), "unknown error");
  assert_non_null(strstr(sp_error_text(SP_EHTTP), "plain HTTP"));
}

/* Every status of ours has a name and a text, and lies beyond libuv's. */
static void every_status(void **state) {
  (void)state;
#define CHECK(name, number, text)                                                                  \
  assert_int_equal(SP_E##name, number);                                                            \
  assert_string_equal(sp_error_name(number), "SP_E" #name);                                        \
  assert_string_equal(sp_error_text(number), text);                                                \
  assert_true(number < UV_ERRNO_MAX);
  SP_ERROR_MAP(CHECK)
#undef CHECK
}

/* libuv's numbers have libuv's names, though the base layer does not know libuv. */
static void names_of_libuv(void **state) {
  (void)state;
  static const int numbers[] = {UV_EOF,         UV_ECONNRESET, UV_ECONNREFUSED, UV_ECANCELED,
                                UV_EAI_NONAME,  UV_EAI_AGAIN,  UV_ENOENT,       UV_EACCES,
                                UV_EADDRINUSE,  UV_EPIPE,      UV_ETIMEDOUT,    UV_ENOMEM,
                                UV_EMFILE,      UV_EINVAL,     UV_EHOSTUNREACH, UV_EADDRNOTAVAIL,
                                UV_ENETUNREACH, UV_EBADF,      UV_ENOTCONN,     UV_EALREADY};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    assert_string_equal(sp_error_name(numbers[i]), uv_err_name(numbers[i]));
    assert_string_not_equal(sp_error_text(numbers[i]), "unknown error");
  }
}

static void failing(void **state) {
  (void)state;
  sp_error_t why;
  memset(&why, 'x', sizeof why);
  assert_int_equal(sp__fail(&why, SP_EKEY, SP_PEER, "%s is %d", "it", 7), SP_EKEY);
  assert_int_equal(why.status, SP_EKEY);
  assert_int_equal(why.who, SP_PEER);
  assert_int_equal(why.alert, -1);
  assert_int_equal(why.verify, 0);
  assert_int_equal(why.reason, 0);
  assert_string_equal(why.text, "it is 7");
  assert_int_equal(sp__fail(NULL, SP_EKEY, SP_US, "%s", "nobody listens"), SP_EKEY);
}

static void failing_with_hostile_text(void **state) {
  (void)state;
  sp_error_t why;
  char much[2000];
  sp__fail(&why, SP_EKEY, SP_US, "<%s>", "\x1b[2J\r\n\x7f\xff");
  assert_string_equal(why.text, "<\\x1b[2J\\x0d\\x0a\\x7f\\xff>");

  memset(much, 'a', sizeof much - 1);
  much[sizeof much - 1] = '\0';
  sp__fail(&why, SP_EKEY, SP_US, "%s", much);
  assert_int_equal(strlen(why.text), sizeof why.text - 1);
  memset(much, 1, sizeof much - 1);
  sp__fail(&why, SP_EKEY, SP_US, "%s", much);
  assert_int_equal(strlen(why.text) % 4, 0);
  assert_true(strlen(why.text) > sizeof why.text - 6);

  /* a character of two bytes at every place of the cut */
  for (size_t i = 0; i < 3; i++) {
    memset(much, 'a', 600);
    for (size_t at = i; at + 1 < 600; at += 2)
      memcpy(much + at, "\xc3\xa9", 2);
    much[600] = '\0';
    sp__fail(&why, SP_EKEY, SP_US, "%s", much);
    assert_null(strstr(why.text, "\\x"));
  }
}

/* Its own text as an argument: the usual way to put a prefix before an error. */
static void failing_with_its_own_text(void **state) {
  (void)state;
  sp_error_t why;
  sp__fail(&why, SP_EKEY, SP_US, "inner \n");
  sp__fail(&why, why.status, why.who, "outer: %s", why.text);
  assert_string_equal(why.text, "outer: inner \\x0a");
}

static void failing_by_system_and_memory(void **state) {
  (void)state;
  sp_error_t why;
  assert_int_equal(sp__fail_system(&why, ENOENT, "cannot open %s", "x"), UV_ENOENT);
  assert_int_equal(why.status, UV_ENOENT);
  assert_int_equal(why.who, SP_US);
  assert_true(strncmp(why.text, "cannot open x: ", 15) == 0);
  assert_int_equal(sp__fail_system(&why, UV_EOF, "y"), UV_EOF);
  assert_string_equal(why.text, "y: end of file");
  assert_int_equal(sp__fail_memory(&why), UV_ENOMEM);
  assert_int_equal(why.status, UV_ENOMEM);
  assert_string_equal(why.text, "out of memory");
  assert_int_equal(sp__fail_memory(NULL), UV_ENOMEM);
  assert_int_equal(sp__no_error.status, 0);
  assert_int_equal(sp__no_error.alert, -1);
}

static void printing(void **state) {
  (void)state;
  char *text = NULL;
  size_t n;
  FILE *to = open_memstream(&text, &n);
  sp_error_t why;
  sp__fail(&why, SP_EPASSPHRASE, SP_US, "wrong one");
  assert_int_equal(sp_error_print(to, &why), SP_EPASSPHRASE);
  fclose(to);
  assert_string_equal(text, "SP_EPASSPHRASE: wrong one\n");
  free(text);
}

static void alerts(void **state) {
  (void)state;
  assert_string_equal(sp_alert_name(0), "close_notify");
  assert_string_equal(sp_alert_name(45), "certificate_expired");
  assert_string_equal(sp_alert_name(48), "unknown_ca");
  assert_string_equal(sp_alert_name(116), "certificate_required");
  assert_string_equal(sp_alert_name(120), "no_application_protocol");
  assert_string_equal(sp_alert_name(-1), "unknown");
  assert_string_equal(sp_alert_name(255), "unknown");
}

static void version(void **state) {
  (void)state;
  char expected[30];
  snprintf(expected, sizeof expected, "%d.%d.%d", SP_VERSION_MAJOR, SP_VERSION_MINOR,
           SP_VERSION_PATCH);
  assert_string_equal(sp_version(), expected);
}

static int allocations;
static void *counted_alloc(size_t n) { return allocations++, malloc(n); }
static void *counted_realloc(void *p, size_t n) { return allocations++, realloc(p, n); }
static void counted_free(void *p) { allocations--, free(p); }

static void allocator(void **state) {
  (void)state;
  assert_int_equal(sp_replace_allocator(counted_alloc, NULL, counted_free), SP_EOPTION);
  assert_int_equal(sp_replace_allocator(NULL, counted_realloc, NULL), SP_EOPTION);
  assert_int_equal(sp_replace_allocator(counted_alloc, counted_realloc, counted_free), 0);
  char *zeroed = sp__zalloc(10), *text = sp__copy_text("abc"), *bytes = sp__copy_bytes("a\0b", 3);
  assert_int_equal(allocations, 3);
  for (int i = 0; i < 10; i++)
    assert_int_equal(zeroed[i], 0);
  assert_string_equal(text, "abc");
  assert_memory_equal(bytes, "a\0b", 4);
  char *empty = sp__copy_bytes(NULL, 0);
  assert_string_equal(empty, "");
  sp__wipe(text, 3);
  assert_memory_equal(text, "\0\0\0", 4);
  sp__wipe(NULL, 0);
  sp__free(zeroed);
  sp__free(text);
  sp__free(bytes);
  sp__free(empty);
  sp__free(NULL);
  assert_int_equal(allocations, 0);
  assert_int_equal(sp_replace_allocator(NULL, NULL, NULL), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_and_texts),
      cmocka_unit_test(every_status),
      cmocka_unit_test(names_of_libuv),
      cmocka_unit_test(failing),
      cmocka_unit_test(failing_with_hostile_text),
      cmocka_unit_test(failing_with_its_own_text),
      cmocka_unit_test(failing_by_system_and_memory),
      cmocka_unit_test(printing),
      cmocka_unit_test(alerts),
      cmocka_unit_test(version),
      cmocka_unit_test(allocator),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
