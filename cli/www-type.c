/* Which type a file has, by the end of its name: what the web knows best, then the system's list.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "www.h"

struct cli_www_types {
  json_t *by_end; /* "html": "text/html" */
};

static const struct {
  const char *end, *type;
} known[] = {{"html", "text/html; charset=utf-8"},
             {"htm", "text/html; charset=utf-8"},
             {"xhtml", "application/xhtml+xml"},
             {"css", "text/css; charset=utf-8"},
             {"js", "text/javascript; charset=utf-8"},
             {"mjs", "text/javascript; charset=utf-8"},
             {"json", "application/json"},
             {"map", "application/json"},
             {"webmanifest", "application/manifest+json"},
             {"wasm", "application/wasm"},
             {"xml", "application/xml"},
             {"txt", "text/plain; charset=utf-8"},
             {"text", "text/plain; charset=utf-8"},
             {"log", "text/plain; charset=utf-8"},
             {"conf", "text/plain; charset=utf-8"},
             {"md", "text/markdown; charset=utf-8"},
             {"csv", "text/csv; charset=utf-8"},
             {"vtt", "text/vtt; charset=utf-8"},
             {"ics", "text/calendar; charset=utf-8"},
             {"c", "text/plain; charset=utf-8"},
             {"h", "text/plain; charset=utf-8"},
             {"py", "text/plain; charset=utf-8"},
             {"sh", "text/plain; charset=utf-8"},
             {"yaml", "application/yaml"},
             {"yml", "application/yaml"},
             {"pem", "application/x-pem-file"},
             {"crt", "application/x-x509-ca-cert"},
             {"crl", "application/pkix-crl"},
             {"png", "image/png"},
             {"jpg", "image/jpeg"},
             {"jpeg", "image/jpeg"},
             {"gif", "image/gif"},
             {"webp", "image/webp"},
             {"avif", "image/avif"},
             {"svg", "image/svg+xml"},
             {"ico", "image/x-icon"},
             {"bmp", "image/bmp"},
             {"mp4", "video/mp4"},
             {"webm", "video/webm"},
             {"mov", "video/quicktime"},
             {"mp3", "audio/mpeg"},
             {"ogg", "audio/ogg"},
             {"opus", "audio/ogg"},
             {"flac", "audio/flac"},
             {"wav", "audio/wav"},
             {"m4a", "audio/mp4"},
             {"woff", "font/woff"},
             {"woff2", "font/woff2"},
             {"ttf", "font/ttf"},
             {"otf", "font/otf"},
             {"pdf", "application/pdf"},
             {"zip", "application/zip"},
             {"gz", "application/gzip"},
             {"tgz", "application/gzip"},
             {"bz2", "application/x-bzip2"},
             {"xz", "application/x-xz"},
             {"zst", "application/zstd"},
             {"tar", "application/x-tar"},
             {"deb", "application/vnd.debian.binary-package"},
             {"iso", "application/octet-stream"},
             {"bin", "application/octet-stream"},
             {"exe", "application/octet-stream"}};

/* "type/subtype end end ...", or a comment. Texts of the system's list are taken for UTF-8 too. */
static void read_line(json_t *by_end, char *line) {
  static const char space[] = " \t\r\n";
  char *rest, typed[128], *type = strtok_r(line, space, &rest), *end;
  if (!type || *type == '#')
    return;
  int n = snprintf(typed, sizeof typed, "%s%s", type,
                   strncmp(type, "text/", 5) ? "" : "; charset=utf-8");
  if (n < 0 || (size_t)n >= sizeof typed)
    return;
  while ((end = strtok_r(NULL, space, &rest)))
    if (!json_object_get(by_end, end))
      (void)json_object_set_new(by_end, end, json_string(typed));
}

cli_www_types_t *cli_www_types_new(const char *mime_types) {
  cli_www_types_t *types = malloc(sizeof *types);
  if (!types)
    return NULL;
  types->by_end = json_object();
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    (void)json_object_set_new(types->by_end, known[i].end, json_string(known[i].type));
  FILE *list = fopen(mime_types, "re");
  char *line = NULL;
  size_t room = 0;
  while (list && getline(&line, &room, list) >= 0)
    read_line(types->by_end, line);
  free(line);
  if (list)
    (void)fclose(list);
  return types;
}

void cli_www_types_free(cli_www_types_t *types) {
  if (types)
    json_decref(types->by_end);
  free(types);
}

const char *cli_www_type(const cli_www_types_t *types, const char *name) {
  const char *slash = strrchr(name, '/'), *dot = strrchr(slash ? slash : name, '.');
  char end[32];
  size_t n = dot ? strlen(dot + 1) : 0;
  if (!n || n >= sizeof end)
    return NULL;
  for (size_t i = 0; i <= n; i++)
    end[i] = dot[1 + i] >= 'A' && dot[1 + i] <= 'Z' ? (char)(dot[1 + i] - 'A' + 'a') : dot[1 + i];
  return json_string_value(json_object_get(types->by_end, end));
}
