/* OCSP responses along with the certificate (RFC 6066 8, RFC 8446 4.4.2.1). */
#include <errno.h>
#include <string.h>

#include <openssl/err.h>

#include "pair/pair.h"

void sp__pair_want_staple(sp_pair_t *pair) {
  SSL_set_tlsext_status_type(pair->ssl, TLSEXT_STATUSTYPE_ocsp);
}

const void *sp_pair_staple(const sp_pair_t *pair, size_t *n) {
  const unsigned char *der = NULL;
  long size = pair->role == SP_CLIENT ? SSL_get_tlsext_status_ocsp_resp(pair->ssl, &der) : 0;
  *n = size > 0 ? (size_t)size : 0;
  return *n ? der : NULL;
}

/* OpenSSL is about to choose the certificate; not when a session is resumed. */
static int on_certificate(SSL *ssl, void *owner) {
  sp_pair_t *pair = owner;
  if (pair->staple == SP__STAPLE_ASKED && !pair->waiting)
    return pair->answer >= 0;
  if (SSL_get_tlsext_status_type(ssl) != TLSEXT_STATUSTYPE_ocsp)
    return 1;
  if (pair->staple == SP__STAPLE_NONE)
    pair->staple = SP__STAPLE_DUE;
  return -1; /* to be asked outside of the engine */
}

void sp__pair_offer_staple(sp_pair_t *pair) {
  void *data;
  if (sp__pair_hooks(pair, &data)->staple)
    SSL_set_cert_cb(pair->ssl, on_certificate, pair);
}

static void ask(sp_pair_t *pair, void *unused) {
  (void)unused;
  void *data;
  const sp_hooks_t *hooks = sp__pair_hooks(pair, &data);
  int answer = hooks->staple(pair, data);
  if (answer == SP_PENDING)
    pair->waiting = SP__WAIT_STAPLE;
  else if (answer < 0)
    pair->answer = answer;
}

bool sp__pair_answer_staple(sp_pair_t *pair) {
  if (pair->staple != SP__STAPLE_DUE)
    return false;
  pair->staple = SP__STAPLE_ASKED;
  sp__pair_outside(pair, ask, NULL);
  return !pair->waiting;
}

int sp_pair_use_staple(sp_pair_t *pair, const void *der, size_t n) {
  bool asked = pair->staple == SP__STAPLE_ASKED;
  if (!asked || !n || n > 65535 || (!pair->in_hook && pair->waiting != SP__WAIT_STAPLE))
    return SP_EOPTION;
  unsigned char *copy = OPENSSL_memdup(der, n); /* which becomes OpenSSL's */
  if (!copy)
    return -ENOMEM;
  SSL_set_tlsext_status_ocsp_resp(pair->ssl, copy, (long)n);
  return 0;
}

/* Of the context's: what is there when the hook gave none. */
static bool take_ready(const sp_pair_t *pair) {
  size_t n;
  const void *der = sp__staples_find(pair->context->staples, SSL_get_certificate(pair->ssl), &n);
  unsigned char *copy = der ? OPENSSL_memdup(der, n) : NULL;
  return copy && SSL_set_tlsext_status_ocsp_resp(pair->ssl, copy, (long)n);
}

/* A server is asked for its response; a client is told that one came, or none. */
int sp__pair_staple(SSL *ssl) {
  const sp_pair_t *pair = SSL_get_app_data(ssl);
  const unsigned char *der;
  if (pair->role == SP_CLIENT)
    return 1;
  bool has = SSL_get_tlsext_status_ocsp_resp(ssl, &der) > 0 || take_ready(pair);
  return has ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}
