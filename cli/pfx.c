/* PKCS#12 (RFC 7292). */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/provider.h>

#include "item.h"

/* Older than this and OpenSSL 3 opens it only with its provider "legacy". */
static bool is_legacy(int nid) {
  return nid == NID_pbe_WithSHA1And40BitRC2_CBC || nid == NID_pbe_WithSHA1And128BitRC2_CBC ||
         nid == NID_pbe_WithSHA1And128BitRC4 || nid == NID_pbe_WithSHA1And40BitRC4 ||
         nid == NID_pbeWithMD5AndDES_CBC || nid == NID_pbeWithSHA1AndRC2_CBC;
}

/* The first way of encrypting in it that is out of date; NULL: none. */
static const char *find_legacy(PKCS12 *pfx) {
  const char *found = NULL;
  STACK_OF(PKCS7) *safes = PKCS12_unpack_authsafes(pfx);
  for (int i = 0; !found && i < sk_PKCS7_num(safes); i++) {
    const PKCS7 *safe = sk_PKCS7_value(safes, i);
    if (!PKCS7_type_is_encrypted(safe))
      continue;
    int nid = OBJ_obj2nid(safe->d.encrypted->enc_data->algorithm->algorithm);
    found = is_legacy(nid) ? OBJ_nid2ln(nid) : NULL;
  }
  sk_PKCS7_pop_free(safes, PKCS7_free);
  ERR_clear_error();
  return found;
}

typedef struct content {
  EVP_PKEY *key;
  X509 *leaf;
  STACK_OF(X509) * chain;
} content_t;

static int add_parts(const cli_source_t *source, const content_t *content) {
  int status = CLI_OK;
  uint8_t *der = NULL;
  int n = content->key ? i2d_PrivateKey(content->key, &der) : 0;
  if (n > 0)
    status |= cli_add_key(source, der, (size_t)n, true);
  OPENSSL_clear_free(der, n > 0 ? (size_t)n : 0);
  if (content->leaf)
    status |= cli_add_x509(source, content->leaf);
  for (int i = 0; i < sk_X509_num(content->chain); i++)
    status |= cli_add_x509(source, sk_X509_value(content->chain, i));
  return status;
}

/* Its passphrase may be none, or an empty one, and nobody is asked then. */
static bool is_open(PKCS12 *pfx) {
  bool open =
      !PKCS12_mac_present(pfx) || PKCS12_verify_mac(pfx, NULL, 0) || PKCS12_verify_mac(pfx, "", 0);
  ERR_clear_error();
  return open;
}

static int open_with(const cli_source_t *source, PKCS12 *pfx, const char *passphrase,
                     const char *legacy) {
  content_t content = {NULL, NULL, NULL};
  bool fits = !PKCS12_mac_present(pfx) || PKCS12_verify_mac(pfx, passphrase, -1);
  if (!fits && !*passphrase)
    fits = PKCS12_verify_mac(pfx, NULL, 0);
  bool opened = fits && PKCS12_parse(pfx, passphrase, &content.key, &content.leaf, &content.chain);
  ERR_clear_error();
  int status;
  if (opened)
    status = add_parts(source, &content);
  else if (!fits)
    status = cli_source_fail(source, "this PKCS#12 does not open with that passphrase");
  else
    status = cli_source_fail(source, "this PKCS#12 cannot be decrypted%s%s",
                             legacy ? ": it is encrypted with " : ": is it damaged?",
                             legacy ? legacy : "");
  EVP_PKEY_free(content.key);
  X509_free(content.leaf);
  sk_X509_pop_free(content.chain, X509_free);
  return status;
}

static void judge(const cli_source_t *source, const char *legacy) {
  cli_problem(
      source->items->problems, "legacy-pkcs12",
      "Make it anew: openssl pkcs12 -legacy -in FILE -nodes | openssl pkcs12 -export "
      "-out NEW",
      "%s is encrypted with %s, which OpenSSL 3 refuses to open, and so does Node since 17.",
      source->file, legacy);
}

static OSSL_PROVIDER *loaded[2];

static void unload(void) {
  OSSL_PROVIDER_unload(loaded[1]);
  OSSL_PROVIDER_unload(loaded[0]);
}

/* For the rest of this process. Whoever loads a provider has to load the usual one, too. */
static void load_legacy(void) {
  if (loaded[0] || atexit(unload) != 0)
    return;
  loaded[0] = OSSL_PROVIDER_load(NULL, "default");
  loaded[1] = OSSL_PROVIDER_load(NULL, "legacy"); /* not every system has it */
  ERR_clear_error();
}

int cli_read_pfx(const cli_source_t *source, PKCS12 *pfx) {
  char room[CLI_PASSPHRASE_SIZE] = "";
  const char *passphrase = source->passphrase, *legacy = find_legacy(pfx);
  int status = CLI_OK;
  if (legacy) {
    judge(source, legacy);
    load_legacy();
  }
  if (!passphrase && !is_open(pfx))
    passphrase = cli_ask_passphrase(room, source->file) ? room : NULL;
  else if (!passphrase)
    passphrase = "";
  status = passphrase
               ? open_with(source, pfx, passphrase, legacy)
               : cli_source_fail(source, "this PKCS#12 is encrypted: give --passphrase-file");
  explicit_bzero(room, sizeof room);
  return status;
}
