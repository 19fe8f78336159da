/* A server's hooks on the client's first message: what it says, its name, its protocols. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/async.h>
#include <openssl/err.h>

#include "base/error.h"
#include "base/memory.h"
#include "certificate/certificate.h"
#include "pair/lookup.h"
#include "pair/offer.h"
#include "pair/pair.h"

/* The host_name in the extension's content. Below 0: it is malformed. */
static int name_in(const uint8_t *p, size_t n, const uint8_t **name, size_t *size) {
  if (n < 5 || (size_t)(p[0] << 8 | p[1]) != n - 2 || p[2] != TLSEXT_NAMETYPE_host_name)
    return -1;
  size_t length = (size_t)(p[3] << 8 | p[4]);
  if (!length || length != n - 5)
    return -1;
  *name = p + 5;
  *size = length;
  return 0;
}

int sp__hello_name(SSL *ssl, const uint8_t **name, size_t *size) {
  const unsigned char *p;
  size_t n;
  *name = NULL;
  *size = 0;
  if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n))
    return 0;
  return name_in(p, n, name, size);
}

/* The name as text in lower case without a trailing dot; false if it is no host name, which
 * counts as none. A name is never cut to fit. */
static bool host_name(char room[256], const uint8_t *name, size_t n) {
  if (!n || n > 254 || memchr(name, 0, n))
    return false;
  for (size_t i = 0; i < n; i++)
    room[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
  room[n] = '\0';
  if (sp__is_address(room) || !sp__is_host_name(room))
    return false;
  if (room[n - 1] == '.')
    room[n - 1] = '\0';
  return true;
}

/* The ALPN list in wire form without its length (RFC 7301 3.1). Below 0: malformed. */
static int hello_protocols(SSL *ssl, const uint8_t **list, size_t *size) {
  const unsigned char *p;
  size_t n;
  *list = NULL;
  *size = 0;
  if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &p, &n))
    return 0;
  if (n < 4 || (size_t)(p[0] << 8 | p[1]) != n - 2)
    return -1;
  for (size_t i = 2; i < n; i += 1u + p[i])
    if (!p[i] || i + 1 + p[i] > n)
      return -1;
  *list = p + 2;
  *size = n - 2;
  return 0;
}

/* The numbers of two bytes each in an extension, without their length, which has `prefix` bytes.
 * Below 0: malformed. */
static int hello_numbers(SSL *ssl, unsigned type, size_t prefix, const uint8_t **list,
                         size_t *size) {
  const unsigned char *p;
  size_t n;
  if (!SSL_client_hello_get0_ext(ssl, type, &p, &n))
    return 0;
  if (n < prefix + 2)
    return -1;
  size_t length = prefix == 1 ? p[0] : (size_t)(p[0] << 8 | p[1]);
  if (length != n - prefix || length % 2)
    return -1;
  *list = p + prefix;
  *size = length;
  return 0;
}

static int read_hello(SSL *ssl, sp_client_hello_t *hello) {
  const uint8_t *name;
  char room[256];
  if (sp__hello_name(ssl, &name, &hello->server_name_size) < 0 ||
      hello_protocols(ssl, &hello->protocols, &hello->protocols_size) < 0 ||
      hello_numbers(ssl, TLSEXT_TYPE_supported_versions, 1, &hello->versions,
                    &hello->versions_size) < 0 ||
      hello_numbers(ssl, TLSEXT_TYPE_supported_groups, 2, &hello->groups, &hello->groups_size) <
          0 ||
      hello_numbers(ssl, TLSEXT_TYPE_signature_algorithms, 2, &hello->sigalgs,
                    &hello->sigalgs_size) < 0)
    return SP_EPROTOCOL;
  if (host_name(room, name, hello->server_name_size))
    hello->server_name = (const char *)name;
  else
    hello->server_name_size = 0;
  hello->version = SSL_client_hello_get0_legacy_version(ssl);
  if (!SSL_client_hello_isv2(ssl)) /* whose suites have three bytes */
    hello->suites_size = SSL_client_hello_get0_ciphers(ssl, &hello->suites);
  return 0;
}

/* The types of the extensions, to be freed; *count 0: there are none. */
static int hello_types(const sp_pair_t *pair, uint16_t **types, size_t *count) {
  sp__offer_t offer;
  *types = NULL;
  *count = sp__offer_read(&offer, pair->hello) ? sp__offer_types(&offer, NULL) : 0;
  if (!*count)
    return 0;
  if (!(*types = sp__alloc(*count * sizeof **types)))
    return -ENOMEM;
  (void)sp__offer_types(&offer, *types);
  return 0;
}

