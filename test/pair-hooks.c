/*
 * Hooks that answer "not yet": each of the four, on a pair of one's own and under a stream, resumed
 * later with every kind of answer, or never.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "support/contexts.h"
#include "support/couple.h"
#include "support/fixture.h"
#include "support/signing.h"

enum { HELLO = 1, NAME = 2, ALPN = 4, SIGN = 8, ALL = 15 };

/* What hooks do, and what they saw. One at a time is under test. */
static struct {
  int pending;            /* which answer "not yet" (each once) */
  int refuse;             /* which refuse at once */
  int alert;              /* chosen for a refusal; -1: none */
  int asked[16];          /* how often, by bit */
  sp_pair_t *pair;        /* that waits */
  int waits;              /* which it is */
  uint16_t scheme;        /* what is to be signed */
  uint8_t message[16384]; /* TLS 1.2 clients sign all of the handshake */
  size_t n;
  char name[64];
  uv_timer_t *timer; /* resumes, under a stream */
  bool destroy;      /* instead: destroys the stream */
  bool then_destroy; /* ... or when it has answered */
  int release;       /* which releases its pair */
  bool is_released;
  int lines;         /* of the key log */
  bool refuse_later; /* instead: refuses */
} now;

static const pki_t *key_pair;

static void reset(int pending) {
  uv_timer_t *timer = now.timer;
  memset(&now, 0, sizeof now);
  now.pending = pending;
  now.alert = -1;
  now.timer = timer;
}

static int answer(sp_pair_t *pair, int which) {
  now.asked[which]++;
  if (now.release & which) {
    sp_pair_release(pair);
    now.is_released = true;
  }
  if (now.refuse & which) {
    if (now.alert >= 0)
      sp_pair_refuse(pair, now.alert);
    return SP_EREFUSED;
  }
  if (!(now.pending & which))
    return 0;
  now.pair = pair;
  now.waits = which;
  if (now.timer)
    uv_timer_start(now.timer, now.timer->timer_cb, 1, 0);
  return SP_PENDING;
}

static int on_hello(sp_pair_t *pair, const sp_client_hello_t *hello, void *data) {
  (void)data;
  if (!hello->server_name || hello->server_name_size != 9 || hello->version != 0x0303)
    return SP_EREFUSED;
  return answer(pair, HELLO);
}

static int on_name(sp_pair_t *pair, const char *name, void *data) {
  (void)data;
  (void)snprintf(now.name, sizeof now.name, "%s", name);
  return answer(pair, NAME);
}

static int on_alpn(sp_pair_t *pair, const uint8_t *protocols, size_t n, void *data) {
  (void)data;
  if (n != 4 || memcmp(protocols, "\1a\1b", 4) != 0)
    return SP_EREFUSED;
  int status = answer(pair, ALPN);
  return status ? status : sp_pair_use_protocol(pair, "b", 1);
}

static int sign_now(sp_pair_t *pair) {
  uint8_t signature[512];
  size_t size =
      signing_sign(key_pair->key, now.scheme, now.message, now.n, signature, sizeof signature);
  return size ? sp_pair_sign_with(pair, signature, size) : SP_ECRYPTO;
}

static int on_sign(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n, void *data) {
  (void)data;
  if (n > sizeof now.message)
    return SP_EREFUSED;
  now.scheme = scheme;
  now.n = n;
  memcpy(now.message, message, n);
  int status = answer(pair, SIGN);
  return status ? status : sign_now(pair);
}

static const sp_hooks_t hooks = {
    .client_hello = on_hello, .server_name = on_name, .alpn = on_alpn, .sign = on_sign};

/* Gives the answer that is missing, as it should be. */
static void give_answer(sp_pair_t *pair, int which) {
  if (which == ALPN)
    assert_int_equal(sp_pair_use_protocol(pair, "b", 1), 0);
  if (which == SIGN)
    assert_int_equal(sign_now(pair), 0);
}

/* -- a pair of one's own ----------------------------------------------------------------------- */

static sp_context_t *client_context, *server_context, *other_context;
static const char *kind_of_key; /* of the contexts, and their version */
static sp_protocol_t version_of_all;

static void make_contexts(const char *key, sp_protocol_t version) {
  kind_of_key = key;
  version_of_all = version;
  key_pair =
      PKI_MAKE(pki_default()->root, .cn = "localhost", .dns = PKI_LIST("localhost"), .key = key);
  server_context =
      context_made(SP_OPTIONS(.cert = key_pair->cert_pem, .hooks = hooks, .tickets = SP_NO,
                              .min_version = version, .max_version = version));
  other_context = context_made(
      FIXTURE_SERVER(.tickets = SP_NO, .min_version = version, .max_version = version));
  client_context = context_made(SP_OPTIONS(.ca = SP_LIST(pki_default()->root->cert_pem),
                                           .alpn = SP_LIST("a", "b"), .min_version = version,
                                           .max_version = version));
}

