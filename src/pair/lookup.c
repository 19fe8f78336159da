#include "pair/lookup.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/memory.h"
#include "base/secret.h"
#include "context/seal.h"
#include "store/store.h"

#define MOST (256u * 1024) /* bytes of a session */

/* A question to the store. */
typedef struct sp__lookup {
  sp__query_t query;
  sp_pair_t *pair;
  sp_store_t *store;             /* that was asked; retained */
  void *limit;                   /* the owner's, of the time that it may take */
  uint8_t place[SP__PLACE_SIZE]; /* in the store */
  bool once, asking, answered;
} sp__lookup_t;

/* -- whose ------------------------------------------------------------------------------------- */

/* OpenSSL asks either context whether sessions are kept: the one that it began with, and the one
 * that a hook chose. */
sp_store_t *sp__pair_store(const sp_pair_t *pair) {
  return pair->origin && !pair->origin->store ? NULL : pair->context->store;
}

void sp__pair_keep_store(sp_pair_t *pair) {
  if (pair->context->store && !sp__pair_store(pair))
    SSL_clear_options(pair->ssl, SSL_OP_NO_TICKET);
}

/* Another policy and another name have other places, so that what they cannot use is not even taken
 * away. */
static bool find_place(const sp_pair_t *pair, const uint8_t *name, const uint8_t *id, size_t n,
                       uint8_t place[SP__PLACE_SIZE]) {
  const sp_context_t *context = pair->context;
  EVP_MD_CTX *hash = EVP_MD_CTX_new();
  bool fine = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) &&
              EVP_DigestUpdate(hash, context->session_name, sizeof context->session_name) &&
              EVP_DigestUpdate(hash, name, SP__NAME_DIGEST) && EVP_DigestUpdate(hash, id, n) &&
              EVP_DigestFinal_ex(hash, place, NULL);
  EVP_MD_CTX_free(hash);
  return fine;
}

static sp__ring_t *ring_of(const sp_pair_t *pair) {
  return sp__tickets_ring(sp__pair_tickets(pair->ssl));
}

/* -- out of the store -------------------------------------------------------------------------- */

static SSL_SESSION *parse(const uint8_t *der, size_t n, bool once) {
  const uint8_t *at = der;
  SSL_SESSION *session = d2i_SSL_SESSION(NULL, &at, (long)n);
  bool is_1_3 = session && SSL_SESSION_get_protocol_version(session) == TLS1_3_VERSION;
  if (session && at == der + n && is_1_3 == once)
    return session;
  SSL_SESSION_free(session);
  return NULL;
}

/* Garbage is no session. */
static SSL_SESSION *open_value(const sp__lookup_t *lookup, const uint8_t *value, size_t n) {
  if (n <= SP__SEAL_EXTRA || n > MOST + SP__SEAL_EXTRA)
    return NULL;
  SSL_SESSION *session = NULL;
  uint8_t *der = sp__secret_alloc(n - SP__SEAL_EXTRA);
  ERR_set_mark();
  if (der && sp__unseal(ring_of(lookup->pair), lookup->place, value, n, der))
    session = parse(der, n - SP__SEAL_EXTRA, lookup->once);
  ERR_pop_to_mark();
  sp__secret_free(der);
  return session;
}

static void on_answered(sp__query_t *query, int status, const void *value, size_t n) {
  sp__lookup_t *lookup = SP__OF(query, sp__lookup_t, query);
  sp_pair_t *pair = lookup->pair;
  if (status > 0 && value) {
    SSL_SESSION_free(pair->session);
    pair->session = open_value(lookup, value, n);
  }
  lookup->answered = true;
  if (!lookup->asking)
    (void)sp_pair_resume(pair, 0);
}

void sp__pair_end_lookup(sp_pair_t *pair) {
  sp__lookup_t *lookup = pair->query;
  if (!lookup)
    return;
  pair->query = NULL;
  sp__store_forget(lookup->store, &lookup->query);
  sp_store_release(lookup->store);
  if (lookup->limit)
    pair->calls->end_limit(lookup->limit);
  sp__free(lookup);
}

