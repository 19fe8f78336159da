/* openssl s_client against our server, and our client against openssl s_server. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <securepair.h>

#include "support/pki.h"
#include "support/program.h"

#define NEED_OPENSSL()                                                                             \
  do {                                                                                             \
    if (!child_exists("openssl")) {                                                                \
      print_message("openssl is not here\n");                                                      \
      skip();                                                                                      \
    }                                                                                              \
  } while (0)

static const char *const keys[] = {"ec", "rsa", "ed25519"};
static const struct {
  const char *flag, *name;
  sp_protocol_t number;
} versions[] = {{"-tls1_2", "TLSv1.2", SP_TLS1_2}, {"-tls1_3", "TLSv1.3", SP_TLS1_3}};

#define EACH_VERSION(v) for (size_t v = 0; v < sizeof versions / sizeof *versions; v++)

static const pki_t *here(const char *key) {
  return PKI_MAKE(pki_default()->root, .cn = "localhost", .dns = PKI_LIST("localhost"), .key = key);
}

static const char *root_file(void) {
  static const char *file;
  return file ? file : (file = pki_file(pki_default()->root->cert_pem));
}

/* -- s_client ---------------------------------------------------------------------------------- */

#define ARGS_MAX 32

/* Starts s_client with more arguments, towards the server of p. */
static void start_client(program_t *p, const char *const *more) {
  char address[32];
  (void)snprintf(address, sizeof address, "127.0.0.1:%d", p->f->port);
  const char *args[ARGS_MAX] = {"openssl",     "s_client",  "-connect",
                                address,       "-CAfile",   root_file(),
                                "-servername", "localhost", "-verify_return_error"};
  size_t n = 9;
  for (; *more; more++)
    args[n++] = *more;
  p->child = child_start(&p->f->loop, args);
  assert_non_null(p->child);
}

static program_t *serve(const pki_t *pki, const sp_options_t *options) {
  program_t *p = program_new();
  sp_options_t copy = *options;
  copy.key = pki->key_pem;
  copy.cert = pki->cert_pem;
  program_serve(p, &copy);
  return p;
}

static void check_echo(program_t *p) {
  const uint8_t *bytes = program_bytes(0, PROGRAM_BYTES);
  child_tell(p->child, bytes, PROGRAM_BYTES);
  const char *out = program_output(p, bytes, 64, PROGRAM_BYTES);
  if (!out)
    fail_msg("s_client: %s", child_err(p->child));
  assert_memory_equal(out, bytes, PROGRAM_BYTES);
}

/* 1 MB there and back, then we end. */
static void client_exchange(const char *key, size_t v) {
  print_message("s_client, %s, %s\n", key, versions[v].name);
  program_t *p = serve(here(key), SP_OPTIONS(.alpn = SP_LIST("h2", "http/1.1")));
  start_client(p, CHILD_ARGS(versions[v].flag, "-quiet", "-verify_hostname", "localhost", "-alpn",
                             "other,http/1.1"));
  check_echo(p);
  talker_t *talker = program_served(p, 0);
  assert_string_equal(talker->side.version, versions[v].name);
  assert_string_equal(talker->side.server_name, "localhost");
  assert_string_equal(talker->side.protocol, "http/1.1");
  assert_int_equal(sp_stream_bytes_read(talker->actor->stream), PROGRAM_BYTES);
  assert_int_equal(sp_stream_bytes_written(talker->actor->stream), PROGRAM_BYTES);
  sp_stream_end(talker->actor->stream);
  assert_int_equal(child_wait(p->child), 0);
  talker_wait_close(talker);
  assert_int_equal(talker->side.error.status, 0);
  program_free(p);
}

static void s_client_exchanges_1_mb(void **state) {
  (void)state;
  NEED_OPENSSL();
  for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
    EACH_VERSION(v) client_exchange(keys[k], v);
}

