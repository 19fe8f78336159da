/* Who signed whom, up to a root (RFC 5280 6); and what clients hold against such a chain. */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "describe.h"

#define CANDIDATES 8 /* of one name, whose signatures are tried */
#define LENGTH_MOST 20

typedef struct link {
  const cli_item_t *item;
  unsigned long subject, issuer; /* hashes of the names: equal names have equal ones */
  const struct link *above;      /* who signed it; NULL: not here, or it is a root */
  const struct link *namesake;   /* has its issuer's name, and did not sign it */
  bool again;                    /* the same certificate came before */
} link_t;

typedef struct web {
  link_t *all;
  size_t count;
  const cli_items_t *items;
  json_t *sentences, *problems;
  X509_STORE *store; /* the system's roots, once they were needed */
} web_t;

static X509 *x509_of(const link_t *link) { return sp_certificate_x509(link->item->certificate); }
static const char *name_of(const link_t *link) { return cli_name_of(link->item->certificate); }
static bool is_root(const link_t *link) {
  return sp_certificate_is_self_signed(link->item->certificate);
}
static bool is_authority(const link_t *link) {
  return sp_certificate_is_authority(link->item->certificate);
}

/* -- who signed whom --------------------------------------------------------------------------- */

static bool is_called(const link_t *issuer, const link_t *link) {
  return issuer->subject == link->issuer && issuer != link &&
         !X509_NAME_cmp(X509_get_subject_name(x509_of(issuer)),
                        X509_get_issuer_name(x509_of(link)));
}

static void find_issuer(web_t *web, link_t *link) {
  size_t tried = is_root(link) ? CANDIDATES : 0;
  for (const link_t *other = web->all; tried < CANDIDATES && other < web->all + web->count;
       other++) {
    if (!is_called(other, link))
      continue;
    if (X509_verify(x509_of(link), X509_get0_pubkey(x509_of(other))) == 1) {
      link->above = other;
      return;
    }
    link->namesake = other;
    tried++;
  }
}

static bool is_in_system(web_t *web, const link_t *link) {
  X509_STORE_CTX *ctx = X509_STORE_CTX_new();
  X509 *issuer = NULL;
  if (!web->store && (web->store = X509_STORE_new()))
    (void)X509_STORE_set_default_paths(web->store);
  bool found = ctx && web->store && X509_STORE_CTX_init(ctx, web->store, x509_of(link), NULL) &&
               X509_STORE_CTX_get1_issuer(&issuer, ctx, x509_of(link)) == 1;
  X509_free(issuer);
  X509_STORE_CTX_free(ctx);
  ERR_clear_error();
  return found;
}

/* -- one link: may it be signed by the one above? ---------------------------------------------- */

static void judge_issuer(const web_t *web, const link_t *link) {
  const link_t *issuer = link->above;
  if (!is_authority(issuer))
    cli_problem(web->problems, "no-authority", "Have it signed by a certificate that is one.",
                "%s is signed by %s, which is no authority (its basicConstraints lack CA): clients "
                "refuse it.",
                name_of(link), name_of(issuer));
}

/* How many authorities stand below it before the leaf; those that sign a new key for themselves do
 * not count. */
static void judge_length(const web_t *web, const link_t *leaf) {
  long below = 0;
  size_t length = 0;
  for (const link_t *one = leaf->above; one && length < LENGTH_MOST; one = one->above, length++) {
    long most = X509_get_pathlen(x509_of(one));
    if (most >= 0 && below > most)
      cli_problem(
          web->problems, "path-length", "Have the certificate signed by a higher one.",
          "%s may have %ld authorities below it, and above %s there are %ld: clients refuse "
          "it.",
          name_of(one), most, name_of(leaf), below);
    below += !is_root(one);
  }
}

static const char *purposes(const link_t *link, bool *server, bool *client) {
  size_t count;
  const char *const *usages = sp_certificate_extended_usages(link->item->certificate, &count);
  *server = *client = !usages;
  for (size_t i = 0; usages && i < count; i++) {
    bool any = !strcmp(usages[i], "anyExtendedKeyUsage");
    *server = *server || any || !strcmp(usages[i], "serverAuth");
    *client = *client || any || !strcmp(usages[i], "clientAuth");
  }
  return *server ? "servers" : "clients";
}

