#include "certificate/view.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "base/memory.h"
#include "base/text.h"

/* -- memory ------------------------------------------------------------------------------------ */

struct sp__view_block {
  struct sp__view_block *next;
  max_align_t bytes[];
};

void *sp__view_alloc(sp_certificate_t *view, size_t size) {
  struct sp__view_block *block = sp__alloc(sizeof *block + size);
  if (!block)
    return NULL;
  block->next = view->blocks;
  view->blocks = block;
  return block->bytes;
}

const char *sp__view_escaped(sp_certificate_t *view, const void *bytes, size_t n) {
  char small[256]; /* most texts are short and grow little: no need to reserve four times as much */
  if (n < sizeof small / 4) {
    size_t length = sp__escape(small, sizeof small, bytes, n);
    char *copy = sp__view_alloc(view, length + 1);
    return copy ? memcpy(copy, small, length + 1) : NULL;
  }
  char *room = sp__view_alloc(view, 4 * n + 1);
  if (room)
    sp__escape(room, 4 * n + 1, bytes, n);
  return room;
}

static const char *copy_text(sp_certificate_t *view, const char *text) {
  return sp__view_escaped(view, text, strlen(text));
}

void sp__view_clear(sp_certificate_t *view) {
  while (view->blocks) {
    struct sp__view_block *block = view->blocks;
    view->blocks = block->next;
    sp__free(block);
  }
}

/* -- the whole --------------------------------------------------------------------------------- */

static int fill_der(sp_certificate_t *view) {
  int size = i2d_X509(view->x509, NULL);
  uint8_t *der = size > 0 ? sp__view_alloc(view, (size_t)size) : NULL;
  if (!der)
    return -ENOMEM;
  view->der = der;
  view->der_size = (size_t)size;
  return i2d_X509(view->x509, &der) == size ? 0 : -ENOMEM;
}

/* RFC 7468: 64 characters a line. */
static int fill_pem(sp_certificate_t *view) {
  static const char begin[] = "-----BEGIN CERTIFICATE-----\n",
                    end[] = "-----END CERTIFICATE-----\n";
  size_t lines = view->der_size / 48 + 1;
  char *pem = sp__view_alloc(view, sizeof begin + sizeof end + lines * 65);
  if (!pem)
    return -ENOMEM;
  char *out = stpcpy(pem, begin);
  for (size_t at = 0; at < view->der_size; at += 48) {
    size_t left = view->der_size - at;
    out += EVP_EncodeBlock((uint8_t *)out, view->der + at, (int)(left < 48 ? left : 48));
    *out++ = '\n';
  }
  memcpy(out, end, sizeof end);
  view->pem = pem;
  return 0;
}

static int fill_fingerprints(sp_certificate_t *view) {
  static const char *const digests[] = {"SHA1", "SHA256", "SHA512"};
  static const char digits[] = "0123456789ABCDEF";
  for (size_t i = 0; i < 3; i++) {
    uint8_t raw[64];
    size_t n = 0;
    if (!EVP_Q_digest(NULL, digests[i], NULL, view->der, view->der_size, raw, &n))
      return -ENOMEM;
    char *out = view->fingerprints[i];
    for (size_t at = 0; at < n; at++) {
      *out++ = digits[raw[at] >> 4];
      *out++ = digits[raw[at] & 15];
      *out++ = at + 1 < n ? ':' : '\0';
    }
  }
  return 0;
}

/* -- the parts --------------------------------------------------------------------------------- */

static int fill_serial(sp_certificate_t *view) {
  BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(view->x509), NULL);
  char *text = number ? BN_bn2hex(number) : NULL;
  if (text)
    view->serial = copy_text(view, text);
  OPENSSL_free(text);
  BN_free(number);
  return view->serial ? 0 : -ENOMEM;
}

