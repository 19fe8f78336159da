/* securepair show */
#include <string.h>
#include <time.h>

#include "describe.h"

static const cli_help_t help = {
    "securepair show FILE...",
    "Says in plain words what is in files of keys, requests, certificates and revocation lists "
    "(PEM,\n"
    "DER, PKCS#12): who, for what, until when; which key belongs to which certificate; whether a "
    "chain\n"
    "is complete and in order; and what browsers, Node and others would object to, with the "
    "remedy.\n"
    "Status 1 when something cannot be read, 3 when something is wrong with what is there.",
    "  securepair show server-key.pem server-cert.pem\n"
    "  securepair show --json fullchain.pem\n"
    "  openssl s_client -connect a.example:443 -showcerts </dev/null | securepair show -\n"};

enum { PROBLEMS = 3 };

/* -- text -------------------------------------------------------------------------------------- */

static void line(const char *label, const char *text) {
  printf("  %s%-12s%s", cli_tone(stdout, CLI_DIM), label, cli_plain(stdout));
  cli_put_text(stdout, text);
  putchar('\n');
}

static void text_line(const json_t *object, const char *label, const char *name) {
  const char *text = json_string_value(json_object_get(object, name));
  if (text)
    line(label, *text ? text : "(empty)");
}

static void names_line(const json_t *object) {
  const json_t *names = json_object_get(object, "names"), *name;
  size_t i;
  if (!names || !json_array_size(names))
    return;
  printf("  %s%-12s%s", cli_tone(stdout, CLI_DIM), "for", cli_plain(stdout));
  json_array_foreach(names, i, name) {
    if (i)
      fputs(", ", stdout);
    cli_put_text(stdout, json_string_value(name));
  }
  putchar('\n');
}

static int64_t time_of(const json_t *object, const char *name) {
  const char *text = json_string_value(json_object_get(object, name));
  struct tm tm = {.tm_sec = 0};
  return text && strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) ? (int64_t)timegm(&tm) : 0;
}

static void dates_line(const json_t *object) {
  char from[40], to[40], span[40], text[160];
  int64_t end = time_of(object, "valid_to");
  if (!json_object_get(object, "valid_from"))
    return;
  cli_date(from, time_of(object, "valid_from"));
  if (end)
    snprintf(text, sizeof text, "until %s (%s), since %s", cli_date(to, end), cli_span(span, end),
             from);
  else
    snprintf(text, sizeof text, "since %s", from);
  line("valid", text);
}

static void key_line(const json_t *object) {
  const json_t *key = json_object_get(object, "key");
  const char *curve = json_string_value(json_object_get(key, "curve"));
  char text[120];
  if (!key)
    return;
  snprintf(text, sizeof text, "%s%s%s, %d bits", json_string_value(json_object_get(key, "type")),
           curve ? " " : "", curve ? curve : "",
           (int)json_integer_value(json_object_get(key, "bits")));
  line("key", text);
}

/* {"text", "remedy"} of each. */
static void problem_lines(const json_t *problems) {
  const json_t *problem;
  size_t i;
  json_array_foreach(problems, i, problem) {
    printf("  %sproblem%s     ", cli_tone(stdout, CLI_BAD), cli_plain(stdout));
    cli_put_text(stdout, json_string_value(json_object_get(problem, "text")));
    fputs("\n              ", stdout);
    cli_put_text(stdout, json_string_value(json_object_get(problem, "remedy")));
    putchar('\n');
  }
}

static void title(const json_t *object) {
  const json_t *line_number = json_object_get(object, "line");
  printf("%s", cli_tone(stdout, CLI_BOLD));
  cli_put_text(stdout, json_string_value(json_object_get(object, "file")));
  if (json_integer_value(line_number) > 1)
    printf(", line %d", (int)json_integer_value(line_number));
  printf("%s: %s%s\n", cli_plain(stdout), json_string_value(json_object_get(object, "kind")),
         json_is_true(json_object_get(object, "encrypted")) ? ", encrypted" : "");
}

