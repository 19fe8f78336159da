/*
 * sp_stream_over: a stream over a transport of the program's own behaves as one over a socket. What
 * happens on two sockets is what has to happen on every wire in memory: the same events, the same
 * order.
 */
#include "support/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/stage.h"

#define MB (1024u * 1024u)
#define LOGS (2 * FIXTURE_LOG + 20)

/* -- scripts ----------------------------------------------------------------------------------- */

static bool is_client(const actor_t *actor) { return !strcmp(actor->name, "client"); }

/* The client says a word, the server answers and ends, the client hears it. */
static void talk(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && status == 0 && is_client(actor))
    assert_int_equal(sp_stream_send(actor->stream, "hello", 5), 1);
  if (event == ON_DATA && !is_client(actor)) {
    assert_int_equal(sp_stream_send(actor->stream, "world", 5), 1);
    sp_stream_end(actor->stream);
  }
}

/* As soon as it heard something it is gone, without an end. */
static void talk_and_vanish(actor_t *actor, fixture_event_t event, int status) {
  talk(actor, event, status);
  if (event == ON_DATA)
    sp_stream_destroy(actor->stream);
}

static void answer(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_DATA)
    assert_int_equal(sp_stream_send(actor->stream, "world", 5), 1);
}

static void answer_and_stay(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_SECURE && is_client(actor)) {
    assert_int_equal(sp_stream_send(actor->stream, "hello", 5), 1);
    sp_stream_end(actor->stream); /* half open: the answer is still heard */
  }
  if (event == ON_END && !is_client(actor)) {
    assert_int_equal(sp_stream_send(actor->stream, "world", 5), 1);
    sp_stream_end(actor->stream);
  }
}

typedef struct script {
  const char *name;
  actor_react_t client, server;
  const sp_options_t *client_options, *server_options;
} script_t;

static void play(const script_t *script, link_way_t way, sp_protocol_t version, char *logs) {
  fixture_t *f = fixture_new();
  link_t link;
  link_open(&link, f, way, version, script->client_options, script->server_options);
  link.client.actor->react = script->client;
  link.server.actor->react = script->server;
  link_run(&link);
  (void)snprintf(logs, LOGS, "client: %s; server: %s", link.client.actor->log,
                 link.server.actor->log);
  fixture_free(f);
}

static void check_script(const script_t *script) {
  char expected[LOGS], logs[LOGS];
  for (int version = SP_TLS1_2; version <= SP_TLS1_3; version++) {
    play(script, LINK_SOCKETS, (sp_protocol_t)version, expected);
    print_message("%s: %s\n", script->name, expected);
    for (int way = LINK_DIRECT; way < LINK_WAYS; way++) {
      play(script, (link_way_t)way, (sp_protocol_t)version, logs);
      if (strcmp(logs, expected) != 0)
        fail_msg("%s, %s, TLS 1.%d:\n%s\ninstead of\n%s", script->name, link_names[way],
                 version == SP_TLS1_2 ? 2 : 3, logs, expected);
    }
  }
}

static void test_talk(void **state) {
  (void)state;
  check_script(&(script_t){.name = "talk", .client = talk, .server = talk});
}

static void test_half_open(void **state) {
  (void)state;
  check_script(&(script_t){.name = "half open",
                           .client = answer_and_stay,
                           .server = answer_and_stay,
                           .client_options = SP_OPTIONS(.half_open = SP_YES),
                           .server_options = SP_OPTIONS(.half_open = SP_YES)});
}

static void test_truncation(void **state) {
  (void)state;
  check_script(&(script_t){.name = "client gone", .client = talk_and_vanish, .server = answer});
  check_script(&(script_t){.name = "server gone", .client = talk, .server = talk_and_vanish});
}

static void test_refused_certificate(void **state) {
  (void)state;
  check_script(&(script_t){.name = "wrong name",
                           .client = talk,
                           .server = talk,
                           .client_options = SP_OPTIONS(.server_name = "elsewhere.example")});
}

/* -- destroyed anywhere ------------------------------------------------------------------------ */

static fixture_event_t fatal;

