/*
 * A certificate factory for tests. Everything is made in memory and in this process. A call that
 * fails ends the test program with a message. What is returned lives until the process exits, so
 * a test frees nothing (a loop that makes thousands may call pki_free). One thread only.
 */
#ifndef TEST_SUPPORT_PKI_H
#define TEST_SUPPORT_PKI_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define PKI_LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define PKI_DAY 86400L

/* A subject alternative name of any bytes, NUL included. */
typedef struct pki_name {
  int type; /* GEN_DNS, GEN_IPADD (raw octets), GEN_EMAIL, GEN_URI */
  const void *bytes;
  size_t n;
} pki_name_t;

/* All fields may be left 0. */
typedef struct pki_spec {
  const char *cn;
  /* the subject in full instead of `cn`: "C=DE", "O=Example", "+OU=same RDN as the one before" */
  const char *const *subject;
  const char *const *dns, *const *ips, *const *emails, *const *uris;
  const pki_name_t *names; /* more of them, `name_count` */
  size_t name_count;
  const char *raw_san; /* instead: OpenSSL's configuration syntax, "DNS:a,otherName:1.2.3;UTF8:x" */
  /* "ec" (default, P-256), "ec384", "ec521", "p192", "rsa" (2048), "rsa1024", "rsa3072", "rsa-pss",
   * "ed25519", "ed448". RSA keys are made once per process, one for authorities and one for the
   * others; "rsa#2" is another one of the same kind. */
  const char *key;
  EVP_PKEY *use_key;        /* instead: this key; a reference is taken */
  long from, to;            /* seconds from now; both 0: an hour ago, in a year */
  bool ca;                  /* basicConstraints CA:TRUE */
  const char *constraints;  /* instead: "critical,CA:TRUE,pathlen:0"; "": no such extension */
  const char *key_usage;    /* NULL: what fits; "": no such extension */
  const char *eku;          /* NULL: none for a CA, else "serverAuth,clientAuth"; "": none */
  const char *digest;       /* default "sha256"; ignored by ed25519 and ed448 */
  const char *const *extra; /* more extensions: "tlsfeature=status_request",
                               "nameConstraints=permitted;DNS:example" */
} pki_spec_t;

typedef struct pki {
  X509 *x509;
  EVP_PKEY *key;
  char *cert_pem;
  char *key_pem; /* PKCS#8, not encrypted */
} pki_t;

/* A certificate signed by issuer; NULL: by itself. */
pki_t *pki_make(const pki_t *issuer, const pki_spec_t *spec);
#define PKI_MAKE(issuer, ...) pki_make(issuer, &(const pki_spec_t){__VA_ARGS__})
void pki_free(pki_t *pki); /* optional, NULL is fine */

/* What most tests need, made once per process. */
typedef struct pki_set {
  const pki_t *root;   /* "securepair test root" */
  const pki_t *server; /* by root: localhost, 127.0.0.1, ::1; EC P-256 */
  const pki_t *client; /* by root: CN=client, clientAuth; EC P-256 */
  const pki_t *stranger_root;
  const pki_t *stranger;      /* as server, by stranger_root */
  const pki_t *intermediate;  /* an authority by root */
  const pki_t *server_behind; /* as server, by intermediate */
} pki_set_t;
const pki_set_t *pki_default(void);

/* PEM texts one after the other: pki_join(PKI_LIST(leaf->cert_pem, middle->cert_pem)). */
char *pki_join(const char *const *texts);

/* A revocation list of issuer, PEM; `revoked` ends with NULL and may be NULL; seconds from now,
 * both 0: an hour ago, in a day. */
char *pki_crl(const pki_t *issuer, const pki_t *const *revoked, long from, long to);
#define PKI_THESE(...) ((const pki_t *const[]){__VA_ARGS__, NULL})

/* PKCS#12 of key, certificate and `chain` (may be NULL, ends with NULL). */
unsigned char *pki_pkcs12(const pki_t *pki, const pki_t *const *chain, const char *passphrase,
                          size_t *n);

char *pki_encrypted_key(const pki_t *pki, const char *passphrase); /* PKCS#8, AES-256-CBC */
char *pki_request(const pki_t *pki, const char *cn);               /* a certificate request, PEM */
unsigned char *pki_der(const pki_t *pki, size_t *n);

/* A file in a folder of its own under TMPDIR, both gone when the process exits. The path. */
const char *pki_file(const char *text);
const char *pki_file_bytes(const void *bytes, size_t n);
const char *pki_path(const char *name); /* a path in that folder; nothing is made */

#endif
