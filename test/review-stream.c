/* Streams in situations that are rare, and easily forgotten. */
#include "support/fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "stream/stream.h"
#include "support/bare.h"
#include "support/contexts.h"
#include "support/raw.h"
#include "support/signing.h"

/* -- the turns of a loop ----------------------------------------------------------------------- */

static struct {
  sp__loop_t *loop;
  sp__work_t first, second, third, fourth;
  uv_timer_t other; /* what else there is to wait for */
} turns;

static void note(sp__work_t *work) {
  (void)work;
  uv_close((uv_handle_t *)&turns.other, NULL);
}

static void on_other(uv_timer_t *timer) { uv_timer_stop(timer); }

static void do_nothing(sp__work_t *work) { (void)work; }
static void put_off_third(sp__work_t *work) {
  (void)work;
  sp__loop_put_off(turns.loop, &turns.third);
}

static void put_off_more(sp__work_t *work) {
  (void)work;
  sp__loop_put_off(turns.loop, &turns.second);
  sp__loop_at_turn_end(turns.loop, &turns.fourth, true);
}

/* There is work left over from one turn and a turn's end to be noticed: doing the one must not
 * make the loop wait for I/O before the other. */
static void the_end_of_a_turn_does_not_wait_for_io(void **state) {
  (void)state;
  uv_loop_t uv;
  assert_int_equal(uv_loop_init(&uv), 0);
  turns.loop = sp__loop_use(&uv);
  assert_non_null(turns.loop);
  turns.first.run = put_off_more;
  turns.second.run = put_off_third;
  turns.third.run = do_nothing;
  turns.fourth.run = note;
  sp__list_init(&turns.first.node);
  sp__list_init(&turns.second.node);
  sp__list_init(&turns.third.node);
  sp__list_init(&turns.fourth.node);
  uv_timer_init(&uv, &turns.other);
  uv_timer_start(&turns.other, on_other, 1000, 0);
  sp__loop_at_turn_end(turns.loop, &turns.first, true);
  uint64_t since = uv_now(&uv);
  uv_run(&uv, UV_RUN_DEFAULT);
  assert_true(uv_now(&uv) - since < 1000);
  sp__loop_release(turns.loop);
  uv_run(&uv, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&uv), 0);
}

/* -- names ------------------------------------------------------------------------------------- */

/* Whoever looks at the verdict himself must not be told "authorized" for any name at all. */
static void a_name_is_asked_for_also_when_nothing_is_rejected(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  uv_tcp_t io;
  sp_stream_t *stream;
  sp_error_t why;
  const sp_options_t *nameless = SP_OPTIONS(.path = "/nowhere", .reject_unauthorized = SP_NO);
  assert_int_equal(sp_connect(&stream, &f->loop, fixture_on_secure, &why, nameless), SP_EOPTION);
  assert_non_null(strstr(why.text, "server_name"));
  assert_int_equal(uv_tcp_init(&f->loop, &io), 0);
  nameless = SP_OPTIONS(.reject_unauthorized = SP_NO);
  assert_int_equal(sp_stream_adopt(&stream, (uv_stream_t *)&io, SP_CLIENT, NULL, 0,
                                   fixture_on_secure, &why, nameless),
                   SP_EOPTION);
  assert_non_null(strstr(why.text, "server_name"));
  uv_close((uv_handle_t *)&io, NULL);
  fixture_run(f);
  fixture_free(f);
}

/* -- deadlines --------------------------------------------------------------------------------- */

static bool client_has_transport(fixture_t *f) {
  return sp_stream_transport(f->actors[0]->stream) != NULL;
}

/* Nor any other one of its loop. */
static bool is_without_deadline(const sp_stream_t *stream) {
  return sp__list_is_empty(&stream->loop->deadlines[SP__DELAY_HANDSHAKE]);
}

static void the_time_to_connect_does_not_limit_the_handshake(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER(.handshake_timeout = -1));
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f, .handshake_timeout = -1));
  assert_false(is_without_deadline(client->stream));
  fixture_run_until(f, client_has_transport);
  assert_true(is_without_deadline(client->stream));
  sp_stream_destroy(client->stream);
  fixture_run(f);
  fixture_free(f);
}

/* -- a transport that ends while a hook is waited for ------------------------------------------ */

