/* The inside of a context, and what the pair layer plugs into it. */
#ifndef SP_CONTEXT_CONTEXT_H
#define SP_CONTEXT_CONTEXT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include <securepair/context.h>

#include "context/staples.h"
#include "context/tickets.h"

struct sp_context {
  atomic_uint references;
  SSL_CTX *ssl_ctx;
  sp_hooks_t hooks;
  void *hooks_data;
  uint8_t *alpn; /* our protocols in wire form (RFC 7301 3.1); NULL: none */
  size_t alpn_size;
  sp__tickets_t *tickets;
  sp_store_t *store;      /* of a server's sessions; NULL: they are in the clients' tickets */
  int store_timeout;      /* milliseconds; below 0: no limit */
  sp__staples_t *staples; /* NULL: none */
  X509 *issuer; /* of our certificate, from what was given as its chain; NULL: look in the trust */
  bool has_certificate;
  bool system_roots; /* no `ca` was given */
  bool own_store;    /* ... but `crl` was: the SSL_CTX has them in a store of its own */
  bool request_cert; /* as a server */
  bool reject_client, reject_server; /* reject_unauthorized as it comes out for either role */
  bool reject_late;                  /* as a server, who is asked for a certificate later */
  bool renegotiates;
  bool common_name, partial_chain;
  bool logs_keys;         /* the option keylog, or the hook */
  bool is_signed_by_hook; /* its key came from sp__signer_key */
  /* what SSL_set_SSL_CTX leaves as it was and sp__context_apply must set */
  char *groups, *sigalgs, *suites;
  int min_version, max_version;
  uint32_t key_records; /* under one key */
  int renegotiation_limit, renegotiation_window;
  uint8_t trusted[32];      /* a digest of what is in the SSL_CTX's store */
  uint8_t policy[32];       /* a digest of what decides about a peer */
  uint8_t shown[32];        /* ... of all our certificates */
  uint8_t session_name[32]; /* under which a server's sessions are resumed */
  int record_size;          /* 0: full ones */
  int64_t lists_from,
      lists_until; /* each issuer has a valid revocation list, in Unix time; no lists: always */
};

/*
 * OpenSSL calls some hooks by SSL_CTX only. A context passes them on to the connection, whose
 * SSL_get_app_data points to an object that begins with a pointer to this table.
 */
typedef struct sp__handler {
  int (*client_hello)(SSL *ssl, int *alert); /* as SSL_client_hello_cb_fn */
  int (*alpn)(SSL *ssl, const unsigned char **out, unsigned char *out_size, const unsigned char *in,
              unsigned in_size);                  /* as SSL_CTX_alpn_select_cb_func */
  int (*verify)(SSL *ssl, X509_STORE_CTX *store); /* as SSL_CTX_set_cert_verify_callback */
  void (*keylog)(const SSL *ssl, const char *line);
  int (*session_new)(SSL *ssl, SSL_SESSION *session);
  SSL_SESSION *(*session_get)(SSL *ssl, const unsigned char *id, int n, int *copy);
  int (*staple)(SSL *ssl); /* as SSL_CTX_set_tlsext_status_cb */
  /* of the context that it began with: OpenSSL, too, stays with its keys when another one is chosen
   */
  sp__tickets_t *(*tickets)(const SSL *ssl);
  int (*ticket_made)(SSL *ssl); /* as SSL_CTX_generate_session_ticket_fn */
  bool (*ticket_fits)(SSL *ssl, SSL_SESSION *session);
} sp__handler_t;

/* The options as this version of the library knows them, whatever version the caller was compiled
 * against: fields it does not know are 0. NULL gives all defaults. SP_EOPTION: no size. */
int sp__options_copy(sp_options_t *copy, const sp_options_t *options, sp_error_t *why);

/* options->context retained, or a new one made from the rest. */
int sp__context_of(sp_context_t **context, const sp_options_t *options, sp_error_t *why);

/* Gives a fresh SSL (role already set) what is not inherited from SSL_CTX: verification mode,
 * the store of the system's roots; also used after SSL_set_SSL_CTX changed the context of a
 * server's SSL in its client_hello hook, where it sets versions, groups, ... anew.
 * Returns 0, UV_ENOMEM or SP_ECRYPTO. */
int sp__context_apply(const sp_context_t *context, SSL *ssl, sp_role_t role, bool swapped);

/* A server's, with a certificate or with keys that its clients know before. */
static inline bool sp__context_can_serve(const sp_context_t *context) {
  return context->has_certificate || context->hooks.psk_server;
}

/* Whether each issuer of its revocation lists has one that is valid now. */
bool sp__lists_are_current(const sp_context_t *context);

/* Has a server's SSL ask for a certificate after its handshake. Returns as the above. */
int sp__context_ask(const sp_context_t *context, SSL *ssl);

/* The system's roots, loaded once for the process. Borrowed. NULL: no memory. Any thread. */
X509_STORE *sp__system_roots(void);

#endif
