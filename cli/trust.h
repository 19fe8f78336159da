/* How clients on this machine come to trust a root. */
#ifndef CLI_TRUST_H
#define CLI_TRUST_H

#include "cli.h"

/* Says in plain words how to trust the root in the file `path`, or that the machine does already.
 */
void cli_trust_tell(const sp_certificate_t *root, const char *path);

/* Puts it into the system's store, Debian's, or takes it out; by sudo if need be. Answers an exit
 * status. */
int cli_trust_system(const sp_certificate_t *root, const char *path, bool trust);

#endif
