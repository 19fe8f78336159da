/* Session tickets (RFC 5077 4): AES-128-CBC and HMAC-SHA256 under keys laid out as Node has them,
 * so that servers can share them and a program of Node can keep its own. Which keys: ring.c. */
#include "context/tickets.h"

#include <stdatomic.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/error.h"
#include "base/memory.h"
#include "context/build.h"

#define OPENSSL_ROOM 80 /* the keys that an SSL_CTX has of its own */
#define DEFAULT_TIMEOUT 7200
#define LONGEST_TIMEOUT 604800 /* RFC 8446 4.6.1 */
#define WINDOW (24 * 3600L)

struct sp__tickets {
  atomic_uint references;
  sp__ring_t ring;
  EVP_CIPHER *cipher; /* fetched once, not for each ticket */
};

static sp__tickets_t *tickets_of(SSL *ssl) {
  const sp__handler_t *const *owner = SSL_get_app_data(ssl);
  return owner && (*owner)->tickets ? (*owner)->tickets(ssl) : NULL;
}

/* An SSL without a pair may outlive the context: it has the keys that OpenSSL made for itself. */
static void openssl_s_keys(SSL *ssl, sp__ticket_keys_t *keys) {
  uint8_t room[OPENSSL_ROOM];
  SSL_CTX_get_tlsext_ticket_keys(SSL_get_SSL_CTX(ssl), room, sizeof room);
  memcpy(keys, room, sizeof *keys);
  sp__wipe(room, sizeof room);
}

static void newest_keys(SSL *ssl, sp__tickets_t *tickets, sp__ticket_keys_t *keys) {
  if (tickets)
    sp__ring_newest(&tickets->ring, keys);
  else
    openssl_s_keys(ssl, keys);
}

/* As sp__ring_find. */
static int find_keys(SSL *ssl, sp__tickets_t *tickets, const uint8_t *name,
                     sp__ticket_keys_t *keys) {
  if (tickets)
    return sp__ring_find(&tickets->ring, name, keys);
  openssl_s_keys(ssl, keys);
  return memcmp(name, keys->name, sizeof keys->name) ? -1 : 0;
}

static bool start_mac(EVP_MAC_CTX *mac, const sp__ticket_keys_t *keys) {
  static char digest[] = "SHA256";
  OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                         OSSL_PARAM_construct_end()};
  return EVP_MAC_init(mac, keys->mac, sizeof keys->mac, params);
}

static int seal(const sp__ticket_keys_t *keys, const EVP_CIPHER *cipher, uint8_t *name, uint8_t *iv,
                EVP_CIPHER_CTX *ctx, EVP_MAC_CTX *mac) {
  memcpy(name, keys->name, sizeof keys->name);
  return RAND_bytes(iv, EVP_CIPHER_get_iv_length(cipher)) == 1 &&
                 EVP_EncryptInit_ex2(ctx, cipher, keys->cipher, iv, NULL) && start_mac(mac, keys)
             ? 1
             : -1;
}

/* 2 has OpenSSL make a new one: a ticket of TLS 1.3 is for one use, and one that an older key
 * sealed will not open for long. */
static int unseal(const SSL *ssl, const sp__ticket_keys_t *keys, bool old, const EVP_CIPHER *cipher,
                  const uint8_t *iv, EVP_CIPHER_CTX *ctx, EVP_MAC_CTX *mac) {
  if (!EVP_DecryptInit_ex2(ctx, cipher, keys->cipher, iv, NULL) || !start_mac(mac, keys))
    return -1;
  return old || SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *ctx,
                     EVP_MAC_CTX *mac, int sealing) {
  sp__ticket_keys_t keys;
  sp__tickets_t *tickets = tickets_of(ssl);
  const EVP_CIPHER *cipher = tickets ? tickets->cipher : EVP_aes_128_cbc();
  int found = 0, result = 0;
  if (sealing)
    newest_keys(ssl, tickets, &keys);
  else
    found = find_keys(ssl, tickets, name, &keys);
  if (sealing)
    result = seal(&keys, cipher, name, iv, ctx, mac);
  else if (found >= 0)
    result = unseal(ssl, &keys, found, cipher, iv, ctx, mac);
  sp__wipe(&keys, sizeof keys);
  return result;
}

/* -- of a context ------------------------------------------------------------------------------ */

static sp__tickets_t *tickets_new(const sp_options_t *options) {
  long rotation = options->ticket_rotation ? options->ticket_rotation : SP__RING_ROTATION;
  long window = options->ticket_window;
  if (!window)
    window = rotation > 0 ? rotation * (WINDOW / SP__RING_ROTATION) : WINDOW;
  sp__tickets_t *tickets = sp__zalloc(sizeof *tickets);
  if (!tickets)
    return NULL;
  atomic_init(&tickets->references, 1);
  tickets->cipher = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
  if (tickets->cipher &&
      sp__ring_init(&tickets->ring, options->ticket_keys, 1, rotation, window) == 0)
    return tickets;
  sp__tickets_release(tickets);
  return NULL;
}

int sp__tickets_load(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  int timeout = options->session_timeout ? options->session_timeout : DEFAULT_TIMEOUT;
  SSL_CTX_set_timeout(context->ssl_ctx, timeout < LONGEST_TIMEOUT ? timeout : LONGEST_TIMEOUT);
  context->tickets = tickets_new(options);
  if (!context->tickets || !SSL_CTX_set_tlsext_ticket_key_evp_cb(context->ssl_ctx, on_ticket))
    return ERR_peek_error()
               ? sp__fail_crypto(why, SP_ECRYPTO, "the keys of session tickets cannot be made")
               : sp__fail_memory(why);
  return 0;
}

void sp__tickets_release(sp__tickets_t *tickets) {
  if (!tickets || atomic_fetch_sub_explicit(&tickets->references, 1, memory_order_acq_rel) != 1)
    return;
  sp__ring_destroy(&tickets->ring);
  EVP_CIPHER_free(tickets->cipher);
  sp__free(tickets);
}

void sp__context_share_tickets(sp_context_t *to, const sp_context_t *from) {
  atomic_fetch_add_explicit(&from->tickets->references, 1, memory_order_relaxed);
  sp__tickets_release(to->tickets);
  to->tickets = from->tickets;
}

sp__ring_t *sp__tickets_ring(sp__tickets_t *tickets) { return &tickets->ring; }

int sp_context_ticket_keys(const sp_context_t *context, void *room48) {
  sp__ticket_keys_t keys;
  sp__ring_newest(&context->tickets->ring, &keys);
  memcpy(room48, &keys, sizeof keys);
  sp__wipe(&keys, sizeof keys);
  return 0;
}

int sp_context_set_ticket_keys(sp_context_t *context, const void *keys, size_t n) {
  return n == SP__TICKET_KEYS_SIZE ? sp_context_set_ticket_ring(context, keys, n) : SP_EOPTION;
}

int sp_context_rotate_ticket_keys(sp_context_t *context) {
  return sp__ring_rotate(&context->tickets->ring);
}

size_t sp_context_ticket_ring(const sp_context_t *context, void *room, size_t size) {
  return sp__ring_get(&context->tickets->ring, room, room ? size : 0);
}

int sp_context_set_ticket_ring(sp_context_t *context, const void *keys, size_t n) {
  size_t count = n / SP__TICKET_KEYS_SIZE;
  if (!keys || !count || count > SP__RING_MOST || n % SP__TICKET_KEYS_SIZE)
    return SP_EOPTION;
  return sp__ring_set(&context->tickets->ring, keys, count);
}
