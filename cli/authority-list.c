/* securepair authority list */
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "authority.h"
#include "problem.h"

static const cli_help_t help = {
    "securepair authority list [OPTION...]",
    "Shows what the authority has signed: serial, state, end, and for whom.",
    "  securepair authority list\n"
    "  securepair authority list --json\n"
    "  securepair authority list --pem 47AD7C56EF27E592E182E9948F0DB20D2DB54376 > again.pem\n"};

static const char *state_of(const cli_entry_t *entry) {
  if (entry->revoked_at)
    return "revoked";
  return entry->valid_to < (int64_t)time(NULL) ? "expired" : "valid";
}

static void print_line(const cli_entry_t *entry, void *data) {
  char span[40];
  (void)data;
  printf("%-40s  %-7s  %-14s  %s%s%s\n", entry->serial, state_of(entry),
         cli_span(span, entry->valid_to), entry->subject,
         *entry->subject && *entry->names ? ": " : "", entry->names);
}

static void add_object(const cli_entry_t *entry, void *data) {
  json_array_append_new(
      data,
      json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:i,s:s}", "serial", entry->serial, "state",
                state_of(entry), "subject", entry->subject, "names", entry->names, "valid_from",
                (json_int_t)entry->valid_from, "valid_to", (json_int_t)entry->valid_to, "signed_at",
                (json_int_t)entry->signed_at, "revoked_at", (json_int_t)entry->revoked_at, "reason",
                entry->reason, "pem", entry->pem));
}

static int print_json(cli_ledger_t *ledger) {
  json_t *all = json_array();
  int status = cli_ledger_each(ledger, add_object, all);
  if (!status)
    status = cli_json_put(all);
  json_decref(all);
  return status;
}

typedef struct wanted {
  const char *serial;
  bool found;
} wanted_t;

static void print_pem(const cli_entry_t *entry, void *data) {
  wanted_t *wanted = data;
  if (strcasecmp(entry->serial, wanted->serial) != 0)
    return;
  wanted->found = true;
  fputs(entry->pem, stdout);
}

static int list(cli_ledger_t *ledger, bool json, const char *serial) {
  wanted_t wanted = {serial, false};
  if (json)
    return print_json(ledger);
  if (!serial)
    return cli_ledger_each(ledger, print_line, NULL);
  int status = cli_ledger_each(ledger, print_pem, &wanted);
  if (!status && !wanted.found)
    status = cli_fail("this authority has signed no certificate %s", serial);
  return status;
}

int cli_authority_list(int argc, const char **argv) {
  const char *folder = CLI_FOLDER, *serial = NULL;
  int json = 0;
  cli_ledger_t *ledger;
  cli_arguments_t arguments;
  struct poptOption table[] = {
      CLI_FOLDER_OPTION(folder),
      {"json", 0, POPT_ARG_NONE, &json, 0, "as JSON", NULL},
      {"pem", 0, POPT_ARG_STRING, &serial, 0, "only this certificate, in PEM", "SERIAL"},
      POPT_TABLEEND};
  int parsed = cli_parse(&arguments, &help, table, 0, 0, argc, argv);
  if (parsed)
    return parsed - 1;
  cli_json_whole();
  int status = cli_ledger_open(&ledger, folder, false);
  if (!status) {
    status = list(ledger, json, serial);
    cli_ledger_close(ledger);
  }
  cli_parsed(&arguments);
  return status;
}
