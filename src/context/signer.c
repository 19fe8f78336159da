#include "context/signer.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/async.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>

#include "base/error.h"
#include "base/memory.h"
#include "context/build.h"

/* -- who answers on this thread ---------------------------------------------------------------- */

#define DEPTH 16 /* a hook of one pair may work on another one, and so on */

static _Thread_local struct {
  struct {
    sp__sign_cb ask;
    void *owner;
  } signers[DEPTH];
  unsigned count;
} thread;

void sp__signer_enter(sp__sign_cb ask, void *owner) {
  unsigned i = thread.count++;
  if (i >= DEPTH)
    return;
  thread.signers[i].ask = ask;
  thread.signers[i].owner = owner;
}

void sp__signer_leave(void) {
  if (thread.count)
    thread.count--;
}

static int ask(uint16_t scheme, const uint8_t *message, size_t n, uint8_t *signature,
               size_t *size) {
  unsigned i = thread.count - 1;
  if (!thread.count || i >= DEPTH)
    return SP_EKEY;
  return thread.signers[i].ask(thread.signers[i].owner, scheme, message, n, signature, size);
}

static bool ask_until_answered(uint16_t scheme, const uint8_t *message, size_t n,
                               uint8_t *signature, size_t *size) {
  size_t room = *size;
  int status;
  while ((status = ask(scheme, message, n, signature, size)) == SP_PENDING) {
    if (!ASYNC_get_current_job() || !ASYNC_pause_job())
      return false;
    *size = room;
  }
  return status == 0 && *size <= room;
}

/* -- the key: a public half that says it is a whole one ---------------------------------------- */

typedef struct key {
  EVP_PKEY *half; /* of OpenSSL's own provider, which answers everything but signing */
  const char *type;
} stand_in_t;

static void *key_new(const char *type) {
  stand_in_t *key = sp__zalloc(sizeof *key);
  if (key)
    key->type = type;
  return key;
}

static void *rsa_new(void *unused) { return (void)unused, key_new("RSA"); }
static void *ec_new(void *unused) { return (void)unused, key_new("EC"); }
static void *ed25519_new(void *unused) { return (void)unused, key_new("ED25519"); }

static void key_free(void *data) {
  stand_in_t *key = data;
  if (!key)
    return;
  EVP_PKEY_free(key->half);
  sp__free(key);
}

static int key_import(void *data, int selection, const OSSL_PARAM params[]) {
  stand_in_t *key = data;
  (void)selection;
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, key->type, NULL);
  EVP_PKEY_free(key->half);
  key->half = NULL;
  int done = ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
             EVP_PKEY_fromdata(ctx, &key->half, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)params) == 1;
  EVP_PKEY_CTX_free(ctx);
  return done;
}

/* Refusing to export a private key is what keeps OpenSSL from moving this key into its own
 * provider, which then could not sign. */
static int key_export(void *data, int selection, OSSL_CALLBACK *callback, void *argument) {
  const stand_in_t *key = data;
  if (!key->half || selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY)
    return 0;
  return EVP_PKEY_export(key->half, EVP_PKEY_PUBLIC_KEY, callback, argument);
}

static const OSSL_PARAM *key_types(int selection) {
  static const OSSL_PARAM types[] = {
      OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
      OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
      OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
      OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
      OSSL_PARAM_END,
  };
  return selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY ? types : NULL;
}

static int key_has(const void *data, int selection) {
  (void)selection;
  return ((const stand_in_t *)data)->half != NULL;
}

static int key_match(const void *one, const void *other, int selection) {
  const stand_in_t *a = one, *b = other;
  (void)selection;
  return a->half && b->half && EVP_PKEY_eq(a->half, b->half) == 1;
}

static int key_get_params(void *data, OSSL_PARAM params[]) {
  const stand_in_t *key = data;
  return key->half && EVP_PKEY_get_params(key->half, params);
}

static const OSSL_PARAM *key_gettable_params(void *unused) {
  static const OSSL_PARAM gettable[] = {
      OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
      OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
      OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
      OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
      OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
      OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
      OSSL_PARAM_END,
  };
  (void)unused;
  return gettable;
}

