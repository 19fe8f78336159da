#include "context.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "hooks.h"
#include "trust.h"
#include "value.h"

#define TICKET_KEYS 48

typedef struct spn_context {
  spn_object_t object;
  sp_context_t *context;
} spn_context_t;

static void dispose(spn_object_t *object) {
  spn_context_t *context = (spn_context_t *)object;
  sp_context_release(context->context);
  free(context);
}

/* -- options ----------------------------------------------------------------------------------- */

static void read_identity(spn_reader_t *reader, napi_value given, sp_identity_t *identity) {
  identity->key = spn_read_text(reader, given, "key");
  identity->cert = spn_read_text(reader, given, "cert");
  identity->pfx = spn_read_bytes(reader, given, "pfx", &identity->pfx_size);
  identity->passphrase = spn_read_text(reader, given, "passphrase");
}

static void read_identities(spn_reader_t *reader, napi_value given, sp_options_t *options) {
  napi_value array = spn_read(reader, given, "identities");
  uint32_t count;
  if (!array || napi_get_array_length(reader->env, array, &count) != napi_ok || !count)
    return;
  sp_identity_t *identities = spn_reader_memory(reader, count * sizeof *identities);
  for (uint32_t i = 0; identities && i < count && !reader->failed; i++) {
    napi_value element;
    reader->failed = napi_get_element(reader->env, array, i, &element) != napi_ok;
    read_identity(reader, element, identities + i);
  }
  options->identities = identities;
  options->identity_count = count;
}

static void read_trust(spn_reader_t *reader, spn_environment_t *environment, napi_value given,
                       sp_options_t *options) {
  napi_value trust = spn_read(reader, given, "trust");
  if (trust && !(options->trust = spn_trust_of(environment, trust)))
    reader->failed = true;
  options->ca = spn_read_list(reader, given, "ca", NULL);
  options->crl = spn_read_list(reader, given, "crl", NULL);
  options->partial_chain = spn_read_choice(reader, given, "partialChain");
}

static void read_policy(spn_reader_t *reader, napi_value given, sp_options_t *options) {
  options->ciphers = spn_read_text(reader, given, "ciphers");
  options->suites = spn_read_text(reader, given, "suites");
  options->groups = spn_read_text(reader, given, "groups");
  options->sigalgs = spn_read_text(reader, given, "sigalgs");
  options->min_version = (sp_protocol_t)spn_read_int(reader, given, "minVersion", 0);
  options->max_version = (sp_protocol_t)spn_read_int(reader, given, "maxVersion", 0);
  options->alpn = spn_read_list(reader, given, "alpn", NULL);
  options->request_cert = spn_read_choice(reader, given, "requestCert");
  options->reject_unauthorized = spn_read_choice(reader, given, "rejectUnauthorized");
  options->prefer_server_ciphers = spn_read_choice(reader, given, "preferServerCiphers");
  options->insecure_common_name = spn_read_choice(reader, given, "commonName");
  options->dhparam = spn_read_text(reader, given, "dhparam");
  options->renegotiation = spn_read_choice(reader, given, "renegotiation");
  options->renegotiation_limit = spn_read_int(reader, given, "renegotiationLimit", 0);
  options->renegotiation_window = spn_read_int(reader, given, "renegotiationWindow", 0);
  options->openssl_options = (uint64_t)spn_read_number(reader, given, "opensslOptions");
}

static void read_sessions(spn_reader_t *reader, napi_value given, sp_options_t *options) {
  options->tickets = spn_read_choice(reader, given, "tickets");
  options->ticket_keys = spn_read_bytes(reader, given, "ticketKeys", &options->ticket_keys_size);
  options->session_timeout = spn_read_int(reader, given, "sessionTimeout", 0);
  options->session_id_context =
      spn_read_bytes(reader, given, "sessionIdContext", &options->session_id_context_size);
}

static bool read_options(spn_reader_t *reader, spn_environment_t *environment, napi_value given,
                         sp_options_t *options) {
  read_identities(reader, given, options);
  read_trust(reader, environment, given, options);
  read_policy(reader, given, options);
  read_sessions(reader, given, options);
  options->hooks = spn_hooks(spn_read_int(reader, given, "hooks", 0));
  options->hooks_data = environment;
  return !reader->failed;
}

