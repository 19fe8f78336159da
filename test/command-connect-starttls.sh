#!/usr/bin/env bash
# securepair connect --starttls with scripted servers: ten protocols that turn to TLS, and what must never happen
# on the way: cleartext ahead of TLS (W29), no TLS (W30), greetings without end, silence. Real servers are another
# test's, starttls-real.
set -euo pipefail

# shellcheck source=test/scripts/connecting.bash
. "$(dirname "$0")/scripts/connecting.bash"
need openssl perl
make_certificates
serve -key key.pem -cert cert.pem -www
backend=$port

# peer PROTOCOL [TWIST [PATH]]: that server; the one before is gone.
peer() {
  [ ${#started[@]} -eq 1 ] || stop
  perl_server "$source/test/scripts/starttls-peer.pl" "$1" "$backend" "${@:2}"
}
# starttls STATUS PROTOCOL [ARGUMENT...]
starttls() {
  local wanted=$1 protocol=$2
  shift 2
  expect "$wanted" "localhost:$port" --starttls "$protocol" --ca "$root" -4 "$@"
}

for protocol in smtp imap pop3 ftp nntp sieve xmpp ldap postgres mysql; do
  peer $protocol bytes
  printf 'GET / HTTP/1.0\r\n\r\n' >in
  starttls 0 $protocol
  says "verdict   authorized"
  grep -q '<HTML>' out || fail "$protocol: the page behind it did not come"
  : >in
  peer $protocol refuse # W30: no TLS, no connection
  starttls 5 $protocol --json
  says '"secure": false'
  says '"reason": "no_starttls"'
  peer $protocol inject # W29: in the same segment
  starttls 5 $protocol --json
  says '"reason": "injected"'
  [ $protocol = mysql ] || { peer $protocol late; starttls 5 $protocol; } # and in a later one
done
peer smtp
starttls 0 smtp --json --resume
says '"resumed": true'
stop

# -- a Unix socket -----------------------------------------------------------------------------------
perl_server "$source/test/scripts/starttls-peer.pl" mysql "$backend" "" "$work/socket"
expect 0 "unix:$work/socket" --starttls mysql --ca "$root" --server-name localhost
says "verdict   authorized"
expect 1 "unix:$work/socket" --starttls mysql --ca "$root"
says "--server-name NAME is missing"
expect 0 "unix:$work/socket" --starttls mysql --insecure --json
stop
expect 7 "unix:$work/nothing" --starttls mysql --server-name localhost
says "no such file"

# -- servers that are none, or mean harm ---------------------------------------------------------------
# says_first TEXT [more|hold]: greets so, without end, or keeps quiet after it; else closes.
says_first() {
  perl_server -MIO::Socket::INET -e '$| = 1; $SIG{PIPE} = "IGNORE"; $l = IO::Socket::INET->new(Listen => 9, LocalAddr => "127.0.0.1") or die;
    print $l->sockport, "\n"; alarm 60; while ($c = $l->accept) { syswrite $c, $ARGV[0];
    if ($ARGV[1] eq "more") { 1 while syswrite $c, $ARGV[0] } elsif ($ARGV[1]) { 1 while sysread $c, $_, 999 } close $c }' "$1" "${2:-}"
}
says_first $'HTTP/1.1 400 Bad Request\r\n\r\n'
for protocol in smtp imap pop3 ftp nntp sieve xmpp ldap postgres; do
  starttls 5 $protocol
  says "HTTP/1.1 400 Bad Request"
done
starttls 5 mysql --timeout 2
stop
says_first $'421 \e]0;owned\a too many\r\n' hold
starttls 5 smtp
says 'the server refuses us, it said: "421 \x1B]0;owned\x07 too many"'
! grep -q $'\e' err || fail "a control character reached the terminal"
starttls 5 smtp --json
! grep -q $'\e' out err || fail "a control character is in the JSON"
stop
says_first $'220-and another thing\r\n' more
starttls 5 smtp
says "too much before TLS"
starttls 5 ftp
says "too much before TLS"
stop
says_first '220 no end of a line ' more
starttls 5 smtp
says "line without end"
stop
says_first '220 ' hold
starttls 6 smtp --timeout 1
says "did not turn to TLS in time"
says "does no firewall swallow it"
starttls 6 smtp --timeout 1 --json
says '"reason": "timeout"'
stop
says_first ''
starttls 5 smtp
says "closed before TLS began"
stop
starttls 7 smtp
says "connection refused"
expect 7 no-such-host.invalid --starttls imap
says "cannot find the address"
expect 1 "localhost:$port" --starttls gopher
says "these are: smtp"
exit $failed
