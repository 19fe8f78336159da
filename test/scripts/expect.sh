# shellcheck shell=bash
# What a command answers, judged; sourced by tests that have their `name`, in a folder of their own.
failed=0

fail() {
  printf '%s: %s\n' "$name" "$*" >&2
  failed=1
}

# expect STATUS COMMAND...: output in `out`, errors in `err`.
expect() {
  local wanted=$1 status=0
  shift
  "$@" >out 2>err </dev/null || status=$?
  [ $status -eq "$wanted" ] || { fail "$* ended with $status, not $wanted"; cat out err >&2; }
}
says() { grep -qF -- "$1" out err || { fail "nothing says \"$1\""; cat out err >&2; }; }
