/* What an operator watches: counters of servers and streams. */
#ifndef SECUREPAIR_COUNTERS_H
#define SECUREPAIR_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <securepair/error.h>
#include <securepair/server.h>
#include <securepair/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SP_FAILURES_ROOM 32   /* more than there are classes (sp_failure_t) */
#define SP_HANDSHAKE_TIMES 28 /* the last begins at two minutes */

/*
 * Of a server since it was made; "now" is how things stand. Each is counted when it happens, not
 * when the connection closes.
 */
typedef struct sp_server_counts {
  size_t size; /* sizeof(sp_server_counters_t) of the caller */

  uint64_t accepted;          /* clients, below the maximum */
  uint64_t handed_over;       /* sp_server_on_accept's hook took the descriptor */
  uint64_t dropped_limit;     /* above max_connections */
  uint64_t dropped_resources; /* out of descriptors or memory; one try of accept each */
  uint64_t dropped_other;     /* refused by sp_server_on_accept's hook, and what else failed */
  uint64_t connections;       /* now, the handshaking included */

  uint64_t handshaking; /* now */
  uint64_t waiting;     /* now: handshakes that wait for their turn (handshakes_per_turn) */
  uint64_t handshakes_full, handshakes_resumed;
  uint64_t handshakes_failed[SP_FAILURES_ROOM]; /* by sp_failure_t */
  /* handshakes that became secure, by the time from accept on: [i] took at least 2^i and less than
   * 2^(i+1) microseconds; the first less, too, and the last more */
  uint64_t handshake_times[SP_HANDSHAKE_TIMES];
  uint64_t handshake_time; /* microseconds, the sum of these */
  uint64_t hook_waits;     /* hooks of a handshake that answered SP_PENDING */

  uint64_t encrypted_in, encrypted_out; /* bytes from and to transports */
  uint64_t cleartext_in, cleartext_out; /* bytes delivered, and encrypted to be sent */
  uint64_t pending;                     /* bytes now: written and not with the transport yet */
} sp_server_counters_t;

/*
 * Reads the counters, as many as counters->size has room for. Without locks: those of one moment
 * may differ by what happens in it. Any thread, as long as the server is there. Returns 0;
 * SP_EOPTION: no size.
 */
SP_EXTERN int sp_server_counters(const sp_server_t *server, sp_server_counters_t *counters);

/*
 * Writes the counters of `count` servers, in the text format of Prometheus, version 0.0.4:
 * "securepair_connections{server="mail"} 12" with HELP and TYPE. `names` tell the servers apart,
 * any text; NULL: there is one, without a name. Any thread. Returns 0; UV_EIO: it could not be
 * written.
 */
SP_EXTERN int sp_counters_print(FILE *to, const sp_server_counters_t *counters,
                                const char *const *names, size_t count);

/* Of a stream, of whatever origin. */
typedef struct sp_stream_counts {
  size_t size; /* sizeof(sp_stream_counters_t) of the caller */

  uint64_t encrypted_in, encrypted_out; /* bytes that TLS read, and that the transport took */
  uint64_t cleartext_in, cleartext_out; /* bytes delivered, and encrypted to be sent */
  uint64_t pending_cleartext;           /* bytes now: written and not encrypted yet */
  uint64_t pending_encrypted;           /* bytes now: encrypted and not with the transport yet */
  uint64_t held;           /* bytes now: read from the transport and not decrypted yet */
  uint64_t handshake_time; /* microseconds from accept or connected; 0: not secure (yet) */
  bool is_secure, is_resumed;
} sp_stream_counters_t;

/* Reads them as above, but on the stream's own thread, until `close` returned. */
SP_EXTERN int sp_stream_counters(const sp_stream_t *stream, sp_stream_counters_t *counters);

#ifdef __cplusplus
}
#endif
#endif
