/* What a shell has to know to complete a command line, and the scripts that tell it. */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

#include "cli.h"

/* What may stand after an option, or as an argument. */
typedef enum cli_value {
  CLI_NO_VALUE,     /* an option without one */
  CLI_ANY_VALUE,    /* a number, a name: nothing to offer */
  CLI_FILE_VALUE,   /* a file */
  CLI_FOLDER_VALUE, /* a folder */
  CLI_WORD_VALUE    /* one of cli_value_words */
} cli_value_t;

/* `kind` is how help calls it ("FILE", "CURVE"); NULL: no value. */
cli_value_t cli_value_of(const char *kind);
const char *cli_value_words(const char *kind); /* "P-256 P-384 P-521" */

/* What the usage line says of the arguments: as an option's kind. */
const char *cli_argument_kind(const cli_help_t *help);

/* Calls `each` for every command; `path` is "key" or "authority sign". */
typedef void (*cli_each_command_t)(const char *path, const cli_help_t *help,
                                   const struct poptOption *table);
void cli_commands_each(cli_each_command_t each);

bool cli_option_repeats(const struct poptOption *option);

/* Each prints a script to standard output. */
void cli_completion_bash(void);
void cli_completion_fish(void);
void cli_completion_zsh(void);

#endif
