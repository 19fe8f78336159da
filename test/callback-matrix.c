/*
 * A01: in every callback, every call that is legal there, as client and as server, TLS 1.2 and 1.3.
 * Each play is one loop: a row of the table gets its callback called on the subject, the action is
 * done there, then the connection has to behave as the action promises, and everything ends.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/contexts.h"
#include "support/fixture.h"
#include "support/signing.h"

#define MEGABYTE ((size_t)1 << 20)
#define PROBE 10u
#define QUIET 20u /* turns of the loop without any event */

typedef enum hook { NO_HOOK, HOOK_HELLO, HOOK_NAME, HOOK_ALPN, HOOK_SIGN } hook_t;

typedef struct play play_t;

/* Where the callback comes from. */
typedef struct row {
  const char *name;
  int event;                   /* a fixture_event_t of the subject; -1: see hook, done, drop */
  void (*begin)(play_t *play); /* when both ends are secure; NULL: nothing */
  hook_t hook;
  bool lives;   /* the connection goes on after the callback */
  bool second;  /* a second connection, whose end on the subject's side is what it is piped to */
  bool drops;   /* the server takes one connection only */
  bool workers; /* handshakes on worker threads */
} row_t;

typedef struct action {
  const char *name;
  void (*act)(play_t *play, sp_stream_t *self, sp_stream_t *other);
  bool (*kept)(const play_t *play); /* what it promises, of a connection that lived */
} action_t;

struct play {
  fixture_t *f;
  const row_t *row;
  const action_t *action;
  sp_role_t role;
  sp_context_t *server_context, *client_context, *spare;
  actor_t *client, *client2, *anew;
  sp_pair_t *hooked;                /* while a hook runs: its pair */
  bool begun, acted, probed, alone; /* alone: the other was not there yet */
  unsigned stage, quiet;
  size_t events, before; /* before: bytes the subject had received when the action was done */
  uv_idle_t idle;
  sp_stream_t *dead[8]; /* were destroyed */
  size_t dead_count;
  sp_stream_t *held; /* was paused */
  sp_write_t big;
  bool big_taken;
  unsigned big_done;
  int big_status;
  uv_pipe_t plain;
  int plain_peer; /* descriptor; -1: none */
  unsigned pipe_done;
};

static play_t *now; /* for the hooks */

/* -- who is who ------------------------------------------------------------------------------- */

static actor_t *server_of(const play_t *play) { return fixture_served(play->f, 0); }

static actor_t *subject(const play_t *play) {
  return play->role == SP_CLIENT ? play->client : server_of(play);
}

static actor_t *peer(const play_t *play) {
  return play->role == SP_CLIENT ? server_of(play) : play->client;
}

/* What the subject is piped to. */
static actor_t *target(const play_t *play) {
  return play->role == SP_CLIENT ? play->client2 : fixture_served(play->f, 1);
}

static sp_stream_t *stream_of(const actor_t *actor) { return actor ? actor->stream : NULL; }

static bool is_gone(const actor_t *actor) { return actor && !actor->stream; }

static bool is_dead(const play_t *play, const sp_stream_t *stream) {
  for (size_t i = 0; i < play->dead_count; i++)
    if (play->dead[i] == stream)
      return true;
  return false;
}

static void destroy(play_t *play, sp_stream_t *stream) {
  if (!stream || is_dead(play, stream))
    return;
  assert_true(play->dead_count < sizeof play->dead / sizeof *play->dead);
  play->dead[play->dead_count++] = stream;
  CALL(play->f, sp_stream_destroy(stream));
}

/* -- actions ---------------------------------------------------------------------------------- */

static void destroy_self(play_t *play, sp_stream_t *self, sp_stream_t *other) {
  (void)other;
  destroy(play, self);
}

static void destroy_other(play_t *play, sp_stream_t *self, sp_stream_t *other) {
  (void)self;
  destroy(play, other);
}

static void close_server(play_t *play, sp_stream_t *self, sp_stream_t *other) {
  (void)self, (void)other;
  fixture_close_server(play->f);
}

static void destroy_all(play_t *play, sp_stream_t *self, sp_stream_t *other) {
  (void)self, (void)other;
  for (actor_t *a; (a = fixture_served(play->f, play->dead_count)) && play->dead_count < 8;)
    play->dead[play->dead_count++] = a->stream;
  if (play->hooked && sp_pair_role(play->hooked) == SP_SERVER && !server_of(play))
    play->dead[play->dead_count++] = sp_stream_of(play->hooked);
  if (play->f->server)
    CALL(play->f, sp_server_destroy_all(play->f->server));
}

