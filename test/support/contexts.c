#include "contexts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>

sp_context_t *context_made(const sp_options_t *options) {
  sp_context_t *context = NULL;
  sp_error_t why = {.status = 0};
  ERR_raise(ERR_LIB_USER, 1); /* somebody else's: must not matter */
  int status = sp_context_new(&context, &why, options);
  if (status < 0)
    fail_msg("%s: %s", sp_error_name(status), why.text);
  assert_non_null(context);
  assert_int_equal(ERR_peek_error(), 0);
  return context;
}

sp_error_t context_refused(const sp_options_t *options, int status, const char *const *words) {
  sp_context_t *context = (sp_context_t *)&status;
  sp_error_t why = {.status = 0};
  ERR_raise(ERR_LIB_USER, 1);
  int got = sp_context_new(&context, &why, options);
  if (got != status)
    fail_msg("%s, not %s: %s", sp_error_name(got), sp_error_name(status), why.text);
  assert_null(context);
  assert_int_equal(why.status, status);
  assert_int_equal(why.alert, -1);
  assert_int_equal(ERR_GET_LIB(why.reason) == ERR_LIB_USER, 0);
  assert_int_equal(ERR_peek_error(), 0);
  for (size_t i = 0; words[i]; i++)
    if (!strstr(why.text, words[i]))
      fail_msg("\"%s\" is not in \"%s\"", words[i], why.text);
  assert_int_equal(sp_context_new(&context, NULL, options), status); /* without an error, too */
  return why;
}
