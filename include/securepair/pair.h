/*
 * A secure pair: one TLS connection without any I/O. Encrypted bytes go in and out on one side,
 * cleartext on the other; who moves them, and over what, is the caller's business.
 *
 *     transport ->  sp_pair_encrypted_in     [ pair ]  sp_pair_cleartext_out  -> program
 *     transport <-  sp_pair_encrypted_out    [      ]  sp_pair_cleartext_in   <- program
 *
 * The loop of a caller is: look at sp_pair_state, serve the ports that want something, repeat.
 *   - whenever SP_PAIR_HAS_ENCRYPTED is set, send it, also after an error: that is how the peer
 *     gets the alert;
 *   - an error is sticky: once a port answered below 0, every port does, with the same status;
 *   - a pair belongs to one thread at a time, and none of its hooks may enter it again
 *     (SP_EREENTRY).
 */
#ifndef SECUREPAIR_PAIR_H
#define SECUREPAIR_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include <securepair/certificate.h>
#include <securepair/context.h>
#include <securepair/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ssl_st; /* OpenSSL's SSL */

/*
 * A pair in the given role with the credentials of `context`, of which it takes a reference.
 * A client asks for `server_name` and, unless `check_name` is false, accepts only a certificate
 * that names it; an address is checked against the certificate's, and not asked for. Without a name
 * (NULL) none is checked: "authorized" then only says that whoever answers is known to a trusted
 * authority. A client's first message is ready in encrypted-out at once. Errors: SP_EOPTION (a
 * server name that is no host name), SP_ECRYPTO, UV_ENOMEM.
 */
SP_EXTERN int sp_pair_new(sp_pair_t **pair, sp_context_t *context, sp_role_t role,
                          const char *server_name, bool check_name, sp_error_t *why);

/*
 * As sp_pair_new, with all of the connection part of `options`: a context (a ready one, or made of
 * the options), server_name, check_name, session, request_staple, require_staple, must_staple.
 * Hooks beside a ready context are this connection's, in place of the context's. A client's hook
 * psk_client and keylog may be called before *pair is set. Errors: as sp_context_new and
 * sp_pair_new; SP_EOPTION as sp_pair_set_hooks; UV_ECANCELED when such a hook released the pair.
 */
SP_EXTERN int sp_pair_make(sp_pair_t **pair, sp_role_t role, sp_error_t *why,
                           const sp_options_t *options);

/* Legal in a hook too: the pair then goes when the hook's caller is done with it. NULL is fine. */
SP_EXTERN void sp_pair_release(sp_pair_t *pair);

/* What the pair wants and has: any number of these together. */
enum {
  SP_PAIR_WANTS_ENCRYPTED = 1, /* encrypted-in would take bytes */
  SP_PAIR_HAS_ENCRYPTED = 2,   /* encrypted-out has bytes */
  SP_PAIR_HAS_CLEARTEXT = 4,   /* cleartext-out may have bytes: ask it */
  SP_PAIR_TAKES_CLEARTEXT = 8, /* cleartext-in would take bytes */
  SP_PAIR_SECURE = 16,         /* the handshake is done (and the verdict known) */
  SP_PAIR_PEER_ENDED = 32,     /* the peer sent close_notify: no cleartext follows */
  SP_PAIR_ENDED = 64,          /* we sent close_notify, or see sp_pair_end */
  SP_PAIR_WAITING = 128,       /* a hook answered SP_PENDING: sp_pair_resume is due */
  SP_PAIR_TRUNCATED = 256,     /* the transport ended, and no close_notify came before */
  SP_PAIR_FAILED = 512         /* see sp_pair_error */
};
SP_EXTERN unsigned sp_pair_state(const sp_pair_t *pair);

/* -- the four ports ---------------------------------------------------------------------------- */

/*
 * Encrypted in: here are n bytes from the transport. They are borrowed, not copied, until
 * sp_pair_encrypted_release; meanwhile cleartext-out decrypts from them. Drives the handshake.
 * Offer nothing new before the former bytes were released.
 * Returns 0; the sticky error; SP_EREENTRY.
 */
SP_EXTERN int sp_pair_encrypted_in(sp_pair_t *pair, const void *bytes, size_t n);

