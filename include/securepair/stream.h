/*
 * A TLS stream: a pair bound to a libuv stream. Connect, adopt, read, write, pipe, end, destroy.
 *
 * A stream is made by sp_connect, sp_stream_adopt or a server, and is freed by the library after
 * its `close` event. Its life:
 *
 *     made -> secure callback, once -> data ... end, drain, timeout, at most one error -> close
 *
 *   - The secure callback is called with 0 whether or not the peer is authorized (see
 *     sp_stream_is_authorized), or with the status of what went wrong; then only `close` follows.
 *     What it writes there leaves together with the last flight of the handshake, if that is
 *     ours and no worker's.
 *   - A client by default refuses an unauthorized server inside the handshake, and the status is
 *     SP_EUNAUTHORIZED; with .reject_unauthorized = SP_NO the status is 0 and the verdict tells.
 *   - sp_stream_destroy before the secure callback: the secure callback gets UV_ECANCELED.
 *   - On the way to `close` every pending write gets UV_ECANCELED (or the stream's error).
 *   - Data is read only while somebody takes it: a `data` event, a pipe, or sp_stream_resume.
 *     Until then the peer is held back.
 */
#ifndef SECUREPAIR_STREAM_H
#define SECUREPAIR_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include <securepair/context.h>
#include <securepair/error.h>
#include <securepair/pair.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_stream sp_stream_t;

/* The handshake is over: status 0, or what went wrong (sp_stream_error has the sentence). */
typedef void (*sp_secure_cb)(sp_stream_t *stream, int status);

/*
 * Events of a stream. Any may be NULL.
 *   data     n bytes of cleartext, many records together; the bytes are valid during the call.
 *   end      the peer sends no more: 0 after its close_notify, SP_ETRUNCATED without one. Not after
 *            sp_stream_end without half_open: then nothing of the peer's is awaited.
 *   drain    after a write answered 0: everything was passed on, go on writing. Not after
 *            sp_stream_end.
 *   finish   after sp_stream_end (also one that a pipe passed on): everything is with the
 * transport, the close_notify included, or the peer had ended and is gone. Once; not for a stream
 *            that failed or was destroyed before.
 *   timeout  no traffic for the idle time-out; the stream stays open: end or destroy it, or not.
 *   error    the stream failed after it was secure; `close` follows. At most once.
 *   ocsp     a client that asked for an OCSP response (request_staple) has n bytes of it in DER, or
 *            NULL for none; see sp_pair_staple_status. Right before the secure callback with 0; the
 *            bytes live as long as the stream.
 *   close    the last event; the stream is gone when the callback returns.
 *   session  client: a session that can be resumed, as the hook of that name; after the secure
 *            callback. TLS 1.2: at once; TLS 1.3: with each ticket, as it is read, of many that
 *            come together the last two. A ticket is in the data that the server sends, mostly
 *            right after the handshake: it comes only while the stream reads (`data`, a pipe,
 *            sp_stream_resume, or awaiting the peer's end), not to a client that only writes, nor
 *            one that is paused, nor, without half_open, after our end has left. Who wants it waits
 *            for the first `data`: with most servers the ticket stands before it.
 *   keylog   a secret, as a line without its newline, as the hook of that name. Only with contexts
 *            made with .keylog = SP_YES. To a listener that is there, before the secure callback;
 *            what came earlier, after it.
 *            In session and keylog, besides the hooks, all calls are legal.
 *   room     is no event but a question: where the next cleartext goes. Asked right before it is
 *            read, once for each `data`, whose bytes then lie at the start of the answer, at most
 *            `*size` of them (on entry: what the loop's slab has). NULL or a size of 0: the slab,
 *            as without `room`. It may be answered in vain: `data` follows only if there is
 *            cleartext. The memory must live until `data`, or until the stream reads no more.
 */
typedef struct sp_stream_events {
  void (*data)(sp_stream_t *stream, const uint8_t *bytes, size_t n);
  void (*end)(sp_stream_t *stream, int status);
  void (*drain)(sp_stream_t *stream);
  void (*timeout)(sp_stream_t *stream);
  void (*error)(sp_stream_t *stream, const sp_error_t *error);
  void (*close)(sp_stream_t *stream);
  uint8_t *(*room)(sp_stream_t *stream, size_t *size);
  void (*finish)(sp_stream_t *stream);
  void (*session)(sp_stream_t *stream, const void *bytes, size_t n);
  void (*keylog)(sp_stream_t *stream, const char *line);
  void (*ocsp)(sp_stream_t *stream, const uint8_t *der, size_t n);
} sp_stream_events_t;

