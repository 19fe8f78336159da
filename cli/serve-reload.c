/* Keys and certificates that are read again when their files change, or on SIGHUP. */
#include "judge.h"
#include "serving.h"

void cli_serve_tell_certificate(const cli_serve_t *serve, const char *event, const char *what,
                                const sp_watch_t *watch) {
  sp_certificate_t *certificate;
  char date[40];
  if (sp_context_certificate(sp_watch_context(watch), &certificate) < 0)
    return;
  cli_date(date, sp_certificate_valid_to(certificate));
  json_t *facts = json_object();
  json_object_set_new(
      facts, "message",
      json_sprintf("%s: %s, valid until %s", what, sp_certificate_subject(certificate), date));
  json_object_set_new(facts, "subject", json_string(sp_certificate_subject(certificate)));
  json_object_set_new(facts, "serial", json_string(sp_certificate_serial(certificate)));
  json_object_set_new(facts, "valid_to", json_integer(sp_certificate_valid_to(certificate)));
  cli_log_put(serve->log, event, facts);
  sp_certificate_release(certificate);
}

void cli_serve_warn_of_dates(const cli_serve_t *serve, const char *what,
                             const sp_certificate_t *certificate) {
  json_t *problems = json_array(), *problem;
  size_t i;
  cli_judge_dates(problems, certificate);
  json_array_foreach(problems, i, problem) {
    cli_log_say(serve->log, "warning", "%s: %s %s", what,
                json_string_value(json_object_get(problem, "text")),
                json_string_value(json_object_get(problem, "remedy")));
  }
  json_decref(problems);
}

/* The context has them, too, but shows only the first. */
void cli_serve_warn_of_all_dates(const cli_serve_t *serve) {
  for (size_t i = 0; i < serve->identity_count; i++) {
    const char *file = serve->identities[i].cert_file;
    sp_certificate_t *certificate;
    if (sp_certificate_read_file(&certificate, file, NULL) < 0)
      continue; /* changed again */
    cli_serve_warn_of_dates(serve, file, certificate);
    sp_certificate_release(certificate);
  }
}

void cli_serve_on_reload(sp_watch_t *watch, int status) {
  const cli_serve_t *serve = sp_watch_data(watch);
  char room[CLI_ERROR_TEXT];
  if (status < 0) {
    cli_log_say(serve->log, "reload_failed", "%s; what was read before stays in force",
                cli_error_text(room, sp_watch_error(watch)));
    return;
  }
  cli_serve_tell_certificate(serve, "reloaded", "read again", watch);
  cli_serve_warn_of_all_dates(serve);
}

void cli_serve_reload(cli_serve_t *serve) {
  cli_log_say(serve->log, "reload", "SIGHUP: looks whether keys and certificates changed");
  if (serve->watch)
    (void)sp_watch_check(serve->watch);
  if (serve->names)
    cli_names_check(serve->names);
}