/* Ends the loan and returns how many bytes at its end were NOT taken (0 unless the pair waits for
 * a hook or for room to send, or cleartext was not collected): offer those again later. */
SP_EXTERN size_t sp_pair_encrypted_release(sp_pair_t *pair);

/* The transport ended. During the handshake that is SP_EEARLYCLOSE, sticky. Later, without a
 * close_notify before it, the state says SP_PAIR_TRUNCATED once all bytes offered before are read,
 * and cleartext-out answers SP_ETRUNCATED; writing is still possible. Returns 0 or the error. */
SP_EXTERN int sp_pair_encrypted_end(sp_pair_t *pair);

/*
 * Encrypted out: returns how many bytes are at *bytes, 0 for none; there may be more after those.
 * They stay valid until sp_pair_encrypted_sent, which says how many of them were taken; bytes in
 * lent memory until sp_pair_unlend. A handshake that had to wait for room goes on in _sent.
 */
SP_EXTERN size_t sp_pair_encrypted_out(const sp_pair_t *pair, const void **bytes);
SP_EXTERN void sp_pair_encrypted_sent(sp_pair_t *pair, size_t n);

/*
 * Lends memory for what the pair has to send; without it each flight and record goes to a heap
 * block. sp_pair_unlend takes the memory back: what is still in it moves to a heap block of the
 * pair. In all at most SP_PAIR_AHEAD bytes wait for the transport, then cleartext-in takes no more;
 * that is 64 KiB of cleartext in full records, with what TLS adds to them. Lend 128 bytes at least,
 * or neither cleartext nor an alert fits in.
 * sp_pair_unlend returns 0 or UV_ENOMEM (sticky).
 */
#define SP_PAIR_AHEAD (4 * (16384 + 96))
SP_EXTERN void sp_pair_lend(sp_pair_t *pair, void *memory, size_t size);
SP_EXTERN int sp_pair_unlend(sp_pair_t *pair);

/*
 * Cleartext in: encrypts as much of n bytes as there is room for and says how many in *took
 * (0 before the pair is secure). Returns 0; SP_EENDED after sp_pair_end; SP_EEARLYCLOSE (sticky)
 * when the peer ended in the middle of a handshake, or of a message after one, and nothing can be
 * sent any more; the sticky error; SP_EREENTRY.
 */
SP_EXTERN int sp_pair_cleartext_in(sp_pair_t *pair, const void *bytes, size_t n, size_t *took);

/*
 * Cleartext out: decrypts up to `size` bytes, any number of records, to `room` and says how many
 * in *got. 0 bytes: nothing there now, or the peer ended (see the state).
 * Returns 0; the sticky error (with *got bytes that were good before it); SP_EREENTRY.
 */
SP_EXTERN int sp_pair_cleartext_out(sp_pair_t *pair, void *room, size_t size, size_t *got);

/* Ends our direction: a close_notify goes to encrypted-out (RFC 8446 6.1). Reading goes on. After a
 * peer that ended in the middle of a handshake, or of a message after one, none can be sent any
 * more, and the state says SP_PAIR_ENDED all the same. Idempotent; before the pair is secure it
 * does nothing. Returns 0, or the sticky error. */
SP_EXTERN int sp_pair_end(sp_pair_t *pair);

/* Frees OpenSSL's record buffers (some 33 KB) if none holds data; they come back by themselves.
 * Worth calling when a connection went quiet. */
SP_EXTERN void sp_pair_release_buffers(sp_pair_t *pair);

/* -- hooks ------------------------------------------------------------------------------------- */

/* Hooks of this pair in place of its context's; copied. Before the first byte goes in. Returns 0;
 * UV_ENOMEM; SP_EOPTION when keylog or session_new is among them but was not when the context was
 * made: OpenSSL does that for a context as a whole. */
SP_EXTERN int sp_pair_set_hooks(sp_pair_t *pair, const sp_hooks_t *hooks, void *data);

/* Answers, in the hook or between SP_PENDING and sp_pair_resume. Return 0; SP_EOPTION when the
 * pair is past the point where the answer matters; UV_ENOMEM. */
