/* The private-key hook: asked from within the engine, answered there or later. */
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "pair/pair.h"

static int take_signature(sp_pair_t *pair, uint8_t *signature, size_t *size) {
  int status = 0;
  if (pair->signature_size <= *size) {
    memcpy(signature, pair->signature, pair->signature_size);
    *size = pair->signature_size;
  } else {
    status = SP_EOPTION;
  }
  sp__free(pair->signature);
  pair->signature = NULL;
  return status;
}

/* The pair's own hook, or that of the context whose key it is. */
static int ask(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n) {
  const sp_context_t *context = pair->context;
  bool own = pair->hooks && pair->hooks->hooks.sign;
  const sp_hooks_t *hooks = own ? &pair->hooks->hooks : &context->hooks;
  if (!hooks->sign)
    return SP_EKEY;
  pair->in_hook = true;
  int answer = hooks->sign(pair, scheme, message, n, own ? pair->hooks->data : context->hooks_data);
  pair->in_hook = false;
  return answer;
}

int sp__pair_sign(void *owner, uint16_t scheme, const uint8_t *message, size_t n,
                  uint8_t *signature, size_t *size) {
  sp_pair_t *pair = owner;
  if (pair->answer < 0)
    return pair->answer;
  if (pair->waiting == SP__WAIT_SIGN)
    return SP_PENDING;
  if (!pair->signature) {
    int answer = ask(pair, scheme, message, n);
    if (answer == SP_PENDING) {
      pair->waiting = SP__WAIT_SIGN;
      return SP_PENDING;
    }
    if (answer < 0 || !pair->signature)
      return pair->answer = answer < 0 ? answer : SP_EREFUSED;
  }
  return take_signature(pair, signature, size);
}

int sp_pair_sign_with(sp_pair_t *pair, const void *signature, size_t n) {
  if (!pair->in_hook && pair->waiting != SP__WAIT_SIGN)
    return SP_EOPTION;
  uint8_t *copy = (uint8_t *)sp__copy_bytes(signature, n);
  if (!copy)
    return -ENOMEM;
  sp__free(pair->signature);
  pair->signature = copy;
  pair->signature_size = n;
  return 0;
}
