#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "base/memory.h"
#include "context/build.h"
#include "context/input.h"

#define USELESS (-1) /* it can be read, but not be used */

/* One kind of entry: what it is called, what may be in it. */
typedef struct kind {
  const char *text, *file; /* the options */
  const char *what;
  int status;
  bool (*is)(const sp__block_t *block);
  int (*add)(X509_STORE *store, BIO *bio, bool der); /* 1: done; USELESS */
  const char *useless;
} kind_t;

/* Nothing of it changes once it is made: that is why threads may share it. */
struct sp_trust {
  atomic_uint references;
  X509_STORE *store;
  uint8_t digest[32];
};

X509_STORE *sp__system_roots(void) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static X509_STORE *roots;
  pthread_mutex_lock(&lock);
  if (!roots) {
    X509_STORE *store = X509_STORE_new();
    if (store && X509_STORE_set_default_paths(store)) {
      roots = store;
    } else {
      X509_STORE_free(store);
      ERR_clear_error();
    }
  }
  X509_STORE *found = roots;
  pthread_mutex_unlock(&lock);
  return found;
}

static int add_certificate(X509_STORE *store, BIO *bio, bool der) {
  X509 *x509 = der ? d2i_X509_bio(bio, NULL) : PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
  int done = x509 && X509_STORE_add_cert(store, x509);
  /* OpenSSL notes an extension's meaning in the certificate at its first use: here, where no other
   * thread uses it yet, so that the context stays as it is from now on */
  if (done)
    (void)X509_check_purpose(x509, -1, 0);
  X509_free(x509);
  return done;
}

/* OpenSSL would take a delta list for a complete one, so that what only the complete one names were
 * revoked no more. */
static bool is_delta(const X509_CRL *crl) {
  return X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0;
}

static int add_crl(X509_STORE *store, BIO *bio, bool der) {
  X509_CRL *crl = der ? d2i_X509_CRL_bio(bio, NULL) : PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
  int done = crl && is_delta(crl) ? USELESS : crl && X509_STORE_add_crl(store, crl);
  X509_CRL_free(crl);
  return done;
}

static bool is_crl(const sp__block_t *block) { return sp__block_is(block, "X509 CRL"); }

static const kind_t authorities = {
    .text = "ca",
    .file = "ca_files",
    .what = "certificate",
    .status = SP_ECA,
    .is = sp__block_is_certificate,
    .add = add_certificate,
};

static const kind_t revocations = {
    .text = "crl",
    .file = "crl_files",
    .what = "revocation list (X509 CRL)",
    .status = SP_ECRL,
    .is = is_crl,
    .add = add_crl,
    .useless = "is a delta list (RFC 5280 5.2.4), which only tells what changed: give the complete "
               "one",
};

static int add_der(X509_STORE *store, const kind_t *kind, const sp__input_t *input,
                   sp_error_t *why) {
  BIO *bio = BIO_new_mem_buf(input->bytes, (int)input->n);
  if (!bio)
    return sp__fail_memory(why);
  int done = kind->add(store, bio, true);
  BIO_free(bio);
  if (done == USELESS)
    return sp__fail(why, kind->status, SP_US, "%s: %s", input->name, kind->useless);
  return done ? 0
              : sp__fail_crypto(why, kind->status, "%s: is no PEM text and no %s in DER form",
                                input->name, kind->what);
}

static int add_block(X509_STORE *store, const kind_t *kind, const sp__input_t *input,
                     const sp__block_t *block, sp_error_t *why) {
  if (!kind->is(block))
    return sp__fail(why, kind->status, SP_US, "%s, line %u: found \"%.*s\" where a %s belongs",
                    input->name, block->line, block->label_size, block->label, kind->what);
  BIO *bio = sp__block_bio(block);
  if (!bio)
    return sp__fail_memory(why);
  int done = kind->add(store, bio, false);
  BIO_free(bio);
  if (done == USELESS)
    return sp__fail(why, kind->status, SP_US, "%s, line %u: %s", input->name, block->line,
                    kind->useless);
  return done ? 0
              : sp__fail_crypto(why, kind->status, "%s, line %u: the %s is damaged", input->name,
                                block->line, kind->what);
}

static int add_input(X509_STORE *store, const kind_t *kind, sp__input_t *input, sp_error_t *why) {
  if (sp__input_is_der(input))
    return add_der(store, kind, input, why);
  sp__block_t block;
  int status, count = 0;
  while ((status = sp__input_next(input, &block, kind->status, why)) > 0) {
    if (sp__block_is_parameters(&block))
      continue;
    if ((status = add_block(store, kind, input, &block, why)) < 0)
      return status;
    count++;
  }
  if (status < 0 || count)
    return status;
  return sp__fail(why, kind->status, SP_US, "%s: there is no %s in it, but %s", input->name,
                  kind->what, input->n ? "something else" : "nothing at all");
}

static int load_text(X509_STORE *store, const kind_t *kind, int index, const char *text,
                     sp_error_t *why) {
  sp__input_t input;
  int status = sp__input_text(&input, kind->text, index, text, SP__TRUST_LIMIT, kind->status, why);
  if (!status)
    status = add_input(store, kind, &input, why);
  sp__input_close(&input);
  return status;
}

static int load(X509_STORE *store, const kind_t *kind, const char *const *texts,
                const char *const *files, sp_error_t *why) {
  int status = 0;
  sp__input_t input;
  for (int i = 0; texts && texts[i] && !status; i++)
    status = load_text(store, kind, i, texts[i], why);
  for (int i = 0; files && files[i] && !status; i++) {
    status = sp__input_file(&input, kind->file, files[i], SP__TRUST_LIMIT, kind->status, why);
    if (!status)
      status = add_input(store, kind, &input, why);
    sp__input_close(&input);
  }
  return status;
}

