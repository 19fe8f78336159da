/* Making streams: of a descriptor, and what that has in common with other ways. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "context.h"
#include "error.h"
#include "server.h"
#include "stream.h"

/* -- options ----------------------------------------------------------------------------------- */

static void read_server(spn_connection_options_t *asked, spn_reader_t *reader,
                        spn_environment_t *environment, napi_value given) {
  napi_value server = spn_read(reader, given, "server");
  if (!server)
    return;
  asked->server = spn_object_of(environment, server, SPN_SERVER, "server must be a native Server");
  reader->failed = reader->failed || !asked->server;
}

bool spn_connection_options_read(spn_connection_options_t *asked, spn_reader_t *reader,
                                 spn_environment_t *environment, const napi_value *argv) {
  napi_value given = argv[2];
  sp_options_t *options = &asked->options;
  asked->role = spn_int_or(reader->env, argv[0], SP_CLIENT) == SP_SERVER ? SP_SERVER : SP_CLIENT;
  options->size = sizeof *options;
  options->context = spn_context_of(environment, argv[1]);
  reader->failed = !options->context;
  options->server_name = spn_read_text(reader, given, "serverName");
  options->check_name = spn_read_choice(reader, given, "checkName");
  options->session = spn_read_bytes(reader, given, "session", &options->session_size);
  options->handshake_timeout = spn_read_int(reader, given, "handshakeTimeout", 0);
  options->request_staple = spn_read_choice(reader, given, "requestOCSP");
  options->half_open = SP_YES; /* JavaScript decides about ends */
  options->write_limit = SIZE_MAX;
  asked->already = spn_read_bytes(reader, given, "already", &asked->already_size);
  read_server(asked, reader, environment, given);
  return !reader->failed;
}

/* Hooks may ask before the call returns that makes the stream: its owner is known by then. */
static void set_owner(spn_stream_t *stream, napi_value options) {
  napi_env env = stream->object.environment->env;
  spn_reader_t reader = {.env = env};
  napi_value owner = spn_read(&reader, options, "owner");
  if (owner)
    spn_set(env, spn_object_value(&stream->object), "owner", owner);
}

spn_stream_t *spn_stream_prepare(spn_environment_t *environment,
                                 const spn_connection_options_t *asked, napi_value options) {
  napi_env env = environment->env;
  spn_stream_t *stream = spn_stream_new(environment);
  if (!stream || !spn_object_make(&stream->object, NULL)) {
    if (stream)
      spn_object_close(&stream->object);
    (void)spn_throw_status(env, UV_ENOMEM);
    return NULL;
  }
  stream->wants_staple = asked->options.request_staple == SP_YES && asked->role == SP_CLIENT;
  stream->server = asked->server;
  if (asked->server)
    (void)napi_create_reference(env, spn_object_value(&asked->server->object), 1,
                                &stream->server_reference);
  set_owner(stream, options);
  environment->adopting = stream;
  return stream;
}

/* -- descriptors ------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *io) { free(io); }

static uv_stream_t *io_new(uv_loop_t *loop, bool is_pipe) {
  uv_stream_t *io = malloc(is_pipe ? sizeof(uv_pipe_t) : sizeof(uv_tcp_t));
  if (!io)
    return NULL;
  if (is_pipe)
    (void)uv_pipe_init(loop, (uv_pipe_t *)io, 0);
  else
    (void)uv_tcp_init(loop, (uv_tcp_t *)io);
  return io;
}

static int open_io(uv_stream_t *io, int fd) {
  return io->type == UV_NAMED_PIPE ? uv_pipe_open((uv_pipe_t *)io, fd)
                                   : uv_tcp_open((uv_tcp_t *)io, fd);
}

static int family_of(int fd) {
  struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
  socklen_t size = sizeof address;
  return getsockname(fd, (struct sockaddr *)&address, &size) < 0 ? -errno : address.ss_family;
}

/* A handle on a copy of the descriptor; < 0: libuv's number. */
static int io_open(uv_stream_t **made, uv_loop_t *loop, int given) {
  int family = family_of(given);
  if (family < 0)
    return family;
  int fd = fcntl(given, F_DUPFD_CLOEXEC, 3);
  if (fd < 0)
    return -errno;
  uv_stream_t *io = io_new(loop, family == AF_UNIX);
  int status = io ? open_io(io, fd) : UV_ENOMEM;
  if (status < 0) {
    (void)close(fd);
    if (io)
      uv_close((uv_handle_t *)io, on_closed);
    return status;
  }
  *made = io;
  return 0;
}

/* -- adopt ------------------------------------------------------------------------------------- */

static int connect_to(spn_stream_t *stream, int fd, const spn_connection_options_t *asked,
                      sp_error_t *why) {
  sp_stream_t *connection;
  uv_stream_t *io = NULL;
  *why = (sp_error_t){.alert = -1};
  int status = io_open(&io, stream->object.environment->loop, fd);
  if (status < 0)
    return status;
  status = sp_stream_adopt(&connection, io, asked->role, asked->already, asked->already_size,
                           spn_stream_on_secure, why, &asked->options);
  if (status < 0) {
    uv_close((uv_handle_t *)io, on_closed);
    return status;
  }
  stream->io = io;
  spn_stream_attach(stream, connection);
  return 0;
}

static napi_value adopt(spn_environment_t *environment, int fd,
                        const spn_connection_options_t *asked, napi_value options) {
  sp_error_t why;
  spn_stream_t *stream = spn_stream_prepare(environment, asked, options);
  if (!stream)
    return NULL;
  int status = connect_to(stream, fd, asked, &why);
  return spn_stream_prepared(stream, status, &why);
}

napi_value spn_stream_prepared(spn_stream_t *stream, int status, const sp_error_t *why) {
  spn_environment_t *environment = stream->object.environment;
  napi_value self = spn_object_value(&stream->object);
  environment->adopting = NULL;
  if (status == 0)
    return self;
  spn_object_close(&stream->object);
  return why->status ? spn_throw(environment->env, why)
                     : spn_throw_status(environment->env, status);
}

napi_value spn_stream_adopt(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_environment_t *environment = call.data;
  spn_reader_t reader = {.env = env};
  spn_connection_options_t asked = {.already = NULL};
  napi_value stream = NULL;
  if (spn_connection_options_read(&asked, &reader, environment, call.argv + 1))
    stream = adopt(environment, spn_int_or(env, call.argv[0], -1), &asked, call.argv[3]);
  spn_reader_end(&reader);
  return stream;
}
