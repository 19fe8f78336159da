/* The owner object of an environment: whatever lives in it, and how it ends. */
#ifndef SPN_ENVIRONMENT_H
#define SPN_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <node_api.h>
#include <uv.h>

#include "slab.h"

/* The functions that JavaScript gives to `start`; what each is for is in README.md. */
#define SPN_FUNCTIONS(X)                                                                           \
  X(onsecure)                                                                                      \
  X(ondata)                                                                                        \
  X(onend)                                                                                         \
  X(onwrite)                                                                                       \
  X(onended)                                                                                       \
  X(onerror)                                                                                       \
  X(onclose)                                                                                       \
  X(onsession)                                                                                     \
  X(onkeylog)                                                                                      \
  X(onrenegotiated)                                                                                \
  X(onocsp)                                                                                        \
  X(ontransportwrite)                                                                              \
  X(ontransportread)                                                                               \
  X(ontransportend)                                                                                \
  X(ontransportclose)                                                                              \
  X(onconnection)                                                                                  \
  X(onclienterror)                                                                                 \
  X(onaccept)                                                                                      \
  X(ondrop)                                                                                        \
  X(onserverclose)                                                                                 \
  X(onservername)                                                                                  \
  X(onprotocols)                                                                                   \
  X(onresume)                                                                                      \
  X(onstore)                                                                                       \
  X(onstaple)                                                                                      \
  X(onpskserver)                                                                                   \
  X(onpskclient)

typedef enum spn_function {
#define SPN_FUNCTION_ENUM(name) SPN_##name,
  SPN_FUNCTIONS(SPN_FUNCTION_ENUM)
#undef SPN_FUNCTION_ENUM
      SPN_FUNCTION_COUNT
} spn_function_t;

/* The classes of native objects. */
typedef enum spn_class {
  SPN_TRUST,
  SPN_CONTEXT,
  SPN_STREAM,
  SPN_SERVER,
  SPN_CLASS_COUNT
} spn_class_t;

/*
 * What every native object begins with. Its memory goes when C is done with it (it is not open any
 * more) and JavaScript is, too (its object was collected, or there never was one).
 */
typedef struct spn_object {
  spn_environment_t *environment;
  spn_class_t class;
  napi_ref self; /* JavaScript's object; NULL: none (yet, or any more) */
  napi_async_context async;
  struct spn_object *next, **link; /* among the environment's open ones */
  bool open; /* C works with it: it is to be shut before the environment can go */
  bool held; /* strongly, until it is closed */
  void (*shut)(struct spn_object *object);    /* have C let go of it: spn_object_close follows */
  void (*dispose)(struct spn_object *object); /* frees it */
} spn_object_t;

struct spn_environment {
  napi_env env;
  uv_loop_t *loop;
  size_t users; /* the environment itself and its objects */
  napi_ref functions[SPN_FUNCTION_COUNT];
  napi_ref classes[SPN_CLASS_COUNT];
  spn_object_t *open;          /* all open objects */
  spn_object_t *making;        /* the one whose JavaScript object is being made */
  struct spn_stream *adopting; /* the one whose connection is being made: hooks may be called */
  struct spn_stream *due;      /* streams that have something to say later */
  spn_slab_t slab;
  bool slab_lent; /* the engine may write to it: JavaScript, which could detach it, has to wait */
  uv_idle_t later;
  napi_async_cleanup_hook_handle hook;
  bool going;   /* no JavaScript is called any more */
  bool closing; /* the last handles are being closed */
};

/* Makes the environment's object. NULL: an exception is pending. */
spn_environment_t *spn_environment_new(napi_env env);

/* -- classes ----------------------------------------------------------------------------------- */

#define SPN_METHOD(name, function)                                                                 \
  { name, NULL, function, NULL, NULL, NULL, napi_default_method, NULL }
#define SPN_ACCESSOR(name, getter)                                                                 \
  { name, NULL, NULL, getter, NULL, NULL, napi_configurable, NULL }

/* Defines a class; its constructor's data is the environment. False: an exception is pending. */
bool spn_class_define(spn_environment_t *environment, spn_class_t class, const char *name,
                      napi_callback construct, const napi_property_descriptor *methods,
                      size_t count, napi_value exports);

/* -- objects ----------------------------------------------------------------------------------- */

void spn_object_init(spn_object_t *object, spn_environment_t *environment, spn_class_t class,
                     void (*dispose)(spn_object_t *));

/* C works with it from now on. */
void spn_object_open(spn_object_t *object, void (*shut)(spn_object_t *));

/* Makes JavaScript's object for it and holds it; its asynchronous context is a child of the
 * parent's (NULL: of whatever runs). False: it could not be made; no exception is left. */
bool spn_object_make(spn_object_t *object, const spn_object_t *parent);

/* Ties an object to one that JavaScript makes (`new`). False: an exception is pending. */
bool spn_object_wrap(spn_object_t *object, napi_value self);
void spn_object_begin_async(spn_object_t *object, napi_value self);

/* Keeps JavaScript's object from being collected until C is done with it. */
void spn_object_hold(spn_object_t *object);

/* C is done with it; it may be freed in this call. */
void spn_object_close(spn_object_t *object);

/* JavaScript's object, within a handle scope; NULL: none. */
napi_value spn_object_value(const spn_object_t *object);

/* The object behind an argument; NULL with a TypeError pending when it is none of that class. */
void *spn_object_of(spn_environment_t *environment, napi_value value, spn_class_t class,
                    const char *what);

/* -- calling JavaScript ------------------------------------------------------------------------ */

/*
 * Calls one of the functions within the caller's handle scope, with `this` as given, as the work of
 * `object`. What it throws becomes an uncaughtException. False: it was not called, or threw.
 * `result` may be NULL.
 */
bool spn_call(const spn_object_t *object, spn_function_t function, napi_value receiver, size_t argc,
              const napi_value *argv, napi_value *result);

/* The same with `this` = the object, in a handle scope of its own. */
void spn_tell(const spn_object_t *object, spn_function_t function);
void spn_tell_status(const spn_object_t *object, spn_function_t function, int status);

/* Reports an exception that a callback left behind; false: there was none. */
bool spn_report_exception(napi_env env);

/* -- later ------------------------------------------------------------------------------------- */

/* Has spn_stream_say_due called from the loop, soon. */
void spn_later(spn_environment_t *environment);

#endif