static void release_contexts(play_t *play, sp_stream_t *self, sp_stream_t *other) {
  (void)self, (void)other;
  sp_context_release(play->server_context);
  sp_context_release(play->client_context);
  play->server_context = play->client_context = NULL;
}

static void on_big(sp_write_t *request, int status) {
  play_t *play = request->data;
  assert_null(play->f->calling);
  play->big_done++;
  play->big_status = status;
}

static void write_big(play_t *play, sp_stream_t *self, sp_stream_t *other) {
  (void)other;
  int status;
  play->big.data = play;
  CALL(play->f,
       status = sp_stream_write(&play->big, self, fixture_pattern(MEGABYTE), MEGABYTE, on_big));
  play->big_taken = status >= 0;
  if (play->row->lives)
    assert_int_equal(status, 0);
}

static void end(play_t *play, sp_stream_t *self, sp_stream_t *other) {
  (void)other;
  CALL(play->f, sp_stream_end(self));
}

static void pause_it(play_t *play, sp_stream_t *self, sp_stream_t *other) {
  (void)other;
  CALL(play->f, sp_stream_pause(self));
  play->held = self;
}

static void resume(play_t *play, sp_stream_t *self, sp_stream_t *other) {
  (void)other;
  CALL(play->f, sp_stream_resume(self));
}

static void connect_anew(play_t *play, sp_stream_t *self, sp_stream_t *other) {
  (void)self, (void)other;
  play->anew = fixture_connect(play->f, SP_OPTIONS(.host = "127.0.0.1", .port = play->f->port,
                                                   .context = play->client_context,
                                                   .server_name = "localhost"));
}

static void unpipe(play_t *play, sp_stream_t *self, sp_stream_t *other) {
  (void)other;
  CALL(play->f, sp_stream_unpipe(self));
}

static void swap_context(play_t *play, sp_stream_t *self, sp_stream_t *other) {
  (void)self, (void)other;
  if (play->f->server && !play->f->server_closing)
    assert_int_equal(sp_server_set_context(play->f->server, play->spare), 0);
  if (play->hooked && play->row->hook != HOOK_SIGN)
    assert_int_equal(sp_pair_use_context(play->hooked, play->spare), 0);
}

/* -- what actions promise --------------------------------------------------------------------- */

static bool both_gone(const play_t *play) {
  bool never_met = !server_of(play) && !sp_server_connections(play->f->server);
  return is_gone(play->client) && (never_met || is_gone(server_of(play)));
}

static bool works(const play_t *play) {
  const actor_t *actor = subject(play);
  return actor && actor->received >= play->before + PROBE && actor->stream;
}

static bool works_and_more(const play_t *play) {
  return works(play) && play->anew && play->anew->counts[ON_SECURE];
}

static bool all_written(const play_t *play) {
  return works(play) && peer(play)->received >= MEGABYTE && play->big_done;
}

/* That nothing comes shows later. */
static bool is_held(const play_t *play) {
  const actor_t *actor = subject(play);
  return actor && sp_stream_is_paused(actor->stream) && actor->counts[ON_SECURE];
}

static bool other_gone(const play_t *play) { return play->alone ? works(play) : both_gone(play); }

static const action_t actions[] = {
    {"destroy itself", destroy_self, both_gone},
    {"destroy the other", destroy_other, other_gone},
    {"close the server", close_server, works},
    {"destroy all", destroy_all, both_gone},
    {"release the context", release_contexts, works},
    {"write 1 MB", write_big, all_written},
    {"end", end, both_gone},
    {"pause", pause_it, is_held},
    {"resume", resume, works},
    {"connect anew", connect_anew, works_and_more},
    {"unpipe", unpipe, works},
    {"swap the context", swap_context, works},
};

static void act(play_t *play, sp_stream_t *self, sp_stream_t *other) {
  if (play->acted || !self)
    return;
  play->acted = true;
  play->alone = !other;
  play->before = subject(play) ? subject(play)->received : 0;
  play->action->act(play, self, other);
}

/* The action on the usual two. */
static void act_on_subject(play_t *play) {
  const actor_t *other = play->row->second ? target(play) : peer(play);
  act(play, stream_of(subject(play)), stream_of(other));
}

/* -- rows ------------------------------------------------------------------------------------- */

