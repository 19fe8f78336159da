/* securepair authority: its words, and reading one. */
#include "authority.h"

#include <limits.h>
#include <string.h>

static const struct {
  const char *name, *summary;
  cli_run_t run;
} words[] = {
    {"init", "make a root, its key and the database", cli_authority_init},
    {"sign", "sign a request", cli_authority_sign},
    {"revoke", "declare a certificate invalid", cli_authority_revoke},
    {"crl", "make the list of revoked certificates", cli_authority_crl},
    {"list", "show what was signed", cli_authority_list},
};
enum { COUNT = sizeof words / sizeof *words };

static void help(FILE *to) {
  fputs(
      "An authority of your own: clients that trust its root trust what it signs.\n\n"
      "Examples\n"
      "  securepair authority init --subject \"CN=Example root\"\n"
      "  securepair key --out server-key.pem\n"
      "  securepair request --key server-key.pem --name a.example --out csr.pem\n"
      "  securepair authority sign csr.pem --out server-cert.pem\n"
      "  securepair authority revoke server-cert.pem && securepair authority crl --out crl.pem\n\n"
      "Usage: securepair authority WORD [OPTION...]\n\n",
      to);
  for (size_t i = 0; i < COUNT; i++)
    fprintf(to, "  %-10s%s\n", words[i].name, words[i].summary);
  fputs("\n\"securepair authority WORD --help\" explains one of them.\n", to);
}

int cli_authority(int argc, const char **argv) {
  if (argc < 2) {
    help(stderr);
    return CLI_USAGE;
  }
  if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
    help(stdout);
    return CLI_OK;
  }
  for (size_t i = 0; i < COUNT; i++)
    if (!strcmp(words[i].name, argv[1]))
      return words[i].run(argc - 1, argv + 1);
  (void)cli_fail("authority knows init, sign, revoke, crl and list, not \"%s\"", argv[1]);
  return CLI_USAGE;
}

/* -- reading one ------------------------------------------------------------------------------- */

bool cli_authority_path(char *room, size_t size, const char *folder, const char *name) {
  int n = snprintf(room, size, "%s/%s", folder, name);
  if (n > 0 && (size_t)n < size)
    return true;
  (void)cli_fail("--folder %.60s...: is too long for a path", folder);
  return false;
}

static int read_root(cli_authority_t *authority) {
  char path[PATH_MAX];
  sp_error_t why;
  if (!cli_authority_path(path, sizeof path, authority->folder, "root.pem"))
    return CLI_FAILED;
  if (sp_certificate_read_file(&authority->root, path, &why) < 0)
    return cli_fail_with(&why);
  if (!cli_authority_path(path, sizeof path, authority->folder, "root-key.pem"))
    return CLI_FAILED;
  return cli_read_key(&authority->key, path, authority->passphrase_file);
}

int cli_authority_open(cli_authority_t *authority, const char *folder,
                       const char *passphrase_file) {
  *authority =
      (cli_authority_t){.folder = folder ? folder : CLI_FOLDER, .passphrase_file = passphrase_file};
  int status = cli_ledger_open(&authority->ledger, authority->folder, false);
  if (!status)
    status = read_root(authority);
  if (status)
    cli_authority_close(authority);
  return status;
}

void cli_authority_close(cli_authority_t *authority) {
  cli_ledger_close(authority->ledger);
  sp_certificate_release(authority->root);
  sp_key_release(authority->key);
  *authority = (cli_authority_t){.folder = NULL};
}
