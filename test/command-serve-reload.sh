#!/usr/bin/env bash
# securepair serve while its files change (R13): half-written pairs, a full disk, a read-only folder, a
# storm of SIGHUP, a key that is replaced during a reload. The pair of before stays in force, and the log
# says so.
# shellcheck disable=SC2119,SC2317
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
# shellcheck source=test/scripts/serve.sh
. "$source/test/scripts/serve.sh"
need openssl perl

# pair NAME SUBJECT: NAME.key and NAME.pem.
pair() {
  securepair key --out "$1.key" --force
  securepair certificate --key "$1.key" --name localhost --subject "CN=$2" --out "$1.pem" --force
}
shown() {
  timeout $patience openssl s_client -connect "127.0.0.1:$port" -servername localhost "$@" </dev/null 2>/dev/null |
    openssl x509 -noout -subject -nameopt multiline 2>/dev/null | sed -n 's/^ *commonName *= //p'
}
serves() { [ "$(shown)" = "$1" ]; }
expect() { serves "$1" || fail "the certificate is \"$(shown)\", not $1"; }
expect_soon() { until_true serves "$1" || fail "the certificate is still \"$(shown)\", not $1"; }
kept() { wait_for_count "$1" "what was read before stays in force"; }

mkdir tls
pair tls/server one
serve --key tls/server.key --cert tls/server.pem
expect one

# A connection that is open lives through all of it.
perl -e 'open my $c, "|-", @ARGV or die; $c->autoflush; print $c "first\n"; open my $f, "<", "last"; <$f>; print $c "last\n"' \
  -MIO::Handle -- "$build/securepair" connect "localhost:$port" --insecure --quiet >open.out 2>open.err &
mkfifo last
started+=($!)
open=$!
until_true grep -qs first open.out || fail "no connection"

# -- renewed -------------------------------------------------------------------------------------------
pair new two
mv new.key tls/server.key
mv new.pem tls/server.pem
expect_soon two
says "read again: CN=two"

# -- half-written ----------------------------------------------------------------------------------------
cp tls/server.pem good.pem
head -c 200 good.pem >tls/server.pem
kept 1
says "tls/server.pem"
expect two
cp good.pem tls/server.pem
expect two

pair new three
cp new.key tls/server.key # and not its certificate
kept 2
expect two
cp new.pem tls/server.pem
expect_soon three

: >tls/server.key # a full disk
kill -HUP "$server"
kept 3
expect three
cp new.key tls/server.key

rm tls/server.key
kill -HUP "$server"
kept 4
expect three
cp new.key tls/server.key

# -- a folder that cannot be written, nor its files be read ----------------------------------------------
chmod 500 tls
kill -HUP "$server"
expect three
chmod 700 tls

# -- a storm of SIGHUP, while the pair is replaced again and again ---------------------------------------
storm() {
  local i
  for i in {1..200}; do
    kill -HUP "$server" 2>/dev/null || return
    [ $((i % 10)) -ne 0 ] || { cp "$1.key" tls/server.key; cp "$1.pem" tls/server.pem; }
  done
}
pair left left
pair right right
for round in left right; do
  storm $round &
  storm=$!
  while kill -0 $storm 2>/dev/null; do
    case $(shown) in three | left | right) ;; *) fail "in the storm a client saw \"$(shown)\"" ;; esac
  done
  wait $storm
done
expect_soon right

# -- several keys, of which one changes --------------------------------------------------------------------
echo go >last
wait $open || fail "the open connection ended with $?"
[ "$(cat open.out)" = $'welcome!\nfirst\nlast' ] || fail "the open connection heard $(cat open.out)"
stop

securepair key --rsa 2048 --out tls/rsa.key 2>/dev/null
securepair certificate --key tls/rsa.key --name localhost --subject CN=rsa --out tls/rsa.pem
serve --cert tls/server.pem --cert tls/rsa.pem --key tls/server.key --key tls/rsa.key
[ "$(shown -sigalgs RSA-PSS+SHA256)" = rsa ] || fail "the RSA key is not used"
[ "$(shown -sigalgs ECDSA+SHA256)" = right ] || fail "the EC key is not used"
pair tls/server renewed
expect_soon renewed
[ "$(shown -sigalgs RSA-PSS+SHA256)" = rsa ] || fail "the RSA key got lost"
stop

# -- one file for both, and an encrypted key ---------------------------------------------------------------
printf 'a passphrase\n' >passphrase
securepair key --passphrase-file passphrase --out locked.key
securepair certificate --key locked.key --passphrase-file passphrase --name localhost --subject CN=locked --out locked.pem
cat locked.key >>locked.pem
serve --cert locked.pem --passphrase-file passphrase
expect locked
securepair certificate --key locked.key --passphrase-file passphrase --name localhost --subject CN=again --out again.pem
cat locked.key >>again.pem
mv again.pem locked.pem
expect_soon again
stop

status=0
setsid "$build/securepair" serve 0 --cert locked.pem 2>err </dev/null || status=$?
if [ $status -ne 1 ] || ! grep -q passphrase err; then
  fail "without the passphrase it ended with $status, $(cat err)"
fi
# -- out of date -----------------------------------------------------------------------------------------
printf '%s\n' '[ca]' 'default_ca = own' '[own]' 'database = index' 'new_certs_dir = .' 'rand_serial = yes' \
  'unique_subject = no' 'policy = any' 'default_md = sha256' 'email_in_dn = no' '[any]' 'commonName = optional' \
  '[req]' 'prompt = no' 'distinguished_name = nobody' '[nobody]' >ca.cnf
: >index
# dated FILE START END: a certificate of tls/server.key
dated() {
  openssl req -new -config ca.cnf -key tls/server.key -subj /CN=dated -out dated.csr
  printf 'subjectAltName=DNS:localhost,DNS:a.example\n' >extensions
  openssl ca -batch -notext -selfsign -config ca.cnf -keyfile tls/server.key -in dated.csr -extfile extensions \
    -startdate "$2" -enddate "$3" -out "$1.new" 2>openssl.err || fail "no certificate: $(cat openssl.err)"
  mv "$1.new" "$1"
}
day() { date -u -d "$1" +%Y%m%d%H%M%SZ; }
mkdir names
dated old.pem 20200101000000Z 20200301000000Z
dated tls/server.pem 20900101000000Z 20900301000000Z
dated names/a.example.pem "$(day "60 days ago")" "$(day "3 days 1 hour")"
cp tls/server.key names/a.example.key
serve --cert old.pem --key tls/server.key --cert tls/server.pem --key tls/server.key --sni-folder names
says "old.pem: It expired"
says "(2020-03-01 00:00 UTC). Renew it."
says "tls/server.pem: It is not valid yet, only in"
wait_for "names/a.example.pem: It expires in 3 days"
dated names/a.example.pem "$(day "60 days ago")" "$(day "5 days 1 hour")"
wait_for "names/a.example.pem: It expires in 5 days"
dated old.pem 20200101000000Z 20200401000000Z
wait_for "(2020-04-01 00:00 UTC). Renew it."
dated old.pem "$(day "1 day ago")" "$(day "80 days")"
wait_for_count 2 "read again: CN=dated"
stop
[ "$(grep -c "old.pem: It" log)" -eq 2 ] || fail "a certificate that is fine is warned of"
finish
