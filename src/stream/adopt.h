/* Making a stream of a transport that is connected. */
#ifndef SP_STREAM_ADOPT_H
#define SP_STREAM_ADOPT_H

#include "stream/stream.h"

typedef struct sp__adoption {
  uv_loop_t *loop;
  const sp__transport_t *transport;
  uv_stream_t *io;
  bool own_io; /* the stream frees it */
  sp_role_t role;
  const void *already; /* bytes that were read ahead */
  size_t n;
  sp_secure_cb on_secure;
} sp__adoption_t;

int sp__adopt(sp_stream_t **stream, const sp__adoption_t *adoption, sp_error_t *why,
              const sp_options_t *options);

#endif
