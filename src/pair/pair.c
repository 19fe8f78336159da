/* A pair's life, and the guard around its engine. */
#include "pair/pair.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/process.h"
#include "certificate/certificate.h"
#include "context/signer.h"
#include "pair/lookup.h"
#include "pair/target.h"

static const sp__handler_t handler = {
    .client_hello = sp__pair_hello,
    .alpn = sp__pair_alpn,
    .verify = sp__pair_verify,
    .keylog = sp__pair_keylog,
    .session_new = sp__pair_session_new,
    .session_get = sp__pair_session_get,
    .staple = sp__pair_staple,
    .tickets = sp__pair_tickets,
    .ticket_made = sp__pair_ticket_made,
    .ticket_fits = sp__pair_ticket_fits,
};

/* Looking is much cheaper than clearing, which writes to all of the queue. */
static void clear_errors(void) {
  if (ERR_peek_error())
    ERR_clear_error();
}

int sp__pair_enter(sp_pair_t *pair) {
  if (pair->busy)
    return SP_EREENTRY;
  if (pair->error)
    return pair->error->status;
  if (pair->process != sp__process)
    return sp__pair_fail_forked(pair);
  pair->busy = true;
  clear_errors(); /* what others left behind is not ours to report */
  sp__signer_enter(sp__pair_sign, pair);
  return 0;
}

static void free_error(sp_error_t *error) {
  if (error != &sp__memory_error)
    sp__free(error);
}

static void pair_free(sp_pair_t *pair) {
  sp__target_free(pair);
  sp__pair_end_lookup(pair);
  SSL_free(pair->ssl);
  sp__pair_free_renegotiation(pair);
  sp__pair_drop_session(pair);
  X509_free(pair->refused);
  sp__pair_drop_blocks(pair);
  sp_context_release(pair->context);
  sp_context_release(pair->origin);
  sp__free(pair->server_name);
  sp__free(pair->protocol);
  sp__wipe(pair->signature, pair->signature_size);
  sp__free(pair->signature);
  sp__free(pair->hooks);
  free_error(pair->error);
  free_error(pair->verdict);
  sp__free(pair);
}

int sp__pair_leave(sp_pair_t *pair, int status) {
  sp__signer_leave();
  clear_errors();
  pair->busy = false;
  if (pair->doomed)
    sp_pair_release(pair);
  return status;
}

/* SSL_free does not free a job that is paused in a hook: let it end with a refusal, also when
 * the pair failed meanwhile for another reason, or was resumed and did not go on yet. */
static void finish_job(sp_pair_t *pair) {
  free_error(pair->error);
  pair->error = NULL;
  pair->lent = NULL;
  SSL_set_msg_callback(pair->ssl, NULL); /* nobody listens any more */
  pair->waiting = SP__WAIT_NONE;
  pair->answer = SP_EREFUSED;
  (void)sp__pair_drive(pair);
}

void sp_pair_release(sp_pair_t *pair) {
  if (!pair)
    return;
  if (pair->busy || pair->making) {
    pair->doomed = true;
    return;
  }
  pair->doomed = false;
  if (pair->ssl && SSL_waiting_for_async(pair->ssl))
    finish_job(pair);
  pair_free(pair);
}

static int set_name(sp_pair_t *pair, const char *name, sp_error_t *why) {
  bool is_address = sp__is_address(name);
  if (!is_address && !sp__is_host_name(name))
    return sp__fail(why, SP_EOPTION, SP_US,
                    "server name \"%s\" is neither a host name nor an address", name);
  if (!(pair->server_name = sp__copy_text(name)))
    return sp__fail_memory(why);
  if (is_address)
    return 0; /* RFC 6066 3: addresses are not sent */
  size_t n = strlen(name);
  if (pair->server_name[n - 1] == '.')
    pair->server_name[n - 1] = '\0';
  if (!SSL_set_tlsext_host_name(pair->ssl, pair->server_name))
    return sp__fail_memory(why);
  return 0;
}

static int make_engine(sp_pair_t *pair, sp_error_t *why) {
  BIO *bio = sp__pair_bio(pair);
  if (bio)
    pair->ssl = SSL_new(pair->context->ssl_ctx);
  if (!pair->ssl) {
    BIO_free(bio);
    return sp__fail_memory(why);
  }
  SSL_set_bio(pair->ssl, bio, bio);
  if (!SSL_set_app_data(pair->ssl, pair))
    return sp__fail_memory(why);
  SSL_set_info_callback(pair->ssl, sp__pair_watch);
  sp__pair_watch_messages(pair);
  if (pair->role == SP_CLIENT)
    SSL_set_connect_state(pair->ssl);
  else
    SSL_set_accept_state(pair->ssl);
  if (pair->context->is_signed_by_hook && pair->role == SP_CLIENT)
    SSL_set_mode(pair->ssl, SSL_MODE_ASYNC); /* a server: after its other hooks, see hello.c */
  int status = sp__context_apply(pair->context, pair->ssl, (sp_role_t)pair->role, false);
  if (status < 0)
    return sp__fail(why, status, SP_US, "OpenSSL refused the context's policy");
  return 0;
}

