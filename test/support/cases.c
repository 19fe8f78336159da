#include "support/cases.h"

#include <assert.h>
#include <string.h>

#include <openssl/rsa.h>

const char *const verdict_trusts[TRUSTS] = {"own CA", "other CA", "nobody"};

#define ALONE "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
#define CHAIN "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"
#define ALTNAME "ERR_TLS_CERT_ALTNAME_INVALID"
/* own, other, nobody */
#define REASONS(own, other, nobody) .reason = {own, other, nobody}
#define LEAF_REASONS(own) REASONS(own, ALONE, ALONE)
#define ALWAYS(reason) REASONS(reason, reason, reason)

#define ROOM 80

static verdict_case_t cases[ROOM];
static size_t count;

/* The arrays given live as long as the table. */
static const pki_t *const *keep(const pki_t *const *list) {
  static const pki_t *room[ROOM * 4];
  static size_t used;
  const pki_t *const *kept = room + used;
  for (; list && *list; list++)
    room[used++] = *list;
  room[used++] = NULL;
  assert(used < ROOM * 4);
  return kept;
}

static void add(verdict_case_t c) {
  assert(count + 1 < ROOM);
  c.chain = keep(c.chain);
  cases[count++] = c;
}
#define CASE(...) add((verdict_case_t){__VA_ARGS__})

#define HERE .cn = "localhost", .dns = PKI_LIST("localhost")
#define BY(issuer, ...) PKI_MAKE(issuer, HERE, __VA_ARGS__)
#define AUTHORITY(issuer, name, ...) PKI_MAKE(issuer, .cn = name, .ca = true, __VA_ARGS__)

/* -- who is trusted (K01) ---------------------------------------------------------------------- */

static void add_issuers(const pki_set_t *s) {
  const pki_t *self = BY(NULL, .key = "ec");
  CASE("good", .leaf = BY(s->root, .key = "ec"), LEAF_REASONS(NULL));
  CASE("good, root sent too", .leaf = BY(s->root, .key = "ec"), .chain = PKI_THESE(s->root),
       REASONS(NULL, "SELF_SIGNED_CERT_IN_CHAIN", "SELF_SIGNED_CERT_IN_CHAIN"));
  CASE("good RSA", .leaf = BY(s->root, .key = "rsa"), LEAF_REASONS(NULL));
  CASE("good Ed25519", .leaf = BY(s->root, .key = "ed25519"), LEAF_REASONS(NULL));
  CASE("from another CA", .leaf = s->stranger, REASONS(ALONE, NULL, ALONE),
       .words = "stranger root, which is unknown");
  CASE("CA of the same name", .leaf = BY(AUTHORITY(NULL, "securepair test root", ), .key = "ec"),
       LEAF_REASONS(ALONE), .words = "which is unknown");
  CASE("intermediate missing", .leaf = s->server_behind, ALWAYS(ALONE),
       .words = "securepair test intermediate, which is unknown");
  CASE("intermediate present", .leaf = s->server_behind, .chain = PKI_THESE(s->intermediate),
       REASONS(NULL, CHAIN, CHAIN));
  CASE("self-signed", .leaf = self, ALWAYS("DEPTH_ZERO_SELF_SIGNED_CERT"), .words = "self-signed");
  CASE("self-signed and given as ca", .leaf = self, .ca = self->cert_pem,
       REASONS(NULL, "DEPTH_ZERO_SELF_SIGNED_CERT", "DEPTH_ZERO_SELF_SIGNED_CERT"));
  CASE("none shown", .roles = CASE_AS_CLIENT, ALWAYS("UNABLE_TO_GET_ISSUER_CERT"),
       .words = "sent no certificate");
}

