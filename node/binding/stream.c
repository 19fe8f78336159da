/* A stream's life and its events. */
#include "stream.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "hooks.h"
#include "server.h"
#include "socket.h"
#include "transport.h"

/* -- life -------------------------------------------------------------------------------------- */

static void dispose(spn_object_t *object) {
  spn_stream_t *stream = (spn_stream_t *)object;
  spn_transport_free(stream->transport);
  free(stream->io);
  free(stream->error);
  free(stream->name);
  spn_sessions_free(stream);
  free(stream);
}

/* The environment goes, or nobody can reach it any more. */
static void shut(spn_object_t *object) {
  spn_stream_t *stream = (spn_stream_t *)object;
  if (stream->stream)
    sp_stream_destroy(stream->stream);
  spn_transport_abandon(stream);
}

spn_stream_t *spn_stream_new(spn_environment_t *environment) {
  spn_stream_t *stream = calloc(1, sizeof *stream);
  if (!stream)
    return NULL;
  spn_object_init(&stream->object, environment, SPN_STREAM, dispose);
  spn_object_open(&stream->object, shut);
  return stream;
}

/* What is asked for after the connection is gone. */
static void keep_facts(spn_stream_t *stream) {
  const sp_error_t *error = sp_stream_error(stream->stream);
  stream->bytes_read = sp_stream_bytes_read(stream->stream);
  stream->bytes_written = sp_stream_bytes_written(stream->stream);
  if (error->status && (stream->error = malloc(sizeof *error)))
    *stream->error = *error;
}

/* -- what is said later ------------------------------------------------------------------------ */

