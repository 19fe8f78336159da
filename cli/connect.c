/* securepair connect */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dial.h"
#include "pump.h"
#include "report.h"
#include "target.h"

static const cli_help_t help = {
    "securepair connect HOST[:PORT] [OPTION...]",
    "Connects, says on standard error what there is to say (protocol, certificates, the verdict "
    "with\n"
    "its reason and the remedy), and then passes standard input to the peer and what it sends to\n"
    "standard output. A peer that cannot be authorized is refused.\n"
    "Exit status: 0 all went well; 3 not authorized; 4 the peer ended without TLS's own goodbye, "
    "so\n"
    "that data may be missing; 5 TLS failed; 6 it took too long; 7 the connection failed; 1 other.",
    "  securepair connect a.example\n"
    "  printf 'GET / HTTP/1.0\\r\\nHost: a.example\\r\\n\\r\\n' | securepair connect "
    "a.example:443\n"
    "  securepair connect localhost:8000 --ca authority/root.pem\n"
    "  securepair connect mail.example --starttls smtp\n"
    "  securepair connect a.example --json --resume </dev/null\n"};

enum { NOT_AUTHORIZED = 3, TRUNCATED = 4, PROTOCOL = 5, TIMED_OUT = 6, UNREACHABLE = 7 };

typedef struct options {
  const char **ca, **alpn;
  const char *cert, *key, *passphrase_file, *server_name, *starttls, *max, *min;
  int insecure, json, quiet, resume, staple, timeout, ipv4, ipv6;
} options_t;

typedef struct run {
  options_t options;
  sp_options_t tls;
  cli_target_t target;
  const char *named; /* the target as it was given */
  uv_loop_t loop;
  cli_pump_t *pump;
  void *dialled; /* what cli_dial keeps for the stream */
  json_t *reports;
  char *session; /* of the first connection, for --resume */
  size_t session_size;
  int left; /* connections still to make after this one */
  int status;
  char passphrase[CLI_PASSPHRASE_SIZE];
} run_t;

/* -- exit status ------------------------------------------------------------------------------- */

static int status_of(const sp_error_t *error) {
  switch (error->status) {
  case 0:
    return CLI_OK;
  case SP_EUNAUTHORIZED:
    return NOT_AUTHORIZED;
  case SP_ETRUNCATED:
    return TRUNCATED;
  case UV_ETIMEDOUT:
    return TIMED_OUT;
  case SP_EPROTOCOL:
  case SP_EALERT:
  case SP_ENOTTLS:
  case SP_EHTTP:
  case SP_EINJECTED:
  case SP_EEARLYCLOSE:
    return PROTOCOL;
  default:
    return error->who == SP_TRANSPORT ? UNREACHABLE : CLI_FAILED;
  }
}

/* The first thing that went wrong counts. */
static void note(run_t *run, int status) {
  if (!run->status)
    run->status = status;
}

/* -- events ------------------------------------------------------------------------------------ */

static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  run_t *run = sp_stream_data(stream);
  if (run->options.json || run->options.resume)
    return; /* only the facts were asked for */
  if (cli_put(bytes, n)) {
    note(run, CLI_FAILED);
    sp_stream_destroy(stream);
  }
}

static void on_end(sp_stream_t *stream, int status) {
  run_t *run = sp_stream_data(stream);
  if (status == SP_ETRUNCATED && !run->options.json) {
    cli_warn("%s ended without TLS's own goodbye (close_notify): data may be missing", run->named);
    note(run, TRUNCATED);
  }
  sp_stream_end(stream);
}

static void on_drain(sp_stream_t *stream) {
  run_t *run = sp_stream_data(stream);
  cli_pump_drained(run->pump);
}

static void on_error(sp_stream_t *stream, const sp_error_t *error) {
  run_t *run = sp_stream_data(stream);
  note(run, status_of(error));
  (void)cli_fail("%s: %s", run->named, error->text);
}

static void keep_session(run_t *run, const void *bytes, size_t n) {
  char *copy = malloc(n);
  if (!copy)
    return;
  memcpy(copy, bytes, n);
  cli_drop(run->session, run->session_size);
  run->session = copy;
  run->session_size = n;
}

