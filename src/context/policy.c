#include <string.h>

#include <openssl/err.h>

#include "base/error.h"
#include "base/memory.h"
#include "context/build.h"

/* SECURITY.md. Everything is named, so that openssl.cnf decides nothing. */
static const char default_ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20:!PSK:!aNULL";
static const char default_suites[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char default_sigalgs[] =
    "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:ed25519:ed448:"
    "rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:"
    "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"
    "rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512";

/* The post-quantum hybrid where the OpenSSL at hand has it (3.5). */
static const char *const default_groups[] = {"X25519MLKEM768:X25519:P-256:P-384",
                                             "X25519:P-256:P-384"};

static const char separators[] = ":, ;";

static int refuse(const char *option, const char *value, size_t n, const char *what,
                  sp_error_t *why) {
  return sp__fail_crypto(why, SP_ECIPHERS, "%s: \"%.*s\" %s", option, n > 100 ? 100 : (int)n, value,
                         what);
}

static bool is_version(int version) {
  return version == SP_PROTOCOL_DEFAULT || version == SP_TLS1_2 || version == SP_TLS1_3;
}

static int load_versions(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  int min = (int)options->min_version, max = (int)options->max_version;
  if (!is_version(min) || !is_version(max))
    return sp__fail(why, SP_EVERSION, SP_US, "%s: 0x%04x is not SP_TLS1_2 or SP_TLS1_3",
                    is_version(min) ? "max_version" : "min_version",
                    (unsigned)(is_version(min) ? max : min));
  context->min_version = min ? min : max == SP_TLS1_2 ? max : SP_TLS1_2;
  context->max_version = max ? max : SP_TLS1_3;
  if (context->min_version > context->max_version)
    return sp__fail(
        why, SP_EVERSION, SP_US,
        "min_version is TLS 1.3 but max_version is TLS 1.2: raise or leave out the one");
  if (!SSL_CTX_set_min_proto_version(context->ssl_ctx, context->min_version) ||
      !SSL_CTX_set_max_proto_version(context->ssl_ctx, context->max_version))
    return sp__fail_crypto(why, SP_EVERSION, "min_version, max_version: refused by OpenSSL");
  return 0;
}

/* The next element of a list, NULL at the end. */
static const char *next_element(const char **list, size_t *n) {
  *list += strspn(*list, separators);
  const char *element = *list;
  *n = strcspn(element, separators);
  *list += *n;
  return *n ? element : NULL;
}

/* OpenSSL passes over elements that it does not know as long as one is left, so a slip of the pen
 * would go unseen: each one that adds ciphers is tried on its own. */
static int check_ciphers(SSL_CTX *ctx, const char *ciphers, sp_error_t *why) {
  size_t n;
  bool any = false;
  for (const char *element; (element = next_element(&ciphers, &n)); any = true) {
    if (strchr("!-+@", *element))
      continue;
    if (n > 4 && !strncmp(element, "TLS_", 4))
      return refuse("ciphers", element, n, "is a suite of TLS 1.3: give it in suites", why);
    char *one = sp__copy_bytes(element, n);
    if (!one)
      return sp__fail_memory(why);
    bool known = SSL_CTX_set_cipher_list(ctx, one);
    sp__free(one);
    if (!known)
      return refuse("ciphers", element, n, "is no cipher that this OpenSSL knows", why);
  }
  return any ? 0 : refuse("ciphers", "", 0, "is an empty list: leave it out for the default", why);
}

/* OpenSSL counts suites with PSK only where there is somebody to ask: a hook may come later. */
static unsigned no_key(SSL *ssl, const char *hint, char *identity, unsigned identity_size,
                       unsigned char *key, unsigned size) {
  (void)ssl, (void)hint, (void)identity, (void)identity_size, (void)key, (void)size;
  return 0;
}

/* A list may be valid and yet leave nothing that the security level permits. */
static int check_usable(SSL_CTX *ctx, const char *ciphers, sp_error_t *why) {
  SSL *ssl = SSL_new(ctx);
  if (!ssl || !SSL_set_min_proto_version(ssl, TLS1_2_VERSION) ||
      !SSL_set_max_proto_version(ssl, TLS1_2_VERSION)) {
    SSL_free(ssl);
    return sp__fail_crypto(why, SP_ECRYPTO, "OpenSSL cannot make an SSL");
  }
  SSL_set_psk_client_callback(ssl, no_key);
  STACK_OF(SSL_CIPHER) *usable = SSL_get1_supported_ciphers(ssl);
  bool any = usable && sk_SSL_CIPHER_num(usable) > 0;
  sk_SSL_CIPHER_free(usable);
  SSL_free(ssl);
  return any ? 0
             : refuse("ciphers", ciphers, strlen(ciphers),
                      "leaves no cipher that the security level permits", why);
}

static int load_ciphers(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  SSL_CTX *ctx = context->ssl_ctx;
  const char *ciphers = options->ciphers;
  if (!ciphers) {
    if (SSL_CTX_set_cipher_list(ctx, default_ciphers))
      return 0;
    return refuse("ciphers", default_ciphers, sizeof default_ciphers, "is not available", why);
  }
  if (context->min_version == SP_TLS1_3)
    return refuse("ciphers", ciphers, strlen(ciphers), "is for TLS 1.2, which min_version excludes",
                  why);
  int status = check_ciphers(ctx, ciphers, why);
  if (status < 0)
    return status;
  if (!SSL_CTX_set_cipher_list(ctx, ciphers))
    return refuse("ciphers", ciphers, strlen(ciphers), "selects no cipher", why);
  return check_usable(ctx, ciphers, why);
}

static bool has_suite(SSL_CTX *ctx, const char *name, size_t n) {
  STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(ctx);
  for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
    const char *one = SSL_CIPHER_get_name(sk_SSL_CIPHER_value(all, i));
    if (strlen(one) == n && !strncmp(one, name, n))
      return true;
  }
  return false;
}

