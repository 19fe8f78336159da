/* From OpenSSL's error queue to an error with a sentence a person can act on. */
#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/proverr.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "pair/lookup.h"
#include "pair/pair.h"
#include "pair/target.h"

static sp_error_t *error_room(sp_pair_t *pair) {
  if (pair->error)
    return NULL;
  sp__target_failed(pair);
  pair->error = sp__zalloc(sizeof *pair->error);
  if (pair->error)
    return pair->error;
  pair->error = (sp_error_t *)&sp__memory_error;
  return NULL;
}

int sp__pair_fail(sp_pair_t *pair, int status, sp_party_t who, const char *text) {
  sp_error_t *error = error_room(pair);
  if (error) {
    sp__fail(error, status, who, "%s", text);
    error->alert = pair->alert;
    error->verify = pair->verify;
  }
  return pair->error->status;
}

/* -- alerts of the peer (RFC 8446 6) ----------------------------------------------------------- */

static const char *alert_advice(const sp_pair_t *pair, int alert) {
  switch (alert) {
  case SSL_AD_HANDSHAKE_FAILURE:
    return "nothing in common: compare versions, cipher suites and groups, and whether it wants "
           "a client certificate";
  case SSL_AD_PROTOCOL_VERSION:
    return "it supports none of our protocol versions: compare min_version and max_version";
  case SSL_AD_INSUFFICIENT_SECURITY:
    return "it wants stronger cipher suites, groups or keys than are enabled here";
  case SSL_AD_BAD_RECORD_MAC:
  case SSL_AD_DECRYPTION_FAILED:
  case SSL_AD_DECRYPT_ERROR:
    return "what we sent came to it damaged: look at what lies between (proxies, middleboxes)";
  case SSL_AD_UNEXPECTED_MESSAGE:
  case SSL_AD_RECORD_OVERFLOW:
  case SSL_AD_DECODE_ERROR:
  case SSL_AD_ILLEGAL_PARAMETER:
  case SSL_AD_MISSING_EXTENSION:
  case SSL_AD_UNSUPPORTED_EXTENSION:
    return "it could not make sense of what we sent: a fault of its program or of ours, or of "
           "something in between that changes TLS";
  case SSL_AD_INTERNAL_ERROR:
    return "it failed for a reason of its own: look at its log";
  case SSL_AD_UNKNOWN_PSK_IDENTITY:
    return "it does not know our identity: compare the keys that both sides know (PSK)";
  case SSL_AD_USER_CANCELLED:
    return "its user or program gave up";
  case SSL_AD_UNKNOWN_CA:
    return "it does not trust the issuer of our certificate, or misses an intermediate one";
  case SSL_AD_BAD_CERTIFICATE:
  case SSL_AD_UNSUPPORTED_CERTIFICATE:
  case SSL_AD_CERTIFICATE_UNKNOWN:
    return "it did not accept our certificate: its log says why";
  case SSL_AD_CERTIFICATE_EXPIRED:
    return "our certificate has expired, or is not valid yet by its clock: renew it, or set the "
           "clock";
  case SSL_AD_CERTIFICATE_REVOKED:
    return "our certificate is revoked: get a new one";
  case SSL_AD_BAD_CERTIFICATE_STATUS_RESPONSE:
    return "it wants a good OCSP response along with our certificate (staple)";
  case SSL_AD_CERTIFICATE_REQUIRED:
    return "it requires a client certificate: give cert and key";
  case SSL_AD_UNRECOGNIZED_NAME:
    return "it does not know the server name that was asked for";
  case SSL_AD_NO_APPLICATION_PROTOCOL:
    return "it speaks none of our application protocols: compare alpn on both sides";
  case SSL_AD_ACCESS_DENIED:
    return "it denies us access, although the certificate is fine";
  default:
    return pair->secure ? "it ended the connection" : "it ended the handshake";
  }
}

static void say_alert(sp_error_t *error, const sp_pair_t *pair, int alert) {
  sp__fail(error, SP_EALERT, SP_PEER, "the %s sent the alert %s (%d): %s",
           pair->role == SP_CLIENT ? "server" : "client", sp_alert_name(alert), alert,
           alert_advice(pair, alert));
  error->alert = alert;
}

