/* Certificates from PEM and DER. The PEM reader is our own, because OpenSSL's skips what it does
 * not understand: a block behind a byte-order mark or glued to the one before would be missing
 * from the chain without a word. */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "certificate/view.h"

enum { FILE_LIMIT = 4 << 20 };

typedef struct text {
  const char *at, *end;
} text_t;

/* What is read from, for the errors. */
typedef struct source {
  const char *name;
  sp_error_t *why;
} source_t;

__attribute__((format(printf, 2, 3))) static int refuse(const source_t *source, const char *format,
                                                        ...) {
  char text[sizeof source->why->text];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return sp__fail(source->why, SP_ECERTIFICATE, SP_US, "%s: %s", source->name, text);
}

/* What people give in place of a certificate, and what they should do with it. */
static const char a_key[] = "this is a private key, not a certificate: give it as key";
static const char a_request[] = "this is a certificate request: an authority has to sign it first";
static const char a_crl[] = "this is a revocation list, not a certificate: give it as crl";
static const char a_pfx[] = "this is PKCS#12, which holds a key as well: give it as pfx";
static const char damaged[] = "damaged: it is not valid DER";

/* -- PEM (RFC 7468) ---------------------------------------------------------------------------- */

static const char *find(text_t in, const char *what) {
  return memmem(in.at, (size_t)(in.end - in.at), what, strlen(what));
}

typedef struct block {
  text_t label, body;
} block_t;

/* Moves behind `what` if the text begins with it. */
static bool skip(text_t *in, const char *what, size_t n) {
  if ((size_t)(in->end - in->at) < n || memcmp(in->at, what, n) != 0)
    return false;
  in->at += n;
  return true;
}

/* The next block behind in->at, which moves after it. 1: found, 0: no more, < 0: broken. */
static int next_block(block_t *block, text_t *in, const source_t *source) {
  static const char begin[] = "-----BEGIN ", end[] = "-----END ", dashes[] = "-----";
  const char *start = find(*in, begin);
  if (!start)
    return 0;
  text_t rest = {start + strlen(begin), in->end};
  const char *close = find(rest, dashes);
  if (!close || memchr(rest.at, '\n', (size_t)(close - rest.at)) || close - rest.at > 64)
    return refuse(source, "a BEGIN line of the PEM text is broken");
  block->label = (text_t){rest.at, close};
  size_t size = (size_t)(close - rest.at);
  rest.at = close + strlen(dashes);
  const char *stop = find(rest, dashes);
  block->body = (text_t){rest.at, stop};
  rest.at = stop ? stop : rest.end;
  if (!skip(&rest, end, strlen(end)))
    return refuse(source, "the END line of \"%.*s\" is missing: was the text cut?", (int)size,
                  block->label.at);
  if (!skip(&rest, block->label.at, size) || !skip(&rest, dashes, strlen(dashes)))
    return refuse(source, "the END line of \"%.*s\" is broken", (int)size, block->label.at);
  in->at = rest.at;
  return 1;
}

static bool is(text_t text, const char *what) {
  size_t n = strlen(what);
  return (size_t)(text.end - text.at) == n && memcmp(text.at, what, n) == 0;
}

static bool ends_with(text_t text, const char *what) {
  size_t n = strlen(what);
  return (size_t)(text.end - text.at) >= n && memcmp(text.end - n, what, n) == 0;
}

static bool is_certificate(text_t label) {
  return is(label, PEM_STRING_X509) || is(label, PEM_STRING_X509_OLD) ||
         is(label, PEM_STRING_X509_TRUSTED);
}

static int refuse_label(text_t label, const source_t *source) {
  if (ends_with(label, "PRIVATE KEY"))
    return refuse(source, "%s", a_key);
  if (ends_with(label, "CERTIFICATE REQUEST"))
    return refuse(source, "%s", a_request);
  if (is(label, PEM_STRING_X509_CRL))
    return refuse(source, "%s", a_crl);
  if (ends_with(label, "PUBLIC KEY"))
    return refuse(source, "this is a public key, not a certificate");
  if (is(label, PEM_STRING_PKCS7) || is(label, "CMS"))
    return refuse(source, "this is a PKCS#7 bundle: unpack it with openssl pkcs7 -print_certs");
  return refuse(source, "there is no certificate in it, but \"%.*s\"", (int)(label.end - label.at),
                label.at);
}

/* The bytes of base64 text; room has at least as many as the text. Below 0: not base64. */
static int decode(uint8_t *room, text_t body) {
  EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
  int n = 0, rest = 0;
  if (!ctx)
    return -1;
  EVP_DecodeInit(ctx);
  bool good =
      EVP_DecodeUpdate(ctx, room, &n, (const uint8_t *)body.at, (int)(body.end - body.at)) >= 0 &&
      EVP_DecodeFinal(ctx, room + n, &rest) >= 0;
  EVP_ENCODE_CTX_free(ctx);
  return good ? n + rest : -1;
}

/* -- certificates ------------------------------------------------------------------------------ */

typedef struct chain {
  sp_certificate_t *first, *last;
} chain_t;

static int append(chain_t *chain, X509 *x509, sp_error_t *why) {
  sp_certificate_t *view;
  int status = sp_certificate_from_x509(&view, x509, why);
  if (status < 0)
    return status;
  if (chain->last)
    chain->last->next = view;
  else
    chain->first = view;
  chain->last = view;
  return 0;
}

static bool is_out_of_memory(void) {
  return ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;
}

