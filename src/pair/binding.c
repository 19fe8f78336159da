/* What ties a protocol inside of a connection to the connection: channel bindings. */
#include <openssl/x509.h>

#include "base/error.h"
#include "pair/pair.h"

/* -- tls-exporter (RFC 9266) ------------------------------------------------------------------- */

/* Without it two connections may have the same secrets (RFC 7627 1). TLS 1.3 has it built in. */
static bool has_own_secrets(SSL *ssl) {
  return SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support(ssl) == 1;
}

static int check_secrets(const sp_pair_t *pair, sp_error_t *why) {
  if (has_own_secrets(pair->ssl))
    return 0;
  return sp__fail(why, SP_EVERSION, SP_PEER,
                  "channel bindings of TLS 1.2 need the extended master secret (RFC 7627), which "
                  "the peer does not have");
}

static int bind_exporter(sp_pair_t *pair, void *room, sp_error_t *why) {
  int status = check_secrets(pair, why);
  if (status < 0)
    return status;
  status = sp_pair_export_key(pair, room, 32, "EXPORTER-Channel-Binding", "", 0);
  return status < 0 ? sp__fail(why, status, SP_US, "the exporter failed") : 32;
}

/* -- tls-server-end-point (RFC 5929 4) --------------------------------------------------------- */

/* Leaves the engine as it was; there is nothing to be signed any more. */
static bool has_one_certificate(SSL *ssl) {
  const X509 *current = SSL_get_certificate(ssl);
  int count = 0;
  for (long more = SSL_set_current_cert(ssl, SSL_CERT_SET_FIRST); more;
       more = SSL_set_current_cert(ssl, SSL_CERT_SET_NEXT))
    count++;
  for (long more = SSL_set_current_cert(ssl, SSL_CERT_SET_FIRST);
       more && SSL_get_certificate(ssl) != current;
       more = SSL_set_current_cert(ssl, SSL_CERT_SET_NEXT))
    ;
  return count == 1;
}

/* The server's certificate as its client got it, maybe in an earlier connection. Borrowed. */
static X509 *find_certificate(const sp_pair_t *pair, sp_error_t *why) {
  X509 *certificate = NULL;
  if (pair->role == SP_CLIENT)
    certificate = SSL_get0_peer_certificate(pair->ssl);
  else if (!sp__pair_is_psk(pair))
    certificate = SSL_get_certificate(pair->ssl);
  if (!certificate)
    sp__fail(why, SP_ECERTIFICATE, SP_US, "the server has shown no certificate");
  else if (pair->role == SP_SERVER && SSL_session_reused(pair->ssl) &&
           !has_one_certificate(pair->ssl)) {
    sp__fail(why, SP_ECERTIFICATE, SP_US,
             "the session is a resumed one, and which of several certificates its client knows is "
             "not known any more");
    return NULL;
  }
  return certificate;
}

/* The hash of the certificate's signature, but SHA-256 in place of MD5 and SHA-1. */
static const EVP_MD *find_hash(X509 *certificate) {
  int hash;
  if (!X509_get_signature_info(certificate, &hash, NULL, NULL, NULL) || hash == NID_undef)
    return NULL;
  return hash == NID_md5 || hash == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(hash);
}

static int bind_end_point(const sp_pair_t *pair, void *room, sp_error_t *why) {
  unsigned n = 0;
  X509 *certificate = find_certificate(pair, why);
  if (!certificate)
    return SP_ECERTIFICATE;
  const EVP_MD *hash = find_hash(certificate);
  if (!hash)
    return sp__fail(why, SP_ECERTIFICATE, SP_US,
                    "no tls-server-end-point is defined for a certificate that is signed with %s: "
                    "take tls-exporter",
                    OBJ_nid2sn(X509_get_signature_nid(certificate)));
  if (!X509_digest(certificate, hash, room, &n))
    return sp__fail(why, SP_ECRYPTO, SP_US, "the certificate cannot be hashed");
  return (int)n;
}

/* -- tls-unique (RFC 5929 3) ------------------------------------------------------------------- */

static int bind_unique(const sp_pair_t *pair, void *room, sp_error_t *why) {
  if (SSL_version(pair->ssl) >= TLS1_3_VERSION)
    return sp__fail(why, SP_EVERSION, SP_US,
                    "tls-unique is not defined for TLS 1.3 (RFC 8446 C.5): take tls-exporter");
  int status = check_secrets(pair, why);
  if (status < 0)
    return status;
  /* the first Finished message: the client's, in a resumed session the server's */
  bool ours = (pair->role == SP_CLIENT) != SSL_session_reused(pair->ssl);
  return (int)sp_pair_finished(pair, !ours, room, SP_BINDING_SIZE);
}

/* -- all of them ------------------------------------------------------------------------------- */

static int make(sp_pair_t *pair, sp_binding_t type, void *room, sp_error_t *why) {
  switch (type) {
  case SP_TLS_EXPORTER:
    return bind_exporter(pair, room, why);
  case SP_TLS_SERVER_END_POINT:
    return bind_end_point(pair, room, why);
  case SP_TLS_UNIQUE:
    return bind_unique(pair, room, why);
  default:
    return sp__fail(why, SP_EOPTION, SP_US, "%d is no type of channel binding", (int)type);
  }
}

int sp_pair_channel_binding(sp_pair_t *pair, sp_binding_t type, void *room, size_t size,
                            sp_error_t *why) {
  if (sp__pair_is_away(pair))
    return sp__fail(why, SP_EOPTION, SP_US, "a channel binding needs a secure connection");
  if (pair->busy)
    return sp__fail(why, SP_EREENTRY, SP_US, "no channel binding is known within a hook");
  if (pair->error || !pair->secure)
    return sp__fail(why, SP_EOPTION, SP_US, "a channel binding needs a secure connection");
  if (size < SP_BINDING_SIZE)
    return sp__fail(why, SP_EOPTION, SP_US, "room for a channel binding is %d bytes, not %zu",
                    SP_BINDING_SIZE, size);
  return make(pair, type, room, why);
}