/* What it prints about us, and its own clean end. */
static void s_client_sees_who_we_are(void **state) {
  (void)state;
  NEED_OPENSSL();
  EACH_VERSION(v) {
    program_t *p = serve(here("ec"), SP_OPTIONS(.alpn = SP_LIST("h2")));
    start_client(p, CHILD_ARGS(versions[v].flag, "-alpn", "h2"));
    child_tell(p->child, "ping\n", 5);
    assert_true(child_wait_for(p->child, "ping\n"));
    assert_true(child_wait_for(p->child, "Verify return code: 0 (ok)"));
    assert_true(child_said(p->child, "ALPN protocol: h2"));
    assert_true(child_said(p->child, versions[v].name));
    assert_true(child_said(p->child, "Peer signing digest: SHA256"));
    assert_true(child_said(p->child, "Compression: NONE"));
    assert_true(child_said(p->child, "Secure Renegotiation IS supported") ||
                versions[v].number == SP_TLS1_3);
    child_tell_end(p->child); /* it sends close_notify */
    assert_int_equal(child_wait(p->child), 0);
    talker_t *talker = program_served(p, 0);
    talker_wait_close(talker);
    assert_string_equal(talker->side.log, "secure end close");
    program_free(p);
  }
}

/* C01: a peer that is killed has not ended. */
static void a_killed_s_client_is_a_truncation(void **state) {
  (void)state;
  NEED_OPENSSL();
  EACH_VERSION(v) {
    program_t *p = serve(here("ec"), SP_OPTIONS(.key = NULL));
    start_client(p, CHILD_ARGS(versions[v].flag, "-quiet"));
    child_tell(p->child, "ping\n", 5);
    assert_true(child_wait_for(p->child, "ping\n"));
    child_kill(p->child, SIGKILL);
    talker_t *talker = program_served(p, 0);
    talker_wait_close(talker);
    assert_string_equal(talker->side.log, "secure end(SP_ETRUNCATED) close");
    program_free(p);
  }
}

static void no_common_protocol_is_an_alert(void **state) {
  (void)state;
  NEED_OPENSSL();
  EACH_VERSION(v) {
    program_t *p = serve(here("ec"), SP_OPTIONS(.alpn = SP_LIST("h2")));
    start_client(p, CHILD_ARGS(versions[v].flag, "-alpn", "imap"));
    talker_t *talker = program_served(p, 0);
    assert_int_not_equal(child_wait(p->child), 0);
    assert_true(child_said(p->child, "no application protocol"));
    talker_wait_close(talker);
    assert_string_equal(talker->side.log, "secure(SP_EPROTOCOL) close");
    assert_int_equal(talker->side.error.alert, 120);
    program_free(p);
  }
}

/* -- s_client: sessions ------------------------------------------------------------------------ */

static size_t count_of(const char *text, const char *words) {
  size_t count = 0;
  while ((text = strstr(text, words))) {
    count++;
    text += strlen(words);
  }
  return count;
}

static void s_client_reconnects(sp_choice_t tickets, size_t resumed) {
  program_t *p = serve(here("ec"), SP_OPTIONS(.tickets = tickets));
  start_client(p, CHILD_ARGS("-tls1_2", "-reconnect"));
  talker_t *last = program_served(p, 5);
  child_tell(p->child, "ping\n", 5);
  assert_true(child_wait_for(p->child, "ping\n"));
  child_tell_end(p->child);
  assert_int_equal(child_wait(p->child), 0);
  talker_wait_close(last);
  assert_int_equal(count_of(child_out(p->child, NULL), "\nReused, TLSv1.2"), resumed);
  size_t counted = 0;
  for (size_t i = 0; i < p->count; i++)
    counted += p->talks[i].side.resumed;
  assert_int_equal(counted, resumed);
  program_free(p);
}

static void s_client_resumes_by_ticket_with_tls_1_2(void **state) {
  (void)state;
  NEED_OPENSSL();
  s_client_reconnects(SP_DEFAULT, 5);
  s_client_reconnects(SP_NO, 0);
}

