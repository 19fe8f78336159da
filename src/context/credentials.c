#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include "base/error.h"
#include "base/secret.h"
#include "context/build.h"
#include "context/credentials.h"
#include "context/input.h"
#include "context/passphrase.h"

/* -- certificate ------------------------------------------------------------------------------- */

static int keep_certificate(sp__credentials_t *credentials, X509 *x509, sp_error_t *why) {
  if (!credentials->leaf) {
    credentials->leaf = x509;
    return 0;
  }
  if (sk_X509_push(credentials->chain, x509))
    return 0;
  X509_free(x509);
  return sp__fail_memory(why);
}

static int read_certificate_block(sp__credentials_t *credentials, const sp__input_t *input,
                                  const sp__block_t *block, sp_error_t *why) {
  BIO *bio = sp__block_bio(block);
  if (!bio)
    return sp__fail_memory(why);
  X509 *x509 = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
  BIO_free(bio);
  if (!x509)
    return sp__fail_crypto(why, SP_ECERTIFICATE, "%s, line %u: the certificate is damaged",
                           input->name, block->line);
  return keep_certificate(credentials, x509, why);
}

static int read_certificate_der(sp__credentials_t *credentials, const sp__input_t *input,
                                sp_error_t *why) {
  const unsigned char *bytes = (const unsigned char *)input->bytes;
  X509 *x509 = d2i_X509(NULL, &bytes, (long)input->n);
  if (!x509)
    return sp__fail_crypto(why, SP_ECERTIFICATE,
                           "%s: is no PEM text and no certificate in DER form", input->name);
  return keep_certificate(credentials, x509, why);
}

static int no_certificate(const sp__input_t *input, const sp__block_t *other, sp_error_t *why) {
  if (!other->line)
    return sp__fail(why, SP_ECERTIFICATE, SP_US,
                    "%s: there is no certificate in it: it must have a line \"BEGIN CERTIFICATE\"",
                    input->name);
  if (sp__block_is(other, "CERTIFICATE REQUEST") || sp__block_is(other, "NEW CERTIFICATE REQUEST"))
    return sp__fail(why, SP_ECERTIFICATE, SP_US,
                    "%s, line %u: is only a certificate request: give the certificate made of it",
                    input->name, other->line);
  return sp__fail(why, SP_ECERTIFICATE, SP_US, "%s, line %u: found \"%.*s\" but no certificate",
                  input->name, other->line, other->label_size, other->label);
}

static int read_certificates(sp__credentials_t *credentials, sp__input_t *input, sp_error_t *why) {
  if (sp__input_is_der(input))
    return read_certificate_der(credentials, input, why);
  sp__block_t block, other = {.line = 0};
  int status;
  while ((status = sp__input_next(input, &block, SP_ECERTIFICATE, why)) > 0) {
    if (!sp__block_is_certificate(&block)) {
      other = other.line ? other : block;
      continue;
    }
    if ((status = read_certificate_block(credentials, input, &block, why)) < 0)
      return status;
  }
  if (status < 0 || credentials->leaf)
    return status;
  return no_certificate(input, &other, why);
}

/* -- key --------------------------------------------------------------------------------------- */

/* `line` 0: the input has none. */
static int key_failed(const sp__input_t *input, unsigned line, const sp__passphrase_t *passphrase,
                      sp_error_t *why) {
  if (passphrase->asked)
    return sp__passphrase_fail(passphrase, why);
  if (line)
    return sp__fail_crypto(why, SP_EKEY, "%s, line %u: the private key is damaged", input->name,
                           line);
  return sp__fail_crypto(why, SP_EKEY, "%s: is no PEM text and no private key in DER form",
                         input->name);
}

static EVP_PKEY *key_from_der(const sp__input_t *input, sp__passphrase_t *passphrase) {
  const unsigned char *bytes = (const unsigned char *)input->bytes;
  EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &bytes, (long)input->n);
  if (key)
    return key;
  ERR_clear_error();
  BIO *bio = BIO_new_mem_buf(input->bytes, (int)input->n);
  if (bio)
    key = d2i_PKCS8PrivateKey_bio(bio, NULL, sp__passphrase_ask, passphrase);
  BIO_free(bio);
  return key;
}

