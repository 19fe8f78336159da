/* securepair serve */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "notify.h"
#include "serving.h"

void *cli_serve_state(const cli_serve_t *serve) { return serve->state; }

/* -- running ----------------------------------------------------------------------------------- */

static void tell_listening(const cli_serve_t *serve) {
  char address[128] = "", place[CLI_PLACE];
  int port = 0;
  (void)sp_server_address(serve->server, address, sizeof address, &port);
  json_t *facts = json_object();
  json_object_set_new(
      facts, "message",
      json_sprintf("listening on %s (%s)", cli_place(place, address, port), serve->service->name));
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

static bool is_unknown_host(int status) {
  return status == UV_EAI_NONAME || status == UV_EAI_NODATA || status == UV_EAI_AGAIN;
}

static int bind_port(cli_serve_t *serve) {
  cli_target_t place;
  sp_error_t why;
  if (cli_target_to_listen(&place, serve->options.listen, 8000))
    return CLI_FAILED;
  int status = *place.host ? sp_server_listen(serve->server, place.host, place.port, &why)
                           : listen_everywhere(serve->server, place.port, &why);
  if (status >= 0)
    return CLI_OK;
  const char *text = serve->options.listen;
  bool is_name = is_unknown_host(status) && !strchr(text, ':');
  return is_name ? cli_fail("\"%s\" is no port and no host of this machine: a port is a number, "
                            "8000; --www FOLDER serves a folder",
                            text)
                 : cli_fail_with(&why);
}

/* The server is there as long as its connections are; the rest goes with it. */
void cli_serve_close(cli_serve_t *serve) {
  cli_serve_tell_drops(serve);
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
  int status = cli_keylog_open(&serve->keylog, path);
  if (!status)
    cli_log_say(serve->log, "warning",
                "--keylog: whoever reads %s reads all connections: remove it when you are done",
                path);
  return status;
}

/* Keys are read and the port is bound with the rights of before; clients come after. */
static int start(cli_serve_t *serve) {
  const char *names = serve->options.sni_folder;
  if (open_files(serve) || cli_serve_make(serve) || bind_port(serve))
    return CLI_FAILED;
  cli_serve_warn_of_all_dates(serve);
  cli_serve_follow_signals(serve);
  if ((names && cli_names_open(&serve->names, serve, names)) || cli_serve_confine(serve))
    return CLI_FAILED;
  tell_listening(serve);
  if (serve->made)
    cli_serve_tell_made(serve);
  cli_notify(serve->notify, "READY=1");
  return cli_log_start(serve->log);
}

static void release(cli_serve_t *serve) {
  sp_certificate_release(serve->made);
  cli_keylog_close(&serve->keylog);
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

/* -- the command ------------------------------------------------------------------------------- */

int cli_serve(int argc, const char **argv) {
  cli_serve_t serve = {.service = &cli_echo, .keylog = {.fd = -1}, .notify = -1};
  cli_arguments_t arguments;
  int parsed = cli_serve_parse(&serve.options, &arguments, argc, argv);
  if (parsed)
    return parsed - 1;
  int status = choose_service(&serve);
  if (!status)
    status = go(&serve);
  release_service(&serve);
  cli_parsed(&arguments);
  return status;
}
