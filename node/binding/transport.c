/*
 * TLS over a Duplex of JavaScript's. What JavaScript tells of it is kept until the loop comes by,
 * because no call of its own may call it back.
 */
#include "transport.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

typedef struct bytes {
  uint8_t *bytes;
  size_t size, room;
} bytes_t;

/* What JavaScript told and C does not know yet, in the order in which it is passed on. */
typedef struct told {
  bytes_t received;
  bool ended;
  int failure;
  bool room, closed;
} told_t;

typedef struct spn_transport {
  told_t told;
  bytes_t owed; /* to the Duplex */
  bool in_call; /* of JavaScript's */
  bool full;    /* the Duplex does not take more */
  bool asked_to_close;
} spn_transport_t;

void spn_transport_free(spn_transport_t *transport) {
  if (!transport)
    return;
  free(transport->told.received.bytes);
  free(transport->owed.bytes);
  free(transport);
}

/* -- from C to the Duplex ---------------------------------------------------------------------- */

/* Whether the Duplex got them; it may be full now. */
static bool write_to_duplex(const spn_stream_t *stream, const void *bytes, size_t n) {
  napi_env env = stream->object.environment->env;
  napi_handle_scope scope;
  napi_value buffer, answer;
  bool takes_more = true;
  if (napi_open_handle_scope(env, &scope) != napi_ok)
    return false;
  buffer = spn_buffer(env, bytes, n);
  bool taken = buffer && spn_call(&stream->object, SPN_ontransportwrite,
                                  spn_object_value(&stream->object), 1, &buffer, &answer);
  if (taken)
    (void)napi_get_value_bool(env, answer, &takes_more);
  (void)napi_close_handle_scope(env, scope);
  stream->transport->full = !takes_more;
  return taken;
}

static bool append(bytes_t *to, const void *bytes, size_t n) {
  size_t needed = to->size + n;
  if (needed > to->room) {
    size_t room = needed > 2 * to->room ? needed : 2 * to->room;
    uint8_t *grown = realloc(to->bytes, room);
    if (!grown)
      return false;
    to->bytes = grown;
    to->room = room;
  }
  if (n)
    memcpy(to->bytes + to->size, bytes, n);
  to->size = needed;
  return true;
}

/* What was sent within a call of JavaScript's. */
static void pay(const spn_stream_t *stream) {
  bytes_t owed = stream->transport->owed;
  stream->transport->owed = (bytes_t){.bytes = NULL};
  if (owed.size)
    (void)write_to_duplex(stream, owed.bytes, owed.size);
  free(owed.bytes);
}

static int on_send(sp_stream_t *connection, const void *bytes, size_t n, void *data) {
  spn_stream_t *stream = data;
  spn_transport_t *transport = stream->transport;
  (void)connection;
  if (transport->full)
    return UV_EAGAIN;
  if (!transport->in_call)
    return write_to_duplex(stream, bytes, n) ? (int)n : UV_ECANCELED;
  if (!append(&transport->owed, bytes, n))
    return UV_ENOMEM;
  spn_stream_become_due(stream);
  return (int)n;
}

void spn_transport_flush(spn_stream_t *stream) {
  stream->transport->in_call = true;
  sp_stream_flush(stream->stream);
  stream->transport->in_call = false;
}

static void on_read(sp_stream_t *connection, bool on, void *data) {
  const spn_stream_t *stream = data;
  napi_env env = stream->object.environment->env;
  napi_handle_scope scope;
  (void)connection;
  if (napi_open_handle_scope(env, &scope) != napi_ok)
    return;
  napi_value argument = spn_boolean(env, on);
  (void)spn_call(&stream->object, SPN_ontransportread, spn_object_value(&stream->object), 1,
                 &argument, NULL);
  (void)napi_close_handle_scope(env, scope);
}

static void on_end(sp_stream_t *connection, void *data) {
  const spn_stream_t *stream = data;
  (void)connection;
  spn_tell(&stream->object, SPN_ontransportend);
}

static void on_close(sp_stream_t *connection, void *data) {
  const spn_stream_t *stream = data;
  pay(stream);
  stream->transport->asked_to_close = true;
  if (stream->object.environment->going)
    sp_transport_closed(connection);
  else
    spn_tell(&stream->object, SPN_ontransportclose);
}