static void run_with_session(program_t *p, const char *version, const char *option,
                             const char *file, size_t i, bool resumed) {
  start_client(p, CHILD_ARGS(version, option, file));
  child_tell(p->child, "ping\n", 5);
  assert_true(child_wait_for(p->child, "ping\n")); /* the ticket came before it */
  child_tell_end(p->child);
  assert_int_equal(child_wait(p->child), 0);
  assert_int_equal(child_said(p->child, "Reused, "), resumed);
  child_free(p->child);
  p->child = NULL;
  talker_t *talker = program_served(p, i);
  talker_wait_close(talker);
  assert_int_equal(talker->side.resumed, resumed);
  assert_string_equal(talker->side.log, "secure end close");
}

static void s_client_resumes_from_a_file(void **state) {
  (void)state;
  NEED_OPENSSL();
  EACH_VERSION(v) {
    char name[32];
    (void)snprintf(name, sizeof name, "session-%zu", v);
    const char *file = pki_path(name);
    program_t *p = serve(here("ec"), SP_OPTIONS(.key = NULL));
    run_with_session(p, versions[v].flag, "-sess_out", file, 0, false);
    run_with_session(p, versions[v].flag, "-sess_in", file, 1, true);
    run_with_session(p, versions[v].flag, "-sess_in", file, 2, true);
    program_free(p);
  }
}

/* -- s_client: certificates -------------------------------------------------------------------- */

static void s_client_shows_a_certificate(void **state) {
  (void)state;
  NEED_OPENSSL();
  const pki_set_t *s = pki_default();
  for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
    EACH_VERSION(v) {
      const pki_t *client =
          PKI_MAKE(s->root, .cn = "a client", .eku = "clientAuth", .key = keys[k]);
      program_t *p =
          serve(here("ec"), SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem), .request_cert = SP_YES,
                                       .reject_unauthorized = SP_YES));
      start_client(p, CHILD_ARGS(versions[v].flag, "-quiet", "-cert", pki_file(client->cert_pem),
                                 "-key", pki_file(client->key_pem)));
      check_echo(p);
      talker_t *talker = program_served(p, 0);
      assert_true(talker->side.authorized);
      assert_string_equal(talker->side.peer, "CN=a client");
      program_free(p);
    }
}

static void s_client_without_a_certificate_is_refused(void **state) {
  (void)state;
  NEED_OPENSSL();
  static const char *const alerts[] = {"handshake failure", "certificate required"};
  const pki_set_t *s = pki_default();
  EACH_VERSION(v) {
    program_t *p =
        serve(here("ec"), SP_OPTIONS(.ca = SP_LIST(s->root->cert_pem), .request_cert = SP_YES,
                                     .reject_unauthorized = SP_YES));
    start_client(p, CHILD_ARGS(versions[v].flag, "-quiet"));
    assert_int_not_equal(child_wait(p->child), 0);
    assert_true(child_said(p->child, alerts[v]));
    talker_t *talker = program_served(p, 0);
    talker_wait_close(talker);
    assert_string_equal(talker->side.log, "secure(SP_EUNAUTHORIZED) close");
    assert_string_equal(talker->side.reason, "UNABLE_TO_GET_ISSUER_CERT");
    program_free(p);
  }
}

/* -- s_server ---------------------------------------------------------------------------------- */

/* Starts s_server with more arguments; the options lead our client to it. */
static talker_t *call_server(program_t *p, const pki_t *pki, const char *const *more,
                             const sp_options_t *options) {
  const char *args[ARGS_MAX] = {"openssl",  "s_server",
                                "-accept",  "127.0.0.1:0",
                                "-naccept", "1",
                                "-cert",    pki_file(pki->cert_pem),
                                "-key",     pki_file(pki->key_pem)};
  size_t n = 10;
  for (; *more; more++)
    args[n++] = *more;
  p->child = child_start(&p->f->loop, args);
  assert_non_null(p->child);
  sp_options_t copy = *options;
  const char *roots[] = {pki_default()->root->cert_pem, NULL};
  copy.ca = roots;
  copy.server_name = "localhost";
  copy.port = program_port(p);
  assert_int_not_equal(copy.port, 0);
  return program_connect(p, &copy);
}

