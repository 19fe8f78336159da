/* STARTTLS: a connection that already talks becomes secure. */
#include "stream/adopt.h"
#include "base/error.h"
#include "base/memory.h"
#include "context/context.h"
#include "pair/cache.h"
#include "pair/pair.h"

/* The first bytes of a record with a handshake message: all that a server may have read ahead. */
static bool begins_client_hello(const uint8_t *bytes, size_t n) {
  return bytes[0] == SSL3_RT_HANDSHAKE && (n < 2 || bytes[1] == SSL3_VERSION_MAJOR) &&
         (n < 6 || bytes[5] == SSL3_MT_CLIENT_HELLO);
}

static int check_ahead(sp_stream_t *stream, sp_role_t role, const uint8_t *bytes, size_t n) {
  if (!n)
    return 0;
  if (role == SP_SERVER && begins_client_hello(bytes, n)) {
    stream->rest = (uint8_t *)sp__copy_bytes(bytes, n);
    stream->rest_size = stream->rest ? n : 0;
    return stream->rest ? 0 : UV_ENOMEM;
  }
  sp_error_t error;
  sp__fail(&error, SP_EINJECTED, SP_PEER,
           "%zu bytes of cleartext came ahead of the TLS handshake: somebody injected them, or the "
           "%s did not wait for the answer to STARTTLS",
           n, role == SP_SERVER ? "client" : "server");
  stream->broken = true; /* nothing is sent to it any more */
  sp__stream_fail(stream, &error);
  return 0;
}

static int make_stream(sp_stream_t **made, const sp__adoption_t *adoption, sp_pair_t *pair,
                       const sp__settings_t *settings) {
  sp__loop_t *loop = sp__loop_use(adoption->loop);
  if (!loop)
    return UV_ENOMEM;
  sp_stream_t *stream = sp__stream_new(loop, adoption->on_secure, settings);
  sp__loop_release(loop);
  if (!stream)
    return UV_ENOMEM;
  sp__stream_bind(stream, adoption->io, adoption->own_io, pair, settings);
  stream->transport = adoption->transport;
  *made = stream;
  return 0;
}

static int adopt(sp_stream_t **made, const sp__adoption_t *adoption, sp_error_t *why,
                 const sp_options_t *options) {
  sp_pair_t *pair = NULL;
  sp__settings_t settings;
  sp_options_t one = *options;
  if (!one.server_name)
    one.server_name = one.host;
  if (one.host && one.session_cache == SP_DEFAULT && !one.sessions)
    one.sessions = sp__cache_own();
  int status = sp_pair_make(&pair, adoption->role, why, &one);
  if (status < 0)
    return status;
  sp__settings_of(&settings, options);
  status = make_stream(made, adoption, pair, &settings);
  if (status < 0) {
    sp_pair_release(pair);
    return sp__fail_memory(why);
  }
  status = check_ahead(*made, adoption->role, adoption->already, adoption->n);
  if (status < 0)
    sp__stream_fail(*made, &sp__memory_error);
  return 0;
}

/* A name is the only thing that ties the certificate to the peer: leaving it out must be said. */
static int check_options(sp_role_t role, const sp_options_t *options, sp_error_t *why) {
  if (role == SP_CLIENT && !options->server_name && !options->host && options->check_name != SP_NO)
    return sp__fail(why, SP_EOPTION, SP_US,
                    "server_name is missing: name the server whose certificate is expected, or "
                    "say .check_name = SP_NO");
  return 0;
}

int sp__adopt(sp_stream_t **stream, const sp__adoption_t *adoption, sp_error_t *why,
              const sp_options_t *options) {
  sp_options_t copy;
  int status = sp__options_copy(&copy, options, why);
  if (status < 0 || (status = check_options(adoption->role, &copy, why)) < 0)
    return status;
  return adopt(stream, adoption, why, &copy);
}

int sp_stream_adopt(sp_stream_t **stream, uv_stream_t *io, sp_role_t role, const void *already,
                    size_t n, sp_secure_cb on_secure, sp_error_t *why,
                    const sp_options_t *options) {
  sp__adoption_t adoption = {.loop = io->loop,
                             .transport = &sp__transport_uv,
                             .io = io,
                             .role = role,
                             .already = already,
                             .n = n,
                             .on_secure = on_secure};
  int status = sp__adopt(stream, &adoption, why, options);
  if (status == 0)
    (void)uv_read_stop(io);
  return status;
}