static void die(actor_t *actor, fixture_event_t event, int status) {
  if (event == ON_SECURE && status == 0) {
    assert_true(sp_stream_send(actor->stream, fixture_pattern(100000), 100000) >= 0);
    assert_true(actor_write(actor, "x", 1) >= 0);
  }
  if (event == ON_DRAIN || (event == ON_DATA && actor->received == 100001))
    sp_stream_end(actor->stream);
  if (event == fatal && is_client(actor))
    sp_stream_destroy(actor->stream);
}

static void test_destroy_in_every_callback(void **state) {
  (void)state;
  for (int event = ON_SECURE; event < FIXTURE_EVENTS; event++)
    for (int way = LINK_DIRECT; way < LINK_WAYS; way++) {
      fixture_t *f = fixture_new();
      link_t link;
      fatal = (fixture_event_t)event;
      link_open(&link, f, (link_way_t)way, 0, NULL, NULL);
      link.client.actor->react = link.server.actor->react = die;
      link_run(&link);
      fixture_free(f);
    }
}

static unsigned fatal_send;

static void die_sending(link_end_t *end) {
  if (end->sends == fatal_send)
    sp_stream_destroy(end->actor->stream);
}

static void test_destroy_in_send(void **state) {
  (void)state;
  for (fatal_send = 1; fatal_send <= 6; fatal_send++)
    for (int way = LINK_DIRECT; way < LINK_BYTES; way++)
      for (int role = 0; role < 2; role++) {
        fixture_t *f = fixture_new();
        link_t link;
        fatal = FIXTURE_EVENTS;
        link_open(&link, f, (link_way_t)way, 0, NULL, NULL);
        link.client.actor->react = link.server.actor->react = die;
        (role == SP_CLIENT ? &link.client : &link.server)->in_send = die_sending;
        link_run(&link);
        fixture_free(f);
      }
}

/* Everything that a program may do within `send`, done there. */
static void meddle(link_end_t *end) {
  sp_stream_t *stream = end->actor->stream;
  ssize_t took;
  CALL(end->link->f, took = sp_stream_try(stream, "x", 1));
  assert_true(took == 0 || took == SP_EENDED); /* the slab is in use */
  if (end->other->actor->stream)
    CALL(end->link->f, took = sp_stream_try(end->other->actor->stream, "x", 1));
  assert_true(took <= 0);
  CALL(end->link->f, sp_transport_room(stream));
  CALL(end->link->f, sp_stream_pause(stream));
  CALL(end->link->f, sp_stream_resume(stream));
}

static void test_meddling_in_send(void **state) {
  (void)state;
  for (int way = LINK_DIRECT; way < LINK_WAYS; way++) {
    fixture_t *f = fixture_new();
    link_t link;
    link_open(&link, f, (link_way_t)way, 0, NULL, NULL);
    link.client.actor->react = link.server.actor->react = talk;
    link.client.in_send = link.server.in_send = meddle;
    link_run(&link);
    assert_int_equal(link.client.actor->received, 5);
    assert_int_equal(link.server.actor->received, 5);
    fixture_free(f);
  }
}

/* -- failure and closing ----------------------------------------------------------------------- */

static void break_now(actor_t *actor, fixture_event_t event, int status) {
  talk(actor, event, status);
  if (event == ON_DATA && is_client(actor))
    CALL(actor->fixture, sp_transport_failed(actor->stream, UV_EHOSTUNREACH));
}

static void test_failure(void **state) {
  (void)state;
  for (int way = LINK_DIRECT; way < LINK_WAYS; way++) {
    fixture_t *f = fixture_new();
    link_t link;
    link_open(&link, f, (link_way_t)way, 0, NULL, SP_OPTIONS(.half_open = SP_YES));
    link.client.actor->react = break_now;
    link.server.actor->react = talk;
    link_run(&link);
    assert_true(!strncmp(link.client.actor->log, "secure data error(EHOSTUNREACH)", 31) ||
                !strncmp(link.client.actor->log, "secure data end", 15)); /* it was over anyway */
    fixture_free(f);
  }
}

static void test_failure_in_the_handshake(void **state) {
  (void)state;
  for (int closed = 0; closed <= 1; closed++) {
    fixture_t *f = fixture_new();
    link_t link;
    link_open(&link, f, LINK_WIRE, 0, NULL, NULL);
    if (closed) {
      link.client.closes = 1; /* it is not asked any more */
      sp_transport_closed(link.client.actor->stream);
    } else {
      sp_transport_failed(link.client.actor->stream, UV_EPIPE);
    }
    CALL(f, sp_stream_destroy(link.server.actor->stream));
    link_run(&link);
    assert_string_equal(link.client.actor->log,
                        closed ? "secure(ECONNRESET) close" : "secure(EPIPE) close");
    assert_string_equal(link.server.actor->log, "secure(ECANCELED) close");
    fixture_free(f);
  }
}

