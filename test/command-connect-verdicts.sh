#!/usr/bin/env bash
# What securepair connect says of everything that can be wrong with a server (FAULTS.md, K01 to K13): the sentence,
# the remedy, the exit status, and in JSON the word for it. The certificates are OpenSSL's, and so are the servers.
set -euo pipefail

# shellcheck source=test/scripts/connecting.bash
. "$(dirname "$0")/scripts/connecting.bash"
need openssl perl

# -- certificates --------------------------------------------------------------------------------------
cat >ca.conf <<END
[ca]
default_ca = ours
[ours]
database = $work/index
serial = $work/serial
new_certs_dir = $work
default_md = sha256
default_days = 30
default_crl_days = 30
policy = any
unique_subject = no
[any]
commonName = optional
[req]
distinguished_name = none
[none]
END
: >index
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null; }
# self NAME SUBJECT EXTENSION...: signed by itself
self() {
  local name=$1 subject=$2 one extensions=()
  shift 2
  for one; do extensions+=(-addext "$one"); done
  [ -e "$name.key" ] || key "$name"
  openssl req -x509 -config ca.conf -key "$name.key" -subj "$subject" -days 30 "${extensions[@]}" -out "$name.pem"
}
# issue NAME ISSUER SUBJECT EXTENSIONS [OPTION...]: by `openssl ca`; extensions are lines
issue() {
  local name=$1 issuer=$2 subject=$3 lines=$4
  shift 4
  [ -e "$name.key" ] || key "$name"
  printf '%b' "$lines" >extensions
  openssl req -new -config ca.conf -key "$name.key" -subj "$subject" -out csr 2>/dev/null
  openssl ca -batch -config ca.conf -rand_serial -cert "$issuer.pem" -keyfile "$issuer.key" -in csr -notext \
    -extfile extensions -out "$name.pem" "$@" 2>ca.log || { cat ca.log >&2; exit 1; }
}
authority='basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n'
ca_extensions=("basicConstraints=critical,CA:TRUE" "keyUsage=critical,keyCertSign,cRLSign")
named='subjectAltName=DNS:localhost\n'
self root /CN=root "${ca_extensions[@]}"
self other /CN=other "${ca_extensions[@]}"
issue inter root /CN=inter "$authority"
issue good inter /CN=good "$named"
self alone /CN=alone subjectAltName=DNS:localhost

# -- how one is tried ----------------------------------------------------------------------------------
# server NAME [OPTION...]: with that certificate; the one before is gone
server() {
  local name=$1
  shift
  [ ${#started[@]} -eq 0 ] || stop
  serve -key "$name.key" -cert "$name.pem" -www "$@"
}
# bad STATUS WORD SENTENCE REMEDY ARGUMENT...: of connecting to localhost, or where the first argument says
bad() {
  local status=$1 word=$2 sentence=$3 remedy=$4 where=localhost:$port
  shift 4
  case ${1:--} in -*) ;; *) where=$1; shift ;; esac
  expect "$status" "$where" --json "$@"
  says "$sentence"
  [ -z "$remedy" ] || says "$remedy"
  grep -qE "\"(reason|authorization_error)\": \"$word\"" out || { fail "$*: the JSON does not say $word"; cat out >&2; }
  grep -q "^  \"status\": $status,\$" out || { fail "$*: the JSON does not say status $status"; cat out >&2; }
}
fine() {
  expect 0 "localhost:$port" "$@"
  says "verdict   authorized"
}
refused() { bad 3 "$@"; }

