/* Dates as HTTP writes them: in English, whatever the locale. */
#include <string.h>

#include "http.h"

static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

const char *cli_http_date(char room[CLI_HTTP_DATE], time_t when) {
  struct tm tm;
  if (!gmtime_r(&when, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900)
    memset(&tm, 0, sizeof tm), tm.tm_mday = 1, tm.tm_year = 70, tm.tm_wday = 4;
  snprintf(room, CLI_HTTP_DATE, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[tm.tm_wday],
           (unsigned)tm.tm_mday % 100, months[tm.tm_mon], (unsigned)(tm.tm_year + 1900) % 10000,
           (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
  return room;
}

static int month_of(const char *name) {
  for (int i = 0; i < 12; i++)
    if (!strcmp(months[i], name))
      return i;
  return -1;
}

/* Two digits of a year are of the last fifty years or of the next fifty (RFC 9110 5.6.7). */
static int year_of(int two_digits) {
  time_t now = time(NULL);
  struct tm tm;
  int year = gmtime_r(&now, &tm) ? tm.tm_year + 1900 : 2000;
  int guess = year - year % 100 + two_digits;
  return guess > year + 50 ? guess - 100 : guess <= year - 50 ? guess + 100 : guess;
}

time_t cli_http_date_read(const char *text) {
  struct tm tm = {.tm_isdst = 0};
  char month[4];
  int year, n = 0;
  const char *after = strchr(text, ',');
  if (sscanf(text, "%*3[A-Za-z], %2d %3s %4d %2d:%2d:%2d GMT%n", &tm.tm_mday, month, &year,
             &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &n) == 6 &&
      n && !text[n]) {
  } else if (after &&
             sscanf(after, ", %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &tm.tm_mday, month, &year,
                    &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &n) == 6 &&
             n && !after[n]) {
    year = year_of(year);
  } else if (sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, &tm.tm_mday,
                    &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &year, &n) != 6 ||
             !n || text[n]) {
    return -1;
  }
  tm.tm_mon = month_of(month);
  tm.tm_year = year - 1900;
  if (tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour < 0 || tm.tm_hour > 23 ||
      tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60 || year < 1)
    return -1;
  return timegm(&tm);
}
