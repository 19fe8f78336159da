/*
 * Sessions given out as bytes: four letters, a SHA-256, and the session as OpenSSL writes it. The
 * hash is over the session and everything it is bound to; so one comparison tells that nobody
 * else's session came back, and that no bit of it was changed.
 */
#include "pair/pair.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/memory.h"
#include "pair/lookup.h"
#include "pair/target.h"

#define HASH_SIZE 32u
#define MOST (256u * 1024) /* bytes of a session: a certificate and a ticket of 64 KiB at most */

static const char letters[4] = "SPS1";
#define HEAD (sizeof letters + HASH_SIZE)

/* -- what a session is bound to ---------------------------------------------------------------- */

static bool hash_ciphers(EVP_MD_CTX *hash, const SSL_CTX *ctx) {
  const STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(ctx);
  bool fine = true;
  for (int i = 0; fine && i < sk_SSL_CIPHER_num(ciphers); i++) {
    uint32_t id = SSL_CIPHER_get_id(sk_SSL_CIPHER_value(ciphers, i));
    fine = EVP_DigestUpdate(hash, &id, sizeof id);
  }
  return fine;
}

/* A client's policy and the name that it checked; and since the server took it for the one whose
 * certificate it saw, all that it may show. A server's policy is in the session itself, as
 * its session id context. */
static bool hash_binding(EVP_MD_CTX *hash, const sp_pair_t *pair) {
  const sp_context_t *context = pair->context;
  const char *name = pair->server_name ? pair->server_name : "";
  uint8_t facts[] = {(uint8_t)pair->role, context->reject_client, pair->check_name,
                     pair->require_staple, pair->must_staple};
  if (pair->role == SP_SERVER)
    return EVP_DigestUpdate(hash, facts, 1);
  return EVP_DigestUpdate(hash, facts, sizeof facts) &&
         EVP_DigestUpdate(hash, context->policy, sizeof context->policy) &&
         EVP_DigestUpdate(hash, name, strlen(name) + 1) && sp__target_hash(pair, hash) &&
         EVP_DigestUpdate(hash, &context->alpn_size, sizeof context->alpn_size) &&
         (!context->alpn_size || EVP_DigestUpdate(hash, context->alpn, context->alpn_size)) &&
         hash_ciphers(hash, context->ssl_ctx) &&
         EVP_DigestUpdate(hash, context->shown, sizeof context->shown);
}

static bool bind_bytes(const sp_pair_t *pair, const uint8_t *der, size_t n,
                       uint8_t room[HASH_SIZE]) {
  EVP_MD_CTX *hash = EVP_MD_CTX_new();
  bool fine = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) && hash_binding(hash, pair) &&
              EVP_DigestUpdate(hash, der, n) && EVP_DigestFinal_ex(hash, room, NULL);
  EVP_MD_CTX_free(hash);
  return fine;
}

bool sp__pair_session_key(const sp_pair_t *pair, uint8_t room32[HASH_SIZE]) {
  return bind_bytes(pair, NULL, 0, room32);
}

/* -- to bytes ---------------------------------------------------------------------------------- */

/* Without `room` it only counts. */
/* A session that comes back brings OpenSSL's result along; where ours is another one, because the
 * staple that was required did not come, it must not. */
static bool tells_verdict(const sp_pair_t *pair) {
  return pair->role == SP_SERVER || pair->verify == SSL_get_verify_result(pair->ssl);
}

static size_t write_session(const sp_pair_t *pair, const SSL_SESSION *session, uint8_t *room,
                            size_t size) {
  bool fine = SSL_SESSION_is_resumable(session) && tells_verdict(pair);
  int n = fine ? i2d_SSL_SESSION(session, NULL) : 0;
  if (n <= 0 || (size_t)n > MOST - HEAD)
    return 0;
  size_t whole = HEAD + (size_t)n;
  if (size < whole)
    return whole;
  uint8_t *der = room + HEAD, *end = der;
  memcpy(room, letters, sizeof letters);
  fine = i2d_SSL_SESSION(session, &end) == n &&
         bind_bytes(pair, der, (size_t)n, room + sizeof letters);
  return fine ? whole : 0;
}

size_t sp_pair_session(const sp_pair_t *pair, void *room, size_t size) {
  const SSL_SESSION *session = sp__pair_is_secure(pair) ? SSL_get0_session(pair->ssl) : NULL;
  if (!session || pair->error)
    return 0;
  return write_session(pair, session, room, room ? size : 0);
}

/* -- to the hooks ------------------------------------------------------------------------------ */

