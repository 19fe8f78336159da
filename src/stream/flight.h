/*
 * Giving bytes to a transport. libuv writes to sockets without MSG_NOSIGNAL: a peer that resets the
 * connection after its end would have SIGPIPE kill the program, and what to do with signals is the
 * program's business. So sockets are written to here; other transports (TTYs) by libuv.
 */
#ifndef SP_STREAM_FLIGHT_H
#define SP_STREAM_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

/* As uv_try_write, in one system call: how many bytes were taken, UV_EAGAIN, or another error.
 * `more`: something follows at once, a FIN for instance, and they shall share a packet. */
int sp__transport_send(uv_stream_t *io, const void *bytes, size_t n, bool more);

/* Ends a socket's sending direction at once, if there is nothing in between; false: libuv has to.
 */
bool sp__transport_shut(uv_stream_t *io);

/* Before a socket is closed: so that its peer sees the end also where a child of this process has
 * the descriptor. Costs nothing in a process that never called fork. */
void sp__transport_part(const uv_stream_t *io);

/* What a socket has received by now, past libuv: how many bytes, 0 for the end, UV_EAGAIN for none
 * (always, if it is no socket), or another error. */
int sp__transport_receive(uv_stream_t *io, void *room, size_t n);

/* Bytes on their way to a transport that is full. */
typedef struct sp__flight sp__flight_t;

/* Called once when all bytes were taken, or with an error, unless the flight was cancelled. */
typedef void (*sp__landed_cb)(void *owner, int status);

/* Starts one; the bytes are copied, or stay as they are until it landed or, after
 * sp__flight_cancel, until the transport is closed. Returns 0 or libuv's error. */
int sp__flight_start(sp__flight_t **flight, uv_stream_t *io, const void *bytes, size_t n, bool copy,
                     sp__landed_cb landed, void *owner);
void sp__flight_cancel(sp__flight_t *flight); /* NULL is fine */

#endif