void spn_transport_abandon(spn_stream_t *stream) {
  if (stream->transport && stream->stream && stream->transport->asked_to_close)
    sp_transport_closed(stream->stream);
}

/* -- from the Duplex to C ---------------------------------------------------------------------- */

/* While this is passed on, more may be told. The connection itself goes in a later turn of the
 * loop: it is there all the time. */
void spn_transport_say(spn_stream_t *stream) {
  spn_transport_t *transport = stream->transport;
  sp_stream_t *connection = stream->stream;
  told_t told = transport->told;
  transport->told = (told_t){.failure = 0};
  pay(stream);
  if (told.received.size)
    sp_transport_received(connection, told.received.bytes, told.received.size);
  free(told.received.bytes);
  if (told.ended)
    sp_transport_ended(connection);
  if (told.failure)
    sp_transport_failed(connection, told.failure);
  if (told.room) {
    transport->full = false;
    sp_transport_room(connection);
  }
  if (told.closed)
    sp_transport_closed(connection);
}

/* -- methods ----------------------------------------------------------------------------------- */

/* Where to note what is told about the stream that the call is made on; NULL: it has no transport
 * any more. */
static told_t *told_of(napi_env env, const spn_call_info_t *call) {
  spn_stream_t *stream = spn_stream_self(env, call);
  if (!stream || !stream->stream || !stream->transport)
    return NULL;
  spn_stream_become_due(stream);
  return &stream->transport->told;
}

/* transportReceived(buffer) */
napi_value spn_transportReceived(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const uint8_t *bytes;
  size_t n;
  if (!spn_view(env, call.argv[0], &bytes, &n))
    return spn_throw_type(env, "buffer must be a Buffer, TypedArray or DataView");
  told_t *told = told_of(env, &call);
  if (told && !append(&told->received, bytes, n))
    told->failure = UV_ENOMEM;
  return NULL;
}

napi_value spn_transportEnded(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  told_t *told = told_of(env, &call);
  if (told)
    told->ended = true;
  return NULL;
}

/* transportFailed(status) */
napi_value spn_transportFailed(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  told_t *told = told_of(env, &call);
  int status = spn_int_or(env, call.argv[0], UV_EIO);
  if (told)
    told->failure = status < 0 ? status : UV_EIO;
  return NULL;
}

napi_value spn_transportRoom(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  told_t *told = told_of(env, &call);
  if (told)
    told->room = true;
  return NULL;
}

napi_value spn_transportClosed(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  told_t *told = told_of(env, &call);
  if (told)
    told->closed = true;
  return NULL;
}

/* -- over -------------------------------------------------------------------------------------- */

static int connect_over(spn_stream_t *stream, const spn_connection_options_t *asked,
                        sp_error_t *why) {
  static const sp_transport_t calls = {on_send, on_read, on_end, on_close};
  sp_stream_t *connection;
  *why = (sp_error_t){.alert = -1};
  if (!(stream->transport = calloc(1, sizeof *stream->transport)))
    return UV_ENOMEM;
  int status = sp_stream_over(&connection, stream->object.environment->loop, &calls, stream,
                              asked->role, asked->already, asked->already_size,
                              spn_stream_on_secure, why, &asked->options);
  if (status < 0)
    return status;
  spn_stream_attach(stream, connection);
  stream->unref = true; /* the Duplex keeps the loop alive, or it does not */
  sp_stream_unref(connection);
  return 0;
}

napi_value spn_stream_over(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_environment_t *environment = call.data;
  spn_reader_t reader = {.env = env};
  spn_connection_options_t asked = {.already = NULL};
  napi_value result = NULL;
  if (spn_connection_options_read(&asked, &reader, environment, call.argv)) {
    sp_error_t why;
    spn_stream_t *stream = spn_stream_prepare(environment, &asked, call.argv[2]);
    if (stream)
      result = spn_stream_prepared(stream, connect_over(stream, &asked, &why), &why);
  }
  spn_reader_end(&reader);
  return result;
}
