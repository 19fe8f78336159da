/* Which key belongs to which certificate, and whether a context can use them. */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/error.h"
#include "base/memory.h"
#include "context/build.h"
#include "context/credentials.h"
#include "context/signer.h"

/* -- what is given ----------------------------------------------------------------------------- */

static bool is_given(const sp_options_t *o) {
  return sp__has_key(o) || sp__has_cert(o) || sp__has_pfx(o);
}

static void place_identity(sp__credentials_t *credentials, const sp_identity_t *identity,
                           size_t index) {
  sp_options_t *options = &credentials->options;
  snprintf(credentials->prefix, sizeof credentials->prefix, "identities[%zu].", index);
  options->key = identity->key;
  options->key_file = identity->key_file;
  options->cert = identity->cert;
  options->cert_file = identity->cert_file;
  options->pfx = identity->pfx;
  options->pfx_size = identity->pfx_size;
  options->pfx_file = identity->pfx_file;
  if (!identity->passphrase)
    return;
  options->passphrase = identity->passphrase;
  options->on_passphrase = NULL;
}

static int list(sp__credentials_set_t *set, const sp_options_t *options, sp_error_t *why) {
  size_t main = is_given(options);
  *set = (sp__credentials_set_t){.count = main + options->identity_count};
  if (!set->count)
    return 0;
  if (!(set->all = sp__zalloc(set->count * sizeof *set->all)))
    return sp__fail_memory(why);
  for (size_t i = 0; i < set->count; i++) {
    sp__credentials_t *credentials = &set->all[i];
    credentials->options = *options;
    if (i >= main)
      place_identity(credentials, &options->identities[i - main], i - main);
    if (!(credentials->chain = sk_X509_new_null()))
      return sp__fail_memory(why);
  }
  return 0;
}

static void drop(sp__credentials_set_t *set) {
  for (size_t i = 0; set->all && i < set->count; i++) {
    X509_free(set->all[i].leaf);
    sk_X509_pop_free(set->all[i].chain, X509_free);
    EVP_PKEY_free(set->all[i].key);
  }
  sp__free(set->all);
}

static int key_alone(const char *prefix, const char *what, sp_error_t *why) {
  return sp__fail(why, SP_ECERTIFICATE, SP_US,
                  "%s%s was given without cert: give the certificate made with it", prefix, what);
}

static int cert_alone(const char *prefix, sp_error_t *why) {
  return sp__fail(why, SP_EKEY, SP_US,
                  "%scert was given without key: give key or key_file, even if it is in the same "
                  "file",
                  prefix);
}

/* Only keys, or only certificates: told before any of them is looked at. */
static int check_halves(const sp__credentials_set_t *set, const sp_options_t *options,
                        sp_error_t *why) {
  bool keys = false, certs = false;
  for (size_t i = 0; i < set->count; i++) {
    const sp_options_t *one = &set->all[i].options;
    keys = keys || sp__has_key(one) || sp__has_pfx(one);
    certs = certs || sp__has_cert(one) || sp__has_pfx(one);
  }
  if (keys && !certs)
    return key_alone(set->all[0].prefix, "key", why);
  if (options->hooks.sign)
    return certs ? 0 : key_alone("", "hooks.sign", why);
  return certs && !keys ? cert_alone(set->all[0].prefix, why) : 0;
}

static int gather(sp__credentials_set_t *set, sp_error_t *why) {
  int status = 0;
  for (size_t i = 0; i < set->count && !status; i++) {
    sp__credentials_t *one = &set->all[i];
    if (sp__has_pfx(&one->options))
      status = sp__credentials_read_pfx(one, why);
    else if (sp__has_cert(&one->options))
      status = sp__credentials_read_cert(one, why);
  }
  for (size_t i = 0; i < set->count && !status; i++)
    if (sp__has_key(&set->all[i].options))
      status = sp__credentials_read_key(set, &set->all[i], why);
  return status;
}

/* -- what belongs together --------------------------------------------------------------------- */

static void exchange_keys(sp__credentials_t *one, sp__credentials_t *other) {
  EVP_PKEY *key = one->key;
  char name[sizeof one->key_name];
  one->key = other->key;
  other->key = key;
  memcpy(name, one->key_name, sizeof name);
  memcpy(one->key_name, other->key_name, sizeof name);
  memcpy(other->key_name, name, sizeof name);
}

