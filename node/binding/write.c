/* Writing: at once as far as the stream takes it, the rest when there is room. */
#include <stdlib.h>

#include "stream.h"

#define SMALL 8192u /* smaller writes are copied: the stream joins them */
#define PART 65536u /* of a large one that the transport does not take at once */

/* Passes n bytes on, *done of them: 1 when that was all and there may be more, 0 when it is to wait
 * for `drain`; < 0. */
static int pass(const spn_stream_t *stream, const uint8_t *bytes, size_t n, size_t *done) {
  for (*done = 0; *done < n;) {
    size_t left = n - *done;
    /* over a Duplex nothing is passed on from within a call of JavaScript's */
    ssize_t took =
        left < SMALL || stream->transport ? 0 : sp_stream_try(stream->stream, bytes + *done, left);
    if (took < 0)
      return (int)took;
    *done += (size_t)took;
    left -= (size_t)took;
    size_t part = left < PART ? left : PART;
    int status = part ? sp_stream_send(stream->stream, bytes + *done, part) : 1;
    if (status < 0)
      return status;
    *done += part;
    if (status == 0)
      return 0;
  }
  return 1;
}

/* -- what is left ------------------------------------------------------------------------------ */

static int hold(spn_stream_t *stream, napi_value source, bool is_array) {
  spn_write_t *write = &stream->write;
  napi_env env = stream->object.environment->env;
  write->pending = true;
  write->is_array = is_array;
  if (write->left && napi_create_reference(env, source, 1, &write->source) != napi_ok)
    return UV_ENOMEM;
  return 0;
}

/* The Buffer that is due; false: what was to be written is not there any more. */
static bool view_current(const spn_stream_t *stream, napi_value source, const uint8_t **bytes,
                         size_t *n) {
  const spn_write_t *write = &stream->write;
  napi_env env = stream->object.environment->env;
  napi_value buffer = source;
  if (write->is_array && napi_get_element(env, source, write->index, &buffer) != napi_ok)
    return false;
  return spn_view(env, buffer, bytes, n) && *n >= write->offset;
}

/* Answers as `pass` does for what is left of a write from `source`. */
static int pass_left(spn_stream_t *stream, napi_value source) {
  spn_write_t *write = &stream->write;
  int status = 1;
  while (write->left && status == 1) {
    const uint8_t *bytes;
    size_t n, done;
    if (!view_current(stream, source, &bytes, &n))
      return UV_EFAULT;
    n -= write->offset;
    if (n > write->left || (!write->is_array && n < write->left))
      return UV_EFAULT; /* it was resized */
    status = pass(stream, bytes + write->offset, n, &done);
    write->left -= done;
    write->offset += done;
    if (done == n) {
      write->index++;
      write->offset = 0;
    }
  }
  return status;
}

void spn_write_finish(spn_stream_t *stream, int status) {
  spn_write_t *write = &stream->write;
  if (!write->pending)
    return;
  if (write->source)
    (void)napi_delete_reference(stream->object.environment->env, write->source);
  *write = (spn_write_t){.pending = false};
  spn_tell_status(&stream->object, SPN_onwrite, status);
}

void spn_write_go_on(spn_stream_t *stream) {
  spn_write_t *write = &stream->write;
  napi_env env = stream->object.environment->env;
  napi_handle_scope scope;
  napi_value source;
  int status = 1;
  if (!write->pending || !stream->stream || napi_open_handle_scope(env, &scope) != napi_ok)
    return;
  if (write->source)
    status = napi_get_reference_value(env, write->source, &source) == napi_ok
                 ? pass_left(stream, source)
                 : UV_EFAULT;
  (void)spn_report_exception(env);
  (void)napi_close_handle_scope(env, scope);
  if (status)
    spn_write_finish(stream, status < 0 ? status : 0);
}

void spn_stream_on_drain(sp_stream_t *connection) { spn_write_go_on(sp_stream_data(connection)); }

/* -- methods ----------------------------------------------------------------------------------- */

/* Before the stream is secure everything waits: what fails then was not written. */
static napi_value begin(napi_env env, spn_stream_t *stream, napi_value source, size_t size,
                        bool is_array) {
  spn_write_t *write = &stream->write;
  int status = 0;
  write->left = size;
  write->is_array = is_array;
  if (sp_stream_is_secure(stream->stream))
    status = pass_left(stream, source);
  if (status == 0)
    status = hold(stream, source, is_array);
  if (status)
    *write = (spn_write_t){.pending = false};
  return spn_number(env, status);
}

/* Whether the stream takes a write; else *status says why. */
static bool can_write(const spn_stream_t *stream, int *status) {
  *status = !stream->stream ? UV_EBADF : stream->write.pending ? UV_EBUSY : 0;
  return *status == 0;
}

/* write(buffer) */
napi_value spn_stream_write(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_stream_t *stream = spn_stream_self(env, &call);
  const uint8_t *bytes;
  size_t n;
  int status;
  if (!stream)
    return NULL;
  if (!spn_view(env, call.argv[0], &bytes, &n))
    return spn_throw_type(env, "buffer must be a Buffer, TypedArray or DataView");
  if (!can_write(stream, &status))
    return spn_number(env, status);
  return begin(env, stream, call.argv[0], n, false);
}

/* How many bytes an array's Buffers have; false: an element is none. */
static bool measure(napi_env env, napi_value array, size_t *size) {
  uint32_t count;
  *size = 0;
  if (napi_get_array_length(env, array, &count) != napi_ok)
    return false;
  for (uint32_t i = 0; i < count; i++) {
    const uint8_t *bytes;
    napi_value element;
    size_t n;
    if (napi_get_element(env, array, i, &element) != napi_ok || !spn_view(env, element, &bytes, &n))
      return false;
    *size += n;
  }
  return true;
}

/* writev(buffers) */
napi_value spn_stream_writev(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_stream_t *stream = spn_stream_self(env, &call);
  size_t size;
  int status;
  if (!stream)
    return NULL;
  if (!measure(env, call.argv[0], &size))
    return spn_throw_type(env, "buffers must be an array of Buffers");
  if (!can_write(stream, &status))
    return spn_number(env, status);
  return begin(env, stream, call.argv[0], size, true);
}

/* -- the end ----------------------------------------------------------------------------------- */

static void tell_ended(spn_stream_t *stream) {
  stream->awaits_end = false;
  spn_tell_status(&stream->object, SPN_onended, 0);
}

void spn_stream_on_finish(sp_stream_t *connection) {
  spn_stream_t *stream = sp_stream_data(connection);
  stream->finished = true;
  if (stream->awaits_end)
    tell_ended(stream);
}

void spn_write_say(spn_stream_t *stream) {
  if (stream->awaits_end && stream->finished)
    tell_ended(stream);
}

/* end(): what follows the last byte is close_notify. */
napi_value spn_stream_end(napi_env env, napi_callback_info info) {
  spn_call_info_t call = spn_call_info(env, info);
  spn_stream_t *stream = spn_stream_self(env, &call);
  if (!stream)
    return NULL;
  if (!stream->stream)
    return spn_number(env, UV_EBADF);
  int status = sp_stream_error(stream->stream)->status;
  if (status < 0)
    return spn_number(env, status);
  stream->awaits_end = true;
  sp_stream_end(stream->stream);
  if (stream->finished) /* a pipe had ended it */
    spn_stream_become_due(stream);
  return spn_number(env, 0);
}
