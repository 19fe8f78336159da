/*
 * Connections after their handshake, with programs of others at the other end: new keys and how
 * many of them, renegotiation, a certificate that is asked for later, sizes of records. FAULTS W19,
 * W21, R16.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/program.h"
#include "support/stopwatch.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* -- what our side sees ------------------------------------------------------------------------ */

static struct {
  unsigned keys_in, keys_out, asked, shown; /* messages */
  unsigned renegotiated, answered;          /* hooks */
} seen;

static bool begins(const char *line, const char *words) {
  return !strncmp(line, words, strlen(words));
}

static void on_trace(sp_pair_t *pair, const char *line, void *data) {
  (void)pair, (void)data;
  seen.keys_in += begins(line, "< KeyUpdate");
  seen.keys_out += begins(line, "> KeyUpdate");
  seen.asked += begins(line, "< CertificateRequest");
  seen.shown += begins(line, "> Certificate,");
}

static void on_renegotiated(sp_pair_t *pair, void *data) {
  (void)pair, (void)data;
  seen.renegotiated++;
}

static void on_certificate(sp_pair_t *pair, void *data) {
  (void)data;
  assert_true(sp_pair_is_authorized(pair));
  seen.answered++;
}

static const sp_hooks_t hooks = {
    .trace = on_trace, .renegotiated = on_renegotiated, .client_certificate = on_certificate};

/* -- the programs ------------------------------------------------------------------------------ */

enum { OPENSSL, GNUTLS };
enum { TLS1_2, TLS1_3 };

static const struct {
  const char *client, *server;
  const char *versions[2];        /* how it is told to speak TLS 1.2, 1.3 */
  const char *new_key, *new_keys; /* of its own; of both sides */
  const char *renegotiate;
} programs[] = {
    {"openssl", "openssl", {"-tls1_2", "-tls1_3"}, "k\n", "K\n", "R\n"},
    {"gnutls-cli",
     "gnutls-serv",
     /* in a renegotiation it waits for a ticket that nobody promised again */
     {"NORMAL:-VERS-ALL:+VERS-TLS1.2:%NO_TICKETS", "NORMAL:-VERS-ALL:+VERS-TLS1.3"},
     "^rekey1^\n",
     "^rekey^\n",
     "^renegotiate^\n"},
};

#define EACH_PROGRAM(which)                                                                        \
  for (int which = 0; which < 2; which++)                                                          \
    if (child_exists(programs[which].client))

static size_t append(const char **args, size_t n, const char *const *more) {
  for (; more && *more; more++)
    args[n++] = *more;
  args[n] = NULL;
  return n;
}

static program_t *serve(const sp_options_t *options) {
  const pki_set_t *pki = pki_default();
  program_t *p = program_new();
  sp_options_t copy = *options;
  const char *roots[] = {pki->root->cert_pem, NULL};
  memset(&seen, 0, sizeof seen);
  copy.key = pki->server->key_pem;
  copy.cert = pki->server->cert_pem;
  copy.ca = roots;
  copy.hooks = hooks;
  program_serve(p, &copy);
  return p;
}

static void start_client(program_t *p, int which, int version, const char *const *more) {
  char address[32], port[16];
  const char *args[32];
  (void)snprintf(address, sizeof address, "127.0.0.1:%d", p->f->port);
  (void)snprintf(port, sizeof port, "%d", p->f->port);
  const char *speaks = programs[which].versions[version];
  const char *const of_openssl[] = {"openssl", "s_client", "-connect", address, speaks, NULL};
  const char *const of_gnutls[] = {"gnutls-cli", "--insecure", "--inline-commands",
                                   "--priority", speaks,       "-p",
                                   port,         "127.0.0.1",  NULL};
  (void)append(args, append(args, 0, which == OPENSSL ? of_openssl : of_gnutls), more);
  p->child = child_start(&p->f->loop, args);
  assert_non_null(p->child);
}

/* Our client, and a server of theirs that says back what it hears, openssl's reversed; but with
 * `talks` that one says what it is told. */
