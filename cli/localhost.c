/* securepair localhost */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "authority.h"
#include "trust.h"

static const cli_help_t help = {
    "securepair localhost [NAME...] [OPTION...]",
    "Makes a private key and a certificate for servers on this machine: for localhost, its\n"
    "addresses, this machine's name, and the NAMEs. It is signed by an authority of your "
    "account's\n"
    "own, which is made the first time; clients have to be told once to trust it, and it is said\n"
    "how.",
    "  securepair localhost\n"
    "  securepair localhost app.test '*.app.test' 192.168.1.7\n"
    "  curl --cacert \"$(securepair localhost --root)\" https://localhost:8000/\n"
    "  securepair localhost --trust      # into this machine's own store of authorities\n"};

/* What browsers put up with (398 days), less one for clocks that differ. */
#define DAYS_USUAL 397
#define NAMES_MOST 100

typedef struct options {
  const char *key, *cert;
  int days, force, root, trust, untrust;
} options_t;

/* -- the folder -------------------------------------------------------------------------------- */

static int make_folder(char *path) {
  for (char *at = path + 1; *at; at++) {
    if (*at != '/')
      continue;
    *at = '\0';
    int made = mkdir(path, 0700);
    *at = '/';
    if (made != 0 && errno != EEXIST)
      break; /* the next one says why */
  }
  return mkdir(path, 0700) == 0 || errno == EEXIST
             ? CLI_OK
             : cli_fail("cannot make the folder %s: %s", path, strerror(errno));
}

/* https://specifications.freedesktop.org/basedir-spec: a relative path is as none. */
static int find_folder(char room[PATH_MAX]) {
  const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
  const struct passwd *user = home && *home ? NULL : getpwuid(getuid());
  if (user)
    home = user->pw_dir;
  int n = -1;
  if (data && *data == '/')
    n = snprintf(room, PATH_MAX, "%s/securepair", data);
  else if (home && *home == '/')
    n = snprintf(room, PATH_MAX, "%s/.local/share/securepair", home);
  if (n < 0)
    return cli_fail("there is no home folder: set HOME or XDG_DATA_HOME");
  return n < PATH_MAX - 64 ? make_folder(room) : cli_fail("HOME is too long for a path");
}

/* Opens the account's authority in the folder; made if there is none. */
static int open_authority(cli_authority_t *authority, char folder[PATH_MAX]) {
  char host[HOST_NAME_MAX + 1] = "", subject[HOST_NAME_MAX + 80];
  int status = find_folder(folder);
  if (status)
    return status;
  (void)gethostname(host, sizeof host - 1);
  const struct passwd *user = getpwuid(getuid());
  snprintf(subject, sizeof subject, "CN=securepair: %.20s at %.20s,O=for this machine's tests only",
           user ? user->pw_name : "somebody", *host ? host : "localhost");
  memcpy(folder + strlen(folder), "/authority", sizeof "/authority"); /* find_folder left room */
  const cli_authority_spec_t spec = {
      .folder = folder, .subject = subject, .days = CLI_NOT_SAID, .is_own = true};
  status = cli_authority_make(&spec);
  return status ? status : cli_authority_open(authority, folder, NULL);
}

/* -- the certificate --------------------------------------------------------------------------- */

typedef struct names {
  const char *all[NAMES_MOST + 1];
  size_t count;
} names_t;

static void add_name(names_t *names, const char *name) {
  for (size_t i = 0; i < names->count; i++)
    if (!strcasecmp(names->all[i], name))
      return;
  names->all[names->count++] = name;
  names->all[names->count] = NULL;
}

/* This machine's name, if it is one that can stand in a certificate. */
static bool is_host_name(const char *name) {
  size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");
  return n && !name[n] && isalnum((unsigned char)*name) && isalnum((unsigned char)name[n - 1]) &&
         !strstr(name, "..");
}

static int collect_names(names_t *names, char host[HOST_NAME_MAX + 1], const char **more,
                         int count) {
  static const char *const own[] = {"localhost", "127.0.0.1", "::1"};
  if (count > NAMES_MOST - 4)
    return cli_fail("%d names: %d are possible", count, NAMES_MOST - 4);
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    add_name(names, own[i]);
  if (gethostname(host, HOST_NAME_MAX) == 0 && is_host_name(host))
    add_name(names, host);
  for (int i = 0; i < count; i++)
    add_name(names, more[i]);
  return CLI_OK;
}

static int sign(sp_certificate_t **certificate, cli_authority_t *authority, const sp_key_t *key,
                const names_t *names, int days) {
  sp_request_t *request;
  sp_error_t why;
  const sp_certificate_spec_t *spec =
      SP_CERTIFICATE(.names = names->all, .valid_to = cli_end_of(days));
  if (sp_request_make(&request, key, &why, spec) < 0)
    return cli_fail_with(&why);
  int made =
      sp_certificate_sign(certificate, request, authority->certificate, authority->key, &why, spec);
  sp_request_release(request);
  return made < 0 ? cli_fail_with(&why) : cli_authority_record(authority, *certificate);
}

