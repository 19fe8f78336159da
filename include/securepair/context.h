/* Options, and the context made of them: credentials and policy, shared by many connections. */
#ifndef SECUREPAIR_CONTEXT_H
#define SECUREPAIR_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include <securepair/certificate.h>
#include <securepair/error.h>
#include <securepair/session_cache.h>
#include <securepair/store.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

typedef struct sp_context sp_context_t;
typedef struct sp_pair sp_pair_t;
typedef struct sp_trust sp_trust_t;

/* A choice that was not made takes the default, which may differ between client and server. */
typedef enum sp_choice { SP_DEFAULT = 0, SP_YES = 1, SP_NO = 2 } sp_choice_t;

/* Protocol versions, by their numbers on the wire. */
typedef enum sp_protocol {
  SP_PROTOCOL_DEFAULT = 0, /* TLS 1.2 at least, TLS 1.3 at most */
  SP_TLS1_2 = 0x0303,
  SP_TLS1_3 = 0x0304
} sp_protocol_t;

typedef enum sp_role { SP_CLIENT = 0, SP_SERVER = 1 } sp_role_t;

/* Writes the passphrase of `name` (a path or "key") to `room` and returns its length, at most
 * `size`; below 0: none. Called during sp_context_new only; the room is wiped afterwards. */
typedef int (*sp_passphrase_cb)(char *room, size_t size, const char *name, void *data);

/* What a client said in its first message, borrowed for the time of the hook. Texts count bytes
 * and are not NUL-terminated, because the peer may send any byte. */
typedef struct sp_client_hello {
  const char *server_name; /* RFC 6066 3, checked for form; NULL: none */
  size_t server_name_size;
  const uint8_t *protocols; /* ALPN list in wire form, RFC 7301 3.1; NULL: none */
  size_t protocols_size;
  const uint8_t *suites; /* cipher suites, two bytes each */
  size_t suites_size;
  unsigned version; /* legacy_version: 0x0303 */
  /* The lists of the extensions supported_versions, supported_groups and signature_algorithms
   * (RFC 8446 4.2), in the order sent, two bytes each; NULL: no such extension */
  const uint8_t *versions;
  size_t versions_size;
  const uint8_t *groups;
  size_t groups_size;
  const uint8_t *sigalgs;
  size_t sigalgs_size;
  /* The types of all extensions in the order sent, those that nobody knows included */
  const uint16_t *extensions;
  size_t extension_count;
} sp_client_hello_t;

/*
 * Hooks of a connection. Those that ask for something may answer 0 (go on), SP_PENDING (wait for
 * sp_pair_resume), or an error below 0 (the connection fails; with sp_pair_refuse the alert can be
 * chosen). In a hook only the calls that answer it are legal on its pair: sp_pair_use_context,
 * sp_pair_use_protocol, sp_pair_use_session, sp_pair_use_staple, sp_pair_refuse,
 * sp_pair_sign_with, sp_pair_use_key, and those that ask for facts. A client's first message that
 * is malformed in what a hook would be shown is refused with decode_error, and the hook is not
 * called. They are asked about a client's first message once: one that asks for another server name
 * when it has to send it again (HelloRetryRequest) is refused with illegal_parameter. When a
 * server's hook chooses another context, the hooks that began a handshake finish it; but what the
 * contexts have to be made with (keylog, session_new) both have to have. They are called on the
 * thread that works on the pair.
 */
