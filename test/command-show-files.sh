#!/usr/bin/env bash
# securepair show: files of every form, encrypted or broken (FAULTS.md K10-K12, A15). What can be read is; what
# cannot is named with its file and line, and ends with 1.
# Timeout: 600
set -euo pipefail

build=$(cd "${1:-build}" && pwd) name=command-show-files
# shellcheck source=test/scripts/show.sh
. "$(dirname "${BASH_SOURCE[0]}")/scripts/show.sh"

root root "$authority"
sub middle root "$authority"
issue good root "$server"
issue deep middle "$server"
cat deep.pem middle.pem root.pem >full.pem
printf 'crlnumber = number\n' >crl-line
echo 01 >number
sed -i '/^\[own\]/r crl-line' ca.cnf
quietly openssl ca -config ca.cnf -cert root.pem -keyfile root-key.pem -gencrl -crldays 7 -out list.pem

# -- keys (K10, K11) -------------------------------------------------------------------------------
sees 3 key-mismatch "belongs to none" other-key.pem good.pem root.pem
cat key.pem other-key.pem >keys.pem
sees 3 two-keys "several private keys in keys.pem" keys.pem
printf 'correct horse\n' >secret
printf 'wrong\n' >wrong
: >empty
head -c 1025 /dev/zero | tr '\0' x >long-secret
for form in "pkcs8 -topk8 -v2 aes-256-cbc -passout file:secret" "ec -aes256 -passout file:secret"; do
  # shellcheck disable=SC2086 # options
  quietly openssl $form -in key.pem -out locked.pem
  sees 1 - "locked.pem, line 1: this private key is encrypted: give --passphrase-file" locked.pem
  sees 1 - "the passphrase is wrong" --passphrase-file wrong locked.pem
  sees 0 - "private key, encrypted" --passphrase-file secret locked.pem
done
sees 1 - "is empty" --passphrase-file empty locked.pem
sees 1 - "longer than 1024 bytes" --passphrase-file long-secret locked.pem
sees 0 - "belongs to the certificate in good.pem" --passphrase-file secret good.pem locked.pem root.pem locked.pem
"$securepair" show --passphrase-file /dev/fd/3 locked.pem 3<secret >out || fail "no passphrase from a descriptor"
"$securepair" show --passphrase-file - locked.pem <secret >out || fail "no passphrase from standard input"
# Nobody is asked where standard input is no terminal, though there is one to ask at.
if command -v script >/dev/null; then
  script -qec "$securepair show locked.pem </dev/null" /dev/null >out </dev/null || true
  grep -q "give --passphrase-file" out || fail "a passphrase was asked for in a pipe"
fi