static int ask_hello(sp_pair_t *pair, const sp_hooks_t *hooks, void *data) {
  if (!hooks->client_hello)
    return 0;
  uint16_t *types;
  sp_client_hello_t hello = {.server_name = NULL};
  int status = read_hello(pair->ssl, &hello);
  if (!status)
    status = hello_types(pair, &types, &hello.extension_count);
  if (status < 0)
    return status;
  hello.extensions = types;
  status = hooks->client_hello(pair, &hello, data);
  sp__free(types);
  return status;
}

static int ask_name(sp_pair_t *pair, const sp_hooks_t *hooks, void *data) {
  const uint8_t *name;
  size_t size;
  char room[256];
  if (!hooks->server_name && !pair->lookup)
    return 0;
  if (sp__hello_name(pair->ssl, &name, &size) < 0)
    return SP_EPROTOCOL;
  if (!host_name(room, name, size))
    return 0;
  sp_context_t *found = pair->lookup ? pair->lookup(pair->owner, room) : NULL;
  if (found && sp_pair_use_context(pair, found) < 0)
    return -ENOMEM;
  return hooks->server_name ? hooks->server_name(pair, room, data) : 0;
}

static int ask_alpn(sp_pair_t *pair, const sp_hooks_t *hooks, void *data) {
  const uint8_t *list;
  size_t size;
  if (!hooks->alpn)
    return 0;
  if (hello_protocols(pair->ssl, &list, &size) < 0)
    return SP_EPROTOCOL;
  return list ? hooks->alpn(pair, list, size, data) : 0;
}

/* Whether nobody has anything to say to the first message. */
static bool is_left_alone(const sp_pair_t *pair) {
  void *data;
  const sp_hooks_t *hooks = sp__pair_hooks(pair, &data);
  return !hooks->client_hello && !hooks->server_name && !hooks->alpn && !hooks->session_get &&
         !pair->lookup && !sp__pair_store(pair);
}

static int ask(sp_pair_t *pair) {
  static int (*const stages[])(sp_pair_t *, const sp_hooks_t *,
                               void *) = {ask_hello, ask_name, ask_alpn, sp__pair_ask_session};
  void *data;
  const sp_hooks_t *hooks = sp__pair_hooks(pair, &data);
  sp_context_t *asked = sp_context_retain(pair->context); /* the answer may be another one */
  pair->in_hook = true;
  ERR_set_mark(); /* what a hook leaves in OpenSSL's queue would fail the handshake */
  int answer = stages[pair->stage](pair, hooks, data);
  ERR_pop_to_mark();
  pair->in_hook = false;
  sp_context_release(asked);
  return answer;
}

/* The context that a hook chose takes over: certificate, trust and policy. */
static int swap_context(sp_pair_t *pair) {
  if (!pair->swapped)
    return 0;
  pair->swapped = false;
  if (!SSL_set_SSL_CTX(pair->ssl, pair->context->ssl_ctx))
    return SP_ECRYPTO;
  int status = sp__context_apply(pair->context, pair->ssl, (sp_role_t)pair->role, true);
  sp__pair_keep_store(pair);
  return status;
}

static int refuse(sp_pair_t *pair, int status, int *alert) {
  static const int usual = SSL_AD_HANDSHAKE_FAILURE;
  pair->answer = status;
  if (pair->refuse >= 0)
    *alert = pair->refuse;
  else
    *alert = status == SP_EPROTOCOL ? SSL_AD_DECODE_ERROR : usual;
  return SSL_CLIENT_HELLO_ERROR;
}

/* After a HelloRetryRequest the client repeats its first message (RFC 8446 4.1.2). The hooks were
 * asked about that one: who asks for another name now would get to it by the context of the first.
 * OpenSSL does not compare them, but still has the first one's name when the second comes. */
static bool is_for_another(const sp_pair_t *pair, const uint8_t *message) {
  sp__offer_t offer;
  sp__span_t content;
  const uint8_t *name = NULL;
  size_t n = 0;
  if (!sp__offer_read(&offer, message))
    return false; /* OpenSSL refuses it */
  bool has = sp__offer_find(&offer, TLSEXT_TYPE_server_name, &content);
  return (has && name_in(content.bytes, content.n, &name, &n) < 0) ||
         !sp__pair_is_served(pair->ssl, name, n);
}

/* OpenSSL shows the extensions that it knows only: the message as it came is remembered. It stays
 * where it is until the hooks are done. */
