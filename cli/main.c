/* securepair: keys, requests and certificates; what is in a file of them. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

typedef struct subcommand {
  const char *name, *summary;
  cli_run_t run;
} subcommand_t;

static const subcommand_t subcommands[] = {
    {"key", "make a private key", cli_key},
    {"request", "make a request for a certificate (CSR)", cli_request},
    {"certificate", "make a certificate that a key signs for itself", cli_certificate},
    {"authority", "an authority of your own: init, sign, revoke, crl, list", cli_authority},
    {"connect", "connect, explain, and talk", cli_connect},
    {"serve", "serve TLS: an echo, files, or a command for each client", cli_serve},
    {"show", "say in plain words what is in a file, and what is wrong with it", cli_show},
};
enum { COUNT = sizeof subcommands / sizeof *subcommands };

static void help(FILE *to) {
  fputs("Examples\n"
        "  securepair key --out server-key.pem\n"
        "  securepair certificate --key server-key.pem --name localhost --out server-cert.pem\n"
        "  securepair show server-key.pem server-cert.pem\n\n"
        "Usage: securepair COMMAND [OPTION...]\n\n"
        "Commands\n",
        to);
  for (size_t i = 0; i < COUNT; i++)
    fprintf(to, "  %-14s%s\n", subcommands[i].name, subcommands[i].summary);
  fputs("\n\"securepair COMMAND --help\" explains one of them.\n", to);
}

static const subcommand_t *find(const char *name) {
  for (size_t i = 0; i < COUNT; i++)
    if (!strcmp(subcommands[i].name, name))
      return subcommands + i;
  return NULL;
}

static bool is(const char *word, const char *one, const char *other) {
  return !strcmp(word, one) || !strcmp(word, other);
}

/* A standard descriptor that is closed would become that of the next file or socket, and be written
 * to by mistake. Nothing is read from it then, and writing fails. */
static void keep_standard_descriptors(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0)
      (void)open("/dev/null", O_RDONLY);
}

int main(int argc, char **argv) {
  keep_standard_descriptors();
  if (argc < 2) {
    help(stderr);
    return CLI_USAGE;
  }
  if (is(argv[1], "--version", "-V"))
    return printf("securepair %s\n", sp_version()) < 0;
  bool asked = is(argv[1], "--help", "-h") || (!strcmp(argv[1], "help") && argc == 2);
  if (asked) {
    help(stdout);
    return CLI_OK;
  }
  if (!strcmp(argv[1], "help")) /* "help key" is "key --help" */
    return find(argv[2]) ? find(argv[2])->run(2, (const char *[]){argv[2], "--help", NULL})
                         : (cli_fail("there is no command \"%s\"", argv[2]), CLI_USAGE);
  const subcommand_t *subcommand = find(argv[1]);
  if (subcommand)
    return subcommand->run(argc - 1, (const char **)argv + 1);
  cli_fail("there is no command \"%s\": \"securepair --help\" lists them", argv[1]);
  return CLI_USAGE;
}