/* A line of s_server's, said once the handshake is over: what it reads earlier it would write in
 * the midst of it, without looking at anything else. */
static void hear_one(program_t *p, talker_t *talker) {
  while (!talker->actor->counts[ON_SECURE])
    uv_run(&p->f->loop, UV_RUN_ONCE);
  assert_int_equal(talker->side.status, 0);
  child_tell(p->child, "1\n", 2);
  assert_true(talker_wait(talker, p->child, 2));
}

static void server_exchange(const char *key, size_t v) {
  print_message("s_server, %s, %s\n", key, versions[v].name);
  const uint8_t *ours = program_bytes(0, PROGRAM_BYTES), *theirs = program_bytes(1, PROGRAM_BYTES);
  program_t *p = program_new();
  talker_t *talker =
      call_server(p, here(key), CHILD_ARGS(versions[v].flag, "-quiet", "-alpn", "imap,h2"),
                  SP_OPTIONS(.alpn = SP_LIST("h2", "http/1.1")));
  assert_true(sp_stream_send(talker->actor->stream, ours, PROGRAM_BYTES) >= 0);
  child_tell(p->child, theirs, PROGRAM_BYTES);
  const char *out = program_output(p, ours, 64, PROGRAM_BYTES);
  if (!out)
    fail_msg("s_server: %s", child_err(p->child));
  assert_memory_equal(out, ours, PROGRAM_BYTES);
  assert_true(talker_wait(talker, p->child, PROGRAM_BYTES));
  assert_int_equal(talker->got_size, PROGRAM_BYTES);
  assert_memory_equal(talker->got, theirs, PROGRAM_BYTES);
  assert_string_equal(talker->side.version, versions[v].name);
  assert_string_equal(talker->side.protocol, "h2");
  assert_true(talker->side.authorized);
  sp_stream_end(talker->actor->stream);
  assert_int_equal(child_wait(p->child), 0);
  talker_wait_close(talker);
  assert_int_equal(talker->side.error.status, 0);
  program_free(p);
}

static void s_server_exchanges_1_mb(void **state) {
  (void)state;
  NEED_OPENSSL();
  for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
    EACH_VERSION(v) server_exchange(keys[k], v);
}

/* Its own clean end: as a web server it has no more to say after its page. */
static void s_server_ends(void **state) {
  (void)state;
  NEED_OPENSSL();
  EACH_VERSION(v) {
    program_t *p = program_new();
    talker_t *talker =
        call_server(p, here("ec"), CHILD_ARGS(versions[v].flag, "-www"), SP_OPTIONS(.port = 0));
    assert_true(sp_stream_send(talker->actor->stream, "GET / HTTP/1.0\r\n\r\n", 18) >= 0);
    talker_wait_close(talker);
    assert_string_equal(talker->side.log, "secure data end close");
    assert_non_null(memmem(talker->got, talker->got_size, "HTTP/1.0 200 ok", 15));
    assert_non_null(memmem(talker->got, talker->got_size, "</BODY></HTML>", 14));
    program_free(p);
  }
}

/* C01 */
static void a_killed_s_server_is_a_truncation(void **state) {
  (void)state;
  NEED_OPENSSL();
  EACH_VERSION(v) {
    program_t *p = program_new();
    talker_t *talker =
        call_server(p, here("ec"), CHILD_ARGS(versions[v].flag), SP_OPTIONS(.port = 0));
    hear_one(p, talker);
    child_kill(p->child, SIGKILL);
    talker_wait_close(talker);
    assert_string_equal(talker->side.log, "secure data end(SP_ETRUNCATED) close");
    program_free(p);
  }
}

