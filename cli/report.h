/* What there is to say of a connection. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <jansson.h>

#include "cli.h"

/* An object with all of it; the caller's to json_decref. `status` is the secure callback's. */
json_t *cli_report(sp_stream_t *stream, int status, const char *target);

/* The same for people, on standard error, so that standard output is the peer's. */
void cli_report_tell(const json_t *report);

#endif
