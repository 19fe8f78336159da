#include "pair/describe.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <securepair/error.h>

#include "base/text.h"
#include "certificate/piece.h"

#define MOST 8        /* of a list's entries are told */
#define NAMED_CURVE 3 /* RFC 8422 5.4 */

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* -- writing ----------------------------------------------------------------------------------- */

typedef struct text {
  char *room;
  size_t used; /* below SP__LINE */
} text_t;

__attribute__((format(printf, 2, 3))) static void say(text_t *text, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  size_t left = SP__LINE - text->used;
  int n = vsnprintf(text->room + text->used, left, format, arguments);
  va_end(arguments);
  text->used += n < 0 ? 0 : (size_t)n < left ? (size_t)n : left - 1;
}

/* -- reading (RFC 8446 3) ---------------------------------------------------------------------- */

typedef struct reader {
  const uint8_t *bytes;
  size_t n;
  bool bad; /* it ended too early; from then on everything is empty */
} reader_t;

/* The next n bytes. */
static reader_t take(reader_t *reader, size_t n) {
  if (n > reader->n) {
    *reader = (reader_t){.bad = true};
    return *reader;
  }
  reader_t part = {reader->bytes, n, false};
  reader->bytes += n;
  reader->n -= n;
  return part;
}

static unsigned number(reader_t *reader, size_t size) {
  reader_t part = take(reader, size);
  unsigned value = 0;
  for (size_t i = 0; i < part.n; i++)
    value = value << 8 | part.bytes[i];
  return value;
}

/* What follows its length, which has `size` bytes. */
static reader_t vector(reader_t *reader, size_t size) {
  unsigned n = number(reader, size);
  return reader->bad ? *reader : take(reader, n);
}

/* The content of an extension of that type. */
static bool find(reader_t extensions, unsigned type, reader_t *content) {
  while (extensions.n) {
    unsigned found = number(&extensions, 2);
    *content = vector(&extensions, 2);
    if (found == type && !extensions.bad)
      return true;
  }
  return false;
}

/* -- names of numbers -------------------------------------------------------------------------- */

typedef struct word {
  unsigned number;
  const char *name;
} word_t;

static const word_t versions[] = {
    {0x0304, "TLS 1.3"}, {0x0303, "TLS 1.2"}, {0x0302, "TLS 1.1"},
    {0x0301, "TLS 1.0"}, {0x0300, "SSL 3.0"},
};

static const word_t groups[] = {
    {23, "secp256r1"},
    {24, "secp384r1"},
    {25, "secp521r1"},
    {29, "x25519"},
    {30, "x448"},
    {256, "ffdhe2048"},
    {257, "ffdhe3072"},
    {258, "ffdhe4096"},
    {4587, "SecP256r1MLKEM768"},
    {4588, "X25519MLKEM768"},
    {4589, "SecP384r1MLKEM1024"},
};

static const word_t schemes[] = {
    {0x0401, "rsa_pkcs1_sha256"},
    {0x0501, "rsa_pkcs1_sha384"},
    {0x0601, "rsa_pkcs1_sha512"},
    {0x0403, "ecdsa_secp256r1_sha256"},
    {0x0503, "ecdsa_secp384r1_sha384"},
    {0x0603, "ecdsa_secp521r1_sha512"},
    {0x0804, "rsa_pss_rsae_sha256"},
    {0x0805, "rsa_pss_rsae_sha384"},
    {0x0806, "rsa_pss_rsae_sha512"},
    {0x0807, "ed25519"},
    {0x0808, "ed448"},
    {0x0809, "rsa_pss_pss_sha256"},
    {0x080a, "rsa_pss_pss_sha384"},
    {0x080b, "rsa_pss_pss_sha512"},
    {0x0201, "rsa_pkcs1_sha1"},
    {0x0203, "ecdsa_sha1"},
};

static const word_t messages[] = {
    {SSL3_MT_HELLO_REQUEST, "HelloRequest"},
    {SSL3_MT_CLIENT_HELLO, "ClientHello"},
    {SSL3_MT_SERVER_HELLO, "ServerHello"},
    {SSL3_MT_NEWSESSION_TICKET, "NewSessionTicket"},
    {SSL3_MT_END_OF_EARLY_DATA, "EndOfEarlyData"},
    {SSL3_MT_ENCRYPTED_EXTENSIONS, "EncryptedExtensions"},
    {SSL3_MT_CERTIFICATE, "Certificate"},
    {SSL3_MT_SERVER_KEY_EXCHANGE, "ServerKeyExchange"},
    {SSL3_MT_CERTIFICATE_REQUEST, "CertificateRequest"},
    {SSL3_MT_SERVER_DONE, "ServerHelloDone"},
    {SSL3_MT_CERTIFICATE_VERIFY, "CertificateVerify"},
    {SSL3_MT_CLIENT_KEY_EXCHANGE, "ClientKeyExchange"},
    {SSL3_MT_FINISHED, "Finished"},
    {SSL3_MT_CERTIFICATE_URL, "CertificateURL"},
    {SSL3_MT_CERTIFICATE_STATUS, "CertificateStatus"},
    {SSL3_MT_KEY_UPDATE, "KeyUpdate"},
    {25, "CompressedCertificate"},
};