static int load_suites(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  const char *suites = options->suites ? options->suites : default_suites;
  if (options->suites && context->max_version == SP_TLS1_2)
    return refuse("suites", suites, strlen(suites), "is for TLS 1.3, which max_version excludes",
                  why);
  if (!SSL_CTX_set_ciphersuites(context->ssl_ctx, suites))
    return refuse("suites", suites, strlen(suites), "is not known to this OpenSSL", why);
  size_t n, count = 0;
  for (const char *rest = suites, *one; (one = next_element(&rest, &n)); count++)
    if (!has_suite(context->ssl_ctx, one, n) || strncmp(one, "TLS_", 4) != 0)
      return refuse("suites", one, n, "is no TLS 1.3 suite that this OpenSSL knows", why);
  if (!count)
    return refuse("suites", "", 0, "is an empty list: leave it out for the default", why);
  return (context->suites = sp__copy_text(suites)) ? 0 : sp__fail_memory(why);
}

static int load_groups(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  const char *groups = options->groups;
  if (groups && !SSL_CTX_set1_groups_list(context->ssl_ctx, groups))
    return refuse("groups", groups, strlen(groups), "names a group that this OpenSSL does not know",
                  why);
  for (size_t i = 0; !groups && i < sizeof default_groups / sizeof *default_groups; i++)
    if (SSL_CTX_set1_groups_list(context->ssl_ctx, default_groups[i]))
      groups = default_groups[i];
  if (!groups)
    return sp__fail_crypto(why, SP_ECIPHERS, "groups: the default is not available");
  ERR_clear_error();
  return (context->groups = sp__copy_text(groups)) ? 0 : sp__fail_memory(why);
}

static int load_sigalgs(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  const char *sigalgs = options->sigalgs ? options->sigalgs : default_sigalgs;
  if (!SSL_CTX_set1_sigalgs_list(context->ssl_ctx, sigalgs) ||
      !SSL_CTX_set1_client_sigalgs_list(context->ssl_ctx, sigalgs))
    return refuse("sigalgs", sigalgs, strlen(sigalgs),
                  "names a signature algorithm that this OpenSSL does not know", why);
  return (context->sigalgs = sp__copy_text(sigalgs)) ? 0 : sp__fail_memory(why);
}

static int measure_alpn(const char *const *alpn, size_t *size, sp_error_t *why) {
  *size = 0;
  for (int i = 0; alpn[i]; i++) {
    size_t n = strlen(alpn[i]);
    if (!n || n > 255)
      return sp__fail(why, SP_EOPTION, SP_US, "alpn[%d]: has %zu bytes: 1 to 255 are possible", i,
                      n);
    if ((*size += n + 1) > 65535)
      return sp__fail(why, SP_EOPTION, SP_US, "alpn: the list is longer than 65535 bytes");
  }
  return 0;
}

