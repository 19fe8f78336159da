#include "support/fixture.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sanitized.h"

#define WATCHDOG (SANITIZED ? 60000 : 10000)
#define PATTERN_MAX (16u << 20)

static const char *const words[FIXTURE_EVENTS] = {"secure",  "data",  "end",   "drain",
                                                  "timeout", "error", "write", "close"};

static void *zalloc(size_t n) {
  void *memory = calloc(1, n);
  assert_non_null(memory);
  return memory;
}

int fixture_count_fds(void) {
  DIR *folder = opendir("/proc/self/fd");
  assert_non_null(folder);
  int count = -1; /* the folder's own */
  for (const struct dirent *entry; (entry = readdir(folder));)
    count += entry->d_name[0] != '.';
  closedir(folder);
  return count;
}

const uint8_t *fixture_pattern(size_t n) {
  static uint8_t *pattern;
  assert_true(n <= PATTERN_MAX);
  if (!pattern) {
    pattern = zalloc(PATTERN_MAX);
    for (size_t i = 0; i < PATTERN_MAX; i++)
      pattern[i] = (uint8_t)(i * 31 >> 3);
  }
  return pattern;
}

/* -- the record ------------------------------------------------------------------------------- */

static void append(actor_t *actor, const char *word, int status) {
  char entry[64];
  if (status)
    (void)snprintf(entry, sizeof entry, "%s(%s)", word, sp_error_name(status));
  else
    (void)snprintf(entry, sizeof entry, "%s", word);
  size_t used = strlen(actor->log), n = strlen(entry);
  if (used >= n && !strcmp(actor->log + used - n, entry) &&
      (used == n || actor->log[used - n - 1] == ' '))
    return;
  assert_true(used + n + 2 < FIXTURE_LOG);
  (void)snprintf(actor->log + used, FIXTURE_LOG - used, "%s%s", used ? " " : "", entry);
}

static void check(const actor_t *actor, fixture_event_t event) {
  if (actor->fixture->calling)
    fail_msg("%s: %s within %s (so far: %s)", actor->name, words[event], actor->fixture->calling,
             actor->log);
  if (actor->counts[ON_CLOSE])
    fail_msg("%s: %s after close (so far: %s)", actor->name, words[event], actor->log);
  bool once = event == ON_SECURE || event == ON_ERROR || event == ON_END || event == ON_CLOSE;
  if (once && actor->counts[event])
    fail_msg("%s: %s again (so far: %s)", actor->name, words[event], actor->log);
  if (event != ON_SECURE && !actor->counts[ON_SECURE])
    fail_msg("%s: %s before secure", actor->name, words[event]);
  if (event == ON_CLOSE && actor->writes != actor->writes_done)
    fail_msg("%s: close with %u of %u writes called back", actor->name, actor->writes_done,
             actor->writes);
}

static void record(actor_t *actor, fixture_event_t event, int status) {
  check(actor, event);
  append(actor, words[event], status);
  actor->counts[event]++;
  actor->statuses[event] = status;
  actor->last = event;
  if (event == ON_ERROR || (event == ON_SECURE && status))
    actor->error = *sp_stream_error(actor->stream);
  if (actor->react)
    actor->react(actor, event, status);
}

static void on_data(sp_stream_t *stream, const uint8_t *bytes, size_t n) {
  actor_t *actor = sp_stream_data(stream);
  actor->bytes = bytes;
  actor->n = n;
  actor->received += n;
  record(actor, ON_DATA, 0);
  actor->bytes = NULL;
}

static void on_end(sp_stream_t *stream, int status) {
  record(sp_stream_data(stream), ON_END, status);
}

static void on_drain(sp_stream_t *stream) { record(sp_stream_data(stream), ON_DRAIN, 0); }
static void on_timeout(sp_stream_t *stream) { record(sp_stream_data(stream), ON_TIMEOUT, 0); }

static void on_error(sp_stream_t *stream, const sp_error_t *error) {
  assert_ptr_equal(error, sp_stream_error(stream));
  assert_true(error->status < 0 && error->text[0]);
  record(sp_stream_data(stream), ON_ERROR, error->status);
}