static void peer_sends(play_t *play) { sp_stream_send(peer(play)->stream, "0123456789", PROBE); }
static void peer_ends(play_t *play) { sp_stream_end(peer(play)->stream); }
static void write_little(play_t *play) { actor_write(subject(play), "hello", 5); }

static void write_much(play_t *play) {
  assert_int_equal(actor_write(subject(play), fixture_pattern(MEGABYTE), MEGABYTE), 0);
}

static void be_impatient(play_t *play) { sp_stream_set_timeout(subject(play)->stream, 1); }

static void peer_sends_junk(play_t *play) {
  static char junk[] = "this is no record";
  uv_buf_t buffer = uv_buf_init(junk, sizeof junk);
  sp_stream_t *stream = peer(play)->stream;
  assert_int_equal(uv_try_write(sp_stream_transport(stream), &buffer, 1), sizeof junk);
}

/* A FIN without close_notify. */
static void peer_cuts(play_t *play) {
  uv_os_fd_t fd;
  sp_stream_t *stream = peer(play)->stream;
  assert_int_equal(uv_fileno((uv_handle_t *)sp_stream_transport(stream), &fd), 0);
  assert_int_equal(shutdown(fd, SHUT_WR), 0);
}

static void peer_resets(play_t *play) {
  const struct linger at_once = {.l_onoff = 1};
  uv_os_fd_t fd;
  sp_stream_t *stream = peer(play)->stream;
  assert_int_equal(uv_fileno((uv_handle_t *)sp_stream_transport(stream), &fd), 0);
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
  destroy(play, stream);
}

static void pipe_and(play_t *play, void (*then)(play_t *play)) {
  assert_int_equal(sp_stream_pipe(subject(play)->stream, target(play)->stream), 0);
  then(play);
}

static void pipe_and_end(play_t *play) { pipe_and(play, peer_ends); }
static void pipe_and_fail(play_t *play) { pipe_and(play, peer_sends_junk); }
static void pipe_and_reset(play_t *play) { pipe_and(play, peer_resets); }
static void pipe_and_write(play_t *play) { pipe_and(play, write_little); }
static void pipe_and_fill(play_t *play) { pipe_and(play, write_much); }

static void echo_and_end(play_t *play) {
  sp_stream_t *self = subject(play)->stream;
  assert_int_equal(sp_stream_pipe(self, self), 0);
  peer_sends(play);
  peer_ends(play);
}

static void on_pipe_done(uv_stream_t *plain, int status) {
  (void)status;
  play_t *play = plain->data;
  assert_null(play->f->calling);
  assert_int_equal(play->pipe_done, 0);
  play->pipe_done++;
  act_on_subject(play);
  uv_close((uv_handle_t *)plain, NULL);
}

static void relay(play_t *play) {
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  assert_int_equal(uv_pipe_init(&play->f->loop, &play->plain, 0), 0);
  assert_int_equal(uv_pipe_open(&play->plain, fds[0]), 0);
  play->plain.data = play;
  play->plain_peer = fds[1];
  int status;
  CALL(play->f, status = sp_stream_pipe_plain(subject(play)->stream, (uv_stream_t *)&play->plain,
                                              SP_PIPE_BOTH, on_pipe_done));
  assert_int_equal(status, 0);
}

static void relay_and_end(play_t *play) {
  relay(play);
  assert_int_equal(shutdown(play->plain_peer, SHUT_WR), 0);
}

static void relay_and_reset(play_t *play) {
  relay(play);
  peer_resets(play);
}

