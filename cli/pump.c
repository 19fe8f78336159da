#include "pump.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE 65536

/* Terminals, pipes and sockets are watched; a file is always ready, and read in turns of the loop.
 */
struct cli_pump {
  sp_stream_t *stream; /* NULL: stopped */
  union {
    uv_poll_t poll;
    uv_idle_t idle;
    uv_handle_t handle;
  };
  cli_pump_end_t on_end;
  cli_pump_loss_t on_loss;
  bool is_file, running, ended, sent, crlf, after_cr;
};

static void on_closed(uv_handle_t *handle) { free(handle->data); }

static void on_readable(uv_poll_t *poll, int status, int events);
static void on_turn(uv_idle_t *idle);

static void run(cli_pump_t *pump, bool on) {
  if (pump->running == on)
    return;
  pump->running = on;
  if (pump->is_file)
    (void)(on ? uv_idle_start(&pump->idle, on_turn) : uv_idle_stop(&pump->idle));
  else
    (void)(on ? uv_poll_start(&pump->poll, UV_READABLE, on_readable) : uv_poll_stop(&pump->poll));
}

static void end(cli_pump_t *pump) {
  pump->ended = true;
  run(pump, false);
  pump->on_end(pump->stream, pump->sent);
}

/* `room` takes twice of n. */
static size_t with_crlf(cli_pump_t *pump, char *room, const char *bytes, size_t n) {
  size_t at = 0;
  for (size_t i = 0; i < n; i++) {
    if (bytes[i] == '\n' && !pump->after_cr)
      room[at++] = '\r';
    room[at++] = bytes[i];
    pump->after_cr = bytes[i] == '\r';
  }
  return at;
}

static void move(cli_pump_t *pump) {
  char bytes[PIECE], lines[2 * PIECE];
  ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
  if (!pump->stream || (n < 0 && (errno == EAGAIN || errno == EINTR)))
    return;
  if (n < 0)
    cli_warn("cannot read standard input: %s", strerror(errno));
  if (n <= 0) {
    end(pump);
    return;
  }
  size_t size = pump->crlf ? with_crlf(pump, lines, bytes, (size_t)n) : (size_t)n;
  int taken = sp_stream_send(pump->stream, pump->crlf ? lines : bytes, size);
  pump->sent = true;
  if (taken <= 0) /* full, until `drain`; or failed, of which the stream tells itself */
    run(pump, false);
  if (taken == UV_ENOMEM && !sp_stream_error(pump->stream)->status)
    pump->on_loss(pump->stream);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  (void)events, (void)status; /* an error shows when reading */
  move(poll->data);
}

static void on_turn(uv_idle_t *idle) { move(idle->data); }

/* libuv makes what it watches non-blocking, for all who have the same terminal or pipe: for the
 * shell that started us too, and after we were killed. We read only when there is something, once,
 * and so can have it as it was. */
static int watch(cli_pump_t *pump, uv_loop_t *loop) {
  int flags = fcntl(STDIN_FILENO, F_GETFL);
  int status = uv_poll_init(loop, &pump->poll, STDIN_FILENO);
  if (flags >= 0)
    (void)fcntl(STDIN_FILENO, F_SETFL, flags);
  return status;
}

cli_pump_t *cli_pump_start(uv_loop_t *loop, sp_stream_t *stream, bool crlf, cli_pump_end_t on_end,
                           cli_pump_loss_t on_loss) {
  cli_pump_t *pump = calloc(1, sizeof *pump);
  if (!pump)
    return NULL;
  uv_handle_type type = uv_guess_handle(STDIN_FILENO);
  /* what cannot be watched is a file after all, /dev/null for instance */
  pump->is_file = type == UV_FILE || type == UV_UNKNOWN_HANDLE || watch(pump, loop) < 0;
  if (pump->is_file)
    (void)uv_idle_init(loop, &pump->idle);
  pump->handle.data = pump;
  pump->stream = stream;
  pump->crlf = crlf;
  pump->on_end = on_end;
  pump->on_loss = on_loss;
  run(pump, true);
  return pump;
}

void cli_pump_drained(cli_pump_t *pump) {
  if (pump && pump->stream && !pump->ended)
    run(pump, true);
}

void cli_pump_stop(cli_pump_t *pump) {
  if (!pump || !pump->stream)
    return;
  pump->stream = NULL;
  run(pump, false);
  uv_close(&pump->handle, on_closed);
}

/* Output may be non-blocking, because others made it so. */
int cli_put(const void *bytes, size_t n) {
  const char *at = bytes;
  while (n) {
    ssize_t wrote = write(STDOUT_FILENO, at, n);
    if (wrote > 0) {
      at += wrote;
      n -= (size_t)wrote;
    } else if (errno == EAGAIN) {
      (void)poll(&(struct pollfd){.fd = STDOUT_FILENO, .events = POLLOUT}, 1, -1);
    } else if (errno != EINTR) {
      return cli_fail("cannot write to standard output: %s", strerror(errno));
    }
  }
  return CLI_OK;
}
