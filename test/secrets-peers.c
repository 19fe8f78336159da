/* Keys and secrets with the programs of others: private keys that are elsewhere, parameters of
 * Diffie-Hellman, key logs that say the same on both sides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <securepair.h>

#include "support/contexts.h"
#include "support/program.h"
#include "support/signing.h"

/* -- a key that is elsewhere ------------------------------------------------------------------- */

/* What waits to be signed, and by which key; one at a time. */
static struct {
  const pki_t *pki;
  sp_pair_t *pair;
  uint16_t scheme;
  uint8_t message[16384];
  size_t n;
  int asked;
} now;

static int on_sign(sp_pair_t *pair, uint16_t scheme, const uint8_t *message, size_t n, void *data) {
  (void)data;
  if (n > sizeof now.message)
    return SP_EREFUSED;
  now.asked++;
  now.pair = pair;
  now.scheme = scheme;
  now.n = n;
  memcpy(now.message, message, n);
  return SP_PENDING;
}

static void on_time(uv_timer_t *timer) {
  uint8_t signature[1024];
  sp_pair_t *pair = now.pair;
  (void)timer;
  if (!pair)
    return;
  now.pair = NULL;
  size_t n =
      signing_sign(now.pki->key, now.scheme, now.message, now.n, signature, sizeof signature);
  assert_int_equal(sp_pair_sign_with(pair, signature, n), 0);
  assert_int_equal(sp_pair_resume(pair, 0), 0);
}

static uv_timer_t timer;

/* A program with a loop on which what waits is signed. */
static program_t *program_that_signs(const pki_t *pki) {
  program_t *p = program_new();
  memset(&now, 0, sizeof now);
  now.pki = pki;
  uv_timer_init(&p->f->loop, &timer);
  uv_timer_start(&timer, on_time, 1, 1);
  uv_unref((uv_handle_t *)&timer);
  return p;
}

static void end(program_t *p) {
  uv_close((uv_handle_t *)&timer, NULL);
  program_free(p);
}

static const char *const kinds[] = {"ec", "rsa", "ed25519"};
#define EACH_KEY(k) for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)

static const pki_t *key_of(size_t k) {
  static const pki_t *made[sizeof kinds / sizeof *kinds];
  if (!made[k])
    made[k] = PKI_MAKE(pki_default()->root, .cn = "localhost", .dns = PKI_LIST("localhost"),
                       .key = kinds[k]);
  return made[k];
}

/* Serves with a key that is elsewhere, to a client that says "ping" and hears it again. */
static void serve_with(size_t k, const char *const *args, size_t port_at) {
  const pki_t *pki = key_of(k);
  program_t *p = program_that_signs(pki);
  const char *copy[16];
  char address[32];
  program_serve(p, SP_OPTIONS(.cert = pki->cert_pem, .hooks.sign = on_sign));
  (void)snprintf(address, sizeof address, "127.0.0.1:%d", p->f->port);
  for (size_t i = 0; i < 16 && (!i || copy[i - 1]); i++)
    copy[i] = args[i];
  copy[port_at] = strcmp(args[0], "openssl") ? strchr(address, ':') + 1 : address;
  p->child = child_start(&p->f->loop, copy);
  child_tell(p->child, "ping\n", 5);
  if (!child_wait_for(p->child, "ping\n"))
    fail_msg("%s: %s", kinds[k], child_err(p->child));
  assert_int_equal(now.asked, 1);
  child_tell_end(p->child);
  (void)child_wait(p->child);
  talker_wait_close(program_served(p, 0));
  end(p);
}

static void clients_of_a_key_elsewhere(void **state) {
  (void)state;
  PROGRAM_NEEDED("openssl");
  EACH_PROGRAM_VERSION(v)
  EACH_KEY(k)
  serve_with(k,
             CHILD_ARGS("openssl", "s_client", "-connect", "", program_versions[v].flag, "-CAfile",
                        program_root(), "-verify_return_error", "-verify_hostname", "localhost"),
             3);
}

static void gnutls_cli_of_a_key_elsewhere(void **state) {
  (void)state;
  PROGRAM_NEEDED("gnutls-cli");
  EACH_PROGRAM_VERSION(v)
  EACH_KEY(k)
  serve_with(k,
             CHILD_ARGS("gnutls-cli", "--port", "", "--priority", program_versions[v].priority,
                        "--x509cafile", program_root(), "--verify-hostname", "localhost",
                        "127.0.0.1"),
             2);
}