static const row_t rows[] = {
    {"secure", ON_SECURE, .lives = true},
    {"data", ON_DATA, .begin = peer_sends, .lives = true},
    {"drain", ON_DRAIN, .begin = write_much, .lives = true},
    {"timeout", ON_TIMEOUT, .begin = be_impatient, .lives = true},
    {"write", ON_WRITE, .begin = write_little, .lives = true},
    {"end", ON_END, .begin = peer_ends},
    {"end after a cut", ON_END, .begin = peer_cuts},
    {"error", ON_ERROR, .begin = peer_sends_junk},
    {"reset", ON_ERROR, .begin = peer_resets},
    {"close", ON_CLOSE, .begin = peer_ends},
    {"close after an error", ON_CLOSE, .begin = peer_sends_junk},
    {"end in a pipe", ON_END, .begin = pipe_and_end, .second = true},
    {"error in a pipe", ON_ERROR, .begin = pipe_and_fail, .second = true},
    {"close in a pipe", ON_CLOSE, .begin = pipe_and_reset, .second = true},
    {"write in a pipe", ON_WRITE, .begin = pipe_and_write, .second = true},
    {"drain in a pipe", ON_DRAIN, .begin = pipe_and_fill, .second = true},
    {"end in an echo", ON_END, .begin = echo_and_end},
    {"pipe done", -1, .begin = relay_and_end},
    {"pipe broken", -1, .begin = relay_and_reset},
    {"drop", -1, .lives = true, .drops = true},
    {"client_hello", -1, .hook = HOOK_HELLO, .lives = true},
    {"server_name", -1, .hook = HOOK_NAME, .lives = true},
    {"alpn", -1, .hook = HOOK_ALPN, .lives = true},
    {"sign", -1, .hook = HOOK_SIGN, .lives = true},
    {"secure by workers", ON_SECURE, .lives = true, .workers = true},
    {"data by workers", ON_DATA, .begin = peer_sends, .lives = true, .workers = true},
    {"close by workers", ON_CLOSE, .begin = peer_ends, .workers = true},
    {"client_hello by workers", -1, .hook = HOOK_HELLO, .lives = true, .workers = true},
    {"server_name by workers", -1, .hook = HOOK_NAME, .lives = true, .workers = true},
};

/* -- hooks ------------------------------------------------------------------------------------ */

/* The action is done to the subject's stream, whichever pair's hook it is in. */
static void act_in_hook(sp_pair_t *pair, hook_t hook) {
  if (now->row->hook != hook || now->acted)
    return;
  sp_stream_t *stream = sp_stream_of(pair);
  bool of_server = sp_pair_role(pair) == SP_SERVER;
  if (!of_server && now->role == SP_SERVER)
    return;
  now->hooked = pair;
  if (of_server == (now->role == SP_SERVER))
    act(now, stream, of_server ? now->client->stream : stream_of(server_of(now)));
  else
    act(now, now->client->stream, stream);
  now->hooked = NULL;
}

static int on_hello(sp_pair_t *pair, const sp_client_hello_t *hello, void *data) {
  (void)hello, (void)data;
  act_in_hook(pair, HOOK_HELLO);
  return 0;
}

static int on_name(sp_pair_t *pair, const char *name, void *data) {
  (void)name, (void)data;
  act_in_hook(pair, HOOK_NAME);
  return 0;
}

static int on_alpn(sp_pair_t *pair, const uint8_t *protocols, size_t n, void *data) {
  (void)protocols, (void)n, (void)data;
  act_in_hook(pair, HOOK_ALPN);
  return sp_pair_use_protocol(pair, "x", 1);
}

static int on_sign(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n, void *data) {
  const pki_t *pki = data;
  uint8_t signature[512];
  act_in_hook(pair, HOOK_SIGN);
  size_t size = signing_sign(pki->key, scheme, message, n, signature, sizeof signature);
  return size ? sp_pair_sign_with(pair, signature, size) : SP_ECRYPTO;
}

/* -- contexts --------------------------------------------------------------------------------- */

static sp_context_t *make_server_context(const row_t *row, sp_role_t role, sp_protocol_t version) {
  const pki_t *pki = pki_default()->server;
  bool signs = row->hook == HOOK_SIGN && role == SP_SERVER;
  sp_hooks_t hooks = {.client_hello = row->hook == HOOK_HELLO ? on_hello : NULL,
                      .server_name = row->hook == HOOK_NAME ? on_name : NULL,
                      .alpn = row->hook == HOOK_ALPN ? on_alpn : NULL,
                      .sign = signs ? on_sign : NULL};
  return context_made(SP_OPTIONS(.key = signs ? NULL : pki->key_pem, .cert = pki->cert_pem,
                                 .ca = SP_LIST(pki_default()->root->cert_pem),
                                 .request_cert = row->hook == HOOK_SIGN ? SP_YES : SP_NO,
                                 .tickets = SP_NO, .min_version = version, .max_version = version,
                                 .hooks = hooks, .hooks_data = (void *)(uintptr_t)pki));
}

static sp_context_t *make_client_context(const row_t *row, sp_role_t role, sp_protocol_t version) {
  const pki_t *pki = pki_default()->client;
  bool signs = row->hook == HOOK_SIGN && role == SP_CLIENT;
  return context_made(
      SP_OPTIONS(.key = signs ? NULL : pki->key_pem, .cert = pki->cert_pem,
                 .ca = SP_LIST(pki_default()->root->cert_pem), .min_version = version,
                 .max_version = version, .alpn = row->hook == HOOK_ALPN ? SP_LIST("x") : NULL,
                 .hooks.sign = signs ? on_sign : NULL, .hooks_data = (void *)(uintptr_t)pki));
}

