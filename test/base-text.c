/* Texts made safe to show, and reading files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/text.h"
#include "support/pki.h"

static void check(const void *bytes, size_t n, const char *expected) {
  char room[500];
  size_t length = sp__escape(room, sizeof room, bytes, n);
  assert_int_equal(length, strlen(room));
  assert_string_equal(room, expected);
}

#define CHECK(text, expected) check(text, sizeof text - 1, expected)

static void plain_text(void **state) {
  (void)state;
  CHECK("", "");
  CHECK("abc \"'\\<>", "abc \"'\\<>");
  CHECK("M\xc3\xbcller \xe2\x82\xac \xf0\x9f\x98\x80",
        "M\xc3\xbcller \xe2\x82\xac \xf0\x9f\x98\x80");
}

static void control_characters(void **state) {
  (void)state;
  CHECK("a\0b", "a\\x00b");
  CHECK("\t\r\n\x1b\x7f", "\\x09\\x0d\\x0a\\x1b\\x7f");
  CHECK("\xc2\x80 \xc2\x9b \xc2\x9f \xc2\xa0", "\\xc2\\x80 \\xc2\\x9b \\xc2\\x9f \xc2\xa0");
  /* line and paragraph separators, and the marks that reorder what stands around them */
  CHECK("\xe2\x80\xa8\xe2\x80\xa9", "\\xe2\\x80\\xa8\\xe2\\x80\\xa9");
  CHECK("\xe2\x80\x8e\xe2\x80\x8f", "\\xe2\\x80\\x8e\\xe2\\x80\\x8f");
  CHECK("\xe2\x80\xaa\xe2\x80\xae", "\\xe2\\x80\\xaa\\xe2\\x80\\xae");
  CHECK("\xe2\x81\xa6\xe2\x81\xa9", "\\xe2\\x81\\xa6\\xe2\\x81\\xa9");
  CHECK("\xd8\x9c", "\\xd8\\x9c");
}

static void invalid_utf8(void **state) {
  (void)state;
  CHECK("\xff\xfe", "\\xff\\xfe");
  CHECK("\x80", "\\x80");
  CHECK("\xc0\x80", "\\xc0\\x80"); /* overlong */
  CHECK("\xe0\x80\x80", "\\xe0\\x80\\x80");
  CHECK("\xf0\x80\x80\x80", "\\xf0\\x80\\x80\\x80");
  CHECK("\xed\xa0\x80", "\\xed\\xa0\\x80"); /* a surrogate */
  CHECK("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
  CHECK("\xc3", "\\xc3"); /* cut */
  CHECK("\xe2\x82", "\\xe2\\x82");
  CHECK("\xf0\x9f\x98", "\\xf0\\x9f\\x98");
  CHECK("\xc3(", "\\xc3(");
}

/* In any room, for any bytes: a NUL at the end, nothing behind it touched, whole characters. */
static void every_room(void **state) {
  (void)state;
  static const char text[] = "ab\xc3\xbc\x01\xf0\x9f\x98\x80\xff\xc2\x85z";
  char full[100];
  size_t n = sp__escape(full, sizeof full, text, sizeof text - 1);
  for (size_t size = 1; size <= n + 1; size++) {
    char *room = malloc(size);
    size_t length = sp__escape(room, size, text, sizeof text - 1);
    assert_true(length < size);
    assert_int_equal(room[length], 0);
    assert_memory_equal(room, full, length);
    if (length)
      assert_int_equal(sp__escape((char[100]){0}, 100, room, length), length);
    free(room);
  }
  assert_int_equal(sp__escape(NULL, 0, text, sizeof text - 1), 0);
}

/* Escaping twice changes nothing, because errors are put into errors. */
static void twice(void **state) {
  (void)state;
  for (unsigned i = 0; i < 65536; i++) {
    const unsigned char bytes[] = {(unsigned char)(i >> 8), (unsigned char)i};
    char once[20], again[20];
    size_t n = sp__escape(once, sizeof once, bytes, 2);
    sp__escape(again, sizeof again, once, n);
    assert_string_equal(once, again);
  }
}

static void files(void **state) {
  (void)state;
  char *bytes;
  size_t n;
  sp_error_t why;
  enum { size = 100000 };
  char *much = malloc(size);
  memset(much, 'x', size);
  const char *path = pki_file_bytes(much, size);
  assert_int_equal(sp__file_read(&bytes, &n, path, size, &why), 0);
  assert_int_equal(n, size);
  assert_memory_equal(bytes, much, size);
  assert_int_equal(bytes[n], 0);
  sp__file_release(bytes);

  assert_int_equal(sp__file_read(&bytes, &n, path, size - 1, &why), -EFBIG);
  assert_non_null(strstr(why.text, path));
  assert_int_equal(sp__file_read(&bytes, &n, pki_path("missing"), size, &why), -ENOENT);
  assert_non_null(strstr(why.text, "missing"));
  assert_int_equal(sp__file_read(&bytes, &n, "/", size, &why), -EISDIR);
  assert_int_equal(sp__file_read(&bytes, &n, pki_file(""), size, NULL), 0);
  assert_int_equal(n, 0);
  assert_string_equal(bytes, "");
  sp__file_release(bytes);
  sp__file_release(NULL);
  free(much);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain_text),   cmocka_unit_test(control_characters),
      cmocka_unit_test(invalid_utf8), cmocka_unit_test(every_room),
      cmocka_unit_test(twice),        cmocka_unit_test(files),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
