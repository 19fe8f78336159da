/* securepair authority init */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* One that is being made. */
typedef struct making {
  const cli_authority_spec_t *spec;
  const char *made[4]; /* names of its files */
  size_t count;
} making_t;

/* -- its files --------------------------------------------------------------------------------- */

static int save(making_t *making, const char *name, const char *text, mode_t mode) {
  char path[PATH_MAX];
  if (!cli_authority_path(path, sizeof path, making->spec->folder, name) ||
      cli_write(path, text, mode, false))
    return CLI_FAILED;
  making->made[making->count++] = name;
  return CLI_OK;
}

static int save_key(making_t *making, const sp_key_t *key) {
  const cli_authority_spec_t *spec = making->spec;
  char *pem;
  sp_error_t why;
  if (sp_key_pem(key, spec->passphrase, &pem, &why) < 0)
    return cli_fail_with(&why);
  int status = save(making, spec->below ? "intermediate-key.pem" : "root-key.pem", pem, CLI_SECRET);
  sp_pem_release(pem);
  return status;
}

/* What was made and leads to nothing is taken away again. */
static void undo(const making_t *making) {
  char path[PATH_MAX];
  for (size_t i = 0; i < making->count; i++)
    if (cli_authority_path(path, sizeof path, making->spec->folder, making->made[i]))
      (void)unlink(path);
  if (cli_authority_path(path, sizeof path, making->spec->folder, "authority.db-journal"))
    (void)unlink(path);              /* of a database that could not be set up */
  (void)rmdir(making->spec->folder); /* unless it is not empty */
}

static sp_certificate_spec_t spec_of(const cli_authority_spec_t *options) {
  const char *subject =
      options->below ? "CN=intermediate authority of my own" : "CN=authority of my own";
  return *SP_CERTIFICATE(.subject = options->subject ? options->subject : subject,
                         .purpose = SP_FOR_AUTHORITY, .permitted = options->permitted,
                         .excluded = options->excluded,
                         .path_length_plus_1 = options->subordinates + 1,
                         .valid_to = cli_end_of(options->days));
}

/* -- a root ------------------------------------------------------------------------------------ */

static int make_root(making_t *making, const sp_key_t *key) {
  sp_certificate_t *root;
  sp_certificate_spec_t spec = spec_of(making->spec);
  sp_error_t why;
  if (sp_certificate_make(&root, key, &why, &spec) < 0)
    return cli_fail_with(&why);
  int status = save(making, "root.pem", sp_certificate_pem(root), CLI_PUBLIC);
  sp_certificate_release(root);
  return status;
}

/* -- an intermediate one ----------------------------------------------------------------------- */

static int save_intermediate(making_t *making, const cli_authority_t *parent,
                             const sp_certificate_t *certificate) {
  const sp_certificate_t *more = parent->is_intermediate ? parent->certificate : NULL;
  char *text = cli_authority_join(certificate, more);
  int status = text ? save(making, "intermediate.pem", text, CLI_PUBLIC) : CLI_FAILED;
  free(text);
  return status ? status : save(making, "root.pem", sp_certificate_pem(parent->root), CLI_PUBLIC);
}

static int sign(making_t *making, cli_authority_t *parent, const sp_request_t *request) {
  sp_certificate_t *certificate;
  sp_certificate_spec_t spec = spec_of(making->spec);
  sp_error_t why;
  if (sp_certificate_sign(&certificate, request, parent->certificate, parent->key, &why, &spec) < 0)
    return cli_fail_with(&why);
  int status = cli_authority_record(parent, certificate);
  if (!status)
    status = save_intermediate(making, parent, certificate);
  sp_certificate_release(certificate);
  return status;
}

static int make_intermediate(making_t *making, const sp_key_t *key) {
  cli_authority_t parent;
  sp_request_t *request;
  sp_certificate_spec_t spec = spec_of(making->spec);
  sp_error_t why;
  if (sp_request_make(&request, key, &why, &spec) < 0)
    return cli_fail_with(&why);
  int status =
      cli_authority_open(&parent, making->spec->below, making->spec->parent_passphrase_file);
  if (!status) {
    status = sign(making, &parent, request);
    cli_authority_close(&parent);
  }
  sp_request_release(request);
  return status;
}

/* The database comes last: without it there is no authority yet. */
static int make_all(making_t *making) {
  cli_ledger_t *ledger;
  sp_key_t *key;
  sp_error_t why;
  if (sp_key_make(&key, SP_KEY_P256, 0, &why) < 0)
    return cli_fail_with(&why);
  int status = save_key(making, key);
  if (!status)
    status = making->spec->below ? make_intermediate(making, key) : make_root(making, key);
  sp_key_release(key);
  if (status)
    return status;
  making->made[making->count++] = "authority.db";
  status = cli_ledger_open(&ledger, making->spec->folder, true);
  if (!status)
    cli_ledger_close(ledger);
  return status;
}

