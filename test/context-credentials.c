/* Keys, certificates, PKCS#12, passphrases: what works works, what does not is named (FAULTS K10,
 * K11, K12). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <securepair/context.h>
#include <uv.h>

#include "support/contexts.h"
#include "support/duet.h"
#include "support/pki.h"

#define KEY_AND_CERT(k, c) SP_OPTIONS(.key = (k), .cert = (c))
#define MADE(options) sp_context_release(context_made(options))

static const pki_t *pki(void) { return pki_default()->server; }

static char *text_of(const char *one, const char *two, const char *three) {
  return pki_join(PKI_LIST(one, two, three));
}

/* The key in another form: traditional PEM, encrypted if there is a passphrase. */
static char *traditional(const pki_t *of, const char *passphrase) {
  BIO *bio = BIO_new(BIO_s_mem());
  const EVP_CIPHER *cipher = passphrase ? EVP_aes_128_cbc() : NULL;
  assert_int_equal(
      PEM_write_bio_PrivateKey_traditional(bio, of->key, cipher, (const unsigned char *)passphrase,
                                           passphrase ? (int)strlen(passphrase) : 0, NULL, NULL),
      1);
  char *data, *copy;
  long n = BIO_get_mem_data(bio, &data);
  copy = calloc(1, (size_t)n + 1);
  memcpy(copy, data, (size_t)n);
  BIO_free(bio);
  return copy;
}

static char *with_crlf(const char *text) {
  char *copy = malloc(strlen(text) * 2 + 1), *to = copy;
  for (; *text; *to++ = *text++)
    if (*text == '\n')
      *to++ = '\r';
  *to = '\0';
  return copy;
}

static char *without_last_newline(const char *text) {
  char *copy = strdup(text);
  copy[strlen(copy) - 1] = '\0';
  return copy;
}

static void every_kind_of_key_is_taken(void **state) {
  (void)state;
  static const char *const kinds[] = {"rsa",   "rsa3072", "rsa-pss", "ec",
                                      "ec384", "ec521",   "ed25519", "ed448"};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    const pki_t *one = PKI_MAKE(NULL, .cn = "x", .key = kinds[i]);
    sp_context_t *context = context_made(KEY_AND_CERT(one->key_pem, one->cert_pem));
    assert_true(sp_context_has_certificate(context));
    sp_context_release(context);
  }
}

static void files_and_texts_are_the_same(void **state) {
  (void)state;
  const char *key = pki_file(pki()->key_pem), *cert = pki_file(pki()->cert_pem);
  MADE(SP_OPTIONS(.key_file = key, .cert_file = cert));
  MADE(SP_OPTIONS(.key = pki()->key_pem, .cert_file = cert));
  MADE(SP_OPTIONS(.key_file = key, .cert = pki()->cert_pem));
}