static void add_orders(const pki_set_t *s) {
  const pki_t *upper = AUTHORITY(s->root, "upper", ), *lower = AUTHORITY(upper, "lower", );
  const pki_t *leaf = BY(lower, .key = "ec");
  CASE("chain of three", .leaf = leaf, .chain = PKI_THESE(lower, upper),
       REASONS(NULL, CHAIN, CHAIN));
  CASE("reversed chain", .leaf = leaf, .chain = PKI_THESE(upper, lower),
       REASONS(NULL, CHAIN, CHAIN));
  CASE("reversed chain with root and a stranger's", .leaf = leaf,
       .chain = PKI_THESE(s->stranger_root, s->root, upper, lower),
       REASONS(NULL, "SELF_SIGNED_CERT_IN_CHAIN", "SELF_SIGNED_CERT_IN_CHAIN"));
  CASE("gap in the chain", .leaf = leaf, .chain = PKI_THESE(upper), ALWAYS(ALONE),
       .words = "lower, which is unknown");
  /* two authorities that vouch for each other, and nobody for them */
  const pki_t *a = AUTHORITY(NULL, "loop a", ), *b = AUTHORITY(NULL, "loop b", );
  const pki_t *a_by_b = AUTHORITY(b, "loop a", .use_key = a->key);
  const pki_t *b_by_a = AUTHORITY(a, "loop b", .use_key = b->key);
  CASE("cross-signed loop", .leaf = BY(a, .key = "ec"), .chain = PKI_THESE(a_by_b, b_by_a),
       ALWAYS(CHAIN), .words = "loop");
  CASE("cross-signed loop, one end trusted", .leaf = BY(a, .key = "ec"),
       .chain = PKI_THESE(a_by_b, b_by_a), .ca = b->cert_pem, REASONS(NULL, CHAIN, CHAIN));
}

/* -- what authorities may do (K06) ------------------------------------------------------------- */

static void add_authorities(const pki_set_t *s) {
  const pki_t *narrow = AUTHORITY(s->root, "narrow", .constraints = "critical,CA:TRUE,pathlen:0");
  const pki_t *below = AUTHORITY(narrow, "below", );
  CASE("path length exceeded", .leaf = BY(below, .key = "ec"), .chain = PKI_THESE(below, narrow),
       ALWAYS("PATH_LENGTH_EXCEEDED"), .words = "more intermediates than");
  CASE("path length kept", .leaf = BY(narrow, .key = "ec"), .chain = PKI_THESE(narrow),
       REASONS(NULL, CHAIN, CHAIN));
  const pki_t *fake = PKI_MAKE(s->root, .cn = "fake", .key_usage = "critical,keyCertSign");
  CASE("CA bit missing", .leaf = BY(fake, .key = "ec"), .chain = PKI_THESE(fake),
       ALWAYS("INVALID_PURPOSE"), .words = "fake stands in the chain as an authority");
  const pki_t *person = PKI_MAKE(s->root, .cn = "person");
  CASE("issued by a leaf", .leaf = BY(person, .key = "ec"), .chain = PKI_THESE(person),
       ALWAYS("KEYUSAGE_NO_CERTSIGN"), .words = "person");
  const pki_t *mute = AUTHORITY(s->root, "mute", .key_usage = "critical,digitalSignature,cRLSign");
  CASE("CA without keyCertSign", .leaf = BY(mute, .key = "ec"), .chain = PKI_THESE(mute),
       ALWAYS("KEYUSAGE_NO_CERTSIGN"), .words = "mute");
  const pki_t *bound =
      AUTHORITY(s->root, "bound", .extra = PKI_LIST("nameConstraints=permitted;DNS:example"));
  CASE("name constraints", .leaf = BY(bound, .key = "ec"), .chain = PKI_THESE(bound),
       ALWAYS("PERMITTED_VIOLATION"), .words = "may not vouch for");
  const pki_t *fits =
      AUTHORITY(s->root, "fits", .extra = PKI_LIST("nameConstraints=permitted;DNS:localhost"));
  CASE("name constraints kept", .leaf = BY(fits, .key = "ec"), .chain = PKI_THESE(fits),
       REASONS(NULL, CHAIN, CHAIN));
  const pki_t *barred =
      AUTHORITY(s->root, "barred", .extra = PKI_LIST("nameConstraints=excluded;DNS:localhost"));
  CASE("excluded by name constraints", .not_in_node = true, .leaf = BY(barred, .key = "ec"),
       .chain = PKI_THESE(barred), ALWAYS("EXCLUDED_VIOLATION"), .words = "may not vouch for");
}

/* What its authority is for counts, too. */
static void add_narrow_authorities(const pki_set_t *s) {
  const pki_t *for_clients = AUTHORITY(s->root, "for clients", .eku = "clientAuth");
  const pki_t *for_servers = AUTHORITY(s->root, "for servers", .eku = "serverAuth");
  const pki_t *of_clients = BY(for_clients, .key = "ec"),
              *of_servers = BY(for_servers, .key = "ec");
  CASE("server by an authority for clients", .roles = CASE_AS_SERVER, .leaf = of_clients,
       .chain = PKI_THESE(for_clients), ALWAYS("INVALID_PURPOSE"), .words = "for clients");
  CASE("client by an authority for clients", .roles = CASE_AS_CLIENT, .leaf = of_clients,
       .chain = PKI_THESE(for_clients), REASONS(NULL, CHAIN, CHAIN));
  CASE("client by an authority for servers", .roles = CASE_AS_CLIENT, .leaf = of_servers,
       .chain = PKI_THESE(for_servers), ALWAYS("INVALID_PURPOSE"), .words = "for servers");
}

