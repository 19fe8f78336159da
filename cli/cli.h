/* What the subcommands share. Each has a file of its own and one function. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <popt.h>

#include <securepair.h>

/* Exit statuses that all subcommands have. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* -- subcommands ------------------------------------------------------------------------------- */

typedef int (*cli_run_t)(int argc, const char **argv);
int cli_key(int argc, const char **argv);
int cli_request(int argc, const char **argv);
int cli_certificate(int argc, const char **argv);
int cli_authority(int argc, const char **argv);
int cli_connect(int argc, const char **argv);
int cli_serve(int argc, const char **argv);
int cli_show(int argc, const char **argv);
int cli_localhost(int argc, const char **argv);
int cli_completion(int argc, const char **argv);

typedef struct cli_command {
  const char *name, *summary; /* a list of these ends with one that has no name */
  cli_run_t run;
  const struct cli_command *words; /* what the command takes as its first argument; or NULL */
} cli_command_t;

extern const cli_command_t cli_commands[];        /* main.c */
extern const cli_command_t cli_authority_words[]; /* authority.c */

/* NULL: there is none of that name. */
const cli_command_t *cli_command_find(const cli_command_t *commands, const char *name);

/* -- parse.c: the command line ----------------------------------------------------------------- */

typedef struct cli_help {
  const char *usage;    /* "securepair key [OPTION...]" */
  const char *summary;  /* a sentence or two */
  const char *examples; /* command lines, each with what it does; they come first */
} cli_help_t;

/* The arguments that are no options; they live as long as the context. */
typedef struct cli_arguments {
  poptContext context;
  const char **all; /* ends with NULL */
  int count;
  void **owned; /* texts that popt made for the options */
  size_t owned_count;
} cli_arguments_t;

/* Reads the options into where the table says. 0: go on, and cli_parsed at the end; else the exit
 * status, +1 (help was asked for and shown, or the command line cannot be read). `least` and `most`
 * are how many arguments there may be; most below 0: any number. What options point to lives until
 * cli_parsed. */
int cli_parse(cli_arguments_t *arguments, const cli_help_t *help, struct poptOption *table,
              int least, int most, int argc, const char **argv);
void cli_parsed(cli_arguments_t *arguments);

/* Whether the command that was parsed last has an option of that (long) name. */
bool cli_has_option(const char *name);

/* What an option for a number is before the command line says it, if its default is not known then.
 * Its entry has CLI_MAYBE_SAID as `val`, only one of a table: so nobody can say CLI_NOT_SAID. */
#define CLI_NOT_SAID INT_MIN
enum { CLI_MAYBE_SAID = 1 };

/* Whether an option's number is from `least` to `most`. Answers an exit status. */
int cli_check_number(const char *option, int number, int least, int most);

/* What --tls-min or --tls-max says; NULL: the usual one. Answers an exit status. */
int cli_version_of(sp_protocol_t *version, const char *option, const char *text);

/* Until it is called with NULL, cli_parse reads nothing but shows `watch` what it would have read:
 * so a command's options are known without running it. */
typedef void (*cli_watch_t)(const cli_help_t *help, const struct poptOption *table, void *data);
void cli_parse_watch(cli_watch_t watch, void *data);

/* -- say.c: to people -------------------------------------------------------------------------- */

/* words.c: an error's sentence with the options of the command that runs, in place of the
 * library's. */
#define CLI_ERROR_TEXT 400
const char *cli_error_text(char room[CLI_ERROR_TEXT], const sp_error_t *error);

/* Bytes for a sentence with names and texts of others in it: of a longer one no more is shown. */
#define CLI_SENTENCE 4005

/* "securepair: ..." on standard error. Answer CLI_FAILED. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cli_fail_with(const sp_error_t *why);
void cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says that there is none, and ends the command: for what has nothing to save. */
void cli_no_memory(void) __attribute__((noreturn));

/* Writes a text that others made, or a copy of it to free (NULL: no memory): what is no printable
 * character, or would turn the direction of writing, comes out as \xHH; a very long one is cut. */
void cli_put_text(FILE *to, const char *text);
char *cli_safe_text(const char *text);

/* How many bytes the character of UTF-8 at `text`, which ends with a NUL, has, and which it is; 0:
 * it is none (RFC 3629). */
size_t cli_letter(const uint8_t *text, uint32_t *code);

/* Bytes of others'. Control characters come out as \xHH, and so do those of `but`, and with `ascii`
 * all that is not ASCII. */
void cli_put_bytes(FILE *to, const void *bytes, size_t n, bool ascii, const char *but);

typedef enum cli_tone { CLI_GOOD, CLI_BAD, CLI_DIM, CLI_BOLD } cli_tone_t;

/* The sequences that begin and end a tone; "" where there are no colours (no terminal, NO_COLOR).
 */
