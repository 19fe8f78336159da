/* A client's first message made by hand, good or bad (RFC 8446 4.1.2). */
#ifndef TEST_SUPPORT_HELLO_H
#define TEST_SUPPORT_HELLO_H

#include <stddef.h>
#include <stdint.h>

#include "support/couple.h"

typedef struct hello {
  unsigned version; /* legacy_version */
  uint8_t session[256], suites[65536], compressions[255], extensions[65536];
  size_t session_size, suites_size, compressions_size, extensions_size;
} hello_t;

/* Of TLS 1.2 by its version, without a suite or an extension; without compression. */
hello_t *hello_new(void);
void hello_free(hello_t *hello);

void hello_suite(hello_t *hello, unsigned suite);
void hello_extension(hello_t *hello, unsigned type, const void *content, size_t n);
/* An extension that is a list of numbers, whose length has `prefix` bytes. */
void hello_list(hello_t *hello, unsigned type, size_t prefix, const uint16_t *numbers, size_t n);
void hello_name(hello_t *hello, const void *name, size_t n); /* server_name with one host name */

/* What a server needs to answer it, by TLS 1.3 or 1.2: suites, versions, groups, a key of X25519,
 * signature algorithms. */
void hello_complete(hello_t *hello, sp_protocol_t version);

/* The message with its header; its size. In records of at most `most` bytes, onto a wire. */
size_t hello_message(const hello_t *hello, uint8_t **message); /* to be freed */
void hello_records(const hello_t *hello, size_t most, wire_t *wire);

/* Cuts a handshake message into records. */
void hello_cut(const uint8_t *message, size_t n, size_t most, wire_t *wire);

#endif