/* Our certificate as a client's, whose key is elsewhere. */
static void s_server_asks_who_has_a_key_elsewhere(void **state) {
  (void)state;
  PROGRAM_NEEDED("openssl");
  const pki_t *server = pki_default()->server;
  EACH_PROGRAM_VERSION(v)
  EACH_KEY(k) {
    const pki_t *pki = key_of(k);
    const char *root[] = {pki_default()->root->cert_pem, NULL};
    program_t *p = program_that_signs(pki);
    p->child = child_start(
        &p->f->loop, CHILD_ARGS("openssl", "s_server", "-accept", "127.0.0.1:0", "-key",
                                pki_file(server->key_pem), "-cert", pki_file(server->cert_pem),
                                "-CAfile", program_root(), "-Verify", "3", "-verify_return_error",
                                "-rev", program_versions[v].flag));
    int port = program_port(p);
    if (!port)
      fail_msg("%s", child_err(p->child));
    talker_t *talker = program_connect(
        p, SP_OPTIONS(.host = "127.0.0.1", .port = port, .ca = root, .server_name = "localhost",
                      .cert = pki->cert_pem, .max_version = program_versions[v].version,
                      .hooks.sign = on_sign));
    sp_stream_send(talker->actor->stream, "olleh\n", 6);
    if (!talker_wait(talker, p->child, 6))
      fail_msg("%s: %s", kinds[k], child_err(p->child));
    assert_memory_equal(talker->got, "hello\n", 6);
    assert_int_equal(now.asked, 1);
    sp_stream_end(talker->actor->stream);
    talker_wait_close(talker);
    end(p);
  }
}

/* -- parameters of Diffie-Hellman -------------------------------------------------------------- */

static void s_client_gets_the_parameters(void **state) {
  (void)state;
  PROGRAM_NEEDED("openssl");
  static const struct {
    const char *parameters, *words;
  } given[] = {{"auto", "Server Temp Key: DH, "}, {NULL, "handshake failure"}};
  const pki_t *pki = key_of(1);
  for (size_t i = 0; i < 2; i++) {
    char address[32];
    program_t *p = program_new();
    program_serve(p,
                  SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem,
                             .ciphers = "DHE+AESGCM:ECDHE+AESGCM", .dhparam = given[i].parameters));
    (void)snprintf(address, sizeof address, "127.0.0.1:%d", p->f->port);
    p->child =
        child_start(&p->f->loop, CHILD_ARGS("openssl", "s_client", "-connect", address, "-tls1_2",
                                            "-cipher", "DHE-RSA-AES128-GCM-SHA256"));
    if (!child_wait_for(p->child, given[i].words))
      fail_msg("%s", child_err(p->child));
    child_tell_end(p->child);
    (void)child_wait(p->child);
    talker_wait_close(program_served(p, 0));
    program_free(p);
  }
}

/* -- key logs ---------------------------------------------------------------------------------- */

static char lines[32][400];
static size_t line_count;

static void on_keylog(sp_pair_t *pair, const char *line, void *data) {
  (void)pair, (void)data;
  assert_true(line_count < 32);
  (void)snprintf(lines[line_count++], sizeof *lines, "%s", line);
}

static char *read_file(const char *path) {
  static char text[16384];
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  text[fread(text, 1, sizeof text - 1, file)] = '\0';
  assert_int_equal(fclose(file), 0);
  return text;
}

static void s_client_logs_the_same_secrets(void **state) {
  (void)state;
  PROGRAM_NEEDED("openssl");
  const pki_t *pki = pki_default()->server;
  EACH_PROGRAM_VERSION(v) {
    char address[32], path[400];
    program_t *p = program_new();
    (void)snprintf(path, sizeof path, "%s", pki_file(""));
    line_count = 0;
    program_serve(
        p, SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem, .hooks.keylog = on_keylog));
    (void)snprintf(address, sizeof address, "127.0.0.1:%d", p->f->port);
    p->child = child_start(&p->f->loop, CHILD_ARGS("openssl", "s_client", "-connect", address,
                                                   program_versions[v].flag, "-keylogfile", path));
    child_tell(p->child, "ping\n", 5);
    assert_true(child_wait_for(p->child, "ping\n"));
    child_tell_end(p->child);
    (void)child_wait(p->child);
    talker_wait_close(program_served(p, 0));
    const char *text = read_file(path);
    assert_in_range(line_count, v ? 5 : 1, v ? 6 : 1);
    for (size_t i = 0; i < line_count; i++)
      if (!strstr(text, lines[i]))
        fail_msg("s_client's log lacks \"%.40s...\"", lines[i]);
    program_free(p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(clients_of_a_key_elsewhere),
      cmocka_unit_test(gnutls_cli_of_a_key_elsewhere),
      cmocka_unit_test(s_server_asks_who_has_a_key_elsewhere),
      cmocka_unit_test(s_client_gets_the_parameters),
      cmocka_unit_test(s_client_logs_the_same_secrets),
  };
  return cmocka_run_group_tests_name("secrets-peers", tests, NULL, NULL);
}
