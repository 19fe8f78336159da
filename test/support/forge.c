#include "forge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>

#include "contexts.h"
#include "pki.h"

/* What a side encrypts with. */
typedef struct keys {
  uint8_t secret[48]; /* of TLS 1.3; or the master secret */
  uint8_t key[16], iv[12];
  uint64_t sequence;
} keys_t;

static keys_t keys[2]; /* by role */

static void read_secret(keys_t *to, const char *line) {
  const char *hex = strrchr(line, ' ') + 1;
  size_t n = strlen(hex) / 2;
  assert_in_range(n, 32, sizeof to->secret);
  for (size_t i = 0; i < n; i++)
    assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &to->secret[i]), 1);
}

void forge_note_key(sp_pair_t *pair, const char *line, void *data) {
  (void)pair, (void)data;
  if (!strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24))
    read_secret(&keys[SP_CLIENT], line);
  else if (!strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24))
    read_secret(&keys[SP_SERVER], line);
  else if (!strncmp(line, "CLIENT_RANDOM ", 14)) {
    read_secret(&keys[SP_CLIENT], line);
    read_secret(&keys[SP_SERVER], line);
  }
}

static void derive(const char *kdf_name, const OSSL_PARAM *params, uint8_t *out, size_t n) {
  EVP_KDF *kdf = EVP_KDF_fetch(NULL, kdf_name, NULL);
  EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
  assert_int_equal(EVP_KDF_derive(ctx, out, n, params), 1);
  EVP_KDF_CTX_free(ctx);
  EVP_KDF_free(kdf);
}

#define TEXT(name, text) OSSL_PARAM_construct_utf8_string(name, (char *)(text), 0)
#define OCTETS(name, bytes, n) OSSL_PARAM_construct_octet_string(name, (void *)(bytes), n)

/* HKDF-Expand-Label of RFC 8446 7.1 without context. */
static void expand(const keys_t *from, const char *label, uint8_t *out, size_t n) {
  uint8_t info[40] = {0, (uint8_t)n, (uint8_t)(6 + strlen(label))};
  int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
  memcpy(info + 3, "tls13 ", 6);
  memcpy(info + 9, label, strlen(label));
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode), TEXT(OSSL_KDF_PARAM_DIGEST, "SHA256"),
      OCTETS(OSSL_KDF_PARAM_KEY, from->secret, 32),
      OCTETS(OSSL_KDF_PARAM_INFO, info, 10 + strlen(label)), OSSL_PARAM_construct_end()};
  derive("HKDF", params, out, n);
}

/* The key block of RFC 5246 6.3: both keys, then both salts. */
void forge_anew(couple_t *couple) {
  uint8_t seed[13 + 64] = "key expansion", block[40];
  SSL *ssl = sp_pair_ssl(couple->client.pair);
  SSL_get_server_random(ssl, seed + 13, 32);
  SSL_get_client_random(ssl, seed + 45, 32);
  const OSSL_PARAM params[] = {
      TEXT(OSSL_KDF_PARAM_DIGEST, "SHA256"), OCTETS(OSSL_KDF_PARAM_SECRET, keys[0].secret, 48),
      OCTETS(OSSL_KDF_PARAM_SEED, seed, sizeof seed), OSSL_PARAM_construct_end()};
  derive("TLS1-PRF", params, block, sizeof block);
  for (size_t i = 0; i < 2; i++) {
    memcpy(keys[i].key, block + 16 * i, 16);
    memcpy(keys[i].iv, block + 32 + 4 * i, 4);
    keys[i].sequence = 1; /* after Finished */
  }
}

void forge_couple(couple_t *couple, sp_protocol_t version) {
  const pki_set_t *pki = pki_default();
  memset(keys, 0, sizeof keys);
  couple_make_with(couple,
                   SP_OPTIONS(.ca = SP_LIST(pki->root->cert_pem), FORGE_SUITES(version),
                              .hooks.keylog = forge_note_key),
                   SP_OPTIONS(.key = pki->server->key_pem, .cert = pki->server->cert_pem,
                              FORGE_SUITES(version)));
  couple_shake_hands(couple);
  if (version == SP_TLS1_2) {
    forge_anew(couple);
    return;
  }
  for (size_t i = 0; i < 2; i++) {
    expand(&keys[i], "key", keys[i].key, sizeof keys[i].key);
    expand(&keys[i], "iv", keys[i].iv, sizeof keys[i].iv);
  }
}

static void put_number(uint8_t *to, uint64_t number) {
  for (int i = 7; i >= 0; i--, number >>= 8)
    to[i] = (uint8_t)number;
}

static void encrypt(const keys_t *with, const uint8_t *nonce, const uint8_t *aad, int aad_size,
                    const uint8_t *plain, size_t n, uint8_t *out) {
  int done;
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  assert_true(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, with->key, nonce) == 1 &&
              EVP_EncryptUpdate(ctx, NULL, &done, aad, aad_size) == 1 &&
              EVP_EncryptUpdate(ctx, out, &done, plain, (int)n) == 1 &&
              EVP_EncryptFinal_ex(ctx, out + n, &done) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, out + n) == 1);
  EVP_CIPHER_CTX_free(ctx);
}

static size_t seal_1_2(const keys_t *with, uint8_t type, const uint8_t *bytes, size_t n,
                       uint8_t *out) {
  uint8_t nonce[12], aad[13];
  put_number(aad, with->sequence);
  memcpy(aad + 8, (uint8_t[]){type, 3, 3, (uint8_t)(n >> 8), (uint8_t)n}, 5);
  memcpy(nonce, with->iv, 4);
  put_number(nonce + 4, with->sequence);
  memcpy(out, (uint8_t[]){type, 3, 3, (uint8_t)((n + 24) >> 8), (uint8_t)(n + 24)}, 5);
  memcpy(out + 5, nonce + 4, 8);
  encrypt(with, nonce, aad, sizeof aad, bytes, n, out + 13);
  return 13 + n + 16;
}

static size_t seal_1_3(const keys_t *with, uint8_t type, const uint8_t *bytes, size_t n,
                       uint8_t *out) {
  uint8_t nonce[12], number[8], inner[300] = {0};
  assert_true(n < sizeof inner);
  if (n)
    memcpy(inner, bytes, n);
  inner[n] = type;
  put_number(number, with->sequence);
  memcpy(nonce, with->iv, sizeof nonce);
  for (int i = 0; i < 8; i++)
    nonce[4 + i] ^= number[i];
  memcpy(out, (uint8_t[]){23, 3, 3, (uint8_t)((n + 17) >> 8), (uint8_t)(n + 17)}, 5);
  encrypt(with, nonce, out, 5, inner, n + 1, out + 5);
  return 5 + n + 17;
}

void forge_record(couple_t *couple, sp_role_t from, uint8_t type, const void *bytes, size_t n) {
  uint8_t out[400];
  bool old = SSL_version(sp_pair_ssl(couple->client.pair)) == TLS1_2_VERSION;
  assert_true(n < 300);
  size_t size = (old ? seal_1_2 : seal_1_3)(&keys[from], type, bytes, n, out);
  keys[from].sequence++;
  wire_add(from == SP_CLIENT ? &couple->server.in : &couple->client.in, out, size);
}
