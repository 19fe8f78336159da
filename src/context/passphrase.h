/* The passphrase of one input: asked for once, wiped at the end, never read from a terminal. */
#ifndef SP_CONTEXT_PASSPHRASE_H
#define SP_CONTEXT_PASSPHRASE_H

#include <stdbool.h>

#include <securepair/context.h>

#define SP__PASSPHRASE_MAX 1024

typedef struct sp__passphrase {
  const sp_options_t *options;
  const char *input; /* "key_file server.pem": for errors */
  const char *name;  /* what on_passphrase is told */
  bool asked;        /* the input is encrypted */
  int size;          /* below 0: there is none */
  char *text;        /* SP__PASSPHRASE_MAX bytes; NULL: not asked for, or no memory */
} sp__passphrase_t;

/* `path` is NULL for a text. SP_EPASSPHRASE when the option is too long. */
int sp__passphrase_open(sp__passphrase_t *passphrase, const sp_options_t *options,
                        const char *input, const char *path, sp_error_t *why);
void sp__passphrase_close(sp__passphrase_t *passphrase);

/* A pem_password_cb whose data is the passphrase. Returns its length, below 0 for none. */
int sp__passphrase_ask(char *room, int size, int writing, void *passphrase);

/* The error after something was encrypted and did not open. */
int sp__passphrase_fail(const sp__passphrase_t *passphrase, sp_error_t *why);

#endif
