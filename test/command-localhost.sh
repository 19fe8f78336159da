#!/usr/bin/env bash
# securepair localhost: OpenSSL, GnuTLS, curl and Node trust what it makes once they trust its root; the root
# is made once, whoever comes first; and the machine's own store takes it and gives it back.
# Timeout: 600
set -euo pipefail

build=$(cd "${1:-build}" && pwd) name=command-localhost
source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
securepair=$build/securepair
command -v openssl >/dev/null || { echo "command-localhost: openssl is not here" >&2; exit 77; }
work=$(mktemp -d)
server=
# shellcheck disable=SC2317 # a trap
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
cd "$work"
export HOME="$work/my home" XDG_DATA_HOME=
mkdir "$HOME"
# shellcheck source=test/scripts/expect.sh
. "$source/test/scripts/expect.sh"
mode() { stat -c %a "$1"; }

# -- what it makes ---------------------------------------------------------------------------------
umask 0
expect 0 "$securepair" localhost app.test '*.app.test' 192.0.2.7 localhost
says "good for localhost, 127.0.0.1, ::1"
for word in update-ca-certificates "curl --cacert '" "NODE_EXTRA_CA_CERTS='" certutil ca_files; do says "$word"; done
folder=$HOME/.local/share/securepair/authority
root=$folder/root.pem
[ "$("$securepair" localhost --root)" = "$root" ] || fail "--root says another place"
[ "$(mode localhost-key.pem) $(mode localhost-cert.pem)" = "600 644" ] || fail "wrong modes of the files"
[ "$(mode "$folder") $(mode "${folder%/*}") $(mode "$folder/root-key.pem")" = "700 700 600" ] ||
  fail "others can read the authority"
for host in localhost app.test b.app.test; do
  expect 0 openssl verify -x509_strict -purpose sslserver -verify_hostname $host -CAfile "$root" localhost-cert.pem
done
for address in 127.0.0.1 ::1 192.0.2.7; do
  expect 0 openssl verify -x509_strict -verify_ip $address -CAfile "$root" localhost-cert.pem
done
expect 0 "$securepair" show localhost-key.pem localhost-cert.pem "$root"
if command -v certtool >/dev/null; then
  expect 0 certtool --verify --verify-hostname=app.test --load-ca-certificate "$root" --infile localhost-cert.pem
fi

# -- a second time, and what it refuses ------------------------------------------------------------
cp localhost-key.pem before.pem
expect 1 "$securepair" localhost
says "localhost-key.pem exists already"
cmp -s localhost-key.pem before.pem || fail "a key was written over"
expect 0 "$securepair" localhost --key other-key.pem --cert other-cert.pem --days 30
expect 0 openssl verify -CAfile "$root" other-cert.pem
expect 0 "$securepair" localhost --force
! cmp -s localhost-key.pem before.pem || fail "--force did not write"
expect 0 "$securepair" authority list --folder "$folder"
[ "$(wc -l <out)" -eq 3 ] || fail "not all that was signed is on record"
expect 1 "$securepair" localhost --force 'a b'
says 'NAME: "a b" is neither'
expect 1 "$securepair" localhost --root extra
says '"extra": --root, --trust and --untrust take no names'
expect 1 "$securepair" localhost --force --days 0
says "--days 0"
expect 1 "$securepair" localhost --root --trust
expect 1 "$securepair" localhost --key same.pem --cert same.pem
expect 1 env HOME=/dev/null/none "$securepair" localhost --force
says "cannot make the folder"
expect 0 env XDG_DATA_HOME="$work/data" "$securepair" localhost --root
says "$work/data/securepair/authority/root.pem"
expect 0 env XDG_DATA_HOME=relative "$securepair" localhost --root
says "$root"

# -- many at once, and one that was killed, make one root ------------------------------------------
export XDG_DATA_HOME=$work/many
mkdir -p "$XDG_DATA_HOME/securepair/authority"
echo "half a key" >"$XDG_DATA_HOME/securepair/authority/root-key.pem"
pids=()
for i in $(seq 6); do
  "$securepair" localhost --key "many-$i-key.pem" --cert "many-$i.pem" >/dev/null 2>"many-$i.err" &
  pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || fail "one of six failed: $(cat many-*.err)"; done
for i in $(seq 6); do
  expect 0 openssl verify -CAfile "$XDG_DATA_HOME/securepair/authority/root.pem" "many-$i.pem"
done
export XDG_DATA_HOME=

# -- those it names trust it -----------------------------------------------------------------------
serve() {
  openssl s_server -accept 127.0.0.1:0 -key localhost-key.pem -cert localhost-cert.pem -www >server.log 2>&1 &
  server=$!
  for _ in $(seq 200); do
    port=$(sed -nE 's/^ACCEPT .*:([0-9]+)$/\1/p' server.log)
    [ -z "$port" ] || return 0
    kill -0 $server 2>/dev/null || break
    read -r -t 0.05 <> <(:) || true
  done
  fail "the server does not begin: $(cat server.log)"
}
port=
serve
# shellcheck disable=SC2016 # node's
node_get='require("https").get(`https://localhost:${process.argv[1]}/`, { family: 4, agent: false }, (r) => r.resume())
  .on("error", (e) => { console.error(e.code); process.exit(1); })'
if [ -n "$port" ]; then
  expect 3 "$securepair" connect "localhost:$port" -4 --json
  expect 0 "$securepair" connect "localhost:$port" -4 --ca "$root" --json
  if command -v curl >/dev/null; then
    expect 60 curl -sS4 "https://localhost:$port/"
    expect 0 curl -sS4 --cacert "$root" "https://localhost:$port/"
  fi
  if command -v node >/dev/null; then
    expect 1 node -e "$node_get" "$port"
    says UNABLE_TO_VERIFY_LEAF_SIGNATURE
    expect 0 env NODE_EXTRA_CA_CERTS="$root" node -e "$node_get" "$port"
  fi
fi
if command -v certutil >/dev/null; then
  mkdir -p "$HOME/.pki/nssdb"
  advice=$("$securepair" localhost --key nss-key.pem --cert nss.pem | sed -n 's/^ *Chromium: *//p')
  expect 0 certutil -d "sql:$HOME/.pki/nssdb" -N --empty-password
  expect 0 bash -c "$advice"
  expect 0 certutil -d "sql:$HOME/.pki/nssdb" -L
  says securepair
fi

# -- the machine's store, in a view of the files that is this test's own --------------------------
# shellcheck disable=SC2016 # the other bash's
store_test='
  set -e
  mount -t tmpfs none /usr/local/share/ca-certificates
  mkdir "$1/certs"
  cp -a /etc/ssl/certs/. "$1/certs"
  mount --bind "$1/certs" /etc/ssl/certs
  "$2" localhost --trust
  openssl verify localhost-cert.pem
  "$2" localhost --force | grep "store has the root"
  "$2" show localhost-cert.pem
  "$2" localhost --untrust
  ! openssl verify localhost-cert.pem
  [ -z "$(ls /usr/local/share/ca-certificates)" ]'
if [ "$(id -u)" -eq 0 ] && command -v update-ca-certificates >/dev/null && unshare -m true 2>/dev/null; then
  unshare -m bash -c "$store_test" bash "$work" "$securepair" >store.log 2>&1 ||
    { fail "the machine's store"; cat store.log >&2; }
else
  echo "command-localhost: the machine's store was not tried: that takes root, and Debian's ca-certificates" >&2
fi
exit $failed