int64_t sp__time_of(const ASN1_TIME *time) {
  struct tm tm;
  return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* The long name of an object ("sha256WithRSAEncryption", as in the RFCs), or its numbers. */
static const char *object_text(sp_certificate_t *view, const ASN1_OBJECT *object, bool is_long) {
  int nid = OBJ_obj2nid(object);
  if (nid != NID_undef)
    return is_long ? OBJ_nid2ln(nid) : OBJ_nid2sn(nid);
  char numbers[256];
  int n = OBJ_obj2txt(numbers, sizeof numbers, object, 1);
  return copy_text(view, n > 0 ? numbers : "unknown");
}

static int fill_key(sp_certificate_t *view) {
  ASN1_OBJECT *algorithm = NULL;
  EVP_PKEY *key = X509_get0_pubkey(view->x509);
  if (!key) { /* an algorithm that OpenSSL does not know, or a malformed key */
    X509_PUBKEY_get0_param(&algorithm, NULL, NULL, NULL, X509_get_X509_PUBKEY(view->x509));
    view->key_type = object_text(view, algorithm, false);
    return view->key_type ? 0 : -ENOMEM;
  }
  const char *type = EVP_PKEY_get0_type_name(key);
  view->key_type = copy_text(view, type ? type : "unknown");
  view->key_bits = EVP_PKEY_get_bits(key);
  char curve[80];
  size_t n;
  bool has_curve = EVP_PKEY_is_a(key, "EC") &&
                   EVP_PKEY_get_group_name(key, curve, sizeof curve, &n) == 1 && *curve;
  if (has_curve)
    view->key_curve = copy_text(view, curve);
  return view->key_type && (!has_curve || view->key_curve) ? 0 : -ENOMEM;
}

static int fill_signature(sp_certificate_t *view) {
  const X509_ALGOR *algorithm;
  const ASN1_OBJECT *object;
  X509_get0_signature(NULL, &algorithm, view->x509);
  X509_ALGOR_get0(&object, NULL, NULL, algorithm);
  view->signature = object_text(view, object, true);
  return view->signature ? 0 : -ENOMEM;
}

static int fill_usages(sp_certificate_t *view) {
  static const struct {
    uint32_t bit;
    const char *name;
  } usages[] = {
      {KU_DIGITAL_SIGNATURE, "digitalSignature"},
      {KU_NON_REPUDIATION, "nonRepudiation"},
      {KU_KEY_ENCIPHERMENT, "keyEncipherment"},
      {KU_DATA_ENCIPHERMENT, "dataEncipherment"},
      {KU_KEY_AGREEMENT, "keyAgreement"},
      {KU_KEY_CERT_SIGN, "keyCertSign"},
      {KU_CRL_SIGN, "cRLSign"},
      {KU_ENCIPHER_ONLY, "encipherOnly"},
      {KU_DECIPHER_ONLY, "decipherOnly"},
  };
  enum { count = sizeof usages / sizeof *usages };
  uint32_t bits = X509_get_key_usage(view->x509);
  if (bits == UINT32_MAX)
    return 0;
  const char **list = sp__view_alloc(view, count * sizeof *list);
  if (!list)
    return -ENOMEM;
  for (size_t i = 0; i < count; i++)
    if (bits & usages[i].bit)
      list[view->usage_count++] = usages[i].name;
  view->usages = list;
  return 0;
}

static int copy_usages(sp_certificate_t *view, const EXTENDED_KEY_USAGE *usages) {
  size_t count = (size_t)sk_ASN1_OBJECT_num(usages);
  const char **list = sp__view_alloc(view, (count + 1) * sizeof *list);
  if (!list)
    return -ENOMEM;
  for (size_t i = 0; i < count; i++)
    if (!(list[i] = object_text(view, sk_ASN1_OBJECT_value(usages, (int)i), false)))
      return -ENOMEM;
  view->extended_usages = list;
  view->extended_usage_count = count;
  return 0;
}

static int fill_extended_usages(sp_certificate_t *view) {
  EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(view->x509, NID_ext_key_usage, NULL, NULL);
  int status = usages ? copy_usages(view, usages) : 0;
  EXTENDED_KEY_USAGE_free(usages);
  return status;
}

static int fill_flags(sp_certificate_t *view) {
  view->valid_from = sp__time_of(X509_get0_notBefore(view->x509));
  view->valid_to = sp__time_of(X509_get0_notAfter(view->x509));
  view->is_authority = X509_get_extension_flags(view->x509) & EXFLAG_CA;
  view->is_self_signed = X509_self_signed(view->x509, 1) == 1;
  return 0;
}

int sp__view_fill(sp_certificate_t *view) {
  static int (*const parts[])(sp_certificate_t *) = {fill_der,
                                                     fill_pem,
                                                     fill_fingerprints,
                                                     sp__view_fill_subjects,
                                                     sp__view_fill_names,
                                                     fill_key,
                                                     fill_signature,
                                                     fill_serial,
                                                     fill_usages,
                                                     fill_extended_usages,
                                                     fill_flags};
  int status = 0;
  ERR_set_mark();
  for (size_t i = 0; status == 0 && i < sizeof parts / sizeof *parts; i++)
    status = parts[i](view);
  ERR_pop_to_mark();
  return status;
}
