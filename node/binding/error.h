/* Errors for JavaScript. */
#ifndef SPN_ERROR_H
#define SPN_ERROR_H

#include <node_api.h>

#include <securepair/error.h>

/* How Node forms the code of an error of OpenSSL's. */
typedef enum spn_code_style {
  SPN_CODE_TLS,   /* of a connection: ERR_SSL_ and the reason */
  SPN_CODE_CRYPTO /* of a context: ERR_OSSL_, where it happened, and the reason */
} spn_code_style_t;

/* { status, name, text, ... } as README.md has it. */
napi_value spn_error_info(napi_env env, const sp_error_t *error, spn_code_style_t style);

/* Throws an Error whose message is the error's text, with its `info`; returns NULL. */
napi_value spn_throw(napi_env env, const sp_error_t *error);

/* The same for a bare status. */
napi_value spn_throw_status(napi_env env, int status);

#endif
