/* Revocation lists (FAULTS K08): in every form, of every kind, for both roles, and large ones. Who
 * is revoked by an ordinary list stands in the table of support/cases.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <uv.h>

#include "support/allocations.h"
#include "support/clock.h"
#include "support/contexts.h"
#include "support/couple.h"
#include "support/pki.h"

#define EACH(version) for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3; version++)

static const manner_t whole = {.read = 0};

/* -- lists of any kind ------------------------------------------------------------------------- */

/* All fields may be left 0. */
typedef struct crl_spec {
  const pki_t *issuer;  /* default: the root */
  const pki_t *revoked; /* one */
  long fillers;         /* and so many others */
  long from, to;        /* seconds from now; both 0: an hour ago, in a day */
  long number, base;    /* cRLNumber; base: that of which it is a delta */
  const char *points;   /* issuingDistributionPoint, in OpenSSL's words */
  bool critical;        /* a critical extension that nobody knows */
} crl_spec_t;

static void add_number(X509_CRL *crl, int nid, long number, int critical) {
  ASN1_INTEGER *value = ASN1_INTEGER_new();
  ASN1_INTEGER_set(value, number);
  assert_int_equal(X509_CRL_add1_ext_i2d(crl, nid, value, critical, 0), 1);
  ASN1_INTEGER_free(value);
}

static void add_extension(X509_CRL *crl, X509_EXTENSION *extension) {
  assert_non_null(extension);
  assert_int_equal(X509_CRL_add_ext(crl, extension, -1), 1);
  X509_EXTENSION_free(extension);
}

static void extend(X509_CRL *crl, const crl_spec_t *s) {
  X509V3_CTX ctx;
  if (s->number)
    add_number(crl, NID_crl_number, s->number, 0);
  if (s->base)
    add_number(crl, NID_delta_crl, s->base, 1);
  X509V3_set_ctx(&ctx, s->issuer->x509, NULL, NULL, crl, 0);
  if (s->points)
    add_extension(crl, X509V3_EXT_nconf_nid(NULL, &ctx, NID_issuing_distribution_point, s->points));
  if (s->critical)
    add_extension(crl, X509V3_EXT_nconf(NULL, &ctx, "1.3.6.1.4.1.99999.1", "critical,ASN1:NULL"));
}

static void add(X509_CRL *crl, const ASN1_INTEGER *serial) {
  X509_REVOKED *entry = X509_REVOKED_new();
  ASN1_TIME *when = X509_gmtime_adj(NULL, -60);
  assert_int_equal(X509_REVOKED_set_serialNumber(entry, (ASN1_INTEGER *)(uintptr_t)serial), 1);
  assert_int_equal(X509_REVOKED_set_revocationDate(entry, when), 1);
  assert_int_equal(X509_CRL_add0_revoked(crl, entry), 1);
  ASN1_TIME_free(when);
}

/* Serial numbers of 20 bytes, as public authorities have them. */
static void fill(X509_CRL *crl, long count) {
  for (long i = 0; i < count; i++) {
    unsigned char bytes[20] = {0x40};
    memcpy(bytes + 12, &i, sizeof i);
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    ASN1_INTEGER *serial = BN_to_ASN1_INTEGER(number, NULL);
    add(crl, serial);
    ASN1_INTEGER_free(serial);
    BN_free(number);
  }
}

