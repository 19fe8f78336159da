/* What belongs to what. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "describe.h"
#include "judge.h"

const char *cli_name_of(const sp_certificate_t *certificate) {
  size_t count;
  const sp_name_t *names = sp_certificate_names(certificate, &count);
  const char *subject = sp_certificate_subject(certificate);
  return *subject ? subject : count ? names[0].value : "a certificate without a name";
}

/* -- keys -------------------------------------------------------------------------------------- */

static bool belongs(const cli_item_t *key, const cli_item_t *other) {
  if (other->kind == CLI_CERTIFICATE)
    return sp_key_fits(key->key, other->certificate);
  return other->kind == CLI_REQUEST &&
         !strcmp(sp_key_fingerprint(key->key), sp_request_key_fingerprint(other->request));
}

static void relate_key(json_t *sentences, json_t *problems, const cli_items_t *items,
                       const cli_item_t *key) {
  size_t fits = 0, candidates = 0;
  for (size_t i = 0; i < items->count; i++) {
    const cli_item_t *other = items->all + i;
    candidates += other->kind == CLI_CERTIFICATE || other->kind == CLI_REQUEST;
    if (!belongs(key, other))
      continue;
    fits++;
    cli_sentence(sentences, "The key in %s belongs to the %s in %s.", key->file,
                 other->kind == CLI_REQUEST ? "request" : "certificate", other->file);
  }
  if (candidates && !fits)
    cli_problem(problems, "key-mismatch",
                "Look for the other half; or make a request with this key and have it signed.",
                "The key in %s belongs to none of these certificates or requests.", key->file);
}

/* Who reads a file takes the first key in it. */
static void judge_second_key(json_t *problems, const cli_items_t *items, const cli_item_t *key) {
  for (const cli_item_t *one = items->all; one < key; one++)
    if (one->kind == CLI_KEY && one->file == key->file) {
      cli_problem(problems, "two-keys", "Keep one key in a file.",
                  "There are several private keys in %s: programs take the first and do not see "
                  "the others.",
                  key->file);
      return;
    }
}

/* -- the same thing twice ---------------------------------------------------------------------- */

static bool is_same(const cli_item_t *one, const cli_item_t *other) {
  return other->kind == CLI_CERTIFICATE &&
         !strcmp(sp_certificate_fingerprint(one->certificate, SP_SHA256),
                 sp_certificate_fingerprint(other->certificate, SP_SHA256));
}

static void relate_twin(json_t *sentences, json_t *problems, const cli_items_t *items,
                        const cli_item_t *item) {
  const cli_item_t *twin = items->all;
  while (twin < item && !is_same(item, twin))
    twin++;
  if (twin == item)
    return;
  if (twin->file == item->file)
    cli_problem(problems, "duplicate", "Leave it there once.",
                "%s is in %s twice: a server sends it twice, and some clients stumble over it.",
                cli_name_of(item->certificate), item->file);
  else
    cli_sentence(sentences, "%s in %s is the same certificate as in %s.",
                 cli_name_of(item->certificate), item->file, twin->file);
}

/* -- revocation lists -------------------------------------------------------------------------- */

static bool is_issuer(const cli_item_t *list, const cli_item_t *other) {
  return other->kind == CLI_CERTIFICATE &&
         !X509_NAME_cmp(X509_CRL_get_issuer(list->list),
                        X509_get_subject_name(sp_certificate_x509(other->certificate)));
}

static void judge_list_signature(json_t *sentences, json_t *problems, const cli_items_t *items,
                                 const cli_item_t *list) {
  const cli_item_t *namesake = NULL;
  for (size_t i = 0; i < items->count; i++) {
    const cli_item_t *other = items->all + i;
    if (!is_issuer(list, other))
      continue;
    namesake = other;
    if (X509_CRL_verify(list->list, X509_get0_pubkey(sp_certificate_x509(other->certificate))) ==
        1) {
      cli_sentence(sentences, "The revocation list in %s is signed by %s.", list->file,
                   cli_name_of(other->certificate));
      return;
    }
  }
  if (namesake)
    cli_problem(problems, "list-signature", "Fetch the list from where its authority publishes it.",
                "The revocation list in %s is not signed by %s, whose it says it is.", list->file,
                cli_name_of(namesake->certificate));
}

static void judge_revoked(json_t *problems, const cli_item_t *list, const cli_item_t *item) {
  X509 *x509 = sp_certificate_x509(item->certificate);
  X509_REVOKED *entry = NULL;
  char span[40];
  if (X509_NAME_cmp(X509_CRL_get_issuer(list->list), X509_get_issuer_name(x509)) != 0 ||
      X509_CRL_get0_by_cert(list->list, &entry, x509) != 1)
    return;
  cli_problem(problems, "revoked", "Have a new one issued, with a new key.",
              "%s in %s was revoked %s, says the list in %s.", cli_name_of(item->certificate),
              item->file, cli_span(span, cli_seconds_of(X509_REVOKED_get0_revocationDate(entry))),
              list->file);
}

static void relate_list(json_t *sentences, json_t *problems, const cli_items_t *items,
                        const cli_item_t *list) {
  judge_list_signature(sentences, problems, items, list);
  for (size_t i = 0; i < items->count; i++)
    if (items->all[i].kind == CLI_CERTIFICATE)
      judge_revoked(problems, list, items->all + i);
}

/* -- all --------------------------------------------------------------------------------------- */

void cli_relate(json_t *sentences, json_t *problems, const cli_items_t *items) {
  for (const cli_item_t *item = items->all; item < items->all + items->count; item++) {
    if (item->kind == CLI_KEY) {
      relate_key(sentences, problems, items, item);
      judge_second_key(problems, items, item);
    } else if (item->kind == CLI_CERTIFICATE) {
      relate_twin(sentences, problems, items, item);
    } else if (item->kind == CLI_LIST) {
      relate_list(sentences, problems, items, item);
    }
  }
  cli_relate_chains(sentences, problems, items);
  ERR_clear_error();
}
