#include "certificate/certificate.h"

#include <string.h>

#include <openssl/err.h>

#include "base/error.h"
#include "base/memory.h"
#include "certificate/view.h"

static int make(sp_certificate_t **certificate, X509 *x509, sp_error_t *why) {
  *certificate = NULL;
  sp_certificate_t *view = sp__zalloc(sizeof *view);
  if (!view)
    return sp__fail_memory(why);
  atomic_init(&view->references, 1);
  X509_up_ref(x509);
  view->x509 = x509;
  if (sp__view_fill(view) < 0) {
    sp_certificate_release(view);
    return sp__fail_memory(why);
  }
  *certificate = view;
  return 0;
}

int sp__certificate_view(sp_certificate_t **certificate, X509 *x509, STACK_OF(X509) * chain,
                         sp_error_t *why) {
  int status = make(certificate, x509, why);
  sp_certificate_t *last = *certificate;
  for (int i = 0; last && i < sk_X509_num(chain); i++) {
    X509 *issuer = sk_X509_value(chain, i);
    if (i == 0 && X509_cmp(issuer, x509) == 0)
      continue;
    status = make(&last->next, issuer, why);
    last = last->next; /* NULL if that failed */
  }
  if (status == 0)
    return 0;
  sp_certificate_release(*certificate);
  *certificate = NULL;
  return status;
}

int sp_certificate_from_x509(sp_certificate_t **certificate, X509 *x509, sp_error_t *why) {
  return sp__certificate_view(certificate, x509, NULL, why);
}

sp_certificate_t *sp_certificate_retain(sp_certificate_t *certificate) {
  atomic_fetch_add_explicit(&certificate->references, 1, memory_order_relaxed);
  return certificate;
}

/* A loop, because a chain from a file may be long enough to exhaust the stack by recursion. */
void sp_certificate_release(sp_certificate_t *certificate) {
  while (certificate &&
         atomic_fetch_sub_explicit(&certificate->references, 1, memory_order_acq_rel) == 1) {
    sp_certificate_t *next = certificate->next;
    sp__view_clear(certificate);
    X509_free(certificate->x509);
    sp__free(certificate);
    certificate = next;
  }
}

const sp_certificate_t *sp_certificate_next(const sp_certificate_t *certificate) {
  return certificate->next;
}

X509 *sp_certificate_x509(const sp_certificate_t *certificate) { return certificate->x509; }

bool sp_certificate_names_host(const sp_certificate_t *certificate, const char *host,
                               unsigned flags, sp_error_t *why) {
  return sp__x509_names_host(certificate->x509, host, flags, why) == X509_V_OK;
}

/* -- what was worked out in view.c ------------------------------------------------------------- */

const char *sp_certificate_subject(const sp_certificate_t *certificate) {
  return certificate->subject;
}

const char *sp_certificate_issuer(const sp_certificate_t *certificate) {
  return certificate->issuer;
}

const sp_attribute_t *sp_certificate_attributes(const sp_certificate_t *certificate,
                                                sp_name_side_t side, size_t *count) {
  size_t at = side == SP_ISSUER;
  *count = certificate->attribute_count[at];
  return certificate->attributes[at];
}

const char *sp_certificate_attribute(const sp_certificate_t *certificate, sp_name_side_t side,
                                     const char *type) {
  size_t count;
  const sp_attribute_t *attributes = sp_certificate_attributes(certificate, side, &count);
  for (size_t i = 0; i < count; i++)
    if (!strcmp(attributes[i].type, type))
      return attributes[i].value;
  return NULL;
}

const sp_name_t *sp_certificate_names(const sp_certificate_t *certificate, size_t *count) {
  *count = certificate->name_count;
  return certificate->names;
}

int64_t sp_certificate_valid_from(const sp_certificate_t *certificate) {
  return certificate->valid_from;
}

int64_t sp_certificate_valid_to(const sp_certificate_t *certificate) {
  return certificate->valid_to;
}

const char *sp_certificate_serial(const sp_certificate_t *certificate) {
  return certificate->serial;
}

const char *sp_certificate_fingerprint(const sp_certificate_t *certificate, sp_digest_t digest) {
  size_t at = (size_t)digest;
  return at < 3 ? certificate->fingerprints[at] : NULL;
}

const char *sp_certificate_key_type(const sp_certificate_t *certificate) {
  return certificate->key_type;
}

int sp_certificate_key_bits(const sp_certificate_t *certificate) { return certificate->key_bits; }

const char *sp_certificate_key_curve(const sp_certificate_t *certificate) {
  return certificate->key_curve;
}

const char *sp_certificate_signature(const sp_certificate_t *certificate) {
  return certificate->signature;
}

const char *const *sp_certificate_usages(const sp_certificate_t *certificate, size_t *count) {
  *count = certificate->usage_count;
  return certificate->usages;
}

const char *const *sp_certificate_extended_usages(const sp_certificate_t *certificate,
                                                  size_t *count) {
  *count = certificate->extended_usage_count;
  return certificate->extended_usages;
}

bool sp_certificate_is_authority(const sp_certificate_t *certificate) {
  return certificate->is_authority;
}

bool sp_certificate_is_self_signed(const sp_certificate_t *certificate) {
  return certificate->is_self_signed;
}

const char *sp_certificate_pem(const sp_certificate_t *certificate) { return certificate->pem; }

const uint8_t *sp_certificate_der(const sp_certificate_t *certificate, size_t *n) {
  *n = certificate->der_size;
  return certificate->der;
}