SP_EXTERN int sp_pair_use_context(sp_pair_t *pair, sp_context_t *context); /* retained */
SP_EXTERN int sp_pair_use_protocol(sp_pair_t *pair, const char *protocol, size_t n);
SP_EXTERN int sp_pair_sign_with(sp_pair_t *pair, const void *signature, size_t n); /* copied */
SP_EXTERN int sp_pair_use_session(sp_pair_t *pair, const void *bytes, size_t n);   /* garbage: 0 */
SP_EXTERN int sp_pair_use_staple(sp_pair_t *pair, const void *der, size_t n);      /* copied */
/* Only between SP_PENDING and sp_pair_resume: a key of n bytes, and who a client is (at most 255
 * bytes; a server's NULL). Both are copied, and wiped after use. Resumed without: no key. */
SP_EXTERN int sp_pair_use_key(sp_pair_t *pair, const char *identity, const void *key, size_t n);
/* The alert for a hook that fails; not for `sign`, `staple` and the keys known before. */
SP_EXTERN void sp_pair_refuse(sp_pair_t *pair, int alert);

/* The answer to the hook that is waited for is complete: goes on, or fails if status < 0.
 * Returns 0; SP_EOPTION when the pair waits for nothing; SP_EREENTRY in a hook; the sticky error.
 */
SP_EXTERN int sp_pair_resume(sp_pair_t *pair, int status);

/* A hook `trace` that prints the lines to the FILE in hooks_data:
 * .hooks.trace = sp_trace_print, .hooks_data = stderr */
SP_EXTERN void sp_trace_print(sp_pair_t *pair, const char *line, void *file);

/* -- facts ------------------------------------------------------------------------------------- */

SP_EXTERN sp_role_t sp_pair_role(const sp_pair_t *pair);
SP_EXTERN sp_context_t *sp_pair_context(const sp_pair_t *pair); /* borrowed */

/* The error that failed the pair; one with status 0 if none did. Lives as long as the pair. */
SP_EXTERN const sp_error_t *sp_pair_error(const sp_pair_t *pair);

/*
 * The verdict on the peer, valid once secure (or failed because of it). Authorized: its
 * certificate was asked for, came, and passed every check. Otherwise sp_pair_authorization_error
 * names why ("CERT_HAS_EXPIRED", see sp_verify_name) and sp_pair_verdict says it in a sentence.
 * Both are NULL when authorized and when no certificate was asked for. A renegotiation, or a
 * client's answer to sp_pair_request_certificate, brings a new verdict in place of the old one.
 */
SP_EXTERN bool sp_pair_is_authorized(const sp_pair_t *pair);
SP_EXTERN const char *sp_pair_authorization_error(const sp_pair_t *pair);
SP_EXTERN const sp_error_t *sp_pair_verdict(const sp_pair_t *pair);

/* The peer's certificate with the chain it sent; alone when the handshake failed because of it.
 * *certificate is released by the caller. SP_ECERTIFICATE when it sent none. */
SP_EXTERN int sp_pair_peer_certificate(const sp_pair_t *pair, sp_certificate_t **certificate);

/* The following are "" or 0 before they are known, and live as long as the pair. */
SP_EXTERN const char *sp_pair_cipher(const sp_pair_t *pair);      /* "TLS_AES_128_GCM_SHA256" */
SP_EXTERN int sp_pair_cipher_bits(const sp_pair_t *pair);         /* of strength: 128, 256 */
SP_EXTERN const char *sp_pair_version(const sp_pair_t *pair);     /* "TLSv1.3" */
SP_EXTERN const char *sp_pair_group(const sp_pair_t *pair);       /* "x25519" */
SP_EXTERN const char *sp_pair_server_name(const sp_pair_t *pair); /* as the client wrote it */
/* The ALPN protocol agreed on; may hold any bytes, *n of them (may be NULL); also NUL-terminated.
 */
SP_EXTERN const char *sp_pair_protocol(const sp_pair_t *pair, size_t *n);
SP_EXTERN bool sp_pair_is_resumed(const sp_pair_t *pair);

