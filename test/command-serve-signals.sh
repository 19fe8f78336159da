#!/usr/bin/env bash
# securepair serve and signals (A14): SIGTERM drains, a second one cuts; SIGHUP, SIGUSR1 and SIGPIPE do no
# harm, in the middle of handshakes neither; kill -9 leaves nothing behind.
# shellcheck disable=SC2119,SC2317
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
# shellcheck source=test/scripts/serve.sh
. "$source/test/scripts/serve.sh"
need openssl perl

# hold: a client that stays connected, until `release`.
hold() {
  mkfifo input
  timeout $patience "$build/securepair" connect "localhost:$port" --insecure --quiet <input >held 2>err &
  client=$!
  started+=("$client")
  exec {to}>input
  echo hello >&"$to"
  until_true grep -qs hello held || fail "no connection"
}
release() {
  wait "$client" || fail "the client ended with $?: $(cat err)"
  exec {to}>&-
  rm input
}
refused() { ! perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0])' "$port"; }

# -- SIGTERM and SIGINT ----------------------------------------------------------------------------------
for signal in TERM INT; do
  serve
  hold
  stop $signal
  release
  [ "$(cat held)" = $'welcome!\nhello' ] || fail "the client heard $(cat held)"
  says "SIG$signal: no more clients; 1 connection goes on for 10 seconds"
  says_not "cut"
  says "closed: bytes in 6, bytes out 15"
  refused || fail "after SIG$signal it still accepts"
done

# A client that does not end, and one that has not begun: they get the time of --grace, or less.
# half_open N: N clients in the middle of the handshake, that stay.
half_open() {
  perl -MIO::Socket::INET -e '$| = 1; @all = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) or die }
    1 .. $ARGV[1]; syswrite $_, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" for @all; print "connected\n";
    sysread $_, $x, 1 for @all; print "closed\n"' "$port" "$1" >half.out &
  half=$!
  started+=("$half")
  until_true grep -qs connected half.out || fail "no connection"
}
end_half() {
  until_true grep -q closed half.out || fail "clients in the handshake outlive the server"
  wait $half || true
}
serve --grace 1
half_open 3
stop
end_half
says "3 connections did not end in time, and are cut"

serve --grace 3600
half_open 3
kill -TERM "$server"
wait_for "no more clients"
stop
end_half
says "SIGTERM again: all connections are cut"

# -- the others, in the middle of handshakes ---------------------------------------------------------------
serve --grace 1
half_open 3
hold
for i in {1..20}; do
  for signal in HUP USR1 PIPE; do
    kill -$signal "$server"
  done
  [ $((i % 10)) -ne 0 ] || talk hello || fail "between signals a client failed: $(cat err)"
done
wait_for "SIGHUP: looks whether keys and certificates changed"
wait_for "counters: connections"
says "handshaking 3"
stop
release
end_half

# -- SIGKILL -----------------------------------------------------------------------------------------------
mkdir empty tls
securepair key --out tls/server.key
securepair certificate --key tls/server.key --name localhost --out tls/server.pem
find tls -printf "%p %s %T@\n" | sort >before
serve --key tls/server.key --cert tls/server.pem --exec 'echo $$; exec cat'
mkfifo input
"$build/securepair" connect "localhost:$port" --insecure --quiet <input >held 2>err &
client=$!
started+=("$client")
exec {to}>input
until_true grep -qs . held || fail "no connection"
kill -KILL "$server"
wait "$server" 2>/dev/null || true
exec {to}>&-
wait "$client" 2>/dev/null || true
gone() { ! kill -0 "$1" 2>/dev/null; }
until_true gone "$(cat held)" || fail "after kill -9 the command lives on"
find tls -printf "%p %s %T@\n" | sort | diff before - || fail "after kill -9 something is left behind"
refused || fail "after kill -9 somebody still listens"

# -- a service manager ---------------------------------------------------------------------------------------
perl -MIO::Socket::UNIX -MSocket -e '$| = 1; $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => "notify") or die; alarm 60;
  print "there\n"; while (recv $s, $_, 4096, 0 or length) { print "$_\n"; last if /STOPPING/ }' >notified &
listener=$!
started+=("$listener")
until_true grep -qs there notified || fail "no notification socket"
NOTIFY_SOCKET=$PWD/notify serve
until_true grep -q READY=1 notified || fail "the service manager was not told"
stop
until_true grep -q STOPPING=1 notified || fail "the service manager was not told of the end"
wait $listener || true
finish