static int read_key_block(EVP_PKEY **key, const sp__input_t *input, const sp__block_t *block,
                          sp__passphrase_t *passphrase, sp_error_t *why) {
  if (sp__block_is(block, "OPENSSH PRIVATE KEY"))
    return sp__fail(why, SP_EKEY, SP_US,
                    "%s, line %u: is in OpenSSH's own form: turn it to PEM with "
                    "\"ssh-keygen -p -m PKCS8 -f ...\"",
                    input->name, block->line);
  BIO *bio = sp__block_bio(block);
  if (!bio)
    return sp__fail_memory(why);
  *key = PEM_read_bio_PrivateKey(bio, NULL, sp__passphrase_ask, passphrase);
  BIO_free(bio);
  return *key ? 0 : key_failed(input, block->line, passphrase, why);
}

static int no_key(const sp__input_t *input, const sp__block_t *other, sp_error_t *why) {
  if (!other->line)
    return sp__fail(why, SP_EKEY, SP_US,
                    "%s: there is no private key in it: it must have a line \"BEGIN PRIVATE KEY\"",
                    input->name);
  return sp__fail(why, SP_EKEY, SP_US, "%s, line %u: found \"%.*s\" but no private key",
                  input->name, other->line, other->label_size, other->label);
}

bool sp__credentials_fit(X509 *leaf, EVP_PKEY *key) {
  bool fit = leaf && key && X509_check_private_key(leaf, key) == 1;
  ERR_clear_error();
  return fit;
}

typedef enum fitness { FITS_NONE, FITS_ANOTHER, FITS_OWN } fitness_t;

static fitness_t fitness(const sp__credentials_set_t *set, const sp__credentials_t *credentials,
                         EVP_PKEY *key) {
  if (sp__credentials_fit(credentials->leaf, key))
    return FITS_OWN;
  for (size_t i = 0; i < set->count; i++)
    if (sp__credentials_fit(set->all[i].leaf, key))
      return FITS_ANOTHER;
  return FITS_NONE;
}

/* Takes over the key if it is the first or fits better than the one before. */
static fitness_t keep_key(const sp__credentials_set_t *set, sp__credentials_t *credentials,
                          EVP_PKEY *key, fitness_t before) {
  fitness_t now = fitness(set, credentials, key);
  if (credentials->key && now <= before) {
    EVP_PKEY_free(key);
    return before;
  }
  EVP_PKEY_free(credentials->key);
  credentials->key = key;
  return now;
}

static int read_key_blocks(const sp__credentials_set_t *set, sp__credentials_t *credentials,
                           sp__input_t *input, sp__passphrase_t *passphrase, sp_error_t *why) {
  sp__block_t block, other = {.line = 0};
  fitness_t best = FITS_NONE, enough = credentials->leaf ? FITS_OWN : FITS_ANOTHER;
  int status = 0;
  while (best < enough && (status = sp__input_next(input, &block, SP_EKEY, why)) > 0) {
    if (!sp__block_is_key(&block)) {
      other = other.line || sp__block_is_parameters(&block) ? other : block;
      continue;
    }
    EVP_PKEY *key = NULL;
    if ((status = read_key_block(&key, input, &block, passphrase, why)) < 0)
      return status;
    best = keep_key(set, credentials, key, best);
  }
  if (status < 0 || credentials->key)
    return status < 0 ? status : 0;
  return no_key(input, &other, why);
}

static int read_key(const sp__credentials_set_t *set, sp__credentials_t *credentials,
                    sp__input_t *input, sp_error_t *why) {
  sp__passphrase_t passphrase;
  const sp_options_t *options = &credentials->options;
  int status = sp__passphrase_open(&passphrase, options, input->name, options->key_file, why);
  if (status < 0)
    return status;
  if (!sp__input_is_der(input))
    status = read_key_blocks(set, credentials, input, &passphrase, why);
  else if (!(credentials->key = key_from_der(input, &passphrase)))
    status = key_failed(input, 0, &passphrase, why);
  sp__passphrase_close(&passphrase);
  return status;
}

/* -- PKCS#12 ----------------------------------------------------------------------------------- */

static int pfx_failed(const sp__input_t *input, const sp__passphrase_t *passphrase,
                      sp_error_t *why) {
  unsigned long error = ERR_peek_last_error();
  if (ERR_GET_LIB(error) == ERR_LIB_PKCS12 && ERR_GET_REASON(error) == PKCS12_R_MAC_VERIFY_FAILURE)
    return sp__passphrase_fail(passphrase, why);
  return sp__fail_crypto(why, SP_EKEY,
                         "%s: cannot be opened: an old file may need \"openssl pkcs12 -legacy\" to "
                         "be written anew",
                         input->name);
}

