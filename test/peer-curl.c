/* curl gets pages from a small web server of ours, and sends it some. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <securepair.h>

#include "support/child.h"
#include "support/fixture.h"
#include "support/meeting.h"
#include "support/pki.h"
#include "support/program.h"

#define NEED_CURL()                                                                                \
  do {                                                                                             \
    if (!child_exists("curl")) {                                                                   \
      print_message("curl is not here\n");                                                         \
      skip();                                                                                      \
    }                                                                                              \
  } while (0)

static const char *const keys[] = {"ec", "rsa", "ed25519"};
static const struct {
  const char *min, *max, *name;
} versions[] = {{"--tlsv1.2", "1.2", "TLSv1.2"}, {"--tlsv1.3", "1.3", "TLSv1.3"}};

/* -- a web server that echoes the body of one request ------------------------------------------ */

typedef struct page {
  fixture_t *f;
  child_t *curl;
  bool has_length; /* the answer says so; else it ends with close_notify */
  uint8_t *request;
  size_t request_size;
  meeting_side_t side;
} page_t;

static void answer(page_t *page, actor_t *actor, const uint8_t *body, size_t n) {
  char head[128], length[64] = "";
  if (page->has_length)
    (void)snprintf(length, sizeof length, "Content-Length: %zu\r\n", n);
  int size = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nConnection: close\r\n%s\r\n", length);
  assert_true(sp_stream_send(actor->stream, head, (size_t)size) >= 0);
  assert_true(sp_stream_send(actor->stream, body, n) >= 0);
  sp_stream_end(actor->stream);
}

/* Takes the request until it is complete. */
static void hear(page_t *page, actor_t *actor) {
  page->request = realloc(page->request, page->request_size + actor->n + 1);
  assert_non_null(page->request);
  memcpy(page->request + page->request_size, actor->bytes, actor->n);
  page->request_size += actor->n;
  page->request[page->request_size] = '\0';
  const uint8_t *body = memmem(page->request, page->request_size, "\r\n\r\n", 4);
  if (!body)
    return;
  body += 4;
  size_t n = (size_t)(page->request + page->request_size - body), length = 0;
  const char *field = strcasestr((const char *)page->request, "\r\nContent-Length:");
  if (field)
    length = strtoul(field + strlen("\r\nContent-Length:"), NULL, 10);
  if (n == length)
    answer(page, actor, length ? body : (const uint8_t *)"a page\n", length ? length : 7);
}

static void react(actor_t *actor, fixture_event_t event, int status) {
  page_t *page = actor->fixture->data;
  if (event == ON_SECURE) {
    meeting_note(&page->side, actor->stream);
    page->side.status = status;
  } else if (event == ON_DATA) {
    hear(page, actor);
  } else if (event == ON_CLOSE) {
    page->side.error = actor->error;
    assert_true(strlen(actor->log) < sizeof page->side.log);
    memcpy(page->side.log, actor->log, strlen(actor->log));
  }
}

static void serve(page_t *page, const pki_t *pki, const sp_options_t *options) {
  sp_options_t copy = *options;
  copy.key = pki->key_pem;
  copy.cert = pki->cert_pem;
  page->f = fixture_new();
  page->f->data = page;
  page->f->react = react;
  fixture_serve(page->f, &copy);
}

/* -- curl -------------------------------------------------------------------------------------- */

#define ARGS_MAX 32

/* Its exit status. */
static int run_curl(page_t *page, size_t v, const char *const *more) {
  char url[64], place[64];
  (void)snprintf(url, sizeof url, "https://localhost:%d/", page->f->port);
  (void)snprintf(place, sizeof place, "localhost:%d:127.0.0.1", page->f->port);
  const char *args[ARGS_MAX] = {"curl",
                                "--silent",
                                "--show-error",
                                "--noproxy",
                                "*",
                                "--resolve",
                                place,
                                "--cacert",
                                pki_file(pki_default()->root->cert_pem),
                                versions[v].min,
                                "--tls-max",
                                versions[v].max,
                                url};
  size_t n = 13;
  for (; *more; more++)
    args[n++] = *more;
  page->curl = child_start(&page->f->loop, args);
  assert_non_null(page->curl);
  child_tell_end(page->curl);
  return child_wait(page->curl);
}

