/* Subjects and names, from texts. */
#include "certificate/spec.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "base/error.h"
#include "base/memory.h"
#include "certificate/certificate.h"
#include "certificate/key.h"

#define NAMES_MOST 1000
#define COMMON_NAME_MOST 64 /* ub-common-name, RFC 5280 appendix A */

/* -- the whole --------------------------------------------------------------------------------- */

static int check_serial(const sp_certificate_spec_t *spec, sp_error_t *why) {
  if (!spec->serial)
    return 0;
  if (spec->serial_size && spec->serial_size <= 20 && *spec->serial && *spec->serial < 0x80)
    return 0;
  return sp__fail(why, SP_EOPTION, SP_US,
                  "serial: has to be 1 to 20 bytes that begin with 0x01 to 0x7f (RFC 5280)");
}

int sp__spec_copy(sp_certificate_spec_t *copy, const sp_certificate_spec_t *spec, sp_error_t *why) {
  *copy = (sp_certificate_spec_t){.size = sizeof *copy};
  if (!spec)
    return 0;
  if (!spec->size)
    return sp__fail(why, SP_EOPTION, SP_US, "the spec has no size: make it with SP_CERTIFICATE");
  memcpy(copy, spec, spec->size < sizeof *copy ? spec->size : sizeof *copy);
  copy->size = sizeof *copy;
  if ((unsigned)copy->purpose > SP_FOR_AUTHORITY)
    return sp__fail(why, SP_EOPTION, SP_US, "purpose is %d, which is none", (int)copy->purpose);
  bool limits = copy->path_length_plus_1 || copy->permitted || copy->excluded;
  if (limits && copy->purpose != SP_FOR_AUTHORITY)
    return sp__fail(why, SP_EOPTION, SP_US,
                    "path_length, permitted and excluded are for authorities: say so as purpose");
  return check_serial(copy, why);
}

/* -- names ------------------------------------------------------------------------------------- */

static GENERAL_NAME *string_name(int type, const char *text) {
  GENERAL_NAME *name = GENERAL_NAME_new();
  ASN1_IA5STRING *string = ASN1_IA5STRING_new();
  if (!name || !string || !ASN1_STRING_set(string, text, -1)) {
    GENERAL_NAME_free(name);
    ASN1_IA5STRING_free(string);
    return NULL;
  }
  GENERAL_NAME_set0_value(name, type, string);
  return name;
}

static GENERAL_NAME *address_name(const uint8_t *octets, size_t n) {
  GENERAL_NAME *name = GENERAL_NAME_new();
  ASN1_OCTET_STRING *string = ASN1_OCTET_STRING_new();
  if (!name || !string || !ASN1_OCTET_STRING_set(string, octets, (int)n)) {
    GENERAL_NAME_free(name);
    ASN1_OCTET_STRING_free(string);
    return NULL;
  }
  GENERAL_NAME_set0_value(name, GEN_IPADD, string);
  return name;
}

static size_t parse_address(uint8_t octets[16], const char *text) {
  if (inet_pton(AF_INET, text, octets) == 1)
    return 4;
  return inet_pton(AF_INET6, text, octets) == 1 ? 16 : 0;
}

/* "10.0.0.0/8", as octets and mask (RFC 5280 4.2.1.10). 0: not of that form. */
static size_t parse_network(uint8_t octets[32], const char *text) {
  char room[64], *slash, *end;
  if ((size_t)snprintf(room, sizeof room, "%s", text) >= sizeof room)
    return 0;
  if ((slash = strchr(room, '/')))
    *slash++ = '\0';
  size_t n = parse_address(octets, room);
  unsigned long bits = slash ? strtoul(slash, &end, 10) : 8 * n;
  if (!n || bits > 8 * n || (slash && (!*slash || *end)))
    return 0;
  for (size_t i = 0; i < n; i++) {
    size_t left = bits > 8 * i ? bits - 8 * i : 0;
    octets[n + i] = left >= 8 ? 0xff : (uint8_t)(0xff << (8 - left));
    octets[i] &= octets[n + i];
  }
  return 2 * n;
}

