/* The key log: secrets for those who look at recorded connections, by explicit request only. */
#include "pair/pair.h"

static void tell(sp_pair_t *pair, void *line) {
  void *data;
  const sp_hooks_t *hooks = sp__pair_hooks(pair, &data);
  if (hooks->keylog)
    hooks->keylog(pair, line, data);
  if (pair->calls)
    pair->calls->keylog(pair->owner, line);
}

void sp__pair_keylog(const SSL *ssl, const char *line) {
  sp__pair_tell(SSL_get_app_data(ssl), tell, NULL, line);
}
