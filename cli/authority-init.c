/* securepair authority init */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "authority.h"

static const cli_help_t help = {
    "securepair authority init [OPTION...]",
    "Makes an authority: a folder with its root certificate (root.pem, for those who are to trust "
    "it),\n"
    "its private key (root-key.pem, for nobody else) and the database of what it signs.",
    "  securepair authority init --subject \"CN=Example root,O=Example\"\n"
    "  securepair authority init --permit example.org --permit 10.0.0.0/8 --passphrase-file "
    "secret\n"};

typedef struct options {
  const char *folder, *subject, *passphrase_file;
  const char **permitted, **excluded;
  int days, subordinates;
} options_t;

/* -- the root ---------------------------------------------------------------------------------- */

static int save_key(const sp_key_t *key, const options_t *options) {
  char room[CLI_PASSPHRASE_SIZE] = "", path[PATH_MAX], *pem;
  sp_error_t why;
  if (options->passphrase_file && cli_passphrase_file(room, options->passphrase_file))
    return CLI_FAILED;
  int status = sp_key_pem(key, options->passphrase_file ? room : NULL, &pem, &why);
  explicit_bzero(room, sizeof room);
  if (status < 0)
    return cli_fail_with(&why);
  status = cli_authority_path(path, sizeof path, options->folder, "root-key.pem")
               ? cli_write(path, pem, CLI_SECRET, false)
               : CLI_FAILED;
  sp_pem_release(pem);
  return status;
}

static int make_root(const sp_key_t *key, const options_t *options) {
  sp_certificate_t *root;
  sp_error_t why;
  char path[PATH_MAX];
  const sp_certificate_spec_t *spec =
      SP_CERTIFICATE(.subject = options->subject ? options->subject : "CN=authority of my own",
                     .purpose = SP_FOR_AUTHORITY, .permitted = options->permitted,
                     .excluded = options->excluded, .path_length_plus_1 = options->subordinates + 1,
                     .valid_to =
                         options->days ? (int64_t)time(NULL) + options->days * (int64_t)86400 : 0);
  if (sp_certificate_make(&root, key, &why, spec) < 0)
    return cli_fail_with(&why);
  int status = cli_authority_path(path, sizeof path, options->folder, "root.pem")
                   ? cli_write(path, sp_certificate_pem(root), CLI_PUBLIC, false)
                   : CLI_FAILED;
  if (!status)
    printf("%s is the root: give it to those who are to trust what you sign.\n"
           "%s\n",
           path, sp_certificate_fingerprint(root, SP_SHA256));
  sp_certificate_release(root);
  return status;
}

static int make_all(const options_t *options) {
  sp_key_t *key;
  sp_error_t why;
  if (sp_key_make(&key, SP_KEY_P256, 0, &why) < 0)
    return cli_fail_with(&why);
  int status = save_key(key, options);
  if (!status)
    status = make_root(key, options);
  sp_key_release(key);
  return status;
}

/* -- the folder -------------------------------------------------------------------------------- */

static int check(const options_t *options) {
  if (options->days < 0 || options->days > 36500)
    return cli_fail("--days %d: 1 to 36500 are possible", options->days);
  if (options->subordinates < 0 || options->subordinates > 10)
    return cli_fail("--subordinates %d: 0 to 10 are possible", options->subordinates);
  return CLI_OK;
}

/* The database comes last: without it there is no authority yet, and init can be tried again after
 * what is in the way was removed. */
static int init(const options_t *options) {
  cli_ledger_t *ledger;
  int status = check(options);
  if (status)
    return status;
  if (mkdir(options->folder, 0700) != 0 && errno != EEXIST)
    return cli_fail("cannot make the folder %s: %s", options->folder, strerror(errno));
  status = make_all(options);
  if (!status)
    status = cli_ledger_open(&ledger, options->folder, true);
  if (!status)
    cli_ledger_close(ledger);
  return status;
}

int cli_authority_init(int argc, const char **argv) {
  options_t o = {.folder = CLI_FOLDER};
  cli_arguments_t arguments;
  struct poptOption table[] = {
      CLI_FOLDER_OPTION(o.folder),
      {"subject", 's', POPT_ARG_STRING, &o.subject, 0, "who it is, as \"CN=Example root\"",
       "SUBJECT"},
      {"permit", 0, POPT_ARG_ARGV, &o.permitted, 0,
       "sign only for names under this one, or addresses in this network; as often as needed",
       "NAME"},
      {"exclude", 0, POPT_ARG_ARGV, &o.excluded, 0, "never for names under this one", "NAME"},
      {"subordinates", 0, POPT_ARG_INT, &o.subordinates, 0,
       "how many authorities may stand below it (default 0)", "N"},
      {"days", 'd', POPT_ARG_INT, &o.days, 0, "how long it is valid (default ten years)", "N"},
      {"passphrase-file", 0, POPT_ARG_STRING, &o.passphrase_file, 0,
       "encrypt the key with the first line of FILE", "FILE"},
      POPT_TABLEEND};
  int parsed = cli_parse(&arguments, &help, table, 0, 0, argc, argv);
  if (parsed)
    return parsed - 1;
  int status = init(&o);
  cli_parsed(&arguments);
  return status;
}
