/* securepair request */
#include "cli.h"

static const cli_help_t help = {
    "securepair request --key KEY [OPTION...]",
    "Makes a request for a certificate (CSR): what an authority is asked to sign. It says whose "
    "key\n"
    "it is and which names the certificate is for.",
    "  securepair request --key server-key.pem --name a.example --name www.a.example --out "
    "csr.pem\n"
    "  securepair request --key key.pem --client --subject \"CN=Ada,O=Example\" --out csr.pem\n"};

typedef struct options {
  const char *key, *passphrase_file, *out;
  cli_spec_t spec;
  int force;
} options_t;

static int make(const options_t *options) {
  sp_certificate_spec_t spec;
  sp_request_t *request;
  sp_key_t *key;
  sp_error_t why;
  if (!options->key)
    return cli_fail("--key is missing: \"securepair key --out key.pem\" makes one");
  int status = cli_spec_of(&spec, &options->spec);
  if (!status)
    status = cli_can_write(options->out, options->force);
  if (!status)
    status = cli_read_key(&key, options->key, options->passphrase_file);
  if (status)
    return status;
  if (sp_request_make(&request, key, &why, &spec) < 0) {
    status = cli_fail_with(&why);
  } else {
    status = cli_write(options->out, sp_request_pem(request), CLI_PUBLIC, options->force);
    sp_request_release(request);
  }
  sp_key_release(key);
  return status;
}

int cli_request(int argc, const char **argv) {
  options_t o = {.spec = {.days = CLI_NOT_SAID}};
  cli_arguments_t arguments;
  struct poptOption table[] = {
      {"key", 'k', POPT_ARG_STRING, &o.key, 0, "the private key", "FILE"},
      CLI_SPEC_OPTIONS(o.spec),
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
