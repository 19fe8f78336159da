#include "support/hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

hello_t *hello_new(void) {
  hello_t *hello = calloc(1, sizeof *hello);
  assert_non_null(hello);
  hello->version = 0x0303;
  hello->compressions_size = 1;
  return hello;
}

void hello_free(hello_t *hello) { free(hello); }

static uint8_t *put(uint8_t *to, size_t number, size_t size) {
  for (size_t i = size; i-- > 0; number >>= 8)
    to[i] = (uint8_t)number;
  return to + size;
}

void hello_suite(hello_t *hello, unsigned suite) {
  assert_true(hello->suites_size + 2 <= sizeof hello->suites);
  (void)put(hello->suites + hello->suites_size, suite, 2);
  hello->suites_size += 2;
}

void hello_extension(hello_t *hello, unsigned type, const void *content, size_t n) {
  assert_true(hello->extensions_size + 4 + n <= sizeof hello->extensions);
  uint8_t *to = put(put(hello->extensions + hello->extensions_size, type, 2), n, 2);
  if (n)
    memcpy(to, content, n);
  hello->extensions_size += 4 + n;
}

void hello_list(hello_t *hello, unsigned type, size_t prefix, const uint16_t *numbers, size_t n) {
  uint8_t content[512], *to = put(content, 2 * n, prefix);
  assert_true(prefix + 2 * n <= sizeof content);
  for (size_t i = 0; i < n; i++)
    to = put(to, numbers[i], 2);
  hello_extension(hello, type, content, prefix + 2 * n);
}

void hello_name(hello_t *hello, const void *name, size_t n) {
  uint8_t *content = calloc(1, n + 5);
  assert_non_null(content);
  (void)put(put(put(content, n + 3, 2), 0, 1), n, 2);
  memcpy(content + 5, name, n);
  hello_extension(hello, 0, content, n + 5);
  free(content);
}

void hello_complete(hello_t *hello, sp_protocol_t version) {
  static const uint16_t groups[] = {0x001d, 0x0017}, sigalgs[] = {0x0403, 0x0804, 0x0401};
  const uint16_t versions[] = {(uint16_t)version};
  uint8_t share[2 + 4 + 32] = {0, 36, 0, 0x1d, 0, 32, 9}; /* the point 9: anybody's */
  hello_suite(hello, 0x1301);
  hello_suite(hello, 0xc02b);
  hello_suite(hello, 0xc02f);
  hello_list(hello, 43, 1, versions, 1);
  hello_list(hello, 10, 2, groups, version == SP_TLS1_2 ? 2 : 1); /* that of a certificate */
  hello_list(hello, 13, 2, sigalgs, 3);
  if (version == SP_TLS1_3)
    hello_extension(hello, 51, share, sizeof share);
}

static uint8_t *put_vector(uint8_t *to, const uint8_t *bytes, size_t n, size_t prefix) {
  to = put(to, n, prefix);
  if (n)
    memcpy(to, bytes, n);
  return to + n;
}

size_t hello_message(const hello_t *hello, uint8_t **message) {
  size_t n = 2 + 32 + 1 + hello->session_size + 2 + hello->suites_size + 1 +
             hello->compressions_size + 2 + hello->extensions_size;
  uint8_t *to = *message = calloc(1, 4 + n);
  assert_non_null(to);
  to = put(put(put(to, 1, 1), n, 3), hello->version, 2);
  to = put_vector(to + 32, hello->session, hello->session_size, 1);
  to = put_vector(to, hello->suites, hello->suites_size, 2);
  to = put_vector(to, hello->compressions, hello->compressions_size, 1);
  (void)put_vector(to, hello->extensions, hello->extensions_size, 2);
  return 4 + n;
}

void hello_cut(const uint8_t *message, size_t n, size_t most, wire_t *wire) {
  for (size_t done = 0; done < n;) {
    size_t part = n - done < most ? n - done : most;
    uint8_t header[5] = {22, 3, 1};
    (void)put(header + 3, part, 2);
    wire_add(wire, header, sizeof header);
    wire_add(wire, message + done, part);
    done += part;
  }
}

void hello_records(const hello_t *hello, size_t most, wire_t *wire) {
  uint8_t *message;
  size_t n = hello_message(hello, &message);
  hello_cut(message, n, most, wire);
  free(message);
}
