/*
 * Certificates, good and bad, and what has to be thought of them under three trust settings: a
 * table that the library is held against, and Node too (so that the names are really Node's).
 */
#ifndef TEST_SUPPORT_CASES_H
#define TEST_SUPPORT_CASES_H

#include <stdbool.h>

#include "support/pki.h"

enum { CASE_AS_SERVER = 1, CASE_AS_CLIENT = 2 }; /* who shows the certificate */

typedef enum case_trust { TRUST_OWN, TRUST_OTHER, TRUST_NOBODY, TRUSTS } case_trust_t;

typedef struct verdict_case {
  const char *name;
  int roles;               /* in which the certificate is shown; 0: both */
  bool no_name_for_client; /* shown by a client it is fine under TRUST_OWN: names do not count */
  bool not_in_node;        /* where we are stricter than Node by intent */
  const pki_t *leaf;       /* NULL: none is shown (a client's) */
  /* what is sent after the leaf, in that order; ends with NULL; NULL: nothing */
  const pki_t *const *chain;
  const char *ca;   /* PEM of what TRUST_OWN trusts; NULL: the default root */
  const char *crl;  /* PEM given to the verifier; NULL: none */
  const char *host; /* that a client expects; NULL: "localhost" */
  /* the reason by trust; NULL: authorized */
  const char *reason[TRUSTS];
  const char *words; /* in the sentence under TRUST_OWN */
} verdict_case_t;

/* All of them, made once; ends with one without name. */
const verdict_case_t *verdict_cases(void);

/* The trusted certificates of a setting: PEM texts, an empty list for TRUST_NOBODY. */
const char *const *verdict_ca(const verdict_case_t *c, case_trust_t trust);

extern const char *const verdict_trusts[TRUSTS]; /* "own CA", ... */

#endif
