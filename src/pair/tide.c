/*
 * A peer that sends what is no data: key updates, tickets, requests. OpenSSL bounds empty records
 * and warnings itself; of these it takes any number, and each costs more than a record.
 */
#include <openssl/err.h>

#include "base/clock.h"
#include "base/error.h"
#include "pair/pair.h"

#define IN_ROW 32 /* with no data in between */
#define IN_SECOND 10

void sp__tide_count(sp_pair_t *pair, bool costly) {
  sp__tide_t *tide = &pair->tide;
  if (tide->in_row++ == IN_ROW)
    pair->news |= SP__NEWS_FLOOD;
  if (!costly)
    return;
  uint16_t second = (uint16_t)(sp__clock() / 1000);
  if (second != tide->second)
    tide->in_second = 0;
  tide->second = second;
  if (tide->in_second++ == IN_SECOND)
    pair->news |= SP__NEWS_FLOOD;
}

/* OpenSSL has no call that sends an alert of our choice. A record in the clear, which TLS 1.3 does
 * not allow here, has it send unexpected_message. TLS 1.2 would decrypt it: there is no alert. */
static void provoke_alert(sp_pair_t *pair) {
  static const uint8_t clear[] = {SSL3_RT_HANDSHAKE, 3, 3, 0, 1, 0};
  uint8_t byte;
  size_t n, before;
  pair->in = clear;
  pair->in_left = sizeof clear;
  do { /* what is left of the last record comes first */
    before = pair->in_left;
    (void)SSL_read_ex(pair->ssl, &byte, 1, &n);
  } while (pair->in_left == before && SSL_want_read(pair->ssl));
  pair->bytes_in -= sizeof clear - pair->in_left;
  pair->in_left = 0;
  pair->news = 0;
  ERR_clear_error();
}

int sp__pair_cut_off(sp_pair_t *pair) {
  bool in_row = pair->tide.in_row > IN_ROW;
  bool current = SSL_version(pair->ssl) == TLS1_3_VERSION;
  if (current)
    provoke_alert(pair);
  if (in_row)
    return sp__pair_fail(pair, SP_EPROTOCOL, SP_PEER,
                         "the peer sent more than 32 messages without data in between (key "
                         "updates, tickets, requests)");
  return sp__pair_fail(pair, SP_EPROTOCOL, SP_PEER,
                       current ? "the peer sent more than 10 key updates in a second"
                               : "the peer asked for more than 10 renegotiations in a second");
}
