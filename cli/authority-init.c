/* securepair authority init */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "authority.h"

static const cli_help_t help = {
    "securepair authority init [OPTION...]",
    "Makes an authority: a folder with its root certificate (root.pem, for those who are to trust\n"
    "it), its private key (root-key.pem, for nobody else) and the database of what it signs.\n"
    "With --below it is an intermediate one, which another authority signs: then the root's key "
    "can\n"
    "be kept away from the machine that signs every day.",
    "  securepair authority init --subject \"CN=Example root,O=Example\"\n"
    "  securepair authority init --permit example.org --permit 10.0.0.0/8\n"
    "  securepair authority init --folder root --subordinates 1 --passphrase-file secret\n"
    "  securepair authority init --below root --parent-passphrase-file secret\n"};

typedef struct options {
  const char *folder, *subject, *passphrase_file, *below, *parent_passphrase_file;
  const char **permitted, **excluded;
  int days, subordinates;
} options_t;

/* -- its files --------------------------------------------------------------------------------- */

static int save(const options_t *options, const char *name, const char *text, mode_t mode) {
  char path[PATH_MAX];
  return cli_authority_path(path, sizeof path, options->folder, name)
             ? cli_write(path, text, mode, false)
             : CLI_FAILED;
}

static int save_key(const sp_key_t *key, const options_t *options) {
  char room[CLI_PASSPHRASE_SIZE] = "", *pem;
  sp_error_t why;
  if (options->passphrase_file && cli_passphrase_file(room, options->passphrase_file))
    return CLI_FAILED;
  int status = sp_key_pem(key, options->passphrase_file ? room : NULL, &pem, &why);
  explicit_bzero(room, sizeof room);
  if (status < 0)
    return cli_fail_with(&why);
  status = save(options, options->below ? "intermediate-key.pem" : "root-key.pem", pem, CLI_SECRET);
  sp_pem_release(pem);
  return status;
}

static sp_certificate_spec_t spec_of(const options_t *options) {
  int64_t end = options->days ? (int64_t)time(NULL) + options->days * (int64_t)86400 : 0;
  const char *subject =
      options->below ? "CN=intermediate authority of my own" : "CN=authority of my own";
  return *SP_CERTIFICATE(.subject = options->subject ? options->subject : subject,
                         .purpose = SP_FOR_AUTHORITY, .permitted = options->permitted,
                         .excluded = options->excluded,
                         .path_length_plus_1 = options->subordinates + 1, .valid_to = end);
}

/* -- a root ------------------------------------------------------------------------------------ */

static int make_root(const sp_key_t *key, const options_t *options) {
  sp_certificate_t *root;
  sp_certificate_spec_t spec = spec_of(options);
  sp_error_t why;
  if (sp_certificate_make(&root, key, &why, &spec) < 0)
    return cli_fail_with(&why);
  int status = save(options, "root.pem", sp_certificate_pem(root), CLI_PUBLIC);
  if (!status)
    printf("%s/root.pem is the root: give it to those who are to trust what you sign.\n%s\n",
           options->folder, sp_certificate_fingerprint(root, SP_SHA256));
  sp_certificate_release(root);
  return status;
}

/* -- an intermediate one ----------------------------------------------------------------------- */

static int save_intermediate(const cli_authority_t *parent, const sp_certificate_t *certificate,
                             const options_t *options) {
  const sp_certificate_t *more = parent->is_intermediate ? parent->certificate : NULL;
  char *text = cli_authority_join(certificate, more);
  int status = text ? save(options, "intermediate.pem", text, CLI_PUBLIC) : CLI_FAILED;
  free(text);
  return status ? status : save(options, "root.pem", sp_certificate_pem(parent->root), CLI_PUBLIC);
}

static int sign(cli_authority_t *parent, const sp_request_t *request, const options_t *options) {
  sp_certificate_t *certificate;
  sp_certificate_spec_t spec = spec_of(options);
  sp_error_t why;
  if (sp_certificate_sign(&certificate, request, parent->certificate, parent->key, &why, &spec) < 0)
    return cli_fail_with(&why);
  int status = cli_authority_record(parent, certificate);
  if (!status)
    status = save_intermediate(parent, certificate, options);
  if (!status)
    printf("%s/root.pem is the root, of which this authority is an intermediate one.\n",
           options->folder);
  sp_certificate_release(certificate);
  return status;
}

static int make_intermediate(const sp_key_t *key, const options_t *options) {
  cli_authority_t parent;
  sp_request_t *request;
  sp_certificate_spec_t spec = spec_of(options);
  sp_error_t why;
  if (sp_request_make(&request, key, &why, &spec) < 0)
    return cli_fail_with(&why);
  int status = cli_authority_open(&parent, options->below, options->parent_passphrase_file);
  if (!status) {
    status = sign(&parent, request, options);
    cli_authority_close(&parent);
  }
  sp_request_release(request);
  return status;
}

static int make_all(const options_t *options) {
  sp_key_t *key;
  sp_error_t why;
  if (sp_key_make(&key, SP_KEY_P256, 0, &why) < 0)
    return cli_fail_with(&why);
  int status = save_key(key, options);
  if (!status)
    status = options->below ? make_intermediate(key, options) : make_root(key, options);
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
      {"below", 0, POPT_ARG_STRING, &o.below, 0, "an intermediate one, signed by that in FOLDER",
       "FOLDER"},
      {"parent-passphrase-file", 0, POPT_ARG_STRING, &o.parent_passphrase_file, 0,
       "the passphrase of that one is the first line of FILE", "FILE"},
      POPT_TABLEEND};
  int parsed = cli_parse(&arguments, &help, table, 0, 0, argc, argv);
  if (parsed)
    return parsed - 1;
  int status = init(&o);
  cli_parsed(&arguments);
  return status;
}