/*
 * The connection's session for a later one, as bytes: how many they are, 0 when there is none that
 * can be resumed (yet: in TLS 1.3 it comes after the handshake, see the hook `session`) or the
 * connection failed. Written to `room` if they fit. The bytes hold secrets, and, for a client, the
 * name and the policy they are good for. A connection that was cut off (SP_PAIR_TRUNCATED) leaves
 * its session usable: whether to use it is up to the program.
 */
SP_EXTERN size_t sp_pair_session(const sp_pair_t *pair, void *room, size_t size);

/* A client's session ticket as the server sent it; its size, 0: none. Lives until the next one. */
SP_EXTERN size_t sp_pair_ticket(const sp_pair_t *pair, const void **bytes);

/* A client's: the OCSP response that the server sent when asked to (request_staple), in DER, *n
 * bytes; NULL: none. It is not checked. Lives as long as the pair. */
SP_EXTERN const void *sp_pair_staple(const sp_pair_t *pair, size_t *n);

/*
 * What that response says of the server's certificate now, checked at each call (RFC 6960): it has
 * to be about this certificate, signed by its issuer or the issuer's delegate, and of now, where
 * clocks may differ by 5 minutes; one that names no end counts for a day. "Revoked" is never out of
 * date. Unless it is good, `why` (may be NULL) has the sentence, with `verify` as the verdict has
 * it when the response is required. It says nothing of whether the issuer is trusted: see
 * sp_pair_is_authorized. A resumed session brings none along (SP_STAPLE_NONE), but was made under
 * the same requirements.
 */
SP_EXTERN sp_staple_status_t sp_pair_staple_status(const sp_pair_t *pair, sp_error_t *why);

/* The Finished message that we sent, or with `peers` got (RFC 5929 3: tls-unique): its size, 0
 * before it is known. Written to `room` as far as it fits. */
SP_EXTERN size_t sp_pair_finished(const sp_pair_t *pair, bool peers, void *room, size_t size);

/* A server's: the index-th signature algorithm that it shares with the client, in order of
 * preference, as Node writes them: "RSA-PSS+SHA256". The text's length, 0: there are no more. The
 * text is cut to `size` with its NUL. */
SP_EXTERN size_t sp_pair_shared_sigalgs(const sp_pair_t *pair, size_t index, char *room,
                                        size_t size);

/* A client's: the server's key of this connection's key exchange, as Node tells it: "ECDH" "X25519"
 * 253, "DH" NULL 2048. False when there was none (a resumed session). The texts are constant. */
SP_EXTERN bool sp_pair_ephemeral_key(const sp_pair_t *pair, const char **type, const char **name,
                                     int *bits);

/*
 * A server's, in its hooks client_hello, server_name, alpn and session_get and while one of them is
 * waited for: the JA4 fingerprint of the client's first message, "t13d1516h2_8daaf6152771_...",
 * which tells one kind of client from another, and is easily forged. A text of 36 characters and a
 * NUL to `room`. Returns 0; SP_EOPTION: at any other time, a first message in the form of SSL 2.0,
 * or too little room; UV_ENOMEM; SP_ECRYPTO.
 */
#define SP_FINGERPRINT_SIZE 37
SP_EXTERN int sp_pair_fingerprint(const sp_pair_t *pair, char *room, size_t size);

/* The cipher suite's name in its RFC: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"; "" as above. */
SP_EXTERN const char *sp_pair_cipher_standard_name(const sp_pair_t *pair);

/*
 * TLS 1.3: what we send from now on is encrypted with a new key (RFC 8446 4.6.3), and with
 * `peers_too` the peer is asked to do likewise for what it sends. The library does both by itself
 * in time (see `key_records`). More than 10 in a second, or 32 without data in between, is what
 * this library does not accept from a peer. Returns 0; SP_EOPTION: not secure yet, or TLS 1.2;
 * SP_EENDED after sp_pair_end; SP_EREENTRY; the sticky error.
 */
SP_EXTERN int sp_pair_update_key(sp_pair_t *pair, bool peers_too);

