#include "context/context.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/process.h"
#include "certificate/certificate.h"
#include "context/build.h"

/* Early data is never accepted; but a client that sends some all the same, with a ticket of another
 * server for instance, must get through (RFC 8446 4.2.10): so much of it is passed over. */
#define EARLY_DATA_SKIPPED 16384

#define STORE_TIMEOUT 250 /* milliseconds */

static bool ran_out_of_memory(void) {
  bool found = false;
  for (unsigned long error; (error = ERR_get_error());)
    found = found || ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
  return found;
}

int sp__fail_crypto(sp_error_t *why, int status, const char *format, ...) {
  char text[sizeof((sp_error_t){0}).text];
  unsigned long reason = ERR_peek_error();
  if (ran_out_of_memory())
    return sp__fail_memory(why);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  sp__fail(why, status, SP_US, "%s", text);
  if (why)
    why->reason = reason;
  return status;
}

/* An SSL without a pair, as a test may make one, has no handler. */
static const sp__handler_t *handler_of(const SSL *ssl) {
  const sp__handler_t *const *owner = ssl ? SSL_get_app_data(ssl) : NULL;
  return owner ? *owner : NULL;
}

static int on_client_hello(SSL *ssl, int *alert, void *unused) {
  (void)unused;
  const sp__handler_t *handler = handler_of(ssl);
  return handler && handler->client_hello ? handler->client_hello(ssl, alert)
                                          : SSL_CLIENT_HELLO_SUCCESS;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                   const unsigned char *in, unsigned in_size, void *unused) {
  (void)unused;
  const sp__handler_t *handler = handler_of(ssl);
  return handler && handler->alpn ? handler->alpn(ssl, out, out_size, in, in_size)
                                  : SSL_TLSEXT_ERR_NOACK;
}

/* What on_verify adds. An SSL keeps its own flags when it gets another SSL_CTX. */
static unsigned long partial_chain = X509_V_FLAG_PARTIAL_CHAIN;

static int on_verify(X509_STORE_CTX *store, void *flags) {
  if (flags)
    X509_STORE_CTX_set_flags(store, *(unsigned long *)flags);
  SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  const sp__handler_t *handler = handler_of(ssl);
  return handler && handler->verify ? handler->verify(ssl, store) : X509_verify_cert(store);
}

/* SSL_CTX_new has already applied the machine's openssl.cnf: everything it could have changed is
 * set anew here and in policy.c. */
static void settle(SSL_CTX *ctx) {
  SSL_CTX_set_security_level(ctx, 2);
  SSL_CTX_clear_options(ctx, SSL_CTX_get_options(ctx));
  SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                               SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
  /* Whether a record was complete is for the pair to see: no retry inside of OpenSSL. The chain
   * is found once, in credentials.c, not at each handshake. */
  SSL_CTX_clear_mode(ctx, SSL_CTX_get_mode(ctx));
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_early_data(ctx, 0);
  SSL_CTX_set_recv_max_early_data(ctx, EARLY_DATA_SKIPPED);
  SSL_CTX_set_quiet_shutdown(ctx, 0);
  SSL_CTX_set_read_ahead(ctx, 0);
  SSL_CTX_set_block_padding(ctx, 0);
  SSL_CTX_set_client_hello_cb(ctx, on_client_hello, NULL);
  SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
  SSL_CTX_set_cert_verify_callback(ctx, on_verify, NULL);
}

/* Everything by which the server decided about a client goes into the name under which sessions
 * may come back. */
static bool digest_policy(const sp_context_t *context, EVP_MD_CTX *hash) {
  int facts[] = {context->request_cert, context->reject_server, context->system_roots,
                 context->common_name,  context->partial_chain, context->min_version,
                 context->max_version};
  X509_STORE *store = SSL_CTX_get_cert_store(context->ssl_ctx);
  unsigned long flags = X509_VERIFY_PARAM_get_flags(X509_STORE_get0_param(store));
  return EVP_DigestInit_ex(hash, EVP_sha256(), NULL) &&
         EVP_DigestUpdate(hash, facts, sizeof facts) &&
         EVP_DigestUpdate(hash, &flags, sizeof flags) &&
         EVP_DigestUpdate(hash, context->trusted, sizeof context->trusted);
}

/* A name that the program gives stands beside the policy, not in its place. */
static bool name_server_sessions(sp_context_t *context, EVP_MD_CTX *hash,
                                 const sp_options_t *options) {
  uint8_t *name = context->session_name;
  memcpy(name, context->policy, sizeof context->session_name);
  return (!options->session_id_context ||
          (EVP_DigestInit_ex(hash, EVP_sha256(), NULL) &&
           EVP_DigestUpdate(hash, context->policy, sizeof context->policy) &&
           EVP_DigestUpdate(hash, options->session_id_context, options->session_id_context_size) &&
           EVP_DigestFinal_ex(hash, name, NULL))) &&
         SSL_CTX_set_session_id_context(context->ssl_ctx, name, sizeof context->session_name);
}

