/* Every allocation of a connection with sessions (in tickets, a store, a client's cache), hooks
 * that choose, OCSP, a key log and a key known before fails in turn, ours and OpenSSL's: an error
 * or a connection, never a crash, a leak or a wrong verdict (FAULTS R10). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "support/contexts.h"
#include "support/couple.h"
#include "support/pki.h"
#include "support/sanitized.h"
#include "support/staple.h"

/* Counts down to the allocation that fails; below 0: none does. */
static long countdown = -1;
static int forever;
static long live; /* blocks of ours */

static int fails(void) {
  if (countdown < 0)
    return 0;
  if (countdown > 0) {
    countdown--;
    return 0;
  }
  if (!forever)
    countdown = -1;
  return 1;
}

static void *allocate(size_t n) {
  if (fails())
    return NULL;
  live++;
  return malloc(n);
}

static void *reallocate(void *memory, size_t n) { return fails() ? NULL : realloc(memory, n); }

static void release(void *memory) {
  live--;
  free(memory);
}

static void *openssl_allocate(size_t n, const char *file, int line) {
  (void)file, (void)line;
  return fails() || !n ? NULL : malloc(n);
}

static void *openssl_reallocate(void *memory, size_t n, const char *file, int line) {
  (void)file, (void)line;
  return fails() ? NULL : realloc(memory, n);
}

static void openssl_release(void *memory, const char *file, int line) {
  (void)file, (void)line;
  free(memory);
}

/* -- the hooks, which need no memory ----------------------------------------------------------- */

static struct {
  uint8_t client[16384], server[16384], id[32];
  size_t client_size, server_size, id_size, lines;
} kept;

static void on_session(sp_pair_t *pair, const void *bytes, size_t n, void *data) {
  (void)pair, (void)data;
  memcpy(kept.client, bytes, n);
  kept.client_size = n;
}

static void on_session_new(sp_pair_t *pair, const void *id, size_t id_size, const void *bytes,
                           size_t n, void *data) {
  (void)pair, (void)data;
  memcpy(kept.id, id, id_size);
  memcpy(kept.server, bytes, n);
  kept.id_size = id_size;
  kept.server_size = n;
}

static int on_session_get(sp_pair_t *pair, const void *id, size_t n, void *data) {
  (void)id, (void)n, (void)data;
  return sp_pair_use_session(pair, kept.server, kept.server_size);
}

static int on_staple(sp_pair_t *pair, void *data) {
  (void)data;
  return sp_pair_use_staple(pair, "staple", 6);
}

static void on_keylog(sp_pair_t *pair, const char *line, void *data) {
  (void)pair, (void)line, (void)data;
  kept.lines++;
}

static int on_psk_client(sp_pair_t *pair, const char *hint, char *identity, size_t identity_size,
                         uint8_t *key, size_t size, void *data) {
  (void)pair, (void)hint, (void)data, (void)identity_size, (void)size;
  strcpy(identity, "bob");
  memset(key, 7, 16);
  return 16;
}

static int on_psk_server(sp_pair_t *pair, const char *identity, uint8_t *key, size_t size,
                         void *data) {
  (void)pair, (void)identity, (void)data, (void)size;
  memset(key, 7, 16);
  return 16;
}

static sp_context_t *chosen; /* by the hooks */

static int on_hello(sp_pair_t *pair, const sp_client_hello_t *hello, void *data) {
  char fingerprint[SP_FINGERPRINT_SIZE];
  (void)data;
  assert_true(hello->extension_count > 5);
  int status = sp_pair_fingerprint(pair, fingerprint, sizeof fingerprint);
  return status < 0 ? status : SP_PENDING;
}

static int on_name(sp_pair_t *pair, const char *name, void *data) {
  (void)data;
  assert_string_equal(name, "localhost");
  return sp_pair_use_context(pair, chosen);
}

static int on_alpn(sp_pair_t *pair, const uint8_t *protocols, size_t n, void *data) {
  (void)data;
  assert_int_equal(protocols[0] + 1u, n);
  int status = sp_pair_use_protocol(pair, (const char *)protocols + 1, n - 1);
  return status < 0 ? status : SP_PENDING;
}

