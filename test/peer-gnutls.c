/* gnutls-cli against our server, and our client against gnutls-serv: another implementation of TLS
 * than the one beneath us. */
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

#define NEED(program)                                                                              \
  do {                                                                                             \
    if (!child_exists(program)) {                                                                  \
      print_message("%s is not here (Debian: gnutls-bin)\n", program);                             \
      skip();                                                                                      \
    }                                                                                              \
  } while (0)

#define NO_OPTIONS SP_OPTIONS(.port = 0)

static const char *const keys[] = {"ec", "rsa", "ed25519"};
static const struct {
  const char *priority, *name;
} versions[] = {{"NORMAL:-VERS-ALL:+VERS-TLS1.2", "TLSv1.2"},
                {"NORMAL:-VERS-ALL:+VERS-TLS1.3", "TLSv1.3"}};

#define EACH_VERSION(v) for (size_t v = 0; v < sizeof versions / sizeof *versions; v++)
#define EACH_KEY(k) for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)

static const pki_t *here(const char *key) {
  return PKI_MAKE(pki_default()->root, .cn = "localhost", .dns = PKI_LIST("localhost"), .key = key);
}

static const pki_t *caller(const char *key) {
  return PKI_MAKE(pki_default()->root, .cn = "a client", .eku = "clientAuth", .key = key);
}

static const char *root_file(void) {
  static const char *file;
  return file ? file : (file = pki_file(pki_default()->root->cert_pem));
}

#define ARGS_MAX 32

/* -- gnutls-cli -------------------------------------------------------------------------------- */

static program_t *serve(const pki_t *pki, const sp_options_t *options) {
  program_t *p = program_new();
  sp_options_t copy = *options;
  copy.key = pki->key_pem;
  copy.cert = pki->cert_pem;
  program_serve(p, &copy);
  return p;
}

/* What it says of the connection goes to `log`, or NULL: into its output, among what we send. */
static void start_client(program_t *p, size_t v, const char *log, const char *const *more) {
  char port[16], log_option[4200];
  (void)snprintf(port, sizeof port, "%d", p->f->port);
  (void)snprintf(log_option, sizeof log_option, "--logfile=%s", log ? log : "");
  const char *args[ARGS_MAX] = {"gnutls-cli",
                                "-p",
                                port,
                                "--x509cafile",
                                root_file(),
                                "--sni-hostname=localhost",
                                "--verify-hostname=localhost",
                                "--priority",
                                versions[v].priority,
                                "127.0.0.1"};
  size_t n = 10;
  if (log)
    args[n++] = log_option;
  for (; *more; more++)
    args[n++] = *more;
  p->child = child_start(&p->f->loop, args);
  assert_non_null(p->child);
}

/* It reads and writes byte by byte, which takes seconds for a megabyte (gnutls-serv below gets its
 * one), and does not read from us while it writes: so it is told a piece at a time. */
#define SAID (PROGRAM_BYTES / 64)
#define PIECE (SAID / 4)
#define HEARD (PROGRAM_BYTES / 16 - 1)

static void check_echo(program_t *p) {
  const uint8_t *bytes = program_bytes(0, SAID);
  for (size_t done = 0; done < SAID; done += PIECE) {
    child_tell(p->child, bytes + done, PIECE);
    if (!program_output(p, bytes, 64, done + PIECE))
      fail_msg("gnutls-cli: %s", child_err(p->child));
  }
  size_t n;
  const char *out = child_out(p->child, &n);
  assert_int_equal(n, SAID);
  assert_memory_equal(out, bytes, SAID);
}

static void check_heard(program_t *p, talker_t *talker) {
  const uint8_t *bytes = program_bytes(1, HEARD);
  assert_true(sp_stream_send(talker->actor->stream, bytes, HEARD) >= 0);
  const char *out = program_output(p, bytes, 64, HEARD);
  if (!out)
    fail_msg("gnutls-cli: %s", child_err(p->child));
  assert_memory_equal(out, bytes, HEARD);
}