/* -- what the certificate is for --------------------------------------------------------------- */

static void add_purposes(const pki_set_t *s) {
  CASE("serverAuth shown by a server", .roles = CASE_AS_SERVER,
       .leaf = BY(s->root, .eku = "serverAuth"), LEAF_REASONS(NULL));
  CASE("clientAuth shown by a client", .roles = CASE_AS_CLIENT, .leaf = s->client,
       LEAF_REASONS(NULL));
  CASE("clientAuth shown by a server", .roles = CASE_AS_SERVER,
       .leaf = BY(s->root, .eku = "clientAuth"), LEAF_REASONS("INVALID_PURPOSE"),
       .words = "may only be used for a client");
  CASE("serverAuth shown by a client", .roles = CASE_AS_CLIENT,
       .leaf = BY(s->root, .eku = "serverAuth"), LEAF_REASONS("INVALID_PURPOSE"),
       .words = "may only be used for a server");
  CASE("codeSigning", .leaf = BY(s->root, .eku = "codeSigning"), LEAF_REASONS("INVALID_PURPOSE"),
       .words = "something else than TLS");
  CASE("a key that is not for signatures", .roles = CASE_AS_CLIENT,
       .leaf = BY(s->root, .key_usage = "critical,cRLSign"), LEAF_REASONS("INVALID_PURPOSE"));
  CASE("no usages at all", .leaf = BY(s->root, .eku = "", .key_usage = ""), LEAF_REASONS(NULL));
}

/* -- time (K02) -------------------------------------------------------------------------------- */

static void add_times(const pki_set_t *s) {
  /* Node goes on after a first fault and tells the last one, and time is checked last */
  CASE("expired", .leaf = BY(s->root, .from = -9 * PKI_DAY, .to = -3 * PKI_DAY - 60),
       ALWAYS("CERT_HAS_EXPIRED"), .words = "localhost expired 3 days ago");
  CASE("expired a second ago", .leaf = BY(s->root, .from = -9 * PKI_DAY, .to = -1),
       ALWAYS("CERT_HAS_EXPIRED"), .words = "expired");
  CASE("not yet valid", .leaf = BY(s->root, .from = 3 * PKI_DAY + 60, .to = 9 * PKI_DAY),
       ALWAYS("CERT_NOT_YET_VALID"), .words = "is not valid before");
  CASE("valid since this second", .leaf = BY(s->root, .from = 0, .to = PKI_DAY),
       LEAF_REASONS(NULL));
  const pki_t *old = AUTHORITY(s->root, "old", .from = -9 * PKI_DAY, .to = -3 * PKI_DAY);
  CASE("intermediate expired", .leaf = BY(old, .key = "ec"), .chain = PKI_THESE(old),
       REASONS("CERT_HAS_EXPIRED", CHAIN, CHAIN), .words = "certificate for old expired");
}

/* Several faults at once: the last one found is told, as in Node. */
static void add_several(const pki_set_t *s) {
  const pki_t *old = BY(NULL, .from = -9 * PKI_DAY, .to = -PKI_DAY);
  CASE("self-signed and expired", .leaf = old, ALWAYS("CERT_HAS_EXPIRED"), .words = "expired");
  CASE("self-signed, given as ca and expired", .leaf = old, .ca = old->cert_pem,
       ALWAYS("CERT_HAS_EXPIRED"), .words = "expired");
  const pki_t *late = PKI_MAKE(s->root, .cn = "x", .dns = PKI_LIST("other.example"),
                               .from = -9 * PKI_DAY, .to = -PKI_DAY);
  CASE("expired and for another host", .leaf = late, ALWAYS("CERT_HAS_EXPIRED"),
       .words = "other.example expired");
  CASE("expired and revoked", .leaf = late, .crl = pki_crl(s->root, PKI_THESE(late), 0, 0),
       ALWAYS("CERT_HAS_EXPIRED"), .words = "expired");
  const pki_t *wrong = BY(s->root, .eku = "codeSigning");
  CASE("wrong purpose and revoked", .leaf = wrong, .crl = pki_crl(s->root, PKI_THESE(wrong), 0, 0),
       LEAF_REASONS("CERT_REVOKED"), .words = "revoked");
}

