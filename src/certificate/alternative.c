/* The subject alternative names as texts. Nothing is decided by these: names.c reads the bytes. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/x509v3.h>

#include "certificate/view.h"

static const char *ip_text(sp_certificate_t *view, const ASN1_OCTET_STRING *octets) {
  char text[INET6_ADDRSTRLEN];
  int n = ASN1_STRING_length(octets);
  inet_ntop(n == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(octets), text, sizeof text);
  return sp__view_escaped(view, text, strlen(text));
}

/* "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:user@example", "DirName:CN = x", "Registered ID:1.2.3",
 * "IP Address:<invalid>": as OpenSSL describes it. */
static const char *description(sp_certificate_t *view, GENERAL_NAME *name) {
  BIO *bio = BIO_new(BIO_s_mem());
  if (!bio)
    return NULL;
  GENERAL_NAME_print(bio, name);
  char *bytes = NULL;
  long n = BIO_get_mem_data(bio, &bytes);
  const char *text = sp__view_escaped(view, bytes ? bytes : "", n > 0 ? (size_t)n : 0);
  BIO_free(bio);
  return text;
}

static sp_name_type_t type_of(int type, const ASN1_STRING *value) {
  switch (type) {
  case GEN_DNS:
    return SP_NAME_DNS;
  case GEN_EMAIL:
    return SP_NAME_EMAIL;
  case GEN_URI:
    return SP_NAME_URI;
  case GEN_IPADD: {
    int n = ASN1_STRING_length(value);
    return n == 4 || n == 16 ? SP_NAME_IP : SP_NAME_OTHER;
  }
  default:
    return SP_NAME_OTHER;
  }
}

static const char *value_of(sp_certificate_t *view, GENERAL_NAME *name, sp_name_type_t type,
                            const ASN1_STRING *value) {
  if (type == SP_NAME_OTHER)
    return description(view, name);
  if (type == SP_NAME_IP)
    return ip_text(view, value);
  return sp__view_escaped(view, ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
}

int sp__view_copy_names(sp_certificate_t *view, const GENERAL_NAMES *names) {
  size_t count = (size_t)sk_GENERAL_NAME_num(names);
  sp_name_t *list = sp__view_alloc(view, (count + 1) * sizeof *list);
  if (!list)
    return -ENOMEM;
  for (size_t i = 0; i < count; i++) {
    GENERAL_NAME *name = sk_GENERAL_NAME_value(names, (int)i);
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    list[i].type = type_of(type, value);
    if (!(list[i].value = value_of(view, name, list[i].type, value)))
      return -ENOMEM;
  }
  view->names = list;
  view->name_count = count;
  return 0;
}

int sp__view_fill_names(sp_certificate_t *view) {
  GENERAL_NAMES *names = X509_get_ext_d2i(view->x509, NID_subject_alt_name, NULL, NULL);
  int status = names ? sp__view_copy_names(view, names) : 0;
  GENERAL_NAMES_free(names);
  return status;
}
