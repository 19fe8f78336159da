#include "certificate/piece.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/x509v3.h>

#include "base/text.h"

static sp__piece_t piece(const void *bytes, size_t n) {
  sp__piece_t piece;
  char *mark = piece.text + sp__escape(piece.text, sizeof piece.text - 3, bytes, n);
  if ((size_t)(mark - piece.text) < n)
    memcpy(mark, "...", 4);
  return piece;
}

static sp__piece_t piece_of(const ASN1_STRING *string) {
  return piece(ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string));
}

/* How people call who a name belongs to: its common name, else what stands closest to that. */
static bool person(sp__piece_t *text, const X509_NAME *name) {
  static const int kinds[] = {NID_commonName, NID_organizationalUnitName, NID_organizationName};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    int at = X509_NAME_get_index_by_NID(name, kinds[i], -1);
    if (at < 0)
      continue;
    *text = piece_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    return true;
  }
  *text = piece("an unnamed party", 16);
  return false;
}

sp__piece_t sp__piece_issuer(X509 *x509) {
  sp__piece_t text;
  person(&text, X509_get_issuer_name(x509));
  return text;
}

static bool address_text(char text[INET6_ADDRSTRLEN], const ASN1_STRING *octets) {
  int n = ASN1_STRING_length(octets);
  return (n == 4 || n == 16) && inet_ntop(n == 4 ? AF_INET : AF_INET6,
                                          ASN1_STRING_get0_data(octets), text, INET6_ADDRSTRLEN);
}

/* The first of the alternative names that is of a type, as text. */
static bool first_name(sp__piece_t *text, X509 *x509, int type) {
  bool found = false;
  GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    const ASN1_STRING *value = name->type == type ? name->d.ia5 : NULL;
    char address[INET6_ADDRSTRLEN];
    if (!value)
      continue;
    found = type != GEN_IPADD || address_text(address, value);
    if (found)
      *text = type == GEN_IPADD ? piece(address, strlen(address)) : piece_of(value);
  }
  GENERAL_NAMES_free(names);
  return found;
}

sp__piece_t sp__piece_subject(X509 *x509) {
  sp__piece_t text;
  if (!first_name(&text, x509, GEN_DNS) && !person(&text, X509_get_subject_name(x509)))
    first_name(&text, x509, GEN_IPADD);
  return text;
}

sp__piece_t sp__piece_date(int64_t time, const char *format) {
  sp__piece_t text = {""};
  struct tm tm;
  time_t seconds = (time_t)time;
  if (!gmtime_r(&seconds, &tm) || !strftime(text.text, sizeof text.text, format, &tm))
    return piece("an impossible date", 18);
  return text;
}

/* "3 days", "1 hour": the largest unit that is at least one. */
sp__piece_t sp__piece_span(int64_t seconds) {
  static const struct {
    int64_t seconds;
    const char *unit;
  } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
  size_t i = 0;
  while (i < 3 && seconds < units[i].seconds)
    i++;
  int64_t n = seconds / units[i].seconds;
  sp__piece_t text;
  snprintf(text.text, sizeof text.text, "%" PRId64 " %s%s", n, units[i].unit, n == 1 ? "" : "s");
  return text;
}