static bool is_printable(const char *text) {
  for (; *text; text++)
    if (*text <= ' ' || *text > '~')
      return false;
  return true;
}

/* RFC 1123 2.1; whoever looks names up is less strict. */
static bool has_hyphen_at_an_end(const char *text) {
  return *text == '-' || strstr(text, ".-") || strstr(text, "-.") ||
         (*text && text[strlen(text) - 1] == '-');
}

/* At least two labels behind a star: nobody accepts less. */
static bool is_dns(const char *text, bool constraint) {
  if (has_hyphen_at_an_end(text))
    return false;
  if (constraint)
    return sp__is_host_name(*text == '.' ? text + 1 : text);
  bool star = !strncmp(text, "*.", 2);
  const char *rest = star ? text + 2 : text;
  size_t n = strlen(text);
  return n && text[n - 1] != '.' && sp__is_host_name(rest) && (!star || strchr(rest, '.'));
}

static bool goes_beyond_ascii(const char *text) {
  while (*text && !(*text & 0x80))
    text++;
  return *text != '\0';
}

static GENERAL_NAME *refuse_name(const char *text, const char *field, sp_error_t *why) {
  if (goes_beyond_ascii(text))
    (void)sp__fail(why, SP_EOPTION, SP_US,
                   "%s: \"%s\" has characters beyond ASCII: write it as its xn-- form (RFC 5890)",
                   field, text);
  else
    (void)sp__fail(why, SP_EOPTION, SP_US,
                   "%s: \"%s\" is neither a DNS name, an address, an e-mail address nor a URI",
                   field, text);
  return NULL;
}

/* By its form; below 0: of none. */
static int type_of(const char *text, bool constraint) {
  const char *at = strchr(text, '@');
  if (!is_printable(text) || !*text)
    return -1;
  if (!constraint && strstr(text, "://") && *text != ':')
    return GEN_URI;
  if (!constraint && at && at > text && sp__is_host_name(at + 1))
    return GEN_EMAIL;
  return is_dns(text, constraint) ? GEN_DNS : -1;
}

GENERAL_NAME *sp__spec_name(const char *text, const char *field, bool constraint, sp_error_t *why) {
  uint8_t octets[32];
  size_t n = constraint ? parse_network(octets, text) : parse_address(octets, text);
  int type = n ? GEN_IPADD : type_of(text, constraint);
  if (type < 0)
    return refuse_name(text, field, why);
  GENERAL_NAME *name = n ? address_name(octets, n) : string_name(type, text);
  if (!name)
    (void)sp__fail_memory(why);
  return name;
}

static int push_name(GENERAL_NAMES *names, const char *text, int index, sp_error_t *why) {
  char field[32];
  snprintf(field, sizeof field, "names[%d]", index);
  GENERAL_NAME *name = sp__spec_name(text, field, false, why);
  if (!name)
    return SP_EOPTION;
  if (sk_GENERAL_NAME_push(names, name))
    return 0;
  GENERAL_NAME_free(name);
  return sp__fail_memory(why);
}

int sp__spec_names(GENERAL_NAMES **made, const sp_certificate_spec_t *spec, sp_error_t *why) {
  *made = NULL;
  if (!spec->names || !spec->names[0])
    return 0;
  GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
  int status = names ? 0 : sp__fail_memory(why);
  for (int i = 0; !status && spec->names[i]; i++)
    status = i < NAMES_MOST
                 ? push_name(names, spec->names[i], i, why)
                 : sp__fail(why, SP_EOPTION, SP_US,
                            "names: more than %d are more than clients read", NAMES_MOST);
  if (status) {
    sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
    return status;
  }
  *made = names;
  return 0;
}

/* -- the subject (RFC 4514) -------------------------------------------------------------------- */

