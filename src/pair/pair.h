/* The inside of a pair. */
#ifndef SP_PAIR_PAIR_H
#define SP_PAIR_PAIR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

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
typedef enum sp__wait {
  SP__WAIT_NONE,
  SP__WAIT_HELLO,
  SP__WAIT_STAPLE,
  SP__WAIT_SIGN,
  SP__WAIT_KEY
} sp__wait_t;

/* What a server's hooks are asked, in this order; each may be waited for. */
typedef enum sp__stage {
  SP__ASK_HELLO,
  SP__ASK_NAME,
  SP__ASK_ALPN,
  SP__ASK_SESSION,
  SP__ASKED
} sp__stage_t;

/* Whether the hook for OCSP is due. */
typedef enum sp__staple { SP__STAPLE_NONE, SP__STAPLE_DUE, SP__STAPLE_ASKED } sp__staple_t;

/* Something to be done for the engine outside of it. */
typedef void (*sp__errand_t)(sp_pair_t *pair, void *what);

/* While a handshake is on another thread, see apart.c. */
typedef struct sp__apart {
  struct sp__later *first, *last; /* for hooks that are only told */
  uint64_t bytes_in, bytes_out;   /* when it left */
  bool away;                      /* nobody but that thread may touch the pair's inside */
  bool asks;                      /* the engine stopped because somebody has to be asked */
  bool forbids_renegotiation;     /* the program does, meanwhile */
} sp__apart_t;

typedef struct sp__pair_hooks {
  sp_hooks_t hooks;
  void *data;
} sp__pair_hooks_t;

/* What happened inside of the engine and is looked at when it returns. */
enum {
  SP__NEWS_FLOOD = 1,
  SP__NEWS_ATTACK = 2,
  SP__NEWS_RENEGOTIATED = 4,
  SP__NEWS_CERTIFICATE = 8
};

/* What a peer sends that is no data, once secure. */
typedef struct sp__tide {
  uint32_t read_left; /* records until the peer is asked for a new key; 0: no limit */
  uint16_t second;    /* of the monotonic clock, in which there were */
  uint8_t in_second;  /* so many */
  uint8_t in_row;     /* without data in between */
} sp__tide_t;

/* What a pair tells who owns it: from within its engine, as a hook. */
typedef struct sp__owner_calls {
  void (*wake)(void *owner); /* a hook was answered */
  void (*session)(void *owner, const void *bytes, size_t n);
  void (*keylog)(void *owner, const char *line);
  /* calls sp_pair_resume after a time, unless it is ended before; NULL: no memory */
  void *(*set_limit)(void *owner, int milliseconds);
  void (*end_limit)(void *limit);
} sp__owner_calls_t;

struct sp_pair {
  const sp__handler_t *handler; /* first: OpenSSL's callbacks find it by SSL_get_app_data */
  SSL *ssl;
  sp_context_t *context;
  sp_context_t *origin;    /* the one that it began with, when a hook chose another one */
  char *server_name;       /* client: what the certificate has to name; NULL: nothing asked */
  sp_error_t *error;       /* sticky */
  sp_error_t *verdict;     /* why the peer is not authorized */
  X509 *refused;           /* the peer's certificate, when the handshake failed because of it */
  sp__pair_hooks_t *hooks; /* own ones in place of the context's */
  char *protocol;          /* the ALPN protocol; while the hooks run, their choice */
  size_t protocol_size;

  /* encrypted in: the caller's, borrowed */
  const uint8_t *in;
  size_t in_left;
  union {
    uint8_t first[8]; /* until secure: what came first, to tell what speaks there if not TLS */
    sp__tide_t tide;
  };

  /* encrypted out: blocks first, then the lent memory */
  sp__block_t *blocks, *last;
  uint8_t *lent;
  size_t lent_size, lent_start, lent_end;
  size_t ahead; /* bytes in all of these */
  size_t retry; /* OpenSSL wants to be given at least as much again */

  uint64_t bytes_in, bytes_out;
  uint8_t *signature; /* or a key with the identity before it, see psk.c */
  size_t signature_size;
  sp__errand_t errand; /* a job of OpenSSL's pauses for it */
  union {
    void *errand_what;
    const uint8_t *hello; /* server, before there are errands: the client's first message */
    struct sp__renegotiation *renegotiation; /* once secure, with no more jobs; NULL: not allowed */
  };
  struct sp__target *target; /* client: whom its sessions are for; target.h */
  SSL_SESSION *session;      /* server, until secure: what session_get or the store answered */
  struct sp__lookup *query;  /* server: to the store, while its answer is waited for */
  sp__apart_t *apart;        /* NULL: its handshake is on its own thread */
  void *data;

