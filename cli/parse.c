#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* -- what popt allocates ----------------------------------------------------------------------- */

static void own(cli_arguments_t *arguments, const void *text) {
  void **more = realloc(arguments->owned, (arguments->owned_count + 1) * sizeof *more);
  if (!more)
    cli_no_memory();
  arguments->owned = more;
  more[arguments->owned_count++] = (void *)(uintptr_t)text;
}

/* A text is popt's if it is not the one that stood there as the default. */
static void own_options(cli_arguments_t *arguments, const struct poptOption *table,
                        const char *const *defaults) {
  for (; table->longName || table->shortName; table++, defaults++) {
    unsigned kind = table->argInfo & POPT_ARG_MASK;
    const char *const *text = table->arg;
    if (kind == POPT_ARG_STRING && *text && *text != *defaults)
      own(arguments, *text);
    const char *const *list =
        kind == POPT_ARG_ARGV ? *(const char *const *const *)table->arg : NULL;
    for (size_t i = 0; list && list[i]; i++)
      own(arguments, list[i]);
    if (list)
      own(arguments, list);
  }
}

static const char **defaults_of(const struct poptOption *table) {
  size_t count = 0;
  while (table[count].longName || table[count].shortName)
    count++;
  const char **defaults = calloc(count + 1, sizeof *defaults);
  if (!defaults)
    cli_no_memory();
  for (size_t i = 0; i < count; i++)
    if ((table[i].argInfo & POPT_ARG_MASK) == POPT_ARG_STRING)
      defaults[i] = *(const char **)table[i].arg;
  return defaults;
}

/* -- watching ---------------------------------------------------------------------------------- */

static cli_watch_t watcher;
static void *watcher_data;

void cli_parse_watch(cli_watch_t watch, void *data) {
  watcher = watch;
  watcher_data = data;
}

/* -- the command that runs --------------------------------------------------------------------- */

static const struct poptOption *running; /* its options; NULL: none */

bool cli_has_option(const char *name) {
  for (const struct poptOption *one = running; one && (one->longName || one->shortName); one++)
    if (one->longName && !strcmp(one->longName, name))
      return true;
  return false;
}

/* -- parsing ----------------------------------------------------------------------------------- */

static void show_help(poptContext context, const cli_help_t *help) {
  printf("%s\n\nExamples\n%s\n", help->summary, help->examples);
  poptSetOtherOptionHelp(context, strchr(help->usage, ' ') + 1);
  poptPrintHelp(context, stdout, 0);
}

/* "key" of "securepair key [OPTION...]", "authority sign" of what has two words. */
static int words_of(const char *usage) {
  int n = 0;
  while (usage[n] >= 'a' && usage[n] <= 'z')
    n += (int)strspn(usage + n, "abcdefghijklmnopqrstuvwxyz ");
  while (n && usage[n - 1] == ' ')
    n--;
  return n;
}

static int refuse(cli_arguments_t *arguments, const cli_help_t *help, const char *what,
                  const char *why) {
  const char *rest = strchr(help->usage, ' ') + 1;
  (void)cli_fail("%s: %s (\"securepair %.*s --help\" says more)", what, why, words_of(rest), rest);
  cli_parsed(arguments);
  return CLI_USAGE + 1;
}

/* Reads all of them; what popt answers at the end. That somebody said CLI_NOT_SAID could not be
 * seen later. */
static int read_options(poptContext context, const struct poptOption *table) {
  int result;
  while ((result = poptGetNextOpt(context)) == CLI_MAYBE_SAID)
    for (const struct poptOption *one = table; one->longName || one->shortName; one++)
      if (one->val == CLI_MAYBE_SAID && *(const int *)one->arg == CLI_NOT_SAID)
        return POPT_ERROR_OVERFLOW;
  return result;
}

int cli_parse(cli_arguments_t *arguments, const cli_help_t *help, struct poptOption *table,
              int least, int most, int argc, const char **argv) {
  int wants_help = 0;
  struct poptOption all[] = {{NULL, 0, POPT_ARG_INCLUDE_TABLE, table, 0, "Options", NULL},
                             {"help", 'h', POPT_ARG_NONE, &wants_help, 0, "show this", NULL},
                             POPT_TABLEEND};
  if (watcher) {
    watcher(help, table, watcher_data);
    return CLI_OK + 1;
  }
  running = table;
  argv[0] = "securepair"; /* popt's usage line begins with it */
  arguments->owned = NULL;
  arguments->owned_count = 0;
  arguments->context = poptGetContext("securepair", argc, argv, all, 0);
  const char **defaults = defaults_of(table);
  int result = read_options(arguments->context, table);
  own_options(arguments, table, defaults);
  free(defaults);
  if (wants_help) {
    show_help(arguments->context, help);
    cli_parsed(arguments);
    return CLI_OK + 1;
  }
  if (result < -1)
    return refuse(arguments, help, poptBadOption(arguments->context, POPT_BADOPTION_NOALIAS),
                  poptStrerror(result));
  arguments->all = poptGetArgs(arguments->context);
  arguments->count = 0;
  while (arguments->all && arguments->all[arguments->count])
    arguments->count++;
  if (arguments->count < least)
    return refuse(arguments, help, "something is missing", help->usage);
  if (most >= 0 && arguments->count > most)
    return refuse(arguments, help, arguments->all[most], "that is one argument too many");
  return 0;
}

void cli_parsed(cli_arguments_t *arguments) {
  running = NULL;
  arguments->context = poptFreeContext(arguments->context);
  while (arguments->owned_count)
    free(arguments->owned[--arguments->owned_count]);
  free(arguments->owned);
  arguments->owned = NULL;
}

int cli_check_number(const char *option, int number, int least, int most) {
  return number >= least && number <= most
             ? CLI_OK
             : cli_fail("%s %d: %d to %d are possible", option, number, least, most);
}

int cli_version_of(sp_protocol_t *version, const char *option, const char *text) {
  *version = SP_PROTOCOL_DEFAULT;
  if (!text)
    return CLI_OK;
  *version = !strcmp(text, "1.2") ? SP_TLS1_2 : !strcmp(text, "1.3") ? SP_TLS1_3 : *version;
  return *version ? CLI_OK
                  : cli_fail("%s %s: 1.2 and 1.3 are spoken here, older ones are not safe", option,
                             text);
}