# -- forms of files (K12) --------------------------------------------------------------------------
sed 's/$/\r/' good.pem >crlf.pem
sees 0 - "CN=good" crlf.pem root.pem
{ printf '\357\273\277'; cat good.pem; } >bom.pem
sees 0 - "CN=good" bom.pem root.pem
{ cat good.pem; echo "and that was it"; head -c 100 /dev/urandom; } >junk-after.pem
sees 0 - "CN=good" junk-after.pem root.pem
{ cat good.pem key.pem; } >both.pem
chmod 600 both.pem
sees 0 - "The key in both.pem belongs to the certificate in both.pem" both.pem root.pem
printf '%s' "$(cat good.pem)" >no-newline.pem
sees 0 - "CN=good" no-newline.pem root.pem
printf '%s%s' "$(cat deep.pem)" "$(cat middle.pem)" >glued.pem
sees 0 - "The chain of CN=deep is complete" glued.pem root.pem
quietly openssl x509 -in good.pem -outform DER -out good.der
sees 0 - "good.der: certificate" good.der root.pem
quietly openssl pkey -in key.pem -outform DER -out key.der
chmod 600 key.der
sees 0 - "key.der: private key" key.der
quietly openssl crl -in list.pem -outform DER -out list.der
sees 0 - "list.der: revocation list" list.der
quietly openssl x509 -in good.pem -trustout -addtrust serverAuth -out trusted.pem
sees 3 trusted-certificate "only OpenSSL reads" trusted.pem root.pem
quietly openssl ecparam -name prime256v1 -genkey -out params.pem
sees 0 - "a key has its own parameters" params.pem
{ head -c 200 good.pem; printf '\0'; tail -c +201 good.pem; } >nul-inside.pem
sees 1 - 'nul-inside.pem, line 1: the block "CERTIFICATE" is damaged' nul-inside.pem
{ cat deep.pem; sed '$d' middle.pem; } >cut.pem
sees 1 - "cut.pem, line $(($(wc -l <deep.pem) + 1)): the block \"CERTIFICATE\" is damaged" cut.pem
{ sed '$d' middle.pem; cat deep.pem; } >cut-first.pem
sees 1 - "CN=deep" cut-first.pem
{ cat good.pem; printf -- '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'; } >junk-cert.pem
sees 1 - "junk-cert.pem, line $(($(wc -l <good.pem) + 1)): damaged" junk-cert.pem
printf -- '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n' >junk-key.pem
sees 1 - "the key is damaged" junk-key.pem
head -c 3000 /dev/urandom | tr '\060' 'x' >noise
sees 1 - "noise: holds no key" noise
iconv -f ASCII -t UTF-16 good.pem >utf16.pem 2>/dev/null && sees 1 - "UTF-16" utf16.pem
sees 1 - "is empty" empty
for ((i = 0; i < 8; i++)); do cat full.pem; done >eight.pem
for ((i = 0; i < 550; i++)); do cat eight.pem; done >ten-megabytes.pem
timeout 100 "$securepair" show ten-megabytes.pem >out 2>err && fail "so many certificates, and no word on it"
[ "$(grep -c '^ten-megabytes.pem' out)" -ge 13000 ] || fail "not all certificates of a large file are shown"
head -c 17000000 /dev/zero >too-large
sees 1 - "too-large" too-large

# -- PKCS#12 ---------------------------------------------------------------------------------------
quietly openssl pkcs12 -export -inkey key.pem -in good.pem -certfile root.pem -passout file:secret -out new.p12
chmod 600 new.p12
sees 0 - "The key in new.p12 belongs to the certificate in new.p12" --passphrase-file secret new.p12
sees 1 - "give --passphrase-file" new.p12
sees 1 - "does not open with that passphrase" --passphrase-file wrong new.p12
quietly openssl pkcs12 -export -inkey key.pem -in good.pem -certfile root.pem -passout pass: -out open.p12
chmod 600 open.p12
sees 0 - "The key in open.p12 belongs" open.p12
if openssl pkcs12 -export -legacy -inkey key.pem -in good.pem -passout file:secret -out legacy.p12 2>/dev/null; then
  chmod 600 legacy.p12
  sees 3 legacy-pkcs12 "OpenSSL 3 refuses to open" --passphrase-file secret legacy.p12 root.pem
  grep -q "The key in legacy.p12 belongs" out || fail "a legacy PKCS#12 was not opened"
fi

# -- hostile names (A15) ---------------------------------------------------------------------------
evil=$(printf 'evil\033[31m\xff.pem')
cp good.pem "$evil"
sees 0 - 'evil\x1B[31m\xFF.pem' "$evil" root.pem
! LC_ALL=C grep -q "$(printf '[\033\377]')" out || fail "a file's name reached the terminal as it is"
"$securepair" show --json "$evil" root.pem >json || fail "no JSON for a name that is no UTF-8"
sees 1 - 'nowhere\x1B[2J' "$(printf 'nowhere\033[2J')"
# A C1 control, and a letter that turns the direction of writing.
quietly openssl req -x509 -key key.pem -utf8 -subj "$(printf '/CN=\xc2\x9b31mevil\xe2\x80\xae')" -days 90 -out bidi.pem
"$securepair" show bidi.pem >out || true
! LC_ALL=C grep -q "$(printf '\xe2\x80\xae\\|\xc2\x9b')" out || fail "letters that deceive came through"

[ "$checked" -gt 35 ] || fail "only $checked inputs were shown"
exit $failed
