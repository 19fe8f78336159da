/* What JavaScript answers to hooks. */
#include <string.h>

#include "context.h"
#include "error.h"
#include "stream.h"

static sp_pair_t *pair_of(napi_env env, const spn_call_info_t *call) {
  const spn_stream_t *stream = spn_stream_self(env, call);
  return stream && stream->stream ? sp_stream_pair(stream->stream) : NULL;
}

/* useContext(context) */
napi_value spn_answer_useContext(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_stream_t *stream = spn_stream_self(env, &call);
  sp_context_t *context = stream ? spn_context_of(stream->object.environment, call.argv[0]) : NULL;
  if (!context)
    return NULL;
  sp_pair_t *pair = pair_of(env, &call);
  return spn_number(env, pair ? sp_pair_use_context(pair, context) : UV_EBADF);
}

typedef int (*use_t)(sp_pair_t *pair, const char *bytes, size_t n);

static napi_value use(napi_env env, napi_callback_info info, const char *name, use_t use_bytes) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_reader_t reader = {.env = env};
  sp_pair_t *pair = pair_of(env, &call);
  size_t n;
  napi_value status = NULL;
  const char *bytes = spn_read_value(&reader, call.argv[0], name, &n);
  if (bytes)
    status = spn_number(env, pair ? use_bytes(pair, bytes, n) : UV_EBADF);
  spn_reader_end(&reader);
  return status;
}

static int use_session(sp_pair_t *pair, const char *bytes, size_t n) {
  return sp_pair_use_session(pair, bytes, n);
}

static int use_staple(sp_pair_t *pair, const char *bytes, size_t n) {
  return sp_pair_use_staple(pair, bytes, n);
}

napi_value spn_answer_useProtocol(napi_env env, napi_callback_info info) {
  return use(env, info, "protocol", sp_pair_use_protocol);
}

napi_value spn_answer_useSession(napi_env env, napi_callback_info info) {
  return use(env, info, "session", use_session);
}

napi_value spn_answer_useStaple(napi_env env, napi_callback_info info) {
  return use(env, info, "staple", use_staple);
}

/* refuse(alert) */
napi_value spn_answer_refuse(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  sp_pair_t *pair = pair_of(env, &call);
  if (pair)
    sp_pair_refuse(pair, spn_int_or(env, call.argv[0], -1));
  return NULL;
}

/* proceed(status): from within the function that asks, or later */
napi_value spn_answer_proceed(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_stream_t *stream = spn_stream_self(env, &call);
  int given = spn_int_or(env, call.argv[0], SP_EREFUSED);
  int status = given == -1 ? SP_EREFUSED : given < 0 ? given : 0;
  if (!stream)
    return NULL;
  if (stream->asking) {
    stream->answer = status;
    return spn_number(env, 0);
  }
  if (!stream->stream)
    return spn_number(env, UV_EBADF);
  return spn_number(env, sp_pair_resume(sp_stream_pair(stream->stream), status));
}
