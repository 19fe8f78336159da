/* What an option brought: a text or the bytes of a file, under the name that the user knows. */
#ifndef SP_CONTEXT_INPUT_H
#define SP_CONTEXT_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/bio.h>

#include <securepair/error.h>

typedef struct sp__input {
  char name[128];    /* "key", "ca[1]", "cert_file server.pem": for errors */
  const char *bytes; /* without a byte order mark */
  size_t n;
  char *owned;    /* of a file: all its bytes; NULL for a text */
  const char *at; /* where the search for PEM blocks goes on */
  unsigned line;
} sp__input_t;

/* One block of a PEM text (RFC 7468), from its BEGIN line to its END line. */
typedef struct sp__block {
  const char *label; /* "RSA PRIVATE KEY": not NUL-terminated */
  int label_size;
  const char *bytes;
  size_t n;
  unsigned line; /* of its beginning, from 1 */
} sp__block_t;

/* Opens one entry of an option that is a text, respectively a path. `index` below 0: no list.
 * `status` is the error of an input that is too large or has a NUL byte in it. */
int sp__input_text(sp__input_t *input, const char *option, int index, const char *text,
                   size_t limit, int status, sp_error_t *why);
int sp__input_file(sp__input_t *input, const char *option, const char *path, size_t limit,
                   int status, sp_error_t *why);

/* Bytes that are never PEM: PKCS#12. */
int sp__input_binary(sp__input_t *input, const char *option, const void *bytes, size_t n,
                     const char *path, size_t limit, int status, sp_error_t *why);

/* Wipes what was read from a file. Also after an opening that failed. */
void sp__input_close(sp__input_t *input);

/* Whether it looks like DER rather than PEM. */
bool sp__input_is_der(const sp__input_t *input);

/* The next block: 1 with a block, 0 at the end, `status` for one that does not end. */
int sp__input_next(sp__input_t *input, sp__block_t *block, int status, sp_error_t *why);

/* Back to the first block. */
void sp__input_rewind(sp__input_t *input);

bool sp__block_is(const sp__block_t *block, const char *label);
bool sp__block_is_certificate(const sp__block_t *block);
bool sp__block_is_key(const sp__block_t *block);

/* Parameters that tools write in front of a key and that nobody needs. */
bool sp__block_is_parameters(const sp__block_t *block);

/* A BIO that reads the block. NULL: no memory. */
BIO *sp__block_bio(const sp__block_t *block);

#endif
