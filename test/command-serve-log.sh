#!/usr/bin/env bash
# The log of securepair serve: JSON that can be parsed, hostile names in it (A15), readers that are slow or
# gone, and the secrets of connections only where somebody asked for them.
# shellcheck disable=SC2094,SC2119,SC2317
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
# shellcheck source=test/scripts/serve.sh
. "$source/test/scripts/serve.sh"
need openssl perl

# facts EVENT FACT...: "FACT=VALUE" for each in the lines of that event; the log has to be JSON all through.
facts() {
  perl -MJSON::PP -e 'my ($event, @names) = @ARGV; open my $log, "<", "log" or die;
    while (<$log>) { my $line = decode_json $_; defined $line->{$_} or die "no $_ in @{[%$line]}\n" for qw(time event);
      next if $line->{event} ne $event; print map { "$_=" . ($line->{$_} // "") . "\n" } @names }' "$@"
}
# told EVENT FACT=VALUE...
told() {
  local event=$1 fact
  shift
  for fact in "$@"; do
    facts "$event" "${fact%%=*}" >facts || fail "the log is no JSON"
    grep -qxF -- "$fact" facts || fail "$event: no $fact, but $(cat facts)"
  done
}
printable() { # but for the ends of lines
  ! LC_ALL=C grep -n '[^[:print:]]' log || fail "the log has bytes that are not printable"
}

securepair authority init --subject "CN=test root" >/dev/null
securepair key --out client.key
# sign SUBJECT: client.pem, for a client that calls itself so.
sign() {
  openssl req -new -utf8 -key client.key -subj "$1" -out client.csr 2>/dev/null
  openssl x509 -req -in client.csr -CA authority/root.pem -CAkey authority/root-key.pem -days 2 -out client.pem 2>/dev/null
}

# -- JSON --------------------------------------------------------------------------------------------------
serve --json --alpn h2 --client-ca authority/root.pem --client-optional
told listening service=echo address=127.0.0.1 "port=$port"
talk hello --insecure --alpn h2 || fail "no connection: $(cat err)"
printf 'GET / HTTP/1.0\r\n\r\n' | perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) or die;
  print $s "GET / HTTP/1.0\r\n\r\n"; 1 while <$s>' "$port"
wait_for '"event": "closed"'
wait_for '"event": "failed"'
told secure protocol=TLSv1.3 server_name=localhost alpn=h2 resumed=0 group=x25519
told closed bytes_in=6 bytes_out=15
told failed class=plain_http
facts secure client | grep -qE '^client=127\.0\.0\.1:[0-9]+$' || fail "no client's address"
facts failed error | grep -q HTTP || fail "no sentence on what failed"

# -- hostile names -------------------------------------------------------------------------------------------
for subject in $'/CN=\e[31mred\e[0m\a\r\nNov 30 00:00:00 forged line' $'/CN="quoted\\\\", {}' \
  $'/CN=\u202etxt.exe \u009b31m \u00fc' "/CN=$(printf 'x%.0s' {1..60})$(printf '/OU=y%.0s' {1..200})"; do
  sign "$subject"
  talk hello --insecure --cert client.pem --key client.key || fail "a client called $subject is refused: $(cat err)"
done
for name in $'a\e[31m' $'a\nforged' "$(printf 'a%.0s' {1..255})" '"}'; do
  timeout $patience openssl s_client -connect "127.0.0.1:$port" -servername "$name" </dev/null >out 2>&1 || true
done
stop
printable
facts secure client_subject >facts || fail "the log is no JSON"
grep -q 'CN=.*forged line' facts || fail "the hostile subject is not told: $(cat facts)"
[ "$(grep -c '"event": "secure"' log)" -ge 5 ] || fail "not all connections are told"
[ "$(wc -L <log)" -lt 1500 ] || fail "a line has $(wc -L <log) characters"

serve --client-ca authority/root.pem
sign '/CN="quoted", {}, plain'
talk hello --insecure --cert client.pem --key client.key || fail "the client is refused: $(cat err)"
sign $'/CN=\e[31mred\nforged \u009b31m'
talk hello --insecure --cert client.pem --key client.key || fail "the client is refused: $(cat err)"
timeout $patience openssl s_client -connect "127.0.0.1:$port" -servername $'a\e[31m' </dev/null >out 2>&1 || true
wait_for 'client subject "CN='
# Bytes that are no text have one backslash, a backslash of the client's two.
for name in $'b\xff' 'b\xFF'; do
  timeout $patience openssl s_client -connect "127.0.0.1:$port" -servername "$name" </dev/null >out 2>&1 || true
done
wait_for 'server name b\xFF,'
wait_for 'server name "b\\xFF",'
wait_for 'client subject "CN=\\\"quoted\\\"\\, {}\\, plain"'
stop
printable
grep -q '^20[0-9-]*T[0-9:.]*Z ' log || fail "a line has no time"
! grep -v '^20[0-9-]*T[0-9:.]*Z ' log || fail "a client forged a line"

# -- quiet, and nobody who reads -------------------------------------------------------------------------------
serve --quiet
talk hello || fail "no connection"
stop
says "listening on"
says_not "secure:"

# A reader that stops reading, and then goes away.
mkfifo pipe
"$build/securepair" serve 0 --json </dev/null >/dev/null 2>pipe &
server=$!
started+=("$server")
exec {from}<pipe
read -r -t $patience -u "$from" line
while [[ ! $line =~ \"port\":\ ([0-9]+) ]]; do
  read -r -t $patience -u "$from" line
done
port=${BASH_REMATCH[1]}
# More than the pipe holds: 700 lines of 200 bytes.
perl -MIO::Socket::INET -e 'for (1 .. 700) { $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) or die; 
  print $s "no TLS\n"; 1 while sysread $s, $_, 100 }' "$port"
talk hello || fail "with a log that nobody reads, the server stands still: $(cat err)"
exec {from}<&-
talk hello || fail "with a log whose reader is gone, the server is, too: $(cat err)"
stop

# -- secrets -----------------------------------------------------------------------------------------------------
serve --keylog keys
says "whoever reads keys reads all connections"
head -1 log | grep -q "listening on" || fail "the log begins otherwise"
cut -d' ' -f1 log | sort -c || fail "times go back in the log"
talk hello || fail "no connection"
stop
[ "$(stat -c %a keys)" = 600 ] || fail "the key log is readable by others"
grep -q '^SERVER_TRAFFIC_SECRET_0 ' keys || fail "the key log has no secrets"
lines=$(wc -l <keys)
serve --keylog keys
talk hello || fail "no connection"
stop
[ "$(wc -l <keys)" -gt "$lines" ] || fail "the key log was written over"
chmod 644 keys
status=0
securepair serve 0 --keylog keys 2>err || status=$?
! grep -q "remove it when you are done" err || fail "a warning of a key log that is not written"
if [ $status -ne 1 ] || ! grep -q "chmod 600" err; then fail "a key log that others can read: $status, $(cat err)"; fi
ln -s keys link
status=0
securepair serve 0 --keylog link 2>err || status=$?
[ $status -eq 1 ] || fail "a key log behind a symbolic link is written"
finish
