#include "hooks.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "context.h"
#include "server.h"
#include "stream.h"

/* -- asking ------------------------------------------------------------------------------------ */

/* A server's stream that is asked about before `onconnection` knows its server. */
static bool make_early(spn_stream_t *stream) {
  const spn_object_t *parent = stream->server ? &stream->server->object : NULL;
  if (!spn_object_make(&stream->object, parent))
    return false;
  if (parent)
    spn_set(parent->environment->env, spn_object_value(&stream->object), "server",
            spn_object_value(parent));
  return true;
}

/* The stream that a hook is about, with its JavaScript object; NULL: there is none, or no memory.
 */
static spn_stream_t *stream_of(sp_pair_t *pair, void *data) {
  const spn_environment_t *environment = data;
  sp_stream_t *connection = sp_stream_of(pair);
  spn_stream_t *stream = connection ? spn_stream_of(connection) : environment->adopting;
  if (environment->going || !stream)
    return NULL;
  return stream->object.self || make_early(stream) ? stream : NULL;
}

/* Of hooks of a server's stream `this` is the server. */
static napi_value receiver_of(const spn_stream_t *stream) {
  return spn_object_value(stream->server ? &stream->server->object : &stream->object);
}

/* What JavaScript answers before it returns, or SP_PENDING: the answer comes by `proceed`. */
static int ask(spn_stream_t *stream, spn_function_t function, size_t argc, napi_value *argv) {
  argv[0] = spn_object_value(&stream->object);
  stream->answer = SP_PENDING;
  stream->asking = true;
  bool asked = spn_call(&stream->object, function, receiver_of(stream), argc, argv, NULL);
  stream->asking = false;
  return asked ? stream->answer : SP_EREFUSED;
}

/* A question is asked in a handle scope of its own. */
typedef struct question {
  napi_env env;
  napi_handle_scope scope;
  spn_stream_t *stream;
} question_t;

static bool begin(question_t *question, sp_pair_t *pair, void *data) {
  question->env = ((spn_environment_t *)data)->env;
  if (napi_open_handle_scope(question->env, &question->scope) != napi_ok)
    return false;
  question->stream = stream_of(pair, data);
  if (!question->stream)
    (void)napi_close_handle_scope(question->env, question->scope);
  return question->stream != NULL;
}

static int end(const question_t *question, int answer) {
  (void)napi_close_handle_scope(question->env, question->scope);
  return answer;
}

/* -- the client's first message ---------------------------------------------------------------- */

/* The name is not to be had any more when protocols are chosen. */
static int on_hello(sp_pair_t *pair, const sp_client_hello_t *hello, void *data) {
  sp_stream_t *connection = sp_stream_of(pair);
  spn_stream_t *stream = connection ? spn_stream_of(connection) : NULL;
  (void)data;
  if (!stream)
    return UV_ENOMEM;
  free(stream->name);
  stream->name = hello->server_name ? strndup(hello->server_name, hello->server_name_size) : NULL;
  return 0;
}

static int on_server_name(sp_pair_t *pair, const char *name, void *data) {
  question_t question;
  if (!begin(&question, pair, data))
    return SP_EREFUSED;
  napi_value argv[2] = {NULL, spn_text(question.env, name)};
  return end(&question, ask(question.stream, SPN_onservername, 2, argv));
}

static int on_alpn(sp_pair_t *pair, const uint8_t *protocols, size_t n, void *data) {
  question_t question;
  if (!begin(&question, pair, data))
    return SP_EREFUSED;
  napi_value argv[3] = {NULL, spn_text(question.env, question.stream->name),
                        spn_buffer(question.env, protocols, n)};
  return end(&question, ask(question.stream, SPN_onprotocols, 3, argv));
}

/* -- sessions ---------------------------------------------------------------------------------- */

static int on_session_get(sp_pair_t *pair, const void *id, size_t n, void *data) {
  question_t question;
  if (!begin(&question, pair, data))
    return SP_EREFUSED;
  napi_value argv[2] = {NULL, spn_buffer(question.env, id, n)};
  return end(&question, ask(question.stream, SPN_onresume, 2, argv));
}

static void on_session_new(sp_pair_t *pair, const void *id, size_t id_size, const void *bytes,
                           size_t n, void *data) {
  question_t question;
  if (!begin(&question, pair, data))
    return;
  const spn_object_t *object = &question.stream->object;
  napi_value argv[3] = {spn_object_value(object), spn_buffer(question.env, id, id_size),
                        spn_buffer(question.env, bytes, n)};
  (void)spn_call(object, SPN_onstore, receiver_of(question.stream), 3, argv, NULL);
  (void)end(&question, 0);
}

/* One that came in the middle of reading. */
typedef struct spn_session {
  struct spn_session *next;
  size_t size;
  uint8_t bytes[];
} spn_session_t;

static void keep_session(spn_stream_t *stream, const void *bytes, size_t n) {
  spn_session_t **link = &stream->sessions, *session = malloc(sizeof *session + n);
  if (!session)
    return; /* it is only an offer */
  session->next = NULL;
  session->size = n;
  memcpy(session->bytes, bytes, n);
  while (*link)
    link = &(*link)->next;
  *link = session;
  spn_stream_become_due(stream);
}

static void tell_session(const spn_stream_t *stream, const void *bytes, size_t n) {
  const spn_object_t *object = &stream->object;
  napi_env env = object->environment->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok)
    return;
  napi_value session = spn_buffer(env, bytes, n);
  (void)spn_call(object, SPN_onsession, spn_object_value(object), 1, &session, NULL);
  (void)napi_close_handle_scope(env, scope);
}

