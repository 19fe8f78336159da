/* securepair serve --www: the files of a folder. */
#include "www.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct www {
  int folder;
  cli_www_types_t *types;
  char policy[256];
} www_t;

/* A path that is being looked for, then its answer. */
typedef struct task {
  uv_work_t work;
  cli_http_t *http;
  const www_t *www;
  const char *type; /* NULL: the name does not tell */
  cli_www_file_t file;
  bool lost; /* the client is gone */
  char path[CLI_WWW_PATH];
} task_t;

static const www_t *www_of(const cli_http_t *http) {
  return cli_serve_state(cli_http_connection(http)->serve);
}

/* -- refusals ---------------------------------------------------------------------------------- */

static void print_refusal(FILE *to, int status, const char *why) {
  char title[64];
  (void)snprintf(title, sizeof title, "%d %s", status, cli_http_reason(status));
  cli_www_page_begin(to, title);
  fprintf(to, "<h1>%s</h1>\n<p>", title);
  cli_www_print_html(to, why);
  fputs("</p>\n", to);
  cli_www_page_end(to);
}

static void refuse(cli_http_t *http, int status, const char *why) {
  char *page = NULL;
  size_t n = 0;
  FILE *to = open_memstream(&page, &n);
  if (to) {
    print_refusal(to, status, why);
    if (fclose(to) != 0)
      n = 0;
  }
  cli_http_begin(http, status);
  if (status == 405)
    cli_http_header(http, "Allow: GET, HEAD, OPTIONS");
  if (status == 503)
    cli_http_header(http, "Retry-After: 1");
  cli_http_header(http, "%s", www_of(http)->policy);
  cli_http_whole(http, "text/html; charset=utf-8", page ? page : "", n);
  free(page);
}

static const char *reason_of(int status) {
  switch (status) {
  case 400:
    return "The address cannot be read.";
  case 403:
    return "This server is not allowed to read it.";
  case 404:
    return "There is nothing here by this name.";
  case 503:
    return "The server has no room for this now. Try again soon.";
  default:
    return "The file cannot be read.";
  }
}

/* -- answers ----------------------------------------------------------------------------------- */

/* What was changed within this second may change again in it: weak (RFC 9110 8.8.2.2). */
static cli_http_validators_t validators_of(const struct stat *facts) {
  cli_http_validators_t now = {.modified = facts->st_mtim.tv_sec};
  time_t clock = time(NULL);
  (void)snprintf(now.etag, sizeof now.etag, "%s\"%llx-%llx-%llx%08lx\"",
                 now.modified + 1 >= clock ? "W/" : "", (unsigned long long)facts->st_ino,
                 (unsigned long long)facts->st_size, (unsigned long long)facts->st_mtim.tv_sec,
                 (unsigned long)facts->st_mtim.tv_nsec);
  if (now.modified > clock)
    now.modified = clock;
  return now;
}

/* Browsers are to ask each time, which costs little with an ETag, and shows what is there now. */
static void begin(cli_http_t *http, int status, const cli_http_validators_t *now) {
  char date[CLI_HTTP_DATE];
  cli_http_begin(http, status);
  cli_http_header(http, "ETag: %s", now->etag);
  cli_http_header(http, "Last-Modified: %s", cli_http_date(date, now->modified));
  cli_http_header(http, "Cache-Control: no-cache");
}

static void answer_unchanged(cli_http_t *http, const cli_http_validators_t *now) {
  begin(http, 304, now);
  cli_http_length(http, -1);
  cli_http_done(http);
}

static void answer_no_range(cli_http_t *http, int64_t size) {
  static const char text[] = "The file does not have these bytes.\n";
  cli_http_begin(http, 416);
  cli_http_header(http, "Content-Range: bytes */%lld", (long long)size);
  cli_http_whole(http, "text/plain; charset=utf-8", text, sizeof text - 1);
}

static const char *type_of(const task_t *task) {
  if (task->file.is_index)
    return "text/html; charset=utf-8";
  if (task->type)
    return task->type;
  return task->file.is_text ? "text/plain; charset=utf-8" : "application/octet-stream";
}

/* -1: all of it; 0: nothing that the file has. */
static int ranges_of(cli_http_range_t *ranges, const cli_http_t *http, int64_t size,
                     const cli_http_validators_t *now) {
  const cli_http_request_t *request = cli_http_request(http);
  const char *text = request->is_head ? NULL : cli_http_field(request, "Range", NULL);
  return text && cli_http_range_counts(request, now) ? cli_http_ranges(ranges, text, size) : -1;
}

static void answer_file(cli_http_t *http, task_t *task) {
  cli_http_validators_t now = validators_of(&task->file.facts);
  cli_http_range_t ranges[CLI_HTTP_RANGES];
  int64_t size = task->file.facts.st_size;
  int status = cli_http_condition(cli_http_request(http), &now);
  int count = status == 200 ? ranges_of(ranges, http, size, &now) : -1;
  if (status == 304) {
    answer_unchanged(http, &now);
  } else if (status == 412) {
    cli_http_refuse(http, 412, "The file is not in the state that the request is about.");
  } else if (count == 0) {
    answer_no_range(http, size);
  } else {
    begin(http, count > 0 ? 206 : 200, &now);
    cli_http_header(http, "Accept-Ranges: bytes");
    cli_http_header(http, "X-Content-Type-Options: nosniff");
    if (!cli_www_send(http, &task->file, type_of(task), ranges, count > 0 ? count : 0))
      cli_http_refuse(http, 503, reason_of(503));
  }
}

