/* Finite-field Diffie-Hellman for TLS 1.2: without it a server chooses no suite with DHE. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/error.h"
#include "context/build.h"
#include "context/input.h"

#define SMALLEST 2048 /* bits: what security level 2 asks for */

/* Its size and its generator; whether the modulus is a prime takes too long to find out. */
static bool is_sound(EVP_PKEY *parameters) {
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, parameters, NULL);
  bool sound = ctx && EVP_PKEY_param_check_quick(ctx) == 1;
  EVP_PKEY_CTX_free(ctx);
  return sound;
}

static int use(SSL_CTX *ctx, EVP_PKEY *parameters, const sp__block_t *block, sp_error_t *why) {
  if (!parameters || !EVP_PKEY_is_a(parameters, "DH") || !is_sound(parameters))
    return sp__fail_crypto(why, SP_EOPTION, "dhparam, line %u: the parameters are damaged",
                           block->line);
  int bits = EVP_PKEY_get_bits(parameters);
  if (bits < SMALLEST)
    return sp__fail(why, SP_EOPTION, SP_US,
                    "dhparam: %d bits are too weak: make at least %d, or give \"auto\"", bits,
                    SMALLEST);
  if (!EVP_PKEY_up_ref(parameters))
    return sp__fail_memory(why);
  if (SSL_CTX_set0_tmp_dh_pkey(ctx, parameters))
    return 0;
  EVP_PKEY_free(parameters);
  return sp__fail_crypto(why, SP_EOPTION, "dhparam: OpenSSL cannot use these parameters");
}

static int read_block(SSL_CTX *ctx, const sp__block_t *block, sp_error_t *why) {
  BIO *bio = sp__block_bio(block);
  if (!bio)
    return sp__fail_memory(why);
  EVP_PKEY *parameters = PEM_read_bio_Parameters(bio, NULL);
  BIO_free(bio);
  int status = use(ctx, parameters, block, why);
  EVP_PKEY_free(parameters);
  return status;
}

static int read_text(SSL_CTX *ctx, sp__input_t *input, sp_error_t *why) {
  sp__block_t block;
  int status;
  while ((status = sp__input_next(input, &block, SP_EOPTION, why)) > 0)
    if (sp__block_is(&block, "DH PARAMETERS"))
      return read_block(ctx, &block, why);
  return status < 0 ? status
                    : sp__fail(why, SP_EOPTION, SP_US,
                               "dhparam: is neither \"auto\" nor a text with a line \"BEGIN DH "
                               "PARAMETERS\"");
}

int sp__dhparam_load(sp_context_t *context, const sp_options_t *options, sp_error_t *why) {
  const char *text = options->dhparam;
  bool is_auto = text && !strcmp(text, "auto");
  SSL_CTX_set_dh_auto(context->ssl_ctx, is_auto);
  if (!text || is_auto)
    return 0;
  sp__input_t input;
  int status = sp__input_text(&input, "dhparam", -1, text, SP__CREDENTIALS_LIMIT, SP_EOPTION, why);
  if (!status)
    status = read_text(context->ssl_ctx, &input, why);
  sp__input_close(&input);
  return status;
}
