/* The verdict on the peer: verification, name, and the sentence that tells why not. */
#include <errno.h>

#include "base/error.h"
#include "base/memory.h"
#include "certificate/certificate.h"
#include "pair/pair.h"

static bool rejects(const sp_pair_t *pair) {
  return pair->role == SP_CLIENT ? pair->context->reject_client : pair->context->reject_server;
}

static bool asks(const sp_pair_t *pair) {
  return pair->role == SP_CLIENT || pair->context->request_cert;
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

static sp_error_t *verdict_room(sp_pair_t *pair) {
  if (!pair->verdict)
    pair->verdict = sp__zalloc(sizeof *pair->verdict);
  return pair->verdict;
}

/* Keeps the first reason; `made` is the sentence if the check already made one. */
static void condemn(sp_pair_t *pair, long verify, X509 *x509, const sp_error_t *made) {
  pair->verify = verify;
  if (pair->verdict)
    return;
  sp_error_t *verdict = verdict_room(pair);
  if (!verdict)
    pair->verdict = (sp_error_t *)&sp__memory_error;
  else if (made)
    *verdict = *made;
  else
    sp__verify_explain(verdict, verify, x509, checked_name(pair));
}

/* OpenSSL's error, but UNABLE_TO_VERIFY_LEAF_SIGNATURE for a leaf that came alone, as Node. */
static long chain_error(X509_STORE_CTX *store) {
  long verify = X509_STORE_CTX_get_error(store);
  if (verify == X509_V_OK)
    return X509_V_ERR_UNSPECIFIED;
  if (verify == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY &&
      X509_STORE_CTX_get_error_depth(store) == 0)
    return X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
  return verify;
}

int sp__pair_verify(SSL *ssl, X509_STORE_CTX *store) {
  sp_pair_t *pair = SSL_get_app_data(ssl);
  X509 *leaf = X509_STORE_CTX_get0_cert(store), *culprit = leaf;
  sp_error_t made = {.status = 0};
  long verify = X509_V_OK;
  if (X509_verify_cert(store) <= 0) {
    verify = chain_error(store);
    culprit = X509_STORE_CTX_get_current_cert(store);
  } else {
    verify = check_name(pair, leaf, &made);
  }
  X509_STORE_CTX_set_error(store, (int)verify);
  if (verify == X509_V_OK)
    return 1;
  condemn(pair, verify, culprit ? culprit : leaf, made.status ? &made : NULL);
  return !rejects(pair);
}

/* A resumed session brings its result along, and the name is checked anew. */
static void settle_certificate(sp_pair_t *pair, X509 *leaf) {
  sp_error_t made = {.status = 0};
  long verify = SSL_get_verify_result(pair->ssl);
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

int sp__pair_settle(sp_pair_t *pair) {
  if (asks(pair)) {
    X509 *leaf = SSL_get0_peer_certificate(pair->ssl);
    if (leaf)
      settle_certificate(pair, leaf);
    else
      condemn(pair, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, NULL, NULL);
    if (pair->verify != X509_V_OK && rejects(pair))
      return sp__pair_fail(pair, SP_EUNAUTHORIZED, SP_PEER, pair->verdict->text);
  }
  return keep_protocol(pair);
}

bool sp_pair_is_authorized(const sp_pair_t *pair) {
  return pair->secure && asks(pair) && pair->verify == X509_V_OK;
}

const char *sp_pair_authorization_error(const sp_pair_t *pair) {
  return sp_verify_name(pair->verify);
}

const sp_error_t *sp_pair_verdict(const sp_pair_t *pair) { return pair->verdict; }

int sp_pair_peer_certificate(const sp_pair_t *pair, sp_certificate_t **certificate) {
  X509 *leaf = SSL_get0_peer_certificate(pair->ssl);
  if (!leaf)
    return SP_ECERTIFICATE;
  return sp__certificate_view(certificate, leaf, SSL_get_peer_cert_chain(pair->ssl), NULL);
}
