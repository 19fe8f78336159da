#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "context/build.h"
#include "context/ring.h"

/* A caller that was compiled against a later version may have more fields; that is fine as long
 * as it does not use them. */
static int check_rest(const sp_options_t *options, sp_error_t *why) {
  const unsigned char *bytes = (const void *)options;
  for (size_t i = sizeof *options; i < options->size; i++)
    if (bytes[i])
      return sp__fail(why, SP_EOPTION, SP_US,
                      "options: a field that this version of the library (%s) does not know is set",
                      sp_version());
  return 0;
}

int sp__options_copy(sp_options_t *copy, const sp_options_t *options, sp_error_t *why) {
  memset(copy, 0, sizeof *copy);
  copy->size = sizeof *copy;
  if (!options)
    return 0;
  size_t size = options->size;
  if (size < sizeof size || size > 65536)
    return sp__fail(why, SP_EOPTION, SP_US, "options: size is not set: make them with SP_OPTIONS");
  memcpy(copy, options, size < sizeof *copy ? size : sizeof *copy);
  copy->size = sizeof *copy;
  return check_rest(options, why);
}

int sp__context_of(sp_context_t **context, const sp_options_t *options, sp_error_t *why) {
  sp_options_t copy;
  *context = NULL;
  int status = sp__options_copy(&copy, options, why);
  if (status < 0)
    return status;
  if (!copy.context)
    return sp_context_new(context, why, &copy);
  *context = sp_context_retain(copy.context);
  return 0;
}

static int check_choice(const char *name, sp_choice_t choice, sp_error_t *why) {
  int value = (int)choice;
  if (value == SP_DEFAULT || value == SP_YES || value == SP_NO)
    return 0;
  return sp__fail(why, SP_EOPTION, SP_US, "%s: %d is not SP_DEFAULT, SP_YES or SP_NO", name, value);
}

static int check_choices(const sp_options_t *options, sp_error_t *why) {
  const struct {
    const char *name;
    sp_choice_t choice;
  } choices[] = {
      {"request_cert", options->request_cert},
      {"reject_unauthorized", options->reject_unauthorized},
      {"prefer_server_ciphers", options->prefer_server_ciphers},
      {"insecure_common_name", options->insecure_common_name},
      {"tickets", options->tickets},
      {"keylog", options->keylog},
      {"partial_chain", options->partial_chain},
      {"renegotiation", options->renegotiation},
      {"post_handshake_auth", options->post_handshake_auth},
  };
  int status = 0;
  for (size_t i = 0; !status && i < sizeof choices / sizeof *choices; i++)
    status = check_choice(choices[i].name, choices[i].choice, why);
  return status;
}

/* `prefix` is "" for the options themselves. */
static int check_pair(const char *prefix, const char *one, bool has_one, const char *other,
                      bool has_other, sp_error_t *why) {
  if (!has_one || !has_other)
    return 0;
  return sp__fail(why, SP_EOPTION, SP_US, "%s%s and %s%s were both given: leave one out", prefix,
                  one, prefix, other);
}

static int check_one_of(const char *one, bool has_one, const char *other, bool has_other,
                        sp_error_t *why) {
  return check_pair("", one, has_one, other, has_other, why);
}

/* The text or the file of each, a PKCS#12 or key and certificate. */
static int check_identity(const char *prefix, const sp_identity_t *one, sp_error_t *why) {
  bool pfx = one->pfx || one->pfx_file;
  int status = check_pair(prefix, "key", one->key, "key_file", one->key_file, why);
  if (!status)
    status = check_pair(prefix, "cert", one->cert, "cert_file", one->cert_file, why);
  if (!status)
    status = check_pair(prefix, "pfx", one->pfx, "pfx_file", one->pfx_file, why);
  if (!status)
    status = check_pair(prefix, "pfx", pfx, "key", one->key || one->key_file, why);
  if (!status)
    status = check_pair(prefix, "pfx", pfx, "cert", one->cert || one->cert_file, why);
  return status;
}

static bool is_empty(const sp_identity_t *o) {
  return !o->key && !o->key_file && !o->cert && !o->cert_file && !o->pfx && !o->pfx_file;
}

static int check_identities(const sp_options_t *o, sp_error_t *why) {
  int status = 0;
  if (o->identity_count > SP__IDENTITIES_LIMIT || (o->identity_count && !o->identities))
    return sp__fail(why, SP_EOPTION, SP_US, "identities: %zu of them are not possible, at most %d",
                    o->identity_count, o->identities ? SP__IDENTITIES_LIMIT : 0);
  for (size_t i = 0; i < o->identity_count && !status; i++) {
    char prefix[40];
    snprintf(prefix, sizeof prefix, "identities[%zu].", i);
    if (is_empty(&o->identities[i]))
      return sp__fail(why, SP_EOPTION, SP_US,
                      "identities[%zu]: nothing is in it: give key and cert, or pfx", i);
    status = check_identity(prefix, &o->identities[i], why);
  }
  return status;
}

