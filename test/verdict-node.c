/* The reasons that verdict.c expects are the ones that Node gives: the same table, judged by Node's
 * own tls in both roles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/cases.h"
#include "support/child.h"

/* Reads {"good": {key, cert}, "cases": [{id, judge, key, cert, ca, crl, host}, ...]} and says
 * "id reason" for each. */
static const char script[] =
    "const tls = require('tls');\n"
    "const { good, cases } = JSON.parse(require('fs').readFileSync(0, 'utf8'));\n"
    "function judge(c) {\n"
    "  const judging = { ca: c.ca, crl: c.crl };\n"
    "  const shown = { key: c.key, cert: c.cert };\n"
    "  const byClient = c.judge === 'client';\n"
    "  const serve = byClient ? shown\n"
    "    : { ...good, ...judging, requestCert: true, rejectUnauthorized: false };\n"
    "  const call = byClient\n"
    "    ? { ...judging, checkServerIdentity: (_, x) => tls.checkServerIdentity(c.host, x) }\n"
    "    : shown;\n"
    "  return new Promise((done, failed) => {\n"
    "    let verdict;\n"
    "    const note = (s) => { verdict = s.authorized ? 'AUTHORIZED' : s.authorizationError; };\n"
    "    const server = tls.createServer(serve, (s) => {\n"
    "      if (!byClient) note(s);\n"
    "      s.on('error', () => {});\n"
    "      s.end('x');\n"
    "    });\n"
    "    server.on('tlsClientError', failed);\n"
    "    server.listen(0, '127.0.0.1', () => {\n"
    "      const s = tls.connect({ ...call, host: '127.0.0.1', port: server.address().port,\n"
    "        servername: 'localhost', rejectUnauthorized: false }, () => {\n"
    "        if (byClient) note(s);\n"
    "      });\n"
    "      s.on('error', failed).resume().on('close', () => {\n"
    "        server.close(() => done(verdict && (verdict.code || verdict.message || verdict)));\n"
    "      });\n"
    "    });\n"
    "  });\n"
    "}\n"
    "(async () => {\n"
    "  for (const c of cases) console.log(c.id, await judge(c).catch((e) => 'FAILED ' + e));\n"
    "})();\n";

/* -- the question as JSON ---------------------------------------------------------------------- */

static void put_text(FILE *to, const char *text) {
  fputc('"', to);
  for (; *text; text++)
    if (*text == '\n')
      fputs("\\n", to);
    else
      fputc(*text, to);
  fputc('"', to);
}

static void put_field(FILE *to, const char *name, const char *text) {
  if (!text)
    return;
  fprintf(to, "\"%s\":", name);
  put_text(to, text);
  fputc(',', to);
}

static const char *chain_of(const verdict_case_t *c) {
  const char *texts[8] = {c->leaf->cert_pem};
  for (size_t i = 0; c->chain[i]; i++)
    texts[i + 1] = c->chain[i]->cert_pem;
  return pki_join(texts);
}

static void put_case(FILE *to, const verdict_case_t *c, case_trust_t trust, bool by_client,
                     int id) {
  const char *const *ca = verdict_ca(c, trust);
  fprintf(to, "%s{\"id\":%d,\"judge\":\"%s\",", id ? "," : "", id, by_client ? "client" : "server");
  put_field(to, "key", c->leaf ? c->leaf->key_pem : NULL);
  put_field(to, "cert", c->leaf ? chain_of(c) : NULL);
  put_field(to, "crl", c->crl);
  put_field(to, "host", c->host ? c->host : "localhost");
  fputs("\"ca\":[", to);
  if (*ca)
    put_text(to, *ca);
  fputs("]}", to);
}

/* Calls `each` for what is to be judged, in one order. */
typedef void (*each_t)(const verdict_case_t *c, case_trust_t trust, bool by_client, int id,
                       void *data);

static int for_each(each_t each, void *data) {
  int id = 0;
  for (const verdict_case_t *c = verdict_cases(); c->name; c++)
    for (case_trust_t trust = 0; trust < TRUSTS; trust++)
      for (int by_client = 0; by_client < 2; by_client++)
        if (!c->not_in_node &&
            (!c->roles || c->roles & (by_client ? CASE_AS_SERVER : CASE_AS_CLIENT)))
          each(c, trust, by_client, id++, data);
  return id;
}

static void ask(const verdict_case_t *c, case_trust_t trust, bool by_client, int id, void *data) {
  put_case(data, c, trust, by_client, id);
}

static char *question(size_t *n) {
  const pki_set_t *s = pki_default();
  char *text;
  FILE *to = open_memstream(&text, n);
  assert_non_null(to);
  fputs("{\"good\":{", to);
  put_field(to, "key", s->server->key_pem);
  fputs("\"cert\":", to);
  put_text(to, s->server->cert_pem);
  fputs("},\"cases\":[", to);
  for_each(ask, to);
  fputs("]}", to);
  fclose(to);
  return text;
}

/* -- the answer -------------------------------------------------------------------------------- */

typedef struct answers {
  const char *rest; /* lines not read yet */
  int wrong;
} answers_t;

/* What Node has no name for it calls UNSPECIFIED; the C library says more. */
static bool is_unnamed_in_node(const char *reason) {
  return !strcmp(reason, "KEYUSAGE_NO_CERTSIGN") || !strcmp(reason, "PERMITTED_VIOLATION");
}

static void compare(const verdict_case_t *c, case_trust_t trust, bool by_client, int id,
                    void *data) {
  answers_t *answers = data;
  char reason[128];
  int which, n;
  assert_int_equal(sscanf(answers->rest, "%d %127[^\n]\n%n", &which, reason, &n), 2);
  answers->rest += n;
  assert_int_equal(which, id);
  bool by_name = by_client || !c->no_name_for_client || trust != TRUST_OWN;
  const char *expected = by_name && c->reason[trust] ? c->reason[trust] : "AUTHORIZED";
  if (!strcmp(reason, is_unnamed_in_node(expected) ? "UNSPECIFIED" : expected))
    return;
  print_error("%s, trusting %s, judged by a %s: Node says %s, not %s\n", c->name,
              verdict_trusts[trust], by_client ? "client" : "server", reason, expected);
  answers->wrong++;
}

static void reasons_are_those_of_node(void **state) {
  (void)state;
  uv_loop_t loop;
  assert_int_equal(uv_loop_init(&loop), 0);
  child_t *node = child_start(&loop, CHILD_ARGS("node", "-e", script));
  if (!node) {
    uv_loop_close(&loop);
    print_message("node is not here\n");
    skip();
  }
  size_t n;
  char *text = question(&n);
  child_tell(node, text, n);
  child_tell_end(node);
  free(text);
  int status = child_wait(node);
  if (status)
    print_error("%s", child_err(node));
  assert_int_equal(status, 0);
  answers_t answers = {.rest = child_out(node, NULL)};
  assert_true(for_each(compare, &answers) > 200);
  child_free(node);
  assert_int_equal(uv_loop_close(&loop), 0);
  assert_int_equal(answers.wrong, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(reasons_are_those_of_node)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
