#include "dial.h"

#include <stdlib.h>
#include <string.h>

#define ATTEMPT 2000 /* milliseconds for an address, while there is another one to try */

typedef struct dial {
  union { /* first: the stream's until it is closed */
    uv_stream_t io;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  };
  uv_timer_t timer;
  uv_getaddrinfo_t lookup;
  uv_connect_t connect;
  uv_write_t write;
  struct addrinfo *found, *next;
  cli_talk_t talk;
  const cli_target_t *target;
  const sp_options_t *tls;
  sp_secure_cb on_secure;
  cli_dialled_t dialled; /* NULL: it was called */
  void *data;
  uint64_t deadline; /* by the loop's clock */
  int status;        /* of the last address that did not answer */
  bool has_io;       /* it is to be closed by us */
  bool looking, connected;
  int closing; /* handles still to close */
  char room[4096];
} dial_t;

static void let_go(dial_t *dial) {
  if (--dial->closing)
    return;
  uv_freeaddrinfo(dial->found);
  free(dial);
}

static void on_closed(uv_handle_t *handle) { let_go(handle->data); }

void cli_dial_release(void *memory) {
  if (memory)
    let_go(memory);
}

/* -- the end of it ----------------------------------------------------------------------------- */

static void finish(dial_t *dial, const sp_error_t *why) {
  cli_dialled_t dialled = dial->dialled;
  if (!dialled)
    return;
  dial->dialled = NULL;
  dialled(dial->data, NULL, why, NULL);
  dial->closing = 1 + dial->has_io + dial->looking;
  if (dial->has_io && !uv_is_closing((uv_handle_t *)&dial->io)) /* else on_lost comes */
    uv_close((uv_handle_t *)&dial->io, on_closed);
  uv_close((uv_handle_t *)&dial->timer, on_closed);
}

static void fail(dial_t *dial, int status, sp_party_t who, const char *text) {
  sp_error_t why = {.status = status, .who = who, .alert = -1};
  snprintf(why.text, sizeof why.text, "%s", text);
  finish(dial, &why);
}

static void fail_system(dial_t *dial, int status, const char *doing) {
  char text[256];
  snprintf(text, sizeof text, "cannot %s: %s", doing, uv_strerror(status));
  fail(dial, status, SP_TRANSPORT, text);
}

/* The handle's memory has to stay until the stream has closed it. */
static void adopt(dial_t *dial) {
  sp_stream_t *stream;
  sp_error_t why;
  (void)uv_read_stop(&dial->io);
  if (sp_stream_adopt(&stream, &dial->io, SP_CLIENT, dial->talk.bytes, dial->talk.n,
                      dial->on_secure, &why, dial->tls) < 0) {
    finish(dial, &why);
    return;
  }
  cli_dialled_t dialled = dial->dialled;
  dial->dialled = NULL;
  dial->closing = 2; /* the timer, and the stream's handle */
  uv_close((uv_handle_t *)&dial->timer, on_closed);
  dialled(dial->data, stream, NULL, dial);
}

/* -- talking ----------------------------------------------------------------------------------- */

static void go_on(dial_t *dial, cli_step_t step);

static void on_written(uv_write_t *request, int status) {
  dial_t *dial = request->data;
  if (!dial->dialled)
    return;
  if (status < 0)
    fail_system(dial, status, "write to the server");
  else
    go_on(dial, cli_talk_sent(&dial->talk));
}

static void reply(dial_t *dial) {
  uv_buf_t bytes = uv_buf_init(dial->talk.reply, (unsigned)dial->talk.reply_size);
  dial->write.data = dial;
  int status = uv_write(&dial->write, &dial->io, &bytes, 1, on_written);
  if (status < 0)
    fail_system(dial, status, "write to the server");
}

static void go_on(dial_t *dial, cli_step_t step) {
  if (step == CLI_STEP_FAILED)
    fail(dial, SP_EPROTOCOL, SP_PEER, dial->talk.error);
  else if (step == CLI_STEP_READY)
    adopt(dial);
  else if (step == CLI_STEP_SEND)
    reply(dial);
}

static void on_room(uv_handle_t *handle, size_t size, uv_buf_t *room) {
  dial_t *dial = handle->data;
  (void)size;
  *room = uv_buf_init(dial->room, sizeof dial->room);
}

static void on_read(uv_stream_t *io, ssize_t n, const uv_buf_t *bytes) {
  dial_t *dial = io->data;
  if (!dial->dialled)
    return;
  if (n == UV_EOF)
    fail(dial, SP_EEARLYCLOSE, SP_PEER, "the server closed before TLS began");
  else if (n < 0)
    fail_system(dial, (int)n, "read from the server");
  else if (n > 0)
    go_on(dial, cli_talk_hear(&dial->talk, bytes->base, (size_t)n));
}

/* -- connecting -------------------------------------------------------------------------------- */