/* Asks for a passphrase only where there has to be one. */
static bool opens_without(PKCS12 *pfx) {
  bool opens =
      !PKCS12_mac_present(pfx) || PKCS12_verify_mac(pfx, NULL, 0) || PKCS12_verify_mac(pfx, "", 0);
  ERR_clear_error();
  return opens;
}

static int open_pfx(sp__credentials_t *credentials, PKCS12 *pfx, const sp__input_t *input,
                    sp__passphrase_t *passphrase, sp_error_t *why) {
  STACK_OF(X509) *chain = NULL;
  char *text = sp__secret_alloc(SP__PASSPHRASE_MAX + 1); /* zeroed: its end is there */
  if (!text)
    return sp__fail_memory(why);
  int n = opens_without(pfx) ? 0 : sp__passphrase_ask(text, SP__PASSPHRASE_MAX, 0, passphrase);
  int done = n >= 0 && PKCS12_parse(pfx, text, &credentials->key, &credentials->leaf, &chain);
  sp__secret_free(text);
  if (n < 0)
    return sp__passphrase_fail(passphrase, why);
  if (!done)
    return pfx_failed(input, passphrase, why);
  if (chain) {
    sk_X509_free(credentials->chain);
    credentials->chain = chain;
  }
  if (!credentials->key)
    return sp__fail(why, SP_EKEY, SP_US, "%s: there is no private key in it", input->name);
  if (!credentials->leaf)
    return sp__fail(why, SP_ECERTIFICATE, SP_US, "%s: no certificate in it belongs to its key",
                    input->name);
  return 0;
}

static int read_pfx(sp__credentials_t *credentials, const sp__input_t *input, sp_error_t *why) {
  const unsigned char *bytes = (const unsigned char *)input->bytes;
  PKCS12 *pfx = d2i_PKCS12(NULL, &bytes, (long)input->n);
  if (!pfx)
    return sp__fail_crypto(why, SP_EKEY, "%s: is no PKCS#12", input->name);
  sp__passphrase_t passphrase;
  int status = sp__passphrase_open(&passphrase, &credentials->options, input->name,
                                   credentials->options.pfx_file, why);
  if (!status)
    status = open_pfx(credentials, pfx, input, &passphrase, why);
  sp__passphrase_close(&passphrase);
  PKCS12_free(pfx);
  return status;
}

/* -- from the options -------------------------------------------------------------------------- */

static int open_input(sp__input_t *input, const char *prefix, const char *option, const char *text,
                      const char *path, int status, sp_error_t *why) {
  char name[56];
  snprintf(name, sizeof name, "%s%s%s", prefix, option, text ? "" : "_file");
  if (text)
    return sp__input_text(input, name, -1, text, SP__CREDENTIALS_LIMIT, status, why);
  return sp__input_file(input, name, path, SP__CREDENTIALS_LIMIT, status, why);
}

int sp__credentials_read_cert(sp__credentials_t *credentials, sp_error_t *why) {
  sp__input_t input;
  const sp_options_t *options = &credentials->options;
  int status = open_input(&input, credentials->prefix, "cert", options->cert, options->cert_file,
                          SP_ECERTIFICATE, why);
  memcpy(credentials->cert_name, input.name, sizeof input.name);
  if (!status)
    status = read_certificates(credentials, &input, why);
  sp__input_close(&input);
  return status;
}

int sp__credentials_read_key(sp__credentials_set_t *set, sp__credentials_t *credentials,
                             sp_error_t *why) {
  sp__input_t input;
  const sp_options_t *options = &credentials->options;
  int status =
      open_input(&input, credentials->prefix, "key", options->key, options->key_file, SP_EKEY, why);
  memcpy(credentials->key_name, input.name, sizeof input.name);
  if (!status)
    status = read_key(set, credentials, &input, why);
  sp__input_close(&input);
  return status;
}

int sp__credentials_read_pfx(sp__credentials_t *credentials, sp_error_t *why) {
  sp__input_t input;
  char name[56];
  const sp_options_t *options = &credentials->options;
  snprintf(name, sizeof name, "%s%s", credentials->prefix, options->pfx_file ? "pfx_file" : "pfx");
  int status = sp__input_binary(&input, name, options->pfx, options->pfx_size, options->pfx_file,
                                SP__CREDENTIALS_LIMIT, SP_EKEY, why);
  memcpy(credentials->key_name, input.name, sizeof input.name);
  memcpy(credentials->cert_name, input.name, sizeof input.name);
  if (!status)
    status = read_pfx(credentials, &input, why);
  sp__input_close(&input);
  return status;
}
