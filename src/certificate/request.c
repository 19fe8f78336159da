/* Certificate requests (RFC 2986). */
#include "certificate/request.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "certificate/spec.h"

#define FILE_LIMIT ((size_t)1 << 20)

/* -- life -------------------------------------------------------------------------------------- */

sp_request_t *sp_request_retain(sp_request_t *request) {
  atomic_fetch_add_explicit(&request->references, 1, memory_order_relaxed);
  return request;
}

void sp_request_release(sp_request_t *request) {
  if (!request || atomic_fetch_sub_explicit(&request->references, 1, memory_order_acq_rel) != 1)
    return;
  X509_REQ_free(request->x509_req);
  GENERAL_NAMES_free(request->names);
  sp__view_clear(&request->view);
  sp_pem_release(request->pem);
  sp__free(request);
}

/* -- what it says ------------------------------------------------------------------------------ */

/* Other extensions are the authority's business. */
static GENERAL_NAMES *asked_names(X509_REQ *x509_req) {
  STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(x509_req);
  GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  ERR_clear_error();
  return names;
}

static int fill_pem(sp_request_t *request, sp_error_t *why) {
  BIO *bio = BIO_new(BIO_s_mem());
  if (bio && PEM_write_bio_X509_REQ(bio, request->x509_req))
    return sp__pem_take(&request->pem, bio, why);
  BIO_free(bio);
  return sp__fail_memory(why);
}

static int fill(sp_request_t *request, sp_error_t *why) {
  X509_REQ *x509_req = request->x509_req;
  request->names = asked_names(x509_req);
  request->view.subject = sp__view_name_line(&request->view, X509_REQ_get_subject_name(x509_req));
  if (!request->view.subject ||
      (request->names && sp__view_copy_names(&request->view, request->names) < 0) ||
      !sp__key_hash(request->fingerprint, X509_REQ_get0_pubkey(x509_req)))
    return sp__fail_memory(why);
  return fill_pem(request, why);
}

/* Takes x509_req over, also on failure. */
static int wrap(sp_request_t **made, X509_REQ *x509_req, sp_error_t *why) {
  sp_request_t *request = sp__zalloc(sizeof *request);
  *made = NULL;
  if (!request) {
    X509_REQ_free(x509_req);
    return sp__fail_memory(why);
  }
  atomic_init(&request->references, 1);
  request->x509_req = x509_req;
  int status = fill(request, why);
  if (status < 0)
    sp_request_release(request);
  else
    *made = request;
  return status;
}

/* -- making one -------------------------------------------------------------------------------- */

static int compose(X509_REQ *x509_req, const sp_key_t *key, const sp_certificate_spec_t *spec,
                   GENERAL_NAMES *names, sp_error_t *why) {
  X509_NAME *subject;
  int status = sp__spec_subject(&subject, spec, why);
  if (status < 0)
    return status;
  ERR_clear_error();
  bool fine =
      X509_REQ_set_subject_name(x509_req, subject) && X509_REQ_set_pubkey(x509_req, key->evp);
  X509_NAME_free(subject);
  status = fine ? sp__spec_extend_request(x509_req, spec, names, why)
                : sp__make_fail(why, SP_ECRYPTO, "the request cannot be made");
  if (!status && X509_REQ_sign(x509_req, key->evp, sp__key_digest(key->evp)) <= 0)
    status = sp__make_fail(why, SP_ECRYPTO, "the request cannot be signed");
  return status;
}

int sp_request_make(sp_request_t **request, const sp_key_t *key, sp_error_t *why,
                    const sp_certificate_spec_t *given) {
  sp_certificate_spec_t spec;
  GENERAL_NAMES *names = NULL;
  *request = NULL;
  int status = sp__spec_copy(&spec, given, why);
  if (!status)
    status = sp__spec_names(&names, &spec, why);
  if (status < 0)
    return status;
  X509_REQ *x509_req = X509_REQ_new();
  status = x509_req ? compose(x509_req, key, &spec, names, why) : sp__fail_memory(why);
  GENERAL_NAMES_free(names);
  if (!status)
    return wrap(request, x509_req, why);
  X509_REQ_free(x509_req);
  return status;
}