static struct {
  sp_pair_t *server, *asked;
  uint8_t message[256];
  size_t n;
  uint16_t scheme;
} meeting;

static int sign_later(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n,
                      void *data) {
  (void)data;
  meeting.asked = pair;
  meeting.scheme = scheme;
  meeting.n = n;
  memcpy(meeting.message, message, n < sizeof meeting.message ? n : 0);
  return SP_PENDING;
}

static void answer_and_end(raw_t *raw) {
  const void *bytes;
  size_t n;
  if (sp_pair_bytes_in(meeting.server))
    return;
  assert_int_equal(sp_pair_encrypted_in(meeting.server, raw->got, raw->got_size), 0);
  assert_int_equal(sp_pair_encrypted_release(meeting.server), 0);
  while ((n = sp_pair_encrypted_out(meeting.server, &bytes))) {
    raw_send(raw, bytes, n);
    sp_pair_encrypted_sent(meeting.server, n);
  }
  raw_fin(raw);
}

static void on_open(raw_t *raw) { raw->on_bytes = answer_and_end; }

static bool transport_ended(fixture_t *f) { return meeting.asked && f->actors[0]->stream->eof; }

/* All that the server had to say was its first flight, and then it went away without a word. */
static void an_end_during_a_hook_is_told_after_it(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  fixture_t *f = fixture_new();
  raws_t raws;
  raws_begin(&raws, f);
  raw_listen(&raws, on_open, NULL);
  sp_context_t *context =
      context_made(SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem,
                              .min_version = SP_TLS1_3, .request_cert = SP_YES));
  assert_int_equal(sp_pair_new(&meeting.server, context, SP_SERVER, NULL, false, NULL), 0);
  sp_context_release(context);
  actor_t *client =
      fixture_connect(f, SP_OPTIONS(.host = "localhost", .family = 4, .port = raws.port,
                                    .ca = SP_LIST(s->root->cert_pem), .cert = s->client->cert_pem,
                                    .hooks = {.sign = sign_later}));
  fixture_run_until(f, transport_ended);
  uint8_t signature[256];
  size_t n = signing_sign(s->client->key, meeting.scheme, meeting.message, meeting.n, signature,
                          sizeof signature);
  assert_true(n > 0);
  assert_int_equal(sp_pair_sign_with(meeting.asked, signature, n), 0);
  assert_int_equal(sp_pair_resume(meeting.asked, 0), 0);
  raws_run(&raws);
  assert_string_equal(client->log, "secure end(SP_ETRUNCATED) close");
  sp_pair_release(meeting.server);
  raws_free(&raws);
  fixture_free(f);
}

/* -- what a failing transport takes along ------------------------------------------------------ */

static bare_t *leaver;

static void let_it_reset(actor_t *actor, fixture_event_t event, int status) {
  (void)actor, (void)status;
  if (event == ON_END)
    bare_reset(leaver);
}

static bool has_left(fixture_t *f) { return (void)f, leaver->closed; }
static bool is_gone(fixture_t *f) { return !fixture_served(f, 0)->stream; }

static void notify(bare_t *bare) { bare_notify(bare); }

/* The peer's end came, but then it did not hear us out: that is an error. */
static void a_lost_write_is_an_error_also_after_the_peers_end(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER(.half_open = SP_YES));
  f->react = let_it_reset;
  leaver = bare_connect(f, SP_TLS1_3);
  leaver->on_secure = notify;
  fixture_run_until(f, has_left);
  assert_int_equal(sp_stream_send(fixture_served(f, 0)->stream, "last words", 10), 1);
  fixture_run_until(f, is_gone);
  assert_string_equal(fixture_served(f, 0)->log, "secure end error(ECONNRESET) close");
  fixture_run(f);
  bare_free(leaver);
  fixture_free(f);
}

/* A client that reads only when it is told to, and says what it likes. */
static SSL *rude_client(fixture_t *f, SSL_CTX *ctx) {
  SSL *ssl = SSL_new(ctx);
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)f->port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
  assert_true(SSL_set_fd(ssl, fd));
  while (SSL_connect(ssl) != 1)
    uv_run(&f->loop, UV_RUN_NOWAIT);
  return ssl;
}

