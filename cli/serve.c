/* securepair serve */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "keylog.h"
#include "notify.h"
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

void *cli_serve_state(const cli_serve_t *serve) { return serve->state; }

/* -- running ----------------------------------------------------------------------------------- */

static void tell_listening(const cli_serve_t *serve) {
  char address[128] = "";
  int port = 0;
  (void)sp_server_address(serve->server, address, sizeof address, &port);
  json_t *facts = json_object();
  json_object_set_new(
      facts, "message",
      json_sprintf(strchr(address, ':') ? "listening on [%s]:%d (%s)" : "listening on %s:%d (%s)",
                   address, port, serve->service->name));
  json_object_set_new(facts, "address", json_string(address));
  json_object_set_new(facts, "port", json_integer(port));
  json_object_set_new(facts, "service", json_string(serve->service->name));
  cli_log_open(serve->log, "listening", facts);
}

/* Every address of both families, or where there is no IPv6, of one. */
static int listen_everywhere(sp_server_t *server, int port, sp_error_t *why) {
  int status = sp_server_listen(server, "::", port, why);
  return status == UV_EAFNOSUPPORT || status == UV_EADDRNOTAVAIL
             ? sp_server_listen(server, NULL, port, why)
             : status;
}

static int bind_port(cli_serve_t *serve) {
  cli_target_t place;
  sp_error_t why;
  if (cli_target_to_listen(&place, serve->options.listen, 8000))
    return CLI_FAILED;
  int status = *place.host ? sp_server_listen(serve->server, place.host, place.port, &why)
                           : listen_everywhere(serve->server, place.port, &why);
  return status < 0 ? cli_fail_with(&why) : CLI_OK;
}

/* The server is there as long as its connections are; the rest goes with it. */
void cli_serve_close(cli_serve_t *serve) {
  cli_serve_forget_signals(serve);
  cli_names_close(serve->names);
  serve->names = NULL;
  if (serve->watch)
    (void)sp_watch_close(serve->watch, NULL);
  serve->watch = NULL;
}

static void on_never_began(sp_server_t *server) {
  cli_serve_t *serve = sp_server_data(server);
  serve->server = NULL;
}

static void give_up(cli_serve_t *serve) {
  if (serve->server)
    (void)sp_server_close(serve->server, on_never_began);
  cli_serve_close(serve);
}

static int open_files(cli_serve_t *serve) {
  const char *path = serve->options.keylog;
  serve->notify = cli_notify_open();
  if (!path)
    return CLI_OK;
  cli_log_say(serve->log, "warning",
              "--keylog: whoever reads %s reads all connections: remove it when you are done",
              path);
  return cli_keylog_open(&serve->keylog, path);
}

/* Keys are read and the port is bound with the rights of before; clients come after. */
static int start(cli_serve_t *serve) {
  const char *names = serve->options.sni_folder;
  if (open_files(serve) || cli_serve_make(serve) || bind_port(serve))
    return CLI_FAILED;
  cli_serve_follow_signals(serve);
  if ((names && cli_names_open(&serve->names, serve, names)) || cli_serve_confine(serve))
    return CLI_FAILED;
  tell_listening(serve);
  if (serve->made)
    cli_serve_tell_made(serve);
  cli_serve_warn_of_all_dates(serve);
  cli_notify(serve->notify, "READY=1");
  return cli_log_start(serve->log);
}

static void release(cli_serve_t *serve) {
  sp_certificate_release(serve->made);
  if (serve->keylog >= 0)
    close(serve->keylog);
  if (serve->notify >= 0)
    close(serve->notify);
  explicit_bzero(serve->passphrase, sizeof serve->passphrase);
  cli_log_free(serve->log);
}

static int go(cli_serve_t *serve) {
  serve->log = cli_log_new(serve->options.json);
  if (!serve->log || uv_loop_init(&serve->loop) < 0)
    return cli_fail("there is no memory to begin with");
  (void)signal(SIGPIPE, SIG_IGN); /* to the very end; libuv resets it in commands */
  int status = start(serve);
  if (status)
    give_up(serve);
  (void)uv_run(&serve->loop, UV_RUN_DEFAULT);
  (void)uv_loop_close(&serve->loop);
  if (!status)
    cli_log_say(serve->log, "stopped", "stopped");
  release(serve);
  return status;
}

/* -- services ---------------------------------------------------------------------------------- */

/* What the service wants, unless the command line says otherwise. */
static int choose_service(cli_serve_t *serve) {
  cli_serve_options_t *o = &serve->options;
  int status = CLI_OK;
  if ((o->www != NULL) + (o->exec != NULL) + o->http_line > 1)
    return cli_fail("--www, --http-line and --exec: one of them is possible");
  serve->service = o->www         ? &cli_www
                   : o->exec      ? &cli_exec
                   : o->http_line ? &cli_http_line
                                  : &cli_echo;
  if (o->www)
    status = cli_www_prepare(&serve->state, o->www);
  if (!o->alpn)
    o->alpn = serve->service->alpn;
  if (o->idle_timeout == CLI_NOT_SAID)
    o->idle_timeout = serve->service->idle;
  return status;
}

static void release_service(cli_serve_t *serve) {
  if (serve->options.www)
    cli_www_release(serve->state);
}

/* -- options ----------------------------------------------------------------------------------- */

