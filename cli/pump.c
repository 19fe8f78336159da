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
  int flags; /* of standard input, as they were: others may share it */
  bool is_file, running, ended;
};

static void on_closed(uv_handle_t *handle) {
  const cli_pump_t *pump = handle->data;
  (void)fcntl(STDIN_FILENO, F_SETFL, pump->flags);
  free(handle->data);
}

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

static void move(cli_pump_t *pump) {
  char bytes[PIECE];
  ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
  if (!pump->stream || (n < 0 && (errno == EAGAIN || errno == EINTR)))
    return;
  if (n <= 0) {
    if (n < 0)
      cli_warn("cannot read standard input: %s", strerror(errno));
    pump->ended = true;
    run(pump, false);
    sp_stream_end(pump->stream);
    return;
  }
  int taken = sp_stream_send(pump->stream, bytes, (size_t)n);
  if (taken <= 0) /* full, until `drain`; or failed, of which the stream tells itself */
    run(pump, false);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  (void)events, (void)status; /* an error shows when reading */
  move(poll->data);
}

static void on_turn(uv_idle_t *idle) { move(idle->data); }

cli_pump_t *cli_pump_start(uv_loop_t *loop, sp_stream_t *stream) {
  cli_pump_t *pump = calloc(1, sizeof *pump);
  if (!pump)
    return NULL;
  pump->flags = fcntl(STDIN_FILENO, F_GETFL);
  uv_handle_type type = uv_guess_handle(STDIN_FILENO);
  pump->is_file = type == UV_FILE || type == UV_UNKNOWN_HANDLE;
  if (!pump->is_file && uv_poll_init(loop, &pump->poll, STDIN_FILENO) < 0)
    pump->is_file = true; /* after all, /dev/null for instance */
  if (pump->is_file)
    (void)uv_idle_init(loop, &pump->idle);
  pump->handle.data = pump;
  pump->stream = stream;
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

/* Output may be non-blocking, because it is the same terminal as input. */
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
