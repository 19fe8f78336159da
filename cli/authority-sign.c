/* securepair authority sign */
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "authority.h"

static const cli_help_t help = {
    "securepair authority sign REQUEST [OPTION...]",
    "Signs a request. Of the request are taken the key, the names and the subject, or those given\n"
    "here in their place; what else it asks for is passed over, since that is for you to decide.",
    "  securepair authority sign csr.pem --out server-cert.pem\n"
    "  securepair authority sign csr.pem --name b.example --days 30 --out server-cert.pem\n"
    "  securepair authority sign ada.csr --client --out ada.pem\n"};

typedef struct options {
  const char *folder, *passphrase_file, *out;
  cli_spec_t spec;
  int force, authority, chain;
} options_t;

/* -- checks ------------------------------------------------------------------------------------ */

static STACK_OF(X509) * above(const cli_authority_t *authority) {
  STACK_OF(X509) *chain = sk_X509_new_null();
  const sp_certificate_t *one = authority->is_intermediate ? authority->certificate : NULL;
  for (; chain && one; one = sp_certificate_next(one))
    (void)sk_X509_push(chain, sp_certificate_x509(one));
  return chain;
}

/* What clients would say: the root's constraints among others. */
static int verify(const sp_certificate_t *certificate, const cli_authority_t *authority) {
  X509_STORE *store = X509_STORE_new();
  X509_STORE_CTX *ctx = X509_STORE_CTX_new();
  STACK_OF(X509) *chain = above(authority);
  bool ready = store && ctx && chain &&
               X509_STORE_add_cert(store, sp_certificate_x509(authority->root)) &&
               X509_STORE_CTX_init(ctx, store, sp_certificate_x509(certificate), chain);
  if (ready)
    X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT);
  int result = !ready                       ? X509_V_ERR_OUT_OF_MEM
               : X509_verify_cert(ctx) == 1 ? X509_V_OK
                                            : X509_STORE_CTX_get_error(ctx);
  X509_STORE_CTX_free(ctx);
  X509_STORE_free(store);
  sk_X509_free(chain);
  ERR_clear_error();
  if (result == X509_V_OK)
    return CLI_OK;
  if (result == X509_V_ERR_PERMITTED_VIOLATION || result == X509_V_ERR_EXCLUDED_VIOLATION)
    return cli_fail(
        "this authority may not sign for such a name: its root permits or excludes names");
  return cli_fail("nothing was signed, since clients would refuse it: %s",
                  X509_verify_cert_error_string(result));
}

/* -- signing ----------------------------------------------------------------------------------- */

/* An intermediate's certificate has to be sent along; a root's is asked for by --chain. */
static int save(const cli_authority_t *authority, const sp_certificate_t *certificate,
                const options_t *options) {
  bool along = options->chain || authority->is_intermediate;
  char *text = cli_authority_join(certificate, along ? authority->certificate : NULL);
  if (!text)
    return CLI_FAILED;
  int status = cli_write(options->out, text, CLI_PUBLIC, options->force);
  free(text);
  return status;
}

static int sign_request(cli_authority_t *authority, const sp_request_t *request,
                        const sp_certificate_spec_t *spec, const options_t *options) {
  sp_certificate_t *certificate;
  sp_error_t why;
  if (sp_certificate_sign(&certificate, request, authority->certificate, authority->key, &why,
                          spec) < 0)
    return cli_fail_with(&why);
  int status = verify(certificate, authority);
  if (!status)
    status = cli_authority_record(authority, certificate);
  if (!status && save(authority, certificate, options))
    status =
        cli_fail("certificate %s is signed and on record, but not written: \"securepair authority "
                 "list --pem %s\" shows it",
                 sp_certificate_serial(certificate), sp_certificate_serial(certificate));
  sp_certificate_release(certificate);
  return status;
}

static int sign(const char *path, const options_t *options) {
  cli_authority_t authority;
  sp_certificate_spec_t spec;
  sp_request_t *request;
  sp_error_t why;
  int status = cli_spec_of(&spec, &options->spec);
  if (!status)
    status = cli_can_write(options->out, options->force);
  if (status)
    return status;
  if (options->authority)
    spec.purpose = SP_FOR_AUTHORITY;
  if (sp_request_read_file(&request, path, &why) < 0)
    return cli_fail_with(&why);
  status = cli_authority_open(&authority, options->folder, options->passphrase_file);
  if (!status) {
    status = sign_request(&authority, request, &spec, options);
    cli_authority_close(&authority);
  }
  sp_request_release(request);
  return status;
}

int cli_authority_sign(int argc, const char **argv) {
  options_t o = {.folder = CLI_FOLDER, .spec = {.days = CLI_NOT_SAID}};
  cli_arguments_t arguments;
  struct poptOption table[] = {
      CLI_FOLDER_OPTION(o.folder),
      CLI_SPEC_OPTIONS(o.spec),
      {"authority", 0, POPT_ARG_NONE, &o.authority, 0, "for an authority below this one", NULL},
      {"days", 'd', POPT_ARG_INT, &o.spec.days, CLI_MAYBE_SAID, "how long it is valid (default 90)",
       "N"},
      {"chain", 0, POPT_ARG_NONE, &o.chain, 0, "write the authority's certificate after it", NULL},
      {"passphrase-file", 0, POPT_ARG_STRING, &o.passphrase_file, 0,
       "the authority's passphrase is the first line of FILE", "FILE"},
      {"out", 'o', POPT_ARG_STRING, &o.out, 0, "where to write it", "FILE"},
      {"force", 'f', POPT_ARG_NONE, &o.force, 0, "write over a file that is there", NULL},
      POPT_TABLEEND};
  int parsed = cli_parse(&arguments, &help, table, 1, 1, argc, argv);
  if (parsed)
    return parsed - 1;
  int status = sign(arguments.all[0], &o);
  cli_parsed(&arguments);
  return status;
}