/* -- making ------------------------------------------------------------------------------------ */

static napi_value make(spn_environment_t *environment, napi_value self, sp_context_t *made) {
  spn_context_t *context = calloc(1, sizeof *context);
  if (!context) {
    sp_context_release(made);
    return spn_throw_status(environment->env, UV_ENOMEM);
  }
  context->context = made;
  spn_object_init(&context->object, environment, SPN_CONTEXT, dispose);
  return spn_object_wrap(&context->object, self) ? self : NULL;
}

/* new binding.Context(options) */
static napi_value construct(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_reader_t reader = {.env = env};
  sp_options_t options = {.size = sizeof options};
  napi_value self = NULL;
  sp_context_t *made;
  sp_error_t why;
  if (read_options(&reader, call.data, call.argv[0], &options)) {
    if (sp_context_new(&made, &why, &options) < 0)
      (void)spn_throw(env, &why);
    else
      self = make(call.data, call.self, made);
  }
  spn_reader_end(&reader);
  return self;
}

sp_context_t *spn_context_of(spn_environment_t *environment, napi_value value) {
  spn_context_t *context =
      spn_object_of(environment, value, SPN_CONTEXT, "context must be a Context");
  return context ? context->context : NULL;
}

/* -- methods ----------------------------------------------------------------------------------- */

static sp_context_t *self_of(napi_env env, const spn_call_info_t *call) {
  void *context;
  if (napi_unwrap(env, call->self, &context) == napi_ok)
    return ((spn_context_t *)context)->context;
  (void)spn_throw_type(env, "Illegal invocation");
  return NULL;
}

/* Keys that the program has, and may have given to others, do not rotate by themselves from then
 * on: as if they had been set. */
static napi_value ticket_keys(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  sp_context_t *context = self_of(env, &call);
  void *keys;
  napi_value buffer;
  if (!context || napi_create_buffer(env, TICKET_KEYS, &keys, &buffer) != napi_ok)
    return NULL;
  int status = sp_context_ticket_keys(context, keys);
  if (!status)
    status = sp_context_set_ticket_keys(context, keys, TICKET_KEYS);
  return status < 0 ? spn_throw_status(env, status) : buffer;
}

static napi_value set_ticket_keys(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  sp_context_t *context = self_of(env, &call);
  const uint8_t *keys;
  size_t n;
  if (!context)
    return NULL;
  if (!spn_view(env, call.argv[0], &keys, &n))
    return spn_throw_type(env, "keys must be a Buffer of 48 bytes");
  int status = sp_context_set_ticket_keys(context, keys, n);
  return status < 0 ? spn_throw_status(env, status) : NULL;
}

typedef int (*find_t)(const sp_context_t *context, sp_certificate_t **found);

/* A certificate that the context knows, in DER, or null. */
static napi_value der_of(napi_env env, napi_callback_info info, find_t find) {
  spn_call_info_t call = spn_call_info(env, info);
  const sp_context_t *context = self_of(env, &call);
  sp_certificate_t *found;
  size_t n;
  if (!context)
    return NULL;
  if (find(context, &found) < 0)
    return spn_null(env);
  const uint8_t *der = sp_certificate_der(found, &n);
  napi_value buffer = spn_buffer(env, der, n);
  sp_certificate_release(found);
  return buffer;
}

static napi_value own_certificate(napi_env env, napi_callback_info info) {
  return der_of(env, info, sp_context_certificate);
}

static napi_value issuer(napi_env env, napi_callback_info info) {
  return der_of(env, info, sp_context_issuer);
}

bool spn_context_define(spn_environment_t *environment, napi_value exports) {
  const napi_property_descriptor methods[] = {
      SPN_METHOD("ticketKeys", ticket_keys),
      SPN_METHOD("setTicketKeys", set_ticket_keys),
      SPN_METHOD("certificate", own_certificate),
      SPN_METHOD("issuer", issuer),
  };
  return spn_class_define(environment, SPN_CONTEXT, "Context", construct, methods,
                          sizeof methods / sizeof *methods, exports);
}
