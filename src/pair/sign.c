/* The private-key hook: wanted from within the engine, asked outside of it, answered then or later.
 */
#include <errno.h>
#include <string.h>

#include <openssl/async.h>
#include <openssl/err.h>

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
  ERR_set_mark(); /* as in hello.c */
  int answer = hooks->sign(pair, scheme, message, n, own ? pair->hooks->data : context->hooks_data);
  ERR_pop_to_mark();
  pair->in_hook = false;
  return answer;
}

/* Called in a job of OpenSSL's, whose stack is small and unguarded: no hook is asked there. The job
 * pauses, and sp__pair_answer_signer asks. */
int sp__pair_sign(void *owner, uint16_t scheme, const uint8_t *message, size_t n,
                  uint8_t *signature, size_t *size) {
  sp_pair_t *pair = owner;
  bool asks = pair->answer >= 0 && !pair->signature && pair->waiting != SP__WAIT_SIGN;
  if (asks) {
    pair->scheme = scheme;
    pair->message = message;
    pair->message_size = n;
  }
  bool in_job = ASYNC_get_current_job() != NULL;
  if (asks && !in_job && !sp__pair_answer_signer(pair)) {
    pair->waiting = SP__WAIT_NONE; /* a platform without jobs, where nothing can wait */
    pair->answer = SP_EKEY;
  }
  if (pair->answer < 0)
    return pair->answer;
  return pair->signature ? take_signature(pair, signature, size) : SP_PENDING;
}

bool sp__pair_answer_signer(sp_pair_t *pair) {
  const uint8_t *message = pair->message;
  if (!message)
    return false;
  pair->message = NULL;
  int answer = ask(pair, pair->scheme, message, pair->message_size);
  if (answer == SP_PENDING) {
    pair->waiting = SP__WAIT_SIGN;
    return false;
  }
  if (answer < 0 || !pair->signature)
    pair->answer = answer < 0 ? answer : SP_EREFUSED;
  return true;
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
