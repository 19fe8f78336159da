/* The inside of a pair. */
#ifndef SP_PAIR_PAIR_H
#define SP_PAIR_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include <securepair/pair.h>

#include "context/context.h"

/* Encrypted bytes that the transport did not take. */
typedef struct sp__block {
  struct sp__block *next;
  size_t start, end, size;
  uint8_t bytes[];
} sp__block_t;

/* Which hook a pair waits for. */
typedef enum sp__wait { SP__WAIT_NONE, SP__WAIT_HELLO, SP__WAIT_SIGN } sp__wait_t;

/* What a server's hooks are asked, in this order; each may be waited for. */
typedef enum sp__stage { SP__ASK_HELLO, SP__ASK_NAME, SP__ASK_ALPN, SP__ASKED } sp__stage_t;

typedef struct sp__pair_hooks {
  sp_hooks_t hooks;
  void *data;
} sp__pair_hooks_t;

struct sp_pair {
  const sp__handler_t *handler; /* first: OpenSSL's callbacks find it by SSL_get_app_data */
  SSL *ssl;
  sp_context_t *context;
  char *server_name;       /* client: what the certificate has to name; NULL: nothing asked */
  sp_error_t *error;       /* sticky */
  sp_error_t *verdict;     /* why the peer is not authorized */
  sp__pair_hooks_t *hooks; /* own ones in place of the context's */
  char *protocol;          /* the ALPN protocol; while the hooks run, their choice */
  size_t protocol_size;

  /* encrypted in: the caller's, borrowed */
  const uint8_t *in;
  size_t in_left;
  uint8_t first[8]; /* the first bytes that came, to tell what speaks there if it is not TLS */

  /* encrypted out: blocks first, then the lent memory */
  sp__block_t *blocks, *last;
  uint8_t *lent;
  size_t lent_size, lent_start, lent_end;
  size_t ahead; /* bytes in all of these */
  size_t retry; /* OpenSSL wants to be given at least as much again */

  uint64_t bytes_in, bytes_out;
  const uint8_t *message; /* to be signed, until the hook was asked */
  uint8_t *signature;
  size_t message_size, signature_size;
  void *data;

  /* the stream layer's */
  void *owner;
  void (*wake)(void *owner);                              /* a hook was answered */
  sp_context_t *(*lookup)(void *owner, const char *name); /* the server's table of names */

  long verify;
  int alert;  /* fatal alert that was sent; -1: none */
  int refuse; /* alert for a hook that fails; -1: the usual one */
  int answer; /* status that a hook answered or was resumed with */
  sp_role_t role;
  uint16_t scheme; /* to sign under */
  uint8_t waiting, stage;
  bool secure, check_name, peer_ended, truncated, transport_ended;
  bool read_blocked;  /* what reading has to answer, a key update, waits for room */
  bool ending, ended; /* sp_pair_end was called; its close_notify is out as a whole */
  bool busy, doomed, blocked, swapped, in_hook, again;
};

/* port.c: one step of the handshake. Returns 0 or the sticky error. */
int sp__pair_drive(sp_pair_t *pair);

/* How much cleartext the room that is left would hold as one record. */
size_t sp__pair_record_room(const sp_pair_t *pair);

/* pair.c: every call of the engine stands between these; enter answers SP_EREENTRY from a hook,
 * or the sticky error; leave passes `status` on and frees a pair that was released meanwhile. */
int sp__pair_enter(sp_pair_t *pair);
int sp__pair_leave(sp_pair_t *pair, int status);

/* bio.c */
BIO *sp__pair_bio(sp_pair_t *pair);

/* out.c: room for encrypted bytes, and putting them there. */
size_t sp__pair_room(const sp_pair_t *pair);
size_t sp__pair_put(sp_pair_t *pair, const void *bytes, size_t n); /* how many; 0: no room */
void sp__pair_drop_blocks(sp_pair_t *pair);

/* fault.c: makes an error sticky. */
int sp__pair_fail(sp_pair_t *pair, int status, sp_party_t who, const char *text);
int sp__pair_fail_engine(sp_pair_t *pair); /* from OpenSSL's error queue */
int sp__pair_fail_early(sp_pair_t *pair);  /* the transport ended during the handshake */

/* verdict.c */
int sp__pair_verify(SSL *ssl, X509_STORE_CTX *store);
int sp__pair_settle(sp_pair_t *pair);            /* once secure */
void sp__pair_miss_certificate(sp_pair_t *pair); /* one was asked for, and none came */

/* hello.c */
int sp__pair_hello(SSL *ssl, int *alert);
int sp__pair_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                  const unsigned char *in, unsigned in_size);

/* sign.c */
int sp__pair_sign(void *pair, uint16_t scheme, const uint8_t *message, size_t n, uint8_t *signature,
                  size_t *size);
bool sp__pair_answer_signer(sp_pair_t *pair); /* true: the engine goes on */

/* The hooks in force and their data. */
static inline const sp_hooks_t *sp__pair_hooks(const sp_pair_t *pair, void **data) {
  *data = pair->hooks ? pair->hooks->data : pair->context->hooks_data;
  return pair->hooks ? &pair->hooks->hooks : &pair->context->hooks;
}

#endif