static void refuse(link_end_t *end) { sp_transport_failed(end->actor->stream, UV_ENOTCONN); }

static void test_failure_in_send(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  link_t link;
  link_open(&link, f, LINK_WIRE, 0, NULL, NULL);
  link.client.in_send = refuse;
  link_run(&link);
  assert_string_equal(link.client.actor->log, "secure(ENOTCONN) close");
  fixture_free(f);
}

/* `close` comes when the transport is let go of, not before. */
static void test_slow_close(void **state) {
  (void)state;
  for (int way = LINK_DIRECT; way < LINK_WAYS; way++) {
    fixture_t *f = fixture_new();
    link_t link;
    link_open(&link, f, (link_way_t)way, 0, NULL, NULL);
    link.client.actor->react = link.server.actor->react = talk;
    link.client.slow = 50;
    link.server.slow = 7;
    link_run(&link);
    assert_string_equal(link.client.actor->log, "secure data end close");
    assert_string_equal(link.server.actor->log, "secure data close");
    fixture_free(f);
  }
}

/* -- a flow both ways -------------------------------------------------------------------------- */

typedef struct flow {
  size_t sent, checked, most_pending;
} flow_t;

static flow_t flows[2];

static void send_on(actor_t *actor, flow_t *flow) {
  const uint8_t *bytes = fixture_pattern(MB);
  for (int answer = 1; answer == 1 && flow->sent < MB; flow->sent += 16384)
    assert_true((answer = sp_stream_send(actor->stream, bytes + flow->sent, 16384)) >= 0);
  size_t pending = sp_stream_pending(actor->stream);
  flow->most_pending = pending > flow->most_pending ? pending : flow->most_pending;
}

static void flow_on_events(actor_t *actor, fixture_event_t event, int status) {
  flow_t *mine = &flows[is_client(actor)], *theirs = &flows[!is_client(actor)];
  (void)status;
  if (event == ON_SECURE || event == ON_DRAIN)
    send_on(actor, mine);
  if (event == ON_DATA) {
    assert_memory_equal(actor->bytes, fixture_pattern(MB) + theirs->checked, actor->n);
    theirs->checked += actor->n;
  }
  if (is_client(actor) && mine->sent == MB && theirs->checked == MB &&
      !sp_stream_pending(actor->stream))
    sp_stream_end(actor->stream);
}

static void check_flow(link_way_t way, sp_protocol_t version) {
  fixture_t *f = fixture_new();
  link_t link;
  memset(flows, 0, sizeof flows);
  link_open(&link, f, way, version, NULL, NULL);
  link.client.actor->react = link.server.actor->react = flow_on_events;
  link_run(&link);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(flows[i].checked, MB);
    assert_in_range(flows[i].most_pending, 1, 65536 + 16384 + SP_PAIR_AHEAD);
  }
  fixture_free(f);
}

static void test_a_megabyte_both_ways(void **state) {
  (void)state;
  for (int way = LINK_SOCKETS; way < LINK_WAYS; way++) {
    check_flow((link_way_t)way, SP_TLS1_2);
    check_flow((link_way_t)way, SP_TLS1_3);
  }
}

/* A reader that pauses holds the writer back: the wire is full, and what is pending is bounded. */
static void pause_at_once(actor_t *actor, fixture_event_t event, int status) {
  flow_on_events(actor, event, status);
  if (event == ON_DATA && !is_client(actor) && actor->counts[ON_DATA] == 1)
    CALL(actor->fixture, sp_stream_pause(actor->stream));
}

static bool client_is_stuck(fixture_t *f) {
  link_t *link = f->data;
  return link->client.full && link->client.used == link->client.capacity &&
         sp_stream_is_paused(link->server.actor->stream) && !link->server.reads;
}

