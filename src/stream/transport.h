/*
 * What carries a stream's encrypted bytes: a libuv stream, or something of the program's own. Both
 * report to the functions of stream.h that are marked so.
 */
#ifndef SP_STREAM_TRANSPORT_H
#define SP_STREAM_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>

#include <securepair/stream.h>

typedef struct sp__transport {
  /* How many bytes were taken, UV_EAGAIN, or another error. May call back into the program. */
  int (*send)(sp_stream_t *stream, const void *bytes, size_t n);
  /* It was full: takes (some of) what is left when it can, then sp__stream_has_room. The bytes stay
   * as they are until then. Returns 0 or an error. */
  int (*await_room)(sp_stream_t *stream, const void *bytes, size_t n);
  int (*read)(sp_stream_t *stream, bool on); /* starts or stops; then sp__stream_input */
  bool (*shut_down)(sp_stream_t *stream);    /* true: sp__stream_shut_down follows; false: done */
  void (*close)(sp_stream_t *stream);        /* then sp__stream_closed, never at once */
  bool close_ends;                           /* closing it shuts it down, too */
} sp__transport_t;

extern const sp__transport_t sp__transport_uv, sp__transport_own;

#endif
