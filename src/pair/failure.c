/* Classes of failures. */
#include <errno.h>
#include <stdbool.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <securepair/error.h>

static sp_failure_t alert_class(int alert) {
  switch (alert) {
  case SSL3_AD_NO_CERTIFICATE:
  case SSL_AD_BAD_CERTIFICATE:
  case SSL_AD_UNSUPPORTED_CERTIFICATE:
  case SSL_AD_CERTIFICATE_REVOKED:
  case SSL_AD_CERTIFICATE_EXPIRED:
  case SSL_AD_CERTIFICATE_UNKNOWN:
  case SSL_AD_UNKNOWN_CA:
  case SSL_AD_BAD_CERTIFICATE_STATUS_RESPONSE:
  case SSL_AD_CERTIFICATE_REQUIRED:
    return SP_FAILURE_ALERTCERTIFICATE;
  case SSL_AD_HANDSHAKE_FAILURE:
  case SSL_AD_PROTOCOL_VERSION:
  case SSL_AD_INSUFFICIENT_SECURITY:
  case SSL_AD_INAPPROPRIATE_FALLBACK:
  case SSL_AD_MISSING_EXTENSION:
  case SSL_AD_UNSUPPORTED_EXTENSION:
  case SSL_AD_UNRECOGNIZED_NAME:
  case SSL_AD_NO_APPLICATION_PROTOCOL:
    return SP_FAILURE_ALERTAGREEMENT;
  default:
    return SP_FAILURE_ALERT;
  }
}

static int reason_of(const sp_error_t *error) {
  return ERR_GET_LIB(error->reason) == ERR_LIB_SSL ? ERR_GET_REASON(error->reason) : 0;
}

/* What could not be agreed on, or what else was wrong with what the peer sent. */
static sp_failure_t protocol_class(const sp_error_t *error) {
  switch (reason_of(error)) {
  case SSL_R_UNKNOWN_PROTOCOL:
  case SSL_R_UNSUPPORTED_PROTOCOL:
  case SSL_R_VERSION_TOO_LOW:
  case SSL_R_WRONG_SSL_VERSION:
    return SP_FAILURE_VERSION;
  case SSL_R_NO_SHARED_CIPHER:
  case SSL_R_NO_SHARED_GROUPS:
  case SSL_R_NO_SUITABLE_KEY_SHARE:
  case SSL_R_NO_SUITABLE_GROUPS:
  case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
  case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    return SP_FAILURE_CIPHER;
  case SSL_R_NO_APPLICATION_PROTOCOL:
    return SP_FAILURE_ALPN;
  default:
    return error->alert == SSL_AD_PROTOCOL_VERSION ? SP_FAILURE_VERSION : SP_FAILURE_MALFORMED;
  }
}

static sp_failure_t other_class(const sp_error_t *error) {
  if (error->alert == SSL_AD_UNRECOGNIZED_NAME)
    return SP_FAILURE_NAME;
  if (error->who == SP_TRANSPORT)
    return SP_FAILURE_TRANSPORT;
  if (error->who == SP_PEER)
    return SP_FAILURE_MALFORMED;
  bool ours = error->status <= SP_EKEY || error->status == -ENOMEM || error->status == SP_EREENTRY;
  return ours ? SP_FAILURE_INTERNAL : SP_FAILURE_REFUSED; /* hooks answer with any number */
}

static sp_failure_t verdict_class(const sp_error_t *error) {
  bool none = reason_of(error) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE ||
              error->alert == SSL_AD_CERTIFICATE_REQUIRED;
  return none ? SP_FAILURE_NOCERTIFICATE : SP_FAILURE_CERTIFICATE;
}

sp_failure_t sp_failure_of(const sp_error_t *error) {
  switch (error->status) {
  case 0:
    return SP_FAILURE_NONE;
  case SP_ENOTTLS:
    return SP_FAILURE_NOTTLS;
  case SP_EHTTP:
    return SP_FAILURE_HTTP;
  case SP_EINJECTED:
    return SP_FAILURE_INJECTED;
  case SP_EALERT:
    return alert_class(error->alert);
  case SP_EUNAUTHORIZED:
    return verdict_class(error);
  case SP_EPROTOCOL:
    return protocol_class(error);
  case SP_EEARLYCLOSE:
  case SP_ETRUNCATED:
    return SP_FAILURE_CLOSED;
  case -ETIMEDOUT:
    return SP_FAILURE_TIMEOUT;
  case -ECANCELED:
    return SP_FAILURE_CANCELED;
  default:
    return other_class(error);
  }
}

const char *sp_failure_name(sp_failure_t failure) {
  switch (failure) {
  case SP_FAILURE_NONE:
    return "none";
#define NAME(name, word, text)                                                                     \
  case SP_FAILURE_##name:                                                                          \
    return word;
    SP_FAILURE_MAP(NAME)
#undef NAME
  case SP_FAILURES:
  default:
    return "unknown";
  }
}
