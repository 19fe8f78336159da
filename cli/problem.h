/* What is wrong, as JSON has it and people read it: a code, a sentence, what to do. */
#ifndef CLI_PROBLEM_H
#define CLI_PROBLEM_H

#include <jansson.h>

#include "cli.h"

/* From here on JSON or a sentence that finds no memory ends the command, which else would say less
 * than it should: for one that has nothing to save, and has no JSON yet. */
void cli_json_whole(void);

/* Something that belongs into JSON found no memory: ends the command if it is to be whole. */
void cli_json_lost(void);

/* Writes it to standard output, as a whole or (no memory) not at all; in ASCII, in which no text
 * turns a terminal upside down. NULL: there was no memory to make it. Answers an exit status. */
int cli_json_put(const json_t *json);

/* A text as JSON, also where it is no UTF-8. */
json_t *cli_json_text(const char *text);

/* Appends {"code", "text", "remedy"} to a list; the format is the text's. */
void cli_problem(json_t *list, const char *code, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Appends a sentence. */
void cli_sentence(json_t *list, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
