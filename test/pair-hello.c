/* What a server's hook is shown of a client's first message, byte by byte, and which messages it is
 * not shown because they are malformed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/contexts.h"
#include "support/hello.h"
#include "support/pki.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const sp_hooks_t none;

static struct {
  int asked;
  void (*look)(const sp_client_hello_t *hello);
} now;

static int on_hello(sp_pair_t *pair, const sp_client_hello_t *hello, void *data) {
  (void)pair, (void)data;
  now.asked++;
  if (now.look)
    now.look(hello);
  return 0;
}

static sp_context_t *context_with(const sp_hooks_t *hooks) {
  const pki_t *pki = pki_default()->server;
  return context_made(SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem, .hooks = *hooks));
}

/* What becomes of a pair that gets these bytes; the error, status 0 for none. */
static sp_error_t offer(sp_context_t *context, const void *bytes, size_t n) {
  sp_pair_t *pair;
  now.asked = 0;
  assert_int_equal(sp_pair_new(&pair, context, SP_SERVER, NULL, false, NULL), 0);
  (void)sp_pair_encrypted_in(pair, bytes, n);
  (void)sp_pair_encrypted_release(pair);
  sp_error_t error = *sp_pair_error(pair);
  sp_pair_release(pair);
  return error;
}

static sp_error_t offer_hello(sp_context_t *context, hello_t *hello) {
  wire_t wire = {0};
  hello_records(hello, 16384, &wire);
  sp_error_t error = offer(context, wire.bytes, wire.size);
  wire_free(&wire);
  hello_free(hello);
  return error;
}

/* -- what it sees ------------------------------------------------------------------------------ */

static void look_at_all(const sp_client_hello_t *hello) {
  static const uint16_t types[] = {0xeaea, 0, 43, 10, 13, 51, 16, 0x4469, 0xfe0d};
  assert_int_equal(hello->version, 0x0303);
  assert_int_equal(hello->server_name_size, 9);
  assert_memory_equal(hello->server_name, "LocalHost", 9);
  assert_int_equal(hello->protocols_size, 3);
  assert_memory_equal(hello->protocols, "\2h2", 3);
  assert_int_equal(hello->suites_size, 8);
  assert_memory_equal(hello->suites, "\x2a\x2a\x13\1\xc0\x2b\xc0\x2f", 8);
  assert_int_equal(hello->versions_size, 2);
  assert_memory_equal(hello->versions, "\3\4", 2);
  assert_int_equal(hello->groups_size, 2);
  assert_memory_equal(hello->groups, "\0\x1d", 2);
  assert_int_equal(hello->sigalgs_size, 6);
  assert_memory_equal(hello->sigalgs, "\4\3\x08\4\4\1", 6);
  assert_int_equal(hello->extension_count, COUNT(types));
  assert_memory_equal(hello->extensions, types, sizeof types);
}

static void all_of_it(void **state) {
  (void)state;
  sp_context_t *context = context_with(&(sp_hooks_t){.client_hello = on_hello});
  hello_t *hello = hello_new();
  now.look = look_at_all;
  hello_suite(hello, 0x2a2a);
  hello_extension(hello, 0xeaea, "", 0);
  hello_name(hello, "LocalHost", 9);
  hello_complete(hello, SP_TLS1_3);
  hello_extension(hello, 16, "\0\3\2h2", 5);
  hello_extension(hello, 0x4469, "whatever", 8);
  hello_extension(hello, 0xfe0d, "", 0);
  assert_int_equal(offer_hello(context, hello).status, 0);
  assert_int_equal(now.asked, 1);
  sp_context_release(context);
}

static void look_at_nothing(const sp_client_hello_t *hello) {
  assert_null(hello->server_name);
  assert_int_equal(hello->server_name_size, 0);
  assert_null(hello->protocols);
  assert_null(hello->versions);
  assert_int_equal(hello->versions_size, 0);
  assert_null(hello->groups);
  assert_null(hello->sigalgs);
  assert_null(hello->extensions);
  assert_int_equal(hello->extension_count, 0);
}