/* -- the folder -------------------------------------------------------------------------------- */

static int check(const cli_authority_spec_t *spec) {
  if (spec->days != CLI_NOT_SAID && cli_check_number("--days", spec->days, 1, CLI_DAYS_MOST))
    return CLI_FAILED;
  return cli_check_number("--subordinates", spec->subordinates, 0, 10);
}

/* The folder, for us alone until it is closed, or we are gone. Below 0: told. */
static int lock_folder(const char *folder) {
  if (mkdir(folder, 0700) != 0 && errno != EEXIST)
    return cli_fail("cannot make the folder %s: %s", folder, strerror(errno)), -1;
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || flock(fd, LOCK_EX) < 0)
    (void)cli_fail("cannot open the folder %s: %s", folder, strerror(errno));
  return fd;
}

static bool has_file(const cli_authority_spec_t *spec, const char *name, bool remove) {
  char path[PATH_MAX];
  if (!cli_authority_path(path, sizeof path, spec->folder, name))
    return true;
  return access(path, F_OK) == 0 && !(remove && unlink(path) == 0);
}

/* Files without a database are what a call left that was killed, or somebody else's. */
static int check_rest(const cli_authority_spec_t *spec) {
  static const char *const names[] = {"root-key.pem", "root.pem", "intermediate-key.pem",
                                      "intermediate.pem"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (has_file(spec, names[i], spec->is_own))
      return cli_fail("%s has a file %s but no authority.db: an init that was interrupted, or "
                      "something else; move it away and try again",
                      spec->folder, names[i]);
  return CLI_OK;
}

int cli_authority_make(const cli_authority_spec_t *spec) {
  making_t making = {.spec = spec, .count = 0};
  int status = CLI_OK, fd = lock_folder(spec->folder);
  if (fd < 0)
    return CLI_FAILED;
  bool there = has_file(spec, "authority.db", false);
  if (there && !spec->is_own)
    status = cli_fail("%s: there is an authority in it already", spec->folder);
  if (!there)
    status = check_rest(spec);
  if (!there && !status && (status = make_all(&making)))
    undo(&making);
  close(fd);
  return status;
}

static int tell(const cli_authority_spec_t *spec) {
  char path[PATH_MAX];
  sp_certificate_t *root;
  sp_error_t why;
  if (!cli_authority_path(path, sizeof path, spec->folder, "root.pem"))
    return CLI_FAILED;
  if (sp_certificate_read_file(&root, path, &why) < 0)
    return cli_fail_with(&why);
  if (spec->below)
    printf("%s is the root, of which this authority is an intermediate one.\n", path);
  else
    printf("%s is the root: give it to those who are to trust what you sign.\n", path);
  printf("%s\n", sp_certificate_fingerprint(root, SP_SHA256));
  sp_certificate_release(root);
  return CLI_OK;
}

static int init(cli_authority_spec_t *spec, const char *passphrase_file, bool ask) {
  char room[CLI_PASSPHRASE_SIZE];
  int status = check(spec);
  if (!status)
    status = cli_passphrase_new(room, &spec->passphrase, passphrase_file, ask);
  if (!status)
    status = cli_authority_make(spec);
  explicit_bzero(room, sizeof room);
  return status ? status : tell(spec);
}

int cli_authority_init(int argc, const char **argv) {
  cli_authority_spec_t o = {.folder = CLI_FOLDER, .days = CLI_NOT_SAID};
  const char *passphrase_file = NULL;
  int ask = 0;
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
      {"days", 'd', POPT_ARG_INT, &o.days, CLI_MAYBE_SAID,
       "how long it is valid (default ten years)", "N"},
      {"passphrase-file", 0, POPT_ARG_STRING, &passphrase_file, 0,
       "encrypt the key with the first line of FILE", "FILE"},
      {"ask-passphrase", 0, POPT_ARG_NONE, &ask, 0, "encrypt it with what you type", NULL},
      {"below", 0, POPT_ARG_STRING, &o.below, 0, "an intermediate one, signed by that in FOLDER",
       "FOLDER"},
      {"parent-passphrase-file", 0, POPT_ARG_STRING, &o.parent_passphrase_file, 0,
       "the passphrase of that one is the first line of FILE", "FILE"},
      POPT_TABLEEND};
  int parsed = cli_parse(&arguments, &help, table, 0, 0, argc, argv);
  if (parsed)
    return parsed - 1;
  int status = init(&o, passphrase_file, ask != 0);
  cli_parsed(&arguments);
  return status;
}