/* To make contexts takes longer than all the rest: they are shared by plays. */
static sp_context_t *shared[HOOK_SIGN + 1][2][2][2];

static sp_context_t *context_of(const play_t *play, sp_protocol_t version, bool of_server) {
  sp_context_t **slot = &shared[play->row->hook][play->role][version - SP_TLS1_2][of_server];
  if (!*slot)
    *slot = of_server ? make_server_context(play->row, play->role, version)
                      : make_client_context(play->row, play->role, version);
  return sp_context_retain(*slot);
}

static int release_shared(void **state) {
  (void)state;
  sp_context_t **slot = &shared[0][0][0][0];
  for (size_t i = 0; i < sizeof shared / sizeof *slot; i++)
    sp_context_release(slot[i]);
  return 0;
}

/* When it is the contexts that are released, nobody else may hold them. */
static void make_contexts(play_t *play, sp_protocol_t version) {
  bool own = play->action->act == release_contexts;
  play->server_context =
      own ? make_server_context(play->row, play->role, version) : context_of(play, version, true);
  play->client_context =
      own ? make_client_context(play->row, play->role, version) : context_of(play, version, false);
  bool swaps = play->action->act == swap_context;
  play->spare = swaps ? make_server_context(play->row, play->role, version) : NULL;
}

/* -- the play --------------------------------------------------------------------------------- */

static void react(actor_t *actor, fixture_event_t event, int status);

static sp_choice_t choice(const play_t *play) { return play->row->workers ? SP_YES : SP_NO; }

static actor_t *connect_one(play_t *play) {
  actor_t *client = fixture_connect(play->f, SP_OPTIONS(.host = "127.0.0.1", .port = play->f->port,
                                                        .context = play->client_context,
                                                        .handshake_workers = choice(play),
                                                        .server_name = "localhost"));
  client->react = react;
  return client;
}

static bool is_set(play_t *play) {
  const actor_t *all[] = {play->client, server_of(play)};
  for (int i = 0; i < 2; i++)
    if (!all[i] || !all[i]->stream || all[i]->statuses[ON_SECURE] || !all[i]->counts[ON_SECURE])
      return false;
  if (!play->row->second)
    return true;
  if (!play->client2) /* one after the other, so that it is clear who belongs to whom */
    play->client2 = connect_one(play);
  return play->client2->counts[ON_SECURE] && fixture_served(play->f, 1);
}

/* After the destruction only this may come. */
static void check_dead(const play_t *play, const actor_t *actor, fixture_event_t event,
                       int status) {
  if (!is_dead(play, actor->stream))
    return;
  bool fine = event == ON_WRITE || event == ON_CLOSE || event == ON_SECURE;
  if (!fine || (event == ON_SECURE && status != UV_ECANCELED))
    fail_msg("%s, after it was destroyed: %s", actor->name, actor->log);
}

static void react(actor_t *actor, fixture_event_t event, int status) {
  play_t *play = actor->fixture->data;
  check_dead(play, actor, event, status);
  if (event == ON_DATA && actor->stream == play->held)
    fail_msg("data while paused");
  if (event == ON_CLOSE && play->big_taken && play->big.stream == actor->stream)
    assert_int_equal(play->big_done, 1);
  if (actor == subject(play) && (int)event == play->row->event)
    act_on_subject(play);
  if (!play->begun && is_set(play) && event == ON_SECURE) {
    play->begun = true;
    if (play->row->begin)
      play->row->begin(play);
  }
}

static void on_drop(sp_server_t *server, int status) {
  fixture_t *f = sp_server_data(server);
  assert_int_equal(status, UV_ECONNREFUSED);
  act_on_subject(f->data);
}

static size_t count_events(const play_t *play) {
  size_t sum = play->big_done + play->pipe_done;
  for (size_t i = 0; i < play->f->count; i++) {
    for (int event = 0; event < FIXTURE_EVENTS; event++)
      sum += play->f->actors[i]->counts[event];
    sum += play->f->actors[i]->received;
  }
  return sum;
}

static void resume_all(play_t *play) {
  play->held = NULL;
  for (size_t i = 0; i < play->f->count; i++)
    if (play->f->actors[i]->stream && !play->f->actors[i]->no_data)
      sp_stream_resume(play->f->actors[i]->stream);
}

