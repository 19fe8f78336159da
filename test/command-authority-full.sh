#!/usr/bin/env bash
# securepair authority: a full disk at every call that writes, a limit on the size of files, a folder that cannot
# be written: it is told, nothing half-made is left, and it goes on when there is room again (FAULTS.md R13).
# shellcheck disable=SC2317 # what is called by name
# Timeout: 900
set -euo pipefail

build=$(cd "${1:-build}" && pwd) name=command-authority-full
# shellcheck source=test/scripts/authority.sh
. "$(dirname "${BASH_SOURCE[0]}")/scripts/authority.sh"

expect 0 "$securepair" authority init
expect 0 "$securepair" authority sign csr.pem --out first.pem

# -- a folder that cannot be written, a limit on files ---------------------------------------------
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
  as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
else
  as_nobody() { "$@"; }
fi
mkdir shut
chmod 555 shut
chmod 755 "$work"
if ! as_nobody touch shut/file 2>/dev/null && as_nobody test -x "$securepair"; then
  expect 1 as_nobody "$securepair" authority init --folder shut/authority
  says "cannot make the folder shut/authority"
  expect 1 as_nobody "$securepair" authority init --folder shut
  says "cannot write shut/root-key.pem"
  expect 1 as_nobody "$securepair" key --out shut/key.pem
  says "cannot write shut/key.pem"
fi
[ -z "$(ls shut)" ] || fail "something is left in a folder that cannot be written"
limited() { (ulimit -f 1 && exec "$@"); }
serials >before
expect 1 limited "$securepair" authority sign csr.pem --out limited.pem
[ ! -e limited.pem ] || fail "a certificate was given out though the database could not grow"
serials | cmp -s before - || fail "what was not given out is on record"
expect 1 limited "$securepair" authority init --folder limited
[ ! -e limited ] || fail "half an authority is left: $(ls limited)"

# -- a full disk at every call that writes ---------------------------------------------------------
can_trace || {
  echo "$name: strace is not here or not allowed" >&2
  [ "$failed" -eq 0 ] && exit 77
  exit 1
}
# It is told, and then nothing was given out, or it does not matter (the folder's fsync).
is_told() {
  on_record full.pem
  nothing_left full.pem
  [ "$1" -eq 0 ] || { [ "$1" -eq 1 ] && grep -q '^securepair: ' injected.err && [ ! -e full.pem ]; }
}
forget() { rm -f full.pem; }
at_every error=ENOSPC is_told forget "$securepair" authority sign csr.pem --out full.pem

# What fails takes away what it made.
check_init() {
  case $1 in
  0) "$securepair" authority list --folder new >/dev/null ;;
  1) [ ! -e new ] && grep -q '^securepair: ' injected.err ;;
  *) false ;;
  esac
}
forget_new() { rm -rf new; }
at_every error=ENOSPC check_init forget_new "$securepair" authority init --folder new

expect 0 "$securepair" authority sign csr.pem --out again.pem
on_record first.pem again.pem
exit "$failed"