/* -- what is not TLS --------------------------------------------------------------------------- */

static bool begins(const sp_pair_t *pair, const char *text) {
  return !memcmp(pair->first, text, strlen(text));
}

static bool looks_like_tls(const sp_pair_t *pair) {
  return pair->first[0] >= SSL3_RT_CHANGE_CIPHER_SPEC &&
         pair->first[0] <= SSL3_RT_APPLICATION_DATA && pair->first[1] == SSL3_VERSION_MAJOR;
}

static void say_begin(sp_error_t *error, const sp_pair_t *pair) {
  char begin[sizeof pair->first * 4 + 1];
  size_t n = sizeof pair->first;
  sp__escape(begin, sizeof begin, pair->first, pair->bytes_in < n ? (size_t)pair->bytes_in : n);
  sp__fail(error, SP_ENOTTLS, SP_PEER, "what the %s sends is not TLS (it begins \"%s\")",
           pair->role == SP_CLIENT ? "server" : "client", begin);
}

static void say_not_tls(sp_error_t *error, const sp_pair_t *pair) {
  bool client = pair->role == SP_CLIENT;
  if (pair->secure || looks_like_tls(pair))
    sp__fail(error, SP_EPROTOCOL, SP_PEER,
             "a TLS record has a wrong version number: the connection was damaged on its way");
  else if (begins(pair, "HTTP/"))
    sp__fail(error, SP_EHTTP, SP_PEER,
             "the server speaks plain HTTP on this port: connect to its TLS port");
  else if (client && (begins(pair, "220 ") || begins(pair, "220-") || begins(pair, "* OK") ||
                      begins(pair, "+OK")))
    sp__fail(error, SP_ENOTTLS, SP_PEER,
             "the server greets in cleartext on this port: it wants STARTTLS, or another port");
  else if (begins(pair, "SSH-"))
    sp__fail(error, SP_ENOTTLS, SP_PEER,
             "an SSH %s talks on this port: one of the two has the wrong port",
             client ? "server" : "client");
  else
    say_begin(error, pair);
}

/* -- OpenSSL's reasons ------------------------------------------------------------------------- */

