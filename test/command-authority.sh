#!/usr/bin/env bash
# securepair authority: what it signs is accepted by OpenSSL, GnuTLS and Node, it signs what theirs ask for, and
# nothing else (FAULTS.md K15). The guide, docs/own-authority.md, works as it is written.
# Timeout: 600
set -euo pipefail

build=$(cd "${1:-build}" && pwd) name=command-authority
securepair=$build/securepair
source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
for tool in openssl certtool; do
  command -v $tool >/dev/null || { echo "command-authority: $tool is not here" >&2; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
# shellcheck source=test/scripts/expect.sh
. "$source/test/scripts/expect.sh"

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
expect 1 "$securepair" authority sign csr.pem --days 0
says "--days 0: 1 to 36500 are possible"
expect 1 "$securepair" authority init --folder none --days 0
says "--days 0: 1 to 36500 are possible"
[ ! -e none ] || fail "an authority for no days has a folder"
expect 1 "$securepair" authority crl --days 0
says "--days 0: 1 to 3650 are possible"
expect 0 "$securepair" request --key key.pem --subject CN=Ada --client --out ada.csr
expect 1 "$securepair" authority sign ada.csr
says "--name is missing: a server's certificate has to say which names it is for"
expect 2 "$securepair" authority sign
says '"securepair authority sign --help" says more'
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

# -- what a request smuggles in, and odd subjects (K15) --------------------------------------------
openssl req -new -key key.pem -subj /CN=a.example -addext subjectAltName=DNS:a.example -out bold.csr \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign,cRLSign -addext extendedKeyUsage=anyExtendedKeyUsage \
  -addext nameConstraints=permitted\;DNS:evil.example -addext certificatePolicies=1.2.3.4 \
  -addext crlDistributionPoints=URI:http://evil.example/ -addext authorityInfoAccess=OCSP\;URI:http://evil.example/ \
  -addext 1.2.3.4=ASN1:UTF8String:evil
expect 0 "$securepair" authority sign bold.csr --folder two --passphrase-file secret --out bold.pem
expect 0 openssl x509 -in bold.pem -noout -text
! grep -qE 'evil|CA:TRUE|Certificate Sign|Any Extended|1\.2\.3\.4' out || fail "a request's own extensions were signed"
grep -qE 'Version: 3 ' out || fail "not version 3"
grep -q 'ecdsa-with-SHA256' out || fail "not signed with SHA-256"
# subject SUBJECT WANTED: as OpenSSL reads it.
subject() {
  expect 0 "$securepair" request --key key.pem --name a.example --subject "$1" --out odd.csr --force
  expect 0 "$securepair" authority sign odd.csr --folder two --passphrase-file secret --out odd.pem --force
  expect 0 openssl x509 -in odd.pem -noout -subject -nameopt RFC2253,utf8,-esc_msb
  says "subject=$2"
  expect 0 openssl verify -x509_strict -CAfile two/root.pem odd.pem
}
subject 'CN=a/b=c,O=D/E' 'CN=a/b=c,O=D/E'
subject 'CN=x,O=One\, Two' 'CN=x,O=One\, Two'
subject 'CN=ä€𝄞,O=Söhne & Co' 'CN=ä€𝄞,O=Söhne & Co'
long=$(printf 'x%.0s' $(seq 65))
expect 1 "$securepair" request --key key.pem --name a.example --subject "CN=$long"
says "too long"
expect 0 "$securepair" request --key key.pem --name "${long:5}.${long:5}.example" --out long.csr
expect 0 "$securepair" authority sign long.csr --folder two --passphrase-file secret --out long.pem
expect 0 openssl verify -x509_strict -verify_hostname "${long:5}.${long:5}.example" -CAfile two/root.pem long.pem
expect 1 "$securepair" request --key key.pem --name a.example --subject "CN"
expect 1 "$securepair" request --key key.pem --name a.example --subject "XY=a"
openssl req -new -key key.pem -utf8 -subj '/CN=a\/b=ü/O=Zoë' -addext subjectAltName=DNS:a.example -out theirs.csr
expect 0 "$securepair" authority sign theirs.csr --folder two --passphrase-file secret --out theirs.pem
expect 0 openssl x509 -in theirs.pem -noout -subject -nameopt RFC2253,utf8,-esc_msb
says "CN=a/b=ü"

# -- GnuTLS' requests and its judgement ------------------------------------------------------------
printf 'cn = "g.example"\ndns_name = "g.example"\ntls_www_server\n' >template
expect 0 certtool --generate-privkey --key-type=rsa --bits=2048 --outfile gnutls-key.pem
expect 0 certtool --generate-request --load-privkey gnutls-key.pem --template template --outfile gnutls.csr
expect 0 "$securepair" show gnutls-key.pem gnutls.csr
expect 0 "$securepair" authority sign gnutls.csr --folder three --out gnutls.pem
cat gnutls.pem two/root.pem >gnutls-chain.pem
expect 0 certtool --verify-chain --infile gnutls-chain.pem
expect 0 certtool --verify-crl --load-ca-certificate three/intermediate.pem --infile three.crl

# -- Node ------------------------------------------------------------------------------------------
# A server with what was signed, and a client with the root and a certificate of its own.
if command -v node >/dev/null; then
  cat >peers.js <<'END'
const fs = require('fs'), tls = require('tls'), { X509Certificate } = require('crypto');
const root = fs.readFileSync('authority/root.pem'), key = fs.readFileSync('key.pem');
const leaf = new X509Certificate(fs.readFileSync('cert.pem'));
if (!leaf.verify(new X509Certificate(root).publicKey) || !leaf.checkHost('a.example')) process.exit(2);
const server = tls.createServer({ key, cert: fs.readFileSync('cert.pem'), ca: root, requestCert: true }, (socket) => {
  socket.end(socket.authorized ? socket.getPeerCertificate().subject.CN : socket.authorizationError);
});
server.listen(0, '127.0.0.1', () => {
  const options = { port: server.address().port, host: '127.0.0.1', servername: 'a.example', ca: root, key,
    cert: fs.readFileSync('ada.pem'), crl: process.argv[2] && fs.readFileSync(process.argv[2]) };
  tls.connect(options).on('error', (error) => { console.log(error.code); server.close(); })
    .on('data', (data) => { console.log(String(data)); server.close(); });
});
END
  expect 0 node peers.js
  says Ada
  expect 0 node peers.js crl.pem
  says CERT_REVOKED
fi

# -- the guide, to the letter ----------------------------------------------------------------------
mkdir guide guide/bin guide/drawer
awk '/^```sh$/ { file = "guide/block." ++n; next } /^```/ { file = "" } file { print >file }' \
  "$source/docs/own-authority.md"
ln -s "$securepair" guide/bin/securepair
PATH=$PWD/guide/bin:$PATH
# as_written FOLDER BLOCK
as_written() { expect 0 env -C "$1" bash -e "$work/guide/block.$2"; }
as_written guide 1
says 'The chain of CN=a.example is complete, up to the root CN=Example root.'
says 'No problem found.'
as_written guide 2
cp guide/csr.pem secret guide/drawer
as_written guide/drawer 3
as_written guide 4
[ ! -e guide/block.5 ] || fail "the guide has commands that are not tried"
exit $failed
