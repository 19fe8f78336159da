#include "watch/kept.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/secret.h"
#include "context/context.h"

typedef struct sp__kept_part {
  struct sp__kept_part *next;
  void *secret; /* in memory for secrets; NULL: the bytes below */
  char bytes[];
} part_t;

typedef struct sp__kept_answer {
  struct sp__kept_answer *next;
  const char *name, *text;
  int n;
} answer_t;

/* -- copies ------------------------------------------------------------------------------------ */

static part_t *part_new(sp__kept_t *kept, size_t n) {
  part_t *part = sp__alloc(sizeof *part + n);
  if (!part)
    return NULL;
  *part = (part_t){.next = kept->parts};
  return kept->parts = part;
}

/* With a NUL after them; so the next one. NULL: no memory. */
static void *keep(sp__kept_t *kept, const void *bytes, size_t n) {
  part_t *part = part_new(kept, n + 1);
  if (!part)
    return NULL;
  memcpy(part->bytes, bytes, n);
  part->bytes[n] = '\0';
  return part->bytes;
}

static void *keep_hidden(sp__kept_t *kept, const void *bytes, size_t n) {
  part_t *part = part_new(kept, 0);
  if (!part || !(part->secret = sp__secret_alloc(n + 1)))
    return NULL;
  return memcpy(part->secret, bytes, n);
}

static int keep_text(sp__kept_t *kept, const char **text) {
  return !*text || (*text = keep(kept, *text, strlen(*text))) ? 0 : -ENOMEM;
}

static int keep_bytes(sp__kept_t *kept, const void **bytes, size_t n) {
  return !*bytes || (*bytes = keep(kept, *bytes, n)) ? 0 : -ENOMEM;
}

static int keep_secret(sp__kept_t *kept, const void **bytes, size_t n) {
  return !*bytes || (*bytes = keep_hidden(kept, *bytes, n)) ? 0 : -ENOMEM;
}

static int keep_secret_text(sp__kept_t *kept, const char **text) {
  return !*text || (*text = keep_hidden(kept, *text, strlen(*text))) ? 0 : -ENOMEM;
}

/* The absolute path; relative to a folder that is gone it stays what it is, and is not found. */
static int keep_path(sp__kept_t *kept, const char **path) {
  char folder[PATH_MAX], *whole;
  if (!*path)
    return 0;
  if (**path == '/' || !getcwd(folder, sizeof folder)) {
    whole = keep(kept, *path, strlen(*path));
  } else {
    size_t n = strlen(folder) + 1 + strlen(*path);
    char *joined = sp__alloc(n + 1);
    if (!joined)
      return -ENOMEM;
    (void)snprintf(joined, n + 1, "%s/%s", folder, *path);
    whole = keep(kept, joined, n);
    sp__free(joined);
  }
  if (!whole)
    return -ENOMEM;
  *path = whole;
  kept->files[kept->file_count++] = whole;
  return 0;
}

static size_t length(const char *const *list) {
  size_t n = 0;
  while (list && list[n])
    n++;
  return n;
}

typedef int (*keep_entry_t)(sp__kept_t *kept, const char **entry);

static int keep_list(sp__kept_t *kept, const char *const **list, keep_entry_t entry) {
  if (!*list)
    return 0;
  const char **copy = keep(kept, *list, (length(*list) + 1) * sizeof **list);
  int status = copy ? 0 : -ENOMEM;
  for (size_t i = 0; !status && copy[i]; i++)
    status = entry(kept, &copy[i]);
  *list = copy;
  return status;
}

static int keep_identity(sp__kept_t *kept, sp_identity_t *one) {
  int status = keep_secret_text(kept, &one->key);
  if (!status)
    status = keep_path(kept, &one->key_file);
  if (!status)
    status = keep_text(kept, &one->cert);
  if (!status)
    status = keep_path(kept, &one->cert_file);
  if (!status)
    status = keep_secret(kept, &one->pfx, one->pfx_size);
  if (!status)
    status = keep_path(kept, &one->pfx_file);
  return status ? status : keep_secret_text(kept, &one->passphrase);
}

static int keep_identities(sp__kept_t *kept, sp_options_t *o) {
  if (!o->identity_count || !o->identities)
    return 0;
  sp_identity_t *copy = keep(kept, o->identities, o->identity_count * sizeof *copy);
  int status = copy ? 0 : -ENOMEM;
  for (size_t i = 0; i < o->identity_count && !status; i++)
    status = keep_identity(kept, &copy[i]);
  o->identities = copy;
  return status;
}