void spn_stream_become_due(spn_stream_t *stream) {
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

static void forget_due(spn_stream_t *stream) {
  spn_stream_t **link = &stream->object.environment->due;
  while (*link && *link != stream)
    link = &(*link)->next_due;
  if (*link)
    *link = stream->next_due;
  stream->is_due = false;
}

/* A stream closes in a later turn of the loop: meanwhile it stays. */
void spn_stream_say_due(spn_environment_t *environment) {
  spn_stream_t *due = environment->due;
  environment->due = NULL; /* what becomes due meanwhile waits for the next turn */
  while (due) {
    spn_stream_t *stream = due;
    due = stream->next_due;
    stream->is_due = false;
    if (stream->stream && stream->transport)
      spn_transport_say(stream);
    if (stream->stream)
      spn_write_say(stream);
    if (stream->stream)
      spn_sessions_say(stream);
  }
}

/* -- events ------------------------------------------------------------------------------------ */

static uint8_t *on_room(sp_stream_t *connection, size_t *size) {
  const spn_stream_t *stream = sp_stream_data(connection);
  size_t free_size;
  uint8_t *room = spn_slab_room(stream->object.environment, &free_size);
  stream->object.environment->slab_lent = room != NULL;
  if (room)
    *size = free_size;
  return room;
}

static void on_data(sp_stream_t *connection, const uint8_t *bytes, size_t n) {
  spn_stream_t *stream = sp_stream_data(connection);
  spn_environment_t *environment = stream->object.environment;
  napi_env env = environment->env;
  napi_handle_scope scope;
  napi_value argv[3];
  size_t offset = 0;
  environment->slab_lent = false;
  spn_sessions_say(stream); /* they came before */
  if (environment->going || napi_open_handle_scope(env, &scope) != napi_ok)
    return;
  if (!spn_slab_take(environment, bytes, n, &argv[0], &offset))
    argv[0] = spn_buffer(env, bytes, n);
  (void)napi_create_uint32(env, (uint32_t)offset, &argv[1]);
  (void)napi_create_uint32(env, (uint32_t)n, &argv[2]);
  (void)spn_call(&stream->object, SPN_ondata, spn_object_value(&stream->object), 3, argv, NULL);
  (void)napi_close_handle_scope(env, scope);
}

static void on_end(sp_stream_t *connection, int status) {
  spn_stream_t *stream = sp_stream_data(connection);
  stream->object.environment->slab_lent = false;
  spn_sessions_say(stream);
  spn_tell_status(&stream->object, SPN_onend, status);
}

static void on_error(sp_stream_t *connection, const sp_error_t *error) {
  const spn_stream_t *stream = sp_stream_data(connection);
  spn_tell_status(&stream->object, SPN_onerror, error->status);
}

static void on_close(sp_stream_t *connection) {
  spn_stream_t *stream = sp_stream_data(connection);
  spn_sessions_say(stream);
  keep_facts(stream);
  stream->stream = NULL;
  stream->server = NULL;
  if (stream->server_reference)
    (void)napi_delete_reference(stream->object.environment->env, stream->server_reference);
  spn_write_finish(stream, stream->error ? stream->error->status : UV_ECANCELED);
  spn_tell(&stream->object, SPN_onclose);
  forget_due(stream);
  spn_object_close(&stream->object);
}

static const sp_stream_events_t events = {
    .data = on_data,
    .end = on_end,
    .drain = spn_stream_on_drain,
    .finish = spn_stream_on_finish,
    .error = on_error,
    .close = on_close,
    .room = on_room,
};

void spn_stream_attach(spn_stream_t *stream, sp_stream_t *connection) {
  stream->stream = connection;
  sp_stream_on(connection, &events, stream);
  sp_stream_pause(connection); /* until readStart */
}

spn_stream_t *spn_stream_of(sp_stream_t *connection) {
  spn_stream_t *stream = sp_stream_data(connection);
  spn_server_t *server = spn_server_of(connection);
  if (stream || !server)
    return stream;
  stream = spn_stream_new(server->object.environment);
  if (!stream)
    return NULL;
  stream->server = server;
  spn_stream_attach(stream, connection);
  return stream;
}

static void tell_staple(const spn_stream_t *stream) {
  napi_env env = stream->object.environment->env;
  napi_handle_scope scope;
  size_t n;
  if (napi_open_handle_scope(env, &scope) != napi_ok)
    return;
  const void *staple = sp_pair_staple(sp_stream_pair(stream->stream), &n);
  napi_value argument = staple ? spn_buffer(env, staple, n) : spn_null(env);
  (void)spn_call(&stream->object, SPN_onocsp, spn_object_value(&stream->object), 1, &argument,
                 NULL);
  (void)napi_close_handle_scope(env, scope);
}

void spn_stream_on_secure(sp_stream_t *connection, int status) {
  spn_stream_t *stream = sp_stream_data(connection);
  if (stream->destroyed)
    return;
  if (status == 0 && stream->wants_staple)
    tell_staple(stream);
  if (!stream->destroyed)
    spn_tell_status(&stream->object, SPN_onsecure, status);
  if (status == 0)
    spn_write_go_on(stream);
}

/* -- methods ----------------------------------------------------------------------------------- */

spn_stream_t *spn_stream_self(napi_env env, const spn_call_info_t *call) {
  void *stream;
  if (napi_unwrap(env, call->self, &stream) == napi_ok)
    return stream;
  (void)spn_throw_type(env, "Illegal invocation");
  return NULL;
}

static napi_value construct(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_environment_t *environment = call.data;
  spn_object_t *object = environment->making;
  environment->making = NULL;
  if (!object || object->class != SPN_STREAM)
    return spn_throw_type(env, "Illegal constructor");
  return spn_object_wrap(object, call.self) ? call.self : NULL;
}

static napi_value read_start(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_stream_t *stream = spn_stream_self(env, &call);
  if (stream && stream->stream)
    sp_stream_resume(stream->stream);
  return NULL;
}

static napi_value read_stop(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_stream_t *stream = spn_stream_self(env, &call);
  if (stream && stream->stream)
    sp_stream_pause(stream->stream);
  return NULL;
}

/* pipe(stream, end) */
static napi_value pipe_to(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_stream_t *from = spn_stream_self(env, &call);
  const spn_stream_t *to = from ? spn_object_of(from->object.environment, call.argv[0], SPN_STREAM,
                                                "stream must be a native Stream")
                                : NULL;
  int status;
  if (!to)
    return NULL;
  if (!from->stream || !to->stream)
    status = UV_EBADF;
  else if (spn_is_true(env, call.argv[1]))
    status = sp_stream_pipe(from->stream, to->stream);
  else
    status = sp_stream_pipe_open(from->stream, to->stream);
  if (status == 0)
    sp_stream_resume(from->stream);
  return spn_number(env, status);
}

static napi_value unpipe(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_stream_t *stream = spn_stream_self(env, &call);
  if (stream && stream->stream)
    sp_stream_unpipe(stream->stream);
  return NULL;
}

/* Writes that were answered as done go out, as far as the transport takes them. */
static void flush(spn_stream_t *stream) {
  if (!sp_stream_pending(stream->stream))
    return;
  if (stream->transport)
    spn_transport_flush(stream);
  else
    sp_stream_flush(stream->stream);
}

static napi_value destroy(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_stream_t *stream = spn_stream_self(env, &call);
  if (!stream)
    return NULL;
  if (stream->stream && !stream->destroyed)
    flush(stream);
  stream->destroyed = true;
  if (stream->stream)
    sp_stream_destroy(stream->stream);
  return NULL;
}

static napi_value ref(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_stream_t *stream = spn_stream_self(env, &call);
  if (!stream)
    return NULL;
  stream->unref = false;
  if (stream->stream)
    sp_stream_ref(stream->stream);
  return NULL;
}

static napi_value unref(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_stream_t *stream = spn_stream_self(env, &call);
  if (!stream)
    return NULL;
  stream->unref = true;
  if (stream->stream)
    sp_stream_unref(stream->stream);
  return NULL;
}

static napi_value has_ref(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_stream_t *stream = spn_stream_self(env, &call);
  return stream ? spn_boolean(env, stream->stream && !stream->unref) : NULL;
}

static napi_value get_bytes_read(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_stream_t *stream = spn_stream_self(env, &call);
  if (!stream)
    return NULL;
  uint64_t n = stream->stream ? sp_stream_bytes_read(stream->stream) : stream->bytes_read;
  return spn_number(env, (double)n);
}

static napi_value get_bytes_written(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_stream_t *stream = spn_stream_self(env, &call);
  if (!stream)
    return NULL;
  uint64_t n = stream->stream ? sp_stream_bytes_written(stream->stream) : stream->bytes_written;
  return spn_number(env, (double)n);
}

static napi_value get_write_queue_size(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_stream_t *stream = spn_stream_self(env, &call);
  if (!stream)
    return NULL;
  size_t n = stream->stream ? sp_stream_pending(stream->stream) + stream->write.left : 0;
  return spn_number(env, (double)n);
}

static napi_value get_server(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_stream_t *stream = spn_stream_self(env, &call);
  return stream && stream->server ? spn_object_value(&stream->server->object) : NULL;
}

bool spn_stream_define(spn_environment_t *environment, napi_value exports) {
#define SPN_FACT(name) SPN_METHOD(#name, spn_fact_##name),
#define SPN_ANSWER(name) SPN_METHOD(#name, spn_answer_##name),
#define SPN_TRANSPORT(name) SPN_METHOD(#name, spn_##name),
  const napi_property_descriptor methods[] = {SPN_METHOD("write", spn_stream_write),
                                              SPN_METHOD("writev", spn_stream_writev),
                                              SPN_METHOD("end", spn_stream_end),
                                              SPN_METHOD("readStart", read_start),
                                              SPN_METHOD("readStop", read_stop),
                                              SPN_METHOD("pipe", pipe_to),
                                              SPN_METHOD("unpipe", unpipe),
                                              SPN_METHOD("destroy", destroy),
                                              SPN_METHOD("ref", ref),
                                              SPN_METHOD("unref", unref),
                                              SPN_METHOD("hasRef", has_ref),
                                              SPN_ACCESSOR("server", get_server),
                                              SPN_ACCESSOR("bytesRead", get_bytes_read),
                                              SPN_ACCESSOR("bytesWritten", get_bytes_written),
                                              SPN_ACCESSOR("writeQueueSize", get_write_queue_size),
                                              SPN_METHOD("setNoDelay", spn_socket_set_no_delay),
                                              SPN_METHOD("setKeepAlive", spn_socket_set_keep_alive),
                                              SPN_METHOD("getsockname", spn_socket_local),
                                              SPN_METHOD("getpeername", spn_socket_remote),
                                              SPN_ACCESSOR("fd", spn_socket_fd),
                                              SPN_STREAM_FACTS(SPN_FACT)
                                                  SPN_STREAM_ANSWERS(SPN_ANSWER)
                                                      SPN_TRANSPORT_METHODS(SPN_TRANSPORT)};
  return spn_class_define(environment, SPN_STREAM, "Stream", construct, methods,
                          sizeof methods / sizeof *methods, exports);
}
