/* securepair key */
#include <string.h>

#include "cli.h"

static const cli_help_t help = {
    "securepair key [OPTION...]",
    "Makes a private key: PKCS#8 in PEM, readable by its owner only. Without --out it goes to\n"
    "standard output. An EC key (P-256) is what most servers should have.",
    "  securepair key --out server-key.pem\n"
    "  securepair key --rsa 3072 --out server-key.pem\n"
    "  securepair key --ed25519 --passphrase-file secret.txt --out root-key.pem\n"};

#define SLOW 4096 /* bits of RSA */

typedef struct options {
  int rsa, edwards, ask, force;
  const char *curve, *out, *passphrase_file;
} options_t;

static int kind_of(sp_key_kind_t *kind, const options_t *options) {
  static const struct {
    const char *name;
    sp_key_kind_t kind;
  } curves[] = {{"P-256", SP_KEY_P256},    {"prime256v1", SP_KEY_P256}, {"secp256r1", SP_KEY_P256},
                {"P-384", SP_KEY_P384},    {"secp384r1", SP_KEY_P384},  {"P-521", SP_KEY_P521},
                {"secp521r1", SP_KEY_P521}};
  *kind = options->rsa ? SP_KEY_RSA : options->edwards ? SP_KEY_ED25519 : SP_KEY_P256;
  if ((options->rsa != 0) + (options->edwards != 0) + (options->curve != NULL) > 1)
    return cli_fail("--rsa, --ec and --ed25519: a key is of one kind only");
  if (!options->curve)
    return CLI_OK;
  for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
    if (!strcasecmp(curves[i].name, options->curve)) {
      *kind = curves[i].kind;
      return CLI_OK;
    }
  return cli_fail("--ec %s: this curve is not one of P-256, P-384, P-521", options->curve);
}

static int save(const sp_key_t *key, const char *passphrase, const options_t *options) {
  char *pem;
  sp_error_t why;
  if (sp_key_pem(key, passphrase, &pem, &why) < 0)
    return cli_fail_with(&why);
  int status = cli_write(options->out, pem, CLI_SECRET, options->force);
  sp_pem_release(pem);
  return status;
}

static int make_and_save(sp_key_kind_t kind, const char *passphrase, const options_t *options) {
  sp_key_t *key;
  sp_error_t why;
  if (options->rsa >= SLOW)
    cli_progress_begin("Looking for two large primes");
  int status = sp_key_make(&key, kind, options->rsa, &why);
  cli_progress_end();
  if (status < 0)
    return cli_fail_with(&why);
  status = save(key, passphrase, options);
  sp_key_release(key);
  return status;
}

/* What can be refused is refused before a key is made or a passphrase typed. */
static int make(const options_t *options) {
  char room[CLI_PASSPHRASE_SIZE];
  const char *passphrase = NULL;
  sp_key_kind_t kind;
  int status = kind_of(&kind, options);
  if (!status)
    status = cli_can_write(options->out, options->force);
  if (!status)
    status = cli_passphrase_new(room, &passphrase, options->passphrase_file, options->ask != 0);
  if (!status)
    status = make_and_save(kind, passphrase, options);
  explicit_bzero(room, sizeof room);
  return status;
}

int cli_key(int argc, const char **argv) {
  options_t o = {.rsa = 0};
  cli_arguments_t arguments;
  struct poptOption table[] = {
      {"rsa", 0, POPT_ARG_INT, &o.rsa, 0, "an RSA key, 2048 to 8192 bits", "BITS"},
      {"ec", 0, POPT_ARG_STRING, &o.curve, 0, "an EC key: P-256 (the default), P-384, P-521",
       "CURVE"},
      {"ed25519", 0, POPT_ARG_NONE, &o.edwards, 0, "an Ed25519 key", NULL},
      {"passphrase-file", 0, POPT_ARG_STRING, &o.passphrase_file, 0,
       "encrypt it with the first line of FILE", "FILE"},
      {"ask-passphrase", 0, POPT_ARG_NONE, &o.ask, 0, "encrypt it with what you type", NULL},
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
