/* Private keys: made, read, written. */
#include "certificate/key.h"

#include <limits.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/secret.h"

#define RSA_LEAST 2048
#define RSA_MOST 8192
#define RSA_USUAL 3072
#define PASSPHRASE_MOST 1024
#define ROUNDS 600000
#define FILE_LIMIT ((size_t)1 << 20)

int sp__make_fail(sp_error_t *why, int status, const char *what) {
  unsigned long reason = ERR_peek_last_error();
  const char *text = ERR_reason_error_string(reason);
  ERR_clear_error();
  if (ERR_GET_REASON(reason) == ERR_R_MALLOC_FAILURE)
    return sp__fail_memory(why);
  status = sp__fail(why, status, SP_US, "%s%s%s", what, text ? ": " : "", text ? text : "");
  if (why)
    why->reason = reason;
  return status;
}

/* -- life -------------------------------------------------------------------------------------- */

bool sp__key_hash(char room[SP__FINGERPRINT_SIZE], EVP_PKEY *evp) {
  static const char digits[] = "0123456789ABCDEF";
  uint8_t *der = NULL, raw[32];
  int n = i2d_PUBKEY(evp, &der);
  bool fine = n > 0 && EVP_Q_digest(NULL, "SHA256", NULL, der, (size_t)n, raw, NULL);
  OPENSSL_free(der);
  for (size_t i = 0; fine && i < sizeof raw; i++) {
    room[3 * i] = digits[raw[i] >> 4];
    room[3 * i + 1] = digits[raw[i] & 15];
    room[3 * i + 2] = i + 1 < sizeof raw ? ':' : '\0';
  }
  return fine;
}

static void note_curve(sp_key_t *key) {
  size_t n;
  if (!EVP_PKEY_is_a(key->evp, "EC") ||
      !EVP_PKEY_get_group_name(key->evp, key->curve, sizeof key->curve, &n))
    *key->curve = '\0';
  ERR_clear_error();
}

int sp__key_wrap(sp_key_t **made, EVP_PKEY *evp, sp_error_t *why) {
  sp_key_t *key = sp__zalloc(sizeof *key);
  *made = NULL;
  if (!key || !sp__key_hash(key->fingerprint, evp)) {
    EVP_PKEY_free(evp);
    sp__free(key);
    return sp__fail_memory(why);
  }
  atomic_init(&key->references, 1);
  key->evp = evp;
  key->type = EVP_PKEY_get0_type_name(evp);
  note_curve(key);
  *made = key;
  return 0;
}

sp_key_t *sp_key_retain(sp_key_t *key) {
  atomic_fetch_add_explicit(&key->references, 1, memory_order_relaxed);
  return key;
}

void sp_key_release(sp_key_t *key) {
  if (!key || atomic_fetch_sub_explicit(&key->references, 1, memory_order_acq_rel) != 1)
    return;
  EVP_PKEY_free(key->evp);
  sp__free(key);
}

/* -- making one -------------------------------------------------------------------------------- */

static EVP_PKEY *generate(sp_key_kind_t kind, int bits) {
  static const char *const curves[] = {"P-256", "P-384", "P-521"};
  if (kind == SP_KEY_RSA)
    return EVP_RSA_gen((size_t)bits);
  if (kind == SP_KEY_ED25519)
    return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
  return EVP_EC_gen(curves[kind]);
}

int sp_key_make(sp_key_t **key, sp_key_kind_t kind, int bits, sp_error_t *why) {
  *key = NULL;
  if ((unsigned)kind > SP_KEY_RSA)
    return sp__fail(why, SP_EOPTION, SP_US, "kind is %d, which is no kind of key", (int)kind);
  if (kind != SP_KEY_RSA && bits)
    return sp__fail(why, SP_EOPTION, SP_US, "bits is %d, but only RSA keys come in sizes", bits);
  if (kind == SP_KEY_RSA && bits && (bits < RSA_LEAST || bits > RSA_MOST))
    return sp__fail(why, SP_EOPTION, SP_US,
                    "an RSA key of %d bits %s: take %d to %d, or better an EC key", bits,
                    bits < RSA_LEAST ? "is not safe any more" : "is slower than it is worth",
                    RSA_LEAST, RSA_MOST);
  ERR_clear_error();
  EVP_PKEY *evp = generate(kind, bits ? bits : RSA_USUAL);
  if (!evp)
    return sp__make_fail(why, SP_ECRYPTO, "the key cannot be made");
  return sp__key_wrap(key, evp, why);
}

