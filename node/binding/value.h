/* Values of JavaScript: arguments, options, results. */
#ifndef SPN_VALUE_H
#define SPN_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <node_api.h>

#include <securepair/context.h>

/* -- results ----------------------------------------------------------------------------------- */

napi_value spn_undefined(napi_env env);
napi_value spn_null(napi_env env);
napi_value spn_number(napi_env env, double number);
napi_value spn_boolean(napi_env env, bool value);
napi_value spn_text(napi_env env, const char *text); /* NULL: null */
napi_value spn_text_of(napi_env env, const char *text, size_t n);
napi_value spn_buffer(napi_env env, const void *bytes, size_t n); /* a copy */
void spn_set(napi_env env, napi_value object, const char *name, napi_value value);

/* Throws a TypeError; returns NULL, as a function does that threw. */
napi_value spn_throw_type(napi_env env, const char *message);

/* -- arguments --------------------------------------------------------------------------------- */

#define SPN_ARGUMENTS 4

typedef struct spn_call_info {
  napi_value self;
  napi_value argv[SPN_ARGUMENTS]; /* undefined where not given */
  void *data;
} spn_call_info_t;

spn_call_info_t spn_call_info(napi_env env, napi_callback_info info);

/* A number without its fraction; `otherwise` for what is none, or none of C's. */
int spn_int_or(napi_env env, napi_value value, int otherwise);
bool spn_is_true(napi_env env, napi_value value);
bool spn_is_nothing(napi_env env, napi_value value); /* undefined or null */

/* The bytes of a Buffer or other view, borrowed; false when it is none. */
bool spn_view(napi_env env, napi_value value, const uint8_t **bytes, size_t *n);

/* -- options ----------------------------------------------------------------------------------- */

/* Reads options objects. What it copied is wiped and freed by spn_reader_end: it may be secret.
 * After a failure (an exception is pending) everything reads as not given. */
typedef struct spn_reader {
  napi_env env;
  struct spn_copy *copies;
  bool failed;
} spn_reader_t;

void spn_reader_end(spn_reader_t *reader);

/* Memory that goes with the reader, zeroed; NULL: failed. */
void *spn_reader_memory(spn_reader_t *reader, size_t size);

/* A property; NULL when it is undefined or null, or reading it failed. */
napi_value spn_read(spn_reader_t *reader, napi_value object, const char *name);

/* A string's or view's bytes, copied, with a NUL after them; NULL: none. Others are a TypeError
 * that names `name`. */
const char *spn_read_text(spn_reader_t *reader, napi_value object, const char *name);
const void *spn_read_bytes(spn_reader_t *reader, napi_value object, const char *name, size_t *n);
const char *spn_read_value(spn_reader_t *reader, napi_value value, const char *name, size_t *n);

/* An array's elements, each as above, and NULL; *count (may be NULL) is how many. NULL: none. */
const char *const *spn_read_array(spn_reader_t *reader, napi_value array, const char *name,
                                  size_t *count);
const char *const *spn_read_list(spn_reader_t *reader, napi_value object, const char *name,
                                 size_t *count);

int spn_read_int(spn_reader_t *reader, napi_value object, const char *name, int otherwise);
double spn_read_number(spn_reader_t *reader, napi_value object, const char *name);
sp_choice_t spn_read_choice(spn_reader_t *reader, napi_value object, const char *name);

#endif
