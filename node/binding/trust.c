/* Trusted certificates, read once. */
#include <stdlib.h>

#include "context.h"
#include "error.h"
#include "trust.h"
#include "value.h"

typedef struct spn_trust {
  spn_object_t object;
  sp_trust_t *trust;
} spn_trust_t;

static void dispose(spn_object_t *object) {
  spn_trust_t *trust = (spn_trust_t *)object;
  sp_trust_release(trust->trust);
  free(trust);
}

static napi_value make(spn_environment_t *environment, napi_value self, sp_trust_t *made) {
  spn_trust_t *trust = calloc(1, sizeof *trust);
  if (!trust) {
    sp_trust_release(made);
    return spn_throw_status(environment->env, UV_ENOMEM);
  }
  trust->trust = made;
  spn_object_init(&trust->object, environment, SPN_TRUST, dispose);
  return spn_object_wrap(&trust->object, self) ? self : NULL;
}

/* new binding.Trust(pems) */
static napi_value construct(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_reader_t reader = {.env = env};
  napi_value self = NULL;
  sp_trust_t *made;
  sp_error_t why;
  size_t count = 0;
  const char *const *pems = spn_read_array(&reader, call.argv[0], "pems", &count);
  if (!pems)
    (void)(reader.failed ? NULL : spn_throw_type(env, "pems must be an array"));
  else if (sp_trust_new(&made, pems, count, &why) < 0)
    (void)spn_throw(env, &why);
  else
    self = make(call.data, call.self, made);
  spn_reader_end(&reader);
  return self;
}

sp_trust_t *spn_trust_of(spn_environment_t *environment, napi_value value) {
  spn_trust_t *trust = spn_object_of(environment, value, SPN_TRUST, "trust must be a Trust");
  return trust ? trust->trust : NULL;
}

bool spn_trust_define(spn_environment_t *environment, napi_value exports) {
  return spn_class_define(environment, SPN_TRUST, "Trust", construct, NULL, 0, exports);
}
