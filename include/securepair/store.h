/*
 * Where a server's sessions live when the clients do not keep them themselves: in memory, or behind
 * an interface of five functions that a program may write for a database of its own.
 *
 *     sp_store_t *store;
 *     sp_memory_store_new(&store, 64 << 20, &why);
 *     sp_server_new(&server, loop, on_secure, &why, SP_OPTIONS(.store = store, ...));
 *     sp_store_release(store);
 *
 * A store may be slow, out of order, or answer garbage: that costs a full handshake, and never a
 * connection. What a server puts there is sealed by its ticket keys (AES-256-GCM) and bound to its
 * place and to the server's policy, and the place's name is a hash: who reads the store learns
 * nothing, who writes to it can only make resumptions fail. Servers that share sessions therefore
 * share their ticket keys, too (option `ticket_keys`, sp_context_set_ticket_ring), or the context.
 */
#ifndef SECUREPAIR_STORE_H
#define SECUREPAIR_STORE_H

#include <stddef.h>
#include <stdint.h>

#include <securepair/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_store sp_store_t;

/*
 * What a store does, each asynchronously: a question is answered once by sp_store_answer, within
 * the call or later; one that is never answered is forgotten after a time (option `store_timeout`).
 * Keys and values are bytes, borrowed for the time of the call; a lifetime is in seconds, and then
 * the value is not there any more. The functions are called on the threads of all loops that use
 * the store, also within a handshake: they must not block, nor call what the store is used by.
 */
typedef struct sp_store_methods {
  size_t size; /* sizeof(sp_store_methods_t) of the caller */
  /* answer 1 with the value, 0: it is not there */
  void (*get)(void *data, uint64_t question, const void *key, size_t n);
  /* the same, and it is not there any more: of several that ask, one gets it */
  void (*take)(void *data, uint64_t question, const void *key, size_t n);
  /* answer 1; a value that was there is replaced */
  void (*set)(void *data, uint64_t question, const void *key, size_t n, const void *value,
              size_t value_size, unsigned lifetime);
  /* the same, but when a value is there, it stays: answer 0 */
  void (*add)(void *data, uint64_t question, const void *key, size_t n, const void *value,
              size_t value_size, unsigned lifetime);
  /* answer 1, 0: it was not there. For the session of a connection that failed (RFC 5246 7.2) */
  void (*remove)(void *data, uint64_t question, const void *key, size_t n);
  /* nobody uses the store any more, and no question is open; may be NULL */
  void (*release)(void *data);
} sp_store_methods_t;

/* A store of the program's. All methods but `release` are needed; they are copied. Released by the
 * caller; a context that has it holds a reference of its own. Returns 0; SP_EOPTION; UV_ENOMEM. */
SP_EXTERN int sp_store_new(sp_store_t **store, const sp_store_methods_t *methods, void *data);

/* Stores are refcounted and may be shared by contexts and threads. */
SP_EXTERN sp_store_t *sp_store_retain(sp_store_t *store);
SP_EXTERN void sp_store_release(sp_store_t *store); /* NULL is fine */

/*
 * The answer to a question: 1, 0, or an error below 0; for get and take with a value of n bytes,
 * which is copied or used before the call returns. On the thread that asked. An answer that nobody
 * waits for (any more) is passed over; so is a question of 0, which need not be answered.
 */
SP_EXTERN void sp_store_answer(sp_store_t *store, uint64_t question, int status, const void *value,
                               size_t n);

/*
 * A store in the memory of this process, for all its threads: at most max_bytes, counting what it
 * takes to keep them; beyond that what was not used for longest goes. A session takes about 500
 * bytes, with a client's certificate some KB. Values are wiped when they go. max_bytes of at least
 * 65 536. Returns 0; SP_EOPTION; UV_ENOMEM.
 */
SP_EXTERN int sp_memory_store_new(sp_store_t **store, size_t max_bytes, sp_error_t *why);

/* How many values are there and how many bytes they take, some of which may be past their lifetime;
 * 0 for a store of another kind. Any thread; either pointer may be NULL. */
SP_EXTERN void sp_memory_store_usage(sp_store_t *store, size_t *count, size_t *bytes);

#ifdef __cplusplus
}
#endif
#endif