static void on_session(sp_stream_t *stream, const void *bytes, size_t n) {
  run_t *run = sp_stream_data(stream);
  keep_session(run, bytes, n);
  if (run->options.resume || run->options.json) /* all that there is to hear */
    sp_stream_end(stream);
}

/* Nothing comes from a server that sends no ticket and waits for us. */
static void on_timeout(sp_stream_t *stream) {
  run_t *run = sp_stream_data(stream);
  if (run->options.resume || run->options.json)
    sp_stream_end(stream);
}

static void connect_once(run_t *run);

static void on_close(sp_stream_t *stream) {
  run_t *run = sp_stream_data(stream);
  cli_pump_stop(run->pump);
  run->pump = NULL;
  cli_dial_release(run->dialled);
  run->dialled = NULL;
  if (run->left && !run->status) {
    run->left--;
    connect_once(run);
  }
}

static void on_secure(sp_stream_t *stream, int status) {
  run_t *run = sp_stream_data(stream);
  json_t *report = cli_report(stream, status, run->named);
  if (!run->options.quiet && !run->options.json)
    cli_report_tell(report);
  else if (status < 0 && run->options.quiet)
    (void)cli_fail("%s: %s", run->named, sp_stream_error(stream)->text);
  json_array_append_new(run->reports, report);
  if (status < 0) {
    note(run, status_of(sp_stream_error(stream)));
    return;
  }
  if (run->options.resume || run->options.json)
    sp_stream_set_timeout(stream, 500); /* for the ticket */
  else
    run->pump = cli_pump_start(&run->loop, stream);
}

static const sp_stream_events_t events = {.data = on_data,
                                          .end = on_end,
                                          .drain = on_drain,
                                          .timeout = on_timeout,
                                          .error = on_error,
                                          .close = on_close,
                                          .session = on_session};

/* -- connecting -------------------------------------------------------------------------------- */

/* The stream, or why the protocol before it did not get to TLS. */
static void on_dialled(void *data, sp_stream_t *stream, const sp_error_t *why, void *memory) {
  run_t *run = data;
  run->dialled = memory;
  if (stream)
    sp_stream_on(stream, &events, run);
  if (!why)
    return;
  note(run, why->status == SP_EPROTOCOL ? PROTOCOL : status_of(why));
  (void)cli_fail("%s: %s", run->named, why->text);
}

static void connect_once(run_t *run) {
  sp_error_t why;
  sp_stream_t *stream;
  run->tls.session = run->session;
  run->tls.session_size = run->session_size;
  if (run->options.starttls) {
    cli_dial(&run->loop, cli_protocol_find(run->options.starttls), &run->target, &run->tls,
             on_secure, on_dialled, run);
    return;
  }
  if (sp_connect(&stream, &run->loop, on_secure, &why, &run->tls) < 0)
    note(run, cli_fail_with(&why));
  else
    on_dialled(run, stream, NULL, NULL);
}

/* -- options ----------------------------------------------------------------------------------- */

static int version_of(sp_protocol_t *version, const char *text) {
  *version = SP_PROTOCOL_DEFAULT;
  if (!text)
    return CLI_OK;
  *version = !strcmp(text, "1.2") ? SP_TLS1_2 : !strcmp(text, "1.3") ? SP_TLS1_3 : *version;
  return *version
             ? CLI_OK
             : cli_fail("--tls %s: 1.2 and 1.3 are spoken here, older ones are not safe", text);
}

static int set_options(run_t *run) {
  const options_t *o = &run->options;
  sp_protocol_t min, max;
  if (version_of(&min, o->min) || version_of(&max, o->max))
    return CLI_FAILED;
  if ((o->cert != NULL) != (o->key != NULL))
    return cli_fail("--cert and --key: a client's certificate needs both");
  if (o->ipv4 && o->ipv6)
    return cli_fail("-4 and -6: which is it?");
  if (o->timeout < 1 || o->timeout > 3600)
    return cli_fail("--timeout %d: 1 to 3600 seconds are possible", o->timeout);
  if (o->passphrase_file && cli_passphrase_file(run->passphrase, o->passphrase_file))
    return CLI_FAILED;
  run->tls =
      *SP_OPTIONS(.host = run->target.host, .port = run->target.port, .ca_files = o->ca,
                  .alpn = o->alpn, .cert_file = o->cert, .key_file = o->key,
                  .server_name = o->server_name,
                  .passphrase = o->passphrase_file ? run->passphrase : NULL, .min_version = min,
                  .max_version = max, .half_open = SP_YES, .request_staple = SP_YES,
                  .require_staple = o->staple ? SP_YES : SP_DEFAULT,
                  .reject_unauthorized = o->insecure ? SP_NO : SP_DEFAULT,
                  .family = o->ipv4   ? 4
                            : o->ipv6 ? 6
                                      : 0,
                  .connect_timeout = o->timeout * 1000, .handshake_timeout = o->timeout * 1000);
  return CLI_OK;
}

