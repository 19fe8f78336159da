/* What is known of a connection. */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/objects.h>

#include "base/error.h"
#include "pair/pair.h"

const sp_error_t *sp_pair_error(const sp_pair_t *pair) {
  return !sp__pair_is_away(pair) && pair->error ? pair->error : &sp__no_error;
}

static const SSL_CIPHER *cipher_of(const sp_pair_t *pair) {
  return sp__pair_is_away(pair) ? NULL : SSL_get_current_cipher(pair->ssl);
}

const char *sp_pair_cipher(const sp_pair_t *pair) {
  const SSL_CIPHER *cipher = cipher_of(pair);
  return cipher ? SSL_CIPHER_get_name(cipher) : "";
}

const char *sp_pair_cipher_standard_name(const sp_pair_t *pair) {
  const SSL_CIPHER *cipher = cipher_of(pair);
  const char *name = cipher ? SSL_CIPHER_standard_name(cipher) : NULL;
  return name ? name : "";
}

int sp_pair_cipher_bits(const sp_pair_t *pair) {
  const SSL_CIPHER *cipher = cipher_of(pair);
  return cipher ? SSL_CIPHER_get_bits(cipher, NULL) : 0;
}

const char *sp_pair_version(const sp_pair_t *pair) {
  return sp__pair_is_secure(pair) ? SSL_get_version(pair->ssl) : "";
}

const char *sp_pair_group(const sp_pair_t *pair) {
  long group = sp__pair_is_secure(pair) ? SSL_get_negotiated_group(pair->ssl) : 0;
  const char *name = group > 0 ? SSL_group_to_name(pair->ssl, (int)group) : NULL;
  return name ? name : "";
}

const char *sp_pair_server_name(const sp_pair_t *pair) {
  bool away = sp__pair_is_away(pair);
  const char *name = away ? NULL : SSL_get_servername(pair->ssl, TLSEXT_NAMETYPE_host_name);
  return name ? name : "";
}

const char *sp_pair_protocol(const sp_pair_t *pair, size_t *n) {
  bool known = sp__pair_is_secure(pair) && pair->protocol;
  if (n)
    *n = known ? pair->protocol_size : 0;
  return known ? pair->protocol : "";
}

bool sp_pair_is_resumed(const sp_pair_t *pair) {
  return sp__pair_is_secure(pair) && SSL_session_reused(pair->ssl);
}

uint64_t sp_pair_bytes_in(const sp_pair_t *pair) {
  return sp__pair_is_away(pair) ? pair->apart->bytes_in : pair->bytes_in;
}
uint64_t sp_pair_bytes_out(const sp_pair_t *pair) {
  return sp__pair_is_away(pair) ? pair->apart->bytes_out : pair->bytes_out;
}

int sp_pair_export_key(sp_pair_t *pair, void *out, size_t n, const char *label, const void *context,
                       size_t context_size) {
  if (!sp__pair_is_secure(pair))
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

size_t sp_pair_finished(const sp_pair_t *pair, bool peers, void *room, size_t size) {
  if (sp__pair_is_away(pair))
    return 0;
  return peers ? SSL_get_peer_finished(pair->ssl, room, size)
               : SSL_get_finished(pair->ssl, room, size);
}

size_t sp_pair_ticket(const sp_pair_t *pair, const void **bytes) {
  const SSL_SESSION *session = sp__pair_is_away(pair) ? NULL : SSL_get0_session(pair->ssl);
  const unsigned char *ticket = NULL;
  size_t n = 0;
  if (session && pair->role == SP_CLIENT)
    SSL_SESSION_get0_ticket(session, &ticket, &n);
  *bytes = ticket;
  return n;
}

int sp_pair_set_max_fragment(sp_pair_t *pair, size_t n) {
  if (sp__pair_is_away(pair) || n < 512 || n > SSL3_RT_MAX_PLAIN_LENGTH)
    return SP_EOPTION;
  return SSL_set_max_send_fragment(pair->ssl, (long)n) ? 0 : SP_EOPTION;
}

/* -- signature algorithms and keys, in Node's words -------------------------------------------- */

static const char *signature_name(int nid) {
  switch (nid) {
  case EVP_PKEY_RSA:
    return "RSA";
  case EVP_PKEY_RSA_PSS:
    return "RSA-PSS";
  case EVP_PKEY_EC:
    return "ECDSA";
  case EVP_PKEY_ED25519:
    return "Ed25519";
  case EVP_PKEY_ED448:
    return "Ed448";
  default:
    return OBJ_nid2sn(nid);
  }
}

size_t sp_pair_shared_sigalgs(const sp_pair_t *pair, size_t index, char *room, size_t size) {
  int signature, hash;
  bool away = sp__pair_is_away(pair);
  int count = away ? 0 : SSL_get_shared_sigalgs(pair->ssl, 0, NULL, NULL, NULL, NULL, NULL);
  if (count < 0 || index >= (size_t)count ||
      !SSL_get_shared_sigalgs(pair->ssl, (int)index, &signature, &hash, NULL, NULL, NULL))
    return 0;
  const char *name = signature_name(signature), *hash_name = OBJ_nid2sn(hash);
  int n = snprintf(room, size, "%s+%s", name ? name : "UNDEF", hash_name ? hash_name : "UNDEF");
  return n > 0 ? (size_t)n : 0;
}

/* The constant text of an elliptic curve's name. */
static const char *curve_name(const EVP_PKEY *key) {
  char name[64];
  int id = EVP_PKEY_get_id(key);
  if (id != EVP_PKEY_EC)
    return OBJ_nid2sn(id);
  size_t n;
  return EVP_PKEY_get_group_name(key, name, sizeof name, &n) ? OBJ_nid2sn(OBJ_txt2nid(name)) : NULL;
}

static bool describe_key(const EVP_PKEY *key, const char **type, const char **name, int *bits) {
  *bits = EVP_PKEY_get_bits(key);
  switch (EVP_PKEY_get_id(key)) {
  case EVP_PKEY_DH:
    *type = "DH";
    *name = NULL;
    return true;
  case EVP_PKEY_EC:
  case EVP_PKEY_X25519:
  case EVP_PKEY_X448:
    *type = "ECDH";
    *name = curve_name(key);
    return true;
  default:
    return false;
  }
}

bool sp_pair_ephemeral_key(const sp_pair_t *pair, const char **type, const char **name, int *bits) {
  EVP_PKEY *key = NULL;
  if (sp__pair_is_away(pair) || pair->role != SP_CLIENT || !SSL_get_peer_tmp_key(pair->ssl, &key))
    return false;
  bool known = describe_key(key, type, name, bits);
  EVP_PKEY_free(key);
  return known;
}