static int make_client(sp_pair_t *pair, const sp_options_t *options, sp_error_t *why) {
  int status = options->server_name ? set_name(pair, options->server_name, why) : 0;
  if (status < 0)
    return status;
  /* what a session was made under is bound to its bytes; OpenSSL compares this, too, and would fail
   */
  if (!SSL_set_session_id_context(pair->ssl, pair->context->policy, sizeof pair->context->policy))
    return sp__fail_memory(why);
  status = sp__pair_want_staple(pair, options, why);
  if (status < 0 || (status = sp__target_set(pair, options, why)) < 0)
    return status;
  if (options->session)
    (void)sp__pair_resume_session(pair, options->session, options->session_size);
  else
    sp__target_resume(pair);
  sp__pair_offer_psk(pair);
  status = sp__pair_drive(pair); /* the client's first flight */
  if (status < 0 && why)
    *why = *pair->error;
  return status;
}

static int set_own_hooks(sp_pair_t *pair, const sp_options_t *options, sp_error_t *why) {
  int status = sp__hooks_check(&options->hooks, pair->context, why);
  if (status < 0)
    return status;
  status = sp_pair_set_hooks(pair, &options->hooks, options->hooks_data);
  return status < 0 ? sp__fail_memory(why) : 0;
}

static int make(sp_pair_t *pair, const sp_options_t *options, bool own_hooks, sp_error_t *why) {
  int status = make_engine(pair, why);
  if (!status && own_hooks)
    status = set_own_hooks(pair, options, why);
  if (status < 0)
    return status;
  return pair->role == SP_CLIENT ? make_client(pair, options, why) : 0;
}

/* A pair with a context that is there. */
static int make_with(sp_pair_t **made, sp_context_t *context, sp_role_t role,
                     const sp_options_t *options, bool own_hooks, sp_error_t *why) {
  sp_pair_t *pair = sp__zalloc(sizeof *pair);
  if (!pair)
    return sp__fail_memory(why);
  sp__process_watch();
  pair->process = sp__process;
  pair->handler = &handler;
  pair->context = sp_context_retain(context);
  pair->role = (uint8_t)role;
  pair->check_name = options->check_name != SP_NO;
  pair->strict_sni = role == SP_SERVER && options->strict_sni == SP_YES;
  pair->alert = pair->refuse = -1;
  clear_errors();
  pair->making = true;
  int status = make(pair, options, own_hooks, why);
  pair->making = false;
  clear_errors();
  if (!status && pair->doomed)
    status = sp__fail(why, -ECANCELED, SP_US, "a hook released the pair while it was made");
  if (status < 0)
    sp_pair_release(pair);
  else
    *made = pair;
  return status;
}

int sp_pair_new(sp_pair_t **made, sp_context_t *context, sp_role_t role, const char *server_name,
                bool check_name, sp_error_t *why) {
  sp_options_t options = {.server_name = server_name, .check_name = check_name ? SP_YES : SP_NO};
  return make_with(made, context, role, &options, false, why);
}

int sp_pair_make(sp_pair_t **made, sp_role_t role, sp_error_t *why, const sp_options_t *options) {
  sp_options_t copy;
  sp_context_t *context;
  int status = sp__options_copy(&copy, options, why);
  if (!status)
    status = sp__context_of(&context, &copy, why);
  if (status)
    return status;
  status = make_with(made, context, role, &copy, copy.context && sp__hooks_any(&copy.hooks), why);
  sp_context_release(context);
  return status;
}

unsigned sp_pair_state(const sp_pair_t *pair) {
  unsigned state = 0;
  if (sp__pair_is_away(pair))
    return SP_PAIR_WAITING;
  bool reads = !pair->peer_ended && !pair->truncated && !pair->read_blocked;
  if (pair->ahead && pair->process == sp__process)
    state |= SP_PAIR_HAS_ENCRYPTED;
  if (pair->secure)
    state |= SP_PAIR_SECURE;
  if (pair->peer_ended)
    state |= SP_PAIR_PEER_ENDED;
  if (pair->truncated)
    state |= SP_PAIR_TRUNCATED;
  if (pair->ended)
    state |= SP_PAIR_ENDED;
  if (pair->waiting)
    state |= SP_PAIR_WAITING;
  if (pair->error)
    return state | SP_PAIR_FAILED;
  if (pair->secure && reads && (pair->in_left || SSL_pending(pair->ssl)))
    state |= SP_PAIR_HAS_CLEARTEXT;
  if (pair->secure && !pair->ending && !SSL_in_init(pair->ssl) && sp__pair_record_room(pair))
    state |= SP_PAIR_TAKES_CLEARTEXT;
  if (reads && !pair->in_left && !pair->transport_ended && !pair->waiting)
    state |= SP_PAIR_WANTS_ENCRYPTED;
  return state;
}

void sp_pair_release_buffers(sp_pair_t *pair) {
  if (!sp__pair_is_secure(pair))
    return;
  /* Not after the header of a record without its body: OpenSSL before 3.0.14 frees that, too, and
   * reads it later (CVE-2024-4741). */
  bool between = !strcmp(SSL_rstate_string(pair->ssl), "RH") && !SSL_has_pending(pair->ssl);
  if (!pair->busy && !pair->error && between)
    SSL_free_buffers(pair->ssl);
}

void sp_pair_set_data(sp_pair_t *pair, void *data) { pair->data = data; }
void *sp_pair_data(const sp_pair_t *pair) { return pair->data; }
SSL *sp_pair_ssl(const sp_pair_t *pair) { return pair->ssl; }
sp_role_t sp_pair_role(const sp_pair_t *pair) { return (sp_role_t)pair->role; }
sp_context_t *sp_pair_context(const sp_pair_t *pair) { return pair->context; }
