#include "support/child.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Milliseconds: when it is worth a word, and what nothing takes, on a loaded machine either. */
#define SLOW 8000
#define PATIENCE 60000

typedef struct heard {
  uv_pipe_t pipe;
  char *bytes; /* NUL-terminated */
  size_t n, size;
  bool ended;
} heard_t;

struct child {
  uv_loop_t *loop;
  uv_process_t process;
  uv_pipe_t in;
  heard_t out, err;
  uv_timer_t watchdog;
  char *name;
  bool exited, in_closed;
  int status, waited; /* milliseconds */
  int open;           /* handles */
  void (*on_news)(child_t *child, void *data);
  void *data;
};

bool child_exists(const char *program) {
  const char *path = getenv("PATH");
  char room[4096];
  for (size_t n; path && *path; path += n + (path[n] == ':')) {
    n = strcspn(path, ":");
    snprintf(room, sizeof room, "%.*s/%s", (int)n, path, program);
    if (access(room, X_OK) == 0)
      return true;
  }
  return false;
}

static void tell_news(child_t *child) {
  if (child->on_news)
    child->on_news(child, child->data);
}

static void on_closed(uv_handle_t *handle) { ((child_t *)handle->data)->open--; }

static void close_handle(void *handle) {
  if (!uv_is_closing(handle))
    uv_close(handle, on_closed);
}

/* -- what it says ------------------------------------------------------------------------------ */

static heard_t *heard_of(child_t *child, const void *pipe) {
  return pipe == &child->out.pipe ? &child->out : &child->err;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  heard_t *heard = heard_of(handle->data, handle);
  (void)suggested;
  if (heard->n + 65536 >= heard->size) {
    heard->size = heard->size * 2 + 65536 * 2;
    heard->bytes = realloc(heard->bytes, heard->size);
    assert(heard->bytes);
  }
  *buffer = uv_buf_init(heard->bytes + heard->n, 65536);
}

static void on_heard(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
  child_t *child = stream->data;
  heard_t *heard = heard_of(child, stream);
  (void)buffer;
  if (n < 0) {
    heard->ended = true;
    close_handle(stream);
  } else {
    heard->n += (size_t)n;
    heard->bytes[heard->n] = '\0';
  }
  tell_news(child);
}

static void listen_to(heard_t *heard) {
  heard->bytes = calloc(1, 1);
  assert(heard->bytes);
  uv_read_start((uv_stream_t *)&heard->pipe, on_alloc, on_heard);
}

const char *child_out(const child_t *child, size_t *n) {
  if (n)
    *n = child->out.n;
  return child->out.bytes;
}

const char *child_err(const child_t *child) { return child->err.bytes; }

/* Cleartext may hold NUL before the words. */
static bool holds(const heard_t *heard, const char *words) {
  return memmem(heard->bytes, heard->n, words, strlen(words)) != NULL;
}

bool child_said(const child_t *child, const char *words) {
  return holds(&child->out, words) || holds(&child->err, words);
}

/* -- life -------------------------------------------------------------------------------------- */

static void on_exit_of(uv_process_t *process, int64_t status, int signal) {
  child_t *child = process->data;
  child->exited = true;
  child->status = signal ? -signal : (int)status;
  close_handle(process);
  tell_news(child);
}

/* The first time it only tells: a shorter watchdog of the test may come next. */
static void on_slow(uv_timer_t *timer) {
  child_t *child = timer->data;
  child->waited += child->waited ? PATIENCE - SLOW : SLOW;
  fprintf(stderr, "test/support/child.c: %s (process %d%s) after %d ms; it said:\n%s%s\n",
          child->name, child_pid(child), child->exited ? ", ended" : "", child->waited,
          child->out.bytes, child->err.bytes);
  if (child->waited < PATIENCE)
    return;
  uv_process_kill(&child->process, SIGKILL);
  abort();
}

