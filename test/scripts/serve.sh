# What the tests of `securepair serve` share; sourced by them, with the build folder as $1.
# shellcheck shell=bash disable=SC2034,SC2154,SC2119,SC2120

build=$(cd "${1:-build}" && pwd)
test_name=$(basename "$0" .sh)
patience=30
work=$(mktemp -d)
started=()
failed=0

securepair() { "$build/securepair" "$@"; }

is_sanitized() { grep -qE "__[at]san_init" "$build/securepair"; }

# shellcheck disable=SC2317 # the trap calls it
cleanup() {
  local pid
  for pid in "${started[@]}"; do
    kill -KILL "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap cleanup EXIT
cd "$work" || exit 1

fail() {
  printf '%s: %s\n' "$test_name" "$*" >&2
  [ ! -s log ] || tail -n 30 log | sed 's/^/  log: /' >&2
  failed=1
}

need() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || { printf '%s: %s is not here\n' "$test_name" "$tool" >&2; exit 77; }
  done
}

# until COMMAND...: waits until it succeeds. Polling is all that a shell has.
until_true() {
  local end=$((SECONDS + patience))
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    read -r -t 0.02 <> <(:) || true
  done
}

says() { grep -qF -- "$1" log || fail "the log does not say \"$1\""; }
says_not() { ! grep -qF -- "$1" log || fail "the log says \"$1\""; }
wait_for() { until_true grep -qsF -- "$1" log || fail "the log never said \"$1\""; }
wait_for_count() { until_true has_count "$@" || fail "the log never said $1 times \"$2\""; }
has_count() { [ "$(grep -cF -- "$2" log)" -ge "$1" ]; }

# serve ARGUMENT...: starts one on a free port, its log in the file `log`; sets `server` and `port`.
serve() {
  : >log
  port=
  "$build/securepair" serve --listen 0 "$@" >/dev/null 2>>log </dev/null &
  server=$!
  started+=("$server")
  if ! until_true listens || [ -z "$port" ]; then
    fail "serve $* does not listen"
    exit 1
  fi
}
listens() { # or is gone
  port=$(grep -oP -m1 'listening on \S*:\K\d+' log) || ! kill -0 "$server" 2>/dev/null
}

# stop [SIGNAL]: and expects that it ends well.
stop() {
  local status=0
  kill -"${1:-TERM}" "$server"
  wait "$server" || status=$?
  [ $status -eq 0 ] || fail "after SIG${1:-TERM} it ended with $status"
}

# talk LINE [ARGUMENT...]: sends a line as a client, and has what comes back in `out`.
talk() {
  local line=$1
  shift
  printf '%s\n' "$line" | timeout $patience "$build/securepair" connect "localhost:$port" --quiet \
    --linger 0 "${@:---insecure}" >out 2>err
}

finish() { exit $failed; }
