/* The parts of `securepair serve --www` that read what strangers wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "www.h"

/* -- requests ---------------------------------------------------------------------------------- */

#define HOST "Host: a\r\n"

typedef struct sample {
  int status;
  const char *head;
} sample_t;

static int read_head(cli_http_request_t *request, const char *text, char **copy) {
  http_parser parser;
  const char *why;
  *copy = strdup(text);
  assert_non_null(*copy);
  assert_int_equal(cli_http_head_size(text, strlen(text)), strlen(text));
  return cli_http_request_read(request, &parser, *copy, strlen(text), &why);
}

static void check_samples(const sample_t *samples, size_t count) {
  for (size_t i = 0; i < count; i++) {
    cli_http_request_t request;
    char *copy;
    int status = read_head(&request, samples[i].head, &copy);
    if (status != samples[i].status)
      fail_msg("%d, not %d, for: %s", status, samples[i].status, samples[i].head);
    free(copy);
  }
}

static void good_requests(void **state) {
  (void)state;
  static const sample_t samples[] = {
      {0, "GET / HTTP/1.1\r\n" HOST "\r\n"},
      {0, "GET / HTTP/1.0\r\n\r\n"},
      {0, "GET / HTTP/1.1\r\nhOST:a\r\n\r\n"},
      {0, "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
      {0, "GET / HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n"},
      {0, "GET http://a.example:80/x HTTP/1.1\r\n" HOST "\r\n"},
      {0, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n"},
      {0, "DELETE /x HTTP/1.1\r\n" HOST "\r\n"},
      {0, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\n"},
      {0, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"},
      {0, "GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"},
  };
  check_samples(samples, sizeof samples / sizeof *samples);
}

/* What two readers might understand in two ways, and what is no HTTP. */
static void refused_requests(void **state) {
  (void)state;
  static const sample_t samples[] = {
      {400, "GET / HTTP/1.1\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n" HOST HOST "\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
      {400, "GET / HTTP/1.1\n" HOST "\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\n\n"},
      {400, "GET / HTTP/1.1\r\n" HOST "X: 1\r\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n" HOST "X: 1\r\n 2\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n" HOST "X Y: 1\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n" HOST "X\"Y: 1\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n" HOST ": 1\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n" HOST "X: \x01\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n" HOST "nonsense\r\n\r\n"},
      {505, "GET /\r\n\r\n"},
      {400, "GET /a b HTTP/1.1\r\n" HOST "\r\n"},
      {400, "GET a HTTP/1.1\r\n" HOST "\r\n"},
      {400, "GET * HTTP/1.1\r\n" HOST "\r\n"},
      {400, "GET /a#b HTTP/1.1\r\n" HOST "\r\n"},
      {400, "GET http:///x HTTP/1.1\r\n" HOST "\r\n"},
      {400, "GET http://u@h/x HTTP/1.1\r\n" HOST "\r\n"},
      {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: -3\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x3\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3 4\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n"},
      {400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {405, "CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n"},
      {413, "POST / HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n"},
      {417, "PUT / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 9\r\n\r\n"},
      {417, "GET / HTTP/1.1\r\n" HOST "Expect: a miracle\r\n\r\n"},
      {501, "BREW / HTTP/1.1\r\n" HOST "\r\n"},
      {501, "get / HTTP/1.1\r\n" HOST "\r\n"},
      {501, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"},
      {501,
       "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {505, "GET / HTTP/2.0\r\n" HOST "\r\n"},
      {505, "GET / HTTP/1.2\r\n" HOST "\r\n"},
  };
  check_samples(samples, sizeof samples / sizeof *samples);
}

static void parts_of_a_request(void **state) {
  (void)state;
  cli_http_request_t request;
  char *copy;
  bool several;
  assert_int_equal(read_head(&request,
                             "HEAD http://a/x?y HTTP/1.1\r\nHost: a\r\nRange:\t bytes=1- \t\r\n"
                             "Empty:\r\nTwice: 1\r\ntwice: 2\r\n\r\n",
                             &copy),
                   0);
  assert_string_equal(request.method, "HEAD");
  assert_string_equal(request.target, "/x?y");
  assert_true(request.is_head && request.keeps && !request.has_content);
  assert_string_equal(cli_http_field(&request, "range", &several), "bytes=1-");
  assert_false(several);
  assert_string_equal(cli_http_field(&request, "Empty", NULL), "");
  assert_null(cli_http_field(&request, "Twice", &several));
  assert_true(several);
  free(copy);
}

/* A head cut at any byte is not complete, and one with any byte changed does no harm. */
static void cut_and_changed(void **state) {
  (void)state;
  static const char good[] = "GET /a HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\nX: y\r\n\r\n";
  for (size_t n = 0; n + 1 < sizeof good; n++)
    assert_int_equal(n == sizeof good - 1 ? n : 0, cli_http_head_size(good, n));
  for (size_t i = 0; i < sizeof good - 1; i++)
    for (int c = 0; c < 256; c++) {
      cli_http_request_t request;
      http_parser parser;
      const char *why;
      char *head = malloc(sizeof good - 1); /* to the byte, for the sanitizer */
      assert_non_null(head);
      memcpy(head, good, sizeof good - 1);
      head[i] = (char)c;
      size_t n = cli_http_head_size(head, sizeof good - 1);
      if (n && !cli_http_request_read(&request, &parser, head, n, &why))
        assert_true(strlen(request.method) + strlen(request.target) < n);
      free(head);
    }
}

static void content_is_dropped(void **state) {
  (void)state;
  cli_http_request_t request;
  http_parser parser;
  const char *why, *rest = "3;x=y\r\nabc\r\n0\r\nTrailer: 1\r\n\r\nGET";
  char head[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  assert_int_equal(cli_http_request_read(&request, &parser, head, sizeof head - 1, &why), 0);
  assert_true(request.has_content && !request.is_complete);
  for (; !request.is_complete; rest++) /* byte by byte */
    assert_int_equal(cli_http_content_drop(&request, &parser, rest, 1), 1);
  assert_string_equal(rest, "GET");
  assert_int_equal(request.count, 2);
  char again[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  assert_int_equal(cli_http_request_read(&request, &parser, again, sizeof again - 1, &why), 0);
  assert_int_equal(cli_http_content_drop(&request, &parser, "zz\r\n", 4), -1);
}

/* -- dates ------------------------------------------------------------------------------------- */

static void dates(void **state) {
  (void)state;
  static const char *const same[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                     "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"};
  static const char *const none[] = {"",
                                     "yesterday",
                                     "Sun, 06 Nov 1994 08:49:37",
                                     "Sun, 06 Nov 1994 08:49:37 CET",
                                     "Sun, 06 Nox 1994 08:49:37 GMT",
                                     "Sun, 32 Nov 1994 08:49:37 GMT",
                                     "Sun, 06 Nov 1994 24:49:37 GMT",
                                     "Sun, 06 Nov 1994 08:49:37 GMT and more",
                                     "784111777"};
  char room[CLI_HTTP_DATE];
  for (size_t i = 0; i < 3; i++)
    assert_int_equal(cli_http_date_read(same[i]), 784111777);
  for (size_t i = 0; i < sizeof none / sizeof *none; i++)
    assert_int_equal(cli_http_date_read(none[i]), -1);
  assert_string_equal(cli_http_date(room, 784111777), same[0]);
  for (time_t when = 0; when < 8000000000; when += 86399999)
    assert_int_equal(cli_http_date_read(cli_http_date(room, when)), when);
}

/* -- ranges ------------------------------------------------------------------------------------ */

static void ranges(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int count;
    cli_http_range_t first, last;
  } samples[] = {
      {"bytes=0-9", 1, {0, 10}, {0, 10}},
      {"Bytes= 0-9 ", 1, {0, 10}, {0, 10}},
      {"bytes=90-", 1, {90, 10}, {90, 10}},
      {"bytes=-10", 1, {90, 10}, {90, 10}},
      {"bytes=-1000", 1, {0, 100}, {0, 100}},
      {"bytes=99-1000", 1, {99, 1}, {99, 1}},
      {"bytes=0-99999999999999999999999", 1, {0, 100}, {0, 100}},
      {"bytes=0-0,,\t-1", 2, {0, 1}, {99, 1}},
      {"bytes=50-59,0-9", 2, {50, 10}, {0, 10}},
      {"bytes=0-9,200-", 1, {0, 10}, {0, 10}},
      {"bytes=100-", 0, {0, 0}, {0, 0}},
      {"bytes=-0", 0, {0, 0}, {0, 0}},
      {"bytes=99999999999999999999999-", 0, {0, 0}, {0, 0}},
      {"bytes=", -1, {0, 0}, {0, 0}},
      {"bytes=9-0", -1, {0, 0}, {0, 0}},
      {"bytes=a-b", -1, {0, 0}, {0, 0}},
      {"bytes=--1", -1, {0, 0}, {0, 0}},
      {"bytes=+1-2", -1, {0, 0}, {0, 0}},
      {"bytes=1 - 2", -1, {0, 0}, {0, 0}},
      {"bytes=1-2;3-4", -1, {0, 0}, {0, 0}},
      {"bytes=0-9,5-15", -1, {0, 0}, {0, 0}},
      {"bytes=0-9,0-9", -1, {0, 0}, {0, 0}},
      {"lines=1-2", -1, {0, 0}, {0, 0}},
      {"bytes=1-1,3-3,5-5,7-7,9-9,11-11,13-13,15-15,17-17,19-19,21-21,23-23,25-25,27-27,29-29,"
       "31-31,33-33",
       -1,
       {0, 0},
       {0, 0}}};
  for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
    cli_http_range_t found[CLI_HTTP_RANGES];
    int count = cli_http_ranges(found, samples[i].text, 100);
    if (count != samples[i].count)
      fail_msg("%d, not %d, for %s", count, samples[i].count, samples[i].text);
    if (count > 0) {
      assert_int_equal(found[0].from, samples[i].first.from);
      assert_int_equal(found[0].size, samples[i].first.size);
      assert_int_equal(found[count - 1].from, samples[i].last.from);
      assert_int_equal(found[count - 1].size, samples[i].last.size);
    }
  }
  cli_http_range_t found[CLI_HTTP_RANGES];
  assert_int_equal(cli_http_ranges(found, "bytes=0-", 0), 0);
  assert_int_equal(cli_http_ranges(found, "bytes=-5", 0), 0);
}

/* -- conditions -------------------------------------------------------------------------------- */

static void conditions(void **state) {
  (void)state;
  static const cli_http_validators_t now = {"\"a,b\"", 784111777}, weak = {"W/\"a\"", 784111777};
  static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT",
                    before[] = "Sun, 06 Nov 1994 08:49:36 GMT";
  static const struct {
    int status;
    cli_http_field_t fields[2];
  } samples[] = {
      {200, {{"X", "y"}}},
      {304, {{"If-None-Match", "\"x\", \"a,b\""}}},
      {304, {{"If-None-Match", "W/\"a,b\""}}},
      {304, {{"If-None-Match", "*"}}},
      {304, {{"If-None-Match", "\"x\""}, {"if-none-match", "\"a,b\""}}},
      {200, {{"If-None-Match", "\"a\",\"b\""}}},
      {200, {{"If-None-Match", "\"x\""}, {"If-Modified-Since", date}}},
      {200, {{"If-None-Match", "a,b"}}},
      {304, {{"If-Modified-Since", date}}},
      {200, {{"If-Modified-Since", before}}},
      {200, {{"If-Modified-Since", "whenever"}}},
      {200, {{"If-Match", "\"a,b\""}, {"If-Unmodified-Since", before}}},
      {412, {{"If-Match", "\"x\""}}},
      {412, {{"If-Match", "W/\"a,b\""}}},
      {412, {{"If-Unmodified-Since", before}}},
      {200, {{"If-Unmodified-Since", date}}},
  };
  for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
    cli_http_request_t request = {.count = samples[i].fields[1].name ? 2 : 1};
    memcpy(request.fields, samples[i].fields, sizeof samples[i].fields);
    if (cli_http_condition(&request, &now) != samples[i].status)
      fail_msg("not %d for %s", samples[i].status, samples[i].fields[0].value);
  }
  cli_http_request_t request = {.count = 0};
  assert_true(cli_http_range_counts(&request, &now));
  request.count = 1;
  request.fields[0] = (cli_http_field_t){"If-Range", "\"a,b\""};
  assert_true(cli_http_range_counts(&request, &now));
  assert_false(cli_http_range_counts(&request, &weak));
  request.fields[0].value = "W/\"a\"";
  assert_false(cli_http_range_counts(&request, &weak));
  request.fields[0].value = date;
  assert_true(cli_http_range_counts(&request, &now));
  assert_false(cli_http_range_counts(&request, &weak));
  request.fields[0].value = before;
  assert_false(cli_http_range_counts(&request, &now));
}

/* -- paths and types --------------------------------------------------------------------------- */

static void paths(void **state) {
  (void)state;
  static const struct {
    const char *target;
    int status;
    const char *path;
  } samples[] = {{"/", 200, ""},
                 {"/a/b", 200, "a/b"},
                 {"/a/b/?x=/../", 200, "a/b/"},
                 {"//a///b", 200, "a/b"},
                 {"/%61%20%C3%A9", 200, "a \xc3\xa9"},
                 {"/a\\b", 200, "a\\b"},
                 {"/a..b", 200, "a..b"},
                 {"/.well-known/x", 200, ".well-known/x"},
                 {"/%", 400, NULL},
                 {"/%4", 400, NULL},
                 {"/%zz", 400, NULL},
                 {"/%4g", 400, NULL},
                 {"*", 400, NULL},
                 {"/a%00b", 404, NULL},
                 {"/a%2Fb", 404, NULL},
                 {"/..", 404, NULL},
                 {"/../etc/passwd", 404, NULL},
                 {"/a/../b", 404, NULL},
                 {"/a/./b", 404, NULL},
                 {"/%2e%2e/x", 404, NULL},
                 {"/.%2E/x", 404, NULL},
                 {"/.git/config", 404, NULL},
                 {"/a/.env", 404, NULL},
                 {"/a/.well-known/x", 404, NULL},
                 {"/.well-knownx", 404, NULL},
                 {"//../x", 404, NULL}};
  char room[CLI_WWW_PATH];
  for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
    int status = cli_www_path(room, samples[i].target);
    if (status != samples[i].status)
      fail_msg("%d, not %d, for %s", status, samples[i].status, samples[i].target);
    if (samples[i].path)
      assert_string_equal(room, samples[i].path);
  }
  char long_one[8000];
  memset(long_one, 'a', sizeof long_one);
  long_one[0] = '/';
  long_one[sizeof long_one - 1] = '\0';
  assert_int_equal(cli_www_path(room, long_one), 404);
}

static void types(void **state) {
  (void)state;
  cli_www_types_t *types = cli_www_types_new("/nowhere/mime.types");
  assert_non_null(types);
  assert_string_equal(cli_www_type(types, "a/b.HTML"), "text/html; charset=utf-8");
  assert_string_equal(cli_www_type(types, "b.tar.gz"), "application/gzip");
  assert_null(cli_www_type(types, "a.html/b"));
  assert_null(cli_www_type(types, "README"));
  assert_null(cli_www_type(types, "a."));
  assert_null(cli_www_type(types, "a.thisisaverylongendofanameoffile"));
  cli_www_types_free(types);
}

static void text_in_html(void **state) {
  (void)state;
  char *text = NULL;
  size_t n;
  FILE *to = open_memstream(&text, &n);
  assert_non_null(to);
  cli_www_print_html(to, "<a&b>\"'\x01\xff\xc3\xa9\xe2\x82\xed\xa0\x80\xf0\x9f\x98\x80");
  assert_int_equal(fclose(to), 0);
#define NONE "\xef\xbf\xbd"
  assert_string_equal(text, "&#60;a&#38;b&#62;&#34;&#39;" NONE NONE
                            "\xc3\xa9" NONE NONE NONE NONE NONE "\xf0\x9f\x98\x80");
  free(text);
}

int main(void) {
  static const struct CMUnitTest tests[] = {cmocka_unit_test(good_requests),
                                            cmocka_unit_test(refused_requests),
                                            cmocka_unit_test(parts_of_a_request),
                                            cmocka_unit_test(cut_and_changed),
                                            cmocka_unit_test(content_is_dropped),
                                            cmocka_unit_test(dates),
                                            cmocka_unit_test(ranges),
                                            cmocka_unit_test(conditions),
                                            cmocka_unit_test(paths),
                                            cmocka_unit_test(types),
                                            cmocka_unit_test(text_in_html)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