/*
 * TLS 1.2, with the option `renegotiation`: begins a handshake on the connection, as client or as a
 * server that asks for one; the hook `renegotiated` tells when it is done. Until then data comes
 * in, and goes out until the handshake begins; then cleartext-in takes none. It begins when the
 * record that cleartext-out is at is given out. A peer that refuses fails the connection,
 * SP_ERENEGOTIATION; and so does one that shows another certificate than before, SP_EUNAUTHORIZED.
 * Nothing when one is under way. One that has not begun when either side ends, or when it is
 * disabled, never does. Returns 0; SP_EOPTION: not secure yet, not allowed, or the peer does not
 * know RFC 5746; SP_EENDED when either side ended; SP_EREENTRY; the sticky error.
 */
SP_EXTERN int sp_pair_renegotiate(sp_pair_t *pair);

/* From now on renegotiation is refused, as without the option. */
SP_EXTERN void sp_pair_disable_renegotiation(sp_pair_t *pair);

/*
 * A server's, TLS 1.3: asks the client for its certificate (RFC 8446 4.6.2), whatever
 * `request_cert` says; data goes on meanwhile. When it answered, which needs our reading, there is
 * a new verdict and the hook `client_certificate` is called; with reject_unauthorized the
 * connection fails unless it is authorized, SP_EUNAUTHORIZED. Returns 0; SP_EOPTION: not secure
 * yet, the last question is not answered yet, or the client did not offer this
 * (post_handshake_auth); SP_EENDED after sp_pair_end; SP_EREENTRY; UV_ENOMEM; the sticky error.
 */
SP_EXTERN int sp_pair_request_certificate(sp_pair_t *pair);

/* Sends records of at most n bytes of cleartext, 512 to 16384. Returns 0; SP_EOPTION. */
SP_EXTERN int sp_pair_set_max_fragment(sp_pair_t *pair, size_t n);

/* Encrypted bytes that went in and out so far. */
SP_EXTERN uint64_t sp_pair_bytes_in(const sp_pair_t *pair);
SP_EXTERN uint64_t sp_pair_bytes_out(const sp_pair_t *pair);

/* Keying material for another protocol (RFC 5705, RFC 8446 7.5): n bytes to `out`. `context` may
 * be NULL, which TLS 1.2 distinguishes from empty. Returns 0; SP_EOPTION before the pair is secure;
 * SP_ECRYPTO. */
SP_EXTERN int sp_pair_export_key(sp_pair_t *pair, void *out, size_t n, const char *label,
                                 const void *context, size_t context_size);

/*
 * What ties a protocol inside of the connection, as SASL's SCRAM-...-PLUS, to this connection: both
 * sides have the same bytes, and nobody between them has. tls-exporter (RFC 9266) is for every
 * version; tls-server-end-point (RFC 5929 4) is a hash of the server's certificate and so not of
 * this connection alone; tls-unique (RFC 5929 3) is for TLS 1.2 only.
 */
typedef enum sp_binding {
  SP_TLS_EXPORTER = 1,
  SP_TLS_SERVER_END_POINT = 2,
  SP_TLS_UNIQUE = 3
} sp_binding_t;

/*
 * Writes a channel binding to `room`, whose `size` is SP_BINDING_SIZE at least, and returns how
 * many bytes it has. Errors: SP_EOPTION: not secure (any more), too little room; SP_EREENTRY;
 * SP_EVERSION: tls-unique in TLS 1.3, or TLS 1.2 without the extended master secret (RFC 7627),
 * where somebody between the two could have the same bytes; SP_ECERTIFICATE: no server's
 * certificate, one for whose signature no hash is defined (Ed25519, Ed448), or a server's resumed
 * session with a context of several certificates; SP_ECRYPTO.
 */
#define SP_BINDING_SIZE 64
SP_EXTERN int sp_pair_channel_binding(sp_pair_t *pair, sp_binding_t type, void *room, size_t size,
                                      sp_error_t *why);

/* A pointer of yours. */
SP_EXTERN void sp_pair_set_data(sp_pair_t *pair, void *data);
SP_EXTERN void *sp_pair_data(const sp_pair_t *pair);

/* OpenSSL's object, for what has no call here. Borrowed; do not read, write or shut down with it.
 */
SP_EXTERN struct ssl_st *sp_pair_ssl(const sp_pair_t *pair);

#ifdef __cplusplus
}
#endif
#endif
