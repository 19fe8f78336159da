/* What one can do about a failure of `connect`, in terms of its options. */
#ifndef CLI_REMEDY_H
#define CLI_REMEDY_H

#include "cli.h"

/* A sentence or two; NULL: the error's own text says it all. `port` is that of the server; 0: none.
 * A constant, or in `room`. */
const char *cli_remedy(char room[160], const sp_error_t *error, int port, bool with_starttls);

#endif
