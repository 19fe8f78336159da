/*
 * Programs of others meet a server that decides by their first message: a hook that chooses a
 * context, refuses or waits; protocols; and of two certificates the one that they can check.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/contexts.h"
#include "support/program.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* -- the programs ------------------------------------------------------------------------------ */

typedef struct peer_program {
  const char *name;
  const char *versions[2]; /* how it is told to speak TLS 1.2, 1.3 */
} peer_program_t;

static const peer_program_t programs[] = {
    {"openssl", {"-tls1_2", "-tls1_3"}},
    {"gnutls-cli", {"NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"}},
};

/* Arguments of either program: protocols in its form, NULL for none; `more` is added at its end. */
static void start(program_t *p, size_t which, const char *version, const char *protocols,
                  const char *const *more) {
  static char address[32], port[16], alpn[64];
  const char *args[24];
  size_t n = 0;
  (void)snprintf(address, sizeof address, "127.0.0.1:%d", p->f->port);
  (void)snprintf(port, sizeof port, "%d", p->f->port);
  (void)snprintf(alpn, sizeof alpn, "--alpn=%s", protocols ? protocols : "");
  const char *const of_openssl[] = {"openssl", "s_client",    "-connect",  address,
                                    version,   "-servername", "localhost", NULL};
  const char *const of_gnutls[] = {"gnutls-cli", "--insecure", "--sni-hostname=localhost",
                                   "--priority", version,      "-p",
                                   port,         "127.0.0.1",  NULL};
  for (const char *const *one = which ? of_gnutls : of_openssl; *one; one++)
    args[n++] = *one;
  if (protocols && !which)
    args[n++] = "-alpn";
  if (protocols)
    args[n++] = which ? alpn : protocols;
  for (; more && *more; more++)
    args[n++] = *more;
  args[n] = NULL;
  p->child = child_start(&p->f->loop, args);
  assert_non_null(p->child);
}

/* What became of the server's side; the child has ended and said what it says. */
static meeting_side_t finish(program_t *p) {
  talker_t *talker = program_served(p, 0);
  child_tell_end(p->child);
  (void)child_wait(p->child);
  talker_wait_close(talker);
  meeting_side_t side = talker->side;
  return side;
}

static void forget(program_t *p) {
  child_free(p->child);
  p->child = NULL;
  for (size_t i = 0; i < p->count; i++)
    free(p->talks[i].got);
  memset(p->talks, 0, sizeof p->talks);
  p->count = 0;
}

static void expect_said(const program_t *p, const char *words) {
  if (!child_said(p->child, words))
    fail_msg("\"%s\" is not in: %s%s", words, child_out(p->child, NULL), child_err(p->child));
}

#define EACH_PROGRAM(which, version)                                                               \
  for (size_t which = 0; which < COUNT(programs); which++)                                         \
    for (int version = 0; version < 2 && child_exists(programs[which].name); version++)

/* -- the hook ---------------------------------------------------------------------------------- */

enum { CHOOSE = 1, REFUSE = 2, WAIT = 4, REFUSE_LATER = 8 };

static struct {
  int what;
  sp_context_t *other;
  sp_pair_t *pair;
  uv_timer_t timer;
  char fingerprint[SP_FINGERPRINT_SIZE];
} hook;

static void on_time(uv_timer_t *timer) {
  (void)timer;
  if (hook.what & CHOOSE)
    assert_int_equal(sp_pair_use_context(hook.pair, hook.other), 0);
  if (hook.what & REFUSE_LATER)
    sp_pair_refuse(hook.pair, 49);
  assert_int_equal(sp_pair_resume(hook.pair, hook.what & REFUSE_LATER ? SP_EREFUSED : 0), 0);
}

static int on_hello(sp_pair_t *pair, const sp_client_hello_t *hello, void *data) {
  (void)data;
  assert_int_equal(hello->server_name_size, 9);
  assert_true(hello->extension_count > 4 && hello->sigalgs_size && hello->groups_size);
  assert_int_equal(sp_pair_fingerprint(pair, hook.fingerprint, sizeof hook.fingerprint), 0);
  if (hook.what & WAIT) {
    hook.pair = pair;
    uv_timer_start(&hook.timer, on_time, 1, 0);
    return SP_PENDING;
  }
  if (hook.what & CHOOSE)
    assert_int_equal(sp_pair_use_context(pair, hook.other), 0);
  if (!(hook.what & REFUSE))
    return 0;
  sp_pair_refuse(pair, 49);
  return SP_EREFUSED;
}

