/* securepair connect: the connection, or those of --resume, from beginning to end. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "connect.h"
#include "dial.h"
#include "problem.h"
#include "report.h"

#define TICKET_WAIT 500 /* milliseconds for a ticket, or a refusal, after the handshake */

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
  default:
    return error->who == SP_PEER ? PROTOCOL : error->who == SP_TRANSPORT ? UNREACHABLE : CLI_FAILED;
  }
}

/* The first thing that went wrong counts. */
static void note(cli_connect_t *connect, int status) {
  if (!connect->status)
    connect->status = status;
}

static const char *remedy_in(const json_t *report) {
  return json_string_value(json_object_get(json_object_get(report, "error"), "remedy"));
}

static void say_failure(const cli_connect_t *connect, const sp_error_t *error) {
  const char *remedy = remedy_in(connect->report);
  char words[CLI_ERROR_TEXT];
  (void)cli_fail("%s: %s", connect->named, cli_error_text(words, error));
  if (remedy)
    (void)cli_fail("%s", remedy);
}

/* Only the facts are asked for: nothing is passed on. */
static bool is_short(const cli_connect_t *connect) {
  return connect->options.json || connect->options.resume;
}

/* -- events ------------------------------------------------------------------------------------ */

static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  cli_connect_t *connect = sp_stream_data(stream);
  if (is_short(connect))
    return;
  if (cli_put(bytes, n)) {
    note(connect, CLI_FAILED);
    sp_stream_destroy(stream);
  }
}

static void on_end(sp_stream_t *stream, int status) {
  cli_connect_t *connect = sp_stream_data(stream);
  if (status == SP_ETRUNCATED && !is_short(connect)) {
    cli_warn("%s ended without TLS's own goodbye (close_notify): data may be missing",
             connect->named);
    note(connect, TRUNCATED);
  }
  sp_stream_end(stream);
}

static void on_drain(sp_stream_t *stream) {
  cli_connect_t *connect = sp_stream_data(stream);
  cli_pump_drained(connect->pump);
}

static void on_error(sp_stream_t *stream, const sp_error_t *error) {
  cli_connect_t *connect = sp_stream_data(stream);
  note(connect, status_of(error));
  cli_report_fail(connect->report, connect, error);
  say_failure(connect, error);
}

static void keep_session(cli_connect_t *connect, const void *bytes, size_t n) {
  char *copy = malloc(n);
  if (!copy)
    return; /* it is a full handshake then */
  memcpy(copy, bytes, n);
  cli_drop(connect->session, connect->session_size);
  connect->session = copy;
  connect->session_size = n;
}

static void end(cli_connect_t *connect, sp_stream_t *stream) {
  connect->ended = true;
  sp_stream_set_timeout(stream, connect->options.timeout * 1000);
  sp_stream_end(stream);
}

static void on_session(sp_stream_t *stream, const void *bytes, size_t n) {
  cli_connect_t *connect = sp_stream_data(stream);
  bool first = !json_object_get(connect->report, "session_seconds");
  cli_report_session(connect->report, stream);
  if (connect->options.resume)
    keep_session(connect, bytes, n);
  if (is_short(connect)) /* all that there is to hear */
    end(connect, stream);
  else if (first && !connect->options.quiet)
    cli_tell_session(connect->report);
}

/* The peer did not end after we did; half of a conversation is no success. */
static void give_up(cli_connect_t *connect, sp_stream_t *stream) {
  (void)cli_fail("%s: the server did not end within %d seconds after we did: --linger and "
                 "--timeout say how long it has",
                 connect->named, connect->options.timeout);
  note(connect, TIMED_OUT);
  sp_stream_destroy(stream);
}

/* Many servers drop what they have to say when the other side ends: they may say it first. */
static void on_input_end(sp_stream_t *stream, bool sent) {
  cli_connect_t *connect = sp_stream_data(stream);
  if (sent && connect->options.linger)
    sp_stream_set_timeout(stream, connect->options.linger * 1000);
  else
    end(connect, stream);
}

static void on_input_loss(sp_stream_t *stream) {
  cli_connect_t *connect = sp_stream_data(stream);
  (void)cli_fail("%s: there is no memory to send all of standard input", connect->named);
  note(connect, CLI_FAILED);
  sp_stream_destroy(stream);
}

/* No ticket came; or input is over and the peer is quiet: it is our turn to end. */
static void on_timeout(sp_stream_t *stream) {
  cli_connect_t *connect = sp_stream_data(stream);
  if (!connect->ended)
    end(connect, stream);
  else if (is_short(connect))
    sp_stream_destroy(stream); /* it said what we wanted to know */
  else
    give_up(connect, stream);
}

static void connect_once(cli_connect_t *connect);

static void on_close(sp_stream_t *stream) {
  cli_connect_t *connect = sp_stream_data(stream);
  cli_pump_stop(connect->pump);
  connect->pump = NULL;
  cli_dial_release(connect->dialled);
  connect->dialled = NULL;
  if (connect->left && !connect->status) {
    connect->left--;
    connect_once(connect);
  }
}

/* -- secure, or not ---------------------------------------------------------------------------- */

static void save_chain(cli_connect_t *connect) {
  const json_t *chain = json_object_get(connect->report, "chain"), *one;
  size_t i, n = 0;
  const char *path = connect->options.save_chain;
  char *text = NULL;
  if (!path || connect->chain_saved || !chain)
    return;
  connect->chain_saved = true;
  FILE *to = open_memstream(&text, &n);
  if (to) {
    json_array_foreach(chain, i, one) { fputs(json_string_value(json_object_get(one, "pem")), to); }
    if (fclose(to) == 0)
      note(connect, cli_write(path, text, CLI_PUBLIC, connect->options.force != 0));
  }
  if (!text)
    note(connect, cli_fail("%s: no memory for it", path));
  free(text);
}