static void free_contexts(void) {
  sp_context_release(server_context);
  sp_context_release(client_context);
  sp_context_release(other_context);
}

typedef struct two {
  sp_pair_t *client, *server;
  wire_t to_client, to_server;
} two_t;

static void make_two(two_t *two) {
  sp_error_t why;
  *two = (two_t){0};
  assert_int_equal(sp_pair_new(&two->client, client_context, SP_CLIENT, "localhost", true, &why),
                   0);
  assert_int_equal(sp_pair_new(&two->server, server_context, SP_SERVER, NULL, false, &why), 0);
}

static void free_two(two_t *two) {
  sp_pair_release(two->client);
  sp_pair_release(two->server);
  wire_free(&two->to_client);
  wire_free(&two->to_server);
}

/* Moves what one has to send to the other; what that does not take stays on the wire. */
static void move(sp_pair_t *from, sp_pair_t *to, wire_t *wire) {
  const void *bytes;
  size_t n;
  while ((n = sp_pair_encrypted_out(from, &bytes))) {
    wire_add(wire, bytes, n);
    sp_pair_encrypted_sent(from, n);
  }
  n = wire_left(wire);
  if (!n || sp_pair_state(to) & SP_PAIR_WAITING)
    return;
  (void)sp_pair_encrypted_in(to, wire->bytes + wire->taken, n);
  wire->taken += n - sp_pair_encrypted_release(to);
}

static bool is_over(const two_t *two) {
  unsigned both = sp_pair_state(two->client) & sp_pair_state(two->server);
  unsigned any = sp_pair_state(two->client) | sp_pair_state(two->server);
  return both & SP_PAIR_SECURE || any & SP_PAIR_FAILED;
}

/* Until over, or the server waits. */
static void run(two_t *two) {
  for (int i = 0; i < 20; i++) {
    move(two->client, two->server, &two->to_server);
    move(two->server, two->client, &two->to_client);
    if (sp_pair_state(two->server) & SP_PAIR_WAITING)
      return;
  }
}

static void expect_secure(two_t *two) {
  assert_true(is_over(two));
  if (!(sp_pair_state(two->client) & sp_pair_state(two->server) & SP_PAIR_SECURE))
    fail_msg("client: %s; server: %s", sp_pair_error(two->client)->text,
             sp_pair_error(two->server)->text);
  assert_string_equal(sp_pair_protocol(two->client, NULL), "b");
  assert_string_equal(sp_pair_protocol(two->server, NULL), "b");
  assert_string_equal(sp_pair_server_name(two->server), "localhost");
}

/* A test that is played with each kind of key and each version. */
static void play_with_each(void **play) {
  static const char *const keys[] = {"ec", "rsa"};
  for (int key = 0; key < 2; key++)
    for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3;
         version = (sp_protocol_t)(version + 1)) {
      make_contexts(keys[key], version);
      ((void (*)(void)) * play)();
      free_contexts();
    }
}

