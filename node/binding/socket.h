/* What a stream's socket is asked. */
#ifndef SPN_SOCKET_H
#define SPN_SOCKET_H

#include <node_api.h>

napi_value spn_socket_set_no_delay(napi_env env, napi_callback_info info);
napi_value spn_socket_set_keep_alive(napi_env env, napi_callback_info info);
napi_value spn_socket_local(napi_env env, napi_callback_info info);
napi_value spn_socket_remote(napi_env env, napi_callback_info info);
napi_value spn_socket_fd(napi_env env, napi_callback_info info);

/* Fills out.address, out.family and out.port. */
void spn_set_address(napi_env env, napi_value out, const char *address, int port);

#endif
