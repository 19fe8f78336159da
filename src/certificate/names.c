/* Does the certificate name the host? RFC 9525, and SECURITY.md for what goes beyond it. All
 * comparisons are of counted bytes, in place: a name is never put together as a text first. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "base/text.h"
#include "certificate/certificate.h"

typedef struct bytes {
  const char *at;
  size_t n;
} bytes_t;

/* -- what is asked for ------------------------------------------------------------------------- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_hexadecimal(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* ASCII only, whatever the locale. */
static bool is_label_character(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* "1", "0x7f", "0x": a name that ends so is an address to many resolvers, and no top-level domain
 * looks so. */
static bool is_number(bytes_t label) {
  bool hex = label.n >= 2 && label.at[0] == '0' && (label.at[1] == 'x' || label.at[1] == 'X');
  for (size_t i = hex ? 2 : 0; i < label.n; i++)
    if (hex ? !is_hexadecimal(label.at[i]) : !is_digit(label.at[i]))
      return false;
  return true;
}

static bytes_t without_dot(bytes_t name) {
  if (name.n && name.at[name.n - 1] == '.')
    name.n--;
  return name;
}

/* Whether a name (without its trailing dot) has the form of a host name; counts its labels. */
static bool is_name(bytes_t name, size_t *labels) {
  size_t start = 0;
  *labels = 0;
  if (!name.n || name.n > 253)
    return false;
  for (size_t i = 0; i <= name.n; i++) {
    if (i < name.n && name.at[i] != '.') {
      if (!is_label_character(name.at[i]))
        return false;
      continue;
    }
    if (i == start || i - start > 63)
      return false;
    ++*labels;
    if (i == name.n && is_number((bytes_t){name.at + start, i - start}))
      return false;
    start = i + 1;
  }
  return true;
}

/* An address as it stands in a certificate; 0 when `host` is none or not in canonical form. */
static size_t octets_of(const char *host, unsigned char octets[16]) {
  char canonical[INET6_ADDRSTRLEN];
  int family = strchr(host, ':') ? AF_INET6 : AF_INET;
  if (inet_pton(family, host, octets) != 1 ||
      !inet_ntop(family, octets, canonical, sizeof canonical) || strcasecmp(host, canonical) != 0)
    return 0;
  return family == AF_INET ? 4 : 16;
}

bool sp__is_address(const char *host) {
  unsigned char octets[16];
  return octets_of(host, octets) > 0;
}

bool sp__is_host_name(const char *host) {
  size_t labels;
  return is_name(without_dot((bytes_t){host, strlen(host)}), &labels);
}

/* -- matching ---------------------------------------------------------------------------------- */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool same(bytes_t a, bytes_t b) {
  if (a.n != b.n)
    return false;
  for (size_t i = 0; i < a.n; i++)
    if (lower(a.at[i]) != lower(b.at[i]))
      return false;
  return true;
}

/* `host` is a valid name without trailing dot; `pattern` is whatever the certificate holds. */
static bool name_matches(bytes_t pattern, bytes_t host) {
  size_t labels;
  pattern = without_dot(pattern);
  bool wild = pattern.n > 2 && pattern.at[0] == '*' && pattern.at[1] == '.';
  if (!wild)
    return is_name(pattern, &labels) && same(pattern, host);
  bytes_t rest = {pattern.at + 2, pattern.n - 2};
  const char *dot = memchr(host.at, '.', host.n);
  if (!dot || !is_name(rest, &labels) || labels < 2)
    return false;
  return same(rest, (bytes_t){dot + 1, host.n - (size_t)(dot + 1 - host.at)});
}

static bytes_t bytes_of(const ASN1_STRING *string) {
  return (bytes_t){(const char *)ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string)};
}

static bool any_name_matches(const GENERAL_NAMES *names, bytes_t host) {
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS && name_matches(bytes_of(name->d.dNSName), host))
      return true;
  }
  return false;
}

static bool any_address_matches(const GENERAL_NAMES *names, const void *octets, size_t n) {
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_IPADD)
      continue;
    bytes_t address = bytes_of(name->d.iPAddress);
    if (address.n == n && memcmp(address.at, octets, n) == 0)
      return true;
  }
  return false;
}

/* The common name, if there is exactly one and it shares its RDN with nothing else. */
static const X509_NAME_ENTRY *common_name(X509 *x509) {
  const X509_NAME *subject = X509_get_subject_name(x509);
  int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
    return NULL;
  const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, at);
  for (int i = 0; i < X509_NAME_entry_count(subject); i++) {
    const X509_NAME_ENTRY *other = X509_NAME_get_entry(subject, i);
    if (i != at && X509_NAME_ENTRY_set(other) == X509_NAME_ENTRY_set(entry))
      return NULL;
  }
  return entry;
}

static bool common_name_matches(X509 *x509, bytes_t host) {
  const X509_NAME_ENTRY *entry = common_name(x509);
  unsigned char *utf8 = NULL;
  int n = entry ? ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry)) : -1;
  bool matches = n > 0 && name_matches((bytes_t){(const char *)utf8, (size_t)n}, host);
  OPENSSL_free(utf8);
  return matches;
}