void sp__pair_note_hello(sp_pair_t *pair, const uint8_t *message, size_t n) {
  if (pair->role != SP_SERVER || pair->secure || n < SSL3_HM_HEADER_LENGTH ||
      message[0] != SSL3_MT_CLIENT_HELLO)
    return;
  if (pair->stage < SP__ASKED)
    pair->hello = message;
  else
    pair->renamed = pair->greeted && is_for_another(pair, message);
}

/* strict_sni: says which name it is that chose no context. */
static int refuse_name(sp_pair_t *pair, int *alert) {
  const uint8_t *name;
  size_t size = 0;
  char room[256], text[400] = "the client names no server (SNI), which this one insists on";
  bool is_malformed = sp__hello_name(pair->ssl, &name, &size) < 0;
  if (!is_malformed && host_name(room, name, size))
    (void)snprintf(text, sizeof text, "no server of the name %s is served here", room);
  else if (is_malformed || size)
    (void)snprintf(text, sizeof text, "the server name that the client asks for (SNI) is none");
  pair->alert = SSL_AD_UNRECOGNIZED_NAME; /* the error is older than the alert */
  (void)sp__pair_fail(pair, SP_ENAME, SP_PEER, text);
  *alert = SSL_AD_UNRECOGNIZED_NAME;
  return SSL_CLIENT_HELLO_ERROR;
}

static int refuse_other_name(sp_pair_t *pair, int *alert) {
  pair->alert = SSL_AD_ILLEGAL_PARAMETER; /* the error is older than the alert */
  (void)sp__pair_fail(pair, SP_EPROTOCOL, SP_PEER,
                      "the client asks for another server name (SNI) in the second of its first "
                      "messages: its program is faulty, or tries to get around checks");
  *alert = SSL_AD_ILLEGAL_PARAMETER;
  return SSL_CLIENT_HELLO_ERROR;
}

int sp__pair_hello(SSL *ssl, int *alert) {
  sp_pair_t *pair = SSL_get_app_data(ssl);
  if (pair->secure)
    return sp__pair_hello_again(pair, alert);
  if (pair->waiting)
    return SSL_CLIENT_HELLO_RETRY;
  if (pair->answer < 0) /* resumed with a refusal */
    return refuse(pair, pair->answer, alert);
  if (pair->renamed)
    return refuse_other_name(pair, alert);
  if (is_left_alone(pair))
    pair->stage = SP__ASKED;
  if (pair->stage < SP__ASKED && sp__pair_stops_to_ask(pair)) {
    pair->apart->asks = true;
    return SSL_CLIENT_HELLO_RETRY;
  }
  for (; pair->stage < SP__ASKED; pair->stage++) {
    int answer = ask(pair);
    if (pair->doomed)
      answer = SP_EREFUSED; /* the others are not asked any more */
    if (answer == SP_PENDING) {
      pair->waiting = SP__WAIT_HELLO;
      pair->stage++;
      return SSL_CLIENT_HELLO_RETRY;
    }
    if (answer < 0)
      return refuse(pair, answer, alert);
  }
  if (pair->strict_sni && !pair->origin)
    return refuse_name(pair, alert);
  pair->hello = NULL;
  if (pair->apart && !pair->apart->away && sp__pair_may_leave(pair))
    return SSL_CLIENT_HELLO_RETRY; /* the rest is done apart */
  int status = swap_context(pair);
  if (status < 0)
    return refuse(pair, status, alert);
  sp__pair_offer_staple(pair);
  sp__pair_offer_psk(pair);
  bool needs_job =
      pair->context->is_signed_by_hook || (sp__pair_asks_for_keys(pair) && ASYNC_is_capable());
  if (needs_job && !(SSL_get_mode(ssl) & SSL_MODE_ASYNC)) {
    /* takes effect when the engine is entered anew; from then on it runs on a job's small stack,
     * on which no hook is called */
    SSL_set_mode(ssl, SSL_MODE_ASYNC);
    pair->again = true;
    return SSL_CLIENT_HELLO_RETRY;
  }
  pair->greeted = true;
  return SSL_CLIENT_HELLO_SUCCESS;
}

/* Finds `want` in a list in wire form. */
static const uint8_t *find(const uint8_t *list, size_t n, const void *want, size_t size) {
  for (size_t i = 0; i < n; i += 1u + list[i])
    if (list[i] == size && !memcmp(list + i + 1, want, size))
      return list + i;
  return NULL;
}

/* The hook's choice, or the first of ours that the client offers too. */
static const uint8_t *choose(const sp_pair_t *pair, const uint8_t *in, size_t n) {
  if (pair->protocol)
    return find(in, n, pair->protocol, pair->protocol_size);
  const sp_context_t *context = pair->context;
  const uint8_t *found = NULL;
  if (!context->alpn)
    return NULL;
  for (size_t i = 0; i < context->alpn_size && !found; i += 1u + context->alpn[i])
    found = find(in, n, context->alpn + i + 1, context->alpn[i]);
  return found;
}

