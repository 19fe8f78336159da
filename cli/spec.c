#include <time.h>

#include "cli.h"

#define DAYS_MOST 36500

int cli_spec_of(sp_certificate_spec_t *made, const cli_spec_t *spec) {
  if (spec->client && spec->both)
    return cli_fail("--client and --both: which is it?");
  if (spec->days < 0 || spec->days > DAYS_MOST)
    return cli_fail("--days %d: 1 to %d are possible", spec->days, DAYS_MOST);
  *made = *SP_CERTIFICATE(.subject = spec->subject, .names = spec->names,
                          .must_staple = spec->must_staple != 0);
  made->purpose = spec->client ? SP_FOR_CLIENT : spec->both ? SP_FOR_BOTH : SP_FOR_SERVER;
  if (spec->days)
    made->valid_to = (int64_t)time(NULL) + (int64_t)spec->days * 86400;
  return CLI_OK;
}
