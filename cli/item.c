#include "item.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#define FILE_LIMIT ((size_t)16 << 20)

/* What is being read. */
typedef struct source {
  cli_items_t *items;
  const char *file, *passphrase; /* NULL: none was given */
} source_t;

static cli_item_t *add(const source_t *source, cli_kind_t kind) {
  cli_items_t *items = source->items;
  cli_item_t *all = realloc(items->all, (items->count + 1) * sizeof *all);
  if (!all)
    abort(); /* a command that shows a file has nothing to save */
  items->all = all;
  all[items->count] = (cli_item_t){.kind = kind, .file = source->file, .key = NULL};
  return all + items->count++;
}

static void free_item(cli_item_t *item) {
  switch (item->kind) {
  case CLI_KEY:
    sp_key_release(item->key);
    break;
  case CLI_REQUEST:
    sp_request_release(item->request);
    break;
  case CLI_CERTIFICATE:
    sp_certificate_release(item->certificate);
    break;
  case CLI_LIST:
    X509_CRL_free(item->list);
    break;
  case CLI_UNKNOWN:
    free(item->label);
    break;
  }
}

void cli_items_free(cli_items_t *items) {
  for (size_t i = 0; i < items->count; i++)
    free_item(items->all + i);
  free(items->all);
  *items = (cli_items_t){.all = NULL};
}

/* -- one thing at a time ----------------------------------------------------------------------- */

static int told(const source_t *source, const sp_error_t *why) {
  return cli_fail("%s: %s", source->file, why->text);
}

static int add_key(const source_t *source, const char *bytes, size_t n) {
  sp_key_t *key;
  sp_error_t why;
  if (sp_key_read(&key, bytes, n, source->passphrase, &why) < 0)
    return told(source, &why);
  add(source, CLI_KEY)->key = key;
  return CLI_OK;
}

static int add_request(const source_t *source, const char *bytes, size_t n) {
  sp_request_t *request;
  sp_error_t why;
  if (sp_request_read(&request, bytes, n, &why) < 0)
    return told(source, &why);
  add(source, CLI_REQUEST)->request = request;
  return CLI_OK;
}

static int add_certificate(const source_t *source, const char *bytes, size_t n) {
  sp_certificate_t *certificate;
  sp_error_t why;
  if (sp_certificate_read(&certificate, bytes, n, &why) < 0)
    return told(source, &why);
  add(source, CLI_CERTIFICATE)->certificate = certificate;
  return CLI_OK;
}

static int add_x509(const source_t *source, X509 *x509) {
  sp_certificate_t *certificate;
  sp_error_t why;
  if (sp_certificate_from_x509(&certificate, x509, &why) < 0)
    return told(source, &why);
  add(source, CLI_CERTIFICATE)->certificate = certificate;
  return CLI_OK;
}

static int add_list(const source_t *source, const char *der, size_t n) {
  const unsigned char *at = (const unsigned char *)der;
  X509_CRL *list = d2i_X509_CRL(NULL, &at, (long)n);
  ERR_clear_error();
  if (!list)
    return cli_fail("%s: a revocation list in it is damaged", source->file);
  add(source, CLI_LIST)->list = list;
  return CLI_OK;
}

/* -- PEM --------------------------------------------------------------------------------------- */

static bool ends_with(const char *label, const char *what) {
  size_t n = strlen(label), m = strlen(what);
  return n >= m && !strcmp(label + n - m, what);
}

static int add_block(const source_t *source, const char *text, size_t n, const char *label,
                     const char *der, size_t der_size) {
  if (ends_with(label, "PRIVATE KEY"))
    return add_key(source, text, n);
  if (ends_with(label, "CERTIFICATE REQUEST"))
    return add_request(source, der, der_size);
  if (ends_with(label, "CERTIFICATE"))
    return add_certificate(source, text, n);
  if (!strcmp(label, "X509 CRL"))
    return add_list(source, der, der_size);
  add(source, CLI_UNKNOWN)->label = strdup(label);
  return CLI_OK;
}