static int save(const sp_key_t *key, const sp_certificate_t *certificate,
                const options_t *options) {
  char *pem;
  sp_error_t why;
  if (sp_key_pem(key, NULL, &pem, &why) < 0)
    return cli_fail_with(&why);
  int status = cli_write(options->key, pem, CLI_SECRET, options->force);
  sp_pem_release(pem);
  return status ? status
                : cli_write(options->cert, sp_certificate_pem(certificate), CLI_PUBLIC,
                            options->force);
}

static void tell(const sp_certificate_t *certificate, const names_t *names,
                 const options_t *options) {
  char date[40], span[40];
  int64_t end = sp_certificate_valid_to(certificate);
  printf("%s is the private key, %s the certificate,\ngood for", options->key, options->cert);
  for (size_t i = 0; i < names->count; i++)
    printf("%s %s", i ? "," : "", names->all[i]);
  printf(" until %s (%s).\n", cli_date(date, end), cli_span(span, end));
}

static int make(cli_authority_t *authority, const names_t *names, const options_t *options) {
  sp_certificate_t *certificate = NULL;
  sp_key_t *key;
  sp_error_t why;
  if (sp_key_make(&key, SP_KEY_P256, 0, &why) < 0)
    return cli_fail_with(&why);
  int status = sign(&certificate, authority, key, names, options->days);
  if (!status)
    status = save(key, certificate, options);
  if (!status)
    tell(certificate, names, options);
  sp_certificate_release(certificate);
  sp_key_release(key);
  return status;
}

/* -- the command ------------------------------------------------------------------------------- */

static int check(const options_t *options) {
  if (options->root + options->trust + options->untrust > 1)
    return cli_fail("--root, --trust and --untrust: which is it?");
  if (cli_check_number("--days", options->days, 1, 3650))
    return CLI_FAILED;
  if (!strcmp(options->key, options->cert))
    return cli_fail("--key and --cert name the same file");
  int status = cli_can_write(options->key, options->force);
  return status ? status : cli_can_write(options->cert, options->force);
}

static int go(cli_authority_t *authority, const char *folder, const names_t *names,
              const options_t *options) {
  char root[PATH_MAX];
  if (!cli_authority_path(root, sizeof root, folder, "root.pem"))
    return CLI_FAILED;
  if (options->root)
    return printf("%s\n", root) < 0;
  if (options->trust || options->untrust)
    return cli_trust_system(authority->root, root, options->trust != 0);
  int status = make(authority, names, options);
  if (!status)
    cli_trust_tell(authority->root, root);
  return status;
}

int cli_localhost(int argc, const char **argv) {
  options_t o = {.key = "localhost-key.pem", .cert = "localhost-cert.pem", .days = DAYS_USUAL};
  char folder[PATH_MAX], host[HOST_NAME_MAX + 1] = "";
  names_t names = {.count = 0};
  cli_authority_t authority;
  cli_arguments_t arguments;
  struct poptOption table[] = {
      {"key", 0, POPT_ARG_STRING, &o.key, 0, "where to write the key", "FILE"},
      {"cert", 0, POPT_ARG_STRING, &o.cert, 0, "where to write the certificate", "FILE"},
      {"days", 'd', POPT_ARG_INT, &o.days, 0, "how long it is valid (default 397)", "N"},
      {"force", 'f', POPT_ARG_NONE, &o.force, 0, "write over files that are there", NULL},
      {"root", 0, POPT_ARG_NONE, &o.root, 0, "only say where the authority's root is", NULL},
      {"trust", 0, POPT_ARG_NONE, &o.trust, 0, "put the root into this machine's store; asks sudo",
       NULL},
      {"untrust", 0, POPT_ARG_NONE, &o.untrust, 0, "take it out again", NULL},
      POPT_TABLEEND};
  int parsed = cli_parse(&arguments, &help, table, 0, -1, argc, argv);
  if (parsed)
    return parsed - 1;
  bool makes = !o.root && !o.trust && !o.untrust;
  int status = makes || o.root + o.trust + o.untrust > 1 ? check(&o) : CLI_OK;
  if (!status && !makes && arguments.count)
    status = cli_fail("\"%s\": --root, --trust and --untrust take no names: they make no "
                      "certificate",
                      arguments.all[0]);
  if (!status)
    status = collect_names(&names, host, arguments.all, arguments.count);
  if (!status)
    status = open_authority(&authority, folder);
  if (!status) {
    status = go(&authority, folder, &names, &o);
    cli_authority_close(&authority);
  }
  cli_parsed(&arguments);
  return status;
}
