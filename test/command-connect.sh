#!/usr/bin/env bash
# securepair connect: what it says of real servers, and its exit status for each way to fail.
set -euo pipefail

# shellcheck source=test/scripts/connecting.bash
. "$(dirname "$0")/scripts/connecting.bash"
need openssl perl
make_certificates

# -- what it says ----------------------------------------------------------------------------------
serve -key key.pem -cert cert.pem -www -alpn h2,http/1.1
expect 0 "localhost:$port" --ca "$root" --quiet
[ ! -s err ] || fail "--quiet says something"
expect 0 "localhost:$port" --ca "$root" --alpn http/1.1 --json
says '"protocol": "TLSv1.3"'
says '"alpn": "http/1.1"'
says '"authorized": true'
printf 'GET / HTTP/1.0\r\n\r\n' >in
expect 0 "localhost:$port" --ca "$root"
grep -q '<HTML>' out || fail "the answer did not come"
says "verdict   authorized"
says "test root"
: >in
expect 0 "localhost:$port" --ca "$root" --resume --tls-max 1.2
says "TLSv1.2"
says "connection 3: resumed"
expect 0 "localhost:$port" --ca "$root" --resume
says "connection 3: resumed"

# -- files that it writes --------------------------------------------------------------------------
umask 0
expect 0 "localhost:$port" --ca "$root" --keylog secrets
says "warning: --keylog: whoever reads secrets can read this connection"
[ "$(stat -c %a secrets)" = 600 ] || fail "others can read the secrets"
grep -q '^CLIENT_HANDSHAKE_TRAFFIC_SECRET ' secrets || fail "the secrets are not there"
lines=$(wc -l <secrets)
expect 0 "localhost:$port" --ca "$root" --keylog secrets --quiet
[ "$(wc -l <secrets)" -gt "$lines" ] || fail "the secrets of a second connection are not added"
chmod 644 secrets
expect 1 "localhost:$port" --ca "$root" --keylog secrets
says "chmod 600"
ln -s secrets link
expect 1 "localhost:$port" --ca "$root" --keylog link
expect 1 "localhost:$port" --ca "$root" --keylog nowhere/secrets
says "cannot write nowhere/secrets: No such file"
umask 022
expect 0 "localhost:$port" --ca "$root" --save-chain chain.pem
cmp -s chain.pem cert.pem || fail "--save-chain wrote something else"
expect 1 "localhost:$port" --ca "$root" --save-chain chain.pem
says "exists already"
expect 0 "localhost:$port" --ca "$root" --save-chain chain.pem --force
expect 0 "localhost:$port" --ca "$root" --save-chain - --quiet
cmp -s out cert.pem || fail "--save-chain - says something else"
expect 3 "localhost:$port" --save-chain refused.pem
cmp -s refused.pem cert.pem || fail "the certificate that was refused is not written"
expect 0 "localhost:$port" --ca "$root" --trace --quiet
says "> ClientHello"
says "< Finished"

# -- options by the command's own names ---------------------------------------------------------------
# refuses WORDS ARGUMENT...
refuses() {
  local words=$1
  shift
  expect 1 "localhost:$port" "$@"
  says "$words"
  ! grep -E '[a-z]_[a-z]|\[[0-9]' err || fail "connect $* names an option of C's"
}
refuses '--ca key.pem, line 1: found "PRIVATE KEY"' --ca key.pem
refuses '--crl cert.pem, line 1: found "CERTIFICATE"' --ca "$root" --crl cert.pem
refuses '--alpn: has 0 bytes' --alpn ''
refuses '--tls-min is TLS 1.3 but --tls-max is TLS 1.2' --tls-min 1.3 --tls-max 1.2
refuses 'give it in --suites' --ciphers TLS_AES_128_GCM_SHA256
refuses '--suites: "nope" is' --suites nope
refuses '--groups: "nope"' --groups nope
"$securepair" key --out other.key
refuses '--key and --cert cert.pem do not belong together' --cert cert.pem --key other.key
before=$port
listen "listening on .*:([0-9]+)" "$securepair" serve 0 --key key.pem --cert cert.pem --client-ca "$root"
expect 5 "localhost:$port" --ca "$root"
says "it requires a client certificate: give --cert and --key"
stop
port=$before