# -- K01: who is trusted -------------------------------------------------------------------------------
server alone
refused DEPTH_ZERO_SELF_SIGNED_CERT "is self-signed" "--ca FILE"
fine --ca alone.pem
server good -cert_chain inter.pem
fine --ca root.pem
refused UNABLE_TO_GET_ISSUER_CERT_LOCALLY "issued by root, which is unknown" "trust that: --ca FILE" --ca other.pem
cat inter.pem root.pem >chain
server good -cert_chain chain
refused SELF_SIGNED_CERT_IN_CHAIN "the root root, which is not trusted" "trust that: --ca FILE" --ca other.pem
cat root.pem inter.pem >chain
server good -cert_chain chain
fine --ca root.pem # out of order, and all there
server good
refused UNABLE_TO_VERIFY_LEAF_SIGNATURE "was issued by inter, which is unknown" '"full chain"' --ca root.pem
id=$(openssl x509 -in root.pem -noout -ext subjectKeyIdentifier | tail -1 | tr -d ' ')
self impostor /CN=root "${ca_extensions[@]}" "subjectKeyIdentifier=$id" # another key, and the same names
issue forged impostor /CN=forged "$named"
server forged
refused CERT_SIGNATURE_FAILURE "was not signed by the root that is known here" "somebody may stand between" --ca root.pem

# -- K02: dates ----------------------------------------------------------------------------------------
issue expired root /CN=expired "$named" -startdate 20200101000000Z -enddate 20200201000000Z
issue early root /CN=early "$named" -startdate 20400101000000Z -enddate 20410101000000Z
server expired
refused CERT_HAS_EXPIRED "certificate for localhost expired" "operator has to renew it" --ca root.pem
says "2020-02-01"
server early
refused CERT_NOT_YET_VALID "is not valid before 2040-01-01" "this machine's clock" --ca root.pem

# -- K03 to K05: names ---------------------------------------------------------------------------------
mismatch() { refused ERR_TLS_CERT_ALTNAME_INVALID "" "--server-name" "$@" --ca root.pem; }
issue here root /CN=here "$named"
server here
mismatch --server-name elsewhere.example
mismatch "127.0.0.1:$port"
issue address root /CN=address 'subjectAltName=DNS:127.0.0.1\n'
server address
mismatch "127.0.0.1:$port"
issue nul root /CN=nul 'subjectAltName=DER:30:17:82:15:6c:6f:63:61:6c:68:6f:73:74:00:2e:65:76:69:6c:2e:65:78:61:6d:70\n'
server nul
mismatch
says 'localhost\x00'
issue none root /CN=localhost 'keyUsage=digitalSignature\n'
server none
mismatch
expect 3 "localhost:$port" --ca root.pem
says "none: a certificate without names is good for no host"
issue wild root /CN=wild 'subjectAltName=DNS:*.b.example,DNS:*.example,DNS:f*.c.example,DNS:a.*.d.example\n'
server wild
fine --ca root.pem --server-name a.b.example
mismatch --server-name a.example
mismatch --server-name x.y.b.example
mismatch --server-name foo.c.example
mismatch --server-name a.x.d.example

# -- K06: what authorities may ---------------------------------------------------------------------------
issue narrow root /CN=narrow "${authority}nameConstraints=critical,permitted;DNS:example\n"
issue outside narrow /CN=outside "$named"
server outside -cert_chain narrow.pem
refused PERMITTED_VIOLATION "may not vouch for" "made anew" --ca root.pem
issue last root /CN=last 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=keyCertSign\n'
issue beyond last /CN=beyond "$authority"
issue deep beyond /CN=deep "$named"
cat beyond.pem last.pem >chain
server deep -cert_chain chain
refused PATH_LENGTH_EXCEEDED "more intermediates than" "made anew" --ca root.pem
issue child good /CN=child "$named"
cat good.pem inter.pem >chain
server child -cert_chain chain
refused "(INVALID_PURPOSE|INVALID_CA)" "as an authority, but it is none" "made anew" --ca root.pem
issue client root /CN=client "${named}extendedKeyUsage=clientAuth\n"
server client
refused INVALID_PURPOSE "may only be used for a client" "made anew" --ca root.pem

