/* What the engine tells while it works: alerts, and messages after the handshake. It calls this for
 * neither data nor records, so an idle eye costs nothing. */
#include "pair/pair.h"

static void note_alert(sp_pair_t *pair, int where, int value) {
  if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT && value >> 8 == SSL3_AL_FATAL)
    pair->alert = (int16_t)(value & 0xff);
}

/* The state is that of the last message, which is done with. */
static void note_message(sp_pair_t *pair) {
  switch (SSL_get_state(pair->ssl)) {
  case TLS_ST_SR_KEY_UPDATE:
  case TLS_ST_CR_KEY_UPDATE:
    sp__pair_note_key(pair, false);
    sp__tide_count(pair, true);
    break;
  case TLS_ST_SW_KEY_UPDATE:
  case TLS_ST_CW_KEY_UPDATE:
    sp__pair_note_key(pair, true);
    pair->again = true; /* a message that was read just before may have had to wait for this */
    break;
  case TLS_ST_SR_FINISHED:
  case TLS_ST_CR_FINISHED:
    if (pair->asking)
      pair->news |= SP__NEWS_CERTIFICATE;
    else
      sp__pair_note_finished(pair);
    break;
  case TLS_ST_CR_SESSION_TICKET:
  case TLS_ST_CR_CERT_REQ:
    sp__tide_count(pair, false);
    break;
  default:
    break;
  }
}

/* The engine tells of a start only for TLS 1.2; it may be no more than a request that it refuses.
 */
void sp__pair_watch(const SSL *ssl, int where, int value) {
  sp_pair_t *pair = SSL_get_app_data(ssl);
  if (where & SSL_CB_ALERT)
    note_alert(pair, where, value);
  else if (!pair->secure)
    return;
  else if (where & SSL_CB_HANDSHAKE_START)
    sp__pair_note_start(pair);
  else if (where & SSL_CB_HANDSHAKE_DONE)
    sp__pair_note_done(pair);
  else if (where & SSL_CB_LOOP)
    note_message(pair);
}

int sp__pair_take_news(sp_pair_t *pair) {
  unsigned news = pair->news;
  pair->news = 0;
  if (news & SP__NEWS_FLOOD)
    return sp__pair_cut_off(pair);
  if (news & SP__NEWS_ATTACK)
    return sp__pair_cut_off_attack(pair);
  if (news & SP__NEWS_RENEGOTIATED)
    return sp__pair_end_renegotiation(pair);
  return news & SP__NEWS_CERTIFICATE ? sp__pair_take_certificate(pair) : 0;
}
