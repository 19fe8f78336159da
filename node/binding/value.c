#include "value.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

/* -- results ----------------------------------------------------------------------------------- */

napi_value spn_undefined(napi_env env) {
  napi_value value = NULL;
  (void)napi_get_undefined(env, &value);
  return value;
}

napi_value spn_null(napi_env env) {
  napi_value value = NULL;
  (void)napi_get_null(env, &value);
  return value;
}

napi_value spn_number(napi_env env, double number) {
  napi_value value = NULL;
  (void)napi_create_double(env, number, &value);
  return value;
}

napi_value spn_boolean(napi_env env, bool boolean) {
  napi_value value = NULL;
  (void)napi_get_boolean(env, boolean, &value);
  return value;
}

napi_value spn_text(napi_env env, const char *text) {
  return text ? spn_text_of(env, text, NAPI_AUTO_LENGTH) : spn_null(env);
}

napi_value spn_text_of(napi_env env, const char *text, size_t n) {
  napi_value value = NULL;
  (void)napi_create_string_utf8(env, text, n, &value);
  return value;
}

napi_value spn_buffer(napi_env env, const void *bytes, size_t n) {
  napi_value value = NULL;
  (void)napi_create_buffer_copy(env, n, bytes, NULL, &value);
  return value;
}

void spn_set(napi_env env, napi_value object, const char *name, napi_value value) {
  if (value)
    (void)napi_set_named_property(env, object, name, value);
}

napi_value spn_throw_type(napi_env env, const char *message) {
  (void)napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
  return NULL;
}

/* -- arguments --------------------------------------------------------------------------------- */

spn_call_info_t spn_call_info(napi_env env, napi_callback_info info) {
  spn_call_info_t call = {.self = NULL};
  size_t argc = SPN_ARGUMENTS;
  (void)napi_get_cb_info(env, info, &argc, call.argv, &call.self, &call.data);
  return call;
}

int spn_int_or(napi_env env, napi_value value, int otherwise) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok ||
      !(number >= INT_MIN && number <= INT_MAX)) /* NaN is not either */
    return otherwise;
  return (int)number;
}

bool spn_is_true(napi_env env, napi_value value) {
  bool boolean = false;
  (void)napi_get_value_bool(env, value, &boolean);
  return boolean;
}

static napi_valuetype type_of(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  (void)napi_typeof(env, value, &type);
  return type;
}

bool spn_is_nothing(napi_env env, napi_value value) {
  napi_valuetype type = type_of(env, value);
  return type == napi_undefined || type == napi_null;
}

bool spn_view(napi_env env, napi_value value, const uint8_t **bytes, size_t *n) {
  bool is_view = false;
  void *data = NULL;
  if (napi_is_buffer(env, value, &is_view) != napi_ok || !is_view ||
      napi_get_buffer_info(env, value, &data, n) != napi_ok)
    return false;
  *bytes = data;
  if (!data) /* of a detached ArrayBuffer nothing is left */
    *n = 0;
  return true;
}

/* -- options ----------------------------------------------------------------------------------- */

struct spn_copy {
  struct spn_copy *next;
  size_t size;
  max_align_t bytes[];
};

void spn_reader_end(spn_reader_t *reader) {
  while (reader->copies) {
    struct spn_copy *copy = reader->copies;
    reader->copies = copy->next;
    OPENSSL_cleanse(copy->bytes, copy->size);
    free(copy);
  }
}

void *spn_reader_memory(spn_reader_t *reader, size_t size) {
  struct spn_copy *copy = size < SIZE_MAX / 2 ? calloc(1, sizeof *copy + size) : NULL;
  if (!copy) {
    reader->failed = true;
    (void)napi_throw_error(reader->env, "ERR_MEMORY_ALLOCATION_FAILED", "out of memory");
    return NULL;
  }
  copy->size = size;
  copy->next = reader->copies;
  reader->copies = copy;
  return copy->bytes;
}

napi_value spn_read(spn_reader_t *reader, napi_value object, const char *name) {
  napi_value value;
  if (reader->failed || !object || type_of(reader->env, object) != napi_object)
    return NULL;
  if (napi_get_named_property(reader->env, object, name, &value) != napi_ok) {
    reader->failed = true; /* a getter threw */
    return NULL;
  }
  return spn_is_nothing(reader->env, value) ? NULL : value;
}

static const char *refuse(spn_reader_t *reader, const char *name) {
  char message[128];
  (void)snprintf(message, sizeof message, "%s must be a string, Buffer, TypedArray or DataView",
                 name);
  (void)spn_throw_type(reader->env, message);
  reader->failed = true;
  return NULL;
}

static const char *copy_view(spn_reader_t *reader, napi_value value, const char *name, size_t *n) {
  const uint8_t *bytes;
  size_t size;
  if (!spn_view(reader->env, value, &bytes, &size))
    return refuse(reader, name);
  char *copy = spn_reader_memory(reader, size + 1);
  if (copy && size)
    memcpy(copy, bytes, size);
  if (n)
    *n = size;
  return copy;
}

const char *spn_read_value(spn_reader_t *reader, napi_value value, const char *name, size_t *n) {
  napi_env env = reader->env;
  size_t size;
  if (!value || reader->failed)
    return NULL;
  if (type_of(env, value) != napi_string)
    return copy_view(reader, value, name, n);
  (void)napi_get_value_string_utf8(env, value, NULL, 0, &size);
  char *copy = spn_reader_memory(reader, size + 1);
  if (copy)
    (void)napi_get_value_string_utf8(env, value, copy, size + 1, &size);
  if (n)
    *n = size;
  return copy;
}

const char *spn_read_text(spn_reader_t *reader, napi_value object, const char *name) {
  return spn_read_value(reader, spn_read(reader, object, name), name, NULL);
}

const void *spn_read_bytes(spn_reader_t *reader, napi_value object, const char *name, size_t *n) {
  return spn_read_value(reader, spn_read(reader, object, name), name, n);
}

const char *const *spn_read_array(spn_reader_t *reader, napi_value array, const char *name,
                                  size_t *count) {
  uint32_t length;
  if (napi_get_array_length(reader->env, array, &length) != napi_ok) {
    (void)refuse(reader, name);
    return NULL;
  }
  const char **list = spn_reader_memory(reader, (length + 1) * sizeof *list);
  for (uint32_t i = 0; list && i < length && !reader->failed; i++) {
    napi_value element;
    reader->failed = napi_get_element(reader->env, array, i, &element) != napi_ok;
    list[i] = spn_read_value(reader, element, name, NULL);
  }
  if (count)
    *count = length;
  return reader->failed ? NULL : list;
}

const char *const *spn_read_list(spn_reader_t *reader, napi_value object, const char *name,
                                 size_t *count) {
  napi_value array = spn_read(reader, object, name);
  return array ? spn_read_array(reader, array, name, count) : NULL;
}

int spn_read_int(spn_reader_t *reader, napi_value object, const char *name, int otherwise) {
  napi_value value = spn_read(reader, object, name);
  return value ? spn_int_or(reader->env, value, otherwise) : otherwise;
}

double spn_read_number(spn_reader_t *reader, napi_value object, const char *name) {
  napi_value value = spn_read(reader, object, name);
  double number = 0;
  if (value)
    (void)napi_get_value_double(reader->env, value, &number);
  return number;
}

sp_choice_t spn_read_choice(spn_reader_t *reader, napi_value object, const char *name) {
  napi_value value = spn_read(reader, object, name);
  if (!value)
    return SP_DEFAULT;
  return spn_is_true(reader->env, value) ? SP_YES : SP_NO;
}
