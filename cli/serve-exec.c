/* A process for each connection, as inetd does: its input and output are the connection. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "environment.h"
#include "serving.h"

enum {
  PIECE = 65536,
  PATIENCE = 5000 /* milliseconds: with a command that was told to end, or a client */
};

/*
 * Lives until the stream is closed, the process has been reaped, and the handles are closed. The
 * command runs in a session of its own, so that all of it can be ended.
 */
typedef struct job {
  cli_connection_t *c; /* NULL: the stream is gone */
  sp_stream_t *stream;
  uv_process_t process;
  uv_pipe_t in, out; /* what the command reads and writes */
  uv_timer_t patience;
  uv_write_t write;          /* one at a time: the stream is paused meanwhile */
  int open;                  /* handles that are not closed yet */
  bool is_writing, is_ended; /* the client's side */
  bool has_exited, was_killed,
      is_done; /* the command's: is_done once all of its output was sent, too */
  int64_t status;
  int signal;
  char *bytes; /* being written */
  char room[PIECE];
} job_t;

/* -- life -------------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle) {
  job_t *job = handle->data;
  if (--job->open == 0)
    free(job);
}

static void close_handle(uv_handle_t *handle) {
  if (!uv_is_closing(handle))
    uv_close(handle, on_closed);
}

static void kill_all(const job_t *job, int number) {
  if (!job->has_exited)
    (void)kill(-job->process.pid, number);
}

/* Its children, too, when it left some that do not heed SIGTERM. */
static void kill_last(job_t *job) {
  job->was_killed = true;
  (void)kill(-job->process.pid, SIGKILL);
  if (job->has_exited)
    close_handle((uv_handle_t *)&job->patience);
}

static void on_patience_over(uv_timer_t *timer) {
  job_t *job = timer->data;
  if (job->stream)
    sp_stream_destroy(job->stream); /* it has everything, and does not end */
  else
    kill_last(job);
}

/* The client is gone: nobody reads what the command still says. */
static void abandon(job_t *job) {
  close_handle((uv_handle_t *)&job->in);
  close_handle((uv_handle_t *)&job->out);
  if (job->has_exited) {
    close_handle((uv_handle_t *)&job->patience);
    return;
  }
  kill_all(job, SIGTERM);
  (void)uv_timer_start(&job->patience, on_patience_over, PATIENCE, 0);
}

/* -- what the command says --------------------------------------------------------------------- */

static void tell_exit(job_t *job) {
  json_t *facts = json_object();
  if (job->signal)
    json_object_set_new(facts, "signal", json_integer(job->signal));
  else
    json_object_set_new(facts, "status", json_integer(job->status));
  cli_connection_log(job->c, "exited", facts);
}

/* What the command started and left behind may hold its output open: it does not count. */
static bool has_output(const job_t *job) {
  int fd, waiting = 0;
  return uv_fileno((const uv_handle_t *)&job->out, &fd) == 0 &&
         ioctl(fd, FIONREAD, &waiting) == 0 && waiting;
}

/* Once it has exited, and the last of its output is on its way. One that only closes its output may
 * still have to read. */
static void finish_if_over(job_t *job) {
  if (job->is_done || !job->has_exited || has_output(job))
    return;
  job->is_done = true;
  close_handle((uv_handle_t *)&job->out);
  if (job->stream)
    sp_stream_end(job->stream);
}

static void on_room(uv_handle_t *handle, size_t size, uv_buf_t *room) {
  job_t *job = handle->data;
  (void)size;
  *room = uv_buf_init(job->room, sizeof job->room);
}

static void on_output(uv_stream_t *out, ssize_t n, const uv_buf_t *bytes) {
  job_t *job = out->data;
  if (n < 0) {
    close_handle((uv_handle_t *)out);
    finish_if_over(job);
    return;
  }
  int taken = n && job->stream ? sp_stream_send(job->stream, bytes->base, (size_t)n) : 1;
  if (taken <= 0) /* full, until `drain`; or failed, and `close` follows */
    (void)uv_read_stop(out);
  else
    finish_if_over(job);
}

static void on_drain(sp_stream_t *stream) {
  job_t *job = sp_stream_data(stream);
  finish_if_over(job);
  if (!uv_is_closing((uv_handle_t *)&job->out))
    (void)uv_read_start((uv_stream_t *)&job->out, on_room, on_output);
}

static void on_exited(uv_process_t *process, int64_t status, int number) {
  job_t *job = process->data;
  job->has_exited = true;
  job->status = status;
  job->signal = number;
  close_handle((uv_handle_t *)process);
  close_handle((uv_handle_t *)&job->in);
  if (!job->stream) { /* what it began may live on: the group's number is taken as long */
    if (job->was_killed || kill(-process->pid, 0) < 0)
      close_handle((uv_handle_t *)&job->patience);
    return;
  }
  tell_exit(job);
  finish_if_over(job);
}

/* -- what the client says ---------------------------------------------------------------------- */

static void end_input(job_t *job);

static void on_written(uv_write_t *request, int status) {
  job_t *job = request->data;
  job->is_writing = false;
  free(job->bytes);
  job->bytes = NULL;
  if (status < 0) /* it reads no more: what it writes still counts */
    close_handle((uv_handle_t *)&job->in);
  if (job->stream)
    sp_stream_resume(job->stream);
  if (job->is_ended)
    end_input(job);
}

