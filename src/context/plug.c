/* Callbacks that OpenSSL has by SSL_CTX only, passed on to the connection (sp__handler_t). Those
 * that cost something are there only when the context's hooks want them. */
#include "certificate/certificate.h"
#include "context/build.h"

static const sp__handler_t *handler_of(const SSL *ssl) {
  const sp__handler_t *const *owner = SSL_get_app_data(ssl);
  return owner ? *owner : NULL;
}

static void on_keylog(const SSL *ssl, const char *line) {
  const sp__handler_t *handler = handler_of(ssl);
  if (handler && handler->keylog)
    handler->keylog(ssl, line);
}

static int on_session_new(SSL *ssl, SSL_SESSION *session) {
  const sp__handler_t *handler = handler_of(ssl);
  return handler && handler->session_new ? handler->session_new(ssl, session) : 0;
}

static SSL_SESSION *on_session_get(SSL *ssl, const unsigned char *id, int n, int *copy) {
  const sp__handler_t *handler = handler_of(ssl);
  return handler && handler->session_get ? handler->session_get(ssl, id, n, copy) : NULL;
}

static int on_staple(SSL *ssl, void *unused) {
  (void)unused;
  const sp__handler_t *handler = handler_of(ssl);
  return handler && handler->staple ? handler->staple(ssl) : SSL_TLSEXT_ERR_NOACK;
}

/* A server tells a client that its name was looked at (RFC 6066 3). Only then OpenSSL writes it
 * into the session, without which nobody knows it when that comes back in TLS 1.2. Which
 * certificate is served was decided before. */
static int on_server_name(SSL *ssl, int *alert, void *unused) {
  (void)alert, (void)unused;
  const char *name = SSL_is_server(ssl) ? SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) : NULL;
  return name && sp__is_host_name(name) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static int on_ticket_made(SSL *ssl, void *unused) {
  (void)unused;
  const sp__handler_t *handler = handler_of(ssl);
  return handler && handler->ticket_made ? handler->ticket_made(ssl) : 1;
}

/* What OpenSSL would do, but for a ticket that does not fit: a full handshake and a new one. */
static SSL_TICKET_RETURN on_ticket_opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                          size_t n, SSL_TICKET_STATUS status, void *unused) {
  (void)name, (void)n, (void)unused;
  const sp__handler_t *handler = handler_of(ssl);
  if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  if (handler && handler->ticket_fits && !handler->ticket_fits(ssl, session))
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

/* Nothing is kept inside of OpenSSL. A client's sessions cost nothing until a hook takes them; a
 * server gives session ids to clients without tickets only when somebody keeps the sessions. */
void sp__plug(const sp_context_t *context) {
  SSL_CTX *ctx = context->ssl_ctx;
  long mode = SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR;
  if (context->hooks.session_new || context->store)
    mode |= SSL_SESS_CACHE_SERVER;
  SSL_CTX_set_session_cache_mode(ctx, mode);
  SSL_CTX_sess_set_new_cb(ctx, on_session_new);
  SSL_CTX_sess_set_get_cb(ctx, on_session_get);
  SSL_CTX_set_session_ticket_cb(ctx, on_ticket_made, on_ticket_opened, NULL);
  SSL_CTX_set_tlsext_status_cb(ctx, on_staple);
  SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
  if (context->logs_keys)
    SSL_CTX_set_keylog_callback(ctx, on_keylog);
}
