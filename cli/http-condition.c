/* Requests that depend on what the client has already (RFC 9110 13). */
#include <string.h>
#include <strings.h>

#include "http.h"

/* The tag without the mark of a weak one. */
static const char *opaque(const char *etag) { return strncmp(etag, "W/", 2) ? etag : etag + 2; }
static bool is_weak(const char *etag) { return opaque(etag) != etag; }

/* Whether a list of tags has this one: "*", or tags in quotes, in which there may be commas. */
static bool lists(const char *list, const char *etag, bool weak_too) {
  list += strspn(list, " \t,");
  if (*list == '*')
    return true;
  while (*list) {
    bool weak = is_weak(list);
    const char *at = opaque(list), *end = *at == '"' ? strchr(at + 1, '"') : NULL;
    if (!end)
      return false;
    size_t n = (size_t)(end + 1 - at);
    if (n == strlen(opaque(etag)) && !memcmp(at, opaque(etag), n) &&
        (weak_too || (!weak && !is_weak(etag))))
      return true;
    list = end + 1 + strspn(end + 1, " \t,");
  }
  return false;
}

/* A list may be spread over several header lines. -1: there is none of the name. */
static int any_lists(const cli_http_request_t *request, const char *name, const char *etag,
                     bool weak_too) {
  int found = -1;
  for (size_t i = 0; i < request->count; i++)
    if (!strcasecmp(request->fields[i].name, name))
      found = found > 0 || lists(request->fields[i].value, etag, weak_too);
  return found;
}

static time_t date_of(const cli_http_request_t *request, const char *name) {
  const char *text = cli_http_field(request, name, NULL);
  return text ? cli_http_date_read(text) : -1;
}

int cli_http_condition(const cli_http_request_t *request, const cli_http_validators_t *now) {
  int match = any_lists(request, "If-Match", now->etag, false);
  time_t since = date_of(request, "If-Unmodified-Since");
  if (!match || (match < 0 && since >= 0 && now->modified > since))
    return 412;
  match = any_lists(request, "If-None-Match", now->etag, true);
  since = date_of(request, "If-Modified-Since");
  return match > 0 || (match < 0 && since >= 0 && now->modified <= since) ? 304 : 200;
}

bool cli_http_range_counts(const cli_http_request_t *request, const cli_http_validators_t *now) {
  bool several;
  const char *text = cli_http_field(request, "If-Range", &several);
  if (!text)
    return !several;
  if (*text == '"' || is_weak(text))
    return !is_weak(text) && !is_weak(now->etag) && !strcmp(text, now->etag);
  /* a file may change twice within a second, see the weak tag */
  return !is_weak(now->etag) && cli_http_date_read(text) == now->modified;
}