static void try_next(dial_t *dial);

static void on_lost(uv_handle_t *handle) {
  dial_t *dial = handle->data;
  dial->has_io = false;
  if (dial->dialled)
    try_next(dial);
  else
    let_go(dial);
}

static void lose(dial_t *dial, int status) {
  dial->status = status;
  uv_close((uv_handle_t *)&dial->io, on_lost);
}

static void on_late(uv_timer_t *timer) {
  dial_t *dial = timer->data;
  if (uv_now(timer->loop) >= dial->deadline)
    fail(dial, UV_ETIMEDOUT, SP_TRANSPORT,
         dial->connected ? "the server did not turn to TLS in time: does it speak this protocol?"
         : dial->looking ? "the address of this host was not found in time"
                         : "the server did not answer in time");
  else if (!dial->connected && dial->has_io && !uv_is_closing((uv_handle_t *)&dial->io))
    lose(dial, UV_ETIMEDOUT);
}

/* An address that does not answer must not take the time of those after it. */
static void set_timer(dial_t *dial) {
  uint64_t now = uv_now(dial->timer.loop);
  uint64_t left = dial->deadline > now ? dial->deadline - now : 0;
  bool another = !dial->connected && dial->next;
  (void)uv_timer_start(&dial->timer, on_late, another && left > ATTEMPT ? ATTEMPT : left, 0);
}

static void on_connected(uv_connect_t *request, int status) {
  dial_t *dial = request->data;
  if (!dial->dialled || uv_is_closing((uv_handle_t *)&dial->io))
    return;
  if (status >= 0)
    status = uv_read_start(&dial->io, on_room, on_read);
  if (status < 0) {
    lose(dial, status);
    return;
  }
  dial->connected = true;
  set_timer(dial);
  const char *name = dial->tls->server_name ? dial->tls->server_name : dial->target->host;
  go_on(dial, cli_talk_begin(&dial->talk, dial->talk.protocol, name));
}

static int init(dial_t *dial, int status) {
  dial->has_io = status == 0;
  dial->io.data = dial->connect.data = dial;
  return status;
}

static void try_next(dial_t *dial) {
  struct addrinfo *info = dial->next;
  if (!info) {
    fail_system(dial, dial->status, "connect");
    return;
  }
  dial->next = info->ai_next;
  set_timer(dial);
  int status = init(dial, uv_tcp_init(dial->timer.loop, &dial->tcp));
  if (status < 0) {
    fail_system(dial, status, "connect");
    return;
  }
  status = uv_tcp_connect(&dial->connect, &dial->tcp, info->ai_addr, on_connected);
  if (status < 0)
    lose(dial, status);
}

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found) {
  dial_t *dial = request->data;
  dial->found = dial->next = found;
  dial->status = UV_EAI_NODATA;
  dial->looking = false;
  if (!dial->dialled)
    let_go(dial);
  else if (status < 0)
    fail_system(dial, status, "find the address of this host");
  else
    try_next(dial);
}

/* -- beginning --------------------------------------------------------------------------------- */

static void look_up(dial_t *dial) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  char port[8];
  hints.ai_family = dial->tls->family == 4   ? AF_INET
                    : dial->tls->family == 6 ? AF_INET6
                                             : AF_UNSPEC;
  snprintf(port, sizeof port, "%d", dial->target->port);
  int status =
      uv_getaddrinfo(dial->timer.loop, &dial->lookup, on_found, dial->target->host, port, &hints);
  dial->looking = status == 0;
  if (status < 0)
    fail_system(dial, status, "find the address of this host");
}

static void connect_path(dial_t *dial) {
  int status = init(dial, uv_pipe_init(dial->timer.loop, &dial->pipe, 0));
  if (status < 0)
    fail_system(dial, status, "connect");
  else
    uv_pipe_connect(&dial->connect, &dial->pipe, dial->target->path, on_connected);
}

int cli_dial(uv_loop_t *loop, const cli_protocol_t *protocol, const cli_target_t *target,
             const sp_options_t *tls, sp_secure_cb on_secure, cli_dialled_t dialled, void *data) {
  dial_t *dial = calloc(1, sizeof *dial);
  if (!dial)
    return UV_ENOMEM;
  dial->target = target;
  dial->tls = tls;
  dial->on_secure = on_secure;
  dial->dialled = dialled;
  dial->data = data;
  dial->talk.protocol = protocol;
  dial->lookup.data = dial->timer.data = dial;
  uv_update_time(loop);
  dial->deadline = uv_now(loop) + (uint64_t)tls->connect_timeout;
  (void)uv_timer_init(loop, &dial->timer);
  (void)uv_timer_start(&dial->timer, on_late, (uint64_t)tls->connect_timeout, 0);
  if (target->path)
    connect_path(dial);
  else
    look_up(dial);
  return 0;
}
