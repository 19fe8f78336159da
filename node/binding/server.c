#include "server.h"

#include <stdlib.h>

#include "context.h"
#include "error.h"
#include "socket.h"
#include "stream.h"
#include "value.h"

spn_server_t *spn_server_of(const sp_stream_t *connection) {
  const sp_server_t *server = sp_stream_server(connection);
  return server ? sp_server_data(server) : NULL;
}

/* -- life -------------------------------------------------------------------------------------- */

static void dispose(spn_object_t *object) { free(object); }

static void on_close(sp_server_t *closed) {
  spn_server_t *server = sp_server_data(closed);
  server->server = NULL;
  spn_tell(&server->object, SPN_onserverclose);
  spn_object_close(&server->object);
}

static int close_server(spn_server_t *server) {
  if (!server->server || server->closing)
    return UV_EALREADY;
  server->closing = true;
  spn_object_hold(&server->object);
  return sp_server_close(server->server, on_close);
}

static void shut(spn_object_t *object) {
  spn_server_t *server = (spn_server_t *)object;
  (void)close_server(server);
  if (server->server)
    sp_server_destroy_all(server->server);
}

/* -- events ------------------------------------------------------------------------------------ */

static void introduce(const spn_server_t *server, const spn_stream_t *stream,
                      spn_function_t function) {
  napi_env env = server->object.environment->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok)
    return;
  napi_value client = spn_object_value(&stream->object);
  (void)spn_call(&stream->object, function, spn_object_value(&server->object), 1, &client, NULL);
  (void)napi_close_handle_scope(env, scope);
}

/* Only now there is a JavaScript object, and for a failure only when it is asked for. */
static void on_secure(sp_stream_t *connection, int status) {
  const spn_server_t *server = spn_server_of(connection);
  if (server->object.environment->going || (status < 0 && !(server->wants & SPN_WANT_FAILURES)))
    return;
  spn_stream_t *stream = spn_stream_of(connection);
  if (stream && (stream->object.self || spn_object_make(&stream->object, &server->object)))
    introduce(server, stream, status < 0 ? SPN_onclienterror : SPN_onconnection);
  else
    sp_stream_destroy(connection);
}

static int on_accept(sp_server_t *listening, int fd) {
  const spn_server_t *server = sp_server_data(listening);
  spn_tell_status(&server->object, SPN_onaccept, fd);
  return 1;
}

static void on_drop(sp_server_t *listening, int status) {
  const spn_server_t *server = sp_server_data(listening);
  spn_tell_status(&server->object, SPN_ondrop, status);
}

/* -- making ------------------------------------------------------------------------------------ */

static void read_options(spn_reader_t *reader, napi_value given, sp_options_t *options) {
  int maximum = spn_read_int(reader, given, "maxConnections", 0);
  options->size = sizeof *options;
  options->handshake_timeout = spn_read_int(reader, given, "handshakeTimeout", 0);
  options->max_connections = maximum > 0 ? (size_t)maximum : 0;
  options->backlog = spn_read_int(reader, given, "backlog", 0);
  options->ipv6_only = spn_read_choice(reader, given, "ipv6Only");
  options->reuse_port = spn_read_choice(reader, given, "reusePort");
  options->half_open = SP_YES; /* JavaScript decides about ends */
  options->write_limit = SIZE_MAX;
}

static napi_value make(spn_environment_t *environment, napi_value self,
                       const sp_options_t *options) {
  napi_env env = environment->env;
  sp_error_t why;
  spn_server_t *server = calloc(1, sizeof *server);
  if (!server)
    return spn_throw_status(env, UV_ENOMEM);
  if (sp_server_new(&server->server, environment->loop, on_secure, &why, options) < 0) {
    free(server);
    return spn_throw(env, &why);
  }
  sp_server_set_data(server->server, server);
  spn_object_init(&server->object, environment, SPN_SERVER, dispose);
  spn_object_open(&server->object, shut);
  if (!spn_object_wrap(&server->object, self)) {
    shut(&server->object);
    return NULL;
  }
  spn_object_begin_async(&server->object, self);
  return self;
}

/* new binding.Server(context, options) */
static napi_value construct(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_environment_t *environment = call.data;
  spn_reader_t reader = {.env = env};
  sp_options_t options = {.context = spn_context_of(environment, call.argv[0])};
  napi_value self = NULL;
  if (!options.context)
    return NULL;
  read_options(&reader, call.argv[1], &options);
  if (!reader.failed)
    self = make(environment, call.self, &options);
  spn_reader_end(&reader);
  return self;
}

/* -- methods ----------------------------------------------------------------------------------- */

/* The server that the call is made on; NULL with a TypeError pending. */
static spn_server_t *self_of(napi_env env, const spn_call_info_t *call) {
  void *server;
  if (napi_unwrap(env, call->self, &server) == napi_ok)
    return server;
  (void)spn_throw_type(env, "Illegal invocation");
  return NULL;
}

/* A server that listens is kept, whether JavaScript knows it or not. */
static napi_value listening(napi_env env, spn_server_t *server, int status) {
  if (status == 0) {
    spn_object_hold(&server->object);
    if (server->unref)
      sp_server_unref(server->server);
  }
  return spn_number(env, status);
}

