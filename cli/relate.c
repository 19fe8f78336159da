/* What belongs to what. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "describe.h"

static void say(json_t *sentences, json_t *sentence) { json_array_append_new(sentences, sentence); }

static const char *name_of(const sp_certificate_t *certificate) {
  size_t count;
  const sp_name_t *names = sp_certificate_names(certificate, &count);
  const char *subject = sp_certificate_subject(certificate);
  return *subject ? subject : count ? names[0].value : "(no name)";
}

/* -- keys -------------------------------------------------------------------------------------- */

static bool belongs(const cli_item_t *key, const cli_item_t *other) {
  if (other->kind == CLI_CERTIFICATE)
    return sp_key_fits(key->key, other->certificate);
  return other->kind == CLI_REQUEST &&
         !strcmp(sp_key_fingerprint(key->key), sp_request_key_fingerprint(other->request));
}

static void relate_key(json_t *sentences, const cli_items_t *items, const cli_item_t *key) {
  size_t fits = 0, candidates = 0;
  for (size_t i = 0; i < items->count; i++) {
    const cli_item_t *other = items->all + i;
    candidates += other->kind == CLI_CERTIFICATE || other->kind == CLI_REQUEST;
    if (!belongs(key, other))
      continue;
    fits++;
    say(sentences,
        json_sprintf("The key in %s belongs to the %s in %s.", key->file,
                     other->kind == CLI_REQUEST ? "request" : "certificate", other->file));
  }
  if (candidates && !fits)
    say(sentences, json_sprintf("The key in %s belongs to none of these certificates or requests.",
                                key->file));
}

/* -- chains ------------------------------------------------------------------------------------ */

static bool signed_by(const sp_certificate_t *certificate, const sp_certificate_t *issuer) {
  X509 *one = sp_certificate_x509(certificate), *other = sp_certificate_x509(issuer);
  bool fits =
      X509_check_issued(other, one) == X509_V_OK && X509_verify(one, X509_get0_pubkey(other)) == 1;
  ERR_clear_error();
  return fits;
}

static const cli_item_t *issuer_of(const cli_items_t *items, const cli_item_t *item) {
  for (size_t i = 0; i < items->count; i++)
    if (items->all[i].kind == CLI_CERTIFICATE && items->all + i != item &&
        signed_by(item->certificate, items->all[i].certificate))
      return items->all + i;
  return NULL;
}

/* A server sends its own certificate first, and after each one its issuer (RFC 8446 4.4.2). */
static void judge_order(json_t *sentences, const cli_item_t *item, const cli_item_t *issuer) {
  if (strcmp(item->file, issuer->file) != 0 || issuer == item + 1)
    return;
  say(sentences,
      json_sprintf("In %s the issuer %s does not come right after %s: put the server's certificate "
                   "first, then its issuer, and so on.",
                   item->file, name_of(issuer->certificate), name_of(item->certificate)));
}

static void relate_certificate(json_t *sentences, const cli_items_t *items,
                               const cli_item_t *item) {
  if (sp_certificate_is_self_signed(item->certificate)) {
    if (!sp_certificate_is_authority(item->certificate))
      say(sentences, json_sprintf("%s is signed by itself: clients have to be told to trust it.",
                                  name_of(item->certificate)));
    return;
  }
  const cli_item_t *issuer = issuer_of(items, item);
  if (!issuer) {
    say(sentences,
        json_sprintf("The issuer of %s (%s) is not here: a server has to send it along, unless "
                     "clients have it as a root.",
                     name_of(item->certificate), sp_certificate_issuer(item->certificate)));
    return;
  }
  say(sentences, json_sprintf("%s is signed by %s.", name_of(item->certificate),
                              name_of(issuer->certificate)));
  judge_order(sentences, item, issuer);
}

json_t *cli_relate(const cli_items_t *items) {
  json_t *sentences = json_array();
  for (size_t i = 0; i < items->count; i++)
    if (items->all[i].kind == CLI_KEY)
      relate_key(sentences, items, items->all + i);
  for (size_t i = 0; i < items->count; i++)
    if (items->all[i].kind == CLI_CERTIFICATE)
      relate_certificate(sentences, items, items->all + i);
  return sentences;
}
