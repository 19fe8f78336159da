#include "pki.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

/* -- what lives until exit --------------------------------------------------------------------- */

typedef struct kept {
  struct kept *next;
  void *thing;
  void (*release)(void *);
} kept_t;

static kept_t *kept;
static char folder[4096];
static pid_t folder_owner;

__attribute__((noreturn)) static void die(const char *what) {
  fprintf(stderr, "test/support/pki.c: %s failed\n", what);
  ERR_print_errors_fp(stderr);
  abort();
}

#define MUST(expression)                                                                           \
  do {                                                                                             \
    if (!(expression))                                                                             \
      die(#expression);                                                                            \
  } while (0)

static void remove_folder(void) {
  DIR *entries = opendir(folder);
  struct dirent *entry;
  while (entries && (entry = readdir(entries)))
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      unlinkat(dirfd(entries), entry->d_name, 0);
  if (entries)
    closedir(entries);
  rmdir(folder);
}

static void at_exit(void) {
  while (kept) {
    kept_t *first = kept;
    kept = first->next;
    first->release(first->thing);
    free(first);
  }
  /* a child that was forked and calls exit leaves the parent's files alone */
  if (*folder && getpid() == folder_owner)
    remove_folder();
}

/* OpenSSL's own handler has to be registered before ours, because the later one runs first. */
static void register_at_exit(void) {
  static bool done;
  if (done)
    return;
  done = true;
  MUST(OPENSSL_init_crypto(0, NULL) == 1);
  MUST(atexit(at_exit) == 0);
}

static void *keep(void *thing, void (*release)(void *)) {
  register_at_exit();
  kept_t *node = malloc(sizeof *node);
  MUST(node);
  *node = (kept_t){kept, thing, release};
  kept = node;
  return thing;
}

static void forget(const void *thing) {
  for (kept_t **at = &kept; *at; at = &(*at)->next) {
    kept_t *node = *at;
    if (node->thing != thing)
      continue;
    *at = node->next;
    free(node);
    return;
  }
}

/* -- texts ------------------------------------------------------------------------------------- */

/* The content of a memory BIO as a text, freed by free(); releases the BIO. */
static char *take_text(BIO *bio, size_t *n) {
  char *data;
  long size = BIO_get_mem_data(bio, &data);
  MUST(size >= 0);
  char *text = malloc((size_t)size + 1);
  MUST(text);
  memcpy(text, data, (size_t)size);
  text[size] = '\0';
  if (n)
    *n = (size_t)size;
  BIO_free(bio);
  return text;
}

static BIO *new_bio(void) {
  BIO *bio = BIO_new(BIO_s_mem());
  MUST(bio);
  return bio;
}

/* -- keys -------------------------------------------------------------------------------------- */

static EVP_PKEY *make_key(const char *kind) {
  EVP_PKEY *key = NULL;
  if (!strncmp(kind, "rsa-pss", 7)) {
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
    MUST(ctx && EVP_PKEY_keygen_init(ctx) == 1);
    MUST(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048) == 1 && EVP_PKEY_keygen(ctx, &key) == 1);
    EVP_PKEY_CTX_free(ctx);
  } else if (!strncmp(kind, "rsa", 3)) {
    int bits = atoi(kind + 3);
    key = EVP_RSA_gen((unsigned)(bits ? bits : 2048));
  } else if (!strcmp(kind, "ed25519")) {
    key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
  } else if (!strcmp(kind, "ed448")) {
    key = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
  } else if (!strcmp(kind, "ec384")) {
    key = EVP_EC_gen("P-384");
  } else if (!strcmp(kind, "ec521")) {
    key = EVP_EC_gen("P-521");
  } else if (!strcmp(kind, "p192")) {
    key = EVP_EC_gen("P-192");
  } else if (!strcmp(kind, "ec")) {
    key = EVP_EC_gen("P-256");
  }
  if (!key)
    die(kind);
  return key;
}

static void release_key(void *key) { EVP_PKEY_free(key); }

/* RSA keys are slow to make, so each kind is made once; an authority never shares its subject's. */
static EVP_PKEY *key_for(const char *kind, bool ca) {
  static struct {
    char name[32];
    EVP_PKEY *key;
  } cache[16];
  if (strncmp(kind, "rsa", 3) != 0)
    return make_key(kind);
  char name[32];
  snprintf(name, sizeof name, "%s%s", ca ? "ca:" : "", kind);
  for (size_t i = 0; i < sizeof cache / sizeof *cache; i++) {
    if (!cache[i].key) {
      cache[i].key = keep(make_key(kind), release_key);
      snprintf(cache[i].name, sizeof cache[i].name, "%s", name);
    }
    if (!strcmp(cache[i].name, name)) {
      MUST(EVP_PKEY_up_ref(cache[i].key));
      return cache[i].key;
    }
  }
  die("room for one more kind of RSA key");
}