/* A command that reads no more takes nothing, and holds nobody up. */
static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  job_t *job = sp_stream_data(stream);
  if (job->is_ended || uv_is_closing((uv_handle_t *)&job->in))
    return;
  job->bytes = malloc(n);
  if (!job->bytes) {
    sp_stream_destroy(stream);
    return;
  }
  memcpy(job->bytes, bytes, n);
  uv_buf_t all = uv_buf_init(job->bytes, (unsigned)n);
  job->is_writing = true;
  sp_stream_pause(stream);
  int status = uv_write(&job->write, (uv_stream_t *)&job->in, &all, 1, on_written);
  if (status < 0)
    on_written(&job->write, status);
}

static void end_input(job_t *job) {
  job->is_ended = true;
  if (!job->is_writing)
    close_handle((uv_handle_t *)&job->in);
}

/* The command must not take for the end what was cut off. */
static void on_end(sp_stream_t *stream, int status) {
  if (status < 0)
    sp_stream_destroy(stream);
  else
    end_input(sp_stream_data(stream));
}

static void on_timeout(sp_stream_t *stream) {
  job_t *job = sp_stream_data(stream);
  cli_connection_log(job->c, "idle", NULL);
  sp_stream_destroy(stream);
}

static void on_finish(sp_stream_t *stream) {
  job_t *job = sp_stream_data(stream);
  (void)uv_timer_start(&job->patience, on_patience_over, PATIENCE, 0);
}

static void on_close(sp_stream_t *stream) {
  job_t *job = sp_stream_data(stream);
  cli_connection_t *c = job->c;
  job->c = NULL;
  job->stream = NULL;
  abandon(job);
  cli_connection_closed(c);
}

static const sp_stream_events_t events = {.data = on_data,
                                          .end = on_end,
                                          .drain = on_drain,
                                          .timeout = on_timeout,
                                          .finish = on_finish,
                                          .close = on_close};

/* -- starting ---------------------------------------------------------------------------------- */

static void set_up(job_t *job, uv_loop_t *loop) {
  (void)uv_timer_init(loop, &job->patience);
  (void)uv_pipe_init(loop, &job->in, 0);
  (void)uv_pipe_init(loop, &job->out, 0);
  job->open = 3;
  job->patience.data = job->in.data = job->out.data = job;
  job->write.data = job->process.data = job;
}

/* Pipes, not the sockets that libuv would make: commands may open /dev/stdin again. */
static int spawn(job_t *job, const char *command, char **environment) {
  char *arguments[] = {(char *)(uintptr_t) "/bin/sh", (char *)(uintptr_t) "-c",
                       (char *)(uintptr_t)command, NULL};
  uv_file in[2], out[2];
  int status = uv_pipe(in, 0, UV_NONBLOCK_PIPE);
  if (status < 0)
    return status;
  status = uv_pipe(out, UV_NONBLOCK_PIPE, 0);
  if (status < 0) {
    close(in[0]), close(in[1]);
    return status;
  }
  uv_stdio_container_t stdio[] = {{.flags = UV_INHERIT_FD, .data.fd = in[0]},
                                  {.flags = UV_INHERIT_FD, .data.fd = out[1]},
                                  {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO}};
  uv_process_options_t options = {.exit_cb = on_exited,
                                  .file = arguments[0],
                                  .args = arguments,
                                  .env = environment,
                                  .flags = UV_PROCESS_DETACHED,
                                  .stdio_count = 3,
                                  .stdio = stdio};
  (void)uv_pipe_open(&job->in, in[1]);
  (void)uv_pipe_open(&job->out, out[0]);
  status = uv_spawn(job->patience.loop, &job->process, &options);
  job->open++; /* a process that did not start is closed, too */
  close(in[0]), close(out[1]);
  return status;
}

static void fail(job_t *job, const char *text) {
  json_t *facts = json_object();
  json_object_set_new(facts, "error", json_string(text));
  cli_connection_log(job->c, "exec_failed", facts);
  job->has_exited = true;
  if (job->process.loop)
    close_handle((uv_handle_t *)&job->process);
  sp_stream_destroy(job->stream);
}

static void on_close_without(sp_stream_t *stream) { cli_connection_closed(sp_stream_data(stream)); }

static void refuse(cli_connection_t *c) {
  static const sp_stream_events_t none = {.close = on_close_without};
  sp_stream_on(c->stream, &none, c);
  sp_stream_destroy(c->stream);
}

static void open_exec(cli_connection_t *c) {
  job_t *job = calloc(1, sizeof *job);
  if (!job) {
    refuse(c);
    return;
  }
  c->own = job;
  job->c = c;
  job->stream = c->stream;
  set_up(job, &c->serve->loop);
  sp_stream_on(c->stream, &events, job);
  char **environment = cli_environment(c->stream);
  int status = environment ? spawn(job, c->serve->options.exec, environment) : UV_ENOMEM;
  cli_environment_free(environment);
  if (status < 0)
    fail(job, uv_strerror(status));
  else
    (void)uv_read_start((uv_stream_t *)&job->out, on_room, on_output);
}

/* Its input ends: most commands then do, too. */
static void drain_exec(cli_connection_t *c) {
  if (c->own)
    end_input(c->own);
}

const cli_service_t cli_exec = {.name = "exec", .open = open_exec, .drain = drain_exec};
