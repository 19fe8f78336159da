#include "support/meeting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/fixture.h"

#define NOTE(room, text) note(room, sizeof(room), text)

static void note(char *room, size_t size, const char *text) {
  assert_true((size_t)snprintf(room, size, "%s", text ? text : "") < size);
}

static void note_peer(meeting_side_t *side, const sp_pair_t *pair) {
  sp_certificate_t *certificate;
  if (sp_pair_peer_certificate(pair, &certificate) < 0)
    return;
  NOTE(side->peer, sp_certificate_subject(certificate));
  for (const sp_certificate_t *one = certificate; one; one = sp_certificate_next(one))
    side->peer_chain++;
  sp_certificate_release(certificate);
}

void meeting_note(meeting_side_t *side, const sp_stream_t *stream) {
  const sp_pair_t *pair = sp_stream_pair(stream);
  const sp_error_t *verdict = sp_pair_verdict(pair);
  side->authorized = sp_stream_is_authorized(stream);
  NOTE(side->reason, sp_stream_authorization_error(stream));
  if (verdict)
    side->verdict = *verdict;
  NOTE(side->cipher, sp_pair_cipher(pair));
  NOTE(side->version, sp_pair_version(pair));
  NOTE(side->group, sp_pair_group(pair));
  NOTE(side->server_name, sp_pair_server_name(pair));
  NOTE(side->protocol, sp_pair_protocol(pair, NULL));
  side->resumed = sp_pair_is_resumed(pair);
  note_peer(side, pair);
}

static void on_secure(actor_t *actor, int status) {
  meeting_t *meeting = actor->fixture->data;
  meeting_side_t *side = actor->is_server ? &meeting->server : &meeting->client;
  const char *word = actor->is_server ? MEETING_SERVER_WORD : MEETING_CLIENT_WORD;
  actor->data = side;
  side->status = status;
  meeting_note(side, actor->stream);
  if (status == 0)
    assert_true(sp_stream_send(actor->stream, word, strlen(word)) >= 0);
}

static void on_data(actor_t *actor) {
  meeting_side_t *side = actor->data;
  assert_true(actor->received < sizeof side->got);
  memcpy(side->got + actor->received - actor->n, actor->bytes, actor->n);
  if (!actor->is_server && actor->received == strlen(MEETING_SERVER_WORD))
    sp_stream_end(actor->stream);
}

static void react(actor_t *actor, fixture_event_t event, int status) {
  meeting_side_t *side;
  if (event == ON_SECURE)
    on_secure(actor, status);
  side = actor->data;
  side->error = actor->error;
  if (event == ON_DATA)
    on_data(actor);
  else if (event == ON_CLOSE)
    NOTE(side->log, actor->log);
}

meeting_t meeting_hold(const sp_options_t *serve, const sp_options_t *connect) {
  meeting_t meeting = {.client = {.status = 1}, .server = {.status = 1}};
  sp_options_t options = *connect;
  fixture_t *f = fixture_new();
  f->data = &meeting;
  f->react = react;
  fixture_serve(f, serve);
  options.host = "127.0.0.1";
  options.port = f->port;
  options.half_open = SP_YES; /* to see the server's end, too */
  fixture_connect(f, &options)->react = react;
  fixture_run(f);
  fixture_free(f);
  assert_int_not_equal(meeting.client.status, 1);
  assert_int_not_equal(meeting.server.status, 1);
  return meeting;
}