typedef struct sp_hooks {
  /* server: the client's first message arrived; nothing is decided yet */
  int (*client_hello)(sp_pair_t *pair, const sp_client_hello_t *hello, void *data);
  /* server: the client asks for a name (a NUL-terminated, lower-case host name); answer with
   * sp_pair_use_context or leave the default */
  int (*server_name)(sp_pair_t *pair, const char *name, void *data);
  /* server: the client offers protocols (wire form); answer with sp_pair_use_protocol. Without an
   * answer the context's `alpn` decides; without that the handshake ends with
   * no_application_protocol */
  int (*alpn)(sp_pair_t *pair, const uint8_t *protocols, size_t n, void *data);
  /* either side: sign `message` with the private key under TLS scheme `scheme` (RFC 8446 4.2.3;
   * for TLS 1.2 the same numbers, and the message may be the whole handshake, some KB); answer with
   * sp_pair_sign_with. Used in place of `key` */
  int (*sign)(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n, void *data);
  /* either side: a secret, as a line of the NSS key log format without its newline. Whoever has it
   * reads the connection. Only with contexts that were made with this hook or with the option
   * keylog */
  void (*keylog)(sp_pair_t *pair, const char *line, void *data);
  /* client: a session that can be resumed, for the option `session`; the bytes are borrowed and
   * secret. TLS 1.2: once, when secure; TLS 1.3: with each ticket */
  void (*session)(sp_pair_t *pair, const void *bytes, size_t n, void *data);
  /* server: the client names a session that the server keeps, in TLS 1.2 by its id, in TLS 1.3
   * (with SSL_OP_NO_TICKET in openssl_options, or a store) by a ticket of 32 bytes; answer with
   * sp_pair_use_session, or leave it for a full handshake. Asked in place of the store */
  int (*session_get)(sp_pair_t *pair, const void *id, size_t n, void *data);
  /* server: a session was made that the client does not keep itself, as above; keep the bytes,
   * which are borrowed and secret, for session_get. Only with contexts that were made with this
   * hook */
  void (*session_new)(sp_pair_t *pair, const void *id, size_t id_size, const void *bytes, size_t n,
                      void *data);
  /* server: the client asks for an OCSP response for our certificate (RFC 6066 8); answer with
   * sp_pair_use_staple; else that of `staple` or `staple_files` is sent, or none */
  int (*staple)(sp_pair_t *pair, void *data);
  /* The two below answer with the length of a key, of 2 bytes at least; or SP_PENDING, and then
   * sp_pair_use_key brings it. Cipher suites with PSK are to be named in `ciphers` for TLS 1.2; TLS
   * 1.3 has them always, with SHA-256 (RFC 8446 4.2.11).
   * server: writes the key of `identity`, at most `size` bytes; 0: unknown */
  int (*psk_server)(sp_pair_t *pair, const char *identity, uint8_t *key, size_t size, void *data);
  /* client: writes who we are and our key, and answers its length; 0: none. `hint` is the
   * server's, or NULL. Called while the pair is made, for TLS 1.3 */
  int (*psk_client)(sp_pair_t *pair, const char *hint, char *identity, size_t identity_size,
                    uint8_t *key, size_t size, void *data);
  /* either side: a message of the handshake, an alert or a ChangeCipherSpec came ("< ...") or goes
   * ("> ..."), as a line in plain words without a newline, at most 511 bytes: "< ClientHello, 517
   * bytes: TLS 1.3,TLS 1.2; 31 cipher suites; name mail.example; ALPN h2; groups x25519". It tells
   * no secrets and has no control characters. Costs nothing without this hook */
  void (*trace)(sp_pair_t *pair, const char *line, void *data);
  /* either side, TLS 1.2: a renegotiation is done, whoever began it; the verdict is the new one. In
   * a renegotiation the hook `sign` has to answer at once, and no other is asked */
  void (*renegotiated)(sp_pair_t *pair, void *data);
  /* server, TLS 1.3: the client answered sp_pair_request_certificate; the verdict is the new one.
   * On the client's side, `sign` has to answer at once */
  void (*client_certificate)(sp_pair_t *pair, void *data);
} sp_hooks_t;

/* A further key with its certificate. Each field as the option of the same name; a passphrase that
 * is not given is the option `passphrase` or asked for by `on_passphrase`. */
typedef struct sp_identity {
  const char *key, *key_file;
  const char *cert, *cert_file;
  const void *pfx;
  size_t pfx_size;
  const char *pfx_file;
  const char *passphrase;
} sp_identity_t;

/* Lists of texts end with NULL: .ca = SP_LIST(one, two); .ca = SP_EMPTY_LIST trusts nobody. */
#define SP_LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SP_EMPTY_LIST ((const char *const[]){NULL})

