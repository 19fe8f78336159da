#!/usr/bin/env bash
# securepair serve --www: what curl and its users get, and what nobody gets.
# shellcheck disable=SC2119
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
# shellcheck source=test/scripts/www.sh
. "$source/test/scripts/www.sh"

mkdir -p site/sub/deep site/own site/.git
printf '<p>own page' >site/own/index.html
printf secret >site/.git/config
printf secret >outside
ln -s ../outside site/escape
ln -s "$work/outside" site/absolute
ln -s a.txt site/link.txt
ln -s . site/circle
mkfifo site/fifo
printf x >"site/<i>&\"'.txt"
printf x >$'site/\xff.txt'
printf x >"$(printf 'site/gr\303\274\303\237e #1?%%.txt')"
seq 1 20000 >site/numbers
touch -d '2020-02-02 02:02:02 UTC' site/a.txt site/numbers
serve_www

# -- files ---------------------------------------------------------------------------------------------
expect 200 /a.txt
body_is "hello, world"
head_says "Content-Type: text/plain; charset=utf-8"
head_says "Content-Length: 13"
head_says "Last-Modified: Sun, 02 Feb 2020 02:02:02 GMT"
head_says "Accept-Ranges: bytes"
head_says "X-Content-Type-Options: nosniff"
head_says "Date: "
head_says_not "Connection: close"
etag=$(grep -oiP '^etag: \K\S+' head)
wait_for "request: method GET, target /a.txt, status 200, bytes 13, ms"
[ "$(curl -sS -w '%{http_code}' "http://localhost:$port/")" = \
  $'This port speaks TLS: write https:// in place of http://.\n400' ] || fail "http:// is not told of https://"
wait_for "class plain_http"
expect 200 "/%61.txt?x=/../y"
body_is "hello, world"
expect 200 /a.txt --head
head_says "Content-Length: 13"
expect 200 /link.txt
body_is "hello, world"
expect 200 /circle/circle/a.txt
expect 200 /own/
body_is "<p>own page"
expect 301 "/own?a=b"
head_says "Location: /own/?a=b"
expect 404 //localhost/../own
expect 301 //own # not to a host of that name
head_says "Location: /own/"
expect 404 /a.txt/
expect 204 / -X OPTIONS
head_says "Allow: GET, HEAD, OPTIONS"
expect 200 / --compressed

# -- what has changed ----------------------------------------------------------------------------------
expect 304 /a.txt -H "If-None-Match: $etag"
head_says "ETag: $etag"
expect 304 /a.txt -H "If-Modified-Since: Sun, 02 Feb 2020 02:02:02 GMT"
expect 200 /a.txt -H "If-None-Match: \"x\"" -H "If-Modified-Since: Sun, 02 Feb 2020 02:02:02 GMT"
expect 412 /a.txt -H 'If-Match: "x"'
expect 412 /a.txt -H "If-Unmodified-Since: Sun, 02 Feb 2020 02:02:01 GMT"

# -- ranges --------------------------------------------------------------------------------------------
expect 206 /a.txt -r 0-4
body_is hello
head_says "Content-Range: bytes 0-4/13"
head_says "Content-Length: 5"
expect 206 /a.txt -r -6
body_is world
expect 206 /a.txt -r 0-
head_says "Content-Range: bytes 0-12/13"
expect 416 /a.txt -r 13-
head_says "Content-Range: bytes */13"
expect 200 /a.txt -H "Range: lines=1-2"
expect 206 /a.txt -r 0-4 -H "If-Range: $etag"
expect 200 /a.txt -r 0-4 -H 'If-Range: "x"'
body_is "hello, world"
expect 200 /a.txt -r 0-4 --head
expect 206 /a.txt -r 0-4,7-11
boundary=$(grep -oiP 'multipart/byteranges; boundary=\K\w+' head)
printf -- '--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 0-4/13\r\n\r\nhello\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 7-11/13\r\n\r\nworld\r\n--%s--\r\n' \
  "$boundary" "$boundary" "$boundary" >parts
cmp -s parts body || { fail "the parts are not right"; cat body >&2; }
head_says "Content-Length: $(wc -c <parts)"
head -c 50000 site/numbers >body
expect 206 /numbers -C -
cmp -s site/numbers body || fail "what was resumed is another file"