static int load_alpn(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  size_t size = 0;
  int status = options->alpn ? measure_alpn(options->alpn, &size, why) : 0;
  if (status < 0 || !size)
    return status;
  uint8_t *to = context->alpn = sp__alloc(size);
  if (!to)
    return sp__fail_memory(why);
  context->alpn_size = size;
  for (int i = 0; options->alpn[i]; i++) {
    size_t n = strlen(options->alpn[i]);
    *to++ = (uint8_t)n;
    memcpy(to, options->alpn[i], n);
    to += n;
  }
  if (SSL_CTX_set_alpn_protos(context->ssl_ctx, context->alpn, (unsigned)size)) /* 0 is success */
    return sp__fail_crypto(why, SP_EOPTION, "alpn: refused by OpenSSL");
  return 0;
}

/* OpenSSL's own flags may take versions away, but not all of them. */
static int load_flags(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  uint64_t flags = options->openssl_options;
  SSL_CTX_set_options(context->ssl_ctx, flags);
  bool old = context->min_version == SP_TLS1_2 && !(flags & SSL_OP_NO_TLSv1_2);
  bool current = context->max_version == SP_TLS1_3 && !(flags & SSL_OP_NO_TLSv1_3);
  return old || current ? 0
                        : sp__fail(why, SP_EVERSION, SP_US,
                                   "openssl_options: exclude every version that min_version and "
                                   "max_version leave");
}

static void load_choices(sp_context_t *context, const sp_options_t *options) {
  context->key_records = options->key_records ? (uint32_t)options->key_records : SP_KEY_RECORDS;
  SSL_CTX *ctx = context->ssl_ctx;
  context->renegotiates = options->renegotiation == SP_YES;
  context->renegotiation_limit = options->renegotiation_limit ? options->renegotiation_limit : 3;
  context->renegotiation_window =
      options->renegotiation_window ? options->renegotiation_window : 600;
  if (context->renegotiates) { /* anew, as a whole */
    SSL_CTX_clear_options(ctx, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION |
                                 SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
  }
  context->record_size = options->record_size;
  for (uint8_t mode = TLSEXT_max_fragment_length_512; options->max_fragment >> (8 + mode); mode++)
    SSL_CTX_set_tlsext_max_fragment_length(ctx, mode);
  SSL_CTX_set_post_handshake_auth(ctx, options->post_handshake_auth == SP_YES);
  bool tickets = options->tickets != SP_NO;
  SSL_CTX_set_num_tickets(context->ssl_ctx, tickets);
  if (!tickets || options->store)
    SSL_CTX_set_options(context->ssl_ctx, SSL_OP_NO_TICKET);
  if (options->prefer_server_ciphers != SP_NO)
    SSL_CTX_set_options(context->ssl_ctx,
                        SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
}

int sp__policy_load(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  int status = load_versions(context, options, why);
  if (!status)
    status = load_suites(context, options, why);
  if (!status)
    status = load_ciphers(context, options, why);
  if (!status)
    status = load_groups(context, options, why);
  if (!status)
    status = load_sigalgs(context, options, why);
  if (!status)
    status = load_alpn(context, options, why);
  load_choices(context, options);
  if (!status)
    status = load_flags(context, options, why);
  return status;
}

int sp__policy_apply(const sp_context_t *context, SSL *ssl) {
  SSL_clear_options(ssl, SSL_get_options(ssl));
  SSL_set_options(ssl, SSL_CTX_get_options(context->ssl_ctx));
  if (SSL_set_min_proto_version(ssl, context->min_version) &&
      SSL_set_max_proto_version(ssl, context->max_version) &&
      SSL_set_ciphersuites(ssl, context->suites) && SSL_set1_groups_list(ssl, context->groups) &&
      SSL_set1_sigalgs_list(ssl, context->sigalgs) &&
      SSL_set1_client_sigalgs_list(ssl, context->sigalgs) &&
      SSL_set_num_tickets(ssl, SSL_CTX_get_num_tickets(context->ssl_ctx)))
    return 0;
  return sp__fail_crypto(NULL, SP_ECRYPTO, "the context cannot be applied");
}
