/* What is known of a connection. */
#include <string.h>

#include "base/error.h"
#include "pair/pair.h"

const sp_error_t *sp_pair_error(const sp_pair_t *pair) {
  return pair->error ? pair->error : &sp__no_error;
}

const char *sp_pair_cipher(const sp_pair_t *pair) {
  const SSL_CIPHER *cipher = SSL_get_current_cipher(pair->ssl);
  return cipher ? SSL_CIPHER_get_name(cipher) : "";
}

int sp_pair_cipher_bits(const sp_pair_t *pair) {
  const SSL_CIPHER *cipher = SSL_get_current_cipher(pair->ssl);
  return cipher ? SSL_CIPHER_get_bits(cipher, NULL) : 0;
}

const char *sp_pair_version(const sp_pair_t *pair) {
  return pair->secure ? SSL_get_version(pair->ssl) : "";
}

const char *sp_pair_group(const sp_pair_t *pair) {
  long group = pair->secure ? SSL_get_negotiated_group(pair->ssl) : 0;
  const char *name = group > 0 ? SSL_group_to_name(pair->ssl, (int)group) : NULL;
  return name ? name : "";
}

const char *sp_pair_server_name(const sp_pair_t *pair) {
  const char *name = SSL_get_servername(pair->ssl, TLSEXT_NAMETYPE_host_name);
  return name ? name : "";
}

const char *sp_pair_protocol(const sp_pair_t *pair, size_t *n) {
  bool known = pair->secure && pair->protocol;
  if (n)
    *n = known ? pair->protocol_size : 0;
  return known ? pair->protocol : "";
}

bool sp_pair_is_resumed(const sp_pair_t *pair) {
  return pair->secure && SSL_session_reused(pair->ssl);
}

uint64_t sp_pair_bytes_in(const sp_pair_t *pair) { return pair->bytes_in; }
uint64_t sp_pair_bytes_out(const sp_pair_t *pair) { return pair->bytes_out; }

int sp_pair_export_key(sp_pair_t *pair, void *out, size_t n, const char *label, const void *context,
                       size_t context_size) {
  if (!pair->secure)
    return SP_EOPTION;
  int status = sp__pair_enter(pair);
  if (status < 0)
    return status;
  static const unsigned char nothing;
  if (SSL_export_keying_material(pair->ssl, out, n, label, strlen(label),
                                 context ? context : &nothing, context_size, context != NULL) != 1)
    status = SP_ECRYPTO;
  return sp__pair_leave(pair, status);
}
