/* Keys that both sides know before (RFC 4279; RFC 8446 4.2.11). */
#include <string.h>

#include <errno.h>

#include <openssl/async.h>
#include <openssl/objects.h>

#include "base/memory.h"
#include "pair/pair.h"

#define IDENTITY_MAX SP__IDENTITY_MAX

/* A question to a hook, and its answer. */
typedef struct question {
  const char *hint; /* client */
  char identity[IDENTITY_MAX];
  uint8_t key[PSK_MAX_PSK_LEN];
  int size; /* of the key */
} question_t;

/* What an external key's session of TLS 1.3 carries, also in the tickets made of it, where OpenSSL
 * keeps what is the program's: these letters, then the identity; what follows is ticket.c's. */
static const char mark[SP__KEY_MARK] = "psk";

static void ask(sp_pair_t *pair, void *what) {
  question_t *q = what;
  void *data;
  const sp_hooks_t *hooks = sp__pair_hooks(pair, &data);
  if (pair->role == SP_SERVER)
    q->size = hooks->psk_server(pair, q->identity, q->key, sizeof q->key, data);
  else
    q->size = hooks->psk_client(pair, q->hint, q->identity, sizeof q->identity, q->key,
                                sizeof q->key, data);
  if (q->size == SP_PENDING)
    pair->waiting = SP__WAIT_KEY;
}

/* What sp_pair_use_key kept: the identity with its NUL, then the key. */
static void take_key(sp_pair_t *pair, question_t *q) {
  const char *identity = (const char *)pair->signature;
  size_t n = strlen(identity) + 1;
  if (pair->role == SP_CLIENT)
    memcpy(q->identity, identity, n);
  q->size = (int)(pair->signature_size - n);
  memcpy(q->key, identity + n, pair->signature_size - n);
  sp__wipe(pair->signature, pair->signature_size);
  sp__free(pair->signature);
  pair->signature = NULL;
}

/* The engine's job pauses until the hook's answer is there; without one there is no waiting. */
static void wait_for_key(sp_pair_t *pair, question_t *q) {
  q->size = 0;
  while (pair->waiting == SP__WAIT_KEY && ASYNC_get_current_job() && ASYNC_pause_job())
    ;
  if (pair->waiting == SP__WAIT_KEY)
    pair->answer = SP_EKEY;
  pair->waiting = SP__WAIT_NONE;
  if (pair->signature && pair->answer >= 0)
    take_key(pair, q);
}

/* The length of the key; 0: none. */
static unsigned ask_for_key(SSL *ssl, question_t *q) {
  sp_pair_t *pair = SSL_get_app_data(ssl);
  sp__pair_outside(pair, ask, q);
  if (q->size == SP_PENDING)
    wait_for_key(pair, q);
  bool ended = memchr(q->identity, '\0', sizeof q->identity);
  if (!ended)
    q->identity[0] = '\0';
  return ended && q->size > 0 && (size_t)q->size <= sizeof q->key ? (unsigned)q->size : 0;
}

/* Identities are texts for the hooks. */
static bool take_identity(question_t *q, const void *identity, size_t n) {
  if (n >= sizeof q->identity || memchr(identity, '\0', n))
    return false;
  memcpy(q->identity, identity, n);
  q->identity[n] = '\0';
  return true;
}

/* -- TLS 1.3 ----------------------------------------------------------------------------------- */

static bool fill_session(SSL *ssl, SSL_SESSION *session, const question_t *q) {
  static const unsigned char suite[] = {0x13, 0x01}; /* it stands for its hash, SHA-256 */
  const sp_pair_t *pair = SSL_get_app_data(ssl);
  const uint8_t *policy = pair->context->policy;
  char label[sizeof mark + IDENTITY_MAX];
  size_t n = strlen(q->identity);
  memcpy(label, mark, sizeof mark);
  memcpy(label + sizeof mark, q->identity, n + 1);
  const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, suite);
  return cipher && SSL_SESSION_set1_master_key(session, q->key, (size_t)q->size) &&
         SSL_SESSION_set_cipher(session, cipher) &&
         SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) &&
         SSL_SESSION_set1_id_context(session, policy, sizeof pair->context->policy) &&
         SSL_SESSION_set1_ticket_appdata(session, label, sizeof mark + n + 1);
}

/* The hook's key as a session; NULL when it has none. */
static SSL_SESSION *session_of_key(SSL *ssl, question_t *q) {
  SSL_SESSION *session = ask_for_key(ssl, q) ? SSL_SESSION_new() : NULL;
  if (session && !fill_session(ssl, session, q)) {
    SSL_SESSION_free(session);
    session = NULL;
  }
  OPENSSL_cleanse(q, sizeof *q);
  return session;
}

/* Who waited for the hook was told to fail; "no key" would go on with certificates. */
static bool is_refused(const SSL *ssl) {
  const sp_pair_t *pair = SSL_get_app_data(ssl);
  return pair->answer < 0;
}

static int on_find(SSL *ssl, const unsigned char *identity, size_t n, SSL_SESSION **session) {
  question_t q = {.size = 0};
  *session = take_identity(&q, identity, n) ? session_of_key(ssl, &q) : NULL;
  return is_refused(ssl) ? 0 : 1;
}

