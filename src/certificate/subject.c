/* Subject and issuer: the lines and the single attributes. */
#include <errno.h>
#include <string.h>

#include <openssl/bio.h>

#include "certificate/view.h"

/* Control characters are left to sp__escape, so that they look alike in all our texts; beyond
 * ASCII it stays UTF-8. */
#define LINE_FLAGS                                                                                 \
  (XN_FLAG_RFC2253 & ~(unsigned long)(ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB))

const char *sp__view_name_line(sp_certificate_t *view, const X509_NAME *name) {
  BIO *bio = BIO_new(BIO_s_mem());
  if (!bio)
    return NULL;
  /* a string that is not what its type says cannot be converted: it is shown in hexadecimal */
  if (X509_NAME_print_ex(bio, name, 0, LINE_FLAGS) < 0) {
    (void)BIO_reset(bio);
    X509_NAME_print_ex(bio, name, 0, LINE_FLAGS | ASN1_STRFLGS_DUMP_ALL);
  }
  char *bytes = NULL;
  long n = BIO_get_mem_data(bio, &bytes);
  const char *text = sp__view_escaped(view, bytes ? bytes : "", n > 0 ? (size_t)n : 0);
  BIO_free(bio);
  return text;
}

static const char *attribute_type(sp_certificate_t *view, const ASN1_OBJECT *object) {
  int nid = OBJ_obj2nid(object);
  if (nid != NID_undef)
    return OBJ_nid2sn(nid);
  char numbers[256];
  int n = OBJ_obj2txt(numbers, sizeof numbers, object, 1);
  return sp__view_escaped(view, numbers, n > 0 ? strlen(numbers) : 0);
}

static const char *attribute_value(sp_certificate_t *view, const ASN1_STRING *string) {
  unsigned char *utf8 = NULL;
  int n = ASN1_STRING_to_UTF8(&utf8, string);
  if (n < 0)
    return sp__view_escaped(view, ASN1_STRING_get0_data(string),
                            (size_t)ASN1_STRING_length(string));
  const char *text = sp__view_escaped(view, utf8, (size_t)n);
  OPENSSL_free(utf8);
  return text;
}

static int fill_side(sp_certificate_t *view, sp_name_side_t side, const X509_NAME *name) {
  size_t count = (size_t)X509_NAME_entry_count(name);
  sp_attribute_t *list = sp__view_alloc(view, (count + 1) * sizeof *list);
  if (!list)
    return -ENOMEM;
  for (size_t i = 0; i < count; i++) {
    const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, (int)i);
    list[i].type = attribute_type(view, X509_NAME_ENTRY_get_object(entry));
    list[i].value = attribute_value(view, X509_NAME_ENTRY_get_data(entry));
    if (!list[i].type || !list[i].value)
      return -ENOMEM;
  }
  view->attributes[side] = list;
  view->attribute_count[side] = count;
  return 0;
}

int sp__view_fill_subjects(sp_certificate_t *view) {
  const X509_NAME *subject = X509_get_subject_name(view->x509);
  const X509_NAME *issuer = X509_get_issuer_name(view->x509);
  view->subject = sp__view_name_line(view, subject);
  view->issuer = sp__view_name_line(view, issuer);
  if (!view->subject || !view->issuer || fill_side(view, SP_SUBJECT, subject) < 0)
    return -ENOMEM;
  return fill_side(view, SP_ISSUER, issuer);
}
