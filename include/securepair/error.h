/* Status numbers, errors with a sentence a person can act on, and the library's memory. */
#ifndef SECUREPAIR_ERROR_H
#define SECUREPAIR_ERROR_H

#include <stddef.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SP_EXTERN __attribute__((visibility("default")))
#else
#define SP_EXTERN
#endif

#define SP_VERSION_MAJOR 0
#define SP_VERSION_MINOR 1
#define SP_VERSION_PATCH 0

/* The version of the library that runs, as "0.1.0". A constant. Any thread. */
SP_EXTERN const char *sp_version(void);

/* A hook's answer "not yet": go on with sp_pair_resume. The only positive status of the library. */
#define SP_PENDING 1

/*
 * The library's own errors. libuv's end at -4096 (UV_ERRNO_MAX); ours begin at -5001, so one
 * `int status` serves everywhere. Each has a name and a general sentence; the sentence in an
 * sp_error_t is the particular one.
 */
#define SP_ERROR_MAP(X)                                                                            \
  X(PROTOCOL, -5001, "the peer broke the rules of TLS")                                            \
  X(ALERT, -5002, "the peer ended the connection with a TLS alert")                                \
  X(UNAUTHORIZED, -5003, "the peer's certificate was not accepted")                                \
  X(TRUNCATED, -5004, "the connection ended without a close_notify: data may be missing")          \
  X(EARLYCLOSE, -5005, "the peer closed before a handshake was done")                              \
  X(NOTTLS, -5006, "what the peer sends is not TLS")                                               \
  X(HTTP, -5007, "the peer speaks plain HTTP on a TLS connection")                                 \
  X(INJECTED, -5008, "cleartext was sent ahead of the TLS handshake")                              \
  X(REENTRY, -5009, "the pair was entered from one of its own hooks")                              \
  X(ENDED, -5010, "written to after its end")                                                      \
  X(OVERFLOW, -5011, "more was written than the write limit allows: wait for drain")               \
  X(REFUSED, -5012, "refused by a hook")                                                           \
  X(KEYUSED, -5013, "a key was used as often as is safe: connect anew")                            \
  X(RENEGOTIATION, -5014, "renegotiation was refused, or asked for too often")                     \
  X(FORKED, -5015, "the connection belongs to the process that this one was forked from")          \
  X(NAME, -5016, "the client asks for no server name that is served here")                         \
  X(KEY, -5020, "the private key cannot be used")                                                  \
  X(CERTIFICATE, -5021, "the certificate cannot be used")                                          \
  X(MISMATCH, -5022, "key and certificate do not belong together")                                 \
  X(PASSPHRASE, -5023, "the private key needs a passphrase, or another one")                       \
  X(CA, -5024, "the trusted certificates cannot be used")                                          \
  X(CRL, -5025, "the revocation list cannot be used")                                              \
  X(CIPHERS, -5026, "unknown or unusable ciphers, suites, groups or signature algorithms")         \
  X(VERSION, -5027, "unknown or contradictory protocol versions")                                  \
  X(OPTION, -5028, "an option is missing, unknown or contradicts another")                         \
  X(CRYPTO, -5029, "OpenSSL failed for a reason of its own")                                       \
  X(STAPLE, -5030, "the OCSP response to be sent cannot be used")

enum {
#define SP_ERROR_ENUM(name, number, text) SP_E##name = number,
  SP_ERROR_MAP(SP_ERROR_ENUM)
#undef SP_ERROR_ENUM
};

/* Whose doing an error is. */
typedef enum sp_party {
  SP_US = 0,       /* this side: an option, a check, a limit, memory */
  SP_PEER = 1,     /* the other side: an alert, a broken rule, a certificate */
  SP_TRANSPORT = 2 /* what lies between: a reset, a time-out, a refused connection */
} sp_party_t;

/*
 * An error is a value. Its text is complete ("certificate for mail.example expired 3 days ago
 * (2026-11-20)"), made when the error happened, ends with a NUL, holds no control characters
 * whatever the peer sent, and belongs to whoever holds the structure.
 */
