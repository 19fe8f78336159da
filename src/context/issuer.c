/* Who issued our own certificate. */
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "certificate/certificate.h"
#include "context/build.h"

void sp__issuer_note(sp_context_t *context, X509 *leaf, STACK_OF(X509) * chain) {
  X509 *found = NULL;
  for (int i = 0; i < sk_X509_num(chain) && !found; i++)
    if (X509_check_issued(sk_X509_value(chain, i), leaf) == X509_V_OK)
      found = sk_X509_value(chain, i);
  if (found && !X509_up_ref(found))
    found = NULL;
  X509_free(context->issuer);
  context->issuer = found;
}

/* Released by the caller. NULL: not in there. */
static X509 *find(X509_STORE *store, X509 *leaf) {
  X509 *issuer = NULL;
  X509_STORE_CTX *search = X509_STORE_CTX_new();
  if (search && store && X509_STORE_CTX_init(search, store, NULL, NULL) &&
      X509_STORE_CTX_get1_issuer(&issuer, search, leaf) != 1)
    issuer = NULL;
  X509_STORE_CTX_free(search);
  return issuer;
}

static X509 *trusted_issuer(const sp_context_t *context, X509 *leaf) {
  bool shared = context->system_roots && !context->own_store;
  return find(shared ? sp__system_roots() : SSL_CTX_get_cert_store(context->ssl_ctx), leaf);
}

X509 *sp__issuer_find(const sp_context_t *context, X509 *leaf) {
  if (context->issuer)
    return X509_up_ref(context->issuer) ? context->issuer : NULL;
  ERR_set_mark();
  X509 *found = trusted_issuer(context, leaf);
  ERR_pop_to_mark();
  return found;
}

int sp_context_issuer(const sp_context_t *context, sp_certificate_t **issuer) {
  *issuer = NULL;
  X509 *leaf = SSL_CTX_get0_certificate(context->ssl_ctx);
  if (!leaf)
    return SP_ECERTIFICATE;
  X509 *found = sp__issuer_find(context, leaf);
  int status = found ? sp__certificate_view(issuer, found, NULL, NULL) : SP_ECERTIFICATE;
  X509_free(found);
  return status;
}