static void on_close(sp_stream_t *stream) {
  actor_t *actor = sp_stream_data(stream);
  record(actor, ON_CLOSE, 0);
  actor->stream = NULL;
}

static void listen_to(actor_t *actor) {
  const sp_stream_events_t events = {.data = actor->no_data ? NULL : on_data,
                                     .end = on_end,
                                     .drain = on_drain,
                                     .timeout = on_timeout,
                                     .error = on_error,
                                     .close = on_close};
  sp_stream_on(actor->stream, &events, actor);
}

typedef struct written {
  sp_write_t request;
  actor_t *actor;
} written_t;

static void on_written(sp_write_t *request, int status) {
  written_t *written = request->data;
  actor_t *actor = written->actor;
  free(written);
  actor->writes_done++;
  record(actor, ON_WRITE, status);
}

int actor_write(actor_t *actor, const void *bytes, size_t n) {
  written_t *written = zalloc(sizeof *written);
  written->actor = actor;
  written->request.data = written;
  int status;
  CALL(actor->fixture,
       status = sp_stream_write(&written->request, actor->stream, bytes, n, on_written));
  if (status < 0)
    free(written);
  else
    actor->writes++;
  return status;
}

bool actor_saw(const actor_t *actor, const char *word) {
  size_t n = strlen(word);
  for (const char *at = actor->log; (at = strstr(at, word)); at += n)
    if ((at == actor->log || at[-1] == ' ') && strchr(" (", at[n]))
      return true;
  return false;
}

/* -- streams ---------------------------------------------------------------------------------- */

static actor_t *actor_new(fixture_t *f, sp_stream_t *stream, const char *name) {
  assert_true(f->count < FIXTURE_ACTORS);
  actor_t *actor = zalloc(sizeof *actor);
  actor->fixture = f;
  actor->stream = stream;
  actor->name = name;
  f->actors[f->count++] = actor;
  return actor;
}

actor_t *fixture_adopt(fixture_t *f, sp_stream_t *stream, const char *name) {
  actor_t *actor = actor_new(f, stream, name);
  listen_to(actor);
  return actor;
}

void fixture_on_secure(sp_stream_t *stream, int status) {
  actor_t *actor = sp_stream_data(stream);
  assert_int_equal(status, sp_stream_is_secure(stream) ? 0 : status < 0 ? status : -1);
  if (actor->no_data)
    listen_to(actor);
  record(actor, ON_SECURE, status);
}

static void on_served(sp_stream_t *stream, int status) {
  fixture_t *f = sp_server_data(sp_stream_server(stream));
  actor_t *actor = actor_new(f, stream, "server");
  actor->is_server = true;
  actor->react = f->react;
  actor->no_data = f->no_data;
  f->served++;
  listen_to(actor);
  record(actor, ON_SECURE, status);
}

actor_t *fixture_served(const fixture_t *f, size_t i) {
  for (size_t k = 0; k < f->count; k++)
    if (f->actors[k]->is_server && !i--)
      return f->actors[k];
  return NULL;
}

actor_t *fixture_peer(const actor_t *client) {
  char room[128];
  int mine, theirs;
  assert_int_equal(sp_stream_local(client->stream, room, sizeof room, &mine), 0);
  const fixture_t *f = client->fixture;
  for (size_t i = 0; i < f->count; i++) {
    actor_t *actor = f->actors[i];
    if (actor->is_server && actor->stream &&
        sp_stream_remote(actor->stream, room, sizeof room, &theirs) == 0 && theirs == mine)
      return actor;
  }
  return NULL;
}

void fixture_serve(fixture_t *f, const sp_options_t *options) {
  sp_error_t why;
  if (sp_server_new(&f->server, &f->loop, on_served, &why, options) < 0)
    fail_msg("server: %s", why.text);
  sp_server_set_data(f->server, f);
  if (sp_server_listen(f->server, "127.0.0.1", 0, &why) < 0)
    fail_msg("listen: %s", why.text);
  f->port = sp_server_port(f->server);
  assert_true(f->port > 0);
}