/* A key of another identity, where it does not fit. */
static bool take_key(sp__credentials_set_t *set, sp__credentials_t *one) {
  for (size_t i = 0; i < set->count; i++) {
    sp__credentials_t *other = &set->all[i];
    if (other == one || !sp__credentials_fit(one->leaf, other->key) ||
        sp__credentials_fit(other->leaf, other->key))
      continue;
    exchange_keys(one, other);
    return true;
  }
  return false;
}

/* One key may have several certificates. */
static void share_key(sp__credentials_set_t *set, sp__credentials_t *one) {
  for (size_t i = 0; i < set->count && !one->key; i++) {
    sp__credentials_t *other = &set->all[i];
    if (!sp__credentials_fit(one->leaf, other->key) || !EVP_PKEY_up_ref(other->key))
      continue;
    one->key = other->key;
    memcpy(one->key_name, other->key_name, sizeof one->key_name);
  }
}

static void match(sp__credentials_set_t *set) {
  for (size_t i = 0; i < set->count; i++) {
    sp__credentials_t *one = &set->all[i];
    if (one->leaf && !sp__credentials_fit(one->leaf, one->key) && !take_key(set, one))
      share_key(set, one);
  }
}

/* The key is elsewhere; a hook signs for it. */
static int make_stand_in(sp__credentials_t *credentials, sp_error_t *why) {
  EVP_PKEY *half = X509_get0_pubkey(credentials->leaf);
  if (!half)
    return sp__fail_crypto(why, SP_ECERTIFICATE, "%s: its public key cannot be read",
                           credentials->cert_name);
  memcpy(credentials->key_name, credentials->cert_name, sizeof credentials->key_name);
  return sp__signer_key(&credentials->key, half, why);
}

static bool is_signing_key(const EVP_PKEY *key) {
  static const char *const types[] = {"RSA", "RSA-PSS", "EC", "ED25519", "ED448"};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (EVP_PKEY_is_a(key, types[i]))
      return true;
  return false;
}

static int mismatch(const sp__credentials_t *credentials, sp_error_t *why) {
  for (int i = 0; i < sk_X509_num(credentials->chain); i++)
    if (X509_check_private_key(sk_X509_value(credentials->chain, i), credentials->key) == 1)
      return sp__fail_crypto(why, SP_EMISMATCH,
                             "%s belongs to certificate %d in %s: that one must come first",
                             credentials->key_name, i + 2, credentials->cert_name);
  return sp__fail_crypto(why, SP_EMISMATCH,
                         "%s and %s do not belong together: give the key that the certificate was "
                         "made with",
                         credentials->key_name, credentials->cert_name);
}

static int check(const sp__credentials_t *credentials, sp_error_t *why) {
  EVP_PKEY *key = credentials->key;
  if (!is_signing_key(key))
    return sp__fail_crypto(why, SP_EKEY, "%s: a key of type %s cannot sign in TLS: take RSA or EC",
                           credentials->key_name, EVP_PKEY_get0_type_name(key));
  char encoding[32] = "";
  EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, encoding, sizeof encoding, NULL);
  if (!strcmp(encoding, OSSL_PKEY_EC_ENCODING_EXPLICIT))
    return sp__fail_crypto(why, SP_EKEY, "%s: its curve is not named: make the key on P-256",
                           credentials->key_name);
  if (!X509_get0_pubkey(credentials->leaf))
    return sp__fail_crypto(why, SP_ECERTIFICATE, "%s: its public key cannot be read",
                           credentials->cert_name);
  if (X509_check_private_key(credentials->leaf, key) != 1)
    return mismatch(credentials, why);
  return 0;
}

/* The peer has the root or does not trust it: sending it is waste, and so is a second copy of the
 * leaf, which comes from putting two files together. */
static void prune(sp__credentials_t *credentials) {
  for (int i = sk_X509_num(credentials->chain); i-- > 0;) {
    X509 *x509 = sk_X509_value(credentials->chain, i);
    if (X509_self_signed(x509, 0) != 1 && X509_cmp(x509, credentials->leaf) != 0)
      continue;
    X509_free(sk_X509_delete(credentials->chain, i));
  }
}

