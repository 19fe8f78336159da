#include "problem.h"

#include <stdarg.h>
#include <stdlib.h>

static void *allocate(size_t n) {
  void *p = malloc(n);
  if (!p)
    cli_no_memory();
  return p;
}

static bool is_whole;

void cli_json_whole(void) {
  json_set_alloc_funcs(allocate, free);
  is_whole = true;
}

int cli_json_put(const json_t *json) {
  char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_ENSURE_ASCII) : NULL;
  if (!text)
    return cli_fail("no memory for the JSON");
  int status = cli_write(NULL, text, CLI_PUBLIC, false);
  if (!status)
    status = cli_write(NULL, "\n", CLI_PUBLIC, false);
  free(text);
  return status;
}

void cli_json_lost(void) {
  if (is_whole)
    cli_no_memory();
}

json_t *cli_json_text(const char *text) {
  json_t *json = json_string(text);
  if (json)
    return json;
  char *safe = cli_safe_text(text);
  if (!safe)
    cli_json_lost();
  json = json_string(safe ? safe : "");
  free(safe);
  return json;
}

__attribute__((format(printf, 1, 0))) static json_t *format_text(const char *format,
                                                                 va_list arguments) {
  char *text;
  if (vasprintf(&text, format, arguments) < 0) {
    cli_json_lost();
    return json_string("there is no memory to say what");
  }
  json_t *json = cli_json_text(text);
  free(text);
  return json;
}

void cli_problem(json_t *list, const char *code, const char *remedy, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  json_t *problem = json_object();
  json_object_set_new(problem, "code", json_string(code));
  json_object_set_new(problem, "text", format_text(format, arguments));
  json_object_set_new(problem, "remedy", json_string(remedy));
  json_array_append_new(list, problem);
  va_end(arguments);
}

void cli_sentence(json_t *list, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  json_array_append_new(list, format_text(format, arguments));
  va_end(arguments);
}
