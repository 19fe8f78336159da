#!/usr/bin/env bash
# What is made here is accepted by OpenSSL in its strict mode and by GnuTLS' certtool (FAULTS.md K15).
set -euo pipefail

examples=${SP_EXAMPLES:-$(cd "${1:-build}" && pwd)/examples}
command -v openssl >/dev/null || { echo "make-peers: openssl is not here" >&2; exit 77; }
command -v certtool >/dev/null || { echo "make-peers: certtool is not here" >&2; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
  printf 'make-peers: %s\n' "$*" >&2
  exit 1
}

quietly() { "$@" >log 2>&1 || { cat log >&2; fail "$*"; }; }

quietly "$examples/own-authority" . a.example '*.a.example' 192.0.2.1
for key in root-key.pem server-key.pem; do
  [ "$(stat -c %a $key)" = 600 ] || fail "$key is readable by others"
  quietly openssl pkey -in $key -noout -check
  quietly certtool --key-info --infile $key
done
quietly openssl req -in server-csr.pem -noout -verify
quietly certtool --crq-info --infile server-csr.pem
for host in a.example b.a.example; do
  quietly openssl verify -x509_strict -purpose sslserver -verify_hostname $host -crl_check \
    -CRLfile root-crl.pem -CAfile root.pem server-cert.pem
  quietly certtool --verify --verify-hostname=$host --load-ca-certificate root.pem \
    --load-crl root-crl.pem --infile server-cert.pem
done
quietly openssl verify -x509_strict -verify_ip 192.0.2.1 -CAfile root.pem server-cert.pem
! openssl verify -verify_hostname other.example -CAfile root.pem server-cert.pem >log 2>&1 ||
  fail "the certificate names other.example"
openssl x509 -in root.pem -noout -ext basicConstraints,keyUsage | tee log | grep -q 'CA:TRUE' ||
  fail "the root is no authority"
grep -c critical log | grep -qx 2 || fail "an extension of the root is not critical"
! "$examples/own-authority" . a.example 2>log || fail "files were written over"
grep -q 'File exists' log || fail "it does not say why"