static talker_t *call_server(program_t *p, int which, int version, bool talks,
                             const char *const *more, const sp_options_t *options) {
  const pki_set_t *pki = pki_default();
  const char *args[32], *roots[] = {pki->root->cert_pem, NULL};
  const char *speaks = programs[which].versions[version];
  const char *cert = pki_file(pki->server->cert_pem), *key = pki_file(pki->server->key_pem);
  const char *const of_openssl[] = {
      "openssl", "s_server", "-accept", "127.0.0.1:0",         "-naccept", "1", "-cert", cert,
      "-key",    key,        speaks,    talks ? NULL : "-rev", NULL};
  const char *const of_gnutls[] = {"gnutls-serv", "-p",         "0",    "--x509certfile", cert,
                                   key,           "--priority", speaks, "--echo",         NULL};
  const char *gnutls_args[16];
  size_t n = 0;
  for (const char *const *one = of_gnutls; *one; one++) {
    if (*one == key)
      gnutls_args[n++] = "--x509keyfile";
    gnutls_args[n++] = *one;
  }
  gnutls_args[n] = NULL;
  (void)append(args, append(args, 0, which == OPENSSL ? of_openssl : gnutls_args), more);
  p->child = child_start(&p->f->loop, args);
  assert_non_null(p->child);
  memset(&seen, 0, sizeof seen);
  sp_options_t copy = *options;
  copy.ca = roots;
  copy.server_name = "localhost";
  copy.hooks = hooks;
  copy.port = program_port(p);
  assert_int_not_equal(copy.port, 0);
  return program_connect(p, &copy);
}

