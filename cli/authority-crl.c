/* securepair authority crl */
#include <stdlib.h>
#include <string.h>

#include "authority.h"

static const cli_help_t help = {
    "securepair authority crl [OPTION...]",
    "Makes the list of certificates that are revoked (CRL). Make a new one after each revocation, "
    "and\n"
    "before the last one ends: clients that check it refuse everything when it is over.",
    "  securepair authority crl --out crl.pem --force\n"
    "  securepair authority crl --days 7 | openssl crl -outform DER -out authority.crl\n"};

typedef struct revoked {
  sp_revoked_t *all;
  size_t count;
  bool failed;
} revoked_t;

static void collect(const cli_entry_t *entry, void *data) {
  revoked_t *revoked = data;
  if (!entry->revoked_at)
    return;
  sp_revoked_t *all = realloc(revoked->all, (revoked->count + 1) * sizeof *all);
  if (!all) {
    revoked->failed = true;
    return;
  }
  revoked->all = all;
  all[revoked->count] = (sp_revoked_t){strdup(entry->serial), entry->revoked_at, entry->reason};
  revoked->failed = revoked->failed || !all[revoked->count].serial;
  revoked->count++;
}

static int list_of(cli_authority_t *authority, revoked_t *revoked, uint64_t *number) {
  int status = cli_ledger_begin(authority->ledger);
  if (!status)
    status = cli_ledger_next_list(authority->ledger, number);
  if (!status)
    status = cli_ledger_each(authority->ledger, collect, revoked);
  if (!status && revoked->failed)
    status = cli_fail("out of memory");
  return status ? status : cli_ledger_commit(authority->ledger);
}

typedef struct options {
  const char *folder, *passphrase_file, *out;
  int days, force;
} options_t;

static int write_list(cli_authority_t *authority, const options_t *options) {
  revoked_t revoked = {.all = NULL};
  uint64_t number = 0;
  sp_error_t why;
  char *pem;
  int status = list_of(authority, &revoked, &number);
  if (!status) {
    if (sp_crl_make(&pem, authority->certificate, authority->key, revoked.all, revoked.count,
                    number, options->days, &why) < 0) {
      status = cli_fail_with(&why);
    } else {
      status = cli_write(options->out, pem, CLI_PUBLIC, options->force);
      sp_pem_release(pem);
    }
  }
  for (size_t i = 0; i < revoked.count; i++)
    free((char *)(uintptr_t)revoked.all[i].serial);
  free(revoked.all);
  return status;
}

int cli_authority_crl(int argc, const char **argv) {
  options_t o = {.folder = CLI_FOLDER, .days = 30};
  cli_authority_t authority;
  cli_arguments_t arguments;
  struct poptOption table[] = {
      CLI_FOLDER_OPTION(o.folder),
      {"days", 'd', POPT_ARG_INT, &o.days, 0, "until the next one (default 30)", "N"},
      {"passphrase-file", 0, POPT_ARG_STRING, &o.passphrase_file, 0,
       "the authority's passphrase is the first line of FILE", "FILE"},
      {"out", 'o', POPT_ARG_STRING, &o.out, 0, "where to write it", "FILE"},
      {"force", 'f', POPT_ARG_NONE, &o.force, 0, "write over a file that is there", NULL},
      POPT_TABLEEND};
  int parsed = cli_parse(&arguments, &help, table, 0, 0, argc, argv);
  if (parsed)
    return parsed - 1;
  int status = cli_check_number("--days", o.days, 1, 3650);
  if (!status)
    status = cli_can_write(o.out, o.force);
  if (!status)
    status = cli_authority_open(&authority, o.folder, o.passphrase_file);
  if (!status) {
    status = write_list(&authority, &o);
    cli_authority_close(&authority);
  }
  cli_parsed(&arguments);
  return status;
}