static int set_target(run_t *run, const char *text) {
  const cli_protocol_t *protocol = NULL;
  const char *name = run->options.starttls;
  if (name && !(protocol = cli_protocol_find(name)))
    return cli_fail("--starttls %s: not known; these are: %s", name, cli_protocol_names());
  run->named = text;
  return cli_target_parse(&run->target, text, protocol ? cli_protocol_port(protocol) : 443);
}

/* -- the command ------------------------------------------------------------------------------- */

static void tell_resumed(const run_t *run) {
  size_t count = json_array_size(run->reports);
  for (size_t i = 1; i < count; i++)
    fprintf(stderr, "  connection %zu: %s\n", i + 1,
            json_is_true(json_object_get(json_array_get(run->reports, i), "resumed"))
                ? "resumed"
                : "a full handshake");
  if (count == 1 && !run->status)
    fprintf(stderr, "  the server gave no session to resume\n");
}

static int go(run_t *run) {
  if (run->options.insecure)
    cli_warn("--insecure: whoever answers is accepted");
  run->left = run->options.resume ? 2 : 0;
  run->reports = json_array();
  (void)uv_loop_init(&run->loop);
  connect_once(run);
  (void)uv_run(&run->loop, UV_RUN_DEFAULT);
  (void)uv_loop_close(&run->loop);
  if (run->options.resume && !run->options.json)
    tell_resumed(run);
  if (run->options.json) {
    (void)json_dumpf(run->reports, stdout, JSON_INDENT(2));
    putchar('\n');
  }
  json_decref(run->reports);
  cli_drop(run->session, run->session_size);
  explicit_bzero(run->passphrase, sizeof run->passphrase);
  return run->status;
}

int cli_connect(int argc, const char **argv) {
  run_t run = {.options = {.timeout = 30}};
  options_t *o = &run.options;
  cli_arguments_t arguments;
  struct poptOption table[] = {
      {"ca", 0, POPT_ARG_ARGV, &o->ca, 0,
       "trust the certificates in FILE, and no others; as often as needed", "FILE"},
      {"server-name", 's', POPT_ARG_STRING, &o->server_name, 0,
       "the name to ask for and to check, if not HOST", "NAME"},
      {"cert", 0, POPT_ARG_STRING, &o->cert, 0, "our own certificate", "FILE"},
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
      {"require-staple", 0, POPT_ARG_NONE, &o->staple, 0,
       "refuse a server that shows no good OCSP response", NULL},
      {"resume", 0, POPT_ARG_NONE, &o->resume, 0,
       "connect three times, and say whether the session was resumed", NULL},
      {"timeout", 0, POPT_ARG_INT, &o->timeout, 0, "until secure (default 30)", "SECONDS"},
      {"insecure", 0, POPT_ARG_NONE, &o->insecure, 0, "go on whoever answers, and say so", NULL},
      {"json", 0, POPT_ARG_NONE, &o->json, 0, "only the facts, as JSON on standard output", NULL},
      {"quiet", 'q', POPT_ARG_NONE, &o->quiet, 0, "say nothing unless it fails", NULL},
      {NULL, '4', POPT_ARG_NONE, &o->ipv4, 0, "IPv4 only", NULL},
      {NULL, '6', POPT_ARG_NONE, &o->ipv6, 0, "IPv6 only", NULL},
      POPT_TABLEEND};
  int parsed = cli_parse(&arguments, &help, table, 1, 1, argc, argv);
  if (parsed)
    return parsed - 1;
  int status = set_target(&run, arguments.all[0]);
  if (!status)
    status = set_options(&run);
  if (!status)
    status = go(&run);
  cli_parsed(&arguments);
  return status;
}
