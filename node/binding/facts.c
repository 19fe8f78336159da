/* What JavaScript asks about a connection. */
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "error.h"
#include "stream.h"

/* The pair of the stream that the call is made on; NULL: there is none any more, or an exception is
 * pending. */
static sp_pair_t *pair_of(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_stream_t *stream = spn_stream_self(env, &call);
  return stream && stream->stream ? sp_stream_pair(stream->stream) : NULL;
}

/* -- errors and the verdict -------------------------------------------------------------------- */

napi_value spn_fact_error(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  const spn_stream_t *stream = spn_stream_self(env, &call);
  if (!stream)
    return NULL;
  const sp_error_t *error = stream->stream ? sp_stream_error(stream->stream) : stream->error;
  return error && error->status ? spn_error_info(env, error, SPN_CODE_TLS) : spn_null(env);
}

napi_value spn_fact_isAuthorized(napi_env env, napi_callback_info info) {
  const sp_pair_t *pair = pair_of(env, info);
  return spn_boolean(env, pair && sp_pair_is_authorized(pair));
}

napi_value spn_fact_authorizationError(napi_env env, napi_callback_info info) {
  const sp_pair_t *pair = pair_of(env, info);
  return spn_text(env, pair ? sp_pair_authorization_error(pair) : NULL);
}

napi_value spn_fact_verdict(napi_env env, napi_callback_info info) {
  const sp_pair_t *pair = pair_of(env, info);
  const sp_error_t *verdict = pair ? sp_pair_verdict(pair) : NULL;
  return spn_text(env, verdict ? verdict->text : NULL);
}

/* -- what was agreed on ------------------------------------------------------------------------ */

napi_value spn_fact_cipher(napi_env env, napi_callback_info info) {
  const sp_pair_t *pair = pair_of(env, info);
  napi_value cipher;
  if (!pair || napi_create_object(env, &cipher) != napi_ok)
    return NULL;
  const SSL_CIPHER *current = SSL_get_current_cipher(sp_pair_ssl(pair));
  spn_set(env, cipher, "name", spn_text(env, sp_pair_cipher(pair)));
  spn_set(env, cipher, "standardName", spn_text(env, sp_pair_cipher_standard_name(pair)));
  spn_set(env, cipher, "version", spn_text(env, current ? SSL_CIPHER_get_version(current) : ""));
  return cipher;
}

napi_value spn_fact_protocol(napi_env env, napi_callback_info info) {
  const sp_pair_t *pair = pair_of(env, info);
  return spn_text(env, pair ? sp_pair_version(pair) : "");
}

napi_value spn_fact_alpn(napi_env env, napi_callback_info info) {
  const sp_pair_t *pair = pair_of(env, info);
  size_t n = 0;
  const char *protocol = pair ? sp_pair_protocol(pair, &n) : NULL;
  return n ? spn_text_of(env, protocol, n) : spn_boolean(env, false);
}

napi_value spn_fact_serverName(napi_env env, napi_callback_info info) {
  const sp_pair_t *pair = pair_of(env, info);
  const char *name = pair ? sp_pair_server_name(pair) : "";
  return *name ? spn_text(env, name) : spn_boolean(env, false);
}

napi_value spn_fact_isResumed(napi_env env, napi_callback_info info) {
  const sp_pair_t *pair = pair_of(env, info);
  return spn_boolean(env, pair && sp_pair_is_resumed(pair));
}

napi_value spn_fact_sharedSigalgs(napi_env env, napi_callback_info info) {
  const sp_pair_t *pair = pair_of(env, info);
  napi_value list;
  char name[64];
  if (napi_create_array(env, &list) != napi_ok)
    return NULL;
  for (uint32_t i = 0; pair && sp_pair_shared_sigalgs(pair, i, name, sizeof name); i++)
    (void)napi_set_element(env, list, i, spn_text(env, name));
  return list;
}

napi_value spn_fact_ephemeralKey(napi_env env, napi_callback_info info) {
  const sp_pair_t *pair = pair_of(env, info);
  napi_value key;
  const char *type, *name;
  int bits;
  if (napi_create_object(env, &key) != napi_ok)
    return NULL;
  if (!pair || !sp_pair_ephemeral_key(pair, &type, &name, &bits))
    return key;
  spn_set(env, key, "type", spn_text(env, type));
  if (name)
    spn_set(env, key, "name", spn_text(env, name));
  spn_set(env, key, "size", spn_number(env, bits));
  return key;
}

/* -- certificates ------------------------------------------------------------------------------ */

static void add_certificate(napi_env env, napi_value list, X509 *x509) {
  unsigned char *der = NULL;
  uint32_t count = 0;
  int n = i2d_X509(x509, &der);
  (void)napi_get_array_length(env, list, &count);
  if (n > 0)
    (void)napi_set_element(env, list, count, spn_buffer(env, der, (size_t)n));
  OPENSSL_free(der);
}

