/* securepair show */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "describe.h"

static const cli_help_t help = {
    "securepair show FILE...",
    "Says in plain words what is in files of keys, requests, certificates and revocation lists "
    "(PEM,\n"
    "DER, PKCS#12): who, for what, until when; which key belongs to which certificate; whether a "
    "chain\n"
    "is complete and in order; and what clients would object to. Status 1 when something cannot "
    "be\n"
    "read, 3 when something is wrong with what is there.",
    "  securepair show server-key.pem server-cert.pem\n"
    "  securepair show --json fullchain.pem\n"
    "  openssl s_client -connect a.example:443 -showcerts </dev/null | securepair show -\n"};

enum { PROBLEMS = 3 };

/* -- text -------------------------------------------------------------------------------------- */

/* Whatever a certificate says, no control character reaches the terminal. */
static void put_safely(const char *text) {
  for (; *text; text++) {
    if (iscntrl((unsigned char)*text))
      printf("\\x%02X", (unsigned char)*text);
    else
      putchar(*text);
  }
}

static void line(const char *label, const char *text) {
  printf("  %s%-12s%s", cli_tone(stdout, CLI_DIM), label, cli_plain(stdout));
  put_safely(text);
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
    put_safely(json_string_value(name));
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

static void problem_lines(const json_t *object) {
  const json_t *problem;
  size_t i;
  json_array_foreach(json_object_get(object, "problems"), i, problem) {
    printf("  %sproblem%s     ", cli_tone(stdout, CLI_BAD), cli_plain(stdout));
    put_safely(json_string_value(problem));
    putchar('\n');
  }
}

static void tell(const json_t *object) {
  const char *issuer = json_string_value(json_object_get(object, "issuer"));
  bool own = json_is_true(json_object_get(object, "self_signed"));
  printf("%s", cli_tone(stdout, CLI_BOLD));
  put_safely(json_string_value(json_object_get(object, "file")));
  printf("%s: %s\n", cli_plain(stdout), json_string_value(json_object_get(object, "kind")));
  text_line(object, "holds", "label");
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
  problem_lines(object);
}

static void tell_all(const json_t *items, const json_t *relations) {
  const json_t *one;
  size_t i;
  json_array_foreach(items, i, one) {
    if (i)
      putchar('\n');
    tell(one);
  }
  if (json_array_size(relations))
    putchar('\n');
  json_array_foreach(relations, i, one) {
    put_safely(json_string_value(one));
    putchar('\n');
  }
}

/* -- the command ------------------------------------------------------------------------------- */

static bool has_problems(const json_t *items) {
  for (size_t i = 0; i < json_array_size(items); i++)
    if (json_array_size(json_object_get(json_array_get(items, i), "problems")))
      return true;
  return false;
}

static int print(const cli_items_t *items, bool json) {
  json_t *descriptions = json_array(), *relations = cli_relate(items);
  for (size_t i = 0; i < items->count; i++)
    json_array_append_new(descriptions, cli_describe(items->all + i));
  int status = has_problems(descriptions) ? PROBLEMS : CLI_OK;
  if (json) {
    json_t *all = json_pack("{s:O,s:O}", "items", descriptions, "relations", relations);
    if (!all || json_dumpf(all, stdout, JSON_INDENT(2)) < 0)
      status = cli_fail("cannot write the JSON");
    putchar('\n');
    json_decref(all);
  } else {
    tell_all(descriptions, relations);
  }
  json_decref(descriptions);
  json_decref(relations);
  return status;
}

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
  cli_items_t items = {.all = NULL};
  int failed = CLI_OK;
  for (int i = 0; i < arguments.count; i++)
    failed |= cli_items_read(&items, arguments.all[i], passphrase_file);
  int status = print(&items, json);
  cli_items_free(&items);
  cli_parsed(&arguments);
  return failed ? CLI_FAILED : status;
}
