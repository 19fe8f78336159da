/*
 * Which name a session was made for (RFC 6066 3: it is not resumed under another one). OpenSSL
 * does not look at that: so a digest of the name lies in the ticket, and in what names a session in
 * a store.
 */
#include <time.h>

#include <openssl/evp.h>

#include "pair/lookup.h"

static EVP_MD *sha256;
static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;

/* Once for the process, as bio.c's method: fetching costs more than the digest. */
static void fetch(void) { sha256 = EVP_MD_fetch(NULL, "SHA256", NULL); }

static bool digest(const uint8_t *name, size_t n, uint8_t room[SP__NAME_DIGEST]) {
  uint8_t text[256], whole[EVP_MAX_MD_SIZE];
  if (n > sizeof text)
    n = 0; /* no host name, which counts as none */
  if (n && name[n - 1] == '.')
    n--;
  for (size_t i = 0; i < n; i++)
    text[i] = name[i] >= 'A' && name[i] <= 'Z' ? (uint8_t)(name[i] + 32) : name[i];
  bool is_there = CRYPTO_THREAD_run_once(&once, fetch) && sha256; /* no memory then, not for ever */
  bool fine = EVP_Digest(text, n, whole, NULL, is_there ? sha256 : EVP_sha256(), NULL);
  memcpy(room, whole, fine ? SP__NAME_DIGEST : 0);
  return fine;
}

bool sp__pair_asked_name(SSL *ssl, uint8_t room[SP__NAME_DIGEST]) {
  const uint8_t *name;
  size_t n;
  return sp__hello_name(ssl, &name, &n) == 0 && digest(name, n, room);
}

bool sp__pair_served_name(const SSL *ssl, uint8_t room[SP__NAME_DIGEST]) {
  const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  return digest((const uint8_t *)name, name ? strlen(name) : 0, room);
}

bool sp__pair_is_served(const SSL *ssl, const uint8_t *name, size_t n) {
  uint8_t served[SP__NAME_DIGEST], asked[SP__NAME_DIGEST];
  return sp__pair_served_name(ssl, served) && digest(name, n, asked) &&
         !memcmp(served, asked, sizeof served);
}

/* What lies in a ticket, and in a session in a store. The letter tells it from what psk.c puts
 * there, whatever the digest is; `made` is when the full handshake was, in Unix time, first byte
 * last. A key's session has that, too, behind the identity. */
#define MADE 8
typedef struct label {
  uint8_t letter, name[SP__NAME_DIGEST], made[MADE];
} label_t;

#define LETTER 'n'

static void note_time(uint8_t made[MADE]) {
  uint64_t now = (uint64_t)time(NULL);
  for (size_t i = 0; i < MADE; i++)
    made[i] = (uint8_t)(now >> 8 * i);
}

/* NULL: none that we put there. */
static const label_t *label_of(SSL_SESSION *session) {
  void *own;
  size_t n;
  bool is_there = SSL_SESSION_get0_ticket_appdata(session, &own, &n) && n == sizeof(label_t);
  const label_t *label = is_there ? own : NULL;
  return label && label->letter == LETTER ? label : NULL;
}

/* NULL: it does not say. */
static const uint8_t *made_of(SSL_SESSION *session) {
  const label_t *label = label_of(session);
  void *own;
  size_t n, head;
  if (label)
    return label->made;
  if (!SSL_SESSION_get0_ticket_appdata(session, &own, &n) || !(head = sp__pair_key_label(own, n)))
    return NULL;
  return n == head + MADE ? (const uint8_t *)own + head : NULL;
}

static void label_by_name(SSL *ssl, SSL_SESSION *session) {
  label_t label = {.letter = LETTER};
  note_time(label.made);
  if (sp__pair_served_name(ssl, label.name))
    (void)SSL_SESSION_set1_ticket_appdata(session, &label, sizeof label);
}

static void label_by_key(SSL_SESSION *session, const void *own, size_t n) {
  uint8_t label[SP__KEY_LABEL_MAX + MADE];
  if (n > SP__KEY_LABEL_MAX)
    return;
  memcpy(label, own, n);
  note_time(label + n);
  (void)SSL_SESSION_set1_ticket_appdata(session, label, n + MADE);
}

/* What was resumed, or has had a ticket already, says when its full handshake was. What does not,
 * as one that a server of Node's made, counts from now. */
int sp__pair_ticket_made(SSL *ssl) {
  SSL_SESSION *session = SSL_get0_session(ssl);
  void *own = NULL;
  size_t n = 0;
  if (made_of(session))
    return 1;
  (void)SSL_SESSION_get0_ticket_appdata(session, &own, &n);
  size_t head = own ? sp__pair_key_label(own, n) : 0;
  if (head)
    label_by_key(session, own, head);
  else
    label_by_name(ssl, session);
  return 1;
}

#define SKEW 300 /* seconds between the clocks of servers that share their keys */

/* In TLS 1.3 each ticket lives as long as the first one, from when it is made on: they could go on
 * for ever without anybody who proves anything anew (RFC 8446 4.6.1). One of the future was made
 * before the clock was set back, nobody knows when. */
bool sp__pair_is_old(SSL_SESSION *session) {
  const uint8_t *at = made_of(session);
  uint64_t made = 0, now = (uint64_t)time(NULL);
  for (size_t i = MADE; at && i; i--)
    made = made << 8 | at[i - 1];
  return at && (made > now ? made - now > SKEW : now - made >= SP__OLDEST);
}

/* A ticket that does not say, from a server of Node's with the same keys, is taken as Node takes
 * it. Nor is a session that a key known before made bound to a name: it is the key's. */
static bool fits_name(SSL *ssl, SSL_SESSION *session) {
  uint8_t name[SP__NAME_DIGEST];
  void *own;
  size_t n;
  if (!SSL_SESSION_get0_ticket_appdata(session, &own, &n) || !n || sp__pair_key_label(own, n))
    return true;
  const label_t *label = label_of(session);
  return label && sp__pair_asked_name(ssl, name) && !memcmp(label->name, name, sizeof name);
}

bool sp__pair_ticket_fits(SSL *ssl, SSL_SESSION *session) {
  return sp__pair_is_still_good(SSL_get_app_data(ssl), session) && fits_name(ssl, session);
}
