#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include "base/error.h"
#include "base/memory.h"
#include "context/build.h"
#include "context/input.h"
#include "context/passphrase.h"
#include "context/signer.h"

/* What is gathered before the SSL_CTX gets all of it at once. */
typedef struct credentials {
  X509 *leaf;
  STACK_OF(X509) * chain;
  EVP_PKEY *key;
  char cert_name[128], key_name[128]; /* of the inputs, for errors */
} credentials_t;

static void drop(credentials_t *credentials) {
  X509_free(credentials->leaf);
  sk_X509_pop_free(credentials->chain, X509_free);
  EVP_PKEY_free(credentials->key);
}

/* -- certificate ------------------------------------------------------------------------------- */

static int keep_certificate(credentials_t *credentials, X509 *x509, sp_error_t *why) {
  if (!credentials->leaf) {
    credentials->leaf = x509;
    return 0;
  }
  if (sk_X509_push(credentials->chain, x509))
    return 0;
  X509_free(x509);
  return sp__fail_memory(why);
}

static int read_certificate_block(credentials_t *credentials, const sp__input_t *input,
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

static int read_certificate_der(credentials_t *credentials, const sp__input_t *input,
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

static int read_certificates(credentials_t *credentials, sp__input_t *input, sp_error_t *why) {
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

static bool is_signing_key(const EVP_PKEY *key) {
  static const char *const types[] = {"RSA", "RSA-PSS", "EC", "ED25519", "ED448"};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (EVP_PKEY_is_a(key, types[i]))
      return true;
  return false;
}

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

/* Of several keys the one that belongs to the certificate, else the first. */
static int read_key_blocks(credentials_t *credentials, sp__input_t *input,
                           sp__passphrase_t *passphrase, sp_error_t *why) {
  sp__block_t block, other = {.line = 0};
  int status;
  while ((status = sp__input_next(input, &block, SP_EKEY, why)) > 0) {
    if (!sp__block_is_key(&block)) {
      other = other.line || sp__block_is_parameters(&block) ? other : block;
      continue;
    }
    EVP_PKEY *key;
    if ((status = read_key_block(&key, input, &block, passphrase, why)) < 0)
      return status;
    bool fits = X509_check_private_key(credentials->leaf, key) == 1;
    if (fits || !credentials->key) {
      EVP_PKEY_free(credentials->key);
      credentials->key = key;
    } else {
      EVP_PKEY_free(key);
    }
    if (fits)
      break;
  }
  ERR_clear_error();
  if (status < 0 || credentials->key)
    return status < 0 ? status : 0;
  return no_key(input, &other, why);
}

static int read_key(credentials_t *credentials, sp__input_t *input, const sp_options_t *options,
                    sp_error_t *why) {
  sp__passphrase_t passphrase;
  int status = sp__passphrase_open(&passphrase, options, input->name, options->key_file, why);
  if (status < 0)
    return status;
  if (!sp__input_is_der(input))
    status = read_key_blocks(credentials, input, &passphrase, why);
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

static int open_pfx(credentials_t *credentials, PKCS12 *pfx, const sp__input_t *input,
                    sp__passphrase_t *passphrase, sp_error_t *why) {
  char text[SP__PASSPHRASE_MAX + 1];
  int n = opens_without(pfx) ? 0 : sp__passphrase_ask(text, SP__PASSPHRASE_MAX, 0, passphrase);
  if (n < 0)
    return sp__passphrase_fail(passphrase, why);
  text[n] = '\0';
  STACK_OF(X509) *chain = NULL;
  int done = PKCS12_parse(pfx, text, &credentials->key, &credentials->leaf, &chain);
  sp__wipe(text, sizeof text);
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

static int read_pfx(credentials_t *credentials, const sp__input_t *input,
                    const sp_options_t *options, sp_error_t *why) {
  const unsigned char *bytes = (const unsigned char *)input->bytes;
  PKCS12 *pfx = d2i_PKCS12(NULL, &bytes, (long)input->n);
  if (!pfx)
    return sp__fail_crypto(why, SP_EKEY, "%s: is no PKCS#12", input->name);
  sp__passphrase_t passphrase;
  int status = sp__passphrase_open(&passphrase, options, input->name, options->pfx_file, why);
  if (!status)
    status = open_pfx(credentials, pfx, input, &passphrase, why);
  sp__passphrase_close(&passphrase);
  PKCS12_free(pfx);
  return status;
}

/* -- all together ------------------------------------------------------------------------------ */

static int mismatch(const credentials_t *credentials, sp_error_t *why) {
  for (int i = 0; i < sk_X509_num(credentials->chain); i++)
    if (X509_check_private_key(sk_X509_value(credentials->chain, i), credentials->key) == 1)
      return sp__fail_crypto(why, SP_EMISMATCH,
                             "%s belongs to certificate %d in %s: that one must come first",
                             credentials->key_name, i + 2, credentials->cert_name);
  return sp__fail_crypto(why, SP_EMISMATCH,
                         "%s and %s do not belong together: give the key that the certificate was "
                         "made with",
                         credentials->key_name, credentials->cert_name);
}

static int check(const credentials_t *credentials, sp_error_t *why) {
  EVP_PKEY *key = credentials->key;
  if (!is_signing_key(key))
    return sp__fail_crypto(why, SP_EKEY, "%s: a key of type %s cannot sign in TLS: take RSA or EC",
                           credentials->key_name, EVP_PKEY_get0_type_name(key));
  char encoding[32] = "";
  EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, encoding, sizeof encoding, NULL);
  if (!strcmp(encoding, OSSL_PKEY_EC_ENCODING_EXPLICIT))
    return sp__fail_crypto(why, SP_EKEY, "%s: its curve is not named: make the key on P-256",
                           credentials->key_name);
  if (!X509_get0_pubkey(credentials->leaf))
    return sp__fail_crypto(why, SP_ECERTIFICATE, "%s: its public key cannot be read",
                           credentials->cert_name);
  if (X509_check_private_key(credentials->leaf, key) != 1)
    return mismatch(credentials, why);
  return 0;
}

/* The peer has the root or does not trust it: sending it is waste, and so is a second copy of the
 * leaf, which comes from putting two files together. */
static void prune(credentials_t *credentials) {
  for (int i = sk_X509_num(credentials->chain); i-- > 0;) {
    X509 *x509 = sk_X509_value(credentials->chain, i);
    if (X509_self_signed(x509, 0) != 1 && X509_cmp(x509, credentials->leaf) != 0)
      continue;
    X509_free(sk_X509_delete(credentials->chain, i));
  }
}

/* The rest of the chain may be in `ca`: looked up here once, not at each handshake. */
static int complete(credentials_t *credentials, SSL_CTX *ctx, sp_error_t *why) {
  X509_STORE_CTX *search = X509_STORE_CTX_new();
  if (!search || !X509_STORE_CTX_init(search, SSL_CTX_get_cert_store(ctx), NULL, NULL)) {
    X509_STORE_CTX_free(search);
    return sp__fail_memory(why);
  }
  X509 *last = credentials->leaf, *issuer;
  while (sk_X509_num(credentials->chain) < 10 && X509_self_signed(last, 0) != 1 &&
         X509_STORE_CTX_get1_issuer(&issuer, search, last) == 1) {
    if (X509_self_signed(issuer, 0) == 1 || !sk_X509_push(credentials->chain, issuer)) {
      X509_free(issuer);
      break;
    }
    last = issuer;
  }
  X509_STORE_CTX_free(search);
  ERR_clear_error();
  return 0;
}

static int too_weak(const credentials_t *credentials, sp_error_t *why) {
  const char *name = credentials->cert_name;
  const EVP_PKEY *key = X509_get0_pubkey(credentials->leaf);
  switch (ERR_GET_REASON(ERR_peek_last_error())) {
  case SSL_R_EE_KEY_TOO_SMALL:
    return sp__fail_crypto(why, SP_ECERTIFICATE,
                           "%s: its %s key of %d bits is too weak: RSA needs at least 2048 bits, "
                           "EC at least 224",
                           name, EVP_PKEY_get0_type_name(key), EVP_PKEY_get_bits(key));
  case SSL_R_CA_KEY_TOO_SMALL:
    return sp__fail_crypto(why, SP_ECERTIFICATE,
                           "%s: a key in its chain is too weak: RSA needs at least 2048 bits, "
                           "EC at least 224",
                           name);
  case SSL_R_CA_MD_TOO_WEAK:
    return sp__fail_crypto(why, SP_ECERTIFICATE,
                           "%s: is signed with %s, which is too weak: have it signed with SHA-256",
                           name, OBJ_nid2ln(X509_get_signature_nid(credentials->leaf)));
  default:
    return sp__fail_crypto(why, SP_ECERTIFICATE, "%s: OpenSSL cannot use this certificate", name);
  }
}

static int install(sp_context_t *context, credentials_t *credentials, sp_error_t *why) {
  int status = check(credentials, why);
  if (status < 0)
    return status;
  if (!sk_X509_num(credentials->chain))
    status = complete(credentials, context->ssl_ctx, why);
  if (status < 0)
    return status;
  prune(credentials);
  if (!SSL_CTX_use_cert_and_key(context->ssl_ctx, credentials->leaf, credentials->key,
                                credentials->chain, 1))
    return too_weak(credentials, why);
  context->has_certificate = true;
  return 0;
}

static int open_input(sp__input_t *input, const char *option, const char *text, const char *path,
                      int status, sp_error_t *why) {
  char file[16];
  if (text)
    return sp__input_text(input, option, -1, text, SP__CREDENTIALS_LIMIT, status, why);
  snprintf(file, sizeof file, "%s_file", option);
  return sp__input_file(input, file, path, SP__CREDENTIALS_LIMIT, status, why);
}

static int gather_certificate(credentials_t *credentials, const sp_options_t *options,
                              sp_error_t *why) {
  sp__input_t input;
  int status = open_input(&input, "cert", options->cert, options->cert_file, SP_ECERTIFICATE, why);
  memcpy(credentials->cert_name, input.name, sizeof input.name);
  if (!status)
    status = read_certificates(credentials, &input, why);
  sp__input_close(&input);
  return status;
}

static int gather_key(credentials_t *credentials, const sp_options_t *options, sp_error_t *why) {
  sp__input_t input;
  int status = open_input(&input, "key", options->key, options->key_file, SP_EKEY, why);
  memcpy(credentials->key_name, input.name, sizeof input.name);
  if (!status)
    status = read_key(credentials, &input, options, why);
  sp__input_close(&input);
  return status;
}

static int gather_pfx(credentials_t *credentials, const sp_options_t *options, sp_error_t *why) {
  sp__input_t input;
  int status =
      sp__input_binary(&input, options->pfx_file ? "pfx_file" : "pfx", options->pfx,
                       options->pfx_size, options->pfx_file, SP__CREDENTIALS_LIMIT, SP_EKEY, why);
  memcpy(credentials->key_name, input.name, sizeof input.name);
  memcpy(credentials->cert_name, input.name, sizeof input.name);
  if (!status)
    status = read_pfx(credentials, &input, options, why);
  sp__input_close(&input);
  return status;
}

/* The key is elsewhere; a hook signs for it. */
static int gather_stand_in(credentials_t *credentials, const sp_options_t *options,
                           sp_error_t *why) {
  int status = gather_certificate(credentials, options, why);
  if (status < 0)
    return status;
  EVP_PKEY *half = X509_get0_pubkey(credentials->leaf);
  if (!half)
    return sp__fail_crypto(why, SP_ECERTIFICATE, "%s: its public key cannot be read",
                           credentials->cert_name);
  memcpy(credentials->key_name, credentials->cert_name, sizeof credentials->key_name);
  return sp__signer_key(&credentials->key, half, why);
}

static int gather(credentials_t *credentials, const sp_options_t *options, sp_error_t *why) {
  if (options->pfx || options->pfx_file)
    return gather_pfx(credentials, options, why);
  bool key = options->key || options->key_file, cert = options->cert || options->cert_file;
  if (!cert)
    return sp__fail(why, SP_ECERTIFICATE, SP_US,
                    "%s was given without cert: give the certificate made with it",
                    key ? "key" : "hooks.sign");
  if (options->hooks.sign)
    return gather_stand_in(credentials, options, why);
  if (!key)
    return sp__fail(why, SP_EKEY, SP_US,
                    "cert was given without key: give key or key_file, even if it is in the same "
                    "file");
  int status = gather_certificate(credentials, options, why);
  return status < 0 ? status : gather_key(credentials, options, why);
}

static bool has_credentials(const sp_options_t *o) {
  return o->key || o->key_file || o->cert || o->cert_file || o->pfx || o->pfx_file || o->hooks.sign;
}

int sp__credentials_load(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  if (!has_credentials(options))
    return 0;
  credentials_t credentials = {.chain = sk_X509_new_null()};
  if (!credentials.chain)
    return sp__fail_memory(why);
  int status = gather(&credentials, options, why);
  if (!status)
    status = install(context, &credentials, why);
  context->is_signed_by_hook = !status && options->hooks.sign;
  drop(&credentials);
  return status;
}
