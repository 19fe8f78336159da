#include "log.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

enum { ROOM = 1 << 20, PATIENCE = 1000000000 /* ns */ };

struct cli_log {
  bool json, is_open, has_thread;
  json_t *early; /* lines that wait for the first: [event, facts] */
  uv_thread_t thread;
  /* below: under the lock */
  uv_mutex_t lock;
  uv_cond_t changed;
  char *waiting, *writing; /* ROOM each; swapped by the writer */
  size_t n;                /* bytes in `waiting` */
  unsigned long lost;
  bool stopping, stopped;
};

/* -- writing ----------------------------------------------------------------------------------- */

/* Nobody can be told of a log that cannot be written. */
static void write_out(const char *bytes, size_t n) { (void)cli_write_all(STDERR_FILENO, bytes, n); }

static void write_lost(const cli_log_t *log, unsigned long lost) {
  char line[128];
  int n = snprintf(line, sizeof line,
                   log->json ? "{\"event\": \"lost\", \"lines\": %lu}\n"
                             : "%lu lines of the log were lost: its reader is too slow\n",
                   lost);
  write_out(line, (size_t)n);
}

static void run_thread(void *data) {
  cli_log_t *log = data;
  uv_mutex_lock(&log->lock);
  for (;;) {
    while (!log->n && !log->lost && !log->stopping)
      uv_cond_wait(&log->changed, &log->lock);
    if (!log->n && !log->lost)
      break;
    char *bytes = log->waiting;
    size_t n = log->n;
    unsigned long lost = log->lost;
    log->waiting = log->writing;
    log->writing = bytes;
    log->n = log->lost = 0;
    uv_mutex_unlock(&log->lock);
    write_out(bytes, n);
    if (lost)
      write_lost(log, lost);
    uv_mutex_lock(&log->lock);
  }
  log->stopped = true;
  uv_cond_signal(&log->changed);
  uv_mutex_unlock(&log->lock);
}

static void keep(cli_log_t *log, const char *bytes, size_t n) {
  if (log->n + n > ROOM) {
    log->lost++;
    return;
  }
  memcpy(log->waiting + log->n, bytes, n);
  log->n += n;
}

static void put_bytes(cli_log_t *log, const char *bytes, size_t n) {
  if (!log->has_thread) {
    write_out(bytes, n);
    return;
  }
  uv_mutex_lock(&log->lock);
  keep(log, bytes, n);
  uv_cond_signal(&log->changed);
  uv_mutex_unlock(&log->lock);
}

/* -- lines ------------------------------------------------------------------------------------- */

enum { LONGEST = 300 }; /* of a text, before it is cut */

/* Printable ASCII stays as it is: nothing else is the same on every terminal. */
static void put_safely(FILE *to, const char *text) {
  cli_put_bytes(to, text, strlen(text), true, "");
}

/* Quoted, unless it is plain to see where it ends. */
static void put_text(FILE *to, const char *text, size_t n) {
  bool is_word = n && strcspn(text, " ,\"\\") == n;
  if (is_word) {
    cli_put_bytes(to, text, n, true, "");
    return;
  }
  fputc('"', to);
  for (; n; n--, text++) {
    if (*text == '"' || *text == '\\')
      fputc('\\', to);
    cli_put_bytes(to, text, 1, true, "");
  }
  fputc('"', to);
}

static void put_value(FILE *to, const json_t *value) {
  if (json_is_string(value))
    put_text(to, json_string_value(value), json_string_length(value));
  else if (json_is_integer(value))
    fprintf(to, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
  else if (json_is_real(value))
    fprintf(to, "%.3f", json_real_value(value));
  else if (json_is_boolean(value))
    fputs(json_is_true(value) ? "yes" : "no", to);
}

static bool is_said_otherwise(const char *name) {
  return !strcmp(name, "time") || !strcmp(name, "event") || !strcmp(name, "client");
}

static void put_name(FILE *to, const char *name) {
  for (; *name; name++)
    fputc(*name == '_' ? ' ' : *name, to);
}

/* "time client event: name value, name value" */
static void put_plain(FILE *to, json_t *line) {
  const char *client = json_string_value(json_object_get(line, "client")), *name;
  const char *message = json_string_value(json_object_get(line, "message"));
  const char *between = ": ";
  json_t *value;
  fprintf(to, "%s ", json_string_value(json_object_get(line, "time")));
  if (client) {
    put_safely(to, client);
    fputc(' ', to);
  }
  if (message) {
    put_safely(to, message);
    return;
  }
  put_name(to, json_string_value(json_object_get(line, "event")));
  json_object_foreach(line, name, value) {
    if (is_said_otherwise(name))
      continue;
    fputs(between, to);
    between = ", ";
    put_name(to, name);
    fputc(' ', to);
    put_value(to, value);
  }
}

/* Where a character begins, as far as it is text. */
static size_t cut_at(const char *text, size_t most) {
  size_t n = most;
  while (n > most - 3 && ((unsigned char)text[n] & 0xc0) == 0x80)
    n--;
  return n;
}

/* No text is longer than what a person would read. */
static void bound(json_t *object) {
  char cut[LONGEST + sizeof "..."];
  const char *name;
  json_t *value;
  json_object_foreach(object, name, value) {
    if (!json_is_string(value) || json_string_length(value) <= LONGEST)
      continue;
    size_t n = cut_at(json_string_value(value), LONGEST);
    memcpy(cut, json_string_value(value), n);
    memcpy(cut + n, "...", sizeof "...");
    (void)json_string_setn_nocheck(value, cut, n + 3);
  }
}

static json_t *time_now(void) {
  struct timespec now;
  struct tm tm;
  char text[40];
  clock_gettime(CLOCK_REALTIME, &now);
  size_t n = gmtime_r(&now.tv_sec, &tm) ? strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm) : 0;
  snprintf(text + n, sizeof text - n, ".%03ldZ", now.tv_nsec / 1000000);
  return json_string(text);
}

