#!/usr/bin/env bash
# securepair connect: what it says of real servers, how it turns other protocols to TLS, and its exit status
# for each way to fail.
set -euo pipefail

build=$(cd "${1:-build}" && pwd)
source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
securepair=$build/securepair
for tool in openssl perl; do
  command -v $tool >/dev/null || { echo "command-connect: $tool is not here" >&2; exit 77; }
done
work=$(mktemp -d)
started=()
failed=0
patience=60

# shellcheck disable=SC2317 # the trap calls it
cleanup() {
  local pid
  for pid in "${started[@]}"; do
    kill -KILL "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap cleanup EXIT
cd "$work"

fail() {
  printf 'command-connect: %s\n' "$*" >&2
  failed=1
}

# expect STATUS ARGUMENT...: of securepair connect, its input from the file `in`.
expect() {
  local wanted=$1 status=0
  shift
  timeout $patience "$securepair" connect "$@" >out 2>err <in || status=$?
  [ $status -eq "$wanted" ] || { fail "connect $* ended with $status, not $wanted"; cat out err >&2; }
}
says() { grep -qF -- "$1" out err || { fail "nothing says \"$1\""; cat out err >&2; }; }

# listen PATTERN COMMAND...: starts a server and waits for a line with its port, which it sets.
listen() {
  local pattern=$1 line from
  shift
  exec {from}< <(exec "$@" 2>&1 </dev/null)
  started+=($!)
  while read -r -t $patience -u "$from" line; do
    if [[ $line =~ $pattern ]]; then
      port=${BASH_REMATCH[1]}
      return
    fi
    printf '%s\n' "$line" >&2
  done
  fail "$* did not start"
  exit 1
}
serve() { listen '^ACCEPT .*:([0-9]+)$' "$@"; }
perl_server() { listen '^([0-9]+)$' perl "$@"; }
: >in

"$securepair" authority init --subject "CN=test root" >/dev/null
"$securepair" key --out key.pem
"$securepair" request --key key.pem --name localhost --out csr.pem
"$securepair" authority sign csr.pem --out cert.pem
root=authority/root.pem

# -- what it says ----------------------------------------------------------------------------------
serve openssl s_server -accept 127.0.0.1:0 -key key.pem -cert cert.pem -www -alpn h2,http/1.1
expect 0 "localhost:$port" --ca $root --quiet
[ ! -s err ] || fail "--quiet says something"
expect 0 "localhost:$port" --ca $root --alpn http/1.1 --json
says '"protocol": "TLSv1.3"'
says '"alpn": "http/1.1"'
says '"authorized": true'
printf 'GET / HTTP/1.0\r\n\r\n' >in
expect 0 "localhost:$port" --ca $root
grep -q '<HTML>' out || fail "the answer did not come"
says "verdict   authorized"
says "test root"
: >in
expect 0 "localhost:$port" --ca $root --resume --tls-max 1.2
says "TLSv1.2"
says "connection 3: resumed"
expect 0 "localhost:$port" --ca $root --resume
says "connection 3: resumed"

# -- who it refuses, and what one can do -------------------------------------------------------------
expect 3 "localhost:$port"
says "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
says "--ca FILE"
expect 3 "127.0.0.1:$port" --ca $root
says "ERR_TLS_CERT_ALTNAME_INVALID"
says "--server-name"
expect 0 "127.0.0.1:$port" --ca $root --server-name localhost --quiet
expect 0 "127.0.0.1:$port" --insecure
says "--insecure: whoever answers is accepted"
says "NOT authorized"
expect 3 "localhost:$port" --ca $root --require-staple
says "OCSP"

# -- other ways to fail ------------------------------------------------------------------------------
expect 5 "localhost:$port" --ca $root --alpn nonsense
expect 1 "localhost:$port" --tls-max 1.1
says "not safe"
expect 1 "localhost:$port" --cert cert.pem
says "needs both"
expect 1 "localhost:99999"
says 'port "99999"'
expect 1 "[::1"
expect 1 "localhost:$port" --ca missing.pem
says "missing.pem"
expect 1 "localhost:$port" --starttls gopher
says "these are: smtp"
expect 2
expect 7 no-such-host.invalid
says "cannot find the address"
kill "${started[-1]}"
wait "${started[-1]}" 2>/dev/null || true
expect 7 "localhost:$port" --ca $root
says "connection refused"

# one_shot ANSWER [wait]: answers the first client with a text and closes, or keeps it waiting.
one_shot() {
  perl_server -MIO::Socket::INET -e '$| = 1; $l = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die;
    print $l->sockport, "\n"; alarm 60; $c = $l->accept; sysread $c, $_, 4096; syswrite $c, $ARGV[0];
    sysread $c, $_, 4096 while $ARGV[1] && length' "$1" "${2:-}"
}
one_shot $'HTTP/1.0 400 Bad Request\r\n\r\n'
expect 5 "localhost:$port"
says "HTTP"
one_shot $'220 mail.example ESMTP\r\n'
expect 5 "localhost:$port"
one_shot "" wait
expect 6 "localhost:$port" --timeout 1

# -- truncation: visible -----------------------------------------------------------------------------
serve openssl s_server -accept 127.0.0.1:0 -key key.pem -cert cert.pem -www
backend=$port
# A peer in the middle that cuts after the handshake.
perl_server -MIO::Socket::INET -MIO::Select -e '$| = 1;
  $l = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die; print $l->sockport, "\n"; alarm 60;
  $c = $l->accept; $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) or die;
  $both = IO::Select->new($c, $s); $from_client = 0;
  while (1) { for $f ($both->can_read) { sysread($f, $_, 65536) or exit 0; $from_client++ if $f == $c;
    syswrite $f == $c ? $s : $c, $_; if ($from_client > 2) { shutdown $c, 1; 1 while sysread $c, $_, 65536; exit 0 } } }' "$backend"
printf 'hello\n' >in
expect 4 "localhost:$port" --ca $root
says "data may be missing"
: >in

# -- protocols that turn to TLS ----------------------------------------------------------------------
# starttls STATUS PROTOCOL [TWIST]
starttls() {
  perl_server "$source/test/scripts/starttls-peer.pl" "$2" "$backend" "${3:-}"
  expect "$1" "localhost:$port" --starttls "$2" --ca $root --json -4
}
for protocol in smtp imap pop3 ftp nntp sieve xmpp ldap postgres mysql; do
  starttls 0 $protocol
  says '"authorized": true'
  starttls 5 $protocol refuse # W30: no TLS, no connection
  [ $protocol = mysql ] && continue # its last word comes before ours
  starttls 5 $protocol inject # W29
done
exit $failed