static void a_hook_chooses_refuses_or_waits(void **state) {
  (void)state;
  static const int ways[] = {0, CHOOSE, REFUSE, WAIT, WAIT | CHOOSE, WAIT | REFUSE_LATER};
  const pki_set_t *s = pki_default();
  const pki_t *other = PKI_MAKE(s->root, .cn = "the other one");
  hook.other = context_made(SP_OPTIONS(.key = other->key_pem, .cert = other->cert_pem));
  program_t *p = program_new();
  program_serve(p, SP_OPTIONS(.key = s->server->key_pem, .cert = s->server->cert_pem,
                              .hooks.client_hello = on_hello));
  uv_timer_init(&p->f->loop, &hook.timer);
  EACH_PROGRAM(which, version) for (size_t i = 0; i < COUNT(ways); i++) {
    hook.what = ways[i];
    *hook.fingerprint = '\0';
    start(p, which, programs[which].versions[version], NULL, NULL);
    meeting_side_t side = finish(p);
    bool refused = ways[i] & (REFUSE | REFUSE_LATER);
    assert_int_equal(side.status, refused ? SP_EREFUSED : 0);
    assert_memory_equal(hook.fingerprint, version ? "t13d" : "t12d", 4);
    if (refused)
      expect_said(p, which ? "[49]" : "alert number 49");
    else if (ways[i] & CHOOSE)
      expect_said(p, which ? "CN=the other one" : "CN = the other one");
    else
      assert_false(child_said(p->child, "the other one"));
    forget(p);
  }
  uv_close((uv_handle_t *)&hook.timer, NULL);
  sp_context_release(hook.other);
  program_free(p);
}

/* -- protocols --------------------------------------------------------------------------------- */

static int on_alpn(sp_pair_t *pair, const uint8_t *protocols, size_t n, void *data) {
  (void)data;
  return memmem(protocols, n, "\5first", 6) ? sp_pair_use_protocol(pair, "second", 6) : 0;
}

static void protocols(void **state) {
  (void)state;
  for (int hooked = 0; hooked < 2; hooked++) {
    const pki_t *pki = pki_default()->server;
    sp_options_t options =
        *SP_OPTIONS(.key = pki->key_pem, .cert = pki->cert_pem, .alpn = SP_LIST("h2", "http/1.1"));
    if (hooked)
      options.hooks.alpn = on_alpn;
    program_t *p = program_new();
    program_serve(p, &options);
    EACH_PROGRAM(which, version) {
      static const struct {
        const char *offered[2], *chosen[2]; /* by the list, by the hook; NULL: refused */
      } cases[] = {
          {{"http/1.1", "http/1.1"}, {"http/1.1", "http/1.1"}},
          {{"first,second", NULL}, {NULL, "second"}},
          {{"other", "other"}, {NULL, NULL}},
          {{NULL, NULL}, {"", ""}},
      };
      for (size_t i = 0; i < COUNT(cases); i++) {
        const char *offered = cases[i].offered[0], *chosen = cases[i].chosen[hooked];
        if (which && offered && strchr(offered, ',')) /* gnutls-cli takes one at a time */
          continue;
        start(p, which, programs[which].versions[version], offered, NULL);
        meeting_side_t side = finish(p);
        assert_int_equal(side.status, chosen ? 0 : SP_EPROTOCOL);
        if (chosen)
          assert_string_equal(side.protocol, chosen);
        else
          expect_said(p, which ? "[120]" : "alert number 120");
        if (chosen && *chosen && !which)
          expect_said(p, chosen);
        forget(p);
      }
    }
    program_free(p);
  }
}

/* -- certificates ------------------------------------------------------------------------------ */

/* Who can check only one kind of signature is shown the certificate of that kind. */
static void a_certificate_for_everybody(void **state) {
  (void)state;
  const pki_set_t *s = pki_default();
  const pki_t *ec = PKI_MAKE(s->root, .cn = "with ec", .key = "ec");
  const pki_t *rsa = PKI_MAKE(s->root, .cn = "with rsa", .key = "rsa");
  const pki_t *ed = PKI_MAKE(s->root, .cn = "with ed25519", .key = "ed25519");
  const sp_identity_t more[] = {{.key = rsa->key_pem, .cert = rsa->cert_pem},
                                {.key = ed->key_pem, .cert = ed->cert_pem}};
  static const struct {
    const char *cn, *sigalgs, *priority;
  } kinds[] = {
      {"with ec", "ECDSA+SHA256", "-SIGN-ALL:+SIGN-ECDSA-SHA256:+SIGN-ECDSA-SECP256R1-SHA256"},
      {"with rsa", "RSA-PSS+SHA256", "-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA256"},
      {"with ed25519", "ed25519", "-SIGN-ALL:+SIGN-EDDSA-ED25519"},
  };
  program_t *p = program_new();
  program_serve(p, SP_OPTIONS(.key = ec->key_pem, .cert = ec->cert_pem, .identities = more,
                              .identity_count = 2));
  EACH_PROGRAM(which, version) for (size_t i = 0; i < COUNT(kinds); i++) {
    char priority[128], words[64];
    (void)snprintf(priority, sizeof priority, "%s:%s", programs[which].versions[version],
                   kinds[i].priority);
    (void)snprintf(words, sizeof words, which ? "CN=%s" : "CN = %s", kinds[i].cn);
    if (which)
      start(p, which, priority, NULL, NULL);
    else
      start(p, which, programs[which].versions[version], NULL,
            CHILD_ARGS("-sigalgs", kinds[i].sigalgs));
    meeting_side_t side = finish(p);
    if (side.status)
      fail_msg("%s, %s: %s", programs[which].name, kinds[i].cn, side.error.text);
    expect_said(p, words);
    forget(p);
  }
  program_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_hook_chooses_refuses_or_waits),
      cmocka_unit_test(protocols),
      cmocka_unit_test(a_certificate_for_everybody),
  };
  return cmocka_run_group_tests_name("hello-peers", tests, NULL, NULL);
}
