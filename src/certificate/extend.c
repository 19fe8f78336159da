/* The extensions of what is made (RFC 5280 4.2). */
#include <openssl/err.h>

#include "base/error.h"
#include "certificate/key.h"
#include "certificate/spec.h"

static int failed(sp_error_t *why) {
  return sp__make_fail(why, SP_ECRYPTO, "an extension cannot be made");
}

/* -- of certificates --------------------------------------------------------------------------- */

static bool add(X509 *x509, int nid, void *value, bool critical) {
  return value && X509_add1_ext_i2d(x509, nid, value, critical, X509V3_ADD_APPEND) == 1;
}

static bool add_constraints(X509 *x509, const sp_certificate_spec_t *spec) {
  BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();
  if (!constraints)
    return false;
  bool fine = true;
  constraints->ca = spec->purpose == SP_FOR_AUTHORITY ? 0xff : 0;
  if (spec->path_length_plus_1) {
    constraints->pathlen = ASN1_INTEGER_new();
    fine = constraints->pathlen &&
           ASN1_INTEGER_set(constraints->pathlen, spec->path_length_plus_1 - 1);
  }
  fine = fine && add(x509, NID_basic_constraints, constraints, true);
  BASIC_CONSTRAINTS_free(constraints);
  return fine;
}

/* Bit 0 is the first of the first byte. */
static ASN1_BIT_STRING *usage_bits(const sp_certificate_spec_t *spec, const EVP_PKEY *key) {
  ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
  bool authority = spec->purpose == SP_FOR_AUTHORITY, fine = bits;
  if (authority)
    fine = fine && ASN1_BIT_STRING_set_bit(bits, 5, 1) && /* keyCertSign */
           ASN1_BIT_STRING_set_bit(bits, 6, 1);           /* cRLSign */
  else
    fine = fine && ASN1_BIT_STRING_set_bit(bits, 0, 1); /* digitalSignature */
  if (!authority && EVP_PKEY_is_a(key, "RSA"))
    fine = fine && ASN1_BIT_STRING_set_bit(bits, 2, 1); /* keyEncipherment */
  if (fine)
    return bits;
  ASN1_BIT_STRING_free(bits);
  return NULL;
}

static bool add_usage(X509 *x509, const sp_certificate_spec_t *spec) {
  ASN1_BIT_STRING *bits = usage_bits(spec, X509_get0_pubkey(x509));
  bool fine = add(x509, NID_key_usage, bits, true);
  ASN1_BIT_STRING_free(bits);
  return fine;
}

static EXTENDED_KEY_USAGE *extended_usage(sp_purpose_t purpose) {
  EXTENDED_KEY_USAGE *usage = sk_ASN1_OBJECT_new_null();
  bool fine = usage;
  if (purpose != SP_FOR_CLIENT)
    fine = fine && sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(NID_server_auth));
  if (purpose != SP_FOR_SERVER)
    fine = fine && sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(NID_client_auth));
  if (fine)
    return usage;
  sk_ASN1_OBJECT_free(usage);
  return NULL;
}

static bool add_extended_usage(X509 *x509, sp_purpose_t purpose) {
  EXTENDED_KEY_USAGE *usage = extended_usage(purpose);
  bool fine = add(x509, NID_ext_key_usage, usage, false);
  sk_ASN1_OBJECT_free(usage);
  return fine;
}

/* What OpenSSL knows how to make from its own configuration language. */
static bool add_written(X509 *x509, X509 *issuer, int nid, const char *value) {
  X509V3_CTX ctx;
  X509V3_set_ctx(&ctx, issuer, x509, NULL, NULL, 0);
  X509V3_set_ctx_nodb(&ctx);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
  bool fine = extension && X509_add_ext(x509, extension, -1);
  X509_EXTENSION_free(extension);
  return fine;
}

static bool add_identifiers(X509 *x509, X509 *issuer) {
  return add_written(x509, issuer, NID_subject_key_identifier, "hash") &&
         (issuer == x509 ||
          add_written(x509, issuer, NID_authority_key_identifier, "keyid:always"));
}

/* RFC 7633: the certificate is good only together with an OCSP response. */
static bool add_must_staple(X509 *x509) {
  return add_written(x509, x509, NID_tlsfeature, "status_request");
}

/* -- where revocations are published ----------------------------------------------------------- */

static GENERAL_NAME *uri(const char *url, const char *field, sp_error_t *why) {
  GENERAL_NAME *name = sp__spec_name(url, field, false, why);
  int type;
  if (!name)
    return NULL;
  (void)GENERAL_NAME_get0_value(name, &type);
  if (type == GEN_URI)
    return name;
  GENERAL_NAME_free(name);
  (void)sp__fail(why, SP_EOPTION, SP_US, "%s: \"%s\" is no URL", field, url);
  return NULL;
}

static int add_crl_url(X509 *x509, const char *url, sp_error_t *why) {
  GENERAL_NAME *name = uri(url, "crl_url", why);
  if (!name)
    return SP_EOPTION;
  CRL_DIST_POINTS *points = sk_DIST_POINT_new_null();
  DIST_POINT *point = DIST_POINT_new();
  GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
  bool fine = points && point && names && (point->distpoint = DIST_POINT_NAME_new()) &&
              sk_GENERAL_NAME_push(names, name);
  if (fine) {
    point->distpoint->type = 0; /* the full name */
    point->distpoint->name.fullname = names;
    names = NULL;
    name = NULL;
    fine = sk_DIST_POINT_push(points, point);
  }
  if (fine) {
    point = NULL;
    fine = add(x509, NID_crl_distribution_points, points, false);
  }
  GENERAL_NAME_free(name);
  sk_GENERAL_NAME_free(names);
  DIST_POINT_free(point);
  sk_DIST_POINT_pop_free(points, DIST_POINT_free);
  return fine ? 0 : failed(why);
}