/* An authority that names usages is held to them for what is below it. */
static void judge_purposes(const web_t *web, const link_t *leaf) {
  bool server, client, above_server, above_client;
  size_t length = 0;
  const char *what = purposes(leaf, &server, &client);
  for (const link_t *one = leaf->above; one && length < LENGTH_MOST; one = one->above, length++) {
    purposes(one, &above_server, &above_client);
    if ((server && above_server) || (client && above_client) || (!server && !client))
      continue;
    cli_problem(web->problems, "purpose", "Have it signed by an authority for that purpose.",
                "%s is for %s, and %s above it may not sign for those (its extended key usage): "
                "clients refuse it.",
                name_of(leaf), what, name_of(one));
  }
}

static void judge_constraints(const web_t *web, const link_t *leaf) {
  size_t length = 0;
  for (const link_t *one = leaf->above; one && length < LENGTH_MOST; one = one->above, length++) {
    NAME_CONSTRAINTS *constraints =
        X509_get_ext_d2i(x509_of(one), NID_name_constraints, NULL, NULL);
    int result = constraints ? NAME_CONSTRAINTS_check(x509_of(leaf), constraints) : X509_V_OK;
    NAME_CONSTRAINTS_free(constraints);
    if (result != X509_V_OK)
      cli_problem(web->problems, "name-constraints",
                  "Have it signed by an authority that may, or with names that this one may.",
                  "%s may not sign for the names of %s (its name constraints): clients refuse it.",
                  name_of(one), name_of(leaf));
  }
}

/* -- the chain of one leaf --------------------------------------------------------------------- */

static void judge_end(web_t *web, const link_t *leaf, const link_t *top) {
  const char *issuer = sp_certificate_issuer(top->item->certificate);
  if (is_root(top) && top != leaf) {
    cli_sentence(web->sentences, "The chain of %s is complete, up to the root %s.", name_of(leaf),
                 name_of(top));
  } else if (is_root(top)) {
    cli_problem(web->problems, "self-signed",
                "Give it to the clients to trust (ca_files; ca in Node; curl --cacert), or have a "
                "request signed by an authority that they trust.",
                "%s in %s is signed by itself: clients refuse it until they are told to trust it.",
                name_of(top), top->item->file);
  } else if (is_in_system(web, top)) {
    cli_sentence(web->sentences,
                 "The chain of %s is complete: %s is issued by %s, which this system trusts.",
                 name_of(leaf), top == leaf ? "it" : name_of(top), issuer);
  } else if (top->namesake) {
    cli_problem(web->problems, "signature", "Look for the issuer's certificate that belongs to it.",
                "%s in %s has the name of the issuer of %s, but another key signed it.",
                name_of(top->namesake), top->namesake->item->file, name_of(top));
  } else {
    cli_problem(web->problems, "missing-issuer",
                "Append its issuer's certificate to the server's; if that is a root of your own, "
                "show it, too, and see that clients have it.",
                "%s in %s is issued by %s, which is neither here nor a root that this system "
                "trusts: clients cannot verify it.",
                name_of(top), top->item->file, issuer);
  }
}

/* Of a leaf, or of an authority that is shown alone. */
static void judge_chain(web_t *web, const link_t *leaf) {
  const link_t *top = leaf;
  size_t length = 0;
  while (top->above && !is_root(top) && length++ < LENGTH_MOST) {
    judge_issuer(web, top);
    top = top->above;
  }
  if (length > LENGTH_MOST)
    cli_problem(web->problems, "loop", "Leave out the certificates that lead back.",
                "The chain of %s leads to no root, but in a circle.", name_of(leaf));
  else
    judge_end(web, leaf, top);
  judge_length(web, leaf);
  judge_purposes(web, leaf);
  judge_constraints(web, leaf);
}

/* -- order in a file --------------------------------------------------------------------------- */

