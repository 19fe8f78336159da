#include "target.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static int port_of(int *port, const char *text, int least) {
  char *end;
  long number = strtol(text, &end, 10);
  if (*end || end == text || number < least || number > 65535 || !isdigit((unsigned char)*text))
    return cli_fail("port \"%s\" is no number from %d to 65535", text, least);
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

static int parse(cli_target_t *target, const char *text, int usual_port, int least_port) {
  size_t n;
  target->port = usual_port;
  const char *rest = split(target, text, &n);
  if (!rest || !n || n >= sizeof target->host || (*rest && *rest != ':'))
    return cli_fail("\"%s\" is no host: write a.example, a.example:443 or [::1]:443", text);
  memcpy(target->host, *text == '[' ? text + 1 : text, n);
  target->host[n] = '\0';
  return *rest == ':' ? port_of(&target->port, rest + 1, least_port) : CLI_OK;
}

int cli_target_parse(cli_target_t *target, const char *text, int usual_port) {
  return parse(target, text, usual_port, 1);
}

int cli_target_to_listen(cli_target_t *target, const char *text, int usual_port) {
  if (text && *text && text[strspn(text, "0123456789")]) {
    bool everywhere = *text == ':' && !strchr(text + 1, ':');
    *target->host = '\0';
    return everywhere ? port_of(&target->port, text + 1, 0) : parse(target, text, usual_port, 0);
  }
  target->port = usual_port;
  strcpy(target->host, "127.0.0.1");
  return text ? port_of(&target->port, text, 0) : CLI_OK;
}
