/*
 * The JA4 fingerprint of a client: examples as they were published, the edges of the description,
 * and what openssl s_client, gnutls-cli and curl really send, computed once more by a few lines of
 * this test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "support/child.h"
#include "support/contexts.h"
#include "support/hello.h"
#include "support/raw.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct {
  char text[SP_FINGERPRINT_SIZE];
  int status;
  bool waits;
  sp_pair_t *pair;
} now;

static int on_hello(sp_pair_t *pair, const sp_client_hello_t *hello, void *data) {
  (void)hello, (void)data;
  char small[SP_FINGERPRINT_SIZE - 1];
  assert_int_equal(sp_pair_fingerprint(pair, small, sizeof small), SP_EOPTION);
  now.pair = pair;
  now.status = sp_pair_fingerprint(pair, now.text, sizeof now.text);
  return now.waits ? SP_PENDING : 0;
}

static sp_context_t *server_context(void) {
  static sp_context_t *made;
  const pki_t *pki = pki_default()->server;
  if (!made)
    made = context_made(
        SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem, .hooks.client_hello = on_hello));
  return made;
}

/* The fingerprint that a server's hook is told of these bytes. */
static const char *fingerprint(const void *bytes, size_t n) {
  sp_pair_t *pair;
  memset(&now, 0, sizeof now);
  now.status = 1;
  assert_int_equal(sp_pair_new(&pair, server_context(), SP_SERVER, NULL, false, NULL), 0);
  (void)sp_pair_encrypted_in(pair, bytes, n);
  (void)sp_pair_encrypted_release(pair);
  assert_int_equal(now.status, 0);
  assert_int_equal(sp_pair_fingerprint(pair, now.text, sizeof now.text), SP_EOPTION); /* too late */
  sp_pair_release(pair);
  assert_int_equal(strlen(now.text), SP_FINGERPRINT_SIZE - 1);
  return now.text;
}

static const char *fingerprint_of(hello_t *hello) {
  wire_t wire = {0};
  hello_records(hello, 16384, &wire);
  const char *text = fingerprint(wire.bytes, wire.size);
  wire_free(&wire);
  hello_free(hello);
  return text;
}

/* -- hellos of given numbers ------------------------------------------------------------------- */

typedef struct recipe {
  uint16_t suites[20], extensions[24], sigalgs[12], versions[4]; /* each ends with END */
  const char *protocols;                                         /* in wire form; NULL: "\2h2" */
} recipe_t;

#define END 0xffff

static size_t length(const uint16_t *numbers) {
  size_t n = 0;
  while (numbers[n] != END)
    n++;
  return n;
}

static void add_protocols(hello_t *hello, const char *protocols) {
  uint8_t content[300];
  size_t n = strlen(protocols);
  content[0] = (uint8_t)(n >> 8);
  content[1] = (uint8_t)n;
  memcpy(content + 2, protocols, n);
  hello_extension(hello, 16, content, n + 2);
}

static void add_extension(hello_t *hello, const recipe_t *recipe, unsigned type) {
  static const uint16_t group[] = {0x001d};
  switch (type) {
  case 0:
    hello_name(hello, "localhost", 9);
    break;
  case 10:
    hello_list(hello, type, 2, group, 1);
    break;
  case 13:
    hello_list(hello, type, 2, recipe->sigalgs, length(recipe->sigalgs));
    break;
  case 16:
    add_protocols(hello, recipe->protocols ? recipe->protocols : "\2h2");
    break;
  case 43:
    hello_list(hello, type, 1, recipe->versions, length(recipe->versions));
    break;
  default:
    hello_extension(hello, type, "", 0);
  }
}

static const char *cooked(const recipe_t *recipe) {
  hello_t *hello = hello_new();
  for (size_t i = 0; recipe->suites[i] != END; i++)
    hello_suite(hello, recipe->suites[i]);
  for (size_t i = 0; recipe->extensions[i] != END; i++)
    add_extension(hello, recipe, recipe->extensions[i]);
  return fingerprint_of(hello);
}

#define CHROME_SUITES                                                                              \
  0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,  \
      0x009d, 0x002f, 0x0035
#define CHROME_EXTENSIONS                                                                          \
  0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b,  \
      0xff01, 0x000b, 0x000a, 0x0015
#define CHROME_SIGALGS 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601

