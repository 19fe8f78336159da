/* Sessions that come back: to a client by its options, to a server by its hook. */
#include <string.h>
#include <time.h>

#include <openssl/err.h>

#include "pair/pair.h"

/* -- client ------------------------------------------------------------------------------------ */

/* The verdict would be one on the certificate that the server had then. */
static bool is_fresh(SSL_SESSION *session) {
  const X509 *leaf = SSL_SESSION_get0_peer(session);
  time_t now = time(NULL), made = SSL_SESSION_get_time(session);
  unsigned long hint = SSL_SESSION_get_ticket_lifetime_hint(session);
  return now >= made && now - made < SSL_SESSION_get_timeout(session) &&
         (!hint || (unsigned long)(now - made) < hint) &&
         (!leaf || sp__x509_check_dates(leaf) == X509_V_OK);
}

/* What cannot be used is passed over: then the handshake is a full one. */
bool sp__pair_resume_session(sp_pair_t *pair, const void *bytes, size_t n) {
  SSL_SESSION *session = sp__pair_open_session(pair, bytes, n);
  bool used = session && is_fresh(session) && SSL_SESSION_is_resumable(session) &&
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

/* A ticket says all itself; the id beside it is the client's invention (RFC 5077 3.4). */
static bool has_ticket(const sp_pair_t *pair) {
  const unsigned char *ticket;
  size_t n;
  return !(SSL_CTX_get_options(pair->context->ssl_ctx) & SSL_OP_NO_TICKET) &&
         SSL_client_hello_get0_ext(pair->ssl, TLSEXT_TYPE_session_ticket, &ticket, &n) && n;
}

int sp__pair_ask_session(sp_pair_t *pair, const sp_hooks_t *hooks, void *data) {
  const unsigned char *id;
  if (!hooks->session_get)
    return 0;
  size_t n = SSL_client_hello_get0_session_id(pair->ssl, &id);
  return n && !is_1_3(pair) && !has_ticket(pair) ? hooks->session_get(pair, id, n, data) : 0;
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

/* A session that answers to another id would fail the handshake: it is passed over. */
SSL_SESSION *sp__pair_session_get(SSL *ssl, const unsigned char *id, int n, int *copy) {
  sp_pair_t *pair = SSL_get_app_data(ssl);
  SSL_SESSION *session = pair->session;
  unsigned size;
  *copy = 0; /* it becomes OpenSSL's */
  if (!session)
    return NULL;
  const unsigned char *own = SSL_SESSION_get_id(session, &size);
  if ((int)size != n || memcmp(own, id, size) != 0)
    return NULL;
  pair->session = NULL;
  return session;
}
