#include <time.h>

#include "cli.h"

int64_t cli_end_of(int days) {
  return days == CLI_NOT_SAID ? 0 : (int64_t)time(NULL) + (int64_t)days * 86400;
}

int cli_spec_of(sp_certificate_spec_t *made, const cli_spec_t *spec) {
  if (spec->client && spec->both)
    return cli_fail("--client and --both: which is it?");
  if (spec->days != CLI_NOT_SAID && cli_check_number("--days", spec->days, 1, CLI_DAYS_MOST))
    return CLI_FAILED;
  *made = *SP_CERTIFICATE(.subject = spec->subject, .names = spec->names,
                          .must_staple = spec->must_staple != 0);
  made->purpose = spec->client ? SP_FOR_CLIENT : spec->both ? SP_FOR_BOTH : SP_FOR_SERVER;
  made->valid_to = cli_end_of(spec->days);
  return CLI_OK;
}