actor_t *fixture_connect(fixture_t *f, const sp_options_t *options) {
  sp_stream_t *stream = NULL;
  sp_error_t why;
  int status;
  CALL(f, status = sp_connect(&stream, &f->loop, fixture_on_secure, &why, options));
  if (status < 0)
    fail_msg("connect: %s", why.text);
  return fixture_adopt(f, stream, "client");
}

/* -- the loop --------------------------------------------------------------------------------- */

static void on_watchdog(uv_timer_t *timer) {
  const fixture_t *f = timer->data;
  for (size_t i = 0; i < f->count; i++)
    print_error("%s%s: %s\n", f->actors[i]->name, f->actors[i]->stream ? "" : " (gone)",
                f->actors[i]->log);
  fail_msg("not done in time");
}

/* libuv keeps a pipe for signals from the first loop on. */
static void warm_up(void) {
  static bool warm;
  uv_loop_t loop;
  if (warm)
    return;
  assert_int_equal(uv_loop_init(&loop), 0);
  assert_int_equal(uv_loop_close(&loop), 0);
  warm = true;
}

fixture_t *fixture_new(void) {
  warm_up();
  fixture_t *f = zalloc(sizeof *f);
  f->fds = fixture_count_fds();
  assert_int_equal(uv_loop_init(&f->loop), 0);
  assert_int_equal(uv_timer_init(&f->loop, &f->watchdog), 0);
  f->watchdog.data = f;
  uv_timer_start(&f->watchdog, on_watchdog, WATCHDOG, 0);
  uv_unref((uv_handle_t *)&f->watchdog);
  return f;
}

static void on_server_closed(sp_server_t *server) {
  fixture_t *f = sp_server_data(server);
  if (f->calling)
    fail_msg("the server's on_close within %s", f->calling);
  f->server_closed++;
  f->server = NULL;
}

void fixture_close_server(fixture_t *f) {
  if (!f->server || f->server_closing)
    return;
  f->server_closing = true;
  int status;
  CALL(f, status = sp_server_close(f->server, on_server_closed));
  assert_int_equal(status, 0);
}

static bool all_gone(fixture_t *f) {
  for (size_t i = 0; i < f->count; i++)
    if (f->actors[i]->stream)
      return false;
  return !f->server || !sp_server_connections(f->server);
}

void fixture_run_until(fixture_t *f, bool (*reached)(fixture_t *f)) {
  while (!reached(f))
    if (!uv_run(&f->loop, UV_RUN_ONCE) && !reached(f)) {
      for (size_t i = 0; i < f->count; i++)
        print_error("%s: %s\n", f->actors[i]->name, f->actors[i]->log);
      fail_msg("nothing left to do, but not done");
    }
}

void fixture_run(fixture_t *f) {
  fixture_run_until(f, f->done ? f->done : all_gone);
  fixture_close_server(f);
  uv_run(&f->loop, UV_RUN_DEFAULT);
}

static void name_left(uv_handle_t *handle, void *data) {
  (void)data;
  print_error("left: a %s handle%s\n", uv_handle_type_name(handle->type),
              uv_is_closing(handle) ? ", closing" : "");
}

void fixture_free(fixture_t *f) {
  uv_close((uv_handle_t *)&f->watchdog, NULL);
  uv_run(&f->loop, UV_RUN_DEFAULT);
  for (size_t i = 0; i < f->count; i++) {
    const actor_t *actor = f->actors[i];
    if (!actor->counts[ON_SECURE] || !actor->counts[ON_CLOSE])
      fail_msg("%s ended as: %s", actor->name, actor->log);
    assert_int_equal(actor->writes, actor->writes_done);
    free(f->actors[i]);
  }
  assert_int_equal(f->server_closed, f->server_closing);
  assert_null(f->server);
  int status = uv_loop_close(&f->loop);
  if (status < 0)
    uv_walk(&f->loop, name_left, NULL);
  assert_int_equal(status, 0);
  assert_int_equal(fixture_count_fds(), f->fds);
  free(f);
}
