#include "target.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static int port_of(int *port, const char *text) {
  char *end;
  long number = strtol(text, &end, 10);
  if (*end || end == text || number < 1 || number > 65535 || !isdigit((unsigned char)*text))
    return cli_fail("port \"%s\" is no number from 1 to 65535", text);
  *port = (int)number;
  return CLI_OK;
}

/* Brackets are for addresses with colons of their own (RFC 3986 3.2.2). */
static const char *split(cli_target_t *target, const char *text, size_t *host_size) {
  if (*text == '[') {
    const char *close = strchr(text, ']');
    *host_size = close ? (size_t)(close - text - 1) : 0;
    return close ? close + 1 : NULL;
  }
  const char *first = strchr(text, ':'), *last = strrchr(text, ':');
  *host_size = first && first == last ? (size_t)(first - text) : strlen(text);
  (void)target;
  return text + *host_size;
}

int cli_target_parse(cli_target_t *target, const char *text, int usual_port) {
  size_t n;
  target->port = usual_port;
  const char *rest = split(target, text, &n);
  if (!rest || !n || n >= sizeof target->host || (*rest && *rest != ':'))
    return cli_fail("\"%s\" is no host: write a.example, a.example:443 or [::1]:443", text);
  memcpy(target->host, *text == '[' ? text + 1 : text, n);
  target->host[n] = '\0';
  return *rest == ':' ? port_of(&target->port, rest + 1) : CLI_OK;
}
