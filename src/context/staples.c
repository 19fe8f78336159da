#include "context/staples.h"

#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/error.h"
#include "base/memory.h"
#include "certificate/ocsp.h"
#include "context/build.h"
#include "context/input.h"

#define MOST 64 /* as many as there can be identities */

typedef struct staple {
  X509 *leaf; /* whose it is; a reference. NULL: not known yet */
  uint8_t *der;
  size_t n;
  int64_t from, until;
  char name[128]; /* of the input, for errors */
} staple_t;

struct sp__staples {
  size_t count;
  bool orphan; /* the issuer of one of our certificates is not known */
  staple_t all[];
};

/* -- reading ----------------------------------------------------------------------------------- */

static int keep(staple_t *staple, const void *der, size_t n, sp_error_t *why) {
  if (n > SP__STAPLE_LIMIT)
    return sp__fail(why, SP_ESTAPLE, SP_US, "%s: is larger than %zu bytes", staple->name,
                    SP__STAPLE_LIMIT);
  staple->der = (uint8_t *)sp__copy_bytes(der, n);
  staple->n = n;
  return staple->der ? 0 : sp__fail_memory(why);
}

static int keep_block(staple_t *staple, const sp__block_t *block, sp_error_t *why) {
  char *label = NULL, *header = NULL;
  unsigned char *der = NULL;
  long n;
  BIO *bio = sp__block_bio(block);
  if (!bio)
    return sp__fail_memory(why);
  int status = PEM_read_bio(bio, &label, &header, &der, &n)
                   ? keep(staple, der, (size_t)n, why)
                   : sp__fail_crypto(why, SP_ESTAPLE, "%s, line %u: the OCSP response is damaged",
                                     staple->name, block->line);
  BIO_free(bio);
  OPENSSL_free(label);
  OPENSSL_free(header);
  OPENSSL_free(der);
  return status;
}

static int read_input(staple_t *staple, sp__input_t *input, sp_error_t *why) {
  sp__block_t block;
  memcpy(staple->name, input->name, sizeof staple->name);
  if (sp__input_is_der(input))
    return keep(staple, input->bytes, input->n, why);
  int status = sp__input_next(input, &block, SP_ESTAPLE, why);
  if (status < 0)
    return status;
  if (!status)
    return sp__fail(why, SP_ESTAPLE, SP_US,
                    "%s: is neither an OCSP response in DER form nor PEM text", input->name);
  if (!sp__block_is(&block, "OCSP RESPONSE"))
    return sp__fail(why, SP_ESTAPLE, SP_US, "%s, line %u: found \"%.*s\" but no OCSP response",
                    input->name, block.line, block.label_size, block.label);
  return keep_block(staple, &block, why);
}

/* Whose it is, and whether it is any good, is seen when the certificates are there. */
static int read(staple_t *staple, sp__input_t *input, sp_error_t *why) {
  sp_error_t unread = {.status = 0};
  int status = read_input(staple, input, why);
  if (status < 0)
    return status;
  OCSP_BASICRESP *basic = sp__ocsp_read(staple->der, staple->n, &unread);
  if (!basic)
    return sp__fail_crypto(why, SP_ESTAPLE, "%s: %s", staple->name, unread.text);
  OCSP_BASICRESP_free(basic);
  return 0;
}

static int read_file(staple_t *staple, const char *path, sp_error_t *why) {
  sp__input_t input;
  int status = sp__input_file(&input, "staple_files", path, SP__CREDENTIALS_LIMIT, SP_ESTAPLE, why);
  if (!status)
    status = read(staple, &input, why);
  sp__input_close(&input);
  return status;
}

static int read_bytes(staple_t *staple, const void *bytes, size_t n, sp_error_t *why) {
  sp__input_t input;
  int status =
      sp__input_binary(&input, "staple", bytes, n, NULL, SP__CREDENTIALS_LIMIT, SP_ESTAPLE, why);
  sp__input_rewind(&input);
  return status < 0 ? status : read(staple, &input, why);
}

