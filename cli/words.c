/* The library's sentences name its options; people have those of the command before them. */
#include <string.h>

#include "cli.h"

typedef struct word {
  const char *theirs; /* "^..." only where the sentence begins, and is about options */
  const char *option; /* only if the command has it; NULL: in any */
  const char *ours;
} word_t;

/* The first that fits counts. */
static const word_t words[] = {
    {"key_file", "key", "--key"},
    {"cert_file", "cert", "--cert"},
    {"ca_files", "ca", "--ca"},
    {"ca_files", "client-ca", "--client-ca"},
    {"crl_files", "crl", "--crl"},
    {"min_version", "tls-min", "--tls-min"},
    {"max_version", "tls-max", "--tls-max"},
    {"server_name", "server-name", "--server-name"},
    {"valid_to", "days", "--days"},
    {"on_passphrase gave no passphrase", "passphrase-file", "give --passphrase-file"},
    {"give passphrase or on_passphrase", "passphrase-file", "give --passphrase-file"},
    {"give it in suites", "suites", "give it in --suites"},
    {"give it in suites", NULL, "those are always on"},
    {"compare ciphers, suites", "suites", "compare --ciphers, --suites"},
    {"compare ciphers, suites", "ciphers", "compare --ciphers"},
    {"compare groups", "groups", "compare --groups"},
    {"compare sigalgs, or add", NULL, "add"},
    {"compare alpn", "alpn", "compare --alpn"},
    {"give it as crl", "crl", "give it as --crl"},
    {"to crl", "crl", "by --crl"},
    {"give it as key", "key", "give it as --key"},
    {"give cert and key, or a context by its name", "sni-folder",
     "give --cert and --key, or --sni-folder"},
    {"give cert and key", "cert", "give --cert and --key"},
    {"and key", "key", "and --key"},
    {"^key", "key", "--key"},
    {"^names is empty", "name", "--name is missing"},
    {"^names", "name", "--name"},
    {"^names", NULL, "NAME"},
    {"^permitted", "permit", "--permit"},
    {"^excluded", "exclude", "--exclude"},
    {"^subject", "subject", "--subject"},
    {"^alpn", "alpn", "--alpn"},
    {"^ciphers", "ciphers", "--ciphers"},
    {"^suites", "suites", "--suites"},
    {"^groups", "groups", "--groups"},
};

static bool is_about_options(const sp_error_t *error) {
  return error->status == SP_EOPTION || error->status == SP_ECIPHERS ||
         error->status == SP_EVERSION || error->status == SP_EMISMATCH;
}

/* "[4]": which one it is, the value says, too. */
static size_t index_size(const char *at) {
  size_t digits = *at == '[' ? strspn(at + 1, "0123456789") : 0;
  return digits && at[digits + 1] == ']' ? digits + 2 : 0;
}

static size_t prefix_size(const char *at) {
  static const char prefix[] = "identities";
  size_t n = sizeof prefix - 1, index = strncmp(at, prefix, n) ? 0 : index_size(at + n);
  return index && at[n + index] == '.' ? n + index + 1 : 0;
}

/* How many bytes at `at` are the word; 0: it is another. */
static size_t match(const word_t *word, const char *at, bool begins) {
  const char *theirs = word->theirs + (*word->theirs == '^');
  size_t n = strlen(theirs);
  if ((theirs > word->theirs && !begins) || strncmp(at, theirs, n) != 0)
    return 0;
  n += index_size(at + n);
  bool ends = !at[n] || strchr(" :,;)", at[n]);
  return ends && (!word->option || cli_has_option(word->option)) ? n : 0;
}

static const word_t *find(const char *at, bool begins, size_t *n) {
  size_t prefix = prefix_size(at);
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if ((*n = match(words + i, at + prefix, begins))) {
      *n += prefix;
      return words + i;
    }
  return NULL;
}

const char *cli_error_text(char room[CLI_ERROR_TEXT], const sp_error_t *error) {
  const char *text = error->text, *at = text;
  bool quoted = false;
  size_t size, n = 0;
  while (*at && n < CLI_ERROR_TEXT - 1) {
    bool is_start = at == text || at[-1] == ' ' || at[-1] == '(';
    const word_t *word =
        is_start && !quoted ? find(at, at == text && is_about_options(error), &size) : NULL;
    if (word) {
      n += (size_t)snprintf(room + n, CLI_ERROR_TEXT - n, "%s", word->ours);
      at += size;
      continue;
    }
    quoted ^= *at == '"'; /* what is quoted is somebody's own */
    room[n++] = *at++;
  }
  room[n < CLI_ERROR_TEXT ? n : CLI_ERROR_TEXT - 1] = '\0';
  return room;
}
