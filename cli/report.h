/* What there is to say of a connection, as an object; and the same for people, on standard error,
 * so that standard output is the peer's. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "connect.h"

/* `stream` may be NULL, where none was made. The caller's to json_decref. */
json_t *cli_report(const cli_connect_t *connect, sp_stream_t *stream);

/* What went wrong, and the remedy. */
void cli_report_fail(json_t *report, const cli_connect_t *connect, const sp_error_t *error);

/* The session that came. */
void cli_report_session(json_t *report, sp_stream_t *stream);

void cli_tell(const json_t *report);
void cli_tell_session(const json_t *report);

#endif