/* A server sends its own certificate first, and after each one its issuer (RFC 8446 4.4.2). */
static bool judge_order(const web_t *web, const link_t *link) {
  const link_t *issuer = link->above;
  if (!issuer || is_root(link) || link->item->file != issuer->item->file || issuer == link + 1)
    return true;
  cli_problem(web->problems, "order",
              "Put the server's certificate first, then its issuer, and so on.",
              "In %s the issuer %s does not come right after %s.", link->item->file,
              name_of(issuer), name_of(link));
  return false;
}

static bool leads_to(const link_t *leaf, const link_t *link) {
  for (size_t length = 0; leaf && length < LENGTH_MOST; length++, leaf = leaf->above)
    if (leaf == link)
      return true;
  return false;
}

/* A certificate that is in the file of a server's and not above it. */
static void judge_stray(const web_t *web, const link_t *link, const link_t *leaf) {
  if (!link->again && !leads_to(leaf, link))
    cli_problem(web->problems, "stray", "Leave it out, or put the right one in its place.",
                "%s in %s has nothing to do with the chain of %s.", name_of(link), link->item->file,
                name_of(leaf));
}

/* The only leaf of a file; NULL: it has none, or several. */
static const link_t *leaf_of(const web_t *web, const char *file) {
  const link_t *leaf = NULL;
  for (const link_t *one = web->all; one < web->all + web->count; one++) {
    if (one->item->file != file || is_authority(one))
      continue;
    if (leaf)
      return NULL;
    leaf = one;
  }
  return leaf;
}

static void judge_file(const web_t *web, const char *file) {
  const link_t *leaf = leaf_of(web, file);
  bool ordered = true;
  for (const link_t *one = web->all; leaf && one < web->all + web->count; one++) {
    if (one->item->file != file)
      continue;
    if (ordered && leads_to(leaf, one))
      ordered = judge_order(web, one);
    judge_stray(web, one, leaf);
  }
}

/* -- all --------------------------------------------------------------------------------------- */

static bool came_before(const web_t *web, const link_t *link) {
  const char *print = sp_certificate_fingerprint(link->item->certificate, SP_SHA256);
  for (const link_t *one = web->all; one < link; one++)
    if (one->subject == link->subject &&
        !strcmp(sp_certificate_fingerprint(one->item->certificate, SP_SHA256), print))
      return true;
  return false;
}

static void collect(web_t *web) {
  for (size_t i = 0; i < web->items->count; i++) {
    if (web->items->all[i].kind != CLI_CERTIFICATE)
      continue;
    link_t *link = web->all + web->count++;
    *link = (link_t){.item = web->items->all + i};
    link->subject = X509_subject_name_hash(x509_of(link));
    link->issuer = X509_issuer_name_hash(x509_of(link));
    link->again = came_before(web, link);
  }
}

static bool is_above_another(const web_t *web, const link_t *link) {
  for (const link_t *one = web->all; one < web->all + web->count; one++)
    if (one != link && one->above == link)
      return true;
  return false;
}

static void say_who_signed(const web_t *web, const link_t *link) {
  if (link->above && !is_root(link))
    cli_sentence(web->sentences, "%s is signed by %s.", name_of(link), name_of(link->above));
}

void cli_relate_chains(json_t *sentences, json_t *problems, const cli_items_t *items) {
  web_t web = {.items = items, .sentences = sentences, .problems = problems, .store = NULL};
  web.all = calloc(items->count + 1, sizeof *web.all);
  if (!web.all)
    cli_no_memory();
  collect(&web);
  for (link_t *one = web.all; one < web.all + web.count; one++)
    find_issuer(&web, one);
  for (const link_t *one = web.all; one < web.all + web.count; one++) {
    if (one->again)
      continue;
    say_who_signed(&web, one);
    if (!is_authority(one) || (!is_root(one) && !is_above_another(&web, one)))
      judge_chain(&web, one);
  }
  for (size_t i = 0; i < items->file_count; i++)
    judge_file(&web, items->files[i]);
  X509_STORE_free(web.store);
  free(web.all);
}
