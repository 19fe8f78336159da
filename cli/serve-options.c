/* The command line of `securepair serve`. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "serving.h"

static const cli_help_t help = {
    "securepair serve [[HOST:]PORT] [OPTION...]",
    "Serves TLS: by default an echo on 127.0.0.1:8000 with a certificate that is made on the "
    "spot,\n"
    "and whose fingerprint is in the log, on standard error. Write :8000 to listen on all\n"
    "addresses. SIGTERM ends it when the connections are done.",
    "  securepair serve\n"
    "  securepair serve :443 --key server-key.pem --cert server-cert.pem\n"
    "  securepair serve --www public\n"
    "  securepair serve --client-ca authority/root.pem --json\n"};

/* -- the table --------------------------------------------------------------------------------- */

static cli_serve_options_t said = {
    .max_connections = 1000, .handshake_timeout = 30, .grace = 10, .idle_timeout = CLI_NOT_SAID};

static struct poptOption table[] = {
    {"listen", 'l', POPT_ARG_STRING, &said.listen, 0,
     "where, if not said before: PORT, HOST:PORT, or :PORT for all addresses", "[HOST:]PORT"},
    {"cert", 'c', POPT_ARG_ARGV, &said.certs, 0,
     "the certificate with its chain; again for one with another type of key", "FILE"},
    {"key", 'k', POPT_ARG_ARGV, &said.keys, 0,
     "its private key, if that is not in the same file; one for each --cert", "FILE"},
    {"passphrase-file", 0, POPT_ARG_STRING, &said.passphrase_file, 0,
     "the keys' passphrase is the first line of FILE", "FILE"},
    {"client-ca", 0, POPT_ARG_STRING, &said.client_ca, 0,
     "clients need a certificate of an authority in FILE", "FILE"},
    {"client-optional", 0, POPT_ARG_NONE, &said.client_optional, 0,
     "... or are served without one, which the log says", NULL},
    {"sni-folder", 0, POPT_ARG_STRING, &said.sni_folder, 0,
     "NAME.pem there, with its key or beside NAME.key, is for NAME; _.a.example.pem for "
     "*.a.example",
     "FOLDER"},
    {"strict-sni", 0, POPT_ARG_NONE, &said.strict_sni, 0,
     "refuse clients that ask for none of these names", NULL},
    {"exec", 'e', POPT_ARG_STRING, &said.exec, 0,
     "a process of its own for each connection, which it has as input and output", "COMMAND"},
    {"www", 0, POPT_ARG_STRING, &said.www, 0, "serve the files of FOLDER over HTTP/1.1", "FOLDER"},
    {"http-line", 0, POPT_ARG_NONE, &said.http_line, 0,
     "answer any request of HTTP with a line on its connection", NULL},
    {"alpn", 0, POPT_ARG_ARGV, &said.alpn, 0,
     "speak this application protocol; several in order of preference", "NAME"},
    {"tls-min", 0, POPT_ARG_STRING, &said.min, 0, "the oldest version of TLS: 1.2 or 1.3",
     "VERSION"},
    {"tls-max", 0, POPT_ARG_STRING, &said.max, 0, "the newest", "VERSION"},
    {"ciphers", 0, POPT_ARG_STRING, &said.ciphers, 0, "for TLS 1.2, as OpenSSL writes them",
     "LIST"},
    {"max-connections", 0, POPT_ARG_INT, &said.max_connections, 0,
     "at the same time; 0: any number (default 1000)", "N"},
    {"handshake-timeout", 0, POPT_ARG_INT, &said.handshake_timeout, 0,
     "until a client is secure (default 30)", "SECONDS"},
    {"idle-timeout", 0, POPT_ARG_INT, &said.idle_timeout, CLI_MAYBE_SAID,
     "without traffic until a client is cut off (0: never; default 60 for HTTP, else 0)",
     "SECONDS"},
    {"handshake-workers", 0, POPT_ARG_NONE, &said.workers, 0, "handshakes on threads of their own",
     NULL},
    {"grace", 0, POPT_ARG_INT, &said.grace, 0, "for connections to end after SIGTERM (default 10)",
     "SECONDS"},
    {"user", 'u', POPT_ARG_STRING, &said.user, 0,
     "become this user, for good, once keys are read and the port is bound", "NAME"},
    {"readable", 0, POPT_ARG_ARGV, &said.readable, 0,
     "let the sandbox read this folder, too: where links to keys will lead", "FOLDER"},
    {"no-sandbox", 0, POPT_ARG_NONE, &said.no_sandbox, 0,
     "keep the rights to open files and so on, which a server does not need", NULL},
    {"keylog", 0, POPT_ARG_STRING, &said.keylog, 0,
     "write the connections' secrets to FILE, to look into them: never in earnest", "FILE"},
    {"json", 0, POPT_ARG_NONE, &said.json, 0, "the log as an object of JSON a line", NULL},
    {"quiet", 'q', POPT_ARG_NONE, &said.quiet, 0, "not a line for each connection", NULL},
    POPT_TABLEEND};

/* -- what is possible -------------------------------------------------------------------------- */

/* The sandbox would pass over one that is not there. */
static int check_folders(const char **folders) {
  struct stat facts;
  for (; folders && *folders; folders++) {
    if (stat(*folders, &facts) < 0)
      return cli_fail("--readable %s: %s", *folders, strerror(errno));
    if (!S_ISDIR(facts.st_mode))
      return cli_fail("--readable %s: is no folder: name the one that it lies in", *folders);
  }
  return CLI_OK;
}

static int check(const cli_serve_options_t *o) {
  if (o->strict_sni && !o->sni_folder)
    return cli_fail("--strict-sni: --sni-folder says which names there are");
  if (o->exec && !o->exec[strspn(o->exec, " \t")])
    return cli_fail("--exec: there is no command in it");
  if (o->client_optional && !o->client_ca)
    return cli_fail("--client-optional: say with --client-ca whose certificates are accepted");
  if (cli_check_number("--max-connections", o->max_connections, 0, 1000000) ||
      cli_check_number("--handshake-timeout", o->handshake_timeout, 1, 3600) ||
      (o->idle_timeout != CLI_NOT_SAID &&
       cli_check_number("--idle-timeout", o->idle_timeout, 0, 86400)) ||
      check_folders(o->readable) || cli_check_number("--grace", o->grace, 0, 86400))
    return CLI_FAILED;
  return CLI_OK;
}

/* -- all --------------------------------------------------------------------------------------- */

int cli_serve_parse(cli_serve_options_t *options, cli_arguments_t *arguments, int argc,
                    const char **argv) {
  int parsed = cli_parse(arguments, &help, table, 0, 1, argc, argv);
  if (parsed)
    return parsed;
  if (arguments->count)
    said.listen = arguments->all[0];
  *options = said;
  if (check(options) == CLI_OK)
    return 0;
  cli_parsed(arguments);
  return CLI_FAILED + 1;
}
