/* securepair connect: its command line. */
#include "connect.h"

#include <string.h>

#include "problem.h"
#include "starttls.h"

static const cli_help_t help = {
    "securepair connect HOST[:PORT] [OPTION...]",
    "Connects, says on standard error what there is to say (protocol, certificates, the verdict "
    "with\n"
    "its reason and the remedy), and then passes standard input to the peer and what it sends to\n"
    "standard output. A peer that cannot be authorized is refused. unix:PATH connects to a "
    "socket.\n"
    "Exit status: 0 all went well; 3 not authorized; 4 the peer ended without TLS's own goodbye, "
    "so\n"
    "that data may be missing; 5 TLS, or the protocol before it, failed; 6 it took too long; 7 "
    "the\n"
    "connection failed (refused, reset, no such host); 1 other.",
    "  securepair connect a.example\n"
    "  printf 'GET / HTTP/1.0\\r\\nHost: a.example\\r\\n\\r\\n' | securepair connect "
    "a.example:443\n"
    "  securepair connect localhost:8000 --ca authority/root.pem\n"
    "  securepair connect mail.example --starttls smtp --crlf\n"
    "  securepair connect a.example --save-chain chain.pem </dev/null; securepair show chain.pem\n"
    "  securepair connect a.example --json --resume\n"};

/* -- checks ------------------------------------------------------------------------------------ */

static int check(const cli_connect_t *connect) {
  const cli_connect_options_t *o = &connect->options;
  if ((o->cert != NULL) != (o->key != NULL))
    return cli_fail("--cert and --key: a client's certificate needs both");
  if (o->passphrase_file && !o->key)
    return cli_fail("--passphrase-file: of which key? --key FILE is missing");
  if (o->ipv4 && o->ipv6)
    return cli_fail("-4 and -6: which is it?");
  if (o->timeout < 1 || o->timeout > 3600)
    return cli_fail("--timeout %d: 1 to 3600 seconds are possible", o->timeout);
  if (o->linger < 0 || o->linger > 3600)
    return cli_fail("--linger %d: 0 to 3600 seconds are possible", o->linger);
  if (connect->target.path && !o->server_name && !o->insecure)
    return cli_fail("%s: whose certificate is expected there? --server-name NAME is missing",
                    connect->named);
  return o->save_chain ? cli_can_write(o->save_chain, o->force != 0) : CLI_OK;
}

/* -- our key ----------------------------------------------------------------------------------- */

static int read_key(cli_connect_t *connect) {
  const cli_connect_options_t *o = &connect->options;
  sp_key_t *key;
  sp_error_t why;
  if (!o->key)
    return CLI_OK;
  if (cli_read_key(&key, o->key, o->passphrase_file))
    return CLI_FAILED;
  int status = sp_key_pem(key, NULL, &connect->key, &why);
  sp_key_release(key);
  return status < 0 ? cli_fail_with(&why) : CLI_OK;
}

/* -- hooks ------------------------------------------------------------------------------------- */

static void on_trace(sp_pair_t *pair, const char *line, void *data) {
  (void)pair, (void)data;
  fprintf(stderr, "  %s%s%s\n", cli_tone(stderr, CLI_DIM), line, cli_plain(stderr));
}

static int open_keylog(cli_connect_t *connect) {
  const char *path = connect->options.keylog;
  int status = path ? cli_keylog_open(&connect->keylog, path) : CLI_OK;
  if (path && !status)
    cli_warn("--keylog: whoever reads %s can read this connection", path);
  return status;
}

/* -- the library's options --------------------------------------------------------------------- */

static int set_options(cli_connect_t *connect) {
  const cli_connect_options_t *o = &connect->options;
  const cli_target_t *target = &connect->target;
  sp_protocol_t min, max;
  if (cli_version_of(&min, "--tls-min", o->min) || cli_version_of(&max, "--tls-max", o->max) ||
      check(connect) || read_key(connect) || open_keylog(connect))
    return CLI_FAILED;
  connect->tls =
      *SP_OPTIONS(.host = target->path ? NULL : target->host, .port = target->port,
                  .path = target->path, .server_name = o->server_name, .ca_files = o->ca,
                  .crl_files = o->crl, .alpn = o->alpn, .cert_file = o->cert, .key = connect->key,
                  .min_version = min, .max_version = max, .ciphers = o->ciphers,
                  .suites = o->suites, .groups = o->groups, .half_open = SP_YES,
                  .request_staple = SP_YES, .require_staple = o->staple ? SP_YES : SP_DEFAULT,
                  .reject_unauthorized = o->insecure ? SP_NO : SP_DEFAULT,
                  .connect_timeout = o->timeout * 1000, .handshake_timeout = o->timeout * 1000,
                  .hooks_data = &connect->keylog);
  connect->tls.family = o->ipv4 ? 4 : o->ipv6 ? 6 : 0;
  if (target->path && !o->server_name)
    connect->tls.check_name = SP_NO;
  if (o->trace)
    connect->tls.hooks.trace = on_trace;
  if (connect->keylog.fd >= 0)
    connect->tls.hooks.keylog = cli_keylog_write;
  return CLI_OK;
}