static X509_CRL *make(const crl_spec_t *spec) {
  crl_spec_t s = *spec;
  bool dated = s.from || s.to;
  X509_CRL *crl = X509_CRL_new();
  s.issuer = s.issuer ? s.issuer : pki_default()->root;
  ASN1_TIME *from = X509_gmtime_adj(NULL, dated ? s.from : -3600);
  ASN1_TIME *to = X509_gmtime_adj(NULL, dated ? s.to : PKI_DAY);
  X509_CRL_set_version(crl, X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(crl, X509_get_subject_name(s.issuer->x509));
  X509_CRL_set1_lastUpdate(crl, from);
  X509_CRL_set1_nextUpdate(crl, to);
  fill(crl, s.fillers);
  if (s.revoked)
    add(crl, X509_get0_serialNumber(s.revoked->x509));
  extend(crl, &s);
  X509_CRL_sort(crl);
  assert_true(X509_CRL_sign(crl, s.issuer->key, EVP_sha256()) > 0);
  ASN1_TIME_free(from);
  ASN1_TIME_free(to);
  return crl;
}

/* A file with it. */
static const char *crl_file(const crl_spec_t *spec, bool der) {
  char *bytes;
  X509_CRL *crl = make(spec);
  BIO *bio = BIO_new(BIO_s_mem());
  assert_int_equal(der ? i2d_X509_CRL_bio(bio, crl) : PEM_write_bio_X509_CRL(bio, crl), 1);
  long n = BIO_get_mem_data(bio, &bytes);
  const char *file = pki_file_bytes(bytes, (size_t)n);
  BIO_free(bio);
  X509_CRL_free(crl);
  return file;
}
#define PEM_FILE(...) crl_file(&(const crl_spec_t){__VA_ARGS__}, false)
#define DER_FILE(...) crl_file(&(const crl_spec_t){__VA_ARGS__}, true)

/* -- who is judged by them --------------------------------------------------------------------- */

static sp_context_t *watchful_client(const char *const *files) {
  return context_made(SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem), .crl_files = files));
}

static sp_context_t *watchful_server(const char *const *files) {
  const pki_set_t *s = pki_default();
  return context_made(SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem,
                                 .ca = SP_LIST(s->root->cert_pem), .crl_files = files,
                                 .request_cert = SP_YES, .reject_unauthorized = SP_YES));
}

/* The one that looks must say `reason`, NULL for none, of the other. */
static void meet(sp_context_t *client, sp_context_t *server, bool client_looks,
                 const char *reason) {
  couple_t couple;
  couple_make_with(&couple, SP_OPTIONS(.context = client, .server_name = "localhost"),
                   SP_OPTIONS(.context = server));
  couple_run(&couple, &whole);
  const sp_pair_t *pair = client_looks ? couple.client.pair : couple.server.pair;
  const char *found = sp_pair_authorization_error(pair);
  if ((reason || found) && (!reason || !found || strcmp(reason, found) != 0))
    fail_msg("%s, not %s", found ? found : "none", reason ? reason : "none");
  assert_int_equal(sp_pair_is_authorized(pair), !reason);
  assert_int_equal(sp_pair_error(pair)->status, reason ? SP_EUNAUTHORIZED : 0);
  couple_free(&couple);
}

static void judge(const char *const *files, const char *of_server, const char *of_client) {
  const pki_set_t *s = pki_default();
  sp_context_t *client = watchful_client(files), *server = watchful_server(files);
  EACH(version) {
    sp_context_t *shown = context_made(
        SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem, .max_version = version));
    sp_context_t *caller =
        context_made(SP_OPTIONS(.key = s->client->key_pem, .cert = s->client->cert_pem,
                                .ca = SP_LIST(s->root->cert_pem), .max_version = version));
    meet(client, shown, true, of_server);
    meet(caller, server, false, of_client);
    sp_context_release(shown);
    sp_context_release(caller);
  }
  sp_context_release(client);
  sp_context_release(server);
}
#define JUDGE(of_server, of_client, ...) judge(SP_LIST(__VA_ARGS__), of_server, of_client)

static void K08_pem_and_der(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  JUDGE(NULL, NULL, PEM_FILE(.number = 1));
  JUDGE("CERT_REVOKED", NULL, PEM_FILE(.revoked = s->server));
  JUDGE(NULL, "CERT_REVOKED", DER_FILE(.revoked = s->client));
  JUDGE("CRL_HAS_EXPIRED", "CRL_HAS_EXPIRED", DER_FILE(.from = -9 * PKI_DAY, .to = -PKI_DAY));
  JUDGE("UNABLE_TO_GET_CRL", "UNABLE_TO_GET_CRL", DER_FILE(.issuer = s->stranger_root));
}