static void test_back_pressure(void **state) {
  (void)state;
  for (int way = LINK_WIRE; way < LINK_WAYS; way++) {
    fixture_t *f = fixture_new();
    link_t link;
    memset(flows, 0, sizeof flows);
    link_open(&link, f, (link_way_t)way, 0, NULL, NULL);
    f->data = &link;
    link.client.actor->react = link.server.actor->react = pause_at_once;
    fixture_run_until(f, client_is_stuck);
    size_t checked = flows[1].checked;
    for (int i = 0; i < 100; i++)
      uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_true(client_is_stuck(f));
    assert_int_equal(flows[1].checked, checked);
    assert_true(flows[1].sent < MB);
    assert_in_range(sp_stream_pending(link.client.actor->stream), 1, 65536 + 16384 + SP_PAIR_AHEAD);
    CALL(f, sp_stream_resume(link.server.actor->stream));
    link_run(&link);
    assert_int_equal(flows[1].checked, MB);
    fixture_free(f);
  }
}

/* -- TLS over TLS ------------------------------------------------------------------------------ */

/* The lower stream is the transport of the upper one. */
typedef struct tunnel {
  sp_stream_t *lower, *upper;
  bool full, closing;
} tunnel_t;

static int tunnel_send(sp_stream_t *upper, const void *bytes, size_t n, void *data) {
  tunnel_t *tunnel = data;
  (void)upper;
  if (!tunnel->lower)
    return UV_ECONNRESET;
  if (tunnel->full)
    return UV_EAGAIN;
  int answer = sp_stream_send(tunnel->lower, bytes, n);
  tunnel->full = answer == 0;
  return answer < 0 ? answer : (int)n;
}

static void tunnel_read(sp_stream_t *upper, bool on, void *data) {
  tunnel_t *tunnel = data;
  (void)upper;
  if (!tunnel->lower)
    return;
  if (on)
    sp_stream_resume(tunnel->lower);
  else
    sp_stream_pause(tunnel->lower);
}

static void tunnel_end(sp_stream_t *upper, void *data) {
  tunnel_t *tunnel = data;
  (void)upper;
  if (tunnel->lower)
    sp_stream_end(tunnel->lower);
}

static void tunnel_close(sp_stream_t *upper, void *data) {
  tunnel_t *tunnel = data;
  tunnel->closing = true;
  if (tunnel->lower)
    sp_stream_destroy(tunnel->lower); /* and once it closed, it is let go of */
  else
    sp_transport_closed(upper);
}

static const sp_transport_t tunnel_transport = {tunnel_send, tunnel_read, tunnel_end, tunnel_close};

static void lower_event(actor_t *actor, fixture_event_t event, int status) {
  tunnel_t *tunnel = actor->data;
  if (event == ON_DATA)
    sp_transport_received(tunnel->upper, actor->bytes, actor->n);
  else if (event == ON_END)
    sp_transport_ended(tunnel->upper);
  else if (event == ON_ERROR)
    sp_transport_failed(tunnel->upper, status);
  if (event == ON_DRAIN && tunnel->full) {
    tunnel->full = false;
    sp_transport_room(tunnel->upper);
  }
  if (event == ON_CLOSE) {
    tunnel->lower = NULL;
    sp_transport_closed(tunnel->upper);
  }
}

static void open_upper(tunnel_t *tunnel, actor_t *lower, sp_role_t role, actor_react_t react) {
  sp_error_t why;
  tunnel->lower = lower->stream;
  lower->data = tunnel;
  lower->react = lower_event;
  int status;
  CALL(lower->fixture,
       status = sp_stream_over(&tunnel->upper, &lower->fixture->loop, &tunnel_transport, tunnel,
                               role, NULL, 0, fixture_on_secure, &why,
                               SP_OPTIONS(.context = stage_context(role, 0),
                                          .server_name = role == SP_CLIENT ? "localhost" : NULL)));
  if (status < 0)
    fail_msg("%s", why.text);
  fixture_adopt(lower->fixture, tunnel->upper, role == SP_CLIENT ? "client" : "server")->react =
      react;
}

static tunnel_t tunnels[2];

static void open_on_secure(actor_t *actor, fixture_event_t event, int status) {
  if (event != ON_SECURE)
    return;
  assert_int_equal(status, 0);
  sp_role_t role = actor->is_server ? SP_SERVER : SP_CLIENT;
  open_upper(&tunnels[role], actor, role, flow_on_events);
}

