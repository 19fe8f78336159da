#!/usr/bin/env bash
# securepair authority: what it signs is accepted by OpenSSL and GnuTLS; fifty that sign at once and a kill
# at every write lose nothing and repeat no serial (FAULTS.md K15).
set -euo pipefail

build=$(cd "${1:-build}" && pwd)
securepair=$build/securepair
for tool in openssl certtool; do
  command -v $tool >/dev/null || { echo "command-authority: $tool is not here" >&2; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0

fail() {
  printf 'command-authority: %s\n' "$*" >&2
  failed=1
}

# expect STATUS COMMAND...: output in `out`, errors in `err`.
expect() {
  local wanted=$1 status=0
  shift
  "$@" >out 2>err </dev/null || status=$?
  [ $status -eq "$wanted" ] || { fail "$* ended with $status, not $wanted"; cat out err >&2; }
}
says() { grep -qF -- "$1" out err || { fail "nothing says \"$1\""; cat out err >&2; }; }

# -- an authority in five commands -----------------------------------------------------------------
expect 0 "$securepair" authority --help
expect 2 "$securepair" authority
expect 2 "$securepair" authority bake
expect 1 "$securepair" authority list
says "there is no authority at"
expect 0 "$securepair" authority init --subject "CN=test root" --permit example --permit 192.0.2.0/24
says "give it to those who are to trust"
[ "$(stat -c %a authority/root-key.pem)" = 600 ] || fail "the root's key is readable by others"
[ "$(stat -c %a authority/authority.db)" = 600 ] || fail "the database is readable by others"
expect 1 "$securepair" authority init
says "there is an authority in it already"
expect 0 "$securepair" key --out key.pem
expect 0 "$securepair" request --key key.pem --name a.example --name 192.0.2.1 --out csr.pem
expect 0 "$securepair" authority sign csr.pem --out cert.pem
expect 0 openssl verify -x509_strict -purpose sslserver -verify_hostname a.example -CAfile authority/root.pem cert.pem
expect 0 certtool --verify --verify-hostname=a.example --load-ca-certificate authority/root.pem --infile cert.pem
expect 0 "$securepair" show key.pem cert.pem authority/root.pem
says "CN=a.example is signed by CN=test root."

# -- what it does not sign -------------------------------------------------------------------------
expect 0 "$securepair" request --key key.pem --name a.other --out other.pem
expect 1 "$securepair" authority sign other.pem
says "may not sign for such a name"
expect 1 "$securepair" authority sign csr.pem --authority
says "path length is 0"
expect 1 "$securepair" authority sign key.pem
says "this is a private key"
expect 1 "$securepair" authority sign csr.pem --out cert.pem
says "exists already"
expect 1 "$securepair" authority sign csr.pem --days 9999
says "beyond the end"
expect 0 "$securepair" request --key key.pem --subject CN=Ada --client --out ada.csr
expect 1 "$securepair" authority sign ada.csr
says "names is empty"
expect 0 "$securepair" authority sign ada.csr --client --out ada.pem
expect 0 openssl verify -x509_strict -purpose sslclient -CAfile authority/root.pem ada.pem
openssl req -new -key key.pem -subj /CN=a.example -addext subjectAltName=DNS:a.example \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign -out greedy.csr
expect 0 "$securepair" authority sign greedy.csr --out greedy.pem
expect 0 openssl x509 -in greedy.pem -noout -ext basicConstraints,keyUsage
says "CA:FALSE"
! grep -q 'Certificate Sign' out || fail "a request made itself an authority"

# -- revocation ------------------------------------------------------------------------------------
# shellcheck disable=SC2317 # expect calls it
verify_with_list() { openssl verify -crl_check -CRLfile crl.pem -CAfile authority/root.pem "$1"; }
expect 0 "$securepair" authority crl --out crl.pem
expect 0 verify_with_list cert.pem
expect 0 "$securepair" authority revoke cert.pem --reason key-compromise
expect 1 "$securepair" authority revoke cert.pem
says "is revoked already"
expect 1 "$securepair" authority revoke 0123
says "has signed no certificate"
expect 1 "$securepair" authority revoke ada.pem --reason bored
says "--reason bored"
expect 0 "$securepair" authority crl --out crl.pem --force
expect 2 verify_with_list cert.pem
says "certificate revoked"
expect 0 verify_with_list ada.pem
expect 0 openssl crl -in crl.pem -noout -text
says "Key Compromise"
expect 0 "$securepair" show crl.pem
says "revoked     1"
expect 0 "$securepair" authority list
says "revoked"
serial=$(openssl x509 -in ada.pem -noout -serial | cut -d= -f2)
expect 0 "$securepair" authority list --pem "$serial"
cmp -s out ada.pem || fail "list --pem shows another certificate"

# -- with a passphrase, and one below it -----------------------------------------------------------
printf 'correct horse\n' >secret
expect 0 "$securepair" authority init --folder two --subordinates 1 --passphrase-file secret
expect 0 "$securepair" authority sign csr.pem --folder two --authority --subject "CN=middle" \
  --passphrase-file secret --out middle.pem
expect 0 openssl verify -x509_strict -CAfile two/root.pem middle.pem
expect 1 setsid "$securepair" authority sign csr.pem --folder two
says "is encrypted"

# -- an intermediate one ---------------------------------------------------------------------------
expect 1 "$securepair" authority init --folder three --below authority
says "path length is 0"
[ ! -e three ] || fail "half an authority is left"
expect 0 "$securepair" authority init --folder three --below two --parent-passphrase-file secret
[ "$(stat -c %a three/intermediate-key.pem)" = 600 ] || fail "the intermediate's key is readable by others"
expect 0 "$securepair" authority list --folder two
says "CN=intermediate authority of my own"
expect 0 "$securepair" authority sign csr.pem --folder three --out chained.pem
expect 0 openssl verify -x509_strict -CAfile two/root.pem -untrusted chained.pem chained.pem
[ "$(grep -c BEGIN chained.pem)" -eq 2 ] || fail "the intermediate's certificate does not come along"
expect 0 certtool --verify --verify-hostname=a.example --load-ca-certificate two/root.pem --infile chained.pem
expect 1 "$securepair" authority sign csr.pem --folder three --authority --subject CN=more
says "path length is 0"
expect 0 "$securepair" authority crl --folder three --out three.crl

# -- fifty at once ---------------------------------------------------------------------------------
pids=()
for i in $(seq 50); do
  "$securepair" authority sign csr.pem --out "many-$i.pem" 2>"many-$i.err" &
  pids+=($!)
done
for pid in "${pids[@]}"; do
  wait "$pid" || fail "one of fifty that sign at once failed: $(cat many-*.err)"
done
serials() { "$securepair" authority list --json | grep -o '"serial": "[^"]*"' | sort; }
[ "$(serials | uniq -d | wc -l)" -eq 0 ] || fail "a serial was given twice"
for i in $(seq 50); do
  serial=$(openssl x509 -in "many-$i.pem" -noout -serial | cut -d= -f2)
  serials | grep -q "$serial" || fail "certificate $serial is not on record"
done

# -- killed at every write -------------------------------------------------------------------------
if ! command -v strace >/dev/null || ! strace -o /dev/null true 2>/dev/null; then
  echo "command-authority: strace is not here or not allowed: killing was not tried" >&2
  [ $failed -eq 0 ] && exit 77
  exit 1
fi
calls=pwrite64,write,fsync,fdatasync,link,unlink,ftruncate
for k in $(seq 60); do
  status=0
  rm -f killed.pem killed.pem.*.tmp
  # LeakSanitizer cannot look while strace does.
  (ASAN_OPTIONS=detect_leaks=0 strace -qq -o /dev/null -e trace=$calls \
    -e inject=$calls:signal=SIGKILL:when="$k" \
    "$securepair" authority sign csr.pem --out killed.pem; exit $?) >/dev/null 2>&1 || status=$?
  expect 0 "$securepair" authority list
  if [ -e killed.pem ]; then
    serial=$(openssl x509 -in killed.pem -noout -serial | cut -d= -f2) || fail "killed at $k: half a certificate"
    serials | grep -q "$serial" || fail "killed at call $k: $serial was given out and is not on record"
  fi
  [ $status -ne 0 ] || break
done
[ "$status" -eq 0 ] || fail "signing makes more than sixty calls that write"
[ "$k" -gt 5 ] || fail "the kills did not happen"
[ "$(serials | uniq -d | wc -l)" -eq 0 ] || fail "a serial was given twice"
exit $failed