/* Runs the loop until then; the child must not end before. */
#define UNTIL(p, condition)                                                                        \
  do                                                                                               \
    while (!(condition)) {                                                                         \
      if (child_ended((p)->child))                                                                 \
        fail_msg("not %s: %s%s", #condition, child_out((p)->child, NULL), child_err((p)->child));  \
      uv_run(&(p)->f->loop, UV_RUN_ONCE);                                                          \
    }                                                                                              \
  while (0)

static void tell(program_t *p, const char *line) { child_tell(p->child, line, strlen(line)); }

/* A line that comes back. Whether it did; else the child ended. */
static bool echo(program_t *p, unsigned number) {
  char line[32];
  (void)snprintf(line, sizeof line, "hello %u.\n", number);
  tell(p, line);
  return child_wait_for(p->child, line);
}

static void expect_said(const program_t *p, const char *words) {
  if (!child_said(p->child, words))
    fail_msg("\"%s\" is not in: %s%s", words, child_out(p->child, NULL), child_err(p->child));
}

/* We end, and so does the client. */
static void part(program_t *p) {
  talker_t *talker = program_served(p, 0);
  sp_stream_end(talker->actor->stream);
  (void)child_wait(p->child);
  talker_wait_close(talker);
  assert_int_equal(talker->side.error.status, 0);
  program_free(p);
}

static void fails_with(program_t *p, int status, const char *words) {
  talker_t *talker = program_served(p, 0);
  talker_wait_close(talker);
  const sp_error_t *error = &talker->side.error;
  if (error->status != status || !strstr(error->text, words))
    fail_msg("%s: %s", sp_error_name(error->status), error->text);
  child_tell_end(p->child);
  (void)child_wait(p->child);
}

/* -- new keys ---------------------------------------------------------------------------------- */

static unsigned occurrences(const char *text, const char *word) {
  unsigned count = 0;
  for (; (text = strstr(text, word)); text++)
    count++;
  return count;
}

/* For the i-th time, and the first three times it asks us for the same. openssl says so, takes
 * nothing but the command from what it reads at once, and sends it with the next data. */
static void tell_new_keys(program_t *p, int which, unsigned i) {
  tell(p, i <= 3 ? programs[which].new_keys : programs[which].new_key);
  if (which == OPENSSL)
    UNTIL(p, occurrences(child_err(p->child), "KEYUPDATE") == i);
}

/* Ten in a second; the eleventh is one too many, and the alert says so. (gnutls puts up with eight
 * of ours.) */
static void W19_clients_take_new_keys(void **state) {
  (void)state;
  stopwatch_set(5000);
  EACH_PROGRAM(which) {
    program_t *p = serve(SP_OPTIONS(.min_version = SP_TLS1_3));
    start_client(p, which, TLS1_3, NULL);
    assert_true(echo(p, 0));
    for (unsigned i = 1; i <= 10; i++) {
      tell_new_keys(p, which, i);
      assert_true(echo(p, i));
      assert_int_equal(seen.keys_in, i);
      assert_int_equal(seen.keys_out, i <= 3 ? i : 3);
    }
    tell_new_keys(p, which, 11);
    (void)echo(p, 11);
    fails_with(p, SP_EPROTOCOL, "10 key updates in a second");
    expect_said(p, which == OPENSSL ? "alert number 10" : "[10]");
    program_free(p);
  }
}

/* A server's keys: both ways, since it asks its client, too. */
static void R16_keys_are_renewed_with_clients(void **state) {
  (void)state;
  EACH_PROGRAM(which) {
    program_t *p = serve(SP_OPTIONS(.min_version = SP_TLS1_3, .key_records = 20));
    stopwatch_set(0);
    start_client(p, which, TLS1_3, NULL);
    for (unsigned i = 0; i < 50; i++) {
      stopwatch_set(1000 * i);
      assert_true(echo(p, i));
    }
    UNTIL(p, seen.keys_in >= 2);
    assert_in_range(seen.keys_out, 2, 10);
    part(p);
  }
}

/* TLS 1.2 has no new ones: a clean end in time. */
static void R16_tls_1_2_ends_with_clients(void **state) {
  (void)state;
  EACH_PROGRAM(which) {
    program_t *p = serve(SP_OPTIONS(.max_version = SP_TLS1_2, .key_records = 20));
    start_client(p, which, TLS1_2, NULL);
    unsigned i = 0;
    while (i < 50 && echo(p, i))
      i++;
    assert_in_range(i, 15, 20);
    fails_with(p, SP_EKEYUSED, "as many records");
    assert_false(child_said(p->child, "alert"));
    program_free(p);
  }
}

/* What a client sends and gets, line by line. */
static void exchange_lines(program_t *p, talker_t *talker, unsigned lines) {
  size_t got = 0;
  UNTIL(p, talker->actor->counts[ON_SECURE]);
  for (unsigned i = 0; i < lines; i++) {
    stopwatch_set(1000 * i);
    assert_true(sp_stream_send(talker->actor->stream, "a line\n", 7) >= 0);
    assert_true(talker_wait(talker, p->child, got += 7));
  }
}

static void R16_keys_are_renewed_with_servers(void **state) {
  (void)state;
  EACH_PROGRAM(which) {
    program_t *p = program_new();
    talker_t *talker = call_server(p, which, TLS1_3, false, NULL, SP_OPTIONS(.key_records = 20));
    exchange_lines(p, talker, 50);
    assert_in_range(seen.keys_out, 2, 10);
    assert_true(seen.keys_in >= 2);
    sp_stream_destroy(talker->actor->stream);
    talker_wait_close(talker);
    program_free(p);
  }
}

/* -- renegotiation ----------------------------------------------------------------------------- */

/* Three, with data in between; the fourth is an attack. */
static void W21_clients_renegotiate(void **state) {
  (void)state;
  stopwatch_set(5000);
  EACH_PROGRAM(which) {
    program_t *p = serve(SP_OPTIONS(.max_version = SP_TLS1_2, .renegotiation = SP_YES));
    start_client(p, which, TLS1_2, NULL);
    assert_true(echo(p, 0));
    for (unsigned i = 1; i <= 3; i++) {
      tell(p, programs[which].renegotiate);
      UNTIL(p, seen.renegotiated == i);
      assert_true(echo(p, i));
    }
    tell(p, programs[which].renegotiate);
    fails_with(p, SP_ERENEGOTIATION, "renegotiation attack");
    assert_int_equal(seen.renegotiated, 3);
    program_free(p);
  }
}

/* By default it is refused, by a warning: whether the connection goes on is up to the client. */
static void W21_clients_may_not_renegotiate(void **state) {
  (void)state;
  EACH_PROGRAM(which) {
    program_t *p = serve(SP_OPTIONS(.max_version = SP_TLS1_2));
    start_client(p, which, TLS1_2, NULL);
    assert_true(echo(p, 0));
    tell(p, programs[which].renegotiate);
    if (which == GNUTLS)
      assert_true(child_wait_for(p->child, "enegotiation"));
    else
      assert_true(child_wait_for(p->child, "no renegotiation"));
    child_tell_end(p->child);
    (void)child_wait(p->child);
    talker_wait_close(program_served(p, 0));
    assert_int_equal(seen.renegotiated, 0);
    program_free(p);
  }
}

/* Our client is asked to; and begins, which OpenSSL's server allows only if told to. */
static void servers_renegotiate(void **state) {
  (void)state;
  for (int ours = 0; ours < 3; ours++) {
    program_t *p = program_new();
    talker_t *talker = call_server(p, OPENSSL, TLS1_2, true,
                                   ours == 1 ? CHILD_ARGS("-client_renegotiation") : NULL,
                                   SP_OPTIONS(.renegotiation = SP_YES));
    UNTIL(p, talker->actor->counts[ON_SECURE]);
    tell(p, "one\n");
    assert_true(talker_wait(talker, p->child, 4));
    if (ours)
      assert_int_equal(sp_pair_renegotiate(sp_stream_pair(talker->actor->stream)), 0);
    else
      tell(p, "r\n");
    if (ours == 2) {
      talker_wait_close(talker);
      assert_int_equal(talker->side.error.status, SP_ERENEGOTIATION);
    } else {
      UNTIL(p, seen.renegotiated == 1);
      assert_true(sp_stream_is_authorized(talker->actor->stream));
      tell(p, "two\n");
      assert_true(talker_wait(talker, p->child, 8));
      assert_memory_equal(talker->got, "one\ntwo\n", 8);
      sp_stream_destroy(talker->actor->stream);
      talker_wait_close(talker);
    }
    program_free(p);
  }
}

/* -- a certificate, later ---------------------------------------------------------------------- */

static void clients_show_a_certificate_later(void **state) {
  (void)state;
  const pki_set_t *pki = pki_default();
  const char *cert = pki_file(pki->client->cert_pem), *key = pki_file(pki->client->key_pem);
  EACH_PROGRAM(which) {
    program_t *p = serve(SP_OPTIONS(.min_version = SP_TLS1_3));
    start_client(p, which, TLS1_3,
                 which == OPENSSL ? CHILD_ARGS("-enable_pha", "-cert", cert, "-key", key)
                                  : CHILD_ARGS("--post-handshake-auth", "--x509certfile", cert,
                                               "--x509keyfile", key));
    assert_true(echo(p, 0));
    sp_stream_t *stream = program_served(p, 0)->actor->stream;
    assert_false(sp_stream_is_authorized(stream));
    for (unsigned i = 1; i <= 2; i++) {
      assert_int_equal(sp_pair_request_certificate(sp_stream_pair(stream)), 0);
      UNTIL(p, seen.answered == i);
      assert_true(sp_stream_is_authorized(stream));
      assert_true(echo(p, i));
    }
    part(p);
  }
}

static void clients_that_do_not_offer_it(void **state) {
  (void)state;
  EACH_PROGRAM(which) {
    program_t *p = serve(SP_OPTIONS(.min_version = SP_TLS1_3));
    start_client(p, which, TLS1_3, NULL);
    assert_true(echo(p, 0));
    const sp_stream_t *stream = program_served(p, 0)->actor->stream;
    assert_int_equal(sp_pair_request_certificate(sp_stream_pair(stream)), SP_EOPTION);
    assert_true(echo(p, 1));
    part(p);
  }
}

static void a_server_asks_later(void **state) {
  (void)state;
  const pki_set_t *pki = pki_default();
  program_t *p = program_new();
  talker_t *talker =
      call_server(p, OPENSSL, TLS1_3, true, NULL,
                  SP_OPTIONS(.key = pki->client->key_pem, .cert = pki->client->cert_pem,
                             .post_handshake_auth = SP_YES));
  UNTIL(p, talker->actor->counts[ON_SECURE]);
  tell(p, "one\n");
  assert_true(talker_wait(talker, p->child, 4));
  tell(p, "c\n");
  UNTIL(p, seen.asked == 1 && seen.shown == 1);
  tell(p, "two\n");
  assert_true(talker_wait(talker, p->child, 8));
  sp_stream_destroy(talker->actor->stream);
  talker_wait_close(talker);
  program_free(p);
}

/* -- records ----------------------------------------------------------------------------------- */

#define LONG 40000u

/* How many records, of so many bytes of overhead each, since then. */
static size_t records(const sp_stream_t *stream, uint64_t out, size_t cleartext, size_t overhead) {
  return (size_t)(sp_pair_bytes_out(sp_stream_pair(stream)) - out - cleartext) / overhead;
}

/* Sends what the child has to show as it is; how many records that took. */
static size_t send_long(program_t *p, int version) {
  const uint8_t *bytes = program_bytes(1, LONG);
  const sp_stream_t *stream = program_served(p, 0)->actor->stream;
  uint64_t before = sp_pair_bytes_out(sp_stream_pair(stream));
  assert_true(sp_stream_send(program_served(p, 0)->actor->stream, bytes, LONG) >= 0);
  const char *out = program_output(p, bytes, 64, LONG);
  if (!out)
    fail_msg("%s", child_err(p->child));
  assert_memory_equal(out, bytes, LONG);
  return records(stream, before, LONG, version == TLS1_3 ? 22 : 29);
}

/* Whoever asks for small ones refuses larger ones. */
static void clients_ask_for_small_records(void **state) {
  (void)state;
  for (int version = TLS1_2; version <= TLS1_3; version++) {
    program_t *p = serve(SP_OPTIONS(.ciphers = "ECDHE+AESGCM"));
    start_client(p, OPENSSL, version, CHILD_ARGS("-quiet", "-maxfraglen", "512"));
    assert_true(echo(p, 0));
    assert_int_equal(send_long(p, version), (LONG + 511) / 512);
    part(p);
  }
}

static void records_of_a_size(void **state) {
  (void)state;
  static const struct {
    int option;
    size_t least, most;
  } sizes[] = {{1000, 40, 45}, {SP_RECORD_DYNAMIC, 30, 31}, {0, 3, 3}};
  for (size_t i = 0; i < COUNT(sizes); i++)
    EACH_PROGRAM(which) {
      program_t *p = serve(SP_OPTIONS(.record_size = sizes[i].option));
      start_client(p, which, TLS1_3, which == OPENSSL ? CHILD_ARGS("-quiet") : NULL);
      assert_true(echo(p, 0));
      assert_in_range(send_long(p, TLS1_3), sizes[i].least, sizes[i].most);
      part(p);
    }
}

/* Our client asks: neither side sends larger ones, and a server that does not know it changes
 * nothing. */
static void servers_are_asked_for_small_records(void **state) {
  (void)state;
  EACH_PROGRAM(which) {
    program_t *p = program_new();
    talker_t *talker = call_server(p, which, TLS1_3, false, NULL, SP_OPTIONS(.max_fragment = 1024));
    UNTIL(p, talker->actor->counts[ON_SECURE]);
    const sp_stream_t *stream = talker->actor->stream;
    uint64_t before = sp_pair_bytes_out(sp_stream_pair(stream));
    static char line[5001];
    memset(line, 'x', sizeof line);
    line[5000] = '\n';
    assert_true(sp_stream_send(talker->actor->stream, line, sizeof line) >= 0);
    assert_true(talker_wait(talker, p->child, sizeof line));
    assert_in_range(records(stream, before, sizeof line, 22), 1, 5);
    if (which == OPENSSL)
      assert_int_equal(records(stream, before, sizeof line, 22), 5);
    sp_stream_destroy(talker->actor->stream);
    talker_wait_close(talker);
    program_free(p);
  }
}

int main(void) {
  if (!child_exists("openssl")) {
    print_message("openssl is not here\n");
    return 77;
  }
  if (!child_exists("gnutls-cli"))
    print_message("gnutls-cli is not here (Debian: gnutls-bin): without it\n");
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(W19_clients_take_new_keys),
      cmocka_unit_test(R16_keys_are_renewed_with_clients),
      cmocka_unit_test(R16_tls_1_2_ends_with_clients),
      cmocka_unit_test(R16_keys_are_renewed_with_servers),
      cmocka_unit_test(W21_clients_renegotiate),
      cmocka_unit_test(W21_clients_may_not_renegotiate),
      cmocka_unit_test(servers_renegotiate),
      cmocka_unit_test(clients_show_a_certificate_later),
      cmocka_unit_test(clients_that_do_not_offer_it),
      cmocka_unit_test(a_server_asks_later),
      cmocka_unit_test(clients_ask_for_small_records),
      cmocka_unit_test(records_of_a_size),
      cmocka_unit_test(servers_are_asked_for_small_records),
  };
  return cmocka_run_group_tests_name("lifetime-peers", tests, NULL, NULL);
}
