/* Asking a client for its certificate after the handshake (RFC 8446 4.6.2). */
#include <openssl/err.h>

#include "base/error.h"
#include "pair/pair.h"

static int ask(sp_pair_t *pair) {
  if (pair->ending)
    return SP_EENDED;
  if (pair->role != SP_SERVER || !pair->secure || SSL_version(pair->ssl) != TLS1_3_VERSION ||
      pair->asking)
    return SP_EOPTION;
  int status = sp__context_ask(pair->context, pair->ssl);
  if (status < 0)
    return status;
  if (SSL_verify_client_post_handshake(pair->ssl) != 1)
    return SP_EOPTION; /* it did not offer that */
  pair->asking = true;
  return sp__pair_push(pair);
}

int sp_pair_request_certificate(sp_pair_t *pair) {
  if (sp__pair_is_away(pair))
    return SP_EOPTION;
  int status = sp__pair_enter(pair);
  if (status < 0)
    return status;
  status = ask(pair);
  if (!status && pair->calls)
    pair->calls->wake(pair->owner);
  return sp__pair_leave(pair, status);
}

static void tell(sp_pair_t *pair, void *unused) {
  (void)unused;
  void *data;
  const sp_hooks_t *hooks = sp__pair_hooks(pair, &data);
  if (hooks->client_certificate)
    hooks->client_certificate(pair, data);
}

int sp__pair_take_certificate(sp_pair_t *pair) {
  pair->asking = false;
  pair->asked_late = true;
  int status = sp__pair_settle_anew(pair);
  if (!status)
    sp__pair_outside(pair, tell, NULL);
  return status;
}
