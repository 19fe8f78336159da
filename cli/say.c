#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

int cli_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("securepair: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  return CLI_FAILED;
}

int cli_fail_with(const sp_error_t *why) { return cli_fail("%s", why->text); }

void cli_warn(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("securepair: warning: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
}

/* https://no-color.org: any value but an empty one. */
static bool has_colours(FILE *to) {
  const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
  return !(none && *none) && term && strcmp(term, "dumb") != 0 && isatty(fileno(to));
}

const char *cli_tone(FILE *to, cli_tone_t tone) {
  static const char *const sequences[] = {"\033[32m", "\033[31m", "\033[2m", "\033[1m"};
  return has_colours(to) ? sequences[tone] : "";
}

const char *cli_plain(FILE *to) { return has_colours(to) ? "\033[0m" : ""; }

const char *cli_span(char room[40], int64_t when) {
  static const struct {
    int64_t seconds;
    const char *one, *many;
  } units[] = {{365 * 86400, "year", "years"},
               {86400, "day", "days"},
               {3600, "hour", "hours"},
               {60, "minute", "minutes"},
               {1, "second", "seconds"}};
  int64_t now = (int64_t)time(NULL), span = when > now ? when - now : now - when;
  size_t i = 0;
  /* "14 months" says more than "1 year" */
  while (i < 4 && span < (i ? units[i].seconds : 2 * units[i].seconds))
    i++;
  int64_t count = span / units[i].seconds;
  const char *unit = count == 1 ? units[i].one : units[i].many;
  if (when > now)
    snprintf(room, 40, "in %" PRId64 " %s", count, unit);
  else
    snprintf(room, 40, "%" PRId64 " %s ago", count, unit);
  return room;
}

const char *cli_date(char room[40], int64_t when) {
  time_t seconds = (time_t)when;
  struct tm tm;
  if (!gmtime_r(&seconds, &tm) || !strftime(room, 40, "%Y-%m-%d %H:%M UTC", &tm))
    snprintf(room, 40, "%" PRId64, when);
  return room;
}
