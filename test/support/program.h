/*
 * A TLS program of others as client or server of ours, on the loop of a fixture: bytes by the
 * million that must arrive as they were sent, and what each side says of the other.
 */
#ifndef TEST_SUPPORT_PROGRAM_H
#define TEST_SUPPORT_PROGRAM_H

#include "support/child.h"
#include "support/fixture.h"
#include "support/meeting.h"

#define PROGRAM_BYTES (1u << 20)

/* At the head of a test: without the program it is skipped. */
#define PROGRAM_NEEDED(program)                                                                    \
  do {                                                                                             \
    if (!child_exists(program)) {                                                                  \
      print_message("%s is not here\n", program);                                                  \
      skip();                                                                                      \
    }                                                                                              \
  } while (0)

/* How OpenSSL's programs and GnuTLS's are told which version of TLS to speak. */
typedef struct program_version {
  const char *flag, *priority;
  sp_protocol_t version;
} program_version_t;
extern const program_version_t program_versions[2];
#define EACH_PROGRAM_VERSION(v) for (size_t v = 0; v < 2; v++)

const char *program_root(void); /* the file of the default root's certificate */

/* n bytes (at most PROGRAM_BYTES) that hold neither letters, which such programs take for commands,
 * nor NUL; lines of up to 1,000 bytes. Two kinds that differ. */
const uint8_t *program_bytes(int kind, size_t n);

/* One stream of ours that talks to a program: what it was sent, what it knows, what it saw. */
typedef struct talker {
  actor_t *actor;
  meeting_side_t side; /* facts at `secure`; log and error at `close` */
  uint8_t *got;
  size_t got_size;
} talker_t;

/* Runs the loop until the child sent `n` bytes of cleartext to the talker (false: one of them
 * went). */
bool talker_wait(talker_t *talker, child_t *child, size_t n);

/* Runs the loop until the stream is gone. */
void talker_wait_close(talker_t *talker);

/* A fixture whose server echoes, and a client of the given program; talks[i] is the i-th stream. */
typedef struct program {
  fixture_t *f;
  child_t *child;
  talker_t talks[64];
  size_t count;
  bool mute; /* the server takes what comes and says nothing */
} program_t;

program_t *program_new(void);
void program_serve(program_t *p, const sp_options_t *options); /* echoes what comes */
/* Our client to a server that listens on options->port. */
talker_t *program_connect(program_t *p, const sp_options_t *options);
void program_free(program_t *p); /* ends and checks everything */

/* Runs the loop until the server has its i-th stream, and that is secure or failed. */
talker_t *program_served(program_t *p, size_t i);

/* Waits until the child's standard output has n bytes from the first `mark` on. NULL: it ended. */
const char *program_output(program_t *p, const void *mark, size_t mark_size, size_t n);

/* The port of 127.0.0.1 (or of any address) on which the child listens, by what the kernel knows of
 * it; runs the loop until it does. 0: it ended instead. */
int program_port(program_t *p);

#endif
