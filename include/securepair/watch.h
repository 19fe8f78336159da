/* A context made of files that follows them: certificates renewed without a restart. */
#ifndef SECUREPAIR_WATCH_H
#define SECUREPAIR_WATCH_H

#include <uv.h>

#include <securepair/context.h>
#include <securepair/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_watch sp_watch_t;

/*
 * What the files say has changed. 0: a new context is in force. Below 0: they cannot be used, the
 * context from before stays in force, and sp_watch_error says why; this is told once for each
 * fault, not each time it is seen. Never called from inside a call. May be NULL.
 */
typedef void (*sp_watch_cb)(sp_watch_t *watch, int status);
typedef void (*sp_watch_close_cb)(sp_watch_t *watch);

/*
 * Makes a context of the context part of `options`, as sp_context_new does, and makes it anew when
 * one of the files named there changes, in whatever way: rewritten in place, replaced, or behind
 * symbolic links that now lead elsewhere. The rest of the options, which is copied, stays as it is;
 * secrets are wiped when the watch is gone.
 *
 * What the system tells of the files' folders is acted on 50 ms later; beside that they are looked
 * at every `watch_interval` milliseconds. Reading and making happen on a worker thread of libuv. A
 * new context is checked whole and takes over in one step, or not at all: files that are not (yet)
 * in order, for instance a new key beside the old certificate, are waited for; what is still wrong
 * `watch_grace` milliseconds after the last change is told. A certificate that has expired does
 * not take the place of one that is still valid, nor an OCSP response (`staple_files`) that is out
 * of date that of a current one; a response has to be for the certificate beside it. Files whose
 * content is the same as before change nothing. The keys of session tickets go on with the new
 * context.
 *
 * Relative paths are those of now, whatever the working directory becomes. `on_passphrase` is only
 * asked during this call, by the absolute path; what it answers is kept. Hooks and their data have
 * to stay as long as the watch and what was made with its contexts. May block on the files. The
 * watch does not keep its loop running; the loop has to run for it to see something.
 * Errors: those of sp_context_new; SP_EOPTION when no file is named.
 */
SP_EXTERN int sp_watch_new(sp_watch_t **watch, uv_loop_t *loop, sp_watch_cb on_change,
                           sp_error_t *why, const sp_options_t *options);

/* Looks at once, as on SIGHUP: the files are taken to be complete, so that there is no waiting, and
 * a fault is told even if it was told before. Asked several times before it could look: once is
 * enough. Returns 0; UV_ECANCELED after sp_watch_close. */
SP_EXTERN int sp_watch_check(sp_watch_t *watch);

/* The context in force. Borrowed until the loop runs on: retain it to keep it. */
SP_EXTERN sp_context_t *sp_watch_context(const sp_watch_t *watch);

/* Why the files cannot be used; status 0 while they can, or as far as was told. */
SP_EXTERN const sp_error_t *sp_watch_error(const sp_watch_t *watch);

/* Watches no longer. on_change is not called any more; `on_close` (may be NULL) is called later,
 * and then the watch is gone. The context stays in force with the servers that followed. Again:
 * UV_EALREADY. */
SP_EXTERN int sp_watch_close(sp_watch_t *watch, sp_watch_close_cb on_close);

SP_EXTERN void sp_watch_set_data(sp_watch_t *watch, void *data);
SP_EXTERN void *sp_watch_data(const sp_watch_t *watch);
SP_EXTERN uv_loop_t *sp_watch_loop(const sp_watch_t *watch);

#ifdef __cplusplus
}
#endif
#endif
