#include "completion.h"

/* An option as it stands in a pattern of case: "key --out" | "key -o". */
static void print_pattern(const char *path, const struct poptOption *option) {
  const char *between = "";
  if (option->longName) {
    printf("\"%s --%s\"", path, option->longName);
    between = " | ";
  }
  if (option->shortName)
    printf("%s\"%s -%c\"", between, path, option->shortName);
}

static void print_offer(const char *kind) {
  switch (cli_value_of(kind)) {
  case CLI_FILE_VALUE:
    fputs("_securepair_offer -f", stdout);
    break;
  case CLI_FOLDER_VALUE:
    fputs("_securepair_offer -d", stdout);
    break;
  case CLI_WORD_VALUE:
    printf("_securepair_offer -W \"%s\"", cli_value_words(kind));
    break;
  default: /* what only the user can know */
    fputs("return", stdout);
  }
}

static void print_values(const char *path, const cli_help_t *help, const struct poptOption *table) {
  (void)help;
  for (; table->longName || table->shortName; table++) {
    if (!table->argDescrip)
      continue;
    fputs("  ", stdout);
    print_pattern(path, table);
    fputs(") ", stdout);
    print_offer(table->argDescrip);
    fputs("; return ;;\n", stdout);
  }
}

static void print_options(const char *path, const cli_help_t *help,
                          const struct poptOption *table) {
  (void)help;
  printf("  \"%s -\"*) _securepair_offer -W \"", path);
  for (; table->longName || table->shortName; table++) {
    if (table->longName)
      printf("--%s ", table->longName);
    else
      printf("-%c ", table->shortName);
  }
  fputs("--help\" ;;\n", stdout);
}

static void print_arguments(const char *path, const cli_help_t *help,
                            const struct poptOption *table) {
  const char *kind = cli_argument_kind(help);
  (void)table;
  if (!kind)
    return;
  printf("  \"%s \"*) ", path);
  print_offer(kind);
  fputs(" ;;\n", stdout);
}

static void print_words(const cli_command_t *words, const char *more) {
  fputs("_securepair_offer -W \"", stdout);
  for (const cli_command_t *word = words; word->name; word++)
    printf("%s%s", word == words ? "" : " ", word->name);
  printf("%s\"", more);
}

static void print_first_words(void) {
  fputs("  [ $COMP_CWORD -gt 1 ] || {\n    case $current in\n"
        "    -*) _securepair_offer -W \"--help --version\" ;;\n    *) ",
        stdout);
  print_words(cli_commands, " help");
  fputs(" ;;\n    esac\n    return\n  }\n", stdout);
}

/* "help authority sign" */
static void print_help_words(void) {
  fputs("  if [ \"$command\" = help ]; then\n    case \"$COMP_CWORD ${COMP_WORDS[2]}\" in\n",
        stdout);
  for (const cli_command_t *command = cli_commands; command->name; command++) {
    if (!command->words)
      continue;
    printf("    \"3 %s\") ", command->name);
    print_words(command->words, "");
    fputs(" ;;\n", stdout);
  }
  fputs("    \"2 \"*) ", stdout);
  print_words(cli_commands, "");
  fputs(" ;;\n    esac\n    return\n  fi\n", stdout);
}

static void print_second_words(void) {
  for (const cli_command_t *command = cli_commands; command->name; command++) {
    if (!command->words)
      continue;
    printf("  %s)\n    [ $COMP_CWORD -gt 2 ] || { ", command->name);
    print_words(command->words, "");
    fputs("; return; }\n    command+=\" ${COMP_WORDS[2]}\" ;;\n", stdout);
  }
}

void cli_completion_bash(void) {
  fputs("# Completion for bash, made by \"securepair completion bash\".\n\n"
        "_securepair_offer() {\n"
        "  [[ $1 != -[fd] ]] || compopt -o filenames 2>/dev/null\n"
        "  mapfile -t COMPREPLY < <(compgen \"$@\" -- \"$current\")\n"
        "}\n\n"
        "_securepair() {\n"
        "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
        "  local command=${COMP_WORDS[1]}\n"
        "  COMPREPLY=()\n",
        stdout);
  print_first_words();
  print_help_words();
  fputs("  case $command in\n", stdout);
  print_second_words();
  fputs("  esac\n"
        "  # bash takes --option=value apart.\n"
        "  if [ \"$current\" = = ]; then\n"
        "    current=\n"
        "  elif [ \"$previous\" = = ]; then\n"
        "    previous=${COMP_WORDS[COMP_CWORD - 2]}\n"
        "  fi\n"
        "  case \"$command $previous\" in\n",
        stdout);
  cli_commands_each(print_values);
  fputs("  esac\n  case \"$command $current\" in\n", stdout);
  cli_commands_each(print_options);
  cli_commands_each(print_arguments);
  fputs("  esac\n}\n\ncomplete -F _securepair securepair\n", stdout);
}
