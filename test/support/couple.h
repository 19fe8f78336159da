/*
 * Two pairs and a wire between them, in memory. Everything that is lent or offered to a pair lies
 * in a heap block of exactly its size, so that a sanitizer sees the first byte too many.
 */
#ifndef TEST_SUPPORT_COUPLE_H
#define TEST_SUPPORT_COUPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <securepair/pair.h>

/* Bytes on their way. */
typedef struct wire {
  uint8_t *bytes;
  size_t size, room, taken; /* of size bytes, the first `taken` are gone */
} wire_t;

void wire_add(wire_t *wire, const void *bytes, size_t n);
void wire_free(wire_t *wire);
static inline size_t wire_left(const wire_t *wire) { return wire->size - wire->taken; }

/* One end: the pair, what comes to it, what it shall send, what it got. */
typedef struct side {
  sp_pair_t *pair;
  wire_t in;       /* from the other side, not yet taken */
  uint64_t sent;   /* cleartext that cleartext-in took */
  uint64_t got;    /* cleartext that came out */
  uint64_t wanted; /* cleartext to send in all; its content is side_byte(0), (1) ... */
  bool wrong;      /* what came out was not what the other side sent */
  uint8_t seed;    /* tells the contents of the two directions apart */
} side_t;

typedef struct couple {
  side_t client, server;
} couple_t;

/* How the bytes go; a field left 0 is "no limit". */
typedef struct manner {
  size_t offer; /* at most so many bytes in one encrypted-in */
  size_t lend;  /* so much memory is lent around each step; 0: none is */
  size_t take;  /* at most so many bytes are taken from encrypted-out at a time */
  size_t read;  /* room given to cleartext-out */
  size_t write; /* at most so many bytes in one cleartext-in */
  bool random;  /* the above are upper limits: the sizes are random from 1 on */
} manner_t;

/* Contexts of a version (SP_PROTOCOL_DEFAULT: both), made once per process. */
sp_context_t *couple_client_context(sp_protocol_t version);
sp_context_t *couple_server_context(sp_protocol_t version);

void couple_make(couple_t *couple, sp_protocol_t version);
void couple_make_of(couple_t *couple, sp_context_t *client, sp_context_t *server);
/* By sp_pair_make; a client without a name asks for "localhost". */
void couple_make_with(couple_t *couple, const sp_options_t *client, const sp_options_t *server);
void couple_free(couple_t *couple);

/* One step of one end: offers bytes, reads, writes, collects what is to be sent into `to`.
 * Returns whether anything moved. Checks that the state word tells the truth. */
bool side_step(side_t *side, const manner_t *manner, wire_t *to);

/* Steps of both ends until nothing moves. */
void couple_run(couple_t *couple, const manner_t *manner);

/* The handshake; both are secure afterwards or the test fails. */
void couple_shake_hands(couple_t *couple);

/* Takes all that a pair has to send. */
void side_collect(side_t *side, const manner_t *manner, wire_t *to);

/* Offers n bytes and reads all cleartext there is; returns the status of the pair. */
int side_offer(side_t *side, const void *bytes, size_t n);

uint8_t side_byte(uint8_t seed, uint64_t position);

/* Random numbers; the seed is SP_TEST_SEED or new each time, and is printed by dice_seed. */
void dice_seed(void);
uint32_t dice(uint32_t sides); /* 0 .. sides - 1 */

#endif
