/* How often a key is used, and new ones in time (RFC 8446 4.6.3 and 5.5, RFC 9325 4.4). */
#include <openssl/err.h>
#include <openssl/objects.h>

#include "base/error.h"
#include "pair/pair.h"

#define CCM_RECORDS (1u << 23) /* a little below 2^23.5, RFC 9147 B.1 */

static bool is_current(const sp_pair_t *pair) { return SSL_version(pair->ssl) == TLS1_3_VERSION; }

/* 0: any number. */
static uint32_t records_of_key(const sp_pair_t *pair) {
  const SSL_CIPHER *cipher = SSL_get_current_cipher(pair->ssl);
  uint32_t most = pair->context->key_records;
  if (!cipher || !SSL_CIPHER_is_aead(cipher))
    return 0;
  switch (SSL_CIPHER_get_cipher_nid(cipher)) {
  case NID_chacha20_poly1305:
    return 0;
  case NID_aes_128_ccm:
  case NID_aes_256_ccm:
    return most < CCM_RECORDS ? most : CCM_RECORDS;
  default:
    return most;
  }
}

/* The peer is asked a little earlier, since what is on its way comes under the old key. */
void sp__pair_note_key(sp_pair_t *pair, bool ours) {
  uint32_t most = records_of_key(pair);
  if (ours)
    pair->write_left = most;
  else
    pair->tide.read_left = is_current(pair) ? most - most / 8 : most;
}

void sp__pair_begin_keys(sp_pair_t *pair) {
  pair->tide = (sp__tide_t){0};
  sp__pair_note_key(pair, true);
  sp__pair_note_key(pair, false);
}

static int update(sp_pair_t *pair, int kind) {
  if (SSL_key_update(pair->ssl, kind) == 1)
    return sp__pair_push(pair);
  ERR_clear_error();
  return SP_PENDING;
}

static int end(sp_pair_t *pair, const char *text) {
  sp__pair_say_goodbye(pair);
  return sp__pair_fail(pair, SP_EKEYUSED, SP_US, text);
}

int sp__pair_renew_ours(sp_pair_t *pair) {
  if (!is_current(pair))
    return end(pair, "as many records were sent under one AES key as is safe, and TLS 1.2 has no "
                     "new one: connect anew, or use TLS 1.3");
  int status = update(pair, SSL_KEY_UPDATE_NOT_REQUESTED);
  if (status == SP_PENDING)
    pair->write_left = 1; /* another message is on its way: at the next record */
  return status < 0 ? status : 0;
}

int sp__pair_renew_theirs(sp_pair_t *pair) {
  if (!is_current(pair))
    return end(pair, "as many records came under one AES key as is safe, and TLS 1.2 has no new "
                     "one: connect anew, or use TLS 1.3");
  sp__pair_note_key(pair, false);
  int status = pair->ending ? 0 : update(pair, SSL_KEY_UPDATE_REQUESTED);
  if (status == SP_PENDING)
    pair->tide.read_left = 1;
  return status < 0 ? status : 0;
}

int sp_pair_update_key(sp_pair_t *pair, bool peers_too) {
  if (sp__pair_is_away(pair))
    return SP_EOPTION;
  int status = sp__pair_enter(pair);
  if (status < 0)
    return status;
  if (pair->ending)
    status = SP_EENDED;
  else if (!pair->secure || !is_current(pair))
    status = SP_EOPTION;
  else
    status = update(pair, peers_too ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
  if (status == SP_PENDING) { /* another message is on its way: with the next record */
    status = 0;
    pair->write_left = 1;
    pair->tide.read_left = peers_too ? 1 : pair->tide.read_left;
  }
  if (!status && pair->calls)
    pair->calls->wake(pair->owner);
  return sp__pair_leave(pair, status);
}