# -- targets -----------------------------------------------------------------------------------------
if [ -s /proc/net/if_inet6 ]; then
  ipv4=$port
  listen '^ACCEPT .*:([0-9]+)$' openssl s_server -accept '[::1]:0' -key key.pem -cert cert.pem -www
  expect 0 "[::1]:$port" --ca "$root" --server-name localhost
  says "::1 port $port"
  expect 7 "[::1]:$port" --ca "$root" --server-name localhost -4
  stop
  port=$ipv4
fi
expect 1 "https://localhost:$port/"
says "is a URL"
expect 1 unix:
says "a socket's path"
expect 1 "unix:$work/x"
says "--server-name NAME is missing"
expect 7 "unix:$work/x" --server-name localhost
says "no such file"
for address in ::1:8000 ::0:8000 0::1:8000 ::1:0; do # who has such an address?
  expect 1 "$address"
  says "[${address%:*}]:${address##*:}, or [$address]"
done
for address in 2001:db8:0:0:0:0:0:1:443 ::1:65535 ::ffff:192.0.2.1:443 fe80::1%lo:443; do # it is none
  expect 1 "$address"
  says "write [${address%:*}]:${address##*:}"
done
for address in 2001:DB8:0:0::0:1 2001:0db8::5:0001 2001:db8::5:8000 ::ffff:c000:201 0:0:0:0:0:0:0:g; do
  expect 1 "$address" --ca missing.pem
  if [[ $address = *g ]]; then says "is no host"; else says "missing.pem"; fi
done
expect 1 a:b:80
says '"a:b:80" is no host'
expect 1 "localhost:$port" --timeout 0
expect 1 "localhost:$port" --linger -1
expect 1 "localhost:$port" --passphrase-file "$root"
expect 1 "localhost:$port" --ciphers nonsense
says "nonsense"
expect 1 "localhost:$port" --groups nonsense
says "nonsense"

# -- who it refuses, and what one can do -------------------------------------------------------------
expect 3 "localhost:$port"
says "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
says "--ca FILE"
expect 3 "127.0.0.1:$port" --ca "$root"
says "ERR_TLS_CERT_ALTNAME_INVALID"
says "--server-name"
expect 0 "127.0.0.1:$port" --ca "$root" --server-name localhost --quiet
expect 0 "127.0.0.1:$port" --insecure
says "--insecure: whoever answers is accepted"
says "NOT authorized"
expect 3 "localhost:$port" --ca "$root" --require-staple
says "OCSP"

# -- other ways to fail ------------------------------------------------------------------------------
expect 5 "localhost:$port" --ca "$root" --alpn nonsense
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
stop
expect 7 "localhost:$port" --ca "$root"
says "connection refused"

one_shot $'HTTP/1.0 400 Bad Request\r\n\r\n'
expect 5 "localhost:$port"
says "HTTP"
one_shot $'220 mail.example ESMTP\r\n'
expect 5 "localhost:$port"
one_shot "" wait
expect 6 "localhost:$port" --timeout 1
# One that keeps its end open is not waited for without end.
if command -v node >/dev/null; then
  listen '^([0-9]+)$' node -e 'const fs = require("fs"), tls = require("tls");
    const s = tls.createServer({key: fs.readFileSync("key.pem"), cert: fs.readFileSync("cert.pem"), allowHalfOpen: true},
      (c) => c.resume().on("error", () => {}));
    s.listen(0, "127.0.0.1", () => console.log(s.address().port))'
  expect 6 "localhost:$port" --ca "$root" --timeout 2
  says "did not end within 2 seconds after we did"
  expect 0 "localhost:$port" --ca "$root" --timeout 1 --json
  stop
fi

# -- truncation: visible -----------------------------------------------------------------------------
serve -key key.pem -cert cert.pem -www
backend=$port
# A peer in the middle that cuts after the handshake.
perl_server -MIO::Socket::INET -MIO::Select -e '$| = 1;
  $l = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die; print $l->sockport, "\n"; alarm 60;
  $c = $l->accept; $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) or die;
  $both = IO::Select->new($c, $s); $from_client = 0;
  while (1) { for $f ($both->can_read) { sysread($f, $_, 65536) or exit 0; $from_client++ if $f == $c;
    syswrite $f == $c ? $s : $c, $_; if ($from_client > 2) { shutdown $c, 1; 1 while sysread $c, $_, 65536; exit 0 } } }' "$backend"
printf 'hello\n' >in
expect 4 "localhost:$port" --ca "$root"
says "data may be missing"
: >in

exit $failed