static void s_server_asks_for_a_certificate(void **state) {
  (void)state;
  NEED_OPENSSL();
  const pki_set_t *s = pki_default();
  for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
    EACH_VERSION(v) {
      const pki_t *client =
          PKI_MAKE(s->root, .cn = "a client", .eku = "clientAuth", .key = keys[k]);
      program_t *p = program_new();
      talker_t *talker = call_server(p, here("ec"),
                                     CHILD_ARGS(versions[v].flag, "-Verify", "1",
                                                "-verify_return_error", "-CAfile", root_file()),
                                     SP_OPTIONS(.key = client->key_pem, .cert = client->cert_pem));
      hear_one(p, talker);
      assert_true(child_wait_for(p->child, "CN = a client"));
      program_free(p);
    }
}

/* K13, as OpenSSL's server does it: TLS 1.3 lets the client through first. */
static void s_server_requires_a_certificate(void **state) {
  (void)state;
  NEED_OPENSSL();
  static const char *const logs[] = {"secure(SP_EALERT) close", "secure error(SP_EALERT) close"};
  static const int alerts[] = {40, 116};
  EACH_VERSION(v) {
    program_t *p = program_new();
    talker_t *talker = call_server(p, here("ec"), CHILD_ARGS(versions[v].flag, "-Verify", "1"),
                                   SP_OPTIONS(.port = 0));
    talker_wait_close(talker);
    assert_string_equal(talker->side.log, logs[v]);
    assert_int_equal(talker->side.error.alert, alerts[v]);
    assert_non_null(strstr(talker->side.error.text, "client certificate"));
    program_free(p);
  }
}

static void s_server_of_strangers_is_refused(void **state) {
  (void)state;
  NEED_OPENSSL();
  EACH_VERSION(v) {
    program_t *p = program_new();
    talker_t *talker = call_server(p, pki_default()->stranger, CHILD_ARGS(versions[v].flag),
                                   SP_OPTIONS(.port = 0));
    talker_wait_close(talker);
    assert_string_equal(talker->side.log, "secure(SP_EUNAUTHORIZED) close");
    assert_true(child_wait_for(p->child, "unknown ca"));
    program_free(p);
  }
}

/* What each has switched off meets in an alert. */
static void versions_that_do_not_meet(void **state) {
  (void)state;
  NEED_OPENSSL();
  program_t *p = program_new();
  talker_t *talker =
      call_server(p, here("ec"), CHILD_ARGS("-tls1_2"), SP_OPTIONS(.min_version = SP_TLS1_3));
  talker_wait_close(talker);
  assert_string_equal(talker->side.log, "secure(SP_EALERT) close");
  assert_string_equal(sp_alert_name(talker->side.error.alert), "protocol_version");
  program_free(p);
  p = serve(here("ec"), SP_OPTIONS(.min_version = SP_TLS1_3));
  start_client(p, CHILD_ARGS("-tls1_2"));
  assert_int_not_equal(child_wait(p->child), 0);
  assert_true(child_said(p->child, "alert protocol version"));
  talker = program_served(p, 0);
  talker_wait_close(talker);
  assert_string_equal(talker->side.log, "secure(SP_EPROTOCOL) close");
  program_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(s_client_exchanges_1_mb),
      cmocka_unit_test(s_client_sees_who_we_are),
      cmocka_unit_test(a_killed_s_client_is_a_truncation),
      cmocka_unit_test(no_common_protocol_is_an_alert),
      cmocka_unit_test(s_client_resumes_by_ticket_with_tls_1_2),
      cmocka_unit_test(s_client_resumes_from_a_file),
      cmocka_unit_test(s_client_shows_a_certificate),
      cmocka_unit_test(s_client_without_a_certificate_is_refused),
      cmocka_unit_test(s_server_exchanges_1_mb),
      cmocka_unit_test(s_server_ends),
      cmocka_unit_test(a_killed_s_server_is_a_truncation),
      cmocka_unit_test(s_server_asks_for_a_certificate),
      cmocka_unit_test(s_server_requires_a_certificate),
      cmocka_unit_test(s_server_of_strangers_is_refused),
      cmocka_unit_test(versions_that_do_not_meet),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
