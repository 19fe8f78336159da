#!/usr/bin/env bash
# securepair show: whatever is wrong with keys, certificates, chains and lists (FAULTS.md K01-K08) is said in
# a sentence with a remedy, and ends with 3.
# Timeout: 600
set -euo pipefail

build=$(cd "${1:-build}" && pwd) name=command-show
# shellcheck source=test/scripts/show.sh
. "$(dirname "${BASH_SOURCE[0]}")/scripts/show.sh"

# -- chains (K01) ----------------------------------------------------------------------------------
root root "$authority"
sub middle root "$authority"
issue good root "$server"
issue deep middle "$server"
sees 0 - "The chain of CN=good is complete, up to the root CN=root." good.pem root.pem
sees 0 - "The key in key.pem belongs to the certificate in good.pem" key.pem good.pem root.pem
cat deep.pem middle.pem root.pem >full.pem
sees 0 - "up to the root CN=root" full.pem
sees 0 - "up to the root CN=root" full.pem root.pem
"$securepair" certificate --key key.pem --name a.example --out self.pem
sees 3 self-signed "is signed by itself" self.pem
sees 3 missing-issuer "is neither here nor a root" good.pem
sees 3 missing-issuer "is issued by CN=middle" deep.pem root.pem
cat middle.pem deep.pem >reversed.pem
sees 3 order "does not come right after CN=deep" reversed.pem root.pem
cat deep.pem root.pem middle.pem >mixed.pem
sees 3 order "In mixed.pem" mixed.pem
cat deep.pem good.pem middle.pem >bundle.pem # of several servers: no chain that has an order
sees 0 - "The chain of CN=good is complete" bundle.pem root.pem
root stranger "$authority"
cat good.pem stranger.pem >stray.pem
sees 3 stray "has nothing to do with the chain" stray.pem root.pem
cat deep.pem middle.pem middle.pem >twice.pem
sees 3 duplicate "is in twice.pem twice" twice.pem root.pem
cp good.pem copy.pem
sees 0 - "is the same certificate as in good.pem" good.pem copy.pem root.pem
sees 0 - "is the same certificate as in good.pem" good.pem good.pem root.pem
# Another authority of the same name; two that sign each other.
mkdir twin
(
  cd twin
  cp ../ca.cnf ../index.txt .
  root root "$authority"
) || failed=1
sees 3 signature "but another key signed it" good.pem twin/root.pem
sub left root "$authority"
sub right left "$authority"
issue left right "$authority"
issue looped right "$server"
sees 3 loop "in a circle" looped.pem right.pem left.pem

# -- dates (K02) -----------------------------------------------------------------------------------
issue expired root "$server" -startdate 20200101000000Z -enddate 20200301000000Z
sees 3 expired "It expired 6 years ago (2020-03-01 00:00 UTC)." expired.pem root.pem
issue early root "$server" -startdate 20900101000000Z -enddate 20900301000000Z
sees 3 not-yet-valid "It is not valid yet, only in" early.pem root.pem
issue ending root "$server" -days 1 -startdate 20200101000000Z
sees 3 expires-soon "Renew it soon." ending.pem root.pem
issue backward root "$server" -startdate 20900101000000Z -enddate 20200301000000Z
sees 3 dates "It ends before it begins" backward.pem root.pem
issue long root "$server" -days 400
sees 3 long-lived "It is valid for 400 days" long.pem root.pem

# -- must-staple (K09) -----------------------------------------------------------------------------
issue stapled root "$server"$'\ntlsfeature=status_request'
sees 3 must-staple "names nobody who makes one" stapled.pem root.pem
issue asked root "$server"$'\ntlsfeature=status_request\nauthorityInfoAccess=OCSP;URI:http://ocsp.a.example'
sees 0 - "may only be used together with an OCSP response (must-staple)" asked.pem root.pem
issue other root "$server"$'\ntlsfeature=17'
sees 0 - "No problem" other.pem root.pem

# -- names (K03-K05) -------------------------------------------------------------------------------
named() { printf '%s\nsubjectAltName=%s' "${server%$'\n'*}" "$1"; }
issue nameless root "${server%$'\n'*}"
sees 3 no-names "names no host" nameless.pem root.pem
for host in '*' '*.com' 'f*.a.example' 'a.*.example' '*.*.example'; do
  issue wildcard root "$(named "DNS:$host")"
  sees 3 wildcard "The name \"$host\"" wildcard.pem root.pem
done
issue wildcard root "$(named 'DNS:*.a.example')"
sees 0 - "for         *.a.example" wildcard.pem root.pem
issue address root "$(named DNS:192.0.2.1)"
sees 3 bad-name "an address written as a DNS name" address.pem root.pem
issue dotted root "$(named DNS:a.example.)"
sees 3 bad-name "ends with a dot" dotted.pem root.pem
issue spaced root "$(named 'DNS:a example')"
sees 3 bad-name "is no name of a host" spaced.pem root.pem
# a.example, NUL, .evil: 30 12 82 10 ...
issue nul root "$(named DER:30:11:82:0f:61:2e:65:78:61:6d:70:6c:65:00:2e:65:76:69:6c)"
sees 3 nul-in-name "has a NUL in it" nul.pem root.pem
! LC_ALL=C grep -q "$(printf '\001')" out || fail "a control character came through"
issue b.example root "$server"
sees 3 common-name "Its subject says b.example" b.example.pem root.pem

