/* PEM text (RFC 7468): what stands around the blocks does not matter, but no block is passed over.
 */
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "item.h"

static const char begin[] = "-----BEGIN ", end[] = "-----END ";

static bool ends_with(const char *label, const char *what) {
  size_t n = strlen(label), m = strlen(what);
  return n >= m && !strcmp(label + n - m, what);
}

static void judge_form(const cli_source_t *source, const char *label) {
  if (!strcmp(label, PEM_STRING_X509_TRUSTED))
    cli_problem(source->items->problems, "trusted-certificate",
                "Write it as everybody has it: openssl x509 -in FILE -out FILE.pem",
                "The TRUSTED CERTIFICATE in %s is of a form that only OpenSSL reads.",
                source->file);
}

/* A block that OpenSSL can read. */
static int add_block(const cli_source_t *source, const char *text, size_t n, const char *label,
                     const char *header, const void *der, size_t der_size) {
  judge_form(source, label);
  if (ends_with(label, "PRIVATE KEY"))
    return cli_add_key(source, text, n, strstr(label, "ENCRYPTED") || strstr(header, "ENCRYPTED"));
  if (ends_with(label, "CERTIFICATE REQUEST"))
    return cli_add_request(source, der, der_size);
  if (ends_with(label, "CERTIFICATE"))
    return cli_add_certificate(source, text, n);
  if (!strcmp(label, PEM_STRING_X509_CRL))
    return cli_add_list(source, der, der_size);
  return cli_add_unknown(source, label);
}

static int read_block(const cli_source_t *source, const char *text, size_t n) {
  char *label = NULL, *header = NULL;
  unsigned char *der = NULL;
  long der_size = 0;
  BIO *bio = BIO_new_mem_buf(text, (int)n);
  bool good = bio && PEM_read_bio(bio, &label, &header, &der, &der_size);
  ERR_clear_error();
  int status =
      good ? add_block(source, text, n, label, header, der, (size_t)der_size)
           : cli_source_fail(source,
                             "the block \"%.*s\" is damaged: was the text cut or "
                             "changed?",
                             (int)strcspn(text + strlen(begin), "-\r\n"), text + strlen(begin));
  BIO_free(bio);
  OPENSSL_free(label);
  OPENSSL_free(header);
  OPENSSL_clear_free(der, (size_t)der_size);
  return status;
}

static const char *find(const char *from, const char *stop, const char *what) {
  return memmem(from, (size_t)(stop - from), what, strlen(what));
}

/* Behind the block that begins at `text`: its END line, or where the next one begins without. */
static const char *end_of(const char *text, const char *stop) {
  const char *next = find(text + strlen(begin), stop, begin);
  const char *last = find(text, next ? next : stop, end);
  if (!last)
    return next ? next : stop;
  const char *line = memchr(last, '\n', (size_t)(stop - last));
  line = line ? line + 1 : stop;
  return next && next < line ? next : line; /* two on one line */
}

static size_t count_lines(const char *from, const char *to) {
  size_t count = 0;
  while ((from = memchr(from, '\n', (size_t)(to - from)))) {
    from++;
    count++;
  }
  return count;
}

int cli_read_pem(cli_source_t *source, const char *text, size_t n) {
  const char *stop = text + n, *counted = text, *next = text;
  int status = CLI_OK;
  source->line = 1;
  while ((text = find(next, stop, begin))) {
    source->line += count_lines(counted, text);
    counted = text;
    next = end_of(text, stop);
    status |= read_block(source, text, (size_t)(next - text));
  }
  return status;
}