/* -- reading one ------------------------------------------------------------------------------- */

typedef struct reading {
  const char *name, *passphrase;
  bool asked;
} reading_t;

static int give_passphrase(char *room, int size, int writing, void *data) {
  reading_t *reading = data;
  (void)writing;
  reading->asked = true;
  size_t n = reading->passphrase ? strnlen(reading->passphrase, PASSPHRASE_MOST + 1) : 0;
  if (!reading->passphrase || n > (size_t)size)
    return -1;
  memcpy(room, reading->passphrase, n);
  return (int)n;
}

static EVP_PKEY *from_der(const uint8_t *bytes, size_t n, reading_t *reading) {
  const uint8_t *at = bytes;
  EVP_PKEY *evp = d2i_AutoPrivateKey(NULL, &at, (long)n);
  if (evp)
    return evp;
  BIO *bio = BIO_new_mem_buf(bytes, (int)n);
  evp = bio ? d2i_PKCS8PrivateKey_bio(bio, NULL, give_passphrase, reading) : NULL;
  BIO_free(bio);
  return evp;
}

static EVP_PKEY *from_pem(const void *bytes, size_t n, reading_t *reading) {
  BIO *bio = BIO_new_mem_buf(bytes, (int)n);
  EVP_PKEY *evp = bio ? PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, reading) : NULL;
  BIO_free(bio);
  return evp;
}

static bool has(const void *bytes, size_t n, const char *what) {
  return memmem(bytes, n, what, strlen(what)) != NULL;
}

static int no_key(const void *bytes, size_t n, const reading_t *reading, sp_error_t *why) {
  const char *name = reading->name;
  if (has(bytes, n, "BEGIN OPENSSH PRIVATE KEY"))
    return sp__fail(why, SP_EKEY, SP_US,
                    "%s: is in OpenSSH's own form: turn it to PEM with \"ssh-keygen -p -m PKCS8\"",
                    name);
  if (reading->asked && !reading->passphrase)
    return sp__fail(why, SP_EPASSPHRASE, SP_US, "%s: is encrypted: give its passphrase", name);
  if (reading->asked)
    return sp__fail(why, SP_EPASSPHRASE, SP_US, "%s: the passphrase is wrong%s", name,
                    *reading->passphrase ? "" : ": it is empty");
  if (has(bytes, n, "PRIVATE KEY-----"))
    return sp__fail(why, SP_EKEY, SP_US, "%s: the key is damaged: was the text cut or changed?",
                    name);
  if (has(bytes, n, "BEGIN CERTIFICATE-----"))
    return sp__fail(why, SP_EKEY, SP_US, "%s: this is a certificate: its key is in another file",
                    name);
  return sp__fail(why, SP_EKEY, SP_US,
                  "%s: there is no private key in it: PEM text has a line \"BEGIN PRIVATE KEY\"",
                  name);
}

static int read_key(sp_key_t **key, const void *bytes, size_t n, reading_t *reading,
                    sp_error_t *why) {
  if (n > FILE_LIMIT)
    return sp__fail(why, SP_EKEY, SP_US, "%s: is too large for a key", reading->name);
  if (reading->passphrase && strnlen(reading->passphrase, PASSPHRASE_MOST + 1) > PASSPHRASE_MOST)
    return sp__fail(why, SP_EPASSPHRASE, SP_US, "%s: the passphrase is longer than %d bytes",
                    reading->name, PASSPHRASE_MOST);
  ERR_clear_error();
  EVP_PKEY *evp =
      has(bytes, n, "-----BEGIN ") ? from_pem(bytes, n, reading) : from_der(bytes, n, reading);
  bool memory = !evp && ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;
  ERR_clear_error();
  if (memory)
    return sp__fail_memory(why);
  return evp ? sp__key_wrap(key, evp, why) : no_key(bytes, n, reading, why);
}

int sp_key_read(sp_key_t **key, const void *bytes, size_t n, const char *passphrase,
                sp_error_t *why) {
  *key = NULL;
  return read_key(key, bytes ? bytes : "", bytes ? n : 0,
                  &(reading_t){.name = "key", .passphrase = passphrase}, why);
}