/* -- names (K03, K04, K05) --------------------------------------------------------------------- */

#define NAMES(own) LEAF_REASONS(own), .no_name_for_client = true

static void add_names(const pki_set_t *s) {
  static const pki_name_t with_nul[] = {{GEN_DNS, "localhost\0.evil.example", 23}};
  const pki_t *by_name = BY(s->root, .key = "ec");
  const pki_t *other = PKI_MAKE(s->root, .cn = "localhost", .dns = PKI_LIST("other.example"));
  CASE("wrong host", .leaf = other, NAMES(ALTNAME), .words = "other.example, not for localhost");
  CASE("common name only", .leaf = PKI_MAKE(s->root, .cn = "localhost"), NAMES(ALTNAME),
       .not_in_node = true, .words = "common name localhost does not count");
  CASE("host by address, IP name", .leaf = s->stranger, .ca = s->stranger_root->cert_pem,
       .host = "127.0.0.1", REASONS(NULL, NULL, ALONE));
  CASE("host by address, no IP name", .leaf = by_name, .host = "127.0.0.1", NAMES(ALTNAME),
       .words = "localhost, not for 127.0.0.1");
  CASE("host by address, address as DNS name",
       .leaf = PKI_MAKE(s->root, .cn = "127.0.0.1", .dns = PKI_LIST("127.0.0.1")),
       .host = "127.0.0.1", NAMES(ALTNAME), .words = "not for 127.0.0.1");
  CASE("host by IPv6 address", .leaf = PKI_MAKE(s->root, .cn = "x", .ips = PKI_LIST("2001:db8::1")),
       .host = "2001:db8::1", NAMES(NULL));
  CASE("wildcard", .leaf = PKI_MAKE(s->root, .cn = "x", .dns = PKI_LIST("*.host.example")),
       .host = "one.host.example", NAMES(NULL));
  CASE("wildcard, two labels", .leaf = PKI_MAKE(s->root, .cn = "x", .dns = PKI_LIST("*.b.example")),
       .host = "x.y.b.example", NAMES(ALTNAME), .words = "*.b.example, not for x.y.b.example");
  CASE("NUL in a name", .leaf = PKI_MAKE(s->root, .cn = "x", .names = with_nul, .name_count = 1),
       NAMES(ALTNAME), .words = "localhost\\x00.evil");
  CASE("names injected in others",
       .leaf = PKI_MAKE(s->root, .cn = "x, DNS:localhost", .dns = PKI_LIST("a, DNS:localhost"),
                        .uris = PKI_LIST("http://localhost/"), .emails = PKI_LIST("a@localhost")),
       NAMES(ALTNAME), .words = "not for localhost");
}

/* -- revocation (K08) -------------------------------------------------------------------------- */

static void add_revocations(const pki_set_t *s) {
  const pki_t *leaf = BY(s->root, .key = "ec"), *behind = BY(s->intermediate, .key = "ec");
  const pki_t *namesake = AUTHORITY(NULL, "securepair test root", );
  const char *clean = pki_crl(s->root, NULL, 0, 0);
  CASE("not revoked", .leaf = leaf, .crl = clean, LEAF_REASONS(NULL));
  CASE("revoked", .leaf = leaf, .crl = pki_crl(s->root, PKI_THESE(leaf), 0, 0),
       LEAF_REASONS("CERT_REVOKED"), .words = "was revoked by securepair test root");
  CASE("CRL missing", .leaf = leaf, .crl = pki_crl(s->stranger_root, NULL, 0, 0),
       LEAF_REASONS("UNABLE_TO_GET_CRL"), .words = "add the revocation list of securepair test");
  CASE("CRL expired", .leaf = leaf, .crl = pki_crl(s->root, NULL, -9 * PKI_DAY, -PKI_DAY),
       LEAF_REASONS("CRL_HAS_EXPIRED"), .words = "out of date");
  CASE("CRL not yet valid", .leaf = leaf, .crl = pki_crl(s->root, NULL, PKI_DAY, 9 * PKI_DAY),
       LEAF_REASONS("CRL_NOT_YET_VALID"), .words = "not valid yet");
  CASE("CRL signed by another of the same name", .leaf = leaf, .crl = pki_crl(namesake, NULL, 0, 0),
       LEAF_REASONS("CRL_SIGNATURE_FAILURE"), .words = "not properly signed");
  CASE("intermediate revoked", .leaf = behind, .chain = PKI_THESE(s->intermediate),
       .crl = pki_join(PKI_LIST(pki_crl(s->root, PKI_THESE(s->intermediate), 0, 0),
                                pki_crl(s->intermediate, NULL, 0, 0))),
       ALWAYS("CERT_REVOKED"), .words = "intermediate was revoked by");
  CASE("CRL of the intermediate missing", .leaf = behind, .chain = PKI_THESE(s->intermediate),
       .crl = clean, REASONS("UNABLE_TO_GET_CRL", "CRL_SIGNATURE_FAILURE", "CRL_SIGNATURE_FAILURE"),
       .words = "list of securepair test intermediate");
}

