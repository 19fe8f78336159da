/*
 * securepair: Node's tls module as a C library on libuv and OpenSSL 3.
 *
 * One include gives everything; the parts can be included on their own, and pair.h and those
 * below it need neither libuv's headers nor a loop.
 *
 * Conventions, said once:
 *
 *   status     An int: 0 or more is success, below 0 is an error. libuv's numbers (UV_ECONNRESET)
 *              and ours (SP_ETRUNCATED) lie on one line and never meet.
 *   sp_error_t Where a call takes `sp_error_t *why`, it may be NULL; it is written only on error.
 *   options    Structures made with SP_OPTIONS(...). They are read during the call; nothing keeps
 *              a pointer to them or to what they point to, except where a field says so.
 *   ownership  What sp_x_new or sp_x_read made is released with sp_x_release. Streams and servers
 *              belong to the library and go away after their `close`.
 *   callbacks  Those of streams and servers are never called from inside a call of yours; called
 *              exactly once if the call that registered them returned >= 0, and never otherwise.
 *              Any call, destroy included, is legal in any of them. After `close` the library
 *              touches nothing of yours. (A pair's hooks run inside the call that drives it.)
 *   "(seed)"   marks what follows the documentation of Node v0.4's tls module, which this library
 *              began with, where today's Node or another library would do otherwise.
 *   threads    A context and a certificate may be shared by threads. Everything else belongs to
 *              the thread that runs its loop.
 */
#ifndef SECUREPAIR_H
#define SECUREPAIR_H

#include <securepair/certificate.h>
#include <securepair/context.h>
#include <securepair/counters.h>
#include <securepair/error.h>
#include <securepair/make.h>
#include <securepair/pair.h>
#include <securepair/server.h>
#include <securepair/session_cache.h>
#include <securepair/store.h>
#include <securepair/stream.h>
#include <securepair/watch.h>

#endif
