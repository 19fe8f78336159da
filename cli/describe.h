/* What is in a file, as one object that JSON output prints and text output tells. */
#ifndef CLI_DESCRIBE_H
#define CLI_DESCRIBE_H

#include <jansson.h>

#include "item.h"

/* An object with "file", "kind", facts and "problems" (sentences). The caller's to json_decref. */
json_t *cli_describe(const cli_item_t *item);

/* What belongs to what: keys to certificates, certificates to their issuers and to lists. Sentences
 * to say of it, and problems. */
void cli_relate(json_t *sentences, json_t *problems, const cli_items_t *items);

/* chain.c: the part that has to do with who signed whom. */
void cli_relate_chains(json_t *sentences, json_t *problems, const cli_items_t *items);

/* What to call a certificate in a sentence. */
const char *cli_name_of(const sp_certificate_t *certificate);

#endif
