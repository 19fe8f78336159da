#include "names.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serving.h"

enum { QUIET = 50, INTERVAL = 1000, PATIENCE = 2000 }; /* milliseconds */

typedef struct name {
  struct name *next;
  cli_names_t *names;
  char host[256];                     /* "*.a.example" */
  char cert[PATH_MAX], key[PATH_MAX]; /* paths */
  sp_watch_t *watch;                  /* NULL: they could not be used yet */
  uint64_t since;                     /* ... and since when, by the loop's clock */
  char told[256];                     /* the fault as it was told */
  bool is_there;
} name_t;

struct cli_names {
  cli_serve_t *serve;
  const char *folder;
  name_t *first;
  uv_fs_event_t event;
  uv_timer_t timer;
  bool is_urgent; /* faults are told at once: at the start, and when asked */
  bool is_unreadable;
  int closing;
};

/* -- a name ------------------------------------------------------------------------------------ */

static void tell_fault(name_t *name, const char *text) {
  cli_names_t *names = name->names;
  uint64_t waited = uv_now(&names->serve->loop) - name->since;
  if (!names->is_urgent && (waited < PATIENCE || !strcmp(name->told, text)))
    return;
  snprintf(name->told, sizeof name->told, "%s", text);
  cli_log_say(names->serve->log, "reload_failed", "%s is not served: %s", name->host, text);
}

static void warn_of_certificate(const name_t *name) {
  sp_certificate_t *certificate;
  sp_error_t why;
  char host[260], room[CLI_ERROR_TEXT];
  snprintf(host, sizeof host, "%s%s", *name->host == '*' ? "x" : "",
           name->host + (*name->host == '*'));
  if (sp_context_certificate(sp_watch_context(name->watch), &certificate) < 0)
    return;
  if (!sp_certificate_names_host(certificate, host, 0, &why))
    cli_log_say(name->names->serve->log, "warning", "%s: %s", name->cert,
                cli_error_text(room, &why));
  cli_serve_warn_of_dates(name->names->serve, name->cert, certificate);
  sp_certificate_release(certificate);
}

static void on_change(sp_watch_t *watch, int status) {
  const name_t *name = sp_watch_data(watch);
  const cli_serve_t *serve = name->names->serve;
  char room[CLI_ERROR_TEXT];
  if (status < 0) {
    cli_log_say(serve->log, "reload_failed", "%s: %s; what was read before stays in force",
                name->host, cli_error_text(room, sp_watch_error(watch)));
    return;
  }
  cli_serve_tell_certificate(serve, "reloaded", name->host, watch);
  warn_of_certificate(name);
}

/* Tried until it succeeds: a pair may be in the middle of being written. */
static void begin(name_t *name) {
  cli_serve_t *serve = name->names->serve;
  sp_options_t options = serve->tls;
  sp_identity_t identity = {.cert_file = name->cert, .key_file = name->key};
  sp_error_t why;
  char room[CLI_ERROR_TEXT];
  options.identities = &identity;
  options.identity_count = 1;
  if (sp_watch_new(&name->watch, &serve->loop, on_change, &why, &options) < 0) {
    tell_fault(name, cli_error_text(room, &why));
    return;
  }
  sp_watch_set_data(name->watch, name);
  int status = sp_server_follow(serve->server, name->host, name->watch);
  if (status < 0) {
    (void)sp_watch_close(name->watch, NULL);
    name->watch = NULL;
    tell_fault(name, status == SP_EOPTION ? "that is no host name" : sp_error_text(status));
    return;
  }
  *name->told = '\0';
  cli_serve_tell_certificate(serve, "name", name->host, name->watch);
  warn_of_certificate(name);
}

static void stop(name_t *name) {
  const cli_serve_t *serve = name->names->serve;
  if (!name->watch)
    return;
  (void)sp_watch_close(name->watch, NULL);
  name->watch = NULL;
  if (serve->server)
    (void)sp_server_add_context(serve->server, name->host, NULL);
}

/* -- the folder -------------------------------------------------------------------------------- */

static name_t *find(cli_names_t *names, const char *host) {
  for (name_t *name = names->first; name; name = name->next)
    if (!strcmp(name->host, host))
      return name;
  name_t *name = calloc(1, sizeof *name);
  if (!name)
    return NULL;
  snprintf(name->host, sizeof name->host, "%s", host);
  name->names = names;
  name->since = uv_now(&names->serve->loop);
  name->next = names->first;
  names->first = name;
  return name;
}

