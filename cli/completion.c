/* securepair completion: what the tables of options know, for a shell. */
#include "completion.h"

#include <string.h>

#include "starttls.h"

static const cli_help_t help = {
    "securepair completion SHELL",
    "Prints what makes bash, zsh or fish complete this command: its words, options and their "
    "values.\n"
    "Packages bring it along; this is for those who installed it by hand.",
    "  source <(securepair completion bash)      # in ~/.bashrc\n"
    "  securepair completion zsh > ~/.zfunc/_securepair   # a folder of $fpath\n"
    "  securepair completion fish > ~/.config/fish/completions/securepair.fish\n"};

/* -- values ------------------------------------------------------------------------------------ */

/* "smtp, imap" as words. */
static const char *protocol_words(void) {
  static char words[200];
  const char *names = cli_protocol_names();
  size_t n = 0;
  for (; *names && n + 1 < sizeof words; names++)
    if (*names != ',')
      words[n++] = *names;
  return words;
}

const char *cli_value_words(const char *kind) {
  static const struct {
    const char *kind, *words;
  } kinds[] = {
      {"CURVE", "P-256 P-384 P-521"},
      {"VERSION", "1.2 1.3"},
      {"REASON", "key-compromise affiliation-changed superseded cessation privilege-withdrawn"},
      {"SHELL", "bash zsh fish"},
  };
  if (!strcmp(kind, "PROTOCOL"))
    return protocol_words();
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (!strcmp(kinds[i].kind, kind))
      return kinds[i].words;
  return NULL;
}

cli_value_t cli_value_of(const char *kind) {
  if (!kind)
    return CLI_NO_VALUE;
  if (!strcmp(kind, "FILE"))
    return CLI_FILE_VALUE;
  if (!strcmp(kind, "FOLDER"))
    return CLI_FOLDER_VALUE;
  return cli_value_words(kind) ? CLI_WORD_VALUE : CLI_ANY_VALUE;
}

const char *cli_argument_kind(const cli_help_t *of) {
  static const char *const files[] = {" FILE", " REQUEST", " CERTIFICATE"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    if (strstr(of->usage, files[i]))
      return "FILE";
  return strstr(of->usage, " SHELL") ? "SHELL" : NULL;
}

bool cli_option_repeats(const struct poptOption *option) {
  return (option->argInfo & POPT_ARG_MASK) == POPT_ARG_ARGV;
}

/* -- all commands ------------------------------------------------------------------------------ */

typedef struct visit {
  cli_each_command_t each;
  char path[80];
} visit_t;

static void on_table(const cli_help_t *of, const struct poptOption *table, void *data) {
  const visit_t *visit = data;
  visit->each(visit->path, of, table);
}

static void visit_command(const cli_command_t *command, visit_t *visit) {
  const char *argv[] = {command->name, NULL};
  size_t n = strlen(visit->path);
  snprintf(visit->path + n, sizeof visit->path - n, "%s%s", n ? " " : "", command->name);
  if (!command->words)
    (void)command->run(1, argv); /* which is shown to on_table and does nothing */
  for (const cli_command_t *word = command->words; word && word->name; word++)
    visit_command(word, visit);
  visit->path[n] = '\0';
}

void cli_commands_each(cli_each_command_t each) {
  visit_t visit = {.each = each, .path = ""};
  cli_parse_watch(on_table, &visit);
  for (const cli_command_t *command = cli_commands; command->name; command++)
    visit_command(command, &visit);
  cli_parse_watch(NULL, NULL);
}

/* -- the command ------------------------------------------------------------------------------- */

static int print(const char *shell) {
  static const struct {
    const char *shell;
    void (*print)(void);
  } shells[] = {
      {"bash", cli_completion_bash}, {"zsh", cli_completion_zsh}, {"fish", cli_completion_fish}};
  for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
    if (!strcmp(shells[i].shell, shell)) {
      shells[i].print();
      return CLI_OK;
    }
  (void)cli_fail("completion knows bash, zsh and fish, not \"%s\"", shell);
  return CLI_USAGE;
}

int cli_completion(int argc, const char **argv) {
  cli_arguments_t arguments;
  struct poptOption table[] = {POPT_TABLEEND};
  int parsed = cli_parse(&arguments, &help, table, 1, 1, argc, argv);
  if (parsed)
    return parsed - 1;
  int status = print(arguments.all[0]);
  cli_parsed(&arguments);
  return status;
}