  /* the stream layer's */
  void *owner;
  const sp__owner_calls_t *calls;                         /* NULL: nobody */
  sp_context_t *(*lookup)(void *owner, const char *name); /* the server's table of names */

  long verify;
  uint32_t write_left; /* records until our key is renewed; 0: no limit */
  int answer;          /* status that a hook answered or was resumed with */
  int16_t alert;       /* fatal alert that was sent; -1: none */
  int16_t refuse;      /* alert for a hook that fails; -1: the usual one */
  uint8_t role;        /* sp_role_t */
  uint8_t waiting, stage, staple, news;
  uint8_t burst, burst_at; /* for records.c: small records, and when the last one was */
  uint16_t process;        /* that made it */
  bool secure, peer_ended, truncated, transport_ended;
  bool read_blocked;  /* what reading has to answer, a key update, waits for room */
  bool ending, ended; /* sp_pair_end was called; its close_notify is out as a whole */
  bool busy : 1, doomed : 1, blocked : 1, swapped : 1, in_hook : 1, again : 1;
  bool making : 1;                          /* sp_pair_make has it still */
  bool require_staple : 1, must_staple : 1; /* client */
  bool strict_sni : 1;                      /* server: a name has to choose a context */
  bool greeted : 1, renamed : 1; /* server: a second first message asks for another name */
  bool check_name : 1;
  bool renegotiating : 1;
  bool asking : 1, asked_late : 1; /* the client for its certificate, after the handshake */
  bool unproven : 1;               /* a new certificate came, and its owner's proof did not yet */
  atomic_bool tells_session;       /* the owner takes sessions; may change while the pair is away */
};

/* port.c: one step of the handshake. Returns 0 or the sticky error. */
int sp__pair_drive(sp_pair_t *pair);

/* ... and one after the handshake: sends what the engine has to send, and reads nothing. */
int sp__pair_push(sp_pair_t *pair);

/* A close_notify, before the engine is left for good. */
void sp__pair_say_goodbye(sp_pair_t *pair);

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
/* Moves blocks that nobody is sending to the front of the memory that was lent: all leaves at once.
 */
void sp__pair_gather(sp_pair_t *pair);

/* fault.c: makes an error sticky. */
int sp__pair_fail(sp_pair_t *pair, int status, sp_party_t who, const char *text);
int sp__pair_fail_engine(sp_pair_t *pair); /* from OpenSSL's error queue */
int sp__pair_fail_early(sp_pair_t *pair);  /* the transport ended during the handshake */
int sp__pair_fail_forked(sp_pair_t *pair); /* it belongs to another process */

/* watch.c: what the engine tells while it works, and what follows from it when it is done: 0 or the
 * sticky error. */
void sp__pair_watch(const SSL *ssl, int where, int value);
int sp__pair_take_news(sp_pair_t *pair);

/* tide.c: counts messages that are no data; over a limit there is SP__NEWS_FLOOD. */
void sp__tide_count(sp_pair_t *pair, bool costly);
int sp__pair_cut_off(sp_pair_t *pair);

/* renew.c: keys, from when the pair is secure; a record too many is answered with a new key or the
 * connection's end. */
void sp__pair_begin_keys(sp_pair_t *pair);
void sp__pair_note_key(sp_pair_t *pair, bool ours); /* it is new */
int sp__pair_renew_ours(sp_pair_t *pair);
int sp__pair_renew_theirs(sp_pair_t *pair);

static inline int sp__pair_count_written(sp_pair_t *pair) {
  return pair->write_left && !--pair->write_left ? sp__pair_renew_ours(pair) : 0;
}

static inline int sp__pair_count_read(sp_pair_t *pair) {
  pair->tide.in_row = 0;
  return pair->tide.read_left && !--pair->tide.read_left ? sp__pair_renew_theirs(pair) : 0;
}

