#include "slab.h"

#include <stdlib.h>

#include "environment.h"
#include "value.h"

#define SLAB_SIZE 65536u
#define SLAB_LEAST 16448u /* room for a record; with less a new slab is made */
#define ALIGNMENT 8u
#define QUIET_MS 1000u
#define QUIET_SLABS 64u /* so few in that time fault in so few pages that it does not matter */

/* -- the keeper -------------------------------------------------------------------------------- */

/* Memory that nobody uses goes back. */
static void on_quiet(uv_timer_t *quiet) {
  spn_environment_t *environment = quiet->data;
  spn_slab_t *slab = &environment->slab;
  if (slab->renewed < QUIET_SLABS) {
    free(slab->keeper);
    slab->keeper = NULL;
    (void)uv_timer_stop(quiet);
  }
  slab->renewed = 0;
}

/*
 * A collection frees hundreds of slabs at once. At the end of the heap malloc gives their
 * pages back, and the next slabs fault them in again one by one, which on a virtual machine costs
 * as much as the TLS. A block of ours above them, which nobody writes to, keeps the end of the heap
 * where it is while slabs come and go. (Where malloc has several heaps, a thread's, only in the
 * highest of them.)
 */
static void keep_heap(spn_slab_t *slab) {
  slab->renewed++;
  if ((uintptr_t)slab->bytes < (uintptr_t)slab->keeper)
    return;
  void *keeper = malloc(SLAB_SIZE);
  free(slab->keeper);
  slab->keeper = keeper;
  if (!uv_is_active((uv_handle_t *)&slab->quiet))
    (void)uv_timer_start(&slab->quiet, on_quiet, QUIET_MS, QUIET_MS);
}

/* -- slabs ------------------------------------------------------------------------------------- */

void spn_slab_init(spn_slab_t *slab, spn_environment_t *environment) {
  (void)uv_timer_init(environment->loop, &slab->quiet);
  uv_unref((uv_handle_t *)&slab->quiet);
  slab->quiet.data = environment;
}

void spn_slab_close(spn_slab_t *slab, uv_close_cb closed) {
  free(slab->keeper);
  slab->keeper = NULL;
  uv_close((uv_handle_t *)&slab->quiet, closed);
}

static bool renew(spn_environment_t *environment) {
  spn_slab_t *slab = &environment->slab;
  napi_env env = environment->env;
  napi_handle_scope scope;
  napi_value buffer;
  napi_ref reference = NULL;
  void *bytes;
  if (environment->going || napi_open_handle_scope(env, &scope) != napi_ok)
    return false;
  bool made = napi_create_buffer(env, SLAB_SIZE, &bytes, &buffer) == napi_ok &&
              napi_create_reference(env, buffer, 1, &reference) == napi_ok;
  if (!made)
    (void)spn_report_exception(env);
  (void)napi_close_handle_scope(env, scope);
  if (!made)
    return false;
  if (slab->buffer)
    (void)napi_delete_reference(env, slab->buffer);
  slab->buffer = reference;
  slab->bytes = bytes;
  slab->size = SLAB_SIZE;
  slab->used = 0;
  keep_heap(slab);
  return true;
}

/* A program can take a chunk's ArrayBuffer away (ArrayBuffer.prototype.transfer). */
static bool is_attached(const spn_environment_t *environment) {
  const spn_slab_t *slab = &environment->slab;
  napi_env env = environment->env;
  napi_handle_scope scope;
  napi_value buffer;
  const uint8_t *bytes;
  size_t n;
  if (napi_open_handle_scope(env, &scope) != napi_ok)
    return false;
  bool attached = napi_get_reference_value(env, slab->buffer, &buffer) == napi_ok &&
                  spn_view(env, buffer, &bytes, &n) && bytes == slab->bytes && n == slab->size;
  (void)napi_close_handle_scope(env, scope);
  return attached;
}

uint8_t *spn_slab_room(spn_environment_t *environment, size_t *size) {
  const spn_slab_t *slab = &environment->slab;
  bool fits = slab->size - slab->used >= SLAB_LEAST && is_attached(environment);
  if (!fits && !renew(environment))
    return NULL;
  *size = slab->size - slab->used;
  return slab->bytes + slab->used;
}

bool spn_slab_take(spn_environment_t *environment, const uint8_t *bytes, size_t n,
                   napi_value *buffer, size_t *offset) {
  spn_slab_t *slab = &environment->slab;
  if (!slab->bytes || bytes != slab->bytes + slab->used)
    return false;
  *offset = slab->used;
  slab->used = (slab->used + n + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
  return napi_get_reference_value(environment->env, slab->buffer, buffer) == napi_ok;
}