static void done(page_t *page) {
  child_free(page->curl);
  fixture_run(page->f);
  fixture_free(page->f);
  free(page->request);
}

static const pki_t *here(const char *key) {
  return PKI_MAKE(pki_default()->root, .cn = "localhost", .dns = PKI_LIST("localhost"), .key = key);
}

#define EACH_VERSION(v) for (size_t v = 0; v < sizeof versions / sizeof *versions; v++)

static void curl_gets_a_page(void **state) {
  (void)state;
  NEED_CURL();
  for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
    EACH_VERSION(v) for (int length = 0; length < 2; length++) {
      page_t page = {.has_length = length};
      serve(&page, here(keys[k]), SP_OPTIONS(.alpn = SP_LIST("http/1.1")));
      int status = run_curl(&page, v, CHILD_ARGS("--http1.1"));
      if (status)
        fail_msg("curl: %s", child_err(page.curl));
      assert_string_equal(child_out(page.curl, NULL), "a page\n");
      assert_string_equal(page.side.version, versions[v].name);
      assert_string_equal(page.side.server_name, "localhost");
      assert_string_equal(page.side.protocol, "http/1.1");
      done(&page);
      assert_int_equal(page.side.error.status, 0);
    }
}

static void curl_sends_and_gets_1_mb(void **state) {
  (void)state;
  NEED_CURL();
  char body[4200];
  const uint8_t *bytes = program_bytes(0, PROGRAM_BYTES);
  (void)snprintf(body, sizeof body, "@%s", pki_file_bytes(bytes, PROGRAM_BYTES));
  for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
    EACH_VERSION(v) {
      page_t page = {.has_length = true};
      serve(&page, here(keys[k]), SP_OPTIONS(.port = 0));
      /* without Expect: 100-continue, which asks for an answer before the body */
      int status =
          run_curl(&page, v, CHILD_ARGS("--http1.1", "--data-binary", body, "-H", "Expect:"));
      if (status)
        fail_msg("curl: %s", child_err(page.curl));
      size_t n;
      const char *out = child_out(page.curl, &n);
      assert_int_equal(n, PROGRAM_BYTES);
      assert_memory_equal(out, bytes, PROGRAM_BYTES);
      done(&page);
    }
}

/* 60: CURLE_PEER_FAILED_VERIFICATION. Our side hears why. */
static void curl_refuses_strangers(void **state) {
  (void)state;
  NEED_CURL();
  EACH_VERSION(v) {
    page_t page = {.has_length = true};
    serve(&page, pki_default()->stranger, SP_OPTIONS(.port = 0));
    assert_int_equal(run_curl(&page, v, CHILD_ARGS("--http1.1")), 60);
    done(&page);
    assert_string_equal(page.side.log, "secure(SP_EALERT) close");
    assert_string_equal(sp_alert_name(page.side.error.alert), "unknown_ca");
  }
}

static void curl_shows_a_certificate(void **state) {
  (void)state;
  NEED_CURL();
  const pki_set_t *s = pki_default();
  const char *root[] = {s->root->cert_pem, NULL};
  const sp_options_t *options =
      SP_OPTIONS(.ca = root, .request_cert = SP_YES, .reject_unauthorized = SP_YES);
  EACH_VERSION(v) {
    page_t page = {.has_length = true};
    serve(&page, here("ec"), options);
    const char *const *shown = CHILD_ARGS("--http1.1", "--cert", pki_file(s->client->cert_pem),
                                          "--key", pki_file(s->client->key_pem));
    assert_int_equal(run_curl(&page, v, shown), 0);
    assert_string_equal(child_out(page.curl, NULL), "a page\n");
    assert_true(page.side.authorized);
    assert_string_equal(page.side.peer, "CN=client");
    done(&page);
    page = (page_t){.has_length = true};
    serve(&page, here("ec"), options);
    assert_int_not_equal(run_curl(&page, v, CHILD_ARGS("--http1.1")), 0);
    assert_true(child_said(page.curl, v ? "certificate required" : "handshake failure"));
    done(&page);
    assert_int_equal(page.side.status, SP_EUNAUTHORIZED);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(curl_gets_a_page),
      cmocka_unit_test(curl_sends_and_gets_1_mb),
      cmocka_unit_test(curl_refuses_strangers),
      cmocka_unit_test(curl_shows_a_certificate),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
