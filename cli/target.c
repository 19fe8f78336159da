#include "target.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static int port_of(int *port, const char *text, int least) {
  char *end;
  long number = strtol(text, &end, 10);
  if (*end || end == text || number < least || number > 65535 || !isdigit((unsigned char)*text))
    return cli_fail("port \"%s\" is no number from %d to 65535", text, least);
  *port = (int)number;
  return CLI_OK;
}

static int path_of(cli_target_t *target, const char *path) {
  if (!*path || strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
    return cli_fail("unix:%s: a socket's path has 1 to %zu bytes", path,
                    sizeof((struct sockaddr_un *)0)->sun_path - 1);
  target->path = path;
  return CLI_OK;
}

/* What follows the host; NULL: there is none. Brackets are for addresses with colons of their own
 * (RFC 3986 3.2.2). */
static const char *split(const char *text, size_t *host_size) {
  if (*text == '[') {
    const char *close = strchr(text, ']');
    *host_size = close ? (size_t)(close - text - 1) : 0;
    return close ? close + 1 : NULL;
  }
  const char *first = strchr(text, ':'), *last = strrchr(text, ':');
  *host_size = first && first == last ? (size_t)(first - text) : strlen(text);
  return text + *host_size;
}

static int refuse(const char *text) {
  if (strstr(text, "://"))
    return cli_fail("\"%s\" is a URL: write only its host, a.example or a.example:443", text);
  return cli_fail("\"%s\" is no host: write a.example, a.example:443, [::1]:443 or unix:PATH",
                  text);
}

static int parse(cli_target_t *target, const char *text, int usual_port, int least_port) {
  size_t n;
  *target = (cli_target_t){.port = usual_port};
  const char *rest = split(text, &n);
  if (!rest || !n || n >= sizeof target->host || (*rest && *rest != ':') || strchr(text, '/'))
    return refuse(text);
  memcpy(target->host, *text == '[' ? text + 1 : text, n);
  return *rest == ':' ? port_of(&target->port, rest + 1, least_port) : CLI_OK;
}

int cli_target_parse(cli_target_t *target, const char *text, int usual_port) {
  *target = (cli_target_t){.port = usual_port};
  return strncmp(text, "unix:", 5) ? parse(target, text, usual_port, 1) : path_of(target, text + 5);
}

int cli_target_to_listen(cli_target_t *target, const char *text, int usual_port) {
  *target = (cli_target_t){.port = usual_port};
  if (text && *text && text[strspn(text, "0123456789")]) {
    bool everywhere = *text == ':' && !strchr(text + 1, ':');
    return everywhere ? port_of(&target->port, text + 1, 0) : parse(target, text, usual_port, 0);
  }
  strcpy(target->host, "127.0.0.1");
  return text ? port_of(&target->port, text, 0) : CLI_OK;
}
