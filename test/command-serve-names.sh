#!/usr/bin/env bash
# securepair serve --sni-folder: certificates by name, and files that come, change, break and go.
# shellcheck disable=SC2119,SC2317
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
# shellcheck source=test/scripts/serve.sh
. "$source/test/scripts/serve.sh"
need openssl

# pair FOLDER/FILE NAME: a key and a certificate in files of their own.
pair() {
  securepair key --out "$1.key" --force
  securepair certificate --key "$1.key" --name "$2" --out "$1.pem" --force
}

# shown NAME: the common name of the certificate for a client that asks for NAME ("": for none).
shown() {
  local asked=(-servername "$1")
  [ -n "$1" ] || asked=(-noservername)
  timeout $patience openssl s_client -connect "127.0.0.1:$port" "${asked[@]}" </dev/null 2>/dev/null |
    openssl x509 -noout -subject -nameopt multiline 2>/dev/null | sed -n 's/^ *commonName *= //p'
}
serves() { [ "$(shown "$1")" = "$2" ]; }
expect() { serves "$1" "$2" || fail "\"$1\" is served as \"$(shown "$1")\", not $2"; }
expect_soon() { until_true serves "$1" "$2" || fail "\"$1\" is still served as \"$(shown "$1")\", not $2"; }

mkdir names
pair names/a.example a.example
pair names/_.w.example '*.w.example'
pair other both.example
cat other.pem other.key >names/both.example.pem
chmod 600 names/both.example.pem
echo "no certificate" >names/broken.example.pem
echo "not looked at" >names/README

serve --sni-folder names
expect a.example a.example
expect A.Example a.example
expect x.w.example '*.w.example'
expect both.example both.example
expect w.example localhost
expect "" localhost
says "a.example: CN=a.example, valid until"
says "broken.example is not served: "
says_not README

# -- while it runs: new, changed, moved, half of it, gone ------------------------------------------------
pair new new.example
cat new.pem new.key >names/new.example.pem
expect_soon new.example new.example

securepair certificate --key names/a.example.key --name a.example --subject CN=renewed --out a.pem
mv a.pem names/a.example.pem
expect_soon a.example renewed

pair names/broken.example broken.example
expect_soon broken.example broken.example

# A key without its certificate: nothing happens, and after a while it is told.
pair half a.example
cp half.key names/a.example.key
wait_for "a.example: "
wait_for "what was read before stays in force"
expect a.example renewed
cp half.pem names/a.example.pem
expect_soon a.example a.example

# The key of a name moves into its certificate's file.
cat names/a.example.key >>names/a.example.pem
rm names/a.example.key
expect_soon a.example a.example
says_not "a.example is served no more"

rm names/_.w.example.*
expect_soon x.w.example localhost
says "*.w.example is served no more"
mv names/both.example.pem names/other.example.pem
expect_soon other.example both.example
wait_for "the certificate is for both.example, not for other.example"
expect_soon both.example localhost

# The folder itself is away for a while: nothing changes.
mv names away
expect a.example a.example
mv away names
pair late late.example
cat late.pem late.key >names/late.example.pem
expect_soon late.example late.example

# Names that are none.
cp late.pem "names/no host.pem"
cp late.key "names/no host.key"
kill -HUP "$server"
wait_for "no host is not served: that is no host name"
stop

# -- clients that ask for something else -------------------------------------------------------------------
serve --sni-folder names --strict-sni
expect a.example a.example
[ -z "$(shown other.invalid)" ] || fail "an unknown name is served"
[ -z "$(shown "")" ] || fail "no name at all is served"
wait_for "class unknown_name"
stop

status=0
securepair serve 0 --sni-folder nowhere 2>err || status=$?
if [ $status -ne 1 ] || ! grep -q "cannot read nowhere" err; then
  fail "a folder that is not there: $status, $(cat err)"
fi
finish