static bool signs_without_digest(const EVP_PKEY *key) {
  return EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");
}

static const EVP_MD *digest_for(const EVP_PKEY *key, const char *name) {
  if (signs_without_digest(key))
    return NULL;
  const EVP_MD *digest = EVP_get_digestbyname(name ? name : "sha256");
  MUST(digest);
  return digest;
}

/* -- names and extensions ---------------------------------------------------------------------- */

static void add_attribute(X509_NAME *name, const char *text) {
  bool same_rdn = *text == '+';
  const char *equals = strchr(text, '=');
  MUST(equals);
  char type[64];
  snprintf(type, sizeof type, "%.*s", (int)(equals - text) - same_rdn, text + same_rdn);
  MUST(X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8, (const unsigned char *)equals + 1, -1,
                                  -1, same_rdn ? -1 : 0));
}

static void set_subject(X509_NAME *name, const pki_spec_t *spec) {
  for (const char *const *text = spec->subject; text && *text; text++)
    add_attribute(name, *text);
  if (!spec->subject && spec->cn)
    MUST(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                    (const unsigned char *)spec->cn, -1, -1, 0));
}

/* An extension in OpenSSL's configuration syntax; an empty or missing value adds none. */
static void add_extension(X509 *x509, const X509 *issuer, const char *name, const char *value) {
  if (!value || !*value)
    return;
  X509V3_CTX ctx;
  X509V3_set_ctx(&ctx, (X509 *)issuer, x509, NULL, NULL, 0);
  X509V3_set_nconf(&ctx, NULL);
  X509_EXTENSION *extension = X509V3_EXT_nconf(NULL, &ctx, name, value);
  if (!extension)
    die(value);
  MUST(X509_add_ext(x509, extension, -1));
  X509_EXTENSION_free(extension);
}

static void add_name(GENERAL_NAMES *names, int type, const void *bytes, size_t n) {
  GENERAL_NAME *name = GENERAL_NAME_new();
  ASN1_STRING *string = type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
  MUST(name && string && ASN1_STRING_set(string, bytes, (int)n));
  GENERAL_NAME_set0_value(name, type, string);
  MUST(sk_GENERAL_NAME_push(names, name));
}

static void add_texts(GENERAL_NAMES *names, int type, const char *const *texts) {
  for (; texts && *texts; texts++) {
    unsigned char octets[16];
    if (type != GEN_IPADD)
      add_name(names, type, *texts, strlen(*texts));
    else if (inet_pton(AF_INET, *texts, octets) == 1)
      add_name(names, type, octets, 4);
    else if (inet_pton(AF_INET6, *texts, octets) == 1)
      add_name(names, type, octets, 16);
    else
      die(*texts);
  }
}

static void add_names(X509 *x509, const pki_spec_t *spec) {
  if (spec->raw_san) {
    add_extension(x509, NULL, "subjectAltName", spec->raw_san);
    return;
  }
  GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
  MUST(names);
  add_texts(names, GEN_DNS, spec->dns);
  add_texts(names, GEN_IPADD, spec->ips);
  add_texts(names, GEN_EMAIL, spec->emails);
  add_texts(names, GEN_URI, spec->uris);
  for (size_t i = 0; i < spec->name_count; i++)
    add_name(names, spec->names[i].type, spec->names[i].bytes, spec->names[i].n);
  if (sk_GENERAL_NAME_num(names))
    MUST(X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1);
  GENERAL_NAMES_free(names);
}

static void add_extensions(X509 *x509, const X509 *issuer, const pki_spec_t *spec) {
  const char *usage = spec->ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature";
  if (!spec->ca && EVP_PKEY_is_a(X509_get0_pubkey(x509), "RSA"))
    usage = "critical,digitalSignature,keyEncipherment";
  const char *constraints = spec->ca ? "critical,CA:TRUE" : "CA:FALSE";
  const char *eku = spec->ca ? NULL : "serverAuth,clientAuth";
  add_extension(x509, issuer, "basicConstraints",
                spec->constraints ? spec->constraints : constraints);
  add_extension(x509, issuer, "keyUsage", spec->key_usage ? spec->key_usage : usage);
  add_extension(x509, issuer, "extendedKeyUsage", spec->eku ? spec->eku : eku);
  add_extension(x509, issuer, "subjectKeyIdentifier", "hash");
  if (issuer != x509)
    add_extension(x509, issuer, "authorityKeyIdentifier", "keyid");
  add_names(x509, spec);
  for (const char *const *text = spec->extra; text && *text; text++) {
    const char *equals = strchr(*text, '=');
    MUST(equals);
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)(equals - *text), *text);
    add_extension(x509, issuer, name, equals + 1);
  }
}