/* From the description of JA4 itself. */
static const char chrome[] = "t13d1516h2_8daaf6152771_e5627efa2ab1";

static void as_published(void **state) {
  (void)state;
  const recipe_t own = {.suites = {CHROME_SUITES, END},
                        .extensions = {CHROME_EXTENSIONS, END},
                        .sigalgs = {CHROME_SIGALGS, END},
                        .versions = {0x0304, 0x0303, END}};
  assert_string_equal(cooked(&own), chrome);
  const recipe_t greased = {.suites = {0x5a5a, CHROME_SUITES, 0xfafa, END},
                            .extensions = {0x3a3a, CHROME_EXTENSIONS, 0x1a1a, END},
                            .sigalgs = {0x0a0a, CHROME_SIGALGS, 0xdada, END},
                            .versions = {0xeaea, 0x0304, 0x0303, END}};
  assert_string_equal(cooked(&greased), chrome);
  /* a tool on the web that shows what it hashed (shigshag.com/tools/ja4) */
  const recipe_t other = {
      .suites = {0x1303, 0x1301, 0x1302, 0xcca9, 0xcca8, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0x00ff,
                 END},
      .extensions = {0x0033, 0x0000, 0x0010, 0x0005, 0x000a, 0x000b, 0x000d, 0x0017, 0x0023, 0x002b,
                     0x002d, END},
      .sigalgs = {0x0503, 0x0403, 0x0807, 0x0806, 0x0805, 0x0804, 0x0601, 0x0501, 0x0401, END},
      .versions = {0x0304, END}};
  assert_string_equal(cooked(&other), "t13d1011h2_61a7ad8aa9b6_3fcd1a44f3e3");
}

static void without_lists(void **state) {
  (void)state;
  /* the description's example without signature algorithms */
  const recipe_t unsigned_one = {.suites = {CHROME_SUITES, END},
                                 .extensions = {0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017,
                                                0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b,
                                                0xff01, 0x000b, 0x000a, 0x0015, END},
                                 .sigalgs = {0x0a0a, END}, /* nothing but GREASE */
                                 .versions = {0x0304, END}};
  assert_string_equal(cooked(&unsigned_one), "t13d1516h2_8daaf6152771_6d807ffa2a79");
  const recipe_t bare = {.suites = {0x0a0a, 0x0035, END}, .extensions = {0x0000, END}};
  assert_string_equal(cooked(&bare), "t12d010100_692296a295db_000000000000");
  const recipe_t barest = {.suites = {0x0a0a, END}, .extensions = {END}};
  assert_string_equal(cooked(&barest), "t12i000000_000000000000_000000000000");
}