static int append_decoded(chain_t *chain, const uint8_t *der, int n, text_t label,
                          const source_t *source) {
  const uint8_t *at = der;
  bool trusted = is(label, PEM_STRING_X509_TRUSTED);
  X509 *x509 = trusted ? d2i_X509_AUX(NULL, &at, n) : d2i_X509(NULL, &at, n);
  if (!x509 && is_out_of_memory())
    return sp__fail_memory(source->why);
  int status;
  if (!x509)
    status = refuse(source, "%s", damaged);
  else if (at != der + n)
    status = refuse(source, "damaged: %d bytes follow the certificate", (int)(der + n - at));
  else
    status = append(chain, x509, source->why);
  X509_free(x509);
  return status;
}

static int append_block(chain_t *chain, block_t block, const source_t *source) {
  uint8_t *der = sp__alloc((size_t)(block.body.end - block.body.at) + 3);
  if (!der)
    return sp__fail_memory(source->why);
  int n = decode(der, block.body), status;
  if (n >= 0)
    status = append_decoded(chain, der, n, block.label, source);
  else if (find(block.body, "\\n"))
    status = refuse(source, "its lines end with the two characters \\n in place of a line break");
  else
    status = refuse(source, "damaged: it is not base64");
  sp__free(der);
  return status;
}

static int read_pem(chain_t *chain, text_t in, const source_t *source) {
  block_t block, other = {.label = {NULL, NULL}};
  int status;
  while ((status = next_block(&block, &in, source)) > 0) {
    if (!is_certificate(block.label))
      other = other.label.at ? other : block;
    else if ((status = append_block(chain, block, source)) < 0)
      return status;
  }
  if (status < 0 || chain->first)
    return status;
  if (other.label.at)
    return refuse_label(other.label, source);
  return refuse(source, "there is no certificate in it: PEM text has a line "
                        "\"-----BEGIN CERTIFICATE-----\"");
}

/* -- DER --------------------------------------------------------------------------------------- */

static const char *kind_of(const uint8_t *start, long n) {
  const uint8_t *at = start;
  EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, n);
  EVP_PKEY_free(key);
  X509_REQ *request = d2i_X509_REQ(NULL, (at = start, &at), n);
  X509_REQ_free(request);
  PKCS12 *pfx = d2i_PKCS12(NULL, (at = start, &at), n);
  PKCS12_free(pfx);
  X509_CRL *crl = d2i_X509_CRL(NULL, (at = start, &at), n);
  X509_CRL_free(crl);
  return key ? a_key : request ? a_request : pfx ? a_pfx : crl ? a_crl : damaged;
}

static int read_der(chain_t *chain, text_t in, const source_t *source) {
  const uint8_t *at = (const uint8_t *)in.at;
  X509 *x509 = d2i_X509(NULL, &at, in.end - in.at);
  bool out_of_memory = !x509 && is_out_of_memory();
  X509_free(x509);
  if (out_of_memory)
    return sp__fail_memory(source->why);
  if (!x509)
    return refuse(source, "%s", kind_of((const uint8_t *)in.at, in.end - in.at));
  return append_decoded(chain, (const uint8_t *)in.at, (int)(in.end - in.at), (text_t){"", ""},
                        source);
}

/* -- the calls --------------------------------------------------------------------------------- */

static bool is_utf16(text_t in) {
  return in.end - in.at >= 2 && (!memcmp(in.at, "\xff\xfe", 2) || !memcmp(in.at, "\xfe\xff", 2));
}

static bool is_blank(text_t in) {
  while (in.at < in.end && strchr(" \t\r\n", *in.at) && *in.at)
    in.at++;
  return in.at == in.end;
}

static int read_any(chain_t *chain, text_t in, const source_t *source) {
  if (is_blank(in))
    return refuse(source, "it is empty: a certificate in PEM or DER is needed");
  if (in.end - in.at > INT_MAX / 2)
    return refuse(source, "it is too large for a certificate");
  if (is_utf16(in))
    return refuse(source, "it is UTF-16 text: save it as plain ASCII");
  if (*in.at == 0x30 && !find(in, "-----BEGIN "))
    return read_der(chain, in, source);
  const char *nul = memchr(in.at, 0, (size_t)(in.end - in.at));
  if (nul)
    return refuse(source, "there is a NUL byte at offset %zd: neither PEM nor DER",
                  (ssize_t)(nul - in.at));
  return read_pem(chain, in, source);
}

static int read_from(sp_certificate_t **certificate, text_t in, const source_t *source) {
  chain_t chain = {NULL, NULL};
  ERR_set_mark();
  int status = read_any(&chain, in, source);
  ERR_pop_to_mark();
  if (status < 0)
    sp_certificate_release(chain.first);
  *certificate = status < 0 ? NULL : chain.first;
  return status;
}

int sp_certificate_read(sp_certificate_t **certificate, const void *bytes, size_t n,
                        sp_error_t *why) {
  const char *at = bytes ? bytes : "";
  return read_from(certificate, (text_t){at, at + (bytes ? n : 0)},
                   &(source_t){"certificate", why});
}

int sp_certificate_read_file(sp_certificate_t **certificate, const char *path, sp_error_t *why) {
  char *bytes;
  size_t n;
  *certificate = NULL;
  int status = sp__file_read(&bytes, &n, path, FILE_LIMIT, why);
  if (status < 0)
    return status;
  status = read_from(certificate, (text_t){bytes, bytes + n}, &(source_t){path, why});
  sp__file_release(bytes);
  return status;
}