/* -- certificates ------------------------------------------------------------------------------ */

static void set_serial(ASN1_INTEGER *serial) {
  static uint64_t next;
  if (!next) {
    MUST(RAND_bytes((unsigned char *)&next, sizeof next) == 1);
    next = next >> 8 | 1; /* room to count up */
  }
  MUST(ASN1_INTEGER_set_uint64(serial, next++));
}

static X509 *make_x509(const pki_t *issuer, const pki_spec_t *spec, EVP_PKEY *key) {
  X509 *x509 = X509_new();
  MUST(x509 && X509_set_version(x509, X509_VERSION_3) && X509_set_pubkey(x509, key));
  set_serial(X509_get_serialNumber(x509));
  bool given = spec->from || spec->to;
  MUST(X509_gmtime_adj(X509_getm_notBefore(x509), given ? spec->from : -3600));
  MUST(X509_gmtime_adj(X509_getm_notAfter(x509), given ? spec->to : 365 * PKI_DAY));
  X509_NAME *subject = X509_NAME_new();
  MUST(subject);
  set_subject(subject, spec);
  MUST(X509_set_subject_name(x509, subject));
  MUST(X509_set_issuer_name(x509, issuer ? X509_get_subject_name(issuer->x509) : subject));
  X509_NAME_free(subject);
  add_extensions(x509, issuer ? issuer->x509 : x509, spec);
  EVP_PKEY *signer = issuer ? issuer->key : key;
  MUST(X509_sign(x509, signer, digest_for(signer, spec->digest)) > 0);
  return x509;
}

static void release_pki(void *memory) {
  pki_t *pki = memory;
  X509_free(pki->x509);
  EVP_PKEY_free(pki->key);
  free(pki->cert_pem);
  free(pki->key_pem);
  free(pki);
}

void pki_free(pki_t *pki) {
  if (!pki)
    return;
  forget(pki);
  release_pki(pki);
}

pki_t *pki_make(const pki_t *issuer, const pki_spec_t *spec) {
  register_at_exit();
  pki_t *pki = calloc(1, sizeof *pki);
  MUST(pki);
  if (spec->use_key)
    MUST(EVP_PKEY_up_ref(spec->use_key));
  pki->key = spec->use_key ? spec->use_key : key_for(spec->key ? spec->key : "ec", spec->ca);
  pki->x509 = make_x509(issuer, spec, pki->key);
  BIO *bio = new_bio();
  MUST(PEM_write_bio_X509(bio, pki->x509));
  pki->cert_pem = take_text(bio, NULL);
  bio = new_bio();
  MUST(PEM_write_bio_PKCS8PrivateKey(bio, pki->key, NULL, NULL, 0, NULL, NULL));
  pki->key_pem = take_text(bio, NULL);
  return keep(pki, release_pki);
}

const pki_set_t *pki_default(void) {
  static pki_set_t set;
  if (set.root)
    return &set;
  const char *const *dns = PKI_LIST("localhost"), *const *ips = PKI_LIST("127.0.0.1", "::1");
  set.root = PKI_MAKE(NULL, .cn = "securepair test root", .ca = true);
  set.server = PKI_MAKE(set.root, .cn = "localhost", .dns = dns, .ips = ips, .eku = "serverAuth");
  set.client = PKI_MAKE(set.root, .cn = "client", .eku = "clientAuth");
  set.stranger_root = PKI_MAKE(NULL, .cn = "stranger root", .ca = true);
  set.stranger = PKI_MAKE(set.stranger_root, .cn = "localhost", .dns = dns, .ips = ips);
  set.intermediate = PKI_MAKE(set.root, .cn = "securepair test intermediate", .ca = true);
  set.server_behind = PKI_MAKE(set.intermediate, .cn = "localhost", .dns = dns, .ips = ips);
  return &set;
}

/* -- other forms ------------------------------------------------------------------------------- */

