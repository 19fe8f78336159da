/* An authority of one's own: a folder with its root, its key, and a database of what it signed. */
#ifndef CLI_AUTHORITY_H
#define CLI_AUTHORITY_H

#include "cli.h"

/* -- ledger.c: the database -------------------------------------------------------------------- */

typedef struct cli_ledger cli_ledger_t;

typedef struct cli_entry {
  const char *serial, *subject, *names, *pem;
  int64_t valid_from, valid_to, signed_at, revoked_at; /* 0: not revoked */
  int reason;
} cli_entry_t;

/* Opens the database of an authority; `make`: it must not be there yet. Waits up to a minute for
 * others that write. Answer exit statuses, as all below. */
int cli_ledger_open(cli_ledger_t **ledger, const char *folder, bool make);
void cli_ledger_close(cli_ledger_t *ledger);

/* Between these nobody else writes; what was written is there as a whole or not at all. */
int cli_ledger_begin(cli_ledger_t *ledger);
int cli_ledger_commit(cli_ledger_t *ledger);

int cli_ledger_add(cli_ledger_t *ledger, const cli_entry_t *entry);

/* CLI_FAILED, and told, when there is no such certificate or it is revoked already. */
int cli_ledger_revoke(cli_ledger_t *ledger, const char *serial, int reason);

/* The number for the next revocation list. */
int cli_ledger_next_list(cli_ledger_t *ledger, uint64_t *number);

/* Calls `each` for every certificate, in the order in which they were signed; the entry is borrowed
 * for the call. */
typedef void (*cli_each_t)(const cli_entry_t *entry, void *data);
int cli_ledger_each(cli_ledger_t *ledger, cli_each_t each, void *data);

/* -- the authority itself ---------------------------------------------------------------------- */

typedef struct cli_authority {
  const char *folder, *passphrase_file;
  sp_key_t *key; /* that signs */
  sp_certificate_t
      *certificate;       /* its certificate; an intermediate's with those above it but the root */
  sp_certificate_t *root; /* that clients trust */
  cli_ledger_t *ledger;
  bool is_intermediate;
} cli_authority_t;

typedef struct cli_authority_spec {
  const char *folder, *subject, *passphrase;  /* NULL: the key is not encrypted */
  const char *below, *parent_passphrase_file; /* an intermediate one, signed by that in `below` */
  const char **permitted, **excluded;
  int days; /* CLI_NOT_SAID: ten years */
  int subordinates;
  bool is_own; /* nobody else uses the folder: one that is there already is fine, the rest of one
                  that was never finished is removed */
} cli_authority_spec_t;

/* Makes one: as a whole or not at all, unless it is killed. Two that make one in the same folder
 * wait for each other. */
int cli_authority_make(const cli_authority_spec_t *spec);

/* Puts a certificate on record: what was given out and is not on record could never be revoked. */
int cli_authority_record(cli_authority_t *authority, const sp_certificate_t *certificate);

/* A certificate and those after it, as one PEM text, to free; `more` comes last (may be NULL).
 * NULL: no memory, and told. */
char *cli_authority_join(const sp_certificate_t *certificate, const sp_certificate_t *more);

/* The path of a file of the authority's. False, and told: too long. */
bool cli_authority_path(char *room, size_t size, const char *folder, const char *name);

/* Reads all of it. */
int cli_authority_open(cli_authority_t *authority, const char *folder, const char *passphrase_file);
void cli_authority_close(cli_authority_t *authority);

/* "authority init", "authority sign" ...: argv[0] is the word. */
int cli_authority_init(int argc, const char **argv);
int cli_authority_sign(int argc, const char **argv);
int cli_authority_revoke(int argc, const char **argv);
int cli_authority_crl(int argc, const char **argv);
int cli_authority_list(int argc, const char **argv);

#define CLI_FOLDER_OPTION(folder)                                                                  \
  {                                                                                                \
    "folder", 0, POPT_ARG_STRING, &(folder), 0, "the authority's folder (default ./authority)",    \
        "FOLDER"                                                                                   \
  }
#define CLI_FOLDER "authority"

#endif
