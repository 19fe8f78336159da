/* The verdict on the peer: verification, name, and the sentence that tells why not. */
#include <errno.h>
#include <time.h>

#include <openssl/x509v3.h>

#include "base/error.h"
#include "base/memory.h"
#include "certificate/certificate.h"
#include "pair/pair.h"

static bool rejects(const sp_pair_t *pair) {
  const sp_context_t *context = pair->context;
  bool late = pair->asking || pair->asked_late;
  if (pair->role == SP_CLIENT)
    return context->reject_client;
  return late ? context->reject_late : context->reject_server;
}

static bool asks(const sp_pair_t *pair) {
  return pair->role == SP_CLIENT || pair->context->request_cert || pair->asked_late;
}

static const char *checked_name(const sp_pair_t *pair) {
  return pair->role == SP_CLIENT && pair->check_name ? pair->server_name : NULL;
}

static long check_name(const sp_pair_t *pair, X509 *leaf, sp_error_t *why) {
  const char *name = checked_name(pair);
  if (!name)
    return X509_V_OK;
  return sp__x509_names_host(leaf, name, pair->context->common_name ? SP_NAME_COMMON : 0, why);
}

/* NULL: no memory, now or before. */
static sp_error_t *verdict_room(sp_pair_t *pair) {
  if (!pair->verdict)
    pair->verdict = sp__zalloc(sizeof *pair->verdict);
  if (!pair->verdict)
    pair->verdict = (sp_error_t *)&sp__memory_error;
  return pair->verdict == &sp__memory_error ? NULL : pair->verdict;
}

/* `made` is the sentence if the check already made one. */
static void condemn(sp_pair_t *pair, long verify, X509 *x509, const sp_error_t *made) {
  pair->verify = verify;
  sp_error_t *verdict = verdict_room(pair);
  if (!verdict)
    return;
  if (made)
    *verdict = *made;
  else
    sp__verify_explain(verdict, verify, x509, checked_name(pair));
}

/* The second that a certificate ends with is its last one (RFC 5280 4.1.2.5): OpenSSL thinks it is
 * the first one after. */
static bool is_last_second(X509_STORE_CTX *store, const X509 *x509) {
  const X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);
  bool fixed = X509_VERIFY_PARAM_get_flags(param) & X509_V_FLAG_USE_CHECK_TIME;
  time_t before = (fixed ? X509_VERIFY_PARAM_get_time(param) : time(NULL)) - 1;
  return X509_cmp_time(X509_get0_notAfter(x509), &before) > 0;
}

long sp__x509_check_dates(const X509 *x509) {
  time_t now = time(NULL), before = now - 1; /* see above */
  if (X509_cmp_time(X509_get0_notBefore(x509), &now) > 0)
    return X509_V_ERR_CERT_NOT_YET_VALID;
  return X509_cmp_time(X509_get0_notAfter(x509), &before) > 0 ? X509_V_OK
                                                              : X509_V_ERR_CERT_HAS_EXPIRED;
}

/* OpenSSL asks after each check. Going on after a fault and letting the last one stand is what
 * Node does; its names for certificates with several faults are ours, too. */
static int on_check(int fine, X509_STORE_CTX *store) {
  if (fine)
    return 1;
  SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  sp_pair_t *pair = SSL_get_app_data(ssl);
  X509 *culprit = X509_STORE_CTX_get_current_cert(store);
  long verify = X509_STORE_CTX_get_error(store);
  if (!culprit)
    culprit = X509_STORE_CTX_get0_cert(store);
  if (verify == X509_V_ERR_CERT_HAS_EXPIRED && is_last_second(store, culprit))
    return 1;
  sp_error_t made = {.status = 0};
  if (verify == X509_V_ERR_INVALID_PURPOSE && X509_STORE_CTX_get_error_depth(store) > 0 &&
      !X509_check_ca(culprit)) {
    sp__verify_explain(&made, X509_V_ERR_INVALID_CA, culprit, NULL); /* says more */
    made.verify = verify;
  }
  condemn(pair, verify, culprit, made.status ? &made : NULL);
  return 1;
}

static void check_keys(sp_pair_t *pair, X509_STORE_CTX *store) {
  STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
  for (int i = 0; i < sk_X509_num(chain) && pair->verify == X509_V_OK; i++) {
    long verify = sp__x509_weakness(sk_X509_value(chain, i), i == 0);
    if (verify != X509_V_OK)
      condemn(pair, verify, sk_X509_value(chain, i), NULL);
  }
}

static void check_chain(sp_pair_t *pair, X509_STORE_CTX *store, X509 *leaf) {
  X509_STORE_CTX_set_verify_cb(store, on_check);
  bool fine = X509_verify_cert(store) > 0;
  if (fine)
    check_keys(pair, store);
  if (fine || pair->verify != X509_V_OK)
    return;
  long verify = X509_STORE_CTX_get_error(store);
  condemn(pair, verify == X509_V_OK ? X509_V_ERR_UNSPECIFIED : verify, leaf, NULL);
}

static void forget_verdict(sp_pair_t *pair) {
  if (pair->verdict != &sp__memory_error)
    sp__free(pair->verdict);
  pair->verdict = NULL;
  pair->verify = X509_V_OK;
}

