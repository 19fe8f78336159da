#include "stage.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "contexts.h"
#include "pki.h"
#include "sanitized.h"

#define PATIENCE (SANITIZED ? 120000 : 30000)

int stage_count_fds(void) {
  DIR *folder = opendir("/proc/self/fd");
  int count = -1; /* the folder's own */
  assert_non_null(folder);
  for (struct dirent *entry; (entry = readdir(folder));)
    count += entry->d_name[0] != '.';
  closedir(folder);
  return count;
}

static void on_watchdog(uv_timer_t *timer) {
  (void)timer;
  fail_msg("the watchdog barked: the test hangs");
}

/* What libuv opens once and never closes. */
static void open_for_good(void) {
  static bool done;
  uv_loop_t loop;
  if (!done && uv_loop_init(&loop) == 0)
    done = uv_loop_close(&loop) == 0;
}

void stage_open(stage_t *stage) {
  open_for_good();
  stage->fds = stage_count_fds();
  assert_int_equal(uv_loop_init(&stage->uv), 0);
  uv_timer_init(&stage->uv, &stage->watchdog);
  uv_timer_start(&stage->watchdog, on_watchdog, PATIENCE, 0);
  uv_unref((uv_handle_t *)&stage->watchdog);
}

void stage_turn(stage_t *stage) {
  /* referenced meanwhile, so that waiting for what never comes ends with a bark */
  uv_ref((uv_handle_t *)&stage->watchdog);
  uv_run(&stage->uv, UV_RUN_ONCE);
  uv_unref((uv_handle_t *)&stage->watchdog);
}

void stage_run(stage_t *stage) { uv_run(&stage->uv, UV_RUN_DEFAULT); }

static void name_handle(uv_handle_t *handle, void *data) {
  (void)data;
  print_error("left on the loop: %s%s\n", uv_handle_type_name(handle->type),
              uv_is_closing(handle) ? " (closing)" : "");
}

void stage_close(stage_t *stage) {
  uv_close((uv_handle_t *)&stage->watchdog, NULL);
  uv_run(&stage->uv, UV_RUN_DEFAULT);
  int status = uv_loop_close(&stage->uv);
  if (status)
    uv_walk(&stage->uv, name_handle, NULL);
  assert_int_equal(status, 0);
  assert_int_equal(stage_count_fds(), stage->fds);
}

sp_context_t *stage_context(sp_role_t role, sp_protocol_t only) {
  static sp_context_t *made[2][3];
  const pki_set_t *pki = pki_default();
  sp_context_t **slot = &made[role][only ? only - SP_TLS1_2 + 1 : 0];
  const sp_options_t *options =
      role == SP_SERVER ? SP_OPTIONS(.key = pki->server->key_pem, .cert = pki->server->cert_pem,
                                     .min_version = only, .max_version = only)
                        : SP_OPTIONS(.ca = SP_LIST(pki->root->cert_pem), .min_version = only,
                                     .max_version = only);
  if (!*slot)
    *slot = context_made(options);
  return *slot;
}

sp_options_t stage_options(const sp_options_t *given, sp_role_t role, int port) {
  sp_options_t options = given ? *given : *SP_OPTIONS(.port = 0);
  if (!options.context)
    options.context = stage_context(role, 0);
  if (role == SP_CLIENT && !options.path) {
    options.port = port;
    if (!options.host)
      options.host = "127.0.0.1";
  }
  return options;
}

void duo_gone(duo_t *duo, const sp_stream_t *stream) {
  if (duo->client == stream)
    duo->client = NULL;
  if (duo->accepted == stream)
    duo->accepted = NULL;
}

static void on_close(sp_stream_t *stream) { duo_gone(sp_stream_data(stream), stream); }

static const sp_stream_events_t quiet = {.close = on_close};

static void on_client_secure(sp_stream_t *stream, int status) {
  duo_t *duo = sp_stream_data(stream);
  duo->client_secure = status;
}

static void on_server_secure(sp_stream_t *stream, int status) {
  duo_t *duo = sp_server_data(sp_stream_server(stream));
  duo->accepted = stream;
  duo->server_secure = status;
  sp_stream_on(stream, &quiet, duo);
}

void duo_meet(duo_t *duo, stage_t *stage, const sp_options_t *server, const sp_options_t *client) {
  sp_error_t why;
  sp_options_t options = stage_options(server, SP_SERVER, 0);
  *duo = (duo_t){.stage = stage, .client_secure = 1, .server_secure = 1};
  assert_int_equal(sp_server_new(&duo->server, &stage->uv, on_server_secure, &why, &options), 0);
  sp_server_set_data(duo->server, duo);
  assert_int_equal(sp_server_listen(duo->server, "127.0.0.1", 0, &why), 0);
  options = stage_options(client, SP_CLIENT, sp_server_port(duo->server));
  assert_int_equal(sp_connect(&duo->client, &stage->uv, on_client_secure, &why, &options), 0);
  sp_stream_on(duo->client, &quiet, duo);
  STAGE_UNTIL(stage, duo->client_secure != 1 && duo->server_secure != 1);
  assert_int_equal(duo->client_secure, 0);
  assert_int_equal(duo->server_secure, 0);
}

static void on_server_close(sp_server_t *server) {
  ((duo_t *)sp_server_data(server))->server_closed = true;
}

void duo_part(duo_t *duo) {
  if (duo->client)
    sp_stream_destroy(duo->client);
  sp_server_destroy_all(duo->server);
  sp_server_close(duo->server, on_server_close);
  STAGE_UNTIL(duo->stage, duo->server_closed && !duo->client);
  assert_null(duo->client);
  assert_null(duo->accepted);
}
