#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

const sp_error_t sp__no_error = {.status = 0, .alert = -1, .text = "no error"};
const sp_error_t sp__memory_error = {.status = -ENOMEM, .alert = -1, .text = "out of memory"};

static int fail(sp_error_t *why, int status, sp_party_t who, const char *format,
                va_list arguments) {
  if (!why)
    return status;
  char raw[sizeof why->text * 2];
  vsnprintf(raw, sizeof raw, format, arguments);
  *why = (sp_error_t){.status = status, .who = who, .alert = -1};
  sp__escape(why->text, sizeof why->text, raw, strlen(raw));
  return status;
}

int sp__fail(sp_error_t *why, int status, sp_party_t who, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fail(why, status, who, format, arguments);
  va_end(arguments);
  return status;
}

int sp__fail_memory(sp_error_t *why) {
  if (why)
    *why = sp__memory_error;
  return -ENOMEM;
}

int sp__fail_system(sp_error_t *why, int number, const char *format, ...) {
  char what[sizeof why->text];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  int status = number > 0 ? -number : number;
  return sp__fail(why, status, SP_US, "%s: %s", what, sp_error_text(status));
}

static int is_errno(int status) { return status < 0 && status >= -4096; }

const char *sp_error_name(int status) {
  switch (status) {
  case 0:
    return "OK";
#define NAME(name, number, text)                                                                   \
  case number:                                                                                     \
    return "SP_E" #name;
    SP_ERROR_MAP(NAME)
#undef NAME
  /* libuv's own, which are no errno */
  case -4095:
    return "EOF";
  case -3008:
    return "EAI_NONAME";
  case -3007:
    return "EAI_NODATA";
  case -3001:
    return "EAI_AGAIN";
  default: {
    const char *name = is_errno(status) ? strerrorname_np(-status) : NULL;
    return name ? name : "UNKNOWN";
  }
  }
}

const char *sp_error_text(int status) {
  switch (status) {
  case 0:
    return "no error";
#define TEXT(name, number, text)                                                                   \
  case number:                                                                                     \
    return text;
    SP_ERROR_MAP(TEXT)
#undef TEXT
  case -4095:
    return "end of file";
  case -3008:
    return "unknown host name";
  case -3007:
    return "the host name has no address";
  case -3001:
    return "the name server did not answer: try again";
  default: {
    const char *text = is_errno(status) ? strerrordesc_np(-status) : NULL;
    return text ? text : "unknown error";
  }
  }
}

int sp_error_print(FILE *to, const sp_error_t *error) {
  fprintf(to, "%s: %s\n", sp_error_name(error->status), error->text);
  return error->status;
}

const char *sp_alert_name(int alert) {
  static const struct {
    int number;
    const char *name;
  } alerts[] = {
      {0, "close_notify"},
      {10, "unexpected_message"},
      {20, "bad_record_mac"},
      {22, "record_overflow"},
      {40, "handshake_failure"},
      {42, "bad_certificate"},
      {43, "unsupported_certificate"},
      {44, "certificate_revoked"},
      {45, "certificate_expired"},
      {46, "certificate_unknown"},
      {47, "illegal_parameter"},
      {48, "unknown_ca"},
      {49, "access_denied"},
      {50, "decode_error"},
      {51, "decrypt_error"},
      {70, "protocol_version"},
      {71, "insufficient_security"},
      {80, "internal_error"},
      {86, "inappropriate_fallback"},
      {90, "user_canceled"},
      {100, "no_renegotiation"},
      {109, "missing_extension"},
      {110, "unsupported_extension"},
      {112, "unrecognized_name"},
      {113, "bad_certificate_status_response"},
      {115, "unknown_psk_identity"},
      {116, "certificate_required"},
      {120, "no_application_protocol"},
  };
  for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++)
    if (alerts[i].number == alert)
      return alerts[i].name;
  return "unknown";
}

const char *sp_version(void) {
#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
  return TEXT(SP_VERSION_MAJOR) "." TEXT(SP_VERSION_MINOR) "." TEXT(SP_VERSION_PATCH);
#undef TEXT
#undef TEXT_OF
}
