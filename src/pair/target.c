#include "pair/target.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/memory.h"
#include "pair/cache.h"

struct sp__target {
  sp_session_cache_t *cache; /* NULL: the process's */
  bool caches;
  bool offered;   /* a session of the cache */
  time_t checked; /* when the peer's certificate was, in full */
  uint8_t key[SP__CACHE_KEY];
  char place[]; /* "host:port" or "/path"; "": not known */
};

static bool looks_up_lists(const sp_context_t *context) {
  X509_STORE *store = SSL_CTX_get_cert_store(context->ssl_ctx);
  return X509_VERIFY_PARAM_get_flags(X509_STORE_get0_param(store)) & X509_V_FLAG_CRL_CHECK;
}

/* What a resumed connection lacks was asked for, a staple or a list that is still current; or a key
 * known before takes the place of a session. */
static bool is_no_use(const sp_options_t *options, const sp_pair_t *pair) {
  void *data;
  return options->request_staple == SP_YES || options->require_staple == SP_YES ||
         options->must_staple == SP_YES || looks_up_lists(pair->context) ||
         sp__pair_hooks(pair, &data)->psk_client;
}

static bool wants_cache(const sp_options_t *options, const sp_pair_t *pair) {
  if (options->session_cache != SP_DEFAULT)
    return options->session_cache == SP_YES;
  return options->sessions && !is_no_use(options, pair);
}

static int check(const sp_options_t *options, sp_error_t *why) {
  int choice = (int)options->session_cache;
  if (choice < SP_DEFAULT || choice > SP_NO)
    return sp__fail(why, SP_EOPTION, SP_US, "session_cache: %d is not SP_DEFAULT, SP_YES or SP_NO",
                    choice);
  if (choice == SP_NO && options->sessions)
    return sp__fail(why, SP_EOPTION, SP_US,
                    "sessions: a cache is given, and session_cache = SP_NO: which is it?");
  if (choice == SP_YES && !options->host && !options->path && !options->server_name)
    return sp__fail(why, SP_EOPTION, SP_US,
                    "session_cache: whose sessions? Give host and port, or server_name");
  return 0;
}

static size_t write_place(char *room, size_t size, const sp_options_t *options) {
  int n = 0;
  if (options->path)
    n = snprintf(room, size, "/%s", options->path);
  else if (options->host)
    n = snprintf(room, size, "%s:%d", options->host, options->port);
  else if (size)
    room[0] = '\0';
  return n < 0 ? 0 : (size_t)n;
}

int sp__target_set(sp_pair_t *pair, const sp_options_t *options, sp_error_t *why) {
  int status = check(options, why);
  bool caches = wants_cache(options, pair);
  if (status < 0 || (!caches && !options->host && !options->path))
    return status;
  size_t n = write_place(NULL, 0, options) + 1;
  sp__target_t *target = sp__zalloc(sizeof *target + n);
  if (!target)
    return sp__fail_memory(why);
  (void)write_place(target->place, n, options);
  pair->target = target;
  if (!caches)
    return 0;
  target->cache = sp_session_cache_retain(options->sessions);
  target->caches = sp__pair_session_key(pair, target->key);
  return 0;
}

bool sp__target_hash(const sp_pair_t *pair, EVP_MD_CTX *hash) {
  const char *place = pair->target ? pair->target->place : "";
  return EVP_DigestUpdate(hash, place, strlen(place) + 1);
}

/* -- what is kept ------------------------------------------------------------------------------ */

static void drop_all(const sp__target_t *target) { sp__cache_drop(target->cache, target->key); }

void sp__target_resume(sp_pair_t *pair) {
  sp__target_t *target = pair->target;
  sp__kept_t *kept;
  while (target && target->caches && !target->offered &&
         (kept = sp__cache_take(target->cache, target->key))) {
    target->offered = sp__pair_resume_session(pair, kept->bytes, kept->n);
    target->checked = kept->checked;
    if (!target->offered && !kept->once)
      drop_all(target);
    sp__kept_free(kept);
  }
}

/* What the server refused is of no use, nor are older ones. */
void sp__target_secure(sp_pair_t *pair) {
  sp__target_t *target = pair->target;
  if (!target || !target->caches)
    return;
  bool resumed = SSL_session_reused(pair->ssl);
  if (target->offered && !resumed)
    drop_all(target);
  if (!target->offered || !resumed)
    target->checked = time(NULL);
  target->offered = false;
}

/* Those of who is authorized; also asked while the handshake is on another thread. */
bool sp__target_keeps(const sp_pair_t *pair) {
  return pair->target && pair->target->caches && pair->secure && pair->verify == X509_V_OK;
}

void sp__target_keep(sp_pair_t *pair, const SSL_SESSION *session, const void *bytes, size_t n) {
  const sp__target_t *target = pair->target;
  unsigned long hint = SSL_SESSION_get_ticket_lifetime_hint(session);
  sp__kept_t facts = {.checked = target->checked,
                      .until = SSL_SESSION_get_time(session) + SSL_SESSION_get_timeout(session),
                      .once = SSL_SESSION_get_protocol_version(session) == TLS1_3_VERSION};
  if (hint && SSL_SESSION_get_time(session) + (long)hint < facts.until)
    facts.until = SSL_SESSION_get_time(session) + (long)hint;
  if (target->checked + SP__OLDEST < facts.until)
    facts.until = target->checked + SP__OLDEST;
  if (facts.until > time(NULL))
    sp__cache_put(target->cache, target->key, &facts, bytes, n);
}

/* -- the end ----------------------------------------------------------------------------------- */

void sp__target_failed(sp_pair_t *pair) {
  sp__target_t *target = pair->target;
  if (!target || !target->caches)
    return;
  drop_all(target);
  target->caches = false;
}

/* Whether the peer had the chance to resume, and the handshake came to nothing. */
static bool is_spoilt(const sp_pair_t *pair) {
  return pair->target->offered && pair->bytes_out > pair->ahead;
}

void sp__target_free(sp_pair_t *pair) {
  if (!pair->target)
    return;
  if (is_spoilt(pair))
    sp__target_failed(pair);
  sp_session_cache_release(pair->target->cache);
  sp__free(pair->target);
  pair->target = NULL;
}