typedef struct sp_error {
  int status;           /* 0, or SP_E..., or libuv's UV_E... */
  sp_party_t who;       /* meaningless while status is 0 */
  int alert;            /* the TLS alert sent (us) or received (peer), RFC 8446 6; -1: none */
  long verify;          /* the verification result, X509_V_ERR_... of OpenSSL; 0: none */
  unsigned long reason; /* OpenSSL's packed error, for ERR_reason_error_string(); 0: none */
  char text[256];
} sp_error_t;

/* The constant's name: "SP_ETRUNCATED", "ECONNRESET"; "OK" for 0, "UNKNOWN" for anything else.
 * A constant. Any thread. */
SP_EXTERN const char *sp_error_name(int status);

/* The general sentence for a status. A constant. Any thread. */
SP_EXTERN const char *sp_error_text(int status);

/* Writes "name: text" and a newline to `to`. Any thread. Returns error->status. */
SP_EXTERN int sp_error_print(FILE *to, const sp_error_t *error);

/* "CERT_HAS_EXPIRED" for X509_V_ERR_CERT_HAS_EXPIRED and so on, the names that Node uses;
 * "ERR_TLS_CERT_ALTNAME_INVALID" where the certificate does not name the host; NULL for 0
 * (X509_V_OK). A constant. Any thread. */
SP_EXTERN const char *sp_verify_name(long verify);

/* "certificate_expired" for alert 45 and so on (RFC 8446 6); "unknown" for a number that is none.
 * A constant. Any thread. */
SP_EXTERN const char *sp_alert_name(int alert);

/*
 * Classes of failures, for those who count them: what an operator can tell apart and act on.
 */
#define SP_FAILURE_MAP(X)                                                                          \
  X(NOTTLS, "not_tls", "what the peer sent was not TLS")                                           \
  X(HTTP, "plain_http", "the peer spoke plain HTTP")                                               \
  X(VERSION, "no_shared_version", "no protocol version in common")                                 \
  X(CIPHER, "no_shared_cipher", "no cipher suite, group or signature algorithm in common")         \
  X(ALPN, "no_shared_protocol", "no application protocol in common")                               \
  X(NAME, "unknown_name", "no such server name here")                                              \
  X(NOCERTIFICATE, "certificate_missing", "the peer showed no certificate")                        \
  X(CERTIFICATE, "certificate_refused", "the peer's certificate was not accepted")                 \
  X(ALERTCERTIFICATE, "alert_certificate", "by the peer's alert it refused our certificate")       \
  X(ALERTAGREEMENT, "alert_agreement", "by the peer's alert nothing was in common for it")         \
  X(ALERT, "alert_other", "the peer sent another alert")                                           \
  X(MALFORMED, "malformed", "the peer broke the rules of TLS")                                     \
  X(INJECTED, "injected", "cleartext came ahead of the handshake")                                 \
  X(CLOSED, "closed_early", "the peer closed too early")                                           \
  X(TIMEOUT, "timeout", "not done in time")                                                        \
  X(TRANSPORT, "reset", "the transport broke: a reset for instance")                               \
  X(REFUSED, "hook_refused", "a hook refused")                                                     \
  X(CANCELED, "canceled", "this program destroyed it")                                             \
  X(INTERNAL, "internal", "our own: memory, keys, OpenSSL")

typedef enum sp_failure {
  SP_FAILURE_NONE = 0,
#define SP_FAILURE_ENUM(name, word, text) SP_FAILURE_##name,
  SP_FAILURE_MAP(SP_FAILURE_ENUM)
#undef SP_FAILURE_ENUM
      SP_FAILURES
} sp_failure_t;

/* The class of an error; SP_FAILURE_NONE for status 0. Any thread. */
SP_EXTERN sp_failure_t sp_failure_of(const sp_error_t *error);

/* Its word, "certificate_missing"; "none"; "unknown" for a number that is none. A constant. Any
 * thread. */
SP_EXTERN const char *sp_failure_name(sp_failure_t failure);

/*
 * Replaces the allocator of the library (not OpenSSL's or libuv's: they have their own calls for
 * this). Call it before anything else and from one thread; all three or none (NULL) must be given.
 * Returns 0, or SP_EOPTION when only some are given.
 */
SP_EXTERN int sp_replace_allocator(void *(*allocate)(size_t size),
                                   void *(*reallocate)(void *memory, size_t size),
                                   void (*release)(void *memory));

#ifdef __cplusplus
}
#endif
#endif