/* -- scenes ------------------------------------------------------------------------------------ */

typedef struct scene {
  const char *name;
  sp_protocol_t version;
  sp_choice_t tickets;
  bool resumes, psk, stranger;
  bool store;    /* the server's sessions are in one */
  bool asks;     /* hooks that wait, and choose context and protocol */
  bool requires; /* the client, a good OCSP response, which the context has */
  bool caches;   /* the client, its sessions */
} scene_t;

static const scene_t scenes[] = {
    {"first 1.2", SP_TLS1_2, SP_NO, .resumes = false},
    {"ids 1.2", SP_TLS1_2, SP_NO, .resumes = true},
    {"tickets 1.2", SP_TLS1_2, SP_YES, .resumes = true},
    {"tickets 1.3", SP_TLS1_3, SP_YES, .resumes = true},
    {"stranger 1.3", SP_TLS1_3, SP_YES, .resumes = true, .stranger = true},
    {"psk 1.2", SP_TLS1_2, SP_NO, .psk = true},
    {"psk 1.3", SP_TLS1_3, SP_NO, .psk = true},
    {"store 1.2", SP_TLS1_2, SP_YES, .resumes = true, .store = true},
    {"store 1.3", SP_TLS1_3, SP_YES, .resumes = true, .store = true},
    {"hooks 1.2", SP_TLS1_2, SP_NO, .asks = true},
    {"hooks 1.3", SP_TLS1_3, SP_YES, .asks = true},
    {"staple 1.2", SP_TLS1_2, SP_NO, .requires = true},
    {"staple 1.3", SP_TLS1_3, SP_NO, .requires = true},
    {"cache 1.2", SP_TLS1_2, SP_YES, .caches = true},
    {"cache 1.3", SP_TLS1_3, SP_YES, .caches = true},
};

static sp_store_t *store;
static sp_session_cache_t *cache;

static sp_context_t *server_of(const scene_t *scene) {
  const pki_set_t *s = pki_default();
  const pki_t *pki = scene->stranger ? s->stranger : s->server;
  sp_options_t options = {.size = sizeof options, .max_version = scene->version};
  options.tickets = scene->tickets;
  options.hooks = (sp_hooks_t){.keylog = on_keylog};
  if (!scene->store) {
    options.hooks.session_new = on_session_new;
    options.hooks.session_get = on_session_get;
  }
  if (!scene->requires)
    options.hooks.staple = on_staple;
  if (scene->asks) {
    options.hooks.client_hello = on_hello;
    options.hooks.server_name = on_name;
    options.hooks.alpn = on_alpn;
  }
  if (scene->psk) {
    options.ciphers = "PSK+AESGCM";
    options.hooks.psk_server = on_psk_server;
  } else {
    options.key = pki->key_pem;
    options.cert = pki->cert_pem;
  }
  const char *const root[] = {s->root->cert_pem, NULL};
  staple_t staple = STAPLE(.to = 3600);
  if (scene->requires) {
    options.ca = root;
    options.staple = staple.der;
    options.staple_size = staple.n;
  }
  if (scene->store)
    options.store = store;
  return context_made(&options);
}

static sp_context_t *client_of(const scene_t *scene) {
  const char *const root[] = {pki_default()->root->cert_pem, NULL};
  static const char *const protocols[] = {"h2", NULL};
  sp_options_t options = {.size = sizeof options, .ca = root};
  if (scene->asks)
    options.alpn = protocols;
  options.reject_unauthorized = scene->stranger ? SP_NO : SP_YES;
  options.hooks = (sp_hooks_t){.session = on_session, .keylog = on_keylog};
  if (scene->psk) {
    options.ciphers = "PSK+AESGCM";
    options.hooks.psk_client = on_psk_client;
  }
  return context_made(&options);
}

static void move(sp_pair_t *from, sp_pair_t *to) {
  const void *bytes;
  uint8_t copy[20000], room[100];
  size_t n, got;
  while ((n = sp_pair_encrypted_out(from, &bytes))) {
    n = n < sizeof copy ? n : sizeof copy;
    memcpy(copy, bytes, n);
    sp_pair_encrypted_sent(from, n);
    int status = sp_pair_encrypted_in(to, copy, n);
    if (!status && sp_pair_state(to) & SP_PAIR_HAS_CLEARTEXT)
      (void)sp_pair_cleartext_out(to, room, sizeof room, &got);
    (void)sp_pair_encrypted_release(to);
  }
}