static const struct {
  int reason, status;
  sp_party_t who;
  const char *text;
} sentences[] = {
    {SSL_R_HTTP_REQUEST, SP_EHTTP, SP_PEER,
     "the client speaks plain HTTP on a TLS port: use https://"},
    {SSL_R_HTTPS_PROXY_REQUEST, SP_EHTTP, SP_PEER,
     "the client sent an HTTP CONNECT request to a TLS port: this is no proxy"},
    {SSL_R_NO_SHARED_CIPHER, SP_EPROTOCOL, SP_PEER,
     "no cipher suite in common with the client (or no certificate for those it offers): compare "
     "ciphers, suites and the type of the key"},
    {SSL_R_NO_SHARED_GROUPS, SP_EPROTOCOL, SP_PEER,
     "no key exchange group in common: compare groups on both sides"},
    {SSL_R_NO_SUITABLE_KEY_SHARE, SP_EPROTOCOL, SP_PEER,
     "no key exchange group in common: compare groups on both sides"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SP_EPROTOCOL, SP_PEER,
     "no signature algorithm in common that fits the certificate: compare sigalgs, or add a "
     "certificate with another type of key"},
    {SSL_R_NO_CERTIFICATE_SET, SP_ECERTIFICATE, SP_US,
     "this server has no certificate for the client: give cert and key, or a context by its name"},
    {SSL_R_UNKNOWN_PROTOCOL, SP_EPROTOCOL, SP_PEER,
     "the peer offers only protocol versions that are not enabled here: compare min_version and "
     "max_version"},
    {SSL_R_UNSUPPORTED_PROTOCOL, SP_EPROTOCOL, SP_PEER,
     "the peer offers only protocol versions that are not enabled here: compare min_version and "
     "max_version"},
    {SSL_R_VERSION_TOO_LOW, SP_EPROTOCOL, SP_PEER,
     "the peer offers only protocol versions that are not enabled here: compare min_version and "
     "max_version"},
    {SSL_R_PACKET_LENGTH_TOO_LONG, SP_EPROTOCOL, SP_PEER,
     "the peer sent a record longer than TLS allows: its program is faulty, or it is not TLS"},
    {SSL_R_ENCRYPTED_LENGTH_TOO_LONG, SP_EPROTOCOL, SP_PEER,
     "the peer sent a record longer than TLS allows: its program is faulty, or it is not TLS"},
    {SSL_R_DATA_LENGTH_TOO_LONG, SP_EPROTOCOL, SP_PEER,
     "the peer sent a record longer than TLS allows: its program is faulty, or it is not TLS"},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, SP_EPROTOCOL, SP_PEER,
     "a record was damaged or forged on its way: look at what lies between (proxies, "
     "middleboxes)"},
    {SSL_R_NO_APPLICATION_PROTOCOL, SP_EPROTOCOL, SP_PEER,
     "no application protocol (ALPN) in common with the client: compare alpn on both sides"},
    {SSL_R_UNEXPECTED_MESSAGE, SP_EPROTOCOL, SP_PEER,
     "the peer sent a message that does not belong here: its program is faulty, or something in "
     "between changes TLS"},
    {SSL_R_UNEXPECTED_RECORD, SP_EPROTOCOL, SP_PEER,
     "the peer sent a record that does not belong here: its program is faulty, or something in "
     "between changes TLS"},
    {SSL_R_NO_RENEGOTIATION, SP_ERENEGOTIATION, SP_PEER, "the peer refuses to renegotiate"},
    {SSL_R_TOO_MANY_KEY_UPDATES, SP_EPROTOCOL, SP_PEER,
     "the peer sends one key update after another"},
    {SSL_R_TOO_MANY_WARN_ALERTS, SP_EPROTOCOL, SP_PEER,
     "the peer sent 5 warnings in a row, more than are put up with"},
    {SSL_R_RECORD_TOO_SMALL, SP_EPROTOCOL, SP_PEER,
     "the peer sent more than 32 empty records in a row"},
};

/* A record too short to hold its own tag: some versions of libssl leave the refusal to the cipher.
 */
static int reason_of(unsigned long code) {
  if (ERR_GET_LIB(code) == ERR_LIB_SSL)
    return ERR_GET_REASON(code);
  bool too_short = ERR_GET_LIB(code) == ERR_LIB_PROV && ERR_GET_REASON(code) == PROV_R_INVALID_AAD;
  return too_short ? SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC : 0;
}

/* What we blame the peer for by our alert. */
static bool is_malformed(int alert) {
  return alert == SSL_AD_DECODE_ERROR || alert == SSL_AD_ILLEGAL_PARAMETER ||
         alert == SSL_AD_MISSING_EXTENSION || alert == SSL_AD_UNSUPPORTED_EXTENSION ||
         alert == SSL_AD_UNEXPECTED_MESSAGE;
}

static void say_other(sp_error_t *error, const sp_pair_t *pair, unsigned long code) {
  const char *text = ERR_reason_error_string(code);
  const char *what = pair->secure ? "the TLS connection" : "the TLS handshake";
  bool blamed = pair->alert >= 0 && pair->alert != SSL_AD_INTERNAL_ERROR;
  if (!text)
    text = "OpenSSL gave no reason";
  if (is_malformed(pair->alert))
    sp__fail(error, SP_EPROTOCOL, SP_PEER,
             "the peer sent a malformed message (%s): its program is faulty, or something in "
             "between changes TLS",
             text);
  else if (blamed || ERR_GET_LIB(code) == ERR_LIB_SSL)
    sp__fail(error, SP_EPROTOCOL, SP_PEER, "%s failed: %s; the other side's log may say more", what,
             text);
  else
    sp__fail(error, SP_ECRYPTO, SP_US, "%s failed in OpenSSL: %s", what, text);
}