/* The newest of an issuer counts; those of others do not disturb. */
static void K08_several(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const char *old = PEM_FILE(.revoked = s->client, .from = -7200, .to = PKI_DAY, .number = 1);
  const char *new = DER_FILE(.revoked = s->server, .from = -600, .to = PKI_DAY, .number = 2);
  const char *other = PEM_FILE(.issuer = s->stranger_root, .revoked = s->server);
  JUDGE("CERT_REVOKED", NULL, old, new);
  JUDGE("CERT_REVOKED", NULL, new, old);
  JUDGE("CERT_REVOKED", NULL, other, new, other);
  JUDGE(NULL, "CERT_REVOKED", old, other);
}

static void K08_not_properly_signed(void **state) {
  (void)state;
  const pki_t *namesake = PKI_MAKE(NULL, .cn = "securepair test root", .ca = true);
  JUDGE("CRL_SIGNATURE_FAILURE", "CRL_SIGNATURE_FAILURE", DER_FILE(.issuer = namesake));
  const pki_t *mute = PKI_MAKE(NULL, .cn = "mute", .ca = true, .key_usage = "critical,keyCertSign");
  const pki_t *leaf = PKI_MAKE(mute, .cn = "x", .dns = PKI_LIST("localhost"));
  sp_context_t *client = context_made(
      SP_OPTIONS(.ca = SP_LIST(mute->cert_pem), .crl_files = SP_LIST(PEM_FILE(.issuer = mute))));
  sp_context_t *server = context_made(SP_OPTIONS(.key = leaf->key_pem, .cert = leaf->cert_pem));
  meet(client, server, true, "KEYUSAGE_NO_CRL_SIGN");
  sp_context_release(client);
  sp_context_release(server);
  JUDGE("UNHANDLED_CRITICAL_CRL_EXTENSION", "UNHANDLED_CRITICAL_CRL_EXTENSION",
        PEM_FILE(.critical = true));
}

/* What is not the whole truth is no list: fail closed. */
static void K08_indirect_and_partial(void **state) {
  (void)state;
  JUDGE("UNABLE_TO_GET_CRL", "UNABLE_TO_GET_CRL", PEM_FILE(.points = "critical,indirectCRL:TRUE"));
  JUDGE("UNABLE_TO_GET_CRL", "UNABLE_TO_GET_CRL",
        PEM_FILE(.points = "critical,onlysomereasons:keyCompromise"));
  const char *users = PEM_FILE(.points = "critical,onlyuser:TRUE");
  const char *authorities = PEM_FILE(.points = "critical,onlyCA:TRUE");
  JUDGE("UNABLE_TO_GET_CRL", "UNABLE_TO_GET_CRL", authorities);
  JUDGE("UNABLE_TO_GET_CRL", "UNABLE_TO_GET_CRL", users); /* the root is looked up, too */
  JUDGE(NULL, NULL, users, authorities);
}

/* Taken for a complete list it would let in whom the complete one revokes. */
static void K08_delta_lists_are_refused_by_name(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const char *base = PEM_FILE(.revoked = s->server, .number = 1);
  const char *delta = PEM_FILE(.number = 2, .base = 1), *der = DER_FILE(.number = 2, .base = 1);
  REFUSED(SP_OPTIONS(.crl_files = SP_LIST(base, delta)), SP_ECRL, delta, "line 1", "delta");
  REFUSED(SP_OPTIONS(.crl_files = SP_LIST(der)), SP_ECRL, der, "delta", "complete");
}

static void K08_damaged_ones_are_named(void **state) {
  (void)state;
  const char *junk = pki_file("junk"), *der = pki_file_bytes("0\x82\x10\x00junk", 8);
  const char *cut = pki_file("-----BEGIN X509 CRL-----\nMIIB\n");
  REFUSED(SP_OPTIONS(.crl_files = SP_LIST(junk)), SP_ECRL, junk);
  REFUSED(SP_OPTIONS(.crl_files = SP_LIST(der)), SP_ECRL, der, "DER");
  REFUSED(SP_OPTIONS(.crl_files = SP_LIST(PEM_FILE(0), cut)), SP_ECRL, cut, "END");
}

