/* What is done for the engine but not by it: calling hooks that have nothing to wait for. */
#include <openssl/async.h>
#include <openssl/err.h>

#include "pair/pair.h"

/* What a hook leaves in OpenSSL's queue would fail the handshake. Of a pair that a hook released
 * nobody hears any more, and nobody can answer for it. */
static void run(sp_pair_t *pair, sp__errand_t errand, void *what) {
  if (pair->doomed) {
    pair->answer = SP_EREFUSED;
    return;
  }
  pair->in_hook = true;
  ERR_set_mark();
  errand(pair, what);
  ERR_pop_to_mark();
  pair->in_hook = false;
}

/* A job of OpenSSL's, in which the private-key hook has it work, has a small stack without a guard:
 * the job pauses meanwhile. */
void sp__pair_outside(sp_pair_t *pair, sp__errand_t errand, void *what) {
  if (!ASYNC_get_current_job()) {
    run(pair, errand, what);
    return;
  }
  pair->errand = errand;
  pair->errand_what = what;
  while (pair->errand && ASYNC_pause_job())
    ;
  pair->errand = NULL;
}

bool sp__pair_run_errand(sp_pair_t *pair) {
  if (!pair->errand)
    return false;
  run(pair, pair->errand, pair->errand_what);
  pair->errand = NULL;
  return true;
}