static void begin(cli_connect_t *connect, sp_stream_t *stream) {
  const cli_connect_options_t *o = &connect->options;
  connect->ended = false;
  if (is_short(connect)) {
    sp_stream_set_timeout(stream, TICKET_WAIT);
    return;
  }
  connect->pump = cli_pump_start(&connect->loop, stream, o->crlf != 0, on_input_end, on_input_loss);
  if (connect->pump)
    return;
  note(connect, cli_fail("no memory to read standard input"));
  sp_stream_destroy(stream);
}

static void on_secure(sp_stream_t *stream, int status) {
  cli_connect_t *connect = sp_stream_data(stream);
  const sp_error_t *error = status < 0 ? sp_stream_error(stream) : NULL;
  connect->report = cli_report(connect, stream);
  json_array_append_new(connect->reports, connect->report);
  if (error)
    cli_report_fail(connect->report, connect, error);
  if (!connect->options.quiet && !connect->options.json)
    cli_tell(connect->report);
  else if (error)
    say_failure(connect, error);
  if (error)
    note(connect, status_of(error));
  save_chain(connect);
  if (!error)
    begin(connect, stream);
}

static const sp_stream_events_t events = {.data = on_data,
                                          .end = on_end,
                                          .drain = on_drain,
                                          .timeout = on_timeout,
                                          .error = on_error,
                                          .close = on_close,
                                          .session = on_session};

/* -- connecting -------------------------------------------------------------------------------- */

/* It did not get to TLS. */
static void fail_early(cli_connect_t *connect, const sp_error_t *why) {
  connect->report = cli_report(connect, NULL);
  json_array_append_new(connect->reports, connect->report);
  cli_report_fail(connect->report, connect, why);
  note(connect, status_of(why));
  if (connect->options.quiet || connect->options.json)
    say_failure(connect, why);
  else
    cli_tell(connect->report);
}

/* The stream, or why the protocol before it did not get to TLS. */
static void on_dialled(void *data, sp_stream_t *stream, const sp_error_t *why, void *memory) {
  cli_connect_t *connect = data;
  connect->dialled = memory;
  if (why)
    fail_early(connect, why);
  else
    sp_stream_on(stream, &events, connect);
}

static void connect_once(cli_connect_t *connect) {
  sp_error_t why = {.status = UV_ENOMEM, .alert = -1, .text = "out of memory"};
  sp_stream_t *stream;
  int status;
  connect->tls.session = connect->session;
  connect->tls.session_size = connect->session_size;
  if (connect->options.starttls) {
    status = cli_dial(&connect->loop, cli_protocol_find(connect->options.starttls),
                      &connect->target, &connect->tls, on_secure, on_dialled, connect);
  } else {
    status = sp_connect(&stream, &connect->loop, on_secure, &why, &connect->tls);
    if (status == 0)
      on_dialled(connect, stream, NULL, NULL);
  }
  if (status < 0)
    note(connect, cli_fail_with(&why)); /* an option, or a file of one */
}

/* -- the end ----------------------------------------------------------------------------------- */

static void tell_resumed(const cli_connect_t *connect) {
  size_t count = json_array_size(connect->reports);
  for (size_t i = 1; i < count; i++)
    fprintf(stderr, "  connection %zu: %s\n", i + 1,
            json_is_true(json_object_get(json_array_get(connect->reports, i), "resumed"))
                ? "resumed"
                : "a full handshake");
  if (!connect->session && !connect->status)
    fprintf(stderr, "  the server gave no session to resume\n");
}

static const char *reason_of(const cli_connect_t *connect) {
  const json_t *error = json_object_get(connect->report, "error");
  const char *name = json_string_value(json_object_get(error, "class"));
  return name ? name : connect->status ? "other" : "none";
}

/* The first connection, the others of --resume in it, and how all ended. */
static int print(const cli_connect_t *connect) {
  json_t *first = json_array_get(connect->reports, 0), *again = json_array();
  if (!first) {
    json_decref(again);
    return CLI_OK; /* nothing was tried: standard error says why */
  }
  for (size_t i = 1; i < json_array_size(connect->reports); i++)
    json_array_append(again, json_array_get(connect->reports, i));
  if (connect->options.resume)
    json_object_set(first, "again", again);
  json_object_set_new(first, "status", json_integer(connect->status));
  json_object_set_new(first, "reason", json_string(reason_of(connect)));
  int status = cli_json_put(first);
  json_decref(again);
  return status;
}

static void finish(cli_connect_t *connect) {
  if (connect->options.resume && !connect->options.json && !connect->options.quiet)
    tell_resumed(connect);
  if (connect->options.save_chain && !connect->chain_saved)
    cli_warn("%s is not written: no certificate came", connect->options.save_chain);
  if (connect->options.json)
    note(connect, print(connect));
  json_decref(connect->reports);
  cli_drop(connect->session, connect->session_size);
}

int cli_connect_run(cli_connect_t *connect) {
  (void)signal(SIGPIPE, SIG_IGN); /* who does not read is told of as an error */
  if (uv_loop_init(&connect->loop) < 0 || !(connect->reports = json_array()))
    return cli_fail("no memory, or no descriptors left");
  connect->left = connect->options.resume ? 2 : 0;
  connect_once(connect);
  (void)uv_run(&connect->loop, UV_RUN_DEFAULT);
  (void)uv_loop_close(&connect->loop);
  finish(connect);
  return connect->status;
}
