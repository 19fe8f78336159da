#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

/* -- texts of others --------------------------------------------------------------------------- */

#define TEXT_MOST (CLI_SENTENCE - 5) /* bytes of one text that are shown: a letter and NUL less */

/* C1 controls, which terminals obey, and what is invisible or turns the direction of writing. */
static bool is_deceptive(uint32_t code) {
  return (code >= 0x80 && code < 0xA0) || code == 0xAD || code == 0x61C ||
         (code >= 0x200B && code <= 0x200F) || (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2060 && code <= 0x206F) || code == 0xFEFF;
}

size_t cli_letter(const uint8_t *text, uint32_t *code) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t n = *text < 0xC2 ? 0 : *text < 0xE0 ? 2 : *text < 0xF0 ? 3 : *text < 0xF5 ? 4 : 0;
  *code = n ? *text & (0xFFu >> (n + 1)) : *text;
  if (*text < 0x80)
    return 1;
  for (size_t i = 1; i < n; i++) {
    if ((text[i] & 0xC0) != 0x80)
      return 0;
    *code = *code << 6 | (text[i] & 0x3F);
  }
  bool good = n && *code >= least[n] && *code <= 0x10FFFF && (*code < 0xD800 || *code > 0xDFFF);
  return good ? n : 0;
}

/* How many bytes the character at `text` has; 0: it is not one that may be shown. */
static size_t character(const uint8_t *text) {
  uint32_t code;
  size_t n = cli_letter(text, &code);
  return code < 0x20 || code == 0x7F || is_deceptive(code) ? 0 : n;
}

void cli_put_bytes(FILE *to, const void *bytes, size_t n, bool ascii, const char *but) {
  const uint8_t *at = bytes;
  for (size_t i = 0; i < n; i++) {
    bool is_control = at[i] < 0x20 || at[i] == 0x7F;
    if (is_control || (ascii && at[i] > 0x7F) || strchr(but, at[i]))
      fprintf(to, "\\x%02X", at[i]);
    else
      fputc(at[i], to);
  }
}

void cli_put_text(FILE *to, const char *text) {
  const uint8_t *at = (const uint8_t *)text, *stop = at + TEXT_MOST;
  while (*at && at < stop) {
    size_t n = character(at);
    if (n)
      fwrite(at, 1, n, to);
    else
      fprintf(to, "\\x%02X", *at);
    at += n ? n : 1;
  }
  if (*at)
    fputs("...", to);
}

char *cli_safe_text(const char *text) {
  char *safe = NULL;
  size_t n;
  FILE *to = open_memstream(&safe, &n);
  if (!to)
    return NULL;
  cli_put_text(to, text);
  if (fclose(to) == 0)
    return safe;
  free(safe);
  return NULL;
}

/* -- sentences --------------------------------------------------------------------------------- */

/* Names of files and words of the command line are in it, and what a peer or a certificate says.
 * It needs no memory: that there is none is often what has to be said. */
__attribute__((format(printf, 2, 0))) static void say(const char *what, const char *format,
                                                      va_list arguments) {
  char text[CLI_SENTENCE] = "";
  (void)vsnprintf(text, sizeof text, format, arguments);
  fprintf(stderr, "securepair: %s", what);
  cli_put_text(stderr, text);
  fputc('\n', stderr);
}

int cli_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  say("", format, arguments);
  va_end(arguments);
  return CLI_FAILED;
}

int cli_fail_with(const sp_error_t *why) {
  char room[CLI_ERROR_TEXT];
  return cli_fail("%s", cli_error_text(room, why));
}

void cli_warn(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  say("warning: ", format, arguments);
  va_end(arguments);
}

/* Without any. */
void cli_no_memory(void) {
  static const char text[] = "securepair: there is no memory left\n";
  (void)cli_write_all(STDERR_FILENO, text, sizeof text - 1);
  exit(CLI_FAILED);
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