#define WITH_EACH(play)                                                                            \
  { #play, play_with_each, NULL, NULL, (void *)(play) }

/* Every subset of the hooks waits, one after the other. */
static void every_subset_waits(void) {
  for (int pending = 0; pending <= ALL; pending++) {
    two_t two;
    reset(pending);
    make_two(&two);
    int order = 0;
    run(&two);
    while (sp_pair_state(two.server) & SP_PAIR_WAITING) {
      assert_true(now.waits > order && pending & now.waits);
      order = now.waits;
      assert_false(sp_pair_state(two.server) & SP_PAIR_WANTS_ENCRYPTED);
      assert_int_equal(sp_pair_encrypted_in(two.server, NULL, 0), 0); /* changes nothing */
      assert_int_equal(now.asked[order], 1);
      give_answer(two.server, order);
      assert_int_equal(sp_pair_resume(two.server, 0), 0);
      run(&two);
    }
    expect_secure(&two);
    for (int bit = 1; bit < ALL; bit *= 2)
      assert_int_equal(now.asked[bit], 1);
    assert_int_equal(sp_pair_resume(two.server, 0), SP_EOPTION);
    free_two(&two);
  }
}

/* A refusal, at once or later, with the alert of one's choice: the client hears exactly that. */
static void refused(int which, bool later, int alert) {
  two_t two;
  reset(later ? which : 0);
  now.refuse = later ? 0 : which;
  now.alert = alert;
  make_two(&two);
  run(&two);
  if (later) {
    assert_true(sp_pair_state(two.server) & SP_PAIR_WAITING);
    if (alert >= 0)
      sp_pair_refuse(two.server, alert);
    assert_int_equal(sp_pair_resume(two.server, SP_EREFUSED), SP_EREFUSED);
    run(&two);
  }
  const sp_error_t *mine = sp_pair_error(two.server), *theirs = sp_pair_error(two.client);
  assert_int_equal(mine->status, SP_EREFUSED);
  assert_int_equal(mine->who, SP_US);
  assert_int_equal(theirs->status, SP_EALERT);
  assert_int_equal(theirs->alert, mine->alert);
  if (alert >= 0 && which != SIGN) /* while signing OpenSSL chooses the alert itself */
    assert_int_equal(mine->alert, alert);
  assert_int_equal(sp_pair_resume(two.server, 0), SP_EREFUSED); /* sticky */
  free_two(&two);
}

static void refusals(void) {
  for (int which = 1; which < ALL; which *= 2)
    for (int later = 0; later < 2; later++) {
      refused(which, later, -1);
      refused(which, later, 49); /* access_denied */
    }
}

/* Released while it waits, in every hook: nothing is left behind (LSan), also not a paused job. */
static void released_while_waiting(void) {
  for (int which = 1; which < ALL; which *= 2) {
    two_t two;
    reset(which);
    make_two(&two);
    run(&two);
    assert_true(sp_pair_state(two.server) & SP_PAIR_WAITING);
    assert_int_equal(now.asked[which], 1);
    free_two(&two);
    assert_int_equal(now.asked[which], 1);
  }
}

static void on_keylog(sp_pair_t *pair, const char *line, void *data) {
  (void)pair, (void)line, (void)data;
  now.lines += now.is_released;
}

static void on_trace(sp_pair_t *pair, const char *line, void *data) { on_keylog(pair, line, data); }

/* A pair that a hook releases: no other hook is called for it, whatever the hook answers. */
static void released_in_a_hook(void) {
  sp_hooks_t more = hooks;
  more.keylog = on_keylog;
  more.trace = on_trace;
  sp_context_release(server_context);
  server_context =
      context_made(SP_OPTIONS(.cert = key_pair->cert_pem, .hooks = more,
                              .min_version = version_of_all, .max_version = version_of_all));
  for (int which = 1; which < ALL; which *= 2)
    for (int pending = 0; pending < 2; pending++) {
      two_t two;
      const void *bytes;
      reset(pending ? which : 0);
      now.release = which;
      make_two(&two);
      size_t n = sp_pair_encrypted_out(two.client, &bytes);
      (void)sp_pair_encrypted_in(two.server, bytes, n);
      for (int bit = 1; bit < ALL; bit *= 2)
        assert_int_equal(now.asked[bit], bit <= which);
      assert_int_equal(now.lines, 0);
      two.server = NULL;
      free_two(&two);
    }
}

/* Resumed without a signature, with a wrong one, and with one too many. */
static void bad_signatures(void) {
  for (int how = 0; how < 3; how++) {
    two_t two;
    uint8_t junk[1024] = {0x30, 6, 2, 1, 1, 2, 1, 1};
    reset(SIGN);
    make_two(&two);
    run(&two);
    assert_int_equal(now.waits, SIGN);
    if (how)
      assert_int_equal(sp_pair_sign_with(two.server, junk, how == 1 ? 8 : sizeof junk), 0);
    int status = sp_pair_resume(two.server, 0);
    run(&two);
    assert_true(how == 1 || status < 0);
    assert_true(sp_pair_state(two.client) & SP_PAIR_FAILED);
    assert_false(sp_pair_state(two.server) & SP_PAIR_SECURE);
    free_two(&two);
  }
}

/* Between SP_PENDING and the resumption a context may be chosen, in the first three hooks. */
static void another_context_later(void) {
  for (int which = HELLO; which < SIGN; which *= 2) {
    two_t two;
    reset(which);
    make_two(&two);
    run(&two);
    assert_int_equal(now.waits, which);
    assert_int_equal(sp_pair_use_context(two.server, other_context), 0);
    give_answer(two.server, which);
    assert_int_equal(sp_pair_resume(two.server, 0), 0);
    run(&two);
    expect_secure(&two);
    assert_int_equal(now.asked[SIGN], 0); /* the other's key is at hand */
    assert_ptr_equal(sp_pair_context(two.server), other_context);
    assert_int_equal(sp_pair_use_context(two.server, server_context), SP_EOPTION); /* too late */
    assert_int_equal(sp_pair_use_protocol(two.server, "a", 1), SP_EOPTION);
    assert_int_equal(sp_pair_sign_with(two.server, "a", 1), SP_EOPTION);
    free_two(&two);
  }
}

/* -- under a stream ---------------------------------------------------------------------------- */

static void on_time(uv_timer_t *timer) {
  fixture_t *f = timer->data;
  sp_pair_t *pair = now.pair;
  now.pair = NULL;
  if (now.destroy) {
    CALL(f, sp_stream_destroy(sp_stream_of(pair)));
    return;
  }
  int status = 0;
  if (now.refuse_later)
    status = SP_EREFUSED;
  else
    give_answer(pair, now.waits);
  CALL(f, status = sp_pair_resume(pair, status));
  assert_int_equal(status, 0);
  if (now.then_destroy)
    CALL(f, sp_stream_destroy(sp_stream_of(pair)));
}

static void say_hello(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && !status)
    sp_stream_send(actor->stream, "hello", 5);
  if (event == ON_DATA && !actor->is_server)
    sp_stream_end(actor->stream);
}