static spn_session_t *take_session(spn_stream_t *stream) {
  spn_session_t *session = stream->sessions;
  if (session)
    stream->sessions = session->next;
  return session;
}

static void free_session(spn_session_t *session) {
  OPENSSL_cleanse(session->bytes, session->size);
  free(session);
}

void spn_sessions_say(spn_stream_t *stream) {
  for (spn_session_t *session; (session = take_session(stream));) {
    tell_session(stream, session->bytes, session->size);
    free_session(session);
  }
}

void spn_sessions_free(spn_stream_t *stream) {
  for (spn_session_t *session; (session = take_session(stream));)
    free_session(session);
}

static void on_session(sp_pair_t *pair, const void *bytes, size_t n, void *data) {
  spn_environment_t *environment = data;
  spn_stream_t *stream = stream_of(pair, data);
  if (!stream)
    return;
  if (environment->slab_lent)
    keep_session(stream, bytes, n);
  else
    tell_session(stream, bytes, n);
}

/* -- key log, renegotiation, OCSP -------------------------------------------------------------- */

static void on_keylog(sp_pair_t *pair, const char *line, void *data) {
  question_t question;
  size_t n = strlen(line);
  void *room;
  napi_value argument;
  if (!begin(&question, pair, data))
    return;
  const spn_object_t *object = &question.stream->object;
  if (napi_create_buffer(question.env, n + 1, &room, &argument) == napi_ok) {
    memcpy(room, line, n);
    ((char *)room)[n] = '\n';
    (void)spn_call(object, SPN_onkeylog, spn_object_value(object), 1, &argument, NULL);
  }
  (void)end(&question, 0);
}

static void on_renegotiated(sp_pair_t *pair, void *data) {
  question_t question;
  if (!begin(&question, pair, data))
    return;
  const spn_object_t *object = &question.stream->object;
  (void)spn_call(object, SPN_onrenegotiated, spn_object_value(object), 0, NULL, NULL);
  (void)end(&question, 0);
}

static int on_staple(sp_pair_t *pair, void *data) {
  question_t question;
  if (!begin(&question, pair, data))
    return SP_EREFUSED;
  napi_value argv[1];
  return end(&question, ask(question.stream, SPN_onstaple, 1, argv));
}

/* -- keys that both sides know before ---------------------------------------------------------- */

/* A Buffer's bytes in `room`; how many, 0: none, or they do not fit. */
static int copy_key(napi_env env, napi_value value, uint8_t *room, size_t size) {
  const uint8_t *bytes;
  size_t n;
  if (!value || !spn_view(env, value, &bytes, &n) || n > size)
    return 0;
  if (n)
    memcpy(room, bytes, n);
  return (int)n;
}

static int on_psk_server(sp_pair_t *pair, const char *identity, uint8_t *key, size_t size,
                         void *data) {
  question_t question;
  napi_value answer;
  if (!begin(&question, pair, data))
    return 0;
  const spn_object_t *object = &question.stream->object;
  napi_value argv[2] = {spn_object_value(object), spn_text(question.env, identity)};
  bool answered = spn_call(object, SPN_onpskserver, receiver_of(question.stream), 2, argv, &answer);
  int n = answered ? copy_key(question.env, answer, key, size) : 0;
  return end(&question, n == SP_PENDING ? 0 : n); /* a key of one byte is none */
}

/* { identity, key } */
static int copy_identity(napi_env env, napi_value answer, char *identity, size_t identity_size,
                         uint8_t *key, size_t size) {
  spn_reader_t reader = {.env = env};
  const char *text = spn_read_text(&reader, answer, "identity");
  napi_value bytes = spn_read(&reader, answer, "key");
  int n = text && strlen(text) < identity_size ? copy_key(env, bytes, key, size) : 0;
  if (n)
    memcpy(identity, text, strlen(text) + 1);
  spn_reader_end(&reader);
  (void)spn_report_exception(env);
  return n;
}

static int on_psk_client(sp_pair_t *pair, const char *hint, char *identity, size_t identity_size,
                         uint8_t *key, size_t size, void *data) {
  question_t question;
  napi_value answer;
  if (!begin(&question, pair, data))
    return 0;
  const spn_object_t *object = &question.stream->object;
  napi_value argv[2] = {spn_object_value(object), spn_text(question.env, hint)};
  bool answered = spn_call(object, SPN_onpskclient, spn_object_value(object), 2, argv, &answer);
  int n = answered ? copy_identity(question.env, answer, identity, identity_size, key, size) : 0;
  return end(&question, n == SP_PENDING ? 0 : n);
}

sp_hooks_t spn_hooks(int bits) {
  sp_hooks_t hooks = {.session = on_session, .renegotiated = on_renegotiated};
  if (bits & SPN_HOOK_SERVER_NAME)
    hooks.server_name = on_server_name;
  if (bits & SPN_HOOK_ALPN) {
    hooks.client_hello = on_hello;
    hooks.alpn = on_alpn;
  }
  if (bits & SPN_HOOK_SESSION_GET)
    hooks.session_get = on_session_get;
  if (bits & SPN_HOOK_SESSION_NEW)
    hooks.session_new = on_session_new;
  if (bits & SPN_HOOK_KEYLOG)
    hooks.keylog = on_keylog;
  if (bits & SPN_HOOK_OCSP)
    hooks.staple = on_staple;
  if (bits & SPN_HOOK_PSK) {
    hooks.psk_server = on_psk_server;
    hooks.psk_client = on_psk_client;
  }
  return hooks;
}
