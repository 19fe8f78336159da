/*
 * Records with any content, encrypted with the keys of one side of a couple: what a peer could send
 * that no TLS library sends. Suites with AES-128-GCM and SHA-256 only.
 */
#ifndef TEST_SUPPORT_FORGE_H
#define TEST_SUPPORT_FORGE_H

#include "support/couple.h"

/* A couple that shook hands, of one version, whose secrets are known; without tickets. */
void forge_couple(couple_t *couple, sp_protocol_t version);

/* Contexts of its own, made with these hooks and data, suites and versions. */
#define FORGE_SUITES(v)                                                                            \
  .min_version = (v), .max_version = (v),                                                          \
  .ciphers = (v) == SP_TLS1_2 ? "ECDHE-ECDSA-AES128-GCM-SHA256" : NULL,                            \
  .suites = (v) == SP_TLS1_3 ? "TLS_AES_128_GCM_SHA256" : NULL, .tickets = SP_NO

/* For a couple of one's own of TLS 1.2: its client's hook `keylog`; and from now on records are of
 * the handshake that either side has sent its Finished of. */
void forge_note_key(sp_pair_t *pair, const char *line, void *data);
void forge_anew(couple_t *couple);

/* The next record of one side, to the other one's wire. Its own pair sends nothing after this. */
void forge_record(couple_t *couple, sp_role_t from, uint8_t type, const void *bytes, size_t n);

#endif
