#!/usr/bin/env bash
# securepair serve --www and --http-line: requests that curl does not make, and what is refused.
# shellcheck disable=SC2119
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
# shellcheck source=test/scripts/www.sh
. "$source/test/scripts/www.sh"

serve_www

# -- raw requests: what is refused, and that it is the last of its connection ---------------------------
raw "GET /sub/f1 HTTP/1.1\r\n$host\r\nHEAD /nothing HTTP/1.1\r\n$host\r\nPOST / HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhelloGET /sub/f2 HTTP/1.1\r\n$host$last\r\n"
[ "$(statuses)" = "200 404 405 200 " ] || fail "in a row: $(statuses)"
grep -q 'file 1HTTP/1.1 404' out || fail "the answers are not in order, or HEAD has content"
raw "\r\n\r\nGET http://x/sub/f1 HTTP/1.1\r\n$host$last\r\n"
[ "$(statuses)" = "200 " ] || fail "after empty lines: $(statuses)"
raw "POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\nGET /sub/f1 HTTP/1.1\r\n$host$last\r\n"
[ "$(statuses)" = "405 " ] || fail "after chunks, where nothing may follow: $(statuses)"
many=$(printf 'GET /sub/f1 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n%.0s' {1..500})
raw "${many}GET /nothing HTTP/1.1\r\n$host$last\r\n"
[ "$(grep -ao 'HTTP/1.1 200' out | wc -l)" -eq 500 ] || fail "500 requests at once are answered differently"
[[ $(statuses) == *"200 404 " ]] || fail "the last of 500 is not the last"
refuses 400 "GET / HTTP/1.1\r\n\r\n"
refuses 400 "GET / HTTP/1.1\r\n$host$host\r\n"
refuses 400 "GET / HTTP/1.1\nHost: x\n\n"
refuses 400 "GET / HTTP/1.1\r\nHost : x\r\n\r\n"
refuses 400 "GET / HTTP/1.1\r\n${host}X: 1\r\n  folded\r\n\r\n"
refuses 400 "GET / HTTP/1.1\r\n${host}X: \x01\r\n\r\n"
refuses 400 "GET / HTTP/1.1\r\n${host}X: \x00\r\n\r\n"
refuses 400 "GET /a b HTTP/1.1\r\n$host\r\n"
refuses 400 "\x16\x03\x01 / HTTP/1.1\r\n$host\r\n"
refuses 400 "POST / HTTP/1.1\r\n${host}Content-Length: 4\r\nContent-Length: 5\r\n\r\n"
refuses 400 "POST / HTTP/1.1\r\n${host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
refuses 400 "POST / HTTP/1.1\r\n${host}Content-Length: 4x\r\n\r\n"
refuses 400 "POST / HTTP/1.1\r\n${host}Transfer-Encoding: xchunked\r\n\r\n"
refuses 400 "POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nzz\r\n"
refuses 501 "POST / HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n\r\n"
refuses 405 "CONNECT x:443 HTTP/1.1\r\n$host\r\n"
refuses 413 "POST / HTTP/1.1\r\n${host}Content-Length: 100000\r\n\r\n"
refuses 417 "PUT / HTTP/1.1\r\n${host}Content-Length: 10\r\nExpect: 100-continue\r\n\r\n"
refuses 505 "GET / HTTP/2.0\r\n$host\r\n"
refuses 414 "GET /$(printf 'a%.0s' {1..9000}) HTTP/1.1\r\n$host\r\n"
refuses 414 "GET /$(printf 'a%.0s' {1..30000})"
refuses 431 "GET / HTTP/1.1\r\n${host}X: $(printf 'a%.0s' {1..30000})"
refuses 431 "GET / HTTP/1.1\r\n$host$(printf 'X: y\\r\\n%.0s' {1..100})\r\n"
raw "GET /a\x1b[31m\x07\xff HTTP/1.1\r\n$host\r\n"
[ "$(statuses)" = "400 " ] || fail "a hostile target: $(statuses)"
wait_for "target /a%1B[31m%07%FF, status 400"
stop

# -- --http-line ----------------------------------------------------------------------------------------
securepair authority init --subject "CN=clients" >/dev/null
securepair key --out client-key.pem
securepair request --key client-key.pem --client --name alice@example.com --subject "CN=alice,O=a\"b" --out client.csr
securepair authority sign client.csr --client --out client.pem >/dev/null
serve_site --http-line --client-ca authority/root.pem --client-optional
expect 200 /whatever
grep -qP '^TLSv1.3 TLS_AES_128_GCM_SHA256 \S+ name="localhost" alpn="http/1.1" resumed=no$' body ||
  fail "the line is $(cat body)"
head_says "Content-Type: text/plain; charset=utf-8"
expect 200 / --cert client.pem --key client-key.pem
body_says 'client="CN=alice,O=a'
body_says 'verdict="authorized"'
expect 200 / -X POST -d hello
expect 200 / --head
expect 400 / -H "Host:"
raw "GET / HTTP/1.1\r\n\r\n"
[ "$(statuses)" = "400 " ] || fail "without a Host: $(statuses)"
"$build/securepair" connect "localhost:$port" --ca cert.pem --alpn h2 --quiet </dev/null >out 2>err &&
  fail "h2 is agreed on"
"$build/securepair" connect "localhost:$port" --ca cert.pem --alpn h2 --alpn http/1.1 --quiet </dev/null >out 2>err ||
  fail "http/1.1 is not agreed on"
stop
finish
