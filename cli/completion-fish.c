#include "completion.h"

static void print_text(const char *text) {
  putchar('\'');
  for (; *text; text++) {
    if (*text == '\'' || *text == '\\')
      putchar('\\');
    putchar(*text);
  }
  putchar('\'');
}

static void print_value(const char *kind) {
  switch (cli_value_of(kind)) {
  case CLI_NO_VALUE:
    break;
  case CLI_FILE_VALUE:
    fputs(" -rF", stdout);
    break;
  case CLI_FOLDER_VALUE:
    fputs(" -xa '(__fish_complete_directories)'", stdout);
    break;
  case CLI_WORD_VALUE:
    printf(" -xa '%s'", cli_value_words(kind));
    break;
  case CLI_ANY_VALUE:
    fputs(" -x", stdout);
  }
}

static void print_argument(const char *path, const char *kind) {
  if (cli_value_of(kind) == CLI_FILE_VALUE)
    printf("complete -c securepair -n '__securepair_is %s' -F\n", path);
  else
    printf("complete -c securepair -n '__securepair_is %s' -a '%s'\n", path, cli_value_words(kind));
}

static void print_command(const char *path, const cli_help_t *help,
                          const struct poptOption *table) {
  if (cli_argument_kind(help))
    print_argument(path, cli_argument_kind(help));
  for (; table->longName || table->shortName; table++) {
    printf("complete -c securepair -n '__securepair_is %s'", path);
    if (table->shortName)
      printf(" -s %c", table->shortName);
    if (table->longName)
      printf(" -l %s", table->longName);
    print_value(table->argDescrip);
    fputs(" -d ", stdout);
    print_text(table->descrip ? table->descrip : "");
    putchar('\n');
  }
  printf("complete -c securepair -n '__securepair_is %s' -s h -l help -d 'show its help'\n", path);
}

/* `path` is what stands before them, each word with a space ahead. */
static void print_words(const char *path, const cli_command_t *words) {
  char further[80];
  for (; words->name; words++) {
    printf("complete -c securepair -n '__securepair_at%s' -a %s -d ", path, words->name);
    print_text(words->summary);
    putchar('\n');
    snprintf(further, sizeof further, "%s %s", path, words->name);
    if (words->words)
      print_words(further, words->words);
  }
}

void cli_completion_fish(void) {
  fputs("# Completion for fish, made by \"securepair completion fish\".\n\n"
        "# Whether the command line begins with these words, and has no others before the cursor.\n"
        "function __securepair_is\n"
        "  set -l words (commandline -opc)\n"
        "  set -e words[1]\n"
        "  for i in (seq (count $argv))\n"
        "    test \"$words[$i]\" = $argv[$i]; or return 1\n"
        "  end\n"
        "end\n\n"
        "function __securepair_at\n"
        "  test (count (commandline -opc)) -eq (math (count $argv) + 1); "
        "and __securepair_is $argv\n"
        "end\n\n"
        "complete -c securepair -f\n"
        "complete -c securepair -n __securepair_at -a help -d 'explain a command'\n"
        "complete -c securepair -n __securepair_at -s h -l help -d 'list the commands'\n"
        "complete -c securepair -n __securepair_at -s V -l version -d 'say the version'\n",
        stdout);
  print_words("", cli_commands);
  print_words(" help", cli_commands);
  cli_commands_each(print_command);
}