static void talk_much(actor_t *actor, fixture_event_t event, int status) {
  if (event != ON_SECURE)
    return;
  assert_int_equal(status, 0);
  assert_int_equal(sp_stream_send(actor->stream, fixture_pattern(16 << 20), 16 << 20), 0);
}

static bool is_full(fixture_t *f) {
  return fixture_served(f, 0) && fixture_served(f, 0)->stream->flight;
}

static bool has_failed(fixture_t *f) { return fixture_served(f, 0)->counts[ON_ERROR]; }

/* What was on its way when the stream failed arrives, then the alert, then the end. */
static void an_alert_is_not_cut_off(void **state) {
  (void)state;
  static char room[16384];
  size_t got;
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER());
  f->react = talk_much;
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  SSL *ssl = rude_client(f, ctx);
  int fd = SSL_get_fd(ssl);
  fixture_run_until(f, is_full);
  assert_int_equal(
      send(fd, "\x17\x03\x03\x00\x20 this is no record of this key.", 37, MSG_NOSIGNAL), 37);
  fixture_run_until(f, has_failed);
  ERR_clear_error();
  for (int result = 1; result == 1 || SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ;) {
    uv_run(&f->loop, UV_RUN_NOWAIT);
    result = SSL_read_ex(ssl, room, sizeof room, &got);
  }
  assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
  SSL_free(ssl);
  SSL_CTX_free(ctx);
  close(fd);
  fixture_run(f);
  fixture_free(f);
}

/* -- pipes ------------------------------------------------------------------------------------- */

static void echo(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_SECURE)
    assert_int_equal(sp_stream_pipe(actor->stream, actor->stream), 0);
}

static void send_and_count(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event == ON_SECURE)
    assert_true(sp_stream_send(actor->stream, fixture_pattern(300000), 300000) >= 0);
  else if (event == ON_DATA && actor->received == 300000)
    sp_stream_end(actor->stream);
}

/* The limit is there for a program that does not wait for drain; a pipe does. */
static void a_small_write_limit_does_not_break_a_pipe(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER(.write_limit = 1000, .high_water = 500));
  f->react = echo;
  actor_t *client = fixture_connect(f, FIXTURE_CLIENT(f));
  client->react = send_and_count;
  fixture_run(f);
  assert_int_equal(client->received, 300000);
  fixture_free(f);
}

static uv_pipe_t plain;
static int plain_peer;

static void on_pipe_done(uv_stream_t *stream, int status) {
  assert_int_equal(status, SP_EENDED);
  uv_close((uv_handle_t *)stream, NULL);
}

static void pipe_and_end(actor_t *actor, fixture_event_t event, int status) {
  (void)status;
  if (event != ON_SECURE)
    return;
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
  assert_int_equal(uv_pipe_init(&actor->fixture->loop, &plain, 0), 0);
  assert_int_equal(uv_pipe_open(&plain, fds[0]), 0);
  plain_peer = fds[1];
  assert_int_equal(
      sp_stream_pipe_plain(actor->stream, (uv_stream_t *)&plain, SP_PIPE_BOTH, on_pipe_done), 0);
  sp_stream_end(actor->stream);
  assert_int_equal(send(plain_peer, "too late", 8, MSG_NOSIGNAL), 8);
}

/* While it lasted both directions ended on their own; afterwards the stream is what it was. */
static void a_stream_closes_by_itself_after_a_pipe_to_a_plain_one(void **state) {
  (void)state;
  fixture_t *f = fixture_new();
  fixture_serve(f, FIXTURE_SERVER());
  f->react = pipe_and_end;
  f->no_data = true;
  (void)fixture_connect(f, FIXTURE_CLIENT(f));
  fixture_run(f);
  close(plain_peer);
  fixture_free(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_end_of_a_turn_does_not_wait_for_io),
      cmocka_unit_test(a_name_is_asked_for_also_when_nothing_is_rejected),
      cmocka_unit_test(the_time_to_connect_does_not_limit_the_handshake),
      cmocka_unit_test(an_end_during_a_hook_is_told_after_it),
      cmocka_unit_test(a_lost_write_is_an_error_also_after_the_peers_end),
      cmocka_unit_test(an_alert_is_not_cut_off),
      cmocka_unit_test(a_small_write_limit_does_not_break_a_pipe),
      cmocka_unit_test(a_stream_closes_by_itself_after_a_pipe_to_a_plain_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
