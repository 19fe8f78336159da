#include <pthread.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "context/build.h"
#include "context/input.h"

/* One kind of entry: what it is called, what may be in it. */
typedef struct kind {
  const char *text, *file; /* the options */
  const char *what;
  int status;
  bool (*is)(const sp__block_t *block);
  int (*add)(sp_context_t *context, BIO *bio, bool der); /* 1: done */
} kind_t;

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

static int add_certificate(sp_context_t *context, BIO *bio, bool der) {
  X509 *x509 = der ? d2i_X509_bio(bio, NULL) : PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
  int done = x509 && X509_STORE_add_cert(SSL_CTX_get_cert_store(context->ssl_ctx), x509);
  /* OpenSSL notes an extension's meaning in the certificate at its first use: here, where no other
   * thread uses it yet, so that the context stays as it is from now on */
  if (done)
    (void)X509_check_purpose(x509, -1, 0);
  /* the names tell a client which certificate to show */
  if (done && context->request_cert)
    done = SSL_CTX_add_client_CA(context->ssl_ctx, x509);
  X509_free(x509);
  return done;
}

static int add_crl(sp_context_t *context, BIO *bio, bool der) {
  X509_CRL *crl = der ? d2i_X509_CRL_bio(bio, NULL) : PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
  int done = crl && X509_STORE_add_crl(SSL_CTX_get_cert_store(context->ssl_ctx), crl);
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
};

static int add_der(sp_context_t *context, const kind_t *kind, const sp__input_t *input,
                   sp_error_t *why) {
  BIO *bio = BIO_new_mem_buf(input->bytes, (int)input->n);
  if (!bio)
    return sp__fail_memory(why);
  int done = kind->add(context, bio, true);
  BIO_free(bio);
  return done ? 0
              : sp__fail_crypto(why, kind->status, "%s: is no PEM text and no %s in DER form",
                                input->name, kind->what);
}

static int add_block(sp_context_t *context, const kind_t *kind, const sp__input_t *input,
                     const sp__block_t *block, sp_error_t *why) {
  if (!kind->is(block))
    return sp__fail(why, kind->status, SP_US, "%s, line %u: found \"%.*s\" where a %s belongs",
                    input->name, block->line, block->label_size, block->label, kind->what);
  BIO *bio = sp__block_bio(block);
  if (!bio)
    return sp__fail_memory(why);
  int done = kind->add(context, bio, false);
  BIO_free(bio);
  return done ? 0
              : sp__fail_crypto(why, kind->status, "%s, line %u: the %s is damaged", input->name,
                                block->line, kind->what);
}

static int add_input(sp_context_t *context, const kind_t *kind, sp__input_t *input,
                     sp_error_t *why) {
  if (sp__input_is_der(input))
    return add_der(context, kind, input, why);
  sp__block_t block;
  int status, count = 0;
  while ((status = sp__input_next(input, &block, kind->status, why)) > 0) {
    if (sp__block_is_parameters(&block))
      continue;
    if ((status = add_block(context, kind, input, &block, why)) < 0)
      return status;
    count++;
  }
  if (status < 0 || count)
    return status;
  return sp__fail(why, kind->status, SP_US, "%s: there is no %s in it, but %s", input->name,
                  kind->what, input->n ? "something else" : "nothing at all");
}

static int load(sp_context_t *context, const kind_t *kind, const char *const *texts,
                const char *const *files, sp_error_t *why) {
  int status = 0;
  sp__input_t input;
  for (int i = 0; texts && texts[i] && !status; i++) {
    status = sp__input_text(&input, kind->text, i, texts[i], SP__TRUST_LIMIT, kind->status, why);
    if (!status)
      status = add_input(context, kind, &input, why);
    sp__input_close(&input);
  }
  for (int i = 0; files && files[i] && !status; i++) {
    status = sp__input_file(&input, kind->file, files[i], SP__TRUST_LIMIT, kind->status, why);
    if (!status)
      status = add_input(context, kind, &input, why);
    sp__input_close(&input);
  }
  return status;
}

int sp__trust_load(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  X509_STORE *store = SSL_CTX_get_cert_store(context->ssl_ctx);
  context->system_roots = !options->ca && !options->ca_files;
  bool revocation = options->crl || options->crl_files;
  int status = load(context, &authorities, options->ca, options->ca_files, why);
  if (status < 0 || !revocation)
    return status;
  /* lists of one context do not belong into the store that all share */
  context->own_store = context->system_roots;
  if (context->own_store && !X509_STORE_set_default_paths(store))
    return sp__fail_crypto(why, SP_ECA, "the system's trusted certificates cannot be loaded");
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return load(context, &revocations, options->crl, options->crl_files, why);
}
