/* AES-256-GCM (NIST SP 800-38D) under a key made from a ticket key's two secrets, so that each of
 * them serves one purpose only. The nonce is random: 2^32 seals a key, in 12 hours. */
#include "context/seal.h"

#include <limits.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/memory.h"

#define FORM 1
#define NAME 16
#define NONCE 12
#define TAG 16
#define HEAD (1 + NAME + NONCE)

/* The key, wiped by the caller. */
static bool derive(const sp__ticket_keys_t *keys, uint8_t key[32]) {
  static const uint8_t label[] = "securepair: sessions in a store";
  return HMAC(EVP_sha256(), keys->mac, sizeof keys->mac + sizeof keys->cipher, label, sizeof label,
              key, NULL) != NULL;
}

/* Head and place are authenticated with the bytes. */
static bool start(EVP_CIPHER_CTX *ctx, const uint8_t key[32], const uint8_t *head,
                  const uint8_t *place, int sealing) {
  int size;
  return EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, head + 1 + NAME, sealing) &&
         EVP_CipherUpdate(ctx, NULL, &size, head, HEAD) &&
         EVP_CipherUpdate(ctx, NULL, &size, place, SP__PLACE_SIZE);
}

/* `sealed` is head, bytes and tag; `clear` the bytes. */
static bool run(const sp__ticket_keys_t *keys, const uint8_t *place, uint8_t *sealed,
                uint8_t *clear, size_t n, int sealing) {
  uint8_t key[32], rest[EVP_MAX_BLOCK_LENGTH];
  int size;
  uint8_t *bytes = sealed + HEAD, *tag = bytes + n;
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  bool fine =
      ctx && n <= INT_MAX && derive(keys, key) && start(ctx, key, sealed, place, sealing) &&
      EVP_CipherUpdate(ctx, sealing ? bytes : clear, &size, sealing ? clear : bytes, (int)n) &&
      (sealing || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG, tag)) &&
      EVP_CipherFinal_ex(ctx, rest, &size) &&
      (!sealing || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG, tag));
  EVP_CIPHER_CTX_free(ctx);
  sp__wipe(key, sizeof key);
  return fine;
}

bool sp__seal(sp__ring_t *ring, const uint8_t place[SP__PLACE_SIZE], const uint8_t *in, size_t n,
              uint8_t *out) {
  sp__ticket_keys_t keys;
  sp__ring_newest(ring, &keys);
  out[0] = FORM;
  memcpy(out + 1, keys.name, NAME);
  bool fine = RAND_bytes(out + 1 + NAME, NONCE) == 1 &&
              run(&keys, place, out, (uint8_t *)(uintptr_t)in, n, 1);
  sp__wipe(&keys, sizeof keys);
  return fine;
}

bool sp__unseal(sp__ring_t *ring, const uint8_t place[SP__PLACE_SIZE], const uint8_t *in, size_t n,
                uint8_t *out) {
  sp__ticket_keys_t keys;
  if (n < SP__SEAL_EXTRA || in[0] != FORM || sp__ring_find(ring, in + 1, &keys) < 0)
    return false;
  ERR_set_mark();
  bool fine = run(&keys, place, (uint8_t *)(uintptr_t)in, out, n - SP__SEAL_EXTRA, 0);
  ERR_pop_to_mark();
  sp__wipe(&keys, sizeof keys);
  return fine;
}