static void der_files_are_taken(void **state) {
  (void)state;
  size_t n;
  unsigned char *cert = pki_der(pki(), &n), *key = NULL;
  const char *cert_file = pki_file_bytes(cert, n);
  int size = i2d_PrivateKey(pki()->key, &key);
  MADE(SP_OPTIONS(.key_file = pki_file_bytes(key, (size_t)size), .cert_file = cert_file));
  OPENSSL_free(key);
  BIO *bio = BIO_new(BIO_s_mem());
  char *data;
  i2d_PKCS8PrivateKey_bio(bio, pki()->key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
  long length = BIO_get_mem_data(bio, &data);
  const char *encrypted = pki_file_bytes(data, (size_t)length);
  BIO_free(bio);
  MADE(SP_OPTIONS(.key_file = encrypted, .cert_file = cert_file, .passphrase = "secret"));
  REFUSED(SP_OPTIONS(.key_file = encrypted, .cert_file = cert_file), SP_EPASSPHRASE, "key_file");
  REFUSED(SP_OPTIONS(.key_file = encrypted, .cert_file = cert_file, .passphrase = "x"),
          SP_EPASSPHRASE, "wrong");
  REFUSED(SP_OPTIONS(.key_file = cert_file, .cert_file = cert_file), SP_EKEY, "key_file", "DER");
  REFUSED(SP_OPTIONS(.key = pki()->key_pem, .cert_file = encrypted), SP_ECERTIFICATE, "cert_file",
          "DER");
}

static void pem_may_look_in_many_ways(void **state) {
  (void)state;
  const char *key = pki()->key_pem, *cert = pki()->cert_pem;
  char *crlf_key = with_crlf(key), *crlf_cert = with_crlf(cert);
  char *short_key = without_last_newline(key), *short_cert = without_last_newline(cert);
  char *old = traditional(pki(), NULL);
  MADE(KEY_AND_CERT(crlf_key, crlf_cert));
  MADE(KEY_AND_CERT(short_key, short_cert));
  MADE(KEY_AND_CERT(old, cert));
  MADE(KEY_AND_CERT(text_of("\xef\xbb\xbf", key, ""), text_of("\xef\xbb\xbf", cert, "")));
  MADE(KEY_AND_CERT(text_of("Key of x:\n", key, "-- end --\n"), text_of("0 s:CN=x\n", cert, "!")));
  MADE(KEY_AND_CERT(text_of(cert, key, ""), text_of(key, cert, "")));
  static const char parameters[] = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
                                   "-----END EC PARAMETERS-----\n";
  MADE(KEY_AND_CERT(text_of(parameters, key, ""), cert));
  free(crlf_key), free(crlf_cert), free(short_key), free(short_cert), free(old);
}

static void a_trusted_certificate_is_a_certificate(void **state) {
  (void)state;
  BIO *bio = BIO_new(BIO_s_mem());
  char *data;
  PEM_write_bio_X509_AUX(bio, pki()->x509);
  long n = BIO_get_mem_data(bio, &data);
  const char *file = pki_file_bytes(data, (size_t)n);
  BIO_free(bio);
  MADE(SP_OPTIONS(.key = pki()->key_pem, .cert_file = file));
}

static void of_two_keys_the_matching_one_counts(void **state) {
  (void)state;
  const char *right = pki()->key_pem, *wrong = pki_default()->stranger->key_pem;
  MADE(KEY_AND_CERT(text_of(right, wrong, ""), pki()->cert_pem));
  MADE(KEY_AND_CERT(text_of(wrong, right, ""), pki()->cert_pem));
  REFUSED(KEY_AND_CERT(text_of(wrong, wrong, ""), pki()->cert_pem), SP_EMISMATCH, "key", "cert");
}

static void what_does_not_belong_together_is_refused(void **state) {
  (void)state;
  const pki_t *other = pki_default()->stranger, *rsa = PKI_MAKE(NULL, .cn = "x", .key = "rsa");
  REFUSED(KEY_AND_CERT(other->key_pem, pki()->cert_pem), SP_EMISMATCH, "key and cert",
          "do not belong together");
  REFUSED(KEY_AND_CERT(rsa->key_pem, pki()->cert_pem), SP_EMISMATCH, "key and cert");
  const char *key = pki_file(other->key_pem);
  REFUSED(SP_OPTIONS(.key_file = key, .cert = pki()->cert_pem), SP_EMISMATCH, key);
}

static void the_wrong_order_of_a_chain_is_explained(void **state) {
  (void)state;
  const pki_set_t *set = pki_default();
  REFUSED(KEY_AND_CERT(set->server_behind->key_pem,
                       text_of(set->intermediate->cert_pem, set->server_behind->cert_pem, "")),
          SP_EMISMATCH, "certificate 2", "first");
}

static void half_of_a_pair_is_refused(void **state) {
  (void)state;
  REFUSED(SP_OPTIONS(.cert = pki()->cert_pem), SP_EKEY, "cert", "without key", "key_file");
  REFUSED(SP_OPTIONS(.cert_file = pki_file(pki()->cert_pem)), SP_EKEY, "without key");
  REFUSED(SP_OPTIONS(.key = pki()->key_pem), SP_ECERTIFICATE, "key", "without cert");
}

static void junk_is_named(void **state) {
  (void)state;
  const char *key = pki()->key_pem, *cert = pki()->cert_pem;
  REFUSED(KEY_AND_CERT("junk", cert), SP_EKEY, "key:", "BEGIN PRIVATE KEY");
  REFUSED(KEY_AND_CERT("", cert), SP_EKEY, "key:");
  REFUSED(KEY_AND_CERT(key, "junk"), SP_ECERTIFICATE, "cert:", "BEGIN CERTIFICATE");
  REFUSED(KEY_AND_CERT(key, ""), SP_ECERTIFICATE, "cert:");
  REFUSED(KEY_AND_CERT(cert, cert), SP_EKEY, "key, line 1", "\"CERTIFICATE\"");
  REFUSED(KEY_AND_CERT(key, key), SP_ECERTIFICATE, "cert, line 1", "\"PRIVATE KEY\"");
  REFUSED(KEY_AND_CERT(key, pki_request(pki(), "x")), SP_ECERTIFICATE, "request");
  static const char openssh[] =
      "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
  REFUSED(KEY_AND_CERT(openssh, cert), SP_EKEY, "ssh-keygen");
  const char *file = pki_file("junk\n");
  REFUSED(SP_OPTIONS(.key = key, .cert_file = file), SP_ECERTIFICATE, file);
  REFUSED(SP_OPTIONS(.key_file = file, .cert = cert), SP_EKEY, file);
}

static void damage_is_named_with_its_line(void **state) {
  (void)state;
  static const char bad_cert[] = "# one\n# two\n-----BEGIN CERTIFICATE-----\nMIIB\n"
                                 "-----END CERTIFICATE-----\n";
  static const char bad_key[] = "\n-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n";
  sp_error_t why =
      REFUSED(KEY_AND_CERT(pki()->key_pem, bad_cert), SP_ECERTIFICATE, "cert, line 3", "damaged");
  assert_int_not_equal(why.reason, 0);
  why = REFUSED(KEY_AND_CERT(bad_key, pki()->cert_pem), SP_EKEY, "key, line 2", "damaged");
  assert_int_not_equal(why.reason, 0);
  REFUSED(KEY_AND_CERT(pki()->key_pem, "-----BEGIN CERTIFICATE-----\nMIIB\n"), SP_ECERTIFICATE,
          "line 1", "END");
  REFUSED(KEY_AND_CERT("-----BEGIN PRIVATE KEY-----\nMIIB\n", pki()->cert_pem), SP_EKEY, "END");
  REFUSED(KEY_AND_CERT(pki()->key_pem, text_of(pki()->cert_pem, bad_cert, "")), SP_ECERTIFICATE,
          "damaged");
}

/* Cut at every byte: never a crash, never a context. */
static void every_cut_is_refused(void **state) {
  (void)state;
  char *cert = strdup(pki()->cert_pem), *key = strdup(pki()->key_pem);
  for (size_t n = strlen(cert) - 2; n > 0; n -= n > 7 ? 7 : n) {
    cert[n] = '\0';
    REFUSED(KEY_AND_CERT(pki()->key_pem, cert), SP_ECERTIFICATE, "cert");
  }
  for (size_t n = strlen(key) - 2; n > 0; n--) {
    key[n] = '\0';
    REFUSED(KEY_AND_CERT(key, pki()->cert_pem), SP_EKEY, "key");
  }
  free(cert), free(key);
}

static void a_nul_byte_is_named(void **state) {
  (void)state;
  size_t n = strlen(pki()->cert_pem);
  char *bytes = calloc(1, n + 10);
  memcpy(bytes, "text", 4);
  memcpy(bytes + 5, pki()->cert_pem, n);
  const char *file = pki_file_bytes(bytes, n + 5);
  REFUSED(SP_OPTIONS(.key = pki()->key_pem, .cert_file = file), SP_ECERTIFICATE, file, "NUL",
          "offset 4");
  REFUSED(SP_OPTIONS(.key_file = file, .cert = pki()->cert_pem), SP_EKEY, "NUL");
  free(bytes);
}

static void ten_megabytes_are_too_much(void **state) {
  (void)state;
  size_t n = 10 << 20;
  char *bytes = malloc(n + 1);
  memset(bytes, 'x', n);
  bytes[n] = '\0';
  const char *file = pki_file_bytes(bytes, n);
  REFUSED(SP_OPTIONS(.key_file = file, .cert = pki()->cert_pem), UV_EFBIG, file, "larger than");
  REFUSED(SP_OPTIONS(.key = pki()->key_pem, .cert_file = file), UV_EFBIG, file);
  REFUSED(SP_OPTIONS(.pfx_file = file), UV_EFBIG, file);
  REFUSED(KEY_AND_CERT(bytes, pki()->cert_pem), SP_EKEY, "key", "larger than");
  REFUSED(SP_OPTIONS(.pfx = bytes, .pfx_size = n), SP_EKEY, "pfx", "larger than");
  free(bytes);
}

static void files_that_cannot_be_read_are_named(void **state) {
  (void)state;
  const char *none = pki_path("none.pem");
  REFUSED(SP_OPTIONS(.key_file = none, .cert = pki()->cert_pem), UV_ENOENT, none);
  REFUSED(SP_OPTIONS(.key = pki()->key_pem, .cert_file = none), UV_ENOENT, none);
  REFUSED(SP_OPTIONS(.pfx_file = none), UV_ENOENT, none);
  REFUSED(SP_OPTIONS(.key_file = "/", .cert = pki()->cert_pem), UV_EISDIR, "/");
}

static void weak_credentials_are_refused(void **state) {
  (void)state;
  const pki_t *rsa = PKI_MAKE(NULL, .cn = "x", .key = "rsa1024");
  REFUSED(KEY_AND_CERT(rsa->key_pem, rsa->cert_pem), SP_ECERTIFICATE, "1024", "at least 2048 bits");
  const pki_t *curve = PKI_MAKE(NULL, .cn = "x", .key = "p192");
  REFUSED(KEY_AND_CERT(curve->key_pem, curve->cert_pem), SP_ECERTIFICATE, "192", "too weak");
  const pki_t *sha1 = PKI_MAKE(pki_default()->root, .cn = "x", .digest = "sha1");
  REFUSED(KEY_AND_CERT(sha1->key_pem, sha1->cert_pem), SP_ECERTIFICATE, "SHA1", "SHA-256");
  const pki_t *weak_ca = PKI_MAKE(pki_default()->root, .cn = "weak", .ca = true, .key = "rsa1024");
  const pki_t *leaf = PKI_MAKE(weak_ca, .cn = "x");
  REFUSED(KEY_AND_CERT(leaf->key_pem, text_of(leaf->cert_pem, weak_ca->cert_pem, "")),
          SP_ECERTIFICATE, "chain", "at least 2048 bits");
}

static void a_key_that_cannot_sign_is_refused(void **state) {
  (void)state;
  BIO *bio = BIO_new(BIO_s_mem());
  EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
  char *data;
  PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
  long n = BIO_get_mem_data(bio, &data);
  const char *file = pki_file_bytes(data, (size_t)n);
  REFUSED(SP_OPTIONS(.key_file = file, .cert = pki()->cert_pem), SP_EKEY, "X25519", "cannot sign");
  EVP_PKEY_free(key);
  BIO_free(bio);
}

static void a_curve_without_a_name_is_refused(void **state) {
  (void)state;
  EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
  EVP_PKEY_set_utf8_string_param(key, "encoding", "explicit");
  const pki_t *one = PKI_MAKE(NULL, .cn = "x", .use_key = key);
  REFUSED(KEY_AND_CERT(one->key_pem, one->cert_pem), SP_EKEY, "curve", "P-256");
  EVP_PKEY_free(key);
}

/* -- passphrases ------------------------------------------------------------------------------ */

typedef struct asked {
  const char *answer;
  int size; /* to answer with; 0: that of answer */
  int times;
  char name[256];
} asked_t;

static int answer(char *room, size_t size, const char *name, void *data) {
  asked_t *asked = data;
  asked->times++;
  snprintf(asked->name, sizeof asked->name, "%s", name);
  if (!asked->answer)
    return -1;
  size_t n = strlen(asked->answer);
  memcpy(room, asked->answer, n < size ? n : size);
  return asked->size ? asked->size : (int)n;
}

static void an_encrypted_key_opens(void **state) {
  (void)state;
  const char *cert = pki()->cert_pem;
  char *forms[] = {pki_encrypted_key(pki(), "secret"), traditional(pki(), "secret")};
  for (size_t i = 0; i < 2; i++) {
    asked_t asked = {.answer = "secret"};
    MADE(SP_OPTIONS(.key = forms[i], .cert = cert, .passphrase = "secret"));
    MADE(SP_OPTIONS(.key = forms[i], .cert = cert, .on_passphrase = answer,
                    .passphrase_data = &asked));
    assert_int_equal(asked.times, 1);
    assert_string_equal(asked.name, "key");
    const char *file = pki_file(forms[i]);
    MADE(SP_OPTIONS(.key_file = file, .cert = cert, .on_passphrase = answer,
                    .passphrase_data = &asked));
    assert_string_equal(asked.name, file);
  }
  free(forms[1]);
}

static void it_does_not_open_without(void **state) {
  (void)state;
  const char *cert = pki()->cert_pem;
  char *forms[] = {pki_encrypted_key(pki(), "secret"), traditional(pki(), "secret")};
  for (size_t i = 0; i < 2; i++) {
    const char *key = forms[i];
    REFUSED(KEY_AND_CERT(key, cert), SP_EPASSPHRASE, "key:", "encrypted", "on_passphrase");
    REFUSED(SP_OPTIONS(.key = key, .cert = cert, .passphrase = "Secret"), SP_EPASSPHRASE, "wrong");
    REFUSED(SP_OPTIONS(.key = key, .cert = cert, .passphrase = ""), SP_EPASSPHRASE, "empty");
    asked_t none = {.answer = NULL}, wrong = {.answer = "wrong"};
    REFUSED(SP_OPTIONS(.key = key, .cert = cert, .on_passphrase = answer, .passphrase_data = &none),
            SP_EPASSPHRASE, "gave no passphrase");
    REFUSED(
        SP_OPTIONS(.key = key, .cert = cert, .on_passphrase = answer, .passphrase_data = &wrong),
        SP_EPASSPHRASE, "wrong");
  }
  free(forms[1]);
}

/* Single DES: no passphrase helps, and the error must not say so. */
static void encryption_that_is_out_of_date_is_named(void **state) {
  (void)state;
  char *key = traditional(pki(), "secret"), *method = strstr(key, "AES-128-CBC,");
  memcpy(method, "DES-CBC,0123456789ABCDEF", 24);
  memmove(method + 24, strchr(method, '\n'), strlen(strchr(method, '\n')) + 1);
  REFUSED(SP_OPTIONS(.key = key, .cert = pki()->cert_pem, .passphrase = "secret"), SP_EKEY,
          "key:", "out of date", "pkcs8");
  free(key);
}

static void passphrases_end_at_1024_bytes(void **state) {
  (void)state;
  char most[1025], more[1026];
  memset(most, 'p', 1024), memset(more, 'p', 1025);
  most[1024] = more[1025] = '\0';
  const char *key = pki_encrypted_key(pki(), most), *cert = pki()->cert_pem;
  MADE(SP_OPTIONS(.key = key, .cert = cert, .passphrase = most));
  REFUSED(SP_OPTIONS(.key = key, .cert = cert, .passphrase = more), SP_EPASSPHRASE, "longer",
          "1024");
  REFUSED(SP_OPTIONS(.key = pki()->key_pem, .cert = cert, .passphrase = more), SP_EPASSPHRASE,
          "longer");
  asked_t asked = {.answer = "x", .size = 1025};
  REFUSED(SP_OPTIONS(.key = key, .cert = cert, .on_passphrase = answer, .passphrase_data = &asked),
          SP_EPASSPHRASE, "longer");
}

static void a_passphrase_that_nobody_needs_is_not_asked_for(void **state) {
  (void)state;
  asked_t asked = {.answer = "x"};
  MADE(SP_OPTIONS(.key = pki()->key_pem, .cert = pki()->cert_pem, .on_passphrase = answer,
                  .passphrase_data = &asked));
  MADE(SP_OPTIONS(.key = pki()->key_pem, .cert = pki()->cert_pem, .passphrase = "x"));
  assert_int_equal(asked.times, 0);
  REFUSED(SP_OPTIONS(.passphrase = "x", .on_passphrase = answer), SP_EOPTION, "passphrase",
          "on_passphrase");
}

/* -- PKCS#12 ---------------------------------------------------------------------------------- */

static void pkcs12_brings_everything(void **state) {
  (void)state;
  const pki_set_t *set = pki_default();
  size_t n;
  unsigned char *pfx =
      pki_pkcs12(set->server_behind, PKI_THESE(set->intermediate, set->root), "secret", &n);
  sp_context_t *context =
      context_made(SP_OPTIONS(.pfx = pfx, .pfx_size = n, .passphrase = "secret"));
  STACK_OF(X509) * chain;
  SSL_CTX_get0_chain_certs(sp_context_ssl_ctx(context), &chain);
  assert_int_equal(sk_X509_num(chain), 1); /* without the root */
  sp_context_release(context);
  asked_t asked = {.answer = "secret"};
  const char *file = pki_file_bytes(pfx, n);
  MADE(SP_OPTIONS(.pfx_file = file, .on_passphrase = answer, .passphrase_data = &asked));
  assert_int_equal(asked.times, 1);
  assert_string_equal(asked.name, file);
}

static void pkcs12_that_does_not_open_is_refused(void **state) {
  (void)state;
  size_t n;
  unsigned char *pfx = pki_pkcs12(pki(), NULL, "secret", &n);
  REFUSED(SP_OPTIONS(.pfx = pfx, .pfx_size = n), SP_EPASSPHRASE, "pfx", "encrypted");
  REFUSED(SP_OPTIONS(.pfx = pfx, .pfx_size = n, .passphrase = "x"), SP_EPASSPHRASE, "wrong");
  REFUSED(SP_OPTIONS(.pfx = pfx, .pfx_size = n - 9, .passphrase = "secret"), SP_EKEY, "PKCS#12");
  REFUSED(SP_OPTIONS(.pfx = "junk", .pfx_size = 4), SP_EKEY, "pfx", "PKCS#12");
  REFUSED(SP_OPTIONS(.pfx = "", .pfx_size = 0), SP_EKEY, "pfx");
  REFUSED(SP_OPTIONS(.pfx_file = pki_file(pki()->cert_pem)), SP_EKEY, "pfx_file", "PKCS#12");
}

static void pkcs12_without_a_passphrase_opens(void **state) {
  (void)state;
  size_t n;
  unsigned char *pfx = pki_pkcs12(pki(), NULL, "", &n);
  asked_t asked = {.answer = "x"};
  MADE(SP_OPTIONS(.pfx = pfx, .pfx_size = n));
  MADE(SP_OPTIONS(.pfx = pfx, .pfx_size = n, .on_passphrase = answer, .passphrase_data = &asked));
  assert_int_equal(asked.times, 0);
}

/* -- chains ----------------------------------------------------------------------------------- */

static int chain_length(const sp_options_t *options) {
  sp_context_t *context = context_made(options);
  STACK_OF(X509) *chain = NULL;
  SSL_CTX_get0_chain_certs(sp_context_ssl_ctx(context), &chain);
  int n = chain ? sk_X509_num(chain) : 0;
  sp_context_release(context);
  return n;
}

static void the_chain_is_sent_without_root_and_repetition(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const char *key = s->server_behind->key_pem, *leaf = s->server_behind->cert_pem;
  const char *middle = s->intermediate->cert_pem, *root = s->root->cert_pem;
  assert_int_equal(chain_length(KEY_AND_CERT(key, leaf)), 0);
  assert_int_equal(chain_length(KEY_AND_CERT(key, text_of(leaf, middle, ""))), 1);
  assert_int_equal(chain_length(KEY_AND_CERT(key, text_of(leaf, middle, root))), 1);
  assert_int_equal(chain_length(KEY_AND_CERT(key, text_of(leaf, root, middle))), 1);
  assert_int_equal(chain_length(KEY_AND_CERT(key, text_of(leaf, leaf, middle))), 1);
  assert_int_equal(chain_length(KEY_AND_CERT(s->root->key_pem, root)), 0);
}

static void a_chain_is_completed_from_ca(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const char *key = s->server_behind->key_pem, *leaf = s->server_behind->cert_pem;
  assert_int_equal(
      chain_length(SP_OPTIONS(.key = key, .cert = leaf,
                              .ca = SP_LIST(s->intermediate->cert_pem, s->root->cert_pem))),
      1);
  assert_int_equal(
      chain_length(SP_OPTIONS(.key = key, .cert = leaf, .ca = SP_LIST(s->stranger_root->cert_pem))),
      0);
}

static void our_own_certificate_can_be_read(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  sp_context_t *context =
      context_made(KEY_AND_CERT(s->server_behind->key_pem, text_of(s->server_behind->cert_pem,
                                                                   s->intermediate->cert_pem, "")));
  sp_certificate_t *certificate;
  assert_int_equal(sp_context_certificate(context, &certificate), 0);
  sp_context_release(context);
  assert_string_equal(sp_certificate_pem(certificate), s->server_behind->cert_pem);
  const sp_certificate_t *next = sp_certificate_next(certificate);
  assert_non_null(next);
  assert_string_equal(sp_certificate_pem(next), s->intermediate->cert_pem);
  assert_null(sp_certificate_next(next));
  sp_certificate_release(certificate);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_kind_of_key_is_taken),
      cmocka_unit_test(files_and_texts_are_the_same),
      cmocka_unit_test(der_files_are_taken),
      cmocka_unit_test(pem_may_look_in_many_ways),
      cmocka_unit_test(a_trusted_certificate_is_a_certificate),
      cmocka_unit_test(of_two_keys_the_matching_one_counts),
      cmocka_unit_test(what_does_not_belong_together_is_refused),
      cmocka_unit_test(the_wrong_order_of_a_chain_is_explained),
      cmocka_unit_test(half_of_a_pair_is_refused),
      cmocka_unit_test(junk_is_named),
      cmocka_unit_test(damage_is_named_with_its_line),
      cmocka_unit_test(every_cut_is_refused),
      cmocka_unit_test(a_nul_byte_is_named),
      cmocka_unit_test(ten_megabytes_are_too_much),
      cmocka_unit_test(files_that_cannot_be_read_are_named),
      cmocka_unit_test(weak_credentials_are_refused),
      cmocka_unit_test(a_key_that_cannot_sign_is_refused),
      cmocka_unit_test(a_curve_without_a_name_is_refused),
      cmocka_unit_test(an_encrypted_key_opens),
      cmocka_unit_test(it_does_not_open_without),
      cmocka_unit_test(encryption_that_is_out_of_date_is_named),
      cmocka_unit_test(passphrases_end_at_1024_bytes),
      cmocka_unit_test(a_passphrase_that_nobody_needs_is_not_asked_for),
      cmocka_unit_test(pkcs12_brings_everything),
      cmocka_unit_test(pkcs12_that_does_not_open_is_refused),
      cmocka_unit_test(pkcs12_without_a_passphrase_opens),
      cmocka_unit_test(the_chain_is_sent_without_root_and_repetition),
      cmocka_unit_test(a_chain_is_completed_from_ca),
      cmocka_unit_test(our_own_certificate_can_be_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