static int keep_own_identity(sp__kept_t *kept, sp_options_t *o) {
  sp_identity_t own = {o->key, o->key_file, o->cert,     o->cert_file,
                       o->pfx, o->pfx_size, o->pfx_file, o->passphrase};
  int status = keep_identity(kept, &own);
  o->key = own.key;
  o->key_file = own.key_file;
  o->cert = own.cert;
  o->cert_file = own.cert_file;
  o->pfx = own.pfx;
  o->pfx_file = own.pfx_file;
  o->passphrase = own.passphrase;
  return status;
}

static int keep_lists(sp__kept_t *kept, sp_options_t *o) {
  int status = keep_list(kept, &o->ca, keep_text);
  if (!status)
    status = keep_list(kept, &o->ca_files, keep_path);
  if (!status)
    status = keep_list(kept, &o->crl, keep_text);
  if (!status)
    status = keep_list(kept, &o->crl_files, keep_path);
  if (!status)
    status = keep_list(kept, &o->staple_files, keep_path);
  if (!status)
    status = keep_bytes(kept, &o->staple, o->staple_size);
  return status ? status : keep_list(kept, &o->alpn, keep_text);
}

static int keep_policy(sp__kept_t *kept, sp_options_t *o) {
  const char **texts[] = {&o->ciphers, &o->suites, &o->groups, &o->sigalgs, &o->dhparam};
  int status = 0;
  for (size_t i = 0; i < sizeof texts / sizeof *texts && !status; i++)
    status = keep_text(kept, texts[i]);
  if (!status)
    status = keep_secret(kept, &o->ticket_keys, o->ticket_keys_size);
  return status ? status : keep_bytes(kept, &o->session_id_context, o->session_id_context_size);
}

/* -- passphrases ------------------------------------------------------------------------------- */

static void keep_answer(sp__kept_t *kept, const char *name, const char *text, int n) {
  answer_t *answer = keep(kept, &(answer_t){.n = n}, sizeof *answer);
  if (!answer)
    return;
  answer->name = keep(kept, name, strlen(name));
  answer->text = keep_hidden(kept, text, (size_t)n);
  if (!answer->name || !answer->text)
    return;
  answer->next = kept->answers;
  kept->answers = answer;
}

/* Stands in for the program's own: on a worker thread nobody may be asked. */
static int on_passphrase(char *room, size_t size, const char *name, void *data) {
  sp__kept_t *kept = data;
  for (const answer_t *answer = kept->answers; answer; answer = answer->next)
    if (!strcmp(answer->name, name) && (size_t)answer->n <= size) {
      memcpy(room, answer->text, (size_t)answer->n);
      return answer->n;
    }
  int n = kept->ask ? kept->ask(room, size, name, kept->ask_data) : -1;
  if (n >= 0 && (size_t)n <= size)
    keep_answer(kept, name, room, n);
  return n;
}

/* -- all of it --------------------------------------------------------------------------------- */

static size_t count_files(const sp_options_t *o) {
  return 3 + 3 * o->identity_count + length(o->ca_files) + length(o->crl_files) +
         length(o->staple_files);
}

/* What another part of the library reads is not ours to keep. */
static void forget_the_rest(sp_options_t *o) {
  o->context = NULL;
  o->server_name = o->host = o->path = NULL;
  o->session = NULL;
  o->sessions = NULL;
}

static void stand_in(sp__kept_t *kept, sp_options_t *o) {
  if (!o->on_passphrase)
    return;
  kept->ask = o->on_passphrase;
  kept->ask_data = o->passphrase_data;
  o->on_passphrase = on_passphrase;
  o->passphrase_data = kept;
}

static int take(sp__kept_t *kept, sp_options_t *o) {
  int status = keep_own_identity(kept, o);
  if (!status)
    status = keep_identities(kept, o);
  if (!status)
    status = keep_lists(kept, o);
  return status ? status : keep_policy(kept, o);
}

int sp__kept_take(sp__kept_t *kept, const sp_options_t *options, sp_error_t *why) {
  sp_options_t copy = *options;
  *kept = (sp__kept_t){.files = sp__alloc(count_files(&copy) * sizeof *kept->files)};
  forget_the_rest(&copy);
  if (!kept->files || take(kept, &copy) < 0)
    return sp__fail_memory(why);
  stand_in(kept, &copy);
  if (copy.trust)
    sp_trust_retain(copy.trust);
  if (copy.store)
    sp_store_retain(copy.store);
  kept->options = copy;
  return kept->file_count ? 0
                          : sp__fail(why, SP_EOPTION, SP_US,
                                     "nothing to watch: give key_file and cert_file, or another "
                                     "file");
}

void sp__kept_settle(sp__kept_t *kept) { kept->ask = NULL; }

void sp__kept_drop(sp__kept_t *kept) {
  while (kept->parts) {
    part_t *part = kept->parts;
    kept->parts = part->next;
    sp__secret_free(part->secret);
    sp__free(part);
  }
  sp_trust_release(kept->options.trust);
  sp_store_release(kept->options.store);
  sp__free(kept->files);
}
