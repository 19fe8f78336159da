/*
 * Renegotiation (TLS 1.2, RFC 5746): off unless the options say otherwise, and then the peer begins
 * only so many within some time. OpenSSL does the handshake while data is read, so data comes
 * between its messages, too; of ours none is taken until it is done.
 */
#include <errno.h>

#include <openssl/err.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "pair/pair.h"

/* What only a connection has that may renegotiate. */
struct sp__renegotiation {
  X509 *before;   /* the peer's certificate, to see whether it is another one now */
  uint64_t since; /* when the first of those counted began */
  int count;      /* of those that the peer began */
  bool asked;     /* we did, and it is not done yet */
  bool waits;     /* we did, and OpenSSL was not told yet */
  bool finished;  /* Finished came: it was more than a request */
};

int sp__pair_allow_renegotiation(sp_pair_t *pair) {
  pair->renegotiation = NULL;
  if (!pair->context->renegotiates || SSL_version(pair->ssl) != TLS1_2_VERSION)
    return 0;
  pair->renegotiation = sp__zalloc(sizeof *pair->renegotiation);
  return pair->renegotiation ? 0 : sp__pair_fail(pair, -ENOMEM, SP_US, "out of memory");
}

void sp__pair_free_renegotiation(sp_pair_t *pair) {
  if (!pair->secure || !pair->renegotiation)
    return;
  X509_free(pair->renegotiation->before);
  sp__free(pair->renegotiation);
}

/* -- what the engine tells --------------------------------------------------------------------- */

static bool is_one_too_many(sp_pair_t *pair) {
  struct sp__renegotiation *r = pair->renegotiation;
  uint64_t now = sp__clock(), window = (uint64_t)pair->context->renegotiation_window * 1000;
  if (!r->count || now - r->since >= window) {
    r->count = 0;
    r->since = now;
  }
  return r->count++ >= pair->context->renegotiation_limit;
}

/* It may be no more than a request that is refused. */
void sp__pair_note_start(sp_pair_t *pair) {
  struct sp__renegotiation *r = pair->renegotiation;
  if (!r || !r->asked)
    sp__tide_count(pair, true);
  if (!r)
    return;
  pair->renegotiating = true;
  r->waits = false; /* one is as good as two */
  X509_free(r->before);
  r->before = SSL_get1_peer_certificate(pair->ssl);
  if (!r->asked && is_one_too_many(pair))
    pair->news |= SP__NEWS_ATTACK;
}

/* Within a handshake OpenSSL skips them, any number. */
void sp__pair_note_request(sp_pair_t *pair, const uint8_t *message) {
  if (pair->secure && pair->renegotiating && *message == SSL3_MT_HELLO_REQUEST &&
      SSL_get_state(pair->ssl) != TLS_ST_CR_HELLO_REQ) /* the one that began it */
    sp__tide_count(pair, false);
}

int sp__pair_hello_again(sp_pair_t *pair, int *alert) {
  *alert = SSL_AD_NO_RENEGOTIATION;
  return pair->news & SP__NEWS_ATTACK ? SSL_CLIENT_HELLO_ERROR : SSL_CLIENT_HELLO_SUCCESS;
}

void sp__pair_note_finished(sp_pair_t *pair) {
  if (pair->renegotiation)
    pair->renegotiation->finished = true;
}

/* All but telling is done at once: the engine goes on reading, and when the peer asks for the next
 * one right away, that begins before the engine returns. */
void sp__pair_note_done(sp_pair_t *pair) {
  struct sp__renegotiation *r = pair->renegotiation;
  pair->renegotiating = false;
  if (!r || !r->finished)
    return;
  r->asked = r->finished = false;
  sp__pair_begin_keys(pair);
  (void)sp__pair_settle_anew(pair); /* its error is the pair's */
  X509_free(r->before);
  r->before = NULL;
  pair->news |= SP__NEWS_RENEGOTIATED;
}

/* -- what follows ------------------------------------------------------------------------------ */

/* Whoever renegotiates with another certificate may be somebody else, to whom the first peer passes
 * the connection on (the triple handshake). One who had none may show one. */
bool sp__pair_is_another(const sp_pair_t *pair, const X509 *leaf) {
  const struct sp__renegotiation *r = pair->secure ? pair->renegotiation : NULL;
  return r && r->before && (!leaf || X509_cmp(r->before, leaf) != 0);
}

int sp__pair_cut_off_attack(sp_pair_t *pair) {
  ERR_clear_error(); /* that the first message was refused */
  return sp__pair_fail(pair, SP_ERENEGOTIATION, SP_PEER,
                       "TLS session renegotiation attack detected");
}

static void tell(sp_pair_t *pair, void *unused) {
  (void)unused;
  void *data;
  const sp_hooks_t *hooks = sp__pair_hooks(pair, &data);
  if (hooks->renegotiated)
    hooks->renegotiated(pair, data);
}

int sp__pair_end_renegotiation(sp_pair_t *pair) {
  if (pair->error)
    return pair->error->status;
  sp__pair_outside(pair, tell, NULL);
  return 0;
}

/* -- the program's side ------------------------------------------------------------------------ */

/* Nobody would answer any more, or we say no more. */
static bool is_over(const sp_pair_t *pair) {
  return pair->ending || pair->peer_ended || pair->transport_ended;
}

/* Not while there is data to give out: OpenSSL takes it for a fault of the peer's when a handshake
 * meets it that something else than reading began. Nor inside of a write, where OpenSSL would begin
 * what it was told while a record was half read: the write were then neither done nor undone. */
int sp__pair_begin_renegotiation(sp_pair_t *pair) {
  struct sp__renegotiation *r = pair->renegotiation;
  if (!r || !r->waits || is_over(pair) || SSL_has_pending(pair->ssl))
    return 0;
  if (SSL_renegotiate(pair->ssl) != 1)
    return sp__pair_fail_engine(pair);
  r->waits = false;
  return sp__pair_push(pair);
}

static int begin(sp_pair_t *pair) {
  struct sp__renegotiation *r = pair->renegotiation;
  if (is_over(pair))
    return SP_EENDED;
  if (!pair->secure || !r || SSL_get_options(pair->ssl) & SSL_OP_NO_RENEGOTIATION ||
      !SSL_get_secure_renegotiation_support(pair->ssl))
    return SP_EOPTION;
  if (pair->renegotiating || r->asked)
    return 0;
  r->asked = r->waits = true;
  return sp__pair_begin_renegotiation(pair);
}

int sp_pair_renegotiate(sp_pair_t *pair) {
  if (sp__pair_is_away(pair))
    return SP_EOPTION;
  int status = sp__pair_enter(pair);
  if (status < 0)
    return status;
  status = begin(pair);
  if (!status && pair->calls)
    pair->calls->wake(pair->owner);
  return sp__pair_leave(pair, status);
}

void sp_pair_disable_renegotiation(sp_pair_t *pair) {
  if (sp__pair_is_away(pair)) {
    pair->apart->forbids_renegotiation = true; /* when it is back */
    return;
  }
  SSL_set_options(pair->ssl, SSL_OP_NO_RENEGOTIATION);
  struct sp__renegotiation *r = pair->secure ? pair->renegotiation : NULL;
  if (r && r->waits)
    r->asked = r->waits = false;
}
