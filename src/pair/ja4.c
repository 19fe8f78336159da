/*
 * The JA4 fingerprint of a client's first message: what kind of client sent it, whatever name it
 * asks for and however it shuffles its lists. By FoxIO's description of JA4 (technical_details).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/memory.h"
#include "pair/offer.h"
#include "pair/pair.h"

#define PART 12 /* hexadecimal digits of a hash */

typedef struct numbers {
  uint16_t *values;
  size_t count;
} numbers_t;

/* Values that stand for nothing and only keep servers honest (RFC 8701 2). */
static bool is_grease(unsigned value) {
  return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

static void add(numbers_t *numbers, unsigned value) {
  if (!is_grease(value))
    numbers->values[numbers->count++] = (uint16_t)value;
}

static void add_list(numbers_t *numbers, sp__span_t list) {
  for (size_t i = 0; i + 1 < list.n; i += 2)
    add(numbers, (unsigned)(list.bytes[i] << 8 | list.bytes[i + 1]));
}

/* The list in an extension, without its length, which is of `size` bytes; empty: it is malformed or
 * not there. */
static sp__span_t list_in(const sp__offer_t *offer, unsigned type, size_t size) {
  sp__span_t content;
  if (!sp__offer_find(offer, type, &content) || content.n < size)
    return (sp__span_t){NULL, 0};
  size_t n = size == 1 ? content.bytes[0] : (size_t)(content.bytes[0] << 8 | content.bytes[1]);
  return n == content.n - size ? (sp__span_t){content.bytes + size, n} : (sp__span_t){NULL, 0};
}

/* -- the first part, which a person can read --------------------------------------------------- */

static const char *version_text(const sp__offer_t *offer) {
  sp__span_t content, list = list_in(offer, TLSEXT_TYPE_supported_versions, 1);
  unsigned version = 0;
  for (size_t i = 0; i + 1 < list.n; i += 2) {
    unsigned one = (unsigned)(list.bytes[i] << 8 | list.bytes[i + 1]);
    if (!is_grease(one) && one > version)
      version = one;
  }
  if (!sp__offer_find(offer, TLSEXT_TYPE_supported_versions, &content))
    version = offer->version;
  switch (version) {
  case TLS1_3_VERSION:
    return "13";
  case TLS1_2_VERSION:
    return "12";
  case TLS1_1_VERSION:
    return "11";
  case TLS1_VERSION:
    return "10";
  case SSL3_VERSION:
    return "s3";
  default:
    return "00";
  }
}

static bool is_letter_or_digit(unsigned byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
         (byte >= 'a' && byte <= 'z');
}

/* First and last character of the first protocol, or of its hexadecimal form. */
static void protocol_text(char text[3], const sp__offer_t *offer) {
  static const char digits[] = "0123456789abcdef";
  sp__span_t list = list_in(offer, TLSEXT_TYPE_application_layer_protocol_negotiation, 2);
  size_t n = list.n ? list.bytes[0] : 0;
  memcpy(text, "00", 3);
  if (!n || n >= list.n)
    return;
  unsigned first = list.bytes[1], last = list.bytes[n];
  bool fine = is_letter_or_digit(first) && is_letter_or_digit(last);
  text[0] = fine ? (char)first : digits[first >> 4];
  text[1] = fine ? (char)last : digits[last & 15];
}

/* -- the hashes -------------------------------------------------------------------------------- */

static bool hash_list(EVP_MD_CTX *hash, const char *before, const numbers_t *list) {
  char text[8];
  for (size_t i = 0; i < list->count; i++) {
    int n = snprintf(text, sizeof text, "%s%04x", i ? "," : before, (unsigned)list->values[i]);
    if (n < 0 || !EVP_DigestUpdate(hash, text, (size_t)n))
      return false;
  }
  return true;
}

/* Zeros for an empty list, whatever is in `more`. */
static int hash_lists(char text[PART + 1], const numbers_t *list, const numbers_t *more) {
  uint8_t digest[EVP_MAX_MD_SIZE];
  memcpy(text, "000000000000", PART + 1);
  if (!list->count)
    return 0;
  EVP_MD_CTX *hash = EVP_MD_CTX_new();
  bool fine = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) && hash_list(hash, "", list) &&
              hash_list(hash, "_", more) && EVP_DigestFinal_ex(hash, digest, NULL);
  EVP_MD_CTX_free(hash);
  for (size_t i = 0; fine && i < PART / 2; i++)
    (void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
  return fine ? 0 : SP_ECRYPTO;
}

static int by_value(const void *a, const void *b) {
  return *(const uint16_t *)a - *(const uint16_t *)b;
}

static void sort(numbers_t *list) {
  if (list->count)
    qsort(list->values, list->count, sizeof *list->values, by_value);
}

/* -- all of it --------------------------------------------------------------------------------- */

typedef struct lists {
  numbers_t suites, types, sigalgs;
  size_t type_count; /* with those that are not hashed */
} lists_t;

static void fill(lists_t *lists, const sp__offer_t *offer) {
  sp__span_t content, rest = offer->extensions;
  unsigned type;
  add_list(&lists->suites, offer->suites);
  while (sp__offer_next(&rest, &type, &content)) {
    lists->type_count += !is_grease(type);
    if (type != TLSEXT_TYPE_server_name &&
        type != TLSEXT_TYPE_application_layer_protocol_negotiation)
      add(&lists->types, type);
  }
  add_list(&lists->sigalgs, list_in(offer, TLSEXT_TYPE_signature_algorithms, 2));
  sort(&lists->suites);
  sort(&lists->types);
}

static unsigned two_digits(size_t count) { return count < 99 ? (unsigned)count : 99; }

static int write_all(char *room, const sp__offer_t *offer, const lists_t *lists) {
  static const numbers_t none;
  char protocol[3], suites[PART + 1], types[PART + 1];
  sp__span_t name;
  int status = hash_lists(suites, &lists->suites, &none);
  if (!status)
    status = hash_lists(types, &lists->types, &lists->sigalgs);
  if (status < 0)
    return status;
  protocol_text(protocol, offer);
  (void)snprintf(room, SP_FINGERPRINT_SIZE, "t%s%c%02u%02u%s_%s_%s", version_text(offer),
                 sp__offer_find(offer, TLSEXT_TYPE_server_name, &name) ? 'd' : 'i',
                 two_digits(lists->suites.count), two_digits(lists->type_count), protocol, suites,
                 types);
  return 0;
}

int sp_pair_fingerprint(const sp_pair_t *pair, char *room, size_t size) {
  sp__offer_t offer;
  if (!sp__pair_can_answer_hello(pair) || size < SP_FINGERPRINT_SIZE ||
      !sp__offer_read(&offer, pair->hello))
    return SP_EOPTION;
  size_t suites = offer.suites.n / 2, types = sp__offer_types(&offer, NULL);
  size_t sigalgs = list_in(&offer, TLSEXT_TYPE_signature_algorithms, 2).n / 2;
  uint16_t *values = sp__alloc((suites + types + sigalgs + 1) * sizeof *values);
  if (!values)
    return -ENOMEM;
  lists_t lists = {.suites = {values, 0},
                   .types = {values + suites, 0},
                   .sigalgs = {values + suites + types, 0}};
  fill(&lists, &offer);
  int status = write_all(room, &offer, &lists);
  sp__free(values);
  return status;
}
