/* Every allocation of a connection with sessions, OCSP, a key log and a key known before fails in
 * turn, ours and OpenSSL's: an error or a connection, never a crash, a leak or a wrong verdict
 * (FAULTS R10). */
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

/* -- scenes ------------------------------------------------------------------------------------ */

typedef struct scene {
  const char *name;
  sp_protocol_t version;
  sp_choice_t tickets;
  bool resumes, psk, stranger;
} scene_t;

static const scene_t scenes[] = {
    {"first 1.2", SP_TLS1_2, SP_NO, .resumes = false},
    {"ids 1.2", SP_TLS1_2, SP_NO, .resumes = true},
    {"tickets 1.2", SP_TLS1_2, SP_YES, .resumes = true},
    {"tickets 1.3", SP_TLS1_3, SP_YES, .resumes = true},
    {"stranger 1.3", SP_TLS1_3, SP_YES, .resumes = true, .stranger = true},
    {"psk 1.2", SP_TLS1_2, SP_NO, .psk = true},
    {"psk 1.3", SP_TLS1_3, SP_NO, .psk = true},
};

static sp_context_t *server_of(const scene_t *scene) {
  const pki_set_t *s = pki_default();
  const pki_t *pki = scene->stranger ? s->stranger : s->server;
  sp_options_t options = {.size = sizeof options, .max_version = scene->version};
  options.tickets = scene->tickets;
  options.hooks = (sp_hooks_t){.session_new = on_session_new,
                               .session_get = on_session_get,
                               .staple = on_staple,
                               .keylog = on_keylog};
  if (scene->psk) {
    options.ciphers = "PSK+AESGCM";
    options.hooks.psk_server = on_psk_server;
  } else {
    options.key = pki->key_pem;
    options.cert = pki->cert_pem;
  }
  return context_made(&options);
}

static sp_context_t *client_of(const scene_t *scene) {
  const char *const root[] = {pki_default()->root->cert_pem, NULL};
  sp_options_t options = {.size = sizeof options, .ca = root};
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
                               .session_size = n, .request_staple = SP_YES)) &&
      !sp_pair_make(&theirs, SP_SERVER, &why, SP_OPTIONS(.context = server))) {
    for (int i = 0; i < 5; i++) {
      move(ours, theirs);
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

static void fail_each(const scene_t *scene, int always) {
  static uint8_t session[sizeof kept.client];
  sp_context_t *client = client_of(scene), *server = server_of(scene);
  assert_true(connect_once(client, server, scene, NULL, 0));
  size_t n = scene->resumes ? kept.client_size : 0;
  memcpy(session, kept.client, n);
  typeof(kept) first = kept;
  long step = getenv("SP_TEST_FULL") ? 1 : 7, at = 0;
  for (bool failed = true; failed; at += step) {
    kept = first;
    long before = live;
    countdown = at;
    forever = always;
    bool secure = connect_once(client, server, scene, session, n);
    failed = countdown <= 0; /* once: -1, always: 0 */
    countdown = -1;
    ERR_clear_error();
    assert_int_equal(live, before);
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
  CRYPTO_set_mem_functions(openssl_allocate, openssl_reallocate, openssl_release);
  sp_replace_allocator(allocate, reallocate, release);
  return cmocka_run_group_tests_name("pair-memory", tests, NULL, NULL);
}