static void end_all(play_t *play) {
  if (play->plain_peer >= 0)
    close(play->plain_peer);
  play->plain_peer = -1;
  for (size_t i = 0; i < play->f->count; i++)
    if (play->f->actors[i]->stream)
      sp_stream_end(play->f->actors[i]->stream);
}

/* The other side says something after the action. */
static void probe(play_t *play) {
  actor_t *other = peer(play);
  if (play->probed || !other || !other->stream || !other->counts[ON_SECURE])
    return;
  play->probed = true;
  (void)sp_stream_send(other->stream, "0123456789", PROBE);
}

static void on_turn(uv_idle_t *idle) {
  play_t *play = idle->data;
  if (play->row->drops && !play->client2 && is_set(play)) {
    play->client2 = connect_one(play);
  }
  if (!play->acted)
    return;
  probe(play);
  size_t events = count_events(play);
  play->quiet = events == play->events ? play->quiet + 1 : 0;
  play->events = events;
  if (play->quiet < QUIET)
    return;
  bool kept = !play->row->lives || (play->stage == 0 && play->action->kept(play)) ||
              (play->stage == 1 && (play->action->kept != is_held || works(play)));
  if (!kept)
    return;
  play->quiet = 0;
  play->stage++;
  if (play->stage == 1)
    resume_all(play);
  else if (play->stage == 2) {
    end_all(play);
    uv_idle_stop(idle);
  }
}

static bool is_done(fixture_t *f) {
  const play_t *play = f->data;
  for (size_t i = 0; i < f->count; i++)
    if (f->actors[i]->stream)
      return false;
  return play->stage == 2 && (!f->server || !sp_server_connections(f->server));
}

static void check_end(const play_t *play) {
  assert_true(play->acted);
  assert_int_equal(play->big_done, play->big_taken);
  if (play->row->lives && play->big_taken)
    assert_int_equal(play->big_status, 0);
  if (play->row->event < 0 && play->row->begin)
    assert_int_equal(play->pipe_done, 1);
}

static void run(const row_t *row, const action_t *action, sp_role_t role, sp_protocol_t version) {
  play_t *play = calloc(1, sizeof *play);
  assert_non_null(play);
  now = play;
  *play = (play_t){.row = row, .action = action, .role = role, .plain_peer = -1};
  play->f = fixture_new();
  play->f->data = play;
  play->f->react = react;
  play->f->done = is_done;
  make_contexts(play, version);
  fixture_serve(play->f,
                SP_OPTIONS(.context = play->server_context, .handshake_workers = choice(play),
                           .max_connections = row->drops));
  sp_server_on_drop(play->f->server, on_drop);
  play->client = connect_one(play);
  uv_idle_init(&play->f->loop, &play->idle);
  play->idle.data = play;
  uv_idle_start(&play->idle, on_turn);
  fixture_run(play->f);
  uv_close((uv_handle_t *)&play->idle, NULL);
  check_end(play);
  fixture_free(play->f);
  release_contexts(play, NULL, NULL);
  sp_context_release(play->spare);
  free(play);
}

static bool is_wanted(const char *name, const char *what) {
  const char *only = getenv(name);
  return !only || !strcmp(only, what);
}

/* Of two handshakes that workers do at once either may be done first: then it is not clear who
 * belongs to whom. */
static bool is_clear(const row_t *row, const action_t *action) {
  return !row->workers || !row->hook || action->act != connect_anew;
}

/* ROW=data ACTION=end VERBOSE=1: only these, and tell. */
static void run_row(const row_t *row) {
  for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
    for (int role = SP_CLIENT; role <= SP_SERVER; role++)
      for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++) {
        if (!is_clear(row, &actions[i]) || !is_wanted("ROW", row->name) ||
            !is_wanted("ACTION", actions[i].name))
          continue;
        if (getenv("VERBOSE"))
          print_message("%s: %s, %s, TLS 1.%d\n", row->name, actions[i].name,
                        role == SP_CLIENT ? "client" : "server", version - SP_TLS1_2 + 2);
        run(row, &actions[i], (sp_role_t)role, (sp_protocol_t)version);
      }
}

static void every_action(void **state) { run_row(*state); }

int main(void) {
  enum { ROWS = sizeof rows / sizeof *rows };
  struct CMUnitTest tests[ROWS];
  for (size_t i = 0; i < ROWS; i++)
    tests[i] =
        (struct CMUnitTest){rows[i].name, every_action, NULL, NULL, (void *)(uintptr_t)&rows[i]};
  return cmocka_run_group_tests_name("callback-matrix", tests, NULL, release_shared);
}