/* -- what is in a store ------------------------------------------------------------------------ */

/* Sorted, as OpenSSL sorts them at its first search: later ones change nothing any more. */
static STACK_OF(X509_OBJECT) * contents(X509_STORE *store) {
  STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
  sk_X509_OBJECT_sort(objects);
  return objects;
}

static bool digest_contents(X509_STORE *store, EVP_MD_CTX *hash) {
  STACK_OF(X509_OBJECT) *objects = contents(store);
  bool fine = EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
  for (int i = 0; fine && i < sk_X509_OBJECT_num(objects); i++) {
    const X509_OBJECT *object = sk_X509_OBJECT_value(objects, i);
    X509 *x509 = X509_OBJECT_get0_X509(object);
    X509_CRL *crl = X509_OBJECT_get0_X509_CRL(object);
    unsigned char one[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    fine = (!x509 || X509_digest(x509, EVP_sha256(), one, &n)) &&
           (!crl || X509_CRL_digest(crl, EVP_sha256(), one, &n)) && EVP_DigestUpdate(hash, one, n);
  }
  return fine;
}

static int digest(X509_STORE *store, uint8_t digest[static 32], sp_error_t *why) {
  EVP_MD_CTX *hash = EVP_MD_CTX_new();
  bool fine = hash && digest_contents(store, hash) && EVP_DigestFinal_ex(hash, digest, NULL);
  EVP_MD_CTX_free(hash);
  return fine ? 0 : sp__fail_crypto(why, SP_ECRYPTO, "ca: no digest of it can be made");
}

/* The names tell a client which certificate to show (RFC 8446 4.2.4). */
static int announce(SSL_CTX *ctx, X509_STORE *store, sp_error_t *why) {
  STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
  for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
    X509 *x509 = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
    if (x509 && !SSL_CTX_add_client_CA(ctx, x509))
      return sp__fail_memory(why);
  }
  return 0;
}

static int copy_contents(X509_STORE *to, X509_STORE *from, sp_error_t *why) {
  STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(from);
  for (int i = 0; i < sk_X509_OBJECT_num(objects); i++)
    if (!X509_STORE_add_cert(to, X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i))))
      return sp__fail_memory(why);
  return 0;
}

/* -- of many contexts -------------------------------------------------------------------------- */

static int fill(sp_trust_t *trust, const char *const *pems, size_t count, sp_error_t *why) {
  int status = 0;
  if (!(trust->store = X509_STORE_new()))
    return sp__fail_memory(why);
  for (size_t i = 0; i < count && !status; i++)
    status = pems[i] ? load_text(trust->store, &authorities, (int)i, pems[i], why)
                     : sp__fail(why, SP_ECA, SP_US, "ca[%zu]: is NULL", i);
  return status ? status : digest(trust->store, trust->digest, why);
}

int sp_trust_new(sp_trust_t **trust, const char *const *pems, size_t count, sp_error_t *why) {
  *trust = NULL;
  ERR_clear_error();
  sp_trust_t *made = sp__zalloc(sizeof *made);
  if (!made)
    return sp__fail_memory(why);
  atomic_init(&made->references, 1);
  int status = fill(made, pems, count, why);
  if (status < 0)
    sp_trust_release(made);
  else
    *trust = made;
  ERR_clear_error();
  return status;
}

sp_trust_t *sp_trust_retain(sp_trust_t *trust) {
  atomic_fetch_add_explicit(&trust->references, 1, memory_order_relaxed);
  return trust;
}

void sp_trust_release(sp_trust_t *trust) {
  if (!trust || atomic_fetch_sub_explicit(&trust->references, 1, memory_order_acq_rel) != 1)
    return;
  X509_STORE_free(trust->store);
  sp__free(trust);
}

/* -- of one context ---------------------------------------------------------------------------- */

/* Lists of one context do not belong into a store that others share. */
static int load_revocations(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  X509_STORE *store = SSL_CTX_get_cert_store(context->ssl_ctx);
  int status = options->trust ? copy_contents(store, options->trust->store, why) : 0;
  if (status < 0)
    return status;
  context->own_store = context->system_roots;
  if (context->own_store && !X509_STORE_set_default_paths(store))
    return sp__fail_crypto(why, SP_ECA, "the system's trusted certificates cannot be loaded");
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return load(store, &revocations, options->crl, options->crl_files, why);
}

int sp__trust_load(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  SSL_CTX *ctx = context->ssl_ctx;
  bool revocation = options->crl || options->crl_files, shared = options->trust && !revocation;
  context->system_roots = !options->ca && !options->ca_files && !options->trust;
  int status = load(SSL_CTX_get_cert_store(ctx), &authorities, options->ca, options->ca_files, why);
  if (!status && revocation)
    status = load_revocations(context, options, why);
  if (status < 0)
    return status;
  sp__lists_note(context, SSL_CTX_get_cert_store(ctx));
  if (shared) {
    SSL_CTX_set1_cert_store(ctx, options->trust->store);
    memcpy(context->trusted, options->trust->digest, sizeof context->trusted);
  } else if ((status = digest(SSL_CTX_get_cert_store(ctx), context->trusted, why)) < 0) {
    return status;
  }
  return context->request_cert && !context->system_roots
             ? announce(ctx, SSL_CTX_get_cert_store(ctx), why)
             : 0;
}