/* Sets the events (copied; NULL: none) and the stream's data pointer. Any time before `close`;
 * usually right after sp_connect, or in a server's secure callback. The first call on a stream
 * always succeeds; a later one without memory leaves the events as they were, and the stream fails
 * with UV_ENOMEM. A loop keeps equal tables once. */
SP_EXTERN void sp_stream_on(sp_stream_t *stream, const sp_stream_events_t *events, void *data);
SP_EXTERN void sp_stream_set_data(sp_stream_t *stream, void *data);
SP_EXTERN void *sp_stream_data(const sp_stream_t *stream);

/* -- making one -------------------------------------------------------------------------------- */

/*
 * Connects to options->host and port, or options->path, and makes it secure. Every address of the
 * host is tried, in turns of families and staggered by 250 ms (RFC 8305); name lookup runs on
 * libuv's threads. The server name asked for and checked is options->server_name, or the host.
 * Returns 0, or: every error of sp_context_new, SP_EOPTION, UV_ENOMEM, libuv's for a path or
 * handle that cannot be made. After an error nothing is called.
 */
SP_EXTERN int sp_connect(sp_stream_t **stream, uv_loop_t *loop, sp_secure_cb on_secure,
                         sp_error_t *why, const sp_options_t *options);

/*
 * STARTTLS: makes a connected stream secure that already talks (TCP, pipe, TTY: any uv_stream_t),
 * as client or server. `already` are the n bytes that were read from it and not understood yet;
 * a server may have read the start of a ClientHello, anything else there was injected ahead of
 * the handshake and fails the stream with SP_EINJECTED, as does any byte for a client.
 * From here the library owns the handle's reading, writing and closing and its `data`; its memory
 * stays the caller's and may be freed in (or after) `close`. After an error return the handle is
 * as it was. A client needs options->server_name (or host): the name that the certificate must be
 * for; leaving it out takes .check_name = SP_NO.
 */
SP_EXTERN int sp_stream_adopt(sp_stream_t **stream, uv_stream_t *io, sp_role_t role,
                              const void *already, size_t n, sp_secure_cb on_secure,
                              sp_error_t *why, const sp_options_t *options);

/* -- a transport of one's own ------------------------------------------------------------------ */

/*
 * What carries the ciphertext of a stream made by sp_stream_over: TLS over anything, another
 * stream included. The library calls these four, on the loop's thread, with the `data` given there.
 *   send   n bytes to the peer: how many were taken (copied), maybe fewer; UV_EAGAIN for none: call
 *          sp_transport_room when there is room again, also after fewer; or an error, < 0, which
 *          fails the stream.
 *   read   bytes are wanted, or not any more; those that come nevertheless are held.
 *   end    nothing more will be sent (the FIN of a socket). Bytes are still wanted.
 *   close  let go of it, and call sp_transport_closed: in this call or later. The last call.
 */
typedef struct sp_transport {
  int (*send)(sp_stream_t *stream, const void *bytes, size_t n, void *data);
  void (*read)(sp_stream_t *stream, bool on, void *data);
  void (*end)(sp_stream_t *stream, void *data);
  void (*close)(sp_stream_t *stream, void *data);
} sp_transport_t;

/*
 * As sp_stream_adopt, over a transport of the program's own (copied; all four are needed, or
 * SP_EOPTION). Nothing of it is called before this returned. After an error return nothing is
 * called at all. The stream keeps the loop alive as a socket does, see sp_stream_unref.
 */
SP_EXTERN int sp_stream_over(sp_stream_t **stream, uv_loop_t *loop, const sp_transport_t *transport,
                             void *data, sp_role_t role, const void *already, size_t n,
                             sp_secure_cb on_secure, sp_error_t *why, const sp_options_t *options);

/*
 * What the program tells such a stream, in any callback, from within `send`, too. Where the library
 * is at work already what they say is held, and handled at the end of that callback or in the
 * loop's next turn; elsewhere they call the stream's events themselves, as libuv would.
 *   received   n bytes of the peer's, borrowed for the call
 *   ended      the peer sends no more (the FIN of a socket)
 *   failed     the transport broke: the status, < 0, becomes the stream's error
 *   room       after a send that took less than all: it may be tried again
 *   closed     the transport is let go of: the stream's `close` follows, and nothing of the
 *              transport is called any more. Without `close` asked for: failed with UV_ECONNRESET.
 */
