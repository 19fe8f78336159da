/* Memory for secrets: not dumped, wiped, shared by small ones and by threads; and no passphrase, no
 * key file and no ticket keys left behind by a context. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/secret.h"
#include "support/contexts.h"
#include "support/pki.h"
#include "support/sanitized.h"

/* -- of the memory ----------------------------------------------------------------------------- */

/* Whether the kernel has the flag, two letters, for the mapping of an address. */
static bool has_flag(const void *address, const char *flag) {
  FILE *file = fopen("/proc/self/smaps", "re");
  char line[512];
  bool inside = false, has = false;
  assert_non_null(file);
  while (fgets(line, sizeof line, file)) {
    uintptr_t from, to;
    if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
      inside = (uintptr_t)address >= from && (uintptr_t)address < to;
    else if (inside && !strncmp(line, "VmFlags:", 8))
      has = strstr(line, flag);
  }
  fclose(file);
  return has;
}

static void it_is_not_dumped(void **state) {
  (void)state;
  static const size_t sizes[] = {1, 48, 1024, 8192, 100000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    uint8_t *secret = sp__secret_alloc(sizes[i]);
    assert_non_null(secret);
    assert_true(has_flag(secret, " dd"));
    assert_true(has_flag(secret + sizes[i] - 1, " dd"));
    sp__secret_free(secret);
  }
  void *other = sp__alloc(10);
  assert_false(has_flag(other, " dd"));
  sp__free(other);
}

static bool is_zero(const uint8_t *bytes, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (bytes[i])
      return false;
  return true;
}

static void it_is_wiped(void **state) {
  (void)state;
  uint8_t *neighbour = sp__secret_alloc(48), *secret = sp__secret_alloc(1000);
  assert_true(is_zero(secret, 1000));
  memset(secret, 7, 1000);
  sp__secret_free(secret); /* its pages are there as long as the neighbour is */
  assert_true(is_zero(secret, 1000));
  assert_ptr_equal(sp__secret_alloc(1000), secret);
  sp__secret_free(secret);
  sp__secret_free(neighbour);
  sp__secret_free(NULL);
}

#define MANY 600

static void many_of_them_do_not_overlap(void **state) {
  (void)state;
  static uint8_t *secrets[MANY];
  static size_t sizes[MANY];
  for (unsigned round = 0; round < 20; round++)
    for (unsigned i = round % 3; i < MANY; i += 3) {
      if (secrets[i]) {
        for (size_t k = 0; k < sizes[i]; k++)
          assert_int_equal(secrets[i][k], (uint8_t)i);
        sp__secret_free(secrets[i]);
      }
      sizes[i] = (i * 37u + round * 11u) % 700;
      secrets[i] = sp__secret_alloc(sizes[i]);
      assert_non_null(secrets[i]);
      assert_int_equal((uintptr_t)secrets[i] % 16, 0);
      assert_true(is_zero(secrets[i], sizes[i]));
      memset(secrets[i], (int)i, sizes[i]);
    }
  for (unsigned i = 0; i < MANY; i++)
    sp__secret_free(secrets[i]);
}

static void *churn(void *data) {
  unsigned seed = (unsigned)(uintptr_t)data;
  for (unsigned i = 0; i < 5000; i++) {
    size_t n = (i * 31u + seed * 7u) % 300 + 1;
    uint8_t *secret = sp__secret_alloc(n);
    if (!secret || !is_zero(secret, n))
      abort(); /* no cmocka in here */
    memset(secret, (int)seed + 1, n);
    for (size_t k = 0; k < n; k++)
      if (secret[k] != (uint8_t)(seed + 1))
        abort();
    sp__secret_free(secret);
  }
  return NULL;
}

static void threads_share_it(void **state) {
  (void)state;
  pthread_t threads[4];
  for (uintptr_t i = 0; i < 4; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)i), 0);
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
}

static void *refuse(size_t n) {
  (void)n;
  return NULL;
}

static void *refuse_again(void *memory, size_t n) {
  (void)memory, (void)n;
  return NULL;
}

static void without_memory_there_is_none(void **state) {
  (void)state;
  sp_replace_allocator(refuse, refuse_again, free);
  void *small = sp__secret_alloc(10), *large = sp__secret_alloc(100000);
  sp_replace_allocator(NULL, NULL, NULL);
  assert_null(small);
  assert_null(large);
  assert_null(sp__secret_alloc(SIZE_MAX));
  assert_null(sp__secret_alloc(SIZE_MAX / 2)); /* what the system has not */
}