static int check(const cli_serve_options_t *o) {
  if (o->strict_sni && !o->sni_folder)
    return cli_fail("--strict-sni: --sni-folder says which names there are");
  if (o->client_optional && !o->client_ca)
    return cli_fail("--client-optional: say with --client-ca whose certificates are accepted");
  if (cli_check_number("--max-connections", o->max_connections, 0, 1000000) ||
      cli_check_number("--handshake-timeout", o->handshake_timeout, 1, 3600) ||
      cli_check_number("--idle-timeout", o->idle_timeout, 0, 86400) ||
      cli_check_number("--grace", o->grace, 0, 86400))
    return CLI_FAILED;
  return CLI_OK;
}

int cli_serve(int argc, const char **argv) {
  cli_serve_t serve = {.service = &cli_echo,
                       .keylog = -1,
                       .notify = -1,
                       .options = {.max_connections = 1000,
                                   .handshake_timeout = 30,
                                   .grace = 10,
                                   .idle_timeout = CLI_NOT_SAID}};
  cli_serve_options_t *o = &serve.options;
  cli_arguments_t arguments;
  struct poptOption table[] = {
      {"listen", 'l', POPT_ARG_STRING, &o->listen, 0,
       "where, if not said before: PORT, HOST:PORT, or :PORT for all addresses", "[HOST:]PORT"},
      {"cert", 'c', POPT_ARG_ARGV, &o->certs, 0,
       "the certificate with its chain; again for one with another type of key", "FILE"},
      {"key", 'k', POPT_ARG_ARGV, &o->keys, 0,
       "its private key, if that is not in the same file; one for each --cert", "FILE"},
      {"passphrase-file", 0, POPT_ARG_STRING, &o->passphrase_file, 0,
       "the keys' passphrase is the first line of FILE", "FILE"},
      {"client-ca", 0, POPT_ARG_STRING, &o->client_ca, 0,
       "clients need a certificate of an authority in FILE", "FILE"},
      {"client-optional", 0, POPT_ARG_NONE, &o->client_optional, 0,
       "... or are served without one, which the log says", NULL},
      {"sni-folder", 0, POPT_ARG_STRING, &o->sni_folder, 0,
       "NAME.pem there, with its key or beside NAME.key, is for NAME; _.a.example.pem for "
       "*.a.example",
       "FOLDER"},
      {"strict-sni", 0, POPT_ARG_NONE, &o->strict_sni, 0,
       "refuse clients that ask for none of these names", NULL},
      {"exec", 'e', POPT_ARG_STRING, &o->exec, 0,
       "a process of its own for each connection, which it has as input and output", "COMMAND"},
      {"www", 0, POPT_ARG_STRING, &o->www, 0, "serve the files of FOLDER over HTTP/1.1", "FOLDER"},
      {"http-line", 0, POPT_ARG_NONE, &o->http_line, 0,
       "answer any request of HTTP with a line on its connection", NULL},
      {"alpn", 0, POPT_ARG_ARGV, &o->alpn, 0,
       "speak this application protocol; several in order of preference", "NAME"},
      {"tls-min", 0, POPT_ARG_STRING, &o->min, 0, "the oldest version of TLS: 1.2 or 1.3",
       "VERSION"},
      {"tls-max", 0, POPT_ARG_STRING, &o->max, 0, "the newest", "VERSION"},
      {"ciphers", 0, POPT_ARG_STRING, &o->ciphers, 0, "for TLS 1.2, as OpenSSL writes them",
       "LIST"},
      {"max-connections", 0, POPT_ARG_INT, &o->max_connections, 0,
       "at the same time; 0: any number (default 1000)", "N"},
      {"handshake-timeout", 0, POPT_ARG_INT, &o->handshake_timeout, 0,
       "until a client is secure (default 30)", "SECONDS"},
      {"idle-timeout", 0, POPT_ARG_INT, &o->idle_timeout, 0,
       "without traffic until a client is cut off (0: never; default 60 for HTTP, else 0)",
       "SECONDS"},
      {"handshake-workers", 0, POPT_ARG_NONE, &o->workers, 0, "handshakes on threads of their own",
       NULL},
      {"grace", 0, POPT_ARG_INT, &o->grace, 0, "for connections to end after SIGTERM (default 10)",
       "SECONDS"},
      {"user", 'u', POPT_ARG_STRING, &o->user, 0,
       "become this user, for good, once keys are read and the port is bound", "NAME"},
      {"readable", 0, POPT_ARG_ARGV, &o->readable, 0,
       "let the sandbox read this folder, too: where links to keys will lead", "FOLDER"},
      {"no-sandbox", 0, POPT_ARG_NONE, &o->no_sandbox, 0,
       "keep the rights to open files and so on, which a server does not need", NULL},
      {"keylog", 0, POPT_ARG_STRING, &o->keylog, 0,
       "write the connections' secrets to FILE, to look into them: never in earnest", "FILE"},
      {"json", 0, POPT_ARG_NONE, &o->json, 0, "the log as an object of JSON a line", NULL},
      {"quiet", 'q', POPT_ARG_NONE, &o->quiet, 0, "not a line for each connection", NULL},
      POPT_TABLEEND};
  int parsed = cli_parse(&arguments, &help, table, 0, 1, argc, argv);
  if (parsed)
    return parsed - 1;
  if (arguments.count)
    o->listen = arguments.all[0];
  int status = check(o);
  if (!status)
    status = choose_service(&serve);
  if (!status)
    status = go(&serve);
  release_service(&serve);
  cli_parsed(&arguments);
  return status;
}