/*
 * All options, of contexts, connections and servers, in one structure, as in Node; each part says
 * who reads it. A field left 0 is "not given". Made with SP_OPTIONS(.field = value, ...).
 */
typedef struct sp_options {
  size_t size; /* sizeof(sp_options_t) of the caller: set by SP_OPTIONS */

  /* -- context: who we are ------------------------------------------------------------------- */
  const char *key;      /* private key, PEM text */
  const char *key_file; /* ... or the path of a PEM or DER file */
  const char *cert;     /* certificate, then the chain up to the root, PEM text */
  const char *cert_file;
  const void *pfx; /* PKCS#12: key, certificate and chain in one */
  size_t pfx_size;
  const char *pfx_file;
  const char *passphrase;         /* of the key or PKCS#12; at most 1024 bytes */
  sp_passphrase_cb on_passphrase; /* ... or asked for, when needed */
  void *passphrase_data;
  /* more keys with their certificates (ECDSA beside RSA), or all of them. A key and a certificate
   * in different entries, or above, belong together when they match. OpenSSL holds one for each
   * type of key: a later certificate takes the place of an earlier one of its type */
  const sp_identity_t *identities;
  size_t identity_count;
  /* server: OCSP responses for our certificates, DER or PEM ("OCSP RESPONSE"), for clients that ask
   * for one (RFC 6066 8); each goes with the certificate that it is for. It has to be of that
   * certificate's issuer, which must be in its chain or in `ca`, and say "good". One that is out of
   * date is taken but not sent, nor is any once it is (see sp_context_staple_until): a server comes
   * up without its responder. Renewed by sp_watch_new, or a new context. The hook `staple` comes
   * before them */
  const char *const *staple_files;
  const void *staple; /* ... or in memory */
  size_t staple_size;

  /* -- context: whom we trust ---------------------------------------------------------------- */
  const char *const *ca; /* PEM texts; an empty list trusts nobody; not given: the system's roots */
  const char *const *ca_files;
  /* PEM texts of complete revocation lists; given: every certificate of a chain is looked up, in
   * the newest list of its issuer, and a missing or stale list refuses (fail closed). Delta lists
   * are errors; indirect ones, and those for some reasons only, do not count. While an issuer has
   * only stale ones no session that was made with a certificate of the peer is resumed */
  const char *const *crl;
  const char *const *crl_files; /* ... or of files, PEM or DER */
  sp_trust_t *trust; /* in place of ca: certificates that were read before; it is retained */
  /* a trusted certificate that is no root ends a chain, too. Default: no */
  sp_choice_t partial_chain;

  /* -- context: policy ----------------------------------------------------------------------- */
  sp_protocol_t min_version, max_version;
  const char *ciphers; /* TLS 1.2, OpenSSL's syntax: "ECDHE+AESGCM" */
  const char *suites;  /* TLS 1.3: "TLS_AES_128_GCM_SHA256:..." */
  const char *groups;  /* key exchange: "X25519:P-256" */
  const char *sigalgs; /* "ECDSA+SHA256:RSA-PSS+SHA256" */
  /* protocols in order of preference (RFC 7301): SP_LIST("h2", "http/1.1") */
  const char *const *alpn;
  sp_choice_t request_cert; /* server asks the client for a certificate. Default: no (seed) */
  /* refuse a peer that is not authorized. Client: default yes; SP_NO is the seed's behaviour.
   * Server: only with request_cert, default no (seed) */
  sp_choice_t reject_unauthorized;
  sp_choice_t prefer_server_ciphers; /* default yes, but ChaCha20 first if the client wants it */
  sp_choice_t insecure_common_name;  /* also accept the common name of the subject. Default: no */
  sp_choice_t tickets;               /* session tickets for resumption. Default: yes, one */
  sp_hooks_t hooks;
  void *hooks_data;
  /* 48 bytes: 16 name a ticket's keys, 16 are of its HMAC-SHA256, 16 of its AES-128-CBC (RFC 5077
   * 4), as Node has them; for servers that share tickets. Not given: random ones */
  const void *ticket_keys;
  size_t ticket_keys_size;
  /* keys that were not given: seconds until new ones take over, at the next use. Default 43 200
   * (12 h); -1: never. And for how many more seconds the old ones still open tickets, which are
   * renewed then, at most 15 times ticket_rotation. Default twice ticket_rotation; -1: not at all
   */
  int ticket_rotation, ticket_window;
  /* a server keeps sessions here, and its clients only get their names: TLS 1.2 session ids, and
   * for TLS 1.3 (unless tickets is SP_NO) tickets of 32 bytes that are good for one use. Retained.
   * When a name or a hook chooses another context, that one's is used, if both have one; else the
   * session goes into a ticket */
  sp_store_t *store;
  /* milliseconds until an answer of the store is not waited for any more, and the handshake is a
   * full one. Default 250; -1: no limit. (A pair without a stream: whenever sp_pair_resume is
   * called) */
  int store_timeout;
  /* seconds for which a session can be resumed, at most 604 800 (RFC 8446 4.6.1); so long after the
   * full handshake a server wants another one in any case; a session without its time, as a server
   * of Node's makes them, counts from when it first comes back here. Default 7200 */
  int session_timeout;
  /* 1 to 32 bytes: a server resumes only sessions that were made under the same ones, and under
   * the same policy */
  const void *session_id_context;
  size_t session_id_context_size;
  /* for suites with DHE: PEM text, at least 2048 bits, or "auto". Not given: a server has none */
  const char *dhparam;
  uint64_t openssl_options; /* SSL_OP_... in addition */
  /* records under one key of AES, in either direction (RFC 8446 5.5, RFC 9325 4.4): before there
   * are more, TLS 1.3 goes on with new keys, and a connection of TLS 1.2 ends with SP_EKEYUSED.
   * Default and most: SP_KEY_RECORDS. ChaCha20 has no such limit */
  uint64_t key_records;
  /* the secrets of connections may be told: to the hook keylog, and to a stream's event. Costs some
   * time in each handshake. Default: only with that hook */
  sp_choice_t keylog;
  /* TLS 1.2: the peer may renegotiate, and sp_pair_renegotiate works (RFC 5746 only). The peer may
   * begin so many within so many seconds, default 3 and 600; with one more the connection fails,
   * SP_ERENEGOTIATION. Default: no; the peer gets a warning */
  sp_choice_t renegotiation;
  int renegotiation_limit, renegotiation_window;
  /* client, TLS 1.3: the server may ask for our certificate later (RFC 8446 4.6.2). Default: no */
  sp_choice_t post_handshake_auth;
  /* cleartext in a record that we send, at most: 512 to 16384 bytes, 0: 16384, which costs least;
   * or SP_RECORD_DYNAMIC: what fits into a packet (1369 bytes) for the first 128 KiB and after a
   * pause of a second, so that the receiver can use what it has, then 16384 */
  int record_size;
  /* client: asks for records of at most 512, 1024, 2048 or 4096 bytes of cleartext, either way (RFC
   * 6066 4), which a server may ignore. 0: 16384 */
  int max_fragment;

  /* -- watch: files that are followed ---------------------------------------------------------- */
  /* milliseconds between two looks at files of which the system told nothing. Default 1000; -1:
   * only what it tells, and sp_watch_check */
  int watch_interval;
  /* milliseconds from the last change until files that cannot be used are reported. Default 2000;
   * -1: at once */
  int watch_grace;

  /* -- pair, connect, server: one connection ------------------------------------------------- */
  sp_context_t *context;   /* a ready context in place of all the above; it is retained */
  const char *server_name; /* client: name to ask for and to check. Default: the host */
  sp_choice_t check_name;  /* client: does the certificate name the server? Default: yes */
  /* client: a session of an earlier connection (hook `session`, sp_pair_session). Used when it was
   * made for the same name, host and port (as far as given) and under the same policy, and is
   * intact and fresh; else, whatever it is, the handshake is a full one */
  const void *session;
  size_t session_size;
  /* client: resume by a session of an earlier connection that is kept, and keep those of this one,
   * see session_cache.h; the option `session` comes first. Default: yes for sp_connect, with `host`
   * for sp_stream_adopt and sp_stream_over, and where `sessions` is given; but no with
   * request_staple, require_staple, must_staple, crl or the hook psk_client */
  sp_choice_t session_cache;
  sp_session_cache_t *sessions; /* where they are kept; retained. Default: the process's cache */
  /* client: ask for an OCSP response (RFC 6066 8); sp_pair_staple_status says what it is worth.
   * Default: no, unless one of the two below is yes */
  sp_choice_t request_staple;
  /* client: a server without a good one is not authorized. Default: no, only reported */
  sp_choice_t require_staple;
  /* client: nor is one without whose certificate says that it must have one (RFC 7633). Default:
   * no, only reported */
  sp_choice_t must_staple;
  /* server: refuse a client that names no server (RFC 6066 3), or one for which neither the
   * server's table nor a hook chose a context, with unrecognized_name: SP_ENAME. Default: no, it
   * gets the context that is there */
  sp_choice_t strict_sni;

  /* -- connect ------------------------------------------------------------------------------- */
  const char *host; /* default "localhost" (seed) */
  int port;         /* 1..65535 */
  const char *path; /* Unix socket, in place of host and port */
  int family;       /* 0: both; 4; 6 */
  /* milliseconds for name lookup and connecting, by sp_stream_pipe_to, too (then also of a server
   * or an adopted stream). Default 30 000; -1: no limit */
  int connect_timeout;

  /* -- connect, adopt, server: the stream ---------------------------------------------------- */
  int handshake_timeout; /* milliseconds from accept or connected. Default 30 000; -1: no limit */
  int idle_timeout;      /* milliseconds without traffic until the `timeout` event; 0: never */
  size_t high_water;     /* bytes pending at which a write answers 0. Default 65 536 */
  size_t write_limit;    /* bytes pending at which a write fails, SP_EOVERFLOW. Default 64 MiB */
  sp_choice_t half_open; /* the end of one side leaves the other open. Default: no */
  sp_choice_t no_delay;  /* TCP_NODELAY. Default: yes */
  int keep_alive;        /* seconds until the first TCP keep-alive probe; 0: none */
  /* handshakes on libuv's worker threads, so that the loop goes on meanwhile; hooks and events stay
   * on the loop. With the hooks `sign`, psk_server or psk_client they are done on the loop all the
   * same. Default: no */
  sp_choice_t handshake_workers;

  /* -- server -------------------------------------------------------------------------------- */
  int backlog;             /* default 511 */
  sp_choice_t ipv6_only;   /* default no: :: also takes IPv4 */
  sp_choice_t reuse_port;  /* SO_REUSEPORT: several processes, one port. Default: no */
  size_t max_connections;  /* above it a newcomer is closed at once; 0: no limit (seed) */
  int accepts_per_turn;    /* of the loop; default 1 */
  int handshakes_per_turn; /* default 1 */
} sp_options_t;