static int name_sessions(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  EVP_MD_CTX *hash = EVP_MD_CTX_new();
  bool fine = hash && digest_policy(context, hash) &&
              EVP_DigestFinal_ex(hash, context->policy, NULL) &&
              name_server_sessions(context, hash, options);
  EVP_MD_CTX_free(hash);
  return fine ? 0 : sp__fail_crypto(why, SP_ECRYPTO, "cannot compute the session id context");
}

static int build(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  if (!(context->ssl_ctx = SSL_CTX_new(TLS_method())))
    return sp__fail_crypto(why, SP_ECRYPTO, "OpenSSL cannot make an SSL_CTX");
  settle(context->ssl_ctx);
  context->hooks = options->hooks;
  context->hooks_data = options->hooks_data;
  context->logs_keys =
      options->keylog == SP_YES || (options->keylog != SP_NO && options->hooks.keylog);
  if (options->store)
    context->store = sp_store_retain(options->store);
  context->store_timeout = options->store_timeout ? options->store_timeout : STORE_TIMEOUT;
  sp__plug(context);
  context->request_cert = options->request_cert == SP_YES;
  context->reject_client = options->reject_unauthorized != SP_NO;
  context->reject_server = options->reject_unauthorized == SP_YES && context->request_cert;
  context->reject_late = options->reject_unauthorized == SP_YES;
  context->common_name = options->insecure_common_name == SP_YES;
  context->partial_chain = options->partial_chain == SP_YES;
  if (context->partial_chain)
    SSL_CTX_set_cert_verify_callback(context->ssl_ctx, on_verify, &partial_chain);
  int status = sp__policy_load(context, options, why);
  if (!status)
    status = sp__dhparam_load(context, options, why);
  if (!status)
    status = sp__trust_load(context, options, why);
  if (!status)
    status = sp__staples_load(context, options, why);
  if (!status)
    status = sp__credentials_load(context, options, why);
  if (!status)
    status = sp__staples_check(context, why);
  if (!status)
    status = sp__tickets_load(context, options, why);
  return status ? status : name_sessions(context, options, why);
}

int sp_context_new(sp_context_t **context, sp_error_t *why, const sp_options_t *options) {
  sp_options_t copy;
  *context = NULL;
  ERR_clear_error(); /* what others left behind is not ours to report */
  int status = sp__options_copy(&copy, options, why);
  if (!status)
    status = sp__options_check(&copy, why);
  if (status < 0)
    return status;
  sp__process_watch(); /* children of before the first connection may have its socket */
  sp_context_t *made = sp__zalloc(sizeof *made);
  if (!made)
    return sp__fail_memory(why);
  atomic_init(&made->references, 1);
  status = build(made, &copy, why);
  if (status < 0)
    sp_context_release(made);
  else
    *context = made;
  ERR_clear_error();
  return status;
}

sp_context_t *sp_context_retain(sp_context_t *context) {
  atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
  return context;
}

void sp_context_release(sp_context_t *context) {
  if (!context || atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) != 1)
    return;
  SSL_CTX_free(context->ssl_ctx);
  X509_free(context->issuer);
  sp__staples_free(context->staples);
  sp__tickets_release(context->tickets);
  sp_store_release(context->store);
  sp__free(context->alpn);
  sp__free(context->groups);
  sp__free(context->sigalgs);
  sp__free(context->suites);
  sp__free(context);
}

bool sp_context_has_certificate(const sp_context_t *context) { return context->has_certificate; }

int sp_context_certificate(const sp_context_t *context, sp_certificate_t **certificate) {
  *certificate = NULL;
  X509 *leaf = SSL_CTX_get0_certificate(context->ssl_ctx);
  if (!leaf)
    return SP_ECERTIFICATE;
  STACK_OF(X509) *chain = NULL;
  SSL_CTX_get0_chain_certs(context->ssl_ctx, &chain);
  return sp__certificate_view(certificate, leaf, chain, NULL);
}

SSL_CTX *sp_context_ssl_ctx(const sp_context_t *context) { return context->ssl_ctx; }

static int verify_mode(const sp_context_t *context, sp_role_t role) {
  if (role == SP_CLIENT)
    return SSL_VERIFY_PEER; /* whether a refusal ends the handshake: the pair's handler */
  if (!context->request_cert)
    return SSL_VERIFY_NONE;
  return SSL_VERIFY_PEER | (context->reject_server ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
}

static int verify_with(const sp_context_t *context, SSL *ssl, int mode) {
  SSL_set_verify(ssl, mode, NULL);
  if (!context->system_roots || context->own_store || mode == SSL_VERIFY_NONE)
    return 0;
  X509_STORE *roots = sp__system_roots();
  if (!roots || !SSL_set1_verify_cert_store(ssl, roots))
    return sp__fail_memory(NULL);
  return 0;
}

int sp__context_apply(const sp_context_t *context, SSL *ssl, sp_role_t role, bool swapped) {
  int status = swapped ? sp__policy_apply(context, ssl) : 0;
  return status < 0 ? status : verify_with(context, ssl, verify_mode(context, role));
}

int sp__context_ask(const sp_context_t *context, SSL *ssl) {
  int demand = context->reject_late ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
  return verify_with(context, ssl, SSL_VERIFY_PEER | SSL_VERIFY_POST_HANDSHAKE | demand);
}
