#include "watch/look.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <openssl/ssl.h>

#include "base/error.h"
#include "base/memory.h"
#include "context/context.h"

int sp__look_init(sp__look_t *look, const sp__kept_t *kept) {
  size_t n = kept->file_count;
  *look = (sp__look_t){.kept = kept};
  look->states = sp__zalloc(n * sizeof *look->states);
  look->room = sp__zalloc(n * sizeof *look->room);
  look->folders = sp__zalloc(2 * n * sizeof *look->folders);
  return look->states && look->room && look->folders ? 0 : -ENOMEM;
}

void sp__look_free(sp__look_t *look) {
  sp_context_release(look->context);
  if (look->folders)
    sp__folders_forget(look->folders, 2 * look->kept->file_count);
  sp__free(look->folders);
  sp__free(look->states);
  sp__free(look->room);
}

/* -- until when -------------------------------------------------------------------------------- */

static int64_t end_of(const X509 *x509) {
  struct tm tm;
  return x509 && ASN1_TIME_to_tm(X509_get0_notAfter(x509), &tm) ? (int64_t)timegm(&tm) : INT64_MAX;
}

/* Of several certificates, the one that ends first. The context is nobody else's yet. */
static int64_t end_of_context(SSL_CTX *ctx) {
  X509 *chosen = SSL_CTX_get0_certificate(ctx);
  int64_t first = INT64_MAX;
  if (!chosen)
    return first;
  for (long found = SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_FIRST); found == 1;
       found = SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_NEXT)) {
    int64_t end = end_of(SSL_CTX_get0_certificate(ctx));
    first = end < first ? end : first;
  }
  SSL_CTX_select_current_cert(ctx, chosen);
  return first;
}

static void write_day(char room[static 16], int64_t seconds) {
  time_t when = (time_t)seconds;
  struct tm tm;
  if (!gmtime_r(&when, &tm) || !strftime(room, 16, "%Y-%m-%d", &tm))
    memcpy(room, "?", 2);
}

/* Nobody is served by a certificate that is worse than the one before. */
static int check_end(const sp__look_t *look, sp_error_t *why) {
  int64_t now = time(NULL);
  char day[16], other[16];
  if (!look->has_context || look->context_expires >= now || look->expires < now)
    return 0;
  write_day(day, look->context_expires);
  write_day(other, look->expires);
  return sp__fail(why, SP_ECERTIFICATE, SP_US,
                  "the new certificate expired on %s and does not replace the one in force, which "
                  "is valid until %s: renew it",
                  day, other);
}

/* Likewise of OCSP responses: without one that is current a server sends none. */
static int check_staple(const sp__look_t *look, sp_error_t *why) {
  int64_t now = time(NULL);
  char day[16], other[16];
  if (!look->has_context || !look->context_staple_until || look->context_staple_until > now ||
      look->staple_until <= now)
    return 0;
  write_day(day, look->context_staple_until);
  write_day(other, look->staple_until);
  return sp__fail(why, SP_ESTAPLE, SP_US,
                  "the new OCSP response ended on %s and does not replace the one in force, which "
                  "is good until %s: get a newer one",
                  day, other);
}

/* -- looking ----------------------------------------------------------------------------------- */

static bool have_changed(sp__look_t *look) {
  size_t n = look->kept->file_count;
  sp__files_look(look->kept->files, n, look->room);
  bool changed = memcmp(look->room, look->states, n * sizeof *look->states) != 0;
  memcpy(look->states, look->room, n * sizeof *look->states);
  look->is_fresh = sp__files_are_fresh(look->states, n);
  return changed;
}

static int digest(const sp__look_t *look, uint8_t digest[static SP__DIGEST_SIZE], sp_error_t *why) {
  return sp__files_digest(look->kept->files, look->kept->file_count, digest, why);
}

static int make(sp__look_t *look) {
  int status = sp_context_new(&look->context, &look->error, &look->kept->options);
  if (status < 0)
    return status;
  look->context_expires = end_of_context(look->context->ssl_ctx);
  look->context_staple_until = sp_context_staple_until(look->context);
  status = check_end(look, &look->error);
  return status < 0 ? status : check_staple(look, &look->error);
}

/* What was made is of the files as they are only if they were the same before and after. */
static sp__seen_t make_of_files(sp__look_t *look) {
  uint8_t after[SP__DIGEST_SIZE];
  int status = make(look);
  if (digest(look, after, NULL) < 0 || memcmp(after, look->digest, sizeof after) != 0)
    return SP__SEEN_CHANGE;
  return status < 0 ? SP__SEEN_FAULT : SP__SEEN_CONTEXT;
}

static sp__seen_t read_files(sp__look_t *look) {
  if (digest(look, look->digest, &look->error) < 0)
    return SP__SEEN_FAULT;
  if (look->has_context && !memcmp(look->digest, look->in_force, sizeof look->digest))
    return SP__SEEN_SAME;
  return make_of_files(look);
}

void sp__look_run(sp__look_t *look) {
  bool changed = have_changed(look);
  look->found_folders = look->found_folders || changed;
  if (changed) {
    sp__folders_forget(look->folders, 2 * look->kept->file_count);
    sp__folders_find(look->folders, look->kept->files, look->kept->file_count);
  }
  if (changed && !look->is_urgent)
    look->seen = SP__SEEN_CHANGE;
  else if (!changed && !look->has_to_read && !look->is_urgent)
    look->seen = SP__SEEN_NOTHING;
  else
    look->seen = read_files(look);
  if (look->seen != SP__SEEN_CONTEXT) {
    sp_context_release(look->context);
    look->context = NULL;
  }
}
