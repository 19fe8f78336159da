#include "error.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "value.h"

/* Where an error happened, as Node writes it into a code; errors of TLS and of OpenSSL's providers
 * go without. */
static const char *place(int library) {
  static const struct {
    int library;
    const char *name;
  } places[] = {
      {ERR_LIB_SYS, "SYS_"},       {ERR_LIB_BN, "BN_"},         {ERR_LIB_RSA, "RSA_"},
      {ERR_LIB_DH, "DH_"},         {ERR_LIB_EVP, "EVP_"},       {ERR_LIB_BUF, "BUF_"},
      {ERR_LIB_OBJ, "OBJ_"},       {ERR_LIB_PEM, "PEM_"},       {ERR_LIB_DSA, "DSA_"},
      {ERR_LIB_X509, "X509_"},     {ERR_LIB_ASN1, "ASN1_"},     {ERR_LIB_CONF, "CONF_"},
      {ERR_LIB_CRYPTO, "CRYPTO_"}, {ERR_LIB_EC, "EC_"},         {ERR_LIB_BIO, "BIO_"},
      {ERR_LIB_PKCS7, "PKCS7_"},   {ERR_LIB_X509V3, "X509V3_"}, {ERR_LIB_PKCS12, "PKCS12_"},
      {ERR_LIB_RAND, "RAND_"},     {ERR_LIB_DSO, "DSO_"},       {ERR_LIB_OCSP, "OCSP_"},
      {ERR_LIB_UI, "UI_"},         {ERR_LIB_CMS, "CMS_"},       {ERR_LIB_USER, "USER_"}};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++)
    if (places[i].library == library)
      return places[i].name;
  return "";
}

static napi_value code(napi_env env, unsigned long reason, const char *text,
                       spn_code_style_t style) {
  char room[160];
  bool is_tls = style == SPN_CODE_TLS || ERR_GET_LIB(reason) == ERR_LIB_SSL;
  (void)snprintf(room, sizeof room, "ERR_%s%s%s", is_tls ? "SSL_" : "OSSL_",
                 is_tls ? "" : place(ERR_GET_LIB(reason)), text);
  for (char *p = room; *p; p++)
    *p = (char)(*p == ' ' ? '_' : toupper((unsigned char)*p));
  return spn_text(env, room);
}

static void set_reason(napi_env env, napi_value info, unsigned long reason,
                       spn_code_style_t style) {
  if (!reason)
    return;
  const char *text = ERR_reason_error_string(reason);
  spn_set(env, info, "library", spn_text(env, ERR_lib_error_string(reason)));
  spn_set(env, info, "reasonText", spn_text(env, text));
  if (text)
    spn_set(env, info, "code", code(env, reason, text, style));
}

napi_value spn_error_info(napi_env env, const sp_error_t *error, spn_code_style_t style) {
  static const char *const parties[] = {"us", "peer", "transport"};
  napi_value info = NULL;
  if (napi_create_object(env, &info) != napi_ok)
    return NULL;
  spn_set(env, info, "status", spn_number(env, error->status));
  spn_set(env, info, "name", spn_text(env, sp_error_name(error->status)));
  spn_set(env, info, "text", spn_text(env, error->text));
  spn_set(env, info, "who", spn_text(env, parties[error->who]));
  spn_set(env, info, "alert", spn_number(env, error->alert));
  spn_set(env, info, "alertName",
          error->alert < 0 ? spn_null(env) : spn_text(env, sp_alert_name(error->alert)));
  spn_set(env, info, "verify", spn_number(env, (double)error->verify));
  spn_set(env, info, "verifyName", spn_text(env, sp_verify_name(error->verify)));
  spn_set(env, info, "verifyText",
          spn_text(env, error->verify ? X509_verify_cert_error_string(error->verify) : NULL));
  spn_set(env, info, "reason", spn_number(env, (double)error->reason));
  set_reason(env, info, error->reason, style);
  return info;
}

napi_value spn_throw(napi_env env, const sp_error_t *error) {
  napi_value thrown;
  if (napi_create_error(env, NULL, spn_text(env, error->text), &thrown) != napi_ok)
    return NULL;
  spn_set(env, thrown, "info", spn_error_info(env, error, SPN_CODE_CRYPTO));
  (void)napi_throw(env, thrown);
  return NULL;
}

napi_value spn_throw_status(napi_env env, int status) {
  sp_error_t error = {.status = status, .alert = -1};
  (void)snprintf(error.text, sizeof error.text, "%s", sp_error_text(status));
  return spn_throw(env, &error);
}
