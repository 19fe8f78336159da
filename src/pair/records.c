/* How large the records are that we send: a policy of the context's. A receiver can use a record
 * only when it has all of it; small ones are there with the first packet, large ones cost less. */
#include "base/clock.h"
#include "pair/pair.h"

#define HEADER 5u   /* of a record, RFC 8446 5.1 */
#define SMALL 1369u /* with what TLS, TCP and IP add to it one packet of Ethernet */
#define WARM 96     /* of those, 128 KiB, after which the path takes many packets at once */
#define TICK 250u   /* milliseconds */
#define IDLE 4      /* ticks after which it has to begin anew, as TCP does */

bool sp__pair_has_first_record(const sp_pair_t *pair, const uint8_t *bytes, size_t n) {
  uint64_t before = pair->bytes_in;
  uint8_t header[HEADER];
  for (uint64_t i = 0; i < HEADER && i < before + n; i++)
    header[i] = i < before ? pair->first[i] : bytes[i - before];
  return before + n >= HEADER && before + n >= HEADER + (size_t)(header[3] << 8 | header[4]);
}

size_t sp__pair_limit_record(sp_pair_t *pair, size_t n) {
  int policy = pair->context->record_size;
  if (policy != SP_RECORD_DYNAMIC)
    return n < (size_t)policy ? n : (size_t)policy;
  uint8_t now = (uint8_t)(sp__clock() / TICK); /* a minute later it may be taken for no time */
  if ((uint8_t)(now - pair->burst_at) >= IDLE)
    pair->burst = 0;
  pair->burst_at = now;
  if (pair->burst == WARM)
    return n;
  pair->burst++;
  return n < SMALL ? n : SMALL;
}
