/* securepair certificate */
#include "cli.h"

static const cli_help_t help = {
    "securepair certificate --key KEY [OPTION...]",
    "Makes a certificate that the key signs for itself: enough where both sides are yours and the\n"
    "client is told to trust it. With --request the names and the subject are taken from a "
    "request\n"
    "for the same key.",
    "  securepair certificate --key server-key.pem --name localhost --name 127.0.0.1 --out "
    "cert.pem\n"
    "  securepair certificate --key server-key.pem --request csr.pem --days 30 --out cert.pem\n"};

typedef struct options {
  const char *key, *passphrase_file, *request, *out;
  cli_spec_t spec;
  int force;
} options_t;

/* A request's own names, in place of those that were not given. */
static int fill_from(sp_certificate_spec_t *spec, const sp_request_t *request, const char **names,
                     size_t most) {
  size_t count;
  const sp_name_t *asked = sp_request_names(request, &count);
  if (!spec->subject && *sp_request_subject(request))
    spec->subject = sp_request_subject(request);
  if (spec->names || !count)
    return CLI_OK;
  if (count >= most)
    return cli_fail("the request has %zu names: more than %zu are not taken over", count, most - 1);
  for (size_t i = 0; i < count; i++)
    names[i] = asked[i].value;
  names[count] = NULL;
  spec->names = names;
  return CLI_OK;
}

static int save(const sp_key_t *key, const sp_certificate_spec_t *spec, const options_t *options) {
  sp_certificate_t *certificate;
  sp_error_t why;
  if (sp_certificate_make(&certificate, key, &why, spec) < 0)
    return cli_fail_with(&why);
  int status = cli_write(options->out, sp_certificate_pem(certificate), CLI_PUBLIC, options->force);
  sp_certificate_release(certificate);
  return status;
}

static int save_requested(const sp_key_t *key, const sp_certificate_spec_t *spec,
                          const options_t *options) {
  const char *names[101];
  sp_certificate_spec_t own = *spec;
  sp_request_t *request;
  sp_error_t why;
  if (sp_request_read_file(&request, options->request, &why) < 0)
    return cli_fail_with(&why);
  int status = fill_from(&own, request, names, sizeof names / sizeof *names);
  if (!status)
    status = save(key, &own, options);
  sp_request_release(request);
  return status;
}

static int make(const options_t *options) {
  sp_certificate_spec_t spec;
  sp_key_t *key;
  if (!options->key)
    return cli_fail("--key is missing: \"securepair key --out key.pem\" makes one");
  int status = cli_spec_of(&spec, &options->spec);
  if (!status)
    status = cli_can_write(options->out, options->force);
  if (!status)
    status = cli_read_key(&key, options->key, options->passphrase_file);
  if (status)
    return status;
  status = options->request ? save_requested(key, &spec, options) : save(key, &spec, options);
  sp_key_release(key);
  return status;
}

int cli_certificate(int argc, const char **argv) {
  options_t o = {.spec = {.days = CLI_NOT_SAID}};
  cli_arguments_t arguments;
  struct poptOption table[] = {
      {"key", 'k', POPT_ARG_STRING, &o.key, 0, "the private key", "FILE"},
      {"request", 'r', POPT_ARG_STRING, &o.request, 0, "take names and subject from it", "FILE"},
      CLI_SPEC_OPTIONS(o.spec),
      {"days", 'd', POPT_ARG_INT, &o.spec.days, CLI_MAYBE_SAID, "how long it is valid (default 90)",
       "N"},
      {"passphrase-file", 0, POPT_ARG_STRING, &o.passphrase_file, 0,
       "the key's passphrase is the first line of FILE", "FILE"},
      {"out", 'o', POPT_ARG_STRING, &o.out, 0, "where to write it", "FILE"},
      {"force", 'f', POPT_ARG_NONE, &o.force, 0, "write over a file that is there", NULL},
      POPT_TABLEEND};
  int parsed = cli_parse(&arguments, &help, table, 0, 0, argc, argv);
  if (parsed)
    return parsed - 1;
  int status = make(&o);
  cli_parsed(&arguments);
  return status;
}
