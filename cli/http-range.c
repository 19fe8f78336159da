/* Which parts of a content a Range header line asks for (RFC 9110 14.1.2, 14.2). */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "http.h"

/* Digits only: no sign, no space. A number beyond all files is as good as the largest. */
static const char *read_number(int64_t *number, const char *at) {
  if (!isdigit((unsigned char)*at))
    return NULL;
  for (*number = 0; isdigit((unsigned char)*at); at++)
    *number = *number > (INT64_MAX - 9) / 10 ? INT64_MAX / 2 : *number * 10 + (*at - '0');
  return at;
}

/* "0-99", "100-" or "-100". NULL: malformed. A range beyond the end has size 0. */
static const char *read_range(cli_http_range_t *range, const char *at, int64_t size) {
  int64_t first, last = size - 1;
  if (*at == '-') {
    at = read_number(&first, at + 1);
    if (!at)
      return NULL;
    range->size = first < size ? first : size;
    range->from = size - range->size;
    return at;
  }
  at = read_number(&first, at);
  if (!at || *at != '-')
    return NULL;
  if (isdigit((unsigned char)*++at)) {
    at = read_number(&last, at);
    if (last < first)
      return NULL;
  }
  range->from = first;
  range->size = first >= size ? 0 : (last < size ? last + 1 : size) - first;
  return at;
}

static bool overlaps(const cli_http_range_t *ranges, int count, const cli_http_range_t *one) {
  for (int i = 0; i < count; i++)
    if (one->from < ranges[i].from + ranges[i].size && ranges[i].from < one->from + one->size)
      return true;
  return false;
}

static const char *skip(const char *at) { return at + strspn(at, " \t"); }

int cli_http_ranges(cli_http_range_t ranges[CLI_HTTP_RANGES], const char *text, int64_t size) {
  int count = 0, asked = 0;
  if (strncasecmp(text, "bytes=", 6) != 0)
    return -1;
  for (const char *at = skip(text + 6); *at;) {
    cli_http_range_t one = {0, 0};
    if (*at == ',') { /* an empty element of the list */
      at = skip(at + 1);
      continue;
    }
    at = read_range(&one, at, size);
    if (!at || ++asked > CLI_HTTP_RANGES || (*(at = skip(at)) && *at != ',') ||
        (one.size && overlaps(ranges, count, &one)))
      return -1;
    if (one.size)
      ranges[count++] = one;
  }
  return asked ? count : -1;
}