/* One connection while allocations fail. Whether it came about. */
static bool connect_once(sp_context_t *client, sp_context_t *server, const scene_t *scene,
                         const uint8_t *session, size_t n) {
  sp_pair_t *ours = NULL, *theirs = NULL;
  sp_error_t why;
  bool secure = false;
  if (!sp_pair_make(&ours, SP_CLIENT, &why,
                    SP_OPTIONS(.context = client, .server_name = "localhost", .session = session,
                               .session_size = n, .request_staple = SP_YES,
                               .require_staple = scene->requires ? SP_YES : SP_NO,
                               .sessions = scene->caches ? cache : NULL,
                               .session_cache = scene->caches ? SP_YES : SP_NO)) &&
      !sp_pair_make(&theirs, SP_SERVER, &why, SP_OPTIONS(.context = server))) {
    for (int i = 0; i < 5; i++) {
      move(ours, theirs);
      while (sp_pair_state(theirs) & SP_PAIR_WAITING)
        (void)sp_pair_resume(theirs, 0);
      move(theirs, ours);
    }
    secure = sp_pair_state(ours) & sp_pair_state(theirs) & SP_PAIR_SECURE &&
             !(sp_pair_state(ours) & SP_PAIR_FAILED);
    if (scene->stranger)
      assert_false(sp_pair_is_authorized(ours));
    else if (secure)
      assert_true(sp_pair_is_authorized(ours));
  }
  sp_pair_release(ours);
  sp_pair_release(theirs);
  return secure;
}

/* Blocks that are not kept on purpose, after the cache forgot what it has. */
static long left(void) {
  size_t stored;
  sp_session_cache_clear(cache);
  sp_memory_store_usage(store, &stored, NULL);
  return live - (long)stored;
}

static void fail_each(const scene_t *scene, int always) {
  static uint8_t session[sizeof kept.client];
  sp_context_t *client = client_of(scene), *server = server_of(scene);
  assert_true(connect_once(client, server, scene, NULL, 0));
  size_t n = scene->resumes ? kept.client_size : 0;
  memcpy(session, kept.client, n);
  typeof(kept) first = kept;
  long step = getenv("SP_TEST_FULL") ? 1 : SANITIZED ? 37 : 7;
  long at = dice((uint32_t)step); /* others each time */
  for (bool failed = true; failed; at += step) {
    kept = first;
    long before = left();
    if (scene->caches)
      assert_true(connect_once(client, server, scene, NULL, 0));
    countdown = at;
    forever = always;
    bool secure = connect_once(client, server, scene, session, n);
    failed = countdown <= 0; /* once: -1, always: 0 */
    countdown = -1;
    ERR_clear_error();
    assert_int_equal(left(), before);
    assert_true(failed || secure);
  }
  print_message("%s, %s: %ld allocations\n", scene->name, always ? "from there on" : "once", at);
  kept = first;
  assert_true(connect_once(client, server, scene, session, n));
  sp_context_release(client);
  sp_context_release(server);
}

static void one_fails(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++)
    fail_each(&scenes[i], 0);
}

static void all_fail_from_there_on(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++)
    fail_each(&scenes[i], 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_fails),
      cmocka_unit_test(all_fail_from_there_on),
  };
  dice_seed();
  CRYPTO_set_mem_functions(openssl_allocate, openssl_reallocate, openssl_release);
  sp_replace_allocator(allocate, reallocate, release);
  assert_int_equal(sp_memory_store_new(&store, 1 << 20, NULL), 0);
  assert_int_equal(sp_session_cache_new(&cache, 0, 0), 0);
  chosen = server_of(&(const scene_t){"chosen", SP_PROTOCOL_DEFAULT, SP_YES, .resumes = false});
  int status = cmocka_run_group_tests_name("pair-memory", tests, NULL, NULL);
  sp_context_release(chosen);
  sp_session_cache_release(cache);
  sp_store_release(store);
  return status;
}