/* renegotiate.c: what the engine tells of it, and what follows: 0 or the sticky error. */
int sp__pair_allow_renegotiation(sp_pair_t *pair); /* if the options do */
void sp__pair_free_renegotiation(sp_pair_t *pair);
void sp__pair_note_start(sp_pair_t *pair);
void sp__pair_note_request(sp_pair_t *pair, const uint8_t *message); /* a message of the peer's */
int sp__pair_hello_again(sp_pair_t *pair, int *alert); /* as sp__pair_hello: no hook is asked */
void sp__pair_note_finished(sp_pair_t *pair);
void sp__pair_note_done(sp_pair_t *pair);
bool sp__pair_is_another(const sp_pair_t *pair, const X509 *leaf); /* than before */
int sp__pair_cut_off_attack(sp_pair_t *pair);
int sp__pair_begin_renegotiation(sp_pair_t *pair); /* one that was wished for, when it can */
int sp__pair_end_renegotiation(sp_pair_t *pair);

/* records.c: the context's policy on records of n bytes. */
size_t sp__pair_limit_record(sp_pair_t *pair, size_t n);

/* ... and whether the peer's first one is whole with n more bytes: until then there is nothing to
 * compute. Before the pair is secure. */
bool sp__pair_has_first_record(const sp_pair_t *pair, const uint8_t *bytes, size_t n);

/* late.c: the client answered. */
int sp__pair_take_certificate(sp_pair_t *pair);

/* verdict.c */
int sp__pair_verify(SSL *ssl, X509_STORE_CTX *store);
int sp__pair_settle(sp_pair_t *pair);            /* once secure */
int sp__pair_settle_anew(sp_pair_t *pair);       /* the verdict only */
void sp__pair_miss_certificate(sp_pair_t *pair); /* one was asked for, and none came */
long sp__x509_check_dates(const X509 *x509);     /* now; X509_V_OK, X509_V_ERR_... */

/* weak.c: X509_V_OK, or what is wrong with the key */
long sp__x509_weakness(X509 *x509, bool is_leaf);
/* Something else speaks against the peer: `made` becomes the verdict if there is none yet. Whether
 * the handshake goes on. */
bool sp__pair_object(sp_pair_t *pair, const sp_error_t *made);

/* hello.c */
/* The host_name of a server_name extension (RFC 6066 3), *size 0 if there is none. Below 0: it is
 * malformed. While the first message is looked at. */
int sp__hello_name(SSL *ssl, const uint8_t **name, size_t *size);
bool sp__pair_can_answer_hello(const sp_pair_t *pair);
void sp__pair_note_hello(sp_pair_t *pair, const uint8_t *message, size_t n); /* for the hooks */
int sp__pair_hello(SSL *ssl, int *alert);
int sp__pair_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                  const unsigned char *in, unsigned in_size);
sp__tickets_t *sp__pair_tickets(const SSL *ssl);

/* ticket.c: the name that a session is for: as the client asks now, as it was served; into a
 * ticket, and whether one is for the name that is asked for. */
#define SP__NAME_DIGEST 16
#define SP__OLDEST 604800 /* seconds for which a full handshake is good, RFC 8446 4.6.1 */
bool sp__pair_asked_name(SSL *ssl, uint8_t room[SP__NAME_DIGEST]);
bool sp__pair_served_name(const SSL *ssl, uint8_t room[SP__NAME_DIGEST]);
bool sp__pair_is_served(const SSL *ssl, const uint8_t *name, size_t n); /* this one; 0: none */
int sp__pair_ticket_made(SSL *ssl);
bool sp__pair_ticket_fits(SSL *ssl, SSL_SESSION *session);
bool sp__pair_is_old(SSL_SESSION *session); /* a server's: its full handshake was long ago */
bool sp__pair_is_still_good(const sp_pair_t *pair, SSL_SESSION *session); /* resume.c */

/* sign.c */
int sp__pair_sign(void *pair, uint16_t scheme, const uint8_t *message, size_t n, uint8_t *signature,
                  size_t *size);

/* errand.c: calls it as a hook is called, on the program's own stack; it is done on return. */
void sp__pair_outside(sp_pair_t *pair, sp__errand_t errand, void *what);
bool sp__pair_run_errand(sp_pair_t *pair); /* true: the engine goes on */

/* apart.c: a handshake on another thread. The owner lets the pair depart, has sp__pair_drive called
 * there, and takes it back with sp__pair_return: true when hooks were asked meanwhile and the
 * engine has to go on, apart again. sp__pair_stay ends it. */