/* The ring has to hold the keys of the whole window. */
static int check_ring(const sp_options_t *o, sp_error_t *why) {
  long rotation = o->ticket_rotation, window = o->ticket_window;
  if (rotation < -1 || window < -1)
    return sp__fail(why, SP_EOPTION, SP_US, "%s: %ld is neither seconds nor -1",
                    rotation < -1 ? "ticket_rotation" : "ticket_window",
                    rotation < -1 ? rotation : window);
  if (!rotation && !o->ticket_keys) /* given ones are exchanged by hand */
    rotation = SP__RING_ROTATION;
  if (rotation <= 0 || window <= rotation * (long)(SP__RING_MOST - 1))
    return 0;
  return sp__fail(why, SP_EOPTION, SP_US,
                  "ticket_window: %ld seconds are more than %u times ticket_rotation (%ld)", window,
                  SP__RING_MOST - 1, rotation);
}

static int check_sessions(const sp_options_t *o, sp_error_t *why) {
  size_t keys = o->ticket_keys ? o->ticket_keys_size : 0, name = o->session_id_context_size;
  if (keys != SP__TICKET_KEYS_SIZE && (o->ticket_keys || o->ticket_keys_size))
    return sp__fail(why, SP_EOPTION, SP_US, "ticket_keys: has %zu bytes: 48 are needed", keys);
  if (o->session_id_context ? !name || name > SSL_MAX_SID_CTX_LENGTH : name)
    return sp__fail(why, SP_EOPTION, SP_US,
                    "session_id_context: has %zu bytes: 1 to %d are possible",
                    o->session_id_context ? name : 0, SSL_MAX_SID_CTX_LENGTH);
  if (o->session_timeout < 0)
    return sp__fail(why, SP_EOPTION, SP_US, "session_timeout: %d: it is in seconds from now",
                    o->session_timeout);
  if (o->store_timeout < -1)
    return sp__fail(why, SP_EOPTION, SP_US, "store_timeout: %d is neither milliseconds nor -1",
                    o->store_timeout);
  return check_ring(o, why);
}

static int check_records(const sp_options_t *o, sp_error_t *why) {
  int size = o->record_size, most = o->max_fragment;
  if (size && size != SP_RECORD_DYNAMIC && (size < 512 || size > SSL3_RT_MAX_PLAIN_LENGTH))
    return sp__fail(why, SP_EOPTION, SP_US,
                    "record_size: %d: 512 to 16384 bytes are possible, or SP_RECORD_DYNAMIC", size);
  if (most && most != 512 && most != 1024 && most != 2048 && most != 4096)
    return sp__fail(why, SP_EOPTION, SP_US,
                    "max_fragment: %d: 512, 1024, 2048 and 4096 are possible", most);
  return 0;
}

static int check_lifetime(const sp_options_t *o, sp_error_t *why) {
  if (o->key_records > SP_KEY_RECORDS)
    return sp__fail(why, SP_EOPTION, SP_US, "key_records: more than %u are not safe",
                    SP_KEY_RECORDS);
  if (o->renegotiation_limit < 0 || o->renegotiation_window < 0)
    return sp__fail(why, SP_EOPTION, SP_US,
                    "renegotiation_limit, renegotiation_window: %d in %d seconds are not possible",
                    o->renegotiation_limit, o->renegotiation_window);
  return 0;
}

int sp__options_check(const sp_options_t *o, sp_error_t *why) {
  const sp_identity_t own = {.key = o->key,
                             .key_file = o->key_file,
                             .cert = o->cert,
                             .cert_file = o->cert_file,
                             .pfx = o->pfx,
                             .pfx_file = o->pfx_file};
  int status = check_choices(o, why);
  if (!status)
    status = check_identity("", &own, why);
  if (!status)
    status = check_identities(o, why);
  if (!status)
    status = check_one_of("hooks.sign", o->hooks.sign, "key", o->key || o->key_file, why);
  if (!status)
    status = check_one_of("hooks.sign", o->hooks.sign, "pfx", o->pfx || o->pfx_file, why);
  if (!status)
    status = check_one_of("passphrase", o->passphrase, "on_passphrase", o->on_passphrase, why);
  if (!status)
    status = check_one_of("trust", o->trust, "ca", o->ca || o->ca_files, why);
  if (!status)
    status = check_sessions(o, why);
  if (!status)
    status = check_lifetime(o, why);
  if (!status)
    status = check_records(o, why);
  return status;
}