/* 16 KB there and back, 64 KB back; then it ends. */
static void client_exchange(const char *key, size_t v) {
  print_message("gnutls-cli, %s, %s\n", key, versions[v].name);
  program_t *p = serve(here(key), SP_OPTIONS(.alpn = SP_LIST("h2", "http/1.1")));
  start_client(p, v, "/dev/null", CHILD_ARGS("--alpn=http/1.1"));
  check_echo(p);
  talker_t *talker = program_served(p, 0);
  check_heard(p, talker);
  assert_string_equal(talker->side.version, versions[v].name);
  assert_string_equal(talker->side.server_name, "localhost");
  assert_string_equal(talker->side.protocol, "http/1.1");
  child_tell_end(p->child);
  assert_int_equal(child_wait(p->child), 0);
  talker_wait_close(talker);
  assert_string_equal(talker->side.log, "secure end close");
  program_free(p);
}

static void gnutls_cli_exchanges(void **state) {
  (void)state;
  NEED("gnutls-cli");
  EACH_KEY(k) EACH_VERSION(v) client_exchange(keys[k], v);
}

/* C01, C02 */
static void ends_of_either_side(void **state) {
  (void)state;
  NEED("gnutls-cli");
  EACH_VERSION(v) for (int killed = 0; killed < 2; killed++) {
    program_t *p = serve(here("ec"), NO_OPTIONS);
    start_client(p, v, NULL, CHILD_ARGS("--no-ocsp"));
    child_tell(p->child, "ping\n", 5);
    assert_non_null(program_output(p, "ping\n", 5, 5));
    talker_t *talker = program_served(p, 0);
    if (killed) {
      child_kill(p->child, SIGKILL);
    } else {
      sp_stream_end(talker->actor->stream);
      assert_true(child_wait_for(p->child, "Peer has closed the GnuTLS connection"));
      assert_int_equal(child_wait(p->child), 0);
    }
    talker_wait_close(talker);
    assert_int_equal(talker->side.error.status, 0);
    if (killed)
      assert_string_equal(talker->side.log, "secure end(SP_ETRUNCATED) close");
    program_free(p);
  }
}

/* `store` may be NULL: then by tickets. */
static void resume_with(sp_store_t *store) {
  EACH_VERSION(v) {
    program_t *p = serve(here("ec"), SP_OPTIONS(.store = store));
    start_client(p, v, NULL, CHILD_ARGS("--resume"));
    talker_t *second = program_served(p, 1);
    assert_true(child_wait_for(p->child, "This is a resumed session"));
    child_tell(p->child, "ping\n", 5);
    assert_non_null(program_output(p, "ping\n", 5, 5));
    child_tell_end(p->child);
    assert_int_equal(child_wait(p->child), 0);
    talker_wait_close(second);
    assert_int_equal(p->count, 2);
    assert_false(p->talks[0].side.resumed);
    assert_true(second->side.resumed);
    assert_string_equal(second->side.version, versions[v].name);
    program_free(p);
  }
}

static void gnutls_cli_resumes(void **state) {
  (void)state;
  NEED("gnutls-cli");
  resume_with(NULL);
}

static void gnutls_cli_resumes_from_a_store(void **state) {
  (void)state;
  NEED("gnutls-cli");
  sp_store_t *store;
  assert_int_equal(sp_memory_store_new(&store, 1 << 20, NULL), 0);
  resume_with(store);
  sp_store_release(store);
}

static void gnutls_cli_shows_a_certificate(void **state) {
  (void)state;
  NEED("gnutls-cli");
  const char *root[] = {pki_default()->root->cert_pem, NULL};
  EACH_KEY(k) EACH_VERSION(v) {
    const pki_t *client = caller(keys[k]);
    program_t *p = serve(
        here("ec"), SP_OPTIONS(.ca = root, .request_cert = SP_YES, .reject_unauthorized = SP_YES));
    start_client(p, v, "/dev/null",
                 CHILD_ARGS("--x509certfile", pki_file(client->cert_pem), "--x509keyfile",
                            pki_file(client->key_pem)));
    child_tell(p->child, "ping\n", 5);
    assert_non_null(program_output(p, "ping\n", 5, 5));
    talker_t *talker = program_served(p, 0);
    assert_true(talker->side.authorized);
    assert_string_equal(talker->side.peer, "CN=a client");
    program_free(p);
  }
}

