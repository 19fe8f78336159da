/* Sessions that come back: to a client by its options, to a server by its hook. */
#include <string.h>
#include <time.h>

#include <openssl/err.h>

#include "pair/lookup.h"

/* The verdict would be one on the certificate that the peer had then: where that is not as good as
 * it was, a full handshake shows what to think of it, or another one. */
bool sp__pair_is_still_good(const sp_pair_t *pair, SSL_SESSION *session) {
  const X509 *leaf = SSL_SESSION_get0_peer(session);
  if (sp__pair_is_old(session))
    return false;
  return !leaf || (sp__x509_check_dates(leaf) == X509_V_OK && sp__lists_are_current(pair->context));
}

/* -- client ------------------------------------------------------------------------------------ */

static bool is_fresh(const sp_pair_t *pair, SSL_SESSION *session) {
  time_t now = time(NULL), made = SSL_SESSION_get_time(session);
  unsigned long hint = SSL_SESSION_get_ticket_lifetime_hint(session);
  return now >= made && now - made < SSL_SESSION_get_timeout(session) &&
         (!hint || (unsigned long)(now - made) < hint) && sp__pair_is_still_good(pair, session);
}

/* What cannot be used is passed over: then the handshake is a full one. */
bool sp__pair_resume_session(sp_pair_t *pair, const void *bytes, size_t n) {
  SSL_SESSION *session = sp__pair_open_session(pair, bytes, n);
  bool used = session && is_fresh(pair, session) && SSL_SESSION_is_resumable(session) &&
              SSL_set_session(pair->ssl, session);
  SSL_SESSION_free(session);
  ERR_clear_error();
  return used;
}

/* -- server ------------------------------------------------------------------------------------ */

/* Whether the handshake will be one of TLS 1.3, in which session ids mean nothing. */
static bool is_1_3(const sp_pair_t *pair) {
  const unsigned char *versions;
  size_t n;
  if (pair->context->max_version < TLS1_3_VERSION ||
      !SSL_client_hello_get0_ext(pair->ssl, TLSEXT_TYPE_supported_versions, &versions, &n))
    return false;
  for (size_t i = 1; i + 1 < n; i += 2)
    if ((versions[i] << 8 | versions[i + 1]) == TLS1_3_VERSION)
      return true;
  return false;
}

/* Whether the client keeps the sessions itself, in tickets. */
static bool has_tickets(const sp_pair_t *pair) {
  return !sp__pair_store(pair) && !(SSL_CTX_get_options(pair->context->ssl_ctx) & SSL_OP_NO_TICKET);
}

/* A ticket says all itself; the id beside it is the client's invention (RFC 5077 3.4). */
static size_t find_id(const sp_pair_t *pair, const uint8_t **id) {
  const unsigned char *ticket;
  size_t n;
  if (has_tickets(pair) &&
      SSL_client_hello_get0_ext(pair->ssl, TLSEXT_TYPE_session_ticket, &ticket, &n) && n)
    return 0;
  return SSL_client_hello_get0_session_id(pair->ssl, id);
}

/* The first identity (RFC 8446 4.2.11) that looks like an id. What is malformed is OpenSSL's to
 * refuse. */
static size_t find_identity(const sp_pair_t *pair, const uint8_t **id) {
  const unsigned char *at;
  size_t n;
  if (has_tickets(pair) || !SSL_client_hello_get0_ext(pair->ssl, TLSEXT_TYPE_psk, &at, &n) || n < 2)
    return 0;
  size_t left = (size_t)(at[0] << 8 | at[1]);
  if (left > n - 2)
    return 0;
  for (at += 2; left > 6;) { /* length, identity, age */
    size_t size = (size_t)(at[0] << 8 | at[1]);
    if (size > left - 6)
      return 0;
    *id = at + 2;
    if (size == SSL_MAX_SSL_SESSION_ID_LENGTH)
      return size;
    at += size + 6;
    left -= size + 6;
  }
  return 0;
}

int sp__pair_ask_session(sp_pair_t *pair, const sp_hooks_t *hooks, void *data) {
  const uint8_t *id;
  if (!hooks->session_get && !sp__pair_store(pair))
    return 0;
  bool once = is_1_3(pair);
  size_t n = once ? find_identity(pair, &id) : find_id(pair, &id);
  if (!n)
    return 0;
  return hooks->session_get ? hooks->session_get(pair, id, n, data)
                            : sp__pair_look_up(pair, id, n, once);
}

void sp__pair_drop_session(sp_pair_t *pair) {
  SSL_SESSION_free(pair->session);
  pair->session = NULL;
}

int sp_pair_use_session(sp_pair_t *pair, const void *bytes, size_t n) {
  if (!sp__pair_can_answer_hello(pair))
    return SP_EOPTION;
  SSL_SESSION_free(pair->session);
  ERR_set_mark();
  pair->session = sp__pair_open_session(pair, bytes, n);
  ERR_pop_to_mark();
  return 0;
}

/* A session that answers to another id would fail the handshake: it is passed over. It stays with
 * the pair, because OpenSSL asks again after a HelloRetryRequest. */
SSL_SESSION *sp__pair_session_get(SSL *ssl, const unsigned char *id, int n, int *copy) {
  const sp_pair_t *pair = SSL_get_app_data(ssl);
  unsigned size;
  *copy = 1;
  if (!pair->session || !sp__pair_is_still_good(pair, pair->session))
    return NULL;
  const unsigned char *own = SSL_SESSION_get_id(pair->session, &size);
  return (int)size == n && !memcmp(own, id, size) ? pair->session : NULL;
}
