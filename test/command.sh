#!/usr/bin/env bash
# The command securepair: what it makes is accepted by OpenSSL and GnuTLS, it accepts theirs, and it says
# what is wrong in a sentence.
set -euo pipefail

build=$(cd "${1:-build}" && pwd) name=command
source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
securepair=$build/securepair
for tool in openssl certtool; do
  command -v $tool >/dev/null || { echo "command: $tool is not here" >&2; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
# shellcheck source=test/scripts/expect.sh
. "$source/test/scripts/expect.sh"

# -- help and mistakes -----------------------------------------------------------------------------
expect 2 "$securepair"
expect 0 "$securepair" --help
says "Examples"
expect 0 "$securepair" --version
expect 2 "$securepair" bake
says 'there is no command "bake"'
for command in key request certificate show; do
  expect 0 "$securepair" $command --help
  says "Examples"
  [ ! -s err ] || fail "$command --help writes to standard error"
  expect 0 "$securepair" help $command
  expect 2 "$securepair" $command --nonsense
  says "--nonsense"
done

# A configuration of OpenSSL that would break everything is not read.
printf 'openssl_conf = no-such-section\n.include /no/such/file\n' >broken.cnf
expect 0 env OPENSSL_CONF="$PWD/broken.cnf" "$securepair" key

# -- keys ------------------------------------------------------------------------------------------
umask 0
for kind in "" "--rsa 2048" "--ec P-384" "--ec p-521" --ed25519; do
  # shellcheck disable=SC2086 # options
  expect 0 "$securepair" key $kind --out "key$kind.pem"
  [ "$(stat -c %a "key$kind.pem")" = 600 ] || fail "key$kind.pem is readable by others"
  expect 0 openssl pkey -in "key$kind.pem" -noout -check
  expect 0 certtool --key-info --infile "key$kind.pem"
  expect 0 "$securepair" show "key$kind.pem"
done
cp key.pem before.pem
expect 1 "$securepair" key --out key.pem
says "exists already"
cmp -s key.pem before.pem || fail "a key was written over"
expect 0 "$securepair" key --force --out key.pem
! cmp -s key.pem before.pem || fail "--force did not write"
expect 1 "$securepair" key --rsa 1024
says "not safe any more"
expect 1 "$securepair" key --ec P-192
says "not one of"
expect 1 "$securepair" key --ed25519 --rsa 2048
expect 1 "$securepair" key --out nowhere/key.pem
says "cannot write nowhere/key.pem"
expect 0 "$securepair" key
grep -q 'BEGIN PRIVATE KEY' out || fail "without --out nothing comes"
ln -s key.pem link.pem
expect 1 "$securepair" key --out link.pem
says "exists already"
ls ./*.tmp >/dev/null 2>&1 && fail "a temporary file is left"

# -- passphrases -----------------------------------------------------------------------------------
printf 'correct horse\n' >secret
: >empty
expect 0 "$securepair" key --passphrase-file secret --out locked.pem
expect 0 openssl pkey -in locked.pem -passin file:secret -noout
expect 0 certtool --key-info --infile locked.pem --password 'correct horse'
expect 1 setsid "$securepair" show locked.pem
says "is encrypted"
expect 0 "$securepair" show --passphrase-file secret locked.pem
expect 1 "$securepair" key --passphrase-file empty
says "is empty"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass file:secret -out theirs.pem 2>/dev/null
expect 0 "$securepair" request --key theirs.pem --passphrase-file secret --name a.example
expect 1 setsid "$securepair" request --key theirs.pem --name a.example
says "--passphrase-file"

# -- at a terminal ---------------------------------------------------------------------------------
cat >terminal.zsh <<'END'
zmodload zsh/zpty
zpty there "$1; print ENDED-\$?"
while zpty -r there piece $'*(: |\n)'; do
  print -rn -- $piece
  [[ $piece != *(passphrase|more|locked.pem)': ' ]] || zpty -w there $2
  [[ $piece != *ENDED-[0-9]* ]] || break
done
END
# typed ANSWER COMMAND...: in a terminal of zsh's, where each question is answered; what is seen comes to `out`.
typed() {
  local answer=$1
  shift
  timeout 60 zsh -f terminal.zsh "$(printf '%q ' "$@")" "$answer" >out 2>err </dev/null || true
}
if command -v zsh >/dev/null && zsh -f -c 'zmodload zsh/zpty' 2>/dev/null; then
  export TERM=xterm
  typed "" "$securepair" show key.pem
  grep -q "$(printf '\033\\[1m')" out || fail "no colours on a terminal"
  typed "" env NO_COLOR=1 "$securepair" show key.pem
  ! grep -q "$(printf '\033')" out || fail "colours in spite of NO_COLOR"
  typed "" "$securepair" key --rsa 4096 --out large.pem
  says "Looking for two large primes ..."
  says ENDED-0
  typed 'correct horse' "$securepair" key --ask-passphrase --out asked-locked.pem
  says "The same once more: "
  expect 0 openssl pkey -in asked-locked.pem -passin file:secret -noout
  typed 'correct horse' "$securepair" show asked-locked.pem
  says "private key, encrypted"
  ! grep -q 'correct horse' out || fail "a passphrase is shown"
  typed 'wrong' "$securepair" show asked-locked.pem
  says "the passphrase is wrong"
fi
expect 0 "$securepair" key --rsa 4096 --out large2.pem
[ ! -s err ] || fail "progress is shown where there is no terminal"
expect 1 "$securepair" key --ask-passphrase --out asked.pem
says "is there a terminal?"
[ ! -e asked.pem ] || fail "a key was made without the passphrase"

# -- requests --------------------------------------------------------------------------------------
expect 0 "$securepair" request --key key.pem --name a.example -n '*.a.example' -n 192.0.2.1 \
  --subject 'CN=a.example,O=One\, Two' --out csr.pem
expect 0 openssl req -in csr.pem -noout -verify -subject -text
says "IP Address:192.0.2.1"
expect 0 certtool --crq-info --infile csr.pem
expect 0 "$securepair" show csr.pem key.pem
says "belongs to the request in csr.pem"
expect 1 "$securepair" request --name a.example
says "--key is missing"
expect 1 "$securepair" request --key key.pem --name 'a b'
says '--name: "a b" is neither a DNS name'
expect 1 "$securepair" request --key key.pem --name 'ü.example'
says '--name: "ü.example" has characters beyond ASCII'
expect 1 "$securepair" request --key key.pem --name a.example --subject nonsense
says '--subject: "nonsense" cannot be read'
expect 1 "$securepair" request --key missing.pem --name a.example
says "missing.pem"
(umask 077 && expect 0 "$securepair" request --key key.pem --name a.example --out private.csr)
[ "$(stat -c %a private.csr csr.pem | tr '\n' ' ')" = "644 644 " ] || fail "requests have not mode 644"
chmod 644 before.pem
expect 0 "$securepair" request --key before.pem --name a.example
says "chmod 600 before.pem"
expect 1 "$securepair" request --key csr.pem --name a.example
! grep -q chmod err || fail "a file without a key is taken for one that others can read"

# -- certificates ----------------------------------------------------------------------------------
expect 0 "$securepair" certificate --key key.pem --request csr.pem --days 30 --out cert.pem
expect 0 openssl verify -x509_strict -CAfile cert.pem -purpose sslserver -verify_hostname b.a.example cert.pem
expect 0 certtool --certificate-info --infile cert.pem
expect 3 "$securepair" show cert.pem key.pem
says "is signed by itself"
grep -qE "in (29|30) days" out || fail "the days that are left are wrong"
says "The key in key.pem belongs to the certificate in cert.pem"
expect 3 "$securepair" show "key--rsa 2048.pem" cert.pem
says "belongs to none"
expect 1 "$securepair" certificate --key key.pem
says "whom is the certificate for"
for days in 40000 0 -1; do
  expect 1 "$securepair" certificate --key key.pem --name a.example --days $days
  says "--days $days: 1 to 36500 are possible"
done
# The smallest number is what an option has that was not said.
for command in "certificate --key key.pem --name a.example --days" "authority init --days" "serve 0 --idle-timeout"; do
  # shellcheck disable=SC2086 # words
  expect 2 timeout 20 "$securepair" ${command% *} "${command##* }=-2147483648"
  says "-2147483648: number too large or too small"
done
for command in "authority crl --days" "localhost --days" "serve 0 --handshake-timeout" "serve 0 --max-connections" \
  "serve 0 --grace"; do
  # shellcheck disable=SC2086 # words
  expect 1 timeout 20 "$securepair" ${command% *} "${command##* }=-2147483648"
  says "${command##* } -2147483648: "
done
expect 1 "$securepair" certificate --key key.pem --client --both --name a.example
expect 0 "$securepair" certificate --key key.pem --client --subject CN=Ada --out client.pem
expect 0 openssl verify -x509_strict -CAfile client.pem -purpose sslclient client.pem

# -- show: others' files, and what is wrong with them ----------------------------------------------
openssl req -x509 -newkey rsa:1024 -nodes -keyout weak-key.pem -out weak.pem -subj /CN=weak -days 1 \
  -addext basicConstraints=CA:FALSE 2>/dev/null
expect 3 "$securepair" show weak.pem
says "1024 bits is refused"
says "names no host"
openssl pkcs12 -export -inkey key.pem -in cert.pem -out both.p12 -passout file:secret
expect 3 "$securepair" show --passphrase-file secret both.p12
says "The key in both.p12 belongs to the certificate in both.p12"
expect 1 "$securepair" show both.p12
says "give --passphrase-file"
openssl x509 -in cert.pem -outform DER -out cert.der
expect 3 "$securepair" show cert.der
expect 1 "$securepair" show /etc/passwd
says "holds no key"
expect 1 "$securepair" show missing.pem
head -c 300 cert.pem >cut.pem
expect 1 "$securepair" show cut.pem
says "damaged"
expect 1 "$securepair" show empty
says "empty: is empty"
expect 3 "$securepair" show --json cert.pem
if command -v perl >/dev/null; then
  perl -MJSON::PP -0777 -e 'my $all = decode_json(<>); exit($all->{items}[0]{names}[2] ne "192.0.2.1")' <out ||
    fail "the JSON does not say what it should"
fi
"$securepair" show - <cert.pem >out || [ $? -eq 3 ] || fail "standard input is not read"
says "for         a.example, *.a.example, 192.0.2.1"

# A15: what a certificate says cannot reach the terminal as it is.
openssl req -x509 -key key.pem -out evil.pem -subj "$(printf '/CN=\033[31mevil')" -days 30 \
  -addext subjectAltName=DNS:a.example 2>/dev/null
expect 3 "$securepair" show evil.pem
! grep -q "$(printf '\033')" out || fail "an escape sequence came through"
exit $failed
