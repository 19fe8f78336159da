/* What is in a file, as one object that JSON output prints and text output tells. */
#ifndef CLI_DESCRIBE_H
#define CLI_DESCRIBE_H

#include <jansson.h>

#include "item.h"

/* An object with "file", "kind", facts and "problems" (sentences). The caller's to json_decref. */
json_t *cli_describe(const cli_item_t *item);

/* Sentences on what belongs to what: keys to certificates, certificates to their issuers. */
json_t *cli_relate(const cli_items_t *items);

#endif
