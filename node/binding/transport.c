/*
 * TLS over a Duplex of JavaScript's. What JavaScript tells of it is kept until the loop comes by,
 * because no call of its own may call it back.
 */
#include "transport.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

/* What JavaScript told and C does not know yet, in the order in which it is passed on. */
typedef struct told {
  uint8_t *bytes; /* received */
  size_t size, room_for;
  bool ended;
  int failure;
  bool room, closed;
} told_t;

typedef struct spn_transport {
  told_t told;
  bool full; /* the Duplex does not take more */
  bool asked_to_close;
} spn_transport_t;

void spn_transport_free(spn_transport_t *transport) {
  if (transport)
    free(transport->told.bytes);
  free(transport);
}

/* -- from C to the Duplex ---------------------------------------------------------------------- */

static int on_send(sp_stream_t *connection, const void *bytes, size_t n, void *data) {
  const spn_stream_t *stream = data;
  napi_env env = stream->object.environment->env;
  napi_handle_scope scope;
  napi_value buffer, answer;
  bool takes_more = true;
  (void)connection;
  if (stream->transport->full)
    return UV_EAGAIN;
  if (napi_open_handle_scope(env, &scope) != napi_ok)
    return UV_ENOMEM;
  buffer = spn_buffer(env, bytes, n);
  bool taken = buffer && spn_call(&stream->object, SPN_ontransportwrite,
                                  spn_object_value(&stream->object), 1, &buffer, &answer);
  if (taken)
    (void)napi_get_value_bool(env, answer, &takes_more);
  (void)napi_close_handle_scope(env, scope);
  stream->transport->full = !takes_more;
  return taken ? (int)n : UV_ECANCELED;
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

static void become_due(spn_stream_t *stream) {
  spn_environment_t *environment = stream->object.environment;
  if (stream->is_due)
    return;
  stream->is_due = true;
  stream->next_due = NULL;
  spn_stream_t **link = &environment->due;
  while (*link)
    link = &(*link)->next_due;
  *link = stream;
  spn_later(environment);
}

void spn_stream_forget_due(spn_stream_t *stream) {
  spn_stream_t **link = &stream->object.environment->due;
  while (*link && *link != stream)
    link = &(*link)->next_due;
  if (*link)
    *link = stream->next_due;
  stream->is_due = false;
}

/* While this is passed on, more may be told. The connection itself goes in a later turn of the
 * loop: it is there all the time. */
static void say(sp_stream_t *connection, spn_transport_t *transport) {
  told_t told = transport->told;
  transport->told = (told_t){.bytes = NULL};
  if (told.size)
    sp_transport_received(connection, told.bytes, told.size);
  free(told.bytes);
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

void spn_stream_say_due(spn_environment_t *environment) {
  spn_stream_t *due = environment->due;
  environment->due = NULL; /* what becomes due meanwhile waits for the next turn */
  while (due) {
    spn_stream_t *stream = due;
    due = stream->next_due;
    stream->is_due = false;
    if (stream->stream)
      say(stream->stream, stream->transport);
  }
}

/* -- methods ----------------------------------------------------------------------------------- */

/* Where to note what is told about the stream that the call is made on; NULL: it has no transport
 * any more. */
static told_t *told_of(napi_env env, const spn_call_info_t *call) {
  spn_stream_t *stream = spn_stream_self(env, call);
  if (!stream || !stream->stream || !stream->transport)
    return NULL;
  become_due(stream);
  return &stream->transport->told;
}

static void keep(told_t *told, const uint8_t *bytes, size_t n) {
  size_t needed = told->size + n;
  if (needed > told->room_for) {
    size_t room = needed > 2 * told->room_for ? needed : 2 * told->room_for;
    uint8_t *kept = realloc(told->bytes, room);
    if (!kept) {
      told->failure = UV_ENOMEM;
      return;
    }
    told->bytes = kept;
    told->room_for = room;
  }
  if (n)
    memcpy(told->bytes + told->size, bytes, n);
  told->size = needed;
}

/* transportReceived(buffer) */
napi_value spn_transportReceived(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const uint8_t *bytes;
  size_t n;
  if (!spn_view(env, call.argv[0], &bytes, &n))
    return spn_throw_type(env, "buffer must be a Buffer, TypedArray or DataView");
  told_t *told = told_of(env, &call);
  if (told)
    keep(told, bytes, n);
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
