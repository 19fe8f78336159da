/* The log of `securepair serve`: a line for each event on standard error, in plain words or as an
 * object of JSON. */
#ifndef CLI_LOG_H
#define CLI_LOG_H

#include <jansson.h>

#include "cli.h"

typedef struct cli_log cli_log_t;

/* Lines wait until cli_log_open. NULL: no memory. */
cli_log_t *cli_log_new(bool json);

/* The first line, then those that waited, with the time of now. */
void cli_log_open(cli_log_t *log, const char *event, json_t *facts);

/* From here on a thread of its own writes, so that a reader who is slow or gone holds nobody up:
 * when 1 MiB waits, lines are lost, and counted. Answers an exit status. */
int cli_log_start(cli_log_t *log);

/* A line. `facts` (an object, may be NULL) is taken over: its "message" is the whole line in plain
 * words; else the line has "client", the event, and "name value" for each fact. Texts in it may be
 * hostile. */
void cli_log_put(cli_log_t *log, const char *event, json_t *facts);

/* A line that is only a sentence. */
void cli_log_say(cli_log_t *log, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* n bytes of a stranger's, which may be no UTF-8: a string for the log alone, which escapes them.
 */
json_t *cli_log_text(const void *bytes, size_t n);

/* Waits up to a second for the lines that are left. */
void cli_log_free(cli_log_t *log);

#endif