bool sp__pair_may_leave(const sp_pair_t *pair);
void sp__pair_depart(sp_pair_t *pair, sp__apart_t *apart);
bool sp__pair_return(sp_pair_t *pair);
void sp__pair_stay(sp_pair_t *pair);
bool sp__pair_stops_to_ask(const sp_pair_t *pair); /* before its hooks on the first message */
/* Has a hook told of a session or (NULL) of a line, now or when the pair is back. */
void sp__pair_tell(sp_pair_t *pair, sp__errand_t tell, SSL_SESSION *session, const char *line);
/* trace.c: has what is interested in messages told of them: the hooks on the first one, the trace
 */
void sp__pair_watch_messages(sp_pair_t *pair);

/* keylog.c */
void sp__pair_keylog(const SSL *ssl, const char *line);

/* session.c: sessions are given out; open: the session of bytes that were made for this
 * connection's name and policy, freed by the caller; NULL: others, or no memory. */
int sp__pair_session_new(SSL *ssl, SSL_SESSION *session);
void sp__pair_tell_session(sp_pair_t *pair); /* a client's of TLS 1.2, once secure */
void sp__pair_tell_owner(sp_pair_t *pair);   /* the same, to the owner only */
SSL_SESSION *sp__pair_open_session(const sp_pair_t *pair, const void *bytes, size_t n);

/* What names a client's sessions: a digest of all they are bound to. */
bool sp__pair_session_key(const sp_pair_t *pair, uint8_t room32[32]);

/* resume.c: and come back, to a client by its options, to a server by its hook. True: used. */
bool sp__pair_resume_session(sp_pair_t *pair, const void *bytes, size_t n);
int sp__pair_ask_session(sp_pair_t *pair, const sp_hooks_t *hooks, void *data);
void sp__pair_drop_session(sp_pair_t *pair); /* it was used or is not */
SSL_SESSION *sp__pair_session_get(SSL *ssl, const unsigned char *id, int n, int *copy);

/* staple.c */
int sp__pair_staple(SSL *ssl);
int sp__pair_want_staple(sp_pair_t *pair, const sp_options_t *options,
                         sp_error_t *why);         /* client */
bool sp__pair_wants_staple(const sp_pair_t *pair); /* whether it did */
void sp__pair_offer_staple(sp_pair_t *pair);  /* server: has the hook asked when it is wanted */
void sp__pair_drop_staple(sp_pair_t *pair);   /* server: sent, and never again */
bool sp__pair_answer_staple(sp_pair_t *pair); /* true: the engine goes on */

/* psk.c: plugs the hooks in. They may be waited for within the engine, in a job. */
void sp__pair_offer_psk(sp_pair_t *pair);
bool sp__pair_asks_for_keys(const sp_pair_t *pair);
bool sp__pair_is_psk(const sp_pair_t *pair); /* both sides knew a key, in place of a certificate */
/* Such a session's label, in its ticket: how long it is with its identity's NUL; 0: it is none. */
#define SP__KEY_MARK 4u
#define SP__IDENTITY_MAX 256u /* with its NUL */
#define SP__KEY_LABEL_MAX (SP__KEY_MARK + SP__IDENTITY_MAX)
size_t sp__pair_key_label(const void *label, size_t n);

/* hello.c: whether the context can have these hooks beside it; SP_EOPTION. */
int sp__hooks_check(const sp_hooks_t *hooks, const sp_context_t *context, sp_error_t *why);

static inline bool sp__pair_is_away(const sp_pair_t *pair) {
  return pair->apart && pair->apart->away;
}

/* Secure, and nothing of it is to come: whoever asks from outside may look into it. */
static inline bool sp__pair_is_secure(const sp_pair_t *pair) {
  return !sp__pair_is_away(pair) && pair->secure;
}

static inline bool sp__hooks_any(const sp_hooks_t *hooks) {
  static const sp_hooks_t none;
  return memcmp(hooks, &none, sizeof none) != 0;
}

/* The hooks in force and their data. */
static inline const sp_hooks_t *sp__pair_hooks(const sp_pair_t *pair, void **data) {
  *data = pair->hooks ? pair->hooks->data : pair->context->hooks_data;
  return pair->hooks ? &pair->hooks->hooks : &pair->context->hooks;
}

#endif
