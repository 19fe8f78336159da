/* Names of hosts in a certificate (RFC 9525): what stands there is a name for every client, or not.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "judge.h"

#define PLAIN_MOST 253 /* characters of a DNS name (RFC 1035) */

static size_t count_labels(const char *name) {
  size_t count = 1;
  for (; *name; name++)
    count += *name == '.';
  return count;
}

/* NULL: clients take it; else why they do not. */
static const char *refuse_wildcard(const char *name) {
  const char *star = strchr(name, '*');
  if (!star)
    return NULL;
  if (!strcmp(name, "*"))
    return "would match every host";
  if (strncmp(name, "*.", 2) != 0 || strchr(star + 1, '*'))
    return "has its * elsewhere than as the whole first label";
  return count_labels(name) < 3 ? "would match a whole top-level domain" : NULL;
}

static const char *refuse_plain(const char *name) {
  size_t n = strlen(name);
  struct in6_addr address;
  for (const char *at = name; *at; at++)
    if ((unsigned char)*at > 0x7E)
      return "is not in its ASCII form (\"xn--...\")";
  if (inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1)
    return "is an address written as a DNS name, where no client looks for addresses";
  if (n > PLAIN_MOST)
    return "is longer than a DNS name can be";
  if (n && name[n - 1] == '.')
    return "ends with a dot";
  if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._*") != n ||
      strstr(name, "..") || *name == '.' || !n)
    return "is no name of a host";
  return NULL;
}

static void judge_dns(json_t *problems, const ASN1_STRING *string) {
  const char *bytes = (const char *)ASN1_STRING_get0_data(string);
  size_t n = (size_t)ASN1_STRING_length(string);
  char *name = strndup(bytes ? bytes : "", n);
  if (!name) {
    cli_json_lost();
    return;
  }
  const char *why = NULL;
  if (bytes && memchr(bytes, 0, n))
    cli_problem(problems, "nul-in-name",
                "Trust nothing that comes with it, and ask its authority for another.",
                "The name that begins with \"%s\" has a NUL in it: made to be taken for another.",
                name);
  else if ((why = refuse_plain(name)))
    cli_problem(problems, "bad-name", "Have it issued with the name as clients look for it.",
                "The name \"%s\" %s: no client accepts it for a host.", name, why);
  else if ((why = refuse_wildcard(name)))
    cli_problem(problems, "wildcard",
                "A wildcard is the whole first label with two more after it: \"*.a.example\".",
                "The name \"%s\" %s: no client accepts it.", name, why);
  free(name);
}

static bool is_host_like(const char *text) {
  const char *dot = strchr(text, '.');
  return dot && dot != text && dot[1] && !strpbrk(text, " @/:,");
}

/* A wildcard stands for the first label of the text. */
static bool is_dns_name(const ASN1_STRING *value, const char *text) {
  const char *name = (const char *)ASN1_STRING_get0_data(value), *rest = strchr(text, '.');
  size_t n = (size_t)ASN1_STRING_length(value);
  if (n > 2 && !memcmp(name, "*.", 2) && rest)
    return strlen(rest) == n - 1 && !strncasecmp(name + 1, rest, n - 1);
  return strlen(text) == n && !strncasecmp(name, text, n);
}

static bool is_address(const ASN1_STRING *value, const char *text) {
  char address[INET6_ADDRSTRLEN];
  int n = ASN1_STRING_length(value);
  return (n == 4 || n == 16) &&
         inet_ntop(n == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), address,
                   sizeof address) &&
         !strcmp(address, text);
}

static bool has_name(const GENERAL_NAMES *names, const char *text) {
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    if ((name->type == GEN_DNS && is_dns_name(name->d.dNSName, text)) ||
        (name->type == GEN_IPADD && is_address(name->d.iPAddress, text)))
      return true;
  }
  return false;
}

static void judge_common_name(json_t *problems, const GENERAL_NAMES *names,
                              const X509_NAME *subject) {
  int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  const ASN1_STRING *value =
      at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
  unsigned char *text = NULL;
  int n = value ? ASN1_STRING_to_UTF8(&text, value) : -1;
  if (n > 0 && memchr(text, 0, (size_t)n))
    cli_problem(problems, "nul-in-name",
                "Trust nothing that comes with it, and ask its authority for another.",
                "The common name of its subject has a NUL in it: made to be taken for another.");
  else if (n > 0 && is_host_like((const char *)text) && names &&
           !has_name(names, (const char *)text))
    cli_problem(problems, "common-name",
                "Have it issued with that name among the alternative ones.",
                "Its subject says %s, which is not among its names: clients look at those only.",
                (const char *)text);
  OPENSSL_free(text);
}

void cli_judge_names(json_t *problems, const GENERAL_NAMES *names, const X509_NAME *subject) {
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS)
      judge_dns(problems, name->d.dNSName);
  }
  judge_common_name(problems, names, subject);
}