/* -- reading one ------------------------------------------------------------------------------- */

static int none(const char *bytes, size_t n, const char *name, sp_error_t *why) {
  static const struct {
    const char *sign, *what;
  } others[] = {
      {"BEGIN CERTIFICATE REQUEST", "the request is damaged: was the text cut or changed?"},
      {"BEGIN NEW CERTIFICATE REQUEST", "the request is damaged: was the text cut or changed?"},
      {"PRIVATE KEY-----", "this is a private key: make a request of it first, and keep it secret"},
      {"BEGIN CERTIFICATE-----", "this is a certificate: it has been signed already"},
  };
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (memmem(bytes, n, others[i].sign, strlen(others[i].sign)))
      return sp__fail(why, SP_ECERTIFICATE, SP_US, "%s: %s", name, others[i].what);
  return sp__fail(why, SP_ECERTIFICATE, SP_US,
                  "%s: there is no request in it: PEM text has a line "
                  "\"-----BEGIN CERTIFICATE REQUEST-----\"",
                  name);
}

static X509_REQ *decode(const char *bytes, size_t n) {
  const uint8_t *at = (const uint8_t *)bytes;
  if (!memmem(bytes, n, "-----BEGIN ", 11))
    return d2i_X509_REQ(NULL, &at, (long)n);
  BIO *bio = BIO_new_mem_buf(bytes, (int)n);
  X509_REQ *x509_req = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
  BIO_free(bio);
  return x509_req;
}

static int read_request(sp_request_t **request, const char *bytes, size_t n, const char *name,
                        sp_error_t *why) {
  if (n > FILE_LIMIT)
    return sp__fail(why, SP_ECERTIFICATE, SP_US, "%s: is too large for a request", name);
  ERR_clear_error();
  X509_REQ *x509_req = decode(bytes, n);
  bool memory = ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;
  ERR_clear_error();
  if (!x509_req)
    return memory ? sp__fail_memory(why) : none(bytes, n, name, why);
  EVP_PKEY *key = X509_REQ_get0_pubkey(x509_req);
  bool own = key && X509_REQ_verify(x509_req, key) == 1;
  ERR_clear_error();
  if (own)
    return wrap(request, x509_req, why);
  X509_REQ_free(x509_req);
  return sp__fail(why, SP_ECERTIFICATE, SP_US,
                  "%s: is not signed with its own key: whoever sent it may not have that key",
                  name);
}

int sp_request_read(sp_request_t **request, const void *bytes, size_t n, sp_error_t *why) {
  *request = NULL;
  return read_request(request, bytes ? bytes : "", bytes ? n : 0, "request", why);
}

int sp_request_read_file(sp_request_t **request, const char *path, sp_error_t *why) {
  char *bytes;
  size_t n;
  *request = NULL;
  int status = sp__file_read(&bytes, &n, path, FILE_LIMIT, why);
  if (status < 0)
    return status;
  status = read_request(request, bytes, n, path, why);
  sp__file_release(bytes);
  return status;
}

/* -- facts ------------------------------------------------------------------------------------- */

const char *sp_request_subject(const sp_request_t *request) { return request->view.subject; }

const sp_name_t *sp_request_names(const sp_request_t *request, size_t *count) {
  *count = request->view.name_count;
  return request->view.names;
}

const char *sp_request_key_type(const sp_request_t *request) {
  const char *type = EVP_PKEY_get0_type_name(X509_REQ_get0_pubkey(request->x509_req));
  return type ? type : "unknown";
}

int sp_request_key_bits(const sp_request_t *request) {
  return EVP_PKEY_get_bits(X509_REQ_get0_pubkey(request->x509_req));
}

const char *sp_request_key_fingerprint(const sp_request_t *request) { return request->fingerprint; }

const char *sp_request_pem(const sp_request_t *request) { return request->pem; }
