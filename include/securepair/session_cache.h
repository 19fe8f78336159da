/*
 * A client's sessions, kept from one connection to the next, so that a second one to the same peer
 * is resumed: less work for both, and in TLS 1.2 a round trip less.
 *
 * sp_connect does so by itself, in the process's own cache, which all loops and threads share: a
 * loop has no end that could be heard of, and connections come and go one at a time. A program may
 * have caches of its own (options `sessions` and `session_cache`).
 *
 *   - A session is used only for what it was made for: host and port (or path), server name and
 *     whether it is checked, ALPN, ciphers, verification policy, our own certificate.
 *   - Only sessions of peers that are authorized are kept; the verdict on a resumed one is computed
 *     anew from the certificate that it was made with, which is what such a connection shows: no
 *     chain, no staple.
 *   - Of each peer the last two are kept (an end to floods of tickets), and of all peers those used
 *     last, until they expire: at the latest a week after the certificate was checked in full.
 *   - A ticket of TLS 1.3 is used once (RFC 8446 C.4), a session of TLS 1.2 until it expires.
 *   - When a connection fails in TLS, or one that was to be resumed does not become secure, all
 *     sessions of that peer are dropped; when it refuses to resume, the handshake is a full one. A
 *     connection that was cut off (SP_ETRUNCATED) leaves its sessions.
 *
 * Sessions are secrets: they are overwritten before their memory is freed. The process's cache
 * frees all when the process ends, or at sp_session_cache_clear(NULL); empty it has no memory. Any
 * thread.
 */
#ifndef SECUREPAIR_SESSION_CACHE_H
#define SECUREPAIR_SESSION_CACHE_H

#include <stddef.h>

#include <securepair/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SP_SESSION_CACHE_PEERS 100
#define SP_SESSION_CACHE_BYTES (1024 * 1024)

typedef struct sp_session_cache sp_session_cache_t;

/* A cache for at most `peers` peers and `bytes` bytes of sessions; 0: the two above. Connections
 * retain it. *cache is released by the caller. Returns 0 or UV_ENOMEM. */
SP_EXTERN int sp_session_cache_new(sp_session_cache_t **cache, size_t peers, size_t bytes);
SP_EXTERN sp_session_cache_t *sp_session_cache_retain(sp_session_cache_t *cache);
SP_EXTERN void sp_session_cache_release(sp_session_cache_t *cache); /* NULL is fine */

/* In all of these NULL is the process's cache. */

/* Other limits, which hold at once. 0: the two above. */
SP_EXTERN void sp_session_cache_set_limit(sp_session_cache_t *cache, size_t peers, size_t bytes);

/* Drops everything. */
SP_EXTERN void sp_session_cache_clear(sp_session_cache_t *cache);

/* How many sessions there are, and in *bytes (may be NULL) their size. */
SP_EXTERN size_t sp_session_cache_count(sp_session_cache_t *cache, size_t *bytes);

#ifdef __cplusplus
}
#endif
#endif