# -- K07: weak ones --------------------------------------------------------------------------------------
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out weak.key 2>/dev/null
issue weak root /CN=weak "$named"
server weak -cipher ALL:@SECLEVEL=0
refused EE_KEY_TOO_SMALL "has a key that is too weak (RSA, 1024 bits)" "made anew" --ca root.pem
issue digest inter /CN=digest "$named" -md sha1
server digest -cert_chain inter.pem -cipher ALL:@SECLEVEL=0
refused CA_MD_TOO_WEAK "which is too weak" "made anew" --ca root.pem

# -- K08, K09: revocation --------------------------------------------------------------------------------
crl() { openssl ca -gencrl -config ca.conf -cert "$1.pem" -keyfile "$1.key" -out "$2" "${@:3}" 2>ca.log; }
crl root empty.crl
server here
fine --ca root.pem --crl empty.crl
crl other others.crl
refused UNABLE_TO_GET_CRL "revoked cannot be told" "newest revocation list" --ca root.pem --crl others.crl
crl root old.crl -crl_lastupdate 20200101000000Z -crl_nextupdate 20200201000000Z
refused CRL_HAS_EXPIRED "is out of date" "newest revocation list" --ca root.pem --crl old.crl
openssl ca -config ca.conf -cert root.pem -keyfile root.key -revoke here.pem 2>ca.log
crl root new.crl
refused CERT_REVOKED "was revoked by root" "Do not go on" --ca root.pem --crl new.crl
expect 1 "localhost:$port" --ca root.pem --crl missing.crl
says "missing.crl"
issue must root /CN=must "${named}tlsfeature=status_request\n"
server must
fine --ca root.pem
says "none, though the certificate says that it needs one"
refused "(OCSP_VERIFY_NEEDED|UNSPECIFIED)" "OCSP" "switch OCSP stapling on" --ca root.pem --require-staple
staple() {
  openssl ocsp -index index -CA root.pem -rsigner root.pem -rkey root.key -issuer root.pem -cert "$1.pem" -ndays 1 \
    -reqout request.der >ca.log 2>&1 || true
  openssl ocsp -index index -CA root.pem -rsigner root.pem -rkey root.key -reqin request.der -ndays 1 \
    -respout "$1.der" >ca.log 2>&1
}
staple must
server must -status_file must.der
fine --ca root.pem --require-staple
says "staple    good"
staple here
server here -status_file here.der
refused CERT_REVOKED "revoked" "Do not go on" --ca root.pem --require-staple
expect 0 "localhost:$port" --ca root.pem
says "staple    revoked"

# -- K13: who we are ---------------------------------------------------------------------------------------
issue us root /CN=us 'extendedKeyUsage=clientAuth\n'
issue late root /CN=late 'extendedKeyUsage=clientAuth\n' -startdate 20200101000000Z -enddate 20200201000000Z
issue stranger other /CN=stranger 'extendedKeyUsage=clientAuth\n'
for version in 1.2 1.3; do
  server good -cert_chain inter.pem -CAfile root.pem -Verify 3 -verify_return_error
  how=(--ca root.pem --tls-max "$version" --tls-min "$version")
  fine "${how[@]}" --cert us.pem --key us.key
  if [ $version = 1.3 ]; then
    bad 5 alert_certificate "certificate_required" "--cert FILE --key FILE" "${how[@]}"
  else
    bad 5 alert_agreement "handshake_failure" "--cert FILE --key FILE" "${how[@]}"
  fi
  bad 5 alert_certificate "unknown_ca" "those of its issuers" "${how[@]}" --cert stranger.pem --key stranger.key
  bad 5 alert_certificate "certificate_expired" "our certificate has expired" "${how[@]}" --cert late.pem --key late.key
done
expect 1 "localhost:$port" --cert us.pem --key good.key
says "do not belong together"
expect 1 "localhost:$port" --cert us.pem --key ca.conf
says "ca.conf"
openssl pkey -in us.key -aes256 -passout pass:secret -out locked.key
echo secret >secret
echo wrong >wrong
server good -cert_chain inter.pem -CAfile root.pem -Verify 3 -verify_return_error
fine --ca root.pem --cert us.pem --key locked.key --passphrase-file secret
expect 1 "localhost:$port" --cert us.pem --key locked.key --passphrase-file wrong
says "locked.key"