int sp__pair_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                  const unsigned char *in, unsigned in_size) {
  sp_pair_t *pair = SSL_get_app_data(ssl);
  void *data;
  if (!pair->context->alpn && !pair->protocol && !sp__pair_hooks(pair, &data)->alpn)
    return SSL_TLSEXT_ERR_NOACK; /* nobody here speaks ALPN */
  const uint8_t *found = choose(pair, in, in_size);
  if (!found)
    return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 3.2 */
  *out = found + 1;
  *out_size = *found;
  return SSL_TLSEXT_ERR_OK;
}

sp__tickets_t *sp__pair_tickets(const SSL *ssl) {
  const sp_pair_t *pair = SSL_get_app_data(ssl);
  return (pair->origin ? pair->origin : pair->context)->tickets;
}

/* -- answers ----------------------------------------------------------------------------------- */

bool sp__pair_can_answer_hello(const sp_pair_t *pair) {
  return !sp__pair_is_away(pair) && pair->role == SP_SERVER &&
         pair->stage < SP__ASKED + (pair->waiting == SP__WAIT_HELLO) &&
         (pair->in_hook || pair->waiting == SP__WAIT_HELLO);
}

/* The hooks that began a handshake finish it, whatever context is chosen; but the private key
 * belongs to the context. */
static int keep_hooks(sp_pair_t *pair) {
  sp_hooks_t hooks = pair->context->hooks;
  hooks.sign = NULL;
  if (pair->hooks || !sp__hooks_any(&hooks))
    return 0;
  return sp_pair_set_hooks(pair, &hooks, pair->context->hooks_data);
}

int sp_pair_use_context(sp_pair_t *pair, sp_context_t *context) {
  if (!sp__pair_can_answer_hello(pair))
    return SP_EOPTION;
  if (keep_hooks(pair) < 0)
    return -ENOMEM;
  sp_context_retain(context);
  if (pair->origin)
    sp_context_release(pair->context);
  else
    pair->origin = pair->context;
  pair->context = context;
  pair->swapped = true;
  return 0;
}

int sp_pair_use_protocol(sp_pair_t *pair, const char *protocol, size_t n) {
  if (!sp__pair_can_answer_hello(pair) || !n || n > 255)
    return SP_EOPTION;
  char *copy = sp__copy_bytes(protocol, n);
  if (!copy)
    return -ENOMEM;
  sp__free(pair->protocol);
  pair->protocol = copy;
  pair->protocol_size = n;
  return 0;
}

void sp_pair_refuse(sp_pair_t *pair, int alert) { pair->refuse = (int16_t)alert; }

/* OpenSSL does these for a context as a whole. */
int sp__hooks_check(const sp_hooks_t *hooks, const sp_context_t *context, sp_error_t *why) {
  bool fine =
      (!hooks->keylog || context->logs_keys) && (!hooks->session_new || context->hooks.session_new);
  if (fine)
    return 0;
  return sp__fail(why, SP_EOPTION, SP_US,
                  "hooks: keylog and session_new need a context that was made with them, or "
                  "with the option keylog");
}

int sp_pair_set_hooks(sp_pair_t *pair, const sp_hooks_t *hooks, void *data) {
  if (sp__pair_is_away(pair))
    return SP_EOPTION;
  int status = sp__hooks_check(hooks, pair->context, NULL);
  if (status < 0)
    return status;
  if (!pair->hooks && !(pair->hooks = sp__zalloc(sizeof *pair->hooks)))
    return -ENOMEM;
  *pair->hooks = (sp__pair_hooks_t){*hooks, data};
  sp__pair_watch_messages(pair);
  if (pair->role == SP_CLIENT)
    sp__pair_offer_psk(pair);
  return 0;
}

int sp_pair_resume(sp_pair_t *pair, int status) {
  if (sp__pair_is_away(pair))
    return SP_EOPTION;
  if (pair->busy)
    return SP_EREENTRY;
  if (pair->error)
    return pair->error->status;
  if (!pair->waiting)
    return SP_EOPTION;
  bool unsigned_yet = pair->waiting == SP__WAIT_SIGN && !pair->signature;
  sp__pair_end_lookup(pair);
  pair->waiting = SP__WAIT_NONE;
  pair->answer = status < 0 ? status : unsigned_yet ? SP_EREFUSED : 0;
  if (!pair->calls)
    return sp__pair_drive(pair);
  pair->calls->wake(pair->owner);
  return 0;
}