/* JSON has no bytes but text: of those that are none, what is no printable ASCII comes out as \xHH,
 * and so does the backslash. */
static void make_text(json_t *value) {
  const char *bytes = json_string_value(value);
  size_t n = json_string_length(value), size;
  char *escaped = NULL;
  json_t *text = json_stringn(bytes, n); /* NULL: no UTF-8 */
  FILE *to = text ? NULL : open_memstream(&escaped, &size);
  json_decref(text);
  if (!to)
    return;
  cli_put_bytes(to, bytes, n <= LONGEST ? n : LONGEST + 1, true, "\\");
  if (fclose(to) == 0)
    (void)json_string_setn(value, escaped, size);
  free(escaped);
}

static void make_texts(json_t *object) {
  const char *name;
  json_t *value;
  json_object_foreach(object, name, value) {
    if (json_is_string(value))
      make_text(value);
  }
}

/* jansson escapes all that is no printable ASCII, but DEL. */
static void put_json(FILE *to, const json_t *line) {
  char *text = json_dumps(line, JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
  for (const char *at = text; at && *at; at++) {
    if (*at == 0x7f)
      fputs("\\u007f", to);
    else
      fputc(*at, to);
  }
  free(text);
}

static void put_line(cli_log_t *log, const char *event, json_t *facts) {
  char *bytes = NULL;
  size_t n = 0;
  json_t *line = json_object();
  FILE *to = open_memstream(&bytes, &n);
  if (line && to) {
    json_object_set_new(line, "time", time_now());
    json_object_set_new(line, "event", json_string(event));
    (void)json_object_update(line, facts);
    if (log->json)
      make_texts(line);
    bound(line);
    if (log->json)
      put_json(to, line);
    else
      put_plain(to, line);
    fputc('\n', to);
  }
  if (to && fclose(to) == 0)
    put_bytes(log, bytes, n);
  free(bytes);
  json_decref(line);
}

void cli_log_put(cli_log_t *log, const char *event, json_t *facts) {
  if (log->is_open)
    put_line(log, event, facts);
  else
    (void)json_array_append_new(log->early, json_pack("[s,O?]", event, facts));
  json_decref(facts);
}

/* Their time is that of now, so that times never go back. */
static void put_early(cli_log_t *log) {
  size_t i;
  json_t *line;
  json_array_foreach(log->early, i, line) {
    put_line(log, json_string_value(json_array_get(line, 0)), json_array_get(line, 1));
  }
  json_array_clear(log->early);
}

void cli_log_say(cli_log_t *log, const char *event, const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  json_t *facts = json_object();
  json_object_set_new(facts, "message", cli_log_text(text, strlen(text)));
  cli_log_put(log, event, facts);
}

json_t *cli_log_text(const void *bytes, size_t n) { return json_stringn_nocheck(bytes, n); }

/* -- life -------------------------------------------------------------------------------------- */

static void log_free(cli_log_t *log) {
  json_decref(log->early);
  free(log->waiting);
  free(log->writing);
  free(log);
}

cli_log_t *cli_log_new(bool json) {
  cli_log_t *log = calloc(1, sizeof *log);
  if (!log)
    return NULL;
  log->json = json;
  log->waiting = malloc(ROOM);
  log->writing = malloc(ROOM);
  log->early = json_array();
  if (log->waiting && log->writing && log->early)
    return log;
  log_free(log);
  return NULL;
}

void cli_log_open(cli_log_t *log, const char *event, json_t *facts) {
  log->is_open = true;
  cli_log_put(log, event, facts);
  put_early(log);
}

int cli_log_start(cli_log_t *log) {
  if (uv_mutex_init(&log->lock) < 0 || uv_cond_init(&log->changed) < 0 ||
      uv_thread_create(&log->thread, run_thread, log) < 0)
    return cli_fail("cannot start the thread that writes the log");
  log->has_thread = true;
  return CLI_OK;
}

/* A thread that still hangs in write() ends with the process. */
static bool stop_thread(cli_log_t *log) {
  uint64_t until = uv_hrtime() + PATIENCE;
  uv_mutex_lock(&log->lock);
  log->stopping = true;
  uv_cond_signal(&log->changed);
  while (!log->stopped && uv_hrtime() < until)
    (void)uv_cond_timedwait(&log->changed, &log->lock, until - uv_hrtime());
  bool stopped = log->stopped;
  uv_mutex_unlock(&log->lock);
  if (stopped) {
    (void)uv_thread_join(&log->thread);
    uv_cond_destroy(&log->changed);
    uv_mutex_destroy(&log->lock);
  }
  return stopped;
}

void cli_log_free(cli_log_t *log) {
  if (!log)
    return;
  put_early(log);
  if (!log->has_thread || stop_thread(log))
    log_free(log);
}
