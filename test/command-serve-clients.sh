#!/usr/bin/env bash
# securepair serve and its clients: mutual TLS, other people's clients, policy, limits.
# shellcheck disable=SC2119,SC2317
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
# shellcheck source=test/scripts/serve.sh
. "$source/test/scripts/serve.sh"
need openssl gnutls-cli curl perl

# authority FOLDER: with a client of its own, FOLDER/client.key and .pem.
authority() {
  securepair authority init --folder "$1" --subject "CN=$1" >/dev/null
  securepair key --out "$1/client.key"
  securepair request --key "$1/client.key" --subject "CN=client of $1" --client --name "client@$1.example" --out "$1/csr.pem"
  securepair authority sign "$1/csr.pem" --folder "$1" --client --out "$1/client.pem"
}
authority ours
authority theirs
securepair key --out server.key
securepair request --key server.key --name localhost --out csr.pem
securepair authority sign csr.pem --folder ours --out server.pem

# answers STATUS ARGUMENT...: how `securepair connect` ends, and what it hears.
answers() {
  local wanted=$1 status=0
  shift
  talk hello --ca ours/root.pem "$@" || status=$?
  [ $status -eq "$wanted" ] || fail "connect $* ended with $status, not $wanted: $(cat err)"
  [ "$wanted" -ne 0 ] || [ "$(cat out)" = $'welcome!\nhello' ] || fail "connect $* heard \"$(cat out)\""
}
as() { answers "$1" --cert "$2/client.pem" --key "$2/client.key" "${@:3}"; }

# -- mutual TLS ----------------------------------------------------------------------------------------
serve --key server.key --cert server.pem --client-ca ours/root.pem
as 0 ours
wait_for 'verdict authorized, client subject "CN=client of ours"'
as 0 ours --tls-max 1.2
answers 5
wait_for "class certificate_missing"
as 5 theirs
wait_for "class certificate_refused"
says 'client subject "CN=client of theirs"'
as 5 theirs --tls-max 1.2
stop

serve --key server.key --cert server.pem --client-ca ours/root.pem --client-optional
as 0 ours
wait_for "verdict authorized"
answers 0
as 0 theirs
wait_for "verdict UNABLE_TO_"
stop

# -- other people's clients, and resumption --------------------------------------------------------------
serve --key server.key --cert server.pem --alpn h2 --alpn http/1.1 --handshake-workers
rm out # of the last one
printf 'hello\n' | timeout $patience openssl s_client -connect "localhost:$port" -CAfile ours/root.pem -verify_return_error \
  -alpn http/1.1,h2 -sess_out session -ign_eof >out 2>err &
client=$!
started+=("$client")
until_true grep -qs '^hello' out || fail "openssl s_client heard $(cat out err)"
grep -q '^welcome!' out || fail "openssl s_client was not welcomed"
grep -q 'ALPN protocol: h2' out || fail "openssl s_client did not agree on h2: the server's order counts"
kill $client
wait $client || true
wait_for "alpn h2"
timeout $patience openssl s_client -connect "localhost:$port" -sess_in session </dev/null >out 2>&1 || true
grep -q '^Reused' out || fail "openssl s_client does not resume"
wait_for "resumed yes"
printf 'hello\n' | timeout $patience gnutls-cli --x509cafile=ours/root.pem --alpn=http/1.1 -p "$port" localhost >out 2>err || true
grep -q 'welcome!' out || fail "gnutls-cli heard $(cat out err)"
rm out
curl -sS --max-time $patience --cacert ours/root.pem --no-alpn --http0.9 --no-buffer "https://localhost:$port/" >out 2>err &
client=$!
started+=("$client")
until_true grep -q "^GET / HTTP" out || fail "curl heard $(cat out err)"
kill $client
wait $client || true
status=0
timeout $patience openssl s_client -connect "localhost:$port" -alpn other </dev/null >out 2>&1 || status=$?
[ $status -ne 0 ] || fail "no protocol in common, and yet a connection"
wait_for "class no_shared_protocol"
stop

# -- policy ---------------------------------------------------------------------------------------------
serve --key server.key --cert server.pem --tls-min 1.3
answers 5 --tls-max 1.2
wait_for "class no_shared_version"
answers 0
stop
serve --key server.key --cert server.pem --tls-max 1.2 --ciphers ECDHE-ECDSA-AES256-GCM-SHA384
answers 0
wait_for "protocol TLSv1.2, cipher ECDHE-ECDSA-AES256-GCM-SHA384"
stop

