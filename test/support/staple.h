/* OCSP responses of any kind, made in memory. They live until the process exits. */
#ifndef TEST_SUPPORT_STAPLE_H
#define TEST_SUPPORT_STAPLE_H

#include <openssl/ocsp.h>

#include "support/pki.h"

/* All fields may be left 0. */
typedef struct staple_spec {
  const pki_t *about, *issuer; /* default: the default server's certificate, the root */
  const pki_t *signer;         /* default: the issuer */
  bool with_signer;            /* the signer's certificate comes along */
  int verdict;                 /* V_OCSP_CERTSTATUS_GOOD, _REVOKED, _UNKNOWN */
  int reason;                  /* why it was revoked: OCSP_REVOKED_STATUS_... */
  long from, to;               /* seconds from now; both 0: a minute ago, in an hour */
  bool no_end;                 /* no nextUpdate */
  const char *digest;          /* of the signature; default "sha256"; "" for ed25519 */
  const char *id_digest;       /* of issuer and key; default "sha1" */
  bool by_key;                 /* the signer is named by its key, not by its name */
  bool nonce, critical;        /* extensions: of an unasked nonce; of a critical unknown one */
  int others;                  /* so many answers about other certificates come first */
  const pki_t *before;         /* ... and one that says "good" of this one */
  int failure;                 /* OCSP_RESPONSE_STATUS_TRYLATER, ...: only that */
} staple_spec_t;

typedef struct staple {
  unsigned char *der;
  size_t n;
} staple_t;

staple_t staple_make(const staple_spec_t *spec);
#define STAPLE(...) staple_make(&(const staple_spec_t){__VA_ARGS__})

/* An authority's delegate, with the usage that lets it sign. */
const pki_t *staple_delegate(const pki_t *issuer);

const char *staple_file(staple_t staple);     /* in DER, see pki_file */
const char *staple_pem_file(staple_t staple); /* ... and in PEM */

#endif