SP_EXTERN void sp_transport_received(sp_stream_t *stream, const void *bytes, size_t n);
SP_EXTERN void sp_transport_ended(sp_stream_t *stream);
SP_EXTERN void sp_transport_failed(sp_stream_t *stream, int status);
SP_EXTERN void sp_transport_room(sp_stream_t *stream);
SP_EXTERN void sp_transport_closed(sp_stream_t *stream);

/* -- writing ----------------------------------------------------------------------------------- */

/*
 * Writes a copy of n bytes. Answers
 *   1    taken, go on;
 *   0    taken, but wait for `drain` before writing more (high_water bytes are pending);
 *   < 0  not taken: SP_EENDED after sp_stream_end, the stream's error, SP_EOVERFLOW above
 *        write_limit, UV_ENOMEM.
 * What is written in one callback leaves together, before the loop polls again. Before the stream
 * is secure, writes wait for it.
 */
SP_EXTERN int sp_stream_send(sp_stream_t *stream, const void *bytes, size_t n);

/*
 * Encrypts straight from the caller's memory what the transport takes now, and passes it on at
 * once: how many bytes of n that were. Fewer, 0 too: earlier writes are queued, the stream is not
 * secure yet or in a hook, or the transport is full; write the rest, or wait for `drain`.
 * < 0: as sp_stream_send.
 */
SP_EXTERN ssize_t sp_stream_try(sp_stream_t *stream, const void *bytes, size_t n);

/*
 * Passes on now, as far as the transport takes it, what would leave at the end of the callback or
 * in the loop's next turn; before sp_stream_destroy for instance, which drops what is pending. Does
 * nothing before the stream is secure, in a hook, and within a transport's `send`.
 */
SP_EXTERN void sp_stream_flush(sp_stream_t *stream);

/* A write of the caller's memory, which must stay as it is until the callback. */
typedef struct sp_write sp_write_t;
typedef void (*sp_write_cb)(sp_write_t *request, int status);
struct sp_write {
  void *data; /* yours */
  /* the library's until the callback */
  sp_stream_t *stream;
  sp_write_cb callback;
  const uint8_t *bytes;
  size_t size;
  int status;
  sp_write_t *next;
};

/* The same answers as sp_stream_send; the callback (may be NULL) is called if it was >= 0, with 0
 * once all bytes were passed to the transport, or UV_ECANCELED, or the stream's error. */
SP_EXTERN int sp_stream_write(sp_write_t *request, sp_stream_t *stream, const void *bytes, size_t n,
                              sp_write_cb callback);

/* Bytes that were taken and not passed to the transport yet. */
SP_EXTERN size_t sp_stream_pending(const sp_stream_t *stream);

/* -- reading ----------------------------------------------------------------------------------- */

/* Stops and restarts `data` (and a pipe from the stream); a paused stream stops reading its
 * transport, so that the peer is held back. Idempotent. */
SP_EXTERN void sp_stream_pause(sp_stream_t *stream);
SP_EXTERN void sp_stream_resume(sp_stream_t *stream);
SP_EXTERN bool sp_stream_is_paused(const sp_stream_t *stream);

/* -- pipes ------------------------------------------------------------------------------------- */

/*
 * Everything that `from` receives is sent on `to`, which may be the same stream (an echo), with
 * back-pressure and without the caller's help. When `from` ends, `to` is ended, and
 * without a close_notify if `from` was truncated: its peer learns of that, too. (So it is at once
 * when the `end` of `from` was told before.) When `to` goes, or
 * `from` without an end, the pipe ends; `from` is then paused, and `to` stays as it is. `data` is
 * not called meanwhile; the other events are.
 * Both must be on the same loop. Returns 0; SP_EOPTION (other loop, already piped);
 * the streams' error or SP_EENDED.
 */
SP_EXTERN int sp_stream_pipe(sp_stream_t *from, sp_stream_t *to);

/* As sp_stream_pipe, but the end of `from` is only told, by its `end` event: `to` stays open. */
SP_EXTERN int sp_stream_pipe_open(sp_stream_t *from, sp_stream_t *to);
SP_EXTERN void sp_stream_unpipe(sp_stream_t *from);

/* Which ways a pipe to a plain stream runs. */
enum {
  SP_PIPE_OUT = 1 /* stream to plain */,
  SP_PIPE_IN = 2 /* plain to stream */,
  SP_PIPE_BOTH = 3
};

/* The pipe is over: 0, or why. From now on `plain` is the caller's again, to close. */
typedef void (*sp_pipe_cb)(uv_stream_t *plain, int status);