/* One that runs out while it is in use. */
static void K08_expires_in_use(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  sp_context_t *client = watchful_client(SP_LIST(PEM_FILE(.from = -60, .to = 600)));
  sp_context_t *server =
      context_made(SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem));
  meet(client, server, true, NULL);
  clock_shift(700);
  meet(client, server, true, "CRL_HAS_EXPIRED");
  clock_shift(0);
  sp_context_release(client);
  sp_context_release(server);
}

/* -- sessions ---------------------------------------------------------------------------------- */

typedef struct kept {
  uint8_t bytes[8192];
  size_t n;
} kept_t;

/* Who was let in comes back, but not past a new list. */
static bool comes_back(sp_context_t *server, kept_t *session, sp_protocol_t version, bool *secure) {
  const pki_set_t *s = pki_default();
  couple_t couple;
  couple_make_with(&couple,
                   SP_OPTIONS(.key = s->client->key_pem, .cert = s->client->cert_pem,
                              .ca = SP_LIST(s->root->cert_pem), .max_version = version,
                              .server_name = "localhost",
                              .session = session->n ? session->bytes : NULL,
                              .session_size = session->n),
                   SP_OPTIONS(.context = server));
  couple_run(&couple, &whole);
  *secure = sp_pair_state(couple.server.pair) & SP_PAIR_SECURE;
  bool resumed = *secure && sp_pair_is_resumed(couple.server.pair);
  if (*secure && !session->n)
    session->n = sp_pair_session(couple.client.pair, session->bytes, sizeof session->bytes);
  couple_free(&couple);
  return resumed;
}

static void a_new_list_ends_the_sessions_before_it(void **state) {
  (void)state;
  sp_context_t *before = watchful_server(SP_LIST(PEM_FILE(.number = 1)));
  sp_context_t *after =
      watchful_server(SP_LIST(PEM_FILE(.revoked = pki_default()->client, .number = 2)));
  uint8_t keys[48];
  assert_int_equal(sp_context_ticket_keys(before, keys), 0);
  assert_int_equal(sp_context_set_ticket_keys(after, keys, sizeof keys), 0);
  EACH(version) {
    kept_t session = {.n = 0};
    bool secure;
    assert_false(comes_back(before, &session, version, &secure));
    assert_true(secure && session.n);
    assert_true(comes_back(before, &session, version, &secure));
    assert_false(comes_back(after, &session, version, &secure));
    assert_false(secure);
  }
  sp_context_release(before);
  sp_context_release(after);
}

/* -- large ------------------------------------------------------------------------------------- */

#define MANY 197000L /* entries of 38 bytes: 10 MB as PEM */
#define HELD ((size_t)64 << 20)

static void K08_ten_megabytes(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const char *file = PEM_FILE(.revoked = s->client, .fillers = MANY);
  size_t before = allocations_held(OPENSSLS) + allocations_held(OURS);
  sp_context_t *server = watchful_server(SP_LIST(file));
  size_t held = allocations_held(OPENSSLS) + allocations_held(OURS) - before;
  print_message("%zu bytes are held of a list of 10 MB\n", held);
  assert_true(held < HELD);
  sp_context_release(server);
  assert_true(allocations_held(OPENSSLS) + allocations_held(OURS) < before + (1 << 20));
  JUDGE(NULL, "CERT_REVOKED", file);
}

static void K08_too_large(void **state) {
  (void)state;
  size_t n = ((size_t)16 << 20) + 1;
  char *bytes = malloc(n);
  memset(bytes, '\n', n);
  const char *file = pki_file_bytes(bytes, n);
  free(bytes);
  REFUSED(SP_OPTIONS(.crl_files = SP_LIST(file)), UV_EFBIG, file, "16777216");
}

int main(void) {
  allocations_watch();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(K08_pem_and_der),
      cmocka_unit_test(K08_several),
      cmocka_unit_test(K08_not_properly_signed),
      cmocka_unit_test(K08_indirect_and_partial),
      cmocka_unit_test(K08_delta_lists_are_refused_by_name),
      cmocka_unit_test(K08_damaged_ones_are_named),
      cmocka_unit_test(K08_expires_in_use),
      cmocka_unit_test(a_new_list_ends_the_sessions_before_it),
      cmocka_unit_test(K08_ten_megabytes),
      cmocka_unit_test(K08_too_large),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