char *pki_join(const char *const *texts) {
  BIO *bio = new_bio();
  for (; *texts; texts++)
    MUST(BIO_puts(bio, *texts) >= 0);
  return keep(take_text(bio, NULL), free);
}

static void add_revoked(X509_CRL *crl, const pki_t *pki, const ASN1_TIME *when) {
  X509_REVOKED *entry = X509_REVOKED_new();
  MUST(entry && X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(pki->x509)));
  MUST(X509_REVOKED_set_revocationDate(entry, (ASN1_TIME *)when));
  MUST(X509_CRL_add0_revoked(crl, entry));
}

char *pki_crl(const pki_t *issuer, const pki_t *const *revoked, long from, long to) {
  X509_CRL *crl = X509_CRL_new();
  ASN1_TIME *when = X509_gmtime_adj(NULL, from || to ? from : -3600);
  MUST(crl && when && X509_CRL_set_version(crl, X509_CRL_VERSION_2));
  MUST(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x509)));
  MUST(X509_CRL_set1_lastUpdate(crl, when));
  for (; revoked && *revoked; revoked++)
    add_revoked(crl, *revoked, when);
  MUST(X509_gmtime_adj(when, from || to ? to : PKI_DAY));
  MUST(X509_CRL_set1_nextUpdate(crl, when));
  MUST(X509_CRL_sort(crl) && X509_CRL_sign(crl, issuer->key, digest_for(issuer->key, NULL)) > 0);
  BIO *bio = new_bio();
  MUST(PEM_write_bio_X509_CRL(bio, crl));
  X509_CRL_free(crl);
  ASN1_TIME_free(when);
  return keep(take_text(bio, NULL), free);
}

unsigned char *pki_pkcs12(const pki_t *pki, const pki_t *const *chain, const char *passphrase,
                          size_t *n) {
  STACK_OF(X509) *others = sk_X509_new_null();
  MUST(others);
  for (; chain && *chain; chain++)
    MUST(sk_X509_push(others, (*chain)->x509));
  PKCS12 *p12 = PKCS12_create(passphrase, "test", pki->key, pki->x509, others, 0, 0, 0, 0, 0);
  MUST(p12);
  sk_X509_free(others);
  BIO *bio = new_bio();
  MUST(i2d_PKCS12_bio(bio, p12) == 1);
  PKCS12_free(p12);
  return keep(take_text(bio, n), free);
}

char *pki_encrypted_key(const pki_t *pki, const char *passphrase) {
  BIO *bio = new_bio();
  MUST(PEM_write_bio_PKCS8PrivateKey(bio, pki->key, EVP_aes_256_cbc(), passphrase,
                                     (int)strlen(passphrase), NULL, NULL));
  return keep(take_text(bio, NULL), free);
}

char *pki_request(const pki_t *pki, const char *cn) {
  X509_REQ *request = X509_REQ_new();
  X509_NAME *name = X509_NAME_new();
  MUST(request && name);
  set_subject(name, &(const pki_spec_t){.cn = cn});
  MUST(X509_REQ_set_subject_name(request, name) && X509_REQ_set_pubkey(request, pki->key));
  MUST(X509_REQ_sign(request, pki->key, digest_for(pki->key, NULL)) > 0);
  BIO *bio = new_bio();
  MUST(PEM_write_bio_X509_REQ(bio, request));
  X509_NAME_free(name);
  X509_REQ_free(request);
  return keep(take_text(bio, NULL), free);
}

unsigned char *pki_der(const pki_t *pki, size_t *n) {
  BIO *bio = new_bio();
  MUST(i2d_X509_bio(bio, pki->x509) == 1);
  return keep(take_text(bio, n), free);
}

/* -- files ------------------------------------------------------------------------------------- */

const char *pki_path(const char *name) {
  if (!*folder) {
    register_at_exit();
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/securepair-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    MUST(mkdtemp(folder));
    folder_owner = getpid();
  }
  char *path;
  MUST(asprintf(&path, "%s/%s", folder, name) > 0);
  return keep(path, free);
}

const char *pki_file_bytes(const void *bytes, size_t n) {
  static unsigned count;
  char name[32];
  snprintf(name, sizeof name, "%u.pem", ++count);
  const char *path = pki_path(name);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  MUST(fd >= 0);
  for (size_t done = 0; done < n;) {
    ssize_t wrote = write(fd, (const char *)bytes + done, n - done);
    MUST(wrote > 0);
    done += (size_t)wrote;
  }
  MUST(close(fd) == 0);
  return path;
}

const char *pki_file(const char *text) { return pki_file_bytes(text, strlen(text)); }