static void gnutls_cli_without_a_certificate_is_refused(void **state) {
  (void)state;
  NEED("gnutls-cli");
  static const char *const alerts[] = {"Handshake failed", "Certificate is required"};
  const char *root[] = {pki_default()->root->cert_pem, NULL};
  EACH_VERSION(v) {
    program_t *p = serve(
        here("ec"), SP_OPTIONS(.ca = root, .request_cert = SP_YES, .reject_unauthorized = SP_YES));
    start_client(p, v, NULL, CHILD_ARGS("--no-ocsp"));
    assert_int_not_equal(child_wait(p->child), 0);
    if (!child_said(p->child, alerts[v]))
      fail_msg("gnutls-cli: %s", child_err(p->child));
    talker_t *talker = program_served(p, 0);
    talker_wait_close(talker);
    assert_string_equal(talker->side.log, "secure(SP_EUNAUTHORIZED) close");
    program_free(p);
  }
}

/* It refuses us inside the handshake, and says why. */
static void gnutls_cli_refuses_strangers(void **state) {
  (void)state;
  NEED("gnutls-cli");
  EACH_VERSION(v) {
    program_t *p = serve(pki_default()->stranger, NO_OPTIONS);
    start_client(p, v, NULL, CHILD_ARGS("--no-ocsp"));
    assert_int_not_equal(child_wait(p->child), 0);
    talker_t *talker = program_served(p, 0);
    talker_wait_close(talker);
    assert_int_equal(talker->side.error.status, SP_EALERT);
    assert_int_equal(talker->side.error.who, SP_PEER);
    program_free(p);
  }
}

/* -- gnutls-serv ------------------------------------------------------------------------------- */

static talker_t *call_server(program_t *p, size_t v, const pki_t *pki, const char *const *more,
                             const sp_options_t *options) {
  const char *args[ARGS_MAX] = {"gnutls-serv",
                                "-p",
                                "0",
                                "--x509certfile",
                                pki_file(pki->cert_pem),
                                "--x509keyfile",
                                pki_file(pki->key_pem),
                                "--priority",
                                versions[v].priority};
  size_t n = 9;
  for (; *more; more++)
    args[n++] = *more;
  p->child = child_start(&p->f->loop, args);
  assert_non_null(p->child);
  const char *root[] = {pki_default()->root->cert_pem, NULL};
  sp_options_t copy = *options;
  copy.ca = root;
  copy.server_name = "localhost";
  copy.port = program_port(p);
  if (!copy.port)
    fail_msg("gnutls-serv: %s", child_err(p->child));
  return program_connect(p, &copy);
}

static void server_exchange(const char *key, size_t v) {
  print_message("gnutls-serv, %s, %s\n", key, versions[v].name);
  const uint8_t *bytes = program_bytes(0, PROGRAM_BYTES);
  program_t *p = program_new();
  talker_t *talker = call_server(p, v, here(key), CHILD_ARGS("--echo", "--crlf", "--alpn=h2"),
                                 SP_OPTIONS(.alpn = SP_LIST("http/1.1", "h2")));
  assert_true(sp_stream_send(talker->actor->stream, bytes, PROGRAM_BYTES) >= 0);
  if (!talker_wait(talker, p->child, PROGRAM_BYTES))
    fail_msg("gnutls-serv: %s", child_err(p->child));
  assert_int_equal(talker->got_size, PROGRAM_BYTES);
  assert_memory_equal(talker->got, bytes, PROGRAM_BYTES);
  assert_string_equal(talker->side.version, versions[v].name);
  assert_string_equal(talker->side.protocol, "h2");
  assert_true(talker->side.authorized);
  sp_stream_end(talker->actor->stream);
  talker_wait_close(talker);
  assert_int_equal(talker->side.error.status, 0);
  program_free(p);
}