/* Whether there is a name of a kind that keeps the common name from counting. */
static bool has_real_names(const GENERAL_NAMES *names) {
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
    int type = sk_GENERAL_NAME_value(names, i)->type;
    if (type == GEN_DNS || type == GEN_IPADD || type == GEN_EMAIL || type == GEN_URI)
      return true;
  }
  return false;
}

/* -- the refusal ------------------------------------------------------------------------------- */

/* A text that grows up to its room. */
typedef struct list {
  char text[120];
  size_t n;
  int count, left_out;
} list_t;

static void list_add(list_t *list, const void *bytes, size_t n) {
  char escaped[52];
  size_t length = sp__escape(escaped, sizeof escaped, bytes, n);
  const char *mark = length < n ? "..." : "";
  if (list->left_out || list->n + length + 6 > sizeof list->text) {
    list->left_out++;
    return;
  }
  list->n += (size_t)snprintf(list->text + list->n, sizeof list->text - list->n, "%s%s%s",
                              list->count ? ", " : "", escaped, mark);
  list->count++;
}

static void list_name(list_t *list, const GENERAL_NAME *name) {
  char address[INET6_ADDRSTRLEN];
  if (name->type == GEN_DNS) {
    bytes_t bytes = bytes_of(name->d.dNSName);
    list_add(list, bytes.at, bytes.n);
  } else if (name->type == GEN_IPADD) {
    bytes_t bytes = bytes_of(name->d.iPAddress);
    int family = bytes.n == 4 ? AF_INET : AF_INET6;
    if ((bytes.n == 4 || bytes.n == 16) && inet_ntop(family, bytes.at, address, sizeof address))
      list_add(list, address, strlen(address));
  }
}

static void refuse(sp_error_t *why, long verify, X509 *x509, const GENERAL_NAMES *names,
                   const char *host) {
  char asked[72], more[32] = "";
  list_t list = {.n = 0};
  size_t length = sp__escape(asked, sizeof asked, host, strlen(host));
  const char *mark = length < strlen(host) ? "..." : "";
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
    list_name(&list, sk_GENERAL_NAME_value(names, i));
  if (list.left_out)
    snprintf(more, sizeof more, " and %d more", list.left_out);
  if (list.count) {
    sp__fail(why, SP_EUNAUTHORIZED, SP_PEER, "the certificate is for %s%s, not for %s%s", list.text,
             more, asked, mark);
  } else {
    const X509_NAME_ENTRY *entry = common_name(x509);
    if (entry) {
      bytes_t bytes = bytes_of(X509_NAME_ENTRY_get_data(entry));
      list_add(&list, bytes.at, bytes.n);
    }
    sp__fail(why, SP_EUNAUTHORIZED, SP_PEER,
             "the certificate is not for %s%s: it has no subject alternative name for a host%s%s%s",
             asked, mark, entry ? " (the common name " : "", list.text,
             entry ? " does not count)" : "");
  }
  if (why)
    why->verify = verify;
}

/* An address that is none in canonical form, a name with characters of no host name. */
static void refuse_form(sp_error_t *why, const char *host) {
  char asked[100];
  size_t length = sp__escape(asked, sizeof asked, host, strlen(host));
  sp__fail(why, SP_EUNAUTHORIZED, SP_PEER,
           "\"%s%s\" is neither a host name nor an address in its usual form, so no certificate "
           "can be for it",
           asked, length < strlen(host) ? "..." : "");
  if (why)
    why->verify = X509_V_ERR_HOSTNAME_MISMATCH;
}

/* -- the decision ------------------------------------------------------------------------------ */

static bool names_it(X509 *x509, const GENERAL_NAMES *names, bool has_extension, const char *host,
                     unsigned flags) {
  unsigned char octets[16];
  size_t n = octets_of(host, octets);
  if (n)
    return any_address_matches(names, octets, n);
  bytes_t name = without_dot((bytes_t){host, strlen(host)});
  if (any_name_matches(names, name))
    return true;
  /* an extension that cannot be read may have held names: no falling back behind it */
  bool may_fall_back = names ? !has_real_names(names) : !has_extension;
  return flags & SP_NAME_COMMON && may_fall_back && common_name_matches(x509, name);
}

static long decide(X509 *x509, const char *host, unsigned flags, sp_error_t *why) {
  int critical;
  bool is_address = sp__is_address(host);
  if (!is_address && !sp__is_host_name(host))
    return refuse_form(why, host), X509_V_ERR_HOSTNAME_MISMATCH;
  GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, &critical, NULL);
  if (!names && critical >= 0 && ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE) {
    sp__fail_memory(why);
    return X509_V_ERR_OUT_OF_MEM;
  }
  long verify = is_address ? X509_V_ERR_IP_ADDRESS_MISMATCH : X509_V_ERR_HOSTNAME_MISMATCH;
  if (names_it(x509, names, critical != -1, host, flags))
    verify = X509_V_OK;
  else
    refuse(why, verify, x509, names, host);
  GENERAL_NAMES_free(names);
  return verify;
}

long sp__x509_names_host(X509 *x509, const char *host, unsigned flags, sp_error_t *why) {
  ERR_set_mark();
  long verify = decide(x509, host ? host : "", flags, why);
  ERR_pop_to_mark();
  return verify;
}