/* Records for `key_records`: below 2^24.5, with some to spare for what is not counted. */
#define SP_KEY_RECORDS 23720000u

#define SP_RECORD_DYNAMIC (-1) /* for `record_size` */

#define SP_OPTIONS(...) (&(const sp_options_t){.size = sizeof(sp_options_t), __VA_ARGS__})

/*
 * Makes a context from the context part of `options`, reading files as needed and checking
 * everything: a context that was made works. Keeps nothing of `options` but the hooks and their
 * data. `options` may be NULL (all defaults). Released by the caller; each connection holds a
 * reference of its own. May block on files. Any thread.
 * Errors, each naming the input and the remedy: SP_EKEY, SP_ECERTIFICATE, SP_EMISMATCH,
 * SP_EPASSPHRASE, SP_ECA, SP_ECRL, SP_ESTAPLE, SP_ECIPHERS, SP_EVERSION, SP_EOPTION, UV_ENOMEM,
 * and libuv's for a file that cannot be read.
 */
SP_EXTERN int sp_context_new(sp_context_t **context, sp_error_t *why, const sp_options_t *options);

/*
 * Trusted certificates, read once and shared by contexts and threads: they cost a context with
 * `trust` nothing (with `request_cert` their names, with `crl` a list of them). `pems` are `count`
 * PEM texts with one or many certificates each; with a count of 0 nobody is trusted. *trust is
 * released by the caller. Any thread.
 * Errors, naming the text as "ca[index]": SP_ECA, UV_ENOMEM.
 */
