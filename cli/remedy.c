#include "remedy.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <uv.h>

#include "starttls.h"

static const char operator_renews[] =
    "The server's operator has to have the certificate made anew; nothing on this side mends it.";
static const char newer_list[] =
    "Get the newest revocation list of that authority and give it: --crl FILE.";
static const char trust_issuer[] = "If you know its authority, trust that: --ca FILE.";

/* What the verdict asks for; the sentence before it says what is wrong. */
static const char *verify_remedy(long verify) {
  switch (verify) {
  case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    return "If it is your server, trust its certificate: --ca FILE. Else somebody may stand "
           "between.";
  case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    return trust_issuer;
  case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    return "The server should send its issuer's certificate along (the \"full chain\"); or --ca "
           "FILE.";
  case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    return "If the authority got a new key, trust its present certificate: --ca FILE. Else "
           "somebody "
           "may stand between.";
  case X509_V_ERR_HOSTNAME_MISMATCH:
  case X509_V_ERR_IP_ADDRESS_MISMATCH:
    return "Connect by a name that the certificate has, or say which one you expect: "
           "--server-name.";
  case X509_V_ERR_CERT_HAS_EXPIRED:
    return "The server's operator has to renew it; check this machine's clock, too.";
  case X509_V_ERR_CERT_NOT_YET_VALID:
  case X509_V_ERR_CRL_NOT_YET_VALID:
    return "Check this machine's clock.";
  case X509_V_ERR_CERT_REVOKED:
    return "Do not go on: whoever has its key may not be the server. Its operator has to replace "
           "it.";
  case X509_V_ERR_UNABLE_TO_GET_CRL:
  case X509_V_ERR_DIFFERENT_CRL_SCOPE:
  case X509_V_ERR_CRL_HAS_EXPIRED:
  case X509_V_ERR_CRL_SIGNATURE_FAILURE:
  case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
    return newer_list;
  case X509_V_ERR_OCSP_VERIFY_NEEDED:
  case X509_V_ERR_OCSP_VERIFY_FAILED:
  case X509_V_ERR_OCSP_CERT_UNKNOWN:
    return "The server's operator has to switch OCSP stapling on and keep it fresh; without "
           "--require-staple it is only told.";
  case X509_V_ERR_INVALID_CA:
  case X509_V_ERR_INVALID_PURPOSE:
  case X509_V_ERR_PATH_LENGTH_EXCEEDED:
  case X509_V_ERR_PERMITTED_VIOLATION:
  case X509_V_ERR_EXCLUDED_VIOLATION:
  case X509_V_ERR_EE_KEY_TOO_SMALL:
  case X509_V_ERR_CA_KEY_TOO_SMALL:
  case X509_V_ERR_CA_MD_TOO_WEAK:
  case X509_V_ERR_EC_KEY_EXPLICIT_PARAMS:
  case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
    return operator_renews;
  default:
    return NULL;
  }
}

static const char *alert_remedy(int alert) {
  switch (alert) {
  case SSL_AD_CERTIFICATE_REQUIRED:
    return "Give a certificate that it knows, with its key: --cert FILE --key FILE.";
  case SSL_AD_HANDSHAKE_FAILURE:
  case SSL_AD_INSUFFICIENT_SECURITY:
    return "Look at --tls-max, --ciphers and --groups; if it wants to know who we are: --cert FILE "
           "--key FILE.";
  case SSL_AD_UNKNOWN_CA:
    return "In the file of --cert, after our certificate, give those of its issuers; or have one "
           "issued by an authority that the server trusts.";
  case SSL_AD_PROTOCOL_VERSION:
    return "It may speak only versions that are not safe any more (1.0, 1.1), and has to be "
           "updated; or --tls-min and --tls-max leave out what it speaks.";
  case SSL_AD_NO_APPLICATION_PROTOCOL:
    return "Offer one that it speaks (--alpn h2 --alpn http/1.1), or none.";
  case SSL_AD_UNRECOGNIZED_NAME:
    return "Ask for a name that it serves: --server-name NAME.";
  default:
    return NULL;
  }
}

/* The server talks another protocol first, or waits for us to do so. */
static const char *cleartext_remedy(char room[160], int port) {
  const char *protocol = cli_protocol_at(port);
  if (!protocol)
    return "If it turns to TLS later, say how: --starttls smtp, imap, pop3, ftp or another.";
  snprintf(room, 160, "Port %d is that of a protocol that turns to TLS later: --starttls %s.", port,
           protocol);
  return room;
}

static const char *early_remedy(char room[160], const sp_error_t *error, int port) {
  if (cli_protocol_at(port))
    return cleartext_remedy(room, port);
  return error->alert < 0 ? "Is it the right port? If it asks who we are: --cert FILE --key FILE."
                          : NULL;
}

const char *cli_remedy(char room[160], const sp_error_t *error, int port, bool with_starttls) {
  if (error->verify)
    return verify_remedy(error->verify);
  switch (error->status) {
  case SP_EALERT:
    return alert_remedy(error->alert);
  case SP_EHTTP:
    return "Take the port of https, mostly 443; or a client that speaks http.";
  case SP_ENOTTLS:
    return with_starttls ? "Somebody between may have put it there." : cleartext_remedy(room, port);
  case SP_EEARLYCLOSE:
    return with_starttls ? NULL : early_remedy(room, error, port);
  case SP_EINJECTED:
    return "The server is faulty, or somebody between put it there: do not go on.";
  case UV_ETIMEDOUT:
    return cli_protocol_at(port) && !with_starttls
               ? cleartext_remedy(room, port)
               : "Is it the right port, and does no firewall swallow it? --timeout waits longer.";
  case UV_ECONNREFUSED:
    return "Nothing listens there, or a firewall refuses: check the host and the port.";
  case UV_EAI_NONAME:
  case UV_EAI_NODATA:
  case UV_EAI_AGAIN:
    return "Check the name; or give the address, and the name by --server-name.";
  case UV_EHOSTUNREACH:
  case UV_ENETUNREACH:
    return "There is no way there from here: check the network; -4 or -6 takes one family only.";
  case UV_ECONNRESET:
    return "The server, or something between, broke it off: does it speak TLS on this port?";
  default:
    return NULL;
  }
}
