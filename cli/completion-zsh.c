#include <string.h>

#include "completion.h"

/* Within single quotes; what _arguments and _describe take for themselves is escaped. */
static void print_text(const char *text) {
  for (; *text; text++) {
    if (*text == '\'')
      fputs("'\\''", stdout);
    else if (strchr("[]:\\", *text))
      printf("\\%c", *text);
    else
      putchar(*text);
  }
}

static void print_action(const char *kind) {
  switch (cli_value_of(kind)) {
  case CLI_FILE_VALUE:
    fputs("_files", stdout);
    break;
  case CLI_FOLDER_VALUE:
    fputs("_files -/", stdout);
    break;
  case CLI_WORD_VALUE:
    printf("(%s)", cli_value_words(kind));
    break;
  default:
    putchar(' ');
  }
}

/* '(-o --out)'{-o+,--out=}'[where to write it]:FILE:_files' */
static void print_option(const struct poptOption *option) {
  const char *more = option->argDescrip ? "+" : "", *equals = option->argDescrip ? "=" : "";
  fputs("      ", stdout);
  if (cli_option_repeats(option))
    fputs("'*'", stdout);
  else if (option->longName && option->shortName)
    printf("'(-%c --%s)'", option->shortName, option->longName);
  if (option->longName && option->shortName)
    printf("{-%c%s,--%s%s}", option->shortName, more, option->longName, equals);
  else if (option->longName)
    printf("--%s%s", option->longName, equals);
  else
    printf("-%c%s", option->shortName, more);
  fputs("'[", stdout);
  print_text(option->descrip ? option->descrip : "");
  putchar(']');
  if (option->argDescrip) {
    printf(":%s:", option->argDescrip);
    print_action(option->argDescrip);
  }
  fputs("' \\\n", stdout);
}

static void print_command(const char *path, const cli_help_t *help,
                          const struct poptOption *table) {
  const char *kind = cli_argument_kind(help);
  printf("  '%s')\n    _arguments -s \\\n", path);
  for (; table->longName || table->shortName; table++)
    print_option(table);
  if (kind) {
    printf("      '*:%s:", kind);
    print_action(kind);
    fputs("' \\\n", stdout);
  }
  fputs("      '(-h --help)'{-h,--help}'[show its help]' ;;\n", stdout);
}

static void print_words(const char *indent, const cli_command_t *words, const char *more) {
  printf("%sall=(%s\n", indent, more);
  for (; words->name; words++) {
    printf("%s  '%s:", indent, words->name);
    print_text(words->summary);
    fputs("'\n", stdout);
  }
  printf("%s)\n%s_describe command all\n%sreturn\n", indent, indent, indent);
}

static void print_second_words(void) {
  for (const cli_command_t *command = cli_commands; command->name; command++) {
    if (!command->words)
      continue;
    printf("  %s)\n    if (( CURRENT == 2 )); then\n", command->name);
    print_words("      ", command->words, "");
    fputs("    fi\n    command+=\" $words[2]\"\n    shift words\n    (( CURRENT-- )) ;;\n", stdout);
  }
}

/* "help authority sign" */
static void print_help_words(void) {
  fputs("  if [[ $command == help ]]; then\n    if (( CURRENT == 2 )); then\n", stdout);
  print_words("      ", cli_commands, "");
  fputs("    fi\n    case \"$CURRENT $words[2]\" in\n", stdout);
  for (const cli_command_t *command = cli_commands; command->name; command++) {
    if (!command->words)
      continue;
    printf("    '3 %s')\n", command->name);
    print_words("      ", command->words, "");
    fputs("      ;;\n", stdout);
  }
  fputs("    esac\n    return\n  fi\n", stdout);
}

void cli_completion_zsh(void) {
  fputs("#compdef securepair\n"
        "# Completion for zsh, made by \"securepair completion zsh\".\n\n"
        "_securepair() {\n"
        "  local command=$words[2]\n"
        "  local -a all\n"
        "  if (( CURRENT == 2 )) && [[ $command == -* ]]; then\n"
        "    _arguments '(- *)'{-h,--help}'[list the commands]' "
        "'(- *)'{-V,--version}'[say the version]'\n"
        "    return\n"
        "  fi\n"
        "  if (( CURRENT == 2 )); then\n",
        stdout);
  print_words("    ", cli_commands, "'help:explain a command'");
  fputs("  fi\n  shift words\n  (( CURRENT-- ))\n", stdout);
  print_help_words();
  fputs("  case $command in\n", stdout);
  print_second_words();
  fputs("  esac\n  case $command in\n", stdout);
  cli_commands_each(print_command);
  fputs("  esac\n}\n\n"
        "if [ \"$funcstack[1]\" = _securepair ]; then\n"
        "  _securepair \"$@\"\n"
        "else\n"
        "  compdef _securepair securepair\n"
        "fi\n",
        stdout);
}
