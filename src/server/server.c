/* A server's life, its contexts and its counts. */
#include "server/server.h"

#include "base/error.h"
#include "base/memory.h"
#include "context/context.h"
#include "pair/pair.h"
#include "stream/address.h"
#include "watch/watch.h"

#define BACKLOG 511
/* One handshake costs as much as hundreds of echoes; each one more in a turn is waited for by all
 * others (`./run bench latency`), and looking for events in between costs next to nothing: no more
 * than the accept that finds nobody. */
#define ACCEPTS_PER_TURN 1
#define HANDSHAKES_PER_TURN 1

/* -- life -------------------------------------------------------------------------------------- */

static void server_free(sp_server_t *server) {
  sp__list_remove(&server->work.node);
  sp__source_set(&server->context, NULL);
  sp__names_free(&server->names);
  if (server->loop)
    sp__loop_release(server->loop);
  sp__free(server);
}

static void set_options(sp_server_t *server, const sp_options_t *options) {
  sp__settings_of(&server->settings, options);
  if (options->context) {
    server->hooks = options->hooks;
    server->hooks_data = options->hooks_data;
  }
  server->max_connections = options->max_connections;
  server->backlog = options->backlog > 0 ? options->backlog : BACKLOG;
  server->accepts_per_turn =
      options->accepts_per_turn > 0 ? (unsigned)options->accepts_per_turn : ACCEPTS_PER_TURN;
  server->handshakes_per_turn = options->handshakes_per_turn > 0
                                    ? (unsigned)options->handshakes_per_turn
                                    : HANDSHAKES_PER_TURN;
  server->ipv6_only = options->ipv6_only == SP_YES;
  server->reuse_port = options->reuse_port == SP_YES;
  server->strict_sni = options->strict_sni == SP_YES;
}

static int check_context(const sp_server_t *server, const sp_options_t *options, sp_error_t *why) {
  if (options->context)
    return sp__hooks_check(&options->hooks, options->context, why);
  if (sp__context_can_serve(server->context.context))
    return 0;
  return sp__fail(
      why, SP_EOPTION, SP_US,
      "a server needs key and cert (or key_file and cert_file), or the hook psk_server: "
      "none is given");
}

static int make(sp_server_t *server, uv_loop_t *uv, const sp_options_t *given, sp_error_t *why) {
  sp_options_t options;
  int status = sp__options_copy(&options, given, why);
  if (status < 0 || (status = sp__context_of(&server->context.context, &options, why)) < 0 ||
      (status = check_context(server, &options, why)) < 0)
    return status;
  set_options(server, &options);
  if (!(server->loop = sp__loop_use(uv)))
    return sp__fail_memory(why);
  return 0;
}

/* A server that never listened goes away at the end of the turn in which it was closed. */
static void on_work(sp__work_t *work) { sp__server_finish(SP__OF(work, sp_server_t, work)); }

int sp_server_new(sp_server_t **made, uv_loop_t *uv, sp_secure_cb on_secure, sp_error_t *why,
                  const sp_options_t *options) {
  sp_server_t *server = sp__zalloc(sizeof *server);
  if (!server)
    return sp__fail_memory(why);
  server->on_secure = on_secure;
  server->work.run = on_work;
  sp__server_set_maker(&server->maker);
  sp__list_init(&server->work.node);
  sp__list_init(&server->streams);
  int status = make(server, uv, options, why);
  if (status < 0)
    server_free(server);
  else
    *made = server;
  return status;
}

/* -- closing ----------------------------------------------------------------------------------- */

void sp__server_finish(sp_server_t *server) {
  if (!server->closing || server->connections || !server->listener_closed || server->told)
    return;
  server->told = true;
  if (server->on_close)
    server->on_close(server);
  server_free(server);
}

int sp_server_close(sp_server_t *server, sp_server_cb on_close) {
  if (server->closing)
    return UV_EALREADY;
  server->closing = true;
  server->on_close = on_close;
  if (server->listener) {
    sp__listener_close(server->listener);
    server->listener = NULL;
  } else {
    server->listener_closed = true;
    sp__loop_at_turn_end(server->loop, &server->work, true);
  }
  return 0;
}

void sp_server_destroy_all(sp_server_t *server) {
  sp__list_t *node = server->streams.next;
  while (node != &server->streams) {
    sp_stream_t *stream = SP__OF(node, sp_stream_t, sibling);
    node = node->next; /* destroying is put off: the list stays as it is */
    sp_stream_destroy(stream);
  }
}

/* -- contexts ---------------------------------------------------------------------------------- */

int sp_server_set_context(sp_server_t *server, sp_context_t *context) {
  if (!context || !sp__context_can_serve(context))
    return SP_EOPTION;
  sp__source_set(&server->context, context);
  return 0;
}

int sp_server_add_context(sp_server_t *server, const char *name, sp_context_t *context) {
  if (!name || (context && !sp__context_can_serve(context)))
    return SP_EOPTION;
  return sp__names_set(&server->names, name, context);
}

int sp_server_follow(sp_server_t *server, const char *name, sp_watch_t *watch) {
  if (!watch->can_serve)
    return SP_EOPTION;
  if (name)
    return sp__names_follow(&server->names, name, watch->current);
  sp__source_follow(&server->context, watch->current);
  return 0;
}

/* -- counts and facts -------------------------------------------------------------------------- */

size_t sp_server_connections(const sp_server_t *server) { return server->connections; }
size_t sp_server_max_connections(const sp_server_t *server) { return server->max_connections; }

void sp_server_set_max_connections(sp_server_t *server, size_t maximum) {
  server->max_connections = maximum;
}

void sp_server_on_drop(sp_server_t *server, sp_drop_cb on_drop) { server->on_drop = on_drop; }

void sp_server_on_accept(sp_server_t *server, sp_accept_cb on_accept) {
  server->on_accept = on_accept;
}

int sp_server_address(const sp_server_t *server, char *room, size_t size, int *port) {
  if (!server->listener)
    return UV_EBADF;
  return sp__address_of_fd(server->listener->fd, room, size, port);
}

int sp_server_port(const sp_server_t *server) {
  char room[128];
  int port = 0;
  return sp_server_address(server, room, sizeof room, &port) == 0 ? port : 0;
}

int sp_server_fd(const sp_server_t *server) { return server->listener ? server->listener->fd : -1; }

void sp_server_ref(sp_server_t *server) {
  if (!server->listener)
    return;
  uv_ref((uv_handle_t *)&server->listener->poll);
  uv_ref((uv_handle_t *)&server->listener->pause);
}

void sp_server_unref(sp_server_t *server) {
  if (!server->listener)
    return;
  uv_unref((uv_handle_t *)&server->listener->poll);
  uv_unref((uv_handle_t *)&server->listener->pause);
}

void sp_server_set_data(sp_server_t *server, void *data) { server->data = data; }
void *sp_server_data(const sp_server_t *server) { return server->data; }
uv_loop_t *sp_server_loop(const sp_server_t *server) { return server->loop->uv; }
sp_server_t *sp_stream_server(const sp_stream_t *stream) { return stream->server; }
