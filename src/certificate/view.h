/* What a certificate object holds. Everything is worked out when it is made, so that reading it
 * neither fails nor needs a lock. */
#ifndef SP_CERTIFICATE_VIEW_H
#define SP_CERTIFICATE_VIEW_H

#include <stdatomic.h>

#include <openssl/x509v3.h>

#include "certificate/certificate.h"

struct sp_certificate {
  atomic_uint references;
  X509 *x509;
  sp_certificate_t *next; /* a reference of its own */
  struct sp__view_block *blocks;
  const char *subject, *issuer, *serial, *key_type, *key_curve, *signature, *pem;
  const sp_attribute_t *attributes[2]; /* by sp_name_side_t */
  size_t attribute_count[2];
  const sp_name_t *names;
  size_t name_count;
  const char *const *usages, *const *extended_usages; /* NULL: no such extension */
  size_t usage_count, extended_usage_count;
  const uint8_t *der;
  size_t der_size;
  int64_t valid_from, valid_to;
  int key_bits;
  bool is_authority, is_self_signed;
  char fingerprints[3][3 * 64]; /* by sp_digest_t */
};

/* Fills all fields from `x509`, which is set. Returns 0 or UV_ENOMEM's number; what was allocated
 * by then is released by sp__view_clear in either case. Leaves OpenSSL's error queue as it was. */
int sp__view_fill(sp_certificate_t *view);
void sp__view_clear(sp_certificate_t *view);

/* Memory that lives as long as the view; NULL on failure. */
void *sp__view_alloc(sp_certificate_t *view, size_t size);
const char *sp__view_escaped(sp_certificate_t *view, const void *bytes, size_t n);

/* A date of a certificate in seconds since 1970; 0 when it is malformed. */
int64_t sp__time_of(const ASN1_TIME *time);

/* The parts of sp__view_fill that have a file of their own. The same results. */
int sp__view_fill_subjects(sp_certificate_t *view); /* subject.c */
int sp__view_fill_names(sp_certificate_t *view);    /* alternative.c */

/* The same for what is not in a certificate: a name on one line (NULL: no memory), and the names of
 * an extension. */
const char *sp__view_name_line(sp_certificate_t *view, const X509_NAME *name);
int sp__view_copy_names(sp_certificate_t *view, const GENERAL_NAMES *names);

#endif