/* The two characters that stand for the first protocol, from the description. */
static void first_and_last_of_the_protocol(void **state) {
  (void)state;
  static const struct {
    const char *protocols, *text;
  } cases[] = {
      {"\2h2\x8http/1.1", "h2"},
      {"\x8http/1.1\2h2", "h1"},
      {"\1x", "xx"},
      {"\1\xab", "ab"},
      {"\2\xab\xcd", "ad"},
      {"\2\x30\xab", "3b"},
      {"\4\x30\x31\xab\xcd", "3d"},
      {"\4\x30\xab\xcd\x31", "01"},
      {"\2-2", "22"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    recipe_t recipe = {
        .suites = {0x0035, END}, .extensions = {16, END}, .protocols = cases[i].protocols};
    assert_memory_equal(cooked(&recipe) + 8, cases[i].text, 2);
  }
}

static void versions(void **state) {
  (void)state;
  static const struct {
    uint16_t list[4];
    const char *text;
  } cases[] = {
      {{0x0303, 0x0304, END}, "13"},
      {{0x0302, 0x0301, END}, "11"},
      {{0x0301, END}, "10"},
      {{0x0300, END}, "s3"},
      {{0xfafa, END}, "00"},
      {{0x7f1c, 0x0303, END}, "00"}, /* a draft's: the highest, and unknown */
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    recipe_t recipe = {.suites = {0x0035, END}, .extensions = {43, END}};
    memcpy(recipe.versions, cases[i].list, sizeof recipe.versions);
    assert_memory_equal(cooked(&recipe) + 1, cases[i].text, 2);
  }
}

/* More than two digits can say. */
static void counts_end_at_99(void **state) {
  (void)state;
  hello_t *hello = hello_new();
  for (unsigned i = 0; i < 32767; i++)
    hello_suite(hello, i);
  for (unsigned i = 0; i < 16000; i++)
    hello_extension(hello, 0xb000 + i, "", 0);
  assert_memory_equal(fingerprint_of(hello), "t12i999900_", 11);
}

/* -- while a hook waits, and elsewhere --------------------------------------------------------- */

static void asked_at_other_times(void **state) {
  (void)state;
  char room[SP_FINGERPRINT_SIZE];
  couple_t couple;
  memset(&now, 0, sizeof now);
  now.waits = true;
  couple_make_of(&couple, couple_client_context(SP_PROTOCOL_DEFAULT), server_context());
  assert_int_equal(sp_pair_fingerprint(couple.client.pair, room, sizeof room), SP_EOPTION);
  assert_int_equal(sp_pair_fingerprint(couple.server.pair, room, sizeof room), SP_EOPTION);
  couple_run(&couple, &(const manner_t){.read = 0});
  assert_true(sp_pair_state(couple.server.pair) & SP_PAIR_WAITING);
  assert_int_equal(sp_pair_fingerprint(couple.server.pair, room, sizeof room), 0);
  assert_string_equal(room, now.text);
  assert_memory_equal(room, "t13d", 4);
  assert_int_equal(sp_pair_resume(couple.server.pair, 0), 0);
  couple_run(&couple, &(const manner_t){.read = 0});
  assert_true(sp_pair_state(couple.server.pair) & SP_PAIR_SECURE);
  assert_int_equal(sp_pair_fingerprint(couple.server.pair, room, sizeof room), SP_EOPTION);
  couple_free(&couple);
}

/* -- programs of others ------------------------------------------------------------------------ */

/* A list of numbers as text, "002f,1301". */
typedef char text_t[4000];

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

static void join(text_t text, char (*words)[5], size_t n, bool sorted) {
  if (sorted)
    qsort(words, n, sizeof *words, by_text);
  *text = '\0';
  for (size_t i = 0; i < n; i++)
    (void)snprintf(text + strlen(text), sizeof(text_t) - strlen(text), "%s%s", i ? "," : "",
                   words[i]);
}

static bool is_grease(const char *word) {
  return word[0] == word[2] && word[1] == 'a' && word[3] == 'a';
}

static size_t read_words(char (*words)[5], const uint8_t *list, size_t n) {
  size_t count = 0;
  for (size_t i = 0; i < n; i += 2) {
    (void)snprintf(words[count], 5, "%02x%02x", list[i], list[i + 1]);
    count += !is_grease(words[count]);
  }
  return count;
}

static void hash12(char room[13], const char *text) {
  uint8_t digest[32];
  (void)SHA256((const uint8_t *)text, strlen(text), digest);
  for (int i = 0; i < 6; i++)
    (void)snprintf(room + 2 * i, 3, "%02x", digest[i]);
}

/* Once more, another way: of a message in one record, which is in good order. */
static void compute(char room[64], const uint8_t *record) {
  static char suites[300][5], types[100][5], sigalgs[100][5];
  const uint8_t *at = record + 5 + 4 + 2 + 32;
  const uint8_t *end = record + 5 + (record[3] << 8 | record[4]);
  char protocol[3] = "00", version[3] = "12", hashes[2][13], mode = 'i';
  size_t all = 0, n_types = 0, n_sigalgs = 0;
  text_t text, more;
  char both[2 * sizeof(text_t) + 2];
  at += 1 + *at;
  size_t n_suites = read_words(suites, at + 2, (size_t)(at[0] << 8 | at[1]));
  at += 2 + (at[0] << 8 | at[1]);
  at += 1 + *at + 2;
  while (at < end) {
    unsigned type = (unsigned)(at[0] << 8 | at[1]), n = (unsigned)(at[2] << 8 | at[3]);
    const uint8_t *content = at + 4;
    bool counts = read_words(types + n_types, at, 2);
    all += counts;
    n_types += counts && type != 0 && type != 16;
    if (type == 0)
      mode = 'd';
    if (type == 13)
      n_sigalgs = read_words(sigalgs, content + 2, n - 2);
    if (type == 16) {
      protocol[0] = (char)content[3];
      protocol[1] = (char)content[2 + content[2]];
    }
    for (unsigned i = 1; type == 43 && i < n; i += 2)
      if (content[i] == 3 && content[i + 1] == 4)
        version[1] = '3';
    at = content + n;
  }
  join(text, suites, n_suites, true);
  hash12(hashes[0], text);
  join(text, types, n_types, true);
  join(more, sigalgs, n_sigalgs, false);
  (void)snprintf(both, sizeof both, "%s%s%s", text, n_sigalgs ? "_" : "", more);
  hash12(hashes[1], both);
  (void)snprintf(room, 64, "t%s%c%02zu%02zu%s_%s_%s", version, mode, n_suites, all, protocol,
                 hashes[0], hashes[1]);
}

static char seen[64];

static void on_bytes(raw_t *raw) {
  if (raw->got_size < 5 || raw->got_size < 5 + (size_t)(raw->got[3] << 8 | raw->got[4]))
    return;
  char expected[64];
  compute(expected, raw->got);
  (void)snprintf(seen, sizeof seen, "%s", fingerprint(raw->got, raw->got_size));
  assert_string_equal(seen, expected);
  raw->on_bytes = NULL;
  raw_fin(raw);
}

static void on_open(raw_t *raw) { raw->on_bytes = on_bytes; }

static bool has_seen(fixture_t *f) {
  (void)f;
  return *seen;
}

/* `port` stands in the arguments where "PORT" is. What its fingerprint begins with. */
static void program(const char *const *args, const char *begin) {
  char words[16][100];
  const char *copy[16] = {NULL};
  if (!child_exists(args[0])) {
    print_message("%s is not here\n", args[0]);
    return;
  }
  fixture_t *f = fixture_new();
  raws_t raws = {0};
  raws_begin(&raws, f);
  raw_listen(&raws, on_open, NULL);
  for (size_t i = 0; args[i]; i++) {
    const char *port = strstr(args[i], "PORT");
    (void)snprintf(words[i], sizeof words[i], port ? "%.*s%d" : "%.*s",
                   port ? (int)(port - args[i]) : (int)strlen(args[i]), args[i], raws.port);
    copy[i] = words[i];
  }
  *seen = '\0';
  child_t *child = child_start(&f->loop, copy);
  assert_non_null(child);
  fixture_run_until(f, has_seen);
  (void)child_wait(child);
  child_free(child);
  print_message("%s: %s\n", args[0], seen);
  assert_memory_equal(seen, begin, strlen(begin));
  raws_run(&raws);
  raws_free(&raws);
  fixture_free(f);
}

static void programs_of_others(void **state) {
  (void)state;
  program(CHILD_ARGS("openssl", "s_client", "-connect", "127.0.0.1:PORT"), "t13i");
  program(CHILD_ARGS("openssl", "s_client", "-servername", "a.example", "-alpn", "h2,http/1.1",
                     "-connect", "127.0.0.1:PORT"),
          "t13d");
  program(CHILD_ARGS("openssl", "s_client", "-tls1_2", "-alpn", "http/1.1", "-connect",
                     "127.0.0.1:PORT"),
          "t12i");
  program(CHILD_ARGS("openssl", "s_client", "-tls1_3", "-no_ticket", "-connect", "127.0.0.1:PORT"),
          "t13i");
  program(CHILD_ARGS("gnutls-cli", "--insecure", "--sni-hostname=a.example", "--alpn=h2", "-p",
                     "PORT", "127.0.0.1"),
          "t13d");
  program(CHILD_ARGS("gnutls-cli", "--insecure", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.2",
                     "-p", "PORT", "127.0.0.1"),
          "t12i");
  program(CHILD_ARGS("curl", "-sk", "https://localhost:PORT/"), "t13d");
  program(CHILD_ARGS("curl", "-sk", "--tls-max", "1.2", "https://127.0.0.1:PORT/"), "t12i");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(as_published),
      cmocka_unit_test(without_lists),
      cmocka_unit_test(first_and_last_of_the_protocol),
      cmocka_unit_test(versions),
      cmocka_unit_test(counts_end_at_99),
      cmocka_unit_test(asked_at_other_times),
      cmocka_unit_test(programs_of_others),
  };
  return cmocka_run_group_tests_name("pair-fingerprint", tests, NULL, NULL);
}