/* -- weak (K07) -------------------------------------------------------------------------------- */

static EVP_PKEY *rsa_512(void) { return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)512); }

/* An authority of ours with a poor key, by which there is a leaf. */
static void add_poor(const pki_set_t *s, const char *name, EVP_PKEY *key, const char *reason) {
  const pki_t *poor = AUTHORITY(s->root, "poor", .use_key = key);
  CASE(name, .leaf = BY(poor, .key = "ec"), .chain = PKI_THESE(poor), .not_in_node = true,
       ALWAYS(reason), .words = "poor");
  EVP_PKEY_free(key);
}

static void add_poor_ones(const pki_set_t *s) {
  add_poor(s, "authority with RSA 512", rsa_512(), "CA_KEY_TOO_SMALL");
  const pki_t *small = AUTHORITY(s->root, "small", .key = "p192");
  CASE("authority with P-192", .leaf = BY(small, .key = "ec"), .chain = PKI_THESE(small),
       .not_in_node = true, ALWAYS("CA_KEY_TOO_SMALL"), .words = "small");
  const pki_t *rsa = AUTHORITY(s->root, "with RSA", .key = "rsa"); /* ECDSA is never with MD5 */
  const pki_t *md5 = AUTHORITY(rsa, "hashed badly", .digest = "md5");
  CASE("signed with MD5", .leaf = BY(rsa, .digest = "md5"), .chain = PKI_THESE(rsa),
       .not_in_node = true, ALWAYS("CA_MD_TOO_WEAK"),
       .words = "md5WithRSAEncryption, which is too weak");
  CASE("authority signed with MD5", .leaf = BY(md5, .key = "ec"), .chain = PKI_THESE(md5, rsa),
       .not_in_node = true, ALWAYS("CA_MD_TOO_WEAK"),
       .words = "md5WithRSAEncryption, which is too weak");
}

static void add_weak(const pki_set_t *s) {
  const pki_t *weak = AUTHORITY(s->root, "weak", .key = "rsa1024");
  CASE("RSA 1024", .leaf = BY(s->root, .key = "rsa1024"), .not_in_node = true,
       REASONS("EE_KEY_TOO_SMALL", ALONE, ALONE), .words = "RSA, 1024 bits");
  CASE("authority with RSA 1024", .leaf = BY(weak, .key = "ec"), .chain = PKI_THESE(weak),
       .not_in_node = true, ALWAYS("CA_KEY_TOO_SMALL"), .words = "RSA, 1024 bits");
  CASE("signed with SHA-1", .leaf = BY(s->root, .digest = "sha1"), .not_in_node = true,
       REASONS("CA_MD_TOO_WEAK", ALONE, ALONE), .words = "SHA1, which is too weak");
}

const verdict_case_t *verdict_cases(void) {
  if (count)
    return cases;
  const pki_set_t *s = pki_default();
  add_issuers(s);
  add_orders(s);
  add_authorities(s);
  add_narrow_authorities(s);
  add_purposes(s);
  add_times(s);
  add_several(s);
  add_names(s);
  add_revocations(s);
  add_weak(s);
  add_poor_ones(s);
  return cases;
}

const char *const *verdict_ca(const verdict_case_t *c, case_trust_t trust) {
  static const char *list[2];
  const pki_set_t *s = pki_default();
  list[0] = NULL;
  if (trust == TRUST_OWN)
    list[0] = c->ca ? c->ca : s->root->cert_pem;
  else if (trust == TRUST_OTHER)
    list[0] = s->stranger_root->cert_pem;
  return list;
}