const char *cli_tone(FILE *to, cli_tone_t tone);
const char *cli_plain(FILE *to);

/* "in 89 days", "3 hours ago"; room of 40 bytes. The date as "2026-11-24 03:38 UTC". */
const char *cli_span(char room[40], int64_t when);
const char *cli_date(char room[40], int64_t when);

/* -- progress.c: while something takes seconds ------------------------------------------------- */

/* "WHAT ..." on standard error, if that is a terminal, and a dot each second until the end. They do
 * not nest; an end without a beginning is fine. */
void cli_progress_begin(const char *what);
void cli_progress_end(void);

/* -- file.c ------------------------------------------------------------------------------------ */

enum { CLI_SECRET = 0600, CLI_PUBLIC = 0644 };

/* Writes a text as a whole or not at all; to standard output when path is NULL or "-". Without
 * `force` nothing is written over. Answers an exit status. */
int cli_write(const char *path, const char *text, mode_t mode, bool force);

/* Writes all of it, waiting where it has to. Answers 0, or -1 with errno. */
int cli_write_all(int fd, const char *bytes, size_t n);

/* From here on a file that may not grow (RLIMIT_FSIZE) is an error like a full disk, no end. */
void cli_survive_limits(void);

/* Whether it could be written: asked before something slow is made. Answers an exit status. */
int cli_can_write(const char *path, bool force);

/* Reads a file of at most `limit` bytes ("-": standard input); *bytes has a NUL after them, and
 * goes to cli_drop. Answers an exit status. */
int cli_read(char **bytes, size_t *n, const char *path, size_t limit);
void cli_drop(char *bytes, size_t n); /* wipes and frees */

/* -- terminal.c -------------------------------------------------------------------------------- */

#define CLI_PASSPHRASE_SIZE 1026

/* One line from the terminal, which does not show it, after "QUESTION PATH: ". A signal that ends
 * or stops the process does so at once, and leaves the terminal as it was. False: there is none, or
 * nothing was typed. */
bool cli_ask_secret(char room[CLI_PASSPHRASE_SIZE], const char *question, const char *path);

/* -- secret.c: keys and their passphrases ------------------------------------------------------ */

/* The first line of a file into room ("-": of standard input; /dev/fd/N: of a descriptor). Answers
 * an exit status. */
int cli_passphrase_file(char room[CLI_PASSPHRASE_SIZE], const char *path);

/* A passphrase for what is about to be made: of the file, or (`ask`) asked for at the terminal,
 * twice. *passphrase is `room`, or NULL where none is wanted. Answers an exit status. */
int cli_passphrase_new(char room[CLI_PASSPHRASE_SIZE], const char **passphrase, const char *path,
                       bool ask);

/* Asks for the passphrase of a file at the terminal. False: there is none, or nothing was typed. */
bool cli_ask_passphrase(char room[CLI_PASSPHRASE_SIZE], const char *path);

/* A key should be its owner's only. */
bool cli_others_can_read(const char *path);

/* Reads a private key; asks for its passphrase at the terminal if there is one, and no file of it
 * is given; warns about a file that others can read. Answers an exit status. */
int cli_read_key(sp_key_t **key, const char *path, const char *passphrase_file);

/* -- spec.c: options of requests and certificates ---------------------------------------------- */

typedef struct cli_spec {
  const char **names; /* given with --name, ends with NULL; NULL: none */
  const char *subject;
  int client, both, must_staple;
  int days; /* CLI_NOT_SAID: as long as is usual */
} cli_spec_t;

/* A part of a command's table; `spec` is filled by cli_parse. */
#define CLI_SPEC_OPTIONS(spec)                                                                     \
  {"name",        'n', POPT_ARG_ARGV,                                                              \
   &(spec).names, 0,   "a name it is for: DNS name, address, e-mail or URI; as often as needed",   \
   "NAME"},                                                                                        \
      {"subject",       's', POPT_ARG_STRING,                                                      \
       &(spec).subject, 0,   "who it is for, as \"CN=a.example,O=Example,C=DE\"",                  \
       "SUBJECT"},                                                                                 \
      {"client", 0, POPT_ARG_NONE, &(spec).client, 0, "for a client, not a server", NULL},         \
      {"both", 0, POPT_ARG_NONE, &(spec).both, 0, "for a client and a server", NULL}, {            \
    "must-staple", 0, POPT_ARG_NONE, &(spec).must_staple, 0,                                       \
        "good only together with an OCSP response", NULL                                           \
  }

enum { CLI_DAYS_MOST = 36500 };

/* So many days from now; 0, the library's default, for CLI_NOT_SAID. */
int64_t cli_end_of(int days);

/* The public form. Answers an exit status. */
int cli_spec_of(sp_certificate_spec_t *made, const cli_spec_t *spec);

#endif