# -- limits ---------------------------------------------------------------------------------------------
# silent N: N connections that say nothing, each told of when the server closes it; they end with a SIGTERM.
silent() {
  perl -MIO::Socket::INET -e '$| = 1; @all = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) or die }
    1 .. $ARGV[1]; print "connected\n"; for (@all) { sysread $_, $x, 1; print "closed\n" }; sleep 60' "$port" "$1" >silent.out &
  silent=$!
  started+=("$silent")
  until_true grep -qs connected silent.out || fail "no connection"
}
hush() { kill $silent; wait $silent 2>/dev/null || true; }

serve --key server.key --cert server.pem --max-connections 2
silent 2
talk hello --ca ours/root.pem && fail "a third connection was taken"
wait_for "--max-connections"
hush
answers_at_last() { talk hello --ca ours/root.pem; }
until_true answers_at_last || fail "no connection is free again"
stop

# The end of a storm is told, too, though nobody comes after it.
all_are_told() { [ "$(grep -oP 'dropped: clients \K\d+' log | awk '{ n += $1 } END { print n + 0 }')" = "$1" ]; }
serve --key server.key --cert server.pem --max-connections 1
silent 1
perl -MIO::Socket::INET -e 'for (1 .. 20) { $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) or die; sysread $s, $x, 1 }' "$port"
until_true all_are_told 20 || fail "of 20 clients that were turned away these are told: $(grep dropped log)"
hush
stop

serve --key server.key --cert server.pem --handshake-timeout 1 --idle-timeout 1
silent 1
until_true grep -q closed silent.out || fail "a client that says nothing stays"
wait_for "class timeout"
hush
mkfifo idle
timeout $patience "$build/securepair" connect "localhost:$port" --ca ours/root.pem --quiet <idle >out 2>err &
client=$!
exec {to}>idle
started+=("$client")
wait $client || true
exec {to}>&-
wait_for " idle"
stop

# -- what it does not take ------------------------------------------------------------------------------
# refuses WORDS ARGUMENT...
refuses() {
  local words=$1 status=0
  shift
  timeout $patience "$build/securepair" serve --listen 0 "$@" >out 2>err </dev/null || status=$?
  if { [ $status -ne 1 ] && [ $status -ne 2 ]; } || ! grep -qF -- "$words" err; then
    fail "serve $* ended with $status, and said: $(cat err)"
  fi
}
serve --key server.key --cert server.pem
refuses "address already in use" "127.0.0.1:$port"
stop
refuses "do not belong together" --key ours/client.key --cert server.pem
refuses "1 keys and 2 certificates" --key server.key --cert server.pem --cert server.pem
refuses "nowhere.pem" --cert nowhere.pem
refuses "nowhere.pem" --client-ca nowhere.pem
refuses "--client-ca" --client-optional
refuses "--sni-folder" --strict-sni
refuses "--tls-min 1.1" --tls-min 1.1
refuses '--ciphers: "nonsense" is' --ciphers nonsense
refuses "--tls-min is TLS 1.3 but --tls-max is TLS 1.2" --tls-min 1.3 --tls-max 1.2
refuses "--alpn: has 0 bytes" --alpn ''
refuses "those are always on" --ciphers TLS_AES_128_GCM_SHA256
refuses ", line 1: found \"PRIVATE KEY\" but no certificate" --cert server.key
refuses "--cert $PWD/server.key" --cert server.key
refuses "--client-ca $PWD/server.key" --client-ca server.key
chmod 644 server.pem
refuses "--key $PWD/server.pem" --key server.pem --cert server.pem
! grep -q chmod err || fail "a file without a key is taken for one that others can read"
refuses "--exec: there is no command" --exec ''
refuses "--readable nope: No such file" --readable nope
refuses "--readable server.pem: is no folder" --readable server.pem
status=0
timeout $patience "$build/securepair" serve nothing.invalid >out 2>err </dev/null || status=$?
if [ $status -ne 1 ] || ! grep -q "a port is a number" err; then fail "serve WORD ended with $status, and said: $(cat err)"; fi
refuses "--max-connections -1" --max-connections=-1
refuses "--handshake-timeout 0" --handshake-timeout 0
refuses "port" 99999
refuses "one argument too many" 1 2
refuses "no such user" --user nobody-of-that-name
refuses "--nonsense" --nonsense
"$build/securepair" serve --help >out || fail "--help ended with $?"
grep -q '^Examples' out || fail "--help shows no examples"
while read -r option; do # as mdoc writes it: "Fl Fl strict-sni"
  grep -qE "Fl Fl (.*[ ,])?${option#--}( |\$)" "$source/man/securepair-serve.1" || fail "the manual page does not have $option"
done < <(grep -oE '(^|[ ,])--[a-z-]+' out | grep -oE -- '--[a-z-]+' | sort -u)
finish