/* listen(address, port) */
static napi_value listen_on(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_server_t *server = self_of(env, &call);
  spn_reader_t reader = {.env = env};
  napi_value status = NULL;
  const char *address = spn_is_nothing(env, call.argv[0])
                            ? NULL
                            : spn_read_value(&reader, call.argv[0], "address", NULL);
  if (server && !reader.failed)
    status = listening(env, server,
                       server->server ? sp_server_listen(server->server, address,
                                                         spn_int_or(env, call.argv[1], 0), NULL)
                                      : UV_EBADF);
  spn_reader_end(&reader);
  return status;
}

/* listenPath(path) */
static napi_value listen_path(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_server_t *server = self_of(env, &call);
  spn_reader_t reader = {.env = env};
  napi_value status = NULL;
  const char *path = server ? spn_read_value(&reader, call.argv[0], "path", NULL) : NULL;
  if (path)
    status = listening(
        env, server, server->server ? sp_server_listen_path(server->server, path, NULL) : UV_EBADF);
  spn_reader_end(&reader);
  return status;
}

/* listenFd(fd) */
static napi_value listen_fd(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_server_t *server = self_of(env, &call);
  if (!server)
    return NULL;
  int fd = spn_int_or(env, call.argv[0], -1);
  return listening(env, server,
                   server->server ? sp_server_listen_fd(server->server, fd, NULL) : UV_EBADF);
}

/* address(out) */
static napi_value address(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_server_t *server = self_of(env, &call);
  char room[128];
  int port;
  if (!server)
    return NULL;
  int status =
      server->server ? sp_server_address(server->server, room, sizeof room, &port) : UV_EBADF;
  if (status == 0)
    spn_set_address(env, call.argv[0], room, port);
  return spn_number(env, status);
}

static napi_value close_it(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_server_t *server = self_of(env, &call);
  return server ? spn_number(env, close_server(server)) : NULL;
}

static napi_value destroy_all(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_server_t *server = self_of(env, &call);
  if (server && server->server)
    sp_server_destroy_all(server->server);
  return NULL;
}

/* setContext(context) */
static napi_value set_context(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_server_t *server = self_of(env, &call);
  sp_context_t *context = server ? spn_context_of(server->object.environment, call.argv[0]) : NULL;
  if (!context)
    return NULL;
  return spn_number(env,
                    server->server ? sp_server_set_context(server->server, context) : UV_EBADF);
}

/* addContext(name, context) */
static napi_value add_context(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_server_t *server = self_of(env, &call);
  spn_reader_t reader = {.env = env};
  napi_value status = NULL;
  sp_context_t *context = NULL;
  bool removes = spn_is_nothing(env, call.argv[1]);
  if (!server ||
      (!removes && !(context = spn_context_of(server->object.environment, call.argv[1]))))
    return NULL;
  const char *name = spn_read_value(&reader, call.argv[0], "name", NULL);
  if (name)
    status = spn_number(env, server->server ? sp_server_add_context(server->server, name, context)
                                            : UV_EBADF);
  spn_reader_end(&reader);
  return status;
}

/* setMaxConnections(n) */
static napi_value set_max_connections(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_server_t *server = self_of(env, &call);
  int maximum = spn_int_or(env, call.argv[0], 0);
  if (server && server->server)
    sp_server_set_max_connections(server->server, maximum > 0 ? (size_t)maximum : 0);
  return NULL;
}

static napi_value get_connections(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_server_t *server = self_of(env, &call);
  if (!server)
    return NULL;
  return spn_number(env, server->server ? (double)sp_server_connections(server->server) : 0);
}

static napi_value get_fd(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_server_t *server = self_of(env, &call);
  if (!server)
    return NULL;
  return spn_number(env, server->server ? sp_server_fd(server->server) : -1);
}

/* wants(bits) */
static napi_value wants(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_server_t *server = self_of(env, &call);
  if (!server || !server->server)
    return NULL;
  server->wants = spn_int_or(env, call.argv[0], 0);
  sp_server_on_accept(server->server, server->wants & SPN_WANT_ACCEPT ? on_accept : NULL);
  sp_server_on_drop(server->server, server->wants & SPN_WANT_DROP ? on_drop : NULL);
  return NULL;
}

static napi_value ref(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_server_t *server = self_of(env, &call);
  if (!server || !server->server)
    return NULL;
  server->unref = false;
  sp_server_ref(server->server);
  return NULL;
}

static napi_value unref(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_server_t *server = self_of(env, &call);
  if (!server || !server->server)
    return NULL;
  server->unref = true;
  sp_server_unref(server->server);
  return NULL;
}

static napi_value has_ref(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_server_t *server = self_of(env, &call);
  return server ? spn_boolean(env, server->server && !server->unref) : NULL;
}

bool spn_server_define(spn_environment_t *environment, napi_value exports) {
  const napi_property_descriptor methods[] = {
      SPN_METHOD("listen", listen_on),
      SPN_METHOD("listenPath", listen_path),
      SPN_METHOD("listenFd", listen_fd),
      SPN_METHOD("address", address),
      SPN_METHOD("close", close_it),
      SPN_METHOD("destroyAll", destroy_all),
      SPN_METHOD("setContext", set_context),
      SPN_METHOD("addContext", add_context),
      SPN_METHOD("setMaxConnections", set_max_connections),
      SPN_ACCESSOR("connections", get_connections),
      SPN_ACCESSOR("fd", get_fd),
      SPN_METHOD("wants", wants),
      SPN_METHOD("ref", ref),
      SPN_METHOD("unref", unref),
      SPN_METHOD("hasRef", has_ref),
  };
  return spn_class_define(environment, SPN_SERVER, "Server", construct, methods,
                          sizeof methods / sizeof *methods, exports);
}