/* What was verified, up to the root; what the peer sent where nothing was. */
napi_value spn_fact_peerCertificates(napi_env env, napi_callback_info info) {
  const sp_pair_t *pair = pair_of(env, info);
  napi_value list;
  if (napi_create_array(env, &list) != napi_ok)
    return NULL;
  STACK_OF(X509) *verified = pair ? SSL_get0_verified_chain(sp_pair_ssl(pair)) : NULL;
  for (int i = 0; verified && i < sk_X509_num(verified); i++)
    add_certificate(env, list, sk_X509_value(verified, i));
  sp_certificate_t *first;
  if (!pair || sk_X509_num(verified) > 0 || sp_pair_peer_certificate(pair, &first) < 0)
    return list;
  uint32_t i = 0;
  for (const sp_certificate_t *one = first; one; one = sp_certificate_next(one)) {
    size_t n;
    const uint8_t *der = sp_certificate_der(one, &n);
    (void)napi_set_element(env, list, i++, spn_buffer(env, der, n));
  }
  sp_certificate_release(first);
  return list;
}

/* Of several, the one that this connection was given. */
napi_value spn_fact_ownCertificate(napi_env env, napi_callback_info info) {
  const sp_pair_t *pair = pair_of(env, info);
  const X509 *x509 = pair ? SSL_get_certificate(sp_pair_ssl(pair)) : NULL;
  unsigned char *der = NULL;
  int n = x509 ? i2d_X509(x509, &der) : 0;
  if (n <= 0)
    return spn_null(env);
  napi_value buffer = spn_buffer(env, der, (size_t)n);
  OPENSSL_free(der);
  return buffer;
}

/* -- sessions and secrets ---------------------------------------------------------------------- */

napi_value spn_fact_session(napi_env env, napi_callback_info info) {
  const sp_pair_t *pair = pair_of(env, info);
  size_t n = pair ? sp_pair_session(pair, NULL, 0) : 0;
  napi_value buffer;
  void *room;
  if (!n || napi_create_buffer(env, n, &room, &buffer) != napi_ok)
    return NULL;
  return sp_pair_session(pair, room, n) == n ? buffer : NULL;
}

napi_value spn_fact_ticket(napi_env env, napi_callback_info info) {
  const sp_pair_t *pair = pair_of(env, info);
  const void *ticket;
  size_t n = pair ? sp_pair_ticket(pair, &ticket) : 0;
  return n ? spn_buffer(env, ticket, n) : NULL;
}

static napi_value finished(napi_env env, const sp_pair_t *pair, bool peers) {
  uint8_t room[EVP_MAX_MD_SIZE];
  size_t n = pair ? sp_pair_finished(pair, peers, room, sizeof room) : 0;
  return n && n <= sizeof room ? spn_buffer(env, room, n) : NULL;
}

napi_value spn_fact_finished(napi_env env, napi_callback_info info) {
  return finished(env, pair_of(env, info), false);
}

napi_value spn_fact_peerFinished(napi_env env, napi_callback_info info) {
  return finished(env, pair_of(env, info), true);
}

static napi_value export_key(napi_env env, sp_pair_t *pair, size_t size, const char *label,
                             const uint8_t *context, size_t n) {
  napi_value buffer;
  void *room;
  if (napi_create_buffer(env, size, &room, &buffer) != napi_ok)
    return NULL;
  int status = sp_pair_export_key(pair, room, size, label, context, n);
  return status < 0 ? spn_throw_status(env, status) : buffer;
}

/* exportKeyingMaterial(size, label, context) */
napi_value spn_fact_exportKeyingMaterial(napi_env env, napi_callback_info info) {
  static const uint8_t nothing[1];
  spn_call_info_t call = spn_call_info(env, info);
  sp_pair_t *pair = pair_of(env, info);
  spn_reader_t reader = {.env = env};
  const char *label = spn_read_value(&reader, call.argv[1], "label", NULL);
  const uint8_t *context = NULL;
  size_t n = 0;
  napi_value key = NULL;
  int size = spn_int_or(env, call.argv[0], 0);
  bool has_context = !spn_is_nothing(env, call.argv[2]);
  if (!label)
    return NULL;
  if (has_context && !spn_view(env, call.argv[2], &context, &n))
    (void)spn_throw_type(env, "context must be a Buffer, TypedArray or DataView");
  else if (!pair || size <= 0)
    (void)spn_throw_status(env, pair ? SP_EOPTION : UV_EBADF);
  else
    key =
        export_key(env, pair, (size_t)size, label, has_context && !context ? nothing : context, n);
  spn_reader_end(&reader);
  return key;
}

/* setMaxSendFragment(size) */
napi_value spn_fact_setMaxSendFragment(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  sp_pair_t *pair = pair_of(env, info);
  int size = spn_int_or(env, call.argv[0], 0);
  return spn_boolean(env, pair && size > 0 && sp_pair_set_max_fragment(pair, (size_t)size) == 0);
}

/* -- renegotiation ----------------------------------------------------------------------------- */

/* renegotiate() -> status */
napi_value spn_fact_renegotiate(napi_env env, napi_callback_info info) {
  sp_pair_t *pair = pair_of(env, info);
  return spn_number(env, pair ? sp_pair_renegotiate(pair) : UV_EBADF);
}

napi_value spn_fact_disableRenegotiation(napi_env env, napi_callback_info info) {
  sp_pair_t *pair = pair_of(env, info);
  if (pair)
    sp_pair_disable_renegotiation(pair);
  return NULL;
}