static const char *ec_operation(int operation) {
  return operation == OSSL_OP_SIGNATURE ? "ECDSA" : "EC";
}

/* -- the signature ----------------------------------------------------------------------------- */

typedef struct signing {
  const stand_in_t *key; /* lives as long as the EVP_PKEY that OpenSSL signs with */
  int digest;            /* NID */
  bool pss;
} signing_t;

static void *signing_new(void *unused, const char *properties) {
  (void)unused;
  (void)properties;
  return sp__zalloc(sizeof(signing_t));
}

static void signing_free(void *data) { sp__free(data); }

static void *signing_copy(void *data) { return sp__copy_bytes(data, sizeof(signing_t)); }

static bool set_padding(signing_t *signing, const OSSL_PARAM *param) {
  int mode = 0;
  if (param->data_type == OSSL_PARAM_UTF8_STRING)
    signing->pss = param->data && !strcmp(param->data, OSSL_PKEY_RSA_PAD_MODE_PSS);
  else if (OSSL_PARAM_get_int(param, &mode))
    signing->pss = mode == RSA_PKCS1_PSS_PADDING;
  else
    return false;
  return true;
}

/* TLS knows one length of salt, that of the digest, and one mask function, over the same digest:
 * these parameters say nothing new. */
static int signing_set_params(void *data, const OSSL_PARAM params[]) {
  const OSSL_PARAM *padding =
      params ? OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE) : NULL;
  return !padding || set_padding(data, padding);
}

static const OSSL_PARAM *signing_settable_params(void *one, void *other) {
  static const OSSL_PARAM settable[] = {
      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
      OSSL_PARAM_END,
  };
  (void)one;
  (void)other;
  return settable;
}

/* The number of RFC 8446 4.2.3; 0 for what TLS has no number for or must not use. */
static uint16_t scheme_of(const signing_t *signing) {
  if (!strcmp(signing->key->type, "ED25519"))
    return signing->digest == NID_undef ? 0x0807 : 0;
  int strength = signing->digest == NID_sha256   ? 4
                 : signing->digest == NID_sha384 ? 5
                 : signing->digest == NID_sha512 ? 6
                                                 : 0;
  if (!strength)
    return 0;
  if (!strcmp(signing->key->type, "EC"))
    return (uint16_t)(strength << 8 | 3);
  return (uint16_t)(signing->pss ? 0x0800 | strength : strength << 8 | 1);
}

static int signing_begin(void *data, const char *digest, void *key, const OSSL_PARAM params[]) {
  signing_t *signing = data;
  const EVP_MD *md = digest && *digest ? EVP_get_digestbyname(digest) : NULL;
  signing->digest = md ? EVP_MD_get_type(md) : NID_undef;
  if (key)
    signing->key = key;
  return signing->key && signing->key->half && scheme_of(signing) &&
         signing_set_params(signing, params);
}

static int signing_sign(void *data, unsigned char *signature, size_t *size, size_t room,
                        const unsigned char *message, size_t n) {
  const signing_t *signing = data;
  int most = EVP_PKEY_get_size(signing->key->half);
  if (most <= 0)
    return 0;
  if (!signature) {
    *size = (size_t)most;
    return 1;
  }
  *size = room;
  return ask_until_answered(scheme_of(signing), message, n, signature, size);
}

/* -- the provider ------------------------------------------------------------------------------ */

typedef void (*function_t)(void);

#define KEY_FUNCTIONS(make)                                                                        \
  {OSSL_FUNC_KEYMGMT_NEW, (function_t)(make)}, {OSSL_FUNC_KEYMGMT_FREE, (function_t)key_free},     \
      {OSSL_FUNC_KEYMGMT_HAS, (function_t)key_has},                                                \
      {OSSL_FUNC_KEYMGMT_MATCH, (function_t)key_match},                                            \
      {OSSL_FUNC_KEYMGMT_IMPORT, (function_t)key_import},                                          \
      {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (function_t)key_types},                                     \
      {OSSL_FUNC_KEYMGMT_EXPORT, (function_t)key_export},                                          \
      {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (function_t)key_types},                                     \
      {OSSL_FUNC_KEYMGMT_GET_PARAMS, (function_t)key_get_params}, {                                \
    OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (function_t)key_gettable_params                             \
  }