int sp__staples_load(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  size_t files = 0, count;
  while (options->staple_files && options->staple_files[files] && files <= MOST)
    files++;
  if (!(count = files + (options->staple != NULL)))
    return 0;
  if (count > MOST)
    return sp__fail(why, SP_EOPTION, SP_US, "staple_files: more than %d are not possible", MOST);
  sp__staples_t *staples = sp__zalloc(sizeof *staples + count * sizeof *staples->all);
  if (!staples)
    return sp__fail_memory(why);
  context->staples = staples;
  staples->count = count;
  int status = 0;
  for (size_t i = 0; i < files && !status; i++)
    status = read_file(&staples->all[i], options->staple_files[i], why);
  if (!status && options->staple)
    status = read_bytes(&staples->all[files], options->staple, options->staple_size, why);
  return status;
}

/* -- whose they are ---------------------------------------------------------------------------- */

/* A response that is about the certificate has to be good, or have been so. */
static int match(staple_t *staple, X509 *leaf, X509 *issuer, sp_error_t *why) {
  sp__ocsp_t facts;
  sp_error_t objection;
  sp_staple_status_t status =
      sp__ocsp_check(staple->der, staple->n, leaf, issuer, &facts, &objection);
  if (!facts.is_about)
    return 0;
  if (status != SP_STAPLE_GOOD && status != SP_STAPLE_STALE)
    return sp__fail(why, SP_ESTAPLE, SP_US, "%s: %s", staple->name, objection.text);
  if (!X509_up_ref(leaf))
    return sp__fail_memory(why);
  staple->leaf = leaf;
  staple->from = facts.from;
  staple->until = facts.until;
  return 0;
}

int sp__staples_match(sp_context_t *context, X509 *leaf, sp_error_t *why) {
  sp__staples_t *staples = context->staples;
  int status = 0;
  if (!staples)
    return 0;
  X509 *issuer = sp__issuer_find(context, leaf);
  staples->orphan = staples->orphan || !issuer;
  for (size_t i = 0; issuer && i < staples->count && !status; i++)
    if (!staples->all[i].leaf)
      status = match(&staples->all[i], leaf, issuer, why);
  X509_free(issuer);
  return status;
}

static int unmatched(const sp_context_t *context, const staple_t *staple, sp_error_t *why) {
  if (!context->has_certificate)
    return sp__fail(why, SP_ESTAPLE, SP_US,
                    "%s: there is no certificate that it could be for: give cert and key",
                    staple->name);
  if (context->staples->orphan)
    return sp__fail(why, SP_ESTAPLE, SP_US,
                    "%s: cannot be checked, because the issuer of the certificate is not known: "
                    "append its certificate to cert, or give it as ca",
                    staple->name);
  return sp__fail(why, SP_ESTAPLE, SP_US,
                  "%s: is about another certificate: get the one for the certificate in use",
                  staple->name);
}

int sp__staples_check(const sp_context_t *context, sp_error_t *why) {
  const sp__staples_t *staples = context->staples;
  for (size_t i = 0; staples && i < staples->count; i++)
    if (!staples->all[i].leaf)
      return unmatched(context, &staples->all[i], why);
  return 0;
}

/* -- in use ------------------------------------------------------------------------------------ */

const void *sp__staples_find(const sp__staples_t *staples, const X509 *leaf, size_t *n) {
  int64_t now = (int64_t)time(NULL);
  for (size_t i = 0; staples && leaf && i < staples->count; i++) {
    const staple_t *one = &staples->all[i];
    if (one->leaf != leaf || now < one->from - SP__OCSP_SKEW || now >= one->until)
      continue;
    *n = one->n;
    return one->der;
  }
  return NULL;
}

int64_t sp_context_staple_until(const sp_context_t *context) {
  const sp__staples_t *staples = context->staples;
  int64_t first = 0;
  for (size_t i = 0; staples && i < staples->count; i++)
    if (!first || staples->all[i].until < first)
      first = staples->all[i].until;
  return first;
}

void sp__staples_free(sp__staples_t *staples) {
  for (size_t i = 0; staples && i < staples->count; i++) {
    X509_free(staples->all[i].leaf);
    sp__free(staples->all[i].der);
  }
  sp__free(staples);
}