/* OpenSSL finds the blocks; where each one lies in the text, the markers tell. */
static int read_blocks(const source_t *source, const char *text, size_t n) {
  static const char begin[] = "-----BEGIN ", end[] = "-----END ";
  const char *stop = text + n;
  int status = CLI_OK;
  while ((text = memmem(text, (size_t)(stop - text), begin, strlen(begin)))) {
    const char *last = memmem(text, (size_t)(stop - text), end, strlen(end));
    const char *line = last ? memchr(last, '\n', (size_t)(stop - last)) : NULL;
    size_t size = (size_t)((line ? line + 1 : stop) - text);
    char *label = NULL, *header = NULL;
    unsigned char *der = NULL;
    long der_size = 0;
    BIO *bio = BIO_new_mem_buf(text, (int)size);
    bool good = bio && PEM_read_bio(bio, &label, &header, &der, &der_size);
    ERR_clear_error();
    if (good)
      status |= add_block(source, text, size, label, (const char *)der, (size_t)der_size);
    else
      status |=
          cli_fail("%s: the block \"%.*s\" is damaged: was the text cut or changed?", source->file,
                   (int)strcspn(text + strlen(begin), "-\r\n"), text + strlen(begin));
    BIO_free(bio);
    OPENSSL_free(label);
    OPENSSL_free(header);
    OPENSSL_clear_free(der, (size_t)der_size);
    text += size;
  }
  return status;
}

/* -- DER and PKCS#12 --------------------------------------------------------------------------- */

static int add_pfx_parts(const source_t *source, EVP_PKEY *key, X509 *leaf,
                         const STACK_OF(X509) * chain) {
  int status = CLI_OK;
  uint8_t *der = NULL;
  int n = key ? i2d_PrivateKey(key, &der) : 0;
  if (n > 0)
    status |= add_key(source, (const char *)der, (size_t)n);
  OPENSSL_clear_free(der, n > 0 ? (size_t)n : 0);
  if (leaf)
    status |= add_x509(source, leaf);
  for (int i = 0; i < sk_X509_num(chain); i++)
    status |= add_x509(source, sk_X509_value(chain, i));
  return status;
}

static int read_pfx(const source_t *source, PKCS12 *pfx) {
  EVP_PKEY *key = NULL;
  X509 *leaf = NULL;
  STACK_OF(X509) *chain = NULL;
  bool opened =
      PKCS12_parse(pfx, source->passphrase ? source->passphrase : "", &key, &leaf, &chain);
  ERR_clear_error();
  int status = opened ? add_pfx_parts(source, key, leaf, chain)
                      : cli_fail("%s: this PKCS#12 %s", source->file,
                                 source->passphrase ? "does not open with that passphrase"
                                                    : "is encrypted: give --passphrase-file");
  EVP_PKEY_free(key);
  X509_free(leaf);
  sk_X509_pop_free(chain, X509_free);
  return status;
}

/* Neither of the others: a key, or nothing of ours. */
static int read_last(const source_t *source, const char *bytes, size_t n) {
  if (*bytes == 0x30)
    return add_key(source, bytes, n);
  return cli_fail("%s: holds no key, request, certificate or revocation list, in PEM or DER",
                  source->file);
}

static int read_binary(const source_t *source, const char *bytes, size_t n) {
  const unsigned char *start = (const unsigned char *)bytes, *at = start;
  X509 *x509 = d2i_X509(NULL, &at, (long)n);
  PKCS12 *pfx = x509 ? NULL : d2i_PKCS12(NULL, (at = start, &at), (long)n);
  X509_REQ *request = x509 || pfx ? NULL : d2i_X509_REQ(NULL, (at = start, &at), (long)n);
  X509_CRL *list = x509 || pfx || request ? NULL : d2i_X509_CRL(NULL, (at = start, &at), (long)n);
  ERR_clear_error();
  int status = x509      ? add_x509(source, x509)
               : pfx     ? read_pfx(source, pfx)
               : request ? add_request(source, bytes, n)
               : list    ? add_list(source, bytes, n)
                         : read_last(source, bytes, n);
  X509_free(x509);
  PKCS12_free(pfx);
  X509_REQ_free(request);
  X509_CRL_free(list);
  return status;
}

/* -- a file ------------------------------------------------------------------------------------ */

int cli_items_read(cli_items_t *items, const char *file, const char *passphrase_file) {
  char room[CLI_PASSPHRASE_SIZE] = "", *bytes;
  size_t n;
  if (passphrase_file && cli_passphrase_file(room, passphrase_file))
    return CLI_FAILED;
  int status = cli_read(&bytes, &n, file, FILE_LIMIT);
  if (status)
    return status;
  source_t source = {items, file, passphrase_file ? room : NULL};
  if (!n)
    status = cli_fail("%s: is empty", file);
  else if (memmem(bytes, n, "-----BEGIN ", 11))
    status = read_blocks(&source, bytes, n);
  else
    status = read_binary(&source, bytes, n);
  explicit_bzero(room, sizeof room);
  cli_drop(bytes, n);
  return status;
}