static void hand_over(sp_pair_t *pair, const SSL_SESSION *session, const uint8_t *bytes, size_t n) {
  void *data;
  const sp_hooks_t *hooks = sp__pair_hooks(pair, &data);
  unsigned id_size;
  const uint8_t *id = SSL_SESSION_get_id(session, &id_size);
  if (pair->role == SP_CLIENT)
    hooks->session(pair, bytes, n, data);
  else
    hooks->session_new(pair, id, id_size, bytes, n, data);
}

static bool has_hook(const sp_pair_t *pair) {
  void *data;
  const sp_hooks_t *hooks = sp__pair_hooks(pair, &data);
  return pair->role == SP_CLIENT ? hooks->session != NULL : hooks->session_new != NULL;
}

static bool is_1_3(const sp_pair_t *pair) { return SSL_version(pair->ssl) == TLS1_3_VERSION; }

/* The owner of a pair of TLS 1.2 asks when it is ready. */
static bool has_owner(const sp_pair_t *pair) { return is_1_3(pair) && pair->tells_session; }

static bool is_wanted(const sp_pair_t *pair) {
  return has_hook(pair) || has_owner(pair) || sp__target_keeps(pair);
}

/* To the hook last: it may release the pair and what owns it. */
static void pass_on(sp_pair_t *pair, const SSL_SESSION *session, const uint8_t *bytes, size_t n) {
  if (sp__target_keeps(pair))
    sp__target_keep(pair, session, bytes, n);
  if (has_owner(pair))
    pair->calls->session(pair->owner, bytes, n);
  if (has_hook(pair) && !pair->doomed)
    hand_over(pair, session, bytes, n);
}

static void pass_to_owner(sp_pair_t *pair, const SSL_SESSION *session, const uint8_t *bytes,
                          size_t n) {
  (void)session;
  pair->calls->session(pair->owner, bytes, n);
}

typedef void (*pass_t)(sp_pair_t *pair, const SSL_SESSION *session, const uint8_t *bytes, size_t n);

/* Without memory there is just no session. */
static void with_bytes(sp_pair_t *pair, const SSL_SESSION *session, pass_t pass) {
  size_t n = write_session(pair, session, NULL, 0);
  uint8_t *bytes = n ? sp__alloc(n) : NULL;
  if (!bytes)
    return;
  if (write_session(pair, session, bytes, n))
    pass(pair, session, bytes, n);
  OPENSSL_cleanse(bytes, n);
  sp__free(bytes);
}

static void tell(sp_pair_t *pair, void *session) {
  if (pair->role == SP_SERVER && sp__pair_store(pair))
    sp__pair_shelve(pair, session);
  if (is_wanted(pair))
    with_bytes(pair, session, pass_on);
}

/* A server's: is it on the server to keep it? In TLS 1.2 it has an id then, and else none. */
static bool is_ours_to_keep(const sp_pair_t *pair) {
  return !is_1_3(pair) || SSL_get_options(pair->ssl) & SSL_OP_NO_TICKET;
}

/* OpenSSL has a new session: a server's at the end of the handshake, and a client's likewise in TLS
 * 1.2, which has to wait until the pair is secure. Never kept: 0. */
int sp__pair_session_new(SSL *ssl, SSL_SESSION *session) {
  sp_pair_t *pair = SSL_get_app_data(ssl);
  bool is_due = pair->role == SP_CLIENT ? pair->secure : is_ours_to_keep(pair);
  bool is_kept = pair->role == SP_SERVER && sp__pair_store(pair);
  if (is_due && (is_kept || is_wanted(pair)))
    sp__pair_tell(pair, tell, session, NULL);
  return 0;
}

/* A client's of TLS 1.2 that was made in this connection. */
static bool is_new_1_2(const sp_pair_t *pair) {
  return pair->role == SP_CLIENT && !is_1_3(pair) && !SSL_session_reused(pair->ssl);
}

void sp__pair_tell_session(sp_pair_t *pair) {
  if (is_new_1_2(pair) && is_wanted(pair))
    sp__pair_tell(pair, tell, SSL_get0_session(pair->ssl), NULL);
}

void sp__pair_tell_owner(sp_pair_t *pair) {
  if (is_new_1_2(pair) && !pair->error)
    with_bytes(pair, SSL_get0_session(pair->ssl), pass_to_owner);
}

/* -- from bytes -------------------------------------------------------------------------------- */

SSL_SESSION *sp__pair_open_session(const sp_pair_t *pair, const void *bytes, size_t n) {
  const uint8_t *head = bytes;
  uint8_t hash[HASH_SIZE];
  if (n <= HEAD || n > MOST || memcmp(head, letters, sizeof letters) != 0)
    return NULL;
  const uint8_t *der = head + HEAD;
  if (!bind_bytes(pair, der, n - HEAD, hash) ||
      memcmp(head + sizeof letters, hash, sizeof hash) != 0)
    return NULL;
  return d2i_SSL_SESSION(NULL, &der, (long)(n - HEAD));
}
