# What the tests of securepair connect share: sourced by them, with the build folder as $1. They begin in
# a new folder, which goes at the end with all that was started.
# shellcheck shell=bash disable=SC2034

me=$(basename "$0" .sh)
build=$(cd "${1:-build}" && pwd)
source=${SP_SOURCE:-$(cd "$(dirname "$0")/.." && pwd)}
securepair=$build/securepair
work=$(mktemp -d)
started=()
failed=0
patience=60

need() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || { echo "$me: $tool is not here" >&2; exit 77; }
  done
}

# shellcheck disable=SC2317 # the trap calls it
cleanup() {
  local pid
  for pid in "${started[@]}"; do
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap cleanup EXIT
cd "$work" || exit 1
: >in

fail() {
  printf '%s: %s\n' "$me" "$*" >&2
  failed=1
}

# expect STATUS ARGUMENT...: of securepair connect, its input from the file `in`; output in `out`, errors in
# `err`.
expect() {
  local wanted=$1 status=0
  shift
  timeout $patience "$securepair" connect "$@" >out 2>err <in || status=$?
  [ $status -eq "$wanted" ] || { fail "connect $* ended with $status, not $wanted"; cat out err >&2; }
}
says() { grep -qF -- "$1" out err || { fail "nothing says \"$1\""; cat out err >&2; }; }

# listen PATTERN COMMAND...: starts a server and waits for a line with its port, which it sets.
listen() {
  local pattern=$1 line from
  shift
  exec {from}< <(exec "$@" 2>&1 </dev/null)
  started+=($!)
  while read -r -t $patience -u "$from" line; do
    if [[ $line =~ $pattern ]]; then
      port=${BASH_REMATCH[1]}
      exec {line}< <(cat <&"$from" >/dev/null) # so that it may go on writing
      return
    fi
  done
  fail "$* did not start: $line"
  exit 1
}
serve() { listen '^ACCEPT .*:([0-9]+)$' openssl s_server -accept 127.0.0.1:0 "$@"; }
perl_server() { listen '^([0-9]+)$' perl "$@"; }

# The server that was started last goes.
stop() {
  kill "${started[-1]}" 2>/dev/null || true
  wait "${started[-1]}" 2>/dev/null || true
  unset 'started[-1]'
}

# one_shot ANSWER [wait]: answers the first client with a text and closes, or keeps it waiting.
one_shot() {
  perl_server -MIO::Socket::INET -e '$| = 1; $l = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die;
    print $l->sockport, "\n"; alarm 60; $c = $l->accept; sysread $c, $_, 4096; syswrite $c, $ARGV[0];
    sysread $c, $_, 4096 while $ARGV[1] && length' "$1" "${2:-}"
}

# A root in $root, and a key with a certificate for localhost: key.pem and cert.pem.
make_certificates() {
  "$securepair" authority init --subject "CN=test root" >/dev/null
  "$securepair" key --out key.pem
  "$securepair" request --key key.pem --name localhost --out csr.pem
  "$securepair" authority sign csr.pem --out cert.pem
  root=$work/authority/root.pem
}