/*
 * Pipes a TLS stream to or from a connected plain stream of the same loop, or both: a proxy. An
 * end on one side is passed on to the other (close_notify to FIN, FIN to close_notify); an error,
 * a truncation or the stream's close ends the pipe, `done` always before `close`. After an error on
 * the plain side the stream is destroyed, so that its peer sees no clean end. Until `done` the
 * library owns the plain handle's reading and writing; plain->data is put back before `done`.
 * Returns 0; SP_EOPTION; SP_ETRUNCATED if that is how the stream has ended already; the stream's
 * error; UV_ENOMEM; libuv's when reading or shutting down cannot start.
 */
SP_EXTERN int sp_stream_pipe_plain(sp_stream_t *stream, uv_stream_t *plain, int ways,
                                   sp_pipe_cb done);

/*
 * Connects to a plain server, and pipes the stream both ways with it: a proxy. Every address of the
 * host is tried as by sp_connect; a name is looked up each time, a number is not. What the peer
 * says until then waits; the time for it is connect_timeout of the options that
 * the stream was made with, or its server was. When both sides have ended, the connection is
 * closed, and so is the stream. Where nothing answers, the stream fails: its `error` event says
 * where and why, and the peer sees no clean end. After an error of the connection later the stream
 * is destroyed. Returns 0; SP_EOPTION: no such port, or the stream is piped or still connecting
 * itself; UV_ENOMEM; libuv's. After an error the stream is as it was.
 */
SP_EXTERN int sp_stream_pipe_to(sp_stream_t *stream, const char *host, int port);

/* -- ending ------------------------------------------------------------------------------------ */

/*
 * Sends what is pending, then close_notify and FIN. With .half_open = SP_YES reading goes on until
 * the peer ends too; otherwise what still comes is dropped and the stream closes as soon as the
 * peer closed, 2 s later at the latest. Without half_open a peer's end ends the stream likewise.
 * Before the stream is secure it waits for that. Idempotent.
 */
SP_EXTERN void sp_stream_end(sp_stream_t *stream);

/* Drops everything and closes at once. Idempotent; `close` follows. */
SP_EXTERN void sp_stream_destroy(sp_stream_t *stream);

/* -- settings and facts ------------------------------------------------------------------------ */

SP_EXTERN void sp_stream_set_timeout(sp_stream_t *stream, int milliseconds); /* idle; 0: never */
SP_EXTERN int sp_stream_set_no_delay(sp_stream_t *stream, bool on);
SP_EXTERN int sp_stream_set_keep_alive(sp_stream_t *stream, int seconds); /* 0: off */
SP_EXTERN void sp_stream_ref(sp_stream_t *stream); /* as uv_ref: keeps the loop alive, the default.
                                                      Looking up a name and connecting always do. */
SP_EXTERN void sp_stream_unref(sp_stream_t *stream);

/* The error of the stream; one with status 0 if there is none. Lives as long as the stream. */
SP_EXTERN const sp_error_t *sp_stream_error(const sp_stream_t *stream);

/* The verdict, see sp_pair_is_authorized. */
SP_EXTERN bool sp_stream_is_authorized(const sp_stream_t *stream);
SP_EXTERN const char *sp_stream_authorization_error(const sp_stream_t *stream);

SP_EXTERN bool sp_stream_is_secure(const sp_stream_t *stream);

/* Local and remote address as text and port ("192.0.2.1", 443); for a Unix socket its path and
 * port 0. `room` of at least 108 bytes holds any. Return 0 or libuv's error. */
SP_EXTERN int sp_stream_local(const sp_stream_t *stream, char *room, size_t size, int *port);
SP_EXTERN int sp_stream_remote(const sp_stream_t *stream, char *room, size_t size, int *port);

/* Cleartext bytes received, and encrypted to be sent, so far. */
SP_EXTERN uint64_t sp_stream_bytes_read(const sp_stream_t *stream);
SP_EXTERN uint64_t sp_stream_bytes_written(const sp_stream_t *stream);

/* The pair (certificate, cipher, protocol ...), the transport, the loop. Borrowed. The transport
 * is NULL until it is connected, and when it is one of the program's own. */
SP_EXTERN sp_pair_t *sp_stream_pair(const sp_stream_t *stream);
SP_EXTERN uv_stream_t *sp_stream_transport(const sp_stream_t *stream);
SP_EXTERN uv_loop_t *sp_stream_loop(const sp_stream_t *stream);

/* The stream that a pair belongs to, for use in hooks; NULL for a pair of your own. */
SP_EXTERN sp_stream_t *sp_stream_of(const sp_pair_t *pair);

#ifdef __cplusplus
}
#endif
#endif
