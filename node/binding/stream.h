/* Streams as JavaScript has them. */
#ifndef SPN_STREAM_H
#define SPN_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include <node_api.h>
#include <uv.h>

#include <securepair/stream.h>

#include "environment.h"
#include "value.h"

struct spn_server;
struct spn_transport;

/* A write that the stream could not take at once. JavaScript's memory is looked up anew whenever
 * there is room: it may have been detached or resized meanwhile. */
typedef struct spn_write {
  napi_ref source; /* a Buffer, or an array of them; NULL: all was taken */
  uint32_t index;  /* in the array */
  size_t offset;   /* in the Buffer */
  size_t left;     /* bytes in all that were not taken yet */
  bool is_array;
  bool pending; /* onwrite is due */
} spn_write_t;

typedef struct spn_stream {
  spn_object_t object;
  sp_stream_t *stream;             /* NULL: not made yet, or closed */
  struct spn_server *server;       /* whose hooks are asked; NULL: the stream's own */
  napi_ref server_reference;       /* keeps one that it did not come from */
  uv_stream_t *io;                 /* of an adopted one */
  struct spn_transport *transport; /* of one over a Duplex */
  spn_write_t write;
  struct spn_session *sessions; /* that JavaScript is still to be told of */
  sp_error_t *error;            /* a copy that outlives the stream */
  char *name; /* a server's: what the client asks for, for the hook on protocols */
  uint64_t bytes_read, bytes_written; /* when it was closed */
  struct spn_stream *next_due;
  int answer; /* of the hook that is being asked */
  bool asking;
  bool destroyed; /* by JavaScript */
  bool unref;
  bool wants_staple;
  bool is_due;
  bool awaits_end; /* JavaScript does */
  bool finished;   /* the end is with the transport */
} spn_stream_t;

/* A stream without connection; NULL: no memory. */
spn_stream_t *spn_stream_new(spn_environment_t *environment);

/* Ties it to its connection. */
void spn_stream_attach(spn_stream_t *stream, sp_stream_t *connection);

/* The stream of a connection, made when there is none yet; NULL: no memory. */
spn_stream_t *spn_stream_of(sp_stream_t *connection);

/* What this call is made on, NULL with a TypeError pending. */
spn_stream_t *spn_stream_self(napi_env env, const spn_call_info_t *call);

/* What a call of JavaScript's brings about is said later, by the loop. */
void spn_stream_become_due(spn_stream_t *stream);
void spn_stream_say_due(spn_environment_t *environment);

bool spn_stream_define(spn_environment_t *environment, napi_value exports);

/* on_secure of everything but servers. */
void spn_stream_on_secure(sp_stream_t *connection, int status);

/* -- write.c ----------------------------------------------------------------------------------- */

napi_value spn_stream_write(napi_env env, napi_callback_info info);
napi_value spn_stream_writev(napi_env env, napi_callback_info info);
napi_value spn_stream_end(napi_env env, napi_callback_info info);
void spn_stream_on_drain(sp_stream_t *connection);
void spn_stream_on_finish(sp_stream_t *connection);
void spn_write_say(spn_stream_t *stream); /* what is due */
void spn_write_go_on(spn_stream_t *stream);
void spn_write_finish(spn_stream_t *stream, int status); /* if one is pending */

/* -- adopt.c ----------------------------------------------------------------------------------- */

/* What `adopt` and `over` are asked for. */
typedef struct spn_connection_options {
  sp_role_t role;
  sp_options_t options;
  const void *already;
  size_t already_size;
  struct spn_server *server;
} spn_connection_options_t;

/* binding.adopt(fd, role, context, options) */
napi_value spn_stream_adopt(napi_env env, napi_callback_info info);

/* Reads role, context and options from three arguments. False: an exception is pending. */
bool spn_connection_options_read(spn_connection_options_t *asked, spn_reader_t *reader,
                                 spn_environment_t *environment, const napi_value *argv);

/* Makes the stream with its JavaScript object, to be connected. NULL: an exception is pending. */
spn_stream_t *spn_stream_prepare(spn_environment_t *environment,
                                 const spn_connection_options_t *asked, napi_value options);

/* What the call answers: the stream, or with status < 0 an exception, and the stream is gone. */
napi_value spn_stream_prepared(spn_stream_t *stream, int status, const sp_error_t *why);

/* -- facts.c ----------------------------------------------------------------------------------- */

#define SPN_STREAM_FACTS(X)                                                                        \
  X(error)                                                                                         \
  X(isAuthorized)                                                                                  \
  X(authorizationError)                                                                            \
  X(verdict)                                                                                       \
  X(cipher)                                                                                        \
  X(protocol)                                                                                      \
  X(alpn)                                                                                          \
  X(serverName)                                                                                    \
  X(peerCertificates)                                                                              \
  X(ownCertificate)                                                                                \
  X(session)                                                                                       \
  X(ticket)                                                                                        \
  X(isResumed)                                                                                     \
  X(finished)                                                                                      \
  X(peerFinished)                                                                                  \
  X(sharedSigalgs)                                                                                 \
  X(ephemeralKey)                                                                                  \
  X(exportKeyingMaterial)                                                                          \
  X(setMaxSendFragment)                                                                            \
  X(renegotiate)                                                                                   \
  X(disableRenegotiation)

#define SPN_FACT_PROTOTYPE(name) napi_value spn_fact_##name(napi_env env, napi_callback_info info);
SPN_STREAM_FACTS(SPN_FACT_PROTOTYPE)
#undef SPN_FACT_PROTOTYPE

/* -- answers.c: to hooks ----------------------------------------------------------------------- */

#define SPN_STREAM_ANSWERS(X)                                                                      \
  X(useContext)                                                                                    \
  X(useProtocol)                                                                                   \
  X(useSession)                                                                                    \
  X(useStaple)                                                                                     \
  X(refuse)                                                                                        \
  X(proceed)

#define SPN_ANSWER_PROTOTYPE(name)                                                                 \
  napi_value spn_answer_##name(napi_env env, napi_callback_info info);
SPN_STREAM_ANSWERS(SPN_ANSWER_PROTOTYPE)
#undef SPN_ANSWER_PROTOTYPE

#endif
