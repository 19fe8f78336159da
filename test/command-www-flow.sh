#!/usr/bin/env bash
# securepair serve --www: files that change, clients that do not read, and the end.
# shellcheck disable=SC2119
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
# shellcheck source=test/scripts/www.sh
. "$source/test/scripts/www.sh"

head -c 100000000 /dev/urandom >site/big
ln -s a.txt site/link.txt
serve_www

# -- files that change while they are sent --------------------------------------------------------------
mkfifo tap
# begin PATH: a client that has read the first 1000 bytes of the answer, and waits.
begin() {
  openssl s_client -quiet -connect "localhost:$port" >tap 2>/dev/null \
    < <(printf 'GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' "$1") &
  client=$!
  started+=("$client")
  exec {taken}<tap
  head -c 1000 <&"$taken" >out
}
# end_client: reads the rest.
end_client() {
  cat <&"$taken" >>out
  exec {taken}<&-
  wait "$client" 2>/dev/null || true
}
content_of() { # after the head, which ends with an empty line
  local n
  n=$(grep -abm1 $'^\r$' out | cut -d: -f1)
  tail -c +$((n + 3)) out
}
begin /big
cp site/big site/new
printf 'changed' | dd of=site/new conv=notrunc status=none
mv site/new site/big # as one should: the old file is sent to its end
mv site/big site/other
head -c 100000000 /dev/urandom >site/big
end_client
[ "$(content_of | wc -c)" -eq 100000000 ] || fail "a file that was replaced did not come whole"
begin /big
printf 'changed' | dd of=site/big conv=notrunc seek=90000000 bs=1 status=none
end_client
[ "$(content_of | wc -c)" -lt 100000000 ] || fail "a file that changed came whole"
wait_for_count 1 'error "the file changed while it was sent"'
begin /big
truncate -s 50000000 site/big
end_client
[ "$(content_of | wc -c)" -lt 50000000 ] || fail "a file that shrank came as if it was whole"
wait_for_count 2 'error "the file changed while it was sent"'

# -- clients that do not read ---------------------------------------------------------------------------
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$server/status"; }
# shellcheck disable=SC2317 # until_true calls it
is_steady() { # what the server uses does not change for half a second
  local now
  now=$(rss)
  [ "$now" = "${size:-}" ] || steady=0
  steady=$((${steady:-0} + 1)) size=$now
  [ "$steady" -gt 20 ]
}
first=$(rss)
readers=()
for i in {1..20}; do
  mkfifo "tap$i"
  openssl s_client -quiet -connect "localhost:$port" >"tap$i" 2>/dev/null \
    < <(printf 'GET /other HTTP/1.1\r\nHost: x\r\n\r\n') &
  readers+=("$!")
  started+=("$!")
  exec {taken}<"tap$i"
  head -c 1000 <&"$taken" >/dev/null
done
until_true is_steady || fail "the server's memory never comes to rest"
grown=$(($(rss) - first))
is_sanitized || [ $grown -lt $((20 * 512)) ] ||
  fail "20 clients that do not read cost $grown kB"
get /a.txt
body_is "hello, world"
kill "${readers[@]}"
wait_for_count 20 'error "the client is gone"'
stop

# -- index pages for clients that do not read ------------------------------------------------------------
mkdir site/many
(cd site/many && printf '%s\0' a-file-with-a-name-as-long-as-people-give-to-their-files-{1..5100}.txt | xargs -0 touch)
serve_www
get /many/
body_says "100 more are not shown"
[ "$(grep -c '<td class="d">' body)" -eq 5001 ] || fail "an index page has $(grep -c '<td class="d">' body) lines"
until_true is_steady || fail "the server's memory never comes to rest"
first=$(rss)
readers=()
for i in {1..20}; do
  mkfifo "page$i"
  openssl s_client -quiet -connect "localhost:$port" >"page$i" 2>/dev/null \
    < <(printf 'GET /many/ HTTP/1.1\r\nHost: x\r\n\r\n%.0s' {1..20}) &
  readers+=("$!")
  started+=("$!")
  exec {taken}<"page$i"
  head -c 1000 <&"$taken" >/dev/null
done
until_true is_steady || fail "the server's memory never comes to rest"
grown=$(($(rss) - first))
is_sanitized || [ $grown -lt $((20 * 1000)) ] ||
  fail "20 clients that do not read an index page cost $grown kB"
kill "${readers[@]}"
stop
rm -r site/many

# -- the end: what was begun is completed ---------------------------------------------------------------
serve_www --idle-timeout 60
exec {idle}< <(openssl s_client -quiet -connect "localhost:$port" 2>/dev/null < <(
  printf 'GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n'
  exec sleep $patience
))
until_true grep -q "/a.txt" log
begin /other
kill -TERM "$server"
timeout $patience cat <&"$idle" >idle.out || fail "an idle connection is not ended"
grep -q "hello, world" idle.out || fail "the answer before the end did not come"
end_client
content_of | cmp -s - site/other || fail "a download that was under way was not completed"
wait "$server" || fail "it ended with $?"

# -- time limits ----------------------------------------------------------------------------------------
serve_www --idle-timeout 1
raw_slowly() { # what it sends, and then nothing; the connection stays open on this side
  timeout $patience openssl s_client -quiet -connect "localhost:$port" >out 2>/dev/null \
    < <(printf '%b' "$1"; exec sleep $patience) || true
}
raw_slowly ""
[ "$(statuses)" = "" ] || fail "an idle connection got an answer"
raw_slowly "GET / HTTP/1.1\r\nHost: x"
[ "$(statuses)" = "408 " ] || fail "half a request got $(statuses)"
raw_slowly "POST / HTTP/1.1\r\n${host}Content-Length: 10\r\n\r\nabc"
[ "$(statuses)" = "408 " ] || fail "half a content got $(statuses)"
begin /other
wait_for " idle"
end_client
[ "$(content_of | wc -c)" -lt 100000000 ] || fail "a client that did not read was not cut off"
stop

# -- without openat2: no links, but the same files ------------------------------------------------------
mkdir site/own
printf own >site/own/index.html
mkfifo site/fifo
if strace -qq -e trace=none true 2>/dev/null; then
  : >log
  ASAN_OPTIONS=detect_leaks=0 strace -qq -f -o trace -e trace=openat2 -e inject=openat2:error=ENOSYS \
    "$build/securepair" serve --listen 0 --cert cert.pem --key key.pem --www site >/dev/null 2>>log </dev/null &
  server=$!
  started+=("$server")
  until_true listens
  expect 200 /sub/f1
  body_is "file 1"
  expect 200 /own/
  expect 200 /
  all_are 404 /link.txt /fifo /sub/f1/x
  grep -q ENOSYS trace || fail "openat2 was not in the way"
  kill "$(pgrep -P "$server")"
  wait "$server" || fail "it ended with $?"
fi
finish
