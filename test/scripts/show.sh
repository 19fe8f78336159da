# shellcheck shell=bash
# What test/command-show*.sh share: certificates with whatever is wrong with them, and a judge of what
# `securepair show` says. In a folder of its own, which is gone at the end.
securepair=$build/securepair
command -v openssl >/dev/null || { echo "$name: openssl is not here" >&2; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0 checked=0

fail() {
  printf '%s: %s\n' "$name" "$*" >&2
  failed=1
}

quietly() { "$@" >log 2>&1 || { cat log >&2; fail "cannot make an input: $*"; }; }

# -- inputs ----------------------------------------------------------------------------------------
cat >ca.cnf <<'END'
[ca]
default_ca = own
[own]
dir = .
database = index.txt
new_certs_dir = .
rand_serial = yes
unique_subject = no
policy = any
default_md = sha256
default_days = 90
email_in_dn = no
[any]
commonName = optional
[req]
prompt = no
distinguished_name = nobody
[nobody]
END
: >index.txt
new_key() { quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }
new_key key.pem
new_key other-key.pem

server=$'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:a.example'
authority=$'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign'

# issue NAME ISSUER EXTENSIONS [CA-OPTION...]: NAME.pem with key.pem, or NAME-key.pem if that is there.
issue() {
  local subject=$1 issuer=$2 key=key.pem
  [ ! -e "$1-key.pem" ] || key=$1-key.pem
  printf '%s\n' "$3" >extensions
  shift 3
  quietly openssl req -new -config ca.cnf -key "$key" -subj "/CN=$subject" -out csr
  quietly openssl ca -batch -notext -config ca.cnf -in csr -cert "$issuer.pem" -keyfile "$issuer-key.pem" \
    -extfile extensions -out "$subject.pem" "$@"
}

# root NAME EXTENSIONS
root() {
  new_key "$1-key.pem"
  printf '%s\n' "$2" >extensions
  quietly openssl req -new -config ca.cnf -key "$1-key.pem" -subj "/CN=$1" -out csr
  quietly openssl x509 -req -in csr -signkey "$1-key.pem" -extfile extensions -days 3000 -out "$1.pem"
}

# sub NAME ISSUER EXTENSIONS: an authority below another one.
sub() {
  new_key "$1-key.pem"
  issue "$1" "$2" "$3" -days 2000
}

# of_public NAME PUBLIC-KEY-FILE: a certificate for a public key, of which nobody needs the other half.
of_public() {
  printf '%s\n' "$server" >extensions
  quietly openssl req -new -config ca.cnf -key key.pem -subj "/CN=$1" -out csr
  quietly openssl x509 -req -in csr -CA root.pem -CAkey root-key.pem -force_pubkey "$2" -extfile extensions \
    -days 90 -out "$1.pem"
}

# -- the table's judge -----------------------------------------------------------------------------
# sees STATUS CODE TEXT FILE...: the status and a part of what is said; a problem in JSON, where it has a code
# and a remedy.
sees() {
  local wanted=$1 code=$2 text=$3 json=() status=0
  shift 3
  checked=$((checked + 1))
  if [ "$code" != - ]; then
    json=(--json)
    text=${text//\"/\\\"}
  fi
  timeout 60 "$securepair" show "${json[@]}" "$@" >out 2>err </dev/null || status=$?
  [ $status -eq "$wanted" ] || { fail "show $* ended with $status, not $wanted"; cat out err >&2; }
  grep -qF -- "$text" out err || { fail "show $* does not say \"$text\""; cat out err >&2; }
  if [ "$wanted" -eq 0 ]; then
    grep -q '^No problem found' out || fail "show $* does not say that all is well"
  elif [ "$code" != - ]; then
    grep -qF "\"code\": \"$code\"" out || { fail "show --json $* has no code $code"; cat out >&2; }
    [ "$(grep -c '"code": ' out)" -eq "$(grep -c '"remedy": "[^"]' out)" ] || fail "show $*: a problem has no remedy"
  fi
}