static void test_tls_over_tls(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  memset(flows, 0, sizeof flows);
  memset(tunnels, 0, sizeof tunnels);
  fixture_serve(f, FIXTURE_SERVER());
  f->react = open_on_secure;
  fixture_connect(f, FIXTURE_CLIENT(f))->react = open_on_secure;
  fixture_run(f);
  assert_int_equal(flows[0].checked, MB);
  assert_int_equal(flows[1].checked, MB);
  fixture_free(f);
}

/* -- facts, options, time ---------------------------------------------------------------------- */

static void test_facts(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  link_t link;
  char room[128];
  int port;
  link_open(&link, f, LINK_WIRE, 0, NULL, NULL);
  sp_stream_t *stream = link.client.actor->stream;
  assert_null(sp_stream_transport(stream));
  assert_ptr_equal(sp_stream_loop(stream), &f->loop);
  assert_int_equal(sp_stream_local(stream, room, sizeof room, &port), UV_ENOTSUP);
  assert_int_equal(sp_stream_set_no_delay(stream, true), UV_ENOTSUP);
  sp_stream_destroy(stream);
  link_run(&link);
  fixture_free(f);
}

static void test_incomplete_transport(void **state) {
  (void)state;
  uv_loop_t loop;
  sp_stream_t *stream;
  sp_error_t why;
  sp_transport_t none = link_transport;
  none.close = NULL;
  assert_int_equal(uv_loop_init(&loop), 0);
  assert_int_equal(sp_stream_over(&stream, &loop, &none, NULL, SP_CLIENT, NULL, 0, NULL, &why,
                                  SP_OPTIONS(.server_name = "localhost")),
                   SP_EOPTION);
  assert_int_equal(sp_stream_over(&stream, &loop, &link_transport, NULL, SP_CLIENT, NULL, 0, NULL,
                                  &why, SP_OPTIONS(.port = 0)),
                   SP_EOPTION); /* no server_name */
  assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
  assert_int_equal(uv_loop_close(&loop), 0);
}

/* Nobody answers: the stream keeps the loop alive until its time is up. */
static void test_handshake_timeout(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  link_t link;
  link_open(&link, f, LINK_WIRE, 0, SP_OPTIONS(.handshake_timeout = 20), NULL);
  sp_stream_destroy(link.server.actor->stream);
  link.server.end_told = link.client.end_told = true; /* the client does not hear of that */
  uv_idle_stop(&link.mover);
  while (link.client.actor->stream)
    assert_true(uv_run(&f->loop, UV_RUN_ONCE) || !link.client.actor->stream);
  assert_string_equal(link.client.actor->log, "secure(ETIMEDOUT) close");
  link_run(&link);
  fixture_free(f);
}

static void test_bytes_ahead(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  link_end_t end = {.link = &(link_t){.f = f, .way = LINK_WIRE}};
  sp_stream_t *stream;
  sp_error_t why;
  assert_int_equal(sp_stream_over(&stream, &f->loop, &link_transport, &end, SP_CLIENT, "220 hello",
                                  9, fixture_on_secure, &why,
                                  SP_OPTIONS(.context = stage_context(SP_CLIENT, 0),
                                             .server_name = "localhost")),
                   0);
  actor_t *actor = fixture_adopt(f, stream, "client");
  fixture_run(f);
  assert_string_equal(actor->log, "secure(SP_EINJECTED) close");
  assert_int_equal(end.sends, 0);
  fixture_free(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_talk),
      cmocka_unit_test(test_half_open),
      cmocka_unit_test(test_truncation),
      cmocka_unit_test(test_refused_certificate),
      cmocka_unit_test(test_destroy_in_every_callback),
      cmocka_unit_test(test_destroy_in_send),
      cmocka_unit_test(test_meddling_in_send),
      cmocka_unit_test(test_failure),
      cmocka_unit_test(test_failure_in_the_handshake),
      cmocka_unit_test(test_failure_in_send),
      cmocka_unit_test(test_slow_close),
      cmocka_unit_test(test_a_megabyte_both_ways),
      cmocka_unit_test(test_back_pressure),
      cmocka_unit_test(test_tls_over_tls),
      cmocka_unit_test(test_facts),
      cmocka_unit_test(test_incomplete_transport),
      cmocka_unit_test(test_handshake_timeout),
      cmocka_unit_test(test_bytes_ahead),
  };
  return cmocka_run_group_tests_name("stream-over", tests, NULL, NULL);
}
