/* OCSP responses along with the certificate (RFC 6066 8, RFC 8446 4.4.2.1). */
#include <errno.h>
#include <string.h>

#include <openssl/err.h>

#include "base/error.h"
#include "certificate/ocsp.h"
#include "pair/pair.h"

/* -- client: what came ------------------------------------------------------------------------- */

static int check_choice(const char *name, sp_choice_t choice, const sp_options_t *options,
                        sp_error_t *why) {
  int value = (int)choice;
  if (value != SP_DEFAULT && value != SP_YES && value != SP_NO)
    return sp__fail(why, SP_EOPTION, SP_US, "%s: %d is not SP_DEFAULT, SP_YES or SP_NO", name,
                    value);
  if (choice == SP_YES && options->request_staple == SP_NO)
    return sp__fail(why, SP_EOPTION, SP_US,
                    "%s and request_staple contradict each other: leave request_staple out", name);
  return 0;
}

int sp__pair_want_staple(sp_pair_t *pair, const sp_options_t *options, sp_error_t *why) {
  int status = check_choice("require_staple", options->require_staple, options, why);
  if (!status)
    status = check_choice("must_staple", options->must_staple, options, why);
  if (status < 0)
    return status;
  pair->require_staple = options->require_staple == SP_YES;
  pair->must_staple = options->must_staple == SP_YES;
  if (pair->require_staple || pair->must_staple || options->request_staple == SP_YES)
    SSL_set_tlsext_status_type(pair->ssl, TLSEXT_STATUSTYPE_ocsp);
  return 0;
}

static const void *response_of(const sp_pair_t *pair, size_t *n) {
  const unsigned char *der = NULL;
  long size = pair->role == SP_CLIENT ? SSL_get_tlsext_status_ocsp_resp(pair->ssl, &der) : 0;
  *n = size > 0 ? (size_t)size : 0;
  return *n ? der : NULL;
}

const void *sp_pair_staple(const sp_pair_t *pair, size_t *n) {
  *n = 0;
  return sp__pair_is_away(pair) ? NULL : response_of(pair, n);
}

bool sp__pair_wants_staple(const sp_pair_t *pair) {
  return pair->role == SP_CLIENT && SSL_get_tlsext_status_type(pair->ssl) == TLSEXT_STATUSTYPE_ocsp;
}

/* As the chain was built that was verified. NULL: nobody knows it. */
static X509 *issuer_of(const sp_pair_t *pair, X509 *leaf) {
  STACK_OF(X509) *chain = SSL_get0_verified_chain(pair->ssl);
  if (sk_X509_num(chain) > 1)
    return sk_X509_value(chain, 1);
  return X509_self_signed(leaf, 0) == 1 ? leaf : NULL;
}

static sp_staple_status_t status_of(const sp_pair_t *pair, sp_error_t *why) {
  size_t n;
  const void *der = response_of(pair, &n);
  X509 *leaf = pair->role == SP_CLIENT ? SSL_get0_peer_certificate(pair->ssl) : NULL;
  if (why)
    *why = sp__no_error;
  if (der && leaf)
    return sp__ocsp_check(der, n, leaf, issuer_of(pair, leaf), NULL, why);
  if (leaf)
    sp__ocsp_explain_none(leaf, why);
  return SP_STAPLE_NONE;
}

sp_staple_status_t sp_pair_staple_status(const sp_pair_t *pair, sp_error_t *why) {
  if (!sp__pair_is_away(pair))
    return status_of(pair, why);
  if (why)
    *why = sp__no_error;
  return SP_STAPLE_NONE;
}

/* A session that comes back was made under the same requirements, and a key known to both sides
 * cannot be revoked. */
static bool is_needed(const sp_pair_t *pair) {
  const X509 *leaf = SSL_get0_peer_certificate(pair->ssl);
  if (!leaf || SSL_session_reused(pair->ssl))
    return false;
  return pair->require_staple || (pair->must_staple && sp__x509_must_staple(leaf));
}

static bool is_acceptable(sp_pair_t *pair) {
  sp_error_t why;
  return !is_needed(pair) || status_of(pair, &why) == SP_STAPLE_GOOD || sp__pair_object(pair, &why);
}

/* -- server: what is sent ---------------------------------------------------------------------- */

/* OpenSSL is about to choose the certificate; not when a session is resumed. */
static int on_certificate(SSL *ssl, void *owner) {
  sp_pair_t *pair = owner;
  if (pair->secure)
    return 1;
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
  if (sp__pair_is_away(pair)) {
    pair->apart->asks = true;
    return false;
  }
  pair->staple = SP__STAPLE_ASKED;
  sp__pair_outside(pair, ask, NULL);
  return !pair->waiting;
}

#define MOST 65527 /* the room of TLS 1.3, where it is in an extension of the certificate */

int sp_pair_use_staple(sp_pair_t *pair, const void *der, size_t n) {
  bool asked = !sp__pair_is_away(pair) && pair->staple == SP__STAPLE_ASKED;
  if (!asked || !n || n > MOST || (!pair->in_hook && pair->waiting != SP__WAIT_STAPLE))
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

void sp__pair_drop_staple(sp_pair_t *pair) {
  const unsigned char *der;
  if (pair->role == SP_SERVER && SSL_get_tlsext_status_ocsp_resp(pair->ssl, &der) > 0)
    SSL_set_tlsext_status_ocsp_resp(pair->ssl, NULL, 0);
}

/* A server is asked for its response; a client is told that one came, or none, after the
 * certificate was verified and before it sends its Finished. */
int sp__pair_staple(SSL *ssl) {
  sp_pair_t *pair = SSL_get_app_data(ssl);
  const unsigned char *der;
  if (pair->role == SP_CLIENT)
    return is_acceptable(pair);
  bool has = SSL_get_tlsext_status_ocsp_resp(ssl, &der) > 0 || take_ready(pair);
  return has ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}
