/* securepair authority revoke */
#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "authority.h"

static const cli_help_t help = {
    "securepair authority revoke CERTIFICATE|SERIAL [OPTION...]",
    "Declares a certificate invalid before its time. Clients learn of it by the next list:\n"
    "\"securepair authority crl\".",
    "  securepair authority revoke server-cert.pem --reason key-compromise\n"
    "  securepair authority revoke 47AD7C56EF27E592E182E9948F0DB20D2DB54376\n"};

static const struct {
  const char *name;
  int number; /* RFC 5280 5.3.1 */
} reasons[] = {{"unspecified", 0}, {"key-compromise", 1}, {"affiliation-changed", 3},
               {"superseded", 4},  {"cessation", 5},      {"privilege-withdrawn", 9}};

static int reason_of(int *reason, const char *name) {
  *reason = 0;
  for (size_t i = 0; name && i < sizeof reasons / sizeof *reasons; i++)
    if (!strcmp(reasons[i].name, name)) {
      *reason = reasons[i].number;
      return CLI_OK;
    }
  return name ? cli_fail("--reason %s: key-compromise, affiliation-changed, superseded, cessation "
                         "and privilege-withdrawn are known",
                         name)
              : CLI_OK;
}

/* A serial as it is, without colours and blanks, or a certificate's. */
static int serial_of(char room[64], const char *given) {
  sp_certificate_t *certificate;
  sp_error_t why;
  size_t n = strlen(given);
  if (n && n <= 40 && strspn(given, "0123456789abcdefABCDEF") == n && access(given, F_OK) != 0) {
    for (size_t i = 0; i <= n; i++)
      room[i] = (char)toupper((unsigned char)given[i]);
    return CLI_OK;
  }
  if (sp_certificate_read_file(&certificate, given, &why) < 0)
    return cli_fail_with(&why);
  snprintf(room, 64, "%s", sp_certificate_serial(certificate));
  sp_certificate_release(certificate);
  return CLI_OK;
}

static int revoke_one(const char *folder, const char *given, const char *reason_name) {
  cli_ledger_t *ledger;
  char serial[64];
  int reason, status = reason_of(&reason, reason_name);
  if (!status)
    status = serial_of(serial, given);
  if (!status)
    status = cli_ledger_open(&ledger, folder, false);
  if (status)
    return status;
  status = cli_ledger_begin(ledger);
  if (!status)
    status = cli_ledger_revoke(ledger, serial, reason);
  if (!status)
    status = cli_ledger_commit(ledger);
  cli_ledger_close(ledger);
  if (!status)
    printf("%s is revoked. Make and publish the list now: securepair authority crl --out crl.pem\n",
           serial);
  return status;
}

int cli_authority_revoke(int argc, const char **argv) {
  const char *folder = CLI_FOLDER, *reason = NULL;
  cli_arguments_t arguments;
  struct poptOption table[] = {
      CLI_FOLDER_OPTION(folder),
      {"reason", 0, POPT_ARG_STRING, &reason, 0,
       "key-compromise, affiliation-changed, superseded, cessation, privilege-withdrawn", "REASON"},
      POPT_TABLEEND};
  int parsed = cli_parse(&arguments, &help, table, 1, 1, argc, argv);
  if (parsed)
    return parsed - 1;
  int status = revoke_one(folder, arguments.all[0], reason);
  cli_parsed(&arguments);
  return status;
}
