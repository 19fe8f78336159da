/* From the target of a request to a path below the folder. */
#include <ctype.h>
#include <string.h>

#include "www.h"

static int digit(char c) {
  return isdigit((unsigned char)c)    ? c - '0'
         : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
                                      : -1;
}

/* One byte of it, which may be written as "%2F". -1: malformed; -2: a slash or NUL in disguise,
 * which no name has. */
static int decode(const char **at) {
  int c = (unsigned char)*(*at)++;
  if (c != '%')
    return c;
  int high = digit((*at)[0]), low = high < 0 ? -1 : digit((*at)[1]);
  if (low < 0)
    return -1;
  *at += 2;
  c = high * 16 + low;
  return c == '\0' || c == '/' ? -2 : c;
}

/* Whether the part of the path that begins there is one that is not shown: "..", ".git". */
static bool is_hidden(const char *room, const char *part) {
  return *part == '.' &&
         !(part == room && (!strcmp(part, ".well-known") || !strncmp(part, ".well-known/", 12)));
}

static bool has_hidden(const char *room) {
  for (const char *part = room; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
    if (is_hidden(room, part))
      return true;
  return false;
}

int cli_www_path(char room[CLI_WWW_PATH], const char *target) {
  size_t n = 0;
  if (*target != '/')
    return 400;
  for (const char *at = target + 1; *at && *at != '?';) {
    bool slash = *at == '/';
    int c = decode(&at);
    if (c < 0)
      return c == -1 ? 400 : 404;
    if (slash && (n == 0 || room[n - 1] == '/'))
      continue; /* an empty part */
    if (n + 2 > CLI_WWW_PATH)
      return 404;
    room[n++] = (char)c;
  }
  room[n] = '\0';
  return has_hidden(room) ? 404 : 200;
}

void cli_www_print_path(FILE *to, const char *path) {
  for (; *path; path++)
    if (isalnum((unsigned char)*path) || strchr("/-._~", *path))
      fputc(*path, to);
    else
      fprintf(to, "%%%02X", (unsigned char)*path);
}
