/* securepair: keys, requests and certificates; what is in a file of them. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "cli.h"

const cli_command_t cli_commands[] = {
    {"key", "make a private key", cli_key, NULL},
    {"request", "make a request for a certificate (CSR)", cli_request, NULL},
    {"certificate", "make a certificate that a key signs for itself", cli_certificate, NULL},
    {"authority", "an authority of your own: init, sign, revoke, crl, list", cli_authority,
     cli_authority_words},
    {"localhost", "a key and certificate for this machine, and how to trust them", cli_localhost,
     NULL},
    {"connect", "connect, explain, and talk", cli_connect, NULL},
    {"serve", "serve TLS: an echo, files, or a command for each client", cli_serve, NULL},
    {"show", "say in plain words what is in a file, and what is wrong with it", cli_show, NULL},
    {"completion", "what makes a shell complete all this: bash, zsh, fish", cli_completion, NULL},
    {NULL, NULL, NULL, NULL},
};

static void help(FILE *to) {
  fputs("Examples\n"
        "  securepair key --out server-key.pem\n"
        "  securepair certificate --key server-key.pem --name localhost --out server-cert.pem\n"
        "  securepair show server-key.pem server-cert.pem\n\n"
        "Usage: securepair COMMAND [OPTION...]\n\n"
        "Commands\n",
        to);
  for (const cli_command_t *one = cli_commands; one->name; one++)
    fprintf(to, "  %-14s%s\n", one->name, one->summary);
  fputs("\n\"securepair COMMAND --help\" explains one of them.\n", to);
}

const cli_command_t *cli_command_find(const cli_command_t *commands, const char *name) {
  for (; commands->name; commands++)
    if (!strcmp(commands->name, name))
      return commands;
  return NULL;
}

/* "help key" is "key --help", "help authority sign" is "authority sign --help". */
static int help_on(const char *name, const char *word) {
  const cli_command_t *command = cli_command_find(cli_commands, name);
  const char *one[] = {name, "--help", NULL}, *two[] = {name, word, "--help", NULL};
  if (command)
    return word && command->words ? command->run(3, two) : command->run(2, one);
  (void)cli_fail("there is no command \"%s\": \"securepair --help\" lists them", name);
  return CLI_USAGE;
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
  /* What the machine's openssl.cnf says is not ours to follow. */
  (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
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
  if (!strcmp(argv[1], "help"))
    return help_on(argv[2], argc > 3 ? argv[3] : NULL);
  const cli_command_t *command = cli_command_find(cli_commands, argv[1]);
  if (command)
    return command->run(argc - 1, (const char **)argv + 1);
  (void)cli_fail("there is no command \"%s\": \"securepair --help\" lists them", argv[1]);
  return CLI_USAGE;
}