/* The rest of the chain may be in `ca`: looked up here once, not at each handshake. */
static int complete(sp__credentials_t *credentials, SSL_CTX *ctx, sp_error_t *why) {
  X509_STORE_CTX *search = X509_STORE_CTX_new();
  if (!search || !X509_STORE_CTX_init(search, SSL_CTX_get_cert_store(ctx), NULL, NULL)) {
    X509_STORE_CTX_free(search);
    return sp__fail_memory(why);
  }
  X509 *last = credentials->leaf, *issuer;
  while (sk_X509_num(credentials->chain) < 10 && X509_self_signed(last, 0) != 1 &&
         X509_STORE_CTX_get1_issuer(&issuer, search, last) == 1) {
    if (X509_self_signed(issuer, 0) == 1 || !sk_X509_push(credentials->chain, issuer)) {
      X509_free(issuer);
      break;
    }
    last = issuer;
  }
  X509_STORE_CTX_free(search);
  ERR_clear_error();
  return 0;
}

static int too_weak(const sp__credentials_t *credentials, sp_error_t *why) {
  const char *name = credentials->cert_name;
  const EVP_PKEY *key = X509_get0_pubkey(credentials->leaf);
  switch (ERR_GET_REASON(ERR_peek_last_error())) {
  case SSL_R_EE_KEY_TOO_SMALL:
    return sp__fail_crypto(why, SP_ECERTIFICATE,
                           "%s: its %s key of %d bits is too weak: RSA needs at least 2048 bits, "
                           "EC at least 224",
                           name, EVP_PKEY_get0_type_name(key), EVP_PKEY_get_bits(key));
  case SSL_R_CA_KEY_TOO_SMALL:
    return sp__fail_crypto(why, SP_ECERTIFICATE,
                           "%s: a key in its chain is too weak: RSA needs at least 2048 bits, "
                           "EC at least 224",
                           name);
  case SSL_R_CA_MD_TOO_WEAK:
    return sp__fail_crypto(why, SP_ECERTIFICATE,
                           "%s: is signed with %s, which is too weak: have it signed with SHA-256",
                           name, OBJ_nid2ln(X509_get_signature_nid(credentials->leaf)));
  default:
    return sp__fail_crypto(why, SP_ECERTIFICATE, "%s: OpenSSL cannot use this certificate", name);
  }
}

static bool note_shown(sp_context_t *context, const X509 *leaf) {
  uint8_t both[2 * sizeof context->shown];
  unsigned n;
  memcpy(both, context->shown, sizeof context->shown);
  return X509_digest(leaf, EVP_sha256(), both + sizeof context->shown, &n) &&
         EVP_Digest(both, sizeof both, context->shown, NULL, EVP_sha256(), NULL);
}

static int install(sp_context_t *context, sp__credentials_t *credentials, sp_error_t *why) {
  int status = check(credentials, why);
  if (status < 0)
    return status;
  if (!sk_X509_num(credentials->chain))
    status = complete(credentials, context->ssl_ctx, why);
  if (status < 0)
    return status;
  sp__issuer_note(context, credentials->leaf, credentials->chain);
  prune(credentials);
  if (!SSL_CTX_use_cert_and_key(context->ssl_ctx, credentials->leaf, credentials->key,
                                credentials->chain, 1))
    return too_weak(credentials, why);
  if (!note_shown(context, credentials->leaf))
    return sp__fail_crypto(why, SP_ECRYPTO, "%s: no digest of it can be made",
                           credentials->cert_name);
  context->has_certificate = true;
  return sp__staples_match(context, credentials->leaf, why);
}

/* `signs`: there is a hook that stands in for a key. */
static int use(sp_context_t *context, sp__credentials_t *one, bool signs, sp_error_t *why) {
  if (!one->leaf)
    return one->key ? key_alone("", one->key_name, why) : 0; /* else another one took it */
  if (one->key)
    return install(context, one, why);
  if (!signs)
    return cert_alone(one->prefix, why);
  context->is_signed_by_hook = true;
  int status = make_stand_in(one, why);
  return status < 0 ? status : install(context, one, why);
}

int sp__credentials_load(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  sp__credentials_set_t set;
  int status = list(&set, options, why);
  if (!status)
    status = check_halves(&set, options, why);
  if (!status)
    status = gather(&set, why);
  if (!status)
    match(&set);
  for (size_t i = 0; i < set.count && !status; i++)
    status = use(context, &set.all[i], options->hooks.sign != NULL, why);
  drop(&set);
  return status;
}
