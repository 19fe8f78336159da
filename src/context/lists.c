/* How long what a context knows of revocation is current. */
#include <time.h>

#include <openssl/x509v3.h>

#include "certificate/view.h"
#include "context/build.h"

typedef struct span {
  int64_t from, until;
} span_t;

static span_t span_of(const X509_CRL *crl) {
  const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
  return (span_t){.from = sp__time_of(X509_CRL_get0_lastUpdate(crl)),
                  .until = next ? sp__time_of(next) : INT64_MAX};
}

/* Whether it is looked at at all: OpenSSL passes over indirect lists, those for some reasons only
 * and those of attribute certificates. */
static bool counts(const X509_CRL *crl) {
  int critical;
  ISSUING_DIST_POINT *point =
      X509_CRL_get_ext_d2i(crl, NID_issuing_distribution_point, &critical, NULL);
  bool counts = !point || (!point->indirectCRL && !point->onlysomereasons && !point->onlyattr);
  ISSUING_DIST_POINT_free(point);
  return counts;
}

static bool have_same(const X509_CRL *a, const X509_CRL *b, int extension) {
  X509_EXTENSION *one = X509_CRL_get_ext(a, X509_CRL_get_ext_by_NID(a, extension, -1));
  X509_EXTENSION *other = X509_CRL_get_ext(b, X509_CRL_get_ext_by_NID(b, extension, -1));
  if (!one || !other)
    return !one && !other;
  return !ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data(one), X509_EXTENSION_get_data(other));
}

/* Whether either can stand for the other: of one issuer and key, and for the same certificates. */
static bool are_alike(const X509_CRL *a, const X509_CRL *b) {
  return !X509_NAME_cmp(X509_CRL_get_issuer(a), X509_CRL_get_issuer(b)) &&
         have_same(a, b, NID_authority_key_identifier) &&
         have_same(a, b, NID_issuing_distribution_point);
}

/* One that is current goes before one that is not: two that overlap are as good as one. With a gap
 * between them the newer one counts. */
static void join(span_t *span, span_t other) {
  bool overlap = other.from <= span->until && span->from <= other.until;
  if (!overlap && other.from > span->from)
    *span = other;
  if (overlap && other.from < span->from)
    span->from = other.from;
  if (overlap && other.until > span->until)
    span->until = other.until;
}

static const X509_CRL *crl_at(const STACK_OF(X509_OBJECT) * objects, int i) {
  const X509_CRL *crl = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(objects, i));
  return crl && counts(crl) ? crl : NULL;
}

static bool is_like_one_before(const STACK_OF(X509_OBJECT) * objects, int at) {
  const X509_CRL *crl = crl_at(objects, at), *before;
  for (int i = 0; i < at; i++)
    if ((before = crl_at(objects, i)) && are_alike(before, crl))
      return true;
  return false;
}

/* When the list, or one like it, is current. */
static void note(sp_context_t *context, const STACK_OF(X509_OBJECT) * objects, int at) {
  const X509_CRL *crl = crl_at(objects, at), *other;
  span_t span = span_of(crl);
  for (int i = at + 1; i < sk_X509_OBJECT_num(objects); i++)
    if ((other = crl_at(objects, i)) && are_alike(crl, other))
      join(&span, span_of(other));
  context->lists_from = span.from > context->lists_from ? span.from : context->lists_from;
  context->lists_until = span.until < context->lists_until ? span.until : context->lists_until;
}

void sp__lists_note(sp_context_t *context, X509_STORE *store) {
  const STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
  context->lists_from = INT64_MIN;
  context->lists_until = INT64_MAX;
  for (int i = 0; i < sk_X509_OBJECT_num(objects); i++)
    if (crl_at(objects, i) && !is_like_one_before(objects, i))
      note(context, objects, i);
}

/* OpenSSL's bounds: it starts in its first second, and its last one is over. */
bool sp__lists_are_current(const sp_context_t *context) {
  int64_t now = time(NULL);
  return context->lists_from <= now && now < context->lists_until;
}