int sp_key_read_file(sp_key_t **key, const char *path, const char *passphrase, sp_error_t *why) {
  char *bytes;
  size_t n;
  *key = NULL;
  int status = sp__file_read(&bytes, &n, path, FILE_LIMIT, why);
  if (status < 0)
    return status;
  status = read_key(key, bytes, n, &(reading_t){.name = path, .passphrase = passphrase}, why);
  sp__file_release(bytes);
  return status;
}

/* -- writing one ------------------------------------------------------------------------------- */

void sp_pem_release(char *pem) { sp__secret_free(pem); }

int sp__pem_take(char **pem, BIO *bio, sp_error_t *why) {
  char *bytes = NULL;
  long n = BIO_get_mem_data(bio, &bytes);
  *pem = n > 0 ? sp__secret_alloc((size_t)n + 1) : NULL; /* zeroed: its end is there */
  if (*pem)
    memcpy(*pem, bytes, (size_t)n);
  BIO_free(bio);
  return *pem ? 0 : sp__fail_memory(why);
}

/* PBES2 with our number of rounds; OpenSSL's own writers take 2048. */
static bool write_encrypted(BIO *bio, EVP_PKEY *evp, const char *passphrase) {
  PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(evp);
  X509_ALGOR *scheme =
      plain ? PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), ROUNDS, NULL, 16, NULL, NID_hmacWithSHA256)
            : NULL;
  X509_SIG *sealed =
      scheme ? PKCS8_set0_pbe(passphrase, (int)strlen(passphrase), plain, scheme) : NULL;
  if (!sealed)
    X509_ALGOR_free(scheme);
  bool fine = sealed && PEM_write_bio_PKCS8(bio, sealed);
  X509_SIG_free(sealed);
  PKCS8_PRIV_KEY_INFO_free(plain);
  return fine;
}

int sp_key_pem(const sp_key_t *key, const char *passphrase, char **pem, sp_error_t *why) {
  *pem = NULL;
  size_t n = passphrase ? strnlen(passphrase, PASSPHRASE_MOST + 1) : 1;
  if (!n || n > PASSPHRASE_MOST)
    return sp__fail(why, SP_EPASSPHRASE, SP_US, "the passphrase %s",
                    n ? "is longer than 1024 bytes" : "is empty: leave it out, or take a real one");
  BIO *bio = BIO_new(BIO_s_secmem());
  if (!bio)
    return sp__fail_memory(why);
  bool fine = passphrase ? write_encrypted(bio, key->evp, passphrase)
                         : PEM_write_bio_PKCS8PrivateKey(bio, key->evp, NULL, NULL, 0, NULL, NULL);
  if (fine)
    return sp__pem_take(pem, bio, why);
  BIO_free(bio);
  return sp__make_fail(why, SP_ECRYPTO, "the key cannot be written");
}

/* -- facts ------------------------------------------------------------------------------------- */

const char *sp_key_type(const sp_key_t *key) { return key->type ? key->type : "unknown"; }
int sp_key_bits(const sp_key_t *key) { return EVP_PKEY_get_bits(key->evp); }
const char *sp_key_curve(const sp_key_t *key) { return *key->curve ? key->curve : NULL; }
const char *sp_key_fingerprint(const sp_key_t *key) { return key->fingerprint; }
EVP_PKEY *sp_key_evp(const sp_key_t *key) { return key->evp; }

bool sp_key_fits(const sp_key_t *key, const sp_certificate_t *certificate) {
  EVP_PKEY *other = X509_get0_pubkey(sp_certificate_x509(certificate));
  bool fits = other && EVP_PKEY_eq(other, key->evp) == 1;
  ERR_clear_error();
  return fits;
}

/* P-384 and P-521 get the digest of their size (RFC 5480). */
const EVP_MD *sp__key_digest(const EVP_PKEY *evp) {
  if (EVP_PKEY_is_a(evp, "ED25519") || EVP_PKEY_is_a(evp, "ED448"))
    return NULL;
  if (!EVP_PKEY_is_a(evp, "EC"))
    return EVP_sha256();
  int bits = EVP_PKEY_get_bits(evp);
  return bits > 384 ? EVP_sha512() : bits > 256 ? EVP_sha384() : EVP_sha256();
}
