#include <string.h>

#include "cli.h"

static void show_help(poptContext context, const cli_help_t *help) {
  printf("%s\n\nExamples\n%s\n", help->summary, help->examples);
  poptSetOtherOptionHelp(context, strchr(help->usage, ' ') + 1);
  poptPrintHelp(context, stdout, 0);
}

static int refuse(cli_arguments_t *arguments, const cli_help_t *help, const char *what,
                  const char *why) {
  const char *rest = strchr(help->usage, ' ') + 1;
  (void)cli_fail("%s: %s (\"securepair %.*s --help\" says more)", what, why,
                 (int)strcspn(rest, " "), rest);
  cli_parsed(arguments);
  return CLI_USAGE + 1;
}

int cli_parse(cli_arguments_t *arguments, const cli_help_t *help, struct poptOption *table,
              int least, int most, int argc, const char **argv) {
  int wants_help = 0;
  struct poptOption all[] = {{NULL, 0, POPT_ARG_INCLUDE_TABLE, table, 0, "Options", NULL},
                             {"help", 'h', POPT_ARG_NONE, &wants_help, 0, "show this", NULL},
                             POPT_TABLEEND};
  argv[0] = "securepair"; /* popt's usage line begins with it */
  arguments->context = poptGetContext("securepair", argc, argv, all, 0);
  int result = poptGetNextOpt(arguments->context);
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
  arguments->context = poptFreeContext(arguments->context);
}