static actor_t *meet(fixture_t *f) {
  f->react = say_hello;
  fixture_serve(f, SP_OPTIONS(.context = server_context));
  actor_t *client =
      fixture_connect(f, SP_OPTIONS(.host = "127.0.0.1", .port = f->port, .context = client_context,
                                    .server_name = "localhost"));
  client->react = say_hello;
  sp_stream_send(client->stream, "early", 5);
  return client;
}

static uv_timer_t timer;

static fixture_t *stage(int pending) {
  fixture_t *f = fixture_new();
  now.timer = &timer;
  uv_timer_init(&f->loop, &timer);
  timer.data = f;
  timer.timer_cb = on_time;
  reset(pending);
  return f;
}

static void unstage(fixture_t *f) {
  uv_close((uv_handle_t *)&timer, NULL);
  now.timer = NULL;
  fixture_free(f);
}

static void resumed_from_a_timer(void) {
  for (int pending = 1; pending <= ALL; pending++) {
    fixture_t *f = stage(pending);
    actor_t *client = meet(f);
    fixture_run(f);
    assert_string_equal(client->log, "secure data close");
    assert_string_equal(fixture_served(f, 0)->log, "secure data end close");
    assert_int_equal(fixture_served(f, 0)->received, 10);
    unstage(f);
  }
}

typedef void (*check_t)(const actor_t *client, const actor_t *server);

/* Each hook waits alone, and what is then done is wished by `how`. */
static void one_waits(bool *how, check_t check) {
  for (int which = 1; which < ALL; which *= 2) {
    fixture_t *f = stage(which);
    *how = true;
    const actor_t *client = meet(f);
    fixture_run(f);
    check(client, fixture_served(f, 0));
    unstage(f);
  }
}

static void check_refused(const actor_t *client, const actor_t *server) {
  assert_string_equal(client->log, "secure(SP_EALERT) close");
  assert_string_equal(server->log, "secure(SP_EREFUSED) close");
}

static void refused_from_a_timer(void) { one_waits(&now.refuse_later, check_refused); }

static void check_destroyed(const actor_t *client, const actor_t *server) {
  assert_int_equal(client->counts[ON_CLOSE], 1);
  assert_string_equal(server->log, "secure(ECANCELED) close");
}

static void check_unheard(const actor_t *client, const actor_t *server) {
  check_destroyed(client, server);
  assert_true(client->statuses[ON_SECURE] < 0);
}

static void destroyed_while_waiting(void) { one_waits(&now.destroy, check_unheard); }

/* Answered, but gone before it went on: nothing is left behind (LSan), also not a paused job. */
static void destroyed_when_answered(void) { one_waits(&now.then_destroy, check_destroyed); }