static void gnutls_serv_exchanges_1_mb(void **state) {
  (void)state;
  NEED("gnutls-serv");
  EACH_KEY(k) EACH_VERSION(v) server_exchange(keys[k], v);
}

/* C01, C02: it ends as a web server does, or is killed. */
static void gnutls_serv_ends_or_is_killed(void **state) {
  (void)state;
  NEED("gnutls-serv");
  EACH_VERSION(v) for (int killed = 0; killed < 2; killed++) {
    program_t *p = program_new();
    talker_t *talker =
        call_server(p, v, here("ec"), CHILD_ARGS(killed ? "--echo" : "--http"), NO_OPTIONS);
    const char *words = killed ? "ping\n" : "GET / HTTP/1.0\r\n\r\n";
    assert_true(sp_stream_send(talker->actor->stream, words, strlen(words)) >= 0);
    assert_true(talker_wait(talker, p->child, 5));
    if (killed)
      child_kill(p->child, SIGKILL);
    talker_wait_close(talker);
    assert_string_equal(talker->side.log,
                        killed ? "secure data end(SP_ETRUNCATED) close" : "secure data end close");
    program_free(p);
  }
}

static void gnutls_serv_asks_for_a_certificate(void **state) {
  (void)state;
  NEED("gnutls-serv");
  EACH_KEY(k) EACH_VERSION(v) {
    const pki_t *client = caller(keys[k]);
    program_t *p = program_new();
    talker_t *talker = call_server(p, v, here("ec"),
                                   CHILD_ARGS("--echo", "--require-client-cert",
                                              "--verify-client-cert", "--x509cafile", root_file()),
                                   SP_OPTIONS(.key = client->key_pem, .cert = client->cert_pem));
    assert_true(sp_stream_send(talker->actor->stream, "ping\n", 5) >= 0);
    assert_true(talker_wait(talker, p->child, 5));
    assert_true(child_wait_for(p->child, "CN=a client"));
    program_free(p);
  }
}

/* K13, as GnuTLS does it. */
static void gnutls_serv_requires_a_certificate(void **state) {
  (void)state;
  NEED("gnutls-serv");
  static const char *const logs[] = {"secure(SP_EALERT) close", "secure error(SP_EALERT) close"};
  EACH_VERSION(v) {
    program_t *p = program_new();
    talker_t *talker = call_server(p, v, here("ec"),
                                   CHILD_ARGS("--echo", "--require-client-cert",
                                              "--verify-client-cert", "--x509cafile", root_file()),
                                   NO_OPTIONS);
    talker_wait_close(talker);
    assert_string_equal(talker->side.log, logs[v]);
    print_message("%s\n", talker->side.error.text);
    program_free(p);
  }
}

static void gnutls_serv_of_strangers_is_refused(void **state) {
  (void)state;
  NEED("gnutls-serv");
  EACH_VERSION(v) {
    program_t *p = program_new();
    talker_t *talker = call_server(p, v, pki_default()->stranger, CHILD_ARGS("--echo"), NO_OPTIONS);
    talker_wait_close(talker);
    assert_string_equal(talker->side.log, "secure(SP_EUNAUTHORIZED) close");
    assert_string_equal(talker->side.reason, "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    program_free(p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gnutls_cli_exchanges),
      cmocka_unit_test(ends_of_either_side),
      cmocka_unit_test(gnutls_cli_resumes),
      cmocka_unit_test(gnutls_cli_resumes_from_a_store),
      cmocka_unit_test(gnutls_cli_shows_a_certificate),
      cmocka_unit_test(gnutls_cli_without_a_certificate_is_refused),
      cmocka_unit_test(gnutls_cli_refuses_strangers),
      cmocka_unit_test(gnutls_serv_exchanges_1_mb),
      cmocka_unit_test(gnutls_serv_ends_or_is_killed),
      cmocka_unit_test(gnutls_serv_asks_for_a_certificate),
      cmocka_unit_test(gnutls_serv_requires_a_certificate),
      cmocka_unit_test(gnutls_serv_of_strangers_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
