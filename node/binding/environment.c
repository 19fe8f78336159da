#include "environment.h"

#include <stdlib.h>

#include "stream.h"
#include "value.h"

/* -- life -------------------------------------------------------------------------------------- */

static void release(spn_environment_t *environment) {
  if (!--environment->users)
    free(environment);
}

static void on_data_finalized(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  release(data);
}

static void delete_references(spn_environment_t *environment) {
  napi_env env = environment->env;
  for (size_t i = 0; i < SPN_FUNCTION_COUNT; i++)
    if (environment->functions[i])
      (void)napi_delete_reference(env, environment->functions[i]);
  for (size_t i = 0; i < SPN_CLASS_COUNT; i++)
    if (environment->classes[i])
      (void)napi_delete_reference(env, environment->classes[i]);
  if (environment->slab.buffer)
    (void)napi_delete_reference(env, environment->slab.buffer);
}

/* Closed after everything of ours: the library's own handles, which went with the last stream, were
 * closed before it. */
static void on_later_closed(uv_handle_t *handle) {
  spn_environment_t *environment = handle->data;
  delete_references(environment);
  (void)napi_remove_async_cleanup_hook(environment->hook);
  release(environment);
}

static void on_later(uv_idle_t *later) {
  spn_environment_t *environment = later->data;
  spn_stream_say_due(environment);
  if (!environment->due)
    (void)uv_idle_stop(later);
}

static void on_slab_closed(uv_handle_t *quiet) {
  spn_environment_t *environment = quiet->data;
  uv_close((uv_handle_t *)&environment->later, on_later_closed);
}

static void go_when_empty(spn_environment_t *environment) {
  if (environment->going && !environment->open && !environment->closing) {
    environment->closing = true;
    spn_slab_close(&environment->slab, on_slab_closed);
  }
}

static void on_going(napi_async_cleanup_hook_handle handle, void *data) {
  spn_environment_t *environment = data;
  environment->hook = handle;
  environment->going = true;
  for (spn_object_t *object = environment->open, *next; object; object = next) {
    next = object->next;
    object->shut(object);
  }
  go_when_empty(environment);
}

spn_environment_t *spn_environment_new(napi_env env) {
  spn_environment_t *environment = calloc(1, sizeof *environment);
  if (!environment) {
    (void)napi_throw_error(env, NULL, "securepair: out of memory");
    return NULL;
  }
  environment->env = env;
  environment->users = 2; /* the environment's data, and its end */
  (void)napi_get_uv_event_loop(env, &environment->loop);
  (void)uv_idle_init(environment->loop, &environment->later);
  environment->later.data = environment;
  spn_slab_init(&environment->slab, environment);
  (void)napi_set_instance_data(env, environment, on_data_finalized, NULL);
  (void)napi_add_async_cleanup_hook(env, on_going, environment, &environment->hook);
  return environment;
}

void spn_later(spn_environment_t *environment) {
  if (!environment->closing)
    (void)uv_idle_start(&environment->later, on_later);
}

/* -- classes ----------------------------------------------------------------------------------- */

bool spn_class_define(spn_environment_t *environment, spn_class_t class, const char *name,
                      napi_callback construct, const napi_property_descriptor *methods,
                      size_t count, napi_value exports) {
  napi_env env = environment->env;
  napi_value constructor;
  return napi_define_class(env, name, NAPI_AUTO_LENGTH, construct, environment, count, methods,
                           &constructor) == napi_ok &&
         napi_create_reference(env, constructor, 1, &environment->classes[class]) == napi_ok &&
         napi_set_named_property(env, exports, name, constructor) == napi_ok;
}

/* -- objects ----------------------------------------------------------------------------------- */

void spn_object_init(spn_object_t *object, spn_environment_t *environment, spn_class_t class,
                     void (*dispose)(spn_object_t *)) {
  environment->users++;
  object->environment = environment;
  object->class = class;
  object->dispose = dispose;
}

void spn_object_open(spn_object_t *object, void (*shut)(spn_object_t *)) {
  spn_environment_t *environment = object->environment;
  object->shut = shut;
  object->open = true;
  object->next = environment->open;
  object->link = &environment->open;
  if (object->next)
    object->next->link = &object->next;
  environment->open = object;
}

static void dispose(spn_object_t *object) {
  spn_environment_t *environment = object->environment;
  object->dispose(object);
  release(environment);
}

static void on_finalized(napi_env env, void *data, void *hint) {
  spn_object_t *object = data;
  (void)hint;
  (void)napi_delete_reference(env, object->self);
  object->self = NULL;
  if (object->open)
    object->shut(object);
  else
    dispose(object);
}

static napi_type_tag tag_of(const spn_environment_t *environment, spn_class_t class) {
  return (napi_type_tag){(uint64_t)(uintptr_t)environment, (uint64_t) class + 1};
}