SP_EXTERN int sp_trust_new(sp_trust_t **trust, const char *const *pems, size_t count,
                           sp_error_t *why);
SP_EXTERN sp_trust_t *sp_trust_retain(sp_trust_t *trust);
SP_EXTERN void sp_trust_release(sp_trust_t *trust); /* NULL is fine */

/* Contexts are refcounted and may be shared by threads. */
SP_EXTERN sp_context_t *sp_context_retain(sp_context_t *context);
SP_EXTERN void sp_context_release(sp_context_t *context); /* NULL is fine */

/* Whether it has a certificate with its key (or `sign` hook), as a server needs. */
SP_EXTERN bool sp_context_has_certificate(const sp_context_t *context);

/* Our own certificate with its chain. *certificate is released by the caller; SP_ECERTIFICATE
 * when there is none. */
SP_EXTERN int sp_context_certificate(const sp_context_t *context, sp_certificate_t **certificate);

/* The certificate that issued our own (of several, the last): from what was given as its chain, or
 * else from those we trust. *issuer is released by the caller; SP_ECERTIFICATE when there is no
 * certificate or its issuer is not known. May block on the system's roots. */
SP_EXTERN int sp_context_issuer(const sp_context_t *context, sp_certificate_t **issuer);

/* Until when the OCSP responses of `staple` and `staple_files` are sent, in seconds since 1970: of
 * several, the one that ends first. 0: none was given. Any thread. */