static int add_ocsp_url(X509 *x509, const char *url, sp_error_t *why) {
  GENERAL_NAME *name = uri(url, "ocsp_url", why);
  if (!name)
    return SP_EOPTION;
  AUTHORITY_INFO_ACCESS *access = sk_ACCESS_DESCRIPTION_new_null();
  ACCESS_DESCRIPTION *one = ACCESS_DESCRIPTION_new();
  bool fine = access && one;
  if (fine) {
    GENERAL_NAME_free(one->location);
    one->location = name;
    name = NULL;
    ASN1_OBJECT_free(one->method);
    one->method = OBJ_nid2obj(NID_ad_OCSP);
    fine = sk_ACCESS_DESCRIPTION_push(access, one);
  }
  if (fine) {
    one = NULL;
    fine = add(x509, NID_info_access, access, false);
  }
  GENERAL_NAME_free(name);
  ACCESS_DESCRIPTION_free(one);
  sk_ACCESS_DESCRIPTION_pop_free(access, ACCESS_DESCRIPTION_free);
  return fine ? 0 : failed(why);
}

/* -- limits of an authority -------------------------------------------------------------------- */

static int push_subtree(STACK_OF(GENERAL_SUBTREE) * trees, const char *text, const char *field,
                        sp_error_t *why) {
  GENERAL_NAME *name = sp__spec_name(text, field, true, why);
  if (!name)
    return SP_EOPTION;
  GENERAL_SUBTREE *tree = GENERAL_SUBTREE_new();
  if (!tree) {
    GENERAL_NAME_free(name);
    return sp__fail_memory(why);
  }
  GENERAL_NAME_free(tree->base);
  tree->base = name;
  if (sk_GENERAL_SUBTREE_push(trees, tree))
    return 0;
  GENERAL_SUBTREE_free(tree);
  return sp__fail_memory(why);
}

static int push_subtrees(STACK_OF(GENERAL_SUBTREE) * *made, const char *const *texts,
                         const char *field, sp_error_t *why) {
  if (!texts || !texts[0])
    return 0;
  STACK_OF(GENERAL_SUBTREE) *trees = *made = sk_GENERAL_SUBTREE_new_null();
  if (!trees)
    return sp__fail_memory(why);
  int status = 0;
  for (size_t i = 0; !status && texts[i]; i++)
    status = push_subtree(trees, texts[i], field, why);
  return status;
}

static int add_name_constraints(X509 *x509, const sp_certificate_spec_t *spec, sp_error_t *why) {
  if (!spec->permitted && !spec->excluded)
    return 0;
  NAME_CONSTRAINTS *limits = NAME_CONSTRAINTS_new();
  if (!limits)
    return sp__fail_memory(why);
  int status = push_subtrees(&limits->permittedSubtrees, spec->permitted, "permitted", why);
  if (!status)
    status = push_subtrees(&limits->excludedSubtrees, spec->excluded, "excluded", why);
  if (!status && !add(x509, NID_name_constraints, limits, true))
    status = failed(why);
  NAME_CONSTRAINTS_free(limits);
  return status;
}

/* -- all of them ------------------------------------------------------------------------------- */

int sp__spec_extend(X509 *x509, X509 *issuer, const sp_certificate_spec_t *spec,
                    GENERAL_NAMES *names, sp_error_t *why) {
  bool authority = spec->purpose == SP_FOR_AUTHORITY;
  bool nameless = X509_NAME_entry_count(X509_get_subject_name(x509)) == 0;
  ERR_clear_error();
  if (!add_constraints(x509, spec) || !add_usage(x509, spec) || !add_identifiers(x509, issuer) ||
      (!authority && !add_extended_usage(x509, spec->purpose)) ||
      (names && !add(x509, NID_subject_alt_name, names, nameless)) ||
      (spec->must_staple && !add_must_staple(x509)))
    return failed(why);
  int status = add_name_constraints(x509, spec, why);
  if (!status && spec->crl_url)
    status = add_crl_url(x509, spec->crl_url, why);
  if (!status && spec->ocsp_url)
    status = add_ocsp_url(x509, spec->ocsp_url, why);
  return status;
}

/* A request carries the extensions of a certificate that is never issued. */
int sp__spec_extend_request(X509_REQ *request, const sp_certificate_spec_t *spec,
                            GENERAL_NAMES *names, sp_error_t *why) {
  X509 *shape = X509_new();
  if (!shape)
    return sp__fail_memory(why);
  bool nameless = X509_NAME_entry_count(X509_REQ_get_subject_name(request)) == 0;
  ERR_clear_error();
  bool fine = X509_set_pubkey(shape, X509_REQ_get0_pubkey(request)) &&
              add_constraints(shape, spec) && add_usage(shape, spec) &&
              (spec->purpose == SP_FOR_AUTHORITY || add_extended_usage(shape, spec->purpose)) &&
              (!names || add(shape, NID_subject_alt_name, names, nameless)) &&
              (!spec->must_staple || add_must_staple(shape)) &&
              X509_REQ_add_extensions(request, X509_get0_extensions(shape)) == 1;
  X509_free(shape);
  return fine ? 0 : failed(why);
}