static void tell(const json_t *object) {
  const char *issuer = json_string_value(json_object_get(object, "issuer"));
  bool own = json_is_true(json_object_get(object, "self_signed"));
  title(object);
  text_line(object, "holds", "label");
  text_line(object, "", "note");
  names_line(object);
  text_line(object, "subject", "subject");
  if (issuer)
    line("issued by", own ? "itself" : issuer);
  if (json_object_get(object, "revoked")) {
    char text[32];
    snprintf(text, sizeof text, "%d", (int)json_integer_value(json_object_get(object, "revoked")));
    line("revoked", text);
  }
  dates_line(object);
  text_line(object, "use", "purpose");
  key_line(object);
  text_line(object, "signature", "signature");
  text_line(object, "serial", "serial");
  text_line(object, "SHA-256", "sha256");
  text_line(object, "public key", "public_sha256");
  problem_lines(json_object_get(object, "problems"));
}

/* -- all of it --------------------------------------------------------------------------------- */

typedef struct findings {
  json_t *items, *relations, *problems; /* problems: of several things together, or of a file */
  size_t count;                         /* of all problems */
} findings_t;

static findings_t find(const cli_items_t *items) {
  findings_t found = {json_array(), json_array(), json_array(), 0};
  for (size_t i = 0; i < items->count; i++) {
    json_t *item = cli_describe(items->all + i);
    found.count += json_array_size(json_object_get(item, "problems"));
    json_array_append_new(found.items, item);
  }
  json_array_extend(found.problems, items->problems);
  cli_relate(found.relations, found.problems, items);
  found.count += json_array_size(found.problems);
  return found;
}

static void release(findings_t *found) {
  json_decref(found->items);
  json_decref(found->relations);
  json_decref(found->problems);
}

static void tell_count(const findings_t *found) {
  bool good = !found->count;
  printf("%s", cli_tone(stdout, good ? CLI_GOOD : CLI_BAD));
  if (good)
    printf("No problem found.");
  else
    printf("%zu problem%s.", found->count, found->count == 1 ? "" : "s");
  printf("%s\n", cli_plain(stdout));
}

static void tell_all(const findings_t *found) {
  const json_t *one;
  size_t i;
  json_array_foreach(found->items, i, one) {
    if (i)
      putchar('\n');
    tell(one);
  }
  if (!i)
    return;
  putchar('\n');
  json_array_foreach(found->relations, i, one) {
    cli_put_text(stdout, json_string_value(one));
    putchar('\n');
  }
  problem_lines(found->problems);
  tell_count(found);
}

static int print_json(const findings_t *found) {
  json_t *all = json_pack("{s:O,s:O,s:O}", "items", found->items, "relations", found->relations,
                          "problems", found->problems);
  int status = cli_json_put(all);
  json_decref(all);
  return status;
}

static int print(const cli_items_t *items, bool json) {
  findings_t found = find(items);
  int status = found.count ? PROBLEMS : CLI_OK;
  if (json)
    status = print_json(&found) ? CLI_FAILED : status;
  else
    tell_all(&found);
  release(&found);
  return status;
}

static int show(const cli_arguments_t *arguments, const char *passphrase_file, bool json) {
  char room[CLI_PASSPHRASE_SIZE] = "";
  cli_items_t items = {.all = NULL};
  int failed = CLI_OK;
  if (passphrase_file && cli_passphrase_file(room, passphrase_file))
    return CLI_FAILED;
  for (int i = 0; i < arguments->count; i++)
    failed |= cli_items_read(&items, arguments->all[i], passphrase_file ? room : NULL);
  explicit_bzero(room, sizeof room);
  int status = print(&items, json);
  cli_items_free(&items);
  return failed ? CLI_FAILED : status;
}

/* -- the command ------------------------------------------------------------------------------- */

int cli_show(int argc, const char **argv) {
  int json = 0;
  const char *passphrase_file = NULL;
  cli_arguments_t arguments;
  struct poptOption table[] = {{"json", 0, POPT_ARG_NONE, &json, 0, "as JSON", NULL},
                               {"passphrase-file", 0, POPT_ARG_STRING, &passphrase_file, 0,
                                "the passphrase of keys and PKCS#12 is the first line of FILE",
                                "FILE"},
                               POPT_TABLEEND};
  int parsed = cli_parse(&arguments, &help, table, 1, -1, argc, argv);
  if (parsed)
    return parsed - 1;
  cli_json_whole();
  int status = show(&arguments, passphrase_file, json != 0);
  cli_parsed(&arguments);
  return status;
}
