/* Session tickets (RFC 5077 4): AES-128-CBC and HMAC-SHA256 under keys laid out as Node has them,
 * so that servers can share them and a program of Node can keep its own. */
#include "context/tickets.h"

#include <pthread.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/error.h"
#include "base/memory.h"
#include "context/build.h"

#define NAME_SIZE 16
#define SECRET_SIZE 16
#define OPENSSL_ROOM 80 /* the keys that an SSL_CTX has of its own */
#define DEFAULT_TIMEOUT 7200
#define LONGEST_TIMEOUT 604800 /* RFC 8446 4.6.1 */

typedef struct keys {
  uint8_t name[NAME_SIZE], mac[SECRET_SIZE], cipher[SECRET_SIZE];
} keys_t;

_Static_assert(sizeof(keys_t) == SP__TICKET_KEYS_SIZE, "Node's layout");

struct sp__tickets {
  pthread_mutex_t lock; /* of the keys */
  keys_t keys;
  EVP_CIPHER *cipher; /* fetched once, not for each ticket */
};

static void copy_keys(sp__tickets_t *tickets, keys_t *keys) {
  pthread_mutex_lock(&tickets->lock);
  *keys = tickets->keys;
  pthread_mutex_unlock(&tickets->lock);
}

static sp__tickets_t *tickets_of(SSL *ssl) {
  const sp__handler_t *const *owner = SSL_get_app_data(ssl);
  return owner && (*owner)->tickets ? (*owner)->tickets(ssl) : NULL;
}

/* An SSL without a pair may outlive the context: it has the keys that OpenSSL made for itself. */
static void find_keys(SSL *ssl, sp__tickets_t *tickets, keys_t *keys) {
  uint8_t room[OPENSSL_ROOM];
  if (tickets) {
    copy_keys(tickets, keys);
    return;
  }
  SSL_CTX_get_tlsext_ticket_keys(SSL_get_SSL_CTX(ssl), room, sizeof room);
  memcpy(keys, room, sizeof *keys);
  sp__wipe(room, sizeof room);
}

static bool start_mac(EVP_MAC_CTX *mac, const keys_t *keys) {
  static char digest[] = "SHA256";
  OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                         OSSL_PARAM_construct_end()};
  return EVP_MAC_init(mac, keys->mac, sizeof keys->mac, params);
}

static int seal(const keys_t *keys, const EVP_CIPHER *cipher, uint8_t *name, uint8_t *iv,
                EVP_CIPHER_CTX *ctx, EVP_MAC_CTX *mac) {
  memcpy(name, keys->name, sizeof keys->name);
  return RAND_bytes(iv, EVP_CIPHER_get_iv_length(cipher)) == 1 &&
                 EVP_EncryptInit_ex2(ctx, cipher, keys->cipher, iv, NULL) && start_mac(mac, keys)
             ? 1
             : -1;
}

/* A ticket of TLS 1.3 is for one use: 2 has OpenSSL make a new one. */
static int unseal(const SSL *ssl, const keys_t *keys, const EVP_CIPHER *cipher, const uint8_t *name,
                  const uint8_t *iv, EVP_CIPHER_CTX *ctx, EVP_MAC_CTX *mac) {
  if (memcmp(name, keys->name, sizeof keys->name) != 0)
    return 0;
  if (!EVP_DecryptInit_ex2(ctx, cipher, keys->cipher, iv, NULL) || !start_mac(mac, keys))
    return -1;
  return SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *ctx,
                     EVP_MAC_CTX *mac, int sealing) {
  keys_t keys;
  sp__tickets_t *tickets = tickets_of(ssl);
  const EVP_CIPHER *cipher = tickets ? tickets->cipher : EVP_aes_128_cbc();
  find_keys(ssl, tickets, &keys);
  int result = sealing ? seal(&keys, cipher, name, iv, ctx, mac)
                       : unseal(ssl, &keys, cipher, name, iv, ctx, mac);
  sp__wipe(&keys, sizeof keys);
  return result;
}

/* -- of a context ------------------------------------------------------------------------------ */

static bool make_keys(sp__tickets_t *tickets, const sp_options_t *options) {
  if (!options->ticket_keys)
    return RAND_priv_bytes((uint8_t *)&tickets->keys, sizeof tickets->keys) == 1;
  memcpy(&tickets->keys, options->ticket_keys, sizeof tickets->keys);
  return true;
}

int sp__tickets_load(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  int timeout = options->session_timeout ? options->session_timeout : DEFAULT_TIMEOUT;
  SSL_CTX_set_timeout(context->ssl_ctx, timeout < LONGEST_TIMEOUT ? timeout : LONGEST_TIMEOUT);
  sp__tickets_t *tickets = sp__zalloc(sizeof *tickets);
  if (!tickets || pthread_mutex_init(&tickets->lock, NULL)) {
    sp__free(tickets);
    return sp__fail_memory(why);
  }
  context->tickets = tickets;
  tickets->cipher = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
  if (!tickets->cipher || !make_keys(tickets, options) ||
      !SSL_CTX_set_tlsext_ticket_key_evp_cb(context->ssl_ctx, on_ticket))
    return sp__fail_crypto(why, SP_ECRYPTO, "the keys of session tickets cannot be made");
  return 0;
}

void sp__tickets_free(sp__tickets_t *tickets) {
  if (!tickets)
    return;
  pthread_mutex_destroy(&tickets->lock);
  EVP_CIPHER_free(tickets->cipher);
  sp__wipe(&tickets->keys, sizeof tickets->keys);
  sp__free(tickets);
}

int sp_context_ticket_keys(const sp_context_t *context, void *room48) {
  keys_t keys;
  copy_keys(context->tickets, &keys);
  memcpy(room48, &keys, sizeof keys);
  sp__wipe(&keys, sizeof keys);
  return 0;
}

int sp_context_set_ticket_keys(sp_context_t *context, const void *keys, size_t n) {
  if (!keys || n != SP__TICKET_KEYS_SIZE)
    return SP_EOPTION;
  pthread_mutex_lock(&context->tickets->lock);
  memcpy(&context->tickets->keys, keys, n);
  pthread_mutex_unlock(&context->tickets->lock);
  return 0;
}
