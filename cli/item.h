/* What was found in files: keys, requests, certificates, revocation lists. */
#ifndef CLI_ITEM_H
#define CLI_ITEM_H

#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "problem.h"

typedef enum cli_kind { CLI_KEY, CLI_REQUEST, CLI_CERTIFICATE, CLI_LIST, CLI_UNKNOWN } cli_kind_t;

typedef struct cli_item {
  cli_kind_t kind;
  const char *file; /* that it is in, safe to show; items->files owns it */
  size_t line;      /* where it begins; 0: the file is no PEM text */
  bool encrypted;   /* in the file */
  union {
    sp_key_t *key;
    struct {
      sp_request_t *request;
      X509_REQ *x509_req; /* the same */
    };
    sp_certificate_t *certificate; /* alone, without a chain */
    X509_CRL *list;
    char *label; /* of a PEM block that is none of these */
  };
} cli_item_t;

typedef struct cli_items {
  cli_item_t *all;
  size_t count;
  char **files;
  size_t file_count;
  json_t *problems; /* of files as such; an array, there from the first file on */
} cli_items_t;

/* Adds what is in a file, in its order: PEM blocks, DER or PKCS#12. `passphrase` is for what is
 * encrypted; without one (NULL) it is asked for if there is a terminal. Answers an exit status;
 * what cannot be read is told on standard error. */
int cli_items_read(cli_items_t *items, const char *file, const char *passphrase);
void cli_items_free(cli_items_t *items);

/* -- for those who read a form of file: PEM, PKCS#12 ------------------------------------------- */

/* What is being read. */
typedef struct cli_source {
  cli_items_t *items;
  const char *file;       /* safe to show */
  size_t line;            /* 0: no PEM text */
  const char *passphrase; /* NULL: none was given */
} cli_source_t;

/* "FILE, line 12: ..." on standard error. Answers CLI_FAILED. */
int cli_source_fail(const cli_source_t *source, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

int cli_add_key(const cli_source_t *source, const void *bytes, size_t n, bool encrypted);
int cli_add_request(const cli_source_t *source, const void *der, size_t n);
int cli_add_certificate(const cli_source_t *source, const void *bytes, size_t n);
int cli_add_x509(const cli_source_t *source, X509 *x509);
int cli_add_list(const cli_source_t *source, const void *der, size_t n);
int cli_add_unknown(const cli_source_t *source, const char *label);

int cli_read_pem(cli_source_t *source, const char *text, size_t n); /* pem.c */
int cli_read_pfx(const cli_source_t *source, PKCS12 *pfx);          /* pfx.c */

#endif