/* The client gives up while the server's hook waits: the server hears of it once it goes on. */
static void client_leaves_while_waiting(void) {
  for (int which = 1; which < ALL; which *= 2)
    for (int after = 0; after < 2; after++) {
      fixture_t *f = stage(which);
      now.timer = NULL;
      actor_t *client = meet(f);
      while (!now.pair)
        uv_run(&f->loop, UV_RUN_ONCE);
      sp_stream_destroy(client->stream);
      for (int i = 0; i < 20 * after; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
      on_time(&timer);
      fixture_run(f);
      assert_true(fixture_served(f, 0)->statuses[ON_SECURE] < 0);
      unstage(f);
    }
}

/* Nobody ever answers: the handshake's time runs out. */
static void never_answered(void **state) {
  (void)state;
  for (sp_protocol_t version = SP_TLS1_2; version <= SP_TLS1_3;
       version = (sp_protocol_t)(version + 1)) {
    make_contexts("ec", version);
    for (int which = 1; which < ALL; which *= 2) {
      fixture_t *f = fixture_new();
      reset(which);
      f->react = say_hello;
      fixture_serve(f, SP_OPTIONS(.context = server_context, .handshake_timeout = 30));
      fixture_connect(f, SP_OPTIONS(.host = "127.0.0.1", .port = f->port, .context = client_context,
                                    .server_name = "localhost"));
      fixture_run(f);
      assert_string_equal(fixture_served(f, 0)->log, "secure(ETIMEDOUT) close");
      fixture_free(f);
    }
    free_contexts();
  }
}

/* Resumed in the callback of another stream, which has nothing to do with it. */
static void resume_in_callback(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event != ON_SECURE || !now.pair)
    return;
  sp_pair_t *pair = now.pair;
  now.pair = NULL;
  give_answer(pair, now.waits);
  CALL(actor->fixture, status = sp_pair_resume(pair, 0));
  assert_int_equal(status, 0);
  sp_stream_end(actor->stream);
}

static void resumed_in_another_callback(void) {
  for (int which = 1; which < ALL; which *= 2) {
    fixture_t *f = fixture_new();
    reset(which);
    actor_t *client = meet(f);
    while (!now.pair)
      uv_run(&f->loop, UV_RUN_ONCE);
    now.pending = 0;
    actor_t *second =
        fixture_connect(f, SP_OPTIONS(.host = "127.0.0.1", .port = f->port,
                                      .context = client_context, .server_name = "localhost"));
    /* a second signature of the same kind replaces what was noted for the first */
    if (which == SIGN)
      give_answer(now.pair, SIGN), now.waits = 0;
    second->react = resume_in_callback;
    fixture_run(f);
    assert_string_equal(client->log, "secure data close");
    assert_int_equal(second->statuses[ON_SECURE], 0);
    fixture_free(f);
  }
}

/* The client's key behind a hook that answers later, refuses, or is destroyed before it answers. */
static void client_signs_later(void) {
  static const char *const ends[] = {"secure data close", "secure(SP_EREFUSED) close",
                                     "secure(ECANCELED) close"};
  for (int how = 0; how < 3; how++) {
    const pki_t *pki =
        PKI_MAKE(pki_default()->root, .cn = "client", .key = kind_of_key, .eku = "clientAuth");
    sp_context_t *server = context_made(
        FIXTURE_SERVER(.ca = SP_LIST(pki_default()->root->cert_pem), .request_cert = SP_YES,
                       .reject_unauthorized = SP_YES, .max_version = version_of_all));
    sp_context_t *client = context_made(SP_OPTIONS(.cert = pki->cert_pem, .hooks.sign = on_sign,
                                                   .ca = SP_LIST(pki_default()->root->cert_pem)));
    fixture_t *f = stage(SIGN);
    key_pair = pki;
    now.refuse_later = how == 1;
    now.destroy = how == 2;
    f->react = say_hello;
    fixture_serve(f, SP_OPTIONS(.context = server));
    actor_t *actor =
        fixture_connect(f, SP_OPTIONS(.host = "127.0.0.1", .port = f->port, .context = client));
    actor->react = say_hello;
    fixture_run(f);
    assert_string_equal(actor->log, ends[how]);
    assert_int_equal(now.asked[SIGN], 1);
    unstage(f);
    sp_context_release(server);
    sp_context_release(client);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_EACH(every_subset_waits),          WITH_EACH(refusals),
      WITH_EACH(released_while_waiting),      WITH_EACH(bad_signatures),
      WITH_EACH(another_context_later),       WITH_EACH(resumed_from_a_timer),
      WITH_EACH(refused_from_a_timer),        WITH_EACH(destroyed_while_waiting),
      WITH_EACH(client_leaves_while_waiting), cmocka_unit_test(never_answered),
      WITH_EACH(resumed_in_another_callback), WITH_EACH(client_signs_later),
      WITH_EACH(released_in_a_hook),          WITH_EACH(destroyed_when_answered),
  };
  return cmocka_run_group_tests_name("pair-hooks", tests, NULL, NULL);
}
