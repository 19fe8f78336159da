#!/usr/bin/env bash
# securepair authority: fifty that sign at once, and a kill at every call that writes: what was given out is on
# record, no serial is used twice, no key is left in a draft (FAULTS.md A14, K15).
# shellcheck disable=SC2317 # what is called by name
# Timeout: 900
set -euo pipefail

build=$(cd "${1:-build}" && pwd) name=command-authority-kill
# shellcheck source=test/scripts/authority.sh
. "$(dirname "${BASH_SOURCE[0]}")/scripts/authority.sh"

# -- many that make the same authority -------------------------------------------------------------
pids=() made=0
for i in $(seq 12); do
  "$securepair" authority init >/dev/null 2>"init-$i.err" &
  pids+=($!)
done
for pid in "${pids[@]}"; do ! wait "$pid" || made=$((made + 1)); done
[ $made -eq 1 ] || fail "of twelve that make the same authority $made did"
[ "$(cat init-*.err | grep -c 'there is an authority in it already')" -eq 11 ] || fail "$(cat init-*.err)"
expect 0 "$securepair" authority sign csr.pem --out first.pem
expect 0 openssl verify -x509_strict -CAfile authority/root.pem first.pem

# -- fifty at once ---------------------------------------------------------------------------------
pids=()
for i in $(seq 50); do
  "$securepair" authority sign csr.pem --out "many-$i.pem" 2>"many-$i.err" &
  pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || fail "one of fifty that sign at once failed: $(cat many-*.err)"; done
on_record many-*.pem
[ "$(wc -l <known)" -eq 51 ] || fail "$(wc -l <known) certificates are on record, not 51"
[ -z "$(awk 'length($0) < 32' known)" ] || fail "a serial is shorter than it should be"

# -- a kill at every call that writes --------------------------------------------------------------
can_trace || {
  echo "$name: strace is not here or not allowed" >&2
  [ "$failed" -eq 0 ] && exit 77
  exit 1
}
forget() { rm -f killed.pem killed.pem.*.tmp; }
# A certificate is on record before it is given out, and a draft has no name.
check_sign() {
  on_record killed.pem
  ! drafts_have_no_names || nothing_left killed.pem
  [ "$1" -eq 137 ]
}
at_every signal=SIGKILL check_sign forget "$securepair" authority sign csr.pem --out killed.pem

# What is left of an init is in the way of the next one, which says so; or it is a whole authority.
forget_new() { rm -rf new; }
check_init() {
  [ "$1" -eq 137 ] || return 1
  if [ -e new/root-key.pem ] && [ ! -e new/authority.db ]; then
    expect 1 "$securepair" authority init --folder new
    says "an init that was interrupted"
  fi
}
at_every signal=SIGKILL check_init forget_new "$securepair" authority init --folder new

# -- killed among many -----------------------------------------------------------------------------
pids=()
for i in $(seq 30); do
  if ((i % 3 == 0)); then
    (at pwrite64 $((i / 3)) signal=SIGKILL "$securepair" authority sign csr.pem --out "among-$i.pem") 2>/dev/null &
    wait_for=none
  else
    "$securepair" authority sign csr.pem --out "among-$i.pem" 2>"among-$i.err" &
    wait_for=$!
  fi
  pids+=("$wait_for")
done
for pid in "${pids[@]}"; do
  [ "$pid" = none ] || wait "$pid" || fail "one failed because others were killed: $(cat among-*.err)"
done
wait
on_record first.pem many-*.pem among-*.pem
for i in $(seq 30); do
  ((i % 3 == 0)) || [ -e "among-$i.pem" ] || fail "among-$i.pem was not given out"
done
expect 0 "$securepair" authority revoke first.pem
expect 0 "$securepair" authority crl --out crl.pem
exit "$failed"
