/* The module: whether it fits the node that loads it, its constants, classes and functions. */
#include <stdio.h>

#include <node_api.h>
#include <openssl/crypto.h>
#include <uv.h>

#include "context.h"
#include "environment.h"
#include "server.h"
#include "stream.h"
#include "transport.h"
#include "trust.h"
#include "value.h"

/* -- fitting ----------------------------------------------------------------------------------- */

static bool fits_openssl(void) {
  return OpenSSL_version_num() >> 28 == (unsigned long)OPENSSL_VERSION_NUMBER >> 28;
}

/* libuv's types lie in memory of ours: their sizes have to be the same. */
static bool fits_uv(void) {
  return uv_loop_size() == sizeof(uv_loop_t) && uv_handle_size(UV_TCP) == sizeof(uv_tcp_t) &&
         uv_handle_size(UV_NAMED_PIPE) == sizeof(uv_pipe_t) &&
         uv_handle_size(UV_TIMER) == sizeof(uv_timer_t) &&
         uv_handle_size(UV_POLL) == sizeof(uv_poll_t) &&
         uv_handle_size(UV_CHECK) == sizeof(uv_check_t) &&
         uv_handle_size(UV_IDLE) == sizeof(uv_idle_t) &&
         uv_req_size(UV_CONNECT) == sizeof(uv_connect_t) &&
         uv_req_size(UV_WRITE) == sizeof(uv_write_t) &&
         uv_req_size(UV_SHUTDOWN) == sizeof(uv_shutdown_t) &&
         uv_req_size(UV_GETADDRINFO) == sizeof(uv_getaddrinfo_t);
}

static bool check_fit(napi_env env) {
  char message[256];
  const char *other = !fits_openssl() ? "OpenSSL" : !fits_uv() ? "libuv" : NULL;
  if (!other)
    return true;
  (void)snprintf(message, sizeof message,
                 "securepair was compiled for another %s than this node has (%s, libuv %s): run "
                 "`npm rebuild securepair` with this node",
                 other, OpenSSL_version(OPENSSL_VERSION), uv_version_string());
  (void)napi_throw_error(env, "ERR_SECUREPAIR_OTHER_NODE", message);
  return false;
}

/* -- start ------------------------------------------------------------------------------------- */

static bool take_function(spn_environment_t *environment, napi_value functions,
                          spn_function_t function, const char *name) {
  napi_env env = environment->env;
  napi_value value;
  napi_valuetype type;
  if (napi_get_named_property(env, functions, name, &value) != napi_ok ||
      napi_typeof(env, value, &type) != napi_ok)
    return false;
  if (environment->functions[function])
    (void)napi_delete_reference(env, environment->functions[function]);
  environment->functions[function] = NULL;
  return type != napi_function ||
         napi_create_reference(env, value, 1, &environment->functions[function]) == napi_ok;
}

/* start(functions) */
static napi_value start(napi_env env, napi_callback_info info) {
  static const char *const names[] = {
#define SPN_FUNCTION_NAME(name) #name,
      SPN_FUNCTIONS(SPN_FUNCTION_NAME)
#undef SPN_FUNCTION_NAME
  };
  spn_call_info_t call = spn_call_info(env, info);
  napi_valuetype type = napi_undefined;
  (void)napi_typeof(env, call.argv[0], &type);
  if (type != napi_object)
    return spn_throw_type(env, "functions must be an object");
  for (int i = 0; i < SPN_FUNCTION_COUNT; i++)
    if (!take_function(call.data, call.argv[0], (spn_function_t)i, names[i]))
      return NULL;
  return NULL;
}

/* -- exports ----------------------------------------------------------------------------------- */

static void set_constants(napi_env env, napi_value exports) {
  napi_value hooks, wants;
  (void)napi_create_object(env, &hooks);
  (void)napi_create_object(env, &wants);
#define SET_HOOK(name, bit) spn_set(env, hooks, #name, spn_number(env, bit));
#define SET_WANT(name, bit) spn_set(env, wants, #name, spn_number(env, bit));
  SPN_HOOKS(SET_HOOK)
  SPN_WANTS(SET_WANT)
#undef SET_HOOK
#undef SET_WANT
  spn_set(env, exports, "HOOKS", hooks);
  spn_set(env, exports, "WANTS", wants);
  spn_set(env, exports, "CLIENT", spn_number(env, SP_CLIENT));
  spn_set(env, exports, "SERVER", spn_number(env, SP_SERVER));
}

static void set_function(spn_environment_t *environment, napi_value exports, const char *name,
                         napi_callback function) {
  napi_value value = NULL;
  (void)napi_create_function(environment->env, name, NAPI_AUTO_LENGTH, function, environment,
                             &value);
  spn_set(environment->env, exports, name, value);
}

/* What node looks for in a module's file. */
NAPI_MODULE_EXPORT int32_t node_api_module_get_api_version_v1(void);
NAPI_MODULE_EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports);

int32_t node_api_module_get_api_version_v1(void) { return NAPI_VERSION; }

napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  spn_environment_t *environment = check_fit(env) ? spn_environment_new(env) : NULL;
  if (!environment)
    return NULL;
  set_constants(env, exports);
  set_function(environment, exports, "start", start);
  set_function(environment, exports, "adopt", spn_stream_adopt);
  set_function(environment, exports, "over", spn_stream_over);
  bool defined = spn_trust_define(environment, exports) &&
                 spn_context_define(environment, exports) &&
                 spn_stream_define(environment, exports) && spn_server_define(environment, exports);
  return defined ? exports : NULL;
}