bool spn_object_wrap(spn_object_t *object, napi_value self) {
  napi_env env = object->environment->env;
  napi_type_tag tag = tag_of(object->environment, object->class);
  if (napi_wrap(env, self, object, on_finalized, NULL, &object->self) != napi_ok)
    return false;
  return napi_type_tag_object(env, self, &tag) == napi_ok;
}

void spn_object_hold(spn_object_t *object) {
  if (object->held || !object->self)
    return;
  object->held = true;
  (void)napi_reference_ref(object->environment->env, object->self, NULL);
}

/* What `parent` runs in is what the object's work descends from (AsyncLocalStorage). */
static void begin_async(spn_object_t *object, napi_value self, const spn_object_t *parent) {
  static const char *const names[] = {"", "", "TLSWRAP", "TLSSERVERWRAP"};
  napi_env env = object->environment->env;
  napi_callback_scope scope = NULL;
  napi_value name;
  if (parent && parent->self)
    (void)napi_open_callback_scope(env, spn_object_value(parent), parent->async, &scope);
  name = spn_text(env, names[object->class]);
  (void)napi_async_init(env, self, name, &object->async);
  if (scope)
    (void)napi_close_callback_scope(env, scope);
}

bool spn_object_make(spn_object_t *object, const spn_object_t *parent) {
  spn_environment_t *environment = object->environment;
  napi_env env = environment->env;
  napi_value class, self;
  napi_handle_scope scope;
  if (environment->going || napi_open_handle_scope(env, &scope) != napi_ok)
    return false;
  environment->making = object;
  bool made =
      napi_get_reference_value(env, environment->classes[object->class], &class) == napi_ok &&
      napi_new_instance(env, class, 0, NULL, &self) == napi_ok;
  environment->making = NULL;
  if (made) {
    begin_async(object, self, parent);
    spn_object_hold(object);
  } else {
    (void)spn_report_exception(env);
  }
  (void)napi_close_handle_scope(env, scope);
  return made;
}

void spn_object_begin_async(spn_object_t *object, napi_value self) {
  begin_async(object, self, NULL);
}

void spn_object_close(spn_object_t *object) {
  spn_environment_t *environment = object->environment;
  if (!object->open)
    return;
  object->open = false;
  *object->link = object->next;
  if (object->next)
    object->next->link = object->link;
  if (object->async)
    (void)napi_async_destroy(environment->env, object->async);
  object->async = NULL;
  if (object->self && object->held)
    (void)napi_reference_unref(environment->env, object->self, NULL);
  object->held = false;
  go_when_empty(environment);
  if (!object->self)
    dispose(object);
}

napi_value spn_object_value(const spn_object_t *object) {
  napi_value self = NULL;
  if (object->self)
    (void)napi_get_reference_value(object->environment->env, object->self, &self);
  return self;
}

void *spn_object_of(spn_environment_t *environment, napi_value value, spn_class_t class,
                    const char *what) {
  napi_env env = environment->env;
  napi_type_tag tag = tag_of(environment, class);
  napi_valuetype type;
  bool is_ours = false;
  void *object;
  (void)napi_typeof(env, value, &type);
  if (type == napi_object)
    (void)napi_check_object_type_tag(env, value, &tag, &is_ours);
  if (is_ours && napi_unwrap(env, value, &object) == napi_ok)
    return object;
  return spn_throw_type(env, what);
}

/* -- calling JavaScript ------------------------------------------------------------------------ */

bool spn_report_exception(napi_env env) {
  bool pending = false;
  napi_value exception;
  (void)napi_is_exception_pending(env, &pending);
  if (!pending || napi_get_and_clear_last_exception(env, &exception) != napi_ok)
    return false;
  (void)napi_fatal_exception(env, exception);
  return true;
}

bool spn_call(const spn_object_t *object, spn_function_t function, napi_value receiver, size_t argc,
              const napi_value *argv, napi_value *result) {
  const spn_environment_t *environment = object->environment;
  napi_env env = environment->env;
  napi_value callee, answer;
  if (environment->going || !environment->functions[function] || !receiver)
    return false;
  (void)napi_get_reference_value(env, environment->functions[function], &callee);
  if (napi_make_callback(env, object->async, receiver, callee, argc, argv,
                         result ? result : &answer) == napi_ok)
    return true;
  (void)spn_report_exception(env);
  return false;
}

void spn_tell(const spn_object_t *object, spn_function_t function) {
  napi_env env = object->environment->env;
  napi_handle_scope scope;
  if (object->environment->going || !object->self || napi_open_handle_scope(env, &scope) != napi_ok)
    return;
  (void)spn_call(object, function, spn_object_value(object), 0, NULL, NULL);
  (void)napi_close_handle_scope(env, scope);
}

void spn_tell_status(const spn_object_t *object, spn_function_t function, int status) {
  napi_env env = object->environment->env;
  napi_handle_scope scope;
  if (object->environment->going || !object->self || napi_open_handle_scope(env, &scope) != napi_ok)
    return;
  napi_value argument = spn_number(env, status);
  (void)spn_call(object, function, spn_object_value(object), 1, &argument, NULL);
  (void)napi_close_handle_scope(env, scope);
}
