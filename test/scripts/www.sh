# What the tests of `securepair serve --www` share; sourced by them, with the build folder as $1.
# shellcheck shell=bash disable=SC2034,SC2154,SC2119,SC2120

# shellcheck source=test/scripts/serve.sh
. "$source/test/scripts/serve.sh"
need curl openssl sha256sum

securepair key --out key.pem
securepair certificate --key key.pem --name localhost --out cert.pem
mkdir -p site/sub
printf 'hello, world\n' >site/a.txt
for i in {1..100}; do printf 'file %d' "$i" >"site/sub/f$i"; done
serve_site() { serve --cert cert.pem --key key.pem "$@"; }
serve_www() { serve_site --www site "$@"; }

# -- with curl -----------------------------------------------------------------------------------------
# get PATH [CURL-OPTION...]: the answer's head in `head`, its content in `body`.
get() {
  local path=$1
  shift
  curl -sS --cacert cert.pem --path-as-is --max-time $patience -D head -o body "$@" \
    "https://localhost:$port$path" || fail "curl cannot get $path: $?"
}
# expect STATUS PATH [CURL-OPTION...]
expect() {
  local status=$1
  shift
  get "$@"
  [[ $(head -1 head) =~ ^HTTP/1.1\ $status\  ]] || { fail "$*: not $status"; cat head >&2; }
}
head_says() { grep -qiF -- "$1" head || { fail "no \"$1\" in the head"; cat head >&2; }; }
head_says_not() { ! grep -qiF -- "$1" head || fail "there is \"$1\" in the head"; }
body_is() { [ "$(cat body)" = "$1" ] || fail "the content is \"$(head -c 200 body)\", not \"$1\""; }
body_says() { grep -qF -- "$1" body || fail "the content does not have \"$1\""; }
hash_of() { sha256sum <"$1"; }

all_are() { # STATUS PATH...: on one connection; what came in `body`
  local status=$1 path urls=()
  shift
  for path in "$@"; do
    urls+=("https://localhost:$port$path")
  done
  curl -sS --cacert cert.pem --path-as-is --globoff --max-time $patience -w '\n%{http_code} %{url}\n' "${urls[@]}" >body ||
    fail "curl: $?"
  [ "$(grep -cE "^$status https" body)" -eq $# ] || { fail "not all are $status"; grep -aE '^[0-9]+ https' body >&2; }
}

# -- with openssl --------------------------------------------------------------------------------------
host='Host: x\r\n'
last='Connection: close\r\n'
# raw REQUEST: its answers in `out`.
raw() {
  printf '%b' "$1" | timeout $patience openssl s_client -quiet -connect "localhost:$port" >out 2>/dev/null ||
    true
}
statuses() { grep -aoP 'HTTP/1\.1 \K\d{3}(?= )' out | tr '\n' ' '; }
# refuses STATUSES REQUEST: and does not take what follows for a request.
refuses() {
  raw "$2GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n"
  [ "$(statuses)" = "$1 " ] || fail "\"$(statuses)\", not $1, for ${2:0:80}"
  grep -q '^Connection: close' out || fail "the connection goes on after ${2:0:80}"
}