static void say_reason(sp_error_t *error, const sp_pair_t *pair, unsigned long code) {
  int reason = reason_of(code);
  for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++)
    if (sentences[i].reason == reason) {
      sp__fail(error, sentences[i].status, sentences[i].who, "%s", sentences[i].text);
      return;
    }
  say_other(error, pair, code);
}

static bool is_verdict(int reason) {
  return reason == SSL_R_CERTIFICATE_VERIFY_FAILED || reason == SSL_R_INVALID_STATUS_RESPONSE ||
         reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
}

static void say_refusal(sp_error_t *error, int answer) {
  if (answer == SP_EREFUSED)
    sp__fail(error, answer, SP_US, "a hook of this program refused the connection");
  else
    sp__fail(error, answer, SP_US, "a hook refused the connection: %s", sp_error_text(answer));
}

static void say(sp_error_t *error, const sp_pair_t *pair, unsigned long code) {
  int reason = ERR_GET_REASON(code);
  bool by_ssl = ERR_GET_LIB(code) == ERR_LIB_SSL;
  if (pair->answer == SP_EPROTOCOL)
    sp__fail(error, SP_EPROTOCOL, SP_PEER,
             "the client's first message is malformed: its server name or a list in it");
  else if (pair->answer < 0)
    say_refusal(error, pair->answer);
  else if (!code || reason == ERR_R_MALLOC_FAILURE)
    sp__fail_memory(error);
  else if (by_ssl && reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256)
    say_alert(error, pair, reason - SSL_AD_REASON_OFFSET);
  else if (by_ssl && is_verdict(reason) && pair->verdict)
    sp__fail(error, SP_EUNAUTHORIZED, SP_PEER, "%s", pair->verdict->text);
  else if (by_ssl && reason == SSL_R_WRONG_VERSION_NUMBER)
    say_not_tls(error, pair);
  else
    say_reason(error, pair, code);
}

static bool says_why(unsigned long code) {
  int reason = ERR_GET_REASON(code);
  bool by_ssl = ERR_GET_LIB(code) == ERR_LIB_SSL && reason >= 100 && reason < ERR_RFLAG_COMMON;
  return by_ssl || reason == ERR_R_MALLOC_FAILURE;
}

/* What went wrong in terms of TLS stands behind what went wrong in a cipher or a key. */
static unsigned long take_reason(void) {
  unsigned long first = ERR_get_error(), code = first;
  while (code && !says_why(code))
    code = ERR_get_error();
  return code ? code : first;
}

int sp__pair_fail_engine(sp_pair_t *pair) {
  unsigned long code = take_reason();
  if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
      ERR_GET_REASON(code) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
    sp__pair_miss_certificate(pair);
  sp_error_t *error = error_room(pair);
  if (error) {
    say(error, pair, code);
    if (error->alert < 0)
      error->alert = pair->alert;
    error->reason = code;
    error->verify = pair->verify;
    sp__pair_unshelve(pair);
  }
  ERR_clear_error();
  return pair->error->status;
}

int sp__pair_fail_early(sp_pair_t *pair) {
  const char *text = "the client closed before the connection was secure: it gave up, or does not "
                     "trust our certificate";
  if (!pair->bytes_in)
    text = pair->role == SP_CLIENT
               ? "the server closed before it sent anything: does it speak TLS on this port?"
               : "the client closed before it sent anything: a health check or port scan, or it "
                 "gave up";
  else if (begins(pair, "HTTP/"))
    text = "the server speaks plain HTTP on this port: connect to its TLS port";
  else if (pair->role == SP_CLIENT)
    text = "the server closed during the handshake: it may require a client certificate";
  return sp__pair_fail(pair, SP_EEARLYCLOSE, SP_PEER, text);
}

/* Two processes that go on from one state encrypt different bytes with the same nonce, which gives
 * away both and AES-GCM's key for authentication. */
int sp__pair_fail_forked(sp_pair_t *pair) {
  sp__pair_drop_blocks(pair);
  pair->lent_start = pair->lent_end = 0;
  pair->ahead = 0;
  return sp__pair_fail(pair, SP_EFORKED, SP_US,
                       "this process was forked after the connection was made, which its parent "
                       "goes on with: make a new one here");
}