static int set_target(cli_connect_t *connect, const char *text) {
  const cli_protocol_t *protocol = NULL;
  const char *name = connect->options.starttls;
  if (name && !(protocol = cli_protocol_find(name)))
    return cli_fail("--starttls %s: not known; these are: %s", name, cli_protocol_names());
  connect->named = text;
  return cli_target_parse(&connect->target, text, protocol ? cli_protocol_port(protocol) : 443);
}

/* -- the command ------------------------------------------------------------------------------- */

static int run(cli_connect_t *connect, const char *target) {
  int status = set_target(connect, target);
  if (!status)
    status = set_options(connect);
  if (!status && connect->options.insecure)
    cli_warn("--insecure: whoever answers is accepted");
  if (!status)
    status = cli_connect_run(connect);
  if (connect->keylog.error && !status)
    status = cli_fail("--keylog: cannot write %s: %s", connect->options.keylog,
                      strerror(connect->keylog.error));
  cli_keylog_close(&connect->keylog);
  sp_pem_release(connect->key);
  return status;
}

int cli_connect(int argc, const char **argv) {
  cli_connect_t connect = {.keylog = {.fd = -1}, .options = {.timeout = 30, .linger = 1}};
  cli_connect_options_t *o = &connect.options;
  cli_arguments_t arguments;
  struct poptOption table[] = {
      {"ca", 0, POPT_ARG_ARGV, &o->ca, 0,
       "trust the certificates in FILE, and no others; as often as needed", "FILE"},
      {"crl", 0, POPT_ARG_ARGV, &o->crl, 0,
       "refuse whom the revocation list in FILE names; one for each authority of the chain",
       "FILE"},
      {"server-name", 's', POPT_ARG_STRING, &o->server_name, 0,
       "the name to ask for and to check, if not HOST", "NAME"},
      {"insecure", 0, POPT_ARG_NONE, &o->insecure, 0, "go on whoever answers, and say so", NULL},
      {"require-staple", 0, POPT_ARG_NONE, &o->staple, 0,
       "refuse a server that shows no good OCSP response", NULL},
      {"cert", 0, POPT_ARG_STRING, &o->cert, 0, "our own certificate, for servers that ask",
       "FILE"},
      {"key", 0, POPT_ARG_STRING, &o->key, 0, "its private key", "FILE"},
      {"passphrase-file", 0, POPT_ARG_STRING, &o->passphrase_file, 0,
       "the key's passphrase is the first line of FILE", "FILE"},
      {"starttls", 0, POPT_ARG_STRING, &o->starttls, 0,
       "smtp, imap, pop3, ftp, ldap, xmpp, postgres, mysql, nntp or sieve first", "PROTOCOL"},
      {"alpn", 0, POPT_ARG_ARGV, &o->alpn, 0, "offer this application protocol; several in order",
       "NAME"},
      {"tls-min", 0, POPT_ARG_STRING, &o->min, 0, "the oldest version of TLS: 1.2 or 1.3",
       "VERSION"},
      {"tls-max", 0, POPT_ARG_STRING, &o->max, 0, "the newest", "VERSION"},
      {"ciphers", 0, POPT_ARG_STRING, &o->ciphers, 0,
       "cipher suites of TLS 1.2, as OpenSSL names them", "LIST"},
      {"suites", 0, POPT_ARG_STRING, &o->suites, 0, "cipher suites of TLS 1.3", "LIST"},
      {"groups", 0, POPT_ARG_STRING, &o->groups, 0, "groups for the key exchange: X25519:P-256",
       "LIST"},
      {NULL, '4', POPT_ARG_NONE, &o->ipv4, 0, "IPv4 only", NULL},
      {NULL, '6', POPT_ARG_NONE, &o->ipv6, 0, "IPv6 only", NULL},
      {"timeout", 0, POPT_ARG_INT, &o->timeout, 0,
       "to connect; for the handshake; for the peer's end after ours (default 30)", "SECONDS"},
      {"linger", 0, POPT_ARG_INT, &o->linger, 0,
       "silence after the end of input, until we end, too (default 1)", "SECONDS"},
      {"crlf", 0, POPT_ARG_NONE, &o->crlf, 0, "send each newline as CR LF", NULL},
      {"resume", 0, POPT_ARG_NONE, &o->resume, 0,
       "connect three times, and say whether the session was resumed", NULL},
      {"trace", 0, POPT_ARG_NONE, &o->trace, 0, "say each message of the handshake", NULL},
      {"keylog", 0, POPT_ARG_STRING, &o->keylog, 0,
       "write the connection's secrets to FILE, for Wireshark", "FILE"},
      {"save-chain", 0, POPT_ARG_STRING, &o->save_chain, 0,
       "write the certificates that came to FILE (\"-\": standard output)", "FILE"},
      {"force", 'f', POPT_ARG_NONE, &o->force, 0, "also over a file that is there", NULL},
      {"json", 0, POPT_ARG_NONE, &o->json, 0, "only the facts, as JSON on standard output", NULL},
      {"quiet", 'q', POPT_ARG_NONE, &o->quiet, 0, "say nothing unless it fails", NULL},
      POPT_TABLEEND};
  int parsed = cli_parse(&arguments, &help, table, 1, 1, argc, argv);
  if (parsed)
    return parsed - 1;
  if (o->json || o->resume) /* else there is data to pass on */
    cli_json_whole();
  int status = run(&connect, arguments.all[0]);
  cli_parsed(&arguments);
  return status;
}
