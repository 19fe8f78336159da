/* The report of a connection, for people. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "report.h"

#define TEXT_MOST 300 /* bytes of one text of the peer's */
#define NAMES_MOST 20

/* -- words ------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *name) {
  return json_string_value(json_object_get(object, name));
}

static int64_t number_of(const json_t *object, const char *name) {
  return json_integer_value(json_object_get(object, name));
}

/* Names and texts are the peer's: no control character reaches the terminal, and no novel. */
static void put_safely(const char *text) {
  char start[TEXT_MOST + 1];
  size_t n = text ? strlen(text) : 0, most = n;
  if (n > TEXT_MOST)
    for (most = TEXT_MOST; ((unsigned char)text[most] & 0xc0) == 0x80;)
      most--; /* not within a character */
  memcpy(start, text ? text : "", most);
  start[most] = 0;
  cli_put_text(stderr, start);
  if (most < n)
    fprintf(stderr, "... (%zu bytes)", n);
}

static void label(const char *word) {
  fprintf(stderr, "  %s%-10s%s", cli_tone(stderr, CLI_DIM), word, cli_plain(stderr));
}

static void line(const char *word, const char *text) {
  if (!text)
    return;
  label(word);
  put_safely(text);
  fputc('\n', stderr);
}

/* -- parts ------------------------------------------------------------------------------------- */

static void tell_head(const json_t *report) {
  const char *address = text_of(report, "address");
  fputs(cli_tone(stderr, CLI_BOLD), stderr);
  put_safely(text_of(report, "target"));
  fputs(cli_plain(stderr), stderr);
  if (address) {
    fputs(": ", stderr);
    put_safely(address);
  }
  if (number_of(report, "port"))
    fprintf(stderr, " port %" PRId64, number_of(report, "port"));
  fputc('\n', stderr);
}

static void tell_suite(const json_t *report) {
  const char *group = text_of(report, "group");
  if (!text_of(report, "protocol"))
    return;
  label("protocol");
  fprintf(stderr, "%s, %s%s%s%s\n", text_of(report, "protocol"), text_of(report, "suite"),
          group ? ", " : "", group ? group : "",
          json_is_true(json_object_get(report, "resumed")) ? ", resumed" : "");
}

static int64_t time_of(const json_t *object, const char *name) {
  const char *text = text_of(object, name);
  struct tm tm = {.tm_sec = 0};
  return text && strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) ? (int64_t)timegm(&tm) : 0;
}

static void tell_link(const json_t *certificate, size_t i) {
  char span[40], day[40];
  const char *subject = text_of(certificate, "subject"), *issuer = text_of(certificate, "issuer");
  const json_t *key = json_object_get(certificate, "key");
  int64_t to = time_of(certificate, "valid_to"), now = (int64_t)time(NULL);
  label(i ? "" : "chain");
  fprintf(stderr, "%zu ", i);
  put_safely(subject && *subject ? subject : "(no subject)");
  if (json_is_true(json_object_get(certificate, "self_signed"))) {
    fputs(", signed by itself", stderr);
  } else {
    fputs(", signed by ", stderr);
    put_safely(issuer && *issuer ? issuer : "(no name)");
  }
  fprintf(stderr, ", %s %s (%s), %s %" PRId64 " bits\n", to < now ? "ended" : "ends",
          cli_span(span, to), cli_date(day, to), text_of(key, "type"), number_of(key, "bits"));
}

static void tell_names(const json_t *certificate) {
  const json_t *names = json_object_get(certificate, "names"), *name;
  size_t i, count = json_array_size(names);
  label("names");
  if (!count)
    fputs("none: a certificate without names is good for no host", stderr);
  json_array_foreach(names, i, name) {
    if (i == NAMES_MOST)
      break;
    fputs(i ? ", " : "", stderr);
    put_safely(json_string_value(name));
  }
  if (count > NAMES_MOST)
    fprintf(stderr, " and %zu more", count - NAMES_MOST);
  fputc('\n', stderr);
}

static void tell_chain(const json_t *report) {
  const json_t *chain = json_object_get(report, "chain"), *certificate;
  size_t i;
  json_array_foreach(chain, i, certificate) { tell_link(certificate, i); }
  if (json_array_size(chain))
    tell_names(json_array_get(chain, 0));
}

/* What is accepted today and will make trouble: the end is near, the key is short. */
static void tell_problems(const json_t *report) {
  const json_t *leaf = json_array_get(json_object_get(report, "chain"), 0), *problem;
  size_t i;
  if (!json_is_true(json_object_get(report, "authorized")))
    return;
  json_array_foreach(json_object_get(leaf, "problems"), i, problem) {
    line(i ? "" : "but", json_string_value(json_object_get(problem, "text")));
  }
}

static void tell_verdict(const json_t *report) {
  const json_t *authorized = json_object_get(report, "authorized");
  const char *name = text_of(report, "authorization_error");
  if (!authorized)
    return;
  bool good = json_is_true(authorized);
  label("verdict");
  fprintf(stderr, "%s%s%s", cli_tone(stderr, good ? CLI_GOOD : CLI_BAD),
          good ? "authorized" : "NOT authorized", cli_plain(stderr));
  fprintf(stderr, "%s%s%s\n", name ? " (" : "", name ? name : "", name ? ")" : "");
  line("", text_of(report, "verdict"));
  line("", text_of(report, "remedy"));
}

static void tell_staple(const json_t *report) {
  const char *staple = text_of(report, "staple");
  bool missing = staple && !strcmp(staple, "none") &&
                 json_is_true(json_object_get(report, "must_staple")) &&
                 !json_is_true(json_object_get(report, "resumed"));
  line("staple",
       missing ? "none, though the certificate says that it needs one (must-staple)" : staple);
  line("", text_of(report, "staple_says"));
}

static void tell_error(const json_t *report) {
  const json_t *error = json_object_get(report, "error");
  if (!error || text_of(report, "verdict"))
    return;
  label("failed");
  fputs(cli_tone(stderr, CLI_BAD), stderr);
  put_safely(text_of(error, "text"));
  fprintf(stderr, "%s\n", cli_plain(stderr));
  line("", text_of(error, "remedy"));
}

/* -- all --------------------------------------------------------------------------------------- */

void cli_tell(const json_t *report) {
  tell_head(report);
  tell_suite(report);
  tell_chain(report);
  tell_verdict(report);
  tell_problems(report);
  line("ALPN", text_of(report, "alpn"));
  tell_staple(report);
  tell_error(report);
}

void cli_tell_session(const json_t *report) {
  int64_t seconds = number_of(report, "session_seconds");
  label("session");
  fputs("can be resumed", stderr);
  if (seconds)
    fprintf(stderr, " for %" PRId64 " seconds", seconds);
  fputc('\n', stderr);
}