static int hex_of(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c = (char)(c | 32);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One character of a value, with what a backslash makes of it. Moves *at; below 0: broken. */
static int next_character(const char **at) {
  const char *p = *at;
  if (*p != '\\') {
    *at = p + 1;
    return (unsigned char)*p;
  }
  int high = hex_of(p[1]), low = high >= 0 ? hex_of(p[2]) : -1;
  *at = p + (low >= 0 ? 3 : 2);
  if (low >= 0)
    return high << 4 | low;
  return p[1] ? (unsigned char)p[1] : -1;
}

/* "type=value" up to a comma, or the end; the value's length or below 0. */
static long parse_part(const char **at, char *type, size_t type_size, char *value, size_t size) {
  const char *p = *at + strspn(*at, " "), *equals = p + strcspn(p, "=,");
  size_t n = (size_t)(equals - p), length = 0, end = 0;
  if (*equals != '=' || !n || n >= type_size)
    return -1;
  memcpy(type, p, n);
  type[n] = '\0';
  for (p = equals + 1; *p && *p != ',';) {
    bool escaped = *p == '\\';
    int c = next_character(&p);
    if (c < 0 || length == size)
      return -1;
    value[length++] = (char)c;
    if (escaped || c != ' ')
      end = length; /* blanks at the end do not count */
  }
  *at = *p ? p + 1 : p;
  return end ? (long)end : -1;
}

static int refuse_part(const char *type, const char *value, long n, sp_error_t *why) {
  unsigned long error = ERR_peek_last_error();
  bool too_long = ERR_GET_LIB(error) == ERR_LIB_ASN1;
  bool known = OBJ_txt2nid(type) != NID_undef;
  ERR_clear_error();
  if (!known)
    return sp__fail(why, SP_EOPTION, SP_US,
                    "subject: \"%s\" is no attribute: CN, O, OU, C, ST, L ... are", type);
  if (too_long)
    return sp__fail(why, SP_EOPTION, SP_US,
                    "subject: %s cannot be \"%.*s\": too long, or not what "
                    "this attribute holds (a country is two letters)",
                    type, (int)(n < 80 ? n : 80), value);
  return sp__fail_memory(why);
}

/* Written last is encoded first: each part goes in front of those before. */
static int add_part(X509_NAME *name, const char *type, const char *value, long n, sp_error_t *why) {
  ERR_clear_error();
  if (X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8, (const unsigned char *)value, (int)n, 0,
                                 0))
    return 0;
  return refuse_part(type, value, n, why);
}

static int parse_subject(X509_NAME *name, const char *text, sp_error_t *why) {
  char type[64], value[1024];
  for (const char *at = text; *at;) {
    long n = parse_part(&at, type, sizeof type, value, sizeof value);
    if (n < 0)
      return sp__fail(
          why, SP_EOPTION, SP_US,
          "subject: \"%s\" cannot be read: write it as \"CN=a.example,O=Example\", and a "
          "comma in a value as \\,",
          text);
    int status = add_part(name, type, value, n, why);
    if (status)
      return status;
  }
  return 0;
}

int sp__spec_subject(X509_NAME **made, const sp_certificate_spec_t *spec, sp_error_t *why) {
  X509_NAME *name = X509_NAME_new();
  const char *first = spec->names && spec->names[0] ? spec->names[0] : "";
  int status = name ? 0 : sp__fail_memory(why);
  if (!status && spec->subject)
    status = parse_subject(name, spec->subject, why);
  else if (!status && *first && strlen(first) <= COMMON_NAME_MOST)
    status = add_part(name, "CN", first, (long)strlen(first), why);
  if (!status && !*first && !X509_NAME_entry_count(name))
    status = sp__fail(why, SP_EOPTION, SP_US,
                      "neither names nor a subject are given: whom is the certificate for?");
  if (status) {
    X509_NAME_free(name);
    name = NULL;
  }
  *made = name;
  return status;
}