static void init_handles(child_t *child) {
  uv_pipe_t *pipes[] = {&child->in, &child->out.pipe, &child->err.pipe};
  for (size_t i = 0; i < 3; i++) {
    uv_pipe_init(child->loop, pipes[i], 0);
    pipes[i]->data = child;
  }
  uv_timer_init(child->loop, &child->watchdog);
  uv_timer_start(&child->watchdog, on_slow, SLOW, PATIENCE - SLOW);
  uv_unref((uv_handle_t *)&child->watchdog);
  child->watchdog.data = child->process.data = child;
  child->open = 5;
}

static int spawn(child_t *child, const char *const *args) {
  const uv_stdio_flags give = UV_CREATE_PIPE | UV_READABLE_PIPE;
  const uv_stdio_flags take = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
  uv_stdio_container_t stdio[] = {
      {.flags = give, .data.stream = (uv_stream_t *)&child->in},
      {.flags = take, .data.stream = (uv_stream_t *)&child->out.pipe},
      {.flags = take, .data.stream = (uv_stream_t *)&child->err.pipe},
  };
  uv_process_options_t options = {.file = args[0],
                                  .args = (char **)args,
                                  .exit_cb = on_exit_of,
                                  .stdio_count = 3,
                                  .stdio = stdio};
  return uv_spawn(child->loop, &child->process, &options);
}

child_t *child_start(uv_loop_t *loop, const char *const *args) {
  if (!child_exists(args[0]))
    return NULL;
  child_t *child = calloc(1, sizeof *child);
  assert(child);
  child->loop = loop;
  child->name = strdup(args[0]);
  signal(SIGPIPE, SIG_IGN); /* a child that is gone does not end the test */
  init_handles(child);
  int status = spawn(child, args);
  if (status < 0) {
    fprintf(stderr, "test/support/child.c: %s: %s\n", args[0], uv_strerror(status));
    abort();
  }
  listen_to(&child->out);
  listen_to(&child->err);
  return child;
}

void child_on_news(child_t *child, void (*on_news)(child_t *child, void *data), void *data) {
  child->on_news = on_news;
  child->data = data;
}

/* -- what it is told --------------------------------------------------------------------------- */

typedef struct told {
  uv_write_t request;
  char bytes[];
} told_t;

static void on_told(uv_write_t *request, int status) {
  (void)status; /* a child that is gone shows otherwise */
  free(request->data);
}

void child_tell(child_t *child, const void *bytes, size_t n) {
  told_t *told = malloc(sizeof *told + n);
  assert(told);
  memcpy(told->bytes, bytes, n);
  told->request.data = told;
  uv_buf_t buffer = uv_buf_init(told->bytes, (unsigned)n);
  if (uv_write(&told->request, (uv_stream_t *)&child->in, &buffer, 1, on_told) < 0)
    free(told);
}

static void on_shut(uv_shutdown_t *request, int status) {
  (void)status;
  close_handle(request->handle);
  free(request);
}

void child_tell_end(child_t *child) {
  if (child->in_closed)
    return;
  child->in_closed = true;
  uv_shutdown_t *request = malloc(sizeof *request);
  assert(request);
  if (uv_shutdown(request, (uv_stream_t *)&child->in, on_shut) < 0) {
    free(request);
    close_handle(&child->in);
  }
}

/* -- waiting ----------------------------------------------------------------------------------- */

bool child_ended(const child_t *child) {
  return child->exited && child->out.ended && child->err.ended;
}

bool child_wait_for(child_t *child, const char *words) {
  while (!child_said(child, words) && !child_ended(child))
    uv_run(child->loop, UV_RUN_ONCE);
  return child_said(child, words);
}

int child_wait(child_t *child) {
  while (!child_ended(child))
    uv_run(child->loop, UV_RUN_ONCE);
  return child->status;
}

int child_pid(const child_t *child) { return uv_process_get_pid(&child->process); }

void child_kill(child_t *child, int signal) {
  if (!child->exited)
    uv_process_kill(&child->process, signal);
}

void child_free(child_t *child) {
  if (!child)
    return;
  child->on_news = NULL;
  child_kill(child, SIGKILL);
  child_wait(child);
  close_handle(&child->in);
  close_handle(&child->watchdog);
  while (child->open)
    uv_run(child->loop, UV_RUN_ONCE);
  free(child->out.bytes);
  free(child->err.bytes);
  free(child->name);
  free(child);
}