# -- usages, path length, constraints (K06) --------------------------------------------------------
sub leafy root "$server"
issue below-leafy leafy "$server"
sees 3 no-authority "is no authority" below-leafy.pem leafy.pem root.pem
sub mute root $'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign'
issue below-mute mute "$server"
sees 3 key-usage "lacks keyCertSign" below-mute.pem mute.pem root.pem
sub short root "$authority"$'\n'
sub low root $'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign'
sub lower low "$authority"
issue lowest lower "$server"
sees 3 path-length "may have 0 authorities below it, and above CN=lowest there are 1" \
  lowest.pem lower.pem low.pem root.pem
sub narrow root "$authority"$'\nnameConstraints=critical,permitted;DNS:other.example'
issue outside narrow "$server"
sees 3 name-constraints "may not sign for the names of CN=outside" outside.pem narrow.pem root.pem
sub mailer root "$authority"$'\nextendedKeyUsage=emailProtection'
issue mailed mailer "$server"
sees 3 purpose "may not sign for those" mailed.pem mailer.pem root.pem
issue client root "${server/serverAuth/clientAuth}"
sees 3 purpose "for clients only" client.pem root.pem
issue ada root $'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth'
sees 0 - "use         client" ada.pem root.pem
issue silent root "${server/digitalSignature/keyAgreement}"
sees 3 key-usage "lacks digitalSignature" silent.pem root.pem
issue signing root "${server/digitalSignature/digitalSignature,keyCertSign}"
sees 3 key-usage "but it is no authority" signing.pem root.pem
issue critical root "$server"$'\n1.2.3.4=critical,ASN1:NULL'
sees 3 critical-extension "clients have to understand" critical.pem root.pem
quietly openssl req -x509 -key key.pem -subj /CN=a.example -addext subjectAltName=DNS:a.example -days 90 -out usual.pem
sees 3 authority-as-server "It is an authority and names hosts" usual.pem
quietly openssl x509 -req -in csr -CA root.pem -CAkey root-key.pem -days 90 -out old.pem
sees 3 version "It is of version 1" old.pem root.pem

# -- weak keys and signatures (K07) ----------------------------------------------------------------
quietly openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa1024-key.pem
issue rsa1024 root "$server"
sees 3 weak-key "RSA key of 1024 bits" rsa1024.pem root.pem
sees 3 weak-key "RSA key of 1024 bits" rsa1024-key.pem
quietly openssl req -new -config ca.cnf -key rsa1024-key.pem -subj /CN=x -addext subjectAltName=DNS:a.example -out weak.csr
sees 3 weak-key "RSA key of 1024 bits" weak.csr
quietly openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa-key.pem
issue rsa root "$authority"
for digest in md5 sha1; do
  issue $digest rsa "$server" -md $digest
  sees 3 weak-signature "can be forged" $digest.pem rsa.pem root.pem
done
quietly openssl ecparam -name prime192v1 -genkey -noout -out p192-key.pem
issue p192 root "$server"
sees 3 weak-key "EC key of 192 bits" p192.pem root.pem
quietly openssl ecparam -name secp256k1 -genkey -noout -out k1-key.pem
issue k1 root "$server"
sees 3 unusual-curve "Browsers do not know the curve secp256k1" k1.pem root.pem
quietly openssl ecparam -name prime256v1 -param_enc explicit -genkey -noout -out explicit-key.pem
issue explicit root "$server"
sees 3 explicit-curve "spelled out" explicit.pem root.pem
quietly openssl genpkey -algorithm ED25519 -out edwards-key.pem
issue edwards root "$server"
sees 3 unusual-key "Browsers do not take ED25519" edwards.pem root.pem
quietly openssl dsaparam -out dsa.params 1024
quietly openssl gendsa -out dsa-key.pem dsa.params
issue dsa root "$server"
sees 3 weak-key "DSA keys are not used" dsa.pem root.pem
# rsa_public FILE MODULUS EXPONENT: a public key nobody has.
rsa_public() {
  cat >rsa.cnf <<END
asn1 = SEQUENCE:key
[key]
algorithm = SEQUENCE:rsa
bits = BITWRAP,SEQUENCE:numbers
[rsa]
oid = OID:rsaEncryption
null = NULL
[numbers]
n = INTEGER:0x$2
e = INTEGER:0x$3
END
  quietly openssl asn1parse -genconf rsa.cnf -noout -out rsa.der
  quietly openssl pkey -pubin -inform DER -in rsa.der -out "$1"
}
rsa_public one.pub "c$(head -c 255 /dev/urandom | od -An -tx1 | tr -d ' \n')1" 1
of_public one one.pub
sees 3 weak-key "a public exponent that protects nothing" one.pem root.pem
rsa_public huge.pub "c$(head -c 2047 /dev/urandom | od -An -tx1 | tr -d ' \n')1" 10001
of_public huge huge.pub
sees 3 large-key "RSA key of 1638" huge.pem root.pem

# -- revocation lists (K08) ------------------------------------------------------------------------
: >index.txt
echo 01 >number
printf 'crlnumber = number\n' >crl-line
sed -i '/^\[own\]/r crl-line' ca.cnf
issue bad root "$server"
quietly openssl ca -config ca.cnf -cert root.pem -keyfile root-key.pem -revoke bad.pem
quietly openssl ca -config ca.cnf -cert root.pem -keyfile root-key.pem -gencrl -crldays 7 -out list.pem
sees 0 - "revoked     1" list.pem root.pem
sees 3 revoked "was revoked" list.pem root.pem bad.pem
sees 3 list-signature "is not signed by CN=root" list.pem twin/root.pem
quietly openssl ca -config ca.cnf -cert root.pem -keyfile root-key.pem -gencrl \
  -crl_lastupdate 20200101000000Z -crl_nextupdate 20200201000000Z -out old-list.pem
sees 3 expired "It ended 6 years ago" old-list.pem

[ "$checked" -gt 55 ] || fail "only $checked inputs were shown"
exit $failed