/* "_.a.example.pem" to "*.a.example". False: another file. */
static bool host_of(char host[256], const char *file) {
  size_t n = strlen(file);
  if (*file == '.' || *file == '*' || n < 5 || n > 255 || strcmp(file + n - 4, ".pem") != 0)
    return false;
  snprintf(host, 256, "%.*s", (int)(n - 4), file);
  if (!strncmp(host, "_.", 2))
    *host = '*';
  return true;
}

static void see(cli_names_t *names, const char *file) {
  char host[256], key[PATH_MAX];
  name_t *name = host_of(host, file) ? find(names, host) : NULL;
  if (!name)
    return;
  name->is_there = true;
  snprintf(name->cert, sizeof name->cert, "%s/%s", names->folder, file);
  snprintf(key, sizeof key, "%s/%.*s.key", names->folder, (int)(strlen(file) - 4), file);
  const char *found = access(key, F_OK) == 0 ? key : name->cert;
  if (strcmp(found, name->key) != 0) { /* the key has moved into a file of its own, or back */
    stop(name);
    snprintf(name->key, sizeof name->key, "%s", found);
  }
  if (!name->watch)
    begin(name);
}

static void drop_missing(cli_names_t *names) {
  for (name_t **link = &names->first, *name; (name = *link);) {
    if (name->is_there) {
      link = &name->next;
      continue;
    }
    if (name->watch)
      cli_log_say(names->serve->log, "name_removed", "%s is served no more: its file is gone",
                  name->host);
    stop(name);
    *link = name->next;
    free(name);
  }
}

static int scan(cli_names_t *names) {
  DIR *folder = opendir(names->folder);
  if (!folder)
    return -errno;
  for (name_t *name = names->first; name; name = name->next)
    name->is_there = false;
  for (const struct dirent *entry; (entry = readdir(folder));)
    see(names, entry->d_name);
  (void)closedir(folder);
  drop_missing(names);
  names->is_urgent = false;
  return 0;
}

/* A folder that cannot be read changes nothing. */
static void scan_again(cli_names_t *names) {
  int status = scan(names);
  if (status < 0 && (!names->is_unreadable || names->is_urgent))
    cli_log_say(names->serve->log, "reload_failed",
                "cannot read %s: %s; the names from before stay in force", names->folder,
                strerror(-status));
  names->is_unreadable = status < 0;
}

static void on_time(uv_timer_t *timer) {
  scan_again(timer->data);
  (void)uv_timer_start(timer, on_time, INTERVAL, 0);
}

static void on_event(uv_fs_event_t *event, const char *file, int events, int status) {
  cli_names_t *names = event->data;
  (void)file, (void)events, (void)status;
  if (uv_timer_get_due_in(&names->timer) > QUIET)
    (void)uv_timer_start(&names->timer, on_time, QUIET, 0);
}

void cli_names_check(cli_names_t *names) {
  names->is_urgent = true;
  for (name_t *name = names->first; name; name = name->next)
    if (name->watch)
      (void)sp_watch_check(name->watch);
  (void)uv_timer_start(&names->timer, on_time, 0, 0);
}

/* -- life -------------------------------------------------------------------------------------- */

int cli_names_open(cli_names_t **made, cli_serve_t *serve, const char *folder) {
  cli_names_t *names = calloc(1, sizeof *names);
  if (!names)
    return cli_fail("there is no memory for the names in %s", folder);
  names->serve = serve;
  names->folder = folder;
  names->is_urgent = true;
  int status = scan(names);
  if (status < 0) {
    free(names);
    return cli_fail("--sni-folder: cannot read %s: %s", folder, strerror(-status));
  }
  (void)uv_timer_init(&serve->loop, &names->timer);
  (void)uv_fs_event_init(&serve->loop, &names->event);
  names->timer.data = names->event.data = names;
  (void)uv_fs_event_start(&names->event, on_event, folder, 0); /* else once a second */
  (void)uv_timer_start(&names->timer, on_time, INTERVAL, 0);
  *made = names;
  return CLI_OK;
}

static void on_closed(uv_handle_t *handle) {
  cli_names_t *names = handle->data;
  if (--names->closing == 0)
    free(names);
}

void cli_names_close(cli_names_t *names) {
  if (!names)
    return;
  for (name_t *name = names->first, *next; name; name = next) {
    next = name->next;
    stop(name);
    free(name);
  }
  names->closing = 2;
  uv_close((uv_handle_t *)&names->timer, on_closed);
  uv_close((uv_handle_t *)&names->event, on_closed);
}
