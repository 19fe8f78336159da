/* securepair authority: its words, and reading one. */
#include "authority.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const cli_command_t cli_authority_words[] = {
    {"init", "make a root, its key and the database", cli_authority_init, NULL},
    {"sign", "sign a request", cli_authority_sign, NULL},
    {"revoke", "declare a certificate invalid", cli_authority_revoke, NULL},
    {"crl", "make the list of revoked certificates", cli_authority_crl, NULL},
    {"list", "show what was signed", cli_authority_list, NULL},
    {NULL, NULL, NULL, NULL},
};

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
  for (const cli_command_t *word = cli_authority_words; word->name; word++)
    fprintf(to, "  %-10s%s\n", word->name, word->summary);
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
  const cli_command_t *word = cli_command_find(cli_authority_words, argv[1]);
  if (word)
    return word->run(argc - 1, argv + 1);
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

static int read_certificate(sp_certificate_t **certificate, const char *folder, const char *name) {
  char path[PATH_MAX];
  sp_error_t why;
  if (!cli_authority_path(path, sizeof path, folder, name))
    return CLI_FAILED;
  return sp_certificate_read_file(certificate, path, &why) < 0 ? cli_fail_with(&why) : CLI_OK;
}

static int read_key(cli_authority_t *authority, const char *name) {
  char path[PATH_MAX];
  if (!cli_authority_path(path, sizeof path, authority->folder, name))
    return CLI_FAILED;
  return cli_read_key(&authority->key, path, authority->passphrase_file);
}

static int read_all(cli_authority_t *authority) {
  char path[PATH_MAX];
  if (!cli_authority_path(path, sizeof path, authority->folder, "intermediate.pem"))
    return CLI_FAILED;
  authority->is_intermediate = access(path, F_OK) == 0;
  int status = read_certificate(&authority->root, authority->folder, "root.pem");
  if (!status)
    status = read_certificate(&authority->certificate, authority->folder,
                              authority->is_intermediate ? "intermediate.pem" : "root.pem");
  return status ? status
                : read_key(authority,
                           authority->is_intermediate ? "intermediate-key.pem" : "root-key.pem");
}

int cli_authority_open(cli_authority_t *authority, const char *folder,
                       const char *passphrase_file) {
  *authority =
      (cli_authority_t){.folder = folder ? folder : CLI_FOLDER, .passphrase_file = passphrase_file};
  int status = cli_ledger_open(&authority->ledger, authority->folder, false);
  if (!status)
    status = read_all(authority);
  if (status)
    cli_authority_close(authority);
  return status;
}

void cli_authority_close(cli_authority_t *authority) {
  cli_ledger_close(authority->ledger);
  sp_certificate_release(authority->root);
  sp_certificate_release(authority->certificate);
  sp_key_release(authority->key);
  *authority = (cli_authority_t){.folder = NULL};
}

/* -- what it signed ---------------------------------------------------------------------------- */

static char *join_names(const sp_certificate_t *certificate) {
  size_t count, n = 1;
  const sp_name_t *names = sp_certificate_names(certificate, &count);
  for (size_t i = 0; i < count; i++)
    n += strlen(names[i].value) + 2;
  char *text = calloc(1, n), *to = text;
  for (size_t i = 0; text && i < count; i++) {
    to = stpcpy(to, names[i].value);
    to = i + 1 < count ? stpcpy(to, ", ") : to;
  }
  return text;
}

int cli_authority_record(cli_authority_t *authority, const sp_certificate_t *certificate) {
  char *names = join_names(certificate);
  if (!names)
    return cli_fail("out of memory");
  cli_entry_t entry = {.serial = sp_certificate_serial(certificate),
                       .subject = sp_certificate_subject(certificate),
                       .names = names,
                       .pem = sp_certificate_pem(certificate),
                       .valid_from = sp_certificate_valid_from(certificate),
                       .valid_to = sp_certificate_valid_to(certificate),
                       .signed_at = (int64_t)time(NULL)};
  int status = cli_ledger_begin(authority->ledger);
  if (!status)
    status = cli_ledger_add(authority->ledger, &entry);
  if (!status)
    status = cli_ledger_commit(authority->ledger);
  free(names);
  return status;
}

static size_t length_of(const sp_certificate_t *certificate) {
  size_t n = 0;
  for (; certificate; certificate = sp_certificate_next(certificate))
    n += strlen(sp_certificate_pem(certificate));
  return n;
}

static char *append(char *to, const sp_certificate_t *certificate) {
  for (; certificate; certificate = sp_certificate_next(certificate))
    to = stpcpy(to, sp_certificate_pem(certificate));
  return to;
}

char *cli_authority_join(const sp_certificate_t *certificate, const sp_certificate_t *more) {
  char *text = malloc(length_of(certificate) + length_of(more) + 1);
  if (!text) {
    (void)cli_fail("out of memory");
    return NULL;
  }
  *append(append(text, certificate), more) = '\0';
  return text;
}
