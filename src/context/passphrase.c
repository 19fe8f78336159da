#include "context/passphrase.h"

#include <string.h>

#include <openssl/err.h>

#include "base/error.h"
#include "base/secret.h"
#include "context/build.h"

static int too_long(const char *input, sp_error_t *why) {
  return sp__fail(why, SP_EPASSPHRASE, SP_US, "%s: the passphrase is longer than %d bytes", input,
                  SP__PASSPHRASE_MAX);
}

int sp__passphrase_open(sp__passphrase_t *passphrase, const sp_options_t *options,
                        const char *input, const char *path, sp_error_t *why) {
  *passphrase = (sp__passphrase_t){
      .options = options, .input = input, .name = path ? path : input, .size = -1};
  if (options->passphrase &&
      strnlen(options->passphrase, SP__PASSPHRASE_MAX + 1) > SP__PASSPHRASE_MAX)
    return too_long(input, why);
  return 0;
}

void sp__passphrase_close(sp__passphrase_t *passphrase) {
  sp__secret_free(passphrase->text);
  passphrase->text = NULL;
}

static int obtain(sp__passphrase_t *passphrase) {
  const sp_options_t *options = passphrase->options;
  if (!options->on_passphrase && !options->passphrase)
    return -1;
  if (!(passphrase->text = sp__secret_alloc(SP__PASSPHRASE_MAX))) {
    ERR_raise(ERR_LIB_USER, ERR_R_MALLOC_FAILURE);
    return -1;
  }
  if (options->on_passphrase)
    return options->on_passphrase(passphrase->text, SP__PASSPHRASE_MAX, passphrase->name,
                                  options->passphrase_data);
  size_t n = strlen(options->passphrase);
  memcpy(passphrase->text, options->passphrase, n);
  return (int)n;
}

int sp__passphrase_ask(char *room, int size, int writing, void *data) {
  (void)writing;
  sp__passphrase_t *passphrase = data;
  if (!passphrase->asked)
    passphrase->size = obtain(passphrase);
  passphrase->asked = true;
  if (passphrase->size < 0 || passphrase->size > SP__PASSPHRASE_MAX || passphrase->size > size)
    return -1;
  memcpy(room, passphrase->text, (size_t)passphrase->size);
  return passphrase->size;
}

/* Single DES and the like, which OpenSSL 3 keeps in a provider that nobody loads. */
static bool is_out_of_date(void) {
  unsigned long error = ERR_peek_error();
  return ERR_GET_LIB(error) == ERR_LIB_EVP && ERR_GET_REASON(error) == ERR_R_UNSUPPORTED;
}

int sp__passphrase_fail(const sp__passphrase_t *passphrase, sp_error_t *why) {
  const char *input = passphrase->input;
  if (passphrase->size > SP__PASSPHRASE_MAX)
    return too_long(input, why);
  if (passphrase->size >= 0 && is_out_of_date())
    return sp__fail_crypto(why, SP_EKEY,
                           "%s: is encrypted in a way that is out of date: encrypt it anew with "
                           "\"openssl pkcs8 -topk8 -provider legacy -provider default\"",
                           input);
  if (passphrase->size >= 0)
    return sp__fail_crypto(why, SP_EPASSPHRASE, "%s: the passphrase is wrong%s", input,
                           passphrase->size ? "" : ": it is empty");
  return sp__fail_crypto(why, SP_EPASSPHRASE, "%s: is encrypted: %s", input,
                         passphrase->options->on_passphrase ? "on_passphrase gave no passphrase"
                                                            : "give passphrase or on_passphrase");
}
