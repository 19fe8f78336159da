#include "item.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#define FILE_LIMIT ((size_t)16 << 20)

static void *grow(void *all, size_t count, size_t size) {
  if (count & (count - 1)) /* room is doubled when a power of two is reached */
    return all;
  all = realloc(all, (count ? 2 * count : 1) * size);
  if (!all)
    cli_no_memory();
  return all;
}

static cli_item_t *add(const cli_source_t *source, cli_kind_t kind) {
  cli_items_t *items = source->items;
  items->all = grow(items->all, items->count, sizeof *items->all);
  cli_item_t *item = items->all + items->count++;
  *item = (cli_item_t){.kind = kind, .file = source->file, .line = source->line, .key = NULL};
  return item;
}

static void free_item(cli_item_t *item) {
  switch (item->kind) {
  case CLI_KEY:
    sp_key_release(item->key);
    break;
  case CLI_REQUEST:
    sp_request_release(item->request);
    X509_REQ_free(item->x509_req);
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
  for (size_t i = 0; i < items->file_count; i++)
    free(items->files[i]);
  free(items->files);
  free(items->all);
  json_decref(items->problems);
  *items = (cli_items_t){.all = NULL};
}

/* -- one thing at a time ----------------------------------------------------------------------- */

int cli_source_fail(const cli_source_t *source, const char *format, ...) {
  va_list arguments;
  char text[CLI_SENTENCE] = "";
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (source->line)
    (void)cli_fail("%s, line %zu: %s", source->file, source->line, text);
  else
    (void)cli_fail("%s: %s", source->file, text);
  return CLI_FAILED;
}

/* The library's sentence without its first word, "key: ", for which we have the file. */
static int told(const cli_source_t *source, const sp_error_t *why) {
  const char *colon = strstr(why->text, ": ");
  return cli_source_fail(source, "%s", colon ? colon + 2 : why->text);
}

int cli_add_key(const cli_source_t *source, const void *bytes, size_t n, bool encrypted) {
  char room[CLI_PASSPHRASE_SIZE] = "";
  sp_key_t *key;
  sp_error_t why;
  int status = sp_key_read(&key, bytes, n, source->passphrase, &why);
  bool asks = status == SP_EPASSPHRASE && !source->passphrase;
  if (asks && cli_ask_passphrase(room, source->file))
    status = sp_key_read(&key, bytes, n, room, &why);
  else if (asks)
    return cli_source_fail(source, "this private key is encrypted: give --passphrase-file");
  explicit_bzero(room, sizeof room);
  if (status < 0)
    return told(source, &why);
  cli_item_t *item = add(source, CLI_KEY);
  item->key = key;
  item->encrypted = encrypted || asks;
  return CLI_OK;
}

int cli_add_request(const cli_source_t *source, const void *der, size_t n) {
  sp_request_t *request;
  sp_error_t why;
  if (sp_request_read(&request, der, n, &why) < 0)
    return told(source, &why);
  const unsigned char *at = der;
  cli_item_t *item = add(source, CLI_REQUEST);
  item->request = request;
  item->x509_req = d2i_X509_REQ(NULL, &at, (long)n);
  return CLI_OK;
}

int cli_add_certificate(const cli_source_t *source, const void *bytes, size_t n) {
  sp_certificate_t *certificate;
  sp_error_t why;
  if (sp_certificate_read(&certificate, bytes, n, &why) < 0)
    return told(source, &why);
  add(source, CLI_CERTIFICATE)->certificate = certificate;
  return CLI_OK;
}

int cli_add_x509(const cli_source_t *source, X509 *x509) {
  sp_certificate_t *certificate;
  sp_error_t why;
  if (sp_certificate_from_x509(&certificate, x509, &why) < 0)
    return told(source, &why);
  add(source, CLI_CERTIFICATE)->certificate = certificate;
  return CLI_OK;
}

int cli_add_list(const cli_source_t *source, const void *der, size_t n) {
  const unsigned char *at = der;
  X509_CRL *list = d2i_X509_CRL(NULL, &at, (long)n);
  ERR_clear_error();
  if (!list)
    return cli_source_fail(source, "this revocation list is damaged");
  add(source, CLI_LIST)->list = list;
  return CLI_OK;
}

int cli_add_unknown(const cli_source_t *source, const char *label) {
  char *safe = cli_safe_text(label);
  if (!safe)
    cli_no_memory();
  add(source, CLI_UNKNOWN)->label = safe;
  return CLI_OK;
}

/* -- DER --------------------------------------------------------------------------------------- */

/* Neither of the others: a key, or nothing of ours. */
static int read_last(const cli_source_t *source, const char *bytes, size_t n) {
  if (*bytes == 0x30)
    return cli_add_key(source, bytes, n, false);
  if (n > 1 && (!memcmp(bytes, "\xff\xfe", 2) || !memcmp(bytes, "\xfe\xff", 2)))
    return cli_source_fail(source, "this is UTF-16 text: save it as plain ASCII");
  return cli_source_fail(source,
                         "holds no key, request, certificate or revocation list, in PEM or DER");
}

static int read_der(const cli_source_t *source, const char *bytes, size_t n) {
  const unsigned char *start = (const unsigned char *)bytes, *at = start;
  X509 *x509 = d2i_X509(NULL, &at, (long)n);
  PKCS12 *pfx = x509 ? NULL : d2i_PKCS12(NULL, (at = start, &at), (long)n);
  X509_REQ *request = x509 || pfx ? NULL : d2i_X509_REQ(NULL, (at = start, &at), (long)n);
  X509_CRL *list = x509 || pfx || request ? NULL : d2i_X509_CRL(NULL, (at = start, &at), (long)n);
  ERR_clear_error();
  int status = x509      ? cli_add_certificate(source, bytes, n)
               : pfx     ? cli_read_pfx(source, pfx)
               : request ? cli_add_request(source, bytes, n)
               : list    ? cli_add_list(source, bytes, n)
                         : read_last(source, bytes, n);
  X509_free(x509);
  PKCS12_free(pfx);
  X509_REQ_free(request);
  X509_CRL_free(list);
  return status;
}

/* -- a file ------------------------------------------------------------------------------------ */

static const char *keep_name(cli_items_t *items, const char *file) {
  char *safe = cli_safe_text(strcmp(file, "-") ? file : "standard input");
  if (!safe)
    cli_no_memory();
  items->files = grow(items->files, items->file_count, sizeof *items->files);
  return items->files[items->file_count++] = safe;
}

static void warn_if_open(const cli_items_t *items, size_t since, const char *file) {
  bool has_key = false;
  for (; since < items->count; since++)
    has_key = has_key || items->all[since].kind == CLI_KEY;
  if (has_key && cli_others_can_read(file))
    cli_warn("%s: others can read this private key: chmod 600 %s", file, file);
}

int cli_items_read(cli_items_t *items, const char *file, const char *passphrase) {
  char *bytes;
  size_t n, since = items->count;
  if (!items->problems)
    items->problems = json_array();
  int status = cli_read(&bytes, &n, file, FILE_LIMIT);
  if (status)
    return status;
  cli_source_t source = {items, keep_name(items, file), 0, passphrase};
  if (!n)
    status = cli_source_fail(&source, "is empty");
  else if (memmem(bytes, n, "-----BEGIN ", 11))
    status = cli_read_pem(&source, bytes, n);
  else
    status = read_der(&source, bytes, n);
  cli_drop(bytes, n);
  warn_if_open(items, since, file);
  return status;
}