SP_EXTERN int64_t sp_context_staple_until(const sp_context_t *context);

/*
 * Session tickets are sealed by a ring of keys, 48 bytes each: the newest seals, older ones still
 * open what they sealed, and such a session is resumed and its ticket renewed. Keys that were not
 * given rotate by themselves (ticket_rotation, ticket_window) and are wiped when they are over;
 * given ones, which a fleet shares, change only by these calls. Live connections go on; a server's
 * stays with the keys of the context that it began with, also after a hook chose another one. Keys
 * open every recorded session that is resumed with them: who asks for them wipes them. Any thread.
 */

/* Writes the 48 bytes of the keys that seal, as in the option `ticket_keys`. 0. */
SP_EXTERN int sp_context_ticket_keys(const sp_context_t *context, void *room48);

/* Seals the tickets from now on with these keys, 48 bytes, and drops all others; tickets that those
 * sealed cost a full handshake. Returns 0; SP_EOPTION: n is not 48; UV_ENOMEM. */
SP_EXTERN int sp_context_set_ticket_keys(sp_context_t *context, const void *keys, size_t n);

/* New random keys seal from now on; the ones before open for ticket_window seconds more. Of more
 * than 16 the oldest go. Returns 0; UV_ENOMEM; SP_ECRYPTO. */
SP_EXTERN int sp_context_rotate_ticket_keys(sp_context_t *context);

/* All of the ring, newest first: how many bytes, 48 for each key, at most 768. Written to `room` if
 * they fit. */
SP_EXTERN size_t sp_context_ticket_ring(const sp_context_t *context, void *room, size_t size);

/* These in place of all: n bytes, 1 to 16 keys of 48; the first seals, the others only open, until
 * the next set, or ticket_window seconds after the next rotation. A key that stands behind opens
 * before it seals: give it to a whole fleet so, and then first. Returns 0; SP_EOPTION: another n;
 * UV_ENOMEM. */
SP_EXTERN int sp_context_set_ticket_ring(sp_context_t *context, const void *keys, size_t n);

/* OpenSSL's object, for what has no call here. Borrowed; changing it while connections use it
 * is not safe. */
SP_EXTERN struct ssl_ctx_st *sp_context_ssl_ctx(const sp_context_t *context);

#ifdef __cplusplus
}
#endif
#endif
