/* The private-key hook: wanted from within the engine, asked outside of it, answered then or later.
 */
#include <errno.h>
#include <string.h>

#include <openssl/async.h>

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

typedef struct question {
  uint16_t scheme;
  const uint8_t *message;
  size_t n;
} question_t;

/* The pair's own hook, or that of the context whose key it is. */
static int call_hook(sp_pair_t *pair, const question_t *q) {
  const sp_context_t *context = pair->context;
  bool own = pair->hooks && pair->hooks->hooks.sign;
  const sp_hooks_t *hooks = own ? &pair->hooks->hooks : &context->hooks;
  void *data = own ? pair->hooks->data : context->hooks_data;
  return hooks->sign ? hooks->sign(pair, q->scheme, q->message, q->n, data) : SP_EKEY;
}

static void ask(sp_pair_t *pair, void *question) {
  int answer = call_hook(pair, question);
  if (answer == SP_PENDING)
    pair->waiting = SP__WAIT_SIGN;
  else if (answer < 0 || !pair->signature)
    pair->answer = answer < 0 ? answer : SP_EREFUSED;
}

/* Called in a job of OpenSSL's, which pauses as long as the hook is waited for. */
int sp__pair_sign(void *owner, uint16_t scheme, const uint8_t *message, size_t n,
                  uint8_t *signature, size_t *size) {
  sp_pair_t *pair = owner;
  if (pair->answer >= 0 && !pair->signature && pair->waiting != SP__WAIT_SIGN)
    sp__pair_outside(pair, ask, &(question_t){scheme, message, n});
  if (pair->waiting == SP__WAIT_SIGN && !ASYNC_get_current_job()) {
    pair->waiting = SP__WAIT_NONE; /* a platform without jobs, where nothing can wait */
    pair->answer = SP_EKEY;
  }
  if (pair->answer < 0)
    return pair->answer;
  /* a hook may have given the signature and yet wait for leave to use it */
  bool ready = pair->signature && pair->waiting != SP__WAIT_SIGN;
  return ready ? take_signature(pair, signature, size) : SP_PENDING;
}

int sp_pair_sign_with(sp_pair_t *pair, const void *signature, size_t n) {
  if (sp__pair_is_away(pair) || (!pair->in_hook && pair->waiting != SP__WAIT_SIGN))
    return SP_EOPTION;
  uint8_t *copy = (uint8_t *)sp__copy_bytes(signature, n);
  if (!copy)
    return -ENOMEM;
  sp__free(pair->signature);
  pair->signature = copy;
  pair->signature_size = n;
  return 0;
}
