/* What clients would object to in one thing alone. Each appends to a list of problems. */
#ifndef CLI_JUDGE_H
#define CLI_JUDGE_H

#include <openssl/x509v3.h>

#include "problem.h"

void cli_judge_key(json_t *problems, EVP_PKEY *key);
/* Whether it is good only together with an OCSP response (RFC 7633). */
bool cli_demands_staple(const sp_certificate_t *certificate);

void cli_judge_certificate(json_t *problems, const sp_certificate_t *certificate);
void cli_judge_dates(json_t *problems, const sp_certificate_t *certificate);
void cli_judge_request(json_t *problems, X509_REQ *request);
void cli_judge_list(json_t *problems, X509_CRL *list);

/* judge-names.c: of a server's certificate or request; `subject` may name a host, too. */
void cli_judge_names(json_t *problems, const GENERAL_NAMES *names, const X509_NAME *subject);

/* Seconds since 1970; 0: none. */
int64_t cli_seconds_of(const ASN1_TIME *when);

#endif
