#include "target.h"

#include <arpa/inet.h>
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

/* Of IPv6, also with a zone: fe80::1%eth0. */
static bool read_address(struct in6_addr *address, const char *host) {
  char room[64];
  size_t n = strcspn(host, "%");
  snprintf(room, sizeof room, "%.*s", (int)(n < sizeof room ? n : 0), host);
  return !strchr(host + n, ':') && inet_pton(AF_INET6, room, address) == 1;
}

bool cli_target_hides_port(char host[64], const char **port, const char *text) {
  const char *last = strrchr(text, ':');
  size_t n = last ? (size_t)(last - text) : 0;
  struct in6_addr address;
  if (*text == '[' || !n || n >= 64 || !last[1] || strlen(last + 1) > 5 ||
      last[1 + strspn(last + 1, "0123456789")] || (last[1] == '0' && last[2]))
    return false;
  snprintf(host, 64, "%.*s", (int)n, text);
  *port = last + 1;
  return read_address(&address, host);
}

/* Addresses in ::/96 other than :: and ::1 are nobody's (RFC 4291 2.5.5.1): who writes ::1:8000
 * means a port. Of 2001:db8::5:8000 all is taken for the address. */
static int check_address(const char *host, const char *text) {
  struct in6_addr address;
  char before[64];
  const char *port;
  bool whole = read_address(&address, host), hides = cli_target_hides_port(before, &port, text);
  if (!whole && hides)
    return cli_fail("\"%s\": write [%s]:%s", text, before, port);
  if (!whole)
    return refuse(text);
  if (hides && IN6_IS_ADDR_V4COMPAT(&address))
    return cli_fail("\"%s\": write [%s]:%s, or [%s] if all of it is the address", text, before,
                    port, text);
  return CLI_OK;
}

static int parse(cli_target_t *target, const char *text, int usual_port, int least_port) {
  size_t n;
  *target = (cli_target_t){.port = usual_port};
  const char *rest = split(text, &n);
  if (!rest || !n || n >= sizeof target->host || (*rest && *rest != ':') || strchr(text, '/'))
    return refuse(text);
  memcpy(target->host, *text == '[' ? text + 1 : text, n);
  int status = strchr(target->host, ':') ? check_address(target->host, text) : CLI_OK;
  if (status)
    return status;
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

const char *cli_place(char room[CLI_PLACE], const char *address, int port) {
  snprintf(room, CLI_PLACE, strchr(address, ':') ? "[%s]:%d" : "%s:%d", address, port);
  return room;
}