/* The identity lies in the session, where it outlives this call. */
static int on_use(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *n,
                  SSL_SESSION **session) {
  question_t q = {.size = 0};
  void *label;
  *session = NULL;
  if (md && EVP_MD_get_type(md) != NID_sha256)
    return 1; /* a retry, with another hash */
  *session = session_of_key(ssl, &q);
  if (*session && SSL_SESSION_get0_ticket_appdata(*session, &label, n)) {
    *id = (const unsigned char *)label + sizeof mark;
    *n -= sizeof mark + 1;
  }
  return is_refused(ssl) ? 0 : 1;
}

/* -- TLS 1.2 ----------------------------------------------------------------------------------- */

/* OpenSSL falls back on these in TLS 1.3, where the above have answered. */
static bool is_for_1_3(const SSL *ssl) { return SSL_version(ssl) >= TLS1_3_VERSION; }

static unsigned give_key(question_t *q, unsigned char *key, unsigned n, unsigned size) {
  if (n > size)
    n = 0;
  memcpy(key, q->key, n);
  OPENSSL_cleanse(q, sizeof *q);
  return n;
}

static unsigned on_server(SSL *ssl, const char *identity, unsigned char *key, unsigned size) {
  question_t q = {.size = 0};
  if (is_for_1_3(ssl) || !take_identity(&q, identity, strlen(identity)))
    return 0;
  return give_key(&q, key, ask_for_key(ssl, &q), size);
}

static unsigned on_client(SSL *ssl, const char *hint, char *identity, unsigned identity_size,
                          unsigned char *key, unsigned size) {
  question_t q = {.hint = hint};
  if (is_for_1_3(ssl))
    return 0;
  unsigned n = ask_for_key(ssl, &q);
  if (strlen(q.identity) >= identity_size)
    n = 0;
  else
    memcpy(identity, q.identity, strlen(q.identity) + 1);
  return give_key(&q, key, n, size);
}

/* ---------------------------------------------------------------------------------------------- */

void sp__pair_offer_psk(sp_pair_t *pair) {
  void *data;
  const sp_hooks_t *hooks = sp__pair_hooks(pair, &data);
  if (pair->role == SP_SERVER && hooks->psk_server) {
    SSL_set_psk_find_session_callback(pair->ssl, on_find);
    SSL_set_psk_server_callback(pair->ssl, on_server);
  }
  if (pair->role == SP_CLIENT && hooks->psk_client) {
    SSL_set_psk_use_session_callback(pair->ssl, on_use);
    SSL_set_psk_client_callback(pair->ssl, on_client);
    if (ASYNC_is_capable()) /* a server: after its other hooks, see hello.c */
      SSL_set_mode(pair->ssl, SSL_MODE_ASYNC);
  }
}

bool sp__pair_asks_for_keys(const sp_pair_t *pair) {
  void *data;
  const sp_hooks_t *hooks = sp__pair_hooks(pair, &data);
  return pair->role == SP_SERVER ? hooks->psk_server != NULL : hooks->psk_client != NULL;
}

int sp_pair_use_key(sp_pair_t *pair, const char *identity, const void *key, size_t n) {
  size_t size = (identity ? strlen(identity) : 0) + 1;
  bool fits = size <= IDENTITY_MAX && n && n <= PSK_MAX_PSK_LEN;
  if (sp__pair_is_away(pair) || pair->waiting != SP__WAIT_KEY || !fits)
    return SP_EOPTION;
  uint8_t *copy = sp__zalloc(size + n);
  if (!copy)
    return -ENOMEM;
  memcpy(copy, identity ? identity : "", size);
  memcpy(copy + size, key, n);
  sp__wipe(pair->signature, pair->signature ? pair->signature_size : 0);
  sp__free(pair->signature);
  pair->signature = copy;
  pair->signature_size = size + n;
  return 0;
}

size_t sp__pair_key_label(const void *label, size_t n) {
  if (n <= sizeof mark || memcmp(label, mark, sizeof mark) != 0)
    return 0;
  const char *identity = (const char *)label + sizeof mark;
  const char *end = memchr(identity, '\0', n - sizeof mark);
  return end ? sizeof mark + (size_t)(end - identity) + 1 : 0;
}

static bool is_marked(SSL_SESSION *session) {
  void *label;
  size_t n;
  return session && SSL_SESSION_get0_ticket_appdata(session, &label, &n) &&
         sp__pair_key_label(label, n);
}

/* A ticket may come from a server that shares its keys with this one but knows others' keys, too:
 * without a hook of its own a server goes by certificates. */
static bool knows_keys(const sp_pair_t *pair) {
  void *data;
  return pair->role == SP_CLIENT || sp__pair_hooks(pair, &data)->psk_server;
}

bool sp__pair_is_psk(const sp_pair_t *pair) {
  if (!knows_keys(pair))
    return false;
  if (SSL_version(pair->ssl) >= TLS1_3_VERSION)
    return SSL_session_reused(pair->ssl) && is_marked(SSL_get_session(pair->ssl));
  return SSL_CIPHER_get_auth_nid(SSL_get_current_cipher(pair->ssl)) == NID_auth_psk;
}