static void answer_page(cli_http_t *http, task_t *task) {
  cli_http_begin(http, 200);
  cli_http_header(http, "Cache-Control: no-cache");
  cli_http_header(http, "%s", task->www->policy);
  if (!cli_www_index(http, &task->file))
    cli_http_refuse(http, 503, reason_of(503));
}

/* Prints a text of a header line. */
static char *address_of(const task_t *task) {
  char *address = NULL;
  size_t n = 0;
  const char *query = strchr(cli_http_request(task->http)->target, '?');
  FILE *to = open_memstream(&address, &n);
  if (!to)
    return NULL;
  fputc('/', to);
  cli_www_print_path(to, task->path);
  fprintf(to, "/%s", query ? query : "");
  if (fclose(to) == 0)
    return address;
  free(address);
  return NULL;
}

/* Links of a folder's page are relative to a path with a slash at its end. */
static void answer_moved(cli_http_t *http, const task_t *task) {
  static const char text[] = "It is a folder: the address has a slash at its end.\n";
  char *address = address_of(task);
  if (!address) {
    cli_http_refuse(http, 503, reason_of(503));
    return;
  }
  cli_http_begin(http, 301);
  cli_http_header(http, "Location: %s", address);
  cli_http_whole(http, "text/plain; charset=utf-8", text, sizeof text - 1);
  free(address);
}

static void answer_task(cli_http_t *http, task_t *task) {
  if (task->file.status == 301)
    answer_moved(http, task);
  else if (task->file.status != 200)
    cli_http_refuse(http, task->file.status, reason_of(task->file.status));
  else if (task->file.list)
    answer_page(http, task);
  else
    answer_file(http, task);
}

/* -- looking for the file ---------------------------------------------------------------------- */

static void work(uv_work_t *work) {
  task_t *task = work->data;
  cli_www_open(&task->file, task->www->folder, task->path, !task->type);
}

static void on_worked(uv_work_t *work, int status) {
  task_t *task = work->data;
  cli_http_t *http = task->http;
  if (status < 0)
    task->file.status = 503;
  if (!task->lost) {
    cli_http_set_own(http, NULL, NULL);
    answer_task(http, task);
  }
  cli_www_close(&task->file);
  free(task);
  cli_http_release(http);
}

static void on_lost(void *own) { ((task_t *)own)->lost = true; }

static void look(cli_http_t *http, const www_t *www, const char *path) {
  task_t *task = malloc(sizeof *task);
  if (!task) {
    cli_http_refuse(http, 503, reason_of(503));
    return;
  }
  memset(task, 0, offsetof(task_t, path));
  (void)snprintf(task->path, sizeof task->path, "%s", path);
  task->file.fd = -1;
  task->http = http;
  task->www = www;
  task->type = cli_www_type(www->types, path);
  task->work.data = task;
  cli_http_set_own(http, task, on_lost);
  cli_http_hold(http);
  (void)uv_queue_work(cli_http_loop(http), &task->work, work, on_worked);
}

/* -- requests ---------------------------------------------------------------------------------- */

static void answer_options(cli_http_t *http) {
  cli_http_begin(http, 204);
  cli_http_header(http, "Allow: GET, HEAD, OPTIONS");
  cli_http_length(http, -1);
  cli_http_done(http);
}

static void answer(cli_http_t *http) {
  const cli_http_request_t *request = cli_http_request(http);
  char path[CLI_WWW_PATH];
  if (!strcmp(request->method, "OPTIONS")) {
    answer_options(http);
    return;
  }
  if (!request->is_head && strcmp(request->method, "GET") != 0) {
    cli_http_refuse(http, 405, "Files can only be read here.");
    return;
  }
  int status = cli_www_path(path, request->target);
  if (status == 200)
    look(http, www_of(http), path);
  else
    cli_http_refuse(http, status, reason_of(status));
}

/* -- the service ------------------------------------------------------------------------------- */

static const cli_http_handler_t handler = {.answer = answer, .refuse = refuse};

static void open_www(cli_connection_t *c) { cli_http_open(c, &handler); }

const cli_service_t cli_www = {.name = "www",
                               .alpn = cli_http_protocols,
                               .idle = CLI_HTTP_IDLE,
                               .open = open_www,
                               .drain = cli_http_drain};

int cli_www_prepare(void **state, const char *folder) {
  www_t *www = calloc(1, sizeof *www);
  *state = www;
  if (!www)
    return cli_fail("there is no memory to begin with");
  www->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (www->folder < 0)
    return cli_fail("--www %s: cannot open the folder: %s", folder, strerror(errno));
  www->types = cli_www_types_new("/etc/mime.types");
  return www->types ? cli_www_policy(www->policy, sizeof www->policy)
                    : cli_fail("there is no memory to begin with");
}

void cli_www_release(void *state) {
  www_t *www = state;
  if (!www)
    return;
  if (www->folder > 0)
    (void)close(www->folder);
  cli_www_types_free(www->types);
  free(www);
}