/* After the handshake the peer may show who it is, but not become somebody else. */
static bool is_same(sp_pair_t *pair, X509 *leaf) {
  if (!sp__pair_is_another(pair, leaf))
    return true;
  sp_error_t made;
  sp__fail(&made, SP_EUNAUTHORIZED, SP_PEER,
           "the %s renegotiated with another certificate than it had before",
           pair->role == SP_CLIENT ? "server" : "client");
  made.verify = X509_V_ERR_APPLICATION_VERIFICATION;
  condemn(pair, made.verify, leaf, &made);
  return false;
}

static void begin_anew(sp_pair_t *pair) {
  forget_verdict(pair);
  pair->unproven = true;
}

int sp__pair_verify(SSL *ssl, X509_STORE_CTX *store) {
  sp_pair_t *pair = SSL_get_app_data(ssl);
  X509 *leaf = X509_STORE_CTX_get0_cert(store);
  if (pair->secure)
    begin_anew(pair);
  if (!is_same(pair, leaf)) {
    X509_STORE_CTX_set_error(store, (int)pair->verify);
    return 0;
  }
  check_chain(pair, store, leaf);
  if (pair->verify == X509_V_OK) {
    sp_error_t made = {.status = 0};
    long verify = check_name(pair, leaf, &made);
    if (verify != X509_V_OK)
      condemn(pair, verify, leaf, made.status ? &made : NULL);
  }
  X509_STORE_CTX_set_error(store, (int)pair->verify);
  if (pair->verify == X509_V_OK || !rejects(pair))
    return 1;
  /* OpenSSL forgets a certificate that it refuses; whoever asks why wants to see it. */
  if (!pair->refused && X509_up_ref(leaf))
    pair->refused = leaf;
  return 0;
}

bool sp__pair_object(sp_pair_t *pair, const sp_error_t *made) {
  if (pair->verify == X509_V_OK)
    condemn(pair, made->verify, NULL, made);
  return !rejects(pair);
}

void sp__pair_miss_certificate(sp_pair_t *pair) {
  condemn(pair, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, NULL, NULL);
}

/* A resumed session brings its result along; dates and name are checked anew. */
static void settle_certificate(sp_pair_t *pair, X509 *leaf) {
  sp_error_t made = {.status = 0};
  if (pair->verify != X509_V_OK)
    return;
  long verify = SSL_get_verify_result(pair->ssl);
  if (verify == X509_V_OK && SSL_session_reused(pair->ssl))
    verify = sp__x509_check_dates(leaf);
  if (verify == X509_V_OK && SSL_session_reused(pair->ssl))
    verify = check_name(pair, leaf, &made);
  if (verify != X509_V_OK)
    condemn(pair, verify, leaf, made.status ? &made : NULL);
}

static int keep_protocol(sp_pair_t *pair) {
  const unsigned char *name;
  unsigned n;
  SSL_get0_alpn_selected(pair->ssl, &name, &n);
  sp__free(pair->protocol);
  pair->protocol = n ? sp__copy_bytes(name, n) : NULL;
  pair->protocol_size = pair->protocol ? n : 0;
  return n && !pair->protocol ? sp__pair_fail(pair, -ENOMEM, SP_US, "out of memory") : 0;
}

static int settle_verdict(sp_pair_t *pair) {
  if (!asks(pair))
    return 0;
  X509 *leaf = SSL_get0_peer_certificate(pair->ssl);
  if (leaf)
    settle_certificate(pair, leaf);
  else if (!sp__pair_is_psk(pair))
    sp__pair_miss_certificate(pair);
  if (pair->verify == X509_V_OK || !rejects(pair))
    return 0;
  return sp__pair_fail(pair, SP_EUNAUTHORIZED, SP_PEER, pair->verdict->text);
}

int sp__pair_settle(sp_pair_t *pair) {
  int status = settle_verdict(pair);
  return status < 0 ? status : keep_protocol(pair);
}

int sp__pair_settle_anew(sp_pair_t *pair) {
  if (!pair->unproven) /* there was no certificate to verify */
    forget_verdict(pair);
  pair->unproven = false;
  if (!is_same(pair, SSL_get0_peer_certificate(pair->ssl)))
    return sp__pair_fail(pair, SP_EUNAUTHORIZED, SP_PEER, pair->verdict->text);
  return settle_verdict(pair);
}

bool sp_pair_is_authorized(const sp_pair_t *pair) {
  return sp__pair_is_secure(pair) && asks(pair) && !pair->unproven && pair->verify == X509_V_OK;
}

const char *sp_pair_authorization_error(const sp_pair_t *pair) {
  return sp__pair_is_away(pair) ? NULL : sp_verify_name(pair->verify);
}

const sp_error_t *sp_pair_verdict(const sp_pair_t *pair) {
  return sp__pair_is_away(pair) ? NULL : pair->verdict;
}

int sp_pair_peer_certificate(const sp_pair_t *pair, sp_certificate_t **certificate) {
  if (sp__pair_is_away(pair))
    return SP_ECERTIFICATE;
  X509 *leaf = SSL_get0_peer_certificate(pair->ssl);
  if (!leaf)
    leaf = pair->refused;
  if (!leaf)
    return SP_ECERTIFICATE;
  return sp__certificate_view(certificate, leaf, SSL_get_peer_cert_chain(pair->ssl), NULL);
}