/* Whether it is worth to wait: not when nothing could end it. */
static bool may_wait(sp_pair_t *pair, sp__lookup_t *lookup) {
  int time = pair->context->store_timeout;
  if (lookup->answered)
    return false;
  if (!pair->calls || time < 0)
    return true;
  lookup->limit = pair->calls->set_limit(pair->owner, time);
  return lookup->limit;
}

static void ask(sp__lookup_t *lookup) {
  lookup->asking = true;
  sp__store_ask(lookup->store, lookup->once ? SP__TAKE : SP__GET,
                (sp__bytes_t){lookup->place, sizeof lookup->place}, (sp__bytes_t){NULL, 0}, 0,
                &lookup->query);
  lookup->asking = false;
}

int sp__pair_look_up(sp_pair_t *pair, const uint8_t *id, size_t n, bool once) {
  sp__lookup_t *lookup = sp__zalloc(sizeof *lookup);
  if (!lookup)
    return 0;
  *lookup = (sp__lookup_t){.query.answered = on_answered, .pair = pair, .once = once};
  uint8_t name[SP__NAME_DIGEST];
  if (!sp__pair_asked_name(pair->ssl, name) || !find_place(pair, name, id, n, lookup->place)) {
    sp__free(lookup);
    return 0;
  }
  lookup->store = sp_store_retain(sp__pair_store(pair));
  pair->query = lookup;
  ask(lookup);
  if (may_wait(pair, lookup))
    return SP_PENDING;
  sp__pair_end_lookup(pair);
  return 0;
}

/* -- into the store ---------------------------------------------------------------------------- */

/* The DER form at the beginning of the block, sealed behind it. */
static void put(const sp_pair_t *pair, const SSL_SESSION *session, uint8_t *der, size_t n,
                const uint8_t *place) {
  uint8_t *at = der, *sealed = der + n;
  if (i2d_SSL_SESSION(session, &at) != (int)n || !sp__seal(ring_of(pair), place, der, n, sealed))
    return;
  sp__store_ask(sp__pair_store(pair), SP__SET, (sp__bytes_t){place, SP__PLACE_SIZE},
                (sp__bytes_t){sealed, n + SP__SEAL_EXTRA},
                (unsigned)SSL_SESSION_get_timeout(session), NULL);
}

/* Whatever fails, the client's next handshake is just a full one. */
void sp__pair_shelve(sp_pair_t *pair, void *what) {
  const SSL_SESSION *session = what;
  uint8_t place[SP__PLACE_SIZE], name[SP__NAME_DIGEST];
  unsigned id_size;
  const uint8_t *id = SSL_SESSION_get_id(session, &id_size);
  int n = SSL_SESSION_is_resumable(session) ? i2d_SSL_SESSION(session, NULL) : 0;
  if (SSL_get_verify_result(pair->ssl) != X509_V_OK) /* a refusal is not for keeping */
    return;
  if (n <= 0 || (unsigned)n > MOST || !sp__pair_served_name(pair->ssl, name) ||
      !find_place(pair, name, id, id_size, place))
    return;
  uint8_t *block = sp__secret_alloc(2 * (size_t)n + SP__SEAL_EXTRA);
  if (block)
    put(pair, session, block, (size_t)n, place);
  sp__secret_free(block);
}

static void take_away(sp_pair_t *pair, void *what) {
  const SSL_SESSION *session = what;
  uint8_t place[SP__PLACE_SIZE], name[SP__NAME_DIGEST];
  unsigned id_size;
  const uint8_t *id = SSL_SESSION_get_id(session, &id_size);
  if (id_size && sp__pair_served_name(pair->ssl, name) &&
      find_place(pair, name, id, id_size, place))
    sp__store_ask(sp__pair_store(pair), SP__REMOVE, (sp__bytes_t){place, sizeof place},
                  (sp__bytes_t){NULL, 0}, 0, NULL);
}

/* One of TLS 1.3 was for one use. And who fails before the connection is secure may not even have
 * had the session, but seen its id: that is no reason to take it from who has it. */
void sp__pair_unshelve(sp_pair_t *pair) {
  if (pair->role == SP_SERVER && pair->secure && SSL_version(pair->ssl) <= TLS1_2_VERSION &&
      sp__pair_store(pair) && SSL_get0_session(pair->ssl))
    sp__pair_tell(pair, take_away, SSL_get0_session(pair->ssl), NULL);
}