static void say_number(text_t *text, const word_t *words, size_t count, unsigned value) {
  for (size_t i = 0; i < count; i++)
    if (words[i].number == value) {
      say(text, "%s", words[i].name);
      return;
    }
  say(text, "0x%04x", value);
}

/* RFC 8701: values that mean nothing, sent so that nobody gets used to the others. */
static bool is_grease(unsigned value) {
  return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

/* A list of numbers of two bytes each. */
static void say_list(text_t *text, const word_t *words, size_t count, reader_t list) {
  unsigned told = 0;
  while (list.n && told < MOST) {
    unsigned value = number(&list, 2);
    if (list.bad || is_grease(value))
      continue;
    say(text, told++ ? "," : "");
    say_number(text, words, count, value);
  }
  if (list.n)
    say(text, ",...");
}

static void say_bytes(text_t *text, reader_t bytes) {
  char room[128];
  size_t n = sp__escape(room, sizeof room, bytes.bytes, bytes.n);
  say(text, "%s%s", room, n < bytes.n ? "..." : "");
}

/* -- hellos ------------------------------------------------------------------------------------ */

static void say_versions(text_t *text, unsigned legacy, reader_t extensions) {
  reader_t content;
  if (!find(extensions, TLSEXT_TYPE_supported_versions, &content)) {
    say_number(text, versions, COUNT(versions), legacy);
    return;
  }
  say_list(text, versions, COUNT(versions), vector(&content, 1));
}

static void say_name(text_t *text, reader_t extensions) {
  reader_t content;
  if (!find(extensions, TLSEXT_TYPE_server_name, &content))
    return;
  reader_t list = vector(&content, 2);
  (void)number(&list, 1);
  say(text, "; name ");
  say_bytes(text, vector(&list, 2));
}

static void say_protocols(text_t *text, reader_t extensions) {
  reader_t content;
  if (!find(extensions, TLSEXT_TYPE_application_layer_protocol_negotiation, &content))
    return;
  reader_t list = vector(&content, 2);
  say(text, "; ALPN ");
  for (unsigned told = 0; list.n && told < MOST; told++) {
    say(text, told ? "," : "");
    say_bytes(text, vector(&list, 1));
  }
  if (list.n)
    say(text, ",...");
}

static bool has_content(reader_t extensions, unsigned type) {
  reader_t content;
  return find(extensions, type, &content) && content.n;
}

static void say_client_hello(text_t *text, reader_t *body) {
  unsigned legacy = number(body, 2);
  (void)take(body, SSL3_RANDOM_SIZE);
  (void)vector(body, 1); /* the session's id */
  reader_t suites = vector(body, 2), content;
  (void)vector(body, 1); /* compression */
  reader_t extensions = body->n ? vector(body, 2) : (reader_t){.n = 0};
  say_versions(text, legacy, extensions);
  say(text, "; %zu cipher suites", suites.n / 2);
  say_name(text, extensions);
  say_protocols(text, extensions);
  if (find(extensions, TLSEXT_TYPE_supported_groups, &content)) {
    say(text, "; groups ");
    say_list(text, groups, COUNT(groups), vector(&content, 2));
  }
  if (has_content(extensions, TLSEXT_TYPE_psk) ||
      has_content(extensions, TLSEXT_TYPE_session_ticket))
    say(text, "; wants to resume");
}

/* RFC 8446 4.1.3: a ServerHello with this in place of a random number asks for another hello. */
static bool is_retry(reader_t random) {
  static const uint8_t retry[] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
                                  0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
                                  0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
  return random.n == sizeof retry && !memcmp(random.bytes, retry, sizeof retry);
}

static void say_suite(text_t *text, const SSL *ssl, reader_t suite) {
  if (suite.n != 2)
    return;
  const SSL_CIPHER *cipher = SSL_CIPHER_find((SSL *)(uintptr_t)ssl, suite.bytes);
  const char *name = cipher ? SSL_CIPHER_standard_name(cipher) : NULL;
  if (name)
    say(text, " %s", name);
  else
    say(text, " suite 0x%02x%02x", suite.bytes[0], suite.bytes[1]);
}

static void say_server_hello(text_t *text, const SSL *ssl, reader_t *body) {
  unsigned version = number(body, 2);
  reader_t random = take(body, SSL3_RANDOM_SIZE), content;
  (void)vector(body, 1); /* the session's id */
  reader_t suite = take(body, 2);
  (void)number(body, 1); /* compression */
  reader_t extensions = body->n ? vector(body, 2) : (reader_t){.n = 0};
  if (find(extensions, TLSEXT_TYPE_supported_versions, &content))
    version = number(&content, 2);
  say_number(text, versions, COUNT(versions), version);
  say_suite(text, ssl, suite);
  if (find(extensions, TLSEXT_TYPE_key_share, &content)) {
    say(text, " ");
    say_number(text, groups, COUNT(groups), number(&content, 2));
  }
  if (is_retry(random))
    say(text, "; asks for another ClientHello");
  if (find(extensions, TLSEXT_TYPE_psk, &content))
    say(text, "; resumes");
  say_protocols(text, extensions);
}

/* -- the others -------------------------------------------------------------------------------- */

static void say_holder(text_t *text, reader_t der) {
  const unsigned char *p = der.bytes;
  ERR_set_mark();
  X509 *x509 = der.n ? d2i_X509(NULL, &p, (long)der.n) : NULL;
  if (x509)
    say(text, ", of %s", sp__piece_subject(x509).text);
  X509_free(x509);
  ERR_pop_to_mark();
}

static void say_certificates(text_t *text, const SSL *ssl, reader_t *body) {
  bool is_1_3 = SSL_version(ssl) == TLS1_3_VERSION;
  unsigned count = 0;
  reader_t first = {.n = 0};
  if (is_1_3)
    (void)vector(body, 1); /* the request's context */
  reader_t list = vector(body, 3);
  for (; list.n; count++) {
    reader_t der = vector(&list, 3);
    if (is_1_3)
      (void)vector(&list, 2); /* extensions */
    if (!count)
      first = der;
  }
  say(text, "%u certificate%s", count, count == 1 ? "" : "s");
  say_holder(text, first);
}

static void say_key_exchange(text_t *text, reader_t *body) {
  if (number(body, 1) != NAMED_CURVE)
    return;
  say_number(text, groups, COUNT(groups), number(body, 2));
}

static void say_encrypted_extensions(text_t *text, reader_t *body) {
  text_t before = *text;
  say_protocols(text, vector(body, 2));
  if (text->used > before.used) /* without "; " */
    memmove(text->room + before.used, text->room + before.used + 2, text->used - before.used - 1);
  text->used -= text->used > before.used ? 2 : 0;
}

static void say_body(text_t *text, const sp__message_t *message, unsigned type, reader_t *body) {
  switch (type) {
  case SSL3_MT_CLIENT_HELLO:
    say_client_hello(text, body);
    break;
  case SSL3_MT_SERVER_HELLO:
    say_server_hello(text, message->ssl, body);
    break;
  case SSL3_MT_ENCRYPTED_EXTENSIONS:
    say_encrypted_extensions(text, body);
    break;
  case SSL3_MT_CERTIFICATE:
    say_certificates(text, message->ssl, body);
    break;
  case SSL3_MT_CERTIFICATE_VERIFY:
    say_number(text, schemes, COUNT(schemes), number(body, 2));
    break;
  case SSL3_MT_SERVER_KEY_EXCHANGE:
    say_key_exchange(text, body);
    break;
  case SSL3_MT_NEWSESSION_TICKET:
    say(text, "good for %u s", number(body, 4));
    break;
  case SSL3_MT_KEY_UPDATE:
    say(text, number(body, 1) ? "asks for ours" : "no answer needed");
    break;
  default:
    break;
  }
}

static void say_handshake(text_t *text, const sp__message_t *message) {
  reader_t body = {message->bytes, message->n, false};
  unsigned type = number(&body, 1);
  say_number(text, messages, COUNT(messages), type);
  say(text, ", %zu bytes", message->n);
  (void)number(&body, 3);
  size_t before = text->used;
  say(text, ": ");
  size_t head = text->used;
  say_body(text, message, type, &body);
  if (text->used == head) { /* nothing more to tell */
    text->used = before;
    text->room[before] = '\0';
  }
  if (body.bad)
    say(text, "; cut off");
}

static void say_alert(text_t *text, const sp__message_t *message) {
  if (message->n < 2) {
    say(text, "alert, cut off");
    return;
  }
  unsigned level = message->bytes[0], alert = message->bytes[1];
  const char *words = level == SSL3_AL_FATAL     ? "fatal"
                      : level == SSL3_AL_WARNING ? "warning"
                                                 : "of unknown level";
  say(text, "alert %s %s (%u)", words, sp_alert_name((int)alert), alert);
}

bool sp__describe(char line[SP__LINE], const sp__message_t *message) {
  text_t text = {line, 0};
  say(&text, message->sent ? "> " : "< ");
  switch (message->type) {
  case SSL3_RT_HANDSHAKE:
    say_handshake(&text, message);
    return true;
  case SSL3_RT_ALERT:
    say_alert(&text, message);
    return true;
  case SSL3_RT_CHANGE_CIPHER_SPEC:
    say(&text, "ChangeCipherSpec");
    return true;
  default: /* headers and inner types of records */
    return false;
  }
}