static const OSSL_DISPATCH rsa_functions[] = {KEY_FUNCTIONS(rsa_new), {0, NULL}};
static const OSSL_DISPATCH ed25519_functions[] = {KEY_FUNCTIONS(ed25519_new), {0, NULL}};
static const OSSL_DISPATCH ec_functions[] = {
    KEY_FUNCTIONS(ec_new),
    {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (function_t)ec_operation},
    {0, NULL}};

static const OSSL_DISPATCH signing_functions[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, (function_t)signing_new},
    {OSSL_FUNC_SIGNATURE_FREECTX, (function_t)signing_free},
    {OSSL_FUNC_SIGNATURE_DUPCTX, (function_t)signing_copy},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (function_t)signing_begin},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (function_t)signing_sign},
    {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (function_t)signing_set_params},
    {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (function_t)signing_settable_params},
    {0, NULL}};

static const OSSL_ALGORITHM *query(void *unused, int operation, int *no_cache) {
  static const char properties[] = "provider=securepair";
  static const OSSL_ALGORITHM keys[] = {
      {"RSA:rsaEncryption", properties, rsa_functions, NULL},
      {"EC:id-ecPublicKey", properties, ec_functions, NULL},
      {"ED25519", properties, ed25519_functions, NULL},
      {NULL, NULL, NULL, NULL},
  };
  static const OSSL_ALGORITHM signatures[] = {
      {"RSA:rsaEncryption", properties, signing_functions, NULL},
      {"ECDSA", properties, signing_functions, NULL},
      {"ED25519", properties, signing_functions, NULL},
      {NULL, NULL, NULL, NULL},
  };
  (void)unused;
  *no_cache = 0;
  return operation == OSSL_OP_KEYMGMT ? keys : operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static int start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                 void **data) {
  static const OSSL_DISPATCH functions[] = {{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (function_t)query},
                                            {0, NULL}};
  (void)in;
  *out = functions;
  *data = (void *)handle;
  return 1;
}

/* The provider lives in a library context of its own: nothing that the host program fetches can
 * meet it, and a key of it finds its functions through itself. Made once for the process. */
static OSSL_LIB_CTX *library(void) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static OSSL_LIB_CTX *made;
  pthread_mutex_lock(&lock);
  if (!made) {
    OSSL_LIB_CTX *fresh = OSSL_LIB_CTX_new();
    if (fresh && OSSL_PROVIDER_add_builtin(fresh, "securepair", start) &&
        OSSL_PROVIDER_load(fresh, "securepair"))
      made = fresh;
    else
      OSSL_LIB_CTX_free(fresh);
  }
  OSSL_LIB_CTX *found = made;
  pthread_mutex_unlock(&lock);
  return found;
}

static const char *type_of(const EVP_PKEY *half) {
  static const char *const types[] = {"RSA", "EC", "ED25519"};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (EVP_PKEY_is_a(half, types[i]))
      return types[i];
  return NULL;
}

int sp__signer_key(EVP_PKEY **key, EVP_PKEY *public_half, sp_error_t *why) {
  *key = NULL;
  const char *type = type_of(public_half);
  if (!type)
    return sp__fail(why, SP_EKEY, SP_US,
                    "hooks.sign: a certificate with a key of type %s is not possible: "
                    "take RSA, EC or Ed25519",
                    EVP_PKEY_get0_type_name(public_half));
  OSSL_PARAM *params = NULL;
  OSSL_LIB_CTX *own = library();
  EVP_PKEY_CTX *ctx = own ? EVP_PKEY_CTX_new_from_name(own, type, NULL) : NULL;
  bool done = ctx && EVP_PKEY_todata(public_half, EVP_PKEY_PUBLIC_KEY, &params) == 1 &&
              EVP_PKEY_fromdata_init(ctx) == 1 &&
              EVP_PKEY_fromdata(ctx, key, EVP_PKEY_PUBLIC_KEY, params) == 1;
  OSSL_PARAM_free(params);
  EVP_PKEY_CTX_free(ctx);
  return done ? 0
              : sp__fail_crypto(why, SP_ECRYPTO, "hooks.sign: the key's stand-in cannot be made");
}