# -- where nothing is -----------------------------------------------------------------------------------
paths=(/nothing /a.txt/b /../outside /sub/../../outside /%2e%2e/outside /..%2foutside '/..\outside' \
  /.git/config /sub/%2e%2e/.git/config /escape /absolute /fifo /circle/../../outside /a.txt%00.html \
  /sub%2ff1 //../outside "//$work/outside" /./a.txt /circle/escape)
all_are 404 "${paths[@]}"
! grep -qa secret body || fail "one gets out of the folder"
expect 404 /nothing
head_says "Content-Security-Policy: default-src 'none'"
body_says "404 Not Found"
expect 400 /%zz
expect 405 /a.txt -X POST -d x=y
head_says "Allow: GET, HEAD, OPTIONS"
expect 405 /a.txt -X DELETE
expect 501 /a.txt -X BREW
head -c 60000 site/numbers >content
expect 405 /a.txt -H Expect: -T content
expect 405 /a.txt -H Expect: -H "Transfer-Encoding: chunked" -T content
expect 413 /a.txt -H Expect: -H "Transfer-Encoding: chunked" -T site/numbers
expect 413 /a.txt -H Expect: -T site/numbers

# -- the index page -------------------------------------------------------------------------------------
expect 200 /
head_says "Content-Type: text/html; charset=utf-8"
body_says '<a href="own/"><bdi>own</bdi>/</a>'
body_says '<a href="%3Ci%3E%26%22%27.txt"><bdi>&#60;i&#62;&#38;&#34;&#39;.txt</bdi>'
body_says '<a href="%FF.txt"><bdi>'$'\xef\xbf\xbd''.txt</bdi>'
body_says 'href="gr%C3%BC%C3%9Fe%20%231%3F%25.txt"'
body_says '<time datetime="2020-02-02T02:02:02Z">2020-02-02 02:02</time>'
body_says 'link.txt'
for name in .git fifo escape absolute; do
  ! grep -qF "\"$name" body || fail "$name is listed"
done
[ "$(grep -n 'href="sub/"' body | cut -d: -f1)" -lt "$(grep -n 'href="a.txt"' body | cut -d: -f1)" ] ||
  fail "folders are not first"
expect 200 /sub/
[ "$(grep -c 'href="f[0-9]*"' body)" -eq 100 ] || fail "not all files are listed"
[ "$(grep -n '"f9"' body | cut -d: -f1)" -lt "$(grep -n '"f10"' body | cut -d: -f1)" ] || fail "f10 is before f9"
get /
mapfile -t paths < <(grep -oP '<td><a href="\K[^"]+' body | sed 's,^,/,')
[ ${#paths[@]} -ge 9 ] || fail "there are too few links"
all_are 200 "${paths[@]}"

# A way so long that it fills a piece of the page: by a link that leads up again, or by names.
whole_index() { # PATH
  expect 200 "$1"
  [ "$(grep -c '<h1>' body)" -eq 1 ] || fail "the page does not begin once"
  [ "$(tail -1 body)" = '</html>' ] || fail "the page does not end"
}
mkdir -p site/up/b/c
ln -s ../../.. site/up/b/c/d
whole_index "/$(printf 'up/b/c/d/%.0s' {1..40})"
body_says 'href="a.txt"'
[ "$(grep '<h1>' body | grep -o '</bdi>' | wc -l)" -eq 16 ] || fail "the way is as long as the path"
ands=$(printf '&%.0s' {1..250})
long=$(printf "$ands/%.0s" {1..15})
mkdir -p "site/$long"
printf x >"site/${long}x.txt"
whole_index "/$long"
body_says 'href="x.txt"'

# -- connections ----------------------------------------------------------------------------------------
before=$(grep -c ' secure: ' log)
curl -sS --cacert cert.pem "https://localhost:$port/sub/f[1-50]" -o 'got-#1' || fail "curl: $?"
[ "$(grep -c ' secure: ' log)" -eq $((before + 1)) ] || fail "the connection was not kept"
curl -sSZ --cacert cert.pem "https://localhost:$port/sub/f[1-100]" -o 'got-#1' 2>err || fail "curl -Z: $?"
for i in {1..100}; do
  cmp -s "site/sub/f$i" "got-$i" || fail "file $i is another one"
done
expect 200 /a.txt --http1.0
head_says "Connection: close"
expect 200 /a.txt --http1.0 -H "Connection: keep-alive"
head_says "Connection: keep-alive"
expect 200 /a.txt -H "Connection: close"
head_says "Connection: close"
head -c 100000000 /dev/urandom >site/big
expect 200 /big
[ "$(hash_of site/big)" = "$(hash_of body)" ] || fail "100 MB arrived otherwise"
rm body
stop

# -- a folder that is none, options that go against each other ------------------------------------------
! securepair serve --www nothing 2>err || fail "a folder that is not there is served"
grep -q 'nothing: cannot open the folder: No such file' err || fail "it says $(cat err)"
! securepair serve --www a.pem --http-line 2>err || fail "two services at once"
finish
