/* What was found in files: keys, requests, certificates, revocation lists. */
#ifndef CLI_ITEM_H
#define CLI_ITEM_H

#include <openssl/x509.h>

#include "cli.h"

typedef enum cli_kind { CLI_KEY, CLI_REQUEST, CLI_CERTIFICATE, CLI_LIST, CLI_UNKNOWN } cli_kind_t;

typedef struct cli_item {
  cli_kind_t kind;
  const char *file; /* that it is in */
  union {
    sp_key_t *key;
    sp_request_t *request;
    sp_certificate_t *certificate; /* alone, without a chain */
    X509_CRL *list;
    char *label; /* of a PEM block that is none of these */
  };
} cli_item_t;

typedef struct cli_items {
  cli_item_t *all;
  size_t count;
} cli_items_t;

/* Adds what is in a file, in its order: PEM blocks, DER or PKCS#12. Answers an exit status; what
 * cannot be read is told on standard error. */
int cli_items_read(cli_items_t *items, const char *file, const char *passphrase_file);
void cli_items_free(cli_items_t *items);

#endif