/* -- left behind ------------------------------------------------------------------------------- */

#define MASK 0x5a
static uint8_t wanted[64]; /* each byte masked, so that it is not found itself */
static size_t wanted_size;

static void look_for(const void *bytes, size_t n) {
  assert_in_range(n, 8, sizeof wanted);
  for (size_t i = 0; i < n; i++)
    wanted[i] = ((const uint8_t *)bytes)[i] ^ MASK;
  wanted_size = n;
}

static size_t count_in(const volatile uint8_t *from, const volatile uint8_t *to) {
  size_t found = 0;
  for (; from + wanted_size <= to; from++) {
    size_t i = 0;
    while (i < wanted_size && (from[i] ^ MASK) == wanted[i])
      i++;
    found += i == wanted_size;
  }
  return found;
}

/* Places in the memory of this process, its stack included. */
static size_t count_places(void) {
  FILE *file = fopen("/proc/self/maps", "re");
  char line[512], mode[5];
  uintptr_t from[256], to[256];
  size_t n = 0, found = 0;
  assert_non_null(file);
  while (n < 256 && fgets(line, sizeof line, file))
    n += sscanf(line, "%lx-%lx %4s", &from[n], &to[n], mode) == 3 && !strncmp(mode, "rw", 2);
  fclose(file);
  for (size_t i = 0; i < n; i++)
    found += count_in((const uint8_t *)from[i], (const uint8_t *)to[i]);
  return found;
}

static const char masked[] = "5;7)?=?-3.2;65.5<6??.?)i}"; /* a passphrase, each byte ^ MASK */

static int on_passphrase(char *room, size_t size, const char *name, void *data) {
  (void)name, (void)data;
  assert_in_range(sizeof masked - 1, 1, size);
  for (size_t i = 0; i < sizeof masked - 1; i++)
    room[i] = (char)(masked[i] ^ MASK);
  return sizeof masked - 1;
}

static void no_passphrase_is_left_behind(void **state) {
  (void)state;
  if (SANITIZED)
    skip(); /* it keeps what was freed, and has more memory than can be looked through */
  char *passphrase = calloc(1, 64);
  on_passphrase(passphrase, 64, "", NULL);
  const pki_t *server = pki_default()->server;
  size_t n;
  const char *key = pki_encrypted_key(server, passphrase);
  const void *pfx = pki_pkcs12(server, NULL, passphrase, &n);
  look_for(passphrase, sizeof masked - 1);
  assert_true(count_places() > 0); /* it finds what is there */
  sp__wipe(passphrase, 64);
  free(passphrase);
  size_t before = count_places(); /* those of the making */
  sp_context_release(context_made(
      SP_OPTIONS(.key = key, .cert = server->cert_pem, .on_passphrase = on_passphrase)));
  assert_int_equal(count_places(), before);
  sp_context_release(
      context_made(SP_OPTIONS(.pfx = pfx, .pfx_size = n, .on_passphrase = on_passphrase)));
  assert_int_equal(count_places(), before);
}

/* The text of the file; what OpenSSL makes of it is OpenSSL's. */
static void no_key_file_is_left_behind(void **state) {
  (void)state;
  if (SANITIZED)
    skip();
  const pki_t *server = pki_default()->server;
  char *text = strdup(server->key_pem);
  const char *path = pki_file(text);
  look_for(strchr(text, '\n') - 10, 43); /* the end of its BEGIN line and half of the next one */
  assert_true(count_places() > 0);
  sp__wipe(text, strlen(text));
  free(text);
  size_t before = count_places();
  sp_context_release(context_made(SP_OPTIONS(.key_file = path, .cert = server->cert_pem)));
  assert_int_equal(count_places(), before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_is_not_dumped),
      cmocka_unit_test(it_is_wiped),
      cmocka_unit_test(many_of_them_do_not_overlap),
      cmocka_unit_test(threads_share_it),
      cmocka_unit_test(without_memory_there_is_none),
      cmocka_unit_test(no_passphrase_is_left_behind),
      cmocka_unit_test(no_key_file_is_left_behind),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