static void nothing_of_it(void **state) {
  (void)state;
  sp_context_t *context = context_with(&(sp_hooks_t){.client_hello = on_hello});
  hello_t *hello = hello_new();
  hello_suite(hello, 0xc02b);
  now.look = look_at_nothing;
  sp_error_t error = offer_hello(context, hello);
  assert_int_equal(now.asked, 1);
  assert_int_equal(error.status, SP_EPROTOCOL); /* nobody can be answered who offers so little */
  /* the form of SSL 2.0, whose suites have three bytes: 0x00c02b */
  static const uint8_t old[] = "\x80\x2c\1\3\3\0\3\0\0\0\x20\0\xc0\x2b"
                               "0123456789abcdef0123456789abcdef";
  now.look = look_at_nothing;
  error = offer(context, old, sizeof old - 1);
  assert_int_equal(now.asked, 1);
  assert_int_equal(error.status, SP_EPROTOCOL);
  sp_context_release(context);
}

/* -- what it does not see ---------------------------------------------------------------------- */

#define CONTENT(text) text, sizeof text - 1

static const struct malformed {
  const char *name;
  unsigned type;
  const char *content;
  size_t n;
} malformed[] = {
    {"versions, nothing", 43, CONTENT("")},
    {"versions, an empty list", 43, CONTENT("\0")},
    {"versions, an odd list", 43, CONTENT("\3\3\4\3")},
    {"versions, a list too long", 43, CONTENT("\4\3\4")},
    {"versions, a list too short", 43, CONTENT("\2\3\4\3\3")},
    {"groups, nothing", 10, CONTENT("")},
    {"groups, half a length", 10, CONTENT("\0")},
    {"groups, an empty list", 10, CONTENT("\0\0")},
    {"groups, an odd list", 10, CONTENT("\0\3\0\x1d\0")},
    {"groups, a list too long", 10, CONTENT("\0\4\0\x1d")},
    {"groups, a list too short", 10, CONTENT("\0\2\0\x1d\0\x17")},
    {"algorithms, nothing", 13, CONTENT("")},
    {"algorithms, an empty list", 13, CONTENT("\0\0")},
    {"algorithms, an odd list", 13, CONTENT("\0\3\4\3\4")},
    {"algorithms, a list too long", 13, CONTENT("\xff\xff\4\3")},
    {"protocols, nothing", 16, CONTENT("")},
    {"protocols, an empty list", 16, CONTENT("\0\0")},
    {"protocols, an empty one", 16, CONTENT("\0\1\0")},
    {"protocols, one too long", 16, CONTENT("\0\3\3h2")},
    {"name, nothing", 0, CONTENT("")},
    {"name, an empty one", 0, CONTENT("\0\3\0\0\0")},
    {"name, one too long", 0, CONTENT("\0\4\0\0\2a")},
    {"name, two of them", 0, CONTENT("\0\x8\0\0\1a\0\0\1b")},
    {"name, of another type", 0, CONTENT("\0\4\1\0\1a")},
};

static void malformed_ones_are_not_shown(void **state) {
  (void)state;
  sp_context_t *context = context_with(&(sp_hooks_t){.client_hello = on_hello});
  now.look = NULL;
  for (size_t i = 0; i < COUNT(malformed); i++) {
    hello_t *hello = hello_new();
    hello_suite(hello, 0xc02b);
    hello_extension(hello, malformed[i].type, malformed[i].content, malformed[i].n);
    sp_error_t error = offer_hello(context, hello);
    if (error.status != SP_EPROTOCOL || error.alert != 50 || error.who != SP_PEER || now.asked)
      fail_msg("%s: %s, alert %d, asked %d", malformed[i].name, sp_error_name(error.status),
               error.alert, now.asked);
    assert_non_null(strstr(error.text, "malformed"));
  }
  sp_context_release(context);
}

/* Without a hook OpenSSL finds them, or is the more lenient; nobody is served for them. */
static void nor_without_a_hook(void **state) {
  (void)state;
  sp_context_t *context = context_with(&none);
  for (size_t i = 0; i < COUNT(malformed); i++) {
    hello_t *hello = hello_new();
    hello_suite(hello, 0xc02b);
    hello_extension(hello, malformed[i].type, malformed[i].content, malformed[i].n);
    assert_int_equal(offer_hello(context, hello).status, SP_EPROTOCOL);
  }
  sp_context_release(context);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_of_it),
      cmocka_unit_test(nothing_of_it),
      cmocka_unit_test(malformed_ones_are_not_shown),
      cmocka_unit_test(nor_without_a_hook),
  };
  return cmocka_run_group_tests_name("pair-hello", tests, NULL, NULL);
}
