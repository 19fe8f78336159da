#include "support/staple.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>

#define ROOM 256

static unsigned char *kept[ROOM];
static size_t count;

static void drop(void) {
  while (count)
    OPENSSL_free(kept[--count]);
}

static staple_t keep(OCSP_RESPONSE *response) {
  staple_t staple = {.der = NULL};
  int n = i2d_OCSP_RESPONSE(response, &staple.der);
  assert_true(n > 0 && count < ROOM);
  if (!count)
    atexit(drop);
  kept[count++] = staple.der;
  staple.n = (size_t)n;
  OCSP_RESPONSE_free(response);
  return staple;
}

static void add(OCSP_BASICRESP *basic, const staple_spec_t *s, const pki_t *about, long other,
                int verdict) {
  bool dated = s->from || s->to;
  OCSP_CERTID *id = OCSP_cert_to_id(EVP_get_digestbyname(s->id_digest ? s->id_digest : "sha1"),
                                    about->x509, s->issuer->x509);
  if (other) {
    ASN1_INTEGER *serial;
    OCSP_id_get0_info(NULL, NULL, NULL, &serial, id);
    assert_int_equal(ASN1_INTEGER_set(serial, other), 1);
  }
  ASN1_TIME *from = X509_gmtime_adj(NULL, dated ? s->from : -60);
  ASN1_TIME *to = s->no_end ? NULL : X509_gmtime_adj(NULL, dated ? s->to : 3600);
  bool revoked = verdict == V_OCSP_CERTSTATUS_REVOKED;
  assert_non_null(
      OCSP_basic_add1_status(basic, id, verdict, s->reason, revoked ? from : NULL, from, to));
  OCSP_CERTID_free(id);
  ASN1_TIME_free(from);
  ASN1_TIME_free(to);
}

static void extend(OCSP_BASICRESP *basic, const staple_spec_t *s) {
  static unsigned char null[] = {5, 0};
  if (s->nonce)
    assert_int_equal(OCSP_basic_add1_nonce(basic, NULL, 16), 1);
  if (!s->critical)
    return;
  ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
  ASN1_OBJECT *type = OBJ_txt2obj("1.3.6.1.4.1.99999.1", 1);
  ASN1_OCTET_STRING_set(value, null, sizeof null);
  X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, type, 1, value);
  assert_int_equal(OCSP_BASICRESP_add_ext(basic, extension, -1), 1);
  X509_EXTENSION_free(extension);
  ASN1_OBJECT_free(type);
  ASN1_OCTET_STRING_free(value);
}

static void sign(OCSP_BASICRESP *basic, const staple_spec_t *s) {
  unsigned long flags = (s->with_signer ? 0 : OCSP_NOCERTS) | (s->by_key ? OCSP_RESPID_KEY : 0);
  const char *digest = s->digest ? s->digest : "sha256";
  const EVP_MD *md = *digest ? EVP_get_digestbyname(digest) : NULL;
  assert_int_equal(OCSP_basic_sign(basic, s->signer->x509, s->signer->key, md, NULL, flags), 1);
}

staple_t staple_make(const staple_spec_t *spec) {
  staple_spec_t s = *spec;
  if (s.failure)
    return keep(OCSP_response_create(s.failure, NULL));
  s.about = s.about ? s.about : pki_default()->server;
  s.issuer = s.issuer ? s.issuer : pki_default()->root;
  s.signer = s.signer ? s.signer : s.issuer;
  OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
  for (int i = 0; i < s.others; i++)
    add(basic, &s, s.about, i + 1, V_OCSP_CERTSTATUS_REVOKED);
  if (s.before)
    add(basic, &s, s.before, 0, V_OCSP_CERTSTATUS_GOOD);
  add(basic, &s, s.about, 0, s.verdict);
  extend(basic, &s);
  sign(basic, &s);
  staple_t staple = keep(OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic));
  OCSP_BASICRESP_free(basic);
  return staple;
}

const pki_t *staple_delegate(const pki_t *issuer) {
  return PKI_MAKE(issuer, .cn = "the responder", .eku = "OCSPSigning");
}

const char *staple_file(staple_t staple) { return pki_file_bytes(staple.der, staple.n); }

const char *staple_pem_file(staple_t staple) {
  char *text;
  BIO *bio = BIO_new(BIO_s_mem());
  assert_true(PEM_write_bio(bio, "OCSP RESPONSE", "", staple.der, (long)staple.n) > 0);
  long n = BIO_get_mem_data(bio, &text);
  const char *file = pki_file_bytes(text, (size_t)n);
  BIO_free(bio);
  return file;
}
