#include "dial.h"

#include <stdlib.h>
#include <string.h>

typedef struct dial {
  uv_tcp_t tcp; /* first: the stream's until it is closed */
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
  int status;   /* of the last address that did not answer */
  bool has_tcp; /* it is to be closed by us */
  int closing;  /* handles still to close */
  bool looking;
  char room[4096];
} dial_t;

static void free_dial(dial_t *dial) {
  uv_freeaddrinfo(dial->found);
  free(dial);
}

static void let_go(dial_t *dial) {
  if (--dial->closing == 0)
    free_dial(dial);
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
  dial->closing = 1 + dial->has_tcp + dial->looking;
  if (dial->has_tcp && !uv_is_closing((uv_handle_t *)&dial->tcp)) /* else on_lost comes */
    uv_close((uv_handle_t *)&dial->tcp, on_closed);
  uv_close((uv_handle_t *)&dial->timer, on_closed);
}

static void fail(dial_t *dial, int status, sp_party_t who, const char *text) {
  sp_error_t why = {.status = status, .who = who, .alert = -1};
  snprintf(why.text, sizeof why.text, "%s", text);
  finish(dial, &why);
}

static void fail_system(dial_t *dial, int status, const char *doing) {
  char text[256];
  snprintf(text, sizeof text, "cannot %s port %d: %s", doing, dial->target->port,
           uv_strerror(status));
  fail(dial, status, SP_TRANSPORT, text);
}

/* The handle's memory has to stay until the stream has closed it. */
static void adopt(dial_t *dial) {
  sp_stream_t *stream;
  sp_error_t why;
  (void)uv_read_stop((uv_stream_t *)&dial->tcp);
  if (sp_stream_adopt(&stream, (uv_stream_t *)&dial->tcp, SP_CLIENT, dial->talk.bytes, dial->talk.n,
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
    fail_system(dial, status, "write to");
  else
    go_on(dial, cli_talk_hear(&dial->talk, NULL, 0));
}

static void go_on(dial_t *dial, cli_step_t step) {
  if (step == CLI_STEP_FAILED) {
    fail(dial, SP_EPROTOCOL, SP_PEER, dial->talk.error);
  } else if (step == CLI_STEP_READY) {
    adopt(dial);
  } else if (step == CLI_STEP_SEND) {
    uv_buf_t bytes = uv_buf_init(dial->talk.reply, (unsigned)dial->talk.reply_size);
    dial->write.data = dial;
    (void)uv_write(&dial->write, (uv_stream_t *)&dial->tcp, &bytes, 1, on_written);
  }
}

static void on_room(uv_handle_t *handle, size_t size, uv_buf_t *room) {
  dial_t *dial = handle->data;
  (void)size;
  *room = uv_buf_init(dial->room, sizeof dial->room);
}

static void on_read(uv_stream_t *tcp, ssize_t n, const uv_buf_t *bytes) {
  dial_t *dial = tcp->data;
  if (n == UV_EOF)
    fail(dial, SP_EEARLYCLOSE, SP_PEER, "the server closed before TLS began");
  else if (n < 0)
    fail_system(dial, (int)n, "read from");
  else if (n > 0)
    go_on(dial, cli_talk_hear(&dial->talk, bytes->base, (size_t)n));
}

/* -- connecting -------------------------------------------------------------------------------- */

static void try_next(dial_t *dial);

static void on_lost(uv_handle_t *handle) {
  dial_t *dial = handle->data;
  dial->has_tcp = false;
  try_next(dial);
}

static void on_connected(uv_connect_t *request, int status) {
  dial_t *dial = request->data;
  if (!dial->dialled)
    return;
  if (status < 0) {
    dial->status = status;
    uv_close((uv_handle_t *)&dial->tcp, on_lost);
    return;
  }
  (void)uv_read_start((uv_stream_t *)&dial->tcp, on_room, on_read);
  go_on(dial, cli_talk_begin(&dial->talk, dial->talk.protocol, dial->target->host));
}

static void try_next(dial_t *dial) {
  struct addrinfo *info = dial->next;
  if (!dial->dialled) {
    let_go(dial);
    return;
  }
  if (!info) {
    fail_system(dial, dial->status, "connect to");
    return;
  }
  dial->next = info->ai_next;
  (void)uv_tcp_init(dial->timer.loop, &dial->tcp);
  dial->tcp.data = dial->connect.data = dial;
  dial->has_tcp = true;
  int status = uv_tcp_connect(&dial->connect, &dial->tcp, info->ai_addr, on_connected);
  if (status < 0) {
    dial->status = status;
    uv_close((uv_handle_t *)&dial->tcp, on_lost);
  }
}

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found) {
  dial_t *dial = request->data;
  dial->found = dial->next = found;
  dial->status = UV_EAI_NODATA;
  dial->looking = false;
  if (!dial->dialled)
    let_go(dial);
  else if (status < 0)
    fail_system(dial, status, "find the address of this host for");
  else
    try_next(dial);
}

static void on_late(uv_timer_t *timer) {
  fail(timer->data, UV_ETIMEDOUT, SP_TRANSPORT,
       "the server did not get to TLS in time: does it speak this protocol?");
}

void cli_dial(uv_loop_t *loop, const cli_protocol_t *protocol, const cli_target_t *target,
              const sp_options_t *tls, sp_secure_cb on_secure, cli_dialled_t dialled, void *data) {
  static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  char port[8];
  dial_t *dial = calloc(1, sizeof *dial);
  if (!dial)
    abort();
  dial->target = target;
  dial->tls = tls;
  dial->on_secure = on_secure;
  dial->dialled = dialled;
  dial->data = data;
  dial->talk.protocol = protocol;
  dial->lookup.data = dial->timer.data = dial;
  (void)uv_timer_init(loop, &dial->timer);
  (void)uv_timer_start(&dial->timer, on_late, (uint64_t)tls->connect_timeout, 0);
  snprintf(port, sizeof port, "%d", target->port);
  int status = uv_getaddrinfo(loop, &dial->lookup, on_found, target->host, port, &hints);
  dial->looking = status == 0;
  if (status < 0)
    fail_system(dial, status, "look up the host for");
}
