/* How long what a context knows of revocation is current. */
#include <time.h>

#include <openssl/x509.h>

#include "certificate/view.h"
#include "context/build.h"

static void note(sp_context_t *context, const X509_CRL *crl) {
  const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
  int64_t from = sp__time_of(X509_CRL_get0_lastUpdate(crl));
  int64_t until = next ? sp__time_of(next) : INT64_MAX;
  context->lists_from = from > context->lists_from ? from : context->lists_from;
  context->lists_until = until < context->lists_until ? until : context->lists_until;
}

void sp__lists_note(sp_context_t *context, X509_STORE *store) {
  const STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
  context->lists_from = INT64_MIN;
  context->lists_until = INT64_MAX;
  for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
    const X509_CRL *crl = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(objects, i));
    if (crl)
      note(context, crl);
  }
}

/* OpenSSL's bounds: it starts in its first second, and its last one is over. */
bool sp__lists_are_current(const sp_context_t *context) {
  int64_t now = time(NULL);
  return context->lists_from <= now && now < context->lists_until;
}
