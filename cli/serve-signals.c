/* Signals of `securepair serve`: SIGTERM and SIGINT end it, by and by; the others are harmless. */
#include <signal.h>

#include "notify.h"
#include "serving.h"

/* -- ending ------------------------------------------------------------------------------------ */

static void on_server_closed(sp_server_t *server) {
  cli_serve_t *serve = sp_server_data(server);
  serve->server = NULL;
  cli_serve_close(serve);
}

static void cut(cli_serve_t *serve) {
  if (serve->server)
    sp_server_destroy_all(serve->server);
}

static void on_grace_over(uv_timer_t *timer) {
  cli_serve_t *serve = timer->data;
  size_t count = sp_server_connections(serve->server);
  cli_log_say(serve->log, "cut", "%zu connection%s did not end in time, and %s cut", count,
              count == 1 ? "" : "s", count == 1 ? "is" : "are");
  cut(serve);
}

static void end(cli_serve_t *serve, const char *signal_name) {
  if (serve->is_draining) {
    cli_log_say(serve->log, "cut", "%s again: all connections are cut", signal_name);
    cut(serve);
    return;
  }
  serve->is_draining = true;
  size_t count = sp_server_connections(serve->server);
  cli_log_say(serve->log, "stopping", "%s: no more clients; %zu connection%s on for %d seconds",
              signal_name, count, count == 1 ? " goes" : "s go", serve->options.grace);
  cli_notify(serve->notify, "STOPPING=1");
  (void)sp_server_close(serve->server, on_server_closed);
  (void)uv_timer_start(&serve->grace, on_grace_over, (uint64_t)serve->options.grace * 1000, 0);
  cli_serve_drain(serve);
}

/* -- counters ---------------------------------------------------------------------------------- */

static void add(json_t *facts, const char *name, uint64_t count) {
  json_object_set_new(facts, name, json_integer((json_int_t)count));
}

static void tell_counters(const cli_serve_t *serve) {
  sp_server_counters_t counters = {.size = sizeof counters};
  char name[64];
  if (!serve->server || sp_server_counters(serve->server, &counters) < 0)
    return;
  json_t *facts = json_object();
  add(facts, "connections", counters.connections);
  add(facts, "handshaking", counters.handshaking);
  add(facts, "accepted", counters.accepted);
  add(facts, "dropped",
      counters.dropped_limit + counters.dropped_resources + counters.dropped_other);
  add(facts, "handshakes_full", counters.handshakes_full);
  add(facts, "handshakes_resumed", counters.handshakes_resumed);
  for (int i = 1; i < SP_FAILURES; i++) {
    snprintf(name, sizeof name, "failed_%s", sp_failure_name((sp_failure_t)i));
    if (counters.handshakes_failed[i])
      add(facts, name, counters.handshakes_failed[i]);
  }
  add(facts, "bytes_in", counters.cleartext_in);
  add(facts, "bytes_out", counters.cleartext_out);
  cli_log_put(serve->log, "counters", facts);
}

/* -- signals ----------------------------------------------------------------------------------- */

static void on_signal(uv_signal_t *handle, int number) {
  cli_serve_t *serve = handle->data;
  if (number == SIGTERM || number == SIGINT)
    end(serve, number == SIGTERM ? "SIGTERM" : "SIGINT");
  else if (number == SIGHUP)
    cli_serve_reload(serve);
  else if (number == SIGUSR1)
    tell_counters(serve);
}

void cli_serve_follow_signals(cli_serve_t *serve) {
  static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
  (void)uv_timer_init(&serve->loop, &serve->grace);
  (void)uv_timer_init(&serve->loop, &serve->drops);
  uv_unref((uv_handle_t *)&serve->drops);
  serve->grace.data = serve->drops.data = serve;
  serve->has_signals = true;
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    (void)uv_signal_init(&serve->loop, &serve->signals[i]);
    serve->signals[i].data = serve;
    (void)uv_signal_start(&serve->signals[i], on_signal, numbers[i]);
  }
}

void cli_serve_forget_signals(cli_serve_t *serve) {
  if (!serve->has_signals)
    return;
  uv_close((uv_handle_t *)&serve->grace, NULL);
  uv_close((uv_handle_t *)&serve->drops, NULL);
  for (size_t i = 0; i < sizeof serve->signals / sizeof *serve->signals; i++)
    uv_close((uv_handle_t *)&serve->signals[i], NULL);
}