# -- nothing in common ---------------------------------------------------------------------------------------
server good -cert_chain inter.pem -alpn h2
bad 5 alert_agreement "no_application_protocol" "--alpn" --ca root.pem --alpn http/1.1
server good -cert_chain inter.pem -tls1_1 -cipher ALL:@SECLEVEL=0
bad 5 "(alert_agreement|no_shared_version)" "version" "--tls-min" --ca root.pem
server good -cert_chain inter.pem -tls1_2 -cipher ECDHE-ECDSA-AES256-SHA384
bad 5 alert_agreement "handshake_failure" "--ciphers" --ca root.pem
expect 0 "localhost:$port" --ca root.pem --ciphers ECDHE-ECDSA-AES256-SHA384
server good -cert_chain inter.pem -groups P-521
bad 5 alert_agreement "handshake_failure" "--groups" --ca root.pem
expect 0 "localhost:$port" --ca root.pem --groups P-521
says "secp521r1"
server good -cert_chain inter.pem -servername_fatal -servername only.example -cert2 good.pem -key2 good.key
bad 5 alert_agreement "unrecognized_name" "--server-name" --ca root.pem
stop

# -- no TLS at all -------------------------------------------------------------------------------------------
# answers TEXT [more]: says so and closes; or waits, or breaks off
answers() {
  [ ${#started[@]} -eq 0 ] || stop
  perl_server -MIO::Socket::INET -MSocket -e '$| = 1; $l = IO::Socket::INET->new(Listen => 9, LocalAddr => "127.0.0.1") or die;
    print $l->sockport, "\n"; alarm 60; while ($c = $l->accept) { sysread $c, $_, 4096 if $ARGV[1] ne "first"; syswrite $c, $ARGV[0];
    setsockopt $c, SOL_SOCKET, SO_LINGER, pack("ii", 1, 0) if $ARGV[1] eq "reset"; 1 while $ARGV[1] eq "wait" && sysread $c, $_, 999; close $c }' "$1" "${2:-}"
}
answers $'HTTP/1.0 400 Bad Request\r\n\r\n'
bad 5 plain_http "speaks plain HTTP" "port of https"
answers $'220 mail.example ESMTP\r\n'
bad 5 not_tls "greets in cleartext" "--starttls smtp"
answers $'SSH-2.0-x\r\n'
bad 5 not_tls "SSH server" ""
answers $'\e]0;owned\a is no TLS\r\n'
bad 5 not_tls "is not TLS" ""
! grep -q $'\e\|\a' out err || fail "a control character came through"
answers ''
bad 5 closed_early "closed" "right port"
answers '' reset
bad 7 reset "reset" "broke it off"
answers '' wait
bad 6 timeout "" "--timeout waits longer" --timeout 1
stop
bad 7 refused "connection refused" "Nothing listens there"
bad 7 no_such_host "cannot find the address" "Check the name" no-such-host.invalid

# -- A15: texts of the peer ----------------------------------------------------------------------------------
issue hostile root $'/CN=\e[31mred\a \xe2\x80\xae evil' "$named" -utf8
{ printf 'subjectAltName=@many\n[many]\n'; for ((i = 0; i < 900; i++)); do echo "DNS.$i = name-$i.example"; done; } >many
issue many root "/CN=$(printf '%064d' 0)" "$(cat many)\n"
server hostile
expect 3 "localhost:$port"
! grep -q $'\e\|\a\|\xe2\x80\xae' err || fail "a name of the peer's writes to the terminal as it likes"
says '\x1b[31mred\x07'
expect 3 "localhost:$port" --json
! grep -q $'\e\|\a\|\xe2\x80\xae' out err || fail "a name of the peer's is in the JSON as it is"
server many
expect 3 "localhost:$port"
says "and 880 more"
[ "$(wc -c <err)" -lt 4000 ] || fail "many names make a novel"
exit $failed
