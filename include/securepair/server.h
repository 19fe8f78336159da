/* A TLS server: listen, accept, handshake, hand over. */
#ifndef SECUREPAIR_SERVER_H
#define SECUREPAIR_SERVER_H

#include <stdbool.h>

#include <uv.h>

#include <securepair/context.h>
#include <securepair/error.h>
#include <securepair/stream.h>
#include <securepair/watch.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_server sp_server_t;

/*
 * A server on a loop. `on_secure` is the seed's `secureConnection`: called once for each client,
 * with 0 when its handshake is done, authorized or not, or with the reason why it failed. The
 * stream is then set up with sp_stream_on, piped, written to, or destroyed; a failed one only
 * answers questions and closes by itself.
 * Reads all of `options` but what belongs to connect. A server needs a certificate with its key,
 * or the hook psk_server, unless options->context brings a context without (whose handshakes fail
 * unless a name or a hook chooses another).
 * Errors: those of sp_context_new, SP_EOPTION, UV_ENOMEM.
 */
SP_EXTERN int sp_server_new(sp_server_t **server, uv_loop_t *loop, sp_secure_cb on_secure,
                            sp_error_t *why, const sp_options_t *options);

/*
 * Binds and listens: on `port` (0: any free one, see sp_server_port) of `host`; NULL is any IPv4
 * address (seed), "::" any address. A name is looked up before the call returns. On a Unix socket
 * at `path`, which must not exist and is removed on close. On an inherited descriptor of a bound
 * stream socket, which the server then owns; after an error it is the caller's. Once per server.
 * Errors: libuv's (UV_EADDRINUSE, UV_EACCES, ...), SP_EOPTION.
 */
SP_EXTERN int sp_server_listen(sp_server_t *server, const char *host, int port, sp_error_t *why);
SP_EXTERN int sp_server_listen_path(sp_server_t *server, const char *path, sp_error_t *why);
SP_EXTERN int sp_server_listen_fd(sp_server_t *server, int fd, sp_error_t *why);

/* The address bound to, as in sp_stream_local. Returns 0 or libuv's error. */
SP_EXTERN int sp_server_address(const sp_server_t *server, char *room, size_t size, int *port);
SP_EXTERN int sp_server_port(const sp_server_t *server); /* 0 if there is none */
SP_EXTERN int sp_server_fd(const sp_server_t *server);   /* that it listens on; -1: none */

/*
 * Stops accepting; connections live on. `on_close` (may be NULL) is called after the last of them
 * closed, and then the server is gone. Needed also for a server that never listened. Again: only
 * the first on_close is called, and further calls answer UV_EALREADY.
 */
typedef void (*sp_server_cb)(sp_server_t *server);
SP_EXTERN int sp_server_close(sp_server_t *server, sp_server_cb on_close);

/* Destroys every connection, also those still in the handshake. Usually after sp_server_close. */
SP_EXTERN void sp_server_destroy_all(sp_server_t *server);

/* Connections: live ones, the handshaking included. Above the maximum (0: none) a newcomer is
 * closed before any TLS is set up for it, and `drop` is called. */
SP_EXTERN size_t sp_server_connections(const sp_server_t *server);
SP_EXTERN size_t sp_server_max_connections(const sp_server_t *server);
SP_EXTERN void sp_server_set_max_connections(sp_server_t *server, size_t maximum);

/* A connection was not taken: UV_ECONNREFUSED above max_connections, or UV_EMFILE and the like when
 * accept failed: then clients stay in the backlog, and ten times a second it is tried again. */
typedef void (*sp_drop_cb)(sp_server_t *server, int status);
SP_EXTERN void sp_server_on_drop(sp_server_t *server, sp_drop_cb on_drop);

/*
 * A connection was accepted, and is below the maximum; nothing was read from its descriptor, which
 * is non-blocking and close-on-exec. Answers 0: go on; 1: it is the program's now, and does not
 * count as a connection; < 0: it is closed, and `drop` is called with this status. NULL: go on.
 */
typedef int (*sp_accept_cb)(sp_server_t *server, int fd);
SP_EXTERN void sp_server_on_accept(sp_server_t *server, sp_accept_cb on_accept);

/*
 * Contexts: the default one, and others by server name: "mail.example", or "*.example" for names
 * with one more label; an exact name wins, case and a trailing dot do not matter. Live connections
 * keep theirs; the next handshake takes the new one. The context is retained. NULL removes a name.
 * (A context that is made anew when its files change: sp_server_follow.)
 * Returns 0; SP_EOPTION for a name that is none or a context with neither certificate nor
 * psk_server; UV_ENOMEM.
 */
SP_EXTERN int sp_server_set_context(sp_server_t *server, sp_context_t *context);
SP_EXTERN int sp_server_add_context(sp_server_t *server, const char *name, sp_context_t *context);

/*
 * The same with the context that is in force in a watch, now and whenever it changes, until another
 * one is set; `name` NULL: the default. The watch may belong to another loop and thread: one watch
 * serves servers on all of them, as long as it is not gone during this call. When the watch is
 * closed, its last context stays. Returns 0; SP_EOPTION, UV_ENOMEM as above.
 */
SP_EXTERN int sp_server_follow(sp_server_t *server, const char *name, sp_watch_t *watch);

SP_EXTERN void sp_server_ref(sp_server_t *server); /* as uv_ref, on the listening handle */
SP_EXTERN void sp_server_unref(sp_server_t *server);
SP_EXTERN void sp_server_set_data(sp_server_t *server, void *data);
SP_EXTERN void *sp_server_data(const sp_server_t *server);
SP_EXTERN uv_loop_t *sp_server_loop(const sp_server_t *server);

/* The server that a stream came from; NULL for others. Valid until the server's on_close. */
SP_EXTERN sp_server_t *sp_stream_server(const sp_stream_t *stream);

#ifdef __cplusplus
}
#endif
#endif
