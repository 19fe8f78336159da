#include "socket.h"

#include <string.h>
#include <sys/socket.h>

#include "stream.h"

napi_value spn_socket_set_no_delay(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_stream_t *stream = spn_stream_self(env, &call);
  if (!stream)
    return NULL;
  if (!stream->stream)
    return spn_number(env, UV_EBADF);
  return spn_number(env, sp_stream_set_no_delay(stream->stream, spn_is_true(env, call.argv[0])));
}

static int fd_of(const spn_stream_t *stream) {
  uv_os_fd_t fd;
  if (!stream->stream || stream->transport)
    return -1;
  const uv_handle_t *io = (const uv_handle_t *)sp_stream_transport(stream->stream);
  return io && uv_fileno(io, &fd) == 0 ? fd : -1;
}

/* setKeepAlive(on, seconds); without seconds those of the system. */
static int set_keep_alive(const spn_stream_t *stream, bool on, int seconds) {
  int one = 1;
  if (!stream->stream)
    return UV_EBADF;
  if (!on || seconds > 0)
    return sp_stream_set_keep_alive(stream->stream, on ? seconds : 0);
  return setsockopt(fd_of(stream), SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one) < 0 ? UV_ENOTSUP : 0;
}

napi_value spn_socket_set_keep_alive(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_stream_t *stream = spn_stream_self(env, &call);
  if (!stream)
    return NULL;
  return spn_number(env, set_keep_alive(stream, spn_is_true(env, call.argv[0]),
                                        spn_int_or(env, call.argv[1], 0)));
}

void spn_set_address(napi_env env, napi_value out, const char *address, int port) {
  spn_set(env, out, "address", spn_text(env, address));
  spn_set(env, out, "family", spn_text(env, strchr(address, ':') ? "IPv6" : "IPv4"));
  spn_set(env, out, "port", spn_number(env, port));
}

typedef int (*ask_t)(const sp_stream_t *stream, char *room, size_t size, int *port);

static napi_value address(napi_env env, napi_callback_info info, ask_t ask) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_stream_t *stream = spn_stream_self(env, &call);
  char room[128];
  int port, status = UV_EBADF;
  if (!stream)
    return NULL;
  if (stream->transport)
    status = UV_ENOTSUP;
  else if (stream->stream)
    status = ask(stream->stream, room, sizeof room, &port);
  if (status == 0 && sp_stream_transport(stream->stream)->type != UV_TCP)
    status = UV_ENOTSUP; /* a Unix socket's path is no address to Node */
  if (status == 0)
    spn_set_address(env, call.argv[0], room, port);
  return spn_number(env, status);
}

napi_value spn_socket_local(napi_env env, napi_callback_info info) {
  return address(env, info, sp_stream_local);
}

napi_value spn_socket_remote(napi_env env, napi_callback_info info) {
  return address(env, info, sp_stream_remote);
}

napi_value spn_socket_fd(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_stream_t *stream = spn_stream_self(env, &call);
  return stream ? spn_number(env, fd_of(stream)) : NULL;
}
